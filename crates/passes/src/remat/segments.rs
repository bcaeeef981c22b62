//! Where to cut a tape: what crosses cuts is kept, what lies between them is computed again.

use std::collections::VecDeque;

use super::tape::Tape;

/// The cuts between which at most `most` bytes are kept for the gradient, such that the bytes that
/// cross them are fewest: dynamic programming over the tape, O(nodes). A node that alone keeps more is
/// a segment.
///
/// **Source** Chen, Xu, Zhang and Guestrin 2016, sec. 3; the minimum over a sliding window makes it
/// exact for a chain of any layers.
pub(super) fn cuts(tape: &Tape<'_>, most: u64) -> Vec<usize> {
    let crossing = tape.crossing();
    // Place 0 is before everything; place p is behind node nodes[p - 1].
    let places = |i: &usize| tape.live[*i] && tape.bytes[*i] > 0;
    let nodes: Vec<usize> = (0..=tape.turn).filter(places).collect();
    let mut kept = vec![0u64; nodes.len() + 1];
    for (p, &i) in nodes.iter().enumerate() {
        kept[p + 1] = kept[p] + if tape.is_stashed(i) { tape.bytes[i] } else { 0 };
    }
    let mut cost = vec![0u64; nodes.len() + 1];
    let mut from = vec![0usize; nodes.len() + 1];
    // Places that a later one may come from, the cheapest first.
    let mut window: VecDeque<usize> = VecDeque::from([0]);
    for p in 1..=nodes.len() {
        while window.len() > 1 && kept[p] - kept[window[0]] > most {
            window.pop_front();
        }
        from[p] = window[0];
        let own = if p < nodes.len() { crossing[nodes[p - 1]] } else { 0 };
        cost[p] = cost[from[p]] + own;
        while window.back().is_some_and(|&last| cost[last] >= cost[p]) {
            window.pop_back();
        }
        window.push_back(p);
    }
    let mut cuts = Vec::new();
    let mut p = from[nodes.len()];
    while p > 0 {
        cuts.push(nodes[p - 1]);
        p = from[p];
    }
    cuts.reverse();
    cuts
}
