//! A network from primitives: layers, softmax, loss and gradient descent written out, no library
//! of layers, no optimizer. Classifies handwritten digits. Takes less than a second.
//!
//! `cargo run --release --example from_scratch`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use pleach::data::{Csv, CsvOptions, scale};
use pleach::prelude::*;

const BATCH: usize = 32;
const EPOCHS: u64 = 30;
const RATE: f64 = 0.1;

fn relu(x: Var<'_>) -> Var<'_> {
    x.maximum(0.0)
}

/// Of every row, numbers in 0..1 that sum to 1. The largest is taken away first: nothing overflows.
fn softmax(x: Var<'_>) -> Var<'_> {
    let e = (x - x.max(1).unsqueeze(1)).exp();
    e / e.sum(1).unsqueeze(1)
}

/// The mean of -ln p, where p is what the model gives to the right class.
fn cross_entropy<'g>(logits: Var<'g>, classes: Var<'g>) -> Var<'g> {
    let g = logits.graph();
    let columns = g.iota(I64, logits.shape(), 1); // every row is 0, 1, …, 9
    let right = columns.equal(classes.unsqueeze(1)).cast(F32); // 1 at the right class
    -(softmax(logits) * right).sum(1).ln().mean()
}

/// Two layers. `weights` are names and shapes; values live in a `State`.
fn model<'g>(weights: &[Param; 4], x: Var<'g>) -> Var<'g> {
    let [w1, b1, w2, b2] = weights.each_ref().map(|w| x.graph().param(w));
    let hidden = relu(x.matmul(w1) + b1);
    hidden.matmul(w2) + b2
}

fn main() -> Result<(), Box<dyn Error>> {
    let table = Csv::read("examples/data/digits.csv", &CsvOptions::default())?;
    let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?;
    let data = Dataset::new([("x", x), ("y", table.column::<i64>(64)?)])?;
    let (held_out, train) = data.split_by(|i| i % 5 == 0);

    let params = Params::seeded(0);
    let weights = [
        params.param("w1", [64, 64], Init::normal(0.0, (2.0f64 / 64.0).sqrt())),
        params.param("b1", [64], Init::zeros()),
        params.param("w2", [64, 10], Init::normal(0.0, (2.0f64 / 64.0).sqrt())),
        params.param("b2", [10], Init::zeros()),
    ];

    // The training step is a graph: the loss, its gradients, and what each weight becomes.
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 64]), g.input("y", I64, [BATCH]));
    let loss = cross_entropy(model(&weights, x), y);
    let values = weights.each_ref().map(|w| g.param(w));
    let gradients = g.grad(loss, &values);
    for ((weight, value), gradient) in weights.iter().zip(values).zip(gradients) {
        g.assign_param(weight, value - RATE * gradient);
    }
    let mut step = g.infer(loss).compile(Compile::default().no_fallback())?;
    println!("{}\n", step.report());

    let mut state = State::new(&params);
    for epoch in 0..EPOCHS {
        let (mut sum, mut n) = (0.0, 0.0);
        for batch in train.batches(BATCH, Order::Shuffled { seed: 0, epoch })?.drop_last() {
            sum += step.run(&mut state, &batch)?.scalar("y")?;
            n += 1.0;
        }
        if (epoch + 1) % 10 == 0 {
            println!("epoch {:2}  loss {:.4}", epoch + 1, sum / n);
        }
    }

    // The same model in another graph, over the same state.
    let g = Graph::eval();
    let n = held_out.len();
    let (x, y) = (g.input("x", F32, [n, 64]), g.input("y", I64, [n]));
    let right = model(&weights, x).argmax(1).equal(y).mean();
    let mut eval = g.infer(right).compile(Compile::default())?;
    let accuracy = eval.run(&mut state, held_out.tensors())?.scalar("y")?;
    println!("held-out accuracy {accuracy:.4}");
    assert!(accuracy >= 0.95, "the model is worse than it should be");
    Ok(())
}
