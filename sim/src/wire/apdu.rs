//! Command and response APDUs, short and extended (ISO 7816-4 5.1).

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::sw::Sw;
use super::{DecodeError, DecodeErrorKind};

/// A command APDU.
///
/// `extended` keeps the form it had on the wire, so that what was decoded is encoded to the same bytes. A command with
/// neither data nor `ne` has only one form; `extended` means nothing there and is decoded as false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CApdu {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Command data, at most 65 535 bytes; what lies beyond has no encoding and is left out of it.
    pub data: Vec<u8>,
    /// How many answer bytes are wanted at most, 1 to 65 536; `None` when the Le field is absent.
    pub ne: Option<u32>,
    /// Whether the length fields have the extended form.
    pub extended: bool,
}

/// The seven forms of a command APDU (ISO 7816-4 5.1, table 1; S short, E extended).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Neither data nor Le.
    C1,
    /// Le of one byte.
    C2S,
    /// Data with an Lc of one byte.
    C3S,
    /// Data with an Lc of one byte, Le of one byte.
    C4S,
    /// Le of three bytes.
    C2E,
    /// Data with an Lc of three bytes.
    C3E,
    /// Data with an Lc of three bytes, Le of two.
    C4E,
}

impl CApdu {
    /// A command with neither data nor `ne`.
    #[must_use]
    pub const fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self { cla, ins, p1, p2, data: Vec::new(), ne: None, extended: false }
    }

    /// The same command with this data; more than 255 bytes make it extended.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        self.extended |= self.data.len() > 0xFF;
        self
    }

    /// The same command, wanting up to `ne` bytes; more than 256 make it extended. Held to 1..=65 536.
    #[must_use]
    pub fn with_ne(mut self, ne: u32) -> Self {
        self.ne = Some(ne.clamp(1, NE_MAX_EXTENDED));
        self.extended |= ne > NE_MAX_SHORT;
        self
    }

    /// The form it is encoded in.
    #[must_use]
    pub fn case(&self) -> Case {
        let extended = self.extended || self.data.len() > 0xFF || self.ne.is_some_and(|ne| ne > NE_MAX_SHORT);
        match (self.data.is_empty(), self.ne, extended) {
            (true, None, _) => Case::C1,
            (true, Some(_), false) => Case::C2S,
            (true, Some(_), true) => Case::C2E,
            (false, None, false) => Case::C3S,
            (false, None, true) => Case::C3E,
            (false, Some(_), false) => Case::C4S,
            (false, Some(_), true) => Case::C4E,
        }
    }

    /// Reads a command; every byte must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[cla, ins, p1, p2], body)) = bytes.split_first_chunk() else {
            return Err(DecodeErrorKind::Truncated.at(bytes.len()));
        };
        let (data, ne, extended) = decode_body(body).map_err(|error| error.kind.at(HEADER_BYTES + error.at))?;
        Ok(Self { cla, ins, p1, p2, data: data.to_vec(), ne, extended })
    }

    /// The command's bytes. Length fields are short unless `extended` is set or a length needs the extended form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (data, _) = self.data.split_at_checked(usize::from(u16::MAX)).unwrap_or((&self.data, &[]));
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 5 + data.len());
        bytes.extend([self.cla, self.ins, self.p1, self.p2]);
        // `case` leaves the casts nothing to cut: Le counts 256 and 65 536 as zero, Lc is at most 65 535.
        let [.., lc_high, lc_low] = data.len().to_be_bytes();
        let [.., le_high, le_low] = self.ne.unwrap_or_default().to_be_bytes();
        match self.case() {
            Case::C1 => {}
            Case::C2S => bytes.push(le_low),
            Case::C2E => bytes.extend([0, le_high, le_low]),
            Case::C3S | Case::C4S => {
                bytes.push(lc_low);
                bytes.extend_from_slice(data);
                bytes.extend(self.ne.map(|_| le_low));
            }
            Case::C3E | Case::C4E => {
                bytes.extend([0, lc_high, lc_low]);
                bytes.extend_from_slice(data);
                bytes.extend(self.ne.iter().flat_map(|_| [le_high, le_low]));
            }
        }
        bytes
    }
}

impl fmt::Display for Case {
    /// `1`, `2S`, … as the standard's tables name them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::C1 => "1",
            Self::C2S => "2S",
            Self::C3S => "3S",
            Self::C4S => "4S",
            Self::C2E => "2E",
            Self::C3E => "3E",
            Self::C4E => "4E",
        })
    }
}

/// A response APDU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RApdu {
    /// Answer data.
    pub data: Vec<u8>,
    /// Status word.
    pub sw: Sw,
}

