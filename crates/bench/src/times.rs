//! The rule of timing, the same as the peers'.

use std::time::{Duration, Instant};

/// A call shorter than this is timed in groups, in seconds.
const SHORT: f64 = 20e-6;

/// Times of single calls in µs, sorted: each the mean over a group of calls.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    sorted: Vec<f64>,
    group: usize,
}

impl Times {
    /// Calls `f` for a fifth of `span` to warm up, at least 4 times, then call by call for `span`, at
    /// least 7 and at most 20,000 times; calls below 20 µs in groups of about 20 µs.
    ///
    /// # Errors
    /// The first of `f`.
    pub(crate) fn of<E>(span: Duration, mut f: impl FnMut() -> Result<(), E>) -> Result<Times, E> {
        f()?;
        let (mut calls, start) = (0u32, Instant::now());
        while calls < 3 || (start.elapsed() < span / 5 && calls < 10_000) {
            f()?;
            calls += 1;
        }
        let call = start.elapsed().as_secs_f64() / f64::from(calls);
        let group = if call < SHORT { (SHORT / call.max(1e-9)) as usize + 1 } else { 1 };
        let (mut sorted, start) = (Vec::new(), Instant::now());
        while sorted.len() < 7 || (start.elapsed() < span && sorted.len() < 20_000) {
            let before = Instant::now();
            for _ in 0..group {
                f()?;
            }
            sorted.push(before.elapsed().as_secs_f64() / group as f64 * 1e6);
        }
        sorted.sort_by(f64::total_cmp);
        Ok(Times { sorted, group })
    }

    /// Number of calls.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len() * self.group
    }

    /// Shortest, median and longest time, in µs.
    pub(crate) fn spread(&self) -> [f64; 3] {
        let n = self.sorted.len();
        [0, n / 2, n.saturating_sub(1)].map(|i| self.sorted.get(i).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sorted_and_short_calls_are_grouped() {
        let mut calls = 0;
        let count = || {
            calls += 1;
            Ok::<(), ()>(())
        };
        let times = Times::of(Duration::from_millis(2), count).expect("no error");
        let [min, median, max] = times.spread();
        assert!(min <= median && median <= max && max > 0.0);
        assert!(times.group > 1 && times.count() >= 7 * times.group && calls > times.count());
        let sleep = || {
            std::thread::sleep(Duration::from_micros(50));
            Ok::<(), ()>(())
        };
        let times = Times::of(Duration::ZERO, sleep).expect("no error");
        assert_eq!(times.count(), 7);
        assert!(times.spread()[0] >= 50.0);
        assert_eq!(Times::of(Duration::ZERO, || Err(7)).unwrap_err(), 7);
    }
}
