//! A bench: random arrays in buffers with canaries, and reading them back.

use std::sync::OnceLock;

use pleach_kernels::{
    AlignedBuf, Axes, Bound, BufferId, BufferSpec, Kernel, Pool, Program, ProgramError, RunError,
    Slice, Strides, run,
};
use pleach_tensor::{DType, Element, Key, for_dtype};

/// A stream of random choices.
pub(crate) struct Rng(Key, u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(Key(seed), 0)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.below(self.1, n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Lengths of `rank` axes, mostly short, with a product of at most about 3000.
    pub(crate) fn dims(&mut self, rank: usize) -> Vec<usize> {
        let most = [0, 70, 40, 12, 7][rank];
        (0..rank)
            .map(|_| match self.below(8) {
                0 => self.below(2),
                _ => self.below(most + 1),
            })
            .collect()
    }
}

/// An element: floats are compared as `f64`, all else as `i64`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum V {
    F(f64),
    I(i64),
}

impl V {
    pub(crate) fn f(self) -> f64 {
        match self {
            V::F(x) => x,
            V::I(i) => i as f64,
        }
    }

    pub(crate) fn i(self) -> i64 {
        match self {
            V::F(x) => x as i64,
            V::I(i) => i,
        }
    }
}

/// All indices of an array, row-major.
pub(crate) fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..dims.iter().product()).map(|i| pleach_tensor::compare::unravel(i, dims))
}

/// Element number of an index.
pub(crate) fn place(slice: &Slice, index: &[usize]) -> usize {
    let offset: isize = slice.strides.iter().zip(index).map(|(&s, &i)| s * i as isize).sum();
    slice.offset.checked_add_signed(offset).expect("in bounds")
}

/// Reads an element.
pub(crate) fn read(buffers: &[AlignedBuf], slice: &Slice, index: &[usize]) -> V {
    let (at, size) = (place(slice, index), slice.dtype.size());
    let bytes = &buffers[slice.buffer.0 as usize].bytes()[at * size..][..size];
    match slice.dtype {
        DType::Bool => V::I(bytes[0].into()),
        dtype => for_dtype!(dtype, T => {
            let mut word = [0; 8];
            word[..size].copy_from_slice(bytes);
            let x = <T as Element>::from_bits64(u64::from_le_bytes(word));
            if dtype.is_float() { V::F(x.to_f64()) } else { V::I(x.to_i64()) }
        }),
    }
}

/// A float of this type, rounded.
pub(crate) fn rounded(dtype: DType, x: f64) -> f64 {
    for_dtype!(dtype, T => <T as Element>::from_f64(x).to_f64())
}

/// Writes an element.
pub(crate) fn write(buffers: &mut [AlignedBuf], slice: &Slice, index: &[usize], value: V) {
    let (at, size) = (place(slice, index), slice.dtype.size());
    let bytes = &mut buffers[slice.buffer.0 as usize].bytes_mut()[at * size..][..size];
    let bits = for_dtype!(slice.dtype, T => match value {
        V::F(x) => <T as Element>::from_f64(x),
        V::I(i) => <T as Element>::from_i64(i),
    }
    .to_bits64());
    bytes.copy_from_slice(&bits.to_le_bytes()[..size]);
}

/// Pools of one, two and three threads.
pub(crate) fn pools() -> &'static [Pool; 3] {
    static POOLS: OnceLock<[Pool; 3]> = OnceLock::new();
    POOLS.get_or_init(|| [1, 2, 3].map(Pool::new))
}

/// Buffers of random contents, one a slice.
pub(crate) struct Bench {
    pub(crate) rng: Rng,
    pub(crate) buffers: Vec<AlignedBuf>,
    pub(crate) writable: Vec<bool>,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Bench {
        Bench { rng: Rng::new(seed), buffers: vec![], writable: vec![] }
    }

    /// A new buffer and a slice of it: axes in random order, gaps, negative steps, and if
    /// `repeats` some stride 0.
    pub(crate) fn slice(&mut self, dtype: DType, dims: &[usize], repeats: bool) -> Slice {
        let mut order: Vec<usize> = (0..dims.len()).collect();
        if self.rng.below(2) == 0 {
            for i in (1..dims.len()).rev() {
                order.swap(i, self.rng.below(i + 1));
            }
        }
        let plain = self.rng.below(2) == 0;
        let mut strides = Strides::from_elem(0, dims.len());
        let (mut span, mut low) = (1usize, 0usize);
        for &axis in order.iter().rev() {
            if repeats && self.rng.below(6) == 0 {
                continue;
            }
            let step = span + if plain { 0 } else { self.rng.below(3) };
            let reach = step * dims[axis].max(1) - step;
            strides[axis] = step as isize;
            if !plain && self.rng.below(4) == 0 {
                strides[axis] = -(step as isize);
                low += reach;
            }
            span += reach;
        }
        // Canaries: some elements, of which the first are not aligned, or a vector and some.
        let pad = self.rng.below(4) + 64 / dtype.size() * self.rng.below(2);
        let offset = pad + low;
        let id = self.buffers.len() as u32;
        let mut buf = AlignedBuf::new((span + 2 * pad) * dtype.size());
        for byte in buf.bytes_mut() {
            *byte = self.rng.below(255) as u8;
        }
        self.buffers.push(buf);
        self.writable.push(!repeats);
        let dims = Axes::from_slice(dims);
        Slice { buffer: BufferId(id), dtype, offset, dims, strides, moves: None }
    }

