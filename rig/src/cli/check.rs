//! `bandrig check`, `list` and `schema`.

use serde::Serialize;

use super::{Selection, load};
use crate::report::text::counted;
use crate::scenario::list;

/// Lists every mistake in every file, or says that there is none.
pub(super) fn check(selection: &Selection) -> u8 {
    match load::load(selection) {
        Ok(loaded) if loaded.cases.is_empty() => {
            super::complain(&loaded.nothing("to check"));
            super::EXIT_NOTHING
        }
        Ok(loaded) => {
            let (cases, files) = (counted(loaded.cases.len(), "case"), counted(loaded.files, "file"));
            super::print(&format!("{cases} in {files}: no mistakes"));
            0
        }
        Err(code) => code,
    }
}

/// What would run.
pub(super) fn list(selection: &Selection, json: bool) -> u8 {
    let loaded = match load::load(selection) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let entries = list::list(&loaded.cases);
    if json {
        return print_json(&entries);
    }
    super::print(&text(&entries));
    0
}

/// The JSON schema of scenario files.
pub(super) fn schema() -> u8 {
    print_json(&crate::scenario::schema::schema())
}

fn print_json(value: &impl Serialize) -> u8 {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            super::print(&text);
            0
        }
        Err(error) => {
            super::complain(&format!("failed to print JSON: {error}"));
            super::EXIT_STATION
        }
    }
}

/// A block per file: its title, rules and tags, then its rows.
fn text(entries: &[list::Entry]) -> String {
    let mut text = String::new();
    let mut file = "";
    for entry in entries {
        if entry.path != file {
            file = &entry.path;
            let words = entry.rules.iter().chain(&entry.tags).map(String::as_str).collect::<Vec<_>>().join(" ");
            text += &format!("{file}\n    {}  [{words}]\n", entry.title);
            if let Some(sweep) = &entry.sweep {
                text += &format!("    sweep: {sweep}\n");
            }
        }
        if !entry.row.is_empty() {
            let row: Vec<_> = entry.row.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text += &format!("      {}\n", row.join("  "));
        }
    }
    text + &counted(entries.len(), "case") + "\n"
}
