//! From the words of the command line to cases and fixtures, with every mistake of every file on the way.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Color, EXIT_BAD_INPUT, EXIT_STATION, Selection};
use crate::scenario::error::{Style, render_all};
use crate::scenario::file::Case;
use crate::scenario::load::{self, Options, Sources};
use crate::scenario::select::TagExpr;
use crate::station::fixtures::{self, Fixtures};

/// What there is to run.
pub(super) struct Loaded {
    pub(super) cases: Vec<Case>,
    pub(super) sources: Sources,
    pub(super) fixtures: Arc<Fixtures>,
    /// The scenario root, as the person would write it.
    pub(super) root: PathBuf,
    /// How many files the cases come from.
    pub(super) files: usize,
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
    let fixtures = Fixtures::load(&folder).map_err(|error| {
        eprintln!("bandrig: {error}");
        EXIT_STATION
    })?;
    let options = Options { root: root.clone(), vars, names: fixtures.names() };
    let loaded = load::load(&selection.paths, &options);
    if !loaded.errors.is_empty() {
        eprint!("{}", render_all(&loaded.errors, style(selection.color)));
        return Err(EXIT_BAD_INPUT);
    }
    let wanted = |case: &Case| {
        tag.as_ref().is_none_or(|tag| tag.matches(case))
            && selection.filter.as_deref().is_none_or(|text| contains(case, text))
    };
    let cases: Vec<Case> = loaded.cases.into_iter().filter(wanted).collect();
    let files = cases.iter().map(|case| &case.path).collect::<BTreeSet<_>>().len();
    Ok(Loaded { cases, sources: loaded.sources, fixtures: Arc::new(fixtures), root, files })
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
    eprintln!("bandrig: {message}");
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
