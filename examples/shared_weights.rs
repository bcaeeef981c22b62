//! Weights in two places: a table of vectors that is both the input and the output of a language
//! model, and a siamese net that looks at two images with one pair of eyes.
//! Takes a second.
//!
//! A layer may be called, and a parameter used, any number of times. It stays one parameter, with
//! one gradient: the sum over its uses.
//!
//! `cargo run --release --example shared_weights`

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use pleach::data::{Csv, CsvOptions, Vocabulary, scale};
use pleach::prelude::*;

/// Shakespeare, sonnet 18.
const TEXT: &str = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate: \
    Rough winds do shake the darling buds of May, and summer's lease hath all too short a date: \
    Sometime too hot the eye of heaven shines, and often is his gold complexion dimmed, and every \
    fair from fair sometime declines, by chance, or nature's changing course untrimmed: But thy \
    eternal summer shall not fade, nor lose possession of that fair thou ow'st, nor shall death \
    brag thou wander'st in his shade, when in eternal lines to time thou grow'st, so long as men \
    can breathe, or eyes can see, so long lives this, and this gives life to thee.";

/// Predicts a character from the last `CONTEXT`.
const CONTEXT: usize = 5;

struct TiedModel {
    table: Embedding,
    hidden: Linear,
}

impl TiedModel {
    fn call<'g>(&self, text: Var<'g>) -> Var<'g> {
        let vectors = self.table.call(text).flatten(1); // [batch, CONTEXT · 32]
        let h = self.hidden.call(vectors).tanh();
        h.matmul(text.graph().param(&self.table.w).t()) // the table again: a score for every row
    }
}

fn tied_embedding() -> Result<f64, Box<dyn Error>> {
    let letters = Vocabulary::characters(TEXT);
    let tokens = letters.encode(TEXT)?;
    let p = Params::seeded(1);
    let model = TiedModel {
        table: Embedding::new(&p.scope("table"), letters.len(), 32),
        hidden: Linear::new(&p.scope("hidden"), CONTEXT * 32, 32),
    };
    println!("tied model: {} parameters, untied {}", p.count(), p.count() + letters.len() * 32);

    let (batch, steps) = (64, 600);
    let g = Graph::train();
    let (x, y) = (g.input("x", I64, [batch, CONTEXT]), g.input("y", I64, [batch, CONTEXT]));
    let next = y.slice(1, CONTEXT - 1..CONTEXT).squeeze(1);
    let loss = model.call(x).cross_entropy(next);
    let optimizer = Adam::new(Rate::new(0.01, Cosine { steps, min: 0.01 }));
    let mut step = g.minimize(loss, optimizer).compile(Compile::default().no_fallback())?;
    let mut state = State::new(&p);
    let windows = tokens.windows(CONTEXT, 1)?;
    let (mut last, mut epoch) = (Vec::new(), 0);
    while last.len() < steps as usize {
        for batch in windows.batches(batch, Order::Shuffled { seed: 1, epoch })?.drop_last() {
            last.push(step.run(&mut state, &batch)?.scalar("loss")?);
        }
        epoch += 1;
    }
    Ok(last[last.len() - 9..].iter().sum::<f64>() / 9.0)
}

/// Are two images the same digit? One encoder sees both; the distance of what it sees decides.
fn siamese() -> Result<f64, Box<dyn Error>> {
    let table = Csv::read("examples/data/digits.csv", &CsvOptions::default())?;
    let x = scale(&table.columns::<f32>(0..64)?, 1.0 / 16.0)?;
    let (test, train) =
        Dataset::new([("x", x), ("y", table.column::<i64>(64)?)])?.split_by(|i| i % 5 == 0);
    let p = Params::seeded(2);
    let (a, b) = (Linear::new(&p.scope("a"), 64, 128), Linear::new(&p.scope("b"), 128, 16));
    let n = 90;
    // Squared distances between all pairs of a batch, [n, n]: both sides go through `see`.
    let record = |g: &Graph| -> (NodeId, NodeId) {
        let (x, y) = (g.input("x", F32, [n, 64]), g.input("y", I64, [n]));
        let see = |x| b.call(a.call(x).relu());
        let (left, right) = (see(x).unsqueeze(1), see(x).unsqueeze(0));
        let distance = (left - right).square().sum(2);
        let same = y.unsqueeze(1).equal(y.unsqueeze(0));
        // Contrastive loss: same digits at distance 0, others at 1 or more.
        let apart = (1.0 - (distance + 1e-6).sqrt()).relu().square();
        let loss = same.select(distance, apart).mean();
        let right = distance.less(0.25).equal(same);
        (loss.id(), right.mean().id())
    };
    let g = Graph::train();
    let loss = Var::new(&g, record(&g).0);
    let mut step = g.minimize(loss, Adam::new(2e-3)).compile(Compile::default().no_fallback())?;
    let mut state = State::new(&p);
    for epoch in 0..30 {
        for batch in train.batches(n, Order::Shuffled { seed: 2, epoch })?.drop_last() {
            step.run(&mut state, &batch)?;
        }
    }
    let g = Graph::eval();
    let right = Var::new(&g, record(&g).1);
    let mut eval = g.infer(right).compile(Compile::default())?;
    let mut accuracy = 0.0;
    for batch in test.batches(n, Order::Sequential)? {
        accuracy += eval.run(&mut state, &batch)?.scalar("y")? / 4.0;
    }
    Ok(accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    let loss = tied_embedding()?;
    println!("tied model: {:.3} bits a character at the end\n", loss / std::f64::consts::LN_2);
    let accuracy = siamese()?;
    println!("siamese net: {accuracy:.4} of the pairs of unseen images are told right");
    assert!(loss < 0.3 && accuracy > 0.97, "{loss} {accuracy}");
    Ok(())
}
