//! What scales and shifts a product by numbers that are the same in every run goes into its weights.
//!
//! ```text
//! %4 = matmul %x %w : [64, 10]         %4 = mul %w %s     (once)
//! %5 = mul %4 %s               =>      %5 = matmul %x %4
//! %6 = add %5 %t                       %6 = add %5 %t
//! ```
//! So a batch normalization of an evaluated model is part of the linear layer or the convolution before it,
//! and what is left is one sum. Numbers are *fixed* if they are made, by elementwise operators, views and
//! sums, of constants and of variables that the graph does not write: a plan computes them once. On the way
//! to a product a factor passes reshapes, permutations, and sums with fixed numbers, which it scales too.
//! Two fixed factors or terms one after the other become one, product or not. A value on the way has no
//! other user, and nothing fires that would make more fixed numbers than elements that it saves.
//! Class: rounding. Factors and terms that belong to the elements themselves (`[64, 10]` above) stay.
//! Cost: O(nodes). Run after [`simplify`](crate::Simplify), before products are made of sums.
//!
//! **Source** Jacob et al. 2018, 3.2; what others call folding of batch normalization.

use std::collections::HashSet;

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::{Add, Broadcast, Graph, Mul, Op, Permute, Reshape, Sub};

use crate::claims::{Claims, sweep};
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError};

/// Names of the rules of this pass.
const SCALE: &str = "scale_of_product";
const FACTORS: &str = "fixed_factors";
const TERMS: &str = "fixed_terms";

/// Most nodes between a factor and its product.
const DEPTH: usize = 16;
/// Most sweeps: each joins neighbours.
const SWEEPS: usize = 8;

/// Puts fixed factors into the weights of products.
#[derive(Clone, Copy, Debug)]
pub struct Absorb;

impl Pass for Absorb {
    fn name(&self) -> &'static str {
        "absorb"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::Rounding)
    }

    fn rules(&self) -> Vec<&'static str> {
        vec![SCALE, FACTORS, TERMS]
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let mut done: Option<(Graph, pleach_graph::NodeMap)> = None;
        for _ in 0..SWEEPS {
            let from = done.as_ref().map_or(g, |(g, _)| g);
            cx.step(from.len() as u64);
            let assigned: HashSet<Op> =
                from.roots().iter().filter_map(|r| Some(from.op(r.target?))).collect();
            let mut fixed = Fixed { assigned, known: Vec::new() };
            // A step that trains all of a model has nothing of the kind, and is not built anew.
            if !from.ids().any(|id| from.peek(id, |node| fixed.is_source(node)) == Some(true)) {
                break;
            }
            fixed.extend(from);
            let claims = Claims::of(from);
            let at = Absorber { g: from, fixed: &fixed.known, claims: &claims };
            let fires = |id: NodeId| {
                let node = from.node(id);
                claims.get(id) > 0 && at.find(&node.op, &node.inputs, cx).is_some()
            };
            if !from.ids().any(fires) {
                break;
            }
            fixed.known.clear();
            let (new, map, fired) = sweep(from, cx, |new, _, node, inputs, claims, cx| {
                fixed.extend(new);
                let at = Absorber { g: new, fixed: &fixed.known, claims };
                at.record(at.find(&node.op, inputs, cx)?)
            });
            if fired == 0 {
                break;
            }
            done = Some(match done {
                None => (new, map),
                Some((_, before)) => (new, before.then(&map)),
            });
        }
        Ok(done.map_or(Outcome::Unchanged, |(new, map)| Outcome::Changed(new, map)))
    }
}

/// Which values of a graph that grows are the same in every run.
struct Fixed {
    /// Variables that are written.
    assigned: HashSet<Op>,
    known: Vec<bool>,
}

impl Fixed {
    /// Is this a fixed value from which weights or factors may come?
    fn is_source(&self, node: &Node<Op>) -> bool {
        let fixed = match &node.op {
            Op::Constant(_) => true,
            Op::Variable(_) => !self.assigned.contains(&node.op),
            _ => false,
        };
        fixed && node.ty.dtype().is_float()
    }

