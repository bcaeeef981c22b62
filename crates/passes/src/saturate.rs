//! Equality saturation: all rules at once, in both directions, and the cheapest of all equal graphs.
//!
//! ```text
//! %2 = matmul %x %a            %2 = add %a %b
//! %3 = matmul %x %b      =>    %3 = matmul %x %2
//! %4 = add %y %3               %4 = add %y %3
//! %5 = add %2 %4
//! ```
//! A sweep of rules takes the first that makes things cheaper, and never one that makes them dearer for
//! a time. This pass keeps all that rules make, as classes of equal values (an e-graph: Willsey et al.,
//! *egg*, POPL 2021), with rules that only regroup (`saturate/rules.rs`) beside those of
//! [`simplify`](crate::Simplify); then it takes the cheapest way to compute all that is used, shared parts
//! counted once. It works on regions of at most 300 nodes, and keeps a region that gets no cheaper; what is
//! best so far is taken at every limit, and the ledger says which was reached.
//!
//! Class: that of the weakest rule that the level admits. Stabilizing rules are left to `simplify`: here
//! the less stable side may be the cheaper one. Cost: O(nodes), with a large constant. Not in the default
//! pipeline: it takes seconds where sweeps take milliseconds, and sweeps find most of it. Put it after
//! `simplify`. Entries of the ledger: `saturate` is charged with the change; the rules of the proof that the
//! new region is equal to the old one are there with their numbers.

mod extract;
mod rules;
mod terms;

use std::time::{Duration, Instant};

use pleach_graph::{NodeId, NodeMap, Operator, Rewrite, Traits};
use pleach_ops::{Graph, Op};
use rustc_hash::FxHashMap;

use crate::claims::live_uses;
use crate::{Class, Classes, Delta, Outcome, Pass, PassCx, PassError, Rule, Totals};
use extract::{Extracted, extract};
use terms::{Region, Terms};

/// Name of the rewrite that a better region is.
const RULE: &str = "saturate";

/// Runs over the whole graph before the pass gives up looking for more.
const MAX_RUNS: usize = 8;

/// Finds the cheapest of all graphs that rules make.
#[derive(Clone, Debug)]
pub struct Saturate {
    /// Most nodes of a region.
    pub nodes: usize,
    /// Most terms of an e-graph.
    pub terms: usize,
    /// Most rounds of all rules on a region.
    pub rounds: usize,
    /// No further round begins after this time, in all regions together. The limit that depends on the
    /// machine: where the ledger says that it was reached, another run may find another graph.
    pub time: Duration,
    /// The rules; at a limit, those that come first have been tried first.
    pub rules: Vec<Rule>,
}

impl Default for Saturate {
    /// The library's rules that are neither stabilizing nor lossy for gradients, and those that regroup;
    /// 300 nodes, 3,000 terms, 8 rounds, one minute.
    fn default() -> Saturate {
        let known = crate::rules::RULES.iter().cloned();
        Saturate::new(known.filter(is_suited).chain(rules::regroup()).collect())
    }
}

fn is_suited(rule: &Rule) -> bool {
    rule.values != Class::Stabilizing && rule.gradients != Class::Lossy
}

impl Saturate {
    /// These rules.
    pub fn new(rules: Vec<Rule>) -> Saturate {
        Saturate { nodes: 300, terms: 3_000, rounds: 8, time: Duration::from_secs(60), rules }
    }

    /// The cheapest of what rules make of a region, if it is cheaper.
    fn improve(
        &self,
        g: &Graph,
        scratch: &Graph,
        region: &Region,
        start: Instant,
        cx: &mut PassCx<'_>,
    ) -> Option<Extracted> {
        let may = |rule: &&Rule| cx.may(rule.name, rule.values);
        let rules: Vec<&Rule> = self.rules.iter().filter(may).collect();
        let mut terms = Terms::new(scratch, region);
        let mut rounds = 0;
        let limit = loop {
            if terms.len() >= self.terms {
                break Some(format!("the limit of {} terms was reached", self.terms));
            }
            if rounds == self.rounds {
                break Some(format!("the limit of {} rounds was reached", self.rounds));
            }
            if start.elapsed() >= self.time {
                let seconds = self.time.as_secs_f64();
                break Some(format!("the limit of {seconds} seconds was reached"));
            }
            if !terms.round(&rules, self.terms) {
                break None;
            }
            rounds += 1;
        };
        if let Some(reason) = limit {
            cx.skip(RULE, g, region.roots[0], &reason);
        }
        cx.step(terms.len() as u64);
        extract(&mut terms, region)
    }

