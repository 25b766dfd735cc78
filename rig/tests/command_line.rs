//! The binary as a person meets it: exit codes, and what every kind of bad scenario file gets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A scenario that passes.
const RIGHT: &str = "\
scenario: a card is added
rules: [R10]
steps:
  - add_card: { card: mastercard-debit, as: debit }
  - check: { agree: true }
";

/// The same with steps of its own, and an outcome at their end.
fn with_steps(steps: &str) -> String {
    format!("scenario: a card is added\nsteps:\n{steps}\n  - card_list:\n    expect: {{ cards: [] }}\n")
}

fn bandrig(arguments: &[&str]) -> Output {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO_BIN_EXE_bandrig")).args(arguments).current_dir(top).output().expect("the binary starts")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder of scenarios with these files, and the fixtures of the workspace.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            fs::write(folder.path(name), text).expect("a file");
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, options: &[&str]) -> Output {
        let root = self.path("");
        let fixed = ["run", "--color", "never", "--fixtures", "fixtures"];
        bandrig(&[&fixed, options, &[root.trim_end_matches('/')]].concat())
    }
}

/// What is wrong with a file: its kind, its text, where it is found, and words of the answer.
type Mistake<'a> = (&'a str, Vec<u8>, &'a str, &'a [&'a str]);

fn mistakes() -> Vec<Mistake<'static>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let steps = |steps: &str| with_steps(steps).into_bytes();
    let mut bomb = String::from("scenario: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    vec![
        ("an unknown part", text("scenaro: a\nsteps: []\n"), "1:1", &["`scenaro`", "did you mean `scenario`?"]),
        (
            "an unknown step",
            steps("  - tapp: { amount: 4.20 EUR }"),
            "3:5",
            &["`tapp` is not a verb", "did you mean `tap`?", "add_card"],
        ),
        (
            "an unknown field",
            steps("  - add_card: { card: mastercard-debit, as: debit, color: red }"),
            "3:52",
            &["`color`", "fields: card, as"],
        ),
        (
            "a wrong type",
            steps("  - add_card: { card: [mastercard-debit], as: debit }"),
            "3:23",
            &["takes text, not a list"],
        ),
        ("a missing field", steps("  - add_card: { card: mastercard-debit }"), "3:5", &["`as` is missing"]),
        ("a missing part", text("scenario: a\n"), "1:1", &["`steps` is missing"]),
        ("a duplicate key", text("scenario: a\nscenario: b\nsteps: []\n"), "2:1", &["`scenario` is written twice"]),
        ("a tab", text("scenario: a\nsteps:\n\t- refresh\n"), "3:1", &["a tab indents this line", "spaces only"]),
        ("a length of time without a unit", steps("  - wait: 10"), "3:11", &["10", "`10s`"]),
        ("a bad unit", steps("  - wait: 10 fortnights"), "3:11", &["10 fortnights"]),
        ("an amount without a currency", steps("  - tap: 4.20"), "3:10", &["EUR"]),
        (
            "an unknown card",
            steps("  - add_card: { card: mastercard-debt, as: debit }"),
            "3:23",
            &["`mastercard-debt`", "did you mean `mastercard-debit`?"],
        ),
        (
            "an unknown profile",
            text(&format!("given: {{ band: mi-band }}\n{RIGHT}")),
            "1:16",
            &["`mi-band`", "mi-smart-band-4-nfc"],
        ),
        ("an unknown account", steps("  - sign_in: zoe"), "3:14", &["`zoe`", "alice"]),
        (
            "an unknown terminal",
            steps("  - tap: { amount: 4.20 EUR, terminal: corner-shoop }"),
            "3:40",
            &["did you mean `corner-shop`?"],
        ),
        ("an unknown rule", text(&RIGHT.replace("R10", "R99")), "2:9", &["`R99`"]),
        ("an unknown variable", steps("  - wait: ${patience}"), "3:11", &["`patience`"]),
        ("an unclosed quote", text("scenario: 'never closed\nsteps: []\n"), "1:11", &["this quote is never closed"]),
        ("an unclosed bracket", text("scenario: a\nsteps: [refresh\n"), "2:8", &["this bracket is never closed"]),
        ("an empty file", vec![], "1:1", &["this file is empty"]),
        ("a comment alone", text("# nothing\n"), "1:1", &["this file is empty"]),
        ("a list", text("- refresh\n"), "1:1", &["a scenario is a map, not a list"]),
        (
            "a second document",
            text("scenario: a\nsteps: []\n---\nscenario: b\n"),
            "4:1",
            &["a file holds one scenario"],
        ),
        ("not UTF-8", b"scenario: caf\xE9\nsteps: []\n".to_vec(), "1:14", &["byte E9", "save the file as UTF-8"]),
        ("an alias bomb", bomb.into_bytes(), "6:20", &["beyond all measure"]),
        ("an alias without an anchor", text("scenario: a\nsteps: *nowhere\n"), "2:8", &["this alias has no anchor"]),
        ("brackets without end", format!("scenario: {}\n", "[".repeat(100_000)).into_bytes(), "1:", &["error: "]),
        ("a tag of another language", text("scenario: !secret a\nsteps: []\n"), "1:19", &["`!include`"]),
        ("an include outside the root", steps("  - !include ../../../etc/passwd"), "3:", &["leaves the scenario root"]),
        ("a file that proves nothing", text("scenario: a\nsteps:\n  - refresh\n"), "1:", &["error: "]),
    ]
}

