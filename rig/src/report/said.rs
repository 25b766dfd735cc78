//! Plain data in words. Events hold what was asked and answered as one line of JSON; a person reads it without the braces.

use serde_json::{Map, Value};

use crate::decode::{Form, parse_hex, summarize_as};

/// Bytes of hex that are shown; of more only how many there are.
const SHOWN_BYTES: usize = 16;

/// `{"channel_closed":{"status":"success"}}` is `channel closed: success`; a text that holds no JSON stays as it is.
#[must_use]
pub fn said(text: &str) -> String {
    // A word may stand before the data: `shows {…}`.
    let (head, data) = text.find('{').map_or((text, ""), |at| text.split_at(at));
    match serde_json::from_str::<Value>(data) {
        Ok(Value::Object(fields)) => format!("{head}{}", variant(&fields)),
        // A bare variant: `code_sent`. Words of a sentence have no underscore.
        _ if data.is_empty() && !text.contains(' ') => words(text),
        _ => text.to_owned(),
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// An externally tagged value: its name, then its fields.
fn variant(outer: &Map<String, Value>) -> String {
    let mut entries = outer.iter();
    let (Some((name, inner)), None) = (entries.next(), entries.next()) else { return fields(outer) };
    let inside = match inner {
        Value::Object(inner) => match only(inner) {
            // The name of an only field says nothing that the variant does not.
            Some((field, Value::Array(items))) if field == name => Some(items_of(field, items)),
            Some((field, value)) if value.is_string() || field == name => plain(field, value),
            _ => Some(fields(inner)),
        },
        Value::Array(items) => Some(items_of(name, items)),
        value => plain(name, value),
    };
    match inside.filter(|inside| !inside.is_empty()) {
        Some(inside) => format!("{}: {inside}", words(name)),
        None => words(name),
    }
}

fn only(fields: &Map<String, Value>) -> Option<(&String, &Value)> {
    fields.iter().next().filter(|_| fields.len() == 1)
}

fn fields(fields: &Map<String, Value>) -> String {
    fields.iter().filter_map(|(name, value)| field(name, value)).collect::<Vec<_>>().join(", ")
}

/// Fields that tell a person nothing.
const UNTOLD: &[&str] = &["aid", "instance_aid", "token_last4"];

/// A field with its name; `None` when there is nothing to say of it.
fn field(name: &str, value: &Value) -> Option<String> {
    match value {
        _ if UNTOLD.contains(&name) => None,
        Value::Bool(true) => Some(words(name)),
        Value::Bool(false) => Some(format!("not {}", words(name))),
        // These say themselves what they are.
        Value::String(_) if matches!(name, "masked_number" | "product" | "state" | "text") => plain(name, value),
        Value::Array(_) => plain(name, value),
        _ => plain(name, value).map(|said| format!("{} {said}", words(name))),
    }
}

/// A value without its name.
fn plain(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(match (name, number.as_u64()) {
            ("sw", Some(sw)) => format!("{sw:04X}"),
            _ => number.to_string(),
        }),
        Value::String(text) => Some(string(text)),
        Value::Array(items) => Some(list(name, items)),
        // A unit is known by its serial number.
        Value::Object(inner) if name == "unit" => inner.get("serial").and_then(Value::as_str).map(str::to_owned),
        Value::Object(inner) => Some(match (inner.get("secs"), inner.get("nanos")) {
            (Some(secs), Some(_)) if inner.len() == 2 => format!("{secs} s"),
            _ => fields(inner),
        }),
    }
}

/// Long hex only by its length.
fn string(text: &str) -> String {
    match parse_hex(text) {
        Ok(bytes) if bytes.len() > SHOWN_BYTES && text.contains(' ') => format!("{} bytes", bytes.len()),
        _ => text.to_owned(),
    }
}

fn list(name: &str, items: &[Value]) -> String {
    match (name, items.len()) {
        (_, 0) => format!("no {}", words(name)),
        ("batch", 1) => format!("1 command: {}", items_of(name, items)),
        ("batch", many) => format!("{many} commands: {}", items_of(name, items)),
        _ => format!("{} {}", words(name), items_of(name, items)),
    }
}

fn items_of(name: &str, items: &[Value]) -> String {
    let said: Vec<String> = items.iter().map(|item| one(name, item)).collect();
    match (name, items) {
        (_, []) => "none".to_owned(),
        ("answers", _) => said.join(", "),
        _ => said.join("; "),
    }
}

/// One item of a list: of a command its meaning, of an answer its status word.
fn one(list: &str, item: &Value) -> String {
    let hex = |field| item.get(field).and_then(Value::as_str).map(|hex| hex.replace('*', "0"));
    let known = match list {
        "batch" => hex("apdu").and_then(|hex| parse_hex(&hex).ok()).and_then(|apdu| summarize_as(&apdu, Form::Command)),
        "answers" => item.get("sw").and_then(|sw| plain("sw", sw)),
        _ => None,
    };
    known.unwrap_or_else(|| match item {
        Value::Object(inner) => fields(inner),
        other => plain("", other).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_said_without_its_braces() {
        for (text, expected) in [
            ("done", "done"),
            ("channel_opened", "channel opened"),
            (r#"{"channel_closed":{"status":"success"}}"#, "channel closed: success"),
            (r#"{"refused":{"refusal":"card_not_supported"}}"#, "refused: card_not_supported"),
            (r#"{"job_done":{"card":null,"job":3}}"#, "job done: job 3"),
            (r#"{"cards":{"cards":[]}}"#, "cards: none"),
            (r#"{"code_sent":{"requests_left":2,"valid_for":{"nanos":0,"secs":600}}}"#, {
                "code sent: requests left 2, valid for 600 s"
            }),
            (r#"{"confirmed":{"card":"card-1","on_band":true}}"#, "confirmed: card card-1, on band"),
            (r#"{"factory_reset":{"cards_wiped":false}}"#, "factory reset: not cards wiped"),
            ("refused: card_not_supported (3013)", "refused: card_not_supported (3013)"),
            ("authorise a payment at Corner Shop", "authorise a payment at Corner Shop"),
            ("{ is not JSON", "{ is not JSON"),
            ("", ""),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_are_told_by_their_commands_and_answers_by_their_status_words() {
        let job = r#"{"job":{"batch":[{"apdu":"00 A4 04 00","expected":[36864]},{"apdu":"84 F2 40 02 00","expected":[]}],"job":1}}"#;
        assert_eq!(said(job), "job: 2 commands: SELECT the default application; GET STATUS, job 1");
        let answers = r#"{"post_answers":{"answers":[{"data":"6F 00","index":0,"sw":36864},{"data":[],"index":1,"sw":27272}],"job":1}}"#;
        assert_eq!(said(answers), "post answers: answers 9000, 6A88, job 1");
    }

    #[test]
    fn a_card_is_told_by_what_a_person_knows_of_it() {
        let shown = r#"shows {"cards":[{"aid":"A0 00","last4":"0434","name":"DEBIT MASTERCARD","state":"activated"}]}"#;
        assert_eq!(said(shown), "shows cards: last4 0434, name DEBIT MASTERCARD, activated");
        let asked = r#"{"add_card":{"product":"visa-debit","unit":{"cplc":"47 90","serial":"4f0a17c2d96e"}}}"#;
        assert_eq!(said(asked), "add card: visa-debit, unit 4f0a17c2d96e");
    }
}
