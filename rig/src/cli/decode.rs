//! `bandrig decode`.

use std::io::Read;
use std::path::Path;

use clap::{Args, ValueEnum};

use super::EXIT_BAD_INPUT;
use crate::decode::{self, Form};

pub(super) const EXAMPLES: &str = "\
Examples:
  bandrig decode 6F0A8408A000000003000000           a TLV tree
  bandrig decode '00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00'
  bandrig decode --as response answer.hex            a file with hex
  echo 6A82 | bandrig decode -                      from standard input";

/// Say in words what bytes mean.
#[derive(Clone, Debug, Args)]
pub(super) struct Decode {
    /// Hex, a file with hex, or `-` for standard input.
    #[arg(value_name = "HEX|FILE")]
    what: String,
    /// What the bytes are; guessed when absent.
    #[arg(long = "as", value_enum)]
    kind: Option<Kind>,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// BER-TLV.
    Tlv,
    /// A command to a card.
    Command,
    /// A card's answer.
    Response,
}

/// Files longer than this are refused unread.
const MOST_BYTES: u64 = 1 << 20;

pub(super) fn decode(args: &Decode) -> u8 {
    match explain(args) {
        Ok(text) => {
            super::print(&text);
            0
        }
        Err(message) => {
            super::complain(&message);
            EXIT_BAD_INPUT
        }
    }
}

fn explain(args: &Decode) -> Result<String, String> {
    let text = text_of(&args.what)?;
    let form = args.kind.map(|kind| match kind {
        Kind::Tlv => Form::Tlv,
        Kind::Command => Form::Command,
        Kind::Response => Form::Response,
    });
    if text.trim().is_empty() {
        return Err("there is nothing to decode".to_owned());
    }
    decode::explain_text(&text, form).map_err(|(line, error)| match is_read(&args.what) {
        true => format!("failed to read line {line}: {error}"),
        false => format!("`{}` is neither a file nor hex: {error}", args.what),
    })
}

/// Whether this names a source of hex, and is none itself.
fn is_read(what: &str) -> bool {
    what == "-" || Path::new(what).is_file()
}

fn text_of(what: &str) -> Result<String, String> {
    if what == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(MOST_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| format!("failed to read standard input: {error}"))?;
        if text.len() as u64 > MOST_BYTES {
            return Err("failed to read standard input: it has more than 1 MiB".to_owned());
        }
        return Ok(text);
    }
    let path = Path::new(what);
    if !is_read(what) {
        return Ok(what.to_owned());
    }
    let length = path.metadata().map_err(|error| format!("failed to read {what}: {error}"))?.len();
    if length > MOST_BYTES {
        return Err(format!("failed to read {what}: {length} bytes are more than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("failed to read {what}: {error}"))
}
