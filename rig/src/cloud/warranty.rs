//! The warranty desk: is this unit genuine, is it under warranty, what does that cover, and whom to turn to (W1–W4).
//!
//! Dates are those of the country of purchase. A warranty of so many months begins on the day of purchase and ends with the last
//! hour of the day with the same number; where the last month has no such day, with its last day (Regulation (EEC, Euratom)
//! No 1182/71, article 3 (2) (c), taken as the rule everywhere: assumed).

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// Digits of a security code.
// W1; facts/band-ble.md 5
const CODE_DIGITS: usize = 20;

/// What the desk looks things up in. File: `fixtures/warranty/registry.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarrantyRegistry {
    /// Units that were made.
    pub units: Vec<RegisteredUnit>,
    /// Rules by country of purchase, ISO 3166 alpha-2.
    pub countries: BTreeMap<String, CountryRules>,
}

/// One unit (W1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredUnit {
    /// The serial number on the back of the band.
    pub serial_printed: String,
    /// The serial number that it tells over Bluetooth. That the two are equal is assumed.
    pub serial_ble: String,
    /// The security code on its box, 20 digits.
    pub code: String,
    /// What it is.
    pub product: String,
}

/// How warranty works in one country (W3, W4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountryRules {
    /// The country's name.
    pub name: String,
    /// Its clock, an IANA time zone.
    pub time_zone: String,
    /// How long the warranty runs. Default 12 (assumed).
    #[serde(default = "twelve")]
    pub months: u16,
    /// Whether the length is assumed rather than read in a source. Default: it is.
    #[serde(default = "yes")]
    pub assumed: bool,
    /// Repairs and services that the warranty covers.
    pub coverage: Vec<String>,
    /// Whom to turn to.
    pub support: Support,
}

const fn twelve() -> u16 {
    12
}

const fn yes() -> bool {
    true
}

/// A support contact (W4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// Telephone.
    pub phone: String,
    /// Mail address.
    pub email: String,
    /// Web page.
    pub web: String,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Country of purchase, ISO 3166 alpha-2.
    pub country: String,
    /// The security code on the box, as typed.
    pub code: Option<String>,
    /// The serial number, printed or read over Bluetooth.
    pub serial: Option<String>,
    /// The date on the receipt.
    pub purchased: Option<Date>,
    /// In which form the proof of purchase is at hand.
    pub proof: Option<Proof>,
    /// What is broken, when service is wanted (W4).
    pub fault: Option<String>,
}

/// A form of the proof of purchase; all serve alike (W2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// On paper.
    Paper,
    /// An e-mail.
    Email,
    /// A PDF file.
    Pdf,
}

/// What the desk answers (W3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What the unit is.
    pub product: String,
    /// The serial number on its back.
    pub serial: String,
    /// Whether the warranty runs.
    pub validity: Validity,
    /// The last day of the warranty, in the country of purchase.
    pub last_day: Date,
    /// What is left of it, today not counted.
    pub remaining: Remaining,
    /// Repairs and services that it covers; none when it has expired.
    pub coverage: Vec<String>,
    /// How often this code was checked before.
    pub checked_before: u32,
    /// Whether the length of the warranty is assumed.
    pub assumed: bool,
    /// What to do about a fault; only when one was named and the warranty runs (W4).
    pub service: Option<Service>,
}

/// Whether a warranty runs (W3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// It runs.
    Active,
    /// It has ended.
    Expired,
}

/// What is left of a warranty, in the calendar of its country. All zero on its last day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Remaining {
    /// Whole months.
    pub months: i32,
    /// Days beyond them.
    pub days: i32,
    /// All of it in days.
    pub total_days: i32,
}

/// The way to a repair (W4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Whom to turn to.
    pub support: Support,
    /// What to have ready, one thing per entry.
    pub have_ready: Vec<String>,
}

