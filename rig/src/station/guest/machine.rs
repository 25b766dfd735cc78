//! QEMU, and the care that it is gone when we are: after the task, after Ctrl-C, and after a crash.

use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::kernel::Kernel;

/// How long a machine under KVM may take to come up and go off again. It takes a second where KVM works, and for ever where it
/// only seems to.
const PROBE_WITHIN: Duration = Duration::from_secs(8);
/// Between two looks at a child.
const LOOK: Duration = Duration::from_millis(20);

/// A shell that starts QEMU and ends it as soon as nobody holds the other end of its input any more: a process that is killed
/// closes what it held.
const GUARD: &str = r#"exec 3<&0
"$@" </dev/null &
machine=$!
(cat <&3 >/dev/null; kill -9 $machine 2>/dev/null) &
exec 3<&-
wait $machine"#;

/// What makes the guest's instructions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The machine's own virtualisation.
    Kvm,
    /// QEMU's translation, everywhere and ten times slower.
    Tcg,
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
        let words = words_over(kernel, accelerator, share)?;
        let log =
            fs::File::create(share.join("qemu.log")).map_err(|error| format!("failed to write a log: {error}"))?;
        Self::guarded(&words, Stdio::from(log))
    }

    fn guarded(words: &[String], log: Stdio) -> Result<Self, String> {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard", "qemu-system-x86_64"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is ours to act on.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("failed to start QEMU: {error}"))?;
        let hold = guard.stdin.take();
        Ok(Self { guard, hold })
    }

    /// Whether it is off, and how it went.
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.guard.try_wait().map_err(|error| format!("failed to look after QEMU: {error}"))
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

/// With this machine's files under it and `share` beside it.
pub(super) fn words_over(kernel: &Kernel, accelerator: Accelerator, share: &Path) -> Result<Vec<String>, String> {
    let mut words = words(kernel, accelerator);
    let share = share.canonicalize().map_err(|error| format!("failed to find {}: {error}", share.display()))?;
    let shared = |path: &str, tag: &str, more: &str| {
        format!("local,path={},mount_tag={tag},security_model=none,multidevs=remap{more}", path.replace(',', ",,"))
    };
    words.extend(["-virtfs".to_owned(), shared("/", "host", ",readonly=on")]);
    words.extend(["-virtfs".to_owned(), shared(&share.display().to_string(), "results", "")]);
    words.extend(["-serial".to_owned(), format!("file:{}", share.join("console.log").display())]);
    words.extend(["-append".to_owned(), "console=ttyS0 quiet panic=-1".to_owned()]);
    Ok(words)
}

fn words(kernel: &Kernel, accelerator: Accelerator) -> Vec<String> {
    let accel = match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg,thread=multi",
    };
    ["-machine", "q35", "-accel", accel, "-cpu", "max", "-smp", "2", "-m", "1G"]
        .into_iter()
        .chain(["-display", "none", "-nodefaults", "-no-reboot"])
        .map(str::to_owned)
        .chain(["-kernel".to_owned(), kernel.image.display().to_string()])
        .chain(["-initrd".to_owned(), kernel.initramfs.display().to_string()])
        .collect()
}

/// KVM where a machine under it comes up and goes off in time; a `/dev/kvm` that opens and then hangs its guest is real.
#[must_use]
pub fn accelerator(kernel: &Kernel) -> Accelerator {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return Accelerator::Tcg;
    }
    let mut words = words(kernel, Accelerator::Kvm);
    words.extend(["-append".to_owned(), "bandrig.probe quiet panic=-1".to_owned()]);
    let works = Machine::guarded(&words, Stdio::null())
        .and_then(|mut machine| machine.wait(PROBE_WITHIN))
        .is_ok_and(|ended| ended.is_some_and(|status| status.success()));
    if works { Accelerator::Kvm } else { Accelerator::Tcg }
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
    fn a_machine_that_goes_off_by_itself_is_noticed() {
        let mut guard = Command::new("sh").args(["-c", GUARD, "guard", "true"]).stdin(Stdio::piped()).spawn().unwrap();
        let hold = guard.stdin.take();
        let mut machine = Machine { guard, hold };
        assert!(machine.wait(Duration::from_secs(20)).unwrap().is_some_and(|status| status.success()));
    }
}
