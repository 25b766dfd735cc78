//! The JSON schema of a scenario file, for editors. Made from the same types that read the files.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::cloud::api::{AuthorisationReason, CardState, OtpMethod, Refusal};

/// The words of an enum, as serde reads it.
pub(super) fn words_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut words: &'static [&'static str] = &[];
    // The deserializer fails by design, after it has noted the words.
    let _ = T::deserialize(WordCatcher(&mut words));
    words
}

/// The fields of a struct, as serde reads it.
pub(super) fn fields_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    words_of::<T>()
}

struct WordCatcher<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for WordCatcher<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only words are asked for"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        Err(de::Error::custom("only words are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("only words are asked for"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

pub(super) fn otp_method(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": words_of::<OtpMethod>() })
}

pub(super) fn authorisation_reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": words_of::<AuthorisationReason>() })
}

pub(super) fn card_state(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": words_of::<CardState>() })
}

pub(super) fn refused(_: &mut SchemaGenerator) -> Schema {
    let mut words = vec!["any"];
    words.extend(words_of::<Refusal>());
    json_schema!({ "anyOf": [{ "enum": words }, { "type": "array", "items": { "enum": words_of::<Refusal>() } }] })
}
