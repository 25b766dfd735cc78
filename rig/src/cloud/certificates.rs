//! What offline data authentication rests on at the issuer: its key with the scheme's certificate over it, and the certificates
//! that it makes for its cards.
//!
//! The file is `fixtures/keys/issuers.yaml`. No key is made during a run; the cards share a few of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use band_sim::wire::hex::Hex;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use serde::Deserialize;
use sha1::{Digest, Sha1};

use super::product::{Digits, Pan, Scheme, YearMonth};

/// Signatures remembered; past it they are made again.
const MAX_REMEMBERED: usize = 4096;

/// The keys of issuers and cards; none at all by default, and then cards come without offline data authentication.
///
/// Clones share a memory of the signatures made: the same certificate twice costs one private operation.
#[derive(Clone, Default, Deserialize)]
#[serde(try_from = "KeyFile")]
pub struct CardKeys(Option<Arc<Keys>>);

struct Keys {
    issuers: Vec<Issuer>,
    cards: Vec<Key>,
    made: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

struct Issuer {
    scheme: Scheme,
    authority: u8,
    key: Key,
    certificates: Vec<IssuerCertificate>,
}

/// The scheme's certificate over an issuer's key, for cards whose number begins with `identifier`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerCertificate {
    identifier: Digits<3, 8>,
    certificate: Hex,
    remainder: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    issuers: Vec<IssuerRecord>,
    /// PKCS #1 PEM.
    cards: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerRecord {
    scheme: Scheme,
    /// Index of the certification authority's key (8F).
    authority: Hex,
    /// PKCS #1 PEM.
    key: String,
    certificates: Vec<IssuerCertificate>,
}

/// What a card needs to prove that it is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CardCertificate {
    /// 8F.
    pub(super) authority: u8,
    /// 90.
    pub(super) issuer_certificate: Vec<u8>,
    /// 92.
    pub(super) issuer_remainder: Vec<u8>,
    /// 9F32.
    pub(super) issuer_exponent: Vec<u8>,
    /// 9F46.
    pub(super) certificate: Vec<u8>,
    /// 9F48.
    pub(super) remainder: Vec<u8>,
    /// 9F47.
    pub(super) exponent: Vec<u8>,
    /// The card's private key, as data groupings 8201 to 8205 have it.
    pub(super) private_key: PrivateParts,
}

/// q^-1 mod p, d mod (q - 1), d mod (p - 1), q, p. Prints masked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PrivateParts(pub(super) [Vec<u8>; 5]);

impl fmt::Debug for PrivateParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateParts(masked)")
    }
}

impl CardKeys {
    /// The certificate of the card with this number over `signed`: the content of its signed records, then the value of the
    /// interchange profile. `None` where no issuer has a key for such numbers.
    // EMV 4.4 B2 6.4 table 14
    pub(super) fn certify(
        &self,
        scheme: Scheme,
        number: &Pan,
        expiry: &YearMonth,
        signed: &[u8],
    ) -> Option<CardCertificate> {
        let keys = self.0.as_deref()?;
        let of_scheme = keys.issuers.iter().filter(|issuer| issuer.scheme == scheme);
        let begins = |certificate: &&IssuerCertificate| number.digits().starts_with(certificate.identifier.as_str());
        let (issuer, issued) =
            of_scheme.filter_map(|issuer| Some((issuer, issuer.certificates.iter().find(begins)?))).next()?;
        // Cards have one key each in the field; here the number chooses one of a few.
        let chosen = number.digits().bytes().map(usize::from).sum::<usize>() % keys.cards.len().max(1);
        let card = keys.cards.get(chosen)?;

        let mut head = vec![0x04];
        head.extend(padded_number::<10>(number.digits()));
        head.extend(expiry.month_year());
        // The serial number is the issuer's own affair: the last six digits of the card's number.
        let digits = number.digits();
        head.extend(packed(digits.get(digits.len().saturating_sub(6)..).unwrap_or(digits)));
        let (message, remainder) = certificate(&head, card, issuer.key.modulus_bytes(), signed)?;
        Some(CardCertificate {
            authority: issuer.authority,
            issuer_certificate: issued.certificate.0.clone(),
            issuer_remainder: issued.remainder.0.clone(),
            issuer_exponent: issuer.key.exponent(),
            certificate: keys.sign(&issuer.key, message),
            remainder,
            exponent: card.exponent(),
            private_key: PrivateParts(card.parts()),
        })
    }
}

