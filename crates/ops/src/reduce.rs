//! Reductions over axes.

pub mod argmax;
pub mod max;
pub mod min;
pub mod sum;

use pleach_graph::TypeError;

use crate::Var;

/// The axes of a reduction as users give them: one, several, or all.
pub trait IntoAxes {
    /// As increasing indices; negative axes count from the end.
    ///
    /// # Errors
    /// [`TypeError::Axis`] if one does not exist.
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError>;
}

/// Every axis.
#[derive(Clone, Copy, Debug)]
pub struct All;

impl IntoAxes for All {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        Ok((0..x.shape().rank()).collect())
    }
}

impl IntoAxes for i64 {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        Ok(vec![x.axis(*self)?])
    }
}

impl IntoAxes for &[i64] {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        let mut axes = self.iter().map(|&a| x.axis(a)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        Ok(axes)
    }
}

impl<const N: usize> IntoAxes for [i64; N] {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.as_slice().axes(x)
    }
}

impl IntoAxes for Vec<i64> {
    fn axes(&self, x: Var<'_>) -> Result<Vec<usize>, TypeError> {
        self.as_slice().axes(x)
    }
}

impl<'g> Var<'g> {
    /// Puts back axes that a reduction removed, with length 1, and stretches them to `like`.
    #[track_caller]
    pub(crate) fn unreduce(self, axes: &[usize], like: Var<'g>) -> Var<'g> {
        let shape = like.shape();
        self.reshape(shape.keeping(axes)).broadcast_to(shape)
    }
}
