//! The laws, over the whole registry and many cases: a table of what was compared.
//!
//! ```text
//! cargo run --release -p pleach-check --example laws -- --cases 1000
//! cargo run --release -p pleach-check --example laws -- --only matmul
//! ```
//!
//! For every operator, for at least `--cases` generated shapes that it has samples of:
//! - gradients: first and second derivatives, forward and reverse, against central differences and
//!   each other;
//! - types: the value has the inferred type, in f32 and f64;
//! - kernels: what a plan computes, without fallback, is what the interpreter computes;
//! - text: it reads back as the same operator.
//!
//! It ends with 1 if a law does not hold. `cargo test` runs the same laws on fewer cases.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use pleach_check::GradCheck;
use pleach_exec::{Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_ops::{Dims, OPERATORS, OperatorInfo, Registry, Sample};
use pleach_tensor::compare::{bit_mismatch, mismatch};

/// Checks the laws of every operator on generated shapes.
#[derive(Parser)]
struct Args {
    /// Shapes for each operator and law.
    #[arg(long, default_value_t = 1000)]
    cases: u32,
    /// Only operators whose name holds this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Threads; all processors if nothing is said.
    #[arg(long)]
    threads: Option<usize>,
}

/// What was found for one operator.
struct Row {
    name: &'static str,
    /// Shapes on which derivatives were compared, and how many derivatives.
    gradients: (u32, usize),
    /// Samples whose type, kernel and text were compared.
    values: usize,
    time: Duration,
    wrong: Vec<String>,
}

/// Values come from outside: there is nothing to evaluate.
const SOURCES: [&str; 3] = ["input", "variable", "parameter"];

/// The shape and the choices of a case: axes of length 0 to 4, up to three of them.
fn dims(case: u64, float: DType) -> Dims {
    let key = Key(0x1a75).fold(case);
    let rank = key.below(0, 4);
    let length = |axis: u64| [0, 1, 1, 2, 2, 3, 3, 4][key.below(1 + axis, 8) as usize];
    Dims { shape: (0..rank).map(length).collect(), seed: key.fold(9).0, float }
}

/// Type, kernel and text of a sample.
fn values(sample: &Sample, key: Key) -> Result<(), String> {
    let says = |e: &dyn std::fmt::Display| format!("{}: {e}", sample.op);
    let types: Vec<&Type> = sample.inputs.iter().map(|x| &x.ty).collect();
    let ty = sample.op.infer(&types).map_err(|e| says(&e))?;
    let x = sample.draw(key);
    let want = sample.op.eval(&x.iter().collect::<Vec<_>>(), &ty).map_err(|e| says(&e))?;
    if *want.ty() != ty {
        return Err(says(&format!("a value of type {} for {ty}", want.ty())));
    }
    let text = sample.op.to_string();
    if Op::parse(&text, None, &Registry::new()).map_err(|e| says(&e))? != sample.op {
        return Err(says(&"reads back as another operator"));
    }
    let g = Graph::raw();
    let input = |(i, x): (usize, &Tensor)| g.input(&format!("x{i}"), x.dtype(), x.shape()).id();
    let ids: Vec<NodeId> = x.iter().enumerate().map(input).collect();
    g.output("y", g.push(sample.op.clone(), &ids));
    let options = Options { threads: 1, fallback: false };
    let mut plan = Plan::compile(&g, &g.inputs(), options).map_err(|e| says(&e))?;
    let mut state = State::new(&Params::seeded(1));
    let got = plan.run(&mut state, &x).map_err(|e| says(&e))?;
    let got = got.tensor("y").map_err(|e| says(&e))?;
    let differs = match want.dtype().is_float() {
        true => mismatch(&got, &want, sample.tolerance),
        false => bit_mismatch(&got, &want),
    };
    differs.map_or(Ok(()), |why| Err(says(&why)))
}

/// All laws of one operator, on `cases` shapes that it has samples of.
fn check(operator: &OperatorInfo, cases: u32) -> Row {
    let start = Instant::now();
    let mut row = Row {
        name: operator.name,
        gradients: (0, 0),
        values: 0,
        time: Duration::ZERO,
        wrong: Vec::new(),
    };
    // The same shapes at every run; twenty times as many at most, if most of them do not fit.
    let (mut sampled, most) = (0, 20 * u64::from(cases));
    for case in 0..most {
        let float = if case % 2 == 0 { F64 } else { F32 };
        let samples = (operator.samples)(&dims(case, float));
        for (sample, i) in samples.iter().zip(0..) {
            row.values += 1;
            row.wrong.extend(values(sample, Key(case).fold(i)).err());
        }
        sampled += u32::from(!samples.is_empty());
        if sampled >= cases || row.wrong.len() > 3 {
            break;
        }
    }
    // Half of the generated shapes have an axis of length 0 or no derivative.
    let differentiable = |case| {
        (operator.samples)(&dims(case, F64)).iter().any(|sample| {
            let types: Vec<&Type> = sample.inputs.iter().map(|x| &x.ty).collect();
            let elements = types.iter().any(|ty| ty.dtype().is_float() && ty.numel() > 0);
            let result =
                sample.op.infer(&types).is_ok_and(|y| y.dtype().is_float() && y.numel() > 0);
            sample.differentiable && elements && result
        })
    };
    let fitting = (0..200).filter(|&case| differentiable(case)).count() as u32;
    if let Some(wanted) = cases.saturating_mul(220).checked_div(fitting) {
        match GradCheck::default().law(operator.samples, wanted.saturating_add(10)) {
            Ok(covered) => row.gradients = (covered.checked, covered.compared),
            Err(error) => row.wrong.push(format!("gradients: {error}")),
        }
    }
    row.time = start.elapsed();
    row
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen = |operator: &&OperatorInfo| {
        operator.name.contains(&args.only) && !SOURCES.contains(&operator.name)
    };
    let operators: Vec<&OperatorInfo> = OPERATORS.iter().filter(chosen).collect();
    let bar = ProgressBar::new(operators.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(operator) = operators.get(next.fetch_add(1, Ordering::Relaxed)) {
            bar.set_message(operator.name);
            let row = check(operator, args.cases);
            bar.inc(1);
            if let Ok(mut rows) = rows.lock() {
                rows.push(row);
            }
        }
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(all).max(1);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    bar.finish_and_clear();

    let mut rows = rows.into_inner().unwrap_or_default();
    rows.sort_by_key(|row: &Row| row.name);
    let mut table = Table::new();
    table.set_header(["operator", "shapes differentiated", "derivatives", "values", "seconds", ""]);
    for row in &rows {
        table.add_row([
            row.name.to_string(),
            row.gradients.0.to_string(),
            row.gradients.1.to_string(),
            row.values.to_string(),
            format!("{:.1}", row.time.as_secs_f64()),
            if row.wrong.is_empty() { "holds".into() } else { "DOES NOT HOLD".into() },
        ]);
    }
    for i in 1..5 {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    let wrong = rows.iter().filter(|row| !row.wrong.is_empty()).count();
    for row in &rows {
        row.wrong.iter().for_each(|why| println!("{}: {why}", row.name));
    }
    // A panic of a thread ends the program before this line: every operator has a row.
    println!("{} operators, {wrong} of them wrong", rows.len());
    if wrong == 0 && rows.len() == operators.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
