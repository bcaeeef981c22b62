//! Muon.

use pleach_ops::prelude::*;

use crate::error::{above_zero, below_one, range};
use crate::options::has;
use crate::{About, Descent, OptimError, Rate, Rule, Update};

/// Muon: momentum, made orthogonal. For matrices alone: `b ← μb + (1-μ)g`, `u = μb + (1-μ)g` (or
/// `u = b` without Nesterov), `θ ← θ - lr · s · orthogonal(u)`.
///
/// `orthogonal` is a few steps of Newton and Schulz: `x = u / max(‖u‖, ε)`, then
/// `x ← ax + (b xxᵀ + c (xxᵀ)²)x`, with `xᵀ` for `x` if it has more rows than columns: what comes
/// has the directions of `u` with singular values near 1. Scale `s = √max(1, rows/columns)`, or
/// `0.2 √max(rows, columns)` ([`as_adam`](Descent::as_adam)), with which Adam's rates and decays do.
///
/// | symbol | option | default | |
/// |---|---|---|---|
/// | lr | `rate` | | per update, at least 0 |
/// | μ | `momentum` | 0.95 | in `[0, 1)`; a schedule may move it |
/// | a, b, c | `coefficients` | 3.4445, -4.775, 2.0315 | |
/// | | `steps` | 5 | of Newton and Schulz, 1 to 99 |
/// | ε | `eps` | 1e-7 | above 0 |
///
/// Decay is decoupled, 0.1 if nothing is said. State: 1 tensor per parameter (4 bytes/parameter in
/// f32). The update of an embedding or a head is better left to another optimizer, see
/// [`Optimizer::except`](crate::Optimizer::except).
///
/// **Numerics** the steps are taken in the type of the parameter. PyTorch takes them in bfloat16,
/// which changes updates by some percent: [`bfloat16`](Descent::bfloat16) does the same, and agrees
/// to 1e-9 over 50 updates in f64.
///
/// **Source** Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>; `as_adam`: Liu et al.,
/// arXiv 2502.16982, section 2.2; the form is that of PyTorch's `Muon`.
pub type Muon = Descent<MuonRule>;

/// The rule of [`Muon`].
#[derive(Clone, Debug)]
pub struct MuonRule {
    momentum: f64,
    nesterov: bool,
    coefficients: [f64; 3],
    steps: u32,
    eps: f64,
    as_adam: bool,
    bfloat16: bool,
}

impl Muon {
    /// At this rate per update.
    pub fn new(rate: impl Into<Rate>) -> Muon {
        let rule = MuonRule {
            momentum: 0.95,
            nesterov: true,
            coefficients: [3.4445, -4.775, 2.0315],
            steps: 5,
            eps: 1e-7,
            as_adam: false,
            bfloat16: false,
        };
        Descent::of(rule, rate).decoupled().weight_decay(0.1)
    }

    /// Without Nesterov's look ahead.
    #[must_use]
    pub fn without_nesterov(self) -> Self {
        self.map(|rule| rule.nesterov = false)
    }

    /// The polynomial of a step of Newton and Schulz.
    #[must_use]
    pub fn coefficients(self, a: f64, b: f64, c: f64) -> Self {
        self.map(|rule| rule.coefficients = [a, b, c])
    }

    /// Number of steps of Newton and Schulz.
    #[must_use]
    pub fn steps(self, steps: u32) -> Self {
        self.map(|rule| rule.steps = steps)
    }

    /// Rounds to bfloat16 in the steps of Newton and Schulz, as PyTorch does.
    #[must_use]
    pub fn bfloat16(self) -> Self {
        self.map(|rule| rule.bfloat16 = true)
    }

    /// Updates as large as Adam's.
    #[must_use]
    pub fn as_adam(self) -> Self {
        self.map(|rule| rule.as_adam = true)
    }
}

impl MuonRule {
    #[track_caller]
    fn orthogonal<'g>(&self, x: Var<'g>) -> Var<'g> {
        let round = |x: Var<'g>| if self.bfloat16 { to_bfloat16(x) } else { x };
        let x = round(x);
        let tall = x.size(0) > x.size(1);
        let x = if tall { x.t() } else { x };
        let norm = round((x * x).sum_all().sqrt()).maximum(self.eps);
        let [a, b, c] = self.coefficients;
        let x = (0..self.steps).fold(round(x / norm), |x, _| {
            let gram = round(x.matmul(x.t()));
            let update = round(gram * b + gram.matmul(gram) * c);
            round(x * a + update.matmul(x))
        });
        if tall { x.t() } else { x }
    }
}

/// The nearest `bf16`.
#[track_caller]
fn to_bfloat16(x: Var<'_>) -> Var<'_> {
    x.cast(BF16).cast(x.dtype())
}

has!(MuonRule: eps momentum);

impl Rule for MuonRule {
    const NAME: &'static str = "muon";
    const ABOUT: About = About {
        formula: "`b ← μb + (1-μ)g`; `θ ← θ - lr · √max(1, m/n) · orthogonal(μb + (1-μ)g)`",
        source: "Jordan et al. 2024",
    };

    fn step<'g>(&self, u: &Update<'_, 'g>) -> Var<'g> {
        let momentum = u.momentum(self.momentum);
        let (keep, rest) = (u.like(momentum), u.like(1.0 - momentum));
        let old = u.old("momentum");
        let b = u.keep(old, old * keep + u.grad * rest);
        let direction = if self.nesterov { b * keep + u.grad * rest } else { b };
        let (rows, columns) = (u.value.size(0) as f64, u.value.size(1) as f64);
        let scale = match self.as_adam {
            true => 0.2 * rows.max(columns).sqrt(),
            false => (rows / columns).max(1.0).sqrt(),
        };
        u.value - u.like(u.rate * scale) * self.orthogonal(direction)
    }

    fn check(&self, name: &str) -> Result<(), OptimError> {
        below_one(name, "momentum", self.momentum)?;
        above_zero(name, "eps", self.eps)?;
        let steps = self.steps;
        range(name, "steps", "1 to 99", f64::from(steps), (1..100).contains(&steps))?;
        let finite = |c: &f64| range(name, "coefficients", "finite", *c, c.is_finite());
        self.coefficients.iter().try_for_each(finite)
    }

    fn refuses(&self, ty: &Type) -> Option<&'static str> {
        match ty.rank() {
            2 if ty.numel() > 0 => None,
            _ => Some("it updates matrices; say `.except(\"*.b\", another)` for the others"),
        }
    }
}
