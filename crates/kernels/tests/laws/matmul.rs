//! Matrix products.

use pleach_kernels::Kernel;
use pleach_tensor::{DType, F32, F64, I32, I64};
use proptest::prelude::*;

use crate::support::{Bench, V, agree, indices, read};

fn check(dtype: DType, batch: &[usize], [m, n, k]: [usize; 3], seed: u64) {
    let mut bench = Bench::new(seed);
    let dims = |tail: [usize; 2]| [batch, &tail].concat();
    let a = bench.input(dtype, &dims([m, k]), false);
    let b = bench.input(dtype, &dims([k, n]), false);
    let c = bench.output(dtype, &dims([m, n]));
    let kernel = Kernel::Gemm { a: a.clone(), b: b.clone(), c: c.clone() };
    let after = bench.run(vec![kernel]);
    for index in indices(&c.dims) {
        let (head, tail) = index.split_at(batch.len());
        let at = |s, i, j| read(&after, s, &[head, &[i, j]].concat());
        let (mut sum, mut size, mut int) = (0.0, 0.0, 0i64);
        for l in 0..k {
            let (x, y) = (at(&a, tail[0], l), at(&b, l, tail[1]));
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
}
