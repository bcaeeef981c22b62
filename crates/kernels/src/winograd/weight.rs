//! The gradient of the weight: products summed over all tiles, in a few groups of blocks.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::transform::{
    Image, Lines, Matrix16, PARTS, adjoint_of_result, adjoint_of_weight, both, image, spread,
};
use super::{GAP, Parts, ROOM, Tiling, tiles, whole};
use crate::bind::Mem;
use crate::gemm::{Lanes, Matrices, Next, Tiles, for_lanes};
use crate::num::Num;
use crate::program::{Failure, Step};
use crate::vector::{Body, Entry, Isa, compiled};
use crate::{Pool, Slice};

/// Bytes of the channels, and of the outputs, of one task.
const CHANNELS: usize = 256;
/// About how many tasks there are.
const TASKS: usize = 16;
/// Channels of outputs that are added up by one task.
const SUMS: usize = 1024;

/// How the work is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    channels: Parts,
    outputs: Parts,
    tiling: Tiling,
    /// Blocks of tiles in groups, whose sums are added at the end.
    groups: Parts,
}

impl Cut {
    fn new(x: &[usize], dy: &[usize], size: usize) -> Cut {
        let [channels, outputs] = [x[0], dy[0]].map(|len| Parts::new(len, CHANNELS / size, 16));
        let most = tiles(channels.part + outputs.part, size);
        let tiling = Tiling::new([dy[1], dy[2], dy[3]], most);
        let (pieces, blocks) = (channels.count() * outputs.count(), tiling.count());
        let groups = TASKS.div_ceil(pieces);
        Cut { channels, outputs, tiling, groups: Parts::new(blocks, blocks.div_ceil(groups), 1) }
    }

    /// Sums of how many groups there are.
    fn sums(&self) -> usize {
        if self.groups.len == 0 { 0 } else { self.groups.count() }
    }
}

/// Elements between the parts of sums.
fn part(outputs: usize, channels: usize) -> usize {
    outputs * whole(channels) + GAP
}

/// Elements of working memory: the sums of every group.
pub(super) fn work(x: &[usize], dy: &[usize], size: usize) -> usize {
    if x.len() != 4 || dy.len() != 4 {
        return 0;
    }
    Cut::new(x, dy, size).sums() * PARTS * part(dy[0], x[0])
}

/// A checked gradient of a weight.
#[derive(Debug)]
pub(super) struct WeightPlan {
    before: [usize; 2],
    x: Slice,
    dy: Slice,
    work: Slice,
    dw: Slice,
    cut: Cut,
    sums: Entry<Group>,
    ends: Entry<Ends>,
    tiles: Entry<Matrices>,
}

impl WeightPlan {
    pub(super) fn new(
        padding: [[usize; 2]; 2],
        x: &Slice,
        dy: &Slice,
        work: &Slice,
        dw: &Slice,
    ) -> WeightPlan {
        let isa = Isa::used();
        let (sums, ends, tiles) = for_lanes!(x.dtype, isa, V => (
            compiled::<Summed<V>>(isa),
            compiled::<Ended<V>>(isa),
            compiled::<Tiles<V>>(isa)
        ));
        WeightPlan {
            before: padding.map(|[before, _]| before),
            x: x.clone(),
            dy: dy.clone(),
            work: work.clone(),
            dw: dw.clone(),
            cut: Cut::new(&x.dims, &dy.dims, x.dtype.size()),
            sums,
            ends,
            tiles,
        }
    }
}

impl Step for WeightPlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        if self.dw.dims.contains(&0) {
            return Ok(());
        }
        // SAFETY: the slices were checked for this memory.
        let at = |slice: &Slice| unsafe { mem.ptr(slice) };
        let pieces = self.cut.channels.count() * self.cut.outputs.count();
        pool.run(pieces * self.cut.sums(), &|task| {
            let [x, dy, to] = [&self.x, &self.dy, &self.work].map(at);
            // SAFETY: as above; every task writes sums of its own.
            unsafe { (self.sums)(Group { plan: self, x, dy, to, task }) };
        });
        let [outputs, channels, ..] = self.dw.dims[..] else { return Ok(()) };
        pool.ranges(outputs, SUMS.div_ceil(channels), |rows| {
            let [from, dw] = [&self.work, &self.dw].map(at);
            // SAFETY: as above; every row of the weight is written by one task.
            unsafe { (self.ends)(Ends { plan: self, from, dw, rows: [rows.start, rows.end] }) };
        });
        Ok(())
    }
}

/// Sums over a group of blocks, of some channels and outputs.
#[derive(Clone, Copy, Debug)]
struct Group {
    plan: *const WeightPlan,
    x: *mut u8,
    dy: *mut u8,
    to: *mut u8,
    task: usize,
}

