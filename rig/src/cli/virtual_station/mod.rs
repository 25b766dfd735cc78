//! `bandrig run --station virtual` and `bandrig station`: this side of the virtual station.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Subcommand;

mod follow;
mod handed;
mod part;

use self::follow::{Guest, LOOK, follow};
pub(super) use self::handed::Handed;
use self::handed::Left;
use self::part::{Bench, Part};
use super::load::Loaded;
use super::run::Run;
use super::{EXIT_BAD_INPUT, EXIT_STATION, standing};
use crate::report::out::TAPS;
use crate::report::reporter::{Reporter, Settings};
use crate::scenario::run::Keep;
use crate::scenario::suite;
use crate::station::Embedded;
use crate::station::guest::{self, Accelerator, Boot, Held, Machine, Place, Task, capture};

/// The station's file, in the fixtures folder.
const FILE: &str = "stations/virtual.yaml";
/// Where the command line wants the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Wherever it can be.
    Any,
    /// In QEMU.
    Qemu,
    /// In a kernel that is a process.
    Uml,
    /// On this machine itself.
    Host,
}

impl Way {
    /// What this name of a station wants; `None` when it is another station.
    pub(super) fn of(station: &str) -> Option<Self> {
        match station {
            "virtual" => Some(Self::Any),
            "virtual:qemu" => Some(Self::Qemu),
            "virtual:uml" => Some(Self::Uml),
            "virtual:host" => Some(Self::Host),
            _ => None,
        }
    }
}

/// More machines are not started at once: in QEMU each takes half a core and a gigabyte.
const MOST_IN_QEMU: usize = 4;
/// A third of its time a machine waits: BlueZ 5.66 holds each notification back for ten milliseconds, in case another one can go with it
/// (a central that is BlueZ, too, asks for that). With a fourth machine on two cores each is slower by more than that.
const IN_QEMU_ON_TWO_CORES: usize = 3;
/// One that is a process waits two thirds of its time.
const PROCESSES_ON_TWO_CORES: usize = 4;
/// For fewer cases another machine is not worth the time in which it comes up.
const CASES_PER_MACHINE: usize = 8;

/// Runs the cases in the virtual station and reports them here as they end.
pub(super) fn run(run: &Run, way: Way, loaded: &Loaded, settings: Settings) -> u8 {
    let cases = loaded.cases.as_slice();
    let began = Instant::now();
    let indices: Vec<u32> = (0..u32::try_from(cases.len()).unwrap_or(u32::MAX)).collect();
    let held = match hold(run.out.as_ref().map(|out| out.join("station")).as_deref()) {
        Ok(held) => held,
        Err(exit) => return exit,
    };
    let share = held.folder().to_owned();
    // Inside, the station is a file.
    let inside = loaded.fixtures_root.join(FILE);
    if !inside.is_file() {
        super::complain(&format!("there is no {}: the virtual station has its own file there", inside.display()));
        return EXIT_STATION;
    }
    let mut reporter = match Reporter::open(settings, &indices) {
        Ok(reporter) => reporter,
        Err(error) => {
            super::complain(&error.to_string());
            return EXIT_BAD_INPUT;
        }
    };
    reporter.say(&format!("{} cases, seed {}", cases.len(), run.seed));
    let setting = super::run::setting(run, loaded, std::sync::Arc::new(Embedded::default()));
    let bench = Bench { cases, inside: &inside.display().to_string(), setting: &setting, fail_fast: run.fail_fast };
    super::interrupt::watch(&std::sync::Arc::default());
    let ended = start(run, way, loaded, &share, &mut reporter).and_then(|guests| {
        let left = Left::of(cases.len(), guests.len());
        follow(guests, left, &bench, &mut reporter, &super::interrupt::happened)
    });
    let captured = if run.trace { captures(&share, run.out.as_deref()) } else { Ok(()) };
    let ended = ended.and(captured);
    let closed = reporter.close(began.elapsed());
    if super::interrupt::happened() {
        super::complain("interrupted: the virtual station was switched off");
        return 130;
    }
    match (ended, closed) {
        (Err(words), _) => {
            super::complain(&format!("{words}\nits logs are in {}", share.display()));
            EXIT_STATION
        }
        (Ok(_), Err(error)) => {
            super::complain(&error.to_string());
            EXIT_BAD_INPUT
        }
        (Ok(()), Ok(exit)) => exit.code(),
    }
}

