//! What is a number of times a value, element by element, becomes one product with it: what goes back
//! through an activation is the slope of that, times what came.
//!
//! ```text
//! %4 = mul %g %c
//! %5 = mul %g %x                       %4 = mul %x %d
//! %6 = mul %5 %d                       %5 = add %c %4      (no %g: the slope)
//! %7 = add %4 %6              =>       %7 = mul %g %5
//! ```
//! A sum, a product, a quotient by another value, a choice between such terms or zero: if every term has `g` as a
//! factor once, all of it is `g` times what it is for `g = 1`. So the slope of an activation is known in the forward
//! pass, and one value is kept for it instead of all that it is made of ([`fuse`](crate::Fuse) moves it there).
//! Class: rounding. Fires where it takes fewer operators. Cost: O(nodes): at most 48 operators are looked at
//! from each sum. Run after [`simplify`](crate::Simplify), before [`fuse`](crate::Fuse).

use std::collections::BTreeMap;

use pleach_graph::{Node, NodeId};
use pleach_ops::{Graph, GraphExt, Mul, Op, Var};
use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::claims::{live_uses, replace};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Name of the one rule of this pass.
const RULE: &str = "slope";
/// Most operators that are looked at from a sum.
const MOST: usize = 48;
/// Most factors in common that are tried.
const TRIED: usize = 3;
/// Most factors of a value that are remembered.
const FACTORS: usize = 8;

/// Makes products of sums with a common factor.
#[derive(Clone, Copy, Debug)]
pub struct Slope;

/// For every live node, the values of its type that it is a number of times of, itself among them: the
/// newest of them, in order.
#[derive(Debug)]
struct Factors {
    /// Where those of a node begin, and of the node after the last.
    starts: Vec<usize>,
    all: Vec<NodeId>,
}

/// A sum, and the value that it is a number of times of.
#[derive(Debug)]
struct Found {
    g: NodeId,
    /// The operators between them, the sum last.
    between: Vec<NodeId>,
}

impl Pass for Slope {
    fn name(&self) -> &'static str {
        "slope"
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
        let found = sums(g, cx);
        if found.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        Ok(replace(g, g.ids(), cx, |new, old, places, cx| {
            let sum = found.get(&old).filter(|_| cx.may(RULE, Class::Rounding))?;
            Some((RULE, sum.build(g, new, places)?))
        }))
    }
}

/// The sums that become products, from the last to the first: none is inside of another.
fn sums(g: &Graph, cx: &mut PassCx<'_>) -> BTreeMap<NodeId, Found> {
    let uses = live_uses(g);
    cx.step(g.len() as u64);
    let known = Factors::new(g, &uses);
    let (mut inside, mut all) = (vec![false; g.len()], BTreeMap::new());
    for id in g.ids().rev().filter(|id| uses[id.index()] > 0) {
        let is_sum = g.peek(id, |node| {
            let sum = matches!(node.op, Op::Add(_) | Op::Sub(_));
            sum && node.ty.dtype().is_float() && node.ty.numel() > 1
        });
        if is_sum != Some(true) || inside[id.index()] {
            continue;
        }
        cx.step(known.of(id).len() as u64);
        let found = match Found::at(g, id, &uses, &known) {
            Some((found, 1..)) => found,
            // `g·a + g` takes as many, and is no near miss.
            Some((found, 0)) if found.between.len() > 2 => {
                cx.skip(RULE, g, id, "it takes as many operators");
                continue;
            }
            _ => continue,
        };
        found.between.iter().for_each(|x| inside[x.index()] = true);
        all.insert(id, found);
    }
    all
}

/// The operands through which an operator may be a number of times a value.
fn terms(op: &Op, inputs: &[NodeId]) -> SmallVec<[NodeId; 2]> {
    match op {
        Op::Add(_) | Op::Sub(_) | Op::Mul(_) => inputs.into(),
        Op::Neg(_) | Op::Div(_) => inputs[..1].into(),
        Op::Select(_) => inputs[1..].into(),
        _ => SmallVec::new(),
    }
}

fn is_zero(g: &Graph, id: NodeId) -> bool {
    g.peek(id, |node| matches!(&node.op, Op::Full(full) if full.value() == 0.0)) == Some(true)
}

impl Found {
    /// The sum at `id`, if all of its terms have a factor in common, and how many operators it saves: by
    /// the factor that saves most, of several the newest, as what comes back is newer than what went
    /// forward.
    fn at(g: &Graph, id: NodeId, uses: &[u32], known: &Factors) -> Option<(Found, i64)> {
        let common = known.of(id).iter().rev().filter(|x| **x != id).take(TRIED);
        let found = common.filter_map(|&value| {
            let found = Found { g: value, between: between(g, id, value, known)? };
            let saved = found.saved(g, uses);
            Some((found, saved))
        });
        found.max_by_key(|(found, saved)| (*saved, found.g))
    }

