//! Fused regions: one node whose value, derivatives and text are those of its body.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use std::sync::Arc;

use pleach_graph::Operator;
use pleach_ops::prelude::*;
use pleach_ops::{Axis, Dims, Fused, Grad, Registry, Sample};

/// `f` of fresh parameters of these types as one node of `x`.
fn fuse<'g>(x: &[Var<'g>], f: impl FnOnce(&[Var<'g>]) -> Var<'g>) -> Var<'g> {
    fuse_all(x, |x| vec![f(x)])[0]
}

/// All that `f` answers as results of one region.
fn fuse_all<'g>(x: &[Var<'g>], f: impl FnOnce(&[Var<'g>]) -> Vec<Var<'g>>) -> Vec<Var<'g>> {
    let g = x[0].graph();
    let types: Vec<Type> = x.iter().map(|v| v.ty().unwrap()).collect();
    let (body, captures) = g
        .frame(&types, |ids| {
            let vars: Vec<Var<'g>> = ids.iter().map(|&id| Var::new(g, id)).collect();
            f(&vars).iter().map(|v| v.id()).collect()
        })
        .unwrap();
    assert!(captures.is_empty());
    let result = |i| x[0].record(Op::Fused(Fused::new(body.clone(), i).unwrap()), x);
    (0..body.results().len()).map(result).collect()
}

fn formula<'g>(x: &[Var<'g>]) -> Var<'g> {
    (x[0] * x[1]).tanh() + x[1].exp()
}

fn feeds() -> [Tensor; 2] {
    [
        Tensor::new([3], vec![0.5, -1.0, 2.0]).unwrap(),
        Tensor::new([3], vec![1.5, 0.25, -0.5]).unwrap(),
    ]
}

fn value(v: Var<'_>) -> Vec<f64> {
    let [a, b] = feeds();
    v.eval(&[&a, &b]).unwrap_or_else(|e| panic!("{e}\n{}", v.graph())).to_f64s()
}

#[track_caller]
fn assert_close(fused: Var<'_>, plain: Var<'_>) {
    let (a, b) = (value(fused), value(plain));
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12 * (1.0 + b.abs());
    assert!(a.len() == b.len() && a.iter().zip(&b).all(near), "{a:?} {b:?}\n{}", fused.graph());
}

/// Both graphs' first and second derivatives, reverse and forward.
#[track_caller]
fn assert_same_derivatives<'g>(fused: Var<'g>, plain: Var<'g>, xs: &[Var<'g>]) {
    let g = fused.graph();
    assert_close(fused, plain);
    let (df, dp) = (g.grad((fused * fused).sum_all(), xs), g.grad((plain * plain).sum_all(), xs));
    for (&x, (&df, &dp)) in xs.iter().zip(df.iter().zip(&dp)) {
        assert_close(df, dp);
        for (ddf, ddp) in g.grad(df.sum_all(), xs).into_iter().zip(g.grad(dp.sum_all(), xs)) {
            assert_close(ddf, ddp);
        }
        let dx = x.full_like(0.75);
        let [jf, jp] = [fused, plain].map(|y| g.jvp_of(y, &[(x, dx)]));
        assert_close(jf, jp);
        let [hf, hp] = [fused, plain].map(|y| g.hvp(y, x, dx));
        assert_close(hf, hp);
        let [jjf, jjp] = [jf, jp].map(|j| g.jvp_of(j, &[(x, dx)]));
        assert_close(jjf, jjp);
    }
    let both: Vec<(Var<'g>, Var<'g>)> = xs.iter().map(|&x| (x, x.full_like(1.0))).collect();
    assert_close(g.jvp_of(fused, &both), g.jvp_of(plain, &both));
    assert!(g.check().is_ok());
}

#[test]
fn values_and_derivatives_are_those_of_the_body() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    assert_same_derivatives(fuse(&[a, b], formula), formula(&[a, b]), &[a, b]);
}

#[test]
fn operands_may_be_equal_or_depend_on_each_other() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    assert_same_derivatives(fuse(&[a, a], formula), formula(&[a, a]), &[a]);
    let c = a.exp() * b;
    assert_same_derivatives(fuse(&[a, c], formula), formula(&[a, c]), &[a, b]);
    // A region of a region's result.
    let inner = fuse(&[a, b], formula);
    let plain = formula(&[a, b]);
    assert_same_derivatives(fuse(&[inner, b], formula), formula(&[plain, b]), &[a, b]);
}

