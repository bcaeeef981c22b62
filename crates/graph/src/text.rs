//! Text: every graph prints, and what was printed parses back.
//!
//! ```text
//! %0 = input(name:"x") : f32[3]
//! %1 = tanh %0 : f32[3]
//! return "y" = %1
//! assign "state" %0 = %1
//! ```
//! Statements end at a line end or `;`, comments start with `#`. A statement that states its type
//! is checked against the type rule. Node numbers are labels: any will do, in order of use.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault};

use pleach_tensor::Type;
use rustc_hash::FxHasher;
use thiserror::Error;

use crate::tape::{Inputs, Node};
use crate::{Body, Graph, NodeId, Operator};

/// Where and why a text is not a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Bodies inside bodies that a text may nest.
const MAX_DEPTH: usize = 16;

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
        for (line, statement) in statements(text) {
            parse_statement(&g, &mut labels, statement, registry)
                .map_err(|message| ParseError { line, message })?;
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
        let depth = text.bytes().scan(0usize, |d, b| {
            *d = match b {
                b'{' => *d + 1,
                b'}' => d.saturating_sub(1),
                _ => *d,
            };
            Some(*d)
        });
        if depth.max().unwrap_or(0) > MAX_DEPTH {
            return Err(format!("bodies are nested more than {MAX_DEPTH} deep"));
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
        Ok(Body::from_graph(&g))
    }
}

/// Statements with their line numbers. Line ends and `;` inside brackets or quotes do not count.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped, mut comment) =
        (0, 0usize, false, false, false);
    let (mut line, mut start_line) = (1, 1);
    let mut end_at = |start: usize, end: usize, line: usize| {
        let statement = text[start..end].trim();
        let statement = if statement.starts_with('#') { "" } else { statement };
        if !statement.is_empty() {
            let skipped = text[start..end].len() - text[start..end].trim_start().len();
            let before = text[start..start + skipped].matches('\n').count();
            found.push((line + before, statement));
        }
    };
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'\n' if comment => comment = false,
            _ if comment => {}
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'#' if text[start..i].trim().is_empty() => comment = true,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if (b == b'\n' || b == b';') && depth == 0 && !quoted && !comment {
            end_at(start, i, start_line);
            start = i + 1;
            start_line = line + usize::from(b == b'\n');
        }
        line += usize::from(b == b'\n');
    }
    end_at(start, text.len(), start_line);
    found
}

fn parse_statement<'t, O: Operator>(
    g: &Graph<O>,
    labels: &mut HashMap<&'t str, NodeId>,
    statement: &'t str,
    registry: &O::Registry,
) -> Result<(), String> {
    if let Some(rest) = keyword(statement, "return") {
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (unquote(name)?, value),
            None => (String::new(), rest),
        };
        g.output(&name, lookup(labels, value)?);
        return Ok(());
    }
    if let Some(rest) = keyword(statement, "assign") {
        let (left, value) = rest.rsplit_once('=').ok_or("expected assign \"name\" %t = %v")?;
        let (name, target) = left.trim().rsplit_once(' ').ok_or("expected a name and a target")?;
        let (target, value) = (lookup(labels, target)?, lookup(labels, value)?);
        if g.ty(target) != g.ty(value) {
            let (target, value) = (g.ty(target), g.ty(value));
            return Err(format!("a source of type {target} cannot take a value of type {value}"));
        }
        g.assign(&unquote(name)?, target, value);
        return Ok(());
    }
    let (label, rest) = statement.split_once('=').ok_or("expected %n = operator …")?;
    let label = label.trim();
    if !label.starts_with('%') {
        return Err(format!("expected a node such as %0, got {label:?}"));
    }
    let (head, rest) = split_head(rest.trim())?;
    let (operands, ty) = match rest.split_once(':') {
        Some((operands, ty)) => (operands, Some(ty.parse::<Type>().map_err(|e| e.to_string())?)),
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
        return Err(error.reason.to_string());
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
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '\\' => match chars.next().ok_or_else(bad)? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                'u' => {
                    let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .ok_or_else(bad)?
                }
                c => c,
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
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (i, b) in text.bytes().enumerate().skip(word) {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && !quoted {
            return Ok(text.split_at(i + 1));
        }
    }
    Err(format!("a bracket of {} is never closed", &text[..word]))
}
