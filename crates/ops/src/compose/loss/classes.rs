//! Losses of one class of several.

use pleach_graph::TypeError;
use pleach_tensor::{DType, Shape};

use super::{Reduction, wrong};
use crate::Var;
use crate::check_types::Require;

options! {
    /// `-ln softmax(x)[label]`: cross-entropy of logits against classes, or against probabilities
    /// of the classes.
    ///
    /// | | shape | dtype |
    /// |---|---|---|
    /// | `x` | `[C]` or `[B, C, ..]` | float |
    /// | labels | `[]` or `[B, ..]`, in `0..C` | u8, i32, i64 |
    /// | or probabilities | as `x` | as `x` |
    /// | each loss | `[]` or `[B, ..]` | as `x` |
    ///
    /// With weights, a row's loss is multiplied by the weight of its label, and the mean divides
    /// by the sum of these. For probabilities `p`, a row's loss is `-Σ w·p·ln softmax(x)`, and the
    /// mean is over rows.
    ///
    /// **Numerics** nothing overflows; see [`Var::log_softmax`]. The mean of no row, or of ignored
    /// rows alone, is NaN; the gradient of ignored rows is 0 even then. A label outside of `0..C`
    /// that is not ignored is an error of the run.
    ///
    /// **Source** label smoothing: Szegedy et al., CVPR 2016, section 7.
    CrossEntropy<'g>
    optional {
        /// Weight of every class, `[C]`.
        weight: Var<'g>,
        /// Rows with this label count for nothing. PyTorch's default is -100, ours is none. Not
        /// for probabilities.
        ignore_index: i64,
    }
    with {
        /// In `[0, 1]`: targets become `(1 - ε)·target + ε/C`.
        label_smoothing: f64 = 0.0,
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `-x[label]`, the negative log-likelihood of classes, for log-probabilities `x`.
    ///
    /// Shapes, weights, ignored labels and means are those of [`CrossEntropy`], which is this loss
    /// of [`Var::log_softmax`].
    Nll<'g>
    optional {
        /// Weight of every class, `[C]`.
        weight: Var<'g>,
        /// Rows with this label count for nothing. PyTorch's default is -100, ours is none.
        ignore_index: i64,
    }
    with {
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// `Σ_{j ≠ label} max(0, margin - x[label] + x[j])ᵖ / C`: the hinge loss of several classes.
    ///
    /// | | shape | dtype |
    /// |---|---|---|
    /// | `x` | `[C]` or `[B, C]` | float |
    /// | labels | `[]` or `[B]`, in `0..C` | u8, i32, i64 |
    ///
    /// The slope at the hinge is 0. With weights, a row is multiplied by the weight of its label,
    /// and the mean is over rows.
    ///
    /// **Source** Weston and Watkins 1998; Crammer and Singer, JMLR 2 (2001).
    MultiMargin<'g>
    optional {
        /// Weight of every class, `[C]`.
        weight: Var<'g>,
    }
    with {
        /// The power, 1 or 2.
        p: u32 = 1,
        /// By how much the label's score should be the largest.
        margin: f64 = 1.0,
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

/// Scores, and labels that fit them.
struct Classes<'g> {
    /// Axis of the classes.
    axis: usize,
    /// Number of classes.
    count: usize,
    /// Shape without the axis.
    rows: Shape,
    /// Labels, of shape `rows`; 0 where ignored.
    index: Var<'g>,
    /// Which rows are not ignored, if some may be.
    kept: Option<Var<'g>>,
    /// Weights of the rows, and of all classes in a shape that broadcasts with the scores.
    weights: Option<(Var<'g>, Var<'g>)>,
}

impl<'g> Classes<'g> {
    #[track_caller]
    fn of(
        op: &str,
        x: Var<'g>,
        labels: Var<'g>,
        weight: Option<Var<'g>>,
        ignore: Option<i64>,
    ) -> Result<Classes<'g>, Var<'g>> {
        let (axis, count) = class_axis(op, x, labels, weight)?;
        let refuse = |reason| Err(x.refuse(op, &[x, labels], reason));
        let rows = x.shape().without(&[axis]);
        if labels.shape() != rows {
            return refuse(TypeError::Shapes(labels.shape(), rows));
        }
        let labels = if labels.dtype() == DType::U8 { labels.cast(DType::I64) } else { labels };
        if let Some(Err(reason)) = labels.ty().map(|ty| ty.require_index(1)) {
            return refuse(reason);
        }
        let kept = ignore.map(|ignored| labels.not_equal(ignored));
        let index = kept.map_or(labels, |kept| kept.select(labels, 0));
        let weights = weight.map(|w| (w.take(0, index), along(w, x, axis)));
        Ok(Classes { axis, count, rows, index, kept, weights })
    }

    /// The scores of the labels.
    #[track_caller]
    fn chosen(&self, x: Var<'g>) -> Var<'g> {
        let column = self.index.reshape(x.shape().keeping(&[self.axis]));
        x.gather(self.axis as i64, column)
    }

    /// The rows' losses `-gain`, reduced. `gain` has the axis of the classes, of length 1.
    #[track_caller]
    fn reduce(&self, gain: Var<'g>, reduction: Reduction) -> Var<'g> {
        let weight = self.weights.map(|(rows, _)| rows);
        if self.kept.is_none() && weight.is_none() && reduction != Reduction::None {
            return -reduction.of(gain);
        }
        let losses = -gain.reshape(self.rows.clone());
        let keep = |v: Var<'g>| self.kept.map_or(v, |kept| kept.select(v, 0.0));
        let losses = keep(losses);
        if reduction != Reduction::Mean {
            return reduction.of(losses);
        }
        let count = match (weight, self.kept) {
            (Some(weight), _) => keep(weight).sum_all(),
            (None, Some(kept)) => kept.cast(gain.dtype()).sum_all(),
            (None, None) => return losses.mean(),
        };
        losses.sum_all() / count
    }
}

/// The axis of the classes and its length.
#[track_caller]
fn class_axis<'g>(
    op: &str,
    x: Var<'g>,
    target: Var<'g>,
    weight: Option<Var<'g>>,
) -> Result<(usize, usize), Var<'g>> {
    let all: Vec<Var<'g>> = [x, target].into_iter().chain(weight).collect();
    let Some(ty) = x.ty().filter(|_| all.iter().all(|v| v.ty().is_some())) else {
        return Err(x.untyped(op, &all));
    };
    let axis = usize::from(ty.rank() > 1);
    let Some(&count) = ty.shape().get(axis) else {
        let (expected, got) = ("at least 1", ty.shape().clone());
        return Err(x.refuse(op, &all, TypeError::Rank { operand: 0, expected, got }));
    };
    if let Some(shape) = weight.map(Var::shape).filter(|shape| **shape != [count]) {
        let reason = TypeError::Shapes(shape, [count].into());
        return Err(x.refuse(op, &all, reason));
    }
    Ok((axis, count))
}

/// Values of the classes, in a shape that broadcasts with `x`.
#[track_caller]
fn along<'g>(classes: Var<'g>, x: Var<'g>, axis: usize) -> Var<'g> {
    let length = |(i, &n): (usize, &usize)| if i == axis { n } else { 1 };
    classes.reshape(x.shape().iter().enumerate().map(length).collect::<Shape>())
}

impl<'g> CrossEntropy<'g> {
    /// The loss of logits against labels (integers) or probabilities (floats).
    #[track_caller]
    pub fn call(&self, logits: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = logits.graph().at();
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            let why = format!("label_smoothing must be in [0, 1], got {}", self.label_smoothing);
            return wrong("cross_entropy", &[logits, target], why);
        }
        let loss = if target.dtype().is_float() && target.ty().is_some() {
            self.of_probabilities(logits, target)
        } else {
            self.of_labels(logits, target)
        };
        loss.unwrap_or_else(|refused| refused)
    }

    #[track_caller]
    fn of_labels(&self, logits: Var<'g>, labels: Var<'g>) -> Result<Var<'g>, Var<'g>> {
        let op = "cross_entropy";
        let classes = Classes::of(op, logits, labels, self.weight, self.ignore_index)?;
        let x = logits.log_softmax(classes.axis as i64);
        let mut gain = classes.chosen(x);
        if let Some((rows, _)) = classes.weights {
            gain = gain * rows.reshape(gain.shape());
        }
        let smooth = self.label_smoothing;
        if smooth > 0.0 {
            let all = classes.weights.map_or(x, |(_, all)| x * all);
            let all = all.sum(classes.axis as i64).reshape(gain.shape());
            gain = gain * (1.0 - smooth) + all * (smooth / classes.count as f64);
        }
        Ok(classes.reduce(gain, self.reduction))
    }

    #[track_caller]
    fn of_probabilities(&self, logits: Var<'g>, target: Var<'g>) -> Result<Var<'g>, Var<'g>> {
        let op = "cross_entropy";
        let (axis, count) = class_axis(op, logits, target, self.weight)?;
        super::alike(op, logits, &[target])?;
        if self.ignore_index.is_some() {
            let why = "ignore_index is for labels, not for probabilities".into();
            return Err(wrong(op, &[logits, target], why));
        }
        let x = logits.log_softmax(axis as i64);
        let smooth = self.label_smoothing;
        let mut p = target;
        if smooth > 0.0 {
            p = p * (1.0 - smooth) + smooth / count as f64;
        }
        if let Some(weight) = self.weight {
            p = p * along(weight, x, axis);
        }
        Ok(-self.reduction.of((x * p).sum(axis as i64)))
    }
}

impl<'g> Nll<'g> {
    /// The loss of log-probabilities against labels.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, labels: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        match Classes::of("nll", x, labels, self.weight, self.ignore_index) {
            Ok(classes) => {
                let mut gain = classes.chosen(x);
                if let Some((rows, _)) = classes.weights {
                    gain = gain * rows.reshape(gain.shape());
                }
                classes.reduce(gain, self.reduction)
            }
            Err(refused) => refused,
        }
    }
}

