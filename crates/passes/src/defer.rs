//! Takes sums out of loops: what each step adds to a carry is stacked, and added up after the loop.
//!
//! ```text
//! %3 = scan(… {%3 = matmul xᵗ g; %4 = add %0 %3; return %4}) …
//! =>
//! %3 = matmul Xᵗ G      (X, G: the factors of all steps; the inner axis runs over steps and rows)
//! ```
//! So the gradient of a weight that every step uses is one product of a long inner axis, and not a
//! short one for each step. A carry qualifies if a step does nothing with it but to add to it, and
//! only its last value is asked for. Of what is added, a term goes if it is
//! - a product: its factors are stacked;
//! - a sum over axes, or any value: that is stacked.
//!
//! Slices are stacked already, and so is what the loop answers. A term stays if stacking moves more
//! bytes (written and read once, in every step) than it saves (the term written and read, the sum
//! read and written), or if all that is stacked anew would take more than `max_bytes`. Class:
//! rounding, for the order of summation is another one. Cost: O(nodes). Run before
//! [`simplify`](crate::Simplify), which removes sums that began with zeros.

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op, Sum, Var};

use crate::all_steps::{Value, all_steps};
use crate::family::{Carry, Depends, Edit, Edited, Family, replace};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "sum_of_steps";

/// Takes sums out of loops.
#[derive(Clone, Copy, Debug)]
pub struct Defer {
    /// Most bytes that one loop stacks anew. A loop remembers its carries for its gradient anyway;
    /// factors are about as large, and below this bound they cost less to keep than to add up.
    pub max_bytes: usize,
}

impl Default for Defer {
    fn default() -> Defer {
        Defer { max_bytes: 64 << 20 }
    }
}

/// A term of a sum that can be added up after the loop.
#[derive(Debug)]
struct Term {
    carry: usize,
    /// The term itself.
    node: usize,
    /// Linear operators that are applied to the sum over the steps, the outermost first.
    around: Vec<usize>,
    /// The product, the sum over axes, or any value.
    core: usize,
}

impl Term {
    /// What has to be stacked.
    fn factors(&self, family: &Family) -> Vec<usize> {
        let node = &family.nodes()[self.core];
        match node.op {
            Op::MatMul(_) | Op::Sum(_) => node.inputs.iter().map(|x| x.index()).collect(),
            _ => vec![self.core],
        }
    }
}

/// The value below permutations and reshapes, which cost nothing after the loop either.
fn below_views(family: &Family, mut node: usize) -> usize {
    while let Op::Permute(_) | Op::Reshape(_) = family.nodes()[node].op {
        node = family.nodes()[node].inputs[0].index();
    }
    node
}

/// The terms that a step adds to a carry, if it does nothing else with it.
fn terms(family: &Family, uses: &[usize], carry: usize) -> Option<Vec<usize>> {
    let only_last = family.used[carry] && !family.used[family.of.stacked_carry(carry)];
    let nodes = family.nodes();
    let mut work = vec![family.of.body().results()[carry]];
    let (mut found, mut terms) = (false, Vec::new());
    while let Some(node) = work.pop() {
        match &nodes[node].op {
            _ if node == carry => found = true,
            Op::Add(_) if uses[node] == 1 => {
                work.extend(nodes[node].inputs.iter().map(|x| x.index()));
            }
            _ => terms.push(node),
        }
    }
    terms.reverse();
    (only_last && found && uses[carry] == 1 && !terms.is_empty()).then_some(terms)
}

impl Defer {
    /// What is taken out of a loop; `None` if nothing is.
    fn plan(&self, family: &Family, g: &Graph, cx: &mut PassCx<'_>) -> Option<(Edit, Vec<Term>)> {
        let (of, nodes, results) = (&family.of, family.nodes(), family.of.body().results());
        let uses = family.uses();
        cx.step(nodes.len() as u64);
        let depends = family.depends();
        let mut candidates: Vec<Term> = Vec::new();
        let mut carries = vec![Carry::Kept; of.carries()];
        for carry in 0..of.carries() {
            let Some(terms) = terms(family, &uses, carry) else { continue };
            carries[carry] = Carry::Sum(terms.clone());
            for node in terms {
                let (mut core, mut around) = (node, Vec::new());
                let linear = |op: &Op| {
                    let view = matches!(op, Op::Permute(_) | Op::Reshape(_) | Op::Broadcast(_));
                    view || matches!(op, Op::Slice(_) | Op::Flip(_) | Op::Neg(_))
                };
                while linear(&nodes[core].op) && uses[core] == 1 {
                    around.push(core);
                    core = nodes[core].inputs[0].index();
                }
                candidates.push(Term { carry, node, around, core });
            }
        }
        // Products first: sums use what is stacked for them.
        candidates.sort_by_key(|term| !matches!(nodes[term.core].op, Op::MatMul(_)));
        let stacked_already = |node: usize| {
            let answered =
                (of.carries()..results.len()).any(|y| family.used[y] && results[y] == node);
            family.is_slice(node) || answered
        };
        let mut edit = Edit::default();
        let (mut bytes, mut moved) = (0, Vec::new());
        for term in candidates {
            let factors = term.factors(family);
            if uses[term.core] != 1 || factors.iter().any(|&f| depends[f] == Depends::Nothing) {
                continue;
            }
            let mut fresh: Vec<usize> = factors.iter().map(|&f| below_views(family, f)).collect();
            fresh.retain(|f| !stacked_already(*f) && !edit.stacked.contains(f));
            fresh.dedup();
            let more: usize = fresh.iter().map(|&f| nodes[f].ty.bytes()).sum();
            let (term_bytes, whole) =
                (nodes[term.core].ty.bytes(), more.saturating_mul(of.length()));
            if more > 0 && more >= 2 * term_bytes {
                cx.skip(RULE, g, family.first(), "to stack what is added moves more than it saves");
            } else if whole.saturating_add(bytes) > self.max_bytes {
                cx.skip(RULE, g, family.first(), "what is added would take too much memory");
            } else if more == 0 || matches!(nodes[term.core].op, Op::MatMul(_) | Op::Sum(_)) {
                bytes += whole;
                edit.stacked.extend(fresh);
                moved.push(term);
            }
        }
        for (carry, kept) in carries.iter_mut().enumerate() {
            let Carry::Sum(terms) = kept else { continue };
            let before = terms.len();
            terms.retain(|t| !moved.iter().any(|m| m.carry == carry && m.node == *t));
            if terms.len() == before {
                *kept = Carry::Kept;
            } else if terms.is_empty() {
                *kept = Carry::Gone;
            }
        }
        edit.carries = carries;
        (!moved.is_empty()).then_some((edit, moved))
    }
}

