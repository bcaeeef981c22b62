//! Every instruction set that this machine has, and wide vectors without one, against sums.

use proptest::prelude::*;

use super::along::Along;
use super::blocks::{Blocked, Panels};
use super::choice::{Compiled, Sides, choose, compiled, compiled_of};
use super::finish::Finish;
use super::lanes::Lanes;
use super::product::{Matrices, Tiles};
use super::row::{Dots, Rows};
use super::strips::Strips;
use super::turned::Turned;
use super::*;
use crate::attention::Heads;
use crate::vector;

/// A matrix in memory: strides, and the least place that is not negative.
fn layout(rows: usize, columns: usize, order: usize, gap: usize) -> ([isize; 2], usize) {
    let (rows, columns) = (rows.max(1), columns.max(1));
    match order {
        0 => ([(columns + gap) as isize, 1], rows * (columns + gap)),
        1 => ([1, (rows + gap) as isize], columns * (rows + gap)),
        _ => ([((columns + gap) * 2) as isize, 2], rows * (columns + gap) * 2),
    }
}

/// The product of small integers, exact in any order; canaries are around and between c's elements.
fn check<T: Num + From<i8>>(isa: &Compiled, [m, n, k]: [usize; 3], orders: [usize; 3], gap: usize) {
    let number = |i: usize| T::from((i * 7 % 11) as i8 - 5);
    let (a_at, a_len) = layout(m, k, orders[0], gap);
    let (b_at, b_len) = layout(k, n, orders[1], gap);
    let (c_at, c_len) = layout(m, n, orders[2], gap);
    let a: Vec<T> = (0..a_len).map(number).collect();
    let b: Vec<T> = (0..b_len).map(|i| number(i * 3 + 1)).collect();
    let canary = T::from(77);
    let mut c = vec![canary; c_len + 2 * gap];
    let runs = [[0; 2]; 2];
    let sides = Sides { m, n, k, strides: [a_at, b_at, c_at], runs, size: size_of::<T>() };
    let (turned, sides, way) = choose(sides, isa);
    let (left, right) = if turned { (&b, &a) } else { (&a, &b) };
    let [[a_rs, a_cs], [b_rs, b_cs], [c_rs, c_cs]] = sides.strides;
    let p = Matrices {
        next: Next::NOTHING,
        m: sides.m,
        n: sides.n,
        k,
        a: left.as_ptr().cast(),
        a_rs,
        a_cs,
        b: right.as_ptr().cast(),
        b_rs,
        b_cs,
        c: c[gap..].as_mut_ptr().cast(),
        c_rs,
        c_cs,
        add: false,
    };
    let side = Side::straight;
    let of = [[side(sides.m, a_rs), side(k, a_cs)], [side(k, b_rs), side(sides.n, b_cs)]];
    match way {
        // SAFETY: arrays of these lengths.
        Way::Direct(entry) => unsafe { entry(p) },
        Way::Blocked { panels, tiles, pack_a } => {
            let block = Blocked { p, at: [0; 2], sides: &raw const of, tiles, pack_a };
            // SAFETY: as above.
            unsafe { panels(block) }
        }
        // SAFETY: as above.
        Way::Strips(entry) | Way::Along(entry) => unsafe {
            let borders = Borders::default();
            entry(Nested { p, at: [0; 2], sides: &raw const of, borders: &raw const borders })
        },
    }
    let mut want = vec![canary; c.len()];
    for i in 0..m as isize {
        for j in 0..n as isize {
            let at = |v: &[T], [rs, cs]: [isize; 2], i, j| v[(i * rs + j * cs) as usize];
            let sum = (0..k as isize)
                .fold(T::ZERO, |s, l| s.add(at(&a, a_at, i, l).mul(at(&b, b_at, l, j))));
            want[gap + (i * c_at[0] + j * c_at[1]) as usize] = sum;
        }
    }
    assert!(c == want, "{m} x {n} x {k}, {orders:?}, gap {gap}: {way:?}");
}

/// The ways of this machine, and vectors as wide as the widest without instructions for them.
fn all(dtype: DType) -> Vec<Compiled> {
    let here = Isa::available();
    let mut all: Vec<Compiled> = here.map(|isa| compiled(dtype, isa)).collect();
    all.push(match dtype {
        DType::F32 => compiled_of!(Isa::Portable, [f32; 16]),
        _ => compiled_of!(Isa::Portable, [f64; 8]),
    });
    all
}

fn check_all(shape: [usize; 3], orders: [usize; 3], gap: usize) {
    all(DType::F32).iter().for_each(|isa| check::<f32>(isa, shape, orders, gap));
    all(DType::F64).iter().for_each(|isa| check::<f64>(isa, shape, orders, gap));
}

#[test]
fn sides_around_the_vectors() {
    for n in 0..70 {
        for (gap, order) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
            check_all([n, 7, 5], [0, order, 0], gap);
            check_all([3, n, 9], [order, 0, 0], gap);
            check_all([5, 18, n], [order, 1, 0], gap);
            check_all([1, n, n], [0, order, order], gap);
            check_all([n, 1, n], [order, 0, 0], gap);
            check_all([n, n, 1], [0, order, 1], gap);
        }
    }
}

#[test]
fn sums_and_sides_of_many_blocks() {
    for order in 0..3 {
        check_all([40, 37, 1100], [0, order, 0], 1);
        check_all([1, 2100, 9], [0, order, 0], 1);
        check_all([1, 5, 2100], [order, 1, 0], 1);
        check_all([100, 300, 300], [order, 1, 0], 1);
        check_all([33, 512, 70], [1, 0, order], 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_shape(m in 0usize..70, n in 0usize..70, k in 0usize..70, order in 0usize..27, gap in 0usize..4) {
        check_all([m, n, k], [order % 3, order / 3 % 3, order / 9], gap);
    }
}
