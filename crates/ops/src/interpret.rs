//! The reference interpreter: slow, short and obviously right.
//!
//! *Architecture Invariant:* every faster engine is tested against it.

use pleach_graph::{Body, Node, NodeId, Operator};
use pleach_tensor::{Tensor, Type};

use crate::control::evaluate;
use crate::{EvalError, Graph, Input, Op, Variable};

/// Values of the sources of a graph.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Value of an input.
    pub input: &'a dyn Fn(&Input) -> Option<Tensor>,
    /// Value of a parameter, buffer or slot.
    pub variable: &'a dyn Fn(&Variable) -> Option<Tensor>,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources<'_> {
    /// Inputs in the order of declaration, variables at their initial values.
    pub fn with_feeds<T>(feeds: &[&Tensor], then: impl FnOnce(Sources<'_>) -> T) -> T {
        then(Sources {
            input: &|input| feeds.get(input.position()).map(|t| (*t).clone()),
            variable: &|variable| Some(variable.initial()),
        })
    }
}

/// The values of `wanted`. Nodes are evaluated in index order; a value lives until its last use.
///
/// # Errors
/// [`EvalError`] if a source has no value or a wrong one, or an operator cannot be evaluated.
pub fn interpret(
    g: &Graph,
    wanted: &[NodeId],
    sources: Sources<'_>,
) -> Result<Vec<Tensor>, EvalError> {
    g.check()?;
    if let Some(id) =
        wanted.iter().find(|&&id| id != NodeId::new(id.index()) || g.get(id).is_none())
    {
        return Err(EvalError::Other(format!("{id} is not a value of the graph")));
    }
    let Some(end) = wanted.iter().map(|id| id.index() + 1).max() else { return Ok(vec![]) };
    // How many live users (and wanted results) still need a value.
    let mut uses = vec![0u32; end];
    wanted.iter().for_each(|id| uses[id.index()] += 1);
    for i in (0..end).rev().filter(|&i| g.get(NodeId::new(i)).is_some()) {
        if uses[i] > 0 {
            g.node(NodeId::new(i)).inputs.iter().for_each(|x| uses[x.index()] += 1);
        }
    }
    let mut values: Vec<Option<Tensor>> = vec![None; end];
    let mut families = Families::default();
    for i in 0..end {
        if uses[i] == 0 {
            continue;
        }
        let node = g.node(NodeId::new(i));
        let value = match &node.op {
            Op::Input(input) => given(input.name(), (sources.input)(input), &node.ty)?,
            Op::Variable(variable) => {
                given(variable.name(), (sources.variable)(variable), &node.ty)?
            }
            op => {
                let x: Vec<&Tensor> = node
                    .inputs
                    .iter()
                    .map(|x| values[x.index()].as_ref().expect("operands come first"))
                    .collect();
                families.value(op, &node, &x)?
            }
        };
        values[i] = Some(value);
        for x in &node.inputs {
            uses[x.index()] -= 1;
            if uses[x.index()] == 0 {
                values[x.index()] = None;
            }
        }
    }
    Ok(wanted
        .iter()
        .map(|id| values[id.index()].clone().expect("wanted values are kept"))
        .collect())
}

/// The results of a loop body or fused region for `args`.
///
/// # Errors
/// [`EvalError`] if an operator cannot be evaluated.
pub fn body(body: &Body<Op>, args: &[&Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let mut values: Vec<Tensor> = args.iter().map(|t| (*t).clone()).collect();
    let mut families = Families::default();
    for node in &body.nodes()[body.params()..] {
        let x: Vec<&Tensor> = node.inputs.iter().map(|id| &values[id.index()]).collect();
        let value = families.value(&node.op, node, &x)?;
        values.push(value);
    }
    Ok(body.results().iter().map(|&r| values[r].clone()).collect())
}

/// The results of computations with several that were run: each runs once, however many of its
/// results are asked for.
#[derive(Default)]
struct Families {
    known: Vec<(Op, Vec<NodeId>, Vec<Tensor>)>,
}

impl Families {
    /// The value of a node for the values of its operands.
    fn value(&mut self, op: &Op, node: &Node<Op>, x: &[&Tensor]) -> Result<Tensor, EvalError> {
        let Some((family, result)) = op.family().zip(op.result()) else {
            return checked(op, x, &node.ty);
        };
        let same = |(of, inputs, _): &(Op, Vec<NodeId>, Vec<Tensor>)| {
            inputs[..] == node.inputs[..] && *of == family
        };
        let at = match self.known.iter().position(same) {
            Some(at) => at,
            None => {
                let results = match op {
                    Op::Scan(scan) => evaluate::run(scan.of(), x)?,
                    Op::Fused(fused) => body(fused.body(), x)?,
                    op => vec![checked(op, x, &node.ty)?],
                };
                self.known.push((family, node.inputs.to_vec(), results));
                self.known.len() - 1
            }
        };
        Ok(self.known[at].2[result].clone())
    }
}

/// One operator; a custom one may answer a wrong type, and must not get away with it.
fn checked(op: &Op, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError> {
    let value = op.eval(x, y)?;
    if value.ty() == y {
        return Ok(value);
    }
    let (name, expected, got) = (op.name().to_string(), y.clone(), value.ty().clone());
    Err(EvalError::Feed { name, expected, got })
}

fn given(name: &str, value: Option<Tensor>, ty: &Type) -> Result<Tensor, EvalError> {
    match value {
        None => Err(EvalError::Missing(name.to_string())),
        Some(value) if value.ty() == ty => Ok(value),
        Some(value) => Err(EvalError::Feed {
            name: name.to_string(),
            expected: ty.clone(),
            got: value.ty().clone(),
        }),
    }
}
