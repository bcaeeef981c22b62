//! Equality saturation: it finds what sweeps do not, changes no meaning, and says by which rules.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;
use std::time::Duration;

use pleach_ops::prelude::*;
use pleach_passes::testing::{Recipe, commutes, preserves, run};
use pleach_passes::{
    Class, Delta, Ledger, Level, Pass, PassCx, Pipeline, Price, Saturate, Simplify,
};
use pleach_tensor::Key;

/// Without a limit that depends on the machine.
fn pass() -> Saturate {
    Saturate { time: Duration::MAX, ..Saturate::default() }
}

fn ran(pass: &dyn Pass, g: &Graph) -> (Option<Graph>, Ledger) {
    run(pass, g, &mut PassCx::reference(Level::Default))
}

/// Live nodes of an operator.
fn count(g: &Graph, name: &str) -> usize {
    let live = g.live();
    g.ids().filter(|id| live[id.index()] && g.op(*id).name() == name).count()
}

/// x·a + (y + x·b): the two products with x are no neighbours, so no rule sees them together.
fn apart(g: &Graph) -> Var<'_> {
    let (x, y) = (g.input("x", F32, [64, 32]), g.input("y", F32, [64, 16]));
    let (a, b) = (g.input("a", F32, [32, 16]), g.input("b", F32, [32, 16]));
    x.matmul(a) + (y + x.matmul(b))
}

/// A graph with one output.
fn recorded(y: impl for<'g> Fn(&'g Graph) -> Var<'g>) -> Graph {
    let g = Graph::new();
    g.output("y", y(&g).id());
    g
}

/// These operators are left of it, and sweeps alone do not find as much.
#[track_caller]
fn finds(g: &Graph, left: &[(&str, usize)]) -> Ledger {
    let operators = |g: &Graph| Price::of_live(g).operators as usize;
    let (new, ledger) = ran(&pass(), g);
    let new = new.expect("it fires");
    for &(op, n) in left {
        assert_eq!(count(&new, op), n, "{op} in\n{new}");
    }
    assert_eq!(operators(&new), left.iter().map(|(_, n)| n).sum::<usize>(), "{new}");
    let (swept, _) = ran(&Simplify::default(), g);
    let swept = swept.as_ref().unwrap_or(g);
    assert!(Price::of_live(&new) < Price::of_live(swept), "{new}\n{swept}");
    ledger
}

#[test]
fn products_apart_become_one() {
    let ledger = finds(&recorded(apart), &[("matmul", 1), ("add", 2)]);
    // The proof is in the ledger; all of the change is the pass's own.
    let of = |rule: &str| ledger.entries.iter().find(|e| e.rule == rule);
    assert!(of("matmul_left").is_some_and(|e| e.delta == Delta::default()), "{ledger}");
    assert!(of("regroup_add").is_some(), "{ledger}");
    let own = of("saturate").unwrap();
    assert_eq!(own.applications, 1, "{ledger}");
    assert!(own.site.as_ref().is_some_and(|site| site.to_string().contains("saturate.rs")));
    let (known, pass) = (pass().rules(), "saturate");
    let entries = ledger.entries.iter().filter(|e| e.pass == pass && e.rule != pass);
    assert!(entries.clone().count() >= 2);
    for entry in entries {
        assert!(entry.rule == "share" || known.contains(&entry.rule.as_str()), "{}", entry.rule);
    }
}

#[test]
fn dearer_steps_come_before_cheaper_ones() {
    // x·(y + 1) - x = (x·y + x) - x = x·y + x·(1 - 1) = x·y: the sum is spread first.
    let g = recorded(|g| {
        let (x, y) = (g.input("x", F32, [8]), g.input("y", F32, [8]));
        x * (y + 1.0) - x
    });
    finds(&g, &[("mul", 1)]);
    // (x + y) - x = y + (x - x) = y, for x is finite.
    let g = recorded(|g| {
        let x = g.input("x", I64, [8]).cast(F32).tanh();
        (x + g.input("y", F32, [8])) - x + x
    });
    finds(&g, &[("cast", 1), ("tanh", 1), ("add", 1)]);
}

