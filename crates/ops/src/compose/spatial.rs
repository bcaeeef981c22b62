//! What convolution and pooling are told about spatial axes.

use pleach_graph::TypeError;
use smallvec::{SmallVec, smallvec};

use crate::Var;

/// A number for every spatial axis: one for all, or one each.
///
/// ```
/// use pleach_ops::PerAxis;
/// assert_eq!(PerAxis::from(2).numbers("stride", 3)?, [2, 2, 2]);
/// assert_eq!(PerAxis::from([2, 1]).numbers("stride", 2)?, [2, 1]);
/// assert!(PerAxis::from([2, 1]).numbers("stride", 3).is_err());
/// # Ok::<(), pleach_ops::prelude::TypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PerAxis(SmallVec<[usize; 3]>);

impl PerAxis {
    /// The numbers of `n` axes. `what` names them in errors.
    ///
    /// # Errors
    /// [`TypeError::Attribute`] if there are neither 1 nor `n`.
    pub fn numbers(&self, what: &str, n: usize) -> Result<Vec<usize>, TypeError> {
        match self.0.as_slice() {
            [one] => Ok(vec![*one; n]),
            each if each.len() == n => Ok(each.to_vec()),
            each => Err(numbers_of(what, each.len(), n)),
        }
    }
}

fn numbers_of(what: &str, got: usize, n: usize) -> TypeError {
    TypeError::Attribute(format!("{what}: {got} numbers for {n} spatial axes"))
}

impl From<usize> for PerAxis {
    fn from(all: usize) -> PerAxis {
        PerAxis(smallvec![all])
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis {
    fn from(each: [usize; N]) -> PerAxis {
        each[..].into()
    }
}

impl From<&[usize]> for PerAxis {
    fn from(each: &[usize]) -> PerAxis {
        PerAxis(each.into())
    }
}

impl From<Vec<usize>> for PerAxis {
    fn from(each: Vec<usize>) -> PerAxis {
        each[..].into()
    }
}

/// Zeros around the spatial axes of a value.
///
/// Made of one number for all sides, a number for each axis, or a pair `(before, after)` for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// As many on both sides of an axis.
    Both(PerAxis),
    /// So many before and after, for each axis.
    Sides(Vec<(usize, usize)>),
    /// As many as give the result the lengths of the operand; strides must be 1. Where their number
    /// is odd, the one more is after.
    Same,
}

impl Padding {
    /// None: windows lie within the value.
    pub fn valid() -> Padding {
        Padding::from(0)
    }

    /// Zeros before and after each of some axes, whose windows reach so far and are so far apart.
    pub(crate) fn sides(
        &self,
        reach: &[usize],
        stride: &[usize],
    ) -> Result<Vec<(usize, usize)>, TypeError> {
        let n = reach.len();
        match self {
            Padding::Both(widths) => {
                Ok(widths.numbers("padding", n)?.into_iter().map(|w| (w, w)).collect())
            }
            Padding::Sides(pairs) if pairs.len() == n => Ok(pairs.clone()),
            Padding::Sides(pairs) => Err(numbers_of("padding", pairs.len(), n)),
            Padding::Same if stride.iter().all(|&s| s == 1) => {
                Ok(reach.iter().map(|&r| (r / 2, r - r / 2)).collect())
            }
            Padding::Same => {
                let why = format!("padding of kind same needs strides of 1, got {stride:?}");
                Err(TypeError::Attribute(why))
            }
        }
    }
}

impl From<usize> for Padding {
    fn from(all: usize) -> Padding {
        Padding::Both(all.into())
    }
}

impl<const N: usize> From<[usize; N]> for Padding {
    fn from(each: [usize; N]) -> Padding {
        Padding::Both(each.into())
    }
}

impl From<&[usize]> for Padding {
    fn from(each: &[usize]) -> Padding {
        Padding::Both(each.into())
    }
}

impl From<Vec<usize>> for Padding {
    fn from(each: Vec<usize>) -> Padding {
        Padding::Both(each.into())
    }
}

impl<const N: usize> From<[(usize, usize); N]> for Padding {
    fn from(sides: [(usize, usize); N]) -> Padding {
        Padding::Sides(sides.to_vec())
    }
}

/// `dilation · (size - 1)`: how far a window reaches.
pub(crate) fn reach(size: usize, dilation: usize) -> Result<usize, TypeError> {
    let why = || TypeError::Attribute("a window must have an element, and a length".into());
    size.checked_sub(1).and_then(|n| n.checked_mul(dilation)).ok_or_else(why)
}

/// The product, or the largest number if it cannot be counted: a shape with it is refused.
pub(crate) fn product(lengths: &[usize]) -> usize {
    lengths.iter().fold(1, |p, &n| p.saturating_mul(n))
}

impl<'g> Var<'g> {
    /// With a batch axis in front, if the value lacks one: `rank` is that with a batch.
    #[track_caller]
    pub(crate) fn batched(self, rank: usize) -> Var<'g> {
        if self.shape().rank() + 1 == rank { self.unsqueeze(0) } else { self }
    }

    /// Without the batch axis that [`Var::batched`] put in front of `x`.
    #[track_caller]
    pub(crate) fn unbatched(self, x: Var<'g>, rank: usize) -> Var<'g> {
        if x.shape().rank() + 1 == rank { self.squeeze(0) } else { self }
    }

    /// Zeros around the last axes.
    #[track_caller]
    pub(crate) fn pad_last(self, sides: &[(usize, usize)]) -> Var<'g> {
        let lead = self.shape().rank() - sides.len();
        self.pad(&[&vec![(0, 0); lead], sides].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_one_after() {
        assert_eq!(Padding::Same.sides(&[3, 2], &[1, 1]), Ok(vec![(1, 2), (1, 1)]));
        assert!(Padding::Same.sides(&[3], &[2]).is_err());
        assert_eq!(Padding::from([1, 2]).sides(&[0, 0], &[1, 1]), Ok(vec![(1, 1), (2, 2)]));
        assert_eq!(Padding::from([(1, 2)]).sides(&[0], &[3]), Ok(vec![(1, 2)]));
        assert!(Padding::from([(1, 2)]).sides(&[0, 0], &[3, 3]).is_err());
        assert!(reach(0, 1).is_err() && reach(3, usize::MAX).is_err());
    }
}
