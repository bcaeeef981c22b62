//! Max pooling by kernels, and its gradient, equal the interpreter; places are written if asked for.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_ops::PoolOptions;
use pleach_ops::prelude::*;
use proptest::prelude::*;

/// One axis that is pooled: length, window, stride, padding, dilation.
type Along = (usize, usize, usize, usize, usize);

fn options(along: &[Along]) -> PoolOptions {
    let each = |f: fn(&Along) -> usize| along.iter().map(f).collect::<Vec<usize>>();
    PoolOptions::new(each(|a| a.1))
        .stride(each(|a| a.2))
        .padding(each(|a| a.3.min(a.1 / 2)))
        .dilation(each(|a| a.4))
}

/// The outputs of the graph by kernels, the same for one thread and for three, and by the
/// interpreter; and how many instructions of a kind there are.
fn run(g: &Graph, feeds: &[Tensor], kernel: &str) -> ([Vec<Vec<u64>>; 2], usize) {
    let bits = |outputs: Vec<(String, Tensor)>| -> Vec<Vec<u64>> {
        let bits = |x: &f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
        outputs.iter().map(|(_, t)| t.to_f64s().iter().map(bits).collect()).collect()
    };
    let mut count = 0;
    let mut planned = |threads| {
        let mut plan = Plan::compile(g, &g.inputs(), Options { threads, fallback: false }).unwrap();
        count = plan.report().kernels.get(kernel).copied().unwrap_or(0);
        bits(plan.run(&mut State::new(&Params::seeded(0)), feeds).unwrap().tensors())
    };
    let got = planned(1);
    assert_eq!(got, planned(3));
    let mut oracle = Interpreted::new(g.retype(BOOL, BOOL), &g.inputs()).unwrap();
    let want = bits(oracle.run(&mut State::new(&Params::seeded(0)), feeds).unwrap().tensors());
    ([got, want], count)
}

/// Small multiples of a power of two with many ties, and some NaN: sums are exact.
fn draw(ty: &Type, key: Key, nan: bool) -> Tensor {
    let value = |i: usize| match key.below(i as u64, 12) {
        0 if nan => f64::NAN,
        n => n as f64 / 4.0 - 1.5,
    };
    Tensor::build(ty, value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn values_and_gradients_are_those_of_the_interpreter(
        lead in prop::collection::vec(prop_oneof![4 => 0usize..4, 1 => Just(16usize)], 0..3),
        along in prop::collection::vec((1usize..9, 1usize..4, 1usize..4, 0usize..2, 1usize..3), 1..=3),
        double: bool,
        channels_last: bool,
        asked in 0usize..4,
        seed: u64,
    ) {
        let g = Graph::new();
        let dtype = if double { F64 } else { F32 };
        let mut shape: Vec<usize> = along.iter().map(|a| a.0).collect();
        shape.splice(0..0, lead.iter().copied());
        let rank = shape.len();
        // What is pooled may be in memory in another order.
        let turned = |n: usize| (0..n).map(|i| ((i + 1) % n) as i64).collect::<Vec<_>>();
        let order = turned(rank);
        let input: Vec<usize> = if channels_last {
            (0..rank).map(|i| shape[(i + rank - 1) % rank]).collect()
        } else {
            shape.clone()
        };
        let x = g.input("x", dtype, input.clone());
        let z = if channels_last { x.permute(&order) } else { x };
        prop_assert_eq!(&z.shape()[..], &shape[..]);
        let (y, places) = z.max_pool_with_indices(&options(&along));
        prop_assume!(y.ok().is_ok());
        let dy = g.input("dy", dtype, y.shape());
        g.output("y", y.id());
        if asked != 1 {
            g.output("dx", g.grad(y * dy, &[x])[0].id());
        }
        if asked == 2 {
            g.output("places", places.id());
        }
        let draw = |shape: &[usize], salt| {
            draw(&Type::new(dtype, shape).unwrap(), Key(seed).fold(salt), salt == 0)
        };
        let feeds = [draw(&input, 0), draw(&y.shape(), 1)];
        let ([got, want], pools) = run(&g, &feeds, "max_pool");
        prop_assert_eq!(got, want);
        let some = y.shape().iter().product::<usize>() > 0;
        prop_assert_eq!(pools, usize::from(asked != 2 && some));
    }
}

#[test]
fn places_are_written_for_whoever_else_reads_them() {
    let along = [(8, 2, 2, 0, 1), (6, 3, 1, 1, 1)];
    let feeds = [0, 1].map(|i| draw(&Type::new(F32, [3, 8, 6]).unwrap(), Key(i), false));
    let pools = |build: fn(&Graph, Var<'_>, Var<'_>, PoolOptions)| {
        let g = Graph::new();
        let [x, other] = ["x", "other"].map(|name| g.input(name, F32, [3, 8, 6]));
        build(&g, x, other, options(&along));
        let ([got, want], pools) = run(&g, &feeds, "max_pool");
        assert_eq!(got, want);
        pools
    };
    // Elements of another value at these places, and the places themselves in arithmetic.
    let gather = |g: &Graph, x: Var<'_>, other: Var<'_>, options: PoolOptions| {
        let places = x.max_pool_with_indices(&options).1.flatten(1);
        g.output("y", other.flatten(1).gather(-1, places).id());
    };
    assert_eq!(pools(gather), 0);
    let sum = |g: &Graph, x: Var<'_>, _: Var<'_>, options: PoolOptions| {
        let (y, places) = x.max_pool_with_indices(&options);
        g.output("y", (y + places.cast(F32)).id());
    };
    assert_eq!(pools(sum), 0);
    // Two poolings of one value, one of which is pooled again.
    let twice = |g: &Graph, x: Var<'_>, other: Var<'_>, options: PoolOptions| {
        let y = (x * other).max_pool(&options);
        let z = y.max_pool(&options) + x.max_pool(&PoolOptions::new([4, 3])).sum([0, 1, 2]);
        let dx = g.grad(z.square(), &[x]);
        g.output("z", z.id());
        g.output("dx", dx[0].id());
    };
    assert_eq!(pools(twice), 3);
}
