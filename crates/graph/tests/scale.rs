//! A million nodes on a small stack: no algorithm recurses, none is quadratic.

mod toy;

use pleach_graph::{Body, NodeId, Rewrite};
use toy::{Graph, Toy, add, cube, f64x3, full, x};

const MILLION: usize = 1_000_000;

/// Runs on a thread with a stack of 2 MiB, whatever the test runner's stack is.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(f).expect("a thread");
    thread.join().expect("no panic");
}

/// `a + b + b + …`
fn chain(g: &Graph, n: usize) -> NodeId {
    let b = x(g, "b");
    (0..n).fold(x(g, "a"), |sum, _| add(g, sum, b))
}

#[test]
fn a_chain_of_a_million_nodes_is_recorded_differentiated_rebuilt_and_dropped() {
    on_a_small_stack(|| {
        let g = Graph::new();
        let y = chain(&g, MILLION);
        assert_eq!(g.len(), MILLION + 2);
        let dy = full(&g, 1.0);
        let ids = [x(&g, "a"), x(&g, "b")];
        let gradients = g.reverse(&[(y, dy)], &ids).unwrap();
        assert_eq!(gradients[0].value(), Some(dy));
        let summed = gradients[1].value().unwrap();
        assert!(g.len() >= 2 * MILLION, "one sum for every use of b");
        g.output("y", y);
        g.output("db", summed);
        assert!(g.live()[..g.len()].iter().all(|live| *live));
        let (new, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        assert_eq!(map.get(y), Some(y));
        assert_eq!((new.len(), new.structural_hash()), (g.len(), g.structural_hash()));
        drop((g, new, map));
    });
}

#[test]
fn a_chain_of_a_million_nodes_is_verified_printed_and_parsed() {
    on_a_small_stack(|| {
        let g = Graph::new();
        g.output("y", chain(&g, MILLION));
        assert_eq!(g.verify(), Ok(()));
        let text = g.to_string();
        assert_eq!(text.lines().count(), MILLION + 3);
        let parsed = Graph::parse(&text, &Vec::new()).unwrap();
        assert_eq!(parsed.structural_hash(), g.structural_hash());
    });
}

#[test]
fn a_long_chain_has_a_tangent() {
    on_a_small_stack(|| {
        let g = Graph::new();
        let y = chain(&g, MILLION / 10);
        let dy = g.jvp(&[y], &[(x(&g, "b"), full(&g, 1.0))]).unwrap()[0];
        assert!(dy.unwrap().index() > MILLION / 10);
    });
}

#[test]
fn a_long_chain_of_integers_is_followed_to_its_cut() {
    on_a_small_stack(|| {
        let g = Graph::new();
        let cut = g.push(Toy::Cast(pleach_tensor::I64), &[x(&g, "a")]);
        let end = (0..MILLION / 10).fold(cut, |sum, _| add(&g, sum, cut));
        let y = g.push(Toy::Cast(pleach_tensor::F64), &[end]);
        let found = g.reverse(&[(y, full(&g, 1.0))], &[x(&g, "a")]).unwrap()[0];
        assert_eq!(found, pleach_graph::Gradient::Unreached { cut: Some(cut) });
    });
}

#[test]
fn a_node_with_a_hundred_thousand_users_is_rebuilt() {
    // Redirecting its edges one by one is quadratic: ten seconds and more.
    let g = Graph::new();
    let a = x(&g, "a");
    let users: Vec<NodeId> =
        (0..100_000).map(|i| add(&g, a, full(&g, f64::from(i) + 0.5))).collect();
    assert_eq!(g.users(a).len(), users.len());
    // By the operand of few users: by the other one, this would look at all users of all.
    assert!(users.iter().all(|&user| g.twins(user).is_empty()));
    let (new, map) =
        g.rebuild(
            |new, old, _, _| {
                if old == a { Rewrite::Replace(cube(new, x(new, "b"))) } else { Rewrite::Keep }
            },
        );
    assert_eq!(new.users(map.get(a).unwrap()).len(), users.len());
    assert_eq!(new.verify(), Ok(()));
}

#[test]
fn a_long_body_is_recorded_printed_and_parsed() {
    on_a_small_stack(|| {
        let g = Graph::new();
        let n = MILLION / 10;
        let record = |p: &[NodeId]| vec![(0..n).fold(p[0], |sum, _| add(&g, sum, p[0]))];
        let (body, _) = g.frame(&[f64x3()], record).unwrap();
        assert_eq!(body.nodes().len(), n + 1);
        assert_eq!(Body::parse(&body.to_string(), &Vec::new()), Ok((*body).clone()));
        let y = body.instantiate(&g, &[x(&g, "a")])[0];
        assert_eq!(y.index(), n);
    });
}

#[test]
fn deep_text_is_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        let deep = |n: usize| format!("%0 = {}{}", "call{%0 = ".repeat(n), "}".repeat(n));
        for n in [2, 30, 60, 100, 100_000] {
            assert!(Graph::parse(&deep(n), &Vec::new()).is_err());
        }
    });
}
