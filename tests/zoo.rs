//! The whole zoo: parameters are as many as documented, one step of training lowers the loss in
//! every engine alike, and the gradients are right.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::check::GradCheck;
use pleach::exec::{Options, Plan};
use pleach::nn::zoo::{
    Autoencoder, Gpt, GruLm, LeNet, LstmLm, Mlp, Ode, Pinn, ResBlock, ResNet, Siamese, TiedLm, Vgg,
};
use pleach::passes::{Pipeline, Saturate};
use pleach::prelude::*;
use pleach::tensor::compare::bit_mismatch;

/// Records the loss of a model.
type Record = Box<dyn for<'g> Fn(&'g Graph) -> Var<'g>>;

/// A model at a size at which it is tested.
struct Case {
    name: &'static str,
    params: Params,
    /// The number that its documentation says.
    count: usize,
    feeds: Vec<Tensor>,
    /// Seconds matter: models with kinks or many operators are not checked to the second order.
    check: Option<GradCheck>,
    loss: Record,
}

fn floats(float: DType, shape: &[usize], low: f64, high: f64) -> Tensor {
    let key = Key(7).fold(shape.iter().fold(1, |h, &n| h * 31 + n as u64));
    Tensor::uniform(&Type::new(F32, shape).unwrap(), key, low, high).cast(float)
}

fn classes(n: usize, of: i64) -> Tensor {
    Tensor::new([n], (0..n as i64).map(|i| i * 7 % of).collect::<Vec<_>>()).unwrap()
}

fn both_orders() -> Option<GradCheck> {
    Some(GradCheck::default())
}

fn first_order() -> Option<GradCheck> {
    Some(GradCheck { second_order: false, ..GradCheck::default() })
}

fn zoo() -> Vec<Case> {
    zoo_of(F32)
}

/// The models with parameters and inputs of this element type.
fn zoo_of(float: DType) -> Vec<Case> {
    let images = [mlp, lenet, vgg, resnet, res_block, siamese, autoencoder];
    let (equations, texts) = ([pinn, ode], [lstm_lm, gru_lm, tied_lm, gpt]);
    let all = images.into_iter().chain(equations).chain(texts);
    all.map(|case: fn(DType) -> Case| case(float)).collect()
}

fn mlp(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Mlp::new(&params, &[64, 128, 10]);
    Case {
        name: "mlp",
        params,
        count: 9610,
        feeds: vec![floats(float, &[8, 64], 0.0, 1.0), classes(8, 10)],
        check: first_order(),
        loss: Box::new(move |g| {
            let (x, y) = (g.input("x", float, [8, 64]), g.input("y", I64, [8]));
            net.call(x).cross_entropy(y)
        }),
    }
}

/// A classifier of `n` images of this shape.
fn images(
    name: &'static str,
    (params, float): (Params, DType),
    count: usize,
    shape: [usize; 4],
    call: impl for<'g> Fn(Var<'g>) -> Var<'g> + 'static,
) -> Case {
    let n = shape[0];
    Case {
        name,
        params,
        count,
        feeds: vec![floats(float, &shape, 0.0, 1.0), classes(n, 10)],
        check: None,
        loss: Box::new(move |g| {
            let (x, y) = (g.input("x", float, shape), g.input("y", I64, [n]));
            call(x).cross_entropy(y)
        }),
    }
}

fn lenet(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = LeNet::classic(&params);
    images("lenet", (params, float), 61_706, [4, 1, 28, 28], move |x| net.call(x))
}

fn vgg(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Vgg::new(&params, 3, 32, &[32, 64, 128], 10);
    images("vgg", (params, float), 307_498, [2, 3, 32, 32], move |x| net.call(x))
}

fn resnet(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = ResNet::new(&params, 3, &[16, 32, 64], 10);
    images("resnet", (params, float), 78_042, [4, 3, 16, 16], move |x| net.call(x))
}

