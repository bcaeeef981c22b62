//! Laws of vocabularies, windows and streams.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use pleach_data::{DataError, Order, Tokens, Vocabulary, read_texts};
use pleach_tensor::Tensor;
use proptest::prelude::*;

fn counting(len: usize) -> Tokens {
    Tokens::new((0..len as i64).collect::<Vec<_>>())
}

fn pair(batch: &[Tensor]) -> (Vec<i64>, Vec<i64>) {
    assert_eq!(batch.len(), 2);
    assert_eq!(batch[0].ty(), batch[1].ty());
    (batch[0].to_vec().unwrap(), batch[1].to_vec().unwrap())
}

#[test]
fn a_vocabulary_depends_on_the_set_of_symbols_alone() {
    assert_eq!(Vocabulary::characters("née"), Vocabulary::characters("eennné"));
    assert_eq!(Vocabulary::characters("née").len(), 3);
    assert_eq!(Vocabulary::bytes("née").len(), 4);
    assert!(Vocabulary::characters("").is_empty());
}

#[test]
fn what_a_vocabulary_lacks_is_named() {
    let letters = Vocabulary::characters("ab");
    let said = letters.encode("abba?").unwrap_err().to_string();
    assert_eq!(said, "text: symbol '?' at 4 is not in the vocabulary of 2");
    let said = letters.decode(&[0, -1]).unwrap_err().to_string();
    assert_eq!(said, "text: -1 at 1 stands for no symbol, the vocabulary has 2");
    assert!(letters.decode(&[i64::MAX]).is_err());
    let bytes = Vocabulary::bytes("é");
    assert_eq!(bytes.decode(&[0]).unwrap(), "\u{fffd}");
}

#[test]
fn texts_are_read_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    fs::write(&paths[0], "ab").unwrap();
    fs::write(&paths[1], "é").unwrap();
    assert_eq!(read_texts(&paths).unwrap(), "abé");
    fs::write(&paths[1], [0xff]).unwrap();
    let said = read_texts(&paths).unwrap_err();
    assert!(matches!(&said, DataError::Io { path, .. } if *path == paths[1]), "{said}");
}

#[test]
fn what_makes_no_window_is_refused() {
    let text = counting(5);
    let said = |result: Result<(), DataError>| result.unwrap_err().to_string();
    let windows = |length, stride| said(text.windows(length, stride).map(drop));
    let streams = |length, batch| said(text.streams(length, batch).map(drop));
    assert_eq!(windows(0, 1), "text: expected a window of at least 1, got 0");
    assert_eq!(windows(1, 0), "text: expected a stride of at least 1, got 0");
    let short = "text: a window with its targets needs at least 6 symbols, there are 5";
    assert_eq!(windows(5, 1), short);
    assert!(text.windows(usize::MAX, 1).is_err());
    assert_eq!(streams(0, 1), "text: expected a window of at least 1, got 0");
    assert_eq!(streams(1, 0), "batches: expected at least 1 row a batch, got 0");
    let short = "text: a step of every stream needs at least 7 symbols, there are 5";
    assert_eq!(streams(2, 3), short);
    assert!(text.streams(usize::MAX, usize::MAX).is_err());
    assert!(text.windows(4, 1).is_ok() && text.streams(2, 2).is_ok());
    let said = said(text.split(6).map(drop));
    assert_eq!(said, "text: a split needs at least 6 symbols, there are 5");
    assert!(text.windows(2, 1).unwrap().batches(0, Order::Sequential).is_err());
}

#[test]
fn the_order_of_a_fixed_seed_never_changes() {
    let windows = counting(10).windows(1, 1).unwrap();
    let order = Order::Shuffled { seed: 42, epoch: 3 };
    let batch = windows.batches(9, order).unwrap().next().unwrap();
    assert_eq!(pair(&batch).0, [6, 5, 2, 3, 1, 4, 8, 7, 0]);
}

