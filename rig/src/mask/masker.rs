//! Takes secrets out of whatever is about to be shown, in whatever form they stand there.
//!
//! Card numbers keep their first six and last four digits, keys and PINs nothing. A number is found as digits, as hex with or without
//! separators, as ASCII in hex and as a list of decimal bytes; what follows it on track 2 goes with it. A secret cut in two by a
//! fragment boundary is found in both halves.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::tlv;
use serde_json::Value;

use super::digits::{Digits, Token};
use super::edge::{ByteSecret, Edges};
use super::pattern::{Pattern, Then, decimal, star};
use crate::decode;

/// Digits by which a secret is first looked for; shorter ones cannot be told from other numbers.
const HEAD: usize = 8;

/// Something that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A card or token number, digits only.
    Number(String),
    /// A key.
    Key(Vec<u8>),
    /// A PIN, digits only.
    Pin(String),
}

impl std::fmt::Debug for Secret {
    /// Says what it is, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number(…)",
            Self::Key(_) => "Key(…)",
            Self::Pin(_) => "Pin(…)",
        })
    }
}

/// Knows the secrets of a run and takes them out of text and bytes. A copy is cheap: it shares what was known when it was made.
#[derive(Clone, Default)]
pub struct Masker {
    /// What was learnt before a copy was made is not learnt into: the copy would have to take all of it along.
    layers: Vec<Arc<Layer>>,
    /// A bit for every head in any layer, so that nearly all text is passed over without a look-up.
    heads: [u64; 16],
    pins: BTreeSet<String>,
}

/// Some of the numbers and keys.
#[derive(Clone, Default)]
struct Layer {
    /// Hex digits as they stand in text, by the first [`HEAD`] of them.
    by_head: BTreeMap<u32, Vec<Pattern>>,
    /// As they stand at the edges of fragments.
    edges: Edges,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(…)")
    }
}

