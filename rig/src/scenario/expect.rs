//! What must come of a step, and what came.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::span::At;
use super::units::{CivilDate, Date, DurationExpr, HexPattern, TagName, TagPattern};
use crate::cloud::api::{AuthorisationReason, CardState, Refusal};
use crate::money::Money;

/// What must come of a step. Only what is stated is compared.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// `true`: it succeeds. `either`: success or a refusal, both are right (for a step in which a sweep strikes).
    pub ok: Option<At<OkExpect>>,
    /// It is refused, for this reason or one of these; `any` for whatever reason.
    #[schemars(schema_with = "super::schema::refused")]
    pub refused: Option<At<RefusedExpect>>,

    /// How the payment ends.
    pub outcome: Option<At<OutcomeExpect>>,
    /// The cardholder verification that was done (R3).
    pub cvm: Option<At<CvmExpect>>,
    /// Whether the terminal asked the bank.
    pub online: Option<At<bool>>,
    /// The bank's answer code.
    pub arc: Option<At<String>>,
    /// The bank's reason.
    #[schemars(schema_with = "super::schema::authorisation_reason")]
    pub reason: Option<At<AuthorisationReason>>,
    /// Whether the bank found something odd, which it flags and does not refuse: a changed 9F6C.
    pub suspicious: Option<At<bool>>,
    /// Which card paid (R8).
    pub card: Option<At<String>>,
    /// Whether the customer was asked for a PIN (R3).
    pub pin_asked: Option<At<bool>>,
    /// The longest that the band may have to be held to the reader: from entering the field to its last answer there. The
    /// bank and a PIN come after it.
    pub within: Option<At<DurationExpr>>,

    /// Code requests left (R1).
    pub requests_left: Option<At<u8>>,
    /// Whether the band has carried it out too, or will when it is next seen (R7).
    pub on_band: Option<At<bool>>,
    /// The card list, in order.
    pub cards: Option<At<Vec<CardRow>>>,
    /// The history, newest first: how many entries, or the entries (R4).
    pub entries: Option<At<Entries>>,
    /// How many of its entries the bank has not seen: payments that card and terminal agreed on offline.
    pub unknown_to_bank: Option<At<u32>>,

    /// The serial number (W1).
    pub serial: Option<At<String>>,
    /// Battery level, percent.
    pub battery: Option<At<u8>>,
    /// The band's clock, to the second; `now` is the case's own time, give or take a minute.
    pub time: Option<At<TimeExpect>>,
    /// The answer of the warranty check.
    pub warranty: Option<At<WarrantyExpect>>,

    /// The status word, `90 00` or `63 Cx`.
    pub sw: Option<At<HexPattern>>,
    /// The answer's data.
    pub data: Option<At<HexPattern>>,
    /// Data objects anywhere in the answer: tag and value, or `any`.
    pub tlv: Option<BTreeMap<TagName, At<TagPattern>>>,
    /// What the band notified, in order.
    pub notified: Option<At<Vec<At<HexPattern>>>>,
    /// The ATT error of the write; `none` for success.
    pub att_error: Option<At<String>>,
    /// Nothing persistent changed in the band: the same NVM digest before and after.
    pub unchanged: Option<At<bool>>,

    /// What the app showed in passing.
    pub notice: Option<At<NoticeExpect>>,
}

/// `true` or `either`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OkExpect {
    /// It succeeds.
    Yes,
    /// Success or refusal, both are right.
    Either,
}

/// `now`, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeExpect {
    /// What the calendar of the case says.
    Now,
    /// This one.
    At(Date),
}

/// `any`, one word or a list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedExpect {
    /// Whatever the reason.
    Any,
    /// One of these.
    OneOf(Vec<Refusal>),
}

/// How a payment must end: a terminal's outcome, or `not_paid` for each that is not `approved`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeExpect {
    /// Paid.
    Approved,
    /// An AAC, or the issuer's no.
    Declined,
    /// Use the chip or the stripe.
    TryAnotherInterface,
    /// Present the card again.
    PresentAgain,
    /// No application in common, or the card cannot be used.
    EndApplication,
    /// The field was lost before the end.
    FieldLost,
    /// Anything but `approved`.
    NotPaid,
}

/// The cardholder verification that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CvmExpect {
    /// None was needed.
    None,
    /// The bank checks a PIN.
    OnlinePin,
    /// A signature.
    Signature,
    /// The device checked its holder.
    Cdcvm,
    /// None could be agreed on, or it failed.
    Failed,
}

/// What the app shows in passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeExpect {
    /// Tap the band to confirm the pairing.
    TapTheBand,
    /// Delete the cards first (R6).
    DeleteCardsFirst,
    /// Update the app, delete the token, attach the card again (R12).
    ServiceUpdate,
    /// Link or sign in to a Xiaomi account (R11).
    LinkXiaomiAccount,
    /// Nothing.
    None,
}

/// A line of a card list. Short form: the alias.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardRow {
    /// What the scenario calls the card.
    #[serde(rename = "as")]
    pub alias: At<String>,
    /// Where it stands.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::card_state")]
    pub state: Option<At<CardState>>,
    /// Whether the details page shows the history icon (R4).
    #[serde(default)]
    pub history: Option<At<bool>>,
    /// Code requests left (R1).
    #[serde(default)]
    pub requests_left: Option<At<u8>>,
    /// Contactless-activated in the band (R8).
    #[serde(default)]
    pub contactless: Option<At<bool>>,
    /// Issued under the old NFC service (R12).
    #[serde(default)]
    pub old_service: Option<At<bool>>,
}

