//! Lowering of matrix products, whose operands may be reshapes that were never laid out.
//!
//! A convolution is a product with the windows of an image, seen as a matrix. Its rows and columns
//! run along several axes of memory, so the reshape is no view; but the kernel of products reads
//! such a matrix where it lies, and the copy, many times as large as the image, is never made.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{Axes, Kernel, Lowering, MAX_RANK, Matrix, Slice, Strides, View};
use pleach_ops::Op;
use pleach_tensor::Type;

use crate::lower::Lowered;

/// A value whose axes are, each, several neighbouring axes of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) slice: Slice,
    /// How many axes of the slice are each axis of the value.
    axes: Axes,
    pub(crate) ty: Type,
}

impl Joined {
    /// The value as an operand of a product, if every axis of the batch is one of the slice, and a
    /// copy of neighbours, or the repetition of elements, makes reading it in place worth while.
    fn matrix(&self) -> Option<Matrix> {
        let (batch, last) = self.axes.split_at(self.axes.len().checked_sub(2)?);
        let plain = batch.iter().all(|&n| n == 1);
        let neighbours = self.slice.strides.contains(&1);
        let good = plain && (neighbours || !self.slice.is_injective());
        good.then(|| Matrix { columns: last[1], ..self.slice.clone().into() })
    }

    /// The same, its axes in another order.
    fn permuted(&self, order: &[usize], ty: &Type) -> Option<Joined> {
        let first = |axis: usize| self.axes[..axis].iter().sum::<usize>();
        let inner: Axes = order.iter().flat_map(|&i| first(i)..first(i) + self.axes[i]).collect();
        let dims: Axes = inner.iter().map(|&i| self.slice.dims[i]).collect();
        let slice = self.slice.view(&View::Permute(inner), &dims)?;
        let axes = order.iter().map(|&i| self.axes[i]).collect();
        Some(Joined { slice, axes, ty: ty.clone() })
    }
}

/// A slice under another shape, every axis of which is several neighbouring ones of the slice, or one
/// of length 1. `None` if axes are cut, or there are no elements.
fn joined(from: &Slice, ty: &Type) -> Option<Joined> {
    let mut slice = Slice { dims: Axes::new(), strides: Strides::new(), ..from.clone() };
    let (mut axes, mut old) = (Axes::new(), from.dims.iter().zip(&from.strides));
    for &len in ty.shape().iter() {
        let (mut product, first) = (1, slice.dims.len());
        while product < len {
            let (&n, &stride) = old.next()?;
            product *= n;
            slice.dims.push(n);
            slice.strides.push(stride);
        }
        if len <= 1 {
            slice.dims.push(1);
            slice.strides.push(0);
        }
        if product != len {
            return None;
        }
        axes.push(slice.dims.len() - first);
    }
    let all = old.all(|(&n, _)| n == 1) && slice.dims.len() <= MAX_RANK;
    all.then(|| Joined { slice, axes, ty: ty.clone() })
}

/// Which nodes are read by products alone, directly or in another order of axes?
pub(crate) fn factors(nodes: &[&Node<Op>], live: &[bool]) -> Vec<bool> {
    // A node that nothing reads is no factor: an output.
    let (mut read, mut otherwise) = (vec![false; nodes.len()], vec![false; nodes.len()]);
    for (i, node) in nodes.iter().enumerate().rev().filter(|(i, _)| live[*i]) {
        let types: Vec<&Type> = node.inputs.iter().map(|x| &nodes[x.index()].ty).collect();
        let product = match node.op.lower(&types, &node.ty) {
            Lowering::Gemm => node.ty.dtype().is_float(),
            Lowering::View(View::Permute(_)) => read[i] && !otherwise[i],
            _ => false,
        };
        for x in &node.inputs {
            read[x.index()] = true;
            otherwise[x.index()] |= !product;
        }
    }
    read.iter().zip(&otherwise).map(|(read, otherwise)| *read && !otherwise).collect()
}

impl Lowered {
    /// Takes a node that products alone read as joined axes, without a copy. False if it is a view,
    /// or no view of joined axes.
    pub(crate) fn join(&mut self, id: NodeId, node: &Node<Op>, types: &[&Type]) -> bool {
        let Some(&x) = node.inputs.first() else { return false };
        let joined = match node.op.lower(types, &node.ty) {
            Lowering::View(View::Permute(order)) => {
                self.joined.get(&x).and_then(|joined| joined.permuted(&order, &node.ty))
            }
            Lowering::View(View::Reshape) if !self.splats.contains_key(&x) => {
                let from = self.value(x);
                let view = from.view(&View::Reshape, node.ty.shape());
                view.is_none().then(|| joined(&from, &node.ty)).flatten()
            }
            _ => None,
        };
        let found = joined.filter(|joined| joined.matrix().is_some());
        let taken = found.is_some();
        self.joined.extend(found.map(|joined| (id, joined)));
        taken
    }

    /// A product.
    pub(crate) fn product(&mut self, id: NodeId, node: &Node<Op>) -> Slice {
        let [a, b] = [0, 1].map(|i| {
            let x = node.inputs[i];
            let joined = self.joined.get(&x).and_then(Joined::matrix);
            let matrix = joined.unwrap_or_else(|| self.value(x).into());
            let matrix = Matrix { slice: self.widened(id, matrix.slice), ..matrix };
            self.with_borders(matrix, node.ty.rank())
        });
        let dtype = node.ty.dtype();
        let c = self.fresh(&node.ty.with_dtype(dtype.compute()));
        self.products.insert(c.buffer);
        self.emit(id, Kernel::Gemm { a, b, c: c.clone() });
        self.narrowed(id, c, dtype)
    }
}
