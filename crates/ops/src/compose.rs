//! Composites: functions of variables, made of operators. Each records what its formula says, in
//! a form that neither overflows nor loses digits where the result does not.

mod activation;
pub mod loss;
mod shape;
mod softmax;
mod statistics;
