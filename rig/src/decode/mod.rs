//! Bytes in words: APDUs and data objects as a person wants to read them, with card data and keys masked.
//!
//! The `decode` command, failure reports and traces all speak through here, so that nothing they print can show a
//! whole card number.

mod att;
mod command;
mod diff;
mod hex;
mod mask;
mod tree;
mod value;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::sw::Sw;
use band_sim::wire::{DecodeError, tag, tlv};

pub use att::{Direction, summarize_att};
pub use command::{
    explain_command, explain_response, is_later_piece, masked_command, masked_no_command, masked_response,
    summarize_command, summarize_response,
};
pub use diff::tlv_diff;
pub use hex::{HexError, parse_hex, spaced_hex};
pub use mask::{masked_hex, masked_value};
pub use tree::explain_tlv;

/// What bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// BER-TLV data objects.
    Tlv,
    /// A command APDU.
    Command,
    /// A response APDU.
    Response,
}

impl Form {
    /// All forms with the word that chooses them on the command line.
    pub const WORDS: [(&'static str, Self); 3] =
        [("tlv", Self::Tlv), ("command", Self::Command), ("response", Self::Response)];
}

/// These bytes in words, as the form they look most like.
#[must_use]
pub fn explain(bytes: &[u8]) -> String {
    match detect(bytes) {
        // `detect` has decoded them already.
        Some(form) => explain_as(bytes, form).unwrap_or_else(|error| format!("{error}\n")),
        None => explain_unknown(bytes),
    }
}

/// These bytes in words, as the form the caller knows.
pub fn explain_as(bytes: &[u8], form: Form) -> Result<String, DecodeError> {
    match form {
        Form::Tlv => tlv::walk_deep(bytes).try_for_each(|object| object.map(drop)).map(|()| explain_objects(bytes)),
        Form::Command => CApdu::decode(bytes).map(|command| explain_command(&command)),
        Form::Response => RApdu::decode(bytes).map(|response| explain_response(&response)),
    }
}

/// These bytes in one line, as the form the caller knows; `None` when they do not decode.
#[must_use]
pub fn summarize_as(bytes: &[u8], form: Form) -> Option<String> {
    match form {
        Form::Tlv => is_tlv(bytes).then(|| count(tlv::walk(bytes).count(), "data object")),
        Form::Command => CApdu::decode(bytes).ok().map(|command| summarize_command(&command)),
        Form::Response => RApdu::decode(bytes).ok().map(|response| summarize_response(&response)),
    }
}

/// A transcript in words: one line of hex each, `>` before commands, `<` before responses, nothing before bytes of any
/// form; `#` begins a comment. The error names the line, from 1.
pub fn explain_text(text: &str, form: Option<Form>) -> Result<String, (usize, String)> {
    let mut explained = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (form, digits) = match line.as_bytes().first() {
            None => continue,
            Some(b'>') => (Some(Form::Command), line.trim_start_matches('>')),
            Some(b'<') => (Some(Form::Response), line.trim_start_matches('<')),
            Some(_) => (form, line),
        };
        let bytes = parse_hex(digits).map_err(|error| (index + 1, error.to_string()))?;
        explained += &match form {
            Some(form) => explain_as(&bytes, form).map_err(|error| (index + 1, error.to_string()))?,
            None => explain(&bytes),
        };
    }
    Ok(explained)
}

/// What these bytes look most like; `None` when they decode as nothing.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<Form> {
    let command = CApdu::decode(bytes).ok();
    if command.as_ref().is_some_and(command::is_known) {
        return Some(Form::Command);
    }
    let response = RApdu::decode(bytes).ok().filter(|response| is_plausible(response.sw));
    if response.as_ref().is_some_and(|response| response.data.is_empty() || is_known_tlv(&response.data)) {
        return Some(Form::Response);
    }
    if is_known_tlv(bytes) {
        return Some(Form::Tlv);
    }
    if response.is_some() {
        return Some(Form::Response);
    }
    if !bytes.is_empty() && is_tlv(bytes) {
        return Some(Form::Tlv);
    }
    command.map(|_| Form::Command)
}

/// `1 byte`, `2 bytes`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn explain_objects(bytes: &[u8]) -> String {
    match tlv::walk(bytes).next() {
        Some(_) => explain_tlv(bytes, 0),
        None => format!("no data object, {} of padding\n", count(bytes.len(), "byte")),
    }
}

fn explain_unknown(bytes: &[u8]) -> String {
    let mut lines = format!("neither TLV nor APDU, {}\n", count(bytes.len(), "byte"));
    for (name, form) in [("no TLV", Form::Tlv), ("no command", Form::Command)] {
        if let Err(error) = explain_as(bytes, form) {
            lines += &format!("  {name}: {error}\n");
        }
    }
    lines + &mask::block(&mask::tokens(bytes), 2)
}

fn is_plausible(sw: Sw) -> bool {
    sw.is_ok() || (0x61..0x70).contains(&sw.sw1()) && !sw.to_string().ends_with("unknown status")
}

/// Whether the bytes are whole data objects; no bytes at all are.
#[must_use]
pub fn is_tlv(bytes: &[u8]) -> bool {
    tlv::walk_deep(bytes).all(|object| object.is_ok())
}

/// Well-formed objects, of which the first is in the table. Any text of zeros is well-formed, so emptiness is no TLV.
fn is_known_tlv(bytes: &[u8]) -> bool {
    let first = tlv::walk(bytes).next().and_then(Result::ok);
    first.is_some_and(|first| tag::info(first.tag).is_some()) && is_tlv(bytes)
}

#[cfg(test)]
mod tests;
