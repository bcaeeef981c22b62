//! Random graphs, well typed by construction.

use proptest::collection::vec;
use proptest::prelude::*;

use pleach_graph::Operator;
use pleach_ops::prelude::*;
use pleach_ops::{Constant, StopGradient};

use super::Sample;
use crate::rules::RULES;
use crate::{Class, Pattern, Rule};

/// One operator of a recipe: which, of which earlier values, with which choices. All numbers are
/// taken modulo what there is, so every step is good.
pub type Step = (u8, [u16; 3], u16);

/// How to build a random graph.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its operators.
    pub steps: Vec<Step>,
    /// Is its float type `f64`, or else `f32`?
    pub double: bool,
    /// Is it recorded as written, or else simplified and shared?
    pub raw: bool,
    /// Are its functions smooth and its values bounded, so that rounding stays rounding? Then it
    /// may be differentiated, and compared within a tolerance.
    pub tame: bool,
}

/// Recipes of at most 40 steps (graphs of some 60 nodes): elementwise operators, reductions,
/// views, products, gathers, random numbers, left sides of rules; shared parameters, several
/// outputs, an assignment.
pub fn recipes(tame: bool) -> impl Strategy<Value = Recipe> {
    let step = (any::<u8>(), any::<[u16; 3]>(), any::<u16>());
    (vec(step, 1..40), any::<bool>(), any::<bool>()).prop_map(move |(steps, double, raw)| Recipe {
        steps,
        double: double || tame,
        raw,
        tame,
    })
}

/// The graph under construction.
struct Kitchen<'g> {
    g: &'g Graph,
    values: Vec<Var<'g>>,
    tame: bool,
}

