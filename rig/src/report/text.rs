//! What a person reads: progress while the cases run, and the summary at the end.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::block::{Block, Page, clean, verdict_word};
use super::event::Verdict;
use super::paint::{Paint, Role};
use super::summary::{CaseResult, RuleTally, Summary, split_rule};

/// How many cases the list of the slowest shows.
const SLOWEST: usize = 5;

/// Progress. A bar on a terminal; plain lines, one per finished case, anywhere else.
#[derive(Debug)]
pub struct Live<W> {
    page: Page,
    bad: usize,
    to: To<W>,
}

#[derive(Debug)]
enum To<W> {
    Bar(ProgressBar),
    Lines(W),
}

impl<W: Write> Live<W> {
    /// A bar for `total` cases, drawn on standard error.
    #[must_use]
    pub fn bar(total: usize, page: Page) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        let color = if page.paint.is_on() { ".green/dim" } else { "" };
        // A template that does not parse leaves the default style: a plainer bar, not a broken run.
        let template = format!("{{prefix}}[{{bar:28{color}}}] {{pos}}/{{len}}  {{wide_msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { page, bad: 0, to: To::Bar(bar) }
    }

    /// Plain lines to `writer`.
    #[must_use]
    pub fn lines(writer: W, page: Page) -> Self {
        Self { page, bad: 0, to: To::Lines(writer) }
    }

    /// Bar or lines, as standard error allows.
    #[must_use]
    pub fn choose(total: usize, writer: W, page: Page, stderr_is_terminal: bool) -> Self {
        match stderr_is_terminal && !super::paint::terminal_is_dumb() {
            true => Self::bar(total, page),
            false => Self::lines(writer, page),
        }
    }

    /// Whether this is a bar.
    #[must_use]
    pub const fn is_bar(&self) -> bool {
        matches!(self.to, To::Bar(_))
    }

    /// A case starts to run; the bar names it.
    pub fn started(&mut self, id: &str) {
        if let To::Bar(bar) = &self.to {
            bar.set_message(clean(id).into_owned());
        }
    }

    /// A case has ended. Above the bar only what needs a look is printed.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn finished(&mut self, case: &CaseResult) -> io::Result<()> {
        let is_bad = case.verdict.is_trouble();
        self.bad += usize::from(is_bad);
        match &mut self.to {
            To::Lines(writer) => return writeln!(writer, "{}", line(case, &self.page)),
            To::Bar(bar) => {
                if is_bad {
                    bar.println(headline(case, &self.page));
                    bar.set_prefix(format!("{} ", self.page.paint.paint(Role::Bad, format!("{} bad", self.bad))));
                }
                bar.inc(1);
            }
        }
        Ok(())
    }

    /// Prints a line of the caller's own above the bar, or among the lines; for prompts to the person at the bench.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        match &mut self.to {
            To::Lines(writer) => writeln!(writer, "{}", clean(text)),
            To::Bar(bar) => {
                bar.println(clean(text));
                Ok(())
            }
        }
    }

    /// Takes the bar away.
    ///
    /// # Errors
    /// When the last lines cannot be flushed.
    pub fn close(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Lines(writer) => writer.flush(),
            To::Bar(bar) => {
                bar.finish_and_clear();
                Ok(())
            }
        }
    }
}

/// One line for one case: verdict, case, and what is worth knowing about it.
fn line(case: &CaseResult, page: &Page) -> String {
    let (word, role) = verdict_word(case.verdict);
    let head = format!("{:>8}  {}", page.paint.paint(role, word), clean(&case.id));
    match case.verdict {
        Verdict::Passed if case.sweep_points > 0 => {
            let note = counted(case.sweep_points as usize, "sweep point");
            format!("{head}  {}", page.paint.paint(Role::Faint, note))
        }
        Verdict::Passed => head,
        Verdict::Failed | Verdict::Broken | Verdict::Skipped => {
            let place = case.place().map(|place| format!("  {}", page.paint.paint(Role::Place, page.path(&place))));
            format!("{head}  {}{}", clean(case.message()), place.unwrap_or_default())
        }
    }
}

/// Two lines for a case that needs a look: where, so that a click opens it, and what.
fn headline(case: &CaseResult, page: &Page) -> String {
    let (word, role) = verdict_word(case.verdict);
    let place = case.place().map(|place| page.path(&place));
    let at = match (&case.reason, place) {
        (Some(reason), Some(place)) if reason.file == case.file() => {
            let row = case.id.strip_prefix(case.file()).filter(|row| !row.is_empty());
            format!(
                "{}{}",
                page.paint.paint(Role::Place, clean(&place)),
                row.map_or(String::new(), |row| format!(" {}", clean(row)))
            )
        }
        (_, Some(place)) => format!("{} at {}", clean(&case.id), page.paint.paint(Role::Place, clean(&place))),
        (_, None) => clean(&case.id).into_owned(),
    };
    format!("{:>8}  {at}\n{:10}{}", page.paint.paint(role, word), "", clean(case.message()))
}

