//! Files in, cases or mistakes out.
//!
//! A file is looked at before it is opened: what is larger than [`MAX_FILE`], or is no plain file, is refused unread. Includes
//! stay under the scenario root, also through `..` and symbolic links.

#![allow(clippy::result_large_err, reason = "an error ends the reading of a file")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::check;
use super::decode::{self, KEYS};
use super::error::FileError;
use super::file::Case;
use super::matrix::{self, Row};
use super::names::Names;
use super::node::{Node, Shape};
use super::span::Span;
use super::variables::{Variables, is_name};
use super::yaml;

/// The largest file that is read: 1 MiB.
pub const MAX_FILE: u64 = 1 << 20;

/// Includes inside includes, at most.
const MAX_INCLUDES: usize = 8;

/// Steps of one case, includes written out, at most.
const MAX_STEPS: usize = 2_000;

/// The folder whose files are included and are no scenarios themselves.
const FRAGMENTS: &str = "fragments";

/// What loading needs beside the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The scenario root, as the user gave it: `scenarios`.
    pub root: PathBuf,
    /// `--var name=value`, in order; stronger than the file's own `vars`.
    pub vars: Vec<(String, String)>,
    /// The names that the fixtures hold.
    pub names: Names,
}

/// What came of it. When there are errors, nothing is to be run.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The cases, in the order of paths, files and rows.
    pub cases: Vec<Case>,
    /// All mistakes of all files, in order.
    pub errors: Vec<FileError>,
    /// The texts of the files, for carets in later failures.
    pub sources: Sources,
}

/// The texts of the files that were read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<Arc<str>, (String, Arc<str>)>,
}

impl Sources {
    /// The line of a place, without its end; empty when it is not known.
    #[must_use]
    pub fn line(&self, span: &Span) -> &str {
        let index = usize::try_from(span.line).unwrap_or(0).checked_sub(1);
        let text = self.files.get(&span.file).map_or("", |(_, text)| text);
        index.and_then(|index| text.lines().nth(index)).unwrap_or_default()
    }

    /// The path under which a user would open the file.
    #[must_use]
    pub fn path<'a>(&'a self, file: &'a str) -> &'a str {
        self.files.get(file).map_or(file, |(path, _)| path)
    }

    fn complete(&self, mut error: FileError) -> FileError {
        if let Some((path, _)) = self.files.get(&error.span.file) {
            error.path.clone_from(path);
        }
        if error.span.line > 0 && self.files.contains_key(&error.span.file) {
            error.source = Some(self.line(&error.span).to_owned());
        }
        error
    }
}

/// Reads scenario files and folders of them, in the order given; folders by name.
#[must_use]
pub fn load(paths: &[PathBuf], options: &Options) -> Loaded {
    let mut loader = Loader::new(options);
    let mut seen = BTreeSet::new();
    for path in paths {
        loader.enter(path, &mut seen);
    }
    loader.finish()
}

/// Reads one scenario from memory, as if it stood alone in an empty folder. Includes are not found.
#[must_use]
pub fn load_text(name: &str, text: &str, options: &Options) -> Loaded {
    let mut loader = Loader::new(options);
    let file: Arc<str> = name.into();
    loader.loaded.sources.files.insert(file.clone(), (name.to_owned(), text.into()));
    loader.text(&file, text);
    loader.finish()
}

