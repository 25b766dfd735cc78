//! APDUs over Bluetooth: the channel on H:0011, opened, used and closed by the phone.
//!
//! ```text
//! open   > 01        < 81 <status>
//! close  > 02        < 82 <status>          also unasked, when the band closes by itself
//! APDU   > 04 <19>…  > 03 <1..19>           payload = APDU || its length, u16 LE
//!        < 84 <19>…  < 83 <1..19>           the answer likewise
//! ```
//!
//! Opcodes, fragment size and length field are a record, [`Framing`]: other devices do the same thing with other numbers.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::{DecodeError, DecodeErrorKind};

/// The shortest payload with its length field that the vendor's client accepts.
const MIN_TOTAL_BYTES: usize = 4;
const LENGTH_BYTES: usize = 2;

/// How a channel frames its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    /// First bytes of the messages.
    pub opcodes: Opcodes,
    /// The most bytes of one message, opcode included; does not grow with the MTU.
    pub fragment_bytes: u16,
    /// Where the length stands.
    pub length: LengthField,
}

/// The first byte of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opcodes {
    /// Open the channel.
    pub open: u8,
    /// Close the channel.
    pub close: u8,
    /// The last fragment.
    pub last: u8,
    /// A fragment with more to come.
    pub more: u8,
    /// The last fragment, encrypted.
    pub secure_last: u8,
    /// An encrypted fragment with more to come.
    pub secure_more: u8,
    /// Read the tag of a physical card held to the band.
    pub mifare_tag: u8,
    /// Set in what the band notifies.
    pub answer_bit: u8,
}

/// Where the length of an APDU stands and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthField {
    /// Nowhere.
    None,
    /// Two bytes before it, least significant first.
    LeadingLittleEndian,
    /// Two bytes before it, most significant first.
    LeadingBigEndian,
    /// Two bytes after it, least significant first.
    TrailingLittleEndian,
    /// Two bytes after it, most significant first.
    TrailingBigEndian,
}

impl LengthField {
    const fn is_little_endian(self) -> bool {
        matches!(self, Self::LeadingLittleEndian | Self::TrailingLittleEndian)
    }
}

/// How an opening or closing went, and why the band closed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It went well.
    Success,
    /// Closed because the band came near a reader. The word is the source's, what it means is inferred.
    DisconnectNear,
    /// Closed because nothing came in time.
    DisconnectTimeout,
    /// Closed after an error.
    NfcError,
    /// The channel cannot be opened.
    InitFailed,
    /// The band is near a reader. Inferred like [`Status::DisconnectNear`].
    NfcNear,
    /// An exchange is not finished.
    NfcUnfinish,
    /// A status nobody has named.
    Unknown(u8),
}

impl Status {
    /// The status of this byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Success,
            1 => Self::DisconnectNear,
            2 => Self::DisconnectTimeout,
            3 => Self::NfcError,
            4 => Self::InitFailed,
            0x25 => Self::NfcNear,
            0x26 => Self::NfcUnfinish,
            other => Self::Unknown(other),
        }
    }

    /// Its byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::DisconnectNear => 1,
            Self::DisconnectTimeout => 2,
            Self::NfcError => 3,
            Self::InitFailed => 4,
            Self::NfcNear => 0x25,
            Self::NfcUnfinish => 0x26,
            Self::Unknown(other) => other,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Success => "success",
            Self::DisconnectNear => "closed, reader near",
            Self::DisconnectTimeout => "closed, timeout",
            Self::NfcError => "NFC error",
            Self::InitFailed => "cannot be opened",
            Self::NfcNear => "reader near",
            Self::NfcUnfinish => "exchange unfinished",
            Self::Unknown(_) => "unknown status",
        };
        write!(f, "{text} ({:02X})", self.byte())
    }
}

/// A part of an APDU or of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Whether it completes the payload.
    pub last: bool,
    /// Whether the payload is encrypted; with what, no source says.
    pub secure: bool,
    /// Its part of the payload, at least one byte.
    pub data: Vec<u8>,
}

