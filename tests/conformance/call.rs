//! The arguments of a call, typed.
//!
//! A name is PyTorch's parameter name. Where PyTorch has overloads, a file may name a positional
//! argument after another one: `"dim|out"` means either.

use std::cell::RefCell;
use std::collections::BTreeMap;

use pleach::prelude::*;

use super::read::{Case, Tensors, Value};

/// What a line of a table gives: the outputs, in PyTorch's order.
pub(crate) type Built<'g> = Result<Vec<Var<'g>>, String>;

/// How an operator of PyTorch is built.
pub(crate) type Build = for<'g> fn(&Call<'g>) -> Built<'g>;

/// One output.
pub(crate) fn one(y: Var<'_>) -> Built<'_> {
    Ok(vec![y])
}

/// A call: the graph, its arguments, and the values that it leaves behind.
#[derive(Debug)]
pub(crate) struct Call<'g> {
    pub(crate) g: &'g Graph,
    case: &'g Case,
    tensors: &'g Tensors,
    vars: BTreeMap<String, Var<'g>>,
    after: RefCell<BTreeMap<String, Var<'g>>>,
}

impl<'g> Call<'g> {
    pub(crate) fn new(
        g: &'g Graph,
        case: &'g Case,
        tensors: &'g Tensors,
        vars: BTreeMap<String, Var<'g>>,
    ) -> Call<'g> {
        Call { g, case, tensors, vars, after: RefCell::default() }
    }

    /// An argument that is given and not `None`.
    pub(crate) fn given(&self, name: &str) -> Option<&'g Value> {
        let is = |arg: &&(String, Value)| name.split('|').any(|n| n == arg.0);
        let found = self.case.args.iter().find(is)?;
        (!matches!(found.1, Value::None)).then_some(&found.1)
    }

    fn missing(&self, what: &str, name: &str) -> String {
        let names: Vec<&str> = self.case.args.iter().map(|(name, _)| name.as_str()).collect();
        format!("no {what} {name:?} among the arguments {}", names.join(", "))
    }

    /// The tensor of a key.
    pub(crate) fn tensor(&self, key: &str) -> Option<&'g Tensor> {
        self.tensors.get(key)
    }

    pub(crate) fn value(&self, value: &Value) -> Option<Var<'g>> {
        match *value {
            Value::Tensor(ref key) => self.vars.get(key).copied(),
            Value::Float(x) => Some(self.g.full(F64, [], x)),
            Value::Int(i) => Some(self.g.full(F64, [], i as f64)),
            _ => None,
        }
    }

    /// The first argument, a tensor.
    pub(crate) fn x(&self) -> Result<Var<'g>, String> {
        let first = self.case.args.first().and_then(|(_, value)| self.value(value));
        first.ok_or_else(|| "the first argument is no tensor".into())
    }

    /// A tensor; a number is a scalar of type f64.
    pub(crate) fn var(&self, name: &str) -> Result<Var<'g>, String> {
        self.maybe(name)?.ok_or_else(|| self.missing("tensor", name))
    }

    /// A tensor, if there is one.
    pub(crate) fn maybe(&self, name: &str) -> Result<Option<Var<'g>>, String> {
        let Some(value) = self.given(name) else { return Ok(None) };
        self.value(value).map(Some).ok_or_else(|| self.missing("tensor", name))
    }

    /// A list of tensors.
    pub(crate) fn vars(&self, name: &str) -> Result<Vec<Var<'g>>, String> {
        match self.given(name) {
            Some(Value::List(items)) => {
                let vars = items.iter().map(|item| self.value(item)).collect::<Option<_>>();
                vars.ok_or_else(|| self.missing("list of tensors", name))
            }
            _ => Err(self.missing("list of tensors", name)),
        }
    }

    /// The numbers of a tensor: for what must be known when the graph is recorded.
    pub(crate) fn data(&self, name: &str) -> Result<&'g Tensor, String> {
        match self.given(name) {
            Some(Value::Tensor(key)) => self.tensors.get(key),
            _ => None,
        }
        .ok_or_else(|| self.missing("tensor", name))
    }

    /// An integer; a tensor of one integer counts.
    pub(crate) fn int(&self, name: &str) -> Result<i64, String> {
        match self.given(name) {
            Some(Value::Int(i)) => Some(*i),
            Some(Value::Tensor(_)) => self.data(name)?.item().map(|i| i as i64),
            _ => None,
        }
        .ok_or_else(|| self.missing("integer", name))
    }

    /// An integer, or what it is if it is not given.
    pub(crate) fn int_or(&self, name: &str, default: i64) -> Result<i64, String> {
        if self.given(name).is_some() { self.int(name) } else { Ok(default) }
    }

    /// A number.
    pub(crate) fn float(&self, name: &str) -> Result<f64, String> {
        match self.given(name) {
            Some(Value::Int(i)) => Some(*i as f64),
            Some(Value::Float(x)) => Some(*x),
            Some(Value::Tensor(_)) => self.data(name)?.item(),
            _ => None,
        }
        .ok_or_else(|| self.missing("number", name))
    }

    /// A number, or what it is if it is not given.
    pub(crate) fn float_or(&self, name: &str, default: f64) -> Result<f64, String> {
        if self.given(name).is_some() { self.float(name) } else { Ok(default) }
    }

    /// A truth value, or what it is if it is not given. A number is true if it is not zero.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.given(name) {
            None => Ok(default),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(Value::Int(i)) => Ok(*i != 0),
            _ => Err(self.missing("truth value", name)),
        }
    }

    /// A string, or what it is if it is not given.
    pub(crate) fn text_or(&self, name: &str, default: &'g str) -> Result<&'g str, String> {
        match self.given(name) {
            None => Ok(default),
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.missing("string", name)),
        }
    }

    /// A list of integers; one integer is a list of one; nothing if it is not given.
    pub(crate) fn ints_if(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Int(i)) => Ok(Some(vec![*i])),
            Some(Value::List(items)) => {
                let int = |item: &Value| match item {
                    Value::Int(i) => Some(*i),
                    _ => None,
                };
                let ints = items.iter().map(int).collect::<Option<_>>();
                ints.map(Some).ok_or_else(|| self.missing("list of integers", name))
            }
            _ => Err(self.missing("list of integers", name)),
        }
    }

    /// A list of integers; one integer is a list of one.
    pub(crate) fn ints(&self, name: &str) -> Result<Vec<i64>, String> {
        self.ints_if(name)?.ok_or_else(|| self.missing("list of integers", name))
    }

    /// `n` sizes: one number stands for all of them.
    pub(crate) fn sizes_or(
        &self,
        name: &str,
        n: usize,
        default: usize,
    ) -> Result<Vec<usize>, String> {
        let sizes: Vec<usize> = match self.ints_if(name)? {
            None => vec![default],
            Some(ints) => ints.iter().map(|&i| i as usize).collect(),
        };
        match sizes.len() {
            1 => Ok(vec![sizes[0]; n]),
            len if len == n => Ok(sizes),
            len => Err(format!("{name}: {len} sizes for {n} axes")),
        }
    }

    /// The axes of a reduction, from 0, increasing: all of them if none are given or the list is
    /// empty. PyTorch gives a scalar one axis.
    pub(crate) fn axes(&self, name: &str, x: Var<'g>) -> Result<Vec<i64>, String> {
        let rank = x.shape().rank() as i64;
        let given = self.ints_if(name)?.unwrap_or_default();
        if rank == 0 || given.is_empty() {
            return Ok((0..rank).collect());
        }
        let mut axes: Vec<i64> = given.iter().map(|&a| if a < 0 { a + rank } else { a }).collect();
        axes.sort_unstable();
        Ok(axes)
    }

    /// Puts reduced axes back with length 1, if `keepdim` is asked for.
    pub(crate) fn keep(&self, x: Var<'g>, axes: &[i64], y: Var<'g>) -> Result<Var<'g>, String> {
        if !self.flag_or("keepdim", false)? {
            return Ok(y);
        }
        let shape = x.shape();
        let length = |(i, &n): (usize, &usize)| if axes.contains(&(i as i64)) { 1 } else { n };
        Ok(y.reshape(shape.iter().enumerate().map(length).collect::<Vec<usize>>()))
    }

    /// After the call, the tensor in this argument is `value`.
    pub(crate) fn leaves(&self, name: &str, value: Var<'g>) {
        if let Some(Value::Tensor(key)) = self.given(name) {
            self.after.borrow_mut().insert(key.clone(), value);
        }
    }

    /// What the tensor of this key is after the call.
    pub(crate) fn after(&self, key: &str) -> Option<Var<'g>> {
        self.after.borrow().get(key).copied()
    }
}
