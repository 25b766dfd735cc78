//! All readers of a run behind one door: the runner says when cases start and hands over their events when they end.

use std::io::{self, IsTerminal, Stderr, Write};
use std::time::Duration;

use terminal_size::{Height, Width, terminal_size_of};

use super::event::{Event, Verdict};
use super::jsonl::{InOrder, OutOfOrder};
use super::out::{Files, Paths, WriteError};
use super::paint::{ColorChoice, Paint};
use super::summary::{CaseResult, Exit, Summary};
use super::text::{self, Final, Live};

/// What the command line asks of the reports.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--color`.
    pub color: ColorChoice,
    /// Put before file names, e.g. `scenarios`: files in events are relative to the scenario root.
    pub root: String,
    /// Files to write.
    pub paths: Paths,
}

/// Progress on standard error, the summary on standard output, files where they were asked for.
#[derive(Debug)]
pub struct Reporter {
    live: Live<Stderr>,
    order: InOrder<Finished>,
    summary: Summary,
    files: Files,
    settings: Settings,
}

#[derive(Debug)]
struct Finished {
    case: CaseResult,
    events: Vec<Event>,
    after_epoch: Option<Duration>,
}

/// Why a report is not complete.
#[derive(Debug)]
pub enum ReportError {
    /// A file could not be written.
    Write(WriteError),
    /// The runner broke its promise about cases.
    Order(OutOfOrder),
}

impl std::fmt::Display for ReportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(error) => write!(f, "failed to {error}"),
            Self::Order(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReportError {}

impl From<WriteError> for ReportError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<OutOfOrder> for ReportError {
    fn from(error: OutOfOrder) -> Self {
        Self::Order(error)
    }
}

impl Reporter {
    /// Opens all files and starts the progress for `cases`, given in file order.
    ///
    /// # Errors
    /// When a file or folder cannot be created.
    pub fn open(settings: Settings, cases: &[u32]) -> Result<Self, ReportError> {
        let files = Files::create(&settings.paths, &settings.root)?;
        let terminal = io::stderr().is_terminal();
        let paint = Paint::choose(settings.color, terminal);
        let page = text::page(paint, columns(terminal_size_of(io::stderr())), &settings.root);
        let live = Live::choose(cases.len(), io::stderr(), page, terminal);
        let order = InOrder::new(cases.iter().copied());
        Ok(Self { live, order, summary: Summary::default(), files, settings })
    }

    /// Whether `case` may start: not too many wait for an earlier one.
    #[must_use]
    pub fn may_start(&self, case: u32) -> bool {
        self.order.may_start(case)
    }

    /// A case starts.
    pub fn started(&mut self, id: &str) {
        self.live.started(id);
    }

    /// A line to the person at the bench.
    pub fn say(&mut self, text: &str) {
        // Progress that nobody can see must not stop a run.
        let _ = self.live.say(text);
    }

    /// A case has ended, with all its events, so long `after_epoch` (1970) where it ran on the wall clock; cases may end in any order.
    /// Answers how it ended, for `--fail-fast`.
    ///
    /// # Errors
    /// When a file cannot be written, or the case was not announced to [`Reporter::open`].
    pub fn finished(
        &mut self,
        case: u32,
        events: Vec<Event>,
        after_epoch: Option<Duration>,
    ) -> Result<Verdict, ReportError> {
        let finished = Finished { case: CaseResult::from_events(case, &events), events, after_epoch };
        let verdict = finished.case.verdict;
        if self.live.is_bar() {
            // Above a bar a failure is news; lines of a log keep file order, so that two logs can be compared.
            let _ = self.live.finished(&finished.case);
        }
        for ready in self.order.push(case, finished)? {
            self.take(ready)?;
        }
        Ok(verdict)
    }

    /// The run is over, or was stopped. `real` is the time that passed on the wall.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn close(mut self, real: Duration) -> Result<Exit, ReportError> {
        for waiting in std::mem::replace(&mut self.order, InOrder::new([])).finish() {
            self.take(waiting)?;
        }
        let _ = self.live.close();
        let root = &self.settings.root;
        let paint = Paint::choose(self.settings.color, io::stdout().is_terminal());
        let page = text::page(paint, columns(terminal_size_of(io::stdout())), root);
        // A closed pipe (`| head`) is the reader's choice, and the exit code still tells.
        let _ = write!(io::stdout().lock(), "{}", Final::new(&self.summary, real, &page));
        let page = super::block::Page::plain(root);
        self.files.close(&self.summary, Final::new(&self.summary, real, &page))?;
        Ok(self.summary.exit())
    }

    /// Takes the next case in file order.
    fn take(&mut self, finished: Finished) -> Result<(), ReportError> {
        let Finished { case, events, after_epoch } = finished;
        if !self.live.is_bar() {
            let _ = self.live.finished(&case);
        }
        self.files.events(&events)?;
        self.files.taps(&events, after_epoch)?;
        if case.verdict.is_trouble() {
            self.files.trace(&case, &events)?;
        }
        self.summary.add(case);
        Ok(())
    }
}

/// Columns of the terminal, if it is one.
#[must_use]
pub fn columns(size: Option<(Width, Height)>) -> Option<usize> {
    size.map(|(Width(columns), _)| usize::from(columns))
}