    /// Looks at the nodes that are new.
    fn extend(&mut self, g: &Graph) {
        for id in (self.known.len()..g.len()).map(NodeId::new) {
            let fixed = g.peek(id, |node| match &node.op {
                Op::Constant(_) | Op::Full(_) => true,
                Op::Variable(_) => !self.assigned.contains(&node.op),
                Op::Custom(_) => false,
                Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Sum(_) => {
                    self.all(&node.inputs)
                }
                op => op.traits().has(Traits::ELEMENTWISE) && self.all(&node.inputs),
            });
            self.known.push(fixed == Some(true));
        }
    }

    fn all(&self, inputs: &[NodeId]) -> bool {
        !inputs.is_empty() && inputs.iter().all(|x| self.known[x.index()])
    }
}

/// Numbers along some axes of a value: their shape has its rank, and 1 along the others.
type Along = Vec<usize>;

/// What a rule may do at a node, `z` or `y` being what it scales or shifts.
enum Found {
    /// Numbers `f` along these axes go into the product that `y` is made of.
    Scale { y: NodeId, f: NodeId, along: Along },
    /// `z` is scaled by the product of both.
    Factors { z: NodeId, both: [NodeId; 2], most: usize },
    /// The sum, or the difference, of both is added to `z`, or subtracted if `minus`.
    Terms { z: NodeId, minus: bool, sum: Op, both: [NodeId; 2], most: usize },
}

/// A place in a graph where a rule may fire.
struct Absorber<'a> {
    g: &'a Graph,
    fixed: &'a [bool],
    claims: &'a Claims,
}

