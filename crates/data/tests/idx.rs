//! IDX files: what is read, compressed or not, and what is said of damaged ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use pleach_data::{DataError, idx};
use pleach_tensor::{Element, Tensor};
use proptest::prelude::*;

fn file(code: u8, lengths: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, lengths.len() as u8];
    bytes.extend(lengths.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    idx::from_reader(bytes).unwrap_err().to_string()
}

/// Three images of 2×2 and their labels.
fn small() -> (Vec<u8>, Vec<u8>) {
    let pixels = [0, 51, 102, 255, 1, 2, 3, 4, 5, 6, 7, 8];
    (file(8, &[3, 2, 2], &pixels), file(8, &[3], &[7, 0, 9]))
}

#[test]
fn every_type_of_element_is_read() {
    fn check<T: Element>(code: u8, bytes: &[u8], want: [T; 2]) {
        let x = idx::from_reader(&file(code, &[1, 2], bytes)[..]).unwrap();
        assert_eq!(x, Tensor::new([1, 2], want.to_vec()).unwrap());
    }
    check(0x08, &[200, 1], [200u8, 1]);
    check(0x09, &[200, 1], [-56i32, 1]);
    check(0x0b, &[0xff, 0xfe, 1, 0], [-2i32, 256]);
    check(0x0c, &[0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0], [-1i32, 65536]);
    check(0x0d, &[0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], [1f32, -2.0]);
    let doubles = [1.5f64, -0.1].map(f64::to_be_bytes).concat();
    check(0x0e, &doubles, [1.5f64, -0.1]);
    let scalar = idx::from_reader(&file(8, &[], &[5])[..]).unwrap();
    assert_eq!(scalar.ty().to_string(), "u8[]");
    let empty = idx::from_reader(&file(8, &[0, 28, 28], &[])[..]).unwrap();
    assert_eq!(empty.ty().to_string(), "u8[0, 28, 28]");
}

#[test]
fn compression_is_seen_in_the_content_and_not_in_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = small();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (plain, packed) = (put("a.gz", &images), put("b", &gzip(&images)));
    let labels = put("c", &gzip(&labels));
    let a = idx::images(plain, &labels).unwrap();
    assert_eq!(a, idx::images(packed, &labels).unwrap());
    assert_eq!(a.names(), ["x", "y"]);
    let (x, y) = (a.get("x").unwrap(), a.get("y").unwrap());
    assert_eq!(x.ty().to_string(), "f32[3, 1, 2, 2]");
    assert_eq!(x.to_vec::<f32>().unwrap()[..4], [0.0, 0.2, 0.4, 1.0]);
    assert_eq!(y.to_vec::<i64>().unwrap(), [7, 0, 9]);
}

#[test]
fn a_folder_of_four_files_is_found_with_and_without_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = small();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("train-images-idx3-ubyte", &images);
    put("train-labels-idx1-ubyte.gz", &gzip(&labels));
    put("t10k-images-idx3-ubyte.gz", &gzip(&images));
    let missing = idx::mnist(folder.path()).unwrap_err().to_string();
    let want = "expected a file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, found none";
    assert!(missing.ends_with(want), "{missing}");
    put("t10k-labels-idx1-ubyte", &labels);
    let (train, test) = idx::mnist(folder.path()).unwrap();
    assert_eq!((train.len(), &train), (3, &test));
}

#[test]
fn files_that_end_early_or_late_are_refused_at_every_byte() {
    for (code, elements) in [(8u8, vec![9; 6]), (0x0d, vec![0; 24])] {
        let whole = file(code, &[2, 3], &elements);
        assert!(idx::from_reader(&whole[..]).is_ok());
        for end in 0..whole.len() {
            let said = idx::from_reader(&whole[..end]).unwrap_err();
            let typed = match said {
                DataError::IdxMagic { ref found, .. } => end < 4 && found.len() == end,
                DataError::IdxLength { part: "header", expected: 8, found, .. } => {
                    (4..12).contains(&end) && found == end - 4
                }
                DataError::IdxLength { part: "elements", expected, found, .. } => {
                    end >= 12 && (expected, found) == (elements.len(), end - 12)
                }
                _ => false,
            };
            assert!(typed, "{end}: {said}");
        }
        let longer = [&whole[..], &[0]].concat();
        let (n, more) = (elements.len(), elements.len() + 1);
        let want = format!("<reader>: expected {n} bytes of elements, found at least {more}");
        assert_eq!(message(&longer), want);
        let packed = gzip(&whole);
        for end in 2..packed.len() {
            let said = idx::from_reader(&packed[..end]).unwrap_err();
            assert!(matches!(said, DataError::Gzip { .. }), "{end}: {said}");
        }
        assert!(message(&gzip(&longer)).contains("found at least"));
        assert!(message(&gzip(&whole[..13])).contains("bytes of elements, found 1"));
    }
}

