//! The words of the language: one variant of [`Verb`] per word.

use schemars::JsonSchema;
use serde::Deserialize;

use super::expect::{CardRow, Expect};
use super::fault::Fault;
use super::file::Version;
use super::middle::Bend;
use super::span::{At, Span};
use super::units::{Apdus, Bytes, CivilDate, Date, DurationExpr};
use crate::cloud::api::OtpMethod;
use crate::money::Money;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The verb in its file; an included step stands in the included file.
    pub at: Span,
    /// A name for `sweep: { during: … }`.
    pub id: Option<At<String>>,
    /// What is done.
    pub verb: Verb,
    /// What must come of it. Without it the step must succeed.
    pub expect: Option<At<Expect>>,
    /// What goes wrong meanwhile.
    pub faults: Vec<Fault>,
    /// How often it is done, one after the other, each time with the same expectation.
    pub repeat: Option<At<u32>>,
    /// The step in one line, as progress and reports show it.
    pub text: String,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    // The account
    /// Sign in to the app.
    SignIn(SignIn),
    /// Sign out of the app. The band stays linked to the account.
    SignOut(Nothing),
    /// Link the signed-in account to a Xiaomi account (R11).
    LinkXiaomiAccount(SignIn),

    // The band and the app
    /// Link the band to the signed-in account: pair, bind, clean up what another account left (R6).
    LinkBand(LinkBand),
    /// Unlink the band from the account (R6).
    UnlinkBand(Nothing),
    /// Open the app: connect and bring phone, bank and band to agreement (R13).
    Refresh(Nothing),
    /// Update the app (R12).
    UpdateApp(UpdateApp),
    /// Switch away from the app (R10).
    LeaveForeground(Nothing),
    /// Come back to the app.
    ReturnToForeground(Nothing),
    /// Factory reset, from the app or on the band itself (R6).
    FactoryReset(FactoryReset),

    // The cards
    /// Add a card; ends when it waits for its code (R9, R10).
    AddCard(AddCard),
    /// Have the bank send a confirmation code (R1).
    RequestCode(RequestCode),
    /// Type in a confirmation code (R1, R2).
    EnterCode(EnterCode),
    /// Request a code and enter the one from the message.
    Activate(OneCard),
    /// Remove a card (R5); out of reach of the band it is deleted at the bank at once (R7).
    RemoveCard(OneCard),
    /// Put the confirmed cards into this order, the default card first (R8).
    Reorder(Reorder),
    /// Open the card list of the app (R13).
    CardList(Nothing),
    /// Open a card's history (R4).
    History(OneCard),

    /// Do an earlier step again, by its `id`, when it did not succeed; else do nothing (R10: the procedure can be repeated).
    Retry(Retry),

    // The shop
    /// Pay: hold the band to a terminal.
    Tap(Tap),

    // The bank's clerk
    /// The bank blocks a card (R7).
    BankSuspend(OneCard),
    /// The bank lifts the block.
    BankResume(OneCard),
    /// The bank deletes a card (R7).
    BankDelete(OneCard),

    // The world
    /// Let time pass.
    Wait(Wait),
    /// The band is out of reach (R7).
    LoseBand(Nothing),
    /// The band is in reach again.
    FindBand(Nothing),
    /// The band's battery is empty.
    CutPower(Nothing),
    /// The band is powered again.
    RestorePower(Nothing),
    /// Press a key of the band.
    Press(Press),

    // The band itself
    /// Read serial number, revisions and addresses (W1).
    ReadIdentity(Nothing),
    /// Read the battery.
    ReadBattery(Nothing),
    /// Read the band's clock.
    ReadTime(Nothing),
    /// Set the band's clock.
    SetTime(SetTime),
    /// Prove to know the band's key, or fail to.
    Authenticate(Authenticate),
    /// Open the phone's APDU channel to the secure element, or close it.
    NfcChannel(NfcChannel),

    // Warranty
    /// Check authenticity and warranty of the unit (W1–W4).
    CheckWarranty(CheckWarranty),

    // Hostile
    /// Send one raw APDU.
    Apdu(RawApdu),
    /// Write raw bytes to a characteristic and watch what the band notifies.
    Write(RawWrite),

    // Looking
    /// Look at all sides and compare them (R13).
    Check(Check),
}

