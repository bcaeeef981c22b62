//! Text: every graph prints, and what was printed parses back.
//!
//! ```text
//! %0 = input(name:"x") : f32[3]
//! %1 = tanh %0 : f32[3]
//! return "y" = %1
//! assign "state" %0 = %1
//! ```
//! Statements end at a line end or `;`. Comments run from `#` to the line end; inside of brackets
//! they stand on lines of their own. A statement that states its type is checked against the type
//! rule. Node numbers are labels: any will do, in order of use.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault};

use pleach_tensor::Type;
use rustc_hash::FxHasher;
use thiserror::Error;

use crate::tape::{Inputs, Node};
use crate::{Body, Graph, NodeId, Operator, Origin};

/// Where and why a text is not a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Brackets inside of brackets that a body's text may nest: bounds the recursion of the parser.
const MAX_DEPTH: usize = 64;

pub(crate) fn write_node<O: Operator>(
    f: &mut impl fmt::Write,
    index: usize,
    node: &Node<O>,
) -> fmt::Result {
    write!(f, "%{index} = {}", node.op)?;
    for x in &node.inputs {
        write!(f, " %{}", x.index())?;
    }
    write!(f, " : {}", node.ty)
}

impl<O: Operator> fmt::Display for Graph<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.ids() {
            write_node(f, id.index(), &self.node(id))?;
            f.write_str("\n")?;
        }
        for root in self.roots() {
            match root.target {
                Some(target) => writeln!(f, "assign {:?} {target} = {}", root.name, root.value)?,
                None if root.name.is_empty() => writeln!(f, "return {}", root.value)?,
                None => writeln!(f, "return {:?} = {}", root.name, root.value)?,
            }
        }
        Ok(())
    }
}

impl<O: Operator> Graph<O> {
    /// Reads what `Display` wrote, node by node: nothing is rewritten or shared.
    ///
    /// # Errors
    /// [`ParseError`] with the line and what is wrong there.
    pub fn parse(text: &str, registry: &O::Registry) -> Result<Self, ParseError> {
        let g = Graph::raw();
        let mut labels: HashMap<&str, NodeId> = HashMap::new();
        {
            let _nowhere = g.at_origin(Origin::default());
            for (line, statement) in statements(text) {
                parse_statement(&g, &mut labels, statement, registry)
                    .map_err(|message| ParseError { line, message })?;
            }
        }
        g.inner.borrow_mut().raw = false;
        Ok(g)
    }

    /// A hash of the nodes, outputs and assignments: equal for graphs that print alike.
    pub fn structural_hash(&self) -> u64 {
        let build = BuildHasherDefault::<FxHasher>::default();
        let nodes: Vec<_> = self.ids().map(|id| self.node(id)).collect();
        let roots: Vec<_> = self.roots().into_iter().map(|r| (r.name, r.value, r.target)).collect();
        build.hash_one((nodes, roots))
    }
}

impl<O: Operator> Body<O> {
    /// Reads what `Display` wrote: statements in braces.
    ///
    /// # Errors
    /// What is wrong with the text, as a sentence.
    pub fn parse(text: &str, registry: &O::Registry) -> Result<Self, String> {
        if scan(text).any(|(_, _, depth)| depth > MAX_DEPTH) {
            return Err(format!("brackets are nested more than {MAX_DEPTH} deep"));
        }
        let inner = text
            .trim()
            .strip_prefix('{')
            .and_then(|t| t.strip_suffix('}'))
            .ok_or("expected a body in braces")?;
        let g = Graph::<O>::parse(inner, registry).map_err(|e| e.message)?;
        if g.roots().iter().any(|r| r.target.is_some()) {
            return Err("a body cannot assign".into());
        }
        Body::from_graph(&g)
    }
}

/// What structures a text: every byte that is neither quoted nor in a comment, with its position
/// and the depth of brackets after it. Of a comment, its `#` and the line end that ends it.
fn scan(text: &str) -> impl Iterator<Item = (usize, u8, usize)> + '_ {
    let (mut depth, mut quoted, mut escaped, mut comment) = (0usize, false, false, false);
    // Nothing yet on this line or in this statement: here a comment may start inside of brackets.
    let mut blank = true;
    text.bytes().enumerate().filter_map(move |(i, b)| {
        let was_blank = std::mem::replace(&mut blank, matches!(b, b'\n' | b';' | b'{'));
        match b {
            b'\n' if comment => comment = false,
            _ if comment => return None,
            _ if escaped => {
                escaped = false;
                return None;
            }
            b'\\' if quoted => {
                escaped = true;
                return None;
            }
            b'"' => quoted = !quoted,
            _ if quoted => return None,
            b'#' if depth == 0 || was_blank => comment = true,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => blank |= was_blank && b.is_ascii_whitespace(),
        }
        Some((i, b, depth))
    })
}

