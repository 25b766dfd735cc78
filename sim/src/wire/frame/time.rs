//! Dates and times as the band writes them: Current Time (2A2B), and the shorter stamp of the battery.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::wire::{DecodeError, DecodeErrorKind};

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_QUARTER: i64 = 900;
/// Days from 0000-03-01 to 1970-01-01, proleptic Gregorian.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// A wall clock's date, time and time zone. May hold what no calendar has: see [`Stamp::unix_seconds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Full year, as in 2020.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// East of UTC, in quarter hours, summer time folded in.
    pub zone_quarters: i8,
}

impl Stamp {
    /// How many bytes it takes.
    pub const BYTES: usize = 8;

    /// What a clock in this zone shows at `unix_seconds`; the year stays within 0 to 65535.
    #[must_use]
    pub fn from_unix(unix_seconds: i64, zone_quarters: i8) -> Self {
        let local = unix_seconds.saturating_add(i64::from(zone_quarters) * SECONDS_PER_QUARTER);
        let (year, month, day) = civil_from_days(local.div_euclid(SECONDS_PER_DAY));
        let second = local.rem_euclid(SECONDS_PER_DAY);
        Self {
            year: u16::try_from(year.max(0)).unwrap_or(u16::MAX),
            month,
            day,
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
            zone_quarters,
        }
    }

    /// Seconds since 1970-01-01 UTC; `None` when no calendar has this date or time.
    #[must_use]
    pub fn unix_seconds(&self) -> Option<i64> {
        let days = days_from_civil(i64::from(self.year), i64::from(self.month), i64::from(self.day));
        let date = (i64::from(self.year), self.month, self.day);
        let is_real = (1..=12).contains(&self.month) && self.day > 0 && civil_from_days(days) == date;
        if !is_real || self.hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(days * SECONDS_PER_DAY + time - i64::from(self.zone_quarters) * SECONDS_PER_QUARTER)
    }

    pub(super) fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let [year_low, year_high, month, day, hour, minute, second, zone] = bytes;
        Self {
            year: u16::from_le_bytes([year_low, year_high]),
            month,
            day,
            hour,
            minute,
            second,
            zone_quarters: i8::from_le_bytes([zone]),
        }
    }

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let [year_low, year_high] = self.year.to_le_bytes();
        let [zone] = self.zone_quarters.to_le_bytes();
        [year_low, year_high, self.month, self.day, self.hour, self.minute, self.second, zone]
    }

    /// 1 = Monday to 7 = Sunday; 0 when the date is not real.
    fn day_of_week(&self) -> u8 {
        let Some(seconds) = self.unix_seconds() else { return 0 };
        let local = seconds + i64::from(self.zone_quarters) * SECONDS_PER_QUARTER;
        // 1970-01-01 was a Thursday.
        small((local.div_euclid(SECONDS_PER_DAY) + 3).rem_euclid(7) + 1)
    }
}

/// The value of Current Time (2A2B): the ten bytes of the Bluetooth SIG with the vendor's time zone after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentTime {
    /// Date, time and zone.
    pub stamp: Stamp,
    /// 1 = Monday to 7 = Sunday, 0 unknown. Some clients count 0 = Sunday.
    pub day_of_week: u8,
    /// 1/256 seconds.
    pub fractions: u8,
    /// Why the clock was set last, or summer time; clients send 0.
    pub adjust: u8,
}

impl CurrentTime {
    /// How many bytes it takes.
    pub const BYTES: usize = 11;

    /// What a clock in this zone shows.
    #[must_use]
    pub fn from_unix_micros(unix_micros: i64, zone_quarters: i8) -> Self {
        let stamp = Stamp::from_unix(unix_micros.div_euclid(1_000_000), zone_quarters);
        let fractions = small(unix_micros.rem_euclid(1_000_000) * 256 / 1_000_000);
        Self { stamp, day_of_week: stamp.day_of_week(), fractions, adjust: 0 }
    }

    /// Microseconds since 1970-01-01 UTC, to 1/256 s; `None` when no calendar has this date or time.
    #[must_use]
    pub fn unix_micros(&self) -> Option<i64> {
        // Rounded up, so that reading back gives the same fraction.
        let fraction = (i64::from(self.fractions) * 1_000_000 + 255).div_euclid(256);
        Some(self.stamp.unix_seconds()?.checked_mul(1_000_000)? + fraction)
    }

