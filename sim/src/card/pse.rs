//! The payment system environment of the contact interface: a directory file with one record per application.

use alloc::vec::Vec;

use super::read_record::ReadRecord;
use super::registry::Applet;
use super::{Answer, Card};
use crate::wire::apdu::RApdu;
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::Writer;

// EMV 4.4 B1 12.2.2
pub(super) const NAME: &[u8] = b"1PAY.SYS.DDF01";

/// Short file identifier of the directory (EMV 4.4 B1 12.2.3: 1 to 10).
const DIRECTORY_SFI: u8 = 1;

/// The answer to SELECT: where the directory is.
// EMV 4.4 B1 11.3.4 table 43
pub(super) fn fci() -> Vec<u8> {
    super::select::fci(NAME, &Writer::new().put(tag::TAG_88_SFI, [DIRECTORY_SFI]).finish())
}

impl Card {
    /// One entry per record, the first of the holder's order with priority 1.
    // EMV 4.4 B1 12.2.3, tables 46 and 47
    pub(super) fn handle_read_directory(&self, command: ReadRecord) -> Answer {
        if command.sfi != DIRECTORY_SFI {
            return Err(Sw::NOT_FOUND);
        }
        let visible = self.registry.applets.iter();
        let mut listed = visible.filter(|applet| applet.is_visible_to_readers() && !applet.is_blocked());
        let applet = listed.nth(usize::from(command.record.saturating_sub(1))).ok_or(Sw::RECORD_NOT_FOUND)?;
        Ok(RApdu::ok(record(applet, command.record)))
    }
}

fn record(applet: &Applet, priority: u8) -> Vec<u8> {
    let label = applet.payment.as_ref().map_or(&[][..], |payment| &payment.label);
    Writer::new()
        .nest(tag::TAG_70_RECORD_TEMPLATE, |record| {
            record.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| {
                entry
                    .put(tag::TAG_4F_ADF_NAME, applet.entry.aid.as_bytes())
                    // A label is mandatory here; an application without one shows its name (assumed).
                    .put(tag::TAG_50_APPLICATION_LABEL, if label.is_empty() { b"CARD" } else { label })
                    .put(tag::TAG_87_PRIORITY, [priority.min(15)])
            })
        })
        .finish()
}
