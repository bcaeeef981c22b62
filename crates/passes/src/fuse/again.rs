//! What regions compute again instead of reading it.
//!
//! A value that one region makes and others read is written once and read once for each. If what it
//! is made from is in memory anyway, those that read it may compute it themselves: the same operators
//! of the same values, so the same bits. The first region does not write it then.
//!
//! A value is looked at after those that it is made from. It is computed again if all that use it
//! outside are regions with room, if that is quicker, and if it takes no memory: what would have to
//! live longer is no larger than what goes away.

use std::sync::Arc;

use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};

use super::grow::{Units, fusible, is_splat};
use super::{Fuse, Operands};
use crate::PassCx;

/// Time, in units of 0.25 ns, to write 64 bytes that nobody reads soon, and to read them.
const WRITE: i64 = 10;
const READ: i64 = 6;

/// Most operators that are added to a region for one value.
const CHAIN: usize = 12;

/// Time of an operator on 64 bytes in a loop, in the same units; `None` for those that are never
/// worth doing twice.
fn time(op: &Op) -> Option<i64> {
    Some(match op {
        Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Neg(_) | Op::Abs(_) | Op::Maximum(_) => 3,
        Op::Minimum(_) | Op::Less(_) | Op::LessEqual(_) | Op::Equal(_) | Op::Select(_) => 3,
        Op::Not(_) | Op::And(_) | Op::Or(_) | Op::Cast(_) | Op::Floor(_) => 3,
        Op::Div(_) | Op::Sqrt(_) => 8,
        Op::Exp(_) => 16,
        Op::Tanh(_) | Op::Sigmoid(_) => 24,
        _ => return None,
    })
}

/// The state of the search.
pub(super) struct Again<'a, 'g> {
    g: &'g Graph,
    limits: Fuse,
    units: &'a Units<'g>,
    regions: &'a [Option<usize>],
    live: Arc<[bool]>,
    root: Vec<bool>,
    /// Is the value in memory? (Of operators in regions: is it a result?)
    stored: Vec<bool>,
    /// By region: the operators that it computes again, and all that it reads.
    copies: Vec<Vec<NodeId>>,
    operands: Vec<Operands>,
}

/// A value and the region that might compute it: the operators it takes, and new operands.
#[derive(Default)]
struct Plan {
    copies: Vec<NodeId>,
    leaves: Vec<NodeId>,
}

impl<'a, 'g> Again<'a, 'g> {
    /// At most `most` values that are computed again, and by region the operators outside that it
    /// computes itself. `used` says which values are used outside of their region.
    pub(super) fn find(
        g: &'g Graph,
        limits: Fuse,
        units: &'a Units<'g>,
        regions: &'a [Option<usize>],
        used: &[bool],
        most: usize,
        cx: &mut PassCx<'_>,
    ) -> (Vec<NodeId>, Vec<Vec<NodeId>>) {
        let large = |x: NodeId| g.ty(x).bytes() >= limits.recompute_from;
        if !g.ids().any(large) {
            return (Vec::new(), Vec::new());
        }
        let mut root = vec![false; g.len()];
        g.roots().iter().for_each(|r| root[r.value.index()] = true);
        let operands = |r: usize| match regions[r] {
            Some(region) if region == r => units.operands(r).clone(),
            _ => Operands::new(),
        };
        let mut again = Again {
            g,
            limits,
            units,
            regions,
            live: g.live(),
            root,
            stored: (0..g.len()).map(|i| regions[i].is_none() || used[i]).collect(),
            copies: vec![Vec::new(); g.len()],
            operands: (0..g.len()).map(operands).collect(),
        };
        let mut values = Vec::new();
        for x in g.ids() {
            let i = x.index();
            let free = again.live[i] && again.stored[i] && !again.root[i];
            if values.len() < most && free && fusible(&g.node(x).op) {
                cx.step(1);
                if again.value(x, cx).is_some() {
                    again.stored[i] = false;
                    values.push(x);
                }
            }
        }
        (values, again.copies)
    }

