//! The instructions of a program.

use std::sync::Arc;

use crate::{
    Axes, CumulativeOp, HostCall, LinalgOp, Matrix, RandomOp, ReduceOp, ScalarProgram, Slice,
    Window, Windows, WinogradOp,
};

/// One instruction. Shapes and meanings as in [`Lowering`](crate::Lowering).
///
/// Outputs must be apart from all other operands, but for the outputs of a loop, which may also be
/// exactly one of its inputs (same place, lengths and strides): it is then updated in place.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// Elementwise work: `program` runs once an element. All slices have the same lengths.
    Loop {
        /// What is computed.
        program: ScalarProgram,
        /// One slice an input of the program.
        inputs: Vec<Slice>,
        /// One slice an output of the program.
        outputs: Vec<Slice>,
    },
    /// Elementwise work some of whose results are reduced as they come: along the last axes, which these
    /// outputs lack. A row is what joins to one element, of 2 to [`MAX_ROW`](crate::MAX_ROW) elements.
    LoopReduce {
        /// What is computed: what is written, and then what is reduced.
        program: ScalarProgram,
        /// One slice an input of the program.
        inputs: Vec<Slice>,
        /// One slice each of the first outputs of the program.
        outputs: Vec<Slice>,
        /// One each of the others: what joins two elements, and the result.
        reduced: Vec<(ReduceOp, Slice)>,
    },
    /// Reduction of `axes`, which the output lacks.
    Reduce {
        /// What joins two elements.
        op: ReduceOp,
        /// The axes, strictly increasing.
        axes: Axes,
        /// Operand, not bool.
        input: Slice,
        /// Result.
        output: Slice,
    },
    /// Index of the largest element along an axis.
    ArgMax {
        /// The axis.
        axis: usize,
        /// Operand, any element type.
        input: Slice,
        /// Result, i64.
        output: Slice,
    },
    /// Index of the smallest element along an axis.
    ArgMin {
        /// The axis.
        axis: usize,
        /// Operand, any element type.
        input: Slice,
        /// Result, i64.
        output: Slice,
    },
    /// Running sums and the like along an axis.
    Cumulative {
        /// What is accumulated.
        op: CumulativeOp,
        /// The axis.
        axis: usize,
        /// From the end to the beginning?
        reverse: bool,
        /// One operand, or two of the same shape if the operation is linear.
        inputs: Vec<Slice>,
        /// Result, of the same shape.
        output: Slice,
    },
    /// Linear algebra on matrices.
    Linalg {
        /// What is computed.
        op: LinalgOp,
        /// One operand, or the matrix and the right-hand side of a system.
        inputs: Vec<Slice>,
        /// Working memory, packed f64: a row of [`LinalgOp::work`] numbers for every matrix.
        work: Slice,
        /// Result.
        output: Slice,
    },
    /// A convolution with windows of 3 × 3, or the gradient of its weight.
    Winograd {
        /// What is computed.
        op: WinogradOp,
        /// The image, and the weight or the gradient of the results.
        inputs: [Slice; 2],
        /// Working memory, packed: [`WinogradOp::work`] elements of the same type.
        work: Slice,
        /// Result.
        output: Slice,
    },
    /// Indices that sort the last axis.
    ArgSort {
        /// From the largest to the smallest?
        descending: bool,
        /// Operand, any element type.
        input: Slice,
        /// Result, i64.
        output: Slice,
    },
    /// `c = a·b` over the last two axes, the others are a batch.
    Gemm {
        /// Operand `[.., m, k]`.
        a: Matrix,
        /// Operand `[.., k, n]`.
        b: Matrix,
        /// Result `[.., m, n]`.
        c: Slice,
    },
    /// `y = softmax(scale · q kᵀ) v` over the last two axes, the others are heads; or its gradient by
    /// q, k and v. See [`attention_fits`](crate::attention_fits).
    Attention {
        /// Does query `i` see keys `0..=i` only?
        causal: bool,
        /// Factor of the scores.
        scale: f64,
        /// `q` `[.., L, E]`, `k` `[.., S, E]`, `v` `[.., S, D]`; for the gradient also what came for
        /// `y`, `[.., L, D]`, and the weights, if they were kept.
        inputs: Vec<Slice>,
        /// `y` and, if they are kept, the weights, `[.., L, S]`; or what goes to `q`, `k` and `v`.
        outputs: Vec<Slice>,
    },
    /// `y = ln softmax(x)[label]` of every row, its gradient by `x`, or both. See
    /// [`entropy_fits`](crate::entropy_fits).
    Entropy {
        /// `x` `[.., C]` and labels `[.., 1]`, i32 or i64; for the gradient also what came for `y`,
        /// `[.., 1]`.
        inputs: Vec<Slice>,
        /// `y` `[.., 1]`, what goes to `x`, or these two.
        outputs: Vec<Slice>,
    },
    /// Slices of `x` by index.
    Take {
        /// The axis indexed.
        axis: usize,
        /// Operand.
        x: Slice,
        /// Indices, i32 or i64.
        indices: Slice,
        /// Result.
        output: Slice,
    },
    /// The adjoint of take.
    TakeAdd {
        /// The axis indexed, in the output.
        axis: usize,
        /// What is added.
        dy: Slice,
        /// Indices, i32 or i64.
        indices: Slice,
        /// Result.
        output: Slice,
    },
    /// Elements of `x` by index.
    Gather {
        /// The axis indexed.
        axis: usize,
        /// Operand.
        x: Slice,
        /// Indices, i32 or i64.
        indices: Slice,
        /// Result.
        output: Slice,
    },
    /// The adjoint of gather.
    ScatterAdd {
        /// The axis indexed, in the output.
        axis: usize,
        /// What is added.
        dy: Slice,
        /// Indices, i32 or i64.
        indices: Slice,
        /// Result.
        output: Slice,
    },
    /// The adjoint of sliding windows.
    WindowsAdd {
        /// The windows, along axes of the output.
        windows: Windows,
        /// What is added.
        dy: Slice,
        /// Result.
        output: Slice,
    },
    /// Index of the largest element of every window.
    ArgMaxPool {
        /// The windows along the last axes, one to three, which have at most 2³² elements.
        windows: Vec<Vec<Window>>,
        /// Operand, any element type.
        input: Slice,
        /// Result, i64.
        output: Slice,
    },
    /// The largest element of every window, and its number in the window: both what an
    /// [`ArgMaxPool`](Kernel::ArgMaxPool) chooses. Windows have at most 256 elements.
    MaxPool {
        /// The windows along the last axes, one to three.
        windows: Vec<Vec<Window>>,
        /// Operand, any element type.
        input: Slice,
        /// The largest elements.
        values: Slice,
        /// Their numbers, row-major within the window, u8.
        numbers: Slice,
    },
    /// The adjoint of [`MaxPool`](Kernel::MaxPool)'s values: adds, in the order of the windows, what
    /// came for each to its element of that number, from zeros. Numbers that no element of the window
    /// has count for nothing.
    MaxPoolAdd {
        /// The windows, along the last axes of the output.
        windows: Vec<Vec<Window>>,
        /// What is added.
        dy: Slice,
        /// The numbers, u8.
        numbers: Slice,
        /// Result.
        output: Slice,
    },
    /// A copy with elements replaced by index.
    Scatter {
        /// The axis indexed.
        axis: usize,
        /// Operand.
        x: Slice,
        /// Indices, i32 or i64.
        indices: Slice,
        /// What replaces the elements.
        src: Slice,
        /// Result.
        output: Slice,
    },
    /// The index along an axis.
    Iota {
        /// The axis.
        axis: usize,
        /// Result.
        output: Slice,
    },
    /// Random elements.
    Random {
        /// The distribution.
        op: RandomOp,
        /// The key, i64 scalar.
        key: Slice,
        /// Result, a float.
        output: Slice,
    },
    /// A derived key.
    FoldIn {
        /// The key, i64 scalar.
        key: Slice,
        /// The number, i64 scalar.
        n: Slice,
        /// Result, i64 scalar.
        output: Slice,
    },
    /// A loop.
    Repeat {
        /// Number of steps.
        length: usize,
        /// From the last slice to the first?
        reverse: bool,
        /// What every step does, in order. Slices that move are other ones in every step.
        body: Vec<Kernel>,
    },
    /// A function outside of this crate. Allocates.
    Call {
        /// The function.
        call: Arc<dyn HostCall>,
        /// Its operands.
        inputs: Vec<Slice>,
        /// Its result.
        output: Slice,
    },
}

