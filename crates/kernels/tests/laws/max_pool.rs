//! The largest elements of windows, and their adjoint.

use pleach_kernels::{BufferId, BufferSpec, Fault, Kernel, Program, Slice, Window};
use pleach_tensor::{DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read};

/// Windows along an axis, which gets at least one element: any, or alike at equal distances and
/// clipped to the axis.
fn some_windows(bench: &mut Bench, len: &mut usize, most: usize) -> Vec<Window> {
    *len = (*len).clamp(1, most);
    let (len, rng) = (*len, &mut bench.rng);
    if rng.below(4) == 0 {
        let mut window = || {
            let (start, step) = (rng.below(len), 1 + rng.below(2));
            Window { start, step, count: 1 + rng.below(((len - 1 - start) / step).min(3) + 1) }
        };
        return (0..3).map(|_| window()).collect();
    }
    let (size, step) = (1 + rng.below(3), 1 + rng.below(4) / 3);
    let (stride, padding) = (1 + rng.below(3), rng.below(2));
    let window = |o: usize| {
        let places = (0..size).filter_map(|i| (o * stride + i * step).checked_sub(padding));
        let inside: Vec<usize> = places.filter(|&at| at < len).collect();
        Some(Window { start: *inside.first()?, count: inside.len(), step })
    };
    (0..len).map_while(window).collect()
}

/// Random windows along the last `n` axes of `dims`, and the lengths of the array of windows.
fn pooling(bench: &mut Bench, dims: &mut [usize], n: usize) -> (Vec<Vec<Window>>, Vec<usize>) {
    let (rank, most) = (dims.len(), [0, 70, 14, 6][n]);
    let lead = &mut dims[..rank - n];
    let wide = if lead.len() == 1 { 20 } else { 4 };
    lead.iter_mut().for_each(|len| *len = (*len).min(wide));
    let windows: Vec<Vec<Window>> =
        (rank - n..rank).map(|i| some_windows(bench, &mut dims[i], most)).collect();
    let out = dims[..rank - n].iter().copied().chain(windows.iter().map(Vec::len)).collect();
    (windows, out)
}

/// The places of a window's elements along the axes that have windows, in order.
fn inside(windows: &[Vec<Window>], window: &[usize]) -> Vec<Vec<usize>> {
    let chosen: Vec<Window> = windows.iter().zip(window).map(|(w, &i)| w[i]).collect();
    let counts: Vec<usize> = chosen.iter().map(|w| w.count).collect();
    let place =
        |at: Vec<usize>| at.iter().zip(&chosen).map(|(i, w)| w.start + w.step * i).collect();
    indices(&counts).map(place).collect()
}

const NUMBERS: [DType; 5] = [F32, F64, I32, I64, DType::U8];

/// Maxima of windows along the last `n` axes.
fn max_pool(dtype: DType, mut dims: Vec<usize>, n: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let rank = dims.len();
    let (windows, out) = pooling(&mut bench, &mut dims, n);
    let x = bench.input(dtype, &dims, true);
    let [places, values, numbers] = [I64, dtype, DType::U8].map(|dtype| bench.output(dtype, &out));
    let by_place =
        Kernel::ArgMaxPool { windows: windows.clone(), input: x.clone(), output: places.clone() };
    let by_number = Kernel::MaxPool {
        windows: windows.clone(),
        input: x.clone(),
        values: values.clone(),
        numbers: numbers.clone(),
    };
    let after = bench.run(vec![by_place, by_number]);
    for at in indices(&out) {
        let (lead, window) = at.split_at(rank - n);
        let mut best: Option<(usize, usize, V)> = None;
        for (number, place) in inside(&windows, window).into_iter().enumerate() {
            let value = match read(&bench.buffers, &x, &[lead, &place].concat()) {
                V::I(b) if dtype == DType::Bool => V::I(i64::from(b != 0)),
                value => value,
            };
            if best.is_none_or(|(.., v)| value.f() > v.f() || value.f().is_nan()) {
                let flat = place.iter().zip(&dims[rank - n..]).fold(0, |f, (&i, &n)| f * n + i);
                best = Some((flat, number, value));
            }
        }
        let (place, number, value) = best.unwrap();
        assert_eq!(read(&after, &places, &at).i(), place as i64);
        assert_eq!(read(&after, &numbers, &at).i(), number as i64);
        let got = match read(&after, &values, &at) {
            V::I(b) if dtype == DType::Bool => V::I(i64::from(b != 0)),
            got => got,
        };
        assert!(agree(got, value, dtype, 0.0, 0.0));
    }
}

