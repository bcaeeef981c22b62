//! Models: a loss of parameters, recorded in f32 as users write it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod plants;

use pleach_check::{CheckError, GradCheck, model};
use pleach_ops::prelude::*;

use plants::{Planted, Table};

fn uniform(shape: &[usize], seed: u64) -> Tensor {
    Tensor::uniform(&Type::new(F32, shape).unwrap(), Key(seed), -1.0, 1.0)
}

fn ints<const N: usize>(values: [i64; N]) -> Tensor {
    Tensor::new([N], values.to_vec()).unwrap()
}

struct Linear {
    w: Param,
    b: Param,
}

impl Linear {
    fn new(p: &Params, inputs: usize, outputs: usize) -> Linear {
        let w = p.param("w", [inputs, outputs], Init::normal(0.0, 0.4));
        Linear { w, b: p.param("b", [outputs], Init::zeros()) }
    }

    fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        let g = x.graph();
        x.matmul(g.param(&self.w)) + g.param(&self.b)
    }
}

fn two_layers(inputs: usize, hidden: usize, outputs: usize) -> [Linear; 2] {
    let p = Params::seeded(3);
    [Linear::new(&p.scope("hidden"), inputs, hidden), Linear::new(&p.scope("out"), hidden, outputs)]
}

#[test]
fn two_layers_with_dropout_are_right_for_the_mask_of_the_run() {
    let [hidden, out] = two_layers(4, 6, 3);
    let feeds = [uniform(&[5, 4], 1), ints([0, 1, 2, 1, 0])];
    let report = model(&feeds, |g| {
        let (x, y) = (g.input("x", F32, [5, 4]), g.input("y", I64, [5]));
        out.call(hidden.call(x).gelu().dropout(0.3)).cross_entropy(y)
    });
    assert!(report.unwrap().compared > 100);
}

#[test]
fn a_large_model_is_checked_along_directions_and_by_its_inputs() {
    let [hidden, out] = two_layers(30, 20, 10);
    let feeds = [uniform(&[8, 30], 1), ints([0, 1, 2, 1, 0, 9, 8, 7])];
    let with_inputs = GradCheck { inputs: true, ..GradCheck::default() };
    let report = with_inputs.model(&feeds, |g| {
        let (x, y) = (g.input("x", F32, [8, 30]), g.input("y", I64, [8]));
        out.call(hidden.call(x).relu()).cross_entropy(y)
    });
    assert!(report.unwrap().compared < 100_000);
}

#[test]
fn a_parameter_used_three_times_is_right() {
    let w = Params::seeded(1).param("w", [3, 3], Init::normal(0.0, 0.5));
    model(&[uniform(&[2, 3], 1)], |g| {
        let x = g.input("x", F32, [2, 3]);
        let once = x.matmul(g.param(&w)).gelu();
        let twice = once.matmul(g.param(&w)).gelu();
        (twice.matmul(g.param(&w).t()) * twice).mean()
    })
    .unwrap();
}

#[test]
fn an_embedding_by_gather_is_right_for_words_that_repeat() {
    let p = Params::seeded(1);
    let table = p.param("table", [5, 3], Init::normal(0.0, 1.0));
    let out = p.param("out", [3], Init::normal(0.0, 1.0));
    model(&[ints([4, 0, 4, 2])], |g| {
        let words = g.input("words", I64, [4]).reshape([4, 1]).broadcast_to([4, 3]);
        (g.param(&table).gather(0, words) * g.param(&out)).softmax(1).ln().var(All, 0.0)
    })
    .unwrap();
}

/// Biases that begin at zero put a relu at its kink for inputs of zero.
#[test]
fn perturbed_parameters_leave_the_kink_that_they_begin_at() {
    let b = Params::seeded(1).param("b", [3], Init::zeros());
    let check = |perturb| {
        let config = GradCheck { perturb, ..GradCheck::default() };
        config.model(&[], |g| (g.param(&b).relu() * 3.0).sum_all())
    };
    check(0.05).unwrap();
    assert!(matches!(check(0.0), Err(CheckError::Kink(_))));
}

