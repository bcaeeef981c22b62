//! Pipelines, the ledger, and what goes wrong.

use pleach_graph::{NodeId, NodeMap, Rewrite};
use pleach_ops::prelude::*;
use pleach_passes::testing::{Recipe, graph};
use pleach_passes::{
    Class, Classes, Fold, Ledger, Level, Outcome, Pass, PassCx, PassError, Pipeline, Prune,
    Simplify, Totals, live_bytes,
};
use pleach_tensor::Key;

/// One step of a small model, gradients and update included.
fn step() -> Graph {
    let g = Graph::new();
    let params = Params::seeded(1);
    let (w, unused) =
        (params.param("w", [4, 2], Init::ones()), params.param("u", [5], Init::ones()));
    g.param(&unused);
    let x = g.input("x", F32, [8, 4]);
    let y = x.matmul(g.param(&w)).sigmoid();
    let loss = (-(1.0 - y).ln()).sum_all() / 8.0;
    let dw = g.grad(loss, &[g.param(&w)])[0];
    g.output("loss", loss.id());
    g.assign_param(&w, g.param(&w) - dw * 0.1 * 2.0);
    g
}

fn optimized(pipeline: &Pipeline, cx: &mut PassCx<'_>) -> (Graph, Ledger) {
    let (new, _, ledger) = pipeline.optimize(&step(), cx).expect("the passes run");
    (new, ledger)
}

fn reference() -> PassCx<'static> {
    PassCx::reference(Level::Default)
}

#[test]
fn the_ledger_adds_up_and_names_rules_lines_and_variables() {
    let g = step();
    let mut ledger = Ledger::default();
    ledger.stage("forward", Totals { nodes: 3, ..Totals::default() });
    ledger.stage("update", Totals::of(&g));
    let (new, _) = Pipeline::default().run(&g, &mut reference(), &mut ledger).unwrap();
    assert!(ledger.adds_up());
    assert_eq!(ledger.recorded(), Totals::of(&g));
    assert_eq!(ledger.sum(), Totals::of(&new));
    assert_eq!(ledger.unused, ["u"]);
    assert!(ledger.applications("one_minus_sigmoid") > 0, "{ledger}");
    assert!(ledger.applications("mul_consts") > 0, "{ledger}");
    assert!(ledger.sum().nodes < ledger.recorded().nodes);
    assert_eq!(ledger.recorded().params - ledger.sum().params, 5);
    let table = ledger.to_string();
    for part in
        ["record forward", "recorded and not used: u", "first at", "tests/pipelines.rs:", "total"]
    {
        assert!(table.contains(part), "{part}:\n{table}");
    }
}

#[test]
fn the_ledger_is_json_of_a_stable_form() {
    let (_, ledger) = optimized(&Pipeline::default(), &mut reference());
    let json: serde_json::Value = serde_json::from_str(&ledger.to_json()).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["total"]["nodes"], ledger.sum().nodes);
    let first = &json["passes"][0];
    assert_eq!((&first["name"], &first["entries"][0]["rule"]), (&"prune".into(), &"dead".into()));
    assert!(first["peak_bytes"].is_u64() && first["entries"][0]["site"].is_string());
    assert_eq!(json["unused"][0], "u");
    // What lines are estimated to save adds up to what all save, as counts do.
    let sum = |of: &str| -> f64 {
        let passes = json["passes"].as_array().unwrap().iter();
        let lines = passes.flat_map(|p| p["entries"].as_array().unwrap());
        lines.map(|e| e["delta"][of].as_f64().unwrap()).sum()
    };
    for of in ["time_us", "energy_uj"] {
        let change = json["total"][of].as_f64().unwrap() - json["recorded"][of].as_f64().unwrap();
        assert!(change < 0.0 && (sum(of) - change).abs() < 1e-9 * change.abs(), "{of}");
    }
    assert_eq!(json["machine"]["measured"], false);
}

#[test]
fn passes_and_rules_are_left_out_by_name() {
    let pipeline = Pipeline::default().without("fuse").without("mul_consts");
    let (new, ledger) = optimized(&pipeline, &mut reference());
    assert_eq!(ledger.applications("mul_consts"), 0);
    assert!(!new.to_string().contains("fused"));
    assert!(ledger.applications("one_minus_sigmoid") > 0);
}