#[test]
fn damaged_compressed_data_are_refused() {
    let whole = file(8, &[4, 50], &[7; 200]);
    let packed = gzip(&whole);
    for at in 10..packed.len() {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x10;
        assert!(idx::from_reader(&damaged[..]).is_err(), "byte {at} is not looked at");
    }
    let trailing = [&packed[..], b"garbage after it"].concat();
    assert!(matches!(idx::from_reader(&trailing[..]), Err(DataError::Gzip { .. })));
    // Two members of one file are its two halves.
    let halves = [gzip(&whole[..100]), gzip(&whole[100..])].concat();
    assert_eq!(idx::from_reader(&halves[..]).unwrap(), idx::from_reader(&whole[..]).unwrap());
}

#[test]
fn sizes_that_are_absurd_cost_no_memory() {
    let huge = u32::MAX;
    let said = message(&file(8, &[huge; 3], &[]));
    let want = "the header says 4294967295 x 4294967295 x 4294967295, more than memory can hold";
    assert_eq!(said, format!("<reader>: {want}"));
    assert!(matches!(
        idx::from_reader(&file(0x0e, &[huge, huge], &[])[..]),
        Err(DataError::IdxSize { .. } | DataError::IdxLength { .. })
    ));
    // 1 PiB, of which 3 bytes are there.
    let said = message(&file(8, &[1 << 30, 1 << 20], &[1, 2, 3]));
    assert!(said.ends_with("bytes of elements, found 3"), "{said}");
    // 255 axes, most of them not there.
    assert!(message(&[0, 0, 8, 255, 0, 0]).contains("expected 1020 bytes of header, found 2"));
    // A length of 0 does not hide what the others multiply to.
    assert!(idx::from_reader(&file(8, &[0, huge, huge, huge], &[])[..]).is_err());
}

#[test]
fn other_files_are_refused_with_their_first_bytes() {
    for bytes in [&b"\x89PNG\r\n"[..], &[0, 0, 7, 1], &[0, 1, 8, 1], &[1, 0, 8, 1, 0], b"", b"\0"] {
        let said = idx::from_reader(bytes).unwrap_err();
        assert!(matches!(said, DataError::IdxMagic { .. }), "{said}");
    }
    let want = "<reader>: expected an IDX file, which begins 00 00, element type, number of axes; found [89, 50, 4e, 47]";
    assert_eq!(message(b"\x89PNG\r\n"), want);
    assert!(matches!(idx::from_reader(&gzip(b"text")[..]), Err(DataError::IdxMagic { .. })));
    let none = idx::read("no such file").unwrap_err().to_string();
    assert!(none.starts_with("no such file: cannot read"), "{none}");
}

#[test]
fn images_and_labels_must_be_images_and_labels_of_one_number() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: Vec<u8>| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (images, labels) = small();
    let (images, labels) = (put("images", images), put("labels", labels));
    let fewer = put("fewer", file(8, &[2], &[1, 2]));
    let wide = put("wide", file(0x0c, &[3], &[0; 12]));
    let said = |x: &Path, y: &Path| idx::images(x, y).unwrap_err().to_string();
    let counts = format!("{}: 3 images, but {}: 2 labels", images.display(), fewer.display());
    assert_eq!(said(&images, &fewer), counts);
    assert!(said(&labels, &labels).ends_with("expected images u8[n, h, w], found u8[3]"));
    assert!(said(&images, &images).ends_with("expected labels u8[n], found u8[3, 2, 2]"));
    assert!(said(&images, &wide).ends_with("expected labels u8[n], found i32[3]"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), head in any::<bool>()) {
        let mut bytes = bytes;
        if head && bytes.len() > 4 {
            bytes[..2].fill(0);
            bytes[2] = [8, 9, 11, 12, 13, 14][usize::from(bytes[2] % 6)];
            bytes[3] %= 4;
        }
        if let Ok(x) = idx::from_reader(&bytes[..]) {
            prop_assert!(x.numel() <= 64);
        }
        let _ = idx::from_reader(&gzip(&bytes)[..]);
        let _ = idx::from_reader(&[&[0x1f, 0x8b], &bytes[..]].concat()[..]);
    }
}
