//! How far the functions of plans are from the true values, over all numbers of f32.
//!
//! Each function is recorded, compiled and run as users do it: what is measured is the loop of a
//! plan, with the instruction set that kernels use (`PLEACH_ISA` chooses another). The true values
//! are those of f64 functions of the standard library and of `libm`, good to 2⁻²⁸ of a unit.

mod functions;
mod sweep;

use std::error::Error;

use clap::Args;
use comfy_table::Table;
use pleach_kernels::Isa;
use serde::Serialize;

use functions::{EXPONENTS, FUNCTIONS, SMALL, pair, power};
use sweep::{Distance, Sweep, Swept};

/// What is measured, at which numbers.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A function by name; all of them if none is named.
    #[arg(long)]
    function: Vec<String>,
    /// `pow` with this exponent only, one of those of the proof.
    #[arg(long, allow_negative_numbers = true)]
    exponent: Vec<f32>,
    /// Every how many numbers one is taken, in the order of their bits.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Pairs at which `pow_pairs` is measured.
    #[arg(long, default_value_t = 1_000_000_000)]
    pairs: u64,
    /// Only the sums of bits, by which instruction sets are compared: no true values, which take
    /// most of the time.
    #[arg(long)]
    sums: bool,
    /// Does not say on stderr how far it is.
    #[arg(long)]
    quiet: bool,
}

/// A function, measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    function: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponent: Option<f32>,
    isa: &'static str,
    /// Numbers, or pairs, at which it was measured.
    inputs: u64,
    /// A hash of the bits of all results, every NaN as one: equal where all bits are.
    sum: String,
    #[serde(flatten)]
    distance: Option<Distance>,
    /// Is every result as near to the truth as it should be?
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<bool>,
    seconds: f64,
}

impl Measured {
    /// Is nothing too far from the truth?
    pub(crate) fn holds(&self) -> bool {
        self.holds != Some(false)
    }
}

/// The most units that a result may be away from the true value.
const LIMIT: f64 = 2.0;

/// The power: of all numbers for some exponents, and of pairs.
const POW: &str = "pow";
const POW_PAIRS: &str = "pow_pairs";

/// Measures what is asked for, and hands each result to `done`.
///
/// # Errors
/// An unknown name; those of `done`; what the library refuses.
pub(crate) fn run(
    options: &Options,
    mut done: impl FnMut(Measured) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let known: Vec<&str> = FUNCTIONS.iter().map(|f| f.name).chain([POW, POW_PAIRS]).collect();
    if let Some(name) = options.function.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no function {name:?}; there are {}", known.join(", ")).into());
    }
    if let Some(exponent) = options.exponent.iter().find(|y| !EXPONENTS.contains(y)) {
        return Err(
            format!("{exponent} is no exponent of the proof; there are {EXPONENTS:?}").into()
        );
    }
    let asked = |name| options.function.is_empty() || options.function.iter().any(|f| f == name);
    let (sums, progress, stride) = (options.sums, !options.quiet, options.stride);
    let all = (1u64 << 32).div_ceil(stride);
    let number = |i: u64| f32::from_bits((i * stride) as u32);
    let sweep = |name: &str, count, counts_above| {
        let name = name.into();
        Sweep { name, count, counts_above, sums, progress }
    };
    for f in FUNCTIONS.iter().filter(|f| asked(f.name)) {
        let exact = |[x]: [f32; 1]| (f.exact)(f64::from(x));
        let sweep = sweep(f.name, all, f.counts_above);
        done(measured(f.name, None, sweep.run(|[x]| (f.record)(x), |i| [number(i)], exact)?))?;
    }
    // The exponent is an operand: of a constant, powers become products and roots.
    let chosen = |y: &f32| options.exponent.is_empty() || options.exponent.contains(y);
    for exponent in EXPONENTS.into_iter().filter(|y| asked(POW) && chosen(y)) {
        let sweep = sweep(&format!("{POW} {exponent}"), all, 0.0);
        let swept = sweep.run(|[x, y]| x.pow(y), |i| [number(i), exponent], power)?;
        done(measured(POW, Some(exponent), swept))?;
    }
    if asked(POW_PAIRS) {
        let sweep = sweep(POW_PAIRS, options.pairs, 0.0);
        done(measured(POW_PAIRS, None, sweep.run(|[x, y]| x.pow(y), pair, power)?))?;
    }
    Ok(())
}

fn measured(function: &'static str, exponent: Option<f32>, swept: Swept) -> Measured {
    let Swept { inputs, sum, distance, seconds } = swept;
    let holds = |d: &Distance| d.max_ulp <= LIMIT && d.max_small <= SMALL && d.wrong_signs == 0;
    let holds = distance.as_ref().map(holds);
    let (isa, sum) = (Isa::used().name(), format!("{sum:016x}"));
    Measured { function, exponent, isa, inputs, sum, distance, holds, seconds }
}

/// The measurements as a table.
pub(crate) fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    let head = ["function", "isa", "inputs", "sum", "most ulp", "at", "got", "wrong signs", "s"];
    table.set_header(head);
    for m in measured {
        let of = |text: fn(&Distance) -> String| m.distance.as_ref().map_or(String::new(), text);
        table.add_row([
            m.exponent.map_or(m.function.into(), |e| format!("{} {e}", m.function)),
            m.isa.into(),
            m.inputs.to_string(),
            m.sum.clone(),
            of(|d| format!("{:.3}", d.max_ulp)),
            of(|d| d.at.iter().map(|x| format!("{x:e} ")).collect()),
            of(|d| format!("{:e}, not {:e}", d.got, d.want)),
            of(|d| d.wrong_signs.to_string()),
            format!("{:.1}", m.seconds),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(function: &[&str], sums: bool) -> Options {
        let function = function.iter().map(ToString::to_string).collect();
        let exponent = Vec::new();
        Options { function, exponent, stride: 40_009, pairs: 100_000, sums, quiet: true }
    }

    #[test]
    fn a_sample_of_every_function_is_within_two_units_with_the_right_sign() {
        let mut names = 0;
        let check = |m: Measured| {
            names += 1;
            assert!(m.inputs >= 100_000 && m.holds == Some(true), "{m:?}");
            Ok(())
        };
        run(&options(&[], false), check).expect("it runs");
        assert_eq!(names, FUNCTIONS.len() + EXPONENTS.len() + 1);
    }

    #[test]
    fn sums_need_no_true_values_and_are_those_of_the_measurement() {
        let sum = |sums| {
            let mut sum = None;
            let done = |m: Measured| {
                assert_eq!(m.distance.is_none(), sums);
                sum = Some(m.sum);
                Ok(())
            };
            run(&options(&["tanh"], sums), done).expect("it runs");
            sum.expect("one function")
        };
        assert_eq!(sum(true), sum(false));
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = run(&options(&["exq"], false), |_| Ok(())).expect_err("refused");
        assert!(error.to_string().contains("ln_1p"), "{error}");
        let exponent = |y| Options { exponent: vec![y], ..options(&["pow"], true) };
        let error = run(&exponent(0.3), |_| Ok(())).expect_err("refused");
        assert!(error.to_string().contains("-7.3"), "{error}");
        let mut found = Vec::new();
        let done = |m: Measured| {
            found.push(m.exponent);
            Ok(())
        };
        run(&exponent(-7.3), done).expect("it runs");
        assert_eq!(found, [Some(-7.3)], "one alone");
    }
}
