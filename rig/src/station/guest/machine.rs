//! QEMU, a kernel that is a process, or namespaces on this machine, and the care that they are gone when we are: after the task, after Ctrl-C, and after a crash.

use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::host;
use super::kernel::Kernel;
use super::uml;

/// How long a machine under KVM may take to come up and go off again. It takes a second where KVM works, and for ever where it
/// only seems to.
const PROBE_WITHIN: Duration = Duration::from_secs(8);
/// What tells `init.sh` that whether it comes up at all is all that is asked.
const PROBE: &str = "bandrig.probe";
const QEMU: &str = "qemu-system-x86_64";
/// The file that remembers under which start of this machine KVM did not work.
const KVM_HANGS: &str = "kvm-hangs";
/// Between two looks at a child.
const LOOK: Duration = Duration::from_millis(20);

/// A shell that starts a machine and ends it as soon as nobody holds the other end of its input any more: a process that is killed
/// closes what it held. Then it does what is to be done AFTERWARDS. A kernel that is a process has a process for each of its own, in a
/// group that it leads.
const GUARD: &str = r#"exec 3<&0
"$@" </dev/null &
machine=$!
(cat <&3 >/dev/null; kill -9 $machine; kill -9 -$machine) 2>/dev/null &
exec 3<&-
wait $machine
status=$?
$AFTERWARDS
exit $status"#;

/// What starts a program as the first one of its own namespaces: what it mounts is seen by nobody else, and when it ends, so does
/// whatever it has started.
const NAMESPACES: [&str; 6] = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"];

/// What makes the guest's instructions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The machine's own virtualisation.
    Kvm,
    /// QEMU's translation, everywhere and ten times slower.
    Tcg,
}

impl Accelerator {
    /// What to try in turn.
    pub(super) const fn starts(self) -> [Self; 3] {
        [self, Self::Tcg, Self::Tcg]
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "without KVM",
        })
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    guard: Child,
    /// While this is held the machine lives.
    hold: Option<ChildStdin>,
}

impl Machine {
    /// Boots the kernel over this machine's files, with `share` as the folder for both sides.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub fn start(kernel: &Kernel, share: &Path, accelerator: Accelerator) -> Result<Self, String> {
        let log = log(share, "qemu.log")?;
        Self::guarded(&words_over(kernel, accelerator, share)?, log, "")
    }

    /// Boots a kernel that is a process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_process(kernel: &Kernel, share: &Path) -> Result<Self, String> {
        Self::guarded(&uml::words(kernel, &absolute(share)?, ""), log(share, super::CONSOLE)?, "")
    }

    /// Whether a machine with these words comes up and goes off in time.
    fn comes_up(words: &[String], log: Stdio) -> bool {
        Self::guarded(words, log, "")
            .and_then(|mut machine| machine.wait(PROBE_WITHIN))
            .is_ok_and(|ended| ended.is_some_and(|status| status.success()))
    }

    /// Whether a kernel that is a process comes up and goes off again.
    ///
    /// # Errors
    /// What it said last, when it does not.
    pub(super) fn probe_process(kernel: &Kernel, share: &Path) -> Result<(), String> {
        let words = uml::words(kernel, &absolute(share)?, PROBE);
        if Self::comes_up(&words, log(share, super::CONSOLE)?) {
            return Ok(());
        }
        Err(super::last_words(share))
    }

    /// Starts the guest's script in namespaces on this machine; `unload`: the module of the virtual controllers goes when it ends.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn on_host(share: &Path, unload: bool) -> Result<Self, String> {
        let script = absolute(share)?.join("guest.sh");
        let words: Vec<String> = NAMESPACES
            .map(str::to_owned)
            .into_iter()
            .chain(["bash".to_owned(), script.display().to_string()])
            .collect();
        let log = log(share, super::CONSOLE)?;
        Self::guarded(&words, log, if unload { host::UNLOAD } else { "" })
    }

    fn guarded(words: &[String], log: Stdio, afterwards: &str) -> Result<Self, String> {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .args(words)
            .env("AFTERWARDS", afterwards)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is ours to act on.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("failed to start a shell: {error}"))?;
        let hold = guard.stdin.take();
        Ok(Self { guard, hold })
    }

    /// Whether it is off, and how it went.
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.guard.try_wait().map_err(|error| format!("failed to look after the machine: {error}"))
    }

    /// Waits until it is off, at most so long.
    ///
    /// # Errors
    /// As [`Machine::ended`].
    pub fn wait(&mut self, at_most: Duration) -> Result<Option<ExitStatus>, String> {
        let until = Instant::now() + at_most;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.hold = None;
        // The guard has nothing left to do once its machine is killed.
        let _ = self.guard.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn log(share: &Path, name: &str) -> Result<Stdio, String> {
    let log = fs::File::create(share.join(name)).map_err(|error| format!("failed to write a log: {error}"))?;
    Ok(Stdio::from(log))
}

fn absolute(share: &Path) -> Result<PathBuf, String> {
    share.canonicalize().map_err(|error| format!("failed to find {}: {error}", share.display()))
}

/// QEMU's words, its name the first: with this machine's files under it and `share` beside it.
pub(super) fn words_over(kernel: &Kernel, accelerator: Accelerator, share: &Path) -> Result<Vec<String>, String> {
    let mut words = words(kernel, accelerator);
    let share = absolute(share)?;
    let shared = |path: &str, tag: &str, more: &str| {
        format!("local,path={},mount_tag={tag},security_model=none,multidevs=remap{more}", path.replace(',', ",,"))
    };
    words.extend(["-virtfs".to_owned(), shared("/", "host", ",readonly=on")]);
    words.extend(["-virtfs".to_owned(), shared(&share.display().to_string(), "results", "")]);
    words.extend(["-serial".to_owned(), format!("file:{}", share.join(super::CONSOLE).display())]);
    words.extend(["-append".to_owned(), format!("console=ttyS0 {}", kernel_words(accelerator))]);
    Ok(words)
}

/// What the kernel is told. Nobody attacks it, and under TCG what it does against attacks of its own users takes a third of its time, and
/// what it does to be hard to attack another tenth. That it tests its own ciphers takes seconds, and a virtual controller that comes up
/// meanwhile does not answer in time.
const fn kernel_words(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "quiet panic=-1",
        Accelerator::Tcg => {
            "quiet panic=-1 mitigations=off nokaslr cryptomgr.notests init_on_alloc=0 hardened_usercopy=off \
             randomize_kstack_offset=off lsm=capability audit=0"
        }
    }
}

