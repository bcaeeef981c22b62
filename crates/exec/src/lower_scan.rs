//! Lowering of loops: only what the results that are asked for need is computed.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{BufferId, Kernel, Moves, Slice, wants_rows};
use pleach_ops::{Loop, Op, Scan};
use pleach_tensor::Type;
use rustc_hash::FxHashMap;

use crate::lower::{Lowered, Storage};

/// Steps of a loop that are worth a copy of what all of them would copy.
const OFTEN: usize = 4;

/// Where a carry lies in all steps and after the last, one after the other; in reverse, after the
/// last step comes first.
struct Track {
    /// The initial value.
    first: Slice,
    /// The final value.
    last: Slice,
    /// The carry of a step, and the next one.
    carry: Slice,
    next: Slice,
    /// What all steps see, and what they make of it.
    before: Slice,
    after: Slice,
}

/// Which parts of a loop are needed.
struct Needed {
    /// Nodes of the body.
    nodes: Vec<bool>,
    /// Results of the body.
    results: Vec<bool>,
}

impl Needed {
    /// What the results `asked` of the loop need. A carry that a step reads is computed.
    fn new(of: &Loop, asked: &[usize]) -> Needed {
        let (body, carries) = (of.body(), of.carries());
        let count = body.results().len();
        let mut results = vec![false; count];
        for &result in asked {
            results[result.checked_sub(count).unwrap_or(result)] = true;
        }
        loop {
            let mut nodes = vec![false; body.nodes().len()];
            for (&r, _) in body.results().iter().zip(&results).filter(|(_, needed)| **needed) {
                nodes[r] = true;
            }
            for i in (body.params()..nodes.len()).rev() {
                if nodes[i] {
                    body.nodes()[i].inputs.iter().for_each(|x| nodes[x.index()] = true);
                }
            }
            let before = results.clone();
            (0..carries).for_each(|c| results[c] |= nodes[c]);
            if results == before {
                return Needed { nodes, results };
            }
        }
    }
}

impl Lowered {
    /// Lowers a loop: all of its results that are live, at the first of them.
    pub(crate) fn scan(&mut self, scan: &Scan, id: NodeId, nodes: &[&Node<Op>], live: &[bool]) {
        let (of, x) = (scan.of(), &nodes[id.index()].inputs);
        let sibling = |(i, node): (usize, &&Node<Op>)| match &node.op {
            Op::Scan(other) if live[i] && other.of() == of && node.inputs == *x => {
                Some((NodeId::new(i), other.result()))
            }
            _ => None,
        };
        let siblings: Vec<(NodeId, usize)> =
            nodes.iter().enumerate().skip(id.index()).filter_map(sibling).collect();
        let asked: Vec<usize> = siblings.iter().map(|&(_, result)| result).collect();
        let needed = Needed::new(of, &asked);
        let (body, carries) = (of.body(), of.carries());
        let outer = self.site;
        self.site = Some(outer.unwrap_or(id));

        // Carries: those that are asked for in all steps lie where they are stacked, all others in
        // memory of their own. They begin with the initial value.
        let types: Vec<&Type> = body.param_types().collect();
        let mut params: Vec<Option<Slice>> = vec![None; body.params()];
        let mut next: Vec<Option<Slice>> = vec![None; carries];
        let mut results: FxHashMap<usize, Slice> = FxHashMap::default();
        for c in (0..carries).filter(|&c| needed.results[c]) {
            let init = self.value(x[c]);
            if asked.contains(&of.stacked_carry(c)) {
                let track = self.track(of, types[c]);
                self.copy(id, init, track.first);
                results.insert(c, track.last);
                results.insert(of.stacked_carry(c), track.before);
                // A result that is the new carry lies there as well.
                let same = |r: &usize| body.results().get(*r) == Some(&body.results()[c]);
                let after = (carries..body.results().len()).filter(same);
                results.extend(after.map(|r| (r, track.after.clone())));
                (params[c], next[c]) = (Some(track.carry), Some(track.next));
            } else {
                let carry = self.fresh(types[c]);
                self.copy(id, init, carry.clone());
                results.insert(c, carry.clone());
                (params[c], next[c]) = (Some(carry.clone()), Some(carry));
            }
        }
        let mut stacked: Vec<(usize, Slice)> = Vec::new();
        for &(id, result) in &siblings {
            if let Some(slice) = results.get(&result) {
                self.values.insert(id, slice.clone());
            } else if let Some(ty) = of.result_type(result) {
                let slice = self.fresh(&ty);
                self.values.insert(id, slice.clone());
                results.insert(result, slice.clone());
                stacked.push((result, slice));
            }
        }
        let captured: Vec<(NodeId, NodeId)> =
            (carries + of.slices()..body.params()).map(|i| (NodeId::new(i), x[i])).collect();
        let mut splats = FxHashMap::default();
        for (param, operand) in &captured {
            match self.splats.get(operand) {
                Some(splat) => {
                    splats.insert(*param, splat.clone());
                }
                None => {
                    params[param.index()] =
                        Some(self.settled(id, x[param.index()], types[param.index()]))
                }
            }
        }
        for i in (carries..carries + of.slices()).filter(|&i| needed.nodes[i]) {
            let ty = of.operand_type(i).expect("an operand of the loop");
            params[i] = self.settled(id, x[i], &ty).stepped();
        }

        self.depth += 1;
        let instrs = std::mem::take(&mut self.instrs);
        let values = std::mem::take(&mut self.values);
        let joined = std::mem::take(&mut self.joined);
        let splats = std::mem::replace(&mut self.splats, splats);
        for (i, slice) in params.iter().enumerate() {
            if let Some(slice) = slice {
                self.values.insert(NodeId::new(i), slice.clone());
            }
        }
        let nodes: Vec<&Node<Op>> = body.nodes().iter().collect();
        self.scope(&nodes, &needed.nodes, body.results());
        for (result, slice) in stacked {
            let item = self.value(NodeId::new(body.results()[result]));
            if let Some(to) = slice.stepped() {
                self.copy(id, item, to);
            }
        }
        self.carry_over(id, of, &params, &next);
        self.write_in_place();
        self.depth -= 1;
        let body = std::mem::replace(&mut self.instrs, instrs);
        let mut body: Vec<Kernel> = body.into_iter().map(|instr| instr.kernel).collect();
        self.values = values;
        self.joined = joined;
        self.splats = splats;
        if of.length() >= OFTEN {
            let captures: Vec<BufferId> = captured
                .iter()
                .filter_map(|(param, _)| Some(params[param.index()].as_ref()?.buffer))
                .collect();
            self.lay_out(id, &captures, &mut body);
        }
        self.emit(id, Kernel::Repeat { length: of.length(), reverse: of.is_reversed(), body });
        self.site = outer;
    }

