//! A fused loop has the bits of its instructions run one at a time, also in place.

use pleach_kernels::{
    Axes, Fault, Kernel, MAX_ROW, ProgramError, ReduceOp, Reg, Scalar, ScalarOp, ScalarProgram,
    Slice, loop_reduces,
};
use pleach_tensor::{BF16, DType, F16, F32, F64, I32};
use proptest::prelude::*;

use crate::support::{Bench, Rng, V, indices, read};

/// A random program of `count` instructions.
fn program(rng: &mut Rng, inputs: Vec<DType>, count: usize) -> ScalarProgram {
    use ScalarOp::*;
    let mut p = ScalarProgram::new(inputs.clone());
    let mut types = inputs;
    while p.instrs.len() < count {
        let dtype = rng.pick(&[F32, F32, F64, I32, DType::Bool, DType::U8, BF16, BF16, F16]);
        let op = rng.pick(&[
            Copy,
            Neg,
            Exp,
            Tanh,
            Sqrt,
            Not,
            Add,
            Sub,
            Mul,
            Div,
            Max,
            Less,
            Equal,
            And,
            Select,
            Cast(F32),
            Cast(F64),
            Cast(BF16),
            Cast(F16),
            Cast(I32),
            Cast(DType::Bool),
            Const(Scalar::from_f64(dtype, 1.5)),
        ]);
        let of = |t: DType| -> Vec<Reg> {
            (0..types.len()).filter(|&i| types[i] == t).map(|i| Reg(i as u16)).collect()
        };
        let (same, bools) = (of(dtype), of(DType::Bool));
        let missing = op.arity() > 0 && same.is_empty() || op == Select && bools.is_empty();
        if !op.accepts(dtype) || missing {
            continue;
        }
        let mut args: Vec<Reg> = (0..op.arity()).map(|_| rng.pick(&same)).collect();
        if op == Select {
            args[0] = rng.pick(&bools);
        }
        p.push(op, dtype, &args);
        types.push(op.result(dtype));
    }
    p
}

