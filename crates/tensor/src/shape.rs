//! Shapes: lengths of the axes of a tensor.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The length of every axis, outermost first. Rank 0 is a scalar. Reads as a slice.
///
/// A shape alone promises nothing about its product; a [`Type`](crate::Type) does.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Clone for Shape {
    /// As one copy of memory: graphs copy shapes all the time.
    fn clone(&self) -> Self {
        let (mut lengths, rank) = ([0; 4], self.rank());
        if rank > lengths.len() {
            return Shape(SmallVec::from_slice(&self.0));
        }
        lengths.iter_mut().zip(&self.0).for_each(|(to, &n)| *to = n);
        Shape(SmallVec::from_buf_and_len(lengths, rank))
    }
}

impl Shape {
    /// The scalar shape, `[]`.
    pub fn scalar() -> Self {
        Self::default()
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Product of the axes, or `None` if it does not fit `usize`. An axis of length 0 makes it 0
    /// only if the product of the others fits: a shape that overflows is refused, whatever is 0.
    pub fn checked_numel(&self) -> Option<usize> {
        let nonzero = self.0.iter().filter(|&&n| n != 0).try_fold(1usize, |p, &n| p.checked_mul(n));
        nonzero.map(|p| if self.0.contains(&0) { 0 } else { p })
    }

    /// The shape that two operands broadcast to, by NumPy's rule (trailing axes are aligned, a
    /// length of 1 stretches), or `None` if they do not.
    ///
    /// ```
    /// use pleach_tensor::Shape;
    /// let (a, b) = (Shape::from([32, 1, 8]), Shape::from([4, 1]));
    /// assert_eq!(a.broadcast(&b), Some(Shape::from([32, 4, 8])));
    /// assert_eq!(Shape::from([3]).broadcast(&Shape::from([4])), None);
    /// ```
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |j| s[j]);
        (0..rank)
            .map(|i| match (at(self, i), at(other, i)) {
                (a, b) if a == b => Some(a),
                (1, n) | (n, 1) => Some(n),
                _ => None,
            })
            .collect()
    }

    /// Row-major strides in elements. Wraps on shapes whose product overflows.
    pub fn strides(&self) -> SmallVec<[usize; 4]> {
        let mut strides: SmallVec<[usize; 4]> = SmallVec::from_elem(1, self.rank());
        for i in (1..self.rank()).rev() {
            strides[i - 1] = strides[i].wrapping_mul(self.0[i].max(1));
        }
        strides
    }

    /// A copy with axis `axis` of length `n`. The axis must exist.
    pub fn with_axis(&self, axis: usize, n: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = n;
        shape
    }

    /// A copy without the axes in `axes` (which may hold any numbers; others are kept).
    pub fn without(&self, axes: &[usize]) -> Shape {
        self.0.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &n)| n).collect()
    }

    /// The axes in `axes` set to length 1.
    pub fn keeping(&self, axes: &[usize]) -> Shape {
        self.0.iter().enumerate().map(|(i, &n)| if axes.contains(&i) { 1 } else { n }).collect()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Self {
        Shape(iter.into_iter().collect())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(axes: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&axes))
    }
}

impl From<&[usize]> for Shape {
    fn from(axes: &[usize]) -> Self {
        Shape(SmallVec::from_slice(axes))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(axes: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(axes))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, n) in self.0.iter().enumerate() {
            write!(f, "{}{n}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_checked() {
        assert_eq!(Shape::scalar().checked_numel(), Some(1));
        assert_eq!(Shape::from([3, 0]).checked_numel(), Some(0));
        assert_eq!(Shape::from([1 << 40, 1 << 40]).checked_numel(), None);
        assert_eq!(Shape::from([1 << 40, 1 << 40, 0]).checked_numel(), None);
    }

    #[test]
    fn broadcasting_aligns_trailing_axes() {
        let b = |a: &[usize], b: &[usize]| Shape::from(a).broadcast(&Shape::from(b));
        assert_eq!(b(&[], &[2, 3]), Some([2, 3].into()));
        assert_eq!(b(&[2, 1], &[3]), Some([2, 3].into()));
        assert_eq!(b(&[0], &[1]), Some([0].into()));
        assert_eq!(b(&[0], &[2]), None);
    }

    #[test]
    fn strides_are_row_major() {
        assert_eq!(Shape::from([2, 3, 4]).strides().as_slice(), [12, 4, 1]);
        assert_eq!(Shape::scalar().strides().as_slice(), [0usize; 0]);
    }
}
