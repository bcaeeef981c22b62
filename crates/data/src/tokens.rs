//! A text as numbers, cut into inputs and targets: windows in any order, or streams in theirs.

use std::iter::FusedIterator;
use std::sync::Arc;

use pleach_tensor::Tensor;

use crate::batches::Rows;
use crate::{Batches, DataError, Order};

/// A text as numbers, of which a model learns to predict the next one.
///
/// Inputs and targets are `x: i64[batch, length]` and `y: i64[batch, length]` with `y[b, t]` the
/// number that follows `x[b, t]` in the text. Cloning and splitting share the numbers.
///
/// | for | item | what one batch is to the next |
/// |---|---|---|
/// | models that see a window alone | [`Tokens::windows`] | nothing: shuffled |
/// | recurrent models that carry their state on | [`Tokens::streams`] | its continuation, row by row |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    codes: Arc<[i64]>,
    start: usize,
    end: usize,
}

impl Tokens {
    /// A text of these numbers, as [`Vocabulary::encode`](crate::Vocabulary::encode) makes it.
    pub fn new(codes: impl Into<Arc<[i64]>>) -> Tokens {
        let codes = codes.into();
        let end = codes.len();
        Tokens { codes, start: 0, end }
    }

    /// The numbers.
    pub fn codes(&self) -> &[i64] {
        &self.codes[self.start..self.end]
    }

    /// Length of the text.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Is the text empty?
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The text without its last `held_out` numbers, and these: for training and validation.
    ///
    /// # Errors
    /// [`DataError::TooShort`] if the text is shorter than that.
    pub fn split(&self, held_out: usize) -> Result<(Tokens, Tokens), DataError> {
        self.require("a split", held_out)?;
        let at = self.end - held_out;
        Ok((Tokens { end: at, ..self.clone() }, Tokens { start: at, ..self.clone() }))
    }

    /// All windows of `length` numbers that begin at a multiple of `stride` and have a successor.
    ///
    /// With `stride` = `length` every number but the last few is a target once; with `stride` = 1
    /// every window of the text is there.
    ///
    /// ```
    /// use pleach_data::{Order, Tokens};
    /// let windows = Tokens::new([0, 1, 2, 3, 4, 5]).windows(2, 2)?;
    /// let batch = windows.batches(2, Order::Sequential)?.next().unwrap();
    /// assert_eq!(batch[0].to_i64s(), [0, 1, 2, 3]);
    /// assert_eq!(batch[1].to_i64s(), [1, 2, 3, 4]);
    /// # Ok::<(), pleach_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Zero`]; [`DataError::TooShort`] if there is no window.
    pub fn windows(&self, length: usize, stride: usize) -> Result<Windows, DataError> {
        nonzero("a window", length)?;
        nonzero("a stride", stride)?;
        self.require("a window with its targets", length.saturating_add(1))?;
        Ok(Windows { tokens: self.clone(), length, stride })
    }

    /// The text cut into `batch` streams of equal length, read side by side in steps of `length`:
    /// row `b` of a step continues row `b` of the step before. For truncated back-propagation with
    /// carried state; the state begins anew with each pass.
    ///
    /// What is left of the text when it is cut evenly is not used: fewer than
    /// `batch · (length + 1)` numbers.
    ///
    /// ```
    /// use pleach_data::Tokens;
    /// let text = Tokens::new([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    /// let steps: Vec<_> = text.streams(2, 2)?.map(|step| step[0].to_i64s()).collect();
    /// assert_eq!(steps, [[0, 1, 4, 5], [2, 3, 6, 7]]);
    /// # Ok::<(), pleach_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::BatchSize`]; [`DataError::Zero`]; [`DataError::TooShort`] if there is no step.
    pub fn streams(&self, length: usize, batch: usize) -> Result<Streams<'_>, DataError> {
        nonzero("a window", length)?;
        if batch == 0 {
            return Err(DataError::BatchSize);
        }
        self.require("a step of every stream", batch.saturating_mul(length).saturating_add(1))?;
        let stream = (self.len() - 1) / batch;
        Ok(Streams { tokens: self, length, batch, stream, next: 0 })
    }

    fn require(&self, action: &'static str, needed: usize) -> Result<(), DataError> {
        let len = self.len();
        if len < needed { Err(DataError::TooShort { action, needed, len }) } else { Ok(()) }
    }

    /// Inputs and targets of the windows that begin at `starts`.
    fn pairs(&self, starts: impl Iterator<Item = usize>, length: usize) -> [Vec<i64>; 2] {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for start in starts {
            x.extend_from_slice(&self.codes()[start..start + length]);
            y.extend_from_slice(&self.codes()[start + 1..=start + length]);
        }
        [x, y]
    }
}

fn nonzero(what: &'static str, n: usize) -> Result<(), DataError> {
    if n == 0 { Err(DataError::Zero(what)) } else { Ok(()) }
}

/// The windows of a text, from [`Tokens::windows`].
#[derive(Clone, Debug)]
pub struct Windows {
    tokens: Tokens,
    length: usize,
    stride: usize,
}

impl Windows {
    /// Number of windows, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "there is at least one window")]
    pub fn len(&self) -> usize {
        (self.tokens.len() - self.length - 1) / self.stride + 1
    }

    /// The windows in batches of `size`: `[x, y]`, each `i64[size, length]`. The last batch is
    /// shorter if `size` does not divide the number of windows, see [`Batches::drop_last`].
    ///
    /// # Errors
    /// [`DataError::BatchSize`] if `size` is 0.
    pub fn batches(&self, size: usize, order: Order) -> Result<Batches<'_>, DataError> {
        Batches::new(self, size, order)
    }
}

impl Rows for Windows {
    fn rows(&self) -> usize {
        self.len()
    }

    fn gather(&self, rows: &[usize]) -> Result<Vec<Tensor>, DataError> {
        let starts = rows.iter().map(|row| row * self.stride);
        tensors(self.tokens.pairs(starts, self.length), rows.len(), self.length)
    }
}

fn tensors(pair: [Vec<i64>; 2], rows: usize, length: usize) -> Result<Vec<Tensor>, DataError> {
    pair.into_iter().map(|codes| Ok(Tensor::new([rows, length], codes)?)).collect()
}

/// The steps of [`Tokens::streams`]: `[x, y]`, each `i64[batch, length]`.
#[derive(Clone, Debug)]
pub struct Streams<'d> {
    tokens: &'d Tokens,
    length: usize,
    batch: usize,
    /// Numbers of one stream that are inputs.
    stream: usize,
    next: usize,
}

impl Streams<'_> {
    /// Leaves out the next `n` steps, in constant time: to resume.
    #[must_use]
    pub fn skip_steps(mut self, n: usize) -> Self {
        self.next = self.next.saturating_add(n);
        self
    }

    /// Steps given out or skipped so far.
    pub fn position(&self) -> usize {
        self.next
    }
}

impl Iterator for Streams<'_> {
    type Item = Vec<Tensor>;

    fn next(&mut self) -> Option<Vec<Tensor>> {
        if self.len() == 0 {
            return None;
        }
        let (offset, stream) = (self.next * self.length, self.stream);
        self.next += 1;
        let starts = (0..self.batch).map(|row| row * stream + offset);
        let pair = self.tokens.pairs(starts, self.length);
        Some(tensors(pair, self.batch, self.length).expect("a part is no larger than the text"))
    }

    fn nth(&mut self, n: usize) -> Option<Vec<Tensor>> {
        self.next = self.next.saturating_add(n);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.stream / self.length).saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Streams<'_> {}
impl FusedIterator for Streams<'_> {}
