//! Reading and writing by index.

use pleach_graph::TypeError;
use pleach_tensor::{BOOL, DType, Shape, Tensor};

use crate::{GraphExt, Operand, Scatter, TakeAdd, Var};

impl<'g> Var<'g> {
    /// Slices at a vector of indices along an axis. An index out of range is an error of the run;
    /// negative ones are. See [`Take`](crate::Take) for indices of any shape.
    #[track_caller]
    pub fn index_select(self, axis: i64, indices: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        match self.vector("index_select", indices) {
            Ok(indices) => self.take(axis, indices),
            Err(refused) => refused,
        }
    }

    /// This value with `alpha` times the slices of `source` added at a vector of indices along
    /// an axis; equal indices add up.
    #[track_caller]
    pub fn index_add(self, axis: i64, indices: Var<'g>, source: Var<'g>, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        let indices = match self.vector("index_add", indices) {
            Ok(indices) => indices,
            Err(refused) => return refused,
        };
        match self.axis(axis) {
            Ok(at) => {
                let add = TakeAdd::new(at, self.shape()[at]);
                let sum = source.record(add, &[source, indices]);
                self.same_shape("index_add", sum).map_or_else(
                    |refused| refused,
                    |sum| self + if alpha == 1.0 { sum } else { sum * alpha },
                )
            }
            Err(reason) => self.refuse("index_add", &[self, indices, source], reason),
        }
    }

    /// A scalar or vector of indices as a vector.
    #[track_caller]
    fn vector(self, op: &str, indices: Var<'g>) -> Result<Var<'g>, Var<'g>> {
        let Some(ty) = indices.ty() else { return Err(self.untyped(op, &[self, indices])) };
        match ty.rank() {
            0 => Ok(indices.reshape([1_usize])),
            1 => Ok(indices),
            _ => {
                let (expected, got) = ("at most 1", ty.shape().clone());
                let reason = TypeError::Rank { operand: 1, expected, got };
                Err(self.refuse(op, &[self, indices], reason))
            }
        }
    }

    /// `other`, if it has this value's shape.
    #[track_caller]
    fn same_shape(self, op: &str, other: Var<'g>) -> Result<Var<'g>, Var<'g>> {
        match (self.ty(), other.ty()) {
            (Some(a), Some(b)) if a.shape() != b.shape() => {
                let reason = TypeError::Shapes(a.shape().clone(), b.shape().clone());
                Err(self.refuse(op, &[self, other], reason))
            }
            (Some(_), Some(_)) => Ok(other),
            _ => Err(self.untyped(op, &[self, other])),
        }
    }

