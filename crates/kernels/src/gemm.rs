//! Matrix products: choices by types, shapes and strides, made once; then blocks for the team.
//!
//! | file | holds |
//! |---|---|
//! | `lanes.rs`, `lanes_x86.rs` | vectors: arrays, AVX2, AVX-512 |
//! | `product.rs` | register tiles, operands read where they are |
//! | `turned.rs` | small products of which one operand is copied first |
//! | `blocks.rs`, `pack.rs`, `side.rs` | blocks for the caches; packing, of operands along several axes too |
//! | `strips.rs`, `along.rs` | long runs of operands along several axes, read where they are |
//! | `borders.rs` | terms that are 0 |
//! | `follow.rs`, `then.rs`, `finish.rs` | the elementwise loop that follows: whether it may come sooner, what it does, on a strip of sums |
//! | `row.rs` | a row times a matrix |
//! | `choice.rs` | which of them, and which way round |
//! | `single.rs` | small products: one call |
//! | `library.rs` | the library `gemm`, an oracle |
//!
//! The order of a sum depends on the shape and the strides alone, never on the cut, the number of
//! threads or the length of vectors. The portable code rounds products before it adds them.

mod along;
mod blocks;
mod borders;
mod choice;
mod finish;
mod follow;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
#[cfg(feature = "library")]
mod library;
mod pack;
mod product;
mod row;
mod side;
mod single;
mod strips;
#[cfg(test)]
mod tests;
mod then;
mod turned;

#[cfg(feature = "library")]
pub use library::{Layout, library_gemm};

use pleach_tensor::DType;

use crate::attention::Head;
use crate::bind::Mem;
use crate::check;
use crate::num::{Num, for_num};
use crate::pool::EACH;
use crate::program::{Failure, Step};
use crate::space::{Place, Space};
use crate::vector::{Entry, Isa};
use crate::{Fault, Kernel, Matrix, Pool, Slice};
use blocks::Blocked;
use borders::Borders;
pub(crate) use choice::for_lanes;
use choice::{Sides, Way};
pub(crate) use finish::Next;
pub(crate) use lanes::Lanes;
pub(crate) use product::{Matrices, Tiles};
pub(crate) use side::Side;
use strips::Nested;

use then::Then;

/// A checked product.
#[derive(Debug)]
pub(crate) struct GemmPlan {
    /// The operands, the other way round if that is better: `c' = b'·a'`.
    operands: [Slice; 3],
    /// Strides of rows and columns of each; of `a` and `b` only where they are straight.
    strides: [[isize; 2]; 3],
    /// Rows and columns of `a` and `b`.
    sides: [[Side; 2]; 2],
    /// Where `b` is 0, if that is asked.
    borders: Borders,
    /// The batch, with strides of a, b, c.
    batch: Space,
    way: Way,
    /// Are the operands the other way round?
    turned: bool,
    m: usize,
    n: usize,
    k: usize,
    /// Are rows cut before columns?
    tall: bool,
    /// Tasks that the whole batch is worth.
    tasks: usize,
    /// The loop that follows.
    then: Option<Then>,
}

/// How an axis is cut into blocks.
#[derive(Clone, Copy, Debug)]
struct Cut {
    len: usize,
    block: usize,
}

impl Cut {
    /// At most `count` blocks, of a multiple of `unit` each but for the last.
    fn new(len: usize, count: usize, unit: usize) -> Cut {
        Cut { len, block: len.div_ceil(count.max(1)).next_multiple_of(unit).max(1) }
    }

    fn count(self) -> usize {
        self.len.div_ceil(self.block)
    }

    fn range(self, i: usize) -> (usize, usize) {
        (i * self.block, self.block.min(self.len - i * self.block))
    }
}

/// Products `m·n·k` of a task: about 2 µs of work.
const TASK: usize = 1 << 17;
/// Least rows and columns of a block of a product that is cut.
const LEAST: [usize; 2] = [16, 32];
/// Blocks begin at multiples of these: lines of the cache, vectors of the widest tile.
const UNITS: [usize; 2] = [8, 32];
/// The same where vectors are along the sum: every column is a few of them.
const ALONG: [[usize; 2]; 2] = [[16, 12], [8, 1]];