struct Loader<'a> {
    options: &'a Options,
    /// The root in force, without symbolic links.
    root: PathBuf,
    /// The same root as the user would write it.
    shown_root: PathBuf,
    loaded: Loaded,
    /// Fragments that were read, each with its tree or nothing when it is wrong.
    fragments: BTreeMap<Arc<str>, Option<Node>>,
    /// The variables that any file has.
    known_vars: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            root: PathBuf::new(),
            shown_root: PathBuf::new(),
            loaded: Loaded::default(),
            fragments: BTreeMap::new(),
            known_vars: BTreeSet::new(),
        }
    }

    /// What came of it, each mistake once, with its line.
    fn finish(mut self) -> Loaded {
        self.unknown_vars();
        let Loaded { cases, errors, sources } = self.loaded;
        let mut errors: Vec<_> = errors.into_iter().map(|error| sources.complete(error)).collect();
        errors.sort();
        errors.dedup();
        Loaded { cases, errors, sources }
    }

    fn error(&mut self, error: FileError) {
        self.loaded.errors.push(error);
    }

    /// A path of the command line.
    fn enter(&mut self, path: &Path, seen: &mut BTreeSet<PathBuf>) {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => return self.error(FileError::whole(path.display().to_string(), read_error(&error))),
        };
        (self.shown_root, self.root) = self.root_of(path, &real);
        if real.is_dir() {
            self.folder(&real, seen);
        } else if seen.insert(real.clone()) {
            self.file(&real);
        }
    }

    /// The scenario root for files under it; for others the folder they are in.
    fn root_of(&self, path: &Path, real: &Path) -> (PathBuf, PathBuf) {
        if let Ok(root) = self.options.root.canonicalize()
            && real.starts_with(&root)
        {
            return (self.options.root.clone(), root);
        }
        if real.is_dir() {
            return (path.to_owned(), real.to_owned());
        }
        let parent = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        (parent(path), parent(real))
    }

    fn folder(&mut self, folder: &Path, seen: &mut BTreeSet<PathBuf>) {
        let entries = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.error(FileError::whole(self.shown(folder), read_error(&error))),
        };
        entries.sort();
        for path in entries {
            let is_yaml = path
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"));
            let Ok(real) = path.canonicalize() else {
                if is_yaml {
                    self.error(FileError::whole(self.shown(&path), "this link leads nowhere"));
                }
                continue;
            };
            if real.is_dir() {
                // A link to a folder may lead in a circle or out of the root; scenarios are plain files in plain folders.
                let plain = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
                if plain && path.file_name().is_none_or(|name| name != FRAGMENTS) {
                    self.folder(&path, seen);
                }
            } else if is_yaml {
                if !real.starts_with(&self.root) {
                    self.error(FileError::whole(self.shown(&path), "this link leads out of the scenario root"));
                } else if seen.insert(real.clone()) {
                    self.file(&real);
                }
            }
        }
    }

    /// A path as the user would open it.
    fn shown(&self, real: &Path) -> String {
        match real.strip_prefix(&self.root) {
            Ok(inner) => slashes(&self.shown_root.join(inner)),
            Err(_) => slashes(real),
        }
    }

    fn file(&mut self, real: &Path) {
        if let Some((file, text)) = self.read(real) {
            self.text(&file, &text);
        }
    }

    /// Reads a file under the root, if it is one that may be read.
    fn read(&mut self, real: &Path) -> Option<(Arc<str>, Arc<str>)> {
        let shown = self.shown(real);
        let inner = real.strip_prefix(&self.root).unwrap_or(real);
        let file: Arc<str> = slashes(inner).into();
        let text: Arc<str> = match read_text(real) {
            Ok(text) => text.into(),
            Err(unreadable) => {
                self.error(unreadable.at(file, shown));
                return None;
            }
        };
        self.loaded.sources.files.insert(file.clone(), (shown, text.clone()));
        Some((file, text))
    }

    fn text(&mut self, file: &Arc<str>, text: &str) {
        if is_blank(text) {
            let first = Span { file: file.clone(), line: 1, column: 1, length: 1 };
            let error = FileError::at(&first, "this file is empty");
            return self.error(error.note("a scenario needs at least `scenario:` and `steps:`"));
        }
        match yaml::parse(file, text) {
            Ok(document) => self.document(&document),
            Err(errors) => self.loaded.errors.extend(errors),
        }
    }

    fn document(&mut self, document: &Node) {
        let Shape::Map(entries) = &document.shape else {
            let error = FileError::at(&document.span, format!("a scenario is a map, not {}", document.describe()));
            return self.error(match document.shape {
                Shape::List(_) => {
                    error.note(format!("a list of steps to be included stands in a folder named `{FRAGMENTS}`"))
                }
                _ => error.note("it starts with `scenario: the sentence that this file proves`"),
            });
        };
        let mut errors = Vec::new();
        for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.key())) {
            let error = FileError::at(&key.span, format!("`{}` is not a part of a scenario", key.key()));
            errors.push(error.allowed("parts", key.key(), &KEYS));
        }
        self.loaded.errors.append(&mut errors);
        let own = own_vars(document, &mut errors);
        let rows = matrix::rows(value(document, "matrix"), value(document, "exclude"), &mut errors);
        self.known_vars.extend(own.keys().cloned());
        if !errors.is_empty() {
            // Without sound variables, what is made of them cannot be judged.
            return self.loaded.errors.extend(errors);
        }
        let own = self.overridden(own);
        let document = self.written_out(document);
        let mut used = BTreeSet::new();
        let mut cases = Vec::new();
        let mut sound = true;
        for row in &rows {
            match self.case(&document, &own, row, &mut used) {
                Some(case) => cases.push(case),
                None => sound = false,
            }
        }
        if sound {
            self.unused(&document, &own, rows.first(), &used);
        }
        name_rows(&mut cases, &rows);
        self.loaded.cases.extend(cases);
    }

    /// `--var` is stronger than the file.
    fn overridden(&self, mut own: BTreeMap<String, Node>) -> BTreeMap<String, Node> {
        for (name, value) in &self.options.vars {
            if let Some(node) = own.get_mut(name) {
                let span = Span { file: "--var".into(), line: 0, column: 0, length: 1 };
                *node = Node::new(span, Shape::Text { text: value.clone(), plain: true });
            }
        }
        own
    }

    fn case(
        &mut self,
        document: &Node,
        own: &BTreeMap<String, Node>,
        row: &Row,
        used: &mut BTreeSet<String>,
    ) -> Option<Case> {
        let mut values = own.clone();
        values.extend(row.iter().cloned());
        let mut variables = Variables::new(&values);
        let filled = match &document.shape {
            Shape::Map(entries) => {
                let parts = entries.iter().filter(|(key, _)| !matches!(key.key(), "vars" | "matrix" | "exclude"));
                let parts = parts.map(|(key, value)| (key.clone(), variables.fill(value))).collect();
                document.reshaped(Shape::Map(parts))
            }
            _ => document.clone(),
        };
        used.append(&mut variables.used);
        if !variables.errors.is_empty() {
            self.loaded.errors.append(&mut variables.errors);
            return None;
        }
        let (mut case, mut errors) = decode::case(&filled);
        case.row = row.iter().map(|(name, value)| (name.clone(), value.line())).collect();
        let complete = errors.is_empty();
        errors.extend(check::case(&case, complete, &document.span, &self.options.names));
        if errors.is_empty() {
            return Some(case);
        }
        self.loaded.errors.extend(errors);
        None
    }

    fn unused(&mut self, document: &Node, own: &BTreeMap<String, Node>, row: Option<&Row>, used: &BTreeSet<String>) {
        let in_row = row.into_iter().flatten().map(|(name, value)| (name, value));
        for (name, node) in own.iter().chain(in_row).filter(|(name, _)| !used.contains(*name)) {
            let span = if node.span.line == 0 { &document.span } else { &node.span };
            let error = FileError::at(span, format!("the variable `{name}` is never used"));
            self.error(error.hint(format!("write `${{{name}}}` where it belongs, or take it out")));
        }
    }

    fn unknown_vars(&mut self) {
        for (name, _) in &self.options.vars {
            if !self.known_vars.contains(name) {
                let known: Vec<_> = self.known_vars.iter().collect();
                let error = FileError::argument("--var", format!("no file has a variable `{name}`"));
                self.loaded.errors.push(error.allowed("variables", name, &known));
            }
        }
    }

    /// The document with its includes written out.
    fn written_out(&mut self, document: &Node) -> Node {
        let Shape::Map(entries) = &document.shape else { return document.clone() };
        let mut written = Vec::new();
        for (key, value) in entries {
            let value = match (key.key(), &value.shape) {
                ("steps" | "finally", Shape::List(items)) => {
                    let mut steps = Vec::new();
                    self.splice(items, &mut vec![document.span.file.clone()], &mut steps);
                    value.reshaped(Shape::List(steps))
                }
                _ => value.clone(),
            };
            written.push((key.clone(), value));
        }
        document.reshaped(Shape::Map(written))
    }

    /// Puts the steps of a list into `steps`, includes written out; `false` when there are too many.
    fn splice(&mut self, items: &[Node], stack: &mut Vec<Arc<str>>, steps: &mut Vec<Node>) -> bool {
        for item in items {
            let Shape::Include(path) = &item.shape else {
                if steps.len() == MAX_STEPS {
                    self.error(FileError::at(&item.span, format!("this case has more than {MAX_STEPS} steps")));
                    return false;
                }
                steps.push(item.clone());
                continue;
            };
            match self.fragment(path, item, stack) {
                Ok(Some((file, inner))) => {
                    stack.push(file);
                    let fits = self.splice(&inner, stack, steps);
                    stack.pop();
                    if !fits {
                        return false;
                    }
                }
                Ok(None) => {}
                Err(error) => self.error(error),
            }
        }
        true
    }

    /// An included file; `None` when its mistakes are told already.
    fn fragment(&mut self, path: &str, at: &Node, stack: &[Arc<str>]) -> Result<Option<Fragment>, FileError> {
        let wrong = |words: String| FileError::at(&at.span, words);
        let from = stack.last().map_or("", |file| file);
        let Some(inner) = inside(from, path) else {
            return Err(wrong(format!("`{path}` leaves the scenario root"))
                .note("included files stay under the folder of the scenarios"));
        };
        if let Some(start) = stack.iter().position(|file| **file == *inner) {
            let circle: Vec<_> = stack.iter().skip(start).map(|file| &**file).chain([inner.as_str()]).collect();
            return Err(wrong("this include runs in a circle".into()).note(circle.join(" → ")));
        }
        if stack.len() > MAX_INCLUDES {
            return Err(wrong(format!("includes are nested deeper than {MAX_INCLUDES}")));
        }
        if self.root.as_os_str().is_empty() {
            return Err(wrong(format!("`{inner}` cannot be included here: this scenario does not stand in a folder")));
        }
        let real = self
            .root
            .join(&inner)
            .canonicalize()
            .map_err(|error| wrong(format!("`{inner}`: {}", read_error(&error))))?;
        let Ok(real_inner) = real.strip_prefix(&self.root).map(slashes) else {
            return Err(wrong(format!("`{path}` is a link that leads out of the scenario root")));
        };
        if let Some(start) = stack.iter().position(|file| **file == *real_inner) {
            let circle: Vec<_> = stack.iter().skip(start).map(|file| &**file).chain([real_inner.as_str()]).collect();
            return Err(wrong("this include runs in a circle".into()).note(circle.join(" → ")));
        }
        let file: Arc<str> = real_inner.into();
        if !self.fragments.contains_key(&file) {
            let tree = self.fragment_tree(&real, at);
            self.fragments.insert(file.clone(), tree);
        }
        let Some(Some(tree)) = self.fragments.get(&file) else { return Ok(None) };
        match &tree.shape {
            Shape::List(items) => Ok(Some((file, items.clone()))),
            _ => Err(wrong(format!("`{inner}` is {}, not a list of steps", tree.describe()))),
        }
    }

    fn fragment_tree(&mut self, real: &Path, at: &Node) -> Option<Node> {
        let (file, text) = self.read(real)?;
        if is_blank(&text) {
            self.error(FileError::at(&at.span, format!("`{file}` is empty")));
            return None;
        }
        yaml::parse(&file, &text).map_err(|errors| self.loaded.errors.extend(errors)).ok()
    }
}

