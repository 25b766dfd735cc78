//! The proximity payment system environment: the list of what a reader can pay with, built anew for each SELECT.

use alloc::vec::Vec;

use super::Card;
use super::profile::PpseLists;
use crate::wire::tag;
use crate::wire::tlv::Writer;

impl Card {
    /// The FCI: one 61 per activated application, the first with priority 1.
    // EMV Contactless Book B 3.3.1, table 3-2
    pub(super) fn ppse_fci(&self) -> Vec<u8> {
        let most = match self.profile.ppse.lists.value {
            PpseLists::All => 15,
            PpseLists::DefaultOnly => 1,
        };
        let visible = self.registry.applets.iter();
        let listed = visible.filter(|applet| applet.is_visible_to_readers() && !applet.is_blocked());
        let entry = |list: Writer, (applet, priority): (&super::registry::Applet, u8)| {
            let label = applet.payment.as_ref().map_or(&[][..], |payment| &payment.label);
            list.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| {
                entry
                    .put(tag::TAG_4F_ADF_NAME, applet.entry.aid.as_bytes())
                    .put_some(tag::TAG_50_APPLICATION_LABEL, (!label.is_empty()).then_some(label))
                    .put(tag::TAG_87_PRIORITY, [priority])
            })
        };
        let list = |list| listed.zip(1_u8..).take(most).fold(list, entry);
        let properties = Writer::new().nest(tag::TAG_BF0C_FCI_DISCRETIONARY, list).finish();
        super::select::fci(&self.profile.ppse.aid.value, &properties)
    }
}
