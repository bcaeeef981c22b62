//! Planted errors in rules of one operand.

use pleach_ops::{Grad, Tangent, prelude::*};

use super::Plant;

fn sigmoid<'g>(x: Var<'g>) -> Var<'g> {
    1.0 / ((-x).exp() + 1.0)
}

fn tanh<'g>(x: Var<'g>) -> Var<'g> {
    let e = (x * 2.0).exp();
    (e - 1.0) / (e + 1.0)
}

/// `[1, 2, .., n]` as indices that leave out the first of `n + 1`.
fn after_first<'g>(like: Var<'g>, n: usize) -> Var<'g> {
    like.graph().iota(I64, [n], 0) + 1
}

fn indices<'g, const N: usize>(like: Var<'g>, values: [i64; N]) -> Var<'g> {
    like.graph().constant(Tensor::new([N], values.to_vec()).unwrap())
}

fn weights<'g, const N: usize>(like: Var<'g>, values: [f64; N]) -> Var<'g> {
    like.graph().constant(Tensor::new([N], values.to_vec()).unwrap())
}

const M: &[usize] = &[2, 3];

macro_rules! plants {
    ($($name:literal, $shape:expr, $domain:expr,
        y = |$x:ident| $value:expr,
        |$y:ident, $dy:ident| right $right:expr, wrong $wrong:expr;)*) => {
        &[$(Plant {
            name: $name,
            shapes: [$shape],
            domain: $domain,
            value: |[$x]| $value,
            right: |_, [$x], $y, $dy| {
                let _ = ($x, $y, $dy);
                Grad::from($right)
            },
            wrong: |_, [$x], $y, $dy| {
                let _ = ($x, $y, $dy);
                Grad::from($wrong)
            },
            jvp: None,
        },)*
        // Only the own forward rule is wrong.
        Plant {
            name: "own jvp without the factor 2, vjp right",
            shapes: [M],
            domain: (-2.0, 2.0),
            value: |[x]| x * x,
            right: |_, [x], _, dy| (dy * x * 2.0).into(),
            wrong: |_, [x], _, dy| (dy * x * 2.0).into(),
            jvp: Some([
                |[x], _, [dx]| dx.map_or(Tangent::Zero, |dx| Tangent::Flow(dx * x * 2.0)),
                |[x], _, [dx]| dx.map_or(Tangent::Zero, |dx| Tangent::Flow(dx * x)),
            ]),
        },
        Plant {
            name: "own jvp says zero",
            shapes: [M],
            domain: (-2.0, 2.0),
            value: |[x]| x.exp(),
            right: |_, _, y, dy| (dy * y).into(),
            wrong: |_, _, y, dy| (dy * y).into(),
            jvp: Some([|_, _, _| Tangent::Derived, |_, _, _| Tangent::Zero]),
        },
        Plant {
            name: "gradient declared zero",
            shapes: [M],
            domain: (-2.0, 2.0),
            value: |[x]| x.exp(),
            right: |_, _, y, dy| (dy * y).into(),
            wrong: |_, _, _, _| Grad::Zero,
            jvp: None,
        },
        Plant {
            name: "gradient cut",
            shapes: [M],
            domain: (-2.0, 2.0),
            value: |[x]| x.exp(),
            right: |_, _, y, dy| (dy * y).into(),
            wrong: |_, _, _, _| Grad::Cut,
            jvp: None,
        }]
    };
}

