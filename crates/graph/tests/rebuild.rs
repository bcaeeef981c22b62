//! Rewriting by building anew: what is kept, replaced, dropped, and where it went.

mod toy;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pleach_graph::{NodeId, NodeMap, Rewrite};
use proptest::prelude::*;
use toy::eval::{Feeds, values};
use toy::random::{any_graph, recipe, smooth};
use toy::{Graph, Toy, add, cube, full, mul, x};

fn copy(g: &Graph) -> (Graph, NodeMap) {
    g.rebuild(|_, _, _, _| Rewrite::Keep)
}

/// Drops what no output needs.
fn prune(g: &Graph) -> (Graph, NodeMap) {
    let live = g.live();
    g.rebuild(|_, old, _, _| if live[old.index()] { Rewrite::Keep } else { Rewrite::Drop })
}

#[test]
fn keeping_everything_copies_the_graph() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (y, line) = (cube(&g, a), line!());
    g.output("y", y);
    g.assign("a", a, y);
    let (new, map) = copy(&g);
    assert_eq!(new.to_string(), g.to_string());
    assert_eq!(map.get(y), Some(y));
    assert_eq!(map.len(), 2);
    assert_eq!(new.origin(y).first().unwrap().line(), line, "with its origin");
    assert_eq!(new.origin(y), g.origin(y));
}

#[test]
fn what_was_kept_is_found_by_who_records_more() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (dead, y) = (cube(&g, add(&g, a, a)), cube(&g, a));
    g.output("y", mul(&g, y, a));
    let (new, map) = prune(&g);
    assert_eq!(map.get(dead), None);
    let (a, y) = (map.get(a).expect("kept"), map.get(y).expect("kept"));
    assert_eq!(new.find(&Toy::Cube, &[a]), Some(y));
    let len = new.len();
    assert_eq!(x(&new, "a"), a, "a source");
    assert_eq!(mul(&new, y, a), mul(&new, a, y), "an operator");
    assert_eq!(new.len(), len);
    assert_eq!(new.verify(), Ok(()));
}

#[test]
fn what_a_rewrite_recorded_before_is_found_by_what_is_kept() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (sum, y) = (add(&g, a, a), cube(&g, a));
    g.output("y", mul(&g, sum, y));
    // At the sum the cube is recorded, which is kept later.
    let (new, map) =
        g.rebuild(
            |new, old, _, inputs| {
                if old == sum { Rewrite::Replace(cube(new, inputs[0])) } else { Rewrite::Keep }
            },
        );
    assert_eq!(map.get(sum), map.get(y));
    assert_eq!((new.len(), new.verify()), (3, Ok(())));
}

#[test]
fn a_look_at_all_nodes_sees_what_a_look_at_each_does() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    g.output("y", mul(&g, add(&g, a, b), cube(&g, b)));
    let (mut all, mut each) = (Vec::new(), Vec::new());
    g.each(|id, node, types| all.push((id, node.clone(), types.len())));
    for id in g.ids() {
        each.extend(g.peek_typed(id, |node, types| (id, node.clone(), types.len())));
    }
    assert_eq!(all, each);
    assert_eq!(all.len(), 5);
}

#[test]
fn a_raw_graph_is_shared_and_simplified() {
    let g = Graph::raw();
    let a = x(&g, "a");
    let (first, second) = (cube(&g, a), mul(&g, cube(&g, a), full(&g, 1.0)));
    g.output("y", add(&g, second, first));
    let (new, map) = copy(&g);
    assert_eq!(map.get(first), map.get(second));
    assert_eq!(new.to_string().matches("cube").count(), 1);
    assert_eq!(new.verify(), Ok(()));
    assert!(!new.is_raw());
    assert_eq!(new.origin(map.get(first).unwrap()).sites().len(), 3, "all places are kept");
}

#[test]
fn a_rule_sees_the_new_operands_and_records_in_the_new_graph() {
    let g = Graph::new();
    let a = x(&g, "a");
    let (y, line) = (cube(&g, cube(&g, a)), line!());
    g.output("y", y);
    let (new, map) = g.rebuild(|new, old, node, inputs| {
        if node.op != Toy::Cube {
            return Rewrite::Keep;
        }
        assert_eq!(*g.node(old), *node);
        Rewrite::Replace(mul(new, mul(new, inputs[0], inputs[0]), inputs[0]))
    });
    let text = "%0 = in(\"a\") : f64[3]\n%1 = mul %0 %0 : f64[3]\n%2 = mul %0 %1 : f64[3]\n\
                %3 = mul %2 %2 : f64[3]\n%4 = mul %2 %3 : f64[3]\nreturn \"y\" = %4\n";
    assert_eq!(new.to_string(), text);
    assert_eq!(map.get(y), Some(NodeId::new(4)));
    let lines: Vec<u32> = new.origin(NodeId::new(3)).sites().iter().map(|s| s.line()).collect();
    assert_eq!(lines, [line], "of the old node, not of the rule");
}