/// What the phone writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Open the channel.
    Open,
    /// Close the channel.
    Close,
    /// Part of a command APDU.
    Fragment(Fragment),
    /// Read the tag of a physical card held to the band.
    MifareTag,
    /// Any other opcode.
    Unknown(Vec<u8>),
}

/// What the band notifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The answer to [`Request::Open`].
    Opened(Status),
    /// The answer to [`Request::Close`], or the band has closed by itself.
    Closed(Status),
    /// Part of a response APDU.
    Fragment(Fragment),
    /// The answer to [`Request::MifareTag`].
    MifareTag(Vec<u8>),
    /// Any other opcode.
    Unknown(Vec<u8>),
}

impl Framing {
    /// The channel of the Mi Smart Band 4 NFC.
    pub const HUAMI: Self = Self {
        opcodes: Opcodes {
            open: 0x01,
            close: 0x02,
            last: 0x03,
            more: 0x04,
            secure_last: 0x05,
            secure_more: 0x06,
            mifare_tag: 0x0D,
            answer_bit: 0x80,
        },
        fragment_bytes: 20,
        length: LengthField::TrailingLittleEndian,
    };

    /// Reads a write to the channel's characteristic.
    pub fn decode_request(&self, bytes: &[u8]) -> Result<Request, DecodeError> {
        let Some((&opcode, rest)) = bytes.split_first() else {
            return Err(DecodeErrorKind::Truncated.at(0));
        };
        if let Some(fragment) = self.decode_fragment(opcode, rest)? {
            return Ok(Request::Fragment(fragment));
        }
        let request = match opcode {
            _ if opcode == self.opcodes.open => Request::Open,
            _ if opcode == self.opcodes.close => Request::Close,
            _ if opcode == self.opcodes.mifare_tag => Request::MifareTag,
            _ => return Ok(Request::Unknown(bytes.to_vec())),
        };
        if rest.is_empty() { Ok(request) } else { Err(DecodeErrorKind::TrailingBytes.at(1)) }
    }

    /// The bytes to write to the channel's characteristic.
    #[must_use]
    pub fn encode_request(&self, request: &Request) -> Vec<u8> {
        match request {
            Request::Open => Vec::from([self.opcodes.open]),
            Request::Close => Vec::from([self.opcodes.close]),
            Request::MifareTag => Vec::from([self.opcodes.mifare_tag]),
            Request::Fragment(fragment) => self.encode_fragment(fragment, 0),
            Request::Unknown(bytes) => bytes.clone(),
        }
    }

