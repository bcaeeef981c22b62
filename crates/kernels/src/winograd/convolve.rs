//! The convolution: weights are transformed once, then blocks of tiles go through all of it.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::transform::{Image, Lines, Matrix16, PARTS, both, collect, image, spread, weight};
use super::{GAP, Parts, ROOM, Tiling, tiles, whole};
use crate::bind::Mem;
use crate::gemm::{Lanes, Matrices, Next, Tiles, for_lanes};
use crate::num::Num;
use crate::program::{Failure, Step};
use crate::vector::{Body, Entry, Isa, compiled};
use crate::{Pool, Slice};

/// Columns of a panel of transformed weights: the widest tile of a product.
const PANEL: usize = 64;
/// Bytes of the channels of a matrix of a block, and of its results.
const CHANNELS: usize = 512;
/// Weights that are transformed by one task.
const TASK: usize = 512;

/// Elements between the parts of transformed weights of so many outputs and channels.
fn part(outputs: usize, channels: usize) -> usize {
    outputs.next_multiple_of(PANEL) * channels + GAP
}

/// Elements of working memory: the transformed weights.
pub(super) fn work(x: &[usize], w: &[usize]) -> usize {
    match (x.first(), w.first()) {
        (Some(&channels), Some(&outputs)) => PARTS * part(outputs, channels),
        _ => 0,
    }
}

/// A checked convolution.
#[derive(Debug)]
pub(super) struct ConvolvePlan {
    before: [usize; 2],
    x: Slice,
    w: Slice,
    work: Slice,
    y: Slice,
    tiling: Tiling,
    channels: Parts,
    outputs: Parts,
    weights: Entry<Weights>,
    block: Entry<Tile>,
    tiles: Entry<Matrices>,
}

impl ConvolvePlan {
    pub(super) fn new(
        padding: [[usize; 2]; 2],
        x: &Slice,
        w: &Slice,
        work: &Slice,
        y: &Slice,
    ) -> ConvolvePlan {
        let (dtype, size, isa) = (x.dtype, x.dtype.size(), Isa::used());
        let channels = Parts::new(x.dims[0], CHANNELS / size, 16);
        let outputs =
            Parts::new(w.dims[0], CHANNELS / size, if w.dims[0] > PANEL { PANEL } else { 16 });
        let most = tiles(channels.part + outputs.part, size);
        let (weights, block, tiles) = for_lanes!(dtype, isa, V => (
            compiled::<Weighted<V>>(isa),
            compiled::<Convolved<V>>(isa),
            compiled::<Tiles<V>>(isa)
        ));
        ConvolvePlan {
            before: padding.map(|[before, _]| before),
            x: x.clone(),
            w: w.clone(),
            work: work.clone(),
            y: y.clone(),
            tiling: Tiling::new([y.dims[1], y.dims[2], y.dims[3]], most),
            channels,
            outputs,
            weights,
            block,
            tiles,
        }
    }
}

impl Step for ConvolvePlan {
    unsafe fn run(&self, mem: Mem<'_>, pool: &Pool) -> Result<(), Failure> {
        let blocks = self.tiling.count() * self.outputs.count();
        if self.y.dims.contains(&0) {
            return Ok(());
        }
        // SAFETY: the slices were checked for this memory.
        let at = |slice: &Slice| unsafe { mem.ptr(slice) };
        let items = self.w.dims[0].div_ceil(PANEL) * self.w.dims[1];
        pool.ranges(items, TASK / PANEL, |items| {
            let [w, to] = [&self.w, &self.work].map(at);
            // SAFETY: as above; every item writes elements of its own.
            unsafe {
                (self.weights)(Weights { plan: self, w, to, items: [items.start, items.end] })
            };
        });
        pool.run(blocks, &|task| {
            let [x, u, y] = [&self.x, &self.work, &self.y].map(at);
            // SAFETY: as above; every task writes results of its own.
            unsafe { (self.block)(Tile { plan: self, x, u, y, task }) };
        });
        Ok(())
    }
}

/// Weights to be transformed. An item is one channel of a panel of outputs.
#[derive(Clone, Copy, Debug)]
struct Weights {
    plan: *const ConvolvePlan,
    w: *mut u8,
    to: *mut u8,
    items: [usize; 2],
}

