//! Pieces of buffers, described by offset, lengths and strides.

use std::ops::Range;

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::{Axes, View, Windows};

/// Distance of neighbours along an axis, in elements; 0 repeats an element.
pub type Strides = SmallVec<[isize; 4]>;

/// A buffer of a program, by its place in the list of [`BufferSpec`](crate::BufferSpec)s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u32);

/// How a slice moves with the steps of the loop that its instruction stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moves {
    /// From slice `t` of what is looped over to slice `t + 1`, in elements.
    pub by: isize,
    /// Number of steps of the loop.
    pub steps: usize,
}

/// Elements of a buffer, seen as an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The buffer.
    pub buffer: BufferId,
    /// The element type.
    pub dtype: DType,
    /// Place of element `[0, 0, …]`, in elements.
    pub offset: usize,
    /// Length of every axis.
    pub dims: Axes,
    /// Stride of every axis, in elements.
    pub strides: Strides,
    /// The offset is that of the first slice, if the slice moves.
    pub moves: Option<Moves>,
}

/// Row-major strides of `dims`.
pub(crate) fn row_major(dims: &[usize]) -> Strides {
    let mut strides = Strides::from_elem(1, dims.len());
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].wrapping_mul(dims[i].max(1) as isize);
    }
    strides
}

impl Slice {
    /// A row-major array at `offset` (in elements).
    pub fn new(buffer: BufferId, dtype: DType, offset: usize, dims: &[usize]) -> Slice {
        let (dims, strides) = (Axes::from_slice(dims), row_major(dims));
        Slice { buffer, dtype, offset, dims, strides, moves: None }
    }

    /// The slice of a step of a loop over the first axis; `None` if there is none, or if the slice
    /// moves already.
    pub fn stepped(&self) -> Option<Slice> {
        let (&steps, &by) = (self.dims.first()?, self.strides.first()?);
        let (dims, strides) = (self.dims[1..].into(), self.strides[1..].into());
        let moves = Some(Moves { by, steps });
        self.moves.is_none().then(|| Slice { dims, strides, moves, ..self.clone() })
    }

    /// Elements `from .. from + len` along an axis; `None` where a number does not fit.
    pub(crate) fn rows(&self, axis: usize, from: usize, len: usize) -> Option<Slice> {
        let mut rows = self.clone();
        let by = isize::try_from(from).ok()?.checked_mul(self.strides[axis])?;
        rows.offset = self.offset.checked_add_signed(by)?;
        rows.dims[axis] = len;
        Some(rows)
    }

    /// Number of elements. Wraps if it does not fit; a checked program has no such slice.
    pub fn numel(&self) -> usize {
        self.dims.iter().fold(1, |p, &n| p.wrapping_mul(n))
    }

    /// Are the elements one after the other in row-major order?
    pub fn is_contiguous(&self) -> bool {
        let mut want = 1isize;
        self.numel() == 0
            || self.dims.iter().zip(&self.strides).rev().all(|(&n, &s)| {
                let good = n == 1 || s == want;
                want = want.wrapping_mul(n as isize);
                good
            })
    }

