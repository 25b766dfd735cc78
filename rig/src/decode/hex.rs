//! Hex as people type and paste it.

use std::fmt;

/// Why text is not hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// No digit at all.
    Empty,
    /// Neither a digit nor a separator; `at` counts characters from 1.
    BadCharacter {
        /// The character's place, from 1.
        at: usize,
        /// The character.
        found: char,
    },
    /// A separator between the two digits of a byte, or a last digit without its partner; `at` is the lonely digit.
    LonelyDigit {
        /// The digit's place, from 1.
        at: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no hex digits; expected bytes such as `00 A4 04 00`"),
            Self::BadCharacter { at, found } => write!(f, "{found:?} at character {at} is no hex digit"),
            Self::LonelyDigit { at } => {
                write!(f, "the hex digit at character {at} has no partner; every byte needs two digits")
            }
        }
    }
}

impl std::error::Error for HexError {}

/// Reads bytes in hex, either case. Between bytes there may be white space, `:`, `-` or `,`; a `0x` before a byte is
/// passed over.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high: Option<(usize, u8)> = None;
    for (index, found) in text.chars().enumerate() {
        let at = index + 1;
        match (found.to_digit(16).and_then(|digit| u8::try_from(digit).ok()), high.take()) {
            (Some(low), Some((_, upper))) => bytes.push(upper << 4 | low),
            (Some(digit), None) => high = Some((at, digit)),
            (None, Some((_, 0))) if matches!(found, 'x' | 'X') => {}
            (None, Some((at, _))) if is_separator(found) => return Err(HexError::LonelyDigit { at }),
            (None, None) if is_separator(found) => {}
            (None, _) => return Err(HexError::BadCharacter { at, found }),
        }
    }
    match high {
        Some((at, _)) => Err(HexError::LonelyDigit { at }),
        None if bytes.is_empty() => Err(HexError::Empty),
        None => Ok(bytes),
    }
}

/// Bytes as the standards print them: `00 A4 04 00`.
///
/// Shows everything: use `masked_hex` for bytes from a card or for one.
#[must_use]
pub fn spaced_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | '-' | ',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hex_is_read_with_and_without_separators() {
        for text in ["00A40400", "00 a4 04 00", " 00:A4:04:00\n", "00-A4-04-00", "0x00, 0xA4, 0x04, 0x00", "00A4\t0400"]
        {
            assert_eq!(parse_hex(text), Ok(vec![0x00, 0xA4, 0x04, 0x00]), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_the_character() {
        for (text, message) in [
            ("", "no hex digits; expected bytes such as `00 A4 04 00`"),
            (" \n", "no hex digits; expected bytes such as `00 A4 04 00`"),
            ("00 G4", "'G' at character 4 is no hex digit"),
            ("0G", "'G' at character 2 is no hex digit"),
            ("é0", "'é' at character 1 is no hex digit"),
            ("00 A", "the hex digit at character 4 has no partner; every byte needs two digits"),
            ("0 0A4", "the hex digit at character 1 has no partner; every byte needs two digits"),
            ("1x00", "'x' at character 2 is no hex digit"),
        ] {
            assert_eq!(parse_hex(text).map_err(|error| error.to_string()), Err(message.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(bytes in prop::collection::vec(any::<u8>(), 1..50)) {
            prop_assert_eq!(parse_hex(&spaced_hex(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_harmless(text: String) {
            let _ = parse_hex(&text);
        }
    }
}