impl RApdu {
    /// A status word alone.
    #[must_use]
    pub const fn sw(sw: Sw) -> Self {
        Self { data: Vec::new(), sw }
    }

    /// Data with 9000.
    #[must_use]
    pub fn ok(data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), sw: Sw::OK }
    }

    /// A copy of data with 9000, with room for [`RApdu::into_bytes`].
    #[must_use]
    pub fn copied(data: &[u8]) -> Self {
        Self::ok(with_room(data))
    }

    /// Reads a response: any data, then two bytes of status.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (data, sw) = split_status_word(bytes)?;
        Ok(Self { data: data.to_vec(), sw })
    }

    /// Reads a response and keeps its bytes for the data.
    pub fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let (data, sw) = split_status_word(&bytes)?;
        let len = data.len();
        bytes.truncate(len);
        Ok(Self { data: bytes, sw })
    }

    /// The response's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Self { data: with_room(&self.data), sw: self.sw }.into_bytes()
    }

    /// The response's bytes, the status word put behind the data where they are.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.data;
        bytes.extend(self.sw.value().to_be_bytes());
        bytes
    }
}

/// Data, and the two bytes of status behind them.
fn split_status_word(bytes: &[u8]) -> Result<(&[u8], Sw), DecodeError> {
    let (data, &sw) = bytes.split_last_chunk().ok_or(DecodeErrorKind::Truncated.at(bytes.len()))?;
    Ok((data, Sw::new(u16::from_be_bytes(sw))))
}

/// A copy of data with room for a status word.
fn with_room(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() + STATUS_WORD_BYTES);
    bytes.extend_from_slice(data);
    bytes
}

const HEADER_BYTES: usize = 4;
const STATUS_WORD_BYTES: usize = 2;
const NE_MAX_SHORT: u32 = 0x100;
const NE_MAX_EXTENDED: u32 = 0x1_0000;

type Body<'a> = (&'a [u8], Option<u32>, bool);

/// What follows the header. Offsets count from there.
fn decode_body(body: &[u8]) -> Result<Body<'_>, DecodeError> {
    // ISO 7816-4 12.1.1 (the table of decoding conventions): one byte is Le, a first byte of zero opens the extended form.
    match body {
        [] => Ok((&[], None, false)),
        &[le] => Ok((&[], Some(short_ne(le)), false)),
        &[0, high, low] => Ok((&[], Some(extended_ne([high, low])), true)),
        &[0, _] => Err(DecodeErrorKind::Truncated.at(body.len())),
        &[0, high, low, ref rest @ ..] => {
            let lc = usize::from(u16::from_be_bytes([high, low]));
            if lc == 0 {
                return Err(DecodeErrorKind::BadLength.at(1));
            }
            let (data, le) = rest.split_at_checked(lc).ok_or(DecodeErrorKind::Truncated.at(body.len()))?;
            match le {
                [] => Ok((data, None, true)),
                [_] => Err(DecodeErrorKind::Truncated.at(body.len())),
                &[high, low] => Ok((data, Some(extended_ne([high, low])), true)),
                _ => Err(DecodeErrorKind::TrailingBytes.at(3 + lc + 2)),
            }
        }
        &[lc, ref rest @ ..] => {
            let lc = usize::from(lc);
            let (data, le) = rest.split_at_checked(lc).ok_or(DecodeErrorKind::Truncated.at(body.len()))?;
            match le {
                [] => Ok((data, None, false)),
                &[le] => Ok((data, Some(short_ne(le)), false)),
                _ => Err(DecodeErrorKind::TrailingBytes.at(1 + lc + 1)),
            }
        }
    }
}

/// Le of one byte: zero stands for 256.
fn short_ne(le: u8) -> u32 {
    if le == 0 { NE_MAX_SHORT } else { u32::from(le) }
}