struct Weighted<V>(PhantomData<V>);
impl<V: Lanes> Body for Weighted<V> {
    type Args = Weights;
    /// Contract: the plan is valid, the pointers are to its checked slices.
    #[inline(always)]
    unsafe fn run(args: Weights) {
        // SAFETY: the contract.
        let plan = unsafe { &*args.plan };
        let w: Image<V::T> = super::image(&plan.w, args.w);
        let [outputs, channels, ..] = w.dims;
        let (zero, part) = (V::splat(V::T::ZERO), part(outputs, channels));
        for item in args.items[0]..args.items[1] {
            let (panel, c) = (item / channels, item % channels);
            for lane in (0..PANEL).step_by(V::N) {
                let first = panel * PANEL + lane;
                let live = outputs.saturating_sub(first).min(V::N);
                let mut rows = [[V::T::ZERO; 16]; 9];
                let from =
                    w.at.wrapping_offset(first as isize * w.strides[0] + c as isize * w.strides[1]);
                for (k, row) in rows.iter_mut().enumerate() {
                    let [down, across] = [w.strides[2], w.strides[3]];
                    let from =
                        from.wrapping_offset((k / 3) as isize * down + (k % 3) as isize * across);
                    for (l, x) in row.iter_mut().enumerate().take(live) {
                        // SAFETY: an element of the weight.
                        *x = unsafe { *from.wrapping_offset(l as isize * w.strides[0]) };
                    }
                }
                let mut g = [[zero; 3]; 3];
                for (i, g) in g.iter_mut().enumerate() {
                    for (j, g) in g.iter_mut().enumerate() {
                        // SAFETY: a row has as many elements as the widest vector.
                        *g = unsafe { V::load(rows[3 * i + j].as_ptr()) };
                    }
                }
                let to = args.to.cast::<V::T>().wrapping_add((panel * channels + c) * PANEL + lane);
                let all = both(g, weight::<V>);
                for (i, row) in all.iter().enumerate() {
                    for (j, u) in row.iter().enumerate() {
                        // SAFETY: a part of the working memory, which has whole panels.
                        unsafe { u.store(to.wrapping_add((4 * i + j) * part)) };
                    }
                }
            }
        }
    }
}

/// A block of tiles and a part of the outputs, to be computed.
#[derive(Clone, Copy, Debug)]
struct Tile {
    plan: *const ConvolvePlan,
    x: *mut u8,
    u: *mut u8,
    y: *mut u8,
    task: usize,
}

struct Convolved<V>(PhantomData<V>);
impl<V: Lanes> Body for Convolved<V> {
    type Args = Tile;
    /// Contract: the plan is valid, the pointers are to its checked slices, the weights transformed.
    #[inline(always)]
    unsafe fn run(args: Tile) {
        // SAFETY: the contract.
        let plan = unsafe { &*args.plan };
        let x: Image<V::T> = super::image(&plan.x, args.x);
        let y: Image<V::T> = super::image(&plan.y, args.y);
        let u = args.u.cast::<V::T>();
        let block = plan.tiling.block(args.task / plan.outputs.count());
        let outputs = plan.outputs.range(args.task % plan.outputs.count());
        let (most, all) = (plan.tiling.most(), part(y.dims[0], x.dims[0]));
        let mut room = MaybeUninit::<Lines<[u8; ROOM]>>::uninit();
        let at = room.as_mut_ptr().cast::<V::T>();
        let row = whole(plan.channels.part.min(x.dims[0]));
        let v = Matrix16 { at, row, part: most * row + GAP };
        let (at, row) = (at.wrapping_add(PARTS * v.part), whole(outputs.len()));
        let m = Matrix16 { at, row, part: most * row + GAP };
        let corner = block.corner();
        let from = [0, 1].map(|i| corner[i] as isize - plan.before[i] as isize);
        for part in 0..plan.channels.count() {
            let channels = plan.channels.range(part);
            let (of, k) = ((channels.start, channels.len()), channels.len());
            let tiles = (block.images.clone(), block.tiles());
            // SAFETY: a block of the image; the room is for all of its tiles.
            unsafe { spread::<V, 4>(&x, of, tiles, from, &v, image::<V>) };
            for e in 0..PARTS {
                for q in outputs.clone().step_by(PANEL) {
                    let panel = q / PANEL * PANEL * x.dims[0] + channels.start * PANEL + q % PANEL;
                    let product = Matrices {
                        next: Next::NOTHING,
                        m: block.len(),
                        n: PANEL.min(outputs.end - q),
                        k,
                        a: v.ptr(e, 0, 0).cast_const().cast(),
                        a_rs: v.row as isize,
                        a_cs: 1,
                        b: u.wrapping_add(e * all + panel).cast_const().cast(),
                        b_rs: PANEL as isize,
                        b_cs: 1,
                        c: m.ptr(e, 0, q - outputs.start).cast(),
                        c_rs: m.row as isize,
                        c_cs: 1,
                        add: part > 0,
                    };
                    // SAFETY: matrices of the block, and a panel of the weights.
                    unsafe { (plan.tiles)(product) };
                }
            }
        }
        let (of, tiles) = ((outputs.start, outputs.len()), (block.images.clone(), block.tiles()));
        // SAFETY: the block's results.
        unsafe { collect::<V>(&m, of, tiles, corner, &y) };
    }
}
