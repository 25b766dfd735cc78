//! From [`Node`]s to types: a serde deserializer whose errors know their place, and a way to find more than one of them.
//!
//! Short forms live here: a struct of [`SHORT`] may be written as the value of its first field (`request_code: debit`).

#![allow(clippy::result_large_err, reason = "an error ends the reading of a value")]

use std::fmt::Display;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use super::error::FileError;
use super::node::{Node, Shape};
use super::span::{AT, Span};

/// Structs that may be written as the value of one field: the struct and the field.
pub(super) const SHORT: [(&str, &str); 18] = [
    ("SignIn", "account"),
    ("LinkBand", "confirm"),
    ("UpdateApp", "to"),
    ("FactoryReset", "from"),
    ("RequestCode", "card"),
    ("OneCard", "card"),
    ("Reorder", "cards"),
    ("Wait", "time"),
    ("Press", "key"),
    ("SetTime", "to"),
    ("Authenticate", "key"),
    ("NfcChannel", "do"),
    ("Retry", "step"),
    ("FaultAt", "at"),
    ("CardRow", "as"),
    ("EntryRow", "amount"),
    ("Tap", "amount"),
    ("Sweeps", "points"),
];

/// Reads a value and tells every mistake in it: after each, the entry it stands in is left out and the rest is read again. What
/// comes back beside mistakes lacks those entries; it still shows what else is wrong.
pub(super) fn read<T: DeserializeOwned>(node: &Node, owner: &str, errors: &mut Vec<FileError>) -> Option<T> {
    const MOST: usize = 20;
    let mut left_out: Vec<String> = Vec::new();
    let mut node = node.clone();
    loop {
        let mistake = match T::deserialize(Walk { node: &node, owner }) {
            Ok(value) => return Some(value),
            Err(mistake) => mistake,
        };
        let entry = mistake.entry.clone();
        // A field that was left out because its value is wrong is not missing; without it, all that it belongs to is left out.
        if !matches!(&mistake.kind, Kind::Missing(field) if left_out.contains(field)) {
            errors.push(mistake.into_file_error(&node, owner));
        }
        let entry = entry.filter(|_| left_out.len() < MOST)?;
        left_out.push(entry.key);
        node = node.without(&entry.span);
    }
}

/// A mistake on its way up to where its place and its owner are known.
#[derive(Debug)]
struct Mistake {
    kind: Kind,
    span: Option<Span>,
    /// The word under which it stands: `add_card`, `outcome`.
    owner: Option<String>,
    /// The innermost entry of a map or list around it.
    entry: Option<Entry>,
    filled_in: Option<String>,
    note: Option<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    span: Span,
}

#[derive(Debug)]
enum Kind {
    Words(String),
    Missing(String),
    UnknownField { field: String, known: &'static [&'static str] },
    UnknownWord { word: String, known: &'static [&'static str] },
}

impl Mistake {
    fn new(kind: Kind) -> Self {
        Self { kind, span: None, owner: None, entry: None, filled_in: None, note: None }
    }

    /// Stands at this node, unless a place closer by is known. What is missing stands at its owner instead.
    fn at(mut self, node: &Node) -> Self {
        if self.span.is_none() && !matches!(self.kind, Kind::Missing(_)) {
            self.span = Some(node.span.clone());
            self.filled_in = node.filled_in.as_deref().map(str::to_owned);
        }
        self
    }

    /// Stands in the entry with this key.
    fn inside(mut self, key: &Node) -> Self {
        if self.entry.is_none() {
            self.entry = Some(Entry { key: key.key().to_owned(), span: key.span.clone() });
        }
        self.under(key)
    }

    /// Belongs to this word.
    fn under(mut self, key: &Node) -> Self {
        if self.owner.is_none() {
            self.owner = Some(key.key().to_owned());
        }
        if self.span.is_none() {
            self.span = Some(key.span.clone());
        }
        self
    }

    fn element(mut self, node: &Node) -> Self {
        if self.span.is_none() {
            self.span = Some(node.span.clone());
        }
        if self.entry.is_none() {
            self.entry = Some(Entry { key: String::new(), span: node.span.clone() });
        }
        self
    }

