//! APPLICATION BLOCK, APPLICATION UNBLOCK and PIN CHANGE/UNBLOCK: scripts of the issuer, which a terminal passes on (contact only).
//!
//! A blocked application answers SELECT with 6283 and GENERATE AC with nothing but an AAC. A PIN is unblocked and not changed: how
//! a new one is enciphered is each scheme's own. Card verification results do not tell of scripts (assumed: an issuer learns of
//! them by the AAC).

use super::command::require_p1_p2;
use super::registry::Entry;
use super::session::Interface;
use super::{Answer, Card, ins};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// A script of the issuer.
#[derive(Clone, Copy, Debug)]
pub struct IssuerScript<'a> {
    action: Action,
    header: [u8; 5],
    mac: &'a [u8],
}

/// What a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Block,
    Unblock,
    UnblockPin,
}

impl Action {
    const fn of(instruction: u8) -> Option<Self> {
        match instruction {
            ins::APPLICATION_BLOCK => Some(Self::Block),
            ins::APPLICATION_UNBLOCK => Some(Self::Unblock),
            ins::PIN_CHANGE_UNBLOCK => Some(Self::UnblockPin),
            _ => None,
        }
    }
}

/// Whether a payment application takes this instruction as a script.
pub(super) const fn is_one(instruction: u8) -> bool {
    Action::of(instruction).is_some()
}

impl<'a> IssuerScript<'a> {
    /// P1 P2 00 00; the data is the MAC alone, 4 to 8 bytes of it.
    // EMV 4.4 B3 6.5.1.2, 6.5.2.2, 6.5.10.2; B2 9.2.1.2 (format 2)
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        let action = Action::of(apdu.ins).ok_or(Sw::INS_NOT_SUPPORTED)?;
        if apdu.cla != 0x84 {
            return Err(Sw::CLA_NOT_SUPPORTED);
        }
        require_p1_p2(apdu, 0x00, 0x00)?;
        let length = match u8::try_from(apdu.data.len()) {
            Ok(0) => return Err(Sw::SECURE_MESSAGING_MISSING),
            Ok(length @ 4..=8) => length,
            _ => return Err(Sw::WRONG_LENGTH),
        };
        let header = [apdu.cla, apdu.ins, apdu.p1, apdu.p2, length];
        Ok(Self { action, header, mac: &apdu.data })
    }
}

impl Card {
    /// Bound to the cryptogram of this transaction's first GENERATE AC, whatever it is: the AAC of a blocked application lets
    /// it be unblocked. A wrong MAC is 6988 (assumed).
    // EMV 4.4 B3 6.5.1, 6.5.2, 6.5.10
    pub(super) fn handle_issuer_script(&mut self, interface: Interface, slot: u8, script: IssuerScript<'_>) -> Answer {
        if interface != Interface::Contact {
            return Err(Sw::INS_NOT_SUPPORTED);
        }
        let cryptogram = self.session(interface).script_cryptogram.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.as_ref().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let cvn = payment.risk.cvn;
        let atc = applet.counters.atc;
        let mac = cvn.script_mac(&payment.master_key_integrity, script.header, atc, cryptogram);
        let sent = mac.get(..script.mac.len()).unwrap_or_default();
        if !super::crypto::equal(sent, script.mac) {
            return Err(Sw::SECURE_MESSAGING_INCORRECT);
        }
        match script.action {
            Action::Block | Action::Unblock => {
                let blocked = script.action == Action::Block;
                let changed = [(slot, Entry { blocked, ..applet.entry })];
                self.registry.commit_entries(&mut self.nvm, &changed)?;
            }
            Action::UnblockPin => {
                let limit = payment.offline_pin.as_ref().ok_or(Sw::INS_NOT_SUPPORTED)?.try_limit;
                self.registry.commit_pin_tries(&mut self.nvm, slot, limit)?;
            }
        }
        self.session_mut(interface).script_cryptogram = Some(cvn.next_script_cryptogram(cryptogram));
        Ok(RApdu::sw(Sw::OK))
    }

    /// Whether the issuer blocked the application of this slot.
    pub(super) fn is_blocked_by_issuer(&self, slot: u8) -> bool {
        self.registry.applet(slot).is_some_and(|applet| applet.entry.blocked)
    }
}
