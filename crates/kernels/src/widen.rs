//! Loops over floats of 16 bits, as loops over `f32`.
//!
//! Every instruction computes in `f32` and rounds its result once to its own type, as if it ran alone:
//! a fused loop has the bits of its instructions one at a time. What is rounded stays an `f32` until it
//! leaves the loop, so registers are loaded, stored and converted at the ends only.

use pleach_tensor::DType;

use crate::{Reg, Scalar, ScalarInstr, ScalarOp, ScalarProgram};

/// Where the value of a register is, in the program that is written.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// In its own type.
    own: Option<Reg>,
    /// In `f32`, not rounded yet.
    raw: Option<Reg>,
    /// In `f32`, rounded.
    wide: Option<Reg>,
}

impl Place {
    fn own(reg: Reg) -> Place {
        Place { own: Some(reg), ..Place::default() }
    }
}

/// Is the result of the operation a number of the operands' type, whatever they are?
fn is_exact(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(op, Neg | Abs | Sign | Max | Min | Floor | Ceil | Round | Trunc | Select)
}

/// The program without arithmetic on floats of 16 bits; `None` if it has none. `types` are those of
/// its registers.
pub(crate) fn widened(program: &ScalarProgram, types: &[DType]) -> Option<ScalarProgram> {
    let moved = |op: ScalarOp| matches!(op, ScalarOp::Copy | ScalarOp::Const(_));
    let halves = |instr: &ScalarInstr| {
        !moved(instr.op) && (instr.dtype.is_half() || instr.op.result(instr.dtype).is_half())
    };
    if !program.instrs.iter().any(halves) {
        return None;
    }
    let n = program.inputs.len();
    let out = ScalarProgram::new(program.inputs.clone());
    let places = (0..n as u16).map(|i| Place::own(Reg(i))).collect();
    let mut writer = Writer { types, out, places };
    program.instrs.iter().for_each(|instr| writer.instr(instr));
    for reg in &program.outputs {
        let own = writer.own(reg.at());
        writer.out.outputs.push(own);
    }
    Some(writer.out)
}

struct Writer<'a> {
    types: &'a [DType],
    out: ScalarProgram,
    places: Vec<Place>,
}

impl Writer<'_> {
    /// A register in its own type.
    fn own(&mut self, at: usize) -> Reg {
        let Place { own, raw, wide } = self.places[at];
        let from = || raw.or(wide).unwrap_or_default();
        let reg = own.unwrap_or_else(|| {
            self.out.push(ScalarOp::Cast(self.types[at]), DType::F32, &[from()])
        });
        self.places[at].own = Some(reg);
        reg
    }

    /// A register of 16 bits in `f32`.
    fn wide(&mut self, at: usize) -> Reg {
        let (Place { own, raw, wide }, dtype) = (self.places[at], self.types[at]);
        let reg = wide.unwrap_or_else(|| match raw {
            Some(raw) => self.out.push(ScalarOp::Narrow(dtype), DType::F32, &[raw]),
            None => self.out.push(ScalarOp::Cast(DType::F32), dtype, &[own.unwrap_or_default()]),
        });
        self.places[at].wide = Some(reg);
        reg
    }

    fn instr(&mut self, instr: &ScalarInstr) {
        let ScalarInstr { op, dtype, args } = *instr;
        let (result, first) = (op.result(dtype), args[0].at());
        let place = match op {
            ScalarOp::Copy => self.places[first],
            ScalarOp::Const(value) => {
                let own = Some(self.out.push(op, dtype, &[]));
                let single = ScalarOp::Const(Scalar::from_f64(DType::F32, value.to_f64()));
                let wide = dtype.is_half().then(|| self.out.push(single, DType::F32, &[]));
                Place { own, raw: None, wide }
            }
            ScalarOp::Cast(to) if to == dtype => self.places[first],
            ScalarOp::Cast(to) if dtype.is_half() => {
                let wide = self.wide(first);
                match to {
                    DType::F32 => Place::own(wide),
                    to if to.is_half() => Place { raw: Some(wide), ..Place::default() },
                    _ => Place::own(self.out.push(op, DType::F32, &[wide])),
                }
            }
            ScalarOp::Cast(to) if to.is_half() && dtype == DType::F32 => {
                Place { raw: Some(self.own(first)), ..Place::default() }
            }
            // Of other types rounded once, not by way of f32.
            _ if !dtype.is_half() => {
                let args = args.map(|arg| if op.arity() > 0 { self.own_or(arg) } else { arg });
                Place::own(self.out.push(op, dtype, &args[..op.arity()]))
            }
            _ => {
                let mut wide = [Reg::default(); 3];
                for (i, arg) in args.iter().enumerate().take(op.arity()) {
                    let condition = op == ScalarOp::Select && i == 0;
                    wide[i] = if condition { self.own(arg.at()) } else { self.wide(arg.at()) };
                }
                let y = self.out.push(op, DType::F32, &wide[..op.arity()]);
                match (result.is_half(), is_exact(op)) {
                    (false, _) => Place::own(y),
                    (true, true) => Place { wide: Some(y), ..Place::default() },
                    (true, false) => Place { raw: Some(y), ..Place::default() },
                }
            }
        };
        self.places.push(place);
    }

    /// As [`Writer::own`], of an operand that may be beyond the arity.
    fn own_or(&mut self, arg: Reg) -> Reg {
        if arg.at() < self.places.len() { self.own(arg.at()) } else { arg }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScalarOp::*;

    fn program(ops: &[(ScalarOp, DType, &[u16])], inputs: &[DType]) -> ScalarProgram {
        let mut program = ScalarProgram::new(inputs.to_vec());
        for (op, dtype, args) in ops {
            let args: Vec<Reg> = args.iter().map(|&r| Reg(r)).collect();
            let y = program.push(*op, *dtype, &args);
            program.outputs = vec![y];
        }
        program
    }

    fn ops(program: &ScalarProgram) -> Vec<ScalarOp> {
        let widened = widened(program, &program.registers().unwrap()).unwrap();
        widened.registers().unwrap();
        widened.instrs.iter().map(|instr| instr.op).collect()
    }

    #[test]
    fn what_is_computed_is_rounded_once_and_converted_at_the_ends() {
        let half = DType::Bf16;
        let chain =
            program(&[(Add, half, &[0, 1]), (Neg, half, &[2]), (Exp, half, &[3])], &[half; 2]);
        let single = Cast(DType::F32);
        assert_eq!(ops(&chain), [single, single, Add, Narrow(half), Neg, Exp, Cast(half)]);
        let to = program(&[(Cast(half), DType::F64, &[0]), (Sqrt, half, &[1])], &[DType::F64]);
        assert_eq!(ops(&to), [Cast(half), single, Sqrt, Cast(half)]);
        let twice =
            program(&[(Cast(DType::F32), half, &[0]), (Cast(half), DType::F32, &[1])], &[half]);
        assert_eq!(ops(&twice), [single, Cast(half)]);
    }

    #[test]
    fn a_program_that_moves_halves_stays() {
        let copy = ScalarProgram::single(Copy, DType::F16);
        assert_eq!(widened(&copy, &copy.registers().unwrap()), None);
    }
}
