//! A compiled function over very many operands, and how far its results are from the truth.

use std::error::Error;
use std::time::Instant;

use pleach::prelude::*;
use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) inputs: u64,
    /// Equal where all bits of all results are, NaNs aside.
    pub(crate) sum: u64,
    /// None if only the sum was asked for.
    pub(crate) distance: Option<Distance>,
    pub(crate) seconds: f64,
}

/// How far results are from the true values.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Distance {
    /// The most, in units in the last place of an f32 of the true value's size, where that counts.
    pub(crate) max_ulp: f64,
    /// The most elsewhere, as a number.
    pub(crate) max_small: f64,
    /// Where `max_ulp` is: the operands, the result, the true value.
    pub(crate) at: Vec<f32>,
    pub(crate) got: f32,
    pub(crate) want: f64,
    /// Results without the sign of the true value, zeros included.
    pub(crate) wrong_signs: u64,
}

/// Numbers a run.
const RUN: u64 = 1 << 20;

/// A function on its way over many operands.
pub(crate) struct Sweep {
    pub(crate) name: String,
    /// How many operands there are.
    pub(crate) count: u64,
    /// True values count from this size on.
    pub(crate) counts_above: f64,
    /// No true values, only the sum.
    pub(crate) sums: bool,
    /// Says on stderr how far it is.
    pub(crate) progress: bool,
}

impl Sweep {
    /// Runs the function of `K` numbers that `record` records over all operands, of which `at` says
    /// the `i`th, on one thread.
    ///
    /// # Errors
    /// What the library refuses.
    pub(crate) fn run<const K: usize>(
        self,
        record: impl for<'g> FnOnce([Var<'g>; K]) -> Var<'g>,
        at: impl Fn(u64) -> [f32; K],
        exact: impl Fn([f32; K]) -> f64,
    ) -> Result<Swept, Box<dyn Error>> {
        let start = Instant::now();
        let len = self.count.clamp(1, RUN);
        let g = Graph::eval();
        let x = std::array::from_fn(|k| g.input(&format!("x{k}"), F32, [len as usize]));
        let recording = g.infer(record(x));
        let mut step = recording.compile(Compile::default().threads(1).no_fallback())?;
        let mut state = State::new(&Params::seeded(0));
        let (mut sum, mut distance) = (0, Distance::default());
        for first in (0..self.count).step_by(len as usize) {
            // The last run goes on with the last operands.
            let operands = |k: usize| {
                let number = |i: u64| at((first + i).min(self.count - 1))[k];
                Tensor::new([len as usize], (0..len).map(number).collect::<Vec<f32>>())
            };
            let feeds = (0..K).map(operands).collect::<Result<Vec<Tensor>, _>>()?;
            let results = step.run(&mut state, &feeds)?.tensor("y")?;
            let here = (self.count - first).min(len);
            for (i, &got) in (first..first + here).zip(results.as_slice::<f32>()?) {
                let bits = if got.is_nan() { f32::NAN.to_bits() } else { got.to_bits() };
                sum = (sum ^ u64::from(bits)).wrapping_mul(0x100_0000_01b3).rotate_left(29);
                if !self.sums {
                    let x = at(i);
                    distance.add(&x, got, exact(x), self.counts_above);
                }
            }
            if self.progress {
                eprint!(
                    "\r{}: {:.1} %  ",
                    self.name,
                    (first + here) as f64 * 1e2 / self.count as f64
                );
            }
        }
        if self.progress {
            eprintln!();
        }
        let (inputs, seconds) = (self.count, start.elapsed().as_secs_f64());
        Ok(Swept { inputs, sum, distance: (!self.sums).then_some(distance), seconds })
    }
}

impl Distance {
    fn add(&mut self, x: &[f32], got: f32, want: f64, counts_above: f64) {
        // A true value of NaN counts.
        if want.abs() <= counts_above && counts_above > 0.0 {
            let small = (f64::from(got) - want).abs();
            self.max_small = self.max_small.max(if small.is_nan() { f64::INFINITY } else { small });
            return;
        }
        let ulp = units(got, want);
        if ulp > self.max_ulp || self.at.is_empty() {
            *self = Distance { max_ulp: ulp, at: x.to_vec(), got, want, ..self.clone() };
        }
        let signs = !got.is_nan() && got.is_sign_negative() != want.is_sign_negative();
        self.wrong_signs += u64::from(signs);
    }
}

/// The distance in units in the last place of an f32 of the size of `want`; beyond the largest f32
/// there is 2¹²⁸, which is ∞. NaN and a number are ∞ apart.
fn units(got: f32, want: f64) -> f64 {
    const END: f64 = 3.402_823_669_209_385e38;
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let [got, want] = [f64::from(got), want].map(|x| x.clamp(-END, END));
    let exponent = ((want.to_bits() >> 52 & 0x7ff) as i64 - 1023).clamp(-126, 127);
    // 2²³⁻ᵉ.
    let per_number = f64::from_bits(((1023 + 23 - exponent) as u64) << 52);
    (got - want).abs() * per_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_the_true_value() {
        assert_eq!(units(1.0, 1.0), 0.0);
        assert_eq!(units(1.0, 1.0 + f64::from(f32::EPSILON) * 1.5), 1.5);
        assert_eq!(units(f32::from_bits(3), 0.0), 3.0);
        assert_eq!(units(f32::INFINITY, f64::MAX), 0.0);
        assert_eq!(units(f32::INFINITY, f64::from(f32::MAX)), 1.0);
        assert_eq!(units(f32::MAX, f64::INFINITY), 1.0);
        assert_eq!(units(f32::NAN, f64::NAN), 0.0);
        assert_eq!(units(f32::NAN, 1.0), f64::INFINITY);
    }

    fn sweep(exact: fn([f32; 1]) -> f64, counts_above: f64) -> Swept {
        let sweep = Sweep {
            name: "neg".into(),
            count: RUN + 7,
            counts_above,
            sums: false,
            progress: false,
        };
        sweep.run(|[x]| -x, |i| [i as f32], exact).expect("it runs")
    }

    #[test]
    fn what_is_wrong_is_found_in_the_last_numbers_too() {
        let last = |[x]: [f32; 1]| if x == (RUN + 6) as f32 { 1.0 } else { -f64::from(x) };
        let distance = sweep(last, 0.0).distance.expect("asked for");
        assert_eq!((distance.at[0], distance.wrong_signs), ((RUN + 6) as f32, 1));
        assert!(distance.max_ulp > 1e6);
        let right = sweep(|[x]| -f64::from(x), 0.0).distance.expect("asked for");
        assert_eq!((right.max_ulp, right.wrong_signs), (0.0, 0));
        let small = sweep(|[x]| if x == 9.0 { -9.5 } else { -f64::from(x) }, 10.0);
        let small = small.distance.expect("asked for");
        assert_eq!((small.max_ulp, small.max_small), (0.0, 0.5));
    }
}
