//! Lowering of loops: only what the results that are asked for need is computed.

use pleach_graph::{Node, NodeId};
use pleach_kernels::{Action, BufferId, Kernel, Slice};
use pleach_ops::{Loop, Op, Scan};
use pleach_tensor::Type;

use crate::lower::Lowered;

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

        // Carries: memory of their own, that begins with the initial value.
        let types: Vec<&Type> = body.param_types().collect();
        let mut params: Vec<Option<Slice>> = vec![None; body.params()];
        for c in (0..carries).filter(|&c| needed.results[c]) {
            let (init, carry) = (self.value(x[c]), self.fresh(types[c]));
            self.copy(id, init, carry.clone());
            params[c] = Some(carry);
        }
        let mut stacked: Vec<(usize, Slice)> = Vec::new();
        for &(id, result) in &siblings {
            if result < carries {
                let carry = params[result].clone().expect("a carry that is asked for");
                self.values.insert(id, carry);
            } else if let Some(ty) = of.result_type(result) {
                let slice = self.fresh(&ty);
                self.values.insert(id, slice.clone());
                stacked.push((result, slice));
            }
        }
        let captured: Vec<(NodeId, NodeId)> =
            (carries + of.slices()..body.params()).map(|i| (NodeId::new(i), x[i])).collect();
        let mut splats = std::collections::HashMap::new();
        for (param, operand) in &captured {
            match self.splats.get(operand) {
                Some(splat) => {
                    splats.insert(*param, splat.clone());
                }
                None => params[param.index()] = Some(self.value(*operand)),
            }
        }
        let sliced: Vec<Slice> =
            (carries..carries + of.slices()).map(|i| self.value(x[i])).collect();

        self.depth += 1;
        let instrs = std::mem::take(&mut self.instrs);
        let values = std::mem::take(&mut self.values);
        let splats = std::mem::replace(&mut self.splats, splats);
        let mut actions = Vec::new();
        for (i, stacked) in (carries..).zip(sliced).filter(|(i, _)| needed.nodes[*i]) {
            let item = self.fresh(types[i]);
            params[i] = Some(item.clone());
            actions.push(Action::Load { stacked, item });
        }
        for (result, slice) in stacked.iter().filter(|(r, _)| *r >= of.stacked_carry(0)) {
            let item =
                params[result - of.stacked_carry(0)].clone().expect("a carry that is asked for");
            actions.push(Action::Store { item, stacked: slice.clone() });
        }
        for (i, slice) in params.iter().enumerate() {
            if let Some(slice) = slice {
                self.values.insert(NodeId::new(i), slice.clone());
            }
        }
        self.scope(&body.nodes().iter().collect::<Vec<_>>(), &needed.nodes);
        self.flush(&mut actions);
        for (result, slice) in stacked.iter().filter(|(r, _)| *r < of.stacked_carry(0)) {
            let item = self.value(NodeId::new(body.results()[*result]));
            actions.push(Action::Store { item, stacked: slice.clone() });
        }
        self.carry_over(id, of, &params, &needed.results);
        self.flush(&mut actions);
        self.depth -= 1;
        self.instrs = instrs;
        self.values = values;
        self.splats = splats;
        let repeat = Kernel::Repeat { length: of.length(), reverse: of.is_reversed(), actions };
        self.emit(id, repeat);
        self.site = outer;
    }

    /// The instructions so far become actions of the loop.
    fn flush(&mut self, actions: &mut Vec<Action>) {
        actions.extend(self.instrs.drain(..).map(|instr| Action::Run(instr.kernel)));
    }

    /// The new carries become the carries. What is read from the memory of a carry is saved before
    /// any carry is written.
    fn carry_over(&mut self, id: NodeId, of: &Loop, carries: &[Option<Slice>], needed: &[bool]) {
        let memory: Vec<BufferId> =
            carries[..of.carries()].iter().flatten().map(|slice| slice.buffer).collect();
        let mut moves = Vec::new();
        for c in (0..of.carries()).filter(|&c| needed[c]) {
            let mut from = self.value(NodeId::new(of.body().results()[c]));
            let to = carries[c].clone().expect("a carry that is needed");
            if from == to {
                continue;
            }
            if memory.contains(&from.buffer) {
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
