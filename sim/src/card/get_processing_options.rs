//! GET PROCESSING OPTIONS: a transaction begins, and the ATC counts it.

use super::command::{only_object, require_class, require_p1_p2};
use super::profile::{Application, BlockedApplication};
use super::registry::Counters;
use super::session::{Interface, Phase, Selected};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;

/// GET PROCESSING OPTIONS.
#[derive(Clone, Copy, Debug)]
pub struct GetProcessingOptions<'a> {
    pdol_values: &'a [u8],
}

impl<'a> GetProcessingOptions<'a> {
    /// The data is one 83 with the values the PDOL asked for.
    // EMV 4.4 B3 6.5.8.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        require_p1_p2(apdu, 0x00, 0x00)?;
        Ok(Self { pdol_values: only_object(&apdu.data, tag::TAG_83_COMMAND_TEMPLATE)? })
    }
}

impl Card {
    /// The ATC is committed before the answer leaves. When it has run out, the application is blocked for good.
    // EMV 4.4 B3 6.5.8, B2 A1.3 (the ATC must not repeat)
    pub(super) fn handle_get_processing_options(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: GetProcessingOptions<'_>,
    ) -> Answer {
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.clone().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let refuses = applet.entry.blocked && self.profile.blocked_application.value == BlockedApplication::Refused;
        if *phase != Phase::Selected || applet.has_run_out() || refuses {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let side = payment.side(interface);
        if command.pdol_values.len() != side.pdol.total_len() {
            return Err(Sw::WRONG_LENGTH);
        }
        let atc = applet.counters.atc.checked_add(1).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let counters = Counters { atc, ..applet.counters };
        if payment.application == Application::Visa && interface != Interface::Contact {
            return self.quick_transaction(interface, slot, &payment, counters, command.pdol_values);
        }
        self.registry.commit_counters(&mut self.nvm, slot, counters, None)?;
        let phase = Phase::Initiated(command.pdol_values.to_vec());
        self.session_mut(interface).selected = Selected::Applet(slot, phase);
        Ok(RApdu::ok(side.processing_options.clone()))
    }
}
