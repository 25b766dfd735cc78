//! What a terminal is: a file of settings in words, and the EMV data objects that follow from them.
//!
//! The words stand for the bits a scheme certifies: one `cardholder_verification` block gives `9F33`, the kernel 2
//! capabilities `DF8118`/`DF8119`, `9F1D` and the kernel 3 `9F66`, so that a file cannot contradict itself.

use std::time::Duration;

use band_sim::wire::hex::Hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::money::{Currency, Money};

/// One terminal, as in `fixtures/terminals/*.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalConfig {
    /// The name that scenarios use, `corner-shop`.
    pub name: String,
    /// Who sells.
    pub merchant: Merchant,
    /// Terminal country, ISO 3166 numeric (9F1A).
    pub country: u16,
    /// The currency it takes (5F2A) and in which all limits are written.
    pub currency: Currency,
    /// Distance of local time from UTC, `+02:00`: the date in 9A is local.
    pub time_zone_offset: TimeZoneOffset,
    /// Whether somebody stands at the till (part of 9F35).
    pub attended: bool,
    /// Whether it can ask the acquirer (part of 9F35, and b1 of 9F66).
    pub connectivity: Connectivity,
    /// Other ways to read a card; without one there is no "try another interface".
    #[serde(default)]
    pub other_interfaces: Vec<OtherInterface>,
    /// How the holder may prove to be the holder.
    pub cardholder_verification: CardholderVerification,
    /// Amount limits.
    pub limits: Limits,
    /// Kernels and the applications they serve.
    pub kernels: Kernels,
    /// Public keys of the schemes' certification authorities, for offline data authentication.
    #[serde(default)]
    pub ca_public_keys: Vec<CaPublicKey>,
    /// Issuer certificates that were revoked (EMV 4.4 B2 5.1.2).
    #[serde(default)]
    pub revoked_issuer_certificates: Vec<RevokedCertificate>,
    /// How long it waits for whom.
    #[serde(default)]
    pub patience: Patience,
}

/// Who sells, as the issuer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// Name and place (9F4E).
    pub name: String,
    /// Merchant category code, ISO 18245 (9F15).
    pub category_code: u16,
    /// Merchant identifier, 15 characters (9F16).
    pub id: String,
    /// Terminal identification, 8 characters (9F1C).
    pub terminal_id: String,
}

/// Whether a terminal can ask the acquirer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connectivity {
    /// Every payment is authorised online.
    OnlineOnly,
    /// It decides offline what its limits allow.
    OfflineWithOnlineCapability,
    /// There is no line.
    OfflineOnly,
}

/// Another way to read a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherInterface {
    /// Chip with contacts.
    Contact,
    /// Magnetic stripe.
    Magstripe,
}

/// How the holder may prove to be the holder above the CVM limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardholderVerification {
    /// There is a PIN pad, and the issuer checks the PIN.
    pub online_pin: bool,
    /// The customer may sign.
    pub signature: bool,
    /// A verification on the customer's own device is believed (CDCVM).
    pub cdcvm: bool,
    /// Kernel 2: believe it also when combined data authentication (CDA) was not done or failed; if not, such a payment ends
    /// in an AAC (EMV Contactless C-2 GAC.22; the switch is b6 of the third byte of 9F1D, its use here is assumed).
    #[serde(default = "yes")]
    pub cdcvm_without_cda: bool,
}

/// Amount limits. Each is in the terminal's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Above it the payment is authorised online (DF8123).
    pub floor: Money,
    /// Above it nothing is paid contactless without a verification on the device (DF8124).
    pub contactless: Money,
    /// The same with a verification on the device (DF8125).
    pub contactless_cdcvm: Money,
    /// Above it the holder must be verified (DF8126).
    pub cvm_required: Money,
    /// When the acquirer cannot be reached: up to here the shop takes the risk, above it declines. Absent: always declines.
    #[serde(default)]
    pub deferred_authorisation: Option<Money>,
}