impl Keys {
    fn sign(&self, key: &Key, message: Vec<u8>) -> Vec<u8> {
        // A poisoned memory is still a right one: entries are put in whole.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = made.get(&message) {
            return signature.clone();
        }
        let signature = key.sign(&message);
        if made.len() >= MAX_REMEMBERED {
            made.clear();
        }
        made.insert(message, signature.clone());
        signature
    }
}

impl TryFrom<KeyFile> for CardKeys {
    type Error = String;

    fn try_from(file: KeyFile) -> Result<Self, String> {
        let issuer = |record: IssuerRecord| {
            let [authority] = record.authority.0[..] else { return Err("an authority's index is one byte".to_owned()) };
            let IssuerRecord { scheme, key, certificates, .. } = record;
            Ok(Issuer { scheme, authority, key: Key::from_pem(&key)?, certificates })
        };
        Ok(Self(Some(Arc::new(Keys {
            issuers: file.issuers.into_iter().map(issuer).collect::<Result<_, _>>()?,
            cards: file.cards.iter().map(|pem| Key::from_pem(pem)).collect::<Result<_, _>>()?,
            made: Mutex::default(),
        }))))
    }
}

impl fmt::Debug for CardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuers, cards) = self.0.as_ref().map_or((0, 0), |keys| (keys.issuers.len(), keys.cards.len()));
        write!(f, "CardKeys(masked, {issuers} issuers, {cards} cards)")
    }
}

/// An RSA private key with what Chinese remaindering needs.
pub struct Key {
    key: RsaPrivateKey,
    d_p: BigUint,
    d_q: BigUint,
    q_inverse: BigUint,
}

impl Key {
    /// Reads a PKCS #1 PEM.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        RsaPrivateKey::from_pkcs1_pem(pem).map_err(|error| error.to_string()).and_then(Self::new)
    }

    /// The key of two primes.
    ///
    /// # Errors
    /// More or fewer primes than two.
    pub fn new(key: RsaPrivateKey) -> Result<Self, String> {
        let [p, q] = key.primes() else { return Err("a key has two primes here".to_owned()) };
        let one = BigUint::from(1_u8);
        let (d_p, d_q) = (key.d() % (p - &one), key.d() % (q - &one));
        // Fermat: p is prime.
        let q_inverse = q.modpow(&(p - BigUint::from(2_u8)), p);
        Ok(Self { d_p, d_q, q_inverse, key })
    }

    /// Length of the modulus.
    #[must_use]
    pub fn modulus_bytes(&self) -> usize {
        self.key.size()
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> Vec<u8> {
        self.key.n().to_bytes_be()
    }

    /// The public exponent, big-endian.
    #[must_use]
    pub fn exponent(&self) -> Vec<u8> {
        self.key.e().to_bytes_be()
    }

    /// `message`, as long as the modulus, under the private key.
    // EMV 4.4 B2 B2.1
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let message = BigUint::from_bytes_be(message);
        let [p, q] = self.key.primes() else { return Vec::new() };
        let of_p = (&message % p).modpow(&self.d_p, p);
        let of_q = (&message % q).modpow(&self.d_q, q);
        let difference = (of_p + p) - (&of_q % p);
        let signature = (of_q + difference * &self.q_inverse % p * q).to_bytes_be();
        [vec![0; self.modulus_bytes().saturating_sub(signature.len())], signature].concat()
    }

    fn parts(&self) -> [Vec<u8>; 5] {
        // A key is made of two primes, so both are there.
        let prime = |at: usize| self.key.primes().get(at).cloned().unwrap_or_default();
        let half = self.modulus_bytes() / 2;
        [self.q_inverse.clone(), self.d_q.clone(), self.d_p.clone(), prime(1), prime(0)].map(|part| {
            let digits = part.to_bytes_be();
            [vec![0; half.saturating_sub(digits.len())], digits].concat()
        })
    }
}

/// A certificate's message, and what of the subject's modulus has no room in it. `head` ends before the hash algorithm; `more` is
/// hashed after remainder and exponent. `None` when the signer's key is too short.
// EMV 4.4 B2 tables 1, 2 and 14
#[must_use]
pub fn certificate(head: &[u8], subject: &Key, signer_bytes: usize, more: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (modulus, exponent) = (subject.modulus(), subject.exponent());
    // 6A, head, two algorithms, two lengths, …, hash, BC
    let room = signer_bytes.checked_sub(1 + head.len() + 4 + 20 + 1)?;
    let (digits, remainder) = modulus.split_at(room.min(modulus.len()));
    let mut signed = head.to_vec();
    signed.extend([0x01, 0x01, u8::try_from(modulus.len()).ok()?, u8::try_from(exponent.len()).ok()?]);
    signed.extend_from_slice(digits);
    signed.resize(head.len() + 4 + room, 0xBB);
    let hash = Sha1::new().chain_update(&signed).chain_update(remainder).chain_update(&exponent).chain_update(more);
    let message = [&[0x6A][..], &signed, &hash.finalize(), &[0xBC]].concat();
    Some((message, remainder.to_vec()))
}

