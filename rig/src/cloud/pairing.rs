//! The signature that a first pairing needs: the band trusts whom the cloud vouches for.
//!
//! That the band checks an RSA signature is assumed (facts/band-ble.md 1.5 d names the hash, the key's hash and the way of the
//! signature, not its form): PKCS #1 v1.5 with SHA-256, under the key of `fixtures/keys/`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::api::Refusal;

/// Signatures that are remembered, at most: every point of a sweep asks for the same one.
const MAX_REMEMBERED: usize = 256;

/// The cloud's key. Prints masked.
#[derive(Clone)]
pub struct PairingKey(Arc<Signer>);

struct Signer {
    key: RsaPrivateKey,
    /// By digest. The padding is deterministic, so to remember is to sign again, a thousand times faster.
    signed: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl PairingKey {
    /// Reads a PKCS #1 PEM file, such as `fixtures/keys/pairing.pem`.
    pub fn from_pem(pem: &str) -> Result<Self, rsa::pkcs1::Error> {
        RsaPrivateKey::from_pkcs1_pem(pem).map(|key| Self(Arc::new(Signer { key, signed: Mutex::default() })))
    }

    /// Modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> Vec<u8> {
        self.0.key.n().to_bytes_be()
    }

    /// Public exponent, big-endian.
    #[must_use]
    pub fn exponent(&self) -> Vec<u8> {
        self.0.key.e().to_bytes_be()
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
        let mut signed = self.0.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = signed.get(digest) {
            return Ok(signature.clone());
        }
        // The padding scheme refuses a digest of another length.
        let signature = self.0.key.sign(Pkcs1v15Sign::new::<Sha256>(), digest).map_err(|_| Refusal::PairingFailed)?;
        if signed.len() >= MAX_REMEMBERED {
            signed.clear();
        }
        signed.insert(digest.to_vec(), signature.clone());
        Ok(signature)
    }
}

impl fmt::Debug for PairingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingKey(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;

    #[test]
    fn a_signature_is_checked_with_the_public_half() {
        let key = fixtures::pairing_key();
        let digest: [u8; 32] = Sha256::digest(b"address and random").into();
        let signature = key.sign(&digest, &key.public_key_hash()).expect("signed");
        let public = key.0.key.to_public_key();
        assert!(public.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, &signature).is_ok());
        let other: [u8; 32] = Sha256::digest(b"something else").into();
        assert!(public.verify(Pkcs1v15Sign::new::<Sha256>(), &other, &signature).is_err());
        assert_eq!(
            key.sign(&digest, &[]),
            Ok(signature),
            "a band that does not name its key, and the digest once more"
        );
    }

    #[test]
    fn a_digest_of_another_length_and_an_unknown_key_are_refused() {
        let key = fixtures::pairing_key();
        for length in (0..=64).filter(|length| *length != 32) {
            assert_eq!(key.sign(&vec![0; length], &[]), Err(Refusal::PairingFailed), "{length}");
        }
        assert_eq!(key.sign(&[0; 32], &[0; 16]), Err(Refusal::PairingFailed));
        assert_eq!(key.sign(&[0; 32], &key.public_key_hash()[..15]), Err(Refusal::PairingFailed));
    }

    #[test]
    fn the_readme_names_the_key_in_the_file() {
        let key = fixtures::pairing_key();
        let readme = fixtures::read("keys/README.md");
        for part in [key.modulus(), key.exponent(), key.public_key_hash().to_vec()] {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(readme.contains(&format!("`{hex}`")));
        }
    }
}
