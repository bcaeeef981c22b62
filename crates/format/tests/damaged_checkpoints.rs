//! Checkpoints that are cut, changed or made to deceive: an error, never a panic and never other
//! values.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use pleach_format::Checkpoint;
use pleach_ops::Kind;
use pleach_tensor::Tensor;
use proptest::prelude::*;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let w = Tensor::new([2, 2], vec![0.5f32, -0.0, f32::NAN, 2.0]).unwrap();
    let variables = vec![
        ("w".into(), Kind::Param, w),
        ("m".into(), Kind::Slot, Tensor::new([4], vec![1i32, 2, 3, 4]).unwrap()),
        ("on".into(), Kind::Buffer, Tensor::new([3], vec![true, false, true]).unwrap()),
    ];
    let checkpoint = Checkpoint { seed: 7, variables, ..Checkpoint::default() };
    checkpoint.with("data", &(3, 17)).unwrap().to_bytes().unwrap()
});

/// Refused, or exactly what was written. Was it refused?
fn refused(bytes: &[u8]) -> bool {
    match Checkpoint::from_bytes(bytes) {
        Err(error) => !error.to_string().is_empty(),
        Ok(read) => {
            assert_eq!(read.to_bytes().unwrap(), *BYTES, "other values were loaded");
            false
        }
    }
}

#[test]
fn a_checkpoint_cut_at_any_byte_or_longer_is_refused() {
    assert!(!refused(&BYTES));
    for end in 0..BYTES.len() {
        assert!(refused(&BYTES[..end]), "cut at {end}");
    }
    assert!(refused(&[&BYTES[..], &[0]].concat()), "one byte more");
}

#[test]
fn a_checkpoint_with_any_byte_changed_to_any_other_is_refused_or_means_the_same() {
    let header = u64::from_le_bytes(BYTES[..8].try_into().unwrap()) as usize;
    let mut same = 0;
    for at in 0..BYTES.len() {
        let mut changed = BYTES.clone();
        for byte in (0..=255).filter(|byte| *byte != BYTES[at]) {
            changed[at] = byte;
            if !refused(&changed) {
                // White space after the header.
                assert!((8..8 + header).contains(&at) && b" \t\n\r".contains(&byte), "{at} {byte}");
                same += 1;
            }
        }
    }
    assert!(same <= 3 * 8, "{same}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_checkpoint_changed_in_many_places_is_refused_or_means_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = BYTES.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        refused(&bytes);
    }

    #[test]
    fn a_checkpoint_with_parts_removed_repeated_or_exchanged_is_refused_or_means_the_same(
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 3),
        kind in 0..3,
    ) {
        cuts.sort_by_key(|cut| cut.index(BYTES.len()));
        let [a, b, c] = [0, 1, 2].map(|i| cuts[i].index(BYTES.len()));
        let (head, first, second, tail) = (&BYTES[..a], &BYTES[a..b], &BYTES[b..c], &BYTES[c..]);
        let bytes = match kind {
            0 => [head, second, tail].concat(),
            1 => [head, first, first, second, tail].concat(),
            _ => [head, second, first, tail].concat(),
        };
        refused(&bytes);
    }

    #[test]
    fn a_number_of_the_header_that_lies_is_refused_or_means_the_same(
        number in any::<prop::sample::Index>(),
        value in prop_oneof![Just(u64::MAX), Just(1 << 63), Just(1 << 40), any::<u64>(), 0..64u64],
    ) {
        let header = 8 + u64::from_le_bytes(BYTES[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(BYTES[8..header].to_vec()).unwrap();
        let starts = text.char_indices().filter(|(at, c)| {
            c.is_ascii_digit() && !text[..*at].ends_with(|c: char| c.is_ascii_digit())
        });
        let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
        let start = starts[number.index(starts.len())];
        let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        let text = format!("{}{value}{}", &text[..start], &text[start + digits..]);
        let length = (text.len() as u64).to_le_bytes();
        refused(&[&length[..], text.as_bytes(), &BYTES[header..]].concat());
    }
}
