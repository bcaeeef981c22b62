//! Shapes: reshape, permute, expand, pad, cat, split, tril.

use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};
use super::super::read::Value;

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("cat", |c| {
        let parts = c.vars("tensors|arrays")?;
        let [first, rest @ ..] = &parts[..] else { return Err("nothing to join".into()) };
        one(first.concat(rest, c.int_or("dim|axis", 0)?))
    }),
    ("chunk", |c| Ok(c.x()?.chunk(c.int_or("dim", 0)?, c.int("chunks")? as usize))),
    ("diag", |c| one(c.x()?.diag(c.int_or("diagonal", 0)?))),
    ("diag_embed", |c| {
        let (row, column) = (c.int_or("dim1", -2)?, c.int_or("dim2", -1)?);
        one(c.x()?.diag_embed(c.int_or("offset", 0)?, row, column))
    }),
    ("diagonal", |c| {
        let (row, column) = (c.int_or("dim1", 0)?, c.int_or("dim2", 1)?);
        one(c.x()?.diagonal(c.int_or("offset", 0)?, row, column))
    }),
    ("expand", |c| one(c.x()?.expand(&c.ints("shape|size")?))),
    ("flatten", |c| one(c.x()?.flatten_axes(c.int_or("start_dim", 0)?, c.int_or("end_dim", -1)?))),
    ("flip", |c| one(c.x()?.flip(c.ints("dims")?))),
    ("hstack", |c| {
        let parts = c.vars("tensors")?;
        one(parts[0].hstack(&parts[1..]))
    }),
    ("movedim", |c| one(c.x()?.movedim(&c.ints("source")?, &c.ints("destination")?))),
    ("narrow", |c| one(c.x()?.narrow(c.int("dim")?, c.int("start")?, c.int("length")? as usize))),
    ("nn.functional.pad-circular", pad),
    ("nn.functional.pad-constant", pad),
    ("nn.functional.pad-reflect", pad),
    ("nn.functional.pad-replicate", pad),
    ("nn.functional.pixel_shuffle", |c| {
        one(c.x()?.pixel_shuffle(c.int("upscale_factor")? as usize))
    }),
    ("nn.functional.pixel_unshuffle", |c| {
        one(c.x()?.pixel_unshuffle(c.int("downscale_factor")? as usize))
    }),
    ("permute", |c| one(c.x()?.permute(&c.ints("dim|dims")?))),
    ("repeat", |c| one(c.x()?.repeat(&counts(c, "dims|repeats")?))),
    ("repeat_interleave", |c| {
        let (x, axis) = match c.given("dim") {
            Some(_) => (c.x()?, c.int("dim")?),
            None => (c.x()?.reshape([-1]), 0),
        };
        match c.given("repeats") {
            Some(Value::Tensor(_)) => {
                let times = c.data("repeats")?.to_i64s().into_iter().map(|n| n as usize);
                let times: Vec<usize> = times.collect();
                one(match times[..] {
                    [times] => x.repeat_interleave(axis, times),
                    _ => x.repeat_interleave_each(axis, &times),
                })
            }
            _ => one(x.repeat_interleave(axis, c.int("repeats")? as usize)),
        }
    }),
    ("reshape", |c| one(c.x()?.reshape(&c.ints("shape")?[..]))),
    ("roll", |c| one(c.x()?.roll(&c.ints("shifts")?, &c.ints_if("dims")?.unwrap_or_default()))),
    ("rot90", |c| {
        let axes = c.ints_if("dims")?.unwrap_or(vec![0, 1]);
        let axes = axes.try_into().map_err(|_| "a plane has two axes".to_string())?;
        one(c.x()?.rot90(c.int_or("k", 1)?, axes))
    }),
    ("split", split),
    ("split-list_args", split),
    ("squeeze", |c| {
        let (x, rank) = (c.x()?, c.x()?.shape().rank() as i64);
        let Some(axes) = c.ints_if("dim")? else { return one(x.squeeze_all()) };
        // PyTorch leaves axes of other lengths; a scalar has one axis to name.
        let mut axes: Vec<i64> = axes.iter().map(|&a| if a < 0 { a + rank } else { a }).collect();
        axes.retain(|&axis| rank > 0 && x.size(axis) == 1);
        axes.sort_unstable();
        one(axes.iter().rev().fold(x, |x, &axis| x.squeeze(axis)))
    }),
    ("stack", |c| {
        let parts = c.vars("tensors|arrays")?;
        one(parts[0].stack(&parts[1..], c.int_or("dim|axis", 0)?))
    }),
    ("t", |c| one(c.x()?.t())),
    ("tile", |c| one(c.x()?.tile(&counts(c, "dims")?))),
    ("transpose", |c| {
        let x = c.x()?;
        let scalar = x.shape().rank() == 0;
        one(if scalar { x } else { x.transpose(c.int("dim0")?, c.int("dim1")?) })
    }),
    ("tril", |c| one(c.x()?.tril(c.int_or("diagonal", 0)?))),
    ("triu", |c| one(c.x()?.triu(c.int_or("diagonal", 0)?))),
    ("unbind", |c| Ok(c.x()?.unbind(c.int_or("dim", 0)?))),
    ("unflatten", |c| one(c.x()?.unflatten(c.int("dim")?, &c.ints("sizes|unflattened_size")?[..]))),
    ("unsqueeze", |c| one(c.x()?.unsqueeze(c.int("dim")?))),
    ("vstack", |c| {
        let parts = c.vars("tensors")?;
        one(parts[0].vstack(&parts[1..]))
    }),
];

fn counts(c: &Call<'_>, name: &str) -> Result<Vec<usize>, String> {
    Ok(c.ints(name)?.into_iter().map(|n| n as usize).collect())
}

/// PyTorch lists the widths of the last axis first.
fn pad<'g>(c: &Call<'g>) -> Built<'g> {
    let mode = match c.text_or("mode", "constant")? {
        "constant" => PadMode::Constant(c.float_or("value", 0.0)?),
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Replicate,
        "circular" => PadMode::Circular,
        other => return Err(format!("no mode {other:?}")),
    };
    let widths: Vec<(i64, i64)> = c.ints("pad")?.chunks(2).rev().map(|w| (w[0], w[1])).collect();
    one(c.x()?.pad_with(&widths, mode))
}

fn split<'g>(c: &Call<'g>) -> Built<'g> {
    let (x, axis, name) = (c.x()?, c.int_or("dim", 0)?, "split_size_or_sections|split_size");
    Ok(match c.given(name) {
        Some(Value::Int(length)) => x.split_every(axis, *length as usize),
        _ => x.split(axis, &counts(c, name)?),
    })
}
