//! Just enough Rust reading for the tidy tests: what is code, which paths it names, how long its functions are.

use std::path::{Path, PathBuf};

/// A Rust file.
pub struct Source {
    /// Path from the workspace root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without comments, strings and characters; every line keeps its number.
    pub code: String,
    /// Whether it is built for tests only.
    pub is_test: bool,
}

impl Source {
    /// A file's text under the path it has.
    pub fn new(path: &str, text: &str) -> Self {
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        Self { path: path.to_owned(), text: text.to_owned(), code: code_only(text), is_test }
    }

    /// The code of its tests, which stand last.
    pub fn tests(&self) -> &str {
        &self.code[self.code_without_tests().len()..]
    }

    /// The code before the tests, which stand last; of a file of tests, nothing.
    pub fn code_without_tests(&self) -> &str {
        if self.is_test {
            return "";
        }
        let tests = self.test_modules().find(|(_, declaration)| !declaration.ends_with(';'));
        tests.map_or(&self.code, |(at, _)| &self.code[..at])
    }

    /// Every path it names that starts with `crate`, `super` or the name of a crate given, resolved: line and segments.
    /// `super` counts from the module that the file is, which is exact outside of modules within files.
    pub fn paths(&self, code: &str, crates: &[&str]) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (at, root) in roots(code, crates) {
            let line = code[..at].matches('\n').count() + 1;
            let mut leaves = Vec::new();
            expand(&mut Tokens::new(&code[at..]), &[], &mut leaves);
            for leaf in leaves {
                found.push((line, self.resolve(root, leaf)));
            }
        }
        found
    }

    /// Line, name and length of each function.
    pub fn functions(&self) -> Vec<(usize, String, usize)> {
        let mut functions = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let starts_word = self.code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
            let name: String = self.code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(end) = body_end(&self.code[at..]).filter(|_| starts_word && !name.is_empty()) else { continue };
            let line = self.code[..at].matches('\n').count() + 1;
            let length = self.code[at..at + end].matches('\n').count() + 1;
            functions.push((line, name, length));
        }
        functions
    }

    /// Where `#[cfg(test)]` stands before a module, and how that begins: `mod tests {` or `mod sample;`.
    fn test_modules(&self) -> impl Iterator<Item = (usize, &str)> {
        const ATTRIBUTE: &str = "#[cfg(test)]";
        self.code.match_indices(ATTRIBUTE).filter_map(|(at, _)| {
            let after = self.code[at + ATTRIBUTE.len()..].trim_start();
            let declaration = &after[..=after.find([';', '{'])?];
            declaration.split_whitespace().take(2).any(|word| word == "mod").then_some((at, declaration))
        })
    }

    /// Files of its test modules, without their extension.
    fn test_files(&self) -> Vec<String> {
        let folder = self.path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
        let declarations = self.test_modules().filter_map(|(_, declaration)| declaration.strip_suffix(';'));
        declarations
            .filter_map(|text| text.split_whitespace().next_back())
            .map(|name| format!("{folder}/{name}"))
            .collect()
    }

    /// `crate::a`, `super::b` and `other::c` as paths from a crate root: the crate's name first.
    fn resolve(&self, root: &str, leaf: Vec<String>) -> Vec<String> {
        let (own_crate, mut module) = module_of(&self.path);
        match root {
            "crate" => [vec![own_crate], leaf[1..].to_vec()].concat(),
            "super" => {
                let ups = leaf.iter().take_while(|segment| *segment == "super").count();
                module.truncate(module.len().saturating_sub(ups));
                [vec![own_crate], module, leaf[ups..].to_vec()].concat()
            }
            _ => leaf,
        }
    }
}

/// All Rust files below a folder of the workspace, sorted.
pub fn rust_files(folder: &str) -> Vec<Source> {
    let root = workspace();
    let files = files_below(&root.join(folder)).into_iter();
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut sources: Vec<Source> = rust
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Source::new(&from_root(&root, &path), &text)
        })
        .collect();
    let tests: Vec<String> = sources.iter().flat_map(Source::test_files).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.is_test |= tests.iter().any(|test| stem == test || stem.starts_with(&format!("{test}/")));
    }
    sources
}

