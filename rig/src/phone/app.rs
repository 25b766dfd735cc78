//! What the app knows and remembers, and the few things every task does with it.

use std::collections::{BTreeSet, VecDeque};

use band_sim::rng::Rng;
use band_sim::time::{Instant, Timers};
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::gatt::{AttError, CharacteristicId};

use crate::cloud::api::{AccountId, AppVersion, CardId, CardView, Envelope, JobId, Refusal, Request, Unit};

use super::config::PhoneConfig;
use super::io::{LinkCommand, Notice, Output};
use super::timer::Timer;

/// Notifications nobody has asked for yet; the oldest goes when one more comes.
pub(super) const MAX_INBOX: usize = 64;
/// Jobs that could not be cancelled for want of a network; the oldest goes when one more comes.
const MAX_UNCANCELLED: usize = 16;
/// Cloud requests without an answer.
const MAX_UNANSWERED: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) config: PhoneConfig,
    pub(super) rng: Rng,
    pub(super) now: Instant,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,

    pub(super) version: AppVersion,
    pub(super) foreground: bool,
    pub(super) account: Option<Account>,

    /// The key of the linked band.
    pub(super) key: Option<AuthKey>,
    /// Who the linked band is; the app keeps it, so that it can speak of the band while it is out of reach.
    pub(super) unit: Option<Unit>,
    /// The band was linked, and the cloud has yet to hear of it.
    pub(super) bind_due: bool,
    /// The card list as last seen (R13).
    pub(super) cards: Vec<CardView>,

    /// Jobs that must be cancelled when the cloud is there again (R10).
    pub(super) uncancelled: VecDeque<JobId>,
    /// An add that failed and is not yet known to have left nothing behind (R10).
    pub(super) unfinished_add: Option<UnfinishedAdd>,
    /// Cloud requests without an answer, oldest first, and whether somebody still waits for it.
    pub(super) unanswered: VecDeque<Awaited>,

    /// Whether a card is being added and does not wait for its code yet (R10).
    pub(super) adding: bool,
    /// The app left the foreground in the middle of it, and no task has been told yet.
    pub(super) interrupted: bool,

    pub(super) link: Link,
}

/// The signed-in account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: AccountId,
    /// The Xiaomi account that card functions use (R11).
    pub(super) xiaomi: Option<AccountId>,
}

/// Enough to recognise what a failed add may have left at the bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnfinishedAdd {
    pub(super) product: String,
    /// The cards that were there before.
    pub(super) known: BTreeSet<CardId>,
}

/// Whether a task waits for an answer of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Yes,
    /// It gave up waiting.
    NoMore,
}

/// Everything that ends with the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) up: bool,
    pub(super) address: [u8; 6],
    pub(super) mtu: u16,
    pub(super) subscribed: BTreeSet<CharacteristicId>,
    pub(super) authenticated: bool,
    /// The band was seen to be [`App::unit`].
    pub(super) identified: bool,
    /// The band is what the bank says (R13).
    pub(super) agreed: bool,
    pub(super) channel_open: bool,
    /// Raw bytes were written: nobody knows what state the band is in.
    pub(super) touched: bool,
    /// Why the link refused the last request.
    pub(super) att_error: Option<AttError>,
    pub(super) inbox: VecDeque<(CharacteristicId, Vec<u8>)>,
}

impl App {
    pub(super) fn new(config: PhoneConfig, rng: Rng) -> Self {
        Self {
            rng,
            now: Instant::ZERO,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            version: config.app_version,
            foreground: true,
            account: None,
            key: config.stored_key,
            config,
            unit: None,
            bind_due: false,
            cards: Vec::new(),
            uncancelled: VecDeque::new(),
            unfinished_add: None,
            unanswered: VecDeque::new(),
            adding: false,
            interrupted: false,
            link: Link::default(),
        }
    }

    pub(super) fn start(&mut self, timer: Timer) {
        self.timers.set(timer, self.now + timer.duration(&self.config));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Ui(notice));
    }

    pub(super) fn ask_link(&mut self, command: LinkCommand) {
        self.outputs.push_back(Output::Link(command));
    }

    /// Writes without response, if there is a link. What the characteristic notified before is no answer to it.
    pub(super) fn write(&mut self, characteristic: CharacteristicId, value: Vec<u8>) {
        if !self.link.up {
            return;
        }
        self.link.inbox.retain(|(from, _)| *from != characteristic);
        self.ask_link(LinkCommand::Write { characteristic, value, with_response: false });
    }

    /// Drops the link, now; whatever it still says is about the past.
    pub(super) fn disconnect(&mut self) {
        if self.link.up {
            self.ask_link(LinkCommand::Disconnect);
        }
        self.link = Link::default();
    }

    /// Sends a request; refuses when the cloud has long ceased to answer.
    pub(super) fn send(&mut self, request: Request) -> Result<(), Refusal> {
        if self.unanswered.len() >= MAX_UNANSWERED {
            return Err(Refusal::Interrupted);
        }
        self.unanswered.push_back(Awaited::Yes);
        let account = self.account.as_ref().map(|account| account.id.clone());
        self.outputs.push_back(Output::Cloud(Envelope { account, app_version: self.version, request }));
        Ok(())
    }

    /// R11: whether card functions may be used.
    pub(super) fn may_use_cards(&self) -> Result<(), Refusal> {
        match &self.account {
            None => Err(Refusal::NotSignedIn),
            Some(Account { xiaomi: None, .. }) => Err(Refusal::XiaomiAccountRequired),
            Some(Account { xiaomi: Some(_), .. }) => Ok(()),
        }
    }

    /// Whoever is signed in now, another one's cards are not shown, and the band must be looked at anew.
    pub(super) fn sign_in(&mut self, account: Option<Account>) {
        if self.account != account {
            self.cards.clear();
            self.link.agreed = false;
            self.unfinished_add = None;
        }
        self.account = account;
    }

    /// The unit, once the band has been linked.
    pub(super) fn unit(&self) -> Result<Unit, Refusal> {
        self.unit.clone().ok_or(Refusal::BandNotBound)
    }

    pub(super) fn card(&self, card: &CardId) -> Result<&CardView, Refusal> {
        self.cards.iter().find(|view| view.card == *card).ok_or(Refusal::UnknownCard)
    }

    /// Puts what the cloud says of a card into the list.
    pub(super) fn remember(&mut self, view: CardView) {
        match self.cards.iter_mut().find(|known| known.card == view.card) {
            Some(known) => *known = view,
            None => self.cards.push(view),
        }
    }

    pub(super) fn cancel_later(&mut self, job: JobId) {
        if self.uncancelled.len() >= MAX_UNCANCELLED {
            self.uncancelled.pop_front();
        }
        self.uncancelled.push_back(job);
        self.link.agreed = false;
    }

    /// R10: whether the app left the foreground; told once.
    pub(super) fn take_interruption(&mut self) -> Result<(), Refusal> {
        if std::mem::take(&mut self.interrupted) { Err(Refusal::Interrupted) } else { Ok(()) }
    }

    /// Whether the band is there and is what the bank says.
    pub(super) const fn is_agreed(&self) -> bool {
        self.link.up && self.link.authenticated && self.link.agreed && !self.link.touched
    }
}
