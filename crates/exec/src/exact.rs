//! Where blocks of memory lie, by search: the least memory that holds them, or a proof that there is
//! none less, for as far as a number of steps goes.
//!
//! Blocks are placed from the bottom up. Of those that live together with one that is placed, all
//! later ones lie above it, so a block has one place to be tried: on top of those that it lives with.
//! **Source** Moffitt 2023, "MiniMalloc: a lightweight memory allocator for hardware-accelerated
//! machine learning".

use crate::place::{Block, Places};

/// Most blocks that are searched for.
const MOST: usize = 200;

/// Steps of a search: looks at one moment of one block, or at one block. A number, no time, so that a
/// plan is the same on every machine.
const STEPS: usize = 100_000;

/// What the search knows.
struct Search<'b> {
    blocks: &'b [Block],
    /// For every block, the first and last of the moments at which it lives.
    lives: Vec<(usize, usize)>,
    /// At every moment: the top of what is placed, and the bytes of what is not.
    tops: Vec<usize>,
    rest: Vec<usize>,
    placed: Vec<bool>,
    offsets: Vec<usize>,
    best: Places,
    bound: usize,
    steps: usize,
}

/// Places that are better than `known`, if there are any and they are found. Answers also whether what
/// it gives is proved to be the best.
pub(crate) fn improve(blocks: &[Block], known: Places, bound: usize) -> (Places, bool) {
    if known.end <= bound {
        return (known, true);
    }
    if blocks.len() > MOST {
        return (known, false);
    }
    // Moments: where a block begins. Between two of them no more blocks live than at the first.
    let mut moments: Vec<usize> = blocks.iter().map(|b| b.first).collect();
    moments.sort_unstable();
    moments.dedup();
    let at = |time: usize| moments.partition_point(|&m| m <= time) - 1;
    let lives: Vec<(usize, usize)> = blocks.iter().map(|b| (at(b.first), at(b.last))).collect();
    let mut rest = vec![0; moments.len()];
    for (block, &(from, to)) in blocks.iter().zip(&lives) {
        rest[from..=to].iter_mut().for_each(|r| *r += block.size());
    }
    let mut search = Search {
        blocks,
        lives,
        tops: vec![0; moments.len()],
        rest,
        placed: vec![false; blocks.len()],
        offsets: vec![0; blocks.len()],
        best: known,
        bound,
        steps: STEPS,
    };
    search.place(0, blocks.iter().filter(|b| b.size() > 0).count());
    let proved = search.steps > 0 || search.best.end <= bound;
    (search.best, proved)
}

