//! Takes out of loops what needs no loop.
//!
//! ```text
//! %3 = scan(… {%2 = exp w; %3 = matmul x w; …}) xs w    w: the same in all steps, x: slices of xs
//! =>
//! %2 = exp w                                            computed once
//! %3 = matmul xs w                                      one product of the rows of all steps
//! ```
//! - What is the same in all steps is computed before the loop. Class: bit-exact.
//! - A product of what the slices are, with what is the same in all steps, is one product before the
//!   loop, of which the loop gets slices: the second operand is read once. It stays if to write and
//!   read what it gives moves more bytes than that saves, or takes more than `max_bytes`. Class:
//!   rounding, for kernels may add up long and short products in different orders.
//!
//! What only a step can compute again from a slice at no cost, a view, stays in the loop. A loop
//! without steps is left alone. Cost: O(nodes). Run before [`simplify`](crate::Simplify).

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};

use crate::all_steps::{Value, all_steps, has_all_steps};
use crate::family::{Depends, Edit, Family, is_view, replace};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Rule: what is the same in all steps.
const INVARIANT: &str = "same_in_all_steps";
/// Rule: products of slices.
const PRODUCT: &str = "product_of_slices";

/// Takes out of loops what needs no loop.
#[derive(Clone, Copy, Debug)]
pub struct Hoist {
    /// Most bytes of products that one loop is given: what fits stays small beside a model, and a
    /// larger one keeps the processor busy step by step as well.
    pub max_bytes: usize,
}

impl Default for Hoist {
    fn default() -> Hoist {
        Hoist { max_bytes: 64 << 20 }
    }
}

/// What is taken out of a loop: nodes of the body that the loop is given.
#[derive(Debug, Default)]
struct Plan {
    captured: Vec<usize>,
    sliced: Vec<usize>,
}

/// What is the same in all steps, takes work, and is used by what is not.
fn invariant(family: &Family, depends: &[Depends], live: &[bool]) -> Vec<usize> {
    let nodes = family.nodes();
    let mut works = vec![false; nodes.len()];
    for i in family.of.body().params()..nodes.len() {
        let own = !nodes[i].inputs.is_empty() && !is_view(&nodes[i].op);
        works[i] = own || nodes[i].inputs.iter().any(|x| works[x.index()]);
    }
    let same = |i: usize| depends[i] == Depends::Nothing && works[i];
    let mut used = vec![false; nodes.len()];
    family.of.body().results().iter().for_each(|&r| used[r] |= same(r) && live[r]);
    for (i, node) in nodes.iter().enumerate() {
        if live[i] && !same(i) {
            node.inputs.iter().for_each(|x| used[x.index()] |= same(x.index()));
        }
    }
    (0..nodes.len()).filter(|&i| used[i]).collect()
}

/// The products of slices with what is the same in all steps that are worth it, and for every node
/// whether it is part of what they need.
fn products(family: &Family, depends: &[Depends], live: &[bool]) -> (bool, Vec<bool>) {
    let nodes = family.nodes();
    let mut can: Vec<bool> = (0..nodes.len()).map(|i| depends[i] == Depends::Nothing).collect();
    let (mut cone, mut any) = (vec![false; nodes.len()], false);
    for (i, node) in nodes.iter().enumerate() {
        can[i] |= family.is_slice(i)
            || depends[i] == Depends::Slices
                && has_all_steps(&node.op)
                && node.inputs.iter().all(|x| can[x.index()]);
        let (Op::MatMul(_), &[a, b]) = (&node.op, &node.inputs[..]) else { continue };
        let (a, b) = (a.index(), b.index());
        let kinds = (depends[a], depends[b], node.ty.rank());
        if live[i] && can[i] && kinds == (Depends::Slices, Depends::Nothing, 2) {
            let bytes = |i: usize| nodes[i].ty.bytes();
            // A slice and the second operand are not read in the steps; the product is.
            if bytes(b).saturating_add(2 * bytes(a)) > 2 * bytes(i) {
                (cone[i], any) = (true, true);
            }
        }
    }
    for i in (family.of.body().params()..nodes.len()).rev() {
        if cone[i] {
            for x in nodes[i].inputs.iter().map(|x| x.index()) {
                cone[x] |= depends[x] == Depends::Slices && x >= family.of.body().params();
            }
        }
    }
    (any, cone)
}

impl Hoist {
    fn invariants(&self, family: &Family) -> Plan {
        let captured = invariant(family, &family.depends(), &family.live_nodes());
        Plan { captured, sliced: Vec::new() }
    }

