//! What one machine of the virtual station tells of its part of the cases, by the files that both sides see.

use std::fs;
use std::path::PathBuf;

use super::handed::{Growing, Hand, Left};
use crate::report::event::{Event, Kind, Verdict};
use crate::report::reporter::Reporter;
use crate::report::summary::Exit;
use crate::scenario::file::Case;
use crate::scenario::run::{self, Setting};
use crate::station::guest;

/// What the program inside says beside its events.
const LOG: &str = "bandrig.log";
/// How a run ends that came to its end.
const ENDS: [Exit; 4] = [Exit::Passed, Exit::Failed, Exit::Broken, Exit::NothingRun];

const ENDED_BEFORE: (Verdict, &str) = (Verdict::Broken, "the virtual station ended before this case did");

/// What all parts are of.
pub(super) struct Bench<'a> {
    /// All cases.
    pub(super) cases: &'a [Case],
    /// What the station is called inside.
    pub(super) inside: &'a str,
    /// What they are run with.
    pub(super) setting: &'a Setting,
    /// Whether no case is to run after the first that does not pass.
    pub(super) fail_fast: bool,
}

impl<'a> Bench<'a> {
    /// The case at this place among all.
    pub(super) fn case(&self, at: u32) -> Option<&'a Case> {
        self.cases.get(usize::try_from(at).ok()?)
    }
}

/// The cases of one machine and how far it has come.
pub(super) struct Part {
    share: PathBuf,
    /// Those it was given so far, by their places among all.
    cases: Vec<u32>,
    hand: Hand,
    /// How many of them have ended.
    next: usize,
    lines: Growing,
    /// What has happened in the one that runs.
    events: Vec<Event>,
    /// Whether it has begun.
    says: bool,
    /// How many have been told to run.
    told: usize,
    /// Whether the rest of them is not to run.
    stops: bool,
}

impl Part {
    /// Begins without a case, told in this folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn new(share: PathBuf) -> Result<Self, String> {
        Ok(Self {
            hand: Hand::new(&share)?,
            lines: Growing::new(share.join("events.jsonl")),
            share,
            cases: vec![],
            next: 0,
            events: vec![],
            says: false,
            told: 0,
            stops: false,
        })
    }

    /// Gives its machine as many cases as it may have now.
    ///
    /// # Errors
    /// When they cannot be handed out.
    pub(super) fn take(&mut self, left: &mut Left) -> Result<(), String> {
        while !self.stops && !self.hand.closed && self.cases.len() <= self.next + left.ahead() {
            let Some(case) = left.take() else { break };
            self.cases.push(case);
            self.hand.give(case)?;
        }
        Ok(())
    }

    /// Whether it has a case that its machine has not begun, as far as is known.
    pub(super) fn has_some_ahead(&self) -> bool {
        self.cases.len() > self.next + 1
    }

    /// Its machine gets no more cases.
    ///
    /// # Errors
    /// As [`Part::take`].
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.hand.close()
    }

    /// What has happened since.
    ///
    /// # Errors
    /// When it cannot be read, is not of these cases, or cannot be reported.
    pub(super) fn hear(&mut self, bench: &Bench<'_>, reporter: &mut Reporter) -> Result<(), String> {
        self.says = self.says || self.share.join(LOG).exists();
        self.tell_running(bench, reporter);
        while let Some(line) = self.lines.next()? {
            let mut event: Event =
                serde_json::from_str(&line).map_err(|error| format!("the virtual station says nonsense: {error}"))?;
            let Some(case) = self.cases.get(self.next) else {
                return Err("the virtual station runs another case".into());
            };
            event.case = *case;
            let ends = matches!(event.kind, Kind::CaseFinished { .. });
            self.events.push(event);
            if ends {
                let events = std::mem::take(&mut self.events);
                self.finish(events, bench, reporter)?;
                self.tell_running(bench, reporter);
            }
        }
        Ok(())
    }

    /// Tells which case runs now, once.
    fn tell_running(&mut self, bench: &Bench<'_>, reporter: &mut Reporter) {
        if let Some((_, case)) = self.running(bench).filter(|_| self.says && self.told <= self.next) {
            self.told = self.next + 1;
            reporter.started(&case.id);
        }
    }

    /// The case that runs has ended, with these events.
    fn finish(&mut self, mut events: Vec<Event>, bench: &Bench<'_>, reporter: &mut Reporter) -> Result<(), String> {
        let Some(case) = self.cases.get(self.next) else { return Ok(()) };
        if let Some(Event { kind: Kind::CaseFinished { reason: Some(reason), .. }, .. }) = events.last_mut() {
            reason.repeat_with = reason.repeat_with.replacen(bench.inside, "virtual", 1);
        }
        let verdict = reporter.finished(*case, events, None).map_err(|error| error.to_string())?;
        self.stops |= bench.fail_fast && verdict.is_trouble();
        self.next += 1;
        Ok(())
    }

    /// How its machine ended; how the cases went is the reports' to say.
    ///
    /// # Errors
    /// When the program inside did not run all the cases it was to run.
    pub(super) fn outcome(&self, bench: &Bench<'_>) -> Result<(), String> {
        let status = guest::outcome(&self.share)?;
        let running = self.running(bench).filter(|_| !self.stops);
        let is_at_its_end = self.stops || self.hand.closed;
        if is_at_its_end && running.is_none() && ENDS.iter().any(|end| end.code() == status) {
            return Ok(());
        }
        let log = fs::read_to_string(self.share.join(LOG)).unwrap_or_default();
        let at = running.map_or_else(String::new, |(_, case)| format!(" in the case `{}`", case.id));
        Err(format!("the run in the virtual station ended with status {status}{at}:\n{}", log.trim_end()))
    }

    /// Its machine is gone: the case it was at is broken, and those it had not begun are there for another one.
    pub(super) fn give_up(&mut self, left: &mut Left, bench: &Bench<'_>, reporter: &mut Reporter) {
        left.give_back(self.cases.get(self.next + 1..).unwrap_or_default());
        self.cases.truncate(self.next + 1);
        if let Some((at, case)) = self.running(bench) {
            let mut events = std::mem::take(&mut self.events);
            run::cut_off(case, at, bench.setting, ENDED_BEFORE, &mut events);
            // What cannot be reported is told by the error that ends the run.
            let _ = self.finish(events, bench, reporter);
        }
    }

    /// The case that runs, with its place among all.
    fn running<'a>(&self, bench: &Bench<'a>) -> Option<(u32, &'a Case)> {
        let at = *self.cases.get(self.next)?;
        Some((at, bench.case(at)?))
    }
}
