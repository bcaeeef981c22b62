//! The arithmetic of an instruction.

use pleach_kernels::{Kernel, LinalgOp, RandomOp, ScalarOp, Slice, WinogradOp};

/// Operations of an instruction, counted as the operators' costs are: a multiply-add is 2, any
/// function of one element 1, a copy or a constant none.
pub(crate) fn flops(kernel: &Kernel) -> u64 {
    match kernel {
        Kernel::Loop { program, outputs, .. } => {
            let counts = |op: ScalarOp| !matches!(op, ScalarOp::Copy | ScalarOp::Const(_));
            let ops = program.instrs.iter().filter(|instr| counts(instr.op)).count();
            times(outputs.first().map_or(0, numel), ops as u64)
        }
        Kernel::LoopReduce { program, inputs, reduced, .. } => {
            let counts = |op: ScalarOp| !matches!(op, ScalarOp::Copy | ScalarOp::Const(_));
            let ops = program.instrs.iter().filter(|instr| counts(instr.op)).count();
            times(inputs.first().map_or(0, numel), (ops + reduced.len()) as u64)
        }
        Kernel::Gemm { a, c, .. } => {
            let axes = a.slice.dims.len().saturating_sub(a.columns);
            let terms: u64 = a.slice.dims[axes..].iter().map(|&n| n as u64).product();
            times(numel(c), terms.saturating_mul(2))
        }
        Kernel::Attention { causal, inputs, outputs, .. } => attention(*causal, inputs, outputs),
        // The largest, a difference, an exponential, a sum; of the gradient, a product and a sign too.
        Kernel::Entropy { inputs, .. } => {
            times(inputs.first().map_or(0, numel), if inputs.len() == 2 { 4 } else { 6 })
        }
        Kernel::Reduce { input, .. }
        | Kernel::ArgMax { input, .. }
        | Kernel::ArgMin { input, .. }
        | Kernel::ArgMaxPool { input, .. }
        | Kernel::MaxPool { input, .. } => numel(input),
        Kernel::Cumulative { inputs, .. } => inputs.iter().map(numel).sum(),
        Kernel::ArgSort { input, .. } => times(numel(input), u64::from(last(input).max(2).ilog2())),
        Kernel::TakeAdd { dy, .. }
        | Kernel::ScatterAdd { dy, .. }
        | Kernel::WindowsAdd { dy, .. }
        | Kernel::MaxPoolAdd { dy, .. } => numel(dy),
        Kernel::Random { op, output, .. } => match op {
            RandomOp::Uniform => times(numel(output), 20),
            RandomOp::Normal => times(numel(output), 40),
        },
        Kernel::Winograd { op, inputs, output, .. } => match op {
            WinogradOp::Convolve { .. } => winograd(&inputs[1], output),
            WinogradOp::Weight { .. } => winograd(output, &inputs[1]),
        },
        Kernel::Linalg { op, inputs, output, .. } => linalg(*op, inputs, output),
        Kernel::Repeat { length, body, .. } => {
            let step = body.iter().map(flops).fold(0, u64::saturating_add);
            times(step, *length as u64)
        }
        Kernel::Take { .. }
        | Kernel::Gather { .. }
        | Kernel::Scatter { .. }
        | Kernel::Iota { .. }
        | Kernel::FoldIn { .. }
        | Kernel::Call { .. } => 0,
    }
}

/// Two products of the weights of what is seen, and of their gradient five, or four if weights are kept.
fn attention(causal: bool, inputs: &[Slice], outputs: &[Slice]) -> u64 {
    let [q, k, v, ..] = inputs else { return 0 };
    let (width, heads) = (last(q), numel(k).checked_div(last(k)));
    let keys = k.dims.len().checked_sub(2).map_or(1, |axis| k.dims[axis] as u64);
    let rows = numel(q).checked_div(width).unwrap_or(0);
    let each = heads.and_then(|all| rows.checked_div(all / keys.max(1))).unwrap_or(0);
    // Of `each` queries of a head, the first sees one key, the next two.
    let seen = if causal { keys.saturating_sub(each.min(keys) / 2) } else { keys };
    let products = match (outputs.len(), inputs.len()) {
        (1 | 2, _) => width + last(v),
        (_, 4) => 3 * width + 2 * last(v),
        _ => 2 * width + 2 * last(v),
    };
    times(times(rows, seen), 2 * products)
}

