//! What must hold of L-BFGS on any machine: convergence, symmetries, steps done by hand.

use super::{Evaluated, quadratic, rosenbrock};
use crate::support::close;
use pleach_optim::{Ended, Lbfgs, LbfgsMemory};
use proptest::prelude::*;

/// Where a new memory comes to in `calls` calls, call by call.
fn path(lbfgs: &Lbfgs, start: &[f64], calls: usize, f: impl Fn(&[f64]) -> Evaluated) -> Vec<f64> {
    let (mut memory, mut x) = (LbfgsMemory::default(), start.to_vec());
    let mut seen = Vec::new();
    for _ in 0..calls {
        lbfgs.step(&mut memory, &mut x, &f).unwrap();
        seen.extend_from_slice(&x);
    }
    seen
}

/// `x²` from 4. The first step is `lr` long; over it the gradient changes by twice the step, so `H`
/// is ½ and each other step goes `lr` of the way.
#[test]
fn steps_by_hand() {
    let square = |x: &[f64]| Ok((x[0] * x[0], vec![2.0 * x[0]]));
    let half = Lbfgs::new(0.5).max_iterations(1);
    close("x", &path(&half, &[4.0], 3, square), &[3.5, 1.75, 0.875], 1e-15, 0.0);
    let hill = |x: &[f64]| Ok((-x[0] * x[0], vec![-2.0 * x[0]]));
    let climbed = path(&half.clone().maximize(), &[4.0], 3, hill);
    close("x", &climbed, &[3.5, 1.75, 0.875], 1e-15, 0.0);
    // At a slope of 1/4 the first step is lr · g.
    assert_eq!(path(&half, &[0.125], 1, square), [0.0]);
}

/// `-x²/2` from 4: the gradient falls along each step, so no pair is kept, and steps after the first
/// are `lr · g`.
#[test]
fn steps_of_negative_curvature_teach_nothing() {
    let hill = |x: &[f64]| Ok::<_, std::convert::Infallible>((-x[0] * x[0] / 2.0, vec![-x[0]]));
    let half = Lbfgs::new(0.5).max_iterations(1);
    assert_eq!(path(&half, &[4.0], 3, hill), [4.5, 6.75, 10.125]);
    let (mut memory, mut x) = (LbfgsMemory::default(), [4.0]);
    half.max_iterations(5).step(&mut memory, &mut x, hill).unwrap();
    assert_eq!(memory.pairs().len(), 0);
}

#[test]
fn the_history_keeps_the_newest_pairs() {
    let mut memory = LbfgsMemory::default();
    let mut x = [-1.2, 1.0, -1.2, 1.0];
    let lbfgs = Lbfgs::new(1.0).strong_wolfe().history(3).max_iterations(1).max_evaluations(25);
    let mut newest = Vec::new();
    for _ in 0..8 {
        let before = x;
        lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap();
        newest.push(std::array::from_fn::<f64, 4, _>(|i| x[i] - before[i]));
    }
    assert_eq!(memory.pairs().len(), 3);
    // The last step waits for its gradient.
    for (pair, step) in memory.pairs().zip(&newest[4..7]) {
        close("s", &pair.s, step, 1e-12, 1e-12);
    }
    assert_eq!((memory.iterations, memory.last().is_some()), (8, true));
}

#[test]
fn rosenbrock_takes_few_iterations() {
    let precise = Lbfgs::new(1.0).strong_wolfe().max_iterations(200);
    let precise = precise.tolerance_gradient(1e-11).tolerance_change(0.0);
    for (start, most) in [(vec![-1.2, 1.0], 40), ([-1.2, 1.0].repeat(5), 130)] {
        let (mut memory, mut x) = (LbfgsMemory::default(), start);
        let report = precise.step(&mut memory, &mut x, rosenbrock).unwrap();
        assert_eq!(report.ended, Ended::Gradient);
        assert!(report.iterations <= most, "{report:?}");
        assert!(report.evaluations <= 2 * report.iterations, "{report:?}");
        assert!(x.iter().all(|x| (x - 1.0).abs() <= 1e-10), "{x:?}");
        assert_eq!(report.loss, rosenbrock(&x).unwrap().0);
    }
}

/// Each evaluation begins where the one before ended, so calls of one iteration go where one call
/// goes.
#[test]
fn many_short_calls_are_one_long_call() {
    for lbfgs in [Lbfgs::new(1.0).strong_wolfe(), Lbfgs::new(0.1)] {
        let lbfgs = lbfgs.max_evaluations(1000);
        let start = [-1.2, 1.0, -1.2, 1.0];
        let short = path(&lbfgs.clone().max_iterations(1), &start, 25, rosenbrock);
        let long = path(&lbfgs.max_iterations(25), &start, 1, rosenbrock);
        assert_eq!(short[24 * 4..], long);
    }
}

/// Written after `k` calls and read again, a memory goes on with the same bits.
#[test]
fn a_resumed_memory_gives_the_same_bits() {
    for lbfgs in [Lbfgs::new(1.0).strong_wolfe(), Lbfgs::new(0.1)] {
        let lbfgs = lbfgs.history(4).max_iterations(3);
        let (mut memory, mut x) = (LbfgsMemory::default(), [-1.2, 1.0, -1.2, 1.0]);
        for _ in 0..8 {
            let text = ron::to_string(&memory).unwrap();
            let mut resumed: LbfgsMemory = ron::from_str(&text).unwrap();
            let mut y = x;
            lbfgs.step(&mut memory, &mut x, rosenbrock).unwrap();
            lbfgs.step(&mut resumed, &mut y, rosenbrock).unwrap();
            assert_eq!(x.map(f64::to_bits), y.map(f64::to_bits));
            assert_eq!(memory, resumed);
        }
    }
}

