//! A table of vectors.

use pleach_ops::prelude::*;

/// Row `i` of a table for every index `i`.
///
/// | | shape | dtype |
/// |---|---|---|
/// | `indices` | `[..]`, any | i32, i64, in `0..rows` |
/// | `w` | `[rows, width]` | that of the [`Params`] |
/// | `y` | `[.., width]` | as `w` |
///
/// Begins as PyTorch's `nn.Embedding`: standard normal. An index outside of the table is an error
/// of the run. The gradient of a row is the sum over the places it stands at.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// The table, `[rows, width]`.
    pub w: Param,
}

impl Embedding {
    /// A table `w` of `rows` vectors of this width in scope `p`.
    pub fn new(p: &Params, rows: usize, width: usize) -> Embedding {
        let w = p.param("w", [rows, width], Init::normal(0.0, 1.0));
        Embedding { path: p.path().into(), w }
    }

    /// The rows at `indices`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, indices: Var<'g>) -> Var<'g> {
        let g = indices.graph();
        let _at = g.at_layer(&self.path);
        g.param(&self.w).take(0, indices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_looked_up_and_gradients_added_up() {
        let p = Params::seeded(1);
        let table = Embedding::new(&p.scope("words"), 3, 2);
        let g = Graph::train();
        let y = table.call(g.input("i", I64, [2, 2]));
        assert_eq!(y.shape(), [2, 2, 2].into());
        let at = Tensor::new([2, 2], vec![0i64, 2, 2, 2]).unwrap();
        let w = table.w.initial().to_f64s();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s()[2..4], w[4..6]);
        let dw = g.grad(y.sum_all(), &[g.param(&table.w)])[0].eval(&[&at]).unwrap();
        assert_eq!(dw.to_f64s(), [1.0, 1.0, 0.0, 0.0, 3.0, 3.0]);
        let bad = Tensor::new([2, 2], vec![0i64, 3, 0, 0]).unwrap();
        assert!(y.eval(&[&bad]).is_err());
    }
}
