//! A run in numbers: what each case came to, and what all of them come to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Event, Kind, Reason, Verdict};

/// What one case came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// Place in file order, from 0.
    pub case: u32,
    /// `file.yaml` or `file.yaml[k=v,…]`.
    pub id: String,
    /// The scenario's title.
    pub title: String,
    /// The rules it names.
    pub rules: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The seed it ran with.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it did not pass.
    pub reason: Option<Box<Reason>>,
    /// Virtual time of the case itself.
    pub virtual_time: Duration,
    /// Virtual time of the case and of all its sweep points.
    pub simulated: Duration,
    /// Points of its sweep.
    pub sweep_points: u32,
}

impl CaseResult {
    /// Folds the events of one case. A stream that ends before the case does gives a broken one: nothing is lost in silence.
    #[must_use]
    pub fn from_events(case: u32, events: &[Event]) -> Self {
        let mut result = Self::unfinished(case);
        for event in events {
            result.take(event);
        }
        result
    }

    /// Why it did not pass, in one line; empty for a case that passed.
    #[must_use]
    pub fn message(&self) -> &str {
        match (&self.reason, self.verdict) {
            (Some(reason), _) => &reason.message,
            (None, Verdict::Broken) => "the case ended without a verdict",
            (None, _) => "",
        }
    }

    /// `file:line:column` where it went wrong; `None` when the reason names no line.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let reason = self.reason.as_ref().filter(|reason| reason.line > 0)?;
        Some(format!("{}:{}:{}", reason.file, reason.line, reason.column))
    }

    /// The folder of its file, the unit in which reports group cases; `.` for the scenario root.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.file().rsplit_once('/').map_or(".", |(folder, _)| folder)
    }

    /// Its file: the id without the matrix row.
    #[must_use]
    pub fn file(&self) -> &str {
        self.id.split_once('[').map_or(self.id.as_str(), |(file, _)| file)
    }

    fn unfinished(case: u32) -> Self {
        Self {
            case,
            id: format!("case {case}"),
            title: String::new(),
            rules: Vec::new(),
            tags: Vec::new(),
            seed: 0,
            verdict: Verdict::Broken,
            reason: None,
            virtual_time: Duration::ZERO,
            simulated: Duration::ZERO,
            sweep_points: 0,
        }
    }

    fn take(&mut self, event: &Event) {
        let at = Duration::from_micros(event.at_us);
        match &event.kind {
            Kind::CaseStarted { id, title, rules, tags, seed } => {
                self.id.clone_from(id);
                self.title.clone_from(title);
                self.rules.clone_from(rules);
                self.tags.clone_from(tags);
                self.seed = *seed;
            }
            Kind::SweepPoint { .. } => self.simulated += at,
            Kind::CaseFinished { verdict, reason, sweep_points } => {
                self.verdict = *verdict;
                self.reason.clone_from(reason);
                self.sweep_points = *sweep_points;
                self.virtual_time = at;
                self.simulated += at;
            }
            _ => {}
        }
    }
}

/// What all cases came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    cases: Vec<CaseResult>,
}

/// How a run must end the process. 2 (bad usage or YAML) and 130 (interrupted) are the command line's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all that ran passed.
    Passed,
    /// 1: a case failed.
    Failed,
    /// 3: station trouble; nothing failed, but not everything could be judged.
    Broken,
    /// 4: nothing was run.
    NothingRun,
}

impl Exit {
    /// The number for the shell.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Broken => 3,
            Self::NothingRun => 4,
        }
    }
}

/// How the cases that name a rule ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleTally {
    /// Cases that ran and passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that broke or were skipped: they say nothing about the rule.
    pub unknown: usize,
}

impl RuleTally {
    /// Whether at least one case that names the rule passed and none failed.
    #[must_use]
    pub const fn holds(self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

impl Summary {
    /// Adds a case. Cases may come in any order; they are kept in file order.
    pub fn add(&mut self, case: CaseResult) {
        let at = self.cases.partition_point(|other| other.case <= case.case);
        self.cases.insert(at, case);
    }

    /// All cases in file order.
    #[must_use]
    pub fn cases(&self) -> &[CaseResult] {
        &self.cases
    }

    /// The cases that ended so, in file order.
    pub fn ended(&self, verdict: Verdict) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(move |case| case.verdict == verdict)
    }

    /// How many ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.ended(verdict).count()
    }

