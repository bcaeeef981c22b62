//! Scores of words, by the table that they were looked up in.

use pleach_ops::prelude::*;

use crate::Embedding;

/// `y = x · wᵀ + b`, where `w` is the table of an [`Embedding`]: the same parameter, used twice.
///
/// | | shape |
/// |---|---|
/// | `x` | `[.., width]` |
/// | `w` | `[rows, width]` |
/// | `y` | `[.., rows]` |
///
/// **Source** Press and Wolf, EACL 2017.
#[derive(Clone, Debug)]
pub struct TiedHead {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The table, `[rows, width]`.
    pub w: Param,
    /// The bias, `[rows]`.
    pub b: Option<Param>,
}

impl TiedHead {
    /// A head for this table, with a bias `b` of zeros in scope `p`.
    pub fn new(p: &Params, table: &Embedding) -> TiedHead {
        let rows = table.w.ty().shape().first().copied().unwrap_or(0);
        let b = p.param("b", [rows], Init::zeros());
        TiedHead { path: p.path().into(), w: table.w.clone(), b: Some(b) }
    }

    /// A head for this table without parameters of its own.
    pub fn without_bias(table: &Embedding) -> TiedHead {
        TiedHead { path: table.path.clone(), w: table.w.clone(), b: None }
    }

    /// The layer's value at `x`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        let _at = g.at_layer(&self.path);
        let y = x.matmul(g.param(&self.w).t());
        self.b.as_ref().map_or(y, |b| y + g.param(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_has_one_gradient_of_both_uses() {
        let p = Params::seeded(1).dtype(F64);
        let table = Embedding::new(&p.scope("words"), 3, 2);
        let head = TiedHead::new(&p.scope("out"), &table);
        assert_eq!(p.count(), 3 * 2 + 3);
        let g = Graph::train();
        let i = g.constant(Tensor::new([1], vec![1i64]).unwrap());
        let y = head.call(table.call(i));
        assert_eq!(y.ok().unwrap().shape(), [1, 3].into());
        let dw = g.grad(y.sum_all(), &[g.param(&table.w)])[0].eval(&[]).unwrap().to_f64s();
        let w = table.w.initial().to_f64s();
        // Every row is multiplied by row 1; row 1 also by the sum of all rows.
        for row in 0..3 {
            for j in 0..2 {
                let sum = if row == 1 { w[j] + w[2 + j] + w[4 + j] } else { 0.0 };
                assert!((dw[row * 2 + j] - w[2 + j] - sum).abs() < 1e-14);
            }
        }
        assert_eq!(TiedHead::without_bias(&table).call(table.call(i)).shape(), [1, 3].into());
    }
}
