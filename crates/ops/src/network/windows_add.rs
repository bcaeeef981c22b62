//! Windows-add: the adjoint of windows.

use serde::{Deserialize, Serialize};

use crate::Windows;
use crate::network::windows::{Window, lowered, require_windows, sample_windows};
use crate::prelude::rules::*;

/// `y[.., o·stride + i·dilation, ..] += x[.., o, .., i]`, from zeros: overlapping windows are added
/// up. It is the adjoint of [`Windows`], and undoes it where windows do not overlap (col2im).
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | that of the windows of `y` | any number | (C1) number, (C2) increasing axes, (C3) the shape |
/// | `y` | as `x` with the lengths given along the axes, without the last axes | as `x` | |
///
/// **Gradient** `dx = windows(dy)`.
/// **Numerics** every element adds its terms in the row-major order of the places in a window,
/// whatever the number of threads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowsAdd {
    /// Every window, with the length of its axis.
    windows: Box<[(Window, usize)]>,
}

impl WindowsAdd {
    /// Adds these windows, in the order of their axes, to axes of these lengths.
    pub fn new(windows: &[Window], lengths: &[usize]) -> WindowsAdd {
        WindowsAdd { windows: windows.iter().copied().zip(lengths.iter().copied()).collect() }
    }

    /// Every window, with the length of its axis.
    pub fn windows(&self) -> &[(Window, usize)] {
        &self.windows
    }

    fn each(&self) -> impl Iterator<Item = Window> + Clone {
        self.windows.iter().map(|(w, _)| *w)
    }
}

impl<'g> Var<'g> {
    /// Windows added up to axes of these lengths, see [`WindowsAdd`].
    #[track_caller]
    pub fn windows_add(self, windows: &[Window], lengths: &[usize]) -> Var<'g> {
        if windows.len() != lengths.len() {
            let (left, right) = (windows.len(), lengths.len());
            let reason = TypeError::Sizes { what: "numbers of windows and lengths", left, right };
            return self.refuse("windows_add", &[self], reason);
        }
        self.record(WindowsAdd::new(windows, lengths), &[self])
    }
}

impl Primitive<1> for WindowsAdd {
    const NAME: &'static str = "windows_add";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        x.require_number(0)?; // (C1)
        let rank = x.rank().saturating_sub(self.windows.len());
        require_windows(self.each(), rank)?; // (C2)
        let mut shape = x.shape()[..rank].to_vec();
        let mut want = shape.clone();
        for &(w, len) in &self.windows {
            shape[w.axis] = len;
            want[w.axis] = w.count(len)?; // (C3)
            want.push(w.size);
        }
        require_shape(x, &want.into())?; // (C3)
        Ok(x.with_shape(shape)?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let (rank, strides) = (y.rank(), y.shape().strides());
        let target = |i: usize| -> usize {
            let mut index = unravel(i, x.shape());
            for (j, (w, _)) in self.windows.iter().enumerate() {
                index[w.axis] = index[w.axis] * w.stride + index[rank + j] * w.dilation;
            }
            index.iter().zip(&strides).map(|(i, s)| i * s).sum()
        };
        Ok(scatter(x, y, target, (0.0, |a, b| a + b), (0, i64::wrapping_add)))
    }

    fn vjp<'g>(&self, _: usize, _: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        dy.record(Windows::new(&self.each().collect::<Vec<_>>()), &[dy]).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::WindowsAdd(lowered(self.each()))
    }

    fn cost(&self, x: [&Type; 1], y: &Type) -> Cost {
        Cost::reduction(&x, y)
    }

    fn axes(&self, [x]: [&Type; 1], y: &Type) -> AxisRelations {
        let own = |axis| axis >= y.rank() || self.each().any(|w| w.axis == axis);
        let relation = |axis| if own(axis) { Axis::Opaque } else { Axis::Same(axis) };
        AxisRelations(vec![(0..x.rank()).map(relation).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let windows = sample_windows(dims);
        let lengths: Vec<usize> = windows.iter().map(|w| dims.shape[w.axis]).collect();
        let ty = Type::new(dims.float, dims.shape.clone());
        let Some(of) = ty.ok().and_then(|ty| Windows::new(&windows).infer([&ty]).ok()) else {
            return vec![];
        };
        let add = WindowsAdd::new(&windows, &lengths);
        let ints = dims.of(DType::I32, of.shape().clone());
        vec![
            Sample::new(add.clone(), [dims.float_of(of.shape().clone())]).loose(8.0),
            Sample::new(add, [ints]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::Window;
    use crate::prelude::*;

    #[test]
    fn overlapping_windows_add_up() {
        let g = Graph::new();
        let x = g.input("x", F64, [3, 2]);
        let y = x.windows_add(&[Window::new(0, 2)], &[4]);
        let at = Tensor::new([3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [1.0, 5.0, 9.0, 6.0]);
        // An element that no window holds is zero.
        let y = x.windows_add(&[Window::new(0, 2).stride(3)], &[10]);
        let want = [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 5.0, 6.0, 0.0, 0.0];
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), want);
    }

    #[test]
    fn shapes_must_be_those_of_windows() {
        let g = Graph::new();
        let x = g.input("x", F32, [3, 2]);
        let pair = Window::new(0, 2);
        assert!(x.windows_add(&[pair], &[4]).ok().is_ok());
        assert!(x.windows_add(&[pair], &[5]).ok().is_err()); // (C3)
        assert!(x.windows_add(&[Window::new(0, 3)], &[5]).ok().is_err()); // (C3)
        assert!(x.windows_add(&[pair], &[1]).ok().is_err()); // (C3)
        assert!(x.windows_add(&[pair], &[]).ok().is_err());
        assert!(x.windows_add(&[], &[]).ok().is_err()); // (C2)
        assert!(x.windows_add(&[Window::new(1, 2)], &[3]).ok().is_err()); // (C2)
        let b = g.input("b", BOOL, [3, 2]);
        assert!(b.windows_add(&[pair], &[4]).ok().is_err()); // (C1)
    }
}