/// The kernels a terminal has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// Kernel 2, Mastercard.
    #[serde(default)]
    pub kernel_2: Option<Kernel2>,
    /// Kernel 3, Visa.
    #[serde(default)]
    pub kernel_3: Option<Kernel3>,
}

/// Settings of kernel 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel2 {
    /// Application identifiers; a card's longer one that begins so matches too (9F06).
    pub aids: Vec<Hex>,
    /// Application version number (9F09).
    pub application_version: u16,
    /// Combined data authentication is supported (b3 of 9F33).
    pub cda: bool,
    /// Terminal action codes (DF8120 to DF8122).
    pub action_codes: ActionCodes,
}

/// Terminal action codes: for each bit of the TVR what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionCodes {
    /// Decline offline (DF8121).
    pub denial: Bytes<5>,
    /// Go online (DF8122).
    pub online: Bytes<5>,
    /// Decline when there is no line (DF8120).
    pub default: Bytes<5>,
}

/// Settings of kernel 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel3 {
    /// Application identifiers; a card's longer one that begins so matches too (9F06).
    pub aids: Vec<Hex>,
    /// Application version number (9F09).
    pub application_version: u16,
    /// Fast dynamic data authentication is demanded for payments that go online, too (b1 of the first byte of 9F66).
    #[serde(default)]
    pub oda_for_online_authorisation: bool,
}

/// A public key of a certification authority (EMV 4.4 B2 11.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaPublicKey {
    /// Registered application provider.
    pub rid: Bytes<5>,
    /// Index (8F).
    pub index: Bytes<1>,
    /// Modulus.
    pub modulus: Hex,
    /// Exponent, 3 or 65537.
    pub exponent: u32,
    /// The last month it is valid, `MM YY` as in a certificate.
    pub expires: Bytes<2>,
}

/// A certificate that is not to be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedCertificate {
    /// Registered application provider.
    pub rid: Bytes<5>,
    /// Index of the certification authority's key.
    pub index: Bytes<1>,
    /// Serial number of the certificate.
    pub serial: Bytes<3>,
}

/// How long the terminal waits for whom, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patience {
    /// For the answer to one command.
    pub card_ms: u64,
    /// For the acquirer.
    pub acquirer_ms: u64,
    /// For the customer's PIN.
    pub pin_ms: u64,
}

impl Default for Patience {
    /// Five seconds for the card, which is more than ISO 14443-4's longest frame waiting time, and ordinary times for the
    /// acquirer and the customer (assumed).
    fn default() -> Self {
        Self { card_ms: 5_000, acquirer_ms: 30_000, pin_ms: 60_000 }
    }
}

