//! Shapes and selections that are compositions.

use pleach_graph::TypeError;
use pleach_tensor::{DType, Shape};

use crate::{GraphExt, Var};

impl<'g> Var<'g> {
    /// A new axis of length 1 at `axis` (`-1`: after the last).
    #[track_caller]
    pub fn unsqueeze(self, axis: i64) -> Var<'g> {
        match self.new_axis(axis) {
            Ok(at) => {
                let mut shape = self.shape().to_vec();
                shape.insert(at, 1);
                self.reshape(shape)
            }
            Err(reason) => self.refuse("unsqueeze", &[self], reason),
        }
    }

    /// Where an axis can be put in: one place more than there are axes.
    fn new_axis(self, axis: i64) -> Result<usize, TypeError> {
        let rank = self.shape().rank() + 1;
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(at).ok().filter(|&at| at < rank).ok_or(TypeError::Axis { axis, rank })
    }

    /// Without an axis of length 1.
    #[track_caller]
    pub fn squeeze(self, axis: i64) -> Var<'g> {
        match self.axis(axis) {
            Ok(at) if self.shape()[at] == 1 => self.reshape(self.shape().without(&[at])),
            Ok(at) => {
                let (left, right) = (self.shape()[at], 1);
                let reason = TypeError::Sizes { what: "length of the axis and 1", left, right };
                self.refuse("squeeze", &[self], reason)
            }
            Err(reason) => self.refuse("squeeze", &[self], reason),
        }
    }

    /// This value, then `others`, along a new axis. All have one shape.
    #[track_caller]
    pub fn stack(self, others: &[Var<'g>], axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        if let Err(reason) = self.new_axis(axis) {
            return self.refuse("stack", &[&[self], others].concat(), reason);
        }
        let rest: Vec<Var<'g>> = others.iter().map(|v| v.unsqueeze(axis)).collect();
        self.unsqueeze(axis).concat(&rest, axis)
    }

    /// Parts of these lengths along an axis; they must add up to its length.
    #[track_caller]
    pub fn split(self, axis: i64, lengths: &[usize]) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        let left = lengths.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
        let right = self.size(axis);
        if left != right {
            let reason = TypeError::Sizes { what: "sum of lengths and axis", left, right };
            return vec![self.refuse("split", &[self], reason); lengths.len()];
        }
        let mut start = 0;
        let mut part = |&n: &usize| {
            start += n;
            self.slice(axis, start - n..start)
        };
        lengths.iter().map(&mut part).collect()
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
    fn axes_come_and_go() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        assert_eq!(x.unsqueeze(-1).shape(), [2, 3, 1].into());
        assert_eq!(x.unsqueeze(0).squeeze(0).id(), x.id());
        assert_eq!(x.stack(&[x, x], 1).shape(), [2, 3, 3].into());
        assert_eq!(x.split(1, &[1, 2])[1].shape(), [2, 2].into());
        assert!(x.squeeze(0).ok().is_err());
        assert!(x.unsqueeze(4).ok().is_err());
        assert!(x.split(1, &[1, 1])[0].ok().is_err());
    }

    #[test]
    fn one_hot_marks_the_index() {
        let g = Graph::new();
        let y = g.input("i", I64, [2]).one_hot(3, F32);
        let at = Tensor::new([2], vec![2i64, 0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
}