#[test]
fn a_wrong_operator_is_located_by_parameter_layer_and_line() {
    let [hidden, out] = two_layers(3, 4, 2);
    let tanh = || Planted::<1>::op("tanh 1 - y for 1 - y²", true);
    let error = model(&[uniform(&[2, 3], 1), ints([0, 1])], |g| {
        let (x, y) = (g.input("x", F32, [2, 3]), g.input("y", I64, [2]));
        let h = hidden.call(x);
        let h = {
            let _layer = g.at_layer("hidden");
            h.record(tanh(), &[h])
        };
        out.call(h).cross_entropy(y)
    });
    let Err(CheckError::Wrong(wrong)) = error else { panic!("{error:?}") };
    // The layer behind it is right; the one before it gets a wrong gradient.
    assert!(wrong.by.name.starts_with("parameter \"hidden."), "{wrong}");
    assert_eq!(wrong.by.element.as_ref().unwrap().len(), wrong.by.ty.rank());
    let culprit = wrong.culprit.as_ref().unwrap();
    assert!(culprit.op.starts_with("planted1"), "{wrong}");
    let site = culprit.site.as_ref().unwrap();
    assert_eq!((site.scope(), site.file()), (Some("hidden"), file!()));
}

#[test]
fn a_wrong_operator_in_a_large_model_is_located_too() {
    let [hidden, out] = two_layers(30, 20, 10);
    let tanh = || Planted::<1>::op("tanh 1 - y for 1 - y²", true);
    let error = model(&[uniform(&[8, 30], 1), ints([0; 8])], |g| {
        let (x, y) = (g.input("x", F32, [8, 30]), g.input("y", I64, [8]));
        let h = hidden.call(x);
        out.call(h.record(tanh(), &[h])).cross_entropy(y)
    });
    let Err(CheckError::Wrong(wrong)) = error else { panic!("{error:?}") };
    assert!(wrong.by.name.starts_with("parameter \"hidden."), "{wrong}");
    assert!(wrong.culprit.unwrap().op.starts_with("planted1"));
}

#[test]
fn an_error_of_the_second_order_is_located() {
    let w = Params::seeded(1).param("w", [3], Init::normal(0.0, 0.5));
    let op = || Planted::<1>::op("exp right to first order, half detached", true);
    let error = model(&[], |g| {
        let w = g.param(&w);
        (w.record(op(), &[w]) * w).sum_all()
    });
    let Err(CheckError::Wrong(wrong)) = error else { panic!("{error:?}") };
    assert_eq!(wrong.order, 2);
    assert!(wrong.culprit.unwrap().op.starts_with("planted1"));
}

/// The loss depends on it through `argmax` alone: its slope is zero, yet it will never train.
#[test]
fn a_parameter_that_no_gradient_reaches_is_an_error_unless_skipped() {
    let p = Params::seeded(1);
    let (w, frozen) = (p.param("w", [3], Init::ones()), p.param("frozen.w", [3], Init::ones()));
    let check = |config: &GradCheck| {
        config.model(&[], |g| {
            let chosen = g.param(&frozen).argmax(0).cast(F32);
            (g.param(&w) * chosen).exp().sum_all()
        })
    };
    let error = check(&GradCheck::default()).unwrap_err();
    let CheckError::Missing(missing) = error else { panic!("{error}") };
    assert_eq!(missing.by.name, "parameter \"frozen.w\"");
    assert!(missing.cut.unwrap().op.starts_with("argmax"));
    let config = GradCheck { skip: vec!["frozen.*".into()], ..GradCheck::default() };
    check(&config).unwrap();
}

#[test]
fn a_feed_that_lacks_or_has_a_wrong_type_is_an_error() {
    let w = Params::seeded(1).param("w", [3], Init::ones());
    let loss =
        |feeds: &[Tensor]| model(feeds, |g| (g.input("x", F32, [3]) * g.param(&w)).exp().sum_all());
    loss(&[uniform(&[3], 1).cast(F64)]).unwrap();
    let error = loss(&[]).unwrap_err().to_string();
    assert_eq!(error, "the model: the value could not be computed: no value was given for x");
    let error = loss(&[uniform(&[4], 1)]).unwrap_err().to_string();
    let want = "the model: the value could not be computed: \
                x has type f64[3], the value given f64[4]";
    assert_eq!(error, want);
}

#[test]
fn a_model_in_eval_mode_drops_nothing() {
    let w = Params::seeded(1).param("w", [3], Init::ones());
    let config = GradCheck { train: false, ..GradCheck::default() };
    config
        .model(&[], |g| {
            let y = g.param(&w).dropout(1.0);
            assert!(!g.is_training());
            (y * y).sum_all()
        })
        .unwrap();
}
