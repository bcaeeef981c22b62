//! Pipelines beside each other, over all workloads.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use pleach::passes::Pipeline;
use pleach::prelude::*;
use serde::Serialize;

use crate::size::{HEAD, Size};
use crate::step::chosen;
use crate::times::Times;
use crate::workload::{WORKLOADS, Workload};
use crate::zoo::ZOO;

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A workload, or a model of the zoo, by name; all workloads if none is named.
    #[arg(long)]
    workload: Vec<String>,
    /// Also the default pipeline without each of its passes.
    #[arg(long)]
    each: bool,
    /// Also the default pipeline without a pass or rule of this name.
    #[arg(long)]
    without: Vec<String>,
    /// Also the default pipeline with equality saturation after `simplify` (feature `egraph`).
    #[cfg(feature = "egraph")]
    #[arg(long)]
    saturate: bool,
    /// Also the default pipeline with this many per cent of the memory that it takes without a limit. A
    /// limit that cannot be met is left out.
    #[arg(long)]
    peak: Vec<u64>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds to measure each.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// One model and one pipeline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    workload: &'static str,
    pipeline: String,
    threads: usize,
    #[serde(flatten)]
    size: Size,
    /// Seconds to record, differentiate, optimize and plan.
    compile_s: f64,
    min_us: f64,
    median_us: f64,
}

/// A way to compile.
struct Way {
    name: String,
    /// May it be that it does not compile?
    limited: bool,
    compile: Box<dyn Fn() -> Compile>,
}

impl Way {
    fn new(name: &str, compile: impl Fn() -> Compile + 'static) -> Way {
        Way { name: name.to_string(), limited: false, compile: Box::new(compile) }
    }
}

fn pipelines(options: &Options) -> Vec<Way> {
    let mut all = vec![
        Way::new("unoptimized", Compile::unoptimized),
        Way::new("exact", Compile::exact),
        Way::new("default", Compile::default),
    ];
    #[cfg(feature = "egraph")]
    if options.saturate {
        all.push(Way::new("with saturate", || {
            let saturate = pleach::passes::Saturate::default();
            Compile::default().pipeline(Pipeline::default().insert_after("simplify", saturate))
        }));
    }
    let mut without = options.without.clone();
    if options.each {
        without.extend(Pipeline::default().passes().iter().map(|pass| pass.name().to_string()));
    }
    let mut met: Vec<String> = Vec::new();
    for name in without {
        if !met.contains(&name) {
            met.push(name.clone());
            let title = format!("without {name}");
            all.push(Way::new(&title, move || Compile::default().without(&name)));
        }
    }
    all
}

/// Compiles and times every workload with every pipeline.
///
/// # Errors
/// An unknown name; what the library refuses.
pub(crate) fn run(options: &Options) -> Result<Vec<Row>, Box<dyn Error>> {
    let (models, workloads): (Vec<String>, Vec<String>) =
        options.workload.iter().cloned().partition(|name| ZOO.iter().any(|m| m.name == name));
    let wanted = if models.is_empty() { chosen(&workloads)? } else { Vec::new() };
    let asked = |w: &&Workload| wanted.contains(&w.name) || models.iter().any(|m| m == w.name);
    let mut rows = Vec::new();
    for workload in WORKLOADS.iter().chain(ZOO).filter(asked) {
        let mut ways: VecDeque<Way> = pipelines(options).into();
        while let Some(Way { name: pipeline, limited, compile }) = ways.pop_front() {
            let compile = compile().threads(options.threads).no_fallback();
            let mut training = match workload.prepare_with(compile, F32, || Ok(())) {
                Err(_) if limited => continue,
                prepared => prepared?,
            };
            if pipeline == "default" {
                let peak = Size::of(&training.step)?.peak as u64;
                ways.extend(options.peak.iter().map(|per_cent| {
                    let limit = peak.saturating_mul(*per_cent) / 100;
                    let name = format!("{per_cent} % of the peak");
                    let way = Way::new(&name, move || Compile::default().max_peak_bytes(limit));
                    Way { limited: true, ..way }
                }));
            }
            let span = Duration::from_secs_f64(options.seconds.max(0.0));
            let [min_us, median_us, _] = Times::of(span, || training.run().map(drop))?.spread();
            rows.push(Row {
                workload: workload.name,
                pipeline,
                threads: options.threads,
                size: Size::of(&training.step)?,
                compile_s: training.compile.as_secs_f64(),
                min_us,
                median_us,
            });
        }
    }
    Ok(rows)
}

/// The rows as a table.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    let times = ["compile s", "min µs", "median µs"];
    table.set_header([&["workload", "pipeline"][..], &HEAD, &times].concat());
    for row in rows {
        let times = [
            format!("{:.3}", row.compile_s),
            format!("{:.1}", row.min_us),
            format!("{:.1}", row.median_us),
        ];
        let names = [row.workload.to_string(), row.pipeline.clone()];
        table.add_row(names.into_iter().chain(row.size.cells()).chain(times));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pipeline_is_a_row() {
        let options = Options {
            workload: vec!["logreg32_sgd".into()],
            each: true,
            without: vec!["fuse".into(), "mul_consts".into()],
            peak: vec![100],
            #[cfg(feature = "egraph")]
            saturate: false,
            threads: 1,
            seconds: 0.0,
        };
        let rows = run(&options).expect("it runs");
        let named = |name: &str| rows.iter().find(|row| row.pipeline == name).expect("a row");
        let (plain, best) = (named("unoptimized"), named("default"));
        assert!(best.size.nodes < plain.size.nodes, "{rows:?}");
        assert!(best.size.bytes < plain.size.bytes && best.min_us > 0.0, "{rows:?}");
        assert!(best.size.instructions < plain.size.instructions, "{rows:?}");
        let without = named("without fuse").size;
        assert!(without.instructions > best.size.instructions, "{rows:?}");
        let fuse = rows.iter().filter(|row| row.pipeline == "without fuse");
        let pipeline = Pipeline::default();
        let passes: BTreeSet<_> = pipeline.passes().iter().map(|pass| pass.name()).collect();
        assert_eq!((fuse.count(), rows.len()), (1, 3 + passes.len() + 2), "{rows:?}");
        assert_eq!(named("100 % of the peak").size.peak, best.size.peak);
    }

    #[cfg(feature = "egraph")]
    #[test]
    fn saturation_costs_no_model_anything() {
        let options = Options {
            workload: vec!["tinymlp32_sgd".into()],
            each: false,
            without: Vec::new(),
            peak: vec![0],
            saturate: true,
            threads: 1,
            seconds: 0.0,
        };
        let rows = run(&options).expect("it runs");
        let [_, _, default, saturated] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(
            (&*saturated.pipeline, rows.len()),
            ("with saturate", 4),
            "no plan takes nothing"
        );
        assert!(saturated.size.flops <= default.size.flops, "{rows:?}");
    }
}