#[test]
fn operands_that_are_no_floats_have_no_gradient_and_disturb_none() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    let c = a.less(b);
    let f = fuse(&[c, a, b], |x| x[0].select(x[1] * x[2], x[2].exp()));
    assert_same_derivatives(f, c.select(a * b, b.exp()), &[a, b]);
}

#[test]
fn a_path_that_is_cut_in_the_body_is_cut() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    let f = fuse(&[a, b], |x| x[0].floor() * x[1]);
    let seed = f.full_like(1.0);
    let grads = g.reverse(&[(f.id(), seed.id())], &[a.id(), b.id()]).unwrap();
    assert_eq!(grads[0].value(), None);
    assert!(
        matches!(grads[0], pleach_graph::Gradient::Unreached { cut: Some(cut) } if cut == f.id())
    );
    assert_eq!(value(Var::new(&g, grads[1].value().unwrap())), [0.0, -1.0, 2.0]);
}

#[test]
fn text_reads_back_and_equal_regions_are_one_node() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    let y = fuse(&[a, b], formula);
    assert_eq!(fuse(&[a, b], formula).id(), y.id());
    assert_ne!(fuse(&[b, a], formula).id(), y.id());
    g.output("y", y.id());
    let text = g.to_string();
    expect_test::expect![[r#"
        %0 = input(name:"a",position:0,ty:"f64[3]") : f64[3]
        %1 = input(name:"b",position:1,ty:"f64[3]") : f64[3]
        %2 = fused{%0 = parameter(index:0,ty:"f64[3]") : f64[3]; %1 = parameter(index:1,ty:"f64[3]") : f64[3]; %2 = mul %0 %1 : f64[3]; %3 = tanh %2 : f64[3]; %4 = exp %1 : f64[3]; %5 = add %3 %4 : f64[3]; return %5} %0 %1 : f64[3]
        %3 = fused{%0 = parameter(index:0,ty:"f64[3]") : f64[3]; %1 = parameter(index:1,ty:"f64[3]") : f64[3]; %2 = mul %0 %1 : f64[3]; %3 = tanh %2 : f64[3]; %4 = exp %1 : f64[3]; %5 = add %3 %4 : f64[3]; return %5} %1 %0 : f64[3]
        return "y" = %2
    "#]]
    .assert_eq(&text);
    let back = Graph::parse(&text, &Registry::new()).unwrap();
    assert_eq!(back.to_string(), text);
    assert_eq!(back.op(y.id()), g.op(y.id()));
    assert_eq!(value(Var::new(&back, back.roots()[0].value)), value(y));
}

/// Two results, one of which is made from the other.
fn formulas<'g>(x: &[Var<'g>]) -> Vec<Var<'g>> {
    let first = (x[0] * x[1]).tanh();
    vec![first, first * x[0] + x[1].exp()]
}

#[test]
fn several_results_have_the_values_and_derivatives_of_the_body() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    let (fused, plain) = (fuse_all(&[a, b], formulas), formulas(&[a, b]));
    for (&fused, &plain) in fused.iter().zip(&plain) {
        assert_same_derivatives(fused, plain, &[a, b]);
    }
    // Both at once: reverse mode goes through the region once.
    assert_same_derivatives(fused[0] * fused[1], plain[0] * plain[1], &[a, b]);
    let backward = |y: Var<'_>| {
        let before = g.len();
        g.reverse(&[(y.id(), y.full_like(1.0).id())], &[a.id()]).unwrap();
        g.len() - before
    };
    let (one, both) = (backward(fused[1] * 3.0), backward(fused[0] + fused[1]));
    assert!(both <= one + 2, "{both} nodes after {one}");
}

