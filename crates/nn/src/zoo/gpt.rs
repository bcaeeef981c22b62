//! A decoder of attention alone.

use pleach_ops::prelude::*;

use crate::{Embedding, LearnedEncoding, Linear, Masks, Transformer, TransformerEncoder};

/// `y = head(layers(table[x] + position))`: scores for what follows each symbol of a text, from all
/// symbols before it.
///
/// | | shape |
/// |---|---|
/// | `x` | `i64[batch, time]`, symbols in `0..symbols`, `time ≤ length` |
/// | `y` | `[batch, time, symbols]`, logits of the symbol after `x[b, t]` |
///
/// Both tables begin at `N(0, 0.02²)`. The layers are normalized before attention and linear maps, with the GELU of tanh between the
/// maps. Parameters, of width `w` and depth `d`: `(2 · symbols + length) · w + d · (12 w² + 13 w) + 2 w`;
/// of [`Gpt::tiny`] with 64 symbols 429,568.
///
/// **Source** Radford et al. 2019 (GPT-2), section 2.3, with a head of its own and without dropout.
#[derive(Clone, Debug)]
pub struct Gpt {
    /// Vectors of the symbols.
    pub table: Embedding,
    /// Vectors of the positions.
    pub position: LearnedEncoding,
    /// The layers.
    pub layers: TransformerEncoder,
    /// The scores of all symbols.
    pub head: Linear,
}

impl Gpt {
    /// Two layers of 4 heads and width 128, for texts up to 128 symbols.
    pub fn tiny(p: &Params, symbols: usize) -> Gpt {
        Gpt::new(p, symbols, 128, 128, 4, 2)
    }

    /// A model in scope `p`: `depth` layers of this width, for texts up to `length` symbols.
    pub fn new(
        p: &Params,
        symbols: usize,
        length: usize,
        width: usize,
        heads: usize,
        depth: usize,
    ) -> Gpt {
        let layer = Transformer::new(width, heads, width.saturating_mul(4))
            .norm_first()
            .activation(|x| x.gelu_tanh())
            .dropout(0.0);
        Gpt {
            table: Embedding::with_init(&p.scope("table"), symbols, width, Init::normal(0.0, 0.02)),
            position: LearnedEncoding::new(&p.scope("position"), length, width),
            layers: TransformerEncoder::new(&p.scope("body"), depth, layer),
            head: Linear::without_bias(&p.scope("head"), width, symbols),
        }
    }

    /// The logits at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let h = self.position.call(self.table.call(x));
        self.head.call(self.layers.masked(h, Masks::default().causal()))
    }

    /// `length` symbols that follow `start: i64[batch, time]`, each drawn with the model's
    /// probabilities at this temperature, after the last `time` symbols: `i64[batch, length]`. A
    /// loop of the graph; another run draws others.
    #[track_caller]
    pub fn write<'g>(&self, start: Var<'g>, length: usize, temperature: f64) -> Var<'g> {
        let g = start.graph();
        let _at = g.at();
        let time = start.size(1);
        let step = |read: Var<'g>, _| {
            let y = self.call(read).slice(1, time - 1..time).squeeze(1);
            let next = g.key().categorical(y / temperature);
            (read.slice(1, 1..time).concat(&[next.unsqueeze(1)], 1), next)
        };
        g.scan(start, g.iota(I64, [length], 0), step).1.t()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_is_not_seen() {
        let p = Params::seeded(1).dtype(F64);
        let model = Gpt::new(&p, 5, 4, 8, 2, 2);
        let g = Graph::eval();
        let call = |codes: [i64; 4]| {
            let x = g.constant(Tensor::new([1, 4], codes.to_vec()).unwrap());
            model.call(x).eval(&[]).unwrap().to_f64s()
        };
        let (a, b) = (call([0, 4, 2, 3]), call([0, 4, 1, 3]));
        assert_eq!(a[..10], b[..10]);
        assert!(a[10..15].iter().zip(&b[10..15]).all(|(a, b)| a != b));
        let long = g.full(I64, [1, 5], 0.0);
        assert!(model.call(long).ok().is_err());
    }

    #[test]
    fn a_cold_model_writes_what_it_holds_likeliest() {
        let p = Params::seeded(1).dtype(F64);
        let model = Gpt::new(&p, 5, 4, 8, 2, 1);
        let g = Graph::eval();
        let start = g.constant(Tensor::new([1, 3], vec![0i64, 3, 1]).unwrap());
        let text = model.write(start, 4, 1e-6).eval(&[]).unwrap().to_i64s();
        let all = [&[0, 3, 1], text.as_slice()].concat();
        for (i, &next) in text.iter().enumerate() {
            let read = g.constant(Tensor::new([1, 3], all[i..i + 3].to_vec()).unwrap());
            let likeliest = model.call(read).argmax(2).eval(&[]).unwrap().to_i64s();
            assert_eq!(likeliest[2], next);
        }
    }
}
