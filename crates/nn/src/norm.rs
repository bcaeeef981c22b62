//! Normalizations as layers.

use pleach_ops::Moments;
use pleach_ops::prelude::*;

/// Batch normalization of `[N, C, ..]`, see [`Var::batch_norm`].
///
/// In graphs for training it uses the moments of the batch, and assigns the running ones and the
/// counter of batches; in graphs for inference it uses the running ones and assigns nothing.
///
/// Begins as PyTorch's `nn.BatchNorm1d`, `2d`, `3d`: weight 1, bias 0, running mean 0 and variance 1,
/// `eps` 1e-5, `momentum` 0.1. The fields are public.
///
/// ```
/// use pleach_nn::BatchNorm;
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1);
/// let norm = BatchNorm::new(&p.scope("norm"), 16);
/// let g = Graph::train();
/// let y = norm.call(g.input("x", F32, [8, 16, 28, 28]));
/// assert_eq!(y.ok()?.shape(), [8, 16, 28, 28].into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The weight, `[C]`.
    pub w: Option<Param>,
    /// The bias, `[C]`.
    pub b: Option<Param>,
    /// The running mean, `[C]`.
    pub running_mean: Param,
    /// The running variance, `[C]`: of unbiased estimates.
    pub running_var: Param,
    /// How many batches the running moments have seen, i64.
    pub num_batches_tracked: Param,
    /// What is added to a variance.
    pub eps: f64,
    /// The part of a batch in the running moments; nothing: the moments are means over all batches.
    pub momentum: Option<f64>,
}

impl BatchNorm {
    /// A layer with weight `w` and bias `b` for `channels` in scope `p`.
    pub fn new(p: &Params, channels: usize) -> BatchNorm {
        let w = p.param("w", [channels], Init::ones());
        let b = p.param("b", [channels], Init::zeros());
        BatchNorm { w: Some(w), b: Some(b), ..BatchNorm::without_affine(p, channels) }
    }

    /// A layer without weight and bias.
    pub fn without_affine(p: &Params, channels: usize) -> BatchNorm {
        // A tenth of a batch is lost in 16 bits.
        let dtype = p.param_dtype().compute();
        BatchNorm {
            path: p.path().into(),
            w: None,
            b: None,
            running_mean: p.buffer("running_mean", dtype, [channels], Init::zeros()),
            running_var: p.buffer("running_var", dtype, [channels], Init::ones()),
            num_batches_tracked: p.buffer("num_batches_tracked", I64, [], Init::zeros()),
            eps: 1e-5,
            momentum: Some(0.1),
        }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let (w, b) = (self.w.as_ref().map(|w| g.param(w)), self.b.as_ref().map(|b| g.param(b)));
        if !g.is_training() {
            let (mean, var) = (g.param(&self.running_mean), g.param(&self.running_var));
            return x.batch_norm(&Moments { mean, var, count: 1 }, w, b, self.eps);
        }
        let moments = x.channel_moments();
        // A second call of one layer goes on from what the first has assigned.
        let seen = latest(g, &self.num_batches_tracked) + 1;
        let (mean, var) = (latest(g, &self.running_mean), latest(g, &self.running_var));
        let (mean, var) = match self.momentum {
            Some(momentum) => moments.running(mean, var, momentum),
            None => moments.running(mean, var, 1.0 / seen.cast(x.dtype().compute())),
        };
        g.assign_param(&self.running_mean, mean);
        g.assign_param(&self.running_var, var);
        g.assign_param(&self.num_batches_tracked, seen);
        x.batch_norm(&moments, w, b, self.eps)
    }
}

/// What the graph assigns to a buffer so far, or its value.
#[track_caller]
fn latest<'g>(g: &'g Graph, buffer: &Param) -> Var<'g> {
    let target = g.raw_param(buffer);
    let roots = g.roots();
    let last = roots.iter().rev().find(|root| root.target == Some(target.id()));
    last.map_or(target, |root| Var::new(g, root.value))
}

