//! Windows added up.

use pleach_kernels::{Axes, BufferId, Fault, Kernel, Slice, View, Windows};
use pleach_tensor::{DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read};

/// Windows along some axes of `dims`, which get at least one element and at most so many, and the
/// lengths of their view.
fn some_windows(bench: &mut Bench, dims: &mut [usize], most: usize) -> (Windows, Vec<usize>) {
    let mut axes: Vec<usize> = (0..dims.len()).filter(|_| bench.rng.below(2) == 0).collect();
    if axes.is_empty() {
        axes.push(bench.rng.below(dims.len()));
    }
    let (mut stride, mut dilation) = (Axes::new(), Axes::new());
    let mut sizes = vec![];
    let mut out = dims.to_vec();
    for &axis in &axes {
        dims[axis] = dims[axis].clamp(1, most);
        let (step, apart) = (1 + bench.rng.below(3), 1 + bench.rng.below(2));
        let size = 1 + bench.rng.below(((dims[axis] - 1) / apart).min(3) + 1);
        out[axis] = (dims[axis] - 1 - apart * (size - 1)) / step + 1;
        sizes.push(size);
        stride.push(step);
        dilation.push(apart);
    }
    out.extend(sizes);
    (Windows { axes: Axes::from_vec(axes), stride, dilation }, out)
}

/// The element of the array that an element of its windows is.
fn source(windows: &Windows, rank: usize, at: &[usize]) -> Vec<usize> {
    let mut from = at[..rank].to_vec();
    for (i, &axis) in windows.axes.iter().enumerate() {
        from[axis] = from[axis] * windows.stride[i] + at[rank + i] * windows.dilation[i];
    }
    from
}

const NUMBERS: [DType; 5] = [F32, F64, I32, I64, DType::U8];

fn windows_add(dtype: DType, mut dims: Vec<usize>, most: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let rank = dims.len();
    let (windows, out) = some_windows(&mut bench, &mut dims, most);
    let x = bench.input(dtype, &dims, false);
    let view = x.view(&View::Windows(windows.clone()), &out).unwrap();
    for at in indices(&out) {
        let want = read(&bench.buffers, &x, &source(&windows, rank, &at));
        assert!(agree(read(&bench.buffers, &view, &at), want, dtype, 0.0, 0.0));
    }
    let (dy, y) = (bench.input(dtype, &out, false), bench.output(dtype, &dims));
    let kernel = Kernel::WindowsAdd { windows: windows.clone(), dy: dy.clone(), output: y.clone() };
    let after = bench.run(vec![kernel]);
    // Small multiples of a power of two: sums are exact.
    let flat = |at: &[usize]| at.iter().zip(&dims).fold(0, |f, (&i, &n)| f * n + i);
    let mut sums = vec![0.0; dims.iter().product()];
    for at in indices(&out) {
        sums[flat(&source(&windows, rank, &at))] += read(&bench.buffers, &dy, &at).f();
    }
    for (at, want) in indices(&dims).zip(sums) {
        let want = match dtype {
            F32 | F64 => V::F(want),
            DType::U8 => V::I(i64::from(want as i64 as u8)),
            _ => V::I(want as i64),
        };
        assert!(agree(read(&after, &y, &at), want, dtype, 0.0, 0.0));
    }
}

#[test]
fn short_lines_and_columns() {
    for dtype in NUMBERS {
        for n in 0..70 {
            windows_add(dtype, vec![n], 70, n as u64);
            windows_add(dtype, vec![3, n], 70, n as u64);
            windows_add(dtype, vec![n, 5], 70, n as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn windows_are_views_and_their_adjoint_adds_them_up(rank in 1usize..=3, ty in 0usize..5, seed: u64) {
        windows_add(NUMBERS[ty], Bench::new(seed).rng.dims(rank), 12, seed);
    }
}

#[test]
fn windows_that_leave_an_array_are_refused() {
    let slice = |buffer, dims: &[usize], dtype| Slice::new(BufferId(buffer), dtype, 0, dims);
    let specs = [false, true].map(|writable| pleach_kernels::BufferSpec { bytes: 512, writable });
    let fault =
        |kernel| pleach_kernels::Program::new(vec![kernel], specs.to_vec()).err().map(|e| e.fault);
    let add = |stride: usize, dilation: usize, dy: &[usize], dtype| {
        let one = Axes::from_slice;
        let windows =
            Windows { axes: one(&[0]), stride: one(&[stride]), dilation: one(&[dilation]) };
        fault(Kernel::WindowsAdd {
            windows,
            dy: slice(0, dy, dtype),
            output: slice(1, &[5], dtype),
        })
    };
    let misfit = Some(Fault::Windows { dims: vec![5] });
    assert_eq!(add(1, 1, &[4, 2], F32), None);
    assert_eq!(add(2, 2, &[2, 2], F32), None);
    assert_eq!(add(usize::MAX, 1, &[0, 2], F32), None);
    for (stride, dilation, dy) in
        [(2, 1, [4, 2]), (1, 2, [4, 2]), (0, 1, [4, 2]), (1, 0, [4, 2]), (usize::MAX, 1, [4, 2])]
    {
        assert_eq!(add(stride, dilation, &dy, F32), misfit, "{stride} {dilation}");
    }
    assert_eq!(add(1, 1, &[4], F32), misfit);
    assert_eq!(add(1, 1, &[4, 2], DType::Bool), Some(Fault::Unsupported { dtype: DType::Bool }));
}
