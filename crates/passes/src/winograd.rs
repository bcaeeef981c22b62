//! Convolutions with windows of 3 × 3 by fewer products: Winograd's F(2×2, 3×3).
//!
//! ```text
//! %2 = windows(3 × 3) (pad %0)                %2 = winograd(padding) (permute %0) (reshape %1)
//! %3 = matmul %1 (reshape (permute %2))   =>  %3 = reshape %2
//! ```
//! Forward, the gradient of the image (after [`pull`](crate::Pull)), and the gradient of the weight,
//! `matmul dy (reshape (permute %2))ᵀ`, which becomes `winograd_weight`. Zeros around the image are part
//! of the operators, so the copy that `pad` is goes away.
//!
//! Class: rounding (differences of elements are multiplied; an infinite element makes NaN of its
//! neighbours). Fires where windows are next to each other and the shapes say that it pays: by
//! [`Winograd::gain`], so from about 16 channels on both sides on. Cost: O(nodes). Run after `pull`
//! and [`contract`](crate::Contract), before [`fuse`](crate::Fuse).

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::{Graph, Op, Var, WinogradWeight};

use crate::parts::{Part, regrouped, whole};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Name of the one rule of this pass.
const RULE: &str = "winograd";

/// Turns products with windows of 3 × 3 into `winograd` and `winograd_weight`.
#[derive(Clone, Copy, Debug)]
pub struct Winograd {
    /// Least ratio, in hundredths, of the multiplications of the product to those, and additions, of
    /// what takes its place.
    pub gain: usize,
    /// Least multiplications of the product.
    pub work: usize,
}

impl Default for Winograd {
    /// Shorter products are not worth the roundings.
    fn default() -> Winograd {
        Winograd { gain: 140, work: 1 << 20 }
    }
}

impl Pass for Winograd {
    fn name(&self) -> &'static str {
        RULE
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let live = g.live();
        if !g.ids().any(|id| live[id.index()] && matches!(g.op(id), Op::Windows(_))) {
            return Ok(Outcome::Unchanged);
        }
        let mut fired = 0;
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            if !live[old.index()]
                || !matches!(node.op, Op::MatMul(_))
                || !node.ty.dtype().is_float()
                || !cx.may(RULE, Class::Rounding)
            {
                return Rewrite::Keep;
            }
            let Some(found) = Convolution::of(new, inputs[1]) else { return Rewrite::Keep };
            let start = new.len();
            match found.rewritten(new, inputs[0], self) {
                Ok(y) if y.ty().is_some_and(|ty| ty.dtype() == node.ty.dtype()) => {
                    let y = y.reshape(node.ty.shape().clone());
                    fired += 1;
                    cx.applied(RULE, g, old, Totals::since(new, start) - Totals::of_node(g, old));
                    Rewrite::Replace(y.id())
                }
                Ok(_) => Rewrite::Keep,
                Err(why) => {
                    cx.skip(RULE, g, old, why);
                    Rewrite::Keep
                }
            }
        });
        Ok(if fired == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

const NOT_NEXT: &str = "windows are not 3 × 3, next to each other";
const NO_MATRIX: &str = "channels and windows are not one side of the matrix, places the other";
const NO_GAIN: &str = "the shapes say that it does not pay";

/// Windows along two axes of a value, as the right side of a product.
struct Convolution {
    /// What has windows.
    source: NodeId,
    windows: Vec<pleach_ops::Window>,
    /// Axes of the windows' value that are rows and columns of the matrix.
    sides: Option<[Vec<usize>; 2]>,
}

impl Convolution {
    /// Reads the graph from a matrix back to windows along two axes.
    fn of(g: &Graph, matrix: NodeId) -> Option<Convolution> {
        let (mut views, mut at) = (vec![], matrix);
        while matches!(g.op(at), Op::Permute(_) | Op::Reshape(_)) {
            views.push(at);
            at = g.node(at).inputs[0];
        }
        let Op::Windows(windows) = g.op(at) else { return None };
        let shape = g.ty(at).shape().to_vec();
        let (source, windows) = (g.node(at).inputs[0], windows.windows().to_vec());
        if windows.len() != 2 || shape.contains(&0) {
            return None;
        }
        let follow = |axes: Option<Vec<Vec<Part>>>, view: &NodeId| match g.op(*view) {
            Op::Permute(p) => axes.map(|axes| p.order().iter().map(|&i| axes[i].clone()).collect()),
            _ => regrouped(axes?.concat(), g.ty(*view).shape()),
        };
        let axes = views.iter().rev().fold(Some(whole(&shape)), follow);
        let sides = axes.and_then(|axes| {
            let (batch, sides) = axes.split_at(axes.len().checked_sub(2)?);
            let side = |parts: &Vec<Part>| -> Option<Vec<usize>> {
                parts.iter().map(|p| (p.len == shape[p.axis]).then_some(p.axis)).collect()
            };
            let alone = batch.iter().all(|axis| axis.is_empty());
            alone.then_some([side(&sides[0])?, side(&sides[1])?])
        });
        Some(Convolution { source, windows, sides })
    }

    /// The product of `left` and the matrix.
    fn rewritten<'g>(
        self,
        g: &'g Graph,
        left: NodeId,
        limits: &Winograd,
    ) -> Result<Var<'g>, &'static str> {
        let near = |w: &pleach_ops::Window| (w.size, w.stride, w.dilation) == (3, 1, 1);
        if !self.windows.iter().all(near) {
            return Err(NOT_NEXT);
        }
        let source = Var::new(g, self.source);
        let rank = source.shape().rank();
        let along = [self.windows[0].axis, self.windows[1].axis];
        let [rows, columns] = self.sides.ok_or(NO_MATRIX)?;
        // Channels, then the elements of a window; images, then places.
        let depth = |side: &[usize]| {
            side.strip_suffix(&[rank, rank + 1]).map(<[usize]>::to_vec).filter(|s| apart(s, along))
        };
        let area = |side: &[usize]| {
            side.strip_suffix(&along).map(<[usize]>::to_vec).filter(|s| apart(s, along))
        };
        let (channels, images, turned) = match (depth(&rows), area(&columns)) {
            (Some(channels), Some(images)) => (channels, images, false),
            _ => match (depth(&columns), area(&rows)) {
                (Some(channels), Some(images)) => (channels, images, true),
                _ => return Err(NO_MATRIX),
            },
        };
        let (image, padding) = unpadded(source, along);
        let lens = |axes: &[usize]| axes.iter().map(|&axis| image.shape()[axis]).product::<usize>();
        let mut order = [&channels[..], &images].concat();
        // Axes of one element are in neither.
        order.extend(
            (0..rank).filter(|a| !along.contains(a) && !order.contains(a)).collect::<Vec<_>>(),
        );
        order.extend(along);
        let order: Vec<i64> = order.into_iter().map(|axis| axis as i64).collect();
        let [height, width] = along.map(|axis| image.shape()[axis]);
        let [high, wide] = along.map(|axis| source.shape()[axis] - 2);
        let (c, n) = (lens(&channels), lens(&images));
        let left = Var::new(g, left);
        let outputs = left.shape()[left.shape().rank() - 2];
        if !limits.pays(outputs, c, n, [high, wide]) {
            return Err(NO_GAIN);
        }
        let x = image.permute(&order).reshape([c, n, height, width]);
        Ok(if turned {
            let dy = left.reshape([outputs, n, high, wide]);
            Var::new(g, g.push(WinogradWeight::new(padding).into(), &[x.id(), dy.id()]))
        } else {
            x.winograd(left.reshape([outputs, c, 3, 3]), padding)
        })
    }
}