/// What bad input gets: its place, a caret, what to do, exit code 2, and no case is run, not even a right one beside it.
#[test]
fn every_kind_of_mistake_gets_its_place_a_caret_and_exit_code_2() {
    let mut problems = vec![];
    for (kind, text, place, words) in mistakes() {
        let folder = Folder::with(&[("bad.yaml", &text), ("right.yaml", RIGHT.as_bytes())]);
        let output = folder.run(&[]);
        let errors = errors(&output);
        let mut must = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{kind}: {what}:\n{errors}"));
            }
        };
        must(code(&output) == Some(2), "the exit code is 2");
        must(errors.contains(&format!("bad.yaml:{place}")), &format!("the place is {place}"));
        must(errors.lines().any(|line| line.starts_with(" ") && line.contains("| ") && line.contains('^')), "a caret");
        words.iter().for_each(|word| must(errors.contains(word), word));
        must(output.stdout.is_empty(), "no case is run");
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_file_of_100_mb_is_refused_unread() {
    let folder = Folder::with(&[("right.yaml", RIGHT.as_bytes())]);
    fs::File::create(folder.path("huge.yaml")).and_then(|file| file.set_len(100_000_000)).expect("a sparse file");
    let output = folder.run(&[]);
    assert_eq!(code(&output), Some(2));
    let errors = errors(&output);
    assert!(
        errors.contains("huge.yaml:1:1: error: this file has 100000000 bytes; more than 1 MiB is not read"),
        "{errors}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn check_tells_all_mistakes_of_all_files_and_runs_nothing() {
    let two = with_steps("  - wait: 10\n  - tapp: 4.20 EUR");
    let folder = Folder::with(&[("a.yaml", two.as_bytes()), ("b.yaml", b""), ("c.yaml", RIGHT.as_bytes())]);
    let root = folder.path("");
    let output = bandrig(&["check", "--color", "never", "--fixtures", "fixtures", &root]);
    let errors = errors(&output);
    assert_eq!(code(&output), Some(2));
    for place in ["a.yaml:3:11", "a.yaml:4:5", "b.yaml:1:1", "3 mistakes in 2 files"] {
        assert!(errors.contains(place), "{place}:\n{errors}");
    }
}

#[test]
fn the_exit_code_says_what_became_of_the_run() {
    let folder = Folder::with(&[("right.yaml", RIGHT.as_bytes())]);
    assert_eq!(code(&folder.run(&[])), Some(0), "all passed");
    assert_eq!(code(&folder.run(&["--filter", "no such words"])), Some(4), "nothing was run");
    assert_eq!(code(&folder.run(&["--tag", "(("])), Some(2), "bad usage");
    assert_eq!(code(&folder.run(&["--no-such-option"])), Some(2), "bad usage");
    assert_eq!(code(&bandrig(&["run", "no/such/folder"])), Some(2), "bad usage");
    let refused = RIGHT.replace("as: debit }", "as: debit }\n    expect: { refused: card_limit }");
    let folder = Folder::with(&[("refused.yaml", refused.as_bytes())]);
    let output = folder.run(&[]);
    assert_eq!(code(&output), Some(1), "a case failed");
    let said = said(&output);
    for words in ["refused.yaml:5", "card_limit", "R10", "^", "--seed 0"] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
}

/// An add under every loss of the link.
const SWEPT: &str = "\
scenario: a card is added whatever happens
rules: [R10]
sweep: { fault: disconnect, at: every to_band, during: adding }
steps:
  - add_card: { card: mastercard-debit, as: debit }
    id: adding
  - refresh
  - check: { agree: true }
";

/// Only what fails is written down, by running it once more: that must be the same failure, told with the same exchanges.
#[test]
fn a_failure_is_told_alike_whoever_reads_the_events() {
    let refused = RIGHT.replace("as: debit }", "as: debit }\n    expect: { refused: card_limit }");
    let swept = format!("{SWEPT}  - check: {{ applets: 1 }}\n");
    for (text, words) in
        [(&refused, &["card_limit", "last exchanges"][..]), (&swept, &["disconnection at packet", "last exchanges"])]
    {
        let folder = Folder::with(&[("a.yaml", text.as_bytes())]);
        let told = |options: &[&str]| {
            let output = folder.run(options);
            assert_eq!(code(&output), Some(1), "{}", errors(&output));
            said(&output).lines().filter(|line| !line.contains("times real time")).collect::<Vec<_>>().join("\n")
        };
        let alone = told(&[]);
        assert_eq!(alone, told(&["--events", &folder.path("events.jsonl")]));
        for words in words {
            assert!(alone.contains(words), "{words}:\n{alone}");
        }
    }
}

/// The reports of a payment that is not as expected: on the terminal, in JUnit, in the trace of the case, and its events.
struct Reports {
    told: Vec<(&'static str, String)>,
    events: Vec<serde_json::Value>,
}

impl Reports {
    /// `tap` is the step without its expectation.
    fn of_failed(tap: &str) -> Self {
        let text = format!(
            "scenario: a payment\ngiven: {{ cards: [{{ card: mastercard-debit, as: debit }}] }}\nsteps:\n  - {tap}\n    \
             expect: {{ outcome: present_again }}\n"
        );
        let folder = Folder::with(&[("a.yaml", text.as_bytes())]);
        let output = folder.run(&["--out", &folder.path("out")]);
        assert_eq!(code(&output), Some(1), "{}{}", said(&output), errors(&output));
        let read = |name: &str| fs::read_to_string(folder.path(name)).expect(name);
        let events = read("out/events.jsonl");
        let events = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let junit = read("out/junit.xml").replace("&gt;", ">").replace("&lt;", "<");
        let trace = read("out/failed/0000-a.txt");
        let (_, trace) = trace.split_once("all that happened").expect("a trace");
        let told = vec![("text", said(&output)), ("JUnit", junit), ("trace", trace.to_owned())];
        Self { told, events }
    }

    /// Commands and answers in the field, in spaced hex.
    fn exchanges(&self) -> Vec<[String; 2]> {
        let in_field = self.events.iter().filter(|event| event["via"] == "contactless");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        in_field.map(|event| [text(&event["command"]), text(&event["response"])]).collect()
    }
}

/// However late it fails: nine exchanges are a whole payment, and of the one that is cut off the command is told.
#[test]
fn the_report_of_a_failed_payment_holds_all_its_apdus() {
    let whole = "tap: { amount: 4.20 EUR, terminal: corner-shop }";
    let cut = |byte: u32| format!("{whole}\n    faults: [{{ field_loss: contactless_byte {byte} }}]");
    let at_the_bank =
        "tap: { amount: 400.00 RUB, terminal: no-cdcvm, man_in_the_middle: [{ at: generate_ac, flip: [9F26] }] }";
    for (tap, exchanges, last_answer) in [
        (whole, 9, "90 00"),
        (at_the_bank, 9, "90 00"),
        (&cut(1), 1, ""),
        (&cut(300), 5, "90 00"),
        (&cut(780), 8, ""),
        (&cut(880), 9, ""),
    ] {
        let reports = Reports::of_failed(tap);
        let apdus = reports.exchanges();
        assert_eq!(apdus.len(), exchanges, "{tap}: {apdus:#?}");
        let [_, answer] = &apdus[exchanges - 1];
        assert!(answer.ends_with(last_answer) && answer.is_empty() == last_answer.is_empty(), "{tap}: {answer}");
        for (form, text) in &reports.told {
            assert_eq!(text.matches("shop ↔ band").count(), exchanges, "{form} of {tap}:\n{text}");
            let bytes = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for [command, answer] in &apdus {
                assert!(bytes.contains(command) && bytes.contains(answer), "{form} of {tap} lacks {command}:\n{text}");
            }
        }
    }
}

#[test]
fn the_report_of_a_wrong_cryptogram_shows_what_both_sides_computed_it_over() {
    // Authorised amount to unpredictable number 29 bytes, interchange profile 2, then the counter.
    let counter = 31..33;
    for (bend, differs) in [("flip: [9F26]", vec![]), ("set: { 9F36: 00 63 }", vec![32])] {
        let reports = Reports::of_failed(&format!(
            "tap: {{ amount: 400.00 RUB, terminal: no-cdcvm, man_in_the_middle: [{{ at: generate_ac, {bend} }}] }}"
        ));
        for (form, text) in &reports.told {
            let [cards, banks] = ["card", "bank"].map(|who| {
                let (_, after) = text
                    .split_once(&format!("the {who} computed it over "))
                    .unwrap_or_else(|| panic!("{form}:\n{text}"));
                let bytes = after.lines().next().unwrap_or_default().split_whitespace();
                bytes.map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect::<Vec<_>>()
            });
            // M/Chip, version 20: the common fields and six bytes of results.
            assert_eq!((cards.len(), banks.len()), (39, 39), "{form}");
            assert_eq!(cards[..6], [0, 0, 0, 0x04, 0, 0], "{form}: the amount");
            assert_eq!((0..39).filter(|at| cards[*at] != banks[*at]).collect::<Vec<_>>(), differs, "{form}");
            assert_eq!(cards[counter.clone()], [0, 1], "{form}");
        }
    }
}

#[test]
fn a_trace_holds_the_exchanges_of_every_point_of_a_sweep() {
    let folder = Folder::with(&[("a.yaml", SWEPT.as_bytes())]);
    let counted = |options: &[&str]| {
        let path = folder.path("events.jsonl");
        let output = folder.run(&[&["--events", &path], options].concat());
        assert_eq!(code(&output), Some(0), "{}{}", said(&output), errors(&output));
        let events = fs::read_to_string(path).expect("the events");
        let count = |kind: &str| events.lines().filter(|line| line.contains(&format!("\"event\":\"{kind}\""))).count();
        (count("sweep_point"), count("apdu"))
    };
    let (points, apdus) = counted(&[]);
    assert!(points > 50 && apdus == 0, "{points} points, {apdus} APDUs");
    let (traced_points, traced) = counted(&["--trace"]);
    assert_eq!(traced_points, points);
    assert!(traced > 10 * points, "{traced} APDUs in {points} points");
}

/// A word of `--help` that does not work is a promise broken.
#[test]
fn the_help_names_nothing_that_is_not_there() {
    let help = said(&bandrig(&["--help"]));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .collect();
    assert!(commands.contains(&"run") && commands.contains(&"check"), "{help}");
    for command in commands.iter().filter(|command| **command != "help") {
        let output = bandrig(&[command, "--help"]);
        assert_eq!(code(&output), Some(0), "{command}");
    }
    for later in ["fuzz", "replay"] {
        assert!(!commands.contains(&later), "{later} is not there yet");
    }
    let run = said(&bandrig(&["run", "--help"]));
    for later in ["--html", "--watch"] {
        assert!(!run.contains(later), "{later} is not there yet");
    }
}

#[test]
fn a_man_in_the_middle_without_an_occasion_breaks_the_case() {
    let steps = "  - tap: { amount: 4.20 EUR, man_in_the_middle: [{ at: gpo, flip: [9F6C] }] }";
    let text = format!(
        "scenario: a card pays\ngiven: {{ cards: [{{ card: mastercard-debit, as: debit }}] }}\nsteps:\n{steps}\n    expect: {{ outcome: approved }}\n"
    );
    let output = Folder::with(&[("a.yaml", text.as_bytes())]).run(&[]);
    assert!(said(&output).contains("the man in the middle found nothing to change"), "{}", said(&output));
    assert_ne!(code(&output), Some(0));
}
