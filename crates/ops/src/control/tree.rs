//! Structures of variables: what loops carry.

use crate::Var;

/// A structure of variables: a variable, `()`, a tuple, an array or a vector of structures.
pub trait Tree<'g>: Sized {
    /// Appends the variables, in order.
    fn flatten(&self, into: &mut Vec<Var<'g>>);
    /// The same structure with other variables, in the same order.
    #[must_use]
    fn rebuild(&self, next: &mut dyn FnMut() -> Var<'g>) -> Self;
}

impl<'g> Tree<'g> for Var<'g> {
    fn flatten(&self, into: &mut Vec<Var<'g>>) {
        into.push(*self);
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Var<'g>) -> Self {
        next()
    }
}

impl<'g, T: Tree<'g>> Tree<'g> for Vec<T> {
    fn flatten(&self, into: &mut Vec<Var<'g>>) {
        self.iter().for_each(|tree| tree.flatten(into));
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Var<'g>) -> Self {
        self.iter().map(|tree| tree.rebuild(next)).collect()
    }
}

impl<'g, T: Tree<'g>, const N: usize> Tree<'g> for [T; N] {
    fn flatten(&self, into: &mut Vec<Var<'g>>) {
        self.iter().for_each(|tree| tree.flatten(into));
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Var<'g>) -> Self {
        std::array::from_fn(|i| self[i].rebuild(next))
    }
}

/// Implements [`Tree`] for tuples.
macro_rules! tuples {
    ($(($($t:ident $i:tt),*))*) => {$(
        #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple has no variables")]
        impl<'g, $($t: Tree<'g>),*> Tree<'g> for ($($t,)*) {
            fn flatten(&self, into: &mut Vec<Var<'g>>) {
                $(self.$i.flatten(into);)*
            }

            fn rebuild(&self, next: &mut dyn FnMut() -> Var<'g>) -> Self {
                ($(self.$i.rebuild(next),)*)
            }
        }
    )*};
}

tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}
