//! Loops of instructions.

use pleach_kernels::{AlignedBuf, Fault, Kernel, Moves, RunError, ScalarOp, ScalarProgram, Slice};
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

/// A recurrence over rows: products with a matrix that stays, and elementwise instructions, over arrays that
/// lie anywhere in one buffer, in each other's way too. The bits are those of one thread, whoever does
/// which rows.
fn recurrence(seed: u64) -> bool {
    let mut bench = Bench::new(seed);
    let (rows, width) = (1 + bench.rng.below(40), 1 + bench.rng.below(20));
    let (length, room) = (1 + bench.rng.below(4), 12_000);
    let whole = bench.output(F32, &[room]);
    let weight = bench.input(F32, &[width, width], false);
    let (apart, pitch) = (bench.rng.below(3) > 0, width + bench.rng.below(2) * width);
    let mut free = whole.offset;
    let mut array = |bench: &mut Bench| {
        let (moves, turned) = (bench.rng.below(3) == 0, bench.rng.below(12) == 0);
        let step = pitch * rows;
        let take = step * if moves { length } else { 1 };
        let offset = if apart { free } else { whole.offset + bench.rng.below(room - take) };
        free += take;
        let mut slice = Slice::new(whole.buffer, F32, offset, &[rows, width]);
        slice.strides[0] = pitch as isize;
        if turned {
            slice.strides = [1, rows as isize].into_iter().collect();
        }
        let by = step as isize;
        slice.moves = moves.then_some(Moves { by, steps: length });
        slice
    };
    let arrays: Vec<Slice> = (0..5).map(|_| array(&mut bench)).collect();
    let any = |bench: &mut Bench| arrays[bench.rng.below(arrays.len())].clone();
    let body: Vec<Kernel> = (0..2 + bench.rng.below(4))
        .map(|_| {
            let (x, z, y) = (any(&mut bench), any(&mut bench), any(&mut bench));
            match bench.rng.below(3) {
                0 => Kernel::Gemm { a: x.into(), b: weight.clone().into(), c: y },
                1 => apply(ScalarOp::Sub, &[&x, &z], &y),
                _ => apply(ScalarOp::Tanh, &[&x], &y),
            }
        })
        .collect();
    let repeat = Kernel::Repeat { length, reverse: bench.rng.below(2) == 0, body };
    let specs = bench.program(vec![]).buffers().to_vec();
    // Instructions in each other's way are refused one by one.
    let Ok(program) = pleach_kernels::Program::new(vec![repeat], specs) else { return false };
    // A program shares rows out for the team that comes first.
    let teams = if seed.is_multiple_of(2) { [0, 1, 2] } else { [0, 2, 1] };
    let [one, two, three] =
        teams.map(|team| bench.try_run(&program, &pools()[team]).expect("a run"));
    let same = |a: &[AlignedBuf]| a.iter().zip(&one).all(|(a, b)| a.bytes() == b.bytes());
    assert!(same(&two) && same(&three), "threads differ");
    true
}

#[test]
fn rows_of_a_recurrence_are_those_of_one_thread() {
    let ran = (0..6000).filter(|&seed| recurrence(seed)).count();
    assert!(ran > 1000, "only {ran} of 6000 could run");
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
