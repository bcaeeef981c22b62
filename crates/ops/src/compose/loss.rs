//! Losses.

use pleach_graph::TypeError;

use crate::Var;

impl<'g> Var<'g> {
    /// Mean of `-ln softmax(x)[label]`: cross-entropy of logits against integer labels.
    ///
    /// | | shape | dtype |
    /// |---|---|---|
    /// | `self` | `[C]` or `[B, C, ..]` | f32, f64 |
    /// | `labels` | `[]` or `[B, ..]`, in `0..C` | i32, i64 |
    /// | result | `[]` | as `self` |
    ///
    /// A label outside of `0..C` is an error of the run.
    #[track_caller]
    pub fn cross_entropy(self, labels: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(x), Some(l)) = (self.ty(), labels.ty()) else {
            return self.untyped("cross_entropy", &[self, labels]);
        };
        if x.rank() == 0 {
            let (expected, got) = ("at least 1", x.shape().clone());
            let reason = TypeError::Rank { operand: 0, expected, got };
            return self.refuse("cross_entropy", &[self, labels], reason);
        }
        let axis = usize::from(x.rank() > 1);
        let rows = x.shape().without(&[axis]);
        if *l.shape() != rows {
            let reason = TypeError::Shapes(l.shape().clone(), rows);
            return self.refuse("cross_entropy", &[self, labels], reason);
        }
        let axis = axis as i64;
        let index = labels.reshape(x.shape().keeping(&[axis as usize]));
        -self.log_softmax(axis).gather(axis, index).mean()
    }

    /// Mean of `(x - target)²`. Shapes must be equal: a broadcast here is nearly always a mistake.
    #[track_caller]
    pub fn mse(self, target: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let (Some(x), Some(t)) = (self.ty(), target.ty()) else {
            return self.untyped("mse", &[self, target]);
        };
        if x.shape() != t.shape() {
            let reason = TypeError::Shapes(x.shape().clone(), t.shape().clone());
            return self.refuse("mse", &[self, target], reason);
        }
        let d = self - target;
        (d * d).mean()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn the_gradient_of_cross_entropy_is_softmax_minus_one_hot() {
        let g = Graph::new();
        let (x, y) = (g.input("x", F64, [2, 3]), g.input("y", I64, [2]));
        let at = Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 0.0, 0.0, 0.0]).unwrap();
        let labels = Tensor::new([2], vec![2i64, 0]).unwrap();
        let dx = g.grad(x.cross_entropy(y), &[x])[0].eval(&[&at, &labels]).unwrap().to_f64s();
        let p = x.softmax(1).eval(&[&at, &labels]).unwrap().to_f64s();
        let one_hot = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        for i in 0..6 {
            assert!((dx[i] - (p[i] - one_hot[i]) / 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn confident_logits_do_not_overflow() {
        let g = Graph::new();
        let (x, y) = (g.input("x", F32, [1, 2]), g.input("y", I64, [1]));
        let at = Tensor::new([1, 2], vec![500.0f32, -500.0]).unwrap();
        let label = Tensor::new([1], vec![1i64]).unwrap();
        assert_eq!(x.cross_entropy(y).eval(&[&at, &label]).unwrap().item(), Some(1000.0));
        let bad = Tensor::new([1], vec![2i64]).unwrap();
        assert!(x.cross_entropy(y).eval(&[&at, &bad]).is_err());
    }

    #[test]
    fn shapes_must_fit() {
        let g = Graph::new();
        let (x, y) = (g.input("x", F32, [2, 3]), g.input("y", I64, [3]));
        assert!(x.cross_entropy(y).ok().is_err());
        assert!(x.mse(g.input("t", F32, [3])).ok().is_err());
        assert_eq!(g.errors().len(), 2);
    }
}
