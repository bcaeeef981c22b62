//! Batches of rows.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

use pleach_tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset};

/// What batches are made of.
pub(crate) trait Rows: fmt::Debug {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// These rows, in this order; each is below [`Rows::rows`].
    fn gather(&self, rows: &[usize]) -> Result<Vec<Tensor>, DataError>;
}

impl Rows for Dataset {
    fn rows(&self) -> usize {
        self.len()
    }

    fn gather(&self, rows: &[usize]) -> Result<Vec<Tensor>, DataError> {
        self.take(rows)
    }
}

/// The order in which rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// That of the data.
    Sequential,
    /// A permutation, a pure function of both numbers: every epoch has its own, and asking again
    /// gives it again.
    Shuffled {
        /// Of the run.
        seed: u64,
        /// Pass over the data, from 0.
        epoch: u64,
    },
}

impl Dataset {
    /// The rows in batches of `size`: of each, the tensors in the order of the data, `[size, …]`.
    ///
    /// The last batch is shorter if `size` does not divide the number of rows; see
    /// [`Batches::drop_last`]. To resume within an epoch, [`Batches::skip_batches`].
    ///
    /// ```
    /// # use pleach_data::{Dataset, Order};
    /// # use pleach_tensor::Tensor;
    /// let data = Dataset::new([("y", Tensor::new([5], vec![0i64, 1, 2, 3, 4])?)])?;
    /// let batches = data.batches(2, Order::Sequential)?.skip_batches(1);
    /// let ys: Vec<Vec<i64>> = batches.map(|batch| batch[0].to_i64s()).collect();
    /// assert_eq!(ys, [vec![2, 3], vec![4]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::BatchSize`] if `size` is 0.
    pub fn batches(&self, size: usize, order: Order) -> Result<Batches<'_>, DataError> {
        Batches::new(self, size, order)
    }
}

/// The batches of one pass over the data, from [`Dataset::batches`] or
/// [`Windows::batches`](crate::Windows::batches).
#[derive(Clone, Debug)]
pub struct Batches<'d> {
    data: &'d dyn Rows,
    /// The permutation; `None` is the order of the data.
    order: Option<Vec<usize>>,
    size: usize,
    next: usize,
    count: usize,
}

impl<'d> Batches<'d> {
    pub(crate) fn new(
        data: &'d dyn Rows,
        size: usize,
        order: Order,
    ) -> Result<Batches<'d>, DataError> {
        if size == 0 {
            return Err(DataError::BatchSize);
        }
        let order = match order {
            Order::Sequential => None,
            Order::Shuffled { seed, epoch } => {
                let key = Key(seed).fold_str("pleach.data.batches").fold(epoch);
                Some(key.permutation(data.rows()))
            }
        };
        Ok(Batches { data, order, size, next: 0, count: data.rows().div_ceil(size) })
    }

    fn batch(&self, range: Range<usize>) -> Result<Vec<Tensor>, DataError> {
        match &self.order {
            Some(order) => self.data.gather(&order[range]),
            None => self.data.gather(&range.collect::<Vec<_>>()),
        }
    }

    /// Leaves out a last batch of fewer than `size` rows: all shapes are equal. If the data has
    /// fewer than `size` rows, no batch is left.
    #[must_use]
    pub fn drop_last(mut self) -> Self {
        self.count = self.data.rows() / self.size;
        self
    }

    /// Leaves out the next `n` batches, in constant time.
    #[must_use]
    pub fn skip_batches(mut self, n: usize) -> Self {
        self.next = self.next.saturating_add(n);
        self
    }

    /// Batches given out or skipped so far: what [`Batches::skip_batches`] needs to resume.
    pub fn position(&self) -> usize {
        self.next
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<Tensor>;

    fn next(&mut self) -> Option<Vec<Tensor>> {
        if self.next >= self.count {
            return None;
        }
        let start = self.next * self.size;
        let end = start.saturating_add(self.size).min(self.data.rows());
        self.next += 1;
        Some(self.batch(start..end).expect("a part of the data is no larger than the data"))
    }

    fn nth(&mut self, n: usize) -> Option<Vec<Tensor>> {
        self.next = self.next.saturating_add(n);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
impl FusedIterator for Batches<'_> {}
