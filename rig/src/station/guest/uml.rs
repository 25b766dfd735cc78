//! A kernel that is a process of this machine: User-mode Linux. What runs in it runs on this machine's own processor, only its system
//! calls go through another process; where there is no KVM that is several times faster than QEMU. Debian's own has no Bluetooth, so it
//! is built here, once, from Debian's source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kernel::{self, INITRAMFS, Kernel, fetch, is_made, make_initramfs, only_folder, program, run};
use super::machine::Machine;

/// Debian's name for the source of its kernel.
const SOURCE: &str = "linux-source";
/// What it is built with.
const CONFIG: &str = include_str!("uml.config");
/// Without these of [`CONFIG`] there is no station.
const NEEDED: [&str; 9] = [
    "BT_HCIVHCI",
    "BT_LE",
    "CRYPTO_USER_API_HASH",
    "CRYPTO_USER_API_SKCIPHER",
    "HOSTFS",
    "INET",
    "MAGIC_SYSRQ",
    "OVERLAY_FS",
    "UNIX",
];
/// Parts of the source, a gigabyte, whose code no such kernel has.
const LEFT_OUT: [&str; 8] = [
    "drivers/gpu",
    "drivers/media",
    "drivers/net/ethernet",
    "drivers/net/wireless",
    "drivers/staging",
    "sound",
    "Documentation",
    "tools",
];
/// Rises when it is built differently.
const MADE: &str = "1";
/// The folder in the share in which it notes its process while it runs.
pub(super) const NOTES: &str = "uml";
/// How much memory a machine has, in mebibytes.
const MEMORY: u64 = 512;
/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Programs that build it, and their packages.
const BUILDERS: [(&str, &str); 7] = [
    ("make", "make"),
    ("gcc", "gcc"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("xz", "xz-utils"),
    ("gzip", "gzip"),
];
/// What they need beside, and its package.
const HEADERS: (&str, &str) = ("/usr/include/stdio.h", "libc6-dev");

/// The folder for it in the cache.
fn folder(cache: &Path) -> PathBuf {
    cache.join("uml")
}

/// The kernel, if it has been built.
#[must_use]
pub fn built(cache: &Path) -> Option<Kernel> {
    let folder = folder(cache);
    is_made(&folder, MADE).then(|| Kernel {
        image: folder.join("linux"),
        unpacked: None,
        initramfs: folder.join(INITRAMFS),
        modules: None,
    })
}

/// Packages that are missing to build it.
#[must_use]
pub fn missing_builders() -> Vec<&'static str> {
    let missing = BUILDERS.iter().filter(|(name, _)| super::find_program(name).is_none());
    let headers = (!Path::new(HEADERS.0).exists()).then_some(HEADERS.1);
    missing.map(|(_, package)| *package).chain(headers).collect()
}

/// The kernel in the cache; built when it is not there yet.
///
/// # Errors
/// What is missing to build it; which step failed, and what its program said.
pub fn prepare(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<Kernel, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the virtual station runs on x86_64 only".to_owned());
    }
    if let Some(kernel) = built(cache) {
        return Ok(kernel);
    }
    let missing = missing_builders();
    if !missing.is_empty() {
        let install = super::install(&missing);
        return Err(format!("what builds the kernel of User-mode Linux is not installed; run `{install}`"));
    }
    let folder = folder(cache);
    let _alone = super::alone(&folder)?;
    // Somebody else may have just built it.
    if let Some(kernel) = built(cache) {
        return Ok(kernel);
    }
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", folder.display());
    say(&format!(
        "the virtual station fetches {SOURCE}, about 140 MB, and builds a kernel of it in {}: minutes, once",
        folder.display()
    ));
    fetch(&folder, SOURCE, |name| name.starts_with("linux-source-"))?;
    build(&folder)?;
    make_initramfs(&folder, &[])?;
    for done in ["root", "source"] {
        fs::remove_dir_all(folder.join(done)).map_err(failed)?;
    }
    kernel::made(&folder, MADE)?;
    built(cache).ok_or_else(|| format!("{} is not whole", folder.display()))
}

/// Builds `linux` from what was fetched.
fn build(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", folder.display());
    let source = folder.join("source");
    let _ = fs::remove_dir_all(&source);
    fs::create_dir_all(&source).map_err(failed)?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(archive(&folder.join("root/usr/src"))?).arg("-C").arg(&source);
    // What says which configurations there are stays.
    unpack.args(LEFT_OUT.map(|part| format!("--exclude=*/{part}/*.[ch]")));
    run(&mut unpack, "tar")?;
    let source = source.join(only_folder(&source)?);
    make(&source, &["tinyconfig"])?;
    let tiny = fs::read_to_string(source.join(".config")).map_err(failed)?;
    fs::write(source.join(".config"), format!("{tiny}{CONFIG}")).map_err(failed)?;
    make(&source, &["olddefconfig"])?;
    let configured = fs::read_to_string(source.join(".config")).map_err(failed)?;
    if let Some(symbol) = unset(&configured) {
        return Err(format!("the kernel of {SOURCE} cannot be built with CONFIG_{symbol}"));
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    make(&source, &[&format!("-j{processors}"), "linux"])?;
    fs::copy(source.join("linux"), folder.join("linux")).map_err(failed)?;
    Ok(())
}

/// The first of [`NEEDED`] that this configuration lacks.
fn unset(configured: &str) -> Option<&'static str> {
    NEEDED.into_iter().find(|symbol| !configured.lines().any(|line| line == format!("CONFIG_{symbol}=y")))
}

