//! The virtual station: a machine with a real Bluetooth stack and a real PC/SC stack where this machine has none.
//!
//! A stock Debian kernel boots in QEMU over this machine's own files, read-only, with two linked virtual controllers, the real
//! bluetoothd and the real pcscd. In it `band` serves on one controller and lies in the virtual reader, and `bandrig` itself runs
//! the scenarios from the other one. What happens there comes out through a shared folder while it happens. Where there is no KVM, a
//! kernel that is a process of this machine does it in a third of the time; it has to be built first. Where this machine's own
//! kernel has virtual controllers and nobody else wants them, all of it runs in namespaces on this machine itself.
//!
//! ```text
//! host      whether it can run on this machine itself
//! kernel    the kernel and what it needs before it sees this machine's files, cached
//! uml       the kernel that is a process, built once
//! machine   QEMU: with KVM where that works, a process, or namespaces; gone when we are
//! held      the folder of its logs, which is nobody else's meanwhile
//! init.sh, guest.sh    what runs inside
//! ```

pub mod capture;
mod held;
mod host;
mod kernel;
mod machine;
pub mod standing;
mod uml;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use held::Held;
pub use host::obstacle;
pub use kernel::{Kernel, PACKAGE as KERNEL_PACKAGE, cache, prepare};
pub use machine::{Accelerator, Machine, accelerator, kvm_hangs};
pub use uml::{built as built_process, missing_builders};

/// Programs that the station needs on this machine, and the Debian packages that have them; first those for QEMU alone, then one for
/// any machine that is not this one.
pub const PROGRAMS: [(&str, &str); 8] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("depmod", "kmod"),
    ("cpio", "cpio"),
    ("busybox", "busybox-static"),
    ("btvirt", "bluez-test-tools"),
    ("bluetoothctl", "bluez"),
    ("dbus-daemon", "dbus"),
    ("pcscd", "pcscd"),
];
/// How many of [`PROGRAMS`] are for QEMU alone.
const FOR_QEMU: usize = 2;
/// How many are for a machine that is not this one.
const FOR_MACHINES: usize = 3;
/// The driver of the virtual reader, and its package.
pub const VPCD: (&str, &str) = ("/usr/lib/pcsc/drivers/serial/libifdvpcd.so", "vsmartcard-vpcd");

/// More machines than these are never started at once.
pub const MOST_MACHINES: usize = 8;
/// How a kernel that is a process is told of.
const UML: &str = "User-mode Linux";

/// What the guest says before it has a log.
const CONSOLE: &str = "console.log";

/// How to build the two programs that run inside.
pub const BUILD: &str = "cargo build --release --features bluez,pcsc";

/// How long the kernel and the first programs may take: four seconds on an idle machine.
const BOOTED_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks for the guest's first word.
const LOOK: Duration = Duration::from_millis(20);

/// Where the station comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a virtual machine.
    Qemu,
    /// In a kernel that is a process of this machine.
    Uml,
    /// In namespaces on this machine, whose kernel has the virtual controllers.
    Host,
}

/// What is to be done inside.
#[derive(Clone, Debug)]
pub struct Task {
    /// A script for bash, run in `work` once everything is up.
    pub script: String,
    /// The folder to run it in; the same outside and inside.
    pub work: PathBuf,
    /// Whether `band` is started before.
    pub band: bool,
    /// How many linked controllers there are.
    pub controllers: u8,
    /// Whether everything on the controllers is captured, as `btmon` does.
    pub capture: bool,
}

/// Packages that are missing for the station, by the names Debian gives them.
#[must_use]
pub fn missing_packages(place: Place) -> Vec<&'static str> {
    let needed = match place {
        Place::Qemu => 0,
        Place::Uml => FOR_QEMU,
        Place::Host => FOR_MACHINES,
    };
    let programs = PROGRAMS.iter().skip(needed);
    let mut missing: Vec<_> =
        programs.filter(|(program, _)| find_program(program).is_none()).map(|(_, package)| *package).collect();
    if !Path::new(VPCD.0).exists() {
        missing.push(VPCD.1);
    }
    missing
}

/// Where a program is, in the folders of root too: a user's path may lack them.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The programs that run inside: this one, and `band` beside it.
///
/// # Errors
/// Which is missing, and the command that builds it.
pub fn programs() -> Result<(PathBuf, PathBuf), String> {
    if !cfg!(all(feature = "bluez", feature = "pcsc", feature = "vpcd")) {
        return Err(format!("this bandrig was built without Bluetooth and PC/SC; build it with `{BUILD}`"));
    }
    let own = std::env::current_exe().map_err(|error| format!("failed to find this program: {error}"))?;
    let band = own.with_file_name("band");
    if !band.is_file() {
        return Err(format!("there is no {}; build it with `{BUILD}`", band.display()));
    }
    Ok((own, band))
}

