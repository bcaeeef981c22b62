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
    /// A row that stands for nothing: it gets no gradient.
    pub padding: Option<usize>,
}

impl Embedding {
    /// A table `w` of `rows` vectors of this width in scope `p`.
    pub fn new(p: &Params, rows: usize, width: usize) -> Embedding {
        Embedding::with_init(p, rows, width, Init::normal(0.0, 1.0))
    }

    /// A table `w` that begins as `init` says. A language model's is better narrow: beside vectors
    /// of length `√width` those of positions are not seen.
    pub fn with_init(p: &Params, rows: usize, width: usize, init: Init) -> Embedding {
        let w = p.param("w", [rows, width], init);
        Embedding { path: p.path().into(), w, padding: None }
    }

    /// A table of which row `padding` stands for nothing: it begins at zeros and gets no gradient.
    pub fn with_padding(p: &Params, rows: usize, width: usize, padding: usize) -> Embedding {
        let init = Init::ZeroRow { init: Box::new(Init::normal(0.0, 1.0)), row: padding };
        let w = p.param("w", [rows, width], init);
        Embedding { path: p.path().into(), w, padding: Some(padding) }
    }

    /// The rows at `indices`. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn call<'g>(&self, indices: Var<'g>) -> Var<'g> {
        let g = indices.graph();
        let _at = g.at_layer(&self.path);
        let y = g.param(&self.w).take(0, indices);
        match self.padding {
            Some(row) => indices.equal(row).unsqueeze(-1).select(y.stop_gradient(), y),
            None => y,
        }
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

    #[test]
    fn padding_begins_at_zero_and_gets_no_gradient() {
        let p = Params::seeded(1);
        let table = Embedding::with_padding(&p.scope("words"), 3, 2, 1);
        assert_eq!(table.w.initial().to_f64s()[2..4], [0.0, 0.0]);
        let g = Graph::train();
        let i = g.constant(Tensor::new([3], vec![1i64, 2, 1]).unwrap());
        let dw = g.grad(table.call(i).sum_all(), &[g.param(&table.w)])[0].eval(&[]).unwrap();
        assert_eq!(dw.to_f64s(), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        let _ = Embedding::with_padding(&p.scope("wrong"), 3, 2, 3);
        assert_eq!(p.errors().len(), 1);
    }
}
