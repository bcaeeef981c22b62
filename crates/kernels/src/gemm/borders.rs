//! Terms of sums that are 0, because they come from zeros around an image.

use std::ops::Range;

use super::blocks::DEPTH;
use super::strips::Term;
use crate::{Fault, Matrix};

/// Most axes with borders; of more, those of the first are not known.
const MOST: usize = 3;

/// An axis of rows or columns: how many of them a step takes, its length, and how far a step goes.
#[derive(Clone, Copy, Debug)]
struct Walk {
    after: usize,
    len: usize,
    step: usize,
}

impl Walk {
    /// How far row or column number `at` is along the axis.
    fn place(self, at: usize) -> usize {
        at / self.after % self.len * self.step
    }
}

/// The borders of a matrix, the innermost axis last.
#[derive(Clone, Debug, Default)]
pub(super) struct Borders(Vec<(Walk, Walk, Range<usize>)>);

impl Borders {
    pub(super) fn new(matrix: &Matrix, rank: usize) -> Result<Borders, Fault> {
        let dims = &matrix.slice.dims;
        let columns = dims.len().saturating_sub(matrix.columns);
        let walk = |axes: Range<usize>, axis: usize, step: usize| {
            let after = || dims[axis + 1..axes.end].iter().product();
            axes.contains(&axis).then(|| Walk { after: after(), len: dims[axis], step })
        };
        let mut all = Vec::new();
        for border in &matrix.borders {
            let [row, column] = border.axes;
            let row = walk(rank.saturating_sub(2)..columns, row, border.steps[0]);
            let column = walk(columns..dims.len(), column, border.steps[1]);
            match row.zip(column) {
                Some((row, column)) => all.push((row, column, border.inside.clone())),
                None => {
                    return Err(Fault::Shape {
                        expected: dims.to_vec(),
                        got: border.axes.to_vec(),
                    });
                }
            }
        }
        all.sort_by_key(|(_, column, _)| std::cmp::Reverse(column.after));
        let more = all.len().saturating_sub(MOST);
        Ok(Borders(all.split_off(more)))
    }

    /// None if as few columns as this, those of a vector, have the same terms: a narrow strip takes longer
    /// than it saves. Nor where terms change within a vector.
    pub(super) fn if_wide(self, columns: usize) -> Borders {
        let run = self.run_from(0);
        if run <= columns || !run.is_multiple_of(columns) { Borders::default() } else { self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many columns from number `at` on have the same terms.
    pub(super) fn run_from(&self, at: usize) -> usize {
        self.0.last().map_or(usize::MAX, |(_, column, _)| column.after - at % column.after)
    }

    /// The terms of a block of sums: rows from number `first` on, that are at these places.
    pub(super) fn terms(&self, places: &[isize], first: usize, skip: bool) -> Terms<'_> {
        let borders = if skip { &self.0[..] } else { &[] };
        let mut terms = Terms {
            borders,
            kept: [[Term { a: 0, b: 0 }; DEPTH]; MOST + 1],
            counts: [0; MOST + 1],
            along: [[0; DEPTH]; MOST],
            inside: [(0, 0); MOST],
        };
        for (a, &b) in places.iter().enumerate() {
            terms.kept[0][a] = Term { a, b };
        }
        terms.counts[0] = places.len();
        for (along, (row, ..)) in terms.along.iter_mut().zip(borders) {
            for (a, along) in along.iter_mut().enumerate().take(places.len()) {
                *along = row.place(first + a) as isize;
            }
        }
        terms
    }
}

/// The terms that are not in a border, for one column after the other.
pub(super) struct Terms<'a> {
    borders: &'a [(Walk, Walk, Range<usize>)],
    /// All terms; those that are inside along the first axis; those of them along the second, …
    kept: [[Term; DEPTH]; MOST + 1],
    counts: [usize; MOST + 1],
    /// How far the rows of all terms are along every axis.
    along: [[isize; DEPTH]; MOST],
    /// How far rows may be, of the last column.
    inside: [(isize, isize); MOST],
}

impl Terms<'_> {
    /// Those of column number `at`.
    #[inline]
    pub(super) fn at(&mut self, at: usize) -> &[Term] {
        let mut stale = false;
        for (i, (row, column, inside)) in self.borders.iter().enumerate() {
            let (place, far) = (column.place(at) as isize, ((row.len - 1) * row.step) as isize);
            let start = (inside.start as isize - place).clamp(0, far + 1);
            let end = (inside.end as isize - place).clamp(0, far + 1);
            stale |= self.inside[i] != (start, end);
            if stale {
                self.inside[i] = (start, end);
                let (from, to) = self.kept.split_at_mut(i + 1);
                let mut count = 0;
                for term in &from[i][..self.counts[i]] {
                    to[0][count] = *term;
                    count += usize::from((start..end).contains(&self.along[i][term.a]));
                }
                self.counts[i + 1] = count;
            }
        }
        let last = self.borders.len();
        &self.kept[last][..self.counts[last]]
    }
}
