//! What is written down while a world runs: events for the reports, and the last exchanges for the report of a failure.
//!
//! Most of a run is never read: [`Detail`] says how much is kept, and what is kept stays as it came until somebody reads it. What
//! fails is run once more with everything written down, as the same seed gives the same run.

use std::fmt;
use std::sync::Arc;

use band_sim::band::{BandEvent, Display};
use band_sim::time::Instant;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::frame::nfc_channel::Framing;
use serde::Serialize;

use super::teller::{Authorised, Place, Seen, Teller};
use crate::cloud::Cloud;
use crate::cloud::api::{Authorisation, AuthorisationReply, Envelope, Refusal, Reply, Sms};
use crate::link::in_process::Att;
use crate::mask::Secret;
use crate::phone::io::{Notice, Shown};
use crate::report::event::{Event, Kind};
use crate::report::words;
use crate::scenario::step::Step;
use crate::terminal::config::TerminalConfig;
use crate::terminal::io::Input;

/// How many exchanges the report of a failure shows.
const LAST_EXCHANGES: usize = 12;

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
#[derive(Clone, Default)]
pub struct Recorder {
    case: u32,
    detail: Detail,
    /// In words.
    events: Vec<Event>,
    /// Not yet in words, after all events.
    seen: Vec<(Instant, Seen)>,
    /// What APDUs are made of that are not yet in words.
    bytes: Vec<u8>,
    /// The last answer of the band, which a terminal mostly hears as it is.
    last_answer: Place,
    teller: Teller,
    /// What must not be shown, as far as the teller does not know it yet: it learns it when it has something to tell.
    unlearnt: Vec<Secret>,
    tokens_hidden: u32,
}

