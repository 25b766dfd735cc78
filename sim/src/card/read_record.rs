//! READ RECORD: the records of personalisation, and the transaction log.

use super::command::{require_class, require_no_data};
use super::payment::LogEntry;
use super::registry::{self, Applet};
use super::session::Phase;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// READ RECORD.
#[derive(Clone, Copy, Debug)]
pub struct ReadRecord {
    pub(super) sfi: u8,
    pub(super) record: u8,
}

impl ReadRecord {
    /// P1 record number, P2 SFI in b8-b4 and 100 in b3-b1.
    // EMV 4.4 B3 6.5.11.2
    pub fn parse(apdu: &CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x00)?;
        require_no_data(apdu)?;
        let sfi = apdu.p2 >> 3;
        if apdu.p2 & 0x07 != 0x04 || apdu.p1 == 0 || !(1..=30).contains(&sfi) {
            return Err(Sw::INCORRECT_P1_P2);
        }
        Ok(Self { sfi, record: apdu.p1 })
    }
}

impl Card {
    pub(super) fn handle_read_record(&self, applet: &Applet, phase: &Phase, command: ReadRecord) -> Answer {
        let payment = applet.payment.as_ref().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        if let (Phase::Concluded(Some(related)), Some(dgi)) = (phase, payment.authentication_record)
            && dgi == u16::from_be_bytes([command.sfi, command.record])
        {
            return Ok(RApdu::ok(super::qvsdc::authentication_record(*related)));
        }
        let found = match payment.log {
            Some(log) if log.sfi == command.sfi => self.log_record(applet, log, command.record),
            _ => registry::dgi(&self.nvm, applet.slot, u16::from_be_bytes([command.sfi, command.record])),
        };
        found.map(RApdu::copied).ok_or(Sw::RECORD_NOT_FOUND)
    }

    /// Record 1 is the newest; values only, without a template.
    // EMV 4.4 B3 D2
    fn log_record(&self, applet: &Applet, log: LogEntry, record: u8) -> Option<&[u8]> {
        let age = record.checked_sub(1).filter(|age| *age < applet.counters.log_records)?;
        let place = (u16::from(applet.counters.log_newest) + u16::from(log.records)).checked_sub(u16::from(age))?;
        let place = u8::try_from(place % u16::from(log.records)).ok()?;
        registry::log_record(&self.nvm, applet.slot, place)
    }
}
