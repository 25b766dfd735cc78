//! What of a value may be shown. Every byte becomes a token of two characters: hex digits, or `*` in their place.

use std::ops::Range;

use band_sim::wire::tag::{self, Secret};
use band_sim::wire::tlv::{self, Tag};

use super::is_tlv;

/// Fewer digits than any card number has (ISO 7812-1); showing ten of them would show nearly all.
const MIN_PAN_DIGITS: usize = 12;

/// Two digits to a byte, 19 at most (ISO 7812-1).
const MAX_PAN_BYTES: usize = 10;

/// The value of this tag in spaced hex, as much of it as may be shown.
#[must_use]
pub fn masked_value(tag: Tag, value: &[u8]) -> String {
    value_tokens(tag, value).join(" ")
}

/// Any bytes in spaced hex. Data objects are masked by their tags; in other bytes, whatever looks like a card number is.
#[must_use]
pub fn masked_hex(bytes: &[u8]) -> String {
    tokens(bytes).join(" ")
}

/// One token for each byte of `bytes`, see [`masked_hex`].
pub(super) fn tokens(bytes: &[u8]) -> Vec<String> {
    let by_tag = object_tokens(bytes, 0);
    if is_tlv(bytes) {
        return by_tag;
    }
    // What is no TLV may still hold objects, and a number may lie across what only seems to be one.
    let by_look = raw_tokens(bytes);
    by_tag.iter().zip(&by_look).map(|(tag, look)| both_masks(tag, look)).collect()
}

/// One token for each byte of a primitive value.
pub(super) fn value_tokens(tag: Tag, value: &[u8]) -> Vec<String> {
    let Some(row) = tag::info(tag) else { return raw_tokens(value) };
    match row.secret {
        Secret::No => value.iter().map(plain).collect(),
        Secret::Pan => pairs(&mask_number(&nibbles(value), |digit| digit == 'F')),
        Secret::Track2 => pairs(&mask_track_2(&nibbles(value))),
        Secret::Key | Secret::Signed => hidden(value.len()),
    }
}

/// One token for each byte of something that must not be seen.
pub(super) fn hidden(len: usize) -> Vec<String> {
    vec!["**".to_owned(); len]
}

/// One token for each byte of something without tags: digits that could be a card number are masked like one.
pub(super) fn raw_tokens(bytes: &[u8]) -> Vec<String> {
    let digits = nibbles(bytes);
    let mut shown = digits.clone();
    for run in digits_runs(&digits) {
        // Nearly all numbers have 16 digits; one of another length is only seen when it stands alone.
        let lone = (13..=19).contains(&run.len()).then(|| run.clone());
        let sixteen = (run.start..run.end).map(|start| start..start + 16).filter(|window| window.end <= run.end);
        for window in lone.into_iter().chain(sixteen) {
            let Some(number) = digits.get(window.clone()).filter(|number| looks_like_pan(number)) else { continue };
            let masked = mask_number(number, |_| false);
            for (shown, masked) in shown.iter_mut().skip(window.start).zip(masked) {
                *shown = if masked == '*' { '*' } else { *shown };
            }
            // A separator behind the number makes it track 2.
            if digits.get(window.end) == Some(&'D') {
                shown
                    .iter_mut()
                    .skip(window.end + 1)
                    .take_while(|digit| digit.is_ascii_digit())
                    .for_each(|digit| *digit = '*');
            }
        }
    }
    pairs(&shown)
}

/// Lines of sixteen tokens each, indented.
pub(super) fn block(tokens: &[String], indent: usize) -> String {
    tokens.chunks(16).map(|line| format!("{:indent$}{}\n", "", line.join(" "))).collect()
}

fn plain(byte: &u8) -> String {
    format!("{byte:02X}")
}

fn object_tokens(bytes: &[u8], depth: usize) -> Vec<String> {
    let mut shown = Vec::with_capacity(bytes.len());
    for object in tlv::walk(bytes).map_while(Result::ok) {
        let value_at = value_offset(bytes, &object);
        shown.extend(bytes.iter().take(value_at).skip(shown.len()).map(plain));
        let nested = object.tag.is_constructed() && depth < tlv::MAX_DEPTH;
        shown.extend(if nested {
            object_tokens(object.value, depth + 1)
        } else {
            value_tokens(object.tag, object.value)
        });
    }
    // What follows the last object is padding, the first part of an object, or none.
    let rest = bytes.get(shown.len()..).unwrap_or_default();
    shown.extend(cut_object_tokens(rest, depth).unwrap_or_else(|| raw_tokens(rest)));
    shown
}

