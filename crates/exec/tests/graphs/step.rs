//! One random step of recording.

use pleach_ops::{Op, TakeAdd, prelude::*};

use super::{Choices, Value, draw};

/// New values made of old ones, or none if the choice does not fit.
pub fn step<'g>(
    g: &'g Graph,
    c: &mut Choices,
    values: &[Value<'g>],
    float: DType,
) -> Option<Value<'g>> {
    // New values come from new ones more often: deep graphs, not wide ones.
    let new = c.below(2) * values.len().saturating_sub(6);
    let v = c.of(&values[new..]);
    let (x, shape, rank) = (v.x, v.x.shape(), v.x.shape().rank());
    let axis = if rank > 0 { c.below(rank) } else { 0 };
    let is_float = x.dtype().is_float();
    let is_bool = x.dtype() == BOOL;
    let near = |x| Some(Value { x, exact: false });
    let keep = |x| Some(Value { x, exact: v.exact });
    match c.below(22) {
        0 if is_float => near(match c.below(9) {
            0 => x.tanh(),
            1 => (x.tanh() * 3.0).sin(),
            2 => (x.tanh() * 3.0).cos(),
            3 => x.sigmoid(),
            4 => x.erf(),
            5 => x.softplus(),
            6 => x.tanh().exp(),
            7 => (x.abs() + 1.0).sqrt(),
            _ => (x.abs() + 1.0).ln(),
        }),
        1 if !is_bool => keep(match c.below(3) {
            0 if x.dtype() != U8 => -x,
            1 => x.abs(),
            _ if v.exact => x.sign(),
            _ => return None,
        }),
        2 | 3 if !is_bool => {
            let w = partner(c, values, v)?;
            let (a, b) = if c.below(2) == 0 { (x, w.x) } else { (w.x, x) };
            let exact = v.exact && w.exact;
            match c.below(6) {
                0 => Some(Value { x: a + b, exact: exact && !is_float }),
                1 => Some(Value { x: a - b, exact: exact && !is_float }),
                2 if is_float => near(a * b.tanh()),
                2 => Some(Value { x: a * b, exact }),
                3 if is_float => near(a / (b.abs() + 1.0)),
                4 => Some(Value { x: a.maximum(b), exact }),
                _ => Some(Value { x: a.minimum(b), exact }),
            }
        }
        4 if !is_bool => {
            let axes: Vec<i64> = (0..rank as i64).filter(|_| c.below(2) == 0).collect();
            match c.below(3) {
                0 if is_float => near(x.mean_over(&axes[..])),
                0 => keep(x.sum(&axes[..])),
                1 => keep(x.max(&axes[..])),
                _ => keep(x.min(&axes[..])),
            }
        }
        5 if rank > 0 && v.exact && !is_bool && shape[axis] > 0 => keep(x.argmax(axis as i64)),
        6 | 7 if rank > 1 => {
            let order = c.key().permutation(rank);
            keep(x.permute(&order.iter().map(|&i| i as i64).collect::<Vec<_>>()))
        }
        8 => {
            let n = x.ty()?.numel();
            let flat = x.reshape([n]);
            let factor = c.of(&[1, 2, 3]);
            keep(if n.is_multiple_of(factor) { flat.reshape([n / factor, factor]) } else { flat })
        }
        9 if rank < 3 => {
            let mut to = shape.to_vec();
            to.insert(0, 1 + c.below(3));
            keep(x.broadcast_to(to))
        }
        10 | 11 if rank > 0 => {
            let n = shape[axis];
            let (start, step) = (c.below(n + 1), 1 + c.below(3));
            keep(x.slice_step(axis as i64, start..n, step))
        }
        12 if rank > 0 => {
            let same = |w: &&Value<'g>| w.x.ty() == x.ty();
            let others: Vec<Value<'g>> = values.iter().filter(same).copied().collect();
            let w = c.of(&others);
            let parts: Vec<Var<'g>> = vec![w.x, x][..1 + c.below(2)].to_vec();
            Some(Value { x: x.concat(&parts, axis as i64), exact: v.exact && w.exact })
        }
        13 if rank > 0 => {
            keep(x.pad(&(0..rank).map(|_| (c.below(3), c.below(2))).collect::<Vec<_>>()))
        }
        14 if rank == 2 && !is_bool => {
            let w = values.iter().filter(|w| w.x.dtype() == x.dtype());
            let fit = |w: &&Value<'g>| w.x.shape().rank() == 2 && w.x.size(0) == shape[1];
            let w: Vec<Value<'g>> = w.filter(fit).copied().collect();
            let (y, exact) = match w.is_empty() || c.below(3) == 0 {
                true => (x.t(), v.exact),
                false => c.of(&w).pair(),
            };
            let product = x.matmul(y);
            match is_float {
                true => near(product * 0.2),
                false => Some(Value { x: product, exact: exact && v.exact }),
            }
        }
        15 if rank > 0 && shape[axis] > 0 => {
            let i = indices(g, c, values, shape[axis], None)?;
            keep(x.take(axis as i64, i))
        }
        16 if rank > 0 && shape[axis] > 0 => {
            let i = indices(g, c, values, shape[axis], Some(&shape))?;
            keep(x.gather(axis as i64, i))
        }
        17 if rank > 0 && is_float => {
            let len = 1 + c.below(5);
            if c.below(2) == 0 {
                let i = indices(g, c, values, len, Some(&shape))?;
                return near(x.scatter_sum(axis as i64, i, len));
            }
            let ty = Type::new(I64, [shape[axis]]).ok()?;
            let i = Tensor::build_i64(&ty, |i| (i % len) as i64);
            let op = Op::TakeAdd(TakeAdd::new(axis, len));
            near(x.record(op, &[x, g.constant(i)]))
        }
        18 => {
            let to = c.of(&[float, float, I64, I32, U8, BOOL, F32, F64]);
            let rounds_alike = v.exact || (is_float && (float, to) == (F32, F32));
            rounds_alike.then(|| Value { x: x.cast(to), exact: v.exact })
        }
        19 => {
            let w = partner(c, values, v)?;
            if is_bool {
                return keep(c.of(&[x.and(x.not()), x.or(x), x.not()]));
            }
            if !(v.exact && w.exact) {
                return None;
            }
            let p = c.of(&[x.less(w.x), x.equal(w.x), x.less_equal(w.x)]);
            if p.shape() == shape && w.x.shape() == shape && c.below(2) == 0 {
                return keep(p.select(x, w.x));
            }
            keep(p)
        }
        20 => {
            let shape: Vec<usize> = (0..c.below(3)).map(|_| 1 + c.below(4)).collect();
            let ty = Type::new(float, shape.clone()).ok()?;
            let x = match c.below(5) {
                0 => g.key().normal(float, shape),
                1 => g.key().uniform(float, shape),
                2 => g.constant(draw(&ty, c.key())),
                3 if !shape.is_empty() => g.iota(c.of(&[float, I64]), shape, 0),
                _ => g.full(float, shape, c.of(&[0.0, -0.0, 0.5, 2.0])),
            };
            // A normal number is not the same to the last bit.
            near(x)
        }
        21 if is_float => near(match rank {
            0 => x.relu(),
            _ => x.softmax(axis as i64),
        }),
        _ => None,
    }
}