/// The folder for what comes out of the station; the exit code when there is none.
fn hold(wanted: Option<&Path>) -> Result<Held, u8> {
    let held = match wanted {
        None => Held::spare(&guest::cache()),
        Some(wanted) => Held::take(wanted).and_then(|held| {
            let busy = || format!("another bandrig writes to {} now; give this one another `--out`", wanted.display());
            held.ok_or_else(busy)
        }),
    };
    held.map_err(|words| {
        super::complain(&words);
        EXIT_STATION
    })
}

/// How many machines share the cases. One capture is of one machine, and after the first case that does not pass no other one is to
/// run.
fn machines(run: &Run, cases: usize, place: Place) -> usize {
    if run.trace || run.fail_fast {
        return 1;
    }
    let (on_two_cores, most) = match place {
        Place::Host => (1, 1),
        Place::Qemu => (IN_QEMU_ON_TWO_CORES, MOST_IN_QEMU),
        Place::Uml => (PROCESSES_ON_TWO_CORES, guest::MOST_MACHINES),
    };
    let jobs = run.jobs.map_or_else(|| on_two_cores * suite::default_jobs() / 2, NonZeroUsize::get);
    jobs.min(most).min(cases / CASES_PER_MACHINE).max(1)
}

/// Finds what boots, as it is wanted.
fn find(way: Way, say: &mut dyn FnMut(&str)) -> Result<Boot, String> {
    match way {
        Way::Qemu => Boot::in_qemu(say),
        Way::Uml => Boot::as_process(say),
        Way::Any | Way::Host => Boot::find(say),
    }
}

/// How the station comes up where nobody has said how, and what would make it faster; `obstacle` keeps it from this machine itself.
fn explain(boot: &Boot, obstacle: &str, say: &mut dyn FnMut(&str)) {
    let how = match boot.place() {
        Place::Uml => "as a process, in User-mode Linux",
        Place::Qemu | Place::Host => "in QEMU",
    };
    say(&format!("the virtual station comes up {how}; not on this machine itself: {obstacle}"));
    if boot.accelerator() == Some(Accelerator::Tcg) && guest::built_process(&guest::cache()).is_none() {
        say(
            "there is no KVM; `--station virtual:uml` once builds a kernel, in minutes, that is several times faster from then on",
        );
    }
}

/// Starts all machines at once.
fn start(
    run: &Run,
    way: Way,
    loaded: &Loaded,
    share: &Path,
    reporter: &mut Reporter,
) -> Result<Vec<Guest<Machine>>, String> {
    let shares = |machines: usize| -> Result<Vec<(Part, Task, PathBuf)>, String> {
        let shares = (1..=machines).map(|number| match number {
            1 => share.to_owned(),
            _ => PathBuf::from(format!("{}-{number}", share.display())),
        });
        let task = task(script(run, loaded), true, run.trace);
        shares.map(|share| Ok((Part::new(share.clone())?, task.clone(), share))).collect()
    };
    // On this machine itself where that disturbs nobody, and nobody wants it elsewhere.
    let obstacle = guest::obstacle();
    match (way, &obstacle) {
        (Way::Host, Some(obstacle)) => {
            return Err(format!("the virtual station cannot run on this machine itself: {obstacle}"));
        }
        (Way::Any | Way::Host, None) => {
            reporter.say("the virtual station comes up on this machine itself");
            let on_host = |(part, task, share): (Part, Task, PathBuf)| {
                Ok(Guest { machine: guest::start_on_host(&task, &share)?, part })
            };
            return shares(1)?.into_iter().map(on_host).collect();
        }
        (Way::Any | Way::Qemu | Way::Uml, _) => {}
    }
    let boot = find(way, &mut |words| reporter.say(words))?;
    if let (Way::Any, Some(obstacle)) = (way, &obstacle) {
        explain(&boot, obstacle, &mut |words| reporter.say(words));
    }
    let shares = shares(machines(run, loaded.cases.len(), boot.place()))?;
    let (sender, said) = mpsc::channel();
    std::thread::scope(|scope| {
        let starting = shares.into_iter().map(|(part, task, share)| {
            let (boot, sender) = (&boot, sender.clone());
            scope.spawn(move || {
                let mut say = |words: &str| drop(sender.send(words.to_owned()));
                let machine = boot.start(&task, &share, &mut say, &super::interrupt::happened)?;
                Ok(Guest { machine, part })
            })
        });
        let starting: Vec<_> = starting.collect();
        drop(sender);
        said.into_iter().for_each(|words: String| reporter.say(&words));
        let died = |_| Err("a machine could not be started".to_owned());
        starting.into_iter().map(|one| one.join().unwrap_or_else(died)).collect()
    })
}

