//! House rules that a machine can check, each with a message that says what to do.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use source::{Source, files_below, from_root, rust_files, workspace};

/// Longest function that still reads in one go.
const LONGEST_FUNCTION: usize = 80;

/// Longer ones and why: a table or a single `match` is not made clearer by cutting it.
const LONG_FUNCTIONS: &[(&str, &str, &str)] =
    &[("sim/src/band/session.rs", "transition", "the session's whole state × event table stands in one match")];

/// Words for the clock of the machine.
const CLOCK: [&str; 4] = ["Instant::now", "SystemTime", "thread::sleep", "std::time::Instant"];

/// Crates that do input and output of their own.
const IO_CRATES: [&str; 5] = ["bluer", "pcsc", "tokio", "zbus", "mio"];

fn all_rust_files() -> Vec<Source> {
    ["sim", "rig", "benches"].into_iter().flat_map(rust_files).collect()
}

/// Fails with all problems at once.
fn assert_tidy(problems: &[String]) {
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}

#[test]
fn the_layers_know_only_what_lies_below_them() {
    let problems: Vec<String> = all_rust_files().iter().flat_map(layers::problems).collect();
    assert_tidy(&problems);
}

#[test]
fn every_folder_has_a_layer() {
    for (member, modules) in [("sim", layers::SIM), ("rig", layers::RIG)] {
        for file in rust_files(&format!("{member}/src")) {
            let top = layers::top_module(&file.path);
            assert!(
                top.is_empty() || modules.iter().any(|layer| layer.module == top),
                "{}: `{top}` is new here: give it a row in rig/tests/tidy/layers.rs that says what it may know",
                file.path
            );
        }
    }
}

#[test]
fn yaml_is_read_in_one_place() {
    let allowed = ["rig/src/scenario/yaml.rs", "rig/src/yaml.rs"];
    assert_tidy(&uses_outside(
        &["serde_yaml"],
        |path| allowed.contains(&path) || path.starts_with("rig/src/bin/"),
        |word, file| {
            format!(
                "{file} names `{word}`: YAML is read in {} only, so that every mistake gets its line and caret",
                allowed.join(" and ")
            )
        },
    ));
}

#[test]
fn nothing_between_the_wire_and_the_report_asks_what_time_it_is() {
    let may_know_the_clock = |path: &str| {
        let rig_edges = ["rig/src/link/", "rig/src/station/", "rig/src/bin/", "rig/src/cli/", "rig/src/cli.rs"];
        path.starts_with("sim/src/edge/") || rig_edges.iter().any(|edge| path.starts_with(edge))
    };
    assert_tidy(&uses_outside(&CLOCK, may_know_the_clock, |word, file| {
        format!("{file} names `{word}`: time is handed in as `now`, or the same seed would not give the same run")
    }));
}

