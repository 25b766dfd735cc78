//! How a band speaks to a reader: the section `air` of its profile. The band itself does not read it; whoever models the time
//! that a payment takes does.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::period::Period;
use crate::wire::marked::Marked;

/// The contactless interface of a band (ISO/IEC 14443-3 type A and 14443-4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AirProfile {
    /// Bit rate to the band, kbit/s: 106, 212, 424 or 848. A payment reader stays at 106 (EMV Contactless Book D 5.7.1).
    pub bit_rate_to_band: Marked<BitRate>,
    /// Bit rate to the reader, kbit/s.
    pub bit_rate_to_reader: Marked<BitRate>,
    /// The longest frame the band takes, FSCI of the ATS: 0 to 8 for 16 to 256 bytes (ISO/IEC 14443-4 table 1).
    pub frame_size_index: Marked<FrameSizeIndex>,
    /// The frame waiting time, FWI of the ATS: 302 µs · 2^FWI (ISO/IEC 14443-4 7.2).
    pub frame_waiting_index: Marked<FrameWaitingIndex>,
    /// How long the secure element computes.
    pub computing: Computing,
}

/// How long the secure element computes for one command, without the air.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computing {
    /// SELECT.
    pub select: Marked<Period>,
    /// GET PROCESSING OPTIONS.
    pub get_processing_options: Marked<Period>,
    /// READ RECORD.
    pub read_record: Marked<Period>,
    /// GENERATE AC.
    pub generate_ac: Marked<Period>,
    /// On top, when the answer carries an RSA signature of the card (9F4B).
    pub signature: Marked<Period>,
    /// Every other command.
    pub other: Marked<Period>,
}

/// A bit rate of ISO/IEC 14443: 106 kbit/s times 1, 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BitRate {
    /// 106 kbit/s.
    Kbit106,
    /// 212 kbit/s.
    Kbit212,
    /// 424 kbit/s.
    Kbit424,
    /// 848 kbit/s.
    Kbit848,
}

impl BitRate {
    /// Carrier periods of one elementary time unit: 128, 64, 32 or 16 (ISO/IEC 14443-2 8.1.1).
    #[must_use]
    pub const fn carrier_periods_per_bit(self) -> u64 {
        match self {
            Self::Kbit106 => 128,
            Self::Kbit212 => 64,
            Self::Kbit424 => 32,
            Self::Kbit848 => 16,
        }
    }

    const fn kbit(self) -> u16 {
        match self {
            Self::Kbit106 => 106,
            Self::Kbit212 => 212,
            Self::Kbit424 => 424,
            Self::Kbit848 => 848,
        }
    }
}

impl Serialize for BitRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.kbit())
    }
}

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            106 => Ok(Self::Kbit106),
            212 => Ok(Self::Kbit212),
            424 => Ok(Self::Kbit424),
            848 => Ok(Self::Kbit848),
            other => Err(de::Error::custom(format_args!("{other} kbit/s: it is 106, 212, 424 or 848"))),
        }
    }
}

/// FSCI, 0 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FrameSizeIndex(u8);

impl FrameSizeIndex {
    /// Bytes of the longest frame, with its header and checksum.
    #[must_use]
    pub const fn bytes(self) -> usize {
        // ISO/IEC 14443-4 table 1
        match self.0 {
            0 => 16,
            1 => 24,
            2 => 32,
            3 => 40,
            4 => 48,
            5 => 64,
            6 => 96,
            7 => 128,
            _ => 256,
        }
    }
}

impl TryFrom<u8> for FrameSizeIndex {
    type Error = &'static str;

    fn try_from(index: u8) -> Result<Self, Self::Error> {
        if index <= 8 { Ok(Self(index)) } else { Err("a frame size index is 0 to 8") }
    }
}

impl From<FrameSizeIndex> for u8 {
    fn from(index: FrameSizeIndex) -> Self {
        index.0
    }
}

/// FWI, 0 to 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FrameWaitingIndex(u8);

impl FrameWaitingIndex {
    /// The longest there is, which also bounds a waiting time that was extended (ISO/IEC 14443-4 7.3).
    pub const MAX: Self = Self(14);

    /// The frame waiting time in carrier periods: 4096 · 2^FWI.
    #[must_use]
    pub const fn carrier_periods(self) -> u64 {
        4096 << self.0
    }
}

impl TryFrom<u8> for FrameWaitingIndex {
    type Error = &'static str;

    fn try_from(index: u8) -> Result<Self, Self::Error> {
        if index <= 14 { Ok(Self(index)) } else { Err("a frame waiting index is 0 to 14") }
    }
}

impl From<FrameWaitingIndex> for u8 {
    fn from(index: FrameWaitingIndex) -> Self {
        index.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_frame_sizes_is_that_of_the_standard() {
        let sizes: alloc::vec::Vec<usize> =
            (0..=u8::MAX).filter_map(|index| FrameSizeIndex::try_from(index).ok()).map(FrameSizeIndex::bytes).collect();
        assert_eq!(sizes, [16, 24, 32, 40, 48, 64, 96, 128, 256]);
    }

    #[test]
    fn waiting_times_double_with_their_index() {
        let of = |index: u8| FrameWaitingIndex::try_from(index).map(FrameWaitingIndex::carrier_periods);
        assert_eq!(
            (of(0), of(1), of(14), of(15)),
            (Ok(4096), Ok(8192), Ok(4096 * 16384), Err("a frame waiting index is 0 to 14"))
        );
        assert_eq!(FrameWaitingIndex::MAX.carrier_periods(), 67_108_864);
    }
}
