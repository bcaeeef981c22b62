//! Loops of instructions.

use pleach_kernels::{Action, Kernel, RunError, ScalarOp, ScalarProgram, Slice};
use pleach_tensor::{F32, F64};
use proptest::prelude::*;

use crate::support::{Bench, V, indices, pools, read};

fn apply(op: ScalarOp, inputs: &[&Slice], output: &Slice) -> Action {
    let inputs = inputs.iter().map(|&s| s.clone()).collect();
    let program = ScalarProgram::single(op, output.dtype);
    Action::Run(Kernel::Loop { program, inputs, outputs: vec![output.clone()] })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// `c ← c + x[t]`, `y[t] = c`, in both directions, over slices with any strides.
    #[test]
    fn a_running_sum(rank in 0usize..=3, length in 0usize..6, reverse: bool, seed: u64) {
        let mut bench = Bench::new(seed);
        let dims = bench.rng.dims(rank);
        let stacked: Vec<usize> = [length].iter().chain(&dims).copied().collect();
        let xs = bench.input(F64, &stacked, false);
        let (ys, item) = (bench.output(F64, &stacked), bench.output(F64, &dims));
        let (carry, sum) = (bench.output(F64, &dims), bench.output(F64, &dims));
        let actions = vec![
            Action::Load { stacked: xs.clone(), item: item.clone() },
            apply(ScalarOp::Add, &[&carry, &item], &sum),
            apply(ScalarOp::Copy, &[&sum], &carry),
            Action::Store { item: carry.clone(), stacked: ys.clone() },
        ];
        let after = bench.run(vec![
            zero(&carry),
            Kernel::Repeat { length, reverse, actions },
        ]);
        for at in indices(&dims) {
            let mut total = 0.0;
            for step in 0..length {
                let t = if reverse { length - 1 - step } else { step };
                let place: Vec<usize> = [t].iter().chain(&at).copied().collect();
                total += read(&bench.buffers, &xs, &place).f();
                let V::F(y) = read(&after, &ys, &place) else { unreachable!() };
                prop_assert_eq!(y.to_bits(), total.to_bits());
            }
        }
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
    let fault = |bench: &Bench, length: usize, action: Action| {
        let repeat = Kernel::Repeat { length, reverse: false, actions: vec![action] };
        let buffers = bench.program(vec![]).buffers().to_vec();
        pleach_kernels::Program::new(vec![repeat], buffers).err()
    };
    let load = |stacked: &Slice, item: &Slice| Action::Load {
        stacked: stacked.clone(),
        item: item.clone(),
    };
    assert!(fault(&bench, 4, load(&xs, &item)).is_none());
    assert!(fault(&bench, 5, load(&xs, &item)).is_some());
    let wide = bench.output(F64, &[3]);
    assert!(fault(&bench, 4, load(&xs, &wide)).is_some());
    // A slice of a value is no place for a copy of it.
    let mut inside = xs.clone();
    (inside.dims, inside.strides) = (item.dims.clone(), item.strides.clone());
    assert!(fault(&bench, 4, load(&xs, &inside)).is_some());
    // An instruction inside is checked like any other.
    let mut outside = item.clone();
    outside.offset += 1 << 20;
    assert!(fault(&bench, 4, apply(ScalarOp::Copy, &[&item], &outside)).is_some());

    let (indices, y) = (bench.indices(&[8], 9), bench.output(F32, &[8]));
    let take = Kernel::Take { axis: 0, x: bench.output(F32, &[1]), indices, output: y };
    let repeat = Kernel::Repeat { length: 2, reverse: false, actions: vec![Action::Run(take)] };
    let failed = bench.try_run(&bench.program(vec![repeat]), &pools()[0]);
    assert!(matches!(failed, Err(RunError::Index { instr: 0, len: 1, .. })));
}
