//! In which order instructions run: as they were lowered, or so that less memory is taken.
//!
//! Instructions that touch the same memory, one of them writing it, stay in order. So do those that can
//! stop a run, among themselves and before what writes variables. All others may move, which changes no
//! bit. Several orders are made and their memory added up; in most of them, what frees more than it takes
//! runs as soon as it can: gradients end in updates as they come, and do not wait for each other.

use std::mem::replace;

use pleach_kernels::Kernel;

use crate::assign::Output;
use crate::lower::{Lowered, Storage};

/// The instructions of every run, by their places, in the order in which they run.
pub(crate) type Order = Vec<usize>;

/// An instruction of every run.
#[derive(Debug, Default)]
struct Task {
    /// Storages of the arena that it touches.
    touches: Vec<usize>,
    /// Those that must run before it, and for which it is one of them.
    before: Vec<usize>,
    after: Vec<usize>,
    /// May its result take the memory of an operand?
    is_loop: bool,
}

/// The instructions of every run over the storages of the arena.
#[derive(Debug)]
struct Tasks {
    tasks: Vec<Task>,
    bytes: Vec<usize>,
    /// By storage: how many tasks touch it, and one more if it is needed to the end.
    uses: Vec<usize>,
}

impl Lowered {
    /// The order that takes least memory, if that is less by a sixteenth at least: where caches are warm
    /// is a matter of the order, too.
    pub(crate) fn better_order(&self, outputs: &[Output]) -> Option<Order> {
        let tasks = Tasks::new(self, outputs);
        let recorded: Order = (0..tasks.tasks.len()).collect();
        let (forward, backward) = (tasks.depth_first(false), tasks.depth_first(true));
        let bases = [&recorded, &backward, &forward];
        let orders = bases.into_iter().map(|base| tasks.walk(base));
        let found = orders.chain([backward.clone()]).min_by_key(|order| tasks.peak(order))?;
        (tasks.peak(&found) <= tasks.peak(&recorded) / 16 * 15).then_some(found)
    }

    /// One of all orders that there are.
    pub(crate) fn drawn_order(&self, outputs: &[Output], mut seed: u64) -> Order {
        let tasks = Tasks::new(self, outputs);
        let mut waits = tasks.waits();
        let mut ready: Vec<usize> = (0..waits.len()).filter(|&t| waits[t] == 0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while !ready.is_empty() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let next = ready.swap_remove((seed >> 33) as usize % ready.len());
            order.push(next);
            for &after in &tasks.tasks[next].after {
                waits[after] -= 1;
                if waits[after] == 0 {
                    ready.push(after);
                }
            }
        }
        order
    }

    /// Runs the instructions of every run in this order; answers the order that puts them back.
    pub(crate) fn run_in(&mut self, order: &[usize]) -> Order {
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| back[from] = to);
        let tasks = self.instrs.split_off(self.once.instrs);
        let mut placed: Vec<_> = back.iter().copied().zip(tasks).collect();
        placed.sort_by_key(|(to, _)| *to);
        self.instrs.extend(placed.into_iter().map(|(_, instr)| instr));
        back
    }
}

