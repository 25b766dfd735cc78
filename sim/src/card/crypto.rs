//! The card's DES: ISO 9797-1 MACs and EMV key derivation. What each cryptogram version makes of it is in `cvn`.

use alloc::vec::Vec;
use core::fmt;

use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use des::{Des, TdesEde2};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Eight bytes: a DES block, a MAC, an Application Cryptogram.
pub type Block = [u8; 8];

/// A double-length DES key. Wiped when dropped, printed masked.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TdesKey([u8; 16]);

impl TdesKey {
    /// The key of these bytes; parity bits are taken as they are.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// Key check value: the first three bytes of 3DES over eight zero bytes (GPCS 2.3.1 B.6).
    #[must_use]
    pub fn check_value(&self) -> [u8; 3] {
        let [k0, k1, k2, ..] = self.encrypt([0; 8]);
        [k0, k1, k2]
    }

    /// 3DES encryption of one block.
    #[must_use]
    pub fn encrypt(&self, block: Block) -> Block {
        let mut block = block.into();
        TdesEde2::new(&self.0.into()).encrypt_block(&mut block);
        block.into()
    }

    fn halves(&self) -> (Block, Block) {
        let [a, b, c, d, e, f, g, h, left @ ..] = self.0;
        ([a, b, c, d, e, f, g, h], left)
    }
}

impl fmt::Debug for TdesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TdesKey(masked)")
    }
}

/// How a MAC input is brought to whole blocks (ISO 9797-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Method 1: zeros, none when the input is whole blocks already.
    Method1,
    /// Method 2: 80, then zeros.
    Method2,
}

/// ISO 9797-1 MAC algorithm 3 ("retail MAC"): single DES chaining, the last block in 3DES.
#[must_use]
pub fn mac_algorithm_3(key: &TdesKey, padding: Padding, input: &[u8]) -> Block {
    let (left, right) = key.halves();
    let (left, right) = (Des::new(&left.into()), Des::new(&right.into()));
    let mut state = des::cipher::Block::<Des>::default();
    let mut absorb = |block: &[u8]| {
        for (cell, byte) in state.iter_mut().zip(block) {
            *cell ^= byte;
        }
        left.encrypt_block(&mut state);
    };
    let mut blocks = input.chunks_exact(8);
    blocks.by_ref().for_each(&mut absorb);
    let rest = blocks.remainder();
    if padding == Padding::Method2 || !rest.is_empty() || input.is_empty() {
        let mut last = [0; 8];
        let marked = rest.iter().copied().chain((padding == Padding::Method2).then_some(0x80));
        for (cell, byte) in last.iter_mut().zip(marked) {
            *cell = byte;
        }
        absorb(&last);
    }
    right.decrypt_block(&mut state);
    left.encrypt_block(&mut state);
    state.into()
}

/// ICC master key, option A: the last 16 digits of PAN and PSN and their complement under the issuer's key.
// EMV 4.4 B2 A1.4.1
#[must_use]
pub fn icc_master_key_option_a(issuer_key: &TdesKey, pan: &str, psn: u8) -> Option<TdesKey> {
    let digits = pan_and_psn_digits(pan, psn)?;
    let (_, tail) = digits.split_at_checked(digits.len().checked_sub(16)?)?;
    Some(derive_pair(issuer_key, pack_digits(tail)))
}

/// ICC master key, option B: as A, but a PAN of more than 16 digits goes through SHA-1 and decimalisation.
// EMV 4.4 B2 A1.4.2
#[must_use]
pub fn icc_master_key_option_b(issuer_key: &TdesKey, pan: &str, psn: u8) -> Option<TdesKey> {
    if pan.len() <= 16 {
        return icc_master_key_option_a(issuer_key, pan, psn);
    }
    let mut digits = pan_and_psn_digits(pan, psn)?;
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    let packed = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect::<Vec<u8>>();
    let hash = Sha1::digest(&packed);
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let (decimal, letters) = nibbles.partition::<Vec<u8>, _>(|nibble| *nibble < 10);
    let decimalised =
        decimal.into_iter().chain(letters.into_iter().map(|nibble| nibble - 10)).take(16).collect::<Vec<_>>();
    Some(derive_pair(issuer_key, pack_digits(&decimalised)))
}

/// The EMV common session key of a diversification value (ATC and zeros for the AC key, the ARQC for the SM keys).
// EMV 4.4 B2 A1.3.1
#[must_use]
pub fn common_session_key(master_key: &TdesKey, diversification: Block) -> TdesKey {
    let [b0, b1, _, rest @ ..] = diversification;
    let with = |third: u8| {
        let [b3, b4, b5, b6, b7] = rest;
        [b0, b1, third, b3, b4, b5, b6, b7]
    };
    join_odd(master_key.encrypt(with(0xF0)), master_key.encrypt(with(0x0F)))
}

/// Mastercard's older session key for the AC: the common derivation over ATC, 0000 and the unpredictable number.
// emv.md 3.7: R = ATC || 0000 || UN
#[must_use]
pub fn mastercard_session_key(master_key: &TdesKey, atc: u16, unpredictable_number: [u8; 4]) -> TdesKey {
    let [a0, a1] = atc.to_be_bytes();
    let [u0, u1, u2, u3] = unpredictable_number;
    common_session_key(master_key, [a0, a1, 0, 0, u0, u1, u2, u3])
}

/// Visa's session key for secure messaging: ATC against the key's halves, plain and complemented.
// VIS 1.5 D.7.2; vector in emv.md 3.7
#[must_use]
pub fn visa_sm_session_key(master_key: &TdesKey, atc: u16) -> TdesKey {
    let [a, b] = atc.to_be_bytes();
    let mask = |block: Block, high: u8, low: u8| {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = block;
        [b0, b1, b2, b3, b4, b5, b6 ^ high, b7 ^ low]
    };
    let (left, right) = master_key.halves();
    join_odd(mask(left, a, b), mask(right, !a, !b))
}

/// Whether two secrets are equal, in time that does not depend on where they differ.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn pan_and_psn_digits(pan: &str, psn: u8) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(22);
    // A short PAN is left-padded with zeros to 16 digits together with the PSN.
    digits.extend(core::iter::repeat_n(0, 14_usize.saturating_sub(pan.len())));
    for digit in pan.bytes() {
        digits.push(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    digits.extend([psn >> 4, psn & 0x0F]);
    Some(digits)
}

fn pack_digits(digits: &[u8]) -> Block {
    let mut block = [0; 8];
    for (cell, pair) in block.iter_mut().zip(digits.chunks(2)) {
        *cell = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    block
}

/// `block` and its complement under `key`, joined.
fn derive_pair(key: &TdesKey, block: Block) -> TdesKey {
    join_odd(key.encrypt(block), key.encrypt(block.map(|byte| !byte)))
}

/// The two halves as one key, each byte brought to odd parity (DES itself ignores it).
fn join_odd(left: Block, right: Block) -> TdesKey {
    let mut key = TdesKey([0; 16]);
    for (cell, byte) in key.0.iter_mut().zip(left.into_iter().chain(right)) {
        *cell = byte ^ u8::from(byte.count_ones() % 2 == 0);
    }
    key
}
