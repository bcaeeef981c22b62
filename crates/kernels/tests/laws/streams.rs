//! Counting, random elements, derived keys, and calls out of the crate.

use std::sync::Arc;

use pleach_kernels::{HostCall, Kernel, RandomOp, RunError, Slice};
use pleach_tensor::{DType, F32, F64, I64, Key, Tensor};
use proptest::prelude::*;

use crate::support::{Bench, V, indices, pools, read, rounded, write};

/// A scalar i64 with this value.
fn scalar(bench: &mut Bench, value: i64) -> Slice {
    let slice = bench.input(I64, &[], false);
    write(&mut bench.buffers, &slice, &[], V::I(value));
    slice
}

fn iota(dtype: DType, dims: &[usize], axis: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let y = bench.output(dtype, dims);
    let after = bench.run(vec![Kernel::Iota { axis, output: y.clone() }]);
    for at in indices(dims) {
        let want = if dtype == DType::Bool { usize::from(at[axis] != 0) } else { at[axis] };
        assert_eq!(read(&after, &y, &at).f(), want as f64);
    }
}

/// Draws with a key.
fn draw(dtype: DType, dims: &[usize], normal: bool, key: i64, seed: u64) {
    let mut bench = Bench::new(seed);
    let op = if normal { RandomOp::Normal } else { RandomOp::Uniform };
    let (k, y) = (scalar(&mut bench, key), bench.output(dtype, dims));
    let after = bench.run(vec![Kernel::Random { op, key: k, output: y.clone() }]);
    let key = Key::from_i64(key);
    for (i, at) in indices(dims).enumerate() {
        let i = i as u64;
        let want = match (op, dtype) {
            (RandomOp::Uniform, F32) => f64::from(key.uniform_f32(i)),
            (RandomOp::Uniform, F64) => key.uniform_f64(i),
            (RandomOp::Uniform, _) => key.uniform(dtype, i),
            (RandomOp::Normal, _) => rounded(dtype, key.normal_f64(i)),
        };
        assert_eq!(read(&after, &y, &at).f().to_bits(), want.to_bits());
    }
}

#[test]
fn short_lines_and_columns() {
    for n in 0..70 {
        let shapes: [(&[usize], usize); 3] = [(&[n], 0), (&[3, n], 1), (&[n, 5], 0)];
        for (dims, axis) in shapes {
            DType::ALL
                .into_iter()
                .filter(|d| !d.is_half())
                .for_each(|dtype| iota(dtype, dims, axis, n as u64));
            for dtype in [F32, F64, DType::F16, DType::Bf16] {
                draw(dtype, dims, false, 3, n as u64);
                draw(dtype, dims, true, -3, n as u64);
            }
        }
    }
}

proptest! {
    #[test]
    fn iota_counts(rank in 1usize..=4, axis in 0usize..4, ty in 0..DType::ALL.len(), seed: u64) {
        prop_assume!(!DType::ALL[ty].is_half());
        iota(DType::ALL[ty], &Bench::new(seed).rng.dims(rank), axis % rank, seed);
    }

    #[test]
    fn draws_are_those_of_the_key(rank in 0usize..=4, normal: bool, wide: bool, key: i64, seed: u64) {
        let dims = Bench::new(seed).rng.dims(rank);
        let dims = if seed.is_multiple_of(8) { vec![5000] } else { dims };
        let dtype = if wide { F64 } else { F32 };
        draw(dtype, &dims, normal, key, seed);
    }

    #[test]
    fn keys_fold(key: i64, n: i64) {
        let mut bench = Bench::new(1);
        let (k, m) = (scalar(&mut bench, key), scalar(&mut bench, n));
        let y = bench.output(I64, &[]);
        let after = bench.run(vec![Kernel::FoldIn { key: k, n: m, output: y.clone() }]);
        prop_assert_eq!(read(&after, &y, &[]).i(), Key::from_i64(key).fold(n as u64).to_i64());
    }
}

/// Negates, or fails.
#[derive(Debug)]
struct Negate(Option<&'static str>);

impl HostCall for Negate {
    fn call(&self, inputs: &[Tensor]) -> Result<Tensor, String> {
        match self.0 {
            Some(message) => Err(message.into()),
            None => Ok(Tensor::build(inputs[0].ty(), |i| -inputs[0].get(i).unwrap_or(0.0))),
        }
    }
}

#[test]
fn host_calls_see_tensors() {
    for seed in 0..50 {
        let mut bench = Bench::new(seed);
        let dims = bench.rng.dims(seed as usize % 5);
        let (x, y) = (bench.input(F32, &dims, false), bench.output(F32, &dims));
        let kernel = |call| Kernel::Call {
            call: Arc::new(Negate(call)),
            inputs: vec![x.clone()],
            output: y.clone(),
        };
        let after = bench.run(vec![kernel(None)]);
        for at in indices(&dims) {
            assert_eq!(read(&after, &y, &at).f(), -read(&after, &x, &at).f());
        }
        let program = bench.program(vec![kernel(Some("no"))]);
        let err = bench.try_run(&program, &pools()[0]).unwrap_err();
        assert_eq!(err, RunError::Host { instr: 0, message: "no".into() });
    }
}

#[test]
fn a_host_call_of_the_wrong_type_is_an_error() {
    let mut bench = Bench::new(1);
    let (x, y) = (bench.input(F32, &[3], false), bench.output(F64, &[3]));
    let call = Arc::new(Negate(None));
    let program = bench.program(vec![Kernel::Call { call, inputs: vec![x], output: y }]);
    assert!(matches!(bench.try_run(&program, &pools()[0]), Err(RunError::Host { .. })));
}
