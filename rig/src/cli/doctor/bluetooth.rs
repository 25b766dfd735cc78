//! Bluetooth: BlueZ, its tools, the kernel and the adapters.

use std::fs;
use std::path::Path;

use super::{Finding, State};
use crate::station::guest::find_program;

/// Where distributions put the daemon, which is in nobody's path.
const DAEMONS: [&str; 3] =
    ["/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd", "/usr/sbin/bluetoothd"];
const ADAPTERS: &str = "/sys/class/bluetooth";
/// The driver of virtual controllers, as a device.
const VIRTUAL_CONTROLLERS: &str = "/dev/vhci";

/// All of it.
pub(super) fn look() -> Vec<Finding> {
    let daemon = daemon();
    let running = (daemon.state == State::Good).then(daemon_runs);
    let tools = ["bluetoothctl", "btmon"].map(|name| tool(name, "bluez"));
    let found = [daemon].into_iter().chain(running).chain(tools);
    found.chain([adapters(Path::new(ADAPTERS)), virtual_controllers()]).collect()
}

fn daemon() -> Finding {
    match DAEMONS.into_iter().find(|path| Path::new(path).is_file()) {
        Some(path) => Finding::good("bluetoothd", path),
        None => Finding::missing("bluetoothd", "not installed", "apt-get install bluez"),
    }
}

fn daemon_runs() -> Finding {
    let runs = fs::read_dir("/proc").into_iter().flatten().flatten().any(|process| {
        fs::read_to_string(process.path().join("comm")).is_ok_and(|name| name.trim_end() == "bluetoothd")
    });
    if runs {
        return Finding::good("running", "bluetoothd runs");
    }
    // The virtual station has its own.
    Finding::note("running", "bluetoothd does not run; for an adapter of this machine: systemctl start bluetooth")
}

fn tool(name: &str, package: &str) -> Finding {
    match find_program(name) {
        Some(path) => Finding::good(name, path.display().to_string()),
        None => Finding::missing(name, "not installed", format!("apt-get install {package}")),
    }
}

/// The kernel's list of adapters; connections stand in it too, as `hci0:42`.
fn adapters(folder: &Path) -> Finding {
    let Ok(entries) = fs::read_dir(folder) else {
        return Finding::note("adapters", "this kernel has no Bluetooth; the virtual station brings its own");
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.contains(':')).collect();
    names.sort();
    if names.is_empty() {
        return Finding::note("adapters", "none; plug one in, or use the virtual station");
    }
    Finding::good("adapters", names.join(", "))
}

/// Whether `btvirt` could make controllers here. The virtual station brings a kernel that can.
fn virtual_controllers() -> Finding {
    let what = "hci_vhci";
    if Path::new(VIRTUAL_CONTROLLERS).exists() {
        return Finding::good(
            what,
            format!("{VIRTUAL_CONTROLLERS} is there: btvirt makes virtual controllers on this machine"),
        );
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim_end()).join("modules.dep");
    if has_module(&fs::read_to_string(modules).unwrap_or_default()) {
        return Finding::note(
            what,
            "not loaded; `modprobe hci_vhci` lets btvirt make virtual controllers on this machine",
        );
    }
    Finding::note(what, "this kernel does not have it; the virtual station brings one that has")
}

/// Whether a list of modules, `path: what it needs` in each line, has the driver, however it is compressed.
fn has_module(list: &str) -> bool {
    let paths = list.lines().filter_map(|line| line.split(':').next());
    paths.filter_map(|path| path.rsplit('/').next()).any(|file| file.split('.').next() == Some("hci_vhci"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_however_it_is_compressed() {
        for ending in ["ko", "ko.xz", "ko.zst"] {
            assert!(has_module(&format!(
                "kernel/a/b.ko:\nkernel/drivers/bluetooth/hci_vhci.{ending}: kernel/net/bluetooth/bluetooth.ko\n"
            )));
        }
        assert!(
            !has_module("kernel/drivers/bluetooth/hci_uart.ko: kernel/x/hci_vhci.ko\n"),
            "only needed by another one"
        );
        assert!(!has_module(""));
    }

    #[test]
    fn adapters_are_listed_without_their_connections() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(adapters(folder.path()).state, State::Note);
        for name in ["hci1", "hci0", "hci0:64"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(adapters(folder.path()), Finding::good("adapters", "hci0, hci1"));
        assert!(adapters(&folder.path().join("none")).words.contains("no Bluetooth"));
    }
}
