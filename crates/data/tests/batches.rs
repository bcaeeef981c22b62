//! Laws of batches.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_data::{Dataset, Order};
use pleach_tensor::Tensor;
use proptest::prelude::*;

fn data(len: usize) -> Dataset {
    let x = Tensor::new([len, 2], (0..2 * len).map(|i| (i / 2) as f32).collect()).unwrap();
    let y = Tensor::new::<i64>([len], (0..len as i64).collect()).unwrap();
    Dataset::new([("x", x), ("y", y)]).unwrap()
}

fn rows(batch: &[Tensor]) -> Vec<i64> {
    batch[1].to_vec().unwrap()
}

#[test]
fn no_rows_a_batch_is_refused() {
    let err = data(3).batches(0, Order::Sequential).unwrap_err().to_string();
    assert_eq!(err, "batches: expected at least 1 row a batch, got 0");
}

#[test]
fn the_last_batch_is_shorter_or_left_out() {
    let data = data(5);
    let lens = |b: pleach_data::Batches<'_>| b.map(|b| b[1].numel()).collect::<Vec<_>>();
    assert_eq!(lens(data.batches(2, Order::Sequential).unwrap()), [2, 2, 1]);
    assert_eq!(lens(data.batches(2, Order::Sequential).unwrap().drop_last()), [2, 2]);
    assert_eq!(lens(data.batches(6, Order::Sequential).unwrap()), [5]);
    assert!(lens(data.batches(6, Order::Sequential).unwrap().drop_last()).is_empty());
    assert_eq!(lens(data.batches(usize::MAX, Order::Sequential).unwrap()), [5]);
}

#[test]
fn epochs_and_seeds_shuffle_differently_and_repeat() {
    let data = data(50);
    let order = |seed, epoch| {
        let batches = data.batches(7, Order::Shuffled { seed, epoch }).unwrap();
        batches.flat_map(|b| rows(&b)).collect::<Vec<_>>()
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
    assert_ne!(order(1, 0), order(0, 1));
}

#[test]
fn the_order_of_a_fixed_seed_never_changes() {
    let data = data(10);
    let mut batches = data.batches(10, Order::Shuffled { seed: 42, epoch: 3 }).unwrap();
    assert_eq!(rows(&batches.next().unwrap()), SEED_42_EPOCH_3);
}
const SEED_42_EPOCH_3: [i64; 10] = [9, 5, 2, 3, 1, 4, 8, 7, 0, 6];

#[test]
fn skipping_past_the_end_ends() {
    let data = data(5);
    let mut batches = data.batches(2, Order::Sequential).unwrap().skip_batches(usize::MAX);
    assert_eq!((batches.len(), batches.next()), (0, None));
    assert_eq!(batches.skip_batches(9).next(), None);
}

proptest! {
    #[test]
    fn every_row_comes_once_and_its_tensors_stay_together(
        len in 0usize..60, size in 1usize..20, seed in any::<u64>(), epoch in any::<u64>(),
    ) {
        let data = data(len);
        let batches = data.batches(size, Order::Shuffled { seed, epoch }).unwrap();
        prop_assert_eq!(batches.len(), len.div_ceil(size));
        let mut seen = Vec::new();
        for batch in batches {
            let x: Vec<i64> = batch[0].to_i64s().into_iter().step_by(2).collect();
            prop_assert_eq!(&x, &rows(&batch));
            prop_assert_eq!(batch[0].shape()[1], 2);
            seen.extend(x);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..len as i64).collect::<Vec<_>>());
    }

    #[test]
    fn a_resumed_epoch_continues_where_it_stopped(
        len in 0usize..60, size in 1usize..20, done in 0usize..20, drop in any::<bool>(), seed in any::<u64>(),
    ) {
        let data = data(len);
        let batches = || {
            let b = data.batches(size, Order::Shuffled { seed, epoch: 1 }).unwrap();
            if drop { b.drop_last() } else { b }
        };
        let mut first = batches();
        for _ in 0..done {
            if first.next().is_none() {
                break;
            }
        }
        let resumed: Vec<_> = batches().skip_batches(first.position()).collect();
        prop_assert_eq!(batches().skip(done).collect::<Vec<_>>(), resumed.clone());
        prop_assert_eq!(first.collect::<Vec<_>>(), resumed);
    }
}
