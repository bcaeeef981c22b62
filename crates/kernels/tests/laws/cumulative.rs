//! Running sums, products and positions; sorting.

use std::cmp::Ordering;

use pleach_kernels::{CumulativeOp, Kernel, Slice};
use pleach_tensor::{DType, F32, F64, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read};

fn wrap(dtype: DType, x: i128) -> V {
    V::I(match dtype {
        DType::I32 => (x as i32).into(),
        DType::U8 => (x as u8).into(),
        _ => x as i64,
    })
}

/// A number as a kernel reads it: an `f32` product of these is exact in `f64`.
fn log_add(a: f64, b: f64) -> f64 {
    let top = a.max(b);
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if top.is_infinite() {
        top
    } else {
        top + ((a - top).exp() + (b - top).exp()).ln()
    }
}

/// What comes after `y` on a line with operands `x`.
fn next(op: CumulativeOp, dtype: DType, y: V, x: &[V]) -> V {
    if dtype.is_float() {
        let (y, a) = (y.f(), x[0].f());
        return V::F(match op {
            CumulativeOp::Sum => y + a,
            CumulativeOp::Prod => y * a,
            CumulativeOp::LogSumExp => log_add(y, a),
            _ => a * y + x[1].f(),
        });
    }
    let (y, a) = (i128::from(y.i()), i128::from(x[0].i()));
    wrap(
        dtype,
        match op {
            CumulativeOp::Sum => y + a,
            CumulativeOp::Prod => y * a,
            _ => a * y + i128::from(x[1].i()),
        },
    )
}

/// The indices of a line, in the order of the walk.
fn line(dims: &[usize], axis: usize, reverse: bool, at: &[usize]) -> Vec<Vec<usize>> {
    let index = |k| {
        let mut index = at.to_vec();
        index[axis] = k;
        index
    };
    let forth = (0..dims[axis]).map(index);
    if reverse { forth.rev().collect() } else { forth.collect() }
}

/// The first index of every line.
fn heads(dims: &[usize], axis: usize) -> impl Iterator<Item = Vec<usize>> + '_ {
    indices(dims).filter(move |index| index[axis] == 0)
}

fn rank(v: V) -> (bool, f64, i64) {
    match v {
        V::F(f) if f.is_nan() => (true, 0.0, 0),
        V::F(f) => (false, f, 0),
        V::I(i) => (false, 0.0, i),
    }
}

const SCANS: [CumulativeOp; 4] =
    [CumulativeOp::Sum, CumulativeOp::Prod, CumulativeOp::LogSumExp, CumulativeOp::Linear];

/// Scans of `dims` along an axis.
fn scan(op: CumulativeOp, dtype: DType, dims: &[usize], axis: usize, reverse: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let log = op == CumulativeOp::LogSumExp;
    let special = seed.is_multiple_of(2);
    let mut inputs: Vec<Slice> = vec![bench.input(dtype, dims, special)];
    if op == CumulativeOp::Linear {
        inputs.push(bench.input(dtype, dims, special));
    }
    let output = bench.output(dtype, dims);
    let after = bench.run(vec![Kernel::Cumulative {
        op,
        axis,
        reverse,
        inputs: inputs.clone(),
        output: output.clone(),
    }]);
    for head in heads(dims, axis) {
        let mut state = None;
        for (k, index) in line(dims, axis, reverse, &head).iter().enumerate() {
            let x: Vec<V> = inputs.iter().map(|s| read(&after, s, index)).collect();
            let want = match state {
                None => *x.last().unwrap(),
                Some(y) => next(op, dtype, y, &x),
            };
            state = Some(want);
            let got = read(&after, &output, index);
            let rounded = match want {
                V::F(w) if dtype == F32 => V::F((w as f32).into()),
                other => other,
            };
            let ulp = if log { 8.0 + k as f64 } else { 0.0 };
            let good = agree(got, rounded, dtype, ulp, if log { 1e-13 } else { 0.0 });
            assert!(good, "{op:?} {dtype} {index:?}: {got:?}, {rounded:?}");
        }
    }
}

/// Running positions of the largest or the smallest.
fn positions(largest: bool, dtype: DType, dims: &[usize], axis: usize, reverse: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let x = bench.input(dtype, dims, true);
    let y = bench.output(I64, dims);
    let op = if largest { CumulativeOp::ArgMax } else { CumulativeOp::ArgMin };
    let after = bench.run(vec![Kernel::Cumulative {
        op,
        axis,
        reverse,
        inputs: vec![x.clone()],
        output: y.clone(),
    }]);
    for head in heads(dims, axis) {
        let walk = line(dims, axis, reverse, &head);
        let values: Vec<V> = walk.iter().map(|i| read(&after, &x, i)).collect();
        for (k, index) in walk.iter().enumerate() {
            let further = |a: V, b: V| {
                let (a, b) = (rank(a), rank(b));
                if a.0 || b.0 {
                    a.0
                } else if largest {
                    a >= b
                } else {
                    a <= b
                }
            };
            let best = (0..=k).fold(0, |b, i| if further(values[i], values[b]) { i } else { b });
            let got = read(&after, &y, index).i() as usize;
            assert_eq!(got, walk[best][axis], "{:?} of {:?}", index, values);
        }
    }
}

