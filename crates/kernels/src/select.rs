//! Instruction selection: which scalar instructions run together as one loop over a tile.
//!
//! From the last instruction to the first, each takes the largest pattern that ends in it. What is
//! inside of a pattern is computed there only, so it has no other user and leaves the program not.

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::patterns::{Pattern, Tree, patterns};
use crate::tile_fn::{MAX_ARGS, TileFns, tile_fns};
use crate::vector::Isa;
use crate::{ScalarInstr, ScalarOp, ScalarProgram, Slice};

/// Registers that a step reads.
pub(crate) type Args = SmallVec<[usize; MAX_ARGS]>;

/// A loop over a tile.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) fns: TileFns,
    /// The register that it computes.
    pub(crate) reg: usize,
    pub(crate) args: Args,
    /// Bit `i`: the function reads one element of operand `i`.
    pub(crate) scalars: u32,
}

impl Step {
    /// The operands that are inputs in this very place.
    pub(crate) fn places(&self, inputs: &[Slice], place: &Slice) -> Args {
        let here = |&i: &usize| inputs.get(self.args[i]).is_some_and(|x| x == place);
        (0..self.args.len()).filter(here).collect()
    }
}

/// The program as the selection sees it.
pub(crate) struct Selection<'a> {
    program: &'a ScalarProgram,
    /// The register that a register is a copy of, or itself.
    root: &'a [usize],
    /// Is the register the same for all elements of a tile?
    splat: &'a [bool],
    /// How many instructions read a register; one more if it leaves the program.
    uses: Vec<u32>,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(
        program: &'a ScalarProgram,
        root: &'a [usize],
        splat: &'a [bool],
    ) -> Selection<'a> {
        let n = program.inputs.len();
        let mut uses = vec![0; root.len()];
        program.outputs.iter().for_each(|reg| uses[root[reg.at()]] += 1);
        // What nothing reads is not computed: a user counts only if it is read itself.
        for (i, instr) in program.instrs.iter().enumerate().rev() {
            if uses[n + i] > 0 && instr.op != ScalarOp::Copy {
                operands(instr).for_each(|arg| uses[root[arg]] += 1);
            }
        }
        Selection { program, root, splat, uses }
    }

    /// The steps, operands before users.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let n = self.program.inputs.len();
        let mut inside = vec![false; self.root.len()];
        let mut steps = Vec::new();
        for (i, instr) in self.program.instrs.iter().enumerate().rev() {
            let reg = n + i;
            if inside[reg] || self.uses[reg] == 0 || instr.op == ScalarOp::Copy {
                continue;
            }
            steps.extend(self.pattern(reg, &mut inside).or_else(|| self.single(reg, instr)));
        }
        steps.reverse();
        steps
    }

    /// The largest pattern that ends in register `reg`; what is inside of it is marked.
    fn pattern(&self, reg: usize, inside: &mut [bool]) -> Option<Step> {
        let instr = self.instr(reg)?;
        let fits = |p: &&Pattern| matches!(&p.tree, Tree::Node(op, _) if *op == instr.op);
        for pattern in patterns().iter().filter(fits) {
            let (dtype, args) = (instr.dtype, [None; MAX_ARGS]);
            let mut found = Match { selection: self, pattern, dtype, args, inner: Args::new() };
            if !found.node(&pattern.tree, reg, true) {
                continue;
            }
            let Some(fns) = pattern.fns(instr.dtype) else { continue };
            found.inner.iter().for_each(|&r| inside[r] = true);
            let args: Args = found.args[..pattern.leaves].iter().copied().flatten().collect();
            let scalars = (1 << pattern.leaves) - (1 << pattern.vectors);
            return Some(Step { fns, reg, args, scalars });
        }
        None
    }

    /// An instruction by itself; an operand that is one number is read as such if it can be.
    fn single(&self, reg: usize, instr: &ScalarInstr) -> Option<Step> {
        let args: Args = operands(instr).map(|arg| self.root[arg]).collect();
        let splats = (0..).zip(&args).map(|(i, &arg)| u32::from(self.splat[arg]) << i).sum();
        [splats, 0].into_iter().find_map(|scalars| {
            let fns = tile_fns(instr.op, instr.dtype, scalars, Isa::used())?;
            Some(Step { fns, reg, args: args.clone(), scalars })
        })
    }

    /// The instruction that computes a register, if one does.
    fn instr(&self, reg: usize) -> Option<&ScalarInstr> {
        self.program.instrs.get(reg.checked_sub(self.program.inputs.len())?)
    }
}

