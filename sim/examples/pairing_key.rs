//! Makes the RSA key pair of signed pairing that stands in the band profiles: `cargo run -p band-sim --example pairing_key`.
//!
//! Its seed is fixed, so it always prints the same key. 1024 bits keep simulated pairings cheap; nothing is protected by it.

use band_sim::wire::hex::Hex;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::RsaPrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use sha1::{Digest, Sha1};

const SEED: u64 = 0x6261_6E64;

fn main() -> Result<(), rsa::Error> {
    let key = RsaPrivateKey::new(&mut ChaCha8Rng::seed_from_u64(SEED), 1024)?;
    let modulus = key.n().to_bytes_be();
    let hash = Sha1::digest(&modulus);
    println!("  pairing_public_key_hash: \"{}\"", Hex(hash.iter().copied().take(16).collect()));
    println!("  modulus: \"{}\"", Hex(modulus));
    println!("  public_exponent: \"{}\"", Hex(key.e().to_bytes_be()));
    println!("  private_exponent: \"{}\"", Hex(key.d().to_bytes_be()));
    for prime in key.primes() {
        println!("  prime: \"{}\"", Hex(prime.to_bytes_be()));
    }
    Ok(())
}