    /// Elements at indices along an axis, as [`Var::gather`]; along the others, value and indices
    /// are broadcast. Negative indices count from the end.
    #[track_caller]
    pub fn take_along_dim(self, axis: i64, indices: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(x), Some(i)) = (self.ty(), indices.ty()) else {
            return self.untyped("take_along_dim", &[self, indices]);
        };
        let refuse = |reason| self.refuse("take_along_dim", &[self, indices], reason);
        let at = match self.axis(axis) {
            Ok(at) if i.rank() == x.rank() => at,
            Ok(_) => return refuse(TypeError::Shapes(x.shape().clone(), i.shape().clone())),
            Err(reason) => return refuse(reason),
        };
        let (own, other) = (x.shape().with_axis(at, 1), i.shape().with_axis(at, 1));
        match own.broadcast(&other) {
            Some(shape) => {
                let wide = |v: Var<'g>| v.broadcast_to(shape.with_axis(at, v.size(axis)));
                wide(self).gather(axis, wide(indices.counted_from_end(self.size(axis))))
            }
            None => refuse(TypeError::Broadcast(own, other)),
        }
    }

    /// This value, but `src`, a value or a number, at indices along an axis; see [`Scatter`].
    /// `src` may have more elements than there are indices.
    #[track_caller]
    pub fn scatter(self, axis: i64, indices: Var<'g>, src: impl Operand<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(x), Some(i)) = (self.ty(), indices.ty()) else {
            return self.untyped("scatter", &[self, indices]);
        };
        let src = match src.var() {
            Some(src) => src.corner(i.shape(), None),
            None => src.like(self.graph().full(x.dtype(), [], 0.0)).broadcast_to(i.shape()),
        };
        match self.axis(axis) {
            Ok(axis) => self.record(Scatter::new(axis), &[self, indices, src]),
            Err(reason) => self.refuse("scatter", &[self, indices, src], reason),
        }
    }

    /// This value with `src` added at indices along an axis; equal indices add up. Along the
    /// other axes the indices may be shorter than the value, and `src` may be longer than they.
    #[track_caller]
    pub fn scatter_add(self, axis: i64, indices: Var<'g>, src: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(x), Some(i)) = (self.ty(), indices.ty()) else {
            return self.untyped("scatter_add", &[self, indices, src]);
        };
        let fits = self.axis(axis).and_then(|axis| {
            let short = |d: usize| d == axis || i.shape()[d] <= x.shape()[d];
            if i.rank() == x.rank() && (0..x.rank()).all(short) {
                Ok(axis)
            } else {
                Err(TypeError::Shapes(x.shape().clone(), i.shape().clone()))
            }
        });
        match fits {
            Ok(at) => {
                let part = src.corner(i.shape(), None).scatter_sum(axis, indices, x.shape()[at]);
                let rest = |d: usize| (0, x.shape()[d].saturating_sub(part.size(d as i64)));
                self + part.pad(&(0..x.rank()).map(rest).collect::<Vec<_>>())
            }
            Err(reason) => self.refuse("scatter_add", &[self, indices, src], reason),
        }
    }

    /// The elements at which a mask holds, as a vector; both are broadcast. The mask is a tensor:
    /// the shape of the result follows from its values, and shapes are known when a graph is
    /// recorded.
    #[track_caller]
    pub fn masked_select(self, mask: &Tensor) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("masked_select", &[self]) };
        if mask.dtype() != BOOL {
            let reason = TypeError::DType { operand: 1, expected: "bool", got: mask.dtype() };
            return self.refuse("masked_select", &[self], reason);
        }
        let Some(shape) = ty.shape().broadcast(mask.shape()) else {
            let reason = TypeError::Broadcast(ty.shape().clone(), mask.shape().clone());
            return self.refuse("masked_select", &[self], reason);
        };
        // The mask broadcast, by strides: 0 along axes that it repeats.
        let added = shape.rank() - mask.shape().rank();
        let own = mask.shape().strides();
        let stride = |d: usize| match d.checked_sub(added) {
            Some(d) if mask.shape()[d] != 1 => own[d],
            _ => 0,
        };
        let holds = mask.to_i64s();
        let at = |i: usize| -> usize {
            let index = pleach_tensor::compare::unravel(i, &shape);
            index.iter().enumerate().map(|(d, i)| i * stride(d)).sum()
        };
        let numel = shape.checked_numel().unwrap_or(0);
        let chosen: Vec<i64> =
            (0..numel).filter(|&i| holds[at(i)] != 0).map(|i| i as i64).collect();
        match Tensor::new([chosen.len()], chosen) {
            Ok(chosen) => {
                self.broadcast_to(shape).flatten(0).take(0, self.graph().constant(chosen))
            }
            Err(error) => {
                let reason = TypeError::Attribute(error.to_string());
                self.refuse("masked_select", &[self], reason)
            }
        }
    }

    /// Rows of this table `[n, d]` at indices of any shape `[..]`: `[.., d]`. No gradient reaches
    /// row `padding`.
    #[track_caller]
    pub fn embedding(self, indices: Var<'g>, padding: Option<i64>) -> Var<'g> {
        let _at = self.graph().at();
        let rows = self.take(0, indices);
        let Some(padding) = padding else { return rows };
        let n = self.size(0);
        let Some(padding) = super::parts::place(padding, n) else {
            let reason = super::parts::out_of_range(padding, n);
            return self.refuse("embedding", &[self, indices], reason);
        };
        let Some(ty) = rows.ty() else { return rows };
        let inner = std::iter::repeat_n(1, self.shape().rank() - 1);
        let shape: Shape = indices.shape().iter().copied().chain(inner).collect();
        let is_padding = indices.equal(padding).reshape(shape).broadcast_to(ty.shape());
        is_padding.select(rows.stop_gradient(), rows)
    }

    /// 1 at the index, 0 elsewhere, along a new last axis of length `n`. Indices outside of
    /// `0..n` give zeros.
    #[track_caller]
    pub fn one_hot(self, n: usize, dtype: DType) -> Var<'g> {
        let _at = self.graph().at();
        let shape: Shape = self.shape().iter().copied().chain([n]).collect();
        let last = shape.rank() - 1;
        let index = self.graph().iota(self.dtype(), shape, last);
        self.unsqueeze(-1).equal(index).cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_hot_marks_the_index() {
        let g = Graph::new();
        let y = g.input("i", I64, [2]).one_hot(3, F32);
        let at = Tensor::new([2], vec![2i64, 0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn slices_are_read_and_added_by_index() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F64, [3, 1]), g.input("i", I64, [2]));
        let x3 = Tensor::new([3, 1], vec![1.0, 2.0, 4.0]).unwrap();
        let at = Tensor::new([2], vec![2i64, 2]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&x3, &at]).unwrap().to_f64s();
        assert_eq!(value(x.index_select(0, i)), [4.0, 4.0]);
        let rows = g.full(F64, [2, 1], 10.0);
        assert_eq!(value(x.index_add(0, i, rows, -1.0)), [1.0, 2.0, -16.0]);
        assert!(x.index_add(0, i, x, 1.0).ok().is_err());
        assert!(x.index_add(0, i, g.full(F64, [2, 2], 0.0), 1.0).ok().is_err());
        assert!(x.index_select(0, i.unsqueeze(0)).ok().is_err());
    }

    #[test]
    fn indices_may_be_shorter_and_are_broadcast_where_asked() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F64, [2, 3]), g.input("i", I64, [1, 2]));
        let at = Tensor::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let i2 = Tensor::new([1, 2], vec![2i64, 0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at, &i2]).unwrap().to_f64s();
        assert_eq!(value(x.gather(1, i)), [2.0, 0.0]);
        assert_eq!(value(x.take_along_dim(1, i)), [2.0, 0.0, 5.0, 3.0]);
        assert_eq!(value(x.take_along_dim(1, i - 3)), [2.0, 0.0, 5.0, 3.0]);
        assert_eq!(value(x.scatter(1, i, -1.0)), [-1.0, 1.0, -1.0, 3.0, 4.0, 5.0]);
        assert_eq!(value(x.scatter_add(1, i, x)), [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(x.scatter_add(0, i.t(), x).ok().is_ok());
        assert!(x.scatter_add(0, g.full(I64, [1, 4], 0.0), x).ok().is_err());
        assert!(x.scatter(1, i, g.full(F64, [1, 1], 0.0)).ok().is_err());
        assert!(x.take_along_dim(1, g.full(I64, [3, 1], 0.0)).ok().is_err());
    }

    #[test]
    fn a_mask_that_is_known_gives_a_vector() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 1]);
        let at = Tensor::new([2, 1], vec![1.0, 2.0]).unwrap();
        let mask = Tensor::new([3], vec![true, false, true]).unwrap();
        let y = x.masked_select(&mask);
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(g.grad(y, &[x])[0].eval(&[&at]).unwrap().to_f64s(), [2.0, 2.0]);
        assert!(x.masked_select(&at).ok().is_err());
        assert!(x.masked_select(&mask.reshape([3, 1]).unwrap()).ok().is_err());
    }

    #[test]
    fn no_gradient_reaches_the_padding() {
        let g = Graph::new();
        let (w, i) = (g.input("w", F64, [3, 2]), g.input("i", I64, [2, 2]));
        let table = Tensor::new([3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let at = Tensor::new([2, 2], vec![1i64, 2, 1, 2]).unwrap();
        let y = w.embedding(i, Some(-1));
        let value = |v: Var<'_>| v.eval(&[&table, &at]).unwrap().to_f64s();
        assert_eq!(value(y), value(w.embedding(i, None)));
        assert_eq!(value(g.grad(y, &[w])[0]), [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]);
        assert!(w.embedding(i, Some(3)).ok().is_err());
    }
}
