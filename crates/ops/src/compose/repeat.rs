//! Repetitions.

use pleach_graph::TypeError;
use pleach_tensor::{Shape, Tensor};

use crate::{GraphExt, Var};

impl<'g> Var<'g> {
    /// The whole value `times[i]` times along axis `i`; axes that it lacks are added in front.
    /// Refused if there are fewer times than axes.
    #[track_caller]
    pub fn repeat(self, times: &[usize]) -> Var<'g> {
        let _at = self.graph().at();
        let own = self.shape();
        if times.len() < own.rank() {
            let (left, right) = (times.len(), own.rank());
            let reason = TypeError::Sizes { what: "numbers of times and axes", left, right };
            return self.refuse("repeat", &[self], reason);
        }
        let ones = std::iter::repeat_n(1, times.len() - own.rank());
        let own: Vec<usize> = ones.chain(own.iter().copied()).collect();
        let product = |(&n, &t): (&usize, &usize)| n.checked_mul(t);
        let Some(shape) = own.iter().zip(times).map(product).collect::<Option<Shape>>() else {
            let why = "an axis would be longer than can be counted".into();
            return self.refuse("repeat", &[self], TypeError::Attribute(why));
        };
        // [n] -> [1, n] -> [t, n] -> [t·n], but for axes with nothing to repeat.
        let pairs = || own.iter().zip(times).map(|(&n, &t)| (t, n));
        let split = |t: usize, n: usize| if t == 1 || n == 1 { vec![t * n] } else { vec![t, n] };
        let before = |t: usize, n: usize| if t == 1 || n == 1 { vec![n] } else { vec![1, n] };
        let apart: Shape = pairs().flat_map(|(t, n)| before(t, n)).collect();
        let repeated: Shape = pairs().flat_map(|(t, n)| split(t, n)).collect();
        self.reshape(apart).broadcast_to(repeated).reshape(shape)
    }

    /// As [`Var::repeat`]; where there are fewer times than axes, they count from the last.
    #[track_caller]
    pub fn tile(self, times: &[usize]) -> Var<'g> {
        let missing = self.shape().rank().saturating_sub(times.len());
        self.repeat(&[&vec![1; missing], times].concat())
    }

    /// Every element `times` times in a row, along an axis. Flatten first to repeat the elements
    /// of the whole value.
    #[track_caller]
    pub fn repeat_interleave(self, axis: i64, times: usize) -> Var<'g> {
        let _at = self.graph().at();
        let shape = self.axis(axis).and_then(|axis| {
            let shape = self.shape();
            let why =
                || TypeError::Attribute("the axis would be longer than can be counted".into());
            let n = shape[axis].checked_mul(times).ok_or_else(why)?;
            Ok((axis, shape.with_axis(axis, n)))
        });
        match shape {
            Ok((axis, shape)) => {
                let mut apart = self.shape().to_vec();
                apart.insert(axis + 1, 1);
                let mut repeated = apart.clone();
                repeated[axis + 1] = times;
                self.reshape(apart).broadcast_to(repeated).reshape(shape)
            }
            Err(reason) => self.refuse("repeat_interleave", &[self], reason),
        }
    }

    /// Element `i` `times[i]` times in a row, along an axis of as many elements as there are
    /// times. They are fixed when the graph is recorded, for shapes are.
    #[track_caller]
    pub fn repeat_interleave_each(self, axis: i64, times: &[usize]) -> Var<'g> {
        let _at = self.graph().at();
        let right = match self.axis(axis) {
            Ok(axis) => self.shape()[axis],
            Err(reason) => return self.refuse("repeat_interleave", &[self], reason),
        };
        if times.len() != right {
            let left = times.len();
            let reason = TypeError::Sizes { what: "numbers of times and elements", left, right };
            return self.refuse("repeat_interleave", &[self], reason);
        }
        let indices: Vec<i64> = times
            .iter()
            .enumerate()
            .flat_map(|(i, &times)| std::iter::repeat_n(i as i64, times))
            .collect();
        match Tensor::new([indices.len()], indices) {
            Ok(indices) => self.take(axis, self.graph().constant(indices)),
            Err(error) => {
                let reason = TypeError::Attribute(error.to_string());
                self.refuse("repeat_interleave", &[self], reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn values_and_elements_repeat() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 2]);
        let at = Tensor::new([1, 2], vec![1.0, 2.0]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(x.repeat(&[2, 2])), [1.0, 2.0].repeat(4));
        assert_eq!(x.repeat(&[3, 1, 0]).shape(), [3, 1, 0].into());
        assert_eq!(value(x.tile(&[2])), [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(x.tile(&[2, 1, 1]).shape(), [2, 1, 2].into());
        assert_eq!(value(x.repeat_interleave(1, 2)), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(value(x.repeat_interleave_each(-1, &[0, 3])), [2.0; 3]);
        let dx = g.grad(x.repeat(&[2, 3]), &[x])[0];
        assert_eq!(value(dx), [6.0, 6.0]);
    }

    #[test]
    fn wrong_times_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 3]);
        assert!(x.repeat(&[2]).ok().is_err());
        assert!(x.repeat(&[usize::MAX, 1]).ok().is_err());
        assert!(x.repeat_interleave(0, usize::MAX).ok().is_err());
        assert!(x.repeat_interleave_each(0, &[1]).ok().is_err());
        assert!(x.repeat_interleave(2, 1).ok().is_err());
    }
}
