//! Small expressions that run as one loop: what would be written and read again between two loops
//! stays in registers. One line an expression; the bits are those of its operations one by one.
//!
//! In `Name: [a b; s t] expression` the first leaves are one element for each of the result, the
//! others one element for all. A leaf that appears twice must be the same value in both places.

use std::sync::LazyLock;

use pleach_tensor::DType;

use crate::ScalarOp;
use crate::tile_fn::{TileFns, everywhere};
use crate::vector::Isa;

/// An expression over leaves.
#[derive(Debug)]
pub(crate) enum Tree {
    Leaf(usize),
    Node(ScalarOp, Vec<Tree>),
}

/// A leaf of a tree.
#[derive(Clone, Copy, Debug)]
struct Leaf(usize);

impl From<Leaf> for Tree {
    fn from(leaf: Leaf) -> Tree {
        Tree::Leaf(leaf.0)
    }
}

impl Tree {
    /// Number of operations.
    pub(crate) fn size(&self) -> usize {
        match self {
            Tree::Leaf(_) => 0,
            Tree::Node(_, children) => 1 + children.iter().map(Tree::size).sum::<usize>(),
        }
    }
}

/// An expression, and the loops that evaluate it.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) tree: Tree,
    /// Number of leaves, and of those among them that have one element for each of the result.
    pub(crate) leaves: usize,
    pub(crate) vectors: usize,
    f32: TileFns,
    f64: TileFns,
}

impl Pattern {
    /// The loops for an element type.
    pub(crate) fn fns(&self, dtype: DType) -> Option<TileFns> {
        match dtype {
            DType::F32 => Some(self.f32),
            DType::F64 => Some(self.f64),
            _ => None,
        }
    }
}

/// All patterns, those of more operations first.
pub(crate) fn patterns() -> &'static [Pattern] {
    static ALL: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let mut all = for_isa(Isa::used());
        all.sort_by_key(|p| std::cmp::Reverse(p.tree.size()));
        all
    });
    &ALL
}

/// The operations as functions of numbers.
mod value {
    use crate::num::{Float, Num};

    macro_rules! values {
        ($($name:ident($($x:ident),*): $bound:path, $body:expr;)*) => {$(
            #[inline(always)]
            pub(super) fn $name<T: $bound>($($x: T),*) -> T { $body }
        )*};
    }
    values! {
        add(a, b): Num, a.add(b);
        sub(a, b): Num, a.sub(b);
        mul(a, b): Num, a.mul(b);
        div(a, b): Num, a.div(b);
        max(a, b): Num, a.max(b);
        min(a, b): Num, a.min(b);
        sqrt(a): Float, a.sqrt();
    }

    #[inline(always)]
    pub(super) fn less<T: Num>(a: T, b: T) -> bool {
        a < b
    }

    #[inline(always)]
    pub(super) fn select<T: Num>(c: bool, a: T, b: T) -> T {
        if c { a } else { b }
    }
}

/// The same as functions of trees.
mod tree {
    use super::Tree;
    use crate::ScalarOp;

    macro_rules! trees {
        ($($name:ident($($x:ident),*): $op:ident;)*) => {$(
            pub(super) fn $name($($x: impl Into<Tree>),*) -> Tree {
                Tree::Node(ScalarOp::$op, vec![$($x.into()),*])
            }
        )*};
    }
    trees! {
        add(a, b): Add;
        sub(a, b): Sub;
        mul(a, b): Mul;
        div(a, b): Div;
        max(a, b): Max;
        min(a, b): Min;
        sqrt(a): Sqrt;
        less(a, b): Less;
        select(c, a, b): Select;
    }
}

macro_rules! count {
    () => { 0 };
    ($x:ident $($rest:ident)*) => { 1 + count!($($rest)*) };
}

macro_rules! patterns {
    ($($name:ident: [$($v:ident)*; $($s:ident)*] $body:expr;)*) => {
        mod code {
            use super::value::*;
            use crate::num::Float;
            use crate::tile_fn::Elementwise;
            use crate::vector::Machine;
            $(
                #[derive(Debug)]
                pub(super) struct $name;
                impl<T: Float> Elementwise<T, { count!($($v)* $($s)*) }> for $name {
                    type R = T;
                    const SCALARS: u32 = (1 << count!($($v)* $($s)*)) - (1 << count!($($v)*));
                    #[inline(always)]
                    fn f<M: Machine>([$($v,)* $($s),*]: [T; count!($($v)* $($s)*)]) -> T {
                        $body
                    }
                }
            )*
        }

        /// All patterns as the list has them, with the loops of an instruction set.
        fn for_isa(isa: Isa) -> Vec<Pattern> {
            use tree::*;
            vec![$({
                const VECTORS: usize = count!($($v)*);
                const LEAVES: usize = count!($($v)* $($s)*);
                let mut at = (0..LEAVES).map(Leaf);
                let mut leaf = || at.next().unwrap_or(Leaf(LEAVES));
                $(let $v = leaf();)*
                $(let $s = leaf();)*
                Pattern {
                    tree: $body.into(),
                    leaves: LEAVES,
                    vectors: VECTORS,
                    f32: everywhere!(isa, f32, code::$name, LEAVES: $($v)*),
                    f64: everywhere!(isa, f64, code::$name, LEAVES: $($v)*),
                }
            }),*]
        }
    };
}

