//! Configuration on H:0003: settings, each answered by a notification.
//!
//! ```text
//! set    > 06 <id u16 LE> <value>      < 10 06 <id u16 LE> <code>
//! other  > <command> …                 < 10 <command> <code> …
//! ```

use alloc::vec::Vec;

use super::reply::ReplyCode;
use crate::wire::{DecodeError, DecodeErrorKind};

const SET: u8 = 0x06;
const REPLY: u8 = 0x10;

/// The number of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(pub u16);

impl SettingId {
    /// Keep advertising while connected.
    pub const ADVERTISE_WHEN_CONNECTED: Self = Self(0x01);
    /// 12 or 24 hours.
    pub const TIME_FORMAT: Self = Self(0x02);
    /// Metric or imperial.
    pub const UNIT: Self = Self(0x03);
    /// Light up when the wrist is lifted.
    pub const LIFT_WRIST: Self = Self(0x05);
    /// Notify when the goal is reached.
    pub const GOAL: Self = Self(0x06);
    /// Date on the dial.
    pub const DATE_FORMAT: Self = Self(0x0A);
    /// Factory reset, with the value 01.
    pub const FACTORY_RESET: Self = Self(0x0B);
    /// Vibrate when the link is lost.
    pub const DISCONNECT_ALERT: Self = Self(0x0C);
    /// Flip the wrist to switch pages.
    pub const FLIP_WRIST: Self = Self(0x0D);
    /// Show who calls.
    pub const CALLER: Self = Self(0x10);
    /// Language of the display.
    pub const LANGUAGE: Self = Self(0x17);
    /// The AID of a card, as clients of 2018 say it; see [`super::aid`].
    pub const AID_2018: Self = Self(0x18);
    /// The AID of a card, as clients of 2020 say it over H:0020; see [`super::aid`].
    pub const AID: Self = Self(0x1C);
    /// Broadcast the heart rate.
    pub const EXPOSE_HEART_RATE: Self = Self(0x1F);
    /// The PIN that locks the band's display.
    pub const BAND_PIN: Self = Self(0x21);
    /// How easily a lifted wrist is noticed.
    pub const LIFT_SENSITIVITY: Self = Self(0x23);

    /// Whether public clients use this setting.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(
            self.0,
            0x01..=0x03 | 0x05 | 0x06 | 0x0A..=0x0D | 0x10 | 0x17 | 0x18 | 0x1C | 0x1F | 0x21 | 0x23
        )
    }
}

/// What the phone writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Change a setting.
    Set {
        /// Which.
        id: SettingId,
        /// To what; its meaning depends on the setting.
        value: Vec<u8>,
    },
    /// `0E`: the version of the position data.
    GpsVersion,
    /// `0D`: the alarms.
    Alarms,
    /// Any other command.
    Unknown(Vec<u8>),
}

impl Request {
    /// `06 0B 00 01`.
    #[must_use]
    pub fn factory_reset() -> Self {
        Self::Set { id: SettingId::FACTORY_RESET, value: Vec::from([1]) }
    }

    /// Reads a write to H:0003.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [SET, low, high, value @ ..] => {
                Ok(Self::Set { id: SettingId(u16::from_le_bytes([*low, *high])), value: value.to_vec() })
            }
            [] | [SET, ..] => Err(DecodeErrorKind::Truncated.at(bytes.len())),
            [0x0E] => Ok(Self::GpsVersion),
            [0x0D] => Ok(Self::Alarms),
            _ => Ok(Self::Unknown(bytes.to_vec())),
        }
    }

    /// The bytes to write to H:0003.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Set { id, value } => [&[SET], &id.0.to_le_bytes()[..], value].concat(),
            Self::GpsVersion => Vec::from([0x0E]),
            Self::Alarms => Vec::from([0x0D]),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

/// What the band notifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to [`Request::Set`].
    Set {
        /// Which setting.
        id: SettingId,
        /// How it went.
        code: ReplyCode,
    },
    /// The answer to any other command.
    Other {
        /// Which command; never 06.
        command: u8,
        /// How it went.
        code: ReplyCode,
        /// Whatever the command asked for.
        data: Vec<u8>,
    },
    /// Anything that does not start with 10.
    Unknown(Vec<u8>),
}

impl Reply {
    /// Reads a notification of H:0003.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [REPLY, SET, low, high, code] => {
                Ok(Self::Set { id: SettingId(u16::from_le_bytes([*low, *high])), code: ReplyCode::from_byte(*code) })
            }
            [REPLY, SET, _, _, _, ..] => Err(DecodeErrorKind::TrailingBytes.at(5)),
            [] | [REPLY] | [REPLY, SET, ..] | [REPLY, _] => Err(DecodeErrorKind::Truncated.at(bytes.len())),
            [REPLY, command, code, data @ ..] => {
                Ok(Self::Other { command: *command, code: ReplyCode::from_byte(*code), data: data.to_vec() })
            }
            _ => Ok(Self::Unknown(bytes.to_vec())),
        }
    }

    /// The bytes to notify.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Set { id, code } => [&[REPLY, SET], &id.0.to_le_bytes()[..], &[code.byte()]].concat(),
            Self::Other { command, code, data } => [&[REPLY, *command, code.byte()], &data[..]].concat(),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    #[test]
    fn a_factory_reset_and_its_reply_read_as_the_sources_show_them() {
        assert_eq!(Request::factory_reset().encode(), [0x06, 0x0B, 0x00, 0x01]);
        let reply = Reply::Set { id: SettingId::FACTORY_RESET, code: ReplyCode::Success };
        assert_eq!(reply.encode(), [0x10, 0x06, 0x0B, 0x00, 0x01]);
    }

    #[test]
    fn a_setting_without_its_number_is_refused() {
        for length in 0..3 {
            let bytes = &[0x06, 0x0B][..length.min(2)];
            assert_eq!(Request::decode(bytes), Err(DecodeErrorKind::Truncated.at(bytes.len())));
        }
        assert_eq!(Reply::decode(&[0x10, 0x06, 0x0B, 0x00]), Err(DecodeErrorKind::Truncated.at(4)));
        assert_eq!(Reply::decode(&[0x10, 0x06, 0x0B, 0x00, 1, 1]), Err(DecodeErrorKind::TrailingBytes.at(5)));
    }

    proptest! {
        #[test]
        fn settings_survive(id: u16, value: Vec<u8>, code: u8) {
            let id = SettingId(id);
            value_survives(&Request::Set { id, value }, Request::encode, Request::decode);
            value_survives(&Reply::Set { id, code: ReplyCode::from_byte(code) }, Reply::encode, Reply::decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            bytes_are_harmless(&bytes, Request::encode, Request::decode);
            bytes_are_harmless(&bytes, Reply::encode, Reply::decode);
        }
    }
}
