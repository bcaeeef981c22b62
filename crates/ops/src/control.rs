//! Control flow: loops as nodes.

mod evaluate;
mod forward;
pub(crate) mod record;
mod reverse;
pub mod scan;
mod transform;
mod tree;

pub(crate) use evaluate::Families;
pub use scan::{Loop, Scan};
pub use tree::Tree;
