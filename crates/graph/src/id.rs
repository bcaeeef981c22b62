//! Names of nodes and operand slots.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A node of one graph: its index on the tape of one frame.
///
/// Frame 0 is the graph itself; loop bodies under construction have frames of their own, and a
/// frame's number is never used twice. A *poisoned* id stands for a node that was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId {
    frame: u32,
    index: u32,
}

const POISON: u32 = u32::MAX;

impl NodeId {
    /// Node `index` of the graph itself.
    pub fn new(index: usize) -> Self {
        Self::in_frame(0, index)
    }

    pub(crate) fn in_frame(frame: u32, index: usize) -> Self {
        let index = u32::try_from(index).expect("a tape holds fewer than 2^32 nodes");
        NodeId { frame, index }
    }

    /// The id that stands for error number `error` of the graph.
    pub(crate) fn poison(error: usize) -> Self {
        NodeId { frame: POISON, index: error as u32 }
    }

    /// Position on the tape of its frame: every operand has a smaller one.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The frame: 0 for the graph itself.
    pub(crate) fn frame(self) -> u32 {
        self.frame
    }

    /// Does it stand for a node that was refused?
    pub fn is_poisoned(self) -> bool {
        self.frame == POISON
    }
}

impl Hash for NodeId {
    /// As one word: ids are most of what the interner hashes.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.frame) << 32 | u64::from(self.index));
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.frame {
            0 => write!(f, "%{}", self.index),
            POISON => write!(f, "%error{}", self.index),
            frame => write!(f, "%{frame}.{}", self.index),
        }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which operand of its user a node is: the weight of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);
