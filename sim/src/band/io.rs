//! What happens to a band and what it does: plain data on both sides, so that a run can be printed, kept and repeated.

#![allow(missing_docs, reason = "fields of a variant are explained on the variant")]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::wallet::CardEntry;
use crate::time::Instant;
use crate::wire::frame::nfc_channel::Status;
use crate::wire::gatt::{AttError, Handle};

/// One thing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A phone has connected. A link that was still there is lost.
    Connected { mtu: u16 },
    /// The link is gone.
    Disconnected,
    /// The link has a new MTU.
    MtuChanged(u16),
    /// The phone switches notifications of the characteristic with this value handle on or off. Answered by
    /// [`Output::WriteReply`]. A write to the client characteristic configuration descriptor does the same.
    Subscribe { handle: Handle, on: bool },
    /// The phone reads an attribute. Answered by [`Output::ReadReply`] with the whole value.
    Read { handle: Handle },
    /// The phone writes an attribute. [`WriteMode::Request`] is answered by [`Output::WriteReply`].
    Write { handle: Handle, value: Vec<u8>, mode: WriteMode },
    /// The wearer does something at the band.
    Button(Button),
    /// A reader's field appears or goes away.
    Field { on: bool },
    /// A reader in the field sends a command APDU. Answered by [`Output::Contactless`] while band and field have power.
    Contactless(Vec<u8>),
    /// The battery has another level, percent, or is put on its charger.
    Battery { level: u8, charging: bool },
    /// The battery is empty, at once.
    PowerLost,
    /// The band starts again.
    PowerOn,
    /// An instant that [`Output::Wait`] named has come.
    Tick,
}

/// How an attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// With a response.
    Request,
    /// Without one.
    Command,
}

/// What the wearer can do at the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// Touch it: accepts a pairing that is being asked.
    Confirm,
    /// Wipe the question away: denies the pairing.
    Deny,
    /// Choose factory reset in the menu.
    FactoryReset,
}

/// One thing the band does. Drain with `poll` until [`Output::Wait`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Output {
    /// Notify a value to the phone. Never longer than 20 bytes, so it fits any MTU.
    Notify { handle: Handle, value: Vec<u8> },
    /// The answer to [`Input::Read`].
    ReadReply(Result<Vec<u8>, AttError>),
    /// The answer to a write request or a subscription.
    WriteReply(Result<(), AttError>),
    /// The response APDU to [`Input::Contactless`].
    Contactless(Vec<u8>),
    /// Drop the link.
    Disconnect,
    /// The display changes.
    Display(Display),
    /// Something worth a line in a report.
    Event(BandEvent),
    /// Nothing to do before this instant, or before the next input.
    Wait(Option<Instant>),
}

/// What the wearer sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// The dial.
    Idle,
    /// "Tap to confirm the pairing".
    ConfirmPairing,
    /// The cards, in order.
    Cards(Vec<CardEntry>),
}

/// Something worth a line in a report. Keys never appear in it, card numbers only by their last four digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BandEvent {
    /// This connection has proved that it knows the key.
    Authenticated,
    /// The phone's answer to the challenge was wrong.
    WrongKey,
    /// A phone wants to pair; the wearer is asked.
    PairingAsked,
    /// The signature of a first pairing is not by the right key.
    PairingSignatureWrong,
    /// The wearer has accepted: there is a new key.
    Paired,
    /// The wearer has denied.
    PairingDenied,
    /// The wearer did nothing in time.
    PairingTimedOut,
    /// The NFC channel is open.
    ChannelOpened,
    /// The NFC channel is closed: by the phone or with its link, [`Status::Success`], or by the band itself with another
    /// status.
    ChannelClosed { status: Status },
    /// The cards in the secure element have changed; this is the new list.
    CardsChanged { cards: Vec<CardEntry> },
    /// The band now belongs to the user with this number.
    Bound { user_id: u32 },
    /// The clock was set: how far it now is from the station's calendar, and its zone in quarter hours.
    ClockSet { offset_micros: i64, zone_quarters: i8 },
    /// The factory reset is done.
    FactoryReset { cards_wiped: bool },
    /// Power is gone.
    PowerLost,
    /// Power is back.
    PoweredOn,
    /// The phone was refused at this moment.
    Refused(Refused),
}

/// The phone asked for something the band does not do at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The state it was in.
    pub state: String,
    /// What was asked.
    pub event: String,
    /// What a write request is answered with.
    pub error: AttError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} while {}: {}", self.event, self.state, self.error)
    }
}

impl core::error::Error for Refused {}
