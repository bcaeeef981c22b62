//! The page `docs/optimizers.md` says what the optimizers are: formulas and sources from the rules,
//! state and cost counted in the graphs that they record. `UPDATE_EXPECT=1 cargo test -p
//! pleach-optim page` writes it.

use std::fmt::Write;

use expect_test::expect_file;
use pleach_ops::prelude::*;
use pleach_ops::{Kind, Variable};

use crate::all::{all, matrix, quadratic};
use crate::support::minimize;

const HEAD: &str = "\
<!-- Written by `UPDATE_EXPECT=1 cargo test -p pleach-optim page`; a test compares it. -->
# Optimizers

`g` is the gradient of the loss with decay and penalties, `θ` the parameter, `lr` the rate of the update.

- **State** is tensors per parameter, as large as it unless a shape says otherwise, and bytes per element of a
  parameter in f32 (here for a matrix of 3 × 2). Beside it each optimizer has a rate, the rate last used and a counter:
  24 bytes, and 8 more for NAdam's product.
- **Cost** is arithmetic operations an element (of that matrix) in one update, as the graph counts them: scalars of
  the rate, corrections and schedules are not counted.
- **Quadratic** is the number of updates at that rate which make `½ Σ cᵢ θᵢ²`, `cᵢ` from 1 to 10, a thousand times less.

| optimizer | options | formula | source | state | bytes | cost | quadratic |
|---|---|---|---|---|---|---|---|
";

#[test]
fn page_of_all_optimizers() {
    let mut page = HEAD.to_string();
    for e in all() {
        let p = Params::seeded(0);
        let x = matrix(&p.clone().dtype(F64), "x");
        let g = Graph::train();
        let loss = quadratic(&g, &x);
        let before = g.len();
        minimize(&g, loss, &[&x], (e.at)(e.rate).as_ref());
        let slots: Vec<Variable> =
            g.variables().into_iter().filter(|v| v.kind() == Kind::Slot).collect();
        let own = |v: &&Variable| v.name().ends_with("/x");
        let elements: usize = slots.iter().filter(own).map(|v| v.ty().numel()).sum();
        let numel = x.ty().numel();
        let count = slots.iter().filter(own).count();
        // What belongs to the gradient is before the first node of the optimizer's layer.
        let mut flops = 0;
        for id in g.ids().filter(|id| id.index() >= before) {
            let scope = g.origin(id).first().and_then(|site| site.scope().map(str::to_string));
            if scope.as_deref() != Some(e.name) || g.ty(id).numel() == 1 {
                continue;
            }
            let node = g.node(id);
            let inputs: Vec<Type> = node.inputs.iter().map(|&x| g.ty(x)).collect();
            flops += node.op.cost(&inputs.iter().collect::<Vec<_>>(), &node.ty).flops;
        }
        let state = if count == 0 { "none".to_string() } else { count.to_string() };
        let bytes = 4.0 * elements as f64 / numel as f64;
        let cost = (flops as f64 / numel as f64).round();
        let options = if e.options.is_empty() { "defaults" } else { e.options };
        writeln!(
            page,
            "| `{}` | {options} | {} | {} | {state} | {bytes:.1} | {cost} | {} at {} |",
            e.name, e.about.formula, e.about.source, e.updates, e.rate
        )
        .unwrap();
    }
    expect_file!["../../../../docs/optimizers.md"].assert_eq(&page);
}
