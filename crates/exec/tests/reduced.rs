//! Loops do the reductions of what they make, with the values of the interpreter.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_ops::{Fused, Op};

/// Records a graph of `x` `[4, 6, 5]` and `w` `[5, 7]`; answers how many instructions of the kinds `loop`, `reduce`
/// and `loop_reduce` there are. Numbers are small multiples of a power of two, so sums are exact.
fn counts(record: impl Fn(&Graph, Var<'_>, Var<'_>)) -> [usize; 3] {
    counts_of(F32, &[4, 6, 5], record)
}

fn counts_of(
    dtype: DType,
    shape: &[usize],
    record: impl Fn(&Graph, Var<'_>, Var<'_>),
) -> [usize; 3] {
    let graph = || {
        let g = Graph::new();
        let x = g.input("x", dtype, shape);
        let w = g.input("w", dtype, [*shape.last().unwrap(), 7]);
        record(&g, x, w);
        g
    };
    let g = graph();
    let feed = |input: &pleach_ops::Input| {
        Tensor::build(input.ty(), |i| ((i * 37) % 11) as f64 / 4.0 - 1.0)
    };
    let feeds: Vec<Tensor> = g.inputs().iter().map(feed).collect();
    let state = State::new(&Params::seeded(1));
    let bits = |outputs: Vec<(String, Tensor)>| -> Vec<Vec<u64>> {
        outputs.iter().map(|(_, t)| t.to_f64s().iter().map(|x| x.to_bits()).collect()).collect()
    };
    let mut kinds = [0; 3];
    let mut planned = |threads| {
        let mut plan =
            Plan::compile(&g, &g.inputs(), Options { threads, fallback: false }).unwrap();
        let kernels = &plan.report().kernels;
        kinds = ["loop", "reduce", "loop_reduce"].map(|k| kernels.get(k).copied().unwrap_or(0));
        bits(plan.run(&mut state.clone(), &feeds).unwrap().tensors())
    };
    let got = planned(1);
    assert_eq!(got, planned(3));
    let mut oracle = Interpreted::new(graph(), &g.inputs()).unwrap();
    assert_eq!(got, bits(oracle.run(&mut state.clone(), &feeds).unwrap().tensors()));
    kinds
}

#[test]
fn a_sum_of_what_a_loop_makes_is_done_by_it() {
    let sum = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().sum([2]).id());
    assert_eq!(counts(sum), [0, 0, 1]);
    assert_eq!(
        counts_of(F64, &[3, 700], |g, x, _| g.output("s", x.abs().sum([1]).id())),
        [0, 0, 1]
    );
    let two = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().max([1, 2]).id());
    assert_eq!(counts(two), [0, 0, 1], "of several axes");
    let all = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().sum_all().id());
    assert_eq!(counts(all), [0, 0, 1], "of all of them");
    let several = |g: &Graph, x: Var<'_>, _: Var<'_>| {
        let y = x.abs();
        g.output("s", y.sum([2]).id());
        g.output("m", y.max([2]).id());
        g.output("other", y.sum([1, 2]).id());
    };
    assert_eq!(counts(several), [0, 1, 1], "all of as many axes");
}

#[test]
fn what_something_else_reads_is_written_too() {
    let asked = |g: &Graph, x: Var<'_>, _: Var<'_>| {
        let y = x.abs();
        g.output("y", y.id());
        g.output("s", y.sum([2]).id());
    };
    assert_eq!(counts(asked), [0, 0, 1]);
    let read = |g: &Graph, x: Var<'_>, w: Var<'_>| {
        let y = x.abs();
        g.output("p", y.matmul(w).id());
        g.output("s", y.sum([2]).id());
    };
    assert_eq!(counts(read), [0, 0, 1]);
}

#[test]
fn a_region_is_lowered_once() {
    for reduced in [0, 1] {
        let region = |g: &Graph, x: Var<'_>, _: Var<'_>| {
            let made = g.frame(&[g.ty(x.id())], |ids| {
                let x = g.push(pleach_ops::Abs.into(), ids);
                vec![x, g.push(pleach_ops::Neg.into(), &[x])]
            });
            let (body, _) = made.unwrap();
            let of = |i| g.push(Op::Fused(Fused::new(body.clone(), i).unwrap()), &[x.id()]);
            let results = [of(0), of(1)];
            g.output("y", results[1 - reduced]);
            g.output("s", Var::new(g, results[reduced]).sum([2]).id());
        };
        assert_eq!(counts(region), [0, 0, 1], "{reduced}");
    }
}

#[test]
fn a_variable_is_updated_in_place_by_a_loop_that_reduces() {
    let params = Params::seeded(1);
    let g = Graph::new();
    let buffer = params.buffer("w", F32, [4, 8], Init::ones());
    let y = g.param(&buffer).abs() * 2.0;
    g.assign_param(&buffer, y);
    g.output("s", y.sum([1]).id());
    let mut plan = Plan::compile(&g, &[], Options { threads: 1, fallback: false }).unwrap();
    let mut state = State::new(&params);
    for want in [16.0, 32.0] {
        let no: [Tensor; 0] = [];
        let sums = plan.run(&mut state, &no).unwrap().tensor("s").unwrap();
        assert_eq!(sums.to_f64s(), [want; 4]);
        assert_eq!(state.value("w").unwrap().to_f64s(), [want / 8.0; 32]);
    }
    let report = plan.report();
    assert_eq!((report.kernels["loop_reduce"], report.updated_in_place), (1, 1), "{report}");
}

#[test]
fn other_reductions_stay_apart() {
    let first = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().sum([0]).id());
    assert_eq!(counts(first), [1, 1, 0], "not the last axes");
    let fed = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.sum([2]).id());
    assert_eq!(counts(fed), [0, 1, 0], "no loop makes it");
    let long = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().sum([1]).id());
    assert_eq!(counts_of(F32, &[3, 1500], long), [1, 1, 0], "more than a block");
    let product = |g: &Graph, x: Var<'_>, w: Var<'_>| {
        g.output("s", x.matmul(w).abs().sum([2]).id());
    };
    assert_eq!(counts(product), [1, 1, 0], "it may go along with the product");
    let half = |g: &Graph, x: Var<'_>, _: Var<'_>| g.output("s", x.abs().sum([2]).id());
    assert_eq!(counts_of(BF16, &[4, 6, 5], half)[2], 0, "sums of 16 bits are rounded once");
    let turned = |g: &Graph, x: Var<'_>, _: Var<'_>| {
        g.output("s", x.permute(&[1, 0]).abs().sum([1]).id());
    };
    assert_eq!(counts_of(F32, &[20, 30], turned)[2], 0, "it lies in another order");
}
