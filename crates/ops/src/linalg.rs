//! Products.

pub mod matmul;
