//! Parts of a value along one axis.

use pleach_graph::TypeError;

use super::indexing::Bounds;
use crate::Var;

impl<'g> Var<'g> {
    /// The value at one index of an axis, which is removed; negative indices count from the end.
    /// PyTorch's `select`.
    #[track_caller]
    pub fn index_axis(self, axis: i64, index: i64) -> Var<'g> {
        let _at = self.graph().at();
        let at = self.axis(axis).and_then(|axis| {
            let n = self.shape()[axis];
            Ok((axis, place(index, n).ok_or_else(|| out_of_range(index, n))?))
        });
        match at {
            Ok((axis, at)) => self.slice(axis as i64, at..at + 1).squeeze(axis as i64),
            Err(reason) => self.refuse("index_axis", &[self], reason),
        }
    }

    /// `length` indices of an axis from `start` on; a negative start counts from the end.
    #[track_caller]
    pub fn narrow(self, axis: i64, start: i64, length: usize) -> Var<'g> {
        let _at = self.graph().at();
        let range = self.axis(axis).and_then(|axis| {
            let n = self.shape()[axis];
            let from = if start < 0 { start.checked_add(n as i64) } else { Some(start) };
            let from = from.and_then(|from| usize::try_from(from).ok());
            let inside = from.filter(|from| from.checked_add(length).is_some_and(|end| end <= n));
            inside.ok_or_else(|| {
                let why = format!("{length} indices from {start} on do not lie in an axis of {n}");
                TypeError::Attribute(why)
            })
        });
        match range {
            Ok(start) => self.slice(axis, start..start + length),
            Err(reason) => self.refuse("narrow", &[self], reason),
        }
    }

    /// Indices of one axis as Python's slices give them: negative bounds count from the end, and
    /// bounds outside of the axis are moved into it. [`Var::slice`] refuses those.
    ///
    /// ```
    /// # use pleach_ops::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", F32, [2, 7]);
    /// assert_eq!(x.slice_bounds(1, -3..).shape(), [2, 3].into());
    /// assert_eq!(x.slice_bounds(1, step(1..100, 2)).shape(), [2, 3].into());
    /// ```
    #[track_caller]
    pub fn slice_bounds(self, axis: i64, span: impl Into<Bounds>) -> Var<'g> {
        let _at = self.graph().at();
        let range = self.axis(axis).and_then(|axis| span.into().range(self.shape()[axis]));
        match range {
            Ok(r) => self.slice_step(axis, r.start..r.stop, r.step),
            Err(reason) => self.refuse("slice", &[self], reason),
        }
    }

    /// Parts of these lengths along an axis; they must add up to its length.
    #[track_caller]
    pub fn split(self, axis: i64, lengths: &[usize]) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        if let Err(reason) = self.axis(axis) {
            return vec![self.refuse("split", &[self], reason); lengths.len()];
        }
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

    /// Parts of `length` along an axis; the last may be shorter. Of an empty axis, one empty part.
    #[track_caller]
    pub fn split_every(self, axis: i64, length: usize) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        let n = match self.axis(axis) {
            Ok(axis) => self.shape()[axis],
            Err(reason) => return vec![self.refuse("split", &[self], reason)],
        };
        if length == 0 && n > 0 {
            let why = "parts of length 0 never cover the axis".into();
            return vec![self.refuse("split", &[self], TypeError::Attribute(why))];
        }
        let lengths: Vec<usize> = match n {
            0 => vec![0],
            _ => (0..n).step_by(length).map(|start| length.min(n - start)).collect(),
        };
        self.split(axis, &lengths)
    }

    /// At most `parts` parts of equal length along an axis; the last may be shorter, and there are
    /// fewer if rounding up fills the axis sooner. Of an empty axis, `parts` empty ones.
    #[track_caller]
    pub fn chunk(self, axis: i64, parts: usize) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        if parts == 0 {
            let why = "expected at least one part".into();
            return vec![self.refuse("chunk", &[self], TypeError::Attribute(why))];
        }
        match self.axis(axis).map(|axis| self.shape()[axis]) {
            Ok(0) => self.split(axis, &vec![0; parts]),
            Ok(n) => self.split_every(axis, n.div_ceil(parts)),
            Err(reason) => vec![self.refuse("chunk", &[self], reason)],
        }
    }

    /// The values at all indices of an axis, which is removed.
    #[track_caller]
    pub fn unbind(self, axis: i64) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        match self.axis(axis) {
            Ok(at) => (0..self.shape()[at]).map(|i| self.index_axis(axis, i as i64)).collect(),
            Err(reason) => vec![self.refuse("unbind", &[self], reason)],
        }
    }
}

/// An index that may count from the end, in an axis of length `n`.
pub(crate) fn place(index: i64, n: usize) -> Option<usize> {
    let at = if index < 0 { index.checked_add(n as i64)? } else { index };
    usize::try_from(at).ok().filter(|&at| at < n)
}

/// Why an index that is known while recording is refused.
pub(crate) fn out_of_range(index: i64, n: usize) -> TypeError {
    TypeError::Attribute(format!("index {index} is out of range for an axis of length {n}"))
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn lengths(parts: &[Var<'_>], axis: i64) -> Vec<usize> {
        parts.iter().map(|part| part.size(axis)).collect()
    }

    #[test]
    fn negative_indices_count_from_the_end() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let at = Tensor::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.index_axis(1, -1)), [2.0, 5.0]);
        assert_eq!(value(x.narrow(1, -2, 1)), [1.0, 4.0]);
        assert_eq!(value(x.slice_bounds(-1, step(-100.., 2))), [0.0, 2.0, 3.0, 5.0]);
        let none = crate::Bounds { start: Some(5), stop: Some(2), step: 1 };
        assert_eq!(x.slice_bounds(1, none).shape(), [2, 0].into());
        assert_eq!(x.slice_bounds(1, ..-1).shape(), [2, 2].into());
        assert!(x.index_axis(1, 3).ok().is_err());
        assert!(x.index_axis(0, i64::MIN).ok().is_err());
        assert!(x.narrow(1, 2, 2).ok().is_err());
        assert!(x.narrow(1, -4, 1).ok().is_err());
        assert!(x.slice_bounds(1, step(.., 0)).ok().is_err());
    }

    #[test]
    fn parts_cover_the_axis() {
        let g = Graph::new();
        let x = g.input("x", F32, [13, 2]);
        assert_eq!(lengths(&x.split(0, &[1, 12]), 0), [1, 12]);
        assert_eq!(lengths(&x.split_every(0, 5), 0), [5, 5, 3]);
        assert_eq!(lengths(&x.chunk(0, 12), 0), [2, 2, 2, 2, 2, 2, 1]);
        assert_eq!(lengths(&x.chunk(-1, 5), -1), [1, 1]);
        assert_eq!(x.unbind(0).len(), 13);
        let none = g.input("none", F32, [0]);
        assert_eq!(lengths(&none.chunk(0, 3), 0), [0, 0, 0]);
        assert_eq!(lengths(&none.split_every(0, 4), 0), [0]);
        for wrong in [x.split(0, &[1, 1]), x.split_every(0, 0), x.chunk(0, 0), x.unbind(2)] {
            assert!(wrong[0].ok().is_err());
        }
    }
}
