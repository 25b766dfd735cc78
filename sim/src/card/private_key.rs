//! The card's RSA key, and the signed dynamic application data it makes for CDA, DDA and fDDA.

use alloc::vec::Vec;
use core::fmt;

use rsa::BigUint;
use sha1::{Digest, Sha1};
use zeroize::Zeroize;

use super::signatures::Signatures;

/// An RSA private key in CRT form. Printed masked, wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey {
    /// p q, big-endian.
    modulus: Vec<u8>,
    p: BigUint,
    q: BigUint,
    /// d mod (p - 1).
    d_p: BigUint,
    /// d mod (q - 1).
    d_q: BigUint,
    /// q^-1 mod p.
    q_inverse: BigUint,
}

impl PrivateKey {
    /// The longest modulus that EMV allows (EMV 4.4 B2 B2.1).
    const MAX_MODULUS_BYTES: usize = 248;

    /// The key of the data groupings 8201 to 8205: q^-1 mod p, d mod (q - 1), d mod (p - 1), q, p; big-endian.
    ///
    /// `None` when they do not belong together, or when the modulus is not 64 to 248 bytes long.
    // EMV CPS 1.1 table 14
    #[must_use]
    pub fn from_crt([q_inverse, d_q, d_p, q, p]: [&[u8]; 5]) -> Option<Self> {
        let [q_inverse, d_q, d_p, q, p] = [q_inverse, d_q, d_p, q, p].map(BigUint::from_bytes_be);
        let one = BigUint::from(1_u8);
        let is_odd = |number: &BigUint| number.to_bytes_le().first().is_some_and(|low| low & 1 == 1);
        if !is_odd(&p) || !is_odd(&q) || p <= one || q <= one {
            return None;
        }
        // Garner's formula needs both.
        if q_inverse >= p || (&q_inverse * &q) % &p != one {
            return None;
        }
        let modulus = (&p * &q).to_bytes_be();
        (64..=Self::MAX_MODULUS_BYTES).contains(&modulus.len()).then_some(Self { modulus, p, q, d_p, d_q, q_inverse })
    }

    /// Signed dynamic application data (9F4B): `6A 05 01`, the ICC dynamic data with their length, padding, SHA-1 over all
    /// that and `challenge`, `BC`; under the key. `None` when the key is too short for them.
    // EMV 4.4 B2 6.5.1 table 13, 6.6.1 table 19
    #[must_use]
    pub fn sign_dynamic_data(&self, signatures: &Signatures, dynamic: &[u8], challenge: &[&[u8]]) -> Option<Vec<u8>> {
        // 6A 05 01 length … hash BC
        let room = self.modulus.len().checked_sub(25)?.checked_sub(dynamic.len())?;
        let mut message = Vec::with_capacity(self.modulus.len());
        message.extend([0x6A, 0x05, 0x01, u8::try_from(dynamic.len()).ok()?]);
        message.extend_from_slice(dynamic);
        message.extend(core::iter::repeat_n(0xBB, room));
        let mut hash = Sha1::new().chain_update(message.get(1..)?);
        challenge.iter().for_each(|part| hash.update(part));
        message.extend(hash.finalize());
        message.push(0xBC);
        Some(signatures.sign(self, message))
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// m^d mod pq by Garner's recombination, as long as the modulus.
    // EMV 4.4 B2 B2.1
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let message = BigUint::from_bytes_be(message);
        let of_p = (&message % &self.p).modpow(&self.d_p, &self.p);
        let of_q = (&message % &self.q).modpow(&self.d_q, &self.q);
        let difference = (of_p + &self.p) - (&of_q % &self.p);
        let signature = of_q + ((difference * &self.q_inverse) % &self.p) * &self.q;
        let digits = signature.to_bytes_be();
        let mut bytes = Vec::from_iter(core::iter::repeat_n(0, self.modulus.len().saturating_sub(digits.len())));
        bytes.extend(digits);
        bytes
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        for part in [&mut self.p, &mut self.q, &mut self.d_p, &mut self.d_q, &mut self.q_inverse] {
            part.zeroize();
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(masked, {} bytes)", self.modulus.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::host::{crt_parts as parts, recover, rsa_key as fixture};

    fn private(parts: &[Vec<u8>; 5]) -> Option<PrivateKey> {
        PrivateKey::from_crt(parts.each_ref().map(Vec::as_slice))
    }

    #[test]
    fn the_public_half_gives_back_what_was_signed() {
        let (private, signatures) = (private(&parts(&fixture())).unwrap(), Signatures::default());
        for dynamic in [&[][..], &[2, 0, 1], &[0x5A; 103]] {
            let signature = private.sign_dynamic_data(&signatures, dynamic, &[b"chal", b"lenge"]).unwrap();
            assert_eq!(signature.len(), 128);
            let message = recover(&signature);
            assert_eq!(message[..3], [0x05, 0x01, dynamic.len() as u8]);
            assert_eq!(message[3..3 + dynamic.len()], *dynamic);
            assert!(message[3 + dynamic.len()..106].iter().all(|byte| *byte == 0xBB));
            let hash = Sha1::new().chain_update(&message[..106]).chain_update(b"challenge").finalize();
            assert_eq!(message[106..], hash[..]);
        }
        assert_eq!(private.sign_dynamic_data(&signatures, &[0; 104], &[]), None);
    }

    #[test]
    fn parts_that_do_not_belong_together_make_no_key() {
        let good = parts(&fixture());
        for at in [0, 3, 4] {
            let mut bad = good.clone();
            bad[at][63] ^= 0x04;
            assert!(private(&bad).is_none(), "part {at}");
            bad[at].clear();
            assert!(private(&bad).is_none(), "part {at}");
        }
        let short = [&[1][..], &[1], &[1], &[3], &[5]];
        assert!(PrivateKey::from_crt(short).is_none());
    }

    #[test]
    fn a_key_prints_masked() {
        let key = private(&parts(&fixture())).unwrap();
        assert_eq!(alloc::format!("{key:?}"), "PrivateKey(masked, 128 bytes)");
    }
}
