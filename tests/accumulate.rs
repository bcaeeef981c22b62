//! A batch in parts is the batch: bit by bit the sum in one graph, with its own random numbers for
//! each part, and updates counted once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach::optim::Plateau;
use pleach::prelude::*;

const PARTS: usize = 3;

struct Net {
    params: Params,
    layers: [Linear; 2],
}

fn net() -> Net {
    let params = Params::seeded(3);
    let layers = [Linear::new(&params.scope("a"), 4, 5), Linear::new(&params.scope("b"), 5, 2)];
    Net { params, layers }
}

impl Net {
    fn loss<'g>(&self, x: Var<'g>, drop: f64) -> Var<'g> {
        let h = Dropout::new(drop).call(self.layers[0].call(x).tanh());
        self.layers[1].call(h).square().mean()
    }
}

fn part(run: u64) -> Tensor {
    Tensor::uniform(&Type::new(F32, [6, 4]).unwrap(), Key(5).fold(run), -1.0, 1.0)
}

fn levels() -> [fn() -> Compile; 4] {
    [Compile::none, Compile::unoptimized, Compile::exact, Compile::default]
}

#[test]
fn parts_are_the_sum_in_one_graph_bit_by_bit() {
    for compile in levels() {
        let net = net();
        let g = Graph::train();
        let loss = net.loss(g.input("x", F32, [6, 4]), 0.0);
        let optimizer = || Adam::new(Rate::new(0.1, StepDecay { every: 1, gamma: 0.5 }));
        let recording = g.minimize(loss, optimizer()).accumulate(PARTS as u64);
        let mut step = recording.compile(compile()).unwrap();
        let mut state = State::new(&net.params);

        let g = Graph::train();
        let inputs: Vec<Var<'_>> =
            (0..PARTS).map(|i| g.input(&format!("x{i}"), F32, [6, 4])).collect();
        let losses: Vec<Var<'_>> = inputs.iter().map(|&x| net.loss(x, 0.0)).collect();
        let params: Vec<Param> = net.params.variables();
        let values: Vec<Var<'_>> = params.iter().map(|p| g.raw_param(p)).collect();
        let grads: Vec<Vec<Var<'_>>> = losses.iter().map(|&loss| g.grad(loss, &values)).collect();
        let trained: Vec<pleach::optim::Trained<'_>> = params
            .iter()
            .enumerate()
            .map(|(i, param)| {
                let sum = grads[1..].iter().fold(grads[0][i], |sum, grads| sum + grads[i]);
                let (param, value) = (param.clone(), values[i]);
                pleach::optim::Trained { param, value, grad: sum / PARTS as f64 }
            })
            .collect();
        optimizer().apply(&g, &trained);
        let mut whole = g.infer(losses[0]).compile(compile()).unwrap();
        let mut twin = State::new(&net.params);

        for update in 0..4 {
            let parts: Vec<Tensor> = (0..PARTS as u64).map(|i| part(update * 3 + i)).collect();
            for x in &parts {
                step.run(&mut state, [x]).unwrap();
            }
            whole.run(&mut twin, &parts).unwrap();
            for param in &params {
                assert_eq!(state.get(param), twin.get(param), "{}", param.name());
            }
            assert_eq!(state.integer("adam.steps"), Some(update as i64 + 1));
            assert_eq!(state.integer("accumulate.runs"), Some(0));
        }
    }
}

#[test]
fn each_part_draws_its_own_numbers_and_answers_its_own_loss() {
    let net = net();
    let g = Graph::train();
    let loss = net.loss(g.input("x", F32, [6, 4]), 0.5);
    let recording = g.minimize(loss, Sgd::new(0.0)).accumulate(4);
    let mut step = recording.compile(Compile::default()).unwrap();
    let mut state = State::new(&net.params);
    let x = part(0);
    let mut losses: Vec<f64> = Vec::new();
    for i in 1..=8 {
        let loss = step.run(&mut state, [&x]).unwrap().scalar("loss").unwrap();
        assert_eq!(step.outputs().scalar("loss").unwrap(), loss);
        assert!(!losses.contains(&loss), "run {i}");
        losses.push(loss);
        assert_eq!(state.integer("accumulate.runs"), Some(i % 4));
        assert_eq!(state.integer("sgd.steps"), Some(i / 4).filter(|&n| n > 0));
    }
}

#[test]
fn a_metric_may_be_told_between_parts_and_no_parts_are_refused() {
    let net = net();
    let record = |g: &Graph, k: u64| {
        let plateau = Plateau { patience: 0, factor: 0.5, ..Plateau::default() };
        let loss = net.loss(g.input("x", F32, [6, 4]), 0.0);
        g.minimize(loss, Sgd::new(Rate::new(0.1, plateau)))
            .accumulate(k)
            .compile(Compile::default())
    };
    let error = record(&Graph::train(), 0).unwrap_err().to_string();
    assert_eq!(error, "accumulate: runs must be at least 1, got 0");
    let mut step = record(&Graph::train(), 2).unwrap();
    let mut state = State::new(&net.params);
    let x = part(0);
    for metric in [1.0, 2.0, 2.0] {
        for _ in 0..2 {
            step.run(&mut state, [&x]).unwrap();
        }
        state.set("sgd.metric", &Tensor::scalar(metric)).unwrap();
    }
    step.run(&mut state, [&x]).unwrap();
    assert_eq!(state.value("sgd.rate_now").unwrap().item(), Some(0.05));
    step.run(&mut state, [&x]).unwrap();
    assert_eq!(state.value("sgd.rate_now").unwrap().item(), Some(0.025));
}