proptest! {
    #[test]
    fn texts_come_back(text in "\\PC{0,40}", more in "\\PC{0,40}") {
        let all = format!("{text}{more}");
        for vocabulary in [Vocabulary::characters(&all), Vocabulary::bytes(&all)] {
            let tokens = vocabulary.encode(&text).unwrap();
            let size = vocabulary.len() as i64;
            prop_assert!(tokens.codes().iter().all(|code| (0..size).contains(code)));
            prop_assert_eq!(&vocabulary.decode(tokens.codes()).unwrap(), &text);
        }
    }

    #[test]
    fn a_split_is_the_text_in_two(len in 0usize..50, held in 0usize..50) {
        let text = counting(len);
        if let Ok((train, held_out)) = text.split(held) {
            prop_assert_eq!(held_out.len(), held);
            prop_assert_eq!([train.codes(), held_out.codes()].concat(), text.codes());
            prop_assert_eq!(held_out.is_empty(), held == 0);
        } else {
            prop_assert!(held > len);
        }
    }

    #[test]
    fn every_window_comes_once_with_its_successors(
        len in 2usize..80, length in 1usize..9, stride in 1usize..9, size in 1usize..7,
        held in 0usize..20, seed in any::<u64>(), epoch in any::<u64>(),
    ) {
        // Of a part that does not begin or end with the text.
        let (_, tokens) = counting(len + held + 3).split(len + held).unwrap();
        let (tokens, _) = tokens.split(held).unwrap();
        let first = tokens.codes()[0];
        let Ok(windows) = tokens.windows(length, stride) else {
            prop_assert!(len < length + 1);
            return Ok(());
        };
        let mut starts = Vec::new();
        for batch in windows.batches(size, Order::Shuffled { seed, epoch }).unwrap() {
            let (x, y) = pair(&batch);
            prop_assert!(batch[0].shape()[0] <= size && batch[0].shape()[1] == length);
            for (x, y) in x.chunks(length).zip(y.chunks(length)) {
                let follow: Vec<i64> = (x[0]..).take(length + 1).collect();
                prop_assert_eq!((x, y), (&follow[..length], &follow[1..]));
                prop_assert!(y[length - 1] < first + len as i64);
                starts.push(x[0] - first);
            }
        }
        starts.sort_unstable();
        let want: Vec<i64> = (0..len - length).step_by(stride).map(|i| i as i64).collect();
        prop_assert_eq!(windows.len(), want.len());
        prop_assert_eq!(starts, want);
    }

    #[test]
    fn streams_continue_row_by_row_and_leave_little_out(
        len in 2usize..200, length in 1usize..9, batch in 1usize..9, done in 0usize..9,
    ) {
        let tokens = counting(len);
        let Ok(streams) = tokens.streams(length, batch) else {
            prop_assert!(len < length * batch + 1);
            return Ok(());
        };
        let mut rows = vec![Vec::new(); batch];
        let steps = streams.len();
        prop_assert!(steps > 0);
        for step in streams.clone() {
            let (x, y) = pair(&step);
            prop_assert_eq!(step[0].shape(), &[batch, length].into());
            prop_assert!(x.iter().zip(&y).all(|(x, y)| x + 1 == *y && *y < len as i64));
            for (row, x) in rows.iter_mut().zip(x.chunks(length)) {
                row.extend_from_slice(x);
            }
        }
        let all: Vec<i64> = rows.concat();
        for row in &rows {
            prop_assert!(row.len() == steps * length && row.windows(2).all(|w| w[0] + 1 == w[1]));
        }
        let distinct: std::collections::BTreeSet<i64> = all.iter().copied().collect();
        prop_assert_eq!(distinct.len(), all.len());
        prop_assert!(len - all.len() < batch * (length + 1));
        let rest = streams.clone().skip_steps(done);
        prop_assert_eq!(rest.position(), done);
        let resumed: Vec<Vec<Tensor>> = rest.collect();
        prop_assert_eq!(resumed, streams.skip(done).collect::<Vec<_>>());
    }
}
