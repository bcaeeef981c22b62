//! Laws of every optimizer, and of those that ignore the scale of gradients.

use pleach_ops::prelude::*;
use pleach_optim::{
    Adagrad, Adam, Adamax, Lamb, Lion, Muon, NAdam, Optimizer, RAdam, RmsProp, Rprop,
};

use crate::all::{Entry, all, matrix, quadratic};
use crate::support::{Runner, minimize};

/// Updates until the quadratic is a thousandth of what it was; none if it does not come to that.
fn updates(optimizer: &dyn Optimizer, most: usize) -> Option<usize> {
    let p = Params::seeded(0).dtype(F64);
    let x = matrix(&p, "x");
    let g = Graph::train();
    let loss = quadratic(&g, &x);
    minimize(&g, loss, &[&x], optimizer);
    let mut run = Runner::default();
    let at = |run: &Runner| run.eval(loss).item().unwrap();
    let goal = at(&run) / 1000.0;
    (0..=most).find(|_| {
        let there = at(&run) <= goal;
        run.step(&g);
        there
    })
}

#[test]
fn a_convex_quadratic_converges_at_the_documented_rate() {
    let measured = |e: &Entry| (e.name, e.options, updates((e.at)(e.rate).as_ref(), 1000));
    let documented = |e: &Entry| (e.name, e.options, Some(e.updates));
    let (got, want): (Vec<_>, Vec<_>) = all().iter().map(|e| (measured(e), documented(e))).unzip();
    assert_eq!(got, want);
}

#[test]
fn the_order_of_parameters_does_not_matter() {
    for e in all() {
        let after = |turned: bool| {
            let p = Params::seeded(0).dtype(F64);
            let (x, y) = (matrix(&p, "x"), matrix(&p, "y"));
            let g = Graph::train();
            let loss =
                quadratic(&g, &x) + quadratic(&g, &y) * 0.5 + (g.param(&x) * g.param(&y)).sum_all();
            let params = if turned { [&y, &x] } else { [&x, &y] };
            minimize(&g, loss, &params, (e.at)(e.rate).as_ref());
            let mut run = Runner::default();
            (0..3).for_each(|_| run.step(&g));
            (run.value(&x), run.value(&y))
        };
        assert_eq!(after(false), after(true), "{} {}", e.name, e.options);
    }
}

#[test]
fn a_group_at_rate_zero_does_not_move() {
    for e in all() {
        let p = Params::seeded(0).dtype(F64);
        let (x, y) = (matrix(&p, "x"), matrix(&p, "y"));
        let g = Graph::train();
        let optimizer = (e.stopped)(e.rate);
        optimizer.check(&[&x, &y]).unwrap();
        minimize(&g, quadratic(&g, &x) + quadratic(&g, &y), &[&x, &y], optimizer.as_ref());
        let mut run = Runner::default();
        (0..3).for_each(|_| run.step(&g));
        assert_eq!(run.value(&x), x.initial(), "{} {}", e.name, e.options);
        assert_ne!(run.value(&y), y.initial(), "{} {}", e.name, e.options);
    }
}

/// A power of two changes no digits.
#[test]
fn the_scale_of_gradients_does_not_matter_where_it_is_divided_out() {
    let invariant: [Box<dyn Optimizer>; 10] = [
        Box::new(Adagrad::new(0.1).eps(0.0)),
        Box::new(RmsProp::new(0.1).eps(0.0)),
        Box::new(Adam::new(0.1).eps(0.0)),
        Box::new(NAdam::new(0.1).eps(0.0)),
        Box::new(RmsProp::new(0.1).eps(0.0).centered()),
        Box::new(Adamax::new(0.1).eps(0.0)),
        Box::new(Rprop::new(0.1)),
        Box::new(Lion::new(0.1)),
        Box::new(Lamb::new(0.1).eps(0.0)),
        Box::new(Muon::new(0.1)),
    ];
    let after = |optimizer: &dyn Optimizer, scale: f64| {
        let p = Params::seeded(0).dtype(F64);
        let x = matrix(&p, "x");
        let g = Graph::train();
        minimize(&g, quadratic(&g, &x) * scale, &[&x], optimizer);
        let mut run = Runner::default();
        (0..5).for_each(|_| run.step(&g));
        run.value(&x)
    };
    for optimizer in &invariant {
        assert_eq!(after(&**optimizer, 1.0), after(&**optimizer, 64.0), "{optimizer:?}");
    }
    // With ε, and before it is rectified, it does matter.
    let not: [Box<dyn Optimizer>; 2] = [Box::new(Adam::new(0.1)), Box::new(RAdam::new(0.1))];
    for optimizer in &not {
        assert_ne!(after(&**optimizer, 1.0), after(&**optimizer, 64.0), "{optimizer:?}");
    }
}