/// Layer normalization over the last axes, see [`Var::layer_norm`].
///
/// Begins as PyTorch's `nn.LayerNorm`: weight 1, bias 0, `eps` 1e-5.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// Lengths of the axes that are normalized.
    pub lengths: Vec<usize>,
    /// The weight, of these lengths.
    pub w: Option<Param>,
    /// The bias, of these lengths.
    pub b: Option<Param>,
    /// What is added to a variance.
    pub eps: f64,
}

impl LayerNorm {
    /// A layer with weight `w` and bias `b` over the last axes, of these lengths, in scope `p`.
    pub fn new<const N: usize>(p: &Params, lengths: [usize; N]) -> LayerNorm {
        let w = p.param("w", lengths, Init::ones());
        let b = p.param("b", lengths, Init::zeros());
        let lengths = lengths.to_vec();
        LayerNorm { path: p.path().into(), lengths, w: Some(w), b: Some(b), eps: 1e-5 }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let (w, b) = (self.w.as_ref().map(|w| g.param(w)), self.b.as_ref().map(|b| g.param(b)));
        x.layer_norm(&self.lengths, w, b, self.eps)
    }
}

/// Root-mean-square normalization over the last axes, see [`Var::rms_norm`].
///
/// Begins as PyTorch's `nn.RMSNorm`: weight 1, and the least `eps` of the element type.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// Lengths of the axes that are normalized.
    pub lengths: Vec<usize>,
    /// The weight, of these lengths.
    pub w: Option<Param>,
    /// What is added to a mean square.
    pub eps: Option<f64>,
}

impl RmsNorm {
    /// A layer with weight `w` over the last axes, of these lengths, in scope `p`.
    pub fn new<const N: usize>(p: &Params, lengths: [usize; N]) -> RmsNorm {
        let w = p.param("w", lengths, Init::ones());
        RmsNorm { path: p.path().into(), lengths: lengths.to_vec(), w: Some(w), eps: None }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        x.rms_norm(&self.lengths, self.w.as_ref().map(|w| g.param(w)), self.eps)
    }
}

/// Group normalization of `[N, C, ..]`, see [`Var::group_norm`].
///
/// Begins as PyTorch's `nn.GroupNorm`: weight 1, bias 0, `eps` 1e-5.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// Parts of the channels.
    pub groups: usize,
    /// The weight, `[C]`.
    pub w: Option<Param>,
    /// The bias, `[C]`.
    pub b: Option<Param>,
    /// What is added to a variance.
    pub eps: f64,
}

impl GroupNorm {
    /// A layer with weight `w` and bias `b` for `channels` in `groups` parts, in scope `p`.
    pub fn new(p: &Params, groups: usize, channels: usize) -> GroupNorm {
        let w = p.param("w", [channels], Init::ones());
        let b = p.param("b", [channels], Init::zeros());
        GroupNorm { path: p.path().into(), groups, w: Some(w), b: Some(b), eps: 1e-5 }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let (w, b) = (self.w.as_ref().map(|w| g.param(w)), self.b.as_ref().map(|b| g.param(b)));
        x.group_norm(self.groups, w, b, self.eps)
    }
}

/// Instance normalization of `[N, C, L..]`, see [`Var::instance_norm`].
///
/// Begins as PyTorch's `nn.InstanceNorm1d`, `2d`, `3d`: neither weight nor bias, `eps` 1e-5, no running
/// moments.
#[derive(Clone, Debug)]
pub struct InstanceNorm {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The weight, `[C]`.
    pub w: Option<Param>,
    /// The bias, `[C]`.
    pub b: Option<Param>,
    /// What is added to a variance.
    pub eps: f64,
}

impl InstanceNorm {
    /// A layer without weight and bias.
    pub fn new(p: &Params) -> InstanceNorm {
        InstanceNorm { path: p.path().into(), w: None, b: None, eps: 1e-5 }
    }

