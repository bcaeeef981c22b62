//! Files that are cut, changed, or made to deceive: an error or other tensors, never a panic.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use pleach_format::FormatError;
use pleach_format::safetensors::{from_bytes, to_bytes};
use pleach_tensor::Tensor;
use safetensors::SafeTensors;

fn small() -> Vec<u8> {
    let metadata = BTreeMap::from([("a".to_string(), "b".to_string())]);
    let tensors = [
        ("w", Tensor::new([2, 2], vec![1.5f32, -0.0, f32::NAN, 2.0]).unwrap()),
        ("n", Tensor::new([1, 2], vec![-1i64, 1]).unwrap()),
        ("on", Tensor::new([3], vec![true, false, true]).unwrap()),
        ("none", Tensor::new::<f64>([0, 3], vec![]).unwrap()),
    ];
    to_bytes(tensors.iter().map(|(name, tensor)| (*name, tensor)), &metadata).unwrap()
}

/// A file of this header and these bytes.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn message(header: &str, data: &[u8]) -> String {
    let bytes = file(header, data);
    from_bytes(&bytes).map(|c| format!("{c:?}")).unwrap_or_else(|e| e.to_string())
}

/// Reads, and where that succeeds, the library must succeed with the same tensors.
fn read(bytes: &[u8]) -> bool {
    let Ok(contents) = from_bytes(bytes) else { return false };
    let library = SafeTensors::deserialize(bytes).expect("what is read here, the library reads");
    assert_eq!(library.len(), contents.tensors.len());
    for (name, tensor) in &contents.tensors {
        let view = library.tensor(name).unwrap();
        assert_eq!((view.shape(), view.data().len()), (&tensor.shape()[..], tensor.ty().bytes()));
        assert!(!format!("{tensor:?}").is_empty());
    }
    true
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let bytes = small();
    assert!(read(&bytes));
    for end in 0..bytes.len() {
        assert!(!read(&bytes[..end]), "cut at {end}");
    }
    assert!(!read(&[&bytes[..], &[0]].concat()), "one byte more");
}

#[test]
fn a_file_with_any_byte_changed_to_any_other_gives_tensors_or_an_error() {
    let bytes = small();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        for byte in 0..=255 {
            changed[at] = byte;
            refused += usize::from(!read(&changed));
        }
    }
    assert!(refused > 50_000, "{refused}");
}

#[test]
fn every_length_at_every_extreme_gives_tensors_or_an_error() {
    let extremes = [0, 1, 1 << 31, 1 << 40, 1 << 63, u64::MAX];
    let bytes = small();
    for length in extremes {
        let mut changed = bytes.clone();
        changed[..8].copy_from_slice(&length.to_le_bytes());
        assert!(!read(&changed), "header of {length}");
    }
    // Every number of the header, alone and with each of the others.
    let number = ["2", "3", "0", "24"].map(str::to_string);
    let header = |n: &[String]| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[{},{}],"data_offsets":[{},{}]}}}}"#,
            n[0], n[1], n[2], n[3]
        )
    };
    assert!(read(&file(&header(&number), &[0; 24])));
    for i in 0..4 {
        for j in i..4 {
            for a in extremes {
                for b in extremes {
                    let mut changed = number.clone();
                    changed[i] = a.to_string();
                    changed[j] = b.to_string();
                    read(&file(&header(&changed), &[0; 24]));
                    read(&file(&header(&changed), &[]));
                }
            }
        }
    }
}