/// The archive of the source.
fn archive(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("failed to list {}: {error}", folder.display()))?;
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tar."));
    entries.flatten().map(|entry| entry.path()).find(is_it).ok_or_else(|| format!("{SOURCE} has no archive of it"))
}

/// The kernel's own build, which hears nothing of a build around us.
fn make(source: &Path, goals: &[&str]) -> Result<String, String> {
    let mut make = program("make");
    make.arg("-C")
        .arg(source)
        .args(["-s", "ARCH=um", "KBUILD_BUILD_USER=bandrig", "KBUILD_BUILD_HOST=bandrig"])
        .args(goals);
    for name in [
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "CARGO_MAKEFLAGS",
        "SUBARCH",
        "CROSS_COMPILE",
        "KCFLAGS",
        "KBUILD_OUTPUT",
        "O",
    ] {
        make.env_remove(name);
    }
    run(&mut make, &format!("make {}", goals.join(" ")))
}

/// The words that start it: over this machine's files, with `share` beside them. What it says goes to its standard error.
pub(super) fn words(kernel: &Kernel, share: &Path, more: &str) -> Vec<String> {
    let memory = if has_room() { Path::new(IN_MEMORY) } else { share };
    let words = [
        "env".to_owned(),
        format!("TMPDIR={}", memory.display()),
        kernel.image.display().to_string(),
        format!("mem={MEMORY}M"),
        format!("initrd={}", kernel.initramfs.display()),
        // Else it takes the user's home.
        format!("uml_dir={}/", share.display()),
        format!("umid={NOTES}"),
    ];
    let console = ["con=null", "con0=null,fd:2", "console=tty0", "quiet", "panic=-1"].map(str::to_owned);
    let share = share.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let more = more.split_whitespace().map(str::to_owned);
    words.into_iter().chain(console).chain([format!("bandrig.share={share}")]).chain(more).collect()
}

/// Whether the memories of as many machines as there may be fit where files are in memory: in a container that is often little, and a
/// machine whose memory does not grow any more is killed.
fn has_room() -> bool {
    let said = run(Command::new("stat").args(["-f", "-c", "%a %S", IN_MEMORY]), "stat").unwrap_or_default();
    is_enough(&said)
}

/// Of free blocks and the size of each.
fn is_enough(said: &str) -> bool {
    let mut numbers = said.split_whitespace().map_while(|word| word.parse::<u64>().ok());
    let free = numbers.next().zip(numbers.next()).map_or(0, |(blocks, size)| blocks.saturating_mul(size));
    free >= (MEMORY << 20).saturating_mul(u64::try_from(super::MOST_MACHINES).unwrap_or(u64::MAX))
}

/// Whether one comes up here and goes off again; its console is left in the cache.
///
/// # Errors
/// What it said instead.
pub fn probe(kernel: &Kernel, cache: &Path) -> Result<(), String> {
    Machine::probe_process(kernel, &folder(cache))
        .map_err(|said| format!("User-mode Linux does not come up on this machine; it says last: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_any_name_reaches_the_kernel_as_one_word() {
        let kernel = Kernel { image: "linux".into(), unpacked: None, initramfs: "i".into(), modules: None };
        let words = words(&kernel, Path::new("/a b,c"), "bandrig.probe");
        assert!(words.contains(&"bandrig.share=2f6120622c63".to_owned()), "{words:?}");
        assert_eq!(words.last().map(String::as_str), Some("bandrig.probe"));
    }

    #[test]
    fn memory_lies_in_memory_where_there_is_room_for_all() {
        assert!(is_enough("6170914 4096\n"));
        assert!(!is_enough("16384 4096\n"), "64 MB, as in a container");
        assert!(!is_enough("") && !is_enough("many 4096"));
    }

    #[test]
    fn a_configuration_without_bluetooth_is_none() {
        let all = CONFIG.to_owned();
        assert_eq!(unset(&all), None, "all that is needed is asked for");
        assert_eq!(unset(&all.replace("CONFIG_BT_LE=y", "# CONFIG_BT_LE is not set")), Some("BT_LE"));
    }

    #[test]
    fn one_that_was_not_finished_is_not_there() {
        let cache = tempfile::tempdir().unwrap();
        assert!(built(cache.path()).is_none());
        let folder = folder(cache.path());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("linux"), "half").unwrap();
        assert!(built(cache.path()).is_none());
        kernel::made(&folder, "of another making").unwrap();
        assert!(built(cache.path()).is_none());
        kernel::made(&folder, MADE).unwrap();
        assert_eq!(built(cache.path()).map(|kernel| kernel.image), Some(folder.join("linux")));
    }
}
