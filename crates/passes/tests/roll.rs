//! Steps that a program recorded one by one become a loop, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_ops::prelude::*;
use pleach_ops::{Loop, Op};
use pleach_passes::testing::{Broken, Sample, commutes, preserves, run};
use pleach_passes::{Ledger, Level, PassCx, Pipeline, Roll};
use pleach_tensor::Key;
use proptest::prelude::*;

fn rolled(g: &Graph) -> (Option<Graph>, Ledger) {
    g.check().unwrap();
    run(&Roll::default(), g, &mut PassCx::reference(Level::Exact))
}

/// The different loops of a graph, in order.
fn loops(g: &Graph) -> Vec<Arc<Loop>> {
    let (mut found, live): (Vec<Arc<Loop>>, _) = (Vec::new(), g.live());
    for id in g.ids().filter(|id| live[id.index()]) {
        if let Op::Scan(scan) = g.op(id)
            && !found.contains(scan.of())
        {
            found.push(scan.of().clone());
        }
    }
    found
}

/// Steps, carries and direction of all loops.
fn shapes(g: &Graph) -> Vec<(usize, usize, bool)> {
    loops(g).iter().map(|of| (of.length(), of.carries(), of.is_reversed())).collect()
}

/// Values, gradients and price are kept, and nothing fires twice.
fn keeps(g: &Graph, key: u64) -> Result<(), Broken> {
    let (sample, key) = (Sample::of(g), Key(key));
    let pipeline = Pipeline::new(vec![Arc::new(Roll::default())]);
    preserves(&pipeline, &sample, Level::Exact, key)?;
    preserves(&pipeline, &sample, Level::Default, key)?;
    preserves(&Pipeline::default(), &sample, Level::Default, key)?;
    commutes(&pipeline, &sample, Level::Default, key)
}

/// A recurrent network that a Rust loop records.
#[derive(Clone, Copy, Debug)]
struct Net {
    steps: usize,
    batch: usize,
    inner: usize,
    wide: usize,
    /// The axis of the steps.
    axis: usize,
    /// Gates and a second state.
    gates: bool,
    backwards: bool,
    /// Every output counts, and not the last alone.
    every: bool,
    /// Gradients too, by weights; by the inputs of all steps.
    train: bool,
    inputs: bool,
}

const NET: Net = Net {
    steps: 9,
    batch: 2,
    inner: 3,
    wide: 4,
    axis: 0,
    gates: false,
    backwards: false,
    every: false,
    train: false,
    inputs: false,
};

impl Net {
    fn build(self) -> Graph {
        let Net { steps, batch, inner, wide, axis, .. } = self;
        let g = Graph::new();
        let mut shape = vec![batch, inner];
        shape.insert(axis, steps);
        let x = g.input("x", F64, shape);
        let x0 = x;
        let of = if self.gates { 4 * wide } else { wide };
        let p = Params::seeded(3).dtype(F64);
        let w = g.param(&p.param("w", [inner, of], Init::normal(0.0, 0.5)));
        let v = g.param(&p.param("v", [wide, of], Init::normal(0.0, 0.5)));
        let b = g.param(&p.param("b", [of], Init::normal(0.0, 0.5)));
        let mut h = g.input("h", F64, [batch, wide]);
        let (mut c, mut ys) = (h, Vec::new());
        for t in 0..steps {
            let t = if self.backwards { steps - 1 - t } else { t };
            let x = x.slice(axis as i64, t..t + 1).squeeze(axis as i64);
            let z = x.matmul(w) + h.matmul(v) + b;
            if self.gates {
                let gate = |n: usize| z.slice(1, n * wide..(n + 1) * wide);
                c = gate(0).sigmoid() * c + gate(1).sigmoid() * gate(2).tanh();
                h = gate(3).sigmoid() * c.tanh();
            } else {
                h = z.tanh();
            }
            ys.push(h);
        }
        if self.backwards {
            ys.reverse();
        }
        let y = if self.every { ys[0].stack(&ys[1..], 0) } else { h };
        let loss = (y * y).mean();
        g.output("loss", loss.id());
        if self.train {
            let by = if self.inputs { vec![w, v, b, x0] } else { vec![w, v, b] };
            for (i, d) in g.grad(loss, &by).into_iter().enumerate() {
                g.output(&format!("d{i}"), d.id());
            }
        }
        g
    }
}

