//! The only place that knows the YAML crate: text in, a tree of [`Node`]s out, or what is wrong with the text.
//!
//! The tree is untyped, so one wrong word does not hide the next. Anchors and aliases work within limits that an alias bomb
//! meets early; `!include` is left to [`load`](super::load), which knows the files.

#![allow(clippy::result_large_err, reason = "an error ends the reading of a file")]

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Location, Spanned, Tagged};

use super::de::read;
use super::error::FileError;
use super::node::{Node, Shape};
use super::span::Span;

/// Reads one document. Syntax ends at the first mistake; duplicate keys, foreign tags and the like are all told.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Node, Vec<FileError>> {
    let tabs = indenting_tabs(file, text);
    if !tabs.is_empty() {
        return Err(tabs);
    }
    let raw: Raw = serde_yaml::from_str_with_options(text, limits(DuplicateKeyPolicy::PassThrough))
        .map_err(|error| vec![explain(file, text, &error)])?;
    let mut tree = Tree { file, text, errors: Vec::new() };
    let node = tree.node(raw);
    if tree.errors.is_empty() { Ok(node) } else { Err(tree.errors) }
}

/// Reads a document of plain values, such as a fixture.
///
/// What is wrong is told by the YAML crate, which knows all of YAML; what else is wrong by [`read`], on other lines.
pub(super) fn typed<T: DeserializeOwned>(file: &Arc<str>, text: &str) -> Result<T, Vec<FileError>> {
    let error = match serde_yaml::from_str_with_options(text, limits(DuplicateKeyPolicy::Error)) {
        Ok(value) => return Ok(value),
        Err(error) => value(file, text, &error),
    };
    // After a tab the parser finds fault with anything but the tab.
    let tabs = indenting_tabs(file, text);
    if !tabs.is_empty() {
        return Err(tabs);
    }
    let mut others = Vec::new();
    if let Ok(node) = parse(file, text) {
        let name = file.rsplit('/').next().unwrap_or(file);
        let _: Option<T> = read(&node, name, &mut others);
    }
    others.retain(|other| other.span.line != error.span.line);
    let mut errors = vec![error];
    errors.append(&mut others);
    errors.sort_by_key(|error| error.span.line);
    Err(errors)
}

/// What a file may hold before it is taken for an attack.
fn limits(duplicate_keys: DuplicateKeyPolicy) -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: 24,
            flow_nesting_limit: 24,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 2,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 50_000, max_replay_stack_depth: 8 },
        duplicate_keys: duplicate_keys,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// What the YAML crate hands over: value, tag and place of each node.
struct Raw(Spanned<Tagged<RawShape>>);

