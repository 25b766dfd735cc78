//! Longer messages in pieces on H:0020, and the acknowledgement after the last piece.
//!
//! ```text
//! chunk  00 <flags|type> <index> <data>          data: at most MTU - 6 bytes, 17 at the default MTU
//! ack    10 00 <flags|type of the last chunk> <code> [<profile> [<timeout u16 LE>]]
//! ```

use alloc::vec::Vec;

use super::reply::ReplyCode;
use crate::wire::{DecodeError, DecodeErrorKind};

const CHUNK: u8 = 0x00;
const ACK: u8 = 0x10;
const TYPE_MASK: u8 = 0x3F;
const HEADER_BYTES: u16 = 3;
/// Opcode and handle of an ATT write or notification.
const ATT_HEADER_BYTES: u16 = 3;
const MIN_MTU: u16 = 23;

/// What a transfer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A notification or a call.
    Notification,
    /// The weather.
    Weather,
    /// Configuration, menus, and the AIDs of NFC cards.
    Config,
    /// Music.
    Music,
    /// The signature of a first pairing.
    AuthSignature,
    /// Position from the phone.
    PhoneGps,
    /// Any other type below 0x40.
    Unknown(u8),
}

impl Kind {
    /// The type of this number, of which only the low six bits count.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte & TYPE_MASK {
            0 => Self::Notification,
            1 => Self::Weather,
            2 => Self::Config,
            3 => Self::Music,
            4 => Self::AuthSignature,
            6 => Self::PhoneGps,
            other => Self::Unknown(other),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Notification => 0,
            Self::Weather => 1,
            Self::Config => 2,
            Self::Music => 3,
            Self::AuthSignature => 4,
            Self::PhoneGps => 6,
            Self::Unknown(other) => other & TYPE_MASK,
        }
    }
}

/// Where in its transfer a chunk stands; the top two bits of the second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The first of several.
    First,
    /// Neither first nor last.
    Middle,
    /// The last of several.
    Last,
    /// The only one.
    Single,
}

impl Position {
    const fn bits(self) -> u8 {
        match self {
            Self::First => 0x00,
            Self::Middle => 0x40,
            Self::Last => 0x80,
            Self::Single => 0xC0,
        }
    }

    const fn from_bits(byte: u8) -> Self {
        match byte & !TYPE_MASK {
            0x00 => Self::First,
            0x40 => Self::Middle,
            0x80 => Self::Last,
            _ => Self::Single,
        }
    }

    const fn of(first: bool, last: bool) -> Self {
        match (first, last) {
            (true, true) => Self::Single,
            (true, false) => Self::First,
            (false, false) => Self::Middle,
            (false, true) => Self::Last,
        }
    }
}

/// One piece of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands.
    pub position: Position,
    /// What the transfer carries.
    pub kind: Kind,
    /// Counts from 0, modulo 256.
    pub index: u8,
    /// Its part of the payload.
    pub data: Vec<u8>,
}

impl Chunk {
    /// Reads a write to H:0020.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [CHUNK, flags, index, data @ ..] => Ok(Self {
                position: Position::from_bits(*flags),
                kind: Kind::from_byte(*flags),
                index: *index,
                data: data.to_vec(),
            }),
            [] | [CHUNK, ..] => Err(DecodeErrorKind::Truncated.at(bytes.len())),
            _ => Err(DecodeErrorKind::BadValue.at(0)),
        }
    }

    /// The bytes to write to H:0020.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&[CHUNK, self.flags_and_type(), self.index], &self.data[..]].concat()
    }

    /// The byte an [`Ack`] repeats.
    #[must_use]
    pub const fn flags_and_type(&self) -> u8 {
        self.position.bits() | self.kind.byte()
    }
}

/// The band's answer to the last chunk. Clients take anything but [`ReplyCode::Success`] as a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Flags and type of the chunk that is answered.
    pub flags_and_type: u8,
    /// How it went.
    pub code: ReplyCode,
    /// The version of the chunk profile, which reading H:0020 gives when the band is one of the older ones: 01.
    pub profile: Option<u8>,
    /// How long the phone should wait; only together with `profile`.
    pub timeout: Option<u16>,
}

