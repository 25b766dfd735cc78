//! INTERNAL AUTHENTICATE: dynamic data authentication by the card's own key (contact only).

use alloc::vec::Vec;

use super::command::{require_class, require_p1_p2};
use super::session::{Interface, Phase};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::Writer;

/// INTERNAL AUTHENTICATE.
#[derive(Clone, Copy, Debug)]
pub struct InternalAuthenticate<'a> {
    ddol_values: &'a [u8],
}

impl<'a> InternalAuthenticate<'a> {
    /// The data is what the DDOL asked for.
    // EMV 4.4 B3 6.5.9.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x00)?;
        require_p1_p2(apdu, 0x00, 0x00)?;
        Ok(Self { ddol_values: &apdu.data })
    }
}

impl Card {
    /// Between GET PROCESSING OPTIONS and the first cryptogram. A card without a key has nothing to answer.
    // EMV 4.4 B2 6.5.1, B3 6.5.9
    pub(super) fn handle_internal_authenticate(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: InternalAuthenticate<'_>,
    ) -> Answer {
        if interface != Interface::Contact {
            return Err(Sw::INS_NOT_SUPPORTED);
        }
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.clone().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let (Phase::Initiated(_), Some(key)) = (phase, &payment.private_key) else {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        };
        if command.ddol_values.len() != payment.ddol.total_len() {
            return Err(Sw::WRONG_LENGTH);
        }
        // EMV 4.4 B2 table 14: the ICC dynamic number with its length.
        let number: [u8; 8] = self.rng.array();
        let dynamic = [8].into_iter().chain(number).collect::<Vec<u8>>();
        let signature = key
            .sign_dynamic_data(&self.signatures, &dynamic, &[command.ddol_values])
            .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        Ok(RApdu::ok(Writer::new().put(tag::TAG_80_RESPONSE_TEMPLATE_1, signature).finish()))
    }
}
