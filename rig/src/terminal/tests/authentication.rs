//! Offline data authentication with test keys made here, and with everything that can be wrong about them.

use std::sync::LazyLock;

use band_sim::rng::Rng;
use band_sim::wire::tag;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use sha1::{Digest, Sha1};

use super::fake_card::{Signing, content};
use super::*;
use crate::terminal::config::{Bytes, CaPublicKey, RevokedCertificate};
use crate::terminal::io::Cvm;

/// The seeded generator, as the key generation wants it.
struct Seeded(Rng);

impl CryptoRng for Seeded {}

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

fn key(label: &str, bits: usize) -> RsaPrivateKey {
    RsaPrivateKey::new_with_exp(&mut Seeded(Rng::new(1).fork(label)), bits, &BigUint::from(3_u8)).unwrap()
}

static AUTHORITY: LazyLock<RsaPrivateKey> = LazyLock::new(|| key("authority", 1152));
static ISSUER: LazyLock<RsaPrivateKey> = LazyLock::new(|| key("issuer", 1152));
static CARD: LazyLock<RsaPrivateKey> = LazyLock::new(|| key("card", 768));

/// `6A`, the body with its hash, `BC`, under the private key.
fn sign(key: &RsaPrivateKey, signed: &[u8], more: &[u8]) -> Vec<u8> {
    let hash = Sha1::new().chain_update(signed).chain_update(more).finalize();
    let message = [&[0x6A], signed, &hash, &[0xBC]].concat();
    assert_eq!(message.len(), key.size());
    let signature = BigUint::from_bytes_be(&message).modpow(key.d(), key.n()).to_bytes_be();
    [vec![0; key.size() - signature.len()], signature].concat()
}

/// A certificate over `subject`'s modulus; gives the remainder, too.
fn certify(signer: &RsaPrivateKey, head: &[u8], subject: &RsaPrivateKey, records: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let modulus = subject.n().to_bytes_be();
    let room = signer.size() - 2 - 20 - head.len() - 4;
    let mut digits = modulus.clone();
    let remainder = digits.split_off(room.min(modulus.len()));
    digits.resize(room, 0xBB);
    let signed = [head, &[0x01, 0x01, u8::try_from(modulus.len()).unwrap(), 1], &digits].concat();
    (sign(signer, &signed, &[&remainder[..], &[3], records].concat()), remainder)
}

/// What can be wrong with the certificates.
#[derive(Clone)]
struct Chain {
    issuer_head: &'static str,
    card_head: &'static str,
}

const GOOD: Chain = Chain {
    issuer_head: "02 54 13 33 FF 12 29 00 00 01",
    card_head: "04 54 13 33 00 89 01 04 34 FF FF 12 29 00 00 02",
};

const VISA: Chain = Chain {
    issuer_head: "02 47 61 73 FF 12 29 00 00 01",
    card_head: "04 47 61 73 90 01 01 01 19 FF FF 12 29 00 00 02",
};

/// A kernel 2 card whose first record and AIP are signed.
fn with_cda(chain: &Chain) -> FakeCard {
    let card = FakeCard::mastercard().with_option(tag::TAG_82_AIP, "19 80");
    let records = [content(&card.records[0]), hex("19 80")].concat();
    let mut card = with_keys(card, chain, &records);
    card.signer = Some(sign_cryptogram);
    card.pdol = hex("9F 35 01");
    card
}

/// A kernel 3 card that approves offline, with fDDA.
fn with_fdda(qualifiers: &str) -> FakeCard {
    let card = FakeCard::visa()
        .with_option(tag::TAG_9F27_CID, "40")
        .with_option(tag::TAG_9F6C_CTQ, qualifiers)
        .with_option(tag::TAG_9F69_CARD_AUTHENTICATION_DATA, &format!("01 11 22 33 44 {qualifiers}"));
    let records = [content(&card.records[0]), hex("20 00")].concat();
    let mut card = with_keys(card, &VISA, &records);
    card.signer = Some(sign_challenge);
    card
}

