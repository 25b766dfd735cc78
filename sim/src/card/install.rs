//! INSTALL: make an instance, or open its personalisation.

use super::command::require_class;
use super::personalisation::Round;
use super::registry::{Activation, Aid, Entry};
use super::session::Interface;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::{tag, tlv};

/// INSTALL.
#[derive(Clone, Copy, Debug)]
pub enum Install<'a> {
    /// [for install and make selectable].
    MakeSelectable {
        /// Executable load file AID.
        load_file: &'a [u8],
        /// Executable module AID.
        module: &'a [u8],
        /// The AID the instance gets.
        instance: Aid,
    },
    /// [for personalization] of this instance.
    Personalise(&'a [u8]),
}

impl<'a> Install<'a> {
    /// P1 0C or 20, P2 00; the data field is length-value pairs.
    // GPCS 2.3.1 11.5.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        let mut fields = LengthValues(&apdu.data);
        match (apdu.p1, apdu.p2) {
            (0x0C, 0x00) => Self::parse_make_selectable(&mut fields),
            (0x20, 0x00) => Self::parse_personalise(&mut fields),
            _ => Err(Sw::INCORRECT_P1_P2),
        }
    }

    // GPCS 2.3.1 table 11-45
    fn parse_make_selectable(fields: &mut LengthValues<'a>) -> Result<Self, Sw> {
        let (load_file, module) = (fields.next()?, fields.next()?);
        let instance = match fields.next()? {
            [] => module,
            instance => instance,
        };
        let privileges = fields.next()?;
        // One or three bytes; no privilege is given away here.
        if !matches!(privileges.len(), 1 | 3) || privileges.iter().any(|byte| *byte != 0) {
            return Err(Sw::WRONG_DATA);
        }
        // The application specific parameters (C9) are mandatory, even if empty.
        tlv::find(fields.next()?, tag::TAG_C9_APPLICATION_PARAMETERS).ok_or(Sw::WRONG_DATA)?;
        fields.end_with_empty_token()?;
        Ok(Self::MakeSelectable { load_file, module, instance: Aid::new(instance).ok_or(Sw::WRONG_DATA)? })
    }

    // GPCS 2.3.1 table 11-48: only the instance AID is present.
    fn parse_personalise(fields: &mut LengthValues<'a>) -> Result<Self, Sw> {
        let (none_1, none_2, instance) = (fields.next()?, fields.next()?, fields.next()?);
        let (none_3, none_4) = (fields.next()?, fields.next()?);
        fields.end_with_empty_token()?;
        if [none_1, none_2, none_3, none_4].iter().any(|field| !field.is_empty()) {
            return Err(Sw::WRONG_DATA);
        }
        Ok(Self::Personalise(instance))
    }
}

impl Card {
    pub(super) fn handle_install(&mut self, interface: Interface, command: Install<'_>) -> Answer {
        match command {
            Install::MakeSelectable { load_file, module, instance } => {
                self.install(load_file, module, instance)?;
            }
            Install::Personalise(instance) => {
                let applet = self.registry.by_aid(instance).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                if applet.entry.locked {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let round = Round::new(applet.slot, self.profile.personalisation_bytes_max.value);
                self.session_mut(interface).round = Some(round);
            }
        }
        // GPCS 2.3.1 11.5.3: the length of a confirmation that is not there.
        Ok(RApdu::ok([0x00]))
    }

    fn install(&mut self, load_file: &[u8], module: &[u8], instance: Aid) -> Result<(), Sw> {
        let found = self.profile.load_files.iter().find(|file| *file.aid.value == *load_file);
        let module = found
            .and_then(|file| file.modules.iter().find(|known| *known.aid.value == *module))
            .and_then(|known| Some((Aid::new(&known.aid.value)?, known.application)));
        let (module, application) = module.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        if self.is_taken(instance) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // Product rule R9; that the secure element itself refuses is assumed.
        if self.registry.applets.len() >= usize::from(self.profile.max_instances.value) {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let slot = self.registry.free_slot().ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        let entry = Entry {
            aid: instance,
            module,
            application,
            locked: false,
            activation: Activation::NonActivatable,
            blocked: false,
        };
        Ok(self.registry.commit_install(&mut self.nvm, slot, entry)?)
    }

    /// Whether the registry has this AID already.
    fn is_taken(&self, aid: Aid) -> bool {
        let profile = &self.profile;
        let modules = profile.load_files.iter().flat_map(|file| file.modules.iter().map(|module| &module.aid));
        let fixed = [&profile.issuer_security_domain.aid, &profile.contactless_registry.aid, &profile.ppse.aid];
        let files = profile.load_files.iter().map(|file| &file.aid);
        fixed.into_iter().chain(files).chain(modules).any(|taken| *taken.value == *aid.as_bytes())
            || self.registry.by_aid(aid.as_bytes()).is_some()
    }
}

/// Fields of one length byte and a value, one after the other.
struct LengthValues<'a>(&'a [u8]);

impl<'a> LengthValues<'a> {
    fn next(&mut self) -> Result<&'a [u8], Sw> {
        let (&len, rest) = self.0.split_first().ok_or(Sw::WRONG_DATA)?;
        let (value, rest) = rest.split_at_checked(usize::from(len)).ok_or(Sw::WRONG_DATA)?;
        self.0 = rest;
        Ok(value)
    }

    /// Delegated management is not there, so the install token is empty, and it is the last field.
    fn end_with_empty_token(&mut self) -> Result<(), Sw> {
        if self.next()?.is_empty() && self.0.is_empty() { Ok(()) } else { Err(Sw::WRONG_DATA) }
    }
}
