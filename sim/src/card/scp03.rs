//! Secure Channel Protocol '03', the card's side: session keys, cryptograms, and the wrapping of commands and answers.
//!
//! Sections are those of GPCS 2.3.1 Amendment D v1.2. The state machine around it (who may open a channel, and when it
//! ends) is the issuer security domain's.

use alloc::vec::Vec;
use core::fmt;

use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::crypto::equal;
use crate::wire::apdu::{CApdu, RApdu};

const BLOCK_BYTES: usize = 16;
type AesBlock = [u8; BLOCK_BYTES];

/// An AES key of 16, 24 or 32 bytes. Wiped when dropped, printed masked.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AesKey(Vec<u8>);

impl AesKey {
    /// The key of these bytes; `None` when AES has no key of that length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 16 | 24 | 32).then(|| Self(bytes.to_vec()))
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: AES has no empty key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// AES-CBC decryption; `None` unless the input is whole blocks.
    #[must_use]
    pub fn decrypt_cbc(&self, iv: AesBlock, input: &[u8]) -> Option<Vec<u8>> {
        let cipher = self.cipher();
        let mut previous = iv;
        let mut output = Vec::with_capacity(input.len());
        let blocks = input.chunks_exact(BLOCK_BYTES);
        if !blocks.remainder().is_empty() {
            return None;
        }
        for block in blocks {
            let block: AesBlock = block.try_into().ok()?;
            output.extend(xor(cipher.decrypt(block), previous));
            previous = block;
        }
        Some(output)
    }

    /// AES-CBC encryption of whole blocks; what follows the last whole block is left out.
    pub(super) fn encrypt_cbc(&self, iv: AesBlock, input: &[u8]) -> Vec<u8> {
        let cipher = self.cipher();
        let mut previous = iv;
        let mut output = Vec::with_capacity(input.len());
        for block in input.chunks_exact(BLOCK_BYTES) {
            let Ok(block) = block.try_into() else { break };
            previous = cipher.encrypt(xor(block, previous));
            output.extend(previous);
        }
        output
    }

    pub(super) fn encrypt_block(&self, block: AesBlock) -> AesBlock {
        self.cipher().encrypt(block)
    }

    pub(super) fn cmac(&self, parts: &[&[u8]]) -> AesBlock {
        fn over<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> AesBlock {
            let mut tag = [0; BLOCK_BYTES];
            // The length was checked when the key was made.
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return tag };
            for part in parts {
                mac.update(part);
            }
            for (cell, byte) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
                *cell = byte;
            }
            tag
        }
        match self.0.len() {
            16 => over::<Cmac<Aes128>>(&self.0, parts),
            24 => over::<Cmac<Aes192>>(&self.0, parts),
            _ => over::<Cmac<Aes256>>(&self.0, parts),
        }
    }

    fn cipher(&self) -> Cipher {
        // The length was checked when the key was made, so exactly one of them takes it.
        match self.0.len() {
            16 => Aes128::new_from_slice(&self.0).map_or(Cipher::None, Cipher::Aes128),
            24 => Aes192::new_from_slice(&self.0).map_or(Cipher::None, Cipher::Aes192),
            _ => Aes256::new_from_slice(&self.0).map_or(Cipher::None, Cipher::Aes256),
        }
    }
}

impl From<[u8; 16]> for AesKey {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AesKey(masked, {} bytes)", self.0.len())
    }
}

/// A key with its schedule; the `aes` crate wipes it.
enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
    None,
}

impl Cipher {
    fn encrypt(&self, block: AesBlock) -> AesBlock {
        let mut block = block.into();
        match self {
            Self::Aes128(aes) => aes.encrypt_block(&mut block),
            Self::Aes192(aes) => aes.encrypt_block(&mut block),
            Self::Aes256(aes) => aes.encrypt_block(&mut block),
            Self::None => {}
        }
        block.into()
    }

    fn decrypt(&self, block: AesBlock) -> AesBlock {
        let mut block = block.into();
        match self {
            Self::Aes128(aes) => aes.decrypt_block(&mut block),
            Self::Aes192(aes) => aes.decrypt_block(&mut block),
            Self::Aes256(aes) => aes.decrypt_block(&mut block),
            Self::None => {}
        }
        block.into()
    }
}

/// A security domain's key set; all three of one length.
#[derive(Clone, Debug)]
pub struct StaticKeys {
    /// Key-ENC.
    pub enc: AesKey,
    /// Key-MAC.
    pub mac: AesKey,
    /// Key-DEK: decrypts sensitive data of STORE DATA.
    pub dek: AesKey,
}

