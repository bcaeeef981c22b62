//! Matrix products.

use pleach_kernels::{
    Border, BufferId, Fault, Kernel, Matrix, ScalarOp, ScalarProgram, Slice, View, Windows,
    wants_rows,
};
use pleach_tensor::compare::unravel;
use pleach_tensor::{BOOL, DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read, write};

fn check(dtype: DType, batch: &[usize], [m, n, k]: [usize; 3], seed: u64) {
    check_axes(dtype, batch, [[&[m], &[k]], [&[k], &[n]]], seed);
}

/// Rows and columns of `a` and `b` run along axes of these lengths.
fn check_axes(dtype: DType, batch: &[usize], of: [[&[usize]; 2]; 2], seed: u64) {
    let mut bench = Bench::new(seed);
    let [m, n, k] = [of[0][0], of[1][1], of[0][1]].map(|axes| axes.iter().product::<usize>());
    let [a, b] = of.map(|[rows, columns]| Matrix {
        slice: bench.input(dtype, &[batch, rows, columns].concat(), false),
        columns: columns.len(),
        borders: vec![],
    });
    let c = bench.output(dtype, &[batch, &[m, n]].concat());
    let after = bench.run(vec![Kernel::Gemm { a: a.clone(), b: b.clone(), c: c.clone() }]);
    let (a, b) = ((&a.slice, of[0]), (&b.slice, of[1]));
    for index in indices(&c.dims) {
        let (head, tail) = index.split_at(batch.len());
        let at = |(s, [rows, columns]): (&Slice, [&[usize]; 2]), i, j| {
            read(&after, s, &[head, &unravel(i, rows), &unravel(j, columns)].concat())
        };
        let (mut sum, mut size, mut int) = (0.0, 0.0, 0i64);
        for l in 0..k {
            let (x, y) = (at(a, tail[0], l), at(b, l, tail[1]));
            sum += x.f() * y.f();
            size += (x.f() * y.f()).abs();
            int = int.wrapping_add(x.i().wrapping_mul(y.i()));
        }
        let eps = if dtype == F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let want = match dtype {
            F32 | F64 => V::F(sum),
            I32 => V::I((int as i32).into()),
            DType::U8 => V::I((int as u8).into()),
            _ => V::I(int),
        };
        let got = read(&after, &c, &index);
        let good = agree(got, want, dtype, 1.0, (k as f64).sqrt() * 4.0 * eps * size);
        assert!(good, "{dtype} {batch:?} {m}x{n}x{k} at {index:?}: {got:?}, {want:?}");
    }
}

#[test]
fn short_sides() {
    for n in 0..70 {
        for dtype in [F32, F64] {
            check(dtype, &[], [n, 7, 5], n as u64);
            check(dtype, &[], [3, n, 9], n as u64);
            check(dtype, &[2], [4, 18, n], n as u64);
            check(dtype, &[], [n, 1, n], n as u64);
            check(dtype, &[], [n, n, 1], n as u64);
        }
    }
}

