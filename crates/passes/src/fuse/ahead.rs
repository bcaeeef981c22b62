//! What an earlier region can compute of a later one, so that less is kept between them.
//!
//! ```text
//! forward:   c = normal_cdf x;  y = x·c                            keeps x, c
//! backward:  dx = dy·(c + x·exp(-x²/2)·0.4)
//! =>
//! forward:   c = normal_cdf x;  y = x·c;  s = c + x·exp(-x²/2)·0.4   keeps s
//! backward:  dx = dy·s
//! ```
//! A part of a region that needs nothing but what one other region has, reads or makes, and of which one
//! value is used, is done there, if all that the one writes and the other reads takes fewer bytes then. The
//! operators are the same, so no bit changes.

use std::sync::Arc;

use pleach_graph::NodeId;
use pleach_ops::Graph;
use smallvec::SmallVec;

use super::Fuse;
use super::grow::is_splat;
use crate::PassCx;

/// Where all is that a value needs from outside of its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// It needs nothing.
    Anywhere,
    /// In this region.
    Region(usize),
    /// At more than one place.
    None,
}

impl Home {
    fn and(self, other: Home) -> Home {
        match (self, other) {
            (Home::Anywhere, home) | (home, Home::Anywhere) => home,
            (a, b) if a == b => a,
            _ => Home::None,
        }
    }
}

/// The search.
pub(super) struct Ahead<'g> {
    g: &'g Graph,
    limits: Fuse,
    live: Arc<[bool]>,
    root: Vec<bool>,
}

impl<'g> Ahead<'g> {
    pub(super) fn new(g: &'g Graph, limits: Fuse) -> Ahead<'g> {
        let mut root = vec![false; g.len()];
        g.roots().iter().for_each(|r| root[r.value.index()] = true);
        Ahead { g, limits, live: g.live(), root }
    }

    /// Moves parts of regions, of these `members`, at most `most`; answers their values.
    pub(super) fn find(
        &self,
        regions: &mut [Option<usize>],
        members: &mut [Vec<NodeId>],
        most: usize,
        cx: &mut PassCx<'_>,
    ) -> Vec<NodeId> {
        let (mut homes, mut moved) = (vec![Home::Anywhere; regions.len()], Vec::new());
        for r in 0..members.len() {
            for &m in &members[r] {
                homes[m.index()] = self.home(m, r, regions, &homes);
                cx.step(1);
            }
            for v in members[r].clone() {
                let Home::Region(to) = homes[v.index()] else { continue };
                let is_last =
                    |&(user, _): &(NodeId, usize)| homes[user.index()] != homes[v.index()];
                let users = self.users(v);
                let inside = users.iter().all(|(user, _)| regions[user.index()] == Some(r));
                if moved.len() == most || !inside || !users.iter().any(is_last) {
                    continue;
                }
                let cone = self.cone(v, r, &members[r], regions);
                let room = members[to].len() + cone.len() <= self.limits.max_size;
                if !room || !self.pays(v, &cone, (r, to), regions, &members[to]) {
                    continue;
                }
                cone.iter().for_each(|m| regions[m.index()] = Some(to));
                members[r].retain(|m| !cone.contains(m));
                members[to].extend(&cone);
                members[to].sort_unstable();
                moved.push(v);
            }
            // A region of one operator stays as it is.
            if let ([only], false) = (&members[r][..], moved.is_empty()) {
                regions[only.index()] = None;
                members[r].clear();
            }
        }
        moved
    }

    /// Live users, once for each time that they use it.
    fn users(&self, x: NodeId) -> SmallVec<[(NodeId, usize); 4]> {
        self.g.users(x).into_iter().filter(|(user, _)| self.live[user.index()]).collect()
    }

    fn home(&self, m: NodeId, r: usize, regions: &[Option<usize>], homes: &[Home]) -> Home {
        let of = |x: &NodeId| match regions[x.index()] {
            Some(own) if own == r => homes[x.index()],
            Some(other) => Home::Region(other),
            None if is_splat(self.g, *x) => Home::Anywhere,
            None => Home::None,
        };
        self.g.node(m).inputs.iter().map(of).fold(Home::Anywhere, Home::and)
    }

    /// The operators of a region that nothing but this value needs, itself among them.
    fn cone(
        &self,
        v: NodeId,
        r: usize,
        members: &[NodeId],
        regions: &[Option<usize>],
    ) -> Vec<NodeId> {
        let mut cone = vec![v];
        for &m in members.iter().rev().filter(|m| m.index() < v.index()) {
            let users = self.users(m);
            let own = regions[m.index()] == Some(r) && !users.is_empty();
            if own && !self.root[m.index()] && users.iter().all(|(user, _)| cone.contains(user)) {
                cone.push(m);
            }
        }
        cone
    }

    /// Are fewer bytes written by the one and read by the other if `cone` is done there?
    fn pays(
        &self,
        v: NodeId,
        cone: &[NodeId],
        (from, to): (usize, usize),
        regions: &[Option<usize>],
        members: &[NodeId],
    ) -> bool {
        let bytes = |x: NodeId| self.g.ty(x).bytes() as i64;
        let shape = |x: NodeId| self.g.ty(x).shape().clone();
        let own = shape(NodeId::new(to));
        if cone.iter().any(|&m| shape(m) != own) {
            return false;
        }
        let mut leaves: SmallVec<[NodeId; 8]> = SmallVec::new();
        for &m in cone {
            for &x in &self.g.node(m).inputs {
                if !cone.contains(&x) && !is_splat(self.g, x) && !leaves.contains(&x) {
                    leaves.push(x);
                }
            }
        }
        // What it needs must not stay behind.
        if leaves.iter().any(|x| regions[x.index()] != Some(to)) {
            return false;
        }
        let mut change = 2 * bytes(v);
        for &x in &leaves {
            let stays = |(user, _): &(NodeId, usize)| !cone.contains(user);
            let mut users = self.users(x).into_iter().filter(stays);
            let read = users.clone().any(|(user, _)| regions[user.index()] == Some(from));
            let kept =
                self.root[x.index()] || users.any(|(user, _)| regions[user.index()] != Some(to));
            change -= if read { 0 } else { bytes(x) };
            change -= if kept { 0 } else { bytes(x) };
        }
        change < 0 && self.results(to, cone, regions, members) <= self.limits.max_results
    }

    /// Results of a region when `cone` is in it.
    fn results(
        &self,
        to: usize,
        cone: &[NodeId],
        regions: &[Option<usize>],
        members: &[NodeId],
    ) -> usize {
        let outside =
            |(user, _): &(NodeId, usize)| regions[user.index()] != Some(to) && !cone.contains(user);
        let result = |m: &NodeId| self.root[m.index()] || self.users(*m).iter().any(outside);
        1 + members.iter().filter(|m| result(m)).count()
    }
}