impl Tasks {
    fn new(lowered: &Lowered, outputs: &[Output]) -> Tasks {
        let n = lowered.storages.len();
        let (mut writer, mut readers) = (vec![None; n], vec![Vec::new(); n]);
        let bytes = |storage: &Storage| match storage {
            Storage::Arena { bytes } => *bytes,
            _ => 0,
        };
        let bytes: Vec<usize> = lowered.storages.iter().map(bytes).collect();
        let mut uses = vec![0; n];
        outputs.iter().for_each(|output| uses[output.slice.buffer.0 as usize] += 1);
        let kept = lowered.once.kept.iter().enumerate().filter(|(_, kept)| **kept);
        kept.for_each(|(s, _)| uses[s] += 1);
        let mut tasks: Vec<Task> = Vec::new();
        let mut fails = None;
        for (t, instr) in lowered.instrs[lowered.once.instrs..].iter().enumerate() {
            let kernel = &instr.kernel;
            let storages = |slices: Vec<&pleach_kernels::Slice>| -> Vec<usize> {
                let mut all: Vec<usize> = slices.iter().map(|s| s.buffer.0 as usize).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            let (reads, writes) = (storages(kernel.inputs()), storages(kernel.outputs()));
            let is_loop = matches!(kernel, Kernel::Loop { .. });
            let mut task = Task { is_loop, ..Task::default() };
            for &s in &reads {
                task.before.extend(writer[s]);
                readers[s].push(t);
            }
            for &s in &writes {
                task.before.extend(writer[s].replace(t));
                task.before.append(&mut readers[s]);
            }
            let variable = |&s: &usize| matches!(lowered.storages[s], Storage::Variable(_));
            if kernel.can_fail() {
                task.before.extend(fails.replace(t));
            } else if writes.iter().any(variable) {
                task.before.extend(fails);
            }
            task.before.sort_unstable();
            task.before.dedup();
            task.before.retain(|&before| before != t);
            let all = [reads, writes].concat().into_iter().filter(|&s| bytes[s] > 0);
            task.touches = all.collect();
            task.touches.sort_unstable();
            task.touches.dedup();
            task.touches.iter().for_each(|&s| uses[s] += 1);
            tasks.push(task);
        }
        for t in 0..tasks.len() {
            for before in tasks[t].before.clone() {
                tasks[before].after.push(t);
            }
        }
        Tasks { tasks, bytes, uses }
    }

    fn waits(&self) -> Vec<usize> {
        self.tasks.iter().map(|task| task.before.len()).collect()
    }

    /// What nothing waits for, in order or the last first, each after what it needs.
    fn depth_first(&self, last_first: bool) -> Order {
        let mut seen = vec![false; self.tasks.len()];
        let mut order = Vec::with_capacity(self.tasks.len());
        let mut ends: Vec<usize> =
            (0..self.tasks.len()).filter(|&t| self.tasks[t].after.is_empty()).collect();
        if last_first {
            ends.reverse();
        }
        for end in ends {
            let mut todo = vec![(end, false)];
            while let Some((t, ready)) = todo.pop() {
                if ready {
                    order.push(t);
                } else if !replace(&mut seen[t], true) {
                    todo.push((t, true));
                    let before = self.tasks[t].before.iter().rev().map(|&b| (b, false));
                    todo.extend(before.filter(|&(b, _)| !seen[b]));
                }
            }
        }
        order
    }

    /// The tasks in this order, or before it if they free more than they take.
    fn walk(&self, base: &[usize]) -> Order {
        let mut state = Walk {
            tasks: self,
            waits: self.waits(),
            passed: vec![false; self.tasks.len()],
            done: vec![false; self.tasks.len()],
            left: self.uses.clone(),
            rest: vec![0; self.bytes.len()],
            live: vec![false; self.bytes.len()],
            order: Vec::with_capacity(self.tasks.len()),
        };
        for (t, task) in self.tasks.iter().enumerate() {
            task.touches.iter().for_each(|&s| state.rest[s] ^= t);
        }
        for &t in base {
            state.passed[t] = true;
            state.run(t);
        }
        state.order
    }

    /// The most bytes that live at once.
    fn peak(&self, order: &[usize]) -> usize {
        let (mut left, mut live) = (self.uses.clone(), vec![false; self.bytes.len()]);
        let (mut now, mut most) = (0, 0);
        for &t in order {
            let task = &self.tasks[t];
            let (mut fresh, mut dying, mut both) = (Vec::new(), Vec::new(), 0);
            for &s in &task.touches {
                left[s] -= 1;
                let bytes = self.bytes[s];
                match (replace(&mut live[s], true), left[s] == 0) {
                    (false, true) => both += bytes,
                    (false, false) => fresh.push(bytes),
                    (true, true) => dying.push(bytes),
                    (true, false) => {}
                }
            }
            let (taken, freed): (usize, usize) = (fresh.iter().sum(), dying.iter().sum());
            // In place.
            let mut saved = 0;
            for bytes in fresh.into_iter().filter(|_| task.is_loop) {
                if let Some(at) = dying.iter().position(|&d| d == bytes) {
                    dying.swap_remove(at);
                    saved += bytes;
                }
            }
            most = most.max(now + taken + both - saved);
            now = now + taken - freed;
        }
        most
    }
}

/// A walk over the tasks.
struct Walk<'t> {
    tasks: &'t Tasks,
    /// How many tasks each still waits for.
    waits: Vec<usize>,
    passed: Vec<bool>,
    done: Vec<bool>,
    /// By storage, how many uses are to come, and the exclusive or of the tasks.
    left: Vec<usize>,
    rest: Vec<usize>,
    live: Vec<bool>,
    order: Order,
}

impl Walk<'_> {
    /// Does it free more than it takes?
    fn frees(&self, t: usize) -> bool {
        let (mut freed, mut taken) = (0, 0);
        for &s in &self.tasks.tasks[t].touches {
            match (self.live[s], self.left[s] == 1) {
                (true, true) => freed += self.tasks.bytes[s],
                (false, false) => taken += self.tasks.bytes[s],
                _ => {}
            }
        }
        freed > taken
    }

    /// Runs a task if it can, and what follows from that.
    fn run(&mut self, t: usize) {
        let mut todo = vec![t];
        while let Some(t) = todo.pop() {
            let can = !self.done[t] && self.waits[t] == 0;
            if !(can && (self.passed[t] || self.frees(t))) {
                continue;
            }
            self.done[t] = true;
            self.order.push(t);
            let task = &self.tasks.tasks[t];
            for &s in &task.touches {
                self.live[s] = true;
                self.left[s] -= 1;
                self.rest[s] ^= t;
                if self.left[s] == 1 {
                    todo.push(self.rest[s]);
                }
            }
            for &after in &task.after {
                self.waits[after] -= 1;
                if self.waits[after] == 0 {
                    todo.push(after);
                }
            }
        }
    }
}
