//! The secure element: a command in, an answer out, and everything that must survive in non-volatile memory.
//!
//! [`Card::handle`] is total: every byte string gets a status word. A command is understood once (`command`), carried out
//! in the file of its name, and refused without a trace: nothing persistent changes unless the answer says so.

use alloc::sync::Arc;
use alloc::vec::Vec;

pub mod command;
pub mod crypto;
pub mod cvn;
pub mod nvm;
pub mod payment;
pub mod private_key;
pub mod profile;
pub mod registry;
pub mod scp03;
pub mod session;
pub mod signatures;

mod crs_get_status;
mod crs_set_status;
mod delete;
mod external_authenticate;
mod generate_ac;
mod get_data;
mod get_processing_options;
mod get_status;
mod initialize_update;
mod install;
mod internal_authenticate;
mod issuer_authentication;
mod issuer_script;
mod manage_channel;
mod personalisation;
mod ppse;
mod pse;
mod qvsdc;
mod read_record;
mod select;
mod set_status;
mod store_data;
mod transaction;
mod verify;

#[cfg(test)]
pub(crate) mod host;
#[cfg(test)]
mod tests;

use command::{Command, Target, ins};
use nvm::{Nvm, PowerLost};
use profile::CardProfile;
use registry::{CardState, Registry};
use scp03::{AesKey, StaticKeys};
use session::{Channel, Selected, Session};
use signatures::Signatures;

use crate::rng::Rng;
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::chain::Chained;
use crate::wire::sw::Sw;

pub use registry::{Activation, Aid};
pub use session::Interface;

/// What a command comes to: an answer with its status word, or a refusal.
type Answer = Result<RApdu, Sw>;

/// Card life cycle state CARD_LOCKED (GPCS 2.3.1 5.1.1.4).
const CARD_LOCKED: u8 = 0x7F;
/// Card life cycle state TERMINATED (GPCS 2.3.1 5.1.1.5).
const TERMINATED: u8 = 0xFF;

/// A secure element.
#[derive(Clone, Debug)]
pub struct Card {
    profile: Arc<CardProfile>,
    keys: StaticKeys,
    cplc: Vec<u8>,
    nvm: Nvm,
    factory_writes: u64,
    registry: Registry,
    rng: Rng,
    wired: Session,
    contactless: Session,
    contact: Session,
    signatures: Signatures,
}

/// An application instance as the band's own processor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppletStatus {
    /// Its AID.
    pub aid: Aid,
    /// Its label (50); empty before personalisation.
    pub label: Vec<u8>,
    /// Last four digits of its card number, binary coded decimal, if it has any.
    pub last_4: Option<[u8; 2]>,
    /// Whether personalisation is complete.
    pub personalised: bool,
    /// Contactless activation state.
    pub activation: Activation,
    /// Locked by SET STATUS.
    pub locked: bool,
    /// Blocked by its issuer.
    pub blocked: bool,
    /// Its place in the holder's order, from 0.
    pub position: usize,
}

impl Card {
    /// A card as it leaves the factory. `rng` makes its serial number, its challenges, and how a cut write tears.
    ///
    /// Keys of a profile that are no AES keys are replaced by random ones: such a card authenticates nobody.
    #[must_use]
    pub fn new(profile: &CardProfile, rng: Rng) -> Self {
        let factory = factory_state(profile);
        let mut nvm = Nvm::new(rng.fork("nvm tear"));
        // A new store has power, so this commit cannot fail.
        let _ = registry::commit_factory(&mut nvm, factory);
        let keys = profile.issuer_security_domain.keys.value.static_keys();
        let mut card = Self {
            keys: keys.unwrap_or_else(|| unknown_keys(&mut rng.fork("unknown keys"))),
            cplc: cplc_of(profile, &mut rng.fork("ic serial number")),
            factory_writes: nvm.writes(),
            registry: Registry::load(&nvm, factory),
            profile: Arc::new(profile.clone()),
            nvm,
            rng: rng.fork("challenges"),
            wired: Session::default(),
            contactless: Session::default(),
            contact: Session::default(),
            signatures: Signatures::default(),
        };
        card.reset_all();
        card
    }

