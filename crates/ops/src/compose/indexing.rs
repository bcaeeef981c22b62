//! Indexing as NumPy and PyTorch write it in brackets.

use std::ops;

use pleach_graph::TypeError;
use pleach_tensor::compare::unravel;
use pleach_tensor::{BOOL, DType, I64, Shape, Tensor};

use super::parts::{out_of_range, place};
use crate::shape::slice::Range;
use crate::{GraphExt, Var};

/// Indices of one axis as Python's slices write them: `2..`, `-3..-1`, [`step`]`(.., 2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First index; from the end if negative. `None`: the first of the axis.
    pub start: Option<i64>,
    /// Bound of the indices; from the end if negative. `None`: the end of the axis.
    pub stop: Option<i64>,
    /// Distance of two indices, at least 1.
    pub step: i64,
}

impl Bounds {
    /// The whole axis.
    pub const ALL: Bounds = Bounds { start: None, stop: None, step: 1 };

    /// The indices in an axis of length `n`: bounds beyond its ends are moved to them.
    ///
    /// # Errors
    /// [`TypeError::Attribute`] if the step is not positive.
    pub fn range(self, n: usize) -> Result<Range, TypeError> {
        let Some(step) = usize::try_from(self.step).ok().filter(|&step| step > 0) else {
            let why = format!("the step of a slice must be positive, got {}", self.step);
            return Err(TypeError::Attribute(why));
        };
        let clamp = |i: i64| {
            let i = if i < 0 { i.saturating_add_unsigned(n as u64) } else { i };
            usize::try_from(i).unwrap_or(0).min(n)
        };
        let start = self.start.map_or(0, clamp);
        let stop = self.stop.map_or(n, clamp).max(start);
        Ok(Range { start, stop, step })
    }
}

/// Every `step`-th index of a range: `x.index((.., step(1.., 2)))`.
pub fn step(span: impl Into<Bounds>, step: i64) -> Bounds {
    Bounds { step, ..span.into() }
}

/// As many whole axes as are missing, as [`ELLIPSIS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ellipsis;

/// A new axis of length 1, as [`NEW_AXIS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAxis;

/// As many whole axes as are missing; Python's `...`.
pub const ELLIPSIS: Ellipsis = Ellipsis;

/// A new axis of length 1; Python's `None`.
pub const NEW_AXIS: NewAxis = NewAxis;

/// One of the things in the brackets.
#[derive(Clone, Debug)]
pub enum Index<'g> {
    /// One index; the axis is removed.
    At(i64),
    /// A range of indices.
    Bounds(Bounds),
    /// As many whole axes as are missing.
    Ellipsis,
    /// A new axis of length 1.
    NewAxis,
    /// Indices that are known while recording; or a mask, for as many axes as it has: the places
    /// where it holds.
    List(Tensor),
    /// Indices that a run knows: i32 or i64.
    Take(Var<'g>),
}

impl Index<'_> {
    /// How many axes it stands for.
    fn axes(&self) -> usize {
        match self {
            Index::Ellipsis | Index::NewAxis => 0,
            Index::List(mask) if mask.dtype() == BOOL => mask.shape().rank(),
            _ => 1,
        }
    }
}

impl From<Ellipsis> for Index<'_> {
    fn from(_: Ellipsis) -> Self {
        Index::Ellipsis
    }
}

impl From<NewAxis> for Index<'_> {
    fn from(_: NewAxis) -> Self {
        Index::NewAxis
    }
}

impl<'g> From<Var<'g>> for Index<'g> {
    fn from(indices: Var<'g>) -> Self {
        Index::Take(indices)
    }
}

impl From<&Tensor> for Index<'_> {
    fn from(indices: &Tensor) -> Self {
        Index::List(indices.clone())
    }
}

impl From<Bounds> for Index<'_> {
    fn from(span: Bounds) -> Self {
        Index::Bounds(span)
    }
}

impl From<ops::RangeFull> for Bounds {
    fn from(_: ops::RangeFull) -> Self {
        Bounds::ALL
    }
}

impl From<ops::RangeFull> for Index<'_> {
    fn from(_: ops::RangeFull) -> Self {
        Index::Bounds(Bounds::ALL)
    }
}

/// An index as `i64`; one that does not fit lies beyond every axis anyway.
fn wide(index: impl TryInto<i64>) -> i64 {
    index.try_into().unwrap_or(i64::MAX)
}

