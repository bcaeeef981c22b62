//! Derivatives that users give: `custom_vjp`, `custom_jvp`.

use std::sync::Arc;

use pleach_graph::{Body, FrameError, NodeId, TypeError};
use pleach_tensor::Type;

use crate::carrier::{Carrier, Kind, carry};
use crate::var::other_graph;
use crate::{Graph, Op, Var};

/// Functions with derivatives of their own. In the prelude.
///
/// The function is recorded as any other: passes see its nodes and may rewrite them. Its result
/// goes through one node that carries the rule, as a body with everything that the rule uses for
/// operands, so rebuilding, text and passes keep both. After differentiation nothing of it is
/// left in a plan.
///
/// What the function uses from outside must be constant to differentiation: a float from outside
/// that is no constant is an error, for the rule says nothing about it. What the rule uses from
/// outside may be anything, and derivatives of the rule reach it.
pub trait Transforms {
    /// `y = forward(xs)` with the gradient that `rule(xs, y, dy)` gives: one cotangent for each
    /// float operand, in order, of its type.
    ///
    /// The rule is recorded once, with `Var` algebra, so derivatives of every order follow. The
    /// forward derivative is its transpose, if it is linear in `dy`; if not, asking for one is
    /// an error that asks for [`Transforms::custom_jvp`].
    ///
    /// ```
    /// # use pleach_ops::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", F64, []);
    /// // ln(1 + eˣ), whose own gradient would be NaN where eˣ overflows.
    /// let y = g.custom_vjp(
    ///     &[x],
    ///     |x| (x[0].exp() + 1.0).ln(),
    ///     |x, _, dy| vec![dy * x[0].sigmoid()],
    /// );
    /// let dx = g.grad(y, &[x])[0];
    /// assert_eq!(dx.eval(&[&Tensor::scalar(1000.0)])?.item(), Some(1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    fn custom_vjp<'g>(
        &'g self,
        xs: &[Var<'g>],
        forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
        rule: impl FnOnce(&[Var<'g>], Var<'g>, Var<'g>) -> Vec<Var<'g>>,
    ) -> Var<'g>;

    /// `y = forward(xs)` with the forward derivative that `rule(xs, y, dxs)` gives: the tangent of
    /// `y`, linear in `dxs`, the tangents of the float operands, in order.
    ///
    /// The gradient is its transpose, by reverse mode through it. If the rule is not linear,
    /// asking for a gradient is an error.
    #[track_caller]
    fn custom_jvp<'g>(
        &'g self,
        xs: &[Var<'g>],
        forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
        rule: impl FnOnce(&[Var<'g>], Var<'g>, &[Var<'g>]) -> Var<'g>,
    ) -> Var<'g>;
}

impl Transforms for Graph {
    fn custom_vjp<'g>(
        &'g self,
        xs: &[Var<'g>],
        forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
        rule: impl FnOnce(&[Var<'g>], Var<'g>, Var<'g>) -> Vec<Var<'g>>,
    ) -> Var<'g> {
        let given = |_: &[Type], y: &Type| vec![y.clone()];
        custom(self, Kind::Vjp, xs, forward, given, |x, y, dy| rule(x, y, dy[0]))
    }

    fn custom_jvp<'g>(
        &'g self,
        xs: &[Var<'g>],
        forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
        rule: impl FnOnce(&[Var<'g>], Var<'g>, &[Var<'g>]) -> Var<'g>,
    ) -> Var<'g> {
        let float = |ty: &&Type| ty.dtype().is_float();
        let given = |xs: &[Type], _: &Type| xs.iter().filter(float).cloned().collect();
        custom(self, Kind::Jvp, xs, forward, given, |x, y, dx| vec![rule(x, y, dx)])
    }
}

#[track_caller]
fn custom<'g>(
    g: &'g Graph,
    kind: Kind,
    xs: &[Var<'g>],
    forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
    given: impl FnOnce(&[Type], &Type) -> Vec<Type>,
    rule: impl FnOnce(&[Var<'g>], Var<'g>, &[Var<'g>]) -> Vec<Var<'g>>,
) -> Var<'g> {
    match recorded(g, kind, xs, forward, given, rule) {
        Ok((body, operands, carrier, captured)) => {
            let _at = g.at();
            let y = Var::new(g, body.instantiate(g, &operands)[0]);
            carry(g, carrier, y, xs, &captured)
        }
        Err(Failed::Poisoned(v)) => v,
        Err(Failed::Refused(reason)) => {
            let own = xs.iter().filter(|x| std::ptr::eq(x.graph(), g)).map(|x| x.id());
            Var::new(g, g.refuse(kind.name(), &own.collect::<Vec<_>>(), reason))
        }
    }
}

/// The function with its operands, and the rule with what it captured.
type Recorded = (Arc<Body<Op>>, Vec<NodeId>, Carrier, Vec<NodeId>);

#[track_caller]
fn recorded<'g>(
    g: &'g Graph,
    kind: Kind,
    xs: &[Var<'g>],
    forward: impl FnOnce(&[Var<'g>]) -> Var<'g>,
    given: impl FnOnce(&[Type], &Type) -> Vec<Type>,
    rule: impl FnOnce(&[Var<'g>], Var<'g>, &[Var<'g>]) -> Vec<Var<'g>>,
) -> Result<Recorded, Failed<'g>> {
    let refuse = |reason| Err(Failed::Refused(reason));
    if xs.iter().any(|x| !std::ptr::eq(x.graph(), g)) {
        return refuse(other_graph());
    }
    if let Some(operand) = xs.iter().position(|x| x.ty().is_none()) {
        return refuse(TypeError::ClosedFrame { operand });
    }
    let types: Vec<Type> = xs.iter().filter_map(|x| x.ty()).collect();
    let (body, captured) = function(g, &types, |x| vec![forward(x)])?;
    if let Some(&id) = captured.iter().find(|&&id| !is_constant(g, id)) {
        return refuse(TypeError::Captured(g.ty(id)));
    }
    let Some(y_type) = body.result_types().next().cloned() else { return refuse(other_graph()) };
    if !y_type.dtype().is_float() {
        let why = format!("the function has a result of type {y_type}, which has no derivative");
        return refuse(TypeError::Attribute(why));
    }
    let given = given(&types, &y_type);
    let params: Vec<Type> = types.iter().chain([&y_type]).chain(&given).cloned().collect();
    let (rule, from_outside) = function(g, &params, |params| {
        let (x, rest) = params.split_at(xs.len());
        rule(x, rest[0], &rest[1..])
    })?;
    let carrier = Carrier::new(kind, xs.len(), rule).map_err(Failed::Refused)?;
    let operands = xs.iter().map(|x| x.id()).chain(captured).collect();
    Ok((body, operands, carrier, from_outside))
}

/// Why a function was not recorded: its own poisoned result, or a reason to refuse it.
enum Failed<'g> {
    Poisoned(Var<'g>),
    Refused(TypeError),
}

/// Records a function as a body, each of its nodes with the line of the user that asked for it;
/// and what it captured.
#[track_caller]
fn function<'g>(
    g: &'g Graph,
    params: &[Type],
    f: impl FnOnce(&[Var<'g>]) -> Vec<Var<'g>>,
) -> Result<(Arc<Body<Op>>, Vec<NodeId>), Failed<'g>> {
    let (mut poisoned, mut foreign) = (None, false);
    let recorded = g.frame(params, |ids| {
        let vars: Vec<Var<'g>> = ids.iter().map(|&id| Var::new(g, id)).collect();
        let results = f(&vars);
        foreign = results.iter().any(|v| !std::ptr::eq(v.graph(), g));
        poisoned = results.iter().find(|v| v.id().is_poisoned()).copied();
        if foreign || poisoned.is_some() {
            return Vec::new();
        }
        results.iter().map(|v| v.id()).collect()
    });
    if foreign {
        return Err(Failed::Refused(other_graph()));
    }
    match (poisoned, recorded) {
        (Some(v), _) => Err(Failed::Poisoned(v)),
        (None, Ok(recorded)) => Ok(recorded),
        (None, Err(FrameError::Closed(operand))) => {
            Err(Failed::Refused(TypeError::ClosedFrame { operand }))
        }
        (None, Err(error)) => Err(Failed::Refused(TypeError::Attribute(error.to_string()))),
    }
}

/// Is a captured value constant to differentiation?
fn is_constant(g: &Graph, id: NodeId) -> bool {
    let Some(node) = g.get(id) else { return true };
    let constant = matches!(
        node.op,
        Op::StopGradient(_)
            | Op::Constant(_)
            | Op::Full(_)
            | Op::Iota(_)
            | Op::Uniform(_)
            | Op::Normal(_)
    );
    constant || !node.ty.dtype().is_float()
}
