//! From the words of the command line to cases and fixtures, with every mistake of every file on the way.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Color, EXIT_BAD_INPUT, Selection};
use crate::report::text::counted;
use crate::report::words::shell_word;
use crate::scenario::error::{FileError, Style, render_all};
use crate::scenario::file::Case;
use crate::scenario::load::{self, Options, Sources};
use crate::scenario::select::{Shard, TagExpr};
use crate::station::fixtures::{self, Fixtures};

/// What there is to run.
pub(super) struct Loaded {
    pub(super) cases: Vec<Case>,
    pub(super) sources: Sources,
    pub(super) fixtures: Arc<Fixtures>,
    /// Where they are.
    pub(super) fixtures_root: PathBuf,
    /// The scenario root, as the person would write it.
    pub(super) root: PathBuf,
    /// How many files the cases come from.
    pub(super) files: usize,
    /// How many cases there are, whether selected or not.
    of: usize,
    /// The words of the command line that selected.
    selected_by: Vec<String>,
}

impl Loaded {
    /// Why there is nothing to do, in words.
    pub(super) fn nothing(&self, to_do: &str) -> String {
        let of = counted(self.of, "case");
        match (self.of, self.selected_by.as_slice()) {
            (0, _) => format!("nothing {to_do}: there is no scenario in these paths"),
            (_, []) => format!("nothing {to_do}: none of {of}"),
            (_, by) => format!("nothing {to_do}: none of {of} is selected by {}", by.join(" ")),
        }
    }

    /// Takes one part of the cases.
    pub(super) fn shard(&mut self, shard: Shard) {
        let mut at = 0..;
        self.cases.retain(|_| at.next().is_some_and(|at| shard.takes(at)));
        self.selected_by.push(format!("--shard {}/{}", shard.part, shard.of));
    }
}

/// Loads and selects; on trouble says what is wrong and answers the exit code.
pub(super) fn load(selection: &Selection) -> Result<Loaded, u8> {
    let vars = variables(&selection.vars)?;
    let tag = selection
        .tag
        .as_deref()
        .map(str::parse::<TagExpr>)
        .transpose()
        .map_err(|error| bad(&format!("--tag: {error}")))?;
    let root = root_of(&selection.paths);
    let folder = selection.fixtures.clone().unwrap_or_else(|| fixtures::find_root(&root));
    let fixtures = Fixtures::load(&folder).map_err(|error| mistakes(error.mistakes(), selection.color))?;
    let options = Options { root: root.clone(), vars, names: fixtures.names() };
    let loaded = load::load(&selection.paths, &options);
    if !loaded.errors.is_empty() {
        return Err(mistakes(&loaded.errors, selection.color));
    }
    let wanted = |case: &Case| {
        tag.as_ref().is_none_or(|tag| tag.matches(case))
            && selection.filter.as_deref().is_none_or(|text| contains(case, text))
    };
    let of = loaded.cases.len();
    let word = |name: &str, value: &Option<String>| Some(format!("{name} {}", shell_word(value.as_deref()?)));
    let selected_by = [word("--tag", &selection.tag), word("--filter", &selection.filter)];
    let selected_by = selected_by.into_iter().flatten().collect();
    let cases: Vec<Case> = loaded.cases.into_iter().filter(wanted).collect();
    let files = cases.iter().map(|case| &case.path).collect::<BTreeSet<_>>().len();
    Ok(Loaded {
        cases,
        sources: loaded.sources,
        fixtures: Arc::new(fixtures),
        fixtures_root: folder,
        root,
        files,
        of,
        selected_by,
    })
}

fn contains(case: &Case, text: &str) -> bool {
    let text = text.to_lowercase();
    case.id.to_lowercase().contains(&text) || case.title.value.to_lowercase().contains(&text)
}

fn variables(words: &[String]) -> Result<Vec<(String, String)>, u8> {
    let one = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(bad(&format!("--var {word}: write --var name=value"))),
    };
    words.iter().map(one).collect()
}

fn bad(message: &str) -> u8 {
    super::complain(message);
    EXIT_BAD_INPUT
}

/// Tells the mistakes of files; answers the exit code.
pub(super) fn mistakes(mistakes: &[FileError], color: Color) -> u8 {
    let _ = std::io::stderr().lock().write_all(render_all(mistakes, style(color)).as_bytes());
    EXIT_BAD_INPUT
}

/// The folder that ids are relative to: the nearest `scenarios` folder at or above the first path, else the path's own folder.
fn root_of(paths: &[PathBuf]) -> PathBuf {
    let Some(first) = paths.first() else { return PathBuf::from("scenarios") };
    let named = first.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "scenarios"));
    if let Some(named) = named {
        return named.to_path_buf();
    }
    if first.is_dir() {
        return first.clone();
    }
    first.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn style(color: Color) -> Style {
    let colored = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    if colored { Style::Coloured } else { Style::Plain }
}
