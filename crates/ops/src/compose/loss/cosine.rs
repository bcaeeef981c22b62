//! Cosine similarity and its loss.

use pleach_graph::TypeError;

use super::Reduction;
use crate::Var;

options! {
    /// `1 - cos(a, b)` where `t` is 1, `max(0, cos(a, b) - margin)` where it is -1, 0 elsewhere.
    ///
    /// | | shape |
    /// |---|---|
    /// | `a`, `b` | `[D]` or `[B, D]`, equal |
    /// | `t` | `[]` or `[B]` |
    ///
    /// **Numerics** `1e-12` is added to both squares of lengths: the cosine with a vector of zeros
    /// is 0. The slope at the hinge is 0.
    CosineEmbedding
    optional {}
    with {
        /// Cosines of others may be this large; -1 to 1.
        margin: f64 = 0.0,
        /// What becomes of the rows' losses.
        reduction: Reduction = Reduction::Mean,
    }
}

/// What [`CosineEmbedding`] adds to squares of lengths.
const EPSILON: f64 = 1e-12;

impl CosineEmbedding {
    /// The loss of pairs of vectors against targets of -1 or 1.
    #[track_caller]
    pub fn call<'g>(&self, a: Var<'g>, b: Var<'g>, target: Var<'g>) -> Var<'g> {
        let _at = a.graph().at();
        let (op, all) = ("cosine_embedding", [a, b, target]);
        if let Err(refused) = super::alike(op, a, &[b]) {
            return refused;
        }
        let last = match a.axis(-1) {
            Ok(last) => last,
            Err(reason) => return a.refuse(op, &all, reason),
        };
        if target.ty().is_none() {
            return a.untyped(op, &all);
        }
        let rows = a.shape().without(&[last]);
        if target.shape() != rows {
            return a.refuse(op, &all, TypeError::Shapes(target.shape(), rows));
        }
        let dot = |a: Var<'g>, b: Var<'g>| (a.wide() * b.wide()).sum(-1);
        let cos = dot(a, b) / ((dot(a, a) + EPSILON) * (dot(b, b) + EPSILON)).sqrt();
        let near = target.equal(1).select(-cos + 1.0, 0.0);
        let far = target.equal(-1).select((cos - self.margin).relu(), 0.0);
        self.reduction.of(near + far).back_to(a.dtype())
    }
}

impl<'g> Var<'g> {
    /// `Σ a·b / (max(|a|, eps) · max(|b|, eps))` along an axis, which is removed. Other axes
    /// broadcast. PyTorch's defaults: axis 1, eps 1e-8.
    ///
    /// **Numerics** each vector is divided by its length first. The gradient by a vector shorter
    /// than `eps` is as if its length had a slope there; that of the length of zeros is 0.
    #[track_caller]
    pub fn cosine_similarity(self, other: Var<'g>, axis: i64, eps: f64) -> Var<'g> {
        let _at = self.graph().at();
        let [a, b] = match self.broadcast_with("cosine_similarity", other) {
            Ok(pair) => pair,
            Err(refused) => return refused,
        };
        let at = match a.axis(axis) {
            Ok(at) => at as i64,
            Err(reason) => return self.refuse("cosine_similarity", &[self, other], reason),
        };
        let unit = |x: Var<'g>| {
            let length = x.length(at);
            let raised = length.less(eps).select(-length + eps, 0.0).stop_gradient();
            x / (length + raised).broadcast_to(x.shape())
        };
        (unit(a.wide()) * unit(b.wide())).sum(at).back_to(a.dtype())
    }

    /// The mean of `1 - cos` of near pairs and `max(0, cos)` of others, see [`CosineEmbedding`].
    #[track_caller]
    pub fn cosine_embedding(self, other: Var<'g>, target: Var<'g>) -> Var<'g> {
        CosineEmbedding::default().call(self, other, target)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn angles_are_measured_and_zeros_have_none() {
        let g = Graph::new();
        let (a, b) = (g.input("a", F64, [3, 2]), g.input("b", F64, [1, 2]));
        let at = [
            &Tensor::new([3, 2], vec![3.0, 3.0, 0.0, -2.0, 0.0, 0.0]).unwrap(),
            &Tensor::new([1, 2], vec![0.0, 5.0]).unwrap(),
        ];
        let y = a.cosine_similarity(b, 1, 1e-8);
        let cos = y.eval(&at).unwrap().to_f64s();
        assert!((cos[0] - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(cos[1..], [-1.0, 0.0]);
        // At a vector of zeros the gradient is that of a division by eps.
        let da = g.grad(y, &[a])[0].eval(&at).unwrap().to_f64s();
        assert_eq!(da[4..], [0.0, 1e8]);
        let near = g.constant(Tensor::new([3], vec![1i64, -1, 1]).unwrap());
        let b3 = b.broadcast_to([3, 2]);
        let loss = a.cosine_embedding(b3, near).eval(&at).unwrap().item().unwrap();
        assert!((loss - (1.0 - 0.5f64.sqrt() + 1.0) / 3.0).abs() < 1e-12);
        assert!(a.cosine_embedding(b, near).ok().is_err());
        assert!(a.cosine_embedding(b3, b).ok().is_err());
        assert!(a.cosine_similarity(b, 2, 1e-8).ok().is_err());
    }
}