/// What the machines of the station boot, and how: found once for all that start together.
#[derive(Debug)]
pub struct Boot {
    kernel: Kernel,
    /// This program and `band`.
    programs: (PathBuf, PathBuf),
    /// `None`: the kernel is a process.
    accelerator: Option<Accelerator>,
}

impl Boot {
    /// Fetches the kernel, if it is not there yet, and finds out whether KVM works.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn in_qemu(say: &mut dyn FnMut(&str)) -> Result<Self, String> {
        // Before the kernel is fetched, which takes a while.
        let programs = require(Place::Qemu)?;
        let kernel = prepare(&cache(), say)?;
        let accelerator = accelerator(&kernel, &cache());
        Ok(Self { kernel, programs, accelerator: Some(accelerator) })
    }

    /// Builds the kernel, if it is not there yet, and finds out whether it runs here.
    ///
    /// # Errors
    /// What is missing, and what to do about it; why it does not run.
    pub fn as_process(say: &mut dyn FnMut(&str)) -> Result<Self, String> {
        let programs = require(Place::Uml)?;
        let kernel = uml::prepare(&cache(), say)?;
        uml::probe(&kernel, &cache())?;
        Ok(Self { kernel, programs, accelerator: None })
    }

    /// Whichever of these is the faster one, of those that take no building.
    ///
    /// # Errors
    /// As [`Boot::in_qemu`].
    pub fn find(say: &mut dyn FnMut(&str)) -> Result<Self, String> {
        if built_process(&cache()).is_none() {
            return Self::in_qemu(say);
        }
        // What tries KVM boots a machine: once is enough.
        let with_kvm = kernel::fetched(&cache()).filter(|it| accelerator(it, &cache()) == Accelerator::Kvm);
        if let Some(kernel) = with_kvm {
            let programs = require(Place::Qemu)?;
            return Ok(Self { kernel, programs, accelerator: Some(Accelerator::Kvm) });
        }
        Self::as_process(say).or_else(|words| {
            say(&words);
            Self::in_qemu(say)
        })
    }

    /// What makes QEMU's instructions run; `None`: there is no QEMU.
    #[must_use]
    pub const fn accelerator(&self) -> Option<Accelerator> {
        self.accelerator
    }

    /// Where it comes up.
    #[must_use]
    pub const fn place(&self) -> Place {
        if self.accelerator.is_some() { Place::Qemu } else { Place::Uml }
    }

    /// Starts the station for a task; logs and results go to `share`. Answers once the machine has come up, or early when `interrupted`
    /// says so.
    ///
    /// # Errors
    /// As [`Boot::find`]; the machine does not come up.
    pub fn start(
        &self,
        task: &Task,
        share: &Path,
        say: &mut dyn FnMut(&str),
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Machine, String> {
        self.lay(task, share)?;
        match self.accelerator {
            Some(accelerator) => {
                let start = |accelerator| Machine::start(&self.kernel, share, accelerator);
                up(share, accelerator.starts(), say, interrupted, start)
            }
            None => up(share, [UML; 3], say, interrupted, |_| Machine::start_process(&self.kernel, share)),
        }
    }

    /// Lays out what the guest will find in `share`.
    fn lay(&self, task: &Task, share: &Path) -> Result<(), String> {
        let modules = self.kernel.modules.as_ref().map(quoted).unwrap_or_default();
        lay(task, share, &self.programs, &[("MODULES", modules), ("ON_THIS_HOST", String::new())])
    }
}

/// Starts machines until one comes up. One that does not is seen now and then, most of all under a KVM that works by half: another
/// one is tried, without KVM.
fn up<M: Running, K: Copy + fmt::Display>(
    share: &Path,
    starts: [K; 3],
    say: &mut dyn FnMut(&str),
    interrupted: &dyn Fn() -> bool,
    start: impl Fn(K) -> Result<M, String>,
) -> Result<M, String> {
    for kind in starts {
        say(&format!("the virtual station boots ({kind})"));
        let mut machine = start(kind)?;
        let until = Instant::now() + BOOTED_WITHIN;
        while Instant::now() < until {
            let up = share.join("guest.log").exists();
            if up || interrupted() || machine.is_off()? {
                return Ok(machine);
            }
            std::thread::sleep(LOOK);
        }
        say(&format!("the virtual station has not come up within {BOOTED_WITHIN:?}"));
        machine.end();
    }
    Err(format!("the virtual station did not come up in {} starts", starts.len()))
}

/// The same on this machine itself, where [`obstacle`] names none.
///
/// # Errors
/// As [`Boot::find`]; the kernel's own virtual controllers may be there and not work.
pub fn start_on_host(task: &Task, share: &Path) -> Result<Machine, String> {
    let programs = require(Place::Host)?;
    lay(task, share, &programs, &[("ON_THIS_HOST", "yes".to_owned())])?;
    let unload = host::load()?;
    Machine::on_host(share, unload)
}