impl TerminalConfig {
    /// What is wrong with the settings taken together, one sentence each; empty when nothing is.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let limits = &self.limits;
        let money = [limits.floor, limits.contactless, limits.contactless_cdcvm, limits.cvm_required];
        let foreign =
            money.into_iter().chain(limits.deferred_authorisation).find(|limit| limit.currency != self.currency);
        let offline_only = self.connectivity == Connectivity::OfflineOnly;
        let aids = self.kernels.kernel_2.iter().flat_map(|kernel| &kernel.aids);
        let mut aids = aids.chain(self.kernels.kernel_3.iter().flat_map(|kernel| &kernel.aids));
        let checks = [
            (foreign.is_some(), "every limit must be in the terminal's currency"),
            (
                offline_only && self.cardholder_verification.online_pin,
                "a terminal without a line cannot have an online PIN checked",
            ),
            (self.cardholder_verification.signature && !self.attended, "nobody is there to compare a signature"),
            (self.kernels.kernel_2.is_none() && self.kernels.kernel_3.is_none(), "it has no kernel"),
            (aids.any(|aid| !(5..=16).contains(&aid.len())), "an application identifier has 5 to 16 bytes"),
            (self.merchant.id.len() > 15 || self.merchant.terminal_id.len() > 8, "9F16 has 15 characters, 9F1C has 8"),
        ];
        checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, what)| what.into()).collect()
    }

    /// `60.00 EUR`.
    #[must_use]
    pub fn money(&self, minor: u64) -> Money {
        self.currency.of(minor)
    }

    /// Terminal type (9F35), merchant-operated.
    #[must_use]
    pub const fn terminal_type(&self) -> u8 {
        // EMV 4.4 B4 A1
        let connectivity = match self.connectivity {
            Connectivity::OnlineOnly => 0x21,
            Connectivity::OfflineWithOnlineCapability => 0x22,
            Connectivity::OfflineOnly => 0x23,
        };
        if self.attended { connectivity } else { connectivity + 3 }
    }

    /// Terminal capabilities (9F33) for a payment that needs the holder verified, or not.
    #[must_use]
    pub fn terminal_capabilities(&self, cvm_required: bool) -> [u8; 3] {
        // EMV 4.4 B4 A2
        let input = bits(&[(0x20, self.has(OtherInterface::Contact)), (0x40, self.has(OtherInterface::Magstripe))]);
        let verification = self.cardholder_verification;
        // EMV Contactless C-2 A.1: DF8118 above the CVM limit, DF8119 below it.
        let cvm = match cvm_required {
            true => bits(&[(0x40, verification.online_pin), (0x20, verification.signature)]),
            false => 0x08,
        };
        let cda = self.kernels.kernel_2.as_ref().is_some_and(|kernel| kernel.cda);
        [input, cvm, bits(&[(0x08, cda)])]
    }

    /// Terminal risk management data (9F1D).
    #[must_use]
    pub fn terminal_risk_management_data(&self, above_cvm_limit: bool) -> [u8; 8] {
        let verification = self.cardholder_verification;
        let contactless = bits(&[
            (0x40, verification.online_pin),
            (0x20, verification.signature),
            (0x08, true),
            (0x04, verification.cdcvm),
        ]);
        let limit = bits(&[(0x80, above_cvm_limit)]);
        [contactless, limit, bits(&[(0x20, verification.cdcvm_without_cda)]), 0, 0, 0, 0, 0]
    }

    /// Whether it has this other way to read a card.
    #[must_use]
    pub fn has(&self, interface: OtherInterface) -> bool {
        self.other_interfaces.contains(&interface)
    }

    /// Terminal transaction qualifiers (9F66) before pre-processing.
    #[must_use]
    pub fn terminal_transaction_qualifiers(&self) -> [u8; 4] {
        // EMV Contactless C-3 A.2
        let verification = self.cardholder_verification;
        let oda = self.kernels.kernel_3.as_ref().is_some_and(|kernel| kernel.oda_for_online_authorisation);
        let reader = bits(&[
            (0x20, true),
            (0x10, self.has(OtherInterface::Contact)),
            (0x08, self.connectivity == Connectivity::OfflineOnly),
            (0x04, verification.online_pin),
            (0x02, verification.signature),
            (0x01, oda),
        ]);
        [reader, 0, bits(&[(0x40, verification.cdcvm)]), 0x80]
    }
}

impl Patience {
    pub(super) const fn with_card(self) -> Duration {
        Duration::from_millis(self.card_ms)
    }

    pub(super) const fn with_acquirer(self) -> Duration {
        Duration::from_millis(self.acquirer_ms)
    }

    pub(super) const fn with_customer(self) -> Duration {
        Duration::from_millis(self.pin_ms)
    }
}

/// Distance of local time from UTC, written `+02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZoneOffset {
    /// Seconds east of Greenwich.
    pub seconds: i32,
}

