//! Schedules: the rate, and the momentum where it moves, at each of a hundred updates.

use std::path::Path;

use pleach::optim::{
    Chain, Constant, CosineRestarts, CosineWave, Cyclic, CyclicShape, Exponential, Hold,
    InverseSqrt, Linear, MultiStep, OneCycle, Plateau, Polynomial, Schedule, Sequence, Time,
};
use pleach::prelude::*;
use serde_json::{Map, Value as Json};

use super::compare::lists_agree;
use super::levels::LEVELS;
use super::optim::cases;
use super::read::{number, numbers};
use super::report::{Outcome, Report};

/// The rates of each schedule.
pub(crate) fn schedules(folder: &Path) -> Result<Report, String> {
    let path = folder.join("schedule/values.json");
    cases("schedule", &path, "schedule", |case, _| {
        let name = case["schedule"].as_str().unwrap_or_default();
        match Options::of(&case["options"]).and_then(|o| o.schedule(name, number(&case["base_lr"])))
        {
            Some((schedule, base)) => rates(case, schedule.as_ref(), base).into(),
            None => Outcome::Unsupported,
        }
    })
}

struct Options<'o>(&'o Map<String, Json>);

impl<'o> Options<'o> {
    fn of(json: &'o Json) -> Option<Options<'o>> {
        json.as_object().map(Options)
    }

    fn or(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).filter(|v| !v.is_null()).map_or(default, number)
    }

    fn is(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Json::as_bool).unwrap_or(default)
    }

    fn word(&self, name: &str, default: &'static str) -> &str {
        self.0.get(name).and_then(Json::as_str).unwrap_or(default)
    }

    /// The schedule and its base rate, which a cycle has of its own; none if there is no such
    /// schedule here, or it has no such option.
    fn schedule(&self, name: &str, base: f64) -> Option<(Box<dyn Schedule>, f64)> {
        let count = |name: &str, default: f64| self.or(name, default) as u64;
        let min = self.or("eta_min", 0.0) / base;
        let (known, schedule): (&[&str], Box<dyn Schedule>) = match name {
            "StepLR" => {
                let step =
                    StepDecay { every: count("step_size", 1.0), gamma: self.or("gamma", 0.1) };
                (&["step_size", "gamma"], Box::new(step))
            }
            "MultiStepLR" => {
                let milestones = numbers(&self.0["milestones"]).iter().map(|&m| m as u64).collect();
                let steps = MultiStep { milestones, gamma: self.or("gamma", 0.1) };
                (&["milestones", "gamma"], Box::new(steps))
            }
            "ExponentialLR" => (&["gamma"], Box::new(Exponential { gamma: self.or("gamma", 0.1) })),
            "MultiplicativeLR" => {
                (&["factor"], Box::new(Exponential { gamma: self.or("factor", 1.0) }))
            }
            "ConstantLR" => {
                let (factor, steps) = (self.or("factor", 1.0 / 3.0), count("total_iters", 5.0));
                (&["factor", "total_iters"], Box::new(Hold { factor, steps }))
            }
            "LinearLR" => {
                let start = self.or("start_factor", 1.0 / 3.0);
                let (end, steps) = (self.or("end_factor", 1.0), count("total_iters", 5.0));
                let known = &["start_factor", "end_factor", "total_iters"];
                (known, Box::new(Linear { start, end, steps }))
            }
            "PolynomialLR" => {
                let (steps, power) = (count("total_iters", 5.0), self.or("power", 1.0));
                (&["total_iters", "power"], Box::new(Polynomial { steps, power }))
            }
            "CosineAnnealingLR" => {
                let steps = count("T_max", 1.0);
                (&["T_max", "eta_min"], Box::new(CosineWave { steps, min }))
            }
            "CosineAnnealingWarmRestarts" => {
                let (steps, growth) = (count("T_0", 1.0), count("T_mult", 1.0));
                let known = &["T_0", "T_mult", "eta_min"];
                (known, Box::new(CosineRestarts { steps, growth, min }))
            }
            "LambdaLR" => (&[], Box::new(Constant)),
            "InverseSqrt" => (&["warmup"], Box::new(InverseSqrt { warmup: count("warmup", 1.0) })),
            "ReduceLROnPlateau" => {
                let plateau = Plateau {
                    factor: self.or("factor", 0.1),
                    patience: count("patience", 10.0),
                    threshold: self.or("threshold", 1e-4),
                    absolute: self.word("threshold_mode", "rel") == "abs",
                    largest: self.word("mode", "min") == "max",
                    cooldown: count("cooldown", 0.0),
                    min: self.or("min_lr", 0.0) / base,
                };
                let known = &[
                    "factor",
                    "patience",
                    "threshold",
                    "threshold_mode",
                    "mode",
                    "cooldown",
                    "min_lr",
                ];
                (known, Box::new(plateau))
            }
            "OneCycleLR" => return self.one_cycle(),
            "CyclicLR" => return self.cyclic(),
            "SequentialLR" => return self.sequence(base),
            "ChainedScheduler" => return self.chain(base),
            _ => return None,
        };
        self.knows(known).then_some((schedule, base))
    }

    fn knows(&self, names: &[&str]) -> bool {
        self.0.keys().all(|key| names.contains(&key.as_str()))
    }

    fn one_cycle(&self) -> Option<(Box<dyn Schedule>, f64)> {
        let momentum = [self.or("base_momentum", 0.85), self.or("max_momentum", 0.95)];
        let cycle = OneCycle {
            rise: self.or("pct_start", 0.3),
            div: self.or("div_factor", 25.0),
            final_div: self.or("final_div_factor", 1e4),
            three_phases: self.is("three_phase", false),
            linear: self.word("anneal_strategy", "cos") == "linear",
            momentum: self.is("cycle_momentum", true).then_some(momentum),
            ..OneCycle::new(self.or("total_steps", 0.0) as u64)
        };
        let known = [
            "max_lr",
            "total_steps",
            "pct_start",
            "div_factor",
            "final_div_factor",
            "three_phase",
            "anneal_strategy",
            "cycle_momentum",
            "base_momentum",
            "max_momentum",
        ];
        self.knows(&known).then(|| (Box::new(cycle) as Box<dyn Schedule>, self.or("max_lr", 0.0)))
    }

    fn cyclic(&self) -> Option<(Box<dyn Schedule>, f64)> {
        let (least, most) = (self.or("base_lr", 0.0), self.or("max_lr", 0.0));
        let up = self.or("step_size_up", 2000.0);
        let shape = match self.word("mode", "triangular") {
            "triangular" => CyclicShape::Triangular,
            "triangular2" => CyclicShape::Halving,
            "exp_range" => CyclicShape::Exponential(self.or("gamma", 1.0)),
            _ => return None,
        };
        let momentum = [self.or("base_momentum", 0.8), self.or("max_momentum", 0.9)];
        let cyclic = Cyclic {
            shape,
            momentum: self.is("cycle_momentum", true).then_some(momentum),
            ..Cyclic::new(least / most, up as u64, self.or("step_size_down", up) as u64)
        };
        let known = [
            "base_lr",
            "max_lr",
            "step_size_up",
            "step_size_down",
            "mode",
            "gamma",
            "cycle_momentum",
            "base_momentum",
            "max_momentum",
        ];
        self.knows(&known).then(|| (Box::new(cyclic) as Box<dyn Schedule>, most))
    }

    /// The schedules inside.
    fn inner(&self, base: f64) -> Option<Vec<Box<dyn Schedule>>> {
        let schedule = |pair: &Json| {
            let (schedule, own) = Options::of(&pair[1])?.schedule(pair[0].as_str()?, base)?;
            (own == base).then_some(schedule)
        };
        self.0.get("schedulers")?.as_array()?.iter().map(schedule).collect()
    }

    fn sequence(&self, base: f64) -> Option<(Box<dyn Schedule>, f64)> {
        let mut inner = self.inner(base)?.into_iter();
        let milestones = numbers(&self.0["milestones"]);
        let first = Sequence::new(inner.next()?);
        let all = inner.zip(milestones).fold(first, |all, (s, m)| all.then(m as u64, s));
        self.knows(&["schedulers", "milestones"]).then(|| (Box::new(all) as _, base))
    }

    fn chain(&self, base: f64) -> Option<(Box<dyn Schedule>, f64)> {
        let mut inner = self.inner(base)?.into_iter();
        let first = Chain::new(inner.next()?);
        self.knows(&["schedulers"]).then(|| (Box::new(inner.fold(first, Chain::and)) as _, base))
    }
}

