//! Recurrent layers: one cell, scanned over time.

use pleach_ops::prelude::rules::TypeError;
use pleach_ops::prelude::*;

use crate::cell::Cell;
use crate::{Dropout, init};

/// Layers of a [`Cell`], each scanned over time, forwards or both ways.
///
/// | | shape | |
/// |---|---|---|
/// | `x` | `[time, batch, inputs]` | |
/// | outputs | `[time, batch, directions · hidden]` | of the last layer, forwards then backwards |
/// | each state | `[layers · directions, batch, hidden]` | layer by layer, forwards then backwards |
///
/// The inputs of all steps are multiplied by the weights at once; a step multiplies its state
/// alone. A layer of any length is a few nodes (see [`GraphExt::scan`]).
///
/// Parameters, by layer and direction: `w_ih: [inputs, gates · hidden]`,
/// `w_hh: [hidden, gates · hidden]`, `b_ih` and `b_hh: [gates · hidden]`, which begin uniform in
/// `±1/√hidden` as PyTorch's. (Its weights are the transposes of these.)
///
/// ```
/// use pleach_nn::Lstm;
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1);
/// let lstm = Lstm::new(&p.scope("lstm"), 3, 8);
/// let g = Graph::train();
/// let (outputs, state) = lstm.call(g.input("x", F32, [1000, 4, 3]));
/// assert_eq!(outputs.shape(), [1000, 4, 8].into());
/// assert_eq!(state[1].shape(), [1, 4, 8].into());
/// assert!(g.len() < 50);
/// ```
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// What a step does.
    pub cell: C,
    /// Parameters by layer, then direction: forwards, backwards.
    pub layers: Vec<Vec<Weights>>,
    /// Between layers, in training.
    pub dropout: Dropout,
}

/// Parameters of one layer in one direction.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Of the input, `[inputs, gates · hidden]`.
    pub w_ih: Param,
    /// Of the state, `[hidden, gates · hidden]`.
    pub w_hh: Param,
    /// Biases of input and state, `[gates · hidden]`.
    pub biases: Option<[Param; 2]>,
}

/// What a recurrent network is made of.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Layers, one on top of the other.
    pub layers: usize,
    /// Is every layer scanned backwards, too?
    pub bidirectional: bool,
    /// Have steps biases?
    pub bias: bool,
    /// Probability of dropout between layers.
    pub dropout: f64,
}

impl Default for Layout {
    /// One layer, forwards, with biases.
    fn default() -> Self {
        Layout { layers: 1, bidirectional: false, bias: true, dropout: 0.0 }
    }
}

impl<C: Cell + Default> Recurrent<C> {
    /// One layer in scope `p`.
    pub fn new(p: &Params, inputs: usize, hidden: usize) -> Self {
        Recurrent::with(p, inputs, hidden, Layout::default())
    }

    /// Layers in scope `p`: scopes `0`, `1`, … and in them `forward` and `backward`.
    pub fn with(p: &Params, inputs: usize, hidden: usize, layout: Layout) -> Self {
        let directions: &[&str] =
            if layout.bidirectional { &["forward", "backward"] } else { &["forward"] };
        let weights = |p: Params, inputs: usize| {
            let (gates, init) = (C::GATES * hidden, init::default_uniform(hidden));
            let bias = |name: &str| p.param(name, [gates], init.clone());
            Weights {
                w_ih: p.param("w_ih", [inputs, gates], init.clone()),
                w_hh: p.param("w_hh", [hidden, gates], init.clone()),
                biases: layout.bias.then(|| [bias("b_ih"), bias("b_hh")]),
            }
        };
        let layer = |i: usize| {
            let p = p.scope(&i.to_string());
            let inputs = if i == 0 { inputs } else { hidden * directions.len() };
            directions.iter().map(|d| weights(p.scope(d), inputs)).collect()
        };
        Recurrent {
            path: p.path().into(),
            cell: C::default(),
            layers: (0..layout.layers).map(layer).collect(),
            dropout: Dropout::new(layout.dropout),
        }
    }
}

impl<C: Cell> Recurrent<C> {
    /// Length of a state.
    pub fn hidden(&self) -> usize {
        self.layers.first().and_then(|l| l.first()).map_or(0, |w| w.w_hh.ty().shape()[0])
    }

    /// Number of states, each of that length.
    pub fn states(&self) -> usize {
        C::STATES
    }

