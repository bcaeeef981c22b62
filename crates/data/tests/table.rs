//! Tables: what is read, and what is said of what is not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_data::{Csv, CsvOptions, DataError};
use proptest::prelude::*;

fn read(text: &str) -> Result<Csv, DataError> {
    Csv::from_reader(text.as_bytes(), &CsvOptions::default())
}

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn names_rows_and_numbers_are_kept() {
    let table = read("\u{feff}a, b,label\n1,2.5,3\r\n\n-0,1e-3,\"4\"").unwrap();
    assert_eq!((table.rows(), table.width()), (2, 3));
    assert_eq!(table.names(), ["a", "b", "label"]);
    let x = table.columns::<f32>(0..2).unwrap();
    assert_eq!(x.ty().to_string(), "f32[2, 2]");
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0, 2.5, -0.0, 1e-3]);
    assert!(x.to_vec::<f32>().unwrap()[2].is_sign_negative());
    assert_eq!(table.column::<i64>(2).unwrap().to_vec::<i64>().unwrap(), [3, 4]);
    assert_eq!(table.columns::<f64>(1..1).unwrap().ty().to_string(), "f64[2, 0]");
    assert_eq!((table.text(1, 1), table.text(2, 0), table.text(0, 3)), (Some("1e-3"), None, None));
}

#[test]
fn a_table_without_header_and_with_another_delimiter_is_read() {
    let options = CsvOptions { header: false, delimiter: b';' };
    let table = Csv::from_reader("1;2\n3;4\n".as_bytes(), &options).unwrap();
    assert!(table.names().is_empty());
    assert_eq!(table.columns::<u8>(0..2).unwrap().to_vec::<u8>().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn columns_are_found_by_name_if_there_is_one() {
    let table = read("a,b,a\n1,2,3").unwrap();
    assert_eq!(table.find("b").unwrap(), 1);
    let err = message(table.find("a"));
    assert_eq!(err, "<reader>: expected one column \"a\" in the header, found 2");
    let err = message(table.find("c"));
    assert_eq!(err, "<reader>: expected one column \"c\" in the header, found 0");
}

#[test]
fn a_cell_that_is_no_number_is_named_by_line_column_and_text() {
    let table = read("a,b\n1,2\n\n\n3,four\n").unwrap();
    let err = message(table.column::<f32>(1));
    assert_eq!(err, "<reader>:5: column 1 \"b\": expected a finite f32, found \"four\"");
    assert!(table.column::<f32>(0).is_ok());
    let long = read(&format!("a\n{}", "é".repeat(1000))).unwrap();
    assert_eq!(message(long.column::<f32>(0)).matches('é').count(), 40);
    let no_header = CsvOptions { header: false, ..CsvOptions::default() };
    let table = Csv::from_reader("1,2\n3,\n".as_bytes(), &no_header).unwrap();
    let err = message(table.columns::<f64>(0..2));
    assert_eq!(err, "<reader>:2: column 1: expected a finite f64, found \"\"");
}

#[test]
fn labels_outside_the_type_are_refused() {
    let table = read("y\n9223372036854775808").unwrap();
    let err = message(table.column::<i64>(0));
    assert_eq!(err, "<reader>:2: column 0 \"y\": expected an i64, found \"9223372036854775808\"");
    assert!(message(read("y\n0.5").unwrap().column::<i64>(0)).contains("found \"0.5\""));
    assert!(message(read("y\nNaN").unwrap().column::<f64>(0)).contains("found \"NaN\""));
}

#[test]
fn ragged_rows_are_refused_with_their_line() {
    let err = message(read("a,b\n1,2\n3\n"));
    assert_eq!(err, "<reader>:3: expected 2 cells as in the first line, found 1");
    let err = message(read("a,b\n1,2,3\n"));
    assert_eq!(err, "<reader>:2: expected 2 cells as in the first line, found 3");
}

#[test]
fn lines_are_counted_over_empty_lines_quotes_and_both_line_ends() {
    let line = |text: &str| match read(text).and_then(|t| t.column::<f32>(0)) {
        Err(DataError::Cell { line, .. } | DataError::Ragged { line, .. }) => line,
        other => panic!("expected an error at a line, got {other:?}"),
    };
    assert_eq!(line("a\n1\nx"), 3);
    assert_eq!(line("a\r\n1\r\nx\r\n"), 3);
    assert_eq!(line("\u{feff}\n\na\r\n\r\n1\n\n\nx\n"), 8);
    assert_eq!(line("a\n\"1\n\"\n\"\nx\""), 4);
    assert_eq!(line("a,b\r\n\r\n1,2\r\n\r\n3\r\n"), 5);
    assert_eq!(line("a,b\n\n\n1\n"), 4);
}

#[test]
fn files_without_rows_are_refused() {
    for text in ["", "\n\n", "a,b", "a,b\n\n"] {
        assert_eq!(message(read(text)), "<reader>: expected rows of numbers, found none");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let bytes: &[u8] = b"a,b\n1,2\n3,\xff\n";
    let err = message(Csv::from_reader(bytes, &CsvOptions::default()));
    assert_eq!(err, "<reader>:3: column 1: expected utf-8 text, found other bytes");
}

#[test]
fn columns_past_the_end_or_in_reverse_are_refused() {
    let table = read("a,b\n1,2").unwrap();
    let err = message(table.columns::<f32>(1..3));
    assert_eq!(err, "<reader>: asked for columns 1..3, the table has 2");
    let (start, end) = (2, 1);
    assert!(table.columns::<f32>(start..end).is_err());
    assert!(table.column::<f32>(usize::MAX).is_err());
}

#[test]
fn a_missing_file_and_a_directory_are_errors_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.csv");
    let err = Csv::read(&missing, &CsvOptions::default()).unwrap_err();
    assert!(matches!(&err, DataError::Io { path, .. } if *path == missing), "{err}");
    let err = Csv::read(dir.path(), &CsvOptions::default()).unwrap_err();
    assert!(err.to_string().starts_with(&dir.path().display().to_string()), "{err}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), Just(b'1'), any::<u8>()], 0..60),
        header in any::<bool>(),
        delimiter in any::<u8>(),
    ) {
        if let Ok(table) = Csv::from_reader(&bytes[..], &CsvOptions { header, delimiter }) {
            let _ = table.columns::<f32>(0..table.width());
            let _ = table.columns::<i64>(0..table.width());
            prop_assert!(table.rows() > 0);
        }
    }

    #[test]
    fn numbers_come_back_as_written(rows in proptest::collection::vec(
        (any::<i64>(), -1e300f64..1e300, any::<f32>().prop_filter("finite", |x| x.is_finite())), 1..20)) {
        let mut text = String::from("i,d,s\n");
        for (i, d, s) in &rows {
            text.push_str(&format!("{i},{d:e},{s}\n"));
        }
        let table = read(&text).unwrap();
        let i = table.column::<i64>(0).unwrap().to_vec::<i64>().unwrap();
        let d = table.column::<f64>(1).unwrap().to_vec::<f64>().unwrap();
        let s = table.column::<f32>(2).unwrap().to_vec::<f32>().unwrap();
        prop_assert_eq!(rows.iter().map(|r| r.0).collect::<Vec<_>>(), i);
        prop_assert_eq!(rows.iter().map(|r| r.1).collect::<Vec<_>>(), d);
        prop_assert_eq!(rows.iter().map(|r| r.2).collect::<Vec<_>>(), s);
    }
}