/// Le of two bytes: zero stands for 65 536.
fn extended_ne(le: [u8; 2]) -> u32 {
    match u16::from_be_bytes(le) {
        0 => NE_MAX_EXTENDED,
        ne => u32::from(ne),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    const SELECT: CApdu = CApdu::new(0x00, 0xA4, 0x04, 0x00);

    /// Header, then `body`, then `data_bytes` bytes of data, then `le`.
    fn bytes(lc: &[u8], data_bytes: usize, le: &[u8]) -> Vec<u8> {
        [&[0x00, 0xA4, 0x04, 0x00], lc, &vec![0xDA; data_bytes], le].concat()
    }

    // ISO 7816-4 5.1 table 1 and 12.1.1, one row for each case and its edges.
    #[test]
    fn every_case_is_read_and_written_byte_for_byte() {
        for (encoded, case, data_bytes, ne) in [
            (bytes(&[], 0, &[]), Case::C1, 0, None),
            (bytes(&[], 0, &[0x01]), Case::C2S, 0, Some(1)),
            (bytes(&[], 0, &[0xFF]), Case::C2S, 0, Some(255)),
            (bytes(&[], 0, &[0x00]), Case::C2S, 0, Some(256)),
            (bytes(&[0x01], 1, &[]), Case::C3S, 1, None),
            (bytes(&[0x02], 2, &[]), Case::C3S, 2, None),
            (bytes(&[0xFF], 255, &[]), Case::C3S, 255, None),
            (bytes(&[0x01], 1, &[0x01]), Case::C4S, 1, Some(1)),
            (bytes(&[0x01], 1, &[0x00]), Case::C4S, 1, Some(256)),
            (bytes(&[0xFF], 255, &[0xFF]), Case::C4S, 255, Some(255)),
            (bytes(&[], 0, &[0x00, 0x00, 0x01]), Case::C2E, 0, Some(1)),
            (bytes(&[], 0, &[0x00, 0x01, 0x01]), Case::C2E, 0, Some(257)),
            (bytes(&[], 0, &[0x00, 0xFF, 0xFF]), Case::C2E, 0, Some(65_535)),
            (bytes(&[], 0, &[0x00, 0x00, 0x00]), Case::C2E, 0, Some(65_536)),
            (bytes(&[0x00, 0x00, 0x01], 1, &[]), Case::C3E, 1, None),
            (bytes(&[0x00, 0x01, 0x00], 256, &[]), Case::C3E, 256, None),
            (bytes(&[0x00, 0xFF, 0xFF], 65_535, &[]), Case::C3E, 65_535, None),
            (bytes(&[0x00, 0x00, 0x01], 1, &[0x00, 0x01]), Case::C4E, 1, Some(1)),
            (bytes(&[0x00, 0x00, 0x01], 1, &[0x00, 0x00]), Case::C4E, 1, Some(65_536)),
            (bytes(&[0x00, 0xFF, 0xFF], 65_535, &[0xFF, 0xFF]), Case::C4E, 65_535, Some(65_535)),
        ] {
            let start = &encoded[..encoded.len().min(9)];
            let command = CApdu::decode(&encoded).unwrap_or_else(|error| panic!("{start:02X?}…: {error}"));
            assert_eq!(
                (command.case(), command.data.len(), command.ne, command.extended),
                (case, data_bytes, ne, matches!(case, Case::C2E | Case::C3E | Case::C4E)),
                "{start:02X?}…"
            );
            assert!(command.data.iter().all(|&byte| byte == 0xDA));
            assert_eq!((command.cla, command.ins, command.p1, command.p2), (0x00, 0xA4, 0x04, 0x00));
            assert_eq!(command.encode(), encoded, "{start:02X?}…");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_place() {
        for (encoded, at, kind) in [
            (vec![], 0, DecodeErrorKind::Truncated),
            (vec![0x00, 0xA4, 0x04], 3, DecodeErrorKind::Truncated),
            (bytes(&[0x02], 1, &[]), 6, DecodeErrorKind::Truncated),
            (bytes(&[0xFF], 254, &[]), 259, DecodeErrorKind::Truncated),
            (bytes(&[0x01], 1, &[0x00, 0x00]), 7, DecodeErrorKind::TrailingBytes),
            (bytes(&[0x00], 1, &[]), 6, DecodeErrorKind::Truncated),
            (bytes(&[0x00, 0x00, 0x00], 1, &[]), 5, DecodeErrorKind::BadLength),
            (bytes(&[0x00, 0x00, 0x00], 0, &[0x00, 0x00]), 5, DecodeErrorKind::BadLength),
            (bytes(&[0x00, 0x00, 0x02], 1, &[]), 8, DecodeErrorKind::Truncated),
            (bytes(&[0x00, 0x01, 0x00], 255, &[]), 262, DecodeErrorKind::Truncated),
            (bytes(&[0x00, 0x00, 0x01], 1, &[0x00]), 9, DecodeErrorKind::Truncated),
            (bytes(&[0x00, 0x00, 0x01], 1, &[0x00, 0x00, 0x00]), 10, DecodeErrorKind::TrailingBytes),
        ] {
            assert_eq!(CApdu::decode(&encoded), Err(kind.at(at)), "{encoded:02X?}");
        }
    }

    #[test]
    fn the_builder_takes_the_extended_form_only_when_it_must() {
        assert_eq!(SELECT.case(), Case::C1);
        assert_eq!(SELECT.with_ne(256).case(), Case::C2S);
        assert_eq!(SELECT.with_ne(257).case(), Case::C2E);
        assert_eq!(SELECT.with_data([0; 255]).case(), Case::C3S);
        assert_eq!(SELECT.with_data([0; 256]).case(), Case::C3E);
        assert_eq!(SELECT.with_data([0; 255]).with_ne(256).case(), Case::C4S);
        assert_eq!(SELECT.with_data([0; 1]).with_ne(257).case(), Case::C4E);
        assert!(!SELECT.with_data([0; 255]).with_ne(256).extended);
        assert!(SELECT.with_data([0; 256]).extended && SELECT.with_ne(257).extended);
        assert!(SELECT.with_ne(257).with_data([1]).extended);
    }

    #[test]
    fn lengths_nobody_can_write_are_held_to_what_can_be_said() {
        assert_eq!(SELECT.with_ne(0).ne, Some(1));
        assert_eq!(SELECT.with_ne(70_000).ne, Some(65_536));
        let long = SELECT.with_data(vec![7; 65_536]).with_ne(1).encode();
        assert_eq!(CApdu::decode(&long).map(|command| command.data.len()), Ok(65_535));
    }

    #[test]
    fn lengths_that_need_the_extended_form_get_it_even_when_the_fields_were_set_by_hand() {
        let command = CApdu { data: vec![1; 256], ..SELECT };
        assert_eq!((command.case(), command.encode().len()), (Case::C3E, 4 + 3 + 256));
        let command = CApdu { ne: Some(257), ..SELECT };
        assert_eq!(command.encode(), [0x00, 0xA4, 0x04, 0x00, 0x00, 0x01, 0x01]);
    }

    #[test]
    fn cases_are_named_as_in_the_standard() {
        let all = [Case::C1, Case::C2S, Case::C3S, Case::C4S, Case::C2E, Case::C3E, Case::C4E];
        assert_eq!(all.map(|case| case.to_string()), ["1", "2S", "3S", "4S", "2E", "3E", "4E"]);
    }

    #[test]
    fn a_response_is_data_and_two_bytes_of_status() {
        assert_eq!(RApdu::decode(&[0x6A, 0x82]), Ok(RApdu::sw(Sw::NOT_FOUND)));
        assert_eq!(RApdu::decode(&[0x01, 0x02, 0x90, 0x00]), Ok(RApdu::ok([1, 2])));
        assert_eq!(RApdu::decode(&[0x90]), Err(DecodeErrorKind::Truncated.at(1)));
        assert_eq!(RApdu::decode(&[]), Err(DecodeErrorKind::Truncated.at(0)));
        assert_eq!(RApdu { data: vec![5], sw: Sw::more(4) }.encode(), [5, 0x61, 0x04]);
    }

    fn any_command() -> impl Strategy<Value = CApdu> {
        let data = prop_oneof![Just(0..1), Just(1..256), Just(256..700)]
            .prop_flat_map(|len| prop::collection::vec(any::<u8>(), len));
        let ne = prop_oneof![Just(None), (1_u32..=256).prop_map(Some), (257_u32..=65_536).prop_map(Some)];
        (any::<[u8; 4]>(), data, ne, any::<bool>()).prop_map(|([cla, ins, p1, p2], data, ne, extended)| {
            let extended = (extended && (!data.is_empty() || ne.is_some())) || data.len() > 255 || ne > Some(256);
            CApdu { cla, ins, p1, p2, data, ne, extended }
        })
    }

    proptest! {
        #[test]
        fn commands_survive(command in any_command()) {
            value_survives(&command, CApdu::encode, CApdu::decode);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            header: [u8; 4],
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..12),
                prop::collection::vec(0_u8..4, 0..12),
            ],
        ) {
            let bytes = [&header[..], &body].concat();
            if let Ok(command) = CApdu::decode(&bytes) {
                prop_assert_eq!(command.encode(), bytes);
            }
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            bytes_are_harmless(&bytes, CApdu::encode, CApdu::decode);
            bytes_are_harmless(&bytes, RApdu::encode, RApdu::decode);
        }

        #[test]
        fn a_response_is_the_same_with_and_without_a_copy(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let decoded = RApdu::decode(&bytes);
            prop_assert_eq!(&RApdu::from_bytes(bytes), &decoded);
            if let Ok(response) = decoded {
                prop_assert_eq!(response.encode(), response.into_bytes());
            }
        }

        #[test]
        fn responses_survive(data: Vec<u8>, sw: u16) {
            value_survives(&RApdu { data, sw: Sw::new(sw) }, RApdu::encode, RApdu::decode);
        }
    }
}