enum RawShape {
    Text(String),
    /// A number or a truth value; its text is read from the source.
    Bare,
    Empty,
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawShape, E> {
        Ok(RawShape::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<RawShape, E> {
        Ok(RawShape::Bare)
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawShape, E> {
        Ok(RawShape::Empty)
    }

    fn visit_none<E: de::Error>(self) -> Result<RawShape, E> {
        Ok(RawShape::Empty)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawShape, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawShape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawShape, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawShape::Map(map))
    }
}

struct Tree<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    errors: Vec<FileError>,
}

impl Tree<'_> {
    fn node(&mut self, Raw(raw): Raw) -> Node {
        let Tagged(shape, tag) = raw.value;
        // An alias stands where it is written out: that is the text to put right.
        let span = self.span(raw.defined);
        let source = source(self.text, raw.defined);
        let shape = match shape {
            RawShape::Empty => Shape::Empty,
            RawShape::Bare => Shape::Text { text: source.unwrap_or_default().to_owned(), plain: true },
            RawShape::Text(text) => {
                // Titles and texts reach terminals and reports.
                if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                    let words = format!("a control character stands here: `{}`", control.escape_debug());
                    self.errors.push(FileError::at(&span, words));
                }
                let plain = !source.is_some_and(|source| source.starts_with(['"', '\'']));
                Shape::Text { text, plain }
            }
            RawShape::List(items) => Shape::List(items.into_iter().map(|item| self.node(item)).collect()),
            RawShape::Map(entries) => self.map(entries),
        };
        match (tag.as_deref(), shape) {
            (Some("!include"), Shape::Text { text, .. }) => Node::new(span, Shape::Include(text)),
            (Some("!include"), shape) => {
                self.errors.push(
                    FileError::at(&span, "`!include` takes the path of a file")
                        .hint("write `!include fragments/name.yaml`"),
                );
                Node::new(span, shape)
            }
            (Some(tag), shape) if !tag.starts_with("tag:yaml.org,2002:") => {
                let error = FileError::at(&span, format!("`{tag}` is not a tag of the scenario language"));
                self.errors.push(error.note("the only tag is `!include`"));
                Node::new(span, shape)
            }
            (_, shape) => Node::new(span, shape),
        }
    }

    fn map(&mut self, entries: Vec<(Raw, Raw)>) -> Shape {
        let mut map: Vec<(Node, Node)> = Vec::new();
        for (key, value) in entries {
            let (key, value) = (self.node(key), self.node(value));
            if key.text().is_none() {
                self.errors
                    .push(FileError::at(&key.span, format!("{} cannot be a key; keys are words", key.describe())));
                continue;
            }
            if let Some((first, _)) = map.iter().find(|(known, _)| known.key() == key.key()) {
                let error = FileError::at(&key.span, format!("`{}` is written twice", key.key()));
                self.errors.push(error.hint("take one out").note(format!("first written in line {}", first.span.line)));
                continue;
            }
            map.push((key, value));
        }
        Shape::Map(map)
    }

    fn span(&self, location: Location) -> Span {
        let mut span = place(self.file, location);
        // A multi-line value is marked on its first line only.
        if let Some(line) = source(self.text, location).and_then(|source| source.lines().next()) {
            span.length = u32::try_from(line.chars().count()).unwrap_or(1).max(1);
        }
        span
    }
}

/// The text of a node as it stands in the file.
fn source(text: &str, location: Location) -> Option<&str> {
    let from = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    text.get(from..from.checked_add(length)?)
}

fn place(file: &Arc<str>, location: Location) -> Span {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Span { file: file.clone(), line: number(location.line()), column: number(location.column()), length: 1 }
}

/// Tabs at the start of a line: YAML forbids them there, and they look like spaces.
fn indenting_tabs(file: &Arc<str>, text: &str) -> Vec<FileError> {
    let mut errors = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let Some(tab) = line.get(..indent).and_then(|indent| indent.find('\t')) else { continue };
        if line.trim().is_empty() {
            continue;
        }
        let length = u32::try_from(indent - tab).unwrap_or(1);
        let column = u32::try_from(tab + 1).unwrap_or(1);
        let span = Span { file: file.clone(), line: number, column, length };
        errors.push(FileError::at(&span, "a tab indents this line").hint("YAML indents with spaces only"));
    }
    errors
}

/// Says what is wrong with a value; of a document that is no YAML, why.
fn value(file: &Arc<str>, text: &str, error: &Error) -> FileError {
    let span = place(file, error.location().unwrap_or(Location::UNKNOWN));
    let at = |message: String| {
        // The whole word stands under the marks.
        let length = word_at(text, &span);
        FileError::at(&Span { length, ..span.clone() }, message)
    };
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            at(format!("`{field}` is not a field here")).allowed("fields", field, expected)
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            at(format!("`{variant}` is not a word here")).allowed("words", variant, expected)
        }
        Error::SerdeMissingField { field, .. } => {
            at(format!("`{field}` is missing")).hint(format!("add `{field}: …` to this map"))
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            at(format!("{expected} stands here, not {unexpected}"))
        }
        Error::SerdeInvalidLength { len, expected, .. } => at(format!("{expected} stands here, not {len} values")),
        Error::InvalidScalar { ty, .. } => at(match *ty {
            "boolean" | "bool" => "this is neither `true` nor `false`".to_owned(),
            ty if ty.starts_with(['u', 'i']) => format!("this is not a whole number ({ty})"),
            ty => format!("this is not {ty}"),
        }),
        Error::DuplicateMappingKey { key, .. } => {
            at(format!("`{}` is written twice", key.as_deref().unwrap_or("this key"))).hint("take one out")
        }
        Error::Message { msg, .. } | Error::SerdeVariantId { msg, .. } => at(msg.clone()),
        Error::AliasError { error, .. } => FileError { span: span.clone(), ..value(file, text, error) },
        _ => explain(file, text, error),
    }
}

