//! What the band says by itself on H:0010: something happened to it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::wire::{DecodeError, DecodeErrorKind};

const MTU: u8 = 0x16;
const MUSIC: u8 = 0xFE;

macro_rules! device_events {
    ($($(#[$doc:meta])* $name:ident = $byte:literal;)*) => {
        /// Something happened to the band.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DeviceEvent {
            $($(#[$doc])* $name,)*
            /// `16`: the MTU the band would like.
            Mtu(u16),
            /// `FE`: the music control was used; 00 play, 01 pause, 03 next, 04 previous, 05 and 06 volume, E0 open, E1 close.
            Music(u8),
            /// Anything else, or a known event with more bytes than it should have.
            Unknown(Vec<u8>),
        }

        impl DeviceEvent {
            /// Reads a notification of H:0010.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Ok(match bytes {
                    [] => return Err(DecodeErrorKind::Truncated.at(0)),
                    $([$byte] => Self::$name,)*
                    [MTU, low, high] => Self::Mtu(u16::from_le_bytes([*low, *high])),
                    [MUSIC, action] => Self::Music(*action),
                    _ => Self::Unknown(bytes.to_vec()),
                })
            }

            /// The bytes to notify.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$name => Vec::from([$byte]),)*
                    Self::Mtu(mtu) => [&[MTU], &mtu.to_le_bytes()[..]].concat(),
                    Self::Music(action) => Vec::from([MUSIC, *action]),
                    Self::Unknown(bytes) => bytes.clone(),
                }
            }
        }
    };
}

device_events! {
    /// The wearer fell asleep.
    Asleep = 0x01;
    /// The wearer woke up.
    Awake = 0x02;
    /// The goal was reached.
    GoalReached = 0x03;
    /// The button was touched.
    Button = 0x04;
    /// The band was taken off.
    TakenOff = 0x06;
    /// Reject the call.
    CallReject = 0x07;
    /// Make the phone ring.
    FindPhoneStart = 0x08;
    /// Ignore the call.
    CallIgnore = 0x09;
    /// An alarm was switched on or off.
    AlarmToggled = 0x0A;
    /// The button was held.
    ButtonLong = 0x0B;
    /// A tick.
    Tick = 0x0E;
    /// Stop the ringing.
    FindPhoneStop = 0x0F;
    /// Silent mode.
    Silent = 0x10;
    /// A workout started.
    WorkoutStart = 0x14;
    /// An alarm was changed.
    AlarmChanged = 0x1A;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    #[test]
    fn the_mtu_is_least_significant_byte_first() {
        assert_eq!(DeviceEvent::Mtu(0x00F7).encode(), [0x16, 0xF7, 0x00]);
    }

    proptest! {
        #[test]
        fn events_survive(mtu: u16, action: u8) {
            for event in [DeviceEvent::Mtu(mtu), DeviceEvent::Music(action)] {
                value_survives(&event, DeviceEvent::encode, DeviceEvent::decode);
            }
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..5)) {
            bytes_are_harmless(&bytes, DeviceEvent::encode, DeviceEvent::decode);
        }
    }

    #[test]
    fn every_single_byte_survives() {
        for byte in 0..=u8::MAX {
            assert_eq!(DeviceEvent::decode(&[byte]).map(|event| event.encode()), Ok(Vec::from([byte])));
        }
    }
}
