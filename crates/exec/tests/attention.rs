//! Regions of attention are one instruction, whatever is asked for, and agree with the interpreter.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use pleach_exec::{Interpreted, Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_ops::{AttentionRegion, Fused, Op};
use pleach_tensor::Type;
use pleach_tensor::compare::{Tolerance, mismatch};

/// Heads, queries, keys, widths of keys and of values.
const SIZES: [usize; 5] = [3, 20, 16, 5, 4];

/// A region whose operands are views of inputs, of axes in another order if `turned`, as a plan and as the
/// interpreter; these results are asked for. Answers how many instructions there are, and bytes of memory.
fn agrees(region: AttentionRegion, asked: &[usize], turned: bool) -> (usize, usize) {
    let [h, l, s, e, d] = SIZES;
    let shapes = [[h, l, e], [h, e, s], [h, s, d], [h, l, d], [h, l, s]];
    let record = || {
        let g = Graph::new();
        let count = match (region.gradient, region.kept) {
            (false, _) => 3,
            (true, kept) => 4 + usize::from(kept),
        };
        let operand = |(i, [a, b, c]): (usize, [usize; 3])| {
            let name = format!("x{i}");
            let x = match turned {
                true => g.input(&name, F32, [c, a, b]).permute(&[1, 2, 0]),
                false => g.input(&name, F32, [a, b, c]),
            };
            x.id()
        };
        let operands: Vec<NodeId> = (0..).zip(shapes).take(count).map(operand).collect();
        let types: Vec<Type> = operands.iter().map(|&x| g.ty(x)).collect();
        let body = region.body(&types).unwrap();
        for &i in asked {
            let fused = Fused::new(body.clone(), i).unwrap();
            g.output(&format!("y{i}"), g.push(Op::Fused(fused), &operands));
        }
        g
    };
    let g = record();
    let feeds: Vec<Tensor> = (0..)
        .zip(g.inputs())
        .map(|(at, input)| {
            let of = |i: usize| ((i * 7919 + at * 31) % 97) as f64 / 97.0 - 0.5;
            Tensor::build(input.ty(), of)
        })
        .collect();
    let options = Options { threads: 1, fallback: false };
    let mut plan = Plan::compile(&g, &g.inputs(), options).unwrap();
    let mut oracle = Interpreted::new(record(), &g.inputs()).unwrap();
    let state = State::new(&Params::seeded(1));
    let got = plan.run(&mut state.clone(), &feeds).unwrap();
    let want = oracle.run(&mut state.clone(), &feeds).unwrap();
    for i in asked {
        let [got, want] = [&got, &want].map(|all| all.tensor(&format!("y{i}")).unwrap());
        let near = Tolerance { rtol: 1e-4, atol: 1e-5 };
        assert_eq!(mismatch(&got, &want, near), None, "{region:?} {asked:?} {turned} y{i}");
    }
    (plan.report().instructions(), plan.report().arena_bytes)
}

#[test]
fn whatever_is_asked_for_is_one_instruction() {
    // What lies in another order is copied to be an output.
    let one = |region, asked: &[usize], copies: usize| {
        assert_eq!(agrees(region, asked, false).0, 1 + copies, "{region:?} {asked:?}");
        assert!(agrees(region, asked, true).0 <= 1 + asked.len(), "{region:?} {asked:?}");
    };
    for causal in [false, true] {
        let region = |gradient, kept| AttentionRegion { causal, scale: 0.4, gradient, kept };
        one(region(false, false), &[0], 0);
        one(region(false, true), &[0], 0);
        let memory = |kept| agrees(region(false, kept), &[0], false).1;
        assert_eq!(memory(true), memory(false), "weights that nothing asks for take no memory");
        one(region(false, true), &[1], 0);
        one(region(false, true), &[0, 1], 0);
        for kept in [false, true] {
            one(region(true, kept), &[0, 2], 0);
            one(region(true, kept), &[0, 1, 2], 1);
        }
    }
}
