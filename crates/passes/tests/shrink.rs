//! Neurons that are zero or constant go, with all that only they need: where it is proved, and only there.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_graph::NodeId;
use pleach_ops::prelude::*;
use pleach_ops::{Constant, ConvOptions, Init, Op, Params};
use pleach_passes::testing::{Sample, commutes, preserves, run};
use pleach_passes::{Fold, Level, Pass, PassCx, Pipeline, Shrink, Simplify};
use pleach_tensor::Key;

/// How often terms are zero, terms are constant, slices are filled up; shapes of the products that are left.
/// Values, gradients and price are kept, and nothing fires twice.
fn shrunk(g: Graph) -> ([usize; 3], Vec<Vec<usize>>) {
    let inputs = g.inputs();
    let (sample, pass) = (Sample { graph: g, inputs }, Shrink::default());
    let found = looked(&pass, &sample);
    let pipeline = Pipeline::new(vec![Arc::new(pass)]);
    for level in [Level::Default, Level::Exact] {
        for seed in 0..4 {
            preserves(&pipeline, &sample, level, Key(seed)).unwrap();
            preserves(&Pipeline::default(), &sample, level, Key(seed)).unwrap();
            commutes(&pipeline, &sample, level, Key(seed)).unwrap();
        }
    }
    found
}

fn looked(pass: &dyn Pass, sample: &Sample) -> ([usize; 3], Vec<Vec<usize>>) {
    let g = &sample.graph;
    let (new, ledger) = run(pass, g, &mut PassCx::reference(Level::Default));
    let rules = ["dead_terms", "constant_terms", "constant_slices"];
    let count = rules.map(|rule| ledger.applications(rule));
    assert_eq!(new.is_some(), count != [0; 3]);
    let left = new.as_ref().unwrap_or(g);
    let live = left.live();
    let product = |id: &NodeId| live[id.index()] && matches!(left.op(*id), Op::MatMul(_));
    let shape = |x: NodeId| left.ty(x).shape().to_vec();
    // Rows, terms and columns of each.
    let sizes = left.ids().filter(product).map(|id| {
        let y = shape(id);
        let terms = *shape(left.node(id).inputs[0]).last().unwrap();
        vec![y[y.len() - 2], terms, y[y.len() - 1]]
    });
    (count, sizes.collect())
}

fn param<'g>(g: &'g Graph, params: &Params, name: &str, shape: &[usize]) -> Var<'g> {
    g.param(&params.param(name, shape, Init::normal(0.0, 1.0)))
}

/// A constant of these numbers.
fn known<'g>(g: &'g Graph, shape: &[usize], at: impl Fn(usize) -> f64) -> Var<'g> {
    let value = Tensor::build(&Type::new(F64, shape).unwrap(), at);
    Var::new(g, g.push(Constant::new(value).into(), &[]))
}

/// `w` where the mask is true, else zero: along its columns or its rows.
fn masked<'g>(w: Var<'g>, axis: usize, keep: impl Fn(usize) -> bool) -> Var<'g> {
    let (g, n) = (w.graph(), w.shape()[axis]);
    let mut shape = vec![1; w.shape().rank()];
    shape[axis] = n;
    let value = Tensor::build_i64(&Type::new(BOOL, w.shape()).unwrap(), |i| {
        let inner = w.shape()[axis + 1..].iter().product::<usize>();
        i64::from(keep(i / inner % n))
    });
    let mask = Var::new(g, g.push(Constant::new(value).into(), &[]));
    mask.select(w, 0.0)
}

/// What is proved to be finite: pixels.
fn pixels<'g>(g: &'g Graph, shape: &[usize]) -> Var<'g> {
    g.input("x", U8, shape).cast(F64) / 255.0
}

#[test]
fn pixels_without_a_weight_are_not_multiplied() {
    // Rows of the weight are zero, pixels are finite: the border of an image.
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let w = masked(param(&g, &params, "w", &[12, 7]), 0, |k| (3..9).contains(&k));
    g.output("y", (pixels(&g, &[16, 12]).matmul(w) + 1.0).id());
    assert_eq!(shrunk(g), ([1, 0, 0], vec![vec![16, 6, 7]]));
    // Of what may be infinite, 0·x is not 0.
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let w = masked(param(&g, &params, "w", &[12, 7]), 0, |k| (3..9).contains(&k));
    g.output("y", g.input("x", F64, [16, 12]).matmul(w).id());
    let sample = Sample { inputs: g.inputs(), graph: g };
    assert_eq!(looked(&Shrink::default(), &sample), ([0; 3], vec![vec![16, 12, 7]]));
    // But whoever knows better may say so.
    assert_eq!(looked(&Shrink { finite: true }, &sample), ([1, 0, 0], vec![vec![16, 6, 7]]));
}