fn res_block(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = ResBlock::new(&params, 2, 3, 2);
    Case {
        name: "res_block",
        params,
        count: 9 * 2 * 3 + 9 * 9 + 4 * 3 + 2 * 3 + 2 * 3,
        feeds: vec![floats(float, &[3, 2, 4, 4], -1.0, 1.0)],
        check: first_order(),
        loss: Box::new(move |g| net.call(g.input("x", float, [3, 2, 4, 4])).square().mean()),
    }
}

fn pinn(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Pinn::new(&params, &[1, 24, 24, 1]);
    Case {
        name: "pinn",
        params,
        count: 673,
        feeds: vec![floats(float, &[6, 1], 0.0, 1.0)],
        check: first_order(),
        loss: Box::new(move |g| {
            let x = g.input("x", float, [6, 1]);
            let u = net.call(x);
            let du = g.grad(u, &[x])[0];
            (g.grad(du, &[x])[0] + u + 1.0).square().mean()
        }),
    }
}

fn ode(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Ode::new(&params, 3, 8, 4);
    Case {
        name: "ode",
        params,
        count: 2 * 3 * 8 + 8 + 3,
        feeds: vec![floats(float, &[5, 3], -1.0, 1.0)],
        check: both_orders(),
        loss: Box::new(move |g| {
            let x = g.input("x", float, [5, 3]);
            net.call(x).mse(x * 0.5)
        }),
    }
}

fn siamese(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Siamese::new(&params, &[4, 8, 3]);
    let same = Tensor::new([6], vec![true, false, true, false, false, true]).unwrap();
    Case {
        name: "siamese",
        params,
        count: 5 * 8 + 9 * 3,
        feeds: vec![floats(float, &[6, 4], -1.0, 1.0), floats(float, &[6, 4], -2.0, 2.0), same],
        check: first_order(),
        loss: Box::new(move |g| {
            let (a, b) = (g.input("a", float, [6, 4]), g.input("b", float, [6, 4]));
            net.loss(a, b, g.input("same", BOOL, [6]))
        }),
    }
}

fn autoencoder(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Autoencoder::new(&params, 6, 4);
    Case {
        name: "autoencoder",
        params,
        count: 6 * 4 + 4 + 6,
        feeds: vec![floats(float, &[5, 6], 0.0, 1.0)],
        check: both_orders(),
        loss: Box::new(move |g| {
            let x = g.input("x", float, [5, 6]);
            net.call(x).mse(x)
        }),
    }
}

/// A model of texts of 7 symbols.
fn text(
    name: &'static str,
    params: Params,
    count: usize,
    check: Option<GradCheck>,
    call: impl for<'g> Fn(Var<'g>) -> Var<'g> + 'static,
) -> Case {
    let codes = |n: i64| Tensor::new([2, 5], (0..10).map(|i| i * n % 7).collect::<Vec<_>>());
    Case {
        name,
        params,
        count,
        feeds: vec![codes(3).unwrap(), codes(4).unwrap()],
        check,
        loss: Box::new(move |g| {
            let (x, y) = (g.input("x", I64, [2, 5]), g.input("y", I64, [2, 5]));
            call(x).flatten_axes(0, 1).cross_entropy(y.flatten_axes(0, 1))
        }),
    }
}

fn lstm_lm(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = LstmLm::new(&params, 7, 3, 4, 1);
    let cell = 16 * (3 + 4 + 2);
    text("lstm_lm", params, 7 * 3 + cell + 5 * 7, first_order(), move |x| net.call(x))
}

fn gru_lm(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = GruLm::new(&params, 7, 3, 4, 2);
    let cells = 12 * (3 + 4 + 2) + 12 * (4 + 4 + 2);
    text("gru_lm", params, 7 * 3 + cells + 5 * 7, first_order(), move |x| net.call(x))
}

fn tied_lm(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = TiedLm::tied(&params, 7, 4, 1);
    let cell = 12 * (4 + 4 + 2);
    text("tied_lm", params, 7 * 4 + cell + 7, both_orders(), move |x| net.call(x))
}