    fn into_file_error(self, root: &Node, owner: &str) -> FileError {
        let span = self.span.unwrap_or_else(|| root.span.clone());
        let owner = self.owner.as_deref().unwrap_or(owner);
        let error = match self.kind {
            Kind::Words(words) => FileError::at(&span, words),
            Kind::Missing(field) => {
                FileError::at(&span, format!("`{field}` is missing in `{owner}`")).hint(format!("add `{field}: …`"))
            }
            Kind::UnknownField { field, known } => {
                let error = FileError::at(&span, format!("`{field}` is not a field of `{owner}`"));
                if matches!(field.as_str(), "expect" | "faults" | "repeat" | "id") {
                    error.hint(format!("`{field}` stands beside `{owner}`, not in it: indent it less"))
                } else if known.is_empty() {
                    error.note(format!("`{owner}` takes no fields"))
                } else {
                    error.allowed("fields", &field, known)
                }
            }
            Kind::UnknownWord { word, known } => {
                FileError::at(&span, format!("`{word}` is not a word for `{owner}`")).allowed("words", &word, known)
            }
        };
        [self.note, self.filled_in].into_iter().flatten().fold(error, FileError::note)
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: Display>(words: T) -> Self {
        Self::new(Kind::Words(words.to_string()))
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", describe(got)))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(got, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownWord { word: word.to_owned(), known })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing(field.to_owned()))
    }
}

fn describe(got: Unexpected<'_>) -> String {
    match got {
        Unexpected::Str(text) => format!("`{}`", text.escape_debug()),
        Unexpected::Unit => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

/// A node on its way into a type.
#[derive(Clone, Copy)]
struct Walk<'a> {
    node: &'a Node,
    /// The key it stands under.
    owner: &'a str,
}

impl Walk<'_> {
    fn wrong(self, expected: &str) -> Mistake {
        let owner = self.owner;
        let found = self.node.describe();
        let words = match &self.node.shape {
            Shape::Empty if owner.is_empty() => format!("expected {expected}, found nothing"),
            Shape::Empty => format!("`{owner}` has no value; expected {expected}"),
            _ if owner.is_empty() => format!("expected {expected}, found {found}"),
            _ => format!("`{owner}` takes {expected}, not {found}"),
        };
        Mistake::new(Kind::Words(words)).at(self.node)
    }

    /// In decimal, or as YAML writes hex: `0x96`.
    fn number<T: std::str::FromStr + TryFrom<u64>>(
        self,
        least: impl Display,
        most: impl Display,
    ) -> Result<T, Mistake> {
        let expected = format!("a whole number from {least} to {most}");
        let text = self.node.text().ok_or_else(|| self.wrong(&expected))?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().and_then(|number| T::try_from(number).ok()),
            None => text.parse().ok(),
        };
        number.ok_or_else(|| self.wrong(&expected))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            visitor.$visit(self.number::<$type>(<$type>::MIN, <$type>::MAX)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.shape {
            Shape::Text { text, .. } => visitor.visit_str(text).map_err(|mistake: Mistake| mistake.at(self.node)),
            Shape::List(_) => self.deserialize_seq(visitor),
            Shape::Map(_) => self.deserialize_map(visitor),
            Shape::Empty => Err(self.wrong(&expected(&visitor))),
            Shape::Include(_) => Err(Mistake::new(Kind::Words(
                "`!include` cannot stand here; it brings steps into a list of steps".into(),
            ))
            .at(self.node)),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.node.text() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.shape {
            Shape::Text { text, .. } => visitor.visit_str(text).map_err(|mistake: Mistake| mistake.at(self.node)),
            _ => Err(self.wrong(&expected(&visitor))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        match name {
            AT => visitor.visit_seq(WithSpan { walk: self, next: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
        .map_err(|mistake| mistake.at(self.node))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.shape {
            Shape::List(items) => visitor.visit_seq(Items { items: items.iter(), owner: self.owner }),
            Shape::Text { .. } => Err(self.wrong(&format!("a list such as `[{}]`", self.node.line()))),
            _ => Err(self.wrong("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.shape {
            Shape::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
            _ => Err(self.wrong("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let short = SHORT.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
        match (&self.node.shape, short) {
            (Shape::Map(entries), _) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
            (Shape::Empty, _) => {
                visitor.visit_map(Entries { entries: [].iter(), value: None }).map_err(|mistake| {
                    match (&mistake.kind, short) {
                        (Kind::Missing(field), Some(short)) if field == short => {
                            Mistake { kind: Kind::Words(format!("`{}` needs a value", self.owner)), ..mistake }
                        }
                        _ => mistake,
                    }
                })
            }
            (Shape::Text { .. } | Shape::List(_), Some(field)) => {
                visitor.visit_map(Short { field: Some(field), walk: self })
            }
            _ if fields.is_empty() => {
                Err(Mistake::new(Kind::Words(format!("`{}` stands alone, without a value", self.owner))).at(self.node))
            }
            _ => Err(Mistake { note: Some(format!("fields: {}", fields.join(", "))), ..self.wrong("a map") }),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match &self.node.shape {
            Shape::Text { .. } => visitor.visit_enum(Variant { word: self.node, value: None }),
            Shape::Map(entries) => match entries.as_slice() {
                [(word, value)] => visitor.visit_enum(Variant { word, value: Some(value) }),
                [_, (second, _), ..] => {
                    let words = format!("`{}` needs an item of its own", second.key());
                    Err(Mistake::new(Kind::Words(words)).at(second))
                }
                [] => Err(self.wrong("one word")),
            },
            _ => Err(self.wrong("one word")),
        }
        .map_err(|mistake| mistake.at(self.node))
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

fn expected(visitor: &dyn de::Expected) -> String {
    match visitor.to_string().as_str() {
        "a string" => "text".into(),
        other => other.into(),
    }
}

/// Hands [`super::span::At`] its value, then its place.
struct WithSpan<'a> {
    walk: Walk<'a>,
    next: u8,
}

impl<'de> SeqAccess<'de> for WithSpan<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(self.walk).map(Some),
            2 => {
                let place: StringDeserializer<Mistake> = self.walk.node.span.to_wire().into_deserializer();
                seed.deserialize(place).map(Some)
            }
            _ => Ok(None),
        }
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    owner: &'a str,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some(item) = self.items.next() else { return Ok(None) };
        seed.deserialize(Walk { node: item, owner: self.owner }).map(Some).map_err(|mistake| mistake.element(item))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a (Node, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let (key, _) = entry;
        seed.deserialize(Walk { node: key, owner: "" }).map(Some).map_err(|mistake| {
            let mistake = mistake.at(key);
            // The owner of an unknown field is the map around it.
            Mistake { entry: Some(Entry { key: key.key().to_owned(), span: key.span.clone() }), ..mistake }
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Walk { node: value, owner: key.key() }).map_err(|mistake| mistake.inside(key))
    }
}

/// The short form of a struct: its first field.
struct Short<'a> {
    field: Option<&'static str>,
    walk: Walk<'a>,
}

impl<'de> MapAccess<'de> for Short<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some(field) = self.field.take() else { return Ok(None) };
        let field: StrDeserializer<'_, Mistake> = field.into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        seed.deserialize(self.walk)
    }
}

struct Variant<'a> {
    word: &'a Node,
    value: Option<&'a Node>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let word = seed.deserialize(Walk { node: self.word, owner: "" }).map_err(|mistake| mistake.at(self.word))?;
        Ok((word, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.value {
            None => Ok(()),
            Some(value) => {
                let words = format!("`{}` stands alone, without a value", self.word.key());
                Err(Mistake::new(Kind::Words(words)).at(value))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        // A bare word is its struct with nothing said.
        let nothing = Node::new(self.word.span.clone(), Shape::Empty);
        let node = self.value.unwrap_or(&nothing);
        seed.deserialize(Walk { node, owner: self.word.key() }).map_err(|mistake| mistake.under(self.word))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mistake> {
        Err(de::Error::custom("the language has no tuples"))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        let nothing = Node::new(self.word.span.clone(), Shape::Empty);
        let node = self.value.unwrap_or(&nothing);
        Walk { node, owner: self.word.key() }
            .deserialize_struct("", fields, visitor)
            .map_err(|mistake| mistake.under(self.word))
    }
}
