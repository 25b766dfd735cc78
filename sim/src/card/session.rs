//! What an interface remembers between two commands and loses with the field, the channel or power.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::crypto::Block;
use super::personalisation::Round;
use super::scp03::{Handshake, SecureChannel};
use crate::wire::chain::{CommandChain, Pending};

/// The most data a chain of commands may bring.
pub const CHAIN_BYTES_MAX: usize = 4096;

/// The way a command reaches the card; each has its own selection, secure channel and chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interface {
    /// From the band's own processor: the Bluetooth NFC channel.
    Wired,
    /// From a reader in whose field the band is.
    Contactless,
    /// From a reader with contacts. No band has any; the same applications behind a contact reader let tools that know
    /// only contact EMV judge them.
    Contact,
}

/// What is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selected {
    /// Nothing yet.
    #[default]
    Nothing,
    /// The issuer security domain.
    SecurityDomain,
    /// The contactless registry service.
    Registry,
    /// The proximity payment system environment.
    Ppse,
    /// The payment system environment of the contact interface: a directory.
    Pse,
    /// The application instance of this slot, and how far its transaction is.
    Applet(u8, Phase),
}

/// How far a transaction is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// GET PROCESSING OPTIONS is expected.
    #[default]
    Selected,
    /// GENERATE AC is expected; these were the PDOL's values.
    Initiated(Vec<u8>),
    /// Over contacts: an ARQC is out, and the issuer's answer is expected.
    Online(Box<Online>),
    /// The last cryptogram is out. For Visa in the field with the card authentication related data (9F69) that its records
    /// then have.
    Concluded(Option<[u8; 7]>),
}

/// A contact transaction whose issuer is being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Online {
    /// What the terminal sent with GET PROCESSING OPTIONS.
    pub pdol_values: Vec<u8>,
    /// What it sent with the first GENERATE AC.
    pub cdol1_values: Vec<u8>,
    /// What the issuer answers.
    pub arqc: Block,
    /// Whether its answer came.
    pub issuer: IssuerAuthentication,
}

/// Whether the issuer has proved itself to the card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerAuthentication {
    /// Not asked for, or nothing came.
    #[default]
    NotPerformed,
    /// Its cryptogram was right.
    Passed,
    /// It was wrong.
    Failed,
}

/// How VERIFY went in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PinVerification {
    /// No PIN came.
    #[default]
    NotPerformed,
    /// The last one was right.
    Passed,
    /// The last one was wrong.
    Failed,
}

/// Where the secure channel stands.
#[derive(Clone, Debug, Default)]
pub enum Channel {
    /// There is none.
    #[default]
    Closed,
    /// INITIALIZE UPDATE was answered.
    Handshake(Handshake),
    /// The host is authenticated.
    Open(SecureChannel),
}

/// A GET STATUS answer that did not fit: which one, and how many entries are out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// P1 of the first command.
    pub scope: u8,
    /// The AID prefix asked for.
    pub prefix: Vec<u8>,
    /// Entries that were answered.
    pub answered: usize,
}

/// The volatile state of one interface.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// What commands go to.
    pub selected: Selected,
    /// The secure channel.
    pub channel: Channel,
    /// Parts of a command so far.
    pub chain: CommandChain<CHAIN_BYTES_MAX>,
    /// Whether `chain` has parts.
    pub chaining: bool,
    /// Answer bytes that wait for GET RESPONSE.
    pub pending: Pending,
    /// The personalisation round that is under way.
    pub round: Option<Round>,
    /// Entries of GET STATUS that are still to come.
    pub cursor: Option<Cursor>,
    /// Over contacts: how VERIFY went.
    pub pin: PinVerification,
    /// Over contacts: what the MAC of the next issuer script is bound to.
    pub script_cryptogram: Option<Block>,
    /// What the last cryptogram of this session covers; empty before one.
    pub cryptogram_input: Vec<u8>,
}

impl Session {
    /// Ends the secure channel and what depends on it.
    pub fn end_channel(&mut self) {
        self.channel = Channel::Closed;
        self.round = None;
        self.cursor = None;
    }

    /// A newly selected application starts from scratch.
    pub fn select(&mut self, selected: Selected) {
        self.end_channel();
        self.pin = PinVerification::NotPerformed;
        self.script_cryptogram = None;
        self.selected = selected;
    }

    /// Whether a host has proved that it knows the keys.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        matches!(self.channel, Channel::Open(_))
    }
}
