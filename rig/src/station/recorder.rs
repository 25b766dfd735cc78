//! What is written down while a world runs: events for the reports, and the last exchanges for the report of a failure.
//!
//! Most of a run is never read: [`Detail`] says how much is kept. What fails is run once more with everything written down, as the
//! same seed gives the same run.

use band_sim::band::{BandEvent, Display};
use band_sim::time::Instant;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::frame::nfc_channel::{Assembler, Framing, Notification, Request};
use band_sim::wire::gatt::CharacteristicId;
use band_sim::wire::hex::Hex;
use serde::Serialize;

use crate::cloud::Cloud;
use crate::cloud::api::{Authorisation, AuthorisationReply, Envelope, Refusal, Reply, Sms};
use crate::decode;
use crate::link::in_process::Att;
use crate::mask::{Masker, Secret};
use crate::phone::io::{Notice, Shown};
use crate::report::event::{AttOp, Event, Kind, Via};
use crate::report::words;
use crate::scenario::step::Step;
use crate::terminal::io::Note;

/// How many exchanges the report of a failure shows.
const LAST_EXCHANGES: usize = 12;

/// The longest APDU that is followed; longer ones are shown as fragments only.
const MOST_APDU_BYTES: usize = 4096;

/// How much is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// How the case and each point of its sweep ended; no secret is learnt, as nothing is shown that could hold one.
    #[default]
    Verdicts,
    /// Its steps and what came of them, too.
    Steps,
    /// Every exchange, too.
    Exchanges,
}

/// Writes down what happens in one case.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    case: u32,
    detail: Detail,
    events: Vec<Event>,
    channel: Channel,
    contactless_command: Option<Vec<u8>>,
    masker: Masker,
    tokens_hidden: u32,
}

/// Follows the APDUs inside the fragments of the NFC channel.
#[derive(Clone, Debug, Default)]
struct Channel {
    framing: Option<Framing>,
    command: Option<Assembler>,
    answer: Option<Assembler>,
    pending: Option<Vec<u8>>,
}

impl Recorder {
    /// A recorder for the case at this place in file order.
    #[must_use]
    pub fn new(case: u32, detail: Detail) -> Self {
        Self { case, detail, ..Self::default() }
    }

    /// From now on every exchange is written down. Not for a recorder of verdicts: it knows no secret that it must hide.
    pub fn switch_on(&mut self) {
        if self.detail == Detail::Steps {
            self.detail = Detail::Exchanges;
        }
    }

    /// This recorder from now on is that of one try out of many: it has told nothing yet, and in `detail` only what follows.
    pub fn begin_try(&mut self, detail: Detail) {
        self.events.clear();
        self.detail = detail;
    }

    /// Tells what a try has told.
    pub fn append(&mut self, of_a_try: &mut Self) {
        self.events.append(&mut of_a_try.events);
    }

    /// How the NFC channel is framed, so that whole APDUs can be shown.
    pub fn follow(&mut self, framing: Framing) {
        self.channel = Channel { framing: Some(framing), ..Channel::default() };
    }

    /// What must never be shown in full: every number and key that the cloud knows. Called again, it learns what is new.
    pub fn hide(&mut self, cloud: &Cloud) {
        if !self.tells_steps() {
            return;
        }
        cloud.secrets(self.tokens_hidden).iter().for_each(|secret| self.masker.learn(secret));
        self.tokens_hidden = cloud.tokens_made();
    }

    /// A key of somebody's own band, which must never be shown either.
    pub fn hide_key(&mut self, key: AuthKey) {
        self.masker.learn(&Secret::Key(key.0.to_vec()));
    }

    /// Writes down something that is always kept.
    pub fn note(&mut self, now: Instant, kind: Kind) {
        self.events.push(Event { case: self.case, at_us: now.as_micros(), kind });
    }

    /// Whether every exchange is written down.
    #[must_use]
    pub fn tells_exchanges(&self) -> bool {
        self.detail == Detail::Exchanges
    }

    /// Whether it is written down what comes of each step.
    #[must_use]
    pub fn tells_steps(&self) -> bool {
        self.detail >= Detail::Steps
    }

