//! `Plan`: a graph as a flat program over one arena, ready to run.

use std::collections::BTreeMap;

use pleach_graph::NodeId;
use pleach_kernels::{
    AlignedBuf, Bound, BufferId, BufferSpec, Kernel, Pool, Program, RunError, Slice, run, run_timed,
};
use pleach_ops::{EvalError, Graph, GraphExt, Input, Op, Params, Var, Variable};
use pleach_tensor::{Tensor, Type, for_dtype};

use crate::arena::Arena;
use crate::assign::{Output, map_slices};
use crate::lower::{Instr, Lowered, Storage};
use crate::outputs::Source;
use crate::{ExecError, Moved, Outputs, PlanReport, State};

/// How a graph is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that run the plan. They change no bit of any result.
    pub threads: usize,
    /// May operators without a kernel run in the interpreter?
    pub fallback: bool,
}

impl Default for Options {
    /// All processors; the interpreter may help out.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options { threads, fallback: true }
    }
}

/// The arena is buffer 0 of a program; then come inputs, variables, constants.
pub(crate) const ARENA: BufferId = BufferId(0);

/// A graph as instructions, and where everything lies.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) lowered: Lowered,
    pub(crate) outputs: Vec<Output>,
    pub(crate) arena: Arena,
}

impl Planned {
    pub(crate) fn new(g: &Graph) -> Planned {
        let mut lowered = Lowered::new(g);
        let outputs = lowered.finish(g);
        let mut arena = Arena::new(&lowered, &outputs);
        if let Some(order) = lowered.better_order(&outputs) {
            let back = lowered.run_in(&order);
            let other = Arena::new(&lowered, &outputs);
            if other.bytes < arena.bytes {
                arena = other;
            } else {
                lowered.run_in(&back);
            }
        }
        Planned { lowered, outputs, arena }
    }
}

/// A compiled graph. It owns its memory, so running takes `&mut self`.
#[derive(Debug)]
pub struct Plan {
    program: Program,
    /// What is done before it where it was not done yet, or where what it read has changed.
    once: Program,
    /// The state, and versions of the variables that `once` read when it was done.
    done: Option<Vec<u64>>,
    /// Places in the state of the variables that `once` reads; which variables the plan writes.
    reads: (Vec<usize>, Vec<usize>),
    writes: Vec<bool>,
    pool: Pool,
    arena: AlignedBuf,
    inputs: Vec<Input>,
    variables: Vec<Variable>,
    constants: Vec<AlignedBuf>,
    outputs: Vec<Output>,
    report: PlanReport,
    /// The state that `places` is for.
    state: u64,
    /// Place of every entry of the state among the plan's variables.
    places: Vec<Option<usize>>,
    /// Memory of the list of buffers, kept between runs.
    bound: Vec<Bound<'static>>,
}

impl Plan {
    /// Lowers and plans what the outputs and assignments of the graph need. `inputs` are the
    /// inputs that will be fed, in order.
    ///
    /// # Errors
    /// [`ExecError::Build`] if the graph has errors, [`ExecError::NoKernel`] if fallback is
    /// forbidden and an operator needs it.
    pub fn compile(g: &Graph, inputs: &[Input], options: Options) -> Result<Plan, ExecError> {
        g.check()?;
        Plan::of(g, inputs, options, Planned::new(g), false)
    }