/// Brings the captures to where they were asked for.
fn captures(share: &Path, out: Option<&Path>) -> Result<(), String> {
    let into = out.unwrap_or(share);
    capture::gather(share, into)?;
    let taps = share.join(TAPS);
    if into != share && taps.exists() {
        // Not renamed: the two may lie on different file systems.
        let moved = std::fs::copy(&taps, into.join(TAPS)).and_then(|_| std::fs::remove_file(&taps));
        moved.map_err(|error| format!("failed to move the capture {}: {error}", taps.display()))?;
    }
    Ok(())
}

fn task(script: String, band: bool, capture: bool) -> Task {
    let work = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Task { script, work, band, controllers: 2, capture }
}

/// The same selection once more, for the program inside: of it, it runs what it is handed.
fn script(run: &Run, loaded: &Loaded) -> String {
    let selection = &run.selection;
    let mut words: Vec<String> = selection.paths.iter().map(guest::quoted).collect();
    words.push(format!("--out \"$RESULTS\" --handed-out \"$RESULTS/{}\"", handed::FILE));
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), guest::quoted(value)]);
    add("--station", &loaded.fixtures_root.join(FILE).display().to_string());
    add("--color", "never");
    add("--seed", &run.seed.to_string());
    add("--fixtures", &loaded.fixtures_root.display().to_string());
    if let Some(shard) = run.shard {
        add("--shard", &shard.to_string());
    }
    for (flag, value) in [("--tag", &selection.tag), ("--filter", &selection.filter)] {
        if let Some(value) = value {
            add(flag, value);
        }
    }
    for var in &selection.vars {
        add("--var", var);
    }
    let is_read = super::run::keep(run) != Keep::Verdicts;
    let flags = [(run.trace, "--trace"), (run.fail_fast, "--fail-fast"), (!is_read, "--verdicts-only")];
    words.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned()));
    format!("exec \"$BANDRIG\" run {} >\"$RESULTS/bandrig.log\" 2>&1\n", words.join(" "))
}

// --- a look around

pub(super) const EXAMPLES: &str = "\
Examples:
  bandrig station exec virtual -- bluetoothctl show     one command inside, with everything up
  bandrig station exec virtual -- bash rig/tests/foreign/guest.sh

Inside, hci0 is the phone's controller, hci1 the band's; $BAND_SOCKET is the band's control socket. The host's files are there,
and nothing that is changed in them stays.";

