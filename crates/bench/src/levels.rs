//! What each level makes of every model of the zoo, and whether it is worth it.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets};
use pleach::prelude::*;
use serde::Serialize;

use crate::size::{HEAD, Size};
use crate::times::Times;
use crate::workload::{Training, Workload};
use crate::zoo::ZOO;

/// A level may take this much of the time of the one before it: two runs differ by as much.
const NOISE: f64 = 1.05;

/// Models whose loops must gain by this factor.
const LOOPS: ([&str; 2], f64) = (["lstm_lm", "gru_lm"], 1.5);

/// A level by name.
type Level = (&'static str, fn() -> Compile);

/// The levels, in order.
const LEVELS: [Level; 3] = [
    ("unoptimized", Compile::unoptimized),
    ("exact", Compile::exact),
    ("default", Compile::default),
];

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A model by name; all of the zoo if none is named.
    #[arg(long)]
    model: Vec<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds to measure each level, in all rounds together.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// One model at one level.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    model: &'static str,
    level: &'static str,
    threads: usize,
    #[serde(flatten)]
    size: Size,
    /// The least median of a round.
    median_us: f64,
}

/// Rounds in which the levels take turns.
const ROUNDS: u32 = 5;

/// Compiles and times every model at every level.
///
/// # Errors
/// An unknown name; what the library refuses.
pub(crate) fn run(options: &Options) -> Result<Vec<Row>, Box<dyn Error>> {
    let known: Vec<&str> = ZOO.iter().map(|model| model.name).collect();
    if let Some(name) = options.model.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no model {name:?}; there are {}", known.join(", ")).into());
    }
    let asked =
        |w: &&Workload| options.model.is_empty() || options.model.iter().any(|m| m == w.name);
    let mut rows = Vec::new();
    for model in ZOO.iter().filter(asked) {
        let (mut of, mut trainings) = at_levels(model, options.threads)?;
        let span = Duration::from_secs_f64(options.seconds.max(0.0)) / ROUNDS;
        for _ in 0..ROUNDS {
            for (row, training) in of.iter_mut().zip(&mut trainings) {
                let [_, median, _] = Times::of(span, || training.run().map(drop))?.spread();
                row.median_us = row.median_us.min(median);
            }
        }
        rows.append(&mut of);
    }
    Ok(rows)
}

/// A model at every level, not yet timed.
fn at_levels(
    model: &Workload,
    threads: usize,
) -> Result<(Vec<Row>, Vec<Training>), Box<dyn Error>> {
    let mut rows = Vec::new();
    let mut trainings = Vec::new();
    for (level, compile) in LEVELS {
        let training =
            model.prepare_with(compile().threads(threads).no_fallback(), F32, || Ok(()))?;
        let size = Size::of(&training.step)?;
        rows.push(Row { model: model.name, level, threads, size, median_us: f64::INFINITY });
        trainings.push(training);
    }
    Ok((rows, trainings))
}

/// What the levels promise and the rows do not show, a sentence each.
pub(crate) fn broken(rows: &[Row]) -> Vec<String> {
    let mut broken = Vec::new();
    for pair in rows.windows(2).filter(|pair| pair[0].model == pair[1].model) {
        let [lower, higher] = [&pair[0], &pair[1]];
        if higher.median_us > NOISE * lower.median_us {
            broken.push(format!("{} is slower at {}", higher.model, higher.level));
        }
    }
    let (models, factor) = LOOPS;
    for row in rows.iter().filter(|row| models.contains(&row.model) && row.level == "default") {
        if gain(row, rows) < factor {
            broken.push(format!("{} gains less than {factor}", row.model));
        }
    }
    broken
}

/// The time of a model at the first level by that of a row.
fn gain(row: &Row, rows: &[Row]) -> f64 {
    let first = rows.iter().find(|other| other.model == row.model);
    first.map_or(1.0, |first| first.median_us / row.median_us)
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([&["model", "level"][..], &HEAD, &["µs", "faster"]].concat());
    for row in rows {
        let times = [format!("{:.1}", row.median_us), format!("{:.2}", gain(row, rows))];
        let names = [row.model.to_string(), row.level.to_string()];
        table.add_row(names.into_iter().chain(row.size.cells()).chain(times));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect_file;

    use super::*;

    /// Instructions of every model at every level, with one thread. They do not depend on the machine: neither its
    /// threads nor its instruction set cut them.
    fn instructions(counts: impl Fn(&Workload, usize) -> Vec<usize>) -> String {
        let mut text = format!("{:12}", "model");
        LEVELS.iter().for_each(|(level, _)| write!(text, "{level:>12}").expect("a string grows"));
        text.push('\n');
        for model in ZOO {
            let one = counts(model, 1);
            assert_eq!(one, counts(model, 3), "{}", model.name);
            write!(text, "{:12}", model.name).expect("a string grows");
            one.iter().for_each(|n| write!(text, "{n:>12}").expect("a string grows"));
            text.push('\n');
        }
        text
    }

    #[test]
    fn instructions_are_those_of_the_golden_file() {
        let text = instructions(|model, threads| {
            let (rows, _) = at_levels(model, threads).expect("it compiles");
            rows.iter().map(|row| row.size.instructions).collect()
        });
        expect_file!["../../../tests/golden/instructions.txt"].assert_eq(&text);
    }

    /// The same of an evaluation: forward only, parameters are fixed.
    #[test]
    fn instructions_of_inference_are_those_of_the_golden_file() {
        let text = instructions(|model, threads| {
            let count = |(_, compile): &Level| {
                let (params, g) = (Params::seeded(0), Graph::eval());
                let compile = compile().threads(threads).no_fallback();
                let step = g.infer((model.loss)(&params, &g)).compile(compile);
                Size::of(&step.expect("it compiles")).expect("it is planned").instructions
            };
            LEVELS.iter().map(count).collect()
        });
        expect_file!["../../../tests/golden/inference.txt"].assert_eq(&text);
    }

    #[test]
    fn what_is_slower_is_told() {
        let row = |model, level, median_us| Row {
            model,
            level,
            threads: 1,
            size: Size::default(),
            median_us,
        };
        let rows = [
            row("mlp", "unoptimized", 10.0),
            row("mlp", "exact", 10.4),
            row("mlp", "default", 11.0),
            row("gru_lm", "unoptimized", 10.0),
            row("gru_lm", "exact", 9.0),
            row("gru_lm", "default", 8.0),
        ];
        assert_eq!(broken(&rows), ["mlp is slower at default", "gru_lm gains less than 1.5"]);
        assert!(table(&rows).to_string().contains("| 8.0  | 1.25"), "{}", table(&rows));
    }

    #[test]
    fn a_model_is_a_row_at_every_level() {
        let options = Options { model: vec!["siamese".into()], threads: 1, seconds: 0.0 };
        let rows = run(&options).expect("it runs");
        let [plain, exact, best] = &rows[..] else { panic!("{rows:?}") };
        let [plain, exact, best] = [plain, exact, best].map(|row| row.size);
        assert!(best.nodes < plain.nodes && best.instructions < plain.instructions, "{rows:?}");
        assert!(exact.instructions <= plain.instructions && best.bytes < plain.bytes, "{rows:?}");
        assert!(rows.iter().all(|row| row.median_us.is_finite() && row.size.peak > 0), "{rows:?}");
        let none = Options { model: vec!["alexnet".into()], threads: 1, seconds: 0.0 };
        assert!(run(&none).is_err());
    }
}
