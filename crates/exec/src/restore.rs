//! A state from the values of a saved run: either all of them fit the model, or nothing is made.

use std::collections::{BTreeMap, BTreeSet};

use pleach_ops::{Kind, Params, Variable, run_variables};
use pleach_tensor::{Tensor, Type};
use thiserror::Error;

use crate::{ExecError, State};

/// Why a saved value is not one of a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misfit {
    /// A parameter or buffer of the model that was not saved.
    #[error("{} {name:?} of type {ty} is missing", word(*.kind))]
    Missing {
        /// Its name.
        name: String,
        /// What it is for.
        kind: Kind,
        /// Its type.
        ty: Type,
    },
    /// A parameter or buffer that the model does not have.
    #[error("{} {name:?} of type {ty} is unknown", word(*.kind))]
    Unknown {
        /// Its name.
        name: String,
        /// What it was saved as.
        kind: Kind,
        /// The type it was saved with.
        ty: Type,
    },
    /// Another element type or shape.
    #[error("{} {name:?} has type {expected}, got {got}", word(*.kind))]
    Type {
        /// Its name.
        name: String,
        /// What it is for.
        kind: Kind,
        /// Its type in the model.
        expected: Type,
        /// The type it was saved with.
        got: Type,
    },
    /// A parameter that was saved as a buffer, or the like.
    #[error("{name:?} is a {}, got a {}", word(*.expected), word(*.got))]
    Kind {
        /// Its name.
        name: String,
        /// What it is for in the model.
        expected: Kind,
        /// What it was saved as.
        got: Kind,
    },
    /// Two values of one name.
    #[error("{0:?} is given twice")]
    Twice(String),
    /// Everything random about the model follows from another seed.
    #[error("the seed of the model is {expected}, got {got}")]
    Seed {
        /// That of the model.
        expected: u64,
        /// That of the saved run.
        got: u64,
    },
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Param => "parameter",
        Kind::Buffer => "buffer",
        Kind::Slot => "slot",
    }
}

pub(crate) fn listed(misfits: &[Misfit]) -> String {
    misfits.iter().map(Misfit::to_string).collect::<Vec<_>>().join("; ")
}

impl State {
    /// The state that another one was, from its seed and the names, kinds and values of its
    /// variables, in its order. `params` is the model, complete.
    ///
    /// Every parameter and buffer of the model must be there, with its type. Slots are taken as
    /// they are: no step has asked for them yet. A step that needs one of another type fails with
    /// [`ExecError::VariableType`], and one that needs no such slot leaves it alone.
    ///
    /// # Errors
    /// [`ExecError::Misfits`] with everything that does not fit.
    pub fn restore(
        params: &Params,
        seed: u64,
        saved: impl IntoIterator<Item = (String, Kind, Tensor)>,
    ) -> Result<State, ExecError> {
        let model = params.variables();
        let known: BTreeMap<&str, &Variable> = model.iter().map(|v| (v.name(), v)).collect();
        let of_the_run = run_variables();
        let (mut state, mut seen) = (State::empty(seed), BTreeSet::new());
        let mut misfits = Vec::new();
        if seed != params.seed() {
            misfits.push(Misfit::Seed { expected: params.seed(), got: seed });
        }
        for (name, kind, value) in saved {
            let ty = value.ty().clone();
            if !seen.insert(name.clone()) {
                misfits.push(Misfit::Twice(name));
                continue;
            }
            let own = || known.get(name.as_str()).copied().cloned();
            let slot = || (kind == Kind::Slot).then(|| params.saved_slot(&name, ty.clone()));
            let run = || of_the_run.iter().find(|v| v.name() == name).cloned();
            match own().or_else(slot).or_else(run) {
                None => misfits.push(Misfit::Unknown { name, kind, ty }),
                Some(v) if v.kind() != kind => {
                    misfits.push(Misfit::Kind { name, expected: v.kind(), got: kind });
                }
                Some(v) if *v.ty() != ty => {
                    let expected = v.ty().clone();
                    misfits.push(Misfit::Type { name, kind, expected, got: ty });
                }
                Some(v) => {
                    state.insert_value(v, &value);
                }
            }
        }
        for v in model.iter().filter(|v| !seen.contains(v.name())) {
            let (name, kind, ty) = (v.name().to_string(), v.kind(), v.ty().clone());
            misfits.push(Misfit::Missing { name, kind, ty });
        }
        if misfits.is_empty() { Ok(state) } else { Err(ExecError::Misfits(misfits)) }
    }
}
