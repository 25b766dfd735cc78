//! What one machine of the virtual station tells of its part of the cases, by the files that both sides see.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::report::event::{Event, Kind, Verdict};
use crate::report::reporter::Reporter;
use crate::report::summary::Exit;
use crate::report::text::counted;
use crate::scenario::file::Case;
use crate::scenario::run::{self, Setting};
use crate::scenario::select::Shard;
use crate::station::guest;

/// What the program inside says beside its events.
const LOG: &str = "bandrig.log";
/// How a run ends that came to its end.
const ENDS: [Exit; 4] = [Exit::Passed, Exit::Failed, Exit::Broken, Exit::NothingRun];

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

/// The cases of one machine and how far it has come.
pub(super) struct Part {
    share: PathBuf,
    /// By their places among all.
    cases: Vec<u32>,
    /// How many of them have ended.
    next: usize,
    lines: Growing,
    /// What has happened in the one that runs.
    events: Vec<Event>,
    /// Whether it has begun.
    says: bool,
    /// Whether the rest of them is not to run.
    stops: bool,
}

impl Part {
    /// This part of so many cases, told in this folder.
    pub(super) fn new(share: PathBuf, part: Shard, cases: usize) -> Self {
        Self {
            lines: Growing::new(share.join("events.jsonl")),
            share,
            cases: (0..u32::try_from(cases).unwrap_or(0)).filter(|at| part.takes(*at)).collect(),
            next: 0,
            events: vec![],
            says: false,
            stops: false,
        }
    }

    /// What has happened since.
    ///
    /// # Errors
    /// When it cannot be read, is not of these cases, or cannot be reported.
    pub(super) fn hear(&mut self, bench: &Bench<'_>, reporter: &mut Reporter) -> Result<(), String> {
        if !self.says && self.share.join(LOG).exists() {
            self.says = true;
            self.tell_next(bench, reporter);
        }
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
                self.tell_next(bench, reporter);
            }
        }
        Ok(())
    }

    /// Tells which case runs now.
    fn tell_next(&self, bench: &Bench<'_>, reporter: &mut Reporter) {
        if let Some((_, case)) = self.running(bench) {
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
    pub(super) fn outcome(&self) -> Result<(), String> {
        let status = guest::outcome(&self.share)?;
        let left = if self.stops { 0 } else { self.cases.len() - self.next };
        if left == 0 && ENDS.iter().any(|end| end.code() == status) {
            return Ok(());
        }
        let log = fs::read_to_string(self.share.join(LOG)).unwrap_or_default();
        let cases = counted(self.cases.len(), "case");
        Err(format!(
            "the run in the virtual station ended with status {status}, {left} of {cases} left:\n{}",
            log.trim_end()
        ))
    }

    /// Reports the cases that its machine leaves behind: the one it was at is broken, those after it are skipped.
    pub(super) fn give_up(&mut self, bench: &Bench<'_>, reporter: &mut Reporter) {
        let mut ending = (Verdict::Broken, "the virtual station ended before this case did");
        while let Some((at, case)) = self.running(bench) {
            let mut events = std::mem::take(&mut self.events);
            run::cut_off(case, at, bench.setting, ending, &mut events);
            // What cannot be reported is told by the error that ends the run.
            if self.finish(events, bench, reporter).is_err() {
                break;
            }
            ending = (Verdict::Skipped, "the virtual station had ended");
        }
    }

    /// The case that runs, with its place among all.
    fn running<'a>(&self, bench: &Bench<'a>) -> Option<(u32, &'a Case)> {
        let at = *self.cases.get(self.next)?;
        Some((at, bench.cases.get(usize::try_from(at).ok()?)?))
    }
}

/// A file that somebody else writes: whole lines of it, as they come.
struct Growing {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    half: String,
}

impl Growing {
    const fn new(path: PathBuf) -> Self {
        Self { path, reader: None, half: String::new() }
    }

