//! A personalised payment application, decoded from its DGIs: what its commands need at hand.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::crypto::TdesKey;
use super::cvn::{Cvn, Scheme};
use super::private_key::PrivateKey;
use super::profile::Application;
use super::registry::Aid;
use super::session::Interface;
use super::verify::OfflinePin;
use crate::wire::dol::Dol;
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{self, Tag, Writer};

/// Data grouping identifiers.
pub mod dgi {
    /// Content of the FCI's A5.
    pub const FCI: u16 = 0x9102;
    /// The same in the field, where that differs.
    pub const FCI_CONTACTLESS: u16 = 0x9103;
    /// AIP and AFL.
    pub const PROCESSING_OPTIONS: u16 = 0x9104;
    /// The same in the field, where that differs; for Visa with what the answer holds beside the cryptogram (assumed).
    pub const PROCESSING_OPTIONS_CONTACTLESS: u16 = 0x9116;
    /// For Visa, the same for a transaction whose card is authenticated offline (assumed).
    pub const PROCESSING_OPTIONS_AUTHENTICATED: u16 = 0x9117;
    /// ICC master keys for AC, secure messaging integrity and confidentiality, 16 bytes each.
    pub const DES_KEYS: u16 = 0x8000;
    /// The PIN block of the PIN that VERIFY compares, and a padding.
    pub const PIN: u16 = 0x8010;
    /// How many tries are left of it, and how many there may be.
    pub const PIN_TRIES: u16 = 0x9010;
    /// Their key check values, 3 bytes each.
    pub const KEY_CHECK_VALUES: u16 = 0x9000;
    /// Card risk management (assumed).
    pub const RISK: u16 = 0xA001;
    /// Whether the application is blocked (assumed): what APPLICATION BLOCK does, by the issuer's own channel.
    pub const BLOCKED: u16 = 0xA0FE;
    /// Whether contactless activation is allowed (assumed).
    pub const ACTIVATABLE: u16 = 0xA0FF;
    /// First part of the ICC private key in CRT form: q^-1 mod p. Then d mod (q - 1), d mod (p - 1), q.
    pub const RSA_CRT_FIRST: u16 = 0x8201;
    /// Last part of it: p.
    pub const RSA_CRT_LAST: u16 = 0x8205;

    /// Whether this is a record: SFI 1 to 30, record 1 and up.
    #[must_use]
    pub const fn is_record(dgi: u16) -> bool {
        matches!(dgi >> 8, 0x01..=0x1E) && dgi & 0xFF != 0
    }
}

/// A personalised application.
#[derive(Debug)]
pub struct Payment {
    /// What it is.
    pub application: Application,
    /// How it looks to a reader with contacts.
    contact: Side,
    /// How it looks in the field, and to the band itself.
    contactless: Side,
    /// 50.
    pub label: Vec<u8>,
    /// For Visa in the field: content of the answer to GET PROCESSING OPTIONS when the card is authenticated offline.
    pub authenticated_options: Option<Vec<u8>>,
    /// The record that holds 9F69, as a DGI.
    pub authentication_record: Option<u16>,
    /// 8C of the records; empty if there is none.
    pub cdol1: Dol,
    /// 8D of the records; empty if there is none.
    pub cdol2: Dol,
    /// 9F49 of the records; the default one if there is none.
    pub ddol: Dol,
    /// A list of nothing.
    pub none: Dol,
    /// The transaction log, if the FCI announces one.
    pub log: Option<LogEntry>,
    /// Card risk management.
    pub risk: Risk,
    /// ICC master key for Application Cryptograms.
    pub master_key_ac: TdesKey,
    /// ICC master key for the integrity of issuer scripts.
    pub master_key_integrity: TdesKey,
    /// The RSA key of offline data authentication, if personalisation brought one.
    pub private_key: Option<PrivateKey>,
    /// The PIN that VERIFY compares, if personalisation brought one.
    pub offline_pin: Option<OfflinePin>,
    /// Last four digits of the card number, for the holder.
    pub last_4: Option<[u8; 2]>,
    /// 5F28 of the records.
    pub issuer_country: Option<[u8; 2]>,
}

