//! Optimizers by PyTorch's names and options, and training at a level.

use std::cell::RefCell;

use pleach::optim::{
    Adadelta, Adafactor, Adagrad, Adamax, Asgd, Descent, Muon, NAdam, RAdam, RmsProp, Rprop, Rule,
};
use pleach::prelude::*;
use serde_json::{Map, Value as Json};

use super::read::{number, numbers};

/// Options of a case, by PyTorch's names. Each that is asked for is known; the others must have
/// been asked for when all is built.
struct Options<'o> {
    all: &'o Map<String, Json>,
    asked: RefCell<Vec<&'static str>>,
}

impl Options<'_> {
    fn get(&self, name: &'static str) -> Option<&Json> {
        self.asked.borrow_mut().push(name);
        self.all.get(name).filter(|value| !value.is_null())
    }

    fn or(&self, name: &'static str, default: f64) -> f64 {
        self.get(name).map_or(default, number)
    }

    fn is(&self, name: &'static str) -> bool {
        self.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    fn pair(&self, name: &'static str, default: [f64; 2]) -> [f64; 2] {
        self.get(name).map_or(default, |v| {
            let v = numbers(v);
            [v[0], v[1]]
        })
    }

    /// What every optimizer has; none if an option is not known.
    fn finish<R: Rule>(&self, mut optimizer: Descent<R>) -> Option<Box<dyn Optimizer>> {
        if self.all.contains_key("weight_decay") {
            optimizer = optimizer.weight_decay(self.or("weight_decay", 0.0));
        }
        let known = ["lr", "weight_decay", "maximize", "decoupled_weight_decay"];
        if self.is("decoupled_weight_decay") {
            optimizer = optimizer.decoupled();
        }
        if self.is("maximize") {
            optimizer = optimizer.maximize();
        }
        let asked = self.asked.borrow();
        let knows = |key: &str| known.contains(&key) || asked.contains(&key);
        self.all.keys().all(|key| knows(key)).then(|| Box::new(optimizer) as Box<dyn Optimizer>)
    }
}

/// The optimizer of this name with these options; none if there is no such optimizer here, or it
/// has no such option.
pub(crate) fn optimizer(name: &str, options: &Json) -> Option<Box<dyn Optimizer>> {
    let o = Options { all: options.as_object()?, asked: RefCell::default() };
    let rate = o.or("lr", 1e-3);
    let [b1, b2] = o.pair("betas", [0.9, 0.999]);
    let eps = |default: f64| o.or("eps", default);
    match name.to_lowercase().as_str() {
        "sgd" => {
            let sgd = Sgd::new(rate).momentum(o.or("momentum", 0.0));
            let sgd = sgd.dampening(o.or("dampening", 0.0));
            o.finish(if o.is("nesterov") { sgd.nesterov() } else { sgd })
        }
        "adam" | "adamw" if name.len() == 5 || o.is("decoupled_weight_decay") => {
            let adam = AdamW::new(rate).betas(b1, b2).eps(eps(1e-8));
            o.finish(if o.is("amsgrad") { adam.amsgrad() } else { adam })
        }
        "adam" => {
            let adam = Adam::new(rate).betas(b1, b2).eps(eps(1e-8));
            o.finish(if o.is("amsgrad") { adam.amsgrad() } else { adam })
        }
        "adagrad" => o.finish(
            Adagrad::new(rate)
                .rate_decay(o.or("lr_decay", 0.0))
                .initial(o.or("initial_accumulator_value", 0.0))
                .eps(eps(1e-10)),
        ),
        "adadelta" => o.finish(Adadelta::new(rate).rho(o.or("rho", 0.9)).eps(eps(1e-6))),
        "rmsprop" => {
            let rms = RmsProp::new(rate).alpha(o.or("alpha", 0.99)).eps(eps(1e-8));
            let rms = rms.momentum(o.or("momentum", 0.0));
            o.finish(if o.is("centered") { rms.centered() } else { rms })
        }
        "nadam" => {
            let nadam = NAdam::new(rate).betas(b1, b2).eps(eps(1e-8));
            o.finish(nadam.momentum_decay(o.or("momentum_decay", 0.004)))
        }
        "radam" => o.finish(RAdam::new(rate).betas(b1, b2).eps(eps(1e-8))),
        "adamax" => o.finish(Adamax::new(rate).betas(b1, b2).eps(eps(1e-8))),
        "asgd" => {
            let asgd = Asgd::new(rate).lambda(o.or("lambd", 1e-4)).alpha(o.or("alpha", 0.75));
            o.finish(asgd.start(o.or("t0", 1e6)))
        }
        "rprop" => {
            let [turned, stays] = o.pair("etas", [0.5, 1.2]);
            let [least, largest] = o.pair("step_sizes", [1e-6, 50.0]);
            o.finish(Rprop::new(rate).factors(turned, stays).bounds(least, largest))
        }
        "adafactor" => {
            let pair = o.get("eps").and_then(Json::as_array);
            let at = |i: usize| pair.and_then(|pair| pair[i].as_f64());
            let adafactor = Adafactor::new(rate).beta2_decay(o.or("beta2_decay", -0.8));
            o.finish(adafactor.eps(at(0), at(1).unwrap_or(1e-3)).threshold(o.or("d", 1.0)))
        }
        "muon" => {
            let c = o.get("ns_coefficients").map_or(vec![3.4445, -4.775, 2.0315], numbers);
            let muon = Muon::new(rate).bfloat16().momentum(o.or("momentum", 0.95)).eps(eps(1e-7));
            let muon = muon.coefficients(c[0], c[1], c[2]).steps(o.or("ns_steps", 5.0) as u32);
            let as_adam = o.get("adjust_lr_fn").is_some_and(|f| f == "match_rms_adamw");
            let muon = if as_adam { muon.as_adam() } else { muon };
            o.finish(if o.is("nesterov") { muon } else { muon.without_nesterov() })
        }
        _ => None,
    }
}

/// The optimizer that a text says: `sgd lr=0.02 momentum=0.9`.
pub(crate) fn named(text: &str) -> Option<Box<dyn Optimizer>> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let option = |word: &str| {
        let (key, value) = word.split_once('=')?;
        Some((key.to_string(), Json::from(value.parse::<f64>().ok()?)))
    };
    let options = words.map(option).collect::<Option<Map<String, Json>>>()?;
    optimizer(name, &Json::Object(options))
}

/// The loss before each of `steps` updates and after the last; `each` looks at the values before
/// every one of these runs.
pub(crate) fn train<'g>(
    loss: Var<'g>,
    optimizer: Box<dyn Optimizer>,
    compile: Compile,
    state: &mut State,
    feeds: &[&Tensor],
    steps: usize,
    mut each: impl FnMut(usize, &State) -> Result<(), String>,
) -> Result<Vec<f64>, String> {
    let recording = loss.graph().minimize(loss, optimizer);
    let mut step = recording.compile(compile).map_err(|e| e.to_string())?;
    let mut losses = Vec::new();
    for i in 0..=steps {
        each(i, state)?;
        let outputs = step.run(state, feeds.iter().copied()).map_err(|e| e.to_string())?;
        losses.push(outputs.scalar("loss").map_err(|e| e.to_string())?);
    }
    Ok(losses)
}
