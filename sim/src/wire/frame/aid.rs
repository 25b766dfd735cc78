//! What the phone tells the band's menu about a card: its AID and its name. Hints for the display, not APDUs.
//!
//! ```text
//! 06 1C 00 <operation> <type> <length> <AID>     over H:0020 as type 2, clients of 2020
//! 06 18 00 <type> <length> <AID>                 straight to H:0003, clients of 2018
//! 1B <length> <AID> <name, UTF-8> 00             over H:0020 as type 2
//! ```
//!
//! No source has a type for bank cards.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{DecodeError, DecodeErrorKind};

const SET: [u8; 3] = [0x06, 0x1C, 0x00];
const SET_2018: [u8; 3] = [0x06, 0x18, 0x00];
const NAME: u8 = 0x1B;
/// ISO/IEC 7816-4 8.2.1.2.
const MAX_AID_BYTES: usize = 16;

/// What happened to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It was activated.
    Activate,
    /// It was deleted.
    Delete,
    /// It became the one in use.
    Switch,
    /// An operation nobody has named.
    Unknown(u8),
}

impl Operation {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Activate,
            2 => Self::Delete,
            3 => Self::Switch,
            other => Self::Unknown(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Activate => 1,
            Self::Delete => 2,
            Self::Switch => 3,
            Self::Unknown(other) => other,
        }
    }
}

/// What kind of card it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// A bus card.
    Bus,
    /// An access card.
    Access,
    /// A kind nobody has named.
    Unknown(u8),
}

impl CardKind {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Bus,
            2 => Self::Access,
            other => Self::Unknown(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Bus => 1,
            Self::Access => 2,
            Self::Unknown(other) => other,
        }
    }
}

/// A hint about a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AidCommand {
    /// Clients of 2020.
    Set {
        /// What happened.
        operation: Operation,
        /// To what kind of card.
        kind: CardKind,
        /// Its AID, at most 16 bytes.
        aid: Vec<u8>,
    },
    /// Clients of 2018: this card is the one in use.
    Set2018 {
        /// What kind of card.
        kind: CardKind,
        /// Its AID, at most 16 bytes.
        aid: Vec<u8>,
    },
    /// What a card is called.
    Name {
        /// Its AID, at most 16 bytes.
        aid: Vec<u8>,
        /// Its name.
        name: String,
    },
    /// Anything else.
    Unknown(Vec<u8>),
}

impl AidCommand {
    /// Reads a write to H:0003 or a reassembled transfer of type 2.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeErrorKind::Truncated.at(0));
        }
        if let Some(rest) = bytes.strip_prefix(&SET) {
            let [operation, kind, rest @ ..] = rest else {
                return Err(DecodeErrorKind::Truncated.at(bytes.len()));
            };
            let (aid, after) = aid_of(rest, 5)?;
            nothing_after(after, bytes)?;
            return Ok(Self::Set {
                operation: Operation::from_byte(*operation),
                kind: CardKind::from_byte(*kind),
                aid: aid.to_vec(),
            });
        }
        if let Some(rest) = bytes.strip_prefix(&SET_2018) {
            let [kind, rest @ ..] = rest else {
                return Err(DecodeErrorKind::Truncated.at(bytes.len()));
            };
            let (aid, after) = aid_of(rest, 4)?;
            nothing_after(after, bytes)?;
            return Ok(Self::Set2018 { kind: CardKind::from_byte(*kind), aid: aid.to_vec() });
        }
        if let Some(rest) = bytes.strip_prefix(&[NAME]) {
            return decode_name(rest, bytes.len());
        }
        Ok(Self::Unknown(bytes.to_vec()))
    }

    /// The bytes to write to H:0003, or the payload of the transfer. An AID too long for its length byte is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Set { operation, kind, aid } => {
                [&SET[..], &[operation.byte(), kind.byte()], &length_and_aid(aid)].concat()
            }
            Self::Set2018 { kind, aid } => [&SET_2018[..], &[kind.byte()], &length_and_aid(aid)].concat(),
            Self::Name { aid, name } => [&[NAME], &length_and_aid(aid)[..], name.as_bytes(), &[0]].concat(),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

