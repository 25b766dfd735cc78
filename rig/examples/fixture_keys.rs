//! Makes `fixtures/keys/`: the key that signs first pairings, and the chain of offline data authentication. Seeded, so that
//! everybody makes the same ones.
//!
//!     cargo run --release --example fixture_keys
//!
//! No run of the bench makes keys: RSA key generation is slow, and a fixture is the same everywhere.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use band_sim::rng::Rng;
use bandrig::cloud::certificates::{Key, certificate, padded_number};
use bandrig::cloud::pairing::PairingKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use rsa::rand_core;
use rsa::{BigUint, RsaPrivateKey};

/// That of `sim/examples/pairing_key.rs`, which makes the public half of the same key for the band's profile.
const SEED: u64 = 0x6261_6E64;

/// Enough for a simulator, and quick to sign with.
const BITS: usize = 1024;

/// Of the authorities' keys: a certificate must hold more than the key it is about.
const AUTHORITY_BITS: usize = 1152;

/// The index that both schemes' test keys have (8F); not one of those in use.
const AUTHORITY_INDEX: u8 = 0xB7;

/// Certificates and authorities' keys last until the end of this month, `MM YY`.
const EXPIRES: [u8; 2] = [0x12, 0x35];
/// As a certificate has it that scenarios put in the place of a good one.
const EXPIRED: [u8; 2] = [0x12, 0x25];

/// How many keys the cards share.
const CARD_KEYS: usize = 4;

const SCHEMES: [(&str, [u8; 5]); 2] =
    [("mastercard", [0xA0, 0x00, 0x00, 0x00, 0x04]), ("visa", [0xA0, 0x00, 0x00, 0x00, 0x03])];

const MADE_BY: &str =
    "# Source: made by `cargo run --release --example fixture_keys` from a fixed seed. Test keys: they open nothing.\n";

fn main() -> Result<(), Box<dyn Error>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let folder = fixtures.join("keys");
    let key = RsaPrivateKey::new(&mut Seeded(Rng::new(SEED)), BITS).map_err(|error| error.to_string())?;
    let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|error| error.to_string())?;
    let pairing_key = PairingKey::from_pem(&pem).map_err(|error| error.to_string())?;
    fs::write(folder.join("pairing.pem"), &*pem)?;
    fs::write(folder.join("README.md"), readme(&pairing_key))?;
    write_chain(&fixtures)?;
    println!("written to {}", folder.display());
    Ok(())
}

/// The authorities' public keys for terminals, and the issuers' and cards' keys for the bank. The authorities' private keys
/// are kept by nobody.
fn write_chain(fixtures: &Path) -> Result<(), Box<dyn Error>> {
    let identifiers = issuer_identifiers(&fixtures.join("cards"))?;
    let mut authorities = format!("# What the schemes publish for terminals.\n{MADE_BY}");
    let mut issuers = format!(
        "# Issuers' keys with the schemes' certificates over them, by the first digits of the card numbers, and the keys that cards\n\
         # share. Certificates: EMV 4.4 B2 table 2.\n{MADE_BY}issuers:\n"
    );
    for (scheme, rid) in SCHEMES {
        let authority = made(&format!("authority {scheme}"), AUTHORITY_BITS)?.1;
        let (pem, issuer) = made(&format!("issuer {scheme}"), BITS)?;
        let [month, year] = EXPIRES;
        writeln!(
            authorities,
            "- {{ rid: \"{}\", index: \"{AUTHORITY_INDEX:02X}\", exponent: 3, expires: \"{month:02X} {year:02X}\", modulus: \"{}\" }}",
            hex(&rid, " "),
            hex(&authority.modulus(), "")
        )?;
        write!(
            issuers,
            "  - scheme: {scheme}\n    authority: \"{AUTHORITY_INDEX:02X}\"\n    key: |\n{}    certificates:\n",
            indented(&pem, 6)
        )?;
        for (serial, identifier) in identifiers.get(scheme).into_iter().flatten().enumerate() {
            let certified = |expires: [u8; 2]| -> Result<(String, String), Box<dyn Error>> {
                let mut head = vec![0x02];
                head.extend(padded_number::<4>(identifier));
                head.extend(expires);
                head.extend([0x00, 0x00, u8::try_from(serial + 1)?]);
                let (message, remainder) = certificate(&head, &issuer, authority.modulus_bytes(), &[])
                    .ok_or("the authority's key is too short")?;
                Ok((hex(&authority.sign(&message), ""), hex(&remainder, "")))
            };
            let (signed, remainder) = certified(EXPIRES)?;
            writeln!(
                issuers,
                "      - identifier: \"{identifier}\"\n        certificate: \"{signed}\"\n        remainder: \"{remainder}\""
            )?;
            println!("{scheme} {identifier}, the same but expired, for scenarios: {}", certified(EXPIRED)?.0);
        }
    }
    issuers.push_str("cards:\n");
    for number in 0..CARD_KEYS {
        let (pem, _) = made(&format!("card {number}"), BITS)?;
        write!(issuers, "  - |\n{}", indented(&pem, 4))?;
    }
    fs::write(fixtures.join("keys/authorities.yaml"), authorities)?;
    fs::write(fixtures.join("keys/issuers.yaml"), issuers)?;
    Ok(())
}

/// The first digits of the tokens of each scheme's card products.
fn issuer_identifiers(cards: &Path) -> Result<BTreeMap<String, Vec<String>>, Box<dyn Error>> {
    let mut identifiers = BTreeMap::<String, Vec<String>>::new();
    for entry in fs::read_dir(cards)? {
        let text = fs::read_to_string(entry?.path())?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(scheme), Some(identifier)) = (value("scheme"), value("token_bin")) {
            identifiers.entry(scheme).or_default().push(identifier);
        }
    }
    for list in identifiers.values_mut() {
        list.sort();
        list.dedup();
    }
    Ok(identifiers)
}

/// A key with exponent 3, as PEM too.
fn made(label: &str, bits: usize) -> Result<(String, Key), Box<dyn Error>> {
    let mut rng = Seeded(Rng::new(SEED).fork(label));
    let key = RsaPrivateKey::new_with_exp(&mut rng, bits, &BigUint::from(3_u8)).map_err(|error| error.to_string())?;
    let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|error| error.to_string())?.to_string();
    Ok((pem, Key::new(key)?))
}

fn indented(text: &str, spaces: usize) -> String {
    text.lines().fold(String::new(), |all, line| all + &" ".repeat(spaces) + line + "\n")
}

fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(between)
}

fn readme(key: &PairingKey) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "# Test keys

Made by `cargo run --release --example fixture_keys`, from a fixed seed: everybody makes the same ones. They open nothing.

`authorities.yaml`: the public keys of the schemes' test certification authorities (RSA, {AUTHORITY_BITS} bit, exponent 3), as terminals
have them. `issuers.yaml`: the issuers' keys ({BITS} bit, exponent 3) with the authorities' certificates over them, and the keys that the
cards share. Nobody keeps the authorities' private keys; the generator makes them again.

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