#[test]
fn a_mask_that_multiplies_makes_zeros_of_what_is_finite() {
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let mask = known(&g, &[12, 7], |i| if i / 7 < 4 { 0.0 } else { 1.0 });
    let w = param(&g, &params, "w", &[12, 7]);
    g.output("y", pixels(&g, &[16, 12]).matmul(w * mask).id());
    let sample = Sample { inputs: g.inputs(), graph: g };
    assert_eq!(looked(&Shrink::default(), &sample), ([0; 3], vec![vec![16, 12, 7]]));
    assert_eq!(looked(&Shrink { finite: true }, &sample), ([1, 0, 0], vec![vec![16, 8, 7]]));
    // What is made of pixels is finite.
    let g = Graph::eval();
    let mask = known(&g, &[12, 7], |i| if i / 7 < 4 { 0.0 } else { 1.0 });
    let x = pixels(&g, &[16, 12]);
    g.output("y", x.matmul(x.slice(0, 0..7).t().tanh() * mask).id());
    assert_eq!(shrunk(g), ([1, 0, 0], vec![vec![16, 8, 7]]));
}

#[test]
fn a_unit_without_weights_goes_with_its_activation_and_its_outgoing_weights() {
    let activations: [fn(Var<'static>) -> Var<'static>; 4] =
        [|z| z, |z| z.relu(), |z| z.tanh(), |z| z.gelu()];
    for activation in activations {
        let g: &'static Graph = Box::leak(Box::new(Graph::eval()));
        let params = Params::seeded(0).dtype(F64);
        let keep = |j: usize| j != 2 && j != 5;
        let w = masked(param(g, &params, "w", &[12, 8]), 1, keep);
        let b = masked(param(g, &params, "b", &[8]), 0, keep);
        // Outgoing weights are numbers that nothing changes.
        let v = known(g, &[8, 5], |i| (i as f64).sin());
        let h = activation(pixels(g, &[16, 12]).matmul(w) + b);
        g.output("y", h.matmul(v).id());
        let (copy, _) = g.rebuild(|_, _, _, _| pleach_graph::Rewrite::Keep);
        assert_eq!(shrunk(copy), ([1, 0, 0], vec![vec![16, 12, 6], vec![16, 6, 5]]));
    }
}

#[test]
fn a_unit_that_nobody_reads_goes() {
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let w = known(&g, &[12, 8], |i| (i as f64).cos());
    let v = masked(param(&g, &params, "v", &[8, 5]), 0, |k| k < 6);
    let h = (pixels(&g, &[16, 12]).matmul(w) + 0.5).relu();
    g.output("y", h.matmul(v).id());
    assert_eq!(shrunk(g), ([1, 0, 0], vec![vec![16, 12, 6], vec![16, 6, 5]]));
    // One user needs it: it stays there, and is computed for it alone.
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let w = known(&g, &[12, 8], |i| (i as f64).cos());
    let v = masked(param(&g, &params, "v", &[8, 5]), 0, |k| k < 6);
    let h = (pixels(&g, &[16, 12]).matmul(w) + 0.5).relu();
    g.output("y", h.matmul(v).id());
    g.output("h", h.sum(0).id());
    assert!(
        looked(&Shrink::default(), &Sample { inputs: g.inputs(), graph: g }).1[0] == [16, 12, 8]
    );
}

#[test]
fn a_constant_unit_goes_into_the_bias_that_follows() {
    let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
    let w = masked(param(&g, &params, "w", &[12, 8]), 1, |j| j != 3);
    let b = masked(param(&g, &params, "b", &[8]), 0, |j| j != 3) + known(&g, &[8], |j| j as f64);
    let h = (pixels(&g, &[64, 12]).matmul(w) + b).sigmoid();
    let y = h.matmul(param(&g, &params, "v", &[8, 5])) + param(&g, &params, "c", &[5]);
    g.output("y", y.id());
    // The second product is that of the constants: one row.
    let (count, products) = shrunk(g);
    assert_eq!(count, [0, 1, 0]);
    assert_eq!(products, [[64, 12, 7], [64, 7, 5], [1, 1, 5]]);
}

#[test]
fn dead_channels_of_a_convolution_go_and_constant_ones_stay_where_zeros_are_around_them() {
    let of = |shift: f64, padding: usize| {
        let (g, params) = (Graph::eval(), Params::seeded(0).dtype(F64));
        let w = masked(param(&g, &params, "w", &[6, 2, 3, 3]), 0, |o| o % 3 != 0);
        let b = masked(param(&g, &params, "b", &[6]), 0, |o| o % 3 != 0);
        let options = ConvOptions::default();
        let h = pixels(&g, &[16, 2, 12, 12]).conv(w, Some(b), &options.clone().padding(1)).relu();
        let v = known(&g, &[4, 6, 3, 3], |i| (i as f64).sin());
        let y = (h + shift).conv(v, None, &options.padding(padding));
        g.output("y", y.id());
        shrunk(g)
    };
    let rows_by_terms = |products: &[Vec<usize>]| -> Vec<[usize; 2]> {
        products.iter().map(|p| [p[0], p[1]]).collect()
    };
    let (count, products) = of(0.0, 1);
    assert_eq!(count, [1, 0, 0]);
    assert_eq!(rows_by_terms(&products), [[4, 18], [4, 36]]);
    // There are zeros around ones: the channel is not computed, but read.
    let (count, products) = of(1.0, 1);
    assert_eq!(count, [0, 0, 1]);
    assert_eq!(rows_by_terms(&products), [[4, 18], [4, 54]]);
    let (count, products) = of(1.0, 0);
    assert_eq!(count, [0, 1, 0]);
    assert_eq!(rows_by_terms(&products), [[4, 18], [4, 36], [4, 18]]);
}

#[test]
fn a_training_step_with_masks_shrinks_as_a_whole() {
    let (g, params) = (Graph::train(), Params::seeded(0).dtype(F64));
    let keep = |j: usize| j.is_multiple_of(2);
    let [w, v] = [param(&g, &params, "w", &[12, 8]), param(&g, &params, "v", &[8, 5])];
    let (mw, mv) = (masked(w, 1, keep), masked(v, 0, keep));
    let h = pixels(&g, &[64, 12]).matmul(mw).relu();
    let y = h.matmul(mv);
    let loss = (y * y).mean();
    let grads = g.grad(loss, &[w, v]);
    g.output("loss", loss.id());
    for (x, d) in [w, v].into_iter().zip(&grads) {
        g.assign("w", x.id(), (x - *d * 0.1).id());
    }
    let inputs = g.inputs();
    let simpler = Pipeline::new(vec![Arc::new(Simplify::default()), Arc::new(Fold)]);
    let (g, _, _) = simpler.optimize(&g, &mut PassCx::reference(Level::Default)).unwrap();
    let (_, products) = looked(&Shrink::default(), &Sample { graph: g, inputs });
    let work = |p: &[usize]| p.iter().product::<usize>();
    let all: usize = products.iter().map(|p| work(p)).sum();
    // Forward, and the gradients of both weights and of the units: half of each.
    assert!(all <= (2 * 64 * 12 * 8 + 3 * 64 * 8 * 5) / 2, "{products:?}");
}

/// Two or three layers with random masks along any axis, activations and shifts, some of them read elsewhere.
#[test]
fn random_networks_keep_values_gradients_and_price() {
    let pass: Arc<dyn Pass> = Arc::new(Shrink::default());
    let (alone, whole) = (Pipeline::new(vec![pass.clone()]), Pipeline::default());
    let mut fired = [0; 3];
    for seed in 0..60 {
        let at = |i: u64, n: u64| Key(seed).below(i, n);
        let (g, params) = (Graph::new(), Params::seeded(seed).dtype(F64));
        let (batch, mut width) = (9 + at(0, 8) as usize, 3 + at(1, 5) as usize);
        let mut h = if at(2, 4) > 0 {
            pixels(&g, &[batch, width])
        } else {
            g.input("x", F64, [batch, width])
        };
        let mut sources = vec![];
        for layer in 0..2 + at(3, 2) {
            let draw = |i: u64, n: u64| at(100 * (layer + 1) + i, n);
            let next = 2 + draw(0, 6) as usize;
            let (w, b) = (
                param(&g, &params, &format!("w{layer}"), &[width, next]),
                param(&g, &params, &format!("b{layer}"), &[next]),
            );
            sources.extend([w, b]);
            let known_weight = known(&g, &[width, next], |i| (i as f64 + seed as f64).sin());
            let weight = if draw(1, 3) == 0 { known_weight } else { w };
            let columns = |j: usize| draw(10 + j as u64, 2) > 0;
            let rows = |k: usize| draw(30 + k as u64, 3) > 0;
            let weight = if draw(2, 3) > 0 { masked(weight, 1, columns) } else { weight };
            let weight = if draw(3, 3) == 0 { masked(weight, 0, rows) } else { weight };
            let z = h.matmul(weight) + masked(b, 0, columns);
            let z = if draw(4, 3) == 0 { z + 0.5 } else { z };
            h = match draw(5, 5) {
                0 => z,
                1 => z.relu(),
                2 => z.tanh(),
                3 => z.sigmoid(),
                _ => z.t().tanh().t(),
            };
            if draw(6, 4) == 0 {
                g.output(&format!("h{layer}"), h.id());
            }
            width = next;
        }
        g.output("y", h.id());
        if at(4, 2) == 0 {
            let loss = (h * h).sum(All);
            for (i, d) in g.grad(loss, &sources).iter().enumerate() {
                g.output(&format!("d{i}"), d.id());
                g.assign(&format!("w{i}"), sources[i].id(), (sources[i] - *d * 0.1).id());
            }
        }
        let sample = Sample { inputs: g.inputs(), graph: g };
        let (count, _) = looked(&*pass, &sample);
        fired.iter_mut().zip(count).for_each(|(all, n)| *all += n);
        for pipeline in [&alone, &whole] {
            preserves(pipeline, &sample, Level::Default, Key(seed)).unwrap();
            preserves(pipeline, &sample, Level::Exact, Key(seed)).unwrap();
        }
        commutes(&alone, &sample, Level::Default, Key(seed)).unwrap();
    }
    assert!(fired.iter().all(|&n| n > 5), "{fired:?}");
}
