//! Forward mode: the rules derived from what operators promise, and from gradient rules.

mod toy;

use pleach_graph::{GradError, NodeId, Operator};
use pleach_tensor::{F32, F64, I64, Type};
use toy::eval::{Feeds, assert_close, central, dot, value};
use toy::{Graph, Quirk, Toy, add, cube, f64x3, full, mul, source, x};

fn feeds() -> Feeds<'static> {
    Feeds::from([
        ("x", vec![0.5, -1.25, 2.0]),
        ("y", vec![3.0, 0.75, -0.5]),
        ("dx", vec![1.0, -2.0, 0.25]),
        ("dy", vec![-0.5, 4.0, 1.5]),
    ])
}

fn tangent(g: &Graph, y: NodeId, seeds: &[(NodeId, NodeId)]) -> NodeId {
    g.jvp(&[y], seeds).expect("differentiable")[0].expect("not zero")
}

/// Asserts that the tangent of `y` for `dx` agrees with central differences.
#[track_caller]
fn check(record: impl Fn(&Graph, NodeId, NodeId) -> NodeId) {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let y = record(&g, a, b);
    for (name, at, d) in [("x", a, "dx"), ("y", b, "dy")] {
        let Some(dy) = g.jvp(&[y], &[(at, x(&g, d))]).expect("differentiable")[0] else { continue };
        let expected = central(&g, &feeds(), y, name, &feeds()[d]);
        assert_close(&value(&g, &feeds(), dy), &expected, 1e-6);
    }
    assert_eq!(g.verify(), Ok(()));
}

#[test]
fn linear_operators_apply_themselves_to_the_tangents() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let (da, db) = (x(&g, "dx"), x(&g, "dy"));
    let y = add(&g, a, b);
    assert_eq!(tangent(&g, y, &[(a, da), (b, db)]), add(&g, da, db));
    let alone = tangent(&g, y, &[(a, da)]);
    assert_eq!(alone, add(&g, da, full(&g, 0.0)));
}

#[test]
fn multilinear_operators_vary_one_operand_at_a_time() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let (da, db) = (x(&g, "dx"), x(&g, "dy"));
    let y = mul(&g, a, b);
    let both = tangent(&g, y, &[(a, da), (b, db)]);
    assert_eq!(both, add(&g, mul(&g, da, b), mul(&g, a, db)));
    assert_eq!(tangent(&g, y, &[(b, db)]), mul(&g, a, db));
}

#[test]
fn elementwise_operators_use_their_gradient_rule() {
    let g = Graph::new();
    let (a, da) = (x(&g, "x"), x(&g, "dx"));
    let y = g.push(Toy::Square, &[a]);
    let before = g.len();
    let dy = tangent(&g, y, &[(a, da)]);
    assert_close(&value(&g, &feeds(), dy), &[1.0, 5.0, 1.0], 0.0);
    assert!((before..g.len()).all(|i| !matches!(g.op(NodeId::new(i)), Toy::Parameter(..))));
}

#[test]
fn other_operators_transpose_their_gradient_rule() {
    let g = Graph::new();
    let (a, da) = (x(&g, "x"), x(&g, "dx"));
    let y = cube(&g, a);
    let dy = tangent(&g, y, &[(a, da)]);
    assert_close(&value(&g, &feeds(), dy), &[0.75, -9.375, 3.0], 1e-15);
    assert!(g.ids().any(|id| matches!(g.op(id), Toy::Parameter(..))), "a stand-in cotangent");
    g.output("dy", dy);
    let live = g.live();
    let stand_in = |id: &NodeId| matches!(g.op(*id), Toy::Parameter(..));
    assert!(g.ids().filter(stand_in).all(|id| !live[id.index()]), "is not left in the result");
}

#[test]
fn tangents_agree_with_central_differences() {
    check(|g, a, b| add(g, mul(g, a, b), cube(g, add(g, a, a))));
    check(|g, a, b| cube(g, cube(g, mul(g, a, g.push(Toy::Square, &[b])))));
    check(|g, a, _| mul(g, cube(g, a), cube(g, a)));
}

#[test]
fn a_conversion_between_floats_carries_its_tangent() {
    let g = Graph::new();
    let narrow = Type::new(F32, [3]).unwrap();
    let (a, da) = (source(&g, "x", &narrow), source(&g, "dx", &narrow));
    let dy = tangent(&g, g.push(Toy::Cast(F64), &[a]), &[(a, da)]);
    assert_eq!(g.ty(dy), f64x3());
    assert_close(&value(&g, &feeds(), dy), &feeds()["dx"], 0.0);
}

