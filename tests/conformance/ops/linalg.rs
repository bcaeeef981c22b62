//! Linear algebra: inverses, determinants, factorizations.

use super::super::call::{Build, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("linalg.cholesky", |c| one(c.x()?.cholesky(c.flag_or("upper", false)?))),
    ("linalg.det", |c| one(c.x()?.det())),
    ("linalg.inv", |c| one(c.x()?.inv())),
    ("linalg.slogdet", |c| Ok(<[_; 2]>::from(c.x()?.slogdet()).to_vec())),
    ("linalg.solve", |c| one(c.var("A")?.solve(c.var("B")?))),
    ("linalg.solve_triangular", |c| {
        let (upper, left) = (c.flag_or("upper", true)?, c.flag_or("left", true)?);
        let unit = c.flag_or("unitriangular", false)?;
        one(c.x()?.solve_triangular(c.var("B")?, upper, left, unit))
    }),
];
