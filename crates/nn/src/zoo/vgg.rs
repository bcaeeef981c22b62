//! A net in the manner of VGG: pairs of small convolutions, each pair at half the side.

use pleach_ops::ConvOptions;
use pleach_ops::prelude::*;

use crate::{Conv, Linear, MaxPool};

/// Blocks of two 3×3 convolutions with ReLU and a halving max pooling, then one linear layer.
///
/// | | shape |
/// |---|---|
/// | `x` | `[n, inputs, side, side]` |
/// | `y` | `[n, classes]`, logits |
///
/// Parameters: for a block from `c` to `d` channels `9cd + d + 9d² + d`; and
/// `(d · (side / 2ᵇ)² + 1) · classes` after `b` blocks. For images of 3×32×32, blocks of 32, 64, 128
/// and 10 classes: 307,498.
///
/// **Source** Simonyan and Zisserman, ICLR 2015, table 1.
#[derive(Clone, Debug)]
pub struct Vgg {
    /// The convolutions, block by block.
    pub blocks: Vec<[Conv; 2]>,
    /// The classifier.
    pub output: Linear,
}

impl Vgg {
    /// A block `0`, `1`, … for each number of `channels`, and the layer `output`, in scope `p`.
    pub fn new(p: &Params, inputs: usize, side: usize, channels: &[usize], classes: usize) -> Vgg {
        let same = ConvOptions::default().padding(1);
        let (mut blocks, mut c, mut side) = (Vec::new(), inputs, side);
        for (i, &d) in channels.iter().enumerate() {
            let p = p.scope(&i.to_string());
            let conv = |name, from| Conv::new(&p.scope(name), from, d, [3, 3], same.clone());
            blocks.push([conv("a", c), conv("b", d)]);
            (c, side) = (d, side / 2);
        }
        Vgg { blocks, output: Linear::new(&p.scope("output"), c * side * side, classes) }
    }

    /// The logits of the images `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let half = MaxPool::new([2, 2]);
        let block = |x, [a, b]: &[Conv; 2]| half.call(b.call(a.call(x).relu()).relu());
        self.output.call(self.blocks.iter().fold(x, block).flatten(1))
    }
}