impl Ack {
    /// Reads a notification of H:0020.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [ACK, CHUNK, flags_and_type, code, rest @ ..] = bytes else {
            return Err(match bytes {
                [] | [ACK] | [ACK, CHUNK] | [ACK, CHUNK, _] => DecodeErrorKind::Truncated.at(bytes.len()),
                [ACK, ..] => DecodeErrorKind::BadValue.at(1),
                _ => DecodeErrorKind::BadValue.at(0),
            });
        };
        let (profile, timeout) = match rest {
            [] => (None, None),
            [profile] => (Some(*profile), None),
            [profile, low, high] => (Some(*profile), Some(u16::from_le_bytes([*low, *high]))),
            _ => return Err(DecodeErrorKind::BadLength.at(4)),
        };
        Ok(Self { flags_and_type: *flags_and_type, code: ReplyCode::from_byte(*code), profile, timeout })
    }

    /// The bytes to notify. A timeout without a profile byte cannot be said and is left out.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::from([ACK, CHUNK, self.flags_and_type, self.code.byte()]);
        if let Some(profile) = self.profile {
            bytes.push(profile);
            bytes.extend(self.timeout.into_iter().flat_map(u16::to_le_bytes));
        }
        bytes
    }
}

/// Cuts a payload into the chunks of a link with this MTU; an MTU below 23, the least there is, counts as 23.
#[must_use]
pub fn split(kind: Kind, payload: &[u8], mtu: u16) -> Vec<Chunk> {
    let room = usize::from(mtu.max(MIN_MTU) - ATT_HEADER_BYTES - HEADER_BYTES);
    let count = payload.len().div_ceil(room).max(1);
    (0..count)
        .map(|number| Chunk {
            position: Position::of(number == 0, number + 1 == count),
            kind,
            // The index wraps as the byte does.
            index: number.to_le_bytes().first().copied().unwrap_or(0),
            data: payload.chunks(room).nth(number).unwrap_or_default().to_vec(),
        })
        .collect()
}

/// Why a chunk does not continue the transfer. Nothing of the transfer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssemblyError {
    /// A middle or last chunk without a first one, or of another type.
    NotStarted,
    /// Not the index that comes next.
    OutOfOrder,
    /// The payload has grown past the bound of the assembler.
    TooLong,
}

/// Puts chunks together again, up to a bound.
#[derive(Clone, Debug)]
pub struct Assembler {
    max_payload: usize,
    running: Option<Running>,
}

#[derive(Clone, Debug)]
struct Running {
    kind: Kind,
    next_index: u8,
    payload: Vec<u8>,
}

