//! `bandrig tap`: one payment, explained step by step.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use band_sim::rng::Rng;
use clap::Args;
use jiff::Timestamp;
use terminal_size::terminal_size_of;

use super::{Color, EXIT_BAD_INPUT, EXIT_STATION};
use crate::band_cli::cards;
use crate::cloud::api::{Authorisation, AuthorisationReply};
use crate::mask::Masker;
use crate::money::Money;
use crate::report::paint::{ColorChoice, Paint};
use crate::report::reporter::columns;
use crate::report::text::width;
use crate::station::embedded::World;
use crate::station::fixtures::Fixtures;
use crate::terminal::config::TerminalConfig;
use crate::terminal::io::{Outcome, Purchase};
use crate::yaml;

mod capture;
mod drive;
mod json;
#[cfg(feature = "pcsc")]
mod reader;
mod show;

use drive::{Carried, Parts, Payment, Surroundings};

#[cfg(not(feature = "pcsc"))]
pub(super) const EXAMPLES: &str = EMBEDDED_EXAMPLES;
#[cfg(feature = "pcsc")]
pub(super) const EXAMPLES: &str = READER_EXAMPLES;

#[cfg(feature = "pcsc")]
const READER_EXAMPLES: &str = "\
Examples:
  bandrig tap --amount '4.20 EUR'                                  the simulated band at the corner shop
  bandrig tap --amount '60 EUR' --terminal restaurant --pin wrong  the bank refuses the PIN
  bandrig tap --amount '4.20 EUR' --reader 'Virtual PCD 00 00'     whatever card is in that reader of pcscd
  bandrig tap --amount '4.20 EUR' --json | jq .outcome

With --reader the card may be a real one. Its bank is not asked: a stand-in approves without looking at the cryptogram, and nothing
is charged. The card counts the payment all the same. Commands that can harm a card are refused unless --permit names them. Without
--reader the band is simulated, its cards were added and confirmed the real way, and times are those of the air model and of the
band's profile. Card numbers and keys are masked.

Exit codes: 0 paid, 1 not paid, 2 bad usage or a file that cannot be used, 3 trouble with the reader.";

#[cfg(not(feature = "pcsc"))]
const EMBEDDED_EXAMPLES: &str = "\
Examples:
  bandrig tap --amount '4.20 EUR'                                  the simulated band at the corner shop
  bandrig tap --amount '60 EUR' --terminal restaurant --pin wrong  the bank refuses the PIN
  bandrig tap --amount '2.50 EUR' --terminal my-gate.yaml --offline
  bandrig tap --amount '4.20 EUR' --json | jq .outcome

The band is simulated, and its cards were added and confirmed the real way; times are those of the air model and of the band's
profile. Card numbers and keys are masked.

Exit codes: 0 paid, 1 not paid, 2 bad usage or a file that cannot be used.";

/// One way through the network, shop to bank. No source states it: `assumed`.
const NETWORK: Duration = Duration::from_millis(40);
/// How fast a person types a PIN. `assumed`.
const TYPING: Duration = Duration::from_secs(3);

/// When a payment in virtual time is made that does not say so.
// 2026-03-01T09:00:00Z
const EMBEDDED_INSTANT: Timestamp = Timestamp::constant(1_772_355_600, 0);

/// One payment, explained step by step.
#[derive(Clone, Debug, Args)]
pub(super) struct Tap {
    /// How much, in the currency of the terminal: `4.20 EUR`.
    #[arg(long, value_name = "MONEY", value_parser = money)]
    amount: Money,
    /// Cash paid out with it, part of the amount.
    #[arg(long, value_name = "MONEY", value_parser = money)]
    cashback: Option<Money>,
    /// Where: a terminal of the fixtures by name, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "corner-shop")]
    terminal: String,
    /// The cards in the band, the first one is used: names from the fixtures, or files.
    #[arg(long = "card", value_name = "NAME|FILE", default_value = "mastercard-debit")]
    cards: Vec<String>,
    /// The band, by its profile's name in the fixtures.
    #[arg(long, value_name = "NAME", default_value = "mi-smart-band-4-nfc")]
    band: String,
    /// What the customer types when asked for a PIN: `right`, `wrong`, `none` or digits.
    #[arg(long, value_name = "PIN", default_value = "right")]
    pin: String,
    /// The shop does not reach its bank.
    #[arg(long)]
    offline: bool,
    /// Pay with the card in this PC/SC reader instead: its name, or a part of it that no other reader's name has.
    #[cfg(feature = "pcsc")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cards", "band"])]
    reader: Option<String>,
    /// How many seconds the reader and its card may take to appear.
    #[cfg(feature = "pcsc")]
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "reader")]
    patience: u64,
    /// Send this kind of command to the card although it can harm a real one: verify, external-authenticate … May be repeated.
    #[cfg(feature = "pcsc")]
    #[arg(long, value_name = "KIND", requires = "reader")]
    permit: Vec<crate::link::danger::Danger>,
    /// The instant of the payment; 2026-03-01T09:00:00Z when absent, or now with a real reader.
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The seed of all randomness.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write what a sniffer would see in the field into this file, for Wireshark (pcapng).
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    /// The fixtures folder.
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    fixtures: PathBuf,
    /// Colours.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

