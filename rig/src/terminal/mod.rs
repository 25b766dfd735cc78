//! The shop's role: a contactless terminal, sans-IO. One file per EMV step, in order.
//!
//! `handle(now, Input)` says that one thing happened; then `poll()` is drained until [`Output::Wait`]. A payment begins with
//! [`Input::Start`] and ends with [`Output::Done`], whatever the card answers: exchanges are counted, waiting has a deadline.
//!
//! ```text
//! entry_point -> selection -> gpo -> read_records -> kernel2: risk_management, oda, restrictions, cvm, action_analysis,
//!                                                    generate_ac -> online -> outcome
//!                                                 -> kernel3: restrictions, oda, cvm -> online -> outcome
//! ```

mod action_analysis;
mod card_data;
mod certificate;
pub mod config;
mod cvm;
mod entry_point;
mod exchange;
mod generate_ac;
mod gpo;
pub mod io;
mod kernel2;
mod kernel3;
mod oda;
mod online;
mod outcome;
mod read_records;
pub mod receipt;
mod restrictions;
mod risk_management;
mod selection;
#[cfg(test)]
mod tests;
mod transaction;
pub mod ui;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use band_sim::time::Instant;
use band_sim::wire::apdu::RApdu;

use config::TerminalConfig;
use exchange::{Answered, Exchange};
use io::{Input, Note, Outcome, Output, Purchase};
use transaction::{Decision, End, Next, Pending, Stop, Transaction};

/// At most this many commands in one payment. A plain one has about eight.
pub const MAX_COMMANDS: u16 = 250;

/// A contactless terminal.
#[derive(Clone)]
pub struct Terminal {
    config: Arc<TerminalConfig>,
    payment: Option<Box<Payment>>,
    outputs: VecDeque<Output>,
    explains: bool,
}

/// A payment under way.
#[derive(Clone, Debug)]
struct Payment {
    transaction: Transaction,
    /// Whose answer is awaited.
    pending: Pending,
    /// Until when.
    deadline: Instant,
    /// The command whose answer is awaited, if it is the card's.
    exchange: Option<Exchange>,
    commands: u16,
}

impl Terminal {
    /// A terminal with these settings, idle.
    #[must_use]
    pub const fn new(config: Arc<TerminalConfig>) -> Self {
        Self { config, payment: None, outputs: VecDeque::new(), explains: true }
    }

    /// The same, which keeps to itself how it decides: no [`Output::Note`] comes out of it.
    #[must_use]
    pub const fn without_notes(mut self) -> Self {
        self.explains = false;
        self
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &TerminalConfig {
        &self.config
    }

    /// Whether a payment is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.payment.is_some()
    }

    /// One thing happened. What does not belong to the payment under way is passed over.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let Some(mut payment) = self.payment.take() else {
            if let Input::Start(purchase) = input {
                self.start(now, purchase);
            }
            return;
        };
        let decision = payment.handle(now, input);
        self.advance(now, payment, decision);
    }

    /// The next thing to do; drain until [`Output::Wait`].
    pub fn poll(&mut self) -> Output {
        let deadline = self.payment.as_ref().map(|payment| payment.deadline);
        self.outputs.pop_front().unwrap_or(Output::Wait(deadline))
    }

    fn start(&mut self, now: Instant, purchase: Purchase) {
        let mut transaction = Transaction::new(Arc::clone(&self.config), purchase);
        transaction.explains = self.explains;
        let decision = entry_point::begin(&mut transaction);
        let payment = Payment { transaction, pending: Pending::Ppse, deadline: now, exchange: None, commands: 0 };
        self.advance(now, Box::new(payment), decision.map(Some));
    }

    /// Carries out a decision: the only place where a payment goes on or ends.
    fn advance(&mut self, now: Instant, mut payment: Box<Payment>, decision: Decision<Option<Next>>) {
        let decision = match decision {
            Err(Stop::SelectNext(unfit)) => entry_point::handle_unfit(&mut payment.transaction, unfit).map(Some),
            decided => decided,
        };
        let decision = decision.and_then(|next| payment.prepare(now, next));
        let end = match decision {
            Ok(output) => {
                self.say(&mut payment.transaction);
                if let Some(output) = output {
                    self.outputs.push_back(output);
                }
                self.payment = Some(payment);
                return;
            }
            Err(Stop::End(end)) => end,
            // Entry Point has already answered to this one.
            Err(Stop::SelectNext(unfit)) => End { outcome: Outcome::EndApplication, reason: unfit.reason },
        };
        let receipt = outcome::receipt(&mut payment.transaction, end);
        self.say(&mut payment.transaction);
        self.outputs.push_back(Output::Done(Box::new(receipt)));
    }

    fn say(&mut self, transaction: &mut Transaction) {
        for note in transaction.notes.drain(..) {
            self.outputs.push_back(Output::Note(note));
        }
    }
}

