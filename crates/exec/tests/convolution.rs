//! Convolution by kernels equals its definition, and its transpose is its adjoint.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_exec::{Options, Plan, State};
use pleach_ops::prelude::*;
use pleach_ops::{ConvOptions, PerAxis};
use pleach_tensor::compare::unravel;
use proptest::prelude::*;

/// One spatial axis: length, window, stride, padding, dilation.
type Along = (usize, usize, usize, usize, usize);

#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    groups: usize,
    /// Channels of a group.
    inputs: usize,
    outputs: usize,
    along: Vec<Along>,
    seed: u64,
}

impl Case {
    fn each(&self, f: impl Fn(&Along) -> usize) -> Vec<usize> {
        self.along.iter().map(f).collect()
    }

    fn x_shape(&self) -> Vec<usize> {
        [&[self.batch, self.groups * self.inputs][..], &self.each(|a| a.0)].concat()
    }

    fn w_shape(&self) -> Vec<usize> {
        [&[self.groups * self.outputs, self.inputs][..], &self.each(|a| a.1)].concat()
    }

    fn options(&self) -> ConvOptions {
        let each = |f: fn(&Along) -> usize| PerAxis::from(self.each(f));
        ConvOptions::default()
            .stride(each(|a| a.2))
            .padding(self.each(|a| a.3))
            .dilation(each(|a| a.4))
            .groups(self.groups)
    }

    /// The lengths of the result, if a window fits everywhere.
    fn counts(&self) -> Option<Vec<usize>> {
        let count = |&(len, size, stride, padding, dilation): &Along| {
            Some((len + 2 * padding).checked_sub(dilation * (size - 1) + 1)? / stride + 1)
        };
        self.along.iter().map(count).collect()
    }

