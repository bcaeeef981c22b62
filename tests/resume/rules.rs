//! Every optimizer, everything around one, and every schedule, a line each.

use pleach::optim::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, Average, Chain, Constant, Cosine,
    CosineRestarts, CosineWave, Cyclic, CyclicShape, Exponential, Hold, InverseSqrt, Lamb, Lbfgs,
    Linear, Lion, MultiStep, Muon, NAdam, OneCycle, Optimizer, Penalty, Plateau, Polynomial, RAdam,
    Rate, RmsProp, Rprop, Schedule, Sequence, Sgd, Step, Warmup,
};

/// How a run trains.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// An update in each run.
    Each(fn(Rate) -> Box<dyn Optimizer>),
    /// An update after so many runs.
    Parts(u64, fn(Rate) -> Box<dyn Optimizer>),
    /// A call in each run, without a schedule.
    Lbfgs(fn() -> Lbfgs),
}

use Rule::{Each, Parts};

pub(crate) const RULES: &[(&str, Rule)] = &[
    ("sgd", Each(|rate| Box::new(Sgd::new(rate)))),
    ("momentum", Each(|rate| Box::new(Sgd::new(rate).momentum(0.9).weight_decay(1e-3)))),
    ("nesterov", Each(|rate| Box::new(Sgd::new(rate).momentum(0.9).nesterov()))),
    ("adam", Each(|rate| Box::new(Adam::new(rate)))),
    ("amsgrad", Each(|rate| Box::new(Adam::new(rate).amsgrad()))),
    ("adamw", Each(|rate| Box::new(AdamW::new(rate)))),
    ("adadelta", Each(|rate| Box::new(Adadelta::new(rate)))),
    ("adafactor", Each(|rate| Box::new(Adafactor::new(rate)))),
    ("adagrad", Each(|rate| Box::new(Adagrad::new(rate)))),
    ("adamax", Each(|rate| Box::new(Adamax::new(rate)))),
    ("asgd", Each(|rate| Box::new(Asgd::new(rate)))),
    ("lamb", Each(|rate| Box::new(Lamb::new(rate)))),
    ("lion", Each(|rate| Box::new(Lion::new(rate)))),
    ("muon", Each(|rate| Box::new(Muon::new(rate.clone()).except("#vector", AdamW::new(rate))))),
    ("nadam", Each(|rate| Box::new(NAdam::new(rate)))),
    ("radam", Each(|rate| Box::new(RAdam::new(rate)))),
    ("rmsprop", Each(|rate| Box::new(RmsProp::new(rate)))),
    ("rprop", Each(|rate| Box::new(Rprop::new(rate)))),
    // Around an optimizer.
    ("clip_norm", Each(|rate| Box::new(Adam::new(rate).clip_norm(0.1)))),
    ("clip_each", Each(|rate| Box::new(adam(rate).clip_each(0.1)))),
    ("clip_value", Each(|rate| Box::new(adam(rate).clip_value(0.01)))),
    ("centralize", Each(|rate| Box::new(adam(rate).centralize()))),
    ("max_norm", Each(|rate| Box::new(adam(rate).max_norm(0.5)))),
    ("lookahead", Each(|rate| Box::new(adam(rate).lookahead(4, 0.5)))),
    ("exponential average", Each(|rate| Box::new(adam(rate).average(Average::Exponential(0.9))))),
    ("equal average", Each(|rate| Box::new(adam(rate).average(EVERY_FOURTH)))),
    ("loss scale", Each(|rate| Box::new(adam(rate).scale_loss(8.0).adapting(2.0, 0.5, 7)))),
    ("penalties", Each(|rate| Box::new(adam(rate).penalty(Penalty::L1(1e-3)).decoupled()))),
    ("groups", Each(|rate| Box::new(groups(rate)))),
    ("except", Each(|rate| Box::new(adam(rate.clone()).except("*.b", momentum(rate))))),
    ("all around", Each(|rate| Box::new(all_around(rate)))),
    // Other steps.
    ("adam in parts", Parts(4, |rate| Box::new(adam(rate)))),
    ("all around in parts", Parts(3, |rate| Box::new(all_around(rate)))),
    ("lbfgs", Rule::Lbfgs(|| Lbfgs::new(0.05).history(3).max_iterations(2))),
    ("lbfgs with a search", Rule::Lbfgs(|| Lbfgs::new(1.0).max_iterations(3).strong_wolfe())),
];

