//! Training steps that are timed, the same as the peers': model, batch, loss, optimizer, in f32 unless
//! another float type is asked for.

use std::error::Error;
use std::time::{Duration, Instant};

use pleach::nn::zoo::{Gpt, LeNet, LstmLm, Mlp, Vgg};
use pleach::nn::{LearnedEncoding, Transformer, TransformerEncoder};
use pleach::prelude::*;

/// A training step. Its inputs are one batch: floats are standard normal, integers uniform below
/// `classes`, drawn once, as the peers' are.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) classes: u64,
    pub(crate) loss: for<'g> fn(&Params, &'g Graph) -> Var<'g>,
    pub(crate) optimizer: fn() -> Box<dyn Optimizer>,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "mlp64_sgdm",
        classes: 10,
        loss: |p, g| mlp(p, g, 64),
        optimizer: || Box::new(Sgd::new(0.01).momentum(0.9)),
    },
    Workload {
        name: "mlp1024_adam",
        classes: 10,
        loss: |p, g| mlp(p, g, 1024),
        optimizer: || Box::new(Adam::new(1e-3)),
    },
    Workload {
        name: "lenet64_adam",
        classes: 10,
        loss: lenet,
        optimizer: || Box::new(Adam::new(1e-3)),
    },
    Workload {
        name: "vgg32_sgd",
        classes: 10,
        loss: |p, g| vgg(p, g, 32),
        optimizer: || Box::new(Sgd::new(0.01)),
    },
    Workload {
        name: "lstm32_adam",
        classes: 64,
        loss: lstm,
        optimizer: || Box::new(Adam::new(1e-3)),
    },
    Workload {
        name: "gpt8_adamw",
        classes: 64,
        loss: gpt,
        optimizer: || Box::new(AdamW::new(3e-4)),
    },
    Workload {
        name: "tinymlp32_sgd",
        classes: 1,
        loss: tiny,
        optimizer: || Box::new(Sgd::new(0.05)),
    },
    Workload {
        name: "logreg32_sgd",
        classes: 10,
        loss: logreg,
        optimizer: || Box::new(Sgd::new(0.05)),
    },
];

/// The step whose memory is measured.
pub(crate) const MEMORY: Workload = Workload {
    name: "mem_vgg256_sgd",
    classes: 10,
    loss: |p, g| vgg(p, g, 256),
    optimizer: || Box::new(Sgd::new(0.01)),
};

fn mlp<'g>(p: &Params, g: &'g Graph, batch: usize) -> Var<'g> {
    let net = Mlp::new(p, &[784, 256, 128, 10]);
    let (x, y) = (g.input("x", p.param_dtype(), [batch, 784]), g.input("y", I64, [batch]));
    net.call(x).cross_entropy(y)
}

fn lenet<'g>(p: &Params, g: &'g Graph) -> Var<'g> {
    let net = LeNet::classic(p);
    let (x, y) = (g.input("x", p.param_dtype(), [64, 1, 28, 28]), g.input("y", I64, [64]));
    net.call(x).cross_entropy(y)
}

fn vgg<'g>(p: &Params, g: &'g Graph, batch: usize) -> Var<'g> {
    let net = Vgg::new(p, 3, 32, &[32, 64, 128], 10);
    let (x, y) = (g.input("x", p.param_dtype(), [batch, 3, 32, 32]), g.input("y", I64, [batch]));
    net.call(x).cross_entropy(y)
}

fn lstm<'g>(p: &Params, g: &'g Graph) -> Var<'g> {
    let net = LstmLm::new(p, 64, 64, 128, 1);
    let (x, y) = (g.input("x", I64, [32, 64]), g.input("y", I64, [32 * 64]));
    net.call(x).flatten_axes(0, 1).cross_entropy(y)
}

/// `Gpt::tiny`, with a table that begins at N(0, 1) as the peers' does.
fn gpt<'g>(p: &Params, g: &'g Graph) -> Var<'g> {
    let layer =
        Transformer::new(128, 4, 512).norm_first().activation(|x| x.gelu_tanh()).dropout(0.0);
    let net = Gpt {
        table: Embedding::new(&p.scope("table"), 64, 128),
        position: LearnedEncoding::new(&p.scope("position"), 128, 128),
        layers: TransformerEncoder::new(&p.scope("body"), 2, layer),
        head: Linear::without_bias(&p.scope("head"), 128, 64),
    };
    let (x, y) = (g.input("x", I64, [8, 128]), g.input("y", I64, [8 * 128]));
    net.call(x).flatten_axes(0, 1).cross_entropy(y)
}