/// Use the virtual station without scenarios.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Station {
    /// Bring it up and leave it up, with a band running.
    Up {
        /// Which station.
        #[arg(value_parser = ["virtual"])]
        station: String,
    },
    /// A shell in the one that is up, or one command.
    #[command(after_help = standing::EXAMPLES)]
    Shell {
        /// Which station.
        #[arg(value_parser = ["virtual"])]
        station: String,
        /// The command and its words; a shell on this terminal without, or what standard input says.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Take down the one that is up; nothing of it is left.
    Down {
        /// Which station.
        #[arg(value_parser = ["virtual"])]
        station: String,
    },
    /// Bring it up, run one command in it, switch it off.
    #[command(after_help = EXAMPLES)]
    Exec {
        /// Which station; in QEMU or in User-mode Linux only with the one's name behind it.
        #[arg(value_parser = ["virtual", "virtual:qemu", "virtual:uml"])]
        station: String,
        /// How many linked controllers: two, or a third for a second phone.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=4), value_name = "N")]
        controllers: u8,
        /// Start no band.
        #[arg(long)]
        no_band: bool,
        /// Leave logs and captures in this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Give up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        limit: u64,
        /// The command and its words.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

pub(super) fn station(station: &Station) -> u8 {
    let (name, controllers, no_band, out, limit, command) = match station {
        Station::Up { .. } => return standing::up(),
        Station::Shell { command, .. } => return standing::shell(command),
        Station::Down { .. } => return standing::down(),
        Station::Exec { station, controllers, no_band, out, limit, command } => {
            (station, controllers, no_band, out, limit, command)
        }
    };
    let way = Way::of(name).unwrap_or(Way::Any);
    let held = match hold(out.as_deref()) {
        Ok(held) => held,
        Err(exit) => return exit,
    };
    let share = held.folder().to_owned();
    let words: Vec<String> = command.iter().map(guest::quoted).collect();
    let script = format!("{} >\"$RESULTS/task.out\" 2>&1\n", words.join(" "));
    super::interrupt::watch(&std::sync::Arc::default());
    let task = Task { controllers: *controllers, ..task(script, !no_band, out.is_some()) };
    let ended = find(way, &mut super::complain)
        .and_then(|boot| boot.start(&task, &share, &mut super::complain, &super::interrupt::happened))
        .and_then(|machine| relay(machine, &share, Duration::from_secs(*limit)));
    let ended = match &out {
        Some(out) => ended.and_then(|code| capture::gather(&share, out).map(|_| code)),
        None => ended,
    };
    match ended {
        Ok(code) => code,
        Err(words) => {
            super::complain(&format!("{words}\nits logs are in {}", share.display()));
            EXIT_STATION
        }
    }
}

/// What the command says, as it says it; its exit code.
fn relay(mut machine: Machine, share: &Path, limit: Duration) -> Result<u8, String> {
    let until = Instant::now() + limit;
    let mut said: Option<File> = None;
    loop {
        let off = machine.ended()?.is_some();
        if said.is_none() {
            said = File::open(share.join("task.out")).ok();
        }
        if let Some(said) = &mut said {
            let mut bytes = vec![];
            said.read_to_end(&mut bytes).map_err(|error| format!("failed to read what was said: {error}"))?;
            let mut out = std::io::stdout().lock();
            // A closed pipe is the reader's choice, and the exit code still tells.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
        }
        if off {
            return guest::outcome(share);
        }
        if super::interrupt::happened() {
            machine.stop();
            return Ok(130);
        }
        if Instant::now() >= until {
            machine.stop();
            return Err(format!("the command has not ended within {limit:?}"));
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    /// What the program inside is told when somebody outside asks for this.
    fn told(more: &[&str]) -> String {
        let words = ["run", "../scenarios/account", "--fixtures", "../fixtures"].iter().chain(more);
        let matches = Run::augment_args(Command::new("run")).try_get_matches_from(words).unwrap();
        let run = Run::from_arg_matches(&matches).unwrap();
        let loaded = super::super::load::load(&run.selection).unwrap();
        script(&run, &loaded)
    }

    #[test]
    fn events_that_nobody_reads_outside_are_not_written_inside() {
        assert!(told(&[]).contains(" --verdicts-only "));
        for read in [&["--out", "out"][..], &["--events", "events.jsonl"], &["--trace"]] {
            assert!(!told(read).contains("--verdicts-only"), "{read:?}");
        }
    }
}
