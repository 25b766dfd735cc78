//! Personalisation rounds: STORE DATA blocks are collected, and take effect together after the last one.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::Card;
use super::payment::{Payment, dgi};
use super::registry::{self, Activation, Entry};
use super::scp03::AesKey;
use super::store_data::StoreData;
use crate::wire::sw::Sw;
use crate::wire::{tag, tlv};

/// A round between INSTALL [for personalization] and the last STORE DATA. Its `Debug` shows no content.
#[derive(Clone)]
pub struct Round {
    slot: u8,
    next_block: u8,
    bytes_left: usize,
    /// A data grouping that goes on in the next block.
    unfinished: Zeroizing<Vec<u8>>,
    unfinished_encrypted: bool,
    dgis: BTreeMap<u16, Zeroizing<Vec<u8>>>,
}

impl Round {
    /// A round for the instance of this slot.
    #[must_use]
    pub fn new(slot: u8, bytes_max: u16) -> Self {
        Self {
            slot,
            next_block: 0,
            bytes_left: usize::from(bytes_max),
            unfinished: Zeroizing::default(),
            unfinished_encrypted: false,
            dgis: BTreeMap::new(),
        }
    }

    /// The instance it is for.
    #[must_use]
    pub const fn slot(&self) -> u8 {
        self.slot
    }

    /// Takes the next block.
    pub fn handle_block(&mut self, key_encryption_key: &AesKey, block: StoreData<'_>) -> Result<(), Sw> {
        if block.block != self.next_block {
            return Err(Sw::INCORRECT_P1_P2);
        }
        self.next_block = self.next_block.wrapping_add(1);
        self.bytes_left = self.bytes_left.checked_sub(block.data.len()).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        if !self.unfinished.is_empty() && self.unfinished_encrypted != block.encrypted {
            return Err(Sw::WRONG_DATA);
        }
        self.unfinished.extend_from_slice(block.data);
        self.unfinished_encrypted = block.encrypted;
        while let Some((dgi, content, len)) = whole_data_grouping(&self.unfinished) {
            let content = accept(dgi, content, block.encrypted, key_encryption_key)?;
            self.dgis.insert(dgi, content);
            self.unfinished.drain(..len);
        }
        if block.last && !self.unfinished.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        Ok(())
    }
}

impl fmt::Debug for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data_groupings = self.dgis.keys().collect::<Vec<_>>();
        f.debug_struct("Round").field("slot", &self.slot).field("dgis", &data_groupings).finish_non_exhaustive()
    }
}

impl Card {
    /// Checks the round together with what the instance has already, and commits it.
    pub(super) fn finish_personalisation(&mut self, round: Round) -> Result<(), Sw> {
        let applet = self.registry.applet(round.slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        // New keys come with their check values.
        if round.dgis.contains_key(&dgi::DES_KEYS) != round.dgis.contains_key(&dgi::KEY_CHECK_VALUES) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let mut effective = registry::dgis(&self.nvm, round.slot).collect::<BTreeMap<u16, &[u8]>>();
        effective.extend(round.dgis.iter().map(|(dgi, content)| (*dgi, content.as_slice())));
        let payment = Payment::decode(&effective, &applet.entry.aid, applet.entry.application)?;
        let activation =
            match (round.dgis.get(&dgi::ACTIVATABLE).map(|content| content.as_slice()), applet.entry.activation) {
                (None, current) => current,
                (Some([0x01]), Activation::NonActivatable) => Activation::Deactivated,
                (Some([0x01]), current) => current,
                (Some([0x00]), _) => Activation::NonActivatable,
                (Some(_), _) => return Err(Sw::WRONG_DATA),
            };
        let blocked = match round.dgis.get(&dgi::BLOCKED).map(|content| content.as_slice()) {
            None => applet.entry.blocked,
            Some([0x00]) => false,
            Some([0x01]) => true,
            Some(_) => return Err(Sw::WRONG_DATA),
        };
        let entry = Entry { activation, blocked, ..applet.entry };
        let dgis = round.dgis.iter().map(|(dgi, content)| (*dgi, content.as_slice())).collect::<Vec<_>>();
        let pin_tries = round.dgis.get(&dgi::PIN_TRIES).and_then(|tries| tries.first().copied());
        let payment = Arc::new(payment);
        Ok(self.registry.commit_personalisation(&mut self.nvm, round.slot, &dgis, entry, payment, pin_tries)?)
    }
}

/// The first data grouping, if it is complete: identifier, content, and how many bytes it takes in all.
// EMV CPS 1.1 2.2: DGI (2), length (1, or FF and 2), content
fn whole_data_grouping(bytes: &[u8]) -> Option<(u16, &[u8], usize)> {
    let (&dgi, rest) = bytes.split_first_chunk::<2>()?;
    let (len, content) = match rest.split_first()? {
        (0xFF, rest) => {
            let (&len, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(len)), rest)
        }
        (len, rest) => (usize::from(*len), rest),
    };
    let (content, after) = content.split_at_checked(len)?;
    Some((u16::from_be_bytes(dgi), content, bytes.len() - after.len()))
}

/// Decrypts and checks one data grouping by itself.
fn accept(dgi: u16, content: &[u8], encrypted: bool, key: &AesKey) -> Result<Zeroizing<Vec<u8>>, Sw> {
    let secret = matches!(dgi, dgi::DES_KEYS | dgi::PIN | dgi::RSA_CRT_FIRST..=dgi::RSA_CRT_LAST);
    if secret && !encrypted {
        return Err(Sw::WRONG_DATA);
    }
    let content = if encrypted {
        // EMV CPS 1.1 5.4.3, here with AES: CBC under the static key encryption key, the initial value is zero.
        key.decrypt_cbc([0; 16], content).map(Zeroizing::new).ok_or(Sw::WRONG_DATA)?
    } else {
        Zeroizing::new(content.to_vec())
    };
    if dgi::is_record(dgi) {
        // The template must be well-formed and fit into one answer.
        let template = tlv::walk(&content).next();
        let whole = matches!(&template, Some(Ok(object)) if object.tag == tag::TAG_70_RECORD_TEMPLATE)
            && tlv::walk_deep(&content).all(|object| object.is_ok())
            && tlv::walk(&content).count() == 1
            && content.len() <= 256;
        return if whole { Ok(content) } else { Err(Sw::WRONG_DATA) };
    }
    match dgi {
        dgi::FCI
        | dgi::FCI_CONTACTLESS
        | dgi::PROCESSING_OPTIONS
        | dgi::PROCESSING_OPTIONS_CONTACTLESS
        | dgi::PROCESSING_OPTIONS_AUTHENTICATED
        | dgi::KEY_CHECK_VALUES
        | dgi::PIN_TRIES
        | dgi::RISK
        | dgi::BLOCKED
        | dgi::ACTIVATABLE => Ok(content),
        _ if secret => Ok(content),
        // EMV CPS 1.1 table 8: an identifier the application does not know.
        _ => Err(Sw::REFERENCED_DATA_NOT_FOUND),
    }
}
