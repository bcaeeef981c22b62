//! Standardisation and scaling.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pleach_data::{Standardize, scale};
use pleach_tensor::{F32, F64, Key, Tensor, Type};

#[test]
fn columns_get_mean_zero_and_deviation_one() {
    for dtype in [F32, F64] {
        let x = Tensor::normal(&Type::new(dtype, [200, 2, 3]).unwrap(), Key(5), 3.0, 7.0);
        let y = Standardize::fit(&x).unwrap().apply(&x).unwrap();
        assert_eq!(y.ty(), x.ty());
        let again = Standardize::fit(&y).unwrap();
        assert_eq!(again.mean().len(), 6);
        assert!(again.mean().iter().all(|m| m.abs() < 1e-6));
        assert!(again.std().iter().all(|s| (s - 1.0).abs() < 1e-6));
    }
}

#[test]
fn the_fit_of_the_training_rows_serves_the_others() {
    let fit = Standardize::fit(&Tensor::new([2, 1], vec![1.0f64, 3.0]).unwrap()).unwrap();
    assert_eq!((fit.mean(), fit.std()), (&[2.0][..], &[1.0][..]));
    let y = fit.apply(&Tensor::new([3, 1], vec![2.0f64, 5.0, 0.0]).unwrap()).unwrap();
    assert_eq!(y.to_vec::<f64>().unwrap(), [0.0, 3.0, -2.0]);
}

#[test]
fn constant_columns_stay_at_zero() {
    // The rounded mean of ten 0.1 is not 0.1.
    let x = Tensor::new([10, 1], vec![0.1f64; 10]).unwrap();
    let fit = Standardize::fit(&x).unwrap();
    assert_eq!(fit.std(), [0.0]);
    assert_eq!(fit.apply(&x).unwrap().splat(), Some(0.0));
    let other = Tensor::new([1, 1], vec![7.0f64]).unwrap();
    assert_eq!(fit.apply(&other).unwrap().splat(), Some(0.0));
}

#[test]
fn tensors_that_cannot_be_standardized_are_refused() {
    let err = |x: Tensor| Standardize::fit(&x).unwrap_err().to_string();
    assert_eq!(
        err(Tensor::scalar(1.0f32)),
        "standardize: expected a tensor with at least one row, got shape []"
    );
    assert_eq!(
        err(Tensor::new::<f32>([0, 3], vec![]).unwrap()),
        "standardize: expected a tensor with at least one row, got shape [0, 3]"
    );
    assert_eq!(
        err(Tensor::new([2], vec![1i64, 2]).unwrap()),
        "standardize: expected a float tensor, got i64[2]"
    );
    let nan = Tensor::new([2, 2], vec![1.0f32, 0.0, 2.0, f32::NAN]).unwrap();
    assert!(err(nan).starts_with("standardize: column 1 has mean NaN"));
    let infinite = Tensor::new([2, 1], vec![f32::INFINITY; 2]).unwrap();
    assert!(err(infinite).starts_with("standardize: column 0 has mean inf"));
}

#[test]
fn rows_of_another_shape_are_refused() {
    let fit = Standardize::fit(&Tensor::new([2, 2], vec![0.0f32; 4]).unwrap()).unwrap();
    let err = fit.apply(&Tensor::new([2, 3], vec![0.0f32; 6]).unwrap()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "standardize: fitted to rows of shape [2], got a tensor of shape [2, 3]"
    );
    assert!(fit.apply(&Tensor::scalar(0.0f32)).is_err());
}

#[test]
fn a_tensor_without_columns_is_left_alone() {
    let x = Tensor::new::<f32>([3, 0], vec![]).unwrap();
    assert_eq!(Standardize::fit(&x).unwrap().apply(&x).unwrap(), x);
}

#[test]
fn scaling_multiplies_floats_and_refuses_the_rest() {
    let x = Tensor::new([2], vec![16.0f32, 8.0]).unwrap();
    assert_eq!(scale(&x, 1.0 / 16.0).unwrap().to_vec::<f32>().unwrap(), [1.0, 0.5]);
    let err = scale(&Tensor::scalar(1u8), 2.0).unwrap_err();
    assert_eq!(err.to_string(), "scale: expected a float tensor, got u8[]");
}
