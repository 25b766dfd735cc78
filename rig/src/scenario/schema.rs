//! The JSON schema of a scenario file, for editors. Made from the same types that read the files, so it cannot fall behind them.
//!
//! What serde and the schema derive cannot know is added here: short forms, bare verbs, `${name}` wherever a value may stand.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::{Map, Value, json};

use super::de::SHORT;
use super::expect::Expect;
use super::fault::{Fault, Sweep};
use super::file::Given;
use super::rules;
use super::step::Verb;
use crate::cloud::api::{AuthorisationReason, CardState, OtpMethod, Refusal};

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>().to_value();
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        for (name, field) in SHORT {
            if let Some(definition) = definitions.get_mut(name) {
                *definition = with_short_form(definition, field);
            }
        }
        step_from_verbs(definitions);
        let variable = json!({ "description": "a variable", "type": "string", "pattern": r"\$\{[a-z][a-z0-9_]*\}" });
        definitions.insert("Variable".into(), variable);
    }
    allow_variables(&mut schema);
    schema
}

/// The parts of a file, for the schema alone: the files are read part by part.
#[derive(JsonSchema)]
#[schemars(title = "bandrig scenario", deny_unknown_fields, rename = "Scenario")]
#[expect(dead_code, reason = "only its schema is used")]
struct Document {
    /// The sentence that this file proves.
    scenario: String,
    /// The rules it is about.
    #[serde(default)]
    #[schemars(schema_with = "rule_ids")]
    rules: Option<Vec<String>>,
    /// Words to choose cases by.
    tags: Option<Vec<String>>,
    /// What is so before the first step.
    given: Option<Given>,
    /// Values for `${name}`; `--var name=value` is stronger.
    vars: Option<BTreeMap<String, Value>>,
    /// A map of lists: one case per combination. A list of maps: one case per row.
    #[serde(default)]
    #[schemars(schema_with = "matrix")]
    matrix: Option<Value>,
    /// Combinations that are left out.
    exclude: Option<Vec<BTreeMap<String, Value>>>,
    /// How often to run it, each time with another seed.
    #[schemars(range(min = 1, max = 10_000))]
    repeat: Option<u32>,
    /// Faults of the whole case.
    faults: Option<Vec<Fault>>,
    /// Run it once for every point at which a fault can strike.
    sweep: Option<Sweep>,
    /// What is done.
    steps: Vec<StepForm>,
    /// What is always done at the end.
    finally: Option<Vec<StepForm>>,
}

/// A step: its schema is put together in [`step_from_verbs`].
struct StepForm;

impl JsonSchema for StepForm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "expect": generator.subschema_for::<Expect>(),
            "faults": generator.subschema_for::<Vec<Fault>>(),
            "verb": generator.subschema_for::<Verb>(),
        })
    }
}

fn rule_ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "enum": rules::ids() } })
}

fn matrix(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "object", "additionalProperties": { "type": "array" } },
        { "type": "array", "items": { "type": "object" } },
    ] })
}

/// A struct that may also be written as the value of one field.
fn with_short_form(long: &Value, field: &str) -> Value {
    let short = long.pointer(&format!("/properties/{field}")).cloned().unwrap_or(Value::Bool(true));
    let about = long.get("description").cloned();
    let mut both = json!({ "anyOf": [short, long] });
    if let (Some(about), Value::Object(both)) = (about, &mut both) {
        both.insert("description".into(), about);
    }
    both
}

/// Puts the step together: one of the verbs as a key, and what may stand beside it; or a verb alone.
fn step_from_verbs(definitions: &mut Map<String, Value>) {
    let verbs = definitions.remove("Verb").unwrap_or_default();
    let parts = definitions.get("Step").cloned().unwrap_or_default();
    let mut properties = Map::new();
    let mut one_of = Vec::new();
    let mut alone = Vec::new();
    for verb in verbs.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let Some((word, form)) = verb.get("properties").and_then(Value::as_object).and_then(|it| it.iter().next())
        else {
            continue;
        };
        let mut forms = vec![form.clone()];
        if needs_nothing(form, definitions) {
            forms.push(json!({ "type": "null" }));
            alone.push(json!(word));
        }
        properties.insert(word.clone(), json!({ "description": verb.get("description"), "anyOf": forms }));
        one_of.push(json!({ "required": [word] }));
    }
    properties
        .insert("expect".into(), json!({ "description": "What must come of it.", "anyOf": [parts.get("expect")] }));
    properties.insert("faults".into(), parts.get("faults").cloned().unwrap_or_default());
    properties.insert("id".into(), json!({ "description": "A name for sweep and retry.", "type": "string" }));
    properties.insert(
        "repeat".into(),
        json!({ "description": "How often it is done.", "type": "integer", "minimum": 1, "maximum": 10_000 }),
    );
    let map = json!({ "type": "object", "properties": properties, "additionalProperties": false, "oneOf": one_of });
    let include = json!({ "description": "!include path", "type": "string", "pattern": r"\.ya?ml$" });
    let step = json!({ "description": "One step: one verb, and what is expected of it.", "anyOf": [{ "enum": alone }, map, include] });
    definitions.insert("Step".into(), step);
}

