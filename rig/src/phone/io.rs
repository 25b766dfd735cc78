//! What happens to the phone and what it does: plain data on both sides.

#![allow(missing_docs, reason = "fields of a variant are explained on the variant")]

use std::time::Duration;

use band_sim::time::Instant;
use band_sim::wire::gatt::{AttError, CharacteristicId};
use serde::{Deserialize, Serialize};

use crate::cloud::api::{AccountId, AppVersion, CardId, CardView, Envelope, OtpMethod, Refusal, Reply};

/// One thing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The person at the phone acts. One action at a time; a second one while the first runs ends [`Refusal::Busy`].
    User(UserAction),
    /// The app comes to the foreground or leaves it (R10). Allowed at any moment.
    Foreground(bool),
    /// Something came from the link.
    Link(LinkEvent),
    /// The cloud answered the oldest unanswered request; `None`: no answer came (network lost).
    Cloud(Option<Reply>),
    /// A deadline that `Wait` named has passed.
    Tick,
}

/// What a person can do in the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAction {
    /// Sign in to the app.
    SignIn { account: AccountId },
    /// Sign out. The band stays bound.
    SignOut,
    /// Link the signed-in account to a Xiaomi account (R11).
    LinkXiaomiAccount { xiaomi: AccountId },
    /// Link the band: connect, pair with a fresh key (the person taps the band) or authenticate with the stored one, bind it to the
    /// account, clean it when it was another account's (R6).
    LinkBand,
    /// Unlink the band from the account and forget its key; the app warns when cards are in it (R6).
    UnlinkBand,
    /// Connect, authenticate and bring everything to agreement (R13); what opening the app does.
    Refresh,
    /// Add a card (R10).
    AddCard { product: String },
    /// Ask the bank for a confirmation code (R1).
    RequestCode { card: CardId, method: OtpMethod },
    /// Type in a code (R1, R2).
    EnterCode { card: CardId, code: String },
    /// Remove a card from its details page (R5), or, with the band out of reach, from afar (R7).
    RemoveCard { card: CardId },
    /// Put the cards into this order (R8).
    SetOrder { cards: Vec<CardId> },
    /// Open the card list.
    CardList,
    /// Open a card's history: the card's own log, last ten, newest first (R4).
    History { card: CardId },
    /// Read serial number, revisions and addresses (W1).
    ReadIdentity,
    /// Read the battery.
    ReadBattery,
    /// Read the band's clock.
    ReadTime,
    /// Set the band's clock.
    SetTime { unix_s: i64 },
    /// Factory reset from the app (H:0003 `06 0b 00 01`).
    FactoryReset,
    /// Update the app (R12).
    UpdateApp { version: AppVersion },
    /// Connect anew if necessary and prove to know the key, or, with `wrong`, another one.
    Authenticate { wrong: bool },
    /// Open the NFC channel, or close it.
    NfcChannel { open: bool },
    /// Exchange one raw APDU over the NFC channel. For hostile scenarios.
    RawApdu { apdu: Vec<u8> },
    /// Write raw bytes to a characteristic and wait for notifications until quiet. For hostile scenarios.
    RawWrite { characteristic: CharacteristicId, value: Vec<u8>, authenticated: bool },
}

impl UserAction {
    /// Whether nothing in the band can change by it. Of a raw APDU whoever sends it must know that.
    #[must_use]
    pub const fn spares_the_band(&self) -> bool {
        match self {
            Self::SignIn { .. }
            | Self::SignOut
            | Self::LinkXiaomiAccount { .. }
            | Self::UpdateApp { .. }
            | Self::ReadIdentity
            | Self::ReadBattery
            | Self::ReadTime
            | Self::Authenticate { .. }
            | Self::NfcChannel { .. }
            | Self::RawApdu { .. } => true,
            Self::LinkBand
            | Self::UnlinkBand
            | Self::Refresh
            | Self::AddCard { .. }
            | Self::RequestCode { .. }
            | Self::EnterCode { .. }
            | Self::RemoveCard { .. }
            | Self::SetOrder { .. }
            | Self::CardList
            | Self::History { .. }
            | Self::SetTime { .. }
            | Self::FactoryReset
            | Self::RawWrite { .. } => false,
        }
    }

    /// Whether the NFC channel stays as it is before and after it.
    #[must_use]
    pub const fn keeps_channel(&self) -> bool {
        matches!(self, Self::NfcChannel { .. } | Self::RawApdu { .. } | Self::RawWrite { .. })
    }
}