impl GemmPlan {
    pub(crate) fn new(a: &Matrix, b: &Matrix, c: &Slice) -> Result<GemmPlan, Fault> {
        let rank = c.dims.len();
        check::axes(c, if rank < 2 { &[0, 1] } else { &[] })?;
        let (m, n, k) = (c.dims[rank - 2], c.dims[rank - 1], a.lengths(rank)[1]);
        let batch = &c.dims[..rank - 2];
        check::shape(&a.joined(rank), &[batch, &[m, k]].concat())?;
        check::shape(&b.joined(rank), &[batch, &[k, n]].concat())?;
        check::dtype(&a.slice, c.dtype)?;
        check::dtype(&b.slice, c.dtype)?;
        if let Some((b, c)) = taller(a, b, c) {
            return GemmPlan::new(a, &b, &c);
        }
        let of_c = [c.strides[rank - 2], c.strides[rank - 1]];
        let both = [a, b].map(|x| x.sides(rank));
        let runs = both.each_ref().map(|sides| {
            sides.each_ref().map(|side| if side.is_straight() { 0 } else { side.run().0 })
        });
        let [of_a, of_b] = both.each_ref().map(|sides| sides.each_ref().map(|side| side.run().1));
        let given = Sides { m, n, k, strides: [of_a, of_b, of_c], runs, size: c.dtype.size() };
        let (turned, sides, way) = match c.dtype {
            DType::Bool => return Err(Fault::Unsupported { dtype: c.dtype }),
            DType::F32 | DType::F64 => {
                choice::choose(given, &choice::compiled(c.dtype, Isa::used()))
            }
            dtype if runs != [[0; 2]; 2] => return Err(Fault::Unsupported { dtype }),
            dtype => {
                let plain =
                    for_num!(dtype, T => plain::<T>, return Err(Fault::Unsupported { dtype }));
                (false, given, Way::Direct(plain))
            }
        };
        let borders = match way {
            Way::Strips(_) => Borders::new(b, rank)?.if_wide(64 / c.dtype.size()),
            _ => Borders::default(),
        };
        let operands = if turned { [&b.slice, &a.slice, c] } else { [&a.slice, &b.slice, c] };
        let [of_a, of_b] = both;
        let turn = |[rows, columns]: [Side; 2]| [columns, rows];
        let both = if turned { [turn(of_b), turn(of_a)] } else { [of_a, of_b] };
        let Sides { m, n, k, strides, .. } = sides;
        let work = m.saturating_mul(n).saturating_mul(k);
        let work = if m == 1 { work.saturating_mul(4) } else { work };
        let tall = match way {
            // Rows of the batch, which other instructions are cut by.
            Way::Direct(_) => m > 1 && !turned,
            // Blocks of rows repeat the copy of `b`, those of columns that of `a`.
            Way::Blocked { .. } => m >= n,
            // Few rows, which all columns share.
            Way::Strips(_) | Way::Along(_) => false,
        };
        Ok(GemmPlan {
            batch: Space::new(batch, &operands.map(|s| &s.strides[..rank - 2])),
            operands: operands.map(Slice::clone),
            strides,
            sides: both,
            borders,
            way,
            turned,
            m,
            n,
            k,
            tall,
            tasks: work.saturating_mul(batch.iter().product()) / TASK,
            then: None,
        })
    }

    /// The product of one instruction and the loop of the next as one step; `None` if the loop is none
    /// that a product takes along. Both passed their checks.
    fn with_loop(product: &Kernel, next: &Kernel) -> Option<Box<dyn Step>> {
        let (Kernel::Gemm { a, b, c }, Kernel::Loop { program, inputs, outputs }) = (product, next)
        else {
            return None;
        };
        // What the loop writes may take the place of what the product reads: that is too soon.
        let apart = |y: &Slice| y.is_apart(&a.slice) && y.is_apart(&b.slice);
        if !c.dtype.is_wide() || !outputs.iter().all(apart) {
            return None;
        }
        let mut plan = GemmPlan::new(a, b, c).ok()?;
        let tiles = !matches!(plan.way, Way::Along(_));
        if !tiles || plan.turned || plan.batch.numel() != 1 || plan.m < 2 || plan.n < 2 {
            return None;
        }
        let choice::Compiled { finish, lanes, .. } = choice::compiled(c.dtype, Isa::used());
        // Parts of vectors that were just written would be waited for.
        if plan.n % lanes > 0 && plan.n < 4 * lanes {
            return None;
        }
        let dense = plan.strides[2][1] == 1 && !c.dims.contains(&0);
        let of_c = Some(c).filter(|_| dense)?;
        plan.then = Some(Then::new((program, inputs, outputs), of_c, [plan.m, plan.n], finish)?);
        Some(plan.step())
    }

