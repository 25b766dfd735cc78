//! Makes `fixtures/keys/`: the key that signs first pairings. Seeded, so that everybody makes the same one.
//!
//!     cargo run --release --example fixture_keys
//!
//! No run of the bench makes keys: RSA key generation is slow, and a fixture is the same everywhere.

use std::error::Error;
use std::fs;
use std::path::Path;

use band_sim::rng::Rng;
use bandrig::cloud::pairing::PairingKey;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use rsa::rand_core;

/// That of `sim/examples/pairing_key.rs`, which makes the public half of the same key for the band's profile.
const SEED: u64 = 0x6261_6E64;

/// Enough for a simulator, and quick to sign with.
const BITS: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys");
    let key = RsaPrivateKey::new(&mut Seeded(Rng::new(SEED)), BITS).map_err(|error| error.to_string())?;
    let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|error| error.to_string())?;
    let pairing_key = PairingKey::from_pem(&pem).map_err(|error| error.to_string())?;
    fs::write(folder.join("pairing.pem"), &*pem)?;
    fs::write(folder.join("README.md"), readme(&pairing_key))?;
    println!("written to {}", folder.display());
    Ok(())
}

fn readme(key: &PairingKey) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "# Test keys

Made by `cargo run --release --example fixture_keys`, from a fixed seed: everybody makes the same ones. They open nothing.

`pairing.pem`: RSA, {BITS} bit, PKCS #1. The cloud signs the digest of a first pairing with it (PKCS #1 v1.5, SHA-256; assumed).
The band's profile has the public half:

| | hex |
|---|---|
| modulus | `{}` |
| exponent | `{}` |
| key hash: the first 16 bytes of SHA-1 over the modulus (assumed) | `{}` |
",
        hex(&key.modulus()),
        hex(&key.exponent()),
        hex(&key.public_key_hash()),
    )
}

/// The bench's generator as the `rsa` crate wants it.
struct Seeded(Rng);

impl rand_core::RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.0.array())
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand_core::CryptoRng for Seeded {}