/// Something that was started and can be ended.
trait Running {
    /// Whether it is off.
    fn is_off(&mut self) -> Result<bool, String>;
    /// Ends it at once.
    fn end(&mut self);
}

impl Running for Machine {
    fn is_off(&mut self) -> Result<bool, String> {
        Ok(self.ended()?.is_some())
    }

    fn end(&mut self) {
        self.stop();
    }
}

/// The [`programs`], on a machine that has all that they need there.
fn require(place: Place) -> Result<(PathBuf, PathBuf), String> {
    let programs = programs()?;
    let missing = missing_packages(place);
    if missing.is_empty() {
        return Ok(programs);
    }
    Err(format!("the virtual station needs what is not installed; run `{}`", install(&missing)))
}

/// The command that installs packages.
#[must_use]
pub fn install(packages: &[&str]) -> String {
    format!("apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Lays out what the guest will find in `share`, with `more` in its environment.
fn lay(task: &Task, share: &Path, (bandrig, band): &(PathBuf, PathBuf), more: &[(&str, String)]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", share.display());
    fs::create_dir_all(share).map_err(failed)?;
    capture::clear(share);
    // Left by a kernel that was a process and was killed.
    let _ = fs::remove_dir_all(share.join(uml::NOTES));
    for old in ["status", "guest.log", "band.out", "events.jsonl", "task.out", "bandrig.log", "taps.pcapng"] {
        let _ = fs::remove_file(share.join(old));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let env = [
        ("NOW", now.to_string()),
        ("WORK", quoted(&task.work)),
        ("BANDRIG", quoted(bandrig)),
        ("BAND", if task.band { quoted(band) } else { String::new() }),
        ("BAND_LOG", if task.capture { "debug" } else { "info" }.to_owned()),
        ("CONTROLLERS", task.controllers.to_string()),
        ("CAPTURE", if task.capture { "yes" } else { "" }.to_owned()),
        ("PCSCD_FLAGS", pcscd_flags().to_owned()),
    ];
    let env: String = env.iter().chain(more).map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(share.join("env"), env).map_err(failed)?;
    fs::write(share.join("guest.sh"), include_str!("guest.sh")).map_err(failed)?;
    fs::write(share.join("task.sh"), &task.script).map_err(failed)?;
    Ok(())
}

/// How the guest's task ended, once the machine is off: its exit code, or why there was none.
///
/// # Errors
/// What went wrong before or beside the task, in words.
pub fn outcome(share: &Path) -> Result<u8, String> {
    let status = fs::read_to_string(share.join("status")).unwrap_or_default();
    match status.trim() {
        "" => Err(format!("the virtual station ended early; its console says last:\n{}", last_words(share))),
        words => words.parse().map_err(|_| format!("the virtual station: {words}")),
    }
}

/// The end of what the console says.
fn last_words(share: &Path) -> String {
    let console = fs::read_to_string(share.join(CONSOLE)).unwrap_or_default();
    let lines: Vec<&str> = console.lines().rev().take(5).collect();
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    tail.join("\n")
}

/// What pcscd needs to be told: a newer one would ask a polkit that is not there.
fn pcscd_flags() -> &'static str {
    const NO_POLKIT: &str = "--disable-polkit";
    let help = find_program("pcscd").and_then(|pcscd| Command::new(pcscd).arg("--help").output().ok());
    let knows =
        help.is_some_and(|help| [help.stdout, help.stderr].map(|said| contains(&said, NO_POLKIT)).contains(&true));
    if knows { NO_POLKIT } else { "" }
}

fn contains(said: &[u8], word: &str) -> bool {
    said.windows(word.len()).any(|part| part == word.as_bytes())
}

/// This folder for who makes a kernel in it.
fn alone(folder: &Path) -> Result<Held, String> {
    let busy =
        || format!("another bandrig is making the station's kernel in {}; try again once it has", folder.display());
    Held::take(folder)?.ok_or_else(busy)
}

/// A word for bash.
#[must_use]
pub fn quoted(word: impl AsRef<Path>) -> String {
    format!("'{}'", word.as_ref().display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell_stay_one_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn an_end_without_a_status_shows_the_console() {
        let share = tempfile::tempdir().unwrap();
        fs::write(share.path().join(CONSOLE), "one\nguest: failed to mount the results\n").unwrap();
        assert!(outcome(share.path()).unwrap_err().ends_with("guest: failed to mount the results"));
        fs::write(share.path().join("status"), "3\n").unwrap();
        assert_eq!(outcome(share.path()), Ok(3));
        fs::write(share.path().join("status"), "no band within a minute\n").unwrap();
        assert_eq!(outcome(share.path()), Err("the virtual station: no band within a minute".into()));
    }
}