/// A pattern on its way over the program.
#[derive(Clone)]
struct Match<'a> {
    selection: &'a Selection<'a>,
    pattern: &'a Pattern,
    /// The element type of all leaves: that of the operands of all instructions.
    dtype: DType,
    /// The registers of the leaves met so far.
    args: [Option<usize>; MAX_ARGS],
    /// The registers inside.
    inner: Args,
}

impl Match<'_> {
    /// Does the tree match at register `reg`? Patterns are a few levels deep.
    fn node(&mut self, tree: &Tree, reg: usize, outermost: bool) -> bool {
        let (op, children) = match tree {
            Tree::Leaf(i) => {
                let scalar = *i >= self.pattern.vectors;
                let known = *self.args[*i].get_or_insert(reg);
                return known == reg && self.selection.splat[reg] == scalar;
            }
            Tree::Node(op, children) => (*op, children),
        };
        let fits = |instr: &&ScalarInstr| instr.op == op && instr.dtype == self.dtype;
        let Some(instr) = self.selection.instr(reg).filter(fits) else { return false };
        if !outermost {
            if self.selection.uses[reg] != 1 {
                return false;
            }
            self.inner.push(reg);
        }
        let args: Args = operands(instr).map(|arg| self.selection.root[arg]).collect();
        let before = self.clone();
        if self.children(children, &args) {
            return true;
        }
        *self = before;
        let swapped = matches!(op, ScalarOp::Add | ScalarOp::Mul | ScalarOp::Max | ScalarOp::Min);
        swapped && self.children(children, &[args[1], args[0]])
    }

    fn children(&mut self, children: &[Tree], args: &[usize]) -> bool {
        children.iter().zip(args).all(|(child, &arg)| self.node(child, arg, false))
    }
}

