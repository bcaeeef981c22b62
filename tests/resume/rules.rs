//! Every optimizer and every schedule, a line each.

use pleach::optim::{Adam, AdamW, Cosine, Optimizer, Rate, Sgd, Step};

type Rule = fn(Rate) -> Box<dyn Optimizer>;

pub(crate) const OPTIMIZERS: &[(&str, Rule)] = &[
    ("sgd", |rate| Box::new(Sgd::new(rate))),
    ("momentum", |rate| Box::new(Sgd::new(rate).momentum(0.9).weight_decay(1e-3))),
    ("nesterov", |rate| Box::new(Sgd::new(rate).momentum(0.9).nesterov())),
    ("adam", |rate| Box::new(Adam::new(rate))),
    ("amsgrad", |rate| Box::new(Adam::new(rate).amsgrad())),
    ("adamw", |rate| Box::new(AdamW::new(rate))),
    ("clipped", |rate| Box::new(Adam::new(rate).clip_norm(0.1))),
];

pub(crate) const SCHEDULES: &[(&str, fn() -> Rate)] = &[
    ("constant", || Rate::from(0.01)),
    ("step", || Rate::new(0.02, Step { every: 7, gamma: 0.7 })),
    ("cosine", || Rate::new(0.02, Cosine { steps: 30, min: 0.1 })),
];

/// The entry of this name.
pub(crate) fn named<T: Copy>(list: &[(&str, T)], name: &str) -> T {
    list.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1
}
