//! Einstein summation.

use std::collections::BTreeMap;

use pleach_graph::TypeError;
use pleach_tensor::Shape;

use super::contraction::{Label, Labelled, contract_all, set};
use crate::Var;

/// Names of letters are 0 to 51, `A` to `Z` before `a` to `z`; the axes of an ellipsis follow, the
/// last of them first.
const LETTERS: Label = 52;

/// The subscripts of one operand or of the result.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Letter(Label),
    Ellipsis,
}

fn fault<T>(why: impl Into<String>) -> Result<T, TypeError> {
    Err(TypeError::Attribute(why.into()))
}

fn parts(text: &str) -> Result<Vec<Part>, TypeError> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if found.contains(&Part::Ellipsis) {
                return fault(format!("two ellipses in the subscripts {text:?}"));
            }
            found.push(Part::Ellipsis);
            rest = after;
            continue;
        }
        match c {
            'A'..='Z' => found.push(Part::Letter(c as u8 - b'A')),
            'a'..='z' => found.push(Part::Letter(c as u8 - b'a' + 26)),
            c if c.is_whitespace() => {}
            c => return fault(format!("{c:?} in the subscripts {text:?} is no letter")),
        }
        rest = &rest[c.len_utf8()..];
    }
    Ok(found)
}

/// The names of the axes of an operand of this rank.
fn labels(text: &str, rank: usize) -> Result<Vec<Label>, TypeError> {
    let parts = parts(text)?;
    let letters = parts.iter().filter(|p| **p != Part::Ellipsis).count();
    let open = parts.contains(&Part::Ellipsis);
    if letters > rank || letters < rank && !open {
        return fault(format!("the subscripts {:?} are not those of {rank} axes", text.trim()));
    }
    Ok(expand(&parts, rank - letters))
}

/// The names with those of an ellipsis of `n` axes.
fn expand(parts: &[Part], n: usize) -> Vec<Label> {
    let names = |part: &Part| match *part {
        Part::Letter(l) => vec![l],
        Part::Ellipsis => (0..n).rev().map(|i| LETTERS + i as Label).collect(),
    };
    parts.iter().flat_map(names).collect()
}

/// The names of all operands and of the result.
fn parse(text: &str, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>), TypeError> {
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (text, None),
    };
    let operands: Vec<&str> = left.split(',').collect();
    if ranks.iter().any(|&rank| rank > 64) {
        return fault("an operand has more than 64 axes");
    }
    if operands.len() != ranks.len() {
        let (n, m) = (operands.len(), ranks.len());
        return fault(format!("subscripts of {n} operands, but there are {m}"));
    }
    let names: Vec<Vec<Label>> =
        operands.iter().zip(ranks).map(|(t, &r)| labels(t, r)).collect::<Result<_, _>>()?;
    let all: Vec<Label> = names.concat();
    let dots = all.iter().filter(|&&l| l >= LETTERS).map(|&l| usize::from(l - LETTERS) + 1);
    let dots = dots.max().unwrap_or(0);
    let Some(right) = right else {
        let mut once: Vec<Label> =
            (0..LETTERS).filter(|l| all.iter().filter(|&other| other == l).count() == 1).collect();
        once.splice(0..0, expand(&[Part::Ellipsis], dots));
        return Ok((names, once));
    };
    let output = expand(&parts(right)?, dots);
    for (i, l) in output.iter().enumerate() {
        if !all.contains(l) || output[..i].contains(l) {
            let what = if all.contains(l) { "twice" } else { "and in no operand" };
            return fault(format!("a subscript is in the result {:?} {what}", right.trim()));
        }
    }
    Ok((names, output))
}

/// An operand with every name once, and without axes of length 1 that others stretch.
#[track_caller]
fn prepare<'g>(x: Var<'g>, names: &[Label], lengths: &BTreeMap<Label, usize>) -> Labelled<'g> {
    let (mut value, mut names) = (x, names.to_vec());
    while let Some((i, j)) = repeated(&names) {
        // The diagonal: both axes last, then every (n + 1)-th of their n² elements.
        let n = value.shape()[i];
        let others: Vec<usize> = (0..names.len()).filter(|&k| k != i && k != j).collect();
        let order: Vec<i64> = others.iter().chain(&[i, j]).map(|&k| k as i64).collect();
        let flat: Shape = others.iter().map(|&k| value.shape()[k]).chain([n * n]).collect();
        value = value.permute(&order).reshape(flat).slice_step(-1, 0..n * n, n + 1);
        names = others.iter().chain(&[i]).map(|&k| names[k]).collect();
    }
    let shape = value.shape();
    let stretched = |k: &usize| shape[*k] == 1 && lengths[&names[*k]] != 1;
    let stays: Vec<usize> = (0..names.len()).filter(|k| !stretched(k)).collect();
    let value = value.reshape(stays.iter().map(|&k| shape[k]).collect::<Shape>());
    Labelled { value, labels: stays.iter().map(|&k| names[k]).collect() }
}

/// Two places of one name.
fn repeated(names: &[Label]) -> Option<(usize, usize)> {
    let first = |j: usize| names[..j].iter().position(|&l| l == names[j]).map(|i| (i, j));
    (0..names.len()).find_map(first)
}