fn with_keys(mut card: FakeCard, chain: &Chain, records: &[u8]) -> FakeCard {
    let (issuer, issuer_remainder) = certify(&AUTHORITY, &hex(chain.issuer_head), &ISSUER, &[]);
    let (own, own_remainder) = certify(&ISSUER, &hex(chain.card_head), &CARD, records);
    let unsigned = [
        (tag::TAG_8F_CA_PUBLIC_KEY_INDEX, vec![0xF1]),
        (tag::TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, issuer),
        (tag::TAG_92_ISSUER_PUBLIC_KEY_REMAINDER, issuer_remainder),
        (tag::TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT, vec![3]),
        (tag::TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, own),
        (tag::TAG_9F47_ICC_PUBLIC_KEY_EXPONENT, vec![3]),
        (tag::TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, own_remainder),
        (tag::TAG_9F4A_SDA_TAG_LIST, vec![0x82]),
    ];
    // One record each would be too many for the eye: the keys share two.
    let (first, second) = unsigned.split_at(4);
    for part in [first, second] {
        card.records.push(part.iter().filter(|(_, value)| !value.is_empty()).cloned().collect());
    }
    let last = u8::try_from(card.records.len()).unwrap();
    card.options.insert(tag::TAG_94_AFL, vec![0x08, 1, last, 1]);
    card
}

fn sign_cryptogram(_: &FakeCard, signing: &Signing) -> Vec<u8> {
    let mut objects = signing.objects.clone();
    let cryptogram = objects.remove(&tag::TAG_9F26_APPLICATION_CRYPTOGRAM).unwrap();
    let exchanged = Sha1::new()
        .chain_update(&signing.pdol_values)
        .chain_update(&signing.cdol_values)
        .chain_update(content(&objects))
        .finalize();
    let number = [8, 1, 2, 3, 4, 5, 6, 7, 8];
    let cid = &objects[&tag::TAG_9F27_CID];
    sign_dynamic(&[&number, &cid[..], &cryptogram, &exchanged].concat(), &signing.unpredictable_number)
}

fn sign_challenge(card: &FakeCard, signing: &Signing) -> Vec<u8> {
    let related = &card.options[&tag::TAG_9F69_CARD_AUTHENTICATION_DATA];
    // Amount and currency come in the place of the DOL values.
    let parts = [&signing.unpredictable_number, &signing.pdol_values, &signing.cdol_values, related];
    sign_dynamic(&[2, 0, 1], &parts.map(Vec::as_slice).concat())
}

fn sign_dynamic(dynamic: &[u8], challenge: &[u8]) -> Vec<u8> {
    let mut signed = [&[0x05, 0x01, u8::try_from(dynamic.len()).unwrap()], dynamic].concat();
    signed.resize(CARD.size() - 22, 0xBB);
    sign(&CARD, &signed, challenge)
}

fn knowing_the_authority(name: &str) -> TerminalConfig {
    let mut config = config(name);
    config.ca_public_keys = [[0xA0, 0, 0, 0, 4], [0xA0, 0, 0, 0, 3]]
        .map(|rid| CaPublicKey {
            rid: Bytes(rid),
            index: Bytes([0xF1]),
            modulus: AUTHORITY.n().to_bytes_be().into(),
            exponent: 3,
            expires: Bytes([0x12, 0x30]),
        })
        .to_vec();
    config
}

#[test]
fn a_terminal_without_a_line_approves_a_card_with_a_signed_cryptogram() {
    let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut with_cda(&GOOD), None);
    assert_eq!((payment.outcome(), payment.receipt().online), (Outcome::Approved, false), "{}", payment.reason());
    assert_eq!((payment.receipt().cid, payment.receipt().tvr), (Some(0x40), [0, 0, 0, 0, 1]));
    assert!(payment.commands.last().unwrap().starts_with("80 AE 50 00"), "a TC with CDA");
    payment.assert_said("oda: CDA: the signature is right");
}

#[test]
fn the_signed_cryptogram_goes_to_the_issuer() {
    let payment = pay(knowing_the_authority("restaurant"), 30_00, &mut with_cda(&GOOD), Some(approval()));
    assert_eq!(payment.outcome(), Outcome::Approved, "{}", payment.reason());
    assert_eq!(payment.chip_data(tag::TAG_9F26_APPLICATION_CRYPTOGRAM).unwrap(), "11 22 33 44 55 66 77 88");
    assert!(payment.commands.last().unwrap().starts_with("80 AE 90 00"), "an ARQC with CDA");
}

