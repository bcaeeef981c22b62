//! Runs of a word: parts that repeat themselves.

use std::hash::{BuildHasher, BuildHasherDefault};

use rustc_hash::{FxHashMap, FxHasher};

use crate::PassCx;

/// So many letters that occur again may begin a run.
const GRAM: usize = 4;
/// Most letters that are compared, for each letter of the word.
const EFFORT: usize = 24;

/// Letters `start..end`, each the same as the one that stands `period` later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) period: usize,
}

impl Run {
    /// How many letters are repetitions.
    pub(super) fn saved(&self) -> usize {
        self.end - self.start - self.period
    }
}

/// The runs of at least `steps` periods. Where four letters stand that stood before, the distance is a
/// candidate for a period.
pub(super) fn runs(word: &[u64], steps: usize, cx: &mut PassCx<'_>) -> Vec<Run> {
    let hash = BuildHasherDefault::<FxHasher>::default();
    let mut seen: FxHashMap<u64, usize> = FxHashMap::default();
    let mut covered: FxHashMap<usize, usize> = FxHashMap::default();
    let (mut runs, mut compared) = (Vec::new(), 0);
    for (i, gram) in word.windows(GRAM).enumerate() {
        let Some(before) = seen.insert(hash.hash_one(gram), i) else { continue };
        let period = i - before;
        let done = covered.entry(period).or_default();
        if before < *done || compared > EFFORT * word.len() {
            continue;
        }
        let same = |at: usize| word[at] == word[at + period];
        let start = (*done..before).rev().take_while(|&at| same(at)).last().unwrap_or(before);
        let end = (before..word.len() - period).find(|&at| !same(at));
        let end = end.unwrap_or(word.len() - period);
        *done = end;
        compared += end - start;
        let run = Run { start, end: end + period, period };
        if run.end - run.start >= steps * period {
            runs.push(run);
        }
    }
    cx.step((word.len() + compared) as u64);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn words_that_repeat_themselves_are_found() {
        let mut cx = PassCx::reference(Level::Default);
        let mut of = |text: &str| -> Vec<(usize, usize, usize)> {
            let word: Vec<u64> = text.bytes().map(u64::from).collect();
            runs(&word, 3, &mut cx).iter().map(|r| (r.start, r.end, r.period)).collect()
        };
        assert_eq!(of("abcdefgh"), []);
        assert_eq!(of("xabcabcabcay"), [(1, 11, 3)]);
        assert_eq!(of("aaaaaaa"), [(0, 7, 1)]);
        assert_eq!(of("xabcabcyabcabcabc"), [(8, 17, 3)]);
        // A word with repetitions of its own.
        assert_eq!(of("aabaacaabaacaabaac"), [(0, 18, 6)]);
    }
}
