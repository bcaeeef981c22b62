//! A fused region: a node whose value is that of a small graph.

use std::sync::Arc;

use pleach_graph::{Body, Grad as Flow, GradError, NodeId, Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{DType, Tensor, Type};
use smallvec::SmallVec;

use crate::check_types::require_types;
use crate::operation::Operation;
use crate::primitive::{EvalError, Tangent};
use crate::{AxisRelations, Cost, Graph, Op, Registry, Var, interpret};

/// Operators that run as one loop. The body is in the form of a loop body; its operands are its
/// parameters. Made by the pass `fuse`, after differentiation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fused(Arc<Body<Op>>);

impl Fused {
    /// Name in text form.
    pub const NAME: &'static str = "fused";

    /// A fused region with one result.
    ///
    /// # Errors
    /// [`TypeError`] if the body has not exactly one result.
    pub fn new(body: Arc<Body<Op>>) -> Result<Fused, TypeError> {
        match body.results().len() {
            1 => Ok(Fused(body)),
            n => Err(TypeError::Attribute(format!("a fused region has one result, got {n}"))),
        }
    }

    /// The body.
    pub fn body(&self) -> &Arc<Body<Op>> {
        &self.0
    }

    fn result(&self) -> &Type {
        &self.0.nodes()[self.0.results()[0]].ty
    }

    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Fused, String> {
        let body = Body::parse(text, registry)?;
        Fused::new(Arc::new(body)).map_err(|e| e.to_string())
    }

    pub(crate) fn retype(&self, from: DType, to: DType) -> Fused {
        // An operator that exists for one float type only: the region stays as it is, and the type
        // rule of its user reports the difference.
        retype_body(&self.0, from, to).map_or_else(|| self.clone(), Fused)
    }

    /// Records `derive` of the region's parameters, its result and further arguments, and then
    /// what that gave, for the operands `x` and the values `more` of those arguments. Parameters
    /// are independent of each other, which operands need not be: one may be computed from
    /// another, or be the same.
    fn derived(
        &self,
        g: &Graph,
        x: &[NodeId],
        more: &[NodeId],
        derive: impl FnOnce(&[NodeId], NodeId, &[NodeId]) -> Vec<NodeId>,
    ) -> Option<Vec<NodeId>> {
        let types: Vec<Type> =
            self.0.param_types().cloned().chain(more.iter().map(|&id| g.ty(id))).collect();
        let record = |p: &[NodeId]| {
            let (params, more) = p.split_at(self.0.params());
            let y = self.0.instantiate(g, params)[0];
            derive(params, y, more)
        };
        // A failure is in the graph's errors already.
        let (body, captures) = g.frame(&types, record).ok()?;
        Some(body.instantiate(g, &[x, more, &captures].concat()))
    }
}

/// The body with element type `from` replaced by `to`; `None` if an operator refuses that.
pub(crate) fn retype_body(body: &Body<Op>, from: DType, to: DType) -> Option<Arc<Body<Op>>> {
    let g = Graph::raw();
    let change = |ty: &Type| if ty.dtype() == from { ty.with_dtype(to) } else { ty.clone() };
    let params: Vec<Type> = body.param_types().map(change).collect();
    let frame = g.frame(&params, |ids| {
        let mut at: Vec<NodeId> = ids.to_vec();
        for node in &body.nodes()[body.params()..] {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|x| at[x.index()]).collect();
            at.push(g.push(node.op.retype(from, to), &inputs));
        }
        body.results().iter().map(|&r| at[r]).collect()
    });
    frame.ok().map(|(body, _)| body)
}

impl Operation for Fused {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn attributes(&self) -> String {
        self.0.to_string()
    }

    fn traits(&self) -> Traits {
        Traits::NONE
    }

    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError> {
        require_types(x, self.0.param_types())?;
        Ok(self.result().clone())
    }

