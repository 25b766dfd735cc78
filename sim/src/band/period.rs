//! Durations of a profile, written with their unit: `500ms`, `30s`, `10m`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

const UNITS: [(&str, u64); 4] = [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000)];

/// The text is not a number with one of the units `us`, `ms`, `s`, `m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPeriod;

impl fmt::Display for NotAPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a duration: write a whole number and its unit, as in 500ms, 30s or 10m")
    }
}

impl core::error::Error for NotAPeriod {}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(NotAPeriod)?;
        let number: u64 = number.parse().map_err(|_| NotAPeriod)?;
        let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotAPeriod)?;
        Ok(Self(Duration::from_micros(number.checked_mul(*micros).ok_or(NotAPeriod)?)))
    }
}

impl fmt::Display for Period {
    /// In the largest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        let whole = |(_, unit): &&(&str, u64)| micros.is_multiple_of(*unit) && micros > 0;
        let (name, unit) = UNITS.iter().rev().find(whole).unwrap_or(&("s", 1));
        write!(f, "{}{name}", micros / unit)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_period_carries_its_unit() {
        for (text, micros) in [("250us", 250), ("500ms", 500_000), ("30s", 30_000_000), ("10m", 600_000_000), ("0s", 0)]
        {
            let period = text.parse::<Period>().unwrap();
            assert_eq!(period.0, Duration::from_micros(micros));
            assert_eq!(period.to_string(), text);
        }
        assert_eq!(Period(Duration::from_secs(90)).to_string(), "90s");
    }

    #[test]
    fn a_bare_or_strange_number_is_refused() {
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10h", "99999999999999999999s", "999999999999999999m"] {
            assert_eq!(text.parse::<Period>(), Err(NotAPeriod), "{text}");
        }
    }
}
