//! What becomes of a product right after it is written: the elementwise loop that follows it, if that is
//! one of a few.
//!
//! | loop | of the product `x` |
//! |---|---|
//! | add | `x + b`, with any rows and columns of `b` repeated |
//! | relu | `z = x` or `x + b`; `z ≤ 0`, if that is asked for; 0 where it is, else `z` |
//! | choose | 0 where a mask is set, else `x` |
//! | descend | `w - x·rate` goes to where `w` is; `x` is written as it is |
//!
//! A strip of sums is changed while it is in the cache, with the operations of the loop in their
//! order: the bits are those of two instructions.

use pleach_tensor::DType;
use smallvec::SmallVec;

use super::finish::{Place, Placed, Sums};
use crate::bind::{Mem, Start};
use crate::space::{Space, by_stride};
use crate::vector::Entry;
use crate::{Axes, BufferId, Reg, ScalarInstr, ScalarOp, ScalarProgram, Slice, Strides};

/// What a loop does with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Relu,
    Choose,
    Descend,
}

/// What a loop does with a product, by the numbers of its inputs and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    kind: Kind,
    /// `b`, the mask or `w`.
    operand: Option<usize>,
    rate: Option<usize>,
    value: usize,
    /// Where `z ≤ 0` goes.
    mask: Option<usize>,
}

/// A program whose input `x` is the product.
struct Search<'a> {
    program: &'a ScalarProgram,
    x: usize,
}

impl Search<'_> {
    fn instr(&self, reg: Reg, op: ScalarOp) -> Option<&ScalarInstr> {
        let i = reg.at().checked_sub(self.program.inputs.len())?;
        self.program.instrs.get(i).filter(|instr| instr.op == op)
    }

    fn input(&self, reg: Reg) -> Option<usize> {
        (reg.at() < self.program.inputs.len() && reg.at() != self.x).then_some(reg.at())
    }

    fn is_x(&self, reg: Reg) -> bool {
        reg.at() == self.x
    }

    fn is_zero(&self, reg: Reg) -> bool {
        let i = reg.at().checked_sub(self.program.inputs.len());
        let op = i.and_then(|i| self.program.instrs.get(i)).map(|instr| instr.op);
        matches!(op, Some(ScalarOp::Const(value)) if value.bits() == 0)
    }

    /// The other operand of an operation on the product that has two, in any order.
    fn other(&self, reg: Reg, op: ScalarOp) -> Option<usize> {
        let [a, b, _] = self.instr(reg, op)?.args;
        if self.is_x(a) { self.input(b) } else { self.input(a).filter(|_| self.is_x(b)) }
    }

    fn found(&self) -> Option<Found> {
        let outputs = &self.program.outputs;
        let one = |kind, operand, rate| Found { kind, operand, rate, value: 0, mask: None };
        if let [y] = outputs[..] {
            if let Some(b) = self.other(y, ScalarOp::Add) {
                return Some(one(Kind::Add, Some(b), None));
            }
            if let Some(&ScalarInstr { args: [w, step, _], .. }) = self.instr(y, ScalarOp::Sub) {
                let rate = self.other(step, ScalarOp::Mul)?;
                return Some(one(Kind::Descend, Some(self.input(w)?), Some(rate)));
            }
        }
        (0..outputs.len()).find_map(|value| self.chosen(value))
    }

    /// 0 or a value, by a mask.
    fn chosen(&self, value: usize) -> Option<Found> {
        let outputs = &self.program.outputs;
        let [mask, zero, z] = self.instr(outputs[value], ScalarOp::Select)?.args;
        if !self.is_zero(zero) {
            return None;
        }
        if let (Some(operand), true) = (self.input(mask), self.is_x(z) && outputs.len() == 1) {
            let kind = Kind::Choose;
            return Some(Found { kind, operand: Some(operand), rate: None, value, mask: None });
        }
        let [low, bound, _] = self.instr(mask, ScalarOp::LessEqual)?.args;
        let operand = if self.is_x(z) { None } else { Some(self.other(z, ScalarOp::Add)?) };
        let asked = (0..outputs.len()).find(|&i| outputs[i] == mask);
        let all = outputs.len() == 1 + usize::from(asked.is_some());
        let fits = low == z && self.is_zero(bound) && all;
        fits.then_some(Found { kind: Kind::Relu, operand, rate: None, value, mask: asked })
    }
}

