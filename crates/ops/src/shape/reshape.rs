//! Reshape: the same elements, in row-major order, under another shape.

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;

/// `y` has the elements of `x` in row-major order.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | any | any | (C1) as many elements as `y` |
/// | `y` | the attribute | as `x` | |
///
/// **Gradient** `dx = reshape(dy)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reshape {
    shape: Box<[usize]>,
}

impl Reshape {
    /// To `shape`.
    pub fn new(shape: &[usize]) -> Reshape {
        Reshape { shape: shape.into() }
    }
}

impl<'g> Var<'g> {
    /// The same elements under another shape, see [`Reshape`].
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        self.record(Reshape::new(&shape.into()), &[self])
    }

    /// All axes from `axis` on joined into one: `[B, C, H, W]` from 1 is `[B, C·H·W]`.
    #[track_caller]
    pub fn flatten(self, axis: i64) -> Var<'g> {
        let shape = self.shape();
        match if shape.rank() == 0 { Ok(0) } else { self.axis(axis) } {
            Ok(axis) => {
                let rest = shape[axis..].iter().product();
                self.reshape(shape[..axis].iter().copied().chain([rest]).collect::<Shape>())
            }
            Err(reason) => self.refuse("flatten", &[self], reason),
        }
    }
}

impl Primitive<1> for Reshape {
    const NAME: &'static str = "reshape";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        let y = x.with_shape(&self.shape[..])?;
        if x.numel() != y.numel() {
            let (left, right) = (x.numel(), y.numel());
            return Err(TypeError::Sizes { what: "numbers of elements", left, right }); // (C1)
        }
        Ok(y)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        x.reshape(y.shape()).map_err(|e| EvalError::Other(e.to_string()))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.reshape(x.shape()).into()
    }

    /// To its own shape it is nothing; of a reshape it is one reshape.
    fn simplify(&self, [x]: [Var<'_>; 1]) -> Simpler<Op> {
        if x.shape()[..] == self.shape[..] {
            return Simpler::Existing(x.id());
        }
        match node_if(x, |op| matches!(op, Op::Reshape(_))) {
            Some(inner) => {
                Simpler::Push(self.clone().into(), SmallVec::from_iter([inner.inputs[0]]))
            }
            None => Simpler::Same,
        }
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Reshape)
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let n: usize = dims.shape.iter().product();
        let reversed: Vec<usize> = dims.shape.iter().rev().copied().collect();
        let longer: Vec<usize> = dims.shape.iter().copied().chain([1]).collect();
        [vec![n], reversed, longer, dims.shape.to_vec()]
            .iter()
            .map(|shape| Sample::new(Reshape::new(shape), [dims.float()]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_number_of_elements_must_stay() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        assert_eq!(x.reshape([6]).reshape([3, 2]).reshape([2, 3]).id(), x.id());
        let error = x.reshape([4]).ok().unwrap_err().to_string(); // (C1)
        assert!(
            error.starts_with("reshape(shape:[4])(f32[2, 3]): numbers of elements differ, 6 and 4")
        );
        assert_eq!(g.input("y", F32, [2, 3, 4]).flatten(1).shape(), [2, 12].into());
    }
}
