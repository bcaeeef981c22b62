//! Permute: axes in another order.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// Axis `i` of `y` is axis `order[i]` of `x`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) `order` holds every axis once |
/// | `y` | permuted | as `x` | |
///
/// **Gradient** `dx = permute(dy)` by the inverse order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permute {
    order: Box<[usize]>,
}

impl Permute {
    /// Axis `i` of the result is axis `order[i]` of the operand.
    pub fn new(order: &[usize]) -> Permute {
        Permute { order: order.into() }
    }

    /// Axis of the operand for each axis of the result.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The order that undoes this one.
    pub fn inverse(&self) -> Permute {
        let place = |axis| self.order.iter().position(|&a| a == axis).unwrap_or(axis);
        Permute { order: (0..self.order.len()).map(place).collect() }
    }
}

impl<'g> Var<'g> {
    /// Axes in another order: axis `i` of the result is axis `order[i]`; see [`Permute`].
    #[track_caller]
    pub fn permute(self, order: &[i64]) -> Var<'g> {
        let axes: Result<Vec<usize>, _> = order.iter().map(|&a| self.axis(a)).collect();
        match axes {
            Ok(axes) => self.record(Permute::new(&axes), &[self]),
            Err(reason) => self.refuse("permute", &[self], reason),
        }
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(self, a: i64, b: i64) -> Var<'g> {
        match (self.axis(a), self.axis(b)) {
            (Ok(a), Ok(b)) => {
                let mut order: Vec<usize> = (0..self.shape().rank()).collect();
                order.swap(a, b);
                self.record(Permute::new(&order), &[self])
            }
            (Err(reason), _) | (_, Err(reason)) => self.refuse("transpose", &[self], reason),
        }
    }

    /// The last two axes exchanged: the transpose of a matrix. A vector or scalar stays.
    #[track_caller]
    pub fn t(self) -> Var<'g> {
        if self.ty().is_some_and(|ty| ty.rank() < 2) { self } else { self.transpose(-2, -1) }
    }
}

impl Primitive<1> for Permute {
    const NAME: &'static str = "permute";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        let mut sorted = self.order.to_vec();
        sorted.sort_unstable();
        if sorted.len() != x.rank() || sorted.iter().enumerate().any(|(i, &a)| i != a) {
            let why = format!("{:?} is not an order of {} axes", self.order, x.rank());
            return Err(TypeError::Attribute(why)); // (C1)
        }
        Ok(x.with_shape(self.order.iter().map(|&a| x.shape()[a]).collect::<Shape>())?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let inverse = self.inverse();
        Ok(movement(x, y, |i| Some(inverse.order.iter().map(|&a| i[a]).collect())))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.record(self.inverse(), &[dy]).into()
    }

    /// The order that is there already is nothing; of a permute it is one permute.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if self.order.iter().enumerate().all(|(i, &a)| i == a) {
            return Simpler::Existing(x.id());
        }
        let Some(node) = node_if(x, |op| matches!(op, Op::Permute(_))) else {
            return Simpler::Same;
        };
        let Op::Permute(inner) = &node.op else { return Simpler::Same };
        let order: Vec<usize> = self.order.iter().map(|&a| inner.order[a]).collect();
        Simpler::Push(Permute::new(&order).into(), SmallVec::from_iter([node.inputs[0]]))
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Permute(SmallVec::from_slice(&self.order)))
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, _: [&Type; 1], _: &Type) -> AxisRelations {
        AxisRelations(vec![self.inverse().order.iter().map(|&a| Axis::Same(a)).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let order = Key(dims.seed).permutation(dims.shape.rank());
        let bools = dims.of(DType::Bool, dims.shape.clone());
        vec![
            Sample::new(Permute::new(&order), [dims.float()]),
            Sample::new(Permute::new(&order), [bools]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn there_and_back_is_nothing() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3, 4]);
        let y = x.permute(&[2, 0, 1]);
        assert_eq!(y.shape(), [4, 2, 3].into());
        assert_eq!(y.permute(&[1, 2, 0]).id(), x.id());
        assert_eq!(x.t().shape(), [2, 4, 3].into());
        assert_eq!(x.flatten(0).t().shape(), [24].into());
        assert!(x.permute(&[0, 0, 1]).ok().is_err()); // (C1)
    }
}
