//! What is checked: an operator, a function, a model.

use pleach_graph::NodeId;
use pleach_ops::{Graph, GraphExt, Kind, Op, Sample, Var, Variable};
use pleach_tensor::{BF16, F16, F32, F64, Key, Tensor, Type};

use crate::problem::{Output, Problem, Source};
use crate::{CheckError, GradCheck, Report, compare};

impl GradCheck {
    /// Checks the gradient rules of an operator for the operands given. Float operands are
    /// converted to f64 and differentiated by; others are held fixed. The operator is recorded
    /// as it is: no simplification hides its rule.
    ///
    /// # Errors
    /// [`CheckError`] if a derivative is wrong or missing, or could not be checked.
    pub fn operator(&self, op: impl Into<Op>, x: &[Tensor]) -> Result<Report, CheckError> {
        let g = Graph::raw();
        compare::check(self, Problem::of_operator(&g, &op.into(), x)?)
    }

    /// Checks the gradient rules of an operator for random operands of a sample.
    ///
    /// # Errors
    /// As [`GradCheck::operator`].
    pub fn sample(&self, sample: &Sample, key: Key) -> Result<Report, CheckError> {
        self.operator(sample.op.clone(), &sample.draw(key))
    }

    /// Checks the gradients of the result of `f` by its float inputs, of which `x` are the
    /// values. `f` is recorded with the element types of `x`; its twin in f64 is checked.
    ///
    /// # Errors
    /// As [`GradCheck::operator`]; [`CheckError::Nothing`] if no input or no result is a float.
    pub fn function(
        &self,
        x: &[Tensor],
        f: impl for<'g> FnOnce(&'g Graph, &[Var<'g>]) -> Var<'g>,
    ) -> Result<Report, CheckError> {
        self.functions(x, |g, x| vec![f(g, x)])
    }

    /// As [`GradCheck::function`] for a function with several results.
    ///
    /// # Errors
    /// As [`GradCheck::function`].
    pub fn functions(
        &self,
        x: &[Tensor],
        f: impl for<'g> FnOnce(&'g Graph, &[Var<'g>]) -> Vec<Var<'g>>,
    ) -> Result<Report, CheckError> {
        let written = Graph::new();
        let input = |(i, x): (usize, &Tensor)| {
            written.input(&format!("x{i}"), x.dtype(), x.shape().clone())
        };
        let inputs: Vec<Var<'_>> = x.iter().enumerate().map(input).collect();
        let ys = f(&written, &inputs);
        let name = |i: usize| match ys.len() {
            1 => "the result".to_string(),
            _ => format!("result {i}"),
        };
        let names = (0..ys.len()).map(name).collect();
        let g = in_f64(&written, "the function", &ys)?;
        let mut p = problem(&g, "the function", names, x);
        p.sources = float_inputs(&g, |name| format!("input {}", &name[1..]));
        self.run(p)
    }

    /// Checks the gradients of a loss by every parameter that it uses, and by its float inputs
    /// if [`GradCheck::inputs`] says so. `f` records the loss as for training, in whatever
    /// element types; its twin in f64 is checked. `feeds` are the values of the inputs that `f`
    /// declares, in that order; integers are held fixed, and so are buffers and random keys.
    ///
    /// # Errors
    /// As [`GradCheck::function`]. A parameter that no gradient reaches is an error, unless
    /// [`GradCheck::skip`] names it.
    pub fn model(
        &self,
        feeds: &[Tensor],
        f: impl for<'g> FnOnce(&'g Graph) -> Var<'g>,
    ) -> Result<Report, CheckError> {
        let written = if self.train { Graph::train() } else { Graph::eval() };
        let loss = f(&written);
        let g = in_f64(&written, "the model", &[loss])?;
        let mut p = problem(&g, "the model", vec!["the loss".into()], feeds);
        for id in g.ids() {
            let Op::Variable(variable) = g.op(id) else { continue };
            if let Some((source, value)) = self.parameter(id, &variable) {
                p.at.set_variable(variable, value);
                p.sources.push(source);
            }
        }
        if self.inputs {
            p.sources.extend(float_inputs(&g, |name| format!("input {name:?}")));
        }
        p.strict = true;
        self.run(p)
    }

    /// A parameter to differentiate by, and its value.
    fn parameter(&self, id: NodeId, variable: &Variable) -> Option<(Source, Tensor)> {
        let (name, ty) = (variable.name(), variable.ty().clone());
        let skipped = self.skip.iter().any(|pattern| variable.matches(pattern));
        if variable.kind() != Kind::Param || !ty.dtype().is_float() || skipped {
            return None;
        }
        let key = Key(self.seed).fold_str(name);
        let x = variable.initial().to_f64s();
        let moved = |i: usize| x[i] + self.perturb * (2.0 * key.uniform_f64(i as u64) - 1.0);
        let value = Tensor::build(&ty, moved);
        Some((Source { name: format!("parameter {name:?}"), id, ty }, value))
    }

    fn run(&self, p: Problem<'_>) -> Result<Report, CheckError> {
        p.checked()?;
        let nothing = |why| Err(CheckError::Nothing { subject: p.subject.clone(), why });
        match () {
            () if p.outputs.is_empty() => nothing("no result is a float"),
            () if p.sources.is_empty() => nothing("there is no float to differentiate by"),
            () => compare::check(self, p),
        }
    }
}

/// The twin in f64 of what was recorded; its outputs are `ys`.
fn in_f64(written: &Graph, subject: &str, ys: &[Var<'_>]) -> Result<Graph, CheckError> {
    let built = |g: &Graph| {
        let subject = subject.to_string();
        g.check().map_err(|errors| CheckError::Build { subject, errors })
    };
    built(written)?;
    // Outputs and assignments of the model itself are not of interest here.
    written.clear_roots();
    ys.iter().enumerate().for_each(|(i, y)| written.output(&format!("check.y{i}"), y.id()));
    let g = [F16, BF16].iter().fold(written.retype(F32, F64), |g, &half| g.retype(half, F64));
    built(&g)?;
    Ok(g)
}

/// The outputs of `g` as a function of nothing yet, at `feeds`.
fn problem<'g>(g: &'g Graph, subject: &str, names: Vec<String>, feeds: &[Tensor]) -> Problem<'g> {
    let mut p = Problem::new(g, subject);
    for (root, name) in g.roots().iter().zip(names) {
        let ty = g.ty(root.value);
        if ty.dtype().is_float() {
            p.outputs.push(Output { name, id: root.value, ty });
        }
    }
    for (input, feed) in g.inputs().iter().zip(feeds) {
        let floats = input.ty().dtype().is_float() && feed.dtype().is_float();
        p.at.set_input(input, if floats { feed.cast(F64) } else { feed.clone() });
    }
    p
}

/// The float inputs of `g`, in order of declaration.
fn float_inputs(g: &Graph, name: impl Fn(&str) -> String) -> Vec<Source> {
    let source = |id: NodeId| {
        let Op::Input(input) = g.op(id) else { return None };
        let ty: Type = input.ty().clone();
        ty.dtype().is_float().then(|| Source { name: name(input.name()), id, ty })
    };
    g.ids().filter_map(source).collect()
}
