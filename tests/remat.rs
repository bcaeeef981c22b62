//! Values that are computed again instead of being kept: memory, work, and no other bit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::nn::zoo::LeNet;
use pleach::ops::PoolOptions;
use pleach::prelude::*;
use pleach::tensor::compare::bit_mismatch;

const BATCH: usize = 64;
const WIDTH: usize = 16;

/// The loss of a chain of `n` layers, with a mark after every `every` of them and some dropout.
fn chain<'g>(g: &'g Graph, params: &Params, n: usize, every: Option<usize>) -> Var<'g> {
    let mut y = g.input("x", F32, [BATCH, WIDTH]);
    for i in 0..n {
        let w = params.param(&format!("w.{i}"), [WIDTH, WIDTH], Init::normal(0.0, 0.25));
        y = y.matmul(g.param(&w)).tanh();
        if i % 8 == 7 {
            y = y.dropout(0.1);
        }
        if every.is_some_and(|every| (i + 1) % every == 0) {
            y = y.checkpoint();
        }
    }
    y.square().mean()
}

/// The step of a chain, and the bits of loss and parameters after three runs of it.
struct Trained {
    arena: u64,
    flops: u64,
    loss: Vec<u64>,
    values: Vec<(String, Tensor)>,
}

fn compiled(
    n: usize,
    every: Option<usize>,
    compile: Compile,
) -> Result<(Step, Params), CompileError> {
    let (g, params) = (Graph::train(), Params::seeded(3));
    let loss = chain(&g, &params, n, every);
    Ok((g.minimize(loss, Sgd::new(0.1)).compile(compile.threads(1).no_fallback())?, params))
}

fn trained(n: usize, every: Option<usize>, compile: Compile) -> Trained {
    let (mut step, params) = compiled(n, every, compile).unwrap();
    let mut state = State::new(&params);
    let ty = Type::new(F32, [BATCH, WIDTH]).unwrap();
    let loss = (0..3).map(|i| {
        let x = Tensor::uniform(&ty, Key(i), -1.0, 1.0);
        step.run(&mut state, [&x]).unwrap().scalar("loss").unwrap().to_bits()
    });
    let loss = loss.collect();
    let plan = step.report().plan.as_ref().unwrap();
    Trained {
        arena: plan.arena_bytes as u64,
        flops: plan.moved.iter().map(|m| m.flops).sum(),
        loss,
        values: state.tensors(Kind::Param).into_iter().collect(),
    }
}

fn same_bits(a: &Trained, b: &Trained) {
    assert_eq!(a.loss, b.loss);
    for ((name, a), (_, b)) in a.values.iter().zip(&b.values) {
        assert_eq!(bit_mismatch(a, b), None, "{name}");
    }
}

/// The lowest peak that can be reached.
fn lowest(n: usize) -> u64 {
    let error = compiled(n, None, Compile::default().max_peak_bytes(0)).unwrap_err();
    match &error.0[..] {
        [pleach::Problem::Memory { limit: 0, lowest }] => *lowest,
        _ => panic!("{error}"),
    }
}

#[test]
fn memory_grows_with_the_root_of_the_layers_for_a_third_more_work() {
    let value = (BATCH * WIDTH * 4) as f64;
    let mut peaks = Vec::new();
    for n in [16, 64, 144] {
        let plain = trained(n, None, Compile::default());
        let small = trained(n, None, Compile::default().max_peak_bytes(lowest(n)));
        same_bits(&plain, &small);
        assert!(plain.arena as f64 >= n as f64 * value, "{n}: {}", plain.arena);
        let more = small.flops as f64 / plain.flops as f64;
        assert!((1.0..=1.34).contains(&more), "{n}: {more}");
        peaks.push(small.arena as f64 / value / (n as f64).sqrt());
    }
    // The same multiple of the root, or less.
    assert!(peaks.iter().all(|&p| p <= 4.0), "{peaks:?}");
    assert!(peaks[2] <= peaks[0] * 1.1, "{peaks:?}");
}

#[test]
fn a_limit_is_met_with_no_more_work_than_it_takes() {
    let n = 32;
    let plain = trained(n, None, Compile::default());
    let lowest = lowest(n);
    let mut flops = Vec::new();
    for part in [0.0, 0.3, 0.6, 0.9, 1.0] {
        let limit = lowest + ((plain.arena - lowest) as f64 * part) as u64;
        let tried = trained(n, None, Compile::default().max_peak_bytes(limit));
        assert!(tried.arena <= limit, "{} > {limit}", tried.arena);
        flops.push(tried.flops);
    }
    assert!(flops.iter().all(|&f| f <= flops[0]), "{flops:?}");
    assert!(flops[0] > flops[3] && flops[4] == plain.flops, "{flops:?} {}", plain.flops);
}

#[test]
fn marks_cut_the_chain_and_change_no_bit() {
    let n = 36;
    let plain = trained(n, None, Compile::default());
    for compile in [Compile::default, Compile::exact] {
        let marked = trained(n, Some(6), compile());
        same_bits(&trained(n, None, compile()), &marked);
        assert!(marked.arena * 2 < plain.arena, "{} of {}", marked.arena, plain.arena);
    }
    // Where nothing is computed again, a mark is nothing.
    let without = trained(n, Some(6), Compile::default().without("remat"));
    same_bits(&plain, &without);
    let unoptimized = |every| trained(n, every, Compile::unoptimized());
    same_bits(&unoptimized(None), &unoptimized(Some(6)));
}

