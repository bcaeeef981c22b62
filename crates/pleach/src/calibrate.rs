//! The machine at hand, for the estimates of the ledger: measured on request.

use std::time::Instant;

use pleach_exec::State;
use pleach_ops::{Graph, GraphExt, Params, Var};
use pleach_passes::Machine;
use pleach_tensor::{F32, Tensor, Type};

use crate::{Compile, Train};

/// Runs that count; the fastest is taken, for others were disturbed.
const RUNS: usize = 7;
/// Rows and columns of a product that stays in the caches.
const SIDE: usize = 384;
/// Elements of an array that does not.
const LONG: usize = 1 << 24;

/// Arithmetic of a product of matrices and traffic of a sum of arrays, on one thread. Takes about a second.
/// What cannot be measured is assumed.
pub(crate) fn measure() -> Machine {
    let product = seconds([SIDE, SIDE], |x| x.matmul(x));
    let sum = seconds([LONG, 1], |x| x + 1.0);
    let assumed = Machine::default();
    let (Some(product), Some(sum)) = (product, sum) else { return assumed };
    let flops = 2.0 * (SIDE * SIDE * SIDE) as f64;
    let bytes = 2.0 * (LONG * F32.size()) as f64;
    Machine { gflops: flops / product / 1e9, gbs: bytes / sum / 1e9, measured: true, ..assumed }
}

fn seconds(shape: [usize; 2], f: fn(Var<'_>) -> Var<'_>) -> Option<f64> {
    let g = Graph::eval();
    let y = f(g.input("x", F32, shape));
    let mut step = g.infer(y).compile(Compile::unoptimized().threads(1)).ok()?;
    let mut state = State::new(&Params::seeded(0));
    let x = Tensor::full(&Type::new(F32, shape).ok()?, 1.0);
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        step.run(&mut state, [&x]).ok()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    (best > 0.0).then_some(best)
}
