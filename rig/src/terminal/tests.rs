//! Whole payments: what happens on the left, what the terminal does on the right; and cards that do not behave.

#![allow(clippy::inconsistent_digit_grouping, reason = "amounts are in minor units: 50_00 is 50.00")]

mod authentication;
mod decisions;
mod fake_card;
mod hostile;
mod kernel_2;
mod kernel_3;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use band_sim::time::Instant;
use band_sim::wire::apdu::CApdu;
use band_sim::wire::hex::Hex;

use super::Terminal;
use super::config::TerminalConfig;
use super::io::{Input, Note, Outcome, Output, Purchase, Receipt};
use crate::cloud::api::{Authorisation, AuthorisationReason, AuthorisationReply};
use fake_card::FakeCard;

/// 2025-06-15 12:00:00 UTC.
const NOON: i64 = 1_749_988_800;

fn config(name: &str) -> TerminalConfig {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/terminals/{name}.yaml"));
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn purchase(config: &TerminalConfig, amount_minor: u64) -> Purchase {
    Purchase {
        amount_minor,
        amount_other_minor: 0,
        currency: config.currency.number,
        unix_s: NOON,
        unpredictable_number: [0x52, 0xBF, 0x45, 0x85],
    }
}

fn hex(text: &str) -> Vec<u8> {
    text.parse::<Hex>().unwrap().0
}

fn answer(text: &str) -> Input {
    Input::Answer(hex(text))
}

fn approval() -> AuthorisationReply {
    AuthorisationReply::stand_in_approval()
}

fn refusal() -> AuthorisationReply {
    AuthorisationReply { approved: false, arc: *b"51", reason: AuthorisationReason::InsufficientFunds, ..approval() }
}

/// A terminal in whose hands the time is.
struct Till {
    terminal: Terminal,
    now: Instant,
    notes: Vec<Note>,
}

impl Till {
    fn new(config: TerminalConfig) -> Self {
        Self { terminal: Terminal::new(Arc::new(config)), now: Instant::ZERO, notes: Vec::new() }
    }

    fn start(&mut self, amount_minor: u64) -> Vec<Output> {
        let purchase = purchase(self.terminal.config(), amount_minor);
        self.handle(Input::Start(purchase))
    }

    /// What the terminal does then, without its notes.
    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.terminal.handle(self.now, input);
        let mut outputs = Vec::new();
        loop {
            match self.terminal.poll() {
                Output::Note(note) => self.notes.push(note),
                Output::Wait(_) => return outputs,
                output => outputs.push(output),
            }
        }
    }

    fn wait(&mut self, time: Duration) -> Vec<Output> {
        self.now = self.now + time;
        self.handle(Input::Tick)
    }

    fn said(&self, words: &str) -> bool {
        self.notes.iter().any(|note| format!("{}: {}", note.step, note.text).contains(words))
    }
}

/// Pays with `card`, with an acquirer that answers `reply` and a customer who types 1234.
fn pay(config: TerminalConfig, amount_minor: u64, card: &mut FakeCard, reply: Option<AuthorisationReply>) -> Payment {
    let purchase = purchase(&config, amount_minor);
    pay_for(purchase, config, card, reply)
}

/// The same, 10.00 of the amount to be handed out.
fn pay_with_cashback(
    config: TerminalConfig,
    amount_minor: u64,
    card: &mut FakeCard,
    reply: Option<AuthorisationReply>,
) -> Payment {
    let purchase = Purchase { amount_other_minor: 10_00, ..purchase(&config, amount_minor) };
    pay_for(purchase, config, card, reply)
}

fn pay_for(
    purchase: Purchase,
    config: TerminalConfig,
    card: &mut FakeCard,
    reply: Option<AuthorisationReply>,
) -> Payment {
    let mut till = Till::new(config);
    let mut outputs = till.handle(Input::Start(purchase));
    let mut payment = Payment::default();
    loop {
        assert_eq!(outputs.len(), 1, "one thing at a time: {outputs:?}");
        let input = match outputs.remove(0) {
            Output::Command(command) => {
                payment.commands.push(Hex(command.clone()).to_string());
                Input::Answer(card.answer(&CApdu::decode(&command).unwrap()))
            }
            Output::AskPin => {
                payment.asked_pin = true;
                Input::Pin(Some("1234".into()))
            }
            Output::Online(authorisation) => {
                payment.authorisation = Some(*authorisation);
                Input::Online(reply.clone())
            }
            Output::Done(receipt) => {
                payment.receipt = Some(*receipt);
                payment.till = Some(till);
                return payment;
            }
            other => panic!("{other:?}"),
        };
        outputs = till.handle(input);
    }
}

#[derive(Default)]
struct Payment {
    commands: Vec<String>,
    asked_pin: bool,
    authorisation: Option<Authorisation>,
    receipt: Option<Receipt>,
    till: Option<Till>,
}

impl Payment {
    fn receipt(&self) -> &Receipt {
        self.receipt.as_ref().unwrap()
    }

    fn outcome(&self) -> Outcome {
        self.receipt().outcome
    }

    fn reason(&self) -> &str {
        &self.receipt().reason
    }

    #[track_caller]
    fn assert_said(&self, words: &str) {
        let till = self.till.as_ref().unwrap();
        let all: Vec<String> = till.notes.iter().map(|note| format!("{}: {}", note.step, note.text)).collect();
        assert!(till.said(words), "nobody said {words:?}:\n{}", all.join("\n"));
    }

    /// The value the issuer would find in the chip data.
    fn chip_data(&self, tag: band_sim::wire::tlv::Tag) -> Option<String> {
        let data = &self.authorisation.as_ref().unwrap().chip_data;
        band_sim::wire::tlv::find(data, tag).map(|value| Hex(value.to_vec()).to_string())
    }
}
