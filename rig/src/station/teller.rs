//! Puts into words what a recorder saw: events with every secret masked, whole APDUs out of fragments, the decisions of a terminal.

use std::ops::Range;
use std::sync::Arc;

use band_sim::band::{BandEvent, Display};
use band_sim::time::Instant;
use band_sim::wire::frame::nfc_channel::{Assembler, Framing, Notification, Request};
use band_sim::wire::gatt::CharacteristicId;
use band_sim::wire::hex::Hex;
use serde::Serialize;

use crate::cloud::api::{self, AuthorisationReason, Refusal, Reply, Sms};
use crate::decode;
use crate::link::in_process::Att;
use crate::mask::Masker;
use crate::phone::io::{Notice, Shown};
use crate::report::event::{AttOp, Kind, Via};
use crate::terminal::Terminal;
use crate::terminal::config::TerminalConfig;
use crate::terminal::io::{Input, Note, Output};

/// The longest APDU that is followed; longer ones are shown as fragments only.
const MOST_APDU_BYTES: usize = 4096;

/// One thing that was seen, as it came; small, as a payment alone is forty of them. It has no `Debug`: nothing in it is masked.
#[derive(Clone)]
pub(super) enum Seen {
    /// In words already.
    Told(Box<Kind>),
    /// A step begins or has ended.
    Step(Box<Kind>),
    /// One ATT operation.
    Att(Box<Att>),
    /// From now on the NFC channel is framed so.
    Framing(Framing),
    /// What a terminal sends to the band.
    Command(Place),
    /// What the band answers to it.
    Answer(Place),
    /// A payment begins at a terminal with these settings.
    Shop(Arc<TerminalConfig>),
    /// The terminal hears an answer of the band.
    Heard(Place),
    /// Something else happened to the terminal.
    Terminal(Box<Input>),
    Cloud(Box<(api::Request, Reply)>),
    Authorisation(Box<Authorised>),
    /// Both sides of a cryptogram that does not match.
    CryptogramInputs(Box<[Vec<u8>; 2]>),
    Sms(Box<Sms>),
    Notice(Notice),
    Done(Box<Result<Shown, Refusal>>),
    Band(Box<BandEvent>),
    Display(Box<Display>),
}

/// Where bytes lie among all that a recorder keeps.
pub(super) type Place = Range<usize>;

/// What is told of an authorisation.
#[derive(Clone)]
pub(super) struct Authorised {
    pub(super) merchant: String,
    pub(super) arc: [u8; 2],
    pub(super) reason: AuthorisationReason,
    pub(super) suspicion: Option<String>,
}

/// Tells one thing after the other; what came before decides how the next is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Teller {
    channel: Channel,
    contactless_command: Option<Vec<u8>>,
    terminal: Option<Box<Terminal>>,
    pub(super) masker: Masker,
}

/// Follows the APDUs inside the fragments of the NFC channel.
#[derive(Clone, Debug, Default)]
struct Channel {
    framing: Option<Framing>,
    command: Option<Assembler>,
    answer: Option<Assembler>,
    pending: Option<Vec<u8>>,
}

impl Channel {
    const fn new(framing: Option<Framing>) -> Self {
        Self { framing, command: None, answer: None, pending: None }
    }

    /// A whole exchange, if this operation completes one.
    fn follow(&mut self, att: &Att) -> Option<(Vec<u8>, Vec<u8>)> {
        let framing = self.framing?;
        if att.op == AttOp::Notify {
            let Ok(Notification::Fragment(fragment)) = framing.decode_notification(&att.value) else { return None };
            let assembler = self.answer.get_or_insert_with(|| Assembler::new(framing, MOST_APDU_BYTES));
            let response = assembler.push(fragment).ok()??;
            Some((self.pending.take()?, response))
        } else {
            let Ok(Request::Fragment(fragment)) = framing.decode_request(&att.value) else { return None };
            let assembler = self.command.get_or_insert_with(|| Assembler::new(framing, MOST_APDU_BYTES));
            if let Ok(Some(command)) = assembler.push(fragment) {
                self.pending = Some(command);
            }
            None
        }
    }
}