#[test]
fn what_is_used_elsewhere_too_is_counted_once() {
    // The first product stays for its other use: a·b + (a·c + a·d) = a·b + a·(c + d).
    let g = Graph::new();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| g.input(name, F32, [8]));
    let ab = a * b;
    g.output("ab", ab.id());
    g.output("y", ((ab + a * c) + a * d).id());
    finds(&g, &[("mul", 2), ("add", 2)]);
}

#[test]
fn factors_come_out_of_chains_of_products() {
    // 128 by 128 elements that are never needed: (2·(x·a))·v = x·(a·v)·2.
    let g = recorded(|g| {
        let (x, a) = (g.input("x", F32, [128, 4]), g.input("a", F32, [4, 128]));
        (x.matmul(a) * 2.0).matmul(g.input("v", F32, [128, 1]))
    });
    finds(&g, &[("matmul", 2), ("mul", 1)]);
    let (new, _) = ran(&pass(), &g);
    let new = new.unwrap();
    let live = new.live();
    let made = |id: &NodeId| live[id.index()] && !new.node(*id).inputs.is_empty();
    assert_eq!(new.ids().filter(made).map(|id| new.ty(id).numel()).max(), Some(128), "{new}");
    // The factor goes to what is smallest.
    assert!(new.ids().filter(made).any(|id| new.op(id).name() == "mul" && new.ty(id).numel() == 4));
}

#[test]
fn it_leaves_what_gets_no_cheaper() {
    let leaves = |g: &Graph| {
        let (new, ledger) = ran(&pass(), g);
        assert!(new.is_none(), "{}\n{ledger}", new.unwrap());
    };
    let g = Graph::new();
    let [x, a, b] = ["x", "a", "b"].map(|name| g.input(name, F32, [4, 4]));
    let (p, q) = (x.matmul(a), x.matmul(b));
    let outputs = [("p", p), ("q", q), ("y", p + q)];
    outputs.into_iter().for_each(|(name, v)| g.output(name, v.id()));
    leaves(&g);
    // x is not known to be finite: (x + y) - x = y + (x - x) is no y.
    leaves(&recorded(|g| {
        let (x, y) = (g.input("x", F32, [8]), g.input("y", F32, [8]));
        (x + y) - x
    }));
    // Two draws are two values.
    leaves(&recorded(|g| {
        let draw = || g.key().uniform(F32, [8]);
        draw() * g.input("x", F32, [8]) + draw() * g.input("y", F32, [8])
    }));
    // Not zero, but what is left of rounding.
    let rest = recorded(|g| {
        let x = g.input("x", F64, [4]);
        ((x + 0.1) + 0.2) - 0.3
    });
    let new = ran(&pass(), &rest).0.unwrap();
    assert_eq!(count(&new, "add"), 1, "{new}");
}

#[test]
fn it_keeps_to_levels_and_names() {
    let fires = |g: &Graph, cx: &mut PassCx<'_>| run(&pass(), g, cx).0.is_some();
    let g = recorded(apart);
    assert!(!fires(&g, &mut PassCx::reference(Level::Exact)), "it rounds otherwise");
    let mut cx = PassCx::reference(Level::Default);
    cx.disabled.insert("matmul_left".into());
    assert!(!fires(&g, &mut cx), "without its rule");
    let mut cx = PassCx::reference(Level::Default).max_rewrites(0);
    assert!(!fires(&g, &mut cx));
    let exact = recorded(|g| (-g.input("x", F32, [8])) * (-g.input("y", F32, [8])));
    assert!(fires(&exact, &mut PassCx::reference(Level::Exact)));
    let classes = pass().class();
    assert_eq!((classes.values, classes.gradients), (Class::NeedsFacts, Class::NeedsFacts));
}

#[test]
fn every_limit_holds_and_the_ledger_says_so() {
    let g = recorded(apart);
    for (pass, said) in [
        (Saturate { rounds: 0, ..pass() }, "the limit of 0 rounds was reached"),
        (Saturate { terms: 0, ..pass() }, "the limit of 0 terms was reached"),
        (Saturate { time: Duration::ZERO, ..pass() }, "the limit of 0 seconds was reached"),
    ] {
        let (new, ledger) = ran(&pass, &g);
        assert!(new.is_none());
        assert_eq!(ledger.passes[0].skipped[0].reason, said);
    }
    assert!(ran(&pass(), &g).1.passes[0].skipped.is_empty(), "nothing is left to try");
    // Regions of two nodes hold no two products.
    assert!(ran(&Saturate { nodes: 2, ..pass() }, &g).0.is_none());
    // What is best so far is taken: the sum has more orders than there may be terms.
    let long = recorded(|g| {
        let x = g.input("x", F32, [8]);
        let of = |i: usize| x * g.input(&format!("y{i}"), F32, [8]);
        (1..12).fold(of(0), |sum, i| sum + of(i))
    });
    let small = Saturate { terms: 200, ..pass() };
    let (new, ledger) = ran(&small, &long);
    assert!(count(&new.unwrap(), "mul") < 12);
    assert_eq!(ledger.passes[0].skipped[0].reason, "the limit of 200 terms was reached");
}

