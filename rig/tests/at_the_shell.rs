//! The binary at a shell: what it says of odd words, of fixtures that are wrong and of streams that are gone, and how it tells of a
//! failure. What bad scenario files get is in `command_line.rs`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A scenario that passes.
const RIGHT: &str = "scenario: a card is added\nsteps:\n  - add_card: { card: mastercard-debit, as: debit }\n  - check: { agree: true }\n";

/// As a person starts it by its own name: Cargo's variables are not there.
fn bandrig(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bandrig"));
    command.args(arguments).current_dir(top()).env_remove("CARGO_MANIFEST_DIR");
    command
}

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn output(arguments: &[&str]) -> Output {
    bandrig(arguments).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of its own, with files in it.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, options: &[&str]) -> Output {
        output(&[&["run", "--fixtures", "fixtures", "--color", "never"], options, &[&self.path("")]].concat())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// The fixtures once more, to be spoilt.
fn fixtures() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["profiles", "cards", "terminals", "warranty", "keys"] {
        copy(&top().join("fixtures").join(part), &folder.path().join(part));
    }
    fs::copy(top().join("fixtures/accounts.yaml"), folder.path().join("accounts.yaml")).expect("a copy");
    folder
}

#[test]
fn a_mistake_in_a_fixture_gets_its_place_a_caret_and_exit_code_2() {
    let folder = fixtures();
    let scenarios = Folder::with(&[("right.yaml", RIGHT)]);
    let check = || {
        let fixtures = folder.path().display().to_string();
        output(&["check", "--color", "never", "--fixtures", &fixtures, &scenarios.path("")])
    };
    assert_eq!(check().status.code(), Some(0), "{}", complained(&check()));
    // The file, what is written instead of what, the place, words of the answer.
    let rows: &[(&str, &str, &str, &str, &[&str])] = &[
        ("terminals/corner-shop.yaml", "country:", "cuntry:", "6:1", &["`cuntry`", "did you mean `country`?"]),
        (
            "terminals/corner-shop.yaml",
            "attended: true",
            "attended: perhaps",
            "9:11",
            &["^^^^^^^", "neither `true` nor `false`"],
        ),
        ("terminals/corner-shop.yaml", "currency: EUR", "", "", &["`currency` is missing"]),
        ("cards/visa-debit.yaml", "scheme: visa", "scheme: vista", "5:9", &["`vista`", "did you mean `visa`?"]),
        ("cards/visa-debit.yaml", "psn: 1", "psn: 1\npsn: 2", "8:1", &["`psn` is written twice"]),
        ("cards/visa-debit.yaml", "psn: 1", "\tpsn: 1", "7:1", &["a tab indents this line"]),
        ("cards/visa-debit.yaml", "name: visa-debit", "name: 'visa-debit", "4:7", &["this quote is never closed"]),
        ("accounts.yaml", "- name: bob", "- name: alice", "1:1", &["there are two accounts `alice`"]),
        ("accounts.yaml", "  kind: xiaomi", "  kind: nokia", "4:9", &["`nokia`"]),
        ("profiles/mi-smart-band-4-nfc.yaml", "identity:", "idendity:", "8:1", &["did you mean `identity`?"]),
        ("warranty/registry.yaml", "months: 24", "months: many", "27:13", &["^^^^", "not a whole number"]),
        ("keys/issuers.yaml", "scheme: mastercard", "scheme: masterchard", "5:13", &["`masterchard`"]),
        ("keys/authorities.yaml", "exponent: 3", "exponent: three", "3:51", &["^^^^^", "not a whole number"]),
        ("keys/pairing.pem", "BEGIN", "BEGUN", "1:1", &["no private key in PEM"]),
    ];
    for (file, from, to, place, words) in rows {
        let path = folder.path().join(file);
        let good = fs::read_to_string(&path).expect("a fixture");
        assert!(good.contains(from), "{file} has {from}");
        fs::write(&path, good.replacen(from, to, 1)).expect("a file");
        let output = check();
        let errors = complained(&output);
        assert_eq!(output.status.code(), Some(2), "{file}, {to}: {errors}");
        assert!(errors.contains(&format!("{file}:{place}")), "{file}, {to} at {place}: {errors}");
        for word in *words {
            assert!(errors.contains(word), "{file}, {to}: {word}: {errors}");
        }
        if !file.ends_with(".pem") && *place != "1:1" {
            assert!(errors.lines().any(|line| line.contains("| ") && line.contains('^')), "{file}: a caret: {errors}");
        }
        fs::write(&path, good).expect("a file");
    }
    assert_eq!(check().status.code(), Some(0), "all is put right again");
}

