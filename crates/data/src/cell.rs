//! Numbers from the text of a cell.

use pleach_tensor::Element;

/// An element type that cells of a table are read as: `f32`, `f64`, `i32`, `i64`, `u8`.
///
/// Floats are rounded to nearest from the decimal text, once; NaN, infinities and numbers too
/// large for the type are refused. Integers may be written as whole decimals (`5.0`, `1e3`) up to
/// 2⁵³; a number outside the type is refused, never wrapped.
pub trait Cell: Element {
    /// What a cell must hold, for messages: `a finite f32`.
    const EXPECTED: &'static str;
    /// The number, or `None` if the text is not one of this type.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! floats {
    ($($T:ident)*) => {$(
        impl Cell for $T {
            const EXPECTED: &'static str = concat!("a finite ", stringify!($T));
            fn parse(text: &str) -> Option<Self> {
                text.parse::<$T>().ok().filter(|x| x.is_finite())
            }
        }
    )*};
}

macro_rules! ints {
    ($($T:ident $article:literal;)*) => {$(
        impl Cell for $T {
            const EXPECTED: &'static str = concat!($article, " ", stringify!($T));
            fn parse(text: &str) -> Option<Self> {
                whole(text).and_then(|x| $T::try_from(x).ok())
            }
        }
    )*};
}

floats! { f32 f64 }
ints! { i32 "an"; i64 "an"; u8 "a"; }

fn whole(text: &str) -> Option<i64> {
    const EXACT: f64 = (1u64 << 53) as f64;
    let decimal = || text.parse::<f64>().ok().filter(|x| x.fract() == 0.0 && x.abs() <= EXACT);
    text.parse::<i64>().ok().or_else(|| decimal().map(|x| x as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_over_the_whole_range() {
        assert_eq!(i64::parse("9223372036854775807"), Some(i64::MAX));
        assert_eq!(i64::parse("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(i64::parse("9223372036854775808"), None);
        assert_eq!(i64::parse("9007199254740993"), Some(9_007_199_254_740_993));
    }

    #[test]
    fn whole_decimals_are_integers_and_others_are_not() {
        assert_eq!(i64::parse("5.000e+00"), Some(5));
        assert_eq!((i64::parse("5.5"), i64::parse("NaN"), i64::parse("inf")), (None, None, None));
        assert_eq!((u8::parse("256"), u8::parse("-1"), u8::parse("255")), (None, None, Some(255)));
        assert_eq!(i32::parse("2147483648"), None);
    }

    #[test]
    fn floats_are_rounded_once_and_finite() {
        // Just above halfway between 1 and the next f32; the f64 nearest to it is halfway exactly.
        assert_eq!(f32::parse("1.00000005960464477540"), Some(1.0 + f32::EPSILON));
        assert_eq!((f32::parse("1e39"), f64::parse("1e39")), (None, Some(1e39)));
        for text in ["", "nan", "inf", "-infinity", "1,5", "0x10", "1_000", "p0", "--1"] {
            assert_eq!(f64::parse(text), None, "{text:?}");
        }
    }
}