    /// The definition, term by term.
    fn naive(&self, x: &Tensor, w: &Tensor, y: &[usize]) -> Vec<f64> {
        let (x64, w64) = (x.to_f64s(), w.to_f64s());
        let flat =
            |at: &[usize], shape: &[usize]| at.iter().zip(shape).fold(0, |f, (i, n)| f * n + i);
        let (x_shape, w_shape) = (self.x_shape(), self.w_shape());
        let term = |at: &[usize], place: &[usize]| {
            // `place` is a channel of the group and a place in the window.
            let group = at[1] / self.outputs;
            let mut from = vec![at[0], group * self.inputs + place[0]];
            for (i, &(len, _, stride, padding, dilation)) in self.along.iter().enumerate() {
                let shifted = at[2 + i] * stride + place[1 + i] * dilation;
                from.push(shifted.checked_sub(padding).filter(|&p| p < len)?);
            }
            let own = [&[at[1]], place].concat();
            Some(x64[flat(&from, &x_shape)] * w64[flat(&own, &w_shape)])
        };
        let places = &w_shape[1..];
        let sum = |i: usize| {
            let at = unravel(i, y);
            (0..places.iter().product()).filter_map(|j| term(&at, &unravel(j, places))).sum()
        };
        (0..y.iter().product()).map(sum).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let along = (1usize..7, 1usize..4, 1usize..4, 0usize..3, 1usize..3);
    // So many images lie side by side.
    let batch = prop_oneof![4 => 0usize..3, 1 => Just(16usize)];
    let channels = (batch, 1usize..4, 1usize..3, 1usize..3);
    (channels, prop::collection::vec(along, 1..=3), any::<u64>()).prop_map(
        |((batch, groups, inputs, outputs), along, seed)| Case {
            batch,
            groups,
            inputs,
            outputs,
            along,
            seed,
        },
    )
}

/// The values by kernels alone, with one thread and with three.
fn run(g: &Graph, wanted: &[Var<'_>], feeds: &[Tensor]) -> Vec<Vec<f64>> {
    for (i, y) in wanted.iter().enumerate() {
        g.output(&format!("y{i}"), y.id());
    }
    let run = |threads| {
        let mut plan = Plan::compile(g, &g.inputs(), Options { threads, fallback: false }).unwrap();
        let outputs = plan.run(&mut State::new(&Params::seeded(0)), feeds).unwrap();
        outputs.tensors().into_iter().map(|(_, t)| t.to_f64s()).collect::<Vec<_>>()
    };
    let values = run(1);
    assert_eq!(values, run(3));
    values
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + scale)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn convolution_is_its_definition_and_the_transpose_its_adjoint(case in cases()) {
        let g = Graph::new();
        let (x, w) = (g.input("x", F64, case.x_shape()), g.input("w", F64, case.w_shape()));
        let y = x.conv(w, None, &case.options());
        let Some(counts) = case.counts() else {
            prop_assert!(y.ok().is_err());
            return Ok(());
        };
        let shape = [&[case.batch, case.groups * case.outputs], &counts[..]].concat();
        prop_assert_eq!(&y.ok().unwrap().shape()[..], &shape[..]);
        let dy = g.input("dy", F64, shape.clone());
        // What the windows leave over at the end is what a transpose has to be told.
        let over = |(i, a): (usize, &Along)| {
            let (len, size, stride, padding, dilation) = *a;
            (len + 2 * padding) - ((counts[i] - 1) * stride + dilation * (size - 1) + 1)
        };
        let over: Vec<usize> = case.along.iter().enumerate().map(over).collect();
        // Transposed weights have their channels the other way round, group by group: as they are.
        let options = case.options().output_padding(over);
        let back = dy.conv_transpose(w, None, &options);
        prop_assert_eq!(&back.ok().unwrap().shape()[..], &case.x_shape()[..]);
        let grads = g.grad(y * dy, &[x, w]);

        let draw = |shape: &[usize], salt| {
            Tensor::normal(&Type::new(F64, shape).unwrap(), Key(case.seed).fold(salt), 0.0, 1.0)
        };
        let feeds =
            [draw(&case.x_shape(), 0), draw(&case.w_shape(), 1), draw(&shape, 2)];
        let got = run(&g, &[y, back, grads[0], grads[1]], &feeds);
        let want = case.naive(&feeds[0], &feeds[1], &shape);
        for (got, want) in got[0].iter().zip(&want) {
            prop_assert!(close(*got, *want, want.abs()), "{} {}", got, want);
        }
        let dy = feeds[2].to_f64s();
        let (forward, backward) = (dot(&want, &dy), dot(&feeds[0].to_f64s(), &got[1]));
        let scale = want.iter().zip(&dy).map(|(a, b)| (a * b).abs()).sum();
        prop_assert!(close(forward, backward, scale), "{} {}", forward, backward);
        for (a, b) in got[1].iter().zip(&got[2]) {
            prop_assert!(close(*a, *b, a.abs()), "{} {}", a, b);
        }
        // The product is linear in the weight too.
        prop_assert!(close(forward, dot(&feeds[1].to_f64s(), &got[3]), scale));
    }
}

/// The windows of an image, nine times as large, are read where they lie, forward and backward; what
/// else reads them gets a copy.
#[test]
fn windows_take_no_memory() {
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [2, 8, 34, 34]), g.input("w", F32, [8, 8, 3, 3]));
    let y = x.conv(w, None, &ConvOptions::default());
    let grads = g.grad((y * y).sum(All), &[w]);
    g.output("dw", grads[0].id());
    let windows = 4 * 2 * 8 * 9 * 32 * 32;
    let compile =
        |g: &Graph| Plan::compile(g, &g.inputs(), Options { threads: 1, fallback: false }).unwrap();
    let used = compile(&g).report().arena_bytes;
    assert!(used < windows, "{used} bytes");
    let patches = x.windows(&[pleach_ops::Window::new(2, 3), pleach_ops::Window::new(3, 3)]);
    let flat = patches.permute(&[1, 4, 5, 0, 2, 3]).reshape([72, 2048]);
    g.output("z", (w.reshape([8, 72]).matmul(flat) + flat.sum(All)).id());
    g.output("flat", flat.id());
    assert!(compile(&g).report().arena_bytes >= windows);
}
