//! Bytes to values and back: no state, no policy.
//!
//! Every format is a `decode`/`encode` pair. Decoding never panics and never guesses: bytes it does not know survive as
//! they are, bytes it cannot take give a [`DecodeError`] with the place. What the value *means* is decided elsewhere.
//!
//! ```
//! use band_sim::wire::{apdu::{CApdu, RApdu}, sw::Sw, tag, tlv};
//!
//! // SELECT 2PAY.SYS.DDF01, the first command of every contactless payment.
//! let select = CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(*b"2PAY.SYS.DDF01").with_ne(256);
//! assert_eq!(CApdu::decode(&select.encode()), Ok(select));
//!
//! let fci = tlv::Writer::new()
//!     .nest(tag::TAG_6F_FCI_TEMPLATE, |fci| {
//!         fci.put(tag::TAG_84_DF_NAME, b"2PAY.SYS.DDF01").nest(tag::TAG_A5_FCI_PROPRIETARY, |a5| {
//!             a5.nest(tag::TAG_BF0C_FCI_DISCRETIONARY, |list| {
//!                 list.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| {
//!                     entry.put(tag::TAG_4F_ADF_NAME, [0xA0, 0, 0, 0, 4, 0x10, 0x10]).put(tag::TAG_87_PRIORITY, [1])
//!                 })
//!             })
//!         })
//!     })
//!     .finish();
//! assert_eq!(tlv::find_deep(&fci, tag::TAG_87_PRIORITY), Some(&[1][..]));
//!
//! let answer = RApdu { data: fci, sw: Sw::OK };
//! assert_eq!(RApdu::decode(&answer.encode()), Ok(answer));
//! ```

use core::fmt;

pub mod advertising;
pub mod aip;
pub mod apdu;
pub mod chain;
pub mod dol;
pub mod frame;
pub mod gatt;
pub mod hex;
pub mod marked;
pub mod sw;
pub mod tag;
pub mod tlv;
pub mod tvr;

#[cfg(test)]
pub(crate) mod property;

/// Why bytes are not what they claim to be, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset of the offending byte from the start of what was handed to `decode`.
    pub at: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// They end before the value does.
    Truncated,
    /// A tag of more than four bytes.
    TagTooLong,
    /// A length field of more than four bytes.
    LengthTooLong,
    /// Templates nested deeper than [`tlv::MAX_DEPTH`].
    TooDeep,
    /// The value is complete, but bytes follow.
    TrailingBytes,
    /// A length no value of this kind has.
    BadLength,
    /// A byte that is not allowed at this place.
    BadValue,
}

impl DecodeErrorKind {
    /// The same complaint with its place.
    #[must_use]
    pub const fn at(self, at: usize) -> DecodeError {
        DecodeError { at, kind: self }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end too early",
            Self::TagTooLong => "tag longer than four bytes",
            Self::LengthTooLong => "length field longer than four bytes",
            Self::TooDeep => "templates nested too deeply",
            Self::TrailingBytes => "unexpected bytes after the end",
            Self::BadLength => "impossible length",
            Self::BadValue => "value not allowed here",
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.kind, self.at)
    }
}

impl core::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_error_says_what_and_where() {
        assert_eq!(DecodeErrorKind::Truncated.at(3).to_string(), "the bytes end too early at offset 3");
    }
}