impl<'g> Kitchen<'g> {
    fn pick(&self, n: u16, fits: impl Fn(Var<'g>) -> bool) -> Option<Var<'g>> {
        let good: Vec<Var<'g>> = self.values.iter().copied().filter(|v| fits(*v)).collect();
        good.get(usize::from(n) % good.len().max(1)).copied()
    }

    fn float(&self, n: u16) -> Var<'g> {
        let float = |v: Var<'g>| v.dtype().is_float();
        self.pick(n, float).unwrap_or(self.values[0])
    }

    fn like(&self, n: u16, x: Var<'g>) -> Var<'g> {
        self.pick(n, |v| v.ty() == x.ty()).unwrap_or(x)
    }

    fn condition(&self, n: u16, x: Var<'g>) -> Var<'g> {
        let bools = |v: Var<'g>| v.dtype() == BOOL && v.shape() == x.shape();
        self.pick(n, bools).unwrap_or_else(|| self.compare(x))
    }

    /// A condition; in tame graphs one that no rounding turns over.
    fn compare(&self, x: Var<'g>) -> Var<'g> {
        match x.shape().rank() {
            _ if !self.tame => x.less(0.25),
            0 => self.g.full(BOOL, Shape::scalar(), 1.0),
            rank => self.g.iota(I64, x.shape(), rank - 1).less(2),
        }
    }

    fn number(&self, n: u16) -> f64 {
        let wild = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -0.1, 1e30, f64::INFINITY, f64::NAN];
        let tame = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -0.1, 1.5];
        let from: &[f64] = if self.tame { &tame } else { &wild };
        from[usize::from(n) % from.len()]
    }

    /// In tame graphs every value is brought back to a small range.
    fn small(&self, x: Var<'g>) -> Var<'g> {
        if self.tame && x.dtype().is_float() { x.tanh() } else { x }
    }

    fn step(&mut self, (code, of, choice): Step) {
        let (g, x) = (self.g, self.float(of[0]));
        let y = self.like(of[1], x);
        let (axis, rank) = (i64::from(choice), x.shape().rank());
        let axis = axis % rank.max(1) as i64;
        let new = match code % 32 {
            0 => -x,
            1 => x + y,
            2 => x - y,
            3 => x * y,
            4 if self.tame => x / (y.sigmoid() + 0.5),
            4 => x / y,
            5 => self.small(x).exp(),
            6 if self.tame => (x.sigmoid() + 0.5).ln(),
            6 => x.ln(),
            7 if self.tame => (x.sigmoid() + 0.5).sqrt(),
            7 => x.sqrt(),
            8 => x.tanh(),
            9 => x.sigmoid(),
            10 => x.softplus(),
            11 if self.tame => x.sin(),
            11 => x.abs(),
            12 if self.tame => x.cos(),
            12 => x.maximum(y),
            13 if self.tame => x * 0.5 + y * 0.5,
            13 => x.minimum(y),
            14 => self.condition(of[2], x).select(x, y),
            15 => self.compare(x),
            16 => {
                let (p, q) = (self.condition(of[1], x), self.condition(of[2], x));
                match choice % 3 {
                    0 => p.not(),
                    1 => p.and(q),
                    _ => p.or(q),
                }
            }
            17 | 18 => x * self.number(choice),
            19 => x + self.number(choice),
            20 if rank > 0 => x.sum(axis),
            21 if rank > 0 && !self.tame => x.max(axis),
            22 => x.reshape([x.shape().iter().product::<usize>()]),
            23 if rank == 2 => x.t(),
            24 if rank < 2 => x.broadcast_to([3, x.shape().first().copied().unwrap_or(2)]),
            25 if rank == 2 => {
                let n = x.size(1);
                let r = self.pick(of[2], |v| {
                    v.dtype() == x.dtype() && v.shape().rank() == 2 && v.size(0) == n
                });
                r.map_or(x, |r| x.matmul(r))
            }
            26 if rank == 2 => x.gather(1, g.iota(I64, [x.size(0), 1], 1)),
            27 => self.values[3].uniform(x.dtype(), x.shape()),
            28 if !self.tame => x.record(StopGradient, &[x]),
            29 => {
                let ty = x.ty().unwrap_or_else(|| Type::scalar(F32));
                x.record(Constant::new(super::draw(&ty, Key(u64::from(choice)))), &[])
            }
            30 if rank > 0 => {
                let index = g.iota(I64, x.shape(), rank - 1);
                (index * 2 - index).cast(x.dtype())
            }
            _ => self.motif(&RULES[usize::from(choice) % RULES.len()], of, x).unwrap_or(x * x),
        };
        // Sums may grow a little, products may not.
        let grows = matches!(code % 32, 3 | 5 | 25 | 31) || choice % 4 == 0;
        self.values.push(if grows { self.small(new) } else { new });
    }

    /// The left side of a rule, of values of the type of `x`.
    fn motif(&self, rule: &Rule, of: [u16; 3], x: Var<'g>) -> Option<Var<'g>> {
        let smooth = !["abs", "stop_gradient", "sqrt", "maximum", "minimum"]
            .iter()
            .any(|op| rule.left.operators().contains(op));
        // What is only defined where facts hold, or has kinks, is not for tame graphs.
        if self.tame && (!smooth || rule.values == Class::NeedsFacts) {
            return None;
        }
        self.pattern(&rule.left, of, x)?.ok().ok()
    }

    fn pattern(&self, pattern: &Pattern, of: [u16; 3], x: Var<'g>) -> Option<Var<'g>> {
        match pattern {
            Pattern::Any(word) => {
                let n = word.bytes().map(u16::from).sum::<u16>();
                Some(self.like(of[usize::from(n) % 3], x))
            }
            Pattern::Splat(word) => {
                let n = word.bytes().map(u16::from).sum::<u16>();
                let number = self.number(of[usize::from(n) % 3]);
                // Not so small that a quotient leaves the range of tame values.
                let number = if self.tame && number == 0.0 { 2.0 } else { number };
                Some(x.full_like(number))
            }
            Pattern::Number(value) => Some(x.full_like(*value)),
            Pattern::Apply(_, op, args) => {
                let args: Vec<Var<'g>> =
                    args.iter().map(|a| self.pattern(a, of, x)).collect::<Option<_>>()?;
                let op = op.clone()?;
                let types: Vec<Type> = args.iter().filter_map(|a| a.ty()).collect();
                op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
                // Of tame values, logarithms and quotients only where they are.
                let domain = self.tame && matches!(op, Op::Ln(_) | Op::Div(_));
                let args: Vec<Var<'g>> = match (&op, domain) {
                    (Op::Ln(_), true) if !positive(args[0]) => vec![args[0].softplus() + 0.1],
                    (Op::Div(_), true) if !positive(args[1]) => {
                        vec![args[0], args[1].softplus() + 0.1]
                    }
                    _ => args,
                };
                Some(args[0].record(op, &args))
            }
        }
    }
}

/// Is it away from zero by its form?
fn positive(x: Var<'_>) -> bool {
    let node = x.graph().node(x.id());
    let splat = matches!(&node.op, Op::Full(full) if full.value().abs() >= 0.1);
    splat
        || matches!(node.op, Op::Sigmoid(_) | Op::Exp(_))
        || node.op.name() == "add"
            && node.inputs.iter().any(|&i| matches!(x.graph().op(i), Op::Exp(_)))
}

impl Recipe {
    /// The graph. With `gradients`, those of the sum of its last values by its float inputs and
    /// its parameter are outputs too.
    pub fn build(&self, gradients: bool) -> Sample {
        let g = if self.raw { Graph::raw() } else { Graph::new() };
        let float = if self.double { F64 } else { F32 };
        let params = Params::seeded(7).dtype(float);
        let w = params.param("w", [3, 2], Init::normal(0.0, 0.5));
        let memory = params.buffer("memory", float, [2, 3], Init::ones());
        let x = g.input("x", float, [2, 3]);
        let v = g.input("v", float, [3]);
        let mut kitchen = Kitchen {
            g: &g,
            values: vec![x, v, g.param(&w), g.key(), g.param(&memory), g.input("y", float, [2, 3])],
            tame: self.tame,
        };
        self.steps.iter().for_each(|&step| kitchen.step(step));
        let values = kitchen.values;
        let floats: Vec<Var<'_>> =
            values.iter().rev().copied().filter(|v| v.dtype().is_float()).take(3).collect();
        for (i, value) in floats.iter().enumerate() {
            g.output(&format!("out{i}"), value.id());
        }
        if let Some(value) = values.iter().rev().find(|v| v.ty().as_ref() == Some(memory.ty())) {
            g.assign_param(&memory, *value);
        }
        if gradients {
            let loss = floats.iter().map(|v| v.sum_all()).reduce(|a, b| a + b);
            let xs = [x, v, g.raw_param(&w)];
            let grads = loss.map_or(vec![], |loss| g.grad(loss, &xs));
            grads.iter().enumerate().for_each(|(i, d)| g.output(&format!("grad{i}"), d.id()));
        }
        debug_assert!(g.check().is_ok(), "{:?}", g.errors());
        let inputs = g.inputs();
        Sample { graph: g, inputs }
    }
}