    /// A step starts.
    pub fn step_started(&mut self, now: Instant, name: &str, step: &Step) {
        if self.tells_steps() {
            let kind = Kind::StepStarted {
                step: name.to_owned(),
                file: step.at.file.to_string(),
                line: step.at.line,
                text: step.text.clone(),
            };
            self.note(now, kind);
        }
    }

    /// A step has ended; `ok` when it came out as expected.
    pub fn step_finished(&mut self, now: Instant, name: &str, ok: bool, got: &impl Serialize) {
        if self.tells_steps() {
            let got = self.masked(got);
            self.note(now, Kind::StepFinished { step: name.to_owned(), ok, got });
        }
    }

    /// A value for the report, with everything secret in it masked.
    fn masked(&self, value: &impl Serialize) -> serde_json::Value {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        self.masker.json(&mut value);
        value
    }

    /// Everything that was written down.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// The last exchanges in words, oldest first.
    #[must_use]
    pub fn last_exchanges(&self) -> Vec<String> {
        words::last_exchanges(&self.events, LAST_EXCHANGES)
    }

    fn trace(&mut self, now: Instant, kind: impl FnOnce(&Masker) -> Kind) {
        if self.tells_exchanges() {
            let kind = kind(&self.masker);
            self.note(now, kind);
        }
    }

    /// One ATT operation.
    pub fn att(&mut self, now: Instant, att: &Att) {
        if !self.tells_exchanges() {
            return;
        }
        let name = att.characteristic.map(|id| id.characteristic.to_string()).unwrap_or_default();
        let hex = self.masker.att(&name, &att.value);
        self.note(now, Kind::Att { op: att.op, characteristic: name, hex, ok: att.error.is_none() });
        if att.characteristic == Some(CharacteristicId::NFC_CHANNEL) {
            self.follow_channel(now, att);
        }
        if att.op == AttOp::Disconnect {
            self.channel = Channel { framing: self.channel.framing.take(), ..Channel::default() };
        }
    }

    fn follow_channel(&mut self, now: Instant, att: &Att) {
        let Some(framing) = self.channel.framing else { return };
        if att.op == AttOp::Notify {
            let Ok(Notification::Fragment(fragment)) = framing.decode_notification(&att.value) else { return };
            let assembler = self.channel.answer.get_or_insert_with(|| Assembler::new(framing, MOST_APDU_BYTES));
            let Ok(Some(response)) = assembler.push(fragment) else { return };
            let Some(command) = self.channel.pending.take() else { return };
            self.apdu(now, Via::NfcChannel, &command, &response);
        } else {
            let Ok(Request::Fragment(fragment)) = framing.decode_request(&att.value) else { return };
            let assembler = self.channel.command.get_or_insert_with(|| Assembler::new(framing, MOST_APDU_BYTES));
            if let Ok(Some(command)) = assembler.push(fragment) {
                self.channel.pending = Some(command);
            }
        }
    }

    fn apdu(&mut self, now: Instant, via: Via, command: &[u8], response: &[u8]) {
        let (command, response) = (self.masker.command(command), self.masker.response(response));
        self.note(now, Kind::Apdu { via, command, response });
    }

    /// The terminal sends a command.
    pub fn contactless_command(&mut self, command: &[u8]) {
        if self.tells_exchanges() {
            self.contactless_command = Some(command.to_vec());
        }
    }

    /// The band answers it.
    pub fn contactless_answer(&mut self, now: Instant, answer: &[u8]) {
        if let Some(command) = self.contactless_command.take() {
            self.apdu(now, Via::Contactless, &command, answer);
        }
    }

    /// The band is gone; a command that it has not answered is written down without an answer.
    pub fn contactless_lost(&mut self, now: Instant) {
        self.contactless_answer(now, &[]);
    }

    /// A request to the cloud and its answer.
    pub fn cloud(&mut self, now: Instant, request: &Envelope, reply: &Reply) {
        self.trace(now, |masker| Kind::Cloud {
            request: masked(masker, &request.request),
            reply: masked(masker, reply),
        });
    }

