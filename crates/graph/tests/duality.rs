//! Laws of both modes on random graphs: `⟨vjp(w), v⟩ = ⟨w, jvp(v)⟩`, at first and second order.

mod toy;

use pleach_graph::NodeId;
use proptest::prelude::*;
use toy::eval::{Feeds, central, dot, values};
use toy::random::{Step, recipe, smooth};
use toy::{Graph, full, x};

fn point() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0, 3)
}

fn feeds() -> impl Strategy<Value = Feeds<'static>> {
    let names = ["x", "y", "vx", "vy", "w"];
    [point(), point(), point(), point(), point()]
        .prop_map(move |points| names.into_iter().zip(points).collect())
}

/// `⟨vjp(w), v⟩` and `⟨w, jvp(v)⟩` of `y`, and the sum of the absolute terms.
fn both(g: &Graph, ids: [NodeId; 2], y: NodeId, feeds: &Feeds<'_>) -> (f64, f64, f64) {
    let (vx, vy, w) = (x(g, "vx"), x(g, "vy"), x(g, "w"));
    let pulled = g.reverse(&[(y, w)], &ids).expect("differentiable");
    let pushed = g.jvp(&[y], &[(ids[0], vx), (ids[1], vy)]).expect("differentiable")[0];
    let values = values(g, feeds);
    let mut left = 0.0;
    let mut scale = 0.0;
    for (gradient, v) in pulled.iter().zip(["vx", "vy"]) {
        if let Some(dx) = gradient.value() {
            left += dot(&values[dx.index()], &feeds[v]);
            let terms = values[dx.index()].iter().zip(&feeds[v]).map(|(a, b)| (a * b).abs());
            scale += terms.sum::<f64>();
        }
    }
    let right = pushed.map_or(0.0, |dy| dot(&values[dy.index()], &feeds["w"]));
    (left, right, scale)
}

fn inputs_and_result(g: &Graph, recipe: &[Step]) -> ([NodeId; 2], NodeId) {
    let ids = smooth(g, recipe);
    ([ids[0], ids[1]], ids[ids.len() - 1])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn reverse_is_the_transpose_of_forward(recipe in recipe(24), feeds in feeds()) {
        let g = Graph::new();
        let (ids, y) = inputs_and_result(&g, &recipe);
        let (left, right, scale) = both(&g, ids, y, &feeds);
        prop_assume!(scale.is_finite());
        prop_assert!((left - right).abs() <= 1e-10 * scale.max(1.0), "{left} {right}\n{g}");
        prop_assert_eq!(g.verify(), Ok(()));
    }

    #[test]
    fn also_of_the_gradient(recipe in recipe(12), feeds in feeds()) {
        let g = Graph::new();
        let (ids, y) = inputs_and_result(&g, &recipe);
        let gradient = g.reverse(&[(y, full(&g, 1.0))], &ids).unwrap()[0];
        let Some(dx) = gradient.value() else { return Ok(()) };
        let (left, right, scale) = both(&g, ids, dx, &feeds);
        prop_assume!(scale.is_finite());
        prop_assert!((left - right).abs() <= 1e-10 * scale.max(1.0), "{left} {right}\n{g}");
    }

    #[test]
    fn forward_agrees_with_central_differences(recipe in recipe(10), feeds in feeds()) {
        let g = Graph::new();
        let ([a, _], y) = inputs_and_result(&g, &recipe);
        let dy = g.jvp(&[y], &[(a, x(&g, "vx"))]).unwrap()[0];
        let expected = central(&g, &feeds, y, "x", &feeds["vx"]);
        let values = values(&g, &feeds);
        let got = dy.map_or(vec![0.0; 3], |dy| values[dy.index()].clone());
        let size = values[y.index()].iter().chain(&got).fold(1.0f64, |m, v| m.max(v.abs()));
        prop_assume!(size < 1e3);
        for (got, expected) in got.iter().zip(expected) {
            prop_assert!((got - expected).abs() <= 1e-4 * size, "{got} {expected}\n{g}");
        }
    }
}
