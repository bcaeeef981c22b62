//! Cross-validation: a score for every fold.

use crate::{Score, TuneError};

/// Calls `score(i, fold)` for every fold in turn, and gives the scores with their mean; see
/// [`Score::deviation`] for how far they lie apart.
///
/// `folds` are whatever a fold is: pairs of training and validation data, plain or stratified, as
/// `pleach::data` makes them, or ranges of rows. The mean is NaN if a fold's score is. The first
/// fold that fails ends it.
///
/// # Errors
/// That of a fold; [`TuneError::Folds`] for fewer than 2 folds. (More folds than rows are refused
/// where the folds are made.)
///
/// ```
/// use pleach_tune::{TuneError, cross_validate};
/// let rows = [1.0, 2.0, 3.0, 4.0];
/// // The distance of each row from the mean of the others.
/// let score = cross_validate(0..rows.len(), |_, held_out| {
///     let others = rows.iter().sum::<f64>() - rows[held_out];
///     Ok::<f64, TuneError>((rows[held_out] - others / 3.0).abs())
/// })?;
/// assert_eq!(score.folds.len(), 4);
/// assert!((score.value - 4.0 / 3.0).abs() < 1e-12);
/// assert!((score.deviation().unwrap() - 0.7698).abs() < 1e-4);
/// # Ok::<(), TuneError>(())
/// ```
///
/// **Source** Stone, JRSS B 36, 1974.
pub fn cross_validate<F, E: From<TuneError>>(
    folds: impl IntoIterator<Item = F>,
    mut score: impl FnMut(usize, F) -> Result<f64, E>,
) -> Result<Score, E> {
    let scores = folds.into_iter().enumerate().map(|(i, fold)| score(i, fold));
    let folds = scores.collect::<Result<Vec<f64>, E>>()?;
    if folds.len() < 2 {
        return Err(TuneError::Folds(folds.len()).into());
    }
    let value = folds.iter().sum::<f64>() / folds.len() as f64;
    Ok(Score { value, folds })
}
