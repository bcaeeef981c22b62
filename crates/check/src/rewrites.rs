//! Rules and passes on random graphs: the whole proof, for the library's and for users'.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::thread;

use pleach_ops::Op;
use pleach_passes::rules::RULES;
use pleach_passes::testing::{
    Broken, Law, Plants, Recipe, Sample, commutes, holds, preserves, shrink,
};
use pleach_passes::{Class, Level, Pass, PassCx, Pipeline, Rule, Simplify};
use pleach_tensor::Key;
use thiserror::Error;

/// How rules and passes are checked. Graphs are drawn from the seed, so every run is the same.
///
/// ```
/// use pleach_check::RewriteCheck;
/// use pleach_passes::{Share, rules};
/// let mine = rules! { negs: E, E "(-x)·(-y) = x·y" mul(neg(x), neg(y)) => mul(x, y); };
/// let few = RewriteCheck { graphs: 32, ..RewriteCheck::default() };
/// assert!(few.rewrite(&mine[0])?.changed > 0);
/// assert!(few.pass(Share)?.changed > 0);
/// # Ok::<(), pleach_check::WrongRewrite>(())
/// ```
#[derive(Clone, Debug)]
pub struct RewriteCheck {
    /// Random graphs, half of them with any values at level `exact`, half of them with tame ones
    /// at level `default`; of every second one with gradients and update.
    pub graphs: u64,
    /// What the graphs are drawn from.
    pub seed: u64,
    /// Operators of your own, with attributes: they stand in the graphs, and are what rules mean
    /// by their names.
    pub operators: Vec<Op>,
    /// Rules of your own, whose left sides stand in the graphs beside those of the library: what
    /// a pass looks for, or what it must not touch.
    pub rules: Vec<Rule>,
}

impl Default for RewriteCheck {
    fn default() -> Self {
        RewriteCheck { graphs: 256, seed: 0, operators: Vec::new(), rules: Vec::new() }
    }
}

/// What was compared, and found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proved {
    /// Random graphs.
    pub graphs: u64,
    /// Those that it changed; if there are none, nothing was proved.
    pub changed: u64,
    /// Left sides made from a rule at which it fired.
    pub sides: usize,
    /// Gradients compared at them.
    pub gradients: usize,
}

/// A rule or a pass that does not keep what it promises.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct WrongRewrite {
    /// The rule or the pass.
    pub name: String,
    /// The law that it breaks; `None` for a rule of which one side, made from the rule alone, is
    /// not the other.
    pub law: Option<Law>,
    /// What was found, with the graph that it makes.
    pub why: String,
    /// The smallest graph found at which it goes wrong, as text.
    pub graph: Option<String>,
}

impl fmt::Display for WrongRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is wrong", self.name)?;
        if let Some(law) = self.law {
            write!(f, " ({law:?})")?;
        }
        if let Some(graph) = &self.graph {
            write!(f, " at\n{graph}")?;
        }
        write!(f, "\n{}", self.why)
    }
}

/// [`RewriteCheck::rewrite`] with the defaults.
///
/// # Errors
/// As [`RewriteCheck::rewrite`].
pub fn rewrite(rule: &Rule) -> Result<Proved, WrongRewrite> {
    RewriteCheck::default().rewrite(rule)
}

/// [`RewriteCheck::pass`] with the defaults.
///
/// # Errors
/// As [`RewriteCheck::pass`].
pub fn pass(pass: impl Pass + 'static) -> Result<Proved, WrongRewrite> {
    RewriteCheck::default().pass(pass)
}

impl RewriteCheck {
    /// Is a rule right? First as [`holds`] has it: its left side is built of all shapes, element
    /// types, constants and facts, and values and gradients of both sides are compared within its
    /// classes, special values included. Then as a pass of its own, on random graphs in which its
    /// left side stands often.
    ///
    /// # Errors
    /// [`WrongRewrite`] with the smallest graph at which it goes wrong; or that it never fires.
    pub fn rewrite(&self, rule: &Rule) -> Result<Proved, WrongRewrite> {
        let name = rule.name.to_string();
        let held = holds(rule, &self.operators).map_err(|why| WrongRewrite {
            name: name.clone(),
            law: None,
            why,
            graph: None,
        })?;
        let simplify = Simplify::new(vec![rule.clone()]);
        let plants = Plants { operators: self.operators.clone(), rules: vec![rule.clone()] };
        let alone = Pipeline::new(vec![Arc::new(simplify)]);
        let proved = self.graphs(&name, &alone, &plants)?;
        Ok(Proved { sides: held.fired, gradients: held.gradients, ..proved })
    }

