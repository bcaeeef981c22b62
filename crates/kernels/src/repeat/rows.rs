//! Loops whose steps keep rows apart: every thread does all steps of its own rows.
//!
//! ```text
//! thread 0:  rows 0..16 of step 0, of step 1, …
//! thread 1:  rows 16..32 of step 0, of step 1, …
//! ```
//! What a recurrent network makes of one sequence of a batch depends on that sequence alone, and on what
//! no step writes. Its loop is many small instructions, after each of which threads would wait for
//! each other. Done by rows, they wait once, at the end. A loop is done so if
//! - it has elementwise instructions and products alone, and every one writes as many rows;
//! - what it writes lies in rows at the same places for whoever reads or writes that memory, in any
//!   step, and is read by rows (see [`Cell`]);
//! - what products read whole fits the cache of every core. Else a core is better off with columns
//!   of its own of that.

use crate::check::Checker;
use crate::gemm::GemmPlan;
use crate::program::{Step, prepare};
use crate::{Kernel, Slice};

/// Bytes that the products of a step read whole, at most: half of the cache of a core.
const WHOLE: usize = 512 << 10;
/// Least rows of a thread: products of fewer load more than they multiply.
const LEAST: usize = 8;

/// Instructions, and how many clocks each of them has.
pub(super) type Part = Vec<(Box<dyn Step>, usize)>;

/// Rows of an instruction: along which axis of what it writes.
#[derive(Clone, Copy, Debug)]
struct Rows(usize);

/// Where the rows of a slice lie in memory, in bytes: at distance `pitch` from `start` on they take `len`
/// bytes each, in every step `moves` farther on.
#[derive(Clone, Copy, Debug)]
struct Cell {
    start: i128,
    pitch: i128,
    len: i128,
    moves: i128,
    /// From the first row to the last of a step, and one on.
    rows: i128,
}

impl Cell {
    fn of(slice: &Slice, axis: usize) -> Cell {
        let bytes = |elements: isize| elements as i128 * slice.dtype.size() as i128;
        let (mut low, mut high) = (0, bytes(1));
        for (i, (&n, &stride)) in slice.dims.iter().zip(&slice.strides).enumerate() {
            let reach = (n as i128 - 1) * bytes(stride);
            if i != axis {
                *if reach < 0 { &mut low } else { &mut high } += reach;
            }
        }
        let pitch = bytes(slice.strides[axis]);
        Cell {
            start: bytes(slice.offset as isize) + low,
            pitch,
            len: high - low,
            moves: slice.moves.map_or(0, |moves| bytes(moves.by)),
            rows: pitch * slice.dims[axis] as i128,
        }
    }

    /// Does a row of one touch no other row of either, in whatever steps?
    fn has_rows_of(&self, other: &Cell) -> bool {
        let (period, mut apart) = (self.moves.abs(), other.start - self.start);
        if period > 0 {
            // From a row to the same one of the nearest step.
            apart = (apart + period / 2).rem_euclid(period) - period / 2;
        }
        let both = self.len.max(apart + other.len) - apart.min(0);
        let same = (self.pitch, self.moves) == (other.pitch, other.moves);
        same && both <= self.pitch && (period == 0 || self.rows <= period)
    }
}

/// The rows of a loop's instructions, and how many there are; `None` if it is not done by rows.
fn rows(body: &[Kernel]) -> Option<(Vec<Rows>, usize)> {
    let of_product = |kernel: &Kernel| match kernel {
        Kernel::Gemm { c, .. } => Some(*c.dims.get(c.dims.len().checked_sub(2)?)?),
        _ => None,
    };
    let count = body.iter().find_map(of_product)?;
    let axis = |kernel: &Kernel| match kernel {
        Kernel::Gemm { c, .. } => {
            let at = c.dims.len().checked_sub(2)?;
            (c.dims[at] == count && c.dims[..at].iter().all(|&n| n == 1)).then_some(Rows(at))
        }
        Kernel::Loop { outputs, .. } => {
            // Of several axes as long, that which is outermost in memory.
            let y = outputs.first()?;
            let long = (0..y.dims.len()).filter(|&i| y.dims[i] == count);
            long.max_by_key(|&i| y.strides[i]).map(Rows)
        }
        _ => None,
    };
    let axes = body.iter().map(axis).collect::<Option<Vec<Rows>>>()?;
    are_apart(body, &axes).then_some((axes, count))
}