fn marked(y: Var<'_>, mark: bool) -> Var<'_> {
    if mark { y.checkpoint() } else { y }
}

/// A step with a loop, draws, pooling, a frozen weight, a buffer that is written, and an output that
/// is recorded after the loss; marked or not.
fn everything(compile: Compile, mark: bool) -> Result<(Step, Params), CompileError> {
    let (g, params) = (Graph::train(), Params::seeded(5));
    let marked = |y| marked(y, mark);
    let p = |name: &str, shape: [usize; 2]| params.param(name, shape, Init::normal(0.0, 0.2));
    let (w, v, frozen) = (p("w", [16, 16]), p("v", [16, 16]), p("frozen", [16, 16]));
    let mean = params.buffer("mean", F32, [16], Init::zeros());
    let x = g.input("x", F32, [BATCH, WIDTH]);
    let mut y = x.matmul(g.param(&w)).tanh().dropout(0.2);
    g.assign_param(&mean, g.param(&mean) * 0.9 + y.mean_over([0]) * 0.1);
    y = y - g.param(&mean);
    for _ in 0..3 {
        y = marked(y.matmul(g.param(&frozen).exp().sin()).gelu().dropout(0.1));
    }
    let v = g.param(&v);
    y = g.repeat(4, y, |_, y| marked(y.matmul(v).tanh()).dropout(0.1));
    let pooled = marked(y.reshape([BATCH, 1, 4, 4]).max_pool(&PoolOptions::new([2, 2])).exp());
    let loss = (pooled.sin() + pooled.sqrt().ln()).square().mean();
    let after = (pooled.tanh() * loss).mean();
    let recording = g.minimize(loss, Adam::new(0.01)).only("w").only("v").output("after", after);
    Ok((recording.compile(compile.threads(1).no_fallback())?, params))
}

#[test]
fn loops_draws_pools_frozen_weights_and_buffers_have_the_same_bits() {
    let values = |compile: Compile, mark: bool| {
        let (mut step, params) = everything(compile, mark).unwrap();
        let mut state = State::new(&params);
        let ty = Type::new(F32, [BATCH, WIDTH]).unwrap();
        let mut all = Vec::new();
        for i in 0..3 {
            let out = step.run(&mut state, [&Tensor::uniform(&ty, Key(i), -1.0, 1.0)]).unwrap();
            all.extend(out.tensors());
        }
        let kinds = [Kind::Param, Kind::Buffer, Kind::Slot];
        all.extend(kinds.into_iter().flat_map(|kind| state.tensors(kind)));
        (step.report().plan.as_ref().unwrap().arena_bytes as u64, all)
    };
    let (_, want) = values(Compile::unoptimized(), false);
    let least = match &everything(Compile::exact().max_peak_bytes(0), false).unwrap_err().0[..] {
        [pleach::Problem::Memory { lowest, .. }] => *lowest,
        other => panic!("{other:?}"),
    };
    let exact = values(Compile::exact(), false).0;
    assert!(least < exact, "{least} {exact}");
    for (compile, mark) in [
        (Compile::exact(), false),
        (Compile::exact(), true),
        (Compile::unoptimized(), true),
        (Compile::exact().max_peak_bytes(least), false),
        (Compile::exact().max_peak_bytes((least + exact) / 2), true),
    ] {
        let (_, got) = values(compile, mark);
        for ((name, a), (_, b)) in want.iter().zip(&got) {
            assert_eq!(bit_mismatch(b, a), None, "{name}");
        }
    }
}

#[test]
fn maxima_and_their_places_stay_one_instruction() {
    let compiled = |compile: Compile| {
        let (g, params) = (Graph::train(), Params::seeded(1));
        let net = LeNet::classic(&params);
        let (x, y) = (g.input("x", F32, [16, 1, 28, 28]), g.input("y", I64, [16]));
        g.minimize(net.call(x).cross_entropy(y), Sgd::new(0.1)).compile(compile.threads(1))
    };
    let plain = compiled(Compile::default()).unwrap();
    let error = compiled(Compile::default().max_peak_bytes(0)).unwrap_err();
    let [pleach::Problem::Memory { lowest, .. }] = &error.0[..] else { panic!("{error}") };
    let least = compiled(Compile::default().max_peak_bytes(*lowest)).unwrap();
    let (plain, least) = (plain.report().plan.as_ref(), least.report().plan.as_ref());
    let (plain, least) = (plain.unwrap(), least.unwrap());
    assert!(least.arena_bytes < plain.arena_bytes, "{} {}", least.arena_bytes, plain.arena_bytes);
    for kernel in ["max_pool", "max_pool_add"] {
        assert_eq!((plain.kernels[kernel], least.kernels[kernel]), (2, 2), "{kernel}");
    }
}

/// What steps of a loop need goes down when they are fused: a limit that is met then costs nothing.
#[test]
fn a_limit_is_compared_with_what_loops_take_in_the_end() {
    let compiled = |compile: Compile| {
        let (g, params) = (Graph::train(), Params::seeded(3));
        let w = g.param(&params.param("w", [WIDTH, WIDTH], Init::normal(0.0, 0.25)));
        let y = g.input("x", F32, [BATCH, WIDTH]).matmul(w).tanh().matmul(w).tanh();
        let last = g.repeat(100, y, |_, y| {
            let parts: Vec<Var<'_>> = (1..9).map(|i| (y * i as f64).sin()).collect();
            let all = parts.iter().map(|a| *a * a.exp()).reduce(|a, b| a * b);
            all.unwrap_or(y).tanh()
        });
        let loss = last.square().mean();
        g.infer(loss).output("more", (y * last).sum_all()).compile(compile.threads(1)).unwrap()
    };
    let step = compiled(Compile::default());
    let arena = step.report().plan.as_ref().unwrap().arena_bytes as u64;
    let step = compiled(Compile::default().max_peak_bytes(arena));
    let ledger = step.report().ledger.to_string();
    assert!(!ledger.contains("computed_again"), "{ledger}");
}
