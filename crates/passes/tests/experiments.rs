//! What experimenters have: the rewrite that breaks something, and which rules made a node.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::prelude::*;
use pleach_passes::testing::{Recipe, draw, interpreted};
use pleach_passes::{
    Class, Classes, Ledger, Level, Outcome, Pass, PassCx, PassError, Pipeline, Simplify, bisect,
    rules,
};

fn reference() -> PassCx<'static> {
    PassCx::reference(Level::Default)
}

/// A graph that many rules rewrite; the line of the difference.
fn graph() -> (Graph, u32) {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [3]), g.input("y", F64, [3]));
    let a = -(-x.exp()) + (1.0 - y.sigmoid());
    let b = a.tanh() - (-y);
    let line = line!() - 1;
    g.output("out", (b * 2.0 * 3.0).sin().id());
    (g, line)
}

fn values(g: &Graph) -> Vec<f64> {
    let ty = Type::new(F64, [3]).unwrap();
    let feeds = [draw(&ty, Key(1)), draw(&ty, Key(2))];
    interpreted(g, &[g.roots()[0].value], &feeds).unwrap()[0].to_f64s()
}

#[test]
fn bisection_names_rule_pass_node_and_line_of_the_first_wrong_rewrite() {
    let (g, line) = graph();
    let want = values(&g);
    let wrong = |g: &Graph| values(g).iter().zip(&want).any(|(a, b)| (a - b).abs() > 1e-9);
    let right = bisect(&Pipeline::default(), &g, reference, wrong).unwrap();
    assert!(right.is_none(), "{right:?}");
    let planted = rules! { sign: R, R "x - (-y) = x - y" sub(x, neg(y)) => sub(x, y); };
    let pipeline = Pipeline::default().insert_after("lookup", Simplify::new(planted));
    let culprit = bisect(&pipeline, &g, reference, wrong).unwrap().unwrap();
    assert_eq!((&*culprit.pass, culprit.rule.as_deref()), ("simplify", Some("sign")));
    assert_eq!(culprit.node.as_deref(), Some("sub : f64[3]"));
    assert!(!wrong(&culprit.before) && wrong(&culprit.after));
    let said = culprit.to_string();
    assert!(said.contains(&format!("tests/experiments.rs:{line}:")), "{said}");
    assert!(said.contains("rule sign of pass simplify, at sub"), "{said}");
}

/// A later rewrite of many, found by what it does to the text of the graph.
#[test]
fn bisection_finds_any_rewrite_by_its_number() {
    let (g, _) = graph();
    let run = |n: usize| {
        let mut cx = reference().max_rewrites(n);
        Pipeline::default().run(&g, &mut cx, &mut Ledger::default()).unwrap().0.to_string()
    };
    let fused = |g: &Graph| g.to_string().contains("fused");
    let culprit = bisect(&Pipeline::default(), &g, reference, fused).unwrap().unwrap();
    assert_eq!((&*culprit.pass, culprit.rule.as_deref()), ("fuse", Some("region")));
    assert!(culprit.number > 3, "{culprit}");
    assert_eq!(run(culprit.number - 1), culprit.before.to_string());
    assert_eq!(run(culprit.number), culprit.after.to_string());
}

/// Rewrites a node and says so to nobody.
#[derive(Debug)]
struct Secret;

impl Pass for Secret {
    fn name(&self) -> &'static str {
        "secret"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, _: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let (new, map) = g.rebuild(|new, _, node, inputs| match &node.op {
            Op::Tanh(_) => Rewrite::Replace(new.push(pleach_ops::Sin.into(), inputs)),
            _ => Rewrite::Keep,
        });
        Ok(Outcome::Changed(new, map))
    }
}

#[test]
fn bisection_names_a_pass_that_does_not_count_its_rewrites() {
    let (g, _) = graph();
    let pipeline = Pipeline::default().insert_after("fold", Secret);
    let lost = |g: &Graph| !g.to_string().contains("tanh");
    let culprit = bisect(&pipeline, &g, reference, lost).unwrap().unwrap();
    assert_eq!((&*culprit.pass, culprit.rule.as_deref()), ("secret", None));
    assert_eq!(culprit.to_string(), "pass secret");
    assert!(!lost(&culprit.before) && lost(&culprit.after));
}

