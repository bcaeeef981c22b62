//! Parameters by name: `Params` and its scopes.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pleach_graph::TypeError;
use pleach_tensor::{DType, Key, Shape, Type};
use serde::{Deserialize, Serialize};

use crate::{Init, Variable};

/// A trained parameter, a buffer, or a slot of an optimizer: a handle to a named, typed value.
/// The value itself lives in a state.
pub type Param = Variable;

/// What a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Trained by an optimizer.
    Param,
    /// Written by the model: running statistics, carried states, counters.
    Buffer,
    /// Written by an optimizer: momenta, rates.
    Slot,
}

/// The registry of a model's parameters, at one scope. A cheap handle: scopes share the registry.
///
/// ```
/// use pleach_ops::{Init, Params};
/// let p = Params::seeded(42);
/// let w = p.scope("hidden").param("w", [784, 128], Init::normal(0.0, 0.05));
/// assert_eq!(w.name(), "hidden.w");
/// assert_eq!(w.ty().to_string(), "f32[784, 128]");
/// ```
#[derive(Clone)]
pub struct Params {
    shared: Arc<Mutex<Shared>>,
    path: String,
    dtype: DType,
    tags: Vec<String>,
}

struct Shared {
    /// Distinguishes the parameters of two registries in one graph.
    id: u32,
    seed: u64,
    variables: Vec<Variable>,
    taken: HashSet<String>,
    errors: Vec<(String, TypeError)>,
}

/// Registry 0 is that of variables which belong to no model: the seed and the run counter.
static REGISTRIES: AtomicU32 = AtomicU32::new(1);

impl Params {
    /// An empty registry. Everything random about the model follows from `seed`.
    pub fn seeded(seed: u64) -> Params {
        let id = REGISTRIES.fetch_add(1, Ordering::Relaxed);
        let shared =
            Shared { id, seed, variables: Vec::new(), taken: HashSet::new(), errors: Vec::new() };
        let (shared, path, tags) = (Arc::new(Mutex::new(shared)), String::new(), Vec::new());
        Params { shared, path, dtype: DType::F32, tags }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // The registry is consistent between any two of its operations, so a panic elsewhere
        // while it was held does no harm.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry at a scope inside of this one, with its element type and tags. A name that is
    /// taken gets `~1`, `~2`, …
    #[must_use]
    pub fn scope(&self, name: &str) -> Params {
        Params { path: self.unique(name), ..self.clone() }
    }

    /// This scope, whose variables also have a tag from here on, and those of its scopes: a word by
    /// which the [pattern](Param::matches) `#WORD` finds them, wherever they are.
    ///
    /// ```
    /// use pleach_ops::{Init, Params};
    /// let p = Params::seeded(1);
    /// let w = p.tag("decay").param("w", [2, 3], Init::normal(0.0, 0.1));
    /// let b = p.param("b", [3], Init::zeros());
    /// assert!(w.matches("#decay") && !b.matches("#decay"));
    /// ```
    #[must_use]
    pub fn tag(&self, tag: &str) -> Params {
        let mut tagged = self.clone();
        if !tagged.tags.iter().any(|known| known == tag) {
            tagged.tags.push(tag.into());
        }
        tagged
    }

    /// Parameters made from here on have this element type; `f32` if nothing is said.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Params {
        self.dtype = dtype;
        self
    }

    /// The element type of parameters made from here on.
    pub fn param_dtype(&self) -> DType {
        self.dtype
    }

    /// Path of this scope: `encoder.0`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.shared().seed
    }

    /// A trained parameter. A name that is taken in this scope gets `~1`, `~2`, …
    pub fn param(&self, name: &str, shape: impl Into<Shape>, init: impl Into<Init>) -> Param {
        self.variable(name, shape.into(), self.dtype, init.into(), Kind::Param)
    }

    /// A value that the model itself writes, with [`GraphExt::assign_param`](crate::GraphExt::assign_param).
    pub fn buffer(
        &self,
        name: &str,
        dtype: DType,
        shape: impl Into<Shape>,
        init: impl Into<Init>,
    ) -> Param {
        self.variable(name, shape.into(), dtype, init.into(), Kind::Buffer)
    }

    /// The slot of this full name (`adam.m/hidden.w`) beside the parameters of this registry, with
    /// zeros to begin with: what a saved run holds, before the optimizer that owns it is recorded.
    /// It is no variable of the registry, and takes no name.
    pub fn saved_slot(&self, name: &str, ty: Type) -> Param {
        Variable::new(self.shared().id, name.into(), Kind::Slot, ty, Init::zeros(), Key(0))
    }

    fn variable(&self, name: &str, shape: Shape, dtype: DType, init: Init, kind: Kind) -> Param {
        let name = self.unique(name);
        let mut shared = self.shared();
        let key = Key(shared.seed).fold_str(&name);
        let variable = match Type::new(dtype, shape.clone()) {
            Ok(ty) => Variable::new(shared.id, name, kind, ty, init, key),
            Err(_) => Variable::too_large(shared.id, name, kind, dtype, shape),
        };
        let variable = variable.tagged(&self.tags);
        if let Err(error) = variable.check() {
            shared.errors.push((variable.name().into(), error));
        }
        shared.variables.push(variable.clone());
        variable
    }

    fn unique(&self, name: &str) -> String {
        let mut shared = self.shared();
        let full =
            if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        let mut candidate = full.clone();
        let mut n = 0;
        while !shared.taken.insert(candidate.clone()) {
            n += 1;
            candidate = format!("{full}~{n}");
        }
        candidate
    }

    /// All variables of the registry, in order of creation, whatever the scope.
    pub fn variables(&self) -> Vec<Param> {
        self.shared().variables.clone()
    }

    /// Number of trained numbers.
    pub fn count(&self) -> usize {
        let shared = self.shared();
        let trained = shared.variables.iter().filter(|v| v.kind() == Kind::Param);
        trained.map(|v| v.ty().numel()).sum()
    }

    /// Variables whose shape no value can have, or whose first value has another shape, with the
    /// reason. A graph that uses one reports it at the line that does.
    pub fn errors(&self) -> Vec<(String, TypeError)> {
        self.shared().errors.clone()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Params")
            .field("path", &self.path)
            .field("variables", &self.variables())
            .finish()
    }
}