#[test]
fn what_is_dropped_takes_its_users_with_it() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let dead = cube(&g, b);
    let user = cube(&g, dead);
    g.output("a", a);
    let asked = std::cell::Cell::new(0);
    let (new, map) = g.rebuild(|_, old, _, _| {
        asked.set(asked.get() + 1);
        if old == dead { Rewrite::Drop } else { Rewrite::Keep }
    });
    assert_eq!((map.get(dead), map.get(user)), (None, None));
    assert_eq!((new.len(), asked.get()), (2, 4));
    let panic = catch_unwind(AssertUnwindSafe(|| g.rebuild(|_, _, _, _| Rewrite::Drop).1));
    let panic = panic.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("must not drop what an output needs"), "{text}");
}

#[test]
fn errors_are_carried_over() {
    let g = Graph::new();
    let a = x(&g, "a");
    g.output("bad", g.push(Toy::Add, &[a]));
    g.output("a", a);
    let (new, map) = copy(&g);
    assert_eq!(new.check(), g.check());
    assert!(new.check().is_err(), "a rebuilt graph must not look better than it is");
    assert_eq!(new.roots().len(), 1);
    assert_eq!(map.get(g.push(Toy::Add, &[a])), None, "a poisoned id is no node");
}

#[test]
fn an_ill_typed_replacement_is_an_error_of_the_new_graph() {
    let g = Graph::new();
    let y = cube(&g, cube(&g, x(&g, "a")));
    g.output("y", y);
    let (new, _) = g.rebuild(|new, _, node, inputs| match node.op {
        Toy::Cube => Rewrite::Replace(new.push(Toy::Add, inputs)),
        _ => Rewrite::Keep,
    });
    assert_eq!(new.errors().len(), 1);
    assert!(new.verify().is_err());
}

#[test]
fn maps_compose() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let y = cube(&g, b);
    g.output("y", y);
    let (pruned, first) = prune(&g);
    let (_, second) = pruned.rebuild(|new, _, node, inputs| match node.op {
        Toy::Cube => Rewrite::Replace(mul(new, inputs[0], mul(new, inputs[0], inputs[0]))),
        _ => Rewrite::Keep,
    });
    let map = first.then(&second);
    assert_eq!(map.get(a), None);
    assert_eq!(map.get(b), Some(NodeId::new(0)));
    assert_eq!(map.get(y), Some(NodeId::new(2)));
    assert_eq!((map.len(), map.get(NodeId::new(9))), (3, None));
    assert!(NodeMap::default().is_empty() && !map.is_empty());
}

#[test]
fn only_the_graph_itself_is_mapped() {
    let g = Graph::new();
    x(&g, "a");
    let (_, map) = copy(&g);
    g.frame(&[toy::f64x3()], |p| {
        assert_eq!(map.get(p[0]), None);
        p.to_vec()
    })
    .unwrap();
}

proptest! {
    #[test]
    fn rebuilding_is_idempotent_and_keeps_values(recipe in recipe(30), raw: bool) {
        let g = if raw { Graph::raw() } else { Graph::new() };
        let ids = smooth(&g, &recipe);
        g.output("y", ids[ids.len() - 1]);
        let (new, map) = copy(&g);
        let (again, _) = copy(&new);
        prop_assert_eq!(again.to_string(), new.to_string());
        prop_assert_eq!(new.verify(), Ok(()));
        let feeds = Feeds::from([("x", vec![0.5, -1.0, 2.0]), ("y", vec![-0.25, 3.0, 1.5])]);
        let (old, rebuilt) = (values(&g, &feeds), values(&new, &feeds));
        for id in g.ids() {
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let (old, new) = (&old[id.index()], &rebuilt[map.get(id).unwrap().index()]);
            prop_assert!(bits(old) == bits(new) || old.iter().any(|v| v.is_nan()));
        }
    }

    #[test]
    fn pruning_leaves_only_what_is_needed(recipe in recipe(30)) {
        let g = Graph::new();
        any_graph(&g, &recipe);
        let (new, _) = prune(&g);
        prop_assert!(new.live().iter().all(|live| *live));
        prop_assert_eq!(new.len(), g.live().iter().filter(|live| **live).count());
        prop_assert_eq!(new.roots().len(), g.roots().len());
        prop_assert_eq!(new.verify(), Ok(()));
    }
}
