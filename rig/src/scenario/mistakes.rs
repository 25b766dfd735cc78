//! Every kind of mistake an author can make, and what is said about it. The snapshots are the contract: each message must tell
//! a person what to do.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::error::{Style, render_all};
use super::load::{Loaded, Options, load, load_text};
use super::names::Names;

fn names() -> Names {
    let set = |words: &str| words.split(' ').map(str::to_owned).collect();
    Names {
        cards: set("mastercard-credit mastercard-debit"),
        profiles: set("mi-smart-band-4-nfc"),
        terminals: set("corner-shop restaurant"),
        accounts: set("alice bob carol"),
        countries: set("DE PL"),
        characteristics: set("auth config nfc_channel"),
    }
}

fn options() -> Options {
    Options { names: names(), ..Options::default() }
}

fn rendered(loaded: &Loaded) -> String {
    assert!(
        loaded.cases.is_empty()
            || loaded.errors.is_empty()
            || loaded.errors.iter().all(|error| !error.message.is_empty())
    );
    render_all(&loaded.errors, Style::Plain)
}

/// Shows each text and what is said about it.
fn said(texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        let loaded = load_text("late.yaml", text, &options());
        assert!(!loaded.errors.is_empty(), "nothing is said about:\n{text}");
        let _ = writeln!(out, "{}\n{}", "-".repeat(100), rendered(&loaded));
    }
    out
}

/// A scenario that is right but for what stands in the middle.
fn with_steps(steps: &str) -> String {
    format!("scenario: a card is added\nsteps:\n{steps}\n  - card_list:\n    expect: {{ cards: [] }}\n")
}

