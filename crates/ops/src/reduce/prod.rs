//! Product over axes.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::reduce::{All, IntoAxes, axes_last, reduction_samples};

/// `y = Π x` over `axes`, which are removed.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `y` | as `x` without `axes` | as `x` | (C2) axes exist, once each, increasing |
///
/// **Gradient** `dx[i] = dy · Π x[j], j ≠ i`, from the products before and after `i`: exact with any
/// number of zeros among the factors, at any order.
/// **Numerics** joined in the fixed tree of sums. Of nothing: 1. Integers wrap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prod {
    axes: Box<[usize]>,
}

impl Prod {
    /// The product over `axes`, increasing.
    pub fn new(axes: &[usize]) -> Prod {
        Prod { axes: axes.into() }
    }

    /// For every element the product of all others, in the shape of `x`.
    fn others<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (line, axis) = x.as_one_axis(&self.axes);
        let before = line.record(CumProd::new(axis, false), &[line]).delayed(axis, false, 1.0);
        let after = line.record(CumProd::new(axis, true), &[line]).delayed(axis, true, 1.0);
        let others = before * after;
        if self.axes.len() == 1 {
            return others;
        }
        let order = axes_last(x.shape().rank(), &self.axes);
        let moved: Shape = order.iter().map(|&a| x.size(a as i64)).collect();
        let place = |a: usize| order.iter().position(|&o| o == a).unwrap_or(a) as i64;
        let back: Vec<i64> = (0..order.len()).map(place).collect();
        others.reshape(moved).permute(&back)
    }
}

impl<'g> Var<'g> {
    /// The product over axes (`-1` is the last), which are removed; see [`Prod`].
    #[track_caller]
    pub fn prod(self, axes: impl IntoAxes) -> Var<'g> {
        self.reduced("prod", axes, |x, axes| x.record(Prod::new(axes), &[x]))
    }

    /// The product of all elements.
    #[track_caller]
    pub fn prod_all(self) -> Var<'g> {
        self.prod(All)
    }
}

impl Primitive<1> for Prod {
    const NAME: &'static str = "prod";

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        require_axes(&self.axes, x.rank())?; // (C2)
        Ok(x.with_shape(x.shape().without(&self.axes))?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        Ok(reduce(x, y, &self.axes, (1.0, |a, b| a * b), (1, i64::wrapping_mul)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy.unreduce(&self.axes, x) * self.others(x)).into()
    }

    fn jvp<'g>(&self, [x]: [Var<'g>; 1], _: Var<'g>, dx: [Option<Var<'g>>; 1]) -> Tangent<'g> {
        let Some(dx) = dx[0] else { return Tangent::Zero };
        let sum = dx.record(Sum::new(&self.axes), &[dx * self.others(x)]);
        Tangent::Flow(sum)
    }

    /// Over no axes it is the operand.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.axes.is_empty() { Simpler::Existing(x.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::Reduce { op: ReduceOp::Prod, axes: SmallVec::from_slice(&self.axes) }
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations::reduced(x.rank(), &self.axes)
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        reduction_samples(dims, DType::I32, Prod::new, || dims.float())
            .map(|s| s.loose(16.0))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn zeros_among_the_factors_leave_every_derivative_exact() {
        let g = Graph::new();
        let x = g.input("x", F64, [3]);
        let y = x.prod(0);
        let dx = g.grad(y, &[x])[0];
        let second = g.hvp(y, x, g.full(F64, [3], 1.0));
        for (at, first, along) in [
            ([2.0, 0.0, 5.0], [0.0, 10.0, 0.0], [5.0, 7.0, 2.0]),
            ([0.0, 3.0, 0.0], [0.0; 3], [3.0, 0.0, 3.0]),
            ([0.0; 3], [0.0; 3], [0.0; 3]),
        ] {
            let at = Tensor::new([3], at.to_vec()).unwrap();
            assert_eq!(dx.eval(&[&at]).unwrap().to_f64s(), first);
            assert_eq!(second.eval(&[&at]).unwrap().to_f64s(), along);
        }
    }

    #[test]
    fn the_product_of_nothing_is_one() {
        let g = Graph::new();
        let y = g.input("x", F32, [2, 0]).prod(1);
        let x = Tensor::new([2, 0], Vec::<f32>::new()).unwrap();
        assert_eq!(y.eval(&[&x]).unwrap().to_f64s(), [1.0, 1.0]);
        assert!(g.input("b", BOOL, [2]).prod(0).ok().is_err()); // (C1)
        assert!(g.input("c", F32, [2]).prod(1).ok().is_err()); // (C2)
    }
}
