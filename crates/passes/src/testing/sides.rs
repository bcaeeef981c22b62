//! Both sides of a rule, generated from the rule, against each other.

use pleach_graph::{Gradient, NodeId, NodeMap, Operator};
use pleach_ops::Dims;
use pleach_ops::prelude::*;

use super::kitchen::operators;
use super::laws::{Sample, interpreted, scale_of};
use super::{agree, run};
use crate::{Class, Level, Outcome, Pass, PassCx, Pattern, Rule, Simplify};

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Left sides at which the rule fired.
    pub fired: usize,
    /// Left sides at which a guard, or the price, kept it from firing.
    pub refused: usize,
    /// Values compared.
    pub values: usize,
    /// Gradients compared.
    pub gradients: usize,
}

/// What a word stands for in a test.
type Word<'g> = (&'static str, Var<'g>);

/// Ways to make a float value about which something is known, from an integer that is fed.
const FACTS: [fn(Var<'_>) -> Var<'_>; 6] = [
    |x| x,
    |x| x.tanh(),
    |x| x.tanh().exp(),
    |x| x.tanh().minimum(-0.5),
    // As far as exponentials, their products, and derivatives of their quotients stay in range.
    |x| (x - 4.0).tanh() * 24.0,
    |x| (x - 4.0).tanh() * 38.0,
];

/// Where constants go wrong: near overflow and underflow of both types, and where a double holds
/// no more integers.
const CONSTANTS: [f64; 18] = [
    2.0,
    -0.5,
    3.0,
    0.1,
    -1.0,
    1.0,
    0.0,
    -0.0,
    7.0,
    1e30,
    -1e-30,
    1e300,
    f64::INFINITY,
    f64::NAN,
    3e38,
    1e-40,
    1e-310,
    9007199254740992.0,
];

/// A left side to build: shape, element type of its numbers, which words are booleans, which
/// facts are known, which constants.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    dtype: DType,
    bools: usize,
    facts: usize,
    constants: usize,
    /// Is what the right side is an operator of there already, for another use?
    beside: bool,
}

impl Case {
    fn word<'g>(&self, g: &'g Graph, rule: &Rule, word: &'static str, index: usize) -> Var<'g> {
        if self.bools >> index & 1 == 1 {
            return g.input(word, BOOL, &self.shape);
        }
        let facts = self.facts / FACTS.len().pow(index as u32) % FACTS.len();
        if rule.guards.is_empty() || !self.dtype.is_float() || facts == 0 {
            return g.input(word, self.dtype, &self.shape);
        }
        FACTS[facts](g.input(word, I64, &self.shape).cast(self.dtype))
    }

    fn build<'g>(
        &self,
        g: &'g Graph,
        pattern: &Pattern,
        words: &[Word<'g>],
        extra: &[Op],
    ) -> Option<Var<'g>> {
        let ty = Type::new(self.dtype, &self.shape).ok()?;
        let full = |value: f64| Some(g.full(ty.dtype(), ty.shape(), value));
        match pattern {
            Pattern::Any(word) => words.iter().find(|(w, _)| w == word).map(|(_, v)| *v),
            Pattern::Number(value) => full(*value),
            Pattern::Splat(word) => {
                // `c` and `c1` are one digit of the case, `c2` the next.
                let digit = usize::from(word.ends_with('2'));
                full(
                    CONSTANTS[self.constants / CONSTANTS.len().pow(digit as u32) % CONSTANTS.len()],
                )
            }
            Pattern::Apply(name, plain, args) => {
                let args: Vec<Var<'g>> =
                    args.iter().map(|a| self.build(g, a, words, extra)).collect::<Option<_>>()?;
                let types: Vec<Type> = args.iter().map(|a| a.ty()).collect::<Option<_>>()?;
                let ty = |op: &Op| op.infer(&types.iter().collect::<Vec<_>>()).ok();
                let dims = Dims { shape: self.shape.clone(), seed: 3, float: F64 };
                let any = operators(name, plain.as_ref(), extra, &dims).into_iter();
                // Of attributes that fit, those that reduce most.
                let op = any.filter_map(|op| Some((ty(&op)?.numel(), op))).min_by_key(|(n, _)| *n);
                let op = op?.1;
                Some(args[0].record(op, &args))
            }
        }
    }

    /// The left side as a raw graph, with its words.
    fn left(&self, rule: &Rule, extra: &[Op]) -> Option<(Sample, Vec<(&'static str, NodeId)>)> {
        let graph = Graph::raw();
        let mut words: Vec<Word<'_>> = Vec::new();
        for word in any_words(&rule.left) {
            let value = self.word(&graph, rule, word, words.len());
            words.push((word, value));
        }
        let beside: Vec<Var<'_>> = match &rule.right {
            Pattern::Apply(_, _, args) if self.beside => {
                let inner = args.iter().filter(|arg| matches!(arg, Pattern::Apply(..)));
                inner.map(|arg| self.build(&graph, arg, &words, extra)).collect::<Option<_>>()?
            }
            _ => Vec::new(),
        };
        let y = self.build(&graph, &rule.left, &words, extra)?;
        let words = words.iter().map(|(w, v)| (*w, v.id())).collect();
        graph.output("y", y.id());
        beside.iter().for_each(|value| graph.output("beside", value.id()));
        let inputs = graph.inputs();
        graph.check().ok()?;
        Some((Sample { graph, inputs }, words))
    }
}

