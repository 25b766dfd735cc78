//! From the tree of a document to a [`Case`]: each part by itself, so that all mistakes of a file are told at once.

use serde::de::DeserializeOwned;

use super::de::read;
use super::error::{FileError, nearest};
use super::expect::{Expect, OutcomeExpect};
use super::file::Case;
use super::node::{Node, Shape};
use super::schema::{fields_of, words_of};
use super::span::At;
use super::step::{Step, Verb};
use crate::cloud::api::Refusal;

/// The keys of a scenario file.
pub(super) const KEYS: [&str; 12] = [
    "scenario", "rules", "tags", "given", "vars", "matrix", "exclude", "repeat", "faults", "sweep", "steps", "finally",
];

/// Reads a document whose variables and includes are filled in. What cannot be read is left out of the case, with its mistakes
/// told beside it.
pub(super) fn case(document: &Node) -> (Case, Vec<FileError>) {
    let mut errors = Vec::new();
    let repeat: At<u32> = part(document, "repeat", &mut errors).unwrap_or(At::nowhere(1));
    check_document(document, &repeat, &mut errors);
    let case = Case {
        id: document.span.file.to_string(),
        path: document.span.file.clone(),
        title: part(document, "scenario", &mut errors).unwrap_or_default(),
        rules: part(document, "rules", &mut errors).unwrap_or_default(),
        tags: part(document, "tags", &mut errors).unwrap_or_default(),
        row: Vec::new(),
        repeat: repeat.value,
        given: part(document, "given", &mut errors).unwrap_or_default(),
        faults: part(document, "faults", &mut errors).unwrap_or_default(),
        sweep: part(document, "sweep", &mut errors),
        steps: steps(document, "steps", &mut errors),
        finally: steps(document, "finally", &mut errors),
    };
    (case, errors)
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
    read(value, key.key(), errors)
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
    items.iter().filter_map(|item| step(item, errors)).collect()
}

/// Reads one step: one verb, and beside it what is expected of it.
fn step(node: &Node, errors: &mut Vec<FileError>) -> Option<Step> {
    let entries: &[(Node, Node)] = match &node.shape {
        Shape::Map(entries) => entries,
        Shape::Text { .. } => &[(node.clone(), Node::new(node.span.clone(), Shape::Empty))],
        _ => {
            let error = FileError::at(&node.span, format!("a step is a word or a map, not {}", node.describe()));
            errors.push(error.note("for example `- card_list` or `- wait: 10s`"));
            return None;
        }
    };
    let word = verb_of(node, entries, errors);
    let verb: Option<Verb> = word.and_then(|(word, value)| {
        let one = Node::new(node.span.clone(), Shape::Map(vec![(word.clone(), value.clone())]));
        read(&one, word.key(), errors)
    });
    let expected = beside(entries, "expect", errors);
    let expect = expected.and_then(|(key, value)| expect(key, value, verb.as_ref(), errors));
    let id = beside(entries, "id", errors).and_then(|(_, value)| read(value, "id", errors));
    let faults = beside(entries, "faults", errors).and_then(|(_, value)| read(value, "faults", errors));
    let repeat = beside(entries, "repeat", errors).and_then(|(_, value)| read(value, "repeat", errors));
    let (word, value) = word?;
    let text = match value.line() {
        said if said.is_empty() => word.key().to_owned(),
        said => format!("{}: {said}", word.key()),
    };
    Some(Step { at: word.span.clone(), id, verb: verb?, expect, faults: faults.unwrap_or_default(), repeat, text })
}

/// The one entry that is a verb.
fn verb_of<'a>(node: &Node, entries: &'a [(Node, Node)], errors: &mut Vec<FileError>) -> Option<&'a (Node, Node)> {
    let mut found: Option<&(Node, Node)> = None;
    let mut unknown = false;
    for entry in entries.iter().filter(|(key, _)| !BESIDE.contains(&key.key())) {
        let (key, _) = entry;
        if !words_of::<Verb>().contains(&key.key()) {
            errors.push(not_a_verb(key));
            unknown = true;
        } else if let Some((first, _)) = found {
            let words = format!("a step does one thing; this one has `{}` already", first.key());
            errors.push(FileError::at(&key.span, words).hint(format!("start a new step: `- {}: …`", key.key())));
        } else {
            found = Some(entry);
        }
    }
    if found.is_none() && !unknown {
        let error = FileError::at(&node.span, "this step does nothing: it has no verb");
        errors.push(error.allowed("verbs", "", words_of::<Verb>()));
    }
    found
}

/// What may stand beside the verb.
const BESIDE: [&str; 4] = ["expect", "faults", "repeat", "id"];

fn not_a_verb(key: &Node) -> FileError {
    let error = FileError::at(&key.span, format!("`{}` is not a verb", key.key()));
    let error = match nearest(key.key(), &BESIDE) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    error.allowed("verbs", key.key(), words_of::<Verb>()).note(format!("beside the verb: {}", BESIDE.join(", ")))
}

/// What stands beside the verb under this key.
fn beside<'a>(entries: &'a [(Node, Node)], key: &str, errors: &mut Vec<FileError>) -> Option<(&'a Node, &'a Node)> {
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
    if entries.is_empty() {
        errors.push(FileError::at(&key.span, "`expect` expects nothing").hint("say what must come, or take it out"));
        return None;
    }
    let mut kept = Vec::new();
    for (name, value) in entries {
        match verb.and_then(|verb| misplaced(name, verb)) {
            Some(error) => errors.push(error),
            None => kept.push((name.clone(), value.clone())),
        }
    }
    let kept = node.reshaped(Shape::Map(kept));
    let mut value: At<Expect> = read(&kept, "expect", errors)?;
    value.span = key.span.clone();
    if let (Some(ok), Some(_)) = (&value.ok, &value.refused) {
        errors.push(FileError::at(&ok.span, "`ok` and `refused` contradict each other").hint("keep one of them"));
    }
    Some(value)
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
