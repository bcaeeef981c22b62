//! Values that come from outside, and constants.

pub mod constant;
pub mod full;
pub mod input;
pub mod iota;
pub mod parameter;
pub mod variable;
