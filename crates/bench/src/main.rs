//! `pleach-bench`: timings beside what the machine can do.
//!
//! ```sh
//! cargo run --release -p pleach-bench -- step --workload gpt8_adamw --threads 2
//! cargo run --release -p pleach-bench -- step --workload gpt8_adamw --profile
//! cargo run --release -p pleach-bench -- passes --nodes 1000000
//! cargo run --release -p pleach-bench -- gemm --threads 1 --table
//! cargo run --release -p pleach-bench -- update --optimizer adam --threads 2 --table
//! python3 crates/bench/peers/update.py --optimizer adam --threads 2
//! ```
//! Every measurement is one line of JSON, with the same fields for pleach and its peers. Quote
//! ratios of lines that were printed on one machine, one after the other, when it was idle.
#![allow(clippy::print_stdout, reason = "this program prints its results")]

mod compare;
mod gemm;
mod memory;
mod model;
mod passes;
mod record;
mod step;
mod tape;
mod times;
mod triad;
mod update;
mod workload;

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
