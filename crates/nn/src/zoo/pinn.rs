//! A network that stands for the solution of a differential equation.

use pleach_ops::prelude::*;

use crate::{Linear, init};

/// Linear layers with tanh between them: a function that has all derivatives, and whose derivatives
/// by its input are recorded as `g.grad(u, &[x])`, again and again.
///
/// | | shape |
/// |---|---|
/// | `x` | `[n, sizes[0]]`, points |
/// | `u` | `[n, sizes[last]]` |
///
/// Parameters: `Σ (sizes[i] + 1) · sizes[i + 1]`; of `[1, 24, 24, 1]`, 673. Weights begin at
/// Xavier's normal, biases at 0.
///
/// ```
/// use pleach_nn::zoo::Pinn;
/// use pleach_ops::prelude::*;
/// let net = Pinn::new(&Params::seeded(1), &[1, 8, 1]);
/// let g = Graph::train();
/// let x = g.input("x", F32, [16, 1]);
/// let u = net.call(x);
/// let du = g.grad(u, &[x])[0];
/// let ddu = g.grad(du, &[x])[0];
/// let loss = (ddu + u).square().mean(); // u″ = -u
/// # loss.ok()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Source** Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019).
#[derive(Clone, Debug)]
pub struct Pinn {
    /// From the points to the solution.
    pub layers: Vec<Linear>,
}

impl Pinn {
    /// Layers `0`, `1`, … in scope `p`, from each size to the next.
    pub fn new(p: &Params, sizes: &[usize]) -> Pinn {
        let layer = |(i, pair): (usize, &[usize])| {
            let p = p.scope(&i.to_string());
            let w = p.param("w", [pair[0], pair[1]], init::xavier_normal(pair[0], pair[1], 1.0));
            let b = p.param("b", [pair[1]], Init::zeros());
            Linear { path: p.path().into(), w, b: Some(b) }
        };
        Pinn { layers: sizes.windows(2).enumerate().map(layer).collect() }
    }

    /// The function at the points `x`.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let mut y = x;
        for (i, layer) in self.layers.iter().enumerate() {
            y = layer.call(if i == 0 { y } else { y.tanh() });
        }
        y
    }
}
