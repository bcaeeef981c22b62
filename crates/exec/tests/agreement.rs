//! A plan computes what the reference interpreter computes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod graphs;

use graphs::{Case, all, copy, differ};
use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_ops::{Dims, Domain, OPERATORS, Sample, SampleOperand, prelude::*};
use pleach_tensor::compare::{bit_mismatch, mismatch, unravel};
use proptest::prelude::*;

/// How an operand reaches the operator: as it is fed, or through a view.
const FORMS: usize = 4;

fn dims() -> impl Strategy<Value = Dims> {
    let shape = proptest::collection::vec(0..=5usize, 0..=3);
    (shape, any::<u64>(), prop_oneof![Just(F32), Just(F64), Just(BF16), Just(F16)])
        .prop_map(|(shape, seed, float)| Dims { shape: shape.into(), seed, float })
}

/// A tensor of this shape, whose elements are those of `t` at the places that `f` says.
fn pick(t: &Tensor, shape: &[usize], f: impl Fn(&[usize]) -> Option<usize>) -> Tensor {
    let ty = Type::new(t.dtype(), shape).unwrap();
    if t.dtype().is_float() {
        let from = t.to_f64s();
        return Tensor::build(&ty, |i| f(&unravel(i, shape)).map_or(f64::NAN, |i| from[i]));
    }
    let from = t.to_i64s();
    Tensor::build_i64(&ty, |i| f(&unravel(i, shape)).map_or(1, |i| from[i]))
}

fn flat(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |at, (i, n)| at * n + i)
}

/// An operand of a sample as a value of `g`; what is fed goes to `feeds`.
fn operand<'g>(
    g: &'g Graph,
    x: &SampleOperand,
    key: Key,
    form: usize,
    feeds: &mut Vec<Tensor>,
) -> Var<'g> {
    let shape = x.ty.shape().to_vec();
    let (name, rank) = (format!("x{}", feeds.len()), shape.len());
    let mut input = |t: Tensor| {
        let x = g.input(&name, t.dtype(), t.shape().clone());
        feeds.push(t);
        x
    };
    match form {
        1 if rank > 1 => {
            let turned: Vec<usize> = shape.iter().rev().copied().collect();
            let order: Vec<i64> = (0..rank as i64).rev().collect();
            let back = |i: &[usize]| i.iter().rev().copied().collect::<Vec<_>>();
            let t = x.draw(key);
            input(pick(&t, &turned, |i| Some(flat(&back(i), &shape)))).permute(&order)
        }
        2 if rank > 0 => {
            // Every second element from the first on, of every axis.
            let wide: Vec<usize> = shape.iter().map(|n| 2 * n + 1).collect();
            let t = x.draw(key);
            let narrow = |i: &[usize]| {
                let odd = i.iter().all(|i| i % 2 == 1);
                odd.then(|| flat(&i.iter().map(|i| i / 2).collect::<Vec<_>>(), &shape))
            };
            let wide_value = input(pick(&t, &wide, narrow));
            (0..rank).fold(wide_value, |v, i| v.slice_step(i as i64, 1..wide[i], 2))
        }
        // A matrix of equal rows is singular.
        3 if rank > 0 && x.ty.numel() > 0 && !matches!(x.domain, Domain::Definite) => {
            let axis = key.below(9, rank as u64) as usize;
            let mut thin = shape.clone();
            thin[axis] = 1;
            let one = SampleOperand { ty: x.ty.with_shape(thin).unwrap(), ..x.clone() };
            input(one.draw(key)).broadcast_to(shape)
        }
        _ => input(x.draw(key)),
    }
}

fn check(sample: &Sample, seed: u64) -> Result<usize, String> {
    let g = if seed.is_multiple_of(2) { Graph::raw() } else { Graph::new() };
    let mut feeds = Vec::new();
    let key = Key(seed);
    let x: Vec<NodeId> = (sample.inputs.iter().enumerate())
        .map(|(i, x)| {
            let form = key.below(100 + i as u64, FORMS as u64) as usize;
            operand(&g, x, key.fold(i as u64), form, &mut feeds).id()
        })
        .collect();
    g.output("y", g.push(sample.op.clone(), &x));
    let options = Options { threads: 1, fallback: false };
    let mut plan = Plan::compile(&g, &g.inputs(), options).map_err(|e| e.to_string())?;
    let state = State::new(&Params::seeded(1));
    let got = plan.run(&mut state.clone(), &feeds).map_err(|e| e.to_string())?;
    let got = got.tensor("y").map_err(|e| e.to_string())?;
    let mut oracle = Interpreted::new(copy(&g), &g.inputs()).unwrap();
    let want = oracle.run(&mut state.clone(), &feeds).map_err(|e| e.to_string())?;
    let want = want.tensor("y").unwrap();
    let wrong = match want.dtype().is_float() {
        true => mismatch(&got, &want, sample.tolerance),
        false => bit_mismatch(&got, &want),
    };
    match wrong {
        Some(why) => Err(format!("{why}\n{g}")),
        None => Ok(plan.report().instructions()),
    }
}

#[test]
fn every_operator_has_a_kernel_that_agrees_with_the_interpreter() {
    let mut wrong = Vec::new();
    for info in OPERATORS.iter() {
        if ["input", "variable", "parameter"].contains(&info.name) {
            continue;
        }
        let samples = std::cell::Cell::new(0);
        let config =
            ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let result = runner.run(&dims(), |dims| {
            for sample in (info.samples)(&dims) {
                samples.set(samples.get() + 1);
                check(&sample, dims.seed).map_err(TestCaseError::fail)?;
            }
            Ok(())
        });
        if let Err(error) = result {
            wrong.push(format!("{}: {error}", info.name));
        }
        assert!(samples.get() >= 50, "{}: {} samples only", info.name, samples.get());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn agrees(seed: u64, float: DType) -> Result<(), TestCaseError> {
    let case = Case::new(seed, float);
    let mut plan = case.plan(1);
    let mut state = State::new(&case.params);
    let mut oracle_state = state.clone();
    for run in 1..=3 {
        let (got, want) = (case.run(&mut plan, &mut state), case.interpret(&mut oracle_state));
        let wrong = differ(&got, &want, case.rtol);
        prop_assert!(wrong.is_none(), "run {run}, {}\n{}", wrong.unwrap(), case.graph);
        // From equal states on: what was near now is a start that later runs take as exact.
        for (name, value) in all(&state) {
            oracle_state.set(&name, &value).unwrap();
        }
    }
    Ok(())
}

#[test]
fn the_generator_reaches_every_kind_of_kernel() {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..1200 {
        let plan = Case::new(seed, F64).plan(1);
        let report = plan.report();
        let more = [
            ("view", report.views),
            ("in place", report.in_place),
            ("updated in place", report.updated_in_place),
        ];
        let once = report.once.iter().map(|moved| (moved.kernel, 1));
        let kernels = report.kernels.iter().map(|(&k, &n)| (k, n)).chain(once);
        kernels.chain(more).for_each(|(k, n)| *kinds.entry(k).or_insert(0) += n);
    }
    assert_eq!(kinds.len(), 15, "{kinds:?}");
    assert!(kinds.values().all(|&n| n >= 10), "{kinds:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn graphs_of_doubles_agree_with_the_interpreter(seed in any::<u64>()) {
        agrees(seed, F64)?;
    }

    #[test]
    fn graphs_of_singles_agree_with_the_interpreter(seed in any::<u64>()) {
        agrees(seed, F32)?;
    }
}
