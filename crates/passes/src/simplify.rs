//! Simplifies algebra, by rules that are data.
//!
//! ```text
//! %2 = neg %1
//! %3 = sub %0 %2        =>   %2 = add %0 %1
//! ```
//! Class: that of the weakest rule which fires. No rule makes a graph worse: the nodes that it
//! appends cost no more than those that lose their last use ([`Price`]); only stabilizing rules
//! may pay, with at most one operator. Sweeps until nothing changes, at most 8 times; reaching the limit
//! is reported. Cost: O(nodes) a sweep, for patterns and proofs are of bounded size. Run after
//! differentiation and [`fold`](crate::Fold).

use pleach_graph::{NodeId, NodeMap};
use pleach_ops::{Graph, OPERATORS, Op};
use pleach_tensor::Type;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::claims::{Claims, sweep};
use crate::pattern::Estimate;
use crate::rules::RULES;
use crate::{Class, Classes, Match, Outcome, Pass, PassCx, PassError, Pattern, Price, Rule};

/// Sweeps before the pass gives up looking for more.
const MAX_SWEEPS: usize = 8;

/// Applies [`Rule`]s wherever they match.
#[derive(Clone, Debug)]
pub struct Simplify {
    rules: Vec<Rule>,
    /// Rules by the operator at their root, in order.
    by_root: ByOperator<Vec<Candidate>>,
    /// The operators that operands of roots must be.
    kinds: ByOperator<Kinds>,
    sweeps: usize,
}

/// Something for each operator: a name is looked up only for those that are not in the list.
#[derive(Clone, Debug)]
struct ByOperator<T> {
    listed: Vec<T>,
    others: FxHashMap<&'static str, T>,
}

impl<T: Clone + Default> Default for ByOperator<T> {
    fn default() -> Self {
        ByOperator { listed: vec![T::default(); OPERATORS.len()], others: FxHashMap::default() }
    }
}

impl<T: Clone + Default> ByOperator<T> {
    fn of(&mut self, name: &'static str) -> &mut T {
        match OPERATORS.iter().position(|op| op.name == name) {
            Some(place) => &mut self.listed[place],
            None => self.others.entry(name).or_default(),
        }
    }

    fn get(&self, op: &Op) -> Option<&T> {
        op.place().map_or_else(|| self.others.get(op.name()), |place| Some(&self.listed[place]))
    }
}

/// A set of operators, one bit each: those that a look at the operands of a node tells.
type Kinds = u128;

/// The bit of splats.
const SPLAT: Kinds = 1;

/// A rule that may fire where the operands are of these kinds, 0 being any.
#[derive(Clone, Debug)]
struct Candidate {
    rule: usize,
    args: SmallVec<[Kinds; 2]>,
}

impl Candidate {
    /// May operands of these kinds be what the rule asks for, in this order or the other?
    fn fits(&self, kinds: &[Kinds]) -> bool {
        let fits = |(needs, kind): (&Kinds, &Kinds)| *needs == 0 || needs & kind != 0;
        let swapped = || {
            kinds.len() == 2
                && self.args.len() == 2
                && self.args.iter().zip(kinds.iter().rev()).all(fits)
        };
        self.args.iter().zip(kinds).all(fits) || swapped()
    }
}

impl Default for Simplify {
    /// The library's rules.
    fn default() -> Simplify {
        Simplify::new(RULES.clone())
    }
}

impl Simplify {
    /// These rules; of two that match, the first fires.
    pub fn new(rules: Vec<Rule>) -> Simplify {
        let mut by_root: ByOperator<Vec<Candidate>> = ByOperator::default();
        let (mut kinds, mut count): (ByOperator<Kinds>, u32) = (ByOperator::default(), 0);
        for (rule, Rule { left, .. }) in rules.iter().enumerate() {
            let Pattern::Apply(root, _, args) = left else { continue };
            let mut needs = SmallVec::new();
            for arg in args {
                needs.push(match arg {
                    Pattern::Any(_) => 0,
                    Pattern::Splat(_) | Pattern::Number(_) => SPLAT,
                    // Operators beyond the number of bits are not looked for.
                    Pattern::Apply(name, ..) => {
                        let kind = kinds.of(name);
                        if *kind == 0 {
                            *kind = Kinds::checked_shl(2, count).unwrap_or(0);
                            count += 1;
                        }
                        *kind
                    }
                });
            }
            by_root.of(root).push(Candidate { rule, args: needs });
        }
        Simplify { rules, by_root, kinds, sweeps: MAX_SWEEPS }
    }