    /// An online authorisation.
    pub fn authorisation(&mut self, now: Instant, request: &Authorisation, reply: &AuthorisationReply) {
        if !self.tells_exchanges() {
            return;
        }
        let mut bank = |text: String| {
            self.trace(now, |masker| Kind::Terminal { step: "bank".into(), text: masker.text(&text).into_owned() });
        };
        let arc = String::from_utf8_lossy(&reply.arc);
        let words = shown(&reply.reason).replace('_', " ");
        bank(format!("asked for a payment at {}: {arc}, {words}", request.merchant));
        if let Some(suspicion) = &reply.suspicion {
            bank(format!("SUSPICIOUS: {suspicion}"));
        }
    }

    /// Both sides of a cryptogram that does not match: what the card computed it over, and what the issuer did.
    pub fn cryptogram_inputs(&mut self, now: Instant, cards: &[u8], issuers: &[u8]) {
        let hex = |bytes: &[u8]| Hex(bytes.to_vec()).to_string();
        for (who, input) in [("card", cards), ("bank", issuers)] {
            let text = format!("the cryptogram does not match; the {who} computed it over {}", hex(input));
            self.trace(now, |masker| Kind::Terminal {
                step: "cryptogram".into(),
                text: masker.text(&text).into_owned(),
            });
        }
    }

    /// A message of the bank. Its code is the holder's to know: it is shown, it is worthless after the case.
    pub fn sms(&mut self, now: Instant, sms: &Sms) {
        self.trace(now, |masker| Kind::Sms {
            account: sms.account.0.clone(),
            text: masker
                .text(&format!("code {} for {}, valid for {:?}", sms.code, sms.card.0, sms.valid_for))
                .into_owned(),
        });
    }

    /// The app shows something in passing.
    pub fn notice(&mut self, now: Instant, notice: &Notice) {
        if !matches!(notice, Notice::Progress { .. }) {
            self.trace(now, |masker| Kind::App { text: masker.text(&shown(notice)).into_owned() });
        }
    }

    /// The app ends an action.
    pub fn done(&mut self, now: Instant, result: &Result<Shown, Refusal>) {
        self.trace(now, |masker| Kind::App {
            text: match result {
                Ok(Shown::Answer { rapdu }) => format!("answer {}", masker.response(rapdu)),
                Ok(Shown::Notifications { .. }) => "notifications".to_owned(),
                Ok(it) => masker.text(&shown(it)).into_owned(),
                Err(refusal) => match refusal.number() {
                    Some(number) => format!("refused: {} ({number})", shown(refusal)),
                    None => format!("refused: {}", shown(refusal)),
                },
            },
        });
    }

    /// The band reports something.
    pub fn band(&mut self, now: Instant, event: &BandEvent) {
        self.trace(now, |masker| Kind::Band { text: masker.text(&shown(event)).into_owned() });
    }

    /// The band shows something.
    pub fn display(&mut self, now: Instant, display: &Display) {
        self.trace(now, |masker| Kind::Band { text: masker.text(&format!("shows {}", shown(display))).into_owned() });
    }

    /// The terminal decided something.
    pub fn terminal(&mut self, now: Instant, note: &Note) {
        self.trace(now, |masker| Kind::Terminal {
            step: note.step.to_string(),
            text: masker.text(&note.text).into_owned(),
        });
    }
}

/// Plain data as one line: a bare word for a bare variant, JSON for the rest.
fn shown(value: &impl Serialize) -> String {
    one_line(serde_json::to_value(value).unwrap_or_default())
}

/// The same with every secret masked, also in lists of bytes.
fn masked(masker: &Masker, value: &impl Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    masker.json(&mut value);
    one_line(value)
}

fn one_line(value: serde_json::Value) -> String {
    match hexed(value) {
        serde_json::Value::String(word) => word,
        other => other.to_string(),
    }
}

/// Lists of bytes as hex: nobody reads them in decimal.
fn hexed(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
            match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) if !bytes.is_empty() => Value::String(decode::spaced_hex(&bytes)),
                _ => Value::Array(items.into_iter().map(hexed).collect()),
            }
        }
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, field)| (name, hexed(field))).collect()),
        other => other,
    }
}
