//! What is measured: how it is recorded, and its true values in f64.

use pleach::prelude::*;

/// A function of one number.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) record: for<'g> fn(Var<'g>) -> Var<'g>,
    pub(crate) exact: fn(f64) -> f64,
    /// Only true values above this size must have all digits. Below, [`SMALL`] is what they may be
    /// away from the truth.
    pub(crate) counts_above: f64,
}

/// How far from the truth a value that is too small to count may be.
pub(crate) const SMALL: f64 = 1e-12;

const fn function(
    name: &'static str,
    record: for<'g> fn(Var<'g>) -> Var<'g>,
    exact: fn(f64) -> f64,
) -> Function {
    Function { name, record, exact, counts_above: 0.0 }
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

pub(crate) const FUNCTIONS: &[Function] = &[
    function("exp", |x| x.exp(), f64::exp),
    function("expm1", |x| x.expm1(), f64::exp_m1),
    function("ln", |x| x.ln(), f64::ln),
    function("ln_1p", |x| x.ln_1p(), f64::ln_1p),
    function("tanh", |x| x.tanh(), f64::tanh),
    function("sigmoid", |x| x.sigmoid(), |x| 1.0 / (1.0 + (-x).exp())),
    function("softplus", |x| x.softplus(), |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    function("erf", |x| x.erf(), libm::erf),
    function("normal_cdf", |x| x.normal_cdf(), normal_cdf),
    function("sin", |x| x.sin(), f64::sin),
    function("cos", |x| x.cos(), f64::cos),
    Function {
        name: "gelu",
        record: |x| x.gelu(),
        exact: |x| x * normal_cdf(x),
        counts_above: 1e-6,
    },
    function("exp2", |x| x.exp2(), f64::exp2),
    function("log2", |x| x.log2(), f64::log2),
    function("log10", |x| x.log10(), f64::log10),
    function("tan", |x| x.tan(), f64::tan),
    function("asin", |x| x.asin(), f64::asin),
    function("acos", |x| x.acos(), f64::acos),
    function("atan", |x| x.atan(), f64::atan),
    function("sinh", |x| x.sinh(), f64::sinh),
    function("cosh", |x| x.cosh(), f64::cosh),
    function("sqrt", |x| x.sqrt(), f64::sqrt),
];

/// Exponents for which the power of every number is measured: whole and broken ones, both signs.
pub(crate) const EXPONENTS: [f32; 32] = [
    -100.0,
    -11.0,
    -7.3,
    -4.0,
    -3.0,
    -2.5,
    -2.0,
    -1.5,
    -1.0,
    -0.75,
    -0.5,
    -1.0 / 3.0,
    -0.1,
    -1e-3,
    0.0,
    1e-3,
    0.1,
    0.25,
    1.0 / 3.0,
    0.5,
    2.0 / 3.0,
    0.75,
    1.0,
    1.25,
    1.5,
    2.0,
    2.4,
    3.0,
    5.0,
    7.3,
    11.0,
    1e5,
];

/// `xʸ` of numbers of f32.
pub(crate) fn power([x, y]: [f32; 2]) -> f64 {
    f64::powf(x.into(), y.into())
}

/// Pair number `i`. Every other one is of any two numbers; the rest have powers between the
/// smallest and the largest number.
pub(crate) fn pair(i: u64) -> [f32; 2] {
    let bits = hash(i);
    let [x, y] = [bits >> 32, bits].map(|bits| f32::from_bits(bits as u32));
    if i.is_multiple_of(2) {
        return [x, y];
    }
    // The exponent of the result, from below the smallest to above the largest.
    let exponent = f64::from(bits as u32) / f64::from(u32::MAX) * 280.0 - 151.0;
    [x.abs(), (exponent / f64::from(x.abs()).log2()) as f32]
}

/// A hash of a number. **Source** Steele, Lea and Flood 2014 (SplitMix64).
fn hash(i: u64) -> u64 {
    let z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
