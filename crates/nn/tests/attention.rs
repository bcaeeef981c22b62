//! Attention as layers: against loops and hand-written layers, and what masks hide.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use pleach_nn::*;
use pleach_ops::prelude::*;

fn random(shape: &[usize], key: u64) -> Tensor {
    Tensor::normal(&Type::new(F64, shape.to_vec()).unwrap(), Key(key), 0.0, 1.0)
}

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} {want}");
    }
}

/// `x · w + b` for `[rows, inputs]`, columns `from..from + n` only.
fn linear(x: &[f64], layer: &Linear, from: usize, n: usize) -> Vec<f64> {
    let shape = layer.w.ty().shape().clone();
    let (inputs, outputs) = (shape[0], shape[1]);
    let w = layer.w.initial().to_f64s();
    let b = layer.b.as_ref().unwrap().initial().to_f64s();
    let row =
        |x: &[f64], j: usize| b[j] + (0..inputs).map(|i| x[i] * w[i * outputs + j]).sum::<f64>();
    x.chunks(inputs)
        .flat_map(|x| (from..from + n).map(move |j| (x, j)))
        .map(|(x, j)| row(x, j))
        .collect()
}

#[test]
fn many_heads_are_the_loop_over_them_in_self_and_cross_attention() {
    let p = Params::seeded(1).dtype(F64);
    let (width, heads, l, s) = (6, 3, 4, 5);
    let layer = MultiHeadAttention::new(&p.scope("a"), width, heads);
    let (x, m) = (random(&[l, width], 1), random(&[s, width], 2));
    let g = Graph::eval();
    let (xv, mv) = (g.input("x", F64, [l, width]), g.input("m", F64, [s, width]));
    let (cross, weights) = layer.attend_with_weights(xv, mv, mv, Masks::default());
    let Projection::Packed(map) = &layer.project else { panic!("packed") };
    let loops = |x: &[f64], m: &[f64]| {
        let q = linear(x, map, 0, width);
        let (k, v) = (linear(m, map, width, width), linear(m, map, 2 * width, width));
        let (l, s, d) = (x.len() / width, m.len() / width, width / heads);
        let mut y = vec![0.0; l * width];
        for h in 0..heads {
            for i in 0..l {
                let score = |j: usize| {
                    let dot = |c: usize| q[i * width + h * d + c] * k[j * width + h * d + c];
                    ((0..d).map(dot).sum::<f64>() / (d as f64).sqrt()).exp()
                };
                let total: f64 = (0..s).map(score).sum();
                for j in 0..s {
                    for c in 0..d {
                        y[i * width + h * d + c] += score(j) / total * v[j * width + h * d + c];
                    }
                }
            }
        }
        linear(&y, &layer.out, 0, width)
    };
    let at = [&x, &m];
    close(&cross.eval(&at).unwrap().to_f64s(), &loops(&x.to_f64s(), &m.to_f64s()));
    let own = layer.call(xv).eval(&at).unwrap().to_f64s();
    close(&own, &loops(&x.to_f64s(), &x.to_f64s()));
    assert_eq!(weights.shape(), [heads, l, s].into());
    let sums = weights.mean_over(-3).sum(-1).eval(&at).unwrap().to_f64s();
    close(&sums, &[1.0; 4]);
}

#[test]
fn parameters_are_counted_and_begin_as_pytorchs() {
    let p = Params::seeded(1);
    let layer = MultiHeadAttention::new(&p.scope("a"), 32, 4);
    assert_eq!(p.count(), 4 * 32 * 32 + 4 * 32);
    let Projection::Packed(map) = &layer.project else { panic!("packed") };
    let largest = |w: &Param| w.initial().to_f64s().iter().fold(0f64, |m, v| m.max(v.abs()));
    assert!((0.21..=0.216_506_36).contains(&largest(&map.w))); // √(6 / 128)
    assert!((0.17..=0.176_776_71).contains(&largest(&layer.out.w))); // 1 / √32
    assert_eq!(
        (largest(map.b.as_ref().unwrap()), largest(layer.out.b.as_ref().unwrap())),
        (0.0, 0.0)
    );
    let names: Vec<String> = p.variables().iter().map(|v| v.name().into()).collect();
    assert_eq!(names, ["a.in_proj.w", "a.in_proj.b", "a.out_proj.w", "a.out_proj.b"]);

    let p = Params::seeded(1);
    let other = MultiHeadAttention::separate(&p, 8, 2, 3, 5);
    assert_eq!(p.count(), (8 + 3 + 5) * 8 + 3 * 8 + 8 * 8 + 8);
    let g = Graph::eval();
    let x = |name: &str, shape: [usize; 3]| g.input(name, F32, shape);
    let (q, k, v) = (x("q", [2, 4, 8]), x("k", [2, 6, 3]), x("v", [2, 6, 5]));
    assert_eq!(other.attend(q, k, v, Masks::default()).ok().unwrap().shape(), [2, 4, 8].into());

    let p = Params::seeded(1);
    let (w, h) = (16, 24);
    let _ = TransformerEncoder::new(&p, 2, Transformer::new(w, 4, h).norm_first());
    assert_eq!(p.count(), 2 * (4 * w * w + 2 * w * h + 9 * w + h) + 2 * w);
    assert!(p.variables().iter().any(|v| v.name() == "layers.1.self_attn.in_proj.w"));
}

