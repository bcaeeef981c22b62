//! One head, forward or backward, in blocks of queries.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::gemm::{Lanes, Matrices, Next};
use crate::num::{Float, Num};
use crate::pieces::{PIECE, across, larger, peak};
use crate::vector::{Body, Entry, Fused, Machine, Plain};

/// Widest keys and values.
pub(super) const WIDTH: usize = 128;
/// Bytes of keys, or of values, of a head.
pub(super) const AREA: usize = 128 << 10;
/// Scores of a block of queries.
pub(super) const SCORES: usize = 8192;
/// Most queries of a block. For gradients a block is the inner axis of products.
const QUERIES: usize = 32;
/// Most queries of a causal block that needs no gradient: smaller blocks have less that is not seen.
const FEW_QUERIES: usize = 16;

/// Distance of rows of scores: whole pieces.
pub(super) fn pitch(keys: usize) -> usize {
    keys.saturating_add(PIECE - 1) / PIECE * PIECE
}

/// A matrix in memory, with distances of rows and of columns in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    pub(crate) at: *mut u8,
    pub(crate) rows: isize,
    pub(crate) columns: isize,
}

impl Matrix {
    /// The matrix from row `i` on, of elements `T`.
    fn row_on<T>(self, i: usize) -> Matrix {
        Matrix { at: self.at.cast::<T>().wrapping_offset(i as isize * self.rows).cast(), ..self }
    }
}

/// A head. Contract: matrices of these sizes are valid for reads, `y` or the results `dq`, `dk`, `dv`
/// for writes and apart from all others, and so are `weights` forward;
/// [`attention_fits`](super::attention_fits) these sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Queries, keys, width of keys, width of values.
    pub(crate) sizes: [usize; 4],
    /// Does query `i` see keys `0..=i` only?
    pub(crate) causal: bool,
    pub(crate) scale: f64,
    pub(crate) q: Matrix,
    pub(crate) k: Matrix,
    pub(crate) v: Matrix,
    pub(crate) y: Option<Matrix>,
    /// The weights of keys for queries: forward they go here, backward they come from here, where only
    /// those count that are seen.
    pub(crate) weights: Option<Matrix>,
    /// What came for `y`, and where gradients of q, k and v go.
    pub(crate) backward: Option<[Matrix; 4]>,
}

impl Head {
    /// Where weights go and the distance of their rows, if they are made where they will lie.
    fn in_place(&self) -> Option<(Matrix, usize)> {
        let [l, s, ..] = self.sizes;
        let w = self.weights.filter(|w| w.columns == 1 && s == pitch(s) && self.y.is_some())?;
        let distance = if l > 1 { usize::try_from(w.rows).ok()? } else { s };
        (distance >= s).then_some((w, distance))
    }
}

/// Memory that begins with a line of the cache, with room for a vector past its end.
#[repr(align(64))]
#[allow(dead_code, reason = "only its place is used")]
struct Lines<T>(T, [u8; 64]);

/// The head by vectors `V`. Contract: that of [`Head`], and `tiles` are the products by tiles.
pub(crate) struct Heads<V>(PhantomData<V>);

impl<V: Lanes> Body for Heads<V>
where
    V::T: Float,
{
    type Args = (Head, Entry<Matrices>);

    #[inline(always)]
    unsafe fn run((head, tiles): (Head, Entry<Matrices>)) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Plain>(head, tiles) }
    }
    #[inline(always)]
    unsafe fn run_fused((head, tiles): (Head, Entry<Matrices>)) {
        // SAFETY: the caller keeps the contract.
        unsafe { Self::on::<Fused>(head, tiles) }
    }
}

