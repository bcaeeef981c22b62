//! Laws of the text form on random graphs and on random damage.

mod toy;

use pleach_graph::Body;
use proptest::prelude::*;
use toy::random::{Step, any_graph, recipe};
use toy::{Graph, Toy};

fn graph(recipe: &[Step], raw: bool) -> Graph {
    let g = if raw { Graph::raw() } else { Graph::new() };
    any_graph(&g, recipe);
    assert_eq!(g.check(), Ok(()));
    g
}

/// Characters that structure a text, and a few that do not.
fn noise() -> impl Strategy<Value = String> {
    let words = [
        "%",
        "%0",
        "%1",
        " ",
        "=",
        ":",
        ";",
        "\n",
        "#",
        "\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "f64[3]",
        "in",
        "cube",
        "add",
        "call",
        "return",
        "assign",
        "parameter(0)",
        "é",
        "\u{0}",
        "\u{1F33F}",
        "18446744073709551616",
        "\\u{",
        "-1",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|w| w.concat())
}

fn structure() -> impl Strategy<Value = char> {
    prop::sample::select("%={}()[]\"\\;:# \n01".chars().collect::<Vec<_>>())
}

/// Replaces, inserts and removes characters.
fn damage(text: &str, edits: &[(u32, u8, char)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for &(at, kind, c) in edits {
        let at = at as usize % (chars.len() + 1);
        match kind % 3 {
            0 => chars.insert(at, c),
            1 if at < chars.len() => chars[at] = c,
            _ if at < chars.len() => {
                chars.remove(at);
            }
            _ => {}
        }
    }
    chars.into_iter().collect()
}

/// What parses, prints as something that parses to the same text.
fn prints_again(text: &str) -> Result<(), TestCaseError> {
    if let Ok(g) = Graph::parse(text, &Vec::new()) {
        prop_assert_eq!(g.verify(), Ok(()));
        let printed = g.to_string();
        let again = Graph::parse(&printed, &Vec::new());
        prop_assert_eq!(again.map(|g| g.to_string()), Ok(printed));
    }
    if let Ok(body) = Body::<Toy>::parse(text, &Vec::new()) {
        prop_assert_eq!(Body::parse(&body.to_string(), &Vec::new()), Ok(body));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn print_parse_print_is_print(recipe in recipe(40), raw: bool) {
        let g = graph(&recipe, raw);
        let text = g.to_string();
        let parsed = Graph::parse(&text, &Vec::new()).unwrap();
        prop_assert_eq!(parsed.to_string(), text);
        prop_assert_eq!(parsed.structural_hash(), g.structural_hash());
        prop_assert_eq!(parsed.roots(), g.roots());
        prop_assert_eq!(parsed.verify(), Ok(()));
    }

    #[test]
    fn hashes_are_equal_exactly_if_texts_are(a in recipe(4), b in recipe(4)) {
        let (g, other) = (graph(&a, false), graph(&b, false));
        let alike = g.to_string() == other.to_string();
        prop_assert_eq!(g.structural_hash() == other.structural_hash(), alike);
    }

    #[test]
    fn noise_never_panics(text in noise()) {
        prints_again(&text)?;
        prints_again(&format!("{{{text}}}"))?;
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prints_again(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn damaged_text_never_panics(
        recipe in recipe(12),
        edits in prop::collection::vec((any::<u32>(), any::<u8>(), any::<char>()), 1..4),
        structural in prop::collection::vec((any::<u32>(), any::<u8>(), structure()), 0..3),
    ) {
        let edits = [edits, structural].concat();
        prints_again(&damage(&graph(&recipe, false).to_string(), &edits))?;
    }
}