/// The length of every name: that of all axes so named, but for those of length 1.
fn lengths(names: &[Vec<Label>], shapes: &[Shape]) -> Result<BTreeMap<Label, usize>, TypeError> {
    let mut lengths = BTreeMap::new();
    for (names, shape) in names.iter().zip(shapes) {
        for (&l, &n) in names.iter().zip(&shape[..]) {
            let own = names.iter().position(|&other| other == l).map_or(n, |first| shape[first]);
            let length = lengths.entry(l).or_insert(n);
            if *length == 1 {
                *length = n;
            }
            if n != own || n != *length && n != 1 {
                let (left, right) = if n != own { (own, n) } else { (*length, n) };
                return Err(TypeError::Sizes { what: "lengths of a subscript", left, right });
            }
        }
    }
    Ok(lengths)
}

impl<'g> Var<'g> {
    /// Einstein summation in PyTorch's notation: `a.einsum("bij,bjk->bik", &[b])`. This value is
    /// the first operand, `others` follow.
    ///
    /// Every letter names an axis; axes of one name have one length (or length 1, and are
    /// stretched). The product of all operands is summed over the names that the result lacks. A
    /// name twice in one operand is its diagonal; `...` stands for any leading axes, broadcast.
    /// Without `->` the result has the axes of the ellipsis, then the names that occur once,
    /// capitals first, in the order of the alphabet. Spaces do not count.
    ///
    /// Lone names are summed first; then pairs are multiplied, each as one batched matrix product,
    /// in the order of least work (found exactly for up to 8 operands).
    #[track_caller]
    pub fn einsum(self, subscripts: &str, others: &[Var<'g>]) -> Var<'g> {
        let _at = self.graph().at();
        let operands: Vec<Var<'g>> = [&[self], others].concat();
        if operands.iter().any(|x| x.ty().is_none()) {
            return self.untyped("einsum", &operands);
        }
        let shapes: Vec<Shape> = operands.iter().map(|x| x.shape()).collect();
        let ranks: Vec<usize> = shapes.iter().map(Shape::rank).collect();
        let parsed = parse(subscripts, &ranks).and_then(|(names, output)| {
            let lengths = lengths(&names, &shapes)?;
            Ok((names, output, lengths))
        });
        let (names, output, lengths) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => return self.refuse("einsum", &operands, reason),
        };
        let factors: Vec<Labelled<'g>> =
            operands.iter().zip(&names).map(|(&x, n)| prepare(x, n, &lengths)).collect();
        let length = |l: Label| lengths.get(&l).copied().unwrap_or(1);
        match contract_all(factors, set(&output), &length) {
            Some(y) => y.ordered(&output).value,
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn eval(text: &str, shapes: &[&[usize]]) -> Option<(Vec<usize>, Vec<f64>)> {
        let g = Graph::new();
        let operands: Vec<Var<'_>> = shapes
            .iter()
            .map(|shape| {
                let n: usize = shape.iter().product();
                let data: Vec<f64> = (1..=n).map(|i| i as f64).collect();
                g.constant(Tensor::new(*shape, data).unwrap())
            })
            .collect();
        let y = operands[0].einsum(text, &operands[1..]).eval(&[]).ok()?;
        Some((y.shape().to_vec(), y.to_f64s()))
    }

    #[test]
    fn products_sums_and_diagonals() {
        for (text, shapes, shape, values) in [
            (
                "ij,jk->ik",
                &[&[2usize, 2][..], &[2, 2]][..],
                &[2usize, 2][..],
                &[7.0, 10.0, 15.0, 22.0][..],
            ),
            ("ba", &[&[2, 2]], &[2, 2], &[1.0, 3.0, 2.0, 4.0]),
            ("ii", &[&[2, 2]], &[], &[5.0]),
            ("ii->i", &[&[2, 2]], &[2], &[1.0, 4.0]),
            ("ij -> i", &[&[2, 2]], &[2], &[3.0, 7.0]),
            ("i,j", &[&[2], &[2]], &[2, 2], &[1.0, 2.0, 2.0, 4.0]),
            ("...i,...i", &[&[2, 2], &[2]], &[2], &[5.0, 11.0]),
            ("bij,...jk->...ik", &[&[1, 1, 2], &[2, 2, 1]], &[2, 1, 1], &[5.0, 11.0]),
            ("i,i,i->", &[&[2], &[2], &[1]], &[], &[5.0]),
            ("aB->aB", &[&[1, 2]], &[1, 2], &[1.0, 2.0]),
            ("aB", &[&[1, 2]], &[2, 1], &[1.0, 2.0]),
        ] {
            assert_eq!(eval(text, shapes), Some((shape.to_vec(), values.to_vec())), "{text}");
        }
    }

    #[test]
    fn wrong_subscripts_are_refused() {
        for text in ["ij", "i,j,k", "i->ii", "i,i->k", "i!,i", "......,i", "ij,i", "i,i->i->"] {
            assert_eq!(eval(text, &[&[2], &[2]]), None, "{text}");
        }
        assert_eq!(eval("i,i", &[&[2], &[3]]), None);
        assert_eq!(eval("ii", &[&[2, 1]]), None);
    }
}
