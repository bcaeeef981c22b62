//! Rules as data: one line each.

use std::sync::LazyLock;

use pleach_ops::{Graph, Op};

use crate::{Class, Match, Pattern};

/// May a rule that matched fire? The reason if not.
pub type Guard = fn(&Graph, &Match) -> Result<(), &'static str>;

/// One rewrite: wherever `left` stands, `right` may stand.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name: what `without` takes.
    pub name: &'static str,
    /// Its class for values.
    pub values: Class,
    /// Its class for gradients taken after it.
    pub gradients: Class,
    /// The equation, for people.
    pub equation: &'static str,
    /// What it replaces.
    pub left: Pattern,
    /// What it puts there.
    pub right: Pattern,
    /// What must hold besides.
    pub guard: Option<Guard>,
}

/// A list of [`Rule`]s, one line each:
/// `name: CLASS, CLASS "equation" left => right;`, optionally `if guard` before the semicolon.
///
/// Classes are letters: E bit-exact, K kernel-exact, Z zero-sign, R rounding, S stabilizing,
/// F needs-facts, L lossy. Sides are [`Pattern`]s.
#[macro_export]
macro_rules! rules {
    ($($name:ident: $v:ident, $g:ident $eq:literal $l:expr => $r:expr $(, if $guard:path)?;)*) => {
        vec![$($crate::Rule {
            name: stringify!($name),
            values: $crate::rules!(@class $v),
            gradients: $crate::rules!(@class $g),
            equation: $eq,
            left: $crate::Pattern::parse(stringify!($l)).expect("the left side is a pattern"),
            right: $crate::Pattern::parse(stringify!($r)).expect("the right side is a pattern"),
            guard: $crate::rules!(@guard $($guard)?),
        }),*]
    };
    (@class E) => { $crate::Class::BitExact };
    (@class K) => { $crate::Class::KernelExact };
    (@class Z) => { $crate::Class::ZeroSign };
    (@class R) => { $crate::Class::Rounding };
    (@class S) => { $crate::Class::Stabilizing };
    (@class F) => { $crate::Class::NeedsFacts };
    (@class L) => { $crate::Class::Lossy };
    (@guard) => { None };
    (@guard $guard:path) => { Some($guard) };
}

/// The library's rules.
pub static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules! {
        stop_gradient:  E, F "sg(x) = x"              stop_gradient(x)              => x;
        add_zero:       Z, Z "x + 0 = x"              add(x, 0.0)                   => x;
        sub_neg:        E, E "x - (-y) = x + y"       sub(x, neg(y))                => add(x, y);
        add_neg:        E, E "x + (-y) = x - y"       add(x, neg(y))                => sub(x, y);
        mul_minus_one:  E, E "x · -1 = -x"            mul(x, -1.0)                  => neg(x);
        mul_neg_const:  E, E "(-x) · c = x · (-c)"    mul(neg(x), c)                => mul(x, neg(c));
        mul_two_negs:   E, E "(-x)(-y) = x · y"       mul(neg(x), neg(y))           => mul(x, y);
        neg_sub:        Z, Z "-(x - y) = y - x"       neg(sub(x, y))                => sub(y, x);
        abs_neg:        E, E "|-x| = |x|"             abs(neg(x))                   => abs(x);
        div_power_of_2: E, E "x / 2ᵏ = x · 2⁻ᵏ"       div(x, c)                     => mul(x, div(1.0, c)), if power_of_two;
        div_const:      R, R "x / c = x · (1/c)"      div(x, c)                     => mul(x, div(1.0, c)), if invertible;
        add_consts:     R, R "(x + a) + b = x + (a+b)" add(add(x, c1), c2)          => add(x, add(c1, c2)), if finite_sum;
        mul_consts:     R, R "(x · a) · b = x · (ab)" mul(mul(x, c1), c2)           => mul(x, mul(c1, c2)), if finite_product;
        select_not:     E, E "¬p ? x : y = p ? y : x" select(not(p), x, y)          => select(p, y, x);
        one_minus_sigmoid: S, S "1 - σ(x) = σ(-x)"    sub(1.0, sigmoid(x))          => sigmoid(neg(x));
        ln_sigmoid:     S, S "ln σ(x) = -softplus(-x)" ln(sigmoid(x))               => neg(softplus(neg(x)));
        ln_one_plus:    S, S "ln(1 + x) = ln1p(x)"    ln(add(x, 1.0))               => ln_1p(x);
    }
});

fn splat(g: &Graph, found: &Match, name: &str) -> Option<f64> {
    match g.op(found.get(name)?) {
        Op::Full(full) => Some(full.value()),
        _ => None,
    }
}

/// `c` is ±2ᵏ of a float type, and its reciprocal is an ordinary number of that type.
fn power_of_two(g: &Graph, found: &Match) -> Result<(), &'static str> {
    invertible(g, found)?;
    let c = splat(g, found, "c").ok_or("the divisor is no splat")?;
    let mantissa = c.to_bits() & ((1 << 52) - 1);
    if mantissa == 0 { Ok(()) } else { Err("the divisor is no power of two") }
}

/// `c` is of a float type, and neither it nor its reciprocal leaves the range of ordinary `f32`s.
fn invertible(g: &Graph, found: &Match) -> Result<(), &'static str> {
    let c = found.get("c").ok_or("the divisor is no splat")?;
    if !g.ty(c).dtype().is_float() {
        return Err("integers have no reciprocal");
    }
    let size = splat(g, found, "c").ok_or("the divisor is no splat")?.abs();
    let ordinary = (2f64.powi(-120)..=2f64.powi(120)).contains(&size);
    if ordinary { Ok(()) } else { Err("the reciprocal is no ordinary number") }
}

/// `c1 · c2` is an ordinary number of a float type, or integers, which wrap alike either way.
fn finite_product(g: &Graph, found: &Match) -> Result<(), &'static str> {
    let product = splat(g, found, "c1").zip(splat(g, found, "c2")).map(|(a, b)| (a * b).abs());
    match product {
        Some(p) if p == 0.0 || (1e-30..=1e30).contains(&p) => Ok(()),
        _ => Err("the product of the constants is no ordinary number"),
    }
}

/// `c1 + c2` is an ordinary number of a float type, or integers, which wrap alike either way.
fn finite_sum(g: &Graph, found: &Match) -> Result<(), &'static str> {
    let sum = splat(g, found, "c1").zip(splat(g, found, "c2")).map(|(a, b)| (a + b).abs());
    match sum {
        Some(s) if s <= 1e30 => Ok(()),
        _ => Err("the sum of the constants is no ordinary number"),
    }
}
