//! `bandrig warranty check` (W1–W4).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{Timestamp, civil};

use super::{EXIT_BAD_INPUT, EXIT_STATION};
use crate::cloud::warranty::{Proof, Query, WarrantyDesk};
use crate::station::fixtures::Fixtures;

/// The vendor's authenticity and warranty check.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Warranty {
    /// Ask the registry about a unit: validity, coverage, remaining duration, whom to turn to.
    Check(Check),
}

/// What is asked.
#[derive(Clone, Debug, Args)]
pub(super) struct Check {
    /// Country of the purchase, ISO 3166 two letters.
    #[arg(long)]
    country: String,
    /// The 20 digits under the scratch layer of the box.
    #[arg(long)]
    code: String,
    /// The serial number on the back of the band.
    #[arg(long)]
    serial: Option<String>,
    /// The date on the receipt, `2026-02-28`.
    #[arg(long, value_name = "DATE")]
    purchased: Option<civil::Date>,
    /// The form of the receipt.
    #[arg(long, value_enum, default_value_t = ProofArg::Paper)]
    proof: ProofArg,
    /// What is broken, when the unit needs service.
    #[arg(long, value_name = "TEXT")]
    fault: Option<String>,
    /// The instant of the check instead of now, `2026-03-01T09:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The fixtures folder.
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    fixtures: PathBuf,
}

/// The form of a proof of purchase (W2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProofArg {
    /// The receipt or a copy.
    Paper,
    /// An e-mail.
    Email,
    /// A PDF.
    Pdf,
}

pub(super) fn warranty(command: &Warranty) -> u8 {
    let Warranty::Check(check) = command;
    let registry = match Fixtures::load_warranty(&check.fixtures) {
        Ok(registry) => registry,
        Err(error) => {
            eprintln!("bandrig: {error}");
            return EXIT_STATION;
        }
    };
    let query = Query {
        country: check.country.clone(),
        code: Some(check.code.clone()),
        serial: check.serial.clone(),
        purchased: check.purchased,
        proof: check.purchased.map(|_| match check.proof {
            ProofArg::Paper => Proof::Paper,
            ProofArg::Email => Proof::Email,
            ProofArg::Pdf => Proof::Pdf,
        }),
        fault: check.fault.clone(),
    };
    let at = check.at.unwrap_or_else(Timestamp::now);
    match WarrantyDesk::new(registry).check(at, &query) {
        Ok(answer) => {
            super::print(&answer.to_string());
            0
        }
        Err(refused) => {
            eprintln!("bandrig: {refused}");
            EXIT_BAD_INPUT
        }
    }
}