    /// The slice seen through `view` as an array of lengths `dims`, or `None` if only a copy can
    /// have that form (a reshape across strides) or the view does not fit the slice.
    pub fn view(&self, view: &View, dims: &[usize]) -> Option<Slice> {
        let mut offset = self.offset as isize;
        let strides: Strides = match view {
            View::Identity => (self.dims.as_slice() == dims).then(|| self.strides.clone())?,
            View::Reshape => reshape(&self.dims, &self.strides, dims)?,
            View::Permute(p) => {
                p.iter().map(|&i| self.strides.get(i).copied()).collect::<Option<_>>()?
            }
            View::Broadcast(map) => map
                .iter()
                .map(|axis| match *axis {
                    None => Some(0),
                    Some(i) if *self.dims.get(i)? == 1 => Some(0),
                    Some(i) => Some(self.strides[i]),
                })
                .collect::<Option<_>>()?,
            View::Slice { start, step } => {
                let mut strides = Strides::new();
                for (i, &stride) in self.strides.iter().enumerate() {
                    // The start of an empty slice may lie past the end of its memory: it stays.
                    if !dims.contains(&0) {
                        offset =
                            offset.checked_add((*start.get(i)? as isize).checked_mul(stride)?)?;
                    }
                    strides.push((*step.get(i)? as isize).checked_mul(stride)?);
                }
                strides
            }
            View::Windows(Windows { axes, stride, dilation }) => {
                let mut strides = self.strides.clone();
                for (i, &axis) in axes.iter().enumerate() {
                    let own = *self.strides.get(axis)?;
                    strides[axis] = own.checked_mul(isize::try_from(*stride.get(i)?).ok()?)?;
                    let step = isize::try_from(*dilation.get(i)?).ok()?;
                    strides.push(own.checked_mul(step)?);
                }
                strides
            }
            View::Flip(axes) => {
                let mut strides = self.strides.clone();
                for &i in axes {
                    let (n, stride) = (*self.dims.get(i)?, strides[i]);
                    if !self.dims.contains(&0) {
                        offset = offset.checked_add((n as isize - 1).checked_mul(stride)?)?;
                    }
                    strides[i] = stride.checked_neg()?;
                }
                (self.dims.as_slice() == dims).then_some(strides)?
            }
        };
        let fits = strides.len() == dims.len();
        let offset = usize::try_from(offset).ok()?;
        fits.then(|| Slice { offset, dims: Axes::from_slice(dims), strides, ..self.clone() })
    }