impl Assembler {
    /// An assembler that refuses payloads of more than `max_payload` bytes.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self { max_payload, running: None }
    }

    /// Takes the next chunk; gives the payload with the last one. A first chunk always starts anew.
    pub fn push(&mut self, chunk: Chunk) -> Result<Option<(Kind, Vec<u8>)>, AssemblyError> {
        let started = self.running.take();
        let mut running = match chunk.position {
            Position::First | Position::Single => Running { kind: chunk.kind, next_index: 0, payload: Vec::new() },
            Position::Middle | Position::Last => started.ok_or(AssemblyError::NotStarted)?,
        };
        if running.kind != chunk.kind {
            return Err(AssemblyError::NotStarted);
        }
        if running.next_index != chunk.index {
            return Err(AssemblyError::OutOfOrder);
        }
        if running.payload.len() + chunk.data.len() > self.max_payload {
            return Err(AssemblyError::TooLong);
        }
        running.payload.extend(chunk.data);
        if matches!(chunk.position, Position::Single | Position::Last) {
            return Ok(Some((running.kind, running.payload)));
        }
        running.next_index = running.next_index.wrapping_add(1);
        self.running = Some(running);
        Ok(None)
    }

    /// Forgets an unfinished transfer.
    pub fn reset(&mut self) {
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex::Hex;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        text.parse::<Hex>().unwrap().0
    }

    // The checked example of the public sources: activate this AID as a bus card.
    #[test]
    fn an_aid_command_takes_two_chunks_at_the_default_mtu() {
        let payload = hex("061c00010110a0000003330101060003000333010100");
        let chunks = split(Kind::Config, &payload, 23);
        let bytes: Vec<_> = chunks.iter().map(Chunk::encode).collect();
        assert_eq!(bytes, [hex("000200061c00010110a000000333010106000300"), hex("00820103330101 00")]);
    }

    #[test]
    fn the_ack_the_vendors_client_expects() {
        let ack = Ack { flags_and_type: 0x82, code: ReplyCode::Success, profile: Some(1), timeout: None };
        assert_eq!(ack.encode(), hex("1000820101"));
        assert_eq!(Ack::decode(&hex("10008201010000")).map(|ack| ack.timeout), Ok(Some(0)));
        assert_eq!(Ack::decode(&hex("1000820101 00")), Err(DecodeErrorKind::BadLength.at(4)));
        assert_eq!(Ack::decode(&hex("1001820101")), Err(DecodeErrorKind::BadValue.at(1)));
        assert_eq!(Ack::decode(&hex("100082")), Err(DecodeErrorKind::Truncated.at(3)));
    }

    #[test]
    fn every_flags_and_type_byte_survives() {
        for byte in 0..=u8::MAX {
            let chunk = Chunk::decode(&[0x00, byte, 0x00]).unwrap();
            assert_eq!(chunk.flags_and_type(), byte);
        }
    }

    #[test]
    fn a_chunk_out_of_turn_ends_the_transfer() {
        let chunk = |position, kind, index| Chunk { position, kind, index, data: Vec::from([1]) };
        let first = chunk(Position::First, Kind::Config, 0);
        for (wrong, error) in [
            (chunk(Position::Middle, Kind::Config, 2), AssemblyError::OutOfOrder),
            (chunk(Position::Last, Kind::Music, 1), AssemblyError::NotStarted),
        ] {
            let mut assembler = Assembler::new(10);
            assert_eq!(assembler.push(first.clone()), Ok(None));
            assert_eq!(assembler.push(wrong), Err(error));
            let last = chunk(Position::Last, Kind::Config, 1);
            assert_eq!(assembler.push(last), Err(AssemblyError::NotStarted));
        }
    }

    #[test]
    fn a_transfer_past_the_bound_is_dropped() {
        let mut assembler = Assembler::new(30);
        let mut chunks = split(Kind::Music, &[7; 31], 23).into_iter();
        assert_eq!(assembler.push(chunks.next().unwrap()), Ok(None));
        assert_eq!(assembler.push(chunks.next().unwrap()), Err(AssemblyError::TooLong));
        assert!(assembler.running.is_none());
    }

    #[test]
    fn a_new_first_chunk_replaces_what_was_there() {
        let mut assembler = Assembler::new(100);
        assert_eq!(assembler.push(split(Kind::Music, &[7; 40], 23).remove(0)), Ok(None));
        let single = split(Kind::Config, &[9], 23).remove(0);
        assert_eq!(assembler.push(single), Ok(Some((Kind::Config, Vec::from([9])))));
    }

    proptest! {
        #[test]
        fn what_is_split_is_put_together_again(
            kind in 0..=0x3Fu8,
            payload in prop::collection::vec(any::<u8>(), 0..6000),
            mtu in 0..600u16,
        ) {
            let kind = Kind::from_byte(kind);
            let mut assembler = Assembler::new(payload.len());
            let mut done = None;
            for chunk in split(kind, &payload, mtu) {
                prop_assert!(done.is_none());
                value_survives(&chunk, Chunk::encode, Chunk::decode);
                prop_assert!(chunk.encode().len() <= usize::from(mtu.max(23) - 3));
                done = assembler.push(chunk).unwrap();
            }
            prop_assert_eq!(done, Some((kind, payload)));
        }

        #[test]
        fn acks_survive(flags_and_type: u8, code: u8, profile: Option<u8>, timeout: Option<u16>) {
            let timeout = profile.and(timeout);
            let ack = Ack { flags_and_type, code: ReplyCode::from_byte(code), profile, timeout };
            value_survives(&ack, Ack::encode, Ack::decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            bytes_are_harmless(&bytes, Chunk::encode, Chunk::decode);
            bytes_are_harmless(&bytes, Ack::encode, Ack::decode);
        }
    }
}
