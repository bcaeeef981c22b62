//! Sums of squares of rows: a loop and a reduction, and one loop that does both. Throughput counts the
//! array that is read.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pleach_kernels::{
    AlignedBuf, Bound, BufferId, BufferSpec, Kernel, Pool, Program, ReduceOp, Reg, ScalarOp,
    ScalarProgram, Slice, run,
};
use pleach_tensor::F32;

/// `Σ (x - m)²` of rows of `x`, with a number `m` for each: apart, and as one.
fn kernels(rows: usize, row: usize) -> [Vec<Kernel>; 2] {
    let mut program = ScalarProgram::new(vec![F32, F32]);
    let distance = program.push(ScalarOp::Sub, F32, &[Reg(0), Reg(1)]);
    program.outputs = vec![program.push(ScalarOp::Mul, F32, &[distance, distance])];
    let slice = |b, dims: &[usize]| Slice::new(BufferId(b), F32, 0, dims);
    let m = Slice { strides: [1, 0].into_iter().collect(), ..slice(1, &[rows, row]) };
    let inputs = vec![slice(0, &[rows, row]), m];
    let (square, sums) = (slice(2, &[rows, row]), slice(3, &[rows]));
    let (op, axes) = (ReduceOp::Sum, [1].into_iter().collect());
    let outputs = vec![square.clone()];
    let apart = vec![
        Kernel::Loop { program: program.clone(), inputs: inputs.clone(), outputs },
        Kernel::Reduce { op, axes, input: square, output: sums.clone() },
    ];
    let reduced = vec![(op, sums)];
    [apart, vec![Kernel::LoopReduce { program, inputs, outputs: vec![], reduced }]]
}

fn squares(c: &mut Criterion) {
    let pool = Pool::new(1);
    for (rows, row) in [(1024, 128), (1024, 512), (8192, 128), (8192, 1024)] {
        let mut group = c.benchmark_group(format!("rows/{rows}x{row}"));
        group.measurement_time(Duration::from_secs(1)).sample_size(20);
        group.throughput(Throughput::Bytes((4 * rows * row) as u64));
        let lengths = [rows * row, rows, rows * row, rows];
        let specs = lengths.map(|n| BufferSpec { bytes: 4 * n, writable: true }).to_vec();
        let mut buffers: Vec<AlignedBuf> = specs.iter().map(|s| AlignedBuf::new(s.bytes)).collect();
        for (name, kernels) in ["apart", "one"].into_iter().zip(kernels(rows, row)) {
            let program = Program::new(kernels, specs.clone()).unwrap();
            group.bench_function(name, |b| {
                b.iter(|| {
                    let mut bound: Vec<Bound<'_>> = buffers.iter_mut().map(Bound::write).collect();
                    run(&program, &mut bound, &pool).unwrap();
                });
            });
        }
    }
}

criterion_group!(benches, squares);
criterion_main!(benches);
