//! Secure Channel Protocol '03', the host's side: opens a channel to the issuer security domain, wraps commands, checks answers.
//!
//! Its own code, sharing nothing with the card's. Sections are those of GPCS 2.3.1 Amendment D v1.2. The level is always 33: command
//! and response encrypted and authenticated.

use std::fmt;

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use band_sim::rng::Rng;
use band_sim::wire::apdu::CApdu;
use band_sim::wire::hex::Hex;
use cmac::{Cmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

type Block = [u8; 16];

/// Security level C-DECRYPTION, R-ENCRYPTION, C-MAC and R-MAC.
// Amendment D 7.1.2.1
const LEVEL: u8 = 0x33;

/// An AES key of 128, 192 or 256 bits. Prints masked; only a file shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AesKey(Vec<u8>);

impl AesKey {
    /// The key of these bytes; `None` unless there are 16, 24 or 32.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 16 | 24 | 32).then(|| Self(bytes.to_vec()))
    }

    /// The bytes themselves, for the list of what no output may show.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// AES-CBC over whole blocks, from a zero vector: how key data travels under the DEK.
    // Amendment D 6.2.8
    #[must_use]
    pub fn encrypt_sensitive(&self, data: &[u8]) -> Vec<u8> {
        self.encrypt_cbc([0; 16], data)
    }

    fn encrypt_cbc(&self, icv: Block, data: &[u8]) -> Vec<u8> {
        let cipher = Cipher::new(self);
        let mut chain = icv;
        let mut out = Vec::with_capacity(data.len());
        for block in data.chunks_exact(16) {
            chain.iter_mut().zip(block).for_each(|(cell, byte)| *cell ^= byte);
            chain = cipher.encrypt(chain);
            out.extend_from_slice(&chain);
        }
        out
    }

    fn decrypt_cbc(&self, icv: Block, data: &[u8]) -> Vec<u8> {
        let cipher = Cipher::new(self);
        let mut chain = icv.as_slice();
        let mut out = Vec::with_capacity(data.len());
        for block in data.chunks_exact(16) {
            let plain = cipher.decrypt(block);
            out.extend(plain.iter().zip(chain).map(|(byte, mask)| byte ^ mask));
            chain = block;
        }
        out
    }

    fn encrypt_block(&self, block: Block) -> Block {
        Cipher::new(self).encrypt(block)
    }

    fn cmac(&self, parts: &[&[u8]]) -> Block {
        fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Block {
            // The constructor of the key admits the cipher's key length only.
            let mut mac = <M as KeyInit>::new(GenericArray::from_slice(key));
            parts.iter().for_each(|part| mac.update(part));
            let mut tag = [0; 16];
            tag.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(cell, byte)| *cell = byte);
            tag
        }
        match self.0.len() {
            16 => run::<Cmac<Aes128>>(&self.0, parts),
            24 => run::<Cmac<Aes192>>(&self.0, parts),
            _ => run::<Cmac<Aes256>>(&self.0, parts),
        }
    }

    /// Key derivation in counter mode, CMAC as the pseudo-random function.
    // Amendment D 4.1.5; NIST SP 800-108 5.1
    fn derive(&self, constant: u8, bytes: usize, context: &[&[u8]]) -> Vec<u8> {
        let bits = u16::try_from(bytes * 8).unwrap_or(u16::MAX).to_be_bytes();
        let blocks = u8::try_from(bytes.div_ceil(16)).unwrap_or(u8::MAX);
        let mut out = Vec::with_capacity(usize::from(blocks) * 16);
        for counter in 1..=blocks {
            let mut label = [0; 16];
            let fixed = [constant, 0x00, bits[0], bits[1], counter];
            label.iter_mut().skip(11).zip(fixed).for_each(|(cell, byte)| *cell = byte);
            let parts: Vec<&[u8]> = std::iter::once(label.as_slice()).chain(context.iter().copied()).collect();
            out.extend_from_slice(&self.cmac(&parts));
        }
        out.truncate(bytes);
        out
    }

    fn derive_key(&self, constant: u8, context: &[&[u8]]) -> Self {
        Self(self.derive(constant, self.0.len(), context))
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(masked)")
    }
}

