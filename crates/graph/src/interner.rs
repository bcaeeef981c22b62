//! Finds a node by its operator and operands.
//!
//! A node is kept with the last recorded of its operands, in a list of at most [`MOST`]: what is recorded next has
//! operands that were recorded just now, so both are in the caches, where a table of all nodes of a
//! large graph is not. What has no operands, or one that many have, is in a table.
//!
//! ```text
//! %2 = neg %1      links[1].first = 3, links[3].next = 2
//! %3 = add %0 %1
//! ```

use hashbrown::HashTable;

use crate::NodeId;

/// Most nodes that are kept with an operand.
const MOST: usize = 8;
/// The end of a list.
const END: u32 = u32::MAX;

/// What is kept of the hash of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u32);

impl Key {
    /// The table takes its tag from the top bits and its bucket from the low ones.
    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// A node.
#[derive(Clone, Copy, Debug)]
struct Link {
    key: Key,
    /// The next node that is kept with the same operand.
    next: u32,
    /// The first node that is kept with this one.
    first: u32,
}

/// The nodes that were told of, by index.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    links: Vec<Link>,
    rest: HashTable<(Key, u32)>,
}

/// The operand that a node is kept with.
fn home(inputs: &[NodeId]) -> Option<usize> {
    inputs.iter().map(|x| x.index()).max()
}

impl Interner {
    /// Number of nodes that it was told of.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// Makes room for so many further nodes.
    pub(crate) fn reserve(&mut self, nodes: usize) {
        self.links.reserve(nodes);
    }

    /// The nodes kept with one, the last one first.
    fn list(&self, home: usize) -> impl Iterator<Item = (u32, Link)> {
        let link = |at: u32| Some((at, *self.links.get(at as usize)?));
        let first = self.links.get(home).map_or(END, |home| home.first);
        std::iter::successors(link(first), move |(_, before)| link(before.next))
    }

    /// The node of this key and these operands that is the `same`.
    pub(crate) fn find(
        &self,
        key: Key,
        inputs: &[NodeId],
        same: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if let Some(home) = home(inputs) {
            let mut kept = 0;
            for (at, link) in self.list(home) {
                if link.key == key && same(at as usize) {
                    return Some(at as usize);
                }
                kept += 1;
            }
            if kept < MOST {
                return None;
            }
        }
        let found = self.rest.find(key.spread(), |at| at.0 == key && same(at.1 as usize));
        found.map(|at| at.1 as usize)
    }

    /// The next node, which is found by this key and these operands, all of them told of before.
    pub(crate) fn insert(&mut self, key: Key, inputs: &[NodeId]) {
        let index = self.links.len() as u32;
        let home = home(inputs).filter(|&home| self.list(home).count() < MOST);
        let next = home.map_or(END, |home| std::mem::replace(&mut self.links[home].first, index));
        self.links.push(Link { key, next, first: END });
        if home.is_none() {
            self.rest.insert_unique(key.spread(), (key, index), |at| at.0.spread());
        }
    }

    /// The next node, which is not to be found: an equal one is.
    pub(crate) fn skip(&mut self) {
        self.links.push(Link { key: Key(0), next: END, first: END });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[usize]) -> Vec<NodeId> {
        of.iter().map(|&i| NodeId::new(i)).collect()
    }

    #[test]
    fn what_was_inserted_is_found_whatever_it_is_kept_with() {
        let mut interner = Interner::default();
        // Two sources; then, of the second one, more than a list holds; then one of each of those.
        let mut nodes = vec![(Key(7), vec![]), (Key(8), vec![])];
        nodes.extend((0..3 * MOST).map(|i| (Key(i as u32), vec![i % 2, 1])));
        nodes.extend((0..MOST).map(|i| (Key(1), vec![i, 2 + i])));
        for (key, inputs) in &nodes {
            interner.insert(*key, &ids(inputs));
        }
        interner.skip();
        assert_eq!(interner.len(), nodes.len() + 1);
        assert_eq!(interner.list(1).count(), MOST, "no list is longer");
        for (at, (key, inputs)) in nodes.iter().enumerate() {
            let found = interner.find(*key, &ids(inputs), |i| nodes[i].1 == *inputs);
            assert_eq!(found, Some(at));
            assert_eq!(interner.find(*key, &ids(inputs), |_| false), None);
        }
        assert_eq!(interner.find(Key(99), &ids(&[0, 1]), |_| true), None);
        assert_eq!(interner.find(Key(1), &ids(&[1000]), |_| true), None, "no node");
    }

    #[test]
    fn nodes_of_one_key_are_told_apart() {
        let mut interner = Interner::default();
        interner.insert(Key(0), &[]);
        (0..4 * MOST).for_each(|_| interner.insert(Key(5), &ids(&[0])));
        for wanted in 1..=4 * MOST {
            assert_eq!(interner.find(Key(5), &ids(&[0]), |i| i == wanted), Some(wanted));
        }
    }
}
