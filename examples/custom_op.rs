//! An operator of your own: Lambert's W, checked and then trained through, to measure a diode.
//! Takes less than a second.
//!
//! A diode with a resistor in series carries a current i that solves v = i·r + c·ln(i/s + 1).
//! Solved for i it needs W, the inverse of w·eʷ, which no composition of operators gives.
//! From measured (v, i) the example finds the resistance r and the saturation current s.
//!
//! `cargo run --release --example custom_op`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use pleach::ops::prelude::rules::{Require, map};
use pleach::ops::{Custom, Dims, Grad, Sample};
use pleach::prelude::*;
use serde::{Deserialize, Serialize};

/// `y · e^y = x` for x ≥ 0.
///
/// **Gradient** `dx = dy / (e^y · (1 + y))`, from differentiating the definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct LambertW;

fn lambert_w(x: f64) -> f64 {
    let mut w = x.ln_1p();
    for _ in 0..20 {
        let e = w.exp();
        w -= (w * e - x) / (e * (w + 1.0)); // Newton's method
    }
    w
}

impl Primitive<1> for LambertW {
    const NAME: &'static str = "example.lambert_w";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, lambert_w))
    }

    fn vjp<'g>(&self, _: usize, [_]: [Var<'g>; 1], y: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        (dy / (y.exp() * (y + 1.0))).into()
    }

    /// Operands for the check: any shape, values in 0.1..8.
    fn samples(dims: &Dims) -> Vec<Sample> {
        let op = Op::Custom(Custom::new(LambertW));
        vec![Sample::new(op, [dims.float().within(0.1, 8.0)])]
    }
}

/// Thermal voltage times the diode's ideality, in volts.
const C: f64 = 0.04;

/// The current at voltage `v`, in milliampere and kiloohm.
fn current<'g>(v: Var<'g>, r: Var<'g>, s: Var<'g>) -> Var<'g> {
    let x = s * r / C * ((v + s * r) / C).exp();
    Var::apply(LambertW, [x]) * C / r - s
}

/// The same by bisection of the equation, without W.
fn measured(v: f64, r: f64, s: f64) -> f64 {
    let (mut low, mut high) = (0.0, v / r);
    for _ in 0..100 {
        let i = (low + high) / 2.0;
        if i * r + C * (i / s).ln_1p() < v { low = i } else { high = i }
    }
    low
}

fn main() -> Result<(), Box<dyn Error>> {
    // The law of the library's own operators: derivatives of both orders, both modes, all shapes.
    let checked = pleach::check::primitive::<LambertW, 1>(64)?;
    println!("the rule is right in {} comparisons", checked.compared);

    let (r, s, n) = (0.47, 1e-5, 40);
    let volts: Vec<f64> = (1..=n).map(|k| k as f64 / n as f64).collect();
    let amperes: Vec<f64> = volts.iter().map(|&v| measured(v, r, s)).collect();
    let (volts, amperes) = (Tensor::new([n], volts)?, Tensor::new([n], amperes)?);

    // Both are positive and of unknown size: their logarithms are learned.
    let params = Params::seeded(0).dtype(F64);
    let (ln_r, ln_s) = (
        params.param("ln_r", [], Init::full(0.0)),
        params.param("ln_s", [], Init::full(1e-3f64.ln())),
    );
    let g = Graph::train();
    let (v, i) = (g.input("v", F64, [n]), g.input("i", F64, [n]));
    let (r_, s_) = (g.param(&ln_r).exp(), g.param(&ln_s).exp());
    let loss = current(v, r_, s_).mse(i);
    let optimizer = Adam::new(Rate::new(0.05, Cosine { steps: 2000, min: 0.0 }));
    let mut step = g.minimize(loss, optimizer).compile(Compile::default())?;
    let mut state = State::new(&params);
    for k in 0..2000 {
        let loss = step.run(&mut state, [&volts, &amperes])?.scalar("loss")?;
        if k % 400 == 0 {
            println!("step {k:4}  loss {loss:.3e}");
        }
    }
    let found = [&ln_r, &ln_s].map(|p| state.get(p).to_f64s()[0].exp());
    println!("r = {:.5} kΩ (true {r}), s = {:.4e} mA (true {s:e})", found[0], found[1]);
    assert!((found[0] / r - 1.0).abs() < 1e-3 && (found[1] / s - 1.0).abs() < 1e-2);
    Ok(())
}
