//! Reverse mode: cotangents flow from results to operands, one sweep down the tape.
//!
//! **Source** Speelpenning 1980; Griewank and Walther, "Evaluating Derivatives", 2nd ed., ch. 3.

use std::rc::Rc;
use std::slice;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::operator::Grad;
use crate::tape::Inputs;
use crate::{GradError, Graph, NodeId, Operator};

/// What reverse mode found for one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// The cotangent.
    Value(NodeId),
    /// No differentiable path leads from the value to any result. If some path was cut, `cut` is
    /// the node that has no derivative.
    Unreached {
        /// The node at which the float stopped, nearest to the results.
        cut: Option<NodeId>,
    },
}

impl Gradient {
    /// The cotangent, if there is one.
    pub fn value(self) -> Option<NodeId> {
        match self {
            Gradient::Value(id) => Some(id),
            Gradient::Unreached { .. } => None,
        }
    }
}

impl<O: Operator> Graph<O> {
    /// Pulls the cotangents of results back to the values `wrt`: appends the nodes of
    /// `Σ (∂y/∂x)ᵀ dy` over the `(y, dy)` in `seeds`, for each `x` in `wrt`.
    ///
    /// Only what lies between `wrt` and the results is differentiated. Cost: O(tape between
    /// them), no recursion.
    ///
    /// # Errors
    /// [`GradError`] if a value is no float, a seed has the wrong type, a gradient rule is
    /// ill-typed, or, in a loop body, a path leaves the body.
    #[track_caller]
    pub fn reverse(
        &self,
        seeds: &[(NodeId, NodeId)],
        wrt: &[NodeId],
    ) -> Result<Vec<Gradient>, GradError> {
        self.check()?;
        let _at = self.at();
        let frame = self.frame_number();
        let seeds = self.checked_seeds(seeds, "cotangent")?;
        let outer = wrt;
        let wrt = wrt.iter().map(|&x| self.float(x)).collect::<Result<Vec<_>, _>>()?;
        let ys: Vec<NodeId> = seeds.iter().map(|&(y, _)| y).collect();
        self.check_frame(outer, &ys)?;
        let id = |i: usize| NodeId::in_frame(frame, i);
        let Some(end) = seeds.iter().map(|(y, _)| y.index() + 1).max() else {
            return Ok(vec![Gradient::Unreached { cut: None }; wrt.len()]);
        };
        let needed = self.reachable_from(frame, &wrt, end);
        // Most operators of two operands get two products and two sums at most.
        let count = needed.iter().filter(|needed| **needed).count();
        self.inner.borrow_mut().tape_mut(frame).reserve(2 * count);

        let mut cotangents: Vec<Option<NodeId>> = vec![None; end];
        for &(y, dy) in &seeds {
            self.accumulate(&mut cotangents[y.index()], dy);
        }
        let mut cuts: Vec<(usize, usize)> = Vec::new();
        let families = self.families(frame, end);
        for i in (0..end).rev() {
            let family = families.get(&i).map_or(slice::from_ref(&i), |members| members.as_slice());
            // All users of all results of a family come after the first of them.
            if family[0] != i {
                continue;
            }
            let result = |&i: &usize| Some((id(i), cotangents[i]?));
            let results: SmallVec<[(NodeId, NodeId); 1]> =
                family.iter().filter_map(result).collect();
            let Some(&(y, dy)) = results.first() else { continue };
            let node = self.node(y);
            let need: SmallVec<[bool; 4]> = node.inputs.iter().map(|x| needed[x.index()]).collect();
            if !need.contains(&true) {
                continue;
            }
            let _at = self.at_same(y);
            let grads = match results.len() {
                1 => node.op.vjp(self, &node.inputs, y, dy, &need),
                _ => node.op.vjp_joint(self, &node.inputs, &results, &need),
            };
            for (slot, &x) in node.inputs.iter().enumerate().filter(|(slot, _)| need[*slot]) {
                match grads.get(slot) {
                    Some(&Grad::Flow(dx)) => {
                        self.check_rule(&node.op, slot, x, dx)?;
                        self.accumulate(&mut cotangents[x.index()], dx);
                    }
                    // An index has no derivative, whatever its rule calls that.
                    Some(Grad::Zero) if !self.ty(x).dtype().is_float() => cuts.push((i, slot)),
                    Some(Grad::Zero) => {
                        let zero = O::full(self, &self.ty(x), 0.0);
                        self.accumulate(&mut cotangents[x.index()], zero);
                    }
                    Some(Grad::Cut) => cuts.push((i, slot)),
                    None => {
                        return Err(GradError::RuleType {
                            op: node.op.to_string(),
                            operand: slot,
                            expected: self.ty(x),
                            got: "nothing".into(),
                        });
                    }
                }
            }
        }
        self.check()?;
        Ok(wrt
            .iter()
            .map(|&x| match cotangents.get(x.index()).copied().flatten() {
                Some(dx) => Gradient::Value(dx),
                None => Gradient::Unreached { cut: self.cut_after(frame, x, &cuts, end) },
            })
            .collect())
    }

