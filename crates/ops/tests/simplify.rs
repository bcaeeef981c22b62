//! Recording simplifies, and no bit of a value or of a gradient changes: every sample is recorded
//! in a raw graph and in one that simplifies. Over the registry: no operator is named.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

mod common;

use common::*;
use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{Full, Sample};
use pleach_tensor::compare::bit_mismatch;
use proptest::prelude::*;

/// What stands in the place of an operand.
#[derive(Clone, Copy, Debug)]
enum Place {
    Input,
    Splat(f64),
    /// The operand before it, if it has the same type.
    Again,
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let place = prop_oneof![
        2 => Just(Place::Input),
        3 => prop::sample::select(SPECIALS.to_vec()).prop_map(Place::Splat),
        1 => Just(Place::Again),
    ];
    prop::collection::vec(place, 3)
}

struct Recorded {
    graph: Graph,
    results: Vec<NodeId>,
    grads: Vec<(usize, Option<NodeId>)>,
    feeds: usize,
}

/// The sample with its operands in their places, then the operator again on its own result as
/// often as it fits, and the gradient of the last float result.
fn record(graph: Graph, sample: &Sample, places: &[Place], again: usize) -> Recorded {
    let g = &graph;
    let x = inputs(g, sample);
    let mut operands: Vec<Var<'_>> = Vec::new();
    for (i, &input) in x.iter().enumerate() {
        let ty = input.ty().unwrap();
        let operand = match places[i % places.len()] {
            Place::Input => input,
            // Index operands must stay in range.
            Place::Splat(value) if ty.dtype().is_float() || ty.dtype() == BOOL => {
                input.record(Full::new(&ty, value), &[])
            }
            Place::Again if i > 0 && operands[i - 1].ty() == Some(ty) => operands[i - 1],
            _ => input,
        };
        operands.push(operand);
    }
    let mut y = Var::new(g, g.push(sample.op.clone(), &ids(&operands)));
    let mut results = vec![y.id()];
    for _ in 0..again {
        let Some(ty) = y.ty() else { break };
        let mut next = operands.clone();
        if next.is_empty() || next[0].ty() != Some(ty) {
            break;
        }
        next[0] = y;
        y = Var::new(g, g.push(sample.op.clone(), &ids(&next)));
        results.push(y.id());
    }
    let mut feeds = x.len();
    let mut grads = Vec::new();
    if y.dtype().is_float() {
        let ty = y.ty().unwrap();
        let dy = g.input("dy", ty.dtype(), ty.shape());
        feeds += 1;
        let wrt: Vec<usize> = (0..x.len()).filter(|&i| x[i].dtype().is_float()).collect();
        let of: Vec<NodeId> = wrt.iter().map(|&i| x[i].id()).collect();
        let found = g.reverse(&[(y.id(), dy.id())], &of).unwrap();
        grads = wrt.into_iter().zip(found.into_iter().map(|dx| dx.value())).collect();
    }
    Recorded { graph, results, grads, feeds }
}

fn compare(
    sample: &Sample,
    places: &[Place],
    again: usize,
    feeds: &[Tensor],
) -> Result<(), TestCaseError> {
    let raw = record(Graph::raw(), sample, places, again);
    let simple = record(Graph::new(), sample, places, again);
    let feeds = &feeds[..raw.feeds];
    let get = |r: &Recorded, ids: &[NodeId]| values(&r.graph, ids, feeds);
    for (a, b) in get(&simple, &simple.results).iter().zip(&get(&raw, &raw.results)) {
        let context = || format!("{} {places:?}\n{}{}", sample.op, raw.graph, simple.graph);
        prop_assert_eq!(bit_mismatch(a, b), None, "{}", context());
    }
    for (&(i, a), &(_, b)) in simple.grads.iter().zip(&raw.grads) {
        let context =
            || format!("operand {i} of {} {places:?}\n{}{}", sample.op, raw.graph, simple.graph);
        prop_assert_eq!(a.is_some(), b.is_some(), "{}", context());
        let (Some(a), Some(b)) = (a, b) else { continue };
        let (a, b) = (get(&simple, &[a]).remove(0), get(&raw, &[b]).remove(0));
        prop_assert_eq!(bit_mismatch(&a, &b), None, "{}", context());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn simplification_changes_no_bit(
        dims in dims(),
        places in places(),
        again in 0usize..3,
        seed: u64,
    ) {
        for (_, sample) in samples(&dims) {
            let y = sample.op.infer(&types(&sample)).unwrap();
            let mut feeds: Vec<Tensor> = sample.draw(Key(seed));
            feeds.push(Tensor::uniform(&y, Key(seed).fold(7), -1.0, 1.0));
            let special: Vec<Tensor> = feeds
                .iter()
                .zip(0..)
                .map(|(x, i)| with_specials(x, Key(seed).fold(50 + i)))
                .collect();
            compare(&sample, &places, again, &feeds)?;
            compare(&sample, &places, again, &special)?;
        }
    }
}
