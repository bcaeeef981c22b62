//! Concat: values one after the other.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::shape::slice::{Range, Slice};

/// Operands one after the other along `axis`.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x…` | equal but for `axis`, at least one operand | any, equal | (C1) |
/// | `y` | their lengths added along `axis` | as `x` | |
///
/// **Gradient** each operand gets its part of `dy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concat {
    axis: usize,
}

impl Concat {
    /// Along `axis`.
    pub fn new(axis: usize) -> Concat {
        Concat { axis }
    }
}

impl<'g> Var<'g> {
    /// This value, then `others`, along an axis (`-1` is the last); see [`Concat`]. Vectors of no
    /// element are left out where the others are no vectors, as PyTorch does.
    #[track_caller]
    pub fn concat(self, others: &[Var<'g>], axis: i64) -> Var<'g> {
        let all: Vec<Var<'g>> = [&[self], others].concat();
        let empty = |v: &Var<'g>| v.ty().is_some_and(|ty| ty.shape()[..] == [0]);
        let full: Vec<Var<'g>> = all.iter().copied().filter(|v| !empty(v)).collect();
        let leave_out = full.iter().any(|v| v.shape().rank() != 1);
        let parts = if leave_out { full } else { all };
        match parts[0].axis(axis) {
            Ok(axis) => self.record(Concat::new(axis), &parts),
            Err(reason) => self.refuse("concat", &parts, reason),
        }
    }
}

impl Variadic for Concat {
    const NAME: &'static str = "concat";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError> {
        let Some(first) = x.first() else {
            return Err(TypeError::Attribute("expected at least one operand".into()));
        };
        require_axis(self.axis, first.rank())?; // (C1)
        let mut length = 0usize;
        for ty in x {
            if ty.dtype() != first.dtype() {
                return Err(TypeError::DTypes(first.dtype(), ty.dtype())); // (C1)
            }
            let alike = ty.rank() == first.rank()
                && ty.shape().without(&[self.axis]) == first.shape().without(&[self.axis]);
            if !alike {
                return Err(TypeError::Shapes(first.shape().clone(), ty.shape().clone())); // (C1)
            }
            let why =
                || TypeError::Attribute("the axis would be longer than can be counted".into());
            length = length.checked_add(ty.shape()[self.axis]).ok_or_else(why)?;
        }
        Ok(first.with_shape(first.shape().with_axis(self.axis, length))?)
    }

    fn eval(&self, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError> {
        // Each operand as a value of the result's shape, zero elsewhere: parts do not overlap, so
        // the first one that covers an index has its element.
        let mut start = 0;
        let mut parts = Vec::new();
        for x in x {
            let (begin, n) = (start, x.shape()[self.axis]);
            let part = movement(x, y, |i| {
                let mut from = i.to_vec();
                from[self.axis] = i[self.axis].checked_sub(begin).filter(|&i| i < n)?;
                Some(from)
            });
            parts.push((begin..begin + n, part));
            start += n;
        }
        let owner = |i: usize| {
            let at = unravel(i, y.shape())[self.axis];
            parts.iter().find(|(range, _)| range.contains(&at)).map(|(_, part)| part)
        };
        if y.dtype().is_float() {
            return Ok(Tensor::build(y, |i| owner(i).and_then(|p| p.get(i)).unwrap_or(0.0)));
        }
        let ints: Vec<Vec<i64>> = parts.iter().map(|(_, p)| p.to_i64s()).collect();
        Ok(Tensor::build_i64(y, |i| {
            let at = unravel(i, y.shape())[self.axis];
            let part = parts.iter().position(|(range, _)| range.contains(&at));
            part.map_or(0, |p| ints[p][i])
        }))
    }

    fn vjp<'g>(&self, slot: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let length = |v: &Var<'g>| v.size(self.axis as i64);
        let start: usize = x[..slot].iter().map(length).sum();
        let whole = |&n: &usize| Range { start: 0, stop: n, step: 1 };
        let mut ranges: Vec<Range> = dy.shape().iter().map(whole).collect();
        ranges[self.axis] = Range { start, stop: start + length(&x[slot]), step: 1 };
        dy.record(Slice::new(&ranges), &[dy]).into()
    }

    /// Of one operand it is that operand.
    fn simplify(&self, x: &[Var<'_>]) -> Simpler<Op> {
        if let [only] = x { Simpler::Existing(only.id()) } else { Simpler::Same }
    }

    fn lower(&self, _: &[&Type], _: &Type) -> Lowering {
        Lowering::Concat { axis: self.axis }
    }

    fn axes(&self, x: &[&Type], _: &Type) -> AxisRelations {
        let relation = |axis| if axis == self.axis { Axis::Opaque } else { Axis::Same(axis) };
        AxisRelations(x.iter().map(|t| (0..t.rank()).map(relation).collect()).collect())
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .map(|axis| {
                let part = |salt| dims.float_of(dims.shape.with_axis(axis, dims.pick(salt, 4)));
                Sample::new(Concat::new(axis), [part(1), part(2), part(3)])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn order_is_kept_and_each_operand_gets_its_gradient() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [1, 2]), g.input("b", F64, [2, 2]));
        let y = a.concat(&[b], 0);
        let at = Tensor::new([1, 2], vec![1.0, 2.0]).unwrap();
        let bt = Tensor::new([2, 2], vec![3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(y.eval(&[&at, &bt]).unwrap().to_f64s(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let db = g.grad((y * y).sum_all(), &[b])[0].eval(&[&at, &bt]).unwrap();
        assert_eq!(db.to_f64s(), [6.0, 8.0, 10.0, 12.0]);
        assert_eq!(a.concat(&[], 0).id(), a.id());
        assert!(a.concat(&[b], 1).ok().is_err()); // (C1)
        assert!(a.concat(&[g.input("c", F32, [1, 2])], 0).ok().is_err()); // (C1)
    }
}
