//! Factorizations and solutions, multiplied back.

use pleach_kernels::{Kernel, LinalgOp, Slice};
use pleach_tensor::{DType, F32, F64};
use proptest::prelude::*;

use crate::support::{Bench, V, indices, read, write};

/// Working memory for these operands.
fn work(bench: &mut Bench, x: &[&Slice]) -> Slice {
    let size = LinalgOp::work(x.iter().map(|s| &s.dims[..]));
    let count: usize = x[0].dims[..x[0].dims.len() - 2].iter().product();
    let id = bench.buffers.len() as u32;
    bench.buffers.push(pleach_kernels::AlignedBuf::new(count * size * 8));
    bench.writable.push(true);
    Slice::new(pleach_kernels::BufferId(id), F64, 0, &[count, size])
}

/// A matrix with a heavy diagonal.
fn heavy(bench: &mut Bench, dtype: DType, dims: &[usize]) -> Slice {
    let x = bench.slice(dtype, dims, false);
    bench.writable[x.buffer.0 as usize] = false;
    let n = dims[dims.len() - 1];
    for index in indices(dims) {
        let [.., i, j] = index[..] else { unreachable!() };
        let off = (bench.rng.below(2001) as f64 - 1000.0) / 1024.0;
        let diagonal = if i == j { 2.0 * n as f64 + 1.0 } else { 0.0 };
        write(&mut bench.buffers, &x, &index, V::F(off + diagonal));
    }
    x
}

fn at(index: &[usize], i: usize, j: usize) -> Vec<usize> {
    [index, &[i, j]].concat()
}

/// A factor, or the solution of a system with `k` right-hand sides, of `n` rows.
fn systems(dtype: DType, [n, k, batch]: [usize; 3], which: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let tolerance = if dtype == F64 { 1e-12 } else { 1e-5 };
    let a = heavy(&mut bench, dtype, &[batch, n, n]);
    if which == 5 {
        let (w, y) = (work(&mut bench, &[&a]), bench.output(dtype, &[batch, n, n]));
        let after = bench.run(vec![Kernel::Linalg {
            op: LinalgOp::Cholesky,
            inputs: vec![a.clone()],
            work: w,
            output: y.clone(),
        }]);
        for index in indices(&[batch, n, n]) {
            let [b, i, j] = index[..] else { unreachable!() };
            let l = |i, j| read(&after, &y, &at(&[b], i, j)).f();
            let own = |i, j| read(&after, &a, &at(&[b], i, j)).f();
            let got: f64 = (0..n).map(|k| l(i, k) * l(j, k)).sum();
            let size = 10.0 + n as f64;
            assert!((got - (own(i, j) + own(j, i)) / 2.0).abs() < tolerance * size);
            assert!(j <= i || l(i, j) == 0.0);
        }
        return;
    }
    let op = match which {
        0 => LinalgOp::Solve,
        _ => LinalgOp::SolveTriangular { upper: which.is_multiple_of(2), unit: which > 2 },
    };
    let b = bench.input(dtype, &[batch, n, k], false);
    let (w, y) = (work(&mut bench, &[&a, &b]), bench.output(dtype, &[batch, n, k]));
    let after = bench.run(vec![Kernel::Linalg {
        op,
        inputs: vec![a.clone(), b.clone()],
        work: w,
        output: y.clone(),
    }]);
    let entry = |batch: usize, i: usize, j: usize| match op {
        LinalgOp::SolveTriangular { unit: true, .. } if i == j => 1.0,
        LinalgOp::SolveTriangular { upper, .. } if (j < i) == upper && i != j => 0.0,
        _ => read(&after, &a, &[batch, i, j]).f(),
    };
    for index in indices(&[batch, n, k]) {
        let [m, i, j] = index[..] else { unreachable!() };
        let terms: Vec<f64> =
            (0..n).map(|l| entry(m, i, l) * read(&after, &y, &[m, l, j]).f()).collect();
        let size: f64 = 1.0 + terms.iter().map(|t| t.abs()).sum::<f64>();
        let (got, want) = (terms.iter().sum::<f64>(), read(&after, &b, &index).f());
        assert!((got - want).abs() < tolerance * size, "{op:?} {got} {want}");
    }
}

#[test]
fn systems_of_every_short_length() {
    for dtype in [F32, F64] {
        for n in 0..70 {
            for which in 0..6 {
                systems(dtype, [n, n % 5, 1], which, n as u64);
                systems(dtype, [n % 4, n, 2], which, n as u64);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn systems_and_factors_multiply_back(
        (n, k, batch, double) in (0usize..6, 0usize..4, 0usize..4, any::<bool>()),
        which in 0usize..6,
        seed: u64,
    ) {
        systems(if double { F64 } else { F32 }, [n, k, batch], which, seed);
    }

    #[test]
    fn determinants_are_sums_over_permutations(n in 0usize..4, batch in 0usize..3, seed: u64) {
        let mut bench = Bench::new(seed);
        let a = bench.input(F64, &[batch, n, n], false);
        let mut run = |op| {
            let (w, y) = (work(&mut bench, &[&a]), bench.output(F64, &[batch]));
            let inputs = vec![a.clone()];
            let after = bench.run(vec![Kernel::Linalg { op, inputs, work: w, output: y.clone() }]);
            let entry = |m, i, j| read(&after, &a, &[m, i, j]).f();
            (0..batch)
                .map(|m| {
                    let e = |i, j| entry(m, i, j);
                    let want = match n {
                        0 => 1.0,
                        1 => e(0, 0),
                        2 => e(0, 0) * e(1, 1) - e(0, 1) * e(1, 0),
                        _ => (0..3).map(|j| {
                            let (k, l) = ((j + 1) % 3, (j + 2) % 3);
                            e(0, j) * (e(1, k) * e(2, l) - e(1, l) * e(2, k))
                        }).sum::<f64>(),
                    };
                    (read(&after, &y, &[m]).f(), want)
                })
                .collect::<Vec<_>>()
        };
        for (got, want) in run(LinalgOp::Det) {
            prop_assert!((got - want).abs() < 1e-9, "{got} {want}");
        }
        for (got, want) in run(LinalgOp::LogAbsDet) {
            prop_assert!(want.abs() < 1e-6 || (got.exp() - want.abs()).abs() < 1e-9, "{got} {want}");
        }
        for (got, want) in run(LinalgOp::DetSign) {
            prop_assert!(want.abs() < 1e-6 || got == want.signum(), "{got} {want}");
        }
    }
}
