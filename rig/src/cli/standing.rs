//! `bandrig station up|shell|down`: a virtual station to look around in.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::EXIT_STATION;
use crate::station::guest;
use crate::station::guest::standing::{self, Asked, BYE, Found};

pub(super) const EXAMPLES: &str = "\
Examples:
  bandrig station shell virtual                                    a shell inside; leave it with `exit` or Ctrl-]
  bandrig station shell virtual -- bluetoothctl --timeout 5 scan on
  bandrig station shell virtual < script.sh

Inside, hci0 is the phone's controller, hci1 the band's; $BAND_SOCKET is the band's control socket. The host's files are there,
and nothing that is changed in them stays.";

/// Between two looks for what is new.
const LOOK: Duration = Duration::from_millis(50);
/// Ctrl-].
const ESCAPE: u8 = 0x1D;

pub(super) fn up() -> u8 {
    let folder = standing::folder();
    match standing::find(&folder) {
        Found::Nothing => {}
        Found::Up { ready: true, .. } => {
            super::print(&usage(&folder, "is up already"));
            return 0;
        }
        Found::Up { pid, ready: false } => {
            return trouble(&format!(
                "the virtual station is just coming up, in process {pid}; `bandrig station down virtual` ends it"
            ));
        }
        Found::Stale => {
            super::complain(
                "a virtual station that was up has ended without being taken down; what it has left is removed",
            );
            if let Err(words) = standing::remove(&folder) {
                return trouble(&words);
            }
        }
    }
    super::interrupt::watch(&std::sync::Arc::default());
    let work = std::env::current_dir().unwrap_or_else(|_| "/".into());
    match standing::up(&folder, work, &mut super::complain, &super::interrupt::happened) {
        Ok(()) => {
            super::print(&usage(&folder, "is up"));
            0
        }
        Err(_) if super::interrupt::happened() => {
            super::complain("interrupted: the virtual station was switched off");
            130
        }
        Err(words) => trouble(&format!("{words}\nits logs are in {}", folder.display())),
    }
}

fn usage(folder: &Path, how: &str) -> String {
    format!(
        "the virtual station {how}: a band on hci1 and in the reader, hci0 for you
  bandrig station shell virtual                        a shell inside
  bandrig station shell virtual -- bluetoothctl show   one command
  bandrig station down virtual                         ends it
its logs are in {}
",
        folder.display()
    )
}

pub(super) fn down() -> u8 {
    let folder = standing::folder();
    let found = standing::find(&folder);
    if let Err(words) = standing::down(&folder) {
        return trouble(&words);
    }
    super::complain(match found {
        Found::Nothing => "the virtual station is not up",
        Found::Up { .. } => "the virtual station is down",
        Found::Stale => "the virtual station had ended by itself; what it had left is removed",
    });
    0
}

pub(super) fn shell(command: &[String]) -> u8 {
    let folder = standing::folder();
    match standing::find(&folder) {
        Found::Up { ready: true, .. } => {}
        Found::Up { ready: false, .. } => {
            return trouble("the virtual station is just coming up; try again in a moment");
        }
        Found::Nothing => return trouble("the virtual station is not up; `bandrig station up virtual` brings it up"),
        Found::Stale => {
            return trouble(&format!(
                "the virtual station that was up has ended by itself; its logs are in {}, and `bandrig station down virtual` removes them",
                folder.display()
            ));
        }
    }
    let done = if !command.is_empty() {
        let words: Vec<String> = command.iter().map(guest::quoted).collect();
        run(&folder, &words.join(" "))
    } else if std::io::stdin().is_terminal() {
        attend(&folder).map(|()| 0)
    } else {
        let mut script = String::new();
        let read = std::io::stdin().read_to_string(&mut script);
        read.map_err(|error| format!("failed to read the script: {error}")).and_then(|_| run(&folder, &script))
    };
    done.unwrap_or_else(|words| trouble(&words))
}

