//! From the tree of a document to a [`Case`]: each part by itself, so that all mistakes of a file are told at once.

use serde::de::DeserializeOwned;

use super::de::read;
use super::error::FileError;
use super::expect::{Expect, OutcomeExpect};
use super::fault::{Fault, Sweep};
use super::file::{Case, Given};
use super::node::{Node, Shape};
use super::schema::{fields_of, words_of};
use super::span::At;
use super::step::{Step, Verb};
use crate::cloud::api::Refusal;

/// The keys of a scenario file.
pub(super) const KEYS: [&str; 12] = [
    "scenario", "rules", "tags", "given", "vars", "matrix", "exclude", "repeat", "faults", "sweep", "steps", "finally",
];

/// Reads a document whose variables and includes are filled in.
pub(super) fn case(document: &Node) -> Result<Case, Vec<FileError>> {
    let mut errors = Vec::new();
    let title: Option<At<String>> = part(document, "scenario", &mut errors);
    let rules: Vec<At<String>> = part(document, "rules", &mut errors).unwrap_or_default();
    let tags: Vec<At<String>> = part(document, "tags", &mut errors).unwrap_or_default();
    let given: Given = part(document, "given", &mut errors).unwrap_or_default();
    let repeat: At<u32> = part(document, "repeat", &mut errors).unwrap_or(At::nowhere(1));
    let faults: Vec<Fault> = part(document, "faults", &mut errors).unwrap_or_default();
    let sweep: Option<Sweep> = part(document, "sweep", &mut errors);
    let steps = steps(document, "steps", &mut errors);
    let finally = self::steps(document, "finally", &mut errors);
    check_document(document, &repeat, &mut errors);
    match title {
        Some(title) if errors.is_empty() => Ok(Case {
            id: document.span.file.to_string(),
            path: document.span.file.clone(),
            title,
            rules,
            tags,
            row: Vec::new(),
            repeat: repeat.value,
            given,
            faults,
            sweep,
            steps,
            finally,
        }),
        _ => Err(errors),
    }
}

fn check_document(document: &Node, repeat: &At<u32>, errors: &mut Vec<FileError>) {
    for (key, hint) in
        [("scenario", "add `scenario: the sentence that this file proves`"), ("steps", "add `steps:` and what is done")]
    {
        if document.entry(key).is_none() {
            errors.push(FileError::at(&document.span, format!("`{key}` is missing")).hint(hint));
        }
    }
    if !(1..=10_000).contains(&repeat.value) {
        errors.push(FileError::at(
            &repeat.span,
            format!("`repeat` takes a whole number from 1 to 10000, not `{}`", repeat.value),
        ));
    }
}

fn part<T: DeserializeOwned>(document: &Node, key: &str, errors: &mut Vec<FileError>) -> Option<T> {
    let (key, value) = document.entry(key)?;
    if matches!(value.shape, Shape::Empty) {
        errors.push(
            FileError::at(&key.span, format!("`{}` has no value", key.key())).hint("give it one, or take the line out"),
        );
        return None;
    }
    read(value, key.key()).map_err(|more| errors.extend(more)).ok()
}

fn steps(document: &Node, key: &str, errors: &mut Vec<FileError>) -> Vec<Step> {
    let Some((key, list)) = document.entry(key) else { return Vec::new() };
    let Shape::List(items) = &list.shape else {
        let error = FileError::at(&key.span, format!("`{}` takes a list of steps, not {}", key.key(), list.describe()));
        errors.push(error.note("each step starts with `- `"));
        return Vec::new();
    };
    if items.is_empty() {
        errors.push(FileError::at(&key.span, format!("`{}` has no steps", key.key())));
    }
    items.iter().filter_map(|item| step(item).map_err(|more| errors.extend(more)).ok()).collect()
}

/// Reads one step: one verb, and beside it what is expected of it.
fn step(node: &Node) -> Result<Step, Vec<FileError>> {
    let entries: &[(Node, Node)] = match &node.shape {
        Shape::Map(entries) => entries,
        Shape::Text { .. } => {
            let verb = read(node, "step").map_err(|errors| errors.into_iter().map(no_verb).collect::<Vec<_>>())?;
            return Ok(Step {
                at: node.span.clone(),
                id: None,
                verb,
                expect: None,
                faults: Vec::new(),
                repeat: None,
                text: node.line(),
            });
        }
        _ => {
            let error = FileError::at(&node.span, format!("a step is a word or a map, not {}", node.describe()));
            return Err(vec![error.note("for example `- card_list` or `- wait: 10s`")]);
        }
    };
    let mut errors = Vec::new();
    let mut found: Option<(&Node, Option<Verb>)> = None;
    for (key, value) in entries.iter().filter(|(key, _)| !BESIDE.contains(&key.key())) {
        if !words_of::<Verb>().contains(&key.key()) {
            errors.push(no_verb(FileError::at(&key.span, format!("`{}` is not a verb", key.key())).allowed(
                "words",
                key.key(),
                &known_words(),
            )));
            found.get_or_insert((key, None));
            continue;
        }
        if let Some((first, _)) = found {
            let error =
                FileError::at(&key.span, format!("a step does one thing; this one has `{}` already", first.key()));
            errors.push(error.hint(format!("start a new step: `- {}: …`", key.key())));
            continue;
        }
        let one = Node::new(node.span.clone(), Shape::Map(vec![(key.clone(), value.clone())]));
        found = Some((key, read::<Verb>(&one, key.key()).map_err(|more| errors.extend(more)).ok()));
    }
    let Some((key, verb)) = found else {
        errors.push(FileError::at(&node.span, "this step does nothing: it has no verb").allowed(
            "verbs",
            "",
            words_of::<Verb>(),
        ));
        return Err(errors);
    };
    let expect = part_of_step(entries, "expect", &mut errors)
        .and_then(|(key, value)| expect(key, value, verb.as_ref(), &mut errors));
    let id = part_of_step(entries, "id", &mut errors).and_then(|(_, value)| collect(value, "id", &mut errors));
    let faults =
        part_of_step(entries, "faults", &mut errors).and_then(|(_, value)| collect(value, "faults", &mut errors));
    let repeat =
        part_of_step(entries, "repeat", &mut errors).and_then(|(_, value)| collect(value, "repeat", &mut errors));
    match verb {
        Some(verb) if errors.is_empty() => {
            let said = entries.iter().find(|(known, _)| known.span == key.span).map(|(_, value)| value.line());
            let text = match said {
                Some(value) if !value.is_empty() => format!("{}: {value}", key.key()),
                _ => key.key().to_owned(),
            };
            Ok(Step { at: key.span.clone(), id, verb, expect, faults: faults.unwrap_or_default(), repeat, text })
        }
        _ => Err(errors),
    }
}

