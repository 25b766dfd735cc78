//! The stand-alone band: one band in real time, where foreign programs find it, until it is told to stop.
//!
//! Exit codes: 0 stopped by a signal · 2 bad usage or a file that cannot be used · 3 the place where it should appear, or its
//! state file, gave trouble.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use band_sim::edge::clock::Clock;
use band_sim::edge::drive::Handle;
use clap::{Parser, ValueEnum};

use crate::station::control::{Control, Socket};

#[cfg(feature = "bluez")]
mod ble;
pub(crate) mod cards;
mod log;
mod make;
mod state;
#[cfg(feature = "vpcd")]
mod vpcd;

/// Bad usage, or a file that cannot be used.
const EXIT_BAD_INPUT: u8 = 2;
/// Trouble with where the band should appear, or with its state file.
const EXIT_STATION: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  band --vpcd --cards mastercard-debit              a contactless card in the reader `Virtual PCD 00 00` of pcscd
  band --vpcd --cards shop.yaml --state band.json   keeps cards, counters and log over restarts
  band --vpcd --interface contact --log debug       behind a reader with contacts; every APDU in the log
  opensc-tool --list-readers                        where it can be seen
  band --ble hci1                                   a band to pair with, on that Bluetooth adapter (built with `--features bluez`)
  band --ble hci1 --vpcd --key @key --state b.json  on both, paired already with the key in the file `key`

Cards are added at start as in the field: the app asks the cloud, the token service manager's scripts open SCP03 in the band's
secure element, the bank's code confirms. `ready` on standard output means that all of that is done. Logs go to standard error,
card numbers and keys masked.

vpcd listens on all network interfaces: anybody who reaches its port can put a card into its reader.

Exit codes: 0 stopped by SIGINT or SIGTERM, 2 bad usage or a file that cannot be used, 3 trouble with the reader, the
Bluetooth adapter or the state file.";

/// A payment band on its own: the simulated band, where foreign programs find it.
#[derive(Debug, Parser)]
#[command(name = "band", version, max_term_width = 100, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// Appear as a card in the virtual reader (vpcd) of pcscd.
    #[cfg(feature = "vpcd")]
    #[arg(long)]
    vpcd: bool,
    /// Host of the virtual reader.
    #[cfg(feature = "vpcd")]
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    reader_host: String,
    /// TCP port of the virtual reader; its second slot has the next one.
    #[cfg(feature = "vpcd")]
    #[arg(long, value_name = "N", default_value_t = band_sim::edge::vpcd::Config::DEFAULT_PORT)]
    reader_port: u16,
    /// Be found on this Bluetooth adapter of BlueZ: its name, as `hci1`, or its address, which becomes the band's.
    #[cfg(feature = "bluez")]
    #[arg(long, value_name = "ADAPTER")]
    ble: Option<String>,
    /// The key a phone proves to know: 32 hex digits, or `@FILE` with them; the band counts as paired. Without it a phone must pair.
    #[cfg(feature = "bluez")]
    #[arg(long, value_name = "HEX|@FILE")]
    key: Option<ble::Key>,
    /// The kind of reader that the card lies in.
    #[arg(long, value_enum, default_value_t = Interface::Contactless)]
    interface: Interface,
    /// The band's profile: a file, or the name of one in the fixtures' `profiles` folder.
    #[arg(long, value_name = "FILE|NAME", default_value = "mi-smart-band-4-nfc")]
    profile: String,
    /// Cards to add and confirm at start: files, or names from the fixtures' `cards` folder. The first one is the default.
    #[arg(long, value_name = "FILE|NAME", num_args = 1.., value_delimiter = ',')]
    cards: Vec<String>,
    /// Keep the band's memory in this file. When it exists the band starts from it, and `--cards`, `--key`, `--profile` and `--seed`
    /// are what they were when it was made.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Listen on this Unix socket for the wearer's hands and a laboratory's instruments: keys, power, a new band.
    #[arg(long, value_name = "PATH", conflicts_with = "state")]
    control: Option<PathBuf>,
    /// The seed of all randomness of a new band.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The fixtures folder; the nearest one above the working folder or the program when absent.
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// What to log: error, warn, info, debug (each APDU in words), trace (with its bytes, masked).
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: tracing::Level,
}