impl Teller {
    /// Tells this; what it names by its place lies in `bytes`.
    pub(super) fn tell(&mut self, now: Instant, seen: Seen, bytes: &[u8], say: &mut impl FnMut(Kind)) {
        let at = |place: Place| bytes.get(place).unwrap_or_default();
        match seen {
            Seen::Told(kind) => say(*kind),
            Seen::Step(kind) => say(self.step(*kind)),
            Seen::Att(att) => self.att(&att, say),
            Seen::Framing(framing) => self.channel = Channel::new(Some(framing)),
            Seen::Command(command) => self.contactless_command = Some(at(command).to_vec()),
            Seen::Answer(answer) => {
                if let Some(command) = self.contactless_command.take() {
                    say(self.apdu(Via::Contactless, &command, at(answer)));
                }
            }
            Seen::Shop(config) => self.terminal = Some(Box::new(Terminal::new(config))),
            Seen::Heard(answer) => self.terminal(now, Input::Answer(at(answer).to_vec()), say),
            Seen::Terminal(input) => self.terminal(now, *input, say),
            Seen::Cloud(exchange) => {
                let (request, reply) = *exchange;
                say(Kind::Cloud { request: self.masked(&request), reply: self.masked(&reply) });
            }
            Seen::Authorisation(authorised) => {
                let Authorised { merchant, arc, reason, suspicion } = *authorised;
                let mut bank = |text: String| say(self.note("bank", &text));
                let (arc, words) = (String::from_utf8_lossy(&arc), shown(&reason).replace('_', " "));
                bank(format!("asked for a payment at {merchant}: {arc}, {words}"));
                if let Some(suspicion) = suspicion {
                    bank(format!("SUSPICIOUS: {suspicion}"));
                }
            }
            Seen::CryptogramInputs(inputs) => {
                for (who, input) in ["card", "bank"].into_iter().zip(*inputs) {
                    let text = format!("the cryptogram does not match; the {who} computed it over {}", Hex(input));
                    say(self.note("cryptogram", &text));
                }
            }
            Seen::Sms(sms) => {
                let text = format!("code {} for {}, valid for {:?}", sms.code, sms.card.0, sms.valid_for);
                say(Kind::Sms { account: sms.account.0, text: self.text(&text) });
            }
            Seen::Notice(notice) => say(Kind::App { text: self.text(&shown(&notice)) }),
            Seen::Done(result) => say(Kind::App { text: self.done(&result) }),
            Seen::Band(event) => say(Kind::Band { text: self.text(&shown(&*event)) }),
            Seen::Display(display) => say(Kind::Band { text: self.text(&format!("shows {}", shown(&*display))) }),
        }
    }

    fn step(&self, kind: Kind) -> Kind {
        match kind {
            Kind::StepStarted { step, file, line, text } => {
                Kind::StepStarted { step, file, line, text: self.text(&text) }
            }
            Kind::StepFinished { step, ok, mut got } => {
                self.masker.json(&mut got);
                Kind::StepFinished { step, ok, got }
            }
            other => other,
        }
    }

    /// A value for the report, with everything secret in it masked.
    fn json(&self, value: &impl Serialize) -> serde_json::Value {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        self.masker.json(&mut value);
        value
    }

    /// The same in one line.
    fn masked(&self, value: &impl Serialize) -> String {
        one_line(self.json(value))
    }

    fn text(&self, text: &str) -> String {
        self.masker.text(text).into_owned()
    }

    fn note(&self, step: &str, text: &str) -> Kind {
        Kind::Terminal { step: step.to_owned(), text: self.text(text) }
    }

    fn apdu(&self, via: Via, command: &[u8], response: &[u8]) -> Kind {
        Kind::Apdu { via, command: self.masker.command(command), response: self.masker.answer(command, response) }
    }

    fn att(&mut self, att: &Att, say: &mut impl FnMut(Kind)) {
        let characteristic = att.characteristic.map(|id| id.characteristic.to_string()).unwrap_or_default();
        let hex = self.masker.att(&characteristic, &att.value);
        say(Kind::Att { op: att.op, characteristic, hex, ok: att.error.is_none() });
        if att.characteristic == Some(CharacteristicId::NFC_CHANNEL)
            && let Some((command, response)) = self.channel.follow(att)
        {
            say(self.apdu(Via::NfcChannel, &command, &response));
        }
        if att.op == AttOp::Disconnect {
            self.channel = Channel::new(self.channel.framing.take());
        }
    }

    /// A terminal decides the same whenever the same happens to it, so its reasons are made here, where somebody reads them.
    fn terminal(&mut self, now: Instant, input: Input, say: &mut impl FnMut(Kind)) {
        let Some(mut terminal) = self.terminal.take() else { return };
        terminal.handle(now, input);
        loop {
            match terminal.poll() {
                Output::Note(Note { step, text }) => say(self.note(&step.to_string(), &text)),
                Output::Wait(_) => break,
                _ => {}
            }
        }
        self.terminal = Some(terminal);
    }

    fn done(&self, result: &Result<Shown, Refusal>) -> String {
        match result {
            Ok(Shown::Answer { rapdu }) => format!("answer {}", self.masker.response(rapdu)),
            Ok(Shown::Notifications { .. }) => "notifications".to_owned(),
            Ok(it) => self.text(&shown(it)),
            Err(refusal) => match refusal.number() {
                Some(number) => format!("refused: {} ({number})", shown(refusal)),
                None => format!("refused: {}", shown(refusal)),
            },
        }
    }
}

/// Plain data as one line: a bare word for a bare variant, JSON for the rest.
fn shown(value: &impl Serialize) -> String {
    one_line(serde_json::to_value(value).unwrap_or_default())
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
