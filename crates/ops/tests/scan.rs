//! A loop equals its unrolled twin: values, first and second order, forward mode, in both
//! directions, nested, with captures and stacked carries.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach_ops::Op;
use pleach_ops::prelude::*;

const STEPS: usize = 4;

/// What both ways of looping offer.
type Step<'g> = &'g dyn Fn(Vec<Var<'g>>, Var<'g>) -> (Vec<Var<'g>>, Var<'g>);
type Looping<'g> = fn(&'g Graph, Vec<Var<'g>>, Var<'g>, Step<'g>, bool) -> (Vec<Var<'g>>, Var<'g>);

fn rolled<'g>(
    g: &'g Graph,
    init: Vec<Var<'g>>,
    xs: Var<'g>,
    step: Step<'g>,
    reverse: bool,
) -> (Vec<Var<'g>>, Var<'g>) {
    match reverse {
        false => g.scan(init, xs, step),
        true => g.scan_reverse(init, xs, step),
    }
}

fn unrolled<'g>(
    _: &'g Graph,
    init: Vec<Var<'g>>,
    xs: Var<'g>,
    step: Step<'g>,
    reverse: bool,
) -> (Vec<Var<'g>>, Var<'g>) {
    let slices = xs.split(0, &vec![1; xs.size(0)]);
    let n = slices.len();
    let (mut carry, mut ys) = (init, vec![None; n]);
    for i in 0..n {
        let at = if reverse { n - 1 - i } else { i };
        let (next, y) = step(carry, slices[at].squeeze(0));
        (carry, ys[at]) = (next, Some(y));
    }
    let ys: Vec<Var<'g>> = ys.into_iter().flatten().collect();
    (carry, ys[0].stack(&ys[1..], 0))
}

/// Everything that a loop must agree on with its twin: results, gradients of a scalar of all of
/// them, a Hessian-vector product, a tangent.
fn everything(looping: Looping<'_>, reverse: bool, which: usize) -> Vec<Tensor> {
    // The graph lives as long as the process: the types above say so.
    let g: &'static Graph = Box::leak(Box::new(Graph::new()));
    let looping: Looping<'static> = unsafe_free(looping);
    let h = g.input("h", F64, [3]);
    let c = g.input("c", F64, [3]);
    let xs = g.input("xs", F64, [STEPS, 3]);
    let w = g.input("w", F64, [3, 3]);
    let b = g.input("b", F64, [3]);
    let inner = move |h: Var<'static>, x: Var<'static>| {
        let (h, ys) = looping(
            g,
            vec![h],
            x.stack(&[b, x * b], 0),
            Box::leak(Box::new(move |h: Vec<Var<'static>>, x| {
                let next = (h[0] * x + b).tanh();
                (vec![next], next * x)
            })),
            false,
        );
        h[0] + ys.sum(0)
    };
    let step: Step<'static> = match which {
        // One carry, all captures, a result that is the carry.
        0 => Box::leak(Box::new(move |s: Vec<Var<'static>>, x| {
            let next = (s[0].unsqueeze(0).matmul(w).squeeze(0) + x * b).tanh();
            (vec![next, s[1]], next)
        })),
        // Two carries that feed each other, a result of both, a carry that stops its gradient.
        1 => Box::leak(Box::new(move |s: Vec<Var<'static>>, x| {
            let next = (s[1] * x).sin() + s[0].stop_gradient() * b;
            (vec![next, s[0] * s[0]], s[0] + next.exp())
        })),
        // Swapped carries.
        2 => {
            Box::leak(Box::new(move |s: Vec<Var<'static>>, x| (vec![s[1], s[0]], s[0] * x + s[1])))
        }
        // A loop in a loop.
        _ => Box::leak(Box::new(move |s: Vec<Var<'static>>, x| {
            let next = inner(s[0], x * w.sum(0));
            (vec![next.tanh(), s[1] + next], next * b)
        })),
    };
    let (finals, ys) = looping(g, vec![h, c], xs, step, reverse);
    let scalar = (finals[0] * finals[0]).sum_all()
        + (finals[1] * finals[0].cos()).sum_all()
        + (ys * ys.sin()).sum_all();
    let of = [h, c, xs, w, b];
    let grads = g.grad(scalar, &of);
    let mut out = vec![finals[0], finals[1], ys, scalar];
    out.extend(&grads);
    let along: Vec<Var<'_>> = of.iter().map(|x| x.full_like(0.7)).collect();
    for (x, v) in of.iter().zip(&along) {
        let grads: Vec<Var<'_>> = grads.iter().map(|d| (*d * 0.3).sum_all()).collect();
        let sum = grads.into_iter().reduce(|a, b| a + b).unwrap();
        out.push(g.grad(sum, &[*x])[0]);
        out.push(g.jvp_of(sum, &[(*x, *v)]));
    }
    let seeds: Vec<(Var<'_>, Var<'_>)> = of.iter().copied().zip(along).collect();
    out.push(g.jvp_of(ys, &seeds));
    out.push(g.jvp_of(finals[1], &seeds));
    let third = g.grad(g.hvp(scalar, xs, xs.full_like(0.2)).sum_all(), &[h, w]);
    out.extend(third);
    let key = Key(11);
    let feeds: Vec<Tensor> = (g.inputs().iter().enumerate())
        .map(|(i, input)| Tensor::normal(input.ty(), key.fold(i as u64), 0.0, 0.5))
        .collect();
    let feeds: Vec<&Tensor> = feeds.iter().collect();
    let ids: Vec<_> = out.iter().map(|v| v.id()).collect();
    pleach_ops::Sources::with_feeds(&feeds, |sources| {
        pleach_ops::interpret::interpret(g, &ids, sources).unwrap()
    })
}

