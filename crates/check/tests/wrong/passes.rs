//! Wrong passes: mistakes that graph optimizers have made.

use std::collections::HashMap;

use pleach_graph::{NodeId, Operator, Rewrite, Traits};
use pleach_ops::{Constant, Full, Graph, Op};
use pleach_passes::{Class, Classes, Outcome, Pass, PassCx, PassError};
use pleach_tensor::{Key, Tensor};

/// A pass, the class that it claims, and what it does to a node of the new graph.
macro_rules! wrong_pass {
    ($(#[$doc:meta])* $pass:ident, $class:ident, |$new:ident, $old:ident, $op:ident, $inputs:ident| $does:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $pass;

        impl Pass for $pass {
            fn name(&self) -> &'static str {
                stringify!($pass)
            }

            fn class(&self) -> Classes {
                Classes::both(Class::$class)
            }

            fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
                if !cx.may(self.name(), Class::$class) {
                    return Ok(Outcome::Unchanged);
                }
                let before = g.structural_hash();
                let ($new, map) = g.rebuild(|$new, $old, node, $inputs| {
                    let $op = &node.op;
                    let instead: Option<NodeId> = $does;
                    instead.map_or(Rewrite::Keep, Rewrite::Replace)
                });
                let same = $new.structural_hash() == before;
                Ok(if same { Outcome::Unchanged } else { Outcome::Changed($new, map) })
            }
        }
    };
}

wrong_pass! {
    /// Random numbers are folded into a constant (TVM 7530, coremltools 2732).
    FoldRandom, BitExact, |new, _old, op, inputs| match op {
        Op::Uniform(_) => {
            let ty = new.ty(new.push(op.clone(), inputs));
            Some(new.push(Constant::new(Tensor::uniform(&ty, Key(1), 0.0, 1.0)).into(), &[]))
        }
        _ => None,
    }
}

wrong_pass! {
    /// Draws are the same whatever their key (PyTorch 198333).
    ShareDraws, BitExact, |new, _old, op, inputs| match op {
        Op::Uniform(_) => {
            let first = new.ids().find(|&id| new.op(id).name() == "fold_in");
            first.map(|key| new.push(op.clone(), &[key])).filter(|_| !inputs.is_empty())
        }
        _ => None,
    }
}

wrong_pass! {
    /// Constants are merged by `==` of floats, for which -0 is 0 (onnxsim 265).
    EqualConstants, BitExact, |new, _old, op, _inputs| match op {
        Op::Full(full) => {
            let ty = new.ty(new.push(op.clone(), &[]));
            new.ids().find(|&id| match new.op(id) {
                Op::Full(other) => other.value() == full.value() && new.ty(id) == ty,
                _ => false,
            })
        }
        _ => None,
    }
}

wrong_pass! {
    /// Operands change places (onnx 2436).
    SwapOperands, BitExact, |new, _old, op, inputs| match op {
        Op::Sub(_) if inputs[0] > inputs[1] => Some(new.push(op.clone(), &[inputs[1], inputs[0]])),
        _ => None,
    }
}

wrong_pass! {
    /// A product with nothing known about is zero if its factor is (Grappler, TensorFlow 119428).
    HideNan, ZeroSign, |new, _old, op, inputs| match op {
        Op::Mul(_) => {
            let zero = |x: &NodeId| {
                matches!(new.op(*x), Op::Full(full) if full.value().to_bits() == 0)
            };
            let ty = new.ty(inputs[0]);
            let tame = ty.dtype() == pleach_tensor::F64;
            (tame && inputs.iter().any(zero)).then(|| new.push(Full::new(&ty, 0.0).into(), &[]))
        }
        _ => None,
    }
}

wrong_pass! {
    /// It computes more than before, once.
    Recompute, BitExact, |new, _old, op, inputs| match op {
        Op::Tanh(_) if !matches!(new.op(inputs[0]), Op::Neg(_)) => {
            let neg = |x: NodeId| new.push(pleach_ops::Neg.into(), &[x]);
            Some(neg(new.push(op.clone(), &[neg(inputs[0])])))
        }
        _ => None,
    }
}

/// It forgets that a value is asked for (ONNX Runtime 4110).
#[derive(Clone, Debug)]
pub(crate) struct LoseUpdate;

impl Pass for LoseUpdate {
    fn name(&self) -> &'static str {
        "lose"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, _: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let (new, map) = g.rebuild(|_, _, _, _| Rewrite::Keep);
        let mut roots = new.roots();
        new.clear_roots();
        roots.retain(|root| root.target.is_none());
        roots.iter().for_each(|root| new.output(&root.name, root.value));
        Ok(Outcome::Changed(new, map))
    }
}

/// It visits nodes in the order of a hash map.
#[derive(Clone, Debug)]
pub(crate) struct AnyOrder;

impl Pass for AnyOrder {
    fn name(&self) -> &'static str {
        "any order"
    }

    fn class(&self) -> Classes {
        Classes::both(Class::BitExact)
    }

    fn run(&self, g: &Graph, _: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let sources = g.ids().filter(|&id| g.op(id).traits().has(Traits::SOURCE));
        let sources: HashMap<NodeId, ()> = sources.map(|id| (id, ())).collect();
        let first: Vec<NodeId> = sources.keys().copied().collect();
        let rest = g.ids().filter(|id| !sources.contains_key(id));
        let order: Vec<NodeId> = first.into_iter().chain(rest).collect();
        let (new, map) = g.rebuild_in(order, |_, _, _, _| Rewrite::Keep);
        Ok(Outcome::Changed(new, map))
    }
}
