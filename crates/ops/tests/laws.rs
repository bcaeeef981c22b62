//! Laws of types, text and retyping, over the registry: no operator is named.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

mod common;

use common::*;
use pleach_ops::prelude::*;
use pleach_ops::{Axis, OPERATORS, Registry};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Operators whose value comes from outside: nothing to feed, nothing to differentiate.
const OUTSIDE: [&str; 3] = ["input", "variable", "parameter"];

#[test]
fn every_operator_has_samples_and_its_own_name() {
    let mut runner = TestRunner::deterministic();
    let mut seen = vec![0usize; OPERATORS.len()];
    for _ in 0..100 {
        let dims = dims().new_tree(&mut runner).unwrap().current();
        for (operator, seen) in OPERATORS.iter().zip(&mut seen) {
            let samples = (operator.samples)(&dims);
            assert!(samples.iter().all(|s| s.op.name() == operator.name), "{}", operator.name);
            *seen += samples.len();
        }
    }
    for (operator, seen) in OPERATORS.iter().zip(seen) {
        assert_eq!(seen == 0, OUTSIDE.contains(&operator.name), "{}", operator.name);
        let twins = OPERATORS.iter().filter(|other| other.name == operator.name).count();
        assert_eq!(twins, 1, "{}", operator.name);
    }
}

