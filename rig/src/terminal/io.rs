//! What happens to the terminal and what it does: plain data on both sides.

#![allow(missing_docs, reason = "fields of a variant are explained on the variant")]

use std::fmt;

use band_sim::time::Instant;
use serde::{Deserialize, Serialize};

use super::ui::Message;
use crate::cloud::api::{Authorisation, AuthorisationReply};

/// One thing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The cashier starts a payment and the customer holds the band to the reader.
    Start(Purchase),
    /// The band answered the last command: data and status word.
    Answer(Vec<u8>),
    /// The field or the band is gone.
    FieldLost,
    /// The acquirer answered; `None`: it could not be reached.
    Online(Option<AuthorisationReply>),
    /// The customer typed a PIN, or gave up (`None`).
    Pin(Option<String>),
    /// A deadline that `Wait` named has passed.
    Tick,
}

/// What is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Amount authorised, minor units (9F02).
    pub amount_minor: u64,
    /// Amount other (cashback), minor units (9F03).
    pub amount_other_minor: u64,
    /// ISO 4217 numeric code (5F2A).
    pub currency: u16,
    /// Seconds since 1970, UTC; the terminal prints its local date (9A, 9F21).
    pub unix_s: i64,
    /// Unpredictable number (9F37), handed in.
    pub unpredictable_number: [u8; 4],
}

/// One thing the terminal does. Drain with `poll` until [`Output::Wait`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Output {
    /// Send this C-APDU to the band.
    Command(Vec<u8>),
    /// Ask the acquirer. The band may leave the field.
    Online(Box<Authorisation>),
    /// Ask the customer for the PIN.
    AskPin,
    /// What the terminal decided, and which rule decided it.
    Note(Note),
    /// The payment has ended.
    Done(Box<Receipt>),
    /// Nothing to do before this instant, or before the next input.
    Wait(Option<Instant>),
}

/// A decision and its reason, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The EMV step.
    pub step: Step,
    /// What was decided and why, one sentence.
    pub text: String,
}

/// A step of an EMV payment, in order. Its `Display` is the name of the file that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Limits before the card, and the candidate list.
    EntryPoint,
    /// Selecting one application.
    Selection,
    /// GET PROCESSING OPTIONS.
    Gpo,
    /// Reading the application's records.
    ReadRecords,
    /// Offline data authentication.
    Oda,
    /// Processing restrictions: dates, versions, usage.
    Restrictions,
    /// Cardholder verification.
    Cvm,
    /// Floor and contactless limits.
    RiskManagement,
    /// Approve, decline or go online.
    ActionAnalysis,
    /// GENERATE AC.
    GenerateAc,
    /// Kernel 3: what the cryptogram in the answer to GET PROCESSING OPTIONS means.
    Kernel3,
    /// Asking the acquirer.
    Online,
    /// The end, and what the terminal shows.
    Outcome,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EntryPoint => "entry_point",
            Self::Selection => "selection",
            Self::Gpo => "gpo",
            Self::ReadRecords => "read_records",
            Self::Oda => "oda",
            Self::Restrictions => "restrictions",
            Self::Cvm => "cvm",
            Self::RiskManagement => "risk_management",
            Self::ActionAnalysis => "action_analysis",
            Self::GenerateAc => "generate_ac",
            Self::Kernel3 => "kernel3",
            Self::Online => "online",
            Self::Outcome => "outcome",
        })
    }
}

/// How a payment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Paid, offline or online.
    Approved,
    /// An AAC, or the issuer's no.
    Declined,
    /// Use the chip or the stripe: the contactless limit was exceeded, or the card asks so.
    TryAnotherInterface,
    /// Present the card again.
    PresentAgain,
    /// No application in common, or the card cannot be used: EMV's end application.
    EndApplication,
    /// Field lost before the end.
    FieldLost,
}

/// The cardholder verification that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cvm {
    /// None was needed.
    None,
    /// The issuer checks a PIN.
    OnlinePin,
    /// A signature on paper.
    Signature,
    /// The device checked its holder.
    Cdcvm,
    /// None could be agreed on, or it failed.
    Failed,
}

/// What the terminal knows at the end. `Display` of the whole masks the number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, one sentence.
    pub reason: String,
    /// What the terminal shows.
    pub message: Message,
    /// Which verification was done.
    pub cvm: Cvm,
    /// Whether the acquirer was asked.
    pub online: bool,
    /// Who sold, and where.
    pub merchant: String,
    /// Terminal identification (9F1C).
    pub terminal_id: String,
    /// The amount with its currency.
    pub amount: String,
    /// Date and time at the shop, `2026-03-01 10:00:05`.
    pub local_time: String,
    /// The application that was used (84).
    pub aid: Option<Vec<u8>>,
    /// What the application calls itself (9F12 when the terminal can print it, else 50).
    pub label: Option<String>,
    /// Last four digits of the number in the card.
    pub last4: Option<String>,
    /// Application transaction counter (9F36).
    pub atc: Option<u16>,
    /// Cryptogram information data (9F27).
    pub cid: Option<u8>,
    /// The cryptogram (9F26).
    pub cryptogram: Option<[u8; 8]>,
    /// Terminal verification results (95).
    pub tvr: [u8; 5],
    /// The issuer's answer code (8A).
    pub arc: Option<[u8; 2]>,
}
