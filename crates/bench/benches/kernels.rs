//! Kernels beside what the machine can do: operators as users record them, compiled, on one thread.
//!
//! ```sh
//! cargo bench -p pleach-bench --bench kernels            # all of them
//! cargo bench -p pleach-bench --bench kernels -- conv    # those with this name
//! ```
//! Throughput is that of the plan's own counts: "elem" is an arithmetic operation in the group
//! `arithmetic`, so Gelem/s are GFLOP/s; bytes in the group `traffic` are all that instructions read and
//! write. The first of each group is the machine's limit, as [`Compile::calibrated`] measures it: a product
//! that stays in the caches, a sum of arrays that do not. What stays in the caches moves bytes faster.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pleach::ops::{Attention, ConvOptions, PoolOptions};
use pleach::prelude::*;
use pleach::tensor::{DType, Key};

/// Indices of all cases are below this.
const INDICES: u64 = 64;

/// What is recorded of inputs of these types.
struct Case {
    name: &'static str,
    inputs: &'static [(DType, &'static [usize])],
    record: for<'g> fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
}

const fn case(
    name: &'static str,
    inputs: &'static [(DType, &'static [usize])],
    record: for<'g> fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
) -> Case {
    Case { name, inputs, record }
}

/// What goes to operand `at` of `y` if `dy` comes for it.
fn slope<'g>(g: &'g Graph, y: Var<'g>, dy: Var<'g>, of: Var<'g>) -> Var<'g> {
    g.grad((y * dy).sum(All), &[of])[0]
}

/// A convolution with windows of `size`, as long a result as the image.
fn same<'g>(x: Var<'g>, w: Var<'g>, size: usize) -> Var<'g> {
    x.conv(w, None, &ConvOptions::default().padding(size / 2))
}

fn causal<'g>(x: &[Var<'g>]) -> Var<'g> {
    Attention::default().causal().call(x[0], x[1], x[2])
}

const IMAGE: &[usize] = &[8, 64, 32, 32];
const WINDOWS_3: &[usize] = &[64, 64, 3, 3];
const SMALL: &[usize] = &[64, 6, 14, 14];
const WINDOWS_5: &[usize] = &[16, 6, 5, 5];
const HEADS: &[usize] = &[8, 4, 128, 32];
const SQUARE: &[usize] = &[256, 256];
const ROWS: &[usize] = &[1024, 128];

#[rustfmt::skip]
const ARITHMETIC: &[Case] = &[
    case("limit: matmul 384 x 384 x 384", &[(F32, &[384, 384]), (F32, &[384, 384])], |_, x| x[0].matmul(x[1])),
    case("matmul 256 x 256 x 256", &[(F32, SQUARE), (F32, SQUARE)], |_, x| x[0].matmul(x[1])),
    case("matmul f64 256 x 256 x 256", &[(F64, SQUARE), (F64, SQUARE)], |_, x| x[0].matmul(x[1])),
    case("matmul aT 256 x 256 x 256", &[(F32, SQUARE), (F32, SQUARE)], |_, x| x[0].permute(&[1, 0]).matmul(x[1])),
    case("matmul bT 256 x 256 x 256", &[(F32, SQUARE), (F32, SQUARE)], |_, x| x[0].matmul(x[1].permute(&[1, 0]))),
    case("matmul 64 x 256 x 784", &[(F32, &[64, 784]), (F32, &[784, 256])], |_, x| x[0].matmul(x[1])),
    case("matmul bT 32 x 16 x 16", &[(F32, &[32, 16]), (F32, &[16, 16])], |_, x| x[0].matmul(x[1].permute(&[1, 0]))),
    case("conv 3 x 3", &[(F32, IMAGE), (F32, WINDOWS_3)], |_, x| same(x[0], x[1], 3)),
    case("conv 3 x 3, of the image", &[(F32, IMAGE), (F32, WINDOWS_3), (F32, IMAGE)], |g, x| slope(g, same(x[0], x[1], 3), x[2], x[0])),
    case("conv 3 x 3, of the weight", &[(F32, IMAGE), (F32, WINDOWS_3), (F32, IMAGE)], |g, x| slope(g, same(x[0], x[1], 3), x[2], x[1])),
    case("conv 5 x 5, few channels", &[(F32, SMALL), (F32, WINDOWS_5)], |_, x| same(x[0], x[1], 5)),
    case("conv 5 x 5, of the image", &[(F32, SMALL), (F32, WINDOWS_5), (F32, &[64, 16, 14, 14])], |g, x| slope(g, same(x[0], x[1], 5), x[2], x[0])),
    case("conv 5 x 5, of the weight", &[(F32, SMALL), (F32, WINDOWS_5), (F32, &[64, 16, 14, 14])], |g, x| slope(g, same(x[0], x[1], 5), x[2], x[1])),
    case("conv 3 x 3, depthwise", &[(F32, IMAGE), (F32, &[64, 1, 3, 3])], |_, x| x[0].conv(x[1], None, &ConvOptions::default().padding(1).groups(64))),
    case("attention, causal", &[(F32, HEADS), (F32, HEADS), (F32, HEADS)], |_, x| causal(x)),
    case("attention, of the keys", &[(F32, HEADS), (F32, HEADS), (F32, HEADS), (F32, HEADS)], |g, x| slope(g, causal(x), x[3], x[1])),
];

