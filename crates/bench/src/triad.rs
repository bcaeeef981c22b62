//! The machine's bandwidth: `aᵢ = bᵢ + s·cᵢ` on arrays much larger than the last cache.
//!
//! Bytes are counted as for everything else here: two arrays read, one written. (A processor that
//! reads a line before it writes it moves a third more; an update in place has read it anyway, so
//! it may come out ahead of the triad.)
//!
//! **Source** McCalpin, STREAM.

use std::time::Duration;

use crate::record::gb_s;
use crate::times::Times;

/// Elements of each of the three arrays: 128 MiB in f32.
const LEN: usize = 32 << 20;

/// The triad with this many threads, in GB/s, the median over some time.
pub(crate) fn measure(threads: usize) -> f64 {
    let (mut a, b, c) = (vec![0f32; LEN], vec![1f32; LEN], vec![2f32; LEN]);
    let part = LEN.div_ceil(threads.max(1));
    let pass = || {
        std::thread::scope(|scope| {
            let parts = a.chunks_mut(part).zip(b.chunks(part)).zip(c.chunks(part));
            let mut parts = parts.map(|((a, b), c)| move || triad(a, b, c, 3.0));
            let first = parts.next();
            parts.for_each(|part| drop(scope.spawn(part)));
            first.into_iter().for_each(|mut part| part());
        });
        std::hint::black_box(&mut a);
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(times) = Times::of(Duration::from_secs(1), pass);
    gb_s(3 * 4 * LEN as u64, times.spread()[1])
}

fn triad(a: &mut [f32], b: &[f32], c: &[f32], s: f32) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = b + s * c;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_triad_adds() {
        let mut a = [0.0; 3];
        super::triad(&mut a, &[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0], 2.0);
        assert_eq!(a, [21.0, 42.0, 63.0]);
    }
}
