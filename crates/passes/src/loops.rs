//! Runs the pipeline inside of loops: what one step does is a graph like any other.
//!
//! ```text
//! %2 = scan(… {%1 = ln (exp %0); return %1})   =>   %2 = scan(… {return %0})
//! ```
//! Every loop is rewritten once, however many of its results are used. A rule that is applied in a
//! step is charged with what it changes in all steps. Class and cost: those of the passes.

use std::collections::HashMap;
use std::sync::Arc;

use pleach_graph::{NodeId, Rewrite};
use pleach_ops::{Graph, Loop, Op, Scan};

use crate::totals::is_computed_before;
use crate::{Delta, Entry, Ledger, Outcome, PassCx, PassError, Pipeline};

/// Name of this part of a pipeline in ledgers, and for [`Pipeline::without`].
pub(crate) const NAME: &str = "loops";

/// A loop with its new step, and what was done to a step.
type Rewritten = Option<(Arc<Loop>, Vec<Entry>)>;

pub(crate) fn run(
    pipeline: &Pipeline,
    g: &Graph,
    cx: &mut PassCx<'_>,
) -> Result<Outcome, PassError> {
    let mut loops: HashMap<Arc<Loop>, Rewritten> = HashMap::new();
    for id in g.ids() {
        let Op::Scan(scan) = g.op(id) else { continue };
        if !loops.contains_key(scan.of()) {
            loops.insert(scan.of().clone(), rewritten(pipeline, scan.of(), cx)?);
        }
        if let Some(Some((_, entries))) = loops.get(scan.of())
            && !is_computed_before(g, id)
        {
            entries.iter().for_each(|entry| charge(entry, scan.of(), g, id, cx));
        }
    }
    if loops.values().all(Option::is_none) {
        return Ok(Outcome::Unchanged);
    }
    let (new, map) = g.rebuild(|new, _, node, inputs| match &node.op {
        Op::Scan(scan) => match loops.get(scan.of()) {
            Some(Some((of, _))) => {
                let op = Op::Scan(Scan::new(of.clone(), scan.result()));
                Rewrite::Replace(new.push(op, inputs))
            }
            _ => Rewrite::Keep,
        },
        _ => Rewrite::Keep,
    });
    Ok(Outcome::Changed(new, map))
}

/// The loop after the pipeline ran on its step; `None` if that changed nothing.
fn rewritten(
    pipeline: &Pipeline,
    of: &Arc<Loop>,
    cx: &mut PassCx<'_>,
) -> Result<Rewritten, PassError> {
    let step = of.step_graph();
    let mut inner = PassCx::new(cx.level, cx.evaluate);
    inner.disabled.clone_from(&cx.disabled);
    inner.fold_elements = cx.fold_elements;
    inner.fold_bytes = cx.fold_bytes;
    inner.max_rewrites = cx.max_rewrites;
    inner.in_loop = true;
    let mut ledger = Ledger::default();
    let (better, _) = pipeline.run(&step, &mut inner, &mut ledger)?;
    cx.max_rewrites = inner.max_rewrites;
    cx.last = inner.last.take().or(cx.last.take());
    cx.step(inner.steps());
    let failed =
        |e: pleach_graph::TypeError| PassError::Failed { pass: NAME.into(), reason: e.to_string() };
    let new = of.with_step(&better).map_err(failed)?;
    if new == **of {
        return Ok(None);
    }
    let recorded = ledger.stages().len();
    Ok(Some((Arc::new(new), ledger.entries.split_off(recorded))))
}

/// Notes what a rule changed in all steps of a loop.
fn charge(entry: &Entry, of: &Loop, g: &Graph, at: NodeId, cx: &mut PassCx<'_>) {
    let steps = of.length() as i64;
    let delta = Delta {
        flops: entry.delta.flops.saturating_mul(steps),
        bytes: entry.delta.bytes.saturating_mul(steps),
        ..Delta::default()
    };
    let rule = if entry.rule.is_empty() { &entry.pass } else { &entry.rule };
    cx.made(rule, at);
    for _ in 0..entry.applications.max(1) {
        cx.enter(rule, g, at, Delta::default());
    }
    if let Some(noted) = cx.applied.iter_mut().find(|e| e.rule == *rule) {
        noted.delta += delta;
    }
}
