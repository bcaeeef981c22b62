//! From model code to a trained model: a classifier of handwritten digits.
//!
//! `cargo run --release --example quickstart [-- --seed N]`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::{ChartBuilder, IntoDrawingArea, LineSeries, RED, SVGBackend, WHITE};

use pleach::check::GradCheck;
use pleach::data::{Csv, CsvOptions, scale};
use pleach::format::safetensors;
use pleach::prelude::*;

#[derive(Parser)]
struct Args {
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long, default_value_t = 40)]
    epochs: u64,
    /// Where loss curve and weights go.
    #[arg(long, default_value = "out/quickstart")]
    out: PathBuf,
}

const BATCH: usize = 64;

/// 64 pixels, 10 digits; the layer `mix` is applied twice: its parameters are shared.
struct Net {
    input: Linear,
    mix: Linear,
    drop: Dropout,
    output: Linear,
}

impl Net {
    fn new(p: &Params) -> Net {
        Net {
            input: Linear::new(&p.scope("input"), 64, 128),
            mix: Linear::new(&p.scope("mix"), 128, 128),
            drop: Dropout::new(0.4),
            output: Linear::new(&p.scope("output"), 128, 10),
        }
    }

    fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let h = self.input.call(x).relu();
        let h = h + self.mix.call(h).relu();
        let h = h + self.mix.call(h).relu();
        self.output.call(self.drop.call(h))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let table = Csv::read("examples/data/digits.csv", &CsvOptions::default())?;
    let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?;
    let data = Dataset::new([("x", x), ("y", table.column::<i64>(64)?)])?;
    let (held_out, train) = data.split_by(|i| i % 5 == 0);
    let train = with_shifts(&train)?;

    let params = Params::seeded(args.seed);
    let net = Net::new(&params);
    let batch = train.batches(8, Order::Sequential)?.next().ok_or("no data")?;
    let feeds: Vec<Tensor> = batch;
    // Smooth units: at the kinks of relu finite differences say nothing.
    let checked = GradCheck { second_order: false, ..GradCheck::default() }.model(&feeds, |g| {
        let (x, y) = (g.input("x", F32, [8, 64]), g.input("y", I64, [8]));
        let h = net.mix.call(net.mix.call(net.input.call(x).tanh()).tanh());
        net.output.call(h).cross_entropy(y)
    })?;
    println!("gradients agree with finite differences: {} comparisons\n", checked.compared);

    let steps_per_epoch = (train.len() / BATCH) as u64;
    let schedule = Cosine { steps: args.epochs * steps_per_epoch, min: 0.01 };
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 64]), g.input("y", I64, [BATCH]));
    let logits = net.call(x);
    let mut step = g
        .minimize(logits.cross_entropy(y), AdamW::new(Rate::new(2e-3, schedule)))
        .output("accuracy", logits.argmax(1).equal(y).mean())
        .compile(Compile::default().no_fallback())?;
    println!("{}\n", step.report());

    let mut state = State::new(&params);
    let bar = ProgressBar::new(args.epochs * steps_per_epoch)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    let mut curve: Vec<f64> = Vec::new();
    let mut epochs = Table::new();
    epochs.set_header(["epoch", "loss", "accuracy"]);
    for epoch in 0..args.epochs {
        let order = Order::Shuffled { seed: args.seed, epoch };
        let (mut loss, mut accuracy, mut n) = (0.0, 0.0, 0.0);
        for batch in train.batches(BATCH, order)?.drop_last() {
            let out = step.run(&mut state, &batch)?;
            (loss, accuracy, n) =
                (loss + out.scalar("loss")?, accuracy + out.scalar("accuracy")?, n + 1.0);
            curve.push(out.scalar("loss")?);
            bar.inc(1);
        }
        bar.set_message(format!("loss {:.4}", loss / n));
        let row = [loss / n, accuracy / n].map(|v| format!("{v:.4}"));
        epochs.add_row([&[format!("{}", epoch + 1)], &row[..]].concat());
    }
    bar.finish_and_clear();
    println!("{epochs}");

    std::fs::create_dir_all(&args.out)?;
    let (plot, weights) = (args.out.join("loss.svg"), args.out.join("weights.safetensors"));
    draw(&plot, &curve)?;
    let tensors: BTreeMap<String, Tensor> = state.tensors(Kind::Param).into_iter().collect();
    safetensors::save(&weights, &tensors, &BTreeMap::new())?;
    println!("loss curve in {}, weights in {}", plot.display(), weights.display());

    // Another graph of the same model, over weights that come back from the file.
    let mut reloaded = State::new(&params);
    for (name, value) in &safetensors::load(&weights)?.tensors {
        reloaded.set(name, value)?;
    }
    let g = Graph::eval();
    let n = held_out.len();
    let (x, y) = (g.input("x", F32, [n, 64]), g.input("y", I64, [n]));
    let correct = net.call(x).argmax(1).equal(y).mean();
    let mut eval = g.infer(correct).compile(Compile::default())?;
    let accuracy = eval.run(&mut reloaded, held_out.tensors())?.scalar("y")?;
    println!("held-out accuracy {accuracy:.4}");
    assert!(accuracy >= 0.97, "the model is worse than it should be");
    Ok(())
}

fn draw(path: &std::path::Path, curve: &[f64]) -> Result<(), Box<dyn Error>> {
    let top = curve.iter().copied().fold(0.0, f64::max);
    let area = SVGBackend::new(path, (800, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart =
        ChartBuilder::on(&area).margin(10).build_cartesian_2d(0..curve.len(), 0.0..top)?;
    chart.draw_series(LineSeries::new(curve.iter().copied().enumerate(), &RED))?;
    area.present()?;
    Ok(())
}

/// The images, and four copies of each, shifted by one pixel in each direction. (This, dropout
/// and the number of epochs were chosen on a part of the training rows, not on those held out.)
fn with_shifts(data: &Dataset) -> Result<Dataset, Box<dyn Error>> {
    let (x, y) = (data.get("x")?, data.get("y")?.to_i64s());
    let (pixels, n) = (x.to_f64s(), data.len());
    let shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)];
    let ty = Type::new(F32, [shifts.len() * n, 64])?;
    let moved = Tensor::build(&ty, |i| {
        let ((right, down), image, pixel) = (shifts[i / 64 / n], i / 64 % n, i as i64 % 64);
        let (column, row) = (pixel % 8 - right, pixel / 8 - down);
        let inside = (0..8).contains(&column) && (0..8).contains(&row);
        if inside { pixels[image * 64 + (row * 8 + column) as usize] } else { 0.0 }
    });
    let labels = Tensor::build_i64(&Type::new(I64, [shifts.len() * n])?, |i| y[i % n]);
    Ok(Dataset::new([("x", moved), ("y", labels)])?)
}
