//! Bytes in a file a person reads: hex with spaces, `"00 A4 04 00"`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DecodeError, DecodeErrorKind};

/// Bytes that are written and read as hex. Reading takes either case, with spaces anywhere between bytes or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub Vec<u8>);

impl Deref for Hex {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Hex {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Hex {
    type Err = DecodeError;

    /// The offset in an error counts characters.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let mut bytes = Vec::with_capacity(text.len() / 2);
        let mut high = None;
        for (at, character) in text.chars().enumerate() {
            if character == ' ' && high.is_none() {
                continue;
            }
            let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let digit = digit.ok_or(DecodeErrorKind::BadValue.at(at))?;
            match high.take() {
                None => high = Some(digit),
                Some(upper) => bytes.push(upper << 4 | digit),
            }
        }
        if high.is_some() {
            return Err(DecodeErrorKind::Truncated.at(text.chars().count()));
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error| D::Error::custom(format_args!("not hex: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn hex_is_written_with_spaces_and_read_with_or_without() {
        let bytes = Hex(vec![0x00, 0xA4, 0x04, 0xFF]);
        assert_eq!(bytes.to_string(), "00 A4 04 FF");
        assert_eq!("00 A4 04 FF".parse(), Ok(bytes.clone()));
        assert_eq!(" 00a404 ff ".parse(), Ok(bytes));
        assert_eq!("".parse(), Ok(Hex::default()));
    }

    #[test]
    fn what_is_not_hex_is_refused_with_its_place() {
        assert_eq!("00 0".parse::<Hex>(), Err(DecodeErrorKind::Truncated.at(4)));
        assert_eq!("0 0".parse::<Hex>(), Err(DecodeErrorKind::BadValue.at(1)));
        assert_eq!("00 0x".parse::<Hex>(), Err(DecodeErrorKind::BadValue.at(4)));
        assert_eq!("é0".parse::<Hex>(), Err(DecodeErrorKind::BadValue.at(0)));
    }
}
