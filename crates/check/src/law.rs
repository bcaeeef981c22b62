//! The law: gradients are right for every shape that proptest generates.

use std::cell::Cell;

use pleach_ops::{Dims, Primitive, Sample};
use pleach_tensor::{F64, Key};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::{CheckError, GradCheck};

/// Shapes of rank 0 to 3 with axes of length 0 to 4, and free choices, in f64.
pub fn dims() -> impl Strategy<Value = Dims> {
    let axis =
        prop_oneof![1 => Just(0usize), 3 => Just(1), 4 => Just(2), 4 => Just(3), 2 => Just(4)];
    let shape = prop::collection::vec(axis, 0..=3);
    (shape, any::<u64>()).prop_map(|(shape, seed)| Dims { shape: shape.into(), seed, float: F64 })
}

/// What a law that holds has covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Shapes for which there were samples.
    pub sampled: u32,
    /// Shapes for which derivatives were compared.
    pub checked: u32,
    /// Derivatives compared.
    pub compared: usize,
}

impl GradCheck {
    /// Checks the gradients of all differentiable samples for `cases` shapes, the same at every
    /// run. A failure is reduced to the smallest shape that fails.
    ///
    /// # Errors
    /// [`CheckError::Case`] with the shape and what was found there.
    pub fn law(
        &self,
        samples: impl Fn(&Dims) -> Vec<Sample>,
        cases: u32,
    ) -> Result<Coverage, CheckError> {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let covered = Cell::new(Coverage::default());
        let outcome = TestRunner::new_with_rng(config, rng).run(&dims(), |dims| {
            let case = self.case(&samples, &dims);
            let (any, compared) = case.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let mut now = covered.get();
            now.sampled += u32::from(any);
            now.checked += u32::from(compared > 0);
            now.compared += compared;
            covered.set(now);
            Ok(())
        });
        match outcome {
            Ok(()) | Err(TestError::Abort(_)) => Ok(covered.get()),
            Err(TestError::Fail(_, dims)) => match self.case(&samples, &dims) {
                Ok(_) => Ok(covered.get()),
                Err(error) => {
                    let (shape, seed, error) = (dims.shape, dims.seed, Box::new(error));
                    Err(CheckError::Case { shape, seed, error })
                }
            },
        }
    }

    /// One shape: were there samples, and how many derivatives were compared?
    fn case(
        &self,
        samples: &impl Fn(&Dims) -> Vec<Sample>,
        dims: &Dims,
    ) -> Result<(bool, usize), CheckError> {
        let samples = samples(dims);
        let mut compared = 0;
        for (i, sample) in samples.iter().enumerate().filter(|(_, s)| s.differentiable) {
            compared += self.sample(sample, Key(dims.seed).fold(i as u64))?.compared;
        }
        Ok((!samples.is_empty(), compared))
    }
}

/// Checks the gradients of an operator over `cases` generated shapes, from its own
/// [`Primitive::samples`]: the test that every operator of the library passes.
///
/// # Errors
/// As [`GradCheck::law`].
pub fn primitive<P: Primitive<N>, const N: usize>(cases: u32) -> Result<Coverage, CheckError> {
    GradCheck::default().law(P::samples, cases)
}
