//! Everything a model and its training need.

pub use pleach_data::{Dataset, Order};
pub use pleach_exec::{Outputs, State};
pub use pleach_nn::{Dropout, Embedding, Linear};
pub use pleach_ops::prelude::*;
pub use pleach_ops::{Kind, Variable};
pub use pleach_optim::{Adam, AdamW, Cosine, Lbfgs, Optimizer, Rate, Sgd, Step as StepDecay};

pub use crate::{Compile, CompileError, Persist, Program, Recording, Resumed, Step, Train};
