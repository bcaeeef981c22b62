//! Loop bodies while they are recorded: captures, nesting, what may leave a body.

mod toy;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use expect_test::expect;
use pleach_graph::{Body, FrameError, NodeId};
use pleach_tensor::{F32, Type};
use toy::{Graph, Toy, add, cube, f64x3, full, mul, source, x};

/// A body of one parameter of type `f64[3]`.
fn body(g: &Graph, record: impl FnOnce(NodeId) -> Vec<NodeId>) -> (Arc<Body<Toy>>, Vec<NodeId>) {
    g.frame(&[f64x3()], |p| record(p[0])).expect("a good body")
}

#[test]
fn outer_values_become_parameters_in_the_order_of_use() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), cube(&g, x(&g, "b")));
    let len = g.len();
    let (body, outer) = body(&g, |p| vec![mul(&g, add(&g, p, b), add(&g, a, b))]);
    assert_eq!(outer, [b, a]);
    assert_eq!(body.params(), 3);
    assert_eq!(g.len(), len, "nothing is recorded outside");
    expect![
        "{%0 = parameter(0) : f64[3]; %1 = parameter(1) : f64[3]; %2 = parameter(2) : f64[3]; \
         %3 = add %0 %1 : f64[3]; %4 = add %1 %2 : f64[3]; %5 = mul %3 %4 : f64[3]; return %5}"
    ]
    .assert_eq(&body.to_string());
}

#[test]
fn a_captured_value_is_one_parameter_however_often_it_is_used() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (body, outer) = body(&g, |p| vec![mul(&g, add(&g, p, a), cube(&g, a)), a]);
    assert_eq!(outer, [a]);
    assert_eq!(body.results()[1], 1);
}

#[test]
fn a_closed_body_captures_nothing() {
    let g = Graph::new();
    let (body, outer) = body(&g, |p| vec![mul(&g, p, full(&g, 2.0))]);
    assert!(outer.is_empty());
    assert_eq!((body.params(), body.nodes().len()), (1, 3));
}

#[test]
fn sources_are_recorded_outside_and_captured() {
    let g = Graph::new();
    let mut inside = None;
    let (body, outer) = body(&g, |p| {
        let a = x(&g, "a");
        inside = Some(a);
        vec![add(&g, p, a)]
    });
    assert_eq!(outer, [inside.unwrap()]);
    assert_eq!(x(&g, "a"), outer[0], "the source of the graph itself");
    assert!(body.nodes().iter().all(|n| !matches!(n.op, Toy::In(..))));
}

#[test]
fn nested_bodies_capture_through_all_levels() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (outer_body, outer) = body(&g, |p| {
        let h = cube(&g, p);
        let (inner_body, captured) = body(&g, |q| {
            let s = x(&g, "s");
            vec![add(&g, mul(&g, q, h), mul(&g, a, s))]
        });
        assert_eq!(captured[0], h, "a value of the enclosing body as it is");
        assert_eq!(captured.len(), 3);
        assert!(!captured.contains(&a), "one of further out, as the enclosing body knows it");
        let inputs: Vec<NodeId> = [p].into_iter().chain(captured).collect();
        vec![g.push(Toy::Call(inner_body), &inputs)]
    });
    assert_eq!(outer, [a, x(&g, "s")]);
    assert_eq!(outer_body.params(), 3);
}

#[test]
fn results_may_be_outer_values_sources_and_parameters() {
    let g = Graph::new();
    let a = cube(&g, x(&g, "a"));
    let (body, outer) = body(&g, |p| vec![a, p, x(&g, "s"), p]);
    assert_eq!(outer, [a, x(&g, "s")]);
    assert_eq!(body.results(), [1, 0, 2, 0]);
    assert!(body.result_types().all(|ty| *ty == f64x3()));
}

#[test]
fn results_that_are_no_values_are_refused() {
    let g = Graph::new();
    let mut stale = None;
    body(&g, |p| {
        stale = Some(p);
        vec![p]
    });
    let stale = stale.unwrap();
    let closed = g.frame(&[f64x3()], |p| vec![p[0], stale]);
    assert_eq!(closed.unwrap_err(), FrameError::Closed(1));
    let foreign = g.frame(&[], |_| vec![NodeId::new(7)]);
    assert_eq!(foreign.unwrap_err(), FrameError::Closed(0));
    let poisoned = g.frame(&[f64x3()], |p| vec![p[0], p[0], g.push(Toy::Add, &[p[0]])]);
    assert_eq!(poisoned.unwrap_err(), FrameError::Poisoned(2));
    // After each of them the frame is closed.
    assert!(g.frame(&[], |_| vec![x(&g, "a")]).is_ok());
    assert_eq!(cube(&g, x(&g, "a")), NodeId::new(1));
}