/// What a kernel reads and writes, with the axis of its rows, if it is done by rows.
fn accesses(kernel: &Kernel, Rows(axis): Rows) -> Vec<(&Slice, Option<usize>)> {
    match kernel {
        Kernel::Gemm { a, b, c } => {
            let of_a = a.slice.dims.len().checked_sub(a.columns + 1);
            vec![(&a.slice, of_a), (&b.slice, None), (c, Some(axis))]
        }
        Kernel::Loop { inputs, outputs, .. } => {
            inputs.iter().chain(outputs).map(|slice| (slice, Some(axis))).collect()
        }
        _ => Vec::new(),
    }
}

/// Does what is written of a row meet no other row, and do products read little whole?
fn are_apart(body: &[Kernel], axes: &[Rows]) -> bool {
    let all: Vec<(&Slice, Option<usize>)> =
        body.iter().zip(axes).flat_map(|(kernel, rows)| accesses(kernel, *rows)).collect();
    let whole: Vec<&Slice> =
        all.iter().filter(|(_, axis)| axis.is_none()).map(|(slice, _)| *slice).collect();
    let bytes = |slice: &Slice| slice.numel().saturating_mul(slice.dtype.size());
    let distinct = |i: usize| !whole[..i].contains(&whole[i]);
    let read: usize = (0..whole.len()).filter(|&i| distinct(i)).map(|i| bytes(whole[i])).sum();
    if read > WHOLE || all.iter().any(|(slice, _)| slice.dims.contains(&0)) {
        return false;
    }
    let written: Vec<(&Slice, usize)> = body
        .iter()
        .zip(axes)
        .flat_map(|(kernel, rows)| kernel.outputs().into_iter().map(|slice| (slice, rows.0)))
        .collect();
    written.iter().all(|&(y, rows)| {
        let own = Cell::of(y, rows);
        let by_rows = |x, axis| own.has_rows_of(&Cell::of(x, axis));
        all.iter().all(|&(x, axis)| never_meet(x, y) || axis.is_some_and(|axis| by_rows(x, axis)))
    })
}

/// Do they share no byte, whatever steps each of them is in?
fn never_meet(x: &Slice, y: &Slice) -> bool {
    let bytes = |slice: &Slice| {
        let (extent, size) = (slice.extent()?, slice.dtype.size());
        Some(extent.start.checked_mul(size)?..extent.end.checked_mul(size)?)
    };
    match (bytes(x), bytes(y)) {
        (Some(a), Some(b)) => x.buffer != y.buffer || a.end <= b.start || b.end <= a.start,
        _ => false,
    }
}

/// The instructions of a loop for each of `parts` threads; `None` if it is not done by rows, or has too
/// few of them.
pub(super) fn split(body: &[Kernel], parts: usize, checker: Checker<'_>) -> Option<Vec<Part>> {
    let (axes, count) = rows(body)?;
    if count / LEAST < parts {
        return None;
    }
    let start = |part: usize| count / parts * part + (count % parts).min(part);
    let part = |i: usize| {
        let (from, len) = (start(i), start(i + 1) - start(i));
        let step = |(kernel, rows): (&Kernel, &Rows)| {
            Some((narrowed(kernel, *rows, from, len, checker)?, kernel.clocks()))
        };
        body.iter().zip(&axes).map(step).collect::<Option<Part>>()
    };
    (0..parts).map(part).collect()
}

