//! Seeded randomness, handed in. Same seed, same bytes; nothing in the core asks the machine for entropy.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A seeded generator. Clones run on alike; [`Rng::fork`] makes independent streams.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// An independent generator for one user, named by `label`, so that a new user never shifts the bytes of another.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let digest = Sha256::new().chain_update(self.0.get_seed()).chain_update(label).finalize();
        Self(ChaCha8Rng::from_seed(digest.into()))
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// `N` fresh bytes.
    #[must_use]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// 64 fresh bits.
    #[must_use]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; zero when `bound` is zero. The bias is below `bound` / 2^64.
    #[must_use]
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_bytes() {
        assert_eq!(Rng::new(7).array::<32>(), Rng::new(7).array::<32>());
        assert_ne!(Rng::new(7).array::<32>(), Rng::new(8).array::<32>());
    }

    #[test]
    fn forks_do_not_depend_on_what_was_drawn_before() {
        let mut rng = Rng::new(1);
        let before = rng.fork("card").array::<8>();
        let _ = rng.next_u64();
        assert_eq!(rng.fork("card").array::<8>(), before);
        assert_ne!(rng.fork("band").array::<8>(), before);
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::new(2);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert_eq!(rng.below(0), 0);
    }
}