/// The first part of an object whose length goes past the end of the bytes, as of an answer that comes in pieces.
fn cut_object_tokens(bytes: &[u8], depth: usize) -> Option<Vec<String>> {
    let (tag, after_tag) = Tag::decode(bytes).ok()?;
    let (len, value) = tlv::decode_length(after_tag).ok()?;
    if len <= value.len() {
        return None;
    }
    let by_tag = if tag.is_constructed() && depth < tlv::MAX_DEPTH {
        object_tokens(value, depth + 1)
    } else if tag::info(tag).is_some_and(|row| row.secret != Secret::No) {
        // With as many bytes as a number has behind it, what there is of one does not show its end.
        value_tokens(tag, &[value, &[0; MAX_PAN_BYTES][..MAX_PAN_BYTES.min(len - value.len())]].concat())
    } else {
        return None;
    };
    let mut shown = raw_tokens(bytes);
    let value_at = bytes.len() - value.len();
    for (look, tag) in shown.iter_mut().skip(value_at).zip(&by_tag) {
        *look = both_masks(tag, look);
    }
    Some(shown)
}

fn both_masks(one: &str, other: &str) -> String {
    one.chars().zip(other.chars()).map(|(one, other)| if one == '*' { one } else { other }).collect()
}

fn value_offset(bytes: &[u8], object: &tlv::Tlv<'_>) -> usize {
    let after_tag = object.at + object.tag.encoded_len();
    let length_field = bytes.get(after_tag..).unwrap_or_default();
    // The walk has read this length field before.
    let rest = tlv::decode_length(length_field).map_or(0, |(_, rest)| rest.len());
    after_tag + length_field.len() - rest
}