fn any_words(pattern: &Pattern) -> Vec<&'static str> {
    match pattern {
        Pattern::Any(word) => vec![word],
        Pattern::Apply(_, _, args) => {
            let mut words: Vec<&'static str> = args.iter().flat_map(any_words).collect();
            words.sort_unstable();
            words.dedup();
            words
        }
        _ => vec![],
    }
}

/// How many splats its left side has.
fn splats(rule: &Rule) -> usize {
    let words = rule.left.words();
    ["c", "c1", "c2"].iter().filter(|c| words.contains(c)).count()
}

/// Does a rule keep what its classes promise? Its left side is built of random shapes, element
/// types, constants and facts; where the rule fires, values and gradients of both sides are
/// compared within the classes, special values included for the classes E, K, Z and (of values) F.
///
/// - values: the left side and what the rule makes of it;
/// - gradients: `grad(rewrite(g))` against `grad(g)` within the class of gradients, and
///   `rewrite(grad(g))` against `grad(g)` within the class of values;
/// - R, S: where left and right are fed NaNs and zeros among ordinary numbers, no NaN is hidden or
///   made; where R combines constants, nothing overflows that did not;
/// - S: in f32 no farther from the f64 value than the left side;
/// - it does not fire where a guard does not hold, nor at a level that does not admit it.
///
/// # Errors
/// The first disagreement, or that the rule never fired.
pub fn holds(rule: &Rule, extra: &[Op]) -> Result<Held, String> {
    let held = of(rule, extra, false)?;
    let held = if held.fired == 0 { of(rule, extra, true)? } else { held };
    if held.fired == 0 { Err(format!("{rule}\nnever fired: {held:?}")) } else { Ok(held) }
}

/// As [`holds`], of all left sides; `beside` says whether parts of the right side are there already.
fn of(rule: &Rule, extra: &[Op], beside: bool) -> Result<Held, String> {
    let mut held = Held::default();
    let words = any_words(&rule.left);
    let float = [F64, F32];
    // A square is what products take on both sides.
    let shapes: [&[usize]; 5] = [&[], &[1], &[5, 9], &[6, 6], &[0, 2]];
    let splats = splats(rule);
    // Facts are about words; of guards about constants alone it is enough to vary those.
    let about = |word: &&str| rule.guards.iter().any(|guard| guard.words.contains(word));
    let facts = if words.iter().any(about) { FACTS.len().pow(words.len() as u32) } else { 1 };
    // All pairs of constants for one shape, each constant with itself for the others.
    let all = CONSTANTS.len().pow(splats as u32);
    let some = |shape: &[usize]| if shape == [1] { 1 } else { CONSTANTS.len().max(1) + 1 };
    for shape in shapes {
        for dtype in DType::ALL.into_iter().filter(|d| *d != BOOL) {
            for bools in 0..1 << words.len() {
                for facts in 0..if float.contains(&dtype) { facts } else { 1 } {
                    let step = if splats > 1 { some(shape) } else { 1 };
                    for constants in (0..all).step_by(step) {
                        let shape = Shape::from(shape);
                        let case = Case { shape, dtype, bools, facts, constants, beside };
                        one(rule, &case, extra, &mut held)
                            .map_err(|why| format!("{rule}\n{case:?}\n{why}"))?;
                    }
                }
            }
        }
    }
    Ok(held)
}

