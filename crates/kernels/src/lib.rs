//! Kernels: the machine code under a plan, and the only `unsafe` of the project.
//!
//! This crate knows no graph. A caller describes work as a list of [`Kernel`]s over [`Slice`]s of
//! numbered buffers; [`Program::new`] checks all of it once; [`run`] executes it with no
//! allocation, with the same bits for any number of threads.
//!
//! | I want to… | item |
//! |---|---|
//! | say how an operator is executed, as data | [`Lowering`], [`View`], [`ScalarOp`] |
//! | describe elementwise work, fused or not | [`ScalarProgram`] |
//! | describe a piece of memory | [`Slice`] |
//! | describe an instruction | [`Kernel`] |
//! | check a list of instructions | [`Program`] |
//! | run it | [`run`] with [`Bound`] buffers and a [`Pool`] |
//! | know how long each instruction takes | [`run_timed`] |
//!
//! ```
//! use pleach_kernels::*;
//! use pleach_tensor::F32;
//!
//! let slice = |b: u32| Slice::new(BufferId(b), F32, 0, &[2, 3]);
//! let mut p = ScalarProgram::new(vec![F32, F32]);
//! let sum = p.push(ScalarOp::Add, F32, &[Reg(0), Reg(1)]);
//! p.outputs.push(sum);
//! let add = Kernel::Loop { program: p, inputs: vec![slice(0), slice(1)], outputs: vec![slice(2)] };
//! let read = BufferSpec { bytes: 24, writable: false };
//! let write = BufferSpec { bytes: 24, writable: true };
//! let program = Program::new(vec![add], vec![read, read, write])?;
//!
//! let (a, b) = ([1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0f32; 6]);
//! let mut c = AlignedBuf::new(24);
//! run(&program, &mut [Bound::read(&a), Bound::read(&b), Bound::write(&mut c)], &Pool::new(1))?;
//! assert_eq!(c.as_slice::<f32>().unwrap(), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod argmax;
mod attention;
mod bind;
mod buffer;
mod call;
mod check;
mod copy;
mod cumulative;
mod entropy;
mod fault;
mod gather;
mod gemm;
mod index;
mod kernel;
mod lanes;
mod linalg;
mod loop_layout;
mod loop_plan;
mod loop_run;
mod loop_small;
mod lowering;
mod math;
mod matrix;
mod max_pool;
mod max_pool_add;
mod normal_cdf;
mod num;
mod one;
mod patterns;
mod pieces;
mod pool;
mod pow;
mod program;
mod random;
mod reduce;
mod reduce_order;
mod reduce_small;
mod repeat;
mod run;
mod scalar;
mod scalar_program;
mod select;
mod slice;
mod sort;
mod space;
pub mod special;
mod take;
mod tile_fn;
mod trig;
mod vector;
mod widen;
mod window_blocks;
mod windows_add;
mod winograd;

pub use attention::attention_fits;
pub use bind::Bound;
pub use buffer::AlignedBuf;
pub use call::HostCall;
pub use entropy::entropy_fits;
pub use fault::{Fault, ProgramError};
pub use gemm::wants_rows;
#[cfg(feature = "library")]
pub use gemm::{Layout, library_gemm};
pub use kernel::Kernel;
pub use loop_plan::{MAX_ROW, loop_reduces};
pub use lowering::{
    Axes, CumulativeOp, LinalgOp, Lowering, RandomOp, ReduceOp, View, Window, Windows, WinogradOp,
};
pub use matrix::{Border, Matrix};
pub use pool::Pool;
pub use program::{BufferSpec, Program};
pub use run::{RunError, run, run_timed};
pub use scalar::{Scalar, ScalarOp};
pub use scalar_program::{Reg, ScalarInstr, ScalarProgram};
pub use slice::{BufferId, Moves, Slice, Strides};
pub use space::MAX_RANK;
pub use vector::Isa;