/// What kind of reader a card lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Interface {
    /// In its field.
    Contactless,
    /// On its contacts.
    Contact,
}

/// Why the band does not start or does not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The command line, or a file it names.
    Input(String),
    /// The world around.
    Station(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(message) | Self::Station(message)) = self;
        f.write_str(message)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.log);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr().lock(), "band: {trouble}");
            ExitCode::from(match trouble {
                Trouble::Input(_) => EXIT_BAD_INPUT,
                Trouble::Station(_) => EXIT_STATION,
            })
        }
    }
}

fn run(cli: &Cli) -> Result<(), Trouble> {
    require_a_place(cli)?;
    let clock = Clock::start();
    let made = make::make(cli, &place(cli)?, clock.epoch_unix_us())?;
    let handle = Handle::new(made.band, clock);
    let failed = state::keep(&handle, made.state)?;
    log::listen(&handle);
    make::introduce(&handle, &made.key);

    let _control = control(cli, &handle)?;
    #[cfg(feature = "vpcd")]
    let reader = cli.vpcd.then(|| vpcd::Reader::start(cli, &handle, made.rng.fork("reader")));
    let stop = {
        let handle = handle.clone();
        #[cfg(feature = "vpcd")]
        let plug = reader.as_ref().map(vpcd::Reader::plug);
        move || {
            #[cfg(feature = "vpcd")]
            plug.iter().for_each(band_sim::edge::vpcd::Plug::stop);
            handle.stop();
        }
    };
    ctrlc::set_handler(stop).map_err(|error| Trouble::Station(format!("failed to listen for signals: {error}")))?;
    #[cfg(feature = "bluez")]
    let peripheral = cli.ble.as_ref().map(|adapter| ble::start(adapter, &handle)).transpose()?;
    #[cfg(feature = "vpcd")]
    reader.iter().for_each(vpcd::Reader::settle);
    say("ready");
    handle.run();
    #[cfg(feature = "bluez")]
    drop(peripheral);
    #[cfg(feature = "vpcd")]
    if let Some(reader) = reader {
        reader.stop();
    }
    tracing::info!("stopped");
    failed.take().map_or(Ok(()), Err)
}

/// The hands on it, for as long as the socket is kept.
fn control(cli: &Cli, handle: &Handle) -> Result<Option<Socket>, Trouble> {
    let Some(path) = &cli.control else { return Ok(None) };
    let served = Control::new(handle.clone()).serve(path);
    served.map(Some).map_err(|error| Trouble::Station(format!("failed to listen on {}: {error}", path.display())))
}

/// There must be somewhere for it to appear.
fn require_a_place(cli: &Cli) -> Result<(), Trouble> {
    let mut places = Vec::new();
    let mut chosen = false;
    #[cfg(feature = "vpcd")]
    {
        places.push("--vpcd");
        chosen |= cli.vpcd;
    }
    #[cfg(feature = "bluez")]
    {
        places.push("--ble");
        chosen |= cli.ble.is_some();
    }
    let _ = cli;
    if chosen {
        return Ok(());
    }
    Err(Trouble::Input(format!("say where the band should appear: {}", places.join(" or "))))
}

/// What the place makes of the band.
fn place(cli: &Cli) -> Result<make::Place, Trouble> {
    let _ = cli;
    #[cfg(feature = "bluez")]
    return Ok(make::Place {
        address: cli.ble.as_deref().map(ble::address).transpose()?,
        key: cli.key.as_ref().map(|key| key.0),
    });
    #[cfg(not(feature = "bluez"))]
    Ok(make::Place::default())
}

/// A line for whoever started the band. A pipe that was closed is the reader's choice.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests;
