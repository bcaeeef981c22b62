//! Pulls windows instead of adding them up: the gradient of a convolution becomes a convolution.
//!
//! ```text
//! %2 = matmul wᵀ dy                        %2 = windows (pad dy)
//! %3 = windows_add (permute (reshape %2))  =>  %3 = matmul (flip w)ᵀ %2
//! ```
//! A product whose every element is a term of one of many overlapping windows writes a value as
//! large as all windows, and then adds it up. Every sum can as well be one longer sum of products:
//! with the windows of a value that has zeros around it, and the elements of a window in the other
//! order. A slice that takes the sums at the border away is part of it, so a convolution that keeps
//! its lengths has a gradient of equal work. The bytes saved are those of all windows, twice.
//!
//! Class: rounding (sums in another order; an infinite or NaN weight times a zero at the border is
//! NaN). Fires where windows are next to each other (stride 1), and all sums together have not many
//! terms more. Cost: O(nodes). Run before [`fuse`](crate::Fuse), after views were simplified.

use std::collections::HashSet;

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::shape::slice::Range;
use pleach_ops::{Flip, Graph, Op, Slice, Var, Window, WindowsAdd};

use crate::parts::{Part, regrouped, whole};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Totals};

/// Turns `windows_add` of a product into a product with windows.
#[derive(Clone, Copy, Debug)]
pub struct Pull {
    /// Most zeros more, per element of a result of the product, that the longer sums may take.
    pub zeros: usize,
}

impl Default for Pull {
    /// A zero costs a multiply-add; an element of the product costs that it is written and read.
    fn default() -> Pull {
        Pull { zeros: 64 }
    }
}

