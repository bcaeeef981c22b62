//! Sums of products over named axes: the common ground of `einsum`, `tensordot` and `bilinear`.

use pleach_tensor::Shape;

use crate::{MatMul, Var};

/// The name of an axis.
pub(crate) type Label = u8;

/// A value with the names of its axes, each once. Equal names have equal lengths.
#[derive(Clone, Debug)]
pub(crate) struct Labelled<'g> {
    pub(crate) value: Var<'g>,
    pub(crate) labels: Vec<Label>,
}

/// A set of names.
pub(crate) fn set(labels: &[Label]) -> u128 {
    labels.iter().fold(0, |set, &l| set | 1 << l)
}

fn has(set: u128, label: Label) -> bool {
    set >> label & 1 == 1
}

impl<'g> Labelled<'g> {
    /// Summed over the axes whose names are not kept.
    #[track_caller]
    pub(crate) fn summed(self, kept: u128) -> Labelled<'g> {
        let gone: Vec<usize> =
            (0..self.labels.len()).filter(|&i| !has(kept, self.labels[i])).collect();
        if gone.is_empty() {
            return self;
        }
        let labels = self.labels.iter().copied().filter(|&l| has(kept, l)).collect();
        Labelled { value: self.value.sum(gone.as_slice()), labels }
    }

    /// With the axes in the order of `labels`, which are its own.
    #[track_caller]
    pub(crate) fn ordered(self, labels: &[Label]) -> Labelled<'g> {
        let place = |l| self.labels.iter().position(|&own| own == l).unwrap_or(0) as i64;
        let order: Vec<i64> = labels.iter().map(|&l| place(l)).collect();
        Labelled { value: self.value.permute(&order), labels: labels.to_vec() }
    }

    fn length(&self, label: Label) -> usize {
        let at = self.labels.iter().position(|&own| own == label);
        at.map_or(1, |at| self.value.shape()[at])
    }

    /// The product, summed over names that are not kept: one batched matrix product, or, if nothing
    /// is summed over, an elementwise one.
    #[track_caller]
    pub(crate) fn contract(self, other: Labelled<'g>, kept: u128) -> Labelled<'g> {
        let a = self.clone().summed(kept | set(&other.labels));
        let b = other.summed(kept | set(&a.labels));
        let (in_a, in_b) = (set(&a.labels), set(&b.labels));
        let those = |of: &[Label], f: &dyn Fn(Label) -> bool| -> Vec<Label> {
            of.iter().copied().filter(|&l| f(l)).collect()
        };
        let batch = those(&a.labels, &|l| has(in_b, l) && has(kept, l));
        let inner = those(&a.labels, &|l| has(in_b, l) && !has(kept, l));
        let left = those(&a.labels, &|l| !has(in_b, l));
        let right = those(&b.labels, &|l| !has(in_a, l));
        let lengths = |x: &Labelled<'g>, of: &[Label]| -> Vec<usize> {
            of.iter().map(|&l| x.length(l)).collect()
        };
        let (batch_len, left_len) = (lengths(&a, &batch), lengths(&a, &left));
        let (inner_len, right_len) = (lengths(&a, &inner), lengths(&b, &right));
        let a = a.ordered(&[&batch[..], &left, &inner].concat()).value;
        let b = b.ordered(&[&batch[..], &inner, &right].concat()).value;
        let labels = [&batch[..], &left, &right].concat();
        let shape: Shape = [&batch_len[..], &left_len, &right_len].concat().into();
        let value = if inner.is_empty() {
            let ones = |n: usize| vec![1; n];
            let a = a.reshape([&batch_len[..], &left_len, &ones(right.len())].concat());
            let b = b.reshape([&batch_len[..], &ones(left.len()), &right_len].concat());
            a * b
        } else {
            let product = |of: &[usize]| of.iter().product::<usize>();
            let (m, k, n) = (product(&left_len), product(&inner_len), product(&right_len));
            let a = a.reshape([&batch_len[..], &[m, k]].concat());
            let b = b.reshape([&batch_len[..], &[k, n]].concat());
            a.record(MatMul, &[a, b])
        };
        Labelled { value: value.reshape(shape), labels }
    }
}

/// One pairwise product: the places of both factors; the result takes the place of the first, the
/// last factor that of the second.
pub(crate) type Step = (usize, usize);

