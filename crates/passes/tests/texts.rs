//! Every pass on small graphs: where it fires, and where it must not.

use std::sync::Arc;

use expect_test::expect;
use pleach_ops::{Fused, Op};
use pleach_passes::testing::{check, check_unchanged, graph, run};
use pleach_passes::{Fold, Fuse, Level, PassCx, Prune, Share, Simplify};

const X: &str = "%x = input(name:\"x\",position:0,ty:\"f32[3]\")\n";
const Y: &str = "%y = input(name:\"y\",position:1,ty:\"f32[3]\")\n";

#[test]
fn prune_drops_what_no_output_needs() {
    let text = format!("{X}%1 = exp %x\n%2 = neg %x\nreturn %2");
    check(
        Prune,
        &text,
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = neg %0 : f32[3]
        return %1
    "#]],
    );
}

#[test]
fn prune_keeps_what_only_an_assignment_needs() {
    let text = "%s = variable(name:\"s\",kind:buffer,ty:\"f32[]\",init:full(0.0),key:(0))
        %1 = exp %s\nassign \"s\" %s = %1";
    check_unchanged(Prune, text);
}

#[test]
fn prune_lists_variables_that_nothing_needs() {
    let text = "%w = variable(name:\"w\",kind:param,ty:\"f32[2, 3]\",init:full(0.0),key:(0))
        %1 = exp %w\n%2 = full(value:1.0,ty:\"f32[]\")\nreturn %2";
    let (_, ledger) = run(&Prune, &graph(text), &mut PassCx::reference(Level::Exact));
    assert_eq!(ledger.unused, ["w"]);
    assert_eq!(ledger.sum().params, 0);
    assert_eq!(ledger.recorded().params, 6);
}

#[test]
fn share_makes_two_equal_sigmoids_one() {
    let text = format!("{X}%1 = sigmoid %x\n%2 = sigmoid %x\n%3 = mul %1 %2\nreturn %3");
    check(
        Share,
        &text,
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = sigmoid %0 : f32[3]
        %2 = mul %1 %1 : f32[3]
        return %2
    "#]],
    );
}

#[test]
fn what_is_there_for_another_use_costs_nothing() {
    let text =
        |outputs: &str| format!("{X}%1 = neg %x\n%2 = sin %x\n%3 = neg %2\nreturn %3{outputs}");
    check(
        Simplify::default(),
        &text("\nreturn %1"),
        expect![[r#"
            %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
            %1 = neg %0 : f32[3]
            %2 = sin %0 : f32[3]
            %3 = sin %1 : f32[3]
            return %3
            return %1
        "#]],
    );
    // Not beside a value that nothing needs, nor where the sine stays.
    check_unchanged(Simplify::default(), &text(""));
    check_unchanged(Simplify::default(), &text("\nreturn %1\nreturn %2"));
}

#[test]
fn share_keeps_draws_of_different_keys() {
    let text = "%1 = constant(ty:\"i64[]\",data:[1])\n%2 = constant(ty:\"i64[]\",data:[2])
        %3 = uniform(ty:\"f32[3]\") %1\n%4 = uniform(ty:\"f32[3]\") %2
        %5 = sub %3 %4\nreturn %5";
    check_unchanged(Share, text);
}

#[test]
fn fold_evaluates_what_is_constant() {
    let text = "%0 = constant(ty:\"f64[2]\",data:[0.0,1.0])\n%1 = exp %0
        %2 = sum(axes:[0]) %1\nreturn %2";
    check(
        Fold,
        text,
        expect![[r#"
        %0 = constant(ty:"f64[2]",data:[0.0,1.0]) : f64[2]
        %1 = constant(ty:"f64[2]",data:[1.0,2.718281828459045]) : f64[2]
        %2 = full(value:3.718281828459045,ty:"f64[]") : f64[]
        return %2
    "#]],
    );
}

#[test]
fn fold_of_splats_is_a_splat_of_any_size() {
    let text = "%0 = full(value:0.0,ty:\"f64[100000, 1000]\")\n%1 = exp %0\nreturn %1";
    check(
        Fold,
        text,
        expect![[r#"
        %0 = full(value:0.0,ty:"f64[100000, 1000]") : f64[100000, 1000]
        %1 = full(value:1.0,ty:"f64[100000, 1000]") : f64[100000, 1000]
        return %1
    "#]],
    );
}

#[test]
fn fold_keeps_random_numbers_and_what_is_fed() {
    let random = "%0 = constant(ty:\"i64[]\",data:[1])\n%1 = uniform(ty:\"f32[3]\") %0\nreturn %1";
    check_unchanged(Fold, random);
    check_unchanged(Fold, &format!("{X}%1 = exp %x\nreturn %1"));
}

#[test]
fn fold_keeps_to_its_budgets_and_says_so() {
    let text = "%0 = constant(ty:\"i64[1, 2]\",data:[1,2])
        %1 = broadcast(shape:[40000, 2]) %0\nreturn %1";
    let mut cx = PassCx::reference(Level::Default);
    let (new, ledger) = run(&Fold, &graph(text), &mut cx);
    assert!(new.is_none());
    let reason = &ledger.passes[0].skipped[0].reason;
    assert_eq!(reason, "the result has more elements than are folded");
    let mut cx = PassCx::reference(Level::Default);
    cx.fold_elements = 80_000;
    assert!(run(&Fold, &graph(text), &mut cx).0.is_some());
    let mut cx = PassCx::reference(Level::Default);
    (cx.fold_elements, cx.fold_bytes) = (80_000, 9);
    let (new, ledger) = run(&Fold, &graph(text), &mut cx);
    assert!(new.is_none());
    let reason = &ledger.passes[0].skipped[0].reason;
    assert_eq!(reason, "the budget of bytes for folded constants is spent");
}

/// Of a vector and a matrix that lies otherwise in memory, the sums have another order.
#[test]
fn fold_turns_a_constant_at_no_level_that_keeps_bits() {
    let text = "%0 = constant(ty:\"f32[2, 3]\",data:[1.0,2.0,3.0,4.0,5.0,6.0])
        %1 = permute(order:[1, 0]) %0\nreturn %1";
    let folded = |level| run(&Fold, &graph(text), &mut PassCx::reference(level)).0.is_some();
    assert_eq!([Level::Exact, Level::Default].map(folded), [false, true]);
}

#[test]
fn fold_leaves_an_index_out_of_range_for_the_run() {
    let text = "%0 = constant(ty:\"f32[1, 2]\",data:[1.0,2.0])
        %1 = constant(ty:\"i64[1, 1]\",data:[7])\n%2 = gather(axis:1) %0 %1\nreturn %2";
    let (new, ledger) = run(&Fold, &graph(text), &mut PassCx::reference(Level::Exact));
    assert!(new.is_none());
    assert_eq!(ledger.passes[0].skipped[0].reason, "it has no value: the run will say why");
}

#[test]
fn simplify_applies_rules_until_nothing_changes() {
    let text = format!(
        "{X}%1 = full(value:1.0,ty:\"f32[3]\")\n%2 = add %x %1\n%3 = add %2 %1\n%4 = add %3 %1
        %5 = neg %4\n%6 = sub %x %5\nreturn %6"
    );
    check(
        Simplify::default(),
        &text,
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = full(value:1.0,ty:"f32[3]") : f32[3]
        %2 = add %0 %1 : f32[3]
        %3 = full(value:2.0,ty:"f32[3]") : f32[3]
        %4 = add %0 %3 : f32[3]
        %5 = full(value:3.0,ty:"f32[3]") : f32[3]
        %6 = add %0 %5 : f32[3]
        %7 = neg %6 : f32[3]
        %8 = add %0 %6 : f32[3]
        return %8
    "#]],
    );
}

#[test]
fn simplify_does_nothing_inexact_at_level_exact() {
    let text = format!(
        "{X}%1 = full(value:3.0,ty:\"f32[3]\")\n%2 = div %x %1\n%3 = full(value:0.0,ty:\"f32[3]\")
        %4 = add %2 %3\n%5 = ln %4\nreturn %5"
    );
    let (new, _) = run(&Simplify::default(), &graph(&text), &mut PassCx::reference(Level::Exact));
    assert!(new.is_none());
}

#[test]
fn simplify_does_not_multiply_work() {
    // The products are outputs too: with the sum factored there would be one operator more.
    let text = format!(
        "{X}{Y}%1 = mul %x %y\n%2 = mul %x %x\n%3 = add %1 %2\nreturn %1\nreturn %2\nreturn %3"
    );
    let (new, ledger) =
        run(&Simplify::default(), &graph(&text), &mut PassCx::reference(Level::Default));
    assert!(new.is_none());
    let skip = &ledger.passes[0].skipped[0];
    assert_eq!((&*skip.rule, skip.times), ("factor", 1));
    assert_eq!(skip.reason, "a value inside of it is used elsewhere too");
}

#[test]
fn simplify_says_why_a_guard_does_not_hold() {
    let text = format!("{X}%1 = sub %x %x\nreturn %1");
    let (new, ledger) =
        run(&Simplify::default(), &graph(&text), &mut PassCx::reference(Level::Default));
    assert!(new.is_none());
    let table = ledger.to_string();
    let line = "sub_self did not fire, once: it is not proved that the value is finite";
    assert!(table.contains(line), "{table}");
}

#[test]
fn fuse_makes_one_region_of_a_chain_with_its_constants() {
    let text = format!(
        "{X}{Y}%1 = mul %x %y\n%2 = full(value:1.0,ty:\"f32[3]\")\n%3 = add %1 %2\n%4 = exp %3
        %5 = mul %4 %3\nreturn %5"
    );
    check(
        Fuse::default(),
        &text,
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = input(name:"y",position:1,ty:"f32[3]") : f32[3]
        %2 = full(value:1.0,ty:"f32[3]") : f32[3]
        %3 = fused{%0 = parameter(index:0,ty:"f32[3]") : f32[3]; %1 = parameter(index:1,ty:"f32[3]") : f32[3]; %2 = mul %0 %1 : f32[3]; %3 = full(value:1.0,ty:"f32[3]") : f32[3]; %4 = add %2 %3 : f32[3]; %5 = exp %4 : f32[3]; %6 = mul %4 %5 : f32[3]; return %6} %0 %1 : f32[3]
        return %3
    "#]],
    );
}

#[test]
fn equal_regions_are_one_body_in_memory() {
    let text = format!(
        "{X}{Y}%1 = mul %x %y\n%2 = exp %1\n%3 = flip(axes:[0]) %2\n%4 = mul %3 %x\n%5 = exp %4
        %6 = flip(axes:[0]) %5\n%7 = mul %6 %x\n%8 = tanh %7\nreturn %8"
    );
    let (new, _) = run(&Fuse::default(), &graph(&text), &mut PassCx::reference(Level::Exact));
    let new = new.expect("it fires");
    let fused = |id| if let Op::Fused(fused) = new.op(id) { Some(fused) } else { None };
    let all: Vec<Fused> = new.ids().filter_map(fused).collect();
    let [a, b, c] = &all[..] else { panic!("three regions, got {}", all.len()) };
    assert!(Arc::ptr_eq(a.body(), b.body()));
    assert_ne!(a.body(), c.body());
}

#[test]
fn fuse_goes_on_behind_outputs_which_are_further_results() {
    let text = format!("{X}%1 = exp %x\n%2 = neg %1\n%3 = tanh %2\nreturn %2\nreturn %3");
    check(
        Fuse::default(),
        &text,
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = fused(result: 0, body: {%0 = parameter(index:0,ty:"f32[3]") : f32[3]; %1 = exp %0 : f32[3]; %2 = neg %1 : f32[3]; %3 = tanh %2 : f32[3]; return %2; return %3}) %0 : f32[3]
        %2 = fused(result: 1, body: {%0 = parameter(index:0,ty:"f32[3]") : f32[3]; %1 = exp %0 : f32[3]; %2 = neg %1 : f32[3]; %3 = tanh %2 : f32[3]; return %2; return %3}) %0 : f32[3]
        return %1
        return %2
    "#]],
    );
}

/// The number of fused nodes.
fn fused(pass: Fuse, text: &str) -> usize {
    let (new, _) = run(&pass, &graph(text), &mut PassCx::reference(Level::Exact));
    new.map_or(0, |g| g.to_string().matches("= fused").count())
}

#[test]
fn fuse_makes_no_cycle_through_outside() {
    // %1 could be a further result of the region of %7, but the sum, which %7 waits for, needs it.
    let text = format!(
        "{X}%1 = exp %x\n%2 = sum(axes:[0]) %1\n%3 = reshape(shape:[1]) %2
        %4 = broadcast(shape:[3]) %3\n%5 = neg %4\n%6 = mul %5 %1\nreturn %6\nreturn %1"
    );
    let (new, _) = run(&Fuse::default(), &graph(&text), &mut PassCx::reference(Level::Exact));
    let new = new.expect("it fires").to_string();
    assert!(new.contains("%1 = exp %0") && new.contains("= fused{"), "{new}");
    assert_eq!(fused(Fuse::default(), &text), 1);
}

#[test]
fn fuse_does_not_join_different_shapes_or_too_many_results() {
    let wide = "%x = input(name:\"x\",position:0,ty:\"f32[2,3]\")\n";
    // The view between two shapes is no loop.
    let shapes = format!("{wide}%1 = exp %x\n%2 = reshape(shape:[6]) %1\n%3 = neg %2\nreturn %3");
    check_unchanged(Fuse::default(), &shapes);
    let outputs = |n: usize| {
        let lines: Vec<String> = (0..n).map(|i| format!("%{} = exp %{i}", i + 1)).collect();
        let roots: Vec<String> = (1..=n).map(|i| format!("return %{i}")).collect();
        format!("{}{}\n{}", X.replace("%x", "%0"), lines.join("\n"), roots.join("\n"))
    };
    assert_eq!(fused(Fuse::default(), &outputs(8)), 8);
    assert_eq!(fused(Fuse::default(), &outputs(9)), 8, "one is left over");
}

/// Two variables: their new values share an input, and no operator.
fn two_updates(more: &str) -> String {
    let variable = |name: &str| {
        format!("variable(name:\"{name}\",kind:param,ty:\"f32[3]\",init:full(1.0),key:(0))")
    };
    format!(
        "{X}%a = {}\n%b = {}\n{more}assign \"a\" %a = %1\nassign \"b\" %b = %2",
        variable("a"),
        variable("b")
    )
}

#[test]
fn fuse_makes_updates_that_read_one_value_one_region() {
    let text = two_updates("%1 = add %a %x\n%2 = mul %b %x\n");
    let g = graph(&text);
    let (new, _) = run(&Fuse::default(), &g, &mut PassCx::reference(Level::Exact));
    assert_eq!(new.expect("it fires").to_string().matches("= fused(result").count(), 2);
    // Not so if one must wait for the other, around a sum.
    let waits = two_updates(
        "%1 = add %a %x\n%3 = sum(axes:[0]) %1\n%4 = reshape(shape:[1]) %3
        %5 = broadcast(shape:[3]) %4\n%6 = mul %x %5\n%2 = mul %b %6\n",
    );
    assert!(!run_text(&waits).contains("fused(result"), "{}", run_text(&waits));
    // What one waits for is moved before the other.
    let moved = two_updates(
        "%1 = add %a %x\n%3 = sum(axes:[0]) %b\n%4 = reshape(shape:[1]) %3
        %5 = broadcast(shape:[3]) %4\n%6 = mul %x %5\n%2 = mul %b %6\n",
    );
    assert_eq!(run_text(&moved).matches("fused(result").count(), 2, "{}", run_text(&moved));
}

fn run_text(text: &str) -> String {
    let (new, _) = run(&Fuse::default(), &graph(text), &mut PassCx::reference(Level::Exact));
    new.map_or_else(String::new, |g| g.to_string())
}

#[test]
fn fuse_does_not_go_around_a_reduction() {
    // exp is used by the sum too, so it is no inside of a region; and mul must wait for the sum.
    let text = format!(
        "{X}%1 = exp %x\n%2 = sum(axes:[0]) %1\n%3 = reshape(shape:[1]) %2
        %4 = broadcast(shape:[3]) %3\n%5 = mul %1 %4\nreturn %5"
    );
    check_unchanged(Fuse::default(), &text);
}

#[test]
fn fuse_leaves_single_operators_draws_and_stops_alone() {
    check_unchanged(Fuse::default(), &format!("{X}%1 = exp %x\nreturn %1"));
    let stop = format!("{X}%1 = exp %x\n%2 = stop_gradient %1\nreturn %2");
    check_unchanged(Fuse::default(), &stop);
    let draw = "%0 = constant(ty:\"i64[]\",data:[1])\n%1 = uniform(ty:\"f32[3]\") %0
        %2 = neg %1\nreturn %2";
    check_unchanged(Fuse::default(), draw);
}

/// A product that `head` reads before a sum and a region after it.
fn read_twice(product: &str, head: &str, more: &str) -> String {
    format!(
        "{X}{Y}%1 = {product}\n%2 = neg %1\n%3 = sum(axes:[0]) {head}\n%4 = reshape(shape:[1]) %3
        %5 = broadcast(shape:[3]) %4\n%6 = add %5 %1\n%7 = mul %6 %1\nreturn %7{more}"
    )
}

#[test]
fn fuse_computes_again_what_takes_longer_to_write_and_read() {
    let pass = Fuse { recompute_from: 0, ..Fuse::default() };
    let run_text = |pass: Fuse, text: &str| {
        let (new, _) = run(&pass, &graph(text), &mut PassCx::reference(Level::Exact));
        new.map_or_else(String::new, |g| g.to_string())
    };
    // The second region has three operands, so what it computes first is its %3.
    let product =
        |text: &str| ["mul", "pow"].iter().any(|op| text.contains(&format!("%3 = {op} %0 %1")));
    let again = |text: &str| product(&run_text(pass, text));
    let plain = read_twice("mul %x %y", "%2", "");
    assert!(again(&plain), "{}", run_text(pass, &plain));
    assert!(!run_text(pass, &plain).contains("fused(result"), "nothing else is written");
    // Not what is small, what is written anyway, and what is slow.
    assert!(!product(&run_text(Fuse::default(), &plain)));
    assert!(!again(&read_twice("mul %x %y", "%1", "")));
    assert!(!again(&read_twice("mul %x %y", "%2", "\nreturn %1")));
    assert!(!again(&read_twice("pow %x %y", "%2", "")));
}

#[test]
fn fuse_computes_nothing_again_that_would_take_memory() {
    // The sum of two draws is one array; to compute it again, both would have to be kept.
    let pass = Fuse { recompute_from: 0, ..Fuse::default() };
    let draws = "%k = constant(ty:\"i64[]\",data:[1])\n%x = uniform(ty:\"f32[3]\") %k
        %y = normal(ty:\"f32[3]\") %k\n";
    let text = read_twice("mul %x %y", "%2", "").replace(&format!("{X}{Y}"), draws);
    let (new, _) = run(&pass, &graph(&text), &mut PassCx::reference(Level::Exact));
    let new = new.expect("it fires").to_string();
    assert!(new.contains("fused(result: 1"), "{new}");
}

#[test]
fn fuse_keeps_to_its_limits() {
    let chain = |n: usize| {
        let lines: Vec<String> = (0..n).map(|i| format!("%{} = exp %{i}", i + 1)).collect();
        let x = X.replace("%x", "%0");
        format!("{x}{}\nreturn %{n}", lines.join("\n"))
    };
    let regions = |text: &str, pass: Fuse| {
        let (new, _) = run(&pass, &graph(text), &mut PassCx::reference(Level::Exact));
        new.map_or(0, |g| g.to_string().matches("= fused").count())
    };
    assert_eq!(regions(&chain(64), Fuse::default()), 1);
    assert_eq!(regions(&chain(66), Fuse::default()), 2);
    assert_eq!(regions(&chain(65), Fuse::default()), 1, "one is left over");
    let sum = format!("{X}{Y}%1 = mul %x %y\n%2 = sub %1 %x\nreturn %2");
    let limited =
        |max_operands| Fuse { max_operands, max_results: 1, max_size: 9, ..Fuse::default() };
    assert_eq!(regions(&sum, limited(1)), 0);
    assert_eq!(regions(&sum, limited(2)), 1);
}

#[test]
fn simplify_pays_for_accuracy_where_more_than_one_use_gains() {
    // The slope of a sigmoid: a second sigmoid would be dearer than a difference.
    let slope = format!(
        "{X}%1 = sigmoid %x\n%2 = full(value:1.0,ty:\"f32[3]\")\n%3 = sub %2 %1\n%4 = mul %1 %3\n"
    );
    check_unchanged(Simplify::default(), &format!("{slope}return %4"));
    check(
        Simplify::default(),
        &format!("{slope}%5 = div %4 %3\nreturn %5"),
        expect![[r#"
        %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
        %1 = sigmoid %0 : f32[3]
        %2 = full(value:1.0,ty:"f32[3]") : f32[3]
        %3 = neg %0 : f32[3]
        %4 = sigmoid %3 : f32[3]
        %5 = mul %1 %4 : f32[3]
        %6 = div %5 %4 : f32[3]
        return %6
    "#]],
    );
    check(
        Simplify::default(),
        &format!(
            "{X}%2 = full(value:1.0,ty:\"f32[3]\")\n%1 = sigmoid %x\n%3 = sub %2 %1\nreturn %3"
        ),
        expect![[r#"
            %0 = input(name:"x",position:0,ty:"f32[3]") : f32[3]
            %1 = full(value:1.0,ty:"f32[3]") : f32[3]
            %2 = sigmoid %0 : f32[3]
            %3 = neg %0 : f32[3]
            %4 = sigmoid %3 : f32[3]
            return %4
        "#]],
    );
}
