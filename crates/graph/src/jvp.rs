//! Forward mode: tangents flow from operands to results, one sweep up the tape.

use pleach_tensor::Type;
use smallvec::SmallVec;

use crate::operator::Grad;
use crate::tape::Inputs;
use crate::{GradError, Graph, NodeId, Operator, Traits};

impl<O: Operator> Graph<O> {
    /// Pushes the tangents of values forward to the results `ys`: appends the nodes of
    /// `Σ (∂y/∂x) dx` over the `(x, dx)` in `seeds`, for each `y`. `None`: the tangent is zero.
    ///
    /// # Errors
    /// [`GradError`] if a value is no float, a seed has the wrong type, or an operator on the way
    /// has no forward rule, or, in a loop body, a path leaves the body.
    #[track_caller]
    pub fn jvp(
        &self,
        ys: &[NodeId],
        seeds: &[(NodeId, NodeId)],
    ) -> Result<Vec<Option<NodeId>>, GradError> {
        self.check()?;
        let _at = self.at();
        let frame = self.frame_number();
        let outer: Vec<NodeId> = seeds.iter().map(|&(x, _)| x).collect();
        let seeds = self.checked_seeds(seeds, "tangent")?;
        let ys = ys.iter().map(|&y| self.float(y)).collect::<Result<Vec<_>, _>>()?;
        self.check_frame(&outer, &ys)?;
        let end = ys.iter().map(|y| y.index() + 1).max().unwrap_or(0);
        let from: Vec<NodeId> = seeds.iter().map(|(x, _)| *x).collect();
        let reached = self.reachable_from(frame, &from, end);
        let mut wanted = vec![false; end];
        ys.iter().for_each(|y| wanted[y.index()] = true);
        for i in (0..end).rev().filter(|&i| reached[i]) {
            if wanted[i] {
                let node = self.node(NodeId::in_frame(frame, i));
                node.inputs.iter().for_each(|x| wanted[x.index()] = true);
            }
        }

        let mut tangents: Vec<Option<NodeId>> = vec![None; end];
        for &(x, dx) in seeds.iter().filter(|(x, _)| x.index() < end) {
            let slot = &mut tangents[x.index()];
            *slot = Some(slot.map_or(dx, |sum| O::add(self, sum, dx)));
        }
        for i in (0..end).filter(|&i| reached[i] && wanted[i]) {
            let y = NodeId::in_frame(frame, i);
            let node = self.node(y);
            let dx: SmallVec<[Option<NodeId>; 4]> =
                node.inputs.iter().map(|x| tangents[x.index()]).collect();
            if dx.iter().all(Option::is_none) || !node.ty.dtype().is_float() {
                continue;
            }
            let _at = self.at_same(y);
            let dy = node.op.jvp(self, &node.inputs, y, &dx)?;
            self.check()?;
            if let Some(dy) = dy {
                let got = self.ty(dy);
                if got != node.ty {
                    let expected = node.ty.clone();
                    return Err(GradError::SeedType { what: "tangent", expected, got });
                }
                let seed = tangents[i];
                tangents[i] = Some(seed.map_or(dy, |sum| O::add(self, sum, dy)));
            }
        }
        Ok(ys.iter().map(|y| tangents[y.index()]).collect())
    }
}

impl<O: Operator> Graph<O> {
    /// A value of the current frame that nothing else is: it stands for whatever value there is.
    fn fresh_parameter(&self, ty: &Type) -> NodeId {
        let fresh = {
            let mut inner = self.inner.borrow_mut();
            let frame = inner.current();
            let tape = inner.tape_mut(frame);
            let after = tape.len();
            let unused = |&i: &usize| tape.find(&O::parameter(i, ty), &[]).is_none();
            (after..).find(unused).expect("a tape is finite")
        };
        self.push(O::parameter(fresh, ty), &[])
    }
}

/// The forward rule that follows from what an operator promises, or else from its gradient rule.
///
/// - linear: the operator itself, of the tangents;
/// - multilinear: the sum over operands of the operator with that operand's tangent in its place;
/// - elementwise: a diagonal Jacobian is its own transpose, so the gradient rule serves;
/// - any other: the gradient rule is linear in its cotangent `w`, and the transpose of that linear
///   map, by reverse mode through the rule, is the forward rule.
///
/// # Errors
/// [`GradError::NotLinear`] if the gradient rule depends on `w` in any other way.
pub fn derived_jvp<O: Operator>(
    op: &O,
    g: &Graph<O>,
    inputs: &[NodeId],
    y: NodeId,
    tangents: &[Option<NodeId>],
) -> Result<Option<NodeId>, GradError> {
    let traits = op.traits();
    if traits.has(Traits::LINEAR) {
        let of: Inputs = inputs
            .iter()
            .zip(tangents)
            .map(|(&x, &dx)| {
                let ty = g.ty(x);
                if !ty.dtype().is_float() {
                    return x;
                }
                dx.unwrap_or_else(|| O::full(g, &ty, 0.0))
            })
            .collect();
        return Ok(Some(g.push(op.clone(), &of)));
    }
    let mut sum: Option<NodeId> = None;
    let mut add = |dy: NodeId| sum = Some(sum.map_or(dy, |sum| O::add(g, sum, dy)));
    if traits.has(Traits::MULTILINEAR) {
        for (slot, dx) in tangents.iter().enumerate() {
            let Some(dx) = *dx else { continue };
            let mut of: Inputs = inputs.into();
            of[slot] = dx;
            add(g.push(op.clone(), &of));
        }
        return Ok(sum);
    }
    let need =
        |slot: usize| -> SmallVec<[bool; 4]> { (0..inputs.len()).map(|i| i == slot).collect() };
    let ty = g.ty(y);
    let alike = inputs.iter().zip(tangents).all(|(&x, dx)| dx.is_none() || g.ty(x) == ty);
    if traits.has(Traits::ELEMENTWISE) && alike {
        for (slot, dx) in tangents.iter().enumerate() {
            let Some(dx) = *dx else { continue };
            let grads = op.vjp(g, inputs, y, dx, &need(slot));
            if let Some(&Grad::Flow(dy)) = grads.get(slot) {
                add(dy);
            }
        }
        return Ok(sum);
    }
    let w = g.fresh_parameter(&ty);
    let mut pulled = Vec::new();
    for (slot, dx) in tangents.iter().enumerate() {
        let Some(dx) = *dx else { continue };
        let grads = op.vjp(g, inputs, y, w, &need(slot));
        if let Some(&Grad::Flow(dw)) = grads.get(slot) {
            pulled.push((dw, dx));
        }
    }
    let grads = g.reverse(&pulled, &[w])?;
    let Some(dy) = grads[0].value() else { return Ok(None) };
    let depends = g.reachable_from(dy.frame(), &[w], dy.index() + 1);
    if depends[dy.index()] {
        let site = g.origin(y).first().cloned();
        return Err(GradError::NotLinear { op: op.to_string(), site });
    }
    Ok(Some(dy))
}