/// An included file and its steps.
type Fragment = (Arc<str>, Vec<Node>);

fn value<'a>(document: &'a Node, key: &str) -> Option<&'a Node> {
    document.entry(key).map(|(_, value)| value)
}

/// The `vars` of a file.
fn own_vars(document: &Node, errors: &mut Vec<FileError>) -> BTreeMap<String, Node> {
    let Some((key, vars)) = document.entry("vars") else { return BTreeMap::new() };
    let Shape::Map(entries) = &vars.shape else {
        let error = FileError::at(&key.span, format!("`vars` takes a map, not {}", vars.describe()));
        errors.push(error.note("for example `vars: { amount: 4.20 EUR }`"));
        return BTreeMap::new();
    };
    for (name, value) in entries {
        if !is_name(name.key()) {
            errors.push(
                FileError::at(&name.span, format!("`{}` cannot be a variable", name.key()))
                    .hint("small letters, digits and `_`"),
            );
        }
        if matches!(value.shape, Shape::Empty) {
            errors.push(FileError::at(&name.span, format!("the variable `{}` has no value", name.key())));
        }
    }
    entries.iter().map(|(name, value)| (name.key().to_owned(), value.clone())).collect()
}

/// Gives each case of a matrix its own id: as many of the row's variables as tell the rows apart.
fn name_rows(cases: &mut [Case], rows: &[Row]) {
    let variables = rows.first().map_or(0, Vec::len);
    if rows.len() != cases.len() || variables == 0 {
        return;
    }
    let labels = (1..=variables)
        .map(|count| rows.iter().map(|row| matrix::label(row, count)).collect::<Vec<_>>())
        .find(|labels| labels.iter().collect::<BTreeSet<_>>().len() == labels.len());
    for (number, case) in (1..).zip(cases.iter_mut()) {
        let label = labels.as_ref().and_then(|labels| labels.get(number - 1)).filter(|label| !label.is_empty());
        case.id = match label {
            Some(label) => format!("{}[{label}]", case.path),
            None => format!("{}[row={number}]", case.path),
        };
    }
}