fn decode_name(rest: &[u8], total: usize) -> Result<AidCommand, DecodeError> {
    let (aid, name) = aid_of(rest, 1)?;
    let name_at = total - name.len();
    let Some((0, name)) = name.split_last() else {
        return Err(DecodeErrorKind::Truncated.at(total));
    };
    let name =
        core::str::from_utf8(name).map_err(|error| DecodeErrorKind::BadValue.at(name_at + error.valid_up_to()))?;
    if let Some(zero) = name.find('\0') {
        return Err(DecodeErrorKind::BadValue.at(name_at + zero));
    }
    Ok(AidCommand::Name { aid: aid.to_vec(), name: name.into() })
}

fn aid_of(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    let Some((&length, rest)) = bytes.split_first() else {
        return Err(DecodeErrorKind::Truncated.at(at));
    };
    let length = usize::from(length);
    if length > MAX_AID_BYTES {
        return Err(DecodeErrorKind::BadLength.at(at));
    }
    rest.split_at_checked(length).ok_or(DecodeErrorKind::Truncated.at(at + bytes.len()))
}

fn nothing_after(after: &[u8], bytes: &[u8]) -> Result<(), DecodeError> {
    if after.is_empty() { Ok(()) } else { Err(DecodeErrorKind::TrailingBytes.at(bytes.len() - after.len())) }
}

fn length_and_aid(aid: &[u8]) -> Vec<u8> {
    let length = u8::try_from(aid.len()).unwrap_or(u8::MAX);
    core::iter::once(length).chain(aid.iter().copied().take(usize::from(length))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex::Hex;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use alloc::vec;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        text.parse::<Hex>().unwrap().0
    }

    // The checked example of the public sources.
    #[test]
    fn activating_a_bus_card_reads_as_the_sources_show_it() {
        let aid = hex("a0000003330101060003000333010100");
        let command = AidCommand::Set { operation: Operation::Activate, kind: CardKind::Bus, aid };
        assert_eq!(command.encode(), hex("061c00010110a0000003330101060003000333010100"));
    }

    #[test]
    fn a_hint_with_a_wrong_length_is_refused_with_its_place() {
        for (bytes, error) in [
            ("", DecodeErrorKind::Truncated.at(0)),
            ("061c00", DecodeErrorKind::Truncated.at(3)),
            ("061c000101", DecodeErrorKind::Truncated.at(5)),
            ("061c00010102aa", DecodeErrorKind::Truncated.at(7)),
            ("061c00010101aabb", DecodeErrorKind::TrailingBytes.at(7)),
            ("061c00010111", DecodeErrorKind::BadLength.at(5)),
            ("06180001", DecodeErrorKind::Truncated.at(4)),
            ("1b01aa41", DecodeErrorKind::Truncated.at(4)),
            ("1b01aa41ff00", DecodeErrorKind::BadValue.at(4)),
            ("1b01aa41004200", DecodeErrorKind::BadValue.at(4)),
        ] {
            assert_eq!(AidCommand::decode(&hex(bytes)), Err(error), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn hints_survive(
            operation: u8,
            kind: u8,
            aid in prop::collection::vec(any::<u8>(), 0..=16),
            name in "[^\0]{0,20}",
        ) {
            let (operation, kind) = (Operation::from_byte(operation), CardKind::from_byte(kind));
            let set = AidCommand::Set { operation, kind, aid: aid.clone() };
            value_survives(&set, AidCommand::encode, AidCommand::decode);
            let set = AidCommand::Set2018 { kind, aid: aid.clone() };
            value_survives(&set, AidCommand::encode, AidCommand::decode);
            value_survives(&AidCommand::Name { aid, name }, AidCommand::encode, AidCommand::decode);
        }

        #[test]
        fn any_bytes_are_harmless(
            prefix in prop::sample::select(vec!["", "061c00", "061800", "1b"]),
            bytes in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            let bytes = [hex(prefix), bytes].concat();
            bytes_are_harmless(&bytes, AidCommand::encode, AidCommand::decode);
        }
    }
}