const EVERY_FOURTH: Average = Average::Equal { start: 5, every: 4 };

fn adam(rate: Rate) -> Adam {
    Adam::new(rate)
}

fn momentum(rate: Rate) -> Sgd {
    Sgd::new(rate).momentum(0.9)
}

/// By tag and by name; one with a rate and a schedule of its own.
fn groups(rate: Rate) -> Adam {
    let own = || Rate::new(0.005, Step { every: 5, gamma: 0.5 });
    adam(rate).group("#vector", |o| o.rate(own())).group("output.*", |o| o.weight_decay(0.1))
}

fn all_around(rate: Rate) -> impl Optimizer {
    let bounded = groups(rate).centralize().clip_value(0.1).clip_norm(0.5).max_norm(0.8);
    bounded.lookahead(5, 0.5).average(Average::Exponential(0.9)).scale_loss(4.0)
}

type Scheduled = fn() -> Box<dyn Schedule>;

/// Factors of a rate of 0.02, over the 40 updates of a run.
pub(crate) const SCHEDULES: &[(&str, Scheduled)] = &[
    ("constant", || Box::new(Constant)),
    ("step", || Box::new(Step { every: 7, gamma: 0.7 })),
    ("steps", || Box::new(MultiStep { milestones: vec![3, 9, 21], gamma: 0.5 })),
    ("exponential", || Box::new(Exponential { gamma: 0.97 })),
    ("linear", || Box::new(Linear { start: 1.0, end: 0.1, steps: 30 })),
    ("hold", || Box::new(Hold { factor: 0.3, steps: 6 })),
    ("polynomial", || Box::new(Polynomial { steps: 35, power: 2.0 })),
    ("inverse root", || Box::new(InverseSqrt { warmup: 6 })),
    ("cosine", || Box::new(COSINE)),
    ("cosine wave", || Box::new(CosineWave { steps: 9, min: 0.1 })),
    ("restarts", || Box::new(CosineRestarts { steps: 5, growth: 2, min: 0.1 })),
    ("one cycle", || Box::new(OneCycle::new(40))),
    ("cycles", || Box::new(Cyclic { shape: CyclicShape::Halving, ..Cyclic::new(0.1, 4, 3) })),
    ("plateau", || Box::new(PLATEAU)),
    ("warm-up", || Box::new(Warmup::new(5, COSINE))),
    ("sequence", || Box::new(Sequence::new(Hold { factor: 0.5, steps: 4 }).then(6, PLATEAU))),
    ("chain", || Box::new(Chain::new(COSINE).and(Exponential { gamma: 0.95 }))),
];

const COSINE: Cosine = Cosine { steps: 30, min: 0.1 };

/// It is told the loss of every run, so it falls often.
const PLATEAU: Plateau = Plateau {
    factor: 0.8,
    patience: 1,
    threshold: 0.01,
    absolute: false,
    largest: false,
    cooldown: 2,
    min: 0.01,
};

/// Every rule with every schedule it can have.
pub(crate) fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let schedules = |rule: Rule| match rule {
        Rule::Lbfgs(_) => &SCHEDULES[..1],
        _ => SCHEDULES,
    };
    RULES.iter().flat_map(move |(name, rule)| schedules(*rule).iter().map(|s| (*name, s.0)))
}

/// Every rule once and every schedule once, at least.
pub(crate) fn each_once() -> impl Iterator<Item = (&'static str, &'static str)> {
    let schedules = SCHEDULES.iter().map(|s| s.0).cycle();
    RULES.iter().map(|rule| rule.0).zip(schedules)
}

/// The entry of this name.
pub(crate) fn named<T: Copy>(list: &[(&str, T)], name: &str) -> T {
    list.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1
}
