//! A toy language: sources, `add`, `mul` and `cube`, and a few operators that misbehave.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

pub mod eval;
pub mod random;

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pleach_graph::{Body, Grad, NodeId, Operator, Simpler, Traits, TypeError};
use pleach_tensor::{DType, F32, F64, Shape, Type};
use smallvec::{SmallVec, smallvec};

pub type Graph = pleach_graph::Graph<Toy>;

/// The operators. `Cube` promises nothing, so that its forward rule is derived from its gradient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Toy {
    /// A source: `in("x")`.
    In(Arc<str>, Type),
    Parameter(usize, Type),
    /// The bits of a number, everywhere.
    Full(u64, Type),
    Add,
    Mul,
    /// `x³`.
    Cube,
    /// `x²`, elementwise and nothing more.
    Square,
    Floor,
    Cast(DType),
    /// A body, applied once.
    Call(Arc<Body<Toy>>),
    /// One of two results of one computation: `x²`, `x³`.
    Part(u8),
    Odd(Quirk),
}

/// What can be wrong with an operator, and what is rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quirk {
    /// Its gradient rule squares the cotangent.
    Bent,
    /// Its gradient rule gives a cotangent of another type.
    Wrong,
    /// Its gradient rule gives no cotangent at all.
    Short,
    /// Its gradient rule records an ill-typed node.
    Clumsy,
    /// Its gradient rule calls the cotangent zero.
    Flat,
    /// Its type rule changes its mind, see [`MOOD`].
    Fickle,
    /// After so many rewrites it is the sum of its operands, the other way round.
    Chain(u8),
    /// Its identity records an ill-typed node.
    Stumble,
    /// All of them have one hash.
    Dull(Dull),
}

/// A number that hashes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dull(pub u32);

impl Hash for Dull {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

thread_local! {
    /// What [`Quirk::Fickle`] answers.
    pub static MOOD: Cell<Option<DType>> = const { Cell::new(Some(F64)) };
}

/// `f64[3]`, the type of most values in these tests.
pub fn f64x3() -> Type {
    Type::new(F64, [3]).expect("a small type")
}

/// A source of type `ty`.
#[track_caller]
pub fn source(g: &Graph, name: &str, ty: &Type) -> NodeId {
    g.push(Toy::In(name.into(), ty.clone()), &[])
}

/// A source of type `f64[3]`.
#[track_caller]
pub fn x(g: &Graph, name: &str) -> NodeId {
    source(g, name, &f64x3())
}

#[track_caller]
pub fn add(g: &Graph, a: NodeId, b: NodeId) -> NodeId {
    g.push(Toy::Add, &[a, b])
}

#[track_caller]
pub fn mul(g: &Graph, a: NodeId, b: NodeId) -> NodeId {
    g.push(Toy::Mul, &[a, b])
}

#[track_caller]
pub fn cube(g: &Graph, x: NodeId) -> NodeId {
    g.push(Toy::Cube, &[x])
}

/// Every element `value`, of type `f64[3]`.
#[track_caller]
pub fn full(g: &Graph, value: f64) -> NodeId {
    Toy::full(g, &f64x3(), value)
}

impl fmt::Display for Toy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toy::In(name, _) => {
                write!(f, "in(\"{}\")", name.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Toy::Parameter(index, _) => write!(f, "parameter({index})"),
            Toy::Full(bits, _) => write!(f, "full({:?})", f64::from_bits(*bits)),
            Toy::Add => f.write_str("add"),
            Toy::Mul => f.write_str("mul"),
            Toy::Cube => f.write_str("cube"),
            Toy::Square => f.write_str("square"),
            Toy::Floor => f.write_str("floor"),
            Toy::Cast(dtype) => write!(f, "cast({dtype})"),
            Toy::Call(body) => write!(f, "call{body}"),
            Toy::Part(n) => write!(f, "part({n})"),
            Toy::Odd(Quirk::Chain(n)) => write!(f, "odd(chain {n})"),
            Toy::Odd(quirk) => write!(f, "odd({quirk:?})"),
        }
    }
}

