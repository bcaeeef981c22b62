//! Activations, softmax, dropout.

use super::super::call::{Build, Built, Call, one};

/// PyTorch's name, and how it is built. One line or short function each, in alphabetical order.
pub(super) const TABLE: &[(&str, Build)] = &[
    ("nn.functional.celu", |c| one(c.x()?.celu(c.float_or("alpha", 1.0)?))),
    ("nn.functional.dropout", |c| match (c.float_or("p", 0.5)?, c.flag_or("training", true)?) {
        (p, training) if p == 0.0 || !training => one(c.x()?.dropout(p)),
        _ => Err("the mask is random".into()),
    }),
    ("nn.functional.elu", |c| one(c.x()?.elu(c.float_or("alpha", 1.0)?))),
    ("nn.functional.gelu", gelu),
    ("nn.functional.glu", |c| one(c.x()?.glu(c.int_or("dim", -1)?))),
    ("nn.functional.hardshrink", |c| one(c.x()?.hardshrink(c.float_or("lambd", 0.5)?))),
    ("nn.functional.hardsigmoid", |c| one(c.x()?.hardsigmoid())),
    ("nn.functional.hardswish", |c| one(c.x()?.hardswish())),
    ("nn.functional.hardtanh", |c| {
        one(c.x()?.hardtanh(c.float_or("min_val", -1.0)?, c.float_or("max_val", 1.0)?))
    }),
    ("nn.functional.leaky_relu", |c| one(c.x()?.leaky_relu(c.float_or("negative_slope", 0.01)?))),
    ("nn.functional.logsigmoid", |c| one(c.x()?.logsigmoid())),
    ("nn.functional.mish", |c| one(c.x()?.mish())),
    ("nn.functional.prelu", |c| one(c.x()?.prelu(c.var("weight")?))),
    ("nn.functional.relu", |c| one(c.x()?.relu())),
    ("nn.functional.relu6", |c| one(c.x()?.relu6())),
    ("nn.functional.selu", |c| one(c.x()?.selu())),
    ("nn.functional.silu", |c| one(c.x()?.silu())),
    ("nn.functional.softmin", |c| one(c.x()?.softmin(c.int("dim")?))),
    ("nn.functional.softplus", |c| {
        one(c.x()?.softplus_above(c.float_or("beta", 1.0)?, c.float_or("threshold", 20.0)?))
    }),
    ("nn.functional.softshrink", |c| one(c.x()?.softshrink(c.float_or("lambd", 0.5)?))),
    ("nn.functional.softsign", |c| one(c.x()?.softsign())),
    ("nn.functional.tanhshrink", |c| one(c.x()?.tanhshrink())),
    ("nn.functional.threshold", |c| {
        one(c.x()?.threshold(c.float("threshold")?, c.float("value")?))
    }),
    ("sigmoid", |c| one(c.x()?.sigmoid())),
    ("tanh", |c| one(c.x()?.tanh())),
];

fn gelu<'g>(c: &Call<'g>) -> Built<'g> {
    one(match c.text_or("approximate", "none")? {
        "tanh" => c.x()?.gelu_tanh(),
        _ => c.x()?.gelu(),
    })
}
