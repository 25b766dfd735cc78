//! Many cases at once: on several threads, reported in file order.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::file::Case;
use super::run::{self, Outcome, Setting};

/// How a suite is run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Threads; at least one is used.
    pub jobs: usize,
    /// Stop starting cases after the first that fails or breaks.
    pub fail_fast: bool,
    /// Run every case twice and call it broken when its events differ by a byte.
    pub check_determinism: bool,
    /// Somebody asked to stop: no new case is started.
    pub stop: &'a AtomicBool,
    /// Which case is next.
    pub order: &'a dyn Order,
}

/// Says which case is next.
pub trait Order: fmt::Debug + Sync {
    /// The next case, once that is known; `None` when there is none any more.
    fn next(&self) -> Option<Next>;
}

/// A case that is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its number among those that run, from 0.
    pub number: u32,
    /// Its place among all.
    pub place: usize,
}

/// All cases, one after the other.
#[derive(Debug, Default)]
pub struct AsGiven(AtomicUsize);

impl Order for AsGiven {
    fn next(&self) -> Option<Next> {
        let place = self.0.fetch_add(1, Ordering::Relaxed);
        Some(Next { number: u32::try_from(place).ok()?, place })
    }
}

/// Runs the cases and hands each outcome to `tell` by its number, as soon as it is there.
pub fn run(cases: &[Case], setting: &Setting, options: &Options<'_>, mut tell: impl FnMut(u32, Progress<'_>)) {
    let failed = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(cases.len().max(1)) {
            let (sender, failed) = (sender.clone(), &failed);
            scope.spawn(move || {
                loop {
                    if options.stop.load(Ordering::Relaxed) || options.fail_fast && failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(Next { number, place }) = options.order.next() else { return };
                    let Some(case) = cases.get(place) else { return };
                    let _ = sender.send((number, Progress::Started(case)));
                    let outcome = one(case, number, setting, options.check_determinism);
                    if outcome.verdict.is_trouble() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    if sender.send((number, Progress::Finished(outcome))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (number, progress) in receiver {
            tell(number, progress);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::report::event::Verdict;
    use crate::scenario::load::{self, Options as Loading};
    use crate::station::fixtures::Fixtures;
    use crate::station::live::Live;
    use crate::station::local::Local;
    use crate::station::{Capability, Offer};

    /// A station on the wall clock that waits for nothing.
    fn station(fixtures: &Fixtures) -> Live {
        let (_band, bench) = Local::start(Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"])).unwrap();
        let can = Capability::ALL.into_iter().filter(|it| *it != Capability::VirtualTime).collect();
        let (clock, longest_wait) = (Duration::from_secs(1), Duration::ZERO);
        Live::new(Offer { name: "local".into(), can, settings: BTreeMap::new(), clock, longest_wait }, bench)
    }

    #[test]
    fn a_case_that_is_skipped_does_not_stop_the_run_as_a_failure_does() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let fixtures = Arc::new(Fixtures::load(&fixtures).unwrap());
        let text = "\
scenario: a band pays
matrix:
  - { after: 1h, outcome: not_paid }
  - { after: 0s, outcome: not_paid }
  - { after: 0ms, outcome: approved }
  - { after: 0us, outcome: not_paid }
steps:
  - wait: ${after}
  - tap: 4.20 EUR
    expect: { outcome: \"${outcome}\" }
";
        let loaded = load::load_text("four.yaml", text, &Loading { names: fixtures.names(), ..Loading::default() });
        assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
        let setting = Setting {
            station: Arc::new(station(&fixtures)),
            fixtures,
            sources: loaded.sources,
            seed: 0,
            keep: run::Keep::Verdicts,
            repeat_with: String::new(),
        };
        let stop = AtomicBool::new(false);
        let options =
            Options { jobs: 1, fail_fast: true, check_determinism: false, stop: &stop, order: &AsGiven::default() };
        let mut verdicts = vec![];
        run(&loaded.cases, &setting, &options, |_, progress| {
            if let Progress::Finished(outcome) = progress {
                verdicts.push(outcome.verdict);
            }
        });
        assert_eq!(verdicts, [Verdict::Skipped, Verdict::Passed, Verdict::Failed]);
    }
}
