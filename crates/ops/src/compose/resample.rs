//! Resampling: values between elements.

use pleach_graph::TypeError;
use pleach_tensor::{Tensor, Type};

use crate::{GraphExt, Var};

/// How a value between elements is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Interpolation {
    /// The element at `⌊i · ratio⌋`.
    #[default]
    Nearest,
    /// The element nearest to the centre: at `⌊(i + 1/2) · ratio⌋`.
    NearestExact,
    /// Linear between two neighbours along every axis (bilinear over two axes, trilinear over three).
    Linear,
    /// Cubic convolution of four neighbours along every axis, with `a = -3/4`.
    Cubic,
    /// The mean of what a new element covers: adaptive average pooling.
    Area,
}

/// The lengths that the last axes get, and how.
///
/// ```
/// use pleach_ops::{Interpolation, Resize, prelude::*};
/// let g = Graph::new();
/// let x = g.input("x", F32, [8, 3, 10, 10]);
/// let twice = x.resize(&Resize::by([2.0, 2.0]).mode(Interpolation::Linear));
/// assert_eq!(twice.shape(), [8, 3, 20, 20].into());
/// assert_eq!(x.resize(&Resize::to([7, 9])).shape(), [8, 3, 7, 9].into());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Lengths of the last axes.
    pub target: ResizeTo,
    /// How values are found.
    pub mode: Interpolation,
    /// Are the first and the last element of both values at the same place? If not (and if nothing
    /// is said), their outer edges are. For [`Interpolation::Linear`] and [`Interpolation::Cubic`].
    pub align_corners: bool,
    /// Is the ratio that of the lengths, instead of the factor given? Not if nothing is said.
    pub recompute_scale_factor: bool,
}

/// The lengths that axes get.
#[derive(Clone, Debug, PartialEq)]
pub enum ResizeTo {
    /// These lengths.
    Lengths(Vec<usize>),
    /// The lengths there are, times these factors, rounded down.
    Factors(Vec<f64>),
}

impl Resize {
    fn new(target: ResizeTo) -> Resize {
        let mode = Interpolation::default();
        Resize { target, mode, align_corners: false, recompute_scale_factor: false }
    }

    /// To these lengths, one for each of the last axes.
    pub fn to(lengths: impl Into<Vec<usize>>) -> Resize {
        Resize::new(ResizeTo::Lengths(lengths.into()))
    }

    /// By these factors, one for each of the last axes.
    pub fn by(factors: impl Into<Vec<f64>>) -> Resize {
        Resize::new(ResizeTo::Factors(factors.into()))
    }

    /// How values are found.
    #[must_use]
    pub fn mode(self, mode: Interpolation) -> Resize {
        Resize { mode, ..self }
    }

    /// Puts the first and the last element of both values at the same place.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Resize {
        Resize { align_corners, ..self }
    }

    /// Takes the ratio of the lengths, instead of the factor.
    #[must_use]
    pub fn recompute_scale_factor(self, recompute_scale_factor: bool) -> Resize {
        Resize { recompute_scale_factor, ..self }
    }

    /// For each of the last axes of a value: its length, the new one, and how far the old elements
    /// are apart in new ones.
    fn along(&self, x: Var<'_>) -> Result<Vec<Along>, TypeError> {
        let shape = x.shape();
        let n = match &self.target {
            ResizeTo::Lengths(lengths) => lengths.len(),
            ResizeTo::Factors(factors) => factors.len(),
        };
        let wrong = |why: String| Err(TypeError::Attribute(why));
        if n == 0 || n > shape.rank() {
            return wrong(format!("{n} axes of {shape} cannot be resized"));
        }
        let lead = shape.rank() - n;
        let mut along = Vec::new();
        for i in 0..n {
            let len = shape[lead + i];
            let (new, factor) = match &self.target {
                ResizeTo::Lengths(lengths) => (lengths[i], None),
                ResizeTo::Factors(factors) => {
                    let length = len as f64 * factors[i];
                    if !(0.0..1e15).contains(&length) {
                        return wrong(format!("a factor of {} is no size", factors[i]));
                    }
                    (length as usize, Some(factors[i]).filter(|_| !self.recompute_scale_factor))
                }
            };
            if len == 0 || new == 0 {
                return wrong(format!("an axis of length {len} cannot get length {new}"));
            }
            let ratio = match factor {
                _ if self.align_corners && new == 1 => 0.0,
                _ if self.align_corners => (len as f64 - 1.0) / (new as f64 - 1.0),
                Some(factor) => 1.0 / factor,
                None => len as f64 / new as f64,
            };
            along.push(Along { len, new, ratio });
        }
        let new = along.iter().map(|a| a.new);
        let new: Vec<usize> = shape[..lead].iter().copied().chain(new).collect();
        Type::new(x.dtype(), new)?;
        Ok(along)
    }
}

#[derive(Clone, Copy)]
struct Along {
    len: usize,
    new: usize,
    ratio: f64,
}

/// An element and its weight, for every new element.
type Tap = Vec<(usize, f64)>;

impl Along {
    /// The element nearest to each new one. PyTorch counts in single precision, and rounding decides.
    fn nearest(&self, shift: f32) -> Vec<i64> {
        let last = self.len as i64 - 1;
        let at = |i: usize| ((i as f32 + shift) * self.ratio as f32).floor() as i64;
        (0..self.new).map(|i| at(i).min(last)).collect()
    }

    /// Where new element `i` lies among the old ones.
    fn place(&self, i: usize, align_corners: bool) -> f64 {
        let i = i as f64;
        if align_corners { i * self.ratio } else { (i + 0.5) * self.ratio - 0.5 }
    }