#[test]
fn io_crates_stay_at_the_edges() {
    let edge = |path: &str| {
        ["sim/src/edge/", "rig/src/link/", "rig/src/station/", "rig/src/bin/"].iter().any(|edge| path.starts_with(edge))
    };
    let words: Vec<String> = IO_CRATES.iter().map(|name| format!("{name}::")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_tidy(&uses_outside(&words, edge, |word, file| {
        format!(
            "{file} names `{word}`: what talks to the world lives in sim/src/edge, rig/src/link and rig/src/station"
        )
    }));
}

#[test]
fn no_test_sleeps() {
    let mut problems = Vec::new();
    for file in all_rust_files().iter().filter(|file| !file.path.contains("/examples/")) {
        for word in ["thread::sleep", "time::sleep"] {
            if file.tests().contains(word) {
                problems.push(format!(
                    "{}: a test sleeps (`{word}`): wait for what it waits for, or move virtual time",
                    file.path
                ));
            }
        }
    }
    assert_tidy(&problems);
}

/// Under the usual harness, a `main` of its own is never called and its tests are never run.
#[test]
fn a_test_with_a_main_of_its_own_is_its_own_harness() {
    let manifest = std::fs::read_to_string(workspace().join("rig/Cargo.toml")).expect("rig/Cargo.toml");
    let mut problems = vec![];
    for file in rust_files("rig/tests").iter().filter(|file| file.text.contains("\nfn main()")) {
        let name = file.path.trim_start_matches("rig/tests/").trim_end_matches(".rs");
        if !manifest.contains(&format!("[[test]]\nname = \"{name}\"\nharness = false\n")) {
            problems
                .push(format!("{}: give it `harness = false` in rig/Cargo.toml, or nothing in it is run", file.path));
        }
    }
    assert_tidy(&problems);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut problems = Vec::new();
    for file in all_rust_files() {
        for (line, name, length) in file.functions() {
            let excused = LONG_FUNCTIONS.iter().any(|(path, function, _)| *path == file.path && *function == name);
            if length > LONGEST_FUNCTION && !excused {
                problems.push(format!(
                    "{}:{line}: `{name}` has {length} lines: split it, or add it to LONG_FUNCTIONS in rig/tests/tidy.rs with the reason",
                    file.path
                ));
            }
        }
    }
    assert_tidy(&problems);
}

#[test]
fn an_excuse_for_a_long_function_is_removed_with_it() {
    let files = all_rust_files();
    for (path, function, reason) in LONG_FUNCTIONS {
        assert!(!reason.is_empty(), "{path}: say why `{function}` is long");
        let long = files.iter().filter(|file| file.path == *path).flat_map(Source::functions);
        assert!(
            long.into_iter().any(|(_, name, length)| name == *function && length > LONGEST_FUNCTION),
            "{path}: `{function}` is short or gone: take it out of LONG_FUNCTIONS"
        );
    }
}

#[test]
fn every_file_says_first_why_it_exists() {
    let problems = all_rust_files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| format!("{}: the first line shall be `//! ` and say why the file exists", file.path));
    assert_tidy(&problems.collect::<Vec<_>>());
}

#[test]
fn every_fixture_opens_with_its_source() {
    let root = workspace();
    let files = files_below(&root.join("fixtures"));
    assert!(!files.is_empty(), "no fixtures found");
    let problems: Vec<String> = files.iter().filter_map(|file| fixture_problem(&root, file)).collect();
    assert_tidy(&problems);
}

/// See `fixtures/README.md`.
fn fixture_problem(root: &Path, file: &Path) -> Option<String> {
    let path = from_root(root, file);
    let text = String::from_utf8(std::fs::read(file).unwrap()).ok();
    let opening = match (file.extension().and_then(|extension| extension.to_str()), &text) {
        (Some("md"), Some(text)) => {
            return (!names_a_source(text)).then(|| format!("{path}: says nowhere what the source is"));
        }
        (Some("yaml" | "hex" | "txt" | "csv"), Some(text)) => opening_comment(text),
        (Some("json"), Some(text)) => text.lines().take(2).collect::<Vec<_>>().join(" "),
        // Keys, corpus inputs and other files without comments: the README beside them, or above, speaks for them.
        _ => {
            return no_readme(root, file)
                .then(|| format!("{path}: cannot say its source: a README.md in its folder must"));
        }
    };
    (!names_a_source(&opening)).then(|| {
        format!("{path}: must open with its source: `# Source: …` (or that it was made up), see fixtures/README.md")
    })
}