#[rustfmt::skip]
const TRAFFIC: &[Case] = &[
    case("limit: 1 added to 64 MiB", &[(F32, &[1 << 24])], |_, x| x[0] + 1.0),
    case("matrix times vector", &[(F32, &[1024, 1024]), (F32, &[1024, 1])], |_, x| x[0].matmul(x[1])),
    case("add", &[(F32, ROWS), (F32, ROWS)], |_, x| x[0] + x[1]),
    case("gelu", &[(F32, ROWS)], |_, x| x[0].gelu()),
    case("tanh", &[(F32, ROWS)], |_, x| x[0].tanh()),
    case("permute", &[(F32, &[512, 512])], |_, x| x[0].permute(&[1, 0]) + 1.0),
    case("sum of rows", &[(F32, ROWS)], |_, x| x[0].sum(1)),
    case("sum of columns", &[(F32, ROWS)], |_, x| x[0].sum(0)),
    case("largest of rows", &[(F32, ROWS)], |_, x| x[0].max(1)),
    case("softmax", &[(F32, ROWS)], |_, x| x[0].softmax(1)),
    case("softmax, gradient", &[(F32, ROWS), (F32, ROWS)], |g, x| slope(g, x[0].softmax(1), x[1], x[0])),
    case("layer norm", &[(F32, ROWS), (F32, &[128]), (F32, &[128])], |_, x| x[0].layer_norm(&[128], Some(x[1]), Some(x[2]), 1e-5)),
    case("layer norm, gradient", &[(F32, ROWS), (F32, &[128]), (F32, &[128]), (F32, ROWS)], |g, x| slope(g, x[0].layer_norm(&[128], Some(x[1]), Some(x[2]), 1e-5), x[3], x[0])),
    case("cross-entropy", &[(F32, &[1024, 64]), (I64, &[1024])], |_, x| x[0].cross_entropy(x[1])),
    case("cross-entropy, gradient", &[(F32, &[1024, 64]), (I64, &[1024])], |g, x| g.grad(x[0].cross_entropy(x[1]), &[x[0]])[0]),
    case("max pool 2 x 2", &[(F32, IMAGE)], |_, x| x[0].max_pool(&PoolOptions::new([2, 2]))),
    case("max pool 2 x 2, gradient", &[(F32, IMAGE), (F32, &[8, 64, 16, 16])], |g, x| slope(g, x[0].max_pool(&PoolOptions::new([2, 2])), x[1], x[0])),
    case("average pool 2 x 2", &[(F32, IMAGE)], |_, x| x[0].avg_pool(&PoolOptions::new([2, 2]))),
    case("take rows", &[(F32, &[64, 128]), (I64, &[1024])], |_, x| x[0].take(0, x[1])),
    case("take rows, gradient", &[(F32, &[64, 128]), (I64, &[1024]), (F32, ROWS)], |g, x| slope(g, x[0].take(0, x[1]), x[2], x[0])),
    case("gather", &[(F32, &[1024, 64]), (I64, &[1024, 16])], |_, x| x[0].gather(1, x[1])),
    case("scatter sum", &[(F32, &[1024, 16]), (I64, &[1024, 16])], |_, x| x[0].scatter_sum(1, x[1], 64)),
    case("cumulative sum", &[(F32, ROWS)], |_, x| x[0].cumsum(1)),
    case("argsort", &[(F32, ROWS)], |_, x| x[0].argsort(1, false)),
    case("dropout", &[(F32, ROWS)], |_, x| x[0].dropout(0.5)),
];

impl Case {
    /// The compiled step, values for its inputs, and the operations and bytes of a run.
    fn step(&self) -> (Step, State, Vec<Tensor>, [u64; 2]) {
        let g = Graph::train();
        let x: Vec<Var<'_>> = (0..)
            .zip(self.inputs)
            .map(|(i, &(dtype, shape))| g.input(&format!("x{i}"), dtype, shape))
            .collect();
        let compile = Compile::default().threads(1).no_fallback();
        let step = g.infer((self.record)(&g, &x)).compile(compile).unwrap();
        let tensor = |(i, &(dtype, shape)): (u64, &(DType, &[usize]))| {
            let (ty, key) = (Type::new(dtype, shape).unwrap(), Key(i));
            match dtype.is_float() {
                true => Tensor::normal(&ty, key, 0.0, 1.0),
                false => Tensor::build_i64(&ty, |at| key.below(at as u64, INDICES) as i64),
            }
        };
        let feeds = (0..).zip(self.inputs).map(tensor).collect();
        let moved = &step.report().plan.as_ref().unwrap().moved;
        let of = [moved.iter().map(|m| m.flops).sum(), moved.iter().map(|m| m.bytes()).sum()];
        (step, State::new(&Params::seeded(0)), feeds, of)
    }
}

fn kernels(c: &mut Criterion) {
    for (group, cases) in [("arithmetic", ARITHMETIC), ("traffic", TRAFFIC)] {
        let mut of_group = c.benchmark_group(group);
        of_group.measurement_time(Duration::from_millis(500)).sample_size(20);
        of_group.warm_up_time(Duration::from_millis(200));
        for case in cases {
            let (mut step, mut state, feeds, [flops, bytes]) = case.step();
            of_group.throughput(match group {
                "arithmetic" => Throughput::Elements(flops),
                _ => Throughput::BytesDecimal(bytes),
            });
            of_group.bench_function(case.name, |b| {
                b.iter(|| step.run(&mut state, &feeds).map(drop).unwrap());
            });
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
