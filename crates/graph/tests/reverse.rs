//! Reverse mode: values, higher orders, and that nothing needless is recorded.

mod toy;

use pleach_graph::{Gradient, NodeId};
use toy::eval::{Feeds, assert_close, central, dot, value};
use toy::{Graph, Toy, add, cube, f64x3, full, mul, x};

fn feeds() -> Feeds<'static> {
    Feeds::from([("x", vec![0.5, -1.25, 2.0]), ("y", vec![3.0, 0.75, -0.5])])
}

/// The gradient of the sum of `y`.
fn grad(g: &Graph, y: NodeId, wrt: NodeId) -> NodeId {
    g.reverse(&[(y, full(g, 1.0))], &[wrt]).expect("differentiable")[0].value().expect("reached")
}

#[test]
fn gradients_of_all_operators_agree_with_central_differences() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let square = g.push(Toy::Square, &[add(&g, a, b)]);
    let y = add(&g, mul(&g, square, cube(&g, a)), mul(&g, a, b));
    let w = x(&g, "w");
    let gradients = g.reverse(&[(y, w)], &[a, b]).unwrap();
    let mut feeds = feeds();
    feeds.insert("w", vec![0.3, -0.7, 1.1]);
    for (name, gradient) in [("x", gradients[0]), ("y", gradients[1])] {
        let dx = value(&g, &feeds, gradient.value().unwrap());
        for i in 0..3 {
            let mut e = vec![0.0; 3];
            e[i] = 1.0;
            let expected = dot(&central(&g, &feeds, y, name, &e), &feeds["w"]);
            assert_close(&[dx[i]], &[expected], 1e-7);
        }
    }
    assert_eq!(g.verify(), Ok(()));
}

#[test]
fn three_derivatives_of_a_cube_are_3xx_6x_6() {
    let g = Graph::new();
    let a = x(&g, "x");
    let first = grad(&g, cube(&g, a), a);
    let second = grad(&g, first, a);
    let third = grad(&g, second, a);
    let [p, q, r] = [0.5, -1.25, 2.0];
    let expect = |id, values: [f64; 3]| assert_close(&value(&g, &feeds(), id), &values, 1e-15);
    expect(first, [p, q, r].map(|x| 3.0 * x * x));
    expect(second, [p, q, r].map(|x| 6.0 * x));
    expect(third, [6.0; 3]);
}

#[test]
fn the_fourth_derivative_of_a_cube_is_unreached() {
    let g = Graph::new();
    let a = x(&g, "x");
    let third = grad(&g, grad(&g, grad(&g, cube(&g, a), a), a), a);
    let fourth = g.reverse(&[(third, full(&g, 1.0))], &[a]).unwrap();
    assert_eq!(fourth, [Gradient::Unreached { cut: None }]);
}

#[test]
fn a_mixed_derivative_is_symmetric() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let y = mul(&g, cube(&g, a), g.push(Toy::Square, &[b]));
    let ab = grad(&g, grad(&g, y, a), b);
    let ba = grad(&g, grad(&g, y, b), a);
    let (ab, ba) = (value(&g, &feeds(), ab), value(&g, &feeds(), ba));
    assert_close(&ab, &ba, 1e-14);
    assert_close(&ab[..1], &[3.0 * 0.25 * 2.0 * 3.0], 1e-14);
}

#[test]
fn a_source_used_many_times_has_one_gradient() {
    let g = Graph::new();
    let a = x(&g, "x");
    let uses: Vec<NodeId> = (1..=50).map(|i| mul(&g, a, full(&g, f64::from(i)))).collect();
    let y = uses.into_iter().reduce(|sum, use_| add(&g, sum, use_)).unwrap();
    let gradients = g.reverse(&[(y, full(&g, 1.0))], &[a, a]).unwrap();
    assert_eq!(gradients[0], gradients[1]);
    let dx = gradients[0].value().unwrap();
    assert_close(&value(&g, &feeds(), dx), &[1275.0; 3], 0.0);
}

#[test]
fn both_slots_of_one_user_count() {
    let g = Graph::new();
    let a = x(&g, "x");
    let dx = grad(&g, mul(&g, a, a), a);
    assert_close(&value(&g, &feeds(), dx), &[1.0, -2.5, 4.0], 0.0);
}

#[test]
fn seeds_add_up() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let y = mul(&g, a, b);
    let one = full(&g, 1.0);
    let seeds = [(y, one), (y, full(&g, 2.0)), (a, full(&g, 5.0))];
    let dx = g.reverse(&seeds, &[a]).unwrap()[0].value().unwrap();
    assert_close(&value(&g, &feeds(), dx), &[14.0, 7.25, 3.5], 1e-15);
}