/// What differs between the interfaces.
#[derive(Debug)]
pub struct Side {
    /// The whole answer to SELECT, `6F …`.
    pub fci: Vec<u8>,
    /// 9F38; empty if there is none.
    pub pdol: Dol,
    /// The whole answer to GET PROCESSING OPTIONS, `77 …`.
    pub processing_options: Vec<u8>,
    /// 82.
    pub application_interchange_profile: [u8; 2],
}

/// 9F4D: where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its SFI.
    pub sfi: u8,
    /// How many records it keeps.
    pub records: u8,
}

/// Card risk management data, DGI A001.
#[derive(Clone, Copy, Debug)]
pub struct Risk {
    /// C1, the cryptogram version.
    pub cvn: &'static Cvn,
    /// C2, the derivation key index.
    pub derivation_key_index: u8,
    /// C3: so many offline approvals in a row.
    pub consecutive_offline_limit: u8,
    /// C4: so much offline in sum, minor units of the application currency.
    pub cumulative_offline_limit: u64,
    /// C5.
    pub currency: [u8; 2],
    /// C6 bit 1: declined transactions are logged too.
    pub logs_declined: bool,
    /// C7, for Visa: the card transaction qualifiers (9F6C) it may give. Online PIN and signature are left out where no
    /// verification is required.
    pub qualifiers: [u8; 2],
}

impl Payment {
    /// Decodes all DGIs an instance would have; what is missing or malformed refuses the personalisation.
    pub fn decode(dgis: &BTreeMap<u16, &[u8]>, aid: &Aid, application: Application) -> Result<Self, Sw> {
        let required = |dgi: u16| dgis.get(&dgi).copied().ok_or(Sw::CONDITIONS_NOT_SATISFIED);
        let (properties, options) = (required(dgi::FCI)?, required(dgi::PROCESSING_OPTIONS)?);
        let (keys, check_values) = (required(dgi::DES_KEYS)?, required(dgi::KEY_CHECK_VALUES)?);
        let risk = Risk::decode(required(dgi::RISK)?, application)?;
        let records = dgis.iter().filter(|(dgi, _)| dgi::is_record(**dgi)).map(|(_, content)| *content);
        let records = records.collect::<Vec<_>>();
        if records.is_empty() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }

        let field_properties = dgis.get(&dgi::FCI_CONTACTLESS).copied().unwrap_or(properties);
        let field_options = dgis.get(&dgi::PROCESSING_OPTIONS_CONTACTLESS).copied().unwrap_or(options);
        let authenticated_options = dgis.get(&dgi::PROCESSING_OPTIONS_AUTHENTICATED).copied();
        if let Some(options) = authenticated_options {
            well_formed(options)?;
        }
        let in_records = |tag| records.iter().find_map(|record| tlv::find_deep(record, tag));
        let [master_key_ac, master_key_integrity, _] = checked_keys(keys, check_values)?;
        Ok(Self {
            application,
            contact: Side::decode(aid, properties, options)?,
            contactless: Side::decode(aid, field_properties, field_options)?,
            authenticated_options: authenticated_options.map(Vec::from),
            authentication_record: record_with(dgis, tag::TAG_9F69_CARD_AUTHENTICATION_DATA),
            label: tlv::find(properties, tag::TAG_50_APPLICATION_LABEL).unwrap_or_default().to_vec(),
            cdol1: dol(in_records(tag::TAG_8C_CDOL1))?,
            cdol2: dol(in_records(tag::TAG_8D_CDOL2))?,
            // EMV 4.4 B2 6.5.1: every card understands this one.
            ddol: dol(Some(in_records(tag::TAG_9F49_DDOL).unwrap_or(&[0x9F, 0x37, 0x04])))?,
            none: dol(None)?,
            log: tlv::find_deep(properties, tag::TAG_9F4D_LOG_ENTRY).map(LogEntry::decode).transpose()?,
            risk,
            master_key_ac,
            master_key_integrity,
            private_key: private_key(dgis)?,
            offline_pin: offline_pin(dgis)?,
            last_4: last_4(in_records(tag::TAG_9F25_LAST_4_DIGITS), in_records(tag::TAG_5A_PAN)),
            issuer_country: array(in_records(tag::TAG_5F28_ISSUER_COUNTRY_CODE)),
        })
    }
}

