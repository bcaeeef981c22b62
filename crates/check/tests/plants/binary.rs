//! Planted errors in rules of two operands.

use pleach_ops::{Grad, Tangent, prelude::*};

use super::Plant;

/// Index zero of the first axis, for every column of three.
fn first_row<'g>(dy: Var<'g>) -> Var<'g> {
    dy.gather(0, dy.graph().full(I64, [1, 3], 0.0))
}

macro_rules! plants {
    ($($name:literal, $shapes:expr, $domain:expr,
        y = |$a:ident, $b:ident| $value:expr,
        |$y:ident, $dy:ident| right $da:expr, $db:expr; wrong $wrong_da:expr, $wrong_db:expr;)*) => {
        &[$(Plant {
            name: $name,
            shapes: $shapes,
            domain: $domain,
            value: |[$a, $b]| $value,
            right: |slot, [$a, $b], $y, $dy| {
                let _ = ($a, $b, $y, $dy);
                Grad::from(if slot == 0 { $da } else { $db })
            },
            wrong: |slot, [$a, $b], $y, $dy| {
                let _ = ($a, $b, $y, $dy);
                Grad::from(if slot == 0 { $wrong_da } else { $wrong_db })
            },
            jvp: None,
        },)*
        Plant {
            name: "own jvp ignores the second operand",
            shapes: [&[3], &[3]],
            domain: (0.5, 2.0),
            value: |[a, b]| a * b,
            right: |slot, x, _, dy| (dy * x[1 - slot]).into(),
            wrong: |slot, x, _, dy| (dy * x[1 - slot]).into(),
            jvp: Some([
                |_, _, _| Tangent::Derived,
                |[_, b], _, [da, _]| da.map_or(Tangent::Zero, |da| Tangent::Flow(da * b)),
            ]),
        },
        Plant {
            name: "own jvp drops a term when both operands move",
            shapes: [&[3], &[3]],
            domain: (0.5, 2.0),
            value: |[a, b]| a * b,
            right: |slot, x, _, dy| (dy * x[1 - slot]).into(),
            wrong: |slot, x, _, dy| (dy * x[1 - slot]).into(),
            jvp: Some([
                |_, _, _| Tangent::Derived,
                |[a, b], _, [da, db]| match (da, db) {
                    (Some(da), _) => Tangent::Flow(da * b),
                    (None, Some(db)) => Tangent::Flow(db * a),
                    (None, None) => Tangent::Zero,
                },
            ]),
        }]
    };
}

pub(crate) static BINARY: &[Plant<2>] = plants! {
    "mul with swapped operands", [&[3], &[3]], (-2.0, 2.0), y = |a, b| a * b,
        |y, dy| right dy * b, dy * a; wrong dy * a, dy * b;
    "sub without the minus", [&[3], &[3]], (-2.0, 2.0), y = |a, b| a - b,
        |y, dy| right dy, -dy; wrong dy, dy;
    "div without the minus in db", [&[3], &[3]], (0.5, 2.0), y = |a, b| a / b,
        |y, dy| right dy / b, -(dy * y / b); wrong dy / b, dy * y / b;
    "div with db = -dy·a/b", [&[3], &[3]], (0.5, 2.0), y = |a, b| a / b,
        |y, dy| right dy / b, -(dy * y / b); wrong dy / b, -(dy * y);
    "pow with ln b for ln a", [&[3], &[3]], (1.5, 2.5), y = |a, b| (b * a.ln()).exp(),
        |y, dy| right dy * b * y / a, dy * y * a.ln(); wrong dy * b * y / a, dy * y * b.ln();
    "maximum to the smaller", [&[6], &[6]], (-2.0, 2.0), y = |a, b| a.maximum(b),
        |y, dy| right b.less(a).select(dy, 0.0), b.less(a).select(0.0, dy);
        wrong b.less(a).select(0.0, dy), b.less(a).select(dy, 0.0);
    "matmul without the transpose", [&[3, 3], &[3, 3]], (-2.0, 2.0), y = |a, b| a.matmul(b),
        |y, dy| right dy.matmul(b.t()), a.t().matmul(dy); wrong dy.matmul(b), a.t().matmul(dy);
    "matmul in the wrong order", [&[3, 3], &[3, 3]], (-2.0, 2.0), y = |a, b| a.matmul(b),
        |y, dy| right dy.matmul(b.t()), a.t().matmul(dy);
        wrong dy.matmul(b.t()), dy.matmul(a.t());
    "add of a row without the sum", [&[2, 3], &[1, 3]], (-2.0, 2.0), y = |a, b| a + b,
        |y, dy| right dy, dy.sum_to([1, 3]); wrong dy, first_row(dy);
    "mul of a row without the sum", [&[2, 3], &[1, 3]], (-2.0, 2.0), y = |a, b| a * b,
        |y, dy| right dy * b, (dy * a).sum_to([1, 3]); wrong dy * b, first_row(dy * a);
    "hypot with a for b", [&[3], &[3]], (0.5, 2.0), y = |a, b| (a * a + b * b).sqrt(),
        |y, dy| right dy * a / y, dy * b / y; wrong dy * a / y, dy * a / y;
    "outer product transposed", [&[3, 1], &[1, 3]], (-2.0, 2.0), y = |a, b| a.matmul(b),
        |y, dy| right dy.matmul(b.t()), a.t().matmul(dy);
        wrong dy.t().matmul(b.t()), a.t().matmul(dy);
};
