//! A phone over real BlueZ against a band that is served over real BlueZ: finding it, adding a card, being hostile, losing the
//! world. Run by `rig/tests/foreign/guest.sh`, where linked virtual controllers, bluetoothd and `band --ble` are up.
//!
//! Prints a line per check, `ok` or `FAILED`, and ends with 1 when one has failed, with 3 when the world was in the way.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use band_sim::edge::bluez::BluezError;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::hex::Hex;
use bandrig::link::ble::{BleError, Config, Deadlines, HangUp, Target};
use clap::{Parser, Subcommand};

mod bench;
mod echo;
mod find;
mod hold;
mod hostile;
mod raw;
mod speed;
mod still;

#[derive(Parser)]
struct Cli {
    /// The phone's adapter.
    #[arg(long, default_value = "hci0")]
    adapter: String,
    /// The band's address.
    #[arg(long, default_value = "00:AA:01:01:00:01")]
    address: String,
    /// The band's key.
    #[arg(long, default_value = "30313233343536373839404142434445")]
    key: Hex,
    /// Process of the band, whose memory is measured and which is stopped for a while.
    #[arg(long)]
    pid: Option<u32>,
    #[arg(long, default_value = "fixtures")]
    fixtures: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Find the band by its name, its service, its address; hear what it says of the link.
    Find,
    /// Link the band, add a card, activate it, look at it, remove it.
    AddCard,
    /// Hold a link until it is lost, say why, link the band again.
    Hold {
        /// How often it is lost.
        #[arg(long, default_value_t = 1)]
        times: usize,
    },
    /// Everything a phone should not do.
    Hostile {
        /// Another phone's adapter.
        #[arg(long, default_value = "hci2")]
        second: String,
        /// Address of a device that the other phone connects before the band.
        #[arg(long, default_value = "00:AA:01:03:00:03")]
        other: String,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many commands are thrown at the band.
        #[arg(long, default_value_t = 5_000)]
        writes: usize,
    },
    /// Stop the band's process while a phone is connected.
    Still { meanwhile: still::Meanwhile },
    /// Round trips against the echo server on the band's adapter; whose time it is while a card is added. A release build, please.
    Speed {
        #[arg(long, default_value_t = 20)]
        blocks: usize,
        #[arg(long, default_value_t = 5)]
        adds: usize,
        /// Tell the figures and do not judge them: for a machine that has other things to do.
        #[arg(long)]
        only_tell: bool,
    },
    /// A bare echo server.
    Echo {
        adapter: String,
        #[arg(long)]
        advertise: bool,
        /// Where its service is to begin; anywhere without it.
        #[arg(long)]
        handle: Option<NonZeroU16>,
    },
}

/// What the checks have come to.
#[derive(Default)]
struct Checks {
    failed: usize,
    /// Whether figures are told and not judged.
    only_tell: bool,
}

impl Checks {
    fn check(&mut self, what: &str, is_so: bool, got: &dyn std::fmt::Debug) {
        if is_so {
            println!("ok      {what}");
        } else {
            self.failed += 1;
            println!("FAILED  {what}: {got:?}");
        }
    }

    /// A figure against its goal.
    fn weigh(&mut self, goal: &str, is_reached: bool, figure: f64) {
        if self.only_tell {
            println!("        {}: {goal}: {figure:.3}", if is_reached { "reached" } else { "missed" });
        } else {
            self.check(goal, is_reached, &figure);
        }
    }
}

impl Cli {
    fn config(&self, adapter: &str, hang_up: HangUp) -> Config {
        Self::config_for(&self.address, adapter, hang_up)
    }

    fn config_for(address: &str, adapter: &str, hang_up: HangUp) -> Config {
        let bytes = address.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect::<Vec<_>>();
        let address = bytes.try_into().ok();
        let band = Target { address, name: None, service: None };
        Config { adapter: adapter.to_owned(), band, deadlines: Deadlines::default(), hang_up }
    }

    /// Stops the band's process, or lets it go on.
    fn signal(&self, name: &str) -> bool {
        let Some(band) = self.pid else { return false };
        let sent = Command::new("kill").args([format!("-{name}"), band.to_string()]).status();
        sent.is_ok_and(|status| status.success())
    }

    fn key(&self) -> AuthKey {
        AuthKey(self.key.0.as_slice().try_into().expect("a key is 16 bytes"))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut checks = Checks::default();
    let done = match &cli.what {
        What::Find => find::run(&cli, &mut checks),
        What::AddCard => bench::add_card(&cli, &mut checks),
        What::Hold { times } => hold::hold(&cli, *times, &mut checks),
        What::Hostile { second, other, seed, writes } => {
            hostile::run(&cli, (second, other), *seed, *writes, &mut checks)
        }
        What::Still { meanwhile } => still::run(&cli, *meanwhile, &mut checks),
        What::Speed { blocks, adds, only_tell } => {
            checks.only_tell = *only_tell;
            speed::run(&cli, *blocks, *adds, &mut checks)
        }
        What::Echo { adapter, advertise, handle } => return echo::serve(adapter, *advertise, *handle),
    };
    match done {
        Ok(()) if checks.failed == 0 => ExitCode::SUCCESS,
        Ok(()) => {
            println!("{} checks failed", checks.failed);
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("BROKEN  {error}");
            ExitCode::from(3)
        }
    }
}

/// The error of a link that did not do what it must; when it has not named one itself, the world had better say what was in its way.
fn broken(trouble: Option<BleError>) -> BleError {
    let gone = || BluezError::Refused { what: "keep the link", why: "it ended without a reason".into() };
    trouble.unwrap_or_else(|| gone().into())
}
