//! Windows: the sliding windows of a value, as new axes.

use serde::{Deserialize, Serialize};

use crate::WindowsAdd;
use crate::prelude::rules::*;

/// Sliding windows along one axis: element `i` of window `o` is element `o·stride + i·dilation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The axis.
    pub axis: usize,
    /// Number of elements of a window, at least 1.
    pub size: usize,
    /// Distance of two windows, at least 1.
    pub stride: usize,
    /// Distance of two elements of a window, at least 1.
    pub dilation: usize,
}

impl Window {
    /// Every run of `size` neighbours along `axis`.
    pub fn new(axis: usize, size: usize) -> Window {
        Window { axis, size, stride: 1, dilation: 1 }
    }

    /// The windows of every `stride`-th place.
    #[must_use]
    pub fn stride(self, stride: usize) -> Window {
        Window { stride, ..self }
    }

    /// With elements that are `dilation` apart.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Window {
        Window { dilation, ..self }
    }

    /// From the first element of a window to the last: `dilation · (size - 1)`.
    fn reach(self) -> Option<usize> {
        self.size.checked_sub(1)?.checked_mul(self.dilation)
    }

    /// The number of windows in an axis of length `len`:
    /// `(len - dilation·(size - 1) - 1) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// [`TypeError::Attribute`] if a number is 0, or the axis is shorter than one window.
    pub fn count(self, len: usize) -> Result<usize, TypeError> {
        if self.size == 0 || self.stride == 0 || self.dilation == 0 {
            return Err(TypeError::Attribute(format!(
                "size {}, stride {} and dilation {} of a window must be at least 1",
                self.size, self.stride, self.dilation
            )));
        }
        match self.reach().and_then(|reach| len.checked_sub(reach)?.checked_sub(1)) {
            Some(rest) => Ok(rest / self.stride + 1),
            None => Err(TypeError::Attribute(format!(
                "a window of {} elements, {} apart, does not fit an axis of length {len}",
                self.size, self.dilation
            ))),
        }
    }

    /// The length of the shortest axis that has `count` windows, or `None` if it cannot be counted.
    pub fn length(self, count: usize) -> Option<usize> {
        let last = count.checked_sub(1)?.checked_mul(self.stride)?;
        last.checked_add(self.reach()?)?.checked_add(1)
    }
}

/// The windows as kernels know them.
pub(crate) fn lowered(windows: impl Iterator<Item = Window> + Clone) -> pleach_kernels::Windows {
    pleach_kernels::Windows {
        axes: windows.clone().map(|w| w.axis).collect(),
        stride: windows.clone().map(|w| w.stride).collect(),
        dilation: windows.map(|w| w.dilation).collect(),
    }
}

/// Are there windows, along increasing axes of `rank`?
pub(crate) fn require_windows(
    windows: impl Iterator<Item = Window>,
    rank: usize,
) -> Result<(), TypeError> {
    let axes: Vec<usize> = windows.map(|w| w.axis).collect();
    if axes.is_empty() {
        return Err(TypeError::Attribute("expected windows along at least one axis".into()));
    }
    require_axes(&axes, rank)
}

/// `y[.., o, .., i] = x[.., o·stride + i·dilation, ..]`: the sliding windows of `x` along some axes.
/// An axis is replaced by the number of its windows; the elements of a window are new last axes, one
/// for every axis that has windows, in their order.
///
/// | | shape | dtype | |
/// |---|---|---|---|
/// | `x` | `[.., L, ..]` | any | (C1) increasing axes, at least one; (C2) a window fits its axis |
/// | `y` | `[.., (L - dilation·(K-1) - 1)/stride + 1, .., K]` | as `x` | |
///
/// **Gradient** `dx = windows_add(dy)`. **Numerics** a view: no element is copied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Windows {
    windows: Box<[Window]>,
}

impl Windows {
    /// These windows, in the order of their axes.
    pub fn new(windows: &[Window]) -> Windows {
        Windows { windows: windows.into() }
    }

    /// The windows.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }
}

impl<'g> Var<'g> {
    /// Sliding windows along axes, see [`Windows`].
    ///
    /// ```
    /// use pleach_ops::{Window, prelude::*};
    /// let g = Graph::new();
    /// let pairs = g.input("x", F32, [5]).windows(&[Window::new(0, 2).stride(3)]);
    /// let x = Tensor::new([5], vec![0.0f32, 1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(pairs.shape(), [2, 2].into());
    /// assert_eq!(pairs.eval(&[&x])?.to_f64s(), [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn windows(self, windows: &[Window]) -> Var<'g> {
        self.record(Windows::new(windows), &[self])
    }
}

impl Primitive<1> for Windows {
    const NAME: &'static str = "windows";
    const TRAITS: Traits = Traits::LINEAR;

