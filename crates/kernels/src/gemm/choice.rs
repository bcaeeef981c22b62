//! How a product of floats is done, by shape and strides.

use pleach_tensor::DType;

use super::along::Along;
use super::blocks::{Blocked, Panels};
use super::finish::{Finish, Sums};
use super::lanes::Lanes;
use super::product::{Matrices, Tiles};
use super::row::{Dots, Rows};
use super::strips::{Nested, Strips};
use super::turned::{Turned, turned_fits};
use crate::attention::{Head, Heads};
use crate::vector::{self, Entry, Isa};

/// A product's shape, and strides of rows and columns of a, b, c, in elements of `size` bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) strides: [[isize; 2]; 3],
    /// Of rows and columns of a, b: of how many are these the strides, where they run along several
    /// axes? 0 where they run along one.
    pub(super) runs: [[usize; 2]; 2],
    pub(super) size: usize,
}

impl Sides {
    /// `c' = b'·a'`: the same products and sums.
    fn turned(self) -> Sides {
        let [a, b, c] = self.strides.map(|[rows, columns]| [columns, rows]);
        let [runs_a, runs_b] = self.runs.map(|[rows, columns]| [columns, rows]);
        Sides { m: self.n, n: self.m, strides: [b, a, c], runs: [runs_b, runs_a], ..self }
    }

    /// Are rows of `b` contiguous, and read where they are?
    fn has_rows(&self) -> bool {
        self.runs[1] == [0; 2] && (self.strides[1][1] == 1 || self.n == 1)
    }

    /// Do rows or columns of this operand run along several axes?
    fn is_nested(&self, operand: usize) -> bool {
        self.runs[operand] != [0; 2]
    }

    /// Length of the contiguous runs of columns (1) or rows (0) of an operand; 0 if there are none.
    fn run(&self, operand: usize, side: usize, len: usize) -> usize {
        let run = self.runs[operand][side];
        match self.strides[operand][side] {
            1 if run == 0 => len,
            1 => run,
            _ => 0,
        }
    }

    /// Have rows of `b` runs of whole vectors, so long that they are read where they are, and are there
    /// so few rows of `a` that a copy would take a good part of the time?
    fn has_strips(&self, isa: &Compiled) -> bool {
        let run = self.run(1, 1, self.n);
        let whole = run.is_multiple_of(isa.lanes) && run >= LONG_RUN / self.size;
        whole && self.strides[2][1] == 1 && self.m <= FEW_ROWS
    }

    /// Are both operands contiguous along the sum, in long runs of whole vectors of any kind?
    fn is_along(&self) -> bool {
        let runs = [self.run(0, 1, self.k), self.run(1, 0, self.k)];
        let bytes = |run: usize| run * self.size;
        runs.iter().all(|&run| bytes(run) >= LONG_RUN && bytes(run).is_multiple_of(64))
    }

    /// How long the copy of an element of this operand takes, in quarters of a cycle.
    fn copy(&self, operand: usize) -> usize {
        let long = self.runs[operand][1];
        if self.strides[operand][1] == 1 && (long == 0 || long >= 8) { 1 } else { 4 }
    }

    /// Do the rows of a strip of `b` fall on each other in a cache of 64 sets of 8 lines, so often
    /// that a copy pays?
    fn clashes(&self) -> bool {
        let bytes = self.strides[1][0].unsigned_abs() * self.size;
        let sets = 64 >> bytes.trailing_zeros().clamp(6, 12).saturating_sub(6);
        let often = self.m >= 64 || bytes.saturating_mul(self.k) > 1 << 20;
        often && self.k > 6 * sets
    }

    /// Does a copy of `a` in rows pay, where `b` is copied anyway?
    fn packs_a(&self) -> bool {
        if self.is_nested(0) {
            return true;
        }
        let [rows, columns] = self.strides[0].map(|s| s.unsigned_abs() * self.size);
        let far = if columns != self.size { self.k >= 256 } else { self.k >= LONG };
        self.n >= 128 && far && (columns != self.size || rows.is_multiple_of(1024))
    }

    /// About how many cycles the product by tiles takes.
    pub(super) fn cycles(&self, isa: &Compiled) -> usize {
        let vectors = self.n.div_ceil(isa.lanes);
        // A tile of less than 8 sums waits for them; the widest tiles, then one of what is left.
        let strip = |width: usize| (self.m * width).max(8 * self.m.div_ceil(isa.rows[width - 1]));
        let (widest, left) = (isa.widest, vectors % isa.widest);
        let sums = vectors / widest * strip(widest) + if left > 0 { strip(left) } else { 0 };
        let pack_b = if self.has_rows() { 0 } else { self.n * self.copy(1) };
        let pack = (pack_b + if self.is_nested(0) { self.m * self.copy(0) } else { 0 }) / 4;
        let scatter = match self.strides[2] {
            [_, 1] => 0,
            // Squares are turned, what is left goes one by one.
            [1, _] => {
                let left = self.m % isa.square;
                (self.m - left) * self.n / 3 + 2 * left * self.n
            }
            _ => 2 * self.m * self.n,
        };
        (sums * isa.halves / 2 + pack).saturating_mul(self.k).saturating_add(scatter)
    }
}

