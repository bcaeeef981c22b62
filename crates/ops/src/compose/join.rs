//! Values beside, above and along one another.

use pleach_graph::TypeError;
use pleach_tensor::Shape;

use crate::Var;

impl<'g> Var<'g> {
    /// This value, then `others`, along a new axis. All have one shape.
    #[track_caller]
    pub fn stack(self, others: &[Var<'g>], axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        if let Err(reason) = self.new_axis(axis) {
            return self.refuse("stack", &[&[self], others].concat(), reason);
        }
        if let Some(other) = others.iter().find(|v| v.ty().is_some() && v.shape() != self.shape()) {
            let reason = TypeError::Shapes(self.shape(), other.shape());
            return self.refuse("stack", &[&[self], others].concat(), reason);
        }
        let rest: Vec<Var<'g>> = others.iter().map(|v| v.unsqueeze(axis)).collect();
        self.unsqueeze(axis).concat(&rest, axis)
    }

    /// Side by side: vectors one after the other, other values along axis 1.
    #[track_caller]
    pub fn hstack(self, others: &[Var<'g>]) -> Var<'g> {
        let _at = self.graph().at();
        let all: Vec<Var<'g>> = [&[self], others].concat().iter().map(|v| v.at_least(1)).collect();
        all[0].concat(&all[1..], i64::from(all[0].shape().rank() > 1))
    }

    /// On top of one another, along axis 0; vectors are rows.
    #[track_caller]
    pub fn vstack(self, others: &[Var<'g>]) -> Var<'g> {
        let _at = self.graph().at();
        let all: Vec<Var<'g>> = [&[self], others].concat().iter().map(|v| v.at_least(2)).collect();
        all[0].concat(&all[1..], 0)
    }

    /// With axes of length 1 before the first, until there are `rank`.
    #[track_caller]
    fn at_least(self, rank: usize) -> Var<'g> {
        if self.ty().is_none() {
            return self;
        }
        let shape = self.shape();
        let ones = std::iter::repeat_n(1, rank.saturating_sub(shape.rank()));
        self.reshape(ones.chain(shape.iter().copied()).collect::<Shape>())
    }

    /// Grids of coordinates of vectors: the first result repeats `self` along all axes but its
    /// own, which is axis 0, the second repeats `others[0]` along all but axis 1, and so on
    /// (NumPy's `indexing="ij"`).
    #[track_caller]
    pub fn meshgrid(self, others: &[Var<'g>]) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        let all: Vec<Var<'g>> = [&[self], others].concat();
        if let Some(v) = all.iter().find(|v| v.ty().is_none() || v.shape().rank() > 1) {
            let operand = all.iter().position(|w| w.id() == v.id()).unwrap_or(0);
            let (expected, got) = ("at most 1", v.shape());
            let reason = TypeError::Rank { operand, expected, got };
            return vec![self.refuse("meshgrid", &all, reason); all.len()];
        }
        let shape: Shape = all.iter().map(|v| v.size(0)).collect();
        let along = |(axis, v): (usize, &Var<'g>)| {
            let own = (0..all.len()).map(|i| if i == axis { shape[axis] } else { 1 });
            v.reshape(own.collect::<Shape>()).broadcast_to(&shape)
        };
        all.iter().enumerate().map(along).collect()
    }

    /// As [`Var::meshgrid`] with the first two axes exchanged (NumPy's `indexing="xy"`).
    #[track_caller]
    pub fn meshgrid_xy(self, others: &[Var<'g>]) -> Vec<Var<'g>> {
        let _at = self.graph().at();
        let grids = self.meshgrid(others);
        if others.is_empty() {
            return grids;
        }
        grids.iter().map(|v| v.transpose(0, 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn values_are_joined() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        let (v, none) = (g.input("v", F32, [3]), g.input("none", F32, [0]));
        assert_eq!(x.stack(&[x, x], 1).shape(), [2, 3, 3].into());
        assert_eq!(x.hstack(&[x]).shape(), [2, 6].into());
        assert_eq!(x.vstack(&[v]).shape(), [3, 3].into());
        assert_eq!(v.hstack(&[v]).shape(), [6].into());
        assert_eq!(v.vstack(&[v]).shape(), [2, 3].into());
        assert_eq!(none.concat(&[x, none], 1).id(), x.id());
        assert_eq!(none.concat(&[v, none], 0).shape(), [3].into());
        assert!(x.stack(&[v], 0).ok().is_err());
        assert!(none.stack(&[v], 0).ok().is_err());
        assert!(x.concat(&[v], 0).ok().is_err());
    }

    #[test]
    fn coordinates_repeat() {
        let g = Graph::new();
        let (x, y) = (g.iota(I64, [2], 0), g.iota(I64, [3], 0));
        let grids = x.meshgrid(&[y]);
        let value = |v: Var<'_>| v.eval(&[]).unwrap().to_i64s();
        assert_eq!(value(grids[0]), [0, 0, 0, 1, 1, 1]);
        assert_eq!(value(grids[1]), [0, 1, 2, 0, 1, 2]);
        assert_eq!(x.meshgrid_xy(&[y])[0].shape(), [3, 2].into());
        assert!(grids[0].meshgrid(&[y])[0].ok().is_err());
    }
}