impl<'g> Value<'g> {
    fn pair(self) -> (Var<'g>, bool) {
        (self.x, self.exact)
    }
}

/// A value that broadcasts with `v`.
fn partner<'g>(c: &mut Choices, values: &[Value<'g>], v: Value<'g>) -> Option<Value<'g>> {
    let fit = |w: &&Value<'g>| {
        let shape = w.x.shape().broadcast(&v.x.shape());
        w.x.dtype() == v.x.dtype() && shape.is_some_and(|s| s.rank() <= 3)
    };
    let fitting: Vec<Value<'g>> = values.iter().filter(fit).copied().collect();
    (!fitting.is_empty()).then(|| c.of(&fitting))
}

/// Indices below `n`, of a shape or of any.
fn indices<'g>(
    g: &'g Graph,
    c: &mut Choices,
    values: &[Value<'g>],
    n: usize,
    shape: Option<&Shape>,
) -> Option<Var<'g>> {
    let fit = |w: &&Value<'g>| {
        let shape_fits = shape.map_or(w.x.shape().rank() < 2, |shape| w.x.shape() == *shape);
        w.exact && w.x.dtype().is_int() && w.x.dtype() != U8 && shape_fits
    };
    let known: Vec<Value<'g>> = values.iter().filter(fit).copied().collect();
    if !known.is_empty() && c.below(3) > 0 {
        return Some(c.of(&known).x.maximum(0).minimum(n as i64 - 1));
    }
    let shape = shape.map_or_else(|| vec![1 + c.below(4)], |shape| shape.to_vec());
    let ty = Type::new(c.of(&[I32, I64]), shape).ok()?;
    let key = c.key();
    Some(g.constant(Tensor::build_i64(&ty, |i| key.below(i as u64, n as u64) as i64)))
}
