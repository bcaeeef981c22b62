//! Composites: functions of variables, made of operators. Each records what its formula says, in
//! a form that neither overflows nor loses digits where the result does not.

mod activation;
mod adaptive;
mod arithmetic;
pub(crate) mod attention;
pub(crate) mod attention_region;
mod axes;
mod choice;
mod columns;
mod contraction;
pub(crate) mod conv;
mod diagonals;
mod einsum;
pub(crate) mod indexing;
mod join;
pub mod loss;
mod norm;
pub(crate) mod normalization;
pub(crate) mod padding;
mod parts;
mod pixels;
pub(crate) mod pool;
mod power;
mod product;
mod random;
mod rectifier;
mod repeat;
pub(crate) mod resample;
mod roll;
mod scatter;
mod softmax;
mod sorting;
pub(crate) mod spatial;
mod statistics;
mod systems;