impl<V: Lanes> Heads<V>
where
    V::T: Float,
{
    /// # Safety
    /// The contract of the type.
    #[inline(always)]
    unsafe fn on<M: Machine>(head: Head, tiles: Entry<Matrices>) {
        let Head { sizes: [l, s, e, d], causal, q, k, v, .. } = head;
        let (pitch, scale) = (pitch(s), V::T::from_f64(head.scale));
        let few = causal && head.backward.is_none();
        let most = if few { FEW_QUERIES } else { QUERIES };
        let most = (SCORES / pitch.max(1) / 8 * 8).clamp(8, most);
        let mut keys = MaybeUninit::<Lines<[u8; AREA]>>::uninit();
        let mut values = MaybeUninit::<Lines<[u8; AREA]>>::uninit();
        let mut rows = MaybeUninit::<Lines<[u8; AREA]>>::uninit();
        let mut scores = MaybeUninit::<Lines<[f64; SCORES]>>::uninit();
        let mut queries = MaybeUninit::<Lines<[f64; QUERIES * WIDTH]>>::uninit();
        let mut came = MaybeUninit::<Lines<[f64; QUERIES * WIDTH]>>::uninit();
        let mut slopes = MaybeUninit::<Lines<[f64; SCORES]>>::uninit();
        let (keys, values) = (keys.as_mut_ptr().cast(), values.as_mut_ptr().cast());
        let (rows, scores) = (rows.as_mut_ptr().cast(), scores.as_mut_ptr().cast::<V::T>());
        let (queries, came) = (queries.as_mut_ptr().cast(), came.as_mut_ptr().cast());
        let slopes = slopes.as_mut_ptr().cast::<V::T>();
        let product = |[m, n, k]: [usize; 3], a: Matrix, b: (*mut V::T, usize), c: Matrix, add| {
            let (a, a_rs, a_cs) = (a.at.cast_const(), a.rows, a.columns);
            let (b, b_rs) = (b.0.cast_const().cast(), b.1 as isize);
            let (c, c_rs, c_cs) = (c.at, c.rows, c.columns);
            let next = Next::NOTHING;
            let p = Matrices { m, n, k, a, a_rs, a_cs, b, b_rs, b_cs: 1, c, c_rs, c_cs, add, next };
            // SAFETY: blocks of the matrices and of the areas, which have room for them.
            unsafe { tiles(p) };
        };
        let dense = |x: *mut V::T, rows| Matrix { at: x.cast(), rows: rows as isize, columns: 1 };
        let turned = |x: *mut V::T, rows| Matrix { at: x.cast(), rows: 1, columns: rows as isize };
        let given = head.weights.filter(|_| head.backward.is_some());
        if given.is_none() {
            // SAFETY: matrices of the contract; areas have room for them. So for all calls below.
            unsafe { turn::<V>(k, [s, e], keys, pitch) };
        }
        match head.backward {
            // SAFETY: see above.
            None => unsafe { copy(v, [s, d], values, d) },
            Some([_, _, dk, dv]) => {
                // SAFETY: see above.
                unsafe {
                    turn::<V>(v, [s, d], values, pitch);
                    copy(k, [s, e], rows, e);
                    clear::<V::T>(dk, [s, e]);
                    clear::<V::T>(dv, [s, d]);
                }
            }
        }
        for i in (0..l).step_by(most) {
            let m = most.min(l - i);
            // Keys that the block sees, of which its first rows see less.
            let n = if causal { s.min(i + m) } else { s };
            let seen = |row: usize| if causal { n.min(i + row + 1) } else { n };
            let (scores, apart) = match head.in_place() {
                Some((w, distance)) => (w.row_on::<V::T>(i).at.cast::<V::T>(), distance),
                None => (scores, pitch),
            };
            // SAFETY: see above.
            unsafe { copy(q.row_on::<V::T>(i), [m, e], queries, e) };
            if given.is_none() {
                product([m, n, e], dense(queries, e), (keys, pitch), dense(scores, apart), false);
                // Of weights that are kept, those are zeros that nothing sees.
                let len = self::pitch(if head.weights.is_some() { s } else { n });
                for row in 0..m {
                    // SAFETY: a row of scores, of which `n` are written.
                    unsafe {
                        softmax::<M, _>(scores.add(row * apart), seen(row), len, scale, causal);
                    }
                }
            }
            match (head.weights.map(|w| w.row_on::<V::T>(i)), given) {
                (Some(w), None) if head.in_place().is_none() => {
                    // SAFETY: see above.
                    unsafe { put(scores, apart, [m, s], w) };
                }
                (Some(w), Some(_)) => {
                    for row in 0..m {
                        let to = scores.wrapping_add(row * apart);
                        // SAFETY: see above; of what is not seen there are no weights.
                        unsafe {
                            copy(w.row_on::<V::T>(row), [1, seen(row)], to, apart);
                            for j in seen(row)..self::pitch(n) {
                                to.add(j).write(V::T::ZERO);
                            }
                        }
                    }
                }
                _ => {}
            }
            if let Some(y) = head.y {
                let y = y.row_on::<V::T>(i);
                product([m, d, n], dense(scores, apart), (values, d), y, false);
            }
            if let Some([dy, dq, dk, dv]) = head.backward {
                // SAFETY: see above.
                unsafe { copy(dy.row_on::<V::T>(i), [m, d], came, d) };
                product([m, n, d], dense(came, d), (values, pitch), dense(slopes, pitch), false);
                for row in 0..m {
                    let (p, dp) =
                        (scores.wrapping_add(row * apart), slopes.wrapping_add(row * pitch));
                    // SAFETY: rows of scores and of what came for them.
                    unsafe { slope(p, dp, seen(row), self::pitch(n), scale) };
                }
                let dq = dq.row_on::<V::T>(i);
                product([m, e, n], dense(slopes, pitch), (rows, e), dq, false);
                product([n, e, m], turned(slopes, pitch), (queries, e), dk, true);
                product([n, d, m], turned(scores, apart), (came, d), dv, true);
            }
        }
    }
}