/// Items in this order.
fn sorted<T: Copy>(items: &[T], order: &[usize]) -> SmallVec<[T; 8]> {
    order.iter().map(|&i| items[i]).collect()
}

/// The memory that a slice names, whatever the order of its axes.
fn memory(slice: &Slice) -> (BufferId, DType, usize, Axes, Strides) {
    let order = by_stride(&slice.dims, &slice.strides);
    let (dims, strides) = (sorted(&slice.dims, &order), sorted(&slice.strides, &order));
    let Space { dims, mut strides } = Space::new(&dims, &[&strides]);
    let strides = strides.pop().unwrap_or_default();
    (slice.buffer, slice.dtype, slice.offset, dims, strides)
}

/// An operand, with distances of the rows and columns of the product, in elements.
#[derive(Clone, Copy, Debug)]
struct Operand {
    start: Start,
    strides: [isize; 2],
}

/// A checked loop over a product.
#[derive(Debug)]
pub(super) struct Then {
    kind: Kind,
    operand: Option<Operand>,
    rate: Option<Start>,
    out: Option<Operand>,
    f: Entry<Sums>,
}

impl Then {
    /// The loop of these slices over the `m` × `n` product `c`, rows of which are contiguous; `None` if it
    /// is none of those. The slices passed the checks of the loop.
    pub(super) fn new(
        (program, inputs, outputs): (&ScalarProgram, &[Slice], &[Slice]),
        c: &Slice,
        [m, n]: [usize; 2],
        f: Entry<Sums>,
    ) -> Option<Then> {
        let own = memory(c);
        let at = inputs.iter().position(|slice| memory(slice) == own)?;
        let (x, order) = (&inputs[at], by_stride(&inputs[at].dims, &inputs[at].strides));
        let found = Search { program, x: at }.found()?;
        let all = 1 + usize::from(found.operand.is_some()) + usize::from(found.rate.is_some());
        let known = |dtype: &DType| *dtype == c.dtype || *dtype == DType::Bool;
        // What is read of the product is read element by element: others may not be there yet.
        let apart = |slice: &Slice| slice.is_same_place(x) || slice.is_apart(x);
        if inputs.len() != all || !program.inputs.iter().all(known) || !inputs.iter().all(apart) {
            return None;
        }
        let place = |slice: &Slice| {
            let [own, other] = [x, slice].map(|slice| sorted(&slice.strides, &order));
            let space = Space::new(&sorted(&x.dims, &order), &[&own, &other]);
            let strides = match (&space.dims[..], &space.strides[1][..]) {
                (&[all], &[s]) if all == m * n => [s * n as isize, s],
                (&[rows, columns], &[r, s]) if [rows, columns] == [m, n] => [r, s],
                _ => return None,
            };
            Some(Operand { start: Start::of(slice), strides })
        };
        let operand = match found.operand {
            Some(i) => Some(place(&inputs[i])?),
            None => None,
        };
        let dense = |operand: &Operand| operand.strides[1] == 1;
        let whole = |slice: usize| place(&outputs[slice]).filter(dense);
        // The value is written where the product would be, or where `w` is.
        let (fits, out) = match found.kind {
            Kind::Add | Kind::Relu => {
                let repeated = operand.is_none_or(|b| matches!(b.strides[1], 0 | 1));
                let mask = found.mask.map(whole);
                if mask.is_some_and(|mask| mask.is_none()) {
                    return None;
                }
                (outputs[found.value].is_same_place(x) && repeated, mask.flatten())
            }
            Kind::Choose => {
                (outputs[found.value].is_same_place(x) && operand.is_some_and(|m| dense(&m)), None)
            }
            Kind::Descend => {
                let rate = &inputs[found.rate?];
                let one = rate.dims.iter().zip(&rate.strides).all(|(&n, &s)| n == 1 || s == 0);
                let w = &inputs[found.operand?];
                (one && outputs[found.value].is_same_place(w), Some(whole(found.value)?))
            }
        };
        let rate = found.rate.map(|i| Start::of(&inputs[i]));
        fits.then_some(Then { kind: found.kind, operand, rate, out, f })
    }

