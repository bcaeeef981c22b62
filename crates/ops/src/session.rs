//! What recording keeps beside the tape: mode, inputs, bindings, keys.

use std::collections::HashMap;
use std::sync::Arc;

use pleach_graph::NodeId;

use crate::{Input, Variable};

/// What the graph is for. It belongs to the graph; layers read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Inference: no dropout, running statistics.
    #[default]
    Eval,
    /// Training.
    Train,
}

/// The context of a graph of [`Op`](crate::Op)s.
#[derive(Debug, Default)]
pub struct Session {
    pub(crate) mode: Mode,
    /// Inputs in order of declaration.
    pub(crate) inputs: Vec<Input>,
    /// What this graph uses for a parameter instead of the parameter.
    pub(crate) bindings: HashMap<Variable, NodeId>,
    /// Keys given out, by module path.
    pub(crate) keys: HashMap<Option<Arc<str>>, u64>,
    /// Index of the step of every loop that is being recorded, outermost first.
    pub(crate) loops: Vec<NodeId>,
    /// Has a loop that is being recorded asked for a key?
    pub(crate) draws: bool,
}
