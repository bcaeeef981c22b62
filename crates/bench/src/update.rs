//! An optimizer's update of a whole model.

use std::error::Error;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pleach::prelude::*;

use crate::record::{Record, gb_s};
use crate::times::Times;
use crate::{model, triad};

/// What is updated, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The update rule; all of them if none is named.
    #[arg(long)]
    optimizer: Vec<Rule>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Numbers to update, in f32.
    #[arg(long, default_value_t = 10_000_000)]
    params: usize,
    /// Seconds to measure each rule.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// An update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    Sgd,
    Momentum,
    Nesterov,
    Adam,
    Amsgrad,
    Adamw,
}

impl Rule {
    fn optimizer(self) -> Box<dyn Optimizer> {
        match self {
            Rule::Sgd => Box::new(Sgd::new(1e-3)),
            Rule::Momentum => Box::new(Sgd::new(1e-3).momentum(0.9)),
            Rule::Nesterov => Box::new(Sgd::new(1e-3).momentum(0.9).nesterov()),
            Rule::Adam => Box::new(Adam::new(1e-3)),
            Rule::Amsgrad => Box::new(Adam::new(1e-3).amsgrad()),
            Rule::Adamw => Box::new(AdamW::new(1e-3)),
        }
    }

    /// Slots of the size of a parameter.
    fn slots(self) -> u64 {
        match self {
            Rule::Sgd => 0,
            Rule::Momentum | Rule::Nesterov => 1,
            Rule::Adam | Rule::Adamw => 2,
            Rule::Amsgrad => 3,
        }
    }
}

/// Measures the rules asked for.
///
/// # Errors
/// What the library refuses.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>, Box<dyn Error>> {
    let rules = match options.optimizer[..] {
        [] => Rule::value_variants(),
        _ => &options.optimizer[..],
    };
    let triad_gb_s = triad::measure(options.threads);
    rules.iter().map(|&rule| measure(rule, options, triad_gb_s)).collect()
}

fn measure(rule: Rule, options: &Options, triad_gb_s: f64) -> Result<Record, Box<dyn Error>> {
    let shapes = model::shapes(options.params);
    let params = Params::seeded(1);
    let mut step = update(&params, &shapes, rule.optimizer(), options.threads)?;
    let mut state = State::new(&params);
    let grads: Vec<Tensor> = (0..)
        .zip(&shapes)
        .map(|(i, shape)| Ok(Tensor::normal(&Type::new(F32, shape.clone())?, Key(i), 0.0, 0.1)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let span = Duration::from_secs_f64(options.seconds);
    let run = || -> Result<(), Box<dyn Error>> { Ok(step.run(&mut state, &grads).map(drop)?) };
    let times = Times::of(span, run)?;
    let [min_us, median_us, max_us] = times.spread();
    let bytes = (3 + 2 * rule.slots()) * 4 * options.params as u64;
    let moved = step.report().plan.as_ref().map_or(0, |plan| plan.bytes_moved());
    Ok(Record {
        peer: concat!("pleach ", env!("CARGO_PKG_VERSION")).into(),
        optimizer: rule.to_possible_value().map_or(String::new(), |v| v.get_name().into()),
        threads: options.threads,
        params: options.params,
        tensors: shapes.len(),
        median_us,
        min_us,
        max_us,
        iters: times.count(),
        bytes,
        moved,
        gb_s: gb_s(bytes, median_us),
        triad_gb_s,
    })
}

/// A step that is the update alone: gradients are fed, by a loss that costs nothing and a rule for
/// its gradient that answers the input.
fn update(
    params: &Params,
    shapes: &[Vec<usize>],
    optimizer: Box<dyn Optimizer>,
    threads: usize,
) -> Result<Step, Box<dyn Error>> {
    let g = Graph::train();
    let terms = shapes.iter().enumerate().map(|(i, shape)| {
        let param = params.param(&format!("w{i}"), &shape[..], Init::normal(0.0, 0.02));
        let grad = g.input(&format!("g{i}"), F32, &shape[..]);
        let numel: usize = shape.iter().product();
        g.custom_vjp(
            &[g.param(&param), grad],
            |x| x[0].reshape([numel]).slice(0, 0..1).sum_all(),
            |x, _, _| vec![x[1], x[1].full_like(0.0)],
        )
    });
    let loss = terms.reduce(|a, b| a + b).ok_or("there is nothing to update")?;
    let compile = Compile::default().threads(threads).no_fallback();
    Ok(g.minimize(loss, optimizer).compile(compile)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_moves_little_more_than_the_least() {
        for &rule in Rule::value_variants() {
            let options =
                Options { optimizer: vec![rule], threads: 2, params: 70_001, seconds: 0.01 };
            let record = measure(rule, &options, 1.0).expect("it runs");
            let ratio = record.moved as f64 / record.bytes as f64;
            assert!((1.0..1.15).contains(&ratio), "{record:?}");
            assert!(record.gb_s > 0.0 && record.iters >= 7);
        }
    }
}
