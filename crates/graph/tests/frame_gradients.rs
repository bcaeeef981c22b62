//! Differentiation inside of loop bodies.

mod toy;

use std::sync::Arc;

use pleach_graph::{Body, GradError, Gradient, NodeId, Operator};
use toy::eval::{assert_close, body_values};
use toy::{Graph, Toy, add, cube, f64x3, full, mul, x};

fn body(g: &Graph, record: impl FnOnce(NodeId) -> Vec<NodeId>) -> (Arc<Body<Toy>>, Vec<NodeId>) {
    g.frame(&[f64x3()], |p| record(p[0])).expect("a good body")
}

fn grad(g: &Graph, y: NodeId, wrt: NodeId) -> NodeId {
    g.reverse(&[(y, full(g, 1.0))], &[wrt]).expect("differentiable")[0].value().expect("reached")
}

#[test]
fn gradients_are_recorded_inside() {
    let g = Graph::new();
    let a = x(&g, "a");
    let before = g.len();
    let (body, outer) = body(&g, |p| {
        let first = grad(&g, mul(&g, cube(&g, p), a), p);
        vec![first, grad(&g, first, p)]
    });
    assert_eq!(outer, [a]);
    assert_eq!(g.len(), before);
    let results = body_values(&body, &[vec![2.0; 3], vec![5.0; 3]]);
    assert_close(&results[0], &[60.0; 3], 0.0);
    assert_close(&results[1], &[60.0; 3], 0.0);
}

#[test]
fn captured_values_have_gradients() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (body, outer) = body(&g, |p| vec![grad(&g, mul(&g, p, cube(&g, a)), a)]);
    assert_eq!(outer, [a]);
    let results = body_values(&body, &[vec![2.0; 3], vec![5.0; 3]]);
    assert_close(&results[0], &[150.0; 3], 0.0);
}

#[test]
fn derived_tangents_are_recorded_inside_and_leave_no_parameter() {
    // One node outside, three parameters inside: the stand-in cotangent must be none of them.
    let g = Graph::new();
    let a = x(&g, "a");
    let record = |p: &[NodeId]| {
        let y = mul(&g, cube(&g, p[0]), add(&g, p[1], a));
        vec![g.jvp(&[y], &[(p[0], p[2])]).unwrap()[0].unwrap()]
    };
    let (body, outer) = g.frame(&[f64x3(), f64x3(), f64x3()], record).unwrap();
    assert_eq!(outer, [a]);
    assert_eq!(body.params(), 4);
    let leaves = body.nodes()[4..].iter().filter(|n| matches!(n.op, Toy::Parameter(..)));
    assert_eq!(leaves.count(), 0);
    let args = [vec![2.0; 3], vec![3.0; 3], vec![0.5; 3], vec![4.0; 3]];
    assert_close(&body_values(&body, &args)[0], &[3.0 * 4.0 * 0.5 * 7.0; 3], 0.0);
    assert_eq!(g.len(), 1, "nothing is recorded outside");
}

#[test]
fn a_stand_in_does_not_take_the_place_of_a_later_capture() {
    let g = Graph::new();
    let sources: Vec<NodeId> = (0..8).map(|i| x(&g, &i.to_string())).collect();
    let (body, outer) = body(&g, |p| {
        let mut sum = g.jvp(&[cube(&g, p)], &[(p, p)]).unwrap()[0].unwrap();
        for &source in &sources {
            sum = add(&g, sum, source);
            sum = add(&g, sum, g.jvp(&[cube(&g, p)], &[(p, source)]).unwrap()[0].unwrap());
        }
        vec![sum]
    });
    assert_eq!(outer, sources);
    let args: Vec<Vec<f64>> = (0..9).map(|i| vec![f64::from(1 << i); 3]).collect();
    let sum = (1..9).map(|i| f64::from(1 << i)).sum::<f64>();
    assert_close(&body_values(&body, &args)[0], &[3.0 + sum + 3.0 * sum; 3], 0.0);
}

#[test]
fn a_path_outside_of_the_body_is_refused_not_missed() {
    let g = Graph::new();
    let a = x(&g, "a");
    let h = mul(&g, a, a);
    let mut found = Vec::new();
    body(&g, |p| {
        let y = mul(&g, mul(&g, a, h), p);
        found.push(g.reverse(&[(y, p)], &[a]).map(|_| ()));
        found.push(g.reverse(&[(h, p)], &[a]).map(|_| ()));
        found.push(g.jvp(&[y], &[(a, p)]).map(|_| ()));
        found.push(g.reverse(&[(y, p)], &[h]).map(|_| ()));
        found.push(g.reverse(&[(mul(&g, a, p), p)], &[a]).map(|_| ()));
        vec![p]
    });
    let refused = Err(GradError::Frame(a));
    assert_eq!(found, [refused.clone(), refused.clone(), refused, Ok(()), Ok(())]);
}

#[test]
fn a_path_through_an_enclosing_body_is_refused() {
    let g = Graph::new();
    let a = x(&g, "a");
    let mut found = Vec::new();
    body(&g, |p| {
        let h = mul(&g, p, a);
        body(&g, |q| {
            found.push(g.reverse(&[(mul(&g, q, h), q)], &[a]).map(|_| ()));
            found.push(g.reverse(&[(mul(&g, q, h), q)], &[p]).map(|_| ()));
            found.push(g.reverse(&[(mul(&g, q, h), q)], &[h]).map(|_| ()));
            found.push(g.reverse(&[(mul(&g, q, p), q)], &[a]).map(|_| ()));
            vec![q]
        });
        assert_eq!(g.reverse(&[(h, p)], &[a]).unwrap(), [Gradient::Value(mul(&g, p, p))]);
        vec![p]
    });
    let refused = |id| Err(GradError::Frame(id));
    assert_eq!(found[0], refused(a));
    assert!(matches!(found[1], Err(GradError::Frame(_))), "{:?}", found[1]);
    assert_eq!(found[2..], [Ok(()), Ok(())]);
}

#[test]
fn a_stale_value_cannot_be_differentiated() {
    let g = Graph::new();
    let mut stale = None;
    body(&g, |p| {
        stale = Some(p);
        vec![p]
    });
    let (a, stale) = (x(&g, "a"), stale.unwrap());
    assert_eq!(g.reverse(&[(a, a)], &[stale]), Err(GradError::Frame(stale)));
    assert_eq!(g.jvp(&[stale], &[(a, a)]), Err(GradError::Frame(stale)));
}

#[test]
fn gradients_of_an_instantiated_body_are_those_of_its_text() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (body, outer) = body(&g, |p| vec![mul(&g, cube(&g, p), a)]);
    let b = x(&g, "b");
    let y = body.instantiate(&g, &[&[b], outer.as_slice()].concat())[0];
    assert_eq!(y, mul(&g, cube(&g, b), a));
    assert_eq!(grad(&g, y, b), grad(&g, mul(&g, a, cube(&g, b)), b));
    assert_eq!(Toy::full(&g, &f64x3(), 1.0), full(&g, 1.0));
}
