//! A linear map.

use pleach_ops::prelude::*;

use crate::init;

/// `y = x · w + b`.
///
/// | | shape |
/// |---|---|
/// | `x` | `[.., inputs]` |
/// | `w` | `[inputs, outputs]` |
/// | `b` | `[outputs]` |
/// | `y` | `[.., outputs]` |
///
/// Weights lie as they are multiplied, `[inputs, outputs]`: neither the forward pass nor the
/// gradient of the weight then needs a transpose. (PyTorch keeps `[outputs, inputs]`.)
///
/// Begins as PyTorch's `nn.Linear`: weight and bias uniform in `±1/√inputs`.
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
        let b = p.param("b", [outputs], init::he_uniform(inputs, 3f64.sqrt().recip()));
        Linear { b: Some(b), ..layer }
    }

    /// A layer without a bias.
    pub fn without_bias(p: &Params, inputs: usize, outputs: usize) -> Linear {
        let w = p.param("w", [inputs, outputs], init::he_uniform(inputs, 3f64.sqrt().recip()));
        Linear { path: p.path().into(), w, b: None }
    }

    /// The layer's value at `x`.
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
    fn calling_twice_shares_the_parameters_and_adds_their_gradients() {
        let p = Params::seeded(3);
        let layer = Linear::new(&p.scope("shared"), 2, 2);
        let g = Graph::train();
        let x = g.input("x", F64, [4, 2]).cast(F32);
        let y = layer.call(layer.call(x)).sum_all();
        assert_eq!(g.variables().len(), 2);
        let w = g.param(&layer.w);
        // The gradient by one shared weight is the sum of those by two weights of equal value.
        let twin = Graph::train();
        let tx = twin.input("x", F64, [4, 2]).cast(F32);
        let (w1, w2) = (twin.input("w1", F32, [2, 2]), twin.input("w2", F32, [2, 2]));
        let b = twin.param(layer.b.as_ref().unwrap());
        let ty = ((tx.matmul(w1) + b).matmul(w2) + b).sum_all();
        let both = twin.grad(ty, &[w1, w2]);
        let at = Tensor::uniform(&Type::new(F64, [4, 2]).unwrap(), Key(1), -1.0, 1.0);
        let value = layer.w.initial();
        let shared = g.grad(y, &[w])[0].eval(&[&at]).unwrap().to_f64s();
        let sum = (both[0] + both[1]).eval(&[&at, &value, &value]).unwrap().to_f64s();
        for (a, b) in shared.iter().zip(sum) {
            assert!((a - b).abs() < 1e-5);
        }
    }

    #[test]
    fn an_error_names_the_layer_and_the_users_line() {
        let p = Params::seeded(3);
        let layer = Linear::new(&p.scope("encoder").scope("out"), 8, 2);
        let g = Graph::eval();
        let y = layer.call(g.input("x", F32, [5, 3]));
        let line = line!() - 1;
        let error = y.ok().unwrap_err().to_string();
        let want = format!(
            "encoder.out: matmul(f32[5, 3], f32[8, 2]): inner sizes differ, 3 and 8 \
             (built at {}:{line}:23)",
            file!()
        );
        assert_eq!(error, want);
    }

    #[test]
    fn one_seed_gives_one_model() {
        let weight =
            |seed, name: &str| Linear::new(&Params::seeded(seed).scope(name), 4, 4).w.initial();
        assert_eq!(weight(1, "a"), weight(1, "a"));
        assert_ne!(weight(1, "a"), weight(2, "a"));
        assert_ne!(weight(1, "a"), weight(1, "b"));
        let bound = 0.5 + 1e-6;
        assert!(weight(1, "a").to_f64s().iter().all(|w| w.abs() <= bound));
    }
}