/// No fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `sign_in: alice`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The account.
    pub account: At<String>,
}

/// `link_band`, or `link_band: { confirm: deny }`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkBand {
    /// What the person does when the band asks to be tapped. Default `tap`.
    #[serde(default)]
    pub confirm: Confirm,
}

/// What the person does when the band asks to be tapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Tap it: yes.
    #[default]
    Tap,
    /// Refuse on the band.
    Deny,
    /// Nothing.
    Ignore,
}

/// `update_app: 4.0.0`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateApp {
    /// The new version.
    pub to: At<Version>,
}

/// `factory_reset`, or `factory_reset: band`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactoryReset {
    /// From where. Default `app`.
    #[serde(default)]
    pub from: ResetFrom,
}

/// From where a factory reset is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetFrom {
    /// The app.
    #[default]
    App,
    /// The menu of the band.
    Band,
}

/// `add_card: { card: mastercard-debit, as: debit }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCard {
    /// The card product.
    pub card: At<String>,
    /// What the scenario calls the added card.
    #[serde(rename = "as")]
    pub alias: At<String>,
}

/// `request_code: debit`, or `request_code: { card: debit, method: email }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestCode {
    /// Which card.
    pub card: At<String>,
    /// How the code travels. Default `sms`.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::otp_method")]
    pub method: OtpMethod,
}

/// `enter_code: { card: debit, code: from_sms }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterCode {
    /// Which card.
    pub card: At<String>,
    /// Which code.
    pub code: At<Code>,
}

/// Which code is typed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// `from_sms`: the one from the card's newest message.
    FromSms,
    /// `previous_sms`: the one from the message before.
    PreviousSms,
    /// `wrong`: one that the bank never sent.
    Wrong,
    /// `"123456"`: these digits.
    Digits(String),
}

/// One card by its alias: `remove_card: debit`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneCard {
    /// Which card.
    pub card: At<String>,
}

/// `reorder: [second, first]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// The cards, the default card first.
    pub cards: Vec<At<String>>,
}

/// `retry: add`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The `id` of the step.
    pub step: At<String>,
}

/// `tap: { amount: 4.20 EUR, terminal: corner-shop }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    /// How much.
    #[schemars(schema_with = "super::units::money_schema")]
    pub amount: At<Money>,
    /// Where; the `given` terminal unless said.
    #[serde(default)]
    pub terminal: Option<At<String>>,
    /// What the customer types when the terminal asks for a PIN. Default `right`.
    #[serde(default)]
    pub pin: At<Pin>,
    /// Cash paid out with it.
    #[serde(default)]
    #[schemars(schema_with = "super::units::money_schema")]
    pub cashback: Option<At<Money>>,
    /// Take the band out of the field after so many answers.
    #[serde(default)]
    pub leave_field_after: Option<At<u32>>,
    /// What a hostile card, or a relay before a good one, does to the payment.
    #[serde(default)]
    pub man_in_the_middle: Vec<Bend>,
}

/// What the customer types when the terminal asks for a PIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// `right`: the card's PIN.
    #[default]
    Right,
    /// `wrong`: another one.
    Wrong,
    /// `none`: the customer gives up.
    None,
    /// `"1234"`: these digits.
    Digits(String),
}

/// `wait: code_valid_for + 1s`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long.
    pub time: At<DurationExpr>,
}

/// `press: confirm`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Press {
    /// Which key.
    pub key: At<Key>,
}

/// The keys of the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Yes.
    Confirm,
    /// No.
    Deny,
    /// The menu entry for a factory reset.
    FactoryReset,
}

/// `set_time: 2026-03-01T09:00:00Z`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTime {
    /// The new time.
    pub to: At<Date>,
}

