//! Passes over loops: where they fire, where they must not, and that they keep what loops compute.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use pleach_ops::prelude::*;
use pleach_ops::{Loop, Op};
use pleach_passes::testing::{Sample, preserves, run};
use pleach_passes::{Defer, Hoist, Join, Ledger, Level, Lookup, Pass, PassCx, Pipeline, Stash};
use pleach_tensor::Key;
use proptest::prelude::*;
use proptest::test_runner::{Config, FailurePersistence, FileFailurePersistence, RngSeed};

/// The different loops of a graph, in order.
fn loops(g: &Graph) -> Vec<Arc<Loop>> {
    let mut found: Vec<Arc<Loop>> = Vec::new();
    let live = g.live();
    for id in g.ids().filter(|id| live[id.index()]) {
        if let Op::Scan(scan) = g.op(id)
            && !found.contains(scan.of())
        {
            found.push(scan.of().clone());
        }
    }
    found
}

/// How often an operator is in the body of a loop.
fn count(of: &Loop, op: &str) -> usize {
    of.body().nodes().iter().filter(|node| node.op.name() == op).count()
}

fn outside(g: &Graph, op: &str) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && g.op(*id).name() == op).count()
}

fn with(pass: &dyn Pass, g: &Graph, level: Level) -> (Option<Graph>, Ledger) {
    run(pass, g, &mut PassCx::reference(level))
}

fn fires(pass: &dyn Pass, g: &Graph) -> Graph {
    with(pass, g, Level::Default).0.unwrap_or_else(|| panic!("{} does not fire:\n{g}", pass.name()))
}

/// The pass leaves the graph alone, and says why if it is asked to.
fn stays(pass: &dyn Pass, g: &Graph, reason: &str) {
    let (new, ledger) = with(pass, g, Level::Default);
    assert!(new.is_none(), "{} fires:\n{}", pass.name(), new.unwrap());
    let skipped: Vec<_> = ledger.passes.iter().flat_map(|pass| &pass.skipped).collect();
    let said = skipped.iter().any(|skip| skip.reason.contains(reason));
    assert!(reason.is_empty() || said, "{skipped:?}");
}

/// What a graph of a loop is made of.
#[derive(Clone, Debug)]
struct Net {
    length: usize,
    batch: usize,
    reverse: bool,
    /// Are there fewer letters than places of letters?
    small_table: bool,
    /// Is the input multiplied in the step, or before the loop?
    inner: bool,
    gates: bool,
    twice: bool,
    carried: bool,
}

const HIDDEN: usize = 3;

impl Net {
    /// The next state, and what is stacked.
    fn step<'g>(&self, h: Var<'g>, x: Var<'g>, w: [Var<'g>; 4]) -> (Var<'g>, Var<'g>) {
        let [w_x, w_h, b, scale] = w;
        let x = if self.inner { x.tanh().matmul(w_x) + b } else { x };
        let z = x + h.matmul(w_h);
        let gate = |i: usize| z.slice(-1, i * HIDDEN..(i + 1) * HIDDEN);
        let mut next = match self.gates {
            true => gate(0).sigmoid() * h + gate(1).tanh() * gate(2).sigmoid(),
            false => z.tanh(),
        };
        if self.twice {
            let more = next.matmul(w_h.slice(-1, 0..HIDDEN)) * scale.exp();
            next = next + more * 0.5;
        }
        (next, next * scale)
    }

    /// A recurrent network over looked-up rows, its loss, and the gradients of that.
    fn build(&self) -> Sample {
        let g = Graph::new();
        let params = Params::seeded(5).dtype(F64);
        let letters = if self.small_table { 2 } else { 50 };
        let wide = if self.gates { 3 * HIDDEN } else { HIDDEN };
        let w = |name: &str, shape: [usize; 2]| {
            g.param(&params.param(name, shape, Init::normal(0.0, 0.5)))
        };
        let table = w("table", [letters, 4]);
        let (w_x, w_h) = (w("w_x", [4, wide]), w("w_h", [HIDDEN, wide]));
        let b = g.param(&params.param("b", [wide], Init::normal(0.0, 0.5)));
        let scale = g.param(&params.param("scale", [HIDDEN], Init::normal(0.0, 0.5)));
        let i = g.input("i", I64, [self.length, self.batch]);
        let h = g.input("h", F64, [self.batch, HIDDEN]);
        let mut x = table.take(0, i.less(3).cast(I64));
        if !self.inner {
            x = x.matmul(w_x) + b;
        }
        let start = if self.carried { h } else { h.full_like(0.0) };
        let step = |h, x| self.step(h, x, [w_x, w_h, b, scale]);
        let (last, ys) = match self.reverse {
            false => g.scan(start, x, step),
            true => g.scan_reverse(start, x, step),
        };
        let loss = (ys * ys).sum_all() + last.sin().sum_all();
        let mut wrt = vec![table, w_x, w_h, b, scale];
        if self.carried {
            wrt.push(h);
        }
        g.output("loss", loss.id());
        g.output("ys", ys.id());
        for (i, d) in g.grad(loss, &wrt).iter().enumerate() {
            g.output(&format!("grad{i}"), d.id());
        }
        g.check().unwrap();
        let inputs = g.inputs();
        Sample { graph: g, inputs }
    }
}