    fn products(&self, family: &Family, g: &Graph, cx: &mut PassCx<'_>) -> Plan {
        let (any, cone) = products(family, &family.depends(), &family.live_nodes());
        if !any {
            return Plan::default();
        }
        // What the rest of the step uses of the cone is given, but for views, which are made again.
        let (nodes, params) = (family.nodes(), family.of.body().params());
        let (mut needed, mut given) = (vec![false; cone.len()], vec![false; cone.len()]);
        let results = family.of.body().results().iter().zip(family.needed());
        results.filter(|(_, asked)| *asked).for_each(|(&r, _)| needed[r] = true);
        for i in (params..cone.len()).rev() {
            if !needed[i] {
                continue;
            }
            given[i] = cone[i] && !is_view(&nodes[i].op);
            if !given[i] {
                nodes[i].inputs.iter().for_each(|x| needed[x.index()] = true);
            }
        }
        let sliced: Vec<usize> = (0..given.len()).filter(|&i| given[i]).collect();
        let bytes: usize = sliced.iter().map(|&i| family.nodes()[i].ty.bytes()).sum();
        if bytes.saturating_mul(family.of.length()) > self.max_bytes {
            cx.skip(PRODUCT, g, family.first(), "the product would take too much memory");
            return Plan::default();
        }
        Plan { captured: Vec::new(), sliced }
    }

    /// Applies one of the two rules to all loops.
    fn apply(&self, g: &Graph, cx: &mut PassCx<'_>, (rule, class): (&str, Class)) -> Outcome {
        if !cx.may(rule, class) {
            return Outcome::Unchanged;
        }
        let families = Family::all(g);
        let mut plans: Vec<Plan> = Vec::with_capacity(families.len());
        for family in &families {
            cx.step(family.nodes().len() as u64);
            plans.push(match family.of.length() {
                0 => Plan::default(),
                1 if rule == INVARIANT => Plan::default(),
                _ if rule == INVARIANT => self.invariants(family),
                _ => self.products(family, g, cx),
            });
        }
        let empty = |plan: &Plan| plan.captured.is_empty() && plan.sliced.is_empty();
        if plans.iter().all(empty) {
            return Outcome::Unchanged;
        }
        replace(g, &families, cx, (rule, class), |new, at, operands| {
            let plan = Some(&plans[at]).filter(|plan| !empty(plan))?;
            let edit = outside(new, &families[at], operands, plan)?;
            let edited = families[at].edit(new, operands, &edit)?;
            Some(edited.results(new, &families[at]))
        })
    }
}

/// Records around the loop what `plan` takes out of it.
fn outside(new: &Graph, family: &Family, operands: &[NodeId], plan: &Plan) -> Option<Edit> {
    let (nodes, of) = (family.nodes(), &family.of);
    let asked = plan.captured.iter().chain(&plan.sliced).copied();
    let needed = family.needed_by(asked, |_| false);
    let mut at: Vec<Option<Value>> = vec![None; nodes.len()];
    for i in of.carries()..of.body().params() {
        let slice = family.is_slice(i);
        at[i] = Some(if slice { Value::Stacked(operands[i]) } else { Value::Same(operands[i]) });
    }
    for i in (of.body().params()..nodes.len()).filter(|&i| needed[i]) {
        let inputs: Vec<Value> =
            nodes[i].inputs.iter().map(|x| at[x.index()]).collect::<Option<_>>()?;
        let same = |value: &Value| match value {
            Value::Same(id) => Some(*id),
            Value::Stacked(_) => None,
        };
        at[i] = Some(match inputs.iter().map(same).collect::<Option<Vec<NodeId>>>() {
            Some(inputs) => Value::Same(new.push(nodes[i].op.clone(), &inputs)),
            None => Value::Stacked(all_steps(new, &nodes[i], &inputs, of.length())?),
        });
    }
    let value = |&i: &usize| match at[i]? {
        Value::Same(id) | Value::Stacked(id) => Some((i, id)),
    };
    Some(Edit {
        captured: plan.captured.iter().map(value).collect::<Option<_>>()?,
        sliced: plan.sliced.iter().map(value).collect::<Option<_>>()?,
        ..Edit::default()
    })
}

impl Pass for Hoist {
    fn rules(&self) -> Vec<&'static str> {
        vec![INVARIANT, PRODUCT]
    }

    fn name(&self) -> &'static str {
        "hoist"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let first = self.apply(g, cx, (INVARIANT, Class::BitExact));
        let (current, map) = match &first {
            Outcome::Changed(graph, map) => (graph, Some(map)),
            Outcome::Unchanged => (g, None),
        };
        if let Outcome::Changed(graph, step) = &first {
            cx.rebuilt(self.name(), g, graph, step);
        }
        let second = self.apply(current, cx, (PRODUCT, Class::Rounding));
        if let Outcome::Changed(graph, step) = &second {
            cx.rebuilt(self.name(), current, graph, step);
        }
        Ok(match (second, map) {
            (Outcome::Changed(graph, step), Some(map)) => Outcome::Changed(graph, map.then(&step)),
            (Outcome::Unchanged, _) => first,
            (second, None) => second,
        })
    }
}