/// The end of a run: a block for each case that needs a look, then the numbers; the last line is for log readers.
#[derive(Clone, Copy, Debug)]
pub struct Final<'a> {
    summary: &'a Summary,
    real: Duration,
    page: &'a Page,
}

impl<'a> Final<'a> {
    /// `real` is the time that passed on the wall; events know none.
    #[must_use]
    pub fn new(summary: &'a Summary, real: Duration, page: &'a Page) -> Self {
        Self { summary, real, page }
    }
}

impl Display for Final<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in [Verdict::Broken, Verdict::Failed] {
            for case in self.summary.ended(verdict) {
                writeln!(f, "{}", self.page.paint.paint(Role::Faint, "─".repeat(self.page.width)))?;
                writeln!(f, "{}", Block::new(case, self.page))?;
            }
        }
        self.skipped(f)?;
        writeln!(f, "{}", self.page.paint.paint(Role::Faint, "─".repeat(self.page.width)))?;
        self.worst(f)?;
        self.cases(f)?;
        self.rules(f)?;
        self.time(f)?;
        self.slowest(f)?;
        writeln!(f, "\n{}", self.summary.last_line())
    }
}

impl Final<'_> {
    /// One row: a right-aligned word, then what it says.
    fn row(&self, f: &mut fmt::Formatter<'_>, head: &str, text: impl Display) -> fmt::Result {
        writeln!(f, "{:>8}  {text}", self.page.paint.paint(Role::Head, head))
    }

    /// Skipped cases under their reason, so that one missing capability is read once.
    fn skipped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
        for case in self.summary.ended(Verdict::Skipped) {
            reasons.entry(case.message()).or_default().push(case);
        }
        for (reason, cases) in &reasons {
            let reason = if reason.is_empty() { "no reason given" } else { reason };
            let head = format!("skipped {}:", counted(cases.len(), "case"));
            writeln!(f, "{} {}", self.page.paint.paint(Role::Skipped, head), clean(reason))?;
            for case in cases {
                writeln!(f, "    {}", clean(&case.id))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Once more, in short, what stands in the blocks above: these lines are what is still on the screen.
    fn worst(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut any = false;
        for verdict in [Verdict::Broken, Verdict::Failed] {
            for case in self.summary.ended(verdict) {
                writeln!(f, "{}", headline(case, self.page))?;
                any = true;
            }
        }
        if any { writeln!(f) } else { Ok(()) }
    }

    fn cases(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [Verdict::Passed, Verdict::Failed, Verdict::Broken, Verdict::Skipped].map(|verdict| {
            let count = self.summary.count(verdict);
            let (word, role) = verdict_word(verdict);
            let text = format!("{count} {}", word.to_lowercase());
            let role = if count == 0 { Role::Faint } else { role };
            self.page.paint.paint(role, text).to_string()
        });
        self.row(f, "cases", format_args!("{}: {}", self.summary.cases().len(), parts.join(", ")))?;
        match self.summary.sweeps() {
            (0, _) => Ok(()),
            (points, cases) => {
                self.row(f, "sweeps", format_args!("{} points in {}", grouped(points), counted(cases, "case")))
            }
        }
    }

    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.summary.rules();
        if rules.is_empty() {
            return Ok(());
        }
        let names = |wanted: fn(&RuleTally) -> bool| {
            ranges(rules.iter().filter(|(_, tally)| wanted(tally)).map(|(rule, _)| rule.as_str()))
        };
        let holding = rules.iter().filter(|(_, tally)| tally.holds()).count();
        let mut text = match holding {
            0 => "none covered".to_owned(),
            _ => format!("{holding} covered: {}", names(|tally| tally.holds())),
        };
        let failed = names(|tally| tally.failed > 0);
        if !failed.is_empty() {
            text += &format!("; {}", self.page.paint.paint(Role::Bad, format!("failed: {failed}")));
        }
        let unknown = names(|tally| tally.passed == 0 && tally.failed == 0);
        if !unknown.is_empty() {
            text += &format!("; {}", self.page.paint.paint(Role::Skipped, format!("not judged: {unknown}")));
        }
        self.row(f, "rules", text)
    }

    fn time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = self.summary.simulated();
        let (virtual_time, real) = (human(simulated), human(self.real));
        let ratio = simulated.as_secs_f64() / self.real.as_secs_f64();
        if ratio.is_finite() && ratio >= 2.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "finite, positive, rounded for a reader"
            )]
            let times = grouped(ratio as u64);
            self.row(f, "time", format_args!("{virtual_time} simulated in {real}: {times} times real time"))
        } else {
            self.row(f, "time", format_args!("{virtual_time} simulated in {real}"))
        }
    }

    fn slowest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = "slowest";
        for case in self.summary.slowest(SLOWEST) {
            self.row(f, head, format_args!("{:>12}  {}", human(case.virtual_time), clean(&case.id)))?;
            head = "";
        }
        Ok(())
    }
}

