//! `pleach-bench`: timings beside what the machine can do.
//!
//! ```sh
//! cargo run --release -p pleach-bench -- update --optimizer adam --threads 2 --table
//! python3 crates/bench/peers/update.py --optimizer adam --threads 2
//! ```
//! Every measurement is one line of JSON, with the same fields for pleach and its peers. Quote
//! ratios of lines that were printed on one machine, one after the other, when it was idle.
#![allow(clippy::print_stdout, reason = "this program prints its results")]

mod model;
mod record;
mod triad;
mod update;

use std::error::Error;

use clap::{Parser, Subcommand};

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
    /// An optimizer's update of all tensors of a model, by gradients that are there already.
    Update(update::Options),
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let records = match &cli.what {
        What::Update(options) => update::run(options)?,
    };
    if cli.table {
        println!("{}", record::table(&records));
    } else {
        for record in &records {
            println!("{}", serde_json::to_string(record)?);
        }
    }
    Ok(())
}
