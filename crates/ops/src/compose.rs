//! Composites: functions of variables, made of operators. Each records what its formula says, in
//! a form that neither overflows nor loses digits where the result does not.

mod activation;
mod adaptive;
mod arithmetic;
mod choice;
mod columns;
mod contraction;
pub(crate) mod conv;
mod einsum;
pub mod loss;
mod norm;
pub(crate) mod normalization;
pub(crate) mod pool;
mod power;
mod product;
pub(crate) mod resample;
mod shape;
mod softmax;
mod sorting;
pub(crate) mod spatial;
mod statistics;