fn arity<const N: usize>(inputs: &[&Type]) -> Result<(), TypeError> {
    let got = inputs.len();
    if got == N { Ok(()) } else { Err(TypeError::Arity { expected: N, got }) }
}

fn float(ty: &Type) -> Result<Type, TypeError> {
    let (operand, expected, got) = (0, "a float", ty.dtype());
    if got.is_float() { Ok(ty.clone()) } else { Err(TypeError::DType { operand, expected, got }) }
}

fn alike(a: &Type, b: &Type) -> Result<Type, TypeError> {
    if a.dtype() != b.dtype() {
        return Err(TypeError::DTypes(a.dtype(), b.dtype()));
    }
    let shapes = || TypeError::Shapes(Shape::from(a.shape()), Shape::from(b.shape()));
    if a == b { Ok(a.clone()) } else { Err(shapes()) }
}

fn call_type(body: &Body<Toy>, inputs: &[&Type]) -> Result<Type, TypeError> {
    let bad = || TypeError::Attribute("the operands are not the parameters".into());
    let fits = body.param_types().len() == inputs.len()
        && body.param_types().zip(inputs).all(|(p, x)| p == *x);
    let mut results = body.result_types();
    match (fits, results.next(), results.next()) {
        (true, Some(ty), None) => Ok(ty.clone()),
        _ => Err(bad()),
    }
}

impl Operator for Toy {
    type Context = Vec<String>;
    /// Other names of `cube`.
    type Registry = Vec<String>;

    fn infer(&self, inputs: &[&Type]) -> Result<Type, TypeError> {
        match self {
            Toy::In(_, ty) | Toy::Parameter(_, ty) | Toy::Full(_, ty) => {
                arity::<0>(inputs).map(|()| ty.clone())
            }
            Toy::Add | Toy::Mul | Toy::Odd(Quirk::Chain(_)) => {
                arity::<2>(inputs)?;
                alike(inputs[0], inputs[1])
            }
            Toy::Call(body) => call_type(body, inputs),
            _ => {
                arity::<1>(inputs)?;
                match self {
                    Toy::Cast(dtype) => Ok(inputs[0].with_dtype(*dtype)),
                    Toy::Odd(Quirk::Fickle) => match MOOD.get() {
                        Some(dtype) => Ok(inputs[0].with_dtype(dtype)),
                        None => Err(TypeError::Attribute("not today".into())),
                    },
                    Toy::Odd(Quirk::Flat) => Ok(inputs[0].with_dtype(F64)),
                    _ => float(inputs[0]),
                }
            }
        }
    }

    fn traits(&self) -> Traits {
        match self {
            Toy::In(..) => Traits::SOURCE,
            Toy::Add => Traits::COMMUTATIVE | Traits::ELEMENTWISE | Traits::LINEAR,
            Toy::Mul => Traits::COMMUTATIVE | Traits::ELEMENTWISE | Traits::MULTILINEAR,
            Toy::Square => Traits::ELEMENTWISE,
            _ => Traits::NONE,
        }
    }

    fn family(&self) -> Option<Toy> {
        matches!(self, Toy::Part(_)).then_some(Toy::Part(0))
    }

    /// `x·1 = x` and `x + -0 = x`. But `-0 + 0 = 0`, so `x + 0` is not `x`.
    fn simplify(&self, g: &Graph, inputs: &[NodeId]) -> Simpler<Toy> {
        let unit = |op: &Toy, unit: f64| matches!(op, Toy::Full(b, _) if *b == unit.to_bits());
        let neutral = match self {
            Toy::Add => -0.0,
            Toy::Mul => 1.0,
            Toy::Odd(Quirk::Chain(0)) => {
                return Simpler::Push(Toy::Add, smallvec![inputs[1], inputs[0]]);
            }
            Toy::Odd(Quirk::Chain(n)) => {
                return Simpler::Push(Toy::Odd(Quirk::Chain(n - 1)), inputs.into());
            }
            Toy::Odd(Quirk::Stumble) => {
                let bad = g.push(Toy::Add, &[inputs[0]]);
                return Simpler::Push(Toy::Cube, smallvec![bad]);
            }
            _ => return Simpler::Same,
        };
        let (a, b) = (inputs[0], inputs[1]);
        if unit(&g.op(b), neutral) {
            Simpler::Existing(a)
        } else if unit(&g.op(a), neutral) {
            Simpler::Existing(b)
        } else {
            Simpler::Same
        }
    }