/// The comment lines before the first other line.
fn opening_comment(text: &str) -> String {
    text.lines().take_while(|line| line.starts_with('#') || line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn names_a_source(text: &str) -> bool {
    let text = text.to_lowercase();
    ["source", "made up", "made with", "made by", "invented"].iter().any(|word| text.contains(word))
}

/// Whether neither the file's folder nor one between it and `fixtures/` has a README.
fn no_readme(root: &Path, file: &Path) -> bool {
    let fixtures = root.join("fixtures");
    let folders = file.ancestors().skip(1).take_while(|folder| **folder != *fixtures);
    !folders.into_iter().any(|folder| folder.join("README.md").is_file())
}

/// Files outside the allowed places whose code, tests aside, names one of the words.
fn uses_outside(words: &[&str], allowed: impl Fn(&str) -> bool, message: impl Fn(&str, &str) -> String) -> Vec<String> {
    let files = rust_files("sim/src").into_iter().chain(rust_files("rig/src"));
    let mut problems = Vec::new();
    for file in files.filter(|file| !allowed(&file.path)) {
        let code = file.code_without_tests();
        for word in words.iter().filter(|word| code.contains(**word)) {
            let line = code[..code.find(word).unwrap_or(0)].matches('\n').count() + 1;
            problems.push(message(word, &format!("{}:{line}", file.path)));
        }
    }
    problems
}

mod of_the_checks_themselves {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let source = Source::new(
            "sim/src/x.rs",
            "//! crate::card\nlet a = \"crate::card\"; /* crate::card */ let b = r#\"\"crate::card\"#; let c: &'static str = 'x';",
        );
        assert!(!source.code.contains("card"), "{}", source.code);
        assert!(source.code.contains("static str"), "a lifetime is no literal: {}", source.code);
        assert_eq!(source.code.lines().count(), 2);
    }

    #[test]
    fn paths_are_followed_through_braces_and_upwards() {
        let source = Source::new(
            "rig/src/report/text.rs",
            "use super::event::{Event, Kind};\nuse crate::{decode, mask::{self, Pan as P}};\nfn f() -> band_sim::card::Card { super::super::phone::x() }",
        );
        let paths: Vec<(usize, String)> =
            source.paths(&source.code, &["band_sim"]).into_iter().map(|(line, path)| (line, path.join("::"))).collect();
        let expected = [
            (1, "bandrig::report::event::Event"),
            (1, "bandrig::report::event::Kind"),
            (2, "bandrig::decode"),
            (2, "bandrig::mask::self"),
            (2, "bandrig::mask::Pan"),
            (3, "band_sim::card::Card"),
            (3, "bandrig::phone::x"),
        ];
        assert_eq!(paths, expected.map(|(line, path)| (line, path.to_owned())));
    }

    #[test]
    fn a_broken_layer_is_said_with_file_line_and_what_is_allowed() {
        let source = Source::new("sim/src/wire/tlv.rs", "use crate::card::Card;\n");
        let problems = layers::problems(&source);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("sim/src/wire/tlv.rs:1: `wire` must not know `card`"), "{problems:?}");
        for (path, text) in [
            ("rig/src/phone/app.rs", "use band_sim::card::Card;"),
            ("rig/src/terminal/x.rs", "use crate::cloud::bank::Bank;"),
            ("rig/src/report/text.rs", "use crate::scenario::Step;"),
            ("rig/src/model/rules.rs", "use band_sim::band::Band;"),
        ] {
            assert_eq!(layers::problems(&Source::new(path, text)).len(), 1, "{path}: {text}");
        }
        for (path, text) in [
            (
                "rig/src/phone/app.rs",
                "use crate::cloud::api::Reply; use band_sim::wire::gatt::Uuid; use super::io::Input;",
            ),
            ("sim/src/wire/tlv.rs", "#[cfg(test)]\nmod tests { use crate::card::Card; }"),
            ("sim/src/band/mod.rs", "use crate::card::Card;"),
        ] {
            assert_eq!(layers::problems(&Source::new(path, text)), Vec::<String>::new(), "{path}: {text}");
        }
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let source = Source::new(
            "sim/src/x.rs",
            "fn a() {\n  if x {\n  }\n}\ntrait T { fn b(&self) -> [u8; 4]; }\nfn c<T>(x: fn(T)) -> u8 { 1 }\n",
        );
        assert_eq!(source.functions(), [(1, "a".to_owned(), 4), (6, "c".to_owned(), 1)]);
    }

    #[test]
    fn a_fixture_without_a_source_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("fixtures/cards");
        std::fs::create_dir_all(&folder).unwrap();
        let problem = |name: &str, text: &[u8]| {
            std::fs::write(folder.join(name), text).unwrap();
            fixture_problem(root.path(), &folder.join(name))
        };
        assert!(problem("a.yaml", b"# A card.\nname: a # source: no\n").is_some());
        assert!(problem("b.yaml", b"# A card.\n# Source: made up.\nname: b\n").is_none());
        assert!(problem("c.json", b"{\n \"vectors\": []\n}").is_some());
        assert!(problem("d.pem", b"-----").is_some());
        assert!(problem("README.md", b"Source: an openssl command.").is_none());
        assert!(problem("d.pem", b"-----").is_none());
    }
}
