//! Every optimizer and every schedule, a line each.

use pleach::optim::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Asgd, Cosine, CosineRestarts, Exponential,
    Lamb, Lion, NAdam, OneCycle, Optimizer, RAdam, Rate, RmsProp, Rprop, Sgd, Step, Warmup,
};

type Rule = fn(Rate) -> Box<dyn Optimizer>;
type Scheduled = fn() -> Rate;

pub(crate) const OPTIMIZERS: &[(&str, Rule)] = &[
    ("sgd", |rate| Box::new(Sgd::new(rate))),
    ("momentum", |rate| Box::new(Sgd::new(rate).momentum(0.9).weight_decay(1e-3))),
    ("nesterov", |rate| Box::new(Sgd::new(rate).momentum(0.9).nesterov())),
    ("adam", |rate| Box::new(Adam::new(rate))),
    ("amsgrad", |rate| Box::new(Adam::new(rate).amsgrad())),
    ("adamw", |rate| Box::new(AdamW::new(rate))),
    ("adadelta", |rate| Box::new(Adadelta::new(rate))),
    ("adafactor", |rate| Box::new(Adafactor::new(rate))),
    ("adagrad", |rate| Box::new(Adagrad::new(rate))),
    ("adamax", |rate| Box::new(Adamax::new(rate))),
    ("asgd", |rate| Box::new(Asgd::new(rate))),
    ("lamb", |rate| Box::new(Lamb::new(rate))),
    ("lion", |rate| Box::new(Lion::new(rate))),
    ("nadam", |rate| Box::new(NAdam::new(rate))),
    ("radam", |rate| Box::new(RAdam::new(rate))),
    ("rmsprop", |rate| Box::new(RmsProp::new(rate))),
    ("rprop", |rate| Box::new(Rprop::new(rate))),
    ("clipped", |rate| Box::new(Adam::new(rate).clip_norm(0.1))),
];

pub(crate) const SCHEDULES: &[(&str, Scheduled)] = &[
    ("constant", || Rate::from(0.01)),
    ("step", || Rate::new(0.02, Step { every: 7, gamma: 0.7 })),
    ("cosine", || Rate::new(0.02, Cosine { steps: 30, min: 0.1 })),
    ("restarts", || Rate::new(0.02, CosineRestarts { steps: 5, growth: 2, min: 0.1 })),
    ("exponential", || Rate::new(0.02, Exponential { gamma: 0.97 })),
    ("one cycle", || Rate::new(0.02, OneCycle::new(40))),
    ("warm-up", || Rate::new(0.02, Warmup::new(5, Cosine { steps: 30, min: 0.1 }))),
];

/// The entry of this name.
pub(crate) fn named<T: Copy>(list: &[(&str, T)], name: &str) -> T {
    list.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1
}
