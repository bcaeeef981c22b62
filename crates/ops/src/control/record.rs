//! Recording a loop from a closure.

use pleach_graph::TypeError;
use pleach_tensor::{I64, Type};

use super::Tree;
use super::scan::Header;
use super::transform::Recorded;
use crate::{Graph, Iota, Op, Var};

/// What is looped over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Steps {
    /// The slices along the first axis, in this order or backwards.
    Slices { reverse: bool },
    /// So many steps.
    Times(usize),
}

/// Records `step` as the body of a loop; the index of the step comes first among its arguments.
#[track_caller]
pub(crate) fn scan<'g, C, X, Y, F>(g: &'g Graph, steps: Steps, init: &C, xs: &X, step: F) -> (C, Y)
where
    C: Tree<'g>,
    X: Tree<'g>,
    Y: Tree<'g>,
    F: FnOnce(Var<'g>, C, X) -> (C, Y),
{
    let _at = g.at();
    let (mut carries, mut slices) = (Vec::new(), Vec::new());
    init.flatten(&mut carries);
    xs.flatten(&mut slices);
    let given = [carries.as_slice(), &slices].concat();
    let fail = |why: TypeError| {
        let ids: Vec<_> = given.iter().map(|v| v.id()).collect();
        Var::new(g, g.refuse("scan", &ids, why))
    };
    // A loop that cannot be: its step sees poisoned values, and stays quiet.
    let refuse = |why: TypeError, step: F| {
        let poison = fail(why);
        step(poison, init.rebuild(&mut || poison), xs.rebuild(&mut || poison))
    };
    if let Some(v) = given.iter().find(|v| v.ty().is_none() || !std::ptr::eq(v.graph(), g)) {
        let foreign = !std::ptr::eq(v.graph(), g);
        let why = TypeError::ClosedFrame { operand: 0 };
        return refuse(if foreign { crate::var::other_graph() } else { why }, step);
    }
    let length = match (steps, slices.first()) {
        (Steps::Times(n), _) => n,
        (_, Some(x)) if x.shape().rank() > 0 => x.shape()[0],
        _ => {
            let why = "a scan needs a value with a first axis to go along".to_string();
            return refuse(TypeError::Attribute(why), step);
        }
    };
    let reverse = matches!(steps, Steps::Slices { reverse: true });

    let mut types = vec![];
    types.extend(carries.iter().filter_map(|c| c.ty()));
    types.push(Type::scalar(I64));
    for x in &slices {
        let ty = x.ty().unwrap_or_else(|| Type::scalar(x.dtype()));
        if ty.shape().first() != Some(&length) {
            let why = format!("a value of type {ty} cannot be sliced into {length} steps");
            return refuse(TypeError::Attribute(why), step);
        }
        let slice = ty.with_shape(ty.shape().without(&[0]));
        types.push(slice.expect("a part of a value that exists"));
    }
    let mut result: Option<(C, Y)> = None;
    let mut refused: Option<Var<'g>> = None;
    let body = g.frame(&types, |p| {
        let mut vars = p.iter().map(|&id| Var::new(g, id));
        let mut next = || vars.next().expect("as many parameters as variables");
        let c = init.rebuild(&mut next);
        let index = next();
        let x = xs.rebuild(&mut next);
        // What a step binds is bound in the step: outside there is no such value.
        let bindings = g.context().borrow().bindings.clone();
        g.context().borrow_mut().loops.push(index.id());
        let (c, y) = step(index, c, x);
        g.context().borrow_mut().loops.pop();
        g.context().borrow_mut().bindings = bindings;
        let mut results = Vec::new();
        c.flatten(&mut results);
        if results.len() != carries.len() {
            let why = format!("{} carries before a step, {} after", carries.len(), results.len());
            refused = Some(fail(TypeError::Attribute(why)));
        }
        y.flatten(&mut results);
        result = Some((c, y));
        if refused.is_none() {
            refused = results.iter().find(|v| v.id().is_poisoned()).copied();
        }
        results.iter().map(|v| v.id()).collect()
    });
    crate::ext::count_run(g);
    let (_, y) = result.expect("the body was recorded");
    if let Some(refused) = refused {
        return (init.rebuild(&mut || refused), y.rebuild(&mut || refused));
    }
    let recorded =
        body.map_err(|e| TypeError::Attribute(e.to_string())).and_then(|(body, more)| {
            let iota = match Type::new(I64, [length]) {
                Ok(ty) => g.push(Op::Iota(Iota::new(&ty, 0)), &[]),
                Err(error) => return Err(TypeError::TooLarge(error)),
            };
            let header =
                Header { length, carries: carries.len(), slices: 1 + slices.len(), reverse };
            super::Loop::new(body.clone(), header)?;
            let operands: Vec<_> = (carries.iter().map(|v| v.id()))
                .chain([iota])
                .chain(slices.iter().map(|v| v.id()))
                .chain(more)
                .collect();
            let trimmed = Recorded::trimmed(g, header, &body, &operands);
            trimmed.ok_or(TypeError::Attribute("the body of the loop was refused".into()))
        });
    match recorded {
        Ok(of) => {
            let mut result = 0..of.of.results();
            let mut next = || {
                let number = result.next().expect("as many results as variables");
                Var::new(g, of.result(g, number))
            };
            let finals = init.rebuild(&mut next);
            (finals, y.rebuild(&mut next))
        }
        Err(why) => {
            let poison = fail(why);
            (init.rebuild(&mut || poison), y.rebuild(&mut || poison))
        }
    }
}
