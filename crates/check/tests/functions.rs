//! Functions of tensors: composites of the library, and what a check answers when it cannot.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod plants;

use pleach_check::{CheckError, GradCheck, function, functions};
use pleach_ops::{Custom, EvalError, Grad, prelude::*};

use plants::{Planted, Table};

fn uniform(shape: &[usize], seed: u64) -> Tensor {
    Tensor::uniform(&Type::new(F32, shape).unwrap(), Key(seed), -2.0, 2.0)
}

#[test]
fn softmax_cross_entropy_is_right_with_integer_labels_held_fixed() {
    let labels = Tensor::new([3], vec![1i64, 0, 3]).unwrap();
    let x = [uniform(&[3, 4], 1), labels];
    let report = function(&x, |_, x| x[0].cross_entropy(x[1])).unwrap();
    assert!(report.compared > 100, "{report:?}");
}

#[test]
fn layer_norm_by_hand_is_right() {
    let x = [uniform(&[2, 5], 1), uniform(&[5], 2), uniform(&[5], 3)];
    function(&x, |_, x| {
        let mean = x[0].mean_over(1).reshape([2, 1]);
        let deviation = (x[0].var(1, 0.0).reshape([2, 1]) + 1e-5).sqrt();
        (x[0] - mean) / deviation * x[1] + x[2]
    })
    .unwrap();
}

#[test]
fn logsumexp_softmax_and_variance_are_right() {
    let x = [uniform(&[3, 4], 5)];
    function(&x, |_, x| x[0].logsumexp(1)).unwrap();
    function(&x, |_, x| x[0].softmax(0)).unwrap();
    function(&x, |_, x| x[0].log_softmax(-1)).unwrap();
    function(&x, |_, x| x[0].var(1, 1.0)).unwrap();
    function(&x, |_, x| x[0].gelu()).unwrap();
    function(&x, |_, x| x[0].mse(x[0] * 0.5)).unwrap();
}

#[test]
fn several_results_share_their_inputs() {
    let x = [uniform(&[2, 3], 1), uniform(&[3], 2)];
    functions(&x, |_, x| {
        let y = x[0] * x[1];
        vec![y.exp(), y.sum(0), x[0].argmax(0)] // the last has nothing to differentiate
    })
    .unwrap();
}

#[test]
fn a_gradient_recorded_in_the_function_is_differentiated_again() {
    let x = [uniform(&[3], 1)];
    function(&x, |g, x| g.grad((x[0] * x[0]).exp().sum_all(), &[x[0]])[0]).unwrap();
}

#[test]
fn a_large_function_is_checked_along_directions() {
    let x = [uniform(&[20, 30], 1), uniform(&[30, 10], 2)];
    let report = function(&x, |_, x| x[0].matmul(x[1]).softmax(1)).unwrap();
    assert!(report.compared < 20_000, "{report:?}");
}

#[test]
fn empty_inputs_have_nothing_to_compare() {
    let report = function(&[uniform(&[0, 3], 1)], |_, x| x[0].exp()).unwrap();
    assert_eq!(report.compared, 0);
}

#[test]
fn a_kink_is_not_called_a_wrong_gradient() {
    let at = |values: Vec<f64>| [Tensor::new([3], values).unwrap()];
    let relu = function(&at(vec![1.0, 0.0, -1.0]), |_, x| x[0].relu());
    assert!(matches!(relu, Err(CheckError::Kink(_))), "{relu:?}");
    // The tie is in the middle of its two slopes, but the gradient jumps there.
    let tie = function(&at(vec![1.0, 0.0, -1.0]), |_, x| x[0].maximum(x[0] * 0.0));
    assert!(matches!(tie, Err(CheckError::Kink(_))), "{tie:?}");
    let jump = function(&at(vec![1.0, 0.0, -1.0]), |_, x| x[0].sign());
    assert!(matches!(jump, Err(CheckError::Kink(_))), "{jump:?}");
}

/// A kink nearer than the step, and strong curvature, are no errors.
#[test]
fn a_finer_step_settles_what_the_step_alone_causes() {
    let near = Tensor::new([1], vec![8e-7]).unwrap();
    function(&[near], |_, x| x[0].abs()).unwrap();
    let steep = Tensor::new([1], vec![1e-4]).unwrap();
    let first = GradCheck { second_order: false, ..GradCheck::default() };
    first.function(&[steep], |_, x| x[0].ln()).unwrap();
}

