//! Tests of the losses of classes.

use crate::loss::*;
use crate::prelude::*;

fn logits() -> Tensor {
    Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 0.0, 0.0, 0.0]).unwrap()
}

#[test]
fn the_gradient_of_cross_entropy_is_softmax_minus_one_hot() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [2, 3]), g.input("y", I64, [2]));
    let at = logits();
    let labels = Tensor::new([2], vec![2i64, 0]).unwrap();
    let dx = g.grad(x.cross_entropy(y), &[x])[0].eval(&[&at, &labels]).unwrap().to_f64s();
    let p = x.softmax(1).eval(&[&at, &labels]).unwrap().to_f64s();
    let one_hot = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
    for i in 0..6 {
        assert!((dx[i] - (p[i] - one_hot[i]) / 2.0).abs() < 1e-12);
    }
}

#[test]
fn confident_logits_do_not_overflow() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F32, [1, 2]), g.input("y", I64, [1]));
    let at = Tensor::new([1, 2], vec![500.0f32, -500.0]).unwrap();
    let label = Tensor::new([1], vec![1i64]).unwrap();
    assert_eq!(x.cross_entropy(y).eval(&[&at, &label]).unwrap().item(), Some(1000.0));
    let bad = Tensor::new([1], vec![2i64]).unwrap();
    assert!(x.cross_entropy(y).eval(&[&at, &bad]).is_err());
}

#[test]
fn shapes_must_fit() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F32, [2, 3]), g.input("y", I64, [3]));
    assert!(x.cross_entropy(y).ok().is_err());
    assert!(x.nll(y).ok().is_err());
    assert!(x.multi_margin(y).ok().is_err());
    assert!(x.mse(g.input("t", F32, [3])).ok().is_err());
    assert!(x.cross_entropy(g.input("p", F32, [2])).ok().is_err());
    let labels = g.input("l", I64, [2]);
    let plain = CrossEntropy::default();
    assert!(plain.weight(g.full(F32, [2], 1.0)).call(x, labels).ok().is_err());
    assert!(plain.label_smoothing(1.5).call(x, labels).ok().is_err());
    assert!(plain.ignore_index(0).call(x, x).ok().is_err());
    assert!(x.cross_entropy(g.input("b", BOOL, [2])).ok().is_err());
    assert!(g.full(F32, [], 0.0).cross_entropy(g.full(I64, [], 0.0)).ok().is_err());
    assert!(MultiMargin::default().p(3).call(x, labels).ok().is_err());
    assert_eq!(g.errors().len(), 11);
}

#[test]
fn ignored_rows_count_for_nothing_and_only_ignored_rows_give_nan() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [2, 3]), g.input("y", I64, [2]));
    let at = logits();
    let labels = |a: i64, b: i64| Tensor::new([2], vec![a, b]).unwrap();
    let loss = CrossEntropy::default().ignore_index(-100);
    let (mean, sum) = (loss.call(x, y), loss.reduction(Reduction::Sum).call(x, y));
    let dx = g.grad(mean, &[x])[0];
    let value = |v: Var<'_>, l: &Tensor| v.eval(&[&at, l]).unwrap().to_f64s();
    let second = labels(-100, 1);
    assert!((value(mean, &second)[0] - 3f64.ln()).abs() < 1e-15);
    assert_eq!(value(dx, &second)[..3], [0.0; 3]);
    let none = labels(-100, -100);
    assert!(value(mean, &none)[0].is_nan());
    assert_eq!((value(sum, &none), value(dx, &none)), (vec![0.0], vec![0.0; 6]));
    assert!(x.cross_entropy(y).eval(&[&at, &none]).is_err());
    let empty = g.full(F32, [0, 3], 0.0).cross_entropy(g.full(I64, [0], 0.0));
    assert!(empty.eval(&[&at, &none]).unwrap().item().unwrap().is_nan());
}

#[test]
fn labels_are_the_same_as_one_hot_probabilities() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [2, 3]), g.input("y", U8, [2]));
    let at = [&logits(), &Tensor::new([2], vec![2u8, 0]).unwrap()];
    let p = y.cast(I64).one_hot(3, F64);
    let w = g.constant(Tensor::new([3], vec![0.5, 1.0, 2.0]).unwrap());
    let value = |v: Var<'_>| v.eval(&at).unwrap().to_f64s();
    for loss in [CrossEntropy::default(), CrossEntropy::default().weight(w)] {
        for smooth in [0.0, 0.3, 1.0] {
            let loss = loss.label_smoothing(smooth).reduction(Reduction::None);
            for (a, b) in value(loss.call(x, y)).iter().zip(value(loss.call(x, p))) {
                assert!((a - b).abs() < 1e-14, "{a} {b}");
            }
        }
    }
    // With weights, the mean of labels is by the weights of the labels, that of probabilities is not.
    let loss = CrossEntropy::default().weight(w);
    let sum = value(loss.reduction(Reduction::Sum).call(x, y))[0];
    assert!((value(loss.call(x, y))[0] - sum / 2.5).abs() < 1e-15);
    assert!((value(loss.call(x, p))[0] - sum / 2.0).abs() < 1e-15);
}

#[test]
fn classes_are_axis_one_whatever_follows() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [2, 3, 4, 5]), g.input("y", I32, [2, 4, 5]));
    let key = Key(3);
    let at = Tensor::normal(&Type::new(F64, [2, 3, 4, 5]).unwrap(), key, 0.0, 1.0);
    let labels = Tensor::new([2, 4, 5], (0..40).map(|i| i % 3).collect::<Vec<i32>>()).unwrap();
    let none = CrossEntropy::default().reduction(Reduction::None).call(x, y);
    assert_eq!(none.shape(), [2, 4, 5].into());
    let rows = x.permute(&[0, 2, 3, 1]).reshape([40, 3]);
    let flat = CrossEntropy::default().reduction(Reduction::None).call(rows, y.reshape([40]));
    let value = |v: Var<'_>| v.eval(&[&at, &labels]).unwrap().to_f64s();
    assert_eq!(value(none), value(flat));
    assert_eq!(value(x.log_softmax(1).nll(y)), value(x.cross_entropy(y)));
}

#[test]
fn the_hinge_of_classes_counts_the_others() {
    let g = Graph::new();
    let (x, y) = (g.input("x", F64, [2, 3]), g.input("y", I64, [2]));
    let at = [&logits(), &Tensor::new([2], vec![1i64, 0]).unwrap()];
    let value = |v: Var<'_>| v.eval(&at).unwrap().to_f64s();
    let each = MultiMargin::default().reduction(Reduction::None);
    // Row 0: 2 is beaten by 3 by 1, which with the margin is 2; 1 is just far enough.
    assert_eq!(value(each.call(x, y)), [2.0 / 3.0, 2.0 / 3.0]);
    assert_eq!(value(each.p(2).call(x, y)), [4.0 / 3.0, 2.0 / 3.0]);
    let w = g.constant(Tensor::new([3], vec![3.0, 6.0, 0.0]).unwrap());
    assert_eq!(value(each.weight(w).call(x, y)), [4.0, 2.0]);
    assert_eq!(
        value(x.slice(0, 0..1).reshape([3]).multi_margin(y.slice(0, 0..1).reshape(()))),
        [2.0 / 3.0]
    );
}