#[test]
fn padding_and_later_positions_change_nothing_and_have_no_gradient() {
    let p = Params::seeded(1).dtype(F64);
    let options = Transformer::new(8, 2, 12).norm_first().activation(|x| x.gelu());
    let net = TransformerEncoder::new(&p, 2, options);
    let g = Graph::eval();
    let x = g.input("x", F64, [2, 4, 8]);
    let there = [true, true, false, true, true, true, true, false];
    let there = g.constant(Tensor::new([2, 4], there.to_vec()).unwrap());
    // What positions that are there say, and what position 1 says if it sees no later one.
    let said = there.unsqueeze(-1).select(net.masked(x, Masks::default().keys(there)), 0.0);
    let causal = net.masked(x, Masks::default().causal()).slice(1, 0..2);
    let at = random(&[2, 4, 8], 3);
    for (y, hidden) in [(said, vec![2, 7]), (causal, vec![2, 3, 6, 7])] {
        let d = g.grad((y * y).sum_all(), &[x])[0];
        let before = y.eval(&[&at]).unwrap();
        let d = d.eval(&[&at]).unwrap().to_f64s();
        let mut other = at.to_f64s();
        for row in 0..8 {
            let is_hidden = hidden.contains(&row);
            let slopes = &d[row * 8..(row + 1) * 8];
            assert_eq!(slopes.iter().all(|&d| d == 0.0), is_hidden, "{row}: {slopes:?}");
            if is_hidden {
                other[row * 8..(row + 1) * 8].iter_mut().for_each(|v| *v = 9.0 - *v);
            }
        }
        let other = Tensor::new([2, 4, 8], other).unwrap();
        assert_eq!(y.eval(&[&other]).unwrap(), before);
    }
    // A mask of keys and one of scores, as booleans and as floats, are both together.
    let seen = g.iota(I64, [4, 4], 1).less_equal(g.iota(I64, [4, 4], 0));
    let float = seen.select(g.full(F64, [4, 4], 0.0), f64::NEG_INFINITY);
    let layer = &net.layers[0].self_attn;
    let masks = Masks::default().keys(there);
    let value = |masks| layer.attend(x, x, x, masks).eval(&[&at]).unwrap();
    let want = value(masks.causal());
    assert_eq!(value(masks.scores(seen)), want);
    assert_eq!(value(masks.scores(float)), want);
}

#[test]
fn a_layer_is_what_its_formula_says_normalized_before_or_after() {
    let p = Params::seeded(1).dtype(F64);
    let g = Graph::eval();
    let x = g.input("x", F64, [3, 6]);
    let at = random(&[3, 6], 4);
    for options in [Transformer::new(6, 3, 10), Transformer::new(6, 3, 10).norm_first()] {
        let layer = TransformerEncoderLayer::new(&p.scope("layer"), options);
        let norm = |n: &LayerNorm, x: Var<'_>| n.call(x).eval(&[&at]).unwrap();
        let attended = |x| layer.self_attn.call(x);
        let fed = |x| layer.linear2.call(layer.linear1.call(x).relu());
        let want = if options.norm_first {
            let h = x + attended(layer.norm1.call(x));
            (h + fed(layer.norm2.call(h))).eval(&[&at]).unwrap()
        } else {
            let h = layer.norm1.call(x + attended(x));
            norm(&layer.norm2, h + fed(h))
        };
        close(&layer.call(x).eval(&[&at]).unwrap().to_f64s(), &want.to_f64s());
    }
    let p = Params::seeded(1);
    let net = TransformerEncoder::new(&p, 1, Transformer::new(6, 3, 10));
    let g = Graph::train();
    let x = g.full(F32, [3, 6], 1.0);
    assert_ne!(net.call(x).id(), net.call(x).id()); // each call drops anew
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let p = Params::seeded(1);
    let g = Graph::eval();
    let x = g.input("x", F32, [2, 5, 8]);
    let why = |y: Var<'_>| y.ok().unwrap_err().to_string();
    let odd = MultiHeadAttention::new(&p.scope("odd"), 8, 3);
    assert!(why(odd.call(x)).starts_with("odd: multi_head_attention("));
    assert!(why(odd.call(x)).contains("width 8 is no multiple of 3 heads"));
    let even = MultiHeadAttention::new(&p.scope("even"), 8, 2);
    assert!(even.call(g.input("v", F32, [8])).ok().is_err());
    assert!(even.call(g.input("w", F32, [5, 4])).ok().is_err());
    let keys = g.input("m", BOOL, [2, 4]);
    assert!(even.attend(x, x, x, Masks::default().keys(keys)).ok().is_err());
}