/// The adjoint.
fn max_pool_add(dtype: DType, mut dims: Vec<usize>, n: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let rank = dims.len();
    let (windows, out) = pooling(&mut bench, &mut dims, n);
    let special = bench.rng.below(2) == 0;
    let dy = bench.input(dtype, &out, special);
    // Some numbers are those of no element.
    let numbers = bench.input(DType::U8, &out, false);
    for at in indices(&out) {
        let number = V::I(bench.rng.pick(&[0, 0, 1, 2, 3, 5, 7, 255]));
        crate::support::write(&mut bench.buffers, &numbers, &at, number);
    }
    let y = bench.output(dtype, &dims);
    let kernel = Kernel::MaxPoolAdd {
        windows: windows.clone(),
        dy: dy.clone(),
        numbers: numbers.clone(),
        output: y.clone(),
    };
    let after = bench.run(vec![kernel]);
    let flat = |at: &[usize]| at.iter().zip(&dims).fold(0, |f, (&i, &n)| f * n + i);
    let (mut floats, mut ints) =
        (vec![0.0f64; dims.iter().product()], vec![0i64; dims.iter().product()]);
    for at in indices(&out) {
        let (lead, window) = at.split_at(rank - n);
        let number = read(&bench.buffers, &numbers, &at).i() as usize;
        let Some(place) = inside(&windows, window).into_iter().nth(number) else { continue };
        let to = flat(&[lead, &place].concat());
        let came = read(&bench.buffers, &dy, &at);
        floats[to] += came.f();
        if dtype == F32 {
            floats[to] = f64::from(floats[to] as f32);
        }
        ints[to] = ints[to].wrapping_add(came.i());
    }
    for at in indices(&dims) {
        let (float, int) = (floats[flat(&at)], ints[flat(&at)]);
        match read(&after, &y, &at) {
            // The sign of zero, too.
            V::F(got) => {
                assert!(got.to_bits() == float.to_bits() || got.is_nan() && float.is_nan())
            }
            V::I(got) => assert_eq!(
                got,
                match dtype {
                    I32 => i64::from(int as i32),
                    DType::U8 => i64::from(int as u8),
                    _ => int,
                }
            ),
        }
    }
}

#[test]
fn short_lines() {
    for n in 0..70 {
        for seed in [n as u64, 1000 + n as u64] {
            DType::ALL.into_iter().for_each(|dtype| max_pool(dtype, vec![3, n], 1, seed));
            NUMBERS.into_iter().for_each(|dtype| max_pool_add(dtype, vec![3, n], 1, seed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_first_maximum_of_a_window_wins_and_the_last_nan(
        rank in 1usize..=3,
        n in 1usize..=3,
        ty in 0..DType::ALL.len(),
        seed: u64,
    ) {
        max_pool(DType::ALL[ty], Bench::new(seed).rng.dims(rank), n.min(rank), seed);
    }

    #[test]
    fn what_came_for_maxima_is_added_in_the_order_of_the_windows(
        rank in 1usize..=3,
        n in 1usize..=3,
        ty in 0usize..5,
        seed: u64,
    ) {
        max_pool_add(NUMBERS[ty], Bench::new(seed).rng.dims(rank), n.min(rank), seed);
    }
}

/// Backwards along the axis, from its end to its beginning, and steps that are never taken.
#[test]
fn windows_may_be_in_any_order_and_steps_of_single_elements_any_number() {
    let mut bench = Bench::new(3);
    let windows = vec![
        vec![Window { start: 0, count: 1, step: usize::MAX }],
        (0..5).rev().map(|start| Window { start, count: 1, step: usize::MAX }).collect(),
    ];
    let (x, y) = (bench.output(F32, &[1, 5]), bench.output(I64, &[1, 5]));
    let (values, numbers) = (bench.output(F32, &[1, 5]), bench.output(DType::U8, &[1, 5]));
    let dx = bench.output(F32, &[1, 5]);
    for i in 0..5 {
        crate::support::write(&mut bench.buffers, &x, &[0, i], V::F(i as f64));
    }
    let after = bench.run(vec![
        Kernel::ArgMaxPool { windows: windows.clone(), input: x.clone(), output: y.clone() },
        Kernel::MaxPool {
            windows: windows.clone(),
            input: x,
            values: values.clone(),
            numbers: numbers.clone(),
        },
        Kernel::MaxPoolAdd { windows, dy: values.clone(), numbers, output: dx.clone() },
    ]);
    for i in 0..5 {
        assert_eq!(read(&after, &y, &[0, i]).i(), 4 - i as i64);
        assert_eq!(read(&after, &values, &[0, i]).f(), 4.0 - i as f64);
        assert_eq!(read(&after, &dx, &[0, i]).f(), i as f64);
    }
}

#[test]
fn windows_that_leave_an_array_and_numbers_beyond_a_byte_are_refused() {
    let slice = |buffer, dims: &[usize], dtype| Slice::new(BufferId(buffer), dtype, 0, dims);
    let fault = |kernel| {
        let specs = [false, true, true].map(|writable| BufferSpec { bytes: 2048, writable });
        Program::new(vec![kernel], specs.to_vec()).err().map(|e| e.fault)
    };
    let best = |windows: Vec<Vec<Window>>, dims: &[usize], of: &[usize]| {
        let (input, output) = (slice(0, dims, F32), slice(1, of, I64));
        fault(Kernel::ArgMaxPool { windows, input, output })
    };
    let misfit = |dims: &[usize]| Some(Fault::Windows { dims: dims.to_vec() });
    let window = |start, count, step| vec![Window { start, count, step }];
    assert_eq!(best(vec![window(1, 2, 3)], &[5], &[1]), None);
    for (start, count, step) in
        [(2, 2, 3), (0, 0, 1), (5, 1, 1), (0, 2, usize::MAX), (0, usize::MAX, 2)]
    {
        assert_eq!(best(vec![window(start, count, step)], &[5], &[1]), misfit(&[5]));
    }
    assert_eq!(best(vec![], &[5], &[5]), misfit(&[5]));
    assert_eq!(best(vec![window(0, 1, 1); 4], &[1; 4], &[1; 4]), misfit(&[1; 4]));
    let numbered = |count| {
        let (input, values) = (slice(0, &[300], F32), slice(1, &[1], F32));
        let (windows, numbers) = (vec![window(0, count, 1)], slice(2, &[1], DType::U8));
        fault(Kernel::MaxPool { windows, input, values, numbers })
    };
    assert_eq!([numbered(256), numbered(257)], [None, misfit(&[300])]);
}