/// All files below a folder, sorted; folders of build output left out.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target" || name == "artifacts") => {}
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Where the workspace is.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The path from the workspace root, with `/`.
pub fn from_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap()
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

/// The crate and the modules that a file is: `rig/src/report/text.rs` is `bandrig`, `report`, `text`.
fn module_of(path: &str) -> (String, Vec<String>) {
    let (member, inside) = path.split_once("/src/").unwrap_or((path, ""));
    let own_crate = if member == "sim" { "band_sim" } else { "bandrig" };
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let modules = inside.split('/').filter(|part| !matches!(*part, "" | "lib" | "main" | "mod"));
    (own_crate.to_owned(), modules.map(str::to_owned).collect())
}

/// Places where a path begins.
fn roots<'a>(code: &str, crates: &[&'a str]) -> Vec<(usize, &'a str)> {
    let mut places = Vec::new();
    for root in ["crate", "super"].into_iter().chain(crates.iter().copied()) {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '$') {
                places.push((at, root));
            }
        }
    }
    places.sort_unstable();
    places
}

/// Follows a use tree or a plain path: `a::{b, c::d}` gives `a b` and `a c d`.
fn expand(tokens: &mut Tokens<'_>, prefix: &[String], leaves: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    loop {
        match tokens.next() {
            Some("{") => loop {
                expand(tokens, &path, leaves);
                match tokens.next() {
                    Some(",") => {}
                    _ => return,
                }
            },
            Some("*") => path.push("*".to_owned()),
            Some(word) if word.starts_with(|c: char| c.is_alphanumeric() || c == '_') => path.push(word.to_owned()),
            _ => tokens.back(),
        }
        if tokens.next() != Some("::") {
            tokens.back();
            // What comes after is no part of a path; `as name` is skipped for the next branch.
            if tokens.next() == Some("as") {
                tokens.next();
            } else {
                tokens.back();
            }
            leaves.push(path);
            return;
        }
    }
}

/// Words and signs, one at a time, with one step back.
struct Tokens<'a> {
    rest: &'a str,
    before: &'a str,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, before: text }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.before = self.rest;
        let text = self.rest.trim_start();
        let first = text.chars().next()?;
        let length = if first.is_alphanumeric() || first == '_' {
            text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
        } else if text.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, rest) = text.split_at(length);
        self.rest = rest;
        Some(token)
    }

    fn back(&mut self) {
        self.rest = self.before;
    }
}

/// Where the body of the function at the start of `code` ends; `None` for a declaration.
fn body_end(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            ';' if depth == 0 => return None,
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && character == '}' {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The text with comments, strings and character literals blanked.
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_length(rest, code.chars().next_back());
        match length {
            0 => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
            length => {
                code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = &rest[length..];
            }
        }
    }
    code
}

/// Bytes of the comment or literal that `rest` begins with; 0 for code.
fn literal_length(rest: &str, before: Option<char>) -> usize {
    let upto = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return upto("*/", 2);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && let Some(hashes) = raw_string_hashes(rest) {
        let open = rest.find('"').unwrap_or(0) + 1;
        return upto(&format!("\"{}", "#".repeat(hashes)), open);
    }
    match rest.chars().next() {
        Some('"') => quoted_length(rest, '"'),
        // A lifetime has no closing quote after one character.
        Some('\'') if rest[1..].starts_with('\\') => quoted_length(rest, '\''),
        Some('\'') => match rest[1..].chars().next() {
            Some(c) if rest[1 + c.len_utf8()..].starts_with('\'') => 2 + c.len_utf8(),
            _ => 0,
        },
        _ => 0,
    }
}

/// Hashes of a raw string that `rest` begins with.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = raw.chars().take_while(|&c| c == '#').count();
    raw[hashes..].starts_with('"').then_some(hashes)
}

/// Bytes up to the closing quote, over escapes.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
