//! The guest's kernel: Debian's own, unpacked but never installed, and the first few megabytes it starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's name for the newest kernel. The `-cloud` one has no Bluetooth.
pub const PACKAGE: &str = "linux-image-amd64";
/// What the kernel needs to see this machine's files.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// What an XZ stream begins with.
const XZ: &[u8] = b"\xFD7zXZ\0";
/// Rises when the initramfs is made differently.
const MADE: &str = "3";
/// The file that says so.
const MADE_AS: &str = "made";
const UNPACKED: &str = "vmlinux";
/// What a kernel starts from.
pub(super) const INITRAMFS: &str = "initramfs.gz";

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel.
    pub image: PathBuf,
    /// The same unpacked, where it could be: for QEMU itself to load. Under TCG it unpacks itself for three seconds.
    pub unpacked: Option<PathBuf>,
    /// What it starts from.
    pub initramfs: PathBuf,
    /// Its modules, for `modprobe` in the guest; `None`: it needs none.
    pub modules: Option<PathBuf>,
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
    if let Some(kernel) = fetched(cache) {
        return Ok(kernel);
    }
    if !cfg!(target_arch = "x86_64") {
        return Err("the virtual station runs on x86_64 only".to_owned());
    }
    let _alone = super::alone(cache)?;
    // Somebody else may have just made it.
    if let Some(kernel) = fetched(cache) {
        return Ok(kernel);
    }
    let root = cache.join("root");
    if !root.join("boot").is_dir() {
        say(&format!("the virtual station fetches {PACKAGE}, about 70 MB, into {}", cache.display()));
        fetch(cache, PACKAGE, |name| name.starts_with("linux-image-") && !name.contains("cloud"))?;
    }
    let version = only_folder(&root.join("lib/modules"))?;
    let modules = root.join("lib/modules").join(&version);
    run(program("depmod").arg("-b").arg(&root).arg(&version), "depmod")?;
    make_initramfs(cache, &modules_in_order(&root, &version)?)?;
    let image = root.join("boot").join(format!("vmlinuz-{version}"));
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    fs::copy(&image, cache.join("vmlinuz")).map_err(failed)?;
    let unpacked = cache.join(UNPACKED);
    // One that stays packed boots as well.
    if unpack(&image, &unpacked).is_err() {
        let _ = fs::remove_file(&unpacked);
    }
    let link = cache.join("modules");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&modules, &link).map_err(failed)?;
    made(cache, MADE)?;
    fetched(cache).ok_or_else(|| format!("{} is not whole", cache.display()))
}

/// The kernel, if it has been fetched.
#[must_use]
pub fn fetched(cache: &Path) -> Option<Kernel> {
    is_made(cache, MADE).then(|| Kernel {
        image: cache.join("vmlinuz"),
        unpacked: Some(cache.join(UNPACKED)).filter(|kernel| kernel.is_file()),
        initramfs: cache.join(INITRAMFS),
        modules: Some(cache.join("modules")),
    })
}

/// Notes that what is in this folder is whole.
pub(super) fn made(cache: &Path, made: &str) -> Result<(), String> {
    fs::write(cache.join(MADE_AS), made).map_err(|error| format!("failed to write to {}: {error}", cache.display()))
}

/// Whether what is in this folder is whole, and made as it is made now.
pub(super) fn is_made(cache: &Path, made: &str) -> bool {
    fs::read_to_string(cache.join(MADE_AS)).is_ok_and(|found| found.trim() == made)
}

/// Writes the kernel out of its image, as far as it lies there in XZ, as Debian's does.
fn unpack(image: &Path, into: &Path) -> Result<(), String> {
    let read = fs::read(image).map_err(|error| format!("failed to read {}: {error}", image.display()))?;
    let payload = payload(&read).filter(|payload| payload.starts_with(XZ)).ok_or("it is not packed with XZ")?;
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", into.display());
    let packed = into.with_extension("xz");
    fs::write(&packed, payload).map_err(failed)?;
    let out = fs::File::create(into).map_err(failed)?;
    // Behind the stream stands how long it is unpacked.
    let unpacked = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(fs::File::open(&packed).map_err(failed)?)
        .stdout(out)
        .stderr(Stdio::null())
        .status();
    let _ = fs::remove_file(&packed);
    match unpacked {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("xz ended with {status}")),
        Err(error) => Err(format!("failed to run xz: {error}")),
    }
}