    /// Carries out a command. When power is cut in it, the answer is 6F00 and [`Card::is_powered`] turns false.
    pub fn handle(&mut self, interface: Interface, command: &CApdu) -> RApdu {
        if !self.nvm.is_powered() {
            return RApdu::sw(Sw::UNKNOWN);
        }
        let answer = self.receive(interface, command).unwrap_or_else(RApdu::sw);
        if !self.nvm.is_powered() {
            return RApdu::sw(Sw::UNKNOWN);
        }
        answer
    }

    /// The same on bytes; what is no command APDU is answered 6700.
    pub fn handle_bytes(&mut self, interface: Interface, bytes: &[u8]) -> Vec<u8> {
        match CApdu::decode(bytes) {
            Ok(command) => self.handle(interface, &command).into_bytes(),
            Err(_) => RApdu::sw(Sw::WRONG_LENGTH).encode(),
        }
    }

    /// The field is gone or the channel was closed: the interface forgets everything.
    pub fn reset(&mut self, interface: Interface) {
        let selected = self.default_selection(interface);
        *self.session_mut(interface) = Session { selected, ..Session::default() };
    }

    /// After power loss: takes up the last committed state; everything volatile is gone.
    pub fn power_on(&mut self) {
        self.nvm.recover();
        self.registry = Registry::load(&self.nvm, factory_state(&self.profile));
        self.reset_all();
    }

    /// Power is lost between two writes. [`Card::power_on`] brings it back.
    pub fn power_off(&mut self) {
        self.nvm.lose_power();
    }

    /// Card production life cycle data: the 42 bytes behind tag 9F7F. They identify this secure element.
    #[must_use]
    pub fn cplc(&self) -> &[u8] {
        &self.cplc
    }