    fn next(&mut self) -> Result<Option<String>, String> {
        if self.reader.is_none() {
            self.reader = File::open(&self.path).ok().map(BufReader::new);
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        reader.read_line(&mut self.half).map_err(|error| format!("failed to read {}: {error}", self.path.display()))?;
        Ok(self.half.ends_with('\n').then(|| std::mem::take(&mut self.half)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::report::jsonl::encode;
    use crate::report::out::Paths;
    use crate::report::reporter::Settings;
    use crate::scenario::load::{self, Options};
    use crate::station::Embedded;
    use crate::station::fixtures::Fixtures;

    /// Four cases; the second one comes out as `second` says.
    fn scenario(second: &str) -> String {
        format!(
            "\
scenario: a band without a card does not pay
matrix:
  - {{ after: 1s, outcome: not_paid }}
  - {{ after: 2s, outcome: {second} }}
  - {{ after: 3s, outcome: not_paid }}
  - {{ after: 4s, outcome: not_paid }}
steps:
  - wait: ${{after}}
  - tap: 4.20 EUR
    expect: {{ outcome: \"${{outcome}}\" }}
"
        )
    }

    /// What became of the cases of a machine that ended.
    struct Ended {
        outcome: Result<(), String>,
        junit: String,
        events: Vec<Event>,
    }

    impl Ended {
        fn verdicts(&self) -> Vec<Verdict> {
            let verdicts = self.events.iter().filter_map(|event| match event.kind {
                Kind::CaseFinished { verdict, .. } => Some(verdict),
                _ => None,
            });
            verdicts.collect()
        }

        fn count(&self, what: &str) -> usize {
            self.junit.matches(what).count()
        }
    }

    /// Four cases, what they are run with, and what a machine says of them: the lines of each.
    struct Told {
        cases: Vec<Case>,
        setting: Setting,
        lines: Vec<Vec<u8>>,
    }

    impl Told {
        fn of(second: &str) -> Self {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
            let fixtures = Arc::new(Fixtures::load(&fixtures).unwrap());
            let options = Options { names: fixtures.names(), ..Options::default() };
            let loaded = load::load_text("four.yaml", &scenario(second), &options);
            assert_eq!(loaded.cases.len(), 4, "{:?}", loaded.errors);
            let setting = Setting {
                fixtures,
                station: Arc::new(Embedded::default()),
                sources: loaded.sources,
                seed: 7,
                keep: run::Keep::Cases,
                repeat_with: "bandrig run --filter".into(),
            };
            let lines = loaded.cases.iter().map(|case| encode(&run::run(case, 0, &setting).events)).collect();
            Self { cases: loaded.cases, setting, lines }
        }

        /// All of the first cases and so many lines of the next; then the machine ends with this status.
        fn until(&self, cases: usize, more: usize, status: &str, fail_fast: bool) -> Ended {
            let share = tempfile::tempdir().unwrap();
            let next = self.lines.get(cases).map_or(&[][..], Vec::as_slice);
            let next: Vec<&[u8]> = next.split_inclusive(|byte| *byte == b'\n').take(more).collect();
            fs::write(share.path().join("events.jsonl"), [self.lines[..cases].concat(), next.concat()].concat())
                .unwrap();
            fs::write(share.path().join("status"), status).unwrap();
            fs::write(share.path().join(LOG), "its last words\n").unwrap();
            let [junit, events] = ["junit.xml", "all.jsonl"].map(|name| share.path().join(name));
            let paths = Paths { junit: Some(junit.clone()), events: Some(events.clone()), ..Paths::default() };
            let mut reporter = Reporter::open(Settings { paths, ..Settings::default() }, &[0, 1, 2, 3]).unwrap();
            let bench = Bench { cases: &self.cases, inside: "virtual.yaml", setting: &self.setting, fail_fast };
            let mut part = Part::new(share.path().to_owned(), Shard::WHOLE, 4);
            part.hear(&bench, &mut reporter).unwrap();
            let outcome = part.outcome();
            if outcome.is_err() {
                part.give_up(&bench, &mut reporter);
            }
            reporter.close(Duration::ZERO).unwrap();
            let [junit, events] = [junit, events].map(|path| fs::read_to_string(path).unwrap());
            let events = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            Ended { outcome, junit, events }
        }
    }

    const LEFT_BEHIND: [Verdict; 4] = [Verdict::Passed, Verdict::Broken, Verdict::Skipped, Verdict::Skipped];

    #[test]
    fn cases_that_are_all_told_are_a_run_that_came_to_its_end() {
        let ended = Told::of("not_paid").until(4, 0, "0", false);
        assert_eq!(ended.outcome, Ok(()));
        assert_eq!(ended.verdicts(), [Verdict::Passed; 4]);
    }

    #[test]
    fn a_run_that_ends_with_cases_left_is_an_error_whatever_its_status_and_the_reports_name_them() {
        for status in ["0", "3", "101", "137"] {
            let ended = Told::of("not_paid").until(1, 0, status, false);
            let words = format!(
                "the run in the virtual station ended with status {status}, 3 of 4 cases left:\nits last words"
            );
            assert_eq!(ended.outcome, Err(words));
            assert_eq!(ended.verdicts(), LEFT_BEHIND);
            assert_eq!(["<testcase ", "<error ", "<skipped "].map(|what| ended.count(what)), [4, 1, 2]);
            assert_eq!(ended.count("message=\"the virtual station ended before this case did\""), 1, "{}", ended.junit);
        }
    }

    #[test]
    fn a_machine_that_is_gone_in_the_middle_of_a_case_breaks_it_with_what_it_had_told() {
        let ended = Told::of("not_paid").until(1, 3, "", false);
        assert!(ended.outcome.as_ref().unwrap_err().starts_with("the virtual station ended early"));
        assert_eq!(ended.verdicts(), LEFT_BEHIND);
        let second: Vec<_> = ended.events.iter().filter(|event| event.case == 1).collect();
        assert_eq!(second.len(), 3 + 1);
        assert_eq!(second[3].at_us, second[2].at_us, "time does not run backwards");
    }

    #[test]
    fn a_program_that_dies_after_its_last_case_is_an_error() {
        let ended = Told::of("not_paid").until(4, 0, "101", false);
        assert!(ended.outcome.as_ref().unwrap_err().contains("ended with status 101, 0 of 4 cases left"));
        assert_eq!(ended.verdicts(), [Verdict::Passed; 4]);
    }

    #[test]
    fn cases_that_are_not_to_run_after_a_failure_are_not_missed() {
        let told = Told::of("approved");
        let asked_for = told.until(2, 0, "1", true);
        assert_eq!(asked_for.outcome, Ok(()));
        assert_eq!(asked_for.verdicts(), [Verdict::Passed, Verdict::Failed]);
        assert!(told.until(2, 0, "1", false).outcome.is_err());
    }
}