fn money(text: &str) -> Result<Money, String> {
    text.parse().map_err(|error: <Money as std::str::FromStr>::Err| error.to_string())
}

/// Why nothing was paid or refused.
struct Failed {
    code: u8,
    message: String,
}

fn bad_input(message: impl Into<String>) -> Failed {
    Failed { code: EXIT_BAD_INPUT, message: message.into() }
}

pub(super) fn tap(args: &Tap) -> u8 {
    match explained(args, columns(terminal_size_of(std::io::stdout()))) {
        Ok(Explained { text, outcome, trouble }) => {
            super::print(&text);
            match trouble {
                Some(trouble) => {
                    super::complain(&trouble);
                    EXIT_STATION
                }
                None => u8::from(outcome != Outcome::Approved),
            }
        }
        Err(Failed { code, message }) => {
            super::complain(&message);
            code
        }
    }
}

/// A payment, told.
struct Explained {
    text: String,
    outcome: Outcome,
    /// What was wrong between the terminal and the card, if that ended it.
    trouble: Option<String>,
}

/// Told for a terminal of so many columns, if it is one.
fn explained(args: &Tap, columns: Option<usize>) -> Result<Explained, Failed> {
    let mut fixtures = Fixtures::load(&args.fixtures).map_err(|error| bad_input(error.to_string()))?;
    let terminal = terminal(&args.terminal, &fixtures)?;
    #[cfg(feature = "pcsc")]
    if let Some(reader) = &args.reader {
        let mut around = reader::InReader::open(args, reader)?;
        let now = Timestamp::now();
        // A terminal that repeats itself would be no judge of a card that is real.
        let mut rng = Rng::new(args.seed ^ u64::from_ne_bytes(now.as_microsecond().to_ne_bytes())).fork("reader");
        let purchase = purchase(args, args.at.unwrap_or(now), rng.array());
        let place = Place::Reader(reader);
        return told(args, columns, &terminal, &place, &Masker::default(), purchase, &mut around);
    }
    let names = cards::find(&args.cards, &mut fixtures).map_err(|trouble| bad_input(trouble.to_string()))?;
    let mut around = Embedded::new(args, &names, &fixtures)?;
    let purchase = purchase(args, args.at.unwrap_or(EMBEDDED_INSTANT), around.world.unpredictable_number());
    let masker = around.masker();
    told(args, columns, &terminal, &Place::Band(&names.join(", ")), &masker, purchase, &mut around)
}

/// Pays, and tells of it.
fn told(
    args: &Tap,
    columns: Option<usize>,
    terminal: &Arc<TerminalConfig>,
    place: &Place<'_>,
    masker: &Masker,
    purchase: Purchase,
    around: &mut dyn Surroundings,
) -> Result<Explained, Failed> {
    let began = Duration::from_secs(u64::try_from(purchase.unix_s).unwrap_or_default());
    let payment = drive::drive(Arc::clone(terminal), purchase, around)
        .map_err(|message| Failed { code: EXIT_STATION, message })?;
    if let Some(path) = &args.capture {
        let failed = |error: std::io::Error| bad_input(format!("failed to write {}: {error}", path.display()));
        capture::write(path, began, &payment, masker).map_err(failed)?;
    }
    let outcome = payment.receipt.outcome;
    let told = Told { amount: args.amount, terminal, place, payment: &payment, masker };
    let text = if args.json {
        json::rendered(&told)
    } else {
        let choice = match args.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let paint = Paint::choose(choice, std::io::stdout().is_terminal());
        show::rendered(&told, paint, width(columns))
    };
    Ok(Explained { text, outcome, trouble: payment.trouble().map(str::to_owned) })
}

