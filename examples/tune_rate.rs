//! Choosing a learning rate: 5-fold cross-validation on the training images, then a contest with
//! the default on images that took no part in the choice (5 seconds).
//!
//! `cargo run --release --example tune_rate [-- --seed N --threads 2]`
//!
//! Kill it and start it again: what is done is in out/tune_rate/, and is not done again.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pleach::data::{Csv, CsvOptions, scale};
use pleach::prelude::*;
use pleach::tune::{Direction, Options, RangeTest, Space, cross_validate, grid};

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    #[arg(long, default_value_t = 13)]
    rates: usize,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where journal and drawings go.
    #[arg(long, default_value = "out/tune_rate")]
    out: PathBuf,
}

type Failure = Box<dyn Error>;
const BATCH: usize = 64;
const DEFAULT: f64 = 1e-3; // what Adam's authors propose

struct Net(Linear, Linear);

impl Net {
    fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.1.call(self.0.call(x).relu())
    }
}

/// A classifier of digits, compiled to train by Adam.
fn training(seed: u64, rate: f64) -> Result<(Net, Step, State), Failure> {
    let params = Params::seeded(seed);
    let net = Net(Linear::new(&params.scope("a"), 64, 64), Linear::new(&params.scope("b"), 64, 10));
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 64]), g.input("y", I64, [BATCH]));
    let step = g.minimize(net.call(x).cross_entropy(y), Adam::new(rate));
    Ok((net, step.compile(Compile::default())?, State::new(&params)))
}

/// The share of `test` that is right after training on `train`.
fn accuracy(
    (train, test): (&Dataset, &Dataset),
    (seed, epochs, rate): (u64, u64, f64),
) -> Result<f64, Failure> {
    let (net, mut step, mut state) = training(seed, rate)?;
    for epoch in 0..epochs {
        for batch in train.batches(BATCH, Order::Shuffled { seed, epoch })?.drop_last() {
            step.run(&mut state, &batch)?;
        }
    }
    let g = Graph::eval();
    let (x, y) = (g.input("x", F32, [test.len(), 64]), g.input("y", I64, [test.len()]));
    let right = net.call(x).argmax(1).equal(y).mean();
    let mut eval = g.infer(right).compile(Compile::default())?;
    Ok(eval.run(&mut state, test.tensors())?.scalar("y")?)
}

fn main() -> Result<(), Failure> {
    let Args { seed, epochs, rates, threads, out } = Args::parse();
    let table = Csv::read("examples/data/digits.csv", &CsvOptions::default())?;
    let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?;
    let data = Dataset::new([("x", x), ("y", table.column::<i64>(64)?)])?;
    let (held_out, train) = data.split_by(|i| i % 5 == 0);
    std::fs::create_dir_all(&out)?;

    // Which rates make the loss fall at all? A few steps say so. The first one, at rate 0, makes the
    // slots of the optimizer.
    let (_, mut step, mut state) = training(seed, 0.0)?;
    let epoch = |epoch| train.batches(BATCH, Order::Shuffled { seed, epoch });
    let mut batches = (0..).flat_map(epoch).flat_map(|batches| batches.drop_last());
    step.run(&mut state, &batches.next().ok_or("no data")?)?;
    let curve = RangeTest { low: 1e-5, high: 1.0, ..RangeTest::default() }.run(|rate| {
        state.set("adam.rate", &Tensor::scalar(rate))?;
        let batch = batches.next().ok_or("no data")?;
        Ok::<f64, Failure>(step.run(&mut state, &batch)?.scalar("loss")?)
    })?;
    std::fs::write(out.join("range.svg"), curve.svg()?)?;
    println!("the loss falls fastest at rate {:.4}", curve.suggestion.unwrap_or(f64::NAN));

    let space = Space::new().log_uniform("rate", 1e-4, 0.1);
    let bar = ProgressBar::new(5 * rates as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} trainings, {eta} left")?);
    let name = format!("accuracy of digits by 5 folds, {epochs} epochs");
    let journal = Some(out.join("journal.jsonl"));
    let options = Options { name, direction: Direction::Maximize, seed, threads, journal };
    let found = grid(&space, &[("rate", rates)], &options, |trial| {
        let rate = trial.float("rate")?;
        cross_validate(train.k_folds_stratified(5, seed, "y")?, |_, (train, test)| {
            let accuracy = accuracy((&train, &test), (trial.seed, epochs, rate))?;
            bar.inc(1);
            Ok::<f64, Failure>(accuracy)
        })
    })?;
    bar.finish_and_clear();
    println!("{}", found.table(rates));
    std::fs::write(out.join("found.svg"), found.svg()?)?;

    let best = found.best().ok_or("no rate has a score")?.trial.float("rate")?;
    let held_out = |rate| accuracy((&train, &held_out), (seed, epochs, rate));
    let (tuned, default) = (held_out(best)?, held_out(DEFAULT)?);
    println!("held-out accuracy {tuned:.4} at rate {best:.4}, {default:.4} at {DEFAULT}");
    assert!(tuned > default, "the rate that was chosen is no better than the default");
    Ok(())
}
