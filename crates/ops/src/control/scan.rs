//! `scan`: a loop as a node.

use std::collections::HashSet;
use std::sync::Arc;

use pleach_graph::{Body, Grad as Flow, GradError, NodeId, Operator, Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{DType, Tensor, Type};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::check_types::require_types;
use crate::operation::Operation;
use crate::primitive::{EvalError, Tangent};
use crate::{AxisRelations, Cost, Graph, Op, Registry, Var};

/// A loop of a fixed number of steps. Every step maps the carries, one slice of every sliced
/// operand and the captures to new carries and to results that are stacked along a new first axis:
///
/// `(cₜ₊₁, yₜ) = body(cₜ, xₜ, w)`, `t = 0 .. length`, or from the last step to the first.
///
/// | parameters of the body | operands of a [`Scan`] | number |
/// |---|---|---|
/// | carries | their initial values, of the same types | [`carries`](Self::carries) |
/// | slices | values with a first axis of [`length`](Self::length) | [`slices`](Self::slices) |
/// | captures | the same values, in every step | the rest |
///
/// Results of the body: the new carries, then `y`. Results of the loop, by number: the final
/// carries; every `y`, stacked; every carry as it is *before* each step, stacked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loop {
    body: Arc<Body<Op>>,
    header: Header,
}

/// What a loop is, besides its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) carries: usize,
    pub(crate) slices: usize,
    pub(crate) reverse: bool,
}

impl Loop {
    /// A loop over `body`.
    ///
    /// # Errors
    /// [`TypeError`] if the body has too few parameters or results, if a carry changes its type, or
    /// if a stacked value is too large.
    pub(crate) fn new(body: Arc<Body<Op>>, header: Header) -> Result<Loop, TypeError> {
        let of = Loop { body, header };
        let (params, results) = (of.body.params(), of.body.results().len());
        let declared = header.carries.saturating_add(header.slices);
        if params < declared || results < header.carries {
            let why = format!(
                "a loop of {} carries and {} slices over a body of {params} parameters and \
                 {results} results",
                header.carries, header.slices
            );
            return Err(TypeError::Attribute(why));
        }
        for (i, (old, new)) in of.carry_types().zip(of.body.result_types()).enumerate() {
            if old != new {
                let why = format!("carry {i} is {old} before a step and {new} after it");
                return Err(TypeError::Attribute(why));
            }
        }
        let slices = of.body.param_types().skip(header.carries).take(header.slices);
        for ty in slices.chain(of.body.result_types()) {
            stacked(ty, header.length)?;
        }
        Ok(of)
    }

    /// What one step does, as a graph of its own: parameters for what a step is given, outputs for
    /// its results, in order.
    pub fn step_graph(&self) -> Graph {
        let g = Graph::new();
        let params: Vec<NodeId> = (self.body.param_types().enumerate())
            .map(|(i, ty)| g.push(Op::parameter(i, ty), &[]))
            .collect();
        for (i, result) in self.body.instantiate(&g, &params).into_iter().enumerate() {
            g.output(&i.to_string(), result);
        }
        g
    }

    /// The same loop with another step: one that [`Loop::step_graph`] gave, rewritten.
    ///
    /// # Errors
    /// [`TypeError`] if it is no step of this loop.
    pub fn with_step(&self, step: &Graph) -> Result<Loop, TypeError> {
        let types: Vec<Type> = self.body.param_types().cloned().collect();
        let g = Graph::raw();
        let frame = g.frame(&types, |params| {
            let mut at: Vec<NodeId> = Vec::with_capacity(step.len());
            for id in step.ids() {
                let node = step.node(id);
                at.push(match &node.op {
                    Op::Parameter(p) if p.index() < params.len() => params[p.index()],
                    op => {
                        let inputs: Vec<NodeId> =
                            node.inputs.iter().map(|x| at[x.index()]).collect();
                        g.push(op.clone(), &inputs)
                    }
                });
            }
            step.roots().iter().map(|root| at[root.value.index()]).collect()
        });
        let (body, captured) = frame.map_err(|e| TypeError::Attribute(e.to_string()))?;
        if !captured.is_empty() || body.results().len() != self.body.results().len() {
            let why = "a step is a function of what the loop gives it, with its results";
            return Err(TypeError::Attribute(why.into()));
        }
        Loop::new(body, self.header)
    }

