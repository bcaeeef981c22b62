//! Random toy graphs.

use std::sync::Arc;

use pleach_graph::NodeId;
use proptest::prelude::*;

use super::{Graph, Toy, add, cube, full, mul, x};

/// One step of a recipe: what to record, of which earlier values.
pub type Step = (u8, u16, u16);

/// Recipes of at most `n` steps.
pub fn recipe(n: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0u8..8, any::<u16>(), any::<u16>()), 1..n)
}

/// Two sources `x` and `y`, and what the recipe makes of them, all differentiable.
pub fn smooth(g: &Graph, recipe: &[Step]) -> Vec<NodeId> {
    let mut ids = vec![x(g, "x"), x(g, "y")];
    for &(what, a, b) in recipe {
        let pick = |at: u16| ids[ids.len() - 1 - usize::from(at) % ids.len().min(6)];
        let (a, b) = (pick(a), pick(b));
        ids.push(match what {
            0 | 1 => add(g, a, b),
            2 | 3 => mul(g, a, b),
            4 => add(g, mul(g, a, full(g, 0.5)), b),
            5 => g.push(Toy::Square, &[mul(g, a, full(g, 0.25))]),
            6 => cube(g, mul(g, a, full(g, 0.25))),
            _ => full(g, f64::from(what) * 0.125),
        });
    }
    ids
}

/// As [`smooth`], and then loops in loops, casts and odd names, with outputs and an assignment.
pub fn any_graph(g: &Graph, recipe: &[Step]) {
    let ids = smooth(g, recipe);
    let last = ids[ids.len() - 1];
    g.output("last", last);
    for &(what, a, b) in recipe {
        let (a, b) = (ids[usize::from(a) % ids.len()], ids[usize::from(b) % ids.len()]);
        match what {
            0 => g.output("", g.push(Toy::Floor, &[a])),
            1 => g.output("a = \"b\" # {;", g.push(Toy::Cast(pleach_tensor::I64), &[a])),
            2 => g.assign("line\nend\u{1F33F}", ids[0], b),
            3 => g.output("call", call(g, a, b, 3)),
            4 => g.output("odd", x(g, "a \"name\" \\ with # { ; in it")),
            _ => {}
        }
    }
}

/// `depth` bodies in each other, the innermost capturing through all of them.
fn call(g: &Graph, a: NodeId, b: NodeId, depth: usize) -> NodeId {
    let record = |params: &[NodeId]| {
        let inner = mul(g, params[0], b);
        vec![if depth == 0 { cube(g, inner) } else { call(g, inner, a, depth - 1) }]
    };
    let (body, outer) = g.frame(&[g.ty(a)], record).expect("a good body");
    let inputs: Vec<NodeId> = [a].into_iter().chain(outer).collect();
    g.push(Toy::Call(Arc::new((*body).clone())), &inputs)
}
