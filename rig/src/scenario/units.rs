//! Values with units: durations, bytes, dates (money is in [`crate::money`]). Nothing is guessed: a number without its unit is an error that says what
//! to write.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use band_sim::wire::tlv::Tag;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use super::expect::{Entries, OkExpect, TimeExpect};
use super::fault::{Every, Point, PointKind};
use super::file::Version;
use super::middle::Spot;
use super::step::{Code, Pin, Serial};
use crate::cloud::api::AppVersion;

/// A length of time, possibly written against settings: `10m`, `code_valid_for - 1us`, `2 * code_valid_for + 3s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationExpr {
    /// The terms, to be summed.
    pub terms: Vec<Term>,
}

/// One term of a [`DurationExpr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Taken away instead of added.
    pub minus: bool,
    /// How often; 1 unless written.
    pub factor: u32,
    /// Of what.
    pub of: Quantity,
}

/// What a term counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A length of time with its unit.
    Fixed(Duration),
    /// A setting of the case or of the station.
    Setting(Setting),
}

/// A setting that a duration may be written against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// How long a confirmation code is valid (R2).
    CodeValidFor,
    /// How long the app may be out of the foreground while a card is added (R10).
    ForegroundGrace,
    /// How long the band waits for the tap that confirms a pairing.
    PairingTimeout,
    /// How long the app waits for an answer to an APDU.
    ApduTimeout,
    /// How long the app waits before it asks again for data that is not ready (3007).
    DataRetryAfter,
}

impl Setting {
    /// All of them, by the word of the language.
    pub const ALL: [(&'static str, Self); 5] = [
        ("code_valid_for", Self::CodeValidFor),
        ("foreground_grace", Self::ForegroundGrace),
        ("pairing_timeout", Self::PairingTimeout),
        ("apdu_timeout", Self::ApduTimeout),
        ("data_retry_after", Self::DataRetryAfter),
    ];

    /// What it is when neither the file nor the station says more.
    #[must_use]
    pub const fn default_value(self) -> Duration {
        match self {
            // rules.md, R1 and R2
            Self::CodeValidFor => Duration::from_secs(600),
            // rules.md, R10
            Self::ForegroundGrace => Duration::ZERO,
            // facts/band-ble.md 1.5 (d): the band waits at most 30 s for the tap
            Self::PairingTimeout => Duration::from_secs(30),
            // facts/band-ble.md 2.1: the app waits 60 s in total
            Self::ApduTimeout => Duration::from_secs(60),
            // facts/band-ble.md 2.4: 3007, every 4 s
            Self::DataRetryAfter => Duration::from_secs(4),
        }
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, setting)| *setting == self).map_or("", |(word, _)| word)
    }
}

impl DurationExpr {
    /// The length of time, given what each setting is; `None` when it would be negative or overflow.
    #[must_use]
    pub fn evaluate(&self, setting: impl Fn(Setting) -> Duration) -> Option<Duration> {
        let mut total: i128 = 0;
        for term in &self.terms {
            let one = match term.of {
                Quantity::Fixed(duration) => duration,
                Quantity::Setting(name) => setting(name),
            };
            let micros = i128::try_from(one.as_micros()).ok()?.checked_mul(i128::from(term.factor))?;
            total = total.checked_add(if term.minus { -micros } else { micros })?;
        }
        u64::try_from(total).ok().map(Duration::from_micros)
    }
}

impl FromStr for DurationExpr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut minus = false;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err("a length of time is missing; write for example `10m` or `code_valid_for + 1s`".into());
        }
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let (term, tail) = rest.split_at(end);
            terms.push(term_of(term.trim(), minus)?);
            let Some(sign) = tail.chars().next() else { return Ok(Self { terms }) };
            minus = sign == '-';
            rest = tail.get(1..).unwrap_or_default().trim_start();
        }
    }
}

fn term_of(text: &str, minus: bool) -> Result<Term, String> {
    let (factor, of) = match text.split_once('*') {
        Some((factor, of)) => {
            let factor = factor.trim();
            let number = factor
                .parse()
                .map_err(|_| format!("`{factor}` is not a whole number; write for example `2 * code_valid_for`"))?;
            (number, of.trim())
        }
        None => (1, text),
    };
    if of.is_empty() {
        return Err("a term is missing beside the sign; write for example `code_valid_for + 1s`".into());
    }
    if of.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(Term { minus, factor, of: Quantity::Fixed(duration(of)?) });
    }
    let Some((_, setting)) = Setting::ALL.iter().find(|(word, _)| *word == of) else {
        let words: Vec<_> = Setting::ALL.iter().map(|(word, _)| *word).collect();
        return Err(format!("`{of}` is neither a length of time nor a setting; settings are {}", words.join(", ")));
    };
    Ok(Term { minus, factor, of: Quantity::Setting(*setting) })
}

