//! Worker threads that wait for jobs by spinning briefly, then sleep.
//!
//! A job is a number of tasks and a function. Every thread has a seat, alone on its cache lines, with
//! its share of the tasks: neighbours, so that what one job leaves in a thread's caches the next one
//! finds there. Who is done with its own share goes on with those of others. The caller opens the
//! workers' seats, works like everybody else, closes the seats that nobody took, and waits for the
//! workers at the others: nobody waits for a sleeper to wake.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Nobody works at a seat; a job is there to be joined; its worker has joined.
const EMPTY: u32 = 0;
const OPEN: u32 = 1;
const TAKEN: u32 = 2;

/// How long a worker spins before it sleeps: longer than the pauses inside of a training step.
const SPIN: Duration = Duration::from_micros(500);

/// Most parts of a job for every thread: threads are not equally fast.
pub(crate) const EACH: usize = 4;

type Task<'a> = &'a (dyn Fn(usize) + Sync);

/// A thread's seat. All that a worker needs to join a job lies in the line that it watches.
#[repr(align(128))]
struct Seat {
    state: AtomicU32,
    asleep: AtomicBool,
    /// The share: the next task, and the end.
    next: AtomicUsize,
    end: AtomicUsize,
    /// The function, and the number of seats of the job. Written by the caller while the seat is
    /// empty; read by the worker that took it.
    job: UnsafeCell<(usize, Option<Task<'static>>)>,
}

struct Shared {
    /// The caller's, then those of workers.
    seats: Vec<Seat>,
    quit: AtomicBool,
    panicked: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is synchronized by `state`, as its comment says; all else is `Sync` by itself.
unsafe impl Sync for Shared {}
// SAFETY: the task in `job` is `Sync`, so a reference to it may be sent.
unsafe impl Send for Shared {}

impl Shared {
    /// Does tasks of the first `seats` shares, its own first, until none is left. A panic is kept for
    /// the caller and ends the job.
    fn work(&self, me: usize, seats: usize, task: Task<'_>) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            for Seat { next, end, .. } in (me..seats).chain(0..me).map(|i| &self.seats[i]) {
                let end = end.load(Ordering::Relaxed);
                while next.load(Ordering::Relaxed) < end {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i < end {
                        task(i);
                    }
                }
            }
        }));
        if let Err(payload) = result {
            for seat in &self.seats[..seats] {
                seat.next.store(seat.end.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(payload);
            self.panicked.store(true, Ordering::Relaxed);
        }
    }

    /// A worker's life.
    fn serve(&self, me: usize) {
        let Seat { state, job, .. } = &self.seats[me];
        while self.wait(me) {
            let taken = state.compare_exchange(OPEN, TAKEN, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                // SAFETY: the caller wrote the job before it opened the seat, and keeps it alive and
                // unchanged until the seat is empty.
                let (seats, task) = unsafe { *job.get() };
                if let Some(task) = task {
                    self.work(me, seats, task);
                }
                state.store(EMPTY, Ordering::Release);
            }
        }
    }

    /// Waits until a worker's seat is open; `false` to quit.
    fn wait(&self, me: usize) -> bool {
        let Seat { state, asleep, .. } = &self.seats[me];
        let is_open = || state.load(Ordering::Relaxed) == OPEN;
        loop {
            let start = Instant::now();
            while start.elapsed() < SPIN {
                for _ in 0..32 {
                    if is_open() {
                        return true;
                    }
                    std::hint::spin_loop();
                }
                if self.quit.load(Ordering::Acquire) {
                    return false;
                }
            }
            // Announce, look again, sleep. A caller that just misses the flag does the job alone, and
            // sees the flag the next time.
            asleep.store(true, Ordering::SeqCst);
            while asleep.load(Ordering::SeqCst) {
                if is_open() || self.quit.load(Ordering::SeqCst) {
                    asleep.store(false, Ordering::SeqCst);
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
        let threads = threads.clamp(1, 1024);
        let seat = || Seat {
            state: AtomicU32::new(EMPTY),
            asleep: AtomicBool::new(false),
            next: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            job: UnsafeCell::new((0, None)),
        };
        let shared = Arc::new(Shared {
            seats: (0..threads).map(|_| seat()).collect(),
            quit: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let workers = (1..threads)
            .map_while(|me| {
                let shared = shared.clone();
                let builder = std::thread::Builder::new().name(format!("pleach-{me}"));
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

    /// Calls `task(0)`, …, `task(tasks - 1)`, each once, in any order and on any thread of the team,
    /// but for preference each thread its share of neighbours, the same in every job of as many tasks.
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
        let seats = &shared.seats[..self.threads().min(tasks)];
        // SAFETY: only the lifetime changes. Workers follow the reference between taking and leaving
        // a seat, and this function returns only when all seats are empty.
        let job: Task<'static> = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        let (share, more) = (tasks / seats.len(), tasks % seats.len());
        for (i, seat) in seats.iter().enumerate() {
            let start = i * share + i.min(more);
            seat.next.store(start, Ordering::Relaxed);
            seat.end.store(start + share + usize::from(i < more), Ordering::Relaxed);
            // SAFETY: the seat is empty since the last job, so nobody reads; `busy` keeps other
            // writers away.
            unsafe { *seat.job.get() = (seats.len(), Some(job)) };
        }
        for (seat, (thread, _)) in seats[1..].iter().zip(&self.workers) {
            seat.state.store(OPEN, Ordering::Release);
            if seat.asleep.load(Ordering::SeqCst) && seat.asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.work(0, seats.len(), task);
        for Seat { state, .. } in &seats[1..] {
            let mut spins = 0u32;
            // A seat that is still open is closed; at a taken one somebody works.
            while let Err(TAKEN) =
                state.compare_exchange(OPEN, EMPTY, Ordering::Acquire, Ordering::Acquire)
            {
                spins += 1;
                if spins < 2000 { std::hint::spin_loop() } else { std::thread::yield_now() }
            }
        }
        let panic = match shared.panicked.swap(false, Ordering::Relaxed) {
            true => shared.panic.lock().unwrap_or_else(|e| e.into_inner()).take(),
            false => None,
        };
        drop(guard);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Calls `task` on ranges that cover `0..total`: as many as keep the team busy, but none of less
    /// than `grain`, which is worth a hand-over (a microsecond or two of work). No bit may depend on
    /// where it is cut.
    pub(crate) fn ranges(
        &self,
        total: usize,
        grain: usize,
        task: impl Fn(std::ops::Range<usize>) + Sync,
    ) {
        let parts = self.parts(total / grain.max(1), EACH);
        if parts <= 1 {
            return if total > 0 {
                task(0..total)
            };
        }
        let (share, more) = (total / parts, total % parts);
        let start = |i: usize| i * share + i.min(more);
        self.run(parts, &|i| task(start(i)..start(i + 1)));
    }

    /// Into how many parts is work cut of which at most so many are worth it, with at most `each` for
    /// every thread? At least 1.
    pub(crate) fn parts(&self, most: usize, each: usize) -> usize {
        match self.threads() {
            1 => 1,
            threads if most < threads => most.max(1),
            threads => most.min(each * threads) / threads * threads,
        }
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
