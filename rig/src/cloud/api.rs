//! What may be asked of the cloud, and what it answers. Plain data: the phone and the shop know this file and nothing else
//! of the cloud.
//!
//! Every request is answered at once by exactly one [`Reply`]; the time a network takes is the station's business.

#![allow(missing_docs, reason = "fields of a variant are explained on the variant")]

use std::fmt;
use std::time::Duration;

use band_sim::wire::hex::Hex;
use serde::{Deserialize, Serialize};

use crate::mask::Track2;

/// An account name, as in `given: { account: alice }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

/// The cloud's own name of one added card (not of the plastic card behind it): adding the same card again makes a new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardId(pub String);

/// One run of personalisation scripts. Gone when it is done, refused or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u32);

/// A version of the phone app, `major.minor.patch`; R12 asks whether it is at least the one of the service update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AppVersion(pub u16, pub u16, pub u16);

impl fmt::Display for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What identifies a secure element and the unit around it: read over Bluetooth before any card function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The serial number of characteristic 2A25, as text (W1).
    pub serial: String,
    /// The 42 bytes behind tag 9F7F.
    pub cplc: Vec<u8>,
}

/// A request and who makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The signed-in account; `None` before sign-in.
    pub account: Option<AccountId>,
    /// The version of the app that asks.
    pub app_version: AppVersion,
    /// What is asked.
    pub request: Request,
}

/// What the app may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Sign in; any kind of account may (R11). Answer: [`Reply::SignedIn`].
    SignIn { account: AccountId },
    /// Link the signed-in account to a Xiaomi account (R11). Answer: [`Reply::SignedIn`] of the Xiaomi account.
    LinkXiaomiAccount { xiaomi: AccountId },
    /// The signature a first pairing needs, over `digest` = SHA-256(address ‖ random). Answer: [`Reply::PairingSignature`].
    SignPairing { address: [u8; 6], digest: Vec<u8>, public_key_hash: Vec<u8> },
    /// Bind the band to the account. When another account owned it, its tokens die now, and the job deletes its cards (R6).
    /// Answer: [`Reply::Job`] when the band must be cleaned, else [`Reply::Done`].
    BindBand { unit: Unit },
    /// The account lets go of the band; its cards stay (R6). Answer: [`Reply::Done`].
    UnbindBand { unit: Unit },
    /// Bring the band to what the bank says: leftovers, dead tokens, activation, order. Asked whenever the band is seen (again)
    /// and at the end of a failed job. Answer: [`Reply::Job`] or [`Reply::Done`].
    Sync { unit: Unit },
    /// Make a token of the card product and personalise it. Answer: [`Reply::Job`]; its end is [`Reply::JobDone`] with the card.
    AddCard { product: String, unit: Unit },
    /// Have the bank send a confirmation code (R1). Answer: [`Reply::CodeSent`].
    RequestCode { card: CardId, method: OtpMethod },
    /// Hand in a code (R1, R2). The bank's instant of receipt decides. Answer: [`Reply::Job`] that activates the card on the band,
    /// or [`Reply::Done`] when the band must first be seen.
    EnterCode { card: CardId, code: String, unit: Unit },
    /// Delete the card: the token dies now (R5, R7). Answer: [`Reply::Job`] that deletes the instance; a phone that cannot reach the
    /// band cancels that job, and the next `Sync` does it.
    RemoveCard { card: CardId },
    /// Put the cards into this order, the default card first (R8). Answer: [`Reply::Job`].
    SetOrder { cards: Vec<CardId> },
    /// The answers to the last batch of a job. Answer: the next [`Reply::Job`], [`Reply::JobDone`], [`Reply::NotReady`] or a refusal.
    PostAnswers { job: JobId, answers: Vec<ScriptAnswer> },
    /// Ask again after [`Reply::NotReady`]. Answer: as for `PostAnswers`.
    Continue { job: JobId },
    /// Give a job up (R10): a card being added is gone at the bank from now on. Answer: [`Reply::Done`]; the band is cleaned by the
    /// next `Sync`.
    CancelJob { job: JobId },
    /// The account's cards with this band, in order. Answer: [`Reply::Cards`].
    Cards { unit: Unit },
    /// The bank's record of a card's payments, newest first. Answer: [`Reply::History`].
    History { card: CardId },
}

/// How a confirmation code travels. None of them crosses Bluetooth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtpMethod {
    /// A text message.
    #[default]
    Sms,
    /// A call.
    Tel,
    /// A letter in the electronic mail.
    Email,
}