/// A value of the body in all steps.
fn stacked(
    new: &Graph,
    family: &Family,
    operands: &[NodeId],
    edit: &Edit,
    edited: &Edited,
    node: usize,
) -> Option<NodeId> {
    let (of, nodes, results) = (&family.of, family.nodes(), family.of.body().results());
    let (base, mut views, mut at) = (below_views(family, node), Vec::new(), node);
    while at != base {
        views.push(at);
        at = nodes[at].inputs[0].index();
    }
    let answered = (of.carries()..results.len()).find(|&y| family.used[y] && results[y] == base);
    let mut value = match (edit.stacked.iter().position(|&n| n == base), answered) {
        _ if family.is_slice(base) => operands[base],
        (Some(i), _) => edited.stacked(new, i),
        (None, answered) => edited.result(new, answered?)?,
    };
    for view in views.into_iter().rev() {
        value = all_steps(new, &nodes[view], &[Value::Stacked(value)], of.length())?;
    }
    Some(value)
}

/// Records the sum of a term over all steps.
fn sum(
    new: &Graph,
    family: &Family,
    operands: &[NodeId],
    edit: &Edit,
    edited: &Edited,
    term: &Term,
) -> Option<NodeId> {
    let nodes = family.nodes();
    let values = term.factors(family).into_iter().map(|factor| {
        stacked(new, family, operands, edit, edited, factor).map(|id| Var::new(new, id))
    });
    let values: Vec<Var<'_>> = values.collect::<Option<_>>()?;
    let sum = match (&nodes[term.core].op, values.as_slice()) {
        (Op::MatMul(_), &[a, b]) => {
            // The axis of the steps joins the inner one: [t, …, m, k] and [t, …, k, n].
            let (rank, t) = (a.shape().rank() as i64, a.size(0));
            let [m, k, n] = [a.size(-2), a.size(-1), b.size(-1)];
            let lead: Vec<i64> = (1..rank - 2).collect();
            let order = |tail: [i64; 3]| -> Vec<i64> { lead.iter().copied().chain(tail).collect() };
            let shape = a.shape();
            let shape = |tail: [usize; 2]| -> Vec<usize> {
                shape[1..rank as usize - 2].iter().copied().chain(tail).collect()
            };
            let a = a.permute(&order([rank - 2, 0, rank - 1])).reshape(shape([m, t * k]));
            let b = b.permute(&order([0, rank - 2, rank - 1])).reshape(shape([t * k, n]));
            a.matmul(b)
        }
        (Op::Sum(of), &[x]) => {
            let axes: Vec<usize> = [0].into_iter().chain(of.axes().iter().map(|a| a + 1)).collect();
            x.record(Sum::new(&axes), &[x])
        }
        (_, &[x]) => x.record(Sum::new(&[0]), &[x]),
        _ => return None,
    };
    let around = term.around.iter().rev();
    Some(around.fold(sum, |sum, &view| sum.record(nodes[view].op.clone(), &[sum])).id())
}

impl Pass for Defer {
    fn name(&self) -> &'static str {
        "defer"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![RULE]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        if !cx.may(RULE, Class::Rounding) {
            return Ok(Outcome::Unchanged);
        }
        let families = Family::all(g);
        let plans: Vec<Option<(Edit, Vec<Term>)>> =
            families.iter().map(|family| self.plan(family, g, cx)).collect();
        if plans.iter().all(Option::is_none) {
            return Ok(Outcome::Unchanged);
        }
        Ok(replace(g, &families, cx, (RULE, Class::Rounding), |new, number, operands| {
            let (edit, moved) = plans[number].as_ref()?;
            deferred(new, &families[number], operands, edit, moved)
        }))
    }
}

/// Records the loop without what is moved, and answers its results.
fn deferred(
    new: &Graph,
    family: &Family,
    operands: &[NodeId],
    edit: &Edit,
    moved: &[Term],
) -> Option<Vec<Option<NodeId>>> {
    let edited = family.edit(new, operands, edit)?;
    let mut values = edited.results(new, family);
    for term in moved {
        let sum = sum(new, family, operands, edit, &edited, term)?;
        let so_far = values[term.carry].unwrap_or(operands[term.carry]);
        values[term.carry] = Some((Var::new(new, so_far) + Var::new(new, sum)).id());
    }
    Some(values)
}
