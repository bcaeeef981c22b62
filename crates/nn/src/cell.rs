//! Cells: what a recurrent layer does in one step.

use std::fmt::Debug;

use pleach_ops::prelude::*;

use crate::Recurrent;

/// One step of a recurrent layer.
pub trait Cell: Clone + Debug {
    /// Vectors of the state's length that input and state are multiplied into.
    const GATES: usize;
    /// Parts of the state; the first is the output.
    const STATES: usize;

    /// The next state. `x` and `h` are input and output, each times its weights, plus its bias:
    /// `[batch, gates · hidden]`; the states are `[batch, hidden]`.
    fn step<'g>(&self, x: Var<'g>, h: Var<'g>, states: &[Var<'g>]) -> Vec<Var<'g>>;
}

/// `h' = tanh(x + h)`.
///
/// **Source** Elman 1990, "Finding structure in time".
#[derive(Clone, Copy, Debug, Default)]
pub struct ElmanCell;

/// `h' = relu(x + h)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReluCell;

/// `c' = f·c + i·g`, `h' = o·tanh(c')`, gates in the order `i f g o` of PyTorch.
///
/// **Source** Hochreiter and Schmidhuber 1997; Gers et al. 2000 for `f`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmCell;

/// `n = tanh(xₙ + r·hₙ)`, `h' = (1 - z)·n + z·h`, gates in the order `r z n` of PyTorch.
///
/// **Source** Cho et al. 2014; the reset after the product as in cuDNN.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruCell;

/// A recurrent network with `tanh`, PyTorch's `nn.RNN`.
pub type Rnn = Recurrent<ElmanCell>;
/// A recurrent network with `relu`, PyTorch's `nn.RNN(nonlinearity="relu")`.
pub type ReluRnn = Recurrent<ReluCell>;
/// Long short-term memory, PyTorch's `nn.LSTM`. States: `h`, `c`.
pub type Lstm = Recurrent<LstmCell>;
/// Gated recurrent units, PyTorch's `nn.GRU`. State: `h`.
pub type Gru = Recurrent<GruCell>;

/// The gates, one beside the other.
fn gates<const N: usize>(v: Var<'_>) -> [Var<'_>; N] {
    let n = v.size(-1) / N;
    std::array::from_fn(|i| v.slice(-1, i * n..(i + 1) * n))
}

impl Cell for ElmanCell {
    const GATES: usize = 1;
    const STATES: usize = 1;

    fn step<'g>(&self, x: Var<'g>, h: Var<'g>, _: &[Var<'g>]) -> Vec<Var<'g>> {
        vec![(x + h).tanh()]
    }
}

impl Cell for ReluCell {
    const GATES: usize = 1;
    const STATES: usize = 1;

    fn step<'g>(&self, x: Var<'g>, h: Var<'g>, _: &[Var<'g>]) -> Vec<Var<'g>> {
        vec![(x + h).relu()]
    }
}

impl Cell for LstmCell {
    const GATES: usize = 4;
    const STATES: usize = 2;

    fn step<'g>(&self, x: Var<'g>, h: Var<'g>, states: &[Var<'g>]) -> Vec<Var<'g>> {
        let [i, f, g, o] = gates(x + h);
        let c = f.sigmoid() * states[1] + i.sigmoid() * g.tanh();
        vec![o.sigmoid() * c.tanh(), c]
    }
}

impl Cell for GruCell {
    const GATES: usize = 3;
    const STATES: usize = 1;

    fn step<'g>(&self, x: Var<'g>, h: Var<'g>, states: &[Var<'g>]) -> Vec<Var<'g>> {
        let ([xr, xz, xn], [hr, hz, hn]) = (gates(x), gates(h));
        let (r, z) = ((xr + hr).sigmoid(), (xz + hz).sigmoid());
        let n = (xn + r * hn).tanh();
        vec![(1.0 - z) * n + z * states[0]]
    }
}
