//! The battery on H:0006, 20 bytes, read or notified when it changes.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::time::{Stamp, wrong_length};
use crate::wire::DecodeError;

/// Whether the band hangs on its charger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charging {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// A value nobody has named.
    Unknown(u8),
}

impl Charging {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::No,
            1 => Self::Yes,
            other => Self::Unknown(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::Unknown(other) => other,
        }
    }
}

/// The battery's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battery {
    /// 0F in all dumps: says which of the following are there.
    pub flags: u8,
    /// Percent.
    pub level: u8,
    /// Whether it is being charged.
    pub charging: Charging,
    /// When it was last off, or last full: clients disagree.
    pub last_off: Stamp,
    /// When it was last charged.
    pub last_charge: Stamp,
    /// Percent at the end of the last charge.
    pub last_charge_level: u8,
}

impl Battery {
    /// How many bytes it takes.
    pub const BYTES: usize = 20;
    /// The flags of all dumps.
    pub const FLAGS: u8 = 0x0F;

    /// Reads the 20 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let error = || wrong_length(bytes, Self::BYTES);
        let [flags, level, charging, rest @ ..] = bytes else { return Err(error()) };
        let (last_off, rest) = rest.split_first_chunk().ok_or_else(error)?;
        let (last_charge, rest) = rest.split_first_chunk().ok_or_else(error)?;
        let [last_charge_level] = rest else { return Err(error()) };
        Ok(Self {
            flags: *flags,
            level: *level,
            charging: Charging::from_byte(*charging),
            last_off: Stamp::decode(*last_off),
            last_charge: Stamp::decode(*last_charge),
            last_charge_level: *last_charge_level,
        })
    }

    /// The 20 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.flags, self.level, self.charging.byte()];
        [&head[..], &self.last_off.encode(), &self.last_charge.encode(), &[self.last_charge_level]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DecodeErrorKind;
    use crate::wire::hex::Hex;
    use crate::wire::property::bytes_are_harmless;
    use proptest::prelude::*;

    // Read from real bands.
    #[test]
    fn batteries_of_real_bands_read_right() {
        let bytes = "0f5100e7070516000a031ce7070516000a0b1c64".parse::<Hex>().unwrap();
        let battery = Battery::decode(&bytes).unwrap();
        assert_eq!((battery.level, battery.charging, battery.last_charge_level), (81, Charging::No, 100));
        assert_eq!((battery.last_off.year, battery.last_off.second, battery.last_off.zone_quarters), (2023, 3, 28));
        assert_eq!(battery.encode(), bytes.0);

        let fresh = "0f5100b207010100000000ea07011f0b292fec63".parse::<Hex>().unwrap();
        let battery = Battery::decode(&fresh).unwrap();
        assert_eq!(battery.last_off.unix_seconds(), Some(0));
        assert_eq!((battery.last_charge.zone_quarters, battery.last_charge_level), (-20, 99));
    }

    #[test]
    fn only_twenty_bytes_are_a_battery() {
        for length in 0..20 {
            assert_eq!(Battery::decode(&[0; 20][..length]), Err(DecodeErrorKind::Truncated.at(length)));
        }
        assert_eq!(Battery::decode(&[0; 21]), Err(DecodeErrorKind::TrailingBytes.at(20)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 19..22)) {
            bytes_are_harmless(&bytes, Battery::encode, Battery::decode);
        }
    }
}
