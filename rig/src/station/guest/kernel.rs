//! The guest's kernel: Debian's own, unpacked but never installed, and the first few megabytes it starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's name for the newest kernel. The `-cloud` one has no Bluetooth.
pub const PACKAGE: &str = "linux-image-amd64";
/// What the kernel needs to see this machine's files.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// Rises when the initramfs is made differently.
const MADE: &str = "1";

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel.
    pub image: PathBuf,
    /// What it starts from.
    pub initramfs: PathBuf,
    /// Its modules, for `modprobe` in the guest.
    pub modules: PathBuf,
}

/// Where the kernel is kept: in the target folder that this program was built in, else in the one of the working folder.
#[must_use]
pub fn cache() -> PathBuf {
    let own = std::env::current_exe().ok();
    let built_in = own.as_deref().and_then(|own| own.ancestors().find(|folder| folder.ends_with("target")));
    let target = match (std::env::var_os("CARGO_TARGET_DIR"), built_in) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(folder)) => folder.to_path_buf(),
        (None, None) => PathBuf::from("target"),
    };
    let cache = target.join("virtual-station");
    std::path::absolute(&cache).unwrap_or(cache)
}

/// The kernel in the cache; fetched and unpacked when it is not there yet.
///
/// # Errors
/// Which step failed, and what its program said.
pub fn prepare(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<Kernel, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the virtual station runs on x86_64 only".to_owned());
    }
    let kernel =
        Kernel { image: cache.join("vmlinuz"), initramfs: cache.join("initramfs.gz"), modules: cache.join("modules") };
    if fs::read_to_string(cache.join("made")).is_ok_and(|made| made.trim() == MADE) {
        return Ok(kernel);
    }
    let root = cache.join("root");
    if !root.join("boot").is_dir() {
        say(&format!("the virtual station fetches {PACKAGE}, about 70 MB, into {}", cache.display()));
        fetch(cache)?;
    }
    let version = only_folder(&root.join("lib/modules"))?;
    let modules = root.join("lib/modules").join(&version);
    run(program("depmod").arg("-b").arg(&root).arg(&version), "depmod")?;
    make_initramfs(cache, &root, &version)?;
    let image = root.join("boot").join(format!("vmlinuz-{version}"));
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    fs::copy(image, &kernel.image).map_err(failed)?;
    let _ = fs::remove_file(&kernel.modules);
    std::os::unix::fs::symlink(&modules, &kernel.modules).map_err(failed)?;
    fs::write(cache.join("made"), MADE).map_err(failed)?;
    Ok(kernel)
}

fn fetch(cache: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    let loaded = cache.join("fetched");
    let _ = fs::remove_dir_all(&loaded);
    fs::create_dir_all(&loaded).map_err(failed)?;
    let depends = run(Command::new("apt-cache").args(["depends", "--important", PACKAGE]), "apt-cache")?;
    let package = depends
        .lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-") && !name.contains("cloud"))
        .ok_or_else(|| format!("apt knows no {PACKAGE}; run `apt-get update`"))?
        .to_owned();
    run(Command::new("apt-get").args(["download", "-q", &package]).current_dir(&loaded), "apt-get download")?;
    let deb = fs::read_dir(&loaded)
        .map_err(failed)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .ok_or_else(|| format!("apt-get download left no package of {package}"))?;
    // Unpacked beside its place and moved there whole: an interrupted one is not taken for good.
    let half = cache.join("root.half");
    let _ = fs::remove_dir_all(&half);
    run(program("dpkg").arg("-x").arg(&deb).arg(&half), "dpkg -x")?;
    let _ = fs::remove_dir_all(cache.join("root"));
    fs::rename(&half, cache.join("root")).map_err(failed)?;
    fs::remove_dir_all(&loaded).map_err(failed)
}

fn make_initramfs(cache: &Path, root: &Path, version: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    let tree = cache.join("initramfs");
    let _ = fs::remove_dir_all(&tree);
    for folder in ["bin", "modules", "proc", "sys", "dev", "host", "layer", "new"] {
        fs::create_dir_all(tree.join(folder)).map_err(failed)?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    fs::copy(busybox.ok_or("there is no busybox; install busybox-static")?, tree.join("bin/busybox"))
        .map_err(failed)?;
    for (at, module) in modules_in_order(root, version)?.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        fs::copy(module, tree.join(format!("modules/{at:02}-{name}"))).map_err(failed)?;
    }
    fs::write(tree.join("init"), include_str!("init.sh")).map_err(failed)?;
    let pack = "chmod 755 init bin/busybox && find . | cpio -o -H newc --quiet | gzip -1 >../initramfs.gz";
    run(Command::new("sh").args(["-ec", pack]).current_dir(&tree), "cpio").map(|_| ())
}

/// The files to load, each after what it needs.
fn modules_in_order(root: &Path, version: &str) -> Result<Vec<PathBuf>, String> {
    let mut files: Vec<PathBuf> = vec![];
    for module in MODULES {
        let mut ask = program("modprobe");
        ask.arg("-d").arg(root).args(["-S", version, "--show-depends", module]);
        for line in run(&mut ask, "modprobe")?.lines() {
            let Some(file) = line.strip_prefix("insmod ") else { continue };
            let file = PathBuf::from(file.trim());
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn only_folder(folder: &Path) -> Result<String, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("failed to list {}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries.flatten().map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.pop().ok_or_else(|| format!("there are no modules in {}", folder.display()))
}

/// A program that may lie where only root's path leads.
fn program(name: &str) -> Command {
    let place = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|it| it.is_file());
    Command::new(place.unwrap_or_else(|| PathBuf::from(name)))
}

fn run(command: &mut Command, named: &str) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("failed to run {named}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{named} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
