//! Axes that come, go, join, part and change places: no element moves.

use pleach_graph::TypeError;
use pleach_tensor::Shape;

use crate::{Lengths, Permute, Var};

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
    pub(crate) fn new_axis(self, axis: i64) -> Result<usize, TypeError> {
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

    /// Without any axis of length 1.
    #[track_caller]
    pub fn squeeze_all(self) -> Var<'g> {
        self.reshape(self.shape().iter().copied().filter(|&n| n != 1).collect::<Shape>())
    }

    /// All axes from `axis` on joined into one: `[B, C, H, W]` from 1 is `[B, C·H·W]`. A scalar
    /// becomes a vector of one element.
    #[track_caller]
    pub fn flatten(self, axis: i64) -> Var<'g> {
        self.flatten_axes(axis, -1)
    }

    /// The axes from `first` to `last`, both included, joined into one. A scalar becomes a vector
    /// of one element.
    #[track_caller]
    pub fn flatten_axes(self, first: i64, last: i64) -> Var<'g> {
        let shape = self.shape();
        let one = if shape.rank() == 0 { self.unsqueeze(0) } else { self };
        match (one.axis(first), one.axis(last)) {
            (Ok(first), Ok(last)) if first <= last => {
                let joined = one.shape()[first..=last].iter().product();
                let (before, after) = (&one.shape()[..first], &one.shape()[last + 1..]);
                let axes = before.iter().chain([&joined]).chain(after).copied();
                self.reshape(axes.collect::<Shape>())
            }
            (Ok(first), Ok(last)) => {
                let why = format!("the first axis, {first}, comes after the last, {last}");
                self.refuse("flatten", &[self], TypeError::Attribute(why))
            }
            (Err(reason), _) | (_, Err(reason)) => self.refuse("flatten", &[self], reason),
        }
    }

    /// One axis parted into several, whose lengths multiply to its own; one of them may be `-1`:
    /// whatever is left.
    #[track_caller]
    pub fn unflatten(self, axis: i64, lengths: impl Lengths) -> Var<'g> {
        let parts = self.axis(axis).and_then(|axis| {
            let n = self.shape()[axis];
            let parts = lengths.lengths(n)?;
            match parts.checked_numel() {
                Some(product) if product == n => Ok((axis, parts)),
                product => {
                    let (left, right) = (product.unwrap_or(usize::MAX), n);
                    Err(TypeError::Sizes { what: "product of lengths and axis", left, right })
                }
            }
        });
        match parts {
            Ok((axis, parts)) => {
                let shape = self.shape();
                let (before, after) = (&shape[..axis], &shape[axis + 1..]);
                let axes = before.iter().chain(&parts[..]).chain(after).copied();
                self.reshape(axes.collect::<Shape>())
            }
            Err(reason) => self.refuse("unflatten", &[self], reason),
        }
    }

    /// Axis `from[i]` moved to place `to[i]`; the others keep their order.
    #[track_caller]
    pub fn movedim(self, from: &[i64], to: &[i64]) -> Var<'g> {
        let distinct = |axes: &[i64]| -> Result<Vec<usize>, TypeError> {
            let axes = axes.iter().map(|&a| self.axis(a)).collect::<Result<Vec<_>, _>>()?;
            match axes.iter().enumerate().find(|(i, a)| axes[..*i].contains(a)) {
                Some((_, axis)) => Err(TypeError::Attribute(format!("axis {axis} is named twice"))),
                None => Ok(axes),
            }
        };
        let order = distinct(from).and_then(|from| {
            let to = distinct(to)?;
            if from.len() != to.len() {
                let (left, right) = (from.len(), to.len());
                return Err(TypeError::Sizes { what: "numbers of axes", left, right });
            }
            let rank = self.shape().rank();
            let mut rest = (0..rank).filter(|axis| !from.contains(axis));
            let source = |place| match to.iter().position(|&p| p == place) {
                Some(i) => Some(from[i]),
                None => rest.next(),
            };
            Ok((0..rank).filter_map(source).collect::<Vec<usize>>())
        });
        match order {
            Ok(order) => self.record(Permute::new(&order), &[self]),
            Err(reason) => self.refuse("movedim", &[self], reason),
        }
    }

    /// Two axes exchanged: NumPy's name for [`Var::transpose`].
    #[track_caller]
    pub fn swapaxes(self, a: i64, b: i64) -> Var<'g> {
        self.transpose(a, b)
    }

    /// Repeated to a shape, as [`Var::broadcast_to`]; a length of `-1` keeps that of the axis.
    #[track_caller]
    pub fn expand(self, lengths: &[i64]) -> Var<'g> {
        let own = self.shape();
        let added = lengths.len().saturating_sub(own.rank());
        let length = |(i, &n): (usize, &i64)| match usize::try_from(n) {
            Ok(n) => Ok(n),
            Err(_) if n == -1 && i >= added && lengths.len() >= own.rank() => Ok(own[i - added]),
            Err(_) => {
                let why = format!("lengths {lengths:?} for a value of shape {own}");
                Err(TypeError::Attribute(why))
            }
        };
        match lengths.iter().enumerate().map(length).collect::<Result<Shape, _>>() {
            Ok(shape) => self.broadcast_to(shape),
            Err(reason) => self.refuse("expand", &[self], reason),
        }
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
        assert_eq!(x.reshape([1, 2, 1, 3]).squeeze_all().id(), x.id());
        assert!(x.squeeze(0).ok().is_err());
        assert!(x.unsqueeze(4).ok().is_err());
    }

    #[test]
    fn axes_join_and_part() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3, 4]);
        assert_eq!(x.flatten(1).shape(), [2, 12].into());
        assert_eq!(x.flatten_axes(0, -2).shape(), [6, 4].into());
        assert_eq!(g.input("s", F32, []).flatten(0).shape(), [1].into());
        assert!(x.flatten_axes(2, 1).ok().is_err());
        assert_eq!(x.unflatten(-1, [2, -1]).shape(), [2, 3, 2, 2].into());
        assert!(x.unflatten(1, [2, 2]).ok().is_err());
        assert!(x.unflatten(3, [1, -1]).ok().is_err());
    }

    #[test]
    fn axes_change_places() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3, 4, 5]);
        assert_eq!(x.movedim(&[0], &[-1]).shape(), [3, 4, 5, 2].into());
        assert_eq!(x.movedim(&[3, 1], &[0, 3]).shape(), [5, 2, 4, 3].into());
        assert_eq!(x.swapaxes(0, 1).swapaxes(1, 0).id(), x.id());
        assert!(x.movedim(&[0, 0], &[1, 2]).ok().is_err());
        assert!(x.movedim(&[0], &[1, 2]).ok().is_err());
    }

    #[test]
    fn minus_one_keeps_a_length() {
        let g = Graph::new();
        let x = g.input("x", F32, [3, 1]);
        assert_eq!(x.expand(&[2, -1, 4]).shape(), [2, 3, 4].into());
        assert!(x.expand(&[-1, 3, 4]).ok().is_err(), "a new axis has no length to keep");
        assert!(x.expand(&[-1]).ok().is_err());
        assert!(x.expand(&[-2, 1]).ok().is_err());
    }
}
