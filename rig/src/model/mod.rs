//! The rules once more, as naively as they can be put: a list of cards and a clock, no bytes, no states in between.
//!
//! Property tests run random actions through this and through the whole system, over real bytes, and compare after each. What is
//! written here is `rules.md` and nothing else; where the system is clever, this is dull on purpose.

use crate::cloud::api::{CardState, Refusal};

pub mod invariant;

/// At most so many cards (R9).
pub const MOST_CARDS: usize = 6;
/// So many code requests per added card (R1).
pub const CODE_REQUESTS: u8 = 3;
/// So many wrong codes (R1, open points).
pub const CODE_ATTEMPTS: u8 = 3;
/// A code is valid for so long (R2, open points).
pub const CODE_VALID_FOR_US: u64 = 600_000_000;
/// How long a customer is at the till: more than any payment takes.
pub const VISIT_US: u64 = 10_000_000;

/// What the holder, the bank and fate can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Add the n-th product.
    Add(usize),
    /// Add the n-th product while the link breaks at a packet.
    AddWhileLinkBreaks(usize, u64),
    /// Add the n-th product while the power fails at a memory write.
    AddWhilePowerFails(usize, u64),
    /// Request a code for the n-th card.
    RequestCode(usize),
    /// Enter a code for the n-th card.
    Enter(usize, Code),
    /// Let so many microseconds pass.
    Wait(u64),
    /// Remove the n-th card.
    Remove(usize),
    /// Put the confirmed cards into an order: rotated so far.
    Reorder(usize),
    /// Factory reset from the app, then link again with the same account.
    Reset,
    /// Sign in with the other account and link the band.
    SwitchAccount,
    /// Go to the shop and pay: [`VISIT_US`] in all, however long the air and the bank take.
    Tap,
    /// The bank blocks the n-th card.
    Suspend(usize),
    /// The bank lifts the block.
    Resume(usize),
    /// The band goes out of reach.
    Lose,
    /// It comes back, and the app is opened.
    Find,
}

/// Which code is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The one from the newest message.
    Newest,
    /// The one from the message before.
    Previous,
    /// One never sent.
    Wrong,
}

/// What must come of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It succeeds.
    Ok,
    /// It is refused with this word.
    Refused(Refusal),
    /// It either succeeds whole or leaves no trace (R10).
    WholeOrNothing,
    /// The payment: with the n-th card of the list, approved or not; `None`: no card pays.
    Payment(Option<usize>),
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Which product.
    pub product: usize,
    /// Tells two cards of one product apart.
    pub serial: u32,
    /// Blocked by the bank (R7).
    pub suspended: bool,
    /// Confirmed by a code.
    pub confirmed: bool,
    /// Removed while the band was out of reach (R7).
    pub deleting: bool,
    /// Whether the band would pay with it: confirmed when the band was last seen, and not known to it as blocked.
    pub band_pays: bool,
    issued: Vec<u64>,
    wrong: u8,
    /// Payments that the card took part in.
    pub payments: usize,
}

/// The world according to the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    now_us: u64,
    account: usize,
    in_reach: bool,
    next_serial: u32,
    cards: Vec<Card>,
}

impl Model {
    /// Account 0 is signed in, the band is linked and in reach, no cards.
    #[must_use]
    pub fn new() -> Self {
        Self { in_reach: true, ..Self::default() }
    }

    /// All cards, in order.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// Which account is signed in.
    #[must_use]
    pub const fn account(&self) -> usize {
        self.account
    }

    /// Whether the phone reaches the band.
    #[must_use]
    pub const fn in_reach(&self) -> bool {
        self.in_reach
    }

    /// Where a card stands for the app.
    #[must_use]
    pub fn state(&self, card: &Card) -> CardState {
        if card.deleting {
            CardState::Deleting
        } else if card.suspended {
            CardState::Suspended
        } else if card.confirmed {
            CardState::Active
        } else if self.death(card).is_some() {
            CardState::Dead
        } else {
            CardState::WaitingForCode
        }
    }

    /// Does the action and says what must come of it.
    pub fn apply(&mut self, action: &Action) -> Expected {
        match *action {
            Action::Add(product) => self.add(product),
            Action::AddWhileLinkBreaks(product, _) | Action::AddWhilePowerFails(product, _) => {
                match self.may_add(product) {
                    Some(refusal) => Expected::Refused(refusal),
                    None => Expected::WholeOrNothing,
                }
            }
            Action::RequestCode(at) => self.on_card(at, Self::request_code),
            Action::Enter(at, code) => self.on_card(at, |model, at| model.enter(at, code)),
            Action::Wait(micros) => {
                self.now_us += micros;
                Expected::Ok
            }
            Action::Remove(at) => self.on_card(at, Self::remove),
            Action::Reorder(by) => self.reorder(by),
            Action::Reset => Expected::Ok,
            Action::SwitchAccount => {
                self.account = 1 - self.account;
                self.cards.clear();
                Expected::Ok
            }
            Action::Tap => {
                let expected = self.tap();
                self.now_us += VISIT_US;
                expected
            }
            Action::Suspend(at) => self.on_card(at, |model, at| model.suspend(at, true)),
            Action::Resume(at) => self.on_card(at, |model, at| model.suspend(at, false)),
            Action::Lose => {
                self.in_reach = false;
                Expected::Ok
            }
            Action::Find => {
                self.in_reach = true;
                self.seen();
                Expected::Ok
            }
        }
    }

