//! Convolution, pooling, normalization, attention, interpolation.

use pleach::ops::{
    Attention, ConvOptions, Interpolation, Moments, Padding, PerAxis, PoolOptions, Resize,
};
use pleach::prelude::*;

use super::super::call::{Build, Built, Call, one};
use super::super::read::Value;

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("nn.functional.adaptive_avg_pool1d", |c| one(c.x()?.adaptive_avg_pool(&lengths(c, 1)?))),
    ("nn.functional.adaptive_avg_pool2d", |c| one(c.x()?.adaptive_avg_pool(&lengths(c, 2)?))),
    ("nn.functional.adaptive_avg_pool3d", |c| one(c.x()?.adaptive_avg_pool(&lengths(c, 3)?))),
    ("nn.functional.adaptive_max_pool1d", |c| adaptive_max_pool(c, 1)),
    ("nn.functional.adaptive_max_pool2d", |c| adaptive_max_pool(c, 2)),
    ("nn.functional.adaptive_max_pool3d", |c| adaptive_max_pool(c, 3)),
    ("nn.functional.avg_pool1d", |c| one(c.x()?.avg_pool(&windows(c, 1)?))),
    ("nn.functional.avg_pool2d", |c| one(c.x()?.avg_pool(&windows(c, 2)?))),
    ("nn.functional.avg_pool3d", |c| one(c.x()?.avg_pool(&windows(c, 3)?))),
    ("nn.functional.batch_norm", batch_norm),
    ("nn.functional.conv1d", conv),
    ("nn.functional.conv2d", conv),
    ("nn.functional.conv3d", conv),
    ("nn.functional.conv_transpose1d", conv_transpose),
    ("nn.functional.conv_transpose2d", conv_transpose),
    ("nn.functional.conv_transpose3d", conv_transpose),
    ("nn.functional.fold", |c| {
        let sizes = |name| c.sizes_or(name, 2, 1);
        one(c.x()?.fold(&sizes("output_size")?, &sizes("kernel_size")?, &options(c)?))
    }),
    ("nn.functional.group_norm", |c| {
        let groups = c.int("num_groups")? as usize;
        one(c.x()?.group_norm(groups, c.maybe("weight")?, c.maybe("bias")?, eps(c)?))
    }),
    ("nn.functional.instance_norm", instance_norm),
    ("nn.functional.interpolate-area", |c| interpolate(c, Interpolation::Area)),
    ("nn.functional.interpolate-bicubic", |c| interpolate(c, Interpolation::Cubic)),
    ("nn.functional.interpolate-bilinear", |c| interpolate(c, Interpolation::Linear)),
    ("nn.functional.interpolate-linear", |c| interpolate(c, Interpolation::Linear)),
    ("nn.functional.interpolate-nearest", |c| interpolate(c, Interpolation::Nearest)),
    ("nn.functional.interpolate-nearest-exact", |c| interpolate(c, Interpolation::NearestExact)),
    ("nn.functional.interpolate-trilinear", |c| interpolate(c, Interpolation::Linear)),
    ("nn.functional.layer_norm", |c| {
        let lengths = sizes(c, "normalized_shape")?;
        one(c.x()?.layer_norm(&lengths, c.maybe("weight")?, c.maybe("bias")?, eps(c)?))
    }),
    ("nn.functional.local_response_norm", |c| {
        let size = c.int("size")? as usize;
        let (alpha, beta) = (c.float_or("alpha", 1e-4)?, c.float_or("beta", 0.75)?);
        one(c.x()?.local_response_norm(size, alpha, beta, c.float_or("k", 1.0)?))
    }),
    ("nn.functional.max_pool1d", |c| max_pool(c, 1)),
    ("nn.functional.max_pool2d", |c| max_pool(c, 2)),
    ("nn.functional.max_pool3d", |c| max_pool(c, 3)),
    ("nn.functional.normalize", |c| {
        let (p, axis) = (c.float_or("p", 2.0)?, c.int_or("dim", 1)?);
        one(c.x()?.normalize(p, axis, c.float_or("eps", 1e-12)?))
    }),
    ("nn.functional.rms_norm", |c| {
        let eps = c.given("eps").map(|_| c.float("eps")).transpose()?;
        one(c.x()?.rms_norm(&sizes(c, "normalized_shape")?, c.maybe("weight")?, eps))
    }),
    ("nn.functional.scaled_dot_product_attention", |c| {
        let attention = Attention {
            mask: c.maybe("attn_mask")?,
            causal: c.flag_or("is_causal", false)?,
            dropout: c.float_or("dropout_p", 0.0)?,
            scale: if c.given("scale").is_some() { Some(c.float("scale")?) } else { None },
            grouped: c.flag_or("enable_gqa", false)?,
        };
        one(attention.call(c.var("query")?, c.var("key")?, c.var("value")?))
    }),
    ("nn.functional.unfold", |c| {
        one(c.x()?.unfold(&c.sizes_or("kernel_size", 2, 1)?, &options(c)?))
    }),
];

fn sizes(c: &Call<'_>, name: &str) -> Result<Vec<usize>, String> {
    Ok(c.ints(name)?.iter().map(|&i| i as usize).collect())
}

/// A number for every spatial axis.
fn per_axis(c: &Call<'_>, name: &str, default: usize) -> Result<PerAxis, String> {
    let sizes = c.ints_if(name)?.map(|ints| ints.iter().map(|&i| i as usize).collect());
    Ok(sizes.map_or(default.into(), |sizes: Vec<usize>| sizes.into()))
}

