//! Operators in f32, against the true values, those in f64.

use pleach::prelude::*;

use super::call::Build;
use super::levels::{LEVELS, run};
use super::operator::{Inputs, record, tensor};
use super::read::{Case, Tensors};

/// The largest error allowed, over the largest true value of the tensor, of outputs and gradients;
/// or twice the error that PyTorch's own f32 has there, if that is more.
const ALLOWED: [f64; 2] = [5e-7, 5e-6];

/// Is there anything to compare with?
pub(crate) fn says_something(case: &Case) -> bool {
    case.single.iter().all(|error| !error.is_nan())
}

/// Are outputs and gradients near enough? A tensor whose true values are all 0 says nothing.
pub(crate) fn check(build: Build, case: &Case, tensors: &Tensors) -> Result<(), String> {
    let g = Graph::new();
    let mut inputs = Inputs::new(&g, tensors);
    let mut wanted = record(build, case, &mut inputs)?;
    wanted.retain(|(name, _, _)| name.starts_with("output") || name.starts_with("gradient"));
    wanted.iter().for_each(|(name, value, _)| g.output(name, value.id()));
    let feeds: Vec<Tensor> = inputs.feeds().into_iter().map(narrow).collect();
    let feeds: Vec<&Tensor> = feeds.iter().collect();
    let single = g.retype(F64, F32);
    let outputs: Vec<(String, Var<'_>)> = single
        .roots()
        .iter()
        .map(|root| (root.name.to_string(), Var::new(&single, root.value)))
        .collect();
    for (level, compile) in LEVELS {
        let got = run(&single, &outputs, &feeds, compile()).map_err(|e| format!("{level}: {e}"))?;
        for ((name, _, key), got) in wanted.iter().zip(got) {
            let want = tensor(tensors, key)?;
            let which = usize::from(name.starts_with("gradient"));
            let allowed = ALLOWED[which].max(2.0 * case.single[which]);
            if let Some((error, element)) = worst(&got, want).filter(|w| w.0 > allowed) {
                let (is, not) = (got.get(element), want.get(element));
                return Err(format!(
                    "{level}: {name} ({key}) is off by {error:.1e}, allowed {allowed:.1e}: \
                     [{element}] is {is:?}, not {not:?}"
                ));
            }
        }
    }
    Ok(())
}

fn narrow(x: &Tensor) -> Tensor {
    if x.dtype() == F64 { x.cast(F32) } else { x.clone() }
}

/// The largest error over the largest true value, and where it is. A tensor whose values f32
/// cannot hold, such as the product of many small numbers, says nothing.
fn worst(got: &Tensor, want: &Tensor) -> Option<(f64, usize)> {
    if !want.dtype().is_float() {
        return None;
    }
    let (got, want) = (got.to_f64s(), want.to_f64s());
    let scale = want.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
    let finite = got.iter().zip(&want).enumerate().filter(|(_, (_, want))| want.is_finite());
    // Below this a number is 0 in f32, or loses digits.
    let errors = finite.map(|(i, (got, want))| ((got - want).abs() / scale.max(1e-30), i));
    // NaN is worst.
    errors.filter(|_| scale >= f64::from(f32::MIN_POSITIVE)).max_by(|a, b| a.0.total_cmp(&b.0))
}
