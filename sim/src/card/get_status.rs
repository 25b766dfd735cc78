//! GET STATUS of the issuer security domain: what is on the card.

use alloc::vec::Vec;

use super::command::require_class;
use super::registry::Entry;
use super::session::{Cursor, Interface};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{self, Writer};

/// Entries are cut into answers of at most this size, so that a protected answer fits into 256 bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 220;

/// GET STATUS.
#[derive(Clone, Copy, Debug)]
pub struct GetStatus<'a> {
    scope: Scope,
    next: bool,
    /// The E3 format; else the older one, length-value without tags.
    templates: bool,
    prefix: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    SecurityDomain = 0x80,
    Applications = 0x40,
    LoadFiles = 0x20,
    LoadFilesAndModules = 0x10,
}

impl<'a> GetStatus<'a> {
    /// P1 what to list; P2 b1 next occurrences, b2 in E3 templates; the data names an AID prefix under 4F.
    // GPCS 2.3.1 11.4.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        let scope = match apdu.p1 {
            0x80 => Scope::SecurityDomain,
            0x40 => Scope::Applications,
            0x20 => Scope::LoadFiles,
            0x10 => Scope::LoadFilesAndModules,
            _ => return Err(Sw::INCORRECT_P1_P2),
        };
        if apdu.p2 & !0x03 != 0 {
            return Err(Sw::INCORRECT_P1_P2);
        }
        Ok(Self {
            scope,
            next: apdu.p2 & 0x01 != 0,
            templates: apdu.p2 & 0x02 != 0,
            prefix: search_prefix(&apdu.data)?,
        })
    }
}

impl Card {
    pub(super) fn handle_get_status(&mut self, interface: Interface, command: GetStatus<'_>) -> Answer {
        let entries = self.status_entries(command);
        self.answer_entries(interface, command.scope as u8, command.next, command.prefix, &entries)
    }

    /// As many entries as fit, from the first or from where the last answer ended.
    pub(super) fn answer_entries(
        &mut self,
        interface: Interface,
        scope: u8,
        next: bool,
        prefix: &[u8],
        entries: &[Vec<u8>],
    ) -> Answer {
        let session = self.session_mut(interface);
        let answered = match session.cursor.take() {
            Some(cursor) if next && cursor.scope == scope && cursor.prefix == prefix => cursor.answered,
            // GPC Amendment C 3.11.3: a continuation with nothing in flight.
            _ if next => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            _ => 0,
        };
        let mut data = Vec::new();
        let mut taken = answered;
        for entry in entries.iter().skip(answered) {
            if !data.is_empty() && data.len() + entry.len() > ANSWER_BYTES_MAX {
                break;
            }
            data.extend_from_slice(entry);
            taken += 1;
        }
        if data.is_empty() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        if taken == entries.len() {
            return Ok(RApdu::ok(data));
        }
        session.cursor = Some(Cursor { scope, prefix: prefix.to_vec(), answered: taken });
        Ok(RApdu { data, sw: Sw::MORE_DATA_AVAILABLE })
    }

    fn status_entries(&self, command: GetStatus<'_>) -> Vec<Vec<u8>> {
        let profile = &self.profile;
        let domain_aid = &profile.issuer_security_domain.aid.value;
        let mut entries = Vec::new();
        match command.scope {
            Scope::SecurityDomain => entries.push(Status {
                aid: domain_aid,
                life_cycle: self.registry.card.life_cycle,
                privileges: Some(ISD_PRIVILEGES),
                load_file: None,
                domain: None,
                version: None,
                modules: Vec::new(),
            }),
            Scope::Applications => {
                let applets = self.registry.applets.iter().map(|applet| Status {
                    aid: applet.entry.aid.as_bytes(),
                    life_cycle: life_cycle(&applet.entry),
                    privileges: Some([0; 3]),
                    load_file: self.load_file_of(applet.entry.module.as_bytes()),
                    domain: Some(domain_aid),
                    version: None,
                    modules: Vec::new(),
                });
                entries.extend(applets);
            }
            Scope::LoadFiles | Scope::LoadFilesAndModules => {
                entries.extend(profile.load_files.iter().map(|file| Status {
                    aid: &file.aid.value,
                    // GPCS 2.3.1 table 11-3: LOADED.
                    life_cycle: 0x01,
                    privileges: None,
                    load_file: None,
                    domain: Some(domain_aid),
                    version: Some(&file.version.value),
                    modules: match command.scope {
                        Scope::LoadFilesAndModules => file.modules.iter().map(|module| &*module.aid.value).collect(),
                        _ => Vec::new(),
                    },
                }));
            }
        }
        entries.retain(|status| status.aid.starts_with(command.prefix));
        entries.iter().map(|status| if command.templates { status.template() } else { status.plain() }).collect()
    }

