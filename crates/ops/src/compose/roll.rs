//! Rotations: along axes, and of planes.

use pleach_graph::TypeError;

use crate::Var;
use crate::reduce::IntoAxes;

impl<'g> Var<'g> {
    /// Elements moved by `shifts[i]` along `axes[i]`; those that leave come in at the other end.
    /// With no axes and one shift, the value is rolled as one vector and keeps its shape.
    #[track_caller]
    pub fn roll(self, shifts: &[i64], axes: &[i64]) -> Var<'g> {
        let _at = self.graph().at();
        if axes.is_empty() && shifts.len() == 1 {
            return self.reshape([-1_i64]).roll(shifts, &[0]).reshape(self.shape());
        }
        if shifts.len() != axes.len() {
            let (left, right) = (shifts.len(), axes.len());
            let reason = TypeError::Sizes { what: "numbers of shifts and axes", left, right };
            return self.refuse("roll", &[self], reason);
        }
        if let Err(reason) = axes.iter().try_for_each(|&axis| self.axis(axis).map(drop)) {
            return self.refuse("roll", &[self], reason);
        }
        axes.iter().zip(shifts).fold(self, |x, (&axis, &shift)| {
            let n = x.size(axis);
            let cut = if n == 0 { 0 } else { shift.rem_euclid(n as i64) as usize };
            if cut == 0 {
                return x;
            }
            x.slice(axis, n - cut..n).concat(&[x.slice(axis, 0..n - cut)], axis)
        })
    }

    /// A plane turned by 90° `turns` times, from axis `axes[0]` towards `axes[1]`; negative turns
    /// go back.
    #[track_caller]
    pub fn rot90(self, turns: i64, axes: [i64; 2]) -> Var<'g> {
        let _at = self.graph().at();
        match axes.axes(self) {
            Ok(plane) if plane[0] != plane[1] => match turns.rem_euclid(4) {
                0 => self,
                1 => self.flip(axes[1]).transpose(axes[0], axes[1]),
                2 => self.flip(axes),
                _ => self.flip(axes[0]).transpose(axes[0], axes[1]),
            },
            Ok(_) => {
                let why = "a plane needs two different axes".into();
                self.refuse("rot90", &[self], TypeError::Attribute(why))
            }
            Err(reason) => self.refuse("rot90", &[self], reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn what_leaves_comes_in_at_the_other_end() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let at = Tensor::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.roll(&[1], &[])), [5.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(value(x.roll(&[1, -1], &[0, 1])), [4.0, 5.0, 3.0, 1.0, 2.0, 0.0]);
        assert_eq!(x.roll(&[2, 3], &[0, 1]).id(), x.id());
        assert!(x.roll(&[1, 1], &[]).ok().is_err());
        assert!(x.roll(&[1], &[2]).ok().is_err());
    }

    #[test]
    fn four_turns_are_none() {
        let g = Graph::new();
        let x = g.input("x", F64, [2, 3]);
        let at = Tensor::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.rot90(1, [0, 1])), [2.0, 5.0, 1.0, 4.0, 0.0, 3.0]);
        assert_eq!(value(x.rot90(-1, [0, 1])), value(x.rot90(3, [0, 1])));
        assert_eq!(value(x.rot90(1, [1, 0])), value(x.rot90(3, [0, 1])));
        assert_eq!(x.rot90(-4, [0, 1]).id(), x.id());
        assert!(x.rot90(1, [1, -1]).ok().is_err());
    }
}