/// How long the word at a place is, in characters.
fn word_at(text: &str, span: &Span) -> u32 {
    let index = |number: u32| usize::try_from(number).unwrap_or(1).saturating_sub(1);
    let line = text.lines().nth(index(span.line)).unwrap_or_default();
    let rest = || line.chars().skip(index(span.column));
    let quoted = rest().next().filter(|first| matches!(first, '"' | '\''));
    let length = match quoted {
        Some(quote) => rest().skip(1).take_while(|c| *c != quote).count() + 2,
        None => rest().take_while(|c| c.is_alphanumeric() || "_-.+".contains(*c)).count(),
    };
    u32::try_from(length).unwrap_or(1).max(1)
}

const BOMB: &str = "aliases blow this file up beyond all measure";
const BOMB_NOTE: &str = "an alias of an alias of an alias multiplies; write the steps out";

/// Says what the YAML crate found in words that help an author.
fn explain(file: &Arc<str>, text: &str, error: &Error) -> FileError {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let span = place(file, location);
    let at = |message: &str| FileError::at(&span, message);
    match error.without_snippet() {
        Error::MultipleDocuments { .. } => {
            at("a second document starts here").note("a file holds one scenario; `---` starts another document")
        }
        Error::UnknownAnchor { .. } => {
            at("this alias has no anchor").hint("write `&name` where the value first stands")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => at("this alias stands inside its own anchor"),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => at("`<<` merges a map, or a list of maps"),
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => at(BOMB).note(BOMB_NOTE),
        Error::AliasError { error, .. } => FileError { span: span.clone(), ..explain(file, text, error) },
        Error::UnsupportedIncludeForm { .. } => {
            at("`!include` takes the path of a file").hint("write `!include fragments/name.yaml`")
        }
        Error::Budget { breach, .. } => match format!("{breach:?}") {
            breach if breach.starts_with("Depth") => at("values are nested too deep; 24 levels are the limit"),
            breach if breach.contains("Alias") || breach.contains("Anchor") => at(BOMB).note(BOMB_NOTE),
            _ => at("this file holds more values than any scenario needs").note("100 000 values are the limit"),
        },
        other => syntax(&span, text, &other.to_string()),
    }
}

/// The parser's own words for broken syntax, and ours.
fn syntax(span: &Span, text: &str, said: &str) -> FileError {
    let said = said.split(" at line ").next().unwrap_or(said);
    if let Some(quote) = said.contains("quoted scalar").then(|| open_quote(text, span)).flatten() {
        return FileError::at(&quote, "this quote is never closed").hint("close it on the same line");
    }
    let near = |message: &str| FileError::at(span, message);
    if said.contains("unclosed bracket") {
        return near("this bracket is never closed");
    }
    if said.contains("mapping values are not allowed") || said.contains("illegal placement of ':'") {
        return near("a `:` makes no sense here").note(match second_colon(text, span) {
            true => "a text with `: ` in it needs quotes",
            false => "the line before may lack its `:`, a bracket may be open, or the indentation may not fit",
        });
    }
    if said.contains("did not find expected key") || said.contains("did not find expected '-'") {
        return near("this line does not fit into what stands above it")
            .note("lines of the same map or list start in the same column");
    }
    if said.contains("recursion limit") {
        return near("values are nested too deep; 24 levels are the limit");
    }
    if said.contains("alias replay") {
        return near(BOMB).note(BOMB_NOTE);
    }
    if said.contains("unknown escape") {
        return near("unknown escape in a quoted text")
            .note("in double quotes `\\` is special: write `\\\\`, or use single quotes");
    }
    if said.contains("unexpected character") {
        return near("this character cannot stand here").note("a text that starts with it needs quotes");
    }
    near(&format!("this is not YAML: {said}"))
}

/// Whether the line has a `: ` before this one.
fn second_colon(text: &str, span: &Span) -> bool {
    let line = text.lines().nth(usize::try_from(span.line).unwrap_or(1).saturating_sub(1)).unwrap_or_default();
    let before = usize::try_from(span.column).unwrap_or(1).saturating_sub(1);
    line.chars().take(before).collect::<String>().contains(": ")
}

/// The nearest quote before a place that has no partner on its line.
fn open_quote(text: &str, end: &Span) -> Option<Span> {
    let last = usize::try_from(end.line).unwrap_or(usize::MAX);
    let lines: Vec<_> = text.lines().zip(1_u32..).take(last).collect();
    lines.into_iter().rev().find_map(|(line, number)| {
        let column = unpaired_quote(line)?;
        Some(Span { file: end.file.clone(), line: number, column: u32::try_from(column).ok()? + 1, length: 1 })
    })
}

fn unpaired_quote(line: &str) -> Option<usize> {
    let mut open: Option<(char, usize)> = None;
    let mut previous = ' ';
    for (column, c) in line.chars().enumerate() {
        match open {
            None if c == '#' && previous.is_whitespace() => return None,
            // A quote opens a text only where a value may start; elsewhere it is an apostrophe.
            None if matches!(c, '"' | '\'') && matches!(previous, ' ' | '[' | '{' | ',' | ':' | '-') => {
                open = Some((c, column))
            }
            Some((quote, _)) if quote == c && previous != '\\' => open = None,
            _ => {}
        }
        previous = c;
    }
    open.map(|(_, column)| column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What [`read`] finds in a fixture that is right.
    fn told<T: DeserializeOwned>(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let file: Arc<str> = path.display().to_string().into();
        assert!(typed::<T>(&file, &text).is_ok(), "{file}");
        let mut errors = Vec::new();
        let node = parse(&file, &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let _: Option<T> = read(&node, "", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_of_a_fixture_is_told_in_its_place() {
        let right = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/cards/mastercard-debit.yaml"),
        )
        .unwrap();
        let wrong = right
            .replace("expiry: \"3012\"", "expiry: \"3013\"")
            .replace("cvn: \"14\"", "cvn: \"99\"")
            .replace("  smi: \"", "  smi: \"00 ")
            .replace("languages:", "langauges:")
            .replace("consecutive: 0", "consecutive: none");
        let Err(errors) = typed::<crate::cloud::product::CardProduct>(&"debit.yaml".into(), &wrong) else {
            panic!("five mistakes")
        };
        let shown = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lines = |text: &str| wrong.lines().position(|line| line.contains(text)).unwrap() + 1;
        let expected = [
            (lines("3013"), "no month 13"),
            (lines("langauges"), "`languages`"),
            (lines("\"99\""), "known are 0A"),
            (lines("smi"), "16 bytes"),
            (lines("none"), "`consecutive` takes a whole number"),
        ];
        assert_eq!(shown.len(), expected.len(), "{shown:#?}");
        for (shown, (line, words)) in shown.iter().zip(expected) {
            assert!(shown.starts_with(&format!("debit.yaml:{line}:")) && shown.contains(words), "{shown}: {words}");
        }
    }

    #[test]
    fn what_is_right_in_a_fixture_is_not_told_as_a_mistake() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let mut found = Vec::new();
        found.extend(told::<Vec<crate::cloud::account::AccountRecord>>(&root.join("accounts.yaml")));
        found.extend(told::<crate::cloud::warranty::WarrantyRegistry>(&root.join("warranty/registry.yaml")));
        found.extend(told::<crate::cloud::certificates::CardKeys>(&root.join("keys/issuers.yaml")));
        found.extend(told::<Vec<crate::terminal::config::CaPublicKey>>(&root.join("keys/authorities.yaml")));
        let mut folder = |name: &str, told: fn(&Path) -> Vec<String>| {
            let files = std::fs::read_dir(root.join(name)).unwrap();
            found.extend(files.flat_map(|file| told(&file.unwrap().path())));
        };
        folder("cards", told::<crate::cloud::product::CardProduct>);
        folder("terminals", told::<crate::terminal::config::TerminalConfig>);
        folder("profiles", told::<band_sim::band::profile::BandProfile>);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