/// What may stand beside the verb.
const BESIDE: [&str; 4] = ["expect", "faults", "repeat", "id"];

fn known_words() -> Vec<&'static str> {
    words_of::<Verb>().iter().chain(&BESIDE).copied().collect()
}

/// A word that should be a verb and is not.
fn no_verb(mut error: FileError) -> FileError {
    error.message = error.message.replace("is not a word for `step`", "is not a verb");
    for note in &mut error.notes {
        if let Some(words) = note.strip_prefix("words: ") {
            *note = format!("verbs: {words}");
        }
    }
    error
}

fn collect<T: DeserializeOwned>(node: &Node, owner: &str, errors: &mut Vec<FileError>) -> Option<T> {
    read(node, owner).map_err(|more| errors.extend(more)).ok()
}

fn part_of_step<'a>(
    entries: &'a [(Node, Node)],
    key: &str,
    errors: &mut Vec<FileError>,
) -> Option<(&'a Node, &'a Node)> {
    let (key, value) = entries.iter().find(|(known, _)| known.key() == key)?;
    if matches!(value.shape, Shape::Empty) {
        errors.push(
            FileError::at(&key.span, format!("`{}` has no value", key.key())).hint("give it one, or take the line out"),
        );
        return None;
    }
    Some((key, value))
}

fn expect(key: &Node, node: &Node, verb: Option<&Verb>, errors: &mut Vec<FileError>) -> Option<At<Expect>> {
    let Shape::Map(entries) = &node.shape else {
        let error = FileError::at(&node.span, format!("`expect` takes a map, not {}", node.describe()));
        errors.push(match node.text().and_then(suggest) {
            Some(field) => error.hint(format!("write `expect: {{ {field}: {} }}`", node.key())),
            None => error.note("for example `expect: { outcome: approved }` or `expect: { refused: code_expired }`"),
        });
        return None;
    };
    let mut kept = Vec::new();
    for (name, value) in entries {
        match verb.and_then(|verb| misplaced(name, verb)) {
            Some(error) => errors.push(error),
            None => kept.push((name.clone(), value.clone())),
        }
    }
    let complete = kept.len() == entries.len();
    let kept = Node { shape: Shape::Map(kept), ..node.clone() };
    let mut value: At<Expect> = collect(&kept, "expect", errors)?;
    value.span = key.span.clone();
    if let (Some(ok), Some(_)) = (&value.ok, &value.refused) {
        errors.push(FileError::at(&ok.span, "`ok` and `refused` contradict each other").hint("keep one of them"));
    }
    complete.then_some(value)
}

/// For `expect: code_expired`: the field that knows the word.
fn suggest(word: &str) -> Option<&'static str> {
    if words_of::<OutcomeExpect>().contains(&word) {
        return Some("outcome");
    }
    words_of::<Refusal>().contains(&word).then_some("refused")
}

/// An expectation that this verb can never meet.
fn misplaced(name: &Node, verb: &Verb) -> Option<FileError> {
    let field = name.key();
    if field == "within" {
        let error = FileError::at(&name.span, "`within` cannot be promised yet");
        return Some(error.note("the air between band and phone or reader is not modelled, so no step has a duration of its own; leave `within` out"));
    }
    let known = verb.expects();
    if !fields_of::<Expect>().contains(&field) || known.contains(&field) {
        return None;
    }
    let error = FileError::at(&name.span, format!("`{}` never has a `{field}` to expect", verb.word()));
    Some(match known {
        [] if matches!(verb, Verb::Check(_)) => {
            error.note("`check` names what it compares in itself: `check: { agree: true }`")
        }
        [] => error.note(format!("`{}` has nothing to expect; use `check` after it", verb.word())),
        known => error.note(format!("`{}` may expect: {}", verb.word(), known.join(", "))),
    })
}