fn one(rule: &Rule, case: &Case, extra: &[Op], held: &mut Held) -> Result<(), String> {
    let Some((sample, words)) = case.left(rule, extra) else { return Ok(()) };
    let g = &sample.graph;
    let pass = Simplify::new(vec![rule.clone()]);
    if !Level::Exact.admits(rule.values)
        && run(&pass, g, &mut PassCx::reference(Level::Exact)).0.is_some()
    {
        return Err("it fires at level exact".into());
    }
    let root = g.node(g.roots()[0].value);
    // A number may not be one of the element type.
    let Some(found) = rule.left.matches(g, &root.op, &root.inputs) else { return Ok(()) };
    let allowed = rule.guard(g, &found);
    let (Some(new), _) = run(&pass, g, &mut PassCx::reference(Level::Default)) else {
        held.refused += 1;
        return Ok(());
    };
    allowed.map_err(|why| format!("it fires although {why}"))?;
    held.fired += 1;
    for seed in 0..8 {
        let odd = seed > 0;
        // What is rounded is compared where numbers are ordinary, NaN or zero; facts hold for all.
        let rounded = matches!(rule.values, Class::Rounding | Class::Stabilizing);
        let feeds = match odd {
            true if rounded && seed > 3 => continue,
            true if rounded => sample.holes(Key(seed)),
            _ => sample.feeds(Key(seed), odd),
        };
        values(rule, g, &new, &feeds)?;
        held.values += 1;
    }
    if rule.values == Class::Rounding && splats(rule) > 1 {
        (4..8).try_for_each(|seed| no_overflow(g, &new, &sample.feeds(Key(seed), true)))?;
    }
    if rule.values == Class::Stabilizing && case.dtype == F32 {
        accurate(rule, case, extra, &sample, &new)?;
    }
    if root.ty.dtype().is_float() && rule.gradients != Class::Lossy {
        held.gradients += gradients(rule, case, &pass, sample, &words)?;
    }
    Ok(())
}

fn why(error: EvalError) -> String {
    error.to_string()
}

fn value(g: &Graph, feeds: &[Tensor]) -> Result<Tensor, String> {
    let mut values = interpreted(g, &[g.roots()[0].value], feeds).map_err(why)?;
    values.pop().ok_or_else(|| "no output".into())
}

fn values(rule: &Rule, g: &Graph, new: &Graph, feeds: &[Tensor]) -> Result<(), String> {
    let scale = scale_of(g, feeds).map_err(why)?;
    agree(rule.values, &value(new, feeds)?, &value(g, feeds)?, scale)
        .map_err(|m| format!("values: {m}\n{g}to\n{new}"))
}

/// Where the left side is finite, is the right side?
fn no_overflow(g: &Graph, new: &Graph, feeds: &[Tensor]) -> Result<(), String> {
    let (left, right) = (value(g, feeds)?.to_f64s(), value(new, feeds)?.to_f64s());
    let finite = |(l, r): (&f64, &f64)| !l.is_finite() || r.is_finite();
    match left.iter().zip(&right).all(finite) {
        true => Ok(()),
        false => Err(format!("a finite value overflows\n{g}to\n{new}")),
    }
}

/// In f32, is the right side no farther from the f64 value of the left than the left itself?
fn accurate(
    rule: &Rule,
    case: &Case,
    extra: &[Op],
    single: &Sample,
    new: &Graph,
) -> Result<(), String> {
    let double = Case { dtype: F64, ..case.clone() };
    let Some((double, _)) = double.left(rule, extra) else { return Ok(()) };
    let wide = |t: Tensor| {
        let values = t.to_f64s();
        if t.dtype().is_float() { Tensor::build(t.ty(), |i| 5.0 * values[i]) } else { t }
    };
    let feeds: Vec<Tensor> = single.feeds(Key(4), false).into_iter().map(wide).collect();
    let exact: Vec<Tensor> =
        feeds.iter().map(|t| if t.dtype() == F32 { t.cast(F64) } else { t.clone() }).collect();
    let want = value(&double.graph, &exact)?.to_f64s();
    let (left, right) = (value(&single.graph, &feeds)?.to_f64s(), value(new, &feeds)?.to_f64s());
    for ((want, left), right) in want.iter().zip(&left).zip(&right) {
        let (before, after) = ((left - want).abs(), (right - want).abs());
        if after > before + 3e-7 * want.abs() + 1e-40 {
            return Err(format!("{right:e} is farther from {want:e} than {left:e}"));
        }
    }
    Ok(())
}

