//! Triangles and diagonals of matrices.

use pleach_graph::TypeError;
use pleach_tensor::{I64, Shape};

use crate::{GraphExt, Var};

impl<'g> Var<'g> {
    /// The lower triangle of the last two axes: elements at `(i, j)` with `j - i <= diagonal`,
    /// zeros elsewhere.
    #[track_caller]
    pub fn tril(self, diagonal: i64) -> Var<'g> {
        let _at = self.graph().at();
        self.triangle("tril", diagonal, |column, row| column.less_equal(row))
    }

    /// The upper triangle of the last two axes: elements at `(i, j)` with `j - i >= diagonal`,
    /// zeros elsewhere.
    #[track_caller]
    pub fn triu(self, diagonal: i64) -> Var<'g> {
        let _at = self.graph().at();
        self.triangle("triu", diagonal, |column, row| column.greater_equal(row))
    }

    #[track_caller]
    fn triangle(
        self,
        op: &str,
        diagonal: i64,
        keep: impl FnOnce(Var<'g>, Var<'g>) -> Var<'g>,
    ) -> Var<'g> {
        let Some(ty) = self.ty() else { return self.untyped(op, &[self]) };
        let [.., rows, columns] = ty.shape()[..] else {
            let (expected, got) = ("at least 2", ty.shape().clone());
            return self.refuse(op, &[self], TypeError::Rank { operand: 0, expected, got });
        };
        // A diagonal further off than the matrix reaches keeps all or nothing.
        let reach = rows.max(columns) as i64 + 1;
        let shift = diagonal.clamp(-reach, reach);
        let g = self.graph();
        let row = g.iota(I64, [rows, 1], 0) + shift;
        let column = g.iota(I64, [1, columns], 1);
        keep(column, row).select(self, self.full_like(0.0))
    }

    /// The diagonal `j - i = offset` of the axes `row` and `column`, which are removed; it is the
    /// last axis of the result.
    #[track_caller]
    pub fn diagonal(self, offset: i64, row: i64, column: i64) -> Var<'g> {
        let _at = self.graph().at();
        let x = match (self.axis(row), self.axis(column)) {
            (Ok(a), Ok(b)) if a != b => self.movedim(&[row, column], &[-2, -1]),
            (Ok(_), Ok(_)) => {
                let why = "a diagonal needs two different axes".into();
                return self.refuse("diagonal", &[self], TypeError::Attribute(why));
            }
            (Err(reason), _) | (_, Err(reason)) => {
                return self.refuse("diagonal", &[self], reason);
            }
        };
        let (n, m) = (x.size(-2), x.size(-1));
        let skip = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let (start, length) = match offset >= 0 {
            true => (skip, m.saturating_sub(skip).min(n)),
            false => (skip.saturating_mul(m), n.saturating_sub(skip).min(m)),
        };
        let flat = x.flatten_axes(-2, -1);
        if length == 0 {
            return flat.slice(-1, 0..0);
        }
        flat.slice_step(-1, start..start + (length - 1) * (m + 1) + 1, m + 1)
    }

    /// Matrices with the last axis on the diagonal `j - i = offset`, zeros elsewhere; `row` and
    /// `column` are the places of their axes in the result.
    #[track_caller]
    pub fn diag_embed(self, offset: i64, row: i64, column: i64) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("diag_embed", &[self]) };
        let rank = ty.rank() + 1;
        let place = |axis: i64| {
            let at = if axis < 0 { axis + rank as i64 } else { axis };
            usize::try_from(at).ok().filter(|&at| at < rank).ok_or(TypeError::Axis { axis, rank })
        };
        let places = place(row).and_then(|r| Ok((r, place(column)?)));
        let why = match places {
            _ if ty.rank() == 0 => {
                let (expected, got) = ("at least 1", ty.shape().clone());
                TypeError::Rank { operand: 0, expected, got }
            }
            Ok((r, c)) if r == c => {
                TypeError::Attribute("a diagonal needs two different axes".into())
            }
            Err(reason) => reason,
            Ok(_) => return self.embedded(offset).movedim(&[-2, -1], &[row, column]),
        };
        self.refuse("diag_embed", &[self], why)
    }

    /// As [`Var::diag_embed`] into the last two axes.
    #[track_caller]
    fn embedded(self, offset: i64) -> Var<'g> {
        let k = self.size(-1);
        let skip = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let n = k.saturating_add(skip);
        let Some(all) = n.checked_mul(n) else {
            let why = "the matrix would have more elements than can be counted".into();
            return self.refuse("diag_embed", &[self], TypeError::Attribute(why));
        };
        let outer = self.shape().rank() - 1;
        let last = |before, after| [vec![(0, 0); outer], vec![(before, after)]].concat();
        let start = if offset >= 0 { skip } else { skip * n };
        // Each element is followed by a row of zeros, up to the next place on the diagonal.
        let spread = self.unsqueeze(-1).pad(&[last(0, 0), vec![(0, n)]].concat());
        let flat = spread.flatten_axes(-2, -1);
        let flat = flat.slice(-1, 0..flat.size(-1).min(all - start.min(all)));
        let flat = flat.pad(&last(start, all - start - flat.size(-1)));
        let square: Shape = self.shape()[..outer].iter().copied().chain([n, n]).collect();
        flat.reshape(square)
    }

    /// Of a vector, the matrix with it on the diagonal `j - i = offset`; of a matrix, that
    /// diagonal.
    #[track_caller]
    pub fn diag(self, offset: i64) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("diag", &[self]) };
        match ty.rank() {
            1 => self.diag_embed(offset, -2, -1),
            2 => self.diagonal(offset, 0, 1),
            _ => {
                let (expected, got) = ("1 or 2", ty.shape().clone());
                self.refuse("diag", &[self], TypeError::Rank { operand: 0, expected, got })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn nine(g: &Graph) -> (Var<'_>, Tensor) {
        let ty = Type::new(F64, [3, 3]).unwrap();
        (g.input("x", F64, [3, 3]), Tensor::build(&ty, |i| i as f64 + 1.0))
    }

    #[test]
    fn triangles_keep_their_diagonal() {
        let g = Graph::new();
        let (x, at) = nine(&g);
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.tril(0)), [1.0, 0.0, 0.0, 4.0, 5.0, 0.0, 7.0, 8.0, 9.0]);
        assert_eq!(value(x.triu(1)), [0.0, 2.0, 3.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(value(x.tril(i64::MAX)), value(x));
        assert_eq!(value(x.triu(i64::MAX)), [0.0; 9]);
        assert_eq!(value(x.triu(i64::MIN)), value(x));
        let mask = g.full(BOOL, [2, 2], 1.0).tril(-1);
        assert_eq!(mask.eval(&[]).unwrap().to_i64s(), [0, 0, 1, 0]);
        assert!(g.input("v", F32, [3]).tril(0).ok().is_err());
    }

    #[test]
    fn diagonals_come_out_and_go_in() {
        let g = Graph::new();
        let (x, at) = nine(&g);
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.diagonal(0, 0, 1)), [1.0, 5.0, 9.0]);
        assert_eq!(value(x.diagonal(1, 0, 1)), [2.0, 6.0]);
        assert_eq!(value(x.diagonal(-2, 0, 1)), [7.0]);
        assert_eq!(value(x.diagonal(1, 1, 0)), [4.0, 8.0]);
        assert_eq!(x.diagonal(3, 0, 1).shape(), [0].into());
        assert_eq!(x.diagonal(i64::MIN, 0, 1).shape(), [0].into());
        assert_eq!(value(x.diag(2).diag(-1)), [0.0, 0.0, 3.0, 0.0]);
        assert_eq!(x.diag_embed(-1, 0, 2).shape(), [4, 3, 4].into());
        let there_and_back = x.diag_embed(-1, 0, 2).diagonal(-1, 0, 2);
        assert_eq!(value(there_and_back), value(x));
        assert!(x.diagonal(0, 1, -1).ok().is_err());
        assert!(x.diag_embed(0, 1, 1).ok().is_err());
        assert!(x.diag_embed(i64::MAX, 0, 1).ok().is_err());
        assert!(x.unsqueeze(0).diag(0).ok().is_err());
    }
}
