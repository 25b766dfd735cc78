//! Several machines and one pile of cases: each gets its next ones until none is left.

use std::time::Duration;

use super::handed::Left;
use super::part::{Bench, Part};
use crate::report::event::Verdict;
use crate::report::reporter::Reporter;
use crate::scenario::run;
use crate::station::guest::Machine;

/// Between two looks for what is new.
pub(super) const LOOK: Duration = Duration::from_millis(50);
const HAD_ENDED: (Verdict, &str) = (Verdict::Skipped, "the virtual station had ended");

/// What runs until it is off.
pub(super) trait Off {
    /// Whether it is.
    ///
    /// # Errors
    /// When that cannot be known.
    fn is_off(&mut self) -> Result<bool, String>;
}

impl Off for Machine {
    fn is_off(&mut self) -> Result<bool, String> {
        Ok(self.ended()?.is_some())
    }
}

/// A machine and its part of the cases.
pub(super) struct Guest<M> {
    pub(super) machine: M,
    pub(super) part: Part,
}

impl<M: Off> Guest<M> {
    /// What is new in it; whether it is off, with all its cases run.
    fn look(&mut self, left: &mut Left, bench: &Bench<'_>, reporter: &mut Reporter) -> Result<bool, String> {
        let off = self.machine.is_off()?;
        self.part.hear(bench, reporter)?;
        if off {
            self.part.outcome(bench)?;
        } else {
            self.part.take(left)?;
        }
        Ok(off)
    }
}

/// Hands out the cases and reports each as soon as it has ended inside, until all machines are off. What one of them leaves behind the
/// others run.
pub(super) fn follow<M: Off>(
    mut guests: Vec<Guest<M>>,
    mut left: Left,
    bench: &Bench<'_>,
    reporter: &mut Reporter,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), String> {
    let mut ended = Ok(());
    while !guests.is_empty() {
        if interrupted() {
            // Dropped, they are switched off.
            return Ok(());
        }
        let mut on = vec![];
        for mut guest in guests {
            match guest.look(&mut left, bench, reporter) {
                Ok(false) => on.push(guest),
                Ok(true) => {}
                Err(words) => {
                    guest.part.give_up(&mut left, bench, reporter);
                    ended = ended.and(Err(words));
                }
            }
        }
        guests = on;
        // Until then one of them may leave some behind.
        if left.is_empty() && !guests.iter().any(|guest| guest.part.has_some_ahead()) {
            for guest in &mut guests {
                ended = ended.and(guest.part.close());
            }
        }
        std::thread::sleep(LOOK);
    }
    if ended.is_err() { ended.and(skip(left, bench, reporter)) } else { ended }
}