/// The gradients of the output by `xs` for the cotangent that the input `dy` holds.
fn reverse(g: &Graph, y: NodeId, dy: NodeId, xs: &[NodeId]) -> Result<Vec<NodeId>, String> {
    let found = g.reverse(&[(y, dy)], xs).map_err(|e| e.to_string())?;
    let id = |(grad, &x): (Gradient, &NodeId)| {
        grad.value().unwrap_or_else(|| Var::new(g, x).full_like(0.0).id())
    };
    Ok(found.into_iter().zip(xs).map(id).collect())
}

/// `None` if the rule does not fire.
fn rewrite(pass: &Simplify, g: &Graph) -> Result<Option<(Graph, NodeMap)>, String> {
    match pass.run(g, &mut PassCx::reference(Level::Default)) {
        Ok(Outcome::Changed(new, map)) => Ok(Some((new, map))),
        Ok(Outcome::Unchanged) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn gradients(
    rule: &Rule,
    case: &Case,
    pass: &Simplify,
    mut sample: Sample,
    words: &[(&'static str, NodeId)],
) -> Result<usize, String> {
    let g = &sample.graph;
    let y = g.roots()[0].value;
    let floats = |id: &NodeId| g.ty(*id).dtype().is_float();
    let xs: Vec<NodeId> = words.iter().map(|(_, id)| *id).filter(floats).collect();
    if xs.is_empty() || !case.dtype.is_float() {
        return Ok(0);
    }
    let ty = g.ty(y);
    let dy = g.input("dy", ty.dtype(), ty.shape()).id();
    // So that the cotangent outlives a rewrite that needs it no more.
    g.output("dy", dy);
    sample.inputs = g.inputs();
    let (new, map) = rewrite(pass, g)?.ok_or("it fired, and does not where there is a dy")?;
    let at = |id: NodeId| map.get(id).ok_or("a word was dropped");
    let new_xs: Vec<NodeId> = xs.iter().map(|&x| at(x)).collect::<Result<_, _>>()?;
    let new_grads = reverse(&new, at(y)?, at(dy)?, &new_xs)?;
    let grads = reverse(g, y, dy, &xs)?;
    grads.iter().for_each(|&d| g.output("grad", d));
    // Not where the gradient needs a value inside of the left side.
    let both = rewrite(pass, g)?.map(|(both, _)| both);
    let mut compared = 0;
    for seed in 0..4 {
        let weakest = rule.gradients.max(rule.values);
        let odd = seed > 0;
        if odd && weakest > Class::ZeroSign {
            continue;
        }
        let feeds = sample.feeds(Key(seed), odd);
        let scale = scale_of(g, &feeds).map_err(why)?;
        let want = interpreted(g, &grads, &feeds).map_err(why)?;
        let of_rewritten = interpreted(&new, &new_grads, &feeds).map_err(why)?;
        for (i, want) in want.iter().enumerate() {
            agree(rule.gradients, &of_rewritten[i], want, scale)
                .map_err(|m| format!("grad(rewrite(g)), operand {i}: {m}\n{g}to\n{new}"))?;
            compared += 1;
        }
        if let Some(both) = &both {
            let grads = both.roots().into_iter().filter(|root| &*root.name == "grad");
            let ids: Vec<NodeId> = grads.map(|root| root.value).collect();
            let rewritten = interpreted(both, &ids, &feeds).map_err(why)?;
            for (i, want) in want.iter().enumerate() {
                agree(rule.values, &rewritten[i], want, scale)
                    .map_err(|m| format!("rewrite(grad(g)), operand {i}: {m}\n{g}to\n{both}"))?;
                compared += 1;
            }
        }
    }
    Ok(compared)
}
