//! From a disagreement along random directions to one element and one operator.

use pleach_graph::NodeId;
use pleach_ops::Graph;

use crate::problem::{Problem, quotient};
use crate::{CheckError, Culprit, GradCheck, Kink, Mode, Wrong, compare};

/// A disagreement counts if it stays with a step this much finer: curvature and kinks nearby
/// do not.
pub(crate) const FINER: f64 = 8.0;
/// Terms of dot products smaller than this count as this large.
pub(crate) const SMALL: f64 = 1e-2;

type Analytic<'a> = dyn Fn(&Problem<'_>, &[f64], &[f64]) -> Result<f64, CheckError> + 'a;
type Numeric<'a> = dyn Fn(&Problem<'_>, &[f64], &[f64], f64) -> Result<f64, CheckError> + 'a;

/// Two ways to compute `⟨w, J u⟩`.
pub(crate) struct Pair<'a> {
    pub(crate) mode: Mode,
    pub(crate) analytic: &'a Analytic<'a>,
    pub(crate) numeric: &'a Numeric<'a>,
}

/// Size of the only element of a direction, to divide by.
pub(crate) fn size(v: &[f64]) -> f64 {
    let mut touched = v.iter().filter(|&&x| x != 0.0);
    match (touched.next(), touched.next()) {
        (Some(&x), None) => x,
        _ => 1.0,
    }
}

impl Pair<'_> {
    fn tolerance(&self, config: &GradCheck, a: f64, n: f64) -> f64 {
        match self.mode {
            Mode::Adjoint => config.adjoint * a.abs().max(n.abs()).max(SMALL),
            _ => config.tolerance(n),
        }
    }

    /// Both numbers and the tolerance, per unit of the directions; `None` if they agree.
    fn disagree(
        &self,
        config: &GradCheck,
        unit: f64,
        (a, n): (f64, f64),
    ) -> Option<(f64, f64, f64)> {
        let (a, n) = (a / unit, n / unit);
        let tolerance = self.tolerance(config, a, n);
        // Not `>`: NaN disagrees with everything.
        let near = (a - n).abs() <= tolerance;
        (!near).then_some((a, n, tolerance))
    }

    /// Do `a` and `n` agree, both derivatives per `unit`?
    pub(crate) fn agree(&self, config: &GradCheck, unit: f64, a: f64, n: f64) -> bool {
        self.disagree(config, unit, (a, n)).is_none()
    }

    /// As [`Pair::disagree`], evaluated anew with both steps.
    fn confirmed(
        &self,
        config: &GradCheck,
        p: &Problem<'_>,
        (w, u): (&[f64], &[f64]),
    ) -> Result<Option<(f64, f64, f64)>, CheckError> {
        let unit = size(w) * size(u);
        let a = (self.analytic)(p, w, u)?;
        let fine = (self.numeric)(p, w, u, config.eps / FINER)?;
        if self.agree(config, unit, a, fine) {
            return Ok(None);
        }
        let n = (self.numeric)(p, w, u, config.eps)?;
        Ok(self.disagree(config, unit, (a, n)))
    }

    /// Both numbers did not agree: fails, with the element that is furthest off, if that is
    /// confirmed.
    pub(crate) fn fail(
        &self,
        config: &GradCheck,
        p: &Problem<'_>,
        (w, u): (&[f64], &[f64]),
    ) -> Result<(), CheckError> {
        let Some(mut found) = self.confirmed(config, p, (w, u))? else { return Ok(()) };
        let gap = |w: &[f64], u: &[f64]| -> Result<f64, CheckError> {
            let gap = (self.analytic)(p, w, u)? - (self.numeric)(p, w, u, config.eps)?;
            Ok(if gap.is_finite() { gap.abs() } else { f64::INFINITY })
        };
        let one_u = narrow(u, |u| gap(w, u))?;
        let one_w = narrow(w, |w| gap(w, &one_u))?;
        let (mut w, mut u) = (w.to_vec(), u.to_vec());
        if let Some(numbers) = self.confirmed(config, p, (&one_w, &one_u))? {
            (found, w, u) = (numbers, one_w, one_u);
        }
        let (analytic, numeric, tolerance) = found;
        let by = p.by(&u);
        if !(analytic.is_finite() && numeric.is_finite())
            && let Some(j) = p.slope(&u, config.eps)?.iter().position(|s| !s.is_finite())
        {
            let (subject, of) = (p.subject.clone(), p.of(&compare::basis(p.m(), j, 1.0)));
            let (of, by) = (Box::new(of), Box::new(by));
            return Err(CheckError::NotFinite { subject, of, by, eps: config.eps });
        }
        if let Some(kink) = kink(config, p, &w, &u, analytic)? {
            return Err(kink);
        }
        let (subject, of, site) = (p.subject.clone(), p.of(&w), p.site(&u));
        let (mode, order) = (self.mode, p.order);
        Err(CheckError::Wrong(Box::new(Wrong {
            subject,
            mode,
            order,
            of,
            by,
            analytic,
            numeric,
            tolerance,
            site,
            culprit: None,
        })))
    }
}

