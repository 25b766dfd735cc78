//! The band's own card list, read from the secure element and from nothing else (R13).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::card::{Activation, AppletStatus, Card};
use crate::wire::hex::Hex;

/// A card as the band's display shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardEntry {
    /// AID of its instance.
    pub aid: Hex,
    /// What the phone called it (a hint), else the label the card itself has.
    pub name: String,
    /// The last four digits of its number, once it has one.
    pub last4: Option<String>,
    /// What it can do.
    pub state: CardState,
}

/// What a card in the band can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Installed, its data are not complete.
    Unfinished,
    /// Locked or blocked by the issuer.
    Locked,
    /// Waits for its confirmation, or is suspended: a tap does not find it.
    NotActivatable,
    /// Could be used, but is switched off.
    Deactivated,
    /// A tap finds it.
    Activated,
}

/// The list, kept equal to the secure element's.
#[derive(Clone, Debug, Default)]
pub(super) struct Wallet {
    cards: Vec<CardEntry>,
    /// The secure element's write count when it was last looked at: nothing written, nothing changed.
    seen_writes: Option<u64>,
}

impl Wallet {
    pub(super) fn cards(&self) -> &[CardEntry] {
        &self.cards
    }

    /// Looks at the secure element again; tells whether the list has changed.
    pub(super) fn refresh(&mut self, card: &Card, settings: &Settings) -> bool {
        let writes = card.nvm_writes();
        if self.seen_writes == Some(writes) {
            return false;
        }
        self.seen_writes = Some(writes);
        self.reread(card, settings)
    }

    /// The same when a name has changed, which the secure element knows nothing of.
    pub(super) fn reread(&mut self, card: &Card, settings: &Settings) -> bool {
        let cards = card.applets().into_iter().map(|applet| entry(applet, settings)).collect();
        let changed = self.cards != cards;
        self.cards = cards;
        changed
    }
}

fn entry(applet: AppletStatus, settings: &Settings) -> CardEntry {
    let state = match applet.activation {
        _ if !applet.personalised => CardState::Unfinished,
        _ if applet.locked || applet.blocked => CardState::Locked,
        Activation::NonActivatable => CardState::NotActivatable,
        Activation::Deactivated => CardState::Deactivated,
        Activation::Activated => CardState::Activated,
    };
    let aid = applet.aid.as_bytes();
    let label = || String::from_utf8_lossy(&applet.label).into_owned();
    let last4 = applet.last_4.map(|[high, low]| alloc::format!("{high:02X}{low:02X}"));
    CardEntry { aid: Hex(aid.to_vec()), name: settings.card_name(aid).unwrap_or_else(label), last4, state }
}