#[test]
fn sizes_of_the_library_and_of_blocks() {
    for dtype in [F32, F64] {
        check(dtype, &[], [1, 300, 400], 1);
        check(dtype, &[], [70, 66, 50], 2);
        check(dtype, &[], [300, 17, 300], 3);
        check(dtype, &[2], [33, 300, 230], 4);
        check(dtype, &[], [260, 260, 40], 5);
        check(dtype, &[], [5, 5, 3000], 6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_strides(rank in 0usize..=2, ty in 0usize..5, m in 0usize..40, n in 0usize..40, k in 0usize..40, seed: u64) {
        let dtype = [F32, F64, I32, I64, DType::U8][ty];
        let mut rng = Bench::new(seed).rng;
        let batch: Vec<usize> = (0..rank).map(|_| rng.below(4)).collect();
        check(dtype, &batch, [m, n, k], seed);
    }

    #[test]
    fn rows_and_columns_along_several_axes(ty in 0usize..2, batch in 0usize..3, seed: u64) {
        let mut rng = Bench::new(seed).rng;
        let mut axes = |most: usize| -> Vec<usize> {
            (0..1 + rng.below(3)).map(|_| rng.pick(&[0, 1, 1, 2, 3, 5, 9, 16, 17]).min(most)).collect()
        };
        let (m, n, k) = (axes(9), axes(9), axes(17));
        let turned: Vec<usize> = k.iter().rev().copied().collect();
        let batch = if batch == 0 { vec![] } else { vec![batch] };
        check_axes([F32, F64][ty], &batch, [[&m, &k], [&turned, &n]], seed);
    }
}

/// The products of a convolution, with the windows of an image in place: forward, and the gradient of
/// the weight, in which sums are long and the result is written column by column. Images lie one after
/// the other, or side by side in memory without gaps.
fn convolution(dtype: DType, sizes: [usize; 5], side_by_side: bool) {
    let [images, channels, side, window, filters] = sizes;
    let mut bench = Bench::new(7);
    let places = side - window + 1;
    let (depth, area) = (channels * window * window, images * places * places);
    let (order, dims, axes) = match side_by_side {
        false => ([1, 4, 5, 0, 2, 3], vec![images, channels, side, side], [2, 3]),
        true => ([0, 4, 5, 1, 2, 3], vec![channels, side, side, images], [1, 2]),
    };
    let image = match side_by_side {
        false => bench.input(dtype, &dims, false),
        true => packed(&mut bench, dtype, &dims),
    };
    let windows = Windows {
        axes: axes.into_iter().collect(),
        stride: [1, 1].into_iter().collect(),
        dilation: [1, 1].into_iter().collect(),
    };
    let mut dims = [&dims[..], &[window, window]].concat();
    axes.into_iter().for_each(|axis| dims[axis] = places);
    let windows = image.view(&View::Windows(windows), &dims).unwrap();
    let patches = |order: [usize; 6], columns| {
        let dims: Vec<usize> = order.iter().map(|&i| dims[i]).collect();
        let order = order.into_iter().collect();
        Matrix {
            slice: windows.view(&View::Permute(order), &dims).unwrap(),
            columns,
            borders: vec![],
        }
    };
    let [c, i, j, x, y, z] = order;
    let [down, across] = [patches(order, 3), patches([x, y, z, c, i, j], 3)];
    let mut down = down;
    let mut weight = bench.input(dtype, &[filters, depth], false);
    if side_by_side {
        // Zeros around the images, which a product may pass over, and a weight that makes them NaN.
        let inside = 1..side - 2;
        for index in indices(&image.dims) {
            if !(inside.contains(&index[1]) && inside.contains(&index[2])) {
                write(&mut bench.buffers, &image, &index, V::F(0.0));
            }
        }
        let border =
            |i: usize| Border { axes: [1 + i, 3 + i], steps: [1, 1], inside: inside.clone() };
        down.borders = vec![border(1), border(0)];
        weight = packed(&mut bench, dtype, &[filters, depth]);
        if images == 16 {
            write(&mut bench.buffers, &weight, &[filters - 1, 0], V::F(f64::INFINITY));
        }
    }
    let places = places * places;
    let (dy, y) = match side_by_side {
        false => {
            let dy = bench.input(dtype, &[images, filters, places], false);
            let order = [1, 0, 2].into_iter().collect();
            let slice = dy.view(&View::Permute(order), &[filters, images, places]).unwrap();
            (Matrix { slice, columns: 2, borders: vec![] }, bench.output(dtype, &[filters, area]))
        }
        true => {
            let slice = packed(&mut bench, dtype, &[filters, places, images]);
            (
                Matrix { slice, columns: 2, borders: vec![] },
                packed(&mut bench, dtype, &[filters, area]),
            )
        }
    };
    let dw = bench.output(dtype, &[filters, depth]);
    // A batch of one product, too.
    let batch = |slice: &Slice| {
        let mut slice = slice.clone();
        slice.dims.insert(0, 1);
        slice.strides.insert(0, 0);
        slice
    };
    let mut of_batch = Matrix { slice: batch(&down.slice), ..down.clone() };
    of_batch.borders.iter_mut().flat_map(|b| &mut b.axes).for_each(|axis| *axis += 1);
    let again = bench.output(dtype, &[1, filters, area]);
    // What a layer does next goes along, if images lie side by side: its axes are in another order.
    let (rectified, mask) =
        (packed(&mut bench, dtype, &[filters, area]), bench.output(BOOL, &[filters, area]));
    let bias = packed(&mut bench, dtype, &[filters]);
    let by_image = |slice: &Slice, strides: [isize; 3]| Slice {
        dims: [images, filters, places].into_iter().collect(),
        strides: strides.into_iter().collect(),
        ..slice.clone()
    };
    let whole = |slice: &Slice| {
        let [row, column] = [slice.strides[0], slice.strides[1]];
        by_image(slice, [column, row, images as isize * column])
    };
    let rectify = Kernel::Loop {
        program: super::products_then::program(1, dtype, true),
        inputs: vec![whole(&rectified), by_image(&bias, [0, 1, 0])],
        outputs: vec![whole(&mask), whole(&rectified)],
    };
    let after = bench.run(vec![
        Kernel::Gemm { a: weight.clone().into(), b: down.clone(), c: rectified.clone() },
        rectify,
        Kernel::Gemm { a: weight.clone().into(), b: down.clone(), c: y.clone() },
        Kernel::Gemm { a: batch(&weight).into(), b: of_batch, c: again.clone() },
        Kernel::Gemm { a: dy.clone(), b: across, c: dw.clone() },
    ]);
    for index in indices(&y.dims) {
        let [got, want] =
            [read(&after, &again, &[&[0], &index[..]].concat()), read(&after, &y, &index)];
        assert!(agree(got, want, dtype, 1.0, 1e-3), "{sizes:?} {index:?}");
        let z = want.f() + read(&after, &bias, &index[..1]).f();
        let z = if dtype == F32 { f64::from(z as f32) } else { z };
        let low = read(&after, &mask, &index).i() == 1;
        let got = read(&after, &rectified, &index);
        assert_eq!(low, z <= 0.0, "{sizes:?} {index:?}");
        assert!(
            agree(got, V::F(if low { 0.0 } else { z }), dtype, 0.0, 0.0),
            "{sizes:?} {index:?}"
        );
    }
    let element = |down: &Slice, row: usize, column: usize| {
        let (r, c) = (unravel(row, &down.dims[..3]), unravel(column, &down.dims[3..]));
        read(&after, down, &[r, c].concat()).f()
    };
    let eps = if dtype == F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let near = |got: V, terms: &mut dyn Iterator<Item = f64>| {
        let (sum, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()));
        (got.f() - sum).abs() <= 100.0 * eps * size
            || got.f() == sum
            || got.f().is_nan() && sum.is_nan()
    };
    for i in 0..filters {
        for j in (0..area).step_by(if area > 300 { 7 } else { 1 }) {
            let w = |l| read(&after, &weight, &[i, l]).f();
            let mut terms = (0..depth).map(|l| w(l) * element(&down.slice, l, j));
            assert!(near(read(&after, &y, &[i, j]), &mut terms), "{sizes:?} y {i} {j}");
        }
        for j in (0..depth).step_by(if depth * area > 30_000 { 5 } else { 1 }) {
            let g = |l: usize| {
                let inner = dy.slice.dims[2];
                read(&after, &dy.slice, &[i, l / inner, l % inner]).f()
            };
            let mut terms = (0..area).map(|l| g(l) * element(&down.slice, j, l));
            assert!(near(read(&after, &dw, &[i, j]), &mut terms), "{sizes:?} dw {i} {j}");
        }
    }
}

/// A place without gaps, filled.
fn packed(bench: &mut Bench, dtype: DType, dims: &[usize]) -> Slice {
    loop {
        let slice = bench.output(dtype, dims);
        if slice.is_contiguous() {
            for index in indices(dims) {
                let value = V::F((bench.rng.below(4001) as f64 - 2000.0) / 256.0);
                write(&mut bench.buffers, &slice, &index, value);
            }
            return slice;
        }
    }
}

#[test]
fn windows_of_an_image_are_a_matrix() {
    for sizes in [
        [2, 3, 9, 3, 8],
        [3, 2, 28, 5, 6],
        [2, 16, 18, 3, 40],
        [1, 1, 70, 2, 1],
        [3, 40, 10, 3, 80],
    ] {
        [F32, F64].into_iter().for_each(|dtype| convolution(dtype, sizes, false));
    }
}

#[test]
fn windows_of_images_side_by_side_are_read_where_they_are() {
    for sizes in [
        [64, 1, 6, 3, 6],
        [16, 3, 12, 5, 16],
        [128, 2, 4, 2, 9],
        [32, 6, 7, 2, 50],
        [48, 1, 9, 1, 1],
        // Zeros that end within a vector.
        [24, 2, 6, 3, 6],
        [40, 1, 8, 3, 4],
        [20, 3, 8, 5, 3],
    ] {
        [F32, F64].into_iter().for_each(|dtype| convolution(dtype, sizes, true));
    }
    // Sums longer than a block of them, of runs that are longer or shorter.
    convolution(F32, [64, 60, 4, 3, 7], true);
    convolution(F32, [16, 1, 40, 2, 3], true);
}

#[test]
fn matrices_of_integers_or_of_wrong_lengths_are_refused() {
    let fault = |dtype, dims: &[usize]| {
        let slice = |buffer, dims: &[usize]| Slice::new(BufferId(buffer), dtype, 0, dims);
        let mut a = slice(0, dims);
        a.strides.swap(0, 1);
        a.strides[0] = 1;
        let kernel = Kernel::Gemm {
            a: Matrix { slice: a, columns: 2, borders: vec![] },
            b: slice(0, &[6, 2]).into(),
            c: slice(1, &[2, 2]),
        };
        let spec = |writable| pleach_kernels::BufferSpec { bytes: 999, writable };
        pleach_kernels::Program::new(vec![kernel], vec![spec(false), spec(true)])
            .err()
            .map(|e| e.fault)
    };
    assert_eq!(fault(F32, &[2, 3, 2]), None);
    assert_eq!(fault(I32, &[2, 3, 2]), Some(Fault::Unsupported { dtype: I32 }));
    assert!(
        matches!(fault(F32, &[2, 3, 3]), Some(Fault::Shape { .. })),
        "{:?}",
        fault(F32, &[2, 3, 3])
    );
}

#[test]
fn an_operand_that_is_laid_out_first_changes_no_bit() {
    let mut gained = 0;
    for (seed, [m, k, n]) in
        [[32, 512, 128], [7, 600, 40], [2, 5, 6], [64, 1100, 33], [1, 300, 128], [32, 128, 1]]
            .into_iter()
            .enumerate()
    {
        for dtype in [F32, F64] {
            let mut bench = Bench::new(seed as u64);
            let whole = |bench: &mut Bench, dims: [usize; 2]| {
                let place = bench.output(dtype, &[dims[0] * dims[1]]);
                let x = Slice::new(place.buffer, dtype, 0, &dims);
                for at in indices(&dims) {
                    let value = bench.rng.below(4001) as f64 / 512.0 - 4.0;
                    write(&mut bench.buffers, &x, &at, V::F(value));
                }
                x
            };
            let shapes = [[m, k], [n, k], [k, n], [m, n], [m, n]];
            let [a, b, rows, y, z] = shapes.map(|dims| whole(&mut bench, dims));
            let turned = b.view(&View::Permute([1, 0].into_iter().collect()), &[k, n]).unwrap();
            if !wants_rows(&a.clone().into(), &turned.clone().into(), &y, 1) {
                assert!(m == 1 || n == 1 || k * n < 4096, "{m} {k} {n}");
                continue;
            }
            gained += 1;
            let program = ScalarProgram::single(ScalarOp::Copy, dtype);
            let (inputs, outputs) = (vec![turned.clone()], vec![rows.clone()]);
            let after = bench.run(vec![
                Kernel::Loop { program, inputs, outputs },
                Kernel::Gemm { a: a.clone().into(), b: turned.into(), c: y.clone() },
                Kernel::Gemm { a: a.into(), b: rows.into(), c: z.clone() },
            ]);
            for at in indices(&[m, n]) {
                let [y, z] = [&y, &z].map(|s| read(&after, s, &at).f().to_bits());
                assert_eq!(y, z, "{dtype} {m} {k} {n} {at:?}");
            }
        }
    }
    assert!(gained >= 4);
}