    /// Outputs and last states, from states of zeros.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> (Var<'g>, Vec<Var<'g>>) {
        let _at = x.graph().at_layer(&self.path);
        self.run(x, &self.zeros(x), None)
    }

    /// Outputs and last states, from given states. Feeding the last states back as the first of the
    /// next window is truncated back-propagation, if they are fed as values.
    #[track_caller]
    pub fn call_from<'g>(&self, x: Var<'g>, states: &[Var<'g>]) -> (Var<'g>, Vec<Var<'g>>) {
        let _at = x.graph().at_layer(&self.path);
        self.run(x, states, None)
    }

    /// As [`call`](Recurrent::call), for sequences of different lengths (`lengths: i64[batch]`):
    /// beyond the end of a sequence outputs are zero, and its last state is that at its end. The
    /// scan backwards begins at the end of each sequence.
    #[track_caller]
    pub fn call_masked<'g>(&self, x: Var<'g>, lengths: Var<'g>) -> (Var<'g>, Vec<Var<'g>>) {
        let _at = x.graph().at_layer(&self.path);
        let times = x.graph().iota(lengths.dtype(), [x.size(0), 1], 0);
        let mask = times.less(lengths.unsqueeze(0)).unsqueeze(2);
        self.run(x, &self.zeros(x), Some(mask))
    }

    /// Outputs, from the states that `buffers` hold; after a run they hold the last states. No
    /// gradient flows into the window before.
    #[track_caller]
    pub fn call_stateful<'g>(&self, x: Var<'g>, buffers: &[Param]) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let states: Vec<Var<'g>> = buffers.iter().map(|b| g.param(b)).collect();
        let (y, last) = self.run(x, &states, None);
        buffers.iter().zip(last).for_each(|(b, last)| g.assign_param(b, last.stop_gradient()));
        y
    }

    /// Buffers for the states of a batch, for [`call_stateful`](Recurrent::call_stateful).
    pub fn buffers(&self, p: &Params, batch: usize) -> Vec<Param> {
        let shape = [self.layers.iter().map(Vec::len).sum(), batch, self.hidden()];
        let buffer = |i| p.buffer(&format!("state{i}"), p.param_dtype(), shape, Init::full(0.0));
        (0..C::STATES).map(buffer).collect()
    }

    #[track_caller]
    fn zeros<'g>(&self, x: Var<'g>) -> Vec<Var<'g>> {
        let directions = self.layers.iter().map(Vec::len).sum();
        let shape: [usize; 3] = [directions, x.size(1), self.hidden()];
        vec![x.graph().full(x.dtype(), shape, 0.0); C::STATES]
    }

    fn run<'g>(
        &self,
        x: Var<'g>,
        states: &[Var<'g>],
        mask: Option<Var<'g>>,
    ) -> (Var<'g>, Vec<Var<'g>>) {
        let x = rank_3(x);
        let mut last: Vec<Vec<Var<'g>>> = vec![Vec::new(); C::STATES];
        let (mut y, mut at) = (x, 0);
        for (i, layer) in self.layers.iter().enumerate() {
            let input = if i == 0 { y } else { self.dropout.call(y) };
            let mut outputs = Vec::new();
            for (d, weights) in layer.iter().enumerate() {
                let init: Vec<Var<'g>> =
                    states.iter().map(|s| s.slice(0, at..at + 1).squeeze(0)).collect();
                let (ys, end) = self.scan(weights, input, init, mask, d == 1);
                last.iter_mut().zip(end).for_each(|(all, s)| all.push(s));
                outputs.push(ys);
                at += 1;
            }
            y = outputs[0].concat(&outputs[1..], -1);
        }
        (y, last.iter().filter(|s| !s.is_empty()).map(|s| s[0].stack(&s[1..], 0)).collect())
    }

    fn scan<'g>(
        &self,
        weights: &Weights,
        x: Var<'g>,
        init: Vec<Var<'g>>,
        mask: Option<Var<'g>>,
        backwards: bool,
    ) -> (Var<'g>, Vec<Var<'g>>) {
        let g = x.graph();
        let bias = |v: Var<'g>, at: usize| match &weights.biases {
            Some(biases) => v + g.param(&biases[at]),
            None => v,
        };
        let inputs = bias(x.matmul(g.param(&weights.w_ih)), 0);
        let w_hh = g.param(&weights.w_hh);
        let step = |states: Vec<Var<'g>>, (x, mask): (Var<'g>, Vec<Var<'g>>)| {
            let recurrent = bias(states[0].matmul(w_hh), 1);
            let next = self.cell.step(x, recurrent, &states);
            let Some(&mask) = mask.first() else { return (next.clone(), next[0]) };
            let keep = |(next, old): (&Var<'g>, &Var<'g>)| {
                mask.broadcast_to(next.shape()).select(*next, *old)
            };
            let kept = next.iter().zip(&states).map(keep).collect();
            let y = mask.broadcast_to(next[0].shape()).select(next[0], 0.0);
            (kept, y)
        };
        let slices = (inputs, Vec::from_iter(mask));
        let (last, ys) = match backwards {
            false => g.scan(init, slices, step),
            true => g.scan_reverse(init, slices, step),
        };
        (ys, last)
    }
}

/// The value, or a poisoned one if it is no batch of sequences.
#[track_caller]
fn rank_3(x: Var<'_>) -> Var<'_> {
    match x.ty() {
        Some(ty) if ty.rank() != 3 => {
            let why = "a recurrent layer takes [time, batch, inputs]".into();
            Var::new(x.graph(), x.graph().refuse("recurrent", &[x.id()], TypeError::Attribute(why)))
        }
        _ => x,
    }
}
