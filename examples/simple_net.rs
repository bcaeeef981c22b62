//! Sharing parameters: two layers whose units all use one weight and one bias learn y = 2x.
//! Takes less than a second.
//!
//! Every unit is w·(mean of its inputs) + b, in both layers, so the net is y = w²·x + w·b + b, and
//! must find w = √2 (or -√2) and b = 0. Sharing is asking a graph twice for the same parameter: its gradient
//! is then the sum over all uses, here over 2 · 256 weights, without anything said about it.
//! The twin has the same layers with weights of their own.
//!
//! `cargo run --release --example simple_net`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use comfy_table::Table;
use pleach::prelude::*;

const UNITS: usize = 256;
const BATCH: usize = 16;

/// A layer of `outputs` units. `w` and `b` are single numbers that all units share, or have an
/// element for every connection and every unit.
struct Layer {
    inputs: usize,
    outputs: usize,
    w: Param,
    b: Param,
}

impl Layer {
    fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let w = g.param(&self.w).broadcast_to([self.inputs, self.outputs]);
        x.matmul(w) / self.inputs as f64 + g.param(&self.b)
    }
}

fn shared(p: &Params) -> [Layer; 2] {
    let (w, b) = (p.param("w", [], Init::full(1.0)), p.param("b", [], Init::full(0.5)));
    [
        Layer { inputs: 1, outputs: UNITS, w: w.clone(), b: b.clone() },
        Layer { inputs: UNITS, outputs: 1, w, b },
    ]
}

fn twin(p: &Params) -> [Layer; 2] {
    [("first", 1, UNITS), ("second", UNITS, 1)].map(|(name, inputs, outputs)| {
        let p = p.scope(name);
        let w = p.param("w", [inputs, outputs], Init::normal(1.0, 0.1));
        Layer { inputs, outputs, w, b: p.param("b", [outputs], Init::full(0.5)) }
    })
}

fn call<'g>(layers: &[Layer; 2], x: Var<'g>) -> Var<'g> {
    layers[1].call(layers[0].call(x))
}

/// What is compared of the two nets.
struct Found {
    params: Params,
    state: State,
    arena: usize,
    /// Largest error for x in -10..10; the net has seen -1..1.
    error: f64,
}

fn fit(params: Params, layers: &[Layer; 2]) -> Result<Found, Box<dyn Error>> {
    let x = Tensor::uniform(&Type::new(F32, [BATCH, 1])?, Key(1), -1.0, 1.0);
    pleach::check::model(&[x], |g| call(layers, g.input("x", F32, [BATCH, 1])).square().mean())?;

    let g = Graph::train();
    let x = g.input("x", F32, [BATCH, 1]);
    let loss = call(layers, x).mse(x * 2.0);
    let rate = Rate::new(0.02, Cosine { steps: 1000, min: 0.0 });
    let mut step = g.minimize(loss, Adam::new(rate)).compile(Compile::default().no_fallback())?;
    let mut state = State::new(&params);
    for i in 0..1000 {
        let x = Tensor::uniform(&Type::new(F32, [BATCH, 1])?, Key(2).fold(i), -1.0, 1.0);
        step.run(&mut state, [&x])?;
    }
    let arena = step.report().plan.as_ref().map_or(0, |plan| plan.arena_bytes);

    let g = Graph::eval();
    let x = g.input("x", F32, [201, 1]);
    let worst = (call(layers, x) - x * 2.0).abs().max_all();
    let x = Tensor::build(&Type::new(F32, [201, 1])?, |i| i as f64 / 10.0 - 10.0);
    let error = g.infer(worst).compile(Compile::default())?.run(&mut state, [&x])?.scalar("y")?;
    Ok(Found { params, state, arena, error })
}

fn main() -> Result<(), Box<dyn Error>> {
    let (one, other) = (Params::seeded(0), Params::seeded(0));
    let (layers, twins) = (shared(&one), twin(&other));
    let (shared, twin) = (fit(one, &layers)?, fit(other, &twins)?);
    let mut table = Table::new();
    table.set_header(["", "parameters", "state, bytes", "arena, bytes", "largest error"]);
    for (name, net) in [("shared", &shared), ("twin", &twin)] {
        let numbers = [net.params.count(), net.state.bytes(), net.arena].map(|n| n.to_string());
        let row = [&[name.to_string()], &numbers[..], &[format!("{:.1e}", net.error)]].concat();
        table.add_row(row);
    }
    println!("{table}\nthe state holds parameters and the two moments of Adam");
    let (w, b) = (shared.state.value("w")?.to_f64s()[0], shared.state.value("b")?.to_f64s()[0]);
    println!("w = {w:.6} (√2 = {:.6}), b = {b:.6}", 2f64.sqrt());
    assert_eq!((shared.params.count(), twin.params.count()), (2, 2 * UNITS + UNITS + 1));
    assert!(shared.state.bytes() < twin.state.bytes() && shared.arena <= twin.arena);
    assert!((w * w - 2.0).abs() < 1e-3 && shared.error < 1e-2, "{w} {}", shared.error);
    Ok(())
}
