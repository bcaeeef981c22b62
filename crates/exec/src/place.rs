//! Where blocks of memory lie: each at one place for its whole life, none on another that lives at
//! the same time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::exact::improve;

/// Alignment of blocks: a cache line.
pub(crate) const ALIGN: usize = 64;

/// So many blocks are placed again, those first that reached the end.
const AGAIN: usize = 1024;

/// So often.
const TIMES: usize = 32;

/// So many blocks are placed by size, the largest ones. It takes quadratic time.
const BY_SIZE: usize = 4096;

/// A block, and the first and last instruction that needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) bytes: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Block {
    pub(crate) fn size(&self) -> usize {
        self.bytes.next_multiple_of(ALIGN)
    }
}

/// Offsets of blocks, and the bytes that hold them all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) offsets: Vec<usize>,
    pub(crate) end: usize,
}

/// Places blocks: by size, then better as far as a search finds it. Answers also whether no places take
/// less, as is proved by the bytes that live at once or by the search.
pub(crate) fn place_least(blocks: &[Block]) -> (Places, bool) {
    improve(blocks, place(blocks), lower_bound(blocks))
}

/// Places blocks by size. Of many, the smaller ones come behind the largest, in order of time; or all
/// are placed in order of time, where that takes less.
pub(crate) fn place(blocks: &[Block]) -> Places {
    place_within(blocks, BY_SIZE)
}

fn place_within(blocks: &[Block], by_size_at_most: usize) -> Places {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| (Reverse(blocks[i].bytes), blocks[i].first));
    let (large, small) = order.split_at(order.len().min(by_size_at_most));
    let mut parts = Places { offsets: vec![0; blocks.len()], end: 0 };
    by_size(blocks, large, &mut parts);
    if small.is_empty() {
        return lowered(blocks, order, parts);
    }
    by_time(blocks, small, &mut parts);
    let mut whole = Places { offsets: vec![0; blocks.len()], end: 0 };
    by_time(blocks, &order, &mut whole);
    if whole.end < parts.end { whole } else { parts }
}

/// What reached the end goes first, again and again, while that may help.
fn lowered(blocks: &[Block], mut order: Vec<usize>, mut best: Places) -> Places {
    let (bound, mut last) = (lower_bound(blocks), best.clone());
    for _ in 0..TIMES {
        if blocks.len() > AGAIN || best.end <= bound {
            break;
        }
        let reaches = |i: &usize| last.offsets[*i] + blocks[*i].size() == last.end;
        let (mut first, rest): (Vec<usize>, Vec<usize>) = order.into_iter().partition(reaches);
        first.extend(rest);
        order = first;
        last.end = 0;
        by_size(blocks, &order, &mut last);
        if last.end < best.end {
            best = last.clone();
        }
    }
    best
}

/// One block after the other, each at the lowest place that is free for its whole life.
///
/// **Source** Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
/// inference", greedy by size.
fn by_size(blocks: &[Block], order: &[usize], places: &mut Places) {
    let offsets = &mut places.offsets;
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    for &i in order {
        let (own, size) = (blocks[i], blocks[i].size());
        // `placed` is sorted by offset: the first gap that is wide enough will do.
        let mut at = 0;
        for &j in &placed {
            let other = blocks[j];
            if other.last < own.first || own.last < other.first {
                continue;
            }
            if offsets[j] >= at + size {
                break;
            }
            at = at.max(offsets[j] + other.size());
        }
        offsets[i] = at;
        places.end = places.end.max(at + size);
        let position = placed.partition_point(|&j| offsets[j] <= at);
        placed.insert(position, i);
    }
}

/// In order of time, behind what is there already: each block in the smallest gap that holds it. Time
/// O(n log n). Blocks of one size take no more than those of them that live at once.
fn by_time(blocks: &[Block], which: &[usize], places: &mut Places) {
    let mut order = which.to_vec();
    // Of those that begin at once, `which` has the largest first.
    order.sort_by_key(|&i| blocks[i].first);
    let mut gaps = Gaps::default();
    let mut ends: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
    for i in order {
        let block = blocks[i];
        while let Some(&Reverse((last, ended))) = ends.peek()
            && last < block.first
        {
            ends.pop();
            gaps.free(places.offsets[ended], blocks[ended].size());
        }
        places.offsets[i] = gaps.take(block.size(), &mut places.end);
        ends.push(Reverse((block.last, i)));
    }
}

