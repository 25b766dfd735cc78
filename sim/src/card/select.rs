//! SELECT by name: the issuer security domain, the CRS, the PPSE or PSE, or an application instance.

use super::command::{require_class, require_p1_p2};
use super::registry::Applet;
use super::session::{Interface, Phase, Selected};
use super::{Answer, CARD_LOCKED, Card, TERMINATED};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::Writer;

/// SELECT.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    name: &'a [u8],
    next: bool,
}

impl<'a> Select<'a> {
    /// P1 04 by name; P2 00 first or only occurrence, 02 next one.
    // GPCS 2.3.1 11.9.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x00)?;
        require_p1_p2(apdu, 0x04, apdu.p2 & 0x02)?;
        if apdu.data.len() > 16 {
            return Err(Sw::WRONG_LENGTH);
        }
        Ok(Self { name: &apdu.data, next: apdu.p2 == 0x02 })
    }
}

impl Card {
    /// A failed SELECT leaves everything as it was (GPCS 2.3.1 6.3.2).
    pub(super) fn handle_select(&mut self, interface: Interface, select: Select<'_>) -> Answer {
        let target = self.find(interface, select)?;
        let locked = self.registry.card.life_cycle == CARD_LOCKED;
        if self.registry.card.life_cycle == TERMINATED || locked && target != Selected::SecurityDomain {
            return Err(Sw::FUNCTION_NOT_SUPPORTED);
        }
        let answer = self.file_control_information(interface, &target, locked);
        self.session_mut(interface).select(target);
        Ok(answer)
    }

    fn find(&self, interface: Interface, select: Select<'_>) -> Result<Selected, Sw> {
        if select.name.is_empty() {
            // GPCS 2.3.1 11.9.2.3: without a name, the default application.
            return match self.default_selection(interface) {
                Selected::Nothing => Err(Sw::NOT_FOUND),
                default => Ok(default),
            };
        }
        let mut matching = self.candidates(interface).filter(|(name, _)| name.starts_with(select.name));
        if select.next {
            let current = &self.session(interface).selected;
            let is_current = |selected: &Selected| match (selected, current) {
                (Selected::Applet(a, _), Selected::Applet(b, _)) => a == b,
                (a, b) => a == b,
            };
            matching.by_ref().find(|(_, selected)| is_current(selected)).ok_or(Sw::NOT_FOUND)?;
        }
        matching.next().map(|(_, selected)| selected).ok_or(Sw::NOT_FOUND)
    }

    /// Everything the interface can see, in order, with its name.
    fn candidates(&self, interface: Interface) -> impl Iterator<Item = (&[u8], Selected)> {
        let wired = interface == Interface::Wired;
        let domain = &self.profile.issuer_security_domain;
        let registry = &self.profile.contactless_registry;
        let domain_visible = wired || domain.contactless_visible.value;
        let registry_visible = wired || registry.contactless_visible.value;
        let fixed = [
            (domain_visible, &domain.aid, Selected::SecurityDomain),
            (registry_visible, &registry.aid, Selected::Registry),
            (interface != Interface::Contact, &self.profile.ppse.aid, Selected::Ppse),
        ];
        let directory = (interface == Interface::Contact).then_some((super::pse::NAME, Selected::Pse));
        let applets = self.registry.applets.iter().filter(move |applet| match interface {
            Interface::Wired => !applet.entry.locked,
            Interface::Contactless | Interface::Contact => applet.is_visible_to_readers(),
        });
        fixed
            .into_iter()
            .filter_map(|(visible, aid, selected)| visible.then_some((aid.value.0.as_slice(), selected)))
            .chain(directory)
            .chain(applets.map(|applet| (applet.entry.aid.as_bytes(), Selected::Applet(applet.slot, Phase::Selected))))
    }

    fn file_control_information(&self, interface: Interface, target: &Selected, locked: bool) -> RApdu {
        match target {
            Selected::Nothing => RApdu::sw(Sw::OK),
            Selected::SecurityDomain => {
                let fci = self.domain_fci();
                RApdu { data: fci, sw: if locked { Sw::SELECTED_FILE_DEACTIVATED } else { Sw::OK } }
            }
            Selected::Registry => {
                let registry = &self.profile.contactless_registry;
                let properties =
                    Writer::new().put(tag::TAG_9F08_APPLICATION_VERSION, &registry.version.value.0).finish();
                RApdu::ok(fci(&registry.aid.value, &properties))
            }
            Selected::Ppse => RApdu::ok(self.ppse_fci()),
            Selected::Pse => RApdu::ok(super::pse::fci()),
            Selected::Applet(slot, _) => {
                self.registry.applet(*slot).map_or(RApdu::sw(Sw::NOT_FOUND), |applet| applet_fci(interface, applet))
            }
        }
    }

    // GPCS 2.3.1 11.9.3.1: 9F65 is the maximum length of command data here, whatever kernel 2 calls it.
    fn domain_fci(&self) -> alloc::vec::Vec<u8> {
        let properties = Writer::new().put(tag::TAG_9F65_PCVC3_TRACK2, [0xFF]).finish();
        fci(&self.profile.issuer_security_domain.aid.value, &properties)
    }
}

/// An FCI template of a name and what its A5 holds.
pub(super) fn fci(name: &[u8], properties: &[u8]) -> alloc::vec::Vec<u8> {
    Writer::new()
        .nest(tag::TAG_6F_FCI_TEMPLATE, |template| {
            template.put(tag::TAG_84_DF_NAME, name).put(tag::TAG_A5_FCI_PROPRIETARY, properties)
        })
        .finish()
}

fn applet_fci(interface: Interface, applet: &Applet) -> RApdu {
    let Some(payment) = &applet.payment else {
        return RApdu::ok(fci(applet.entry.aid.as_bytes(), &[]));
    };
    // EMV 4.4 B1 12.3.2: a blocked application answers its FCI with 6283.
    RApdu {
        data: payment.side(interface).fci.clone(),
        sw: if applet.is_blocked() { Sw::SELECTED_FILE_DEACTIVATED } else { Sw::OK },
    }
}