impl Search<'_> {
    /// Places what is left, none of it below `floor`.
    fn place(&mut self, floor: usize, left: usize) {
        if left == 0 {
            let end = self.tops.iter().copied().max().unwrap_or(0);
            if end < self.best.end {
                self.best = Places { offsets: self.offsets.clone(), end };
            }
            return;
        }
        self.steps = self.steps.saturating_sub(self.tops.len());
        let fits = self.tops.iter().zip(&self.rest).all(|(top, rest)| top + rest < self.best.end);
        if !fits {
            return;
        }
        // Where each block would lie. One that would leave room below for a whole other block that it
        // lives with comes later.
        let mut choices: Vec<(usize, usize)> = Vec::new();
        let mut lowest_end = usize::MAX;
        for i in (0..self.blocks.len()).filter(|&i| !self.placed[i]) {
            let size = self.blocks[i].size();
            if size == 0 {
                continue;
            }
            let (from, to) = self.lives[i];
            self.steps = self.steps.saturating_sub(1 + to - from);
            let top = self.tops[from..=to].iter().copied().max().unwrap_or(0);
            if top + size >= self.best.end {
                return;
            }
            lowest_end = lowest_end.min(top.max(floor) + size);
            if top >= floor {
                choices.push((top, i));
            }
        }
        choices.retain(|&(top, _)| top < lowest_end);
        // The lowest first; of those the one that fills most.
        let fills = |i: usize| {
            let (from, to) = self.lives[i];
            self.blocks[i].size() * (to - from + 1)
        };
        choices.sort_by_key(|&(top, i)| (top, std::cmp::Reverse(fills(i)), i));
        for k in 0..choices.len() {
            let (top, i) = choices[k];
            let alike = |&(_, j): &(usize, usize)| {
                self.lives[i] == self.lives[j] && self.blocks[i].size() == self.blocks[j].size()
            };
            if choices[..k].iter().any(alike) {
                continue;
            }
            if self.steps == 0 || self.best.end <= self.bound {
                return;
            }
            self.put(i, top, left);
        }
    }

    /// Tries one block at one place, and takes it away again.
    fn put(&mut self, i: usize, top: usize, left: usize) {
        let ((from, to), size) = (self.lives[i], self.blocks[i].size());
        let before = self.tops[from..=to].to_vec();
        self.tops[from..=to].fill(top + size);
        self.rest[from..=to].iter_mut().for_each(|r| *r -= size);
        (self.placed[i], self.offsets[i]) = (true, top);
        self.place(top, left - 1);
        self.placed[i] = false;
        self.rest[from..=to].iter_mut().for_each(|r| *r += size);
        self.tops[from..=to].copy_from_slice(&before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{lower_bound, place, place_least};

    fn block(bytes: usize, first: usize, last: usize) -> Block {
        Block { bytes, first, last }
    }

    /// The least memory, found by placing blocks in every order, each as low as it can lie.
    fn by_orders(blocks: &[Block]) -> usize {
        fn go(blocks: &[Block], placed: &mut Vec<(usize, usize)>, best: &mut usize) {
            if placed.len() == blocks.len() {
                let ends = placed.iter().map(|&(i, at)| at + blocks[i].size());
                *best = (*best).min(ends.max().unwrap_or(0));
                return;
            }
            for i in 0..blocks.len() {
                if placed.iter().any(|&(j, _)| i == j) {
                    continue;
                }
                let mut near: Vec<(usize, usize)> = placed
                    .iter()
                    .filter(|&&(j, _)| {
                        blocks[j].first <= blocks[i].last && blocks[i].first <= blocks[j].last
                    })
                    .map(|&(j, at)| (at, blocks[j].size()))
                    .collect();
                near.sort_unstable();
                let mut at = 0;
                for (other, size) in near {
                    if other >= at + blocks[i].size() {
                        break;
                    }
                    at = at.max(other + size);
                }
                placed.push((i, at));
                go(blocks, placed, best);
                placed.pop();
            }
        }
        let mut best = usize::MAX;
        go(blocks, &mut Vec::new(), &mut best);
        best
    }

    /// Blocks of some sizes that live for a while each.
    fn draw(count: usize, below: &mut dyn FnMut(usize) -> usize) -> Vec<Block> {
        let one = |_| {
            let first = below(count);
            block(64 * (1 + below(6)), first, first + below(4))
        };
        (0..count).map(one).collect()
    }

    fn random(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |n| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        }
    }

    #[test]
    fn a_search_that_runs_out_of_steps_proves_nothing() {
        let mut below = random(7);
        let blocks = draw(100, &mut below);
        let bad = Places { offsets: vec![0; 100], end: usize::MAX };
        let (found, proved) = improve(&blocks, bad, 0);
        assert!(found.end >= lower_bound(&blocks) && !proved);
    }

    #[test]
    fn the_search_finds_the_least_and_proves_it() {
        let mut below = random(5);
        for _ in 0..60 {
            let blocks = draw(6, &mut below);
            let bound = lower_bound(&blocks);
            let bad = Places { offsets: vec![0; 6], end: usize::MAX };
            let (found, proved) = improve(&blocks, bad, bound);
            assert!(proved);
            assert_eq!(found.end, by_orders(&blocks), "{blocks:?}");
            assert!(place(&blocks).end >= found.end);
            assert_eq!(place_least(&blocks).0.end, found.end, "{blocks:?}");
            for (i, a) in blocks.iter().enumerate() {
                for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let (x, y) = (found.offsets[i], found.offsets[j]);
                    assert!(!together || x + a.size() <= y || y + b.size() <= x, "{blocks:?}");
                }
            }
        }
    }
}