#[test]
fn the_border_of_a_domain_is_reported_as_such() {
    let zero = Tensor::new([2], vec![1.0, 0.0]).unwrap();
    let error = function(&[zero], |_, x| x[0].sqrt()).unwrap_err();
    assert!(matches!(error, CheckError::NotFinite { .. }), "{error}");
}

#[test]
fn a_function_of_integers_has_nothing_to_check() {
    let x = [Tensor::new([2], vec![1i64, 2]).unwrap()];
    let error = function(&x, |_, x| x[0].cast(F32)).unwrap_err();
    assert!(matches!(error, CheckError::Nothing { .. }), "{error}");
    let error = function(&[uniform(&[2], 1)], |_, x| x[0].cast(I32)).unwrap_err();
    assert!(matches!(error, CheckError::Nothing { .. }), "{error}");
}

#[test]
fn an_ill_typed_function_gives_its_build_errors() {
    let error = function(&[uniform(&[2], 1), uniform(&[3], 2)], |_, x| x[0] + x[1]).unwrap_err();
    assert!(matches!(error, CheckError::Build { .. }), "{error}");
}

#[test]
fn an_error_of_the_run_is_handed_on() {
    let index = Tensor::new([1], vec![7i64]).unwrap();
    let error = function(&[uniform(&[2], 1), index], |_, x| x[0].gather(0, x[1])).unwrap_err();
    let CheckError::Eval { error, .. } = error else { panic!("{error}") };
    assert!(matches!(*error, EvalError::Index { index: 7, len: 2 }), "{error}");
}

#[test]
fn a_detached_dependence_is_a_missing_gradient() {
    let error = function(&[uniform(&[2], 1)], |_, x| x[0].stop_gradient()).unwrap_err();
    let CheckError::Missing(missing) = error else { panic!("{error}") };
    assert_eq!(missing.cut.unwrap().op, "stop_gradient");
    // What does not depend on its input needs no gradient.
    function(&[uniform(&[2], 1), uniform(&[3], 2)], |_, x| x[0] * 2.0).unwrap();
}

/// Two operators, one of them wrong: it is named, with its line.
#[test]
fn the_wrong_operator_of_a_function_is_named() {
    let wrong = || Planted::<1>::op("tanh 1 - y for 1 - y²", true);
    let right = || Planted::<1>::op("tanh 1 - y for 1 - y²", false);
    let x = [uniform(&[2, 2], 1)];
    function(&x, |_, x| x[0].exp().record(right(), &[x[0]]) * x[0]).unwrap();
    let error = function(&x, |_, x| (x[0] * x[0]).record(wrong(), &[x[0].exp()]) * x[0]);
    let line = line!() - 1;
    let Err(CheckError::Wrong(found)) = error else { panic!("{error:?}") };
    let culprit = found.culprit.unwrap();
    assert!(culprit.op.starts_with("planted1"), "{culprit}");
    assert_eq!(culprit.site.unwrap().line(), line);
}

/// An operator that counts its evaluations is no function.
mod nondeterministic {
    use super::*;
    use pleach_ops::{Dims, Sample};
    use serde::{Deserialize, Serialize};
    use std::sync::atomic::{AtomicU64, Ordering};

    static CALLS: AtomicU64 = AtomicU64::new(0);

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Counts;

    impl Primitive<1> for Counts {
        const NAME: &'static str = "counts";
        fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
            Ok(x.clone())
        }
        fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
            let n = CALLS.fetch_add(1, Ordering::Relaxed) as f64;
            let x = x.to_f64s();
            Ok(Tensor::build(y, |i| x[i] + n))
        }
        fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
            dy.into()
        }
        fn samples(_: &Dims) -> Vec<Sample> {
            vec![]
        }
    }

    #[test]
    fn is_reported() {
        let op = Op::Custom(Custom::new(Counts));
        let error = pleach_check::operator(op, &[uniform(&[2], 1)]).unwrap_err();
        assert!(matches!(error, CheckError::Nondeterministic { .. }), "{error}");
    }
}
