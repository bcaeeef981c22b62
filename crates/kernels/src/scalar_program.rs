//! Programs over single elements: the body of a loop, in SSA form.

use pleach_tensor::DType;

use crate::{Fault, ScalarOp};

/// A register: inputs come first, then one register an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub u16);

impl Reg {
    pub(crate) fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// One instruction of a [`ScalarProgram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScalarInstr {
    /// What is computed.
    pub op: ScalarOp,
    /// Element type of the operands: of the branches for a select, of the source for a cast, of the
    /// result for a constant.
    pub dtype: DType,
    /// The operands; those beyond the arity are ignored.
    pub args: [Reg; 3],
}

/// A program over single elements.
///
/// Register `i < inputs.len()` is input `i`; instruction `j` defines register `inputs.len() + j`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScalarProgram {
    /// Element types of the inputs.
    pub inputs: Vec<DType>,
    /// The instructions, operands before users.
    pub instrs: Vec<ScalarInstr>,
    /// The registers that leave the program.
    pub outputs: Vec<Reg>,
}

impl ScalarProgram {
    /// A program without instructions.
    pub fn new(inputs: Vec<DType>) -> ScalarProgram {
        ScalarProgram { inputs, instrs: Vec::new(), outputs: Vec::new() }
    }

    /// The program of one operation on inputs of type `dtype`: its operands are the inputs.
    pub fn single(op: ScalarOp, dtype: DType) -> ScalarProgram {
        let mut inputs = vec![dtype; op.arity()];
        if op == ScalarOp::Select {
            inputs[0] = DType::Bool;
        }
        let mut program = ScalarProgram::new(inputs);
        let args: Vec<Reg> = (0..op.arity() as u16).map(Reg).collect();
        let y = program.push(op, dtype, &args);
        program.outputs.push(y);
        program
    }

    /// Appends an instruction and returns its register. Missing operands count as register 0; the
    /// program is checked when it becomes part of a [`Program`](crate::Program).
    pub fn push(&mut self, op: ScalarOp, dtype: DType, args: &[Reg]) -> Reg {
        let arg = |i: usize| args.get(i).copied().unwrap_or_default();
        let reg = self.inputs.len() + self.instrs.len();
        self.instrs.push(ScalarInstr { op, dtype, args: [arg(0), arg(1), arg(2)] });
        Reg(u16::try_from(reg).unwrap_or(u16::MAX))
    }

    /// Checks operands and element types; the element type of every register.
    pub(crate) fn registers(&self) -> Result<Vec<DType>, Fault> {
        let mut types = self.inputs.clone();
        if self.inputs.len() + self.instrs.len() > usize::from(u16::MAX) {
            return Err(Fault::TooManyRegisters);
        }
        for instr in &self.instrs {
            if !instr.op.accepts(instr.dtype) {
                return Err(Fault::Operation { op: instr.op, dtype: instr.dtype });
            }
            for (i, &arg) in instr.args.iter().take(instr.op.arity()).enumerate() {
                let condition = instr.op == ScalarOp::Select && i == 0;
                let want = if condition { DType::Bool } else { instr.dtype };
                let got = *types.get(arg.at()).ok_or(Fault::Register { reg: arg })?;
                if got != want {
                    return Err(Fault::DType { expected: want, got });
                }
            }
            types.push(instr.op.result(instr.dtype));
        }
        match self.outputs.iter().find(|r| r.at() >= types.len()) {
            Some(&reg) => Err(Fault::Register { reg }),
            None => Ok(types),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::{BOOL, F32, I64};

    #[test]
    fn registers_have_types() {
        let p = ScalarProgram::single(ScalarOp::Select, F32);
        assert_eq!(p.registers().unwrap(), [BOOL, F32, F32, F32]);
        let p = ScalarProgram::single(ScalarOp::Cast(I64), F32);
        assert_eq!(p.registers().unwrap(), [F32, I64]);
    }

    #[test]
    fn wrong_programs_are_refused() {
        let mut p = ScalarProgram::single(ScalarOp::Add, F32);
        p.instrs[0].args[1] = Reg(2);
        assert_eq!(p.registers(), Err(Fault::Register { reg: Reg(2) }));
        let mut p = ScalarProgram::single(ScalarOp::Add, F32);
        p.inputs[1] = I64;
        assert_eq!(p.registers(), Err(Fault::DType { expected: F32, got: I64 }));
        assert!(ScalarProgram::single(ScalarOp::Exp, I64).registers().is_err());
        let mut p = ScalarProgram::single(ScalarOp::Neg, F32);
        p.outputs[0] = Reg(9);
        assert!(p.registers().is_err());
    }
}