fn gpt(float: DType) -> Case {
    let params = Params::seeded(1).dtype(float);
    let net = Gpt::new(&params, 7, 6, 8, 2, 2);
    let count = (2 * 7 + 6) * 8 + 2 * (12 * 64 + 13 * 8) + 2 * 8;
    text("gpt", params, count, first_order(), move |x| net.call(x))
}

#[test]
fn the_tiny_gpt_is_as_large_as_documented() {
    let params = Params::seeded(1);
    Gpt::tiny(&params, 64);
    assert_eq!(params.count(), 429_568);
}

#[test]
fn parameters_are_as_many_as_documented() {
    for case in zoo() {
        assert_eq!(case.params.count(), case.count, "{}", case.name);
        assert!(case.params.errors().is_empty(), "{}", case.name);
    }
}

#[test]
fn a_step_of_training_lowers_the_loss_in_every_engine_alike() {
    for case in zoo() {
        let losses = |compile: Compile| -> Vec<f64> {
            let g = Graph::train();
            let recording = g.minimize((case.loss)(&g), Sgd::new(0.02));
            let mut step =
                recording.compile(compile).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let mut state = State::new(&case.params);
            (0..2)
                .map(|_| step.run(&mut state, &case.feeds).unwrap().scalar("loss").unwrap())
                .collect()
        };
        let reference = losses(Compile::none());
        assert!(reference[1] < reference[0], "{}: {reference:?}", case.name);
        let all = Pipeline::default().insert_after("simplify", Saturate::default());
        let levels = [Compile::unoptimized(), Compile::exact(), Compile::default()];
        for compile in levels.into_iter().chain([Compile::default().pipeline(all)]) {
            let got = losses(compile.no_fallback());
            for (got, want) in got.iter().zip(&reference) {
                assert!((got - want).abs() <= 1e-4 * want.abs(), "{}: {got} {want}", case.name);
            }
        }
    }
}

/// First and last loss of a few steps, without the interpreter.
fn first_and_last(name: &str, g: &Graph, loss: Var<'_>, feeds: &[Tensor]) -> [f64; 2] {
    let compile = Compile::default().no_fallback();
    let mut step = g.minimize(Var::new(g, loss.id()), Adam::new(5e-3)).compile(compile);
    let step = step.as_mut().unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut state = State::new(&Params::seeded(1));
    let mut run = || step.run(&mut state, feeds).unwrap().scalar("loss").unwrap();
    let first = run();
    [first, (0..9).map(|_| run()).last().unwrap()]
}

#[test]
fn models_of_16_bits_learn_without_the_interpreter() {
    let singles = zoo();
    for float in [BF16, F16] {
        for (case, single) in zoo_of(float).iter().zip(&singles) {
            let g = Graph::train();
            let [first, last] = first_and_last(case.name, &g, (case.loss)(&g), &case.feeds);
            let g = Graph::train();
            let [want, _] = first_and_last(single.name, &g, (single.loss)(&g), &single.feeds);
            assert!(last < first, "{} in {float}: {first} {last}", case.name);
            assert!((first - want).abs() < 0.05 * want, "{} in {float}: {first} {want}", case.name);
        }
    }
}

/// Floats of 16 bits: `exact` has the bits of `unoptimized`, the interpreter and `default` are near.
#[test]
fn models_of_16_bits_are_alike_in_every_engine() {
    let models = [mlp, lenet, res_block, gpt].map(|case: fn(DType) -> Case| case);
    for (model, float) in models.into_iter().flat_map(|model| [BF16, F16].map(|f| (model, f))) {
        let case = model(float);
        let losses = |compile: Compile| -> Vec<f64> {
            let g = Graph::train();
            let recording = g.minimize((case.loss)(&g), Sgd::new(0.05));
            let mut step =
                recording.compile(compile).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let mut state = State::new(&case.params);
            (0..3)
                .map(|_| step.run(&mut state, &case.feeds).unwrap().scalar("loss").unwrap())
                .collect()
        };
        let reference = losses(Compile::none());
        assert!(reference[2] < reference[0], "{} in {float}: {reference:?}", case.name);
        let plain = losses(Compile::unoptimized().no_fallback());
        assert_eq!(losses(Compile::exact().no_fallback()), plain, "{} in {float}", case.name);
        let best = losses(Compile::default().no_fallback());
        for (got, want) in plain.iter().chain(&best).zip(reference.iter().cycle()) {
            let near = (got - want).abs() <= 2.0 * float.epsilon() * want.abs();
            assert!(near, "{} in {float}: {got} {want}", case.name);
        }
    }
}