impl Masker {
    /// Knows these secrets.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut masker = Self::default();
        secrets.into_iter().for_each(|secret| masker.learn(&secret));
        masker
    }

    /// Knows one more, e.g. a token the bank has just made. A number or key that is too short to be told from other digits is left out.
    pub fn learn(&mut self, secret: &Secret) {
        match secret {
            Secret::Number(digits) => self.learn_number(digits),
            Secret::Key(key) => self.learn_key(key),
            Secret::Pin(pin) if pin.len() >= 4 => {
                self.pins.insert(pin.clone());
            }
            Secret::Pin(_) => {}
        }
    }

    /// `text` with every secret masked; borrowed when there is none.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked: Option<Vec<u8>> = None;
        self.mask_patterns(text.as_bytes(), true, &mut masked);
        self.mask_pins(text.as_bytes(), &mut masked);
        // Masking puts an ASCII character in place of another one.
        masked.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// `bytes` in spaced hex with every known secret masked, also one that a fragment boundary cut in two.
    #[must_use]
    pub fn hex(&self, bytes: &[u8]) -> String {
        // Numbers first: one whose digits an edge has hidden is not known any more, nor what follows it on track 2.
        let mut shown = self.text(&spaced_hex(bytes)).into_owned();
        self.layers.iter().for_each(|layer| layer.edges.mask(bytes, &mut shown));
        shown
    }

    /// A C-APDU in spaced hex: known secrets, and what its tags or its instruction call secret.
    #[must_use]
    pub fn command(&self, bytes: &[u8]) -> String {
        match CApdu::decode(bytes) {
            Ok(command) => self.both(&decode::masked_command(&command), bytes),
            Err(_) => self.both(&decode::masked_no_command(bytes), bytes),
        }
    }

    /// The R-APDU to `command` in spaced hex, as [`Self::response`]; of an answer's later pieces the status word alone.
    #[must_use]
    pub fn answer(&self, command: &[u8], answer: &[u8]) -> String {
        match RApdu::decode(answer) {
            Ok(response) if decode::is_later_piece(command, &response.data) => {
                let status_word = spaced_hex(&response.sw.value().to_be_bytes());
                format!("{}{status_word}", "** ".repeat(response.data.len()))
            }
            _ => self.response(answer),
        }
    }

    /// An R-APDU in spaced hex: known secrets, and what its tags call secret.
    #[must_use]
    pub fn response(&self, bytes: &[u8]) -> String {
        match RApdu::decode(bytes) {
            Ok(response) => {
                let by_tag = decode::masked_response(&response);
                match value_ranges(&response.data) {
                    Some(values) if by_tag.len() + 1 == 3 * bytes.len() => {
                        self.response_of_objects(&by_tag, bytes, &values)
                    }
                    _ => self.both(&by_tag, bytes),
                }
            }
            Err(_) => self.both(&decode::masked_hex(bytes), bytes),
        }
    }

    /// The value of an ATT operation in spaced hex. `characteristic` is its UUID, or a name that holds it, as in `authentication (H:0009)`.
    #[must_use]
    pub fn att(&self, characteristic: &str, value: &[u8]) -> String {
        match value {
            // Legacy pairing sends the key itself: `01 <flag> <16 bytes>` (facts/band-ble.md 1.5 c).
            [0x01, flag, key @ ..] if key.len() >= 16 && characteristic.contains(AUTHENTICATION) => {
                format!("{} {}", spaced_hex(&[0x01, *flag]), vec!["**"; key.len()].join(" "))
            }
            value => self.hex(value),
        }
    }

    /// Masks every string of a JSON value, and every list of bytes that holds a secret: that becomes masked hex.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => match bytes_of(items) {
                Some(bytes) => {
                    let shown = self.hex(&bytes);
                    if shown.contains('*') {
                        *value = Value::String(shown);
                    }
                }
                None => items.iter_mut().for_each(|item| self.json(item)),
            },
            Value::Object(fields) => self.json_object(fields),
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.text(&number.to_string()) {
                    *value = Value::String(masked);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// As [`Self::both`], but what follows a number on track 2 ends with the value it stands in: the status word and the objects behind
    /// it stay legible.
    fn response_of_objects(&self, by_tag: &str, bytes: &[u8], values: &[Range<usize>]) -> String {
        let plain = spaced_hex(bytes);
        let whole = self.hex(bytes);
        if whole == plain {
            return by_tag.to_owned();
        }
        let mut numbers = Some(plain.clone().into_bytes());
        self.mask_patterns(plain.as_bytes(), false, &mut numbers);
        let mut known = numbers.and_then(|known| String::from_utf8(known).ok()).unwrap_or_else(|| whole.clone());
        self.layers.iter().for_each(|layer| layer.edges.mask(bytes, &mut known));
        let mut shown = by_tag.as_bytes().to_vec();
        let mut hide = |from: usize, stars: &[u8]| {
            let places = shown.iter_mut().skip(3 * from).zip(stars);
            places.filter(|(_, star)| **star == b'*').for_each(|(place, _)| *place = b'*');
        };
        hide(0, known.as_bytes());
        for value in values {
            let Some(of_value) = bytes.get(value.clone()) else { continue };
            hide(value.start, self.hex(of_value).as_bytes());
        }
        String::from_utf8(shown).unwrap_or(whole)
    }

    /// What either of the two masks hides: `by_tag` is the spaced hex of `bytes` with stars already.
    fn both(&self, by_tag: &str, bytes: &[u8]) -> String {
        let known = self.hex(bytes);
        if known.len() != by_tag.len() {
            // Not the same bytes, e.g. a command whose lengths are written in another form: what is known is masked all the same.
            return self.text(by_tag).into_owned();
        }
        known.chars().zip(by_tag.chars()).map(|(known, by_tag)| if by_tag == '*' { '*' } else { known }).collect()
    }

    fn json_object(&self, fields: &mut serde_json::Map<String, Value>) {
        let secret_names: Vec<String> =
            fields.keys().filter(|name| matches!(self.text(name), Cow::Owned(_))).cloned().collect();
        for name in secret_names {
            if let Some(value) = fields.remove(&name) {
                fields.insert(self.text(&name).into_owned(), value);
            }
        }
        fields.values_mut().for_each(|field| self.json(field));
    }

    fn learn_number(&mut self, digits: &str) {
        let nibbles: Option<Vec<u8>> = digits.chars().map(digit).collect();
        let Some(nibbles) = nibbles.filter(|nibbles| nibbles.len() >= HEAD) else { return };
        // As `Pan` shows itself: of a short number six digits at the front would leave too little.
        let first = if nibbles.len() > 12 { 6 } else { 0 };
        let ascii = digits.as_bytes();
        let (pairs, odd) = nibbles.as_chunks::<2>();
        let packed: Vec<u8> = pairs.iter().map(|&[high, low]| high << 4 | low).collect();
        // An odd number shares its last byte with tag 5A's padding or with track 2's separator.
        let packed_whole: Vec<Vec<u8>> = match odd {
            [] => vec![packed.clone()],
            odd => odd
                .iter()
                .flat_map(|&last| [0xF, 0xD].map(|then| [&packed[..], &[last << 4 | then]].concat()))
                .collect(),
        };

        self.add(Pattern { nibbles, shown_first: first, shown_last: 4, then: Then::Digits });
        let ascii_hex = ascii.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect();
        self.add(Pattern { nibbles: ascii_hex, shown_first: 2 * first, shown_last: 8, then: Then::AsciiDigits });
        self.add(Pattern { nibbles: decimal(ascii), shown_first: 2 * first, shown_last: 8, then: Then::Nothing });
        self.add(Pattern::hidden(decimal(&packed)));

        for bytes in packed_whole {
            self.layer().edges.learn(ByteSecret { bytes, shown_first: first / 2, shown_last: 2 });
        }
        self.layer().edges.learn(ByteSecret { bytes: ascii.to_vec(), shown_first: first, shown_last: 4 });
    }

    fn learn_key(&mut self, key: &[u8]) {
        if 2 * key.len() < HEAD {
            return;
        }
        self.add(Pattern::hidden(key.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect()));
        self.add(Pattern::hidden(decimal(key)));
        self.layer().edges.learn(ByteSecret { bytes: key.to_vec(), shown_first: 0, shown_last: 0 });
    }

    /// The layer that nobody shares.
    fn layer(&mut self) -> &mut Layer {
        if self.layers.last_mut().is_none_or(|layer| Arc::get_mut(layer).is_none()) {
            self.layers.push(Arc::default());
        }
        // Nobody shares the last one, so nothing is copied.
        let last = self.layers.len() - 1;
        Arc::make_mut(&mut self.layers[last])
    }

    fn add(&mut self, pattern: Pattern) {
        let Some(head) = pattern.nibbles.first_chunk::<HEAD>() else { return };
        let head = head.iter().fold(0, |head, &nibble| head << 4 | u32::from(nibble));
        let (word, bit) = bloom(head);
        if let Some(word) = self.heads.get_mut(word) {
            *word |= bit;
        }
        let patterns = self.layer().by_head.entry(head).or_default();
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }

    /// Slides over the digits of `text`; where eight of them begin a secret, looks at the rest.
    fn mask_patterns(&self, text: &[u8], and_rest: bool, masked: &mut Option<Vec<u8>>) {
        let mut window: u32 = 0;
        let mut filled = 0_usize;
        // Where the last digits stand, the newest at `filled % HEAD`.
        let mut places = [0_usize; HEAD];
        for (at, token) in Digits::new(text) {
            let Token::Nibble(nibble) = token else {
                filled = 0;
                continue;
            };
            window = window << 4 | u32::from(nibble);
            filled += 1;
            places[filled % HEAD] = at;
            let (word, bit) = bloom(window);
            if filled < HEAD || self.heads[word] & bit == 0 {
                continue;
            }
            for pattern in self.layers.iter().filter_map(|layer| layer.by_head.get(&window)).flatten() {
                pattern.mask(text, places[(filled + 1) % HEAD], and_rest, masked);
            }
        }
    }

    /// Masks digits that are exactly a PIN and stand alone.
    fn mask_pins(&self, text: &[u8], masked: &mut Option<Vec<u8>>) {
        if self.pins.is_empty() {
            return;
        }
        let mut at = 0;
        for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
            if word.first().is_some_and(u8::is_ascii_digit)
                && std::str::from_utf8(word).is_ok_and(|word| self.pins.contains(word))
            {
                (at..at + word.len()).for_each(|place| star(text, place, masked));
            }
            at += word.len() + 1;
        }
    }
}