/// No machine is there any more for these cases.
fn skip(mut left: Left, bench: &Bench<'_>, reporter: &mut Reporter) -> Result<(), String> {
    while let Some(at) = left.take() {
        let Some(case) = bench.case(at) else { continue };
        let mut events = vec![];
        run::cut_off(case, at, bench.setting, HAD_ENDED, &mut events);
        reporter.finished(at, events, None).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::super::handed::{self, Growing};
    use super::*;
    use crate::report::event::{Event, Kind, Verdict};
    use crate::report::jsonl::encode;
    use crate::report::out::Paths;
    use crate::report::reporter::Settings;
    use crate::scenario::file::Case;
    use crate::scenario::load::{self, Options};
    use crate::scenario::run::{self, Setting};
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

        /// What comes of machines that end so.
        fn by(&self, ends: &[End], fail_fast: bool) -> Ended {
            let folder = tempfile::tempdir().unwrap();
            let [junit, events] = ["junit.xml", "all.jsonl"].map(|name| folder.path().join(name));
            let paths = Paths { junit: Some(junit.clone()), events: Some(events.clone()), ..Paths::default() };
            let mut reporter = Reporter::open(Settings { paths, ..Settings::default() }, &[0, 1, 2, 3]).unwrap();
            let bench = Bench { cases: &self.cases, inside: "virtual.yaml", setting: &self.setting, fail_fast };
            let guest = |(at, end): (usize, &End)| {
                let share = folder.path().join(at.to_string());
                let part = Part::new(share.clone()).unwrap();
                fs::write(share.join("bandrig.log"), "its last words\n").unwrap();
                let cases = Growing::new(share.join(handed::FILE));
                Guest { machine: Scripted { lines: &self.lines, share, cases, ran: 0, end: *end }, part }
            };
            let guests: Vec<_> = ends.iter().enumerate().map(guest).collect();
            let left = Left::of(4, guests.len());
            let outcome = follow(guests, left, &bench, &mut reporter, &|| false);
            reporter.close(Duration::ZERO).unwrap();
            let [junit, events] = [junit, events].map(|path| fs::read_to_string(path).unwrap());
            let events = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            Ended { outcome, junit, events }
        }
    }

    /// After so many cases and so many lines of the next one a machine ends with this status.
    #[derive(Clone, Copy)]
    struct End {
        cases: usize,
        more: usize,
        status: &'static str,
    }

    /// Never before it is told that there are no more.
    const GOOD: End = End { cases: usize::MAX, more: 0, status: "" };

    const fn end(cases: usize, more: usize, status: &'static str) -> End {
        End { cases, more, status }
    }

    /// A machine that tells of the cases it is handed, one at each look, until its end.
    struct Scripted<'a> {
        lines: &'a [Vec<u8>],
        share: PathBuf,
        cases: Growing,
        ran: usize,
        end: End,
    }

    impl Scripted<'_> {
        fn tell(&self, lines: &[u8]) {
            let path = self.share.join("events.jsonl");
            let told = [fs::read(&path).unwrap_or_default().as_slice(), lines].concat();
            fs::write(path, told).unwrap();
        }

        fn ends(&self, status: &str) -> bool {
            fs::write(self.share.join("status"), status).unwrap();
            true
        }
    }

    impl Off for Scripted<'_> {
        fn is_off(&mut self) -> Result<bool, String> {
            if self.ran > 0 && (self.ran, self.end.more) == (self.end.cases, 0) {
                // By itself.
                return Ok(self.ends(self.end.status));
            }
            let Some(line) = self.cases.next()? else { return Ok(false) };
            let case = line.trim_end().parse::<usize>().ok();
            if self.ran == self.end.cases {
                let lines = case.map_or(&[][..], |case| &self.lines[case]);
                let more: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').take(self.end.more).collect();
                self.tell(&more.concat());
                return Ok(self.ends(self.end.status));
            }
            let Some(case) = case else { return Ok(self.ends("0")) };
            self.tell(&self.lines[case]);
            self.ran += 1;
            Ok(false)
        }
    }

    const LEFT_BEHIND: [Verdict; 4] = [Verdict::Passed, Verdict::Broken, Verdict::Skipped, Verdict::Skipped];

    #[test]
    fn cases_that_are_all_told_are_a_run_that_came_to_its_end() {
        for machines in 1..=3 {
            let ended = Told::of("not_paid").by(&vec![GOOD; machines], false);
            assert_eq!(ended.outcome, Ok(()));
            assert_eq!(ended.verdicts(), [Verdict::Passed; 4]);
        }
    }

    #[test]
    fn a_run_that_ends_with_cases_left_is_an_error_whatever_its_status_and_the_reports_name_them() {
        for status in ["0", "3", "101", "137"] {
            let ended = Told::of("not_paid").by(&[end(1, 0, status)], false);
            let words = format!(
                "the run in the virtual station ended with status {status} in the case \
                 `four.yaml[after=2s]`:\nits last words"
            );
            assert_eq!(ended.outcome, Err(words));
            assert_eq!(ended.verdicts(), LEFT_BEHIND);
            assert_eq!(["<testcase ", "<error ", "<skipped "].map(|what| ended.count(what)), [4, 1, 2]);
            assert_eq!(ended.count("message=\"the virtual station ended before this case did\""), 1, "{}", ended.junit);
        }
    }

    #[test]
    fn a_machine_that_is_gone_in_the_middle_of_a_case_breaks_it_with_what_it_had_told() {
        let ended = Told::of("not_paid").by(&[end(1, 3, "")], false);
        assert!(ended.outcome.as_ref().unwrap_err().starts_with("the virtual station ended early"));
        assert_eq!(ended.verdicts(), LEFT_BEHIND);
        let second: Vec<_> = ended.events.iter().filter(|event| event.case == 1).collect();
        assert_eq!(second.len(), 3 + 1);
        assert_eq!(second[3].at_us, second[2].at_us, "time does not run backwards");
    }

    #[test]
    fn what_a_machine_leaves_behind_another_one_runs() {
        let ended = Told::of("not_paid").by(&[end(0, 0, "137"), GOOD], false);
        assert!(ended.outcome.as_ref().unwrap_err().contains("ended with status 137 in the case"));
        let mut verdicts = ended.verdicts();
        verdicts.sort_by_key(|verdict| *verdict != Verdict::Broken);
        assert_eq!(verdicts, [Verdict::Broken, Verdict::Passed, Verdict::Passed, Verdict::Passed]);
        assert_eq!(["<error ", "<skipped "].map(|what| ended.count(what)), [1, 0]);
    }

    #[test]
    fn when_the_last_machine_is_gone_the_rest_is_not_run() {
        let ended = Told::of("not_paid").by(&[end(0, 0, "137"), end(1, 0, "137")], false);
        assert!(ended.outcome.is_err());
        assert_eq!(["<testcase ", "<error ", "<skipped "].map(|what| ended.count(what)), [4, 2, 1]);
    }

    #[test]
    fn a_program_that_dies_after_its_last_case_is_an_error() {
        let ended = Told::of("not_paid").by(&[end(4, 0, "101")], false);
        assert_eq!(ended.outcome, Err("the run in the virtual station ended with status 101:\nits last words".into()));
        assert_eq!(ended.verdicts(), [Verdict::Passed; 4]);
    }

    #[test]
    fn cases_that_are_not_to_run_after_a_failure_are_not_missed() {
        let told = Told::of("approved");
        let asked_for = told.by(&[end(2, 0, "1")], true);
        assert_eq!(asked_for.outcome, Ok(()));
        assert_eq!(asked_for.verdicts(), [Verdict::Passed, Verdict::Failed]);
        assert!(told.by(&[end(2, 0, "1")], false).outcome.is_err());
    }
}