impl fmt::Debug for Recorder {
    /// What was seen is only counted: it holds numbers and keys as they came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("case", &self.case)
            .field("detail", &self.detail)
            .field("events", &self.events)
            .field("seen", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// A fault that any station can have, in the words of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// The app leaves the foreground (R10).
    AppLeft,
    /// The so-manyth request to the cloud is lost.
    RequestLost(u64),
    /// The next answer in the field is not the band's.
    AnswerChanged,
    /// The band is taken from the reader.
    FieldLeft,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppLeft => f.write_str("the app leaves the foreground"),
            Self::RequestLost(nth) => write!(f, "cloud request {nth} is never answered"),
            Self::AnswerChanged => f.write_str("a man in the middle changes the next answer"),
            Self::FieldLeft => f.write_str("the band leaves the field"),
        }
    }
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
        self.tell();
        self.events.clear();
        self.detail = detail;
    }

    /// Tells what a try has told.
    pub fn append(&mut self, of_a_try: &mut Self) {
        self.tell();
        of_a_try.tell();
        self.events.append(&mut of_a_try.events);
    }

    /// Puts into words what was seen so far, with the secrets known so far masked. Done before a recorder is copied, it is done once.
    pub fn tell(&mut self) {
        let Self { case, events, seen, bytes, teller, unlearnt, .. } = self;
        unlearnt.drain(..).for_each(|secret| teller.masker.learn(&secret));
        for (now, seen) in seen.drain(..) {
            teller.tell(now, seen, bytes, &mut |kind| events.push(Event { case: *case, at_us: now.as_micros(), kind }));
        }
        bytes.clear();
        self.last_answer = 0..0;
    }

    /// How the NFC channel is framed, so that whole APDUs can be shown.
    pub fn follow(&mut self, framing: Framing) {
        self.see(Instant::ZERO, |_| Seen::Framing(framing));
    }

    /// What must never be shown in full: every number and key that the cloud knows. Called again, it learns what is new.
    pub fn hide(&mut self, cloud: &Cloud) {
        if !self.tells_steps() {
            return;
        }
        self.unlearnt.extend(cloud.secrets(self.tokens_hidden));
        self.tokens_hidden = cloud.tokens_made();
    }

    /// A key of somebody's own band, which must never be shown either.
    pub fn hide_key(&mut self, key: AuthKey) {
        self.unlearnt.push(Secret::Key(key.0.to_vec()));
    }

    /// Writes down something that is always kept.
    pub fn note(&mut self, now: Instant, kind: Kind) {
        self.seen.push((now, Seen::Told(Box::new(kind))));
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
            self.seen.push((now, Seen::Step(Box::new(kind))));
        }
    }

    /// A step has ended; `ok` when it came out as expected.
    pub fn step_finished(&mut self, now: Instant, name: &str, ok: bool, got: &impl Serialize) {
        if self.tells_steps() {
            let got = serde_json::to_value(got).unwrap_or_default();
            self.seen.push((now, Seen::Step(Box::new(Kind::StepFinished { step: name.to_owned(), ok, got }))));
        }
    }

    /// Everything that was written down.
    #[must_use]
    pub fn into_events(mut self) -> Vec<Event> {
        self.tell();
        self.events
    }

    /// That it began and how it ended: all that somebody reads of a case that passed. What else was seen and is not in words yet is
    /// never put into them.
    #[must_use]
    pub fn into_verdict(mut self) -> Vec<Event> {
        self.seen.retain(|(_, seen)| matches!(seen, Seen::Told(_)));
        self.unlearnt.clear();
        self.into_events()
    }

    /// The last exchanges in words, oldest first.
    #[must_use]
    pub fn last_exchanges(&mut self) -> Vec<String> {
        self.tell();
        words::last_exchanges(&self.events, LAST_EXCHANGES)
    }

    /// Keeps one exchange as it came, if exchanges are kept.
    fn see(&mut self, now: Instant, seen: impl FnOnce(&mut Self) -> Seen) {
        if self.tells_exchanges() {
            let seen = seen(self);
            self.seen.push((now, seen));
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Place {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        begin..self.bytes.len()
    }

    /// One ATT operation.
    pub fn att(&mut self, now: Instant, att: Att) {
        self.see(now, |_| Seen::Att(Box::new(att)));
    }

    /// The terminal sends a command.
    pub fn contactless_command(&mut self, now: Instant, command: &[u8]) {
        self.see(now, |recorder| Seen::Command(recorder.keep(command)));
    }

    /// The band answers it.
    pub fn contactless_answer(&mut self, now: Instant, answer: &[u8]) {
        self.see(now, |recorder| {
            recorder.last_answer = recorder.keep(answer);
            Seen::Answer(recorder.last_answer.clone())
        });
    }

    /// The band is gone; a command that it has not answered is written down without an answer.
    pub fn contactless_lost(&mut self, now: Instant) {
        self.contactless_answer(now, &[]);
    }

    /// A fault strikes.
    pub fn struck(&mut self, now: Instant, struck: Struck) {
        self.note(now, Kind::Fault { text: struck.to_string() });
    }

    /// A payment begins at a terminal with these settings.
    pub fn shop(&mut self, now: Instant, config: &Arc<TerminalConfig>) {
        self.see(now, |_| Seen::Shop(Arc::clone(config)));
    }

    /// This happens to the terminal.
    pub fn terminal(&mut self, now: Instant, input: &Input) {
        self.see(now, |recorder| match input {
            Input::Answer(answer) if recorder.bytes.get(recorder.last_answer.clone()) == Some(answer) => {
                Seen::Heard(recorder.last_answer.clone())
            }
            Input::Answer(answer) => Seen::Heard(recorder.keep(answer)),
            other => Seen::Terminal(Box::new(other.clone())),
        });
    }

    /// A request to the cloud and its answer.
    pub fn cloud(&mut self, now: Instant, request: &Envelope, reply: &Reply) {
        self.see(now, |_| Seen::Cloud(Box::new((request.request.clone(), reply.clone()))));
    }

    /// An online authorisation.
    pub fn authorisation(&mut self, now: Instant, request: &Authorisation, reply: &AuthorisationReply) {
        self.see(now, |_| {
            Seen::Authorisation(Box::new(Authorised {
                merchant: request.merchant.clone(),
                arc: reply.arc,
                reason: reply.reason,
                suspicion: reply.suspicion.clone(),
            }))
        });
    }

    /// Both sides of a cryptogram that does not match: what the card computed it over, and what the issuer did.
    pub fn cryptogram_inputs(&mut self, now: Instant, card: &[u8], bank: &[u8]) {
        self.see(now, |_| Seen::CryptogramInputs(Box::new([card.to_vec(), bank.to_vec()])));
    }

    /// A message of the bank. Its code is the holder's to know: it is shown, it is worthless after the case.
    pub fn sms(&mut self, now: Instant, sms: &Sms) {
        self.see(now, |_| Seen::Sms(Box::new(sms.clone())));
    }

    /// The app shows something in passing.
    pub fn notice(&mut self, now: Instant, notice: &Notice) {
        if !matches!(notice, Notice::Progress { .. }) {
            self.see(now, |_| Seen::Notice(notice.clone()));
        }
    }

    /// The app ends an action.
    pub fn done(&mut self, now: Instant, result: &Result<Shown, Refusal>) {
        self.see(now, |_| Seen::Done(Box::new(result.clone())));
    }

    /// The band reports something.
    pub fn band(&mut self, now: Instant, event: &BandEvent) {
        self.see(now, |_| Seen::Band(Box::new(event.clone())));
    }

    /// The band shows something.
    pub fn display(&mut self, now: Instant, display: &Display) {
        self.see(now, |_| Seen::Display(Box::new(display.clone())));
    }
}

#[cfg(test)]
mod tests {
    use band_sim::wire::gatt::CharacteristicId;

    use super::*;
    use crate::report::event::AttOp;

    fn write(value: &[u8]) -> Att {
        let characteristic = Some(CharacteristicId::AUTH);
        Att { op: AttOp::WriteCommand, characteristic, value: value.to_vec(), error: None }
    }

    #[test]
    fn what_is_told_later_hides_the_secrets_learnt_since() {
        let key = [0xC3, 0x5A, 0x91, 0x0E, 0x77, 0x2B, 0xD4, 0x68, 0xF1, 0x3C, 0xA9, 0x05, 0xBE, 0x46, 0x82, 0x1D];
        let mut recorder = Recorder::new(0, Detail::Exchanges);
        recorder.att(Instant::ZERO, write(&key));
        assert!(format!("{recorder:?}").contains("seen: 1"), "only counted");
        recorder.hide_key(AuthKey(key));
        let told = serde_json::to_string(&recorder.into_events()).unwrap();
        assert!(told.contains(r#""event":"att""#) && !told.contains("C3 5A 91"), "{told}");
    }

    #[test]
    fn of_what_nobody_reads_only_the_verdict_is_put_into_words() {
        let mut recorder = Recorder::new(7, Detail::Exchanges);
        recorder.note(Instant::ZERO, Kind::Fault { text: "the app leaves the foreground".into() });
        recorder.step_finished(Instant::ZERO, "1", true, &"refused");
        recorder.att(Instant::ZERO, write(&[1, 2]));
        let words = |events: Vec<Event>| {
            let told = serde_json::to_value(events).unwrap();
            told.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words(recorder.clone().into_verdict()), ["fault"]);
        assert_eq!(words(recorder.into_events()), ["fault", "step_finished", "att"]);
    }

    #[test]
    fn a_step_is_told_with_the_secrets_masked_that_were_learnt_after_it() {
        let key = [0xC3, 0x5A, 0x91, 0x0E, 0x77, 0x2B, 0xD4, 0x68, 0xF1, 0x3C, 0xA9, 0x05, 0xBE, 0x46, 0x82, 0x1D];
        let mut recorder = Recorder::new(0, Detail::Steps);
        recorder.step_finished(Instant::ZERO, "1", true, &"C35A910E772BD468F13CA905BE46821D");
        recorder.hide_key(AuthKey(key));
        let told = serde_json::to_string(&recorder.into_events()).unwrap();
        assert!(told.contains("step_finished") && told.contains("****") && !told.contains("C35A91"), "{told}");
    }

    #[test]
    fn an_answer_that_was_changed_on_its_way_is_told_as_the_terminal_heard_it() {
        let mut recorder = Recorder::new(0, Detail::Exchanges);
        recorder.contactless_command(Instant::ZERO, &[0x00, 0xB2, 0x01, 0x0C, 0x00]);
        recorder.contactless_answer(Instant::ZERO, &[0x6A, 0x83]);
        for heard in [[0x6A, 0x83], [0x90, 0x00]] {
            recorder.terminal(Instant::ZERO, &Input::Answer(heard.to_vec()));
        }
        let heard = recorder.seen.iter().filter_map(|(_, seen)| match seen {
            Seen::Heard(place) => recorder.bytes.get(place.clone()),
            _ => None,
        });
        assert_eq!(heard.collect::<Vec<_>>(), [[0x6A, 0x83], [0x90, 0x00]]);
        assert_eq!(recorder.bytes.len(), 5 + 2 + 2, "an answer heard as it was given is kept once");
    }
}