/// Writes a matrix to rows at distance `pitch`.
///
/// # Safety
/// The elements are valid for reads, the rows for writes.
#[inline(always)]
unsafe fn copy<T: Num>(x: Matrix, [m, n]: [usize; 2], to: *mut T, pitch: usize) {
    for i in 0..m {
        let (x, to, across) =
            (x.row_on::<T>(i).at.cast::<T>(), to.wrapping_add(i * pitch), x.columns);
        // SAFETY of both: the caller's promise.
        if across == 1 {
            for j in 0..n {
                // SAFETY: see above.
                unsafe { to.add(j).write(*x.add(j)) };
            }
        } else {
            for j in 0..n {
                // SAFETY: see above.
                unsafe { to.add(j).write(*x.offset(j as isize * across)) };
            }
        }
    }
}

/// Writes rows at distance `pitch` to a matrix.
///
/// # Safety
/// The rows are valid for reads, the elements for writes.
#[inline(always)]
unsafe fn put<T: Num>(from: *const T, pitch: usize, [m, n]: [usize; 2], to: Matrix) {
    for i in 0..m {
        let (from, row) = (from.wrapping_add(i * pitch), to.row_on::<T>(i).at.cast::<T>());
        for j in 0..n {
            // SAFETY: the caller's promise.
            unsafe { row.offset(j as isize * to.columns).write(*from.add(j)) };
        }
    }
}

/// Writes a matrix of zeros.
///
/// # Safety
/// The elements are valid for writes.
#[inline(always)]
unsafe fn clear<T: Num>(x: Matrix, [m, n]: [usize; 2]) {
    for i in 0..m {
        let row = x.row_on::<T>(i).at.cast::<T>();
        for j in 0..n as isize {
            // SAFETY: the caller's promise.
            unsafe { row.offset(j * x.columns).write(T::ZERO) };
        }
    }
}

/// Writes the columns of a matrix as rows at distance `pitch`.
///
/// # Safety
/// The elements are valid for reads, the rows for writes.
#[inline(always)]
unsafe fn turn<V: Lanes>(x: Matrix, [m, n]: [usize; 2], to: *mut V::T, pitch: usize) {
    let (from, side) = (x.at.cast::<V::T>().cast_const(), V::SQUARE);
    let whole = if x.columns == 1 { [m / side * side, n / side * side] } else { [0, 0] };
    for i in (0..whole[0]).step_by(side) {
        let places: [isize; 8] = std::array::from_fn(|r| (i + r) as isize * x.rows);
        for j in (0..whole[1]).step_by(side) {
            let to = to.wrapping_add(j * pitch + i);
            // SAFETY: a square, and its place.
            unsafe { V::transpose(from.add(j), &places[..side], to, pitch as isize) };
        }
    }
    for i in 0..m {
        for j in if i < whole[0] { whole[1] } else { 0 }..n {
            let at = i as isize * x.rows + j as isize * x.columns;
            // SAFETY: an element, and its place.
            unsafe { to.add(j * pitch + i).write(*from.offset(at)) };
        }
    }
}

