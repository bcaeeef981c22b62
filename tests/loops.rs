//! Loops through the facade: every level runs them, no level falls back on the interpreter, threads
//! change no bit, and training through a loop is training.
#![allow(clippy::unwrap_used, reason = "a test")]

use pleach::prelude::*;

/// A recurrent network with two carries, a loop in the loop, dropout, an integer carry, a carry
/// that no one asks for, swapped carries, results that are carries, and a loop backwards.
fn record<'g>(g: &'g Graph, p: &Params) -> Vec<(&'static str, Var<'g>)> {
    let w = g.param(&p.param("w", [4, 4], Init::normal(0.0, 0.4)));
    let u = g.param(&p.param("u", [4], Init::normal(0.0, 0.4)));
    let xs = g.input("xs", F32, [5, 3, 4]);
    let zero = g.full(F32, [3, 4], 0.0);
    let n = g.full(I64, [], 0.0);
    let ((h, c, unused, n), (hs, cs)) =
        g.scan((zero, zero + 0.5, zero, n), xs, |(h, c, d, n), x| {
            let (z, parts) = g.scan(h * 0.5, x.dropout(0.3).t(), |z, column| {
                let z = (z * u + column.unsqueeze(1)).tanh();
                (z, z.sum(1))
            });
            let next = (z.matmul(w) + x).sigmoid() + parts.t() * 0.1;
            ((c, next * h.cos(), d + 1.0, n + 1), (h, next))
        });
    let back = g.scan_reverse(h, hs, |s, h| (s * 0.5 + h, s)).1;
    let swapped = g.repeat(3, (h, c), |i, (a, b)| (b, a * (i.cast(F32) + 1.0))).0;
    let loss = (cs * hs).mean() + (back * back).mean() + swapped.mean() + c.sum_all() * 0.01;
    let _ = unused;
    let d = g.grad(loss, &[w, u, xs]);
    let hvp = g.hvp(loss, w, w * 0.3);
    let mixed = g.grad((d[0] * d[0]).sum_all(), &[u])[0];
    vec![
        ("h", h),
        ("hs", hs),
        ("cs", cs),
        ("back", back),
        ("n", n),
        ("loss", loss),
        ("dw", d[0]),
        ("du", d[1]),
        ("dxs", d[2]),
        ("hvp", hvp),
        ("mixed", mixed),
    ]
}

fn run(options: Compile) -> Vec<(&'static str, Tensor)> {
    let (g, p) = (Graph::train(), Params::seeded(3));
    let outputs = record(&g, &p);
    let mut recording = g.infer(outputs[0].1);
    for &(name, value) in &outputs {
        recording = recording.output(name, value);
    }
    let mut step = recording.compile(options).unwrap();
    let mut state = State::new(&p);
    let xs = Tensor::normal(&Type::new(F32, [5, 3, 4]).unwrap(), Key(5), 0.0, 1.0);
    let out = step.run(&mut state, [&xs]).unwrap();
    outputs.iter().map(|&(name, _)| (name, out.tensor(name).unwrap())).collect()
}

#[test]
fn every_level_runs_loops() {
    let want = run(Compile::none());
    let unoptimized = run(Compile::unoptimized().no_fallback());
    let exact = run(Compile::exact().no_fallback());
    let default = run(Compile::default().no_fallback());
    for (i, (name, want)) in want.iter().enumerate() {
        assert_eq!(unoptimized[i], exact[i], "{name}: exact changes bits");
        for (_, got) in [&unoptimized[i], &default[i]] {
            let largest = want.to_f64s().iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            for (a, b) in got.to_f64s().into_iter().zip(want.to_f64s()) {
                assert!((a - b).abs() <= 1e-5 * largest.max(1e-3), "{name}: {a} {b}");
            }
        }
    }
    for threads in [1, 2, 3] {
        assert_eq!(run(Compile::default().no_fallback().threads(threads)), default);
    }
}