/// Whether a verb may stand alone: all its fields have defaults.
fn needs_nothing(form: &Value, definitions: &Map<String, Value>) -> bool {
    let name = form.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let definition = definitions.get(name).unwrap_or(form);
    let long = definition.pointer("/anyOf/1").unwrap_or(definition);
    long.get("required").is_none()
}

/// Lets `${name}` stand wherever a value of a field or an element of a list stands.
fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                allow_variables(inner);
                match (key.as_str(), inner) {
                    ("properties" | "patternProperties", Value::Object(fields)) => {
                        fields.values_mut().for_each(or_variable);
                    }
                    ("items" | "additionalProperties", value) => or_variable(value),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        _ => {}
    }
}

fn or_variable(schema: &mut Value) {
    let plain_text = schema.get("type") == Some(&json!("string")) && schema.get("pattern").is_none();
    if plain_text || !schema.is_object() {
        return;
    }
    let mut either = json!({ "anyOf": [{ "$ref": "#/$defs/Variable" }] });
    if let Some(about) = schema.get("description").cloned() {
        either["description"] = about;
    }
    let inner = std::mem::take(schema);
    if let Some(Value::Array(forms)) = either.get_mut("anyOf") {
        forms.insert(0, inner);
    }
    *schema = either;
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(yaml: &str) -> Vec<String> {
        let value: Value = serde_yaml::from_str(yaml).unwrap();
        let validator = jsonschema::validator_for(&schema()).unwrap();
        validator.iter_errors(&value).map(|error| format!("{} {error}", error.instance_path())).collect()
    }

    #[test]
    fn the_schema_is_one_of_its_draft() {
        assert!(jsonschema::meta::is_valid(&schema()));
    }

    #[test]
    fn a_file_with_every_part_of_the_language_fits() {
        assert_eq!(mistakes(include_str!("testdata/whole.yaml")), Vec::<String>::new());
    }

    #[test]
    fn a_variable_may_stand_for_the_value_of_a_data_object() {
        let file = "scenario: a\nvars: { v: \"01\" }\nsteps: [{ tap: { amount: 4.20 EUR, man_in_the_middle: [{ at: gpo, set: { 94: \"${v}\" } }] } }]";
        assert_eq!(mistakes(file), Vec::<String>::new());
    }

    #[test]
    fn mistakes_that_an_editor_should_mark_do_not_fit() {
        let steps = |steps: &str| format!("scenario: a\nsteps: [{steps}]\n");
        for wrong in [
            "steps: []".to_owned(),
            "scenario: a\nsteps: []\ncolour: red".to_owned(),
            "scenario: a\nsteps: []\nrules: [R99]".to_owned(),
            "scenario: a\nsteps: []\ngiven: { acount: alice }".to_owned(),
            steps("fly"),
            steps("wait"),
            steps("{ refresh: , sign_out: }"),
            steps("{ wait: ten }"),
            steps("{ wait: 10 }"),
            steps("{ add_card: { card: mastercard-debit } }"),
            steps("{ tap: { amount: 4.20 EUR, tip: 1 } }"),
            steps("{ tap: 4.20 EUR, expect: { outcome: payed } }"),
            steps("{ refresh: , expect: { refused: [busy, late] } }"),
            steps("{ refresh: , repeat: 0 }"),
            steps("{ refresh: , faults: [drop: nowhere 3] }"),
        ] {
            assert_ne!(mistakes(&wrong), Vec::<String>::new(), "{wrong}");
        }
    }
}
