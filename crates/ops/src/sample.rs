//! Operands for testing laws over every operator.

use pleach_tensor::compare::Tolerance;
use pleach_tensor::{DType, F64, Key, Shape, Tensor, Type};

use crate::Op;

/// A generated shape with free choices: from it an operator derives its samples.
#[derive(Clone, Debug)]
pub struct Dims {
    /// Any shape, axes of length 0 and 1 included.
    pub shape: Shape,
    /// Bits for free choices (which axis, how wide): see [`Dims::pick`].
    pub seed: u64,
    /// The float type to use: F64 for gradients, both for engines.
    pub float: DType,
}

impl Dims {
    /// A choice below `n` (0 if `n` is 0), different for every `salt`.
    pub fn pick(&self, salt: u64, n: usize) -> usize {
        Key(self.seed).below(salt, n as u64) as usize
    }

    /// A random subset of the axes, in increasing order.
    pub fn axes(&self, salt: u64) -> Vec<usize> {
        (0..self.shape.rank()).filter(|&i| self.pick(salt * 31 + i as u64 + 1, 2) == 1).collect()
    }

    /// An operand of this shape and float type, without special points.
    pub fn float(&self) -> Operand {
        self.float_of(self.shape.clone())
    }

    /// An operand of another shape, of the float type.
    pub fn float_of(&self, shape: impl Into<Shape>) -> Operand {
        self.of(self.float, shape)
    }

    /// An operand of any element type: floats in (-2, 2), integers in [-9, 9], any booleans.
    pub fn of(&self, dtype: DType, shape: impl Into<Shape>) -> Operand {
        let ty = Type::new(dtype, shape).expect("generated shapes are small");
        let domain = match dtype {
            d if d.is_float() => Domain::Float { low: -2.0, high: 2.0, kinks: vec![] },
            DType::U8 => Domain::Int { low: 0, high: 10 },
            DType::Bool => Domain::Int { low: 0, high: 2 },
            _ => Domain::Int { low: -9, high: 10 },
        };
        Operand { ty, domain }
    }
}

/// One operand of a sample: its type and the values it may take.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its type.
    pub ty: Type,
    /// Its values.
    pub domain: Domain,
}

/// The values that an operand may take.
#[derive(Clone, Debug)]
pub enum Domain {
    /// Uniform in `[low, high)`, at least 1e-3 of the width away from every kink.
    Float {
        /// Least value.
        low: f64,
        /// Bound of the values.
        high: f64,
        /// Points without a derivative.
        kinks: Vec<f64>,
    },
    /// Distinct floats, at least 0.1 apart, in random order: no ties.
    Distinct,
    /// Symmetric positive definite matrices in the last two axes, 1 or more above singular.
    Definite,
    /// Uniform in `low..high`.
    Int {
        /// Least value.
        low: i64,
        /// Bound of the values.
        high: i64,
    },
}

impl Operand {
    /// With values in `[low, high)`.
    #[must_use]
    pub fn within(mut self, low: f64, high: f64) -> Self {
        self.domain = Domain::Float { low, high, kinks: vec![] };
        self
    }

    /// Away from `points`, where there is no derivative.
    #[must_use]
    pub fn avoiding(mut self, points: &[f64]) -> Self {
        if let Domain::Float { kinks, .. } = &mut self.domain {
            kinks.extend_from_slice(points);
        }
        self
    }

    /// With distinct values.
    #[must_use]
    pub fn distinct(mut self) -> Self {
        self.domain = Domain::Distinct;
        self
    }

    /// With symmetric positive definite matrices in the last two axes.
    #[must_use]
    pub fn definite(mut self) -> Self {
        self.domain = Domain::Definite;
        self
    }

    /// With integers in `low..high`.
    #[must_use]
    pub fn ints(mut self, low: i64, high: i64) -> Self {
        self.domain = Domain::Int { low, high };
        self
    }

    /// A value, a pure function of the key.
    pub fn draw(&self, key: Key) -> Tensor {
        match &self.domain {
            Domain::Float { low, high, kinks } => Tensor::build(&self.ty, |i| {
                let width = high - low;
                let x = low + width * key.uniform_f64(i as u64);
                match kinks.iter().find(|k| (x - **k).abs() < 1e-3 * width) {
                    // A step that leads out of the forbidden zone and stays in the domain.
                    Some(k) if k + 2e-3 * width < *high => k + 2e-3 * width,
                    Some(k) => k - 2e-3 * width,
                    None => x,
                }
            }),
            Domain::Distinct => {
                let n = self.ty.numel();
                let order = key.permutation(n);
                Tensor::build(&self.ty, |i| {
                    0.15 * (order[i] as f64 - n as f64 / 2.0) + 0.02 * key.uniform_f64(i as u64)
                })
            }
            Domain::Definite => {
                let [.., rows, columns] = self.ty.shape()[..] else {
                    return Tensor::build(&self.ty, |i| 1.0 + key.uniform_f64(i as u64));
                };
                // M·Mᵀ + 1 of a random square M.
                let n = rows.max(columns);
                Tensor::build(&self.ty, |i| {
                    let key = key.fold((i / (rows * columns)) as u64);
                    let m = |i: usize, j: usize| 2.0 * key.uniform_f64((i * n + j) as u64) - 1.0;
                    let (i, j) = (i / columns % rows, i % columns);
                    let product: f64 = (0..n).map(|k| m(i, k) * m(j, k)).sum();
                    product + f64::from(u8::from(i == j))
                })
            }
            Domain::Int { low, high } => {
                let width = (high - low).max(1) as u64;
                Tensor::build_i64(&self.ty, |i| low + key.below(i as u64, width) as i64)
            }
        }
    }
}

/// An operator with operands on which its laws must hold.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The operator.
    pub op: Op,
    /// Its operands, in order.
    pub inputs: Vec<Operand>,
    /// How far a fast engine may be from the interpreter.
    pub tolerance: Tolerance,
    /// Are the operands away from kinks, so that gradients can be checked?
    pub differentiable: bool,
}

impl Sample {
    /// A sample with the default tolerance: a few units in the last place.
    pub fn new(op: impl Into<Op>, inputs: impl IntoIterator<Item = Operand>) -> Self {
        let inputs: Vec<Operand> = inputs.into_iter().collect();
        let floats = inputs.iter().map(|x| x.ty.dtype()).filter(|d| d.is_float());
        let coarsest = floats.max_by(|a, b| a.epsilon().total_cmp(&b.epsilon()));
        let tolerance = Tolerance::of(coarsest.unwrap_or(F64));
        Sample { op: op.into(), inputs, tolerance, differentiable: true }
    }

    /// Allows a fast engine `factor` times the default distance: sums of many terms.
    #[must_use]
    pub fn loose(mut self, factor: f64) -> Self {
        self.tolerance.rtol *= factor;
        self.tolerance.atol *= factor;
        self
    }

    /// For values only: a point without a derivative, or an operator without one.
    #[must_use]
    pub fn values_only(mut self) -> Self {
        self.differentiable = false;
        self
    }

    /// Values for all operands, a pure function of the key.
    pub fn draw(&self, key: Key) -> Vec<Tensor> {
        self.inputs.iter().enumerate().map(|(i, x)| x.draw(key.fold(i as u64))).collect()
    }

    /// Is every float operand of type F64, as gradient checks want it?
    pub fn is_f64(&self) -> bool {
        self.inputs.iter().all(|x| !x.ty.dtype().is_float() || x.ty.dtype() == F64)
    }
}
