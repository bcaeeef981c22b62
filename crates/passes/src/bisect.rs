//! Which rewrite breaks it? Finds the first one by running fewer and fewer of them.

use std::fmt;

use pleach_graph::Site;
use pleach_ops::Graph;

use crate::{Ledger, PassCx, PassError, Pipeline};

/// The first rewrite after which a graph is broken.
#[derive(Debug)]
pub struct Culprit {
    /// Its number, from 1; 0 if a pass breaks the graph by what it does not count as a rewrite.
    pub number: usize,
    /// The pass.
    pub pass: String,
    /// The rule; `None` if the pass has not said that it rewrites.
    pub rule: Option<String>,
    /// The node that it rewrote, with its operator and type.
    pub node: Option<String>,
    /// The line of the user's code that recorded the node.
    pub site: Option<Site>,
    /// The graph without this rewrite and all later ones.
    pub before: Graph,
    /// The graph with it.
    pub after: Graph,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "rewrite {}: rule {rule} of pass {}", self.number, self.pass)?,
            None => write!(f, "pass {}", self.pass)?,
        }
        if let Some(node) = &self.node {
            write!(f, ", at {node}")?;
        }
        match &self.site {
            Some(site) => write!(f, ", built at {site}"),
            None => Ok(()),
        }
    }
}

/// One rewrite, as it is noted.
#[derive(Clone, Debug)]
pub(crate) struct Rewritten {
    pub(crate) rule: String,
    pub(crate) node: String,
    pub(crate) site: Option<Site>,
}

/// The first rewrite of a pipeline after which a graph is `broken`: it is not broken by the
/// rewrites before. `cx` gives a new context for each run: level, evaluator, rules left out.
/// `None` if all of them together do not break it.
///
/// A predicate may do anything: compare with a run of the graph before, look for an operator, run a
/// step. Runs the pipeline and the predicate about log₂ of the number of rewrites times.
///
/// ```
/// use pleach_ops::prelude::*;
/// use pleach_passes::{Level, PassCx, Pipeline, bisect};
/// let g = Graph::new();
/// let x = g.input("x", F32, [3]);
/// g.output("y", (-(-x.exp()) + 1.0).ln().id());
/// let lost = |g: &Graph| !g.to_string().contains("ln ");
/// let cx = || PassCx::reference(Level::Default);
/// let culprit = bisect(&Pipeline::default(), &g, cx, lost)?.expect("it is lost");
/// assert_eq!(culprit.rule.as_deref(), Some("ln_one_plus_exp"));
/// # Ok::<(), pleach_passes::PassError>(())
/// ```
///
/// # Errors
/// Those of the passes.
pub fn bisect<'a>(
    pipeline: &Pipeline,
    g: &Graph,
    cx: impl Fn() -> PassCx<'a>,
    mut broken: impl FnMut(&Graph) -> bool,
) -> Result<Option<Culprit>, PassError> {
    let run = |pipeline: &Pipeline, most: Option<usize>| {
        let mut cx = cx();
        cx.max_rewrites = most;
        let (new, _) = pipeline.run(g, &mut cx, &mut Ledger::default())?;
        Ok::<_, PassError>((new, cx))
    };
    let (all, cx) = run(pipeline, Some(usize::MAX))?;
    if !broken(&all) {
        return Ok(None);
    }
    let (mut good, mut bad) = (0, usize::MAX - cx.max_rewrites.unwrap_or(0));
    let (none, _) = run(pipeline, Some(0))?;
    if broken(&none) {
        return uncounted(pipeline, |pipeline| Ok(run(pipeline, Some(0))?.0), broken);
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if broken(&run(pipeline, Some(middle))?.0) { bad = middle } else { good = middle }
    }
    let (before, _) = run(pipeline, Some(good))?;
    let (after, cx) = run(pipeline, Some(bad))?;
    let (pass, last) = cx.last.unwrap_or_default();
    let (rule, node, site) = match last {
        Some(last) => (Some(last.rule), Some(last.node), last.site),
        None => (None, None, None),
    };
    Ok(Some(Culprit { number: bad, pass, rule, node, site, before, after }))
}

/// The first pass that breaks the graph, though no rewrite is allowed.
fn uncounted(
    pipeline: &Pipeline,
    run: impl Fn(&Pipeline) -> Result<Graph, PassError>,
    mut broken: impl FnMut(&Graph) -> bool,
) -> Result<Option<Culprit>, PassError> {
    let mut before = run(&pipeline.clone().prefix(0))?;
    let passes = pipeline.passes();
    for n in 0..=passes.len() {
        let after = run(&pipeline.clone().prefix(n))?;
        if broken(&after) {
            // With no pass at all it is broken already: by being built anew, or from the start.
            let pass = n.checked_sub(1).map_or("copy", |n| passes[n].name()).to_string();
            let (rule, node, site) = (None, None, None);
            return Ok(Some(Culprit { number: 0, pass, rule, node, site, before, after }));
        }
        before = after;
    }
    Ok(None)
}