/// Statements with their line numbers. Line ends and `;` inside of brackets or quotes do not count.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    let mut end_at = |start: usize, end: usize| {
        let statement = text[start..end].trim_start();
        let start = end - statement.len();
        line += text[counted..start].matches('\n').count();
        counted = start;
        if !statement.is_empty() {
            found.push((line, statement.trim_end()));
        }
    };
    let mut start = Some(0);
    for (i, b, depth) in scan(text).filter(|(_, b, _)| matches!(b, b'\n' | b';' | b'#')) {
        if depth == 0 {
            start.take().into_iter().for_each(|start| end_at(start, i));
            start = (b != b'#').then_some(i + 1);
        }
    }
    start.into_iter().for_each(|start| end_at(start, text.len()));
    found
}

fn parse_statement<'t, O: Operator>(
    g: &Graph<O>,
    labels: &mut HashMap<&'t str, NodeId>,
    statement: &'t str,
    registry: &O::Registry,
) -> Result<(), String> {
    if let Some(rest) = keyword(statement, "return") {
        let (name, value) = match rest.rsplit_once('=') {
            Some((name, value)) => (unquote(name)?, value),
            None => (String::new(), rest),
        };
        g.output(&name, lookup(labels, value)?);
        return Ok(());
    }
    if let Some(rest) = keyword(statement, "assign") {
        let (left, value) = rest.rsplit_once('=').ok_or("expected assign \"name\" %t = %v")?;
        let (name, target) =
            left.trim().rsplit_once(char::is_whitespace).ok_or("expected a name and a target")?;
        g.assign(&unquote(name)?, lookup(labels, target)?, lookup(labels, value)?);
        return g.errors().last().map_or(Ok(()), |error| Err(error.reason.to_string()));
    }
    let (label, rest) = statement.split_once('=').ok_or("expected %n = operator …")?;
    let label = label.trim();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    if !label.strip_prefix('%').is_some_and(|name| !name.is_empty() && name.chars().all(word)) {
        return Err(format!("expected a node such as %0, got {label:?}"));
    }
    let (head, rest) = split_head(rest.trim())?;
    let (operands, ty) = match rest.split_once(':') {
        Some((operands, ty)) => {
            (operands, Some(ty.trim().parse::<Type>().map_err(|e| e.to_string())?))
        }
        None => (rest, None),
    };
    let inputs = operands
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .map(|word| lookup(labels, word))
        .collect::<Result<Inputs, _>>()?;
    let op = O::parse(head, ty.as_ref(), registry)?;
    let id = g.push(op, &inputs);
    if let Some(error) = g.error_of(id) {
        return Err(error.to_string());
    }
    let inferred = g.ty(id);
    if let Some(stated) = ty.filter(|stated| *stated != inferred) {
        return Err(format!("{head} gives {inferred}, the text states {stated}"));
    }
    if labels.insert(label, id).is_some() {
        return Err(format!("{label} is defined twice"));
    }
    Ok(())
}

fn keyword<'t>(statement: &'t str, word: &str) -> Option<&'t str> {
    let rest = statement.strip_prefix(word)?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim())
}

fn lookup(labels: &HashMap<&str, NodeId>, word: &str) -> Result<NodeId, String> {
    let word = word.trim();
    labels.get(word).copied().ok_or_else(|| format!("{word:?} is not a node defined above"))
}

/// The string that `{:?}` wrote.
fn unquote(text: &str) -> Result<String, String> {
    let bad = || format!("expected a name in quotes, got {text:?}");
    let inner = text.trim().strip_prefix('"').and_then(|t| t.strip_suffix('"')).ok_or_else(bad)?;
    let mut name = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        name.push(match c {
            '"' => return Err(bad()),
            '\\' => match rest.next().ok_or_else(bad)? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                c @ ('\\' | '"' | '\'') => c,
                'u' => {
                    let braced = rest.as_str().strip_prefix('{').and_then(|t| t.split_once('}'));
                    let (digits, after) = braced.ok_or_else(bad)?;
                    let code = u32::from_str_radix(digits, 16).map_err(|_| bad())?;
                    rest = after.chars();
                    char::from_u32(code).ok_or_else(bad)?
                }
                _ => return Err(bad()),
            },
            c => c,
        });
    }
    Ok(name)
}

/// The operator with its attributes: a word and the balanced group that follows it at once.
fn split_head(text: &str) -> Result<(&str, &str), String> {
    let word = text
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-')))
        .unwrap_or(text.len());
    if word == 0 {
        return Err(format!("expected an operator, got {text:?}"));
    }
    if !text[word..].starts_with(['(', '[', '{']) {
        return Ok(text.split_at(word));
    }
    match scan(&text[word..]).find(|(_, _, depth)| *depth == 0) {
        Some((i, ..)) => Ok(text.split_at(word + i + 1)),
        None => Err(format!("a bracket of {} is never closed", &text[..word])),
    }
}