/// The units of time, in microseconds.
const UNITS: [(&str, u64); 7] = [
    ("us", 1),
    ("µs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim();
    if unit.starts_with('.') {
        return Err(format!("`{text}` is not whole; take a smaller unit, such as `1500ms` for one and a half seconds"));
    }
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit: write `{text}s`, `{text}ms` or `{text}m`"));
    }
    let Some((_, micros)) = UNITS.iter().find(|(word, _)| *word == unit) else {
        return Err(format!("`{unit}` is not a unit of time; units are us, ms, s, m, h and d"));
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is too large"))?;
    number.checked_mul(*micros).map(Duration::from_micros).ok_or_else(|| format!("`{text}` is too long"))
}

/// Bytes written in hex: `00 A4 04 00`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern: HexPattern = text.parse()?;
        let open = || "`x` stands for any digit in an expectation; here each digit must be said".to_owned();
        pattern.bytes().map(Self).ok_or_else(open)
    }
}

/// One APDU, or several in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apdus(pub Vec<Vec<u8>>);

impl<'de> Deserialize<'de> for Apdus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Apdus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an APDU in hex, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Apdus, E> {
                text.parse().map(|Bytes(apdu)| Apdus(vec![apdu])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Apdus, A::Error> {
                let mut apdus = Vec::new();
                while let Some(Bytes(apdu)) = items.next_element()? {
                    apdus.push(apdu);
                }
                if apdus.is_empty() { Err(A::Error::custom("at least one APDU is needed")) } else { Ok(Apdus(apdus)) }
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

impl JsonSchema for Apdus {
    fn schema_name() -> Cow<'static, str> {
        "Apdus".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Bytes>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// A pattern for bytes: hex in which `x` stands for any digit, `63 Cx`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HexPattern {
    /// Two per byte, `None` for `x`.
    pub nibbles: Vec<Option<u8>>,
}

impl HexPattern {
    /// Whether these bytes fit the pattern.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        self.nibbles.len() == bytes.len() * 2
            && self.nibbles.iter().zip(nibbles).all(|(want, got)| want.is_none_or(|want| want == got))
    }
}

impl HexPattern {
    /// The bytes, when no digit is left open.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let byte = |pair: &[Option<u8>]| match pair {
            [Some(high), Some(low)] => Some(high << 4 | low),
            _ => None,
        };
        self.nibbles.chunks(2).map(byte).collect()
    }
}

impl FromStr for HexPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut nibbles = Vec::new();
        for group in text.split_whitespace() {
            for digit in group.chars() {
                nibbles.push(match digit {
                    'x' | 'X' => None,
                    _ => {
                        Some(digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(|| {
                            format!("`{digit}` is not a hex digit; write bytes such as `00 A4 04 00`")
                        })?)
                    }
                });
            }
            if group.chars().count() % 2 == 1 {
                return Err(format!("`{group}` is half a byte short: each byte has two hex digits"));
            }
        }
        Ok(Self { nibbles })
    }
}

impl fmt::Display for HexPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, nibble) in self.nibbles.iter().enumerate() {
            if index > 0 && index % 2 == 0 {
                f.write_str(" ")?;
            }
            match nibble {
                Some(digit) => write!(f, "{digit:X}")?,
                None => f.write_str("x")?,
            }
        }
        Ok(())
    }
}

/// The tag of a data object: `9F36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagName(pub u32);

impl FromStr for TagName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a tag; write its bytes in hex, for example `9F36`");
        if text.is_empty() || text.len() > 8 || text.len() % 2 == 1 || !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let tag = u32::from_str_radix(text, 16).map_err(|_| wrong())?;
        if Tag::new(tag).is_well_formed() { Ok(Self(tag)) } else { Err(wrong()) }
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

/// The value of a data object: hex, `any` for whatever value, `absent` for no such object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagPattern {
    /// Whatever value.
    Any,
    /// It must not be there.
    Absent,
    /// This value.
    Hex(HexPattern),
}

impl FromStr for TagPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::Any),
            "absent" => Ok(Self::Absent),
            _ => text.parse().map(Self::Hex).map_err(|why| format!("{why}, or `any`, or `absent`")),
        }
    }
}

/// An instant in civil words: `2026-03-01T09:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub Timestamp);

