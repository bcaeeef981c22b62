//! LeNet: two convolutions, three linear layers.

use pleach_ops::ConvOptions;
use pleach_ops::prelude::*;

use crate::{Conv, Linear, MaxPool};

/// LeNet-5 with ReLU and max pooling, for square images of one channel and ten classes.
///
/// | | shape |
/// |---|---|
/// | `x` | `[n, 1, side, side]` |
/// | `y` | `[n, 10]`, logits |
///
/// `conv(window, padded by window/2) → relu → pool 2 → conv(window) → relu → pool 2 → 120 → 84 → 10`.
///
/// Parameters: `c₁(k² + 1) + c₂(c₁k² + 1) + 120(c₂s² + 1) + 84 · 121 + 10 · 85`, with windows of
/// length `k`, channels `c₁`, `c₂`, and `s = (side/2 - k + 1)/2`; [`LeNet::classic`] has 61,706.
///
/// **Source** LeCun et al., Proc. IEEE 86 (1998), fig. 2.
#[derive(Clone, Debug)]
pub struct LeNet {
    /// The convolutions.
    pub convs: [Conv; 2],
    /// The linear layers.
    pub linears: [Linear; 3],
}

impl LeNet {
    /// For images of 28×28: windows of 5×5, 6 and 16 channels.
    pub fn classic(p: &Params) -> LeNet {
        LeNet::new(p, 28, 5, [6, 16])
    }

    /// Layers `conv1`, `conv2`, `linear1`, `linear2`, `linear3` in scope `p`.
    pub fn new(p: &Params, side: usize, window: usize, channels: [usize; 2]) -> LeNet {
        let [c1, c2] = channels;
        let last = (side / 2).saturating_sub(window.saturating_sub(1)) / 2;
        let padded = ConvOptions::default().padding(window / 2);
        let conv = |name, inputs, outputs, options| {
            Conv::new(&p.scope(name), inputs, outputs, [window, window], options)
        };
        let linear = |name, inputs, outputs| Linear::new(&p.scope(name), inputs, outputs);
        LeNet {
            convs: [conv("conv1", 1, c1, padded), conv("conv2", c1, c2, ConvOptions::default())],
            linears: [
                linear("linear1", c2 * last * last, 120),
                linear("linear2", 120, 84),
                linear("linear3", 84, 10),
            ],
        }
    }

    /// The logits of the images `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let half = MaxPool::new([2, 2]);
        let y = half.call(self.convs[0].call(x).relu());
        let y = half.call(self.convs[1].call(y).relu());
        let [first, second, third] = &self.linears;
        third.call(second.call(first.call(y.flatten(1)).relu()).relu())
    }
}
