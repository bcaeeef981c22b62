//! An autoencoder whose decoder is the transpose of its encoder.

use pleach_ops::prelude::*;

use crate::init;

/// `y = sigmoid(h · wᵀ + c)` with the code `h = sigmoid(x · w + b)`.
///
/// | | shape |
/// |---|---|
/// | `x` | `[.., inputs]`, in 0..1 |
/// | `h` | `[.., code]` |
/// | `y` | as `x` |
///
/// Parameters: `inputs · code + code + inputs`: the weight is used in both directions.
///
/// **Source** Vincent et al., JMLR 11 (2010), §2.2 (tied weights).
#[derive(Clone, Debug)]
pub struct Autoencoder {
    /// Path of the model, for errors and profiles.
    pub path: String,
    /// The weight, `[inputs, code]`.
    pub w: Param,
    /// The bias of the code.
    pub b: Param,
    /// The bias of the output.
    pub c: Param,
}

impl Autoencoder {
    /// Parameters `w`, `b`, `c` in scope `p`. The weight begins at Xavier's uniform.
    pub fn new(p: &Params, inputs: usize, code: usize) -> Autoencoder {
        Autoencoder {
            path: p.path().into(),
            w: p.param("w", [inputs, code], init::xavier_uniform(inputs, code, 1.0)),
            b: p.param("b", [code], Init::zeros()),
            c: p.param("c", [inputs], Init::zeros()),
        }
    }

    /// The code of `x`.
    #[track_caller]
    pub fn encode<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        (x.matmul(g.param(&self.w)) + g.param(&self.b)).sigmoid()
    }

    /// What a code stands for.
    #[track_caller]
    pub fn decode<'g>(&self, h: Var<'g>) -> Var<'g> {
        let g = h.graph();
        let _at = g.at_layer(&self.path);
        (h.matmul(g.param(&self.w).t()) + g.param(&self.c)).sigmoid()
    }

    /// `x` through the code and back.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        self.decode(self.encode(x))
    }
}
