//! Passes: rewrites of whole graphs, and the ledger of what they did.
//!
//! | I want to… | item |
//! |---|---|
//! | optimize a graph | [`Pipeline`], [`Level`] |
//! | write a pass | [`Pass`]: one file, one entry of a pipeline |
//! | write a rule | [`Rule`], [`rules!`]: one line |
//! | know what was done | [`Ledger`] |
//!
//! *Architecture Invariant:* a pass never changes the meaning beyond its declared class.

mod class;
mod fold;
mod fuse;
mod ledger;
mod pass;
mod pattern;
mod pipeline;
mod prune;
pub mod rules;
mod share;
mod simplify;

pub use class::{Class, Classes, Level};
pub use fold::Fold;
pub use fuse::Fuse;
pub use ledger::{Delta, Entry, Ledger, Totals};
pub use pass::{Evaluate, Outcome, Pass, PassCx, PassError};
pub use pattern::{Match, Pattern, PatternError};
pub use pipeline::Pipeline;
pub use prune::Prune;
pub use rules::Rule;
pub use share::Share;
pub use simplify::Simplify;