#[test]
fn a_panic_inside_leaves_the_graph_usable() {
    let g = Graph::new();
    let a = x(&g, "a");
    let mut stale = None;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        body(&g, |p| {
            body(&g, |q| {
                let _at = g.at_layer("deep");
                stale = Some(add(&g, p, q));
                panic!("user code");
            });
            vec![p]
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"user code"));
    let y = cube(&g, a);
    assert_eq!(y, NodeId::new(1), "recorded in the graph itself");
    assert_eq!(g.origin(y).first().unwrap().scope(), None);
    assert!(add(&g, a, stale.unwrap()).is_poisoned());
    let (_, outer) = body(&g, |p| vec![add(&g, p, y)]);
    assert_eq!(outer, [y]);
}

#[test]
fn what_the_results_do_not_need_is_not_in_the_body() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (body, outer) = body(&g, |p| {
        cube(&g, mul(&g, p, a));
        vec![add(&g, p, b)]
    });
    assert_eq!(outer, [b], "nor captured");
    expect![
        "{%0 = parameter(0) : f64[3]; %1 = parameter(1) : f64[3]; %2 = add %0 %1 : f64[3]; \
         return %2}"
    ]
    .assert_eq(&body.to_string());
}

#[test]
fn declared_parameters_stay_though_nothing_needs_them() {
    let g = Graph::new();
    let types = [f64x3(), Type::new(F32, [2]).unwrap()];
    let (body, outer) = g.frame(&types, |p| vec![p[0]]).unwrap();
    assert_eq!(body.params(), 2);
    assert!(body.param_types().eq(&types));
    assert!(outer.is_empty());
}

#[test]
fn an_open_body_can_be_asked() {
    let g = Graph::new();
    body(&g, |p| {
        let y = cube(&g, p);
        assert_eq!(g.op(y), Toy::Cube);
        assert_eq!(g.ty(p), f64x3());
        assert_eq!(g.node(y).inputs.as_slice(), [p]);
        assert_eq!(g.origin(y).first().unwrap().file(), file!());
        assert!(g.users(p).is_empty(), "users are those of the graph itself");
        assert_eq!(y.to_string(), "%1.1");
        assert_eq!(add(&g, y, p), add(&g, p, y), "shared as everywhere");
        vec![y]
    });
    assert_eq!(g.len(), 0);
}

#[test]
fn values_of_an_enclosing_body_end_with_it() {
    let g = Graph::new();
    let mut stale = Vec::new();
    body(&g, |p| {
        body(&g, |q| {
            stale.extend([p, q]);
            vec![q]
        });
        assert!(add(&g, p, stale[1]).is_poisoned());
        vec![p]
    });
    assert!(stale.iter().all(|&id| g.get(id).is_none() && cube(&g, id).is_poisoned()));
}

#[test]
fn thousands_of_captures_are_captured_in_order() {
    let g = Graph::new();
    let wide = Type::new(F32, [2]).unwrap();
    let many: Vec<NodeId> = (0..5000).map(|i| source(&g, &i.to_string(), &wide)).collect();
    let (body, outer) = g
        .frame(&[], |_| {
            let sum = many.iter().copied().reduce(|sum, x| add(&g, sum, x));
            vec![many.iter().fold(sum.unwrap(), |sum, &x| add(&g, sum, x))]
        })
        .unwrap();
    assert_eq!(outer, many);
    assert_eq!(body.params(), 5000);
}

#[test]
fn nodes_of_a_graph_are_the_body_that_would_have_been_recorded() {
    let g = Graph::new();
    let (a, b, two) = (x(&g, "a"), x(&g, "b"), full(&g, 2.0));
    let sum = add(&g, a, b);
    let product = mul(&g, sum, two);
    let unneeded = cube(&g, product);
    let y = add(&g, product, a);
    let members = [sum, two, product, unneeded, y];
    let part = Body::of_nodes(&g, &[b, a], &members, &[y, product]).expect("a part");
    let recorded = |p: &[NodeId]| {
        let product = mul(&g, add(&g, p[1], p[0]), full(&g, 2.0));
        vec![add(&g, product, p[1]), product]
    };
    let (body, _) = g.frame(&[f64x3(), f64x3()], recorded).expect("a good body");
    assert_eq!(part.to_string(), body.to_string());
    assert_eq!(part, *body, "hash and operands of commutative operators, in their order");
    assert_eq!(part.nodes().len(), 6, "less the cube");
}

#[test]
fn what_is_no_function_of_its_parameters_is_no_body() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (sum, other) = (add(&g, a, b), cube(&g, b));
    let y = mul(&g, sum, other);
    let part = |params: &[NodeId], members: &[NodeId], results: &[NodeId]| {
        Body::of_nodes(&g, params, members, results).is_some()
    };
    assert!(part(&[a, b], &[sum, other, y], &[y]));
    assert!(part(&[sum, other], &[y], &[y, other]), "parameters may be results");
    assert!(!part(&[a, b], &[sum, y], &[y]), "it uses what is neither");
    assert!(!part(&[a, b], &[sum, y, other], &[y]), "or comes after it");
    assert!(!part(&[a], &[b, sum], &[sum]), "a source takes its value from outside");
    assert!(!part(&[a, b], &[sum], &[other]), "a result is none of these");
    let params = g.frame(&[f64x3()], |p| {
        assert!(!part(&[a], &p[..1], &p[..1]), "what looks like one of its parameters");
        p.to_vec()
    });
    assert!(params.is_ok());
}
