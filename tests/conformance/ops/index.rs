//! Indexing: gather, scatter, index-select, embedding, getitem, sort.

use pleach::ops::{Bounds, Index};
use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};
use super::super::read::Value;

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("__getitem__", get),
    ("gather", |c| {
        let (x, indices) = (c.x()?, c.var("index")?.cast(I64));
        let y = lifted(x).gather(c.int("dim")?, lifted(indices));
        one(y.reshape(indices.shape()))
    }),
    ("index_add", |c| {
        let (x, source) = (c.x()?, lifted(c.var("source")?));
        let (axis, alpha) = (c.int("dim")?, c.float_or("alpha", 1.0)?);
        let y = lifted(x).index_add(axis, c.var("index")?, source, alpha);
        one(y.reshape(x.shape()))
    }),
    ("index_select", |c| {
        let (x, scalar) = (c.x()?, c.x()?.shape().rank() == 0);
        let y = lifted(x).index_select(c.int("dim")?, c.var("index")?);
        one(if scalar { y.squeeze(0) } else { y })
    }),
    ("masked_select", |c| one(c.x()?.masked_select(c.data("mask")?))),
    ("nn.functional.embedding", |c| {
        let padding = c.given("padding_idx").map(|_| c.int("padding_idx")).transpose()?;
        one(c.x()?.embedding(c.var("idx|input")?, padding))
    }),
    ("scatter", |c| {
        let (x, indices) = (c.x()?, lifted(c.var("index")?));
        if c.given("reduce").is_some() {
            return Err("scatter with reduce is deprecated: scatter_add".into());
        }
        let axis = c.int("dim")?;
        let y = match c.given("value") {
            Some(Value::Int(_) | Value::Float(_)) => {
                lifted(x).scatter(axis, indices, c.float("value")?)
            }
            _ => match c.given("src") {
                Some(Value::Int(_) | Value::Float(_)) => {
                    lifted(x).scatter(axis, indices, c.float("src")?)
                }
                _ => lifted(x).scatter(axis, indices, lifted(c.var("src|value")?)),
            },
        };
        one(y.reshape(x.shape()))
    }),
    ("scatter_add", |c| {
        let (x, indices, src) = (c.x()?, lifted(c.var("index")?), lifted(c.var("src")?));
        one(lifted(x).scatter_add(c.int("dim")?, indices, src).reshape(x.shape()))
    }),
    ("select", |c| one(c.x()?.index_axis(c.int("dim")?, c.int("index")?))),
    ("slice", |c| {
        let at = |name| c.given(name).map(|_| c.int(name)).transpose();
        let span =
            Bounds { start: at("start")?, stop: at("end|stop")?, step: c.int_or("step", 1)? };
        one(c.x()?.slice_bounds(c.int_or("dim", 0)?, span))
    }),
    ("take_along_dim", |c| {
        let (x, indices) = (c.x()?, c.var("indices")?);
        one(match c.given("dim") {
            Some(_) => x.take_along_dim(c.int("dim")?, indices),
            None => x.reshape([-1]).take_along_dim(0, indices.reshape([-1])),
        })
    }),
];

/// PyTorch takes a scalar for a vector of one element.
fn lifted(x: Var<'_>) -> Var<'_> {
    if x.shape().rank() == 0 { x.reshape([1]) } else { x }
}

fn get<'g>(c: &Call<'g>) -> Built<'g> {
    let given = c.given("idx|index|key");
    let brackets = match given {
        // Of a list of integers alone, PyTorch makes one index tensor.
        Some(value @ Value::List(list)) if list.iter().all(|v| matches!(v, Value::Int(_))) => {
            vec![value]
        }
        Some(Value::List(brackets)) => brackets.iter().collect(),
        Some(value) => vec![value],
        None => return Err("nothing in the brackets".into()),
    };
    let index = |value: &Value| -> Result<Index<'g>, String> {
        Ok(match value {
            Value::None => Index::NewAxis,
            Value::Int(i) => Index::At(*i),
            Value::Ellipsis => Index::Ellipsis,
            Value::Slice([start, stop, step]) => {
                Index::Bounds(Bounds { start: *start, stop: *stop, step: step.unwrap_or(1) })
            }
            Value::Tensor(key) => match c.tensor(key) {
                Some(tensor) if tensor.dtype() == BOOL => Index::List(tensor.clone()),
                _ => Index::Take(c.value(value).ok_or("no such tensor")?),
            },
            Value::List(items) => {
                let int = |item: &Value| match item {
                    Value::Int(i) => Ok(*i),
                    other => Err(format!("{other:?} in a list of indices")),
                };
                let list = items.iter().map(int).collect::<Result<Vec<i64>, _>>()?;
                Index::from(&list[..])
            }
            other => return Err(format!("{other:?} in the brackets")),
        })
    };
    one(c.x()?.index(brackets.into_iter().map(index).collect::<Result<Vec<_>, _>>()?))
}
