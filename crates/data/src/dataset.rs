//! Named tensors with a common first axis.

use pleach_tensor::{Element, Shape, Tensor, for_dtype};

use crate::DataError;

/// Tensors of the same number of rows, by name, in the order given: inputs, labels, weights.
///
/// A row is an index of the first axis: of `x: f32[n, 64]` and `y: i64[n]`, row `i` is `x[i, :]`
/// and `y[i]`. Cloning shares the elements.
///
/// ```
/// use pleach_data::Dataset;
/// use pleach_tensor::Tensor;
/// let x = Tensor::new([3, 2], vec![0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// let data = Dataset::new([("x", x), ("y", Tensor::new([3], vec![7i64, 8, 9])?)])?;
/// let picked = data.select(&[2, 0])?;
/// assert_eq!(picked.get("x")?.to_vec::<f32>()?, [4.0, 5.0, 0.0, 1.0]);
/// assert_eq!(picked.get("y")?.to_vec::<i64>()?, [9, 7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    names: Vec<String>,
    tensors: Vec<Tensor>,
    len: usize,
}

impl Dataset {
    /// Puts tensors together.
    ///
    /// # Errors
    /// [`DataError::NoTensors`]; [`DataError::DuplicateName`]; [`DataError::Scalar`] if a tensor
    /// has no axis; [`DataError::Rows`] if the first axes differ.
    pub fn new<N: Into<String>>(
        tensors: impl IntoIterator<Item = (N, Tensor)>,
    ) -> Result<Dataset, DataError> {
        let (names, tensors): (Vec<String>, Vec<Tensor>) =
            tensors.into_iter().map(|(name, tensor)| (name.into(), tensor)).unzip();
        for (i, (name, tensor)) in names.iter().zip(&tensors).enumerate() {
            let Some(&rows) = tensor.shape().first() else {
                return Err(DataError::Scalar(name.clone()));
            };
            if names[..i].contains(name) {
                return Err(DataError::DuplicateName(name.clone()));
            }
            let expected = tensors[0].shape()[0];
            if rows != expected {
                let (first, name) = (names[0].clone(), name.clone());
                return Err(DataError::Rows { first, expected, name, got: rows });
            }
        }
        let len = tensors.first().ok_or(DataError::NoTensors)?.shape()[0];
        Ok(Dataset { names, tensors, len })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there no row?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The names, in the order given.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The tensors, in the order given: the whole of the data as one batch.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`DataError::UnknownName`].
    pub fn get(&self, name: &str) -> Result<&Tensor, DataError> {
        self.position(name).map(|i| &self.tensors[i])
    }

    /// The same data with the tensor `name` replaced by what `f` makes of it, for normalisation:
    /// `test.map("x", |x| standardize.apply(x))`.
    ///
    /// # Errors
    /// [`DataError::UnknownName`]; the error of `f`; those of [`Dataset::new`] if the number of
    /// rows changed.
    pub fn map(
        &self,
        name: &str,
        f: impl FnOnce(&Tensor) -> Result<Tensor, DataError>,
    ) -> Result<Dataset, DataError> {
        let at = self.position(name)?;
        let mut tensors = self.tensors.clone();
        tensors[at] = f(&tensors[at])?;
        Dataset::new(self.names.iter().cloned().zip(tensors))
    }

    /// The rows `rows`, in that order; a row may be taken more than once.
    ///
    /// # Errors
    /// [`DataError::RowIndex`]; [`DataError::Tensor`] if the result is larger than memory.
    pub fn select(&self, rows: &[usize]) -> Result<Dataset, DataError> {
        let len = self.len;
        if let Some(&row) = rows.iter().find(|&&row| row >= len) {
            return Err(DataError::RowIndex { row, len });
        }
        let tensors = self.take(rows)?;
        Ok(Dataset { names: self.names.clone(), tensors, len: rows.len() })
    }

    fn position(&self, name: &str) -> Result<usize, DataError> {
        self.names.iter().position(|n| n == name).ok_or_else(|| DataError::UnknownName {
            name: name.to_string(),
            names: self.names.clone(),
        })
    }

    /// `rows` must be below `len`.
    pub(crate) fn take(&self, rows: &[usize]) -> Result<Vec<Tensor>, DataError> {
        let take = |tensor: &Tensor| for_dtype!(tensor.dtype(), T => take_rows::<T>(tensor, rows));
        self.tensors.iter().map(take).collect()
    }
}

fn take_rows<T: Element>(tensor: &Tensor, rows: &[usize]) -> Result<Tensor, DataError> {
    let source = tensor.as_slice::<T>()?;
    let row: Shape = tensor.shape()[1..].into();
    let shape: Shape = std::iter::once(rows.len()).chain(row.iter().copied()).collect();
    let width: usize = row.iter().product();
    let total = pleach_tensor::Type::new(T::DTYPE, &shape)
        .map_err(pleach_tensor::TensorError::from)?
        .numel();
    let mut data = Vec::with_capacity(total);
    for &i in rows {
        data.extend_from_slice(&source[i * width..][..width]);
    }
    Ok(Tensor::new(shape, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_tensor::{BOOL, F32, I64, Type};

    fn zeros(dtype: pleach_tensor::DType, shape: &[usize]) -> Tensor {
        Tensor::full(&Type::new(dtype, shape).unwrap(), 0.0)
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused_with_both_facts() {
        let err = |tensors: Vec<(&str, Tensor)>| Dataset::new(tensors).unwrap_err().to_string();
        assert_eq!(err(vec![]), "dataset: expected at least one tensor, got none");
        assert_eq!(
            err(vec![("x", zeros(F32, &[3, 2])), ("y", zeros(I64, &[4]))]),
            "dataset: \"x\" has 3 rows, \"y\" has 4"
        );
        assert_eq!(
            err(vec![("x", zeros(F32, &[]))]),
            "dataset: \"x\" is a scalar, expected a first axis to run over"
        );
        assert_eq!(
            err(vec![("x", zeros(F32, &[3])), ("x", zeros(I64, &[3]))]),
            "dataset: two tensors are named \"x\""
        );
    }

    #[test]
    fn missing_names_and_rows_are_refused() {
        let data = Dataset::new([("x", zeros(F32, &[3]))]).unwrap();
        let err = data.get("y").unwrap_err().to_string();
        assert_eq!(err, "dataset: no tensor is named \"y\", there are [\"x\"]");
        let err = data.select(&[0, 3]).unwrap_err().to_string();
        assert_eq!(err, "dataset: row 3 asked for, there are 3");
        assert!(data.map("x", |_| Ok(zeros(F32, &[]))).is_err());
    }

    #[test]
    fn rows_of_every_shape_are_taken() {
        let data = Dataset::new([
            ("none", zeros(F32, &[2, 0, 3])),
            ("flag", zeros(BOOL, &[2])),
            ("image", Tensor::new([2, 1, 2], vec![1u8, 2, 3, 4]).unwrap()),
        ])
        .unwrap();
        let picked = data.select(&[1, 1, 0]).unwrap();
        let types: Vec<String> = picked.tensors().iter().map(|t| t.ty().to_string()).collect();
        assert_eq!(types, ["f32[3, 0, 3]", "bool[3]", "u8[3, 1, 2]"]);
        assert_eq!(picked.get("image").unwrap().to_vec::<u8>().unwrap(), [3, 4, 3, 4, 1, 2]);
        assert_eq!(data.select(&[]).unwrap().len(), 0);
    }
}