fn rates(case: &Json, schedule: &dyn Schedule, base: f64) -> Result<(), String> {
    schedule.check().map_err(|e| e.to_string())?;
    let tolerance = |which: &str| number(&case["tolerance"][which]);
    let list = |name: &str| case.get(name).map(numbers);
    let (want, metric) = (numbers(&case["lr"]), list("metric"));
    let registry = Params::seeded(0).dtype(F64);
    let param = registry.param("x", [], Init::zeros());
    let g = Graph::train();
    let time = Time::new(&g, "sgd", &param);
    let rate = schedule.factor(&time) * base;
    let momentum = schedule.momentum(&time);
    if list("momentum").is_some() != momentum.is_some() {
        return Err("the momentum moves in one of both alone".into());
    }
    for (level, compile) in LEVELS {
        let recording = g.infer(rate).output("momentum", momentum.unwrap_or(rate));
        let mut step = recording.compile(compile()).map_err(|e| e.to_string())?;
        let mut state = State::new(&registry);
        let (mut rates, mut momenta) = (Vec::new(), Vec::new());
        for t in 0..want.len() {
            let outputs = step.run(&mut state, []).map_err(|e| e.to_string())?;
            rates.push(outputs.scalar("y").map_err(|e| e.to_string())?);
            momenta.push(outputs.scalar("momentum").map_err(|e| e.to_string())?);
            if let Some(metric) = &metric {
                let told = state.set("sgd.metric", &Tensor::scalar(metric[t]));
                told.map_err(|e| e.to_string())?;
            }
        }
        let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
        lists_agree(&rates, &want, rtol, atol).map_err(|why| format!("{level}: rate {why}"))?;
        if let Some(want) = list("momentum") {
            lists_agree(&momenta, &want, rtol, atol)
                .map_err(|why| format!("{level}: momentum {why}"))?;
        }
    }
    Ok(())
}