#[test]
fn lengths_beyond_the_file_are_refused_with_both_facts() {
    let mut bytes = small();
    let after = bytes.len() as u64 - 8;
    bytes[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    let err = from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(
        err,
        format!("header of 9223372036854775808 bytes is longer than the {after} it can have")
    );
    assert_eq!(from_bytes(&[0; 7]).unwrap_err().to_string(), "expected at least 8 bytes, found 7");
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert_eq!(
        message(header, &[0; 4]),
        "expected 8 bytes of tensors as the header states, found 4"
    );
}

#[test]
fn other_element_types_are_refused_by_tensor_and_type() {
    for dtype in ["F8_E4M3", "U16", "I8", "U64", "C64", "F128", "f32", ""] {
        let header =
            format!(r#"{{"layer.w":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,2]}}}}"#);
        assert_eq!(
            message(&header, &[0; 2]),
            format!(
                "tensor \"layer.w\": {dtype} is none of F32, F64, F16, BF16, I32, I64, U8, BOOL"
            )
        );
    }
}

#[test]
fn bytes_that_are_no_boolean_are_refused() {
    let header = r#"{"on":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#;
    assert_eq!(message(header, &[0, 1, 2]), "tensor \"on\": element 2 is byte 2, expected 0 or 1");
}

#[test]
fn overlaps_gaps_and_wrong_sizes_are_refused() {
    let entry = |shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"U8","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let two = |a: String, b: String| message(&format!(r#"{{"a":{a},"b":{b}}}"#), &[0; 4]);
    let fits = two(entry("[2]", 2, 4), entry("[2]", 0, 2));
    assert!(fits.contains("u8[2]"), "{fits}");
    let wanted = "tensor \"b\": expected bytes 2 to 4, the header states ";
    assert_eq!(two(entry("[2]", 0, 2), entry("[2]", 1, 3)), format!("{wanted}(1, 3)"));
    assert_eq!(two(entry("[2]", 0, 2), entry("[2]", 3, 5)), format!("{wanted}(3, 5)"));
    assert_eq!(two(entry("[2]", 0, 2), entry("[2]", 2, 5)), format!("{wanted}(2, 5)"));
    assert_eq!(two(entry("[2]", 0, 2), entry("[2]", 4, 2)), format!("{wanted}(4, 2)"));
}

#[test]
fn shapes_larger_than_any_memory_are_refused() {
    for shape in ["[1099511627776,1099511627776]", "[1099511627776,1099511627776,0]"] {
        let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
        assert!(message(&header, &[]).ends_with("more bytes than a machine can address"));
    }
    let axes = vec!["0"; 1_000_000].join(",");
    let header = format!(r#"{{"a":{{"dtype":"F32","shape":[{axes}],"data_offsets":[0,0]}}}}"#);
    assert!(message(&header, &[]).contains("at most 16 axes"));
}

#[test]
fn more_names_or_axes_than_any_model_has_are_neither_read_nor_written() {
    let entry = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let tensors: Vec<_> = (0..=65_536).map(|i| format!("\"{i}\":{entry}")).collect();
    let keys: Vec<_> = (0..=65_536).map(|i| format!("\"{i}\":\"\"")).collect();
    let read =
        |all: &[String], n: usize| from_bytes(&file(&format!("{{{}}}", all[..n].join(",")), &[]));
    assert_eq!(read(&tensors, 65_536).unwrap().tensors.len(), 65_536);
    let err = read(&tensors, 65_537).unwrap_err().to_string();
    assert!(err.starts_with("header: more than 65536 names"), "{err}");
    let err = message(&format!(r#"{{"__metadata__":{{{}}}}}"#, keys.join(",")), &[]);
    assert!(err.starts_with("header: more than 65536 names"), "{err}");

    let x = Tensor::new([1; 16], vec![1u8]).unwrap();
    let bytes = to_bytes([("x", &x)], &BTreeMap::new()).unwrap();
    assert_eq!(from_bytes(&bytes).unwrap().tensors["x"], x);
    let err = to_bytes([("x", &x.reshape([1; 17]).unwrap())], &BTreeMap::new()).unwrap_err();
    assert_eq!(err.to_string(), "17 axes of a tensor, at most 16 can be written");
    let many = (0..=65_536).map(|i| (i.to_string(), &x));
    let err = to_bytes(many, &BTreeMap::new()).unwrap_err();
    assert_eq!(err.to_string(), "65537 tensors, at most 65536 can be written");
}

#[test]
fn names_given_twice_are_refused() {
    let entry = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let twice = "the name \"a\" is given twice";
    assert_eq!(message(&format!(r#"{{"a":{entry},"a":{entry}}}"#), &[]), twice);
    // The same name by an escape.
    assert_eq!(message(&format!(r#"{{"a":{entry},"\u0061":{entry}}}"#), &[]), twice);
    assert_eq!(message(r#"{"__metadata__":{"a":"1","a":"2"}}"#, &[]), twice);
    let err = message(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]);
    assert!(err.contains("duplicate field"), "{err}");
}

#[test]
fn headers_that_are_not_of_the_format_are_refused() {
    assert_eq!(message("", &[]), "header: expected it to begin with {");
    assert_eq!(message(" {}", &[]), "header: expected it to begin with {");
    let deep = format!(r#"{{"a":{}"#, r#"{"dtype":"#.repeat(100_000));
    for header in [
        "{",
        "{}x",
        r#"{"a":1}"#,
        r#"{"a":{"dtype":"U8","shape":[0]}}"#,
        r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}"#,
        r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}"#,
        r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}"#,
        r#"{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}"#,
        r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"device":"cuda"}}"#,
        r#"{"__metadata__":{"a":1}}"#,
        &deep,
    ] {
        let err = message(header, &[]);
        assert!(err.starts_with("header: "), "{header:.60}: {err}");
    }
    assert!(from_bytes(&file("{}", &[])).unwrap().tensors.is_empty());
    let bytes = [&3u64.to_le_bytes()[..], b"{\"\xff"].concat();
    assert!(matches!(from_bytes(&bytes), Err(FormatError::Header(_))));
}
