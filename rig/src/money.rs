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
    /// The currencies that may be written.
    pub const ALL: [Self; 14] = [
        Self::new("EUR", 978, 2),
        Self::new("USD", 840, 2),
        Self::new("GBP", 826, 2),
        Self::new("CHF", 756, 2),
        Self::new("PLN", 985, 2),
        Self::new("CZK", 203, 2),
        Self::new("SEK", 752, 2),
        Self::new("NOK", 578, 2),
        Self::new("UAH", 980, 2),
        Self::new("RUB", 643, 2),
        Self::new("CNY", 156, 2),
        Self::new("INR", 356, 2),
        Self::new("JPY", 392, 0),
        Self::new("KWD", 414, 3),
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

    const fn new(code: &'static str, number: u16, exponent: u8) -> Self {
        Self { code, number, exponent }
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
        let exponent = usize::from(currency.exponent);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (units, fraction) = match number.split_once('.') {
            Some((units, fraction)) if fraction.len() == exponent && digits(fraction) => (units, fraction.to_owned()),
            None => (number, "0".repeat(exponent)),
            Some(_) => return Err(format!("{text:?} is no amount; {code} has {exponent} digits after the point")),
        };
        if !digits(units) {
            return Err(format!("{text:?} is no amount; write it as in 4.20 EUR"));
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
        write!(f, "{}", self.minor / unit)?;
        match usize::from(self.currency.exponent) {
            0 => write!(f, " {}", self.currency),
            width => write!(f, ".{:0width$} {}", self.minor % unit, self.currency),
        }
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
        for text in ["4.20 EUR", "0.01 UAH", "0.00 USD", "184467440737095516.15 RUB", "420 JPY"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("50 EUR".parse::<Money>().unwrap().minor, 5000);
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "4.00 JPY",
            "4. JPY",
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