#[test]
fn a_result_is_its_own_gradient() {
    let g = Graph::new();
    let (a, w) = (x(&g, "x"), x(&g, "w"));
    assert_eq!(g.reverse(&[(a, w)], &[a]).unwrap(), [Gradient::Value(w)]);
}

#[test]
fn gradients_of_intermediate_values_exist() {
    let g = Graph::new();
    let a = x(&g, "x");
    let h = mul(&g, a, a);
    let y = cube(&g, h);
    let dh = value(&g, &feeds(), grad(&g, y, h));
    assert_close(&dh, &[0.5f64, -1.25, 2.0].map(|x| 3.0 * x.powi(4)), 1e-15);
}

#[test]
fn only_what_is_asked_for_is_differentiated() {
    let g = Graph::new();
    let (a, b) = (x(&g, "x"), x(&g, "y"));
    let mut side = b;
    (0..100).for_each(|_| side = cube(&g, side));
    let y = mul(&g, a, side);
    let one = full(&g, 1.0);
    let before = g.len();
    let dx = g.reverse(&[(y, one)], &[a]).unwrap();
    assert_eq!(dx, [Gradient::Value(side)], "1 · side, nothing else");
    assert_eq!(g.len(), before, "no node for values outside of wrt");
    g.reverse(&[(y, one)], &[b]).unwrap();
    assert!(g.len() > before + 100);
}

#[test]
fn nothing_above_wrt_is_differentiated() {
    let g = Graph::new();
    let mut h = x(&g, "x");
    (0..100).for_each(|_| h = cube(&g, h));
    let y = mul(&g, h, x(&g, "y"));
    let one = full(&g, 1.0);
    let before = g.len();
    g.reverse(&[(y, one)], &[h]).unwrap();
    assert_eq!(g.len(), before);
}

#[test]
fn equal_gradients_are_shared() {
    let g = Graph::new();
    let a = x(&g, "x");
    let y = cube(&g, cube(&g, a));
    let once = grad(&g, y, a);
    let before = g.len();
    assert_eq!(grad(&g, y, a), once);
    assert_eq!(g.len(), before);
}

#[test]
fn no_seeds_reach_nothing() {
    let g = Graph::new();
    let a = x(&g, "x");
    assert_eq!(g.reverse(&[], &[a]).unwrap(), [Gradient::Unreached { cut: None }]);
    assert_eq!(g.reverse(&[(a, a)], &[]).unwrap(), []);
}

#[test]
fn a_raw_graph_has_the_same_gradients() {
    let (g, raw) = (Graph::new(), Graph::raw());
    let dx = |g: &Graph| {
        let a = x(g, "x");
        let y = mul(g, cube(g, a), full(g, 1.0));
        value(g, &feeds(), grad(g, y, a))
    };
    assert_close(&dx(&raw), &dx(&g), 1e-15);
    assert!(raw.len() > g.len());
    assert_eq!(raw.verify(), Ok(()));
}

#[test]
fn gradient_nodes_come_from_the_line_of_their_forward_node() {
    let g = Graph::new();
    let a = x(&g, "x");
    let (y, line) = (cube(&g, a), line!());
    let before = g.len();
    let ones = Toy::Full(1.0f64.to_bits(), f64x3());
    let dx = g.reverse(&[(y, g.push(ones, &[]))], &[a]).unwrap()[0].value().unwrap();
    assert!(dx.index() > before);
    assert_eq!(g.origin(dx).first().unwrap().line(), line);
}

/// Results of one computation are differentiated when all users of all of them are, wherever
/// these were recorded: between them, and after.
#[test]
fn results_of_one_computation_are_differentiated_together() {
    let g = Graph::new();
    let a = x(&g, "x");
    let of = cube(&g, a);
    let first = g.push(Toy::Part(0), &[of]);
    let between = mul(&g, first, a);
    let second = g.push(Toy::Part(1), &[of]);
    let y = add(&g, mul(&g, between, second), mul(&g, first, second));
    let feeds = Feeds::from([("x", vec![0.5, -1.25, 0.75])]);
    let dx = value(&g, &feeds, grad(&g, y, a));
    for i in 0..3 {
        let mut e = vec![0.0; 3];
        e[i] = 1.0;
        let expected = central(&g, &feeds, y, "x", &e)[i];
        assert_close(&[dx[i]], &[expected], 1e-6);
    }
    // One of them alone, and one of them asked for.
    let alone = value(&g, &feeds, grad(&g, between, a));
    for (dx, x) in alone.iter().zip(&feeds["x"]) {
        assert_close(&[*dx], &[7.0 * x.powi(6)], 1e-12);
    }
    let of_first = value(&g, &feeds, grad(&g, y, first));
    let want: Vec<f64> = feeds["x"].iter().map(|x| (x + 1.0) * x.powi(9)).collect();
    assert_close(&of_first, &want, 1e-12);
}