    /// Reads a notification of the channel's characteristic.
    pub fn decode_notification(&self, bytes: &[u8]) -> Result<Notification, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Err(DecodeErrorKind::Truncated.at(0));
        };
        if first & self.opcodes.answer_bit != self.opcodes.answer_bit {
            return Ok(Notification::Unknown(bytes.to_vec()));
        }
        let opcode = first & !self.opcodes.answer_bit;
        if let Some(fragment) = self.decode_fragment(opcode, rest)? {
            return Ok(Notification::Fragment(fragment));
        }
        match opcode {
            _ if opcode == self.opcodes.open => Ok(Notification::Opened(only_status(rest)?)),
            _ if opcode == self.opcodes.close => Ok(Notification::Closed(only_status(rest)?)),
            _ if opcode == self.opcodes.mifare_tag => Ok(Notification::MifareTag(rest.to_vec())),
            _ => Ok(Notification::Unknown(bytes.to_vec())),
        }
    }

    /// The bytes to notify.
    #[must_use]
    pub fn encode_notification(&self, notification: &Notification) -> Vec<u8> {
        let answer = self.opcodes.answer_bit;
        match notification {
            Notification::Opened(status) => Vec::from([self.opcodes.open | answer, status.byte()]),
            Notification::Closed(status) => Vec::from([self.opcodes.close | answer, status.byte()]),
            Notification::MifareTag(tag) => [&[self.opcodes.mifare_tag | answer], &tag[..]].concat(),
            Notification::Fragment(fragment) => self.encode_fragment(fragment, answer),
            Notification::Unknown(bytes) => bytes.clone(),
        }
    }

    /// Cuts an APDU, or its answer, into fragments. `None` when its length does not fit the length field.
    #[must_use]
    pub fn fragments(&self, apdu: &[u8]) -> Option<Vec<Fragment>> {
        let payload = self.with_length(apdu)?;
        let room = usize::from(self.fragment_bytes.saturating_sub(1)).max(1);
        let count = payload.len().div_ceil(room);
        let fragment =
            |(number, data): (usize, &[u8])| Fragment { last: number + 1 == count, secure: false, data: data.to_vec() };
        Some(payload.chunks(room).enumerate().map(fragment).collect())
    }

    fn decode_fragment(&self, opcode: u8, data: &[u8]) -> Result<Option<Fragment>, DecodeError> {
        let (last, secure) = match opcode {
            _ if opcode == self.opcodes.last => (true, false),
            _ if opcode == self.opcodes.more => (false, false),
            _ if opcode == self.opcodes.secure_last => (true, true),
            _ if opcode == self.opcodes.secure_more => (false, true),
            _ => return Ok(None),
        };
        if data.is_empty() {
            return Err(DecodeErrorKind::Truncated.at(1));
        }
        let most = usize::from(self.fragment_bytes);
        if data.len() >= most.max(2) {
            return Err(DecodeErrorKind::TrailingBytes.at(most));
        }
        Ok(Some(Fragment { last, secure, data: data.to_vec() }))
    }

    fn encode_fragment(&self, fragment: &Fragment, answer: u8) -> Vec<u8> {
        let opcode = match (fragment.last, fragment.secure) {
            (true, false) => self.opcodes.last,
            (false, false) => self.opcodes.more,
            (true, true) => self.opcodes.secure_last,
            (false, true) => self.opcodes.secure_more,
        };
        [&[opcode | answer], &fragment.data[..]].concat()
    }

    fn with_length(&self, apdu: &[u8]) -> Option<Vec<u8>> {
        let length = u16::try_from(apdu.len()).ok()?;
        let length = if self.length.is_little_endian() { length.to_le_bytes() } else { length.to_be_bytes() };
        Some(match self.length {
            LengthField::None => apdu.to_vec(),
            LengthField::LeadingLittleEndian | LengthField::LeadingBigEndian => [&length, apdu].concat(),
            LengthField::TrailingLittleEndian | LengthField::TrailingBigEndian => [apdu, &length].concat(),
        })
    }

    /// The stated length and the bytes beside it.
    fn without_length<'a>(&self, payload: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let (length, apdu) = match self.length {
            LengthField::None => return Some((payload.len(), payload)),
            LengthField::LeadingLittleEndian | LengthField::LeadingBigEndian => payload.split_first_chunk()?,
            LengthField::TrailingLittleEndian | LengthField::TrailingBigEndian => {
                let (apdu, length) = payload.split_last_chunk()?;
                (length, apdu)
            }
        };
        let length =
            if self.length.is_little_endian() { u16::from_le_bytes(*length) } else { u16::from_be_bytes(*length) };
        Some((usize::from(length), apdu))
    }
}

fn only_status(rest: &[u8]) -> Result<Status, DecodeError> {
    match rest {
        [status] => Ok(Status::from_byte(*status)),
        [] => Err(DecodeErrorKind::Truncated.at(1)),
        _ => Err(DecodeErrorKind::TrailingBytes.at(2)),
    }
}

/// Why fragments do not make an APDU. Nothing of them is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssemblyError {
    /// More bytes than the assembler's bound.
    TooLong,
    /// Fewer than four bytes with the length.
    TooShort,
    /// Fewer bytes than the length field says.
    LengthMismatch,
    /// Encrypted and plain fragments mixed.
    Mixed,
}

/// Puts fragments together again, up to a bound.
#[derive(Clone, Debug)]
pub struct Assembler {
    framing: Framing,
    max_apdu: usize,
    payload: Vec<u8>,
    secure: bool,
}

impl Assembler {
    /// An assembler that refuses APDUs of more than `max_apdu` bytes.
    #[must_use]
    pub const fn new(framing: Framing, max_apdu: usize) -> Self {
        Self { framing, max_apdu, payload: Vec::new(), secure: false }
    }