impl Pass for Pull {
    fn name(&self) -> &'static str {
        "pull"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let live = g.live();
        if !g.ids().any(|id| live[id.index()] && matches!(g.op(id), Op::WindowsAdd(_))) {
            return Ok(Outcome::Unchanged);
        }
        let cut = only_sliced(g, &live);
        let mut pulled = 0;
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let (add, ranges) = match &node.op {
                _ if !live[old.index()] || !cx.may("pull", Class::Rounding) => {
                    return Rewrite::Keep;
                }
                Op::WindowsAdd(_) if cut.contains(&old) => return Rewrite::Keep,
                Op::WindowsAdd(add) => (add.clone(), None),
                Op::Slice(slice) if cut.contains(&node.inputs[0]) => match new.op(inputs[0]) {
                    Op::WindowsAdd(add) => (add, Some(slice.ranges().to_vec())),
                    _ => return Rewrite::Keep,
                },
                _ => return Rewrite::Keep,
            };
            let start = new.len();
            let source = match ranges {
                Some(_) => new.node(inputs[0]).inputs[0],
                None => inputs[0],
            };
            match Sums::of(new, source, &add, ranges).and_then(|sums| sums.pulled(new, self.zeros))
            {
                Ok(id) if new.ty(id) == node.ty => {
                    pulled += 1;
                    cx.applied("pull", g, old, Totals::since(new, start) - Totals::of_node(g, old));
                    Rewrite::Replace(id)
                }
                Ok(_) => Rewrite::Keep,
                Err(why) => {
                    cx.skip("pull", g, old, why);
                    Rewrite::Keep
                }
            }
        });
        Ok(if pulled == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

/// Sums of windows that nothing but slices of them, along their axes and without steps, reads.
fn only_sliced(g: &Graph, live: &[bool]) -> HashSet<NodeId> {
    let (mut cut, mut whole) = (HashSet::new(), HashSet::new());
    for id in g.ids().filter(|id| live[id.index()]) {
        let node = g.node(id);
        for &x in &node.inputs {
            let Op::WindowsAdd(add) = g.op(x) else { continue };
            let along = |axis: usize| add.windows().iter().any(|(w, _)| w.axis == axis);
            let fits = |(axis, r): (usize, &Range)| {
                let all = r.start == 0 && r.stop == g.ty(x).shape()[axis];
                r.step == 1 && r.start < r.stop && (all || along(axis))
            };
            match &node.op {
                Op::Slice(s) if s.ranges().iter().enumerate().all(fits) => cut.insert(x),
                _ => whole.insert(x),
            };
        }
    }
    g.roots().iter().for_each(|root| _ = whole.insert(root.value));
    &cut - &whole
}

/// A value whose axes are parts of the axes of a product, to be added up by windows.
struct Sums {
    /// Factors of the product.
    factors: [NodeId; 2],
    /// Axes of the batch, and in front of it, rows, columns.
    batch: usize,
    /// The parts of every axis of the value.
    axes: Vec<Vec<Part>>,
    windows: Vec<Window>,
    /// Of the axis of every window: the sums that are asked for.
    ranges: Vec<Range>,
    /// Terms of an element of the product.
    terms: usize,
}

const NO_PRODUCT: &str = "it is no product with its axes in another order";
const NOT_NEXT: &str = "windows are not next to each other";
const NOT_APART: &str = "places and elements of windows are not rows and columns of the product";
const MORE_ZEROS: &str = "sums at the border have too many zeros";

impl Sums {
    /// Reads the graph from the sums back to the product.
    fn of(
        g: &Graph,
        source: NodeId,
        add: &WindowsAdd,
        ranges: Option<Vec<Range>>,
    ) -> Result<Sums, &'static str> {
        let (mut views, mut at) = (vec![], source);
        while matches!(g.op(at), Op::Permute(_) | Op::Reshape(_)) {
            views.push(at);
            at = g.node(at).inputs[0];
        }
        let (product, shape) = (g.node(at), g.ty(at).shape().to_vec());
        if !matches!(product.op, Op::MatMul(_)) || shape.len() < 2 || shape.contains(&0) {
            return Err(NO_PRODUCT);
        }
        let mut axes = whole(&shape);
        for &view in views.iter().rev() {
            axes = match g.op(view) {
                Op::Permute(p) => p.order().iter().map(|&i| axes[i].clone()).collect(),
                _ => regrouped(axes.concat(), g.ty(view).shape()).ok_or(NO_PRODUCT)?,
            };
        }
        let whole = |&(_, stop): &(Window, usize)| Range { start: 0, stop, step: 1 };
        let along = |(w, _): &(Window, usize)| ranges.as_ref().map(|all| all[w.axis]);
        let ranges = add.windows().iter().map(|w| along(w).unwrap_or(whole(w))).collect();
        let windows = add.windows().iter().map(|&(w, _)| w).collect();
        let factors = [product.inputs[0], product.inputs[1]];
        let terms = g.ty(factors[0]).shape().last().copied().unwrap_or(1);
        let batch = shape.len() - 2;
        if g.ty(factors[0]).rank() != shape.len() || g.ty(factors[1]).rank() != shape.len() {
            return Err(NO_PRODUCT);
        }
        Ok(Sums { factors, batch, axes, windows, ranges, terms })
    }

    /// The sums as one product.
    fn pulled(mut self, g: &Graph, zeros: usize) -> Result<NodeId, &'static str> {
        let rank = self.axes.len() - self.windows.len();
        if self.windows.iter().any(|w| w.stride != 1) {
            return Err(NOT_NEXT);
        }
        let only = |parts: &[Part]| match parts {
            [part] => Ok(*part),
            _ => Err(NOT_APART),
        };
        let elements: Vec<Part> =
            self.axes[rank..].iter().map(|axis| only(axis)).collect::<Result<_, _>>()?;
        let places: Vec<Part> =
            self.windows.iter().map(|w| only(&self.axes[w.axis])).collect::<Result<_, _>>()?;
        let mut factors = self.factors.map(|id| Var::new(g, id));
        let (rows, columns) = (self.batch, self.batch + 1);
        let all_on = |parts: &[Part], axis| parts.iter().all(|part| part.axis == axis);
        let (down, across) = if all_on(&elements, rows) && all_on(&places, columns) {
            (rows, columns)
        } else if all_on(&elements, columns) && all_on(&places, rows) {
            factors = [factors[1].t(), factors[0].t()];
            (columns, rows)
        } else {
            return Err(NOT_APART);
        };
        self.axes.truncate(rank);
        let kept: Vec<Part> = self.on(down);
        let mut all_rows: Vec<Part> = [&kept[..], &elements].concat();
        all_rows.sort_by_key(|part| std::cmp::Reverse(part.stride));
        let all_columns = self.on(across);
        let before: usize = places.iter().map(|part| part.len).product();
        let after: usize = self.ranges.iter().map(|r| r.count()).product();
        let more = after.saturating_sub(before).saturating_mul(self.terms);
        if more > before.saturating_mul(zeros) {
            return Err(MORE_ZEROS);
        }

        // Elements in the order of the columns that their places are.
        let place_of = |w: usize| all_columns.iter().position(|part| *part == places[w]);
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&w| place_of(w));
        let batch: Vec<usize> = g.ty(factors[0].id()).shape()[..self.batch].to_vec();
        let lens = |parts: &[Part]| parts.iter().map(|part| part.len).collect::<Vec<usize>>();
        let product = |lens: &[usize]| lens.iter().product::<usize>();
        let lead = self.batch;

        // Rows: [.., rows, terms] -> [.., rows without elements, terms, elements from the last].
        let a = factors[0].reshape([&batch[..], &lens(&all_rows), &[self.terms]].concat());
        let axis_of = |part: &Part| lead + all_rows.iter().position(|p| p == part).unwrap_or(0);
        let flipped: Vec<usize> = elements.iter().map(axis_of).collect();
        let a = Var::new(g, g.push(Flip::new(&sorted(flipped)).into(), &[a.id()]));
        let mut axes: Vec<usize> = (0..lead).collect();
        axes.extend(kept.iter().map(axis_of));
        axes.push(lead + all_rows.len());
        axes.extend(order.iter().map(|&w| axis_of(&elements[w])));
        let depth = self.terms * product(&lens(&elements));
        let a = a.permute(&signed(&axes));
        let a = a.reshape([&batch[..], &[product(&lens(&kept)), depth]].concat());

        // Columns: [.., terms, columns] -> [.., terms, elements, columns with zeros around].
        let mut b = factors[1].reshape([&batch[..], &[self.terms], &lens(&all_columns)].concat());
        let mut zeros_around = vec![(0, 0); lead + 1 + all_columns.len()];
        let mut ranges: Vec<Range> =
            b.shape().iter().map(|&stop| Range { start: 0, stop, step: 1 }).collect();
        let mut windows = vec![];
        let mut lengths = lens(&all_columns);
        for &w in &order {
            let (window, range) = (self.windows[w], self.ranges[w]);
            let column = place_of(w).ok_or(NOT_APART)?;
            let (axis, reach) = (lead + 1 + column, window.dilation * (window.size - 1));
            let len = places[w].len;
            zeros_around[axis] =
                (reach.saturating_sub(range.start), range.stop.saturating_sub(len));
            ranges[axis].start = range.start.saturating_sub(reach);
            ranges[axis].stop = range.stop.min(len);
            windows.push(Window { axis, ..window });
            lengths[column] = range.count();
        }
        b = Var::new(g, g.push(Slice::new(&ranges).into(), &[b.id()]));
        b = b.pad(&zeros_around).windows(&windows);
        let first = lead + 1 + all_columns.len();
        let mut axes: Vec<usize> = (0..=lead).collect();
        axes.extend(first..first + windows.len());
        axes.extend(lead + 1..first);
        let b = b.permute(&signed(&axes));
        let b = b.reshape([&batch[..], &[depth, product(&lengths)]].concat());

        // [.., rows, columns] -> the axes of the sums.
        let batch_parts: Vec<Part> = (0..lead).flat_map(|axis| self.on(axis)).collect();
        let parts = [&batch_parts[..], &kept, &all_columns].concat();
        let shape = [lens(&batch_parts), lens(&kept), lengths].concat();
        let y = a.matmul(b).reshape(shape);
        let axes: Vec<usize> =
            self.axes.concat().iter().filter_map(|p| parts.iter().position(|q| q == p)).collect();
        let mut shape: Vec<usize> = self.axes.iter().map(|axis| product(&lens(axis))).collect();
        for (window, range) in self.windows.iter().zip(&self.ranges) {
            shape[window.axis] = range.count();
        }
        let y = y.permute(&signed(&axes)).reshape(shape);
        if y.ty().is_none() { Err(NO_PRODUCT) } else { Ok(y.id()) }
    }

    /// The parts of an axis of the product that are axes of the value, in their order in the product.
    fn on(&self, axis: usize) -> Vec<Part> {
        let mut parts: Vec<Part> =
            self.axes.concat().into_iter().filter(|part| part.axis == axis).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.stride));
        parts
    }
}

fn sorted(mut axes: Vec<usize>) -> Vec<usize> {
    axes.sort_unstable();
    axes
}

fn signed(axes: &[usize]) -> Vec<i64> {
    axes.iter().map(|&axis| axis as i64).collect()
}
