//! A YAML document as a tree in which every node knows its place. Between the YAML crate and the types.

use std::sync::Arc;

use super::span::Span;

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub shape: Shape,
    /// The variables that were filled in, for messages: `` `${after}` is `10` here ``.
    pub filled_in: Option<Arc<str>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Nothing stands there.
    Empty,
    /// Text, numbers and truth values: their text. `plain` = without quotes.
    Text { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A map, in order. Keys are text.
    Map(Vec<(Node, Node)>),
    /// `!include path`.
    Include(String),
}

impl Node {
    /// A node that stands at a place.
    pub fn new(span: Span, shape: Shape) -> Self {
        Self { span, shape, filled_in: None }
    }

    /// Another shape in the place of this one.
    pub fn reshaped(&self, shape: Shape) -> Self {
        Self { span: self.span.clone(), shape, filled_in: self.filled_in.clone() }
    }

    /// The text of a text node.
    pub fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a key. Keys are text by construction.
    pub fn key(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        match &self.shape {
            Shape::Empty => "nothing".into(),
            Shape::Text { text, .. } if text.chars().count() > 40 => "a long text".into(),
            Shape::Text { text, .. } => format!("`{}`", text.escape_debug()),
            Shape::List(_) => "a list".into(),
            Shape::Map(_) => "a map".into(),
            Shape::Include(_) => "an `!include`".into(),
        }
    }

    /// The value of a key of a map.
    pub fn entry(&self, key: &str) -> Option<&(Self, Self)> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|(known, _)| known.key() == key),
            _ => None,
        }
    }

    /// The same tree without the entry or element at a place.
    pub fn without(&self, place: &Span) -> Self {
        let shape = match &self.shape {
            Shape::List(items) => {
                Shape::List(items.iter().filter(|item| item.span != *place).map(|item| item.without(place)).collect())
            }
            Shape::Map(entries) => {
                let kept = entries.iter().filter(|(key, _)| key.span != *place);
                Shape::Map(kept.map(|(key, value)| (key.clone(), value.without(place))).collect())
            }
            other => other.clone(),
        };
        Self { shape, ..self.clone() }
    }

    /// In one line, as YAML.
    pub fn line(&self) -> String {
        match &self.shape {
            Shape::Empty => String::new(),
            Shape::Text { text, plain: true } => text.clone(),
            Shape::Text { text, plain: false } => format!("\"{}\"", text.escape_debug()),
            Shape::Include(path) => format!("!include {path}"),
            Shape::List(items) => {
                let items: Vec<_> = items.iter().map(Self::line).collect();
                format!("[{}]", items.join(", "))
            }
            Shape::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| format!("{}: {}", key.line(), value.line())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }
}
