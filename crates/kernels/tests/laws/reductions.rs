//! Sums, extremes and argmax.

use pleach_kernels::{Axes, Kernel, ReduceOp, ScalarOp, ScalarProgram, Slice, View};
use pleach_tensor::{DType, F32, F64, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read, write};

/// The indices of the operand that lead to `index` of the result.
fn sources(dims: &[usize], axes: &[usize], index: &[usize]) -> Vec<Vec<usize>> {
    let gone: Vec<usize> = axes.iter().map(|&a| dims[a]).collect();
    indices(&gone)
        .map(|g| {
            let (mut g, mut k) = (g.into_iter(), index.iter());
            let mut next = |a: usize| match axes.contains(&a) {
                true => g.next(),
                false => k.next().copied(),
            };
            (0..dims.len()).map(|a| next(a).unwrap()).collect()
        })
        .collect()
}

fn wrap(dtype: DType, x: i128) -> i64 {
    match dtype {
        DType::I32 => (x as i32).into(),
        DType::U8 => (x as u8).into(),
        _ => x as i64,
    }
}

fn reference(op: ReduceOp, dtype: DType, x: &[V]) -> V {
    if dtype.is_float() {
        let x = x.iter().map(|x| x.f());
        let nan = x.clone().any(f64::is_nan);
        return V::F(match op {
            ReduceOp::Sum => x.sum(),
            ReduceOp::Prod => x.product(),
            _ if nan => f64::NAN,
            ReduceOp::Max => x.fold(f64::NEG_INFINITY, f64::max),
            ReduceOp::Min => x.fold(f64::INFINITY, f64::min),
        });
    }
    let (low, high) = match dtype {
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::U8 => (0, 255),
        _ => (i64::MIN, i64::MAX),
    };
    let x = x.iter().map(|x| x.i());
    V::I(match op {
        ReduceOp::Sum => wrap(dtype, x.map(i128::from).sum()),
        ReduceOp::Prod => wrap(dtype, x.fold(1i64, i64::wrapping_mul).into()),
        ReduceOp::Max => x.max().unwrap_or(low),
        ReduceOp::Min => x.min().unwrap_or(high),
    })
}

fn check(op: ReduceOp, dtype: DType, dims: &[usize], axes: &[usize], special: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let kept: Vec<usize> = (0..dims.len()).filter(|a| !axes.contains(a)).map(|a| dims[a]).collect();
    let (x, y) = (bench.input(dtype, dims, special), bench.output(dtype, &kept));
    let kernel =
        Kernel::Reduce { op, axes: Axes::from_slice(axes), input: x.clone(), output: y.clone() };
    let after = bench.run(vec![kernel]);
    for index in indices(&kept) {
        let x: Vec<V> = sources(dims, axes, &index).iter().map(|i| read(&after, &x, i)).collect();
        let (got, want) = (read(&after, &y, &index), reference(op, dtype, &x));
        let size: f64 = x.iter().map(|x| x.f().abs()).filter(|x| x.is_finite()).sum();
        let eps = if dtype == F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let bits = |x: f64| if x.is_normal() { x.log2().abs() } else { 0.0 };
        // A sum of huge numbers may be infinite in one order and finite in another, and so may a
        // product.
        let (huge, atol) = match op {
            ReduceOp::Prod => {
                let huge = x.iter().map(|x| bits(x.f().abs())).sum::<f64>() > 120.0;
                (huge && dtype.is_float(), eps * x.len() as f64 * want.f().abs())
            }
            _ => (op == ReduceOp::Sum && size > 1e38, 8.0 * eps * size),
        };
        let good = huge || agree(got, want, dtype, 0.0, atol);
        assert!(good, "{op:?} {dtype} {dims:?} over {axes:?} at {index:?}: {got:?}, {want:?}");
    }
}

