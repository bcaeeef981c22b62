//! The vocabulary in which an operator says how it is executed: pure data, no kernel.

use smallvec::SmallVec;

use crate::ScalarOp;

/// Axis numbers, lengths, starts or steps, one an axis.
pub type Axes = SmallVec<[usize; 4]>;

/// How an operator is executed. Shapes come from the types of its operands and its output.
#[derive(Clone, Debug, PartialEq)]
pub enum Lowering {
    /// Elementwise: every operand has the output's shape.
    Scalar(ScalarOp),
    /// The output is the operand seen through other strides.
    View(View),
    /// Batched matrix product `[.., m, k] × [.., k, n]`, batch axes equal.
    Gemm,
    /// `axes` are reduced and removed.
    Reduce {
        /// What joins two elements.
        op: ReduceOp,
        /// The axes, in increasing order.
        axes: Axes,
    },
    /// Index (i64) of the largest element along `axis`, which is removed. The first of equal ones;
    /// NaN counts as the largest, the first NaN wins.
    ArgMax {
        /// The axis.
        axis: usize,
    },
    /// As [`ArgMax`](Lowering::ArgMax), of the smallest element.
    ArgMin {
        /// The axis.
        axis: usize,
    },
    /// Running sums and the like along `axis`.
    Cumulative {
        /// What is accumulated.
        op: CumulativeOp,
        /// The axis.
        axis: usize,
        /// From the end to the beginning?
        reverse: bool,
    },
    /// Linear algebra on the matrices of the last two axes, the others are a batch.
    Linalg(LinalgOp),
    /// A convolution with windows of 3 × 3, or its gradient.
    Winograd(WinogradOp),
    /// Indices (i64) that sort the last axis: stable, NaN counts as the largest.
    ArgSort {
        /// From the largest to the smallest? Equal elements stay in their order.
        descending: bool,
    },
    /// Operands (x, indices i32 or i64 of any rank): the output has the shape
    /// `x[..axis] ++ indices ++ x[axis + 1..]`.
    Take {
        /// The axis indexed.
        axis: usize,
    },
    /// The adjoint of [`Take`](Lowering::Take): operands (dy, indices); adds the slices of `dy`, in
    /// the order of the indices, into zeros whose `axis` has length `len`.
    TakeAdd {
        /// The axis indexed.
        axis: usize,
        /// Its length in the output.
        len: usize,
    },
    /// Operands (x, indices) of the same rank. The output has the shape of `indices`, and takes
    /// element `indices[i]` along `axis`; off the axis `indices` may be shorter than `x`.
    Gather {
        /// The axis indexed.
        axis: usize,
    },
    /// The adjoint of [`Gather`](Lowering::Gather): operands (dy, indices); adds into zeros of the
    /// output's type.
    ScatterAdd {
        /// The axis indexed.
        axis: usize,
        /// Its length in the output.
        len: usize,
    },
    /// The adjoint of [`View::Windows`]: element `i` of window `o` of the operand is added to element
    /// `o·stride + i·dilation` of the output, from zeros.
    WindowsAdd(Windows),
    /// Index (i64) of the largest element of every window over the last axes, row-major over those
    /// axes of the operand. The first of equal ones; NaN counts as the largest, the last NaN wins.
    ArgMaxPool {
        /// For each of the last axes, its windows.
        windows: Vec<Vec<Window>>,
    },
    /// Operands (x, indices, src): `x`, but `src` at the places that [`Gather`](Lowering::Gather)
    /// would read, the last of equal ones.
    Scatter {
        /// The axis indexed.
        axis: usize,
    },
    /// Any number of operands, one after the other along `axis`.
    Concat {
        /// The axis along which they follow one another.
        axis: usize,
    },
    /// `value` around the operand, which sits at offset `before` of the output.
    Pad {
        /// Elements before the operand, one number an axis.
        before: Axes,
        /// What is around it; integers get it through a cast to i64.
        value: f64,
    },
    /// No operands: every element is `value`.
    Fill {
        /// The value; integers get it through a cast to i64.
        value: f64,
    },
    /// No operands: the index along `axis`, converted to the element type.
    Iota {
        /// The axis.
        axis: usize,
    },
    /// Operand: a key (i64 scalar). Element `i`, row-major, is draw `i` of that key.
    Random(RandomOp),
    /// Operands (key, n), i64 scalars: [`Key::fold`](pleach_tensor::Key::fold).
    FoldIn,
    /// An input, parameter or constant: the executor binds it.
    Source,
    /// No kernel yet: the executor calls the reference interpreter.
    Interpret,
}

