//! What the levels promise, on a whole training step: the same bits where that is said, the
//! interpreter's values within tolerance, no fallback, deltas that add up.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::exec::Plan;
use pleach::passes::{Ledger, Level, PassCx, Pipeline, Totals};
use pleach::prelude::*;

/// Small, and above the threshold at which kernels cut work into tasks. No power of two: dividing
/// by one is exact, and a rounding rewrite of it would not be seen.
const SIZES: [[usize; 3]; 2] = [[15, 12, 5], [129, 300, 10]];

struct Net {
    first: Linear,
    shared: Linear,
    last: Linear,
}

impl Net {
    fn new(p: &Params, [_, width, classes]: [usize; 3]) -> Net {
        Net {
            first: Linear::new(&p.scope("first"), 20, width),
            shared: Linear::new(&p.scope("shared"), width, width),
            last: Linear::new(&p.scope("last"), width, classes),
        }
    }

    fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let h = self.first.call(x).relu();
        let h = self.shared.call(self.shared.call(h).gelu()).tanh();
        self.last.call(h.dropout(0.25))
    }
}

/// Trains for `steps` updates; losses, and the bits of every variable.
fn train(
    sizes: [usize; 3],
    steps: u64,
    compile: Compile,
    optimizer: Box<dyn Optimizer>,
) -> (Vec<f64>, Vec<(String, Tensor)>, Step) {
    let [batch, _, classes] = sizes;
    let params = Params::seeded(7);
    let net = Net::new(&params, sizes);
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [batch, 20]), g.input("y", I64, [batch]));
    let logits = net.call(x);
    let mut step = g
        .minimize(logits.cross_entropy(y), optimizer)
        .output("accuracy", logits.argmax(1).equal(y).mean())
        .compile(compile)
        .unwrap();
    let mut state = State::new(&params);
    let x_type = Type::new(F32, [batch, 20]).unwrap();
    let y_type = Type::new(I64, [batch]).unwrap();
    let losses = (0..steps)
        .map(|i| {
            let x = Tensor::normal(&x_type, Key(1).fold(i), 0.0, 1.0);
            let y = Tensor::build_i64(&y_type, |j| Key(2).below(j as u64, classes as u64) as i64);
            step.run(&mut state, [&x, &y]).unwrap().scalar("loss").unwrap()
        })
        .collect();
    let kinds = [Kind::Param, Kind::Slot, Kind::Buffer];
    let values = kinds.into_iter().flat_map(|kind| state.tensors(kind)).collect();
    (losses, values, step)
}

fn optimizers() -> Vec<Box<dyn Optimizer>> {
    vec![
        Box::new(Sgd::new(0.05).momentum(0.9).nesterov().weight_decay(1e-4)),
        Box::new(AdamW::new(Rate::new(1e-2, Cosine { steps: 10, min: 0.1 })).clip_norm(1.0)),
    ]
}

fn again(index: usize) -> Box<dyn Optimizer> {
    optimizers().swap_remove(index)
}

fn same_bits(a: &[(String, Tensor)], b: &[(String, Tensor)], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, x), (other, y)) in a.iter().zip(b) {
        assert_eq!(name, other, "{what}");
        let differs = pleach::tensor::compare::bit_mismatch(x, y);
        assert!(differs.is_none(), "{what}: {name}: {}", differs.unwrap());
    }
}

#[test]
fn exact_gives_the_bits_of_unoptimized() {
    for sizes in SIZES {
        for i in 0..optimizers().len() {
            let plain = train(sizes, 10, Compile::unoptimized().no_fallback(), again(i));
            let exact = train(sizes, 10, Compile::exact().no_fallback(), again(i));
            assert_eq!(plain.0, exact.0, "losses of {sizes:?}, optimizer {i}");
            same_bits(&plain.1, &exact.1, &format!("{sizes:?}, optimizer {i}"));
        }
    }
}

