//! Take, gather, their adjoints, and scatter.

use pleach_kernels::{Kernel, RunError, Slice};
use pleach_tensor::{DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, pools, read, write};

const NUMBERS: [DType; 5] = [F32, F64, I32, I64, DType::U8];

fn add(dtype: DType, a: V, b: V) -> V {
    match (a, b) {
        (V::F(a), V::F(b)) if dtype == F32 => V::F(f64::from((a + b) as f32)),
        (V::F(a), V::F(b)) => V::F(a + b),
        (a, b) => match dtype {
            I32 => V::I((a.i() as i32).wrapping_add(b.i() as i32).into()),
            DType::U8 => V::I((a.i() as u8).wrapping_add(b.i() as u8).into()),
            _ => V::I(a.i().wrapping_add(b.i())),
        },
    }
}

/// Adds `dy` into zeros of `y`'s shape, at the places that `to` says, in order.
fn scatter(bench: &Bench, dy: &Slice, y: &Slice, to: impl Fn(&[usize]) -> Vec<usize>) -> Vec<V> {
    let flat = |i: &[usize]| i.iter().zip(&y.dims).fold(0, |f, (&i, &n)| f * n + i);
    let zero = if y.dtype.is_float() { V::F(0.0) } else { V::I(0) };
    let mut sums = vec![zero; y.numel()];
    for index in indices(&dy.dims) {
        let at = flat(&to(&index));
        sums[at] = add(y.dtype, sums[at], read(&bench.buffers, dy, &index));
    }
    sums
}

/// Takes from `dims` along an axis by indices of shape `idx_dims`, and back.
fn take(dtype: DType, dims: &[usize], axis: usize, idx_dims: &[usize], seed: u64) {
    let mut bench = Bench::new(seed);
    let idx = idx_dims.len();
    let out: Vec<usize> = [&dims[..axis], idx_dims, &dims[axis + 1..]].concat();
    let (x, index) = (bench.input(dtype, dims, true), bench.indices(idx_dims, dims[axis]));
    let y = bench.output(dtype, &out);
    let source = |bench: &Bench, at: &[usize]| -> Vec<usize> {
        let i = read(&bench.buffers, &index, &at[axis..axis + idx]).i() as usize;
        [&at[..axis], &[i], &at[axis + idx..]].concat()
    };
    let after = bench.run(vec![Kernel::Take {
        axis,
        x: x.clone(),
        indices: index.clone(),
        output: y.clone(),
    }]);
    for at in indices(&out) {
        let (got, want) = (read(&after, &y, &at), read(&after, &x, &source(&bench, &at)));
        assert!(agree(got, want, dtype, 0.0, 0.0));
    }
    let (dy, dx) = (bench.input(dtype, &out, false), bench.output(dtype, dims));
    let after = bench.run(vec![Kernel::TakeAdd {
        axis,
        dy: dy.clone(),
        indices: index.clone(),
        output: dx.clone(),
    }]);
    let want = scatter(&bench, &dy, &dx, |at| source(&bench, at));
    for (at, want) in indices(dims).zip(want) {
        assert!(agree(read(&after, &dx, &at), want, dtype, 0.0, 0.0));
    }
}

