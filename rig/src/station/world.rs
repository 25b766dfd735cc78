//! The seam between a case and the station it runs on.
//!
//! A [`Station`] is what `--station` names; it gives each case a [`World`] of its own. A world is all roles at the start of a case
//! and everything a step can ask of them; how time passes in it and what carries the bytes is the station's business.

use std::fmt;
use std::time::Duration;

use band_sim::band::{Band, Button, CardEntry};
use band_sim::rng::Rng;
use band_sim::time::Instant;
use serde::{Deserialize, Serialize};

use super::embedded::{ActionFault, Confirm, Points, Stuck, Tap};
use super::offer::Offer;
use super::recorder::Recorder;
use crate::cloud::Cloud;
use crate::cloud::api::{AuthorisationReason, Refusal, Sms};
use crate::phone::Phone;
use crate::phone::io::{Notice, Shown, UserAction};
use crate::scenario::set_up::Ground;
use crate::terminal::io::Receipt;

/// A station: where cases run.
pub trait Station: fmt::Debug + Send + Sync {
    /// What it offers.
    fn offer(&self) -> &Offer;

    /// The world of one case, at its start.
    ///
    /// # Errors
    /// When something outside stands in the way.
    fn open(&self, ground: Ground<'_>, rng: &Rng, recorder: Recorder) -> Result<Box<dyn World>, Trouble>;

    /// How a case goes on here that began in an embedded world; `None` where it must begin here.
    fn takes_over(&self) -> Option<&dyn TakesOver> {
        None
    }
}

/// A station whose time is real: what is given of a case is brought about in an embedded world, and the case goes on here from its first
/// step.
pub trait TakesOver {
    /// The world of one case as it goes on.
    ///
    /// # Errors
    /// When something outside stands in the way.
    fn take_over(&self, ground: Ground<'_>, rng: &Rng, roles: Roles) -> Result<Box<dyn World>, Trouble>;
}

/// What goes on elsewhere of a world. There is no link between phone and band.
#[derive(Debug)]
pub struct Roles {
    /// Time since the start of the case.
    pub now: Instant,
    /// The band.
    pub band: Band,
    /// The cloud.
    pub cloud: Cloud,
    /// The phone.
    pub phone: Phone,
    /// Messages that have reached the holder's phone, oldest first.
    pub inbox: Vec<Sms>,
    /// What is written down.
    pub recorder: Recorder,
}

/// Why the station could not do what a step asked: never a finding about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A role never came to an end: a bug in a role.
    Stuck(Stuck),
    /// Something outside is in the way; the words say what and what to do.
    Outside(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck(stuck) => {
                write!(f, "the station waits for {} in vain; this is a bug in bandrig", stuck.waiting_for)
            }
            Self::Outside(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Stuck> for Trouble {
    fn from(stuck: Stuck) -> Self {
        Self::Stuck(stuck)
    }
}

/// What is seen of a band by looking into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its own list of cards, in order.
    pub cards: Vec<CardEntry>,
    /// How many applet instances its secure element holds.
    pub applets: u32,
    /// Whether it is linked to an account.
    pub paired: bool,
}

impl Inside {
    /// What is in this band.
    #[must_use]
    pub fn of(band: &Band) -> Self {
        Self {
            cards: band.card_list(),
            applets: u32::try_from(band.card().applets().len()).unwrap_or(u32::MAX),
            paired: band.is_paired(),
        }
    }
}

/// All roles of one case, and what a step can ask of them. A method that a station has no capability for is not called; its default
/// answers that there is nothing to see.
pub trait World: fmt::Debug + Send {
    /// Time since the start of the case.
    fn now(&self) -> Instant;
    /// Calendar time of the case, microseconds since 1970.
    fn unix_us(&self) -> i64;
    /// The cloud.
    fn cloud(&self) -> &Cloud;
    /// The bank's clerk at work: what she does needs no link and no time.
    fn cloud_mut(&mut self) -> &mut Cloud;
    /// What is written down.
    fn recorder(&mut self) -> &mut Recorder;
    /// Messages that have reached the holder's phone, oldest first.
    fn inbox(&self) -> &[Sms];
    /// A fresh unpredictable number.
    fn unpredictable_number(&mut self) -> [u8; 4];
    /// Why the bank decided as it did in the last payment; `None` when it was not asked.
    fn last_authorisation(&self) -> Option<AuthorisationReason>;
    /// Whether the bank found something odd in the last payment, which it decided as if it were not.
    fn was_suspicious(&self) -> bool;
    /// Whether the last payment asked the customer for a PIN.
    fn pin_was_asked(&self) -> bool;
    /// The first of the changes in the last payment that a man in the middle found no occasion for, counted from 0.
    fn idle_bend(&self) -> Option<usize> {
        None
    }
    /// How long the band was held to the reader in the last payment; `None` where nobody measures it.
    fn last_card_time(&self) -> Option<Duration> {
        None
    }

    /// Whether the phone has the band's key already, before anything was done.
    fn is_linked(&self) -> bool {
        false
    }

    /// What the person does at the next pairing.
    fn set_confirm(&mut self, confirm: Confirm);
    /// The person at the phone acts; ends when the app has answered.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn act(&mut self, action: UserAction) -> Result<Acted, Trouble>;
    /// The app comes to the foreground or leaves it.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn foreground(&mut self, foreground: bool) -> Result<(), Trouble>;
    /// Lets time pass.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn wait(&mut self, time: Duration) -> Result<(), Trouble>;
    /// The band goes out of reach of the phone, or comes back. Gone is what both sides have noticed.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn set_reach(&mut self, in_reach: bool) -> Result<(), Trouble>;
    /// Somebody presses a key of the band.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn press(&mut self, button: Button) -> Result<(), Trouble>;
    /// The band's power is cut, or comes back.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn power(&mut self, on: bool) -> Result<(), Trouble>;
    /// The customer pays; ends when the terminal has ended the payment.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn pay(&mut self, tap: Tap) -> Result<Receipt, Trouble>;
    /// The band is held to a reader and raw commands are sent; no terminal decides anything.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn raw_contactless(&mut self, commands: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Trouble>;

    /// Looks into the band.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn look_inside(&mut self) -> Result<Inside, Trouble> {
        Ok(Inside::default())
    }
    /// Digests of the secure element's and the band's own memory; `None` where nobody can take them.
    ///
    /// # Errors
    /// When the world stands in the way.
    fn digests(&mut self) -> Result<Option<[[u8; 32]; 2]>, Trouble> {
        Ok(None)
    }
    /// Arms faults for the next action and counts points from zero.
    fn arm(&mut self, faults: Vec<ActionFault>) {
        let _ = faults;
    }
    /// The action is over: no fault strikes any more, and what a fault took away is given back.
    fn disarm(&mut self) {}
    /// Writes to the secure element's and the band's own memory so far.
    fn writes(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Points passed since [`World::arm`]; `before` is [`World::writes`] at that moment.
    fn points(&mut self, before: (u64, u64)) -> Points {
        let _ = before;
        Points::default()
    }
    /// Another world in the same state, which goes on alike; `None` where there is only one band.
    fn fork(&self) -> Option<Box<dyn World>> {
        None
    }
    /// Drops the link and ends this world; `None` where its band is elsewhere.
    fn into_roles(self: Box<Self>) -> Option<Roles> {
        None
    }
}

/// What came of an action: the app's answer, and what it showed on the way.
pub type Acted = (Result<Shown, Refusal>, Vec<Notice>);
