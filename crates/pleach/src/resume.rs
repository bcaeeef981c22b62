//! Saving a run and going on with it.

use std::path::{Path, PathBuf};

use pleach_exec::{ExecError, State};
use pleach_format::FormatError;
use pleach_format::checkpoint::{Checkpoint, Loaded, Notes};
use pleach_ops::Params;
use thiserror::Error;

/// A state in a file: saved while it trains, and loaded to go on as if nothing had happened. In
/// the prelude.
///
/// A run that was killed at any moment and resumed has the bits of one that was not: values,
/// slots, buffers, counters and seed come back, and dropout masks, rates and moments follow from
/// them. What the state does not know, the place in the data, is put beside it by name:
///
/// ```
/// # use pleach::prelude::*;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("run.safetensors");
/// # let data = Dataset::new([("x", Tensor::new([8], vec![0.0f32, 1., 2., 3., 4., 5., 6., 7.])?)])?;
/// # let train = || -> Result<Tensor, Box<dyn std::error::Error>> {
/// # let params = Params::seeded(1);
/// # let w = params.param("w", [2], Init::ones());
/// # let g = Graph::train();
/// # let loss = Dropout::new(0.5).call(g.param(&w) * g.input("x", F32, [2])).mse(g.full(F32, [2], 1.0));
/// # let mut step = g.minimize(loss, Adam::new(0.1)).compile(Compile::default())?;
/// // The model is recorded, then the run goes on where it was, or begins.
/// let mut run = State::resume(&path, &params)?;
/// if let Some(damage) = &run.fallback {
///     eprintln!("the newest checkpoint is damaged, going on from the one before: {damage}");
/// }
/// let (first, done) = run.notes.get::<(u64, usize)>("data")?.unwrap_or_default();
/// for epoch in first..3 {
///     let skip = if epoch == first { done } else { 0 };
///     let mut batches = data.batches(2, Order::Shuffled { seed: 1, epoch })?.skip_batches(skip);
///     while let Some(batch) = batches.next() {
///         step.run(&mut run.state, &batch)?;
///         run.state.checkpoint().with("data", &(epoch, batches.position()))?.save(&path)?;
///     }
/// }
/// # Ok(run.state.value("w")?)
/// # };
/// # let trained = train()?;
/// # assert_eq!(trained, train()?, "nothing is left to do");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Persist: Sized {
    /// A copy of everything that is saved, to put more beside it or to save it elsewhere.
    fn checkpoint(&self) -> Checkpoint;

    /// Saves the state alone; see [`Checkpoint::save`].
    ///
    /// The file at `path` is replaced in one step, and the one before it kept as `path` +
    /// `.previous`.
    ///
    /// # Errors
    /// As [`Checkpoint::save`]; the last checkpoint is then as it was.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), FormatError> {
        self.checkpoint().save(path)
    }

    /// The run that was saved to `path`; see [`Checkpoint::load`]. `params` is its model,
    /// complete, from the same seed. Steps may be compiled before or after.
    ///
    /// # Errors
    /// [`ResumeError::File`] as of [`Checkpoint::load`]; [`ResumeError::Model`] with everything
    /// that does not fit the model.
    fn load(path: impl AsRef<Path>, params: &Params) -> Result<Resumed, ResumeError>;

    /// As [`Persist::load`], and the beginning of a run if nothing was saved to `path` yet.
    ///
    /// # Errors
    /// As [`Persist::load`]: a checkpoint that cannot be used is no reason to begin anew.
    fn resume(path: impl AsRef<Path>, params: &Params) -> Result<Resumed, ResumeError>;
}

/// A run that goes on.
#[derive(Debug)]
pub struct Resumed {
    /// The state as it was saved.
    pub state: State,
    /// What was put beside it; none if the run begins.
    pub notes: Notes,
    /// What is wrong with the newest checkpoint, if this is the one before it.
    pub fallback: Option<FormatError>,
}

/// Why a run cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The file.
    #[error(transparent)]
    File(#[from] FormatError),
    /// The file is intact, and of another model.
    #[error("{path}: {reason}")]
    Model {
        /// The file, or the one before it.
        path: PathBuf,
        /// Everything that does not fit.
        reason: Box<ExecError>,
    },
}

impl Persist for State {
    fn checkpoint(&self) -> Checkpoint {
        let variables = self.variables().map(|v| (v.name().to_string(), v.kind(), self.get(v)));
        Checkpoint { seed: self.seed(), variables: variables.collect(), ..Checkpoint::default() }
    }

    fn load(path: impl AsRef<Path>, params: &Params) -> Result<Resumed, ResumeError> {
        let path = path.as_ref();
        let Loaded { checkpoint, fallback } = Checkpoint::load(path)?;
        let Checkpoint { seed, variables, notes } = checkpoint;
        let state = State::restore(params, seed, variables).map_err(|reason| {
            ResumeError::Model { path: path.to_path_buf(), reason: reason.into() }
        })?;
        Ok(Resumed { state, notes, fallback })
    }

    fn resume(path: impl AsRef<Path>, params: &Params) -> Result<Resumed, ResumeError> {
        match State::load(path, params) {
            Err(ResumeError::File(error)) if error.is_missing() => {
                let (state, notes, fallback) = (State::new(params), Notes::default(), None);
                Ok(Resumed { state, notes, fallback })
            }
            other => other,
        }
    }
}