#[test]
fn mistakes_of_all_fixtures_are_told_at_once_also_of_those_that_are_not_read() {
    let folder = fixtures();
    let spoil = |file: &str, text: &[u8]| fs::write(folder.path().join(file), text).expect("a file");
    spoil("cards/visa-debit.yaml", b"");
    spoil("cards/visa-credit.yaml", b"name: caf\xE9\n");
    fs::File::create(folder.path().join("accounts.yaml")).and_then(|file| file.set_len(100_000_000)).expect("a file");
    fs::remove_file(folder.path().join("warranty/registry.yaml")).expect("it was there");
    let root = folder.path().display().to_string();
    let output = output(&["run", "--color", "never", "--fixtures", &root, "scenarios"]);
    let errors = complained(&output);
    assert_eq!(output.status.code(), Some(2));
    for words in [
        "cards/visa-debit.yaml:1:1: error: this file is empty",
        "cards/visa-credit.yaml:1:10: error: byte E9 at offset 9 is not UTF-8",
        "accounts.yaml:1:1: error: this file has 100000000 bytes; more than 1 MiB is not read",
        "warranty/registry.yaml:1:1: error: there is no such file or folder",
        "4 mistakes in 4 files",
    ] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert!(said(&output).is_empty(), "nothing is run");
}

#[test]
fn a_mistake_in_a_station_file_is_told_like_any_other() {
    let folder = Folder::with(&[("right.yaml", RIGHT), ("lab/bench.yaml", "band: moon\n")]);
    let station = folder.path("lab/bench.yaml");
    let run =
        |station: &str| output(&["run", "--station", station, "--fixtures", "fixtures", &folder.path("right.yaml")]);
    let wrong = run(&station);
    assert_eq!(wrong.status.code(), Some(2));
    let errors = complained(&wrong);
    assert!(errors.contains("bench.yaml:1:7: error: `moon`") && errors.contains("^^^^"), "{errors}");
    assert_eq!(run("no/such/station.yaml").status.code(), Some(2));
}

#[test]
fn words_that_do_not_fit_an_option_are_answered_with_what_would() {
    let folder = Folder::with(&[("right.yaml", RIGHT)]);
    for (options, words) in [
        (["--shard", "0/3"], "`0/3` is not a part such as `2/4`"),
        (["--shard", "4/3"], "`4/3` is not a part"),
        (["--shard", "1/0"], "`1/0` is not a part"),
        (["--jobs", "0"], "a whole number from 1 on"),
        (["--jobs", "two"], "a whole number from 1 on"),
        (["--seed", "0x10"], "a whole number from 0 to 18446744073709551615"),
        (["--seed", "18446744073709551616"], "a whole number from 0 to 18446744073709551615"),
        (["--tag", "R2 and"], "a tag or a rule is missing at the end"),
        (["--var", "name"], "write --var name=value"),
        (["--var", "nobody=1"], "no file has a variable `nobody`"),
        (["--junit", "/proc/no/junit.xml"], "failed to create the folder `/proc/no`"),
        (["--events", "scenarios"], "failed to create the file `scenarios`"),
        (["--out", "README.md"], "failed to create the folder `README.md`"),
    ] {
        let output = folder.run(&options);
        let errors = complained(&output);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {errors}");
        assert!(errors.contains(words), "{options:?}: {words}: {errors}");
        assert!(said(&output).is_empty(), "{options:?}: nothing is run");
    }
    let seed = u64::MAX.to_string();
    assert_eq!(folder.run(&["--seed", &seed, "--jobs", "100000", "--shard", "1/3"]).status.code(), Some(0));
}