/// Why the desk cannot answer. `Display` is for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// Neither code nor serial number.
    NothingToLookUp,
    /// The code has not 20 digits.
    WrongLength {
        /// How many characters it has.
        length: usize,
    },
    /// The code has something else than a digit in it.
    NotADigit {
        /// Where, from 1.
        position: usize,
        /// What.
        found: char,
    },
    /// No unit has this code.
    UnknownCode,
    /// No unit has this serial number.
    UnknownSerial,
    /// Code and serial number are those of two units.
    CodeOfAnotherUnit,
    /// No rules for this country.
    UnknownCountry {
        /// Which was asked for.
        country: String,
        /// Which are known.
        known: Vec<String>,
    },
    /// The date of purchase is missing: it decides whether the warranty runs (W2).
    PurchaseDateMissing,
    /// Service needs a proof of purchase (W2).
    ProofMissing,
    /// The date of purchase lies in the future.
    PurchasedInTheFuture {
        /// The date on the receipt.
        purchased: Date,
        /// Today in the country of purchase.
        today: Date,
    },
    /// The registry itself is wrong.
    BadRegistry {
        /// In which way.
        reason: String,
    },
}

/// The desk: the registry, and how often each code was checked.
#[derive(Clone, Debug, Default)]
pub struct WarrantyDesk {
    registry: WarrantyRegistry,
    /// By code.
    checks: BTreeMap<String, u32>,
}

impl WarrantyDesk {
    /// A desk where nobody has asked yet.
    #[must_use]
    pub const fn new(registry: WarrantyRegistry) -> Self {
        Self { registry, checks: BTreeMap::new() }
    }

    /// Answers at this instant. A check that is answered counts (W3); one that is refused does not.
    pub fn check(&mut self, at: Timestamp, query: &Query) -> Result<Answer, Refused> {
        let unit = self.find_unit(query)?;
        let rules = self.rules(&query.country)?;
        let today = at.to_zoned(time_zone(rules)?).date();
        let purchased = query.purchased.ok_or(Refused::PurchaseDateMissing)?;
        if purchased > today {
            return Err(Refused::PurchasedInTheFuture { purchased, today });
        }
        if query.fault.is_some() && query.proof.is_none() {
            return Err(Refused::ProofMissing);
        }
        let last_day = last_day(purchased, rules.months)?;
        let validity = if today <= last_day { Validity::Active } else { Validity::Expired };
        let active = validity == Validity::Active;
        let service = query.fault.as_ref().filter(|_| active).map(|fault| service(rules, unit, query, fault));
        let mut answer = Answer {
            product: unit.product.clone(),
            serial: unit.serial_printed.clone(),
            validity,
            last_day,
            remaining: if active { remaining(today, last_day) } else { Remaining::default() },
            coverage: if active { rules.coverage.clone() } else { Vec::new() },
            checked_before: 0,
            assumed: rules.assumed,
            service,
        };
        let checks = self.checks.entry(unit.code.clone()).or_default();
        answer.checked_before = *checks;
        *checks = checks.saturating_add(1);
        Ok(answer)
    }

    // W1
    fn find_unit(&self, query: &Query) -> Result<&RegisteredUnit, Refused> {
        let by_code = match &query.code {
            Some(code) => Some(self.find_by_code(code)?),
            None => None,
        };
        let by_serial = match &query.serial {
            Some(serial) => Some(self.find_by_serial(serial)?),
            None => None,
        };
        match (by_code, by_serial) {
            (None, None) => Err(Refused::NothingToLookUp),
            (Some(unit), None) | (None, Some(unit)) => Ok(unit),
            (Some(unit), Some(other)) if unit == other => Ok(unit),
            (Some(_), Some(_)) => Err(Refused::CodeOfAnotherUnit),
        }
    }

    // W3: a wrong code gets an answer that says what is wrong with it
    fn find_by_code(&self, code: &str) -> Result<&RegisteredUnit, Refused> {
        let wrong = code.chars().enumerate().find(|(_, character)| !character.is_ascii_digit());
        if let Some((index, found)) = wrong {
            return Err(Refused::NotADigit { position: index + 1, found });
        }
        if code.len() != CODE_DIGITS {
            return Err(Refused::WrongLength { length: code.len() });
        }
        self.registry.units.iter().find(|unit| unit.code == code).ok_or(Refused::UnknownCode)
    }

    fn find_by_serial(&self, serial: &str) -> Result<&RegisteredUnit, Refused> {
        let has = |unit: &&RegisteredUnit| unit.serial_printed == serial || unit.serial_ble == serial;
        self.registry.units.iter().find(has).ok_or(Refused::UnknownSerial)
    }

    fn rules(&self, country: &str) -> Result<&CountryRules, Refused> {
        let known = || self.registry.countries.keys().cloned().collect();
        let rules = self.registry.countries.get(&country.to_ascii_uppercase());
        rules.ok_or_else(|| Refused::UnknownCountry { country: country.to_owned(), known: known() })
    }
}

