//! Operators of convolution and pooling: windows over axes.

pub mod argmax_pool;
pub mod windows;
pub mod windows_add;
pub mod winograd;
pub mod winograd_weight;