#[test]
fn passes_are_inserted_and_cut_off() {
    let names = |p: Pipeline| p.passes().iter().map(|p| p.name()).collect::<Vec<_>>().join(" ");
    let p = || Pipeline::default();
    assert_eq!(
        names(p()),
        "prune unroll roll attend entropy stash defer hoist lookup fold simplify signs pick shrink fold absorb associate pull contract slope stack merge winograd join share prune fuse remat prune"
    );
    assert_eq!(names(p().prefix(2)), "prune unroll");
    let with =
        names(p().prefix(3).insert_after("prune", Wreck(Damage::None)).insert_after("no", Fold));
    assert_eq!(with, "prune wreck unroll roll fold");
}

/// What stands in the ledger can be left out: operators that are folded, and what dies or is shared, aside.
#[test]
fn names_of_the_ledger_are_those_of_rules() {
    let pipeline = Pipeline::default();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let sample = Recipe::drawn(Key(seed), false).build(seed % 2 == 0);
        let (_, _, ledger) = pipeline.optimize(&sample.graph, &mut reference()).unwrap();
        for record in &ledger.passes {
            let Some(pass) = pipeline.passes().iter().find(|p| p.name() == record.name) else {
                continue;
            };
            let known = [pass.rules(), vec![pass.name(), "dead", "share"]].concat();
            for entry in ledger.of(record).iter().filter(|_| pass.name() != "fold") {
                assert!(known.contains(&&*entry.rule), "{} of {}", entry.rule, entry.pass);
                seen.insert(entry.rule.clone());
            }
        }
    }
    assert!(seen.len() > 20 && seen.contains("region"), "{seen:?}");
}

#[test]
fn the_number_of_rewrites_is_bounded_for_bisection() {
    let all = |ledger: &Ledger| -> usize {
        let entries = ledger.passes.iter().flat_map(|p| ledger.of(p));
        entries.filter(|e| e.rule != "dead" && e.rule != "share").map(|e| e.applications).sum()
    };
    let most = all(&optimized(&Pipeline::default(), &mut reference()).1);
    assert!(most > 3);
    for n in 0..=most {
        let (new, ledger) = optimized(&Pipeline::default(), &mut reference().max_rewrites(n));
        assert_eq!(all(&ledger), n, "{ledger}");
        assert!(ledger.adds_up() && new.verify().is_ok());
    }
}

#[test]
fn peak_bytes_are_those_of_the_planner_or_of_live_values() {
    let (new, ledger) = optimized(&Pipeline::default(), &mut reference());
    assert_eq!(ledger.passes.last().unwrap().peak, live_bytes(&new));
    let planner = |g: &Graph| g.len() as u64;
    let (new, ledger) = optimized(&Pipeline::default(), &mut reference().peak(&planner));
    assert_eq!(ledger.passes.last().unwrap().peak, new.len() as u64);
}

#[test]
fn live_bytes_are_freed_after_the_last_use() {
    let g = graph(
        "%0 = input(name:\"x\",position:0,ty:\"f32[10]\")\n%1 = exp %0\n%2 = exp %1\n%3 = exp %2
        %4 = sum(axes:[0]) %3\n%5 = neg %3\nreturn %4",
    );
    assert_eq!(live_bytes(&g), 80, "two of them at once; what is dead does not count");
}

#[test]
fn a_user_s_error_is_reported_before_any_pass() {
    let g = Graph::new();
    g.output("y", (g.input("a", F32, [2]) + 1.0).id());
    let _ = g.input("b", F32, [2]) + g.input("c", F32, [3]);
    let error = Pipeline::default().optimize(&g, &mut reference()).unwrap_err();
    assert!(error.to_string().contains("tests/pipelines.rs"), "{error}");
}

/// A pass that does what it must not.
#[derive(Debug)]
struct Wreck(Damage);

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    IllTyped,
    Swapped,
    Lost,
    Fails,
}

impl Pass for Wreck {
    fn name(&self) -> &'static str {
        "wreck"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, _: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let (new, map): (Graph, NodeMap) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        let last = NodeId::new(new.len() - 1);
        match self.0 {
            Damage::None => return Ok(Outcome::Unchanged),
            Damage::IllTyped => drop(new.push(pleach_ops::Add.into(), &[last])),
            Damage::Swapped => {
                new.clear_roots();
                let at = |id| map.get(id).expect("all nodes are kept");
                g.roots().iter().rev().for_each(|r| new.output(&r.name, at(r.value)));
            }
            Damage::Lost => new.clear_roots(),
            Damage::Fails => {
                let (pass, reason) = ("wreck".into(), "no luck".into());
                return Err(PassError::Failed { pass, reason });
            }
        }
        Ok(Outcome::Changed(new, map))
    }
}