    /// What one step does.
    pub fn body(&self) -> &Arc<Body<Op>> {
        &self.body
    }

    /// Number of steps.
    pub fn length(&self) -> usize {
        self.header.length
    }

    /// Number of carries.
    pub fn carries(&self) -> usize {
        self.header.carries
    }

    /// Number of sliced operands.
    pub fn slices(&self) -> usize {
        self.header.slices
    }

    /// Does it run from the last slice to the first?
    pub fn is_reversed(&self) -> bool {
        self.header.reverse
    }

    /// The slice that step `step` sees.
    pub fn slice_of(&self, step: usize) -> usize {
        if self.header.reverse { self.header.length - 1 - step } else { step }
    }

    /// Number of values stacked, the carries aside.
    pub fn stacks(&self) -> usize {
        self.body.results().len() - self.header.carries
    }

    /// Number of results of the loop.
    pub fn results(&self) -> usize {
        self.body.results().len() + self.header.carries
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Number of the result that is carry `carry`, before each step, stacked.
    pub fn stacked_carry(&self, carry: usize) -> usize {
        self.body.results().len() + carry
    }

    fn carry_types(&self) -> impl Iterator<Item = &Type> {
        self.body.param_types().take(self.header.carries)
    }

    /// Type of a result of the loop; `None` if there is no such result.
    pub fn result_type(&self, result: usize) -> Option<Type> {
        let results = self.body.results().len();
        if result < self.header.carries {
            return self.body.result_types().nth(result).cloned();
        }
        let of = match result.checked_sub(results) {
            None => self.body.result_types().nth(result)?,
            Some(carry) => self.carry_types().nth(carry)?,
        };
        stacked(of, self.header.length).ok()
    }

    /// Type of an operand; `None` if there is no such operand.
    pub fn operand_type(&self, operand: usize) -> Option<Type> {
        let ty = self.body.param_types().nth(operand)?;
        let sliced = self.header.carries..self.header.carries + self.header.slices;
        match sliced.contains(&operand) {
            true => stacked(ty, self.header.length).ok(),
            false => Some(ty.clone()),
        }
    }

    /// The work of all steps. What computes several results counts once.
    pub fn cost(&self) -> Cost {
        let nodes = self.body.nodes();
        let mut met: HashSet<(Op, &[NodeId])> = HashSet::new();
        let step = nodes[self.body.params()..].iter().filter(|node| {
            node.op.family().is_none_or(|family| met.insert((family, &node.inputs[..])))
        });
        let step = step.map(|node| {
            let types: Vec<&Type> = node.inputs.iter().map(|i| &nodes[i.index()].ty).collect();
            node.op.cost(&types, &node.ty)
        });
        let (step, steps): (Cost, u64) = (step.sum(), self.header.length as u64);
        Cost { flops: step.flops.saturating_mul(steps), bytes: step.bytes.saturating_mul(steps) }
    }
}

/// `length` values of type `ty`, along a new first axis.
pub(crate) fn stacked(ty: &Type, length: usize) -> Result<Type, TypeError> {
    let shape: Vec<usize> = std::iter::once(length).chain(ty.shape().iter().copied()).collect();
    Type::new(ty.dtype(), shape).map_err(TypeError::TooLarge)
}

/// One result of a [`Loop`]. Results of equal loops over equal operands are computed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    of: Arc<Loop>,
    result: usize,
}

impl Scan {
    /// Name in text form.
    pub const NAME: &'static str = "scan";

    /// Result number `result` of a loop.
    pub fn new(of: Arc<Loop>, result: usize) -> Scan {
        Scan { of, result }
    }

    /// The loop.
    pub fn of(&self) -> &Arc<Loop> {
        &self.of
    }

    /// Which of its results this is.
    pub fn result(&self) -> usize {
        self.result
    }