/// Where the values of all primitive objects stand; `None` when not all of the bytes are data objects.
fn value_ranges(data: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    for object in tlv::walk_deep(data) {
        let (_, object) = object.ok()?;
        if !object.tag.is_constructed() {
            let start = object.value.as_ptr().addr() - data.as_ptr().addr();
            ranges.push(start..start + object.value.len());
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// The authentication characteristic in the vendor's short form.
const AUTHENTICATION: &str = "H:0009";

/// Word and bit of a head in the 1024 bits of [`Masker::heads`].
const fn bloom(head: u32) -> (usize, u64) {
    // Fibonacci hashing: the upper ten bits of the product are well mixed.
    let hash = head.wrapping_mul(0x9E37_79B9) >> 22;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

fn digit(character: char) -> Option<u8> {
    character.to_digit(10).and_then(|digit| u8::try_from(digit).ok())
}

/// The items as bytes, if all of them are numbers that fit.
fn bytes_of(items: &[Value]) -> Option<Vec<u8>> {
    let bytes = items.iter().map(|item| item.as_u64().and_then(|number| u8::try_from(number).ok()));
    if items.is_empty() { None } else { bytes.collect() }
}

/// As `decode::spaced_hex`, without a string per byte: traces of whole runs go through here.
fn spaced_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for &byte in bytes {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend([byte >> 4, byte & 0x0F].map(|nibble| char::from(HEX[usize::from(nibble)])));
    }
    text
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAN: &str = "5413330089010434";

    fn masker() -> Masker {
        Masker::new([
            Secret::Number(PAN.into()),
            Secret::Number("371449635398431".into()),
            Secret::Key((0x40..=0x4F).collect()),
            Secret::Pin("1593".into()),
        ])
    }

    #[test]
    fn a_number_is_masked_in_every_form() {
        let rows = [
            ("card 5413330089010434.", "card 541333******0434."),
            ("5413 3300 8901 0434", "5413 33** **** 0434"),
            ("54 13 33 00 89 01 04 34", "54 13 33 ** ** ** 04 34"),
            ("54:13:33:00:89:01:04:34", "54:13:33:**:**:**:04:34"),
            ("[0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34]", "[0x54, 0x13, 0x33, 0x**, 0x**, 0x**, 0x04, 0x34]"),
            ("5A085413330089010434", "5A08541333******0434"),
            ("35343133333330303839303130343334", "353431333333************30343334"),
            ("35 34 31 33 33 33 30 30 38 39 30 31 30 34 33 34", "35 34 31 33 33 33 ** ** ** ** ** ** 30 34 33 34"),
            ("[84, 19, 51, 0, 137, 1, 4, 52]", "[**, **, **, *, ***, *, *, **]"),
        ];
        let masker = masker();
        for (text, expected) in rows {
            assert_eq!(masker.text(text), expected);
        }
        assert_eq!(masker.text("37 14 49 63 53 98 43 1F"), "37 14 49 ** ** *8 43 1F");
    }

    #[test]
    fn track_2_goes_with_its_number() {
        let masker = masker();
        assert_eq!(
            masker.text("57 0D 54 13 33 00 89 01 04 34 D2 51 22 01 9F 36"),
            "57 0D 54 13 33 ** ** ** 04 34 D* ** ** ** *F 36"
        );
        assert_eq!(masker.text(";5413330089010434=25122010001?"), ";541333******0434=***********?");
        assert_eq!(
            masker.text("35343133333330303839303130343334 3D 32 35"),
            "353431333333************30343334 3D 3* 3*"
        );
    }

    #[test]
    fn track_2_of_an_answer_ends_with_its_object() {
        let answer = [
            &[0x77, 0x14, 0x57, 0x0D, 0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34, 0xD2, 0x51, 0x22, 0x01, 0x12][..],
            &[0x82, 0x03, 0x00, 0x12, 0x34, 0x90, 0x00],
        ]
        .concat();
        assert_eq!(
            masker().response(&answer),
            "77 14 57 0D 54 13 33 ** ** ** 04 34 D* ** ** ** ** 82 03 00 12 34 90 00"
        );
        // In a tag that says nothing the number is known all the same.
        let unknown: Vec<u8> = [&[0xDF, 0x7F, 0x0A][..], &answer[4..14], &[0x90, 0x00]].concat();
        assert_eq!(masker().response(&unknown), "DF 7F 0A 54 13 33 ** ** ** 04 34 D* ** 90 00");
        // What is no row of objects is masked as far as it may go.
        let torn = [&answer[4..17], &[0x90, 0x00]].concat();
        assert_eq!(masker().response(&torn), "54 13 33 ** ** ** 04 34 D* ** ** ** ** ** **");
    }

    #[test]
    fn a_key_shows_nothing_and_a_pin_is_masked_where_it_stands_alone() {
        let masker = masker();
        assert_eq!(masker.text("key 404142434445464748494a4b4c4d4e4f!"), "key ********************************!");
        assert_eq!(masker.text("PIN 1593, not 15930 or A1593"), "PIN ****, not 15930 or A1593");
        assert_eq!(format!("{masker:?} {:?}", Secret::Pin("1593".into())), "Masker(…) Pin(…)");
    }

    #[test]
    fn text_without_a_secret_is_not_touched() {
        let masker = masker();
        for text in ["", "541333008901043", "6F 23 84 0E 32 50", "5413330089010435", "ключ 1234", "54133300z89010434"]
        {
            assert!(matches!(masker.text(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn apdus_hide_what_is_known_and_what_their_tags_call_secret() {
        let masker = masker();
        let unknown =
            [&[0x70, 0x0A, 0x5A, 0x08][..], &[0x52, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23], &[0x90, 0x00]].concat();
        assert_eq!(masker.response(&unknown), "70 0A 5A 08 52 01 23 ** ** ** 01 23 90 00");
        let known_without_tag = [0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34, 0x90, 0x00];
        assert_eq!(masker.response(&known_without_tag), "54 13 33 ** ** ** 04 34 90 00");
        let certificate = [0x70, 0x07, 0x9F, 0x46, 0x04, 0x6A, 0x04, 0x54, 0x13, 0x90, 0x00];
        assert_eq!(masker.response(&certificate), "70 07 9F 46 04 ** ** ** ** 90 00");
        let verify = [0x00, 0x20, 0x00, 0x80, 0x08, 0x24, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(masker.command(&verify), "00 20 00 80 08 ** ** ** ** ** ** ** **");
        let select = [0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x00];
        assert_eq!(masker.command(&select), "00 A4 04 00 07 A0 00 00 00 04 10 10 00");
        assert_eq!([masker.command(&[]), masker.response(&[0x90])], ["", "90"]);
    }

    #[test]
    fn an_answer_in_pieces_shows_no_more_than_a_whole_one() {
        let masker = Masker::default();
        let read_record = [0x00, 0xB2, 0x01, 0x14, 0x06];
        let get_response = [0x00, 0xC0, 0x00, 0x00, 0x05];
        let first = [0x70, 0x09, 0x9F, 0x46, 0x06, 0x6A, 0x61, 0x05];
        assert_eq!(masker.answer(&read_record, &first), "70 09 9F 46 06 ** 61 05");
        let second = [0x04, 0x54, 0x13, 0x33, 0x00, 0x90, 0x00];
        assert_eq!(masker.answer(&get_response, &second), "** ** ** ** ** 90 00");
        let whole = [0x77, 0x03, 0x82, 0x01, 0x12, 0x90, 0x00];
        assert_eq!(masker.answer(&get_response, &whole), "77 03 82 01 12 90 00");
        assert_eq!(masker.answer(&get_response, &[0x69, 0x85]), "69 85");
    }

    #[test]
    fn legacy_pairing_does_not_show_its_key() {
        let mut frame = vec![0x01, 0x08];
        frame.extend([0x77; 16]);
        let none = Masker::default();
        assert_eq!(none.att("authentication (H:0009)", &frame), format!("01 08{}", " **".repeat(16)));
        assert_eq!(none.att("authentication (H:0009)", &[0x01, 0x14]), "01 14");
        assert!(none.att("NFC channel (H:0011)", &frame).contains("77"));
    }

    #[test]
    fn lists_of_bytes_in_json_become_masked_hex() {
        let mut value = serde_json::json!({
            "rapdu": [0x5A, 8, 0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34, 0x90, 0x00],
            "sw": [0x90, 0x00],
            "text": ["token 5413330089010434"],
            "number": 5_413_330_089_010_434_u64,
            "5413330089010434": true,
        });
        masker().json(&mut value);
        assert_eq!(
            value,
            serde_json::json!({
                "rapdu": "5A 08 54 13 33 ** ** ** 04 34 90 00",
                "sw": [0x90, 0x00],
                "text": ["token 541333******0434"],
                "number": "541333******0434",
                "541333******0434": true,
            })
        );
    }

    #[test]
    fn a_copy_knows_what_the_original_knew_and_learns_for_itself() {
        let original = masker();
        let mut copy = original.clone();
        copy.learn(&Secret::Number("2223000048400011".into()));
        copy.learn(&Secret::Number("2223000048400029".into()));
        let text = "5413330089010434 2223000048400011 2223000048400029";
        assert_eq!(copy.text(text), "541333******0434 222300******0011 222300******0029");
        assert_eq!(original.text(text), "541333******0434 2223000048400011 2223000048400029");
        assert_eq!(copy.hex(&[0x83, 0x04, 0x84, 0x00, 0x29, 0x90, 0x00]), "83 04 84 00 29 90 00");
        assert_eq!(copy.hex(&[0x83, 0x48, 0x40, 0x00, 0x29, 0x90, 0x00]), "83 ** ** 00 29 90 00");
        assert_eq!((original.layers.len(), copy.layers.len()), (1, 2), "what both know is there once");
    }

    #[test]
    fn a_number_cut_by_a_fragment_is_masked_in_both_halves() {
        let masker = masker();
        assert_eq!(masker.hex(&[0x04, 0x5A, 0x08, 0x54, 0x13, 0x33, 0x00, 0x89]), "04 5A 08 54 13 33 ** **");
        assert_eq!(masker.hex(&[0x03, 0x89, 0x01, 0x04, 0x34, 0x90, 0x00]), "03 ** ** 04 34 90 00");
    }

    /// The longest piece of the number that can be read in the text; a star ends a piece.
    fn longest_shown_run(pan: &str, text: &str) -> usize {
        let text = text.to_lowercase().replace("0x", "");
        let digits: String = text.chars().filter(|&c| c.is_ascii_hexdigit() || c == '*').collect();
        let pieces = |length| (0..=pan.len() - length).map(move |at| &pan[at..at + length]);
        (1..=pan.len()).rev().find(|&length| pieces(length).any(|piece| digits.contains(piece))).unwrap_or(0)
    }

    /// A number no piece of which stands in the noise around it by chance.
    fn number() -> impl Strategy<Value = String> {
        "[1-9][0-9]{12,18}"
    }

    proptest! {
        #[test]
        fn no_known_number_is_left_in_any_rendering_of_bytes(
            pan in number(), ascii in any::<bool>(), before in proptest::collection::vec(0xA0..=0xCF_u8, 0..40), after in proptest::collection::vec(0xA0..=0xCF_u8, 0..40),
        ) {
            let middle = if ascii { pan.clone().into_bytes() } else { packed(&pan) };
            let bytes = [before, middle, after].concat();
            let masker = Masker::new([Secret::Number(pan.clone())]);
            let in_hex = if ascii { pan.bytes().map(|byte| format!("{byte:02x}")).collect() } else { pan.clone() };
            let in_decimal = if ascii { pan.bytes().map(|byte| byte.to_string()).collect() } else { decimal_text(&pan) };
            // In decimal nothing of a packed number is shown, but digits of the noise may look like a piece of it.
            let (allowed, allowed_decimal) = if ascii { (12, 12) } else { (6, 10) };
            let spaced = spaced_hex(&bytes);
            for (text, looked_for, allowed) in [
                (&spaced, &in_hex, allowed),
                (&spaced.replace(' ', ""), &in_hex, allowed),
                (&spaced.to_lowercase().replace(' ', ":"), &in_hex, allowed),
                (&format!("{bytes:02x?}"), &in_hex, allowed),
                (&format!("{bytes:#04X?}"), &in_hex, allowed),
                (&format!("{bytes:?}"), &in_decimal, allowed_decimal),
                (&format!("{bytes:#?}"), &in_decimal, allowed_decimal),
            ] {
                let shown = masker.text(text);
                prop_assert!(shown.contains('*'), "{text}");
                prop_assert!(longest_shown_run(looked_for, &shown) <= allowed, "{shown}");
                prop_assert_eq!(shown.len(), text.len());
            }
            prop_assert!(longest_shown_run(&in_hex, &masker.hex(&bytes)) <= allowed);
        }

        #[test]
        fn fragments_put_together_again_do_not_give_the_number(
            pan in number(), before in proptest::collection::vec(0xA0..=0xCF_u8, 0..60), after in proptest::collection::vec(0xA0..=0xCF_u8, 0..60), size in 17_usize..=19,
        ) {
            let bytes = [before, packed(&pan), after].concat();
            let masker = Masker::new([Secret::Number(pan.clone())]);
            let opcodes: &[u8] = if size == 17 { &[0x00, 0x44, 0x02] } else { &[0x84] };
            let joined: String = bytes.chunks(size).map(|chunk| {
                let shown = masker.hex(&[opcodes, chunk].concat());
                shown.split(' ').skip(opcodes.len()).collect::<String>()
            }).collect();
            prop_assert!(longest_shown_run(&pan, &joined) < 10, "{}", joined);
        }

        #[test]
        fn any_text_survives_unless_it_holds_a_secret(text in any::<String>()) {
            let masker = Masker::new([Secret::Number(PAN.into())]);
            prop_assert_eq!(masker.text(&text).into_owned(), text);
        }
    }

    /// The whole bytes of a packed number as a list of decimal bytes has them.
    fn decimal_text(pan: &str) -> String {
        packed(pan)[..pan.len() / 2].iter().map(u8::to_string).collect()
    }

    /// Compressed numeric: padded with `F`.
    fn packed(pan: &str) -> Vec<u8> {
        let mut digits: Vec<u8> = pan.bytes().map(|byte| byte - b'0').collect();
        if digits.len() % 2 == 1 {
            digits.push(0xF);
        }
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}
