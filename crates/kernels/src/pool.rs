//! Worker threads that wait for jobs by spinning briefly, then sleep.
//!
//! A job is a number of tasks and a function. The caller opens it, works on it like everybody else,
//! closes it when no task is left to start, and waits for the workers that joined. A worker that
//! comes late finds the job closed, so nobody waits for a sleeper to wake.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The lowest bits of the state count the workers that joined; then the open bit; then the number
/// of the job.
const OPEN: u64 = 1 << 16;
const JOB: u64 = 1 << 17;
const JOINED: u64 = OPEN - 1;

/// How long a worker spins before it sleeps: longer than the pauses inside of a training step.
const SPIN: Duration = Duration::from_micros(500);

type Task<'a> = &'a (dyn Fn(usize) + Sync);

/// Alone on its cache lines.
#[repr(align(128))]
struct Padded<T>(T);

struct Shared {
    state: Padded<AtomicU64>,
    next: Padded<AtomicUsize>,
    /// Written by the caller while the job is closed and nobody has joined; read by those who have.
    job: UnsafeCell<(usize, Option<Task<'static>>)>,
    asleep: Vec<AtomicBool>,
    quit: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is synchronized by `state`, as its comment says; all else is `Sync` by itself.
unsafe impl Sync for Shared {}
// SAFETY: the task in `job` is `Sync`, so a reference to it may be sent.
unsafe impl Send for Shared {}

impl Shared {
    /// Takes tasks until none is left. A panic is kept for the caller and ends the job.
    fn work(&self, tasks: usize, task: Task<'_>) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let i = self.next.0.fetch_add(1, Ordering::Relaxed);
                if i >= tasks {
                    return;
                }
                task(i);
            }
        }));
        if let Err(payload) = result {
            self.next.0.store(tasks, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(payload);
        }
    }

    /// A worker's life.
    fn serve(&self, me: usize) {
        let mut seen = 0;
        while let Some(state) = self.wait(me, seen) {
            seen = state / JOB;
            let joined = self.state.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |s| {
                (s & OPEN != 0 && s / JOB == seen).then_some(s + 1)
            });
            if joined.is_ok() {
                // SAFETY: the caller wrote the job before it opened it, and keeps it alive and
                // unchanged until those who joined have left.
                let (tasks, task) = unsafe { *self.job.get() };
                if let Some(task) = task {
                    self.work(tasks, task);
                }
                self.state.0.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Waits for an open job that is not number `seen`; `None` to quit.
    fn wait(&self, me: usize, seen: u64) -> Option<u64> {
        let fresh = || {
            let state = self.state.0.load(Ordering::SeqCst);
            (state & OPEN != 0 && state / JOB != seen).then_some(state)
        };
        loop {
            let start = Instant::now();
            while start.elapsed() < SPIN {
                for _ in 0..32 {
                    if let Some(state) = fresh() {
                        return Some(state);
                    }
                    std::hint::spin_loop();
                }
                if self.quit.load(Ordering::Acquire) {
                    return None;
                }
            }
            // Announce, look again, sleep: a caller either sees the flag or its job is seen here.
            self.asleep[me].store(true, Ordering::SeqCst);
            while self.asleep[me].load(Ordering::SeqCst) {
                if fresh().is_some() || self.quit.load(Ordering::SeqCst) {
                    self.asleep[me].store(false, Ordering::SeqCst);
                } else {
                    std::thread::park();
                }
            }
        }
    }
}

/// A team of threads; the caller of [`Pool::run`] is one of them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, Option<JoinHandle<()>>)>,
    /// One job at a time.
    busy: Mutex<()>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish()
    }
}

