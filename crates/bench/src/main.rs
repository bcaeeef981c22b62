//! `pleach-bench`: timings beside what the machine can do.
//!
//! ```sh
//! cargo run --release -p pleach-bench -- step --workload gpt8_adamw --threads 2
//! cargo run --release -p pleach-bench -- step --workload gpt8_adamw --profile
//! cargo run --release -p pleach-bench -- passes --nodes 1000000
//! cargo run --release -p pleach-bench -- gemm --threads 1 --table
//! cargo run --release -p pleach-bench -- ulp --function exp --table
//! cargo run --release -p pleach-bench -- bits
//! cargo run --release -p pleach-bench -- checkpointing --layers 64
//! cargo run --release -p pleach-bench -- growth
//! cargo run --release -p pleach-bench -- update --optimizer adam --threads 2 --table
//! cargo run --release -p pleach-bench -- pipelines --workload mlp64_sgdm --each --table
//! cargo run --release -p pleach-bench -- levels --table
//! cargo run --release -p pleach-bench -- fuzz --graphs 100000
//! python3 crates/bench/peers/update.py --optimizer adam --threads 2
//! ```
//! Every measurement is one line of JSON, with the same fields for pleach and its peers. Quote
//! ratios of lines that were printed on one machine, one after the other, when it was idle.
//!
//! `ulp`, `bits` and `growth` time nothing: they show that a promise holds, and fail if it does not.
#![allow(clippy::print_stdout, reason = "this program prints its results")]

mod bits;
mod checkpointing;
mod compare;
mod fuzz;
mod gemm;
mod growth;
mod levels;
mod memory;
mod model;
mod passes;
mod pipelines;
mod record;
mod size;
mod step;
mod tape;
mod times;
mod triad;
mod ulp;
mod update;
mod workload;
mod zoo;

use std::error::Error;

use clap::{Parser, Subcommand};
use serde::Serialize;

/// Times pleach beside the machine's limits.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// Prints a table instead of JSON.
    #[arg(long, global = true)]
    table: bool,
}

/// What is timed.
#[derive(Debug, Subcommand)]
enum What {
    /// Whole training steps: forward, backward, update; the loss is read each step.
    Step(step::Options),
    /// Whole training steps beside those of the peers that are installed, into a folder.
    Compare(compare::Options),
    /// Matrix products beside those of the library `gemm`.
    Gemm(gemm::Options),
    /// Rules, passes and planning on a graph of many nodes.
    Passes(passes::Options),
    /// An optimizer's update of all tensors of a model, by gradients that are there already.
    Update(update::Options),
    /// How far functions are from the true values, over all numbers of f32.
    Ulp(ulp::Options),
    /// Whether training has the same bits with any number of threads and in every run.
    Bits(bits::Options),
    /// Whether a process grows while it trains.
    Growth(growth::Options),
    /// Nodes, instructions, arithmetic, bytes, peak and time of the workloads, by pipeline.
    Pipelines(pipelines::Options),
    /// Memory and work of a chain of layers, whose values are kept or computed again.
    Checkpointing(checkpointing::Options),
    /// Nodes, instructions, arithmetic, bytes, peak and time of the models of the zoo, by level. Fails if a
    /// level does not keep what it promises.
    Levels(levels::Options),
    /// Random graphs: forward, backward and update, in every engine. Times nothing.
    Fuzz(fuzz::Options),
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    match &cli.what {
        What::Step(options) => steps(options, cli.table),
        What::Compare(options) => {
            println!("{}", compare::run(options)?.display());
            Ok(())
        }
        What::Gemm(options) => show(&gemm::run(options)?, cli.table, gemm::table),
        What::Passes(options) => show(&[passes::run(options)?], cli.table, passes::table),
        What::Update(options) => show(&update::run(options)?, cli.table, record::table),
        What::Ulp(options) => functions(options, cli.table),
        What::Bits(options) => bits(options),
        What::Growth(options) => growth(options),
        What::Pipelines(options) => show(&pipelines::run(options)?, cli.table, pipelines::table),
        What::Checkpointing(options) => {
            show(&checkpointing::run(options)?, cli.table, checkpointing::table)
        }
        What::Levels(options) => {
            let rows = levels::run(options)?;
            show(&rows, cli.table, levels::table)?;
            let broken = levels::broken(&rows);
            holds(broken.is_empty(), &broken.join("; "))
        }
        What::Fuzz(options) => {
            let done = fuzz::run(options, |why| eprintln!("{why}"))?;
            show(&done, cli.table, fuzz::table)
        }
    }
}

/// Prints each result when it is there; a table at the end.
fn steps(options: &step::Options, table: bool) -> Result<(), Box<dyn Error>> {
    let mut measured = Vec::new();
    step::run(options, |done| {
        match done {
            step::Done::Profile(text) => println!("{text}"),
            step::Done::Time(time) if table => measured.push(time),
            step::Done::Time(time) => line(&time)?,
        }
        Ok(())
    })?;
    if table && !options.profile {
        println!("{}", step::table(&measured));
    }
    Ok(())
}

/// Prints each function when it was measured; a table at the end.
fn functions(options: &ulp::Options, table: bool) -> Result<(), Box<dyn Error>> {
    let mut measured = Vec::new();
    ulp::run(options, |m| {
        if !table {
            line(&m)?;
        }
        measured.push(m);
        Ok(())
    })?;
    if table {
        println!("{}", ulp::table(&measured));
    }
    let missed = measured.iter().filter(|m| !m.holds()).count();
    holds(missed == 0, &format!("{missed} functions are too far from the truth"))
}

/// Prints each workload when it was trained.
fn bits(options: &bits::Options) -> Result<(), Box<dyn Error>> {
    let mut same = true;
    bits::run(options, |m| {
        same &= m.holds();
        line(&m)
    })?;
    holds(same, "bits differ")
}

fn growth(options: &growth::Options) -> Result<(), Box<dyn Error>> {
    let measured = growth::run(options)?;
    line(&measured)?;
    holds(measured.holds, "the process has grown")
}

/// An error unless the promise holds.
fn holds(holds: bool, else_what: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(else_what.into()) }
}

/// Prints measurements as a table or as lines of JSON.
fn show<T: Serialize>(
    measured: &[T],
    as_table: bool,
    table: fn(&[T]) -> comfy_table::Table,
) -> Result<(), Box<dyn Error>> {
    if as_table {
        println!("{}", table(measured));
        return Ok(());
    }
    measured.iter().try_for_each(line)
}

/// A measurement as a line of JSON.
fn line(record: &impl Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(record)?);
    Ok(())
}
