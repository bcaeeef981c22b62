//! In which order the axes of a value lie in memory.
//!
//! Memory of a value lies row-major, but for what is computed element by element, or window by
//! window, of values that lie otherwise: it lies as they do. So what begins with images side by side,
//! as convolutions with few channels make them, goes on like that, in whole vectors, until something
//! needs another shape. A region lies as its operators would one by one: what is fused changes no order.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{Axes, Kernel, ReduceOp, Slice, View, Window};
use pleach_ops::Op;
use pleach_tensor::Type;

use crate::lower::Lowered;

/// Least length of the innermost axis in memory: a vector of the widest kind.
const LEAST: usize = 16;

/// The axes from the outermost in memory to the innermost, where that is another than the last one, and
/// elements follow one another along it.
fn order(slice: &Slice) -> Option<Axes> {
    let long = |&i: &usize| slice.dims[i] != 1;
    let last = (0..slice.dims.len()).rev().find(long)?;
    let mut order: Axes = (0..slice.dims.len()).collect();
    order
        .sort_by_key(|&i| std::cmp::Reverse((slice.strides[i].unsigned_abs(), slice.dims[i] == 1)));
    let inner = *order.iter().rev().find(|i| long(i))?;
    let good = inner != last && slice.strides[inner] == 1 && slice.dims[inner] >= LEAST;
    (good && slice.is_injective()).then_some(order)
}

/// How a value lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    /// Elements are repeated, as of a splat.
    Repeated,
    /// Row-major, or nearly.
    Rows,
    /// With its axes in another order.
    Turned(Axes),
}

impl Lies {
    pub(crate) fn of(slice: &Slice) -> Lies {
        match order(slice) {
            _ if !slice.is_injective() => Lies::Repeated,
            Some(order) => Lies::Turned(order),
            None => Lies::Rows,
        }
    }

    /// How the result of an elementwise operator lies: as all of its operands do that are not repeated.
    pub(crate) fn together(operands: impl Iterator<Item = Lies>) -> Lies {
        let mut whole = operands.filter(|lies| *lies != Lies::Repeated);
        match whole.next() {
            Some(first) if whole.all(|other| other == first) => first,
            _ => Lies::Rows,
        }
    }
}

/// The slice with its axes in this order.
fn permuted(slice: &Slice, order: &[usize]) -> Option<Slice> {
    let dims: Axes = order.iter().map(|&i| slice.dims[i]).collect();
    slice.view(&View::Permute(Axes::from_slice(order)), &dims)
}

impl Lowered {
    /// New memory whose axes lie in this order.
    fn in_order(&mut self, ty: &Type, order: &[usize]) -> Slice {
        let packed = self.fresh(ty);
        let dims: Axes = order.iter().map(|&i| ty.shape()[i]).collect();
        let mut inverse = Axes::from_elem(0, order.len());
        order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        let lying = packed.view(&View::Reshape, &dims);
        lying.and_then(|lying| permuted(&lying, &inverse)).unwrap_or(packed)
    }

    /// New memory for a value that lies so.
    pub(crate) fn memory(&mut self, ty: &Type, lies: &Lies) -> Slice {
        match lies {
            Lies::Turned(order) => self.in_order(ty, order),
            _ => self.fresh(ty),
        }
    }

    /// New memory for a value of windows of `x`, or over such windows: it lies as `x` does if the axes
    /// with windows can be joined.
    pub(crate) fn pooled(&mut self, ty: &Type, x: &Slice, windows: &[Vec<Window>]) -> Slice {
        let lead = x.dims.len() - windows.len();
        let joined = |order: &Axes| {
            let along = order.iter().position(|&i| i == lead).unwrap_or(0);
            order[along..].iter().zip(lead..x.dims.len()).all(|(&i, axis)| i == axis)
        };
        match order(x).filter(joined) {
            Some(order) => self.in_order(ty, &order),
            None => self.fresh(ty),
        }
    }

    /// The same elements, lying as those of `other` do.
    pub(crate) fn as_lies(&mut self, id: NodeId, from: Slice, other: &Slice) -> Slice {
        let Some(wanted) = order(other).filter(|wanted| order(&from).as_ref() != Some(wanted))
        else {
            return from;
        };
        let Ok(ty) = Type::new(from.dtype, from.dims.to_vec()) else { return from };
        let to = self.in_order(&ty, &wanted);
        self.copy(id, from, to.clone());
        to
    }

    /// A reduction. What stays lies as it did, where the innermost axis stays; if that goes, elements
    /// are joined in the order in which they lie.
    pub(crate) fn reduce(
        &mut self,
        id: NodeId,
        op: ReduceOp,
        gone: &Axes,
        node: &Node<Op>,
    ) -> Slice {
        let x = self.value(node.inputs[0]);
        let x = self.widened(id, x);
        let dtype = node.ty.dtype();
        let ty = node.ty.with_dtype(dtype.compute());
        let Some(order) = order(&x) else {
            let y = self.fresh(&ty);
            self.emit(id, Kernel::Reduce { op, axes: gone.clone(), input: x, output: y.clone() });
            return self.narrowed(id, y, dtype);
        };
        let innermost_goes = |axes: &Axes| {
            axes.iter().rev().find(|&&i| x.dims[i] != 1).is_some_and(|i| gone.contains(i))
        };
        let logical: Axes = (0..x.dims.len()).collect();
        let goes = innermost_goes(&logical);
        let same = innermost_goes(&order) == goes;
        let pick = |of: &Axes, which: bool| -> Axes {
            of.iter().copied().filter(|i| gone.contains(i) == which).collect()
        };
        let turned =
            |which: bool| pick(if same && which == goes { &order } else { &logical }, which);
        let (kept, summed) = (turned(false), turned(true));
        let (first, second) = if goes { (&kept, &summed) } else { (&summed, &kept) };
        let order: Axes = first.iter().chain(second).copied().collect();
        let axes: Axes =
            order.iter().enumerate().filter(|(_, i)| gone.contains(i)).map(|(at, _)| at).collect();
        let place = |i: &usize| pick(&logical, false).iter().position(|j| j == i).unwrap_or(0);
        let of_result: Axes = kept.iter().map(place).collect();
        let y = self.in_order(&ty, &of_result);
        let turned = permuted(&x, &order).zip(permuted(&y, &of_result));
        let (input, axes, output) = match turned {
            Some((input, output)) => (input, axes, output),
            None => (x, gone.clone(), y.clone()),
        };
        self.emit(id, Kernel::Reduce { op, axes, input, output });
        self.narrowed(id, y, dtype)
    }
}
