//! Rules that only regroup: they save nothing, but others fire after them.

use std::sync::Arc;

use crate::{Class, Pattern, Rule};

/// Name, equation, left side, right side. All of class rounding: sums and products in another order. What
/// spreads uses a word twice, which is why these are no rules of [`rules!`](crate::rules!).
const LINES: [(&str, &str, &str, &str); 14] = [
    ("regroup_add", "(x + y) + z = x + (y + z)", "add(add(x, y), z)", "add(x, add(y, z))"),
    ("regroup_sub", "(x + y) - z = x + (y - z)", "sub(add(x, y), z)", "add(x, sub(y, z))"),
    ("regroup_more", "(x - y) + z = x + (z - y)", "add(sub(x, y), z)", "add(x, sub(z, y))"),
    ("regroup_less", "(x - y) - z = x - (y + z)", "sub(sub(x, y), z)", "sub(x, add(y, z))"),
    ("regroup_mul", "(xy)z = x(yz)", "mul(mul(x, y), z)", "mul(x, mul(y, z))"),
    ("regroup_left", "(XY)Z = X(YZ)", "matmul(matmul(x, y), z)", "matmul(x, matmul(y, z))"),
    ("regroup_right", "X(YZ) = (XY)Z", "matmul(x, matmul(y, z))", "matmul(matmul(x, y), z)"),
    ("scale_out", "(aX)Y = a(XY)", "matmul(mul(x, c), y)", "mul(matmul(x, y), c)"),
    ("scale_out_right", "X(aY) = a(XY)", "matmul(x, mul(y, c))", "mul(matmul(x, y), c)"),
    ("scale_left", "a(XY) = (aX)Y", "mul(matmul(x, y), c)", "matmul(mul(x, c), y)"),
    ("scale_right", "a(XY) = X(aY)", "mul(matmul(x, y), c)", "matmul(x, mul(y, c))"),
    ("spread", "x(y + z) = xy + xz", "mul(x, add(y, z))", "add(mul(x, y), mul(x, z))"),
    (
        "spread_left",
        "X(Y + Z) = XY + XZ",
        "matmul(x, add(y, z))",
        "add(matmul(x, y), matmul(x, z))",
    ),
    (
        "spread_right",
        "(X + Y)Z = XZ + YZ",
        "matmul(add(x, y), z)",
        "add(matmul(x, z), matmul(y, z))",
    ),
];

pub(super) fn regroup() -> Vec<Rule> {
    let rule = |&(name, equation, left, right): &(_, _, _, _)| {
        Some(Rule {
            name,
            values: Class::Rounding,
            gradients: Class::Rounding,
            equation,
            left: Pattern::parse(left)?,
            right: Pattern::parse(right)?,
            guards: Arc::new([]),
        })
    };
    LINES.iter().filter_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use pleach_ops::prelude::*;
    use pleach_tensor::Key;

    use super::*;
    use crate::Match;
    use crate::testing::{draw, interpreted};

    #[test]
    fn every_line_is_a_rule_of_its_own_name() {
        let rules = regroup();
        assert_eq!(rules.len(), LINES.len());
        for (i, rule) in rules.iter().enumerate() {
            let others = crate::rules::RULES.iter().chain(&rules[..i]);
            assert!(others.into_iter().all(|other| other.name != rule.name), "{}", rule.name);
        }
    }

    /// Integers wrap, so that sums and products in any order are equal bit by bit.
    #[test]
    fn both_sides_are_equal() {
        for rule in regroup() {
            let g = Graph::raw();
            let ty = Type::new(I64, [3, 3]).unwrap();
            let words = ["x", "y", "z"].map(|word| (word, g.input(word, I64, [3, 3]).id()));
            let found =
                Match::of_words(words.into_iter().chain([("c", g.full(I64, [3, 3], 5.0).id())]));
            let sides = [&rule.left, &rule.right].map(|side| side.build(&g, &found, &ty).unwrap());
            assert!(g.check().is_ok(), "{}", rule.name);
            let feeds = [1, 2, 3].map(|key| draw(&ty, Key(key)));
            let values = interpreted(&g, &sides, &feeds).unwrap();
            assert_eq!(values[0], values[1], "{}", rule.name);
            assert!(values[0].to_f64s().iter().any(|v| *v != 0.0), "{}", rule.name);
        }
    }
}
