//! Pooling to lengths that are given: windows that cover an axis as evenly as can be.

use pleach_graph::TypeError;
use pleach_tensor::{Shape, Tensor, Type};

use crate::{GraphExt, Span, Var};

impl<'g> Var<'g> {
    /// The mean of windows that cover each of the last axes evenly, `lengths[i]` of them: window `o`
    /// of `n` along an axis of length `len` is `⌊o·len/n⌋ .. ⌈(o+1)·len/n⌉`. With all lengths 1 it is
    /// global pooling.
    #[track_caller]
    pub fn adaptive_avg_pool(self, lengths: &[usize]) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("adaptive_avg_pool", &[self]);
        }
        if let Err(reason) = self.require_mean().and_then(|()| self.require_lengths(lengths)) {
            return self.refuse("adaptive_avg_pool", &[self], reason);
        }
        let _at = self.graph().at();
        let (mut y, lead) = (self, self.shape().rank() - lengths.len());
        let mut counted = Vec::new();
        for (axis, &n) in (lead..).zip(lengths) {
            let len = y.shape()[axis];
            let windows: Vec<Vec<usize>> = (0..n)
                .map(|o| Span::Even { count: n }.window(o, len).into_iter().flatten().collect())
                .collect();
            counted.push(windows.iter().map(Vec::len).collect());
            y = y.sum_even(axis, len, &windows);
        }
        y.divided(&counted)
    }

    /// The sums of windows along an axis of length `len`, which they cover evenly.
    #[track_caller]
    fn sum_even(self, axis: usize, len: usize, windows: &[Vec<usize>]) -> Var<'g> {
        let (n, mut shape) = (windows.len(), self.shape().to_vec());
        if n == len {
            return self;
        }
        if n > 0 && len.is_multiple_of(n) {
            shape[axis] = n;
            shape.insert(axis + 1, len / n);
            return self.reshape(shape).sum(axis as i64 + 1);
        }
        // Windows of different lengths: each with places to spare, which are left out.
        let most = windows.iter().map(Vec::len).max().unwrap_or(0);
        let places = |w: &Vec<usize>| -> Vec<Option<usize>> {
            (0..most).map(|i| w.get(i).copied()).collect()
        };
        let places: Vec<Option<usize>> = windows.iter().flat_map(places).collect();
        let index: Vec<i64> = places.iter().map(|p| p.unwrap_or(0) as i64).collect();
        let inside: Vec<bool> = places.iter().map(Option::is_some).collect();
        let mut spread = vec![1; shape.len() + 1];
        spread[axis] = n;
        spread[axis + 1] = most;
        let (index, inside) = (Tensor::new([n, most], index), Tensor::new(spread, inside));
        match index.and_then(|index| Ok((index, inside?))) {
            Ok((index, inside)) => {
                let g = self.graph();
                let taken = self.take(axis as i64, g.constant(index));
                let inside = g.constant(inside).broadcast_to(taken.shape());
                inside.select(taken, 0.0).sum(axis as i64 + 1)
            }
            Err(error) => {
                let reason = TypeError::Attribute(error.to_string());
                self.refuse("adaptive_avg_pool", &[self], reason)
            }
        }
    }

    /// The maximum of windows that cover each of the last axes evenly, see
    /// [`Var::adaptive_avg_pool`]; ties and NaN as in [`Var::max_pool`].
    #[track_caller]
    pub fn adaptive_max_pool(self, lengths: &[usize]) -> Var<'g> {
        self.adaptive_max_pool_with_indices(lengths).0
    }

    /// As [`Var::adaptive_max_pool`], with the place of every maximum, as in
    /// [`Var::max_pool_with_indices`].
    #[track_caller]
    pub fn adaptive_max_pool_with_indices(self, lengths: &[usize]) -> (Var<'g>, Var<'g>) {
        let both = |v| (v, v);
        if self.ty().is_none() {
            return both(self.untyped("adaptive_max_pool", &[self]));
        }
        if let Err(reason) = self.require_lengths(lengths) {
            return both(self.refuse("adaptive_max_pool", &[self], reason));
        }
        let _at = self.graph().at();
        let spans: Vec<Span> = lengths.iter().map(|&count| Span::Even { count }).collect();
        self.gather_pool(self.argmax_pool(&spans), spans.len())
    }

    /// Can the last axes be pooled to these lengths?
    fn require_lengths(self, lengths: &[usize]) -> Result<(), TypeError> {
        let (shape, n) = (self.shape(), lengths.len());
        if n == 0 || n > shape.rank() {
            let why = format!("pooling over {n} axes of {}", shape.rank());
            return Err(TypeError::Attribute(why));
        }
        let lead = shape[..shape.rank() - n].iter();
        Type::new(self.dtype(), lead.chain(lengths).copied().collect::<Shape>())?;
        if shape[shape.rank() - n..].contains(&0) {
            let why = format!("an empty axis of {shape} cannot be pooled");
            return Err(TypeError::Attribute(why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn windows_cover_the_axis_evenly() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 5]);
        let at = Tensor::new([1, 5], vec![1.0, 2.0, 4.0, 8.0, f64::INFINITY]).unwrap();
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        // 0..2, 1..4, 3..5
        assert_eq!(value(x.adaptive_avg_pool(&[3])), [1.5, 14.0 / 3.0, f64::INFINITY]);
        assert_eq!(value(x.adaptive_avg_pool(&[5])), at.to_f64s());
        assert_eq!(value(x.adaptive_avg_pool(&[1, 1])), [f64::INFINITY]);
        let (y, places) = x.adaptive_max_pool_with_indices(&[3]);
        assert_eq!(value(y), [2.0, 8.0, f64::INFINITY]);
        assert_eq!(places.eval(&[&at]).unwrap().to_i64s(), [1, 3, 4]);
        let dx = value(g.grad(x.adaptive_avg_pool(&[3]), &[x])[0]);
        assert_eq!(dx, [0.5, 0.5 + 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0 + 0.5, 0.5]);
        assert!(x.adaptive_avg_pool(&[]).ok().is_err());
        assert!(x.adaptive_max_pool(&[1, 1, 1]).ok().is_err());
        assert!(g.input("e", F64, [2, 0]).adaptive_max_pool(&[1]).ok().is_err());
        assert!(x.adaptive_avg_pool(&[usize::MAX]).ok().is_err());
    }
}