    /// At most `n` sweeps instead of 8.
    #[must_use]
    pub fn sweeps(self, n: usize) -> Simplify {
        Simplify { sweeps: n, ..self }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What a node is, as the operand of another.
    fn kind(&self, g: &Graph, id: NodeId) -> Kinds {
        let kind = |op: &Op| match op {
            Op::Full(_) => SPLAT,
            op => self.kinds.get(op).copied().unwrap_or(0),
        };
        g.peek(id, |node| kind(&node.op)).unwrap_or(0)
    }

    /// The first rule that may fire at an operator, and what its left side found.
    #[allow(clippy::too_many_arguments, reason = "the node to rewrite, in the old and new graph")]
    fn first(
        &self,
        g: &Graph,
        old: NodeId,
        new: &Graph,
        op: &Op,
        inputs: &[NodeId],
        claims: &Claims,
        uses: u32,
        cx: &mut PassCx<'_>,
    ) -> Option<(&Rule, Match)> {
        let candidates = self.by_root.get(op)?;
        let kinds: SmallVec<[Kinds; 4]> = inputs.iter().map(|&x| self.kind(new, x)).collect();
        cx.step(candidates.len() as u64);
        let mut candidates = candidates.iter().filter(|c| c.fits(&kinds)).peekable();
        candidates.peek()?;
        let ty = g.ty(old);
        for candidate in candidates {
            let rule = &self.rules[candidate.rule];
            if !cx.may(rule.name, rule.values) {
                continue;
            }
            let Some(found) = rule.left.matches(new, op, inputs) else { continue };
            cx.step(found.steps);
            // What something else uses as well costs nothing.
            let is_there = |id| claims.get(id) > 0 && !found.inner.contains(&id);
            let allowed = proved(rule, new, &found).and_then(|()| {
                let right = rule.right.estimate(new, &found, &ty, &is_there);
                let right = right.filter(|right| right.ty == ty);
                let right = right.ok_or("the right side has another type")?;
                cheaper(rule, new, op, inputs, &ty, &found, claims, uses, &right)
            });
            match allowed {
                Ok(()) => return Some((rule, found)),
                Err(reason) => cx.skip(rule.name, g, old, reason),
            }
        }
        None
    }

    /// May any rule fire? Where none may, there is nothing to build anew.
    fn fires(&self, g: &Graph, claims: &Claims, cx: &mut PassCx<'_>) -> bool {
        g.ids().filter(|&id| claims.get(id) > 0).any(|id| {
            let (node, uses) = (g.node(id), claims.get(id));
            self.first(g, id, g, &node.op, &node.inputs, claims, uses, cx).is_some()
        })
    }
}

/// Do the guards hold? A rule that needs facts does not fire without one that proves them.
fn proved(rule: &Rule, g: &Graph, found: &Match) -> Result<(), &'static str> {
    if rule.values == Class::NeedsFacts && rule.guards.is_empty() {
        return Err("it needs facts and has no guard that proves them");
    }
    rule.guard(g, found)
}

/// Is the right side worth it?
#[allow(clippy::too_many_arguments, reason = "both sides, and what is used elsewhere")]
fn cheaper(
    rule: &Rule,
    g: &Graph,
    op: &Op,
    inputs: &[NodeId],
    ty: &Type,
    found: &Match,
    claims: &Claims,
    uses: u32,
    right: &Estimate,
) -> Result<(), &'static str> {
    // The whole left side, and of it what loses its last use.
    let mut left = Price::of_inputs(g, op, inputs, ty);
    let mut freed = left;
    let mut dying: SmallVec<[NodeId; 4]> = SmallVec::new();
    for &id in &found.inner {
        left += Price::of_node(g, id);
        if dying.contains(&id) {
            continue;
        }
        let count = |of: &[NodeId]| of.iter().filter(|x| **x == id).count();
        let inside = dying.iter().map(|&d| count(&g.node(d).inputs)).sum::<usize>();
        if claims.get(id) as usize == inside + count(inputs) {
            freed += Price::of_node(g, id);
            dying.push(id);
        }
    }
    let right = right.price;
    if rule.values == Class::Stabilizing {
        // Beside a value that stays for another use, as σ(x) beside 1 - σ(x), a second one is computed: only
        // where more than one use gains by it. The slope of a sigmoid, σ(x)·(1 - σ(x)), would not.
        let more = u64::from(freed == left || uses > 1);
        let afford = right.operators <= freed.operators + more;
        return if afford { Ok(()) } else { Err("it would compute more than it saves") };
    }
    if right >= left {
        return Err("the right side costs as much as the left");
    }
    let enough = match rule.values {
        // Equal work now may be less later, when the last use elsewhere is rewritten too.
        class if class <= Class::ZeroSign => right.work <= freed.work,
        _ => right < freed,
    };
    if enough { Ok(()) } else { Err("a value inside of it is used elsewhere too") }
}

impl Pass for Simplify {
    fn rules(&self) -> Vec<&'static str> {
        self.rules.iter().map(|rule| rule.name).collect()
    }

    fn name(&self) -> &'static str {
        "simplify"
    }

    fn class(&self) -> Classes {
        let weakest = |class: fn(&Rule) -> Class| {
            self.rules.iter().map(class).max().unwrap_or(Class::BitExact)
        };
        Classes { values: weakest(|r| r.values), gradients: weakest(|r| r.gradients) }
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let mut result: Option<(Graph, NodeMap)> = None;
        let mut settled = false;
        for _ in 0..self.sweeps {
            let current = result.as_ref().map_or(g, |(graph, _)| graph);
            // What did not fire is said of the graph as it is in the end.
            cx.skipped.clear();
            let before = Claims::of(current);
            if !self.fires(current, &before, cx) {
                settled = true;
                break;
            }
            cx.skipped.clear();
            let (next, step, fired) = sweep(current, cx, |new, old, node, inputs, claims, cx| {
                let uses = before.get(old);
                let (rule, found) =
                    self.first(current, old, new, &node.op, inputs, claims, uses, cx)?;
                Some((rule.name, rule.right.build(new, &found, &node.ty)?))
            });
            if fired == 0 {
                settled = true;
                break;
            }
            cx.rebuilt(self.name(), current, &next, &step);
            let map = match &result {
                Some((_, map)) => map.then(&step),
                None => step,
            };
            result = Some((next, map));
        }
        if let (false, Some(root)) = (settled, g.roots().first()) {
            let reason = format!("the limit of {} sweeps was reached", self.sweeps);
            cx.skip("simplify", g, root.value, &reason);
        }
        Ok(match result {
            Some((graph, map)) => Outcome::Changed(graph, map),
            None => Outcome::Unchanged,
        })
    }
}
