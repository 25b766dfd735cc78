//! Fetching what the band has recorded: asked on H:0004, the records themselves come on H:0005.
//!
//! ```text
//! since when    > 01 <kind> <year u16 LE> <month> <day> <hour> <minute> 00 <zone>
//!               < 10 01 01 <records u32 LE> <year u16 LE> <month> <day> <hour> <minute> <second> <zone>
//! give          > 02        records, then   < 10 02 01;  there are none   < 10 02 04
//! forget them   > 03                        < 10 03 01
//! ```

use alloc::vec::Vec;

use super::reply::ReplyCode;
use super::time::Stamp;
use crate::wire::{DecodeError, DecodeErrorKind};

const SINCE: u8 = 0x01;
const GIVE: u8 = 0x02;
const FORGET: u8 = 0x03;
const REPLY: u8 = 0x10;

/// What the phone writes to H:0004.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `01`: what there is since then.
    Since {
        /// Of what kind; 01 is activity.
        kind: u8,
        /// Since when, to the minute.
        since: Stamp,
    },
    /// `02`: give it.
    Give,
    /// `03`: it has arrived, forget it.
    Forget,
    /// Anything else.
    Unknown(Vec<u8>),
}

impl Request {
    /// Reads a write to H:0004.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match *bytes {
            [] => return Err(DecodeErrorKind::Truncated.at(0)),
            [SINCE, kind, y0, y1, month, day, hour, minute, 0, zone] => {
                Self::Since { kind, since: Stamp::decode([y0, y1, month, day, hour, minute, 0, zone]) }
            }
            [GIVE] => Self::Give,
            [FORGET] => Self::Forget,
            _ => Self::Unknown(bytes.to_vec()),
        })
    }

    /// The bytes to write to H:0004.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Since { kind, since } => {
                let [date @ .., _, zone] = since.encode();
                [&[SINCE, *kind], &date[..], &[0, zone]].concat()
            }
            Self::Give => Vec::from([GIVE]),
            Self::Forget => Vec::from([FORGET]),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }

    /// Its first byte, which a reply names.
    #[must_use]
    pub fn command(&self) -> u8 {
        match self {
            Self::Since { .. } => SINCE,
            Self::Give => GIVE,
            Self::Forget => FORGET,
            Self::Unknown(bytes) => bytes.first().copied().unwrap_or(0),
        }
    }
}

/// What the band notifies on H:0004.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// How many records there are, and when the first one was made.
    Records {
        /// How many.
        count: u32,
        /// Since when.
        since: Stamp,
    },
    /// How any other request went.
    Other {
        /// Its first byte.
        command: u8,
        /// How.
        code: ReplyCode,
    },
}

impl Reply {
    /// The bytes to notify.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Records { count, since } => {
                let success = [REPLY, SINCE, ReplyCode::Success.byte()];
                [&success[..], &count.to_le_bytes(), &since.encode()].concat()
            }
            Self::Other { command, code } => Vec::from([REPLY, *command, code.byte()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::bytes_are_harmless;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_fetch_reads_as_the_sources_show_it() {
        let bytes = [0x01, 0x01, 0xE4, 0x07, 0x06, 0x10, 0x0C, 0x1E, 0x00, 0x17];
        let since =
            Stamp { year: 2020, month: 6, day: 16, hour: 12, minute: 30, zone_quarters: 23, ..Stamp::default() };
        let request = Request::Since { kind: 1, since };
        assert_eq!(Request::decode(&bytes), Ok(request.clone()));
        assert_eq!(request.encode(), bytes);
        let reply = Reply::Records { count: 2, since }.encode();
        assert_eq!(reply, [0x10, 0x01, 0x01, 2, 0, 0, 0, 0xE4, 0x07, 0x06, 0x10, 0x0C, 0x1E, 0x00, 0x17]);
        assert_eq!(Reply::Other { command: 2, code: ReplyCode::Failed }.encode(), [0x10, 0x02, 0x04]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_harmless(
            first in prop::sample::select(vec![0x01u8, 0x02, 0x03, 0x77]),
            rest in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            bytes_are_harmless(&[&[first], &rest[..]].concat(), Request::encode, Request::decode);
        }
    }
}