/// An order of pairwise products: that of the least number of multiplications for up to 8
/// factors, else always the pair whose product shrinks memory most.
pub(crate) fn order(factors: &[u128], kept: u128, length: &dyn Fn(Label) -> usize) -> Vec<Step> {
    let size = |labels: u128| -> f64 {
        (0..128).filter(|&l| has(labels, l)).map(|l| length(l) as f64).product()
    };
    if factors.len() <= 8 { optimal(factors, kept, &size) } else { greedy(factors, kept, &size) }
}

fn optimal(factors: &[u128], kept: u128, size: &dyn Fn(u128) -> f64) -> Vec<Step> {
    let n = factors.len();
    let all = (1usize << n) - 1;
    let union = |of: usize| (0..n).filter(|i| of >> i & 1 == 1).fold(0, |u, i| u | factors[i]);
    // What is left of a set of factors when they are multiplied.
    let result: Vec<u128> = (0..=all).map(|s| union(s) & (kept | union(all & !s))).collect();
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0); all + 1];
    for s in (1..=all).filter(|s| s.count_ones() > 1) {
        best[s].0 = f64::INFINITY;
        let mut part = (s - 1) & s;
        while part > 0 {
            let rest = s & !part;
            // Each split once.
            if part > rest {
                let cost = best[part].0 + best[rest].0 + size(result[part] | result[rest]);
                if cost < best[s].0 || best[s].1 == 0 {
                    best[s] = (cost, part);
                }
            }
            part = (part - 1) & s;
        }
    }
    // The splits, outermost first; then as steps on a list, innermost first.
    let (mut splits, mut open) = (vec![], vec![all]);
    while let Some(s) = open.pop() {
        if s.count_ones() > 1 {
            let part = best[s].1;
            splits.push((part, s & !part));
            open.extend([part, s & !part]);
        }
    }
    let mut list: Vec<usize> = (0..n).map(|i| 1 << i).collect();
    let mut steps = vec![];
    for (a, b) in splits.into_iter().rev() {
        let place = |of: usize| list.iter().position(|&s| s == of).unwrap_or(0);
        let (i, j) = (place(a), place(b));
        steps.push((i, j));
        list[i] = a | b;
        list.swap_remove(j);
    }
    steps
}

fn greedy(factors: &[u128], kept: u128, size: &dyn Fn(u128) -> f64) -> Vec<Step> {
    let mut list = factors.to_vec();
    let mut steps = vec![];
    while list.len() > 1 {
        let left = |i: usize, j: usize| {
            let others = (0..list.len()).filter(|&k| k != i && k != j);
            (list[i] | list[j]) & others.fold(kept, |u, k| u | list[k])
        };
        let pairs = (0..list.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
        let growth = |&(i, j): &Step| size(left(i, j)) - size(list[i]) - size(list[j]);
        let work = |&(i, j): &Step| size(list[i] | list[j]);
        let best = pairs.min_by(|a, b| {
            growth(a).total_cmp(&growth(b)).then_with(|| work(a).total_cmp(&work(b)))
        });
        let Some((i, j)) = best else { break };
        let labels = left(i, j);
        steps.push((i, j));
        list[i] = labels;
        list.swap_remove(j);
    }
    steps
}

/// The product of all factors, summed over names that are not kept.
#[track_caller]
pub(crate) fn contract_all<'g>(
    factors: Vec<Labelled<'g>>,
    kept: u128,
    length: &dyn Fn(Label) -> usize,
) -> Option<Labelled<'g>> {
    let sets: Vec<u128> = factors.iter().map(|f| set(&f.labels)).collect();
    let mut list = factors;
    for (i, j) in order(&sets, kept, length) {
        let others = (0..list.len()).filter(|&k| k != i && k != j);
        let needed = others.fold(kept, |u, k| u | set(&list[k].labels));
        let (a, b) = (list[i].clone(), list[j].clone());
        list[i] = a.contract(b, needed);
        list.swap_remove(j);
    }
    list.pop().map(|last| last.summed(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_multiplied_in_the_cheaper_order() {
        // (10×100)(100×5)(5×50): first the left pair, 7500 products instead of 75000.
        let length = |l: Label| [10, 100, 5, 50][usize::from(l)];
        let chain = [0b0011, 0b0110, 0b1100];
        let steps = order(&chain, 0b1001, &length);
        assert_eq!(steps.len(), 2);
        let (i, j) = steps[0];
        assert_eq!((i.min(j), i.max(j)), (0, 1));
    }

    #[test]
    fn every_factor_of_many_is_used() {
        let chain: Vec<u128> = (0..12).map(|i| 0b11 << i).collect();
        for n in 1..=12 {
            assert_eq!(order(&chain[..n], 1, &|_| 2).len(), n - 1);
        }
    }
}
