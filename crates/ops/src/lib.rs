//! Operators: the differentiable primitives, the variables that record them, and the reference
//! interpreter.
//!
//! | I want to… | item |
//! |---|---|
//! | record a computation | [`Graph`], [`GraphExt`], [`Var`] |
//! | name parameters | [`Params`], [`Param`], [`Init`] |
//! | know what an operator does | the struct of its name: [`Add`], [`MatMul`], [`Sum`], … |
//! | write an operator | [`Primitive`], [`Var::apply`], `docs/adding-an-operator.md` |
//! | see values | [`Var::eval`], [`interpret`](interpret::interpret) |
//! | walk over all operators | [`OPERATORS`], [`Sample`] |
//!
//! ```
//! use pleach_ops::prelude::*;
//! let g = Graph::new();
//! let x = g.input("x", F64, [3]);
//! let y = (x * x).sum_all();
//! let dx = g.grad(y, &[x])[0];
//! let at = Tensor::new([3], vec![1.0, 2.0, 3.0])?;
//! assert_eq!(dx.eval(&[&at])?.to_f64s(), [2.0, 4.0, 6.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod carrier;
mod check_types;
mod compose;
pub mod control;
mod cost;
mod custom;
pub mod elementwise;
mod ext;
mod fold;
mod fused;
pub mod index;
mod init;
pub mod interpret;
pub mod linalg;
pub mod network;
mod op;
mod operation;
mod params;
mod pattern;
pub mod prelude;
mod primitive;
pub mod random;
mod real;
pub mod reduce;
pub mod reference;
mod sample;
mod session;
pub mod shape;
pub mod source;
mod transforms;
mod var;

pub use carrier::Carrier;
pub use compose::attention::Attention;
pub use compose::attention_region::AttentionRegion;
pub use compose::conv::ConvOptions;
pub use compose::indexing::{Bounds, ELLIPSIS, Index, Indices, NEW_AXIS, step};
pub use compose::loss;
pub use compose::loss::region::EntropyRegion;
pub use compose::normalization::Moments;
pub use compose::padding::PadMode;
pub use compose::pool::PoolOptions;
pub use compose::resample::{Interpolation, Resize, ResizeTo};
pub use compose::spatial::{Padding, PerAxis};
pub use control::{Loop, Recorded, Scan, Tree};
pub use cost::{Axis, AxisRelations, Cost};
pub use custom::{Custom, Registry};
pub use ext::{GraphExt, RUNS, SEED, run_variables};
pub use fused::Fused;
pub use init::Init;
pub use interpret::Sources;
pub use network::argmax_pool::Span;
pub use network::windows::Window;
pub use op::*;
pub use operation::Operation;
pub use params::{Kind, Param, Params};
pub use pattern::{choices, tag_of};
pub use primitive::{EvalError, Grad, Primitive, Tangent, Variadic};
pub use real::Real;
pub use sample::{Dims, Domain, Operand as SampleOperand, Sample};
pub use session::{Mode, Session};
pub use shape::reshape::Lengths;
pub use transforms::Transforms;
pub use var::{Operand, Var};

/// A computation graph of [`Op`]s.
pub type Graph = pleach_graph::Graph<Op>;