/// As recorded in `f32`, then with another element type.
#[test]
fn models_that_are_retyped_to_16_bits_learn() {
    for case in zoo() {
        let single = Graph::train();
        single.output("as recorded", (case.loss)(&single).id());
        let g = single.retype(F32, BF16);
        let cast = |x: &Tensor| if x.dtype() == F32 { x.cast(BF16) } else { x.clone() };
        let feeds: Vec<Tensor> = case.feeds.iter().map(cast).collect();
        let loss = g.roots().iter().find(|root| &*root.name == "as recorded").unwrap().value;
        let [first, last] = first_and_last(case.name, &g, Var::new(&g, loss), &feeds);
        assert!(last < first, "{}: {first} {last}", case.name);
    }
}

/// The step of training.
fn compiled(case: &Case, compile: Compile) -> Result<Step, CompileError> {
    let g = Graph::train();
    let adam = AdamW::new(1e-3).clip_norm(1.0);
    g.minimize((case.loss)(&g), adam).compile(compile.no_fallback())
}

/// The bits of every loss and of every variable after training.
fn trained(case: &Case, compile: Compile, steps: usize) -> (Vec<u64>, Vec<(String, Tensor)>) {
    let mut step = compiled(case, compile).unwrap();
    let mut state = State::new(&case.params);
    let loss = |_| step.run(&mut state, &case.feeds).unwrap().scalar("loss").unwrap().to_bits();
    let losses = (0..steps).map(loss).collect();
    let kinds = [Kind::Param, Kind::Buffer, Kind::Slot];
    (losses, kinds.into_iter().flat_map(|kind| state.tensors(kind)).collect())
}

/// Steps are few here; `PLEACH_BITS_STEPS=100` makes them many.
#[test]
fn training_has_the_same_bits_with_any_number_of_threads_and_in_every_run() {
    let steps = std::env::var("PLEACH_BITS_STEPS").ok().and_then(|steps| steps.parse().ok());
    let steps = steps.unwrap_or(5);
    for case in zoo() {
        let (losses, variables) = trained(&case, Compile::default().threads(1), steps);
        assert!(losses.windows(2).any(|pair| pair[0] != pair[1]), "{} stands still", case.name);
        for threads in [1, 2, 3, 8] {
            let (others, values) = trained(&case, Compile::default().threads(threads), steps);
            assert_eq!(others, losses, "{}, {threads} threads", case.name);
            for ((name, a), (_, b)) in variables.iter().zip(&values) {
                let differs = bit_mismatch(b, a);
                assert!(differs.is_none(), "{} {name}, {threads} threads: {differs:?}", case.name);
            }
        }
    }
}

/// The step of a case as its plan is made of.
fn optimized(case: &Case) -> Graph {
    let g = Graph::train();
    let adam = AdamW::new(1e-3).clip_norm(1.0);
    g.minimize((case.loss)(&g), adam).optimize(Compile::default()).unwrap().after
}

/// Loss and variables after three runs of a plan.
fn after_runs(mut plan: Plan, case: &Case) -> (Vec<u64>, Vec<(String, Tensor)>) {
    let mut state = State::new(&case.params);
    let run = |_| plan.run(&mut state, &case.feeds).unwrap().scalar("loss").unwrap().to_bits();
    let losses = (0..3).map(run).collect();
    let kinds = [Kind::Param, Kind::Buffer, Kind::Slot];
    (losses, kinds.into_iter().flat_map(|kind| state.tensors(kind)).collect())
}