/// `authenticate`, or `authenticate: wrong`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// With which key. Default `right`.
    #[serde(default)]
    pub key: Proven,
}

/// Which key the phone proves to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proven {
    /// The band's.
    #[default]
    Right,
    /// Another one.
    Wrong,
}

/// `nfc_channel: open`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NfcChannel {
    /// What is done to it.
    #[serde(rename = "do")]
    pub act: At<ChannelAct>,
}

/// What is done to the APDU channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelAct {
    /// It is opened; the phone closes it after a second in which nothing is sent.
    Open,
    /// It is closed.
    Close,
}

/// `check_warranty: { country: DE, code: "…", purchased: 2025-02-28, proof: pdf }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckWarranty {
    /// The country of the purchase.
    pub country: At<String>,
    /// The 20 digits under the scratch layer of the box. Default: not given.
    #[serde(default)]
    pub code: Option<At<String>>,
    /// The serial number. Default: not given.
    #[serde(default)]
    pub serial: Option<At<Serial>>,
    /// The date on the receipt. Default: not given.
    #[serde(default)]
    pub purchased: Option<At<CivilDate>>,
    /// The form of the receipt. Default: `none` without a date, `paper` with one.
    #[serde(default)]
    pub proof: Option<At<Proof>>,
    /// Whether the unit is broken and needs service (W4).
    #[serde(default)]
    pub fault: Option<At<String>>,
}

/// Where a serial number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serial {
    /// `from_band`: read over Bluetooth now.
    FromBand,
    /// As printed on the back of the band.
    Printed(String),
}

/// The form of a proof of purchase (W2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The receipt or a copy.
    Paper,
    /// An e-mail.
    Email,
    /// A PDF.
    Pdf,
    /// There is none.
    None,
}

/// `apdu: { via: nfc_channel, send: "00 A4 04 00 00" }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApdu {
    /// Which way.
    pub via: At<Via>,
    /// One APDU, or a list of them to be sent one after the other; the last answer counts.
    pub send: At<Apdus>,
}

/// The way a raw APDU takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The phone's APDU channel on H:0011.
    NfcChannel,
    /// The contactless field.
    Contactless,
}

/// `write: { characteristic: auth, value: "02 00" }`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWrite {
    /// The characteristic by its name in the profile.
    pub characteristic: At<String>,
    /// The bytes.
    pub value: At<Bytes>,
    /// Whether the phone authenticates first. Default true.
    #[serde(default = "yes")]
    pub authenticated: bool,
}

fn yes() -> bool {
    true
}

/// `check: { agree: true, app: [debit] }`: what each side holds, in order. What is not stated is not compared.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// The card list of the app.
    pub app: Option<At<Vec<CardRow>>>,
    /// The band's own list.
    pub band: Option<At<Vec<CardRow>>>,
    /// The bank's list.
    pub bank: Option<At<Vec<CardRow>>>,
    /// Whether the three agree (R13).
    pub agree: Option<At<bool>>,
    /// How many applet instances the secure element holds.
    pub applets: Option<At<u32>>,
    /// How many messages the bank has sent in the case.
    pub messages: Option<At<u32>>,
    /// Whether the band is linked to an account, from the band's side.
    pub linked: Option<At<bool>>,
}

