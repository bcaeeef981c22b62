//! A value with a gradient of its own: what `custom_vjp` and `custom_jvp` record.

use std::sync::Arc;

use pleach_graph::{Body, Grad as Flow, GradError, NodeId, Operator, Simpler, Traits, TypeError};
use pleach_kernels::{Lowering, View};
use pleach_tensor::{DType, Tensor, Type};
use smallvec::SmallVec;

use crate::check_types::require_types;
use crate::operation::Operation;
use crate::primitive::{EvalError, Tangent};
use crate::{Axis, AxisRelations, Cost, Fused, Graph, Op, Registry, Var};

/// Its first operand `y`, with a derivative by the operands after it that a user gave as a body.
///
/// Operands: `y`; the `x` that it is differentiated by; values that the rule captured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Carrier(Arc<Rule>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rule {
    kind: Kind,
    /// Number of the `x`.
    operands: usize,
    body: Arc<Body<Op>>,
}

/// Which of the two derivatives the body is. Its parameters are `x.., y, d.., captured..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `d` is the cotangent of `y`; the results are those of the float `x`.
    Vjp,
    /// `d..` are the tangents of the float `x`; the result is that of `y`.
    Jvp,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Vjp => "custom_vjp",
            Kind::Jvp => "custom_jvp",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Kind> {
        [Kind::Vjp, Kind::Jvp].into_iter().find(|kind| kind.name() == name)
    }
}

/// Which of the types are differentiated.
fn floats(types: &[Type]) -> Vec<usize> {
    (0..types.len()).filter(|&i| types[i].dtype().is_float()).collect()
}

impl Carrier {
    /// A rule for `operands` values.
    ///
    /// # Errors
    /// [`TypeError`] if the body is no rule of this kind.
    pub(crate) fn new(
        kind: Kind,
        operands: usize,
        body: Arc<Body<Op>>,
    ) -> Result<Carrier, TypeError> {
        let rule = Carrier(Arc::new(Rule { kind, operands, body }));
        let params: Vec<Type> = rule.0.body.param_types().cloned().collect();
        let short = |expected| TypeError::Arity { expected, got: params.len() };
        let Some(y) = params.get(operands) else { return Err(short(operands + 2)) };
        let x = &params[..operands];
        let of = |i: &usize| x[*i].clone();
        let floats: Vec<Type> = floats(x).iter().map(of).collect();
        let (given, asked, what) = match kind {
            Kind::Vjp => (vec![y.clone()], floats, "cotangent"),
            Kind::Jvp => (floats, vec![y.clone()], "tangent"),
        };
        if params.len() < operands + 1 + given.len() {
            return Err(short(operands + 1 + given.len()));
        }
        if params[operands + 1..][..given.len()] != given[..] {
            return Err(TypeError::Attribute("the rule takes other types than it is given".into()));
        }
        let results: Vec<&Type> = rule.0.body.result_types().collect();
        if results.len() != asked.len() {
            let (left, right) = (results.len(), asked.len());
            let what = match kind {
                Kind::Vjp => "numbers of cotangents and of float operands",
                Kind::Jvp => "numbers of tangents and of results",
            };
            return Err(TypeError::Sizes { what, left, right });
        }
        match (0..asked.len()).find(|&i| *results[i] != asked[i]) {
            Some(number) => {
                let (expected, got) =
                    (Box::new(asked[number].clone()), Box::new(results[number].clone()));
                Err(TypeError::Derivative { what, number, expected, got })
            }
            None => Ok(rule),
        }
    }

    /// The rule.
    pub fn body(&self) -> &Arc<Body<Op>> {
        &self.0.body
    }

    pub(crate) fn parse(kind: Kind, text: &str, registry: &Registry) -> Result<Carrier, String> {
        let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
        let (operands, body) = inner
            .and_then(|t| t.split_once(','))
            .ok_or("expected (number of operands, rule in braces)")?;
        let operands = operands.trim().parse::<usize>().map_err(|e| e.to_string())?;
        // No rule has so many parameters.
        let operands = operands.min(usize::MAX / 2);
        let body = Body::parse(body, registry)?;
        Carrier::new(kind, operands, Arc::new(body)).map_err(|e| e.to_string())
    }

    pub(crate) fn retype(&self, from: DType, to: DType) -> Carrier {
        let rule = &self.0;
        let body = crate::fused::retype_body(&rule.body, from, to);
        let changed = body.and_then(|body| Carrier::new(rule.kind, rule.operands, body).ok());
        changed.unwrap_or_else(|| self.clone())
    }

    /// The parameter types of the `x`.
    fn types(&self) -> Vec<Type> {
        self.0.body.param_types().take(self.0.operands).cloned().collect()
    }