#[test]
fn a_recurrent_network_learns_to_sum() {
    let p = Params::seeded(1);
    let (w, v) = (
        p.param("w", [1, 8], Init::normal(0.0, 0.5)),
        p.param("v", [8, 1], Init::normal(0.0, 0.5)),
    );
    let u = p.param("u", [8, 8], Init::normal(0.0, 0.3));
    let g = Graph::train();
    let (xs, y) = (g.input("xs", F32, [6, 16, 1]), g.input("y", F32, [16, 1]));
    let (w, u, v) = (g.param(&w), g.param(&u), g.param(&v));
    let h =
        g.scan(g.full(F32, [16, 8], 0.0), xs, |h, x| ((h.matmul(u) + x.matmul(w)).tanh(), ())).0;
    let loss = (h.matmul(v) - y).square().mean();
    let mut step = g.minimize(loss, Adam::new(0.02)).compile(Compile::default()).unwrap();
    let mut state = State::new(&p);
    let mut last = f64::NAN;
    for i in 0..150 {
        let xs = Tensor::uniform(&Type::new(F32, [6, 16, 1]).unwrap(), Key(i), -0.5, 0.5);
        let at = xs.to_f64s();
        let sums = (0..16).map(|b| (0..6).map(|t| at[t * 16 + b] as f32).sum::<f32>());
        let y = Tensor::new([16, 1], sums.collect::<Vec<f32>>()).unwrap();
        last = step.run(&mut state, [&xs, &y]).unwrap().scalar("loss").unwrap();
    }
    assert!(last < 0.02, "{last}");
}

/// An LSTM that a Rust loop unrolls, after some steps of training: losses and parameters.
fn unrolled([steps, batch, inner, wide]: [usize; 4], options: Compile) -> (Vec<Tensor>, usize) {
    let (p, g) = (Params::seeded(0), Graph::train());
    let (x, y) =
        (g.input("x", F32, [batch, steps, inner]), g.input("y", F32, [steps, batch, wide]));
    let weight =
        |name: &str, rows: usize| g.param(&p.param(name, [rows, 4 * wide], Init::normal(0.0, 0.2)));
    let (w, v, b) = (weight("w", inner), weight("v", wide), weight("b", 1));
    let mut h = g.full(F32, [batch, wide], 0.0);
    let (mut c, mut loss) = (h, g.full(F32, [], 0.0));
    for t in 0..steps {
        let z = x.slice(1, t..t + 1).squeeze(1).matmul(w) + h.matmul(v) + b;
        let gate = |n: usize| z.slice(1, n * wide..(n + 1) * wide);
        c = gate(0).sigmoid() * c + gate(1).sigmoid() * gate(2).tanh();
        h = (gate(3).sigmoid() * c.tanh()).dropout(0.2);
        loss = loss + (h - y.slice(0, t..t + 1).squeeze(0)).square().mean();
    }
    let mut step = g.minimize(loss, Sgd::new(0.1)).compile(options).unwrap();
    let mut state = State::new(&p);
    let mut values = Vec::new();
    for i in 0..3 {
        let of = |shape: [usize; 3], key| {
            Tensor::normal(&Type::new(F32, shape).unwrap(), Key(i).fold(key), 0.0, 1.0)
        };
        let (x, y) = (of([batch, steps, inner], 0), of([steps, batch, wide], 1));
        values.push(step.run(&mut state, [&x, &y]).unwrap().tensor("loss").unwrap());
    }
    values.extend(state.tensors(Kind::Param).into_iter().map(|(_, value)| value));
    let plan = step.report().plan.as_ref().unwrap();
    (values, plan.kernels.get("repeat").copied().unwrap_or(0))
}

#[test]
fn what_a_program_unrolls_is_rolled_with_the_same_bits() {
    for sizes in [[7, 1, 5, 6], [9, 3, 4, 8], [6, 33, 40, 64]] {
        let (want, none) = unrolled(sizes, Compile::unoptimized());
        let (exact, loops) = unrolled(sizes, Compile::exact());
        assert_eq!((none, loops), (0, 2), "{sizes:?}");
        assert_eq!(want, exact, "{sizes:?}");
        let (default, loops) = unrolled(sizes, Compile::default());
        assert_eq!(loops, 2, "{sizes:?}");
        for (a, b) in default.iter().zip(&want) {
            for (a, b) in a.to_f64s().into_iter().zip(b.to_f64s()) {
                assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{sizes:?}: {a} {b}");
            }
        }
    }
}
