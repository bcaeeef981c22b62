//! How parameters begin.

use std::sync::Arc;

use pleach_graph::TypeError;
use pleach_tensor::{Key, Tensor, Type};
use serde::{Deserialize, Serialize};

use crate::Real;
use crate::check_types::require_shape;

/// How a variable begins. Random values are a pure function of seed and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// Every element this value.
    Full(Real),
    /// Uniform in `[low, high)`.
    Uniform {
        /// Least value.
        low: Real,
        /// Bound of the values.
        high: Real,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: Real,
        /// Standard deviation.
        std: Real,
    },
    /// Normal, given that it is in `[low, high]`.
    TruncatedNormal {
        /// Mean of the whole normal.
        mean: Real,
        /// Standard deviation of the whole normal.
        std: Real,
        /// Least value.
        low: Real,
        /// Largest value.
        high: Real,
    },
    /// A random matrix with orthonormal rows or columns, whichever are fewer, times a gain. Axes
    /// after the first count as one.
    Orthogonal {
        /// Length of the rows or columns.
        gain: Real,
    },
    /// A matrix, normal with mean 0 but for zeros: as many in each column.
    Sparse {
        /// Fraction of zeros in a column, rounded up.
        sparsity: Real,
        /// Standard deviation of the others.
        std: Real,
    },
    /// A matrix with ones on its diagonal.
    Eye,
    /// Weights `[outputs, inputs, window..]` of a convolution that gives its input back.
    Dirac {
        /// Groups of outputs that each give the first inputs back.
        groups: usize,
    },
    /// As another, but for a row of zeros.
    ZeroRow {
        /// The other rows.
        init: Box<Init>,
        /// Which row.
        row: usize,
    },
    /// These values.
    Value(Arc<Tensor>),
}

impl Init {
    /// All zeros.
    pub fn zeros() -> Init {
        Init::full(0.0)
    }

    /// All ones.
    pub fn ones() -> Init {
        Init::full(1.0)
    }

