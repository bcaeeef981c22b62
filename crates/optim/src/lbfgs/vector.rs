//! Vectors of `f64`: what L-BFGS computes with.

const LANES: usize = 8;

/// `aᵀb`, in eight partial sums.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `x ← x + t d`.
pub(super) fn add_scaled(x: &mut [f64], t: f64, d: &[f64]) {
    for (x, d) in x.iter_mut().zip(d) {
        *x += t * d;
    }
}

/// `t d`.
pub(super) fn scaled(t: f64, d: &[f64]) -> Vec<f64> {
    d.iter().map(|d| t * d).collect()
}

/// `a - b`.
pub(super) fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `max |xᵢ|`; 0 for no numbers.
pub(super) fn max_abs(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// `Σ |xᵢ|`.
pub(super) fn sum_abs(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::dot;

    #[test]
    fn products_of_any_length_are_whole() {
        for n in 0..40 {
            let a: Vec<f64> = (1..=n).map(f64::from).collect();
            let want = f64::from(n * (n + 1) * (2 * n + 1) / 6);
            assert_eq!(dot(&a, &a), want, "{n}");
        }
    }
}