#[test]
fn a_run_of_nothing_says_why() {
    let folder = Folder::with(&[("right.yaml", RIGHT)]);
    for (options, words) in [
        (&["--filter", "it's"][..], r"none of 1 case is selected by --filter 'it'\''s'"),
        (&["--tag", "R1", "--shard", "2/2"], "none of 1 case is selected by --tag R1 --shard 2/2"),
    ] {
        let output = folder.run(options);
        assert_eq!(output.status.code(), Some(4), "{options:?}");
        assert!(complained(&output).contains(words), "{options:?}: {}", complained(&output));
    }
    let empty = Folder::with(&[("notes.txt", "")]);
    assert_eq!(empty.run(&[]).status.code(), Some(4));
    assert!(complained(&empty.run(&[])).contains("there is no scenario in these paths"));
    let check = output(&["check", "--fixtures", "fixtures", &empty.path("")]);
    assert_eq!(check.status.code(), Some(4), "a check of nothing is no clean bill");
}

#[test]
fn endings_in_capitals_are_scenarios_too() {
    let folder = Folder::with(&[("a.YAML", RIGHT), ("b.yml", RIGHT)]);
    let output = folder.run(&[]);
    assert!(said(&output).contains("2 passed"), "{}", said(&output));
}

/// `| head -1` closes the pipe; a full disk is no different.
#[test]
fn streams_that_take_nothing_make_no_panic() {
    let folder = Folder::with(&[("right.yaml", RIGHT)]);
    let root = folder.path("");
    let commands: &[&[&str]] = &[
        &["run", "--fixtures", "fixtures", &root],
        &["check", "--fixtures", "fixtures", &root],
        &["list", "--fixtures", "fixtures", &root],
        &["list", "--json", "--fixtures", "fixtures", &root],
        &["schema"],
        &["decode", "6F 00"],
        &["warranty", "check", "--country", "DE", "--code", "20190611000000000041", "--purchased", "2019-07-01"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = bandrig(command).stdout(writer).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", complained(&output));
        assert!(!complained(&output).contains("panicked"), "{command:?}: {}", complained(&output));
    }
    // Standard error may be gone as well.
    for wrong in [&["run", "no/such/folder"][..], &["decode", "zz"], &["run", "--tag", "(("]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = bandrig(wrong).stderr(writer).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_breaks_off_is_trouble_of_the_world() {
    let folder = Folder::with(&[("right.yaml", RIGHT)]);
    for option in ["--junit", "--events"] {
        let output = folder.run(&[option, "/dev/full"]);
        assert_eq!(output.status.code(), Some(3), "{option}: {}", complained(&output));
        assert!(complained(&output).contains("failed to write to `/dev/full`"), "{}", complained(&output));
    }
}

#[test]
fn a_failure_is_told_in_words_with_all_that_differs() {
    let failing = "\
scenario: nothing is as expected
given: { cards: [{ card: mastercard-debit, as: debit }] }
steps:
  - apdu: { via: contactless, send: 00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00 }
    expect:
      data: 6F 14 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 A5 02 88 00
      tlv: { 87: 02 }
finally:
  - check: { applets: 3, linked: false }
";
    let folder = Folder::with(&[("failing.yaml", failing)]);
    let output = folder.run(&[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "failing.yaml:6:13",
        "data is not as expected",
        "data object by data object",
        "Application Priority Indicator",
        "not as expected either",
        "failing.yaml:7:18: tlv 87: expected 87 Application Priority Indicator = 02, got 87",
        "also, in finally",
        "shop ↔ band   SELECT 2PAY.SYS.DDF01 → 9000 ok",
        "phone ↔ cloud",
    ] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    // Only the file may write braces.
    let exchanges = said.split("last exchanges").nth(1).and_then(|rest| rest.split("also, in").next());
    let exchanges = exchanges.expect("the exchanges are told");
    assert!(!exchanges.contains(['{', '"']), "{exchanges}");
}

#[test]
fn the_command_of_a_failure_repeats_it_whatever_the_names() {
    let failing = "\
scenario: it is ${how}
matrix: { how: [\"wrong, isn't it\", right] }
vars: { price: 4.20 EUR }
steps:
  - tap: \"${price}\"
    expect: { outcome: approved }
";
    let folder = Folder::with(&[("two words/it's.yaml", failing), ("other.yaml", "not even a scenario")]);
    let path = folder.path("two words/it's.yaml");
    let run =
        ["run", "--color", "never", "--fixtures", "fixtures", "--var", "price=5.00 EUR", "--filter", "wrong", &path];
    let first = output(&run);
    assert_eq!(first.status.code(), Some(1), "{}", complained(&first));
    let text = said(&first);
    let command = text.split("repeat with").nth(1).and_then(|rest| rest.lines().nth(1)).expect("a command").trim();
    let again = Command::new("sh").args(["-c", command]).current_dir(top()).env_remove("CARGO_MANIFEST_DIR").output();
    let again = again.expect("a shell");
    assert_eq!(again.status.code(), Some(1), "{command}: {}", complained(&again));
    let block = |text: &str| text.split("\n\n   cases").next().unwrap_or_default().to_owned();
    assert_eq!(block(&said(&again)), block(&text), "{command}");
    assert!(complained(&again).contains("1 case, seed 0"), "{}", complained(&again));
}

#[test]
fn an_interrupt_ends_the_running_case_and_starts_no_other() {
    let long = RIGHT.replace("steps:", "repeat: 300\nsteps:");
    let folder = Folder::with(&[("a.yaml", RIGHT), ("b.yaml", &long), ("c.yaml", RIGHT)]);
    // An interrupt may come just between two cases; then the next is not started, and it is tried again.
    let ended_b = (0..20).any(|_| interrupted_after_the_first(&folder));
    assert!(ended_b, "a running case is brought to its end");
}

/// Interrupts a run of three cases when the first has passed. Whether the second had begun, and so was ended; never the third.
fn interrupted_after_the_first(folder: &Folder) -> bool {
    let mut child = bandrig(&["run", "--jobs", "1", "--fixtures", "fixtures", &folder.path("")])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("passed  a.yaml")), "the first case ends");
    let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().expect("a shell");
    assert!(killed.success());
    let rest: Vec<String> = lines.collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:#?}");
    assert!(!rest.iter().any(|line| line.contains("c.yaml")), "{rest:#?}");
    let ended_b = rest.iter().any(|line| line.contains("passed  b.yaml"));
    let passed = if ended_b { "2 passed" } else { "1 passed" };
    assert!(said(&output).contains(passed), "{}", said(&output));
    ended_b
}

#[test]
fn odd_words_to_decode_are_answered_or_explained() {
    let folder = Folder::with(&[("empty.hex", "\n"), ("answer.hex", "90 00\n")]);
    let (empty, answer) = (folder.path("empty.hex"), folder.path("answer.hex"));
    fs::write(folder.path("not.hex"), b"\xff\xfe").expect("a file");
    for (what, expected, words) in [
        ("", 2, "there is nothing to decode"),
        (empty.as_str(), 2, "there is nothing to decode"),
        (answer.as_str(), 0, "9000 ok"),
        (folder.path("not.hex").as_str(), 2, "not.hex"),
        ("no/such.hex", 2, "`no/such.hex` is neither a file nor hex"),
        ("0", 2, "has no partner"),
        ("00 A4", 0, "neither TLV nor APDU"),
        ("6F 7F FF", 0, "the bytes end too early at offset 3"),
        ("5A 08 47 61 73 90 01 01 01 19", 0, "47 61 73 ** ** ** 01 19"),
    ] {
        let output = output(&["decode", what]);
        let all = said(&output) + &complained(&output);
        assert_eq!(output.status.code(), Some(expected), "{what}: {all}");
        assert!(all.contains(words), "{what}: {words}: {all}");
    }
}

#[test]
fn the_warranty_check_answers_every_odd_question() {
    let check = |options: &[&str]| output(&[&["warranty", "check", "--country", "DE", "--code"], options].concat());
    let code = "20190611000000000041";
    let now = "--at=2026-02-28T12:00:00Z";
    for (options, expected, words) in [
        (&[code, "--purchased", "2025-06-01", now][..], 0, "15 months and 4 days left"),
        (&[code, "--purchased", "2024-02-29", now], 0, "active until 2026-02-28: this is its last day"),
        (&[code, "--purchased", "2024-02-27", now], 0, "expired: its last day was 2026-02-27"),
        (&[code, "--purchased", "2026-03-01", now], 2, "lies in the future: today is 2026-02-28"),
        (&[code, "--purchased", "2026-02-30", now], 2, "write the day as 2026-02-28"),
        (&[code, "--purchased", "01.03.2026", now], 2, "write the day as 2026-02-28"),
        (&[code, "--purchased", "2025-06-01", "--at", "tomorrow"], 2, "write the instant as 2026-03-01T09:00:00Z"),
        (&[code, now], 2, "give the date on the receipt"),
        (&["2019061100000000004", "--purchased", "2025-06-01"], 2, "20 digits, this one has 19"),
        (&["2019061100000000004x", "--purchased", "2025-06-01"], 2, "character 20 is 'x'"),
        (&["20190611000000000042", "--purchased", "2025-06-01"], 2, "no unit has this security code"),
        (&[code, "--serial", "5c0ffee4a001", "--purchased", "2025-06-01"], 2, "belong to two units"),
        (&[code, "--purchased", "2025-06-01", "--fault", " "], 2, "say what is broken"),
        (&[code, "--purchased", "2025-06-01", now, "--fault", "torn"], 0, "a description of the fault: torn"),
    ] {
        let output = check(options);
        let all = said(&output) + &complained(&output);
        assert_eq!(output.status.code(), Some(expected), "{options:?}: {all}");
        assert!(all.contains(words), "{options:?}: {words}: {all}");
    }
}

/// What the README tells a newcomer to type.
#[test]
fn the_commands_of_the_readme_work() {
    let readme = fs::read_to_string(top().join("README.md")).expect("the README");
    let mut commands = 0;
    for line in readme.lines().filter_map(|line| line.strip_prefix("cargo run --release -- ")) {
        let words = line.split(" #").next().unwrap_or_default().trim();
        // All scenarios are run by a test of their own; the file of the reader's own is not there.
        if words == "run" || words.contains("my-scenario") {
            continue;
        }
        // The reader's clock is not the test's.
        let at = if words.starts_with("warranty") { " --at 2026-06-01T12:00:00Z" } else { "" };
        let command = format!("{} {words}{at}", env!("CARGO_BIN_EXE_bandrig"));
        let output = Command::new("sh").args(["-c", &command]).current_dir(top()).output().expect("a shell");
        assert_eq!(output.status.code(), Some(0), "{command}: {}", complained(&output));
        assert!(!output.stdout.is_empty(), "{command}");
        commands += 1;
    }
    assert!(commands >= 7, "{commands} commands");
}

#[test]
fn the_scenario_of_the_readme_passes() {
    let readme = fs::read_to_string(top().join("README.md")).expect("the README");
    let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let folder = Folder::with(&[("example.yaml", example)]);
    let output = folder.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", complained(&output), said(&output));
}

#[test]
fn readme_and_help_say_the_same_exit_codes() {
    let readme = fs::read_to_string(top().join("README.md")).expect("the README");
    let help = said(&output(&["run", "--help"]));
    let codes = help.split("Exit codes: ").nth(1).expect("the help says them");
    for code in ["0 all", "1 a case failed", "2 bad usage", "3 station trouble", "4 nothing was run", "130 interrupted"]
    {
        let row = format!("| {} | {}", code.split_once(' ').expect("a code").0, code.split_once(' ').expect("words").1);
        assert!(codes.replace('\n', " ").contains(code), "{code}: {codes}");
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn the_list_as_json_names_every_case_with_its_rules_and_steps() {
    let folder = Folder::with(&[(
        "right.yaml",
        &RIGHT.replace("steps:", "rules: [R10]\nmatrix: { a: [1, 2] }\nsteps:").replace("added", "added ${a} times"),
    )]);
    let listed = output(&["list", "--json", "--fixtures", "fixtures", &folder.path("")]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let cases = listed.as_array().expect("a list");
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[1]["id"], "right.yaml[a=2]");
    assert_eq!(cases[1]["title"], "a card is added 2 times");
    assert_eq!(cases[1]["rules"][0], "R10");
    assert_eq!(cases[1]["steps"][1], "check: { agree: true }");
}

/// Packages that `./test` installs.
fn installed_by_test() -> Vec<String> {
    let needs = fs::read_to_string(top().join(".ci/needs.sh")).expect("what the full test needs");
    let rows = needs.lines().filter_map(|line| line.trim().strip_prefix('\'')?.strip_suffix('\'')?.rsplit_once('|'));
    rows.flat_map(|(_, packages)| packages.split(' ')).map(str::to_owned).collect()
}

/// Packages of a command that installs them, whatever comes after it.
fn packages(command: &str) -> Option<Vec<&str>> {
    let words = command.strip_prefix("apt-get install ")?.split([',', '&']).next()?.split_whitespace();
    Some(words.filter(|word| !word.starts_with("--")).collect())
}

#[test]
fn the_doctor_names_packages_that_the_full_test_installs_too() {
    let nothing = tempfile::tempdir().expect("a folder");
    let doctor = |options: &[&str]| {
        let mut command = bandrig(&[&["doctor"], options].concat());
        // Neither programs nor a kernel from earlier: what is left is in the folders of root.
        command.env("PATH", nothing.path()).env("CARGO_TARGET_DIR", nothing.path()).output().expect("the binary starts")
    };
    let output = doctor(&["--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", complained(&output));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&said(&output)).expect("JSON");
    let missing: Vec<_> = rows.iter().filter(|row| row["state"] == "missing").collect();
    let mends = |what: &str| missing.iter().find(|row| row["what"] == what).and_then(|row| row["mend"].as_str());
    let known = installed_by_test();
    for row in &missing {
        for package in row["mend"].as_str().and_then(packages).into_iter().flatten() {
            assert!(known.iter().any(|it| it == package), "./test does not install {package}: {row}");
        }
    }
    for (what, package) in [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("cpio", "cpio"),
        ("busybox", "busybox-static"),
        ("bluetoothctl", "bluez"),
        ("btvirt", "bluez-test-tools"),
        ("dbus-daemon", "dbus"),
    ] {
        assert_eq!(mends(what).and_then(packages), Some(vec![package]), "{what}: {missing:?}");
        let all = mends("packages").and_then(packages).unwrap_or_default();
        assert!(all.contains(&package), "one line for all: {all:?}");
    }
    assert_eq!(mends("kernel"), Some("apt-get update"), "apt knows no kernel: {missing:?}");
    let text = said(&doctor(&["--color", "never"]));
    let line = format!("mend it: {}", mends("packages").expect("a line for all"));
    assert!(text.lines().any(|it| it.trim() == line), "{text}");
}

#[test]
fn a_virtual_station_without_its_band_says_how_to_build_it_before_anything_starts() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(target).expect("a folder");
    let alone = folder.path().join("bandrig");
    fs::hard_link(env!("CARGO_BIN_EXE_bandrig"), &alone).expect("another name");
    for station in ["virtual", "virtual:qemu", "virtual:uml"] {
        let mut command = Command::new(&alone);
        command.args(["run", "scenarios/lab", "--station", station, "--out"]).arg(folder.path().join("out"));
        // There is no kernel either, and none is fetched.
        let output = command.current_dir(top()).env("CARGO_TARGET_DIR", folder.path()).output().expect("it starts");
        let errors = complained(&output);
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("build it with `cargo build --release --features bluez,pcsc`"), "{errors}");
        #[cfg(all(feature = "bluez", feature = "pcsc"))]
        assert!(errors.contains(&format!("there is no {}", folder.path().join("band").display())), "{errors}");
        assert!(!errors.contains("boots") && !errors.contains("fetches"), "{errors}");
        assert!(!folder.path().join("virtual-station").exists(), "{errors}");
    }
}
