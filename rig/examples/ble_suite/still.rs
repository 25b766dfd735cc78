//! A band that stands still for a while, its process stopped.

use std::time::Duration;

use band_sim::wire::gatt::CharacteristicId;
use bandrig::link::ble::{Ble, BleError, HangUp};
use bandrig::phone::io::{LinkCommand, LinkEvent};
use clap::ValueEnum;

use crate::raw::{OPEN_CHANNEL, PATIENCE, Raw};
use crate::{Checks, Cli};

/// For an answer of a band that gives none.
const NOT_ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// More commands than are on their way without being asked after.
const MANY: usize = 70;

/// What a phone does meanwhile.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Meanwhile {
    /// It writes without a response, and leaves.
    Leave,
    /// It makes a request.
    Request,
    /// It sends more than may be on its way.
    Commands,
}

pub fn run(cli: &Cli, meanwhile: Meanwhile, checks: &mut Checks) -> Result<(), BleError> {
    match meanwhile {
        Meanwhile::Leave => left(cli, checks),
        Meanwhile::Request => unanswered(cli, checks, |raw| {
            raw.ble.send(LinkCommand::Read { characteristic: CharacteristicId::BATTERY });
        }),
        Meanwhile::Commands => unanswered(cli, checks, |raw| {
            (0..MANY).for_each(|_| raw.command(CharacteristicId::NFC_CHANNEL, OPEN_CHANNEL));
        }),
    }
}

fn open(cli: &Cli) -> Result<Raw, BleError> {
    let mut config = cli.config(&cli.adapter, HangUp::Disconnect);
    config.deadlines.request = NOT_ANSWERED_WITHIN;
    Ok(Raw::new(Ble::open(config)?))
}

/// What the phone has asked and that it is gone reach the band at once: nobody is its phone then, and the next one is let in.
fn left(cli: &Cli, checks: &mut Checks) -> Result<(), BleError> {
    let mut raw = open(cli)?;
    raw.connect()?;
    let stopped = cli.signal("STOP");
    raw.command(CharacteristicId::CONFIG, &[0x00]);
    raw.disconnect();
    let goes_on = cli.signal("CONT");
    checks.check("a phone leaves a band that stands still", stopped && goes_on && !raw.connected, &(stopped, goes_on));
    let (found, _) = raw.connect()?;
    let battery = raw.read(CharacteristicId::BATTERY);
    checks.check("the next link is answered", matches!(battery, Some(Ok(_))), &(found, &battery));
    raw.disconnect();
    Ok(())
}

/// The link ends, and why is named.
fn unanswered(cli: &Cli, checks: &mut Checks, ask: impl Fn(&Raw)) -> Result<(), BleError> {
    let mut raw = open(cli)?;
    raw.connect()?;
    let stopped = cli.signal("STOP");
    ask(&raw);
    let ended = raw.event(PATIENCE, |event| *event == LinkEvent::Disconnected);
    let why = raw.ble.trouble();
    let goes_on = cli.signal("CONT");
    let is_named = why == Some(BleError::NotAnswered { within: NOT_ANSWERED_WITHIN });
    let is_so = stopped && goes_on && ended.is_some() && is_named;
    checks.check("what is not answered in time ends the link by name", is_so, &(stopped, ended, why));
    Ok(())
}