macro_rules! integers_as_indices {
    ($($integer:ident)*) => {$(
        impl From<$integer> for Index<'_> {
            fn from(index: $integer) -> Self { Index::At(wide(index)) }
        }
        impl<const N: usize> From<[$integer; N]> for Index<'_> {
            fn from(list: [$integer; N]) -> Self { Index::from(list.as_slice()) }
        }
        impl From<&[$integer]> for Index<'_> {
            fn from(list: &[$integer]) -> Self {
                let list: Vec<i64> = list.iter().map(|&i| wide(i)).collect();
                let n = list.len();
                Index::List(Tensor::new([n], list).expect("a list of its own length"))
            }
        }
        integers_as_indices!(@span $integer
            |r: ops::Range<$integer>| (Some(wide(r.start)), Some(wide(r.end)));
            |r: ops::RangeFrom<$integer>| (Some(wide(r.start)), None);
            |r: ops::RangeTo<$integer>| (None, Some(wide(r.end)));
        );
    )*};
    (@span $integer:ident $(|$r:ident: $range:ty| $bounds:expr;)*) => {$(
        impl From<$range> for Bounds {
            fn from($r: $range) -> Self {
                let (start, stop): (Option<i64>, Option<i64>) = $bounds;
                Bounds { start, stop, step: 1 }
            }
        }
        impl From<$range> for Index<'_> {
            fn from(range: $range) -> Self { Index::Bounds(range.into()) }
        }
    )*};
}

integers_as_indices!(i32 i64 usize);

/// What goes in the brackets: one index, or a tuple of up to six.
pub trait Indices<'g> {
    /// As a list.
    fn indices(self) -> Vec<Index<'g>>;
}

impl<'g> Indices<'g> for Vec<Index<'g>> {
    fn indices(self) -> Vec<Index<'g>> {
        self
    }
}

impl<'g, T: Into<Index<'g>>> Indices<'g> for T {
    fn indices(self) -> Vec<Index<'g>> {
        vec![self.into()]
    }
}

macro_rules! tuples_as_indices {
    ($(($($t:ident)+))*) => {$(
        impl<'g, $($t: Into<Index<'g>>),+> Indices<'g> for ($($t,)+) {
            #[allow(non_snake_case, reason = "a variable for each type")]
            fn indices(self) -> Vec<Index<'g>> {
                let ($($t,)+) = self;
                vec![$($t.into()),+]
            }
        }
    )*};
}

