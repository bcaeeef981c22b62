//! A chain of elementwise operators in which one value, one constant and one parameter have a
//! user in every link, rules fire everywhere, and reductions cut regions.

use pleach_ops::prelude::*;

/// About so many nodes, and never less.
pub(crate) fn graph(nodes: usize) -> Graph {
    let g = Graph::new();
    let params = Params::seeded(3);
    let (x, w) = (g.input("x", F32, [4]), g.param(&params.param("w", [4], Init::ones())));
    let hub = x.tanh();
    let mut y = x;
    while g.len() < nodes {
        let sum = y.sum_all().reshape([1]).broadcast_to([4]);
        y = (y - (-hub)) * 2.0 * 3.0 + w / 3.0 + sum;
        y = (y * w + y * hub).sigmoid().ln() + 1.0 + 2.0;
    }
    g.output("y", y.id());
    g
}
