//! Laws of splits and folds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_data::{DataError, Dataset};
use pleach_tensor::Tensor;
use proptest::prelude::*;

/// Row `i` holds `i` in `x` and its class in `y`.
fn data(classes: &[i64]) -> Dataset {
    let rows = (0..classes.len() as i64).collect();
    let x = Tensor::new::<i64>([classes.len()], rows).unwrap();
    let y = Tensor::new([classes.len()], classes.to_vec()).unwrap();
    Dataset::new([("x", x), ("y", y)]).unwrap()
}

fn rows(data: &Dataset) -> Vec<i64> {
    data.get("x").unwrap().to_vec().unwrap()
}

fn count(data: &Dataset, class: i64) -> usize {
    data.get("y").unwrap().to_vec::<i64>().unwrap().iter().filter(|&&y| y == class).count()
}

/// Both parts in the order of the data, together all of it.
fn assert_partition(a: &Dataset, b: &Dataset, len: usize) {
    assert!(rows(a).is_sorted() && rows(b).is_sorted());
    let mut all = [rows(a), rows(b)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..len as i64).collect::<Vec<_>>());
}

#[test]
fn a_rule_divides_by_index() {
    let (test, train) = data(&[0; 7]).split_by(|i| i % 5 == 0);
    assert_eq!((rows(&test), rows(&train)), (vec![0, 5], vec![1, 2, 3, 4, 6]));
}

#[test]
fn seeds_give_different_splits_and_the_same_seed_the_same() {
    let data = data(&[0; 100]);
    let first = |seed| rows(&data.split_random(0.5, seed).unwrap().0);
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn a_split_of_a_fixed_seed_never_changes() {
    let (first, _) = data(&[0; 20]).split_random(0.25, 42).unwrap();
    assert_eq!(rows(&first), FIRST_OF_SEED_42);
}
const FIRST_OF_SEED_42: [i64; 5] = [7, 8, 12, 15, 19];

#[test]
fn wrong_arguments_are_refused() {
    let data = data(&[0, 1, 2]);
    let message = |e: DataError| e.to_string();
    for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(data.split_random(fraction, 0).is_err());
        assert!(data.split_stratified(fraction, 0, "y").is_err());
    }
    for k in [0, 1, 4] {
        let err = data.k_folds(k, 0).map_err(message).unwrap_err();
        assert_eq!(err, format!("folds: expected 2 to 3 folds of 3 rows, got {k}"));
    }
    let err = data.k_folds_stratified(2, 0, "z").map_err(message).unwrap_err();
    assert_eq!(err, "dataset: no tensor is named \"z\", there are [\"x\", \"y\"]");
    let wrong = Dataset::new([("y", Tensor::new([2, 1], vec![0i64, 1]).unwrap())]).unwrap();
    let err = wrong.split_stratified(0.5, 0, "y").map_err(message).unwrap_err();
    assert_eq!(err, "labels: expected i64[n], \"y\" is i64[2, 1]");
}

#[test]
fn an_empty_dataset_splits_into_empty_parts() {
    let empty = data(&[]);
    let (a, b) = empty.split_stratified(0.5, 0, "y").unwrap();
    assert!(a.is_empty() && b.is_empty());
    assert!(empty.split_random(1.0, 0).is_ok());
}

proptest! {
    #[test]
    fn splits_are_partitions_of_the_size_asked_for(
        classes in proptest::collection::vec(-2i64..3, 0..80), fraction in 0.0f64..=1.0, seed in any::<u64>(),
    ) {
        let data = data(&classes);
        let size = (classes.len() as f64 * fraction).round() as usize;
        let (a, b) = data.split_random(fraction, seed).unwrap();
        prop_assert_eq!(a.len(), size);
        assert_partition(&a, &b, classes.len());
        let (a, b) = data.split_stratified(fraction, seed, "y").unwrap();
        prop_assert_eq!(a.len(), size);
        assert_partition(&a, &b, classes.len());
        for class in -2..3 {
            let exact = count(&data, class) as f64 * size as f64 / classes.len().max(1) as f64;
            let got = count(&a, class) as f64;
            prop_assert!((got - exact).abs() < 1.0, "{got} of {exact}");
        }
    }

    #[test]
    fn folds_cover_the_data_once(
        classes in proptest::collection::vec(0i64..3, 2..60), k in 2usize..8, seed in any::<u64>(),
    ) {
        let data = data(&classes);
        let k = k.min(classes.len());
        for stratified in [false, true] {
            let folds =
                if stratified { data.k_folds_stratified(k, seed, "y") } else { data.k_folds(k, seed) };
            let folds: Vec<_> = folds.unwrap().collect();
            prop_assert_eq!(folds.len(), k);
            let mut seen = Vec::new();
            for (train, fold) in &folds {
                assert_partition(train, fold, classes.len());
                prop_assert!(fold.len().abs_diff(folds[0].1.len()) <= 1);
                seen.extend(rows(fold));
                if stratified {
                    for class in 0..3 {
                        prop_assert!(count(fold, class).abs_diff(count(&folds[0].1, class)) <= 1);
                    }
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..classes.len() as i64).collect::<Vec<_>>());
        }
    }
}