fn words(kernel: &Kernel, accelerator: Accelerator) -> Vec<String> {
    // Under TCG a processor with wider registers is a slower one, and so are two: what runs in the guest mostly waits for each other.
    let (accel, cpu, processors) = match accelerator {
        Accelerator::Kvm => ("kvm", "max", "2"),
        Accelerator::Tcg => ("tcg", "Westmere", "1"),
    };
    let image = kernel.unpacked.as_ref().filter(|_| accelerator == Accelerator::Tcg).unwrap_or(&kernel.image);
    [QEMU, "-machine", "q35", "-accel", accel, "-cpu", cpu, "-smp", processors, "-m", "1G"]
        .into_iter()
        .chain(["-display", "none", "-nodefaults", "-no-reboot"])
        .map(str::to_owned)
        .chain(["-kernel".to_owned(), image.display().to_string()])
        .chain(["-initrd".to_owned(), kernel.initramfs.display().to_string()])
        .collect()
}

/// KVM where a machine under it comes up and goes off in time; a `/dev/kvm` that opens and then hangs its guest is real, and is
/// remembered in the cache until this machine starts anew.
#[must_use]
pub fn accelerator(kernel: &Kernel, cache: &Path) -> Accelerator {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() || kvm_hangs(cache) {
        return Accelerator::Tcg;
    }
    let mut words = words(kernel, Accelerator::Kvm);
    words.extend(["-append".to_owned(), format!("{PROBE} {}", kernel_words(Accelerator::Kvm))]);
    if Machine::comes_up(&words, Stdio::null()) {
        return Accelerator::Kvm;
    }
    // Where it cannot be remembered it is tried again.
    let _ = fs::write(cache.join(KVM_HANGS), this_start());
    Accelerator::Tcg
}

/// Whether KVM was tried since this machine started, and no guest came up under it.
#[must_use]
pub fn kvm_hangs(cache: &Path) -> bool {
    let remembered = fs::read_to_string(cache.join(KVM_HANGS)).unwrap_or_default();
    !remembered.is_empty() && remembered == this_start()
}

/// The kernel's name for the time since this machine was started.
fn this_start() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is no machine but lives as long as one.
    fn sleeper() -> Machine {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard", "sleep", "600"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let hold = guard.stdin.take();
        Machine { guard, hold }
    }

    #[test]
    fn a_machine_ends_when_nobody_holds_it_any_more() {
        let mut machine = sleeper();
        assert_eq!(machine.wait(Duration::ZERO).unwrap(), None, "it lives while it is held");
        // What the kernel does to a process that is killed.
        machine.hold = None;
        assert!(machine.wait(Duration::from_secs(20)).unwrap().is_some());
    }

    #[test]
    fn the_processes_of_a_machine_that_leads_them_end_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", note.display());
        let words = ["setsid", "sh", "-c", &script].map(str::to_owned);
        let mut machine = Machine::guarded(&words, Stdio::null(), "").unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let words = || {
            let process = fs::read_to_string(&note).unwrap_or_default();
            // One that has ended and that nobody has asked after yet is still listed, without its words.
            fs::read(format!("/proc/{}/cmdline", process.trim())).unwrap_or_default()
        };
        while !words().starts_with(b"sleep") && Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(words().starts_with(b"sleep"));
        machine.hold = None;
        while !words().is_empty() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(words().is_empty());
    }

    #[test]
    fn a_kvm_that_hangs_is_remembered_until_this_machine_starts_anew() {
        let cache = tempfile::tempdir().unwrap();
        assert!(!kvm_hangs(cache.path()));
        fs::write(cache.path().join(KVM_HANGS), this_start()).unwrap();
        assert!(kvm_hangs(cache.path()));
        fs::write(cache.path().join(KVM_HANGS), "of another start").unwrap();
        assert!(!kvm_hangs(cache.path()));
    }

    #[test]
    fn a_machine_that_goes_off_by_itself_is_noticed() {
        let mut guard = Command::new("sh").args(["-c", GUARD, "guard", "true"]).stdin(Stdio::piped()).spawn().unwrap();
        let hold = guard.stdin.take();
        let mut machine = Machine { guard, hold };
        assert!(machine.wait(Duration::from_secs(20)).unwrap().is_some_and(|status| status.success()));
    }
}