    fn vjp(
        &self,
        g: &Graph,
        inputs: &[NodeId],
        _y: NodeId,
        dy: NodeId,
        need: &[bool],
    ) -> SmallVec<[Grad; 2]> {
        let scaled = |k: f64, of: NodeId| mul(g, Toy::full(g, &g.ty(of), k), of);
        let of = |slot: usize| if need[slot] { mul(g, dy, inputs[1 - slot]) } else { dy };
        match self {
            Toy::In(..) | Toy::Parameter(..) | Toy::Full(..) => smallvec![],
            Toy::Add => smallvec![Grad::Flow(dy), Grad::Flow(dy)],
            Toy::Mul => smallvec![Grad::Flow(of(0)), Grad::Flow(of(1))],
            Toy::Cube | Toy::Part(1) => {
                let slope = scaled(3.0, mul(g, inputs[0], inputs[0]));
                smallvec![Grad::Flow(mul(g, dy, slope))]
            }
            Toy::Square | Toy::Part(_) => {
                smallvec![Grad::Flow(mul(g, dy, scaled(2.0, inputs[0])))]
            }
            Toy::Cast(dtype) if dtype.is_float() && g.ty(inputs[0]).dtype().is_float() => {
                smallvec![Grad::Flow(g.push(Toy::Cast(g.ty(inputs[0]).dtype()), &[dy]))]
            }
            Toy::Odd(Quirk::Bent) => smallvec![Grad::Flow(mul(g, dy, dy))],
            Toy::Odd(Quirk::Wrong) => smallvec![Grad::Flow(g.push(Toy::Cast(F32), &[dy]))],
            Toy::Odd(Quirk::Short) => smallvec![],
            Toy::Odd(Quirk::Clumsy) => smallvec![Grad::Flow(g.push(Toy::Add, &[dy]))],
            Toy::Odd(Quirk::Flat) => smallvec![Grad::Zero],
            _ => need.iter().map(|_| Grad::Cut).collect(),
        }
    }

    #[track_caller]
    fn add(g: &Graph, a: NodeId, b: NodeId) -> NodeId {
        g.push(Toy::Add, &[a, b])
    }

    #[track_caller]
    fn full(g: &Graph, ty: &Type, value: f64) -> NodeId {
        g.push(Toy::Full(value.to_bits(), ty.clone()), &[])
    }

    fn parameter(index: usize, ty: &Type) -> Toy {
        Toy::Parameter(index, ty.clone())
    }

    fn parse(head: &str, ty: Option<&Type>, registry: &Vec<String>) -> Result<Toy, String> {
        let split = head.find(['(', '[', '{']).unwrap_or(head.len());
        let (word, group) = head.split_at(split);
        let inside = group.strip_prefix('(').and_then(|g| g.strip_suffix(')'));
        let ty = || ty.cloned().ok_or(format!("{word} needs a type"));
        let bad = |_| format!("{word} has odd attributes");
        match (word, inside) {
            ("in", Some(name)) => Ok(Toy::In(eval::unquote(name)?.into(), ty()?)),
            ("parameter", Some(n)) => Ok(Toy::Parameter(n.parse().map_err(|_| bad(()))?, ty()?)),
            ("full", Some(n)) => {
                Ok(Toy::Full(n.parse::<f64>().map_err(|_| bad(()))?.to_bits(), ty()?))
            }
            ("cast", Some(dtype)) => dtype.parse().map(Toy::Cast),
            ("call", None) => Body::parse(group, registry).map(|body| Toy::Call(Arc::new(body))),
            ("add", None) => Ok(Toy::Add),
            ("mul", None) => Ok(Toy::Mul),
            ("cube", None) => Ok(Toy::Cube),
            ("square", None) => Ok(Toy::Square),
            ("floor", None) => Ok(Toy::Floor),
            _ if registry.iter().any(|name| name == word) => Ok(Toy::Cube),
            _ => Err(format!("unknown operator {word:?}")),
        }
    }
}
