//! The comparison: reverse mode, forward mode and central differences of one problem.

use pleach_graph::{Gradient, Site};
use pleach_tensor::Key;

use crate::derive::{Forward, Reverse};
use crate::locate::{self, Pair, size};
use crate::problem::{Problem, dense};
use crate::{CheckError, Culprit, GradCheck, Missing, Mode, Report};

/// Checks as many orders as asked for.
pub(crate) fn check(config: &GradCheck, mut p: Problem<'_>) -> Result<Report, CheckError> {
    let mut report = Report::default();
    for order in 1..=config.orders() {
        if p.sources.is_empty() || p.outputs.is_empty() {
            break;
        }
        let key = Key(config.seed).fold(u64::from(order));
        match one_order(config, &mut p, key, &mut report) {
            Ok(reverse) => p = reverse.gradient(p, key.fold(9)),
            Err(error) => return Err(locate::with_culprit(config, &p, error)),
        }
    }
    Ok(report)
}

/// A direction to differentiate along.
struct Column {
    u: Vec<f64>,
    /// Which recorded forward derivative has these sources.
    set: usize,
    /// The derivative along `u`, by central differences.
    slope: Vec<f64>,
}

fn one_order(
    config: &GradCheck,
    p: &mut Problem<'_>,
    key: Key,
    report: &mut Report,
) -> Result<Reverse, CheckError> {
    deterministic(p)?;
    let whole = p.n() * p.m() <= config.jacobian;
    let columns = columns(config, p, key, whole)?;
    let rows = rows(config, p, key, whole);
    let reverse = Reverse::record(p)?;
    all_reached(config, p, &reverse, &columns)?;
    let mut pulled = Vec::with_capacity(rows.len());
    for w in &rows {
        pulled.push(reverse.at(p, w)?);
    }

    let pair = Pair {
        mode: Mode::Reverse,
        analytic: &|p, w, u| Ok(dot(&reverse.at(p, w)?, u)),
        numeric: &|p, w, u, eps| Ok(dot(w, &p.slope(u, eps)?)),
    };
    for (w, dx) in rows.iter().zip(&pulled) {
        for Column { u, slope, .. } in &columns {
            report.compared += 1;
            if !pair.agree(config, size(w) * size(u), dot(dx, u), dot(w, slope)) {
                pair.fail(config, p, (w, u))?;
            }
        }
    }
    let forward = Forward::record(p)?;
    for column in &columns {
        one_direction(config, p, column, &forward, report)?;
        adjoint(config, p, column, &forward, (&reverse, &rows, &pulled))?;
    }
    Ok(reverse)
}

/// Forward mode against central differences.
fn one_direction(
    config: &GradCheck,
    p: &Problem<'_>,
    Column { u, set, slope }: &Column,
    forward: &Forward,
    report: &mut Report,
) -> Result<(), CheckError> {
    let pair = Pair {
        mode: Mode::Forward,
        analytic: &|p, w, u| Ok(dot(w, &forward.along(p, *set, u)?)),
        numeric: &|p, w, u, eps| Ok(dot(w, &p.slope(u, eps)?)),
    };
    for (j, (a, n)) in forward.along(p, *set, u)?.iter().zip(slope).enumerate() {
        report.compared += 1;
        if !pair.agree(config, size(u), *a, *n) {
            pair.fail(config, p, (&basis(p.m(), j, 1.0), u))?;
        }
    }
    Ok(())
}

/// Reverse mode against forward mode: `⟨Jᵀ w, u⟩ = ⟨w, J u⟩`.
fn adjoint(
    config: &GradCheck,
    p: &Problem<'_>,
    Column { u, set, .. }: &Column,
    forward: &Forward,
    (reverse, rows, pulled): (&Reverse, &[Vec<f64>], &[Vec<f64>]),
) -> Result<(), CheckError> {
    let pair = Pair {
        mode: Mode::Adjoint,
        analytic: &|p, w, u| Ok(dot(&reverse.at(p, w)?, u)),
        numeric: &|p, w, u, _| Ok(dot(w, &forward.along(p, *set, u)?)),
    };
    let dy = forward.along(p, *set, u)?;
    for (w, dx) in rows.iter().zip(pulled) {
        let terms = abs_dot(dx, u).max(abs_dot(w, &dy)).max(locate::SMALL);
        // Not `>`: NaN is not near.
        let near = (dot(dx, u) - dot(w, &dy)).abs() <= config.adjoint * terms;
        if !near {
            pair.fail(config, p, (w, u))?;
        }
    }
    Ok(())
}

