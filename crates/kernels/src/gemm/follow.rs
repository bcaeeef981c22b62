//! Which instruction may be done with a product: not only the next one.

use super::GemmPlan;
use crate::program::Step;
use crate::{Kernel, Slice};

/// How far from a product a loop may be that is done with it.
const NEAR: usize = 8;

impl GemmPlan {
    /// Products, the loops that are done with them, and both as one step.
    pub(crate) fn with_loops(instrs: &[Kernel]) -> Vec<(usize, usize, Box<dyn Step>)> {
        let joined = |product: usize| {
            let next = follower(instrs, product)?;
            Some((product, next, GemmPlan::with_loop(&instrs[product], &instrs[next])?))
        };
        (0..instrs.len()).filter_map(joined).collect()
    }
}

/// The loop that might be done with the product at `at`: the first instruction that touches its result, if
/// those in between may as well come after it.
fn follower(instrs: &[Kernel], at: usize) -> Option<usize> {
    let Kernel::Gemm { c, .. } = &instrs[at] else { return None };
    let touches = |kernel: &Kernel| {
        kernel.inputs().into_iter().chain(kernel.outputs()).any(|slice| !slice.is_apart(c))
    };
    let last = instrs.len().min(at + 1 + NEAR);
    let next = (at + 1..last).find(|&i| touches(&instrs[i]))?;
    let (reads, writes) = (instrs[next].inputs(), instrs[next].outputs());
    let apart = |a: &[&Slice], b: &[&Slice]| a.iter().all(|a| b.iter().all(|b| a.is_apart(b)));
    let later = |kernel: &Kernel| {
        let written = kernel.outputs();
        !kernel.can_fail()
            && apart(&written, &reads)
            && apart(&written, &writes)
            && apart(&kernel.inputs(), &writes)
    };
    instrs[at + 1..next].iter().all(later).then_some(next)
}

#[cfg(test)]
mod tests {
    use pleach_tensor::{F32, I64};

    use super::*;
    use crate::{BufferId, ScalarOp, ScalarProgram};

    fn slice(buffer: u32, dims: &[usize]) -> Slice {
        Slice::new(BufferId(buffer), F32, 0, dims)
    }

    fn apply(op: ScalarOp, inputs: &[&Slice], y: &Slice) -> Kernel {
        let inputs = inputs.iter().map(|&x| x.clone()).collect();
        Kernel::Loop { program: ScalarProgram::single(op, F32), inputs, outputs: vec![y.clone()] }
    }

    /// What follows the product of buffers 0 and 1 in buffer 2, to which buffer 3 is added in place, with
    /// these in between.
    fn with(between: &[Kernel]) -> Option<usize> {
        let (a, b, c) = (slice(0, &[6, 5]), slice(1, &[5, 32]), slice(2, &[6, 32]));
        let product = Kernel::Gemm { a: a.into(), b: b.into(), c: c.clone() };
        let mut all = vec![product];
        all.extend_from_slice(between);
        all.push(apply(ScalarOp::Add, &[&c, &slice(3, &[6, 32])], &c));
        let found = GemmPlan::with_loops(&all);
        found.first().map(|(product, next, _)| next - product)
    }

    #[test]
    fn what_stands_between_may_as_well_come_later() {
        let copy = |from: u32, to: u32| {
            apply(ScalarOp::Copy, &[&slice(from, &[6, 32])], &slice(to, &[6, 32]))
        };
        assert_eq!(with(&[]), Some(1));
        // Others, or what reads an operand of either.
        assert_eq!(with(&[copy(4, 5), copy(3, 6)]), Some(3));
        assert_eq!(with(&[copy(3, 2)]), None, "the product is written");
        assert_eq!(with(&[copy(2, 4)]), None, "the product is read before it is changed");
        assert_eq!(with(&[copy(4, 3)]), None, "what is added is not there yet");
        assert_eq!(with(&vec![copy(4, 5); NEAR]), None, "too far");
        let x = slice(4, &[8, 4]);
        let indices = Slice::new(BufferId(5), I64, 0, &[2]);
        let take = Kernel::Take { axis: 0, x, indices, output: slice(6, &[2, 4]) };
        assert_eq!(with(&[take]), None, "the run may stop before");
    }

    #[test]
    fn what_reads_a_variable_keeps_its_update_back() {
        let (a, b, c) = (slice(0, &[6, 5]), slice(1, &[5, 32]), slice(2, &[6, 32]));
        let (w, rate) = (slice(3, &[6, 32]), slice(4, &[6, 32]));
        let rate = Slice { strides: [0, 0].into_iter().collect(), ..rate };
        let mut program = ScalarProgram::new(vec![F32; 3]);
        let reg = crate::Reg;
        let step = program.push(ScalarOp::Mul, F32, &[reg(0), reg(2)]);
        program.outputs = vec![program.push(ScalarOp::Sub, F32, &[reg(1), step])];
        let inputs = vec![c.clone(), w.clone(), rate];
        let update = Kernel::Loop { program, inputs, outputs: vec![w.clone()] };
        let product = Kernel::Gemm { a: a.into(), b: b.into(), c };
        let reader = apply(ScalarOp::Copy, &[&w], &slice(5, &[6, 32]));
        let both = |all: &[Kernel]| GemmPlan::with_loops(all).len();
        assert_eq!(both(&[product.clone(), update.clone()]), 1);
        assert_eq!(both(&[product, reader, update]), 0);
    }
}
