//! Operators that act on elements alone. All operands have one shape; the methods of
//! [`Var`](crate::Var) broadcast.

pub mod abs;
pub mod add;
pub mod cast;
pub mod div;
pub mod equal;
pub mod erf;
pub mod exp;
pub mod less;
pub mod less_equal;
pub mod ln;
pub mod maximum;
pub mod mul;
pub mod neg;
pub mod select;
pub mod sign;
pub mod sqrt;
pub mod stop_gradient;
pub mod sub;
