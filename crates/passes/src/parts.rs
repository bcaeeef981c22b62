//! Axes of a value, as parts of the axes of another that it is a view of.

/// A part of an axis of a value: of its elements in row-major order, `len` at this distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) axis: usize,
    pub(crate) stride: usize,
    pub(crate) len: usize,
}

/// The axes of a value of this shape, as parts of itself; those of one element have none.
pub(crate) fn whole(shape: &[usize]) -> Vec<Vec<Part>> {
    let part = |(axis, &len): (usize, &usize)| match len {
        1 => vec![],
        _ => vec![Part { axis, stride: 1, len }],
    };
    shape.iter().enumerate().map(part).collect()
}

/// Parts, in order, as axes of these lengths; parts are cut where that takes it. `None` if they cannot
/// be.
pub(crate) fn regrouped(parts: Vec<Part>, shape: &[usize]) -> Option<Vec<Vec<Part>>> {
    let mut left: Vec<Part> = parts.into_iter().rev().collect();
    let mut axes = Vec::with_capacity(shape.len());
    for &len in shape {
        let (mut axis, mut rest) = (vec![], len);
        while rest > 1 {
            let part = left.pop()?;
            if rest.is_multiple_of(part.len) {
                axis.push(part);
                rest /= part.len;
            } else if part.len.is_multiple_of(rest) {
                let inner = part.len / rest;
                axis.push(Part { stride: part.stride * inner, len: rest, ..part });
                left.push(Part { len: inner, ..part });
                rest = 1;
            } else {
                return None;
            }
        }
        axes.push(axis);
    }
    left.is_empty().then_some(axes)
}