impl Serialize for AesKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(self.0.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AesKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::deserialize(deserializer)?;
        Self::new(&bytes).ok_or_else(|| serde::de::Error::custom("an AES key has 16, 24 or 32 bytes"))
    }
}

enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl Cipher {
    fn new(key: &AesKey) -> Self {
        match key.0.len() {
            16 => Self::Aes128(Aes128::new(GenericArray::from_slice(&key.0))),
            24 => Self::Aes192(Aes192::new(GenericArray::from_slice(&key.0))),
            _ => Self::Aes256(Aes256::new(GenericArray::from_slice(&key.0))),
        }
    }

    fn encrypt(&self, block: Block) -> Block {
        let mut cells = GenericArray::from(block);
        match self {
            Self::Aes128(aes) => aes.encrypt_block(&mut cells),
            Self::Aes192(aes) => aes.encrypt_block(&mut cells),
            Self::Aes256(aes) => aes.encrypt_block(&mut cells),
        }
        cells.into()
    }

    /// `block` is 16 bytes: all callers cut whole blocks.
    fn decrypt(&self, block: &[u8]) -> Block {
        let mut cells = *GenericArray::from_slice(block);
        match self {
            Self::Aes128(aes) => aes.decrypt_block(&mut cells),
            Self::Aes192(aes) => aes.decrypt_block(&mut cells),
            Self::Aes256(aes) => aes.decrypt_block(&mut cells),
        }
        cells.into()
    }
}

/// A security domain's keys as its owner keeps them: diversified per unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsdKeys {
    /// Key version number, P1 of INITIALIZE UPDATE.
    pub version: u8,
    /// Key-ENC.
    pub enc: AesKey,
    /// Key-MAC.
    pub mac: AesKey,
    /// Key-DEK.
    pub dek: AesKey,
}

/// Length of challenges, cryptograms and MACs.
// Amendment D 4.1: S8 and S16 mode
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelMode {
    /// Eight bytes.
    S8,
    /// Sixteen bytes.
    S16,
}

impl ChannelMode {
    /// The length in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::S8 => 8,
            Self::S16 => 16,
        }
    }
}

/// What is wrong with a card's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// INITIALIZE UPDATE answered something of another form.
    Malformed,
    /// Another protocol, mode or key version than asked for, or one without response protection.
    Unsupported,
    /// The card does not know the keys.
    CardCryptogram,
    /// An answer is not the card's, or not the one to this command.
    ResponseMac,
    /// An answer does not decrypt.
    ResponsePadding,
}

/// INITIALIZE UPDATE was sent.
#[derive(Clone, Debug)]
pub struct Opening {
    mode: ChannelMode,
    host_challenge: Vec<u8>,
}

impl Opening {
    /// Draws the host challenge.
    #[must_use]
    pub fn new(mode: ChannelMode, rng: &mut Rng) -> Self {
        let mut host_challenge = vec![0; mode.bytes()];
        rng.fill(&mut host_challenge);
        Self { mode, host_challenge }
    }

    /// INITIALIZE UPDATE.
    // Amendment D 7.1.1
    #[must_use]
    pub fn command(&self, keys: &IsdKeys) -> CApdu {
        CApdu::new(0x80, 0x50, keys.version, 0x00).with_data(self.host_challenge.clone()).with_ne(256)
    }

