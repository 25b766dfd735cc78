//! GET STATUS of the contactless registry service: which applications there are, and which are activated.

use alloc::vec::Vec;

use super::command::require_class;
use super::get_status::{life_cycle, search_prefix};
use super::registry::Applet;
use super::session::Interface;
use super::{Answer, Card};
use crate::wire::apdu::CApdu;
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{self, Tag, Writer};

/// GET STATUS.
#[derive(Clone, Copy, Debug)]
pub struct CrsGetStatus<'a> {
    next: bool,
    prefix: &'a [u8],
    /// Tags wanted in each entry; all when empty.
    tag_list: &'a [u8],
}

const SCOPE_APPLICATIONS: u8 = 0x40;

impl<'a> CrsGetStatus<'a> {
    /// P1 40; P2 b1 next occurrences, b2 without meaning here; data 4F with an AID prefix, then perhaps 5C.
    // GPC Amendment C 3.11.3. P2 02 is what one phone side sends, 00 and 01 another (band-ble.md 2.3).
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        if apdu.p1 != SCOPE_APPLICATIONS || apdu.p2 & !0x03 != 0 {
            return Err(Sw::INCORRECT_P1_P2);
        }
        let prefix = search_prefix(&apdu.data)?;
        let tag_list = tlv::find(&apdu.data, tag::TAG_5C_TAG_LIST).unwrap_or_default();
        Ok(Self { next: apdu.p2 & 0x01 != 0, prefix, tag_list })
    }
}

impl Card {
    pub(super) fn handle_crs_get_status(&mut self, interface: Interface, command: CrsGetStatus<'_>) -> Answer {
        let wanted = TagList::decode(command.tag_list)?;
        let applets = self.registry.applets.iter().zip(1_u8..);
        let matching = applets.filter(|(applet, _)| applet.entry.aid.as_bytes().starts_with(command.prefix));
        let entries = matching.map(|(applet, position)| entry(applet, position, &wanted)).collect::<Vec<_>>();
        self.answer_entries(interface, SCOPE_APPLICATIONS, command.next, command.prefix, &entries)
    }
}

/// `61 { 4F AID, 9F70 life cycle and activation state, 81 priority }`, as far as wanted.
// GPC Amendment C table 3-22
fn entry(applet: &Applet, position: u8, wanted: &TagList) -> Vec<u8> {
    let states = [life_cycle(&applet.entry), applet.entry.activation.value()];
    Writer::new()
        .nest(tag::TAG_61_APPLICATION_TEMPLATE, |template| {
            template
                .put_some(tag::TAG_4F_ADF_NAME, wanted.has(tag::TAG_4F_ADF_NAME).then_some(applet.entry.aid.as_bytes()))
                .put_some(tag::TAG_9F70_LIFE_CYCLE_STATE, wanted.has(tag::TAG_9F70_LIFE_CYCLE_STATE).then_some(states))
                .put_some(TAG_81_PRIORITY, wanted.names(TAG_81_PRIORITY).then_some([position]))
        })
        .finish()
}

// GPC Amendment C's meaning of this number: the selection priority.
const TAG_81_PRIORITY: Tag = tag::TAG_81_AMOUNT_AUTHORISED_BINARY;

struct TagList(Vec<Tag>);

impl TagList {
    fn decode(mut bytes: &[u8]) -> Result<Self, Sw> {
        let mut tags = Vec::new();
        while !bytes.is_empty() {
            let (tag, rest) = Tag::decode(bytes).map_err(|_| Sw::WRONG_DATA)?;
            tags.push(tag);
            bytes = rest;
        }
        Ok(Self(tags))
    }

    /// Whether a tag that is there by default is wanted.
    fn has(&self, tag: Tag) -> bool {
        self.0.is_empty() || self.names(tag)
    }

    fn names(&self, tag: Tag) -> bool {
        self.0.contains(&tag)
    }
}
