//! Rows held back: by rule, at random, by folds, with balanced classes.

use std::collections::BTreeMap;

use pleach_tensor::Key;

use crate::{DataError, Dataset};

impl Dataset {
    /// The rows for which `first` holds, and the others; both in the order of the data.
    ///
    /// ```
    /// # use pleach_data::Dataset;
    /// # use pleach_tensor::Tensor;
    /// # let data = Dataset::new([("y", Tensor::new([10], vec![0i64; 10])?)])?;
    /// let (test, train) = data.split_by(|i| i % 5 == 0);
    /// assert_eq!((test.len(), train.len()), (2, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split_by(&self, first: impl FnMut(usize) -> bool) -> (Dataset, Dataset) {
        let (a, b): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(with_ref(first));
        (self.pick(&a), self.pick(&b))
    }

    /// `round(fraction · len)` rows chosen at random, and the others; both in the order of the
    /// data. A pure function of `seed`.
    ///
    /// # Errors
    /// [`DataError::Fraction`] unless `0 <= fraction <= 1`.
    pub fn split_random(&self, fraction: f64, seed: u64) -> Result<(Dataset, Dataset), DataError> {
        let count = self.share(fraction)?;
        let order = key(seed).permutation(self.len());
        Ok(self.divide(order.into_iter().take(count)))
    }

    /// As [`Dataset::split_random`], with every class of the labels `i64[n]` named `labels` in
    /// proportion: of a class of `c` rows, `fraction · c` come first, rounded up or down.
    ///
    /// # Errors
    /// [`DataError::Fraction`], [`DataError::UnknownName`], [`DataError::Labels`].
    pub fn split_stratified(
        &self,
        fraction: f64,
        seed: u64,
        labels: &str,
    ) -> Result<(Dataset, Dataset), DataError> {
        let (count, len) = (self.share(fraction)? as u128, self.len() as u128);
        let order = self.by_class(seed, labels)?;
        // Evenly spaced over rows sorted by class, so within 1 of the exact share in every class.
        let chosen = |&(i, _): &(usize, usize)| {
            let i = i as u128;
            (i + 1) * count / len > i * count / len
        };
        Ok(self.divide(order.into_iter().enumerate().filter(chosen).map(|(_, row)| row)))
    }

    /// `k` pairs of data: all rows but a fold, and the fold. The folds are random, disjoint, cover
    /// the data, and differ by at most 1 in length. A pure function of `seed`; each pair is made
    /// when it is asked for.
    ///
    /// # Errors
    /// [`DataError::FoldCount`] unless `2 <= k <= len`.
    pub fn k_folds(&self, k: usize, seed: u64) -> Result<Folds<'_>, DataError> {
        self.folds(k, key(seed).permutation(self.len()))
    }

    /// As [`Dataset::k_folds`], with the counts of every class of the labels `i64[n]` named
    /// `labels` differing by at most 1 between the folds.
    ///
    /// # Errors
    /// [`DataError::FoldCount`], [`DataError::UnknownName`], [`DataError::Labels`].
    pub fn k_folds_stratified(
        &self,
        k: usize,
        seed: u64,
        labels: &str,
    ) -> Result<Folds<'_>, DataError> {
        self.folds(k, self.by_class(seed, labels)?)
    }

    fn folds(&self, k: usize, order: Vec<usize>) -> Result<Folds<'_>, DataError> {
        let len = self.len();
        if k < 2 || k > len {
            return Err(DataError::FoldCount { k, len });
        }
        let mut fold_of = vec![0; len];
        for (i, row) in order.into_iter().enumerate() {
            fold_of[row] = i % k;
        }
        Ok(Folds { data: self, fold_of, k, next: 0 })
    }

    /// All rows, shuffled, then sorted by class.
    fn by_class(&self, seed: u64, name: &str) -> Result<Vec<usize>, DataError> {
        let tensor = self.get(name)?;
        let labels = tensor.as_slice::<i64>().ok().filter(|_| tensor.shape().rank() == 1);
        let labels = labels.ok_or_else(|| DataError::Labels {
            name: name.to_string(),
            got: tensor.dtype(),
            shape: tensor.shape().clone(),
        })?;
        let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for row in key(seed).permutation(self.len()) {
            classes.entry(labels[row]).or_default().push(row);
        }
        Ok(classes.into_values().flatten().collect())
    }

    fn share(&self, fraction: f64) -> Result<usize, DataError> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(DataError::Fraction(fraction));
        }
        Ok(((self.len() as f64 * fraction).round() as usize).min(self.len()))
    }

    fn divide(&self, first: impl Iterator<Item = usize>) -> (Dataset, Dataset) {
        let mut chosen = vec![false; self.len()];
        for row in first {
            chosen[row] = true;
        }
        self.split_by(|i| chosen[i])
    }

    /// Distinct rows of this data.
    fn pick(&self, rows: &[usize]) -> Dataset {
        self.select(rows).expect("the rows are those of the data, none twice")
    }
}

/// Splits draw from another part of the stream than batches of the same seed.
fn key(seed: u64) -> Key {
    Key(seed).fold_str("pleach.data.split")
}

fn with_ref(mut f: impl FnMut(usize) -> bool) -> impl FnMut(&usize) -> bool {
    move |&i| f(i)
}

/// The pairs (all but the fold, the fold) of [`Dataset::k_folds`].
#[derive(Clone, Debug)]
pub struct Folds<'d> {
    data: &'d Dataset,
    fold_of: Vec<usize>,
    k: usize,
    next: usize,
}

impl Iterator for Folds<'_> {
    type Item = (Dataset, Dataset);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.k {
            return None;
        }
        let fold = self.next;
        self.next += 1;
        Some(self.data.split_by(|i| self.fold_of[i] != fold))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.k - self.next, Some(self.k - self.next))
    }
}

impl ExactSizeIterator for Folds<'_> {}