    /// A layer with weight `w` and bias `b` for `channels` in scope `p`.
    pub fn with_affine(p: &Params, channels: usize) -> InstanceNorm {
        let w = p.param("w", [channels], Init::ones());
        let b = p.param("b", [channels], Init::zeros());
        InstanceNorm { w: Some(w), b: Some(b), ..InstanceNorm::new(p) }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let (w, b) = (self.w.as_ref().map(|w| g.param(w)), self.b.as_ref().map(|b| g.param(b)));
        x.instance_norm(w, b, self.eps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_ops::Sources;

    /// What the graph assigns to each buffer, by name, for variables at their initial values.
    fn assigned(g: &Graph, feeds: &[&Tensor]) -> Vec<(String, Vec<f64>)> {
        let roots = g.roots();
        let value =
            |id| Sources::with_feeds(feeds, |sources| Var::new(g, id).eval_with(sources)).unwrap();
        roots.iter().map(|r| (r.name.to_string(), value(r.value).to_f64s())).collect()
    }

    fn batch() -> Tensor {
        // Channel 0: 0, 2, 4, 6. Channel 1: 1, 1, 1, 5.
        Tensor::new([2, 2, 2], vec![0.0, 2.0, 1.0, 1.0, 4.0, 6.0, 1.0, 5.0]).unwrap()
    }

    #[test]
    fn training_assigns_pytorchs_running_moments() {
        let p = Params::seeded(1).dtype(F64);
        let norm = BatchNorm::new(&p.scope("n"), 2);
        let g = Graph::train();
        let y = norm.call(g.input("x", F64, [2, 2, 2]));
        let s = (5.0f64 + 1e-5).sqrt();
        let first = y.eval(&[&batch()]).unwrap().to_f64s()[0];
        assert!((first + 3.0 / s).abs() < 1e-12);
        let got = assigned(&g, &[&batch()]);
        // 0.9·0 + 0.1·mean; 0.9·1 + 0.1·(Σ squares)/3.
        let want =
            [("n.running_mean", vec![0.3, 0.2]), ("n.running_var", vec![0.9 + 2.0 / 3.0, 1.3])];
        for ((name, got), (other, want)) in got.iter().zip(&want) {
            assert_eq!(name, other);
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} {want:?}");
        }
        assert_eq!(got[2], ("n.num_batches_tracked".to_string(), vec![1.0]));
    }

    #[test]
    fn two_calls_in_one_graph_are_two_updates() {
        let p = Params::seeded(1).dtype(F64);
        let mut norm = BatchNorm::without_affine(&p.scope("n"), 2);
        norm.momentum = None;
        let g = Graph::train();
        let x = g.input("x", F64, [2, 2, 2]);
        let _ = (norm.call(x), norm.call(x + 1.0));
        let got = assigned(&g, &[&batch()]);
        let last = |name: &str| got.iter().rev().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(last("n.num_batches_tracked"), [2.0]);
        // The mean of the means 3 and 4, 2 and 3.
        assert_eq!(last("n.running_mean"), [3.5, 2.5]);
    }

    #[test]
    fn inference_uses_running_moments_alone() {
        let p = Params::seeded(1).dtype(F64);
        let norm = BatchNorm::new(&p, 2);
        let g = Graph::eval();
        let y = norm.call(g.input("x", F64, [2, 2, 2]));
        assert!(g.roots().is_empty());
        let reduces = |id| matches!(g.op(id), Op::Sum(_) | Op::Max(_) | Op::Min(_));
        assert!(!g.ids().any(reduces), "{g}");
        let s = (1.0f64 + 1e-5).sqrt();
        let got = y.eval(&[&batch()]).unwrap().to_f64s();
        assert!(got.iter().zip(batch().to_f64s()).all(|(y, x)| (y - x / s).abs() < 1e-12));
    }

    #[test]
    fn the_others_are_their_functions() {
        let p = Params::seeded(1);
        let g = Graph::eval();
        let x = g.input("x", F32, [2, 4, 3]);
        for y in [
            LayerNorm::new(&p.scope("a"), [4, 3]).call(x),
            RmsNorm::new(&p.scope("b"), [3]).call(x),
            GroupNorm::new(&p.scope("c"), 2, 4).call(x),
            InstanceNorm::new(&p.scope("d")).call(x),
            InstanceNorm::with_affine(&p.scope("e"), 4).call(x),
        ] {
            assert_eq!(y.ok().unwrap().shape(), [2, 4, 3].into());
        }
        let error = GroupNorm::new(&p.scope("f"), 3, 4).call(x).ok().unwrap_err().to_string();
        assert!(error.starts_with("f: group_norm("), "{error}");
    }
}
