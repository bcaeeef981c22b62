//! What the laws share: generated dimensions, special values, evaluation.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{Dims, OPERATORS, OperatorInfo, Sample, Sources, interpret::interpret};
use proptest::prelude::*;

/// Small shapes, axes of length 0 and 1 included.
pub fn dims_of(float: DType) -> impl Strategy<Value = Dims> {
    (prop::collection::vec(0usize..4, 0..4), any::<u64>()).prop_map(move |(shape, seed)| Dims {
        shape: shape.into(),
        seed,
        float,
    })
}

pub fn dims() -> impl Strategy<Value = Dims> {
    prop_oneof![dims_of(F32), dims_of(F64), dims_of(BF16), dims_of(F16)]
}

/// Every sample of every operator.
pub fn samples(dims: &Dims) -> impl Iterator<Item = (&'static OperatorInfo, Sample)> {
    OPERATORS.iter().flat_map(|operator| {
        (operator.samples)(dims).into_iter().map(move |sample| (operator, sample))
    })
}

pub fn types(sample: &Sample) -> Vec<&Type> {
    sample.inputs.iter().map(|x| &x.ty).collect()
}

pub fn refs(x: &[Tensor]) -> Vec<&Tensor> {
    x.iter().collect()
}

pub fn eval(op: &Op, x: &[Tensor]) -> Tensor {
    let types: Vec<&Type> = x.iter().map(Tensor::ty).collect();
    let y = op.infer(&types).unwrap_or_else(|e| panic!("{op}: {e}"));
    op.eval(&refs(x), &y).unwrap_or_else(|e| panic!("{op}: {e}"))
}

/// NaN, infinities, zeros of both signs, ones, the least and the largest number.
pub const SPECIALS: [f64; 10] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 1e-45, -2.5e-40, 3.4e38];

/// The tensor with about half of its floats replaced by special ones.
pub fn with_specials(x: &Tensor, key: Key) -> Tensor {
    if !x.dtype().is_float() {
        return x.clone();
    }
    let old = x.to_f64s();
    Tensor::build(x.ty(), |i| {
        let pick = key.below(i as u64, 2 * SPECIALS.len() as u64) as usize;
        SPECIALS.get(pick).copied().unwrap_or(old[i])
    })
}

/// The operands of a sample as inputs of `g`, in order.
pub fn inputs<'g>(g: &'g Graph, sample: &Sample) -> Vec<Var<'g>> {
    let input = |(i, ty): (usize, &Type)| g.input(&format!("x{i}"), ty.dtype(), ty.shape());
    types(sample).into_iter().enumerate().map(input).collect()
}

pub fn ids(x: &[Var<'_>]) -> Vec<NodeId> {
    x.iter().map(|v| v.id()).collect()
}

pub fn values(g: &Graph, wanted: &[NodeId], feeds: &[Tensor]) -> Vec<Tensor> {
    Sources::with_feeds(&refs(feeds), |sources| interpret(g, wanted, sources))
        .unwrap_or_else(|e| panic!("{e}\n{g}"))
}