    /// What was planned, as programs; `checked` as [`Plan::compile_checked`] says.
    pub(crate) fn of(
        g: &Graph,
        inputs: &[Input],
        options: Options,
        planned: Planned,
        checked: bool,
    ) -> Result<Plan, ExecError> {
        let Planned { mut lowered, mut outputs, arena } = planned;
        known(g, &lowered, inputs)?;
        let place = |id: NodeId| {
            g.origin(id).first().map(|s| format!(" (built at {s})")).unwrap_or_default()
        };
        let name = |id: NodeId| {
            let node = g.node(id);
            format!("{} : {}{}", node.op.name(), node.ty, place(id))
        };
        let interpreted: Vec<String> =
            lowered.interpreted.iter().map(|(id, op)| format!("{op}{}", place(*id))).collect();
        if !options.fallback && !interpreted.is_empty() {
            return Err(ExecError::NoKernel(interpreted));
        }
        let freed = if checked { arena.freed(&lowered) } else { Vec::new() };

        let first_variable = 1 + inputs.len() as u32;
        let mut constants = Vec::new();
        let first_constant = first_variable + lowered.variables.len() as u32;
        let buffers: Vec<BufferId> = lowered
            .storages
            .iter()
            .map(|storage| match storage {
                Storage::Arena { .. } => ARENA,
                Storage::Input(position) => BufferId(1 + *position as u32),
                Storage::Variable(at) => BufferId(first_variable + *at as u32),
                Storage::Constant(value) => {
                    constants.push(value.clone());
                    BufferId(first_constant + constants.len() as u32 - 1)
                }
            })
            .collect();
        for instr in &mut lowered.instrs {
            map_slices(&mut instr.kernel, &|s: &mut Slice| arena.move_slice(s, &buffers));
        }
        for output in &mut outputs {
            arena.move_slice(&mut output.slice, &buffers);
        }
        if checked {
            lowered.poison(&freed, arena.bytes);
        }
        let mut written = vec![false; first_constant as usize + constants.len()];
        let slices = lowered.instrs.iter().flat_map(|i| i.kernel.outputs());
        slices.for_each(|slice| written[slice.buffer.0 as usize] = true);
        let mut specs = vec![BufferSpec { bytes: arena.bytes, writable: true }];
        specs.extend(inputs.iter().map(|i| BufferSpec { bytes: i.ty().bytes(), writable: false }));
        specs.extend(
            lowered.variables.iter().zip(first_variable..).map(|(v, id)| BufferSpec {
                bytes: v.ty().bytes(),
                writable: written[id as usize],
            }),
        );
        specs.extend(constants.iter().map(|c| BufferSpec { bytes: c.len(), writable: false }));

        let then = lowered.instrs.split_off(lowered.once.instrs);
        let first = std::mem::replace(&mut lowered.instrs, then);
        let mut kernels: BTreeMap<&'static str, usize> = BTreeMap::new();
        each_kernel(&mut lowered.instrs.iter().map(|i| &i.kernel), &mut |kernel| {
            *kernels.entry(kernel.name()).or_default() += 1;
        });
        let variable_bytes = lowered.variables.iter().map(|v| v.ty().bytes()).sum();
        let site = |id: NodeId| g.origin(id).first().map_or(String::new(), ToString::to_string);
        let moved = |instrs: &[Instr]| -> Vec<Moved> {
            let moved = |i: &Instr| Moved::new(&i.kernel, name(i.node), site(i.node));
            instrs.iter().map(moved).collect()
        };
        let (mut every_run, once) = (moved(&lowered.instrs), moved(&first));
        let program = |instrs: Vec<Instr>| {
            let instrs = instrs.into_iter().map(|i| i.kernel).collect();
            Program::new(instrs, specs.clone()).map_err(|e| ExecError::Invalid(e.to_string()))
        };
        let (once_program, program) = (program(first)?, program(lowered.instrs)?);
        every_run.iter_mut().enumerate().for_each(|(i, moved)| moved.with = program.done_with(i));
        let report = PlanReport {
            kernels,
            moved: every_run,
            once,
            views: lowered.views,
            interpreted,
            arena_bytes: arena.bytes,
            lower_bound: arena.lower_bound,
            least: arena.least,
            in_place: arena.in_place,
            variables: (lowered.variables.len(), variable_bytes),
            updated_in_place: lowered.updated_in_place,
            constant_bytes: constants.iter().map(AlignedBuf::len).sum(),
            threads: options.threads.max(1),
        };
        Ok(Plan {
            once: once_program,
            program,
            done: None,
            reads: (lowered.once.variables, Vec::new()),
            writes: written[first_variable as usize..first_constant as usize].to_vec(),
            pool: Pool::new(options.threads),
            arena: AlignedBuf::new(arena.bytes),
            inputs: inputs.to_vec(),
            variables: lowered.variables,
            constants,
            outputs,
            report,
            state: 0,
            places: Vec::new(),
            bound: Vec::new(),
        })
    }