fn same(a: V, b: V) -> bool {
    match (a, b) {
        (V::F(a), V::F(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (a, b) => a.i() == b.i(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn fused_is_unfused(rank in 0usize..=4, count in 1usize..30, seed: u64) {
        let mut bench = Bench::new(seed);
        let dims = bench.rng.dims(rank);
        let types = [F32, F32, F64, I32, DType::Bool, BF16, BF16, F16].to_vec();
        let mut p = program(&mut bench.rng, types.clone(), count);
        let registers: Vec<DType> = types.iter().copied()
            .chain(p.instrs.iter().map(|i| i.op.result(i.dtype))).collect();
        // Some inputs are written in place: each of these is a writable buffer.
        let mut slices: Vec<Slice> = vec![];
        for &t in &types {
            let s = bench.input(t, &dims, true);
            let y = bench.output(t, &dims);
            let copy = ScalarProgram::single(ScalarOp::Copy, t);
            bench.buffers = bench.run(vec![Kernel::Loop {
                program: copy, inputs: vec![s], outputs: vec![y.clone()],
            }]);
            slices.push(y);
        }
        let mut outputs: Vec<Slice> = vec![];
        for _ in 0..1 + bench.rng.below(4) {
            let reg = bench.rng.below(registers.len());
            let t = registers[reg];
            let free: Vec<usize> = (0..types.len())
                .filter(|&i| types[i].size() == t.size())
                .filter(|&i| outputs.iter().all(|o| o.buffer != slices[i].buffer))
                .collect();
            let y = if !free.is_empty() && bench.rng.below(2) == 0 {
                Slice { dtype: t, ..slices[bench.rng.pick(&free)].clone() }
            } else {
                bench.output(t, &dims)
            };
            p.outputs.push(Reg(reg as u16));
            outputs.push(y);
        }
        let fused = Kernel::Loop {
            program: p.clone(), inputs: slices.clone(), outputs: outputs.clone(),
        };
        let got = bench.run(vec![fused]);

        // One at a time, each into its own packed buffer.
        let mut values = slices.clone();
        let mut kernels = vec![];
        for instr in &p.instrs {
            let program = ScalarProgram::single(instr.op, instr.dtype);
            let args = instr.args[..instr.op.arity()].iter();
            let inputs = args.map(|r| values[usize::from(r.0)].clone()).collect();
            let y = bench.output(instr.op.result(instr.dtype), &dims);
            values.push(y.clone());
            kernels.push(Kernel::Loop { program, inputs, outputs: vec![y] });
        }
        let want = bench.run(kernels);
        for (y, reg) in outputs.iter().zip(&p.outputs) {
            for index in indices(&dims) {
                let (got, want) =
                    (read(&got, y, &index), read(&want, &values[usize::from(reg.0)], &index));
                prop_assert!(same(got, want), "{reg:?} at {index:?}: {got:?}, {want:?}\n{p:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn one_element_has_the_bits_of_many(count in 1usize..40, seed: u64) {
        let mut bench = Bench::new(seed);
        let types = [F32, F32, F64, I32, DType::Bool].to_vec();
        let mut p = program(&mut bench.rng, types.clone(), count);
        let last = p.instrs[count - 1];
        p.outputs.push(Reg((types.len() + count - 1) as u16));
        let one: Vec<Slice> = types.iter().map(|&t| bench.input(t, &[], true)).collect();
        let many = one.iter().map(|s| {
            Slice { dims: [33][..].into(), strides: [0][..].into(), ..s.clone() }
        });
        let many = many.collect();
        let [y, ys] = [&[][..], &[33]].map(|dims| bench.output(last.op.result(last.dtype), dims));
        let kernel = |inputs, y: &Slice| {
            Kernel::Loop { program: p.clone(), inputs, outputs: vec![y.clone()] }
        };
        let after = bench.run(vec![kernel(one, &y), kernel(many, &ys)]);
        let got = read(&after, &y, &[]);
        for i in 0..33 {
            prop_assert!(same(got, read(&after, &ys, &[i])), "{i}: {got:?}\n{p:?}");
        }
    }
}

/// More live values than the first-level cache holds, then more than the tile buffer does.
#[test]
fn many_registers_shorten_tiles_until_they_are_refused() {
    use pleach_kernels::{BufferId, BufferSpec, Fault, Program};
    for (live, good) in [(10, true), (100, true), (250, true), (2000, false)] {
        let mut p = ScalarProgram::new(vec![F64]);
        let values: Vec<Reg> = (0..live)
            .map(|i| {
                let c = p.push(ScalarOp::Const(Scalar::from_f64(F64, i as f64)), F64, &[]);
                p.push(ScalarOp::Mul, F64, &[Reg(0), c])
            })
            .collect();
        // Every value is read twice, so all are there when the second sum begins.
        let mut sum =
            || values.iter().copied().reduce(|a, b| p.push(ScalarOp::Add, F64, &[a, b])).unwrap();
        let sums = [sum(), sum()];
        let twice = p.push(ScalarOp::Add, F64, &sums);
        p.outputs.push(twice);
        let mut bench = Bench::new(7);
        let (x, y) = (bench.input(F64, &[9, 70], false), bench.output(F64, &[9, 70]));
        if good {
            let kernel =
                Kernel::Loop { program: p, inputs: vec![x.clone()], outputs: vec![y.clone()] };
            let after = bench.run(vec![kernel]);
            let n = (live * (live - 1)) as f64;
            for index in indices(&[9, 70]) {
                assert_eq!(read(&after, &y, &index).f(), read(&after, &x, &index).f() * n);
            }
        } else {
            let slice = |b| Slice::new(BufferId(b), F64, 0, &[630]);
            let k = Kernel::Loop { program: p, inputs: vec![slice(0)], outputs: vec![slice(1)] };
            let spec = BufferSpec { bytes: 630 * 8, writable: true };
            let err = Program::new(vec![k], vec![spec; 2]).unwrap_err();
            assert_eq!(err.fault, Fault::TooManyRegisters);
        }
    }
}

/// A loop with results that are reduced along the axes from `lead` on, and the same as a loop and
/// reductions; all in places of their own.
fn reducing(bench: &mut Bench, dims: &[usize], lead: usize, count: usize) -> [Vec<Kernel>; 2] {
    let types = [F32, F32, F64, BF16].to_vec();
    let mut p = program(&mut bench.rng, types.clone(), count);
    let registers: Vec<DType> =
        types.iter().copied().chain(p.instrs.iter().map(|i| i.op.result(i.dtype))).collect();
    let inputs: Vec<Slice> = types.iter().map(|&t| bench.input(t, dims, false)).collect();
    let (mut outputs, mut whole) = (vec![], vec![]);
    for _ in 0..bench.rng.below(3) {
        let reg = bench.rng.below(registers.len());
        p.outputs.push(Reg(reg as u16));
        outputs.push(bench.output(registers[reg], dims));
        whole.push(bench.output(registers[reg], dims));
    }
    let wide: Vec<usize> = (0..registers.len()).filter(|&r| registers[r].is_wide()).collect();
    let (mut reduced, mut apart) = (vec![], vec![]);
    let axes: Axes = (lead..dims.len()).collect();
    for _ in 0..1 + bench.rng.below(3) {
        let reg = bench.rng.pick(&wide);
        p.outputs.push(Reg(reg as u16));
        let op = bench.rng.pick(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod]);
        reduced.push((op, bench.output(registers[reg], &dims[..lead])));
        let input = bench.output(registers[reg], dims);
        let output = bench.output(registers[reg], &dims[..lead]);
        apart.push(Kernel::Reduce { op, axes: axes.clone(), input: input.clone(), output });
        whole.push(input);
    }
    let one = Kernel::LoopReduce { program: p.clone(), inputs: inputs.clone(), outputs, reduced };
    let several = Kernel::Loop { program: p, inputs, outputs: whole };
    [vec![one], [vec![several], apart].concat()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_loop_reduces_with_the_bits_of_reductions(
        rank in 1usize..=4, count in 1usize..20, long: bool, seed: u64,
    ) {
        let mut bench = Bench::new(seed);
        let mut dims = bench.rng.dims(rank);
        let lead = bench.rng.below(rank);
        if long {
            dims = vec![bench.rng.below(5), 2 + bench.rng.below(MAX_ROW - 1)];
        }
        let lead = if long { 1 } else { lead };
        let row: usize = dims[lead..].iter().product();
        prop_assume!((2..=MAX_ROW).contains(&row));
        let [one, several] = reducing(&mut bench, &dims, lead, count);
        let (Kernel::LoopReduce { program, inputs, outputs, reduced }, true) = (&one[0], true) else {
            unreachable!("made so")
        };
        prop_assert!(loop_reduces(program, inputs, outputs, reduced));
        let [got, want] = [&one, &several].map(|kernels| bench.run(kernels.clone()));
        let written = |kernels: &[Kernel]| -> Vec<Slice> {
            let several = kernels.len() > 1;
            let of = |(i, kernel): (usize, &Kernel)| -> Vec<Slice> {
                let all = kernel.outputs().into_iter().cloned();
                // What the reductions read is no result.
                if several && i == 0 { all.take(outputs.len()).collect() } else { all.collect() }
            };
            kernels.iter().enumerate().flat_map(of).collect()
        };
        for (y, z) in written(&one).iter().zip(&written(&several)) {
            for index in indices(&y.dims) {
                let (got, want) = (read(&got, y, &index), read(&want, z, &index));
                prop_assert!(same(got, want), "{dims:?} {lead} at {index:?}: {got:?}, {want:?}");
            }
        }
    }
}

#[test]
fn rows_that_a_loop_cannot_reduce_are_refused() {
    let fault = |dims: &[usize], change: fn(&mut Slice)| {
        let mut bench = Bench::new(3);
        let (x, mut y) = (bench.input(F32, dims, false), bench.output(F32, &dims[..1]));
        change(&mut y);
        let mut program = ScalarProgram::single(ScalarOp::Neg, F32);
        program.outputs = vec![Reg(1)];
        let (inputs, reduced) = (vec![x], vec![(ReduceOp::Sum, y)]);
        let fits = loop_reduces(&program, &inputs, &[], &reduced);
        let kernel = Kernel::LoopReduce { program, inputs, outputs: vec![], reduced };
        let made = bench.try_program(vec![kernel]).map_err(|ProgramError { fault, .. }| fault);
        assert_eq!(fits, made.is_ok());
        made.err()
    };
    assert_eq!(fault(&[5, 7], |_| ()), None);
    assert_eq!(fault(&[5, MAX_ROW], |_| ()), None);
    for dims in [[5, 1], [5, 0], [5, MAX_ROW + 1]] {
        assert!(matches!(fault(&dims, |_| ()), Some(Fault::Shape { .. })), "{dims:?}");
    }
    assert!(matches!(fault(&[5, 7], |y| y.dims[0] = 4), Some(Fault::Shape { .. })));
    let whole = |y: &mut Slice| *y = Slice::new(y.buffer, F32, 0, &[5, 7]);
    assert!(matches!(fault(&[5, 7], whole), Some(Fault::Shape { .. } | Fault::OutOfBounds { .. })));
    assert_eq!(fault(&[5, 7], |y| y.dtype = I32), Some(Fault::DType { expected: F32, got: I32 }));
}