impl Pool {
    /// A team of `threads`, the caller included (so 0 counts as 1). Workers that the system refuses
    /// to start are done without.
    pub fn new(threads: usize) -> Pool {
        let count = threads.clamp(1, 1024) - 1;
        let shared = Arc::new(Shared {
            state: Padded(AtomicU64::new(0)),
            next: Padded(AtomicUsize::new(0)),
            job: UnsafeCell::new((0, None)),
            asleep: (0..count).map(|_| AtomicBool::new(false)).collect(),
            quit: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let workers = (0..count)
            .map_while(|me| {
                let shared = shared.clone();
                let builder = std::thread::Builder::new().name(format!("pleach-{}", me + 1));
                let handle = builder.spawn(move || shared.serve(me)).ok()?;
                Some((handle.thread().clone(), Some(handle)))
            })
            .collect();
        Pool { shared, workers, busy: Mutex::new(()) }
    }

    /// Number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task(0)`, …, `task(tasks - 1)`, each once, in any order and on any thread of the team.
    /// Returns when all are done. Called from within a task, or while another thread uses the pool,
    /// it does all the work itself.
    ///
    /// # Panics
    /// With the first panic of a task, when all threads have left the job.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() {
            return (0..tasks).for_each(task);
        }
        let guard = match self.busy.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..tasks).for_each(task),
        };
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Workers follow the reference between joining and
        // leaving, and this function returns only after the last one has left.
        let job: Task<'static> = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        // SAFETY: the job is closed and nobody has joined (the state says so since the last job),
        // so nobody reads; `busy` keeps other writers away.
        unsafe { *shared.job.get() = (tasks, Some(job)) };
        shared.next.0.store(0, Ordering::Relaxed);
        let number = shared.state.0.load(Ordering::Relaxed) / JOB + 1;
        shared.state.0.store(number * JOB + OPEN, Ordering::SeqCst);
        for ((thread, _), asleep) in self.workers.iter().zip(&shared.asleep).take(tasks - 1) {
            if asleep.load(Ordering::SeqCst) && asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.work(tasks, task);
        shared.state.0.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0u32;
        while shared.state.0.load(Ordering::Acquire) & JOINED != 0 {
            spins += 1;
            if spins < 2000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let panic = shared.panic.lock().unwrap_or_else(|e| e.into_inner()).take();
        drop(guard);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Calls `task` on ranges of at most `grain` that cover `0..total`: cut by these numbers alone,
    /// never by the number of threads.
    pub(crate) fn ranges(
        &self,
        total: usize,
        grain: usize,
        task: impl Fn(std::ops::Range<usize>) + Sync,
    ) {
        if total <= grain {
            return if total > 0 {
                task(0..total)
            };
        }
        let grain = grain.max(1);
        self.run(total.div_ceil(grain), &|i| {
            task(i * grain..total.min((i + 1) * grain));
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        for (thread, handle) in &mut self.workers {
            thread.unpark();
            if let Some(handle) = handle.take() {
                // A worker catches the panics of tasks, so it ends well.
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [0, 1, 2, 3, 5] {
            let pool = Pool::new(threads);
            for tasks in [0usize, 1, 2, 7, 100] {
                for _ in 0..50 {
                    let counts: Vec<AtomicUsize> = (0..tasks).map(|_| 0.into()).collect();
                    pool.run(tasks, &|i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
                }
            }
        }
    }

    #[test]
    fn sleepers_wake_up_and_help() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(3));
            let helped = AtomicBool::new(false);
            let caller = std::thread::current().id();
            let start = Instant::now();
            pool.run(2, &|_| {
                // The first task to run waits until the other thread has taken the second.
                helped.fetch_or(std::thread::current().id() != caller, Ordering::SeqCst);
                while !helped.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(20) {
                    std::thread::yield_now();
                }
            });
            assert!(helped.load(Ordering::SeqCst));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        for bad in [0, 5, 9] {
            let run = || pool.run(10, &|i| assert!(i != bad, "task {i}"));
            let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(payload.downcast_ref::<String>().unwrap(), &format!("task {bad}"));
            let sum = AtomicUsize::new(0);
            pool.run(10, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 45);
        }
    }

    #[test]
    fn nested_and_concurrent_jobs_are_done() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        let nested = |_| {
            pool.run(4, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            })
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| pool.run(5, &nested));
            }
        });
        assert_eq!(sum.into_inner(), 3 * 5 * 6);
    }
}
