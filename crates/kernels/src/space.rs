//! Walking arrays with strides: joined axes, and rows.

use smallvec::SmallVec;

use crate::{Axes, Strides};

/// Most axes that a slice may have.
pub const MAX_RANK: usize = 12;

/// Lengths, and strides of several operands, with axes of length 1 dropped and neighbours joined
/// where they are contiguous for all operands. Has at least one axis; row-major order is kept.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) dims: Axes,
    pub(crate) strides: SmallVec<[Strides; 4]>,
}

impl Space {
    /// Joins the axes of operands of lengths `dims`.
    pub(crate) fn new(dims: &[usize], operands: &[&[isize]]) -> Space {
        let (mut out, mut strides) =
            (Axes::new(), SmallVec::from_elem(Strides::new(), operands.len()));
        for (axis, &n) in dims.iter().enumerate().filter(|(_, n)| **n != 1) {
            let joined = !out.is_empty()
                && (strides.iter().zip(operands)).all(|(s, o): (&Strides, _)| {
                    s.last() == Some(&o[axis].wrapping_mul(n as isize))
                });
            if joined {
                *out.last_mut().expect("not empty") *= n;
                strides.iter_mut().zip(operands).for_each(|(s, o)| {
                    *s.last_mut().expect("not empty") = o[axis];
                });
            } else {
                out.push(n);
                strides.iter_mut().zip(operands).for_each(|(s, o)| s.push(o[axis]));
            }
        }
        if out.is_empty() {
            out.push(1);
            strides.iter_mut().for_each(|s| s.push(0));
        }
        Space { dims: out, strides }
    }

    /// Number of elements.
    pub(crate) fn numel(&self) -> usize {
        self.dims.iter().product()
    }
}

/// The axes of `dims` in the order of falling `strides` (ties as they are).
pub(crate) fn by_stride(dims: &[usize], strides: &[isize]) -> Axes {
    let mut order: Axes = (0..dims.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(strides[i].unsigned_abs()));
    order
}

/// A place in a row-major walk over `dims`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: [usize; MAX_RANK],
}

impl Place {
    /// Place number `linear`.
    #[inline]
    pub(crate) fn new(dims: &[usize], linear: usize) -> Place {
        let mut place = Place { at: [0; MAX_RANK] };
        // A copy of the place would wait for what was just written.
        if linear != 0 {
            place.seek(dims, linear);
        }
        place
    }

    /// Moves to place number `linear`. A place that is moved where it lies is not copied, which would
    /// wait for what was just written.
    #[inline]
    pub(crate) fn seek(&mut self, dims: &[usize], linear: usize) {
        let mut rest = linear;
        for i in (0..dims.len()).rev() {
            (self.at[i], rest) = if rest == 0 { (0, 0) } else { (rest % dims[i], rest / dims[i]) };
        }
    }

    /// Distance from the origin under `strides`, in elements.
    #[inline]
    pub(crate) fn offset(&self, strides: &[isize]) -> isize {
        strides.iter().zip(&self.at).map(|(&s, &i)| s * i as isize).sum()
    }

    /// The index along an axis.
    #[inline]
    pub(crate) fn index(&self, axis: usize) -> usize {
        self.at[axis]
    }

    /// The first place of the next row, that is with index 0 along the last axis.
    #[inline]
    pub(crate) fn next_row(&mut self, dims: &[usize]) {
        let last = dims.len() - 1;
        self.at[last] = dims[last].saturating_sub(1);
        self.advance(dims);
    }

    /// The next place.
    #[inline]
    pub(crate) fn advance(&mut self, dims: &[usize]) {
        for i in (0..dims.len()).rev() {
            self.at[i] += 1;
            if self.at[i] < dims[i] {
                return;
            }
            self.at[i] = 0;
        }
    }
}

/// Distance from the origin of element `linear` (row-major over `dims`) under `strides`.
#[inline]
pub(crate) fn offset_of(dims: &[usize], strides: &[isize], linear: usize) -> isize {
    match (dims, strides) {
        _ if linear == 0 => 0,
        ([_], [s]) => linear as isize * s,
        _ => Place::new(dims, linear).offset(strides),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_neighbours_are_joined() {
        let s = Space::new(&[2, 1, 3, 4], &[&[12, 99, 4, 1], &[24, 0, 8, 2]]);
        assert_eq!((s.dims.as_slice(), s.strides[1].as_slice()), (&[24][..], &[2][..]));
        let s = Space::new(&[2, 3, 4], &[&[12, 4, 1], &[0, 4, 1]]);
        assert_eq!(s.dims.as_slice(), [2, 12]);
        assert_eq!(Space::new(&[1], &[&[7]]).dims.as_slice(), [1]);
        assert_eq!(Space::new(&[0, 3], &[&[3, 1]]).numel(), 0);
    }

    #[test]
    fn places_walk_row_major() {
        let (dims, strides) = ([3, 2, 5], [1, 100, -10]);
        let mut place = Place::new(&dims, 0);
        for i in 0..30 {
            assert_eq!(place.offset(&strides), offset_of(&dims, &strides, i));
            place.advance(&dims);
        }
    }
}
