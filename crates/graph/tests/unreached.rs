//! What has no gradient says so, and names the node that cut the path.

mod toy;

use expect_test::expect;
use pleach_graph::{GradError, Gradient, NodeId};
use pleach_tensor::{DType, F32, F64, I64, Type};
use toy::eval::{Feeds, assert_close, value};
use toy::{Graph, Quirk, Toy, add, cube, full, mul, source, x};

fn cast(g: &Graph, x: NodeId, to: DType) -> NodeId {
    g.push(Toy::Cast(to), &[x])
}

fn gradient(g: &Graph, y: NodeId, wrt: NodeId) -> Gradient {
    g.reverse(&[(y, full(g, 1.0))], &[wrt]).expect("differentiable")[0]
}

fn cut_by(id: NodeId) -> Gradient {
    Gradient::Unreached { cut: Some(id) }
}

#[test]
fn what_is_not_used_is_unreached_without_a_cut() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    assert_eq!(gradient(&g, cube(&g, a), b), Gradient::Unreached { cut: None });
    let later = cube(&g, b);
    assert_eq!(gradient(&g, a, later), Gradient::Unreached { cut: None });
    assert_eq!(gradient(&g, a, later).value(), None);
}

#[test]
fn floor_is_named() {
    let g = Graph::new();
    let a = x(&g, "a");
    let floor = g.push(Toy::Floor, &[cube(&g, a)]);
    let y = mul(&g, floor, x(&g, "b"));
    assert_eq!(gradient(&g, y, a), cut_by(floor));
}

#[test]
fn in_a_chain_of_integers_the_node_where_the_float_stopped_is_named() {
    let g = Graph::new();
    let a = x(&g, "a");
    let int = cast(&g, cube(&g, a), I64);
    let sum = add(&g, add(&g, int, int), int);
    let back = cast(&g, sum, F64);
    let y = mul(&g, cube(&g, back), x(&g, "b"));
    assert_eq!(gradient(&g, y, a), cut_by(int));
}

#[test]
fn of_two_cuts_the_one_nearer_to_the_result_is_named() {
    let g = Graph::new();
    let a = x(&g, "a");
    let first = g.push(Toy::Floor, &[a]);
    let second = g.push(Toy::Floor, &[cube(&g, first)]);
    assert_eq!(gradient(&g, second, a), cut_by(second));
}

#[test]
fn a_cut_on_another_path_is_not_named() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (floor_a, floor_b) = (g.push(Toy::Floor, &[a]), g.push(Toy::Floor, &[b]));
    let y = add(&g, floor_a, floor_b);
    let gradients = g.reverse(&[(y, full(&g, 1.0))], &[a, b, x(&g, "c")]).unwrap();
    assert_eq!(gradients, [cut_by(floor_a), cut_by(floor_b), Gradient::Unreached { cut: None }]);
}

#[test]
fn one_open_path_is_enough() {
    let g = Graph::new();
    let a = x(&g, "a");
    let y = add(&g, g.push(Toy::Floor, &[a]), cube(&g, a));
    let dx = gradient(&g, y, a).value().unwrap();
    assert_close(&value(&g, &Feeds::from([("a", vec![2.0; 3])]), dx), &[12.0; 3], 0.0);
}

#[test]
fn a_zero_gradient_is_not_a_cut() {
    let g = Graph::new();
    let a = x(&g, "a");
    let y = g.push(Toy::Odd(Quirk::Flat), &[a]);
    let dx = gradient(&g, y, a).value().unwrap();
    assert_eq!(g.op(dx), Toy::Full(0.0f64.to_bits(), g.ty(a)));
}

#[test]
fn a_zero_gradient_of_an_integer_is_a_cut() {
    let g = Graph::new();
    let a = x(&g, "a");
    let int = cast(&g, a, I64);
    let y = g.push(Toy::Odd(Quirk::Flat), &[int]);
    assert_eq!(gradient(&g, y, a), cut_by(int));
    let no_zero = |id: NodeId| !matches!(g.op(id), Toy::Full(_, ty) if !ty.dtype().is_float());
    assert!(g.ids().all(no_zero), "integers have no cotangent, not even zero");
}

#[test]
fn a_conversion_between_floats_passes() {
    let g = Graph::new();
    let a = source(&g, "a", &Type::new(F32, [3]).unwrap());
    let y = cube(&g, cast(&g, a, F64));
    let dx = gradient(&g, y, a).value().unwrap();
    assert_eq!(g.ty(dx), g.ty(a));
}

#[test]
fn only_floats_have_gradients() {
    let g = Graph::new();
    let (a, n) = (x(&g, "a"), source(&g, "n", &Type::new(I64, [3]).unwrap()));
    let seed = g.reverse(&[(n, n)], &[a]).unwrap_err();
    let wrt = g.reverse(&[(a, a)], &[n]).unwrap_err();
    assert_eq!(seed, wrt);
    let text = wrt.to_string();
    assert!(text.contains(file!()), "{text}");
    let (before, after) = text.split_once(" (built").unwrap();
    let (_, after) = after.split_once(')').unwrap();
    expect![[r#"cannot differentiate in("n") of type i64[3]: only floats have gradients"#]]
        .assert_eq(&format!("{before}{after}"));
}

#[test]
fn a_seed_has_the_type_of_its_value() {
    let g = Graph::new();
    let a = x(&g, "a");
    let error = g.reverse(&[(a, cast(&g, a, F32))], &[a]).unwrap_err();
    expect!["the cotangent of a value of type f64[3] has type f32[3]"]
        .assert_eq(&error.to_string());
}

#[test]
fn a_foreign_value_is_refused() {
    let g = Graph::new();
    let a = x(&g, "a");
    let foreign = NodeId::new(99);
    assert_eq!(g.reverse(&[(a, a)], &[foreign]), Err(GradError::Frame(foreign)));
    assert_eq!(g.reverse(&[(foreign, a)], &[a]), Err(GradError::Frame(foreign)));
    assert_eq!(g.reverse(&[(a, foreign)], &[a]), Err(GradError::Frame(foreign)));
}

#[test]
fn a_graph_with_errors_is_not_differentiated() {
    let g = Graph::new();
    let a = x(&g, "a");
    let bad = g.push(Toy::Add, &[a]);
    assert!(matches!(g.reverse(&[(a, a)], &[a]), Err(GradError::Build(_))));
    assert!(matches!(g.reverse(&[(bad, a)], &[a]), Err(GradError::Build(_))));
    assert!(matches!(g.jvp(&[a], &[(a, a)]), Err(GradError::Build(_))));
}

#[test]
fn a_broken_gradient_rule_is_an_error() {
    let fail = |quirk: Quirk| {
        let g = Graph::new();
        let a = x(&g, "a");
        let y = g.push(Toy::Odd(quirk), &[a]);
        g.reverse(&[(y, full(&g, 1.0))], &[a]).unwrap_err()
    };
    expect!["gradient rule of odd(Wrong): operand 0 has type f64[3], its cotangent f32[3]"]
        .assert_eq(&fail(Quirk::Wrong).to_string());
    expect!["gradient rule of odd(Short): operand 0 has type f64[3], its cotangent nothing"]
        .assert_eq(&fail(Quirk::Short).to_string());
    assert!(matches!(fail(Quirk::Clumsy), GradError::Build(_)));
}
