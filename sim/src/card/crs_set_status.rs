//! SET STATUS of the contactless registry service: activate, deactivate, and put in order.

use alloc::vec::Vec;

use super::command::require_class;
use super::profile::Conflicts;
use super::registry::{Activation, Applet, Entry};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{self, Writer};

/// SET STATUS.
#[derive(Clone, Debug)]
pub enum CrsSetStatus<'a> {
    /// Make these applications available to readers, or no longer.
    Activation {
        /// Their AIDs.
        aids: Vec<&'a [u8]>,
        /// Available afterwards.
        on: bool,
    },
    /// This is the order from now on.
    Order(Vec<&'a [u8]>),
}

impl<'a> CrsSetStatus<'a> {
    /// P1 01 availability (P2 01 on, 00 off), P1 08 order (assumed); the data is one 4F per application.
    // GPC Amendment C 3.11.4
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        if !matches!((apdu.p1, apdu.p2), (0x01, 0x00 | 0x01) | (0x08, 0x00)) {
            return Err(Sw::INCORRECT_P1_P2);
        }
        let named = tlv::walk(&apdu.data).map(|object| match object {
            Ok(object) if object.tag == tag::TAG_4F_ADF_NAME => Ok(object.value),
            _ => Err(Sw::WRONG_DATA),
        });
        let aids = named.collect::<Result<Vec<_>, _>>()?;
        if apdu.p1 == 0x08 {
            return Ok(Self::Order(aids));
        }
        if aids.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        Ok(Self::Activation { aids, on: apdu.p2 == 0x01 })
    }
}

impl Card {
    pub(super) fn handle_crs_set_status(&mut self, command: CrsSetStatus<'_>) -> Answer {
        match command {
            CrsSetStatus::Activation { aids, on } => self.set_activation(&aids, on),
            CrsSetStatus::Order(aids) => self.set_order(&aids),
        }
    }

    /// All of them or none: if one cannot change, none does, and the answer names those that cannot.
    fn set_activation(&mut self, aids: &[&[u8]], on: bool) -> Answer {
        let found = aids.iter().map(|aid| self.registry.by_aid(aid).ok_or(Sw::REFERENCED_DATA_NOT_FOUND));
        let applets = found.collect::<Result<Vec<&Applet>, _>>()?;

        let unable = applets.iter().filter(|applet| !may_change(applet)).collect::<Vec<_>>();
        if !unable.is_empty() {
            let list = |list, applet: &&&Applet| Writer::put(list, tag::TAG_4F_ADF_NAME, applet.entry.aid.as_bytes());
            let failed = |answer| unable.iter().fold(answer, list);
            let data = Writer::new().nest(tag::TAG_A1_FAILED_APPLICATIONS, failed).finish();
            return Ok(RApdu { data, sw: Sw::SOME_FAILED });
        }
        if on && let Some(data) = self.conflicts(&applets) {
            return Ok(RApdu { data, sw: Sw::CONFLICT });
        }

        let activation = if on { Activation::Activated } else { Activation::Deactivated };
        let changes = applets
            .iter()
            .filter(|applet| applet.entry.activation != activation)
            .map(|applet| (applet.slot, Entry { activation, ..applet.entry }))
            .collect::<Vec<_>>();
        if !changes.is_empty() {
            self.registry.commit_entries(&mut self.nvm, &changes)?;
        }
        Ok(RApdu::sw(Sw::OK))
    }

    /// One 61 with the AID of each active application that clashes with those to be activated.
    fn conflicts(&self, applets: &[&Applet]) -> Option<Vec<u8>> {
        if self.profile.contactless_registry.conflicts.value == Conflicts::None {
            return None;
        }
        let wanted = |applet: &&Applet| applets.iter().any(|wanted| wanted.slot == applet.slot);
        let active = self.registry.applets.iter().filter(|applet| applet.entry.activation == Activation::Activated);
        let clashing = active.filter(|applet| !wanted(applet)).collect::<Vec<_>>();
        let list = |answer: Writer, applet: &&Applet| {
            let aid = applet.entry.aid;
            answer.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| entry.put(tag::TAG_4F_ADF_NAME, aid.as_bytes()))
        };
        (!clashing.is_empty()).then(|| clashing.iter().fold(Writer::new(), list).finish())
    }

    /// The list must name each instance once (assumed; Amendment C has its own priority scheme).
    fn set_order(&mut self, aids: &[&[u8]]) -> Answer {
        let found = aids.iter().map(|aid| self.registry.by_aid(aid).map(|applet| applet.slot).ok_or(Sw::WRONG_DATA));
        let slots = found.collect::<Result<Vec<u8>, _>>()?;
        let current = self.registry.applets.iter().map(|applet| applet.slot).collect::<Vec<_>>();
        if slots.len() != current.len() || current.iter().any(|slot| !slots.contains(slot)) {
            return Err(Sw::WRONG_DATA);
        }
        if slots != current {
            self.registry.commit_order(&mut self.nvm, &slots)?;
        }
        Ok(RApdu::sw(Sw::OK))
    }
}

/// A locked application and one that is not activatable stay as they are.
// GPC Amendment C 3.2: only the application's provider leaves NON_ACTIVATABLE
fn may_change(applet: &Applet) -> bool {
    !applet.entry.locked && applet.entry.activation != Activation::NonActivatable
}
