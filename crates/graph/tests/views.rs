//! Looking at a graph: users, live nodes, pictures.

mod toy;

use expect_test::expect;
use pleach_graph::NodeId;
use toy::{Graph, Toy, add, cube, mul, x};

#[test]
fn users_are_listed_by_slot_in_the_order_of_recording() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let product = mul(&g, a, b);
    let square = mul(&g, a, a);
    let sum = add(&g, square, a);
    assert_eq!(g.users(a), [(product, 0), (square, 0), (square, 1), (sum, 0)]);
    assert_eq!(g.users(b), [(product, 1)]);
    assert_eq!(g.users(square), [(sum, 1)], "operands have their canonical order");
    assert_eq!(g.users(sum), []);
    assert_eq!(g.users(NodeId::new(99)), []);
}

#[test]
fn users_that_are_recorded_between_two_questions_are_found() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let product = mul(&g, a, b);
    assert_eq!(g.users(a), [(product, 0)]);
    let sum = add(&g, product, a);
    assert_eq!(g.twins(sum), []);
    let again = mul(&g, product, a);
    assert_eq!(g.users(a), [(product, 0), (sum, 0), (again, 0)]);
    assert_eq!((g.users(product), g.twins(again)), (vec![(sum, 1), (again, 1)], vec![sum]));
    assert_eq!(g.verify(), Ok(()));
}

#[test]
fn twins_have_the_same_operands_and_stand_before() {
    let g = Graph::new();
    let (a, b) = (x(&g, "a"), x(&g, "b"));
    let (product, square, sum) = (mul(&g, a, b), mul(&g, a, a), add(&g, a, b));
    assert_eq!(g.twins(sum), [product]);
    assert_eq!((g.twins(product), g.twins(square), g.twins(a)), (vec![], vec![], vec![]));
}

#[test]
fn a_poisoned_value_has_no_users() {
    let g = Graph::new();
    cube(&g, x(&g, "a"));
    let bad = g.push(Toy::Add, &[]);
    assert_eq!(bad.index(), 0, "the index of another node");
    assert_eq!(g.users(bad), []);
}

#[test]
fn live_is_what_outputs_assignments_and_targets_need() {
    let g = Graph::new();
    let (a, b, s) = (x(&g, "a"), x(&g, "b"), x(&g, "s"));
    let y = cube(&g, a);
    let dead = cube(&g, b);
    assert_eq!(*g.live(), [false; 5]);
    g.output("y", y);
    assert_eq!(*g.live(), [true, false, false, true, false]);
    g.assign("s", s, a);
    assert_eq!(*g.live(), [true, false, true, true, false]);
    g.output("dead", dead);
    assert_eq!(*g.live(), [true; 5]);
    let late = add(&g, y, dead);
    assert_eq!(*g.live(), [true, true, true, true, true, false]);
    g.output("late", late);
    assert_eq!(*g.live(), [true; 6]);
    g.clear_roots();
    assert_eq!(*g.live(), [false; 6]);
}

#[test]
fn dot_draws_operands_outputs_dead_nodes_and_assignments() {
    let text = "%0 = in(\"a\\\\\") : f64[3]; %1 = mul %0 %0; %2 = cube %0
                return \"y\" = %1; assign \"a\" %0 = %1";
    let g = Graph::parse(text, &Vec::new()).unwrap();
    expect![[r#"
        digraph pleach {
          node [shape=box, fontname=monospace];
          n0 [label="%0 in(\"a\\\\\")\nf64[3]", tooltip="", style=solid, peripheries=1];
          n1 [label="%1 mul\nf64[3]", tooltip="", style=solid, peripheries=2];
          n0 -> n1 [label=0];
          n0 -> n1 [label=1];
          n2 [label="%2 cube\nf64[3]", tooltip="", style=dashed, peripheries=1];
          n0 -> n2 [label=0];
          n1 -> n0 [color=red, constraint=false];
        }
    "#]]
    .assert_eq(&g.dot());
}

#[test]
fn dot_shows_the_line() {
    let g = Graph::new();
    let (_, line) = (x(&g, "a"), line!());
    assert!(g.dot().contains(&format!("tooltip=\"{}:{line}:", file!())), "{}", g.dot());
}

#[test]
fn a_graph_with_errors_can_be_looked_at() {
    let g = Graph::new();
    let bad = g.push(Toy::Add, &[x(&g, "a")]);
    g.output("bad", bad);
    assert_eq!(*g.live(), [false]);
    assert_eq!(g.to_string(), "%0 = in(\"a\") : f64[3]\n");
    assert!(g.dot().contains("dashed"));
}