    /// The members, in order, of every family of more than one result, by each of its members.
    fn families(&self, frame: u32, end: usize) -> FxHashMap<usize, Rc<Vec<usize>>> {
        let inner = self.inner.borrow();
        let tape = inner.tape(frame).expect("the current frame is open");
        let mut families: FxHashMap<(O, Inputs), Vec<usize>> = FxHashMap::default();
        for i in 0..end {
            let node = tape.node(i);
            if let Some(family) = node.op.family() {
                families.entry((family, node.inputs.clone())).or_default().push(i);
            }
        }
        let several = families.into_values().filter(|members| members.len() > 1).map(Rc::new);
        several.flat_map(|m| (0..m.len()).map(move |at| (m[at], m.clone()))).collect()
    }

    /// `(value, seed)` pairs as values of the current frame, each seed of its value's type.
    pub(crate) fn checked_seeds(
        &self,
        seeds: &[(NodeId, NodeId)],
        what: &'static str,
    ) -> Result<Vec<(NodeId, NodeId)>, GradError> {
        let check = |&(y, dy): &(NodeId, NodeId)| {
            let y = self.float(y)?;
            let dy = self.visible(dy).ok_or(GradError::Frame(dy))?;
            let (expected, got) = (self.ty(y), self.ty(dy));
            if expected != got {
                return Err(GradError::SeedType { what, expected, got });
            }
            Ok((y, dy))
        };
        seeds.iter().map(check).collect()
    }

    /// `x` as a value of the current frame, if it is a float.
    pub(crate) fn float(&self, x: NodeId) -> Result<NodeId, GradError> {
        let here = self.visible(x).ok_or(GradError::Frame(x))?;
        let node = self.node(here);
        if node.ty.dtype().is_float() {
            return Ok(here);
        }
        let site = self.origin(here).first().cloned();
        let op = self.get(x).map_or(node.op.to_string(), |node| node.op.to_string());
        Err(GradError::NotFloat { op, ty: node.ty.clone(), site })
    }

    /// In a loop body, values from outside are parameters of the body and independent of each
    /// other. If one that `ys` need is computed outside from another that is in `xs`, the sweep
    /// would miss that path, so it is refused.
    pub(crate) fn check_frame(&self, xs: &[NodeId], ys: &[NodeId]) -> Result<(), GradError> {
        let inner = self.inner.borrow();
        if inner.frames.is_empty() {
            return Ok(());
        }
        let tape = inner.tape_of_current();
        let needed = tape.needed_by(ys.iter().map(|y| y.index()));
        let missed = |x: NodeId| inner.aliases(x).iter().any(|&alias| needed[alias]);
        match xs.iter().find(|&&x| x.frame() != inner.current() && missed(x)) {
            Some(&x) => Err(GradError::Frame(x)),
            None => Ok(()),
        }
    }

    /// For every node of the frame before `end`: does it depend on one of `from`?
    pub(crate) fn reachable_from(&self, frame: u32, from: &[NodeId], end: usize) -> Vec<bool> {
        let inner = self.inner.borrow();
        let tape = inner.tape(frame).expect("the current frame is open");
        tape.reached_from(from.iter().map(|x| x.index()), end)
    }

    fn accumulate(&self, into: &mut Option<NodeId>, dx: NodeId) {
        *into = Some(match *into {
            Some(sum) => O::add(self, sum, dx),
            None => dx,
        });
    }

    /// A cotangent must have its operand's type; a poisoned one is reported by `check` later.
    fn check_rule(&self, op: &O, operand: usize, x: NodeId, dx: NodeId) -> Result<(), GradError> {
        self.check()?;
        if self.peek(x, |x| self.peek(dx, |dx| dx.ty == x.ty)) == Some(Some(true)) {
            return Ok(());
        }
        let (expected, got) = (self.ty(x), self.peek(dx, |dx| dx.ty.to_string()));
        let got = got.unwrap_or("no node of this graph".into());
        Err(GradError::RuleType { op: op.to_string(), operand, expected, got })
    }

    /// Of the cuts behind `x`, the node nearest to the results at which a float stopped being
    /// differentiable.
    fn cut_after(
        &self,
        frame: u32,
        x: NodeId,
        cuts: &[(usize, usize)],
        end: usize,
    ) -> Option<NodeId> {
        if cuts.is_empty() {
            return None;
        }
        let behind = self.reachable_from(frame, &[x], end);
        let &(user, slot) = cuts.iter().find(|(user, slot)| {
            let input = self.node(NodeId::in_frame(frame, *user)).inputs[*slot];
            behind[input.index()]
        })?;
        // Where an integer flows in, the node to name is the one that made it from a float.
        let mut cut = NodeId::in_frame(frame, user);
        let mut input = self.node(cut).inputs[slot];
        while !self.ty(input).dtype().is_float() {
            cut = input;
            let node = self.node(cut);
            match node.inputs.iter().find(|i| behind[i.index()]) {
                Some(&next) => input = next,
                None => break,
            }
        }
        Some(cut)
    }
}
