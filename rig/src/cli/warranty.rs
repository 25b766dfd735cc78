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
    #[arg(long, value_name = "DATE", value_parser = date)]
    purchased: Option<civil::Date>,
    /// The form of the receipt.
    #[arg(long, value_enum, default_value_t = ProofArg::Paper)]
    proof: ProofArg,
    /// What is broken, when the unit needs service.
    #[arg(long, value_name = "TEXT", value_parser = description)]
    fault: Option<String>,
    /// The instant of the check instead of now, `2026-03-01T09:00:00Z`.
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
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

fn date(text: &str) -> Result<civil::Date, String> {
    text.parse().map_err(|error: jiff::Error| format!("write the day as 2026-02-28; {error}"))
}

/// An empty description describes nothing.
fn description(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("say what is broken".to_owned()) } else { Ok(text.to_owned()) }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error: jiff::Error| format!("write the instant as 2026-03-01T09:00:00Z; {error}"))
}

pub(super) fn warranty(command: &Warranty) -> u8 {
    let Warranty::Check(check) = command;
    let registry = match Fixtures::load_warranty(&check.fixtures) {
        Ok(registry) => registry,
        Err(error) => {
            super::complain(&error.to_string());
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
            super::complain(&refused.to_string());
            EXIT_BAD_INPUT
        }
    }
}
