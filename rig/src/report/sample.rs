//! A made-up run for the tests of this folder: it passes, fails, breaks and skips.

use std::time::Duration;

use super::event::{Event, Reason, Verdict};
use super::summary::{CaseResult, Summary};

/// Every event of the run, in file order, as `--events` would write it.
pub const JSONL: &str = include_str!("../../tests/report/sample.jsonl");

/// The events of the run, one vector per case.
pub fn cases() -> Vec<Vec<Event>> {
    let mut cases: Vec<Vec<Event>> = Vec::new();
    for line in JSONL.lines() {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        match cases.last_mut().filter(|case| case[0].case == event.case) {
            Some(case) => case.push(event),
            None => cases.push(vec![event]),
        }
    }
    cases
}

/// What the run came to.
pub fn summary() -> Summary {
    let mut summary = Summary::default();
    for events in cases() {
        summary.add(CaseResult::from_events(events[0].case, &events));
    }
    summary
}

/// Its first failed case.
pub fn failed() -> CaseResult {
    first(Verdict::Failed)
}

/// Its first broken case.
pub fn broken() -> CaseResult {
    first(Verdict::Broken)
}

/// Why the first failed case failed.
pub fn reason() -> Reason {
    *failed().reason.unwrap()
}

/// How long it took, on some machine.
pub const REAL: Duration = Duration::from_millis(842);

fn first(verdict: Verdict) -> CaseResult {
    summary().ended(verdict).next().unwrap().clone()
}
