//! Why a program is refused.

use pleach_tensor::DType;
use thiserror::Error;

use crate::{BufferId, Reg, ScalarOp};

/// An instruction that [`Program::new`](crate::Program::new) refuses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("instruction {instr} ({kernel}): {fault}")]
pub struct ProgramError {
    /// Its place in the list.
    pub instr: usize,
    /// Its kind.
    pub kernel: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an instruction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A slice names a buffer that the program does not have.
    #[error("there is no buffer {}", .buffer.0)]
    UnknownBuffer {
        /// The buffer named.
        buffer: BufferId,
    },
    /// A slice reaches outside of its buffer, or its size does not fit the machine.
    #[error("a slice reaches outside of buffer {}", .buffer.0)]
    OutOfBounds {
        /// The buffer.
        buffer: BufferId,
    },
    /// A slice moves with the steps of a loop that its instruction does not stand in.
    #[error("a slice of buffer {} moves with another loop", .buffer.0)]
    Moves {
        /// The buffer.
        buffer: BufferId,
    },
    /// A read-only buffer is written.
    #[error("buffer {} is read-only", .buffer.0)]
    ReadOnly {
        /// The buffer.
        buffer: BufferId,
    },
    /// An output has one place for several elements.
    #[error("an output overlaps itself in buffer {}", .buffer.0)]
    Overlap {
        /// The buffer.
        buffer: BufferId,
    },
    /// An output overlaps an input or another output.
    #[error("an output overlaps another operand in buffer {}", .buffer.0)]
    Alias {
        /// The buffer.
        buffer: BufferId,
    },
    /// An operand has the wrong element type.
    #[error("expected {expected} elements, got {got}")]
    DType {
        /// Element type expected.
        expected: DType,
        /// Element type found.
        got: DType,
    },
    /// The kernel does not exist for this element type.
    #[error("no kernel for {dtype} elements")]
    Unsupported {
        /// The element type.
        dtype: DType,
    },
    /// The operation does not exist for this element type.
    #[error("{op:?} is not defined on {dtype} elements")]
    Operation {
        /// The operation.
        op: ScalarOp,
        /// The element type.
        dtype: DType,
    },
    /// An operand has the wrong shape.
    #[error("expected the shape {expected:?}, got {got:?}")]
    Shape {
        /// Shape expected.
        expected: Vec<usize>,
        /// Shape found.
        got: Vec<usize>,
    },
    /// An axis does not exist, or a list of axes is not strictly increasing.
    #[error("axes {axes:?} do not fit rank {rank}")]
    Axis {
        /// The axes.
        axes: Vec<usize>,
        /// The rank.
        rank: usize,
    },
    /// Windows do not lie within the axes that they are windows of.
    #[error("windows do not fit the lengths {dims:?}")]
    Windows {
        /// The lengths of the array.
        dims: Vec<usize>,
    },
    /// Lengths and strides differ in number, or there are more axes than kernels walk.
    #[error("a slice of {dims} axes and {strides} strides; at most {} axes", crate::MAX_RANK)]
    Rank {
        /// Number of axes.
        dims: usize,
        /// Number of strides.
        strides: usize,
    },
    /// A scalar program reads or returns a register that is not defined before.
    #[error("register {} is not defined", .reg.0)]
    Register {
        /// The register.
        reg: Reg,
    },
    /// A scalar program keeps more registers alive than the tile buffer holds.
    #[error("the scalar program has too many registers, inputs or outputs")]
    TooManyRegisters,
    /// Number of slices and of inputs or outputs of the scalar program differ.
    #[error("expected {expected} slices, got {got}")]
    Count {
        /// Number expected.
        expected: usize,
        /// Number found.
        got: usize,
    },
}