impl fmt::Debug for Terminal {
    /// What waits to be polled is only counted: a command or an authorisation may carry the card's number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes = self.outputs.iter().filter_map(|output| match output {
            Output::Note(Note { text, .. }) => Some(text),
            _ => None,
        });
        f.debug_struct("Terminal")
            .field("name", &self.config.name)
            .field("payment", &self.payment)
            .field("outputs", &self.outputs.len())
            .field("notes", &notes.collect::<Vec<_>>())
            .finish()
    }
}

impl Payment {
    /// Who answered, and which step that belongs to. `None`: nothing changes.
    fn handle(&mut self, now: Instant, input: Input) -> Decision<Option<Next>> {
        // A tick is due at the deadline; an answer at that very instant is still in time.
        let late = if input == Input::Tick { now >= self.deadline } else { now > self.deadline };
        if late {
            return self.handle_timeout().map(Some);
        }
        let transaction = &mut self.transaction;
        match (self.pending, input) {
            (Pending::Pin, Input::Pin(pin)) => online::handle_pin(transaction, pin).map(Some),
            (Pending::Acquirer, Input::Online(reply)) => Err(online::handle_answer(transaction, reply.as_ref())),
            (Pending::Pin | Pending::Acquirer, _) => Ok(None),
            (_, Input::Answer(answer)) => self.handle_card(answer),
            (_, Input::FieldLost) => Err(Stop::end(Outcome::FieldLost, "the band left the field")),
            (_, Input::Start(_) | Input::Online(_) | Input::Pin(_) | Input::Tick) => Ok(None),
        }
    }

    fn handle_timeout(&mut self) -> Decision<Next> {
        match self.pending {
            Pending::Pin => online::handle_pin(&mut self.transaction, None),
            Pending::Acquirer => Err(online::handle_answer(&mut self.transaction, None)),
            _ => Err(Stop::card_error("the card did not answer in time")),
        }
    }

    fn handle_card(&mut self, answer: Vec<u8>) -> Decision<Option<Next>> {
        let Some(exchange) = &mut self.exchange else { return Ok(None) };
        match exchange.handle(answer) {
            Answered::Send(command) => Ok(Some(Next::Continue(command))),
            Answered::Broken(why) => Err(Stop::card_error(why)),
            Answered::Whole(answer) => self.handle_answer(&answer).map(Some),
        }
    }

    fn handle_answer(&mut self, answer: &RApdu) -> Decision<Next> {
        let transaction = &mut self.transaction;
        match self.pending {
            Pending::Ppse => entry_point::handle_ppse(transaction, answer),
            Pending::Selection => selection::handle(transaction, answer),
            Pending::Gpo => gpo::handle(transaction, answer),
            Pending::Record => read_records::handle(transaction, answer),
            Pending::GenerateAc => generate_ac::handle(transaction, answer),
            Pending::Pin | Pending::Acquirer => Err(Stop::card_error("the card spoke out of turn")),
        }
    }

    /// Sets who is waited for and until when, and makes the output; counts commands.
    fn prepare(&mut self, now: Instant, next: Option<Next>) -> Decision<Option<Output>> {
        let patience = self.transaction.config.patience;
        let Some(next) = next else { return Ok(None) };
        let (pending, wait, output) = match next {
            Next::Send(pending, command) => {
                let bytes = command.encode();
                self.exchange = Some(Exchange::new(command));
                (pending, patience.with_card(), Output::Command(bytes))
            }
            Next::Continue(command) => (self.pending, patience.with_card(), Output::Command(command.encode())),
            Next::AskPin => (Pending::Pin, patience.with_customer(), Output::AskPin),
            Next::AskAcquirer(authorisation) => {
                (Pending::Acquirer, patience.with_acquirer(), Output::Online(authorisation))
            }
        };
        if matches!(output, Output::Command(_)) {
            self.commands += 1;
        }
        if self.commands > MAX_COMMANDS {
            return Err(Stop::card_error(format!("the card is not done after {MAX_COMMANDS} commands")));
        }
        self.pending = pending;
        self.deadline = now + wait;
        Ok(Some(output))
    }
}
