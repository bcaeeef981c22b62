//! Laws: every kernel against a naive reference, over random shapes, strides and element types.
//!
//! Each run is done with one, two and three threads, whose bits must agree, and everything outside
//! of the outputs must be as before.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod attention;
mod cumulative;
mod entropy;
mod fusion;
mod halves;
mod indexing;
mod isa;
mod linalg;
mod loops;
mod matmul;
mod max_pool;
mod products_then;
mod reductions;
mod refusals;
mod repeat;
mod streams;
mod support;
mod threads;
mod windows;
mod winograd;