fn argmin(dtype: DType, dims: &[usize], axis: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let mut kept = dims.to_vec();
    kept.remove(axis);
    let x = bench.input(dtype, dims, true);
    let y = bench.output(I64, &kept);
    let after = bench.run(vec![Kernel::ArgMin { axis, input: x.clone(), output: y.clone() }]);
    for head in heads(dims, axis) {
        let values: Vec<V> =
            line(dims, axis, false, &head).iter().map(|i| read(&after, &x, i)).collect();
        let better = |a: V, b: V| {
            let (a, b) = (rank(a), rank(b));
            if a.0 || b.0 { a.0 && !b.0 } else { a < b }
        };
        let best =
            (1..values.len()).fold(0, |b, i| if better(values[i], values[b]) { i } else { b });
        let mut at = head.clone();
        at.remove(axis);
        assert_eq!(read(&after, &y, &at).i() as usize, best, "{:?}", values);
    }
}

/// Sorts along the last axis.
fn argsort(dtype: DType, dims: &[usize], descending: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let axis = dims.len() - 1;
    let x = bench.input(dtype, dims, true);
    let y = bench.output(I64, dims);
    let sort = Kernel::ArgSort { descending, input: x.clone(), output: y.clone() };
    let after = bench.run(vec![sort]);
    for head in heads(dims, axis) {
        let walk = line(dims, axis, false, &head);
        let values: Vec<V> = walk.iter().map(|i| read(&after, &x, i)).collect();
        let mut want: Vec<usize> = (0..values.len()).collect();
        want.sort_by(|&a, &b| {
            let order = rank(values[a]).partial_cmp(&rank(values[b])).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        });
        let got: Vec<usize> = walk.iter().map(|i| read(&after, &y, i).i() as usize).collect();
        assert_eq!(got, want, "{:?}", values);
    }
}

/// The element types of a scan.
fn numbers(op: CumulativeOp) -> &'static [DType] {
    let all = &[F32, F64, DType::I32, DType::I64, DType::U8];
    if op == CumulativeOp::LogSumExp { &all[..2] } else { all }
}

#[test]
fn short_lines_and_columns() {
    for n in 0..70 {
        let reverse = n % 2 == 1;
        let shapes: [(&[usize], usize); 3] = [(&[n], 0), (&[3, n], 1), (&[n, 5], 0)];
        for (dims, axis) in shapes {
            for op in SCANS {
                numbers(op).iter().for_each(|&t| scan(op, t, dims, axis, reverse, n as u64));
            }
            for dtype in DType::ALL {
                positions(n % 3 == 1, dtype, dims, axis, reverse, n as u64);
                if n > 0 {
                    argmin(dtype, dims, axis, n as u64);
                }
                argsort(dtype, dims, reverse, n as u64);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn scans_follow_their_recurrence(
        (rank, axis, op, ty) in (1usize..=4, 0usize..4, 0usize..4, 0usize..5),
        reverse: bool,
        seed: u64,
    ) {
        let dtype = numbers(SCANS[op])[ty % numbers(SCANS[op]).len()];
        scan(SCANS[op], dtype, &Bench::new(seed).rng.dims(rank), axis % rank, reverse, seed);
    }

    #[test]
    fn running_positions_are_of_the_last_extreme(
        (rank, axis, ty) in (1usize..=4, 0usize..4, 0..DType::ALL.len()),
        largest: bool,
        reverse: bool,
        seed: u64,
    ) {
        let dims = Bench::new(seed).rng.dims(rank);
        positions(largest, DType::ALL[ty], &dims, axis % rank, reverse, seed);
    }

    #[test]
    fn argmin_is_the_first_smallest(rank in 1usize..=4, axis in 0usize..4, ty in 0..DType::ALL.len(), seed: u64) {
        let (mut dims, axis) = (Bench::new(seed).rng.dims(rank), axis % rank);
        dims[axis] = dims[axis].max(1);
        argmin(DType::ALL[ty], &dims, axis, seed);
    }

    #[test]
    fn argsort_is_the_stable_order(rank in 1usize..=4, ty in 0..DType::ALL.len(), descending: bool, seed: u64) {
        argsort(DType::ALL[ty], &Bench::new(seed).rng.dims(rank), descending, seed);
    }
}