fn tiny<'g>(p: &Params, g: &'g Graph) -> Var<'g> {
    let net = Mlp::new(p, &[2, 16, 16, 1]);
    let (x, y) = (g.input("x", p.param_dtype(), [32, 2]), g.input("y", p.param_dtype(), [32, 1]));
    net.call(x).mse(y)
}

fn logreg<'g>(p: &Params, g: &'g Graph) -> Var<'g> {
    let net = Linear::new(p, 64, 10);
    let (x, y) = (g.input("x", p.param_dtype(), [32, 64]), g.input("y", I64, [32]));
    net.call(x).cross_entropy(y)
}

/// A workload that is ready to run.
pub(crate) struct Training {
    pub(crate) params: Params,
    pub(crate) step: Step,
    pub(crate) state: State,
    pub(crate) batch: Vec<Tensor>,
    /// Time to record, differentiate, optimize and plan.
    pub(crate) compile: Duration,
}

impl Workload {
    /// Records the model, draws values and batch, calls `ready`, compiles.
    ///
    /// # Errors
    /// Those of `ready`; what the library refuses, an operator without a kernel among it.
    pub(crate) fn prepare(
        &self,
        threads: usize,
        float: DType,
        ready: impl FnOnce() -> Result<(), Box<dyn Error>>,
    ) -> Result<Training, Box<dyn Error>> {
        self.prepare_with(Compile::default().threads(threads).no_fallback(), float, ready)
    }

    /// As [`Workload::prepare`], compiled in another way.
    ///
    /// # Errors
    /// As [`Workload::prepare`].
    pub(crate) fn prepare_with(
        &self,
        compile: Compile,
        float: DType,
        ready: impl FnOnce() -> Result<(), Box<dyn Error>>,
    ) -> Result<Training, Box<dyn Error>> {
        let (params, g) = (Params::seeded(0).dtype(float), Graph::train());
        let start = Instant::now();
        let loss = (self.loss)(&params, &g);
        let record = start.elapsed();
        let draw = |(at, input): (u64, &pleach::ops::Input)| {
            let (ty, key) = (input.ty(), Key(1).fold(at));
            match ty.dtype().is_float() {
                true => Tensor::normal(ty, key, 0.0, 1.0),
                false => Tensor::build_i64(ty, |i| key.below(i as u64, self.classes) as i64),
            }
        };
        let batch = (0..).zip(&g.inputs()).map(draw).collect();
        let state = State::new(&params);
        ready()?;
        let start = Instant::now();
        let step = g.minimize(loss, (self.optimizer)()).compile(compile)?;
        let compile = record + start.elapsed();
        Ok(Training { params, step, state, batch, compile })
    }
}

impl Training {
    /// One step; the loss before it.
    ///
    /// # Errors
    /// What the library refuses.
    pub(crate) fn run(&mut self) -> Result<f64, Box<dyn Error>> {
        Ok(self.step.run(&mut self.state, &self.batch)?.scalar("loss")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many trained numbers as the peers have, and the loss is finite and falls.
    fn trains(name: &str, params: usize) {
        let found = WORKLOADS.iter().find(|w| w.name == name).expect("a workload");
        let mut training =
            found.prepare(2, F32, || Ok(())).expect("it compiles without the interpreter");
        assert_eq!(training.params.count(), params);
        let loss = (0..2).map(|_| training.run().expect("it runs"));
        let loss: Vec<f64> = loss.collect();
        assert!(loss.iter().all(|l| l.is_finite()), "{loss:?}");
        assert!(loss[1] < loss[0], "{loss:?}");
    }

    #[test]
    fn mlp64() {
        trains("mlp64_sgdm", 235_146);
    }

    #[test]
    fn mlp1024() {
        trains("mlp1024_adam", 235_146);
    }

    #[test]
    fn lenet64() {
        trains("lenet64_adam", 61_706);
    }

    #[test]
    fn vgg32() {
        trains("vgg32_sgd", 307_498);
    }

    #[test]
    fn lstm32() {
        trains("lstm32_adam", 111_680);
    }

    #[test]
    fn gpt8() {
        trains("gpt8_adamw", 429_568);
    }

    #[test]
    fn tinymlp32() {
        trains("tinymlp32_sgd", 337);
    }

    #[test]
    fn logreg32() {
        trains("logreg32_sgd", 650);
    }
}
