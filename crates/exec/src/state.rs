//! `State`: the values of a model.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use pleach_kernels::AlignedBuf;
use pleach_ops::{Kind, Param, Params, SEED, Variable};
use pleach_tensor::{DType, Element, Tensor, Type, for_dtype};

use crate::ExecError;

/// Values of parameters, buffers and optimizer slots, by name. Any number of steps share one: a
/// training step, an evaluation, a generator and a discriminator.
///
/// Slots appear when a step first needs them. Whatever a step reads or writes can be read and set
/// here at any time, rates included, without recompiling.
#[derive(Debug)]
pub struct State {
    /// Distinguishes states: a plan remembers where its variables are in the last one it ran on.
    pub(crate) id: u64,
    registry: Option<u32>,
    seed: u64,
    pub(crate) entries: Vec<Entry>,
    index: HashMap<String, usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) variable: Variable,
    pub(crate) value: AlignedBuf,
    /// Changes with the value.
    pub(crate) version: u64,
}

static STATES: AtomicU64 = AtomicU64::new(1);

impl State {
    /// The initial values of all parameters and buffers of a model; they follow from its seed.
    pub fn new(params: &Params) -> State {
        let mut state = State::empty(params.seed());
        for variable in params.variables() {
            state.insert(variable);
        }
        state
    }

    pub(crate) fn empty(seed: u64) -> State {
        State {
            id: STATES.fetch_add(1, Ordering::Relaxed),
            registry: None,
            seed,
            entries: Vec::new(),
            index: HashMap::new(),
        }
    }

    fn insert(&mut self, variable: Variable) -> usize {
        let value = if variable.registry() == 0 && variable.name() == SEED {
            Tensor::scalar(self.seed as i64)
        } else {
            variable.initial()
        };
        self.insert_value(variable, &value)
    }

    /// A variable of a name that is not there yet, with a value of its type.
    pub(crate) fn insert_value(&mut self, variable: Variable, value: &Tensor) -> usize {
        if variable.registry() != 0 {
            self.registry = Some(variable.registry());
        }
        let at = self.entries.len();
        self.index.insert(variable.name().to_string(), at);
        self.entries.push(Entry { variable, value: bytes(value), version: 0 });
        at
    }

    /// Place of a variable, which appears with its initial value if it is not there.
    pub(crate) fn place(&mut self, variable: &Variable) -> Result<usize, ExecError> {
        let foreign =
            variable.registry() != 0 && self.registry.is_some_and(|own| own != variable.registry());
        if foreign {
            return Err(ExecError::ForeignVariable { name: variable.name().into() });
        }
        if let Some(&at) = self.index.get(variable.name()) {
            let held = self.entries[at].variable.ty();
            if held != variable.ty() {
                let (expected, got) = (held.clone(), variable.ty().clone());
                let name = variable.name().to_string();
                return Err(ExecError::VariableType { name, expected, got });
            }
            return Ok(at);
        }
        Ok(self.insert(variable.clone()))
    }

    /// The value of a variable, or its initial value if no step has needed it yet.
    pub fn get(&self, variable: &Param) -> Tensor {
        match self.index.get(variable.name()) {
            Some(&at) => self.entries[at].tensor(),
            None => variable.initial(),
        }
    }

    /// The value of the variable of this name.
    ///
    /// # Errors
    /// [`ExecError::Unknown`] if there is none.
    pub fn value(&self, name: &str) -> Result<Tensor, ExecError> {
        Ok(self.entry(name)?.tensor())
    }

    /// The value of the i64 scalar of this name, if there is one. Allocates nothing.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let entry = &self.entries[*self.index.get(name)?];
        if *entry.variable.ty() != Type::scalar(DType::I64) {
            return None;
        }
        entry.value.bytes().try_into().ok().map(i64::from_ne_bytes)
    }

    /// Sets the variable of this name.
    ///
    /// # Errors
    /// [`ExecError::Unknown`] if there is none, [`ExecError::VariableType`] if the type differs;
    /// the value is then as it was.
    pub fn set(&mut self, name: &str, value: &Tensor) -> Result<(), ExecError> {
        let expected = self.entry(name)?.variable.ty().clone();
        if *value.ty() != expected {
            let (name, got) = (name.to_string(), value.ty().clone());
            return Err(ExecError::VariableType { name, expected, got });
        }
        let at = self.index[name];
        self.entries[at].value = bytes(value);
        self.entries[at].version += 1;
        Ok(())
    }

    /// Sets a variable, which appears if it is not there: what a driver does that keeps slots of its
    /// own beside those of steps.
    ///
    /// # Errors
    /// [`ExecError::ForeignVariable`] if it belongs to another model, [`ExecError::VariableType`] if
    /// the type differs; the value is then as it was.
    pub fn put(&mut self, variable: &Param, value: &Tensor) -> Result<(), ExecError> {
        self.place(variable)?;
        self.set(variable.name(), value)
    }

    fn entry(&self, name: &str) -> Result<&Entry, ExecError> {
        self.index.get(name).map(|&at| &self.entries[at]).ok_or_else(|| {
            let mut known: Vec<&str> = self.index.keys().map(String::as_str).collect();
            known.sort_unstable();
            ExecError::Unknown { what: "variable", name: name.into(), known: known.join(", ") }
        })
    }

    /// The seed of the model, from which initial values and everything drawn in a step follow.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// All variables, in order of appearance.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = &Variable> {
        self.entries.iter().map(|e| &e.variable)
    }

    /// Names and values of all variables of a kind: what a file of weights holds.
    pub fn tensors(&self, kind: Kind) -> Vec<(String, Tensor)> {
        self.entries
            .iter()
            .filter(|e| e.variable.kind() == kind)
            .map(|e| (e.variable.name().to_string(), e.tensor()))
            .collect()
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|e| e.value.len()).sum()
    }
}

impl Clone for State {
    fn clone(&self) -> State {
        State {
            id: STATES.fetch_add(1, Ordering::Relaxed),
            registry: self.registry,
            seed: self.seed,
            entries: self.entries.clone(),
            index: self.index.clone(),
        }
    }
}

impl Entry {
    pub(crate) fn tensor(&self) -> Tensor {
        tensor(self.value.bytes(), self.variable.ty())
    }
}

/// The elements of a tensor as aligned memory.
pub(crate) fn bytes(value: &Tensor) -> AlignedBuf {
    for_dtype!(value.dtype(), T => {
        AlignedBuf::from_slice(value.as_slice::<T>().unwrap_or_default())
    })
}

/// A tensor of type `ty` from its bytes in memory.
pub(crate) fn tensor(bytes: &[u8], ty: &Type) -> Tensor {
    for_dtype!(ty.dtype(), T => {
        let elements = bytes[..ty.bytes()].chunks_exact(size_of::<T>()).map(element::<T>);
        Tensor::new(ty.shape(), elements.collect()).expect("as many as the type says")
    })
}

/// The first element of type `T` in memory.
#[inline]
pub(crate) fn element<T: Element>(bytes: &[u8]) -> T {
    let mut word = [0; 8];
    let at = if cfg!(target_endian = "big") { 8 - size_of::<T>() } else { 0 };
    word[at..at + size_of::<T>()].copy_from_slice(&bytes[..size_of::<T>()]);
    T::from_bits64(u64::from_ne_bytes(word))
}
