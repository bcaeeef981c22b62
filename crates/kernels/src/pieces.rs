//! Rows in pieces of as many elements as the widest vectors have, or more: what softmax needs of them.

use crate::num::Num;

/// Elements of a piece.
pub(crate) const PIECE: usize = 16;

/// The larger of two, the second if one is NaN.
#[inline(always)]
pub(crate) fn larger<T: Num>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

/// What joins all lanes, by halves.
#[inline(always)]
pub(crate) fn across<T: Copy>(mut x: [T; PIECE], join: impl Fn(T, T) -> T) -> T {
    let mut half = PIECE / 2;
    while half > 0 {
        for i in 0..half {
            x[i] = join(x[i], x[i + half]);
        }
        half /= 2;
    }
    x[0]
}

/// What is subtracted before the exponential: the largest of a row, or 0 if that is infinite, or there is
/// none.
#[inline(always)]
pub(crate) fn peak<T: Num>(most: T) -> T {
    if most > T::LOWEST && most < T::HIGHEST { most } else { T::ZERO }
}
