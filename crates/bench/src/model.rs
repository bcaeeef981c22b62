//! The tensors of a model: what an update meets, large matrices and small vectors.

/// Width of the model.
const WIDTH: usize = 512;

/// Shapes of `params` numbers in all: blocks of two matrices and two vectors, as of the two layers
/// behind an attention, and the rest as one more matrix and vector.
pub(crate) fn shapes(params: usize) -> Vec<Vec<usize>> {
    let wide = 4 * WIDTH;
    let block = [vec![WIDTH, wide], vec![wide], vec![wide, WIDTH], vec![WIDTH]];
    let size: usize = block.iter().map(|shape| shape.iter().product::<usize>()).sum();
    let mut shapes = vec![block.to_vec(); params / size].concat();
    let rest = params % size;
    shapes.extend([vec![rest / WIDTH, WIDTH], vec![rest % WIDTH]]);
    shapes.retain(|shape| shape.iter().all(|&n| n > 0));
    shapes
}

#[cfg(test)]
mod tests {
    use super::shapes;

    #[test]
    fn shapes_hold_as_many_numbers_as_asked_for() {
        for params in [0, 1, 511, 512, 70_000, 10_000_000] {
            let numel = |shape: &Vec<usize>| shape.iter().product::<usize>();
            assert_eq!(shapes(params).iter().map(numel).sum::<usize>(), params);
        }
        assert_eq!(shapes(10_000_000).len(), 18);
    }
}
