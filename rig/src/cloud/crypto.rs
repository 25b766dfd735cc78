//! Cryptograms as the issuer computes them: key derivation, AC, ARPC.
//!
//! This is a second implementation beside the card's own, on purpose: it shares nothing with it but the standards, so that a mistake
//! on one side shows as a cryptogram that does not match.

use std::fmt;

use des::TdesEde2;
use des::cipher::generic_array::GenericArray;
use des::cipher::{BlockEncrypt, KeyInit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};

use band_sim::wire::hex::Hex;

/// A block of DES.
pub type Block = [u8; 8];

/// A double-length 3DES key. Printed masked; only a file shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TdesKey([u8; 16]);

impl TdesKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for the one who loads them into a card.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Key check value: the first three bytes of eight encrypted zero bytes.
    #[must_use]
    pub fn check_value(&self) -> [u8; 3] {
        let [a, b, c, ..] = self.encrypt([0; 8]);
        [a, b, c]
    }

    /// 3DES of one block.
    #[must_use]
    pub fn encrypt(&self, block: Block) -> Block {
        encrypt_with(&self.cipher(), block)
    }

    /// The same key with the parity bit of every byte made odd.
    #[must_use]
    pub fn with_odd_parity(self) -> Self {
        Self(self.0.map(|byte| if byte.count_ones() % 2 == 0 { byte ^ 1 } else { byte }))
    }

    fn cipher(&self) -> TdesEde2 {
        TdesEde2::new(GenericArray::from_slice(&self.0))
    }
}

impl fmt::Debug for TdesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TdesKey(masked)")
    }
}

impl Serialize for TdesKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(self.0.to_vec()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TdesKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::deserialize(deserializer)?;
        let bytes = <[u8; 16]>::try_from(bytes).map_err(|wrong| {
            serde::de::Error::custom(format_args!("a 3DES key has 16 bytes, this one has {}", wrong.len()))
        })?;
        Ok(Self(bytes))
    }
}

/// The card's master key of an issuer master key: EMV option B, which for a number of up to 16 digits is option A.
///
/// `pan` and `psn` in decimal digits.
// EMV 4.4 B2 A1.4.1, A1.4.2
#[must_use]
pub fn card_master_key(issuer: &TdesKey, pan: &str, psn: u8) -> TdesKey {
    let digits = format!("{pan}{psn:02}");
    if pan.len() <= 16 { option_a(issuer, &digits) } else { option_b(issuer, &digits) }
}

/// The card's master key by EMV option A, whatever the length of the number: its last 16 digits count.
// EMV 4.4 B2 A1.4.1
#[must_use]
pub fn card_master_key_option_a(issuer: &TdesKey, pan: &str, psn: u8) -> TdesKey {
    option_a(issuer, &format!("{pan}{psn:02}"))
}

fn option_a(issuer: &TdesKey, digits: &str) -> TdesKey {
    let skip = digits.len().saturating_sub(16);
    diversify(issuer, decimal_block(digits.chars().skip(skip)))
}

// EMV 4.4 B2 A1.4.2: the first sixteen decimal digits of the hash, then its letters as digits
fn option_b(issuer: &TdesKey, digits: &str) -> TdesKey {
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let bytes = even.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | (digit & 0x0F)));
    let hash = Sha1::digest(bytes.collect::<Vec<u8>>());
    let nibbles = || hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let decimal = nibbles().filter(|nibble| *nibble < 10);
    let letters = nibbles().filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
    diversify(issuer, decimal_block(decimal.chain(letters).take(16).map(|digit| char::from(b'0' + digit))))
}

/// At most sixteen digits, right-aligned in eight bytes.
fn decimal_block(digits: impl Iterator<Item = char>) -> Block {
    let value = digits.take(16).fold(0_u64, |value, digit| value << 4 | u64::from(digit.to_digit(10).unwrap_or(0)));
    value.to_be_bytes()
}

