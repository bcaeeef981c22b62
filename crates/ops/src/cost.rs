//! What an operator costs, and how its axes relate.

use std::iter::Sum;
use std::ops::Add;

use pleach_graph::Traits;
use pleach_tensor::Type;

/// Work of one operator run by itself: arithmetic operations, and bytes read and written. Types
/// that no machine holds may cost more than can be counted: then the numbers stay at the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point (or integer) operations; a multiply-add counts 2, an `exp` 1.
    pub flops: u64,
    /// Bytes of operands read and results written, each once.
    pub bytes: u64,
}

impl Cost {
    /// No work: a view, a source, a constant.
    pub const FREE: Cost = Cost { flops: 0, bytes: 0 };

    /// `flops` operations an element of the result `y`; every operand read, the result written.
    pub fn elementwise(x: &[&Type], y: &Type, flops: u64) -> Cost {
        let bytes = |sum: u64, t: &Type| sum.saturating_add(t.bytes() as u64);
        let bytes = bytes(x.iter().fold(0, |sum, t| bytes(sum, t)), y);
        Cost { flops: flops.saturating_mul(y.numel() as u64), bytes }
    }

    /// One operation an element of the operands: reductions.
    pub fn reduction(x: &[&Type], y: &Type) -> Cost {
        let flops = x.iter().fold(0u64, |sum, t| sum.saturating_add(t.numel() as u64));
        Cost { flops, bytes: Cost::elementwise(x, y, 0).bytes }
    }
}

impl Add for Cost {
    type Output = Cost;
    fn add(self, other: Cost) -> Cost {
        let flops = self.flops.saturating_add(other.flops);
        Cost { flops, bytes: self.bytes.saturating_add(other.bytes) }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(iter: I) -> Cost {
        iter.fold(Cost::FREE, Cost::add)
    }
}

/// What one axis of an operand means for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Slice `k` of it determines slice `k` of this axis of the result, and nothing else.
    Same(usize),
    /// It is summed or otherwise reduced over: every slice influences every element.
    Contract,
    /// It has length 1 and is repeated along this axis of the result.
    Broadcast(usize),
    /// Nothing is known.
    Opaque,
}

/// For every operand, what each of its axes means. Passes that move, split or shrink axes ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisRelations(pub Vec<Vec<Axis>>);

impl AxisRelations {
    /// Nothing is known.
    pub fn opaque(x: &[&Type]) -> Self {
        AxisRelations(x.iter().map(|t| vec![Axis::Opaque; t.rank()]).collect())
    }

    /// Every operand has the result's axes.
    pub fn same(x: &[&Type]) -> Self {
        AxisRelations(x.iter().map(|t| (0..t.rank()).map(Axis::Same).collect()).collect())
    }

    /// [`AxisRelations::same`] for elementwise operators, else [`AxisRelations::opaque`].
    pub fn by_traits(traits: Traits, x: &[&Type], y: &Type) -> Self {
        let same = traits.has(Traits::ELEMENTWISE) && x.iter().all(|t| t.rank() == y.rank());
        if same { Self::same(x) } else { Self::opaque(x) }
    }

    /// Every operand has the result's axes; nothing is known of `axis`.
    pub fn same_but(x: &[&Type], axis: usize) -> Self {
        let mut relations = Self::same(x);
        relations.0.iter_mut().for_each(|axes| axes[axis] = Axis::Opaque);
        relations
    }

    /// One operand with `axes` contracted and removed.
    pub fn reduced(rank: usize, axes: &[usize]) -> Self {
        let mut next = 0;
        let relation = |axis: usize| {
            if axes.contains(&axis) {
                return Axis::Contract;
            }
            next += 1;
            Axis::Same(next - 1)
        };
        AxisRelations(vec![(0..rank).map(relation).collect()])
    }
}
