//! Where nodes come from: lines, layers, and which of them wins.

mod toy;

use pleach_graph::{NodeId, Origin, TypeError};
use toy::{Graph, Toy, add, cube, full, mul, x};

fn lines(g: &Graph, id: NodeId) -> Vec<u32> {
    g.origin(id).sites().iter().map(|site| site.line()).collect()
}

fn layer(g: &Graph, id: NodeId) -> Option<String> {
    g.origin(id).first().expect("it has a place").scope().map(Into::into)
}

/// Library code that is not transparent to the caller's line.
fn library(g: &Graph, a: NodeId) -> NodeId {
    cube(g, cube(g, a))
}

#[test]
fn a_node_comes_from_the_callers_line() {
    let g = Graph::new();
    let (a, line) = (x(&g, "a"), line!());
    let origin = g.origin(a);
    let site = origin.first().unwrap();
    assert_eq!((site.file(), site.line(), site.scope()), (file!(), line, None));
    assert_eq!(site.place().to_string(), format!("{}:{line}:22", file!()));
    assert_eq!(site.to_string(), site.place().to_string());
    assert_eq!(format!("{origin:?}"), format!("Origin([{site}])"));
}

#[test]
fn a_node_of_many_lines_keeps_the_first_four() {
    let g = Graph::new();
    let first = line!() + 1;
    let a = x(&g, "a");
    x(&g, "a");
    for _ in 0..3 {
        x(&g, "a");
    }
    x(&g, "a");
    x(&g, "a");
    assert_eq!(lines(&g, a), [first, first + 1, first + 3, first + 5]);
}

#[test]
fn an_identity_adds_the_line_to_the_node_it_found() {
    let g = Graph::new();
    let (a, line) = (x(&g, "a"), line!());
    let one = full(&g, 1.0);
    assert_eq!(mul(&g, one, a), a);
    assert_eq!(lines(&g, a), [line, line + 2]);
}

#[test]
fn in_a_guard_all_nodes_come_from_its_line() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (y, line) = {
        let (_at, line) = (g.at(), line!());
        (library(&g, a), line)
    };
    assert_eq!(lines(&g, y), [line]);
    assert_eq!(lines(&g, NodeId::new(1)), [line]);
    let (z, line) = (mul(&g, y, a), line!());
    assert_eq!(lines(&g, z), [line], "after the guard it is the caller's line again");
}

#[test]
fn the_outermost_guard_wins() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (_at, line) = (g.at(), line!());
    let y = {
        let _inner = g.at();
        library(&g, a)
    };
    assert_eq!(lines(&g, y), [line]);
}

#[test]
fn the_outermost_line_and_the_innermost_layer_name_a_node() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (_at, line) = (g.at_layer("encoder"), line!());
    let inner = {
        let _attention = g.at_layer("encoder.0");
        assert_eq!(g.scope().as_deref(), Some("encoder.0"));
        let _head = g.at_layer("encoder.0.head");
        library(&g, a)
    };
    let outer = mul(&g, inner, a);
    assert_eq!((layer(&g, inner), lines(&g, inner)), (Some("encoder.0.head".into()), vec![line]));
    assert_eq!((layer(&g, outer), lines(&g, outer)), (Some("encoder".into()), vec![line]));
    let site = g.origin(inner).first().unwrap().to_string();
    assert_eq!(site, format!("encoder.0.head ({}:{line}:26)", file!()));
}

#[test]
fn a_layer_without_a_path_has_the_scope_around_it() {
    let g = Graph::new();
    let a = x(&g, "a");
    let nameless = {
        let _at = g.at_layer("");
        cube(&g, a)
    };
    assert_eq!(layer(&g, nameless), None);
    let _at = g.at_layer("outer");
    let _nameless = g.at_layer("");
    assert_eq!(layer(&g, mul(&g, a, a)), Some("outer".into()));
}

#[test]
fn an_origin_can_be_handed_on() {
    let g = Graph::new();
    let (a, line) = (x(&g, "a"), line!());
    let y = {
        let _at = g.at_origin(g.origin(a));
        library(&g, a)
    };
    assert_eq!(lines(&g, y), [line]);
    let nowhere = {
        let _at = g.at_origin(Origin::default());
        mul(&g, a, a)
    };
    assert_eq!(g.origin(nowhere), Origin::default());
    assert_eq!(g.origin(NodeId::new(99)), Origin::default());
}

#[test]
fn an_error_has_the_line_of_the_guard() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (_at, line) = (g.at_layer("layer"), line!());
    let bad = g.push(Toy::Add, &[a]);
    let site = g.error_of(bad).unwrap().site.unwrap();
    assert_eq!((site.line(), site.scope()), (line, Some("layer")));
}

#[test]
fn each_of_thousands_of_layers_is_told_apart() {
    let g = Graph::new();
    let names: Vec<String> = (0..5000).map(|i| format!("layers.{i}")).collect();
    let ids: Vec<NodeId> = names
        .iter()
        .map(|name| {
            let _at = g.at_layer(name);
            x(&g, name)
        })
        .collect();
    assert!(ids.iter().zip(&names).all(|(&id, name)| layer(&g, id).as_ref() == Some(name)));
}

#[test]
fn merging_forgets_no_first_place() {
    let g = Graph::new();
    let ids: Vec<NodeId> = ["a", "b", "c", "d", "e", "f"].map(|name| x(&g, name)).into();
    let a = g.origin(ids[0]);
    let mut merged = a.clone();
    merged.merge(&a);
    assert_eq!(merged, a, "the same place twice is one");
    let mut empty = Origin::default();
    empty.merge(&a);
    assert_eq!(empty, a);
}

#[test]
fn gradients_of_a_seedless_sum_come_from_the_line_that_asked() {
    let g = Graph::new();
    let a = x(&g, "a");
    let seeds = [(a, full(&g, 2.0)), (a, full(&g, 3.0))];
    let (dx, line) = (g.reverse(&seeds, &[a]).unwrap()[0].value().unwrap(), line!());
    assert_eq!(g.op(dx), Toy::Add);
    assert_eq!(lines(&g, dx), [line]);
    let (dy, line) = (g.jvp(&[a], &[(a, x(&g, "t")), (a, seeds[0].1)]).unwrap()[0], line!());
    assert_eq!(lines(&g, dy.unwrap()), [line]);
}

#[test]
fn every_recording_function_is_transparent() {
    let g = Graph::new();
    let why = TypeError::Axis { axis: 1, rank: 0 };
    let (bad, line) = (g.refuse("layer", &[], why), line!());
    assert_eq!(g.error_of(bad).unwrap().site.unwrap().line(), line);
    let record = |p: &[NodeId]| {
        assert_eq!(lines(&g, p[0]), [line + 7]);
        vec![add(&g, p[0], p[0])]
    };
    assert_eq!(line!(), line + 6);
    let body = g.frame(&[toy::f64x3()], record).unwrap().0;
    let (a, line) = (x(&g, "a"), line!());
    let y = body.instantiate(&g, &[a])[0];
    assert_eq!(lines(&g, y), [line + 1]);
}