/// Digits, two to a byte, filled with `F` on the right.
#[must_use]
pub fn padded_number<const N: usize>(digits: &str) -> [u8; N] {
    let mut number = [0xFF; N];
    for (at, digit) in digits.bytes().enumerate().take(2 * N) {
        let value = digit.wrapping_sub(b'0') & 0x0F;
        if let Some(cell) = number.get_mut(at / 2) {
            *cell = if at % 2 == 0 { value << 4 | 0x0F } else { *cell & 0xF0 | value };
        }
    }
    number
}

fn packed(digits: &str) -> [u8; 3] {
    padded_number(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;

    fn certify(number: &str, signed: &[u8]) -> CardCertificate {
        let expiry = YearMonth { year: 30, month: 12 };
        let number = Pan::with_check_digit(number).expect("digits");
        fixtures::card_keys().certify(Scheme::Mastercard, &number, &expiry, signed).expect("an issuer of such numbers")
    }

    #[test]
    fn numbers_fill_up_with_f() {
        assert_eq!(padded_number::<4>("541333"), [0x54, 0x13, 0x33, 0xFF]);
        assert_eq!(padded_number::<3>("12345"), [0x12, 0x34, 0x5F]);
        assert_eq!(padded_number::<2>("12345"), [0x12, 0x34]);
    }

    #[test]
    fn the_issuer_s_key_gives_back_the_card_s() {
        let made = certify("541333000000001", b"records");
        let keys = fixtures::card_keys();
        let keys = keys.0.as_deref().expect("keys");
        let issuer = &keys.issuers.iter().find(|issuer| issuer.scheme == Scheme::Mastercard).expect("issuer").key.key;
        let message = BigUint::from_bytes_be(&made.certificate).modpow(issuer.e(), issuer.n()).to_bytes_be();
        assert_eq!(message[..2], [0x6A, 0x04]);
        assert_eq!(message[2..12], padded_number::<10>("5413330000000019"));
        assert_eq!(message[12..17], [0x12, 0x30, 0x00, 0x00, 0x19]);
        assert_eq!(message[17..21], [0x01, 0x01, 128, 1]);
        let modulus = [&message[21..107], &made.remainder[..]].concat();
        let parts = made.private_key.0.map(|part| BigUint::from_bytes_be(&part));
        assert_eq!(BigUint::from_bytes_be(&modulus), &parts[3] * &parts[4]);
        let hash = Sha1::new().chain_update(&message[1..107]).chain_update(&made.remainder);
        assert_eq!(message[107..127], hash.chain_update([3]).chain_update(b"records").finalize()[..]);
    }

    #[test]
    fn a_certificate_made_twice_is_signed_once() {
        let keys = fixtures::card_keys();
        let number = Pan::with_check_digit("541333000000002").expect("digits");
        let made = |signed: &[u8]| {
            keys.certify(Scheme::Mastercard, &number, &YearMonth { year: 30, month: 1 }, signed).expect("made")
        };
        let remembered = || keys.0.as_deref().expect("keys").made.lock().expect("whole").len();
        assert_eq!(made(b"a"), made(b"a"));
        assert_eq!(remembered(), 1);
        assert_ne!(made(b"a").certificate, made(b"b").certificate);
        assert_eq!(remembered(), 2);
    }

    #[test]
    fn without_a_key_for_the_number_there_is_no_certificate() {
        let number = Pan::with_check_digit("999999000000001").expect("digits");
        let expiry = YearMonth { year: 30, month: 1 };
        assert_eq!(fixtures::card_keys().certify(Scheme::Mastercard, &number, &expiry, b""), None);
        assert_eq!(CardKeys::default().certify(Scheme::Mastercard, &number, &expiry, b""), None);
    }

    #[test]
    fn keys_print_masked() {
        let keys = fixtures::card_keys();
        assert_eq!(format!("{keys:?}"), "CardKeys(masked, 2 issuers, 4 cards)");
        assert!(format!("{:?}", certify("541333000000003", b"")).contains("PrivateParts(masked)"));
    }
}
