//! Conversions of floats of 16 bits: all of them, as loops do it on this instruction set.

use pleach_kernels::{
    AlignedBuf, Axes, Bound, BufferId, BufferSpec, Kernel, Program, ReduceOp, ScalarOp,
    ScalarProgram, Slice, WinogradOp, run,
};
use pleach_tensor::{DType, Element, F32, F64, Narrow, bf16, f16};

use crate::support::pools;

/// A loop of one conversion over these elements.
fn converted<S: Element, T: Element>(op: ScalarOp, x: &[S]) -> Vec<T> {
    let slice = |buffer, dtype| Slice::new(BufferId(buffer), dtype, 0, &[x.len()]);
    let (inputs, outputs) = (vec![slice(0, S::DTYPE)], vec![slice(1, T::DTYPE)]);
    let kernel = Kernel::Loop { program: ScalarProgram::single(op, S::DTYPE), inputs, outputs };
    let specs = [size_of::<S>(), size_of::<T>()];
    let specs = specs.map(|size| BufferSpec { bytes: size * x.len(), writable: true }).to_vec();
    let program = Program::new(vec![kernel], specs).unwrap();
    let mut buffers = [AlignedBuf::from_slice(x), AlignedBuf::new(size_of::<T>() * x.len())];
    let mut bound: Vec<Bound<'_>> = buffers.iter_mut().map(Bound::write).collect();
    run(&program, &mut bound, &pools()[1]).unwrap();
    buffers[1].as_slice::<T>().unwrap().to_vec()
}

fn same<T: Element>(got: T, want: T) -> bool {
    let [nan, none] = [got, want].map(|x| x.to_f64().is_nan());
    got.to_bits64() == want.to_bits64() || nan && none
}

/// Every number, between it and the next one the tie, and the neighbours of that.
fn hold<H: Narrow>(of: fn(u16) -> H) {
    let all: Vec<H> = (0..=u16::MAX).map(of).collect();
    let wide: Vec<f32> = converted(ScalarOp::Cast(F32), &all);
    let wider: Vec<f64> = converted(ScalarOp::Cast(F64), &all);
    let back: Vec<H> = converted(ScalarOp::Cast(H::DTYPE), &wide);
    let (mut singles, mut doubles) = (wide.clone(), wider.clone());
    for (i, &x) in all.iter().enumerate() {
        assert!(same(wide[i], x.widen()) && wider[i].to_bits() == f64::from(wide[i]).to_bits());
        assert!(same(back[i], x), "{i:x}");
        let tie =
            f64::from(wide[i]) / 2.0 + f64::from(of((i as u16).wrapping_add(1)).widen()) / 2.0;
        let single = tie as f32;
        singles.extend([single, single.next_up(), single.next_down()]);
        doubles.extend([tie, tie.next_up(), tie.next_down()]);
    }
    let narrow: Vec<H> = converted(ScalarOp::Cast(H::DTYPE), &singles);
    let rounded: Vec<f32> = converted(ScalarOp::Narrow(H::DTYPE), &singles);
    for ((&x, y), z) in singles.iter().zip(narrow).zip(rounded) {
        assert!(same(y, H::narrow(x)) && same(z, H::narrow(x).widen()), "{x:e}");
    }
    let narrow: Vec<H> = converted(ScalarOp::Cast(H::DTYPE), &doubles);
    for (&x, y) in doubles.iter().zip(narrow) {
        assert!(same(y, H::from_f64(x)), "{x:e}");
    }
}

#[test]
fn all_numbers_of_bf16() {
    assert_eq!(bf16::DTYPE, DType::Bf16);
    hold(bf16::from_bits);
}

#[test]
fn all_numbers_of_f16() {
    hold(f16::from_bits);
}

#[test]
fn what_adds_up_refuses_them() {
    let slice = |buffer, dims: &[usize]| Slice::new(BufferId(buffer), DType::Bf16, 0, dims);
    let [x, y, z, w] = [0, 1, 2, 3].map(|buffer| slice(buffer, &[4, 4]));
    let image = |buffer, lengths: [usize; 4]| slice(buffer, &lengths);
    let op = WinogradOp::Convolve { padding: [[1, 1]; 2] };
    let (images, weight) = (image(0, [1, 1, 4, 4]), image(1, [1, 1, 3, 3]));
    let work = slice(2, &[op.work(&images.dims, &weight.dims, F32)]);
    let kernels = [
        Kernel::Reduce {
            op: ReduceOp::Sum,
            axes: Axes::from_slice(&[1]),
            input: x.clone(),
            output: slice(1, &[4]),
        },
        Kernel::Gemm { a: x.clone().into(), b: y.clone().into(), c: z.clone() },
        Kernel::Iota { axis: 0, output: x.clone() },
        Kernel::Attention { causal: true, scale: 1.0, inputs: vec![x, y, z], outputs: vec![w] },
        Kernel::Winograd {
            op,
            inputs: [images.clone(), weight],
            work,
            output: image(3, [1, 1, 4, 4]),
        },
    ];
    for kernel in kernels {
        let specs = vec![BufferSpec { bytes: 1 << 20, writable: true }; 4];
        let refused = Program::new(vec![kernel.clone()], specs).map(drop).unwrap_err();
        assert!(refused.to_string().contains("bf16"), "{kernel:?}: {refused}");
    }
}
