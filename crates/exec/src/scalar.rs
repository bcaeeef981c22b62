//! Elementwise work as scalar programs.

use pleach_graph::Body;
use pleach_kernels::{Lowering, Reg, Scalar, ScalarOp, ScalarProgram, View};
use pleach_ops::Op;
use pleach_tensor::{DType, Type};
use rustc_hash::FxHashMap;

/// Builds the scalar program of a loop: inputs first, then operations; equal constants are one.
#[derive(Debug)]
pub(crate) struct ScalarBuilder {
    program: ScalarProgram,
    constants: FxHashMap<Scalar, Reg>,
}

impl ScalarBuilder {
    pub(crate) fn new(inputs: Vec<DType>) -> Self {
        ScalarBuilder { program: ScalarProgram::new(inputs), constants: FxHashMap::default() }
    }

    pub(crate) fn constant(&mut self, value: Scalar) -> Reg {
        if let Some(&reg) = self.constants.get(&value) {
            return reg;
        }
        let reg = self.program.push(ScalarOp::Const(value), value.dtype(), &[]);
        self.constants.insert(value, reg);
        reg
    }

    /// `op` of operands of these types.
    pub(crate) fn apply(&mut self, op: ScalarOp, types: &[&Type], args: &[Reg]) -> Reg {
        // A select is named by its branches, everything else by its first operand.
        let at = usize::from(op == ScalarOp::Select);
        self.program.push(op, types[at].dtype(), args)
    }

    pub(crate) fn finish(mut self, outputs: &[Reg]) -> ScalarProgram {
        self.program.outputs.extend_from_slice(outputs);
        self.program
    }
}

/// The program of these results of a fused region, or `None` if an operator in it is not
/// elementwise.
pub(crate) fn region(body: &Body<Op>, results: &[usize]) -> Option<ScalarProgram> {
    let nodes = body.nodes();
    let mut builder = ScalarBuilder::new(body.param_types().map(Type::dtype).collect());
    let mut regs: Vec<Reg> = (0..body.params() as u16).map(Reg).collect();
    for node in &nodes[body.params()..] {
        let types: Vec<&Type> = node.inputs.iter().map(|x| &nodes[x.index()].ty).collect();
        let args: Vec<Reg> = node.inputs.iter().map(|x| regs[x.index()]).collect();
        regs.push(match node.op.lower(&types, &node.ty) {
            Lowering::Scalar(op) => builder.apply(op, &types, &args),
            Lowering::Fill { value } => builder.constant(Scalar::fill(node.ty.dtype(), value)),
            Lowering::View(View::Identity) => args[0],
            _ => return None,
        });
    }
    let outputs: Vec<Reg> = results.iter().map(|&result| regs[body.results()[result]]).collect();
    Some(builder.finish(&outputs))
}
