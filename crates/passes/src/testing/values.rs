//! Values, and when two of them agree.

use pleach_tensor::compare::{Tolerance, bit_mismatch, mismatch};
use pleach_tensor::{DType, Key, Tensor, Type};

use crate::Class;

/// Floats at which rewrites go wrong.
const SPECIAL: [f64; 18] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    1e-40,
    -1e-310,
    1e38,
    -3e38,
    1e308,
    88.0,
    89.0,
    -100.0,
    -1e-20,
];

/// Ordinary values, a pure function of the key: floats in `(-3, 3)`, integers in `[0, 8)`,
/// booleans.
pub fn draw(ty: &Type, key: Key) -> Tensor {
    match ty.dtype() {
        d if d.is_float() => Tensor::uniform(ty, key, -3.0, 3.0),
        DType::Bool => Tensor::build_i64(ty, |i| key.below(i as u64, 2) as i64),
        _ => Tensor::build_i64(ty, |i| key.below(i as u64, 8) as i64),
    }
}

/// Values at which rewrites go wrong: NaN, infinities, zeros of both signs, subnormal and huge
/// numbers among ordinary ones; of integers the extremes. One key in four gives zeros only, of
/// both signs.
pub fn special(ty: &Type, key: Key) -> Tensor {
    let plain = draw(ty, key);
    let at = |i: usize| key.fold(1).below(i as u64, 2 * SPECIAL.len() as u64) as usize;
    let zeros = key.fold(2).below(0, 4) == 0;
    match ty.dtype() {
        d if d.is_float() && zeros => {
            Tensor::build(ty, |i| if at(i) % 2 == 0 { 0.0 } else { -0.0 })
        }
        d if d.is_float() => {
            let plain = plain.to_f64s();
            Tensor::build(ty, |i| SPECIAL.get(at(i)).copied().unwrap_or(plain[i]))
        }
        DType::Bool => plain,
        _ => {
            let plain = plain.to_i64s();
            let odd = [i64::MIN, i64::MAX, -1, i64::from(i32::MIN), 255, -128];
            Tensor::build_i64(ty, |i| odd.get(at(i)).copied().unwrap_or(plain[i]))
        }
    }
}

/// Do two values differ by no more than a class allows? `scale` is the size of the largest number
/// that went into them: what is rounded is rounded in its proportion.
///
/// | class | what may differ |
/// |---|---|
/// | E, K | NaN payloads |
/// | Z | the sign of a zero |
/// | R, S, F | 1e-11 of `scale` in f64, 1e-4 in f32 |
/// | L | anything but the type |
///
/// # Errors
/// What differs, as a sentence.
pub fn agree(class: Class, got: &Tensor, want: &Tensor, scale: f64) -> Result<(), String> {
    let differs = match class {
        Class::BitExact | Class::KernelExact => bit_mismatch(got, want),
        Class::ZeroSign => mismatch(got, want, Tolerance::EXACT),
        Class::Lossy => return if got.ty() == want.ty() { Ok(()) } else { Err("types".into()) },
        _ => {
            let eps = match got.dtype() {
                DType::F64 => 1e-11,
                half if half.is_half() => 16.0 * half.epsilon(),
                _ => 1e-4,
            };
            mismatch(got, want, Tolerance { rtol: eps, atol: eps * scale.max(1e-300) })
        }
    };
    differs.map_or(Ok(()), |m| Err(m.to_string()))
}
