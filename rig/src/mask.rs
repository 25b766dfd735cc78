//! Card numbers and track 2 that cannot be printed by mistake: `Display`, `Debug` and `Serialize` show the first six and last
//! four digits; the whole value is only had by a name that says so.

mod digits;
mod edge;
mod masker;
mod pattern;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use masker::{Masker, Secret};

/// A primary account number, or the token number that stands for it (tag 5A): 8 to 19 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pan(String);

/// Track 2 equivalent data (tag 57): number, `D`, expiry, service code and what the issuer added.
#[derive(Clone, PartialEq, Eq)]
pub struct Track2(Vec<u8>);

impl Pan {
    /// The number in compressed numeric form, as tag 5A has it: digits, then `F` up to the end.
    #[must_use]
    pub fn from_compressed_numeric(bytes: &[u8]) -> Option<Self> {
        let digits = nibbles(bytes).take_while(|&nibble| nibble <= 9).count();
        let padded = nibbles(bytes).skip(digits).all(|nibble| nibble == 0xF);
        padded.then(|| Self::from_digits(nibbles(bytes).take(digits)))?
    }

    /// All digits. Never for an output.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four digits, as a receipt shows them.
    #[must_use]
    pub fn last4(&self) -> &str {
        let (_, last) = self.0.split_at(self.0.len().saturating_sub(4));
        last
    }

    fn from_digits(digits: impl Iterator<Item = u8>) -> Option<Self> {
        let mut text = String::with_capacity(MAX_DIGITS);
        text.extend(digits.map(|digit| char::from(b'0' + digit)));
        is_number(&text).then_some(Self(text))
    }
}

/// The longest card number (ISO/IEC 7812-1).
const MAX_DIGITS: usize = 19;

fn is_number(text: &str) -> bool {
    (8..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for Pan {
    type Err = &'static str;

    /// Reads 8 to 19 digits (ISO/IEC 7812-1).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_number(text) { Ok(Self(text.into())) } else { Err("a card number has 8 to 19 digits") }
    }
}

impl fmt::Display for Pan {
    /// `541333******0434`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown_at_front = if self.0.len() > 12 { 6 } else { 0 };
        for (place, digit) in self.0.chars().enumerate() {
            let shown = place < shown_at_front || place + 4 >= self.0.len();
            write!(f, "{}", if shown { digit } else { '*' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({self})")
    }
}

impl Serialize for Pan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pan {
    /// Reads the digits as a file of test cards has them. What `Serialize` wrote is masked and cannot be read again.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Track2 {
    /// The bytes of tag 57.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// All bytes. Never for an output.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The card number before the separator `D`; `None` when there is none.
    #[must_use]
    pub fn pan(&self) -> Option<Pan> {
        let separator = nibbles(&self.0).position(|nibble| nibble == 0xD)?;
        let digits = nibbles(&self.0).take(separator);
        digits.clone().all(|digit| digit <= 9).then(|| Pan::from_digits(digits))?
    }

    /// The expiry, year and month as `[0x25, 0x12]`; `None` when the data end before it.
    #[must_use]
    pub fn expiry(&self) -> Option<[u8; 2]> {
        let nibbles: Vec<u8> = nibbles(&self.0).collect();
        let separator = nibbles.iter().position(|&nibble| nibble == 0xD)?;
        match nibbles.get(separator + 1..separator + 5)? {
            &[a, b, c, d] if [a, b, c, d].iter().all(|&digit| digit <= 9) => Some([a << 4 | b, c << 4 | d]),
            _ => None,
        }
    }
}

impl fmt::Display for Track2 {
    /// The masked number and nothing of the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pan() {
            Some(pan) => write!(f, "{pan}=…"),
            None => write!(f, "({} bytes)", self.0.len()),
        }
    }
}

impl fmt::Debug for Track2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Track2({self})")
    }
}

impl Serialize for Track2 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> + Clone {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK2: [u8; 14] = [0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34, 0xD2, 0x51, 0x22, 0x01, 0x01, 0x23];

    #[test]
    fn a_number_shows_its_first_six_and_last_four_digits_in_every_output() {
        let pan: Pan = "5413330089010434".parse().unwrap();
        assert_eq!(pan.to_string(), "541333******0434");
        assert_eq!(format!("{pan:?}"), "Pan(541333******0434)");
        assert_eq!(serde_json::to_string(&pan).unwrap(), r#""541333******0434""#);
        assert_eq!(pan.last4(), "0434");
    }

    #[test]
    fn a_short_number_shows_only_its_last_four_digits() {
        assert_eq!("12345678".parse::<Pan>().unwrap().to_string(), "****5678");
        assert_eq!("123456789012".parse::<Pan>().unwrap().to_string(), "********9012");
    }

    #[test]
    fn track_2_shows_the_masked_number_and_nothing_else() {
        let track2 = Track2::new(TRACK2);
        assert_eq!(track2.to_string(), "541333******0434=…");
        assert_eq!(format!("{track2:?}"), "Track2(541333******0434=…)");
        assert_eq!(serde_json::to_string(&track2).unwrap(), r#""541333******0434=…""#);
        assert_eq!(track2.expiry(), Some([0x25, 0x12]));
        assert_eq!(track2.pan().unwrap().expose(), "5413330089010434");
    }

    #[test]
    fn a_number_is_digits_and_then_padding() {
        let odd = [0x53, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1F];
        assert_eq!(Pan::from_compressed_numeric(&odd).unwrap().expose(), "530000000000001");
        for bad in [
            &[][..],
            &[0x12, 0x34],
            &[0x54, 0x13, 0xA3, 0x00, 0x89],
            &[0x54, 0x13, 0x33, 0x00, 0xFF, 0x01],
            &[0x11; 10],
        ] {
            assert_eq!(Pan::from_compressed_numeric(bad), None, "{bad:02X?}");
        }
    }

    #[test]
    fn track_2_without_a_separator_shows_no_byte() {
        assert_eq!(Track2::new([0x54, 0x13, 0x33]).to_string(), "(3 bytes)");
        assert_eq!(Track2::new(Vec::new()).pan(), None);
        assert_eq!(Track2::new([0xD2]).expiry(), None);
    }
}