/// A function pointer for every lifetime serves for one.
fn unsafe_free(looping: Looping<'_>) -> Looping<'static> {
    if std::ptr::fn_addr_eq(looping, rolled as Looping<'_>) { rolled } else { unrolled }
}

#[test]
fn loops_equal_their_unrolled_twins() {
    for which in 0..4 {
        for reverse in [false, true] {
            let got = everything(rolled, reverse, which);
            let want = everything(unrolled, reverse, which);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got.ty(), want.ty());
                for (a, b) in got.to_f64s().into_iter().zip(want.to_f64s()) {
                    let close = (a - b).abs() <= 1e-11 * (1.0 + b.abs());
                    assert!(close, "loop {which}, reverse {reverse}, value {i}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_thousand_steps_are_tens_of_nodes_and_one_backward_loop() {
    let g = Graph::new();
    let (w, h) = (g.input("w", F32, [8, 8]), g.input("h", F32, [2, 8]));
    let xs = g.input("xs", F32, [1000, 2, 8]);
    let (last, ys) = g.scan(h, xs, |h, x| {
        let next = (h.matmul(w) + x).tanh();
        (next, next)
    });
    // Both results reach the loss: their cotangents go through one loop, not one each.
    let loss = (last * last).sum_all() + ys.mean();
    let grads = g.grad(loss, &[w, h, xs]);
    assert!(g.len() < 60, "{} nodes", g.len());
    let loops = |op: &Op| if let Op::Scan(scan) = op { Some(scan.of().clone()) } else { None };
    let mut found: Vec<_> = g.ids().filter_map(|id| loops(&g.op(id))).collect();
    found.dedup();
    assert_eq!(found.len(), 2);
    assert!(found[1].is_reversed());
    // The text of a graph with loops reads back.
    g.output("loss", loss.id());
    grads.iter().for_each(|d| g.output("d", d.id()));
    let text = g.to_string();
    let read: Graph = Graph::parse(&text, &Default::default()).unwrap();
    assert_eq!(read.to_string(), text);
}

#[test]
fn carries_may_be_integers_and_steps_may_be_none() {
    let g = Graph::new();
    let x = g.input("x", F64, [0, 2]);
    let c = g.input("c", F64, [2]);
    let (last, ys) =
        g.scan((c, g.constant(Tensor::scalar(3i64))), x, |(c, n), x| ((c * x, n + 1), n));
    assert_eq!(last.0.id(), c.id());
    assert_eq!(last.1.eval(&[]).unwrap().to_i64s(), [3]);
    assert_eq!(ys.shape()[..], [0]);

    let fib = g.repeat(10, (g.full(I64, [], 0.0), g.full(I64, [], 1.0)), |_, (a, b)| (b, a + b));
    assert_eq!(fib.0.eval(&[]).unwrap().to_i64s(), [55]);
    let sum = g.repeat(5, c, |i, c| c * 2.0 + i.cast(F64));
    let at = Tensor::new([2], vec![1.0, 0.0]).unwrap();
    let none = Tensor::new([0, 2], Vec::<f64>::new()).unwrap();
    assert_eq!(sum.eval(&[&none, &at]).unwrap().to_f64s(), [58.0, 26.0]);
    let d = g.grad(sum, &[c])[0];
    assert_eq!(d.eval(&[&none, &at]).unwrap().to_f64s(), [32.0, 32.0]);
}

#[test]
fn a_path_that_every_step_cuts_is_unreached() {
    let g = Graph::new();
    let (w, v) = (g.input("w", F64, []), g.input("v", F64, []));
    let xs = g.input("xs", F64, [3]);
    let y = g.scan(w, xs, |c, x| ((c.floor() + x) * v.floor(), ())).0;
    let grads = g.reverse(&[(y.id(), y.full_like(1.0).id())], &[w.id(), v.id(), xs.id()]).unwrap();
    // The last step adds x to what was cut, so only the slices are reached.
    let reached: Vec<bool> = grads.iter().map(|d| d.value().is_some()).collect();
    assert_eq!(reached, [false, false, true]);
    assert!(matches!(grads[0], pleach_graph::Gradient::Unreached { cut: Some(_) }));
}

#[test]
fn keys_differ_from_step_to_step_and_the_backward_loop_sees_the_same() {
    let g = Graph::train();
    let x = g.full(F64, [6, 100], 1.0);
    let ys = g.scan((), x, |(), x| ((), x.dropout(0.5))).1;
    let d = g.grad(ys, &[x])[0];
    let (ys, d) = (ys.eval(&[]).unwrap(), d.eval(&[]).unwrap());
    assert_eq!(ys, d);
    let rows: Vec<Vec<f64>> = ys.to_f64s().chunks(100).map(<[f64]>::to_vec).collect();
    for (i, a) in rows.iter().enumerate() {
        assert!(rows[..i].iter().all(|b| a != b), "rows with one mask");
    }
    let runs = g.roots().iter().filter(|r| r.target.is_some()).count();
    assert_eq!(runs, 1, "the runs are counted once");
    // Nested: the masks of the inner loop differ with the step of the outer one, too.
    let x = g.full(F64, [3, 2, 64], 1.0);
    let inner = |x| g.scan((), x, |(), x: Var<'_>| ((), x.dropout(0.5))).1;
    let ys = g.scan((), x, |(), x| ((), inner(x))).1.eval(&[]).unwrap();
    let rows: Vec<Vec<f64>> = ys.to_f64s().chunks(64).map(<[f64]>::to_vec).collect();
    for (i, a) in rows.iter().enumerate() {
        assert!(rows[..i].iter().all(|b| a != b), "rows with one mask");
    }
}

#[test]
fn what_a_step_binds_is_bound_in_the_step() {
    let (g, p) = (Graph::new(), Params::seeded(1));
    let w = p.param("w", [], Init::full(3.0));
    let y = g.repeat(2, g.param(&w), |_, c| {
        g.bind(&w, |w| w * 2.0);
        c * g.param(&w)
    });
    let y = y + g.param(&w);
    assert_eq!(y.eval(&[]).unwrap().item(), Some(111.0));
}

#[test]
fn wrong_loops_are_errors_with_the_users_line() {
    let error = |f: fn(&Graph)| {
        let g = Graph::new();
        f(&g);
        let errors = g.check().unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        let text = errors.to_string();
        assert!(text.contains("scan.rs"), "{text}");
        text
    };
    let text = error(|g| {
        let x = g.input("x", F32, [3, 2]);
        g.scan(x, x, |c, x| (c.sum_all(), x));
    });
    assert!(text.contains("carry 0 is f32[3, 2] before a step and f32[] after it"), "{text}");
    let text = error(|g| {
        let (x, y) = (g.input("x", F32, [3, 2]), g.input("y", F32, [4]));
        let (c, ys) = g.scan((), (x, y), |(), (x, y)| ((), x + y));
        assert!(ys.ok().is_err());
        assert_eq!(c, ());
    });
    assert!(text.contains("a value of type f32[4] cannot be sliced into 3 steps"), "{text}");
    let text = error(|g| {
        let x = g.input("x", F32, []);
        g.scan(x, x, |c, x| (c, x));
    });
    assert!(text.contains("first axis"), "{text}");
    let text = error(|g| {
        let x = g.input("x", F32, [3, 2]);
        g.scan(vec![x], x, |mut c, x| {
            c.push(x);
            (c, ())
        });
    });
    assert!(text.contains("1 carries before a step, 2 after"), "{text}");
    // What is wrong in the body is said once.
    let text = error(|g| {
        let x = g.input("x", F32, [3, 2]);
        let c = g.scan(x, x, |c, _| (c.matmul(c), ())).0;
        let _ = c + 1.0;
    });
    assert!(text.contains("matmul"), "{text}");
}

#[test]
fn a_scan_that_is_parsed_must_be_a_loop() {
    let g = Graph::new();
    let c = g.repeat(3, g.full(F32, [2], 1.0), |_, c| c.exp());
    g.output("c", c.id());
    let text = g.to_string();
    let parse = |text: &str| Graph::parse(text, &Default::default()).map(|g: Graph| g.to_string());
    assert_eq!(parse(&text).unwrap(), text);
    for (from, to) in
        [("result: 0", "result: 2"), ("carries: 1", "carries: 2"), ("exp", "sum([0])")]
    {
        assert!(text.contains(from), "{text}");
        assert!(parse(&text.replace(from, to)).is_err(), "{from} {to}");
    }
}
