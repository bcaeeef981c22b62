//! The run: a small net with everything that has a memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use pleach::LbfgsStep;
use pleach::nn::BatchNorm;
use pleach::prelude::*;

use crate::rules::{RULES, Rule, SCHEDULES, named};

const ROWS: usize = 40;
const BATCH: usize = 8;
const EPOCHS: u64 = 8;
/// Steps from one save to the next; not a divisor of an epoch.
const EVERY: u64 = 3;

/// Where a run is in its data.
type Place = (Order, usize);

/// Trains to the end: from the checkpoint at `path`, if there is a path and a file, with a save
/// every few steps. Tells `say` what it does. The result is a hash of everything.
pub(crate) fn train(rule: &str, schedule: &str, path: Option<&Path>, say: &dyn Fn(String)) -> u64 {
    let key = Key(5);
    let ty = |dtype, shape: &[usize]| Type::new(dtype, shape).unwrap();
    let x = Tensor::uniform(&ty(F32, &[ROWS, 6]), key, -1.0, 1.0);
    let y = Tensor::build_i64(&ty(I64, &[ROWS]), |i| key.below(i as u64, 3) as i64);
    let data = Dataset::new([("x", x), ("y", y)]).unwrap();

    let params = Params::seeded(11);
    let linear = |name, inputs, outputs| {
        let p = params.scope(name);
        let layer = Linear::without_bias(&p, inputs, outputs);
        Linear { b: Some(p.tag("vector").param("b", [outputs], Init::zeros())), ..layer }
    };
    let hidden = linear("hidden", 6, 16);
    let norm = BatchNorm::new(&params.scope("norm").tag("vector"), 16);
    let output = linear("output", 16, 3);
    let g = Graph::train();
    let (x, y) = (g.input("x", F32, [BATCH, 6]), g.input("y", I64, [BATCH]));
    let h = Dropout::new(0.3).call(norm.call(hidden.call(x)).relu());
    let loss = output.call(h).cross_entropy(y);
    let rate = Rate::new(0.02, named(SCHEDULES, schedule)());
    let mut step = Learner::new(&g, loss, named(RULES, rule), rate);

    let mut state = State::new(&params);
    let mut place: Place = (Order::Shuffled { seed: 3, epoch: 0 }, 0);
    if let Some(path) = path {
        let run = State::resume(path, &params).unwrap();
        // Only a kill between the two renames of a save may leave no newest checkpoint.
        assert!(run.fallback.as_ref().is_none_or(|e| e.is_missing()), "{:?}", run.fallback);
        let fell = if run.fallback.is_some() { "before" } else { "newest" };
        place = run.notes.get("data").unwrap().unwrap_or(place);
        state = run.state;
        say(format!("resumed {} {fell}", steps(place)));
    }
    let Order::Shuffled { seed, epoch: first } = place.0 else { unreachable!() };
    for epoch in first..EPOCHS {
        let order = Order::Shuffled { seed, epoch };
        let skip = if epoch == first { place.1 } else { 0 };
        let mut batches = data.batches(BATCH, order).unwrap().skip_batches(skip);
        while let Some(batch) = batches.next() {
            let loss = step.run(&mut state, &batch);
            tell(&mut state, loss);
            let now = (order, batches.position());
            say(format!("step {} {:016x}", steps(now), loss.to_bits()));
            if let Some(path) = path.filter(|_| steps(now).is_multiple_of(EVERY)) {
                say(format!("saving {}", steps(now)));
                state.checkpoint().with("data", &now).unwrap().save(path).unwrap();
                say(format!("saved {}", steps(now)));
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    state.checkpoint().to_bytes().unwrap().hash(&mut hasher);
    hasher.finish()
}

/// A compiled step of any kind.
enum Learner {
    Step(Box<Step>),
    Lbfgs(Box<LbfgsStep>),
}

impl Learner {
    fn new<'g>(g: &'g Graph, loss: Var<'g>, rule: Rule, rate: Rate) -> Learner {
        let recording = match rule {
            Rule::Each(rule) => g.minimize(loss, rule(rate)),
            Rule::Parts(k, rule) => g.minimize(loss, rule(rate)).accumulate(k),
            Rule::Lbfgs(rule) => {
                let step = g.minimize_lbfgs(loss, rule()).compile(Compile::default()).unwrap();
                return Learner::Lbfgs(Box::new(step));
            }
        };
        Learner::Step(Box::new(recording.compile(Compile::default()).unwrap()))
    }

    /// The loss of one batch.
    fn run(&mut self, state: &mut State, batch: &[Tensor]) -> f64 {
        match self {
            Learner::Step(step) => step.run(state, batch).unwrap().scalar("loss").unwrap(),
            Learner::Lbfgs(step) => step.run(state, batch).unwrap().loss,
        }
    }
}

/// Tells the loss to the schedules that ask for a metric.
fn tell(state: &mut State, loss: f64) {
    let asks = |v: &&Variable| v.name().ends_with(".metric");
    let slots: Vec<String> = state.variables().filter(asks).map(|v| v.name().to_string()).collect();
    slots.iter().for_each(|slot| state.set(slot, &Tensor::scalar(loss)).unwrap());
}

/// Steps made at a place.
fn steps((order, batch): Place) -> u64 {
    let Order::Shuffled { epoch, .. } = order else { unreachable!() };
    epoch * (ROWS / BATCH) as u64 + batch as u64
}

/// Trains in a process of its own, and says everything on standard output.
pub(crate) fn report(rule: &str, schedule: &str, path: &Path) {
    let hash = train(rule, schedule, Some(path), &|line| println!("{line}"));
    println!("end {hash:016x}");
}

/// What a run said: the loss of every step, and the rest.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) losses: BTreeMap<u64, String>,
    /// Steps done when it began, and was the newest checkpoint missing?
    pub(crate) resumed: Option<(u64, bool)>,
    /// The last save that began, and the last that ended.
    pub(crate) saving: Option<u64>,
    pub(crate) saved: Option<u64>,
    pub(crate) end: Option<String>,
}

impl Said {
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = || words[1].parse().unwrap();
        match words[0] {
            "resumed" => self.resumed = Some((number(), words[2] == "before")),
            "step" => drop(self.losses.insert(number(), words[2].into())),
            "saving" => self.saving = Some(number()),
            "saved" => self.saved = Some(number()),
            "end" => self.end = Some(words[1].into()),
            _ => panic!("{line:?}"),
        }
    }
}