    /// Every element `value`.
    pub fn full(value: f64) -> Init {
        Init::Full(Real(value))
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(low: f64, high: f64) -> Init {
        Init::Uniform { low: Real(low), high: Real(high) }
    }

    /// Normal with this mean and standard deviation.
    pub fn normal(mean: f64, std: f64) -> Init {
        Init::Normal { mean: Real(mean), std: Real(std) }
    }

    /// The first value of a variable of type `ty`. If [`Init::check`] refuses the type, zeros.
    pub fn draw(&self, ty: &Type, key: Key) -> Tensor {
        if self.check(ty).is_err() {
            return Tensor::full(ty, 0.0);
        }
        let rows = ty.shape().first().copied().unwrap_or(1).max(1);
        let columns = ty.numel() / rows;
        match self {
            Init::Full(value) => Tensor::full(ty, value.0),
            Init::Uniform { low, high } => Tensor::uniform(ty, key, low.0, high.0),
            Init::Normal { mean, std } => Tensor::normal(ty, key, mean.0, std.0),
            Init::TruncatedNormal { mean, std, low, high } => {
                let [low_z, high_z] = [low, high].map(|bound| (bound.0 - mean.0) / std.0);
                Tensor::build(ty, |i| {
                    let z = truncated_normal(key, i as u64, low_z, high_z);
                    (mean.0 + std.0 * z).clamp(low.0, high.0)
                })
            }
            Init::Orthogonal { gain } => {
                let q = orthonormal(key, rows, columns);
                Tensor::build(ty, |i| gain.0 * q[i])
            }
            Init::Sparse { sparsity, std } => {
                let zeros = (sparsity.0 * rows as f64).ceil() as usize;
                let mut x = Tensor::normal(ty, key, 0.0, std.0).to_f64s();
                for column in 0..columns {
                    let order = key.fold(column as u64).permutation(rows);
                    order[..zeros.min(rows)].iter().for_each(|row| x[row * columns + column] = 0.0);
                }
                Tensor::build(ty, |i| x[i])
            }
            Init::Eye => Tensor::build(ty, |i| f64::from(i / columns == i % columns)),
            Init::Dirac { groups } => dirac(ty, *groups),
            Init::ZeroRow { init, row } => {
                let x = init.draw(ty, key).to_f64s();
                Tensor::build(ty, |i| if i / columns == *row { 0.0 } else { x[i] })
            }
            Init::Value(value) => value.cast(ty.dtype()),
        }
    }

    /// Can a variable of this type begin so?
    ///
    /// # Errors
    /// [`TypeError::Shapes`] for a value of another shape, [`TypeError::Rank`] and
    /// [`TypeError::Attribute`] for what is defined for other shapes or numbers only.
    pub fn check(&self, ty: &Type) -> Result<(), TypeError> {
        let shape = ty.shape();
        let rank = |expected, fits: bool| {
            let got = shape.clone();
            if fits { Ok(()) } else { Err(TypeError::Rank { operand: 0, expected, got }) }
        };
        let holds = |fits: bool, why: String| {
            if fits { Ok(()) } else { Err(TypeError::Attribute(why)) }
        };
        match self {
            Init::Value(value) => require_shape(value.ty(), shape),
            Init::TruncatedNormal { std, low, high, .. } => {
                let why = format!("no normal of deviation {} in [{}, {}]", std.0, low.0, high.0);
                holds(std.0 > 0.0 && std.0 < f64::INFINITY && low.0 < high.0, why)
            }
            Init::Orthogonal { .. } => rank("at least 2", shape.rank() >= 2),
            Init::Sparse { sparsity, .. } => {
                rank("2", shape.rank() == 2)?;
                let why = format!("sparsity must be in [0, 1], got {}", sparsity.0);
                holds((0.0..=1.0).contains(&sparsity.0), why)
            }
            Init::Eye => rank("2", shape.rank() == 2),
            Init::Dirac { groups } => {
                rank("3 to 5", (3..=5).contains(&shape.rank()))?;
                let why = format!("{} outputs are not {groups} equal groups", shape[0]);
                holds(*groups > 0 && shape[0].is_multiple_of(*groups), why)
            }
            Init::ZeroRow { init, row } => {
                init.check(ty)?;
                let rows = shape.first().copied().unwrap_or(0);
                holds(*row < rows, format!("there is no row {row} of {rows}"))
            }
            Init::Full(_) | Init::Uniform { .. } | Init::Normal { .. } => Ok(()),
        }
    }
}

impl From<Tensor> for Init {
    fn from(value: Tensor) -> Self {
        Init::Value(Arc::new(value))
    }
}

/// A standard normal in `[low, high]`: element `index` of the stream of `key`.
///
/// Uniform proposals are accepted by their density relative to the largest one. What has less than
/// 1e-16 of it is left out, so at least one proposal of fifty is accepted, however far the bounds
/// are in a tail.
fn truncated_normal(key: Key, index: u64, low: f64, high: f64) -> f64 {
    // The nearest to 0 has the largest density.
    let peak = 0f64.clamp(low, high);
    let reach = (peak * peak + 74.0).sqrt();
    let (low, high) = (low.max(-reach), high.min(reach));
    for attempt in 0..10_000 {
        let u = key.fold(2 * attempt).uniform_f64(index);
        let z = low + (high - low) * u;
        let density = ((peak * peak - z * z) / 2.0).exp();
        if key.fold(2 * attempt + 1).uniform_f64(index) < density {
            return z;
        }
    }
    peak
}

/// A row-major matrix whose rows or columns, whichever are fewer, are orthonormal and uniform over
/// all such: normals, orthogonalized in order by Gram and Schmidt, twice, which is as exact as by
/// reflections (Giraud, Langou, Rozložník 2005).
fn orthonormal(key: Key, rows: usize, columns: usize) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let at = |vector: usize, i: usize| {
        if rows < columns { vector * columns + i } else { i * columns + vector }
    };
    let mut vectors: Vec<Vec<f64>> = (0..count)
        .map(|v| (0..length).map(|i| key.normal_f64(at(v, i) as u64)).collect())
        .collect();
    for v in 0..count {
        let (done, rest) = vectors.split_at_mut(v);
        let vector = &mut rest[0];
        for _ in 0..2 {
            for other in &*done {
                let dot: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|a| *a /= norm);
    }
    let mut q = vec![0.0; rows * columns];
    for (v, vector) in vectors.iter().enumerate() {
        vector.iter().enumerate().for_each(|(i, &a)| q[at(v, i)] = a);
    }
    q
}

/// 1 where an output and its input meet in the middle of the window.
fn dirac(ty: &Type, groups: usize) -> Tensor {
    let shape = ty.shape();
    let (window, inputs) = (shape[2..].iter().product::<usize>(), shape[1]);
    let middle = shape[2..].iter().fold(0, |at, &n| at * n + n / 2);
    let outputs = (shape[0] / groups).max(1);
    Tensor::build(ty, |i| {
        let (place, input, output) = (i % window, i / window % inputs, i / window / inputs);
        f64::from(place == middle && output % outputs == input)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn moments(x: &[f64]) -> (f64, f64) {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        (mean, (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn truncated_normals_have_their_moments_in_the_middle_and_in_a_tail() {
        let ty = Type::new(F64, [20_000]).unwrap();
        // Moments of the standard normal between the bounds.
        for (low, high, mean, std) in [
            (-2.0, 2.0, 0.0, 0.879_625_661_034_239_8),
            (0.0, f64::INFINITY, 0.797_884_560_802_865_4, 0.602_810_275_989_089_5),
            (10.0, 1e9, 10.098_093_234, 0.097_187_334),
            (-3.0, -2.999, -2.999_499_75, 0.000_288_515),
        ] {
            let at = |z: f64| Real(5.0 + 2.0 * z);
            let (low_x, high_x) = (at(low), at(high));
            let init =
                Init::TruncatedNormal { mean: Real(5.0), std: Real(2.0), low: low_x, high: high_x };
            let x = init.draw(&ty, Key(1)).to_f64s();
            assert!(x.iter().all(|x| (low_x.0..=high_x.0).contains(x)));
            let (m, s) = moments(&x);
            assert!((m - 5.0 - 2.0 * mean).abs() < 0.03 * 2.0 * std, "{low}: {m}");
            assert!((s / (2.0 * std) - 1.0).abs() < 0.03, "{low}: {s}");
        }
    }

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for shape in [vec![7, 4], vec![4, 7], vec![5, 5], vec![3, 2, 4], vec![0, 4]] {
            let ty = Type::new(F64, shape.clone()).unwrap();
            let q = Init::Orthogonal { gain: Real(2.0) }.draw(&ty, Key(3)).to_f64s();
            let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
            let by_rows = rows < columns;
            let (count, length) = (rows.min(columns), rows.max(columns));
            let at =
                |v: usize, i: usize| if by_rows { q[v * columns + i] } else { q[i * columns + v] };
            for a in 0..count {
                for b in 0..count {
                    let dot: f64 = (0..length).map(|i| at(a, i) * at(b, i)).sum();
                    assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 1e-14, "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn structured_values_are_where_they_belong() {
        let draw = |init: Init, shape: &[usize]| {
            init.draw(&Type::new(F32, shape.to_vec()).unwrap(), Key(1)).to_f64s()
        };
        assert_eq!(draw(Init::Eye, &[2, 3]), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let dirac = draw(Init::Dirac { groups: 2 }, &[4, 2, 3]);
        let ones: Vec<usize> = (0..24).filter(|&i| dirac[i] == 1.0).collect();
        assert_eq!(ones, [1, 10, 13, 22]); // [0, 0, 1], [1, 1, 1], [2, 0, 1], [3, 1, 1]
        let sparse = draw(Init::Sparse { sparsity: Real(0.3), std: Real(1.0) }, &[5, 3]);
        for column in 0..3 {
            assert_eq!((0..5).filter(|row| sparse[row * 3 + column] == 0.0).count(), 2);
        }
        let ones = Box::new(Init::ones());
        assert_eq!(draw(Init::ZeroRow { init: ones, row: 1 }, &[3, 1]), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_start_that_a_shape_cannot_have_is_an_error_of_the_registry() {
        let p = Params::seeded(1);
        let _ = p.param("a", [3], Init::Eye);
        let _ = p.param("b", [3], Init::Orthogonal { gain: Real(1.0) });
        let _ = p.param("c", [3, 2, 1], Init::Dirac { groups: 2 });
        let _ = p.param("d", [3, 3], Init::Sparse { sparsity: Real(1.5), std: Real(1.0) });
        let _ = p.param("e", [3, 3], Init::ZeroRow { init: Box::new(Init::ones()), row: 3 });
        let (zero, one) = (Real(0.0), Real(1.0));
        let _ =
            p.param("f", [3], Init::TruncatedNormal { mean: zero, std: one, low: one, high: zero });
        assert_eq!(p.errors().len(), 6);
    }

    use crate::Real;
}