/// How many entries, or which.
#[derive(Clone, Debug, PartialEq)]
pub enum Entries {
    /// So many.
    Count(u32),
    /// These, newest first, and no more.
    List(Vec<EntryRow>),
}

/// An entry of the history. Short form: the amount.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryRow {
    /// How much.
    #[schemars(schema_with = "super::units::money_schema")]
    pub amount: At<Money>,
    /// Whether it was paid.
    #[serde(default)]
    pub approved: Option<At<bool>>,
}

/// The answer of the warranty check (W3, W4).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarrantyExpect {
    /// Whether the warranty still runs.
    pub validity: Option<At<Validity>>,
    /// The last day of the warranty.
    pub until: Option<At<CivilDate>>,
    /// How long it still runs: `11 months 3 days`.
    pub remaining: Option<At<String>>,
    /// How often the code was checked before.
    pub checked_before: Option<At<u32>>,
    /// Repairs and services that are covered.
    pub coverage: Option<At<Vec<String>>>,
    /// Where to turn to (W4).
    pub contact: Option<At<String>>,
    /// What to have ready (W4).
    pub have_ready: Option<At<Vec<String>>>,
    /// What is wrong with the question.
    pub refused: Option<At<String>>,
}

/// Whether a warranty still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// It runs.
    Active,
    /// It has run out.
    Expired,
}

/// What came of a step. The runner fills in what it knows; what is left out never matches an expectation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Got {
    /// Set when it was refused, `None` when it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// How the payment ended; never `not_paid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeExpect>,
    /// The cardholder verification that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cvm: Option<CvmExpect>,
    /// Whether the terminal asked the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// The bank's answer code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arc: Option<String>,
    /// The bank's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<AuthorisationReason>,
    /// Whether the bank found something odd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicious: Option<bool>,
    /// Which card paid, by alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Whether the customer was asked for a PIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_asked: Option<bool>,
    /// How long the band was held to the reader, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_time_us: Option<u64>,
    /// How long it may be, under the settings in force, when the step expects that.
    #[serde(skip)]
    pub card_time_most: Option<std::time::Duration>,
    /// Code requests left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_left: Option<u8>,
    /// Whether the band has carried it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_band: Option<bool>,
    /// The card list of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cards: Option<Vec<GotCard>>,
    /// The history, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<GotEntry>>,
    /// How many of its entries the bank has not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_to_bank: Option<u32>,
    /// The serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Battery level, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<u8>,
    /// The band's clock, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_unix_s: Option<i64>,
    /// The calendar of the case at that moment, seconds since 1970.
    #[serde(skip)]
    pub now_unix_s: Option<i64>,
    /// The answer of the warranty check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warranty: Option<GotWarranty>,
    /// The status word of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sw: Option<u16>,
    /// The data of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<u8>>,
    /// What the band notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified: Option<Vec<Vec<u8>>>,
    /// The ATT error of a write, in snake_case; `none` for success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub att_error: Option<String>,
    /// Whether the NVM digest is the same as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<bool>,
    /// What the app showed in passing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeExpect>,
    /// What `check` saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sides: Option<GotSides>,
}

/// A card as one side shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GotCard {
    /// By its alias; a card that no step named is shown by its last four digits.
    #[serde(rename = "as")]
    pub alias: String,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CardState>,
    /// Whether the history icon is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<bool>,
    /// Code requests left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_left: Option<u8>,
    /// Contactless-activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contactless: Option<bool>,
    /// Issued under the old NFC service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_service: Option<bool>,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GotEntry {
    /// Minor units.
    pub amount_minor: u64,
    /// ISO 4217 numeric code.
    pub currency: u16,
    /// The card's counter then.
    #[serde(skip)]
    pub atc: u16,
    /// Whether it was paid, where the record says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<bool>,
}

/// The answer of a warranty check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GotWarranty {
    /// Whether it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Its last day, `2026-02-28`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long it still runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    /// How often the code was checked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_before: Option<u32>,
    /// What is covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Vec<String>>,
    /// Where to turn to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// What to have ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub have_ready: Option<Vec<String>>,
    /// What is wrong with the question, in snake_case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What `check` saw on each side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GotSides {
    /// The card list of the app.
    pub app: Vec<GotCard>,
    /// The band's own list.
    pub band: Vec<GotCard>,
    /// The bank's list.
    pub bank: Vec<GotCard>,
    /// Whether the three agree (R13), and if not, where.
    pub disagreement: Option<String>,
    /// Applet instances in the secure element.
    pub applets: u32,
    /// Messages the bank has sent.
    pub messages: u32,
    /// Whether the band is linked.
    pub linked: bool,
}

impl<'de> Deserialize<'de> for RefusedExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = RefusedExpect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reason, a list of reasons or `any`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<RefusedExpect, E> {
                match word {
                    "any" => Ok(RefusedExpect::Any),
                    _ => Refusal::deserialize(word.into_deserializer()).map(|one| RefusedExpect::OneOf(vec![one])),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut words: A) -> Result<RefusedExpect, A::Error> {
                let mut reasons = Vec::new();
                while let Some(reason) = words.next_element()? {
                    reasons.push(reason);
                }
                Ok(RefusedExpect::OneOf(reasons))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrList;

        impl<'de> Visitor<'de> for CountOrList {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of entries or a list of entries")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Entries, E> {
                text.parse().map(Entries::Count).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut rows: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = rows.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries::List(entries))
            }
        }

        deserializer.deserialize_any(CountOrList)
    }
}