/// Restricts a direction, half by half, to the element with the largest gap.
fn narrow(
    v: &[f64],
    mut gap: impl FnMut(&[f64]) -> Result<f64, CheckError>,
) -> Result<Vec<f64>, CheckError> {
    let touched: Vec<usize> = (0..v.len()).filter(|&i| v[i] != 0.0).collect();
    let only = |part: &[usize]| {
        let mut only = vec![0.0; v.len()];
        part.iter().for_each(|&i| only[i] = v[i]);
        only
    };
    let mut part = &touched[..];
    while part.len() > 1 {
        let (left, right) = part.split_at(part.len() / 2);
        part = if gap(&only(left))? >= gap(&only(right))? { left } else { right };
    }
    Ok(only(part))
}

/// The error that names a kink or jump, if the function has one at the point: its one-sided
/// slopes do not approach each other, or its slope grows, when the step shrinks.
pub(crate) fn kink(
    config: &GradCheck,
    p: &Problem<'_>,
    w: &[f64],
    u: &[f64],
    analytic: f64,
) -> Result<Option<CheckError>, CheckError> {
    let unit = size(w) * size(u);
    let middle = p.results(u, 0.0)?;
    let slopes = |h: f64| -> Result<[f64; 2], CheckError> {
        let side = |h: f64| -> Result<f64, CheckError> {
            let y = p.results(u, h)?;
            let slope = |j: usize| w[j] * quotient(y[j], middle[j], h);
            Ok((0..w.len()).filter(|&j| w[j] != 0.0).map(slope).sum::<f64>() / unit)
        };
        Ok([side(-h)?, side(h)?])
    };
    let [left, right] = slopes(config.eps)?;
    let [left_fine, right_fine] = slopes(config.eps / 4.0)?;
    let gap = (right - left).abs();
    let bent = gap > config.tolerance(left.abs().max(right.abs()))
        && (right_fine - left_fine).abs() > gap / 2.0;
    let (coarse, fine) = ((left + right).abs(), (left_fine + right_fine).abs());
    let jumps = coarse > config.atol && fine > 2.0 * coarse;
    Ok((bent || jumps).then(|| {
        let (subject, order, of, by) = (p.subject.clone(), p.order, p.of(w), p.by(u));
        CheckError::Kink(Box::new(Kink { subject, order, of, by, left, right, analytic, jumps }))
    }))
}

/// Adds the operator that is wrong, if one can be found.
pub(crate) fn with_culprit(
    config: &GradCheck,
    p: &Problem<'_>,
    mut error: CheckError,
) -> CheckError {
    if let CheckError::Wrong(wrong) = &mut error
        && p.search
    {
        wrong.culprit = culprit(config, p);
    }
    error
}

/// The first operator of the function whose own gradients are wrong for the operands it has; or
/// else the first that lets none through.
fn culprit(config: &GradCheck, p: &Problem<'_>) -> Option<Culprit> {
    let nodes = between(p);
    let wanted: Vec<NodeId> = nodes.iter().flat_map(|&id| p.g.node(id).inputs.to_vec()).collect();
    let mut values = p.tensors(&wanted, &p.at).ok()?.into_iter();
    let mut cut = None;
    for id in nodes {
        let node = p.g.node(id);
        let x: Vec<_> = values.by_ref().take(node.inputs.len()).collect();
        let g = Graph::raw();
        let alone = Problem::of_operator(&g, &node.op, &x);
        let site = || p.g.origin(id).first().cloned();
        let this = |cuts| Some(Culprit { op: node.op.to_string(), cuts, site: site() });
        match alone.and_then(|alone| compare::check(config, alone)) {
            Err(CheckError::Wrong(_) | CheckError::Record { .. }) => return this(false),
            Err(CheckError::Missing(_)) if cut.is_none() => cut = this(true),
            _ => {}
        }
    }
    cut
}

/// The operators of the function between its sources and its results.
fn between(p: &Problem<'_>) -> Vec<NodeId> {
    let mut reached = vec![false; p.own];
    p.sources.iter().filter(|s| s.id.index() < p.own).for_each(|s| reached[s.id.index()] = true);
    for i in 0..p.own {
        let node = p.g.node(NodeId::new(i));
        reached[i] |= node.inputs.iter().any(|x| reached[x.index()]);
    }
    let operator = |&i: &usize| reached[i] && !p.g.node(NodeId::new(i)).inputs.is_empty();
    (0..p.own).filter(operator).map(NodeId::new).collect()
}