impl<'g> MultiMargin<'g> {
    /// The loss of scores against labels.
    #[track_caller]
    pub fn call(&self, x: Var<'g>, labels: Var<'g>) -> Var<'g> {
        let _at = x.graph().at();
        let classes = match Classes::of("multi_margin", x, labels, self.weight, None) {
            Ok(classes) => classes,
            Err(refused) => return refused,
        };
        if x.shape().rank() > 2 {
            let (expected, got) = ("1 or 2", x.shape());
            let reason = TypeError::Rank { operand: 0, expected, got };
            return x.refuse("multi_margin", &[x, labels], reason);
        }
        if !(1..=2).contains(&self.p) {
            let why = format!("p must be 1 or 2, got {}", self.p);
            return wrong("multi_margin", &[x, labels], why);
        }
        let excess = (x - classes.chosen(x).broadcast_to(x.shape()) + self.margin).relu();
        let own = classes.index.one_hot(classes.count, DType::Bool);
        let others = own.select(0.0, excess.powi(self.p));
        let mut losses = others.sum(classes.axis as i64) / classes.count;
        if let Some((rows, _)) = classes.weights {
            losses = losses * rows;
        }
        self.reduction.of(losses)
    }
}

impl<'g> Var<'g> {
    /// Mean of `-ln softmax(x)[label]`: cross-entropy of logits against integer labels, or against
    /// probabilities, see [`CrossEntropy`].
    #[track_caller]
    pub fn cross_entropy(self, target: Var<'g>) -> Var<'g> {
        CrossEntropy::default().call(self, target)
    }

    /// Mean of `-x[label]` for log-probabilities, see [`Nll`].
    #[track_caller]
    pub fn nll(self, labels: Var<'g>) -> Var<'g> {
        Nll::default().call(self, labels)
    }

    /// The mean of the hinge loss of several classes, see [`MultiMargin`].
    #[track_caller]
    pub fn multi_margin(self, labels: Var<'g>) -> Var<'g> {
        MultiMargin::default().call(self, labels)
    }
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
