//! A plastic card that can be put into the band, as its bank knows it. Files: `fixtures/cards/*.yaml`.

use std::fmt;
use std::ops::Deref;

use band_sim::wire::hex::Hex;
use serde::{Deserialize, Deserializer, Serialize};

use super::crypto::TdesKey;
use super::cvn::CryptogramVersion;

/// A card product, and the one account behind it that every holder of the product has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardProduct {
    /// What scenarios call it, and the name of its file.
    pub name: String,
    /// Whose rules, application and test numbers it has.
    pub scheme: Scheme,
    /// Whether the bank lets it into a band. Default: yes.
    #[serde(default)]
    pub admission: Admission,
    /// The number on the plastic card, with its check digit.
    pub pan: Pan,
    /// PAN sequence number (5F34), of the token too. Default 0.
    #[serde(default)]
    pub psn: u8,
    /// Expiry of plastic card and token, `YYMM`.
    pub expiry: YearMonth,
    /// The first day on which the token may be used (5F25), `YYMMDD`.
    pub effective: Bytes<3, 3>,
    /// Service code in track 2: three digits.
    pub service_code: Digits<3, 3>,
    /// The first digits of the token numbers.
    pub token_bin: Digits<6, 8>,
    /// Token requestor (9F19), eleven digits.
    pub token_requestor: Digits<11, 11>,
    /// ISO 3166 numeric country of the issuer (5F28).
    pub issuer_country: u16,
    /// ISO 4217 numeric currency of the account (9F42).
    pub currency: u16,
    /// Application label (50): 1 to 16 letters, digits and spaces.
    #[serde(deserialize_with = "label")]
    pub label: String,
    /// Application preferred name (9F12): 1 to 16 characters of ASCII.
    #[serde(deserialize_with = "preferred_name")]
    pub preferred_name: String,
    /// Language preference (5F2D): one to four ISO 639 codes in a row.
    #[serde(deserialize_with = "languages")]
    pub languages: String,
    /// How its cryptograms are made.
    pub cvn: CryptogramVersion,
    /// Derivation key index, the issuer's name of its key set.
    pub dki: u8,
    /// The issuer's master keys. Invented.
    pub keys: IssuerKeys,
    /// Cardholder verification methods (8E): amounts X and Y, then pairs of method and condition.
    pub cvm_list: Bytes<10, 252>,
    /// Application usage control (9F07).
    pub usage_control: Bytes<2, 2>,
    /// Issuer action codes (9F0D, 9F0E, 9F0F).
    pub action_codes: ActionCodes,
    /// Visa: the card transaction qualifiers (9F6C) it may give, two bytes. Default: none.
    #[serde(default = "no_qualifiers")]
    pub qualifiers: Bytes<2, 2>,
    /// Until when the card itself may approve offline.
    pub offline: OfflineLimits,
    /// Whether the card logs payments it declined, too. Default: no.
    #[serde(default)]
    pub log_declined: bool,
    /// The PIN that online verification compares. Printed nowhere.
    pub online_pin: Digits<4, 12>,
    /// A PIN in the card itself, which VERIFY compares over contacts (assumed: no band's card is known to have one). Default: none.
    #[serde(default)]
    pub offline_pin: Option<OfflinePin>,
    /// What the account holds at the start, minor units of `currency`.
    pub funds_minor: u64,
}

fn no_qualifiers() -> Bytes<2, 2> {
    Bytes(Hex(vec![0, 0]))
}

/// A payment scheme, and with it a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Kernel 2.
    Mastercard,
    /// Kernel 3.
    Visa,
}

impl Scheme {
    /// The scheme's public application identifier, without the suffix of an instance.
    #[must_use]
    pub const fn aid(self) -> [u8; 7] {
        match self {
            Self::Mastercard => [0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10],
            Self::Visa => [0xA0, 0x00, 0x00, 0x00, 0x03, 0x10, 0x10],
        }
    }

    /// Its registered application provider, the first five bytes of every AID of the scheme.
    #[must_use]
    pub fn owns(aid: &[u8]) -> bool {
        [Self::Mastercard, Self::Visa].iter().any(|scheme| aid.get(..5) == scheme.aid().get(..5))
    }
}

/// Whether the bank lets a card into a band at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Yes.
    #[default]
    Supported,
    /// The product takes no part (3013).
    NotSupported,
    /// This card is blacklisted (3016).
    Blacklisted,
}

/// An issuer's three master keys.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKeys {
    /// For application cryptograms.
    pub ac: TdesKey,
    /// For the integrity of secure messages.
    pub smi: TdesKey,
    /// For the confidentiality of secure messages.
    pub smc: TdesKey,
}

/// Issuer action codes, five bytes each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionCodes {
    /// 9F0D: when unable to go online.
    pub default: Bytes<5, 5>,
    /// 9F0E: decline.
    pub denial: Bytes<5, 5>,
    /// 9F0F: go online.
    pub online: Bytes<5, 5>,
}

