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

/// Lengths of axes as users give them; one of them may be `-1`: whatever is left.
pub trait Lengths {
    /// The shape of `numel` elements.
    ///
    /// # Errors
    /// [`TypeError::Attribute`] if a length is negative, two are `-1`, or what is left is not a
    /// whole number.
    fn lengths(self, numel: usize) -> Result<Shape, TypeError>;
}

fn infer_lengths(lengths: &[i64], numel: usize) -> Result<Shape, TypeError> {
    let why = |what: &str| Err(TypeError::Attribute(format!("lengths {lengths:?}: {what}")));
    if lengths.iter().any(|&n| n < -1) {
        return why("a length is negative");
    }
    let unknown = lengths.iter().filter(|&&n| n == -1).count();
    if unknown > 1 {
        return why("more than one is -1");
    }
    let known = lengths.iter().filter(|&&n| n >= 0);
    let product = known.fold(1usize, |p, &n| p.saturating_mul(n as usize));
    if unknown == 1 && (product == 0 || !numel.is_multiple_of(product)) {
        return why(&format!("no length at -1 gives {numel} elements"));
    }
    Ok(lengths.iter().map(|&n| if n == -1 { numel / product } else { n as usize }).collect())
}

macro_rules! shapes_as_lengths {
    ($([$($generic:tt)*] $type:ty;)*) => {$(
        impl<$($generic)*> Lengths for $type {
            fn lengths(self, _: usize) -> Result<Shape, TypeError> {
                Ok(self.into())
            }
        }
    )*};
}

shapes_as_lengths! {
    [] Shape;
    [] &Shape;
    [] Vec<usize>;
    [] &[usize];
    [const N: usize] [usize; N];
}

/// Of a scalar: the lengths of no axis, `[]`, have no type of their own.
impl Lengths for () {
    fn lengths(self, _: usize) -> Result<Shape, TypeError> {
        Ok(Shape::scalar())
    }
}

impl Lengths for &[i64] {
    fn lengths(self, numel: usize) -> Result<Shape, TypeError> {
        infer_lengths(self, numel)
    }
}

impl<const N: usize> Lengths for [i64; N] {
    fn lengths(self, numel: usize) -> Result<Shape, TypeError> {
        infer_lengths(&self, numel)
    }
}

impl<const N: usize> Lengths for [i32; N] {
    fn lengths(self, numel: usize) -> Result<Shape, TypeError> {
        infer_lengths(&self.map(i64::from), numel)
    }
}

impl<'g> Var<'g> {
    /// The same elements under another shape, see [`Reshape`]. One length may be `-1`: whatever
    /// is left. A value of one element becomes a scalar by `x.reshape(())`.
    #[track_caller]
    pub fn reshape(self, shape: impl Lengths) -> Var<'g> {
        let Some(ty) = self.ty() else { return self.untyped("reshape", &[self]) };
        match shape.lengths(ty.numel()) {
            Ok(shape) => self.record(Reshape::new(&shape), &[self]),
            Err(reason) => self.refuse("reshape", &[self], reason),
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
    }

    #[test]
    fn one_length_may_be_left_out() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 6]);
        assert_eq!(x.reshape([3, -1]).shape(), [3, 4].into());
        assert_eq!(x.reshape([-1, 12]).shape(), [1, 12].into());
        assert_eq!(x.sum_all().reshape([1]).reshape(()).shape(), Shape::scalar());
        let refused = |y: Var<'_>| y.ok().unwrap_err().to_string();
        assert!(refused(x.reshape([5, -1])).contains("no length at -1 gives 12 elements"));
        assert!(refused(x.reshape([-1, -1])).contains("more than one is -1"));
        assert!(refused(x.reshape([-2, 6])).contains("a length is negative"));
        let none = g.input("none", F32, [0, 3]);
        assert!(refused(none.reshape([0, -1])).contains("no length"));
    }
}
