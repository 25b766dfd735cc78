//! Smart-card readers: pcscd, its virtual reader, and the cards.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Finding;
use crate::station::guest::find_program;

/// pcsc-lite's socket, unless the environment names another one.
const SOCKET: &str = "/run/pcscd/pcscd.comm";
const VIRTUAL_READER: &str = "/etc/reader.conf.d/vpcd";
/// vpcd's first slot.
const VIRTUAL_READER_PORT: u16 = 0x8C7B;
const START: &str = "systemctl start pcscd.socket, or as root without systemd: pcscd";

/// All of it.
pub(super) fn look() -> Vec<Finding> {
    let mut found = vec![daemon_installed()];
    let running = daemon_runs();
    let runs = running.state == super::State::Good;
    found.push(running);
    found.push(virtual_reader(runs));
    #[cfg(feature = "pcsc")]
    readers::look(&mut found);
    found
}

fn daemon_installed() -> Finding {
    let Some(program) = find_program("pcscd") else {
        return Finding::missing("pcscd", "not installed", "apt-get install pcscd");
    };
    // `pcsc-lite version 1.9.9.`, then its copyright.
    let version = Command::new(&program).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    let line = version.as_deref().and_then(|text| text.lines().next()).unwrap_or("of unknown version");
    Finding::good("pcscd", format!("{}: {}", program.display(), line.trim_end_matches('.')))
}

fn daemon_runs() -> Finding {
    let socket = std::env::var_os("PCSCLITE_CSOCK_NAME").map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
    let place = socket.display();
    match UnixStream::connect(&socket) {
        Ok(_) => Finding::good("running", format!("it listens on {place}")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::missing(
            "running",
            format!("you may not use {place}"),
            "run as root, or allow it with a polkit rule for org.debian.pcsc-lite.access_pcsc",
        ),
        Err(error) => Finding::missing("running", format!("nothing listens on {place} ({error})"), START),
    }
}

fn virtual_reader(daemon_runs: bool) -> Finding {
    let what = "virtual reader";
    if !Path::new(VIRTUAL_READER).exists() {
        return Finding::missing(
            what,
            "vpcd is not installed",
            "apt-get install vsmartcard-vpcd, then start pcscd again",
        );
    }
    match (listens(VIRTUAL_READER_PORT), daemon_runs) {
        (true, _) => {
            Finding::good(what, format!("vpcd listens on port {VIRTUAL_READER_PORT}, for everybody who reaches it"))
        }
        (false, true) => Finding::missing(what, "pcscd has not loaded it", "start pcscd again"),
        (false, false) => Finding::note(what, "vpcd is installed; it listens once pcscd runs"),
    }
}

/// Whether a TCP port has a listener. Not by connecting: that would put a card into the reader.
fn listens(port: u16) -> bool {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    tables.iter().any(|table| has_listener(&std::fs::read_to_string(table).unwrap_or_default(), port))
}

/// In a table of the kernel's form: `sl local_address rem_address st …`, where state 0A is a listener.
fn has_listener(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        local.ends_with(&port) && fields.nth(1) == Some("0A")
    })
}

#[cfg(feature = "pcsc")]
mod readers {
    use band_sim::wire::hex::Hex;

    use super::super::Finding;
    use crate::link::pcsc as smart_card;

    pub(super) fn look(found: &mut Vec<Finding>) {
        match smart_card::look_around() {
            Err(smart_card::PcscError::NotRunning) => {}
            Err(error) => found.push(Finding::missing("readers", error.to_string(), "see above")),
            Ok(seen) if seen.is_empty() => found.push(Finding::note(
                "readers",
                "none; plug one in, and see with `pcsc_scan -r` (pcsc-tools) whether its driver (libccid) knows it",
            )),
            Ok(seen) => found.extend(seen.iter().map(|reader| Finding::note("reader", words(reader)))),
        }
    }

    fn words(seen: &smart_card::Seen) -> String {
        let smart_card::Seen { reader, atr, mute, taken } = seen;
        let card = match atr {
            _ if *mute => "a card that does not answer".to_owned(),
            None => "no card".to_owned(),
            // PC/SC part 3, 3.1.3.2.3.
            Some(atr) => {
                let contactless = matches!(atr.as_slice(), [0x3B, t0, 0x80, 0x01, ..] if t0 & 0xF0 == 0x80);
                format!("a {} card, ATR {}", if contactless { "contactless" } else { "contact" }, Hex(atr.clone()))
            }
        };
        let taken = if *taken { "; another program has it to itself" } else { "" };
        format!("`{reader}`: {card}{taken}")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_reader_is_told_with_its_card() {
            let seen = smart_card::Seen {
                reader: "R 00".to_owned(),
                atr: Some(vec![0x3B, 0x80, 0x80, 0x01, 0x01]),
                mute: false,
                taken: true,
            };
            assert_eq!(
                words(&seen),
                "`R 00`: a contactless card, ATR 3B 80 80 01 01; another program has it to itself"
            );
            assert_eq!(words(&smart_card::Seen { atr: None, taken: false, ..seen }), "`R 00`: no card");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_seen_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 00000000:8C7B 00000000:0000 0A 00000000:00000000\n   1: 0100007F:1F90 00000000:0000 01 0:0";
        assert!(has_listener(table, 0x8C7B));
        assert!(!has_listener(table, 0x1F90), "that one is connected");
        assert!(!has_listener(table, 0x8C7C));
        assert!(!has_listener("", 1));
    }
}