    fn eval(&self, x: &[&Tensor], _: &Type) -> Result<Tensor, EvalError> {
        let mut results = interpret::body(&self.0, x)?;
        results.pop().ok_or_else(|| EvalError::Other("a fused region has one result".into()))
    }

    fn vjp<'g>(
        &self,
        x: &[Var<'g>],
        _: Var<'g>,
        dy: Var<'g>,
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let g = dy.graph();
        let x: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let float = |slot: &usize| need[*slot] && g.ty(x[*slot]).dtype().is_float();
        let asked: Vec<usize> = (0..x.len()).filter(float).collect();
        let mut reached = Vec::new();
        let grads = self.derived(g, &x, &[dy.id()], |params, y, dy| {
            let wrt: Vec<NodeId> = asked.iter().map(|&slot| params[slot]).collect();
            let grads = g.reverse(&[(y, dy[0])], &wrt).unwrap_or_else(|error| {
                // A broken rule inside: the graph keeps the error, and reverse mode reports it.
                g.refuse(Self::NAME, dy, TypeError::Attribute(error.to_string()));
                Vec::new()
            });
            let found = asked.iter().zip(grads).filter_map(|(&slot, dx)| Some((slot, dx.value()?)));
            let (slots, grads) = found.unzip();
            reached = slots;
            grads
        });
        let mut flows: SmallVec<[Flow; 2]> = need.iter().map(|_| Flow::Cut).collect();
        for (slot, dx) in reached.into_iter().zip(grads.unwrap_or_default()) {
            flows[slot] = Flow::Flow(dx);
        }
        flows
    }

    fn jvp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dx: &[Option<Var<'g>>],
    ) -> Result<Tangent<'g>, GradError> {
        let g = y.graph();
        let x: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let moved: Vec<(usize, NodeId)> =
            dx.iter().enumerate().filter_map(|(slot, dx)| Some((slot, (*dx)?.id()))).collect();
        let more: Vec<NodeId> = moved.iter().map(|&(_, dx)| dx).collect();
        let mut error = None;
        let tangent = self.derived(g, &x, &more, |params, y, dx| {
            let seeds = moved.iter().zip(dx).map(|(&(slot, _), &dx)| (params[slot], dx));
            match g.jvp(&[y], &seeds.collect::<Vec<_>>()) {
                Ok(tangents) => tangents.into_iter().flatten().collect(),
                Err(failed) => {
                    error = Some(failed);
                    vec![]
                }
            }
        });
        if let Some(error) = error {
            return Err(error);
        }
        let tangent = tangent.and_then(|t| t.first().copied());
        Ok(tangent.map_or(Tangent::Zero, |id| Tangent::Flow(Var::new(g, id))))
    }

    fn simplify(&self, _: &[Var<'_>]) -> Simpler<Op> {
        Simpler::Same
    }

    /// The executor compiles the body itself.
    fn lower(&self, _: &[&Type], _: &Type) -> Lowering {
        Lowering::Interpret
    }

    /// The work of all operators of the body; operands are read once, the result written once.
    fn cost(&self, x: &[&Type], y: &Type) -> Cost {
        let nodes = self.0.nodes();
        let flops = nodes.iter().map(|node| {
            let types: Vec<&Type> = node.inputs.iter().map(|i| &nodes[i.index()].ty).collect();
            node.op.cost(&types, &node.ty).flops
        });
        let flops = flops.fold(0u64, u64::saturating_add);
        Cost { flops, bytes: Cost::elementwise(x, y, 0).bytes }
    }

    /// Equal axes if every operator of the body is elementwise.
    fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations {
        let nodes = &self.0.nodes()[self.0.params()..];
        let elementwise = nodes.iter().all(|node| {
            let splat = matches!(node.op, Op::Full(_));
            splat
                || !node.inputs.is_empty() && node.op.operation().traits().has(Traits::ELEMENTWISE)
        });
        if elementwise {
            AxisRelations::by_traits(Traits::ELEMENTWISE, x, y)
        } else {
            AxisRelations::opaque(x)
        }
    }
}
