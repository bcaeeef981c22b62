//! The text form: what prints parses, and what does not parse says where and why.

mod toy;

use expect_test::expect;
use pleach_graph::NodeId;
use pleach_tensor::I64;
use toy::{Graph, Toy, add, cube, full, mul, x};

fn parse(text: &str) -> Graph {
    Graph::parse(text, &Vec::new()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn fail(text: &str) -> String {
    Graph::parse(text, &Vec::new()).map(|g| g.to_string()).expect_err("broken").to_string()
}

#[test]
fn a_graph_prints_one_node_a_line() {
    let g = Graph::new();
    let (a, s) = (x(&g, "a"), x(&g, "state"));
    let y = add(&g, cube(&g, a), mul(&g, s, full(&g, 0.1)));
    g.output("y", y);
    g.output("", a);
    g.assign("state", s, y);
    let text = g.to_string();
    expect![[r#"
        %0 = in("a") : f64[3]
        %1 = in("state") : f64[3]
        %2 = cube %0 : f64[3]
        %3 = full(0.1) : f64[3]
        %4 = mul %1 %3 : f64[3]
        %5 = add %2 %4 : f64[3]
        return "y" = %5
        return %0
        assign "state" %1 = %5
    "#]]
    .assert_eq(&text);
    let parsed = parse(&text);
    assert_eq!(parsed.to_string(), text);
    assert_eq!(parsed.roots(), g.roots());
    assert_eq!(parsed.structural_hash(), g.structural_hash());
}

#[test]
fn labels_are_arbitrary() {
    let text = "%7 = in(\"a\") : f64[3]; %x.1 = cube %7; %0 = add %x.1, %7\nreturn %0";
    expect![[r#"
        %0 = in("a") : f64[3]
        %1 = cube %0 : f64[3]
        %2 = add %1 %0 : f64[3]
        return %2
    "#]]
    .assert_eq(&parse(text).to_string());
}

#[test]
fn comments_and_blank_lines_do_not_count() {
    let text = "
        # a \"comment ( that opens much {
        %0 = in(\"#1;\") : f64[3]  # trailing; %9 = cube %8
        ;;  ;
        %1 = cube %0;# at once
        return \"#\" = %1 # the end";
    let g = parse(text);
    assert_eq!(g.len(), 2);
    assert_eq!(&*g.roots()[0].name, "#");
    let error = fail(&format!("{text}\n\n# x\n   cube %0"));
    assert!(error.starts_with("line 9: "), "{error}");
}

#[test]
fn statements_may_span_lines_inside_of_brackets() {
    let text = "%0 = in(\"a\") : f64[3]\n%1 = call{\n  # b }\n  %0 = parameter(0) : f64[3]\n\
                %1 = cube %0\n return %1\n} %0 : f64[3]\n%2 = cube %3";
    assert_eq!(fail(text), "line 8: \"%3\" is not a node defined above");
    let g = parse(text.rsplit_once('\n').unwrap().0);
    assert_eq!(g.len(), 2);
    assert_eq!(g.ty(NodeId::new(1)), g.ty(NodeId::new(0)));
}

#[test]
fn names_may_hold_anything() {
    for name in [
        "",
        " ",
        "a b",
        "a=b",
        "= %0",
        "\"",
        "\\",
        "\\\"",
        "#",
        ";",
        "({[",
        ")}]",
        "'",
        "line\nend",
        "\t\r\0\u{7f}\u{200b}",
        "größe",
        "\u{1F33F}\u{301}",
        "return \"x\" = %0",
    ] {
        let g = Graph::new();
        let a = x(&g, "a");
        g.output(name, cube(&g, a));
        g.assign(name, a, a);
        g.output("after", a);
        let text = g.to_string();
        assert_eq!(parse(&text).roots(), g.roots(), "{text}");
        assert_eq!(parse(&text).to_string(), text);
    }
}

#[test]
fn names_of_sources_may_hold_what_structures_the_text() {
    for name in ["a=b", "a : f64[4]", "\"", "\\", "({[", "%0 = x", "# ; no", ")"] {
        let g = Graph::new();
        g.output("y", cube(&g, x(&g, name)));
        let text = g.to_string();
        assert_eq!(parse(&text).to_string(), text);
    }
}

#[test]
fn nothing_is_rewritten_or_shared() {
    let text = "%0 = in(\"a\") : f64[3]\n%1 = full(1.0) : f64[3]\n%2 = mul %1 %0 : f64[3]\n\
                %3 = mul %1 %0 : f64[3]\n%4 = add %3 %2 : f64[3]\nreturn %4\n";
    let g = parse(text);
    assert_eq!(g.to_string(), text);
    assert_eq!(g.verify(), Ok(()), "equal nodes are no defect of what was read");
    assert!(!g.is_raw());
    assert_eq!(mul(&g, NodeId::new(1), NodeId::new(0)), NodeId::new(0), "but from here on it is");
}

#[test]
fn what_is_read_comes_from_nowhere() {
    let g = parse("%0 = in(\"a\") : f64[3]");
    assert!(g.origin(NodeId::new(0)).sites().is_empty());
    let y = cube(&g, NodeId::new(0));
    assert_eq!(g.origin(y).first().unwrap().file(), file!());
}

#[test]
fn a_stated_type_is_checked_and_an_inferred_one_may_be_left_out() {
    let g = parse("%0 = in(\"a\") : f64[3]\n%1 = cast(i64) %0");
    assert_eq!(g.ty(NodeId::new(1)).dtype(), I64);
    let error = fail("%0 = in(\"a\") : f64[3]\n%1 = cast(i64) %0 : f64[3]");
    assert_eq!(error, "line 2: cast(i64) gives i64[3], the text states f64[3]");
}

#[test]
fn the_registry_knows_other_names() {
    let text = "%0 = in(\"a\") : f64[3]\n%1 = my.cube/2-x %0";
    assert_eq!(fail(text), "line 2: unknown operator \"my.cube/2-x\"");
    let g = Graph::parse(text, &vec!["my.cube/2-x".into()]).unwrap();
    assert_eq!(g.op(NodeId::new(1)), Toy::Cube);
}

#[test]
fn broken_text_says_where_and_why() {
    let head = "%0 = in(\"a\") : f64[3]\n%n = in(\"n\") : i64[3]\n\n";
    for (statement, why) in [
        ("cube %0", "expected %n = operator …"),
        ("x = cube %0", "expected a node such as %0, got \"x\""),
        ("% = cube %0", "expected a node such as %0, got \"%\""),
        ("%a b = cube %0", "expected a node such as %0, got \"%a b\""),
        ("%1 =", "expected an operator, got \"\""),
        ("%1 = %0", "expected an operator, got \"%0\""),
        ("%1 = sine %0", "unknown operator \"sine\""),
        ("%1 = cube(1) %0", "unknown operator \"cube\""),
        ("%1 = cube %2", "\"%2\" is not a node defined above"),
        ("%1 = cube 0", "\"0\" is not a node defined above"),
        ("%1 = cube %0 %0", "cube(f64[3], f64[3]): expected 1 operands, got 2"),
        ("%1 = cube %n", "cube(i64[3]): expected operand 0 to be a float, got i64"),
        ("%1 = cube %0 : f64", "expected a type such as f32[2, 3], got \"f64\""),
        ("%1 = cube %0 : f64[-1]", "expected a type such as f32[2, 3], got \"f64[-1]\""),
        ("%1 = cube %0 : f64[2]", "cube gives f64[3], the text states f64[2]"),
        ("%0 = cube %0", "%0 is defined twice"),
        ("%1 = in(\"b\")", "in needs a type"),
        ("%1 = in(b) : f64[]", "expected a quoted name, got \"b\""),
        ("%1 = in(\"b : f64[]", "a bracket of in is never closed"),
        ("%1 = call{%0 = parameter(0) : f64[3]", "a bracket of call is never closed"),
        ("%1 = call{%0 = what; return %0} %0", "unknown operator \"what\""),
        ("return", "expected %n = operator …"),
        ("return %1", "\"%1\" is not a node defined above"),
        ("return \"y\" %0", "\"\\\"y\\\" %0\" is not a node defined above"),
        ("return y = %0", "expected a name in quotes, got \"y \""),
        ("return \"y = %0", "expected a name in quotes, got \"\\\"y \""),
        ("return \"y\" \"z\" = %0", "expected a name in quotes, got \"\\\"y\\\" \\\"z\\\" \""),
        ("return \"\\q\" = %0", "expected a name in quotes, got \"\\\"\\\\q\\\" \""),
        ("return \"\\u{d800}\" = %0", "expected a name in quotes, got \"\\\"\\\\u{d800}\\\" \""),
        ("return \"\\u41\" = %0", "expected a name in quotes, got \"\\\"\\\\u41\\\" \""),
        ("assign %0", "expected assign \"name\" %t = %v"),
        ("assign %0 = %0", "expected a name and a target"),
        ("assign \"s\" %1 = %0", "\"%1\" is not a node defined above"),
        ("assign s %0 = %0", "expected a name in quotes, got \"s\""),
        ("assign \"s\" %0 = %n", "a source of type f64[3] cannot take a value of type i64[3]"),
    ] {
        let expected = format!("line 4: {why}");
        assert_eq!(fail(&format!("{head}{statement}\n")), expected, "{statement}");
        let one_line = format!("{}{statement}", head.replace('\n', ";"));
        assert_eq!(fail(&one_line), format!("line 1: {why}"), "{one_line}");
    }
}

#[test]
fn structural_hash_sees_what_prints() {
    let hash = |text: &str| parse(text).structural_hash();
    let text = "%0 = in(\"a\") : f64[3]\n%1 = cube %0\nreturn \"y\" = %1";
    assert_eq!(hash(text), hash(&text.replace("%0", "%7")));
    for (from, to) in [
        ("\"a\"", "\"b\""),
        ("f64[3]", "f64[4]"),
        ("f64[3]", "f32[3]"),
        ("cube", "square"),
        ("\"y\"", "\"z\""),
        ("= %1", "= %0"),
        ("return \"y\" =", "assign \"y\" %0 ="),
        ("return", "%2 = cube %1\nreturn"),
    ] {
        assert_ne!(hash(text), hash(&text.replace(from, to)), "{from} -> {to}");
    }
}