    /// Rows `from .. from + len` of the product alone, with the same bits and for one thread; `None` if
    /// there is a batch, or these rows are not along one axis.
    pub(crate) fn of_rows(mut self, from: usize, len: usize) -> Option<GemmPlan> {
        let (operand, side) = if self.turned { (1, 1) } else { (0, 0) };
        let cut = matches!(self.way, Way::Direct(_) | Way::Blocked { .. });
        if !cut || self.batch.numel() != 1 || !self.sides[operand][side].is_straight() {
            return None;
        }
        for i in [operand, 2] {
            let by = isize::try_from(from).ok()?.checked_mul(self.strides[i][side])?;
            self.operands[i].offset = self.operands[i].offset.checked_add_signed(by)?;
        }
        self.sides[operand][side] = Side::straight(len, self.strides[operand][side]);
        *if self.turned { &mut self.n } else { &mut self.m } = len;
        self.tasks = 0;
        Some(self)
    }

    /// A product in `parts` blocks, or fewer. The order of sums does not depend on it.
    fn cuts(&self, parts: usize) -> [Cut; 2] {
        let [least, units] = if matches!(self.way, Way::Along(_)) { ALONG } else { [LEAST, UNITS] };
        let cut = |axis: usize, parts: usize| {
            let len = [self.m, self.n][axis];
            Cut::new(len, parts.min(len / least[axis]), units[axis])
        };
        let first = cut(usize::from(!self.tall), parts);
        let second = cut(usize::from(self.tall), parts / first.count().max(1));
        if self.tall { [first, second] } else { [second, first] }
    }

    /// Rows and columns of the product at `place`: the first and how many.
    ///
    /// # Safety
    /// `mem` is memory that the operands were checked for.
    unsafe fn block(
        &self,
        mem: Mem<'_>,
        place: &Place,
        (row, m): (usize, usize),
        (column, n): (usize, usize),
    ) {
        let at = |i: usize, row: usize, column: usize| {
            let slice = &self.operands[i];
            let [rs, cs] = self.strides[i];
            let offset =
                place.offset(&self.batch.strides[i]) + row as isize * rs + column as isize * cs;
            let offset = if slice.dims.contains(&0) { 0 } else { offset };
            // SAFETY: an element of a checked slice, or element 0 of an empty one, which has no
            // other.
            unsafe { mem.ptr(slice).offset(offset * slice.dtype.size() as isize) }
        };
        let [[a_rs, a_cs], [b_rs, b_cs], [c_rs, c_cs]] = self.strides;
        // SAFETY: the slices of the loop were checked for this memory, and are not empty.
        let placed = self.then.as_ref().map(|then| unsafe { then.placed(mem) });
        let next =
            placed.as_ref().map_or(Next::NOTHING, |placed| Next { placed, at: [row, column] });
        let product = |a, b| Matrices {
            next,
            m,
            n,
            k: self.k,
            a,
            a_rs,
            a_cs,
            b,
            b_rs,
            b_cs,
            c: at(2, row, column),
            c_rs,
            c_cs,
            add: false,
        };
        match self.way {
            // SAFETY: blocks of checked slices with these strides; blocks of c are apart.
            Way::Direct(entry) => unsafe { entry(product(at(0, row, 0), at(1, 0, column))) },
            Way::Blocked { panels, tiles, pack_a } => {
                let p = product(at(0, 0, 0), at(1, 0, 0));
                let block =
                    Blocked { p, at: [row, column], sides: &raw const self.sides, tiles, pack_a };
                // SAFETY: as above; the sides give the places of elements of checked slices.
                unsafe { panels(block) }
            }
            Way::Strips(entry) | Way::Along(entry) => {
                let (p, sides) = (product(at(0, 0, 0), at(1, 0, 0)), &raw const self.sides);
                let borders = &raw const self.borders;
                // SAFETY: as above.
                unsafe { entry(Nested { p, at: [row, column], sides, borders }) }
            }
        }
    }
}

