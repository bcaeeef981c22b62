//! Tests of attention: against loops, and what a mask hides.

use crate::Attention;
use crate::prelude::*;

fn random(shape: &[usize], key: u64) -> Tensor {
    Tensor::normal(&Type::new(F64, shape.to_vec()).unwrap(), Key(key), 0.0, 1.0)
}

/// `q`, `k`, `v` as inputs, and values for them.
fn operands<'g>(g: &'g Graph, shapes: [&[usize]; 3]) -> ([Var<'g>; 3], [Tensor; 3]) {
    let vars = [0, 1, 2].map(|i| g.input(["q", "k", "v"][i], F64, shapes[i].to_vec()));
    (vars, [0, 1, 2].map(|i| random(shapes[i], i as u64 + 1)))
}

fn close(got: &Tensor, want: &[f64]) {
    let got = got.to_f64s();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-13 * want.abs().max(1.0), "{got} {want}");
    }
}

/// One head, as the formula says it. `seen(i, j)`: may query `i` see key `j`?
fn loops(
    [q, k, v]: [&[f64]; 3],
    [l, s, e, d]: [usize; 4],
    scale: f64,
    seen: impl Fn(usize, usize) -> bool,
) -> Vec<f64> {
    let mut y = vec![0.0; l * d];
    for i in 0..l {
        let score = |j: usize| scale * (0..e).map(|x| q[i * e + x] * k[j * e + x]).sum::<f64>();
        let keys: Vec<usize> = (0..s).filter(|&j| seen(i, j)).collect();
        let total: f64 = keys.iter().map(|&j| score(j).exp()).sum();
        for &j in &keys {
            for x in 0..d {
                y[i * d + x] += score(j).exp() / total * v[j * d + x];
            }
        }
    }
    y
}

#[test]
fn it_is_the_loop_for_every_head_mask_and_scale() {
    let g = Graph::new();
    let ([q, k, v], at) = operands(&g, [&[2, 3, 4], &[2, 5, 4], &[2, 5, 6]]);
    let flags: Vec<bool> = (0..15).map(|i| i % 3 != 1).collect();
    let mask = g.constant(Tensor::new([3, 5], flags.clone()).unwrap());
    let float = mask.select(0.0, g.full(F64, [3, 5], f64::NEG_INFINITY));
    let at: Vec<&Tensor> = at.iter().collect();
    let plain = Attention::default();
    let half = 0.5;
    for (attention, scale, is_masked, is_causal) in [
        (plain, half, false, false),
        (plain.scale(0.3), 0.3, false, false),
        (plain.causal(), half, false, true),
        (plain.mask(mask), half, true, false),
        (plain.mask(float).causal(), half, true, true),
    ] {
        let y = attention.call(q, k, v).eval(&at).unwrap();
        let mut want = vec![];
        for h in 0..2 {
            let head = |i: usize, n: usize| at[i].to_f64s()[h * n..(h + 1) * n].to_vec();
            let (q, k, v) = (head(0, 12), head(1, 20), head(2, 30));
            let seen =
                |i: usize, j: usize| (!is_masked || flags[i * 5 + j]) && (!is_causal || j <= i);
            want.extend(loops([&q, &k, &v], [3, 5, 4, 6], scale, seen));
        }
        close(&y, &want);
    }
}

#[test]
fn masked_keys_change_nothing_and_have_no_gradient() {
    let g = Graph::new();
    let ([q, k, v], mut at) = operands(&g, [&[3, 4], &[5, 4], &[5, 4]]);
    let mask = g.constant(Tensor::new([5], vec![true, true, false, true, false]).unwrap());
    let y = Attention::default().mask(mask).call(q, k, v);
    let d = g.grad((y * y).sum_all(), &[k, v]);
    let values = |at: &[Tensor; 3]| {
        let at: Vec<&Tensor> = at.iter().collect();
        [y, d[0], d[1]].map(|v| v.eval(&at).unwrap().to_f64s())
    };
    let before = values(&at);
    for i in [1, 2] {
        let mut x = at[i].to_f64s();
        x[8..12].fill(100.0);
        x[16..20].fill(-7.0);
        at[i] = Tensor::new([5, 4], x).unwrap();
    }
    assert_eq!(values(&at), before);
    for d in &before[1..] {
        assert!(d[8..12].iter().chain(&d[16..20]).all(|&d| d == 0.0));
        assert!(d[..8].iter().all(|&d| d != 0.0));
    }
}

#[test]
fn with_causal_attention_what_comes_later_does_not_matter() {
    let g = Graph::new();
    let ([q, k, v], at) = operands(&g, [&[4, 3], &[4, 3], &[4, 3]]);
    let y = Attention::default().causal().call(q, k, v);
    let at: Vec<&Tensor> = at.iter().collect();
    for t in 0..4 {
        let row = y.slice(0, t..t + 1);
        for d in g.grad(row.sum_all(), &[k, v]) {
            let d = d.eval(&at).unwrap().to_f64s();
            assert!(d[(t + 1) * 3..].iter().all(|&d| d == 0.0));
            assert!(t == 0 || d[..3].iter().any(|&d| d != 0.0));
        }
    }
}