fn nets() -> impl Strategy<Value = Net> {
    let size = (6usize..12, 1usize..3, 1usize..4, 1usize..4, 0usize..2);
    (size, any::<[bool; 5]>()).prop_map(|((steps, batch, inner, wide, axis), of)| {
        let [gates, backwards, every, train, inputs] = of;
        Net { steps, batch, inner, wide, axis, gates, backwards, every, train, inputs }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(net in nets(), key in any::<u64>()) {
        let g = net.build();
        let (new, ledger) = rolled(&g);
        let new = new.expect("it fires");
        let found = shapes(&new);
        prop_assert_eq!(found.len(), 1 + usize::from(net.train), "{}", new);
        prop_assert_eq!(ledger.applications("loop_of_steps"), found.len());
        prop_assert_eq!(found[0].2, net.backwards);
        prop_assert!(found.iter().all(|of| of.0 + 3 >= net.steps), "{:?}", found);
        let kept = keeps(&g, key);
        prop_assert!(kept.is_ok(), "{:?}", kept);
    }
}

#[test]
fn a_loop_carries_its_state_and_its_gradient_goes_back() {
    assert_eq!(shapes(&rolled(&NET.build()).0.unwrap()), [(9, 1, false)]);
    let gates = Net { gates: true, ..NET };
    let new = rolled(&gates.build()).0.unwrap();
    assert_eq!(shapes(&new), [(9, 2, false)]);
    let new = rolled(&Net { train: true, ..NET }.build()).0.unwrap();
    assert_eq!(shapes(&new), [(9, 1, false), (7, 4, true)]);
    // The gradient of what each step has a slice of is put together once.
    let g = Net { train: true, inputs: true, ..NET }.build();
    let pads = |g: &Graph| {
        let live = g.live();
        g.ids().filter(|id| live[id.index()] && matches!(g.op(*id), Op::Pad(_))).count()
    };
    let new = rolled(&g).0.unwrap();
    assert_eq!(shapes(&new), [(9, 1, false), (7, 4, true)]);
    assert_eq!((pads(&g), pads(&new)), (9, 3), "{new}");
}

/// What must stay: the steps of `step`, of which the last is an output.
fn stays(steps: usize, step: impl for<'g> Fn(&'g Graph, usize, Var<'g>, Var<'g>) -> Var<'g>) {
    let g = Graph::new();
    let (mut h, w) = (g.input("h", F32, [2, 4]), g.input("w", F32, [4, 4]));
    for t in 0..steps {
        h = step(&g, t, h, w);
    }
    g.output("h", h.id());
    if let Some(new) = rolled(&g).0 {
        panic!("it fires:\n{g}\n{new}");
    }
}

#[test]
fn what_is_no_loop_stays() {
    // Weights of their own, numbers of their own.
    stays(8, |g, t, h, _| h.matmul(g.input(&format!("w{t}"), F32, [4, 4])).tanh());
    stays(8, |_, t, h, w| h.matmul(w) * (t as f64));
    // Elementwise, and few.
    stays(8, |_, _, h, _| (h * h + 1.0).sin());
    stays(3, |_, _, h, w| h.matmul(w).tanh());
    // Parts that overlap, or do not follow one another.
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [20, 4]), g.input("w", F32, [4, 4]));
    for by in [1, 3] {
        let mut h = x.slice(0, 0..2);
        for t in 0..6 {
            h = (h.matmul(w) + x.slice(0, by * t..by * t + 2)).tanh();
        }
        g.output("h", h.id());
    }
    assert!(rolled(&g).0.is_none());
    // Steps that do not need each other.
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [20, 4]), g.input("w", F32, [4, 4]));
    for t in 0..6 {
        g.output("y", x.slice(0, t..t + 1).matmul(w).tanh().id());
    }
    assert!(rolled(&g).0.is_none());
}

#[test]
fn what_is_asked_of_the_last_step_alone_is_not_stacked_for_all() {
    let g = Graph::new();
    let (mut h, w) = (g.input("h", F64, [2, 4]), g.input("w", F64, [4, 4]));
    let mut z = h;
    for _ in 0..9 {
        z = h.matmul(w) + 1.0;
        h = z.tanh();
    }
    g.output("z", z.id());
    g.output("h", h.id());
    assert_eq!(shapes(&rolled(&g).0.unwrap()), [(8, 1, false)]);
    assert_eq!(keeps(&g, 7), Ok(()));
}

