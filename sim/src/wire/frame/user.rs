//! What the phone writes to H:0008 about the person: goal, wrist, and who it is.

use alloc::vec::Vec;

use crate::wire::{DecodeError, DecodeErrorKind};

const GOAL: u8 = 0x10;
const WRIST: u8 = 0x20;
const INFO: u8 = 0x4F;
const WRIST_LEFT: u8 = 0x02;
const WRIST_RIGHT: u8 = 0x82;

/// On which wrist the band is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrist {
    /// The left one.
    Left,
    /// The right one.
    Right,
    /// A value nobody has named.
    Unknown(u8),
}

/// Who wears the band, as open clients write it for bands of this family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Year of birth.
    pub birth_year: u16,
    /// Month of birth.
    pub birth_month: u8,
    /// Day of birth.
    pub birth_day: u8,
    /// 0 male, 1 female, 2 other.
    pub sex: u8,
    /// Centimetres.
    pub height_cm: u16,
    /// Kilograms times 200.
    pub weight_200: u16,
    /// A number the client makes from the account.
    pub user_id: u32,
}

/// A write to H:0008.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSetting {
    /// `10 00 00 <steps u16 LE> 00 00`.
    Goal(u16),
    /// `20 00 00 <wrist>`.
    Wear(Wrist),
    /// `4F 00 00 …`.
    Info(UserInfo),
    /// Anything else.
    Unknown(Vec<u8>),
}

impl UserSetting {
    /// Reads a write to H:0008.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match *bytes {
            [] => Err(DecodeErrorKind::Truncated.at(0)),
            [GOAL, 0, 0, low, high, 0, 0] => Ok(Self::Goal(u16::from_le_bytes([low, high]))),
            [WRIST, 0, 0, wrist] => Ok(Self::Wear(match wrist {
                WRIST_LEFT => Wrist::Left,
                WRIST_RIGHT => Wrist::Right,
                other => Wrist::Unknown(other),
            })),
            [INFO, 0, 0, y0, y1, birth_month, birth_day, sex, h0, h1, w0, w1, u0, u1, u2, u3] => {
                Ok(Self::Info(UserInfo {
                    birth_year: u16::from_le_bytes([y0, y1]),
                    birth_month,
                    birth_day,
                    sex,
                    height_cm: u16::from_le_bytes([h0, h1]),
                    weight_200: u16::from_le_bytes([w0, w1]),
                    user_id: u32::from_le_bytes([u0, u1, u2, u3]),
                }))
            }
            [INFO, ..] if bytes.len() < 16 => Err(DecodeErrorKind::Truncated.at(bytes.len())),
            _ => Ok(Self::Unknown(bytes.to_vec())),
        }
    }

    /// The bytes to write to H:0008.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Goal(steps) => [&[GOAL, 0, 0], &steps.to_le_bytes()[..], &[0, 0]].concat(),
            Self::Wear(Wrist::Left) => Vec::from([WRIST, 0, 0, WRIST_LEFT]),
            Self::Wear(Wrist::Right) => Vec::from([WRIST, 0, 0, WRIST_RIGHT]),
            Self::Wear(Wrist::Unknown(other)) => Vec::from([WRIST, 0, 0, *other]),
            Self::Info(info) => [
                &[INFO, 0, 0],
                &info.birth_year.to_le_bytes()[..],
                &[info.birth_month, info.birth_day, info.sex],
                &info.height_cm.to_le_bytes(),
                &info.weight_200.to_le_bytes(),
                &info.user_id.to_le_bytes(),
            ]
            .concat(),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn the_user_id_stands_at_the_end() {
        let info = UserInfo { birth_year: 1990, user_id: 0x0102_0304, ..UserInfo::default() };
        let bytes = UserSetting::Info(info).encode();
        assert_eq!(bytes, [0x4F, 0, 0, 0xC6, 0x07, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1]);
        assert_eq!(UserSetting::decode(&bytes[..15]), Err(DecodeErrorKind::Truncated.at(15)));
    }

    proptest! {
        #[test]
        fn settings_survive(steps: u16, birth: (u16, u8, u8), body: (u8, u16, u16), user_id: u32) {
            let (birth_year, birth_month, birth_day) = birth;
            let (sex, height_cm, weight_200) = body;
            let info = UserInfo { birth_year, birth_month, birth_day, sex, height_cm, weight_200, user_id };
            for setting in [UserSetting::Goal(steps), UserSetting::Info(info)] {
                value_survives(&setting, UserSetting::encode, UserSetting::decode);
            }
        }

        #[test]
        fn any_bytes_are_harmless(
            first in prop::sample::select(vec![0x10, 0x20, 0x4F, 0x77]),
            zeros in 0..5usize,
            bytes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let bytes = [vec![first; 1], vec![0; zeros], bytes].concat();
            bytes_are_harmless(&bytes, UserSetting::encode, UserSetting::decode);
        }
    }
}