    fn load_file_of(&self, module: &[u8]) -> Option<&[u8]> {
        let holds = |file: &&super::profile::LoadFile| file.modules.iter().any(|known| *known.aid.value == *module);
        self.profile.load_files.iter().find(holds).map(|file| &*file.aid.value)
    }
}

/// Life cycle state of an instance: SELECTABLE, or its own state for BLOCKED (assumed: 7F, as in Open Platform 2.0.1'), and
/// with b8 LOCKED.
// GPCS 2.3.1 table 11-4
pub(super) const fn life_cycle(entry: &Entry) -> u8 {
    let state = if entry.blocked { 0x7F } else { 0x07 };
    if entry.locked { state | 0x80 } else { state }
}

// GPCS 2.3.1 11.1.2: security domain, card lock, card terminate, card reset, CVM management; authorized management,
// global delete, lock and registry.
const ISD_PRIVILEGES: [u8; 3] = [0x9E, 0xFE, 0x80];

/// The search criterion: 4F with an AID or its beginning, empty for all; a tag list 5C may follow.
// GPCS 2.3.1 11.4.2.3; GPC Amendment C 3.11.3.1
pub(super) fn search_prefix(data: &[u8]) -> Result<&[u8], Sw> {
    let mut objects = tlv::walk(data);
    let Some(Ok(first)) = objects.next() else { return Err(Sw::WRONG_DATA) };
    if first.tag != tag::TAG_4F_ADF_NAME || first.value.len() > 16 || objects.any(|object| object.is_err()) {
        return Err(Sw::WRONG_DATA);
    }
    Ok(first.value)
}

struct Status<'a> {
    aid: &'a [u8],
    life_cycle: u8,
    privileges: Option<[u8; 3]>,
    load_file: Option<&'a [u8]>,
    domain: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    modules: Vec<&'a [u8]>,
}

impl Status<'_> {
    // GPCS 2.3.1 table 11-36
    fn template(&self) -> Vec<u8> {
        let content = |template: Writer| {
            let with_states = template
                .put(tag::TAG_4F_ADF_NAME, self.aid)
                .put(tag::TAG_9F70_LIFE_CYCLE_STATE, [self.life_cycle])
                .put_some(tag::TAG_C5_PRIVILEGES, self.privileges)
                .put_some(tag::TAG_C4_LOAD_FILE_AID, self.load_file)
                .put_some(tag::TAG_CE_LOAD_FILE_VERSION, self.version);
            self.modules
                .iter()
                .fold(with_states, |writer, module| writer.put(tag::TAG_84_DF_NAME, module))
                .put_some(tag::TAG_CC_SECURITY_DOMAIN_AID, self.domain)
        };
        Writer::new().nest(tag::TAG_E3_REGISTRY_DATA, content).finish()
    }

    // GPCS 2.3.1 table 11-35, the form of older cards: one byte of privileges, zero for load files.
    fn plain(&self) -> Vec<u8> {
        let mut entry = length_value(self.aid);
        let [privileges, ..] = self.privileges.unwrap_or_default();
        entry.extend([self.life_cycle, privileges]);
        if !self.modules.is_empty() {
            entry.push(u8::try_from(self.modules.len()).unwrap_or(u8::MAX));
            entry.extend(self.modules.iter().flat_map(|module| length_value(module)));
        }
        entry
    }
}

fn length_value(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 3);
    bytes.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(value);
    bytes
}
