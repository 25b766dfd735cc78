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
            eprintln!("bandrig: {message}");
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
    decode::explain_text(&text, form).map_err(|(line, error)| format!("failed to read line {line}: {error}"))
}

fn text_of(what: &str) -> Result<String, String> {
    if what == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(MOST_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| format!("failed to read standard input: {error}"))?;
        return Ok(text);
    }
    let path = Path::new(what);
    if !path.is_file() {
        return Ok(what.to_owned());
    }
    let length = path.metadata().map_err(|error| format!("failed to read {what}: {error}"))?.len();
    if length > MOST_BYTES {
        return Err(format!("failed to read {what}: {length} bytes are more than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("failed to read {what}: {error}"))
}
