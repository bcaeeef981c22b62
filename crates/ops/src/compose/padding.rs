//! Padding beyond zeros, and cropping.

use pleach_graph::TypeError;
use pleach_tensor::{Tensor, Type};

use crate::{Pad, Var};

/// What goes around a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// This number.
    Constant(f64),
    /// The value mirrored at its first and last element, which are not repeated.
    Reflect,
    /// The first and the last element.
    Replicate,
    /// The other end of the value.
    Circular,
}

impl<'g> Var<'g> {
    /// Padded before and after along the last `widths.len()` axes, in the order of the axes.
    /// Negative widths crop.
    ///
    /// | mode | width at most |
    /// |---|---|
    /// | `Constant` | any |
    /// | `Reflect` | length - 1 |
    /// | `Replicate` | any, of at least one element |
    /// | `Circular` | length, after cropping |
    ///
    /// ```
    /// # use pleach_ops::prelude::*;
    /// let g = Graph::new();
    /// let x = g.constant(Tensor::new([3], vec![1.0, 2.0, 3.0])?);
    /// let y = x.pad_with(&[(2, 1)], PadMode::Reflect);
    /// assert_eq!(y.eval(&[])?.to_f64s(), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn pad_with(self, widths: &[(i64, i64)], mode: PadMode) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("pad", &[self]) };
        let Some(first) = ty.rank().checked_sub(widths.len()) else {
            let why = format!("{} pairs of widths for {} axes", widths.len(), ty.rank());
            return self.refuse("pad", &[self], TypeError::Attribute(why));
        };
        let axes = || widths.iter().enumerate().map(|(i, &w)| (first + i, w));
        match mode {
            PadMode::Constant(value) => {
                let scalar = Type::scalar(ty.dtype());
                let held = Tensor::full(&scalar, value).item() == Some(value);
                if !held && !ty.dtype().is_float() {
                    let why = format!("{value} is not a value of type {}", ty.dtype());
                    return self.refuse("pad", &[self], TypeError::Attribute(why));
                }
                let inner = axes().fold(self, |x, (axis, w)| x.crop(axis, w));
                let mut around = vec![(0, 0); ty.rank()];
                axes().for_each(|(axis, w)| around[axis] = positive(w));
                inner.record(Pad::with(&around, value), &[inner])
            }
            PadMode::Circular => axes().fold(self, |x, (axis, w)| x.crop(axis, w).wrap(axis, w)),
            PadMode::Reflect => axes().fold(self, |x, (axis, w)| x.mirror(axis, w).crop(axis, w)),
            PadMode::Replicate => axes().fold(self, |x, (axis, w)| x.hold(axis, w).crop(axis, w)),
        }
    }

    /// Without what negative widths take away.
    #[track_caller]
    fn crop(self, axis: usize, (before, after): (i64, i64)) -> Var<'g> {
        let (before, after) = positive((before.saturating_neg(), after.saturating_neg()));
        let n = self.size(axis as i64);
        match n.checked_sub(before).and_then(|n| n.checked_sub(after)) {
            Some(length) => self.slice(axis as i64, before..before + length),
            None => self.too_wide("an axis is cropped to less than nothing".into()),
        }
    }

    /// The value between two parts along an axis; parts of no element are left out.
    #[track_caller]
    fn between(self, before: Var<'g>, after: Var<'g>, axis: usize) -> Var<'g> {
        let axis = axis as i64;
        let all = [before, self, after];
        let kept: Vec<Var<'g>> = all
            .iter()
            .enumerate()
            .filter(|(i, v)| *i == 1 || v.size(axis) > 0)
            .map(|(_, v)| *v)
            .collect();
        kept[0].concat(&kept[1..], axis)
    }

    #[track_caller]
    fn wrap(self, axis: usize, widths: (i64, i64)) -> Var<'g> {
        let (before, after) = positive(widths);
        let n = self.size(axis as i64);
        if before > n || after > n {
            return self.too_wide(format!("an axis of {n} is padded around more than once"));
        }
        let part = |range| self.slice(axis as i64, range);
        self.between(part(n - before..n), part(0..after), axis)
    }

    #[track_caller]
    fn mirror(self, axis: usize, widths: (i64, i64)) -> Var<'g> {
        let (before, after) = positive(widths);
        let n = self.size(axis as i64);
        if (before, after) == (0, 0) {
            return self;
        }
        if before >= n || after >= n {
            return self.too_wide(format!("an axis of {n} is reflected beyond its other end"));
        }
        let part = |range| self.slice(axis as i64, range).flip(axis as i64);
        self.between(part(1..before + 1), part(n - 1 - after..n - 1), axis)
    }

    #[track_caller]
    fn hold(self, axis: usize, widths: (i64, i64)) -> Var<'g> {
        let (before, after) = positive(widths);
        let n = self.size(axis as i64);
        if (before, after) == (0, 0) {
            return self;
        }
        if n == 0 {
            return self.too_wide("an axis of no element has none to repeat".into());
        }
        let part = |at: usize, width| {
            let edge = self.slice(axis as i64, at..at + 1);
            edge.broadcast_to(edge.shape().with_axis(axis, width))
        };
        self.between(part(0, before), part(n - 1, after), axis)
    }

    #[track_caller]
    fn too_wide(self, why: String) -> Var<'g> {
        self.refuse("pad", &[self], TypeError::Attribute(why))
    }
}

