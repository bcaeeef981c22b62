//! Dropout as a layer.

use pleach_ops::prelude::*;

/// Zeroes each element with probability `p` in graphs for training and divides the others by
/// `1 - p`; in graphs for inference the value itself. See [`Var::dropout`].
///
/// Has no parameters. Every call draws its own mask, and every run another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability, in `[0, 1]`; anything else is an error of the graph that calls it.
    pub p: f64,
}

impl Dropout {
    /// With probability `p` of zero.
    pub fn new(p: f64) -> Dropout {
        Dropout { p }
    }

    /// The layer's value at `x`, any shape, floats.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.dropout(self.p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::{RUNS, SEED, Sources};

    /// Values of `y` at the `run`-th run under this seed.
    fn at_run(y: Var<'_>, seed: i64, run: i64) -> Vec<f64> {
        let sources = Sources {
            input: &|_| None,
            variable: &|v| match v.name() {
                SEED => Some(Tensor::scalar(seed)),
                RUNS => Some(Tensor::scalar(run)),
                _ => Some(v.initial()),
            },
        };
        y.eval_with(sources).unwrap().to_f64s()
    }

    #[test]
    fn inference_is_the_value_itself() {
        let g = Graph::eval();
        let x = g.input("x", F32, [4]);
        assert_eq!(Dropout::new(0.5).call(x).id(), x.id());
        assert_eq!(g.len(), 1);
    }

    #[test]
    fn masks_differ_by_call_by_run_and_by_seed_and_by_nothing_else() {
        let drop = Dropout::new(0.25);
        let masks = || {
            let g = Graph::train();
            let x = g.full(F64, [2000], 3.0);
            let (a, b) = (drop.call(x), drop.call(x));
            [at_run(a, 1, 0), at_run(b, 1, 0), at_run(a, 1, 1), at_run(a, 2, 0)]
        };
        let all = masks();
        assert_eq!(all, masks());
        for (i, mask) in all.iter().enumerate() {
            assert!(mask.iter().all(|&v| v == 0.0 || v == 4.0));
            let zeros = mask.iter().filter(|&&v| v == 0.0).count();
            assert!((430..570).contains(&zeros), "{zeros}"); // 500 ± 3.6 deviations
            assert!(all[..i].iter().all(|other| other != mask));
        }
    }

    #[test]
    fn the_gradient_passes_where_the_value_does() {
        let g = Graph::train();
        let x = g.full(F64, [100], 1.0) * g.input("one", F64, []);
        let y = Dropout::new(0.5).call(x);
        let one = Tensor::scalar(1.0);
        let dx = g.grad(y.sum_all(), &[x])[0].eval(&[&one]).unwrap();
        assert_eq!(dx.to_f64s(), y.eval(&[&one]).unwrap().to_f64s());
    }
}
