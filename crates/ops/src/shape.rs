//! Operators that move elements and compute nothing.

pub mod broadcast;
pub mod permute;
pub mod reshape;