fn nets() -> impl Strategy<Value = Net> {
    (0usize..5, 1usize..4, any::<[bool; 6]>()).prop_map(|(length, batch, b)| Net {
        length,
        batch,
        reverse: b[0],
        small_table: b[1],
        inner: b[2],
        gates: b[3],
        twice: b[4],
        carried: b[5],
    })
}

fn net() -> Net {
    let (reverse, small_table, inner, gates, twice) = (false, true, false, true, false);
    Net { length: 4, batch: 2, reverse, small_table, inner, gates, twice, carried: true }
}

fn config(cases: u32) -> Config {
    let folder = FileFailurePersistence::WithSource("proptest-regressions");
    let failure_persistence: Option<Box<dyn FailurePersistence>> = Some(Box::new(folder));
    Config { cases, failure_persistence, rng_seed: RngSeed::Fixed(20), ..Config::default() }
}

proptest! {
    #![proptest_config(config(96))]

    /// Values and gradients, for each pass alone and for all together.
    #[test]
    fn recurrent_networks_keep_their_values_and_gradients(net in nets(), key in any::<u64>()) {
        let sample = net.build();
        let passes: [Arc<dyn Pass>; 5] = [
            Arc::new(Stash::default()),
            Arc::new(Defer::default()),
            Arc::new(Hoist::default()),
            Arc::new(Lookup),
            Arc::new(Join),
        ];
        let alone = passes.iter().map(|pass| Pipeline::new(vec![pass.clone()]));
        for pipeline in alone.chain([Pipeline::default()]) {
            for level in [Level::Exact, Level::Default] {
                preserves(&pipeline, &sample, level, Key(key)).map_err(|why| {
                    TestCaseError::fail(format!("{:?}: {why}", pipeline.passes()))
                })?;
            }
        }
    }
}

#[test]
fn a_gradient_reads_what_the_loop_kept_and_does_not_compute_it_again() {
    let g = net().build().graph;
    let [forward, backward] = &loops(&g)[..] else { panic!("two loops") };
    assert_eq!((count(forward, "sigmoid"), count(backward, "sigmoid")), (2, 2));
    assert_eq!((count(backward, "matmul"), count(backward, "tanh")), (3, 1));
    let new = fires(&Stash { max_bytes: 1 << 20 }, &g);
    let [forward, backward] = &loops(&new)[..] else { panic!("two loops") };
    assert_eq!((count(forward, "sigmoid"), count(backward, "sigmoid")), (2, 0));
    assert_eq!((count(backward, "matmul"), count(backward, "tanh")), (2, 0));
    // Two gates, and the value behind the third.
    assert_eq!(forward.stacks(), 1 + 3);
}

#[test]
fn a_gradient_computes_again_what_would_take_too_much_memory() {
    let g = net().build().graph;
    // Three values of two rows of three doubles, in four steps.
    let bytes = 3 * 2 * 3 * 8 * 4;
    stays(&Stash { max_bytes: bytes - 1 }, &g, "too much memory");
    fires(&Stash { max_bytes: bytes }, &g);
}