/// When the card asks for the bank by itself.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineLimits {
    /// Payments in a row without the bank.
    pub consecutive: u8,
    /// Their sum, minor units of the application currency.
    pub cumulative_minor: u64,
}

/// A PIN that the card compares by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflinePin {
    /// Its digits. Printed nowhere.
    pub digits: Digits<4, 12>,
    /// So many wrong ones in a row block it, 1 to 15. Default 3.
    #[serde(default = "three_tries", deserialize_with = "tries")]
    pub tries: u8,
}

const fn three_tries() -> u8 {
    3
}

// EMV 4.4 B3 6.5.12.5: the answer to a wrong PIN has one digit for them
fn tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let tries = u8::deserialize(deserializer)?;
    if (1..=15).contains(&tries) { Ok(tries) } else { Err(serde::de::Error::custom("must be 1 to 15 tries")) }
}

/// A card number: digits with a right check digit. Prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pan(String);

impl Pan {
    /// The number of these digits, if they are 12 to 19 and the check digit is right.
    // ISO/IEC 7812-1
    #[must_use]
    pub fn new(digits: &str) -> Option<Self> {
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        (all_digits && (12..=19).contains(&digits.len()) && luhn_sum(digits.bytes().rev()).is_multiple_of(10))
            .then(|| Self(digits.to_owned()))
    }

    /// The number that begins with `digits` and ends with their check digit.
    #[must_use]
    pub fn with_check_digit(digits: &str) -> Option<Self> {
        let sum = luhn_sum(std::iter::once(b'0').chain(digits.bytes().rev()));
        Self::new(&format!("{digits}{}", (10 - sum % 10) % 10))
    }

    /// All digits. Whoever prints them is wrong.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The last four digits.
    #[must_use]
    pub fn last4(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }

    /// As apps show it: `•••• 1234`.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("•••• {}", self.last4())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({})", self.masked())
    }
}

impl<'de> Deserialize<'de> for Pan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Self::new(&digits).ok_or_else(|| {
            serde::de::Error::custom("not a card number: 12 to 19 digits, the last of which checks the others")
        })
    }
}

/// The sum whose last digit is 0 for a right number; digits from the last to the first.
// ISO/IEC 7812-1 annex B
fn luhn_sum(reversed: impl Iterator<Item = u8>) -> u32 {
    reversed
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            let doubled = if place % 2 == 1 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum()
}

/// A string of `MIN` to `MAX` decimal digits. Prints masked, because PINs are among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Digits<MIN, MAX> {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for Digits<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits(masked, {})", self.0.len())
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Digits<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(digits));
        }
        let length = if MIN == MAX { MIN.to_string() } else { format!("{MIN} to {MAX}") };
        Err(serde::de::Error::custom(format_args!("must be {length} digits, in quotes")))
    }
}

/// `MIN` to `MAX` bytes, written as hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes<const MIN: usize, const MAX: usize>(Hex);

impl<const MIN: usize, const MAX: usize> Deref for Bytes<MIN, MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Bytes<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Hex::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&bytes.len()) {
            return Ok(Self(bytes));
        }
        let length = if MIN == MAX { MIN.to_string() } else { format!("{MIN} to {MAX}") };
        Err(serde::de::Error::custom(format_args!("must be {length} bytes of hex, and is {}", bytes.len())))
    }
}

// EMV 4.4 B3 Annex A: 50 is `ans` with spaces only, 9F12 `ans`, 5F2D `an`
fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
    text(deserializer, "1 to 16 letters, digits and spaces", |text| {
        (1..=16).contains(&text.len()) && text.bytes().all(plain)
    })
}

fn preferred_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let printable = |byte: u8| (0x20..0x7F).contains(&byte);
    text(deserializer, "1 to 16 characters of ASCII", |text| {
        (1..=16).contains(&text.len()) && text.bytes().all(printable)
    })
}

fn languages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "one to four language codes of two small letters, as in `deen`", |text| {
        matches!(text.len(), 2 | 4 | 6 | 8) && text.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if fits(&text) { Ok(text) } else { Err(serde::de::Error::custom(format_args!("must be {what}"))) }
}

/// Year and month, `YYMM`, in decimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YearMonth {
    /// Last two digits of the year.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
}

impl YearMonth {
    /// As track 2 writes it.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{:02}{:02}", self.year, self.month)
    }

    /// `MMYY` in two bytes, as certificates write it.
    #[must_use]
    pub const fn month_year(&self) -> [u8; 2] {
        [bcd(self.month), bcd(self.year)]
    }

    /// The last day of the month, `YYMMDD`, as 5F24 writes it.
    #[must_use]
    pub fn last_day(&self) -> [u8; 3] {
        // Two-digit years up to 2099; none of these months is out of range.
        let date = jiff::civil::Date::new(2000 + i16::from(self.year), self.month.cast_signed(), 1);
        let day = date.map_or(31, |first| first.last_of_month().day().unsigned_abs());
        [bcd(self.year), bcd(self.month), bcd(day)]
    }
}

const fn bcd(value: u8) -> u8 {
    value / 10 % 10 * 16 + value % 10
}