tuples_as_indices! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl<'g> Var<'g> {
    /// The value that NumPy and PyTorch write with brackets: integers, ranges, [`step`]s,
    /// [`ELLIPSIS`], [`NEW_AXIS`], lists of indices and index variables. Negative indices count
    /// from the end. Axes that are not named are taken whole.
    ///
    /// Lists and variables of indices are broadcast to one shape, whose axes stand in the result
    /// where those indexed were if these are neighbours, and in front if not. Integers do not
    /// count for that, as in PyTorch.
    ///
    /// ```
    /// # use pleach_ops::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", F32, [4, 5, 6]);
    /// assert_eq!(x.index(-1).shape(), [5, 6].into());
    /// assert_eq!(x.index((1.., ELLIPSIS, step(.., 2))).shape(), [3, 5, 3].into());
    /// assert_eq!(x.index((.., NEW_AXIS, [0, 2, -1])).shape(), [4, 1, 3, 6].into());
    /// ```
    ///
    /// An index out of range is an error of recording if it is known then, else of the run; with
    /// several index variables that error says -1.
    #[track_caller]
    pub fn index(self, indices: impl Indices<'g>) -> Var<'g> {
        let _at = self.graph().at();
        let Some(ty) = self.ty() else { return self.untyped("index", &[self]) };
        let mut list = indices.indices();
        let used = list.iter().map(Index::axes).fold(0usize, usize::saturating_add);
        let dots = list.iter().filter(|i| matches!(i, Index::Ellipsis)).count();
        let refuse = |reason| self.refuse("index", &[self], reason);
        let Some(missing) = ty.rank().checked_sub(used) else {
            let why = format!("{used} indices for {} axes", ty.rank());
            return refuse(TypeError::Attribute(why));
        };
        if dots > 1 {
            return refuse(TypeError::Attribute("more than one ellipsis".into()));
        }
        let at = list.iter().position(|i| matches!(i, Index::Ellipsis)).unwrap_or(list.len());
        list.splice(at..at + dots, std::iter::repeat_n(Index::Bounds(Bounds::ALL), missing));

        let (mut x, mut axis, mut advanced) = (self, 0, Vec::new());
        for index in list {
            match index {
                Index::At(i) => {
                    x = x.index_axis(axis, i);
                    continue;
                }
                Index::Bounds(span) => x = x.slice_bounds(axis, span),
                Index::NewAxis => x = x.unsqueeze(axis),
                Index::List(list) => match x.listed(&list, axis) {
                    Ok(known) => {
                        let places = (axis..).zip(known).map(|(axis, v)| (axis, v, true));
                        advanced.extend(places);
                        axis += Index::List(list).axes() as i64 - 1;
                    }
                    Err(reason) => return refuse(reason),
                },
                Index::Take(v) => match v.ty().map(|ty| ty.dtype()) {
                    Some(DType::I32 | DType::I64) => {
                        advanced.push((axis, v.counted_from_end(x.size(axis)), false));
                    }
                    Some(got) => {
                        let reason = TypeError::DType { operand: 1, expected: "i32 or i64", got };
                        return self.refuse("index", &[self, v], reason);
                    }
                    None => return self.untyped("index", &[self, v]),
                },
                Index::Ellipsis => continue,
            }
            axis += 1;
        }
        match advanced[..] {
            [] => x,
            [(axis, indices, _)] => x.take(axis, indices),
            _ => x.take_together(&advanced),
        }
    }

    /// Known indices into an axis as a constant, counted from the start; of a mask, the places
    /// where it holds, for each of its axes from this one on.
    #[track_caller]
    fn listed(self, list: &Tensor, axis: i64) -> Result<Vec<Var<'g>>, TypeError> {
        if list.dtype() == BOOL {
            return self.masked(list, axis);
        }
        let n = self.size(axis);
        if !matches!(list.dtype(), DType::I32 | DType::I64) {
            let got = list.dtype();
            return Err(TypeError::DType { operand: 1, expected: "i32 or i64", got });
        }
        let from_start = |i: i64| place(i, n).ok_or_else(|| out_of_range(i, n));
        let places: Vec<i64> = (list.to_i64s().into_iter())
            .map(|i| from_start(i).map(|at| at as i64))
            .collect::<Result<_, _>>()?;
        let places = Tensor::new(list.shape().clone(), places);
        let places = places.map_err(|error| TypeError::Attribute(error.to_string()))?;
        Ok(vec![self.graph().constant(places)])
    }

    #[track_caller]
    fn masked(self, mask: &Tensor, axis: i64) -> Result<Vec<Var<'g>>, TypeError> {
        let rank = mask.shape().rank() as i64;
        let own: Shape = (axis..axis + rank).map(|axis| self.size(axis)).collect();
        if rank == 0 || own != *mask.shape() {
            return Err(TypeError::Shapes(own, mask.shape().clone()));
        }
        let holds = mask.to_i64s();
        let places: Vec<_> =
            (0..holds.len()).filter(|&i| holds[i] != 0).map(|i| unravel(i, &own)).collect();
        let along = |d: usize| {
            let indices: Vec<i64> = places.iter().map(|place| place[d] as i64).collect();
            let indices = Tensor::new([indices.len()], indices);
            let indices = indices.map_err(|error| TypeError::Attribute(error.to_string()))?;
            Ok(self.graph().constant(indices))
        };
        (0..own.rank()).map(along).collect()
    }

    /// Indices into an axis of length `n`, those below 0 from the end.
    #[track_caller]
    pub(crate) fn counted_from_end(self, n: usize) -> Var<'g> {
        let wide = self.cast(I64);
        wide.less(0).select(wide + n, wide)
    }

    /// Elements at several indices at once: along one axis that joins those indexed.
    #[track_caller]
    fn take_together(self, advanced: &[(i64, Var<'g>, bool)]) -> Var<'g> {
        let axes: Vec<i64> = advanced.iter().map(|&(axis, ..)| axis).collect();
        let all: Vec<Var<'g>> = advanced.iter().map(|&(_, indices, _)| indices).collect();
        let mut shape = Shape::scalar();
        for v in &all {
            match shape.broadcast(&v.shape()) {
                Some(wider) => shape = wider,
                None => {
                    let reason = TypeError::Broadcast(shape, v.shape());
                    return self.refuse("index", &[&[self], &all[..]].concat(), reason);
                }
            }
        }
        let (mut flat, mut valid) = (None::<Var<'g>>, None::<Var<'g>>);
        for &(axis, indices, known) in advanced {
            let n = self.size(axis);
            let indices = indices.broadcast_to(&shape);
            flat = Some(flat.map_or(indices, |flat| flat * n + indices));
            if !known {
                let inside = indices.greater_equal(0).and(indices.less(n));
                valid = Some(valid.map_or(inside, |valid| valid.and(inside)));
            }
        }
        let Some(mut flat) = flat else { return self };
        if let Some(valid) = valid {
            flat = valid.select(flat, -1);
        }
        let neighbours = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let (first, k) = (if neighbours { axes[0] } else { 0 }, axes.len() as i64);
        let together: Vec<i64> = (first..first + k).collect();
        self.movedim(&axes, &together).flatten_axes(first, first + k - 1).take(first, flat)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::{Bounds, Index};

    fn cube(g: &Graph) -> (Var<'_>, Tensor) {
        let ty = Type::new(F64, [2, 3, 4]).unwrap();
        (g.input("x", F64, [2, 3, 4]), Tensor::build(&ty, |i| i as f64))
    }

    #[test]
    fn integers_ranges_and_new_axes() {
        let g = Graph::new();
        let (x, at) = cube(&g);
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.index((1, -1, 2))), [22.0]);
        assert_eq!(value(x.index((.., 0, 1))), [1.0, 13.0]);
        assert_eq!(value(x.index((ELLIPSIS, step(1.., 2)))).len(), 12);
        assert_eq!(x.index((NEW_AXIS, ELLIPSIS, NEW_AXIS)).shape(), [1, 2, 3, 4, 1].into());
        assert_eq!(x.index((.., ..)).id(), x.id());
        assert_eq!(x.index(Vec::from([Index::At(0), Index::Ellipsis])).shape(), [3, 4].into());
        assert_eq!(x.index(Bounds::ALL).id(), x.id());
    }

    #[test]
    fn indices_that_are_neighbours_stay_and_others_come_first() {
        let g = Graph::new();
        let (x, at) = cube(&g);
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.index((0, [0, -1], [1, 2]))), [1.0, 10.0]);
        assert_eq!(x.index((.., [0, 1, 2, 0, 0], [1, 2, 0, 0, 0])).shape(), [2, 5].into());
        let apart = x.index(([0, 1, 1], .., [3, 0, 0]));
        assert_eq!(apart.shape(), [3, 3].into());
        assert_eq!(value(apart)[..4], [3.0, 7.0, 11.0, 12.0]);
        let both = x.index(([1], .., [[0], [1]].map(|[i]| i)));
        assert_eq!(both.shape(), [2, 3].into());
        assert_eq!(x.index((0, .., [1, 2])).shape(), [3, 2].into(), "PyTorch, not NumPy");
    }

    #[test]
    fn variables_of_indices_are_checked_by_the_run() {
        let g = Graph::new();
        let (x, at) = cube(&g);
        let (i, j) = (g.input("i", I64, [2]), g.input("j", I32, [2, 1]));
        let i2 = Tensor::new([2], vec![0i64, -1]).unwrap();
        let j2 = |a| Tensor::new([2, 1], vec![a, 1i32]).unwrap();
        let y = x.index((i, .., j));
        assert_eq!(y.shape(), [2, 2, 3].into());
        let value = y.eval(&[&at, &i2, &j2(-4)]).unwrap().to_f64s();
        assert_eq!(value[..6], [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]);
        assert!(y.eval(&[&at, &i2, &j2(4)]).is_err(), "not an element of the next row");
        assert!(y.eval(&[&at, &i2, &j2(-5)]).is_err());
        assert_eq!(x.index(i).eval(&[&at, &i2, &j2(0)]).unwrap().shape(), &[2, 3, 4].into());
    }

    #[test]
    fn a_known_mask_names_the_places_where_it_holds() {
        let g = Graph::new();
        let (x, at) = cube(&g);
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        let mask = Tensor::new([3], vec![false, true, true]).unwrap();
        assert_eq!(value(x.index((0, &mask, 1))), [5.0, 9.0]);
        let plane = Tensor::build_i64(&Type::new(BOOL, [2, 3]).unwrap(), |i| i64::from(i == 4));
        assert_eq!(value(x.index((&plane, step(.., 3)))), [16.0, 19.0]);
        assert!(x.index(&plane.reshape([6]).unwrap()).ok().is_err());
    }

    #[test]
    fn wrong_indices_are_refused() {
        let g = Graph::new();
        let (x, _) = cube(&g);
        let mask = g.input("mask", BOOL, [2]);
        assert!(x.index((0, 0, 0, 0)).ok().is_err());
        assert!(x.index((ELLIPSIS, ELLIPSIS)).ok().is_err());
        assert!(x.index(2).ok().is_err());
        assert!(x.index([0, 2]).ok().is_err());
        assert!(x.index(([0, 1], [0, 1, 2])).ok().is_err());
        assert!(x.index(step(.., -1)).ok().is_err());
        assert!(x.index(mask).ok().is_err());
    }
}