    /// How the process must end. A failure says more than trouble, trouble more than a skip.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.count(Verdict::Failed) > 0 {
            Exit::Failed
        } else if self.count(Verdict::Broken) > 0 {
            Exit::Broken
        } else if self.count(Verdict::Passed) == 0 {
            Exit::NothingRun
        } else {
            Exit::Passed
        }
    }

    /// Virtual time of everything that ran, sweep points included.
    #[must_use]
    pub fn simulated(&self) -> Duration {
        self.cases.iter().map(|case| case.simulated).sum()
    }

    /// Points of all sweeps, and the number of cases they belong to.
    #[must_use]
    pub fn sweeps(&self) -> (u64, usize) {
        let swept = self.cases.iter().filter(|case| case.sweep_points > 0);
        swept.fold((0, 0), |(points, cases), case| (points + u64::from(case.sweep_points), cases + 1))
    }

    /// Each rule that a case names, in natural order (R2 before R10), with how its cases ended.
    #[must_use]
    pub fn rules(&self) -> Vec<(String, RuleTally)> {
        let mut rules: BTreeMap<(String, u32, String), RuleTally> = BTreeMap::new();
        for case in &self.cases {
            for rule in &case.rules {
                let tally = rules.entry(natural(rule)).or_default();
                match case.verdict {
                    Verdict::Passed => tally.passed += 1,
                    Verdict::Failed => tally.failed += 1,
                    Verdict::Broken | Verdict::Skipped => tally.unknown += 1,
                }
            }
        }
        rules.into_iter().map(|((_, _, rule), tally)| (rule, tally)).collect()
    }

    /// At most `count` cases with the longest virtual time, longest first; ties in file order. Cases without virtual time are left out.
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<&CaseResult> {
        let mut slowest: Vec<_> = self.cases.iter().filter(|case| !case.virtual_time.is_zero()).collect();
        slowest.sort_by_key(|case| std::cmp::Reverse(case.virtual_time));
        slowest.truncate(count);
        slowest
    }

    /// The line log readers look for: `N passed, N failed, N skipped`. A broken case is no success, so it counts as failed here.
    #[must_use]
    pub fn last_line(&self) -> String {
        let failed = self.count(Verdict::Failed) + self.count(Verdict::Broken);
        format!("{} passed, {failed} failed, {} skipped", self.count(Verdict::Passed), self.count(Verdict::Skipped))
    }
}

/// The sort key of a rule: `R10` after `R2`.
fn natural(rule: &str) -> (String, u32, String) {
    let (prefix, number) = split_rule(rule);
    (prefix.to_owned(), number.unwrap_or(u32::MAX), rule.to_owned())
}

/// `R10` is `R` and 10.
pub(super) fn split_rule(rule: &str) -> (&str, Option<u32>) {
    let digits = rule.find(|c: char| c.is_ascii_digit()).unwrap_or(rule.len());
    let (prefix, number) = rule.split_at(digits);
    (prefix, number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(number: u32, verdict: Verdict, rules: &[&str]) -> CaseResult {
        CaseResult {
            verdict,
            rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
            virtual_time: Duration::from_secs(u64::from(number)),
            ..CaseResult::unfinished(number)
        }
    }

    fn summary(verdicts: &[Verdict]) -> Summary {
        let mut summary = Summary::default();
        for (number, &verdict) in (0..).zip(verdicts) {
            summary.add(case(number, verdict, &[]));
        }
        summary
    }

    #[test]
    fn a_failure_outranks_trouble_which_outranks_success() {
        use Verdict::{Broken, Failed, Passed, Skipped};
        let rows = [
            (&[Passed, Skipped][..], Exit::Passed, 0),
            (&[Passed, Broken, Failed], Exit::Failed, 1),
            (&[Passed, Broken], Exit::Broken, 3),
            (&[Skipped, Skipped], Exit::NothingRun, 4),
            (&[], Exit::NothingRun, 4),
        ];
        for (verdicts, exit, code) in rows {
            assert_eq!(summary(verdicts).exit(), exit, "{verdicts:?}");
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn the_last_line_counts_broken_cases_as_failed() {
        use Verdict::{Broken, Failed, Passed, Skipped};
        assert_eq!(summary(&[Passed, Passed, Failed, Broken, Skipped]).last_line(), "2 passed, 2 failed, 1 skipped");
        assert_eq!(summary(&[]).last_line(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn cases_are_kept_in_file_order_whatever_order_they_come_in() {
        let mut summary = Summary::default();
        for number in [2, 0, 1] {
            summary.add(case(number, Verdict::Passed, &[]));
        }
        assert_eq!(summary.cases().iter().map(|case| case.case).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn rules_sort_by_their_number_and_a_skipped_case_proves_nothing() {
        let mut summary = Summary::default();
        summary.add(case(0, Verdict::Passed, &["R10", "R2"]));
        summary.add(case(1, Verdict::Failed, &["R2"]));
        summary.add(case(2, Verdict::Skipped, &["W1"]));
        let rules = summary.rules();
        assert_eq!(rules.iter().map(|(rule, _)| rule.as_str()).collect::<Vec<_>>(), ["R2", "R10", "W1"]);
        assert_eq!(rules.iter().map(|(_, tally)| tally.holds()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_stream_without_an_end_is_a_broken_case() {
        let start = Kind::CaseStarted {
            id: "wallet/six.yaml[card=visa]".into(),
            title: "six".into(),
            rules: vec!["R9".into()],
            tags: vec![],
            seed: 7,
        };
        let result = CaseResult::from_events(3, &[Event { case: 3, at_us: 0, kind: start }]);
        assert_eq!(result.verdict, Verdict::Broken);
        assert_eq!(result.message(), "the case ended without a verdict");
        assert_eq!((result.file(), result.folder()), ("wallet/six.yaml", "wallet"));
    }

    #[test]
    fn sweep_points_add_to_the_simulated_time_of_their_case() {
        let point =
            |at_us| Event { case: 0, at_us, kind: Kind::SweepPoint { point: 0, of: 2, fault: "x".into(), ok: true } };
        let end = Kind::CaseFinished { verdict: Verdict::Passed, reason: None, sweep_points: 2 };
        let result = CaseResult::from_events(0, &[point(5), point(7), Event { case: 0, at_us: 10, kind: end }]);
        assert_eq!(result.virtual_time, Duration::from_micros(10));
        assert_eq!(result.simulated, Duration::from_micros(22));
        let mut summary = Summary::default();
        summary.add(result);
        assert_eq!(summary.sweeps(), (2, 1));
    }
}