    /// Number of values that the body is given beside `x`, `y` and what it captured.
    fn given(&self) -> usize {
        match self.0.kind {
            Kind::Vjp => 1,
            Kind::Jvp => floats(&self.types()).len(),
        }
    }

    /// Operands of the node as arguments of the body.
    fn arguments(&self, inputs: &[NodeId], y: NodeId, given: &[NodeId]) -> Vec<NodeId> {
        let (x, captured) = inputs[1..].split_at(self.0.operands);
        [x, &[y], given, captured].concat()
    }

    /// May the rule be linear in what it is given? Derivatives alone do not tell: a sign or a
    /// comparison has none, a constant that is added leaves none.
    fn may_be_linear(&self, g: &Graph) -> bool {
        let body = &self.0.body;
        let first = self.0.operands + 1;
        let mut depends = vec![false; body.nodes().len()];
        depends[first..first + self.given()].fill(true);
        let types: Vec<Type> = body.param_types().cloned().collect();
        let mut linear = true;
        let frame = g.frame(&types, |params| {
            let mut at = params.to_vec();
            for (i, node) in body.nodes().iter().enumerate().skip(body.params()) {
                let inputs: Vec<NodeId> = node.inputs.iter().map(|x| at[x.index()]).collect();
                let y = g.push(node.op.clone(), &inputs);
                at.push(y);
                let need: Vec<bool> = node.inputs.iter().map(|x| depends[x.index()]).collect();
                depends[i] = need.contains(&true);
                linear &= !depends[i] || passes_on(g, &node.op, &inputs, y, &need);
            }
            Vec::new()
        });
        linear && frame.is_ok()
    }

    /// The cotangents of the float `x` by a rule for tangents, which is linear in them: its
    /// transpose, by reverse mode through it.
    fn transposed(&self, inputs: &[NodeId], y: NodeId, dy: Var<'_>) -> Vec<Option<NodeId>> {
        let g = dy.graph();
        let none = vec![None; self.given()];
        let first = self.0.operands + 1;
        let tangents = first..first + self.given();
        let mut types: Vec<Type> = self.0.body.param_types().cloned().collect();
        types.push(g.ty(dy.id()));
        let mut found = none.clone();
        let mut failed = None;
        let frame = g.frame(&types, |params| {
            let (arguments, dy) = params.split_at(params.len() - 1);
            let value = self.0.body.instantiate(g, arguments)[0];
            match g.reverse(&[(value, dy[0])], &arguments[tangents.clone()]) {
                Ok(grads) => {
                    let flows: Vec<Option<NodeId>> = grads.iter().map(|dx| dx.value()).collect();
                    found.clone_from(&flows);
                    flows.into_iter().flatten().collect()
                }
                Err(error) => {
                    failed = Some(error.to_string());
                    Vec::new()
                }
            }
        });
        if let Some(failed) = failed {
            g.refuse(self.name(), &[dy.id()], TypeError::Attribute(failed));
            return none;
        }
        // A failure is in the graph's errors already.
        let Ok((body, captured)) = frame else { return none };
        let is_tangent = |id: usize| tangents.contains(&id);
        let depends = !self.may_be_linear(g)
            || body.nodes().iter().any(|n| n.inputs.iter().any(|x| is_tangent(x.index())))
            || body.results().iter().any(|&r| is_tangent(r));
        if depends {
            let site = g.origin(y).first().cloned();
            let error = GradError::NotLinear { op: self.name().into(), site };
            g.refuse(self.name(), &[dy.id()], TypeError::Attribute(error.to_string()));
            return none;
        }
        // Nothing depends on the tangents: any values of their types will do.
        let floats = floats(&self.types());
        let zeros: Vec<NodeId> =
            floats.iter().map(|&i| Var::new(g, inputs[1 + i]).full_like(0.0).id()).collect();
        let arguments = [self.arguments(inputs, y, &zeros), vec![dy.id()], captured].concat();
        let mut results = body.instantiate(g, &arguments).into_iter();
        found.iter().map(|dx| dx.and_then(|_| results.next())).collect()
    }
}

