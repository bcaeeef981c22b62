//! Replaces loops by their steps, where that makes one region of many.
//!
//! ```text
//! %1 = scan(length:3, … {%1 = sin %0; return %1}) %0   =>   %1 = sin %0
//!                                                           %2 = sin %1
//!                                                           %3 = sin %2
//! ```
//! - A loop of one step is that step, and one of none gives what it was given.
//! - A loop over elementwise operators alone reads and writes its carries in every step; as one region
//!   it does so once. It goes if all steps together have at most `max_size` operators, and if nothing
//!   but other loops that go asks for values of every step: a stack would have to be put together.
//!
//! Steps that multiply or add up gain nothing: no region goes around a product, and a step of a loop
//! costs nothing by itself. Class: kernel-exact, for the same operators in the same order. Cost:
//! O(nodes). Run before all other passes of loops.

use std::collections::HashMap;

use pleach_graph::{NodeId, Operator, Traits};
use pleach_ops::{Graph, Op, Var};

use crate::family::{Depends, Family, is_view, replace};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "steps_of_a_loop";

/// Replaces loops by their steps.
#[derive(Clone, Copy, Debug)]
pub struct Unroll {
    /// Most operators of all steps of a loop.
    pub max_size: usize,
}

impl Default for Unroll {
    fn default() -> Unroll {
        Unroll { max_size: 256 }
    }
}

/// The operators of a step that differ from step to step; `None` if some are not elementwise.
fn size(family: &Family) -> Option<usize> {
    let (depends, params) = (family.depends(), family.of.body().params());
    let live = family.live_nodes();
    let mut size = 0;
    for (i, node) in family.nodes().iter().enumerate().skip(params).filter(|(i, _)| live[*i]) {
        let plain = node.op.traits().has(Traits::ELEMENTWISE) && !matches!(node.op, Op::Custom(_));
        match depends[i] {
            _ if plain => size += usize::from(depends[i] > Depends::Nothing),
            Depends::Carries => return None,
            Depends::Slices | Depends::Nothing if is_view(&node.op) => {}
            Depends::Slices | Depends::Nothing if node.inputs.is_empty() => {}
            Depends::Slices | Depends::Nothing => return None,
        }
    }
    Some(size)
}

impl Unroll {
    /// Which loops go.
    fn chosen(&self, g: &Graph, families: &[Family]) -> Vec<bool> {
        let fits = |family: &Family| {
            let all = |size: usize| size.saturating_mul(family.of.length());
            family.of.length() < 2 || size(family).is_some_and(|size| all(size) <= self.max_size)
        };
        let mut chosen: Vec<bool> = families.iter().map(fits).collect();
        // Who asks for stacks: a family, or something else.
        let mut stacks: HashMap<NodeId, usize> = HashMap::new();
        for (at, family) in families.iter().enumerate().filter(|(_, f)| f.of.length() > 1) {
            let stacked = family.live.iter().filter(|(_, result)| *result >= family.of.carries());
            stacks.extend(stacked.map(|(id, _)| (*id, at)));
        }
        let number: HashMap<NodeId, usize> = (families.iter().enumerate())
            .flat_map(|(at, family)| family.live.iter().map(move |(id, _)| (*id, at)))
            .collect();
        let mut asked: Vec<(usize, Option<usize>)> = Vec::new();
        for root in g.roots() {
            asked.extend(stacks.get(&root.value).map(|&of| (of, None)));
        }
        let live = g.live();
        for id in g.ids().filter(|id| live[id.index()]) {
            for (slot, x) in g.node(id).inputs.iter().enumerate() {
                let Some(&of) = stacks.get(x) else { continue };
                let by = number.get(&id).copied().filter(|&by| families[by].is_slice(slot));
                asked.push((of, by));
            }
        }
        loop {
            let before = chosen.clone();
            for &(of, by) in &asked {
                chosen[of] &= by.is_some_and(|by| chosen[by]);
            }
            if chosen == before {
                return chosen;
            }
        }
    }
}

/// The values of every step that were put together to a stack, by the stack.
type Parts = HashMap<NodeId, Vec<NodeId>>;

/// Records all steps of a loop; answers its results by number, those that are used.
fn steps(
    new: &Graph,
    family: &Family,
    operands: &[NodeId],
    parts: &mut Parts,
) -> Option<Vec<Option<NodeId>>> {
    let (of, body, live) = (&family.of, family.of.body(), family.live_nodes());
    let (carries, params, results) = (of.carries(), body.params(), body.results());
    let mut carried: Vec<Option<NodeId>> = operands[..carries].iter().map(|&x| Some(x)).collect();
    let mut stacks = vec![vec![None; of.length()]; of.results() - carries];
    for step in 0..of.length() {
        let slice = of.slice_of(step);
        let mut at: Vec<Option<NodeId>> = vec![None; body.nodes().len()];
        at[..carries].clone_from_slice(&carried);
        for i in (carries..params).filter(|&i| live[i]) {
            at[i] = Some(match parts.get(&operands[i]) {
                _ if !family.is_slice(i) => operands[i],
                Some(values) => values[slice],
                None => Var::new(new, operands[i]).slice(0, slice..slice + 1).squeeze(0).id(),
            });
        }
        for (i, node) in body.nodes().iter().enumerate().skip(params).filter(|(i, _)| live[*i]) {
            let inputs: Vec<NodeId> =
                node.inputs.iter().map(|x| at[x.index()]).collect::<Option<_>>()?;
            at[i] = Some(new.push(node.op.clone(), &inputs));
        }
        let before =
            std::mem::replace(&mut carried, results[..carries].iter().map(|&r| at[r]).collect());
        let after = results[carries..].iter().map(|&r| at[r]);
        stacks.iter_mut().zip(after.chain(before)).for_each(|(all, value)| all[slice] = value);
    }
    let mut stack = |number: usize, values: &[Option<NodeId>]| -> Option<NodeId> {
        let ty = of.result_type(number)?;
        let values: Vec<NodeId> = values.iter().copied().collect::<Option<_>>()?;
        let all: Vec<Var<'_>> = values.iter().map(|&value| Var::new(new, value)).collect();
        let id = match all.split_first() {
            None => Op::full(new, &ty, 0.0),
            Some((first, rest)) => first.stack(rest, 0).id(),
        };
        parts.insert(id, values);
        Some(id)
    };
    let used = |(number, used): (usize, &bool)| match number.checked_sub(carries) {
        _ if !used => None,
        None => carried[number],
        Some(at) => stack(number, &stacks[at]),
    };
    Some(family.used.iter().enumerate().map(used).collect())
}

impl Pass for Unroll {
    fn name(&self) -> &'static str {
        "unroll"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::KernelExact)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        cx.step(g.len() as u64);
        let families = Family::all(g);
        let chosen = self.chosen(g, &families);
        if !chosen.contains(&true) {
            return Ok(Outcome::Unchanged);
        }
        let mut parts = Parts::new();
        Ok(replace(g, &families, cx, (RULE, Class::KernelExact), |new, at, operands| {
            chosen[at].then(|| steps(new, &families[at], operands, &mut parts))?
        }))
    }
}
