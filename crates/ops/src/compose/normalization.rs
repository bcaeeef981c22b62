//! Normalizations: values with mean 0 and variance 1 over some axes, then scaled and shifted.
//!
//! Variances are means of squared distances from the mean, in two passes: no digits are lost when
//! the mean is large, and all derivatives are right.

use pleach_graph::TypeError;

use crate::reduce::Keep;
use crate::{Operand, Var};

/// Means and variances over some axes of a value; of floats of 16 bits in `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Moments<'g> {
    /// The means.
    pub mean: Var<'g>,
    /// The variances of the elements: `Σ (x - mean)² / n`.
    pub var: Var<'g>,
    /// Number of elements in each.
    pub count: usize,
}

impl<'g> Moments<'g> {
    /// The unbiased estimate of the variance: `Σ (x - mean)² / (n - 1)`.
    #[track_caller]
    pub fn unbiased(&self) -> Var<'g> {
        let _at = self.var.graph().at();
        self.var * (self.count as f64 / (self.count as f64 - 1.0))
    }

    /// Running moments after these: `(1 - momentum) · old + momentum · new`, with the unbiased
    /// variance for `new`, as PyTorch does it. Of several rows (the instances of a batch) the mean
    /// counts. `momentum` is a number or a scalar.
    #[track_caller]
    pub fn running(
        &self,
        mean: Var<'g>,
        var: Var<'g>,
        momentum: impl Operand<'g>,
    ) -> (Var<'g>, Var<'g>) {
        let _at = self.mean.graph().at();
        let momentum = momentum.like(mean.wide());
        let blend = |old: Var<'g>, new: Var<'g>| {
            let rows = new.shape().rank() > old.shape().rank();
            let new = if rows { new.mean_over(0) } else { new };
            (old.wide() * (1.0 - momentum) + new * momentum).back_to(old.dtype())
        };
        (blend(mean, self.mean), blend(var, self.unbiased()))
    }
}

/// The axes as numbers that methods take.
fn list(axes: &[usize]) -> Vec<i64> {
    axes.iter().map(|&a| a as i64).collect()
}