/// How the elements of an operand are seen. Lengths come from the output's type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Output axis `i` is operand axis `p[i]`.
    Permute(Axes),
    /// Output axis `i` is operand axis `b[i]`, or repeats it if `None`. An operand axis of length 1
    /// is stretched.
    Broadcast(SmallVec<[Option<usize>; 4]>),
    /// Output index `i` is operand index `start + i·step`, on every axis.
    Slice {
        /// First index, one an axis.
        start: Axes,
        /// Distance of two indices, one an axis.
        step: Axes,
    },
    /// Sliding windows: the last output axes are the elements of a window, one axis for every axis
    /// of the operand that has windows.
    Windows(Windows),
    /// These axes are read from their ends.
    Flip(Axes),
    /// The operand itself.
    Identity,
}

/// Sliding windows along some axes. Element `i` of window `o` is element `o·stride + i·dilation`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// The axes, in increasing order.
    pub axes: Axes,
    /// Distance of two windows, one number for each of `axes`.
    pub stride: Axes,
    /// Distance of two elements of a window, one number for each of `axes`.
    pub dilation: Axes,
}

/// One window along one axis: elements `start`, `start + step`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first element.
    pub start: usize,
    /// Number of elements.
    pub count: usize,
    /// Distance of two elements.
    pub step: usize,
}

/// What joins two elements of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// Sum; integers wrap. Of nothing: 0.
    Sum,
    /// Largest, NaN if there is one. Of nothing: -∞ or the smallest integer.
    Max,
    /// Smallest, NaN if there is one. Of nothing: ∞ or the largest integer.
    Min,
    /// Product; integers wrap. Of nothing: 1.
    Prod,
}

/// An operation of linear algebra, computed in `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinalgOp {
    /// Operand `a`: the lower triangular `L` with `L·Lᵀ` the symmetric part of `a`. NaN if that is
    /// not positive definite.
    Cholesky,
    /// Operands (a, b): `x` with `a·x = b`, by elimination with row exchanges. Of a singular matrix
    /// infinities or NaN.
    Solve,
    /// Operands (a, b): `x` with `a·x = b`, where `a` is triangular; the other triangle is not read.
    SolveTriangular {
        /// Is the upper triangle read, or the lower?
        upper: bool,
        /// Is the diagonal taken as ones, and not read?
        unit: bool,
    },
    /// Operand `a`: its determinant, without the last two axes.
    Det,
    /// `ln |det a|`.
    LogAbsDet,
    /// -1, 0 or 1, the sign of the determinant.
    DetSign,
}

/// A convolution with windows of 3 × 3 that are next to each other, of images
/// `[channels, images, rows, columns]`, by Winograd's F(2×2, 3×3). `padding` are zeros before and after
/// rows and columns, at most 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WinogradOp {
    /// Operands (x, w), `w` of `[outputs, channels, 3, 3]`: the convolution,
    /// `[outputs, images, rows, columns]`.
    Convolve {
        /// Zeros around the image.
        padding: [[usize; 2]; 2],
    },
    /// Operands (x, dy): the gradient of the weight, where `dy` is that of the convolution.
    Weight {
        /// Zeros around the image.
        padding: [[usize; 2]; 2],
    },
}

/// What is accumulated along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CumulativeOp {
    /// `y[i] = y[i-1] + x[i]`; integers wrap.
    Sum,
    /// `y[i] = y[i-1] · x[i]`; integers wrap.
    Prod,
    /// `y[i] = ln(exp(y[i-1]) + exp(x[i]))`, of floats.
    LogSumExp,
    /// Operands (a, b): `y[i] = a[i] · y[i-1] + b[i]`; the first `y` is the first `b`.
    Linear,
    /// Index (i64) of the largest element so far, the last of equal ones; NaN counts as the largest.
    ArgMax,
    /// Index (i64) of the smallest element so far, the last of equal ones; NaN counts as the
    /// smallest.
    ArgMin,
}

/// A distribution of random elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RandomOp {
    /// Uniform in `[0, 1)`.
    Uniform,
    /// Standard normal.
    Normal,
}