/// Elimination is `2n³/3`, Cholesky's `n³/3`, a triangular system `n²` a column.
fn linalg(op: LinalgOp, inputs: &[Slice], output: &Slice) -> u64 {
    let Some(a) = inputs.first() else { return 0 };
    let cube = times(numel(a), last(a));
    match op {
        LinalgOp::Cholesky => cube / 3,
        LinalgOp::Solve => (cube / 3 * 2).saturating_add(times(numel(output), 2 * last(a))),
        LinalgOp::SolveTriangular { .. } => times(numel(output), last(a)),
        LinalgOp::Det | LinalgOp::LogAbsDet | LinalgOp::DetSign => cube / 3 * 2,
    }
}

/// 16 products for every four results, output and channel.
fn winograd(w: &Slice, y: &Slice) -> u64 {
    let tiles: u64 = y.dims[2..].iter().map(|&n| n.div_ceil(2) as u64).product();
    times(32 * tiles, times((y.dims[0] * y.dims[1]) as u64, w.dims[1] as u64))
}

fn numel(slice: &Slice) -> u64 {
    slice.dims.iter().map(|&n| n as u64).product()
}

/// Length of the last axis.
fn last(slice: &Slice) -> u64 {
    slice.dims.last().map_or(1, |&n| n as u64)
}

fn times(a: u64, b: u64) -> u64 {
    a.saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pleach_kernels::{BufferId, ReduceOp, ScalarProgram};
    use pleach_tensor::{F32, F64};

    fn slice(dims: &[usize]) -> Slice {
        Slice::new(BufferId(0), F32, 0, dims)
    }

    #[test]
    fn a_product_is_two_operations_a_term() {
        let (a, b, c) = (slice(&[5, 2, 3]), slice(&[5, 3, 4]), slice(&[5, 2, 4]));
        assert_eq!(flops(&Kernel::Gemm { a: a.into(), b: b.into(), c }), 5 * 2 * 2 * 3 * 4);
    }

    #[test]
    fn a_loop_counts_its_operations_and_no_copy() {
        let mut program = ScalarProgram::single(ScalarOp::Mul, F32);
        let y = program.push(ScalarOp::Exp, F32, &program.outputs.clone());
        program.outputs = vec![program.push(ScalarOp::Copy, F32, &[y])];
        let inputs = vec![slice(&[6]), slice(&[6])];
        let body = Kernel::Loop { program, inputs, outputs: vec![slice(&[6])] };
        assert_eq!(flops(&body), 12);
        let reduce = Kernel::Reduce {
            op: ReduceOp::Sum,
            axes: [0].into_iter().collect(),
            input: slice(&[6]),
            output: slice(&[]),
        };
        assert_eq!(flops(&reduce), 6);
        let body = vec![body, reduce];
        assert_eq!(flops(&Kernel::Repeat { length: 7, reverse: false, body }), 7 * 18);
    }

    #[test]
    fn the_gradient_of_attention_is_five_products_or_four_by_kept_weights() {
        // Two heads of 4 queries and 6 keys; widths of keys and values.
        let [q, k, v, y, w] =
            [[2, 4, 3], [2, 6, 3], [2, 6, 5], [2, 4, 5], [2, 4, 6]].map(|d| slice(&d));
        let of = |inputs: &[&Slice], outputs: &[&Slice]| {
            let [inputs, outputs] =
                [inputs, outputs].map(|all| all.iter().map(|&slice| slice.clone()).collect());
            flops(&Kernel::Attention { causal: false, scale: 1.0, inputs, outputs })
        };
        let weight = 2 * (2 * 4 * 6);
        assert_eq!(of(&[&q, &k, &v], &[&y]), weight * (3 + 5));
        assert_eq!(of(&[&q, &k, &v], &[&y, &w]), weight * (3 + 5));
        assert_eq!(of(&[&q, &k, &v, &y], &[&q, &k, &v]), weight * (3 * 3 + 2 * 5));
        assert_eq!(of(&[&q, &k, &v, &y, &w], &[&q, &k, &v]), weight * (2 * 3 + 2 * 5));
    }

    #[test]
    fn a_system_is_an_elimination_and_two_triangles() {
        let [a, x] = [slice(&[3, 3]), slice(&[3, 2])];
        let work = Slice::new(BufferId(1), F64, 0, &[1, 9]);
        let inputs = vec![a, x.clone()];
        let solve = Kernel::Linalg { op: LinalgOp::Solve, inputs, work, output: x };
        assert_eq!(flops(&solve), 18 + 36);
    }
}
