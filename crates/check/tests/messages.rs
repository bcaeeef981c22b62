//! What findings say: one paragraph each, with places and numbers.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod plants;

use expect_test::{Expect, expect};
use pleach_check::{CheckError, GradCheck, Report, function, model, operator};
use pleach_ops::{Dims, Sample, prelude::*};

use plants::{BINARY, Plant, Planted, Table, UNARY};

/// The message, with the line numbers of this file replaced: they change when it is edited.
fn says(outcome: Result<Report, CheckError>, want: Expect) {
    let text = outcome.unwrap_err().to_string();
    let mut parts = text.split(file!());
    let mut message = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
        message += "FILE:LINE";
        message += rest;
    }
    want.assert_eq(&message);
}

fn planted<const N: usize>(table: &[Plant<N>], name: &str) -> Result<Report, CheckError>
where
    Planted<N>: Table<N>,
{
    let plant = table.iter().find(|p| p.name == name).unwrap();
    operator(Planted::<N>::op(name, true), &plant.operands())
}

#[test]
fn of_an_operator() {
    says(
        planted(BINARY, "matmul without the transpose"),
        expect![[
            r#"planted2(name:"matmul without the transpose",wrong:true): wrong reverse-mode gradient by operand 0 (f64[3, 3]): d result[1, 1] / d operand 0[1, 2] is -1.084703e0, central differences give 1.142270e0 (tolerance 1.2e-3)"#
        ]],
    );
    says(
        planted(UNARY, "own jvp without the factor 2, vjp right"),
        expect![[
            r#"planted1(name:"own jvp without the factor 2, vjp right",wrong:true): wrong forward-mode gradient by operand 0 (f64[2, 3]): d result[0, 0] / d operand 0[0, 0] is -1.648667e-1, central differences give -3.297333e-1 (tolerance 3.4e-4)"#
        ]],
    );
    says(
        planted(UNARY, "precision lost in a cast"),
        expect![[
            r#"planted1(name:"precision lost in a cast",wrong:true): wrong reverse-mode gradient by operand 0 (f64[2, 3]): d result[0, 0] / d operand 0[0, 0] is -3.297332973617804e-1, forward mode gives -3.297332923314448e-1 (tolerance 3.3e-11)"#
        ]],
    );
    says(
        planted(UNARY, "exp right to first order, half detached"),
        expect![[
            r#"planted1(name:"exp right to first order, half detached",wrong:true): wrong reverse-mode second-order derivative by operand 0 (f64[2, 3]): d grad(operand 0)[1, 2] / d operand 0[1, 2] is -6.142724e-1, central differences give -1.228545e0 (tolerance 1.2e-3)"#
        ]],
    );
    says(
        planted(UNARY, "gradient cut"),
        expect![[
            r#"planted1(name:"gradient cut",wrong:true): no gradient reaches operand 0 (f64[2, 3]), the path ends at planted1(name:"gradient cut",wrong:true); by central differences the slope of the result is -4.347256e0"#
        ]],
    );
}

#[test]
fn of_a_model() {
    let p = Params::seeded(1).scope("encoder.0");
    let w = p.param("w", [2, 3], Init::normal(0.0, 1.0));
    let wrong = || Planted::<1>::op("tanh 1 - y for 1 - y²", true);
    let loss = |g: &Graph| {
        let w = g.param(&w);
        let _layer = g.at_layer("encoder.0");
        w.record(wrong(), &[w]).sum_all().id()
    };
    says(
        model(&[], |g| Var::new(g, loss(g))),
        expect![[
            r#"the model: wrong reverse-mode gradient by parameter "encoder.0.w" (f64[2, 3]): d the loss / d parameter "encoder.0.w"[0, 0] is 8.328661e-1, central differences give 9.720663e-1 (tolerance 9.8e-4); wrong is the rule of encoder.0: planted1(name:"tanh 1 - y for 1 - y²",wrong:true) (built at FILE:LINE)"#
        ]],
    );
    says(
        model(&[], |g| g.param(&w).argmax(0).cast(F32).sum_all()),
        expect![[
            r#"the model: no gradient reaches parameter "encoder.0.w" (f64[2, 3]), the path ends at argmax(axis:0) (built at FILE:LINE); by central differences the slope of the result is 0.000000e0; first used at FILE:LINE"#
        ]],
    );
    says(
        model(&[], |g| (g.param(&w).stop_gradient() * g.param(&w)).sum_all()),
        expect![[
            r#"the model: wrong reverse-mode gradient by parameter "encoder.0.w" (f64[2, 3]): d the loss / d parameter "encoder.0.w"[0, 0] is 1.687167e-1, central differences give 3.374334e-1 (tolerance 3.5e-4); stop_gradient (built at FILE:LINE) lets no gradient through"#
        ]],
    );
    says(
        model(&[], |g| g.full(F32, [], 1.0)),
        expect!["the model: nothing to check: there is no float to differentiate by"],
    );
}

#[test]
fn of_a_function() {
    let at = |values: Vec<f64>| Tensor::new([values.len()], values).unwrap();
    says(
        function(&[at(vec![1.0, 0.0])], |_, x| x[0].abs().sum_all()),
        expect![
            "the function: not smooth at this point: grad(input 0)[1] jumps where input 0[1] is (recorded derivative: 0.000000e0); choose another point"
        ],
    );
    says(
        function(&[at(vec![1.0, 0.0])], |_, x| x[0].ln()),
        expect![
            "the function: the result[1] is not finite when input 0[1] is moved by 1e-6: choose another point"
        ],
    );
    says(
        function(&[at(vec![1.0]), at(vec![1.0, 2.0, 3.0])], |_, x| (x[0] + x[1]).matmul(x[0])),
        expect![
            "the function: matmul(f64[3], f64[1]): inner sizes differ, 3 and 1 (built at FILE:LINE)"
        ],
    );
}

/// The law names the smallest shape.
#[test]
fn of_a_law() {
    let samples = |dims: &Dims| {
        let op = Planted::<1>::op("exp forgets the cotangent", true);
        vec![Sample::new(op, [dims.float()])]
    };
    let outcome = GradCheck::default().law(samples, 100);
    says(
        outcome.map(|_| Report::default()),
        expect![[
            r#"for shape [] and seed 0: planted1(name:"exp forgets the cotangent",wrong:true): wrong reverse-mode gradient by operand 0 (f64[]): d result / d operand 0 is -4.931082e0, central differences give 3.933536e0 (tolerance 3.9e-3)"#
        ]],
    );
}