fn said_of_steps(steps: &[&str]) -> String {
    let texts: Vec<_> = steps.iter().map(|steps| with_steps(steps)).collect();
    said(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_right_scenario_has_no_mistakes() {
    let text =
        with_steps("  - add_card: { card: mastercard-debit, as: debit }\n  - wait: code_valid_for - 1us\n  - sign_out");
    let loaded = load_text("right.yaml", &text, &options());
    assert_eq!(rendered(&loaded), "0 mistakes in 0 files\n");
    assert_eq!(loaded.cases.len(), 1);
}

#[test]
fn broken_syntax() {
    insta::assert_snapshot!(said(&[
        "scenario: 'never closed\nsteps:\n  - refresh\n",
        "scenario: \"never closed\nsteps: []\n",
        "scenario: a\nsteps: [refresh, sign_out\n",
        "scenario: a\nsteps:\n  - tap: { amount: 4.20 EUR\n",
        "scenario: a\nsteps:\n\t- refresh\n \t- sign_out\n",
        "scenario: a card: the first\nsteps: []\n",
        "scenario a\nsteps: []\n",
        "scenario: a\nsteps:\n   - refresh\n  - sign_out\n",
        "scenario: @home\n",
        "scenario: \"a\\q\"\n",
        "scenario: a\nsteps: []\n---\nscenario: b\n",
        "scenario: a\nsteps: *nowhere\n",
        "scenario: a\nsteps: &loop [*loop]\n",
        "scenario: \"esc \\e[31m red\"\nsteps: []\n",
        "scenario: !secret a\nsteps: []\n",
        "? [a, b]\n: c\n",
    ]));
}

#[test]
fn files_that_hold_no_scenario() {
    insta::assert_snapshot!(said(&[
        "",
        "\n\n",
        "# only a comment\n",
        "---\n",
        "- refresh\n",
        "just words\n",
        "42\n",
        "{}\n",
        "~\n"
    ]));
}

#[test]
fn wrong_parts() {
    insta::assert_snapshot!(said(&[
        "scenaro: a\nsteps:\n  - refresh\n",
        "scenario: a\nscenario: b\nsteps:\n  - refresh\n  - refresh\n",
        "scenario: [a, b]\nrules: R1\ntags: { a: b }\nsteps: refresh\nfinally:\n",
        "scenario: ''\nrules: [R1, R99, R1, W5]\ntags: [Sweep, and]\nsteps:\n  - card_list:\n    expect: { cards: [] }\n",
        "scenario: a\nsteps: []\nrepeat: 0\n",
        "scenario: a\nsteps:\n  - refresh\nrepeat: many\n",
        "scenario: it proves nothing\nsteps:\n  - refresh\n",
    ]));
}

#[test]
fn wrong_givens() {
    insta::assert_snapshot!(said(&[
        &format!(
            "given: {{ acount: alice, band: mi-band, account: alize, bank: {{ code_valid: 10m }} }}\n{}",
            with_steps("  - refresh")
        ),
        &format!(
            "given:\n  bank: {{ code_valid_for: 10, code_requests: three, code_attempts: 300, new_code_replaces_old: yes }}\n{}",
            with_steps("  - refresh")
        ),
        &format!("given: {{ bank: {{ code_valid_for: 2 * code_valid_for }} }}\n{}", with_steps("  - refresh")),
        &format!(
            "given: {{ date: yesterday, phone: {{ app_version: 4 }}, linked: maybe }}\n{}",
            with_steps("  - refresh")
        ),
        &format!(
            "given: {{ linked: false, cards: [{{ card: mastercard-debit, as: debit }}] }}\n{}",
            with_steps("  - refresh")
        ),
        &format!("given: alice\n{}", with_steps("  - refresh")),
        &format!("given: {{ cards: [mastercard-debit] }}\n{}", with_steps("  - refresh")),
    ]));
}

#[test]
fn wrong_verbs() {
    insta::assert_snapshot!(said_of_steps(&[
        "  - tapp: { amount: 4.20 EUR }",
        "  - refresh_all",
        "  - expect: { ok: true }",
        "  - refresh:\n    sign_out:",
        "  - tap: { amount: 4.20 EUR, expect: { outcome: approved } }",
        "  - - refresh",
        "  -",
        "  - 42",
        "  - refresh: now",
        "  - wait",
        "  - add_card: mastercard-debit",
        "  - add_card",
    ]));
}

#[test]
fn wrong_fields() {
    insta::assert_snapshot!(said_of_steps(&[
        "  - add_card: { card: mastercard-debit }",
        "  - add_card: { card: mastercard-debt, as: debit, colour: red }",
        "  - add_card: { card: [mastercard-debit], as: { a: b } }",
        "  - link_band: { confirm: knock }",
        "  - add_card: { card: mastercard-debit, card: mastercard-credit, as: debit }",
        "  - sign_in: zoe\n  - tap: { amount: 4.20 EUR, terminal: corner-shoop, pin: 12 }",
        "  - write: { characteristic: NFC, value: 00 A }\n  - apdu: { via: air, send: 00 GG }\n  - apdu: { via: contactless, send: 00 Ax }",
        "  - check_warranty: { country: XX, code: 123, purchased: 2025-02-30, proof: fax }",
        "  - refresh:\n    repeat: 0\n    id: No Spaces\n",
    ]));
}

#[test]
fn wrong_values() {
    insta::assert_snapshot!(said_of_steps(&[
        "  - wait: 10",
        "  - wait: 10 minutes",
        "  - wait: code_valid_for +",
        "  - wait: code_valid + 1s",
        "  - wait: 1s - 2s",
        "  - wait: 99999999999999999999s",
        "  - wait: 1.5s",
        "  - wait: two * code_valid_for",
        "  - wait:",
        "  - tap: 4.20",
        "  - tap: 4.2 EUR",
        "  - tap: 4,20 EUR",
        "  - tap: 4.20 XYZ",
        "  - set_time: 2026-03-01",
        "  - update_app: new",
    ]));
}

#[test]
fn wrong_expectations() {
    insta::assert_snapshot!(said_of_steps(&[
        "  - tap: 4.20 EUR\n    expect: { outcome: aproved }",
        "  - tap: 4.20 EUR\n    expect: approved",
        "  - refresh:\n    expect: code_expired",
        "  - refresh:\n    expect: fine",
        "  - tap: 4.20 EUR\n    expect: { outcome: approved, within: 500 }",
        "  - refresh:\n    expect: { within: 500ms }",
        "  - tap: 4.20 EUR\n    expect: { refused: code_expired, sw: 90 00 }",
        "  - refresh:\n    expect: { ok: false }",
        "  - refresh:\n    expect: { ok: true, refused: any }",
        "  - refresh:\n    expect: { refused: [busy, cde_expired] }",
        "  - refresh:\n    expect: { refused: }",
        "  - refresh:\n    expect:",
        "  - refresh:\n    expect: {}",
        "  - wait: 1s\n    expect: { ok: true }",
        "  - check: { agree: true }\n    expect: { ok: true }",
        "  - check: { agree: yes, app: debit, applets: many }",
        "  - apdu: { via: contactless, send: 00 B0 00 00 00 }\n    expect: { sw: 9, tlv: { 9F: '00', XY: any, 9F36: 'any thing' } }",
    ]));
}

#[test]
fn wrong_men_in_the_middle() {
    let tap = |bend: &str| format!("  - tap: {{ amount: 4.20 EUR, man_in_the_middle: [{bend}] }}");
    let steps = [
        "{ at: gpo }",
        "{ set: { 9F6C: 00 80 } }",
        "{ at: get_processing_options, keep: 0 }",
        "{ at: read_record 0, keep: 0 }",
        "{ at: gpo, set: { 9F6: 00 80 } }",
        "{ at: gpo, set: { 9F6C: 0 } }",
        "{ at: gpo, flip: 9F6C }",
        "{ at: gpo, late: 6 }",
        "{ at: gpo, endless_wtx: once }",
        "{ at: gpo, keep: -1 }",
        "{ at: gpo, say: 90 00 }",
    ]
    .map(tap);
    insta::assert_snapshot!(said_of_steps(&steps.each_ref().map(String::as_str)));
}

#[test]
fn wrong_names_of_cards() {
    insta::assert_snapshot!(said_of_steps(&[
        "  - remove_card: debit",
        "  - add_card: { card: mastercard-debit, as: debit }\n  - remove_card: debt\n  - reorder: [debit, debit]",
        "  - add_card: { card: mastercard-debit, as: debit }\n  - add_card: { card: mastercard-debit, as: debit }",
        "  - add_card: { card: mastercard-debit, as: debit }\n    expect: { refused: card_limit }\n  - remove_card: debit",
        "  - add_card: { card: mastercard-debit, as: debit }\n    repeat: 3",
        "  - add_card: { card: mastercard-debit, as: Debit Card }",
        "  - check: { app: [debit] }",
    ]));
}

#[test]
fn wrong_faults_and_sweeps() {
    let sweep = |sweep: &str| format!("sweep: {sweep}\n{}", with_steps("  - refresh:\n    id: seeing"));
    insta::assert_snapshot!(said(&[
        &with_steps("  - refresh:\n    faults: [drop: to_band]"),
        &with_steps("  - refresh:\n    faults: [{ drop: to_band 0 }, { explode: to_band 1 }, { delay: to_band 1 }]"),
        &with_steps(
            "  - refresh:\n    faults: [drop: nvm_write 1, power_loss: request 1, cloud_lost: to_band 2, delay: { at: request 1, by: 1s }]"
        ),
        &with_steps("  - refresh:\n    faults: { drop: to_band 1 }"),
        &with_steps("  - wait: 1s\n    faults: [drop: to_band 1]"),
        &sweep("{ fault: disconnect, at: every to_band, during: adding }"),
        &sweep("{ fault: cut, at: each to_band, during: seeing }"),
        &sweep("{ fault: power_loss, at: every request, during: seeing }"),
        &sweep("{ fault: power_loss, during: seeing }"),
        &sweep("every to_band"),
        &with_steps("  - refresh:\n    id: seeing\n  - refresh:\n    id: seeing\n  - retry: adding"),
    ]));
}

#[test]
fn wrong_variables_and_matrices() {
    let of = |head: &str, steps: &str| format!("{head}\n{}", with_steps(steps));
    insta::assert_snapshot!(said(&[
        &of("vars: { amount: 4.20 EUR }", "  - tap: ${amout}"),
        &of("vars: { amount: 4.20 }", "  - tap: ${amount}"),
        &of("vars: { amount: 4.20 EUR, Amount: 3, empty: }", "  - tap: ${amount"),
        &of("vars: [amount]", "  - refresh"),
        &of("vars: { amount: [1, 2], unused: 3 }", "  - tap: 1${amount}"),
        &of("vars: { unused: 3 }", "  - refresh"),
        &of("matrix: { after: 1s }", "  - wait: ${after}"),
        &of("matrix: { after: [1s, 2] }", "  - wait: ${after}"),
        &of("matrix: { after: [] }", "  - wait: ${after}"),
        &of("matrix: []", "  - refresh"),
        &of("matrix: five", "  - refresh"),
        &of("matrix: [{ after: 1s }, { before: 1s }, 3]", "  - wait: ${after}"),
        &of("matrix: { after: [1s, 2s] }\nexclude: [{ before: 1s }, { after: 3s }]", "  - wait: ${after}"),
        &of("matrix: { after: [1s] }\nexclude: [{ after: 1s }]", "  - wait: ${after}"),
        &of("exclude: [{ after: 1s }]", "  - refresh"),
        &of(&format!("matrix: {{ a: [{0}], b: [{0}], c: [{0}] }}", "1, ".repeat(20)), "  - refresh"),
    ]));
}

#[test]
fn many_mistakes_of_one_file_are_told_at_once() {
    insta::assert_snapshot!(said(&["\
scenario: many
rules: [R77]
given: { band: mi-band, bank: { code_valid_for: 10 } }
steps:
  - add_card: { cart: mastercard-debit, is: debit }
  - tap: { amount: 4.20, terminal: nowhere, pin: x }
    expect: { outcome: payed, cvm: pin, sw: 90 00 }
  - wait: 5
  - fly: home
    expect: { ok: maybe }
finally:
  - factory_rest
"]));
}

#[test]
fn alias_bombs_go_off_early() {
    let mut bomb = String::from("scenario: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let deep = format!("scenario: {}{}\n", "[".repeat(200), "]".repeat(200));
    let many = format!("scenario: many\nsteps: [{}]\n", "x, ".repeat(200_000));
    insta::assert_snapshot!(said(&[&bomb, &deep, &many]));
}

// --- files

fn said_of_folder(root: &Path, paths: &[&str]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| root.join(path)).collect();
    let loaded = load(&paths, &Options { root: root.to_owned(), ..options() });
    rendered(&loaded).replace(&root.display().to_string(), "scenarios")
}

fn write(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn files_that_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::File::create(root.join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    write(&root, "latin1.yaml", b"scenario: caf\xE9\nsteps: []\n");
    write(&root, "binary.yaml", b"\x7FELF\xFF\xFE\n");
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket.yaml")).unwrap();
    let inside = said_of_folder(&root, &["huge.yaml", "latin1.yaml", "binary.yaml", "socket.yaml", "missing.yaml"]);
    drop(socket);
    insta::assert_snapshot!(inside);
}

#[test]
fn a_file_of_exactly_one_mebibyte_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let text = with_steps("  - refresh");
    let padding = (1 << 20) - text.len() - 1;
    write(&root, "large.yaml", format!("{text}#{}", "x".repeat(padding)));
    assert_eq!(said_of_folder(&root, &["large.yaml"]), "0 mistakes in 0 files\n");
    write(&root, "larger.yaml", format!("{text}#{}", "x".repeat(padding + 1)));
    assert!(said_of_folder(&root, &["larger.yaml"]).contains("more than 1 MiB"));
}

#[test]
fn includes_stay_under_the_root_and_out_of_circles() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().canonicalize().unwrap();
    let root = outside.join("scenarios");
    write(&outside, "secret.yaml", "- refresh\n");
    write(&root, "a/dotdot.yaml", with_steps("  - !include ../../secret.yaml"));
    write(&root, "a/absolute.yaml", with_steps("  - !include /etc/passwd"));
    write(&root, "a/link.yaml", with_steps("  - !include ../fragments/link.yaml"));
    write(&root, "a/missing.yaml", with_steps("  - !include ../fragments/none.yaml"));
    write(&root, "a/circle.yaml", with_steps("  - !include ../fragments/one.yaml"));
    write(&root, "a/map.yaml", with_steps("  - !include ../fragments/map.yaml"));
    write(&root, "a/wrong.yaml", with_steps("  - !include ../fragments/wrong.yaml"));
    write(&root, "a/again.yaml", with_steps("  - !include ../fragments/wrong.yaml"));
    write(&root, "a/broken.yaml", with_steps("  - !include ../fragments/broken.yaml"));
    write(&root, "a/place.yaml", "scenario: !include ../fragments/one.yaml\nsteps:\n  - wait: !include [a]\n");
    write(&root, "fragments/one.yaml", "- refresh\n- !include two.yaml\n");
    write(&root, "fragments/two.yaml", "- !include one.yaml\n");
    write(&root, "fragments/map.yaml", "refresh: now\n");
    write(&root, "fragments/wrong.yaml", "- refersh\n- wait: 5\n");
    write(&root, "fragments/broken.yaml", "- [\n");
    std::os::unix::fs::symlink(outside.join("secret.yaml"), root.join("fragments/link.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret.yaml"), root.join("a/out.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.join("nowhere.yaml"), root.join("a/dangling.yaml")).unwrap();
    insta::assert_snapshot!(said_of_folder(&root, &["."]));
}

#[test]
fn an_include_bomb_goes_off_early() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root, "bomb.yaml", with_steps("  - !include fragments/0.yaml"));
    for level in 0..7 {
        let include = format!("- !include {}.yaml\n", level + 1).repeat(20);
        write(&root, &format!("fragments/{level}.yaml"), include);
    }
    write(&root, "fragments/7.yaml", "- refresh\n");
    let said = said_of_folder(&root, &["."]);
    assert!(said.contains("more than 2000 steps"), "{said}");
}

#[test]
fn a_fragment_brings_its_steps_and_its_places() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(
        &root,
        "b/x.yaml",
        format!("vars: {{ amount: 4.20 EUR }}\n{}", with_steps("  - !include ../fragments/pay.yaml")),
    );
    write(&root, "fragments/pay.yaml", "- refresh\n- tap: ${amount}\n");
    let loaded = load(std::slice::from_ref(&root), &Options { root: root.clone(), ..options() });
    assert_eq!(rendered(&loaded), "0 mistakes in 0 files\n");
    let places: Vec<_> = loaded.cases[0].steps.iter().map(|step| format!("{} {}", step.at, step.text)).collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    fragments/pay.yaml:1:3 refresh
    fragments/pay.yaml:2:3 tap: 4.20 EUR
    b/x.yaml:5:5 card_list
    ");
    assert_eq!(loaded.sources.line(&loaded.cases[0].steps[1].at), "- tap: ${amount}");
}

#[test]
fn variables_of_the_command_line() {
    let text = format!("vars: {{ amount: 4.20 EUR }}\n{}", with_steps("  - tap: ${amount}"));
    let with = |vars: &[(&str, &str)]| {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load_text("late.yaml", &text, &Options { vars, ..options() })
    };
    assert_eq!(with(&[("amount", "5.00 USD")]).cases[0].steps[0].text, "tap: 5.00 USD");
    insta::assert_snapshot!(format!(
        "{}\n{}",
        rendered(&with(&[("amuont", "1")])),
        rendered(&with(&[("amount", "5")]))
    ));
}

#[test]
fn matrix_rows_become_cases_with_their_own_ids() {
    let ids = |head: &str, steps: &str| -> Vec<String> {
        let loaded = load_text("m.yaml", &format!("{head}\n{}", with_steps(steps)), &options());
        assert_eq!(rendered(&loaded), "0 mistakes in 0 files\n");
        loaded.cases.iter().map(|case| case.id.clone()).collect()
    };
    let combinations = ids(
        "matrix: { after: [1us, 1 s], amount: [1.00 EUR, 2.00 EUR] }\nexclude: [{ after: 1us, amount: 2.00 EUR }]",
        "  - wait: ${after}\n  - tap: ${amount}",
    );
    assert_eq!(
        combinations,
        ["m.yaml[after=1us,amount=1.00 EUR]", "m.yaml[after=1 s,amount=1.00 EUR]", "m.yaml[after=1 s,amount=2.00 EUR]"]
    );
    let rows = ids(
        "matrix:\n  - { wait: 1s, result: { ok: true } }\n  - { wait: 2s, result: { refused: busy } }",
        "  - wait: ${wait}\n  - refresh:\n    expect: ${result}",
    );
    assert_eq!(rows, ["m.yaml[wait=1s]", "m.yaml[wait=2s]"]);
    let rows = ids(
        "matrix:\n  - { result: { ok: true } }\n  - { result: { refused: busy } }",
        "  - refresh:\n    expect: ${result}",
    );
    assert_eq!(rows, ["m.yaml[row=1]", "m.yaml[row=2]"]);
}

mod never_panics {
    use proptest::prelude::*;

    use super::{load_text, options, with_steps};

    const WHOLE: &str = include_str!("testdata/whole.yaml");

    fn read(text: &str) {
        let loaded = load_text("x.yaml", text, &options());
        for error in &loaded.errors {
            assert!(!error.render(crate::scenario::error::Style::Coloured).is_empty());
        }
    }

    #[test]
    fn the_text_that_is_mutated_is_right() {
        let loaded = load_text("x.yaml", WHOLE, &options());
        assert_eq!(super::rendered(&loaded), "0 mistakes in 0 files\n");
    }

    proptest! {
        #[test]
        fn on_any_text(text in "\\PC{0,200}") {
            read(&text);
        }

        #[test]
        fn on_any_text_of_yaml_signs(text in "[-a-c:{}\\[\\]&*!|>'\"%@`#, \n\t0-9$?.~<]{0,120}") {
            read(&text);
            read(&with_steps(&format!("  - {text}")));
        }

        #[test]
        fn on_a_right_file_with_bytes_changed(at in 0..WHOLE.len(), length in 0_usize..40, with in "[-a-z:{}\\[\\]&*!\"', \n0-9$]{0,12}") {
            let mut bytes = WHOLE.as_bytes().to_vec();
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, with.bytes());
            read(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn on_a_right_file_with_lines_moved(from in 0_usize..60, to in 0_usize..60, indent in 0_usize..8) {
            let mut lines: Vec<_> = WHOLE.lines().map(str::to_owned).collect();
            let line = lines.remove(from % lines.len());
            let to = to % lines.len();
            lines.insert(to, format!("{}{}", " ".repeat(indent), line.trim_start()));
            read(&lines.join("\n"));
        }
    }
}
