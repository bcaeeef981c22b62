//! probe
use pleach_kernels::*;
use pleach_tensor::*;
use std::time::Instant;
fn time(name: &str, kernels: Vec<Kernel>, sizes: &[usize], pool: &Pool) {
    let n = kernels.len();
    let program = Program::new(kernels, sizes.iter().map(|&bytes| BufferSpec { bytes, writable: true }).collect()).unwrap();
    let mut bufs: Vec<AlignedBuf> = sizes.iter().map(|&b| AlignedBuf::new(b)).collect();
    for b in &mut bufs { if let Some(s) = b.as_mut_slice::<f32>() { for (i, x) in s.iter_mut().enumerate() { *x = (i % 100) as f32 * 0.01; } } }
    let mut best = f64::MAX;
    for _ in 0..7 {
        let reps = 1 + (2e6 / (best.min(1e6).max(10.0))) as usize;
        let t = Instant::now();
        for _ in 0..reps {
            let mut bound: Vec<Bound> = bufs.iter_mut().map(Bound::write).collect();
            run(&program, &mut bound, pool).unwrap();
        }
        best = best.min(t.elapsed().as_secs_f64() * 1e9 / reps as f64);
    }
    println!("{name:40} {:12.1} ns  ({:.1} each)", best, best / n as f64);
}
fn s(b: u32, dims: &[usize]) -> Slice { Slice::new(BufferId(b), F32, 0, dims) }
fn main() {
    for threads in [1, 2] {
        println!("threads {threads}");
        let pool = Pool::new(threads);
        let lp = |op, n: &[usize]| { let p = ScalarProgram::single(op, F32); let k = p.inputs.len() as u32; Kernel::Loop { program: p, inputs: (0..k).map(|i| s(i, n)).collect(), outputs: vec![s(3, n)] } };
        let b = |n: usize| vec![n * 4; 4];
        time("empty-ish add 16 x100", vec![lp(ScalarOp::Add, &[16]); 100], &b(16), &pool);
        for op in [ScalarOp::Add, ScalarOp::Max, ScalarOp::Exp, ScalarOp::Ln, ScalarOp::Tanh, ScalarOp::Erf, ScalarOp::Ln1p, ScalarOp::Div, ScalarOp::Floor, ScalarOp::Sqrt] {
            time(&format!("{op:?} 512"), vec![lp(op, &[512]); 10], &b(512), &pool);
        }
        time("Add 1M", vec![lp(ScalarOp::Add, &[1 << 20])], &b(1 << 20), &pool);
        time("Exp 1M", vec![lp(ScalarOp::Exp, &[1 << 20])], &b(1 << 20), &pool);
        // bias add 64x10, 64x256, row broadcast
        for (m, n) in [(64, 10), (64, 256)] {
            let mut row = s(1, &[m, n]); row.strides[0] = 0;
            let mut col = s(1, &[m, n]); col.strides[1] = 0; col.strides[0] = 1;
            for (nm, x) in [("row", row), ("col", col)] {
                time(&format!("add {nm} {m}x{n}"), vec![Kernel::Loop { program: ScalarProgram::single(ScalarOp::Add, F32), inputs: vec![s(0, &[m, n]), x], outputs: vec![s(3, &[m, n])] }], &b(m * n), &pool);
            }
        }
        // transpose copy
        let mut t = s(0, &[512, 512]); t.strides = Strides::from_slice(&[1, 512]);
        time("transpose 512", vec![Kernel::Loop { program: ScalarProgram::single(ScalarOp::Copy, F32), inputs: vec![t], outputs: vec![s(3, &[512, 512])] }], &b(512 * 512), &pool);
        // adam
        let mut p = ScalarProgram::new(vec![F32; 4]);
        let c = |p: &mut ScalarProgram, v| p.push(ScalarOp::Const(Scalar::from_f64(F32, v)), F32, &[]);
        let (b1, b2, i1, i2, lr, eps) = (c(&mut p, 0.9), c(&mut p, 0.999), c(&mut p, 0.1), c(&mut p, 0.001), c(&mut p, 1e-3), c(&mut p, 1e-8));
        let (w, g, m, v) = (Reg(0), Reg(1), Reg(2), Reg(3));
        let m1 = p.push(ScalarOp::Mul, F32, &[m, b1]); let g1 = p.push(ScalarOp::Mul, F32, &[g, i1]); let m2 = p.push(ScalarOp::Add, F32, &[m1, g1]);
        let v1 = p.push(ScalarOp::Mul, F32, &[v, b2]); let gg = p.push(ScalarOp::Mul, F32, &[g, g]); let g2 = p.push(ScalarOp::Mul, F32, &[gg, i2]); let v2 = p.push(ScalarOp::Add, F32, &[v1, g2]);
        let q = p.push(ScalarOp::Sqrt, F32, &[v2]); let q = p.push(ScalarOp::Add, F32, &[q, eps]); let u = p.push(ScalarOp::Div, F32, &[m2, q]); let u = p.push(ScalarOp::Mul, F32, &[u, lr]); let w2 = p.push(ScalarOp::Sub, F32, &[w, u]);
        p.outputs = vec![w2, m2, v2];
        let n = 235_146;
        time("adam 235k in place", vec![Kernel::Loop { program: p, inputs: (0..4).map(|i| s(i, &[n])).collect(), outputs: vec![s(0, &[n]), s(2, &[n]), s(3, &[n])] }], &b(n), &pool);
        for (m, n, k) in [(16, 16, 16), (32, 16, 16), (32, 64, 10), (32, 10, 64), (1, 64, 64), (48, 48, 48), (64, 64, 64), (64, 256, 784), (64, 10, 128), (1024, 1024, 1024), (784, 256, 64)] {
            time(&format!("gemm {m}x{n}x{k}"), vec![Kernel::Gemm { a: s(0, &[m, k]), b: s(1, &[k, n]), c: s(2, &[m, n]) }], &[m * k * 4, k * n * 4, m * n * 4], &pool);
        }
        for (dims, ax) in [([64, 10], 1), ([64, 256], 1), ([64, 256], 0), ([1024, 1024], 0), ([1024, 1024], 1), ([64, 10], 0)] {
            let kept = [dims[1 - ax]];
            time(&format!("sum {dims:?} over {ax}"), vec![Kernel::Reduce { op: ReduceOp::Sum, axes: Axes::from_slice(&[ax]), input: s(0, &dims), output: s(1, &kept) }], &[dims[0] * dims[1] * 4, kept[0] * 4], &pool);
        }
    }
}
