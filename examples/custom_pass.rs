//! Rules and a pass of your own, in your own crate: written, proved, and run beside the library's.
//! Takes a few seconds.
//!
//! `cargo run --release --example custom_pass`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use pleach::check::{self, RewriteCheck};
use pleach::graph::{NodeId, Rewrite};
use pleach::ops::prelude::rules::{Require, map};
use pleach::ops::{Custom, Dims, Grad, Sample};
use pleach::passes::{
    Class, Classes, Outcome, Pass, PassCx, PassError, Pipeline, Rule, Simplify, Totals, rules,
};
use pleach::prelude::*;
use serde::{Deserialize, Serialize};

/// An operator of your own: `y = s·x³`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Cube {
    scale: i32,
}

impl Primitive<1> for Cube {
    const NAME: &'static str = "cube";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        let scale = f64::from(self.scale);
        Ok(map(x, |x| scale * (x * x * x)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (x * x * f64::from(3 * self.scale))).into()
    }

    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

/// Rules about it are one line each. They mean it by its name, whatever its attributes.
fn cube_rules() -> Vec<Rule> {
    rules! {
        cube_odd:  E, R "-(s·(-x)³) = s·x³"  neg(cube(neg(x))) => cube(x);
        cube_even: E, R "|s·(-x)³| = |s·x³|" abs(cube(neg(x))) => abs(cube(x));
    }
}

/// Powers by squaring:
///
/// ```text
/// %1 = mul %0 %0
/// %2 = mul %1 %0        =>   %1 = mul %0 %0
/// %3 = mul %2 %0             %2 = mul %1 %1
/// ```
/// Where nothing else needs the cube, one product goes away. Class: rounding.
#[derive(Clone, Copy, Debug)]
struct Powers;

impl Powers {
    /// The base of a product that is the fourth power of one value, and its square.
    fn fourth(g: &Graph, inputs: &[NodeId]) -> Option<(NodeId, NodeId)> {
        let product = |id: NodeId| match g.op(id) {
            Op::Mul(_) => Some((g.node(id).inputs[0], g.node(id).inputs[1])),
            _ => None,
        };
        let ways = |(a, b): (NodeId, NodeId)| [(a, b), (b, a)];
        let &[a, b] = inputs else { return None };
        ways((a, b)).into_iter().find_map(|(cube, x)| {
            let found = ways(product(cube)?)
                .into_iter()
                .find(|&(square, other)| other == x && product(square) == Some((x, x)));
            found.map(|(square, _)| (x, square))
        })
    }
}

impl Pass for Powers {
    fn name(&self) -> &'static str {
        "powers"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let mut found = 0;
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            cx.step(1);
            let fourth = match node.op {
                Op::Mul(_) => Powers::fourth(new, inputs),
                _ => None,
            };
            let Some((_, square)) = fourth else { return Rewrite::Keep };
            if !cx.may("fourth_power", Class::Rounding) {
                return Rewrite::Keep;
            }
            let start = new.len();
            let id = new.push(node.op.clone(), &[square, square]);
            cx.applied("fourth_power", g, old, Totals::since(new, start) - Totals::of_node(g, old));
            found += 1;
            Rewrite::Replace(id)
        });
        Ok(if found == 0 { Outcome::Unchanged } else { Outcome::Changed(new, map) })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The proof of a rule: both sides of all shapes, types and constants, values and gradients, then
    // random graphs that it stands in.
    let operators = vec![Op::Custom(Custom::new(Cube { scale: 5 }))];
    let mine = RewriteCheck { graphs: 64, operators, ..RewriteCheck::default() };
    for rule in &cube_rules() {
        let proved = mine.rewrite(rule)?;
        println!("right: {rule}: {} sides, {} graphs", proved.sides, proved.changed);
    }

    // The proof of a pass. A rule plants what it looks for in the graphs.
    let plant = rules! { plant: R, R "x⁴ = x⁴" mul(mul(mul(x, x), x), x) => mul(x, x); };
    let check = RewriteCheck { graphs: 128, rules: vec![plant[0].clone(); 40], ..mine };
    let proved = check.pass(Powers)?;
    println!("right: powers changed {} of {} graphs", proved.changed, proved.graphs);

    // What the report of a mistake looks like: the smallest graph, as text.
    let wrong = rules! { even: E, E "tanh(-x) = tanh(x)" tanh(neg(x)) => tanh(x); };
    let report = check::rewrite(&wrong[0]).err().ok_or("the mistake was not found")?;
    println!("\n{report}\n");

    // Run beside the library's, in a training step.
    let pipeline = Pipeline::default()
        .insert_after("lookup", Powers)
        .insert_after("lookup", Simplify::new(cube_rules()));
    let params = Params::seeded(1);
    let layer = Linear::new(&params.scope("layer"), 3, 2);
    let g = Graph::train();
    let x = g.input("x", F32, [8, 3]);
    let h = layer.call(x);
    let y = -Var::apply(Cube { scale: 2 }, [-h]) + h * h * h * h;
    let recording = g.minimize(y.square().mean(), Sgd::new(1e-3));
    let mut step = recording.compile(Compile::default().pipeline(pipeline))?;
    let ledger = &step.report().ledger;
    for rule in ["cube_odd", "fourth_power"] {
        println!("applied {rule} {} times", ledger.applications(rule));
        assert!(ledger.applications(rule) > 0, "{ledger}");
    }
    let mut state = State::new(&params);
    let feed = Tensor::normal(&Type::new(F32, [8, 3])?, Key(2), 0.0, 1.0);
    let mut losses = Vec::new();
    for _ in 0..50 {
        losses.push(step.run(&mut state, [&feed])?.scalar("loss")?);
    }
    println!("loss {:.4} to {:.4}", losses[0], losses[49]);
    assert!(losses[49] < losses[0]);
    Ok(())
}