    /// Lays captures out once, before the loop, where products of every step gain by it.
    fn lay_out(&mut self, id: NodeId, captures: &[BufferId], body: &mut [Kernel]) {
        let mut done: Vec<(Slice, Slice)> = Vec::new();
        for kernel in body {
            let Kernel::Gemm { a, b, c } = kernel else { continue };
            for at in 0..2 {
                let from = if at == 0 { &a.slice } else { &b.slice }.clone();
                let fixed = captures.contains(&from.buffer) && from.moves.is_none();
                if !fixed || !from.is_injective() || !wants_rows(a, b, c, at) {
                    continue;
                }
                let Ok(ty) = Type::new(from.dtype, &from.dims[..]) else { continue };
                let known = done.iter().find(|(slice, _)| *slice == from).map(|(_, to)| to.clone());
                let to = known.unwrap_or_else(|| self.laid_out(id, from.clone(), &ty));
                done.push((from, to.clone()));
                if at == 0 { &mut *a } else { &mut *b }.slice = to;
            }
        }
    }

    /// The value of an operand where the steps of an inner loop find it: what moves with the steps
    /// of the loop around it is copied.
    fn settled(&mut self, id: NodeId, operand: NodeId, ty: &Type) -> Slice {
        let slice = self.value(operand);
        if slice.moves.is_none() {
            return slice;
        }
        let still = self.fresh(ty);
        self.copy(id, slice, still.clone());
        still
    }

    /// Memory for a carry in all steps and after the last.
    fn track(&mut self, of: &Loop, ty: &Type) -> Track {
        let (steps, item) = (of.length(), ty.numel());
        let bytes = ty.bytes().saturating_mul(steps + 1);
        let buffer = self.storage(Storage::Arena { bytes });
        let slice = |offset| Slice::new(buffer, ty.dtype(), offset, ty.shape());
        let dims: Vec<usize> = [steps].iter().chain(ty.shape().iter()).copied().collect();
        let stacked = |offset| Slice::new(buffer, ty.dtype(), offset, &dims);
        let moving = |offset| {
            let moves = Some(Moves { by: item as isize, steps });
            Slice { moves, ..slice(offset) }
        };
        let (before, after) = if of.is_reversed() { (item, 0) } else { (0, item) };
        let (start, end) = if of.is_reversed() { (steps * item, 0) } else { (0, steps * item) };
        Track {
            first: slice(start),
            last: slice(end),
            carry: moving(before),
            next: moving(after),
            before: stacked(before),
            after: stacked(after),
        }
    }

    /// The new carries become the carries. What is read from the memory of a carry is saved before
    /// any carry is written.
    fn carry_over(
        &mut self,
        id: NodeId,
        of: &Loop,
        carries: &[Option<Slice>],
        next: &[Option<Slice>],
    ) {
        let memory: Vec<BufferId> = next.iter().flatten().map(|slice| slice.buffer).collect();
        let mut moves = Vec::new();
        for (c, to) in next.iter().enumerate() {
            let Some(to) = to.clone() else { continue };
            let mut from = self.value(NodeId::new(of.body().results()[c]));
            if from == to {
                continue;
            }
            // The old carry on a track stays where it is.
            let tracked = carries[c] != next[c] && Some(&from) == carries[c].as_ref();
            if memory.contains(&from.buffer) && !tracked {
                let ty = of.result_type(c).expect("a carry");
                let saved = self.fresh(&ty);
                self.copy(id, from, saved.clone());
                from = saved;
            }
            moves.push((from, to));
        }
        for (from, to) in moves {
            self.copy(id, from, to);
        }
    }
}
