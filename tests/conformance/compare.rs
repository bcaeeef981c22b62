//! When two tensors agree.

use pleach::prelude::*;

/// Do they agree: the same type, and element by element `|got - want| <= atol + rtol · |want|`,
/// where NaN equals NaN, and an infinity only itself? If not, which element differs, and how.
pub(crate) fn agree(got: &Tensor, want: &Tensor, rtol: f64, atol: f64) -> Result<(), String> {
    if got.ty() != want.ty() {
        return Err(format!("has type {}, not {}", got.ty(), want.ty()));
    }
    if !want.dtype().is_float() {
        let (a, b) = (got.to_i64s(), want.to_i64s());
        return match a.iter().zip(&b).position(|(a, b)| a != b) {
            Some(i) => Err(at(want.shape(), i, &a[i], &b[i])),
            None => Ok(()),
        };
    }
    let (a, b) = (got.to_f64s(), want.to_f64s());
    match a.iter().zip(&b).position(|(&a, &b)| !close(a, b, rtol, atol)) {
        Some(i) => Err(at(want.shape(), i, &a[i], &b[i])),
        None => Ok(()),
    }
}

/// Do two numbers agree?
pub(crate) fn close(got: f64, want: f64, rtol: f64, atol: f64) -> bool {
    if got.is_nan() || want.is_nan() || got.is_infinite() || want.is_infinite() {
        return got == want || (got.is_nan() && want.is_nan());
    }
    (got - want).abs() <= atol + rtol * want.abs()
}

/// A list of numbers: which one differs, and how.
pub(crate) fn lists_agree(got: &[f64], want: &[f64], rtol: f64, atol: f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("has {} numbers, not {}", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(&a, &b)| !close(a, b, rtol, atol)) {
        Some(i) => Err(at(&[want.len()], i, &got[i], &want[i])),
        None => Ok(()),
    }
}

fn at(
    shape: &[usize],
    flat: usize,
    got: &dyn std::fmt::Debug,
    want: &dyn std::fmt::Debug,
) -> String {
    let mut index = Vec::new();
    let mut rest = flat;
    for &n in shape.iter().rev() {
        index.insert(0, rest % n);
        rest /= n;
    }
    format!("{index:?} is {got:?}, not {want:?}")
}
