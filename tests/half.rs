//! Gradients of floats of 16 bits, and training in mixed precision.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::exec::{Interpreted, Options, Plan};
use pleach::nn::zoo::Mlp;
use pleach::ops::{Dims, OPERATORS, Sample};
use pleach::optim::LossScale;
use pleach::passes::testing::scale_of;
use pleach::prelude::*;

/// The gradients of `Σ op(x) w` by all floats of a sample, without the interpreter, and those that it
/// finds in f64 for the same numbers; what they may differ by is in proportion to the last number.
/// None if the result is no float.
fn gradients(sample: &Sample, half: DType, key: Key) -> Option<(Vec<Tensor>, Vec<Tensor>, f64)> {
    let (g, mut feeds) = (Graph::new(), sample.draw(key));
    let input = |(i, x): (usize, &Tensor)| g.input(&format!("x{i}"), x.dtype(), x.shape().clone());
    let xs: Vec<Var<'_>> = feeds.iter().enumerate().map(input).collect();
    let ids: Vec<NodeId> = xs.iter().map(|x| x.id()).collect();
    let y = Var::new(&g, g.push(sample.op.clone(), &ids));
    if y.dtype() != half {
        return None;
    }
    let w = Tensor::uniform(&y.ty()?, key.fold(99), -1.0, 1.0);
    let loss = (y * g.input("w", half, w.shape().clone())).sum_all();
    feeds.push(w);
    let floats: Vec<Var<'_>> = xs.into_iter().filter(|x| x.dtype() == half).collect();
    for (i, dx) in g.grad(loss, &floats).iter().enumerate() {
        g.output(&format!("d{i}"), dx.id());
    }
    assert!(g.check().is_ok(), "{:?}", g.errors());
    let state = State::new(&Params::seeded(1));
    let options = Options { threads: 1, fallback: false };
    let mut plan = Plan::compile(&g, &g.inputs(), options).unwrap();
    let got = plan.run(&mut state.clone(), &feeds).unwrap().tensors();
    let double = g.retype(half, F64);
    let cast = |x: &Tensor| if x.dtype() == half { x.cast(F64) } else { x.clone() };
    let feeds: Vec<Tensor> = feeds.iter().map(cast).collect();
    let scale = scale_of(&double, &feeds).unwrap();
    let inputs = double.inputs();
    let mut oracle = Interpreted::new(double, &inputs).unwrap();
    let want = oracle.run(&mut state.clone(), &feeds).unwrap().tensors();
    let values = |all: Vec<(String, Tensor)>| all.into_iter().map(|(_, x)| x).collect();
    Some((values(got), values(want), scale))
}

#[test]
fn gradients_of_every_operator_are_those_of_f64() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for (info, half) in OPERATORS.iter().flat_map(|info| [BF16, F16].map(|half| (info, half))) {
        for seed in 0..12 {
            let shape: &[usize] = [&[][..], &[5], &[3, 4], &[2, 3, 2]][seed as usize % 4];
            let dims = Dims { shape: shape.into(), seed, float: half };
            let samples = (info.samples)(&dims).into_iter().filter(|sample| sample.differentiable);
            for (i, sample) in samples.enumerate() {
                let key = Key(seed).fold(i as u64);
                let Some((got, want, scale)) = gradients(&sample, half, key) else { continue };
                let room = 8.0 * half.epsilon();
                for (got, want) in got.iter().zip(&want) {
                    assert_eq!((got.dtype(), got.shape()), (half, want.shape()));
                    for (a, b) in got.to_f64s().into_iter().zip(want.to_f64s()) {
                        compared += 1;
                        let near = (a - b).abs() <= room * scale || a.is_nan() && b.is_nan();
                        if !near && scale < half.largest() {
                            wrong.push(format!("{} {half}{shape:?} {seed}: {a} {b}", info.name));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty() && compared > 10_000, "{compared}\n{}", wrong.join("\n"));
}

/// Weights in `f32`, products in 16 bits: casts of weights are bound, and of what comes in.
fn mixed(half: DType, steps: usize, scale: f64) -> Vec<f64> {
    let p = Params::seeded(3);
    let net = Mlp::new(&p, &[8, 32, 4]);
    let g = Graph::train();
    for w in p.variables() {
        g.bind(&w, |w| w.cast(half));
    }
    let (x, y) = (g.input("x", F32, [16, 8]), g.input("y", I64, [16]));
    let logits = net.call(x.cast(half));
    assert_eq!(logits.dtype(), half);
    let loss = logits.cast(F32).cross_entropy(y);
    let optimizer = LossScale::new(Adam::new(1e-2), scale);
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback()).unwrap();
    let mut state = State::new(&p);
    let feeds = [
        Tensor::normal(&Type::new(F32, [16, 8]).unwrap(), Key(5), 0.0, 1.0),
        Tensor::build_i64(&Type::new(I64, [16]).unwrap(), |i| i as i64 % 4),
    ];
    let losses = (0..steps).map(|_| step.run(&mut state, &feeds).unwrap().scalar("loss").unwrap());
    let losses = losses.collect();
    assert!(state.tensors(Kind::Param).iter().all(|(_, w)| w.dtype() == F32));
    losses
}

#[test]
fn mixed_precision_follows_f32() {
    let want = mixed(F32, 60, 1.0);
    for (half, scale) in [(BF16, 1.0), (F16, 1024.0)] {
        let got = mixed(half, 60, scale);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!((got - want).abs() < 0.03, "{half}, step {i}: {got} {want}");
        }
        assert!(got[59] < 0.1 * got[0], "{half}: {} {}", got[0], got[59]);
    }
}

/// A loss that is scaled too much is infinite in `f16`: no update happens until the scale is low.
#[test]
fn a_scale_that_overflows_falls() {
    let got = mixed(F16, 24, 1e9);
    assert!(got[0] == got[1] && got[23] < got[0], "{got:?}");
}
