//! Loops in plans: the bits of the interpreter, whatever a step does with carries, slices and views,
//! and no copies where none is needed.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach_exec::{Options, Plan, State};
use pleach_ops::interpret::{Sources, interpret};
use pleach_ops::prelude::*;
use pleach_ops::{Op, Scan};
use proptest::prelude::*;

/// An operator of a step: which, and of which values.
type Action = (u8, [u8; 2]);

/// Small integers, so that no sum is rounded.
fn small(x: Var<'_>) -> Var<'_> {
    x.minimum(x.full_like(4.0)).maximum(x.full_like(-4.0))
}

/// The values of a step of `[2, 2]` matrices: three carries, a slice, a capture, and what is made of
/// them.
fn body<'g>(first: [Var<'g>; 5], actions: &[Action]) -> Vec<Var<'g>> {
    let mut values = first.to_vec();
    for (code, of) in actions {
        let [x, y] = of.map(|i| values[usize::from(i) % values.len()]);
        values.push(small(match code % 8 {
            0 => x + y,
            1 => -x,
            2 => x.matmul(y),
            3 => x.t(),
            4 => x.concat(&[y], 1).slice(1, 1..3),
            5 => x.slice(0, 0..1).concat(&[y.slice(0, 1..2)], 0),
            // A loop in the loop, over slices, a carry and a capture of this step.
            6 => x.graph().scan(x, y, |c, row| (c + row.unsqueeze(0).broadcast_to([2, 2]), ())).0,
            _ => x.graph().scan_reverse(x.sum(0), y, |c, row| (row - c, c + y.sum(1))).1,
        }));
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn plans_of_loops_give_the_bits_of_the_interpreter(
        length in 0usize..4,
        reverse: bool,
        actions in proptest::collection::vec(any::<Action>(), 0..8),
        next in any::<[u8; 3]>(),
        ys in any::<[u8; 3]>(),
        asked in any::<[bool; 9]>(),
    ) {
        let g = Graph::new();
        let xs = g.input("xs", F64, [length, 2, 2]);
        let names = ["a", "b", "c", "w"];
        let [a, b, c, w] = names.map(|name| g.input(name, F64, [2, 2]));
        let step = |(a, b, c), x| {
            let values = body([a, b, c, x, w], &actions);
            let pick = |i: u8| values[usize::from(i) % values.len()];
            let [a, b, c] = next.map(pick);
            ((a, b, c), ys.map(pick))
        };
        let (finals, ys) = match reverse {
            false => g.scan((a, b, c), xs, step),
            true => g.scan_reverse((a, b, c), xs, step),
        };
        let mut values: Vec<Var<'_>> = [finals.0, finals.1, finals.2].into_iter().chain(ys).collect();
        if let Op::Scan(scan) = g.op(ys[0].id()) {
            let stacked = (0..3).map(|c| scan.of().stacked_carry(c));
            let all = stacked.map(|r| Op::Scan(Scan::new(scan.of().clone(), r)));
            let inputs = g.node(ys[0].id()).inputs.clone();
            values.extend(all.map(|op| Var::new(&g, g.push(op, &inputs))));
        }
        for (i, value) in values.iter().enumerate().filter(|(i, _)| asked[*i]) {
            g.output(&i.to_string(), value.id());
        }
        g.check().unwrap();
        let whole = |ty: &Type, seed: usize| Tensor::build(ty, |i| ((i * 7 + seed * 5) % 9) as f64 - 4.0);
        let feeds: Vec<Tensor> =
            g.inputs().iter().enumerate().map(|(i, input)| whole(input.ty(), i)).collect();
        let refs: Vec<&Tensor> = feeds.iter().collect();
        let ids: Vec<NodeId> = g.roots().iter().map(|root| root.value).collect();
        let want = Sources::with_feeds(&refs, |sources| interpret(&g, &ids, sources)).unwrap();
        for threads in [1, 3] {
            let options = Options { threads, fallback: false };
            let mut plan = Plan::compile(&g, &g.inputs(), options).unwrap();
            let mut state = State::new(&Params::seeded(0));
            // Twice: the second run finds what the first one left.
            for _ in 0..2 {
                let outputs = plan.run(&mut state, &feeds).unwrap();
                for (root, want) in g.roots().iter().zip(&want) {
                    prop_assert_eq!(&outputs.tensor(&root.name).unwrap(), want, "{}", root.name);
                }
            }
        }
    }
}

