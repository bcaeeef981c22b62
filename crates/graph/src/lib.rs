//! The tape: an append-only computation graph that differentiates itself.
//!
//! [`Graph`] is generic over the language of its nodes, an [`Operator`]: it knows no operator and
//! no kernel, and is tested with a toy language. Node index order is a topological
//! order, so the graph *is* the tape of reverse mode.
//!
//! | I want to… | item |
//! |---|---|
//! | record a node | [`Graph::push`]: type rule, canonical order, identities, hash-consing, append |
//! | differentiate | [`Graph::reverse`], [`Graph::jvp`]: both append nodes |
//! | rewrite | [`Graph::rebuild`]: graphs are never edited, they are built anew |
//! | record a loop body | [`Graph::frame`], [`Body`] |
//! | read a graph as text | `Display` and [`Graph::parse`], [`Graph::dot`] |
//! | know where a node comes from | [`Graph::origin`] |
//! | trust a graph | [`Graph::verify`] |

mod body;
mod cut;
mod dot;
mod error;
mod graph;
mod id;
mod interner;
mod jvp;
mod operator;
mod origin;
mod rebuild;
mod reverse;
mod tape;
mod text;
mod verify;

#[cfg(test)]
extern crate self as pleach_graph;
#[cfg(test)]
#[path = "../tests/toy/mod.rs"]
mod toy;

pub use body::Body;
pub use cut::least_cut;
pub use error::{BuildError, BuildErrors, FrameError, GradError, TypeError};
pub use graph::{Graph, Root};
pub use id::{NodeId, Slot};
pub use jvp::derived_jvp;
pub use operator::{Grad, Operator, Simpler, Traits};
pub use origin::{At, Origin, Site};
pub use rebuild::{NodeMap, Rewrite};
pub use reverse::Gradient;
pub use tape::{Inputs, Node};
pub use text::ParseError;
pub use verify::VerifyError;
