//! Finished bodies: equality by structure, instantiation, text.

mod toy;

use std::collections::HashSet;
use std::sync::Arc;

use pleach_graph::{Body, NodeId};
use pleach_tensor::{F32, Type};
use toy::eval::{Feeds, assert_close, value};
use toy::{Graph, Toy, add, cube, f64x3, full, mul, x};

type Captured = (Arc<Body<Toy>>, Vec<NodeId>);

fn body(g: &Graph, record: impl FnOnce(NodeId) -> NodeId) -> Captured {
    g.frame(&[f64x3()], |p| vec![record(p[0])]).expect("a good body")
}

/// `p·a + p³`, with dead nodes around it.
fn example(g: &Graph, a: NodeId) -> Captured {
    body(g, |p| {
        cube(g, cube(g, p));
        add(g, mul(g, p, a), cube(g, p))
    })
}

/// A body that calls a body, `depth` times.
fn nested(g: &Graph, a: NodeId, depth: usize) -> Captured {
    body(g, |p| {
        if depth == 0 {
            return mul(g, p, a);
        }
        let (inner, outer) = nested(g, add(g, p, a), depth - 1);
        g.push(Toy::Call(inner), &[&[p], outer.as_slice()].concat())
    })
}

#[test]
fn bodies_are_equal_by_structure() {
    let (g, other) = (Graph::new(), Graph::new());
    let a = x(&g, "a");
    let (first, _) = example(&g, a);
    x(&other, "something else");
    let (second, _) = example(&other, x(&other, "b"));
    assert_eq!(first, second);
    assert_eq!(HashSet::from([first.clone(), second.clone()]).len(), 1);

    let (third, _) = body(&g, |p| add(&g, mul(&g, p, a), p));
    assert_ne!(first, third);
    let results = |ids: fn(NodeId) -> Vec<NodeId>| g.frame(&[f64x3()], |p| ids(p[0])).unwrap().0;
    assert_ne!(results(|p| vec![p]), results(|p| vec![p, p]));
    let typed = |ty: Type| g.frame(&[ty], <[NodeId]>::to_vec).unwrap().0;
    assert_ne!(typed(f64x3()), typed(Type::new(F32, [3]).unwrap()));
}

#[test]
fn equal_bodies_make_equal_nodes() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let call = || {
        let (body, outer) = example(&g, a);
        g.push(Toy::Call(body), &[&[b], outer.as_slice()].concat())
    };
    assert_eq!(call(), call());
}

#[test]
fn instantiating_is_recording() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (body, outer) = example(&g, a);
    let direct = add(&g, mul(&g, b, a), cube(&g, b));
    let len = g.len();
    let (results, line) = (body.instantiate(&g, &[&[b], outer.as_slice()].concat()), line!());
    assert_eq!(results, [direct]);
    assert_eq!(g.len(), len, "every node was there");
    let lines: Vec<u32> = g.origin(direct).sites().iter().map(|s| s.line()).collect();
    assert_eq!(lines, [line - 2, line], "at the caller's line");
}

#[test]
fn instantiating_into_another_graph_or_a_body_records_there() {
    let g = Graph::new();
    let (body_, _) = example(&g, x(&g, "a"));
    let other = Graph::new();
    let args = [x(&other, "p"), x(&other, "q")];
    let y = body_.instantiate(&other, &args)[0];
    let feeds = Feeds::from([("p", vec![2.0; 3]), ("q", vec![5.0; 3])]);
    assert_close(&value(&other, &feeds, y), &[18.0; 3], 0.0);

    let (again, outer) = body(&other, |p| body_.instantiate(&other, &[p, args[1]])[0]);
    assert_eq!(*again, *body_);
    assert_eq!(outer, [args[1]]);
}

#[test]
fn a_call_has_the_value_of_its_instance() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (body, outer) = nested(&g, a, 3);
    let args = [&[b], outer.as_slice()].concat();
    let (call, instance) = (g.push(Toy::Call(body.clone()), &args), body.instantiate(&g, &args)[0]);
    let feeds = Feeds::from([("a", vec![0.5, 1.0, -2.0]), ("b", vec![3.0, 0.25, 1.0])]);
    assert_close(&value(&g, &feeds, call), &value(&g, &feeds, instance), 0.0);
}

#[test]
fn bodies_print_and_parse() {
    let g = Graph::new();
    let a = x(&g, "a");
    let empty = g.frame(&[], |_| vec![]).unwrap().0;
    for body in [example(&g, a).0, nested(&g, a, 12).0, body(&g, |p| p).0, empty] {
        let text = body.to_string();
        let parsed = Body::parse(&text, &Vec::new()).unwrap();
        assert_eq!(parsed, *body);
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn text_may_define_parameters_anywhere() {
    let text = "{
        # a comment with a { in it
        %a = full(2.0) : f64[3]
        %q = parameter(1) : f64[3]
        %p = parameter(0) : f64[3]   # and one here
        %y = mul %p %a; %dead = cube %q
        return %y
    }";
    let body: Body<Toy> = Body::parse(text, &Vec::new()).unwrap();
    assert_eq!(
        body.to_string(),
        "{%0 = parameter(0) : f64[3]; %1 = parameter(1) : f64[3]; %2 = full(2.0) : f64[3]; \
         %3 = mul %0 %2 : f64[3]; return %3}"
    );
}

#[test]
fn text_that_is_no_body_is_refused() {
    let deep = format!("{{%0 = call{}{} }}", "{".repeat(100), "}".repeat(100));
    for (text, why) in [
        ("", "expected a body in braces"),
        ("{%0 = cube %1}", "\"%1\" is not a node defined above"),
        ("{%0 = parameter(0) : f64[3]; assign \"s\" %0 = %0; return %0}", "a body cannot assign"),
        (
            "{%0 = parameter(0) : f64[3]; %1 = parameter(0) : f64[3]; return %1}",
            "parameter(0) is defined twice",
        ),
        (&deep, "brackets are nested more than 64 deep"),
    ] {
        assert_eq!(Body::<Toy>::parse(text, &Vec::new()).unwrap_err(), why, "{text}");
    }
}

#[test]
fn quoted_brackets_do_not_nest() {
    let g = Graph::new();
    let name = "{".repeat(100);
    let text = format!(
        "%0 = in(\"{name}\") : f64[3]\n%1 = call{{%0 = in(\"{name}\") : f64[3]; return %0}}"
    );
    let parsed = Graph::parse(&text, &Vec::new()).unwrap();
    assert_eq!(parsed.op(NodeId::new(0)), g.op(x(&g, &name)));
    assert_eq!(parsed.len(), 2);
    assert_eq!(full(&g, 1.0), full(&g, 1.0));
}
