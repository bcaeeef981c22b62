//! Values of toy graphs, in `f64` whatever the type, and their central differences.

use std::collections::HashMap;

use pleach_graph::{Body, Node, NodeId};

use super::{Graph, Toy};

/// Values of the sources by name.
pub type Feeds<'a> = HashMap<&'a str, Vec<f64>>;

/// A name in quotes, in which a backslash escapes quotes and backslashes.
pub fn unquote(text: &str) -> Result<String, String> {
    let bad = || format!("expected a quoted name, got {text:?}");
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).ok_or_else(bad)?;
    let mut name = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => name.push(c),
                _ => return Err(bad()),
            },
            '"' => return Err(bad()),
            c => name.push(c),
        }
    }
    Ok(name)
}

fn apply(node: &Node<Toy>, x: &[&Vec<f64>], feeds: &Feeds<'_>, params: &[Vec<f64>]) -> Vec<f64> {
    let map = |f: fn(f64) -> f64| x[0].iter().map(|x| f(*x)).collect();
    let zip = |f: fn(f64, f64) -> f64| x[0].iter().zip(x[1]).map(|(a, b)| f(*a, *b)).collect();
    match &node.op {
        Toy::In(name, _) => feeds.get(&**name).unwrap_or_else(|| panic!("feed {name}")).clone(),
        Toy::Parameter(i, ty) => params.get(*i).cloned().unwrap_or(vec![f64::NAN; ty.numel()]),
        Toy::Full(bits, ty) => vec![f64::from_bits(*bits); ty.numel()],
        Toy::Add => zip(|a, b| a + b),
        Toy::Mul => zip(|a, b| a * b),
        Toy::Cube | Toy::Part(1) => map(|x| x * x * x),
        Toy::Square | Toy::Part(_) => map(|x| x * x),
        Toy::Floor => map(f64::floor),
        Toy::Cast(dtype) if dtype.is_float() => x[0].clone(),
        Toy::Cast(_) => map(f64::trunc),
        Toy::Call(body) => {
            let args: Vec<Vec<f64>> = x.iter().map(|x| (*x).clone()).collect();
            body_values(body, &args).remove(0)
        }
        Toy::Odd(_) => x[0].clone(),
    }
}

/// The results of a body.
pub fn body_values(body: &Body<Toy>, args: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = Vec::new();
    for node in body.nodes() {
        let x: Vec<_> = node.inputs.iter().map(|id| &values[id.index()]).collect();
        let y = apply(node, &x, &Feeds::new(), args);
        values.push(y);
    }
    body.results().iter().map(|&r| values[r].clone()).collect()
}

/// The values of all nodes.
pub fn values(g: &Graph, feeds: &Feeds<'_>) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = Vec::new();
    for id in g.ids() {
        let node = g.node(id);
        let x: Vec<_> = node.inputs.iter().map(|id| &values[id.index()]).collect();
        let y = apply(&node, &x, feeds, &[]);
        values.push(y);
    }
    values
}

/// The value of one node.
pub fn value(g: &Graph, feeds: &Feeds<'_>, id: NodeId) -> Vec<f64> {
    values(g, feeds).swap_remove(id.index())
}

/// `Σ a·b`.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The directional derivative of `y` along `direction` of source `name`, by central differences.
pub fn central(
    g: &Graph,
    feeds: &Feeds<'_>,
    y: NodeId,
    name: &'static str,
    direction: &[f64],
) -> Vec<f64> {
    let step = 1e-5;
    let at = |step: f64| {
        let mut feeds = feeds.clone();
        let x = feeds.get_mut(name).expect("the source is fed");
        x.iter_mut().zip(direction).for_each(|(x, d)| *x += step * d);
        value(g, &feeds, y)
    };
    let (up, down) = (at(step), at(-step));
    up.iter().zip(down).map(|(up, down)| (up - down) / (2.0 * step)).collect()
}

/// Asserts that all elements agree to `tolerance`, relative above 1 and absolute below.
#[track_caller]
pub fn assert_close(got: &[f64], expected: &[f64], tolerance: f64) {
    let close = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs().max(1.0);
    let all = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| close(*a, *b));
    assert!(all, "got {got:?}, expected {expected:?}");
}
