//! Which parameters are meant: a pattern of their names.

/// Does `name` match `pattern`? `*` stands for any text: `encoder.*`, `*.b`.
///
/// ```
/// use pleach_optim::matches;
/// assert!(matches("encoder.*", "encoder.0.w") && !matches("*.b", "encoder.0.w"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, want) in [
            ("a.w", "a.w", true),
            ("a.w", "a.wx", false),
            ("a.*", "a.w", true),
            ("*", "", true),
            ("*.b", "x.y.b", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }
}
