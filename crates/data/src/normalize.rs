//! Columns brought to a common scale.

use pleach_tensor::{Element, Shape, Tensor, for_dtype};

use crate::DataError;

/// `y = (x - mean) / std` by column, with the mean and deviation of the data it was fitted to.
///
/// | | shape | dtype |
/// |---|---|---|
/// | `x` | `[n, …]` at the fit, `[m, …]` later | float |
/// | `y` | as `x` | as `x` |
///
/// A column is one element of a row. `std² = Σ (x - mean)² / n`, computed in f64 in two passes. A
/// column that was constant at the fit has `std` 0, and `y` is 0 there whatever `x` is. Fit to the
/// training rows only, then apply to both parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize {
    /// Shape of a row.
    row: Shape,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Standardize {
    /// Mean and deviation of every column of `x: [n, …]`.
    ///
    /// ```
    /// use pleach_data::Standardize;
    /// use pleach_tensor::Tensor;
    /// let x = Tensor::new([2, 2], vec![1.0f32, 5.0, 3.0, 5.0])?;
    /// let y = Standardize::fit(&x)?.apply(&x)?;
    /// assert_eq!(y.to_vec::<f32>()?, [-1.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Float`]; [`DataError::NoRowsToFit`] without an axis or with no rows;
    /// [`DataError::NotFinite`] if a column holds NaN or infinity, or overflows.
    pub fn fit(x: &Tensor) -> Result<Standardize, DataError> {
        require_float("standardize", x)?;
        let (n, row) = match x.shape().split_first() {
            Some((&n, row)) if n > 0 => (n, Shape::from(row)),
            _ => return Err(DataError::NoRowsToFit(x.shape().clone())),
        };
        let (data, width) = (x.to_f64s(), x.numel() / n);
        let column = |j: usize| data.iter().skip(j).step_by(width).copied();
        let moments = |j: usize| {
            // A rounded mean would leave a constant column a deviation of a few ulp.
            if column(j).all(|x| x == data[j]) {
                return (data[j], 0.0);
            }
            let mean = column(j).sum::<f64>() / n as f64;
            let square = column(j).map(|x| (x - mean) * (x - mean)).sum::<f64>();
            (mean, (square / n as f64).sqrt())
        };
        let (mean, std): (Vec<f64>, Vec<f64>) = (0..width).map(moments).unzip();
        for (column, (&mean, &std)) in mean.iter().zip(&std).enumerate() {
            if !(mean.is_finite() && std.is_finite()) {
                return Err(DataError::NotFinite { column, mean, std });
            }
        }
        Ok(Standardize { row, mean, std })
    }

    /// The mean of every column, over the elements of a row in row-major order.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The deviation of every column; 0 where the column was constant.
    pub fn std(&self) -> &[f64] {
        &self.std
    }

    /// `(x - mean) / std`, computed in f64; 0 where `std` is 0.
    ///
    /// # Errors
    /// [`DataError::Float`]; [`DataError::RowShape`] if the rows have another shape than at the
    /// fit.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor, DataError> {
        require_float("standardize", x)?;
        if x.shape().split_first().is_none_or(|(_, row)| *row != *self.row) {
            let (expected, got) = (self.row.clone(), x.shape().clone());
            return Err(DataError::RowShape { expected, got });
        }
        elementwise(x, |i, x| {
            let (mean, std) = (self.mean[i % self.mean.len()], self.std[i % self.std.len()]);
            if std == 0.0 { 0.0 } else { (x - mean) / std }
        })
    }
}

/// `y = by · x`, computed in f64; `x` any shape, floats, `y` as `x`.
///
/// # Errors
/// [`DataError::Float`] if `x` is not a float.
pub fn scale(x: &Tensor, by: f64) -> Result<Tensor, DataError> {
    require_float("scale", x)?;
    elementwise(x, |_, x| by * x)
}

fn elementwise(x: &Tensor, f: impl Fn(usize, f64) -> f64) -> Result<Tensor, DataError> {
    fn run<T: Element>(x: &Tensor, f: impl Fn(usize, f64) -> f64) -> Result<Tensor, DataError> {
        let data = x.as_slice::<T>()?.iter().enumerate();
        Ok(Tensor::new(x.shape(), data.map(|(i, x)| T::from_f64(f(i, x.to_f64()))).collect())?)
    }
    for_dtype!(x.dtype(), T => run::<T>(x, f))
}

fn require_float(action: &'static str, x: &Tensor) -> Result<(), DataError> {
    if x.dtype().is_float() {
        return Ok(());
    }
    let (got, shape) = (x.dtype(), x.shape().clone());
    Err(DataError::Float { action, got, shape })
}
