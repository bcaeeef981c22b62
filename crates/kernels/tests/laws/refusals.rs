//! What a program or a run refuses.

use pleach_kernels::*;
use pleach_tensor::{BOOL, DType, F32, F64, I64};
use smallvec::smallvec;

fn slice(buffer: u32, dtype: DType, offset: usize, dims: &[usize]) -> Slice {
    Slice::new(BufferId(buffer), dtype, offset, dims)
}

/// Buffers 0 (read-only), 1 and 2, of 64 bytes.
fn specs() -> Vec<BufferSpec> {
    [false, true, true].map(|writable| BufferSpec { bytes: 64, writable }).to_vec()
}

fn negate(x: Slice, y: Slice) -> Kernel {
    let program = ScalarProgram::single(ScalarOp::Neg, x.dtype);
    Kernel::Loop { program, inputs: vec![x], outputs: vec![y] }
}

fn fault(kernel: Kernel) -> Option<Fault> {
    Program::new(vec![kernel], specs()).err().map(|e| e.fault)
}

#[test]
fn slices_outside_of_their_buffers() {
    let y = || slice(1, F32, 0, &[16]);
    let out = |b| Some(Fault::OutOfBounds { buffer: BufferId(b) });
    assert_eq!(fault(negate(slice(0, F32, 0, &[16]), y())), None);
    assert_eq!(fault(negate(slice(0, F32, 1, &[16]), y())), out(0));
    assert_eq!(fault(negate(slice(0, F32, usize::MAX, &[16]), y())), out(0));
    assert_eq!(fault(negate(slice(0, F32, usize::MAX / 4 + 1, &[16]), y())), out(0));
    let strided = |dims: &[usize], strides: &[isize], offset| Slice {
        strides: Strides::from_slice(strides),
        ..slice(0, F32, offset, dims)
    };
    assert_eq!(fault(negate(strided(&[16], &[-1], 15), y())), None);
    assert_eq!(fault(negate(strided(&[16], &[-1], 14), y())), out(0));
    assert_eq!(fault(negate(strided(&[16], &[isize::MAX], 0), y())), out(0));
    assert_eq!(fault(negate(strided(&[16], &[isize::MIN], 0), y())), out(0));
    assert_eq!(fault(negate(strided(&[16], &[0], 15), y())), None);
    let huge = strided(&[usize::MAX, usize::MAX], &[0, 0], 0);
    assert_eq!(fault(negate(huge.clone(), huge)), out(0));
    // No element is read from an empty slice, wherever it is.
    let empty = |b| slice(b, F32, 99, &[4, 0]);
    assert_eq!(fault(negate(empty(0), empty(1))), None);
    assert_eq!(fault(negate(slice(0, F32, 0, &[16]), slice(1, F32, 1, &[16]))), out(1));
    let missing = fault(negate(slice(9, F32, 0, &[1]), slice(1, F32, 0, &[1])));
    assert_eq!(missing, Some(Fault::UnknownBuffer { buffer: BufferId(9) }));
    let ranks = strided(&[4, 4], &[1], 0);
    assert_eq!(fault(negate(ranks, y())), Some(Fault::Rank { dims: 2, strides: 1 }));
}

#[test]
fn outputs_that_overlap() {
    let x = slice(0, F32, 0, &[4]);
    let read_only = fault(negate(x.clone(), slice(0, F32, 8, &[4])));
    assert_eq!(read_only, Some(Fault::ReadOnly { buffer: BufferId(0) }));
    let repeated = Slice { strides: smallvec![0], ..slice(1, F32, 0, &[4]) };
    assert_eq!(fault(negate(x, repeated)), Some(Fault::Overlap { buffer: BufferId(1) }));
    // In place is fine, shifted is not.
    let alias = Some(Fault::Alias { buffer: BufferId(1) });
    assert_eq!(fault(negate(slice(1, F32, 2, &[4]), slice(1, F32, 2, &[4]))), None);
    assert_eq!(fault(negate(slice(1, F32, 1, &[4]), slice(1, F32, 2, &[4]))), alias);
    let back = Slice { strides: smallvec![-1], ..slice(1, F32, 5, &[4]) };
    assert_eq!(fault(negate(back, slice(1, F32, 2, &[4]))), alias);
    let program = ScalarProgram::single(ScalarOp::Cast(F32), F64);
    let narrow = Kernel::Loop {
        program,
        inputs: vec![slice(1, F64, 0, &[4])],
        outputs: vec![slice(1, F32, 0, &[4])],
    };
    assert_eq!(fault(narrow), alias);
    let mut program = ScalarProgram::single(ScalarOp::Neg, F32);
    program.outputs.push(Reg(1));
    let two = Kernel::Loop {
        program,
        inputs: vec![slice(0, F32, 0, &[4])],
        outputs: vec![slice(1, F32, 0, &[4]), slice(1, F32, 3, &[4])],
    };
    assert_eq!(fault(two), alias);
    // Only loops work in place.
    let c = slice(1, F32, 0, &[2, 2]);
    assert_eq!(
        fault(Kernel::Gemm { a: c.clone().into(), b: slice(0, F32, 0, &[2, 2]).into(), c }),
        alias
    );
}

