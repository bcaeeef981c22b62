//! Operators with planted errors: each has a right rule, a wrong rule, or a wrong promise.

#![allow(dead_code, reason = "every test binary uses a part of it")]

mod binary;
mod unary;

use pleach_ops::{Custom, Dims, EvalError, Grad, Sample, Tangent, prelude::*};
use serde::{Deserialize, Serialize};

pub(crate) use binary::BINARY;
pub(crate) use unary::UNARY;

pub(crate) type Rule<const N: usize> =
    for<'g> fn(usize, [Var<'g>; N], Var<'g>, Var<'g>) -> Grad<'g>;
pub(crate) type Jvp<const N: usize> =
    for<'g> fn([Var<'g>; N], Var<'g>, [Option<Var<'g>>; N]) -> Tangent<'g>;

/// A function, its gradient rule, and one that somebody might have written instead.
pub(crate) struct Plant<const N: usize> {
    pub(crate) name: &'static str,
    pub(crate) shapes: [&'static [usize]; N],
    /// Operands are uniform in here.
    pub(crate) domain: (f64, f64),
    pub(crate) value: for<'g> fn([Var<'g>; N]) -> Var<'g>,
    pub(crate) right: Rule<N>,
    pub(crate) wrong: Rule<N>,
    /// Own forward rules, the right one and the wrong one.
    pub(crate) jvp: Option<[Jvp<N>; 2]>,
}

impl<const N: usize> Plant<N> {
    pub(crate) fn operands(&self) -> Vec<Tensor> {
        let (low, high) = self.domain;
        let draw = |(i, shape): (usize, &&[usize])| {
            Tensor::uniform(&Type::new(F64, *shape).unwrap(), Key(40 + i as u64), low, high)
        };
        self.shapes.iter().enumerate().map(draw).collect()
    }
}

/// The operator: entry `plant` of the table, with its right or wrong rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Planted<const N: usize> {
    pub(crate) name: String,
    pub(crate) wrong: bool,
}

/// The operator of a plant, ready to check.
pub(crate) trait Table<const N: usize>: Sized {
    fn table() -> &'static [Plant<N>];
    fn op(name: &str, wrong: bool) -> Op;
}

macro_rules! planted {
    ($n:literal, $name:literal, $table:ident) => {
        impl Table<$n> for Planted<$n> {
            fn table() -> &'static [Plant<$n>] {
                $table
            }
            fn op(name: &str, wrong: bool) -> Op {
                Op::Custom(Custom::new(Planted::<$n> { name: name.into(), wrong }))
            }
        }

        impl Planted<$n> {
            fn plant(&self) -> &'static Plant<$n> {
                $table.iter().find(|p| p.name == self.name).unwrap()
            }
        }

        impl Primitive<$n> for Planted<$n> {
            const NAME: &'static str = $name;

            fn infer(&self, x: [&Type; $n]) -> Result<Type, TypeError> {
                let g = Graph::new();
                let x = std::array::from_fn(|i| {
                    g.input(&i.to_string(), x[i].dtype(), x[i].shape().clone())
                });
                (self.plant().value)(x).ok().map(|y| y.ty().unwrap()).map_err(|e| e.reason)
            }

            fn eval(&self, x: [&Tensor; $n], _: &Type) -> Result<Tensor, EvalError> {
                let g = Graph::new();
                let xs = std::array::from_fn(|i| {
                    g.input(&i.to_string(), x[i].dtype(), x[i].shape().clone())
                });
                (self.plant().value)(xs).eval(&x)
            }

            fn vjp<'g>(&self, slot: usize, x: [Var<'g>; $n], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
                let plant = self.plant();
                if self.wrong {
                    (plant.wrong)(slot, x, y, dy)
                } else {
                    (plant.right)(slot, x, y, dy)
                }
            }

            fn jvp<'g>(
                &self,
                x: [Var<'g>; $n],
                y: Var<'g>,
                dx: [Option<Var<'g>>; $n],
            ) -> Tangent<'g> {
                match self.plant().jvp {
                    Some(rules) => rules[usize::from(self.wrong)](x, y, dx),
                    None => Tangent::Derived,
                }
            }

            fn samples(_: &Dims) -> Vec<Sample> {
                vec![]
            }
        }
    };
}

planted!(1, "planted1", UNARY);
planted!(2, "planted2", BINARY);

/// `x²`, elementwise, which may claim to be linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Square<const LINEAR: bool>;

impl<const LINEAR: bool> Primitive<1> for Square<LINEAR> {
    const NAME: &'static str = "planted_square";
    const TRAITS: Traits = if LINEAR { Traits::LINEAR } else { Traits::ELEMENTWISE };

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.clone())
    }
    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let x = x.to_f64s();
        Ok(Tensor::build(y, |i| x[i] * x[i]))
    }
    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x * 2.0).into()
    }
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}
