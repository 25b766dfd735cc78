//! A secure element on a pipe: one C-APDU in hex per line in, one R-APDU in hex per line out.
//!
//! It lets foreign programs talk to the card with nothing in between. `reset` on a line of its own resets the interface,
//! `digest` answers the digest of its memory.
//!
//! ```sh
//! cargo run -p bandrig --example card_stdio -- --mode s8 --key-bytes 16
//! ```

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use band_sim::card::profile::CardProfile;
use band_sim::card::scp03::Implementation;
use band_sim::card::{Card, Interface};
use band_sim::rng::Rng;
use band_sim::wire::hex::Hex;
use clap::{Parser, ValueEnum};

/// A secure element on standard input and output.
#[derive(Parser)]
struct Options {
    /// Length of the SCP03 keys, which count up from 40.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(16..=32))]
    key_bytes: u8,
    /// Challenges, cryptograms and MACs of 8 or of 16 bytes.
    #[arg(long, value_enum, default_value_t = Mode::S16)]
    mode: Mode,
    /// A random card challenge instead of one derived from the sequence counter.
    #[arg(long)]
    random_challenge: bool,
    /// Talk as a reader in whose field the card is, not as the band's processor.
    #[arg(long)]
    contactless: bool,
    /// Seed of everything random in the card.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    S8,
    S16,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("card_stdio: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let profile = profile(options);
    if profile.issuer_security_domain.keys.value.static_keys().is_none() {
        return Err(io::Error::other("AES keys have 16, 24 or 32 bytes"));
    }
    let interface = if options.contactless { Interface::Contactless } else { Interface::Wired };
    let mut card = Card::new(&profile, Rng::new(options.seed));
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&mut card, interface, line?.trim()))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(card: &mut Card, interface: Interface, line: &str) -> String {
    match line {
        "reset" => {
            card.reset(interface);
            "ok".to_owned()
        }
        "digest" => Hex(card.nvm_digest().to_vec()).to_string(),
        hex => match hex.parse::<Hex>() {
            Ok(bytes) => Hex(card.handle_bytes(interface, &bytes)).to_string(),
            Err(error) => format!("not hex: {error}"),
        },
    }
}

fn profile(options: &Options) -> CardProfile {
    let mut profile = CardProfile::default();
    let domain = &mut profile.issuer_security_domain;
    let key = Hex((0x40..).take(usize::from(options.key_bytes)).collect());
    for part in [&mut domain.keys.value.enc, &mut domain.keys.value.mac, &mut domain.keys.value.dek] {
        part.0 = key.clone();
    }
    let mode = match options.mode {
        Mode::S8 => 0x00,
        Mode::S16 => 0x01,
    };
    domain.scp03_i.value = Implementation(0x60 | mode | if options.random_challenge { 0x00 } else { 0x10 });
    profile
}