fn diversify(issuer: &TdesKey, block: Block) -> TdesKey {
    let cipher = issuer.cipher();
    joined(encrypt_with(&cipher, block), encrypt_with(&cipher, block.map(|byte| !byte))).with_odd_parity()
}

fn joined(left: Block, right: Block) -> TdesKey {
    let mut key = [0; 16];
    for (cell, byte) in key.iter_mut().zip(left.into_iter().chain(right)) {
        *cell = byte;
    }
    TdesKey(key)
}

/// The EMV common session key over a diversification value.
// EMV 4.4 B2 A1.3.1
#[must_use]
pub fn common_session_key(master: &TdesKey, diversification: Block) -> TdesKey {
    let [a, b, _, rest @ ..] = diversification;
    let with = |third: u8| {
        let mut block = [a, b, third, 0, 0, 0, 0, 0];
        for (cell, byte) in block.iter_mut().skip(3).zip(rest) {
            *cell = byte;
        }
        block
    };
    let cipher = master.cipher();
    joined(encrypt_with(&cipher, with(0xF0)), encrypt_with(&cipher, with(0x0F))).with_odd_parity()
}

/// Visa's session key for secure messaging: the counter added into the halves of the master key.
// VIS 1.5 D.7.2; facts/emv.md 3.7
#[must_use]
pub fn visa_secure_messaging_key(master: &TdesKey, atc: [u8; 2]) -> TdesKey {
    let mut key = master.0;
    let masks = [atc, atc.map(|byte| !byte)];
    for (half, mask) in key.chunks_exact_mut(8).zip(masks) {
        for (byte, mask) in half.iter_mut().skip(6).zip(mask) {
            *byte ^= mask;
        }
    }
    TdesKey(key).with_odd_parity()
}

/// How a MAC's input is padded to whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Zeros, and none when the input is whole blocks already.
    Method1,
    /// `80`, then zeros.
    Method2,
}

/// Retail MAC: single DES over all blocks but for the last, which is 3DES.
// ISO/IEC 9797-1 MAC algorithm 3; EMV 4.4 B2 A1.2.1
#[must_use]
pub fn retail_mac(key: &TdesKey, input: &[u8], padding: Padding) -> Block {
    let [left, right] = halves(key);
    let mut padded = input.to_vec();
    if padding == Padding::Method2 {
        padded.push(0x80);
    }
    padded.resize(padded.len().next_multiple_of(8), 0);
    let chained = padded.chunks_exact(8).fold([0; 8], |chain: Block, block| {
        let mut mixed = chain;
        mixed.iter_mut().zip(block).for_each(|(cell, byte)| *cell ^= byte);
        des_encrypt(&left, mixed)
    });
    des_encrypt(&left, des_decrypt(&right, chained))
}

/// The issuer's answer to a cryptogram, ARPC method 1.
// EMV 4.4 B2 8.2.1
#[must_use]
pub fn arpc_method_1(key: &TdesKey, arqc: Block, arc: [u8; 2]) -> Block {
    let mut mixed = arqc;
    mixed.iter_mut().zip(arc).for_each(|(cell, byte)| *cell ^= byte);
    key.encrypt(mixed)
}

/// The issuer's answer to a cryptogram, ARPC method 2: four bytes over the card status update.
// EMV 4.4 B2 8.2.2
#[must_use]
pub fn arpc_method_2(key: &TdesKey, arqc: Block, csu: [u8; 4], proprietary: &[u8]) -> [u8; 4] {
    let input = [arqc.as_slice(), &csu, proprietary].concat();
    let [a, b, c, d, ..] = retail_mac(key, &input, Padding::Method2);
    [a, b, c, d]
}

fn halves(key: &TdesKey) -> [des::Des; 2] {
    let (left, right) = key.0.split_at(8);
    [left, right].map(|half| des::Des::new(GenericArray::from_slice(half)))
}

fn des_encrypt(cipher: &des::Des, block: Block) -> Block {
    encrypt_with(cipher, block)
}

fn des_decrypt(cipher: &des::Des, block: Block) -> Block {
    let mut cells = GenericArray::from(block);
    des::cipher::BlockDecrypt::decrypt_block(cipher, &mut cells);
    cells.into()
}

