//! Elementwise loops on arrays that stay in the first-level cache, and an optimizer's update on
//! arrays that do not fit any. Throughput counts every operand read and every result written once.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pleach_kernels::{
    AlignedBuf, Bound, BufferId, BufferSpec, Kernel, Pool, Program, Reg, Scalar, ScalarOp,
    ScalarProgram, Slice, run,
};
use pleach_tensor::{BF16, F16, F32};

/// A loop of `program` over `n` elements: inputs in their own buffers, outputs in those of the
/// inputs `place`, or in buffers of their own.
struct Bench {
    program: Program,
    buffers: Vec<AlignedBuf>,
    pool: Pool,
}

impl Bench {
    fn new(program: ScalarProgram, n: usize, place: &[Option<usize>], threads: usize) -> Bench {
        let inputs = program.inputs.len();
        let mut count = inputs;
        let slice = |b: usize, dtype| Slice::new(BufferId(b as u32), dtype, 0, &[n]);
        let sources = (0..inputs).map(|i| slice(i, program.inputs[i])).collect();
        let outputs = program.outputs.iter().enumerate().map(|(o, reg)| {
            let at = place.get(o).copied().flatten().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
            let of = reg.0 as usize;
            let made = of.checked_sub(inputs).map(|i| program.instrs[i]);
            slice(at, made.map_or(F32, |instr| instr.op.result(instr.dtype)))
        });
        let outputs = outputs.collect();
        let kernel = Kernel::Loop { program, inputs: sources, outputs };
        let specs = vec![BufferSpec { bytes: 4 * n, writable: true }; count];
        let mut buffers: Vec<AlignedBuf> = specs.iter().map(|s| AlignedBuf::new(s.bytes)).collect();
        for (i, buffer) in buffers.iter_mut().enumerate() {
            let x = buffer.as_mut_slice::<f32>().unwrap();
            x.iter_mut().enumerate().for_each(|(k, x)| *x = 0.1 + (k * (i + 3) % 97) as f32 * 0.01);
        }
        let program = Program::new(vec![kernel], specs).unwrap();
        Bench { program, buffers, pool: Pool::new(threads) }
    }

    fn run(&mut self) {
        let mut bound: Vec<Bound<'_>> = self.buffers.iter_mut().map(Bound::write).collect();
        run(black_box(&self.program), &mut bound, &self.pool).unwrap();
    }
}

fn single(c: &mut Criterion) {
    const N: usize = 2048;
    use ScalarOp::*;
    let mut group = c.benchmark_group("loop/f32");
    group.measurement_time(Duration::from_millis(500)).warm_up_time(Duration::from_millis(100));
    for op in [
        Neg, Abs, Sign, Add, Sub, Mul, Div, Max, Min, Sqrt, Exp, Expm1, Ln, Ln1p, Tanh, Sigmoid,
        Erf, Softplus, Sin, Cos, Pow, Less, Select, Floor, Round,
    ] {
        let program = ScalarProgram::single(op, F32);
        let streams = program.inputs.len() + 1;
        let mut bench = Bench::new(program, N, &[], 1);
        group.throughput(Throughput::Bytes((4 * streams * N) as u64));
        group.bench_function(format!("{op:?}"), |b| b.iter(|| bench.run()));
    }
}

/// Conversions and sums of floats of 16 bits beside a copy: in the first-level cache, and in memory.
fn halves(c: &mut Criterion) {
    use ScalarOp::*;
    for (place, n) in [("cache", 2048), ("memory", 1 << 23)] {
        let mut group = c.benchmark_group(format!("loop/16 bits in {place}"));
        group.measurement_time(Duration::from_millis(500)).sample_size(20);
        let casts = [BF16, F16].map(|half| [(Cast(half), F32), (Cast(F32), half), (Add, half)]);
        for (op, dtype) in casts.into_iter().flatten().chain([(Copy, F32)]) {
            let program = ScalarProgram::single(op, dtype);
            let read: usize = program.inputs.iter().map(|dtype| dtype.size()).sum();
            let mut bench = Bench::new(program, n, &[], 1);
            group.throughput(Throughput::Bytes(((read + op.result(dtype).size()) * n) as u64));
            group.bench_function(format!("{op:?} of {dtype}"), |b| b.iter(|| bench.run()));
        }
    }
}

/// Adam's update of a parameter, as an optimizer records it: inputs are the parameter, its gradient,
/// the two slots, and two numbers of the schedule.
fn adam() -> ScalarProgram {
    use ScalarOp::*;
    let mut p = ScalarProgram::new(vec![F32; 4]);
    let [w, g, m, v] = [0, 1, 2, 3].map(Reg);
    let mut constant = |x: f64| p.push(Const(Scalar::fill(F32, x)), F32, &[]);
    let [b1, c1, b2, c2, rate, bias, eps] =
        [0.9, 0.1, 0.999, 0.001, 1e-3, 1.5, 1e-8].map(&mut constant);
    let mut op = |op, args: &[Reg]| p.push(op, F32, args);
    let (a, b) = (op(Mul, &[m, b1]), op(Mul, &[g, c1]));
    let m = op(Add, &[a, b]);
    let (a, b) = (op(Mul, &[v, b2]), op(Mul, &[g, g]));
    let b = op(Mul, &[b, c2]);
    let v = op(Add, &[a, b]);
    let root = op(Sqrt, &[v]);
    let root = op(Div, &[root, bias]);
    let below = op(Add, &[root, eps]);
    let step = op(Mul, &[m, rate]);
    let step = op(Div, &[step, below]);
    let w = op(Sub, &[w, step]);
    p.outputs.extend([w, m, v]);
    p
}

/// The same update written by hand: what a loop can reach.
#[inline(always)]
fn adam_loop(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        *m = *m * 0.9 + g * 0.1;
        *v = *v * 0.999 + g * g * 0.001;
        *w -= *m * 1e-3 / (v.sqrt() / 1.5 + 1e-8);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn adam_avx2(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    adam_loop(w, g, m, v);
}

fn adam_by_hand(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has both.
        return unsafe { adam_avx2(w, g, m, v) };
    }
    adam_loop(w, g, m, v);
}

fn update(c: &mut Criterion) {
    let mut group = c.benchmark_group("loop/adam");
    group.measurement_time(Duration::from_secs(2)).sample_size(20);
    for (name, n) in [("L2", 40_000), ("L3", 500_000), ("memory", 10_000_000)] {
        let mut state = [0.1f32, 0.2, 0.3, 0.4].map(|x| vec![x; n]);
        group.throughput(Throughput::Bytes((28 * n) as u64));
        group.bench_function(format!("{name}, by hand"), |b| {
            let [w, g, m, v] = &mut state;
            b.iter(|| adam_by_hand(black_box(w), g, m, v));
        });
        for threads in [1, 2] {
            let mut bench = Bench::new(adam(), n, &[Some(0), Some(2), Some(3)], threads);
            group.bench_function(format!("{name}, {threads} threads"), |b| b.iter(|| bench.run()));
        }
    }
}

criterion_group!(benches, single, halves, update);
criterion_main!(benches);