/// The "i" parameter: which options of the protocol the card has.
// Amendment D v1.2 table 5-1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Implementation(pub u8);

impl Implementation {
    /// S16 mode: challenges, cryptograms and MACs of 16 bytes instead of 8.
    #[must_use]
    pub const fn is_s16(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// The card challenge is derived from the sequence counter, not random.
    #[must_use]
    pub const fn is_pseudo_random(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// R-MAC is supported.
    #[must_use]
    pub const fn has_r_mac(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// R-ENCRYPTION is supported.
    #[must_use]
    pub const fn has_r_encryption(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Bytes of a challenge, a cryptogram and a MAC.
    #[must_use]
    pub const fn field_bytes(self) -> usize {
        if self.is_s16() { 16 } else { 8 }
    }

    /// Whether the card can run this level.
    #[must_use]
    pub const fn supports(self, level: SecurityLevel) -> bool {
        (!level.has_r_mac() || self.has_r_mac()) && (!level.has_r_encryption() || self.has_r_encryption())
    }
}

/// How a channel's messages are protected: P1 of EXTERNAL AUTHENTICATE.
// Amendment D v1.2 table 7-6
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityLevel(u8);

impl SecurityLevel {
    /// The level of this P1, if it is one of the six.
    #[must_use]
    pub const fn decode(p1: u8) -> Option<Self> {
        match p1 {
            0x00 | 0x01 | 0x03 | 0x11 | 0x13 | 0x33 => Some(Self(p1)),
            _ => None,
        }
    }

    /// Commands carry a C-MAC.
    #[must_use]
    pub const fn has_c_mac(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// Command data is encrypted.
    #[must_use]
    pub const fn has_c_decryption(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// Answers carry an R-MAC.
    #[must_use]
    pub const fn has_r_mac(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Answer data is encrypted.
    #[must_use]
    pub const fn has_r_encryption(self) -> bool {
        self.0 & 0x20 != 0
    }
}

/// Data derivation constants.
// Amendment D v1.2 table 4-1
#[derive(Clone, Copy)]
pub(super) enum Derive {
    CardCryptogram = 0x00,
    HostCryptogram = 0x01,
    CardChallenge = 0x02,
    SessionEnc = 0x04,
    SessionMac = 0x06,
    SessionRMac = 0x07,
}

/// The pseudo-random card challenge: `field_bytes` long, over the sequence counter and the domain's AID.
// Amendment D v1.2 6.2.2.1
#[must_use]
pub fn card_challenge(key_enc: &AesKey, sequence_counter: [u8; 3], aid: &[u8], field_bytes: usize) -> Vec<u8> {
    let mut context = Vec::from(sequence_counter);
    context.extend_from_slice(aid);
    derive(key_enc, Derive::CardChallenge, field_bytes, &context)
}

/// Between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE.
#[derive(Clone)]
pub struct Handshake {
    keys: SessionKeys,
    field_bytes: usize,
    card_cryptogram: Vec<u8>,
    host_cryptogram: Vec<u8>,
}

/// Why EXTERNAL AUTHENTICATE or a protected command is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The data field has not the length the mode asks for.
    Length,
    /// The host cryptogram is not the one that was expected.
    HostCryptogram,
    /// The C-MAC is wrong, too short, or missing.
    CMac,
    /// What was decrypted is not padded.
    Padding,
}

impl Handshake {
    /// Derives the session keys and both cryptograms.
    // Amendment D v1.2 6.2.1, 6.2.2
    #[must_use]
    pub fn new(keys: &StaticKeys, i: Implementation, host_challenge: &[u8], card_challenge: &[u8]) -> Self {
        let mut context = host_challenge.to_vec();
        context.extend_from_slice(card_challenge);
        let session_key = |key: &AesKey, constant| AesKey(derive(key, constant, key.len(), &context));
        let keys = SessionKeys {
            enc: session_key(&keys.enc, Derive::SessionEnc),
            mac: session_key(&keys.mac, Derive::SessionMac),
            r_mac: session_key(&keys.mac, Derive::SessionRMac),
        };
        let field_bytes = i.field_bytes();
        let card_cryptogram = derive(&keys.mac, Derive::CardCryptogram, field_bytes, &context);
        let host_cryptogram = derive(&keys.mac, Derive::HostCryptogram, field_bytes, &context);
        Self { keys, field_bytes, card_cryptogram, host_cryptogram }
    }

    /// What proves the card to the host.
    #[must_use]
    pub fn card_cryptogram(&self) -> &[u8] {
        &self.card_cryptogram
    }

    /// EXTERNAL AUTHENTICATE: opens the channel if host cryptogram and C-MAC are right.
    ///
    /// The cryptogram is looked at first, so that a host with other keys hears about the keys and not about the MAC.
    // Amendment D v1.2 7.1.2
    pub fn authenticate(self, level: SecurityLevel, command: &CApdu) -> Result<SecureChannel, Rejected> {
        if command.data.len() != 2 * self.field_bytes {
            return Err(Rejected::Length);
        }
        let (cryptogram, _) = command.data.split_at_checked(self.field_bytes).ok_or(Rejected::Length)?;
        if !equal(cryptogram, &self.host_cryptogram) {
            return Err(Rejected::HostCryptogram);
        }
        let mut channel = SecureChannel {
            keys: self.keys,
            level,
            mac_bytes: self.field_bytes,
            mac_chaining: [0; BLOCK_BYTES],
            command_counter: 0,
        };
        channel.verify_c_mac(command)?;
        Ok(channel)
    }
}

/// An open secure channel.
#[derive(Clone)]
pub struct SecureChannel {
    keys: SessionKeys,
    level: SecurityLevel,
    mac_bytes: usize,
    mac_chaining: AesBlock,
    command_counter: u64,
}

impl SecureChannel {
    /// The level that was agreed.
    #[must_use]
    pub const fn level(&self) -> SecurityLevel {
        self.level
    }

    /// Checks and removes the protection of a command. Any rejection must end the channel.
    // Amendment D v1.2 6.2.4, 6.2.6
    pub fn unwrap_command(&mut self, command: &CApdu) -> Result<CApdu, Rejected> {
        let mut plain = command.clone();
        // The counter counts commands, whether or not they carry data to decrypt.
        self.command_counter = self.command_counter.saturating_add(1);
        if self.level.has_c_mac() {
            let clear_length = self.verify_c_mac(command)?;
            plain.data.truncate(clear_length);
        }
        if self.level.has_c_decryption() && !plain.data.is_empty() {
            plain.data = self.decrypt(&plain.data)?;
        }
        plain.cla &= !CLA_SECURE_MESSAGING;
        Ok(plain)
    }

    /// Protects an answer. An error goes out bare: only the status word is returned.
    // Amendment D v1.2 6.2.5, 6.2.7
    #[must_use]
    pub fn wrap_response(&self, mut response: RApdu) -> RApdu {
        if !self.level.has_r_mac() {
            return response;
        }
        if !(response.sw.is_ok() || matches!(response.sw.sw1(), 0x62 | 0x63)) {
            return RApdu::sw(response.sw);
        }
        if self.level.has_r_encryption() && !response.data.is_empty() {
            let mut padded = core::mem::take(&mut response.data);
            pad(&mut padded);
            response.data = self.keys.enc.encrypt_cbc(self.counter_icv(0x80), &padded);
        }
        let sw = response.sw.value().to_be_bytes();
        let mac = self.keys.r_mac.cmac(&[&self.mac_chaining, &response.data, &sw]);
        response.data.extend(mac.iter().take(self.mac_bytes));
        response
    }

    /// Checks the MAC at the end of the data field and moves the chain on; answers the length of the data before it.
    fn verify_c_mac(&mut self, command: &CApdu) -> Result<usize, Rejected> {
        let clear_length = command.data.len().checked_sub(self.mac_bytes).ok_or(Rejected::CMac)?;
        let (data, mac) = command.data.split_at_checked(clear_length).ok_or(Rejected::CMac)?;
        let header = [command.cla & !CLA_LOGICAL_CHANNEL, command.ins, command.p1, command.p2];
        let [.., high, low] = command.data.len().to_be_bytes();
        let lc: &[u8] = if command.extended || command.data.len() > 0xFF { &[0, high, low] } else { &[low] };
        let full = self.keys.mac.cmac(&[&self.mac_chaining, &header, lc, data]);
        let expected = full.get(..self.mac_bytes).ok_or(Rejected::CMac)?;
        if !equal(expected, mac) {
            return Err(Rejected::CMac);
        }
        self.mac_chaining = full;
        Ok(clear_length)
    }

    fn decrypt(&self, data: &[u8]) -> Result<Vec<u8>, Rejected> {
        let mut plain = self.keys.enc.decrypt_cbc(self.counter_icv(0x00), data).ok_or(Rejected::Padding)?;
        let end = plain.iter().rposition(|byte| *byte != 0).ok_or(Rejected::Padding)?;
        if plain.get(end) != Some(&0x80) {
            return Err(Rejected::Padding);
        }
        plain.truncate(end);
        Ok(plain)
    }

    /// The initial chaining value of the current command (`first` 00) or of its answer (80).
    fn counter_icv(&self, first: u8) -> AesBlock {
        let mut block = u128::from(self.command_counter).to_be_bytes();
        if let Some(cell) = block.first_mut() {
            *cell = first;
        }
        self.keys.enc.encrypt_block(block)
    }
}

impl fmt::Debug for SecureChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureChannel(level {:02X})", self.level.0)
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(masked)")
    }
}

const CLA_SECURE_MESSAGING: u8 = 0x04;
const CLA_LOGICAL_CHANNEL: u8 = 0x03;

#[derive(Clone)]
struct SessionKeys {
    enc: AesKey,
    mac: AesKey,
    r_mac: AesKey,
}

/// NIST SP 800-108 in counter mode with AES-CMAC.
// Amendment D v1.2 4.1.5: label (11 x 00, constant) || 00 || L (2) || counter (1) || context
pub(super) fn derive(key: &AesKey, constant: Derive, out_bytes: usize, context: &[u8]) -> Vec<u8> {
    let [.., high, low] = (out_bytes * 8).to_be_bytes();
    let mut output = Vec::with_capacity(2 * BLOCK_BYTES);
    for counter in 1..=2 {
        if output.len() < out_bytes {
            output.extend(key.cmac(&[&[0; 11], &[constant as u8, 0, high, low, counter], context]));
        }
    }
    output.truncate(out_bytes);
    output
}

/// Padding method 2 to whole blocks.
fn pad(data: &mut Vec<u8>) {
    data.push(0x80);
    data.resize(data.len().next_multiple_of(BLOCK_BYTES), 0);
}

fn xor(a: AesBlock, b: AesBlock) -> AesBlock {
    (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sw::Sw;
    use alloc::format;
    use std::vec;

    fn keys(len: usize) -> StaticKeys {
        let key = AesKey::new(&(0x40..).take(len).collect::<Vec<u8>>()).unwrap();
        StaticKeys { enc: key.clone(), mac: key.clone(), dek: key }
    }

    fn hex(bytes: &[u8]) -> alloc::string::String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn handshake(i: u8, key_bytes: usize) -> Handshake {
        let i = Implementation(i);
        let host = (0..).take(i.field_bytes()).collect::<Vec<u8>>();
        let card = (0x10..).take(i.field_bytes()).collect::<Vec<u8>>();
        Handshake::new(&keys(key_bytes), i, &host, &card)
    }

    #[test]
    fn session_keys_and_cryptograms_of_the_independent_vector() {
        // emv.md section 4, computed with python yubikit 5.9.2.
        let handshake = handshake(0x70, 16);
        assert_eq!(hex(&handshake.keys.enc.0), "8aac6b39a7c426423400d8b5d9c0adc3");
        assert_eq!(hex(&handshake.keys.mac.0), "a2e96754f593e7e80e695bec50a24283");
        assert_eq!(hex(&handshake.keys.r_mac.0), "983882695ee1ac61743415ab536ce1be");
        assert_eq!(hex(handshake.card_cryptogram()), "a330f60b35761cbf");
        assert_eq!(hex(&handshake.host_cryptogram), "c28a6a8b99435e37");
    }

    /// The host's side of a command, as far as a test needs it: it shares the key derivation but not the wrapping.
    fn wrap(channel: &SecureChannel, counter: u64, command: CApdu) -> CApdu {
        let mut command = command;
        command.cla |= 0x04;
        if channel.level.has_c_decryption() && !command.data.is_empty() {
            let icv = channel.keys.enc.encrypt_block(u128::from(counter).to_be_bytes());
            command.data.push(0x80);
            while !command.data.len().is_multiple_of(16) {
                command.data.push(0);
            }
            command.data = channel.keys.enc.encrypt_cbc(icv, &command.data);
        }
        let lc = (command.data.len() + channel.mac_bytes) as u8;
        let header = [command.cla, command.ins, command.p1, command.p2, lc];
        let mac = channel.keys.mac.cmac(&[&channel.mac_chaining, &header, &command.data]);
        command.data.extend(&mac[..channel.mac_bytes]);
        command
    }

    fn external_authenticate(handshake: &Handshake, level: u8) -> CApdu {
        let mut command = CApdu::new(0x84, 0x82, level, 0).with_data(handshake.host_cryptogram.clone());
        let lc = (2 * handshake.field_bytes) as u8;
        let mac = handshake.keys.mac.cmac(&[&[0; 16], &[0x84, 0x82, level, 0, lc], &command.data]);
        command.data.extend(&mac[..handshake.field_bytes]);
        command
    }

    fn open(i: u8, key_bytes: usize, level: u8) -> SecureChannel {
        let handshake = handshake(i, key_bytes);
        let command = external_authenticate(&handshake, level);
        handshake.authenticate(SecurityLevel::decode(level).unwrap(), &command).unwrap()
    }

    #[test]
    fn every_level_key_size_and_mode_carries_commands() {
        for i in [0x70, 0x71, 0x60, 0x61] {
            for key_bytes in [16, 24, 32] {
                for level in [0x01, 0x03, 0x11, 0x13, 0x33] {
                    let mut channel = open(i, key_bytes, level);
                    for (counter, len) in [(1, 0), (2, 5), (3, 16), (4, 100)] {
                        let plain = CApdu::new(0x80, 0xE2, 0x88, 0x01).with_data(vec![7; len]);
                        let wrapped = wrap(&channel, counter, plain.clone());
                        assert_eq!(channel.unwrap_command(&wrapped), Ok(plain), "i {i:02X} level {level:02X} {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_fails_the_c_mac() {
        let channel = open(0x70, 16, 0x33);
        let wrapped = wrap(&channel, 1, CApdu::new(0x80, 0xE2, 0x88, 0x01).with_data(vec![7; 20]));
        for at in 0..wrapped.data.len() {
            let mut bad = wrapped.clone();
            bad.data[at] ^= 0x20;
            assert_eq!(channel.clone().unwrap_command(&bad), Err(Rejected::CMac));
        }
        for bad in [CApdu { p2: 2, ..wrapped.clone() }, CApdu { ins: 0xE4, ..wrapped.clone() }] {
            assert_eq!(channel.clone().unwrap_command(&bad), Err(Rejected::CMac));
        }
        let bare = CApdu::new(0x84, 0xE2, 0, 0);
        assert_eq!(channel.clone().unwrap_command(&bare), Err(Rejected::CMac));
    }

    #[test]
    fn a_repeated_command_fails_because_the_chain_moved_on() {
        let mut channel = open(0x70, 16, 0x01);
        let wrapped = wrap(&channel, 1, CApdu::new(0x80, 0xF2, 0x40, 0x02));
        assert!(channel.unwrap_command(&wrapped).is_ok());
        assert_eq!(channel.unwrap_command(&wrapped), Err(Rejected::CMac));
    }

    #[test]
    fn errors_go_out_bare_and_warnings_protected() {
        let mut channel = open(0x71, 16, 0x33);
        let wrapped = wrap(&channel, 1, CApdu::new(0x80, 0xF2, 0x40, 0x02));
        channel.unwrap_command(&wrapped).unwrap();
        let error = channel.wrap_response(RApdu { data: vec![1], sw: Sw::WRONG_DATA });
        assert_eq!(error, RApdu::sw(Sw::WRONG_DATA));
        let warning = channel.wrap_response(RApdu { data: vec![1], sw: Sw::MORE_DATA_AVAILABLE });
        assert_eq!(warning.data.len(), 16 + 16);
        assert_eq!(channel.wrap_response(RApdu::sw(Sw::OK)).data.len(), 16);
    }

    #[test]
    fn cryptogram_and_mac_are_told_apart() {
        let level = SecurityLevel::decode(0x33).unwrap();
        let good = handshake(0x70, 16);
        let command = external_authenticate(&good, 0x33);
        for (at, expected) in [(0, Rejected::HostCryptogram), (7, Rejected::HostCryptogram), (8, Rejected::CMac)] {
            let mut bad = command.clone();
            bad.data[at] ^= 1;
            assert_eq!(good.clone().authenticate(level, &bad).unwrap_err(), expected);
        }
        let other_level = CApdu { p1: 0x01, ..command.clone() };
        assert_eq!(good.clone().authenticate(level, &other_level).unwrap_err(), Rejected::CMac);
        let short = command.clone().with_data(command.data[..15].to_vec());
        assert_eq!(good.authenticate(level, &short).unwrap_err(), Rejected::Length);
    }

    #[test]
    fn exactly_six_levels_exist() {
        let levels = (0..=u8::MAX).filter(|p1| SecurityLevel::decode(*p1).is_some()).collect::<Vec<_>>();
        assert_eq!(levels, [0x00, 0x01, 0x03, 0x11, 0x13, 0x33]);
    }

    #[test]
    fn keys_print_masked() {
        assert_eq!(format!("{:?}", keys(32).enc), "AesKey(masked, 32 bytes)");
        assert_eq!(format!("{:?}", open(0x70, 16, 0x33)), "SecureChannel(level 33)");
    }
}
