//! Data objects in words, one line each, templates before what is in them.

use band_sim::wire::tag;
use band_sim::wire::tlv::{self, Tag, Tlv};

use super::mask::{block, tokens, value_tokens};
use super::{count, value};

/// More bytes than these stand on lines of their own.
const INLINE_BYTES: usize = 16;

/// These objects in words, indented by `indent`. What does not decode is shown as bytes, with the reason.
#[must_use]
pub fn explain_tlv(bytes: &[u8], indent: usize) -> String {
    explain_level(bytes, indent, 0)
}

/// The tag with its name: `82 Application Interchange Profile (AIP)`.
pub(super) fn tag_with_name(tag: Tag) -> String {
    format!("{tag} {}", tag::info(tag).map_or("(unknown)", |row| row.name))
}

/// A name, then the bytes: beside it when they are few, below it when they are many.
pub(super) fn named_bytes(name: &str, tokens: &[String], indent: usize) -> String {
    let size = count(tokens.len(), "byte");
    match tokens.len() {
        0 => format!("{:indent$}{name}, empty\n", ""),
        1..=INLINE_BYTES => format!("{:indent$}{name}, {size}: {}\n", "", tokens.join(" ")),
        _ => format!("{:indent$}{name}, {size}:\n{}", "", block(tokens, indent + 2)),
    }
}

fn explain_level(bytes: &[u8], indent: usize, depth: usize) -> String {
    let mut explained = String::new();
    for object in tlv::walk(bytes) {
        explained += &match object {
            Ok(object) => explain_object(&object, indent, depth),
            Err(error) => format!("{:indent$}not TLV: {error}\n{}", "", block(&tokens(bytes), indent + 2)),
        };
    }
    explained
}

fn explain_object(object: &Tlv<'_>, indent: usize, depth: usize) -> String {
    let name = tag_with_name(object.tag);
    let template = object.tag.is_constructed() && !object.value.is_empty() && depth < tlv::MAX_DEPTH;
    if template && tlv::walk(object.value).all(|inner| inner.is_ok()) {
        let size = count(object.value.len(), "byte");
        return format!("{:indent$}{name}, {size}\n{}", "", explain_level(object.value, indent + 2, depth + 1));
    }
    let shown = if object.tag.is_constructed() { tokens(object.value) } else { value_tokens(object.tag, object.value) };
    let mut lines = named_bytes(&name, &shown, indent);
    for meaning in value::meaning(object.tag, object.value) {
        lines += &format!("{:indent$}  = {meaning}\n", "");
    }
    lines
}
