//! Optimizers judged by hand-checked numbers and by PyTorch's, run update by update through the
//! interpreter.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod all;
mod clip;
mod lbfgs;
mod page;
mod rules;
mod schedules;
mod support;
mod trajectories;
mod updates;
mod wrappers;
