//! A fused region: nodes whose values are those of a small graph.

use std::sync::Arc;

use pleach_graph::{Body, Grad as Flow, GradError, NodeId, Simpler, Traits, TypeError};
use pleach_kernels::Lowering;
use pleach_tensor::{DType, Tensor, Type};
use smallvec::SmallVec;

use crate::check_types::require_types;
use crate::operation::Operation;
use crate::primitive::{EvalError, Tangent};
use crate::{AxisRelations, Cost, Graph, Op, Registry, Var, interpret};

/// One result of a region of operators that run as one loop. The body is in the form of a loop
/// body; its operands are its parameters. Results of equal regions over equal operands are computed
/// together. Made by the pass `fuse`, after differentiation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fused {
    body: Arc<Body<Op>>,
    result: usize,
}

impl Fused {
    /// Name in text form.
    pub const NAME: &'static str = "fused";

    /// Result number `result` of a fused region.
    ///
    /// # Errors
    /// [`TypeError`] if the body has no such result.
    pub fn new(body: Arc<Body<Op>>, result: usize) -> Result<Fused, TypeError> {
        match body.results().len() {
            n if result < n => Ok(Fused { body, result }),
            n => Err(TypeError::Attribute(format!(
                "the fused region has {n} results, so none of number {result}"
            ))),
        }
    }

    /// The body.
    pub fn body(&self) -> &Arc<Body<Op>> {
        &self.body
    }

    /// Which of its results this is.
    pub fn result(&self) -> usize {
        self.result
    }

    /// The operator that stands for all results, if there are several.
    pub(crate) fn family(&self) -> Option<Fused> {
        let several = self.body.results().len() > 1;
        several.then(|| Fused { body: self.body.clone(), result: 0 })
    }

    fn result_type(&self) -> &Type {
        &self.body.nodes()[self.body.results()[self.result]].ty
    }

    /// `{…}`, or of a region with several results `(result: 1, body: {…})`.
    pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Fused, String> {
        let (result, body) = match text.strip_prefix("(result: ") {
            None => (0, text),
            Some(text) => {
                let text = text.strip_suffix(')').unwrap_or(text);
                let (result, body) =
                    text.split_once(", body: ").ok_or("a fused region has a body")?;
                (result.parse().map_err(|_| format!("result {result} is no number"))?, body)
            }
        };
        let body = Body::parse(body, registry)?;
        Fused::new(Arc::new(body), result).map_err(|e| e.to_string())
    }

    pub(crate) fn retype(&self, from: DType, to: DType) -> Fused {
        // An operator that exists for one float type only: the region stays as it is, and the type
        // rule of its user reports the difference.
        match retype_body(&self.body, from, to) {
            Some(body) => Fused { body, result: self.result },
            None => self.clone(),
        }
    }

    /// Records `derive` of the region's parameters, its results and further arguments, and then
    /// what that gave, for the operands `x` and the values `more` of those arguments. Parameters
    /// are independent of each other, which operands need not be: one may be computed from
    /// another, or be the same.
    fn derived(
        &self,
        g: &Graph,
        x: &[NodeId],
        more: &[NodeId],
        derive: impl FnOnce(&[NodeId], &[NodeId], &[NodeId]) -> Vec<NodeId>,
    ) -> Option<Vec<NodeId>> {
        let types: Vec<Type> =
            self.body.param_types().cloned().chain(more.iter().map(|&id| g.ty(id))).collect();
        let record = |p: &[NodeId]| {
            let (params, more) = p.split_at(self.body.params());
            derive(params, &self.body.instantiate(g, params), more)
        };
        // A failure is in the graph's errors already.
        let (body, captures) = g.frame(&types, record).ok()?;
        Some(body.instantiate(g, &[x, more, &captures].concat()))
    }

    /// The gradient rule, for several results `(number, cotangent)` at once.
    pub(crate) fn vjp_joint(
        &self,
        g: &Graph,
        x: &[NodeId],
        results: &[(usize, NodeId)],
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let float = |slot: &usize| need[*slot] && g.ty(x[*slot]).dtype().is_float();
        let asked: Vec<usize> = (0..x.len()).filter(float).collect();
        let seeds: Vec<NodeId> = results.iter().map(|&(_, dy)| dy).collect();
        let mut reached = Vec::new();
        let grads = self.derived(g, x, &seeds, |params, ys, dys| {
            let wrt: Vec<NodeId> = asked.iter().map(|&slot| params[slot]).collect();
            let pairs = results.iter().zip(dys).map(|(&(result, _), &dy)| (ys[result], dy));
            let grads = g.reverse(&pairs.collect::<Vec<_>>(), &wrt).unwrap_or_else(|error| {
                // A broken rule inside: the graph keeps the error, and reverse mode reports it.
                g.refuse(Self::NAME, dys, TypeError::Attribute(error.to_string()));
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
        match self.body.results().len() {
            1 => self.body.to_string(),
            _ => format!("(result: {}, body: {})", self.result, self.body),
        }
    }

    fn traits(&self) -> Traits {
        Traits::NONE
    }

    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError> {
        require_types(x, self.body.param_types())?;
        Ok(self.result_type().clone())
    }

    fn eval(&self, x: &[&Tensor], _: &Type) -> Result<Tensor, EvalError> {
        Ok(interpret::body(&self.body, x)?.swap_remove(self.result))
    }

    fn vjp<'g>(
        &self,
        x: &[Var<'g>],
        _: Var<'g>,
        dy: Var<'g>,
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let x: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        self.vjp_joint(dy.graph(), &x, &[(self.result, dy.id())], need)
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
        let tangent = self.derived(g, &x, &more, |params, ys, dx| {
            let seeds = moved.iter().zip(dx).map(|(&(slot, _), &dx)| (params[slot], dx));
            match g.jvp(&[ys[self.result]], &seeds.collect::<Vec<_>>()) {
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

    /// The work of all operators of the body; operands are read once, results written once. All
    /// results of a region cost that once.
    fn cost(&self, x: &[&Type], _: &Type) -> Cost {
        let nodes = self.body.nodes();
        let flops = nodes.iter().map(|node| {
            let types: Vec<&Type> = node.inputs.iter().map(|i| &nodes[i.index()].ty).collect();
            node.op.cost(&types, &node.ty).flops
        });
        let flops = flops.fold(0u64, u64::saturating_add);
        let moved = x.iter().copied().chain(self.body.result_types());
        let bytes = moved.fold(0u64, |sum, ty| sum.saturating_add(ty.bytes() as u64));
        Cost { flops, bytes }
    }

    /// Equal axes if every operator of the body is elementwise.
    fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations {
        let nodes = &self.body.nodes()[self.body.params()..];
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