#[test]
fn operands_of_wrong_type_or_shape() {
    let (x, y) = (slice(0, F32, 0, &[2, 3]), slice(1, F32, 0, &[2]));
    let reduce = |axes: &[usize], x: &Slice, y: &Slice| {
        let axes = Axes::from_slice(axes);
        fault(Kernel::Reduce { op: ReduceOp::Sum, axes, input: x.clone(), output: y.clone() })
    };
    assert_eq!(reduce(&[1], &x, &y), None);
    assert!(matches!(reduce(&[0], &x, &y), Some(Fault::Shape { .. })));
    assert!(matches!(reduce(&[2], &x, &y), Some(Fault::Axis { .. })));
    assert!(matches!(reduce(&[1, 1], &x, &y), Some(Fault::Axis { .. })));
    let bools = [slice(0, BOOL, 0, &[2, 3]), slice(1, BOOL, 0, &[2])];
    assert_eq!(reduce(&[1], &bools[0], &bools[1]), Some(Fault::Unsupported { dtype: BOOL }));
    let gemm = |a: &[usize], b: &[usize], c: &[usize]| {
        fault(Kernel::Gemm {
            a: slice(0, F32, 0, a).into(),
            b: slice(0, F32, 0, b).into(),
            c: slice(1, F32, 0, c),
        })
    };
    assert_eq!(gemm(&[2, 3], &[3, 2], &[2, 2]), None);
    assert!(gemm(&[2, 3], &[2, 3], &[2, 2]).is_some());
    assert!(gemm(&[3], &[3], &[]).is_some());
    assert!(gemm(&[1, 2, 3], &[2, 3, 1], &[1, 2, 1]).is_some());
    let take = |axis, indices: Slice, out: &[usize]| {
        fault(Kernel::Take { axis, x: x.clone(), indices, output: slice(1, F32, 0, out) })
    };
    assert_eq!(take(1, slice(0, I64, 0, &[]), &[2]), None);
    assert!(take(2, slice(0, I64, 0, &[]), &[2]).is_some());
    assert!(take(1, slice(0, F32, 0, &[]), &[2]).is_some());
    assert!(take(1, slice(0, I64, 0, &[]), &[3]).is_some());
    assert!(fault(Kernel::Iota { axis: 0, output: slice(1, F32, 0, &[]) }).is_some());
    assert!(
        fault(Kernel::FoldIn {
            key: slice(0, I64, 0, &[]),
            n: slice(0, F64, 0, &[]),
            output: slice(1, I64, 0, &[]),
        })
        .is_some()
    );
    let count = Kernel::Loop {
        program: ScalarProgram::single(ScalarOp::Add, F32),
        inputs: vec![x],
        outputs: vec![],
    };
    assert_eq!(fault(count), Some(Fault::Count { expected: 2, got: 1 }));
}

#[test]
fn errors_name_the_instruction() {
    let good = negate(slice(0, F32, 0, &[4]), slice(1, F32, 0, &[4]));
    let bad = negate(slice(0, F32, 0, &[4]), slice(0, F32, 4, &[4]));
    let err = Program::new(vec![good, bad], specs()).unwrap_err();
    assert_eq!(err.to_string(), "instruction 1 (loop): buffer 0 is read-only");
}

#[test]
fn wrong_bindings() {
    let kernel = negate(slice(0, F64, 0, &[8]), slice(1, F64, 0, &[8]));
    let program = Program::new(vec![kernel], specs()).unwrap();
    let pool = Pool::new(1);
    let x = AlignedBuf::new(72);
    let [mut y, mut z, mut short] = [64, 100, 63].map(AlignedBuf::new);
    let binding = |r: Result<(), RunError>| match r {
        Err(RunError::Binding { buffer, .. }) => buffer,
        r => panic!("{r:?}"),
    };
    let run = |a: Bound<'_>, b: Bound<'_>, c: &mut AlignedBuf| {
        run(&program, &mut [a, b, Bound::write(c)], &pool)
    };
    assert_eq!(run(Bound::read_bytes(x.bytes()), Bound::write(&mut y), &mut z), Ok(()));
    let got = run(Bound::read_bytes(&x.bytes()[1..65]), Bound::write(&mut y), &mut z);
    assert_eq!(binding(got), 0);
    let got = run(Bound::read_bytes(x.bytes()), Bound::read_bytes(x.bytes()), &mut z);
    assert_eq!(binding(got), 1);
    assert_eq!(binding(run(Bound::read(&[0f64; 8]), Bound::write(&mut y), &mut short)), 2);
    assert_eq!(binding(run(Bound::read(&[0f64; 7]), Bound::write(&mut y), &mut z)), 0);
    let few = pleach_kernels::run(&program, &mut [], &pool);
    assert_eq!(few, Err(RunError::Count { expected: 3, got: 0 }));
}
