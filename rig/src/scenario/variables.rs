//! `${name}`: filled into the tree before it is read as types, so a variable may stand for any value.

use std::collections::{BTreeMap, BTreeSet};

use super::error::FileError;
use super::node::{Node, Shape};

/// The variables of one case, and which of them were used.
pub(super) struct Variables<'a> {
    values: &'a BTreeMap<String, Node>,
    /// Names that occurred.
    pub used: BTreeSet<String>,
    /// What was wrong.
    pub errors: Vec<FileError>,
}

impl<'a> Variables<'a> {
    pub fn new(values: &'a BTreeMap<String, Node>) -> Self {
        Self { values, used: BTreeSet::new(), errors: Vec::new() }
    }

    /// The same tree with every `${name}` filled in. Keys are left as they are.
    pub fn fill(&mut self, node: &Node) -> Node {
        let shape = match &node.shape {
            Shape::Text { text, plain } if text.contains("${") => return self.text(node, text, *plain),
            Shape::List(items) => Shape::List(items.iter().map(|item| self.fill(item)).collect()),
            Shape::Map(entries) => {
                Shape::Map(entries.iter().map(|(key, value)| (key.clone(), self.fill(value))).collect())
            }
            other => other.clone(),
        };
        node.reshaped(shape)
    }

    fn text(&mut self, node: &Node, text: &str, plain: bool) -> Node {
        let mut filled = String::new();
        let mut said = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let Some(end) = from.find('}') else {
                self.errors.push(FileError::at(&node.span, "`${` is never closed").hint("write `${name}`"));
                return node.clone();
            };
            let name = from.get(2..end).unwrap_or_default();
            rest = from.get(end + 1..).unwrap_or_default();
            let Some(value) = self.values.get(name) else {
                let known: Vec<_> = self.values.keys().collect();
                let error = FileError::at(&node.span, format!("there is no variable `{name}`"));
                self.errors.push(error.allowed("variables", name, &known));
                continue;
            };
            self.used.insert(name.to_owned());
            said.push(format!("${{{name}}} is {} here", value.describe()));
            // A variable that is the whole value may be a list or a map, and keeps its own place.
            let whole = before.is_empty() && rest.is_empty() && filled.is_empty();
            match &value.shape {
                Shape::Text { text, .. } => filled.push_str(text),
                _ if whole => return value.clone(),
                _ => {
                    let words = format!("`${{{name}}}` is {}, which cannot stand inside a text", value.describe());
                    self.errors.push(FileError::at(&node.span, words));
                }
            }
        }
        filled.push_str(rest);
        Node {
            span: node.span.clone(),
            // In reports the value stands without the quotes that its `${…}` needed in YAML.
            shape: Shape::Text { plain: plain || is_plain(&filled), text: filled },
            filled_in: Some(said.join(", ").into()),
        }
    }
}

/// Whether a text means the same without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '+' | '*' | '/'))
}

/// Whether a text can be the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
