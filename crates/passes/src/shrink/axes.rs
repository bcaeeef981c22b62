//! Which indices along the axes of a value are needed, and what views make of them.

/// For every axis the indices that are needed; `None`: all.
pub(super) type Form = Vec<Option<Vec<bool>>>;

/// Axes that a reshape makes of others, with their lengths. One side is one axis.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) from: Vec<(usize, usize)>,
    pub(super) to: Vec<(usize, usize)>,
}

/// The groups of a reshape, axes of length 1 aside; `None` if several axes become several others.
pub(super) fn groups(from: &[usize], to: &[usize]) -> Option<Vec<Group>> {
    if from.contains(&0) {
        return None;
    }
    let longer = |shape: &[usize]| -> Vec<(usize, usize)> {
        shape.iter().copied().enumerate().filter(|&(_, n)| n > 1).collect()
    };
    let (from, to) = (longer(from), longer(to));
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < from.len() && j < to.len() {
        let (first_i, first_j) = (i, j);
        let (mut a, mut b) = (from[i].1, to[j].1);
        (i, j) = (i + 1, j + 1);
        while a != b {
            if a < b {
                (a, i) = (a.checked_mul(from.get(i)?.1)?, i + 1);
            } else {
                (b, j) = (b.checked_mul(to.get(j)?.1)?, j + 1);
            }
        }
        if i - first_i > 1 && j - first_j > 1 {
            return None;
        }
        groups.push(Group { from: from[first_i..i].to_vec(), to: to[first_j..j].to_vec() });
    }
    (i == from.len() && j == to.len()).then_some(groups)
}

/// What is needed of axes that become one.
fn merged(many: &[(usize, usize)], of_one: &Option<Vec<bool>>, need: &mut Form) {
    let Some(one) = of_one else { return };
    let mut inner = one.len();
    for &(axis, n) in many {
        inner /= n;
        let mut own = vec![false; n];
        one.iter().enumerate().for_each(|(i, &needed)| own[i / inner % n] |= needed);
        need[axis] = some(own);
    }
}

/// What is needed of an axis that becomes others: where all of them are needed.
fn split(len: usize, many: &[(usize, usize)], need: &Form) -> Option<Vec<bool>> {
    let mut inner = len;
    let mut own = vec![true; len];
    for &(axis, n) in many {
        inner /= n;
        let Some(needed) = &need[axis] else { continue };
        own.iter_mut().enumerate().for_each(|(i, own)| *own &= needed[i / inner % n]);
    }
    some(own)
}

/// Of the operand of a reshape and of its result, what is there if `need` is needed of the result.
pub(super) fn through(groups: &[Group], rank: usize, need: &Form) -> (Form, Form) {
    let (mut below, mut above) = (vec![None; rank], vec![None; need.len()]);
    for group in groups {
        match (&group.from[..], &group.to[..]) {
            (many, &[(b, len)]) => {
                merged(many, &need[b], &mut below);
                above[b] = split(len, many, &below);
            }
            (&[(a, len)], many) => {
                below[a] = split(len, many, need);
                many.iter().for_each(|&(axis, _)| above[axis].clone_from(&need[axis]));
            }
            _ => {}
        }
    }
    (below, above)
}

/// `None` if all are needed.
pub(super) fn some(indices: Vec<bool>) -> Option<Vec<bool>> {
    if indices.iter().all(|&needed| needed) { None } else { Some(indices) }
}

/// What either of two needs.
pub(super) fn either(a: &Form, b: &Form) -> Form {
    let both = |(a, b): (&Option<Vec<bool>>, &Option<Vec<bool>>)| {
        let (a, b) = (a.as_ref()?, b.as_ref()?);
        some(a.iter().zip(b).map(|(a, b)| *a || *b).collect())
    };
    a.iter().zip(b).map(both).collect()
}

/// Lengths of what is there of a value.
pub(super) fn lengths(shape: &[usize], form: &Form) -> Vec<usize> {
    let count = |(&n, of): (&usize, &Option<Vec<bool>>)| {
        of.as_ref().map_or(n, |of| of.iter().filter(|&&needed| needed).count())
    };
    shape.iter().zip(form).map(count).collect()
}

/// The indices that are needed, where of `len` those of `there` are there: their places in it.
pub(super) fn places(
    there: &Option<Vec<bool>>,
    needed: &Option<Vec<bool>>,
    len: usize,
) -> Vec<usize> {
    let is = |of: &Option<Vec<bool>>, i: usize| of.as_ref().is_none_or(|of| of[i]);
    let own = (0..len).filter(|&i| is(there, i)).enumerate();
    own.filter(|&(_, i)| is(needed, i)).map(|(place, _)| place).collect()
}
