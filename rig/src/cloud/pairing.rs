//! The signature that a first pairing needs: the band trusts whom the cloud vouches for.
//!
//! That the band checks an RSA signature is assumed (facts/band-ble.md 1.5 d names the hash, the key's hash and the way of the
//! signature, not its form): PKCS #1 v1.5 with SHA-256, under the key of `fixtures/keys/`.

use std::fmt;
use std::sync::Arc;

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::api::Refusal;

/// The cloud's key. Prints masked.
#[derive(Clone)]
pub struct PairingKey(Arc<RsaPrivateKey>);

impl PairingKey {
    /// Reads a PKCS #1 PEM file, such as `fixtures/keys/pairing.pem`.
    pub fn from_pem(pem: &str) -> Result<Self, rsa::pkcs1::Error> {
        RsaPrivateKey::from_pkcs1_pem(pem).map(|key| Self(Arc::new(key)))
    }

    /// Modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> Vec<u8> {
        self.0.n().to_bytes_be()
    }

    /// Public exponent, big-endian.
    #[must_use]
    pub fn exponent(&self) -> Vec<u8> {
        self.0.e().to_bytes_be()
    }

    /// What a band sends to name the key it trusts: the first 16 bytes of SHA-1 over the modulus (assumed).
    #[must_use]
    pub fn public_key_hash(&self) -> [u8; 16] {
        let digest = Sha1::digest(self.modulus());
        let mut hash = [0; 16];
        hash.iter_mut().zip(digest).for_each(|(cell, byte)| *cell = byte);
        hash
    }

    /// Signs a SHA-256 digest.
    ///
    /// `public_key_hash` names the key the band trusts; empty: the band did not say.
    pub fn sign(&self, digest: &[u8], public_key_hash: &[u8]) -> Result<Vec<u8>, Refusal> {
        if !public_key_hash.is_empty() && public_key_hash != self.public_key_hash() {
            return Err(Refusal::PairingFailed);
        }
        // The padding scheme refuses a digest of another length.
        self.0.sign(Pkcs1v15Sign::new::<Sha256>(), digest).map_err(|_| Refusal::PairingFailed)
    }
}

impl fmt::Debug for PairingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingKey(masked)")
    }
}
