//! Attention and its gradient, against the formulas.

use pleach_kernels::{Fault, Kernel, Slice, attention_fits};
use pleach_tensor::{DType, F32, F64, I32};
use proptest::prelude::*;

use crate::support::{Bench, agree, indices, read};

/// Heads, queries, keys, widths of keys and of values.
#[derive(Clone, Copy, Debug)]
struct Sizes<'a>(&'a [usize], [usize; 4]);

fn check(dtype: DType, Sizes(lead, [l, s, e, d]): Sizes<'_>, causal: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let scale = [0.25, -0.4, 1.0][bench.rng.below(3)] / (e.max(1) as f64);
    let shape = |rows, columns| [lead, &[rows, columns]].concat();
    let [q, k, v, dy] = [(l, e), (s, e), (s, d), (l, d)]
        .map(|(rows, columns)| bench.input(dtype, &shape(rows, columns), false));
    let y = bench.output(dtype, &shape(l, d));
    let grads =
        [(l, e), (s, e), (s, d)].map(|(rows, columns)| bench.output(dtype, &shape(rows, columns)));
    let kernel = |inputs: &[&Slice], outputs: &[Slice]| Kernel::Attention {
        causal,
        scale,
        inputs: inputs.iter().copied().cloned().collect(),
        outputs: outputs.to_vec(),
    };
    // The same with weights that are kept.
    let kept = bench.output(dtype, &shape(l, d));
    let weights = bench.output(dtype, &shape(l, s));
    let of_kept =
        [(l, e), (s, e), (s, d)].map(|(rows, columns)| bench.output(dtype, &shape(rows, columns)));
    let after = bench.run(vec![
        kernel(&[&q, &k, &v], std::slice::from_ref(&y)),
        kernel(&[&q, &k, &v, &dy], &grads),
        kernel(&[&q, &k, &v], &[kept.clone(), weights.clone()]),
        kernel(&[&q, &k, &v, &dy, &weights], &of_kept),
    ]);
    for (a, b) in std::iter::once((&y, &kept)).chain(grads.iter().zip(&of_kept)) {
        for index in indices(&a.dims) {
            let [a, b] = [a, b].map(|x| read(&after, x, &index).f().to_bits());
            assert_eq!(a, b, "{dtype} {lead:?} {l} {s} {e} {d} {index:?}: weights were kept");
        }
    }
    let eps = if dtype == F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for head in indices(lead) {
        let at = |x: &Slice, i, j| read(&after, x, &[&head[..], &[i, j]].concat()).f();
        let dot = |n: usize, f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>();
        let mut want = [vec![0.0; l * e], vec![0.0; s * e], vec![0.0; s * d]];
        let mut sizes = [1.0; 3];
        for i in 0..l {
            let n = if causal { s.min(i + 1) } else { s };
            let scores: Vec<f64> =
                (0..n).map(|j| scale * dot(e, &|c| at(&q, i, c) * at(&k, j, c))).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let p: Vec<f64> = scores.iter().map(|x| (x - most).exp()).collect();
            let sum: f64 = p.iter().sum();
            let p: Vec<f64> = p.iter().map(|p| p / sum).collect();
            // A score is wrong by some units, and what follows by as many.
            let wrong = 300.0 * eps * (1.0 + scores.iter().fold(0.0f64, |m, x| m.max(x.abs())));
            for j in 0..s {
                let got = at(&weights, i, j);
                let good = match p.get(j) {
                    Some(p) => (got - p).abs() <= 8.0 * wrong,
                    None => got == 0.0,
                };
                assert!(good, "{dtype} {lead:?} {l} {s} weight {head:?} {i} {j}: {got}");
            }
            for c in 0..d {
                let (got, want) = (
                    read(&after, &y, &[&head[..], &[i, c]].concat()),
                    dot(n, &|j| p[j] * at(&v, j, c)),
                );
                let good = agree(got, crate::support::V::F(want), dtype, 1.0, 8.0 * wrong);
                assert!(
                    good,
                    "{dtype} {lead:?} {l} {s} {e} {d} y {head:?} {i} {c}: {got:?}, {want}"
                );
            }
            let dp: Vec<f64> = (0..n).map(|j| dot(d, &|c| at(&dy, i, c) * at(&v, j, c))).collect();
            let mean = dot(n, &|j| p[j] * dp[j]);
            for j in 0..n {
                let ds = p[j] * (dp[j] - mean) * scale;
                sizes[0] = f64::max(sizes[0], wrong / eps * dp[j].abs());
                for c in 0..e {
                    want[0][i * e + c] += ds * at(&k, j, c);
                    want[1][j * e + c] += ds * at(&q, i, c);
                }
                for c in 0..d {
                    want[2][j * d + c] += p[j] * at(&dy, i, c);
                }
            }
        }
        sizes[1] = sizes[0] * (l as f64).sqrt();
        sizes[2] = sizes[0] * (l as f64).sqrt();
        for (which, (x, columns)) in grads.iter().zip([e, e, d]).enumerate() {
            for (at, &want) in want[which].iter().enumerate() {
                let index = [&head[..], &[at / columns, at % columns]].concat();
                let got = read(&after, x, &index);
                let good =
                    agree(got, crate::support::V::F(want), dtype, 1.0, 8.0 * eps * sizes[which]);
                assert!(
                    good,
                    "{dtype} {lead:?} {l} {s} {e} {d} gradient {which} {index:?}: {got:?}, {want}"
                );
            }
        }
    }
}