#[test]
fn what_is_cheaper_to_compute_than_to_keep_is_computed() {
    let g = Graph::new();
    let (x, c) = (g.input("x", F32, [5, 4]), g.input("c", F32, [4]));
    let (last, _) = g.scan(c, x, |c, x| ((c * x).tanh(), ()));
    g.output("grad", g.grad(last.sum_all(), &[c])[0].id());
    stays(&Stash::default(), &g, "moves more");
}

/// A loop that stacks its carries, and one over these and other slices, or the same.
fn two_loops(same: bool) -> Graph {
    let g = Graph::new();
    let [x, y] = ["x", "y"].map(|name| g.input(name, F32, [5, 2, 9]));
    let (c, w) = (g.input("c", F32, [2, 9]), g.input("w", F32, [9, 9]));
    let (_, cs) = g.scan(c, x, |c, x| ((c + x).matmul(w).tanh(), c));
    let slices = (cs, if same { x } else { y });
    let (last, _) = g.scan(c, slices, |sum, (c, x)| (sum * 0.5 + (c + x).matmul(w).tanh(), ()));
    g.output("last", last.id());
    g
}

#[test]
fn loops_over_other_slices_share_nothing() {
    stays(&Stash::default(), &two_loops(false), "");
    let new = fires(&Stash::default(), &two_loops(true));
    assert_eq!(loops(&new).iter().map(|of| count(of, "matmul")).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn the_gradient_of_a_weight_is_one_product_after_the_loop() {
    let g = net().build().graph;
    let new = fires(&Defer::default(), &g);
    let backward = &loops(&new)[1];
    // The sum of products is gone. That of `scale` stays: its terms would have to be stacked.
    assert_eq!((backward.carries(), count(backward, "matmul")), (2, 2));
    assert_eq!(outside(&new, "matmul"), outside(&g, "matmul") + 1);
    // At level exact no order of summation changes.
    assert!(with(&Defer::default(), &g, Level::Exact).0.is_none());
}

/// A loop that adds up `f` of every slice.
fn sums(init: f64, f: impl for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g>) -> Graph {
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [6, 2, 3]), g.input("w", F32, [3, 5]));
    let z = f(x.slice(0, 0..1).squeeze(0), w);
    let (last, _) = g.scan(z.full_like(init), x, |sum, x| (sum + f(x, w), ()));
    g.output("sum", last.id());
    g.check().unwrap();
    g
}

#[test]
fn sums_of_slices_are_taken_out_with_views_around_them_and_what_they_began_with() {
    for f in [
        |x: Var<'_>, _: Var<'_>| x.id(),
        |x: Var<'_>, _: Var<'_>| x.sum(0).id(),
        |x: Var<'_>, _: Var<'_>| (-x.t().sum(1)).reshape([3, 1]).broadcast_to([3, 4]).id(),
        |x: Var<'_>, _: Var<'_>| x.t().matmul(x).id(),
        |x: Var<'_>, _: Var<'_>| {
            (x.t().matmul(x) + x.sum(0).reshape([3, 1]).broadcast_to([3, 3])).id()
        },
    ] {
        let g = sums(0.5, |x, w| Var::new(x.graph(), f(x, w)));
        let new = fires(&Defer::default(), &g);
        assert!(loops(&new).is_empty(), "{new}");
        let inputs = g.inputs();
        let sample = Sample { graph: g, inputs };
        let pipeline = Pipeline::new(vec![Arc::new(Defer::default())]);
        preserves(&pipeline, &sample, Level::Default, Key(3)).unwrap();
    }
}

#[test]
fn what_takes_more_to_stack_than_to_add_up_stays_in_the_loop() {
    // The square is not there yet.
    stays(&Defer::default(), &sums(0.0, |x, _| (x * x).sum(0)), "moves more");
    // The factors are larger than their product.
    stays(
        &Defer::default(),
        &sums(0.0, |x, _| {
            let x = x.exp().broadcast_to([40, 2, 3]).reshape([80, 3]) * 2.0;
            x.t().matmul(x)
        }),
        "moves more",
    );
    let g = net().build().graph;
    stays(
        &Defer { max_bytes: 0 },
        &sums(0.0, |x, _| x.exp().t().matmul(x.exp())),
        "too much memory",
    );
    drop(g);
}