pub(crate) static UNARY: &[Plant<1>] = plants! {
    "x³ with the wrong sign", M, (-2.0, 2.0), y = |x| x * x * x,
        |y, dy| right dy * x * x * 3.0, wrong dy * x * x * -3.0;
    "x² without the factor 2", M, (-2.0, 2.0), y = |x| x * x,
        |y, dy| right dy * x * 2.0, wrong dy * x;
    "2x with one element zeroed", &[5], (-2.0, 2.0), y = |x| x * 2.0,
        |y, dy| right dy * 2.0, wrong dy * weights(x, [2.0, 2.0, 2.0, 0.0, 2.0]);
    "exp forgets the cotangent", M, (-1.0, 1.0), y = |x| x.exp(),
        |y, dy| right dy * y, wrong y;
    "exp of a scalar forgets the cotangent", &[], (-1.0, 1.0), y = |x| x.exp(),
        |y, dy| right dy * y, wrong y;
    "exp using x for y", M, (0.5, 2.0), y = |x| x.exp(),
        |y, dy| right dy * y, wrong dy * x;
    "ln using y for x", M, (2.0, 4.0), y = |x| x.ln(),
        |y, dy| right dy / x, wrong dy / y;
    "sqrt 1/(2x) for 1/(2y)", M, (2.0, 4.0), y = |x| x.sqrt(),
        |y, dy| right dy / (y * 2.0), wrong dy / (x * 2.0);
    "tanh 1 - y for 1 - y²", M, (-1.0, 1.0), y = |x| tanh(x),
        |y, dy| right dy * (1.0 - y * y), wrong dy * (1.0 - y);
    "sigmoid x(1 - x) for y(1 - y)", M, (-1.0, 1.0), y = |x| sigmoid(x),
        |y, dy| right dy * y * (1.0 - y), wrong dy * x * (1.0 - x);
    "erf with 1/√π for 2/√π", M, (-1.0, 1.0), y = |x| x.erf(),
        |y, dy| right dy * (-(x * x)).exp() * std::f64::consts::FRAC_2_SQRT_PI,
        wrong dy * (-(x * x)).exp() * std::f64::consts::FRAC_2_SQRT_PI * 0.5;
    "relu on the wrong side", &[6], (-2.0, 2.0), y = |x| x.relu(),
        |y, dy| right x.greater(0.0).select(dy, 0.0), wrong x.less(0.0).select(dy, 0.0);
    "leaky relu without its leak", &[6], (-2.0, 2.0),
        y = |x| x.greater(0.0).select(x, x * 0.1),
        |y, dy| right x.greater(0.0).select(dy, dy * 0.1), wrong x.greater(0.0).select(dy, 0.0);
    "abs with the sign of dy", &[6], (-2.0, 2.0), y = |x| x.abs(),
        |y, dy| right dy * x.sign(), wrong dy * dy.sign();
    "not linear in dy", M, (-2.0, 2.0), y = |x| x * 3.0,
        |y, dy| right dy * 3.0, wrong dy * dy * 3.0;
    "rsqrt forgets its epsilon", M, (0.1, 1.0), y = |x| 1.0 / (x + 0.1).sqrt(),
        |y, dy| right dy * y / (x + 0.1) * -0.5, wrong dy * y / x * -0.5;
    "a sine of the wrong frequency", M, (0.1, 1.0), y = |x| (x * 2.0).exp(),
        |y, dy| right dy * y * 2.0, wrong dy * x.exp() * 2.0;
    "slice off by one", &[5], (-2.0, 2.0), y = |x| x.gather(0, after_first(x, 4)),
        |y, dy| right dy.scatter_sum(0, after_first(x, 4), 5),
        wrong dy.scatter_sum(0, x.graph().iota(I64, [4], 0), 5);
    "permutation instead of its inverse", &[2, 2, 2], (-2.0, 2.0), y = |x| x.permute(&[1, 2, 0]),
        |y, dy| right dy.permute(&[2, 0, 1]), wrong dy.permute(&[1, 2, 0]);
    "transpose forgotten", &[3, 3], (-2.0, 2.0), y = |x| x.t(),
        |y, dy| right dy.t(), wrong dy;
    "broadcast without the sum", &[1, 3], (-2.0, 2.0), y = |x| x.broadcast_to([2, 3]),
        |y, dy| right dy.sum_to([1, 3]),
        wrong dy.gather(0, x.graph().full(I64, [1, 3], 0.0));
    "sum along the wrong axis", &[3, 3], (-2.0, 2.0), y = |x| x.sum(0),
        |y, dy| right dy.reshape([1, 3]).broadcast_to([3, 3]),
        wrong dy.reshape([3, 1]).broadcast_to([3, 3]);
    "mean scaled by n", M, (-2.0, 2.0), y = |x| x.mean(),
        |y, dy| right (dy / 6.0).broadcast_to([2, 3]), wrong dy.broadcast_to([2, 3]);
    "max to the least element", &[6], (-2.0, 2.0), y = |x| x.max(0),
        |y, dy| right x.equal(y).select(dy, 0.0), wrong x.equal(-(-x).max(0)).select(dy, 0.0);
    "gather overwrites instead of adding", &[3], (-2.0, 2.0),
        y = |x| x.gather(0, indices(x, [0, 0, 2, 2])),
        |y, dy| right dy.scatter_sum(0, indices(x, [0, 0, 2, 2]), 3),
        wrong (dy * weights(x, [0.0, 1.0, 0.0, 1.0]))
            .scatter_sum(0, indices(x, [0, 0, 2, 2]), 3);
    "softmax without its rank-one part", &[4], (-2.0, 2.0), y = |x| x.softmax(0),
        |y, dy| right y * (dy - (dy * y).sum(0)), wrong y * (1.0 - y) * dy;
    "logsumexp not normalized", &[4], (-2.0, 2.0), y = |x| x.logsumexp(0),
        |y, dy| right dy * (x - y).exp(), wrong dy * (x - x.max(0)).exp();
    "variance with n for n - 1", &[4], (-2.0, 2.0), y = |x| x.var(0, 1.0),
        |y, dy| right dy * (x - x.mean()) * (2.0 / 3.0), wrong dy * (x - x.mean()) * 0.5;
    "precision lost in a cast", M, (-2.0, 2.0), y = |x| x * x,
        |y, dy| right dy * x * 2.0, wrong (dy * x * 2.0).cast(F32).cast(F64);
    "x³ right to first order, x detached", M, (-2.0, 2.0), y = |x| x * x * x,
        |y, dy| right dy * x * x * 3.0,
        wrong dy * x.stop_gradient() * x.stop_gradient() * 3.0;
    "x² right to first order, dy detached", M, (-2.0, 2.0), y = |x| x * x,
        |y, dy| right dy * x * 2.0, wrong dy.stop_gradient() * x * 2.0;
    "exp right to first order, half detached", M, (-1.0, 1.0), y = |x| x.exp(),
        |y, dy| right dy * y, wrong dy * (y + y.stop_gradient()) * 0.5;
};
