//! Operands of matrix products.

use std::ops::Range;

use crate::gemm::Side;
use crate::{Axes, Slice};

/// An operand of a product: a slice whose last axes are the columns of matrices, those before them the
/// rows, and the first the batch. Rows and columns may run along several axes each, in row-major
/// order: so the windows of an image are a matrix without a copy.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Where the elements are.
    pub slice: Slice,
    /// How many axes are the columns.
    pub columns: usize,
    /// What is known to be 0: these terms of sums may be left out.
    pub borders: Vec<Border>,
}

/// An axis of rows and one of columns that run together along an axis with zeros at its ends, as the
/// windows of an image do that has zeros around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Border {
    /// The axis of rows and that of columns, of the slice.
    pub axes: [usize; 2],
    /// How far a step along each goes.
    pub steps: [usize; 2],
    /// An element farther along both than this, or less far, is +0.
    pub inside: Range<usize>,
}

impl From<Slice> for Matrix {
    /// One axis of columns.
    fn from(slice: Slice) -> Matrix {
        Matrix { slice, columns: 1, borders: Vec::new() }
    }
}

impl Matrix {
    /// The first axis of rows and of columns, under a result of this rank; there may be none.
    fn axes(&self, rank: usize) -> [usize; 2] {
        let all = self.slice.dims.len();
        let columns = all.saturating_sub(self.columns);
        [rank.saturating_sub(2).min(columns), columns]
    }

    /// Numbers of rows and columns. They wrap if they do not fit; a checked program has no such slice.
    pub(crate) fn lengths(&self, rank: usize) -> [usize; 2] {
        let [rows, columns] = self.axes(rank);
        let product = |dims: &[usize]| dims.iter().fold(1, |p: usize, &n| p.wrapping_mul(n));
        [product(&self.slice.dims[rows..columns]), product(&self.slice.dims[columns..])]
    }

    /// A slice of the lengths that this has with one axis of rows and one of columns, to be checked.
    pub(crate) fn joined(&self, rank: usize) -> Slice {
        let mut dims = Axes::from_slice(&self.slice.dims[..self.axes(rank)[0]]);
        dims.extend(self.lengths(rank));
        Slice { dims, ..self.slice.clone() }
    }

    /// Rows and columns. Those that are one axis of the slice keep its stride.
    pub(crate) fn sides(&self, rank: usize) -> [Side; 2] {
        let [rows, columns] = self.axes(rank);
        let Slice { dims, strides, .. } = &self.slice;
        [rows..columns, columns..dims.len()].map(|axes| match strides[axes.clone()] {
            [stride] => Side::straight(dims[axes.start], stride),
            _ => Side::new(&dims[axes.clone()], &strides[axes]),
        })
    }
}
