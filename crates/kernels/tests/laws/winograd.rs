//! Convolutions by Winograd's algorithm, and the gradients of their weights, against direct sums.

use pleach_kernels::{Kernel, Slice, WinogradOp};
use pleach_tensor::{DType, F32, F64};
use proptest::prelude::*;

use crate::support::{Bench, indices, read};

/// Working memory for this operation.
fn work(bench: &mut Bench, op: WinogradOp, x: &Slice, other: &Slice, dtype: DType) -> Slice {
    let size = op.work(&x.dims, &other.dims, dtype);
    let mut work = bench.output(dtype, &[size]);
    work.strides[0] = 1;
    let place = work.buffer.0 as usize;
    bench.buffers[place] = pleach_kernels::AlignedBuf::new((size + 16) * dtype.size());
    work.offset = 0;
    work
}

/// Images of these lengths, `[channels, images, rows, columns]`, and this many outputs.
fn check(dtype: DType, dims: [usize; 4], outputs: usize, padding: [[usize; 2]; 2], seed: u64) {
    let mut bench = Bench::new(seed);
    let [channels, images, height, width] = dims;
    let [rows, columns] =
        [0, 1].map(|i| (dims[2 + i] + padding[i][0] + padding[i][1]).saturating_sub(2));
    if height + padding[0][0] + padding[0][1] < 2 || width + padding[1][0] + padding[1][1] < 2 {
        return;
    }
    let x = bench.input(dtype, &dims, false);
    let w = bench.input(dtype, &[outputs, channels, 3, 3], false);
    let dy = bench.input(dtype, &[outputs, images, rows, columns], false);
    let y = bench.output(dtype, &[outputs, images, rows, columns]);
    let dw = bench.output(dtype, &[outputs, channels, 3, 3]);
    let (convolve, weight) = (WinogradOp::Convolve { padding }, WinogradOp::Weight { padding });
    let (work_y, work_dw) =
        (work(&mut bench, convolve, &x, &w, dtype), work(&mut bench, weight, &x, &dy, dtype));
    let after = bench.run(vec![
        Kernel::Winograd {
            op: convolve,
            inputs: [x.clone(), w.clone()],
            work: work_y,
            output: y.clone(),
        },
        Kernel::Winograd {
            op: weight,
            inputs: [x.clone(), dy.clone()],
            work: work_dw,
            output: dw.clone(),
        },
    ]);
    let all =
        |s: &Slice| -> Vec<f64> { indices(&s.dims).map(|i| read(&after, s, &i).f()).collect() };
    let [image, weights, gradient, results, result_dw] = [&x, &w, &dy, &y, &dw].map(all);
    let mut wanted = [vec![(0.0, 0.0); results.len()], vec![(0.0, 0.0); result_dw.len()]];
    for (o, c) in (0..outputs).flat_map(|o| (0..channels).map(move |c| (o, c))) {
        for (n, p, q) in indices(&[images, rows, columns]).map(|i| (i[0], i[1], i[2])) {
            for k in 0..9 {
                let (r, s) = (p + k / 3, q + k % 3);
                let (Some(r), Some(s)) =
                    (r.checked_sub(padding[0][0]), s.checked_sub(padding[1][0]))
                else {
                    continue;
                };
                if r >= height || s >= width {
                    continue;
                }
                let x = image[((c * images + n) * height + r) * width + s];
                let (at_y, at_w) =
                    (((o * images + n) * rows + p) * columns + q, (o * channels + c) * 9 + k);
                for (want, at, term) in
                    [(0, at_y, x * weights[at_w]), (1, at_w, x * gradient[at_y])]
                {
                    wanted[want][at].0 += term;
                    wanted[want][at].1 += f64::abs(term);
                }
            }
        }
    }
    let eps = if dtype == F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for (name, got, want) in [("y", &results, &wanted[0]), ("dw", &result_dw, &wanted[1])] {
        // Elements of a tile share their errors.
        let size = want.iter().map(|w| w.1).fold(0.0, f64::max);
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let good = (got - want.0).abs() <= 20.0 * eps * size;
            assert!(good, "{dtype} {dims:?} {outputs} {padding:?} {name}[{i}]: {got} {}", want.0);
        }
    }
}

#[test]
fn every_size_of_image_and_every_border() {
    for size in 0..20 {
        for dtype in [F32, F64] {
            let padding = [[size % 3, (size + 1) % 3], [size / 3 % 3, size / 2 % 3]];
            check(dtype, [3, 2, size, 5], 4, padding, size as u64);
            check(dtype, [17, 1, 6, size], 9, padding, size as u64);
            check(dtype, [size, 2, 4, 3], 5, [[1, 1]; 2], size as u64);
            check(dtype, [5, size, 4, 9], size, [[1, 1]; 2], size as u64);
        }
    }
}

#[test]
fn blocks_of_channels_outputs_and_tiles() {
    for dtype in [F32, F64] {
        check(dtype, [32, 3, 8, 8], 32, [[1, 1]; 2], 1);
        check(dtype, [140, 1, 6, 6], 70, [[1, 1]; 2], 2);
        check(dtype, [9, 2, 4, 6], 135, [[1, 1]; 2], 3);
        check(dtype, [2, 1, 7, 300], 3, [[1, 1]; 2], 4);
        check(dtype, [2, 1, 300, 7], 3, [[0, 1], [2, 0]], 5);
        check(dtype, [4, 9, 14, 14], 65, [[1, 1]; 2], 6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_strides(
        dims in [0usize..24, 0usize..4, 0usize..12, 0usize..40],
        outputs in 0usize..24,
        padding in [[0usize..3, 0usize..3], [0usize..3, 0usize..3]],
        wide: bool,
        seed: u64,
    ) {
        check(if wide { F64 } else { F32 }, dims, outputs, padding, seed);
    }
}