/// What the link says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    /// Connected, services resolved.
    Connected { address: [u8; 6], mtu: u16 },
    /// The band could not be reached.
    ConnectFailed,
    /// The link is gone. Also ends everything that was asked of it.
    Disconnected,
    /// Subscribed, or not.
    Subscribed { characteristic: CharacteristicId, result: Result<(), AttError> },
    /// A read was answered.
    ReadDone { characteristic: CharacteristicId, result: Result<Vec<u8>, AttError> },
    /// A write with response was answered.
    WriteDone { characteristic: CharacteristicId, result: Result<(), AttError> },
    /// The band notifies.
    Notified { characteristic: CharacteristicId, value: Vec<u8> },
}

/// One thing the phone does. Drain with `poll` until [`Output::Wait`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Output {
    /// Ask the link.
    Link(LinkCommand),
    /// Ask the cloud. Requests are answered in order.
    Cloud(Envelope),
    /// Show the person something in passing.
    Ui(Notice),
    /// The running [`UserAction`] has ended.
    Done(Result<Shown, Refusal>),
    /// Nothing to do before this instant, or before the next input.
    Wait(Option<Instant>),
}

/// What the phone asks of the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkCommand {
    /// Find and connect the band.
    Connect,
    /// Drop the link.
    Disconnect,
    /// Subscribe to notifications.
    Subscribe { characteristic: CharacteristicId },
    /// Read a value.
    Read { characteristic: CharacteristicId },
    /// Write a value.
    Write { characteristic: CharacteristicId, value: Vec<u8>, with_response: bool },
}

impl LinkCommand {
    /// What it is about, unless it is about the link itself.
    #[must_use]
    pub const fn characteristic(&self) -> Option<CharacteristicId> {
        match self {
            Self::Connect | Self::Disconnect => None,
            Self::Subscribe { characteristic } | Self::Read { characteristic } | Self::Write { characteristic, .. } => {
                Some(*characteristic)
            }
        }
    }
}

/// What the app shows in passing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// How far an add has come, percent.
    Progress { percent: u8 },
    /// Tap the band to confirm the pairing.
    TapTheBand,
    /// Cards are in the band: delete them first (R6).
    DeleteCardsFirst { cards: u8 },
    /// Old-service tokens: update the app, delete the token, attach the card again (R12).
    ServiceUpdate,
    /// Link or sign in to a Xiaomi account (R11).
    LinkXiaomiAccount,
}

/// What the app shows at the end of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Just done.
    Done,
    /// Signed in.
    SignedIn { account: AccountId, xiaomi: Option<AccountId> },
    /// A card was added and waits for its code.
    CardAdded { card: CardView },
    /// A code is on its way (R1).
    CodeSent { requests_left: u8, valid_for: Duration },
    /// The card was confirmed; `on_band` = the band has it contactless-activated already.
    Confirmed { card: CardId, on_band: bool },
    /// The card was removed; `pending` = the band still holds its data and was out of reach (R7).
    Removed { card: CardId, pending: bool },
    /// The card list (R13).
    Cards { cards: Vec<CardView> },
    /// A card's history as its own log has it, newest first, at most ten (R4).
    History { entries: Vec<LogEntry> },
    /// Identity of the band (W1).
    Identity {
        serial: String,
        hardware_revision: String,
        software_revision: String,
        system_id: Vec<u8>,
        pnp_id: Vec<u8>,
    },
    /// Battery level, percent, and whether it is charging.
    Battery { percent: u8, charging: bool },
    /// The band's clock.
    Time { unix_s: i64 },
    /// The answer to a raw APDU, with its status word.
    Answer { rapdu: Vec<u8> },
    /// The notifications that followed a raw write, and the write's own result where it had one.
    Notifications { result: Option<AttError>, values: Vec<(CharacteristicId, Vec<u8>)> },
}

/// One record of a card's own transaction log (EMV 4.4 B3 Annex D).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Amount, minor units (9F02).
    pub amount_minor: u64,
    /// ISO 4217 numeric code (5F2A).
    pub currency: u16,
    /// `YYMMDD` (9A).
    pub date: [u8; 3],
    /// `HHMMSS` (9F21), zeros where the terminal sent none.
    pub time: [u8; 3],
    /// Application transaction counter (9F36).
    pub atc: u16,
    /// Cryptogram information data (9F27).
    pub cid: u8,
}
