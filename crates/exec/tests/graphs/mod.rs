//! Random valid graphs, and what a run of them gives.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(dead_code, unreachable_pub, reason = "every test uses its part")]

mod step;

use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_tensor::compare::{Tolerance, bit_mismatch, mismatch};

/// Random choices, a pure function of the seed.
pub struct Choices(Key, u64);

impl Choices {
    pub fn new(seed: u64) -> Choices {
        Choices(Key(seed), 0)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.below(self.1, n as u64) as usize
    }

    pub fn key(&mut self) -> Key {
        self.1 += 1;
        self.0.fold(self.1)
    }

    pub fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// A value, and whether every engine must compute the same bits for it.
#[derive(Clone, Copy)]
pub struct Value<'g> {
    pub x: Var<'g>,
    pub exact: bool,
}

/// A graph with values for its inputs and variables.
pub struct Case {
    pub graph: Graph,
    pub params: Params,
    pub feeds: Vec<Tensor>,
    pub rtol: f64,
}

impl Case {
    /// The graph of this seed, with floats of type `float`.
    pub fn new(seed: u64, float: DType) -> Case {
        let mut c = Choices::new(seed);
        let (graph, params) = (Graph::train(), Params::seeded(seed).dtype(float));
        let mut feeds = Vec::new();
        {
            let g = &graph;
            let mut values: Vec<Value<'_>> = Vec::new();
            for i in 0..1 + c.below(3) {
                let dtype = c.of(&[float, float, I64, I32, BOOL]);
                let shape: Vec<usize> =
                    (0..c.below(4)).map(|_| c.of(&[1, 2, 3, 3, 4, 5, 0])).collect();
                let x = g.input(&format!("x{i}"), dtype, shape);
                feeds.push(draw(&x.ty().unwrap(), c.key()));
                values.push(Value { x, exact: true });
            }
            let normal = || Init::normal(0.0, 1.0);
            let floats = [("a", vec![3, 3]), ("b", vec![3, 3]), ("c", vec![3]), ("d", vec![])];
            let mut variables: Vec<Param> =
                floats.map(|(name, shape)| params.param(name, shape, normal())).to_vec();
            variables.push(params.buffer("n", I64, Shape::scalar(), Init::full(3.0)));
            variables.push(params.buffer("flags", BOOL, [3], Init::zeros()));
            values.extend(variables.iter().map(|v| Value { x: g.param(v), exact: true }));
            let nodes = 5 + c.below(30);
            while g.len() < nodes {
                values.extend(step::step(g, &mut c, &values, float));
            }
            for i in 0..c.below(5) {
                let late = values.len() - c.below(values.len().min(8)) - 1;
                g.output(&format!("y{i}"), values[late].x.id());
            }
            assign(g, &mut c, &values, &variables);
        }
        // Variables change over the runs, so what was computed from them is compared loosely.
        let rtol = if float == F64 { 1e-9 } else { 1e-4 };
        Case { graph, params, feeds, rtol }
    }

    pub fn plan(&self, threads: usize) -> Plan {
        let options = Options { threads, fallback: false };
        Plan::compile(&self.graph, &self.graph.inputs(), options).unwrap()
    }

    /// All outputs of a run of `plan`, then all variables.
    pub fn run(&self, plan: &mut Plan, state: &mut State) -> Vec<(String, Tensor)> {
        let outputs = plan.run(state, &self.feeds).unwrap().tensors();
        [outputs, all(state)].concat()
    }

    pub fn interpret(&self, state: &mut State) -> Vec<(String, Tensor)> {
        let mut oracle = Interpreted::new(copy(&self.graph), &self.graph.inputs()).unwrap();
        let outputs = oracle.run(state, &self.feeds).unwrap().tensors();
        [outputs, all(state)].concat()
    }
}

