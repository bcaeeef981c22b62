//! What a recorded node takes, in bytes that are asked of the allocator.

mod chain;

use std::alloc::System;

use pleach_passes::{Level, PassCx, Pipeline};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held(stats: Stats) -> usize {
    stats.bytes_allocated - stats.bytes_deallocated
}

/// One test, for others would allocate at the same time.
#[test]
fn a_node_takes_at_most_400_bytes() {
    for nodes in [10_000, 100_000] {
        let region = Region::new(ALLOCATOR);
        let g = chain::graph(nodes);
        let recorded = held(region.change()) / g.len();
        assert!((100..=400).contains(&recorded), "{recorded} bytes a node of {nodes}");
        let region = Region::new(ALLOCATOR);
        let mut cx = PassCx::reference(Level::Default);
        let built = Pipeline::default().optimize(&g, &mut cx).expect("it runs");
        let rewritten = held(region.change()) / g.len();
        assert!(rewritten <= 400, "{rewritten} bytes a node of {nodes}: {}", built.0.len());
    }
}