impl Kernel {
    /// The kind, as errors and profiles name it.
    pub fn name(&self) -> &'static str {
        match self {
            Kernel::Loop { .. } => "loop",
            Kernel::LoopReduce { .. } => "loop_reduce",
            Kernel::Reduce { .. } => "reduce",
            Kernel::ArgMax { .. } => "argmax",
            Kernel::ArgMin { .. } => "argmin",
            Kernel::Cumulative { .. } => "cumulative",
            Kernel::Winograd { .. } => "winograd",
            Kernel::ArgSort { .. } => "argsort",
            Kernel::Linalg { .. } => "linalg",
            Kernel::Gemm { .. } => "gemm",
            Kernel::Attention { .. } => "attention",
            Kernel::Entropy { .. } => "entropy",
            Kernel::Take { .. } => "take",
            Kernel::TakeAdd { .. } => "take_add",
            Kernel::Gather { .. } => "gather",
            Kernel::ScatterAdd { .. } => "scatter_add",
            Kernel::WindowsAdd { .. } => "windows_add",
            Kernel::ArgMaxPool { .. } => "argmax_pool",
            Kernel::MaxPool { .. } => "max_pool",
            Kernel::MaxPoolAdd { .. } => "max_pool_add",
            Kernel::Scatter { .. } => "scatter",
            Kernel::Iota { .. } => "iota",
            Kernel::Random { .. } => "random",
            Kernel::FoldIn { .. } => "fold_in",
            Kernel::Repeat { .. } => "repeat",
            Kernel::Call { .. } => "call",
        }
    }

    /// Can the instruction stop a run? What a run must not leave half done comes after all that can.
    pub fn can_fail(&self) -> bool {
        match self {
            Kernel::Repeat { body, .. } => body.iter().any(Kernel::can_fail),
            Kernel::Take { .. }
            | Kernel::TakeAdd { .. }
            | Kernel::Gather { .. }
            | Kernel::ScatterAdd { .. }
            | Kernel::Scatter { .. }
            | Kernel::Entropy { .. }
            | Kernel::Call { .. } => true,
            _ => false,
        }
    }

    /// Number of clocks of a timed run: one, and those of the instructions of a body.
    pub fn clocks(&self) -> usize {
        match self {
            Kernel::Repeat { body, .. } => 1 + body.iter().map(Kernel::clocks).sum::<usize>(),
            _ => 1,
        }
    }

    /// The slices read.
    pub fn inputs(&self) -> Vec<&Slice> {
        match self {
            Kernel::Loop { inputs, .. }
            | Kernel::LoopReduce { inputs, .. }
            | Kernel::Cumulative { inputs, .. }
            | Kernel::Linalg { inputs, .. }
            | Kernel::Attention { inputs, .. }
            | Kernel::Entropy { inputs, .. }
            | Kernel::Call { inputs, .. } => inputs.iter().collect(),
            Kernel::Reduce { input, .. }
            | Kernel::ArgMax { input, .. }
            | Kernel::ArgMin { input, .. }
            | Kernel::ArgSort { input, .. }
            | Kernel::ArgMaxPool { input, .. }
            | Kernel::MaxPool { input, .. } => vec![input],
            Kernel::Winograd { inputs, .. } => inputs.iter().collect(),
            Kernel::WindowsAdd { dy, .. } => vec![dy],
            Kernel::MaxPoolAdd { dy, numbers, .. } => vec![dy, numbers],
            Kernel::Gemm { a, b, .. } => vec![&a.slice, &b.slice],
            Kernel::Take { x, indices, .. } | Kernel::Gather { x, indices, .. } => {
                vec![x, indices]
            }
            Kernel::TakeAdd { dy, indices, .. } | Kernel::ScatterAdd { dy, indices, .. } => {
                vec![dy, indices]
            }
            Kernel::Scatter { x, indices, src, .. } => vec![x, indices, src],
            Kernel::Iota { .. } => vec![],
            Kernel::Repeat { body, .. } => body.iter().flat_map(Kernel::inputs).collect(),
            Kernel::Random { key, .. } => vec![key],
            Kernel::FoldIn { key, n, .. } => vec![key, n],
        }
    }

    /// The slices written.
    pub fn outputs(&self) -> Vec<&Slice> {
        match self {
            Kernel::Loop { outputs, .. }
            | Kernel::Attention { outputs, .. }
            | Kernel::Entropy { outputs, .. } => outputs.iter().collect(),
            Kernel::LoopReduce { outputs, reduced, .. } => {
                outputs.iter().chain(reduced.iter().map(|(_, slice)| slice)).collect()
            }
            Kernel::Linalg { work, output, .. } | Kernel::Winograd { work, output, .. } => {
                vec![work, output]
            }
            Kernel::Gemm { c, .. } => vec![c],
            Kernel::Repeat { body, .. } => body.iter().flat_map(Kernel::outputs).collect(),
            Kernel::MaxPool { values, numbers, .. } => vec![values, numbers],
            Kernel::Reduce { output, .. }
            | Kernel::ArgMax { output, .. }
            | Kernel::ArgMin { output, .. }
            | Kernel::Cumulative { output, .. }
            | Kernel::ArgSort { output, .. }
            | Kernel::Take { output, .. }
            | Kernel::TakeAdd { output, .. }
            | Kernel::Gather { output, .. }
            | Kernel::ScatterAdd { output, .. }
            | Kernel::WindowsAdd { output, .. }
            | Kernel::ArgMaxPool { output, .. }
            | Kernel::MaxPoolAdd { output, .. }
            | Kernel::Scatter { output, .. }
            | Kernel::Iota { output, .. }
            | Kernel::Random { output, .. }
            | Kernel::FoldIn { output, .. }
            | Kernel::Call { output, .. } => vec![output],
        }
    }
}
