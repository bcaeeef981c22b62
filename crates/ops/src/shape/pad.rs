//! Pad: a constant around a value.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::shape::slice::{Range, Slice};

/// `y` is `x` with `value` before and after it along every axis.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) a pair of widths for each axis |
/// | `y` | `before + n + after` | as `x` | |
///
/// **Gradient** `dx` is the inner part of `dy`.
/// **Numerics** integers and booleans take the value cut off to an integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pad {
    widths: Box<[(usize, usize)]>,
    #[serde(default, skip_serializing_if = "is_zero")]
    value: Real,
}

/// Is it what is left out of the text?
fn is_zero(value: &Real) -> bool {
    *value == Real(0.0)
}

impl Pad {
    /// Zeros before and after, for every axis.
    pub fn new(widths: &[(usize, usize)]) -> Pad {
        Pad::with(widths, 0.0)
    }

    /// `value` before and after, for every axis.
    pub fn with(widths: &[(usize, usize)], value: f64) -> Pad {
        Pad { widths: widths.into(), value: Real(value) }
    }

    /// How much is before and after, for every axis.
    pub fn widths(&self) -> &[(usize, usize)] {
        &self.widths
    }

    /// What is around the operand.
    pub fn value(&self) -> f64 {
        self.value.0
    }
}

impl<'g> Var<'g> {
    /// Zeros before and after, for every axis; see [`Pad`]. Other modes: [`Var::pad_with`].
    #[track_caller]
    pub fn pad(self, widths: &[(usize, usize)]) -> Var<'g> {
        self.record(Pad::new(widths), &[self])
    }
}

impl Primitive<1> for Pad {
    const NAME: &'static str = "pad";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        if self.widths.len() != x.rank() {
            let why = format!("{} pairs of widths for {} axes", self.widths.len(), x.rank());
            return Err(TypeError::Attribute(why)); // (C1)
        }
        let sum = |(w, &n): (&(usize, usize), &usize)| n.checked_add(w.0)?.checked_add(w.1);
        let shape: Option<Shape> = self.widths.iter().zip(&x.shape()[..]).map(sum).collect();
        let why = || TypeError::Attribute("an axis would be longer than can be counted".into());
        Ok(x.with_shape(shape.ok_or_else(why)?)?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let shape = x.shape();
        let inner = |i: &[usize]| -> Option<Vec<usize>> {
            let at = i.iter().zip(&self.widths).zip(&shape[..]);
            at.map(|((i, w), &n)| i.checked_sub(w.0).filter(|&i| i < n)).collect()
        };
        Ok(movement_or(x, y, self.value.0, inner))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let inner =
            |(w, &n): (&(usize, usize), &usize)| Range { start: w.0, stop: w.0 + n, step: 1 };
        let ranges: Vec<Range> = self.widths.iter().zip(&x.shape()[..]).map(inner).collect();
        dy.record(Slice::new(&ranges), &[dy]).into()
    }

    /// Zeros around the tangent, whatever the value.
    fn jvp<'g>(&self, _: [Var<'g>; 1], _: Var<'g>, [dx]: [Option<Var<'g>>; 1]) -> Tangent<'g> {
        dx.map_or(Tangent::Zero, |dx| Tangent::Flow(dx.pad(&self.widths)))
    }

    /// Nothing around it: the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        let none = self.widths.iter().all(|&w| w == (0, 0));
        if none { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        let before = self.widths.iter().map(|w| w.0).collect();
        Lowering::Pad { before, value: self.value.0 }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::elementwise(&x, y, 0)
    }

    fn axes(&self, [_]: [&Type; 1], _: &Type) -> AxisRelations {
        let same = |(axis, w): (usize, &(usize, usize))| {
            if *w == (0, 0) { Axis::Same(axis) } else { Axis::Opaque }
        };
        AxisRelations(vec![self.widths.iter().enumerate().map(same).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let width = |i: usize| (dims.pick(2 * i as u64, 3), dims.pick(2 * i as u64 + 1, 3));
        let widths: Vec<(usize, usize)> = (0..dims.shape.rank()).map(width).collect();
        let of = |dtype| dims.of(dtype, dims.shape.clone());
        let low = Pad::with(&widths, f64::NEG_INFINITY);
        vec![
            Sample::new(Pad::new(&widths), [dims.float()]),
            Sample::new(Pad::with(&widths, -1.5), [dims.float()]),
            Sample::new(low, [dims.float()]).values_only(),
            Sample::new(Pad::with(&widths, -3.0), [of(DType::I64)]),
            Sample::new(Pad::with(&widths, 1.0), [of(DType::Bool)]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::Pad;
    use crate::prelude::*;

    #[test]
    fn zeros_go_around() {
        let g = Graph::new();
        let x = g.input("x", F32, [1, 2]);
        let y = x.pad(&[(1, 0), (0, 1)]);
        let at = Tensor::new([1, 2], vec![1.0f32, 2.0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [0.0, 0.0, 0.0, 1.0, 2.0, 0.0]);
        assert_eq!(x.pad(&[(0, 0), (0, 0)]).id(), x.id());
        assert!(x.pad(&[(1, 1)]).ok().is_err()); // (C1)
        assert!(x.pad(&[(usize::MAX, 1), (0, 0)]).ok().is_err());
    }

    #[test]
    fn the_value_is_in_the_text_and_not_in_the_tangent() {
        let g = Graph::new();
        let x = g.input("x", F64, [1]);
        let y = x.record(Pad::with(&[(1, 0)], 2.5), &[x]);
        assert_eq!(g.op(y.id()).to_string(), "pad(widths:[(1,0)],value:2.5)");
        assert_eq!(g.op(x.pad(&[(1, 0)]).id()).to_string(), "pad(widths:[(1,0)])");
        let at = Tensor::new([1], vec![7.0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [2.5, 7.0]);
        let dy = g.jvp_of(y, &[(x, x)]);
        assert_eq!(dy.eval(&[&at]).unwrap().to_f64s(), [0.0, 7.0]);
    }
}
