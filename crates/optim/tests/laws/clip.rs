//! Clipping by the global norm.

use crate::support::{Runner, close, data, minimize, tensor};
use pleach_ops::prelude::*;
use pleach_optim::{Optimizer, Sgd, Trained};

/// What each gradient is clipped to: gradient descent from 0 at rate 1 goes to its negative.
fn clipped(grads: &[Tensor], max: f64) -> Vec<Tensor> {
    let p = Params::seeded(0);
    let g = Graph::train();
    let trained: Vec<Trained<'_>> = grads
        .iter()
        .map(|grad| {
            let registry = p.clone().dtype(grad.dtype());
            let param = registry.param("x", grad.shape().clone(), Init::zeros());
            Trained { value: g.raw_param(&param), grad: g.constant(grad.clone()), param }
        })
        .collect();
    let optimizer = Sgd::new(-1.0).clip_norm(max);
    optimizer.apply(&g, &trained);
    let mut run = Runner::default();
    run.step(&g);
    trained.iter().map(|t| run.value(&t.param)).collect()
}

#[test]
fn norms_are_clipped_as_pytorch_clips_them() {
    let file = data("clip.json");
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 2);
    for case in cases {
        let list = |name: &str| -> Vec<Tensor> {
            case[name].as_array().unwrap().iter().map(tensor).collect()
        };
        let got = clipped(&list("grads"), case["max_norm"].as_f64().unwrap());
        for (got, want) in got.iter().zip(list("clipped")) {
            close(&case["id"].to_string(), &got.to_f64s(), &want.to_f64s(), 1e-12, 1e-15);
        }
    }
}

#[test]
fn a_three_four_five_triangle() {
    let grads = [Tensor::scalar(3.0), Tensor::scalar(4.0)];
    let got = clipped(&grads, 1.0);
    close("3", &got[0].to_f64s(), &[0.6], 1e-6, 0.0);
    close("4", &got[1].to_f64s(), &[0.8], 1e-6, 0.0);
    // At the norm itself the coefficient is a little below 1; above it, exactly 1.
    assert!(clipped(&grads, 5.0)[0].item().unwrap() < 3.0);
    assert_eq!(clipped(&grads, 6.0)[0].item(), Some(3.0));
}

#[test]
fn gradients_of_zero_stay_zero_and_element_types_mix() {
    assert_eq!(clipped(&[Tensor::scalar(0.0f32)], 1.0)[0].item(), Some(0.0));
    let got = clipped(&[Tensor::scalar(3.0f32), Tensor::scalar(4.0f64)], 1.0);
    assert_eq!((got[0].dtype(), got[1].dtype()), (F32, F64));
    close("3", &got[0].to_f64s(), &[0.6], 1e-6, 0.0);
}

#[test]
fn nothing_to_train_is_nothing_to_do() {
    let g = Graph::train();
    Sgd::new(0.1).clip_norm(1.0).apply(&g, &[]);
    assert!(g.is_empty() && g.roots().is_empty());
}

/// Two parameters share one norm; the optimizer inside is any.
#[test]
fn the_norm_is_that_of_all_parameters() {
    let p = Params::seeded(0).dtype(F64);
    let (x, y) = (p.param("x", [], Init::zeros()), p.param("y", [], Init::zeros()));
    let g = Graph::train();
    let loss = g.param(&x) * 3.0 + g.param(&y) * 4.0;
    let boxed: Box<dyn Optimizer> = Box::new(Sgd::new(1.0));
    minimize(&g, loss, &[&x, &y], &boxed.clip_norm(2.5));
    let mut run = Runner::default();
    run.step(&g);
    close("x", &run.numbers("x"), &[-1.5], 1e-6, 0.0);
    close("y", &run.numbers("y"), &[-2.0], 1e-6, 0.0);
}
