//! A virtual station that stays up between commands: for people who want to look around.
//!
//! QEMU goes into the background by itself; what is known of it lies in one folder. A machine whose process is gone although nobody took
//! it down is *stale*: it is found by the folder it has left.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::kernel::{Kernel, cache};
use super::machine::{Accelerator, words_over};
use super::{Boot, LOOK, Running, Task, outcome};

/// How long the guest may take from its first word until everything is up.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long the guest may take to switch itself off before it is ended.
const OFF_WITHIN: Duration = Duration::from_secs(20);
/// How long a process that was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What the guest says on its serial line when a shell has ended.
pub const BYE: &[u8] = b"\x1b]bandrig;bye\x07";

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A machine that runs, and whether all is up in it.
    Up {
        /// Its process.
        pid: u32,
        /// Whether everything in it is up.
        ready: bool,
    },
    /// What a machine has left that ended by itself.
    Stale,
}

/// Where everything about it lies.
#[must_use]
pub fn folder() -> PathBuf {
    cache().join("up")
}

/// Looks for a machine in this folder.
#[must_use]
pub fn find(folder: &Path) -> Found {
    if !folder.exists() {
        return Found::Nothing;
    }
    match process(folder) {
        Some(pid) => Found::Up { pid, ready: folder.join("ready").exists() },
        None => Found::Stale,
    }
}

/// The process of the machine, if it lives: its number may be somebody else's by now.
fn process(folder: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(folder.join("qemu.pid")).ok()?.trim().parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let share = folder.canonicalize().ok()?.display().to_string().replace(',', ",,");
    let wanted = format!("path={share},");
    let names_it = command.split(|byte| *byte == 0).any(|word| String::from_utf8_lossy(word).contains(&wanted));
    names_it.then_some(pid)
}

/// Brings the station up and lets it stand; `folder` must be free. Nothing is left of one that does not come up but its logs.
///
/// # Errors
/// What is missing or went wrong, and what to do about it.
pub fn up(
    folder: &Path,
    work: PathBuf,
    say: &mut dyn FnMut(&str),
    interrupted: &dyn Fn() -> bool,
) -> Result<(), String> {
    let task =
        Task { script: include_str!("standing.sh").to_owned(), work, band: true, controllers: 2, capture: false };
    let boot = Boot::in_qemu(say)?;
    boot.lay(&task, folder)?;
    let start = |accelerator| Standing::start(&boot.kernel, folder, accelerator);
    let starts = boot.accelerator.unwrap_or(Accelerator::Tcg).starts();
    let mut machine = super::up(folder, starts, say, interrupted, start)?;
    let until = Instant::now() + READY_WITHIN;
    while !folder.join("ready").exists() {
        if interrupted() {
            return Err("interrupted".into());
        }
        if machine.is_off()? {
            return Err(outcome(folder).err().unwrap_or_else(|| "the virtual station has switched itself off".into()));
        }
        if Instant::now() >= until {
            return Err(format!("the virtual station is not ready within {READY_WITHIN:?}"));
        }
        std::thread::sleep(LOOK);
    }
    machine.released = true;
    Ok(())
}

/// Takes the station down and removes its folder.
///
/// # Errors
/// When its process cannot be ended or its folder cannot be removed.
pub fn down(folder: &Path) -> Result<(), String> {
    if process(folder).is_some() {
        // Asked first: the guest's programs end as they should.
        let _ = fs::create_dir_all(folder.join("ask")).and_then(|()| fs::write(folder.join("ask/off"), ""));
        if !gone(folder, OFF_WITHIN) {
            kill(folder)?;
        }
    }
    remove(folder)
}

/// Removes what a machine has left that is not there any more.
///
/// # Errors
/// When the folder cannot be removed.
pub fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("failed to remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The serial line of the shell inside.
///
/// # Errors
/// When the machine does not take the call.
pub fn line(folder: &Path) -> io::Result<UnixStream> {
    // The path of a socket may have some hundred bytes only, and the folder's may be longer.
    std::env::set_current_dir(folder)?;
    UnixStream::connect("shell.sock")
}

/// A script that runs inside.
#[derive(Debug)]
pub struct Asked {
    at: PathBuf,
    killed: bool,
}

impl Asked {
    /// Puts a script in for the guest to find; `name` is nobody else's.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn put(folder: &Path, name: &str, script: &str) -> io::Result<Self> {
        let asked = Self { at: folder.join("ask").join(name), killed: false };
        // One that was killed has left what the guest had still to read.
        asked.clear();
        let at = &asked.at;
        // Written aside and moved there whole.
        fs::write(at.with_extension("new"), script)?;
        fs::rename(at.with_extension("new"), at.with_extension("sh"))?;
        Ok(asked)
    }

    fn clear(&self) {
        for ending in ["sh", "run", "out", "pid", "status", "kill"] {
            let _ = fs::remove_file(self.at.with_extension(ending));
        }
    }

    /// Where what it says grows.
    #[must_use]
    pub fn out(&self) -> PathBuf {
        self.at.with_extension("out")
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        fs::read_to_string(self.at.with_extension("status")).ok()?.trim().parse().ok()
    }

    /// Has it ended inside.
    pub fn kill(mut self) {
        self.killed = true;
        // Where the folder is gone, so is the machine.
        let _ = fs::write(self.at.with_extension("kill"), "");
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.killed {
            self.clear();
        }
    }
}