/// What a kernel's image holds packed (the Linux/x86 boot protocol, from version 2.08 on).
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| image.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let sectors = match *image.get(0x1F1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    if image.get(0x202..)?.get(..4)? != b"HdrS" || word(0x206)? & 0xFFFF < 0x0208 {
        return None;
    }
    let code = image.get((sectors + 1) * 512..)?;
    let (offset, length) = (usize::try_from(word(0x248)?).ok()?, usize::try_from(word(0x24C)?).ok()?);
    code.get(offset..)?.get(..length)
}

/// Fetches the package that `package` depends on, and unpacks it into `root` of this folder.
pub(super) fn fetch(cache: &Path, package: &str, is_it: fn(&str) -> bool) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    let loaded = cache.join("fetched");
    let _ = fs::remove_dir_all(&loaded);
    fs::create_dir_all(&loaded).map_err(failed)?;
    let depends = run(Command::new("apt-cache").args(["depends", "--important", package]), "apt-cache")?;
    let package = depends
        .lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .find(|name| is_it(name))
        .ok_or_else(|| format!("apt knows no {package}; run `apt-get update`"))?
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

/// Packs what a kernel starts from, with these modules to load in this order.
pub(super) fn make_initramfs(cache: &Path, modules: &[PathBuf]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write to {}: {error}", cache.display());
    let tree = cache.join("initramfs");
    let _ = fs::remove_dir_all(&tree);
    for folder in ["bin", "modules", "proc", "sys", "dev", "host", "layer", "new"] {
        fs::create_dir_all(tree.join(folder)).map_err(failed)?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    fs::copy(busybox.ok_or("there is no busybox; install busybox-static")?, tree.join("bin/busybox"))
        .map_err(failed)?;
    for (at, module) in modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        fs::copy(module, tree.join(format!("modules/{at:02}-{name}"))).map_err(failed)?;
    }
    fs::write(tree.join("init"), include_str!("init.sh")).map_err(failed)?;
    let pack = format!("chmod 755 init bin/busybox && find . | cpio -o -H newc --quiet | gzip -1 >../{INITRAMFS}");
    run(Command::new("sh").args(["-ec", &pack]).current_dir(&tree), "cpio").map(|_| ())
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

pub(super) fn only_folder(folder: &Path) -> Result<String, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("failed to list {}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries.flatten().map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.pop().ok_or_else(|| format!("there is nothing in {}", folder.display()))
}

/// A program that may lie where only root's path leads.
pub(super) fn program(name: &str) -> Command {
    let place = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|it| it.is_file());
    Command::new(place.unwrap_or_else(|| PathBuf::from(name)))
}

pub(super) fn run(command: &mut Command, named: &str) -> Result<String, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of two sectors of set-up with this payload, 16 bytes into its code.
    fn image(version: u16, payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 3 * 512 + 16];
        image[0x1F1] = 2;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&version.to_le_bytes());
        image[0x248..0x24C].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24C..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        image.extend(payload);
        image.extend([0xAA; 7]);
        image
    }

    #[test]
    fn the_payload_of_an_image_lies_where_its_header_says() {
        let whole = image(0x020F, b"packed");
        assert_eq!(payload(&whole), Some(&b"packed"[..]));
        assert_eq!(payload(&image(0x0207, b"packed")), None, "the header had no such words yet");
        for length in 0..whole.len() - 7 {
            assert_eq!(payload(&whole[..length]), None, "cut after {length} bytes");
        }
    }

    #[test]
    fn a_kernel_that_cannot_be_unpacked_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let (packed, unpacked) = (folder.path().join("vmlinuz"), folder.path().join("vmlinux"));
        assert!(unpack(&packed, &unpacked).unwrap_err().starts_with("failed to read"));
        fs::write(&packed, image(0x020F, b"\x1F\x8B gzip")).unwrap();
        assert_eq!(unpack(&packed, &unpacked).unwrap_err(), "it is not packed with XZ");
        fs::write(&packed, image(0x020F, b"\xFD7zXZ\0 torn")).unwrap();
        assert!(unpack(&packed, &unpacked).unwrap_err().contains("xz"));
    }
}