fn options(c: &Call<'_>) -> Result<ConvOptions, String> {
    let padding = match c.text_or("padding", "") {
        Ok("same") => Padding::Same,
        Ok(_) => Padding::valid(),
        Err(_) => Padding::Both(per_axis(c, "padding", 0)?),
    };
    Ok(ConvOptions::default()
        .stride(per_axis(c, "stride", 1)?)
        .padding(padding)
        .dilation(per_axis(c, "dilation", 1)?)
        .groups(c.int_or("groups", 1)? as usize)
        .output_padding(per_axis(c, "output_padding", 0)?))
}

fn conv<'g>(c: &Call<'g>) -> Built<'g> {
    one(c.x()?.conv(c.var("weight")?, c.maybe("bias")?, &options(c)?))
}

fn conv_transpose<'g>(c: &Call<'g>) -> Built<'g> {
    one(c.x()?.conv_transpose(c.var("weight")?, c.maybe("bias")?, &options(c)?))
}

/// Windows over `n` axes.
fn windows(c: &Call<'_>, n: usize) -> Result<PoolOptions, String> {
    let mut options = PoolOptions::new(c.sizes_or("kernel_size", n, 1)?)
        .padding(per_axis(c, "padding", 0)?)
        .dilation(per_axis(c, "dilation", 1)?)
        .ceil_mode(c.flag_or("ceil_mode", false)?)
        .count_include_pad(c.flag_or("count_include_pad", true)?);
    // An empty list of strides is that of nothing.
    if c.ints_if("stride")?.is_some_and(|s| !s.is_empty()) {
        options = options.stride(per_axis(c, "stride", 1)?);
    }
    if c.given("divisor_override").is_some() {
        options = options.divisor_override(c.int("divisor_override")? as usize);
    }
    Ok(options)
}

/// Both outputs, or the first.
fn with_indices<'g>(c: &Call<'g>, (y, indices): (Var<'g>, Var<'g>)) -> Built<'g> {
    let both = c.flag_or("return_indices", false)?;
    Ok(if both { vec![y, indices] } else { vec![y] })
}

fn max_pool<'g>(c: &Call<'g>, n: usize) -> Built<'g> {
    with_indices(c, c.x()?.max_pool_with_indices(&windows(c, n)?))
}

fn adaptive_max_pool<'g>(c: &Call<'g>, n: usize) -> Built<'g> {
    with_indices(c, c.x()?.adaptive_max_pool_with_indices(&lengths(c, n)?))
}

/// The lengths that the last `n` axes get; nothing is the length that there is.
fn lengths(c: &Call<'_>, n: usize) -> Result<Vec<usize>, String> {
    let x = c.x()?;
    let own = |i: usize| x.size(i as i64 - n as i64);
    let length = |(i, value): (usize, &Value)| match value {
        Value::Int(length) => *length as usize,
        _ => own(i),
    };
    match c.given("output_size") {
        Some(Value::List(items)) if items.len() == n => {
            Ok(items.iter().enumerate().map(length).collect())
        }
        Some(value) => Ok((0..n).map(|i| length((i, value))).collect()),
        None => Err("no output size".into()),
    }
}

fn eps(c: &Call<'_>) -> Result<f64, String> {
    c.float_or("eps", 1e-5)
}

/// The running moments given.
fn running<'g>(c: &Call<'g>) -> Result<Option<(Var<'g>, Var<'g>)>, String> {
    Ok(c.maybe("running_mean")?.zip(c.maybe("running_var")?))
}

/// What the running moments are afterwards.
fn leaves<'g>(c: &Call<'g>, moments: &Moments<'g>) -> Result<(), String> {
    if let Some((mean, var)) = running(c)? {
        let (mean, var) = moments.running(mean, var, c.float_or("momentum", 0.1)?);
        c.leaves("running_mean", mean);
        c.leaves("running_var", var);
    }
    Ok(())
}

fn batch_norm<'g>(c: &Call<'g>) -> Built<'g> {
    let x = c.x()?;
    let moments = match running(c)? {
        Some((mean, var)) if !c.flag_or("training", false)? => Moments { mean, var, count: 1 },
        _ => {
            let moments = x.channel_moments();
            leaves(c, &moments)?;
            moments
        }
    };
    one(x.batch_norm(&moments, c.maybe("weight")?, c.maybe("bias")?, eps(c)?))
}

fn instance_norm<'g>(c: &Call<'g>) -> Built<'g> {
    let x = c.x()?;
    let moments = match running(c)? {
        Some((mean, var)) if !c.flag_or("use_input_stats", true)? => {
            Moments { mean, var, count: 1 }
        }
        _ => {
            let moments = x.instance_moments();
            leaves(c, &moments)?;
            moments
        }
    };
    one(x.batch_norm(&moments, c.maybe("weight")?, c.maybe("bias")?, eps(c)?))
}

fn interpolate<'g>(c: &Call<'g>, mode: Interpolation) -> Built<'g> {
    let x = c.x()?;
    let n = x.shape().rank() - 2;
    let resize = if c.given("size").is_some() {
        Resize::to(c.sizes_or("size", n, 1)?)
    } else {
        let factor = |value: &Value| match value {
            Value::Int(i) => Ok(*i as f64),
            Value::Float(x) => Ok(*x),
            _ => Err("a factor is no number".to_string()),
        };
        Resize::by(match c.given("scale_factor") {
            Some(Value::List(items)) => items.iter().map(factor).collect::<Result<Vec<_>, _>>()?,
            Some(value) => vec![factor(value)?; n],
            None => return Err("neither size nor factor".into()),
        })
    };
    let resize = resize
        .mode(mode)
        .align_corners(c.flag_or("align_corners", false)?)
        .recompute_scale_factor(c.flag_or("recompute_scale_factor", false)?);
    one(x.resize(&resize))
}