/// Assignments of every kind.
fn assign<'g>(g: &'g Graph, c: &mut Choices, values: &[Value<'g>], variables: &[Param]) {
    let [a, b] = [0, 1].map(|i| g.raw_param(&variables[i]));
    let set = |i: usize, x: Var<'g>| g.assign_param(&variables[i], x);
    let scaled = a * 0.9 + b * 0.25;
    match c.below(10) {
        0 => [(0, b), (1, a)].into_iter().for_each(|(i, x)| set(i, x)),
        1 => set(0, a.t()),
        2 => [(0, b.t()), (1, a)].into_iter().for_each(|(i, x)| set(i, x)),
        3 => [(0, scaled), (1, scaled)].into_iter().for_each(|(i, x)| set(i, x)),
        4 => [(0, scaled), (1, scaled.t())].into_iter().for_each(|(i, x)| set(i, x)),
        5 => {
            g.output("old", a.id());
            set(0, scaled);
        }
        6 => {
            g.output("new", scaled.id());
            set(0, scaled);
        }
        7 => {
            // The first of two assignments does not count; the old value is read after it.
            set(0, scaled);
            set(0, a.tanh() * b);
            g.output("late", (scaled + a).mean().id());
        }
        8 => [(0, scaled), (1, a * 0.5), (2, a.slice(0, 1..2).reshape([3]))]
            .into_iter()
            .for_each(|(i, x)| set(i, x)),
        _ => {}
    }
    let targets: Vec<_> = g.roots().into_iter().filter_map(|r| r.target).collect();
    for variable in variables {
        let target = g.raw_param(variable).id();
        if targets.contains(&target) || c.below(2) == 0 {
            continue;
        }
        let ty = variable.ty();
        let same: Vec<_> = values.iter().filter(|v| v.x.dtype() == ty.dtype()).collect();
        let fitting: Vec<_> = same.iter().filter(|v| v.x.shape() == *ty.shape()).collect();
        let floats = ty.dtype().is_float();
        // What comes back as exact must stay so: a variable is the start of the next run.
        let x = if !fitting.is_empty() && c.below(4) > 0 {
            c.of(&fitting).x
        } else if floats {
            c.of(&same).x.mean().tanh().broadcast_to(ty.shape().clone())
        } else {
            continue;
        };
        g.assign_param(variable, if floats { x * 0.5 } else { x });
    }
}

/// The same graph again: an interpreter takes it by value.
pub fn copy(g: &Graph) -> Graph {
    g.retype(BOOL, BOOL)
}

pub fn draw(ty: &Type, key: Key) -> Tensor {
    match ty.dtype() {
        d if d.is_float() => Tensor::uniform(ty, key, -2.0, 2.0),
        DType::Bool => Tensor::build_i64(ty, |i| key.below(i as u64, 2) as i64),
        _ => Tensor::build_i64(ty, |i| key.below(i as u64, 12) as i64 - 3),
    }
}

pub fn all(state: &State) -> Vec<(String, Tensor)> {
    state.variables().map(|v| (v.name().to_string(), state.get(v))).collect()
}

pub type Named = [(String, Tensor)];

/// The first that differ, if any; integers and booleans must be equal.
pub fn differ(got: &Named, want: &Named, rtol: f64) -> Option<String> {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).find_map(|((name, x), (other, y))| {
        assert_eq!(name, other);
        let finite = y.to_f64s().into_iter().filter(|v| v.is_finite());
        let scale = finite.fold(1.0f64, |m, v| m.max(v.abs()));
        let rtol = if x.dtype() == F32 { rtol.max(1e-4) } else { rtol };
        let tolerance = Tolerance { rtol: 0.0, atol: rtol * scale };
        let wrong = match x.dtype().is_float() {
            true => mismatch(x, y, tolerance),
            false => bit_mismatch(x, y),
        };
        wrong.map(|why| format!("{name}: {why}"))
    })
}

pub fn bits_differ(got: &Named, want: &Named) -> Option<String> {
    assert_eq!(got.len(), want.len());
    let mut pairs = got.iter().zip(want);
    pairs.find_map(|((name, x), (_, y))| bit_mismatch(x, y).map(|why| format!("{name}: {why}")))
}