/// The clock of a country, from the data that is built in: the same on every machine.
fn time_zone(rules: &CountryRules) -> Result<TimeZone, Refused> {
    let zone = TimeZoneDatabase::bundled().get(&rules.time_zone);
    zone.map_err(|error| Refused::BadRegistry { reason: error.to_string() })
}

/// The last day of a warranty.
// Regulation 1182/71, article 3 (2) (c); `checked_add` takes the month's last day where there is no such day
fn last_day(purchased: Date, months: u16) -> Result<Date, Refused> {
    let last = purchased.checked_add(Span::new().months(i64::from(months)));
    last.map_err(|error| Refused::BadRegistry { reason: error.to_string() })
}

fn remaining(today: Date, last_day: Date) -> Remaining {
    // Two civil dates in order: both spans exist.
    let calendar = today.until((Unit::Month, last_day)).unwrap_or_default();
    let total = today.until((Unit::Day, last_day)).unwrap_or_default();
    Remaining { months: calendar.get_months(), days: calendar.get_days(), total_days: total.get_days() }
}

// W4
fn service(rules: &CountryRules, unit: &RegisteredUnit, query: &Query, fault: &str) -> Service {
    let proof = query.proof.map_or_else(String::new, |proof| format!(" ({proof})"));
    Service {
        support: rules.support.clone(),
        have_ready: vec![
            format!("the serial number {}", unit.serial_printed),
            format!("a copy of the proof of purchase{proof}"),
            format!("a description of the fault: {fault}"),
        ],
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paper => "on paper",
            Self::Email => "e-mail",
            Self::Pdf => "PDF",
        })
    }
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: i32, noun: &str| match number {
            1 => format!("1 {noun}"),
            _ => format!("{number} {noun}s"),
        };
        match (self.months, self.days) {
            (0, 0) => f.write_str("until the end of today"),
            (0, days) => f.write_str(&count(days, "day")),
            (months, 0) => f.write_str(&count(months, "month")),
            (months, days) => write!(f, "{} and {}", count(months, "month"), count(days, "day")),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, serial number {}: genuine", self.product, self.serial)?;
        match self.checked_before {
            0 => writeln!(f, "this is the first check")?,
            1 => writeln!(f, "checked once before")?,
            times => writeln!(f, "checked {times} times before")?,
        }
        let assumed = if self.assumed { " (length of the warranty assumed)" } else { "" };
        match self.validity {
            Validity::Expired => write!(f, "warranty expired: its last day was {}{assumed}", self.last_day)?,
            Validity::Active => {
                writeln!(f, "warranty active until {}: {} left{assumed}", self.last_day, self.remaining)?;
                write!(f, "covered: {}", self.coverage.join(", "))?;
            }
        }
        match &self.service {
            Some(service) => write!(f, "\n{service}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Support { phone, email, web } = &self.support;
        writeln!(f, "support: {phone}, {email}, {web}")?;
        write!(f, "have ready: {}", self.have_ready.join("; "))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToLookUp => f.write_str("give the security code from the box, or the serial number"),
            Self::WrongLength { length } => {
                write!(f, "a security code has {CODE_DIGITS} digits, this one has {length}")
            }
            Self::NotADigit { position, found } => {
                write!(f, "a security code has digits only, but character {position} is {found:?}")
            }
            Self::UnknownCode => f.write_str("no unit has this security code: check it for a typing mistake"),
            Self::UnknownSerial => f.write_str("no unit has this serial number"),
            Self::CodeOfAnotherUnit => f.write_str("the security code and the serial number belong to two units"),
            Self::UnknownCountry { country, known } => {
                write!(f, "no warranty rules for country {country:?}; known are {}", known.join(", "))
            }
            Self::PurchaseDateMissing => {
                f.write_str("the warranty runs from the date of purchase: give the date on the receipt")
            }
            Self::ProofMissing => {
                f.write_str("service needs a proof of purchase: a receipt on paper, as e-mail or as PDF")
            }
            Self::PurchasedInTheFuture { purchased, today } => {
                write!(f, "the date of purchase, {purchased}, lies in the future: today is {today}")
            }
            Self::BadRegistry { reason } => write!(f, "the warranty registry is wrong: {reason}"),
        }
    }
}

impl std::error::Error for Refused {}