    /// Checks the card's cryptogram; answers the channel and its EXTERNAL AUTHENTICATE.
    // Amendment D 6.2.2, 7.1.1.6, 7.1.2
    pub fn finish(&self, keys: &IsdKeys, answer: &[u8]) -> Result<(Channel, CApdu), ChannelError> {
        let size = self.mode.bytes();
        let (_diversification, rest) = answer.split_at_checked(10).ok_or(ChannelError::Malformed)?;
        let (&[version, protocol, i], rest) = rest.split_first_chunk::<3>().ok_or(ChannelError::Malformed)?;
        // Table 5-1 of the amendment: b1 S16 mode, b5 pseudo-random challenge, b6 R-MAC, b7 R-ENCRYPTION.
        let fits = protocol == 0x03
            && (keys.version == 0 || version == keys.version)
            && (i & 0x01 == 1) == (self.mode == ChannelMode::S16)
            && i & 0x60 == 0x60;
        if !fits {
            return Err(ChannelError::Unsupported);
        }
        let (card_challenge, rest) = rest.split_at_checked(size).ok_or(ChannelError::Malformed)?;
        let (card_cryptogram, counter) = rest.split_at_checked(size).ok_or(ChannelError::Malformed)?;
        if counter.len() != if i & 0x10 != 0 { 3 } else { 0 } {
            return Err(ChannelError::Malformed);
        }
        let context = [self.host_challenge.as_slice(), card_challenge];
        let s_mac = keys.mac.derive_key(0x06, &context);
        if s_mac.derive(0x00, size, &context) != card_cryptogram {
            return Err(ChannelError::CardCryptogram);
        }
        let host_cryptogram = s_mac.derive(0x01, size, &context);
        let mut channel = Channel {
            s_enc: keys.enc.derive_key(0x04, &context),
            s_rmac: keys.mac.derive_key(0x07, &context),
            s_mac,
            size,
            chaining: [0; 16],
            commands: 0,
        };
        let command = channel.authenticate(CApdu::new(0x84, 0x82, LEVEL, 0x00).with_data(host_cryptogram));
        Ok((channel, command))
    }
}

/// An open channel.
#[derive(Clone, Debug)]
pub struct Channel {
    s_enc: AesKey,
    s_mac: AesKey,
    s_rmac: AesKey,
    /// Bytes of a MAC on the wire.
    size: usize,
    chaining: Block,
    /// Commands wrapped so far: the encryption counter.
    commands: u64,
}

/// What is needed to check the answer to one wrapped command.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    chaining: Block,
    counter: u64,
}

impl Channel {
    /// The most data of one command that still fits into a short APDU once wrapped.
    #[must_use]
    pub const fn max_data(&self) -> usize {
        // One to sixteen bytes of padding, then the MAC; 255 in all.
        (255 - self.size) / 16 * 16 - 1
    }

    /// Encrypts and authenticates a command.
    // Amendment D 6.2.4, 6.2.6
    pub fn wrap(&mut self, command: CApdu) -> (CApdu, Receipt) {
        self.commands += 1;
        let CApdu { data, .. } = &command;
        let encrypted = if data.is_empty() {
            Vec::new()
        } else {
            self.s_enc.encrypt_cbc(self.icv(0x00, self.commands), &padded(data))
        };
        let cla = command.cla | 0x04;
        let bare = CApdu { cla, data: encrypted, ..command };
        let wrapped = self.authenticate(bare).with_ne(256);
        (wrapped, Receipt { chaining: self.chaining, counter: self.commands })
    }

    /// Checks and decrypts the answer to the command of `receipt`.
    ///
    /// An error status word comes without protection, and so without data.
    // Amendment D 6.2.5, 6.2.7
    pub fn unwrap(&self, receipt: &Receipt, answer: &[u8], sw: u16) -> Result<Vec<u8>, ChannelError> {
        if !is_ok_or_warning(sw) {
            return if answer.is_empty() { Ok(Vec::new()) } else { Err(ChannelError::ResponseMac) };
        }
        let at = answer.len().checked_sub(self.size).ok_or(ChannelError::ResponseMac)?;
        let (data, mac) = answer.split_at(at);
        let tag = self.s_rmac.cmac(&[&receipt.chaining, data, &sw.to_be_bytes()]);
        if !tag.starts_with(mac) {
            return Err(ChannelError::ResponseMac);
        }
        if data.is_empty() {
            return Ok(Vec::new());
        }
        if data.len() % 16 != 0 {
            return Err(ChannelError::ResponsePadding);
        }
        unpadded(self.s_enc.decrypt_cbc(self.icv(0x80, receipt.counter), data)).ok_or(ChannelError::ResponsePadding)
    }

    /// Appends the C-MAC, which covers the header with the final Lc.
    // Amendment D 6.2.4
    fn authenticate(&mut self, command: CApdu) -> CApdu {
        let CApdu { cla, ins, p1, p2, ref data, .. } = command;
        // The caller keeps wrapped commands short: `max_data`.
        let lc = u8::try_from(data.len() + self.size).unwrap_or(u8::MAX);
        self.chaining = self.s_mac.cmac(&[&self.chaining, &[cla, ins, p1, p2, lc], data]);
        let mut with_mac = data.clone();
        with_mac.extend(self.chaining.iter().take(self.size));
        CApdu { data: with_mac, ..command }
    }

