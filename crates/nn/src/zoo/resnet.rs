//! Residual blocks, and a small net of them.

use pleach_ops::ConvOptions;
use pleach_ops::prelude::*;

use crate::{AdaptiveAvgPool, BatchNorm, Conv, Linear};

/// `y = relu(x′ + bn(conv(relu(bn(conv(x))))))`, where `x′` is `x`, or a 1×1 convolution of it with
/// a normalization if the block changes its size.
///
/// | | shape |
/// |---|---|
/// | `x` | `[n, inputs, h, w]` |
/// | `y` | `[n, outputs, h / stride, w / stride]` |
///
/// Parameters: `9 · inputs · outputs + 9 · outputs² + 4 · outputs`, and
/// `inputs · outputs + 2 · outputs` for `x′`.
///
/// **Source** He et al., CVPR 2016, fig. 2 and § 4.2.
#[derive(Clone, Debug)]
pub struct ResBlock {
    /// The convolutions.
    pub convs: [Conv; 2],
    /// The normalizations after them.
    pub norms: [BatchNorm; 2],
    /// What makes `x′`, if it is not `x`.
    pub short: Option<(Conv, BatchNorm)>,
}

impl ResBlock {
    /// A block in scope `p`.
    pub fn new(p: &Params, inputs: usize, outputs: usize, stride: usize) -> ResBlock {
        let walk = ConvOptions::default().padding(1);
        let conv = |name, from, size, options| {
            Conv::without_bias(&p.scope(name), from, outputs, size, options)
        };
        let norm = |name| BatchNorm::new(&p.scope(name), outputs);
        let convs = [
            conv("conv1", inputs, [3, 3], walk.clone().stride(stride)),
            conv("conv2", outputs, [3, 3], walk),
        ];
        let norms = [norm("norm1"), norm("norm2")];
        let changes = stride != 1 || inputs != outputs;
        let short = changes.then(|| {
            let options = ConvOptions::default().stride(stride);
            (conv("short", inputs, [1, 1], options), norm("short_norm"))
        });
        ResBlock { convs, norms, short }
    }

    /// The block's value at `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let y = self.norms[0].call(self.convs[0].call(x)).relu();
        let y = self.norms[1].call(self.convs[1].call(y));
        let short = match &self.short {
            Some((conv, norm)) => norm.call(conv.call(x)),
            None => x,
        };
        (y + short).relu()
    }
}

/// A convolution, residual blocks that double the channels and halve the side, the mean over each
/// channel, a linear layer.
///
/// | | shape |
/// |---|---|
/// | `x` | `[n, inputs, side, side]` |
/// | `y` | `[n, classes]`, logits |
///
/// Parameters: `9 · inputs · c + 2c`, those of the blocks, and `(d + 1) · classes` with `d` the last
/// number of channels; of `ResNet::new(p, 3, &[16, 32, 64], 10)` 78,042.
#[derive(Clone, Debug)]
pub struct ResNet {
    /// The first convolution and its normalization.
    pub stem: (Conv, BatchNorm),
    /// The blocks.
    pub blocks: Vec<ResBlock>,
    /// The classifier.
    pub output: Linear,
}

impl ResNet {
    /// One block for each number of `channels`, the first of stride 1, the others of stride 2.
    pub fn new(p: &Params, inputs: usize, channels: &[usize], classes: usize) -> ResNet {
        let first = channels.first().copied().unwrap_or(inputs);
        let same = ConvOptions::default().padding(1);
        let stem = Conv::without_bias(&p.scope("stem"), inputs, first, [3, 3], same);
        let (mut blocks, mut c) = (Vec::new(), first);
        for (i, &d) in channels.iter().enumerate() {
            blocks.push(ResBlock::new(&p.scope(&i.to_string()), c, d, 1 + usize::from(i > 0)));
            c = d;
        }
        ResNet {
            stem: (stem, BatchNorm::new(&p.scope("stem_norm"), first)),
            blocks,
            output: Linear::new(&p.scope("output"), c, classes),
        }
    }

    /// The logits of the images `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let (conv, norm) = &self.stem;
        let y = norm.call(conv.call(x)).relu();
        let y = self.blocks.iter().fold(y, |y, block| block.call(y));
        self.output.call(AdaptiveAvgPool::new([1, 1]).call(y).flatten(1))
    }
}