/// The directions: every element alone, if the Jacobian is small, else random ones by every
/// source; and one by all together.
fn columns(
    config: &GradCheck,
    p: &Problem<'_>,
    key: Key,
    whole: bool,
) -> Result<Vec<Column>, CheckError> {
    let n = p.n();
    let together = p.sources.len();
    let mut directions: Vec<(Vec<f64>, usize)> = vec![];
    let mut start = 0;
    for (k, source) in p.sources.iter().enumerate() {
        let own = start..start + source.ty.numel();
        start = own.end;
        let random = |salt: usize| dense(key.fold(100 + k as u64).fold(salt as u64), own.len());
        if whole {
            let size = random(0);
            directions.extend(own.clone().zip(size).map(|(i, size)| (basis(n, i, size), k)));
        } else if !own.is_empty() {
            for salt in 0..config.directions.max(1) {
                let mut u = vec![0.0; n];
                u[own.clone()].copy_from_slice(&random(salt));
                directions.push((u, k));
            }
        }
    }
    if n > 0 && together > 1 {
        directions.push((dense(key.fold(1), n), together));
    }
    let column = |(u, set): (Vec<f64>, usize)| {
        let slope = p.slope(&u, config.eps)?;
        Ok(Column { u, set, slope })
    };
    directions.into_iter().map(column).collect()
}

/// The cotangents: every element alone, if the Jacobian is small, and random ones.
fn rows(config: &GradCheck, p: &Problem<'_>, key: Key, whole: bool) -> Vec<Vec<f64>> {
    let m = p.m();
    let mut rows: Vec<Vec<f64>> = vec![];
    if whole {
        let sizes = dense(key.fold(2), m);
        rows.extend(sizes.iter().enumerate().map(|(j, &size)| basis(m, j, size)));
    }
    let random = if whole { 1 } else { config.directions.max(1) };
    rows.extend((0..random as u64).map(|salt| dense(key.fold(3).fold(salt), m)));
    rows
}

/// Every source that the function depends on must get a gradient.
fn all_reached(
    config: &GradCheck,
    p: &Problem<'_>,
    reverse: &Reverse,
    columns: &[Column],
) -> Result<(), CheckError> {
    for (k, grad) in reverse.grads.iter().enumerate() {
        let Gradient::Unreached { cut } = *grad else { continue };
        let mut steepest = 0.0f64;
        for column in columns.iter().filter(|c| c.set == k) {
            for (j, &slope) in
                column.slope.iter().enumerate().filter(|(_, s)| s.abs() > config.atol)
            {
                let w = basis(p.m(), j, 1.0);
                let fine = dot(&w, &p.slope(&column.u, config.eps / locate::FINER)?);
                if fine.abs() <= config.atol {
                    continue;
                }
                if let Some(kink) = locate::kink(config, p, &w, &column.u, 0.0)? {
                    return Err(kink);
                }
                steepest = if slope.abs() > steepest.abs() { slope } else { steepest };
            }
        }
        if steepest != 0.0 || p.strict {
            let site = |id| p.g.origin(id).first().filter(|_| p.search).cloned();
            let source = &p.sources[k];
            let by = crate::Place {
                name: source.name.clone(),
                ty: source.ty.clone(),
                element: Some(vec![]),
            };
            let op = |id| p.g.op(id).to_string();
            let cut = cut.map(|id| Culprit { op: op(id), cuts: true, site: site(id) });
            let (subject, order) = (p.subject.clone(), p.order);
            let site: Option<Site> = site(source.id);
            let missing = Missing { subject, order, by, numeric: steepest, cut, site };
            return Err(CheckError::Missing(Box::new(missing)));
        }
    }
    Ok(())
}

/// The same values must give the same bits.
fn deterministic(p: &Problem<'_>) -> Result<(), CheckError> {
    let u = vec![0.0; p.n()];
    let (a, b) = (p.results(&u, 0.0)?, p.results(&u, 0.0)?);
    match (0..a.len()).find(|&j| a[j].to_bits() != b[j].to_bits()) {
        None => Ok(()),
        Some(j) => Err(CheckError::Nondeterministic {
            subject: p.subject.clone(),
            of: Box::new(p.of(&basis(p.m(), j, 1.0))),
            first: a[j],
            second: b[j],
        }),
    }
}

/// `size` at element `i`, else zero.
pub(crate) fn basis(n: usize, i: usize, size: f64) -> Vec<f64> {
    let mut v = vec![0.0; n];
    v[i] = size;
    v
}

/// `Σ v_i d_i` over the elements on which the direction `v` is not zero: what lies elsewhere may
/// be infinite.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| **a != 0.0 && **b != 0.0).map(|(a, b)| a * b).sum()
}

fn abs_dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| **a != 0.0 && **b != 0.0).map(|(a, b)| (a * b).abs()).sum()
}
