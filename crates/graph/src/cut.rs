//! Least cuts: which vertices separate others, at the least weight.

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::algo::maximum_flow::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// For every vertex, whether it is in the set of least weight through which every path from a source to a
/// sink passes; of several such sets the one that is nearest to the sinks.
///
/// Vertices are numbered as their weights are, and one without a weight is in no set; an edge is a pair
/// of a vertex and the next. A source that is a sink is a path by itself. `None` if no set separates them, if
/// the sum of the weights does not fit `u64`, or if a number is that of no vertex.
///
/// **Source** Ford and Fulkerson 1956: the least cut has the weight of the largest flow, which Dinic's
/// algorithm finds. Time at most O(vertices² · edges), in practice far less.
///
/// ```
/// use pleach_graph::least_cut;
/// // 0 and 1 are needed for 2, of which 3 and 4 are made.
/// let edges = [(0, 2), (1, 2), (2, 3), (2, 4)];
/// let cut = least_cut(&[Some(2), Some(2), Some(3), Some(2), Some(2)], &edges, &[0, 1], &[3, 4]);
/// assert_eq!(cut, Some(vec![false, false, true, false, false]));
/// ```
pub fn least_cut(
    weights: &[Option<u64>],
    edges: &[(usize, usize)],
    sources: &[usize],
    sinks: &[usize],
) -> Option<Vec<bool>> {
    let named = edges.iter().flat_map(|&(a, b)| [a, b]).chain(sources.iter().chain(sinks).copied());
    if named.max().is_some_and(|v| v >= weights.len()) {
        return None;
    }
    let sum = weights.iter().flatten().try_fold(0u64, |sum, &w| sum.checked_add(w))?;
    // More than any set weighs, so no flow through vertices with weights fills it.
    let endless = sum.checked_add(1)?;
    let mut network: DiGraph<(), u64> = DiGraph::new();
    let [start, from, to] = [(); 3].map(|()| network.add_node(()));
    // No sum of flows is more than this, so none overflows.
    network.add_edge(start, from, endless);
    // Each vertex is an edge of its weight, from where paths come in to where they go out.
    let ends: Vec<[NodeIndex; 2]> =
        weights.iter().map(|_| [network.add_node(()), network.add_node(())]).collect();
    for (&[enter, leave], weight) in ends.iter().zip(weights) {
        network.add_edge(enter, leave, weight.unwrap_or(endless));
    }
    for &(a, b) in edges {
        network.add_edge(ends[a][1], ends[b][0], endless);
    }
    for &v in sources {
        network.add_edge(from, ends[v][0], endless);
    }
    for &v in sinks {
        network.add_edge(ends[v][1], to, endless);
    }
    let (flow, flows) = dinics(&network, start, to);
    if flow >= endless {
        return None;
    }
    // From where more could flow to the sinks.
    let mut reaches = vec![false; network.node_count()];
    reaches[to.index()] = true;
    let mut work = vec![to];
    while let Some(at) = work.pop() {
        let ahead = network.edges_directed(at, Incoming);
        let spare = ahead.filter(|e| flows[e.id().index()] < *e.weight()).map(|e| e.source());
        let back = network.edges_directed(at, Outgoing);
        let undone = back.filter(|e| flows[e.id().index()] > 0).map(|e| e.target());
        for next in spare.chain(undone) {
            if !std::mem::replace(&mut reaches[next.index()], true) {
                work.push(next);
            }
        }
    }
    Some(
        ends.iter()
            .map(|[enter, leave]| !reaches[enter.index()] && reaches[leave.index()])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Does every path from a source to a sink pass through the set?
    fn separates(set: &[bool], edges: &[(usize, usize)], from: &[usize], to: &[usize]) -> bool {
        let mut seen = vec![false; set.len()];
        let mut work: Vec<usize> = from.to_vec();
        while let Some(v) = work.pop() {
            if !set[v] && !std::mem::replace(&mut seen[v], true) {
                work.extend(edges.iter().filter(|e| e.0 == v).map(|e| e.1));
            }
        }
        to.iter().all(|&v| !seen[v])
    }

    fn weight(set: &[bool], weights: &[Option<u64>]) -> Option<u64> {
        set.iter().zip(weights).filter(|(s, _)| **s).map(|(_, w)| *w).sum()
    }

    proptest! {
        // So many, because flows that are taken back are rare.
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn no_set_of_less_weight_separates(
            weights in proptest::collection::vec(proptest::option::weighted(0.8, 0u64..5), 1..9),
            pairs in proptest::collection::vec((0usize..9, 0usize..9), 0..24),
            from in proptest::collection::vec(0usize..4, 0..4),
            to in proptest::collection::vec(4usize..9, 0..4),
        ) {
            let n = weights.len();
            let within = |v: &usize| *v < n;
            let edges: Vec<_> = pairs.into_iter().filter(|(a, b)| a < b && within(b)).collect();
            let [from, to] = [from, to].map(|v| v.into_iter().filter(within).collect::<Vec<_>>());
            let sets = (0u32..1 << n).map(|bits| (0..n).map(|v| bits >> v & 1 == 1).collect());
            let good = sets.filter(|set: &Vec<bool>| separates(set, &edges, &from, &to));
            let least = good.filter_map(|set| weight(&set, &weights)).min();
            let cut = least_cut(&weights, &edges, &from, &to);
            prop_assert_eq!(cut.as_ref().map(|cut| weight(cut, &weights)), least.map(Some));
            prop_assert!(cut.is_none_or(|cut| separates(&cut, &edges, &from, &to)));
        }
    }

    #[test]
    fn of_equal_sets_the_last_is_taken_and_what_does_not_fit_is_refused() {
        let chain = [(0, 1), (1, 2)];
        let cut = least_cut(&[Some(1); 3], &chain, &[0], &[2]);
        assert_eq!(cut, Some(vec![false, false, true]));
        assert_eq!(least_cut(&[None; 3], &chain, &[0], &[2]), None);
        assert_eq!(least_cut(&[Some(u64::MAX); 3], &chain, &[0], &[2]), None);
        let heavy = [None, None, Some(u64::MAX - 1)];
        assert_eq!(least_cut(&heavy, &chain, &[0, 1], &[0, 1]), None, "two paths without a weight");
        assert_eq!(least_cut(&heavy, &chain, &[0, 1], &[2]), Some(vec![false, false, true]));
        assert_eq!(least_cut(&heavy, &[(0, 3)], &[0], &[2]), None, "there is no such vertex");
    }
}
