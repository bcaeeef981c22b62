//! Mutation of the registry: the rule of every operator is broken in several ways, and its own
//! samples must catch each of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_check::GradCheck;
use pleach_graph::{Grad as Flow, Operator};
use pleach_ops::{Custom, Dims, EvalError, Grad, OPERATORS, Registry, Sample, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum How {
    /// As it is: must pass.
    Right,
    Negated,
    Doubled,
    Zeroed,
    /// The last element is lost.
    Truncated,
    /// Right to first order.
    Detached,
    /// Operands change places, where their types allow.
    Swapped,
}

const MUTATIONS: [How; 6] =
    [How::Negated, How::Doubled, How::Zeroed, How::Truncated, How::Detached, How::Swapped];

/// An operator of the registry, as text, with a broken gradient rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Mutant<const N: usize> {
    op: String,
    how: How,
}

impl<const N: usize> Mutant<N> {
    fn op(&self) -> Op {
        Op::parse(&self.op, None, &Registry::default()).unwrap()
    }
}

fn truncated<'g>(dx: Var<'g>) -> Var<'g> {
    let n: usize = dx.shape().iter().product();
    let kept = dx.graph().iota(I64, [n], 0).less(n as i64 - 1).reshape(dx.shape());
    kept.select(dx, 0.0)
}

macro_rules! mutant {
    ($($n:literal)*) => {$(
        impl Primitive<$n> for Mutant<$n> {
            const NAME: &'static str = "mutant";
            fn infer(&self, x: [&Type; $n]) -> Result<Type, TypeError> {
                self.op().infer(&x)
            }
            fn eval(&self, x: [&Tensor; $n], y: &Type) -> Result<Tensor, EvalError> {
                self.op().eval(&x, y)
            }
            fn vjp<'g>(&self, slot: usize, x: [Var<'g>; $n], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
                let other = (0..$n).find(|&i| i != slot && x[i].ty() == x[slot].ty());
                let asked = match (self.how, other) {
                    (How::Swapped, Some(other)) => other,
                    _ => slot,
                };
                let need: Vec<bool> = (0..$n).map(|i| i == asked).collect();
                let g = dy.graph();
                let ids: Vec<_> = x.iter().map(|x| x.id()).collect();
                match self.op().vjp(g, &ids, y.id(), dy.id(), &need)[asked] {
                    Flow::Zero => Grad::Zero,
                    Flow::Cut => Grad::Cut,
                    Flow::Flow(dx) => {
                        let dx = Var::new(g, dx);
                        Grad::Flow(match self.how {
                            How::Right | How::Swapped => dx,
                            How::Negated => -dx,
                            How::Doubled => dx * 2.0,
                            How::Zeroed => dx * 0.0,
                            How::Truncated => truncated(dx),
                            How::Detached => dx.stop_gradient(),
                        })
                    }
                }
            }
            fn samples(_: &Dims) -> Vec<Sample> {
                vec![]
            }
        }
    )*};
}

mutant!(1 2 3 4);

fn mutated(sample: &Sample, how: How) -> Option<Op> {
    let op = sample.op.to_string();
    Some(Op::Custom(match sample.inputs.len() {
        1 => Custom::new(Mutant::<1> { op, how }),
        2 => Custom::new(Mutant::<2> { op, how }),
        3 => Custom::new(Mutant::<3> { op, how }),
        4 => Custom::new(Mutant::<4> { op, how }),
        _ => return None,
    }))
}

/// Does some float operand get a gradient, and (for swapping) do two that have one type get
/// different ones?
fn has_gradient(sample: &Sample) -> bool {
    let g = Graph::raw();
    let input = |(i, x): (usize, &pleach_ops::SampleOperand)| {
        g.input(&i.to_string(), x.ty.dtype(), x.ty.shape().clone()).id()
    };
    let ids: Vec<_> = sample.inputs.iter().enumerate().map(input).collect();
    let y = g.push(sample.op.clone(), &ids);
    if !g.ty(y).dtype().is_float() {
        return false;
    }
    let dy = Var::new(&g, y).full_like(1.0).id();
    let floats: Vec<bool> = sample.inputs.iter().map(|x| x.ty.dtype().is_float()).collect();
    let grads = sample.op.vjp(&g, &ids, y, dy, &floats);
    grads.iter().zip(&floats).any(|(grad, float)| *float && matches!(grad, Flow::Flow(_)))
}

/// Operators whose operands are alike to the gradient rule.
const SYMMETRIC: [&str; 1] = ["add"];

#[test]
fn every_broken_rule_is_caught_by_the_samples_of_its_operator() {
    let shapes: Vec<Dims> = [&[3][..], &[2, 3], &[2, 2, 3], &[4, 1, 2]]
        .iter()
        .flat_map(|&shape| (0..4).map(move |seed| Dims { shape: shape.into(), seed, float: F64 }))
        .collect();
    let check = GradCheck::default();
    let (mut missed, mut caught) = (vec![], 0);
    for info in OPERATORS {
        let samples: Vec<Sample> = shapes
            .iter()
            .flat_map(info.samples)
            .filter(|s| s.differentiable && s.is_f64() && has_gradient(s))
            .collect();
        let fails = |sample: &Sample, how| {
            mutated(sample, how).is_some_and(|op| check.operator(op, &sample.draw(Key(5))).is_err())
        };
        for sample in samples.iter().filter(|sample| fails(sample, How::Right)) {
            missed.push(format!("{}: fails as it is", sample.op));
        }
        for how in MUTATIONS {
            let alike = |s: &Sample| {
                let types: Vec<&Type> = s.inputs.iter().map(|x| &x.ty).collect();
                (1..types.len()).any(|i| types[..i].contains(&types[i]) && types[i].dtype() == F64)
            };
            let applies =
                how != How::Swapped || samples.iter().any(alike) && !SYMMETRIC.contains(&info.name);
            if samples.is_empty() || !applies {
                continue;
            }
            match samples.iter().any(|sample| fails(sample, how)) {
                true => caught += 1,
                false => missed.push(format!("{}: {how:?} is not caught", info.name)),
            }
        }
    }
    assert!(missed.is_empty(), "\n{}\n", missed.join("\n"));
    assert!(caught >= 100, "{caught}");
}
