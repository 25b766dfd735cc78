//! From the certification authority's key over the issuer's certificate to the card's key (EMV 4.4 B2 6.3, 6.4).

use band_sim::wire::tag;
use rsa::BigUint;
use sha1::{Digest, Sha1};

use super::config::CaPublicKey;
use super::restrictions::sortable;
use super::transaction::Transaction;
use crate::mask::Pan;

/// The longest modulus that EMV allows, 1984 bits.
const MAX_MODULUS_BYTES: usize = 248;

/// An RSA public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    modulus: BigUint,
    modulus_bytes: usize,
    exponent: BigUint,
}

impl PublicKey {
    /// A key that is safe to compute with: modulus odd and at most 1984 bits, exponent 3 or 65537 (EMV 4.4 B2 11.2.1).
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, String> {
        let exponent = BigUint::from_bytes_be(exponent);
        if exponent != BigUint::from(3_u8) && exponent != BigUint::from(65_537_u32) {
            return Err("the exponent is neither 3 nor 65537".into());
        }
        let odd = modulus.last().is_some_and(|last| last & 1 == 1);
        if modulus.len() > MAX_MODULUS_BYTES || !odd || modulus.first().is_none_or(|&first| first == 0) {
            return Err("the modulus is none".into());
        }
        Ok(Self { modulus: BigUint::from_bytes_be(modulus), modulus_bytes: modulus.len(), exponent })
    }

    /// What was signed, between header `6A` and trailer `BC` (EMV 4.4 B2 A2.1.3).
    pub(super) fn recover(&self, signature: &[u8]) -> Result<Vec<u8>, String> {
        if signature.len() != self.modulus_bytes {
            return Err(format!("{} bytes where the key has {}", signature.len(), self.modulus_bytes));
        }
        let message = self.raise(&BigUint::from_bytes_be(signature)).to_bytes_be();
        // The header 6A is the first byte, so a message with leading zeros is none.
        match message.as_slice() {
            [0x6A, body @ .., 0xBC] if message.len() == self.modulus_bytes => Ok(body.to_vec()),
            _ => Err("it was not made with the key that belongs to it".into()),
        }
    }
}

impl PublicKey {
    /// To the public power. The third one is two products, many times faster than the general way.
    fn raise(&self, number: &BigUint) -> BigUint {
        if self.exponent == BigUint::from(3_u8) {
            return number * number % &self.modulus * number % &self.modulus;
        }
        number.modpow(&self.exponent, &self.modulus)
    }
}

/// The certification authority's key that the card names, if the terminal has it.
pub(super) fn ca_key(transaction: &Transaction) -> Option<&CaPublicKey> {
    let index = transaction.application.card.byte(tag::TAG_8F_CA_PUBLIC_KEY_INDEX)?;
    let rid = transaction.application.name.first_chunk::<5>()?;
    transaction.config.ca_public_keys.iter().find(|key| key.rid.0 == *rid && key.index.0 == [index])
}

/// The card's key, from its certificate.
pub(super) fn card_key(transaction: &Transaction) -> Result<PublicKey, String> {
    let issuer = issuer_key(transaction)?;
    let card = &transaction.application.card;
    let pan = card.pan().ok_or("the card has no number")?;
    let certificate = Certificate::read(transaction, &issuer, &CARD)?;
    // EMV 4.4 B2 6.4 step 8
    if Pan::from_compressed_numeric(&certificate.subject).as_ref() != Some(&pan) {
        return Err("the card's certificate (9F46) is of another number".into());
    }
    PublicKey::new(&certificate.modulus, &certificate.exponent).map_err(|error| format!("the card's key: {error}"))
}

/// The issuer's key, from its certificate.
fn issuer_key(transaction: &Transaction) -> Result<PublicKey, String> {
    let authority = ca_key(transaction).ok_or("the terminal does not know the certification authority's key")?;
    if is_past(authority.expires.0, transaction) {
        return Err("the certification authority's key has expired".into());
    }
    let exponent = authority.exponent.to_be_bytes();
    let key = PublicKey::new(&authority.modulus, &exponent).map_err(|error| format!("the authority's key: {error}"))?;
    let certificate = Certificate::read(transaction, &key, &ISSUER)?;
    // EMV 4.4 B2 6.3 step 8
    let pan = transaction.application.card.pan().ok_or("the card has no number")?;
    if !is_issuer_of(&certificate.subject, &pan) {
        return Err("the issuer's certificate (90) is of another issuer".into());
    }
    // EMV 4.4 B2 6.3 step 10
    let revoked = transaction.config.revoked_issuer_certificates.iter();
    let mut same = revoked.filter(|one| one.rid == authority.rid && one.index == authority.index);
    if same.any(|one| one.serial.0 == certificate.serial) {
        return Err("the issuer's certificate (90) was revoked".into());
    }
    PublicKey::new(&certificate.modulus, &certificate.exponent).map_err(|error| format!("the issuer's key: {error}"))
}

/// What a kind of certificate is made of.
struct Kind {
    whose: &'static str,
    certificate: band_sim::wire::tlv::Tag,
    remainder: band_sim::wire::tlv::Tag,
    exponent: band_sim::wire::tlv::Tag,
    format: u8,
    subject_bytes: usize,
    signs_records: bool,
}

