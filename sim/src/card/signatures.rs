//! A memory of the signatures a card has made, shared by its copies.
//!
//! An RSA signature is the slowest thing a card does, and a copy of a card that is asked the same signs the same: every point of a
//! sweep pays at the same till. Without an operating system there is no memory, and every signature is made.

use alloc::vec::Vec;

use super::private_key::PrivateKey;

/// The signatures made by a card and its copies.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    #[cfg(feature = "std")]
    made: alloc::sync::Arc<std::sync::Mutex<Made>>,
}

/// Signatures by the modulus of their key and the message.
#[cfg(feature = "std")]
type Made = alloc::collections::BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

/// Signatures remembered; past it they are made again.
#[cfg(feature = "std")]
const MAX_REMEMBERED: usize = 256;

impl Signatures {
    /// `message` under `key`: made, or remembered from a copy that made it.
    #[cfg(feature = "std")]
    pub fn sign(&self, key: &PrivateKey, message: Vec<u8>) -> Vec<u8> {
        // A poisoned memory is still a right one: entries are put in whole.
        let made = || self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let what = (key.modulus().to_vec(), message);
        if let Some(signature) = made().get(&what) {
            return signature.clone();
        }
        let signature = key.sign(&what.1);
        let mut made = made();
        if made.len() >= MAX_REMEMBERED {
            made.clear();
        }
        made.insert(what, signature.clone());
        signature
    }

    /// `message` under `key`.
    #[cfg(not(feature = "std"))]
    pub fn sign(&self, key: &PrivateKey, message: Vec<u8>) -> Vec<u8> {
        key.sign(&message)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::card::host::{crt_parts as parts, rsa_key as fixture};

    #[test]
    fn a_copy_that_signs_the_same_remembers() {
        let key = PrivateKey::from_crt(parts(&fixture()).each_ref().map(Vec::as_slice)).unwrap();
        let one = Signatures::default();
        let other = one.clone();
        let remembered = |signatures: &Signatures| signatures.made.lock().unwrap().len();
        let message = |low: u8| [alloc::vec![0; 127], alloc::vec![low]].concat();
        assert_eq!(one.sign(&key, message(1)), other.sign(&key, message(1)));
        assert_eq!(remembered(&one), 1);
        assert_eq!(other.sign(&key, message(2)), key.sign(&message(2)));
        assert_eq!(remembered(&one), 2);
        (0..=255).for_each(|low| drop(one.sign(&key, message(low))));
        assert!(remembered(&one) <= MAX_REMEMBERED);
    }
}