    /// The loop in the memory of a run.
    ///
    /// # Safety
    /// The slices were checked for this memory, and are not empty.
    pub(super) unsafe fn placed(&self, mem: Mem<'_>) -> Placed {
        // SAFETY: the caller's promise.
        let at = |start: Start| unsafe { mem.first(start) };
        let place = |operand: Option<Operand>| match operand {
            Some(Operand { start, strides }) => Place { at: at(start), strides },
            None => Place { at: std::ptr::null_mut(), strides: [0, 0] },
        };
        Placed {
            kind: self.kind,
            operand: place(self.operand),
            rate: self.rate.map_or(std::ptr::null(), |rate| at(rate).cast_const()),
            out: place(self.out),
            f: self.f,
        }
    }
}

#[cfg(test)]
mod tests {
    use pleach_tensor::{BOOL, F32};

    use super::super::GemmPlan;
    use crate::{BufferId, Kernel, Reg, Scalar, ScalarOp, ScalarProgram, Slice};

    fn slice(buffer: u32, dtype: pleach_tensor::DType, dims: &[usize]) -> Slice {
        Slice::new(BufferId(buffer), dtype, 0, dims)
    }

    /// The `m` × `n` product of buffers 0 and 1 in buffer 2.
    fn product(m: usize, n: usize) -> (Kernel, Slice) {
        let (a, b, c) = (slice(0, F32, &[m, 5]), slice(1, F32, &[5, n]), slice(2, F32, &[m, n]));
        (Kernel::Gemm { a: a.into(), b: b.into(), c: c.clone() }, c)
    }

    fn takes(
        product: &Kernel,
        program: ScalarProgram,
        inputs: &[&Slice],
        outputs: &[&Slice],
    ) -> bool {
        let [inputs, outputs] =
            [inputs, outputs].map(|all| all.iter().map(|&slice| slice.clone()).collect());
        let next = Kernel::Loop { program, inputs, outputs };
        GemmPlan::with_loop(product, &next).is_some()
    }

