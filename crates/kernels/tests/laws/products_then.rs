//! A product and the elementwise loop right after it have the bits that they have with something in
//! between.

use pleach_kernels::{Kernel, Reg, Scalar, ScalarOp, ScalarProgram, Slice, Strides};
use pleach_tensor::{BOOL, DType, F32, F64};
use proptest::prelude::*;

use crate::support::{Bench, V, indices, write};

/// `x + b`, relu of it, a choice by a mask, or a step down.
pub(crate) fn program(kind: usize, dtype: DType, first: bool) -> ScalarProgram {
    let order = |a, b| if first { [a, b] } else { [b, a] };
    match kind {
        0 => ScalarProgram::single(ScalarOp::Add, dtype),
        1 | 2 => {
            let mut p = ScalarProgram::new(vec![dtype; 3 - kind]);
            let z = match kind {
                1 => p.push(ScalarOp::Add, dtype, &order(Reg(0), Reg(1))),
                _ => Reg(0),
            };
            let zero = p.push(ScalarOp::Const(Scalar::from_f64(dtype, 0.0)), dtype, &[]);
            let low = p.push(ScalarOp::LessEqual, dtype, &[z, zero]);
            let y = p.push(ScalarOp::Select, dtype, &[low, zero, z]);
            p.outputs = if first { vec![low, y] } else { vec![y] };
            p
        }
        3 => {
            let mut p = ScalarProgram::new(vec![dtype, BOOL]);
            let zero = p.push(ScalarOp::Const(Scalar::from_f64(dtype, 0.0)), dtype, &[]);
            p.outputs = vec![p.push(ScalarOp::Select, dtype, &[Reg(1), zero, Reg(0)])];
            p
        }
        _ => {
            let mut p = ScalarProgram::new(vec![dtype; 3]);
            let step = p.push(ScalarOp::Mul, dtype, &order(Reg(0), Reg(2)));
            p.outputs = vec![p.push(ScalarOp::Sub, dtype, &[Reg(1), step])];
            p
        }
    }
}

fn dense(bench: &mut Bench, dtype: DType, dims: &[usize]) -> Slice {
    loop {
        let slice = bench.output(dtype, dims);
        if slice.strides[dims.len() - 1] == 1 {
            return slice;
        }
    }
}

fn check(dtype: DType, kind: usize, [m, n, k]: [usize; 3], lead: bool, seed: u64) {
    let mut bench = Bench::new(seed);
    let first = bench.rng.below(2) == 0;
    let special = bench.rng.below(2) == 0;
    let a = bench.input(dtype, &[m, k], special);
    let b = bench.input(dtype, &[k, n], false);
    let c = dense(&mut bench, dtype, &[m, n]);
    let other = match kind {
        3 => BOOL,
        _ => dtype,
    };
    // Rows, columns, or all of it repeated, or a matrix of its own.
    let mut operand = dense(&mut bench, other, &[m, n]);
    for index in indices(&operand.dims) {
        let value = match other {
            BOOL => V::I(bench.rng.below(2) as i64),
            _ => V::F(bench.rng.below(4001) as f64 / 64.0 - 30.0),
        };
        write(&mut bench.buffers, &operand, &index, value);
    }
    if kind < 2 {
        match bench.rng.below(4) {
            0 => operand.strides[0] = 0,
            1 => operand.strides[1] = 0,
            2 => operand.strides = Strides::from_elem(0, 2),
            _ => {}
        }
    }
    let mask = dense(&mut bench, BOOL, &[m, n]);
    let mut rate = bench.input(dtype, &[1, 1], false);
    rate.dims = c.dims.clone();
    rate.strides = Strides::from_elem(0, 2);
    let (inputs, outputs) = match kind {
        0 => (vec![c.clone(), operand], vec![c.clone()]),
        1 => (vec![c.clone(), operand], vec![c.clone()]),
        2 => (vec![c.clone()], vec![c.clone()]),
        3 => (vec![c.clone(), operand], vec![c.clone()]),
        _ => (vec![c.clone(), operand.clone(), rate], vec![operand]),
    };
    let mut outputs = outputs;
    if matches!(kind, 1 | 2) && first {
        outputs.insert(0, mask);
    }
    let raised = |slice: &Slice| {
        let mut slice = slice.clone();
        if lead {
            slice.dims.insert(0, 1);
            slice.strides.insert(0, 0);
        }
        slice
    };
    let product = Kernel::Gemm { a: raised(&a).into(), b: raised(&b).into(), c: raised(&c) };
    let next = Kernel::Loop {
        program: program(kind, dtype, first),
        inputs: inputs.iter().map(raised).collect(),
        outputs: outputs.iter().map(raised).collect(),
    };
    // What reads the product keeps the loop away from it, and what does not, does not.
    let from = bench.output(dtype, &[1]);
    let [to, other] = [0, 1].map(|_| bench.output(dtype, &[1]));
    let first_of_c = Slice { dims: from.dims.clone(), strides: from.strides.clone(), ..c };
    let copy = |from: Slice, to: &Slice| Kernel::Loop {
        program: ScalarProgram::single(ScalarOp::Copy, dtype),
        inputs: vec![from],
        outputs: vec![to.clone()],
    };
    let (reads, passes_by) = (copy(first_of_c, &to), copy(from, &other));
    let apart = bench.run(vec![product.clone(), reads, next.clone()]);
    let together = bench.run(vec![product.clone(), next.clone()]);
    let near = bench.run(vec![product, passes_by, next]);
    let copies = [to, other].map(|slice| slice.buffer.0 as usize);
    for i in (0..apart.len()).filter(|i| !copies.contains(i)) {
        let same = [&together, &near].iter().all(|all| all[i].bytes() == apart[i].bytes());
        assert!(same, "{dtype} {kind} {m}x{n}x{k} {seed}: buffer {i}");
    }
}

#[test]
fn lengths() {
    for n in 1..70 {
        for kind in 0..5 {
            for dtype in [F32, F64] {
                check(dtype, kind, [9, n, 5], false, n as u64);
                check(dtype, kind, [n, 32, 3], true, n as u64);
                check(dtype, kind, [17, 64 + n, n], false, n as u64);
            }
        }
    }
}

#[test]
fn blocks_and_cuts() {
    for kind in 0..5 {
        for dtype in [F32, F64] {
            check(dtype, kind, [100, 300, 120], false, 1);
            check(dtype, kind, [64, 256, 1100], true, 2);
            check(dtype, kind, [300, 40, 600], false, 3);
            check(dtype, kind, [2, 2, 0], false, 4);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_strides(
        m in 1usize..40, n in 1usize..80, k in 0usize..40, kind in 0usize..5, lead: bool, double: bool,
        seed: u64,
    ) {
        check(if double { F64 } else { F32 }, kind, [m, n, k], lead, seed);
    }
}
