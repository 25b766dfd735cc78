//! The stand-alone `band` as a service manager has it: how it ends, with which exit code, and that its state file outlives it.
#![cfg(all(unix, feature = "vpcd"))]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use virtual_reader::{Reader, Slot};

mod virtual_reader;

/// For anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);
const SELECT: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x00];
/// Counts a transaction, which is a change of the memory.
const GET_PROCESSING_OPTIONS: &[u8] = &[0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00, 0x00];
const GET_TRANSACTION_COUNTER: &[u8] = &[0x80, 0xCA, 0x9F, 0x36, 0x00];

/// A folder for a state file, and for nothing else.
struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("band.json")
    }

    /// All that is in the folder, and what shows that something was written there.
    fn look(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.0.path()).expect("a folder").flatten();
        let seen = |file: &fs::DirEntry| file.metadata().map(|it| (it.len(), it.modified().ok())).ok();
        files.map(|file| format!("{:?}: {:?}", file.file_name(), seen(&file))).collect()
    }

    /// Waits until somebody writes there.
    fn wait_for_a_write(&self, before: &BTreeSet<String>) {
        let deadline = Instant::now() + PATIENCE;
        while self.look() == *before {
            assert!(Instant::now() < deadline, "nothing is written");
        }
    }
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_band"));
    command.args(options).args(["--fixtures", "fixtures"]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).stdin(Stdio::null());
    command
}

/// A band that runs, and the reader that it lies in.
struct Running {
    band: Child,
    reader: Reader,
    log: Receiver<String>,
}

impl Running {
    /// With this state file and a card in it.
    fn start(state: &State) -> Self {
        let slot = Slot::new();
        let path = state.path().display().to_string();
        let mut band = command(&["--cards", "mastercard-debit", "--state", &path])
            .args(slot.options())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the band starts");
        let log = slot.log_of(&mut band);
        let reader = slot.accept();
        let lines = BufReader::new(band.stdout.take().expect("a pipe")).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "ready"), "it does not say that it is ready");
        Self { band, reader, log }
    }

    /// The transaction counter of its card.
    fn counter(&mut self) -> u16 {
        assert!(self.reader.answer(SELECT).ends_with(&[0x90, 0x00]));
        let answer = self.reader.answer(GET_TRANSACTION_COUNTER);
        let [0x9F, 0x36, 0x02, high, low, 0x90, 0x00] = answer[..] else { panic!("{answer:02X?}") };
        u16::from_be_bytes([high, low])
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.band.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Its exit code, once it has ended by itself, and its log.
    fn end(mut self) -> (Option<i32>, String) {
        let log = self.log.recv_timeout(PATIENCE).expect("it ends");
        (self.band.wait().expect("it ends").code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.band.kill();
    }
}

#[test]
fn a_band_that_is_killed_while_it_saves_is_taken_up_whole() {
    let state = State::new();
    // What the counter may be: the last one that anybody was told, and the one that was on its way.
    let mut counted: RangeInclusive<u16> = 0..=0;
    for life in 1..=12 {
        let mut running = Running::start(&state);
        let counter = running.counter();
        assert!(counted.contains(&counter), "life {life}: {counter} is none of {counted:?}");
        assert!(running.reader.answer(GET_PROCESSING_OPTIONS).ends_with(&[0x90, 0x00]));
        counted = counter + 1..=counter + 2;
        assert_eq!(running.counter(), counter + 1);
        let before = state.look();
        running.reader.send(GET_PROCESSING_OPTIONS);
        state.wait_for_a_write(&before);
        running.band.kill().expect("it is there");
        running.end();
    }
    let running = Running::start(&state);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
    assert_eq!(state.look().len(), 1, "nothing is left over: {:?}", state.look());
}

/// How a band ends that is told to start like this.
fn ended(options: &[&str]) -> Output {
    command(options).output().expect("the band starts")
}

#[track_caller]
fn assert_ends(options: &[&str], code: i32, says: &str) {
    let output = ended(options);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {complained}");
    assert!(complained.contains(says), "{options:?}: {complained}");
}

#[test]
fn a_signal_stops_it_cleanly() {
    for signal in ["TERM", "INT"] {
        let state = State::new();
        let mut running = Running::start(&state);
        running.counter();
        running.signal(signal);
        let (code, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.trim_end().ends_with("stopped"), "{log}");
    }
}

#[test]
fn bad_usage_and_files_that_cannot_be_used_are_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("band.json").display().to_string();
    fs::write(&path, "{").expect("a file");
    let folder = folder.path().display().to_string();
    for (options, says) in [
        (&["--no-such-option"][..], "unexpected argument"),
        (&["--vpcd", "--seed", "many"], "invalid value 'many'"),
        (&["--vpcd", "--state", &path, "--control", "x"], "cannot be used with"),
        (&[], "say where the band should appear: --vpcd"),
        (&["--vpcd", "--profile", "missing.yaml"], "failed to read the profile missing.yaml"),
        (&["--vpcd", "--cards", "visa"], "no card `visa` among the fixtures"),
        (&["--vpcd", "--state", &path], "failed to use the state file"),
        (&["--vpcd", "--state", &folder], "failed to use the state file"),
    ] {
        assert_ends(options, 2, says);
    }
    #[cfg(feature = "bluez")]
    assert_ends(&["--ble", "hci99", "--key", "00"], 2, "a key is 32 hex digits");
}

#[test]
fn trouble_with_the_world_around_is_3() {
    assert_ends(&["--vpcd", "--state", "/no/such/folder/band.json"], 3, "failed to write the state file");
    assert_ends(&["--vpcd", "--control", "/no/such/folder/hands"], 3, "failed to listen on /no/such/folder/hands");
    // Without D-Bus it is the bus that is missing.
    #[cfg(feature = "bluez")]
    assert_ends(&["--ble", "hci99"], 3, "band: ");
}

#[test]
fn a_state_that_can_be_kept_no_more_ends_it_with_3() {
    let state = State::new();
    let mut running = Running::start(&state);
    running.counter();
    let before = fs::read(state.path()).expect("the state");
    // In the way of the new file.
    fs::create_dir(state.0.path().join(".band.json.new")).expect("a folder");
    running.reader.send(GET_PROCESSING_OPTIONS);
    let (code, log) = running.end();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("failed to write the state file"), "{log}");
    assert_eq!(fs::read(state.path()).expect("the state"), before);
}

#[test]
fn its_help_says_these_exit_codes() {
    let output = ended(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, codes) = help.split_once("Exit codes: ").expect("exit codes");
    let codes: Vec<_> = codes.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty()).collect();
    assert_eq!(codes, ["0", "2", "3"], "{help}");
}
