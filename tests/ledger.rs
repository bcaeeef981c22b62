//! What a user sees of the rewrites: estimates by a machine, and a picture coloured by pass.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach::passes::Machine;
use pleach::prelude::*;

fn recording(g: &Graph) -> Recording<'_> {
    let params = Params::seeded(1);
    let layer = Linear::new(&params, 4, 3);
    let y = 1.0 - layer.call(g.input("x", F32, [8, 4])).sigmoid();
    g.minimize((y * y).mean(), Sgd::new(0.1))
}

#[test]
fn estimates_are_those_of_the_machine_that_is_given() {
    let report = |compile: Compile| {
        let g = Graph::train();
        recording(&g).compile(compile).unwrap().report().ledger.clone()
    };
    let assumed = report(Compile::default());
    let slow = Machine { gbs: 1e-3, measured: true, ..Machine::default() };
    let measured = report(Compile::default().machine(slow));
    assert_eq!(assumed.sum(), measured.sum());
    assert!(measured.machine.micros(measured.sum()) > 1e3 * assumed.machine.micros(assumed.sum()));
    assert!(assumed.to_string().contains("GB/s (assumed)"), "{assumed}");
    assert!(measured.to_string().contains("0.0 GB/s (measured)"), "{measured}");
    let here = report(Compile::default().calibrated()).machine;
    assert!(here.measured && here.gflops > 0.1 && here.gbs > 0.1, "{here}");
}

#[test]
fn a_picture_has_the_colours_of_passes() {
    let g = Graph::train();
    let step = recording(&g).optimize(Compile::default()).unwrap();
    let dot = step.dot();
    let fused = step.after.ids().find(|id| step.after.op(*id).name() == "fused").unwrap();
    let node = format!("n{} [", fused.index());
    let line = dot.lines().find(|line| line.trim().starts_with(&node)).unwrap();
    let legend = dot.lines().find(|line| line.trim().starts_with("\"fuse\"")).unwrap();
    let colour = legend.split('"').nth(3).unwrap();
    assert!(line.contains(&format!("color=\"{colour}\"")), "{line}\n{legend}");
    assert!(line.contains("by fuse from"), "{line}");
    // As many braces open as close.
    assert_eq!(
        dot.matches('{').count(),
        1 + dot.lines().filter(|l| l.contains("label") && l.contains('{')).count()
    );
    assert!(dot.ends_with("}\n"));
}