#[test]
fn a_pass_that_breaks_a_graph_is_named() {
    let run = |damage| {
        let pipeline = Pipeline::default().insert_after("fold", Wreck(damage));
        pipeline.optimize(&step(), &mut reference()).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(run(Damage::None), Ok(()));
    assert!(run(Damage::IllTyped).unwrap_err().starts_with("pass wreck broke the graph: add("));
    for damage in [Damage::Swapped, Damage::Lost] {
        assert_eq!(run(damage), Err("pass wreck changed output \"loss\"".into()), "{damage:?}");
    }
    assert_eq!(run(Damage::Fails), Err("pass wreck: no luck".into()));
}

#[test]
fn a_raw_graph_is_shared_from_the_start() {
    let g = Graph::raw();
    let x = g.input("x", F32, [3]);
    g.output("y", (x.exp() + x.exp()).id());
    let pipeline = Pipeline::new(vec![]);
    let (new, map, ledger) = pipeline.optimize(&g, &mut reference()).unwrap();
    assert_eq!((g.len(), new.len()), (4, 3));
    assert_eq!(map.get(NodeId::new(2)), map.get(NodeId::new(1)));
    assert_eq!(ledger.passes[0].name, "copy");
    assert!(ledger.adds_up());
}

#[test]
fn rules_that_undo_each_other_do_not_fire_forever() {
    use pleach_passes::rules;
    let text = "%0 = input(name:\"x\",position:0,ty:\"f32[3]\")
        %1 = input(name:\"y\",position:1,ty:\"f32[3]\")\n%2 = mul %0 %1\nreturn %2";
    let there_and_back = rules! {
        there: R, R "x·y = max(x, y)" mul(x, y) => maximum(x, y);
        back:  R, R "max(x, y) = x·y" maximum(x, y) => mul(x, y);
    };
    let pipeline = Pipeline::new(vec![std::sync::Arc::new(Simplify::new(there_and_back))]);
    let (_, _, ledger) = pipeline.optimize(&graph(text), &mut reference()).unwrap();
    assert_eq!(ledger.of(&ledger.passes[0]), []);
    assert_eq!(ledger.passes[0].skipped[0].reason, "the right side costs as much as the left");
}

#[test]
fn the_limit_of_sweeps_is_reported() {
    use pleach_passes::rules;
    let text = "%0 = input(name:\"x\",position:0,ty:\"f32[3]\")\n%1 = exp %0\nreturn %1";
    // A stabilizing rule may pay, so nothing but the limit stops this one.
    let more = rules! { more: S, S "eˣ = e⁻⁻ˣ" exp(x) => exp(sin(x)); };
    let pipeline = Pipeline::new(vec![std::sync::Arc::new(Simplify::new(more))]);
    let (_, _, ledger) = pipeline.optimize(&graph(text), &mut reference()).unwrap();
    assert_eq!(ledger.passes[0].skipped[0].reason, "the limit of 8 sweeps was reached");
    assert_eq!(ledger.applications("more"), 8);
}

#[test]
fn a_rule_that_needs_facts_does_not_fire_without_a_guard() {
    use pleach_passes::rules;
    let text = "%0 = input(name:\"x\",position:0,ty:\"f32[3]\")\n%1 = sub %0 %0\nreturn %1";
    let bold = rules! { bold: F, F "x - x = 0" sub(x, x) => 0.0; };
    let pipeline = Pipeline::new(vec![std::sync::Arc::new(Simplify::new(bold))]);
    let (_, _, ledger) = pipeline.optimize(&graph(text), &mut reference()).unwrap();
    let reason = "it needs facts and has no guard that proves them";
    assert_eq!(ledger.passes[0].skipped[0].reason, reason);
}

#[test]
fn prune_alone_is_a_pipeline() {
    let (new, ledger) =
        optimized(&Pipeline::new(vec![std::sync::Arc::new(Prune)]), &mut reference());
    assert!(new.len() < step().len() && ledger.passes.len() == 1);
}