    /// Takes the next fragment; gives the APDU with the last one.
    ///
    /// As the vendor's client does, it drops a payload whose stated length is longer than what came. When more came than
    /// stated, the stated length counts; no source says what a real band does then.
    pub fn push(&mut self, fragment: Fragment) -> Result<Option<Vec<u8>>, AssemblyError> {
        let mut payload = core::mem::take(&mut self.payload);
        if !payload.is_empty() && self.secure != fragment.secure {
            return Err(AssemblyError::Mixed);
        }
        if payload.len() + fragment.data.len() > self.max_apdu.saturating_add(LENGTH_BYTES) {
            return Err(AssemblyError::TooLong);
        }
        payload.extend(fragment.data);
        if !fragment.last {
            self.secure = fragment.secure;
            self.payload = payload;
            return Ok(None);
        }
        if payload.len() < MIN_TOTAL_BYTES {
            return Err(AssemblyError::TooShort);
        }
        let (length, apdu) = self.framing.without_length(&payload).ok_or(AssemblyError::TooShort)?;
        apdu.get(..length).map(|apdu| Some(apdu.to_vec())).ok_or(AssemblyError::LengthMismatch)
    }

    /// Whether fragments wait for their last one.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.payload.is_empty()
    }

    /// Forgets an unfinished APDU.
    pub fn reset(&mut self) {
        self.payload = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex::Hex;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    const HUAMI: Framing = Framing::HUAMI;

    fn hex(text: &str) -> Vec<u8> {
        text.parse::<Hex>().unwrap().0
    }

    fn requests(apdu: &str) -> Vec<Vec<u8>> {
        let fragments = HUAMI.fragments(&hex(apdu)).unwrap().into_iter().map(Request::Fragment);
        fragments.map(|fragment| HUAMI.encode_request(&fragment)).collect()
    }

    fn answers(rapdu: &str) -> Vec<Vec<u8>> {
        let fragments = HUAMI.fragments(&hex(rapdu)).unwrap().into_iter().map(Notification::Fragment);
        fragments.map(|fragment| HUAMI.encode_notification(&fragment)).collect()
    }

    // The checked examples of the public sources.
    #[test]
    fn the_examples_of_the_sources_come_out() {
        assert_eq!(requests("00a4040009a00000015143525300"), [hex("0300a4040009a00000015143525300 0e00")]);
        assert_eq!(answers("9000"), [hex("8390000200")]);
        assert_eq!(
            requests("80f24002124f10a000000333010106000300033301010000"),
            [hex("0480f24002124f10a00000033301010600030003"), hex("033301010000 1800")]
        );
        assert_eq!(
            answers("61174f10a00000033301010600030003330101009f700207019000"),
            [hex("8461174f10a0000003330101060003000333 0101"), hex("83009f7002070190001b00")]
        );
        assert_eq!(requests("00a4040008a000000151000000"), [hex("0300a4040008a0000001510000000d00")]);
        assert_eq!(requests("80ca9f7f00"), [hex("0380ca9f7f000500")]);
    }

    #[test]
    fn opening_and_closing_read_as_the_sources_show_them() {
        for (bytes, request) in [(&[0x01][..], Request::Open), (&[0x02], Request::Close), (&[0x0D], Request::MifareTag)]
        {
            assert_eq!(HUAMI.decode_request(bytes), Ok(request));
        }
        let closed = Notification::Closed(Status::DisconnectTimeout);
        assert_eq!(HUAMI.encode_notification(&closed), [0x82, 0x02]);
        assert_eq!(HUAMI.decode_notification(&[0x81, 0x00]), Ok(Notification::Opened(Status::Success)));
        assert_eq!(HUAMI.decode_request(&[0x01, 0x00]), Err(DecodeErrorKind::TrailingBytes.at(1)));
        assert_eq!(HUAMI.decode_notification(&[0x81]), Err(DecodeErrorKind::Truncated.at(1)));
    }

    #[test]
    fn every_status_survives() {
        for byte in 0..=u8::MAX {
            assert_eq!(Status::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn a_fragment_is_neither_empty_nor_longer_than_twenty_bytes() {
        assert_eq!(HUAMI.decode_request(&[0x03]), Err(DecodeErrorKind::Truncated.at(1)));
        assert!(HUAMI.decode_request(&[0x04; 20]).is_ok());
        assert_eq!(HUAMI.decode_request(&[0x04; 21]), Err(DecodeErrorKind::TrailingBytes.at(20)));
    }

    #[test]
    fn a_payload_that_cannot_be_an_apdu_is_dropped() {
        let push =
            |data: &[u8]| Assembler::new(HUAMI, 8).push(Fragment { last: true, secure: false, data: data.to_vec() });
        assert_eq!(push(&[0x90, 0x00, 0x02, 0x00]), Ok(Some(Vec::from([0x90, 0x00]))));
        assert_eq!(push(&[0x90, 0x00, 0x02]), Err(AssemblyError::TooShort));
        assert_eq!(push(&[0x90, 0x00, 0x03, 0x00]), Err(AssemblyError::LengthMismatch));
        assert_eq!(push(&[1, 2, 3, 2, 0]), Ok(Some(Vec::from([1, 2]))));
        assert_eq!(push(&[0, 0, 0, 0, 0, 0, 0, 0, 8, 0]), Ok(Some(Vec::from([0; 8]))));
        assert_eq!(push(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0]), Err(AssemblyError::TooLong));
    }

    #[test]
    fn plain_and_encrypted_fragments_do_not_mix() {
        let mut assembler = Assembler::new(HUAMI, 100);
        let fragment = |last, secure| Fragment { last, secure, data: Vec::from([9, 9, 2, 0]) };
        assert_eq!(assembler.push(fragment(false, true)), Ok(None));
        assert_eq!(assembler.push(fragment(true, false)), Err(AssemblyError::Mixed));
        assert!(!assembler.is_unfinished());
    }

    #[test]
    fn an_apdu_longer_than_its_length_field_can_say_is_not_sent() {
        assert_eq!(HUAMI.fragments(&[0; 65_536]), None);
        assert_eq!(HUAMI.fragments(&[0; 65_535]).map(|fragments| fragments.len()), Some(3450));
    }

    fn any_framing() -> impl Strategy<Value = Framing> {
        let length = prop_oneof![
            Just(LengthField::None),
            Just(LengthField::LeadingLittleEndian),
            Just(LengthField::LeadingBigEndian),
            Just(LengthField::TrailingLittleEndian),
            Just(LengthField::TrailingBigEndian),
        ];
        (0..300u16, length).prop_map(|(fragment_bytes, length)| Framing { fragment_bytes, length, ..HUAMI })
    }

    proptest! {
        #[test]
        fn what_is_cut_is_put_together_again(
            framing in any_framing(),
            apdu in prop::collection::vec(any::<u8>(), 4..2000),
        ) {
            let mut assembler = Assembler::new(framing, apdu.len());
            let mut done = None;
            for fragment in framing.fragments(&apdu).unwrap() {
                prop_assert!(done.is_none());
                value_survives(
                    &Request::Fragment(fragment.clone()),
                    |request| framing.encode_request(request),
                    |bytes| framing.decode_request(bytes),
                );
                done = assembler.push(fragment).unwrap();
            }
            prop_assert_eq!(done, Some(apdu));
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            bytes_are_harmless(&bytes, |it| HUAMI.encode_request(it), |bytes| HUAMI.decode_request(bytes));
            bytes_are_harmless(&bytes, |it| HUAMI.encode_notification(it), |bytes| HUAMI.decode_notification(bytes));
        }

        #[test]
        fn any_fragments_are_harmless(
            fragments in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 1..20)), 0..40),
        ) {
            let mut assembler = Assembler::new(HUAMI, 64);
            for (last, secure, data) in fragments {
                if let Ok(Some(apdu)) = assembler.push(Fragment { last, secure, data }) {
                    prop_assert!(apdu.len() <= 64);
                }
                prop_assert!(assembler.payload.len() <= 66);
            }
        }
    }
}