#[test]
fn text_names_the_result_and_work_counts_once() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    let ys = fuse_all(&[a, b], formulas);
    assert_ne!(ys[0].id(), ys[1].id());
    ys.iter().for_each(|y| g.output(&y.id().to_string(), y.id()));
    let text = g.to_string();
    assert!(text.contains("= fused(result: 1, body: {%0 = parameter"), "{text}");
    let back = Graph::parse(&text, &Registry::new()).unwrap();
    assert_eq!(back.to_string(), text);
    for (y, root) in ys.iter().zip(back.roots()) {
        assert_eq!(back.op(root.value), g.op(y.id()));
        assert_eq!(value(Var::new(&back, root.value)), value(*y));
    }
    let three = text.replacen("result: 1", "result: 2", 1);
    let error = Graph::parse(&three, &Registry::new()).unwrap_err().to_string();
    assert!(error.contains("has 2 results, so none of number 2"), "{error}");
    // Operands once, both results once; 5 operations on 3 elements.
    let (op, ty) = (g.op(ys[0].id()), a.ty().unwrap());
    let cost = op.cost(&[&ty, &ty], &ty);
    assert_eq!((cost.flops, cost.bytes), (15, 4 * 3 * 8));
    let single = g.retype(F64, F32);
    assert!(single.check().is_ok() && single.to_string().contains("result: 1"), "{single}");
}

#[test]
fn it_is_retyped_with_its_body() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [3]));
    g.output("y", fuse(&[a, b], |x| formula(x) + 0.1).id());
    let single = g.retype(F64, F32);
    assert!(single.check().is_ok(), "{single}");
    let y = Var::new(&single, single.roots()[0].value);
    assert_eq!(y.ty().unwrap().to_string(), "f32[3]");
    let [fa, fb] = feeds().map(|x| x.cast(F32));
    let got = y.eval(&[&fa, &fb]).unwrap().to_f64s();
    for (got, want) in got.iter().zip(value(Var::new(&g, g.roots()[0].value))) {
        assert!((got - want).abs() < 1e-5);
    }
}

#[test]
fn operands_must_have_the_types_of_the_parameters() {
    let g = Graph::new();
    let (a, b) = (g.input("a", F64, [3]), g.input("b", F64, [2]));
    let op = g.op(fuse(&[a, a], formula).id());
    let reason = |x: &[Var<'_>]| {
        let types: Vec<Type> = x.iter().map(|v| v.ty().unwrap()).collect();
        op.infer(&types.iter().collect::<Vec<_>>()).unwrap_err().to_string()
    };
    assert_eq!(reason(&[a]), "expected 2 operands, got 1");
    assert_eq!(reason(&[a, b]), "shapes [2] and [3] differ");
    assert_eq!(
        reason(&[a, g.input("c", F32, [3])]),
        "element types differ, f32 and f64; convert one with cast"
    );
    let two = g.frame(&[a.ty().unwrap()], |ids| vec![ids[0], ids[0]]).unwrap().0;
    let why = "the fused region has 2 results, so none of number 2";
    assert_eq!(Fused::new(two, 2).unwrap_err().to_string(), why);
}

#[test]
fn axes_relate_only_if_the_body_is_elementwise() {
    let g = Graph::new();
    let x = g.input("x", F64, [2, 2]);
    let axes = |v: Var<'_>| {
        let ty = v.ty().unwrap();
        g.op(v.id()).axes(&[&ty], &ty).0
    };
    let elementwise = fuse(&[x], |x| x[0].exp() * 2.0);
    assert_eq!(axes(elementwise), [[Axis::Same(0), Axis::Same(1)]]);
    assert_eq!(axes(fuse(&[x], |x| x[0].exp().t())), [[Axis::Opaque, Axis::Opaque]]);
    let Op::Fused(fused) = g.op(elementwise.id()) else { panic!() };
    assert!(Arc::ptr_eq(fused.body(), fused.clone().body()));
    let ty = x.ty().unwrap();
    assert_eq!(g.op(elementwise.id()).cost(&[&ty], &ty).flops, 8);
}

/// A custom operator whose gradient has the shape of something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
struct Broken;

impl Primitive<1> for Broken {
    const NAME: &'static str = "broken";
    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        Ok(x.clone())
    }
    fn eval(&self, [x]: [&Tensor; 1], _: &Type) -> Result<Tensor, EvalError> {
        Ok(x.clone())
    }
    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.sum_all().into()
    }
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}

#[test]
fn a_broken_rule_inside_is_an_error_and_no_missing_gradient() {
    let g = Graph::new();
    let x = g.input("x", F64, [3]);
    let y = fuse(&[x], |x| Var::apply(Broken, [x[0]]) * 2.0);
    let error = g.reverse(&[(y.id(), y.full_like(1.0).id())], &[x.id()]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("operand 0 has type f64[3], its cotangent f64[]"), "{text}");
}
