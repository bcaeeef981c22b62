//! A multilayer perceptron.

use pleach_ops::prelude::*;

use crate::Linear;

/// Linear layers with ReLU between them, none after the last: a classifier of rows of numbers.
///
/// | | shape |
/// |---|---|
/// | `x` | `[.., sizes[0]]` |
/// | `y` | `[.., sizes[last]]`, logits |
///
/// Parameters: `Σ (sizes[i] + 1) · sizes[i + 1]`; of `[64, 128, 10]`, for digits of 8×8, 9610.
#[derive(Clone, Debug)]
pub struct Mlp {
    /// From the input to the output.
    pub layers: Vec<Linear>,
}

impl Mlp {
    /// Layers `0`, `1`, … in scope `p`, from each size to the next.
    pub fn new(p: &Params, sizes: &[usize]) -> Mlp {
        let layer =
            |(i, pair): (usize, &[usize])| Linear::new(&p.scope(&i.to_string()), pair[0], pair[1]);
        Mlp { layers: sizes.windows(2).enumerate().map(layer).collect() }
    }

    /// The logits at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let mut y = x;
        for (i, layer) in self.layers.iter().enumerate() {
            y = layer.call(if i == 0 { y } else { y.relu() });
        }
        y
    }
}
