//! What operators promise by their traits and axis relations, over the registry: no operator is
//! named.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

mod common;

use common::*;
use pleach_ops::prelude::*;
use pleach_ops::{Axis, Sample};
use pleach_tensor::compare::{bit_mismatch, unravel};
use proptest::prelude::*;

fn has(sample: &Sample, traits: Traits) -> bool {
    sample.op.operation().traits().has(traits)
}

fn specials(sample: &Sample, seed: u64) -> Vec<Tensor> {
    let x = sample.draw(Key(seed));
    x.iter().zip(0..).map(|(x, i)| with_specials(x, Key(seed).fold(100 + i))).collect()
}

/// `x` with the elements at index `k` of `axis` replaced by those of `other`.
fn with_slice(x: &Tensor, other: &Tensor, axis: usize, k: usize) -> Tensor {
    let inside = |i: usize| unravel(i, x.shape())[axis] == k;
    if x.dtype().is_float() {
        let (a, b) = (x.to_f64s(), other.to_f64s());
        return Tensor::build(x.ty(), |i| if inside(i) { b[i] } else { a[i] });
    }
    let (a, b) = (x.to_i64s(), other.to_i64s());
    Tensor::build_i64(x.ty(), |i| if inside(i) { b[i] } else { a[i] })
}

/// `Σ factor · x` in f64.
fn combine(terms: &[(f64, &Tensor)]) -> Tensor {
    let values: Vec<Vec<f64>> = terms.iter().map(|(_, x)| x.to_f64s()).collect();
    let sum = |i: usize| terms.iter().zip(&values).map(|((c, _), x)| c * x[i]).sum();
    Tensor::build(terms[0].1.ty(), sum)
}

fn close(got: &Tensor, want: &Tensor) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
    got.ty() == want.ty() && got.to_f64s().iter().zip(&want.to_f64s()).all(near)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_slice_of_an_operand_changes_the_slice_of_the_result_alone(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims) {
            let ty = sample.op.infer(&types(&sample)).unwrap();
            let (x, other) = (sample.draw(Key(seed)), sample.draw(Key(seed).fold(1)));
            let y = eval(&sample.op, &x);
            for (i, axes) in sample.op.axes(&types(&sample), &ty).0.iter().enumerate() {
                for (axis, relation) in axes.iter().enumerate() {
                    let Axis::Same(out) = *relation else { continue };
                    for k in 0..x[i].shape()[axis] {
                        let mut moved = x.clone();
                        moved[i] = with_slice(&x[i], &other[i], axis, k);
                        let moved = eval(&sample.op, &moved);
                        let want = with_slice(&y, &moved, out, k);
                        prop_assert_eq!(
                            bit_mismatch(&moved, &want), None,
                            "{}: axis {} of operand {}", sample.op, axis, i
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn commutative_operators_are_so_bit_by_bit(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims).filter(|(_, s)| has(s, Traits::COMMUTATIVE)) {
            let mut x = specials(&sample, seed);
            let y = eval(&sample.op, &x);
            x.reverse();
            prop_assert_eq!(bit_mismatch(&eval(&sample.op, &x), &y), None, "{}", sample.op);
        }
    }

    #[test]
    fn elementwise_operators_see_one_element_at_a_time(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims).filter(|(_, s)| has(s, Traits::ELEMENTWISE)) {
            let x = specials(&sample, seed);
            let y = eval(&sample.op, &x);
            for i in 0..y.numel() {
                let scalar = |x: &Tensor| {
                    prop_assert_eq!(x.shape(), y.shape(), "{}", sample.op);
                    let ty = Type::scalar(x.dtype());
                    Ok(if x.dtype().is_float() {
                        Tensor::full(&ty, x.to_f64s()[i])
                    } else {
                        Tensor::build_i64(&ty, |_| x.to_i64s()[i])
                    })
                };
                let at: Vec<Tensor> = x.iter().map(scalar).collect::<Result<_, _>>()?;
                prop_assert_eq!(
                    bit_mismatch(&eval(&sample.op, &at), &scalar(&y)?), None,
                    "{}", sample.op
                );
            }
        }
    }

    #[test]
    fn linear_operators_are_linear(dims in dims_of(F64), seed: u64) {
        let (a, b) = (0.75, -1.5);
        for (_, sample) in samples(&dims) {
            let ty = sample.op.infer(&types(&sample)).unwrap();
            let double = |ty: &Type| ty.dtype() == F64 || !ty.dtype().is_float();
            if ty.dtype() != F64 || !types(&sample).into_iter().all(double) {
                continue;
            }
            let (x, z) = (sample.draw(Key(seed)), sample.draw(Key(seed).fold(1)));
            let float = |i: &usize| x[*i].dtype().is_float();
            let floats: Vec<usize> = (0..x.len()).filter(float).collect();
            let mut groups: Vec<Vec<usize>> = vec![];
            if has(&sample, Traits::LINEAR) {
                groups.push(floats.clone());
            }
            if has(&sample, Traits::MULTILINEAR) {
                groups.extend(floats.iter().map(|&i| vec![i]));
            }
            // Without float operands there is nothing to be linear in.
            for group in groups.into_iter().filter(|group| !group.is_empty()) {
                let (mut second, mut mixed) = (x.clone(), x.clone());
                for &i in &group {
                    second[i] = z[i].clone();
                    mixed[i] = combine(&[(a, &x[i]), (b, &z[i])]);
                }
                let want = combine(&[(a, &eval(&sample.op, &x)), (b, &eval(&sample.op, &second))]);
                prop_assert!(close(&eval(&sample.op, &mixed), &want), "{}", sample.op);
            }
        }
    }

    #[test]
    fn random_operators_are_functions_of_key_and_index(
        (one, two) in prop_oneof![
            (dims_of(F32), dims_of(F32)),
            (dims_of(F64), dims_of(F64)),
        ],
        seed: u64,
    ) {
        let random = |dims| samples(dims).filter(|(_, s)| has(s, Traits::RANDOM)).collect::<Vec<_>>();
        for ((operator, a), (_, b)) in random(&one).into_iter().zip(random(&two)) {
            let key = a.draw(Key(seed));
            let (short, long) = (eval(&a.op, &key).to_f64s(), eval(&b.op, &key).to_f64s());
            let n = short.len().min(long.len());
            prop_assert_eq!(&short[..n], &long[..n], "{}", operator.name);
            let other = eval(&a.op, &a.draw(Key(seed).fold(1))).to_f64s();
            prop_assert!(short.is_empty() || short != other, "{}", operator.name);
        }
    }
}
