//! Where the operand of a product is zeros around a value: terms that need not be added.

use std::ops::Range;

use pleach_kernels::{Border, Matrix, Slice};

use crate::lower::Lowered;

/// Memory with zeros around a value.
#[derive(Clone, Debug)]
pub(crate) struct Padded {
    /// All of it.
    pub(crate) all: Slice,
    /// The value, along every axis.
    pub(crate) inside: Vec<Range<usize>>,
}

impl Padded {
    /// The axes of a matrix over this memory whose rows and columns run together along an axis with zeros
    /// at its ends. `None` if they wrap around an axis.
    fn borders(&self, matrix: &Matrix, rank: usize) -> Option<Vec<Border>> {
        let (slice, all) = (&matrix.slice, &self.all);
        let columns = slice.dims.len().checked_sub(matrix.columns)?;
        let mut rest = slice.offset.checked_sub(all.offset)?;
        let mut starts = Vec::with_capacity(all.dims.len());
        for &stride in &all.strides {
            let stride = usize::try_from(stride).ok().filter(|&s| s > 0)?;
            starts.push(rest / stride);
            rest %= stride;
        }
        // What goes how far along every axis of the memory.
        let mut along: Vec<Vec<(usize, usize)>> = vec![Vec::new(); all.dims.len()];
        let mut reach = starts.clone();
        for (axis, (&len, &stride)) in slice.dims.iter().zip(&slice.strides).enumerate() {
            if len == 1 {
                continue;
            }
            let of = (0..all.dims.len()).find(|&i| all.dims[i] > 1 && all.strides[i] <= stride)?;
            if stride % all.strides[of] != 0 {
                return None;
            }
            let step = usize::try_from(stride / all.strides[of]).ok()?;
            reach[of] = reach[of].checked_add(step.checked_mul(len.checked_sub(1)?)?)?;
            along[of].push((axis, step));
        }
        if reach.iter().zip(&all.dims).any(|(reach, len)| reach >= len) {
            return None;
        }
        let borders = along.iter().zip(&self.inside).zip(&starts).zip(&all.dims);
        type Axis<'a> = (((&'a Vec<(usize, usize)>, &'a Range<usize>), &'a usize), &'a usize);
        let border = |(((along, inside), &start), &len): Axis<'_>| {
            let [(row, down), (column, across)] = along[..] else { return None };
            let apart = (rank.saturating_sub(2)..columns).contains(&row) && column >= columns;
            let inside = inside.start.saturating_sub(start)..inside.end.saturating_sub(start);
            let some = inside != (0..len - start);
            (apart && some).then_some(Border { axes: [row, column], steps: [down, across], inside })
        };
        Some(borders.filter_map(border).collect())
    }
}

impl Lowered {
    /// The matrix with what is known of zeros in it, as an operand of a product of this rank.
    pub(crate) fn with_borders(&self, mut matrix: Matrix, rank: usize) -> Matrix {
        let padded = self.padded.get(&matrix.slice.buffer);
        matrix.borders = padded.and_then(|p| p.borders(&matrix, rank)).unwrap_or_default();
        matrix
    }
}
