//! Where a value stands in its file. Every value that can be wrong for a reason found later carries its place.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// A stretch of one line of one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Path relative to the scenario root, with `/`; `--var` for a value from the command line.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters, at least 1.
    pub length: u32,
}

impl Span {
    /// As text, for the way through serde.
    pub(super) fn to_wire(&self) -> String {
        format!("{}:{}:{}:{}", self.line, self.column, self.length, self.file)
    }

    fn from_wire(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':');
        let mut number = || parts.next()?.parse().ok();
        let (line, column, length) = (number()?, number()?, number()?);
        Some(Self { file: parts.next()?.into(), line, column, length })
    }
}

impl Default for Span {
    /// Nowhere: the place of a default that no file states.
    fn default() -> Self {
        Self { file: Arc::from(""), line: 0, column: 0, length: 1 }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}+{}", self.length)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value and where it stands. In YAML and in the JSON schema it is just the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> At<T> {
    /// A default that no file states.
    pub fn nowhere(value: T) -> Self {
        Self { value, span: Span::default() }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The newtype name by which [`At`] asks the deserializer of `yaml` for a place.
pub(super) const AT: &str = "bandrig::At";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueThenPlace<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ValueThenPlace<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value and its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let value = parts.next_element()?.ok_or_else(|| A::Error::custom("a value is missing"))?;
                let place: Option<String> = parts.next_element()?;
                Ok(At { value, span: place.and_then(|place| Span::from_wire(&place)).unwrap_or_default() })
            }
        }

        deserializer.deserialize_newtype_struct(AT, ValueThenPlace(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
