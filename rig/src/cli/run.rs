//! `bandrig run`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::load::{self, Loaded};
use super::virtual_station::{self, Handed, Way};
use super::{EXIT_BAD_INPUT, EXIT_STATION, Selection};
use crate::report::out::Paths;
use crate::report::paint::ColorChoice;
use crate::report::reporter::{ReportError, Reporter, Settings};
use crate::report::text::counted;
use crate::report::words::shell_word;
use crate::scenario::file::Case;
use crate::scenario::run::{Keep, Setting};
use crate::scenario::select::Shard;
use crate::scenario::suite::{self, AsGiven, Options, Order, Progress};
use crate::station::file::OpenError;
use crate::station::{Capability, Embedded, Station};

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
    pub(super) selection: Selection,
    /// Where to run: `embedded`, everything in this process under virtual time; `virtual`, real BlueZ and PC/SC where this machine has
    /// neither, on its own kernel, in a virtual machine or in a kernel that is a process (`virtual:host`, `virtual:qemu`, `virtual:uml`:
    /// only there; the last one is built first, once); or a station file.
    #[arg(long, value_name = "NAME|FILE", default_value = "embedded")]
    pub(super) station: String,
    /// The seed of all randomness: same seed, same bytes.
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub(super) seed: u64,
    /// Cases to run at once; one per core when absent. On the station `virtual`: machines at once, up to four; three on two cores when
    /// absent.
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Run only one part of the cases: `2/4` is the second of four.
    #[arg(long, value_name = "I/N")]
    pub(super) shard: Option<Shard>,
    /// Write everything into this folder: summary, JUnit, events, a trace of each case that did not pass.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write all events, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write down every exchange of every point of a sweep, too; with --out also what went through the field, taps.pcapng, and on
    /// the station `virtual` all of Bluetooth, hci.btsnoop. tshark and Wireshark open both.
    #[arg(long)]
    pub(super) trace: bool,
    /// Start no further case after the first that fails or breaks.
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Run every case twice and compare the events byte by byte.
    #[arg(long)]
    check_determinism: bool,
    /// Run the cases whose numbers come in by this file, until it says that there are no more: how the machines of the virtual station
    /// share them.
    #[arg(long, value_name = "FILE", hide = true)]
    handed_out: Option<PathBuf>,
    /// Of cases that pass, write their verdicts only, as a run does that writes nothing: the program inside the virtual station always
    /// writes.
    #[arg(long, hide = true, requires = "handed_out")]
    verdicts_only: bool,
}

pub(super) fn run(run: &Run) -> u8 {
    let mut loaded = match load::load(&run.selection) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Some(shard) = run.shard {
        loaded.shard(shard);
    }
    // What happens inside the virtual station is captured inside.
    let virtual_station = Way::of(&run.station);
    let taps = run.trace && virtual_station.is_none();
    let paths = Paths { out: run.out.clone(), junit: run.junit.clone(), events: run.events.clone(), taps };
    let root = loaded.root.display().to_string();
    let settings = Settings { color: run.selection.color.into(), root, paths };
    if run.station != "embedded" && run.check_determinism {
        super::complain("--check-determinism needs virtual time: only the station `embedded` has it");
        return EXIT_BAD_INPUT;
    }
    if let Some(way) = virtual_station.filter(|_| !loaded.cases.is_empty()) {
        return virtual_station::run(run, way, &loaded, settings);
    }
    let station = match station(&run.station) {
        Ok(station) => station,
        Err(OpenError::File(mistakes)) => return load::mistakes(&mistakes, run.selection.color),
        Err(OpenError::Trouble(words)) => {
            super::complain(&words);
            return EXIT_STATION;
        }
    };
    if loaded.cases.is_empty() {
        super::complain(&loaded.nothing("to run"));
    }
    let setting = setting(run, &loaded, station);
    let indices: Vec<u32> = (0..u32::try_from(loaded.cases.len()).unwrap_or(u32::MAX)).collect();
    // A report that cannot be opened is a wrong word of the command line; one that breaks off later is the world's doing.
    let reporter = match Reporter::open(settings, &indices) {
        Ok(reporter) => reporter,
        Err(error) => {
            super::complain(&error.to_string());
            return EXIT_BAD_INPUT;
        }
    };
    suite(run, &loaded.cases, &setting, reporter).unwrap_or_else(|error| {
        super::complain(&error.to_string());
        EXIT_STATION
    })
}

