//! SET STATUS of the issuer security domain: lock and unlock an instance, move the card's life cycle on.

use super::command::require_class;
use super::registry::{CardState, Entry};
use super::{Answer, CARD_LOCKED, Card, TERMINATED};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// SET STATUS.
#[derive(Clone, Copy, Debug)]
pub enum SetStatus<'a> {
    /// Lock or unlock the instance of this AID.
    Application {
        /// Its AID.
        aid: &'a [u8],
        /// Locked afterwards.
        locked: bool,
    },
    /// Give the card this life cycle state.
    Card(u8),
}

impl<'a> SetStatus<'a> {
    /// P1 40 an application, 80 the card; P2 the state; for an application the data is its AID.
    // GPCS 2.3.1 11.10.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        match apdu.p1 {
            // Only b8 counts: locked or not (table 11-5 keeps the state before).
            0x40 => Ok(Self::Application { aid: &apdu.data, locked: apdu.p2 & 0x80 != 0 }),
            0x80 => Ok(Self::Card(apdu.p2)),
            _ => Err(Sw::INCORRECT_P1_P2),
        }
    }
}

impl Card {
    pub(super) fn handle_set_status(&mut self, command: SetStatus<'_>) -> Answer {
        match command {
            SetStatus::Application { aid, locked } => {
                let applet = self.registry.by_aid(aid).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                if applet.entry.locked != locked {
                    let changed = [(applet.slot, Entry { locked, ..applet.entry })];
                    self.registry.commit_entries(&mut self.nvm, &changed)?;
                }
            }
            SetStatus::Card(life_cycle) => {
                let card = self.registry.card;
                if !may_become(card.life_cycle, life_cycle) {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                self.registry.commit_card(&mut self.nvm, CardState { life_cycle, ..card })?;
            }
        }
        Ok(RApdu::sw(Sw::OK))
    }
}

// GPCS 2.3.1 5.1.1, figure 5-1: forward only, but a locked card can be unlocked.
const fn may_become(from: u8, to: u8) -> bool {
    matches!(
        (from, to),
        (0x01, 0x07) | (0x07, 0x0F) | (0x0F, CARD_LOCKED) | (CARD_LOCKED, 0x0F) | (0x01..=CARD_LOCKED, TERMINATED)
    )
}
