//! Checking gradients: of a model, and what the report of a wrong rule looks like.
//! Takes less than a second.
//!
//! The checker records your function in double precision and compares reverse mode, forward mode
//! and central differences with each other, for the gradient and for the gradient's gradient.
//!
//! `cargo run --release --example gradcheck`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use pleach::check::{CheckError, GradCheck};
use pleach::ops::prelude::rules::{Require, map};
use pleach::ops::{Custom, Dims, Grad, Sample};
use pleach::prelude::*;
use serde::{Deserialize, Serialize};

/// `y = x³`, with a rule that forgets the factor 3.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Cube;

impl Primitive<1> for Cube {
    const NAME: &'static str = "example.cube";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, |x| x * x * x))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * x * x).into() // wrong: should be 3 · dy · x²
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Op::Custom(Custom::new(Cube)), [dims.float()])]
    }
}

/// A classifier; `activation` stands between its layers.
struct Net {
    first: Linear,
    second: Linear,
}

impl Net {
    fn loss<'g>(&self, g: &'g Graph, activation: impl Fn(Var<'g>) -> Var<'g>) -> Var<'g> {
        let (x, y) = (g.input("x", F32, [5, 4]), g.input("y", I64, [5]));
        self.second.call(activation(self.first.call(x))).cross_entropy(y)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let p = Params::seeded(3);
    let net = Net {
        first: Linear::new(&p.scope("first"), 4, 8),
        second: Linear::new(&p.scope("second"), 8, 3),
    };
    let x = Tensor::normal(&Type::new(F32, [5, 4])?, Key(1), 0.0, 1.0);
    let y = Tensor::new([5], vec![0i64, 2, 1, 1, 0])?;
    let feeds = [x, y];

    let smooth = pleach::check::model(&feeds, |g| net.loss(g, |h| h.tanh()))?;
    println!("right: {} comparisons of derivatives agree\n", smooth.compared);

    // A model of thousands of parameters is checked along random directions, which is quick. The
    // Jacobian in full is more thorough; the inputs can be checked too.
    let thorough = GradCheck { jacobian: 10_000, inputs: true, ..GradCheck::default() };
    let all = thorough.model(&feeds, |g| net.loss(g, |h| h.sigmoid()))?;
    println!("right: {} comparisons, element by element\n", all.compared);
    assert!(all.compared > smooth.compared);

    // The report names parameter, element, both numbers, and the operator whose rule is wrong.
    let wrong = pleach::check::model(&feeds, |g| net.loss(g, |h| Var::apply(Cube, [h])));
    let line = line!() - 1;
    let report = wrong.err().ok_or("the mistake was not found")?;
    println!("wrong: {report}\n");
    let CheckError::Wrong(wrong) = &report else { return Err("another report".into()) };
    let culprit = wrong.culprit.as_ref().ok_or("no operator is named")?;
    assert!(culprit.op.contains("example.cube"), "{culprit}");
    assert!(report.to_string().contains(&format!("gradcheck.rs:{line}:")), "{report}");

    // An operator alone, over generated shapes; the smallest shape that fails is reported.
    let report =
        pleach::check::primitive::<Cube, 1>(64).err().ok_or("the mistake was not found")?;
    println!("wrong: {report}\n");

    // Where there is no derivative, differences cannot tell right from wrong, and the check says so.
    let at_zero = [Tensor::new([2], vec![0.0, 1.0])?];
    let kink =
        pleach::check::function(&at_zero, |_, x| x[0].relu()).err().ok_or("no kink found")?;
    println!("kink: {kink}");
    assert!(matches!(kink, CheckError::Kink(_)), "{kink}");
    Ok(())
}
