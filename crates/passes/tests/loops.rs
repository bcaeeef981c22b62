//! Passes run inside of loops; a loop's work counts once, times its steps.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach_ops::prelude::*;
use pleach_ops::{Loop, Op};
use pleach_passes::{Level, PassCx, Pipeline, Totals};

const STEPS: usize = 7;

/// A loop with something to simplify (a double negation), to fuse and to share.
fn graph() -> Graph {
    let g = Graph::new();
    let (c, xs) = (g.input("c", F32, [4]), g.input("xs", F32, [STEPS, 4]));
    let (last, ys) = g.scan((c, c), xs, |(a, b), x| {
        let y = (-(-(a * x).tanh()) + x).sigmoid();
        ((y, b + y), y * b)
    });
    for (name, v) in [("a", last.0), ("b", last.1), ("ys", ys)] {
        g.output(name, v.id());
    }
    g
}

fn the_loop(g: &Graph) -> Loop {
    let found = g.ids().find_map(|id| match g.op(id) {
        Op::Scan(scan) => Some((**scan.of()).clone()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn steps_are_simplified_and_fused_and_the_ledger_adds_up() {
    let g = graph();
    let mut cx = PassCx::reference(Level::Default);
    let (new, _, ledger) = Pipeline::default().optimize(&g, &mut cx).unwrap();
    let (old_step, new_step) = (the_loop(&g).step_graph(), the_loop(&new).step_graph());
    let text = new_step.to_string();
    assert!(text.contains("fused") && !text.contains("neg"), "{text}");
    assert!(new_step.len() < old_step.len());
    assert!(ledger.adds_up());
    let entries = ledger.passes.iter().find(|p| p.name == "loops").map(|p| ledger.of(p)).unwrap();
    let region = entries.iter().find(|e| e.rule == "region").unwrap();
    assert!(region.delta.bytes < 0 && region.delta.bytes % STEPS as i64 == 0, "{region:?}");
    assert!(region.site.is_some());
    // Once more changes nothing.
    let again =
        Pipeline::default().optimize(&new, &mut PassCx::reference(Level::Default)).unwrap().0;
    assert_eq!(again.to_string(), new.to_string());
}

#[test]
fn loops_are_left_alone_if_asked() {
    let g = graph();
    let mut cx = PassCx::reference(Level::Default);
    let (new, _, ledger) = Pipeline::default().without("loops").optimize(&g, &mut cx).unwrap();
    assert_eq!(the_loop(&new), the_loop(&g));
    assert!(ledger.passes.iter().all(|p| p.name != "loops"));
    let mut cx = PassCx::reference(Level::Default);
    let (new, _, _) = Pipeline::default().without("fuse").optimize(&g, &mut cx).unwrap();
    assert!(!the_loop(&new).step_graph().to_string().contains("fused"));
}

#[test]
fn the_work_of_a_loop_counts_once_for_all_of_its_results() {
    let g = graph();
    let of = the_loop(&g);
    let step = Totals::of(&of.step_graph());
    let all = Totals::of(&g);
    assert_eq!(all.flops, step.flops * STEPS as i64);
    assert_eq!(of.cost().flops as i64, all.flops);
}