patterns! {
    // Updates of optimizers.
    Average: [a b; s t] add(mul(a, s), mul(b, t));
    AverageSquare: [a b; s t] add(mul(a, s), mul(mul(b, b), t));
    Adam: [a b c; s t u] sub(a, div(mul(b, s), add(div(sqrt(c), t), u)));
    AdamW: [a b c; r s t u] sub(mul(a, r), div(mul(b, s), add(div(sqrt(c), t), u)));
    Adagrad: [a b c; s t] sub(a, div(mul(b, s), add(sqrt(c), t)));
    RmsProp: [a b c; s t] sub(a, mul(s, div(b, add(sqrt(c), t))));
    Adamax: [a b c; s] sub(a, div(mul(b, s), c));
    Descend: [a b; s] sub(a, mul(b, s));
    Descends: [a b c; s t] sub(a, mul(s, add(b, mul(c, t))));
    Ascend: [a b; s] add(a, mul(b, s));
    Ascends: [a b c; s t] add(add(a, mul(b, s)), mul(c, t));
    Decay: [a b; r s] sub(mul(a, r), mul(b, s));
    Toward: [a b; s] add(a, mul(s, sub(b, a)));
    AddSquare: [a b;] add(a, mul(b, b));
    Normalized: [a b; s] div(a, add(sqrt(b), s));
    Root: [a; s t] add(div(sqrt(a), s), t);

    // Activations, their gradients, masks.
    Clip: [a; s t] min(max(a, s), t);
    Keep: [a b; s t] select(less(s, a), b, t);
    KeepSmall: [a b; s t] select(less(a, s), b, t);
    OneMinusSquare: [a b; s] mul(a, sub(s, mul(b, b)));
    TimesOneMinus: [a b; s] mul(a, mul(b, sub(s, b)));
    TimesOneMinusLeft: [a b; s] mul(mul(a, b), sub(s, b));
    Cubic: [a; s t] mul(add(a, mul(mul(a, mul(a, a)), s)), t);
    CubicOf: [a b; s t] mul(add(a, mul(mul(a, b), s)), t);
    Gated: [a b; s t] mul(mul(a, s), add(b, t));
    Affine: [a; s t] add(mul(a, s), t);
    Scaled: [a b; s] mul(mul(a, b), s);

    // Products and sums of two kinds.
    AddProduct: [a b c;] add(a, mul(b, c));
    SubProduct: [a b c;] sub(a, mul(b, c));
    ProductSub: [a b c;] sub(mul(a, b), c);
    Products: [a b c d;] add(mul(a, b), mul(c, d));
    Times3: [a b c;] mul(mul(a, b), c);
    Plus3: [a b c;] add(add(a, b), c);
    TimesDifference: [a b c;] mul(a, sub(b, c));
    TimesSum: [a b c;] mul(a, add(b, c));
    SumTimes: [a b; s] mul(add(a, b), s);
    DifferenceTimes: [a b; s] mul(sub(a, b), s);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile_fn::MAX_ARGS;

    #[test]
    fn every_leaf_is_used_and_no_pattern_is_there_twice() {
        fn leaves(tree: &Tree, seen: &mut [bool; MAX_ARGS]) {
            match tree {
                Tree::Leaf(i) => seen[*i] = true,
                Tree::Node(_, children) => children.iter().for_each(|x| leaves(x, seen)),
            }
        }
        let mut trees = std::collections::HashSet::new();
        for p in patterns() {
            let mut seen = [false; MAX_ARGS];
            leaves(&p.tree, &mut seen);
            assert!((0..MAX_ARGS).all(|i| seen[i] == (i < p.leaves)), "{p:?}");
            assert!(p.tree.size() >= 2 && p.vectors > 0, "{p:?}");
            let key = (format!("{:?}", p.tree), p.vectors);
            assert!(trees.insert(key), "{p:?}");
        }
    }
}
