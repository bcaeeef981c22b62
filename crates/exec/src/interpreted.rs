//! The reference interpreter behind the interface of a plan: the oracle.

use pleach_graph::NodeId;
use pleach_ops::interpret::{Sources, interpret};
use pleach_ops::{Graph, Input, Op, Variable};
use pleach_tensor::Tensor;

use crate::outputs::Source;
use crate::plan::count;
use crate::{ExecError, Outputs, State};

/// A graph that the reference interpreter runs: slow, and obviously right.
#[derive(Debug)]
pub struct Interpreted {
    graph: Graph,
    inputs: Vec<Input>,
    outputs: Vec<(String, Tensor)>,
}

impl Interpreted {
    /// Takes what the outputs and assignments of the graph need.
    ///
    /// # Errors
    /// [`ExecError::Build`] if the graph has errors.
    pub fn new(graph: Graph, inputs: &[Input]) -> Result<Interpreted, ExecError> {
        graph.check()?;
        Ok(Interpreted { graph, inputs: inputs.to_vec(), outputs: Vec::new() })
    }

    /// The inputs, in the order in which they are fed.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Runs the graph; see [`Plan::run`](crate::Plan::run).
    ///
    /// # Errors
    /// As [`Plan::run`](crate::Plan::run).
    pub fn run<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
    ) -> Result<Outputs<'_>, ExecError> {
        let feeds: Vec<&Tensor> = feeds.into_iter().collect();
        if feeds.len() != self.inputs.len() {
            return Err(count(&self.inputs, feeds.len()));
        }
        for (input, feed) in self.inputs.iter().zip(&feeds) {
            if input.ty() != feed.ty() {
                let (name, expected) = (input.name().to_string(), input.ty().clone());
                return Err(ExecError::FeedType { name, expected, got: feed.ty().clone() });
            }
        }
        let (graph, live) = (&self.graph, self.graph.live());
        for id in graph.ids().filter(|id| live[id.index()]) {
            if let Op::Variable(variable) = graph.op(id) {
                state.place(&variable)?;
            }
        }
        let roots = graph.roots();
        let wanted: Vec<NodeId> = roots.iter().map(|r| r.value).collect();
        let values = {
            let variable = |v: &Variable| state.value(v.name()).ok();
            let input = |i: &Input| feeds.get(i.position()).map(|t| (*t).clone());
            interpret(graph, &wanted, Sources { input: &input, variable: &variable })?
        };
        self.outputs.clear();
        for (root, value) in roots.iter().zip(values) {
            match root.target.map(|target| graph.op(target)) {
                None => self.outputs.push((root.name.to_string(), value)),
                Some(Op::Variable(variable)) => state.set(variable.name(), &value)?,
                Some(_) => {}
            }
        }
        Ok(self.outputs())
    }

    /// The outputs of the last run; none before the first.
    pub fn outputs(&self) -> Outputs<'_> {
        Outputs(Source::Tensors(&self.outputs))
    }
}
