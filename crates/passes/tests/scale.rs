//! Passes take linear time: the work that they note grows with the graph, and not faster.

mod chain;

use std::sync::Arc;

use chain::graph;
use pleach_passes::{
    Contract, Entropy, Fold, Fuse, Join, Level, Merge, Pass, PassCx, Pipeline, Prune, Pull, Roll,
    Share, Shrink, Signs, Simplify, Slope, Stack, Unroll, Winograd,
};

fn work(pipeline: &Pipeline, nodes: usize) -> u64 {
    let g = graph(nodes);
    let mut cx = PassCx::reference(Level::Default);
    let (new, _, _) = pipeline.optimize(&g, &mut cx).expect("it runs");
    assert!(!new.is_empty());
    cx.steps()
}

/// Ten times the nodes are ten times the work, and a node is at most `most` of it.
fn is_linear(name: &str, pipeline: &Pipeline, most: u64) {
    let (small, large) = (work(pipeline, 2_000), work(pipeline, 20_000));
    assert!(small >= 2_000, "{name} notes its work: {small}");
    assert!(large <= small * 21 / 2, "{name}: {small} and {large}");
    assert!(large <= most * 20_000, "{name}: {large} for 20,000 nodes");
}

#[test]
fn ten_times_the_nodes_are_ten_times_the_work() {
    let passes: Vec<Arc<dyn Pass>> = vec![
        Arc::new(Prune),
        Arc::new(Unroll::default()),
        Arc::new(Roll::default()),
        Arc::new(Entropy),
        Arc::new(Fold),
        Arc::new(Simplify::default()),
        Arc::new(Signs),
        Arc::new(Shrink::default()),
        Arc::new(Share),
        Arc::new(Join),
        Arc::new(Pull::default()),
        Arc::new(Contract),
        Arc::new(Stack::default()),
        Arc::new(Slope),
        Arc::new(Merge::default()),
        Arc::new(Winograd::default()),
        Arc::new(Fuse::default()),
    ];
    for pass in passes {
        is_linear(pass.name(), &Pipeline::new(vec![pass.clone()]), 60);
    }
}

#[test]
fn the_whole_pipeline_is_linear() {
    is_linear("the pipeline", &Pipeline::default(), 100);
}