    /// Whether power is on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.nvm.is_powered()
    }

    /// Fault: the `nth` physical write to memory from now (1 is the next) is torn and power is lost in it.
    pub fn cut_power_at_write(&mut self, nth: Option<u64>) {
        self.nvm.cut_power_at_write(nth);
    }

    /// Physical writes to memory since [`Card::new`].
    #[must_use]
    pub fn nvm_writes(&self) -> u64 {
        self.nvm.writes() - self.factory_writes
    }

    /// SHA-256 over everything persistent.
    #[must_use]
    pub fn nvm_digest(&self) -> [u8; 32] {
        self.nvm.digest()
    }

    /// Bytes of flash in use.
    #[must_use]
    pub fn flash_bytes(&self) -> usize {
        self.nvm.flash_bytes()
    }

    /// Its flash, both banks.
    #[must_use]
    pub fn flash(&self) -> [&[u8]; 2] {
        self.nvm.flash()
    }

    /// Another flash in the place of its own; [`Card::power_on`] takes up what it holds. `rng` makes its challenges from
    /// then on.
    pub fn replace_flash(&mut self, banks: [Vec<u8>; 2], rng: &Rng) {
        self.nvm.replace_flash(banks);
        self.rng = rng.fork("challenges");
    }

    /// What the last Application Cryptogram that went out over `interface` covers, before padding; empty when there was none
    /// since its last reset. No key is in it: it lets a rig show both sides of a cryptogram that does not match.
    #[must_use]
    pub fn cryptogram_input(&self, interface: Interface) -> &[u8] {
        &self.session(interface).cryptogram_input
    }

    /// The instances in the holder's order.
    #[must_use]
    pub fn applets(&self) -> Vec<AppletStatus> {
        let status = |(position, applet): (usize, &registry::Applet)| AppletStatus {
            aid: applet.entry.aid,
            label: applet.payment.as_ref().map(|payment| payment.label.clone()).unwrap_or_default(),
            last_4: applet.payment.as_ref().and_then(|payment| payment.last_4),
            personalised: applet.payment.is_some(),
            activation: applet.entry.activation,
            locked: applet.entry.locked,
            blocked: applet.entry.blocked,
            position,
        };
        self.registry.applets.iter().enumerate().map(status).collect()
    }

    /// Removes all instances at once: what a factory reset does where it wipes cards. Without power nothing happens.
    pub fn wipe_applets(&mut self) {
        let slots = self.registry.applets.iter().map(|applet| applet.slot).collect::<Vec<_>>();
        if !slots.is_empty() && self.registry.commit_delete(&mut self.nvm, &slots).is_ok() {
            self.reset_all();
        }
    }

    /// From the interface's bytes to the answer's: GET RESPONSE, command chaining, then the command itself.
    fn receive(&mut self, interface: Interface, command: &CApdu) -> Answer {
        check_class(interface, command)?;
        let target = self.target(interface);
        let session = self.session_mut(interface);
        if command.ins == ins::GET_RESPONSE {
            return get_response(session, command);
        }
        session.pending.clear();

        let whole;
        let mut command = command;
        if session.chaining || command.cla & CLA_CHAINING != 0 {
            if !Command::may_be_chained(target, command.ins) {
                session.chain.clear();
                session.chaining = false;
                return Err(Sw::CHAINING_NOT_SUPPORTED);
            }
            let chained = session.chain.handle(command.clone());
            session.chaining = matches!(chained, Chained::More);
            whole = match chained {
                Chained::More => return Ok(RApdu::sw(Sw::OK)),
                Chained::Refused(sw) => return Err(sw),
                Chained::Whole(whole) => whole,
            };
            command = &whole;
        }
        let answer = self.unprotect_and_execute(interface, target, command)?;
        Ok(limit(self.session_mut(interface), command, answer))
    }

    /// Secure messaging around a command.
    // Amendment D v1.2 5.5; GPCS 2.3.1 10.2.3: what a channel protects must come protected
    fn unprotect_and_execute(&mut self, interface: Interface, target: Target, command: &CApdu) -> Answer {
        let protected = command.cla & CLA_SECURE_MESSAGING != 0;
        let session = self.session_mut(interface);
        match &mut session.channel {
            Channel::Open(channel) if protected => {
                if !channel.level().has_c_mac() {
                    return Err(Sw::SECURITY_STATUS_NOT_SATISFIED);
                }
                let plain = match channel.unwrap_command(command) {
                    Ok(plain) => plain,
                    Err(rejected) => {
                        session.end_channel();
                        return Err(external_authenticate::status(rejected));
                    }
                };
                let answer = self.execute(interface, target, &plain)?;
                Ok(match &self.session(interface).channel {
                    Channel::Open(channel) => channel.wrap_response(answer),
                    _ => answer,
                })
            }
            Channel::Open(channel) if channel.level().has_c_mac() && !goes_bare(command.ins) => {
                session.end_channel();
                Err(Sw::SECURITY_STATUS_NOT_SATISFIED)
            }
            _ if protected && !brings_its_own_mac(target, command) => Err(match target {
                Target::SecurityDomain => Sw::SECURITY_STATUS_NOT_SATISFIED,
                _ => Sw::SECURE_MESSAGING_NOT_SUPPORTED,
            }),
            _ => self.execute(interface, target, command),
        }
    }

    /// The one place where a command meets the state it needs.
    fn execute(&mut self, interface: Interface, target: Target, command: &CApdu) -> Answer {
        if Command::needs_authentication(target, command.ins) && !self.session(interface).is_authenticated() {
            return Err(Sw::SECURITY_STATUS_NOT_SATISFIED);
        }
        let command = Command::parse(target, command)?;
        self.require_life_cycle(&command)?;
        match command {
            Command::Select(select) => self.handle_select(interface, select),
            Command::ManageChannel(command) => self.handle_manage_channel(command),
            Command::InitializeUpdate(command) => self.handle_initialize_update(interface, command),
            Command::ExternalAuthenticate(command) => self.handle_external_authenticate(interface, command),
            Command::Install(command) => self.handle_install(interface, command),
            Command::StoreData(command) => self.handle_store_data(interface, command),
            Command::Delete(command) => self.handle_delete(interface, command),
            Command::GetStatus(command) => self.handle_get_status(interface, command),
            Command::SetStatus(command) => self.handle_set_status(command),
            Command::GetData(command) => self.handle_get_data(command),
            Command::CrsGetStatus(command) => self.handle_crs_get_status(interface, command),
            Command::CrsSetStatus(command) => self.handle_crs_set_status(command),
            Command::ReadDirectory(command) => self.handle_read_directory(command),
            Command::ReadRecord(command) => {
                let (_, phase) = self.transaction(interface)?;
                self.handle_read_record(self.selected_applet(interface)?, &phase, command)
            }
            Command::ApplicationGetData(command) => {
                self.handle_application_get_data(interface, self.selected_applet(interface)?, command)
            }
            Command::GetProcessingOptions(command) => {
                let (slot, phase) = self.transaction(interface)?;
                self.handle_get_processing_options(interface, slot, &phase, command)
            }
            Command::GenerateAc(command) => {
                let (slot, phase) = self.transaction(interface)?;
                self.handle_generate_ac(interface, slot, &phase, command)
            }
            Command::InternalAuthenticate(command) => {
                let (slot, phase) = self.transaction(interface)?;
                self.handle_internal_authenticate(interface, slot, &phase, command)
            }
            Command::IssuerAuthenticate(command) => {
                let (slot, phase) = self.transaction(interface)?;
                self.handle_issuer_authenticate(interface, slot, &phase, command)
            }
            Command::Verify(command) => {
                let (slot, phase) = self.transaction(interface)?;
                self.handle_verify(interface, slot, &phase, command)
            }
            Command::IssuerScript(command) => {
                let (slot, _) = self.transaction(interface)?;
                self.handle_issuer_script(interface, slot, command)
            }
        }
    }

    /// A locked card manages no content; a terminated one only says what it was.
    // GPCS 2.3.1 table 11-1
    fn require_life_cycle(&self, command: &Command<'_>) -> Result<(), Sw> {
        let allowed = match self.registry.card.life_cycle {
            CARD_LOCKED => !matches!(command, Command::Install(_) | Command::StoreData(_) | Command::Delete(_)),
            TERMINATED => matches!(command, Command::GetData(_) | Command::Select(_)),
            _ => true,
        };
        if allowed { Ok(()) } else { Err(Sw::CONDITIONS_NOT_SATISFIED) }
    }

    /// Who a command goes to. An instance that is gone, or that readers may no longer see, takes none.
    fn target(&self, interface: Interface) -> Target {
        match self.session(interface).selected {
            Selected::Nothing | Selected::Ppse => Target::Nobody,
            Selected::SecurityDomain => Target::SecurityDomain,
            Selected::Registry => Target::Registry,
            Selected::Pse => Target::Directory,
            Selected::Applet(slot, _) => match (self.registry.applet(slot), interface) {
                (Some(_), Interface::Wired) => Target::Payment,
                (Some(applet), Interface::Contactless | Interface::Contact) if applet.is_visible_to_readers() => {
                    Target::Payment
                }
                _ => Target::Nobody,
            },
        }
    }

    fn selected_applet(&self, interface: Interface) -> Result<&registry::Applet, Sw> {
        let Selected::Applet(slot, _) = self.session(interface).selected else {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        };
        self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)
    }

    fn transaction(&self, interface: Interface) -> Result<(u8, session::Phase), Sw> {
        match &self.session(interface).selected {
            Selected::Applet(slot, phase) => Ok((*slot, phase.clone())),
            _ => Err(Sw::CONDITIONS_NOT_SATISFIED),
        }
    }

    /// What is selected before any SELECT: wired the issuer security domain, for readers it only if they may see it.
    // GPCS 2.3.1 6.3.1
    fn default_selection(&self, interface: Interface) -> Selected {
        let visible = self.profile.issuer_security_domain.contactless_visible.value;
        if interface == Interface::Wired || visible { Selected::SecurityDomain } else { Selected::Nothing }
    }

    fn session(&self, interface: Interface) -> &Session {
        match interface {
            Interface::Wired => &self.wired,
            Interface::Contactless => &self.contactless,
            Interface::Contact => &self.contact,
        }
    }

    fn session_mut(&mut self, interface: Interface) -> &mut Session {
        match interface {
            Interface::Wired => &mut self.wired,
            Interface::Contactless => &mut self.contactless,
            Interface::Contact => &mut self.contact,
        }
    }

    fn reset_all(&mut self) {
        self.reset(Interface::Wired);
        self.reset(Interface::Contactless);
        self.reset(Interface::Contact);
    }
}