/// What the cases are run with.
pub(super) fn setting(run: &Run, loaded: &Loaded, station: Arc<dyn Station>) -> Setting {
    Setting {
        fixtures: Arc::clone(&loaded.fixtures),
        station,
        sources: loaded.sources.clone(),
        seed: run.seed,
        keep: keep(run),
        repeat_with: repeat_with(run),
    }
}

/// What somebody will read of the cases that pass.
pub(super) const fn keep(run: &Run) -> Keep {
    if run.verdicts_only {
        Keep::Verdicts
    } else if run.trace {
        Keep::Points
    } else if run.out.is_some() || run.events.is_some() || run.check_determinism {
        Keep::Cases
    } else {
        Keep::Verdicts
    }
}

/// The station of this name, or of this file.
fn station(word: &str) -> Result<Arc<dyn Station>, OpenError> {
    match word {
        "embedded" => Ok(Arc::new(Embedded::default())),
        // There is nothing to run where it comes here.
        word if Way::of(word).is_some() => Ok(Arc::new(Embedded::default())),
        file => crate::station::file::open(Path::new(file)),
    }
}

fn suite(run: &Run, cases: &[Case], setting: &Setting, mut reporter: Reporter) -> Result<u8, ReportError> {
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    super::interrupt::watch(&stop);
    reporter.say(&format!("{}, seed {}", counted(cases.len(), "case"), run.seed));
    let order: Box<dyn Order> = match &run.handed_out {
        Some(path) => Box::new(Handed::new(path.clone(), Arc::clone(&stop))),
        None => Box::<AsGiven>::default(),
    };
    let options = Options {
        jobs: run.jobs.map_or_else(suite::default_jobs, NonZeroUsize::get),
        fail_fast: run.fail_fast,
        check_determinism: run.check_determinism,
        stop: &stop,
        order: &*order,
    };
    let on_the_wall = !setting.station.offer().can(Capability::VirtualTime);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut trouble = None;
    suite::run(cases, setting, &options, |index, progress| match progress {
        Progress::Started(case) => reporter.started(&case.id),
        Progress::Finished(outcome) => {
            if let Err(error) = reporter.finished(index, outcome.events, on_the_wall.then(now)) {
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
        super::complain("interrupted: the cases that had not started were not run");
        return Ok(130);
    }
    Ok(exit.code())
}

/// The command before the id of a case: what repeats just that case, from where the person stands.
fn repeat_with(run: &Run) -> String {
    let mut words = program();
    words.extend(["run".to_owned()]);
    words.extend(run.selection.paths.iter().map(|path| path.display().to_string()));
    words.extend(run.selection.vars.iter().flat_map(|var| ["--var".to_owned(), var.clone()]));
    words.extend(run.selection.fixtures.iter().flat_map(|path| ["--fixtures".to_owned(), path.display().to_string()]));
    if run.station != "embedded" {
        words.extend(["--station".to_owned(), run.station.clone()]);
    }
    words.push("--filter".to_owned());
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// This program as the person started it: Cargo tells what it runs of itself.
fn program() -> Vec<String> {
    let mut words: Vec<_> = match (std::env::var_os("CARGO_MANIFEST_DIR"), std::env::args().next()) {
        (None, Some(program)) => return vec![program],
        _ => ["cargo", "run", "--release"].map(str::to_owned).into(),
    };
    let features = [("pcsc", cfg!(feature = "pcsc")), ("bluez", cfg!(feature = "bluez"))];
    let features: Vec<_> = features.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
    if !features.is_empty() {
        words.extend(["--features".to_owned(), features.join(",")]);
    }
    words.push("--".to_owned());
    words
}

/// A seed, decimal as it is printed.
fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// A number of jobs.
fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it is a whole number from 1 on".to_owned())
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