/// The registers that an instruction reads.
pub(crate) fn operands(instr: &ScalarInstr) -> impl Iterator<Item = usize> + '_ {
    instr.args.iter().take(instr.op.arity()).map(|r| r.at())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, Bound, BufferId, BufferSpec, Kernel, Pool, Program, Reg, Scalar, run};

    /// Registers of a pattern that becomes a program.
    struct Written {
        program: ScalarProgram,
        leaves: Vec<Reg>,
        made: Vec<Reg>,
    }

    impl Written {
        /// Its inputs are the vectors of the pattern; single numbers are constants.
        fn new(pattern: &Pattern, dtype: DType) -> Written {
            let mut program = ScalarProgram::new(vec![dtype; pattern.vectors]);
            let mut leaves: Vec<Reg> = (0..pattern.vectors as u16).map(Reg).collect();
            for i in pattern.vectors..pattern.leaves {
                let value = Scalar::fill(dtype, 0.3 + 0.1 * i as f64);
                leaves.push(program.push(ScalarOp::Const(value), dtype, &[]));
            }
            let mut written = Written { program, leaves, made: Vec::new() };
            let y = written.tree(&pattern.tree, dtype);
            written.program.outputs.push(y);
            written
        }

        fn tree(&mut self, tree: &Tree, dtype: DType) -> Reg {
            match tree {
                Tree::Leaf(i) => self.leaves[*i],
                Tree::Node(op, children) => {
                    let args: Vec<Reg> = children.iter().map(|x| self.tree(x, dtype)).collect();
                    self.made.push(self.program.push(*op, dtype, &args));
                    self.made[self.made.len() - 1]
                }
            }
        }

        fn steps(&self) -> usize {
            let types = self.program.registers().unwrap();
            let root: Vec<usize> = (0..types.len()).collect();
            let is_const = |r: usize| {
                let instr = self.program.instrs.get(r.wrapping_sub(self.program.inputs.len()));
                matches!(instr, Some(ScalarInstr { op: ScalarOp::Const(_), .. }))
            };
            let splat: Vec<bool> = root.iter().map(|&r| is_const(r)).collect();
            Selection::new(&self.program, &root, &splat).steps().len()
        }

        /// The bytes of the last result, which is written over input `place`, if any; inputs are
        /// some numbers about 1, scaled.
        fn run(&self, dtype: DType, place: Option<usize>, scale: f64) -> Vec<u8> {
            const N: usize = 37;
            let types = self.program.registers().unwrap();
            let slice = |b: usize, dtype| Slice::new(BufferId(b as u32), dtype, 0, &[N]);
            let inputs = self.program.inputs.len();
            let outputs = self.program.outputs.iter().enumerate().map(|(o, reg)| {
                let last = o + 1 == self.program.outputs.len();
                let at = place.filter(|_| last).unwrap_or(inputs + o);
                slice(at, types[reg.at()])
            });
            let outputs: Vec<Slice> = outputs.collect();
            let at = outputs[outputs.len() - 1].buffer.0 as usize;
            let sources = (0..inputs).map(|i| slice(i, dtype)).collect();
            let kernel = Kernel::Loop { program: self.program.clone(), inputs: sources, outputs };
            let mut buffers: Vec<AlignedBuf> = (0..inputs + self.program.outputs.len())
                .map(|b| {
                    let x = (0..N).map(|k| (((k * 7 + b * 5) % 23) as f64 * 0.2 - 1.1) * scale);
                    match dtype {
                        DType::F32 => {
                            AlignedBuf::from_slice(&x.map(|x| x as f32).collect::<Vec<_>>())
                        }
                        _ => AlignedBuf::from_slice(&x.collect::<Vec<_>>()),
                    }
                })
                .collect();
            let bytes = |b: &AlignedBuf| BufferSpec { bytes: b.len(), writable: true };
            let program = Program::new(vec![kernel], buffers.iter().map(bytes).collect()).unwrap();
            let mut bound: Vec<Bound<'_>> = buffers.iter_mut().map(Bound::write).collect();
            run(&program, &mut bound, &Pool::new(1)).unwrap();
            buffers[at].bytes().to_vec()
        }
    }

    /// Where a pattern is met, one loop computes it, with the bits of its operations one by one.
    #[test]
    fn a_pattern_runs_as_one_loop_and_changes_no_bit() {
        for pattern in patterns() {
            for dtype in [DType::F32, DType::F64] {
                let one = Written::new(pattern, dtype);
                assert_eq!(one.steps(), 1, "{pattern:?}");
                // What leaves the program is computed by itself: nothing is inside of a pattern.
                let mut each = Written::new(pattern, dtype);
                each.program.outputs = each.made.clone();
                assert_eq!(each.steps(), pattern.tree.size(), "{pattern:?}");
                let places = std::iter::once(None).chain((0..pattern.vectors).map(Some));
                for place in places {
                    let (got, want) = (one.run(dtype, place, 1.0), each.run(dtype, None, 1.0));
                    assert_eq!(got, want, "{place:?} {pattern:?}");
                }
            }
        }
    }

    /// Sine reads large numbers twice: its result may not be written over them.
    #[test]
    fn a_function_that_reads_twice_is_right_over_its_operand() {
        let program = ScalarProgram::single(ScalarOp::Sin, DType::F32);
        let sine = Written { program, leaves: vec![], made: vec![] };
        let [apart, over] = [None, Some(0)].map(|place| sine.run(DType::F32, place, 1e7));
        assert_eq!(apart, over);
    }

    #[test]
    fn operands_of_products_and_sums_may_be_the_other_way_round() {
        let mut p = ScalarProgram::new(vec![DType::F32; 3]);
        let [a, b, c] = [0, 1, 2].map(Reg);
        let product = p.push(ScalarOp::Mul, DType::F32, &[b, c]);
        let y = p.push(ScalarOp::Add, DType::F32, &[product, a]);
        p.outputs.push(y);
        let mut written = Written { program: p, leaves: vec![], made: vec![] };
        assert_eq!(written.steps(), 1);
        written.program.instrs[1].op = ScalarOp::Sub;
        assert_eq!(written.steps(), 1);
        written.program.outputs.push(product);
        assert_eq!(written.steps(), 2);
    }
}
