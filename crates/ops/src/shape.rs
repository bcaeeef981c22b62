//! Operators that move elements and compute nothing.

pub mod broadcast;
pub mod concat;
pub mod flip;
pub mod pad;
pub mod permute;
pub mod reshape;
pub mod slice;