/// A duration for a reader: two units, or three digits.
#[must_use]
pub fn human(duration: Duration) -> String {
    let (micros, seconds) = (duration.as_micros(), duration.as_secs());
    match seconds {
        0 if micros < 1_000 => format!("{micros} µs"),
        0 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        1..60 => format!("{seconds}.{:02} s", duration.subsec_millis() / 10),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Digits in groups of three, with a space: `13 700`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 case`, `2 cases`.
#[must_use]
pub fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number as u64))
}

/// Rule names with runs of three and more drawn together: `R1–R5, R7, R8, W1`.
fn ranges<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut runs: Vec<Vec<&str>> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| follows(last, name)) => run.push(name),
            _ => runs.push(vec![name]),
        }
    }
    let text = runs.iter().map(|run| match run.as_slice() {
        [first, _, .., last] => format!("{first}–{last}"),
        few => few.join(", "),
    });
    clean(&text.collect::<Vec<_>>().join(", ")).into_owned()
}

/// Whether `name` is the rule after `last`.
fn follows(last: &str, name: &str) -> bool {
    match (split_rule(last), split_rule(name)) {
        ((a, Some(m)), (b, Some(n))) => a == b && n == m.saturating_add(1),
        _ => false,
    }
}

/// The page for a stream: as wide as the terminal, within reason.
#[must_use]
pub fn page(paint: Paint, terminal_columns: Option<usize>, root: &str) -> Page {
    Page { paint, width: width(terminal_columns), root: root.to_owned() }
}

/// Columns of a page: as many as the terminal has, within reason; 100 where there is none.
#[must_use]
pub fn width(terminal_columns: Option<usize>) -> usize {
    terminal_columns.map_or(100, |columns| columns.clamp(40, 120))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn lines() -> String {
        let mut live = Live::lines(Vec::new(), Page::plain("scenarios"));
        for case in sample::summary().cases() {
            live.started(&case.id);
            live.finished(case).unwrap();
        }
        live.close().unwrap();
        match live.to {
            To::Lines(bytes) => String::from_utf8(bytes).unwrap(),
            To::Bar(_) => unreachable!("asked for lines"),
        }
    }

    #[test]
    fn away_from_a_terminal_each_case_is_one_plain_line() {
        insta::assert_snapshot!(lines());
        assert!(!lines().contains('\x1b'), "control codes in a log");
        assert_eq!(lines().lines().count(), sample::summary().cases().len());
    }

    #[test]
    fn a_failure_in_an_included_fragment_names_both_files() {
        let mut case = sample::failed();
        if let Some(reason) = &mut case.reason {
            reason.file = "fragments/late.yaml".into();
        }
        let text = headline(&case, &Page::plain("scenarios"));
        assert!(
            text.contains("code-expiry.yaml[card=mastercard-debit] at scenarios/fragments/late.yaml:14:13"),
            "{text}"
        );
    }

    #[test]
    fn the_end_of_a_mixed_run() {
        insta::assert_snapshot!(Final::new(&sample::summary(), sample::REAL, &Page::plain("scenarios")));
    }

    #[test]
    fn the_end_of_a_run_in_which_all_passed_is_short() {
        let mut summary = Summary::default();
        sample::summary().ended(Verdict::Passed).for_each(|case| summary.add(case.clone()));
        insta::assert_snapshot!(Final::new(&summary, sample::REAL, &Page::plain("scenarios")));
    }

    #[test]
    fn the_last_line_stands_alone_and_has_no_colour_even_on_a_terminal() {
        let page = Page { paint: Paint::ON, ..Page::plain("") };
        let text = Final::new(&sample::summary(), sample::REAL, &page).to_string();
        assert_eq!(text.lines().last(), Some("3 passed, 3 failed, 3 skipped"));
        assert!(text.contains("\x1b[1;31mFAILED\x1b[0m"));
    }

    #[test]
    fn an_empty_run_has_a_summary_too() {
        let text = Final::new(&Summary::default(), Duration::ZERO, &Page::plain("")).to_string();
        assert!(text.contains("   cases  0: 0 passed, 0 failed, 0 broken, 0 skipped\n"), "{text}");
    }

    #[test]
    fn durations_read_well() {
        let rows = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (842_300, "842.3 ms"),
            (4_200_000, "4.20 s"),
            (59_999_999, "59.99 s"),
            (721_000_000, "12 min 01 s"),
            (11_520_000_000, "3 h 12 min"),
            (180_000_000_000, "2 d 02 h"),
        ];
        for (micros, expected) in rows {
            assert_eq!(human(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn numbers_are_grouped_and_rules_drawn_together() {
        assert_eq!([0, 999, 1_000, 13_700, 1_234_567].map(grouped), ["0", "999", "1 000", "13 700", "1 234 567"]);
        assert_eq!(
            ranges(["R1", "R2", "R3", "R5", "R6", "W1", "W2", "beta"].into_iter()),
            "R1–R3, R5, R6, W1, W2, beta"
        );
        assert_eq!(ranges([].into_iter()), "");
    }
}