/// Gathers `out` from `dims` along an axis, and back; scatters.
fn gather(dtype: DType, dims: &[usize], axis: usize, out: &[usize], seed: u64) {
    let mut bench = Bench::new(seed);
    let (x, index) = (bench.input(dtype, dims, true), bench.indices(out, dims[axis]));
    let y = bench.output(dtype, out);
    let source = |bench: &Bench, at: &[usize]| -> Vec<usize> {
        let mut from = at.to_vec();
        from[axis] = read(&bench.buffers, &index, at).i() as usize;
        from
    };
    let after = bench.run(vec![Kernel::Gather {
        axis,
        x: x.clone(),
        indices: index.clone(),
        output: y.clone(),
    }]);
    for at in indices(out) {
        let (got, want) = (read(&after, &y, &at), read(&after, &x, &source(&bench, &at)));
        assert!(agree(got, want, dtype, 0.0, 0.0));
    }
    let (dy, dx) = (bench.input(dtype, out, false), bench.output(dtype, dims));
    let after = bench.run(vec![Kernel::ScatterAdd {
        axis,
        dy: dy.clone(),
        indices: index.clone(),
        output: dx.clone(),
    }]);
    let want = scatter(&bench, &dy, &dx, |at| source(&bench, at));
    for (at, want) in indices(dims).zip(want) {
        assert!(agree(read(&after, &dx, &at), want, dtype, 0.0, 0.0));
    }
    let z = bench.output(dtype, dims);
    let after = bench.run(vec![Kernel::Scatter {
        axis,
        x: x.clone(),
        indices: index.clone(),
        src: dy.clone(),
        output: z.clone(),
    }]);
    let from: Vec<Vec<usize>> = indices(out).map(|at| source(&bench, &at)).collect();
    for at in indices(dims) {
        let last = indices(out).zip(&from).filter(|(_, to)| **to == at).last();
        let want =
            last.map_or(read(&bench.buffers, &x, &at), |(i, _)| read(&bench.buffers, &dy, &i));
        assert!(agree(read(&after, &z, &at), want, dtype, 0.0, 0.0));
    }
}

#[test]
fn short_lines_and_columns() {
    for dtype in NUMBERS {
        for n in 0..70 {
            let seed = n as u64;
            take(dtype, &[n.max(1)], 0, &[9], seed);
            take(dtype, &[7], 0, &[n], seed);
            take(dtype, &[4, n], 0, &[3], seed);
            take(dtype, &[n, 5], 1, &[2], seed);
            gather(dtype, &[n.max(1)], 0, &[9], seed);
            gather(dtype, &[7], 0, &[n], seed);
            gather(dtype, &[4, n], 0, &[3, n], seed);
            gather(dtype, &[n, 5], 1, &[n, 2], seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn take_and_its_adjoint(rank in 1usize..=4, axis in 0usize..4, idx in 0usize..=2, ty in 0usize..5, seed: u64) {
        let mut bench = Bench::new(seed);
        let (mut dims, axis) = (bench.rng.dims(rank), axis % rank);
        dims[axis] = dims[axis].max(1);
        let idx_dims: Vec<usize> = (0..idx).map(|_| bench.rng.below(6)).collect();
        take(NUMBERS[ty], &dims, axis, &idx_dims, seed);
    }

    #[test]
    fn gather_and_its_adjoint(rank in 1usize..=4, axis in 0usize..4, ty in 0usize..5, seed: u64) {
        let mut bench = Bench::new(seed);
        let (mut dims, axis) = (bench.rng.dims(rank), axis % rank);
        dims[axis] = dims[axis].max(1);
        let out: Vec<usize> = dims.iter().enumerate()
            .map(|(d, &n)| if d == axis { bench.rng.below(9) } else { n - bench.rng.below(2).min(n) })
            .collect();
        gather(NUMBERS[ty], &dims, axis, &out, seed);
    }

    #[test]
    fn bad_indices_are_reported_and_nothing_is_written(bad in prop::sample::select(vec![-1i64, 5, i64::MIN, i64::MAX, 1 << 33]), at in 0usize..7, kind in 0usize..5, seed: u64) {
        let mut bench = Bench::new(seed);
        let index = bench.output(I64, &[7]);
        for i in 0..7 {
            write(&mut bench.buffers, &index, &[i], V::I(if i == at { bad } else { 2 }));
        }
        let (five, seven) = (bench.output(F32, &[5]), bench.output(F32, &[7]));
        let y = bench.output(F32, &[5]);
        let kernel = match kind {
            0 => Kernel::Take { axis: 0, x: five, indices: index, output: seven },
            1 => Kernel::Gather { axis: 0, x: five, indices: index, output: seven },
            2 => Kernel::TakeAdd { axis: 0, dy: seven, indices: index, output: five },
            3 => Kernel::Scatter { axis: 0, x: five, indices: index, src: seven, output: y },
            _ => Kernel::ScatterAdd { axis: 0, dy: seven, indices: index, output: five },
        };
        let program = bench.program(vec![kernel]);
        let got = bench.try_run(&program, &pools()[1]).unwrap_err();
        prop_assert_eq!(got, RunError::Index { instr: 0, index: bad, len: 5 });
    }
}
