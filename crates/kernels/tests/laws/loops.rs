//! Elementwise loops: every operation on every element type.

use pleach_kernels::{Kernel, Scalar, ScalarOp, ScalarProgram, special};
use pleach_tensor::DType;
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read, rounded};

fn operations() -> Vec<ScalarOp> {
    use ScalarOp::*;
    let mut all = vec![
        Copy, Neg, Abs, Sign, Exp, Ln, Ln1p, Tanh, Sqrt, Erf, Floor, Not, Add, Sub, Mul, Div, Max,
        Min, Equal, Less, LessEqual, And, Or, Select, Exp2, Expm1, Log2, Log10, Tan, Asin, Acos,
        Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Erfc, Erfinv, Lgamma, Ceil, Round, Trunc, Fmod, Pow,
        LogAddExp, Atan2, Hypot, Polygamma, Sin, Cos, Sigmoid, Softplus, NormalCdf,
    ];
    all.extend(DType::ALL.map(Cast));
    all.extend([DType::F16, DType::Bf16].map(Narrow));
    all
}

/// An integer of this type, wrapped.
fn wrap(dtype: DType, x: i128) -> V {
    V::I(match dtype {
        DType::I32 => (x as i32).into(),
        DType::U8 => (x as u8).into(),
        _ => x as i64,
    })
}

/// A float of this type, rounded.
fn round(dtype: DType, x: f64) -> V {
    V::F(rounded(dtype, x))
}

fn bool(b: bool) -> V {
    V::I(b.into())
}

/// The definition, over `f64` and `i128`.
fn reference(op: ScalarOp, dtype: DType, x: &[V]) -> V {
    use ScalarOp::*;
    let (a, b) = (x.first().copied(), x.get(1).copied());
    let (f, g) = (a.map_or(0.0, V::f), b.map_or(0.0, V::f));
    let (i, j) = (i128::from(a.map_or(0, V::i)), i128::from(b.map_or(0, V::i)));
    match op {
        Copy => x[0],
        Select => x[if i != 0 { 1 } else { 2 }],
        Const(value) if dtype.is_float() => V::F(value.to_f64()),
        Const(value) => V::I(value.to_i64()),
        Not => bool(i == 0),
        And => bool(i != 0 && j != 0),
        Or => bool(i != 0 || j != 0),
        Equal if dtype.is_float() => bool(f == g),
        Equal => bool(i == j),
        Less if dtype.is_float() => bool(f < g),
        Less => bool(i < j),
        LessEqual if dtype.is_float() => bool(f <= g),
        LessEqual => bool(i <= j),
        Cast(DType::Bool) => bool(f != 0.0),
        Cast(to) if to.is_float() => round(to, f),
        Narrow(to) => round(to, f),
        Cast(to) if dtype.is_float() => match to {
            DType::I32 => V::I((f as i32).into()),
            DType::U8 => V::I((f as u8).into()),
            _ => V::I(f as i64),
        },
        Cast(to) => wrap(to, i),
        _ if dtype.is_float() => round(dtype, float(op, f, g)),
        Neg => wrap(dtype, -i),
        Abs => wrap(dtype, i.abs()),
        Sign => wrap(dtype, i.signum()),
        Add => wrap(dtype, i + j),
        Sub => wrap(dtype, i - j),
        Mul => wrap(dtype, i * j),
        Div => wrap(dtype, if j == 0 { 0 } else { i / j }),
        Max => wrap(dtype, i.max(j)),
        Min => wrap(dtype, i.min(j)),
        Fmod => wrap(dtype, if j == 0 { i } else { i % j }),
        Pow => wrap(dtype, special::powi(i as i64, j as i64).into()),
        _ => unreachable!("{op:?} on {dtype}"),
    }
}

