//! EXTERNAL AUTHENTICATE of a payment application: the terminal brings the issuer's answer to the ARQC (contact only).

use alloc::boxed::Box;

use super::command::{require_class, require_p1_p2};
use super::generate_ac::check_issuer;
use super::session::{Interface, IssuerAuthentication, Online, Phase, Selected};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// EXTERNAL AUTHENTICATE, to a payment application.
#[derive(Clone, Copy, Debug)]
pub struct IssuerAuthenticate<'a> {
    issuer_authentication_data: &'a [u8],
}

impl<'a> IssuerAuthenticate<'a> {
    /// The data is the value of 91: 8 to 16 bytes.
    // EMV 4.4 B3 6.5.4.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x00)?;
        require_p1_p2(apdu, 0x00, 0x00)?;
        if !(8..=16).contains(&apdu.data.len()) {
            return Err(Sw::WRONG_LENGTH);
        }
        Ok(Self { issuer_authentication_data: &apdu.data })
    }
}

impl Card {
    /// Once per ARQC, and only where the interchange profile says that the application wants it.
    // EMV 4.4 B3 6.5.4.4, 10.9; table 41 b3
    pub(super) fn handle_issuer_authenticate(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: IssuerAuthenticate<'_>,
    ) -> Answer {
        const ISSUER_AUTHENTICATION: u8 = 0x04;
        if interface != Interface::Contact {
            return Err(Sw::INS_NOT_SUPPORTED);
        }
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.as_ref().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let [profile, _] = payment.side(interface).application_interchange_profile;
        let Phase::Online(online) = phase else { return Err(Sw::CONDITIONS_NOT_SATISFIED) };
        if profile & ISSUER_AUTHENTICATION == 0 || online.issuer != IssuerAuthentication::NotPerformed {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let issuer = check_issuer(payment, applet.counters.atc, online, command.issuer_authentication_data);
        let online = Online { issuer, ..(**online).clone() };
        self.session_mut(interface).selected = Selected::Applet(slot, Phase::Online(Box::new(online)));
        match issuer {
            IssuerAuthentication::Passed => Ok(RApdu::sw(Sw::OK)),
            // EMV 4.4 B3 6.5.4.5: 6300 authentication failed.
            IssuerAuthentication::Failed | IssuerAuthentication::NotPerformed => Err(Sw::AUTHENTICATION_FAILED),
        }
    }
}
