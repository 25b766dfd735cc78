//! Money: integer minor units and a currency of ISO 4217. Never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money, written `4.20 EUR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Minor units: `4.20 EUR` is 420.
    pub minor: u64,
    /// The currency.
    pub currency: Currency,
}

/// A currency of ISO 4217, written `EUR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    /// Alphabetic code, `EUR`.
    pub code: &'static str,
    /// Numeric code, 978.
    pub number: u16,
    /// Digits after the point.
    pub exponent: u8,
}

impl Currency {
    /// The currencies the shops take.
    pub const ALL: [Self; 4] = [
        Self { code: "EUR", number: 978, exponent: 2 },
        Self { code: "RUB", number: 643, exponent: 2 },
        Self { code: "UAH", number: 980, exponent: 2 },
        Self { code: "USD", number: 840, exponent: 2 },
    ];

    /// The currency with this numeric code.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|currency| currency.number == number)
    }

    /// `minor` units of it.
    #[must_use]
    pub const fn of(self, minor: u64) -> Money {
        Money { minor, currency: self }
    }

    /// Minor units in one unit.
    #[must_use]
    pub const fn minor_per_unit(self) -> u64 {
        10_u64.pow(self.exponent as u32)
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(|currency| currency.code).join(", ");
        let found = Self::ALL.into_iter().find(|currency| currency.code == text);
        found.ok_or_else(|| format!("no such currency {text:?}; known: {known}"))
    }
}

impl FromStr for Money {
    type Err = String;

    /// Reads `4.20 EUR`, or `4 EUR`; an amount has no fraction or all its digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((number, code)) = text.split_once(' ') else {
            return Err(format!("{text:?} is no amount; write it with its currency, as in 4.20 EUR"));
        };
        let currency: Currency = code.trim_start().parse()?;
        let (units, fraction) = number.split_once('.').unwrap_or((number, "00"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || !digits(fraction) || fraction.len() != usize::from(currency.exponent) {
            return Err(format!(
                "{text:?} is no amount; write {} digits after the point, as in 4.20 {code}",
                currency.exponent
            ));
        }
        let minor = format!("{units}{fraction}").parse().map_err(|_| format!("{text:?} is too much money"))?;
        Ok(currency.of(minor))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Display for Money {
    /// `4.20 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.currency.minor_per_unit();
        let width = usize::from(self.currency.exponent);
        write!(f, "{}.{:0width$} {}", self.minor / unit, self.minor % unit, self.currency)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(Money Currency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_it_is_read() {
        for text in ["4.20 EUR", "0.01 UAH", "0.00 USD", "184467440737095516.15 RUB"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("50 EUR".parse::<Money>().unwrap().minor, 5000);
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "4.20",
            "4.2 EUR",
            "4.200 EUR",
            "4,20 EUR",
            "-4.20 EUR",
            " EUR",
            ".20 EUR",
            "4. EUR",
            "4.20 XYZ",
            "4.20 eur",
            "",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text:?}");
        }
        assert!("184467440737095516.16 EUR".parse::<Money>().is_err(), "more than 64 bits");
    }
}