impl<'de> Deserialize<'de> for YearMonth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Digits::<4, 4>::deserialize(deserializer)?;
        let number: u16 = text.as_str().parse().map_err(serde::de::Error::custom)?;
        let [year, month] = [number / 100, number % 100].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
        if !(1..=12).contains(&month) {
            return Err(serde::de::Error::custom(format_args!("no month {month:02}: write YYMM")));
        }
        Ok(Self { year, month })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;
    use std::collections::BTreeSet;

    #[test]
    fn a_check_digit_is_checked() {
        assert!(Pan::new("5413330089010434").is_some());
        for wrong in
            ["5413330089010435", "5431330089010434", "", "54133300890", "541333008901043x", "00000000000000000000"]
        {
            assert_eq!(Pan::new(wrong), None, "{wrong}");
        }
        assert_eq!(Pan::with_check_digit("541333008901043").expect("right").digits(), "5413330089010434");
    }

    #[test]
    fn every_fixture_has_values_of_the_right_form() {
        for name in fixtures::PRODUCTS {
            let product = fixtures::product(name);
            assert!(
                product.label.len() <= 16 && product.preferred_name.len() <= 16,
                "{name}: EMV 4.4 B3 Annex A, 50 and 9F12"
            );
            assert!(matches!(product.languages.len(), 2 | 4 | 6 | 8), "{name}");
            assert_eq!((product.effective.len(), product.usage_control.len()), (3, 2), "{name}");
            assert_eq!(product.qualifiers.len(), 2, "{name}");
            assert!(product.cvm_list.len() > 8 && product.cvm_list.len().is_multiple_of(2), "{name}");
            let ActionCodes { default, denial, online } = &product.action_codes;
            assert_eq!([default.len(), denial.len(), online.len()], [5, 5, 5], "{name}");
            assert!(fixtures::read(&format!("cards/{name}.yaml")).starts_with("# "), "{name} opens with its source");
        }
        let numbers: BTreeSet<Pan> = fixtures::PRODUCTS.iter().map(|name| fixtures::product(name).pan).collect();
        assert_eq!(numbers.len(), fixtures::PRODUCTS.len());
        let versions: BTreeSet<u8> = fixtures::PRODUCTS.iter().map(|name| fixtures::product(name).cvn.byte()).collect();
        assert_eq!(versions, BTreeSet::from([0x0A, 0x10, 0x11, 0x12, 0x14, 0x15, 0x16]));
    }

    #[test]
    fn a_file_with_a_wrong_value_says_what_is_wrong() {
        let good = fixtures::read("cards/mastercard-debit.yaml");
        let rows = [
            ("5413330089010434", "5413330089010435", "not a card number"),
            ("\"3012\"", "\"3013\"", "no month 13"),
            ("cvn: \"14\"", "cvn: \"99\"", "known are 0A, 12, 16, 10, 11, 14, 15"),
            ("service_code: \"201\"", "service_code: \"20\"", "must be 3 digits"),
            ("online_pin: \"4315\"", "online_pin: \"43a5\"", "must be 4 to 12 digits"),
            ("scheme: mastercard", "scheme: diners", "diners"),
            ("label:", "labels:", "labels"),
            ("  ac: \"", "  ac: \"00 ", "16 bytes"),
            ("effective: \"", "effective: \"00 ", "must be 3 bytes of hex, and is 4"),
            ("usage_control: \"", "usage_control: \"00 ", "must be 2 bytes"),
            ("denial: \"", "denial: \"00 ", "must be 5 bytes"),
            ("cvm_list: \"00 00 00 00 00 00 00 00 ", "cvm_list: \"", "must be 10 to 252 bytes"),
            ("label: ", "label: A-", "1 to 16 letters"),
            ("preferred_name: ", "preferred_name: A name that is too long ", "1 to 16 characters"),
            ("languages: ", "languages: d", "one to four language codes"),
            ("online_pin", "offline_pin: { digits: \"123\" }\nonline_pin", "must be 4 to 12 digits"),
            ("online_pin", "offline_pin: { digits: \"1234\", tries: 0 }\nonline_pin", "must be 1 to 15 tries"),
            ("online_pin", "offline_pin: { digits: \"1234\", tries: 16 }\nonline_pin", "must be 1 to 15 tries"),
        ];
        for (from, to, words) in rows {
            assert!(good.contains(from), "{from}");
            let error = serde_yaml::from_str::<CardProduct>(&good.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(words), "{to}: {error}");
        }
    }

    #[test]
    fn a_card_number_prints_masked() {
        let pan = Pan::new("5413330089010434").expect("right");
        assert_eq!(format!("{pan:?}"), "Pan(•••• 0434)");
    }

    #[test]
    fn a_token_expires_on_the_last_day_of_its_month() {
        let day = |year, month| YearMonth { year, month }.last_day();
        assert_eq!(day(28, 2), [0x28, 0x02, 0x29]);
        assert_eq!(day(27, 2), [0x27, 0x02, 0x28]);
        assert_eq!(day(30, 12), [0x30, 0x12, 0x31]);
    }
}
