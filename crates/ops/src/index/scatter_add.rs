//! Scatter-add: the adjoint of gather.

use serde::{Deserialize, Serialize};

use crate::index::check_indices;
use crate::index::gather::require_alike;
use crate::prelude::rules::*;

/// `y[.., indices[.., i, ..], ..] += x[.., i, ..]` along `axis`, from zeros.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any number | (C1) number |
/// | `indices` | as `x` | i32, i64 | (C2) index type, (C3) equal shapes |
/// | `y` | as `x` with `len` along `axis` | as `x` | |
///
/// **Gradient** `dx = gather(dy, indices)`.
/// **Numerics** added in row-major order of `x`, whatever the number of threads.
/// **Errors** an index outside of the axis is an error of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScatterAdd {
    axis: u32,
    len: usize,
}

impl ScatterAdd {
    /// Along `axis`, which has length `len` in the result.
    pub fn new(axis: usize, len: usize) -> ScatterAdd {
        // No operand has so many axes: the type rule refuses it.
        ScatterAdd { axis: axis.try_into().unwrap_or(u32::MAX), len }
    }

    /// The axis.
    pub fn axis(&self) -> usize {
        self.axis as usize
    }
}

impl<'g> Var<'g> {
    /// Elements added up at indices along an axis of length `len`, from zeros; see [`ScatterAdd`].
    #[track_caller]
    pub fn scatter_sum(self, axis: i64, indices: Var<'g>, len: usize) -> Var<'g> {
        match self.axis(axis) {
            Ok(axis) => self.record(ScatterAdd::new(axis, len), &[self, indices]),
            Err(reason) => self.refuse("scatter_sum", &[self, indices], reason),
        }
    }
}

impl Primitive<2> for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x, indices]: [&Type; 2]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        indices.require_index(1)?; // (C2)
        require_alike(self.axis(), x, indices)?;
        require_shape(indices, x.shape())?; // (C3)
        Ok(x.with_shape(x.shape().with_axis(self.axis(), self.len))?)
    }

    fn eval(&self, [x, indices]: [&Tensor; 2], y: &Type) -> Result<Tensor, EvalError> {
        let chosen = check_indices(indices, self.len)?;
        let strides = y.shape().strides();
        let target = |i: usize| -> usize {
            let mut index = unravel(i, x.shape());
            index[self.axis()] = chosen[i];
            index.iter().zip(&strides).map(|(i, s)| i * s).sum()
        };
        Ok(scatter(x, y, target, (0.0, |a, b| a + b), (0, i64::wrapping_add)))
    }

    fn vjp<'g>(&self, slot: usize, [_, i]: [Var<'g>; 2], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        if slot == 1 {
            return Grad::Cut;
        }
        dy.record(Gather::new(self.axis()), &[dy, i]).into()
    }

    fn lower(&self, _: [&Type; 2], _: &Type) -> Lowering {
        Lowering::ScatterAdd { axis: self.axis(), len: self.len }
    }

    fn cost(&self, x: [&Type; 2], y: &Type) -> Cost {
        Cost { flops: x[0].numel() as u64, bytes: Cost::elementwise(&x, y, 0).bytes }
    }

    /// But for `axis`, an element goes to its own place.
    fn axes(&self, x: [&Type; 2], _: &Type) -> AxisRelations {
        let mut relations = AxisRelations::same(&x);
        relations.0.iter_mut().for_each(|axes| axes[self.axis()] = Axis::Opaque);
        relations
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        (0..dims.shape.rank())
            .map(|axis| {
                let len = dims.pick(1, 4) + 1;
                let indices = dims.of(DType::I32, dims.shape.clone()).ints(0, len as i64);
                Sample::new(ScatterAdd::new(axis, len), [dims.float(), indices]).loose(8.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn equal_indices_add_up() {
        let g = Graph::new();
        let (x, i) = (g.input("x", F32, [3]), g.input("i", I64, [3]));
        let x3 = Tensor::new([3], vec![1.0f32, 2.0, 4.0]).unwrap();
        let at = Tensor::new([3], vec![1i64, 1, 0]).unwrap();
        assert_eq!(x.scatter_sum(0, i, 2).eval(&[&x3, &at]).unwrap().to_f64s(), [4.0, 3.0]);
        assert!(x.scatter_sum(0, i, 1).eval(&[&x3, &at]).is_err());
        assert!(x.scatter_sum(0, x, 2).ok().is_err()); // (C2)
        let j = g.input("j", I64, [2]);
        assert!(x.scatter_sum(0, j, 2).ok().is_err()); // (C3)
        let b = g.input("b", BOOL, [3]);
        assert!(b.scatter_sum(0, i, 2).ok().is_err()); // (C1)
    }
}