fn float(op: ScalarOp, f: f64, g: f64) -> f64 {
    use ScalarOp::*;
    let nan = f.is_nan() || g.is_nan();
    match op {
        Neg => -f,
        Abs => f.abs(),
        Sign if f.is_nan() || f == 0.0 => f,
        Sign => f.signum(),
        Exp => f.exp(),
        Ln => f.ln(),
        Ln1p => f.ln_1p(),
        Tanh => f.tanh(),
        Sqrt => f.sqrt(),
        Erf => libm::erf(f),
        Floor => f.floor(),
        Exp2 => libm::exp2(f),
        Expm1 => libm::expm1(f),
        Log2 => libm::log2(f),
        Log10 => libm::log10(f),
        Tan => libm::tan(f),
        Asin => libm::asin(f),
        Acos => libm::acos(f),
        Atan => libm::atan(f),
        Sinh => libm::sinh(f),
        Cosh => libm::cosh(f),
        Asinh => libm::asinh(f),
        Acosh => libm::acosh(f),
        Atanh => libm::atanh(f),
        Erfc => libm::erfc(f),
        Erfinv => special::erfinv(f),
        NormalCdf => 0.5 * libm::erfc(-f * std::f64::consts::FRAC_1_SQRT_2),
        Lgamma => libm::lgamma(f),
        Ceil => f.ceil(),
        Round => f.round_ties_even(),
        Trunc => f.trunc(),
        Sin => f.sin(),
        Cos => f.cos(),
        Sigmoid => 1.0 / (1.0 + (-f).exp()),
        Softplus => special::logaddexp(f, 0.0),
        Fmod => libm::fmod(f, g),
        Pow => libm::pow(f, g),
        LogAddExp => special::logaddexp(f, g),
        Atan2 => libm::atan2(f, g),
        Hypot => libm::hypot(f, g),
        Polygamma => special::polygamma(f, g),
        Add => f + g,
        Sub => f - g,
        Mul => f * g,
        Div => f / g,
        Max | Min if nan => f64::NAN,
        Max if f == g => {
            if f.is_sign_positive() {
                f
            } else {
                g
            }
        }
        Min if f == g => {
            if f.is_sign_negative() {
                f
            } else {
                g
            }
        }
        Max => f.max(g),
        Min => f.min(g),
        _ => unreachable!("{op:?}"),
    }
}

/// Does IEEE 754 or integer arithmetic determine every bit?
fn is_exact(op: ScalarOp) -> bool {
    use ScalarOp::*;
    matches!(
        op,
        Copy | Neg
            | Abs
            | Sign
            | Sqrt
            | Floor
            | Ceil
            | Round
            | Trunc
            | Not
            | Add
            | Sub
            | Mul
            | Div
            | Max
            | Min
            | Fmod
            | Equal
            | Less
            | LessEqual
            | And
            | Or
            | Select
            | Cast(_)
            | Narrow(_)
            | Const(_)
    )
}

/// Runs one operation over arrays of lengths `dims` and compares every element.
fn check(op: ScalarOp, dtype: DType, dims: &[usize], seed: u64) {
    let mut bench = Bench::new(seed);
    let program = ScalarProgram::single(op, dtype);
    let inputs: Vec<_> = program.inputs.iter().map(|&t| bench.input(t, dims, true)).collect();
    let y = bench.output(op.result(dtype), dims);
    let before = bench.buffers.clone();
    let kernel = Kernel::Loop { program, inputs: inputs.clone(), outputs: vec![y.clone()] };
    let after = bench.run(vec![kernel]);
    let exact = is_exact(op);
    for index in indices(dims) {
        let x: Vec<V> = inputs.iter().map(|s| read(&before, s, &index)).collect();
        let (got, want) = (read(&after, &y, &index), reference(op, dtype, &x));
        let good = if exact {
            agree(got, want, dtype, 0.0, 0.0)
                && (want.f() != 0.0 || got.f().is_sign_negative() == want.f().is_sign_negative())
        } else {
            // The sum of an operand and a logarithm may cancel.
            let cancelled = match op {
                ScalarOp::LogAddExp => x[0].f().max(x[1].f()).abs() * f64::from(f32::EPSILON),
                _ => 0.0,
            };
            agree(got, want, dtype, 2.0, f64::from(f32::from_bits(2)) + cancelled)
        };
        assert!(good, "{op:?} {dtype} of {x:?}: got {got:?}, expected {want:?}");
    }
}

#[test]
fn every_operation_at_every_short_length() {
    for (k, op) in operations().into_iter().enumerate() {
        for dtype in DType::ALL.into_iter().filter(|&t| op.accepts(t)) {
            for n in 0..70 {
                check(op, dtype, &[n], (n * 100 + k) as u64);
            }
            check(op, dtype, &[3000], k as u64);
        }
    }
}

#[test]
fn constants_fill() {
    for dtype in DType::ALL {
        check(ScalarOp::Const(Scalar::fill(dtype, 3.0)), dtype, &[5, 7], 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn operations_on_strided_arrays(rank in 0usize..=4, op in 0..operations().len(), ty in 0..DType::ALL.len(), seed: u64) {
        let (op, dtype) = (operations()[op], DType::ALL[ty]);
        prop_assume!(op.accepts(dtype));
        let dims = Bench::new(seed).rng.dims(rank);
        check(op, dtype, &dims, seed);
    }
}
