//! Recurrent language models.

use pleach_ops::prelude::*;

use crate::{Cell, Embedding, GruCell, Layer, Layout, Linear, LstmCell, Recurrent, TiedHead};

/// `y = head(rnn(table[x]))`: scores for what follows each symbol of a text.
///
/// | | shape |
/// |---|---|
/// | `x` | `i64[batch, time]`, symbols in `0..symbols` |
/// | states | as those of [`Recurrent`]: `[layers, batch, hidden]` |
/// | `y` | `[batch, time, symbols]`, logits of the symbol after `x[b, t]` |
///
/// Parameters: `symbols · width` in `table`, those of the cells in `rnn`, and
/// `(hidden + 1) · symbols` in `head`, or `symbols` if the head is the table ([`TiedLm`]).
///
/// **Source** Mikolov et al., Interspeech 2010; Graves, arXiv 1308.0850.
#[derive(Clone, Debug)]
pub struct RecurrentLm<C, H = Linear> {
    /// Vectors of the symbols.
    pub table: Embedding,
    /// The layers over time.
    pub rnn: Recurrent<C>,
    /// The scores of all symbols.
    pub head: H,
}

/// A language model of LSTM layers.
pub type LstmLm = RecurrentLm<LstmCell>;

/// A language model of GRU layers.
pub type GruLm = RecurrentLm<GruCell>;

/// A language model of GRU layers that scores symbols by the table it looks them up in.
///
/// **Source** Press and Wolf, EACL 2017.
pub type TiedLm = RecurrentLm<GruCell, TiedHead>;

impl<C: Cell + Default> RecurrentLm<C> {
    /// A model in scope `p`: vectors of this width, `layers` layers of `hidden` units.
    pub fn new(p: &Params, symbols: usize, width: usize, hidden: usize, layers: usize) -> Self {
        let layout = Layout { layers, ..Layout::default() };
        RecurrentLm {
            table: Embedding::new(&p.scope("table"), symbols, width),
            rnn: Recurrent::with(&p.scope("rnn"), width, hidden, layout),
            head: Linear::new(&p.scope("head"), hidden, symbols),
        }
    }
}

impl<C: Cell + Default> RecurrentLm<C, TiedHead> {
    /// A model in scope `p` whose head is its table: `hidden` is the width of both. The table
    /// begins at `N(0, 1/hidden)`, so that the first scores are of the size of one.
    pub fn tied(p: &Params, symbols: usize, hidden: usize, layers: usize) -> Self {
        let layout = Layout { layers, ..Layout::default() };
        let deviation = (hidden.max(1) as f64).sqrt().recip();
        let init = Init::normal(0.0, deviation);
        let table = Embedding::with_init(&p.scope("table"), symbols, hidden, init);
        RecurrentLm {
            head: TiedHead::new(&p.scope("head"), &table),
            rnn: Recurrent::with(&p.scope("rnn"), hidden, hidden, layout),
            table,
        }
    }
}

impl<C: Cell, H: Layer> RecurrentLm<C, H> {
    /// The logits at `x`, from states of zeros.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        self.scores(self.rnn.call(self.vectors(x)).0)
    }

    /// Logits and last states, from given states: for a text that comes piece by piece.
    #[track_caller]
    pub fn call_from<'g>(&self, x: Var<'g>, states: &[Var<'g>]) -> (Var<'g>, Vec<Var<'g>>) {
        let _at = x.graph().at();
        let (h, last) = self.rnn.call_from(self.vectors(x), states);
        (self.scores(h), last)
    }

    /// The logits at `x`, from the states that `buffers` (of [`Recurrent::buffers`]) hold, which
    /// hold the last states after a run: truncated back-propagation along a long text.
    #[track_caller]
    pub fn call_stateful<'g>(&self, x: Var<'g>, buffers: &[Param]) -> Var<'g> {
        let _at = x.graph().at();
        self.scores(self.rnn.call_stateful(self.vectors(x), buffers))
    }

    /// `length` symbols that follow `start: i64[batch]`, each drawn with the model's probabilities
    /// at this temperature: `i64[batch, length]`. A loop of the graph; another run draws others.
    #[track_caller]
    pub fn write<'g>(&self, start: Var<'g>, length: usize, temperature: f64) -> Var<'g> {
        let g = start.graph();
        let _at = g.at();
        let shape = [self.rnn.layers.len(), start.size(0), self.rnn.hidden()];
        let zero = g.full(self.table.w.ty().dtype(), shape, 0.0);
        let step = |(x, states): (Var<'g>, Vec<Var<'g>>), _| {
            let (y, states) = self.call_from(x.unsqueeze(1), &states);
            let next = g.key().categorical(y.squeeze(1) / temperature);
            ((next, states), next)
        };
        let times = g.iota(I64, [length], 0);
        g.scan((start, vec![zero; self.rnn.states()]), times, step).1.t()
    }

    #[track_caller]
    fn vectors<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.table.call(x).transpose(0, 1)
    }

    #[track_caller]
    fn scores<'g>(&self, h: Var<'g>) -> Var<'g> {
        self.head.at(h.transpose(0, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_what_the_whole_text_gives() {
        let p = Params::seeded(1).dtype(F64);
        let model = TiedLm::tied(&p, 5, 4, 2);
        let g = Graph::eval();
        let x = g.constant(Tensor::new([2, 3], vec![0i64, 4, 2, 1, 1, 3]).unwrap());
        let whole = model.call(x);
        assert_eq!(whole.ok().unwrap().shape(), [2, 3, 5].into());
        let zero = g.full(F64, [2, 2, 4], 0.0);
        let (first, states) = model.call_from(x.slice(1, 0..1), &[zero]);
        let (second, _) = model.call_from(x.slice(1, 1..3), &states);
        let pieces = first.concat(&[second], 1).eval(&[]).unwrap().to_f64s();
        for (a, b) in pieces.iter().zip(whole.eval(&[]).unwrap().to_f64s()) {
            assert!((a - b).abs() < 1e-14, "{a} {b}");
        }
    }

    #[test]
    fn a_cold_model_writes_what_it_holds_likeliest() {
        let p = Params::seeded(3).dtype(F64);
        let model = LstmLm::new(&p, 5, 3, 4, 2);
        let g = Graph::eval();
        let start = g.constant(Tensor::new([2], vec![0i64, 3]).unwrap());
        let text = model.write(start, 6, 1e-6).eval(&[]).unwrap().to_i64s();
        // What the model reads is the start and all that it wrote but the last.
        let read: Vec<i64> = [0, 3]
            .iter()
            .zip(text.chunks(6))
            .flat_map(|(s, t)| [&[*s], &t[..5]].concat())
            .collect();
        let read = g.constant(Tensor::new([2, 6], read).unwrap());
        assert_eq!(model.call(read).argmax(2).eval(&[]).unwrap().to_i64s(), text);
    }
}
