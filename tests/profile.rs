//! What a profile of a step says: it names lines of this file, its shares add up, and a run with a
//! clock around every instruction is an ordinary run.

use pleach::exec::ExecError;
use pleach::nn::zoo::Mlp;
use pleach::prelude::*;

const BATCH: usize = 16;

fn batch() -> [Tensor; 2] {
    let x = Type::new(F32, [BATCH, 12]).expect("a small type");
    let y = Type::new(I64, [BATCH]).expect("a small type");
    [Tensor::normal(&x, Key(5), 0.0, 1.0), Tensor::build_i64(&y, |i| i as i64 % 4)]
}

/// A step, its parameters, and the lines of this file where the model is called and the loss taken.
fn step(compile: Compile, micro: u64) -> (Step, Params, [u32; 2]) {
    let params = Params::seeded(7);
    let net = Mlp::new(&params.scope("net"), &[12, 20, 4]);
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 12]), g.input("y", I64, [BATCH]));
    let (logits, call) = (net.call(x), line!());
    let (loss, entropy) = (logits.cross_entropy(y), line!());
    let recording = g.minimize(loss, Adam::new(1e-2)).accumulate(micro);
    (recording.compile(compile).expect("it compiles"), params, [call, entropy])
}

fn values(state: &State, params: &Params) -> Vec<Vec<u64>> {
    let of = |v: &Variable| state.value(v.name()).expect("it is in the state").to_f64s();
    let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect();
    params.variables().iter().map(|v| bits(of(v))).collect()
}

#[test]
fn a_profiled_run_is_an_ordinary_run() {
    for (compile, micro) in
        [(Compile::default as fn() -> Compile, 1), (Compile::default, 3), (Compile::unoptimized, 1)]
    {
        let [mut plain, mut profiled] = [(); 2].map(|()| step(compile().threads(2), micro));
        let [mut a, mut b] = [&plain.1, &profiled.1].map(State::new);
        let feeds = batch();
        for _ in 0..5 {
            plain.0.run(&mut a, &feeds).expect("it runs");
        }
        profiled.0.profile(&mut b, &feeds, 5).expect("it runs");
        assert_eq!(values(&a, &plain.1), values(&b, &profiled.1));
        let loss = |step: &Step| step.outputs().scalar("loss").expect("a number").to_bits();
        assert_eq!(loss(&plain.0), loss(&profiled.0));
        assert_ne!(values(&a, &plain.1), values(&State::new(&plain.1), &plain.1), "it trains");
    }
}

#[test]
fn lines_are_those_of_the_model_and_shares_add_up() {
    let (mut step, params, lines) = step(Compile::default().threads(1).no_fallback(), 1);
    let mut state = State::new(&params);
    let profile = step.profile(&mut state, &batch(), 20).expect("it runs");
    let found = profile.lines();
    for (line, scope) in [(lines[0], "net.0 ("), (lines[0], "net.1 ("), (lines[1], "")] {
        let place = format!("{}:{line}:", file!());
        let named = |site: &str| site.starts_with(scope) && site.contains(&place);
        assert!(found.iter().any(|l| named(&l.site)), "{scope}{place} in {found:#?}");
    }
    assert!(found.iter().all(|line| line.site.contains(file!())), "{found:#?}");
    let sum: u64 = profile.instructions.iter().map(|i| i.ns).sum();
    assert!(sum > 0 && sum <= profile.ns, "{sum} of {}", profile.ns);
    assert_eq!(found.iter().map(|l| l.ns).sum::<u64>(), sum);
    assert_eq!(sum + profile.outside(), profile.ns);
    let plan = step.report().plan.as_ref().expect("a plan");
    assert_eq!(profile.instructions.len(), plan.moved.len());
    let bytes: u64 = found.iter().map(|l| l.bytes).sum();
    assert_eq!(bytes, 20 * plan.bytes_moved());
}

#[test]
fn products_count_their_operations() {
    let (mut step, params, _) = step(Compile::default().threads(1), 1);
    let mut state = State::new(&params);
    let profile = step.profile(&mut state, &batch(), 1).expect("it runs");
    let gemms = profile.instructions.iter().filter(|i| i.work.kernel == "gemm");
    // Forward x·w for both layers, backward dw for both, dx for the second.
    let terms = 2 * BATCH * 12 * 20 + 3 * BATCH * 20 * 4;
    assert_eq!(gemms.map(|i| i.work.flops).sum::<u64>(), 2 * terms as u64);
}

#[test]
fn runs_that_gather_are_beside_those_that_update() {
    let (mut step, params, _) = step(Compile::default().threads(1), 3);
    let mut state = State::new(&params);
    let profile = step.profile(&mut state, &batch(), 6).expect("it runs");
    let runs = |n: u64| profile.instructions.iter().filter(|i| i.runs == n).count();
    assert_eq!(runs(2), step.report().plan.as_ref().expect("a plan").moved.len());
    assert!(runs(4) > 0 && runs(2) + runs(4) == profile.instructions.len());
}

#[test]
fn the_interpreter_has_no_instructions() {
    let (mut step, params, _) = step(Compile::none(), 1);
    let error = step.profile(&mut State::new(&params), &batch(), 1).expect_err("refused");
    assert_eq!(error, ExecError::NoProfile);
}