/// What the cloud answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done, nothing more to say.
    Done,
    /// Signed in; `xiaomi` is the Xiaomi account that card functions use, if there is one (R11).
    SignedIn { account: AccountId, xiaomi: Option<AccountId> },
    /// The signature for characteristic H:0020 type 4.
    PairingSignature { signature: Vec<u8> },
    /// Send each command in turn, stop at the first unexpected status word, post the answers. Never empty.
    Job { job: JobId, batch: Vec<ScriptCommand> },
    /// The job is done; `card` for one that added or confirmed a card.
    JobDone { job: JobId, card: Option<CardView> },
    /// The bank's data is not ready (3007): ask again with [`Request::Continue`] after this time, at most ten times.
    NotReady { job: JobId, retry_after: Duration },
    /// A code is on its way.
    CodeSent { requests_left: u8, valid_for: Duration },
    /// The account's cards, in order.
    Cards { cards: Vec<CardView> },
    /// The bank's record, newest first.
    History { entries: Vec<BankEntry> },
    /// Refused, and by whom and why.
    Refused { refusal: Refusal },
}

/// One command of a script (facts/band-ble.md 2.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptCommand {
    /// The C-APDU, opaque to the phone.
    pub apdu: Vec<u8>,
    /// Status words that let the script go on; empty = only 9000.
    pub expected: Vec<u16>,
}

/// The band's answer to one command of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptAnswer {
    /// Which command of the batch, from 0.
    pub index: u16,
    /// Response data without the status word.
    pub data: Vec<u8>,
    /// The status word.
    pub sw: u16,
}

/// Where a card stands, as the bank sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Being added; no code was asked for yet and nothing is complete.
    Adding,
    /// Personalised, waiting for its code.
    WaitingForCode,
    /// Its newest code expired, or its code tries are used up: only removal works (R1, R2).
    Dead,
    /// Confirmed by the bank's code.
    Active,
    /// Blocked by the bank (R7).
    Suspended,
    /// Deleted by the holder or the bank while the band was out of reach; the data leaves the band when it is next seen (R7).
    Deleting,
}

/// One line of the app's card list and its details page (R13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    /// The cloud's name of the card.
    pub card: CardId,
    /// The card product, as in `add_card: { card: mastercard-debit }`.
    pub product: String,
    /// `•••• 1234`: last four digits of the number on the plastic card.
    pub masked_number: String,
    /// Last four digits of the token number.
    pub token_last4: String,
    /// The instance in the secure element.
    pub instance_aid: Vec<u8>,
    /// Where it stands.
    pub state: CardState,
    /// Whether the details page shows the history icon (R4): confirmed cards only.
    pub history: bool,
    /// Code requests left (R1).
    pub requests_left: u8,
    /// Issued under the old NFC service (R12).
    pub old_service: bool,
}

/// One payment as the bank recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankEntry {
    /// Amount, minor units.
    pub amount_minor: u64,
    /// ISO 4217 numeric code, e.g. 978.
    pub currency: u16,
    /// Application transaction counter of the payment.
    pub atc: u16,
    /// Whether the bank approved it.
    pub approved: bool,
    /// Seconds since 1970 at the bank.
    pub at_unix_s: i64,
}

/// Why the cloud or the app refuses, with the number real clients show (facts/band-ble.md 2.4). YAML names them in snake_case:
/// `expect: { refused: code_expired }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 3003 the bank has no phone number to send a code to.
    NoPhoneAtBank,
    /// 3004 the code is wrong.
    CodeWrong,
    /// 3005 the code, or the newest of them, has expired; the card must be removed and added again (R2).
    CodeExpired,
    /// 3007 the bank's data was not ready in ten tries.
    DataNotReady,
    /// 3008 all code requests of this card are used up (R1).
    TooManyRequests,
    /// 3009 too many wrong codes; the card must be removed and added again.
    TooManyFailures,
    /// 3011 already confirmed.
    AlreadyConfirmed,
    /// 3013 this card product cannot be added.
    CardNotSupported,
    /// 3016 the card is blacklisted.
    CardBlacklisted,
    /// 3017 this card is in the band already.
    DuplicateCard,
    /// 3018 six cards are in the band (R9).
    CardLimit,
    /// 3024 tokens of the old NFC service: update the app, remove the card, add it again (R12).
    ServiceUpdateRequired,
    /// 8 an APDU could not be exchanged.
    TransmitFailed,
    /// 10 the NFC channel refused or closed.
    NfcChannel,
    /// 11 interrupted: link lost, app left the foreground, power lost (R10).
    Interrupted,
    /// 13 the CPLC could not be read.
    Cplc,
    /// 32 the secure element is restricted.
    SecureElementRestricted,
    /// A status word the script did not expect.
    UnexpectedStatusWord,
    /// Nobody is signed in.
    NotSignedIn,
    /// Card functions need a Xiaomi account: link or sign in to one (R11).
    XiaomiAccountRequired,
    /// No such account.
    UnknownAccount,
    /// No such card in this account.
    UnknownCard,
    /// No such card product.
    UnknownProduct,
    /// The band is bound to another account.
    BandOfAnotherAccount,
    /// The band is not bound to this account.
    BandNotBound,
    /// The secure element is not in the registry.
    UnknownUnit,
    /// The card is not confirmed, so it has no history and no place in the order (R4, R8).
    NotConfirmed,
    /// The order does not name each confirmed card once.
    BadOrder,
    /// The job is not running.
    UnknownJob,
    /// The band is out of reach.
    OutOfReach,
    /// The app is not in the foreground (R10).
    NotInForeground,
    /// The app is busy with another action.
    Busy,
    /// The band refused the pairing: denied on the band.
    PairingDenied,
    /// The band refused the pairing: nobody tapped in time.
    PairingTimeout,
    /// The band refused the pairing: bad signature or unknown key.
    PairingFailed,
    /// The band does not accept the stored key: it was reset or paired anew.
    WrongKey,
    /// The band answered a request with an error or not in time.
    BandError,
}