#[test]
fn what_does_not_depend_on_the_seed_has_no_tangent() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let floor = g.push(Toy::Floor, &[a]);
    let through_int = g.push(Toy::Cast(F64), &[g.push(Toy::Cast(I64), &[a])]);
    let tangents = g.jvp(&[cube(&g, b), floor, through_int, a], &[(a, x(&g, "dx"))]).unwrap();
    assert_eq!(tangents, [None, None, None, Some(x(&g, "dx"))]);
    assert_eq!(g.jvp(&[a], &[]).unwrap(), [None]);
    assert_eq!(g.jvp(&[], &[(a, a)]).unwrap(), []);
}

#[test]
fn only_what_is_asked_for_is_pushed_forward() {
    let g = Graph::new();
    let (a, da) = (x(&g, "x"), x(&g, "dx"));
    let mut aside = a;
    (0..50).for_each(|_| aside = cube(&g, aside));
    let y = mul(&g, a, x(&g, "y"));
    let before = g.len();
    g.jvp(&[y], &[(a, da)]).unwrap();
    assert_eq!(g.len(), before + 1, "dx · y alone");
}

#[test]
fn seeds_of_one_value_add_up_and_join_those_from_below() {
    let g = Graph::new();
    let (a, da) = (x(&g, "x"), x(&g, "dx"));
    let h = mul(&g, a, x(&g, "y"));
    let y = cube(&g, h);
    let joined = tangent(&g, h, &[(a, da), (a, da), (h, x(&g, "dy"))]);
    let expected: Vec<f64> =
        (0..3).map(|i| 2.0 * feeds()["dx"][i] * feeds()["y"][i] + feeds()["dy"][i]).collect();
    assert_close(&value(&g, &feeds(), joined), &expected, 1e-15);
    assert!(g.jvp(&[y], &[(h, x(&g, "dy"))]).unwrap()[0].is_some());
}

#[test]
fn a_gradient_rule_that_is_not_linear_has_no_forward_rule() {
    let g = Graph::new();
    let a = x(&g, "x");
    let y = g.push(Toy::Odd(Quirk::Bent), &[cube(&g, a)]);
    let error = g.jvp(&[y], &[(a, x(&g, "dx"))]).unwrap_err();
    assert!(matches!(&error, GradError::NotLinear { op, site: Some(_) } if op == "odd(Bent)"));
    let text = error.to_string();
    assert!(text.starts_with("the gradient of odd(Bent) is not linear in its cotangent"), "{text}");
    assert!(text.contains(file!()) && text.ends_with("give it its own jvp"), "{text}");
}

#[test]
fn types_are_checked() {
    let g = Graph::new();
    let (a, n) = (x(&g, "x"), source(&g, "n", &Type::new(I64, [3]).unwrap()));
    let narrow = g.push(Toy::Cast(F32), &[a]);
    let error = g.jvp(&[a], &[(a, narrow)]).unwrap_err();
    let expected = "the tangent of a value of type f64[3] has type f32[3]";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(g.jvp(&[a], &[(n, n)]), Err(GradError::NotFloat { .. })));
    assert!(matches!(g.jvp(&[n], &[(a, a)]), Err(GradError::NotFloat { .. })));
    assert!(matches!(g.jvp(&[NodeId::new(99)], &[(a, a)]), Err(GradError::Frame(_))));
}

#[test]
fn the_stand_in_cotangent_is_no_other_parameter() {
    // Parameters of every index that a stand-in might take: it is about the length of the tape.
    let g = Graph::new();
    let a = x(&g, "x");
    let taken: Vec<NodeId> = (20..90).map(|i| g.push(Toy::parameter(i, &f64x3()), &[])).collect();
    let y = cube(&g, a);
    tangent(&g, y, &[(a, x(&g, "dx"))]);
    assert!(taken.iter().all(|&p| g.users(p).is_empty()), "used as the stand-in");
}

#[test]
fn forward_over_reverse_is_the_hessian_times_a_vector() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let y = mul(&g, cube(&g, a), add(&g, g.push(Toy::Square, &[b]), mul(&g, a, b)));
    let dx = g.reverse(&[(y, full(&g, 1.0))], &[a]).unwrap()[0].value().unwrap();
    let hvp = tangent(&g, dx, &[(a, x(&g, "dx"))]);
    let expected = central(&g, &feeds(), dx, "x", &feeds()["dx"]);
    assert_close(&value(&g, &feeds(), hvp), &expected, 1e-6);

    // Reverse over reverse gives the same: the Hessian is symmetric.
    let again = g.reverse(&[(dx, x(&g, "dx"))], &[a]).unwrap()[0].value().unwrap();
    assert_close(&value(&g, &feeds(), again), &value(&g, &feeds(), hvp), 1e-12);
    let w = value(&g, &feeds(), hvp);
    assert!(dot(&w, &w) > 1.0, "not trivially zero");
}
