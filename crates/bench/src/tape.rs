//! What a node costs: a graph of 10,000 scalar operations, recorded, differentiated, run.
//!
//! `v = x`, then 5,000 times `v = v·a`, `v = v + b`: every node sends a gradient to a leaf that all
//! others share.

use std::error::Error;

use pleach::prelude::*;

/// Recorded operations: two a turn.
pub(crate) const NODES: usize = 10_000;

/// Records the graph and the gradients by its three leaves.
pub(crate) fn record(g: &Graph) -> (Var<'_>, Vec<Var<'_>>) {
    let leaves = ["x", "a", "b"].map(|name| g.input(name, F32, []));
    let [mut v, a, b] = leaves;
    for _ in 0..NODES / 2 {
        v = v * a;
        v = v + b;
    }
    (v, g.grad(v, &leaves))
}

/// The values at which it is run.
pub(crate) fn feeds() -> [Tensor; 3] {
    [0.5f32, 0.999, 0.001].map(Tensor::scalar)
}

/// Compiles the graph: the value, and its gradients as `dx`, `da`, `db`.
///
/// # Errors
/// What the library refuses.
pub(crate) fn compile(threads: usize) -> Result<(Step, State), Box<dyn Error>> {
    let g = Graph::train();
    let (v, grads) = record(&g);
    let names = ["dx", "da", "db"];
    let recording = names.iter().zip(grads).fold(g.infer(v), |r, (name, dv)| r.output(name, dv));
    let step = recording.compile(Compile::default().threads(threads).no_fallback())?;
    Ok((step, State::new(&Params::seeded(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_the_closed_form() {
        let (mut step, mut state) = compile(1).expect("it compiles");
        let outputs = step.run(&mut state, &feeds()).expect("it runs");
        let [y, dx, db] = ["y", "dx", "db"].map(|name| outputs.scalar(name).expect("a number"));
        // v = aⁿx + b(1 - aⁿ)/(1 - a), n = 5000.
        let (a, n) = (f64::from(0.999f32), (NODES / 2) as i32);
        let sum = (1.0 - a.powi(n)) / (1.0 - a);
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-3, "{got} {want}");
        near(dx, a.powi(n));
        near(db, sum);
        near(y, 0.5 * a.powi(n) + 0.001 * sum);
    }
}