/// A rate of 0 does not move, and a point without slope is left alone.
#[test]
fn where_nothing_is_to_do_nothing_moves() {
    let start = [-1.2, 1.0];
    for lbfgs in [Lbfgs::new(0.0), Lbfgs::new(0.0).strong_wolfe()] {
        assert_eq!(path(&lbfgs, &start, 1, rosenbrock), start);
    }
    let (mut memory, mut x) = (LbfgsMemory::default(), [1.0, 1.0]);
    let report = Lbfgs::new(1.0).step(&mut memory, &mut x, rosenbrock).unwrap();
    assert_eq!((report.ended, report.iterations, report.evaluations), (Ended::Gradient, 0, 1));
    let report = Lbfgs::new(1.0).step(&mut memory, &mut [], |_| Evaluated::Ok((1.0, vec![])));
    assert_eq!(report.unwrap().ended, Ended::Gradient);
}

/// A symmetric matrix with these eigenvalues: a reflection of the diagonal.
fn matrix(eigenvalues: &[f64], normal: &[f64]) -> Vec<f64> {
    let n = eigenvalues.len();
    let square: f64 = normal.iter().map(|v| v * v).sum();
    let q = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * normal[i] * normal[j] / square;
    let entry = |i: usize, j: usize| (0..n).map(|k| q(i, k) * eigenvalues[k] * q(k, j)).sum();
    (0..n * n).map(|ij| entry(ij / n, ij % n)).collect()
}

fn convex() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, Vec<f64>)> {
    (1usize..=12).prop_flat_map(|n| {
        let eigenvalues = prop::collection::vec((0.0..4.0f64).prop_map(|e| 10f64.powf(e)), n);
        let normal = prop::collection::vec(0.1..1.0f64, n);
        let goal = prop::collection::vec(-3.0..3.0f64, n);
        let matrix = (eigenvalues, normal).prop_map(|(e, v)| matrix(&e, &v));
        (matrix, goal, prop::collection::vec(-3.0..3.0f64, n))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Conditions up to 10⁴, and losses up to 10⁵, which are exact to 10⁻¹¹: the error of a number
    /// is the root of that.
    #[test]
    fn convex_quadratics_converge((a, goal, start) in convex()) {
        let b = quadratic(&a, &vec![0.0; goal.len()], &goal).unwrap().1;
        let f = |x: &[f64]| quadratic(&a, &b, x);
        let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(2000);
        let lbfgs = lbfgs.tolerance_gradient(1e-7).tolerance_change(1e-12);
        let (mut memory, mut x) = (LbfgsMemory::default(), start);
        let report = lbfgs.step(&mut memory, &mut x, f).unwrap();
        prop_assert!(report.ended.converged(), "{report:?}");
        for (x, goal) in x.iter().zip(&goal) {
            prop_assert!((x - goal).abs() <= 1e-4, "{x} is not {goal}: {report:?}");
        }
    }

    /// Twice the loss has the same minimum, and after the first step, whose length does not depend
    /// on the scale, `H` is half of it: the same path, bit by bit.
    #[test]
    fn the_scale_of_the_loss_changes_no_bit((a, goal, start) in convex(), power in 1i32..20) {
        let b = quadratic(&a, &vec![0.0; goal.len()], &goal).unwrap().1;
        let scale = 2f64.powi(power);
        let f = |x: &[f64]| quadratic(&a, &b, x);
        let scaled = |x: &[f64]| {
            let (loss, gradient) = quadratic(&a, &b, x)?;
            Ok((scale * loss, gradient.iter().map(|g| scale * g).collect()))
        };
        prop_assume!(f(&start).unwrap().1.iter().map(|g| g.abs()).sum::<f64>() >= 1.0);
        let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(1).max_evaluations(25);
        let lbfgs = lbfgs.tolerance_gradient(0.0).tolerance_change(0.0);
        let (ours, theirs) = (path(&lbfgs, &start, 4, f), path(&lbfgs, &start, 4, scaled));
        let n = goal.len();
        for (ours, theirs) in ours.chunks(n).zip(theirs.chunks(n)) {
            prop_assert_eq!(ours, theirs);
            // Near the minimum a pair is dropped whose product is below 1e-10, at any scale.
            if f(ours).unwrap().1.iter().map(|g| g.abs()).sum::<f64>() < 1e-3 {
                break;
            }
        }
    }

    /// Numbers in another order go the same way, up to the order of sums.
    #[test]
    fn permuted_numbers_move_alike((a, goal, start) in convex()) {
        let b = quadratic(&a, &vec![0.0; goal.len()], &goal).unwrap().1;
        let f = |x: &[f64]| quadratic(&a, &b, x);
        let reversed = |x: &[f64]| x.iter().rev().copied().collect::<Vec<f64>>();
        let mirror = |x: &[f64]| {
            let (loss, gradient) = f(&reversed(x))?;
            Ok((loss, reversed(&gradient)))
        };
        let lbfgs = Lbfgs::new(1.0).strong_wolfe().max_iterations(3);
        let (ours, theirs) = (path(&lbfgs, &start, 1, f), path(&lbfgs, &reversed(&start), 1, mirror));
        for (ours, theirs) in ours.iter().zip(reversed(&theirs)) {
            prop_assert!((ours - theirs).abs() <= 1e-6, "{ours} is not {theirs}");
        }
    }
}