#[test]
fn a_device_s_word_is_believed_where_cda_proves_it() {
    let mut strict = knowing_the_authority("restaurant");
    strict.cardholder_verification.cdcvm_without_cda = false;
    let plain = FakeCard::mastercard().with_option(tag::TAG_82_AIP, "1B 80");
    let records = [content(&plain.records[0]), hex("1B 80")].concat();
    let mut card = with_keys(plain, &GOOD, &records);
    card.signer = Some(sign_cryptogram);
    let payment = pay(strict, 60_00, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cvm), (Outcome::Approved, Cvm::Cdcvm), "{}", payment.reason());
}

#[test]
fn an_authority_that_the_terminal_does_not_know_makes_cda_fail_before_the_cryptogram() {
    let pump = pay(config("petrol-pump"), 30_00, &mut with_cda(&GOOD), None);
    assert_eq!((pump.outcome(), pump.receipt().tvr), (Outcome::Declined, [0x04, 0, 0, 0, 1]));
    let shop = pay(config("corner-shop"), 30_00, &mut with_cda(&GOOD), Some(approval()));
    assert_eq!((shop.outcome(), shop.receipt().online), (Outcome::Approved, true), "the issuer decides");
    assert!(shop.commands.last().unwrap().starts_with("80 AE 80 00"), "no CDA is asked for");
}

#[test]
fn what_is_wrong_with_a_certificate_is_named() {
    let cases = [
        ("02 54 13 33 FF 05 25 00 00 01", GOOD.card_head, "the issuer's certificate (90): it has expired"),
        ("02 54 13 34 FF 12 29 00 00 01", GOOD.card_head, "the issuer's certificate (90) is of another issuer"),
        ("02 54 FF FF FF 12 29 00 00 01", GOOD.card_head, "the issuer's certificate (90) is of another issuer"),
        ("12 54 13 33 FF 12 29 00 00 01", GOOD.card_head, "its format or its algorithms"),
        ("02 54 13 33 FF 12 29 00 00 09", GOOD.card_head, "the issuer's certificate (90) was revoked"),
        (
            GOOD.issuer_head,
            "04 54 13 33 00 89 01 04 42 FF FF 12 29 00 00 02",
            "the card's certificate (9F46) is of another number",
        ),
        (
            GOOD.issuer_head,
            "04 54 13 33 00 89 01 04 34 FF FF 05 25 00 00 02",
            "the card's certificate (9F46): it has expired",
        ),
        (GOOD.issuer_head, "02 54 13 33 00 89 01 04 34 FF FF 12 29 00 00 02", "its format or its algorithms"),
    ];
    for (issuer_head, card_head, why) in cases {
        let mut config = knowing_the_authority("petrol-pump");
        config.revoked_issuer_certificates =
            vec![RevokedCertificate { rid: Bytes([0xA0, 0, 0, 0, 4]), index: Bytes([0xF1]), serial: Bytes([0, 0, 9]) }];
        let payment = pay(config, 30_00, &mut with_cda(&Chain { issuer_head, card_head }), None);
        assert_eq!(payment.outcome(), Outcome::EndApplication, "{issuer_head} {card_head}");
        assert!(payment.reason().contains(why), "{} is not {why}", payment.reason());
        assert_eq!(payment.receipt().tvr, [0x04, 0, 0, 0, 1]);
    }
}

#[test]
fn a_certificate_is_good_up_to_the_last_day_of_its_month() {
    let chain = Chain { issuer_head: "02 54 13 33 FF 06 25 00 00 01", ..GOOD };
    let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut with_cda(&chain), None);
    assert_eq!(payment.outcome(), Outcome::Approved, "{}", payment.reason());
}

#[test]
fn an_authority_s_key_expires_too() {
    let mut config = knowing_the_authority("petrol-pump");
    config.ca_public_keys[0].expires = Bytes([0x05, 0x25]);
    let payment = pay(config, 30_00, &mut with_cda(&GOOD), None);
    assert!(payment.reason().contains("the certification authority's key has expired"), "{}", payment.reason());
}

#[test]
fn every_byte_of_the_chain_counts() {
    let good = with_cda(&GOOD);
    for (index, record) in good.records.iter().enumerate().skip(2) {
        for (tag, value) in record {
            for at in [0, value.len() / 2, value.len() - 1] {
                let mut card = good.clone();
                card.records[index].get_mut(tag).unwrap()[at] ^= 0x01;
                let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut card, None);
                assert_ne!(payment.outcome(), Outcome::Approved, "{tag} byte {at}");
            }
        }
    }
    let mut changed = good.clone();
    changed.records[0].insert(tag::TAG_5F24_EXPIRATION_DATE, hex("39 12 31"));
    let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut changed, None);
    assert!(payment.reason().contains("the card's certificate (9F46): its hash differs"), "{}", payment.reason());
}

