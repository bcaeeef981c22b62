//! Passes: rewrites of whole graphs, and the ledger of what they did.
//!
//! | I want to… | item |
//! |---|---|
//! | optimize a graph | [`Pipeline`], [`Level`] |
//! | write a pass | [`Pass`]: one file, one entry of a pipeline |
//! | write a rule | [`Rule`], [`rules!`]: one line |
//! | know what was done | [`Ledger`]; what that is worth: [`Machine`] |
//! | know which rules made a node | [`PassCx::traced`], [`Trace::explain`] |
//! | find the rewrite that breaks something | [`bisect`] |
//! | test a pass or a rule | [`testing`] |
//!
//! *Architecture Invariant:* a pass never changes the meaning beyond its declared class, and the
//! test suite knows the class.

mod absorb;
mod all_steps;
mod associate;
mod attend;
mod bisect;
mod claims;
mod class;
mod contract;
mod defer;
mod entropy;
mod facts;
mod family;
mod fixed;
mod fold;
mod fuse;
mod hoist;
mod join;
mod ledger;
mod lookup;
mod loops;
mod machine;
mod merge;
mod parts;
mod pass;
mod pattern;
mod pick;
mod pipeline;
mod price;
mod prune;
mod pull;
mod regions;
mod remat;
mod roll;
pub mod rules;
#[cfg(feature = "egraph")]
mod saturate;
mod share;
mod shrink;
mod signs;
mod simplify;
mod slope;
mod stack;
mod stash;
pub mod testing;
mod totals;
mod trace;
mod unroll;
mod winograd;

pub use absorb::Absorb;
pub use associate::Associate;
pub use attend::Attend;
pub use bisect::{Culprit, bisect};
pub use class::{Class, Classes, Level};
pub use contract::Contract;
pub use defer::Defer;
pub use entropy::Entropy;
pub use facts::Range;
pub use fold::Fold;
pub use fuse::Fuse;
pub use hoist::Hoist;
pub use join::Join;
pub use ledger::{Entry, Ledger, PassRecord, Skip};
pub use lookup::Lookup;
pub use machine::Machine;
pub use merge::Merge;
pub use pass::{Evaluate, Outcome, Pass, PassCx, PassError};
pub use pattern::{Match, Pattern};
pub use pick::Pick;
pub use pipeline::Pipeline;
pub use price::Price;
pub use prune::Prune;
pub use pull::Pull;
pub use remat::Remat;
pub use roll::Roll;
pub use rules::{Guard, Rule, RuleError};
#[cfg(feature = "egraph")]
pub use saturate::Saturate;
pub use share::Share;
pub use shrink::Shrink;
pub use signs::Signs;
pub use simplify::Simplify;
pub use slope::Slope;
pub use stack::Stack;
pub use stash::Stash;
pub use totals::{Delta, Totals, live_bytes};
pub use trace::{Cause, Trace};
pub use unroll::Unroll;
pub use winograd::Winograd;