impl Absorber<'_> {
    /// What may be done with the operator of these operands.
    fn find(&self, op: &Op, inputs: &[NodeId], cx: &PassCx<'_>) -> Option<Found> {
        let may = |rule| cx.may(rule, Class::Rounding);
        let &[a, b] = inputs else { return None };
        match op {
            Op::Mul(_) => {
                let (y, f) = self.parts(a, b).or_else(|| self.parts(b, a))?;
                let along = self.along(y, f)?;
                let saved = self.g.ty(y).numel();
                if may(SCALE) && self.more(y, &along, 0).is_some_and(|more| more < saved) {
                    return Some(Found::Scale { y, f, along });
                }
                let (z, f2) = self.factor_of(y).filter(|_| may(FACTORS))?;
                Some(Found::Factors { z, both: [f2, f], most: saved })
            }
            Op::Add(_) | Op::Sub(_) if may(TERMS) => {
                let swapped = || matches!(op, Op::Add(_)).then(|| self.parts(b, a)).flatten();
                let (y, t) = self.parts(a, b).or_else(swapped)?;
                let (z, t2, minus) = self.term_of(y)?;
                // z ± t2 ± t
                let sum =
                    if minus == matches!(op, Op::Sub(_)) { Op::from(Add) } else { Sub.into() };
                let most = self.g.ty(y).numel();
                Some(Found::Terms { z, minus, sum, both: [t2, t], most })
            }
            _ => None,
        }
    }

    /// What stands for the operator then, and by which rule.
    fn record(&self, found: Found) -> Option<(&'static str, NodeId)> {
        match found {
            Found::Scale { y, f, along } => {
                Some((SCALE, self.scaled(y, self.shaped(f, &along), &along)?))
            }
            Found::Factors { z, both: [a, b], most } => {
                let both = self.joined(Mul.into(), a, b, most)?;
                Some((FACTORS, self.with(Mul.into(), z, both)))
            }
            Found::Terms { z, minus, sum, both: [a, b], most } => {
                let both = self.joined(sum, a, b, most)?;
                Some((TERMS, self.with(if minus { Sub.into() } else { Add.into() }, z, both)))
            }
        }
    }

    /// `(y, f)` if `x` is fixed numbers `f`, spread over the elements of `y`, which are more and not fixed.
    fn parts(&self, y: NodeId, x: NodeId) -> Option<(NodeId, NodeId)> {
        let spread = self.g.node(x);
        let good = matches!(spread.op, Op::Broadcast(_)) && self.g.ty(y).dtype().is_float();
        let f = *spread.inputs.first().filter(|_| good)?;
        let fewer = self.g.ty(f).numel() < self.g.ty(y).numel();
        (fewer && self.fixed[f.index()] && !self.fixed[y.index()]).then_some((y, f))
    }

    /// The operands of the only user's operator that scales by fixed numbers.
    fn factor_of(&self, y: NodeId) -> Option<(NodeId, NodeId)> {
        let node = self.g.node(y);
        let good = matches!(node.op, Op::Mul(_)) && self.claims.get(y) == 1;
        let (a, b) = (*node.inputs.first().filter(|_| good)?, node.inputs[1]);
        self.parts(a, b).or_else(|| self.parts(b, a))
    }

    /// The same of one that adds fixed numbers, or subtracts them.
    fn term_of(&self, y: NodeId) -> Option<(NodeId, NodeId, bool)> {
        let node = self.g.node(y);
        let minus = matches!(node.op, Op::Sub(_));
        let good = (minus || matches!(node.op, Op::Add(_))) && self.claims.get(y) == 1;
        let (a, b) = (*node.inputs.first().filter(|_| good)?, node.inputs[1]);
        let (z, t) = self.parts(a, b).or_else(|| self.parts(b, a).filter(|_| !minus))?;
        Some((z, t, minus))
    }

    /// `f` as numbers along the axes of `y`.
    fn along(&self, y: NodeId, f: NodeId) -> Option<Along> {
        let (y, f) = (self.g.ty(y), self.g.ty(f));
        let ones = y.rank().checked_sub(f.rank())?;
        Some([&vec![1; ones][..], f.shape()].concat())
    }

    fn shaped(&self, f: NodeId, along: &[usize]) -> NodeId {
        self.g.push(Reshape::new(along).into(), &[f])
    }

    /// `op` of `y` and fixed numbers spread over it.
    fn with(&self, op: Op, y: NodeId, f: NodeId) -> NodeId {
        let spread = self.g.push(Broadcast::new(self.g.ty(y).shape()).into(), &[f]);
        self.g.push(op, &[y, spread])
    }

    /// Two kinds of fixed numbers as one, if they are fewer than `most` together.
    fn joined(&self, op: Op, a: NodeId, b: NodeId, most: usize) -> Option<NodeId> {
        let shape = self.g.ty(a).shape().broadcast(self.g.ty(b).shape())?;
        if shape.iter().product::<usize>() >= most {
            return None;
        }
        let [a, b] = [a, b].map(|x| self.g.push(Broadcast::new(&shape).into(), &[x]));
        Some(self.g.push(op, &[a, b]))
    }

    /// How many fixed numbers are made if `y` takes a factor along these axes into a product; `None` if it
    /// cannot.
    fn more(&self, y: NodeId, along: &[usize], depth: usize) -> Option<usize> {
        if depth == DEPTH || self.claims.get(y) != 1 {
            return None;
        }
        let node = self.g.node(y);
        match &node.op {
            Op::MatMul(_) => {
                let mut at = (node.inputs[self.side(&node.inputs, along)?], along.to_vec());
                while let Some(below) = self.below(at.0, &at.1) {
                    at = below;
                }
                Some(self.g.ty(at.0).numel())
            }
            Op::Add(_) | Op::Sub(_) => {
                let (z, t, _) = self.term_of(y)?;
                let of_t = self.along(y, t)?;
                let numbers: usize = of_t.iter().zip(along).map(|(&a, &b)| a.max(b)).product();
                Some(self.more(z, along, depth + 1)?.saturating_add(numbers))
            }
            _ => {
                let (x, along) = self.below(y, along)?;
                self.more(x, &along, depth + 1)
            }
        }
    }

    /// The operand of a product that takes a factor along these axes: rows are those of the first, columns
    /// those of the second. `None` if it is not fixed.
    fn side(&self, inputs: &[NodeId], along: &[usize]) -> Option<usize> {
        let [rows, columns] = *along.get(along.len().checked_sub(2)?..)? else { return None };
        let takes = |side: usize| self.fixed[inputs[side].index()] && [columns, rows][side] == 1;
        (0..2).find(|&side| takes(side))
    }

    /// The operand of a view, and along which of its axes the numbers are that are along these of the view.
    fn below(&self, x: NodeId, along: &[usize]) -> Option<(NodeId, Along)> {
        let node = self.g.node(x);
        let from = self.g.ty(*node.inputs.first()?);
        let before = match &node.op {
            Op::Permute(permute) => before_permute(permute, along),
            Op::Reshape(_) => before_reshape(from.shape(), node.ty.shape(), along)?,
            Op::Broadcast(_) => {
                let (added, own) = along.split_at(along.len() - from.rank());
                let repeated = own.iter().zip(from.shape().iter()).any(|(&n, &len)| n > len);
                (!repeated && added.iter().all(|&n| n == 1)).then(|| own.to_vec())?
            }
            _ => return None,
        };
        Some((node.inputs[0], before))
    }

    /// `f`, along axes of a view, as numbers `along` axes of its operand.
    fn turned(&self, view: &Op, f: NodeId, along: &[usize]) -> NodeId {
        let Op::Permute(permute) = view else { return self.shaped(f, along) };
        let mut inverse = vec![0; along.len()];
        permute.order().iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
        self.g.push(Permute::new(&inverse).into(), &[f])
    }

    /// `y` times `f`, whose shape is `along`: [`Absorber::more`] has said that it can be.
    fn scaled(&self, y: NodeId, f: NodeId, along: &[usize]) -> Option<NodeId> {
        let node = self.g.node(y);
        Some(match &node.op {
            Op::MatMul(_) => {
                let side = self.side(&node.inputs, along)?;
                let mut inputs = node.inputs.clone();
                inputs[side] = self.weight(inputs[side], f, along);
                self.g.push(node.op.clone(), &inputs)
            }
            Op::Add(_) | Op::Sub(_) => {
                let (z, t, _) = self.term_of(y)?;
                let t = self.shaped(t, &self.along(y, t)?);
                let t = self.joined(Mul.into(), t, f, usize::MAX)?;
                self.with(node.op.clone(), self.scaled(z, f, along)?, t)
            }
            view => {
                let (x, along) = self.below(y, along)?;
                let x = self.scaled(x, self.turned(view, f, &along), &along)?;
                self.g.push(view.clone(), &[x])
            }
        })
    }

    /// A weight times `f`: below its views, where it is smallest and other passes look for it.
    fn weight(&self, w: NodeId, f: NodeId, along: &[usize]) -> NodeId {
        let (mut views, mut at) = (Vec::new(), (w, f, along.to_vec()));
        while let Some((x, along)) = self.below(at.0, &at.2) {
            let view = self.g.op(at.0);
            at = (x, self.turned(&view, at.1, &along), along);
            views.push(view);
        }
        let scaled = self.with(Mul.into(), at.0, at.1);
        views.into_iter().rev().fold(scaled, |x, view| self.g.push(view, &[x]))
    }
}