    /// The graph with all regions that get cheaper; `None` if none does.
    fn once(&self, g: &Graph, start: Instant, cx: &mut PassCx<'_>) -> Option<(Graph, NodeMap)> {
        cx.step(g.len() as u64);
        // Rules ask for facts of values; new values are recorded beside them.
        let (scratch, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        let mut found: Vec<Extracted> = Vec::new();
        let mut of: FxHashMap<NodeId, usize> = FxHashMap::default();
        for region in regions(g, self.nodes, &map) {
            if let Some(better) = self.improve(g, &scratch, &region, start, cx) {
                of.extend(better.roots().map(|root| (root, found.len())));
                found.push(better);
            }
        }
        if found.is_empty() {
            return None;
        }
        let mut places: Vec<Option<NodeId>> = vec![None; g.len()];
        // A region is rewritten as a whole, or not at all.
        let mut fires: Vec<Option<bool>> = vec![None; found.len()];
        let (new, map) = g.rebuild(|new, old, node, inputs| {
            let start = new.len();
            let number = of.get(&old).copied();
            let first = number.is_some_and(|n| fires[n].is_none());
            let better = number
                .filter(|&n| *fires[n].get_or_insert_with(|| cx.may(RULE, Class::BitExact)))
                .and_then(|n| Some((&found[n], found[n].build(new, old, &places)?)));
            let id = better.map_or_else(|| new.push(node.op.clone(), inputs), |(_, id)| id);
            places[old.index()] = Some(id);
            if let Some((better, _)) = better {
                let delta = Totals::since(new, start) - Totals::of_node(g, old);
                if first {
                    cx.applied(RULE, g, old, delta);
                    better.steps.iter().for_each(|rule| cx.enter(rule, g, old, Delta::default()));
                } else {
                    cx.made(RULE, old);
                    cx.enter(RULE, g, old, delta);
                }
            }
            Rewrite::Replace(id)
        });
        Some((new, map))
    }
}

impl Pass for Saturate {
    fn name(&self) -> &'static str {
        "saturate"
    }

    fn class(&self) -> Classes {
        let weakest = |class: fn(&Rule) -> Class| {
            self.rules.iter().map(class).max().unwrap_or(Class::BitExact)
        };
        Classes { values: weakest(|r| r.values), gradients: weakest(|r| r.gradients) }
    }

    fn rules(&self) -> Vec<&'static str> {
        self.rules.iter().map(|rule| rule.name).collect()
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let start = Instant::now();
        let mut result: Option<(Graph, NodeMap)> = None;
        // A region that got smaller holds more rules' work within the same limits.
        for _ in 0..MAX_RUNS {
            let current = result.as_ref().map_or(g, |(graph, _)| graph);
            if !cx.may(RULE, Class::BitExact) {
                break;
            }
            // What limits were reached is said of the graph as it is in the end.
            cx.skipped.clear();
            let Some((next, step)) = self.once(current, start, cx) else { break };
            cx.rebuilt(self.name(), current, &next, &step);
            let map = match &result {
                Some((_, map)) => map.then(&step),
                None => step,
            };
            result = Some((next, map));
        }
        Ok(match result {
            Some((graph, map)) => Outcome::Changed(graph, map),
            None => Outcome::Unchanged,
        })
    }
}

/// The nodes that rules may look into, in index order, so many at a time.
fn regions(g: &Graph, most: usize, map: &NodeMap) -> Vec<Region> {
    let uses = live_uses(g);
    let inside =
        |id: &NodeId| uses[id.index()] > 0 && g.peek(*id, |node| is_inside(&node.op)) == Some(true);
    let nodes: Vec<NodeId> = g.ids().filter(inside).collect();
    nodes.chunks(most.max(1)).filter_map(|nodes| Region::new(g, nodes, &uses, map)).collect()
}

/// May rules look into it? Draws, loops, operators with several results and those of users are values from
/// outside, and so is what depends on nothing.
fn is_inside(op: &Op) -> bool {
    let source = matches!(
        op,
        Op::Input(_)
            | Op::Variable(_)
            | Op::Parameter(_)
            | Op::Constant(_)
            | Op::Full(_)
            | Op::Iota(_)
    );
    let outside = matches!(op, Op::Custom(_) | Op::Fused(_) | Op::Scan(_));
    !source && !outside && !op.traits().has(Traits::RANDOM) && op.family().is_none()
}
