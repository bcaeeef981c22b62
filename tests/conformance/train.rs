//! Optimizers by PyTorch's names and options, and training at a level.

use pleach::prelude::*;
use serde_json::{Map, Value as Json};

use super::read::{number, numbers};

/// The optimizer of this name with these options; none if there is no such optimizer here, or it
/// has no such option.
pub(crate) fn optimizer(name: &str, options: &Json) -> Option<Box<dyn Optimizer>> {
    let o = options.as_object()?;
    let or = |name: &str, default: f64| o.get(name).map_or(default, number);
    let is = |name: &str| o.get(name).and_then(Json::as_bool).unwrap_or(false);
    let (rate, decay) = (or("lr", 1e-3), or("weight_decay", 0.0));
    let betas = o.get("betas").map_or_else(|| vec![0.9, 0.999], numbers);
    let known: &[&str] = match name.to_lowercase().as_str() {
        "sgd" => &["lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"],
        "adam" | "adamw" => {
            &["lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"]
        }
        _ => return None,
    };
    if o.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    Some(match name.to_lowercase().as_str() {
        "sgd" => {
            let mut sgd = Sgd::new(rate).weight_decay(decay).momentum(or("momentum", 0.0));
            sgd = sgd.dampening(or("dampening", 0.0));
            sgd = if is("nesterov") { sgd.nesterov() } else { sgd };
            Box::new(if is("maximize") { sgd.maximize() } else { sgd })
        }
        // PyTorch's Adam with `decoupled_weight_decay` is its AdamW.
        "adam" if !is("decoupled_weight_decay") => {
            let mut adam = Adam::new(rate).betas(betas[0], betas[1]).eps(or("eps", 1e-8));
            adam = adam.weight_decay(decay);
            adam = if is("amsgrad") { adam.amsgrad() } else { adam };
            Box::new(if is("maximize") { adam.maximize() } else { adam })
        }
        _ => {
            let mut adam = AdamW::new(rate).betas(betas[0], betas[1]).eps(or("eps", 1e-8));
            adam = adam.weight_decay(decay);
            adam = if is("amsgrad") { adam.amsgrad() } else { adam };
            Box::new(if is("maximize") { adam.maximize() } else { adam })
        }
    })
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
