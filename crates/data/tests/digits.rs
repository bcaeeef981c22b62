//! The digits of `examples/data`: 1797 images of 8 × 8 pixels.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_data::{Csv, CsvOptions, Dataset};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/digits.csv");

fn digits() -> Dataset {
    let table = Csv::read(PATH, &CsvOptions::default()).unwrap();
    let x = table.columns::<f32>(0..64).unwrap();
    let y = table.column::<i64>(table.find("label").unwrap()).unwrap();
    Dataset::new([("x", x), ("y", y)]).unwrap()
}

fn counts(data: &Dataset) -> [usize; 10] {
    let mut counts = [0; 10];
    for label in data.get("y").unwrap().to_vec::<i64>().unwrap() {
        counts[label as usize] += 1;
    }
    counts
}

#[test]
fn rows_labels_and_pixels_are_those_published() {
    let data = digits();
    assert_eq!(data.len(), 1797);
    assert_eq!(counts(&data), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    let pixels = data.get("x").unwrap().to_vec::<f32>().unwrap();
    assert_eq!(pixels.len(), 1797 * 64);
    assert!(pixels.iter().all(|p| (0.0..=16.0).contains(p) && p.fract() == 0.0));
    assert!(pixels.contains(&0.0) && pixels.contains(&16.0));
    assert_eq!(pixels[..6], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0]);
    assert_eq!(pixels.iter().sum::<f32>(), 561_718.0);
}

#[test]
fn names_are_p0_to_p63_and_label() {
    let table = Csv::read(PATH, &CsvOptions::default()).unwrap();
    let names: Vec<String> =
        (0..64).map(|i| format!("p{i}")).chain(["label".to_string()]).collect();
    assert_eq!(table.names(), names);
}

#[test]
fn stratified_folds_hold_every_class_alike() {
    let data = digits();
    for (train, fold) in data.k_folds_stratified(5, 0, "y").unwrap() {
        assert_eq!(train.len() + fold.len(), 1797);
        for (part, all) in counts(&fold).into_iter().zip(counts(&data)) {
            assert!(part == all / 5 || part == all / 5 + 1, "{part} of {all}");
        }
    }
}