#[test]
fn a_step_copies_neither_slices_nor_carries_nor_results() {
    let g = Graph::new();
    let (xs, h) = (g.input("xs", F32, [6, 4, 8]), g.input("h", F32, [4, 8]));
    let w = g.input("w", F32, [8, 8]);
    let (last, ys) = g.scan(h, xs, |h, x| {
        let next = (x + h.matmul(w)).tanh();
        (next, next)
    });
    let loss = (ys * ys).sum_all() + last.sum_all();
    g.output("loss", loss.id());
    g.output("ys", ys.id());
    g.output("dx", g.grad(loss, &[xs])[0].id());
    let plan = Plan::compile(&g, &g.inputs(), Options { threads: 1, fallback: false }).unwrap();
    let loops: Vec<Vec<&str>> = plan
        .report()
        .moved
        .iter()
        .filter(|m| m.kernel == "repeat")
        .map(|m| m.body.iter().map(|inner| inner.kernel).collect())
        .collect();
    // Forward: product, sum, tanh. Backward: those again, tanh' in three (1 - y², and the cotangent
    // of the step added before and multiplied after), the transposed product.
    assert_eq!(loops[0], ["gemm", "loop", "loop"]);
    assert_eq!(loops[1].iter().filter(|kernel| **kernel == "gemm").count(), 2);
    assert_eq!(loops[1].len(), 2 + 2 + 4, "{loops:?}");
}

/// How many elementwise loops come before a loop of products of `[rows, k]` with a capture that is turned.
/// The plan has the values of the interpreter.
fn turned(steps: usize, rows: usize, k: usize) -> usize {
    let g = Graph::new();
    let (xs, w) = (g.input("xs", F32, [steps, rows, k]), g.input("w", F32, [k, k]));
    let (last, ys) = g.scan(g.full(F32, [rows, k], 0.5), xs, |h, x| {
        let next = small(h.matmul(w.t()) + x);
        (next, next)
    });
    g.output("last", last.id());
    g.output("ys", ys.id());
    g.check().unwrap();
    let whole = |ty: &Type| Tensor::build(ty, |i| ((i * 7) % 5) as f64 - 2.0);
    let feeds: Vec<Tensor> = g.inputs().iter().map(|input| whole(input.ty())).collect();
    let refs: Vec<&Tensor> = feeds.iter().collect();
    let ids = [last.id(), ys.id()];
    let want = Sources::with_feeds(&refs, |sources| interpret(&g, &ids, sources)).unwrap();
    let mut plan = Plan::compile(&g, &g.inputs(), Options { threads: 1, fallback: false }).unwrap();
    let outputs = plan.run(&mut State::new(&Params::seeded(0)), &feeds).unwrap();
    for (name, want) in ["last", "ys"].iter().zip(&want) {
        assert_eq!(&outputs.tensor(name).unwrap(), want, "{name}");
    }
    let kernels: Vec<&str> = plan.report().moved.iter().map(|m| m.kernel).collect();
    kernels.iter().take_while(|kernel| **kernel != "repeat").filter(|k| **k == "loop").count()
}

#[test]
fn a_capture_that_every_step_would_turn_is_turned_once() {
    // Few steps are not worth it; of one row, sums would have another order.
    assert_eq!(turned(8, 32, 128), turned(3, 32, 128) + 1);
    assert_eq!(turned(8, 1, 128), turned(3, 1, 128));
}
