//! Convolutions: LeNet classifies digits of 8×8 (10 seconds), or MNIST and Fashion-MNIST (90 seconds
//! each on 2 cores).
//!
//! `cargo run --release --example lenet`
//! `cargo run --release --example lenet -- --images out/data/package/data --at-least 0.988`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pleach::data::{Csv, CsvOptions, idx, scale};
use pleach::nn::zoo::LeNet;
use pleach::prelude::*;

#[derive(Parser)]
struct Args {
    /// Folder with train-images-idx3-ubyte and the other three files, with or without .gz.
    #[arg(long)]
    images: Option<PathBuf>,
    /// Passes over the data; 40 for the small digits, 10 for others.
    #[arg(long)]
    epochs: Option<u64>,
    /// Share of the held-out images that must be classified right.
    #[arg(long, default_value_t = 0.96)]
    at_least: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const BATCH: usize = 64;
const HOW: &str =
    "python3 examples/data/get.py mnist (or fashion) fetches images, and prints where";

/// Training and held-out images; `x: f32[n, 1, side, side]`, `y: i64[n]`.
fn digits() -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let table = Csv::read("examples/data/digits.csv", &CsvOptions::default())?;
    let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?.reshape([table.rows(), 1, 8, 8])?;
    let data = Dataset::new([("x", x), ("y", table.column::<i64>(64)?)])?;
    let (held_out, train) = data.split_by(|i| i % 5 == 0);
    Ok((train, held_out))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let params = Params::seeded(args.seed);
    let ((train, held_out), net) = match &args.images {
        Some(folder) => {
            let data = idx::mnist(folder).map_err(|e| format!("{e}\n{HOW}"))?;
            (data, LeNet::classic(&params))
        }
        None => (digits()?, LeNet::new(&params, 8, 3, [16, 32])),
    };
    let side = train.get("x")?.shape()[3];
    println!("{} images, {} parameters", train.len(), params.count());

    let epochs = args.epochs.unwrap_or(if args.images.is_some() { 10 } else { 40 });
    let steps = epochs * (train.len() / BATCH) as u64;
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 1, side, side]), g.input("y", I64, [BATCH]));
    let loss = net.call(x).cross_entropy(y);
    let optimizer = AdamW::new(Rate::new(2e-3, Cosine { steps, min: 0.01 }));
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback())?;

    let g = Graph::eval();
    let part = held_out.len() / 20;
    let (x, y) = (g.input("x", F32, [part, 1, side, side]), g.input("y", I64, [part]));
    let right = net.call(x).argmax(1).equal(y).mean();
    let mut eval = g.infer(right).compile(Compile::default().no_fallback())?;

    let mut state = State::new(&params);
    let bar = ProgressBar::new(steps)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} left {msg}")?);
    let mut accuracy = 0.0;
    for epoch in 0..epochs {
        let (mut loss, mut n) = (0.0, 0.0);
        let order = Order::Shuffled { seed: args.seed, epoch };
        for batch in train.batches(BATCH, order)?.drop_last() {
            loss += step.run(&mut state, &batch)?.scalar("loss")?;
            n += 1.0;
            bar.inc(1);
        }
        let parts = held_out.batches(part, Order::Sequential)?.drop_last();
        let count = parts.len() as f64;
        accuracy = 0.0;
        for batch in parts {
            accuracy += eval.run(&mut state, &batch)?.scalar("y")? / count;
        }
        let line = format!("epoch {:2}  loss {:.4}  held-out {accuracy:.4}", epoch + 1, loss / n);
        bar.suspend(|| println!("{line}"));
    }
    bar.finish_and_clear();
    println!("held-out accuracy {accuracy:.4}");
    assert!(accuracy >= args.at_least, "the model is worse than it should be");
    Ok(())
}