impl Refusal {
    /// The number that real clients show for it, where one is known.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        Some(match self {
            Self::NoPhoneAtBank => 3003,
            Self::CodeWrong => 3004,
            Self::CodeExpired => 3005,
            Self::DataNotReady => 3007,
            Self::TooManyRequests => 3008,
            Self::TooManyFailures => 3009,
            Self::AlreadyConfirmed => 3011,
            Self::CardNotSupported => 3013,
            Self::CardBlacklisted => 3016,
            Self::DuplicateCard => 3017,
            Self::CardLimit => 3018,
            Self::ServiceUpdateRequired => 3024,
            Self::TransmitFailed => 8,
            Self::NfcChannel => 10,
            Self::Interrupted => 11,
            Self::Cplc => 13,
            Self::SecureElementRestricted => 32,
            _ => return None,
        })
    }
}

/// A message of the bank to the holder's phone number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sms {
    /// Whose phone.
    pub account: AccountId,
    /// For which card.
    pub card: CardId,
    /// The confirmation code.
    pub code: String,
    /// How long it is valid, from the bank's instant of issue; the text of the message states it (R2).
    pub valid_for: Duration,
}

/// A shop's request for online authorisation: chip data as the acquirer forwards it (EMV 4.4 B4 12.1, ISO 8583 field 55).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorisation {
    /// Track 2 equivalent data, tag 57. Never printed unmasked.
    pub track2: Vec<u8>,
    /// PAN sequence number, tag 5F34.
    pub pan_sequence: Option<u8>,
    /// Chip data as BER-TLV: 9F26 9F27 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A 9F34 9F03 84 9F33 …
    pub chip_data: Vec<u8>,
    /// The PIN that the customer typed for online verification. Never printed.
    pub online_pin: Option<String>,
    /// The merchant's name, for the record.
    pub merchant: String,
}

impl fmt::Debug for Authorisation {
    /// Track 2 masked, the PIN not at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorisation")
            .field("track2", &Track2::new(self.track2.as_slice()))
            .field("pan_sequence", &self.pan_sequence)
            .field("chip_data", &Hex(self.chip_data.clone()))
            .field("online_pin", &self.online_pin.as_ref().map(|_| "****"))
            .field("merchant", &self.merchant)
            .finish()
    }
}

/// The issuer's answer to [`Authorisation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorisationReply {
    /// Whether the payment is approved.
    pub approved: bool,
    /// Authorisation response code, tag 8A, two ASCII characters (`00` approved).
    pub arc: [u8; 2],
    /// Issuer authentication data, tag 91.
    pub issuer_authentication_data: Option<Vec<u8>>,
    /// Why, in the bank's words.
    pub reason: AuthorisationReason,
    /// When the cryptogram does not match: what the issuer computed it over, before padding. No key is in it.
    pub cryptogram_input: Option<Vec<u8>>,
    /// What of the chip data contradicts what the issuer knows of its card although the cryptogram is right, in words. It is
    /// flagged, not refused: an issuer that refuses would be the only one (assumed).
    #[serde(default)]
    pub suspicion: Option<String>,
}

impl AuthorisationReply {
    /// The approval of an issuer that is only played: nobody checked the cryptogram, and the card gets no answer.
    #[must_use]
    pub const fn stand_in_approval() -> Self {
        Self {
            approved: true,
            arc: *b"00",
            issuer_authentication_data: None,
            reason: AuthorisationReason::Approved,
            cryptogram_input: None,
            suspicion: None,
        }
    }
}

/// Why the issuer decided as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorisationReason {
    /// All checks passed.
    Approved,
    /// No such token.
    UnknownToken,
    /// The token's card was never confirmed.
    NotConfirmed,
    /// The token is dead: removed, lost, or its account lost the band.
    TokenDeleted,
    /// The bank blocked the token.
    TokenSuspended,
    /// A token of the old NFC service (R12).
    OldService,
    /// The ARQC does not match.
    CryptogramWrong,
    /// The application transaction counter was seen before.
    CounterRepeated,
    /// Chip data is missing or malformed.
    ChipDataInvalid,
    /// The PIN is wrong.
    PinWrong,
    /// More than the account holds.
    InsufficientFunds,
}
