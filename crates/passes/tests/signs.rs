//! Signs go where they cost nothing, and nowhere else.

use expect_test::expect;
use pleach_ops::prelude::*;
use pleach_passes::testing::{check, check_unchanged, graph, run};
use pleach_passes::{Level, PassCx, Signs};

const X: &str = "%x = input(name:\"x\",position:0,ty:\"f32[3]\")\n%y = input(name:\"y\",position:1,ty:\"f32[3]\")\n";

#[test]
fn two_signs_under_a_product_go_with_all_that_lies_between() {
    check(
        Signs,
        &format!(
            "{X}%1 = neg %x\n%2 = neg %y\n%3 = tanh %2\n%4 = reshape(shape:[3,1]) %3\n\
             %5 = reshape(shape:[1,3]) %1\n%6 = matmul %4 %5\nreturn %6"
        ),
        expect![[r#"
            %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
            %1 = input(name:"y",position:1,ty:"f32[3]") : f32[3]
            %2 = neg %0 : f32[3]
            %3 = neg %1 : f32[3]
            %4 = tanh %3 : f32[3]
            %5 = reshape(shape:[3,1]) %4 : f32[3, 1]
            %6 = reshape(shape:[1,3]) %2 : f32[1, 3]
            %7 = tanh %1 : f32[3]
            %8 = reshape(shape:[3,1]) %7 : f32[3, 1]
            %9 = reshape(shape:[1,3]) %0 : f32[1, 3]
            %10 = matmul %8 %9 : f32[3, 3]
            return %10
        "#]],
    );
}

#[test]
fn a_sum_of_a_sign_is_a_difference_and_constants_take_signs() {
    check(
        Signs,
        &format!(
            "{X}%1 = neg %x\n%2 = sin %1\n%3 = add %y %2\n%4 = constant(ty:\"f32[3]\",data:[1.0,2.0,3.0])\n\
             %5 = mul %x %4\n%6 = neg %5\nreturn %3\nreturn %6"
        ),
        expect![[r#"
            %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
            %1 = input(name:"y",position:1,ty:"f32[3]") : f32[3]
            %2 = neg %0 : f32[3]
            %3 = sin %2 : f32[3]
            %4 = sin %0 : f32[3]
            %5 = sub %1 %4 : f32[3]
            %6 = constant(ty:"f32[3]",data:[1.0,2.0,3.0]) : f32[3]
            %7 = mul %0 %6 : f32[3]
            %8 = constant(ty:"f32[3]",data:[-1.0,-2.0,-3.0]) : f32[3]
            %9 = mul %0 %8 : f32[3]
            return %5
            return %9
        "#]],
    );
}

#[test]
fn a_sign_stays_where_it_would_cost_something() {
    // What it is of is used elsewhere too, or is no odd function; one sign under a product.
    check_unchanged(
        Signs,
        &format!("{X}%1 = mul %x %y\n%2 = sub %x %1\n%3 = exp %2\n%4 = neg %3\nreturn %4"),
    );
    check_unchanged(Signs, &format!("{X}%1 = sub %x %y\n%2 = neg %1\nreturn %1\nreturn %2"));
    check_unchanged(Signs, &format!("{X}%1 = neg %x\n%2 = mul %1 %y\nreturn %2"));
    check_unchanged(
        Signs,
        &format!("{X}%1 = neg %x\n%2 = tanh %1\n%3 = add %2 %y\nreturn %2\nreturn %3"),
    );
    let exact = format!("{X}%1 = neg %x\n%2 = tanh %1\n%3 = neg %2\nreturn %3");
    assert!(run(&Signs, &graph(&exact), &mut PassCx::reference(Level::Exact)).0.is_none());
    // Integers wrap.
    let g = Graph::new();
    let (x, y) = (g.input("x", I32, [3]), g.input("y", I32, [3]));
    g.output("z", ((-x) * (-y)).id());
    assert!(run(&Signs, &g, &mut PassCx::reference(Level::Default)).0.is_none());
}