    #[test]
    fn a_loop_that_reads_the_product_in_one_of_the_ways_goes_along() {
        let (gemm, c) = product(6, 32);
        let add = || ScalarProgram::single(ScalarOp::Add, F32);
        let repeated = |strides: [isize; 2]| Slice {
            strides: strides.into_iter().collect(),
            ..slice(3, F32, &[6, 32])
        };
        for b in [repeated([0, 1]), repeated([1, 0]), repeated([0, 0]), slice(3, F32, &[6, 32])] {
            assert!(takes(&gemm, add(), &[&c, &b], &[&c]));
            assert!(takes(&gemm, add(), &[&b, &c], &[&c]), "in any order");
            let other = slice(4, F32, &[6, 32]);
            assert!(!takes(&gemm, add(), &[&c, &b], &[&other]), "the product stays");
        }
        let apart = |slice: &Slice, strides: [isize; 3]| Slice {
            dims: [4, 6, 8].into_iter().collect(),
            strides: strides.into_iter().collect(),
            ..slice.clone()
        };
        let (x, b) = (apart(&c, [8, 32, 1]), apart(&slice(3, F32, &[6]), [0, 1, 0]));
        assert!(takes(&gemm, add(), &[&x, &b], &[&x]), "axes in another order");
        let b = apart(&slice(3, F32, &[4]), [1, 0, 0]);
        assert!(!takes(&gemm, add(), &[&x, &b], &[&x]), "neither rows nor columns");
        let turned = repeated([1, 6]);
        assert!(!takes(&gemm, add(), &[&c, &turned], &[&c]), "columns");
        let far = slice(5, F32, &[6, 32]);
        assert!(!takes(&gemm, add(), &[&far, &repeated([0, 1])], &[&far]), "another array");
        let narrow = Slice { strides: [32, 1].into_iter().collect(), ..product(6, 32).1 };
        let own = Slice { buffer: BufferId(0), dims: [6, 5].into_iter().collect(), ..narrow };
        let mut early = ScalarProgram::single(ScalarOp::Add, F32);
        early.outputs.push(early.outputs[0]);
        assert!(!takes(&gemm, early, &[&c, &repeated([0, 1])], &[&c, &own]), "over an operand");
        let (narrow, c) = product(6, 5);
        assert!(!takes(&narrow, add(), &[&c, &slice(3, F32, &[6, 5])], &[&c]), "parts of vectors");
        let (row, c) = product(1, 32);
        assert!(!takes(&row, add(), &[&c, &slice(3, F32, &[1, 32])], &[&c]), "one row");
        let multiply = ScalarProgram::single(ScalarOp::Mul, F32);
        assert!(!takes(
            &gemm,
            multiply,
            &[&product(6, 32).1, &repeated([0, 1])],
            &[&product(6, 32).1]
        ));
    }

    #[test]
    fn a_loop_that_reads_one_element_of_the_product_everywhere_stays() {
        let (gemm, c) = product(6, 32);
        let mut program = ScalarProgram::new(vec![F32; 3]);
        let step = program.push(ScalarOp::Mul, F32, &[Reg(0), Reg(2)]);
        program.outputs = vec![program.push(ScalarOp::Sub, F32, &[Reg(1), step])];
        let w = slice(3, F32, &[6, 32]);
        let one = |of: &Slice| Slice { strides: [0, 0].into_iter().collect(), ..of.clone() };
        let rate = one(&slice(4, F32, &[6, 32]));
        assert!(takes(&gemm, program.clone(), &[&c, &w, &rate], &[&w]));
        assert!(!takes(&gemm, program, &[&c, &w, &one(&c)], &[&w]));
    }

    #[test]
    fn masks_go_along_if_they_are_of_zero() {
        let (gemm, c) = product(6, 32);
        let mask = slice(3, BOOL, &[6, 32]);
        let relu = |bound: f64, below: f64, flip: bool| {
            let mut program = ScalarProgram::new(vec![F32]);
            let [bound, below] = [bound, below]
                .map(|value| program.push(ScalarOp::Const(Scalar::from_f64(F32, value)), F32, &[]));
            let x = Reg(0);
            let args = if flip { [bound, x] } else { [x, bound] };
            let low = program.push(ScalarOp::LessEqual, F32, &args);
            let y = program.push(ScalarOp::Select, F32, &[low, below, x]);
            program.outputs = vec![low, y];
            program
        };
        assert!(takes(&gemm, relu(0.0, 0.0, false), &[&c], &[&mask, &c]));
        for (bound, below, flip) in
            [(1.0, 0.0, false), (0.0, 0.5, false), (0.0, -0.0, false), (0.0, 0.0, true)]
        {
            assert!(
                !takes(&gemm, relu(bound, below, flip), &[&c], &[&mask, &c]),
                "{bound} {below}"
            );
        }
        let mut twice = relu(0.0, 0.0, false);
        twice.outputs.push(twice.outputs[0]);
        assert!(!takes(&gemm, twice, &[&c], &[&mask, &c, &slice(4, BOOL, &[6, 32])]));
    }
}