    /// The add that could end either way has succeeded after all.
    pub fn added(&mut self, product: usize) {
        self.next_serial += 1;
        self.cards.push(Card {
            product,
            serial: self.next_serial,
            suspended: false,
            confirmed: false,
            deleting: false,
            band_pays: false,
            issued: vec![],
            wrong: 0,
            payments: 0,
        });
    }

    /// The band is seen: it learns what the bank decided meanwhile (R7, R13).
    pub fn seen(&mut self) {
        self.cards.retain(|card| !card.deleting);
        for card in &mut self.cards {
            card.band_pays = card.confirmed && !card.suspended;
        }
    }

    fn on_card(&mut self, at: usize, then: impl FnOnce(&mut Self, usize) -> Expected) -> Expected {
        then(self, at)
    }

    fn add(&mut self, product: usize) -> Expected {
        if let Some(refusal) = self.may_add(product) {
            return Expected::Refused(refusal);
        }
        self.added(product);
        Expected::Ok
    }

    fn may_add(&mut self, product: usize) -> Option<Refusal> {
        if !self.in_reach {
            return Some(Refusal::OutOfReach);
        }
        self.seen();
        if self.cards.iter().any(|card| card.product == product) {
            return Some(Refusal::DuplicateCard);
        }
        (self.cards.len() >= MOST_CARDS).then_some(Refusal::CardLimit)
    }

    // R1, R2: expired or locked, the first that struck.
    fn death(&self, card: &Card) -> Option<Refusal> {
        if card.wrong >= CODE_ATTEMPTS {
            return Some(Refusal::TooManyFailures);
        }
        let newest = card.issued.last()?;
        (self.now_us >= newest + CODE_VALID_FOR_US).then_some(Refusal::CodeExpired)
    }

    fn request_code(&mut self, at: usize) -> Expected {
        let card = &self.cards[at];
        if card.deleting {
            return Expected::Refused(Refusal::UnknownCard);
        }
        if card.confirmed || card.suspended {
            return Expected::Refused(Refusal::AlreadyConfirmed);
        }
        if let Some(death) = self.death(card) {
            return Expected::Refused(death);
        }
        if card.issued.len() >= usize::from(CODE_REQUESTS) {
            return Expected::Refused(Refusal::TooManyRequests);
        }
        let now = self.now_us;
        self.cards[at].issued.push(now);
        Expected::Ok
    }

    fn enter(&mut self, at: usize, code: Code) -> Expected {
        let card = &self.cards[at];
        if card.deleting {
            return Expected::Refused(Refusal::UnknownCard);
        }
        if card.confirmed || card.suspended {
            return Expected::Refused(Refusal::AlreadyConfirmed);
        }
        if let Some(death) = self.death(card) {
            return Expected::Refused(death);
        }
        let in_reach = self.in_reach;
        let card = &mut self.cards[at];
        if code != Code::Newest || card.issued.is_empty() {
            card.wrong += 1;
            return Expected::Refused(Refusal::CodeWrong);
        }
        card.confirmed = true;
        card.band_pays = in_reach;
        Expected::Ok
    }

    fn remove(&mut self, at: usize) -> Expected {
        if self.in_reach {
            self.cards.remove(at);
            self.seen();
        } else {
            self.cards[at].deleting = true;
        }
        Expected::Ok
    }

    /// R8: the confirmed cards change places among each other; the others keep theirs behind them.
    fn reorder(&mut self, by: usize) -> Expected {
        if !self.in_reach {
            return Expected::Refused(Refusal::OutOfReach);
        }
        self.seen();
        if !self.cards.iter().any(|card| card.confirmed) {
            return Expected::Refused(Refusal::BadOrder);
        }
        let (mut confirmed, others): (Vec<Card>, Vec<Card>) = self.cards.drain(..).partition(|card| card.confirmed);
        let by = by % confirmed.len();
        confirmed.rotate_left(by);
        self.cards = confirmed.into_iter().chain(others).collect();
        Expected::Ok
    }

    /// The band pays with the first card that it holds as payable; whether the bank agrees is the bank's.
    fn tap(&mut self) -> Expected {
        let Some(at) = self.cards.iter().position(|card| card.band_pays) else { return Expected::Payment(None) };
        let card = &mut self.cards[at];
        card.payments += 1;
        let good = card.confirmed && !card.suspended && !card.deleting;
        Expected::Payment(good.then_some(at))
    }

    fn suspend(&mut self, at: usize, suspended: bool) -> Expected {
        let card = &mut self.cards[at];
        if !card.confirmed || card.deleting {
            return Expected::Refused(Refusal::NotConfirmed);
        }
        card.suspended = suspended;
        if self.in_reach {
            // The app is opened after it.
            self.seen();
        }
        Expected::Ok
    }
}