    /// An operand of small numbers, if `special` with infinities, NaN, -0 and extreme integers.
    pub(crate) fn input(&mut self, dtype: DType, dims: &[usize], special: bool) -> Slice {
        let slice = self.slice(dtype, dims, true);
        for index in indices(dims) {
            let value = self.value(dtype, special);
            write(&mut self.buffers, &slice, &index, value);
        }
        slice
    }

    fn value(&mut self, dtype: DType, special: bool) -> V {
        let rng = &mut self.rng;
        match dtype {
            dtype if dtype.is_float() && special && rng.below(4) == 0 => {
                let ends = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-40, 3e38];
                V::F(rng.pick(&ends))
            }
            dtype if dtype.is_float() => V::F((rng.below(4001) as f64 - 2000.0) / 256.0),
            DType::Bool => V::I(rng.below(2) as i64),
            _ if special && rng.below(4) == 0 => {
                V::I(rng.pick(&[i64::MIN, i64::MAX, i32::MIN.into(), i32::MAX.into(), -1, 255, 0]))
            }
            _ => V::I(rng.below(41) as i64 - 20),
        }
    }

    /// A place for a result.
    pub(crate) fn output(&mut self, dtype: DType, dims: &[usize]) -> Slice {
        self.slice(dtype, dims, false)
    }

    /// Indices below `len`.
    pub(crate) fn indices(&mut self, dims: &[usize], len: usize) -> Slice {
        let dtype = self.rng.pick(&[DType::I32, DType::I64]);
        let slice = self.slice(dtype, dims, true);
        for index in indices(dims) {
            let value = V::I(self.rng.below(len) as i64);
            write(&mut self.buffers, &slice, &index, value);
        }
        slice
    }

    pub(crate) fn program(&self, kernels: Vec<Kernel>) -> Program {
        self.try_program(kernels).unwrap_or_else(|e| panic!("{e}"))
    }

    pub(crate) fn try_program(&self, kernels: Vec<Kernel>) -> Result<Program, ProgramError> {
        let spec = |(b, &writable): (&AlignedBuf, _)| BufferSpec { bytes: b.len(), writable };
        Program::new(kernels, self.buffers.iter().zip(&self.writable).map(spec).collect())
    }

    /// The buffers after a run.
    pub(crate) fn try_run(
        &self,
        program: &Program,
        pool: &Pool,
    ) -> Result<Vec<AlignedBuf>, RunError> {
        let mut buffers = self.buffers.clone();
        let mut bound: Vec<Bound<'_>> = (buffers.iter_mut().zip(&self.writable))
            .map(|(b, &w)| if w { Bound::write(b) } else { Bound::read_bytes(b.bytes()) })
            .collect();
        run(program, &mut bound, pool)?;
        drop(bound);
        Ok(buffers)
    }

    /// The buffers after a run, the same for any number of threads; only outputs have changed.
    pub(crate) fn run(&self, kernels: Vec<Kernel>) -> Vec<AlignedBuf> {
        let mut free: Vec<Vec<bool>> = self.buffers.iter().map(|b| vec![true; b.len()]).collect();
        for slice in kernels.iter().flat_map(|k| k.outputs()) {
            let size = slice.dtype.size();
            let (by, steps) = slice.moves.map_or((0, 1), |moves| (moves.by, moves.steps));
            for index in indices(&slice.dims) {
                for step in 0..steps {
                    let at = place(slice, &index) as isize + by * step as isize;
                    let at = at as usize * size;
                    free[slice.buffer.0 as usize][at..at + size].fill(false);
                }
            }
        }
        let program = self.program(kernels);
        let [one, two, three] =
            pools().each_ref().map(|pool| self.try_run(&program, pool).unwrap());
        for i in 0..one.len() {
            assert!(one[i].bytes() == two[i].bytes(), "two threads differ");
            assert!(one[i].bytes() == three[i].bytes(), "three threads differ");
            let same = one[i].bytes().iter().zip(self.buffers[i].bytes()).zip(&free[i]);
            assert!(same.into_iter().all(|((a, b), &f)| !f || a == b), "a canary died");
        }
        one
    }
}

/// The distance of numbers of 16 bits near 0.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-24),
        DType::Bf16 => 2f64.powi(-133),
        _ => 0.0,
    }
}

/// The numbers agree: equal (NaN is NaN), or within `ulp` units of `dtype` and `atol`.
pub(crate) fn agree(got: V, want: V, dtype: DType, ulp: f64, atol: f64) -> bool {
    match (got, want) {
        (V::F(got), V::F(want)) => {
            let (eps, least) = (dtype.epsilon(), least(dtype));
            got == want
                || got.is_nan() && want.is_nan()
                || (got - want).abs() <= ulp * eps * want.abs() + atol + least && want.is_finite()
        }
        (got, want) => got.i() == want.i(),
    }
}