/// Images that lie side by side, pooled, flattened: what is in another order in memory is so at both levels.
#[test]
fn exact_gives_the_bits_of_unoptimized_for_images() {
    let train = |compile: Compile| {
        let params = Params::seeded(3);
        let net = pleach::nn::zoo::LeNet::classic(&params);
        let g = Graph::train();
        let (x, y) = (g.input("x", F32, [16, 1, 28, 28]), g.input("y", I64, [16]));
        let loss = net.call(x).cross_entropy(y);
        let mut step = g.minimize(loss, Sgd::new(0.05)).compile(compile.no_fallback()).unwrap();
        let mut state = State::new(&params);
        let x = Tensor::normal(&Type::new(F32, [16, 1, 28, 28]).unwrap(), Key(1), 0.0, 1.0);
        let y = Tensor::build_i64(&Type::new(I64, [16]).unwrap(), |i| i as i64 % 10);
        let mut run = |_| step.run(&mut state, [&x, &y]).unwrap().scalar("loss").unwrap();
        let losses: Vec<f64> = (0..3).map(&mut run).collect();
        (losses, state.tensors(Kind::Param))
    };
    let plain = train(Compile::unoptimized());
    for compile in [Compile::exact(), Compile::exact().threads(3)] {
        let exact = train(compile);
        assert_eq!(plain.0, exact.0);
        same_bits(&plain.1, &exact.1, "images");
    }
    let near = train(Compile::default());
    assert!(plain.0.iter().zip(&near.0).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs()));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for sizes in SIZES {
        let one = train(sizes, 10, Compile::default().threads(1), again(1));
        for threads in [2, 3] {
            let many = train(sizes, 10, Compile::default().threads(threads), again(1));
            assert_eq!(one.0, many.0);
            same_bits(&one.1, &many.1, &format!("{sizes:?}, {threads} threads"));
        }
    }
}

#[test]
fn every_level_agrees_with_the_interpreter() {
    let near = pleach::tensor::compare::Tolerance { rtol: 1e-3, atol: 1e-4 };
    for i in 0..optimizers().len() {
        let oracle = train(SIZES[0], 3, Compile::none(), again(i));
        for compile in [Compile::unoptimized(), Compile::exact(), Compile::default()] {
            let (losses, values, step) = train(SIZES[0], 3, compile.no_fallback(), again(i));
            for (a, b) in losses.iter().zip(&oracle.0) {
                assert!((a - b).abs() < 1e-4 * b.abs(), "{a} {b}");
            }
            for ((name, x), (other, y)) in values.iter().zip(&oracle.1) {
                assert_eq!(name, other);
                // Adam divides by √v: a slot near zero turns rounding into a visible difference
                // of the weight. The slots themselves must agree.
                if name.contains('/') || i == 0 {
                    let differs = pleach::tensor::compare::mismatch(x, y, near);
                    assert!(differs.is_none(), "{name}: {}", differs.unwrap());
                }
            }
            assert!(step.report().plan.as_ref().unwrap().interpreted.is_empty());
        }
    }
}

#[test]
fn the_ledger_adds_up_to_the_graph_that_is_there_and_passes_never_add_work() {
    for level in [Level::Exact, Level::Default] {
        let g = Graph::train();
        let (x, w) = (g.input("x", F32, [15, 6]), g.input("w", F32, [6, 6]));
        let y = x.matmul(w).gelu().softmax(1).dropout(0.3);
        let loss = (y / 3.0 - 1.0 + 2.0).square().mean();
        let grad = g.grad(loss, &[w])[0];
        g.output("loss", loss.id());
        g.output("grad", grad.id());
        let before = Totals::of(&g);
        let evaluate = |op: &Op, x: &[&Tensor], y: &Type| Plan::evaluate(op, x, y);
        let mut ledger = Ledger::default();
        ledger.stage("all", before);
        let mut cx = PassCx::new(level, &evaluate);
        let (optimized, _) = Pipeline::default().run(&g, &mut cx, &mut ledger).unwrap();
        let after = Totals::of(&optimized);
        assert_eq!(ledger.sum(), after, "the deltas lead from nothing to the graph that is there");
        assert!(after.nodes < before.nodes && after.bytes < before.bytes);
        assert!(after.flops <= before.flops);
        let fused = ledger.entries.iter().any(|e| e.rule == "region" && e.delta.bytes < 0);
        assert!(fused, "{ledger}");
    }
}

#[test]
fn the_loss_falls_and_a_seed_gives_one_run() {
    let a = train(SIZES[0], 60, Compile::default(), again(1));
    let b = train(SIZES[0], 60, Compile::default(), again(1));
    assert_eq!(a.0, b.0);
    same_bits(&a.1, &b.1, "two runs");
    assert!(a.0[0].is_finite() && a.0.iter().all(|l| l.is_finite()));
}