impl Verb {
    /// Its word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.row().0
    }

    /// The fields of [`Expect`] that can apply to it.
    #[must_use]
    pub fn expects(&self) -> &'static [&'static str] {
        self.row().1
    }

    /// Whether phone, band, terminal or cloud talk in it, so that a fault can strike.
    #[must_use]
    pub fn exchanges(&self) -> bool {
        self.row().2
    }

    /// Whether the phone has no part in it: it is between the band and a reader, at a desk, or nowhere.
    #[must_use]
    pub fn passes_the_phone_by(&self) -> bool {
        match self {
            Self::Tap(_)
            | Self::BankSuspend(_)
            | Self::BankResume(_)
            | Self::BankDelete(_)
            | Self::Wait(_)
            | Self::CutPower(_)
            | Self::RestorePower(_) => true,
            Self::Apdu(it) => it.via.value == Via::Contactless,
            Self::CheckWarranty(it) => it.serial.as_ref().is_none_or(|serial| serial.value != Serial::FromBand),
            _ => false,
        }
    }

    /// Word, what may be expected, whether a fault can strike.
    fn row(&self) -> (&'static str, &'static [&'static str], bool) {
        const APP: &[&str] = &["ok", "refused", "notice", "unchanged"];
        const APP_ONLY: &[&str] = &["ok", "refused", "notice"];
        const ON_BAND: &[&str] = &["ok", "refused", "notice", "on_band", "unchanged"];
        const TAP: &[&str] =
            &["outcome", "cvm", "online", "arc", "reason", "suspicious", "card", "pin_asked", "within", "tlv"];
        const ANSWER: &[&str] = &["sw", "data", "tlv", "unchanged", "refused"];
        match self {
            Self::SignIn(_) => ("sign_in", APP_ONLY, true),
            Self::SignOut(_) => ("sign_out", APP_ONLY, true),
            Self::LinkXiaomiAccount(_) => ("link_xiaomi_account", APP_ONLY, true),
            Self::LinkBand(_) => ("link_band", APP, true),
            Self::UnlinkBand(_) => ("unlink_band", APP, true),
            Self::Refresh(_) => ("refresh", APP, true),
            Self::UpdateApp(_) => ("update_app", APP_ONLY, true),
            Self::LeaveForeground(_) => ("leave_foreground", &[], false),
            Self::ReturnToForeground(_) => ("return_to_foreground", &[], false),
            Self::FactoryReset(_) => ("factory_reset", APP, true),
            Self::AddCard(_) => ("add_card", &["ok", "refused", "notice", "requests_left", "unchanged"], true),
            Self::RequestCode(_) => ("request_code", &["ok", "refused", "notice", "requests_left", "unchanged"], true),
            Self::EnterCode(_) => ("enter_code", ON_BAND, true),
            Self::Activate(_) => ("activate", ON_BAND, true),
            Self::RemoveCard(_) => ("remove_card", ON_BAND, true),
            Self::Reorder(_) => ("reorder", APP, true),
            Self::CardList(_) => ("card_list", &["ok", "refused", "notice", "cards"], true),
            Self::History(_) => ("history", &["ok", "refused", "notice", "entries", "unknown_to_bank"], true),
            Self::Tap(_) => ("tap", TAP, true),
            Self::BankSuspend(_) => ("bank_suspend", &[], false),
            Self::BankResume(_) => ("bank_resume", &[], false),
            Self::BankDelete(_) => ("bank_delete", &[], false),
            Self::Wait(_) => ("wait", &[], false),
            Self::LoseBand(_) => ("lose_band", &[], false),
            Self::FindBand(_) => ("find_band", &[], false),
            Self::CutPower(_) => ("cut_power", &[], false),
            Self::RestorePower(_) => ("restore_power", &[], false),
            Self::Press(_) => ("press", &["unchanged"], false),
            Self::ReadIdentity(_) => ("read_identity", &["ok", "refused", "serial"], true),
            Self::ReadBattery(_) => ("read_battery", &["ok", "refused", "battery"], true),
            Self::ReadTime(_) => ("read_time", &["ok", "refused", "time"], true),
            Self::SetTime(_) => ("set_time", &["ok", "refused"], true),
            Self::Authenticate(_) => ("authenticate", &["ok", "refused", "unchanged"], true),
            Self::NfcChannel(_) => ("nfc_channel", &["ok", "refused", "unchanged"], true),
            Self::CheckWarranty(_) => ("check_warranty", &["warranty"], true),
            Self::Apdu(_) => ("apdu", ANSWER, true),
            Self::Write(_) => ("write", &["notified", "att_error", "unchanged", "refused"], true),
            Self::Retry(_) => ("retry", &["ok"], true),
            Self::Check(_) => ("check", &[], false),
        }
    }
}
