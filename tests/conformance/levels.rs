//! Every level at which a graph runs: the interpreter, and the plan without and with rewrites.

use pleach::prelude::*;

/// A name, and how a graph is compiled.
type Level = (&'static str, fn() -> Compile);

/// How graphs are compiled. No plan may fall back on the interpreter, and each runs on
/// one thread: cases run side by side.
pub(crate) const LEVELS: [Level; 4] = [
    ("none", Compile::none),
    ("unoptimized", || Compile::unoptimized().no_fallback().threads(1)),
    ("exact", || Compile::exact().no_fallback().threads(1)),
    ("default", || Compile::default().no_fallback().threads(1)),
];

/// Runs outputs of a graph at a level.
pub(crate) fn run<'g>(
    g: &'g Graph,
    outputs: &[(String, Var<'g>)],
    feeds: &[&Tensor],
    compile: Compile,
) -> Result<Vec<Tensor>, String> {
    let Some(((first, y), rest)) = outputs.split_first() else { return Ok(vec![]) };
    let mut recording = g.infer(*y).output(first, *y);
    for (name, value) in rest {
        recording = recording.output(name, *value);
    }
    let mut step = recording.compile(compile).map_err(|e| e.to_string())?;
    let mut state = State::new(&Params::seeded(0));
    let got = step.run(&mut state, feeds.iter().copied()).map_err(|e| e.to_string())?;
    outputs.iter().map(|(name, _)| got.tensor(name).map_err(|e| e.to_string())).collect()
}
