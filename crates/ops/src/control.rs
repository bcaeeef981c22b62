//! Control flow: loops as nodes.

pub(crate) mod evaluate;
mod forward;
pub(crate) mod record;
mod reverse;
pub mod scan;
mod transform;
mod tree;

pub use scan::{Loop, Scan};
pub use transform::Recorded;
pub use tree::Tree;