    /// Is a pass right? On random graphs (loops, random numbers, shared parameters, gradients and
    /// update among them):
    ///
    /// | law | |
    /// |---|---|
    /// | [`Law::Form`] | it runs, and keeps outputs and assignments |
    /// | [`Law::Values`] | values differ no more than its class of values allows; `rewrite(grad(g))` too |
    /// | [`Law::Nan`] | it hides no NaN and makes none |
    /// | [`Law::Gradients`] | `grad(rewrite(g))` is `grad(g)`, unless its class of gradients is lossy |
    /// | [`Law::Rest`] | once more changes nothing |
    /// | [`Law::Price`] | the price does not go up, unless its class is stabilizing |
    /// | [`Law::Ledger`] | what it notes adds up |
    /// | [`Law::Repeats`] | the same graph at every run, in every thread |
    ///
    /// # Errors
    /// [`WrongRewrite`] with the smallest graph at which it goes wrong.
    pub fn pass(&self, pass: impl Pass + 'static) -> Result<Proved, WrongRewrite> {
        let name = pass.name().to_string();
        let rules = RULES.iter().chain(&self.rules).cloned().collect();
        let plants = Plants { operators: self.operators.clone(), rules };
        self.graphs(&name, &Pipeline::new(vec![Arc::new(pass)]), &plants)
    }

    /// As [`RewriteCheck::pass`], for several passes in a row. A pipeline comes to rest after at
    /// most four runs.
    ///
    /// # Errors
    /// As [`RewriteCheck::pass`].
    pub fn pipeline(&self, pipeline: &Pipeline) -> Result<Proved, WrongRewrite> {
        let rules = RULES.iter().chain(&self.rules).cloned().collect();
        let plants = Plants { operators: self.operators.clone(), rules };
        self.graphs("the pipeline", pipeline, &plants)
    }

    fn graphs(
        &self,
        name: &str,
        pipeline: &Pipeline,
        plants: &Plants,
    ) -> Result<Proved, WrongRewrite> {
        let mut proved = Proved::default();
        for number in 0..self.graphs {
            let key = Key(self.seed).fold(number);
            let tame = number % 2 == 0;
            let recipe = Recipe::drawn(key, tame);
            let case = Case { pipeline, plants, recipe, gradients: number / 2 % 2 == 1, key };
            let changed = case.check().map_err(|broken| {
                let (why, graph) = case.smallest(broken.clone());
                let (name, law) = (name.to_string(), Some(broken.law));
                WrongRewrite { name, law, why, graph: Some(graph) }
            })?;
            proved.graphs += 1;
            proved.changed += u64::from(changed);
        }
        Ok(proved)
    }
}

/// One graph.
struct Case<'a> {
    pipeline: &'a Pipeline,
    plants: &'a Plants,
    recipe: Recipe,
    /// Has the graph gradients and an update? Otherwise they are taken after the passes.
    gradients: bool,
    key: Key,
}

impl Case<'_> {
    fn level(&self) -> Level {
        if self.recipe.tame { Level::Default } else { Level::Exact }
    }

    /// Did it change the graph?
    fn check(&self) -> Result<bool, Broken> {
        let sample = self.recipe.build_with(self.gradients, self.plants);
        let here = self.rewritten(&sample);
        let other = || self.rewritten(&self.recipe.build_with(self.gradients, self.plants));
        let there = thread::scope(|s| s.spawn(other).join());
        if there.is_ok_and(|there| there == here) {
            return self.laws(&sample);
        }
        Err(Broken { law: Law::Repeats, why: format!("another thread does not make\n{here}") })
    }

    /// What the pipeline makes of a graph, as text.
    fn rewritten(&self, sample: &Sample) -> String {
        let new = self.pipeline.optimize(&sample.graph, &mut PassCx::reference(self.level()));
        new.map_or_else(|e| e.to_string(), |(new, ..)| new.to_string())
    }

    /// All laws on one graph; did the pipeline change it?
    fn laws(&self, sample: &Sample) -> Result<bool, Broken> {
        let (first, second) = (self.rewritten(sample), self.rewritten(sample));
        if first != second {
            let why = format!("one run makes\n{first}another\n{second}");
            return Err(Broken { law: Law::Repeats, why });
        }
        let before = sample.graph.structural_hash();
        let (new, _) = preserves(self.pipeline, sample, self.level(), self.key)?;
        let passes = self.pipeline.passes();
        let lossy = passes.iter().any(|pass| pass.class().gradients == Class::Lossy);
        if self.recipe.tame && !self.gradients && !lossy {
            commutes(self.pipeline, sample, self.level(), self.key)?;
        }
        Ok(new.structural_hash() != before)
    }

    /// What goes wrong at the smallest graph that breaks the same law, and that graph.
    fn smallest(&self, broken: Broken) -> (String, String) {
        let why = Cell::new(broken.why);
        let sample = self.recipe.build_with(self.gradients, self.plants);
        let fails = |sample: &Sample| match self.laws(sample) {
            Err(again) if again.law == broken.law => {
                why.set(again.why);
                true
            }
            _ => false,
        };
        let small = shrink(sample, fails);
        let graph = small.graph.to_string();
        (why.into_inner(), graph)
    }
}
