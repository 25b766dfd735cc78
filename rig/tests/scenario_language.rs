//! The scenario language from outside: every file fits the schema that editors use, and its reference says every word.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bandrig::scenario::error::{Style, render_all};
use bandrig::scenario::load::{Options, load_text};
use bandrig::scenario::schema::schema;
use bandrig::station::fixtures::Fixtures;
use serde_json::Value;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Scenario files below a folder; fragments are no scenarios.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| !path.ends_with("fragments"))
        .flat_map(|path| if path.is_dir() { scenarios(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// The text with its included steps written out where they stand.
fn written_out(path: &Path) -> String {
    let mut text = String::new();
    for line in read(path).lines() {
        let Some((indent, included)) = line.split_once("- !include ") else {
            text += &format!("{line}\n");
            continue;
        };
        let folder = path.parent().expect("a file stands in a folder");
        for inner in written_out(&folder.join(included.trim())).lines() {
            text += &format!("{indent}{inner}\n");
        }
    }
    text
}

#[test]
fn every_scenario_fits_the_schema() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let mut problems = vec![];
    let files = scenarios(&top().join("scenarios"));
    assert!(files.len() >= 80, "{} files", files.len());
    for path in files {
        let value: Value = serde_yaml::from_str(&written_out(&path)).expect("YAML");
        let errors = validator.iter_errors(&value);
        problems.extend(errors.map(|error| format!("{}: {}: {error}", path.display(), error.instance_path())));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_example_of_the_reference_is_read() {
    let names = Fixtures::load(&top().join("fixtures")).expect("the fixtures load").names();
    let options = Options { names, ..Options::default() };
    let reference = read(&top().join("scenarios/README.md"));
    let mut examples = 0;
    for block in reference.split("```yaml\n").skip(1) {
        let example = block.split("```").next().unwrap_or_default();
        let loaded = load_text("scenarios/README.md", example, &options);
        assert!(loaded.errors.is_empty(), "{}\n{example}", render_all(&loaded.errors, Style::Plain));
        assert!(!loaded.cases.is_empty());
        examples += 1;
    }
    assert!(examples >= 4, "{examples} examples");
}

/// All words of the language: parts of a file, fields, verbs, and the values that are words.
fn words(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                words.extend(properties.keys().cloned());
            }
            if let Some(Value::String(word)) = map.get("const") {
                words.insert(word.clone());
            }
            map.values().for_each(|inner| self::words(inner, words));
        }
        Value::Array(items) => items.iter().for_each(|item| self::words(item, words)),
        _ => {}
    }
}

#[test]
fn the_reference_says_every_word() {
    let reference = read(&top().join("scenarios/README.md"));
    let said: BTreeSet<&str> =
        reference.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let mut known = BTreeSet::new();
    words(&schema(), &mut known);
    assert!(known.len() > 100, "{} words", known.len());
    let missing: Vec<_> = known.iter().filter(|word| !said.contains(word.as_str())).collect();
    assert!(missing.is_empty(), "scenarios/README.md does not say: {missing:?}");
}