    /// Initial chaining vector: the command counter, encrypted; its top bit tells answers from commands.
    // Amendment D 6.2.6, 6.2.7
    fn icv(&self, direction: u8, counter: u64) -> Block {
        let mut block = (u128::from(counter)).to_be_bytes();
        block[0] |= direction;
        self.s_enc.encrypt_block(block)
    }
}

// GPCS 2.3.1 Amendment D 6.2.5: 9000, 62xx and 63xx are protected, all else is an error
const fn is_ok_or_warning(sw: u16) -> bool {
    sw == 0x9000 || matches!(sw >> 8, 0x62 | 0x63)
}

/// Padding with `80`, then zeros to whole blocks.
// GPCS 2.3.1 B.2.3
fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.push(0x80);
    out.resize(out.len().next_multiple_of(16), 0x00);
    out
}

fn unpadded(mut data: Vec<u8>) -> Option<Vec<u8>> {
    let end = data.iter().rposition(|byte| *byte != 0x00)?;
    if data.get(end) != Some(&0x80) || data.len() - end > 16 {
        return None;
    }
    data.truncate(end);
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.parse::<Hex>().expect("hex").0
    }

    fn keys(length: u8) -> IsdKeys {
        let key = AesKey::new(&(0x40..0x40 + length).collect::<Vec<u8>>()).expect("length");
        IsdKeys { version: 0x30, enc: key.clone(), mac: key.clone(), dek: key }
    }

    fn opening() -> Opening {
        Opening { mode: ChannelMode::S8, host_challenge: (0..8).collect() }
    }

    /// Answer to INITIALIZE UPDATE of the vector's card.
    fn answer() -> Vec<u8> {
        hex("00000000000000000000 30 03 60 1011121314151617 a330f60b35761cbf")
    }

    // facts/emv.md 4, computed with yubikit
    #[test]
    fn the_vector_of_an_independent_host_holds() {
        let (channel, command) = opening().finish(&keys(16), &answer()).expect("opens");
        assert_eq!(channel.s_enc.0, hex("8aac6b39a7c426423400d8b5d9c0adc3"));
        assert_eq!(channel.s_mac.0, hex("a2e96754f593e7e80e695bec50a24283"));
        assert_eq!(channel.s_rmac.0, hex("983882695ee1ac61743415ab536ce1be"));
        assert_eq!(command.data[..8], hex("c28a6a8b99435e37"));
        assert_eq!((command.cla, command.ins, command.p1, command.p2), (0x84, 0x82, 0x33, 0x00));
        assert_eq!(command.data.len(), 16);
    }

    // NIST SP 800-38B D.1, the CMAC behind every derivation
    #[test]
    fn cmac_and_cbc_match_nist() {
        let key = AesKey::new(&hex("2b7e151628aed2a6abf7158809cf4f3c")).expect("length");
        assert_eq!(key.cmac(&[]).to_vec(), hex("bb1d6929e95937287fa37d129b756746"));
        assert_eq!(
            key.cmac(&[&hex("6bc1bee22e409f96e93d7e117393172a")]).to_vec(),
            hex("070a16b46b4d4144f79bdd9dd04a287c")
        );
        let icv = hex("000102030405060708090a0b0c0d0e0f").try_into().expect("16 bytes");
        let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let cipher = key.encrypt_cbc(icv, &plain);
        // NIST SP 800-38A F.2.1
        assert_eq!(cipher, hex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"));
        assert_eq!(key.decrypt_cbc(icv, &cipher), plain);
    }

    #[test]
    fn an_answer_that_is_not_this_cards_opens_no_channel() {
        let good = answer();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x01;
            // The diversification data is the card's own affair.
            assert_eq!(opening().finish(&keys(16), &bad).is_ok(), at < 10, "byte {at}");
        }
        for length in 0..good.len() {
            assert!(opening().finish(&keys(16), &good[..length]).is_err());
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(opening().finish(&keys(16), &longer).expect_err("longer"), ChannelError::Malformed);
        let wrong_key = IsdKeys { version: 0x31, ..keys(16) };
        assert_eq!(opening().finish(&wrong_key, &good).expect_err("version"), ChannelError::Unsupported);
    }

    #[test]
    fn a_wrapped_command_hides_its_data_and_chains_its_mac() {
        let (mut channel, first) = opening().finish(&keys(16), &answer()).expect("opens");
        let plain = CApdu::new(0x80, 0xE2, 0x88, 0x00).with_data(vec![0xAB; 15]);
        let (one, _) = channel.wrap(plain.clone());
        let (two, _) = channel.wrap(plain);
        assert_eq!((one.cla, one.data.len(), one.ne), (0x84, 16 + 8, Some(256)));
        assert_ne!(one.data, two.data, "counter and chaining go on");
        let chained = channel.s_mac.cmac(&[
            &channel.s_mac.cmac(&[&[0; 16], &[0x84, 0x82, 0x33, 0x00, 0x10], &first.data[..8]]),
            &[0x84, 0xE2, 0x88, 0x00, 24],
            &one.data[..16],
        ]);
        assert_eq!(one.data[16..], chained[..8]);
        let opened = channel.s_enc.decrypt_cbc(channel.icv(0, 1), &one.data[..16]);
        assert_eq!(unpadded(opened), Some(vec![0xAB; 15]));
    }

    #[test]
    fn an_answer_counts_only_for_its_own_command() {
        let (mut channel, _) = opening().finish(&keys(16), &answer()).expect("opens");
        let (_, first) = channel.wrap(CApdu::new(0x80, 0xF2, 0x40, 0x02).with_data(hex("4F00")));
        let (_, second) = channel.wrap(CApdu::new(0x80, 0xF2, 0x40, 0x02).with_data(hex("4F00")));
        let respond = |receipt: &Receipt, data: &[u8], sw: u16| {
            let mut out = if data.is_empty() {
                vec![]
            } else {
                channel.s_enc.encrypt_cbc(channel.icv(0x80, receipt.counter), &padded(data))
            };
            let mac = channel.s_rmac.cmac(&[&receipt.chaining, &out, &sw.to_be_bytes()]);
            out.extend_from_slice(&mac[..8]);
            out
        };
        let data = respond(&first, b"registry", 0x9000);
        assert_eq!(channel.unwrap(&first, &data, 0x9000), Ok(b"registry".to_vec()));
        assert_eq!(channel.unwrap(&second, &data, 0x9000), Err(ChannelError::ResponseMac));
        assert_eq!(channel.unwrap(&first, &data, 0x6310), Err(ChannelError::ResponseMac));
        for length in 0..data.len() {
            assert_eq!(channel.unwrap(&first, &data[..length], 0x9000), Err(ChannelError::ResponseMac));
        }
        assert_eq!(channel.unwrap(&first, &respond(&first, &[], 0x9000), 0x9000), Ok(vec![]));
        assert_eq!(channel.unwrap(&first, &[], 0x6A80), Ok(vec![]), "an error carries no MAC");
        assert_eq!(channel.unwrap(&first, &[], 0x9000), Err(ChannelError::ResponseMac), "success must");
    }

    #[test]
    fn every_key_size_and_mode_keeps_a_full_block_within_a_short_command() {
        for length in [16, 24, 32] {
            for mode in [ChannelMode::S8, ChannelMode::S16] {
                let opening = Opening { mode, host_challenge: vec![7; mode.bytes()] };
                let keys = keys(length);
                let challenge = vec![9; mode.bytes()];
                let context = [opening.host_challenge.as_slice(), &challenge];
                let cryptogram = keys.mac.derive_key(0x06, &context).derive(0x00, mode.bytes(), &context);
                let i = if mode == ChannelMode::S16 { 0x61 } else { 0x60 };
                let answer = [&[0; 10][..], &[0x30, 0x03, i], &challenge, &cryptogram].concat();
                let (mut channel, _) = opening.finish(&keys, &answer).expect("opens");
                let (wrapped, _) = channel.wrap(CApdu::new(0x80, 0xE2, 0, 0).with_data(vec![1; channel.max_data()]));
                assert!(wrapped.data.len() <= 255 && wrapped.data.len() + 16 > 255, "{}", wrapped.data.len());
                assert_eq!(channel.max_data(), if mode == ChannelMode::S8 { 239 } else { 223 });
            }
        }
    }
}
