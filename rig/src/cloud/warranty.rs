//! The warranty desk: is this unit genuine, is it under warranty, what does that cover, and whom to turn to (W1–W4).
//!
//! Dates are those of the country of purchase. A warranty of so many months begins on the day of purchase and ends with the last
//! hour of the day with the same number; where the last month has no such day, with its last day (Regulation (EEC, Euratom)
//! No 1182/71, article 3 (2) (c), taken as the rule everywhere: assumed).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    registry: Arc<WarrantyRegistry>,
    /// By code.
    checks: BTreeMap<String, u32>,
}

impl WarrantyDesk {
    /// A desk where nobody has asked yet.
    #[must_use]
    pub fn new(registry: WarrantyRegistry) -> Self {
        Self { registry: Arc::new(registry), checks: BTreeMap::new() }
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
                let left = match self.remaining {
                    Remaining { total_days: 0, .. } => "this is its last day".to_owned(),
                    remaining => format!("{remaining} left"),
                };
                writeln!(f, "warranty active until {}: {left}{assumed}", self.last_day)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;
    use jiff::ToSpan;
    use jiff::civil::date;
    use proptest::prelude::*;

    const CODE: &str = "20190611000000000017";

    fn desk() -> WarrantyDesk {
        WarrantyDesk::new(fixtures::warranty())
    }

    fn query(country: &str, purchased: &str) -> Query {
        Query {
            country: country.to_owned(),
            code: Some(CODE.to_owned()),
            purchased: Some(purchased.parse().expect("date")),
            ..Query::default()
        }
    }

    fn at(instant: &str) -> Timestamp {
        instant.parse().expect("instant")
    }

    fn check(country: &str, purchased: &str, instant: &str) -> Answer {
        desk().check(at(instant), &query(country, purchased)).expect("an answer")
    }

    fn refused(edit: impl FnOnce(&mut Query)) -> Refused {
        let mut query = query("UA", "2025-01-15");
        edit(&mut query);
        let mut desk = desk();
        let refused = desk.check(at("2025-06-01T00:00:00Z"), &query).expect_err("refused");
        assert!(desk.checks.is_empty(), "a refused check does not count");
        refused
    }

    #[test]
    fn a_warranty_runs_to_the_last_second_of_its_last_day_in_its_own_country() {
        // Twelve months in Ukraine, three hours ahead of UTC in summer.
        let last = check("UA", "2024-06-15", "2025-06-15T20:59:59.999999Z");
        assert_eq!((last.validity, last.last_day), (Validity::Active, date(2025, 6, 15)));
        assert_eq!(last.remaining, Remaining::default());
        let over = check("UA", "2024-06-15", "2025-06-15T21:00:00Z");
        assert_eq!((over.validity, over.last_day, over.coverage.len()), (Validity::Expired, date(2025, 6, 15), 0));
        // The same in winter time, two hours ahead.
        assert_eq!(check("UA", "2024-01-15", "2025-01-15T21:59:59Z").validity, Validity::Active);
        assert_eq!(check("UA", "2024-01-15", "2025-01-15T22:00:00Z").validity, Validity::Expired);
    }

    #[test]
    fn the_same_instant_is_another_day_elsewhere() {
        let instant = "2025-06-15T11:30:00Z";
        assert_eq!(check("NZ", "2024-06-15", instant).validity, Validity::Active, "23:30 on the last day");
        assert_eq!(check("NZ", "2024-06-15", "2025-06-15T12:00:00Z").validity, Validity::Expired, "midnight");
        assert_eq!(check("US", "2024-06-15", "2025-06-16T09:59:59Z").validity, Validity::Active, "Honolulu");
        assert_eq!(check("US", "2024-06-15", "2025-06-16T10:00:00Z").validity, Validity::Expired);
    }

    #[test]
    fn the_end_of_a_month_and_leap_days_end_with_the_months_last_day() {
        let rows = [
            ("2023-02-28", 12, date(2024, 2, 28)),
            ("2024-02-29", 12, date(2025, 2, 28)),
            ("2024-02-29", 24, date(2026, 2, 28)),
            ("2024-02-29", 48, date(2028, 2, 29)),
            ("2024-01-31", 1, date(2024, 2, 29)),
            ("2023-01-31", 1, date(2023, 2, 28)),
            ("2023-08-31", 6, date(2024, 2, 29)),
            ("2023-10-31", 1, date(2023, 11, 30)),
            ("2023-12-31", 12, date(2024, 12, 31)),
            ("2099-12-31", 0, date(2099, 12, 31)),
        ];
        for (purchased, months, expected) in rows {
            assert_eq!(last_day(purchased.parse().expect("date"), months), Ok(expected), "{purchased} + {months}");
        }
    }

    #[test]
    fn what_remains_is_counted_in_the_calendar() {
        let left = |instant| check("DE", "2024-01-31", instant).remaining;
        assert_eq!(left("2025-12-31T12:00:00Z"), Remaining { months: 1, days: 0, total_days: 31 });
        assert_eq!(left("2026-01-30T12:00:00Z"), Remaining { months: 0, days: 1, total_days: 1 });
        assert_eq!(left("2024-01-31T12:00:00Z"), Remaining { months: 24, days: 0, total_days: 731 });
        assert_eq!(left("2025-02-28T12:00:00Z"), Remaining { months: 11, days: 3, total_days: 337 });
        assert_eq!(left("2024-02-29T12:00:00Z").total_days, 702);
    }

    #[test]
    fn the_length_of_a_warranty_is_the_countrys() {
        let last_day = |country| check(country, "2024-05-10", "2024-05-11T12:00:00Z").last_day;
        assert_eq!(last_day("UA"), date(2025, 5, 10), "twelve months where nothing else is said");
        assert_eq!(last_day("DE"), date(2026, 5, 10));
        assert_eq!(last_day("ES"), date(2027, 5, 10));
        assert_eq!(last_day("es"), date(2027, 5, 10));
    }

    #[test]
    fn a_code_checked_before_is_reported_with_its_count() {
        let mut desk = desk();
        let now = at("2025-06-01T00:00:00Z");
        let counts: Vec<u32> =
            (0..3).map(|_| desk.check(now, &query("UA", "2025-01-15")).expect("an answer").checked_before).collect();
        assert_eq!(counts, [0, 1, 2]);
        let by_serial = Query { code: None, serial: Some("5c0ffee4a001".to_owned()), ..query("UA", "2025-01-15") };
        assert_eq!(desk.check(now, &by_serial).expect("an answer").checked_before, 3, "the same unit");
        let other = Query { code: Some("20190611000000000025".to_owned()), ..query("UA", "2025-01-15") };
        assert_eq!(desk.check(now, &other).expect("an answer").checked_before, 0);
    }

    #[test]
    fn a_wrong_code_gets_an_answer_that_says_what_is_wrong() {
        let code = |code: &str| refused(|query| query.code = Some(code.to_owned()));
        assert_eq!(code("20190611000000000018"), Refused::UnknownCode);
        assert_eq!(code("2019061100000000001"), Refused::WrongLength { length: 19 });
        assert_eq!(code("201906110000000000170"), Refused::WrongLength { length: 21 });
        assert_eq!(code(""), Refused::WrongLength { length: 0 });
        assert_eq!(code("2019061100000000001O"), Refused::NotADigit { position: 20, found: 'O' });
        assert_eq!(code("2019 0611000000000017"), Refused::NotADigit { position: 5, found: ' ' });
        assert_eq!(code("２0190611000000000017"), Refused::NotADigit { position: 1, found: '２' });
        assert_eq!(code("20190611000000000017\n"), Refused::NotADigit { position: 21, found: '\n' });
        assert_eq!(code("é").to_string(), "a security code has digits only, but character 1 is 'é'");
        assert_eq!(code("1").to_string(), "a security code has 20 digits, this one has 1");
    }

    #[test]
    fn a_unit_is_known_by_either_serial_number_and_they_must_agree_with_the_code() {
        let find = |code: Option<&str>, serial: &str| {
            let (code, serial) = (code.map(str::to_owned), Some(serial.to_owned()));
            desk().check(at("2025-06-01T00:00:00Z"), &Query { code, serial, ..query("UA", "2025-01-15") })
        };
        let third = Some("20190611000000000033");
        for serial in ["25634/A0B1C2D3", "5c0ffee4a003"] {
            assert_eq!(find(None, serial).expect("known").serial, "25634/A0B1C2D3");
            assert_eq!(find(third, serial).expect("known").serial, "25634/A0B1C2D3");
            assert_eq!(find(Some(CODE), serial), Err(Refused::CodeOfAnotherUnit));
        }
        assert_eq!(find(third, "5c0ffee4a009"), Err(Refused::UnknownSerial));
        assert_eq!(refused(|query| query.code = None), Refused::NothingToLookUp);
    }

    #[test]
    fn the_purchase_date_decides_so_it_must_be_there_and_not_to_come() {
        assert_eq!(refused(|query| query.purchased = None), Refused::PurchaseDateMissing);
        let to_come = Refused::PurchasedInTheFuture { purchased: date(2025, 6, 2), today: date(2025, 6, 1) };
        assert_eq!(refused(|query| query.purchased = Some(date(2025, 6, 2))), to_come);
        assert!(to_come.to_string().contains("2025-06-02, lies in the future: today is 2025-06-01"));
        // Bought this morning in Auckland, where it is tomorrow already.
        assert_eq!(check("NZ", "2025-06-02", "2025-06-01T13:00:00Z").validity, Validity::Active);
    }

    #[test]
    fn an_unknown_country_is_told_the_known_ones() {
        let refused = refused(|query| query.country = "XX".to_owned()).to_string();
        assert_eq!(refused, "no warranty rules for country \"XX\"; known are DE, ES, NZ, PL, UA, US");
    }

    #[test]
    fn every_form_of_proof_serves_and_service_needs_one() {
        let ask = |proof, fault: Option<&str>, instant: &str| {
            let query = Query { proof, fault: fault.map(str::to_owned), ..query("UA", "2025-01-15") };
            desk().check(at(instant), &query)
        };
        let now = "2025-06-01T00:00:00Z";
        assert_eq!(ask(None, Some("no light"), now), Err(Refused::ProofMissing));
        assert_eq!(ask(None, None, now).expect("the date alone answers the check").service, None);
        for (proof, words) in [(Proof::Paper, "on paper"), (Proof::Email, "e-mail"), (Proof::Pdf, "PDF")] {
            let service = ask(Some(proof), Some("no light"), now).expect("an answer").service.expect("service");
            assert_eq!(service.support.email, "service.ua@example.com");
            assert_eq!(
                service.have_ready,
                [
                    "the serial number 5c0ffee4a001".to_owned(),
                    format!("a copy of the proof of purchase ({words})"),
                    "a description of the fault: no light".to_owned(),
                ]
            );
        }
        let late = ask(Some(Proof::Pdf), Some("no light"), "2026-06-01T00:00:00Z").expect("an answer");
        assert_eq!((late.validity, late.service), (Validity::Expired, None));
    }

    #[test]
    fn an_answer_reads_like_one() {
        let query = Query { proof: Some(Proof::Pdf), fault: Some("no light".to_owned()), ..query("UA", "2025-01-15") };
        let mut desk = desk();
        let first = desk.check(at("2025-06-01T00:00:00Z"), &query).expect("an answer").to_string();
        let expected = "\
Mi Smart Band 4 NFC, serial number 5c0ffee4a001: genuine
this is the first check
warranty active until 2026-01-15: 7 months and 14 days left (length of the warranty assumed)
covered: repair or replacement of manufacturing defects, battery
support: +380 800 000 001, service.ua@example.com, https://ua.support.example.com
have ready: the serial number 5c0ffee4a001; a copy of the proof of purchase (PDF); a description of the fault: no light";
        assert_eq!(first, expected);
        let late = desk.check(at("2027-06-01T00:00:00Z"), &query).expect("an answer").to_string();
        let expected = "\
Mi Smart Band 4 NFC, serial number 5c0ffee4a001: genuine
checked once before
warranty expired: its last day was 2026-01-15 (length of the warranty assumed)";
        assert_eq!(late, expected);
    }

    #[test]
    fn every_time_zone_of_the_registry_exists_and_codes_and_serials_are_unique() {
        let registry = fixtures::warranty();
        assert!(registry.countries.values().all(|rules| time_zone(rules).is_ok()));
        for unit in &registry.units {
            assert!(unit.code.len() == CODE_DIGITS && unit.code.bytes().all(|byte| byte.is_ascii_digit()));
            let same = |other: &&RegisteredUnit| {
                let serials = [&other.serial_printed, &other.serial_ble];
                other.code == unit.code
                    || serials.contains(&&unit.serial_printed)
                    || serials.contains(&&unit.serial_ble)
            };
            assert_eq!(registry.units.iter().filter(same).count(), 1);
        }
    }

    #[test]
    fn a_registry_with_a_wrong_time_zone_is_not_the_askers_fault() {
        let mut registry = fixtures::warranty();
        registry.countries.get_mut("UA").expect("known").time_zone = "Europe/Atlantis".to_owned();
        let refused = WarrantyDesk::new(registry).check(at("2025-06-01T00:00:00Z"), &query("UA", "2025-01-15"));
        assert!(matches!(refused, Err(Refused::BadRegistry { reason }) if reason.contains("Atlantis")));
    }

    proptest! {
        #[test]
        fn the_days_left_lead_to_the_last_day(offset in 0..3_000_i64, elapsed in 0..900_i64) {
            let purchased = date(2020, 1, 1).checked_add(offset.days()).expect("in range");
            let today = purchased.checked_add(elapsed.days()).expect("in range");
            let noon = today.at(10, 0, 0, 0).in_tz("UTC").expect("exists").timestamp();
            let answer = desk().check(noon, &query("DE", &purchased.to_string())).expect("an answer");
            let active = today <= answer.last_day;
            prop_assert_eq!(answer.validity == Validity::Active, active);
            if active {
                let left = answer.remaining;
                prop_assert_eq!(today.checked_add(left.total_days.days()).expect("in range"), answer.last_day);
                prop_assert_eq!(today.checked_add(left.months.months().days(left.days)).expect("in range"), answer.last_day);
            }
        }

        #[test]
        fn any_text_gets_an_answer(code in ".{0,40}", serial in ".{0,20}", country in ".{0,4}") {
            let query = Query { country, code: Some(code), serial: Some(serial), ..Query::default() };
            let refused = desk().check(Timestamp::UNIX_EPOCH, &query).expect_err("nothing known");
            prop_assert!(!refused.to_string().is_empty());
        }
    }
}
