//! Patterns: the two sides of a rule, read from text.

use pleach_graph::{NodeId, Operator, Traits};
use pleach_ops::{Full, Graph, Op};
use pleach_tensor::Type;
use thiserror::Error;

/// One side of a rule: `mul(x, add(y, c))`.
///
/// A word is a wildcard; `c`, `c1`, `c2`, … match splats only; a number matches a splat of the
/// same bits; `name(…)` matches the operator of that name, without attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Any value.
    Any(String),
    /// Any splat.
    Splat(String),
    /// A splat of this value.
    Number(f64),
    /// An operator of patterns.
    Apply(String, Vec<Pattern>),
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no pattern")]
pub struct PatternError(String);

/// What the wildcards of a pattern stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match(Vec<(String, NodeId)>);

impl Match {
    /// The node that a wildcard stands for.
    pub fn get(&self, name: &str) -> Option<NodeId> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, id)| *id)
    }

    fn bind(&mut self, name: &str, id: NodeId) -> bool {
        match self.get(name) {
            Some(bound) => bound == id,
            None => {
                self.0.push((name.into(), id));
                true
            }
        }
    }
}

fn is_constant(name: &str) -> bool {
    name.strip_prefix('c').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`] with the text.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let text = text.trim();
        let bad = || PatternError(text.to_string());
        // `stringify!` may put a space between a minus and its number.
        if let Ok(number) = text.replace(' ', "").parse::<f64>() {
            return Ok(Pattern::Number(number));
        }
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || c == '_');
        let Some(open) = text.find('(') else {
            return match text {
                w if !word(w) => Err(bad()),
                w if is_constant(w) => Ok(Pattern::Splat(w.into())),
                w => Ok(Pattern::Any(w.into())),
            };
        };
        let (name, inner) = (text[..open].trim(), text[open + 1..].strip_suffix(')'));
        let inner = inner.filter(|_| word(name)).ok_or_else(bad)?;
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
        Ok(Pattern::Apply(name.into(), args))
    }

    /// Operators in the pattern.
    pub fn size(&self) -> usize {
        match self {
            Pattern::Apply(_, args) => 1 + args.iter().map(Pattern::size).sum::<usize>(),
            _ => 0,
        }
    }

    /// Does the node have this form? Operands of commutative operators match in either order.
    pub fn matches(&self, g: &Graph, id: NodeId) -> Option<Match> {
        let mut found = Match::default();
        self.find(g, id, &mut found).then_some(found)
    }

    fn find(&self, g: &Graph, id: NodeId, found: &mut Match) -> bool {
        let node = g.node(id);
        match self {
            Pattern::Any(name) => found.bind(name, id),
            Pattern::Splat(name) => matches!(node.op, Op::Full(_)) && found.bind(name, id),
            Pattern::Number(value) => match &node.op {
                Op::Full(full) => full.value().to_bits() == value.to_bits(),
                _ => false,
            },
            Pattern::Apply(name, args) => {
                if node.op.name() != name || node.inputs.len() != args.len() {
                    return false;
                }
                let mut in_order = |inputs: &[NodeId]| {
                    let before = found.clone();
                    let fits = args.iter().zip(inputs).all(|(p, &x)| p.find(g, x, found));
                    if !fits {
                        *found = before;
                    }
                    fits
                };
                let swapped = || [node.inputs[1], node.inputs[0]];
                in_order(&node.inputs)
                    || node.op.traits().has(Traits::COMMUTATIVE)
                        && args.len() == 2
                        && in_order(&swapped())
            }
        }
    }

    /// Records the pattern, with nodes for its wildcards; numbers take the type `like`.
    pub fn build(&self, g: &Graph, found: &Match, like: &Type) -> Option<NodeId> {
        match self {
            Pattern::Any(name) | Pattern::Splat(name) => found.get(name),
            Pattern::Number(value) => Some(g.push(Op::Full(Full::new(like, *value)), &[])),
            Pattern::Apply(name, args) => {
                let op = Op::by_name(name)?;
                let inputs: Vec<NodeId> =
                    args.iter().map(|a| a.build(g, found, like)).collect::<Option<_>>()?;
                let id = g.push(op, &inputs);
                (!id.is_poisoned()).then_some(id)
            }
        }
    }

    /// Names of the wildcards, in order of appearance.
    pub fn names(&self) -> Vec<String> {
        match self {
            Pattern::Any(name) | Pattern::Splat(name) => vec![name.clone()],
            Pattern::Number(_) => vec![],
            Pattern::Apply(_, args) => {
                let mut names: Vec<String> = Vec::new();
                for name in args.iter().flat_map(Pattern::names) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                names
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_parse() {
        let p = Pattern::parse("add(mul(x, c1), - 1.0)").unwrap();
        assert_eq!(p.size(), 2);
        assert_eq!(p.names(), ["x", "c1"]);
        for text in ["", "f(", "f(x))", "a b", "(x)"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