/// Does the operator pass on what flows in at the slots in `need`, and add nothing to it?
fn passes_on(g: &Graph, op: &Op, inputs: &[NodeId], y: NodeId, need: &[bool]) -> bool {
    let ty = g.ty(y);
    if !ty.dtype().is_float() {
        return false;
    }
    let dy = Op::full(g, &ty, 1.0);
    let flows = op.vjp(g, inputs, y, dy, need);
    let flow = |slot: usize| !need[slot] || matches!(flows.get(slot), Some(Flow::Flow(_)));
    let zero = |&x: &NodeId| matches!(g.op(x), Op::Full(full) if full.value() == 0.0);
    let silent = |slot: usize| {
        let x = inputs[slot];
        need[slot] || !g.ty(x).dtype().is_float() || zero(&x)
    };
    let joint = op.operation().traits().has(Traits::LINEAR);
    let sums = joint || matches!(op, Op::Add(_) | Op::Sub(_));
    let shifts = matches!(op, Op::Pad(pad) if pad.value() != 0.0);
    !shifts && (0..inputs.len()).all(|slot| flow(slot) && (!sums || silent(slot)))
}

impl Operation for Carrier {
    fn name(&self) -> &str {
        self.0.kind.name()
    }

    fn attributes(&self) -> String {
        format!("({},{})", self.0.operands, self.0.body)
    }

    fn traits(&self) -> Traits {
        Traits::NONE
    }

    fn infer(&self, x: &[&Type]) -> Result<Type, TypeError> {
        let params: Vec<&Type> = self.0.body.param_types().collect();
        let n = self.0.operands;
        let (own, captured) = (&params[..n], &params[n + 1 + self.given()..]);
        let expected: Vec<&Type> = [&[params[n]], own, captured].concat();
        require_types(x, expected.into_iter())?;
        Ok(x[0].clone())
    }

    fn eval(&self, x: &[&Tensor], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x[0].clone())
    }

    /// To `y`, and to what the rule captured, it cuts: the value does not depend on the latter.
    fn vjp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dy: Var<'g>,
        need: &[bool],
    ) -> SmallVec<[Flow; 2]> {
        let inputs: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let mut flows: SmallVec<[Flow; 2]> = need.iter().map(|_| Flow::Cut).collect();
        let floats = floats(&self.types());
        if !floats.iter().any(|&i| need[1 + i]) {
            return flows;
        }
        let grads = match self.0.kind {
            Kind::Vjp => {
                let arguments = self.arguments(&inputs, y.id(), &[dy.id()]);
                let results = self.0.body.instantiate(y.graph(), &arguments);
                results.into_iter().map(Some).collect()
            }
            Kind::Jvp => self.transposed(&inputs, y.id(), dy),
        };
        for (i, dx) in floats.into_iter().zip(grads) {
            flows[1 + i] = dx.map_or(Flow::Cut, Flow::Flow);
        }
        flows
    }

    fn jvp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dx: &[Option<Var<'g>>],
    ) -> Result<Tangent<'g>, GradError> {
        if self.0.kind == Kind::Vjp {
            if self.may_be_linear(y.graph()) {
                return Ok(Tangent::Derived);
            }
            let site = y.graph().origin(y.id()).first().cloned();
            return Err(GradError::NotLinear { op: self.name().into(), site });
        }
        let floats = floats(&self.types());
        if floats.iter().all(|&i| dx[1 + i].is_none()) {
            return Ok(Tangent::Zero);
        }
        let inputs: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let tangent = |&i: &usize| dx[1 + i].unwrap_or_else(|| x[1 + i].full_like(0.0)).id();
        let given: Vec<NodeId> = floats.iter().map(tangent).collect();
        let arguments = self.arguments(&inputs, y.id(), &given);
        let results = self.0.body.instantiate(y.graph(), &arguments);
        Ok(Tangent::Flow(Var::new(y.graph(), results[0])))
    }

    fn simplify(&self, _: &[Var<'_>]) -> Simpler<Op> {
        Simpler::Same
    }

    fn lower(&self, _: &[&Type], _: &Type) -> Lowering {
        Lowering::View(View::Identity)
    }

    fn cost(&self, _: &[&Type], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, x: &[&Type], y: &Type) -> AxisRelations {
        let mut relations = AxisRelations::opaque(x);
        relations.0[0] = (0..y.rank()).map(Axis::Same).collect();
        relations
    }
}

/// Is this the name of an operator that the list does not have?
pub(crate) fn is_reserved(name: &str) -> bool {
    [Fused::NAME, crate::Scan::NAME].contains(&name) || Kind::by_name(name).is_some()
}

/// The rule of a value, ready to be recorded after it.
pub(crate) fn carry<'g>(
    g: &'g Graph,
    carrier: Carrier,
    y: Var<'g>,
    xs: &[Var<'g>],
    captured: &[NodeId],
) -> Var<'g> {
    let captured = captured.iter().map(|&id| Var::new(g, id));
    let operands: Vec<Var<'g>> =
        [y].into_iter().chain(xs.iter().copied()).chain(captured).collect();
    let carried = y.record(Op::Carrier(carrier), &operands);
    y.straight_through(carried)
}