impl Default for Date {
    /// 2026-03-01T09:00:00Z, a Sunday.
    fn default() -> Self {
        Self(Timestamp::constant(1_772_355_600, 0))
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not a date and time with its offset; write for example `2026-03-01T09:00:00Z`")
        })
    }
}

/// A calendar day: `2025-02-28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilDate(pub jiff::civil::Date);

impl FromStr for CivilDate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a day of the calendar; write for example `2025-02-28`");
        if text.len() != 10 {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([major, minor, patch]) => Ok(Self(AppVersion(*major, *minor, *patch))),
            _ => Err(format!("`{text}` is not a version; write three numbers such as `4.0.0`")),
        }
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a point; write `to_band 3`, `to_phone 7`, `nvm_write 4`, `request 2` or `contactless_byte 9`, counted from 1"
            )
        };
        let (kind, nth) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let kind = PointKind::ALL.iter().find(|(word, _)| *word == kind).map(|(_, kind)| *kind).ok_or_else(wrong)?;
        match nth.trim().parse() {
            Ok(nth) if nth > 0 => Ok(Self { kind, nth }),
            _ => Err(wrong()),
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.trim()
            .strip_prefix("every ")
            .and_then(|word| PointKind::ALL.iter().find(|(known, _)| *known == word.trim()))
            .map(|(_, kind)| Self(*kind))
            .ok_or_else(|| {
                format!("`{text}` is not a set of points; write `every to_band`, `every to_phone`, `every nvm_write`, `every request` or `every contactless_byte`")
            })
    }
}

impl PointKind {
    /// All of them, by the word of the language.
    pub const ALL: [(&'static str, Self); 5] = [
        ("to_band", Self::ToBand),
        ("to_phone", Self::ToPhone),
        ("nvm_write", Self::NvmWrite),
        ("request", Self::Request),
        ("contactless_byte", Self::ContactlessByte),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "from_sms" => Ok(Self::FromSms),
            "previous_sms" => Ok(Self::PreviousSms),
            "wrong" => Ok(Self::Wrong),
            _ if !text.is_empty() && text.len() <= 12 && text.chars().all(|c| c.is_ascii_digit()) => {
                Ok(Self::Digits(text.into()))
            }
            _ => {
                Err(format!("`{text}` is not a code; write from_sms, previous_sms, wrong or digits such as \"123456\""))
            }
        }
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "right" => Ok(Self::Right),
            "wrong" => Ok(Self::Wrong),
            "none" => Ok(Self::None),
            // EMV 4.4 B3 6.5.12: a PIN has 4 to 12 digits.
            _ if (4..=12).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit()) => {
                Ok(Self::Digits(text.into()))
            }
            _ => Err(format!("`{text}` is not a PIN; write right, wrong, none or digits such as \"1234\"")),
        }
    }
}

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "from_band" => Self::FromBand,
            _ => Self::Printed(text.into()),
        })
    }
}

impl FromStr for OkExpect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self::Yes),
            "either" => Ok(Self::Either),
            "false" => Err("`false` does not say why: write `refused: any`, or the reason".into()),
            _ => Err(format!("`{text}` is neither `true` nor `either`")),
        }
    }
}

impl FromStr for TimeExpect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" { Ok(Self::Now) } else { text.parse().map(Self::At) }
    }
}

/// Reads a value that is one piece of text in YAML.
macro_rules! reads_text {
    ($type:ty, $about:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor($about))?.parse().map_err(D::Error::custom)
            }
        }
    };
}

/// Reads a value that is one piece of text in YAML, and describes it to editors.
macro_rules! text_value {
    ($($type:ty, $name:literal, $about:literal, $pattern:literal;)*) => {$(
        reads_text!($type, $about);

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                // `type` is left open where YAML reads the text as a number, a date or a truth value.
                json_schema!({ "description": $about, "type": ["string", "number", "boolean"], "pattern": $pattern })
            }
        }
    )*};
}

