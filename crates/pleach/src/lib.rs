#![doc = include_str!("../../../README.md")]

mod accumulate;
mod calibrate;
mod compile;
mod error;
mod lbfgs;
mod optimized;
mod program;
mod record;
mod report;
mod resume;
mod step;

pub mod prelude;

pub use compile::Compile;
pub use error::{CompileError, Problem, Unreached};
pub use lbfgs::{LbfgsRecording, LbfgsStep};
pub use optimized::Optimized;
pub use program::Program;
pub use record::{Recording, Train};
pub use report::Report;
pub use resume::{Persist, ResumeError, Resumed};
pub use step::Step;

pub use pleach_check as check;
pub use pleach_data as data;
pub use pleach_exec as exec;
pub use pleach_format as format;
pub use pleach_graph as graph;
pub use pleach_nn as nn;
pub use pleach_ops as ops;
pub use pleach_optim as optim;
pub use pleach_passes as passes;
pub use pleach_tensor as tensor;
pub use pleach_tune as tune;

/// The guides' code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-an-operator.md")]
struct AddingAnOperator;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/mixed-precision.md")]
struct MixedPrecision;