#[test]
fn a_sum_that_a_step_reads_stays_in_the_loop() {
    let g = Graph::new();
    let (x, c) = (g.input("x", F32, [6, 2, 3]), g.input("c", F32, [3, 3]));
    fn add<'g>(c: Var<'g>, x: Var<'g>) -> Var<'g> {
        c + x.t().matmul(x)
    }
    // Read by the rest of the step; asked for in every step; scaled; added twice.
    let (a, ys) = g.scan(c, x, |c, x| (add(c, x), c.exp()));
    let (b, zs) = g.scan(c, x, |c, x| {
        let next = add(c, x);
        (next, next)
    });
    let (d, _) = g.scan(c, x, |c, x| (add(c * 0.5, x), ()));
    let (e, _) = g.scan(c, x, |c, x| (add(c + c, x), ()));
    for (i, v) in [a, b, d, e, ys, zs].into_iter().enumerate() {
        g.output(&i.to_string(), v.id());
    }
    stays(&Defer::default(), &g, "");
}

#[test]
fn a_term_that_is_not_stacked_is_still_added_in_the_loop() {
    let g = sums(1.0, |x, _| x.t().matmul(x) + x.exp().sum(0).broadcast_to([3, 3]));
    let new = fires(&Defer::default(), &g);
    let left = &loops(&new)[0];
    assert_eq!((count(left, "matmul"), count(left, "exp"), left.carries()), (0, 1, 1));
    let inputs = g.inputs();
    let pipeline = Pipeline::new(vec![Arc::new(Defer::default())]);
    preserves(&pipeline, &Sample { graph: g, inputs }, Level::Default, Key(4)).unwrap();
}

/// A loop whose step computes `f` of the carry, a slice and a capture.
fn steps(length: usize, f: impl for<'g> Fn([Var<'g>; 3]) -> Var<'g>) -> Graph {
    let g = Graph::new();
    let (x, c) = (g.input("x", F32, [length, 2, 3]), g.input("c", F32, [2, 5]));
    let w = g.input("w", F32, [3, 5]);
    let (last, ys) = g.scan(c, x, |c, x| {
        let next = f([c, x, w]);
        (next, next)
    });
    g.output("last", last.id());
    g.output("ys", ys.id());
    g.check().unwrap();
    g
}

#[test]
fn what_is_the_same_in_all_steps_is_computed_once() {
    let g = steps(4, |[c, _, w]| (c * w.exp().sum(0)).tanh() + w.slice(0, 0..2));
    let (new, ledger) = with(&Hoist::default(), &g, Level::Exact);
    let new = new.unwrap();
    assert_eq!((count(&loops(&new)[0], "exp"), outside(&new, "exp")), (0, 1));
    assert_eq!(count(&loops(&new)[0], "slice"), 1);
    let entry = ledger.entries.iter().find(|e| e.rule == "same_in_all_steps").unwrap();
    assert!(entry.delta.flops < 0, "{entry:?}");
    // Views cost nothing, and one step or none computes it once at most.
    stays(&Hoist::default(), &steps(4, |[c, _, w]| c * w.slice(0, 1..2).squeeze(0)), "");
    stays(&Hoist::default(), &steps(1, |[c, _, w]| c * w.exp().sum(0)), "");
    stays(&Hoist::default(), &steps(0, |[c, _, w]| c * w.exp().sum(0)), "");
}