impl std::fmt::Display for TimeZoneOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.seconds < 0 { '-' } else { '+' };
        let minutes = self.seconds.unsigned_abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl std::str::FromStr for TimeZoneOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time zone offset; write it as +02:00");
        let (sign, digits) = match text.split_at_checked(1) {
            Some(("+", digits)) => (1, digits),
            Some(("-", digits)) => (-1, digits),
            _ => return Err(wrong()),
        };
        let (hours, minutes) = digits.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str, limit: i32| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|number| digits && *number < limit)
        };
        match (number(hours, 15), number(minutes, 60)) {
            (Some(hours), Some(minutes)) => Ok(Self { seconds: sign * (hours * 60 + minutes) * 60 }),
            _ => Err(wrong()),
        }
    }
}

/// Exactly `N` bytes, written in hex with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(self.0.to_vec()).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::deserialize(deserializer)?;
        let len = bytes.len();
        bytes.try_into().map(Self).map_err(|_| de::Error::custom(format_args!("{len} bytes where {N} are wanted")))
    }
}

impl Serialize for TimeZoneOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeZoneOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The bits whose condition holds.
fn bits(table: &[(u8, bool)]) -> u8 {
    table.iter().filter(|(_, on)| *on).fold(0, |byte, (bit, _)| byte | bit)
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn fixtures() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/terminals")
    }

    fn all() -> Vec<(String, TerminalConfig)> {
        let files = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        files
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.starts_with("# "), "{} does not open with its source", path.display());
                let config = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                (path.file_stem().unwrap().to_string_lossy().into_owned(), config)
            })
            .collect()
    }

    #[test]
    fn every_terminal_file_is_named_after_its_terminal_and_does_not_contradict_itself() {
        let all = all();
        assert!(all.len() >= 7);
        for (file, config) in all {
            assert_eq!(config.name, file);
            assert_eq!(config.contradictions(), Vec::<String>::new(), "{file}");
        }
    }

    #[test]
    fn a_terminal_is_written_as_it_is_read() {
        for (file, config) in all() {
            let text = serde_yaml::to_string(&config).unwrap();
            assert_eq!(serde_yaml::from_str::<TerminalConfig>(&text).unwrap(), config, "{file}");
        }
    }

    #[test]
    fn the_terminals_differ_in_what_they_can_do() {
        let all = all();
        let types: BTreeSet<u8> = all.iter().map(|(_, config)| config.terminal_type()).collect();
        assert!(types.contains(&0x22) && types.contains(&0x25) && types.contains(&0x26), "{types:02X?}");
        assert!(all.iter().any(|(_, config)| !config.cardholder_verification.cdcvm));
        assert!(all.iter().any(|(_, config)| config.cardholder_verification.signature));
    }

    #[test]
    fn an_unknown_word_in_a_terminal_file_is_refused() {
        let text = std::fs::read_to_string(fixtures().join("corner-shop.yaml")).unwrap();
        let error =
            serde_yaml::from_str::<TerminalConfig>(&format!("{text}\ncontactles_limit: 50.00 EUR\n")).unwrap_err();
        assert!(error.to_string().contains("contactles_limit"), "{error}");
    }

    #[test]
    fn a_limit_in_another_currency_is_a_contradiction() {
        let (_, mut config) = all().remove(0);
        config.limits.floor = Currency::of_number(840).unwrap().of(1);
        assert_eq!(config.contradictions(), ["every limit must be in the terminal's currency"]);
    }

    #[test]
    fn an_offset_is_written_with_its_sign_and_two_digits_each() {
        for (text, seconds) in [("+02:00", 7200), ("-03:30", -12600), ("+00:00", 0), ("+14:00", 50400)] {
            let offset: TimeZoneOffset = text.parse().unwrap();
            assert_eq!((offset.seconds, offset.to_string().as_str()), (seconds, text));
        }
        for text in ["", "2", "+2:00", "+02:60", "+15:00", "02:00", "+02", "+02:00:00", "é02:00", "++2:00"] {
            assert!(text.parse::<TimeZoneOffset>().is_err(), "{text:?}");
        }
    }
}
