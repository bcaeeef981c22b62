//! Windows as columns, and back.

use pleach_graph::TypeError;

use crate::compose::spatial::{product, reach};
use crate::{ConvOptions, Var, Window};

/// Windows of a value with these spatial lengths, and the zeros around it.
struct Columns {
    windows: Vec<Window>,
    sides: Vec<(usize, usize)>,
    /// Number of windows along each axis.
    counts: Vec<usize>,
}

impl Columns {
    fn new(lengths: &[usize], size: &[usize], options: &ConvOptions) -> Result<Columns, TypeError> {
        let (n, wrong) = (size.len(), |why: &str| TypeError::Attribute(why.into()));
        if n == 0 || lengths.len() != n {
            return Err(wrong("expected a length of windows for every spatial axis"));
        }
        let more = options.output_padding.numbers("output padding", n)?;
        if options.groups != 1 || more.iter().any(|&p| p > 0) {
            return Err(wrong("columns have neither groups nor output padding"));
        }
        let stride = options.stride.numbers("stride", n)?;
        let dilation = options.dilation.numbers("dilation", n)?;
        let window = |i: usize| Window {
            axis: 2 + i,
            size: size[i],
            stride: stride[i],
            dilation: dilation[i],
        };
        let windows: Vec<Window> = (0..n).map(window).collect();
        let reached = windows.iter().map(|w| reach(w.size, w.dilation));
        let sides = options.padding.sides(&reached.collect::<Result<Vec<_>, _>>()?, &stride)?;
        let count = |i: usize| {
            let padded = lengths[i].checked_add(sides[i].0).and_then(|n| n.checked_add(sides[i].1));
            windows[i].count(padded.ok_or_else(|| wrong("an axis is too long"))?)
        };
        let counts = (0..n).map(count).collect::<Result<_, _>>()?;
        Ok(Columns { windows, sides, counts })
    }
}

impl<'g> Var<'g> {
    /// Windows as columns (im2col): `[N, C, L..]` becomes `[N, C·K, P]`, with `K` elements in each of
    /// `P` windows. `size` holds the lengths of a window, the options say how it slides. Without a
    /// batch axis the result has none.
    #[track_caller]
    pub fn unfold(self, size: &[usize], options: &ConvOptions) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("unfold", &[self]);
        }
        let (n, shape) = (size.len(), self.shape());
        let fits = shape.rank() == n + 1 || shape.rank() == n + 2;
        let columns = if fits {
            Columns::new(&shape[shape.rank() - n..], size, options)
        } else {
            let expected = "one or two more than a window";
            Err(TypeError::Rank { operand: 0, expected, got: shape.clone() })
        };
        let Columns { windows, sides, counts } = match columns {
            Ok(columns) => columns,
            Err(reason) => return self.refuse("unfold", &[self], reason),
        };
        let _at = self.graph().at();
        let x = self.batched(n + 2);
        let (batch, channels) = (x.size(0), x.size(1));
        let windows = x.pad_last(&sides).windows(&windows);
        let (axes, places) = ((2..2 + n as i64), (2 + n as i64..2 + 2 * n as i64));
        let order: Vec<i64> = (0..2).chain(places).chain(axes).collect();
        let depth = product(size).saturating_mul(channels);
        let y = windows.permute(&order).reshape([batch, depth, product(&counts)]);
        y.unbatched(self, n + 2)
    }

    /// The adjoint of [`Var::unfold`] (col2im): columns `[N, C·K, P]` are added up to a value
    /// `[N, C, lengths..]`; what lies in the padding is dropped. Without a batch axis the result has
    /// none.
    #[track_caller]
    pub fn fold(self, lengths: &[usize], size: &[usize], options: &ConvOptions) -> Var<'g> {
        if self.ty().is_none() {
            return self.untyped("fold", &[self]);
        }
        let (n, shape) = (size.len(), self.shape());
        let depth = product(size);
        let checked = Columns::new(lengths, size, options).and_then(|columns| {
            if !(2..=3).contains(&shape.rank()) {
                let expected = "2 or 3";
                return Err(TypeError::Rank { operand: 0, expected, got: shape.clone() });
            }
            let (rows, windows) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
            let right = product(&columns.counts);
            if windows != right {
                return Err(TypeError::Sizes { what: "numbers of windows", left: windows, right });
            }
            if !rows.is_multiple_of(depth) {
                let why = format!("{rows} rows are no multiple of the {depth} places of a window");
                return Err(TypeError::Attribute(why));
            }
            Ok((columns, rows / depth))
        });
        let (Columns { windows, sides, counts }, channels) = match checked {
            Ok(checked) => checked,
            Err(reason) => return self.refuse("fold", &[self], reason),
        };
        let _at = self.graph().at();
        let x = self.batched(3);
        let shape = [&[x.size(0), channels], size, &counts[..]].concat();
        let (places, axes) = ((2..2 + n as i64), (2 + n as i64..2 + 2 * n as i64));
        let order: Vec<i64> = (0..2).chain(axes).chain(places).collect();
        let padded: Vec<usize> = lengths.iter().zip(&sides).map(|(l, s)| l + s.0 + s.1).collect();
        let mut y = x.reshape(shape).permute(&order).windows_add(&windows, &padded);
        for (i, side) in sides.iter().enumerate() {
            y = y.slice(2 + i as i64, side.0..side.0 + lengths[i]);
        }
        y.unbatched(self, 3)
    }
}

#[cfg(test)]
mod tests {
    use crate::ConvOptions;
    use crate::prelude::*;

    #[test]
    fn columns_and_back_count_the_windows_of_every_element() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 1, 2, 3]);
        let at = Tensor::new([1, 1, 2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let options = ConvOptions::default();
        let y = x.unfold(&[2, 2], &options);
        assert_eq!(y.shape(), [1, 4, 2].into());
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(y), [1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]);
        let back = y.fold(&[2, 3], &[2, 2], &options);
        assert_eq!(value(back), [1.0, 4.0, 3.0, 4.0, 10.0, 6.0]);
        let padded = options.clone().padding(1);
        let ones = x.unfold(&[1, 1], &padded).fold(&[2, 3], &[1, 1], &padded);
        assert_eq!(value(ones), at.to_f64s());
        assert!(x.unfold(&[2], &options).ok().is_err());
        assert!(x.unfold(&[3, 2], &options).ok().is_err());
        assert!(x.unfold(&[2, 2], &options.clone().groups(2)).ok().is_err());
        assert!(y.fold(&[2, 4], &[2, 2], &options).ok().is_err());
        assert!(y.fold(&[3, 2], &[3, 1], &options).ok().is_err());
    }
}