impl From<PowerLost> for Sw {
    fn from(_: PowerLost) -> Self {
        Self::UNKNOWN
    }
}

const CLA_CHAINING: u8 = 0x10;
const CLA_SECURE_MESSAGING: u8 = 0x04;

/// Classes 0x, 1x, 8x, 9x on the basic channel, with GlobalPlatform's secure messaging bit.
// GPCS 2.3.1 11.1.4
fn check_class(interface: Interface, command: &CApdu) -> Result<(), Sw> {
    let cla = command.cla;
    // PC/SC part 3 3.2.2.1.3, GET DATA of the reader: one with contacts has no UID to give.
    if interface == Interface::Contact && cla == 0xFF && command.ins == ins::GET_DATA {
        return Err(Sw::FUNCTION_NOT_SUPPORTED);
    }
    if cla & 0x60 == 0x20 || cla == 0xFF {
        return Err(Sw::CLA_NOT_SUPPORTED);
    }
    if cla & 0x40 != 0 || cla & 0x03 != 0 {
        return Err(Sw::LOGICAL_CHANNEL_NOT_SUPPORTED);
    }
    // ISO 7816-4 secure messaging, which GlobalPlatform does not use.
    if cla & 0x08 != 0 {
        return Err(Sw::SECURE_MESSAGING_NOT_SUPPORTED);
    }
    Ok(())
}

