//! Loops of instructions.

use pleach_kernels::{Fault, Kernel, Moves, RunError, ScalarOp, ScalarProgram, Slice};
use pleach_tensor::{F32, F64};
use proptest::prelude::*;

use crate::support::{Bench, V, indices, pools, read};

fn apply(op: ScalarOp, inputs: &[&Slice], output: &Slice) -> Kernel {
    let inputs = inputs.iter().map(|&s| s.clone()).collect();
    let program = ScalarProgram::single(op, output.dtype);
    Kernel::Loop { program, inputs, outputs: vec![output.clone()] }
}

/// `c ← c + x[t]`, `y[t] = c`, over slices with any strides.
fn running_sum(dims: &[usize], length: usize, reverse: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let stacked: Vec<usize> = [length].iter().chain(dims).copied().collect();
    let xs = bench.input(F64, &stacked, false);
    let ys = bench.output(F64, &stacked);
    let (carry, sum) = (bench.output(F64, dims), bench.output(F64, dims));
    let (x, y) = (xs.stepped().unwrap(), ys.stepped().unwrap());
    let body = vec![
        apply(ScalarOp::Add, &[&carry, &x], &sum),
        apply(ScalarOp::Copy, &[&sum], &carry),
        apply(ScalarOp::Copy, &[&carry], &y),
    ];
    let after = bench.run(vec![zero(&carry), Kernel::Repeat { length, reverse, body }]);
    for at in indices(dims) {
        let mut total = 0.0;
        for step in 0..length {
            let t = if reverse { length - 1 - step } else { step };
            let place: Vec<usize> = [t].iter().chain(&at).copied().collect();
            total += read(&bench.buffers, &xs, &place).f();
            let V::F(y) = read(&after, &ys, &place) else { unreachable!() };
            assert_eq!(y.to_bits(), total.to_bits());
        }
    }
}

#[test]
fn slices_of_every_short_length() {
    for n in 0..70 {
        running_sum(&[n], 3, n % 2 == 1, n as u64);
        running_sum(&[3, n], n % 4, n % 3 == 1, n as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_running_sum(rank in 0usize..=3, length in 0usize..6, reverse: bool, seed: u64) {
        running_sum(&Bench::new(seed).rng.dims(rank), length, reverse, seed);
    }
}

/// Everything 0.
fn zero(to: &Slice) -> Kernel {
    let mut program = ScalarProgram::new(vec![]);
    let value = pleach_kernels::Scalar::fill(to.dtype, 0.0);
    let reg = program.push(ScalarOp::Const(value), to.dtype, &[]);
    program.outputs.push(reg);
    Kernel::Loop { program, inputs: vec![], outputs: vec![to.clone()] }
}

#[test]
fn what_does_not_fit_is_refused_and_failures_inside_stop_the_run() {
    let mut bench = Bench::new(3);
    let (xs, item) = (bench.output(F32, &[4, 3]), bench.output(F32, &[3]));
    let fault = |bench: &Bench, body: Kernel, nested: bool| {
        let repeat = |body| Kernel::Repeat { length: 4, reverse: false, body: vec![body] };
        let instr = if nested {
            Kernel::Repeat { length: 2, reverse: false, body: vec![repeat(body)] }
        } else {
            repeat(body)
        };
        let buffers = bench.program(vec![]).buffers().to_vec();
        pleach_kernels::Program::new(vec![instr], buffers).err().map(|e| e.fault)
    };
    let copy = |from: &Slice, to: &Slice| apply(ScalarOp::Copy, &[from], to);
    let x = xs.stepped().unwrap();
    assert_eq!((x.stepped(), item.stepped().map(|s| s.dims.len())), (None, Some(0)));
    assert_eq!(fault(&bench, copy(&x, &item), false), None);
    assert_eq!(fault(&bench, copy(&x, &item), true), None);
    assert_eq!(fault(&bench, copy(&item, &x), false), None);
    // Neither more steps than there are slices, nor slices of another loop.
    let moved = |by, steps| Slice { moves: Some(Moves { by, steps }), ..x.clone() };
    let buffer = x.buffer;
    assert_eq!(fault(&bench, copy(&moved(3, 5), &item), false), Some(Fault::Moves { buffer }));
    assert_eq!(
        fault(&bench, copy(&moved(1 << 20, 4), &item), false),
        Some(Fault::OutOfBounds { buffer })
    );
    assert_eq!(
        fault(&bench, copy(&moved(-3, 4), &item), false),
        Some(Fault::OutOfBounds { buffer })
    );
    let outside = pleach_kernels::Program::new(
        vec![copy(&x, &item)],
        bench.program(vec![]).buffers().to_vec(),
    );
    assert_eq!(outside.err().map(|e| e.fault), Some(Fault::Moves { buffer }));
    // What stands still is met by what moves in some step.
    let still = Slice { moves: None, ..x.clone() };
    assert_eq!(fault(&bench, copy(&x, &still), false), Some(Fault::Alias { buffer }));
    // An instruction inside is checked like any other.
    let mut outside = item.clone();
    outside.offset += 1 << 20;
    assert!(fault(&bench, copy(&item, &outside), false).is_some());

    let (indices, y) = (bench.indices(&[8], 9), bench.output(F32, &[8]));
    let take = Kernel::Take { axis: 0, x: bench.output(F32, &[1]), indices, output: y };
    let repeat = Kernel::Repeat { length: 2, reverse: false, body: vec![take] };
    let failed = bench.try_run(&bench.program(vec![repeat]), &pools()[0]);
    assert!(matches!(failed, Err(RunError::Index { instr: 0, len: 1, .. })));
}
