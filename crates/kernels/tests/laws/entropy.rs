//! The logarithm of a softmax at a label, and its gradient, against the formulas.

use pleach_kernels::{Fault, Kernel, RunError, Slice, entropy_fits};
use pleach_tensor::{DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, pools, read, write};

/// A slice of rows whose classes are neighbours.
fn packed(bench: &mut Bench, draw: impl Fn(&mut Bench) -> Slice) -> Slice {
    loop {
        let slice = draw(bench);
        if entropy_fits(&slice) {
            return slice;
        }
    }
}

/// Rows, their labels, and what came for the result; the result and the gradient.
fn operands(bench: &mut Bench, dtype: DType, lead: &[usize], classes: usize) -> [Slice; 5] {
    let (whole, one) = ([lead, &[classes]].concat(), [lead, &[1]].concat());
    let x = packed(bench, |bench| bench.input(dtype, &whole, false));
    let labels = bench.indices(&one, classes.max(1));
    let dy = bench.input(dtype, &one, false);
    let y = bench.output(dtype, &one);
    let dx = packed(bench, |bench| bench.output(dtype, &whole));
    [x, labels, dy, y, dx]
}

fn kernels([x, labels, dy, y, dx]: &[Slice; 5]) -> Vec<Kernel> {
    let [x, labels, dy] = [x, labels, dy].map(Clone::clone);
    let inputs = vec![x.clone(), labels.clone()];
    vec![
        Kernel::Entropy { inputs, outputs: vec![y.clone()] },
        Kernel::Entropy { inputs: vec![x, labels, dy], outputs: vec![dx.clone()] },
    ]
}

/// Other places for the value and the gradient.
fn both(bench: &mut Bench, [y, dx]: [&Slice; 2]) -> [Slice; 2] {
    let y = bench.output(y.dtype, &y.dims);
    let dx = packed(bench, |bench| bench.output(dx.dtype, &dx.dims));
    [y, dx]
}

fn check(dtype: DType, lead: &[usize], classes: usize, seed: u64) {
    let mut bench = Bench::new(seed);
    let all = operands(&mut bench, dtype, lead, classes);
    let [x, labels, dy, y, dx] = &all;
    let [y2, dx2] = both(&mut bench, [y, dx]);
    let mut list = kernels(&all);
    let inputs = [x, labels, dy].map(Clone::clone).to_vec();
    list.push(Kernel::Entropy { inputs, outputs: vec![y2.clone(), dx2.clone()] });
    let after = bench.run(list);
    for row in indices(lead) {
        let same = |a: &Slice, b: &Slice, j| {
            let at = |slice| read(&after, slice, &[&row[..], &[j]].concat()).f();
            assert_eq!(at(a).to_bits(), at(b).to_bits(), "{dtype} {classes} {row:?} {j}");
        };
        same(y, &y2, 0);
        (0..classes).for_each(|j| same(dx, &dx2, j));
        let at = |slice: &Slice, j: usize| read(&after, slice, &[&row[..], &[j]].concat());
        let (label, came) = (at(labels, 0).i() as usize, at(dy, 0).f());
        let xs: Vec<f64> = (0..classes).map(|j| at(x, j).f()).collect();
        let most = xs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = xs.iter().map(|x| (x - most).exp()).sum();
        let size = 16.0 + most.abs() + xs[label].abs();
        let good = |got, want, size| agree(got, V::F(want), dtype, size, 8.0);
        let want = xs[label] - most - sum.ln();
        assert!(good(at(y, 0), want, size), "{dtype} {classes} {row:?}: {:?} {want}", at(y, 0));
        for (j, x) in xs.iter().enumerate() {
            let p = (x - most).exp() / sum;
            let want = came * (f64::from(u8::from(j == label)) - p);
            let got = at(dx, j);
            let fine = good(got, want, came.abs() * (1.0 + (x - most).abs()));
            assert!(fine, "{dtype} {classes} {row:?} {j}: {got:?} {want}");
        }
    }
}

