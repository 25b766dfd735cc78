//! EXTERNAL AUTHENTICATE: the second half of opening a secure channel.

use super::scp03::{Rejected, SecurityLevel};
use super::session::{Channel, Interface};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// EXTERNAL AUTHENTICATE.
#[derive(Clone, Copy, Debug)]
pub struct ExternalAuthenticate<'a> {
    level: Option<SecurityLevel>,
    /// The command as it came: its C-MAC covers the header.
    apdu: &'a CApdu,
}

impl<'a> ExternalAuthenticate<'a> {
    /// P1 security level, P2 00. The class must say secure messaging.
    // Amendment D v1.2 7.1.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        if apdu.cla != 0x84 {
            return Err(Sw::CLA_NOT_SUPPORTED);
        }
        if apdu.p2 != 0 {
            return Err(Sw::INCORRECT_P1_P2);
        }
        Ok(Self { level: SecurityLevel::decode(apdu.p1), apdu })
    }
}

impl Card {
    /// One try per INITIALIZE UPDATE, whatever comes of it.
    pub(super) fn handle_external_authenticate(
        &mut self,
        interface: Interface,
        command: ExternalAuthenticate<'_>,
    ) -> Answer {
        let i = self.profile.issuer_security_domain.scp03_i.value;
        let session = self.session_mut(interface);
        let channel = core::mem::take(&mut session.channel);
        session.end_channel();
        let Channel::Handshake(handshake) = channel else { return Err(Sw::CONDITIONS_NOT_SATISFIED) };
        let level = command.level.filter(|level| i.supports(*level)).ok_or(Sw::INCORRECT_P1_P2)?;
        let channel = handshake.authenticate(level, command.apdu).map_err(status)?;
        session.channel = Channel::Open(channel);
        Ok(RApdu::sw(Sw::OK))
    }
}

/// What the host is told about a rejected message.
// GPCS 2.3.1 table 11-1 (6982 incorrect secure messaging), Amendment D v1.2 7.1.2.6 (6300 host cryptogram)
pub(super) const fn status(rejected: Rejected) -> Sw {
    match rejected {
        Rejected::Length => Sw::WRONG_LENGTH,
        Rejected::HostCryptogram => Sw::AUTHENTICATION_FAILED,
        Rejected::CMac | Rejected::Padding => Sw::SECURITY_STATUS_NOT_SATISFIED,
    }
}
