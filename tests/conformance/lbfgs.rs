//! L-BFGS by PyTorch's options, and training with it at a level.

use pleach::prelude::*;
use serde_json::Value as Json;

use super::optim::Look;
use super::read::number;

/// Chaotic paths: PyTorch itself leaves them after 30 steps, by 800 and 75,000 times the tolerance
/// of the case, if its gradients change in the last bit. So after 25 steps the tolerance is times
/// this: 1e-3 and 0.1 relative.
const CHAOTIC: [(&str, f64); 2] = [("lbfgs.quadratic", 1e3), ("lbfgs.logistic", 1e5)];

/// How many times the tolerance of a case is allowed after this many steps.
pub(super) fn slack(case: &str, steps: usize) -> f64 {
    let known = CHAOTIC.iter().find(|(id, _)| *id == case && steps > 25);
    known.map_or(1.0, |(_, times)| *times)
}

/// L-BFGS with these options; none if it has no such option here.
pub(super) fn options(options: &Json) -> Option<Lbfgs> {
    let mut lbfgs = Lbfgs::new(1.0).history(100);
    for (name, value) in options.as_object()? {
        let count = number(value) as usize;
        lbfgs = match name.as_str() {
            "lr" => lbfgs.rate(number(value)),
            "max_iter" => lbfgs.max_iterations(count),
            "max_eval" if value.is_null() => lbfgs,
            "max_eval" => lbfgs.max_evaluations(count),
            "tolerance_grad" => lbfgs.tolerance_gradient(number(value)),
            "tolerance_change" => lbfgs.tolerance_change(number(value)),
            "history_size" => lbfgs.history(count),
            "line_search_fn" if value == "strong_wolfe" => lbfgs.strong_wolfe(),
            "line_search_fn" if value.is_null() => lbfgs,
            "maximize" if value == true => lbfgs.maximize(),
            "maximize" if value == false => lbfgs,
            _ => return None,
        };
    }
    Some(lbfgs)
}

/// The loss before each of `steps` calls and after the last; `look` sees the state before each.
pub(super) fn train(
    loss: Var<'_>,
    lbfgs: Lbfgs,
    compile: Compile,
    state: &mut State,
    steps: usize,
    look: Look<'_>,
) -> Result<Vec<f64>, String> {
    let recording = loss.graph().minimize_lbfgs(loss, lbfgs);
    let mut step = recording.compile(compile).map_err(|e| e.to_string())?;
    let mut losses = Vec::new();
    for i in 0..=steps {
        look(i, state)?;
        losses.push(step.run(state, []).map_err(|e| e.to_string())?.first);
    }
    Ok(losses)
}