/// An instruction for some rows alone, with the bits that it has for all.
fn narrowed(
    kernel: &Kernel,
    Rows(axis): Rows,
    from: usize,
    len: usize,
    checker: Checker<'_>,
) -> Option<Box<dyn Step>> {
    match kernel {
        Kernel::Gemm { a, b, c } => Some(GemmPlan::new(a, b, c).ok()?.of_rows(from, len)?.step()),
        Kernel::Loop { program, inputs, outputs } => {
            let some = |slices: &[Slice]| -> Option<Vec<Slice>> {
                slices.iter().map(|slice| slice.rows(axis, from, len)).collect()
            };
            let (inputs, outputs) = (some(inputs)?, some(outputs)?);
            let kernel = Kernel::Loop { program: program.clone(), inputs, outputs };
            prepare(&kernel, checker).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use pleach_tensor::F32;
    use proptest::prelude::*;

    use super::*;
    use crate::{BufferId, BufferSpec, Matrix, Moves, ScalarOp, ScalarProgram};

    const STEPS: usize = 3;

    fn apply(op: ScalarOp, x: &Slice, y: &Slice) -> Kernel {
        let program = ScalarProgram::single(op, F32);
        Kernel::Loop { program, inputs: vec![x.clone()], outputs: vec![y.clone()] }
    }

    fn product(a: &Slice, b: &Slice, c: &Slice) -> Kernel {
        Kernel::Gemm { a: a.clone().into(), b: b.clone().into(), c: c.clone() }
    }

    /// `z = h·w`, `h = tanh(z)`; what is written lies in buffer 0, the weight in buffer 1.
    fn body(rows: usize, width: usize) -> [Slice; 3] {
        let array = |offset| Slice::new(BufferId(0), F32, offset, &[rows, width]);
        let weight = Slice::new(BufferId(1), F32, 0, &[width, width]);
        [array(0), array(rows * width), weight]
    }

    fn parts(body: &[Kernel], parts: usize) -> Option<usize> {
        let buffers = [4 << 20; 2].map(|bytes| BufferSpec { bytes, writable: true });
        let checker = Checker { buffers: &buffers, steps: Some(STEPS) };
        split(body, parts, checker).map(|parts| parts.len())
    }

    #[test]
    fn recurrences_of_rows_are_split() {
        let [h, z, w] = body(32, 16);
        let steps = [product(&h, &w, &z), apply(ScalarOp::Tanh, &z, &h)];
        assert_eq!(parts(&steps, 2), Some(2));
        assert_eq!(parts(&steps, 4), Some(4));
        assert_eq!(parts(&steps, 5), None, "too few rows for each");
        // Carries on a track: each step reads what the step before wrote.
        let on_track = |offset| {
            let moves = Some(Moves { by: 32 * 16, steps: STEPS });
            Slice { moves, offset, ..h.clone() }
        };
        let (before, after) = (on_track(4096), on_track(4096 + 32 * 16));
        let steps = [product(&before, &w, &z), apply(ScalarOp::Tanh, &z, &after)];
        assert_eq!(parts(&steps, 2), Some(2));
        // Columns beside each other, of a value that is stacked.
        let half = |offset| {
            let strides = [32, 1].into_iter().collect();
            let moves = Some(Moves { by: 32 * 32, steps: STEPS });
            Slice { moves, strides, offset, ..h.clone() }
        };
        let (left, right) = (half(8192), half(8192 + 16));
        let steps = [
            product(&h, &w, &z),
            apply(ScalarOp::Tanh, &z, &right),
            apply(ScalarOp::Tanh, &right, &left),
        ];
        assert_eq!(parts(&steps, 2), Some(2));
    }

    #[test]
    fn loops_whose_rows_meet_are_not_split() {
        let [h, z, w] = body(32, 16);
        let tanh = apply(ScalarOp::Tanh, &z, &h);
        let [h8, _, w8] = body(32, 8);
        let turned = Slice { strides: [1, 32].into_iter().collect(), ..z.clone() };
        let narrow = Slice::new(z.buffer, F32, z.offset, &[32, 8]);
        let later = Slice { offset: z.offset + 16, ..z.clone() };
        let [_, _, large] = body(32, 400);
        let wide = Slice::new(BufferId(0), F32, 8192, &[32, 400]);
        let own = Slice { buffer: BufferId(0), ..w.clone() };
        let c = Slice { offset: 8192, ..h.clone() };
        let cases: [(&str, Vec<Kernel>); 7] = [
            ("no product", vec![tanh.clone()]),
            ("columns", vec![product(&h, &w, &turned), apply(ScalarOp::Tanh, &turned, &h)]),
            (
                "rows of another length",
                vec![product(&h, &w, &z), apply(ScalarOp::Tanh, &h8, &narrow)],
            ),
            ("the next row", vec![product(&h, &w, &z), apply(ScalarOp::Tanh, &later, &h)]),
            (
                "a matrix that is written",
                vec![product(&z, &own, &c), apply(ScalarOp::Tanh, &c, &h)],
            ),
            (
                "a large matrix",
                vec![product(&wide, &large, &Slice { offset: 65536, ..wide.clone() })],
            ),
            (
                "fewer rows",
                vec![
                    product(&h, &w, &z),
                    product(&h8, &w8, &Slice::new(BufferId(0), F32, 4096, &[16, 8])),
                ],
            ),
        ];
        for (name, case) in cases {
            assert_eq!(parts(&case, 2), None, "{name}");
        }
    }

    #[test]
    fn products_of_other_forms_are_not_split() {
        let [h, z, w] = body(32, 16);
        let several = Slice::new(BufferId(0), F32, 0, &[4, 8, 16]);
        let rows = Matrix { slice: several, columns: 1, borders: vec![] };
        let steps = [Kernel::Gemm { a: rows, b: w.into(), c: z }];
        // Rows along two axes that are one in memory may be taken as such, or not at all.
        assert!(matches!(parts(&steps, 2), None | Some(2)));
        let (input, output) = (h.clone(), Slice::new(BufferId(0), F32, 8192, &[16]));
        let axes = crate::Axes::from_slice(&[0]);
        let sum = Kernel::Reduce { op: crate::ReduceOp::Sum, axes, input, output };
        let [h, z, w] = body(32, 16);
        assert_eq!(parts(&[product(&h, &w, &z), sum], 2), None);
    }

    /// Every place of a slice in all steps, by row.
    fn places(slice: &Slice, axis: usize) -> Vec<(isize, usize)> {
        let (by, steps) = slice.moves.map_or((0, 1), |moves| (moves.by, moves.steps));
        let other = 1 - axis;
        let mut places = Vec::new();
        for (t, r) in (0..steps).flat_map(|t| (0..slice.dims[axis]).map(move |r| (t, r))) {
            for c in 0..slice.dims[other] {
                let inside = r as isize * slice.strides[axis] + c as isize * slice.strides[other];
                places.push((slice.offset as isize + inside + t as isize * by, r));
            }
        }
        places
    }

    prop_compose! {
        fn slices()(
            offset in 20usize..40, rows in 2usize..5, columns in 1usize..4, axis in 0usize..2,
            pitch in 1isize..6, stride in -2isize..3, by in -30isize..31, still: bool,
        ) -> (Slice, usize) {
            let mut slice = Slice::new(BufferId(0), F32, offset + 200, &[rows, columns]);
            slice.strides = [pitch, stride].into_iter().collect();
            slice.moves = (!still).then_some(Moves { by, steps: STEPS });
            if axis == 1 {
                slice.dims.reverse();
                slice.strides.reverse();
            }
            (slice, axis)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn cells_with_rows_of_each_other_have_no_others(
            (x, axis) in slices(), apart in -12isize..13, columns in 1usize..4, again: bool,
            (other, other_axis) in slices(),
        ) {
            // Mostly a slice much like the first: two at random seldom fit.
            let (y, y_axis) = if again {
                let mut y = Slice { offset: x.offset.saturating_add_signed(apart), ..x.clone() };
                y.dims[1 - axis] = columns;
                (y, axis)
            } else {
                (other, other_axis)
            };
            if x.dims[axis] != y.dims[y_axis] {
                return Ok(());
            }
            if Cell::of(&x, axis).has_rows_of(&Cell::of(&y, y_axis)) {
                let of: HashMap<isize, usize> = places(&x, axis).into_iter().collect();
                for (place, row) in places(&y, y_axis) {
                    prop_assert!(of.get(&place).is_none_or(|own| *own == row));
                }
            }
        }
    }
}