/// What does the product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// One call a block of `c`.
    Direct(Entry<Matrices>),
    /// Blocks for the caches, packing.
    Blocked { panels: Entry<Blocked>, tiles: Entry<Matrices>, pack_a: bool },
    /// Strips of columns of `b`, read where they are.
    Strips(Entry<Nested>),
    /// Vectors along the sum.
    Along(Entry<Nested>),
}

/// All ways for one element type and instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compiled {
    pub(super) lanes: usize,
    pub(super) rows: [usize; 4],
    pub(super) widest: usize,
    pub(super) square: usize,
    /// How long a vector of products and sums takes, in half cycles.
    pub(super) halves: usize,
    pub(super) tiles: Entry<Matrices>,
    pub(super) finish: Entry<Sums>,
    pub(super) turned: Entry<Matrices>,
    pub(super) panels: Entry<Blocked>,
    pub(super) row: Entry<Matrices>,
    pub(super) dots: Entry<Matrices>,
    pub(super) strips: Entry<Nested>,
    pub(super) along: Entry<Nested>,
    pub(super) heads: Entry<(Head, Entry<Matrices>)>,
}

/// The ways by one kind of vector, compiled for an instruction set that has it.
macro_rules! compiled_of {
    ($isa:expr, $V:ty) => {
        Compiled {
            lanes: <$V>::N,
            rows: <$V>::ROWS,
            widest: <$V>::widest(),
            square: <$V>::SQUARE,
            // Some machines have one unit of 64 bytes, as a pair of two smaller ones.
            halves: if size_of::<$V>() == 64 { 2 } else { 1 },
            tiles: vector::compiled::<Tiles<$V>>($isa),
            finish: vector::compiled::<Finish<$V>>($isa),
            turned: vector::compiled::<Turned<$V>>($isa),
            panels: vector::compiled::<Panels<$V>>($isa),
            row: vector::compiled::<Rows<$V>>($isa),
            dots: vector::compiled::<Dots<$V>>($isa),
            strips: vector::compiled::<Strips<$V>>($isa),
            along: vector::compiled::<Along<$V>>($isa),
            heads: vector::compiled::<Heads<$V>>($isa),
        }
    };
}

#[cfg(test)]
pub(super) use compiled_of;

/// Evaluates an expression with `V` a name of the vectors of an instruction set, for `f32` or, if the
/// element type is that, `f64`.
macro_rules! for_lanes {
    ($dtype:expr, $isa:expr, $V:ident => $value:expr) => {
        match ($dtype == pleach_tensor::DType::F64, $isa) {
            #[cfg(target_arch = "x86_64")]
            (false, $crate::vector::Isa::Avx512) => {
                type $V = std::arch::x86_64::__m512;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            (true, $crate::vector::Isa::Avx512) => {
                type $V = std::arch::x86_64::__m512d;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            (false, $crate::vector::Isa::Avx2) => {
                type $V = std::arch::x86_64::__m256;
                $value
            }
            #[cfg(target_arch = "x86_64")]
            (true, $crate::vector::Isa::Avx2) => {
                type $V = std::arch::x86_64::__m256d;
                $value
            }
            (false, _) => {
                type $V = [f32; 8];
                $value
            }
            (true, _) => {
                type $V = [f64; 4];
                $value
            }
        }
    };
}

pub(crate) use for_lanes;

/// The ways for `f32`, or for `f64` if `dtype` is that. The machine must have the instruction set.
pub(super) fn compiled(dtype: DType, isa: Isa) -> Compiled {
    for_lanes!(dtype, isa, V => compiled_of!(isa, V))
}

/// Least bytes of a run that is read where it is.
const LONG_RUN: usize = 256;
/// Most rows of a product that reads runs.
const FEW_ROWS: usize = 48;
/// A longer sum is done in blocks.
const LONG: usize = 1000;

/// The way, and which way round: is `c' = b'·a'` done instead of `c = a·b`? The sides are those of
/// what is done.
pub(super) fn choose(given: Sides, isa: &Compiled) -> (bool, Sides, Way) {
    if given.is_nested(0) || given.is_nested(1) {
        if given.is_along() {
            return (false, given, Way::Along(isa.along));
        } else if given.has_strips(isa) {
            return (false, given, Way::Strips(isa.strips));
        }
    }
    let other = given.turned();
    let turned = match (given.m, given.n) {
        (1, _) => false,
        (_, 1) => true,
        _ => other.cycles(isa) < given.cycles(isa),
    };
    let sides = if turned { other } else { given };
    let [_, [b_rs, b_cs], [_, c_cs]] = sides.strides;
    let nested = sides.is_nested(0) || sides.is_nested(1);
    let way = if nested {
        Way::Blocked { panels: isa.panels, tiles: isa.tiles, pack_a: sides.packs_a() }
    } else if sides.m == 1 && b_rs == 1 && (b_cs != 1 || sides.n == 1) {
        Way::Direct(isa.dots)
    } else if sides.m == 1 && b_cs == 1 && c_cs == 1 {
        Way::Direct(isa.row)
    } else if !sides.has_rows() && turned_fits(sides.k, sides.n) {
        Way::Direct(isa.turned)
    } else if !sides.has_rows() || sides.m >= 32 && (sides.k >= LONG || sides.clashes()) {
        Way::Blocked { panels: isa.panels, tiles: isa.tiles, pack_a: sides.packs_a() }
    } else {
        Way::Direct(isa.tiles)
    };
    (turned, sides, way)
}
