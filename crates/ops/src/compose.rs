//! Composites: functions of variables, made of operators. Each records what its formula says, in
//! a form that neither overflows nor loses digits where the result does not.

mod activation;
mod adaptive;
mod arithmetic;
mod choice;
mod columns;
mod contraction;
mod einsum;
pub mod loss;
mod norm;
mod power;
mod product;
mod shape;
mod softmax;
mod sorting;
mod statistics;
