//! A value of a profile and how sure we are of it: read in a public source, or assumed until a real band says otherwise.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Read in a public source: a dump of a real band, an open client, a specification.
    Public,
    /// No source was found; the value is our choice and waits to be checked against a real band.
    Assumed,
}

/// A value with its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked<T> {
    /// The value itself.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
    /// Anything a reader of the profile should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl<T> Marked<T> {
    /// A value read in a public source.
    pub const fn public(value: T) -> Self {
        Self { value, source: Source::Public, note: None }
    }

    /// A value no source states.
    pub const fn assumed(value: T) -> Self {
        Self { value, source: Source::Assumed, note: None }
    }
}