impl Step for GemmPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let (count, parts) = (self.batch.numel(), pool.parts(self.tasks, EACH));
        if count == 0 || self.m == 0 || self.n == 0 {
            return Ok(());
        }
        if count == 1 && parts == 1 {
            let place = Place::new(&[], 0);
            // SAFETY: the operands were checked for this memory.
            unsafe { self.block(mem, &place, (0, self.m), (0, self.n)) };
            return Ok(());
        }
        // Every block copies what it shares with others.
        let copies = matches!(self.way, Way::Blocked { .. });
        let most = if copies { pool.parts(self.tasks, 1) } else { parts };
        let [rows, columns] = self.cuts(most.div_ceil(count));
        let down = rows.count();
        let blocks = down * columns.count();
        pool.ranges(count * blocks, count * blocks / parts, |range| {
            let mut place = Place::new(&self.batch.dims, range.start / blocks);
            for i in range {
                let at = i % blocks;
                // SAFETY: the operands were checked for this memory.
                unsafe { self.block(mem, &place, rows.range(at % down), columns.range(at / down)) };
                if i % blocks == blocks - 1 {
                    place.advance(&self.batch.dims);
                }
            }
        });
        Ok(())
    }
}

/// `b` and `c` of a product whose rows are those of the last axis of the batch too: one tall product
/// instead of several, where all have the same `b`. Shapes fit.
fn taller(a: &Matrix, b: &Matrix, c: &Slice) -> Option<(Matrix, Slice)> {
    let rank = c.dims.len();
    let at = rank.checked_sub(3)?;
    let (mut b, mut c) = (b.clone(), c.clone());
    let rows = c.strides[at + 1].checked_mul(isize::try_from(c.dims[at + 1]).ok()?)?;
    if b.slice.strides[at] != 0 || c.strides[at] != rows || c.dims.contains(&0) {
        return None;
    }
    b.slice.dims.remove(at);
    b.slice.strides.remove(at);
    b.borders
        .iter_mut()
        .flat_map(|border| &mut border.axes)
        .for_each(|axis| *axis = axis.saturating_sub(1));
    let len = c.dims.remove(at);
    c.dims[at] *= len;
    c.strides.remove(at);
    a.sides(rank - 1)[0].is_straight().then_some((b, c))
}

/// Would a product of floats be faster if this operand (0 or 1) lay in memory row by row, with the same
/// bits? What runs often should lay it out once.
pub fn wants_rows(a: &Matrix, b: &Matrix, c: &Slice, operand: usize) -> bool {
    let rows = |x: &Matrix| {
        let slice = Slice::new(x.slice.buffer, x.slice.dtype, 0, &x.slice.dims);
        Matrix { slice, ..x.clone() }
    };
    let laid_out = if operand == 0 { (rows(a), b.clone()) } else { (a.clone(), rows(b)) };
    let work = |a: &Matrix, b: &Matrix| {
        let plan = GemmPlan::new(a, b, c).ok()?;
        let sides = Sides {
            m: plan.m,
            n: plan.n,
            k: plan.k,
            strides: plan.strides,
            runs: [[0; 2]; 2],
            size: c.dtype.size(),
        };
        let straight = plan.sides.iter().flatten().all(Side::is_straight);
        let isa = choice::compiled(c.dtype, Isa::used());
        // Rows and columns alone add up in another order.
        let tiles = sides.m > 1 && sides.n > 1;
        (straight && tiles && c.dtype.is_wide()).then(|| sides.cycles(&isa))
    };
    work(&laid_out.0, &laid_out.1) < work(a, b)
}

/// The heads of attention by vectors of an instruction set, and the products by tiles that they need.
pub(crate) fn heads(dtype: DType, isa: Isa) -> (Entry<(Head, Entry<Matrices>)>, Entry<Matrices>) {
    let compiled = choice::compiled(dtype, isa);
    (compiled.heads, compiled.tiles)
}

/// The product by its definition, for integers.
///
/// # Safety
/// The contract of [`Matrices`].
unsafe fn plain<T: Num>(p: Matrices) {
    let (a, b, c) = (p.a.cast::<T>(), p.b.cast::<T>(), p.c.cast::<T>());
    for i in 0..p.m as isize {
        for j in 0..p.n as isize {
            let mut sum = T::ZERO;
            for l in 0..p.k as isize {
                // SAFETY: elements of a and b.
                let (x, y) = unsafe {
                    (*a.offset(i * p.a_rs + l * p.a_cs), *b.offset(l * p.b_rs + j * p.b_cs))
                };
                sum = sum.add(x.mul(y));
            }
            // SAFETY: an element of c.
            unsafe { c.offset(i * p.c_rs + j * p.c_cs).write(sum) };
        }
    }
}
