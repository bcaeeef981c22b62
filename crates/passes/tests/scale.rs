//! Passes take linear time: the work that they note grows with the graph, and not faster.

use std::sync::Arc;

use pleach_ops::prelude::*;
use pleach_passes::{
    Contract, Fold, Fuse, Join, Level, Pass, PassCx, Pipeline, Prune, Pull, Share, Simplify,
};

/// A chain of elementwise operators in which one value, one constant and one parameter have a
/// user in every link, rules fire everywhere, and reductions cut regions.
fn graph(nodes: usize) -> Graph {
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

fn work(pass: Arc<dyn Pass>, nodes: usize) -> (u64, usize) {
    let g = graph(nodes);
    let mut cx = PassCx::reference(Level::Default);
    let (new, _, _) = Pipeline::new(vec![pass]).optimize(&g, &mut cx).expect("it runs");
    (cx.steps(), new.len())
}

#[test]
fn ten_times_the_nodes_are_ten_times_the_work() {
    let passes: Vec<Arc<dyn Pass>> = vec![
        Arc::new(Prune),
        Arc::new(Fold),
        Arc::new(Simplify::default()),
        Arc::new(Share),
        Arc::new(Join),
        Arc::new(Pull::default()),
        Arc::new(Contract),
        Arc::new(Fuse::default()),
    ];
    for pass in passes {
        let name = pass.name();
        let (small, large) = (work(pass.clone(), 2_000), work(pass, 20_000));
        assert!(small.0 >= 2_000, "{name} notes its work: {small:?}");
        assert!(large.0 <= small.0 * 21 / 2, "{name}: {small:?} and {large:?}");
        assert!(large.0 <= 60 * 20_000, "{name}: {large:?} for 20,000 nodes");
    }
}