#[test]
fn slices_that_go_both_ways_are_no_loop() {
    let g = Graph::new();
    let [x, z] = ["x", "z"].map(|name| g.input(name, F64, [8, 4]));
    let (mut h, w) = (g.input("h", F64, [1, 4]), g.input("w", F64, [4, 4]));
    for t in 0..8 {
        h = (h.matmul(w) + x.slice(0, t..t + 1) * z.slice(0, 7 - t..8 - t)).tanh();
    }
    g.output("h", h.id());
    assert!(rolled(&g).0.is_none());
    assert_eq!(keeps(&g, 4), Ok(()));
}

/// Parts that steps add up among zeros, and the sum after every step, or after some.
fn added_parts(asked: &[usize]) -> Graph {
    let g = Graph::new();
    let (mut h, w) = (g.input("h", F64, [1, 4]), g.input("w", F64, [4, 4]));
    let mut sum = g.input("sum", F64, [8, 4]);
    for t in 0..8 {
        h = h.matmul(w).tanh();
        sum = sum + h.pad(&[(t, 7 - t), (0, 0)]);
        if asked.contains(&t) {
            g.output(&format!("sum{t}"), sum.id());
        }
    }
    g
}

#[test]
fn parts_are_put_together_unless_a_sum_of_some_of_them_is_asked_for() {
    let whole = added_parts(&[7]);
    assert!(!shapes(&rolled(&whole).0.unwrap()).is_empty());
    assert_eq!(keeps(&whole, 5), Ok(()));
    for asked in [&[3, 7][..], &[0, 1, 2, 3, 4, 5, 6, 7]] {
        let g = added_parts(asked);
        assert!(rolled(&g).0.is_none(), "{asked:?}");
        assert_eq!(keeps(&g, 6), Ok(()));
    }
}

#[test]
fn a_marked_value_or_a_limit_of_memory_leaves_steps_as_they_are() {
    stays(8, |_, _, h, w| h.matmul(w).tanh().checkpoint());
    let mut cx = PassCx::reference(Level::Exact);
    cx.max_peak_bytes = Some(1 << 20);
    assert!(run(&Roll::default(), &NET.build(), &mut cx).0.is_none());
    let small = Roll { max_bytes: 64, ..Roll::default() };
    let every = Net { every: true, ..NET }.build();
    assert!(run(&small, &every, &mut PassCx::reference(Level::Exact)).0.is_none());
}

#[test]
fn a_loop_begins_where_it_needs_one_step_only() {
    // Of what was made two steps before, a part of the step is made one step before.
    let g = Graph::new();
    let (mut a, w) = (g.input("a", F64, [2, 4]), g.input("w", F64, [4, 4]));
    let mut b = g.input("b", F64, [2, 4]);
    for _ in 0..12 {
        (a, b) = (b, a.matmul(w).tanh() + b);
    }
    g.output("b", b.id());
    assert_eq!(shapes(&rolled(&g).0.unwrap()), [(11, 2, false)]);
    assert_eq!(keeps(&g, 2), Ok(()));
    // Steps of two kinds are one step.
    let g = Graph::new();
    let (mut h, w) = (g.input("h", F64, [2, 4]), g.input("w", F64, [4, 4]));
    for t in 0..10 {
        h = if t % 2 == 0 { h.matmul(w).tanh() } else { h.matmul(w.t()).sin().exp() };
    }
    g.output("h", h.id());
    assert_eq!(shapes(&rolled(&g).0.unwrap()), [(5, 1, false)]);
}

#[test]
fn every_step_draws_its_own_numbers() {
    let g = Graph::train();
    let (mut h, w) = (g.input("h", F64, [2, 3]), g.input("w", F64, [3, 3]));
    for _ in 0..7 {
        h = h.dropout(0.5).matmul(w).tanh();
    }
    g.output("h", h.id());
    g.output("dw", g.grad(h.sum_all(), &[w])[0].id());
    let new = rolled(&g).0.unwrap();
    let of = shapes(&new);
    assert_eq!((of[0], of[1].2), ((7, 1, false), true), "{new}");
    for key in 0..10 {
        assert_eq!(keeps(&g, key), Ok(()));
    }
}

