//! Whether the station can run on this machine itself: its kernel has the virtual controllers, and nobody is here whom they would
//! disturb. Bluetooth knows no namespaces: a second bluetoothd would take every adapter there is.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// The module that makes virtual controllers.
const MODULE: &str = "hci_vhci";
/// What takes it away again.
pub(super) const UNLOAD: &str = "modprobe -r hci_vhci";
/// By which programs make them.
const DEVICE: &str = "/dev/vhci";
/// Who must not run beside the station's own.
const DAEMONS: [&str; 2] = ["bluetoothd", "pcscd"];
/// Where vpcd waits for its card.
const VPCD_PORT: u16 = 35963;

/// What keeps the station from running on this machine itself, the first thing found; nothing is changed by looking.
#[must_use]
pub fn obstacle() -> Option<String> {
    let processes = processes();
    let is_there = |program: &&&str| processes.iter().any(|name| name == **program);
    let adapter = fs::read_dir("/sys/class/bluetooth").ok().and_then(|mut found| found.next());
    if !is_root() {
        Some("it takes root".into())
    } else if super::find_program("unshare").is_none() {
        Some("there is no `unshare` (util-linux)".into())
    } else if let Some(daemon) = DAEMONS.iter().find(is_there) {
        Some(format!("{daemon} runs here already"))
    } else if let Some(Ok(adapter)) = adapter {
        Some(format!("its bluetoothd would take the adapter {}", adapter.file_name().display()))
    } else if TcpListener::bind(("0.0.0.0", VPCD_PORT)).is_err() {
        Some(format!("the port {VPCD_PORT} of the virtual reader is in use"))
    } else if !Path::new("/sys/module").join(MODULE).exists() && !modprobe(&["-n", "-q", MODULE]) {
        Some(format!("this machine's kernel has no virtual controllers ({MODULE})"))
    } else {
        None
    }
}

/// Has the kernel make virtual controllers; whether that was new to it.
///
/// # Errors
/// When it does not.
pub(super) fn load() -> Result<bool, String> {
    let is_new = !Path::new("/sys/module").join(MODULE).exists();
    if is_new && !modprobe(&["-q", MODULE]) {
        return Err(format!("failed to load {MODULE}"));
    }
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map_err(|error| format!("failed to open {DEVICE}: {error}"))?;
    Ok(is_new)
}

fn modprobe(words: &[&str]) -> bool {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut modprobe = Command::new("modprobe");
    modprobe.args(words).env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    modprobe.status().is_ok_and(|status| status.success())
}

/// Whether we act as root, as the kernel has it: real, effective, saved, and for files.
fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
}

/// The names of all processes.
fn processes() -> Vec<String> {
    let found = fs::read_dir("/proc").into_iter().flatten().flatten();
    found.filter_map(|entry| Some(fs::read_to_string(entry.path().join("comm")).ok()?.trim_end().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_or_a_user_that_is_not_root_is_an_obstacle_in_words() {
        // Where this test runs something always is, if only the port.
        let _taken = TcpListener::bind(("0.0.0.0", VPCD_PORT));
        let words = obstacle().unwrap();
        assert!(!words.is_empty() && !words.ends_with('.'), "{words}");
    }

    #[test]
    fn this_process_is_among_the_processes() {
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(processes().contains(&own.trim_end().to_owned()));
    }
}
