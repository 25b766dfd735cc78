//! `bandrig run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;

use super::{EXIT_BAD_INPUT, EXIT_STATION, Selection, load};
use crate::report::out::Paths;
use crate::report::paint::ColorChoice;
use crate::report::reporter::{ReportError, Reporter, Settings};
use crate::scenario::file::Case;
use crate::scenario::run::Setting;
use crate::scenario::select::Shard;
use crate::scenario::suite::{self, Options, Progress};
use crate::station::{Embedded, Station};

pub(super) const EXAMPLES: &str = "\
Examples:
  bandrig run                                      everything under scenarios/
  bandrig run scenarios/activation --tag 'R2'      one folder, one rule
  bandrig run --filter seventh --out out           cases by name, all reports into out/
  bandrig run --station fixtures/stations/virtual-reader.yaml scenarios/payment
                                                   every tap through pcscd (a build with `--features pcsc`)
  bandrig run --shard 2/4 --junit junit.xml        the second of four machines of a CI job

Exit codes: 0 all passed, 1 a case failed, 2 bad usage or YAML, 3 station trouble, 4 nothing was run, 130 interrupted.";

/// Run scenarios.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    selection: Selection,
    /// Where to run: `embedded`, everything in this process under virtual time, or a station file.
    #[arg(long, value_name = "NAME|FILE", default_value = "embedded")]
    station: String,
    /// The seed of all randomness: same seed, same bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Cases to run at once; one per core when absent.
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    /// Run only one part of the cases: `2/4` is the second of four.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Write everything into this folder: summary, JUnit, events, a trace of each case that did not pass.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write all events, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write down every exchange of every point of a sweep, too.
    #[arg(long)]
    trace: bool,
    /// Start no further case after the first that does not pass.
    #[arg(long)]
    fail_fast: bool,
    /// Run every case twice and compare the events byte by byte.
    #[arg(long)]
    check_determinism: bool,
}

pub(super) fn run(run: &Run) -> u8 {
    let loaded = match load::load(&run.selection) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let cases = sharded(loaded.cases, run.shard);
    let station = match station(&run.station) {
        Ok(station) => station,
        Err(words) => {
            eprintln!("bandrig: {words}");
            return EXIT_STATION;
        }
    };
    let setting = Setting {
        fixtures: loaded.fixtures,
        station,
        sources: loaded.sources,
        seed: run.seed,
        trace: run.trace,
        repeat_with: repeat_with(&run.selection, &loaded.root),
    };
    let paths = Paths { out: run.out.clone(), junit: run.junit.clone(), events: run.events.clone() };
    let settings = Settings { color: run.selection.color.into(), root: loaded.root.display().to_string(), paths };
    match suite(run, &cases, &setting, settings) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bandrig: {error}");
            EXIT_BAD_INPUT
        }
    }
}

/// The station of this name, or of this file.
fn station(word: &str) -> Result<Arc<dyn Station>, String> {
    match word {
        "embedded" => Ok(Arc::new(Embedded::default())),
        file => crate::station::file::open(Path::new(file)),
    }
}

fn suite(run: &Run, cases: &[Case], setting: &Setting, settings: Settings) -> Result<u8, ReportError> {
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    super::interrupt::watch(&stop);
    let indices: Vec<u32> = (0..u32::try_from(cases.len()).unwrap_or(u32::MAX)).collect();
    let mut reporter = Reporter::open(settings, &indices)?;
    reporter.say(&format!("{} cases, seed {}", cases.len(), run.seed));
    let options = Options {
        jobs: run.jobs.map_or_else(suite::default_jobs, std::num::NonZeroUsize::get),
        fail_fast: run.fail_fast,
        check_determinism: run.check_determinism,
        stop: &stop,
    };
    let mut trouble = None;
    suite::run(cases, setting, &options, |index, progress| match progress {
        Progress::Started(case) => reporter.started(&case.id),
        Progress::Finished(outcome) => {
            if let Err(error) = reporter.finished(index, outcome.events) {
                stop.store(true, Ordering::Relaxed);
                trouble = Some(error);
            }
        }
    });
    if let Some(error) = trouble {
        return Err(error);
    }
    let exit = reporter.close(began.elapsed())?;
    if super::interrupt::happened() {
        eprintln!("interrupted: the cases that had not started were not run");
        return Ok(130);
    }
    Ok(exit.code())
}

fn sharded(cases: Vec<Case>, shard: Option<Shard>) -> Vec<Case> {
    let Some(shard) = shard else { return cases };
    cases
        .into_iter()
        .enumerate()
        .filter(|(at, _)| shard.takes(u32::try_from(*at).unwrap_or(u32::MAX)))
        .map(|(_, it)| it)
        .collect()
}

/// The command before the id of a case: what repeats just that case.
fn repeat_with(selection: &Selection, root: &Path) -> String {
    let vars = selection.vars.iter().map(|var| format!(" --var '{var}'"));
    format!("cargo run --release -- run {}{} --filter", root.display(), vars.collect::<String>())
}

impl From<super::Color> for ColorChoice {
    fn from(color: super::Color) -> Self {
        match color {
            super::Color::Auto => Self::Auto,
            super::Color::Always => Self::Always,
            super::Color::Never => Self::Never,
        }
    }
}