#[test]
fn a_product_of_slices_is_one_product_before_the_loop() {
    let f = |[c, x, w]: [Var<'_>; 3]| (c + (x * x).matmul(w)).tanh().id();
    let g = steps(4, |v| Var::new(v[0].graph(), f(v)));
    let new = fires(&Hoist::default(), &g);
    let inner = &loops(&new)[0];
    assert_eq!((count(inner, "matmul"), count(inner, "mul"), inner.slices()), (0, 0, 1));
    assert_eq!(outside(&new, "matmul"), 1);
    assert!(new.to_string().contains("matmul") && new.to_string().contains("f32[8, 5]"), "{new}");
    assert!(with(&Hoist::default(), &g, Level::Exact).0.is_none());
    stays(&Hoist { max_bytes: 4 * 2 * 5 * 4 - 1 }, &g, "too much memory");
    // A product of the carry is no product of slices; nor is one worth it whose result is larger
    // than what it reads.
    stays(&Hoist::default(), &steps(4, |[c, _, w]| c.matmul(w.t()).matmul(w)), "");
    stays(
        &Hoist::default(),
        &steps(4, |[c, x, w]| {
            let wide = x.slice(-1, 0..1).reshape([2, 1]).matmul(w.slice(0, 0..1));
            c + wide
        }),
        "",
    );
}

/// Rows of a table of `letters` letters in 12 places, multiplied and shifted.
fn looked_up(letters: usize) -> Graph {
    let g = Graph::new();
    let (table, i) = (g.input("table", F64, [letters, 4]), g.input("i", I64, [3, 4]));
    let (w, b) = (g.input("w", F64, [4, 6]), g.input("b", F64, [6]));
    let y = table.take(0, i.less(3).cast(I64)).transpose(0, 1).matmul(w) + b;
    g.output("y", y.id());
    for (name, d) in ["table", "w", "b"].iter().zip(g.grad(y.sin().sum_all(), &[table, w, b])) {
        g.output(name, d.id());
    }
    g
}

#[test]
fn a_layer_after_a_small_table_is_a_product_with_the_table() {
    let g = looked_up(7);
    let new = fires(&Lookup, &g);
    let text = new.to_string();
    let (_, ledger) = with(&Lookup, &g, Level::Default);
    let fired: Vec<&str> = ledger.entries.iter().map(|e| e.rule.as_str()).collect();
    for rule in ["product_of_rows", "function_of_rows", "sum_of_products", "gradient_of_weight"] {
        assert!(fired.contains(&rule), "{rule}: {fired:?}\n{text}");
    }
    assert_eq!(products(&new), [24, 28, 42], "{text}");
    let inputs = g.inputs();
    let pipeline = Pipeline::new(vec![Arc::new(Lookup)]);
    preserves(&pipeline, &Sample { graph: g, inputs }, Level::Default, Key(1)).unwrap();
}

/// Elements of all products that something needs, sorted.
fn products(g: &Graph) -> Vec<usize> {
    let live = g.live();
    let product = |id: &NodeId| live[id.index()] && g.op(*id).name() == "matmul";
    let mut sizes: Vec<usize> = g.ids().filter(product).map(|id| g.ty(id).numel()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_large_table_is_looked_up_first() {
    stays(&Lookup, &looked_up(12), "");
}

#[test]
fn parts_in_zeros_are_joined() {
    let g = Graph::new();
    let x = g.input("x", F32, [2, 9]);
    let y = x.slice(-1, 0..3).exp() * x.slice(-1, 3..6)
        + x.slice(-1, 7..9).sum(-1).reshape([2, 1]).broadcast_to([2, 3]);
    g.output("dx", g.grad(y.sum_all(), &[x])[0].id());
    let new = fires(&Join, &g);
    assert_eq!((outside(&new, "pad"), outside(&new, "concat")), (0, 1));
    // The axis is filled: zeros where no part lies.
    let concat = new.ids().find(|id| new.op(*id).name() == "concat").unwrap();
    assert_eq!(new.node(concat).inputs.len(), 4);
    assert!(with(&Join, &g, Level::Exact).0.is_none());
}

#[test]
fn parts_that_overlap_or_lie_in_other_numbers_are_not_joined() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F32, [2]), g.input("y", F32, [2]));
    g.output("overlap", (x.pad(&[(0, 2)]) + y.pad(&[(1, 1)])).id());
    let ones = |v: Var<'_>, widths: (usize, usize)| {
        v.record(pleach_ops::Pad::with(&[widths], 1.0), &[v]).id()
    };
    g.output("ones", g.push(pleach_ops::Add.into(), &[ones(x, (0, 2)), ones(y, (2, 0))]));
    stays(&Join, &g, "");
}