/// Where decimal digits stand without a break.
fn digits_runs(digits: &[char]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in digits.iter().enumerate().filter(|(_, digit)| digit.is_ascii_digit()) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn nibbles(bytes: &[u8]) -> Vec<char> {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?').to_ascii_uppercase())
        .collect()
}

fn pairs(nibbles: &[char]) -> Vec<String> {
    nibbles.chunks(2).map(|pair| pair.iter().collect()).collect()
}

/// First six and last four digits of a number, whose end is marked by filler; of a short number nothing.
fn mask_number(digits: &[char], is_filler: impl Fn(char) -> bool) -> Vec<char> {
    let len = digits.iter().position(|&digit| is_filler(digit)).unwrap_or(digits.len());
    let shown = |at: usize| at >= len || len >= MIN_PAN_DIGITS && (at < 6 || at >= len - 4);
    digits.iter().enumerate().map(|(at, &digit)| if shown(at) { digit } else { '*' }).collect()
}

/// The number before the separator `D` like a PAN, the separator, and nothing of the rest. Without a separator there is
/// no telling where the number ends, so nothing is shown.
fn mask_track_2(digits: &[char]) -> Vec<char> {
    let Some(separator) = digits.iter().position(|&digit| digit == 'D') else { return vec!['*'; digits.len()] };
    let (number, rest) = digits.split_at(separator);
    let mut shown = mask_number(number, |_| false);
    shown.push('D');
    shown.resize(number.len() + rest.len(), '*');
    shown
}

/// Right first digit (ISO 7812-1: 2 to 6 are the payment schemes), right check digit (Luhn), and not mostly zeros as
/// amounts are.
fn looks_like_pan(digits: &[char]) -> bool {
    let luhn = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let digit = digit.to_digit(10).unwrap_or_default();
        sum + if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
    });
    let first_fits = digits.first().is_some_and(|first| ('2'..='6').contains(first));
    first_fits && luhn % 10 == 0 && !digits.windows(7).any(|window| window == ['0'; 7])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::parse_hex;
    use band_sim::wire::tag::*;
    use proptest::prelude::*;

    fn value(tag: Tag, hex: &str) -> String {
        masked_value(tag, &parse_hex(hex).unwrap())
    }

    fn raw(hex: &str) -> String {
        masked_hex(&parse_hex(hex).unwrap())
    }

    #[test]
    fn a_card_number_shows_six_and_four() {
        assert_eq!(value(TAG_5A_PAN, "5413330089010434"), "54 13 33 ** ** ** 04 34");
        assert_eq!(value(TAG_5A_PAN, "5413330089010434999F"), "54 13 33 ** ** ** ** *4 99 9F");
        assert_eq!(value(TAG_5A_PAN, "541333008901"), "54 13 33 ** 89 01");
        assert_eq!(value(TAG_5A_PAN, "54133300890F"), "** ** ** ** ** *F");
    }

    #[test]
    fn track_2_shows_of_the_number_six_and_four_and_nothing_behind_it() {
        assert_eq!(
            value(TAG_57_TRACK_2_EQUIVALENT_DATA, "5413330089010434D2512201012345678F"),
            "54 13 33 ** ** ** 04 34 D* ** ** ** ** ** ** ** **"
        );
        assert_eq!(value(TAG_57_TRACK_2_EQUIVALENT_DATA, "54133300890104342512201012345678"), ["**"; 16].join(" "));
        assert_eq!(value(TAG_57_TRACK_2_EQUIVALENT_DATA, "D1"), "D*");
    }

    #[test]
    fn keys_and_names_show_nothing() {
        assert_eq!(value(TAG_99_PIN_DATA, "2412 34FF"), "** ** ** **");
        assert_eq!(value(TAG_5F20_CARDHOLDER_NAME, "4142"), "** **");
    }

    #[test]
    fn other_values_show_everything() {
        assert_eq!(value(TAG_9F02_AMOUNT_AUTHORISED, "000000000420"), "00 00 00 00 04 20");
        assert_eq!(value(Tag::new(0xDF7E), "AABB"), "AA BB");
    }

    #[test]
    fn objects_are_masked_in_place_at_any_depth() {
        assert_eq!(
            raw("00 70 81 12 5A 08 5413330089010434 00 57 03 12D345 9F36 02 0001 00"),
            "00 70 81 12 5A 08 54 13 33 ** ** ** 04 34 00 57 03 ** D* ** 9F 36 02 00 01 00"
        );
    }

    #[test]
    fn what_looks_like_a_card_number_is_masked_in_bytes_of_no_form() {
        assert_eq!(raw("FF 5413330089010434 AB"), "FF 54 13 33 ** ** ** 04 34 AB");
        assert_eq!(raw("FF 5413330089010435 AB"), "FF 54 13 33 00 89 01 04 35 AB", "the check digit is wrong");
        assert_eq!(
            raw("05 41 33 30 08 90 10 43 4F"),
            "05 41 33 3* ** ** *0 43 4F",
            "numbers need not begin with a byte"
        );
        assert_eq!(raw("FF 1413330089010434"), "FF 14 13 33 00 89 01 04 34", "no scheme's number begins with 1");
        assert_eq!(raw("FF 9F36"), "FF 9F 36");
    }

    #[test]
    fn what_public_keys_open_to_the_number_shows_nothing() {
        assert_eq!(raw("70 0A 9F46 03 6A0454 9F48 01 AB"), "70 0A 9F 46 03 ** ** ** 9F 48 01 AB");
        assert_eq!(raw("90 02 6A02 93 02 6A03 9F2D 02 6A04"), "90 02 6A 02 93 02 ** ** 9F 2D 02 ** **");
    }

    #[test]
    fn an_object_is_masked_by_its_tag_where_its_end_is_missing() {
        assert_eq!(raw("70 81 B3 9F46 81 90 6A0454"), "70 81 B3 9F 46 81 90 ** ** **");
        assert_eq!(raw("82 01 00 5A 08 541333008901"), "82 01 00 5A 08 54 13 33 ** ** **");
        assert_eq!(raw("DF7E 0A 5413330089010434"), "DF 7E 0A 54 13 33 ** ** ** 04 34");
    }

    #[test]
    fn an_unknown_object_with_a_card_number_in_it_shows_no_number() {
        assert_eq!(raw("DF7E 08 5413330089010434"), "DF 7E 08 54 13 33 ** ** ** 04 34");
    }

    proptest! {
        #[test]
        fn every_byte_has_its_token(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let shown = tokens(&bytes);
            prop_assert_eq!(shown.len(), bytes.len());
            for (token, byte) in shown.iter().zip(&bytes) {
                let same = token.chars().zip(plain(byte).chars()).all(|(shown, real)| shown == real || shown == '*');
                prop_assert!(token.len() == 2 && same, "{} for {:02X}", token, byte);
            }
        }
    }
}