/// Where the card is.
enum Place<'a> {
    /// In the simulated band, by name.
    Band(&'a str),
    /// In a reader, by its name.
    #[cfg(feature = "pcsc")]
    Reader(&'a str),
}

/// All that is told of a payment.
struct Told<'a> {
    amount: Money,
    terminal: &'a TerminalConfig,
    place: &'a Place<'a>,
    payment: &'a Payment,
    masker: &'a Masker,
}

fn terminal(word: &str, fixtures: &Fixtures) -> Result<Arc<TerminalConfig>, Failed> {
    if let Some(known) = fixtures.terminals.get(word) {
        return Ok(Arc::clone(known));
    }
    let path = Path::new(word);
    if path.extension().is_none() {
        let known = fixtures.terminals.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(bad_input(format!("no terminal `{word}` among the fixtures; there are {known}, and files")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad_input(format!("failed to read the terminal {word}: {error}")))?;
    let config: TerminalConfig =
        yaml::from_str(&text).map_err(|message| bad_input(format!("failed to use the terminal {word}: {message}")))?;
    match config.contradictions().as_slice() {
        [] => Ok(Arc::new(config)),
        wrong => Err(bad_input(format!("failed to use the terminal {word}: {}", wrong.join("; ")))),
    }
}

/// The simulated band, its bank and its holder, under virtual time.
struct Embedded {
    world: World,
    pin: Option<String>,
    online: bool,
}

impl Embedded {
    fn new(args: &Tap, names: &[String], fixtures: &Fixtures) -> Result<Self, Failed> {
        let profile = fixtures.profiles.get(&args.band).ok_or_else(|| {
            let known = fixtures.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
            bad_input(format!("no band `{}` among the fixtures; there are {known}", args.band))
        })?;
        let rng = Rng::new(args.seed).fork("tap");
        let at = args.at.unwrap_or(EMBEDDED_INSTANT).as_microsecond();
        let mut world = cards::world_with(names, fixtures, Arc::clone(profile), &rng, at, NETWORK)
            .map_err(|trouble| bad_input(trouble.to_string()))?;
        world.hold_to_reader(true);
        let right = names.first().and_then(|name| fixtures.products.get(name)).map(|card| card.online_pin.as_str());
        Ok(Self { world, pin: pin(&args.pin, right)?, online: !args.offline })
    }

    fn masker(&self) -> Masker {
        Masker::new(self.world.cloud().secrets(0))
    }
}

fn purchase(args: &Tap, at: Timestamp, unpredictable_number: [u8; 4]) -> Purchase {
    Purchase {
        amount_minor: args.amount.minor,
        amount_other_minor: args.cashback.map_or(0, |cash| cash.minor),
        currency: args.amount.currency.number,
        unix_s: at.as_second(),
        unpredictable_number,
    }
}

fn pin(word: &str, right: Option<&str>) -> Result<Option<String>, Failed> {
    let right = right.unwrap_or_default();
    match word {
        "right" => Ok(Some(right.to_owned())),
        "wrong" => Ok(Some(right.bytes().map(|digit| if digit == b'0' { '1' } else { '0' }).collect())),
        "none" => Ok(None),
        _ if (4..=12).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(word.to_owned()))
        }
        _ => Err(bad_input(format!("`{word}` is no PIN; write right, wrong, none or 4 to 12 digits"))),
    }
}

impl Surroundings for Embedded {
    fn transmit(&mut self, command: &[u8]) -> Result<Carried, String> {
        let carried = self.world.carry(command).ok_or("the band does not answer")?;
        let parts = Parts { to_card: carried.to_band, computing: carried.computing, to_reader: carried.to_reader };
        let time = carried.to_band + carried.computing + carried.to_reader;
        Ok(Carried { answer: carried.answer, time, parts: Some(parts) })
    }

    fn authorise(&mut self, request: &Authorisation) -> (Option<AuthorisationReply>, Duration) {
        let reply = self.online.then(|| self.world.ask_bank(request));
        (reply, 2 * NETWORK)
    }

    fn pin(&mut self) -> (Option<String>, Duration) {
        (self.pin.clone(), TYPING)
    }
}

#[cfg(test)]
mod tests;
