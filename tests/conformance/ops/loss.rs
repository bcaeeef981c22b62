//! Losses and distances.

use pleach::ops::loss::*;
use pleach::prelude::*;

use super::super::call::{Build, Call, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("nn.functional.binary_cross_entropy", |c| {
        let (x, t) = pair(c)?;
        let (weight, reduction) = (c.maybe("weight")?, reduction(c)?);
        one(BinaryCrossEntropy { weight, reduction }.call(x, t))
    }),
    ("nn.functional.binary_cross_entropy_with_logits", |c| {
        let (x, t) = pair(c)?;
        let (weight, pos_weight) = (c.maybe("weight")?, c.maybe("pos_weight")?);
        let reduction = reduction(c)?;
        one(BinaryCrossEntropyWithLogits { weight, pos_weight, reduction }.call(x, t))
    }),
    ("nn.functional.cosine_embedding_loss", |c| {
        let (a, b) = (c.var("input1")?, c.var("input2")?);
        let margin = c.float_or("margin", 0.0)?;
        let loss = CosineEmbedding { margin, reduction: reduction(c)? };
        one(loss.call(a, b, c.var("target")?))
    }),
    ("nn.functional.cosine_similarity", |c| {
        let (a, b) = (c.var("x1")?, c.var("x2")?);
        one(a.cosine_similarity(b, c.int_or("dim", 1)?, c.float_or("eps", 1e-8)?))
    }),
    ("nn.functional.cross_entropy", |c| {
        let target = c.var("target")?;
        let is_labels = !target.dtype().is_float();
        let loss = CrossEntropy {
            weight: c.maybe("weight")?,
            ignore_index: is_labels.then_some(c.int_or("ignore_index", -100)?),
            label_smoothing: c.float_or("label_smoothing", 0.0)?,
            reduction: reduction(c)?,
        };
        one(loss.call(c.x()?, target))
    }),
    ("nn.functional.gaussian_nll_loss", |c| {
        let loss = GaussianNll {
            full: c.flag_or("full", false)?,
            eps: c.float_or("eps", 1e-6)?,
            reduction: reduction(c)?,
        };
        one(loss.call(c.x()?, c.var("target")?, c.var("var")?))
    }),
    ("nn.functional.hinge_embedding_loss", |c| {
        let (x, t) = pair(c)?;
        let margin = c.float_or("margin", 1.0)?;
        one(HingeEmbedding { margin, reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.huber_loss", |c| {
        let (x, t) = pair(c)?;
        let (weight, delta) = (c.maybe("weight")?, c.float_or("delta", 1.0)?);
        one(Huber { weight, delta, reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.kl_div", |c| {
        let (x, t) = pair(c)?;
        let batch_mean = c.text_or("reduction", "mean")? == "batchmean";
        let loss = KlDiv {
            log_target: c.flag_or("log_target", false)?,
            batch_mean,
            reduction: if batch_mean { Reduction::Mean } else { reduction(c)? },
        };
        one(loss.call(x, t))
    }),
    ("nn.functional.l1_loss", |c| {
        let (x, t) = pair(c)?;
        one(L1 { weight: c.maybe("weight")?, reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.margin_ranking_loss", |c| {
        let (a, b) = (c.var("input1")?, c.var("input2")?);
        let margin = c.float_or("margin", 0.0)?;
        let loss = MarginRanking { margin, reduction: reduction(c)? };
        one(loss.call(a, b, c.var("target")?))
    }),
    ("nn.functional.mse_loss", |c| {
        let (x, t) = pair(c)?;
        one(Mse { weight: c.maybe("weight")?, reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.multi_margin_loss", |c| {
        let loss = MultiMargin {
            weight: c.maybe("weight")?,
            p: c.int_or("p", 1)? as u32,
            margin: c.float_or("margin", 1.0)?,
            reduction: reduction(c)?,
        };
        one(loss.call(c.x()?, c.var("target")?))
    }),
    ("nn.functional.multilabel_soft_margin_loss", |c| {
        let (weight, reduction) = (c.maybe("weight")?, reduction(c)?);
        one(MultiLabelSoftMargin { weight, reduction }.call(c.x()?, c.var("target")?))
    }),
    ("nn.functional.nll_loss", |c| {
        let loss = Nll {
            weight: c.maybe("weight")?,
            ignore_index: Some(c.int_or("ignore_index", -100)?),
            reduction: reduction(c)?,
        };
        one(loss.call(c.x()?, c.var("target")?))
    }),
    ("nn.functional.poisson_nll_loss", |c| {
        let (x, t) = pair(c)?;
        let loss = PoissonNll {
            log_input: c.flag_or("log_input", true)?,
            full: c.flag_or("full", false)?,
            eps: c.float_or("eps", 1e-8)?,
            reduction: reduction(c)?,
        };
        one(loss.call(x, t))
    }),
    ("nn.functional.smooth_l1_loss", |c| {
        let (x, t) = pair(c)?;
        one(SmoothL1 { beta: c.float_or("beta", 1.0)?, reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.soft_margin_loss", |c| {
        let (x, t) = pair(c)?;
        one(SoftMargin { reduction: reduction(c)? }.call(x, t))
    }),
    ("nn.functional.triplet_margin_loss", |c| {
        let loss = TripletMargin {
            margin: c.float_or("margin", 1.0)?,
            p: c.float_or("p", 2.0)?,
            eps: c.float_or("eps", 1e-6)?,
            swap: c.flag_or("swap", false)?,
            reduction: reduction(c)?,
        };
        one(loss.call(c.var("anchor")?, c.var("positive")?, c.var("negative")?))
    }),
];

fn reduction(c: &Call<'_>) -> Result<Reduction, String> {
    match c.text_or("reduction", "mean")? {
        "none" => Ok(Reduction::None),
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        other => Err(format!("no reduction {other}")),
    }
}

/// Input and target: PyTorch broadcasts them, with a warning; our losses refuse that.
fn pair<'g>(c: &Call<'g>) -> Result<(Var<'g>, Var<'g>), String> {
    let (x, t) = (c.var("input")?, c.var("target")?);
    let shape = x.shape().broadcast(&t.shape()).ok_or("shapes do not broadcast")?;
    Ok((x.broadcast_to(shape.clone()), t.broadcast_to(shape)))
}