#[test]
fn lengths() {
    for n in 1..70 {
        for dtype in [F32, F64] {
            check(dtype, &[5], n, n as u64);
            check(dtype, &[n], 10, n as u64);
            check(dtype, &[n], 40, n as u64);
        }
    }
    for dtype in [F32, F64] {
        check(dtype, &[], 7, 1);
        check(dtype, &[0], 7, 1);
        check(dtype, &[0], 0, 1);
        check(dtype, &[3], 5000, 2);
        check(dtype, &[600], 33, 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_strides(rank in 0usize..=3, classes in 1usize..80, double: bool, seed: u64) {
        let mut rng = Bench::new(seed).rng;
        let lead: Vec<usize> = (0..rank).map(|_| rng.below(6)).collect();
        check(if double { F64 } else { F32 }, &lead, classes, seed);
    }
}

/// The results of a row of these, for its first class.
fn row(x: &[f64]) -> (f64, Vec<f64>) {
    let mut bench = Bench::new(0);
    let all = operands(&mut bench, F64, &[1], x.len());
    for (j, &value) in x.iter().enumerate() {
        write(&mut bench.buffers, &all[0], &[0, j], V::F(value));
    }
    write(&mut bench.buffers, &all[1], &[0, 0], V::I(0));
    write(&mut bench.buffers, &all[2], &[0, 0], V::F(1.0));
    let after = bench.run(kernels(&all));
    let gradient = (0..x.len()).map(|j| read(&after, &all[4], &[0, j]).f()).collect();
    (read(&after, &all[3], &[0, 0]).f(), gradient)
}

#[test]
fn infinities_and_nan() {
    let inf = f64::INFINITY;
    for len in [3, 40] {
        let with = |first: f64, second: f64| {
            let mut x = vec![-inf; len];
            (x[0], x[1]) = (first, second);
            row(&x)
        };
        let (y, dx) = with(0.0, 0.0);
        assert!((y + 2f64.ln()).abs() < 1e-15);
        assert_eq!((dx[0], dx[1], dx[2]), (0.5, -0.5, 0.0));
        assert_eq!(with(-inf, 0.0).0, -inf);
        assert!(with(inf, 0.0).0.is_nan());
        assert_eq!(with(inf, 0.0).1[1..], vec![0.0; len - 1]);
        assert!(with(-inf, -inf).0.is_nan());
        for x in [with(f64::NAN, 0.0), with(0.0, f64::NAN)] {
            assert!(x.0.is_nan() && x.1[..2].iter().all(|dx| dx.is_nan()), "{x:?}");
        }
    }
}

#[test]
fn a_label_that_is_no_class_is_an_error_before_anything_is_written() {
    for label in [-1, 7, i64::from(i32::MIN)] {
        let mut bench = Bench::new(4);
        let all = operands(&mut bench, F32, &[20], 7);
        write(&mut bench.buffers, &all[1], &[19, 0], V::I(label));
        let program = bench.program(kernels(&all));
        let got = bench.try_run(&program, &pools()[0]).map(|_| ()).unwrap_err();
        let want = RunError::Index {
            instr: 0,
            index: read(&bench.buffers, &all[1], &[19, 0]).i(),
            len: 7,
        };
        assert_eq!(got, want);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let fault = |change: fn(&mut [Slice; 5])| {
        let mut bench = Bench::new(1);
        let mut all = operands(&mut bench, F32, &[3], 5);
        change(&mut all);
        let spec = |(b, &writable): (&pleach_kernels::AlignedBuf, _)| pleach_kernels::BufferSpec {
            bytes: b.len(),
            writable,
        };
        let specs = bench.buffers.iter().zip(&bench.writable).map(spec).collect();
        pleach_kernels::Program::new(kernels(&all), specs).err().map(|e| e.fault)
    };
    assert_eq!(fault(|_| ()), None);
    assert!(matches!(
        fault(|all| all[1].dims[1] = 5),
        Some(Fault::Shape { .. } | Fault::OutOfBounds { .. })
    ));
    assert!(matches!(fault(|all| all[3].dims[0] = 2), Some(Fault::Shape { .. })));
    assert!(matches!(fault(|all| all[4].dims[0] = 2), Some(Fault::Shape { .. })));
    assert_eq!(fault(|all| all[1].dtype = F32), Some(Fault::DType { expected: I64, got: F32 }));
    assert!(matches!(fault(|all| all[0].dtype = I32), Some(Fault::DType { .. })));
    let apart = |all: &mut [Slice; 5]| all[0].strides[1] = 0;
    assert_eq!(fault(apart), Some(Fault::Unsupported { dtype: F32 }));
}
