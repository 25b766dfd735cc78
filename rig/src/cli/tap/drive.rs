//! One payment from start to end: the terminal decides, something carries its commands to a card, and everything that happened
//! is kept in order.
//!
//! What carries the commands is a [`Surroundings`]: the embedded world, or a reader with any card in it.

use std::sync::Arc;
use std::time::Duration;

use band_sim::time::Instant;

use crate::cloud::api::{Authorisation, AuthorisationReply};
use crate::terminal::Terminal;
use crate::terminal::config::TerminalConfig;
use crate::terminal::io::{Input, Note, Output, Purchase, Receipt};

/// Everything around a terminal.
pub(crate) trait Surroundings {
    /// Carries a command to the card and brings its answer.
    ///
    /// # Errors
    /// Why there is no answer, in words: the card or the field is gone.
    fn transmit(&mut self, command: &[u8]) -> Result<Carried, String>;

    /// Asks the acquirer; `None` when it cannot be reached. And how long that took.
    fn authorise(&mut self, request: &Authorisation) -> (Option<AuthorisationReply>, Duration);

    /// What the customer types when asked for a PIN; `None` is nothing. And how long that took.
    fn pin(&mut self) -> (Option<String>, Duration);
}

/// An answer, and how long the exchange took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Data and status word.
    pub(crate) answer: Vec<u8>,
    /// From the first byte of the command to the last one of the answer.
    pub(crate) time: Duration,
    /// The parts of that time, where they are known.
    pub(crate) parts: Option<Parts>,
}

/// The parts of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The command on its way.
    pub(crate) to_card: Duration,
    /// The card's computing.
    pub(crate) computing: Duration,
    /// The answer on its way.
    pub(crate) to_reader: Duration,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// When it began, from the start of the payment.
    pub(crate) at: Duration,
    /// What.
    pub(crate) what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    /// A command and its answer.
    Exchange { command: Vec<u8>, carried: Carried },
    /// A command that was never answered, and why.
    Lost { command: Vec<u8>, why: String },
    /// The terminal decided something.
    Note(Note),
    /// The acquirer was asked.
    Online { request: Box<Authorisation>, reply: Option<Box<AuthorisationReply>>, time: Duration },
    /// The customer was asked for a PIN, and typed one or not.
    Pin { typed: bool, time: Duration },
}

/// A payment that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    /// Everything, in order.
    pub(crate) moments: Vec<Moment>,
    /// How it ended.
    pub(crate) receipt: Receipt,
    /// How long the card was needed: from the first command to its last answer.
    pub(crate) card_time: Duration,
    /// From the first command to the end.
    pub(crate) time: Duration,
}

impl Payment {
    /// Why a command was never answered, if one was not.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.moments.iter().find_map(|moment| match &moment.what {
            Happened::Lost { why, .. } => Some(why.as_str()),
            _ => None,
        })
    }
}

/// More outputs than any payment has.
const MOST_OUTPUTS: usize = 10_000;

/// Pays. The terminal's clock runs with what the surroundings say things took.
///
/// # Errors
/// When the terminal never ends the payment, which is a bug in it.
pub(crate) fn drive(
    config: Arc<TerminalConfig>,
    purchase: Purchase,
    around: &mut dyn Surroundings,
) -> Result<Payment, String> {
    let mut terminal = Terminal::new(config);
    let mut now = Instant::ZERO;
    let mut moments = vec![];
    let mut card_time = Duration::ZERO;
    terminal.handle(now, Input::Start(purchase));
    for _ in 0..MOST_OUTPUTS {
        let at = now.saturating_since(Instant::ZERO);
        let (what, input, time) = match terminal.poll() {
            Output::Note(note) => {
                moments.push(Moment { at, what: Happened::Note(note) });
                continue;
            }
            Output::Done(receipt) => return Ok(Payment { moments, receipt: *receipt, card_time, time: at }),
            Output::Wait(Some(until)) => {
                now = now.max(until);
                terminal.handle(now, Input::Tick);
                continue;
            }
            Output::Wait(None) => break,
            Output::Command(command) => match around.transmit(&command) {
                Ok(carried) => {
                    let (answer, time) = (carried.answer.clone(), carried.time);
                    card_time = at + time;
                    (Happened::Exchange { command, carried }, Input::Answer(answer), time)
                }
                Err(why) => (Happened::Lost { command, why }, Input::FieldLost, Duration::ZERO),
            },
            Output::Online(request) => {
                let (reply, time) = around.authorise(&request);
                let what = Happened::Online { request, reply: reply.clone().map(Box::new), time };
                (what, Input::Online(reply), time)
            }
            Output::AskPin => {
                let (pin, time) = around.pin();
                (Happened::Pin { typed: pin.is_some(), time }, Input::Pin(pin), time)
            }
        };
        moments.push(Moment { at, what });
        now = now + time;
        terminal.handle(now, input);
    }
    Err("the terminal never ended the payment; this is a bug in bandrig".to_owned())
}
