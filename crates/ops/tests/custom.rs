//! Operators from outside of the library.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_ops::prelude::rules::*;
use pleach_ops::prelude::{BOOL, F32, F64, I64};
use pleach_ops::{Custom, GraphExt, Registry};
use serde::{Deserialize, Serialize};

/// `y = x · sigmoid(β · x)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Swish {
    beta: Real,
}

impl Primitive<1> for Swish {
    const NAME: &'static str = "my.swish";
    const TRAITS: Traits = Traits::ELEMENTWISE;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_float(0)
    }

    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(map(x, |x| x / (1.0 + (-self.beta.0 * x).exp())))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let bx = x * self.beta.0;
        let s = bx.sigmoid();
        (dy * (s + bx * s * (1.0 - s))).into()
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        vec![Sample::new(Op::Custom(Custom::new(Swish { beta: Real(1.5) })), [dims.float()])]
    }
}

/// Conversion with the element type as an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Convert(DType);

impl Primitive<1> for Convert {
    const NAME: &'static str = "my.convert";
    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.with_dtype(self.0))
    }
    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.cast(self.0))
    }
    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.cast(x.dtype()).into()
    }
    fn retype(&self, from: DType, to: DType) -> Self {
        Convert(if self.0 == from { to } else { self.0 })
    }
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

/// An operator of two operands, without attributes, written badly on demand.
macro_rules! sloppy {
    ($op:ident, $name:literal, $eval:expr) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct $op;
        impl Primitive<2> for $op {
            const NAME: &'static str = $name;
            fn infer(&self, [a, b]: [&Type; 2]) -> Result<Type, TypeError> {
                a.require_same(b)
            }
            fn eval(&self, [a, _]: [&Tensor; 2], _: &Type) -> Result<Tensor, EvalError> {
                let eval: fn(&Tensor) -> Tensor = $eval;
                Ok(eval(a))
            }
            fn vjp<'g>(&self, _: usize, _: [Var<'g>; 2], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
                Grad::Cut
            }
            fn samples(_: &Dims) -> Vec<Sample> {
                vec![]
            }
        }
    };
}

sloppy!(First, "first", Tensor::clone);
sloppy!(Liar, "liar", |_| Tensor::scalar(0i64));
sloppy!(Impostor, "add", Tensor::clone);
sloppy!(TwoWords, "two words", Tensor::clone);

/// A bare number as the whole attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
struct Bare(String);

impl Primitive<1> for Bare {
    const NAME: &'static str = "bare";
    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.clone())
    }
    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.clone())
    }
    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.into()
    }
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

fn registry() -> Registry {
    Registry::new().with::<Swish, 1>().with::<Convert, 1>().with::<First, 2>().with::<Bare, 1>()
}

fn swish(x: Var<'_>, beta: f64) -> Var<'_> {
    Var::apply(Swish { beta: Real(beta) }, [x])
}

fn at() -> Tensor {
    Tensor::new([3], vec![-1.0, 0.5, 2.0]).unwrap()
}

fn value(v: Var<'_>) -> Vec<f64> {
    v.eval(&[&at()]).unwrap().to_f64s()
}

#[track_caller]
fn assert_close(a: &[f64], b: &[f64]) {
    assert!(
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12),
        "{a:?} {b:?}"
    );
}

#[test]
fn values_and_derivatives_of_both_orders_are_those_of_the_composition() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    let own = swish(x, 1.5);
    let twin = x * (x * 1.5).sigmoid();
    assert_close(&value(own), &value(twin));
    let [d_own, d_twin] = [own, twin].map(|y| g.grad((y * y).sum_all(), &[x])[0]);
    assert_close(&value(d_own), &value(d_twin));
    let [dd_own, dd_twin] = [d_own, d_twin].map(|d| g.grad(d.sum_all(), &[x])[0]);
    assert_close(&value(dd_own), &value(dd_twin));
    let dx = g.full(F64, [3], 1.0);
    assert_close(&value(g.jvp_of(own, &[(x, dx)])), &value(g.jvp_of(twin, &[(x, dx)])));
    assert_close(&value(g.hvp(own, x, dx)), &value(g.hvp(twin, x, dx)));
}

