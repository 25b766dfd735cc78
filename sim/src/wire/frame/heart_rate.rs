//! The heart rate: what the phone asks on 2A39, and what the band measures and notifies on 2A37.
//!
//! ```text
//! once              > 15 02 01       < 00 <beats per minute>
//! again and again   > 15 01 01       < 00 <beats per minute> …    until 15 01 00; the phone says 16 now and then
//! ```

use alloc::vec::Vec;

use crate::wire::{DecodeError, DecodeErrorKind};

const EVERY: u8 = 0x14;
const MEASURE: u8 = 0x15;
const STILL_HERE: u8 = 0x16;
const ASLEEP: u8 = 0x00;
const CONTINUOUS: u8 = 0x01;
const ONCE: u8 = 0x02;
/// Flags of a measurement (Heart Rate Service 1.0, 3.1.1.1): one byte of beats per minute, nothing else.
const PLAIN: u8 = 0x00;

/// What is measured when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// While the wearer sleeps; nothing is notified.
    Asleep,
    /// Again and again.
    Continuous,
    /// One time.
    Once,
}

/// What the phone writes to 2A39.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `15 <mode> <01|00>`: begin or end.
    Measure {
        /// What.
        mode: Mode,
        /// Whether it begins.
        on: bool,
    },
    /// `14 <minutes>`: measure by itself so often; 0 for never.
    Every {
        /// Minutes.
        minutes: u8,
    },
    /// `16`: somebody still listens.
    StillHere,
    /// Anything else.
    Unknown(Vec<u8>),
}

impl Request {
    /// Reads a write to 2A39.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match *bytes {
            [] => return Err(DecodeErrorKind::Truncated.at(0)),
            [MEASURE, ASLEEP, on @ (0 | 1)] => Self::Measure { mode: Mode::Asleep, on: on == 1 },
            [MEASURE, CONTINUOUS, on @ (0 | 1)] => Self::Measure { mode: Mode::Continuous, on: on == 1 },
            [MEASURE, ONCE, on @ (0 | 1)] => Self::Measure { mode: Mode::Once, on: on == 1 },
            [EVERY, minutes] => Self::Every { minutes },
            [STILL_HERE] => Self::StillHere,
            _ => Self::Unknown(bytes.to_vec()),
        })
    }

    /// The bytes to write to 2A39.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Measure { mode, on } => {
                let mode = match mode {
                    Mode::Asleep => ASLEEP,
                    Mode::Continuous => CONTINUOUS,
                    Mode::Once => ONCE,
                };
                Vec::from([MEASURE, mode, u8::from(*on)])
            }
            Self::Every { minutes } => Vec::from([EVERY, *minutes]),
            Self::StillHere => Vec::from([STILL_HERE]),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

/// The value of 2A37: flags, and beats per minute.
#[must_use]
pub fn measurement(beats_per_minute: u8) -> Vec<u8> {
    Vec::from([PLAIN, beats_per_minute])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::bytes_are_harmless;
    use alloc::vec;
    use proptest::prelude::*;

    // As open clients write them.
    #[test]
    fn requests_read_as_the_sources_show_them() {
        let measure = |mode, on| Request::Measure { mode, on };
        for (bytes, request) in [
            (&[0x15, 0x02, 0x01][..], measure(Mode::Once, true)),
            (&[0x15, 0x01, 0x01], measure(Mode::Continuous, true)),
            (&[0x15, 0x01, 0x00], measure(Mode::Continuous, false)),
            (&[0x15, 0x00, 0x01], measure(Mode::Asleep, true)),
            (&[0x14, 0x05], Request::Every { minutes: 5 }),
            (&[0x16], Request::StillHere),
        ] {
            assert_eq!(Request::decode(bytes), Ok(request.clone()));
            assert_eq!(request.encode(), bytes);
        }
    }

    // Read from a real band.
    #[test]
    fn a_measurement_reads_as_the_sources_show_it() {
        assert_eq!(measurement(86), [0x00, 0x56]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_harmless(
            first in prop::sample::select(vec![0x14u8, 0x15, 0x16, 0x77]),
            rest in prop::collection::vec(0..4u8, 0..4),
        ) {
            bytes_are_harmless(&[&[first], &rest[..]].concat(), Request::encode, Request::decode);
        }
    }
}
