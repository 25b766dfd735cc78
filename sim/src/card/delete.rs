//! DELETE: remove an instance and all it stores.

use super::command::{only_object, require_class};
use super::session::Interface;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;

/// DELETE.
#[derive(Clone, Copy, Debug)]
pub struct Delete<'a> {
    aid: &'a [u8],
}

impl<'a> Delete<'a> {
    /// P1 00; P2 00 the object, 80 with what depends on it; the data is the AID under 4F.
    // GPCS 2.3.1 11.2.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        if apdu.p1 != 0 || apdu.p2 & 0x7F != 0 {
            return Err(Sw::INCORRECT_P1_P2);
        }
        Ok(Self { aid: only_object(&apdu.data, tag::TAG_4F_ADF_NAME)? })
    }
}

impl Card {
    pub(super) fn handle_delete(&mut self, interface: Interface, command: Delete<'_>) -> Answer {
        if self.is_preloaded(command.aid) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let slot = self.registry.by_aid(command.aid).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.slot;
        self.registry.commit_delete(&mut self.nvm, &[slot])?;
        let session = self.session_mut(interface);
        if session.round.as_ref().is_some_and(|round| round.slot() == slot) {
            session.round = None;
        }
        // GPCS 2.3.1 11.2.3: the length of a confirmation that is not there.
        Ok(RApdu::ok([0x00]))
    }

    /// What came with the card cannot be deleted.
    fn is_preloaded(&self, aid: &[u8]) -> bool {
        let profile = &self.profile;
        let fixed = [&profile.issuer_security_domain.aid, &profile.contactless_registry.aid, &profile.ppse.aid];
        let files = profile.load_files.iter().map(|file| &file.aid);
        fixed.into_iter().chain(files).any(|preloaded| *preloaded.value == *aid)
    }
}
