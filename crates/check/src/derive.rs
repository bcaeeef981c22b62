//! The recorded derivatives of a problem, and how they are asked along a direction.

use pleach_graph::{Gradient, NodeId};
use pleach_tensor::Type;

use crate::problem::{Output, Problem, Source, dense, set_flat};
use crate::{CheckError, Mode};
use pleach_tensor::Key;

/// The recorded gradient: cotangents of the results are inputs of the graph.
pub(crate) struct Reverse {
    w: Vec<Source>,
    /// By source.
    pub(crate) grads: Vec<Gradient>,
}

impl Reverse {
    pub(crate) fn record(p: &mut Problem<'_>) -> Result<Reverse, CheckError> {
        let types: Vec<Type> = p.outputs.iter().map(|o| o.ty.clone()).collect();
        let w = p.new_inputs("w", &types);
        let seeds: Vec<_> = p.outputs.iter().zip(&w).map(|(y, w)| (y.id, w.id)).collect();
        let xs: Vec<NodeId> = p.sources.iter().map(|s| s.id).collect();
        let grads = p.g.reverse(&seeds, &xs).map_err(|error| CheckError::Record {
            subject: p.subject.clone(),
            mode: Mode::Reverse,
            error: Box::new(error),
        })?;
        Ok(Reverse { w, grads })
    }

    /// `Jᵀ w`; zero for what is not reached.
    pub(crate) fn at(&self, p: &Problem<'_>, w: &[f64]) -> Result<Vec<f64>, CheckError> {
        let mut at = p.at.clone();
        set_flat(p.g, &mut at, &self.w, w);
        let reached: Vec<NodeId> = self.grads.iter().filter_map(|g| g.value()).collect();
        let mut values = p.tensors(&reached, &at)?.into_iter();
        let mut flat = Vec::with_capacity(p.n());
        for (source, grad) in p.sources.iter().zip(&self.grads) {
            match grad.value().and_then(|_| values.next()) {
                Some(value) => flat.extend(value.to_f64s()),
                None => flat.resize(flat.len() + source.ty.numel(), 0.0),
            }
        }
        Ok(flat)
    }

    /// The gradient itself as the function to check, at a random cotangent.
    pub(crate) fn gradient<'g>(self, p: Problem<'g>, key: Key) -> Problem<'g> {
        let mut at = p.at.clone();
        set_flat(p.g, &mut at, &self.w, &dense(key, p.m()));
        let of = |(x, grad): (&Source, &Gradient)| {
            let id = grad.value()?;
            Some(Output { name: format!("grad({})", x.name), id, ty: x.ty.clone() })
        };
        let outputs = p.sources.iter().zip(&self.grads).filter_map(of).collect();
        let mut sources = p.sources.clone();
        sources.extend(self.w);
        Problem { order: p.order + 1, sources, outputs, at, strict: false, ..p }
    }
}

/// The recorded forward derivatives: one by every source alone, the last by all together.
pub(crate) struct Forward {
    dx: Vec<Source>,
    by: Vec<Vec<Option<NodeId>>>,
}

impl Forward {
    pub(crate) fn record(p: &mut Problem<'_>) -> Result<Forward, CheckError> {
        let types: Vec<Type> = p.sources.iter().map(|s| s.ty.clone()).collect();
        let dx = p.new_inputs("dx", &types);
        let ys: Vec<NodeId> = p.outputs.iter().map(|o| o.id).collect();
        let seeds: Vec<_> = p.sources.iter().zip(&dx).map(|(x, dx)| (x.id, dx.id)).collect();
        let all = (seeds.len() > 1).then_some(&seeds[..]);
        let by = seeds.chunks(1).chain(all).map(|seeds| p.g.jvp(&ys, seeds));
        let by = by.collect::<Result<_, _>>().map_err(|error| CheckError::Record {
            subject: p.subject.clone(),
            mode: Mode::Forward,
            error: Box::new(error),
        })?;
        Ok(Forward { dx, by })
    }

    /// `J u`, from the derivative number `set`.
    pub(crate) fn along(
        &self,
        p: &Problem<'_>,
        set: usize,
        u: &[f64],
    ) -> Result<Vec<f64>, CheckError> {
        let mut at = p.at.clone();
        set_flat(p.g, &mut at, &self.dx, u);
        let tangents = &self.by[set];
        let reached: Vec<NodeId> = tangents.iter().flatten().copied().collect();
        let mut values = p.tensors(&reached, &at)?.into_iter();
        let mut flat = Vec::with_capacity(p.m());
        for (output, tangent) in p.outputs.iter().zip(tangents) {
            match tangent.and_then(|_| values.next()) {
                Some(value) => flat.extend(value.to_f64s()),
                None => flat.resize(flat.len() + output.ty.numel(), 0.0),
            }
        }
        Ok(flat)
    }
}
