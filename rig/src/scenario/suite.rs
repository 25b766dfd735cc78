//! Many cases at once: on several threads, reported in file order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::file::Case;
use super::run::{self, Outcome, Setting};
use crate::report::event::Verdict;

/// How a suite is run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Threads; at least one is used.
    pub jobs: usize,
    /// Stop starting cases after the first that does not pass.
    pub fail_fast: bool,
    /// Run every case twice and call it broken when its events differ by a byte.
    pub check_determinism: bool,
    /// Somebody asked to stop: no new case is started.
    pub stop: &'a AtomicBool,
}

/// Runs the cases and hands each outcome to `tell` as soon as it is there, in whatever order. `index` counts from 0 in the order
/// of `cases`.
pub fn run(cases: &[Case], setting: &Setting, options: &Options<'_>, mut tell: impl FnMut(u32, Progress<'_>)) {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(cases.len().max(1)) {
            let (sender, next, failed) = (sender.clone(), &next, &failed);
            scope.spawn(move || {
                loop {
                    if options.stop.load(Ordering::Relaxed) || options.fail_fast && failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { return };
                    let index = u32::try_from(at).unwrap_or(u32::MAX);
                    let _ = sender.send((index, None));
                    let outcome = one(case, index, setting, options.check_determinism);
                    if outcome.verdict != Verdict::Passed {
                        failed.store(true, Ordering::Relaxed);
                    }
                    if sender.send((index, Some(outcome))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, outcome) in receiver {
            let Some(case) = cases.get(index as usize) else { continue };
            match outcome {
                None => tell(index, Progress::Started(case)),
                Some(outcome) => tell(index, Progress::Finished(outcome)),
            }
        }
    });
}

/// What a suite tells while it runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A case starts.
    Started(&'a Case),
    /// A case has ended.
    Finished(Outcome),
}

fn one(case: &Case, index: u32, setting: &Setting, check_determinism: bool) -> Outcome {
    let mut outcome = run::run(case, index, setting);
    if check_determinism {
        let again = run::run(case, index, setting);
        if again.events != outcome.events {
            run::call_nondeterministic(&mut outcome, &again);
        }
    }
    outcome
}

/// Threads to use when nobody says: one per core.
#[must_use]
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How much faster than real time a run was.
#[must_use]
pub fn speed_up(simulated: Duration, real: Duration) -> f64 {
    simulated.as_secs_f64() / real.as_secs_f64().max(1e-9)
}
