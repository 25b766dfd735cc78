//! INITIALIZE UPDATE: the first half of opening a secure channel.

use super::command::{require_class, require_p1_p2};
use super::registry::CardState;
use super::scp03::{self, Handshake};
use super::session::{Channel, Interface};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// INITIALIZE UPDATE.
#[derive(Clone, Copy, Debug)]
pub struct InitializeUpdate<'a> {
    key_version: u8,
    host_challenge: &'a [u8],
}

impl<'a> InitializeUpdate<'a> {
    /// P1 key version number, 00 for the default one; P2 key identifier 00.
    // Amendment D v1.2 7.1.1
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        require_p1_p2(apdu, apdu.p1, 0x00)?;
        Ok(Self { key_version: apdu.p1, host_challenge: &apdu.data })
    }
}

const SEQUENCE_COUNTER_MAX: u32 = 0xFF_FFFF;

impl Card {
    /// Any channel that was open ends, even when the command is refused (Amendment D v1.2 5.5).
    pub(super) fn handle_initialize_update(&mut self, interface: Interface, command: InitializeUpdate<'_>) -> Answer {
        self.session_mut(interface).end_channel();
        let domain = &self.profile.issuer_security_domain;
        let (i, key_version) = (domain.scp03_i.value, domain.key_version.value);
        if command.key_version != 0 && command.key_version != key_version {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        if command.host_challenge.len() != i.field_bytes() {
            return Err(Sw::WRONG_LENGTH);
        }
        let mut data = domain.key_diversification_data.value.0.clone();
        data.extend([key_version, 0x03, i.0]);

        let (challenge, counter) = if i.is_pseudo_random() {
            let counter = self.next_sequence_counter()?;
            let aid = &self.profile.issuer_security_domain.aid.value;
            (scp03::card_challenge(&self.keys.enc, counter, aid, i.field_bytes()), Some(counter))
        } else {
            let mut challenge = alloc::vec![0; i.field_bytes()];
            self.rng.fill(&mut challenge);
            (challenge, None)
        };
        let handshake = Handshake::new(&self.keys, i, command.host_challenge, &challenge);
        data.extend_from_slice(&challenge);
        data.extend_from_slice(handshake.card_cryptogram());
        data.extend(counter.into_iter().flatten());
        self.session_mut(interface).channel = Channel::Handshake(handshake);
        Ok(RApdu::ok(data))
    }

    /// Counts up and commits before the challenge made of it leaves, so that no challenge is ever given twice.
    // Amendment D v1.2 6.2.2.1. That it counts challenges, not only opened channels, is assumed.
    fn next_sequence_counter(&mut self) -> Result<[u8; 3], Sw> {
        let card = self.registry.card;
        if card.sequence_counter >= SEQUENCE_COUNTER_MAX {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let card = CardState { sequence_counter: card.sequence_counter + 1, ..card };
        self.registry.commit_card(&mut self.nvm, card)?;
        Ok(self.sequence_counter())
    }

    /// The counter as INITIALIZE UPDATE and GET DATA C1 show it.
    pub(super) fn sequence_counter(&self) -> [u8; 3] {
        let [_, counter @ ..] = self.registry.card.sequence_counter.to_be_bytes();
        counter
    }
}