#[test]
fn loops_within_steps_and_words_within_words() {
    // Two layers alike in every step: the step is the longer word.
    let g = Graph::new();
    let (mut h, w) = (g.input("h", F64, [2, 3]), g.input("w", F64, [3, 3]));
    let x = g.input("x", F64, [8, 2, 3]);
    for t in 0..8 {
        let mut y = x.slice(0, t..t + 1).squeeze(0) + h;
        for _ in 0..2 {
            y = y.matmul(w).tanh();
        }
        h = g.repeat(3, y, |_, y| y.matmul(w).sin());
    }
    g.output("h", h.id());
    let new = rolled(&g).0.unwrap();
    assert_eq!(shapes(&new), [(8, 1, false)], "{new}");
    assert_eq!(keeps(&g, 5), Ok(()));
}

/// Steps drawn at random: operators of what was there before, of slices, of what two steps before made.
#[derive(Clone, Debug)]
struct Drawn {
    steps: usize,
    program: Vec<(u8, u8, u8)>,
    /// Which values of each step are outputs: none, the last, all.
    outputs: u8,
    train: bool,
}

impl Drawn {
    fn build(&self) -> Graph {
        let g = Graph::new();
        let (x, y) = (g.input("x", F64, [self.steps, 2, 3]), g.input("y", F64, [2, self.steps, 3]));
        let w = g.input("w", F64, [3, 3]);
        let (mut h, mut c) = (g.input("h", F64, [2, 3]), g.input("c", F64, [2, 3]));
        let (mut old, mut all) = (c, Vec::new());
        for t in 0..self.steps {
            let late = self.steps - 1 - t;
            let mut pool = vec![
                h,
                c,
                old,
                x.slice(0, t..t + 1).squeeze(0),
                y.slice(1, late..late + 1).squeeze(1),
                h.matmul(w),
            ];
            // One direction is used, or both: then it is no loop.
            pool.swap_remove(if self.program.len().is_multiple_of(3) { 3 } else { 4 });
            for &(op, a, b) in &self.program {
                let (a, b) = (pool[a as usize % pool.len()], pool[b as usize % pool.len()]);
                pool.push(match op % 8 {
                    0 => a.matmul(w),
                    1 => a.tanh(),
                    2 => a * b,
                    3 => a + b,
                    4 => a - b.mean(),
                    5 => (a * b).sin() + b,
                    6 => (a * 0.5).sigmoid() - w.slice(0, 0..2),
                    _ => b.sum(0).unsqueeze(0) + a,
                });
            }
            old = c;
            (c, h) = (pool[pool.len() - 1].tanh(), pool[pool.len() - 2].sin());
            all.push(pool[pool.len() / 2]);
        }
        let loss = (h * c).sum_all();
        g.output("loss", loss.id());
        let kept = if self.outputs.is_multiple_of(3) { 0 } else { all.len() };
        for (i, value) in all[..kept].iter().enumerate().rev() {
            if self.outputs % 3 == 2 || i + 1 == kept {
                g.output(&format!("v{i}"), value.id());
            }
        }
        if self.train {
            for (i, d) in g.grad(loss, &[w, x, y]).into_iter().enumerate() {
                g.output(&format!("d{i}"), d.id());
            }
        }
        g.check().unwrap();
        g
    }
}

#[test]
fn steps_drawn_at_random_keep_their_values() {
    let (mut fired, cases) = (0, 150);
    for seed in 0..cases {
        let key = Key(seed);
        let at = |stream: u64, i: u64, n: u64| key.fold(stream).below(i, n);
        let program =
            (0..1 + at(0, 0, 6)).map(|i| [0, 1, 2].map(|j| at(1, 3 * i + j, 256) as u8).into());
        let drawn = Drawn {
            steps: 6 + at(0, 1, 4) as usize,
            program: program.collect(),
            outputs: at(0, 2, 3) as u8,
            train: at(0, 3, 2) == 0,
        };
        let g = drawn.build();
        fired += u64::from(rolled(&g).0.is_some());
        // Bit by bit: steps may multiply what is rounded.
        let sample = Sample { inputs: g.inputs(), graph: g };
        let pipeline = Pipeline::new(vec![Arc::new(Roll::default())]);
        if let Err(why) = preserves(&pipeline, &sample, Level::Exact, Key(seed)) {
            panic!("{drawn:?}: {why}");
        }
    }
    assert!(fired > cases / 2, "{fired} of {cases}");
}