    /// Bytes of the arena that a graph would get: what passes ask. 0 if it has errors.
    pub fn peak_bytes(g: &Graph) -> u64 {
        if g.check().is_err() {
            return 0;
        }
        Planned::new(g).arena.bytes as u64
    }

    /// One operator as a plan would run it: passes fold with this, so that folded and run-time
    /// values agree to the bit.
    ///
    /// # Errors
    /// [`EvalError`] for what only values can tell.
    pub fn evaluate(op: &Op, x: &[&Tensor], y: &Type) -> Result<Tensor, EvalError> {
        let g = Graph::raw();
        let inputs: Vec<Var<'_>> = x
            .iter()
            .enumerate()
            .map(|(i, t)| g.input(&i.to_string(), t.dtype(), t.shape()))
            .collect();
        let ids: Vec<NodeId> = inputs.iter().map(|v| v.id()).collect();
        let value = g.push(op.clone(), &ids);
        g.output("y", value);
        let other = |e: ExecError| EvalError::Other(e.to_string());
        let options = Options { threads: 1, fallback: true };
        let mut plan = Plan::compile(&g, &g.inputs(), options).map_err(other)?;
        let mut state = State::new(&Params::seeded(0));
        let outputs = plan.run(&mut state, x.iter().copied()).map_err(|e| match e {
            ExecError::Index { index, len, .. } => EvalError::Index { index, len },
            e => other(e),
        })?;
        let result = outputs.tensor("y").map_err(other)?;
        debug_assert_eq!(result.ty(), y);
        Ok(result)
    }

    /// The numbers of the plan.
    pub fn report(&self) -> &PlanReport {
        &self.report
    }

    /// The inputs, in the order in which they are fed.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Runs the plan: reads the state and the feeds (in the order of the inputs), writes outputs
    /// and assigned variables. After the first run on a state it allocates nothing, but for
    /// interpreted operators.
    ///
    /// # Errors
    /// [`ExecError`] for wrong feeds or a foreign state, and for an index out of range; the state
    /// is then as it was.
    pub fn run<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
    ) -> Result<Outputs<'_>, ExecError> {
        self.run_with(state, feeds, None)
    }

    /// As [`Plan::run`], and adds the nanoseconds of every instruction to `clocks`, one for each of
    /// [`PlanReport::moved`] and of the bodies of loops in it: new clocks begin at 0.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_timed<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
        clocks: &mut Vec<u64>,
    ) -> Result<Outputs<'_>, ExecError> {
        clocks.resize(self.program.clocks(), 0);
        self.run_with(state, feeds, Some(clocks))
    }

    fn run_with<'f>(
        &mut self,
        state: &mut State,
        feeds: impl IntoIterator<Item = &'f Tensor>,
        clocks: Option<&mut [u64]>,
    ) -> Result<Outputs<'_>, ExecError> {
        // Entries of a state are only ever added, at its end: places stay true.
        if self.state != state.id {
            self.locate(state)?;
        }
        let stale = !self.once.instrs().is_empty() && !self.is_done(state);
        let mut bound = recycle(std::mem::take(&mut self.bound));
        bound.push(Bound::write(&mut self.arena));
        let fed = feed(&self.inputs, feeds, &mut bound);
        let result = fed.and_then(|()| {
            let first_variable = bound.len();
            bound.extend(self.variables.iter().map(|_| Bound::read_bytes(&[])));
            bound.extend(self.constants.iter().map(|c| Bound::read_bytes(c.bytes())));
            for (entry, place) in state.entries.iter_mut().zip(&self.places) {
                if let Some(place) = place {
                    entry.version += u64::from(self.writes[*place]);
                    bound[first_variable + place] = Bound::write(&mut entry.value);
                }
            }
            if stale {
                let ran = run(&self.once, &mut bound, &self.pool);
                ran.map_err(|error| of_run(error, &self.report.once))?;
            }
            let ran = match clocks {
                None => run(&self.program, &mut bound, &self.pool),
                Some(clocks) => run_timed(&self.program, &mut bound, &self.pool, clocks),
            };
            ran.map_err(|error| of_run(error, &self.report.moved))
        });
        self.bound = recycle(bound);
        if stale {
            let versions = self.reads.1.iter().map(|&at| state.entries[at].version);
            let done = self.done.get_or_insert_default();
            done.clear();
            done.extend(versions);
            // What was not done to the end is not done.
            if result.is_err() {
                self.done = None;
            }
        }
        result?;
        Ok(self.outputs())
    }

    /// The outputs of the last run; zeros before the first.
    pub fn outputs(&self) -> Outputs<'_> {
        Outputs(Source::Arena(&self.outputs, &self.arena))
    }

    /// Is what is done once done, for the values that the state holds now?
    fn is_done(&self, state: &State) -> bool {
        let versions = self.reads.1.iter().map(|&at| state.entries[at].version);
        self.done.as_ref().is_some_and(|done| versions.eq(done.iter().copied()))
    }

    /// Finds the plan's variables in a state.
    fn locate(&mut self, state: &mut State) -> Result<(), ExecError> {
        let places: Vec<usize> =
            self.variables.iter().map(|v| state.place(v)).collect::<Result<_, _>>()?;
        self.places = vec![None; state.entries.len()];
        for (variable, &at) in places.iter().enumerate() {
            self.places[at] = Some(variable);
        }
        self.reads.1 = self.reads.0.iter().map(|&variable| places[variable]).collect();
        self.done = None;
        self.state = state.id;
        Ok(())
    }
}