/// Runs a script inside, from the same folder, and says what it says.
fn run(folder: &Path, script: &str) -> Result<u8, String> {
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    // The guest has a /tmp of its own, so the folder may not be there.
    let script = format!("cd {} 2>/dev/null\n{script}\n", guest::quoted(&here));
    let failed = |error: std::io::Error| format!("failed to hand it to the virtual station: {error}");
    super::interrupt::watch(&std::sync::Arc::default());
    let asked = Asked::put(folder, &std::process::id().to_string(), &script).map_err(failed)?;
    let mut said: Option<File> = None;
    loop {
        // Looked at first: what was said before the end is then all there.
        let status = asked.status();
        if said.is_none() {
            said = File::open(asked.out()).ok();
        }
        if let Some(said) = &mut said {
            let mut bytes = vec![];
            said.read_to_end(&mut bytes).map_err(|error| format!("failed to read what was said: {error}"))?;
            let mut out = std::io::stdout().lock();
            // A closed pipe is the reader's choice, and the exit code still tells.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
        }
        if let Some(status) = status {
            return Ok(status);
        }
        if super::interrupt::happened() {
            asked.kill();
            return Ok(130);
        }
        if !matches!(standing::find(folder), Found::Up { .. }) {
            return Err("the virtual station has ended meanwhile".into());
        }
        std::thread::sleep(LOOK);
    }
}

/// This terminal as the guest's, until the shell ends or Ctrl-] is pressed.
fn attend(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to reach the shell in the virtual station: {error}");
    let line = standing::line(folder).map_err(failed)?;
    let _raw = Raw::start()?;
    let size = stty(&["size"]).unwrap_or_default();
    let mut to_guest = line.try_clone().map_err(failed)?;
    if let Some((rows, columns)) = size.trim().split_once(' ') {
        // The line knows nothing of the terminal's size. A new prompt comes with it.
        writeln!(to_guest, " stty rows {rows} cols {columns}; clear").map_err(failed)?;
    }
    std::thread::spawn(move || type_in(to_guest));
    show(line, std::io::stdout().lock()).map_err(failed)
}

/// Passes on what is typed, until Ctrl-].
fn type_in(mut to_guest: UnixStream) {
    let mut keys = [0; 1024];
    let mut stdin = std::io::stdin().lock();
    while let Ok(count) = stdin.read(&mut keys) {
        let typed = keys.get(..count).unwrap_or_default();
        let kept = typed.iter().position(|key| *key == ESCAPE).unwrap_or(typed.len());
        let sent = to_guest.write_all(typed.get(..kept).unwrap_or_default());
        if count == 0 || kept < typed.len() || sent.is_err() {
            break;
        }
    }
    // The other side of this connection sees its end.
    let _ = to_guest.shutdown(Shutdown::Both);
}

/// Shows what the shell says until it says goodbye.
fn show(mut from_guest: impl Read, mut out: impl Write) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    let mut tail: Vec<u8> = vec![];
    loop {
        let count = from_guest.read(&mut bytes)?;
        let new = bytes.get(..count).unwrap_or_default();
        out.write_all(new)?;
        out.flush()?;
        tail.extend(new);
        if count == 0 || tail.windows(BYE.len()).any(|window| window == BYE) {
            return writeln!(out, "\r");
        }
        // No more than what may be the beginning of a goodbye.
        tail.drain(..tail.len().saturating_sub(BYE.len()));
    }
}

/// The terminal as it was, once this is dropped; meanwhile every key goes to the guest.
#[derive(Debug)]
struct Raw {
    was: String,
}

impl Raw {
    fn start() -> Result<Self, String> {
        let was = stty(&["-g"]).ok_or("stty cannot read the settings of this terminal")?.trim().to_owned();
        let raw = Self { was };
        stty(&["raw", "-echo"]).ok_or("stty cannot set this terminal")?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = stty(&[&self.was]);
    }
}

fn stty(words: &[&str]) -> Option<String> {
    let output = Command::new("stty").args(words).stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn trouble(words: &str) -> u8 {
    super::complain(words);
    EXIT_STATION
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one at a time.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some(piece) = (!self.0.is_empty()).then(|| self.0.remove(0)) else {
                return Err(std::io::Error::other("read on after the goodbye"));
            };
            into[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_goodbye_is_heard_wherever_it_is_cut() {
        let said = [b"exit\r\n".as_slice(), BYE].concat();
        for cut in 1..said.len() {
            let (one, other) = said.split_at(cut);
            show(Pieces(vec![one.to_vec(), other.to_vec()]), vec![]).unwrap();
        }
        show(Pieces(said.iter().map(|byte| vec![*byte]).collect()), vec![]).unwrap();
        let mut shown = vec![];
        show(Pieces(vec![b"the line is cut".to_vec(), vec![]]), &mut shown).unwrap();
        assert_eq!(shown, b"the line is cut\r\n");
    }
}
