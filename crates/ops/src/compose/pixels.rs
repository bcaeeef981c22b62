//! Channels into pixels and back.

use pleach_graph::TypeError;
use pleach_tensor::Shape;

use crate::Var;

impl<'g> Var<'g> {
    /// `[.., C·r², H, W]` to `[.., C, H·r, W·r]`: every pixel becomes a square of `r × r`, from
    /// `r²` channels.
    ///
    /// **Source** Shi et al., CVPR 2016, sec. 3.2.
    #[track_caller]
    pub fn pixel_shuffle(self, r: usize) -> Var<'g> {
        let _at = self.graph().at();
        let (outer, [c, h, w]) = match self.image("pixel_shuffle") {
            Ok(image) => image,
            Err(refused) => return refused,
        };
        let square = r.checked_mul(r).filter(|&square| square > 0 && c.is_multiple_of(square));
        let sizes = [h, w].map(|n| n.checked_mul(r));
        let (Some(square), [Some(high), Some(wide)]) = (square, sizes) else {
            let why = format!("{c} channels do not part into {r} by {r}");
            return self.refuse("pixel_shuffle", &[self], TypeError::Attribute(why));
        };
        let of = |axes: &[usize]| -> Shape { outer.iter().chain(axes).copied().collect() };
        self.reshape(of(&[c / square, r, r, h, w])).inner_permute([0, 3, 1, 4, 2]).reshape(of(&[
            c / square,
            high,
            wide,
        ]))
    }

    /// `[.., C, H·r, W·r]` to `[.., C·r², H, W]`: undoes [`Var::pixel_shuffle`].
    #[track_caller]
    pub fn pixel_unshuffle(self, r: usize) -> Var<'g> {
        let _at = self.graph().at();
        let (outer, [c, h, w]) = match self.image("pixel_unshuffle") {
            Ok(image) => image,
            Err(refused) => return refused,
        };
        let channels = r.checked_mul(r).and_then(|square| c.checked_mul(square));
        let fits = r > 0 && h.is_multiple_of(r) && w.is_multiple_of(r);
        let (true, Some(channels)) = (fits, channels) else {
            let why = format!("{h} by {w} pixels do not part into squares of {r} by {r}");
            return self.refuse("pixel_unshuffle", &[self], TypeError::Attribute(why));
        };
        let of = |axes: &[usize]| -> Shape { outer.iter().chain(axes).copied().collect() };
        self.reshape(of(&[c, h / r, r, w / r, r])).inner_permute([0, 2, 4, 1, 3]).reshape(of(&[
            channels,
            h / r,
            w / r,
        ]))
    }

    /// The axes before the last three, and those.
    #[track_caller]
    fn image(self, op: &str) -> Result<(Vec<usize>, [usize; 3]), Var<'g>> {
        let Some(ty) = self.ty() else { return Err(self.untyped(op, &[self])) };
        match ty.shape()[..] {
            [ref outer @ .., c, h, w] => Ok((outer.to_vec(), [c, h, w])),
            _ => {
                let (expected, got) = ("at least 3", ty.shape().clone());
                Err(self.refuse(op, &[self], TypeError::Rank { operand: 0, expected, got }))
            }
        }
    }

    /// The last five axes in another order.
    #[track_caller]
    fn inner_permute(self, order: [i64; 5]) -> Var<'g> {
        let outer = self.shape().rank() as i64 - 5;
        self.permute(&(0..outer).chain(order.map(|axis| axis + outer)).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn channels_become_pixels_and_come_back() {
        let g = Graph::new();
        let x = g.input("x", F64, [4, 1, 2]);
        let at = Tensor::build(&Type::new(F64, [4, 1, 2]).unwrap(), |i| i as f64);
        let y = x.pixel_shuffle(2);
        assert_eq!(y.shape(), [1, 2, 4].into());
        let value = |v: Var<'_>| v.eval(&[&at]).unwrap().to_f64s();
        assert_eq!(value(y), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(value(y.pixel_unshuffle(2)), value(x));
        assert!(x.pixel_shuffle(3).ok().is_err());
        assert!(x.pixel_shuffle(0).ok().is_err());
        assert!(x.pixel_unshuffle(2).ok().is_err());
        assert!(x.squeeze(1).pixel_shuffle(1).ok().is_err());
    }
}