/// The error of a run of these instructions, with the node that failed.
fn of_run(error: RunError, moved: &[Moved]) -> ExecError {
    let op = |instr: usize| moved.get(instr).map_or(String::new(), |moved| moved.node.clone());
    match error {
        RunError::Index { instr, index, len } => ExecError::Index { op: op(instr), index, len },
        RunError::Host { instr, message } => ExecError::Fallback { op: op(instr), message },
        other => ExecError::Invalid(other.to_string()),
    }
}

/// Calls `f` for every instruction, those of loops included.
fn each_kernel<'a>(kernels: &mut dyn Iterator<Item = &'a Kernel>, f: &mut dyn FnMut(&'a Kernel)) {
    for kernel in kernels {
        f(kernel);
        if let Kernel::Repeat { body, .. } = kernel {
            each_kernel(&mut body.iter(), f);
        }
    }
}

/// Is every input that the graph reads among those that will be fed?
fn known(g: &Graph, lowered: &Lowered, inputs: &[Input]) -> Result<(), ExecError> {
    for id in g.ids().filter(|id| lowered.values.contains_key(id)) {
        let Op::Input(input) = g.op(id) else { continue };
        if inputs.get(input.position()) != Some(&input) {
            let known = inputs.iter().map(Input::name).collect::<Vec<_>>().join(", ");
            let name = input.name().to_string();
            return Err(ExecError::Unknown { what: "input", name, known });
        }
    }
    Ok(())
}

/// An empty list in the memory of `list`: the standard library collects in place where elements
/// are laid out alike, so nothing is allocated.
fn recycle<'a>(mut list: Vec<Bound<'_>>) -> Vec<Bound<'a>> {
    list.clear();
    list.into_iter().map(|_| Bound::read_bytes(&[])).collect()
}

fn feed<'a, 'f: 'a>(
    inputs: &[Input],
    feeds: impl IntoIterator<Item = &'f Tensor>,
    bound: &mut Vec<Bound<'a>>,
) -> Result<(), ExecError> {
    let mut feeds = feeds.into_iter();
    for (at, input) in inputs.iter().enumerate() {
        let Some(feed) = feeds.next() else { return Err(count(inputs, at)) };
        if feed.ty() != input.ty() {
            let (name, expected) = (input.name().to_string(), input.ty().clone());
            return Err(ExecError::FeedType { name, expected, got: feed.ty().clone() });
        }
        bound.push(for_dtype!(feed.dtype(), T => Bound::read(feed.as_slice::<T>()?)));
    }
    match feeds.count() {
        0 => Ok(()),
        more => Err(count(inputs, inputs.len() + more)),
    }
}

pub(crate) fn count(inputs: &[Input], got: usize) -> ExecError {
    let names: Vec<&str> = inputs.iter().map(Input::name).collect();
    ExecError::FeedCount { expected: inputs.len(), names: names.join(", "), got }
}
