//! A scenario as its file says it: what is given, what is done, what must come.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::{Fault, Sweep};
use super::span::At;
use super::step::Step;
use super::units::{Date, DurationExpr};
use crate::cloud::api::AppVersion;

/// One case: a file, or one row of its matrix. Ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `activation/code-expiry.yaml`, or `activation/code-expiry.yaml[after=1us,card=visa-debit]` for a row of a matrix.
    pub id: String,
    /// The file relative to the scenario root, with `/`.
    pub path: Arc<str>,
    /// The sentence the scenario proves.
    pub title: At<String>,
    /// The rules it is about.
    pub rules: Vec<At<String>>,
    /// Its tags.
    pub tags: Vec<At<String>>,
    /// The row of the matrix: variable and value, in the order of the file. Empty without a matrix.
    pub row: Vec<(String, String)>,
    /// How often to run it, each time with another seed; 1 unless the file says more.
    pub repeat: u32,
    /// What is so before the first step.
    pub given: Given,
    /// Faults of the whole case: counting starts with the first step.
    pub faults: Vec<Fault>,
    /// Run it once for every point at which a fault can strike.
    pub sweep: Option<Sweep>,
    /// What is done.
    pub steps: Vec<Step>,
    /// What is always done at the end.
    pub finally: Vec<Step>,
}

/// What is so before the first step.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Who is signed in to the app; `nobody` = no one is.
    pub account: At<String>,
    /// The profile of the band.
    pub band: At<String>,
    /// Settings of the band that differ from its profile.
    pub band_settings: BandSettings,
    /// Settings of the bank.
    pub bank: BankSettings,
    /// Settings of the phone and its app.
    pub phone: PhoneSettings,
    /// Settings of the links.
    pub link: LinkSettings,
    /// The date and time at which the case starts, with its offset: `2026-03-01T09:00:00Z`.
    pub date: At<Date>,
    /// Whether the band is linked to the account already.
    pub linked: bool,
    /// Cards that are in the band already, in this order, added the real way.
    pub cards: Vec<GivenCard>,
    /// The terminal of a `tap` that names none.
    pub terminal: At<String>,
}

/// Settings of the band; what is not stated comes from its profile.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BandSettings {
    /// Whether a factory reset by itself empties the secure element (R6).
    pub factory_reset_wipes_cards: Option<bool>,
    /// Which cards the PPSE lists (R8).
    pub ppse_lists: Option<PpseLists>,
    /// How long the band waits for the tap that confirms a pairing.
    pub pairing_timeout: Option<At<DurationExpr>>,
}

/// Which cards the PPSE lists (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PpseLists {
    /// Every contactless-activated card, in order.
    All,
    /// The first of them.
    DefaultOnly,
}

/// Settings of the bank; what is not stated is as in `rules.md`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BankSettings {
    /// How long a confirmation code is valid (R2). Default `10m`.
    pub code_valid_for: Option<At<DurationExpr>>,
    /// How many codes may be requested per card (R1). Default 3.
    pub code_requests: Option<At<u8>>,
    /// How many wrong codes the bank takes (R1). Default 3.
    pub code_attempts: Option<At<u8>>,
    /// Whether a new code makes the older one worthless (R1). Default true.
    pub new_code_replaces_old: Option<bool>,
    /// What becomes of payments with tokens of the old NFC service (R12). Default `declined`.
    pub old_service_payments: Option<OldServicePayments>,
    /// What a suspension does to the card in the band (R7). Default `deactivates`.
    pub suspension: Option<Suspension>,
    /// How often the bank says *data not ready* (3007) in an add. Default 0.
    pub data_not_ready_times: Option<At<u8>>,
    /// How many cards a band may hold (R9). Default 6.
    pub card_limit: Option<At<u8>>,
}

/// What becomes of payments with tokens of the old NFC service (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldServicePayments {
    /// The bank declines them.
    Declined,
    /// The bank lets them pass.
    Allowed,
}

/// What a suspension does to the card in the band (R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suspension {
    /// Readers do not find it any more.
    Deactivates,
    /// Its application is blocked: a reader that finds it all the same gets an AAC.
    BlocksApplication,
}

/// Settings of the phone and its app.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneSettings {
    /// The version of the app (R12). Default `4.0.0`.
    pub app_version: Option<At<Version>>,
    /// How long the app may be out of the foreground while a card is added (R10). Default `0s`.
    pub foreground_grace: Option<At<DurationExpr>>,
    /// Which of the two ways of authentication the app speaks. Default `vendor`.
    pub dialect: Option<Dialect>,
}

/// How an app authenticates to the band (facts/band-ble.md 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Commands `02` and `03`, as open clients send them.
    Open,
    /// Commands `82` and `83`, as the vendor's app sends them.
    Vendor,
}

/// `4.0.0`, the version of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub AppVersion);

/// Settings of the links.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSettings {
    /// How long one message between phone and band takes.
    pub latency: Option<At<DurationExpr>>,
    /// How long one request to the cloud and its answer take.
    pub cloud_latency: Option<At<DurationExpr>>,
    /// The ATT MTU of the link.
    pub mtu: Option<At<u16>>,
}

/// A card that is in the band before the first step.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenCard {
    /// The card product.
    pub card: At<String>,
    /// What the scenario calls it.
    #[serde(rename = "as")]
    pub alias: At<String>,
    /// How far it has come. Default `active`.
    #[serde(default)]
    pub state: GivenState,
}

/// How far a given card has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GivenState {
    /// Added and confirmed.
    #[default]
    Active,
    /// Added; no code was requested yet.
    WaitingForCode,
}

impl Given {
    /// Whether somebody's band is linked before the first step.
    pub(super) fn links_the_band(&self) -> bool {
        self.linked && self.account.value != "nobody"
    }
}

impl Default for Given {
    fn default() -> Self {
        Self {
            account: At::nowhere("alice".into()),
            band: At::nowhere("mi-smart-band-4-nfc".into()),
            band_settings: BandSettings::default(),
            bank: BankSettings::default(),
            phone: PhoneSettings::default(),
            link: LinkSettings::default(),
            date: At::nowhere(Date::default()),
            linked: true,
            cards: Vec::new(),
            terminal: At::nowhere("corner-shop".into()),
        }
    }
}