/// What is free: pieces that do not touch one another.
#[derive(Debug, Default)]
struct Gaps {
    /// Length by offset.
    lengths: BTreeMap<usize, usize>,
    /// Length and offset.
    sorted: BTreeSet<(usize, usize)>,
}

impl Gaps {
    /// The place of `size` bytes: in the smallest gap that holds them, else at the end, which moves.
    fn take(&mut self, size: usize, end: &mut usize) -> usize {
        if size == 0 {
            return 0;
        }
        if let Some(&(length, at)) = self.sorted.range((size, 0)..).next() {
            self.remove(at, length);
            if length > size {
                self.insert(at + size, length - size);
            }
            return at;
        }
        // A gap that reaches the end is the beginning of the new place.
        let at = match self.lengths.last_key_value() {
            Some((&at, &length)) if at + length == *end => {
                self.remove(at, length);
                at
            }
            _ => *end,
        };
        *end = at + size;
        at
    }

    /// Joins a piece to the gaps around it.
    fn free(&mut self, mut at: usize, mut size: usize) {
        if size == 0 {
            return;
        }
        if let Some((&before, &length)) = self.lengths.range(..at).next_back()
            && before + length == at
        {
            self.remove(before, length);
            (at, size) = (before, length + size);
        }
        if let Some(&length) = self.lengths.get(&(at + size)) {
            self.remove(at + size, length);
            size += length;
        }
        self.insert(at, size);
    }

    fn insert(&mut self, at: usize, length: usize) {
        self.lengths.insert(at, length);
        self.sorted.insert((length, at));
    }

    fn remove(&mut self, at: usize, length: usize) {
        self.lengths.remove(&at);
        self.sorted.remove(&(length, at));
    }
}

/// The most bytes that live at one instruction, each block rounded up to its alignment.
pub(crate) fn lower_bound(blocks: &[Block]) -> usize {
    let mut changes: Vec<(usize, isize)> = Vec::with_capacity(2 * blocks.len());
    for block in blocks {
        let size = block.size() as isize;
        changes.extend([(block.first, size), (block.last + 1, -size)]);
    }
    // What ends makes room before what begins takes it.
    changes.sort_unstable();
    let (mut sum, mut most) = (0, 0);
    for (_, change) in changes {
        sum += change;
        most = most.max(sum);
    }
    most as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize, first: usize, last: usize) -> Block {
        Block { bytes, first, last }
    }

    /// Blocks of pseudo-random sizes and lives.
    fn drawn(n: usize, longest: usize) -> Vec<Block> {
        let mut seed = 7u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        let mut one = || {
            let first = below(n);
            block(below(2000), first, first + below(longest))
        };
        (0..n).map(|_| one()).collect()
    }

    fn no_two_collide(blocks: &[Block], places: &Places) {
        for (i, a) in blocks.iter().enumerate() {
            let at = places.offsets[i];
            assert!(at.is_multiple_of(ALIGN) && at + a.bytes <= places.end);
            for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let other = places.offsets[j];
                let apart = at + a.bytes <= other || other + b.bytes <= at;
                assert!(!together || apart, "{i} {a:?} at {at}, {j} {b:?} at {other}");
            }
        }
        assert!(places.end >= lower_bound(blocks));
    }

    #[test]
    fn blocks_that_live_together_lie_apart_and_others_share() {
        let blocks = [block(100, 0, 2), block(64, 1, 3), block(128, 3, 4), block(10, 2, 2)];
        assert_eq!(lower_bound(&blocks), 256);
        for by_size in [4, 2, 0] {
            let places = place_within(&blocks, by_size);
            no_two_collide(&blocks, &places);
            assert!(by_size < 4 || places.end == 256);
        }
    }

    #[test]
    fn no_way_of_placing_lets_blocks_collide() {
        for longest in [3, 40, 700] {
            let blocks = drawn(700, longest);
            for by_size in [700, 350, 5, 0] {
                let places = place_within(&blocks, by_size);
                no_two_collide(&blocks, &places);
                let bound = lower_bound(&blocks);
                assert!(places.end <= bound * 3 / 2, "{longest} {by_size} {bound} {}", places.end);
            }
        }
    }

    /// As of a tape: every value lives until its gradient is taken.
    #[test]
    fn many_blocks_of_one_size_take_no_more_than_live_at_once() {
        const N: usize = 100_000;
        let blocks: Vec<Block> = (0..N)
            .map(|i| if i < N / 2 { block(4, i, N - i) } else { block(8, i, i + 1) })
            .collect();
        assert_eq!(place(&blocks).end, lower_bound(&blocks));
    }
}
