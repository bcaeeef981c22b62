//! Reductions, statistics, cumulative operators, sorting.

use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};

/// What a reduction is: of a value over axes.
type Over = for<'g> fn(Var<'g>, Vec<i64>) -> Var<'g>;

/// A reduction of the first argument over `dim`.
fn over<'g>(c: &Call<'g>, f: Over) -> Built<'g> {
    let x = c.x()?;
    let axes = c.axes("dim|names", x)?;
    one(c.keep(x, &axes, f(x, axes.clone()))?)
}

/// `f` of the first argument along an axis; PyTorch gives a scalar one.
fn along<'g, const N: usize>(
    c: &Call<'g>,
    f: impl FnOnce(Var<'g>, i64) -> Result<[Var<'g>; N], String>,
) -> Built<'g> {
    let x = c.x()?;
    let axis = c.int_or("dim|dtype|out", -1)?;
    if x.shape().rank() > 0 {
        return Ok(f(x, axis)?.to_vec());
    }
    Ok(f(x.reshape([1]), 0)?.iter().map(|y| y.reshape(Shape::scalar())).collect())
}

/// An extreme with its position.
fn extreme<'g>(c: &Call<'g>, f: impl FnOnce(Var<'g>, i64) -> (Var<'g>, Var<'g>)) -> Built<'g> {
    let x = c.x()?;
    along(c, |line, axis| {
        let (y, i) = f(line, axis);
        let axes = [if axis < 0 { axis + line.shape().rank() as i64 } else { axis }];
        if x.shape().rank() == 0 {
            return Ok([y, i]);
        }
        Ok([c.keep(line, &axes, y)?, c.keep(line, &axes, i)?])
    })
}

/// The correction of a variance.
fn correction(c: &Call<'_>) -> Result<f64, String> {
    match c.given("correction") {
        Some(_) => c.float("correction"),
        None => Ok(if c.flag_or("unbiased", true)? { 1.0 } else { 0.0 }),
    }
}

fn deviation<'g>(c: &Call<'g>, f: fn(Var<'g>, Vec<i64>, f64) -> Vec<Var<'g>>) -> Built<'g> {
    let (x, correction) = (c.x()?, correction(c)?);
    let axes = c.axes("dim", x)?;
    f(x, axes.clone(), correction).into_iter().map(|y| c.keep(x, &axes, y)).collect()
}

fn norm<'g>(c: &Call<'g>, p: &str) -> Built<'g> {
    let (x, p) = (c.x()?, c.float_or(p, 2.0)?);
    let axes = c.axes("dim", x)?;
    one(c.keep(x, &axes, x.vector_norm(p, axes.clone()))?)
}

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("amax", |c| over(c, |x, axes| x.max(axes))),
    ("amin", |c| over(c, |x, axes| x.min(axes))),
    ("cummax", |c| along(c, |x, axis| Ok(x.cummax(axis).into()))),
    ("cummin", |c| along(c, |x, axis| Ok(x.cummin(axis).into()))),
    ("cumprod", |c| along(c, |x, axis| Ok([x.cumprod(axis)]))),
    ("cumsum", |c| along(c, |x, axis| Ok([x.cumsum(axis)]))),
    ("dist", |c| one(c.x()?.dist(c.var("other")?, c.float_or("p", 2.0)?))),
    ("kthvalue", |c| {
        let k = c.int("k")? as usize;
        extreme(c, |x, axis| x.kthvalue(k, axis))
    }),
    ("linalg.vector_norm", |c| norm(c, "ord")),
    ("log_softmax", |c| along(c, |x, axis| Ok([x.log_softmax(axis)]))),
    ("logcumsumexp", |c| along(c, |x, axis| Ok([x.logcumsumexp(axis)]))),
    ("logsumexp", |c| over(c, |x, axes| x.logsumexp(axes))),
    ("max-reduction_with_dim", |c| extreme(c, |x, axis| x.max_with_index(axis))),
    ("mean", |c| over(c, |x, axes| x.mean_over(axes))),
    ("min-reduction_with_dim", |c| extreme(c, |x, axis| x.min_with_index(axis))),
    ("nansum", |c| over(c, |x, axes| x.nansum(axes))),
    ("norm", |c| norm(c, "p")),
    ("prod", |c| {
        let (x, axes) = (c.x()?, c.axes("dim|dtype", c.x()?)?);
        one(c.keep(x, &axes, x.prod(axes.clone()))?)
    }),
    ("softmax", |c| along(c, |x, axis| Ok([x.softmax(axis)]))),
    ("sort", |c| {
        let descending = c.flag_or("descending", false)?;
        along(c, |x, axis| Ok(x.sort(axis, descending).into()))
    }),
    ("std", |c| deviation(c, |x, axes, n| vec![x.std(axes, n)])),
    ("std_mean", |c| deviation(c, |x, axes, n| <[_; 2]>::from(x.std_mean(axes, n)).to_vec())),
    ("sum", |c| over(c, |x, axes| x.sum(axes))),
    ("topk", |c| {
        let (k, largest) = (c.int("k")? as usize, c.flag_or("largest|descending", true)?);
        along(c, |x, axis| Ok(x.topk(k, axis, largest).into()))
    }),
    ("var", |c| deviation(c, |x, axes, n| vec![x.var(axes, n)])),
    ("var_mean", |c| deviation(c, |x, axes, n| <[_; 2]>::from(x.var_mean(axes, n)).to_vec())),
];
