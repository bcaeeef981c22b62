//! Products: matmul, addmm, outer, einsum.

use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};
use super::super::read::Value;

/// `f` of the first argument, two others, `beta` and `alpha`.
fn added<'g>(
    c: &Call<'g>,
    names: [&str; 2],
    f: fn(Var<'g>, Var<'g>, Var<'g>, f64, f64) -> Var<'g>,
) -> Built<'g> {
    let [a, b] = names.map(|name| c.var(name));
    one(f(c.x()?, a?, b?, c.float_or("beta", 1.0)?, c.float_or("alpha", 1.0)?))
}

fn tensordot<'g>(c: &Call<'g>) -> Built<'g> {
    let (a, b) = (c.var("a")?, c.var("b")?);
    let (left, right) = match c.given("dims") {
        Some(Value::Int(n)) => {
            let rank = a.shape().rank() as i64;
            ((rank - n..rank).collect(), (0..*n).collect())
        }
        Some(Value::List(lists)) => {
            let ints = |list: &Value| match list {
                Value::List(items) => items
                    .iter()
                    .map(|i| if let Value::Int(i) = i { Ok(*i) } else { Err("no axis") })
                    .collect::<Result<Vec<i64>, _>>(),
                Value::Int(i) => Ok(vec![*i]),
                _ => Err("no axes"),
            };
            let [left, right] = &lists[..] else { return Err("dims are no two lists".into()) };
            (ints(left)?, ints(right)?)
        }
        _ => return Err("dims are no axes".into()),
    };
    one(a.tensordot(b, &left, &right))
}

/// PyTorch takes the first axis of length 3.
fn cross<'g>(c: &Call<'g>) -> Built<'g> {
    let (x, other) = (c.x()?, c.var("other")?);
    let first = x.shape().iter().position(|&n| n == 3).ok_or("no axis of length 3")?;
    one(x.cross(other, c.int_or("dim", first as i64)?))
}

fn chain<'g>(c: &Call<'g>, name: &str) -> Result<(Var<'g>, Vec<Var<'g>>), String> {
    let all = c.vars(name)?;
    let (&first, rest) = all.split_first().ok_or("an empty list")?;
    Ok((first, rest.to_vec()))
}

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("addbmm", |c| added(c, ["batch1", "batch2"], Var::addbmm)),
    ("addmm", |c| added(c, ["mat1", "mat2"], Var::addmm)),
    ("addmv", |c| added(c, ["mat", "vec"], Var::addmv)),
    ("addr", |c| added(c, ["vec1", "vec2"], Var::addr)),
    ("baddbmm", |c| added(c, ["batch1", "batch2"], Var::baddbmm)),
    ("bmm", |c| one(c.x()?.bmm(c.var("mat2")?))),
    ("cdist", |c| one(c.var("x1")?.cdist(c.var("x2")?, c.float_or("p", 2.0)?))),
    ("cross", cross),
    ("dot", |c| one(c.x()?.dot(c.var("other|tensor")?))),
    ("einsum", |c| {
        let (first, rest) = chain(c, "tensors|operands")?;
        one(first.einsum(c.text_or("equation", "")?, &rest))
    }),
    ("inner", |c| one(c.x()?.tensordot(c.var("other")?, &[-1], &[-1]))),
    ("kron", |c| one(c.x()?.kron(c.var("other")?))),
    ("linalg.multi_dot", |c| {
        let (first, rest) = chain(c, "tensors")?;
        one(first.multi_dot(&rest))
    }),
    ("matmul", |c| one(c.x()?.matmul(c.var("other")?))),
    ("mm", |c| one(c.x()?.mm(c.var("mat2")?))),
    ("mv", |c| one(c.x()?.mv(c.var("vec")?))),
    ("nn.functional.bilinear", |c| {
        one(c.x()?.bilinear(c.var("input2")?, c.var("weight")?, c.maybe("bias")?))
    }),
    ("nn.functional.linear", |c| one(c.x()?.linear(c.var("weight")?, c.maybe("bias")?))),
    ("outer", |c| one(c.x()?.outer(c.var("vec2")?))),
    ("tensordot", tensordot),
    ("trace", |c| one(c.x()?.trace())),
];