/// A machine in the background; ended when it is dropped before it was released.
#[derive(Debug)]
struct Standing {
    folder: PathBuf,
    released: bool,
}

impl Standing {
    fn start(kernel: &Kernel, folder: &Path, accelerator: Accelerator) -> Result<Self, String> {
        let mut words = words_over(kernel, accelerator, folder)?;
        words.extend(
            ["-serial", "unix:shell.sock,server=on,wait=off", "-pidfile", "qemu.pid", "-daemonize"].map(str::to_owned),
        );
        for left in ["shell.sock", "qemu.pid"] {
            let _ = fs::remove_file(folder.join(left));
        }
        let log =
            fs::File::create(folder.join("qemu.log")).map_err(|error| format!("failed to write a log: {error}"))?;
        // It answers once the machine runs in the background.
        let [qemu, words @ ..] = words.as_slice() else { return Err("QEMU has no name".into()) };
        let started = Command::new(qemu)
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .status()
            .map_err(|error| format!("failed to start QEMU: {error}"))?;
        if started.success() {
            return Ok(Self { folder: folder.to_owned(), released: false });
        }
        let said = fs::read_to_string(folder.join("qemu.log")).unwrap_or_default();
        Err(format!("QEMU does not start: {}", said.trim_end()))
    }
}

impl Running for Standing {
    fn is_off(&mut self) -> Result<bool, String> {
        Ok(process(&self.folder).is_none())
    }

    fn end(&mut self) {
        // What is not gone then is found as a machine that is up.
        let _ = kill(&self.folder);
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if !self.released {
            self.end();
        }
    }
}

fn kill(folder: &Path) -> Result<(), String> {
    let Some(pid) = process(folder) else { return Ok(()) };
    // The shell's own `kill`: the program of that name is not on every machine.
    let killed = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).stderr(Stdio::null()).status();
    if gone(folder, GONE_WITHIN) {
        return Ok(());
    }
    Err(format!("the process {pid} of the virtual station does not end ({killed:?})"))
}

/// Whether the process ends in time.
fn gone(folder: &Path, within: Duration) -> bool {
    let until = Instant::now() + within;
    while process(folder).is_some() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_has_left_is_stale_whoever_has_its_number_now() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("up");
        assert_eq!(find(&folder), Found::Nothing);
        fs::create_dir(&folder).unwrap();
        assert_eq!(find(&folder), Found::Stale, "it died before it had a number");
        for number in [std::process::id().to_string(), "4294967295".to_owned(), "nonsense".to_owned()] {
            fs::write(folder.join("qemu.pid"), number).unwrap();
            assert_eq!(find(&folder), Found::Stale);
        }
        down(&folder).unwrap();
        assert_eq!(find(&folder), Found::Nothing, "nothing is left, and nobody else's process was ended");
        down(&folder).unwrap();
    }

    #[test]
    fn a_machine_is_known_by_its_folder_and_killed_when_it_does_not_go_off() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("up");
        fs::create_dir(&folder).unwrap();
        let share = format!("local,path={},mount_tag=results", folder.canonicalize().unwrap().display());
        // No machine, but it has the words of one.
        let mut machine = Command::new("sh");
        machine.args(["-c", "read word; true", "qemu", &share]).stdin(Stdio::piped());
        let mut child = machine.spawn().unwrap();
        let _held = child.stdin.take();
        fs::write(folder.join("qemu.pid"), child.id().to_string()).unwrap();
        let pid = child.id();
        // A process that has just begun has no words for a moment.
        let until = Instant::now() + GONE_WITHIN;
        while find(&folder) == Found::Stale && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(find(&folder), Found::Up { pid, ready: false });
        fs::write(folder.join("ready"), "").unwrap();
        assert_eq!(find(&folder), Found::Up { pid, ready: true });
        let reaper = std::thread::spawn(move || child.wait());
        kill(&folder).unwrap();
        assert!(!reaper.join().unwrap().unwrap().success());
        assert_eq!(find(&folder), Found::Stale);
    }

    #[test]
    fn a_script_is_put_in_whole_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ask")).unwrap();
        let asked = Asked::put(folder.path(), "7", "true\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("ask/7.sh")).unwrap(), "true\n");
        assert_eq!(asked.status(), None);
        fs::write(folder.path().join("ask/7.status"), "3\n").unwrap();
        assert_eq!(asked.status(), Some(3));
        drop(asked);
        assert_eq!(fs::read_dir(folder.path().join("ask")).unwrap().count(), 0);
        fs::write(folder.path().join("ask/7.status"), "3\n").unwrap();
        let asked = Asked::put(folder.path(), "7", "true\n").unwrap();
        assert_eq!(asked.status(), None, "that was another one's");
        asked.kill();
        assert!(folder.path().join("ask/7.kill").exists());
    }
}