struct Summed<V>(PhantomData<V>);
impl<V: Lanes> Body for Summed<V> {
    type Args = Group;
    /// Contract: the plan is valid, the pointers are to its checked slices.
    #[inline(always)]
    unsafe fn run(args: Group) {
        // SAFETY: the contract.
        let plan = unsafe { &*args.plan };
        let Cut { channels, outputs, tiling, groups } = plan.cut;
        let x: Image<V::T> = super::image(&plan.x, args.x);
        let dy: Image<V::T> = super::image(&plan.dy, args.dy);
        let (piece, group) = (args.task % (channels.count() * outputs.count()), args.task);
        let group = group / (channels.count() * outputs.count());
        let (c, o) =
            (channels.range(piece % channels.count()), outputs.range(piece / channels.count()));
        let (part, row) = (part(dy.dims[0], x.dims[0]), whole(x.dims[0]));
        let to =
            args.to.cast::<V::T>().wrapping_add(group * PARTS * part + o.start * row + c.start);
        let mut room = MaybeUninit::<Lines<[u8; ROOM]>>::uninit();
        let at = room.as_mut_ptr().cast::<V::T>();
        let most = tiling.most();
        let v = Matrix16 { at, row: whole(c.len()), part: most * whole(c.len()) + GAP };
        let (at, wide) = (at.wrapping_add(PARTS * v.part), whole(o.len()));
        let s = Matrix16 { at, row: wide, part: most * wide + GAP };
        let blocks = groups.range(group);
        for i in blocks.clone() {
            let block = tiling.block(i);
            let (corner, tiles) = (block.corner().map(|at| at as isize), block.tiles());
            let from = [0, 1].map(|i| corner[i] - plan.before[i] as isize);
            // SAFETY: blocks of the images; the room is for all of their tiles.
            unsafe {
                let of = (c.start, c.len());
                spread::<V, 4>(&x, of, (block.images.clone(), tiles), from, &v, image::<V>);
                let (of, f) = ((o.start, o.len()), adjoint_of_result::<V>);
                spread::<V, 2>(&dy, of, (block.images.clone(), tiles), corner, &s, f);
            }
            for e in 0..PARTS {
                let product = Matrices {
                    next: Next::NOTHING,
                    m: o.len(),
                    n: c.len(),
                    k: block.len(),
                    a: s.ptr(e, 0, 0).cast_const().cast(),
                    a_rs: 1,
                    a_cs: s.row as isize,
                    b: v.ptr(e, 0, 0).cast_const().cast(),
                    b_rs: v.row as isize,
                    b_cs: 1,
                    c: to.wrapping_add(e * part).cast(),
                    c_rs: row as isize,
                    c_cs: 1,
                    add: i > blocks.start,
                };
                // SAFETY: matrices of the block, and sums of this task.
                unsafe { (plan.tiles)(product) };
            }
        }
    }
}

/// Rows of the weight whose sums are to be added and transformed.
#[derive(Clone, Copy, Debug)]
struct Ends {
    plan: *const WeightPlan,
    from: *mut u8,
    dw: *mut u8,
    rows: [usize; 2],
}

struct Ended<V>(PhantomData<V>);
impl<V: Lanes> Body for Ended<V> {
    type Args = Ends;
    /// Contract: the plan is valid, the pointers are to its checked slices, the sums of all groups made.
    #[inline(always)]
    unsafe fn run(args: Ends) {
        // SAFETY: the contract.
        let plan = unsafe { &*args.plan };
        let dw: Image<V::T> = super::image(&plan.dw, args.dw);
        let [outputs, channels, ..] = dw.dims;
        let (part, row, zero) = (part(outputs, channels), whole(channels), V::splat(V::T::ZERO));
        for o in args.rows[0]..args.rows[1] {
            for c in (0..channels).step_by(V::N) {
                let live = V::first(channels - c);
                let mut sums = [[zero; 4]; 4];
                for group in 0..plan.cut.sums() {
                    let from = args.from.cast::<V::T>();
                    let from = from.wrapping_add(group * PARTS * part + o * row + c);
                    for (i, row) in sums.iter_mut().enumerate() {
                        for (j, sum) in row.iter_mut().enumerate() {
                            // SAFETY: sums of these channels.
                            let x = unsafe {
                                V::load_some(from.wrapping_add((4 * i + j) * part), live)
                            };
                            *sum = sum.add(x);
                        }
                    }
                }
                let g = both(sums, adjoint_of_weight::<V>);
                let to =
                    dw.at.wrapping_offset(o as isize * dw.strides[0] + c as isize * dw.strides[1]);
                for (i, row) in g.iter().enumerate() {
                    for (j, x) in row.iter().enumerate() {
                        let mut lanes = [V::T::ZERO; 16];
                        // SAFETY: there is room for the widest vector; elements of the weight.
                        unsafe {
                            x.store(lanes.as_mut_ptr());
                            let to = to.wrapping_offset(
                                i as isize * dw.strides[2] + j as isize * dw.strides[3],
                            );
                            for (l, &x) in lanes.iter().enumerate().take((channels - c).min(V::N)) {
                                *to.wrapping_offset(l as isize * dw.strides[1]) = x;
                            }
                        }
                    }
                }
            }
        }
    }
}
