//! Execution: graphs become flat programs over one arena, and run without allocation.
//!
//! | I want to… | item |
//! |---|---|
//! | hold the values of parameters, buffers and slots | [`State`] |
//! | bring back the values of a saved run | [`State::restore`], [`Misfit`] |
//! | compile a graph | [`Plan::compile`] |
//! | run it | [`Plan::run`], [`Outputs`] |
//! | run the reference interpreter the same way | [`Interpreted`] |
//! | know what was planned | [`PlanReport`] |
//! | find defects of a plan | [`Plan::compile_checked`] |
//! | know how long each instruction takes | [`Plan::run_timed`], [`Profile`] |
//!
//! Lowering walks the graph in index order (`lower`): every node becomes a view of memory that is
//! there already, or an instruction that writes new memory. If another order of the instructions takes
//! less memory, they run in that (`schedule`). Then the planner (`arena`) gives dying operands' memory to
//! their users, and places what is left in one arena.

mod arena;
mod assign;
mod borders;
mod checked;
mod error;
mod exact;
mod in_place;
mod interpreted;
mod lower;
mod lower_attention;
mod lower_entropy;
mod lower_fused;
mod lower_half;
mod lower_pool;
mod lower_product;
mod lower_reduced;
mod lower_scan;
mod once;
mod order;
mod outputs;
mod place;
mod plan;
mod profile;
mod report;
mod restore;
mod scalar;
mod schedule;
mod state;
mod work;

pub use error::ExecError;
pub use interpreted::Interpreted;
pub use outputs::Outputs;
pub use plan::{Options, Plan};
pub use profile::{Limits, Line, Profile, Timed};
pub use report::{Moved, PlanReport};
pub use restore::Misfit;
pub use state::State;