text_value! {
    Bytes, "Bytes", "bytes in hex such as `00 A4 04 00`", r"^([0-9A-Fa-f]{2}\s*)*$";
    HexPattern, "HexPattern", "bytes in hex, `x` for any digit, such as `63 Cx`", r"^([0-9A-Fa-fxX]{2}\s*)*$";
    TagName, "Tag", "a tag such as `9F36`", r"^([0-9A-Fa-f]{2}){1,4}$";
    TagPattern, "TagPattern", "bytes in hex, `x` for any digit; `any`; `absent`", r"^(any|absent|([0-9A-Fa-fxX]{2}\s*)*)$";
    Date, "Date", "a date and time with its offset such as `2026-03-01T09:00:00Z`", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].+$";
    TimeExpect, "Time", "`now`, or a date and time with its offset such as `2026-03-01T09:00:00Z`", r"^(now|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].+)$";
    CivilDate, "Day", "a day such as `2025-02-28`", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
    Version, "Version", "a version such as `4.0.0`", r"^[0-9]+\.[0-9]+\.[0-9]+$";
    Point, "Point", "a point such as `to_band 3`", r"^(to_band|to_phone|nvm_write|request|contactless_byte) [1-9][0-9]*$";
    Every, "Every", "a set of points such as `every to_band`", r"^every (to_band|to_phone|nvm_write|request|contactless_byte)$";
    Spot, "Exchange", "an exchange such as `gpo`, or one of them such as `read_record 2`", r"^(ppse|select|gpo|read_record|generate_ac|any)( [1-9][0-9]*)?$";
    Code, "Code", "from_sms, previous_sms, wrong or digits", r"^(from_sms|previous_sms|wrong|[0-9]{1,12})$";
    Pin, "Pin", "right, wrong, none or digits", r"^(right|wrong|none|[0-9]{4,12})$";
    Serial, "Serial", "from_band, or the serial number as printed", r"^.+$";
    OkExpect, "Ok", "`true` or `either`", r"^either$";
}

const ABOUT_DURATION: &str = "a length of time such as `10m` or `code_valid_for - 1us`";

reads_text!(DurationExpr, ABOUT_DURATION);

impl JsonSchema for DurationExpr {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    /// Only the settings that exist: a length of time against any other word is a mistake that an editor should mark.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let settings = Setting::ALL.map(|(word, _)| word).join("|");
        let term = format!(r"([0-9]+ *\* *)?([0-9]+ *(us|µs|ms|s|m|h|d)|{settings})");
        let pattern = format!(r"^\s*{term}(\s*[+-]\s*{term})*\s*$");
        json_schema!({ "description": ABOUT_DURATION, "type": "string", "pattern": pattern })
    }
}

/// Takes any scalar as its text.
pub(super) struct TextVisitor(pub &'static str);

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// The schema of [`crate::money::Money`].
pub(super) fn money_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "description": "an amount such as `4.20 EUR`", "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? [A-Z]{3}$" })
}

impl JsonSchema for Entries {
    fn schema_name() -> Cow<'static, str> {
        "Entries".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rows = generator.subschema_for::<Vec<super::expect::EntryRow>>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, rows] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<u128> {
        let expr: DurationExpr = text.parse().unwrap();
        expr.evaluate(Setting::default_value).map(|time| time.as_micros())
    }

    #[test]
    fn durations_are_sums_of_times_and_settings() {
        assert_eq!(micros("1us"), Some(1));
        assert_eq!(micros("1 ms + 1µs"), Some(1_001));
        assert_eq!(micros("2h - 1m"), Some(7_140_000_000));
        assert_eq!(micros("1d"), Some(86_400_000_000));
        assert_eq!(micros("code_valid_for - 1us"), Some(599_999_999));
        assert_eq!(micros("2 * code_valid_for + 3 * 1s"), Some(1_203_000_000));
        assert_eq!(micros("code_valid_for - code_valid_for"), Some(0));
        assert_eq!(micros("code_valid_for - 11m"), None, "time does not run backwards");
    }

    #[test]
    fn hex_reads_what_it_writes() {
        for text in ["", "00 A4 04 00", "63 Cx", "xx Fx"] {
            assert_eq!(text.parse::<HexPattern>().unwrap().to_string(), text);
        }
        assert_eq!("00A404".parse::<Bytes>().unwrap().0, [0x00, 0xA4, 0x04]);
    }

    #[test]
    fn a_pattern_fits_its_bytes_and_no_others() {
        let pattern: HexPattern = "63 Cx".parse().unwrap();
        assert!(pattern.matches(&[0x63, 0xC0]) && pattern.matches(&[0x63, 0xCF]));
        assert!(!pattern.matches(&[0x63, 0xD0]) && !pattern.matches(&[0x63]) && !pattern.matches(&[0x63, 0xC0, 0x00]));
    }

    #[test]
    fn the_default_date_is_the_one_its_comment_says() {
        assert_eq!(Date::default().0.to_string(), "2026-03-01T09:00:00Z");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_read(text in "\\PC{0,40}") {
            let _ = text.parse::<DurationExpr>();
            let _ = text.parse::<HexPattern>();
            let _ = text.parse::<TagName>();
            let _ = text.parse::<Point>();
            let _ = text.parse::<Every>();
            let _ = text.parse::<Date>();
            let _ = text.parse::<CivilDate>();
            let _ = text.parse::<Version>();
        }
    }
}
