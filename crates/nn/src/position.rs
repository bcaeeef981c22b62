//! Where in a sequence something stands.

use pleach_ops::prelude::*;

/// `x + p`, where `p[t, 2i] = sin(t / 10000^(2i/E))` and `p[t, 2i + 1]` is the cosine of the same.
///
/// `x` is `[.., L, E]`, of any length. Has no parameters.
///
/// **Source** Vaswani et al., NeurIPS 2017, section 3.5.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinusoidalEncoding;

impl SinusoidalEncoding {
    /// The layer's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (length, width) = (x.size(-2), x.size(-1));
        let Ok(ty) = Type::new(x.dtype(), [length, width]) else { return x };
        let angle = |i: usize| {
            let (t, at) = ((i / width) as f64, i % width);
            let angle = t / 10_000f64.powf((at - at % 2) as f64 / width as f64);
            if at % 2 == 0 { angle.sin() } else { angle.cos() }
        };
        let _at = x.graph().at();
        x + x.graph().constant(Tensor::build(&ty, angle))
    }
}

/// `x + w[0..L]`: a vector for every position, learned.
///
/// `x` is `[.., L, E]`; a longer one than the table is an error. Begins at `N(0, 0.02²)`.
///
/// **Source** Radford et al. 2018 (GPT).
#[derive(Clone, Debug)]
pub struct LearnedEncoding {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The table, `[length, E]`.
    pub w: Param,
}

impl LearnedEncoding {
    /// A table `w` for sequences up to this length in scope `p`.
    pub fn new(p: &Params, length: usize, width: usize) -> LearnedEncoding {
        let w = p.param("w", [length, width], Init::normal(0.0, 0.02));
        LearnedEncoding { path: p.path().into(), w }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        x + g.param(&self.w).slice(0, 0..x.size(-2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_turn_at_their_own_speed() {
        let g = Graph::eval();
        let y = SinusoidalEncoding.call(g.full(F64, [2, 3, 4], 0.0)).eval(&[]).unwrap().to_f64s();
        let want = [0.0, 1.0, 0.0, 1.0, 1f64.sin(), 1f64.cos(), 0.01f64.sin(), 0.01f64.cos()];
        assert_eq!(y[..8], want);
        assert_eq!(y[..12], y[12..]);
    }

    #[test]
    fn a_sequence_longer_than_the_table_is_an_error() {
        let p = Params::seeded(1);
        let learned = LearnedEncoding::new(&p.scope("pos"), 3, 2);
        let g = Graph::eval();
        let y = learned.call(g.full(F32, [5, 2, 2], 0.0)).eval(&[]).unwrap().to_f64s();
        assert_eq!(y[8..12], learned.w.initial().to_f64s()[..4]);
        assert!(learned.call(g.full(F32, [4, 2], 0.0)).ok().is_err());
    }
}