    /// Lets all regions that read `x` compute it, if that is better.
    fn value(&mut self, x: NodeId, cx: &mut PassCx<'_>) -> Option<()> {
        let bytes = self.g.ty(x).bytes();
        if bytes < self.limits.recompute_from {
            return None;
        }
        let mut readers: Vec<usize> = Vec::new();
        for (user, _) in self.g.users(x).iter().filter(|(user, _)| self.live[user.index()]) {
            let reader = self.regions[user.index()];
            if reader.is_none() || reader != self.regions[x.index()] {
                readers.push(reader?);
            }
        }
        readers.sort_unstable();
        readers.dedup();
        let plans: Vec<Plan> =
            readers.iter().map(|&r| self.plan(x, r, cx)).collect::<Option<_>>()?;
        // All times for 64 bytes of `x`.
        let share = |more: usize| (more as i64 * READ) / bytes.max(1) as i64;
        let mut gain = WRITE;
        let mut longer: Operands = Operands::new();
        for plan in &plans {
            gain += READ;
            for &copy in &plan.copies {
                gain -= time(&self.g.node(copy).op)?;
            }
            for &leaf in &plan.leaves {
                let (base, bytes) = self.base(leaf);
                // A view that repeats elements is unfolded by the loop.
                gain -= share(bytes) + if base == leaf { 0 } else { 3 };
                longer.push(base);
            }
        }
        longer.sort_unstable();
        longer.dedup();
        let last = readers.iter().map(|&r| self.units.place(r)).max()?;
        let more: usize =
            longer.iter().filter(|&&y| !self.lives(y, last)).map(|&y| self.g.ty(y).bytes()).sum();
        if gain <= 0 || more > bytes {
            return None;
        }
        for (&r, plan) in readers.iter().zip(plans) {
            self.operands[r].retain(|y| *y != x);
            self.operands[r].extend(plan.leaves);
            self.copies[r].extend(plan.copies);
        }
        Some(())
    }

    /// What region `r` needs to compute `x`.
    fn plan(&self, x: NodeId, r: usize, cx: &mut PassCx<'_>) -> Option<Plan> {
        let mut plan = Plan::default();
        let mut need = vec![x];
        while let Some(y) = need.pop() {
            let node = self.g.node(y);
            if plan.copies.len() == CHAIN || !fusible(&node.op) {
                return None;
            }
            plan.copies.push(y);
            cx.step(node.inputs.len() as u64);
            for &z in &node.inputs {
                let known = is_splat(self.g, z)
                    || self.operands[r].contains(&z)
                    || self.copies[r].contains(&z)
                    || plan.copies.contains(&z)
                    || plan.leaves.contains(&z)
                    || need.contains(&z);
                match self.stored[z.index()] {
                    _ if known => {}
                    true => plan.leaves.push(z),
                    false => need.push(z),
                }
            }
        }
        let (size, _) = self.units.extent(r);
        let size = size + self.copies[r].len() + plan.copies.len();
        let operands = self.operands[r].len() + plan.leaves.len();
        (size <= self.limits.max_size && operands <= self.limits.max_operands).then_some(plan)
    }

    /// The value whose memory a view shows, and the bytes of that.
    fn base(&self, mut y: NodeId) -> (NodeId, usize) {
        loop {
            let node = self.g.node(y);
            match node.op {
                Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) => y = node.inputs[0],
                _ => return (y, node.ty.bytes()),
            }
        }
    }

    /// Is a value there until `place`, in the order of units, anyway?
    fn lives(&self, y: NodeId, place: i64) -> bool {
        let source = matches!(self.g.node(y).op, Op::Input(_) | Op::Variable(_) | Op::Constant(_));
        let users = || self.g.users(y).into_iter().filter(|(user, _)| self.live[user.index()]);
        let later = |(user, _): (NodeId, usize)| {
            self.units.unit(user).is_some_and(|u| self.units.place(u) >= place)
        };
        source || self.root[y.index()] || users().any(later)
    }
}
