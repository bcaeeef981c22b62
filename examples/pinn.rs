//! A network as the solution of a differential equation: Bratu's u″ = -eᵘ on [0, 1] with
//! u(0) = u(1) = 0, which models heat from a reaction that heat speeds up.
//! Takes a second.
//!
//! The loss is how far u″ + eᵘ is from 0. It holds second derivatives by x, and training
//! differentiates them once more by the weights: derivatives are nodes like any other.
//!
//! `cargo run --release --example pinn`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use indicatif::ProgressBar;
use pleach::nn::zoo::Pinn;
use pleach::prelude::*;

const POINTS: usize = 32;
const STEPS: u64 = 3000;

/// `-2 ln(cosh((x - ½) θ/2) / cosh(θ/4))` where `θ = √2 cosh(θ/4)`.
fn exact(x: f64) -> f64 {
    let mut theta = 1.0f64;
    for _ in 0..200 {
        theta = 2f64.sqrt() * (theta / 4.0).cosh();
    }
    -2.0 * (((x - 0.5) * theta / 2.0).cosh() / (theta / 4.0).cosh()).ln()
}

fn main() -> Result<(), Box<dyn Error>> {
    let params = Params::seeded(0);
    let net = Pinn::new(&params, &[1, 24, 24, 1]);
    // u = x (1 - x) · net: zero at both ends, whatever the net says.
    let solution = |x| net.call(x) * x * (1.0 - x);

    let g = Graph::train();
    let x = g.input("x", F32, [POINTS, 1]);
    let u = solution(x);
    // Every u depends on its own x alone, so the gradient of their sum is each one's derivative.
    let du = g.grad(u, &[x])[0];
    let ddu = g.grad(du, &[x])[0];
    let loss = (ddu + u.exp()).square().mean();
    let optimizer = Adam::new(Rate::new(5e-3, Cosine { steps: STEPS, min: 1e-3 }));
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback())?;
    println!("{}\n", step.report());

    let mut state = State::new(&params);
    let bar = ProgressBar::new(STEPS);
    let mut loss = f64::NAN;
    for i in 0..STEPS {
        let x = Tensor::uniform(&Type::new(F32, [POINTS, 1])?, Key(1).fold(i), 0.0, 1.0);
        loss = step.run(&mut state, [&x])?.scalar("loss")?;
        bar.inc(1);
    }
    bar.finish_and_clear();

    let g = Graph::eval();
    let u = solution(g.input("x", F32, [101, 1]));
    let x = Tensor::build(&Type::new(F32, [101, 1])?, |i| i as f64 / 100.0);
    let mut infer = g.infer(u).compile(Compile::default())?;
    let found = infer.run(&mut state, [&x])?.tensor("y")?.to_f64s();
    let error = |(x, u): (f64, &f64)| (u - exact(x)).abs();
    let worst = x.to_f64s().into_iter().zip(&found).map(error).fold(0.0, f64::max);
    println!("loss {loss:.2e}");
    println!("u(½) = {:.5}, exactly {:.5}", found[50], exact(0.5));
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-3, "the solution is worse than it should be");
    Ok(())
}
