//! A linear map.

use pleach_ops::prelude::*;

use crate::init;

/// `y = x · w + b`.
///
/// | | shape | dtype |
/// |---|---|---|
/// | `x` | `[.., inputs]`, at least one axis | as `w` |
/// | `w` | `[inputs, outputs]` | that of the [`Params`] |
/// | `b` | `[outputs]` | as `w` |
/// | `y` | `[.., outputs]` | as `w` |
///
/// Weights lie as they are multiplied, `[inputs, outputs]`: the forward product reads both
/// operands in the order they lie in, as `x · w` says. (PyTorch keeps `[outputs, inputs]` and
/// multiplies by the transpose: weights from there are transposed once, when they are read.)
///
/// Begins as PyTorch's `nn.Linear`: weight and bias uniform in `±1/√inputs`. For another start,
/// make `w` yourself: the fields are public.
///
/// ```
/// use pleach_nn::{Linear, init};
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1).scope("out");
/// let w = p.param("w", [784, 10], init::he_normal(784, init::RELU_GAIN));
/// let layer = Linear { path: p.path().into(), w, b: None };
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The weight, `[inputs, outputs]`.
    pub w: Param,
    /// The bias, `[outputs]`.
    pub b: Option<Param>,
}

impl Linear {
    /// A layer with weight `w` and bias `b` in scope `p`.
    pub fn new(p: &Params, inputs: usize, outputs: usize) -> Linear {
        let layer = Linear::without_bias(p, inputs, outputs);
        let b = p.param("b", [outputs], init::default_uniform(inputs));
        Linear { b: Some(b), ..layer }
    }

    /// A layer with weight `w` alone in scope `p`.
    pub fn without_bias(p: &Params, inputs: usize, outputs: usize) -> Linear {
        let w = p.param("w", [inputs, outputs], init::default_uniform(inputs));
        Linear { path: p.path().into(), w, b: None }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let y = x.matmul(g.param(&self.w));
        match &self.b {
            Some(b) => y + g.param(b),
            None => y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_leading_axes() {
        let p = Params::seeded(3).dtype(F64);
        let layer = Linear::new(&p.scope("a"), 3, 2);
        let plain = Linear::without_bias(&p.scope("b"), 3, 2);
        let g = Graph::eval();
        for (i, lead) in [vec![], vec![5], vec![4, 5], vec![2, 1, 5]].into_iter().enumerate() {
            let shape = |last| lead.iter().copied().chain([last]).collect::<Shape>();
            let x = g.input(&format!("x{i}"), F64, shape(3));
            assert_eq!(layer.call(x).shape(), shape(2));
            assert_eq!(plain.call(x).shape(), shape(2));
        }
        g.check().unwrap();
        assert!(layer.call(g.input("scalar", F64, [])).ok().is_err());
    }

    #[test]
    fn the_value_is_the_product_plus_the_bias() {
        let p = Params::seeded(3).dtype(F64);
        let w = p.param("w", [2, 2], Tensor::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
        let b = p.param("b", [2], Tensor::new([2], vec![10.0, 20.0]).unwrap());
        let layer = Linear { path: String::new(), w, b: Some(b) };
        let g = Graph::eval();
        let y = layer.call(g.input("x", F64, [2]));
        let at = Tensor::new([2], vec![1.0, -1.0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [8.0, 18.0]);
    }

    #[test]
    fn one_seed_gives_one_model() {
        let weight =
            |seed, name: &str| Linear::new(&Params::seeded(seed).scope(name), 4, 4).w.initial();
        assert_eq!(weight(1, "a"), weight(1, "a"));
        assert_ne!(weight(1, "a"), weight(2, "a"));
        assert_ne!(weight(1, "a"), weight(1, "b"));
        let layer = Linear::new(&Params::seeded(1), 64, 128);
        for x in [layer.w.initial(), layer.b.unwrap().initial()] {
            let largest = x.to_f64s().iter().fold(0f64, |m, v| m.max(v.abs()));
            assert!((0.11..=0.125).contains(&largest), "{largest}");
        }
    }
}
