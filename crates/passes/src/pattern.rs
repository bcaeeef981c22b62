//! Patterns: the two sides of a rule, read from text once.

use std::mem::discriminant;

use pleach_graph::{Node, NodeId, Operator, Traits};
use pleach_ops::{Full, Graph, Op};
use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::Price;

/// One side of a rule: `mul(x, add(y, c))`.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// `x`: any value; the same one wherever the word stands.
    Any(&'static str),
    /// `c`, `c1`, `c2`, …: any splat.
    Splat(&'static str),
    /// `2.0`: a splat of these bits.
    Number(f64),
    /// `name(…)`: the operator of this name, whatever its attributes. On a right side: the one
    /// without attributes, or else the one that the left side found under this name.
    Apply(&'static str, Option<Op>, Vec<Pattern>),
}

/// What a left side found.
#[derive(Clone, Debug, Default)]
pub struct Match {
    bound: SmallVec<[(&'static str, NodeId); 4]>,
    /// The operators that are part of the pattern, users before operands, without the root.
    pub(crate) inner: SmallVec<[NodeId; 4]>,
    /// The operator at the root, if it has attributes: others are made anew by name.
    root: Option<Op>,
    /// Comparisons made.
    pub(crate) steps: u64,
}

impl Match {
    /// The node that a word stands for.
    pub fn get(&self, name: &str) -> Option<NodeId> {
        self.bound.iter().find(|(n, _)| *n == name).map(|(_, id)| *id)
    }

    /// A word that stands for a node, and nothing else.
    pub(crate) fn of(name: &'static str, id: NodeId) -> Match {
        let mut found = Match::default();
        found.bind(name, id);
        found
    }

    /// Words that stand for nodes, and nothing else.
    #[cfg(feature = "egraph")]
    pub(crate) fn of_words(words: impl Iterator<Item = (&'static str, NodeId)>) -> Match {
        Match { bound: words.collect(), ..Match::default() }
    }

    fn bind(&mut self, name: &'static str, id: NodeId) -> bool {
        match self.get(name) {
            Some(bound) => bound == id,
            None => {
                self.bound.push((name, id));
                true
            }
        }
    }

    /// The operator that a right side means by a name.
    fn operator(&self, g: &Graph, name: &str, plain: Option<&Op>) -> Option<Op> {
        let root = || self.root.clone().filter(|op| op.name() == name);
        let inner = || self.inner.iter().map(|&id| g.op(id)).find(|op| op.name() == name);
        plain.cloned().or_else(root).or_else(inner)
    }
}

/// A pattern and the node that it must match, before others: a list in the frames of calls, for orders are
/// tried by the thousand.
struct Goal<'p> {
    pattern: &'p Pattern,
    id: NodeId,
    next: Option<&'p Goal<'p>>,
}

fn is_constant(name: &str) -> bool {
    name.strip_prefix('c').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

impl Pattern {
    /// Reads a pattern; `None` if the text is none.
    pub fn parse(text: &'static str) -> Option<Pattern> {
        let text = text.trim();
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || c == '_');
        if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            // `stringify!` may put a space between a minus and its number.
            return text.replace(' ', "").parse().ok().map(Pattern::Number);
        }
        let Some(open) = text.find('(') else {
            return word(text).then_some(match text {
                w if is_constant(w) => Pattern::Splat(w),
                w => Pattern::Any(w),
            });
        };
        let (name, inner) = (text[..open].trim(), text[open + 1..].strip_suffix(')')?);
        let (mut depth, mut start, mut args) = (0i32, 0, Vec::new());
        for (i, b) in inner.bytes().enumerate() {
            match b {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b',' if depth == 0 => {
                    args.push(Pattern::parse(&inner[start..i])?);
                    start = i + 1;
                }
                _ => {}
            }
        }
        if !inner[start..].trim().is_empty() {
            args.push(Pattern::parse(&inner[start..])?);
        }
        (word(name) && depth == 0).then(|| Pattern::Apply(name, Op::by_name(name), args))
    }

    /// The words of the pattern, each as often as it stands there.
    pub fn words(&self) -> Vec<&'static str> {
        match self {
            Pattern::Any(name) | Pattern::Splat(name) => vec![name],
            Pattern::Number(_) => vec![],
            Pattern::Apply(_, _, args) => args.iter().flat_map(Pattern::words).collect(),
        }
    }

    /// The operators of the pattern, root first.
    pub fn operators(&self) -> Vec<&'static str> {
        match self {
            Pattern::Apply(name, _, args) => {
                [*name].into_iter().chain(args.iter().flat_map(Pattern::operators)).collect()
            }
            _ => vec![],
        }
    }

    /// Does this operator of these nodes have the form of the pattern? Operands of commutative
    /// operators match in either order.
    pub fn matches(&self, g: &Graph, op: &Op, inputs: &[NodeId]) -> Option<Match> {
        let Pattern::Apply(name, plain, args) = self else { return None };
        if op.name() != *name || inputs.len() != args.len() {
            return None;
        }
        let root = plain.is_none().then(|| op.clone());
        let mut found = Match { root, ..Match::default() };
        alternatives(g, op, inputs, args, None, &mut found).then_some(found)
    }

    /// Records the pattern, with the nodes that the left side found. Numbers and splats take the
    /// shape of `like`, the type of the root.
    pub fn build(&self, g: &Graph, found: &Match, like: &Type) -> Option<NodeId> {
        match self {
            Pattern::Any(name) => found.get(name),
            Pattern::Splat(_) | Pattern::Number(_) => {
                let (ty, value) = self.splat(g, found, like)?;
                Some(g.push(Full::new(&ty, value).into(), &[]))
            }
            Pattern::Apply(name, op, args) => {
                let op = found.operator(g, name, op.as_ref())?;
                let inputs: SmallVec<[NodeId; 4]> =
                    args.iter().map(|a| a.build(g, found, like)).collect::<Option<_>>()?;
                Some(g.push(op, &inputs))
            }
        }
    }

    /// The type that [`Pattern::build`] would give, and the price of what it would record: the
    /// operators that are not folded, for not all of their operands are splats.
    pub(crate) fn estimate(
        &self,
        g: &Graph,
        found: &Match,
        like: &Type,
        is_there: &dyn Fn(NodeId) -> bool,
    ) -> Option<Estimate> {
        let price = Price::default();
        match self {
            Pattern::Any(name) => {
                let id = found.get(name)?;
                let node = g.node(id);
                let splat = matches!(node.op, Op::Full(_));
                Some(Estimate { ty: node.ty.clone(), splat, price, id: Some(id) })
            }
            Pattern::Splat(_) | Pattern::Number(_) => {
                let (ty, _) = self.splat(g, found, like)?;
                Some(Estimate { ty, splat: true, price, id: None })
            }
            Pattern::Apply(name, op, args) => {
                let op = found.operator(g, name, op.as_ref())?;
                let of: SmallVec<[Estimate; 4]> = args
                    .iter()
                    .map(|a| a.estimate(g, found, like, is_there))
                    .collect::<Option<_>>()?;
                let types: SmallVec<[&Type; 4]> = of.iter().map(|e| &e.ty).collect();
                let splats: SmallVec<[bool; 4]> = of.iter().map(|e| e.splat).collect();
                let ty = op.infer(&types).ok()?;
                let splat = splats.iter().all(|s| *s);
                let inputs = of.iter().map(|e| e.id).collect::<Option<SmallVec<[NodeId; 4]>>>();
                let id = inputs.and_then(|inputs| g.find(&op, &inputs)).filter(|id| is_there(*id));
                if id.is_some() {
                    return Some(Estimate { ty, splat, price, id });
                }
                let own = if splat { price } else { Price::of(&op, &types, &splats, &ty) };
                let price = of.iter().fold(own, |sum, e| sum + e.price);
                Some(Estimate { ty, splat, price, id: None })
            }
        }
    }

    /// Is the node what the pattern asks for, but for its operands?
    fn begins_at(&self, g: &Graph, id: NodeId) -> bool {
        let begins = |node: &Node<Op>| match (self, &node.op) {
            (Pattern::Any(_), _) | (Pattern::Splat(_), Op::Full(_)) => true,
            (Pattern::Number(value), Op::Full(full)) => full.value().to_bits() == value.to_bits(),
            (Pattern::Splat(_) | Pattern::Number(_), _) => false,
            (Pattern::Apply(name, plain, args), op) => {
                let same = match plain {
                    Some(plain) => discriminant(plain) == discriminant(op),
                    None => op.name() == *name,
                };
                same && node.inputs.len() == args.len()
            }
        };
        matches!(self, Pattern::Any(_)) || g.peek(id, begins) == Some(true)
    }

    fn splat(&self, g: &Graph, found: &Match, like: &Type) -> Option<(Type, f64)> {
        match self {
            Pattern::Number(value) => Some((like.clone(), *value)),
            Pattern::Splat(name) => {
                let node = g.node(found.get(name)?);
                let Op::Full(full) = &node.op else { return None };
                Some((like.with_dtype(node.ty.dtype()), full.value()))
            }
            _ => None,
        }
    }
}

/// What a right side would be.
pub(crate) struct Estimate {
    pub(crate) ty: Type,
    splat: bool,
    pub(crate) price: Price,
    /// Where it is, if it is there already.
    id: Option<NodeId>,
}

/// Tries the operands of an operator in every order that means the same, then what is left.
fn alternatives(
    g: &Graph,
    op: &Op,
    inputs: &[NodeId],
    args: &[Pattern],
    next: Option<&Goal<'_>>,
    found: &mut Match,
) -> bool {
    let (bound, inner) = (found.bound.len(), found.inner.len());
    let mut in_order = |inputs: &[NodeId]| {
        found.steps += inputs.len() as u64;
        let begins = args.iter().zip(inputs).all(|(pattern, &id)| pattern.begins_at(g, id));
        let fits = begins && operands(g, args, inputs, next, found);
        if begins && !fits {
            found.bound.truncate(bound);
            found.inner.truncate(inner);
        }
        fits
    };
    let swaps = inputs.len() == 2 && op.traits().has(Traits::COMMUTATIVE);
    in_order(inputs) || swaps && in_order(&[inputs[1], inputs[0]])
}

/// Solves for all operands, the first one first, and then for what is left.
fn operands(
    g: &Graph,
    args: &[Pattern],
    inputs: &[NodeId],
    next: Option<&Goal<'_>>,
    found: &mut Match,
) -> bool {
    match (args, inputs) {
        ([args @ .., pattern], [inputs @ .., id]) => {
            operands(g, args, inputs, Some(&Goal { pattern, id: *id, next }), found)
        }
        _ => solve(g, next, found),
    }
}

/// Goals whose patterns begin at their nodes: what is left is that words mean one node each, and what
/// is further down.
fn solve(g: &Graph, mut goal: Option<&Goal<'_>>, found: &mut Match) -> bool {
    while let Some(&Goal { pattern, id, next }) = goal {
        found.steps += 1;
        match pattern {
            Pattern::Any(name) | Pattern::Splat(name) => {
                if !found.bind(name, id) {
                    return false;
                }
            }
            Pattern::Number(_) => {}
            Pattern::Apply(_, _, args) => {
                let node = g.node(id);
                found.inner.push(id);
                return alternatives(g, &node.op, &node.inputs, args, next, found);
            }
        }
        goal = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::prelude::*;

    #[test]
    fn patterns_parse() {
        let p = Pattern::parse("add(mul(x, c1), - 1.0)").unwrap();
        assert_eq!(p.operators(), ["add", "mul"]);
        assert_eq!(p.words(), ["x", "c1"]);
        assert_eq!(Pattern::parse("-0.0"), Some(Pattern::Number(-0.0)));
        assert_eq!(Pattern::parse("inf"), Some(Pattern::Any("inf")));
        for text in ["", "f(", "f(x))", "a b", "(x)", "f(x,,y)", "-x", "f((x)"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn commutative_operands_match_in_every_combination() {
        let g = Graph::raw();
        let (x, y) = (g.input("x", F32, [2]), g.input("y", F32, [2]));
        let p = Pattern::parse("add(mul(a, b), mul(a, d))").unwrap();
        for (l, r) in [(x * y, x * x), (y * x, x * x), (x * x, y * x), (y * y, x * y)] {
            let m = p.matches(&g, &pleach_ops::Add.into(), &[l.id(), r.id()]);
            assert!(m.is_some(), "{l:?} {r:?}");
        }
        let (u, v) = (g.input("u", F32, [2]), g.input("v", F32, [2]));
        assert!(p.matches(&g, &pleach_ops::Add.into(), &[(x * y).id(), (u * v).id()]).is_none());
    }

    #[test]
    fn operators_inside_are_told_apart() {
        let g = Graph::raw();
        let (x, y) = (g.input("x", F32, [2]), g.input("y", F32, [2]));
        let p = Pattern::parse("add(mul(a, neg(b)), d)").unwrap();
        let matches = |v: Var<'_>| p.matches(&g, &pleach_ops::Add.into(), &[v.id(), y.id()]);
        assert!(matches(x * -y).is_some() && matches(-x * y).is_some());
        assert!(matches(x / -y).is_none() && matches(x * y.abs()).is_none());
    }
}