/// Every pass stops where it must, so every rewrite can be the last one.
#[test]
fn exactly_as_many_rewrites_are_made_as_are_allowed() {
    let counted = |pass: &str, rule: &str| !matches!((pass, rule), (_, "dead" | "share") | ("", _));
    let mut regions = 0;
    for n in 0..60 {
        let sample = Recipe::drawn(Key(n), true).build(n % 2 == 0);
        let run = |most: usize| {
            let mut cx = reference().max_rewrites(most);
            let (new, _, ledger) = Pipeline::default().optimize(&sample.graph, &mut cx).unwrap();
            new.verify().unwrap();
            (most - cx.max_rewrites.unwrap(), ledger)
        };
        let (all, ledger) = run(1 << 20);
        regions += ledger.applications("region");
        for most in [0, 1, all / 3, all / 2, all.saturating_sub(1), all] {
            let (made, ledger) = run(most);
            assert_eq!(made, most.min(all), "{ledger}");
            // In loops, a rewrite of a step is noted once for every loop that has it.
            let loops = ledger.passes.iter().any(|pass| pass.name == "loops");
            let noted = ledger.passes.iter().flat_map(|p| ledger.of(p));
            let noted = noted.filter(|e| counted(&e.pass, &e.rule));
            let noted: usize = noted.map(|e| e.applications).sum();
            assert!(loops || noted == made, "{noted} {made}\n{ledger}");
        }
    }
    assert!(regions > 100, "{regions}");
}

#[test]
fn a_node_says_which_rules_made_it_from_which_lines() {
    let (g, line) = graph();
    let mut cx = reference().traced();
    let (new, map, _) = Pipeline::default().optimize(&g, &mut cx).unwrap();
    let trace = cx.trace().unwrap();
    let rules = |id: NodeId| -> Vec<String> {
        trace.explain(id).into_iter().map(|cause| cause.rule).collect()
    };
    // All of the graph is one region: what it swallowed is told.
    let out = new.roots()[0].value;
    let made = rules(out);
    for rule in ["sub_neg", "one_minus_sigmoid", "mul_consts", "region"] {
        assert!(made.iter().any(|r| r == rule), "{rule}: {made:?}");
    }
    assert_eq!(made.last().map(String::as_str), Some("region"));
    let sub = trace.explain(out).into_iter().find(|cause| cause.rule == "sub_neg").unwrap();
    assert_eq!((&*sub.pass, &*sub.node), ("simplify", "sub : f64[3]"));
    assert_eq!(sub.sites[0].line(), line);
    assert!(sub.to_string().contains(&format!("tests/experiments.rs:{line}:")), "{sub}");
    // What no rule made.
    let x = g.ids().find(|&id| matches!(g.op(id), Op::Input(_))).unwrap();
    assert!(rules(map.get(x).unwrap()).is_empty());
    // Without regions, every node has its own story.
    let mut cx = reference().traced();
    let apart = Pipeline::default().without("fuse");
    let (new, _, _) = apart.optimize(&g, &mut cx).unwrap();
    let find = |name: &str| new.ids().find(|&id| new.op(id).name() == name).unwrap();
    let of = |name: &str| -> Vec<String> {
        let causes = cx.trace().unwrap().explain(find(name));
        causes.into_iter().map(|cause| cause.rule).collect()
    };
    assert_eq!(of("sigmoid"), ["one_minus_sigmoid"]);
    assert_eq!(of("exp"), [""; 0]);
    assert_eq!(of("mul"), ["mul_consts"]);
}

#[test]
fn what_a_rule_did_in_a_loop_is_told_of_the_loop() {
    let g = Graph::new();
    let (c, xs) = (g.input("c", F64, [3]), g.input("xs", F64, [4, 3]));
    let (last, _) = g.scan(c, xs, |c, x| {
        let next = c.tanh() - (-x);
        (next, next)
    });
    g.output("out", last.id());
    let mut cx = reference().traced();
    let (new, _, _) = Pipeline::default().without("unroll").optimize(&g, &mut cx).unwrap();
    let made = cx.trace().unwrap().explain(new.roots()[0].value);
    assert!(made.iter().any(|cause| cause.rule == "sub_neg" && cause.pass == "loops"), "{made:?}");
}
