//! The kitchen: one step of a recipe becomes one operator or motif.

use pleach_graph::Operator;
use pleach_ops::prelude::*;
use pleach_ops::{Constant, Dims, OPERATORS, StopGradient};

use super::random::{Plants, Step};
use crate::{Class, Pattern, Rule};

/// The graph under construction.
pub(super) struct Kitchen<'g, 'p> {
    pub(super) g: &'g Graph,
    pub(super) values: Vec<Var<'g>>,
    pub(super) tame: bool,
    pub(super) plants: &'p Plants,
}

/// The operators that a name may mean: with no attributes, one of the user's, one of the list's
/// samples.
pub(super) fn operators(name: &str, plain: Option<&Op>, extra: &[Op], dims: &Dims) -> Vec<Op> {
    let known = extra.iter().filter(|op| op.name() == name).cloned();
    let listed = OPERATORS.iter().filter(|info| info.name == name);
    let listed = listed.flat_map(|info| (info.samples)(dims)).map(|s| s.op);
    plain.cloned().into_iter().chain(known).chain(listed).collect()
}

impl<'g> Kitchen<'g, '_> {
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

    pub(super) fn step(&mut self, (code, of, choice): Step) {
        let (g, x) = (self.g, self.float(of[0]));
        let y = self.like(of[1], x);
        let (axis, rank) = (i64::from(choice), x.shape().rank());
        let axis = axis % rank.max(1) as i64;
        let new = match code % 36 {
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
            32 | 33 if rank > 0 && !x.shape().contains(&0) => self.scan(x, of, choice),
            34 if !self.plants.operators.is_empty() => self.planted(of, choice, x).unwrap_or(x * x),
            _ => {
                let rules = &self.plants.rules;
                let rule = rules.get(usize::from(choice) % rules.len().max(1));
                rule.and_then(|rule| self.motif(rule, of, x)).unwrap_or(x * x)
            }
        };
        // Sums may grow a little, products may not.
        let grows = matches!(code % 36, 3 | 5 | 25 | 31..) || choice % 4 == 0;
        self.values.push(if grows { self.small(new) } else { new });
    }

    /// A loop along the first axis of `x`, forwards or backwards, that captures a value: its last
    /// carry, or its stacked results.
    fn scan(&self, x: Var<'g>, of: [u16; 3], choice: u16) -> Var<'g> {
        let (g, key) = (self.g, self.values[3]);
        let slice = Shape::from(&x.shape()[1..]);
        let fits = |v: Var<'g>| v.dtype() == x.dtype() && v.shape() == slice;
        let carry = self.pick(of[1], fits).unwrap_or_else(|| g.full(x.dtype(), &slice, 0.5));
        let held = self.pick(of[2], fits).unwrap_or(carry);
        let step = |c: Var<'g>, x: Var<'g>| {
            let x = if choice & 8 > 0 { -(-x) * held } else { x };
            let next = match choice / 16 % 4 {
                0 => (c * 0.5 + x).tanh(),
                1 => (c * held).sigmoid() + x * 0.25,
                2 => c * 0.5 + key.uniform(x.dtype(), x.shape()),
                _ => (held.exp() * 0.1 + c).tanh() - x,
            };
            let next = self.small(next);
            (next, next * x + c)
        };
        let (last, stacked) = match choice & 2 > 0 {
            true => g.scan(carry, x, step),
            false => g.scan_reverse(carry, x, step),
        };
        if choice & 1 > 0 { last } else { stacked }
    }

    /// One of the user's operators, of values that it takes.
    fn planted(&self, of: [u16; 3], choice: u16, x: Var<'g>) -> Option<Var<'g>> {
        let operators = &self.plants.operators;
        let op = operators.get(usize::from(choice) % operators.len().max(1))?;
        let args = [x, self.like(of[1], x), self.like(of[2], x)];
        let args = (1..=args.len()).map(|n| &args[..n]).find(|args| {
            let types: Vec<Type> = args.iter().filter_map(|a| a.ty()).collect();
            op.infer(&types.iter().collect::<Vec<_>>()).is_ok()
        })?;
        Some(x.record(op.clone(), args))
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
            Pattern::Apply(name, op, args) => {
                let args: Vec<Var<'g>> =
                    args.iter().map(|a| self.pattern(a, of, x)).collect::<Option<_>>()?;
                let types: Vec<Type> = args.iter().filter_map(|a| a.ty()).collect();
                let fits = |op: &Op| op.infer(&types.iter().collect::<Vec<_>>()).is_ok();
                let op = match op {
                    Some(op) => Some(op.clone()).filter(fits),
                    None => {
                        let dims =
                            Dims { shape: x.shape(), seed: u64::from(of[0]), float: x.dtype() };
                        let known = operators(name, None, &self.plants.operators, &dims);
                        known.into_iter().find(fits)
                    }
                }?;
                // Of tame values, logarithms, quotients and powers only where they are: 1 / ±0 would
                // make of the sign of a zero two infinities.
                let mut args = args;
                let slot = match op {
                    Op::Ln(_) | Op::Pow(_) => Some(0),
                    Op::Div(_) => Some(1),
                    _ => None,
                };
                if let Some(slot) = slot.filter(|&slot| self.tame && !positive(args[slot])) {
                    args[slot] = args[slot].softplus() + 0.1;
                }
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