/// Any type: every element type; ranks 0 to 6; axes of length 0, 1, 2^20 and 2^40.
fn any_type() -> impl Strategy<Value = Type> {
    let axis = prop_oneof![6 => 0usize..4, 1 => Just(1 << 20), 1 => Just(1 << 40)];
    let shape = prop::collection::vec(axis, 0..7);
    (prop::sample::select(DType::ALL.to_vec()), shape).prop_map(|(dtype, shape)| {
        Type::new(dtype, shape.clone()).unwrap_or_else(|_| Type::new(dtype, &shape[..1]).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_inferred_type_is_the_type_of_the_value(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims) {
            let y = sample.op.infer(&types(&sample)).unwrap();
            let x = sample.draw(Key(seed));
            let value = sample.op.eval(&refs(&x), &y).unwrap();
            prop_assert_eq!(value.ty(), &y, "{}", sample.op);
            prop_assert_eq!(&sample.op.eval(&refs(&x), &y).unwrap(), &value, "{}", sample.op);
        }
    }

    #[test]
    fn special_values_are_values(dims in dims(), seed: u64) {
        for (_, sample) in samples(&dims) {
            let x: Vec<Tensor> =
                sample.draw(Key(seed)).iter().map(|x| with_specials(x, Key(seed).fold(1))).collect();
            eval(&sample.op, &x);
        }
    }

    #[test]
    fn a_wrong_number_of_operands_is_an_error(
        dims in dims(),
        others in prop::collection::vec(any_type(), 5),
    ) {
        for (operator, sample) in samples(&dims) {
            let own = types(&sample);
            for n in 0..=5 {
                let mixed = own.iter().copied().chain(&others).take(n).collect::<Vec<_>>();
                let foreign = others.iter().take(n).collect::<Vec<_>>();
                for x in [mixed, foreign] {
                    let inferred = sample.op.infer(&x);
                    let expected = operator.operands.filter(|&expected| expected != n);
                    if let Some(expected) = expected {
                        let error = TypeError::Arity { expected, got: n };
                        prop_assert_eq!(inferred, Err(error), "{}", sample.op);
                    } else if n == 0 && operator.operands.is_none() {
                        prop_assert!(inferred.is_err(), "{}", sample.op);
                    }
                }
            }
        }
    }

    /// Operands of any type, half of them the ones that fit: refused or accepted, never a panic,
    /// and what is accepted has a cost, axis relations, a lowering and a gradient.
    #[test]
    fn any_operands_are_refused_or_understood(
        dims in dims(),
        others in prop::collection::vec((any_type(), any::<bool>()), 4),
    ) {
        for (_, sample) in samples(&dims) {
            let n = sample.inputs.len();
            let x: Vec<Type> = (0..n)
                .map(|i| {
                    let (other, stay) = &others[i % others.len()];
                    if *stay { sample.inputs[i].ty.clone() } else { other.clone() }
                })
                .collect();
            let alike: Vec<Type> = (0..n)
                .map(|i| sample.inputs[i].ty.with_shape(others[0].0.shape()).unwrap())
                .collect();
            for x in [x, alike] {
                let x: Vec<&Type> = x.iter().collect();
                let Ok(y) = sample.op.infer(&x) else { continue };
                sample.op.cost(&x, &y);
                sample.op.lower(&x, &y);
                let axes = sample.op.axes(&x, &y).0;
                prop_assert_eq!(axes.len(), x.len(), "{}", sample.op);
                for (axes, x) in axes.iter().zip(&x) {
                    prop_assert_eq!(axes.len(), x.rank(), "{}", sample.op);
                    for (axis, &n) in axes.iter().zip(&x.shape()[..]) {
                        match *axis {
                            Axis::Same(out) => prop_assert_eq!(y.shape()[out], n, "{}", sample.op),
                            Axis::Broadcast(out) => {
                                prop_assert!(n == 1 && out < y.rank(), "{}", sample.op);
                            }
                            Axis::Contract | Axis::Opaque => {}
                        }
                    }
                }
                let g = Graph::new();
                let input = |(i, x): (usize, &&Type)| g.input(&format!("{i}"), x.dtype(), x.shape());
                let vars: Vec<Var<'_>> = x.iter().enumerate().map(input).collect();
                let y = Var::new(&g, g.push(sample.op.clone(), &ids(&vars)));
                let floats: Vec<Var<'_>> =
                    vars.iter().copied().filter(|v| v.dtype().is_float()).collect();
                if y.dtype().is_float() {
                    g.grad(y, &floats);
                }
                prop_assert!(g.check().is_ok(), "{}: {:?}", sample.op, g.errors().first());
            }
        }
    }

    #[test]
    fn text_reads_back_as_the_same_graph(dims in dims()) {
        for (_, sample) in samples(&dims) {
            let g = Graph::raw();
            let x = inputs(&g, &sample);
            let y = g.push(sample.op.clone(), &ids(&x));
            g.output("y", y);
            let text = g.to_string();
            let back = Graph::parse(&text, &Registry::new());
            let back = back.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back.to_string(), text.clone());
            prop_assert_eq!(&back.op(y), &sample.op, "{}", text);
            prop_assert_eq!(back.structural_hash(), g.structural_hash());
            prop_assert_eq!(back.inputs(), g.inputs());
            let parsed = pleach_ops::prelude::Op::parse(&sample.op.to_string(), None, &Registry::new());
            prop_assert_eq!(parsed.as_ref(), Ok(&sample.op));
        }
    }

    #[test]
    fn equal_operators_of_equal_operands_are_one_node(dims in dims()) {
        for (_, sample) in samples(&dims) {
            let g = Graph::new();
            let x = ids(&inputs(&g, &sample));
            let once = g.push(sample.op.clone(), &x);
            let n = g.len();
            prop_assert_eq!(g.push(sample.op.clone(), &x), once, "{}", sample.op);
            prop_assert_eq!(g.len(), n);
        }
    }

    #[test]
    fn retyping_there_and_back_is_nothing(dims in dims_of(F32)) {
        let wide = |ty: &Type| if ty.dtype() == F32 { ty.with_dtype(F64) } else { ty.clone() };
        for (_, sample) in samples(&dims) {
            let x = types(&sample);
            let y = sample.op.infer(&x).unwrap();
            if x.iter().chain([&&y]).any(|ty| ty.dtype() == F64) {
                continue; // Both types at once: there is one type, and no way back.
            }
            let wider = sample.op.retype(F32, F64);
            let x: Vec<Type> = x.into_iter().map(wide).collect();
            prop_assert_eq!(wider.infer(&x.iter().collect::<Vec<_>>()), Ok(wide(&y)), "{}", wider);
            prop_assert_eq!(&wider.retype(F64, F32), &sample.op);
            prop_assert_eq!(&sample.op.retype(I64, I64), &sample.op);
        }
    }
}
