//! Rules and passes from another crate, over operators of its own.

use pleach_graph::{NodeId, TypeError};
use pleach_ops::prelude::*;
use pleach_ops::{Custom, Dims, Grad, Sample};
use pleach_passes::testing::holds;
use pleach_passes::{Level, PassCx, Pipeline, Rule, Simplify, rules};
use serde::{Deserialize, Serialize};

/// `y = scale · x³`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Cube {
    scale: i32,
}

impl Primitive<1> for Cube {
    const NAME: &'static str = "cube";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        let (operand, expected, got) = (0, "a float", x.dtype());
        let float = x.dtype().is_float();
        if float { Ok(x.clone()) } else { Err(TypeError::DType { operand, expected, got }) }
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        let scale = f64::from(self.scale);
        Ok(pleach_ops::reference::map(x, |x| scale * (x * x * x)))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy * (x * x * f64::from(3 * self.scale))).into()
    }

    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

/// Is the value of rank 1?
fn row(g: &Graph, xs: &[NodeId]) -> Result<(), &'static str> {
    let rows = xs.iter().all(|&x| g.ty(x).rank() == 1);
    if rows { Ok(()) } else { Err("it is for rows only") }
}

fn mine() -> Vec<Rule> {
    rules! {
        cube_odd:  E, R "-(s·(-x)³) = s·x³" neg(cube(neg(x))) => cube(x);
        cube_even: E, R "|s·(-x)³| = |s·x³|" abs(cube(neg(x))) => abs(cube(x)) if row(x);
    }
}

#[test]
fn rules_over_custom_operators_hold_and_keep_their_attributes() {
    for rule in &mine() {
        let held = holds(rule, &[Op::Custom(Custom::new(Cube { scale: 5 }))]).unwrap();
        assert!(held.gradients > 0, "{held:?}");
    }
}

#[test]
fn custom_rules_run_beside_the_library_s_and_custom_operators_stay_out_of_regions() {
    let g = Graph::new();
    let x = g.input("x", F32, [4]);
    let y = -Var::apply(Cube { scale: 2 }, [-x]);
    g.output("y", (y * 3.0 + 1.0).exp().id());
    let pipeline = Pipeline::default().insert_after("fold", Simplify::new(mine()));
    let (new, _, ledger) = pipeline.optimize(&g, &mut PassCx::reference(Level::Exact)).unwrap();
    assert_eq!(ledger.applications("cube_odd"), 1, "{ledger}");
    assert_eq!(ledger.applications("region"), 1);
    assert!(new.to_string().contains("%1 = cube(scale:2) %0"), "{new}");
}
