//! How a phone proves that it knows the key, and how it gets one.

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::io::{BandEvent, Display, Output};
use super::session::{Channel, State, Stop};
use super::{Band, Timer};
use crate::time::Instant;
use crate::wire::frame::auth::{AuthKey, Dialect, PairingInfo, Reply, SignedAnswer};
use crate::wire::frame::reply::ReplyCode;

/// DER of the DigestInfo before a SHA-256 digest (RFC 8017 9.2, note 1).
const DIGEST_INFO_SHA_256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// What is signed in a first pairing, and what the key is taken from: SHA-256(address ‖ random number).
#[must_use]
pub fn pairing_digest(address: [u8; 6], random: &[u8; 16]) -> [u8; 32] {
    Sha256::new().chain_update(address).chain_update(random).finalize().into()
}

/// The key a first pairing agrees on: the first 16 bytes of [`pairing_digest`].
#[must_use]
pub fn pairing_key(digest: &[u8; 32]) -> AuthKey {
    let (key, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    AuthKey(*key)
}

/// The right answer to a challenge: the random number under the key, AES-128-ECB.
#[must_use]
pub fn answer(key: &AuthKey, random: &[u8; 16]) -> [u8; 16] {
    let mut block = (*random).into();
    Aes128::new(&key.0.into()).encrypt_block(&mut block);
    block.into()
}

impl Band {
    pub(super) fn tell_pairing(&mut self) {
        let authentication = &self.profile.authentication;
        let info = PairingInfo::Signed {
            algorithm: authentication.pairing_algorithm.value,
            version: authentication.pairing_version.value,
            public_key_hash: authentication.pairing_public_key_hash.value.first_chunk().copied().unwrap_or_default(),
        };
        self.state = State::PairingProbed;
        self.notify_auth(&Reply::pairing_info(&info));
    }

    pub(super) fn challenge(&mut self, dialect: Dialect) -> [u8; 16] {
        let random = self.rng.array();
        self.notify_auth(&Reply::random(dialect, random));
        random
    }

    pub(super) fn check_answer(&mut self, random: &[u8; 16], dialect: Dialect, block: &[u8; 16]) {
        let command = dialect.answer_command();
        let right = self.settings.auth_key().is_some_and(|key| answer(&key, random).ct_eq(block).into());
        if right {
            self.state = State::Authenticated(Channel::Closed);
            self.notify_auth(&Reply::new(command, ReplyCode::Success));
            self.push(Output::Event(BandEvent::Authenticated));
        } else {
            let code = ReplyCode::from_byte(self.profile.authentication.wrong_key_code.value);
            self.state = State::Unauthenticated;
            self.notify_auth(&Reply::new(command, code));
            self.push(Output::Event(BandEvent::WrongKey));
        }
    }

    pub(super) fn check_signature(&mut self, now: Instant, random: &[u8; 16], answer: &SignedAnswer) {
        let digest = pairing_digest(self.profile.identity.address(), random);
        if self.is_signed(&digest, &answer.signature) {
            self.notify_auth(&Reply::new(SignedAnswer::COMMAND, ReplyCode::Success));
            self.ask_wearer(now, pairing_key(&digest));
        } else {
            self.state = State::Unauthenticated;
            self.notify_auth(&Reply::new(SignedAnswer::COMMAND, ReplyCode::Failed));
            self.push(Output::Event(BandEvent::PairingSignatureWrong));
        }
    }

    pub(super) fn ask_wearer(&mut self, now: Instant, key: AuthKey) {
        self.timers.set(Timer::PairingConfirm, now + self.profile.authentication.confirm_timeout.value.0);
        self.state = State::AwaitingConfirm(key);
        self.push(Output::Display(Display::ConfirmPairing));
        self.push(Output::Event(BandEvent::PairingAsked));
    }

    pub(super) fn pair(&mut self, key: &AuthKey) -> Result<(), Stop> {
        self.settings.set_auth_key(key)?;
        self.timers.clear(Timer::PairingConfirm);
        self.state = State::Unauthenticated;
        self.push(Output::Display(Display::Idle));
        self.notify_auth(&Reply::paired(ReplyCode::Success));
        self.push(Output::Event(BandEvent::Paired));
        Ok(())
    }

    fn is_signed(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        let public = &self.profile.authentication.pairing_public_key.value;
        let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
        let Ok(key) = RsaPublicKey::new(number(&public.modulus), number(&public.public_exponent)) else {
            return false;
        };
        let scheme = Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: DIGEST_INFO_SHA_256.into() };
        key.verify(scheme, digest, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The checked vectors of the public sources.
    #[test]
    fn the_answer_to_a_challenge_is_one_block_of_aes() {
        let random = core::array::from_fn(|index| index as u8);
        let key = AuthKey(*b"0123456789@ABCDE");
        let expected = "f5003494346bffac69990bf7f317e5db".parse::<crate::wire::hex::Hex>().unwrap();
        assert_eq!(answer(&key, &random), *expected);
    }

    #[test]
    fn the_key_of_a_pairing_is_the_first_half_of_its_digest() {
        let random = core::array::from_fn(|index| index as u8);
        let digest = pairing_digest([0xD1, 0xC5, 0x15, 0x51, 0x03, 0x89], &random);
        let expected = "088702f9e9359a50c1dac236aee9c1a792c831e6be99d7f144a76248ada30270";
        assert_eq!(digest, *expected.parse::<crate::wire::hex::Hex>().unwrap());
        assert_eq!(pairing_key(&digest).0, digest[..16]);
    }
}