    fn infer(&self, [x]: [&Type; 1]) -> Result<Type, TypeError> {
        require_windows(self.windows.iter().copied(), x.rank())?; // (C1)
        let mut shape = x.shape().to_vec();
        for w in &self.windows {
            shape[w.axis] = w.count(shape[w.axis])?; // (C2)
        }
        shape.extend(self.windows.iter().map(|w| w.size));
        Ok(x.with_shape(shape)?)
    }

    fn eval(&self, [x]: [&Tensor; 1], y: &Type) -> Result<Tensor, EvalError> {
        let rank = x.shape().rank();
        Ok(movement(x, y, |i| {
            let mut from = i[..rank].to_vec();
            for (w, inside) in self.windows.iter().zip(&i[rank..]) {
                from[w.axis] = from[w.axis] * w.stride + inside * w.dilation;
            }
            Some(from)
        }))
    }

    fn vjp<'g>(&self, _: usize, [x]: [Var<'g>; 1], _: Var<'g>, dy: Var<'g>) -> Grad<'g> {
        let shape = x.shape();
        let lengths: Vec<usize> = self.windows.iter().map(|w| shape[w.axis]).collect();
        dy.record(WindowsAdd::new(&self.windows, &lengths), &[dy]).into()
    }

    fn lower(&self, _: [&Type; 1], _: &Type) -> Lowering {
        Lowering::View(View::Windows(lowered(self.windows.iter().copied())))
    }

    fn cost(&self, _: [&Type; 1], _: &Type) -> Cost {
        Cost::FREE
    }

    fn axes(&self, [x]: [&Type; 1], _: &Type) -> AxisRelations {
        let own = |axis| self.windows.iter().any(|w| w.axis == axis);
        let relation = |axis| if own(axis) { Axis::Opaque } else { Axis::Same(axis) };
        AxisRelations(vec![(0..x.rank()).map(relation).collect()])
    }

    fn samples(dims: &Dims) -> Vec<Sample> {
        let windows = sample_windows(dims);
        if windows.is_empty() {
            return vec![];
        }
        let ints = dims.of(DType::U8, dims.shape.clone());
        vec![
            Sample::new(Windows::new(&windows), [dims.float()]),
            Sample::new(Windows::new(&windows[..1]), [dims.float()]),
            Sample::new(Windows::new(&windows), [ints]),
        ]
    }
}

/// Windows that fit the axes of a sample.
pub(crate) fn sample_windows(dims: &Dims) -> Vec<Window> {
    let window = |axis: usize| {
        let pick = |salt, n| dims.pick(10 * axis as u64 + salt, n);
        let dilation = 1 + pick(0, 2);
        let most = (dims.shape[axis] - 1) / dilation + 1;
        Window { axis, size: 1 + pick(1, most), stride: 1 + pick(2, 3), dilation }
    };
    let chosen = |&axis: &usize| dims.shape[axis] > 0 && dims.pick(90 + axis as u64, 3) > 0;
    (0..dims.shape.rank()).filter(chosen).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn windows_of_a_line() {
        let g = Graph::new();
        let x = g.input("x", F64, [1, 6]);
        let y = x.windows(&[Window::new(1, 2).stride(3).dilation(2)]);
        assert_eq!(y.shape(), [1, 2, 2].into());
        let at = Tensor::new([1, 6], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(y.eval(&[&at]).unwrap().to_f64s(), [0.0, 2.0, 3.0, 5.0]);
        let dx = g.grad(y * y, &[x])[0].eval(&[&at]).unwrap();
        assert_eq!(dx.to_f64s(), [0.0, 0.0, 4.0, 6.0, 0.0, 10.0]);
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        let g = Graph::new();
        let x = g.input("x", F32, [2, 5]);
        let refused = |windows: &[Window]| x.windows(windows).ok().unwrap_err().reason.to_string();
        assert_eq!(refused(&[]), "expected windows along at least one axis"); // (C1)
        assert!(x.windows(&[Window::new(1, 1), Window::new(0, 1)]).ok().is_err()); // (C1)
        assert!(x.windows(&[Window::new(2, 1)]).ok().is_err()); // (C1)
        let long = refused(&[Window::new(1, 3).dilation(3)]); // (C2)
        assert_eq!(long, "a window of 3 elements, 3 apart, does not fit an axis of length 5");
        for w in [Window::new(1, 0), Window::new(1, 1).stride(0), Window::new(1, 1).dilation(0)] {
            assert!(x.windows(&[w]).ok().is_err()); // (C2)
        }
        assert!(x.windows(&[Window::new(1, usize::MAX).dilation(2)]).ok().is_err());
        assert_eq!(Window::new(0, 3).stride(2).dilation(2).length(4), Some(11));
        assert_eq!(Window::new(0, 3).length(usize::MAX), None);
    }
}