    /// The operator that stands for all results.
    pub(crate) fn family(&self) -> Scan {
        Scan { of: self.of.clone(), result: 0 }
    }

    /// The gradient rule, for several results at once.
    pub(crate) fn vjp_joint(
        &self,
        g: &Graph,
        x: &[NodeId],
        results: &[(usize, NodeId)],
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        super::reverse::vjp(&self.of, g, x, results, need)
    }

    pub(crate) fn retype(&self, from: DType, to: DType) -> Scan {
        let body = crate::fused::retype_body(&self.of.body, from, to);
        match body.and_then(|body| Loop::new(body, self.of.header).ok()) {
            Some(of) => Scan::new(Arc::new(of), self.result),
            // The type rule of its user reports the difference.
            None => self.clone(),
        }
    }

    /// `(…, result: 1, body: {…})`.
    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Scan, String> {
        let text = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).unwrap_or(text);
        let (header, body) = text.split_once(", body: ").ok_or("a loop has a body")?;
        let (header, result) = header.rsplit_once(", result: ").ok_or("a loop has a result")?;
        let header: Header = ron::from_str(&format!("({header})")).map_err(|e| e.to_string())?;
        let result: usize = result.parse().map_err(|_| format!("result {result} is no number"))?;
        let body = Arc::new(Body::parse(body, registry)?);
        let of = Loop::new(body, header).map_err(|e| e.to_string())?;
        if result >= of.results() {
            return Err(format!("the loop has {} results, not {result}", of.results()));
        }
        Ok(Scan::new(Arc::new(of), result))
    }
}

impl Operation for Scan {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn attributes(&self) -> String {
        let Header { length, carries, slices, reverse } = self.of.header;
        format!(
            "(length: {length}, carries: {carries}, slices: {slices}, reverse: {reverse}, \
             result: {}, body: {})",
            self.result, self.of.body
        )
    }

    fn traits(&self) -> Traits {
        Traits::NONE
    }

    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError> {
        let expected: Vec<Type> =
            (0..self.of.body.params()).filter_map(|i| self.of.operand_type(i)).collect();
        require_types(x, expected.iter())?;
        let none = || TypeError::Attribute(format!("the loop has no result {}", self.result));
        self.of.result_type(self.result).ok_or_else(none)
    }

    fn eval(&self, x: &[&Tensor], _: &Type) -> Result<Tensor, EvalError> {
        let mut results = super::evaluate::run(&self.of, x)?;
        Ok(results.swap_remove(self.result))
    }

    fn vjp<'g>(
        &self,
        x: &[Var<'g>],
        _: Var<'g>,
        dy: Var<'g>,
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let x: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        super::reverse::vjp(&self.of, dy.graph(), &x, &[(self.result, dy.id())], need)
    }

    fn jvp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dx: &[Option<Var<'g>>],
    ) -> Result<Tangent<'g>, GradError> {
        let x: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let dx: Vec<Option<NodeId>> = dx.iter().map(|v| v.map(|v| v.id())).collect();
        let g = y.graph();
        let dy = super::forward::jvp(&self.of, self.result, g, &x, &dx)?;
        Ok(dy.map_or(Tangent::Zero, |id| Tangent::Flow(Var::new(g, id))))
    }

    /// A carry that no step changes is its initial value.
    fn simplify(&self, x: &[Var<'_>]) -> Simpler<Op> {
        let carried = self.result < self.of.header.carries;
        let same = || self.of.length() == 0 || self.of.body.results()[self.result] == self.result;
        if carried && same() { Simpler::Existing(x[self.result].id()) } else { Simpler::Same }
    }

    /// The executor compiles the body itself.
    fn lower(&self, _: &[&Type], _: &Type) -> Lowering {
        Lowering::Interpret
    }

    /// The work of the whole loop: all its results cost that once.
    fn cost(&self, _: &[&Type], _: &Type) -> Cost {
        self.of.cost()
    }

    fn axes(&self, x: &[&Type], _: &Type) -> AxisRelations {
        AxisRelations::opaque(x)
    }
}
