//! What is checked, and how closely.

/// How gradients are checked. The defaults are those of PyTorch's `gradcheck`.
///
/// ```
/// use pleach_check::GradCheck;
/// let first_order_only = GradCheck { second_order: false, ..GradCheck::default() };
/// assert_eq!(first_order_only.eps, 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GradCheck {
    /// Step of the central differences.
    pub eps: f64,
    /// Absolute part of what a gradient may differ by: `|a - n| ≤ atol + rtol·|n|`.
    pub atol: f64,
    /// Relative part.
    pub rtol: f64,
    /// What forward and reverse mode may differ by, relative to the terms of the dot product
    /// `⟨w, J u⟩ = ⟨Jᵀ w, u⟩`: both are analytic.
    pub adjoint: f64,
    /// Check the gradient of the gradient, too.
    pub second_order: bool,
    /// The whole Jacobian is compared if it has no more elements than this; along
    /// random directions otherwise.
    pub jacobian: usize,
    /// Number of random directions for each operand, input or parameter of a large function.
    pub directions: usize,
    /// Seed of directions and perturbations.
    pub seed: u64,
    /// For models: the initial value of every parameter is moved by up to this, away from
    /// symmetric points and kinks such as biases that begin at zero.
    pub perturb: f64,
    /// For models: check the gradient by float inputs, too, not by parameters alone.
    pub inputs: bool,
    /// For models: record in a graph for training, where dropout drops.
    pub train: bool,
    /// For models: parameters that [match](pleach_ops::Param::matches) one of these, by name (`frozen.*`) or by
    /// tag (`#frozen`), are held fixed.
    pub skip: Vec<String>,
}

impl Default for GradCheck {
    fn default() -> Self {
        GradCheck {
            eps: 1e-6,
            atol: 1e-5,
            rtol: 1e-3,
            adjoint: 1e-10,
            second_order: true,
            jacobian: 64,
            directions: 3,
            seed: 0,
            perturb: 0.05,
            inputs: false,
            train: true,
            skip: Vec::new(),
        }
    }
}

impl GradCheck {
    /// What an analytic derivative may differ by from a numeric one.
    pub(crate) fn tolerance(&self, numeric: f64) -> f64 {
        self.atol + self.rtol * numeric.abs()
    }

    /// Number of derivatives to differentiate for.
    pub(crate) fn orders(&self) -> u8 {
        if self.second_order { 2 } else { 1 }
    }
}

/// What a check that found nothing wrong has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Derivatives compared; 0 if there is nothing to differentiate.
    pub compared: usize,
}
