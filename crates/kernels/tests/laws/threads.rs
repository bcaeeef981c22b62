//! Work that is cut into many tasks: the bits are those of one thread.

use pleach_kernels::{Axes, Kernel, RandomOp, ReduceOp, ScalarOp, ScalarProgram, Slice};
use pleach_tensor::{DType, F32, F64, I64};

use crate::support::{Bench, V, write};

/// A packed array of uniform draws, made by the kernel under test.
fn draw(bench: &mut Bench, kernels: &mut Vec<Kernel>, dtype: DType, dims: &[usize]) -> Slice {
    let key = bench.input(I64, &[], false);
    write(&mut bench.buffers, &key, &[], V::I(kernels.len() as i64));
    let y = packed(bench, dtype, dims);
    kernels.push(Kernel::Random { op: RandomOp::Normal, key, output: y.clone() });
    y
}

fn packed(bench: &mut Bench, dtype: DType, dims: &[usize]) -> Slice {
    let id = bench.buffers.len() as u32;
    let y = Slice::new(pleach_kernels::BufferId(id), dtype, 0, dims);
    bench.buffers.push(pleach_kernels::AlignedBuf::new(y.numel() * dtype.size()));
    bench.writable.push(true);
    y
}

#[test]
fn large_loops_reductions_and_products() {
    for dtype in [F32, F64] {
        let mut bench = Bench::new(5);
        let mut kernels = vec![];
        let (m, n) = (611, 517);
        let a = draw(&mut bench, &mut kernels, dtype, &[m, n]);
        let b = draw(&mut bench, &mut kernels, dtype, &[n, m]);
        for op in [ScalarOp::Exp, ScalarOp::Neg] {
            let outputs = vec![packed(&mut bench, dtype, &[m, n])];
            let program = ScalarProgram::single(op, dtype);
            kernels.push(Kernel::Loop { program, inputs: vec![a.clone()], outputs });
        }
        for axes in [&[0][..], &[1], &[0, 1]] {
            let kept: Vec<usize> =
                (0..2).filter(|i| !axes.contains(i)).map(|i| [m, n][i]).collect();
            let output = packed(&mut bench, dtype, &kept);
            let (axes, input) = (Axes::from_slice(axes), a.clone());
            kernels.push(Kernel::Reduce { op: ReduceOp::Sum, axes, input, output });
        }
        let c = packed(&mut bench, dtype, &[m, m]);
        kernels.push(Kernel::Gemm { a: a.clone().into(), b: b.into(), c });
        let output = packed(&mut bench, I64, &[n]);
        kernels.push(Kernel::ArgMax { axis: 0, input: a.clone(), output });
        let indices = bench.indices(&[900], m);
        let taken = packed(&mut bench, dtype, &[900, n]);
        kernels.push(Kernel::Take {
            axis: 0,
            x: a,
            indices: indices.clone(),
            output: taken.clone(),
        });
        let output = packed(&mut bench, dtype, &[m, n]);
        kernels.push(Kernel::TakeAdd { axis: 0, dy: taken, indices, output });
        for _ in 0..3 {
            bench.run(kernels.clone());
        }
    }
}