#[test]
fn no_plan_reads_what_it_freed_and_any_order_has_the_same_bits() {
    for case in zoo() {
        let (g, options) = (optimized(&case), Options { threads: 1, fallback: false });
        let inputs = g.inputs();
        let want = after_runs(Plan::compile(&g, &inputs, options).unwrap(), &case);
        for seed in [None, Some(1), Some(2), Some(3), Some(4)] {
            let checked = Plan::compile_checked(&g, &inputs, options, seed).unwrap();
            let got = after_runs(checked, &case);
            assert_eq!(got.0, want.0, "{} {seed:?}", case.name);
            for ((name, a), (_, b)) in want.1.iter().zip(&got.1) {
                let differs = bit_mismatch(b, a);
                assert!(differs.is_none(), "{} {seed:?} {name}: {differs:?}", case.name);
            }
        }
    }
}

#[test]
fn arenas_are_at_most_a_twentieth_larger_than_the_least_possible() {
    let mut table = String::new();
    let mut most: f64 = 0.0;
    for case in zoo() {
        let g = optimized(&case);
        let options = Options { threads: 1, fallback: false };
        let plan = Plan::compile(&g, &g.inputs(), options).unwrap();
        let report = plan.report();
        let ratio = report.arena_bytes as f64 / report.lower_bound as f64;
        let proved = if report.least { "proved" } else { "" };
        table += &format!("{:12} {:9} B {ratio:.4} {proved}\n", case.name, report.arena_bytes);
        most = most.max(ratio);
    }
    assert!(most <= 1.05, "{table}");
}

#[test]
fn with_the_least_memory_that_can_be_reached_no_bit_changes() {
    for case in zoo() {
        let arena = |step: &Step| step.report().plan.as_ref().unwrap().arena_bytes as u64;
        let plain = arena(&compiled(&case, Compile::default().threads(1)).unwrap());
        let lowest = match compiled(&case, Compile::default().threads(1).max_peak_bytes(0)) {
            Err(error) => match &error.0[..] {
                [pleach::Problem::Memory { limit: 0, lowest }] => *lowest,
                _ => panic!("{}: {error}", case.name),
            },
            Ok(_) => panic!("{} takes no memory", case.name),
        };
        assert!(lowest <= plain, "{}: {lowest} {plain}", case.name);
        let compile = || Compile::default().threads(1).max_peak_bytes(lowest);
        assert_eq!(arena(&compiled(&case, compile()).unwrap()), lowest, "{}", case.name);
        let (losses, variables) = trained(&case, Compile::default().threads(1), 3);
        let (others, values) = trained(&case, compile(), 3);
        assert_eq!(others, losses, "{}", case.name);
        for ((name, a), (_, b)) in variables.iter().zip(&values) {
            assert_eq!(bit_mismatch(b, a), None, "{} {name}", case.name);
        }
    }
}

#[test]
fn gradients_are_right() {
    for case in zoo() {
        let Some(check) = &case.check else { continue };
        let report = check.model(&case.feeds, |g| (case.loss)(g));
        let report = report.unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert!(report.compared > 0, "{}", case.name);
    }
}

#[test]
fn shared_parameters_do_not_grow_with_their_uses() {
    let count = |steps| {
        let params = Params::seeded(1);
        let net = Ode::new(&params, 3, 8, steps);
        let g = Graph::train();
        net.call(g.input("x", F32, [1, 3]));
        (params.count(), g.variables().len())
    };
    assert_eq!(count(1), count(20));
    let params = Params::seeded(1);
    let net = Siamese::new(&params, &[4, 8, 3]);
    let g = Graph::eval();
    let (a, b) = (g.input("a", F32, [2, 4]), g.input("b", F32, [2, 4]));
    let (a, b, same) = (net.call(a, b), net.call(b, a), net.call(a, a));
    let feeds = [floats(F32, &[2, 4], -1.0, 1.0), floats(F32, &[2, 4], -2.0, 0.0)];
    let [a, b, same] = [a, b, same].map(|v| v.eval(&feeds.each_ref()).unwrap());
    assert_eq!(a, b);
    assert_eq!(same.to_f64s(), [0.0, 0.0]);
}