/// Numbers along the axes of a permuted value, along those of its operand.
fn before_permute(permute: &Permute, along: &[usize]) -> Along {
    let mut before = vec![1; along.len()];
    permute.order().iter().zip(along).for_each(|(&axis, &n)| before[axis] = n);
    before
}

/// Numbers along axes of a value of shape `to`, along those of shape `from` which it has before a reshape.
/// Axes that become others together must all have numbers, or none.
fn before_reshape(from: &[usize], to: &[usize], along: &[usize]) -> Option<Along> {
    let mut before = Vec::with_capacity(from.len());
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        let (first_i, first_j) = (i, j);
        let (mut a, mut b) = (1usize, 1usize);
        // Some axes of each side, of as many elements.
        loop {
            if i < from.len() && (a <= b || j == to.len()) {
                (a, i) = (a.checked_mul(from[i])?, i + 1);
            } else if j < to.len() {
                (b, j) = (b.checked_mul(to[j])?, j + 1);
            } else {
                return None;
            }
            let ends = i == from.len() && j < to.len() || j == to.len() && i < from.len();
            if a == b && !ends {
                break;
            }
        }
        let part = &along[first_j..j];
        if part.iter().all(|&n| n == 1) {
            before.extend(std::iter::repeat_n(1, i - first_i));
        } else if *part == to[first_j..j] {
            before.extend_from_slice(&from[first_i..i]);
        } else {
            return None;
        }
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_find_their_axes_before_a_reshape() {
        let of = before_reshape;
        assert_eq!(of(&[1, 6, 20], &[6, 4, 5], &[6, 1, 1]), Some(vec![1, 6, 1]));
        assert_eq!(of(&[1, 6, 20], &[6, 4, 5], &[1, 4, 5]), Some(vec![1, 1, 20]));
        assert_eq!(of(&[1, 6, 20], &[6, 4, 5], &[1, 4, 1]), None);
        assert_eq!(of(&[2, 3, 20], &[6, 20], &[6, 1]), Some(vec![2, 3, 1]));
        assert_eq!(of(&[2, 3], &[2, 3, 1], &[1, 3, 1]), Some(vec![1, 3]));
        assert_eq!(of(&[], &[1], &[1]), Some(vec![]));
    }
}
