//! `Compile`: how a recording becomes a step.

use pleach_exec::Options;
use pleach_passes::{Level, Machine, Pipeline};

use crate::{Problem, calibrate};

/// What runs, and how it is optimized.
///
/// | level | what runs | promise |
/// |---|---|---|
/// | [`Compile::none`] | the reference interpreter | the oracle |
/// | [`Compile::unoptimized`] | kernels, one node at a time | |
/// | [`Compile::exact`] | rewrites of exact classes only | bitwise equal to `unoptimized` |
/// | [`Compile::default`] | rounding and stabilizing rewrites too | within tested tolerances |
#[derive(Debug)]
pub struct Compile {
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) without: Vec<String>,
    pub(crate) machine: Machine,
    pub(crate) max_peak_bytes: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Engine {
    Interpreter,
    Plan(Option<(Level, Pipeline)>),
}

impl Compile {
    fn new(engine: Engine) -> Compile {
        Compile {
            engine,
            options: Options::default(),
            without: Vec::new(),
            machine: Machine::default(),
            max_peak_bytes: None,
        }
    }

    /// The reference interpreter: slow, and obviously right.
    pub fn none() -> Compile {
        Compile::new(Engine::Interpreter)
    }

    /// Kernels, one node at a time, nothing rewritten.
    pub fn unoptimized() -> Compile {
        Compile::new(Engine::Plan(None))
    }

    /// Only rewrites that change no bit of any value.
    pub fn exact() -> Compile {
        Compile::new(Engine::Plan(Some((Level::Exact, Pipeline::default()))))
    }

    /// Runs this many threads; all processors if nothing is said. They change no bit.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads;
        self
    }

    /// The ledger estimates time and energy by this machine, and profiles set what was reached beside what
    /// it can do. Changes nothing else.
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self
    }

    /// As [`Compile::machine`], by what the machine at hand does, which takes about a second to measure.
    #[must_use]
    pub fn calibrated(self) -> Self {
        self.machine(calibrate::measure())
    }

    /// An operator without a kernel is an error, instead of running in the interpreter.
    #[must_use]
    pub fn no_fallback(mut self) -> Self {
        self.options.fallback = false;
        self
    }

    /// The level and the passes that run, without what is left out; none for levels without passes.
    pub(crate) fn passes(&self) -> (Level, Pipeline) {
        let (level, pipeline) = match &self.engine {
            Engine::Plan(Some((level, pipeline))) => (*level, pipeline.clone()),
            _ => (Level::Exact, Pipeline::new(Vec::new())),
        };
        (level, self.without.iter().fold(pipeline, |pipeline, name| pipeline.without(name)))
    }

    /// Names to leave out that no pass and no rule has: a typing mistake would change nothing.
    pub(crate) fn unknown_names(&self) -> Vec<Problem> {
        let Engine::Plan(Some((_, pipeline))) = &self.engine else { return Vec::new() };
        let passes = pipeline.passes();
        let names = passes.iter().flat_map(|p| [vec![p.name()], p.rules()].concat());
        let mut known: Vec<&str> = names.collect();
        known.sort_unstable();
        known.dedup();
        let unknown = self.without.iter().filter(|name| !known.contains(&name.as_str()));
        unknown
            .map(|name| Problem::Without { name: name.clone(), known: known.join(", ") })
            .collect()
    }

    /// Leaves out a pass or a rule by its name; a name that nothing has is an error of `compile`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.without.push(name.into());
        self
    }

    /// The memory of a run takes at most so many bytes: values are computed again instead of being
    /// kept for the gradient, as far as it takes, for one more forward computation at most. No bit
    /// changes. Counted is the arena ([`PlanReport::arena_bytes`](pleach_exec::PlanReport)): all
    /// values of a run, but not parameters, slots, feeds and constants. Planning takes longer.
    ///
    /// If it cannot be met, `compile` answers [`Problem::Memory`](crate::Problem::Memory), which tells
    /// the lowest peak that was reached. A level without passes, and a pipeline without `remat`,
    /// computes nothing again.
    #[must_use]
    pub fn max_peak_bytes(mut self, bytes: u64) -> Self {
        self.max_peak_bytes = Some(bytes);
        self
    }

    /// Runs these passes instead, at the level chosen (`default` if none was).
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        let level = match &self.engine {
            Engine::Plan(Some((level, _))) => *level,
            _ => Level::Default,
        };
        self.engine = Engine::Plan(Some((level, pipeline)));
        self
    }
}

impl Default for Compile {
    fn default() -> Compile {
        Compile::new(Engine::Plan(Some((Level::Default, Pipeline::default()))))
    }
}
