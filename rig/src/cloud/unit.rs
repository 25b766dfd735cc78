//! Units the token service manager knows, and what it believes to be in each: who owns it, its cards in order, its leftovers.

use std::collections::BTreeSet;
use std::fmt;

use band_sim::wire::hex::Hex;
use serde::{Deserialize, Serialize};

use super::api::{AccountId, JobId, Refusal};
use super::bank::CardKey;
use super::product::Scheme;
use super::scp03_host::{ChannelMode, IsdKeys};

/// A secure element as its maker handed it over: who it is and the keys of its issuer security domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitRecord {
    /// Card production life cycle data, the 42 bytes behind 9F7F.
    pub cplc: Hex,
    /// Keys of the issuer security domain, diversified for this unit.
    pub keys: IsdKeys,
    /// SCP03's "i" parameter: 01 S16 mode, 10 pseudo-random challenge, 20 R-MAC, 40 R-ENCRYPTION.
    // GPCS 2.3.1 Amendment D table 5-1
    pub scp03_i: u8,
}

impl UnitRecord {
    /// The length of challenges and MACs.
    #[must_use]
    pub const fn mode(&self) -> ChannelMode {
        if self.scp03_i & 0x01 == 0 { ChannelMode::S8 } else { ChannelMode::S16 }
    }
}

/// Card production life cycle data: what identifies a secure element.
// GPCS 2.3.1 H.6 has 42 bytes
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cplc([u8; 42]);

impl TryFrom<&[u8]> for Cplc {
    type Error = Refusal;

    fn try_from(bytes: &[u8]) -> Result<Self, Refusal> {
        bytes.try_into().map(Self).map_err(|_| Refusal::Cplc)
    }
}

impl fmt::Debug for Cplc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cplc({})", Hex(self.0.to_vec()))
    }
}

/// What the cloud believes of one unit.
#[derive(Clone, Debug)]
pub(super) struct UnitState {
    pub(super) record: UnitRecord,
    /// The Xiaomi account it is bound to.
    // R6
    pub(super) owner: Option<AccountId>,
    /// Its listed cards, the default one first.
    // R8
    pub(super) order: Vec<CardKey>,
    /// Instances that may be in the secure element and must leave it.
    // R7, R10
    pub(super) leftovers: BTreeSet<Vec<u8>>,
    /// The job that runs; a new one ends it.
    pub(super) job: Option<JobId>,
    next_instance: u16,
}

impl UnitState {
    pub(super) const fn new(record: UnitRecord) -> Self {
        Self { record, owner: None, order: Vec::new(), leftovers: BTreeSet::new(), job: None, next_instance: 1 }
    }

    /// Fails unless the band is bound to this account.
    // R6
    pub(super) fn check_bound_to(&self, account: &AccountId) -> Result<(), Refusal> {
        match &self.owner {
            None => Err(Refusal::BandNotBound),
            Some(owner) if owner == account => Ok(()),
            Some(_) => Err(Refusal::BandOfAnotherAccount),
        }
    }

    /// A fresh name for an instance: the scheme's application identifier and a running number.
    pub(super) fn draw_instance(&mut self, scheme: Scheme, in_use: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            let number = self.next_instance;
            self.next_instance = number.checked_add(1).unwrap_or(1);
            let aid = [&scheme.aid()[..], &number.to_be_bytes()].concat();
            // At most a handful are in use, so a free one comes soon.
            if !self.leftovers.contains(&aid) && !in_use(&aid) {
                return aid;
            }
        }
    }
}