impl<'g> Var<'g> {
    /// Mean and variance over axes, which are removed; never in 16 bits.
    #[track_caller]
    fn moments(self, axes: &[usize]) -> Moments<'g> {
        let (shape, x) = (self.shape(), self.wide());
        let mean = x.mean_over(list(axes));
        let centered = x - mean.unreduce(axes, x);
        let count = axes.iter().map(|&a| shape[a]).product();
        let var = (centered * centered).mean_over(list(axes));
        Moments { mean, var, count }
    }

    /// `(x - mean) / √(var + eps)`, for moments that lack `axes`.
    #[track_caller]
    fn standardize(self, moments: &Moments<'g>, axes: &[usize], eps: f64) -> Var<'g> {
        let scale = 1.0 / (moments.var.wide() + eps).sqrt();
        (self - moments.mean.wide().unreduce(axes, self)) * scale.unreduce(axes, self)
    }

    /// Times `weight`, plus `bias`: numbers for the axes from `axis` on, as many as they have.
    #[track_caller]
    fn affine(self, axis: usize, weight: Option<Var<'g>>, bias: Option<Var<'g>>) -> Var<'g> {
        let rank = self.shape().rank();
        let spread = |v: Var<'g>| {
            let ones = rank.saturating_sub(axis + v.shape().rank());
            let shape = [&v.shape()[..], &vec![1; ones]].concat();
            v.wide().reshape(shape)
        };
        let scaled = weight.map_or(self, |w| self * spread(w));
        bias.map_or(scaled, |b| scaled + spread(b))
    }

    /// Refuses what no normalization takes: integers, weights of another shape than `shape`.
    fn require_affine(
        self,
        shape: &[usize],
        weight: Option<Var<'g>>,
        bias: Option<Var<'g>>,
    ) -> Result<(), TypeError> {
        self.require_mean()?;
        for v in [weight, bias].into_iter().flatten() {
            if v.shape()[..] != *shape {
                return Err(TypeError::Shapes(v.shape(), shape.into()));
            }
            if v.dtype().compute() != self.dtype().compute() {
                return Err(TypeError::DTypes(self.dtype(), v.dtype()));
            }
        }
        Ok(())
    }

    /// Refuses a value without axes for batch and channels, or with too few after them.
    fn require_channels(self, rank: usize, expected: &'static str) -> Result<usize, TypeError> {
        let got = self.shape();
        if got.rank() < rank {
            return Err(TypeError::Rank { operand: 0, expected, got });
        }
        Ok(got[1])
    }

    /// The operands of a normalization: the first is this value.
    fn operands(self, others: &[Option<Var<'g>>]) -> Vec<Var<'g>> {
        [self].into_iter().chain(others.iter().copied().flatten()).collect()
    }

    /// The trailing axes of these lengths, if the value has them.
    fn trailing(self, lengths: &[usize]) -> Result<Vec<usize>, TypeError> {
        let shape = self.shape();
        if lengths.is_empty() || !shape.ends_with(lengths) {
            let why = format!("the last axes of {shape} are not {lengths:?}");
            return Err(TypeError::Attribute(why));
        }
        Ok((shape.rank() - lengths.len()..shape.rank()).collect())
    }

    /// Layer normalization: `(x - mean) / √(var + eps) · weight + bias`, moments over the last axes,
    /// whose lengths are `lengths`. `weight` and `bias` have these lengths too.
    ///
    /// **Source** Ba, Kiros and Hinton 2016, eq. 4.
    #[track_caller]
    pub fn layer_norm(
        self,
        lengths: &[usize],
        weight: Option<Var<'g>>,
        bias: Option<Var<'g>>,
        eps: f64,
    ) -> Var<'g> {
        let operands = self.operands(&[weight, bias]);
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("layer_norm", &operands);
        }
        let checked = self.require_affine(lengths, weight, bias);
        match checked.and_then(|()| self.trailing(lengths)) {
            Ok(axes) => {
                let _at = self.graph().at();
                self.computed(|x| {
                    let y = x.standardize(&x.moments(&axes), &axes, eps);
                    y.affine(axes[0], weight, bias)
                })
            }
            Err(reason) => self.refuse("layer_norm", &operands, reason),
        }
    }

    /// Root-mean-square normalization: `x / √(mean x² + eps) · weight` over the last axes, whose
    /// lengths are `lengths`. Without `eps`, the distance from 1 to the next number of the element
    /// type stands for it.
    ///
    /// **Source** Zhang and Sennrich 2019, eq. 4.
    #[track_caller]
    pub fn rms_norm(self, lengths: &[usize], weight: Option<Var<'g>>, eps: Option<f64>) -> Var<'g> {
        let operands = self.operands(&[weight]);
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("rms_norm", &operands);
        }
        let checked = self.require_affine(lengths, weight, None);
        match checked.and_then(|()| self.trailing(lengths)) {
            Ok(axes) => {
                let _at = self.graph().at();
                let least = self.dtype().epsilon();
                self.computed(|x| {
                    let square = (x * x).mean_over(list(&axes)) + eps.unwrap_or(least);
                    let y = x * (1.0 / square.sqrt()).unreduce(&axes, x);
                    y.affine(axes[0], weight, None)
                })
            }
            Err(reason) => self.refuse("rms_norm", &operands, reason),
        }
    }

    /// Group normalization of `[N, C, ..]`: moments over each of `groups` parts of the channels of an
    /// instance. `weight` and `bias` are `[C]`.
    ///
    /// **Source** Wu and He, ECCV 2018, eq. 7.
    #[track_caller]
    pub fn group_norm(
        self,
        groups: usize,
        weight: Option<Var<'g>>,
        bias: Option<Var<'g>>,
        eps: f64,
    ) -> Var<'g> {
        let operands = self.operands(&[weight, bias]);
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("group_norm", &operands);
        }
        let checked = self.require_channels(2, "at least 2").and_then(|channels| {
            self.require_affine(&[channels], weight, bias)?;
            if groups == 0 || !channels.is_multiple_of(groups) {
                let why = format!("{channels} channels cannot be cut into {groups} groups");
                return Err(TypeError::Attribute(why));
            }
            Ok(())
        });
        if let Err(reason) = checked {
            return self.refuse("group_norm", &operands, reason);
        }
        let _at = self.graph().at();
        let shape = self.shape();
        let each = shape[1..].iter().product::<usize>() / groups;
        self.computed(|x| {
            let x = x.reshape([shape[0], groups, each]);
            let y = x.standardize(&x.moments(&[2]), &[2], eps).reshape(shape);
            y.affine(1, weight, bias)
        })
    }

    /// The moments of every channel of `[N, C, ..]`, over batch and places: what batch normalization
    /// uses in training. They need more than one value for a channel.
    #[track_caller]
    pub fn channel_moments(self) -> Moments<'g> {
        self.checked_moments("channel_moments", 2, "at least 2", |rank| {
            (0..rank).filter(|&axis| axis != 1).collect()
        })
    }

    /// The moments of every channel of every instance of `[N, C, ..]`, over places: what instance
    /// normalization uses. They need more than one value for a channel.
    #[track_caller]
    pub fn instance_moments(self) -> Moments<'g> {
        self.checked_moments("instance_moments", 3, "at least 3", |rank| (2..rank).collect())
    }

    #[track_caller]
    fn checked_moments(
        self,
        name: &str,
        rank: usize,
        expected: &'static str,
        axes: impl Fn(usize) -> Vec<usize>,
    ) -> Moments<'g> {
        let poisoned = |v: Var<'g>| Moments { mean: v, var: v, count: 2 };
        if self.ty().is_none() {
            return poisoned(self.untyped(name, &[self]));
        }
        let shape = self.shape();
        let checked = self.require_mean().and_then(|()| self.require_channels(rank, expected));
        let checked = checked.and_then(|_| {
            let axes = axes(shape.rank());
            if axes.iter().map(|&a| shape[a]).product::<usize>() == 1 {
                let why = format!("one value for a channel of {shape} has no variance");
                return Err(TypeError::Attribute(why));
            }
            Ok(axes)
        });
        match checked {
            Ok(axes) => {
                let _at = self.graph().at();
                self.moments(&axes)
            }
            Err(reason) => poisoned(self.refuse(name, &[self], reason)),
        }
    }

    /// Batch normalization of `[N, C, ..]`: `(x - mean) / √(var + eps) · weight + bias`, with moments
    /// of every channel, `[C]`: in training those of the batch ([`Var::channel_moments`]), afterwards
    /// running ones ([`Moments::running`]). With moments `[N, C]` it is instance normalization.
    /// `weight` and `bias` are `[C]`.
    ///
    /// **Source** Ioffe and Szegedy, ICML 2015, alg. 1 and 2.
    #[track_caller]
    pub fn batch_norm(
        self,
        moments: &Moments<'g>,
        weight: Option<Var<'g>>,
        bias: Option<Var<'g>>,
        eps: f64,
    ) -> Var<'g> {
        let Moments { mean, var, .. } = *moments;
        let operands = self.operands(&[Some(mean), Some(var), weight, bias]);
        if operands.iter().any(|v| v.ty().is_none()) {
            return self.untyped("batch_norm", &operands);
        }
        let shape = self.shape();
        let checked = self.require_channels(2, "at least 2").and_then(|channels| {
            self.require_affine(&[channels], weight, bias)?;
            let wanted = if mean.shape().rank() == 2 { &shape[..2] } else { &shape[1..2] };
            self.require_affine(wanted, Some(mean), Some(var))
        });
        if let Err(reason) = checked {
            return self.refuse("batch_norm", &operands, reason);
        }
        let _at = self.graph().at();
        let rows = mean.shape().rank() == 2;
        let axes: Vec<usize> =
            (0..shape.rank()).filter(|&axis| axis != 1 && !(rows && axis == 0)).collect();
        self.computed(|x| x.standardize(moments, &axes, eps).affine(1, weight, bias))
    }

    /// Instance normalization of `[N, C, L..]`: moments of every channel of every instance, over
    /// places. `weight` and `bias` are `[C]`.
    ///
    /// **Source** Ulyanov, Vedaldi and Lempitsky 2016, eq. 5.
    #[track_caller]
    pub fn instance_norm(
        self,
        weight: Option<Var<'g>>,
        bias: Option<Var<'g>>,
        eps: f64,
    ) -> Var<'g> {
        let _at = self.graph().at();
        self.batch_norm(&self.instance_moments(), weight, bias, eps)
    }

    /// `x / max(‖x‖ₚ, eps)`, the norm along an axis; see [`Var::vector_norm`].
    #[track_caller]
    pub fn normalize(self, p: f64, axis: i64, eps: f64) -> Var<'g> {
        let _at = self.graph().at();
        if let Err(reason) = self.require_mean().and_then(|()| self.axis(axis)) {
            return self.refuse("normalize", &[self], reason);
        }
        let norm = self.vector_norm(p, Keep(axis));
        self / norm.less(eps).select(eps, norm)
    }

    /// Local response normalization of `[N, C, ..]`: `x / (k + alpha · mean x²)^beta`, the mean over
    /// `size` neighbouring channels with zeros beyond the first and the last.
    ///
    /// **Source** Krizhevsky, Sutskever and Hinton, NIPS 2012, section 3.3; PyTorch's mean for its sum.
    #[track_caller]
    pub fn local_response_norm(self, size: usize, alpha: f64, beta: f64, k: f64) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("local_response_norm", &[self]);
        }
        let checked = self.require_mean().and_then(|()| self.require_channels(3, "at least 3"));
        let checked = checked.and_then(|_| match size {
            0 => Err(TypeError::Attribute("a size of 0 channels has no mean".into())),
            _ => Ok(()),
        });
        if let Err(reason) = checked {
            return self.refuse("local_response_norm", &[self], reason);
        }
        let _at = self.graph().at();
        let mut widths = vec![(0, 0); self.shape().rank()];
        widths[1] = (size / 2, (size - 1) / 2);
        self.computed(|x| {
            let near = (x * x).pad(&widths).windows(&[crate::Window::new(1, size)]);
            let mean = near.sum(-1) / size as f64;
            x / ((mean * alpha + k).ln() * beta).exp()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn close(y: Var<'_>, feeds: &[&Tensor], want: &[f64]) {
        let y = y.eval(feeds).unwrap().to_f64s();
        assert_eq!(y.len(), want.len());
        for (y, want) in y.iter().zip(want) {
            assert!((y - want).abs() < 1e-12, "{y} {want}");
        }
    }

    #[test]
    fn a_row_by_hand() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 2, 2]);
        let at = Tensor::new([1, 2, 2], vec![1.0, 3.0, 1e9 + 2.0, 1e9 + 6.0]).unwrap();
        close(x.layer_norm(&[2], None, None, 0.0), &[&at], &[-1.0, 1.0, -1.0, 1.0]);
        close(x.instance_norm(None, None, 0.0), &[&at], &[-1.0, 1.0, -1.0, 1.0]);
        close(x.group_norm(2, None, None, 0.0), &[&at], &[-1.0, 1.0, -1.0, 1.0]);
        let root = 5f64.sqrt();
        let y = x.rms_norm(&[2], None, Some(0.0)).slice(1, 0..1);
        close(y, &[&at], &[1.0 / root, 3.0 / root]);
    }

    #[test]
    fn batch_moments_and_running_ones() {
        let g = Graph::new();
        let x = g.input("x", F64, [4, 1]);
        let at = Tensor::new([4, 1], vec![0.0, 2.0, 4.0, 6.0]).unwrap();
        let moments = x.channel_moments();
        close(moments.mean, &[&at], &[3.0]);
        close(moments.var, &[&at], &[5.0]);
        let old = g.full(F64, [1], 1.0);
        let (mean, var) = moments.running(old, old, 0.1);
        close(mean, &[&at], &[1.2]);
        close(var, &[&at], &[0.9 + 0.1 * 20.0 / 3.0]);
        let w = g.full(F64, [1], 2.0);
        let s = 5f64.sqrt();
        let want = [1.0 - 6.0 / s, 1.0 - 2.0 / s, 1.0 + 2.0 / s, 1.0 + 6.0 / s];
        close(x.batch_norm(&moments, Some(w), Some(old), 0.0), &[&at], &want);
    }

    #[test]
    fn a_row_of_zeros_stays_so_with_a_gradient_of_zero() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 2]);
        let at = Tensor::new([2, 2], vec![3.0, 4.0, 0.0, 0.0]).unwrap();
        let y = x.normalize(2.0, -1, 0.5);
        close(y, &[&at], &[0.6, 0.8, 0.0, 0.0]);
        close(g.grad(y.slice(1, 0..1), &[x])[0], &[&at], &[0.128, -0.096, 2.0, 0.0]);
        assert!(x.normalize(2.0, 2, 1e-12).ok().is_err());
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 4, 3]);
        let (w3, w4) = (g.input("w3", F32, [3]), g.input("w4", F32, [4]));
        let none = None;
        assert!(x.layer_norm(&[3], Some(w3), none, 1e-5).ok().is_ok());
        assert!(x.layer_norm(&[3], Some(w4), none, 1e-5).ok().is_err());
        assert!(x.layer_norm(&[4], none, none, 1e-5).ok().is_err());
        assert!(x.layer_norm(&[], none, none, 1e-5).ok().is_err());
        assert!(x.rms_norm(&[2], none, None).ok().is_err());
        assert!(x.group_norm(3, none, none, 1e-5).ok().is_err());
        assert!(x.group_norm(0, none, none, 1e-5).ok().is_err());
        assert!(x.group_norm(2, Some(w3), none, 1e-5).ok().is_err());
        assert!(x.batch_norm(&x.channel_moments(), none, Some(w3), 1e-5).ok().is_err());
        assert!(w3.channel_moments().mean.ok().is_err());
        assert!(g.input("one", F32, [1, 4]).channel_moments().var.ok().is_err());
        assert!(g.input("flat", F32, [5, 4]).instance_norm(none, none, 1e-5).ok().is_err());
        assert!(g.input("i", I64, [2, 4]).channel_moments().mean.ok().is_err());
        assert!(x.local_response_norm(0, 1.0, 1.0, 1.0).ok().is_err());
    }
}