    /// The elements spanned in all steps, from the first to one past the last; empty without
    /// elements. `None` if a number does not fit.
    pub fn extent(&self) -> Option<Range<usize>> {
        let steps = self.moves.map(|moves| (moves.steps, moves.by));
        if self.dims.contains(&0) || steps.is_some_and(|(n, _)| n == 0) {
            return Some(0..0);
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        let axes = self.dims.iter().copied().zip(self.strides.iter().copied());
        for (n, s) in axes.chain(steps) {
            let reach = (n as i128 - 1) * s as i128;
            let end = if reach < 0 { &mut low } else { &mut high };
            *end = end.checked_add(reach)?;
        }
        Some(usize::try_from(low).ok()?..usize::try_from(high.checked_add(1)?).ok()?)
    }

    /// Is every element a place of its own? May say no to unusual strides where the answer is yes.
    pub fn is_injective(&self) -> bool {
        let mut axes: SmallVec<[(usize, usize); 8]> = (self.dims.iter().zip(&self.strides))
            .filter(|(n, _)| **n > 1)
            .map(|(&n, &s)| (s.unsigned_abs(), n))
            .collect();
        axes.sort_unstable();
        let mut reach = 0u128;
        self.dims.contains(&0)
            || axes.iter().all(|&(s, n)| {
                let good = s as u128 > reach;
                reach += s as u128 * (n as u128 - 1);
                good
            })
    }

    /// Do the slices share no byte, in any step? May say no where the answer is yes. Both must be in
    /// bounds.
    pub fn is_apart(&self, other: &Slice) -> bool {
        if self.moves.is_some() && self.moves == other.moves {
            // They move together: in every step they are as far apart as in the first.
            let still = |slice: &Slice| Slice { moves: None, ..slice.clone() };
            return still(self).is_apart(&still(other));
        }
        let bytes = |s: &Slice| {
            let e = s.extent().unwrap_or(0..usize::MAX);
            e.start.saturating_mul(s.dtype.size())..e.end.saturating_mul(s.dtype.size())
        };
        let (a, b) = (bytes(self), bytes(other));
        self.buffer != other.buffer
            || a.is_empty()
            || b.is_empty()
            || a.end <= b.start
            || b.end <= a.start
            || self.moves.or(other.moves).is_none() && in_other_columns(self, other)
    }

    /// Do the slices name the same places, element by element? Element types of one size.
    pub fn is_same_place(&self, other: &Slice) -> bool {
        let walked = |s: &Slice| -> SmallVec<[(usize, isize); 8]> {
            let axes = s.dims.iter().copied().zip(s.strides.iter().copied());
            axes.filter(|&(n, _)| n != 1).collect()
        };
        self.buffer == other.buffer
            && self.moves == other.moves
            && self.offset == other.offset
            && self.dtype.size() == other.dtype.size()
            && self.dims == other.dims
            && walked(self) == walked(other)
    }
}

/// Two blocks of columns of one matrix: their outermost strides agree, and within one period of it
/// they span different places. This is what the parts of a concatenation look like.
fn in_other_columns(a: &Slice, b: &Slice) -> bool {
    // The outermost stride, and the places within a period.
    let columns = |s: &Slice| {
        let size = s.dtype.size();
        let axes = s.dims.iter().zip(&s.strides).filter(|(n, _)| **n > 1);
        let outer = axes.clone().map(|(_, s)| *s).max().filter(|&s| s > 0)?;
        let mut reach = 0usize;
        for (&n, &s) in axes.filter(|(_, s)| **s != outer) {
            reach = reach.checked_add((n - 1).checked_mul(usize::try_from(s).ok()?)?)?;
        }
        let start = s.offset % outer as usize;
        Some((outer as usize * size, start * size..(start + reach + 1) * size))
    };
    match (columns(a), columns(b)) {
        (Some((period, a)), Some((other, b))) => {
            period == other && a.end.max(b.end) <= period && (a.end <= b.start || b.end <= a.start)
        }
        _ => false,
    }
}

/// Strides under which the elements of an array read row-major as one of lengths `to`, if any.
fn reshape(dims: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    let numel = |d: &[usize]| d.iter().try_fold(1usize, |p, &n| p.checked_mul(n));
    if numel(dims)? != numel(to)? {
        return None;
    }
    if dims.contains(&0) {
        return Some(row_major(to));
    }
    // Axes of length 1 do not matter; jointly contiguous neighbours are one axis.
    let mut from: SmallVec<[(usize, isize); 8]> = SmallVec::new();
    for (&n, &s) in dims.iter().zip(strides).filter(|(n, _)| **n != 1) {
        match from.last_mut() {
            Some((m, t)) if *t == s.wrapping_mul(n as isize) => (*m, *t) = (*m * n, s),
            _ => from.push((n, s)),
        }
    }
    // Every joined axis must be a product of new axes, from the innermost outwards.
    let mut out = Strides::from_elem(0, to.len());
    let (mut left, mut stride) = (1usize, 1isize);
    for (i, &n) in to.iter().enumerate().rev().filter(|(_, n)| **n != 1) {
        if left == 1 {
            (left, stride) = from.pop()?;
        }
        if left % n != 0 {
            return None;
        }
        out[i] = stride;
        left /= n;
        stride = stride.wrapping_mul(n as isize);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::F32;
    use smallvec::smallvec;

    fn slice(dims: &[usize], strides: &[isize], offset: usize) -> Slice {
        let strides = Strides::from_slice(strides);
        Slice { strides, ..Slice::new(BufferId(0), F32, offset, dims) }
    }

    #[test]
    fn extents_span_negative_and_zero_strides() {
        assert_eq!(slice(&[3, 4], &[4, 1], 2).extent(), Some(2..14));
        assert_eq!(slice(&[3], &[-2], 4).extent(), Some(0..5));
        assert_eq!(slice(&[3], &[-2], 3).extent(), None);
        assert_eq!(slice(&[9, 2], &[0, 1], 3).extent(), Some(3..5));
        assert_eq!(slice(&[usize::MAX], &[isize::MAX], 1).extent(), None);
    }

    #[test]
    fn views_compose_strides() {
        let s = Slice::new(BufferId(0), F32, 0, &[2, 3, 4]);
        let t = s.view(&View::Permute(smallvec![2, 0, 1]), &[4, 2, 3]).unwrap();
        assert_eq!(t.strides.as_slice(), [1, 12, 4]);
        assert_eq!(t.view(&View::Reshape, &[4, 6]).unwrap().strides.as_slice(), [1, 4]);
        assert_eq!(t.view(&View::Reshape, &[2, 2, 1, 6]).unwrap().strides[..2], [2, 1]);
        assert_eq!(t.view(&View::Reshape, &[8, 3]), None);
        let b = View::Broadcast(smallvec![None, Some(1)]);
        let row = Slice::new(BufferId(0), F32, 0, &[1, 3]);
        assert_eq!(row.view(&b, &[5, 3]).unwrap().strides.as_slice(), [0, 1]);
        let c = View::Slice { start: smallvec![1, 0, 3], step: smallvec![1, 2, 1] };
        let c = s.view(&c, &[1, 2, 1]).unwrap();
        assert_eq!((c.offset, c.strides.as_slice()), (15, &[12, 8, 1][..]));
        let empty = Slice::new(BufferId(0), F32, 0, &[0, 4]);
        let none = View::Slice { start: smallvec![0, 2], step: smallvec![1, 1] };
        assert_eq!(empty.view(&none, &[0, 1]).unwrap().offset, 0);
        let one = |axis, stride, dilation| {
            View::Windows(Windows {
                axes: smallvec![axis],
                stride: smallvec![stride],
                dilation: smallvec![dilation],
            })
        };
        let w = s.view(&one(1, 2, 1), &[2, 1, 4, 2]).unwrap();
        assert_eq!(w.strides.as_slice(), [12, 8, 1, 4]);
        let line = Slice::new(BufferId(0), F32, 0, &[7]);
        let w = line.view(&one(0, 1, 3), &[4, 2]).unwrap();
        assert_eq!((w.strides.as_slice(), w.extent()), (&[1, 3][..], Some(0..7)));
        assert!(!w.is_injective() && !w.is_contiguous());
        assert_eq!(w.view(&View::Reshape, &[8]), None);
        assert_eq!(line.view(&one(0, 1, usize::MAX), &[4, 2]), None);
        let f = s.view(&View::Flip(smallvec![0, 2]), &[2, 3, 4]).unwrap();
        assert_eq!((f.offset, f.strides.as_slice()), (15, &[-12, 4, -1][..]));
        let flat = f.view(&View::Reshape, &[6, 4]);
        assert_eq!(flat, None, "only one of two axes is read backwards");
    }

    #[test]
    fn columns_of_one_matrix_are_apart() {
        let left = slice(&[5, 4], &[10, 1], 0);
        let right = slice(&[5, 6], &[10, 1], 4);
        assert!(left.is_apart(&right));
        assert!(!left.is_apart(&slice(&[5, 6], &[10, 1], 3)));
        assert!(!left.is_apart(&slice(&[5, 7], &[10, 1], 4)));
        assert!(left.is_apart(&slice(&[5], &[1], 44)));
    }

    #[test]
    fn repeated_places_are_seen() {
        assert!(slice(&[4, 3], &[3, 1], 0).is_injective());
        assert!(slice(&[3, 4], &[1, 3], 0).is_injective());
        assert!(!slice(&[4, 3], &[2, 1], 0).is_injective());
        assert!(!slice(&[2], &[0], 0).is_injective());
        assert!(slice(&[1], &[0], 0).is_injective());
    }

    #[test]
    fn slices_that_move_together_are_apart_if_they_are_in_one_step() {
        let all = Slice::new(BufferId(0), F32, 0, &[5, 4]);
        let x = Slice { moves: Some(Moves { by: 4, steps: 4 }), ..all.stepped().unwrap() };
        let next = Slice { offset: 4, ..x.clone() };
        let behind = Slice { offset: 3, ..x.clone() };
        assert!(x.is_apart(&next) && next.is_apart(&x) && !x.is_apart(&behind));
        // Against what stands still, all steps count.
        let still = |offset| Slice::new(BufferId(0), F32, offset, &[4]);
        assert!(!x.is_apart(&still(12)) && x.is_apart(&still(16)) && !x.is_same_place(&still(0)));
        let none = Slice { moves: Some(Moves { by: 4, steps: 0 }), ..x.clone() };
        assert_eq!((x.extent(), none.extent()), (Some(0..16), Some(0..0)));
    }
}