const ISSUER: Kind = Kind {
    whose: "issuer's",
    certificate: tag::TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE,
    remainder: tag::TAG_92_ISSUER_PUBLIC_KEY_REMAINDER,
    exponent: tag::TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT,
    format: 0x02,
    subject_bytes: 4,
    signs_records: false,
};

const CARD: Kind = Kind {
    whose: "card's",
    certificate: tag::TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE,
    remainder: tag::TAG_9F48_ICC_PUBLIC_KEY_REMAINDER,
    exponent: tag::TAG_9F47_ICC_PUBLIC_KEY_EXPONENT,
    format: 0x04,
    subject_bytes: 10,
    signs_records: true,
};

/// A certificate whose signature, hash and date are right.
struct Certificate {
    subject: Vec<u8>,
    serial: [u8; 3],
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Certificate {
    /// EMV 4.4 B2 tables 6 and 14: format, subject, expiry, serial, algorithms, lengths, key, hash.
    fn read(transaction: &Transaction, signer: &PublicKey, kind: &Kind) -> Result<Self, String> {
        let card = &transaction.application.card;
        let named = |what: String| format!("the {} certificate ({}): {what}", kind.whose, kind.certificate);
        let wrong = |what: &str| named(what.into());
        let signature = card.value(kind.certificate).ok_or_else(|| wrong("it is missing"))?;
        let exponent = card.value(kind.exponent).ok_or_else(|| wrong("the exponent is missing"))?;
        let remainder = card.value(kind.remainder).unwrap_or_default();
        let body = signer.recover(signature).map_err(named)?;
        let short = || wrong("it is too short");
        let (signed, hash) = body.split_last_chunk::<20>().ok_or_else(short)?;
        let (&format, rest) = signed.split_first().ok_or_else(short)?;
        let (subject, rest) = rest.split_at_checked(kind.subject_bytes).ok_or_else(short)?;
        let &[month, year, a, b, c, hash_algorithm, key_algorithm, key_len, exponent_len, ref digits @ ..] = rest
        else {
            return Err(short());
        };
        if (format, hash_algorithm, key_algorithm) != (kind.format, 0x01, 0x01) {
            return Err(wrong("its format or its algorithms are others than SHA-1 and RSA"));
        }
        let mut expected = Sha1::new().chain_update(signed).chain_update(remainder).chain_update(exponent);
        if kind.signs_records {
            expected.update(static_data(transaction)?);
        }
        if expected.finalize()[..] != *hash {
            return Err(wrong("its hash differs"));
        }
        if is_past([month, year], transaction) {
            return Err(wrong("it has expired"));
        }
        if usize::from(exponent_len) != exponent.len() {
            return Err(wrong("the exponent has another length"));
        }
        let modulus = modulus(digits, remainder, key_len.into()).ok_or_else(|| wrong("the key has another length"))?;
        Ok(Self { subject: subject.to_vec(), serial: [a, b, c], modulus, exponent: exponent.to_vec() })
    }
}

/// The whole modulus: what fits into the certificate, and the remainder; a short one is padded with `BB`.
fn modulus(digits: &[u8], remainder: &[u8], len: usize) -> Option<Vec<u8>> {
    match digits.split_at_checked(len) {
        Some((modulus, padding)) => {
            (remainder.is_empty() && padding.iter().all(|&byte| byte == 0xBB)).then(|| modulus.to_vec())
        }
        None => Some([digits, remainder].concat()).filter(|whole| whole.len() == len),
    }
}

/// The records the card's certificate covers, and the AIP when 9F4A names it (EMV 4.4 B3 10.3).
fn static_data(transaction: &Transaction) -> Result<Vec<u8>, String> {
    let application = &transaction.application;
    if let Some(unfit) = &application.signed.unfit {
        return Err(unfit.clone());
    }
    let mut data = application.signed.bytes.0.clone();
    match application.card.value(tag::TAG_9F4A_SDA_TAG_LIST) {
        None => {}
        Some([0x82]) => data.extend_from_slice(application.card.value(tag::TAG_82_AIP).unwrap_or_default()),
        Some(_) => return Err("the tag list for authentication (9F4A) names something else than 82".into()),
    }
    Ok(data)
}

/// The leftmost three to eight digits of the number, then `F` (EMV 4.4 B2 table 6).
fn is_issuer_of(identifier: &[u8], pan: &Pan) -> bool {
    let nibbles: Vec<u8> = identifier.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect();
    let digits: String =
        nibbles.iter().take_while(|&&digit| digit <= 9).map(|&digit| char::from(b'0' + digit)).collect();
    let padded = nibbles.iter().skip(digits.len()).all(|&nibble| nibble == 0xF);
    digits.len() >= 3 && padded && pan.expose().starts_with(&digits)
}

/// Whether the last day of `MM YY` is before today.
fn is_past([month, year]: [u8; 2], transaction: &Transaction) -> bool {
    sortable([year, month, 0x31]) < sortable(transaction.clock.date)
}
