//! The rows or the columns of a matrix, along one axis of memory or several.

use std::mem::MaybeUninit;

use crate::space::{Place, Space};
use crate::{Axes, Strides};

/// The rows, or the columns, of a matrix: axes of memory in row-major order, joined where they are
/// contiguous. At least one.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    dims: Axes,
    strides: Strides,
}

impl Side {
    pub(crate) fn new(dims: &[usize], strides: &[isize]) -> Side {
        let Space { dims, strides } = Space::new(dims, &[strides]);
        Side { dims, strides: strides.into_iter().next().unwrap_or_default() }
    }

    /// One axis with this stride, of any length.
    pub(crate) fn straight(len: usize, stride: isize) -> Side {
        Side { dims: Axes::from_slice(&[len]), strides: Strides::from_slice(&[stride]) }
    }

    /// Is it along one axis?
    pub(crate) fn is_straight(&self) -> bool {
        self.dims.len() == 1
    }

    /// Length and stride of the last axis.
    pub(crate) fn run(&self) -> (usize, isize) {
        let last = self.dims.len() - 1;
        (self.dims[last], self.strides[last])
    }

    /// The place of row (or column) number `at`, and how many from it on lie along the last axis.
    #[inline]
    pub(crate) fn run_from(&self, at: usize) -> (isize, usize) {
        let last = self.dims.len() - 1;
        let place = Place::new(&self.dims, at);
        (place.offset(&self.strides), self.dims[last] - place.index(last))
    }

    /// The places of rows (or columns) from number `start` on, in elements from the first: fills `to`.
    #[inline]
    pub(crate) fn places<'a>(&self, start: usize, to: &'a mut [MaybeUninit<isize>]) -> &'a [isize] {
        let (len, stride) = self.run();
        let last = self.dims.len() - 1;
        let mut place = Place::new(&self.dims, start);
        let mut done = 0;
        while done < to.len() {
            let first = place.offset(&self.strides);
            let count = (len - place.index(last)).min(to.len() - done);
            for (i, to) in to[done..done + count].iter_mut().enumerate() {
                to.write(first + i as isize * stride);
            }
            done += count;
            place.next_row(&self.dims);
        }
        // SAFETY: all are written.
        unsafe { to.assume_init_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_a_walk() {
        let side = Side::new(&[3, 1, 2, 4], &[100, 9, 10, 1]);
        let walk: Vec<isize> = (0..24).map(|i| i / 8 * 100 + i / 4 % 2 * 10 + i % 4).collect();
        for start in 0..24 {
            for len in 0..=24 - start {
                let mut to = vec![MaybeUninit::new(-1); len];
                if len > 0 {
                    assert_eq!(side.run_from(start), (walk[start], 4 - start % 4));
                }
                assert_eq!(side.places(start, &mut to), &walk[start..start + len], "{start} {len}");
            }
        }
        assert_eq!((side.is_straight(), side.run()), (false, (4, 1)));
        assert!(Side::new(&[3, 4], &[4, 1]).is_straight());
        assert_eq!(Side::new(&[1], &[7]).run().0, 1);
    }
}