fn encrypt_with<C>(cipher: &C, block: Block) -> Block
where
    C: BlockEncrypt + des::cipher::BlockSizeUser<BlockSize = des::cipher::consts::U8>,
{
    let mut cells = GenericArray::from(block);
    cipher.encrypt_block(&mut cells);
    cells.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn key(hex: &str) -> TdesKey {
        TdesKey(bytes(hex).try_into().expect("16 bytes"))
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex.parse::<Hex>().expect("hex").0
    }

    fn block(hex: &str) -> Block {
        bytes(hex).try_into().expect("8 bytes")
    }

    // facts/emv.md 3.7, from pyemv's HSM-checked tests
    #[test]
    fn both_master_key_options_match_an_hsm() {
        let issuer = key("0123456789ABCDEFFEDCBA9876543210");
        let long = "12345678901234567";
        assert_eq!(card_master_key_option_a(&issuer, long, 1), key("73AD54688CEF2934B0979857E3C719F1"));
        assert_eq!(card_master_key(&issuer, long, 1), key("AD406D7F6D7570916D75E5DCAB8CF737"));
        let short = "1234567890123456";
        assert_eq!(card_master_key(&issuer, short, 0), card_master_key_option_a(&issuer, short, 0));
    }

    #[test]
    fn check_values_match_an_hsm() {
        let check = |issuer| card_master_key_option_a(&key(issuer), "1234567890123456", 0).check_value();
        assert_eq!(check("0123456789ABCDEFFEDCBA9876543210")[..2], [0xBA, 0xB0]);
        assert_eq!(check("FEDCBA98765432100123456789ABCDEF")[..2], [0xF0, 0x10]);
        assert_eq!(check("89ABCDEF0123456776543210FEDCBA98")[..2], [0xB1, 0x54]);
    }

    #[test]
    fn session_keys_match_an_hsm() {
        let master = key("0123456789ABCDEFFEDCBA9876543210");
        assert_eq!(
            common_session_key(&master, block("001C000000000000")),
            key("E9FB384AF807B940FEDCEA613461B0C4"),
            "EMV common session key",
        );
        assert_eq!(visa_secure_messaging_key(&master, [0x00, 0x1C]), key("0123456789ABCDF2FEDCBA987654CDF2"));
    }

    #[test]
    fn every_vector_of_the_independent_implementation_holds() {
        let file: Value = serde_json::from_str(include_str!("../../../fixtures/emv-vectors.json")).expect("json");
        let vectors = file["vectors"].as_array().expect("vectors");
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().expect("text").to_owned();
            let (pan, psn) = (text("pan"), text("psn").parse().expect("number"));
            let master = card_master_key_option_a(&key(&text("issuer_master_key")), &pan, psn);
            assert_eq!(master, key(&text("icc_master_key_option_a")), "{pan}");
            let session = common_session_key(&master, block(&text("diversification")));
            assert_eq!(session, key(&text("session_key")), "{pan}");
            let input = bytes(&text("ac_input"));
            let ac = retail_mac(&session, &input, Padding::Method2);
            assert_eq!(ac, block(&text("ac_padding_method_2")), "{pan}");
            assert_eq!(retail_mac(&session, &input, Padding::Method1), block(&text("ac_padding_method_1")), "{pan}");
            let nested = |outer: &str, inner: &str| bytes(vector[outer][inner].as_str().expect("text"));
            let arc = nested("arpc_method_1", "arc").try_into().expect("2 bytes");
            assert_eq!(arpc_method_1(&session, ac, arc).to_vec(), nested("arpc_method_1", "arpc"), "{pan}");
            let csu = nested("arpc_method_2", "csu").try_into().expect("4 bytes");
            assert_eq!(arpc_method_2(&session, ac, csu, &[]).to_vec(), nested("arpc_method_2", "arpc"), "{pan}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", key("0123456789ABCDEFFEDCBA9876543210")), "TdesKey(masked)");
    }
}