    /// Reads the eleven bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let &[y0, y1, month, day, hour, minute, second, day_of_week, fractions, adjust, zone] = bytes else {
            return Err(wrong_length(bytes, Self::BYTES));
        };
        let stamp = Stamp::decode([y0, y1, month, day, hour, minute, second, zone]);
        Ok(Self { stamp, day_of_week, fractions, adjust })
    }

    /// The eleven bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let [date @ .., zone] = self.stamp.encode();
        [&date[..], &[self.day_of_week, self.fractions, self.adjust, zone]].concat()
    }
}

pub(super) fn wrong_length(bytes: &[u8], expected: usize) -> DecodeError {
    if bytes.len() < expected {
        DecodeErrorKind::Truncated.at(bytes.len())
    } else {
        DecodeErrorKind::TrailingBytes.at(expected)
    }
}

/// For numbers that are small by how they were made.
fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

// Both directions as in H. Hinnant, "chrono-compatible low-level date algorithms": years start in March.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + DAYS_TO_EPOCH;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex::Hex;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        text.parse::<Hex>().unwrap().0
    }

    // Read from a real band: Monday 2023-05-22 05:24:43, UTC+7.
    #[test]
    fn the_clock_of_a_real_band_reads_right() {
        let bytes = hex("e707051605182b0100001c");
        let time = CurrentTime::decode(&bytes).unwrap();
        assert_eq!(time.stamp.unix_seconds(), Some(1_684_707_883));
        assert_eq!(CurrentTime::from_unix_micros(1_684_707_883_000_000, 28).encode(), bytes);
    }

    #[test]
    fn leap_days_and_the_epoch_are_where_they_belong() {
        for (unix, year, month, day) in [
            (0, 1970, 1, 1),
            (951_782_400, 2000, 2, 29),
            (4_107_456_000, 2100, 2, 28),
            (4_107_542_400, 2100, 3, 1),
            (-1, 1969, 12, 31),
        ] {
            let stamp = Stamp::from_unix(unix, 0);
            assert_eq!((stamp.year, stamp.month, stamp.day), (year, month, day), "{unix}");
            assert_eq!(stamp.unix_seconds(), Some(unix));
        }
    }

    #[test]
    fn a_date_no_calendar_has_is_nothing() {
        let real = Stamp { year: 2020, month: 6, day: 16, ..Stamp::default() };
        assert!(real.unix_seconds().is_some());
        for wrong in [
            Stamp { month: 0, ..real },
            Stamp { month: 13, ..real },
            Stamp { day: 0, ..real },
            Stamp { day: 31, ..real },
            Stamp { year: 2021, month: 2, day: 29, ..real },
            Stamp { hour: 24, ..real },
            Stamp { minute: 60, ..real },
            Stamp { second: 60, ..real },
        ] {
            assert_eq!(wrong.unix_seconds(), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_eleven_bytes_are_a_time() {
        assert_eq!(CurrentTime::decode(&[0; 10]), Err(DecodeErrorKind::Truncated.at(10)));
        assert_eq!(CurrentTime::decode(&[0; 12]), Err(DecodeErrorKind::TrailingBytes.at(11)));
    }

    proptest! {
        #[test]
        fn a_clock_set_to_what_it_showed_shows_it_again(micros in 0..4_000_000_000_000_000_i64, zone: i8) {
            let shown = CurrentTime::from_unix_micros(micros, zone);
            let set = shown.unix_micros().unwrap();
            prop_assert_eq!(CurrentTime::from_unix_micros(set, zone), shown);
            prop_assert!((set - micros).abs() < 4_000);
        }

        #[test]
        fn any_instant_is_harmless(micros: i64, zone: i8) {
            let time = CurrentTime::from_unix_micros(micros, zone);
            value_survives(&time, CurrentTime::encode, CurrentTime::decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 9..13)) {
            bytes_are_harmless(&bytes, CurrentTime::encode, CurrentTime::decode);
            let _ = CurrentTime::decode(&bytes).map(|time| time.unix_micros());
        }
    }
}