fn argmax(dtype: DType, dims: &[usize], axis: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let kept: Vec<usize> = (0..dims.len()).filter(|&a| a != axis).map(|a| dims[a]).collect();
    let x = bench.input(dtype, dims, true);
    let y = bench.output(I64, &kept);
    let after = bench.run(vec![Kernel::ArgMax { axis, input: x.clone(), output: y.clone() }]);
    for index in indices(&kept) {
        let line: Vec<V> =
            sources(dims, &[axis], &index).iter().map(|i| read(&after, &x, i)).collect();
        let rank = |v: &V| match *v {
            V::F(f) if f.is_nan() => (1, 0.0, 0),
            V::F(f) => (0, f, 0),
            V::I(i) => (0, 0.0, i),
        };
        let got = read(&after, &y, &index).i() as usize;
        let best = rank(&line[got]);
        let after_best = |(i, v)| if i < got { rank(v) < best } else { rank(v) <= best };
        let good = line.iter().enumerate().all(after_best);
        assert!(good, "{:?} of {:?}", got, line);
    }
}

const OPS: [ReduceOp; 4] = [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod];
const NUMBERS: [DType; 5] = [F32, F64, DType::I32, I64, DType::U8];

#[test]
fn short_lines_and_columns() {
    for op in OPS {
        for dtype in NUMBERS {
            for n in 0..70 {
                check(op, dtype, &[n], &[0], true, n as u64);
                check(op, dtype, &[3, n], &[1], false, n as u64);
                check(op, dtype, &[n, 5], &[0], false, n as u64);
            }
        }
    }
    for dtype in DType::ALL {
        for n in 1..70 {
            argmax(dtype, &[n], 0, n as u64);
            argmax(dtype, &[3, n], 1, n as u64);
            argmax(dtype, &[n, 5], 0, n as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_axes(rank in 0usize..=4, mask in 0usize..16, op in 0usize..4, ty in 0usize..5, seed: u64) {
        let dims = Bench::new(seed).rng.dims(rank);
        let axes: Vec<usize> = (0..rank).filter(|a| mask >> a & 1 == 1).collect();
        check(OPS[op], NUMBERS[ty], &dims, &axes, seed.is_multiple_of(2), seed);
    }

    #[test]
    fn strides_do_not_change_bits(rank in 1usize..=4, mask in 0usize..16, seed: u64) {
        let mut bench = Bench::new(seed);
        let dims = bench.rng.dims(rank);
        let axes: Axes = (0..rank).filter(|a| mask >> a & 1 == 1).collect();
        let kept: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).map(|a| dims[a]).collect();
        let x = bench.input(F32, &dims, false);
        let copy = bench.output(F32, &dims);
        let ys = [bench.output(F32, &kept), bench.output(F32, &kept)];
        let reduce = |input, output| Kernel::Reduce { op: ReduceOp::Sum, axes: axes.clone(), input, output };
        let program = ScalarProgram::single(ScalarOp::Copy, F32);
        let after = bench.run(vec![
            Kernel::Loop { program, inputs: vec![x.clone()], outputs: vec![copy.clone()] },
            reduce(x, ys[0].clone()),
            reduce(copy, ys[1].clone()),
        ]);
        for index in indices(&kept) {
            let [a, b] = ys.each_ref().map(|y| read(&after, y, &index).f().to_bits());
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn argmax_is_the_first_largest(rank in 1usize..=4, axis in 0usize..4, ty in 0..DType::ALL.len(), seed: u64) {
        let (mut dims, axis) = (Bench::new(seed).rng.dims(rank), axis % rank);
        dims[axis] = dims[axis].max(1);
        argmax(DType::ALL[ty], &dims, axis, seed);
    }
}

/// Lines that lie packed, and the same as columns, of every short length.
#[test]
fn short_lines_have_the_bits_of_columns() {
    for n in 1..70 {
        for lines in [1, 7, 40] {
            for dtype in [F32, F64] {
                let mut bench = Bench::new(n as u64);
                let [packed, turned] = [[lines, n], [n, lines]].map(|dims| {
                    let whole = bench.output(dtype, &[lines * n]);
                    Slice::new(whole.buffer, dtype, 0, &dims)
                });
                for at in indices(&[lines, n]) {
                    let value = V::F((at[0] * 131 + at[1] * 7919) as f64 % 1009.0 / 3.0 - 150.0);
                    write(&mut bench.buffers, &packed, &at, value);
                    write(&mut bench.buffers, &turned, &[at[1], at[0]], value);
                }
                let turned =
                    turned.view(&View::Permute(Axes::from_slice(&[1, 0])), &[lines, n]).unwrap();
                let ys = [0, 1].map(|_| bench.output(dtype, &[lines]));
                let reduce = |input: &Slice, output: &Slice| Kernel::Reduce {
                    op: ReduceOp::Sum,
                    axes: Axes::from_slice(&[1]),
                    input: input.clone(),
                    output: output.clone(),
                };
                let after = bench.run(vec![reduce(&packed, &ys[0]), reduce(&turned, &ys[1])]);
                for line in 0..lines {
                    let [a, b] = ys.each_ref().map(|y| read(&after, y, &[line]).f().to_bits());
                    assert_eq!(a, b, "{dtype} {lines} lines of {n}");
                }
            }
        }
    }
}

/// Blocks of a sum of all elements end within rows, which lie as columns.
#[test]
fn a_sum_of_all_of_a_turned_matrix_has_the_bits_of_its_copy() {
    for dims in [[40, 30], [30, 40], [3, 700], [700, 3], [9, 120], [1030, 2]] {
        let mut bench = Bench::new(11);
        let whole = bench.output(F32, &[dims[0] * dims[1]]);
        let x = Slice::new(whole.buffer, F32, 0, &[dims[1], dims[0]]);
        for (i, at) in indices(&[dims[1], dims[0]]).enumerate() {
            let value = V::F((i * 7919 % 1009) as f64 / 64.0 - 7.0);
            write(&mut bench.buffers, &x, &at, value);
        }
        let turned = x.view(&View::Permute(Axes::from_slice(&[1, 0])), &dims).unwrap();
        let copy = bench.output(F32, &[dims[0] * dims[1]]);
        let copy = Slice::new(copy.buffer, F32, 0, &dims);
        let ys = [0, 1].map(|_| bench.output(F32, &[]));
        let reduce = |input: &Slice, output: &Slice| Kernel::Reduce {
            op: ReduceOp::Sum,
            axes: Axes::from_slice(&[0, 1]),
            input: input.clone(),
            output: output.clone(),
        };
        let program = ScalarProgram::single(ScalarOp::Copy, F32);
        let (inputs, outputs) = (vec![turned.clone()], vec![copy.clone()]);
        let after = bench.run(vec![
            Kernel::Loop { program, inputs, outputs },
            reduce(&turned, &ys[0]),
            reduce(&copy, &ys[1]),
        ]);
        for at in indices(&dims) {
            let [a, b] = [&turned, &copy].map(|s| read(&after, s, &at).f());
            assert_eq!(a, b, "{dims:?} {at:?}");
        }
        let [a, b] = ys.each_ref().map(|y| read(&after, y, &[]).f().to_bits());
        assert_eq!(a, b, "{dims:?}");
    }
}

#[test]
fn a_long_sum_is_accurate() {
    let n = 1_000_000;
    for dims in [[1, n], [n, 1], [1000, 1000]] {
        for axis in [0, 1] {
            let mut bench = Bench::new(3);
            let kept = [dims[1 - axis]];
            let x = pleach_kernels::Slice::new(pleach_kernels::BufferId(0), F32, 0, &dims);
            let values: Vec<f32> = (0..n).map(|i| (i % 1000) as f32 * 0.1).collect();
            bench.buffers.push(pleach_kernels::AlignedBuf::from_slice(&values));
            bench.writable.push(false);
            let y = bench.output(F32, &kept);
            let after = bench.run(vec![Kernel::Reduce {
                op: ReduceOp::Sum,
                axes: Axes::from_slice(&[axis]),
                input: x.clone(),
                output: y.clone(),
            }]);
            for i in (0..kept[0]).step_by(97) {
                let line = sources(&dims, &[axis], &[i]);
                let want: f64 = line.iter().map(|i| read(&after, &x, i).f()).sum();
                let got = read(&after, &y, &[i]).f();
                assert!((got - want).abs() <= 1e-6 * want.abs(), "{dims:?} {axis}: {got} {want}");
            }
        }
    }
}