    fn linear(&self, align_corners: bool) -> Vec<Tap> {
        let last = self.len - 1;
        let neighbours = |i: usize| {
            let place = self.place(i, align_corners).max(0.0);
            let low = (place as usize).min(last);
            let right = (place - low as f64).clamp(0.0, 1.0);
            [(low, 1.0 - right), ((low + 1).min(last), right)]
        };
        let all: Vec<[(usize, f64); 2]> = (0..self.new).map(neighbours).collect();
        (0..2).map(|k| all.iter().map(|taps| taps[k]).collect()).collect()
    }

    /// **Source** Keys 1981, eq. 4, with `a = -3/4`.
    fn cubic(&self, align_corners: bool) -> Vec<Tap> {
        let near = |x: f64| ((1.25 * x - 2.25) * x * x) + 1.0;
        let far = |x: f64| ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0;
        let last = self.len as f64 - 1.0;
        let neighbours = |i: usize| {
            let place = self.place(i, align_corners);
            let low = place.floor();
            let t = place - low;
            let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
            let at = |k: usize| ((low + k as f64 - 1.0).clamp(0.0, last) as usize, weights[k]);
            [at(0), at(1), at(2), at(3)]
        };
        let all: Vec<[(usize, f64); 4]> = (0..self.new).map(neighbours).collect();
        (0..4).map(|k| all.iter().map(|taps| taps[k]).collect()).collect()
    }
}

impl<'g> Var<'g> {
    /// The last axes at other lengths, by interpolation along each of them; see [`Resize`] and
    /// [`Interpolation`]. It is PyTorch's `interpolate`, without antialiasing.
    #[track_caller]
    pub fn resize(self, options: &Resize) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("resize", &[self]);
        }
        let takes = matches!(options.mode, Interpolation::Nearest | Interpolation::NearestExact);
        let float = if takes { Ok(()) } else { self.require_mean() };
        let along = match float.and_then(|()| options.along(self)) {
            Ok(along) => along,
            Err(reason) => return self.refuse("resize", &[self], reason),
        };
        let _at = self.graph().at();
        let (lead, align) = (self.shape().rank() - along.len(), options.align_corners);
        let mut y = self;
        for (axis, a) in along.iter().enumerate().rev() {
            let axis = lead + axis;
            y = match options.mode {
                Interpolation::Area => {
                    let lengths: Vec<usize> = along.iter().map(|a| a.new).collect();
                    return self.adaptive_avg_pool(&lengths);
                }
                Interpolation::Nearest => y.taken_at(axis, a.nearest(0.0)),
                Interpolation::NearestExact => y.taken_at(axis, a.nearest(0.5)),
                Interpolation::Linear => y.blended(axis, &a.linear(align)),
                Interpolation::Cubic => y.blended(axis, &a.cubic(align)),
            };
        }
        y
    }

    /// Elements along an axis, by number.
    #[track_caller]
    fn taken_at(self, axis: usize, places: Vec<i64>) -> Var<'g> {
        match Tensor::new([places.len()], places) {
            Ok(places) => self.take(axis as i64, self.graph().constant(places)),
            Err(error) => self.refuse("resize", &[self], TypeError::Attribute(error.to_string())),
        }
    }

    /// Weighted sums of elements along an axis.
    #[track_caller]
    fn blended(self, axis: usize, taps: &[Tap]) -> Var<'g> {
        let rank = self.shape().rank();
        let term = |tap: &Tap| {
            let taken = self.taken_at(axis, tap.iter().map(|t| t.0 as i64).collect());
            let mut shape = vec![1; rank];
            shape[axis] = tap.len();
            match Type::new(self.dtype(), shape) {
                Ok(ty) => taken * self.graph().constant(Tensor::build(&ty, |i| tap[i].1)),
                Err(error) => self.refuse("resize", &[self], TypeError::TooLarge(error)),
            }
        };
        let sum = taps.iter().map(term).reduce(|a, b| a + b);
        sum.unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_line_by_hand() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let at = Tensor::new([3], vec![0.0, 2.0, 6.0]).unwrap();
        let value = |r: Resize| x.resize(&r).eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(Resize::to([6])), [0.0, 0.0, 2.0, 2.0, 6.0, 6.0]);
        assert_eq!(value(Resize::to([2]).mode(Interpolation::NearestExact)), [0.0, 6.0]);
        let linear = Resize::to([5]).mode(Interpolation::Linear);
        assert_eq!(value(linear.clone().align_corners(true)), [0.0, 1.0, 2.0, 4.0, 6.0]);
        let twice = Resize::by([2.0]).mode(Interpolation::Linear);
        assert_eq!(value(twice), [0.0, 0.5, 1.5, 3.0, 5.0, 6.0]);
        assert_eq!(value(Resize::to([1]).mode(Interpolation::Area)), [8.0 / 3.0]);
        let cubic = value(linear.mode(Interpolation::Cubic).align_corners(true));
        assert_eq!((cubic[0], cubic[2], cubic[4]), (0.0, 2.0, 6.0));
        assert!((cubic[1] - (-0.09375 * 6.0 + 0.59375 * 2.0)).abs() < 1e-15, "{cubic:?}");
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        for wrong in [
            Resize::to([]),
            Resize::to([0]),
            Resize::to([1, 1, 1]),
            Resize::to([usize::MAX]),
            Resize::by([f64::NAN]),
            Resize::by([-1.0]),
            Resize::by([1e300]),
            Resize::by([0.1]),
        ] {
            assert!(x.resize(&wrong).ok().is_err(), "{wrong:?}");
        }
        let i = g.input("i", I64, [3]);
        assert!(i.resize(&Resize::to([6])).ok().is_ok());
        assert!(i.resize(&Resize::to([6]).mode(Interpolation::Linear)).ok().is_err());
    }
}