/// Widths that pad; those that crop are 0.
fn positive((before, after): (i64, i64)) -> (usize, usize) {
    (usize::try_from(before).unwrap_or(0), usize::try_from(after).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn three(f: impl for<'g> FnOnce(Var<'g>) -> Var<'g>) -> Vec<f64> {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        f(x).eval(&[&Tensor::new([3], vec![1.0, 2.0, 3.0]).unwrap()]).unwrap().to_f64s()
    }

    #[test]
    fn every_mode_has_its_surroundings() {
        use PadMode::*;
        let pad = |mode| three(|x| x.pad_with(&[(2, 1)], mode));
        assert_eq!(pad(Constant(-9.0)), [-9.0, -9.0, 1.0, 2.0, 3.0, -9.0]);
        assert_eq!(pad(Reflect), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
        assert_eq!(pad(Replicate), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(pad(Circular), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
    }

    #[test]
    fn negative_widths_crop() {
        use PadMode::*;
        let crop = |mode| three(|x| x.pad_with(&[(-1, 2)], mode));
        assert_eq!(crop(Constant(0.0)), [2.0, 3.0, 0.0, 0.0]);
        assert_eq!(crop(Reflect), [2.0, 3.0, 2.0, 1.0]);
        assert_eq!(crop(Replicate), [2.0, 3.0, 3.0, 3.0]);
        assert_eq!(crop(Circular), [2.0, 3.0, 2.0, 3.0]);
        assert_eq!(three(|x| x.pad_with(&[(-1, -2)], Constant(0.0))), [0.0; 0]);
    }

    #[test]
    fn what_is_too_wide_is_refused() {
        use PadMode::*;
        let g = Graph::new();
        let x = g.input("x", F32, [3]);
        let refused = |widths: &[(i64, i64)], mode| x.pad_with(widths, mode).ok().is_err();
        assert!(refused(&[(-2, -2)], Constant(0.0)));
        assert!(refused(&[(i64::MIN, 0)], Constant(0.0)));
        assert!(refused(&[(i64::MAX, i64::MAX)], Constant(0.0)));
        assert!(refused(&[(3, 0)], Reflect));
        assert!(refused(&[(0, 4)], Circular));
        assert!(refused(&[(0, 0), (0, 0)], Reflect));
        assert!(x.slice(0, 0..0).pad_with(&[(1, 0)], Replicate).ok().is_err());
        let i = g.input("i", U8, [3]);
        assert!(i.pad_with(&[(1, 1)], Constant(0.5)).ok().is_err());
        assert!(i.pad_with(&[(1, 1)], Constant(255.0)).ok().is_ok());
    }
}
