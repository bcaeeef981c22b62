//! Which parameters are meant: a pattern of their names, or of their tags.

use crate::Param;

impl Param {
    /// Is this variable meant by `pattern`? Whatever takes a pattern asks here.
    ///
    /// | pattern | means |
    /// |---|---|
    /// | `encoder.0.w` | the variable of this name |
    /// | `encoder.*`, `*.b` | names that match: `*` stands for any text |
    /// | `#decay`, `#lr*` | variables that have a [tag](crate::Params::tag) which matches |
    ///
    /// A name that itself begins with `#` is meant by `*#…`.
    ///
    /// ```
    /// use pleach_ops::{Init, Params};
    /// let p = Params::seeded(1);
    /// let w = p.scope("encoder").tag("decay").param("w", [2], Init::ones());
    /// assert!(w.matches("encoder.*") && w.matches("#decay"));
    /// assert!(!w.matches("*.b") && !w.matches("#head") && !w.matches("decay"));
    /// ```
    pub fn matches(&self, pattern: &str) -> bool {
        match tag_of(pattern) {
            Some(tag) => self.tags().iter().any(|known| text_matches(tag, known)),
            None => text_matches(pattern, self.name()),
        }
    }
}

/// The tag that a pattern asks for; none if it asks for names.
pub fn tag_of(pattern: &str) -> Option<&str> {
    pattern.strip_prefix('#')
}

/// What a pattern could have meant, for errors: the tags of these parameters in order, if it asks
/// for a tag, and else their names; `none` if there are none.
pub fn choices<'p>(pattern: &str, params: impl IntoIterator<Item = &'p Param>) -> String {
    let params = params.into_iter();
    let all: Vec<&str> = if tag_of(pattern).is_none() {
        params.map(Param::name).collect()
    } else {
        let mut tags: Vec<&str> = params.flat_map(Param::tags).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    };
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

/// Does `text` match `pattern`, where `*` stands for any text?
fn text_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
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
    use super::{choices, text_matches};
    use crate::{Init, Params};

    #[test]
    fn patterns_match_texts() {
        for (pattern, text, want) in [
            ("a.w", "a.w", true),
            ("a.w", "a.wx", false),
            ("a.*", "a.w", true),
            ("*", "", true),
            ("*.b", "x.y.b", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(text_matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn tags_and_names_are_two_kinds_of_words() {
        let p = Params::seeded(1);
        let one = |p: &Params, name: &str| p.param(name, [], Init::zeros());
        let (odd, w) = (one(&p, "#slow"), one(&p.tag("slow").tag("head"), "w"));
        let plain = one(&p, "slow");
        for (pattern, want) in [
            ("#slow", [false, true, false]),
            ("#sl*", [false, true, false]),
            ("#*", [false, true, false]),
            ("#", [false, false, false]),
            ("slow", [false, false, true]),
            ("*#slow", [true, false, false]),
            ("*", [true, true, true]),
        ] {
            assert_eq!([&odd, &w, &plain].map(|p| p.matches(pattern)), want, "{pattern}");
        }
        assert_eq!(choices("#x", [&odd, &w, &w, &plain]), "head, slow");
        assert_eq!(choices("#x", [&odd]), "none");
        assert_eq!(choices("x", [&odd, &w]), "#slow, w");
    }
}