/// The path of an include, seen from the root; `None` when it leaves the root.
fn inside(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

fn slashes(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/").replace("//", "/")
}

/// Nothing but white space, comments and document marks.
fn is_blank(text: &str) -> bool {
    text.lines()
        .map(|line| line.trim_start_matches('\u{FEFF}').trim())
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

enum Unreadable {
    Whole(String),
    NotUtf8 { before: String, why: String },
}

impl Unreadable {
    /// The mistake for the author. `file` as its values would name it, `shown` as the author would open it.
    fn at(self, file: Arc<str>, shown: String) -> FileError {
        let (before, why) = match self {
            Self::Whole(why) => return FileError::whole(shown, why),
            Self::NotUtf8 { before, why } => (before, why),
        };
        let line = u32::try_from(before.lines().count().max(1)).unwrap_or(u32::MAX);
        let line = if before.ends_with('\n') { line + 1 } else { line };
        let last = if before.ends_with('\n') { "" } else { before.lines().last().unwrap_or_default() };
        let column = u32::try_from(last.chars().count() + 1).unwrap_or(u32::MAX);
        let source = format!("{last}\u{FFFD}");
        let mut error = FileError::at(&Span { file, line, column, length: 1 }, why).hint("save the file as UTF-8");
        error.path = shown;
        error.source = Some(source);
        error
    }
}

/// Reads a file of plain values: a fixture, a station. It is held to the same limits as a scenario.
///
/// # Errors
/// The mistakes with their places, in their order, or why the file is not read at all.
pub fn values<T: DeserializeOwned>(path: &Path) -> Result<T, Vec<FileError>> {
    let shown = slashes(path);
    let file: Arc<str> = shown.as_str().into();
    let text = read_text(path).map_err(|unreadable| vec![unreadable.at(file.clone(), shown)])?;
    if is_blank(&text) {
        return Err(vec![FileError::whole(slashes(path), "this file is empty")]);
    }
    yaml::typed(&file, &text).map_err(|mut errors| {
        for error in &mut errors {
            let index = usize::try_from(error.span.line).unwrap_or(1).saturating_sub(1);
            error.source = Some(text.lines().nth(index).unwrap_or_default().to_owned());
        }
        errors
    })
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let whole = |error: std::io::Error| Unreadable::Whole(read_error(&error));
    // Looked at before it is opened: opening a pipe waits for its other end.
    let found = std::fs::metadata(path).map_err(whole)?;
    if !found.is_file() {
        return Err(Unreadable::Whole("this is not a plain file".into()));
    }
    if found.len() > MAX_FILE {
        return Err(Unreadable::Whole(format!("this file has {} bytes; more than 1 MiB is not read", found.len())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(whole)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(whole)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Unreadable::Whole("this file grew beyond 1 MiB while it was read".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, after) = error.as_bytes().split_at(at);
        Unreadable::NotUtf8 {
            before: String::from_utf8_lossy(before).into_owned(),
            why: format!("byte {:02X} at offset {at} is not UTF-8", after.first().copied().unwrap_or_default()),
        }
    })
}

fn read_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".into(),
        std::io::ErrorKind::PermissionDenied => "you may not read this".into(),
        _ => format!("failed to read it: {error}"),
    }
}