impl Payment {
    /// How it looks over this interface.
    #[must_use]
    pub const fn side(&self, interface: Interface) -> &Side {
        match interface {
            Interface::Contact => &self.contact,
            Interface::Contactless | Interface::Wired => &self.contactless,
        }
    }
}

impl Side {
    fn decode(aid: &Aid, properties: &[u8], options: &[u8]) -> Result<Self, Sw> {
        well_formed(properties)?;
        well_formed(options)?;
        let afl = tlv::find(options, tag::TAG_94_AFL).ok_or(Sw::WRONG_DATA)?;
        if afl.is_empty() || afl.len() % 4 != 0 {
            return Err(Sw::WRONG_DATA);
        }
        Ok(Self {
            fci: super::select::fci(aid.as_bytes(), properties),
            pdol: dol(tlv::find(properties, tag::TAG_9F38_PDOL))?,
            processing_options: Writer::new().put(tag::TAG_77_RESPONSE_TEMPLATE_2, options).finish(),
            application_interchange_profile: array(tlv::find(options, tag::TAG_82_AIP)).ok_or(Sw::WRONG_DATA)?,
        })
    }
}

fn dol(list: Option<&[u8]>) -> Result<Dol, Sw> {
    Dol::decode(list.unwrap_or_default()).map_err(|_| Sw::WRONG_DATA)
}

fn record_with(dgis: &BTreeMap<u16, &[u8]>, tag: Tag) -> Option<u16> {
    let mut records = dgis.iter().filter(|(dgi, _)| dgi::is_record(**dgi));
    records.find(|(_, content)| tlv::find_deep(content, tag).is_some()).map(|(dgi, _)| *dgi)
}

/// The five parts of the RSA key come together or not at all.
fn private_key(dgis: &BTreeMap<u16, &[u8]>) -> Result<Option<PrivateKey>, Sw> {
    let parts = dgis.range(dgi::RSA_CRT_FIRST..=dgi::RSA_CRT_LAST).map(|(_, part)| *part).collect::<Vec<_>>();
    match <[&[u8]; 5]>::try_from(parts) {
        Ok(parts) => PrivateKey::from_crt(parts).map(Some).ok_or(Sw::WRONG_DATA),
        Err(parts) if parts.is_empty() => Ok(None),
        Err(_) => Err(Sw::CONDITIONS_NOT_SATISFIED),
    }
}

/// The PIN and its tries come together or not at all.
fn offline_pin(dgis: &BTreeMap<u16, &[u8]>) -> Result<Option<OfflinePin>, Sw> {
    match (dgis.get(&dgi::PIN), dgis.get(&dgi::PIN_TRIES)) {
        (Some(block), Some(tries)) => OfflinePin::decode(block, tries).map(Some).ok_or(Sw::WRONG_DATA),
        (None, None) => Ok(None),
        _ => Err(Sw::CONDITIONS_NOT_SATISFIED),
    }
}

impl LogEntry {
    // EMV 4.4 B3 D2: SFI 11 to 30, then the number of records.
    fn decode(value: &[u8]) -> Result<Self, Sw> {
        match *value {
            [sfi @ 11..=30, records @ 1..=30] => Ok(Self { sfi, records }),
            _ => Err(Sw::WRONG_DATA),
        }
    }
}