#[test]
fn a_row_that_sees_nothing_is_zero_and_so_is_its_gradient() {
    let g = Graph::new();
    let ([q, k, v], at) = operands(&g, [&[2, 4], &[3, 4], &[3, 4]]);
    let sees = g.constant(Tensor::new([2, 1], vec![false, true]).unwrap());
    let float = sees.select(g.full(F64, [2, 3], 0.0), f64::NEG_INFINITY);
    let at: Vec<&Tensor> = at.iter().collect();
    for mask in [sees, float] {
        let y = Attention::default().mask(mask).call(q, k, v);
        assert_eq!(y.eval(&at).unwrap().to_f64s()[..4], [0.0; 4]);
        let d = g.grad((y * y).sum_all(), &[q, k, v]).map_each(&at);
        assert!(d.iter().flatten().all(|d| d.is_finite()));
        assert_eq!(d[0][..4], [0.0; 4]);
    }
}

trait MapEach {
    fn map_each(self, at: &[&Tensor]) -> Vec<Vec<f64>>;
}

impl MapEach for Vec<Var<'_>> {
    fn map_each(self, at: &[&Tensor]) -> Vec<Vec<f64>> {
        self.iter().map(|v| v.eval(at).unwrap().to_f64s()).collect()
    }
}

/// Every head `n` times.
fn repeat(x: Var<'_>, n: usize) -> Var<'_> {
    let shape = x.shape();
    let wide = [shape[0], shape[1], n, shape[2], shape[3]];
    x.unsqueeze(2).broadcast_to(wide).reshape([shape[0], shape[1] * n, shape[2], shape[3]])
}

#[test]
fn grouped_heads_are_repeated_keys() {
    let g = Graph::new();
    let ([q, k, v], at) = operands(&g, [&[2, 6, 3, 4], &[2, 2, 5, 4], &[2, 3, 5, 4]]);
    let at: Vec<&Tensor> = at.iter().collect();
    for attention in [Attention::default(), Attention::default().causal()] {
        let y = attention.grouped().call(q, k, v);
        assert_eq!(y.ok().unwrap().shape(), [2, 6, 3, 4].into());
        let twin = attention.call(q, repeat(k, 3), repeat(v, 2));
        close(&y.eval(&at).unwrap(), &twin.eval(&at).unwrap().to_f64s());
    }
    assert!(Attention::default().call(q, k, v).ok().is_err());
    let five = g.input("five", F64, [2, 4, 5, 4]);
    assert!(Attention::default().grouped().call(q, five, five).ok().is_err());
}

#[test]
fn leading_axes_broadcast_and_large_scores_do_not_overflow() {
    let g = Graph::new();
    let ([q, k, v], at) = operands(&g, [&[3, 4], &[2, 1, 5, 4], &[6, 5, 7]]);
    let y = q.attention(k, v);
    assert_eq!(y.ok().unwrap().shape(), [2, 6, 3, 7].into());
    let at: Vec<&Tensor> = at.iter().collect();
    let large = Attention::default().scale(1e6).call(q, k, v).eval(&at).unwrap();
    assert!(large.to_f64s().iter().all(|v| v.is_finite()));
}

#[test]
fn dropout_is_for_training_only() {
    let weights = |g: &Graph| {
        let x = g.full(F64, [8, 8], 0.0);
        let y = Attention::default().dropout(0.5).call(x, x, g.full(F64, [8, 1], 1.0));
        y.eval(&[]).unwrap().to_f64s()
    };
    assert_eq!(weights(&Graph::eval()), [1.0; 8]);
    let dropped = weights(&Graph::train());
    assert!(dropped.iter().all(|w| (w * 4.0).fract() == 0.0), "{dropped:?}");
    assert!(dropped.iter().any(|&w| w != 1.0));
}

#[test]
fn operands_that_do_not_fit_are_named() {
    let g = Graph::new();
    let x = |name: &str, shape: &[usize]| g.input(name, F32, shape.to_vec());
    let (q, k, v) = (x("q", &[3, 4]), x("k", &[5, 4]), x("v", &[5, 2]));
    let why = |y: Var<'_>| y.ok().unwrap_err().reason.to_string();
    assert_eq!(why(q.attention(v, v)), "widths of queries and keys differ, 4 and 2");
    assert_eq!(why(q.attention(k, q)), "numbers of keys and values differ, 5 and 3");
    assert!(q.attention(x("one", &[4]), v).ok().is_err());
    let mask = Attention::default().mask(g.input("m", BOOL, [3, 4]));
    assert_eq!(why(mask.call(q, k, v)), "shapes [3, 4] and [3, 5] do not broadcast");
    assert!(Attention::default().dropout(2.0).call(q, k, v).ok().is_err());
}