#[test]
fn a_signature_covers_the_challenge_the_exchange_and_the_decision() {
    type Signer = fn(&FakeCard, &Signing) -> Vec<u8>;
    let cases: [(Signer, &str); 4] = [
        (
            |card, signing| {
                let replayed = Signing { unpredictable_number: vec![1, 2, 3, 4], ..copy(signing) };
                sign_cryptogram(card, &replayed)
            },
            "its hash differs",
        ),
        (
            |card, signing| {
                let mut other = copy(signing);
                other.cdol_values[5] ^= 1;
                sign_cryptogram(card, &other)
            },
            "the hash of what was exchanged (TDHash) differs",
        ),
        (
            |card, signing| {
                let mut other = copy(signing);
                other.objects.insert(tag::TAG_9F27_CID, vec![0x80]);
                sign_cryptogram(card, &other)
            },
            "9F27 differs from the signed 80",
        ),
        (|_, _| vec![0x11; 96], "it was not made with the key that belongs to it"),
    ];
    for (signer, why) in cases {
        let mut card = with_cda(&GOOD);
        card.signer = Some(signer);
        let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut card, None);
        assert_eq!(payment.outcome(), Outcome::EndApplication);
        assert!(payment.reason().contains(why), "{} is not {why}", payment.reason());
    }
    let mut silent = with_cda(&GOOD);
    silent.signer = None;
    let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut silent, None);
    assert_eq!(payment.reason(), "the card was asked for CDA and gave no signature (9F4B)");
}

fn copy(signing: &Signing) -> Signing {
    Signing {
        pdol_values: signing.pdol_values.clone(),
        cdol_values: signing.cdol_values.clone(),
        objects: signing.objects.clone(),
        unpredictable_number: signing.unpredictable_number.clone(),
    }
}

#[test]
fn a_kernel_3_card_with_fdda_pays_without_a_line() {
    let payment = pay(knowing_the_authority("petrol-pump"), 30_00, &mut with_fdda("00 00"), None);
    assert_eq!((payment.outcome(), payment.receipt().online), (Outcome::Approved, false), "{}", payment.reason());
    payment.assert_said("oda: fDDA: the signature is right");
}

#[test]
fn qualifiers_flipped_on_the_way_are_seen_where_authentication_runs() {
    let flipped = |card: FakeCard| card.with_option(tag::TAG_9F6C_CTQ, "00 80");
    let pump = pay(knowing_the_authority("petrol-pump"), 30_00, &mut flipped(with_fdda("00 00")), None);
    assert_eq!(pump.reason(), "card authentication failed: 9F6C differs from its signed copy in 9F69");
    // The attacker changes the copy, too: the signature tells.
    let mut both = flipped(with_fdda("00 00"));
    both.signer = Some(|card, signing| {
        let mut honest = card.clone();
        honest.options.insert(tag::TAG_9F69_CARD_AUTHENTICATION_DATA, hex("01 11 22 33 44 00 00"));
        sign_challenge(&honest, signing)
    });
    both.options.insert(tag::TAG_9F69_CARD_AUTHENTICATION_DATA, hex("01 11 22 33 44 00 80"));
    let pump = pay(knowing_the_authority("petrol-pump"), 30_00, &mut both, None);
    assert_eq!(pump.reason(), "card authentication failed: the signature (9F4B): its hash differs");
    // Without authentication nothing tells: the published attack succeeds up to the issuer.
    both.options.insert(tag::TAG_9F27_CID, hex("80"));
    let restaurant = pay(knowing_the_authority("restaurant"), 60_00, &mut both.clone(), Some(approval()));
    assert_eq!((restaurant.outcome(), restaurant.receipt().cvm), (Outcome::Approved, Cvm::Cdcvm));
    // A terminal that authenticates online payments, too, sees it.
    let mut careful = knowing_the_authority("restaurant");
    careful.kernels.kernel_3.as_mut().unwrap().oda_for_online_authorisation = true;
    assert_eq!(pay(careful, 60_00, &mut both, Some(approval())).outcome(), Outcome::Declined);
}