impl Risk {
    fn decode(content: &[u8], application: Application) -> Result<Self, Sw> {
        // What a module makes of the issuer application data is its scheme's.
        let scheme = match application {
            Application::Mastercard => Scheme::Mastercard,
            Application::Visa => Scheme::Visa,
        };
        let value = |tag: u32| tlv::find(content, Tag::new(tag));
        let [cvn] = array(value(0xC1)).ok_or(Sw::WRONG_DATA)?;
        let [derivation_key_index] = array(value(0xC2)).ok_or(Sw::WRONG_DATA)?;
        let [consecutive_offline_limit] = array(value(0xC3)).ok_or(Sw::WRONG_DATA)?;
        let cumulative: [u8; 6] = array(value(0xC4)).ok_or(Sw::WRONG_DATA)?;
        let [log_options] = array(value(0xC6)).ok_or(Sw::WRONG_DATA)?;
        Ok(Self {
            cvn: Cvn::find(cvn).filter(|cvn| cvn.scheme == scheme).ok_or(Sw::WRONG_DATA)?,
            derivation_key_index,
            consecutive_offline_limit,
            cumulative_offline_limit: decimal(&cumulative).ok_or(Sw::WRONG_DATA)?,
            currency: array(value(0xC5)).ok_or(Sw::WRONG_DATA)?,
            logs_declined: log_options & 0x01 != 0,
            qualifiers: array(value(0xC7)).unwrap_or_default(),
        })
    }
}

/// The number of binary coded decimal digits; `None` when one of them is none.
#[must_use]
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    digits.into_iter().try_fold(0_u64, |number, digit| {
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// The lowest twelve digits of a number, binary coded decimal.
#[must_use]
pub fn to_decimal(number: u64) -> [u8; 6] {
    let mut rest = number;
    let mut bytes = [0; 6];
    for byte in bytes.iter_mut().rev() {
        let pair = u8::try_from(rest % 100).unwrap_or_default();
        *byte = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    bytes
}

fn well_formed(objects: &[u8]) -> Result<(), Sw> {
    if tlv::walk_deep(objects).all(|object| object.is_ok()) { Ok(()) } else { Err(Sw::WRONG_DATA) }
}

fn array<const N: usize>(value: Option<&[u8]>) -> Option<[u8; N]> {
    value?.try_into().ok()
}

/// The three DES keys, if their check values agree.
fn checked_keys(keys: &[u8], check_values: &[u8]) -> Result<[TdesKey; 3], Sw> {
    let keys: [u8; 48] = keys.try_into().map_err(|_| Sw::WRONG_DATA)?;
    let check_values: [u8; 9] = check_values.try_into().map_err(|_| Sw::WRONG_DATA)?;
    let (keys, _) = keys.as_chunks::<16>();
    let (check_values, _) = check_values.as_chunks::<3>();
    let [ac, integrity, confidentiality] = keys else { return Err(Sw::WRONG_DATA) };
    let keys = [ac, integrity, confidentiality].map(|key| TdesKey::new(*key));
    let agrees = |(key, value): (&TdesKey, &[u8; 3])| super::crypto::equal(&key.check_value(), value);
    if keys.iter().zip(check_values).all(agrees) { Ok(keys) } else { Err(Sw::WRONG_DATA) }
}

/// 9F25 if it is there, else the end of the number itself.
fn last_4(last_4_digits: Option<&[u8]>, pan: Option<&[u8]>) -> Option<[u8; 2]> {
    if let Some(digits) = array(last_4_digits) {
        return Some(digits);
    }
    let digits = pan?.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).filter(|digit| *digit < 10).collect::<Vec<_>>();
    let &[a, b, c, d] = digits.last_chunk()?;
    Some([a << 4 | b, c << 4 | d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_come_back() {
        for number in [0, 9, 10, 420, 999_999_999_999] {
            assert_eq!(decimal(&to_decimal(number)), Some(number));
        }
        assert_eq!(decimal(&[0x0A]), None);
        assert_eq!(to_decimal(1_000_000_000_001), [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_last_four_digits_come_from_either_place() {
        assert_eq!(last_4(Some(&[0x12, 0x34]), None), Some([0x12, 0x34]));
        assert_eq!(last_4(None, Some(&[0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34])), Some([0x04, 0x34]));
        assert_eq!(last_4(None, Some(&[0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x2F])), Some([0x90, 0x12]));
        assert_eq!(last_4(None, Some(&[0x5F])), None);
    }
}
