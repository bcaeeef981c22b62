//! Recording: sharing, canonical order, identities, raw graphs.

mod toy;

use pleach_graph::{NodeId, Traits, TypeError};
use pleach_tensor::{F32, I64, Type};
use toy::{Dull, Graph, Quirk, Toy, add, cube, f64x3, full, mul, source, x};

#[test]
fn equal_nodes_are_one() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    assert_eq!(x(&g, "a"), a);
    assert_ne!(a, b);
    assert_eq!(cube(&g, a), cube(&g, a));
    assert_ne!(cube(&g, a), cube(&g, b));
    assert_eq!(mul(&g, cube(&g, a), b), mul(&g, cube(&g, a), b));
    assert_eq!(g.len(), 5);
}

#[test]
fn what_is_recorded_is_found() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let product = mul(&g, a, b);
    assert_eq!(g.find(&g.op(product), &[b, a]), Some(product), "in any order");
    assert_eq!((g.find(&g.op(product), &[a, a]), g.find(&g.op(a), &[])), (None, Some(a)));
    assert_eq!(g.len(), 3);
}

#[test]
fn sources_of_another_type_are_other_nodes() {
    let g = Graph::new();
    let types = [f64x3(), Type::new(F32, [3]).unwrap(), Type::new(I64, [3]).unwrap()];
    let ids: Vec<NodeId> = types.iter().map(|ty| source(&g, "x", ty)).collect();
    assert_eq!(g.len(), 3);
    for (id, ty) in ids.iter().zip(&types) {
        assert_eq!(g.ty(*id), *ty);
        assert_eq!(add(&g, *id, *id), add(&g, *id, *id));
    }
}

#[test]
fn commutative_operands_have_one_order() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let sum = add(&g, b, a);
    assert_eq!(sum, add(&g, a, b));
    assert_eq!(g.node(sum).inputs.as_slice(), [a, b]);
    assert_eq!(mul(&g, sum, a), mul(&g, a, sum));
}

#[test]
fn one_times_x_is_x() {
    let g = Graph::new();
    let a = x(&g, "a");
    assert_eq!(mul(&g, a, full(&g, 1.0)), a);
    assert_eq!(mul(&g, full(&g, 1.0), a), a);
    assert_ne!(mul(&g, full(&g, 2.0), a), a);
}

#[test]
fn only_the_exact_zero_disappears_from_a_sum() {
    let g = Graph::new();
    let a = x(&g, "a");
    assert_eq!(add(&g, a, full(&g, -0.0)), a);
    assert_ne!(add(&g, a, full(&g, 0.0)), a, "-0 + 0 is 0, not -0");
}

#[test]
fn identities_of_identities_are_followed() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let sum = add(&g, a, b);
    for n in [0, 3, 7] {
        assert_eq!(g.push(Toy::Odd(Quirk::Chain(n)), &[a, b]), sum, "after {n} rewrites");
    }
    assert_eq!(g.len(), 3);
}

#[test]
fn endless_identities_end() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let y = g.push(Toy::Odd(Quirk::Chain(200)), &[a, b]);
    assert_eq!(g.op(y), Toy::Odd(Quirk::Chain(192)));
}

#[test]
fn an_identity_that_records_nonsense_is_an_error_not_a_panic() {
    let g = Graph::new();
    let y = g.push(Toy::Odd(Quirk::Stumble), &[x(&g, "a")]);
    assert!(y.is_poisoned());
    assert_eq!(g.error_of(y).unwrap().reason, TypeError::Arity { expected: 2, got: 1 });
}

#[test]
fn raw_graphs_record_what_is_written() {
    let g = Graph::raw();
    assert!(g.is_raw());
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let sum = add(&g, b, a);
    assert_eq!(g.node(sum).inputs.as_slice(), [b, a], "no canonical order");
    assert_ne!(add(&g, b, a), sum, "no sharing");
    assert_ne!(mul(&g, a, full(&g, 1.0)), a, "no identities");
    assert_eq!(g.verify(), Ok(()));
}

#[test]
fn raw_graphs_share_sources() {
    let g = Graph::raw();
    let a = x(&g, "a");
    assert_eq!(x(&g, "a"), a);
    assert_eq!(g.len(), 1);
    assert_ne!(full(&g, 1.0), full(&g, 1.0), "a constant is no source");
}

#[test]
fn operators_of_one_hash_are_not_one() {
    let g = Graph::new();
    let a = x(&g, "a");
    let dull = |n: u32| g.push(Toy::Odd(Quirk::Dull(Dull(n))), &[a]);
    let ids: Vec<NodeId> = (0..50).map(dull).collect();
    assert_eq!(g.len(), 51);
    assert!((0..50).map(dull).eq(ids));
}

#[test]
fn of_equal_nodes_the_first_is_shared() {
    let nodes = 500;
    let text: String = (1..nodes).map(|i| format!("%{i} = cube %{}\n", (i - 1) / 5)).collect();
    let g = Graph::parse(&format!("%0 = in(\"a\") : f64[3]\n{text}"), &Vec::new()).unwrap();
    for i in 0..nodes / 5 {
        assert_eq!(cube(&g, NodeId::new(i)), NodeId::new(5 * i + 1));
    }
    assert_eq!(g.len(), nodes);
}

#[test]
fn traits_are_promised_one_by_one() {
    let both = Traits::LINEAR | Traits::ELEMENTWISE;
    assert!(both.has(Traits::LINEAR) && both.has(Traits::ELEMENTWISE) && both.has(both));
    assert!(both.has(Traits::NONE) && !Traits::NONE.has(Traits::LINEAR));
    assert!(!Traits::LINEAR.has(both), "half of a promise is none");
    assert_eq!(both, Traits::ELEMENTWISE.and(Traits::LINEAR));
}

#[test]
fn no_operator_runs_under_a_borrow() {
    // `simplify` of the toy language asks the graph for operators; `vjp` records.
    let g = Graph::new();
    let a = x(&g, "a");
    let y = mul(&g, a, cube(&g, a));
    g.reverse(&[(y, full(&g, 1.0))], &[a]).unwrap();
    g.context().borrow_mut().push("kept beside the tape".into());
    assert_eq!(g.context().borrow().len(), 1);
}

#[test]
fn more_operands_than_an_edge_can_number_are_refused() {
    let g = Graph::new();
    let many = vec![x(&g, "a"); (1 << 16) + 1];
    let y = g.push(Toy::Add, &many);
    let reason = TypeError::Arity { expected: 1 << 16, got: (1 << 16) + 1 };
    assert_eq!(g.error_of(y).unwrap().reason, reason);
}

#[test]
fn a_new_graph_is_empty() {
    let g = Graph::new();
    assert!(g.is_empty() && g.ids().next().is_none() && g.check().is_ok());
    x(&g, "a");
    assert!(!g.is_empty());
    assert_eq!(g.ids().len(), 1);
    assert_eq!(g.get(NodeId::new(1)), None);
}

#[test]
fn debug_is_the_text() {
    let g = Graph::new();
    cube(&g, x(&g, "a"));
    assert_eq!(format!("{g:?}"), g.to_string());
    assert!(g.to_string().contains("cube %0"));
}