#[test]
fn lengths() {
    for n in 0..70 {
        for causal in [false, true] {
            for dtype in [F32, F64] {
                check(dtype, Sizes(&[], [n, 5, 3, 4]), causal, n as u64);
                check(dtype, Sizes(&[], [4, n, 8, 2]), causal, n as u64);
                check(dtype, Sizes(&[2], [7, 9, n, 3]), causal, n as u64);
                check(dtype, Sizes(&[], [6, 5, 2, n]), causal, n as u64);
            }
        }
    }
}

#[test]
fn several_blocks_of_queries() {
    for causal in [false, true] {
        check(F32, Sizes(&[2], [70, 70, 32, 32]), causal, 1);
        check(F32, Sizes(&[], [40, 500, 4, 9]), causal, 2);
        check(F64, Sizes(&[], [130, 33, 17, 5]), causal, 3);
        check(F32, Sizes(&[], [9, 1024, 3, 32]), causal, 4);
        for seed in 0..12 {
            check(F32, Sizes(&[2], [70, 48, 5, 9]), causal, seed);
            check(F64, Sizes(&[2], [1, 16, 5, 9]), causal, seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_strides(rank in 0usize..=2, l in 0usize..40, s in 0usize..40, e in 0usize..20, d in 0usize..20,
                   causal: bool, double: bool, seed: u64) {
        let mut rng = Bench::new(seed).rng;
        let lead: Vec<usize> = (0..rank).map(|_| rng.below(4)).collect();
        check(if double { F64 } else { F32 }, Sizes(&lead, [l, s, e, d]), causal, seed);
    }
}

fn refused(bench: &Bench, inputs: Vec<Slice>, outputs: Vec<Slice>) -> Option<Fault> {
    let kernel = Kernel::Attention { causal: false, scale: 1.0, inputs, outputs };
    let spec = |(b, &writable): (&pleach_kernels::AlignedBuf, _)| pleach_kernels::BufferSpec {
        bytes: b.len(),
        writable,
    };
    let specs = bench.buffers.iter().zip(&bench.writable).map(spec).collect();
    pleach_kernels::Program::new(vec![kernel], specs).err().map(|e| e.fault)
}

#[test]
fn what_does_not_fit_is_refused() {
    let fault = |dtype, [l, s, e, d]: [usize; 4], inputs: usize| {
        let mut bench = Bench::new(0);
        let x = [[l, e], [s, e], [s, d], [l, d]].map(|dims| bench.input(dtype, &dims, false));
        let y = bench.output(dtype, &[2, 3]);
        refused(&bench, x[..inputs].to_vec(), vec![y])
    };
    // With weights, forward and backward.
    let kept = |of_weights: [usize; 2], backward: bool| {
        let mut bench = Bench::new(0);
        let x = [[2, 4], [5, 4], [5, 3], [2, 3]].map(|dims| bench.input(F32, &dims, false));
        if backward {
            let weights = bench.input(F32, &of_weights, false);
            let grads = [[2, 4], [5, 4], [5, 3]].map(|dims| bench.output(F32, &dims));
            return refused(&bench, [&x[..], &[weights]].concat(), grads.to_vec());
        }
        let outputs = [[2, 3], of_weights].map(|dims| bench.output(F32, &dims));
        refused(&bench, x[..3].to_vec(), outputs.to_vec())
    };
    for backward in [false, true] {
        assert_eq!(kept([2, 5], backward), None);
        assert!(matches!(kept([5, 2], backward), Some(Fault::Shape { .. })));
    }
    assert_eq!(fault(F32, [2, 5, 4, 3], 3), None);
    assert!(matches!(fault(F32, [3, 5, 4, 3], 3), Some(Fault::Shape { .. })));
    assert!(matches!(fault(F32, [2, 5, 4, 3], 4), Some(Fault::Count { .. })));
    assert_eq!(fault(I32, [2, 5, 4, 3], 3), Some(Fault::Unsupported { dtype: I32 }));
    assert_eq!(fault(F32, [2, 1025, 4, 3], 3), Some(Fault::Unsupported { dtype: F32 }));
    assert!(attention_fits(256, [128, 64], F32) && !attention_fits(256, [128, 64], F64));
    assert!(!attention_fits(10, [129, 1], F32) && !attention_fits(usize::MAX, [1, 1], F32));
}
