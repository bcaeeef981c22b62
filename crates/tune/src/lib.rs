//! Choosing by trial: hyper-parameters, learning rates, the moment to stop.
//!
//! A trial is a closure that gets values and a seed and answers a score. This crate knows no graph,
//! no model and no data. Results are plain values, best first; everything random is a pure function
//! of a seed, so trials can be repeated, run by threads and resumed.
//!
//! | I want to… | item |
//! |---|---|
//! | say what can be chosen | [`Space`] |
//! | try every combination | [`grid`] |
//! | try random points | [`random`] |
//! | give up on bad points early | [`Halving::asha`], [`Halving::synchronous`] |
//! | go on after the process was killed | [`Options::journal`] |
//! | see what was found | [`Findings`] |
//! | draw it, with feature `report` | `Findings::table`, `Findings::svg`, `RangeCurve::svg` |
//! | score by cross-validation | [`cross_validate`] |
//! | see which learning rates make the loss fall | [`RangeTest`] |
//! | stop when it no longer helps | [`EarlyStopping`] |
//!
//! ```
//! use pleach_tune::{Options, Space, TuneError, cross_validate, random};
//! let space = Space::new().log_uniform("rate", 1e-3, 1.0);
//! let found = random(&space, 20, &Options::default(), |trial| {
//!     let rate = trial.float("rate")?;
//!     cross_validate([1.0, 2.0, 3.0], |_, fold| {
//!         Ok::<f64, TuneError>(fold * (rate.log10() + 1.5).abs()) // train and score here
//!     })
//! })?;
//! let best = found.best().expect("a trial has a score");
//! assert!((0.01..0.1).contains(&best.trial.float("rate")?));
//! # Ok::<(), TuneError>(())
//! ```

mod drive;
mod early;
mod error;
mod findings;
mod float;
mod folds;
mod halving;
mod journal;
mod race;
mod range;
#[cfg(feature = "report")]
mod report;
mod score;
mod search;
mod space;
mod trial;
mod value;

pub use early::{Best, EarlyStopping, Verdict};
pub use error::TuneError;
pub use findings::{Findings, Reached, Tried};
pub use folds::cross_validate;
pub use halving::Halving;
pub use range::{RangeCurve, RangePoint, RangeTest, Smooth};
pub use score::{Direction, IntoOutcome, Outcome, Score};
pub use search::{Options, grid, random};
pub use space::{Domain, Space};
pub use trial::Trial;
pub use value::Value;
