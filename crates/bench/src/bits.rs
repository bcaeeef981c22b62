//! Training gives the same bits with any number of threads, and in every run.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use pleach::prelude::*;
use pleach::tensor::compare::bit_mismatch;
use pleach_kernels::Isa;
use serde::Serialize;

use crate::workload::{WORKLOADS, Workload};

/// What is trained, for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A workload by name; all of them if none is named.
    #[arg(long)]
    workload: Vec<String>,
    /// Steps.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Numbers of threads, each trained with once; the first once more at the end.
    #[arg(long, default_values_t = [1, 2, 3, 8])]
    threads: Vec<usize>,
}

/// A workload, trained several times.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    workload: &'static str,
    isa: &'static str,
    steps: usize,
    /// Threads of each run.
    threads: Vec<usize>,
    /// Numbers that were compared after the last step: parameters, buffers and slots.
    numbers: usize,
    loss_first: f64,
    loss_last: f64,
    /// The first difference from the first run; none if all bits of all losses and numbers are equal.
    difference: Option<String>,
    seconds: f64,
}

impl Measured {
    /// Are all bits equal?
    pub(crate) fn holds(&self) -> bool {
        self.difference.is_none()
    }
}

/// What training leaves: the loss of every step, and every variable.
struct Trained {
    losses: Vec<f64>,
    variables: Vec<(String, Tensor)>,
}

/// Trains what is asked for, and hands each result to `done`.
///
/// # Errors
/// An unknown name; those of `done`; what the library refuses.
pub(crate) fn run(
    options: &Options,
    mut done: impl FnMut(Measured) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let known = |name: &&String| WORKLOADS.iter().any(|w| w.name == *name);
    if let Some(name) = options.workload.iter().find(|name| !known(name)) {
        return Err(format!("there is no workload {name:?}").into());
    }
    let asked =
        |w: &&Workload| options.workload.is_empty() || options.workload.iter().any(|n| n == w.name);
    for workload in WORKLOADS.iter().filter(asked) {
        let start = Instant::now();
        let again = options.threads.first().copied();
        let threads: Vec<usize> = options.threads.iter().copied().chain(again).collect();
        let mut first: Option<Trained> = None;
        let mut difference = None;
        for &n in &threads {
            let trained = train(workload, n, options.steps)?;
            match &first {
                None => first = Some(trained),
                Some(first) => difference = difference.or(differs(first, &trained, n)),
            }
        }
        let first = first.ok_or("no number of threads")?;
        let ends = [first.losses.first(), first.losses.last()];
        let [loss_first, loss_last] = ends.map(|loss| loss.copied().unwrap_or(f64::NAN));
        done(Measured {
            workload: workload.name,
            isa: Isa::used().name(),
            steps: options.steps,
            threads,
            numbers: first.variables.iter().map(|(_, value)| value.numel()).sum(),
            loss_first,
            loss_last,
            difference,
            seconds: start.elapsed().as_secs_f64(),
        })?;
    }
    Ok(())
}

fn train(workload: &Workload, threads: usize, steps: usize) -> Result<Trained, Box<dyn Error>> {
    let mut training = workload.prepare(threads, F32, || Ok(()))?;
    let losses = (0..steps).map(|_| training.run()).collect::<Result<_, _>>()?;
    let kinds = [Kind::Param, Kind::Buffer, Kind::Slot];
    let variables = kinds.into_iter().flat_map(|kind| training.state.tensors(kind)).collect();
    Ok(Trained { losses, variables })
}

/// The first difference.
fn differs(a: &Trained, b: &Trained, threads: usize) -> Option<String> {
    let losses = a.losses.iter().zip(&b.losses).enumerate();
    let mut losses = losses.filter(|(_, (a, b))| a.to_bits() != b.to_bits());
    if let Some((step, (a, b))) = losses.next() {
        return Some(format!("{threads} threads: loss {b:e} of step {step}, not {a:e}"));
    }
    let values = a.variables.iter().zip(&b.variables);
    let mut values = values.filter_map(|((name, a), (_, b))| Some((name, bit_mismatch(b, a)?)));
    values.next().map(|(name, mismatch)| format!("{threads} threads: {name}: {mismatch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_and_a_product_have_the_bits_of_one_thread() {
        let workload = vec!["mlp64_sgdm".into(), "logreg32_sgd".into()];
        let mut names = vec![];
        let done = |m: Measured| {
            assert_eq!(m.difference, None, "{m:?}");
            assert!(m.loss_last < m.loss_first && m.numbers >= 650, "{m:?}");
            names.push(m.workload);
            Ok(())
        };
        run(&Options { workload, steps: 3, threads: vec![1, 3] }, done).expect("it runs");
        assert_eq!(names, ["mlp64_sgdm", "logreg32_sgd"]);
        let unknown = Options { workload: vec!["mlp".into()], steps: 1, threads: vec![1] };
        assert!(run(&unknown, |_| Ok(())).is_err());
    }

    #[test]
    fn differences_are_found() {
        let trained = |loss: f64, value: f32| Trained {
            losses: vec![1.0, loss],
            variables: vec![("w".into(), Tensor::scalar(value))],
        };
        let none = trained(0.5, 1.0);
        assert_eq!(differs(&none, &trained(0.5, 1.0), 2), None);
        let loss = differs(&none, &trained(0.25, 1.0), 2).expect("it differs");
        assert!(loss.contains("step 1"), "{loss}");
        let value = differs(&none, &trained(0.5, 1.000_000_1), 2).expect("it differs");
        assert!(value.contains("w: "), "{value}");
    }
}