#[test]
fn regions_are_rewritten_as_a_whole_one_by_one() {
    let g = Graph::new();
    for name in ["p", "q"] {
        let [x, a, b, y] =
            ["x", "a", "b", "y"].map(|s| g.input(&format!("{name}{s}"), F32, [4, 4]));
        g.output(name, (x.matmul(a) + (y + x.matmul(b))).id());
    }
    let pass = Saturate { nodes: 4, ..pass() };
    for (rewrites, products) in [(0, 4), (1, 3), (2, 2), (3, 2)] {
        let mut cx = PassCx::reference(Level::Default).max_rewrites(rewrites);
        let new = run(&pass, &g, &mut cx).0;
        assert_eq!(count(new.as_ref().unwrap_or(&g), "matmul"), products, "{rewrites}");
    }
}

#[test]
fn the_lines_of_the_user_are_kept() {
    let g = recorded(apart);
    let new = ran(&pass(), &g).0.unwrap();
    let made = |id: &NodeId| !new.node(*id).inputs.is_empty();
    for id in new.ids().filter(made) {
        let site = new.origin(id).first().map(|site| site.to_string());
        assert!(site.is_some_and(|site| site.contains("saturate.rs")), "{id}");
    }
}

#[test]
fn the_same_graph_comes_out_in_every_run_and_of_itself() {
    let recipe = |seed| Recipe::drawn(Key(seed), true).build(true).graph;
    let text = |seed: Option<u64>| {
        let g = seed.map_or_else(|| recorded(apart), recipe);
        let (new, ledger) = ran(&Saturate { terms: 500, ..pass() }, &g);
        (new.map(|new| new.to_string()), ledger.to_string())
    };
    for seed in [None, Some(3), Some(4), Some(5)] {
        let once = text(seed);
        for _ in 0..3 {
            let again = std::thread::scope(|scope| scope.spawn(|| text(seed)).join());
            assert_eq!(again.unwrap(), once);
        }
    }
    let once = ran(&pass(), &recorded(apart)).0.unwrap();
    assert!(ran(&pass(), &once).0.is_none(), "{once}");
}

/// Values, gradients and prices of random graphs, with loops, draws and shared parts.
#[test]
fn it_preserves_random_graphs() {
    let pass = Saturate { terms: 600, rounds: 4, ..pass() };
    let pipeline = Pipeline::new(vec![Arc::new(pass)]);
    let mut fired = [0, 0];
    for seed in 0..200 {
        for (level, fired) in [Level::Exact, Level::Default].into_iter().zip(&mut fired) {
            let sample = Recipe::drawn(Key(seed), level == Level::Default).build(seed % 2 == 0);
            let held = preserves(&pipeline, &sample, level, Key(seed));
            let (new, _) = held.unwrap_or_else(|broken| panic!("{seed} {level:?}: {broken}"));
            *fired += usize::from(Price::of_live(&new) < Price::of_live(&sample.graph));
            let plain = Recipe::drawn(Key(seed), true).build(false);
            let held = commutes(&pipeline, &plain, level, Key(seed));
            held.unwrap_or_else(|broken| panic!("{seed} {level:?}: {broken}"));
        }
    }
    assert!(fired[0] >= 5 && fired[1] >= 20, "it fired {fired:?} times");
}

#[test]
fn it_is_a_pass_of_a_pipeline() {
    let g = recorded(apart);
    let pipeline = Pipeline::default().insert_after("simplify", pass());
    let (new, _, ledger) = pipeline.optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
    assert_eq!(count(&new, "matmul"), 1, "{new}");
    assert!(ledger.adds_up());
}