    /// Operators that go, less those that come.
    fn saved(&self, g: &Graph, uses: &[u32]) -> i64 {
        let mut within: SmallVec<[u32; 16]> = SmallVec::from_elem(0, self.between.len());
        let mut come = 1;
        for &x in &self.between {
            g.peek(x, |node| {
                for y in &node.inputs {
                    self.between.binary_search(y).into_iter().for_each(|i| within[i] += 1);
                }
                // Of a product with `g` the other factor is left, which is there.
                let is_product = matches!(node.op, Op::Mul(_)) && node.inputs.contains(&self.g);
                come += i64::from(!is_product);
            });
        }
        let last = self.between.len().saturating_sub(1);
        let counted = self.between.iter().zip(&within).enumerate();
        let gone = counted.filter(|&(i, (x, &n))| i == last || n == uses[x.index()]).count();
        gone as i64 - come
    }

    /// The product, in the new graph, where nodes of `g` went to `places`: every operator between as it is
    /// for `g = 1`.
    fn build(&self, g: &Graph, new: &Graph, places: &[Option<NodeId>]) -> Option<NodeId> {
        let place = |x: NodeId| places[x.index()];
        let mut values: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for &x in &self.between {
            let node = g.node(x);
            let value = match (&node.op, &node.inputs[..]) {
                (Op::Mul(_), &[a, b]) if a == self.g => place(b)?,
                (Op::Mul(_), &[a, b]) if b == self.g => place(a)?,
                (op, inputs) => {
                    let one = || Some(new.full(node.ty.dtype(), node.ty.shape().clone(), 1.0).id());
                    let of = |y: &NodeId| match values.get(y) {
                        _ if *y == self.g => one(),
                        Some(&value) => Some(value),
                        None => place(*y),
                    };
                    let inputs = inputs.iter().map(of).collect::<Option<Vec<NodeId>>>()?;
                    let id = new.push(op.clone(), &inputs);
                    Var::new(new, id).ty().map(|_| id)?
                }
            };
            values.insert(x, value);
        }
        Some(new.push(Mul.into(), &[place(self.g)?, *values.get(self.between.last()?)?]))
    }
}

/// The operators from the sum at `id` down to a factor of all its terms, the sum last; `None` if they are
/// very many.
fn between(g: &Graph, id: NodeId, value: NodeId, known: &Factors) -> Option<Vec<NodeId>> {
    let (mut all, mut at) = (vec![id], 0);
    while let Some(&x) = all.get(at) {
        let node = g.node(x);
        for term in terms(&node.op, &node.inputs) {
            let has = term != value && known.of(term).contains(&value);
            if has && !all.contains(&term) {
                all.push(term);
            }
        }
        if all.len() > MOST {
            return None;
        }
        at += 1;
    }
    all.sort_unstable();
    Some(all)
}

impl Factors {
    fn new(g: &Graph, uses: &[u32]) -> Factors {
        let mut known = Factors { starts: vec![0], all: Vec::with_capacity(g.len()) };
        let mut own: SmallVec<[NodeId; 2 * FACTORS]> = SmallVec::new();
        for id in g.ids() {
            if uses[id.index()] > 0 {
                g.peek_typed(id, |node, types| known.of_node(g, node, types, &mut own));
                // A splat is no factor.
                let is_splat = g.peek(id, |node| matches!(node.op, Op::Full(_))) == Some(true);
                own.sort_unstable();
                let more = own.len().saturating_sub(FACTORS - 1);
                known.all.extend_from_slice(&own[more..]);
                known.all.extend((!is_splat).then_some(id));
                own.clear();
            }
            known.starts.push(known.all.len());
        }
        known
    }

    fn of(&self, id: NodeId) -> &[NodeId] {
        &self.all[self.starts[id.index()]..self.starts[id.index() + 1]]
    }

    /// Those of a node, by those of its operands, but for itself.
    fn of_node(
        &self,
        g: &Graph,
        node: &Node<Op>,
        types: &[&Type],
        own: &mut SmallVec<[NodeId; 2 * FACTORS]>,
    ) {
        let of = |i: usize| if *types[i] == node.ty { self.of(node.inputs[i]) } else { &[] };
        let mut both = |a: &[NodeId], b: &[NodeId]| {
            own.extend(a.iter().copied().filter(|y| b.contains(y)));
        };
        match &node.op {
            Op::Add(_) | Op::Sub(_) => both(of(0), of(1)),
            Op::Mul(_) => {
                // Twice a factor is a square.
                let (a, b) = (of(0), of(1));
                let once = |y: &NodeId| a.contains(y) != b.contains(y);
                own.extend(a.iter().chain(b).copied().filter(once));
            }
            Op::Neg(_) => own.extend_from_slice(of(0)),
            Op::Div(_) => own.extend(of(0).iter().copied().filter(|y| !of(1).contains(y))),
            Op::Select(_) if is_zero(g, node.inputs[1]) => own.extend_from_slice(of(2)),
            Op::Select(_) if is_zero(g, node.inputs[2]) => own.extend_from_slice(of(1)),
            Op::Select(_) => both(of(1), of(2)),
            _ => {}
        }
    }
}