/// A row of which the first `seen` elements count: whole pieces up to there, the last one filled with
/// `rest`, and what is behind them, up to `len`, a multiple of [`PIECE`].
///
/// # Safety
/// There is room for `len` elements, of which `seen` are initialized; nothing else uses them.
#[inline(always)]
unsafe fn parts<'a, T: Num>(
    x: *mut T,
    seen: usize,
    len: usize,
    rest: T,
) -> (&'a mut [[T; PIECE]], &'a mut [MaybeUninit<T>]) {
    let whole = pitch(seen);
    // SAFETY of all: the caller's promise; an array has the alignment of its elements.
    for i in seen..whole {
        // SAFETY: see above.
        unsafe { x.add(i).write(rest) };
    }
    // SAFETY: see above; all of these are initialized now.
    let pieces = unsafe { std::slice::from_raw_parts_mut(x.cast(), whole / PIECE) };
    // SAFETY: see above.
    let behind = unsafe { std::slice::from_raw_parts_mut(x.add(whole).cast(), len - whole) };
    (pieces, behind)
}

/// The softmax of `scale` times the first `seen` elements; zeros up to `len`, a multiple of [`PIECE`]. A row
/// without weight is zeros if `zeros`, or NaN.
///
/// # Safety
/// As for [`parts`].
#[inline(always)]
unsafe fn softmax<M: Machine, T: Float>(x: *mut T, seen: usize, len: usize, scale: T, zeros: bool) {
    // SAFETY: the caller's promise.
    let (row, behind) = unsafe { parts(x, seen, len, T::ZERO) };
    let mut most = [T::LOWEST; PIECE];
    let last = seen % PIECE;
    let (whole, part) = row.split_at_mut(seen / PIECE);
    // Scores are scaled as they are recorded: after they were added up.
    for x in whole.iter_mut() {
        for (most, x) in most.iter_mut().zip(x) {
            *x = x.mul(scale);
            *most = larger(*x, *most);
        }
    }
    for x in part.iter_mut() {
        for (i, (most, x)) in most.iter_mut().zip(x).enumerate() {
            *x = if i < last { x.mul(scale) } else { T::LOWEST };
            *most = larger(*x, *most);
        }
    }
    let most = peak(across(most, larger));
    let mut sums = [T::ZERO; PIECE];
    for x in row.iter_mut() {
        for (sum, x) in sums.iter_mut().zip(x) {
            *x = x.sub(most).exp::<M>();
            *sum = sum.add(*x);
        }
    }
    let sum = across(sums, T::add);
    let factor = if zeros && sum == T::ZERO { T::ONE } else { T::ONE.div(sum) };
    for x in row.as_flattened_mut() {
        *x = x.mul(factor);
    }
    behind.fill(MaybeUninit::new(T::ZERO.mul(factor)));
}

/// What came for the products of a row before they were scaled, instead of `dp` that came for its weights
/// `p`: `p·(dp - Σ p·dp)·scale`.
///
/// # Safety
/// As for [`parts`], of both rows; all of `p` are initialized.
#[inline(always)]
unsafe fn slope<T: Float>(p: *mut T, dp: *mut T, seen: usize, len: usize, scale: T) {
    // SAFETY: the caller's promise.
    let ((p, p_behind), (dp, behind)) =
        unsafe { (parts(p, pitch(seen), len, T::ZERO), parts(dp, seen, len, T::ZERO)) };
    let mut sums = [T::ZERO; PIECE];
    for (p, dp) in p.iter().zip(dp.iter()) {
        for (sum, (&p, &dp)) in sums.iter_mut().zip(p.iter().zip(dp)) {
            *sum = sum.add(p.mul(dp));
        }
    }
    let sum = across(sums, T::add);
    let of = |p: T, dp: T| p.mul(dp.sub(sum)).mul(scale);
    for (&p, dp) in p.as_flattened().iter().zip(dp.as_flattened_mut()) {
        *dp = of(p, *dp);
    }
    if let Some(p) = p_behind.first() {
        // SAFETY: all of `p` are initialized; behind what is seen they are equal.
        behind.fill(MaybeUninit::new(of(unsafe { p.assume_init() }, T::ZERO)));
    }
}
