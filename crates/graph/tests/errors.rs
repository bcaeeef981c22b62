//! Ill-typed nodes: refused, quietly inherited, reported together with the caller's line.

mod toy;

use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::expect;
use pleach_graph::{BuildErrors, NodeId, TypeError};
use pleach_tensor::{F32, I64, Type};
use toy::{Graph, Toy, add, cube, f64x3, full, mul, source, x};

fn wide(g: &Graph) -> NodeId {
    source(g, "wide", &Type::new(F32, [4]).expect("a small type"))
}

#[test]
fn the_message_names_operator_operand_types_and_line() {
    let g = Graph::new();
    let short = source(&g, "short", &Type::new(F32, [2]).unwrap());
    let (y, line) = (mul(&g, short, wide(&g)), line!());
    let error = g.error_of(y).unwrap();
    let site = error.site.clone().unwrap();
    assert_eq!((site.file(), site.line()), (file!(), line));
    let text = error.to_string().replace(&format!("{}:{line}:", file!()), "HERE:");
    expect!["mul(f32[2], f32[4]): shapes [2] and [4] differ (built at HERE:22)"].assert_eq(&text);
}

#[test]
fn the_message_names_the_layer() {
    let g = Graph::new();
    let a = x(&g, "a");
    let _at = g.at_layer("encoder.0");
    let error = g.error_of(g.push(Toy::Add, &[a])).unwrap();
    let text = error.to_string();
    let text = text.split(" (built").next().unwrap();
    expect!["encoder.0: add(f64[3]): expected 2 operands, got 1"].assert_eq(text);
}

#[test]
fn what_uses_a_refused_value_is_quiet() {
    let g = Graph::new();
    let a = x(&g, "a");
    let bad = add(&g, a, wide(&g));
    let len = g.len();
    assert_eq!(cube(&g, bad), bad);
    assert_eq!(mul(&g, cube(&g, bad), a), bad);
    assert_eq!(g.refuse("nothing", &[bad], TypeError::Attribute("again".into())), bad);
    assert_eq!(g.errors().len(), 1);
    assert_eq!(g.len(), len, "nothing is recorded");
    assert!(bad.is_poisoned() && g.get(bad).is_none());
    assert_eq!(bad.to_string(), "%error0");
}

#[test]
fn independent_errors_are_reported_together() {
    let g = Graph::new();
    let a = x(&g, "a");
    let first = add(&g, a, wide(&g));
    let second = g.push(Toy::Floor, &[source(&g, "n", &Type::new(I64, [3]).unwrap())]);
    add(&g, first, second);
    g.refuse("layer", &[a], TypeError::Attribute("no units".into()));
    let BuildErrors(errors) = g.check().unwrap_err();
    let texts: Vec<String> =
        errors.iter().map(|e| e.to_string().split(" (built").next().unwrap().into()).collect();
    expect![[r#"
        add(f64[3], f32[4]): element types differ, f64 and f32; convert one with cast
        floor(i64[3]): expected operand 0 to be a float, got i64
        layer(f64[3]): no units"#]]
    .assert_eq(&texts.join("\n"));
    assert_eq!(BuildErrors(errors.clone()).to_string().lines().count(), 3);
    assert_eq!(g.error_of(second).unwrap(), errors[1]);
    assert_eq!(g.error_of(a), None);
}

#[test]
fn strict_graphs_panic_at_once() {
    let g = Graph::new().strict();
    let (a, b) = (x(&g, "a"), wide(&g));
    let panic = catch_unwind(AssertUnwindSafe(|| add(&g, a, b))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("add(f64[3], f32[4]): element types differ"), "{text}");
    assert!(text.contains(file!()), "{text}");
    assert_eq!(cube(&g, a).index(), 2, "the graph is still usable");
}

#[test]
fn operands_of_a_foreign_graph_are_refused() {
    let other = Graph::new();
    let foreign = mul(&other, x(&other, "a"), x(&other, "b"));
    let g = Graph::new();
    let a = x(&g, "a");
    let y = add(&g, a, foreign);
    assert_eq!(g.error_of(y).unwrap().reason, TypeError::ClosedFrame { operand: 1 });
}

#[test]
fn the_poison_of_a_foreign_graph_is_refused() {
    let other = Graph::new();
    let poison = other.push(Toy::Add, &[]);
    let g = Graph::new();
    let y = cube(&g, poison);
    assert_eq!(g.error_of(y).unwrap().reason, TypeError::ClosedFrame { operand: 0 });
    assert!(g.check().is_err(), "an error of another graph must not pass as no error");
}

#[test]
fn values_of_a_closed_frame_are_refused() {
    let g = Graph::new();
    let mut stale = None;
    g.frame(&[f64x3()], |p| {
        stale = Some(cube(&g, p[0]));
        p.to_vec()
    })
    .unwrap();
    let stale = stale.unwrap();
    assert_eq!(g.get(stale), None);
    let y = add(&g, x(&g, "a"), stale);
    let error = g.error_of(y).unwrap();
    assert_eq!(error.reason, TypeError::ClosedFrame { operand: 1 });
    assert!(error.to_string().contains("belongs to a loop body that is finished"), "{error}");
    let in_another = g.frame(&[f64x3()], |p| vec![add(&g, p[0], stale)]);
    assert!(in_another.is_err());
    assert_eq!(g.errors().len(), 2);
}

#[test]
fn outputs_and_assignments_are_checked() {
    let g = Graph::new();
    let a = x(&g, "a");
    let mut inner = None;
    g.frame(&[f64x3()], |p| {
        inner = Some(p[0]);
        g.output("open", p[0]);
        p.to_vec()
    })
    .unwrap();
    g.output("closed", inner.unwrap());
    g.assign("wide", a, wide(&g));
    g.output("quiet", g.refuse("layer", &[], TypeError::Attribute("no units".into())));
    assert!(g.roots().is_empty(), "{:?}", g.roots());
    let texts: Vec<String> = g
        .errors()
        .iter()
        .map(|e| {
            assert_eq!(e.site.as_ref().unwrap().file(), file!());
            e.to_string().split(" (built").next().unwrap().into()
        })
        .collect();
    expect![[r#"
        output "open"(f64[3]): a value inside of a loop body is no value of the graph
        output "closed"(): operand 0 belongs to a loop body that is finished
        assign "wide"(f64[3], f32[4]): a source of type f64[3] cannot take a value of type f32[4]
        layer(): no units"#]]
    .assert_eq(&texts.join("\n"));
    g.assign("fine", a, full(&g, 1.0));
    assert_eq!(g.roots().len(), 1);
    g.clear_roots();
    assert!(g.roots().is_empty());
}