/// Are these axes none of those with windows, nor elements of windows?
fn apart(axes: &[usize], along: [usize; 2]) -> bool {
    axes.iter().all(|axis| !along.contains(axis))
}

/// The value without the zeros around these axes, and how many there are, if at most 2.
fn unpadded(x: Var<'_>, along: [usize; 2]) -> (Var<'_>, [[usize; 2]; 2]) {
    let g = x.graph();
    if let Op::Pad(pad) = g.op(x.id()) {
        let widths = pad.widths();
        let own = along.map(|axis| [widths[axis].0, widths[axis].1]);
        let others = (0..widths.len()).filter(|axis| !along.contains(axis));
        let none = others.into_iter().all(|axis| widths[axis] == (0, 0));
        let inner = Var::new(g, g.node(x.id()).inputs[0]);
        if pad.value() == 0.0 && none && own.iter().flatten().all(|&zeros| zeros <= 2) {
            return (inner, own);
        }
    }
    (x, [[0; 2]; 2])
}

impl Winograd {
    /// Is the product long enough, and are its multiplications so many more? A transform of a tile
    /// takes about 64 operations, of a weight 40, with a channel or an output in each of 16 lanes.
    fn pays(&self, outputs: usize, channels: usize, images: usize, places: [usize; 2]) -> bool {
        let times = |lens: &[usize]| lens.iter().fold(1u64, |n, &len| n.saturating_mul(len as u64));
        let [rows, columns] = places;
        let direct = times(&[9, outputs, channels, images, rows, columns]);
        let tiles = times(&[images, rows.div_ceil(2), columns.div_ceil(2)]);
        let [wide, deep] = [outputs, channels].map(|n| n.next_multiple_of(16));
        let each = times(&[16, outputs, deep]).saturating_add(times(&[64, wide + deep]));
        let all = tiles.saturating_mul(each).saturating_add(times(&[40, wide, deep]));
        direct >= self.work as u64
            && direct.saturating_mul(100) >= all.saturating_mul(self.gain as u64)
    }
}
