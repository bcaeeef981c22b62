//! Products of vectors, matrices and tensors.

use pleach_graph::TypeError;
use pleach_tensor::Shape;

use super::contraction::{Label, Labelled, contract_all, set};
use crate::Var;

impl<'g> Var<'g> {
    /// Have these operands these ranks?
    fn ranks(self, op: &str, x: &[Var<'g>], ranks: &[usize]) -> Result<(), Var<'g>> {
        if x.iter().any(|v| v.ty().is_none()) {
            return Err(self.untyped(op, x));
        }
        let wrong = x.iter().zip(ranks).position(|(v, &rank)| v.shape().rank() != rank);
        let Some(operand) = wrong else { return Ok(()) };
        let expected = ["0", "1", "2", "3"].get(ranks[operand]).copied().unwrap_or("more");
        let reason = TypeError::Rank { operand, expected, got: x[operand].shape() };
        Err(self.refuse(op, x, reason))
    }

    /// `matmul` of operands of exactly these ranks.
    #[track_caller]
    fn product(self, op: &str, other: Var<'g>, ranks: [usize; 2]) -> Var<'g> {
        let _at = self.graph().at();
        match self.ranks(op, &[self, other], &ranks) {
            Ok(()) => self.matmul(other),
            Err(refused) => refused,
        }
    }

    /// The product of two matrices.
    #[track_caller]
    pub fn mm(self, other: Var<'g>) -> Var<'g> {
        self.product("mm", other, [2, 2])
    }

    /// The product of a matrix and a vector.
    #[track_caller]
    pub fn mv(self, other: Var<'g>) -> Var<'g> {
        self.product("mv", other, [2, 1])
    }

    /// The inner product of two vectors.
    #[track_caller]
    pub fn dot(self, other: Var<'g>) -> Var<'g> {
        self.product("dot", other, [1, 1])
    }

    /// The products of the matrices of two batches.
    #[track_caller]
    pub fn bmm(self, other: Var<'g>) -> Var<'g> {
        let (left, right) = (self.size(0), other.size(0));
        if left != right && self.shape().rank() == 3 && other.shape().rank() == 3 {
            let reason = TypeError::Sizes { what: "batch sizes", left, right };
            return self.refuse("bmm", &[self, other], reason);
        }
        self.product("bmm", other, [3, 3])
    }

    /// `x[i] · y[j]` of two vectors.
    #[track_caller]
    pub fn outer(self, other: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        match self.ranks("outer", &[self, other], &[1, 1]) {
            Ok(()) => self.unsqueeze(1) * other.unsqueeze(0),
            Err(refused) => refused,
        }
    }

    /// `beta · self + alpha · product`. With `beta` 0 this value is not read.
    #[track_caller]
    fn added(self, op: &str, product: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let (Some(own), Some(of)) = (self.ty(), product.ty()) else {
            return self.untyped(op, &[self, product]);
        };
        if own.shape().broadcast(of.shape()).as_ref() != Some(of.shape()) {
            let reason = TypeError::Broadcast(own.shape().clone(), of.shape().clone());
            return self.refuse(op, &[self, product], reason);
        }
        let scaled = |x: Var<'g>, by: f64| if by == 1.0 { x } else { x * by };
        let product = scaled(product, alpha);
        if beta == 0.0 { product } else { scaled(self, beta) + product }
    }

    /// `beta · self + alpha · a·b` with matrices `a` and `b`; this value is broadcast. With `beta` 0
    /// it is not read: NaN does not spread.
    #[track_caller]
    pub fn addmm(self, a: Var<'g>, b: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.added("addmm", a.mm(b), beta, alpha)
    }

    /// `beta · self + alpha · a·b` with a matrix `a` and a vector `b`; as [`Var::addmm`].
    #[track_caller]
    pub fn addmv(self, a: Var<'g>, b: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.added("addmv", a.mv(b), beta, alpha)
    }

    /// `beta · self + alpha · (outer product of a and b)`; as [`Var::addmm`].
    #[track_caller]
    pub fn addr(self, a: Var<'g>, b: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.added("addr", a.outer(b), beta, alpha)
    }

    /// `beta · self + alpha · a[i]·b[i]` for every matrix of two batches; as [`Var::addmm`].
    #[track_caller]
    pub fn baddbmm(self, a: Var<'g>, b: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        self.added("baddbmm", a.bmm(b), beta, alpha)
    }

    /// `beta · self + alpha · Σ a[i]·b[i]` over the matrices of two batches, as one product; see
    /// [`Var::addmm`].
    #[track_caller]
    pub fn addbmm(self, a: Var<'g>, b: Var<'g>, beta: f64, alpha: f64) -> Var<'g> {
        let _at = self.graph().at();
        if let Err(refused) = a.ranks("addbmm", &[a, b], &[3, 3]) {
            return refused;
        }
        self.added("addbmm", a.einsum("bij,bjk->ik", &[b]), beta, alpha)
    }

    /// `self · weightᵀ + bias`: `[.., in]` and `[out, in]` give `[.., out]`. A weight `[in]` gives
    /// `[..]`.
    #[track_caller]
    pub fn linear(self, weight: Var<'g>, bias: Option<Var<'g>>) -> Var<'g> {
        let _at = self.graph().at();
        let weight = if weight.shape().rank() == 2 { weight.t() } else { weight };
        let y = self.matmul(weight);
        bias.map_or(y, |bias| y + bias)
    }

    /// `y[.., o] = Σ self[.., i] · weight[o, i, j] · other[.., j] + bias[o]`.
    #[track_caller]
    pub fn bilinear(self, other: Var<'g>, weight: Var<'g>, bias: Option<Var<'g>>) -> Var<'g> {
        let _at = self.graph().at();
        let y = self.einsum("...i,oij,...j->...o", &[weight, other]);
        bias.map_or(y, |bias| y + bias)
    }

    /// The product summed over pairs of axes: `axes[k]` of this value with `other_axes[k]` of the
    /// other. The result has the other axes of this value, then those of the other.
    #[track_caller]
    pub fn tensordot(self, other: Var<'g>, axes: &[i64], other_axes: &[i64]) -> Var<'g> {
        let _at = self.graph().at();
        let pairs = self.paired(other, axes, other_axes);
        let pairs = match pairs {
            Ok(pairs) => pairs,
            Err(reason) => return self.refuse("tensordot", &[self, other], reason),
        };
        let rank = self.shape().rank();
        let mut right: Vec<Label> =
            (rank..rank + other.shape().rank()).map(|l| l as Label).collect();
        let mut left: Vec<Label> = (0..rank).map(|l| l as Label).collect();
        for &(a, b) in &pairs {
            right[b] = left[a];
        }
        let output: Vec<Label> = {
            let summed = |l: &Label| pairs.iter().any(|&(a, _)| left[a] == *l);
            left.iter().chain(&right).copied().filter(|l| !summed(l)).collect()
        };
        left.truncate(rank);
        let factors =
            vec![Labelled { value: self, labels: left }, Labelled { value: other, labels: right }];
        match contract_all(factors, set(&output), &|_| 1) {
            Some(y) => y.ordered(&output).value,
            None => self,
        }
    }

    /// Axes that a product sums over, checked.
    fn paired(
        self,
        other: Var<'g>,
        axes: &[i64],
        other_axes: &[i64],
    ) -> Result<Vec<(usize, usize)>, TypeError> {
        let (left, right) = (axes.len(), other_axes.len());
        if left != right {
            return Err(TypeError::Sizes { what: "numbers of axes", left, right });
        }
        let mut pairs: Vec<(usize, usize)> = vec![];
        for (&a, &b) in axes.iter().zip(other_axes) {
            let (a, b) = (self.axis(a)?, other.axis(b)?);
            let (left, right) = (self.shape()[a], other.shape()[b]);
            if left != right {
                return Err(TypeError::Sizes { what: "lengths of summed axes", left, right });
            }
            if pairs.iter().any(|&(c, d)| a == c || b == d) {
                return Err(TypeError::Attribute("an axis is summed over twice".into()));
            }
            pairs.push((a, b));
        }
        Ok(pairs)
    }

    /// The Kronecker product: every element of this value times all of the other, in blocks.
    #[track_caller]
    pub fn kron(self, other: Var<'g>) -> Var<'g> {
        let _at = self.graph().at();
        if self.ty().is_none() || other.ty().is_none() {
            return self.untyped("kron", &[self, other]);
        }
        let (a, b) = (self.shape(), other.shape());
        let rank = a.rank().max(b.rank());
        let padded = |s: &Shape| -> Vec<usize> {
            std::iter::repeat_n(1, rank - s.rank()).chain(s.iter().copied()).collect()
        };
        let (a, b) = (padded(&a), padded(&b));
        let spread = |x: Var<'g>, lengths: &[usize], first: bool| {
            let pair = |&n: &usize| if first { [n, 1] } else { [1, n] };
            x.reshape(lengths.iter().flat_map(pair).collect::<Shape>())
        };
        let y = spread(self, &a, true) * spread(other, &b, false);
        y.reshape(a.iter().zip(&b).map(|(a, b)| a * b).collect::<Shape>())
    }

    /// The product of a chain of matrices, this one first, in the order of least work. The first and
    /// the last may be vectors: a row and a column, whose axis is removed from the result.
    #[track_caller]
    pub fn multi_dot(self, others: &[Var<'g>]) -> Var<'g> {
        let _at = self.graph().at();
        let chain: Vec<Var<'g>> = [&[self], others].concat();
        let last = chain.len() - 1;
        let rank = |i: usize| match i {
            _ if (i == 0 || i == last) && chain[i].shape().rank() == 1 => 1,
            _ => 2,
        };
        let ranks: Vec<usize> = (0..chain.len()).map(rank).collect();
        if let Err(refused) = self.ranks("multi_dot", &chain, &ranks) {
            return refused;
        }
        // The lengths between the factors.
        let mut sizes = vec![if ranks[0] == 1 { 1 } else { self.size(0) }];
        sizes.extend(chain.iter().zip(&ranks).enumerate().map(|(i, (x, &rank))| match rank {
            1 if i == 0 => x.size(0),
            1 => 1,
            _ => x.size(1),
        }));
        let splits = splits(&sizes);
        product_of(&chain, &splits, 0, last)
    }

    /// The sum of the diagonal of a matrix.
    #[track_caller]
    pub fn trace(self) -> Var<'g> {
        let _at = self.graph().at();
        if let Err(refused) = self.ranks("trace", &[self], &[2]) {
            return refused;
        }
        let (n, m) = (self.size(0), self.size(1));
        let stop = n.min(m).checked_sub(1).map_or(0, |last| last * (m + 1) + 1);
        self.reshape([n * m]).slice_step(0, 0..stop, m + 1).sum(0)
    }

    /// The cross product along an axis of length 3 (`-1` is the last); shapes are broadcast.
    #[track_caller]
    pub fn cross(self, other: Var<'g>, axis: i64) -> Var<'g> {
        let _at = self.graph().at();
        let [a, b] = match self.broadcast_with("cross", other) {
            Ok(both) => both,
            Err(refused) => return refused,
        };
        let length = match a.axis(axis) {
            Ok(at) => a.shape()[at],
            Err(reason) => return self.refuse("cross", &[self, other], reason),
        };
        if length != 3 {
            let reason =
                TypeError::Sizes { what: "length of the axis and 3", left: length, right: 3 };
            return self.refuse("cross", &[self, other], reason);
        }
        let turned = |x: Var<'g>, by| x.slice(axis, by..3).concat(&[x.slice(axis, 0..by)], axis);
        turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1)
    }
}

/// For a chain of matrices with these lengths between them, where the product of `i..=j` is split.
fn splits(sizes: &[usize]) -> Vec<Vec<usize>> {
    let n = sizes.len() - 1;
    let mut cost = vec![vec![0f64; n]; n];
    let mut split = vec![vec![0; n]; n];
    for width in 1..n {
        for i in 0..n - width {
            let j = i + width;
            cost[i][j] = f64::INFINITY;
            for k in i..j {
                let outer = sizes[i] as f64 * sizes[k + 1] as f64 * sizes[j + 1] as f64;
                let total = cost[i][k] + cost[k + 1][j] + outer;
                if total < cost[i][j] {
                    (cost[i][j], split[i][j]) = (total, k);
                }
            }
        }
    }
    split
}

/// The product of the factors `first..=last`, split as told. The order of work is a list, not a
/// recursion: a chain may be long.
#[track_caller]
fn product_of<'g>(chain: &[Var<'g>], split: &[Vec<usize>], first: usize, last: usize) -> Var<'g> {
    let (mut open, mut closed) = (vec![(first, last)], vec![]);
    while let Some((i, j)) = open.pop() {
        closed.push((i, j));
        if i < j {
            open.extend([(i, split[i][j]), (split[i][j] + 1, j)]);
        }
    }
    // Children come after their parents: from the end, every product finds both factors made.
    let mut values = vec![];
    for (i, j) in closed.into_iter().rev() {
        if i == j {
            values.push(chain[i]);
        } else if let (Some(right), Some(left)) = (values.pop(), values.pop()) {
            values.push(left.matmul(right));
        }
    }
    values.pop().unwrap_or(chain[first])
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn counting<'g>(g: &'g Graph, shape: &[usize]) -> Var<'g> {
        let n: usize = shape.iter().product();
        g.constant(Tensor::new(shape, (1..=n).map(|i| i as f64).collect::<Vec<_>>()).unwrap())
    }

    fn value(y: Var<'_>) -> Vec<f64> {
        y.eval(&[]).unwrap().to_f64s()
    }

    #[test]
    fn small_products() {
        let g = Graph::new();
        let (v, m) = (counting(&g, &[2]), counting(&g, &[2, 2]));
        assert_eq!(value(v.dot(v)), [5.0]);
        assert_eq!(value(v.outer(v)), [1.0, 2.0, 2.0, 4.0]);
        assert_eq!(value(m.mv(v)), [5.0, 11.0]);
        assert_eq!(value(v.addmv(m, v, 2.0, -1.0)), [-3.0, -7.0]);
        assert_eq!(value(m.trace()), [5.0]);
        assert_eq!(value(counting(&g, &[3, 2]).trace()), [5.0]);
        assert_eq!(value(v.kron(m)), [1.0, 2.0, 2.0, 4.0, 3.0, 4.0, 6.0, 8.0]);
        let b = counting(&g, &[2, 2, 1]);
        let c = counting(&g, &[2, 1, 2]);
        assert_eq!(value(m.addbmm(b, c, 0.0, 1.0)), [10.0, 14.0, 14.0, 20.0]);
        let x = counting(&g, &[3]);
        assert_eq!(value(x.cross(x * x, -1)), [6.0, -6.0, 2.0]);
        assert_eq!(value(v.linear(m, Some(v))), [6.0, 13.0]);
        assert_eq!(value(v.bilinear(v, counting(&g, &[1, 2, 2]), None)), [27.0]);
    }

    #[test]
    fn nan_times_a_beta_of_zero_is_not_read() {
        let g = Graph::new();
        let (x, m) = (g.full(F64, [2, 2], f64::NAN), counting(&g, &[2, 2]));
        assert_eq!(value(x.addmm(m, m, 0.0, 1.0)), value(m.mm(m)));
    }

    #[test]
    fn tensors_are_summed_over_pairs_of_axes() {
        let g = Graph::new();
        let (a, b) = (counting(&g, &[2, 3, 4]), counting(&g, &[4, 3, 5]));
        let y = a.tensordot(b, &[1, 2], &[1, 0]);
        let want = a.einsum("ijk,kjl->il", &[b]);
        assert_eq!((y.shape(), value(y)), ([2, 5].into(), value(want)));
        assert_eq!(a.tensordot(b, &[], &[]).shape(), [2, 3, 4, 4, 3, 5].into());
        assert!(a.tensordot(b, &[0], &[0]).ok().is_err());
        assert!(a.tensordot(b, &[1, 1], &[1, 1]).ok().is_err());
    }

    #[test]
    fn a_chain_has_the_value_of_its_products() {
        let g = Graph::new();
        let chain = [&[2usize][..], &[2, 5], &[5, 1], &[1, 3], &[3]].map(|s| counting(&g, s));
        let want = chain[1..].iter().fold(chain[0], |y, &x| y.matmul(x));
        let y = chain[0].multi_dot(&chain[1..]);
        assert_eq!((y.shape(), value(y)), (Shape::scalar(), value(want)));
    }

    #[test]
    fn wrong_ranks_and_sizes_are_refused() {
        let g = Graph::new();
        let (v, m, b) = (counting(&g, &[2]), counting(&g, &[2, 2]), counting(&g, &[3, 2, 2]));
        for bad in [
            v.mm(m),
            m.mv(m),
            m.dot(v),
            m.bmm(b),
            b.bmm(counting(&g, &[1, 2, 2])),
            m.outer(v),
            b.addmm(m, m, 1.0, 1.0),
            v.trace(),
            v.cross(v, 0),
            v.multi_dot(&[v, v]),
        ] {
            assert!(bad.ok().is_err(), "{bad:?}");
        }
    }
}