/// Commands that stay bare within a secure channel: they end it or have nothing to do with it.
const fn goes_bare(instruction: u8) -> bool {
    matches!(instruction, ins::SELECT | ins::INITIALIZE_UPDATE | ins::MANAGE_CHANNEL)
}

/// Commands whose MAC is no secure channel's: the one that opens it, and the issuer's scripts.
const fn brings_its_own_mac(target: Target, command: &CApdu) -> bool {
    match target {
        Target::SecurityDomain => command.ins == ins::EXTERNAL_AUTHENTICATE,
        Target::Payment => issuer_script::is_one(command.ins),
        Target::Nobody | Target::Directory | Target::Registry => false,
    }
}

// ISO 7816-4 11.8.1
fn get_response(session: &mut Session, command: &CApdu) -> Answer {
    if command.p1 != 0 || command.p2 != 0 {
        return Err(Sw::INCORRECT_P1_P2);
    }
    command::require_no_data(command)?;
    session.pending.handle_get_response(command.ne.unwrap_or(256)).ok_or(Sw::CONDITIONS_NOT_SATISFIED)
}

/// Holds an answer to what was asked for. Without Le, data waits for GET RESPONSE. Two exceptions (assumed): SELECT's
/// data is not wanted then, and a protected answer goes out at once, as the host agreed to an R-MAC with every answer.
fn limit(session: &mut Session, command: &CApdu, answer: RApdu) -> RApdu {
    match command.ne {
        Some(ne) => session.pending.answer(answer, ne),
        None if command.ins == ins::SELECT => RApdu::sw(answer.sw),
        None if command.cla & CLA_SECURE_MESSAGING != 0 => answer,
        None => session.pending.answer(answer, 0),
    }
}

fn factory_state(profile: &CardProfile) -> CardState {
    CardState { life_cycle: profile.issuer_security_domain.life_cycle.value, sequence_counter: 0 }
}

/// The profile's CPLC with this card's own IC serial number, bytes 13 to 16.
// GPCS 2.3.1 H.6
fn cplc_of(profile: &CardProfile, rng: &mut Rng) -> Vec<u8> {
    let mut cplc = profile.cplc.value.0.clone();
    for (cell, byte) in cplc.iter_mut().skip(12).zip(rng.array::<4>()) {
        *cell = byte;
    }
    cplc
}

fn unknown_keys(rng: &mut Rng) -> StaticKeys {
    let mut key = || AesKey::from(rng.array::<16>());
    StaticKeys { enc: key(), mac: key(), dek: key() }
}