#[test]
fn an_error_of_the_type_rule_names_the_users_line() {
    let g = Graph::new();
    let i = g.input("i", I64, [3]);
    let y = swish(i, 1.0);
    let error = Var::apply(Swish { beta: Real(2.0) }, [i]).ok().unwrap_err();
    let line = line!() - 1;
    assert_eq!(error.site.as_ref().unwrap().line(), line);
    assert_eq!(
        error.to_string(),
        format!(
            "my.swish(beta:2.0)(i64[3]): expected operand 0 to be a float, got i64 \
             (built at {}:{line}:17)",
            file!()
        )
    );
    assert!(y.ok().is_err());
    assert!(Var::apply(First, [i, g.input("b", BOOL, [3])]).ok().is_err());
}

#[test]
fn equal_operators_of_equal_operands_are_one_node() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    assert_eq!(swish(x, 1.0).id(), swish(x, 1.0).id());
    assert_ne!(swish(x, 1.0).id(), swish(x, 2.0).id());
    assert_ne!(swish(x, 0.0).id(), swish(x, -0.0).id());
    let op = Op::Custom(Custom::new(Swish { beta: Real(1.0) }));
    assert_eq!(op, g.op(swish(x, 1.0).id()));
    let Op::Custom(custom) = &op else { panic!() };
    assert_eq!(custom.downcast::<Swish, 1>(), Some(&Swish { beta: Real(1.0) }));
    assert_eq!(custom.downcast::<Convert, 1>(), None);
}

#[test]
fn text_needs_a_registry_and_reads_back() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    let y = swish(Var::apply(First, [x, Var::apply(Convert(F64), [x])]), 0.1);
    let y = Var::apply(Bare("a (\"b\"] ;".into()), [y]);
    g.output("y", y.id());
    let text = g.to_string();
    let back = Graph::parse(&text, &registry()).unwrap();
    assert_eq!(back.to_string(), text);
    assert_eq!(back.structural_hash(), g.structural_hash());
    assert_eq!(value(Var::new(&back, back.roots()[0].value)), value(y));
    let error = Graph::parse(&text, &Registry::new()).unwrap_err().to_string();
    assert_eq!(error, "line 2: unknown operator \"my.convert\"");
    let error = Graph::parse("%0 = my.swish(gamma:1.0)", &registry()).unwrap_err().to_string();
    assert!(error.starts_with("line 1: my.swish: "), "{error}");
}

#[test]
fn a_graph_is_retyped_with_its_custom_operators() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    g.output("y", (swish(Var::apply(Convert(F64), [x]), 1.5)).id());
    let single = g.retype(F64, F32);
    assert!(single.check().is_ok());
    let y = Var::new(&single, single.roots()[0].value);
    assert_eq!(y.ty().unwrap().to_string(), "f32[3]");
    let got = y.eval(&[&at().cast(F32)]).unwrap().to_f64s();
    for (got, want) in got.iter().zip(value(Var::new(&g, g.roots()[0].value))) {
        assert!((got - want).abs() < 1e-6);
    }
    assert_eq!(single.retype(F32, F64).to_string(), g.to_string());
}

#[test]
fn a_name_must_be_a_word_of_its_own() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    let reason = |v: Var<'_>| v.ok().unwrap_err().reason.to_string();
    let taken = reason(Var::apply(Impostor, [x, x]));
    assert_eq!(taken, "the name is that of an operator of the library");
    assert_eq!(reason(Var::apply(TwoWords, [x, x])), "the name is not one word");
}

#[test]
fn a_wrong_type_of_the_value_is_an_error_of_the_run() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    let error = Var::apply(Liar, [x, x]).eval(&[&at()]).unwrap_err();
    assert_eq!(error.to_string(), "liar has type f64[3], the value given i64[]");
}

#[test]
fn samples_of_a_custom_operator_are_like_those_of_the_library() {
    let dims = Dims { shape: [2, 3].into(), seed: 1, float: F64 };
    let sample = &Swish::samples(&dims)[0];
    let x = sample.draw(Key(1));
    let y = sample.op.eval(&[&x[0]], x[0].ty()).unwrap();
    assert_eq!(y.shape(), &Shape::from([2, 3]));
}
