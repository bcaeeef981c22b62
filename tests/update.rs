//! An optimizer's update is one instruction a tensor, which reads the parameter, its gradient and
//! its slots once and writes parameter and slots once, in place; and it changes no bit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::exec::PlanReport;
use pleach::optim::{Adadelta, Adagrad, Adamax, Asgd, Lion, NAdam, Penalty, RAdam, RmsProp, Rprop};
use pleach::prelude::*;

/// Matrices and a vector; the first is large enough to be cut into tasks.
const SHAPES: [&[usize]; 3] = [&[301, 403], &[40], &[129, 7]];

/// What is updated, how, and how many slots of its size a parameter has.
fn optimizers() -> Vec<(&'static str, usize, Box<dyn Optimizer>)> {
    vec![
        ("sgd", 0, Box::new(Sgd::new(0.1))),
        ("momentum", 1, Box::new(Sgd::new(0.1).momentum(0.9))),
        ("dampening", 1, Box::new(Sgd::new(0.1).momentum(0.9).dampening(0.5).maximize())),
        ("nesterov", 1, Box::new(Sgd::new(0.1).momentum(0.9).nesterov().weight_decay(1e-4))),
        ("adam", 2, Box::new(Adam::new(1e-3))),
        ("amsgrad", 3, Box::new(Adam::new(1e-3).amsgrad().weight_decay(1e-2))),
        ("adamw", 2, Box::new(AdamW::new(Rate::new(1e-2, Cosine { steps: 10, min: 0.1 })))),
        ("adagrad", 1, Box::new(Adagrad::new(1e-2))),
        ("adadelta", 2, Box::new(Adadelta::new(1.0))),
        ("rmsprop", 1, Box::new(RmsProp::new(1e-3))),
        ("rmsprop, all", 3, Box::new(RmsProp::new(1e-3).centered().momentum(0.9))),
        ("nadam", 2, Box::new(NAdam::new(1e-3))),
        ("radam", 2, Box::new(RAdam::new(1e-3))),
        ("adamax", 2, Box::new(Adamax::new(1e-3))),
        ("asgd", 1, Box::new(Asgd::new(1e-2))),
        ("rprop", 2, Box::new(Rprop::new(1e-2))),
        ("lion", 1, Box::new(Lion::new(1e-4))),
        (
            "l1, clipped by value",
            2,
            Box::new(Adam::new(1e-3).penalty(Penalty::L1(1e-4)).clip_value(1.0)),
        ),
    ]
}

/// A step that updates parameters by gradients that are fed: the loss is a sum of one element of
/// each, and the rule for its gradient answers the input.
fn update(params: &Params, optimizer: Box<dyn Optimizer>, compile: Compile) -> Step {
    let g = Graph::train();
    let terms = SHAPES.iter().enumerate().map(|(i, shape)| {
        let param = params.param(&format!("w{i}"), *shape, Init::normal(0.0, 1.0));
        let grad = g.input(&format!("g{i}"), F32, *shape);
        let n: usize = shape.iter().product();
        g.custom_vjp(
            &[g.param(&param), grad],
            |x| x[0].reshape([n]).slice(0, 0..1).sum_all(),
            |x, _, _| vec![x[1], x[1].full_like(0.0)],
        )
    });
    let loss = terms.reduce(|a, b| a + b).unwrap();
    g.minimize(loss, optimizer).compile(compile.no_fallback()).unwrap()
}

fn report(step: &Step) -> &PlanReport {
    step.report().plan.as_ref().unwrap()
}

#[test]
fn an_update_is_one_instruction_a_tensor_and_moves_little_more_than_the_least() {
    for compile in [Compile::exact, Compile::default] {
        for (name, slots, optimizer) in optimizers() {
            let step = update(&Params::seeded(1), optimizer, compile());
            let plan = report(&step);
            let bytes = |shape: &&[usize]| 4 * shape.iter().product::<usize>() as u64;
            let large: Vec<_> =
                plan.moved.iter().filter(|m| m.bytes() >= bytes(&SHAPES[1])).collect();
            assert_eq!(large.len(), SHAPES.len(), "{name}: {:#?}", plan.moved);
            assert!(large.iter().all(|m| m.kernel == "loop" && m.node.contains("(built at")));
            let (read, written) = (2 + slots as u64, 1 + slots as u64);
            let least: u64 = SHAPES.iter().map(|s| (read + written) * bytes(s)).sum();
            let moved = plan.bytes_moved();
            assert!(
                moved >= least && moved as f64 <= 1.15 * least as f64,
                "{name}: {moved} {least}"
            );
            assert!(plan.updated_in_place >= SHAPES.len() * (1 + slots), "{name}: {plan}");
            assert!(plan.arena_bytes < bytes(&SHAPES[0]) as usize, "{name}: {plan}");
        }
    }
}

#[test]
fn the_update_in_one_instruction_gives_the_bits_of_the_update_operator_by_operator() {
    let run = |at: usize, compile: Compile| {
        let (name, _, optimizer) = optimizers().swap_remove(at);
        let params = Params::seeded(1);
        let mut step = update(&params, optimizer, compile);
        let mut state = State::new(&params);
        for i in 0..3 {
            let grads: Vec<Tensor> = SHAPES
                .iter()
                .map(|s| Tensor::normal(&Type::new(F32, *s).unwrap(), Key(5).fold(i), 0.0, 0.1))
                .collect();
            step.run(&mut state, &grads).unwrap();
        }
        let kinds = [Kind::Param, Kind::Slot].into_iter();
        let values: Vec<(String, Tensor)> = kinds.flat_map(|kind| state.tensors(kind)).collect();
        (name, values)
    };
    for at in 0..optimizers().len() {
        let (name, want) = run(at, Compile::unoptimized());
        for compile in [Compile::exact().threads(1), Compile::exact().threads(2)] {
            let (_, got) = run(at, compile);
            assert_eq!(want.len(), got.len(), "{name}");
            for ((slot, a), (other, b)) in want.iter().zip(&got) {
                let differs = pleach::tensor::compare::bit_mismatch(a, b);
                assert!(slot == other && differs.is_none(), "{name}: {slot}: {differs:?}");
            }
        }
    }
}
