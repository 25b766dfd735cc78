//! STORE DATA: blocks of data groupings for the instance that INSTALL [for personalization] named.

use super::command::require_class;
use super::session::Interface;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// STORE DATA.
#[derive(Clone, Copy, Debug)]
pub struct StoreData<'a> {
    /// The last block of the round.
    pub last: bool,
    /// The data groupings that begin in this block are encrypted under the key encryption key.
    pub encrypted: bool,
    /// Counts from 00.
    pub block: u8,
    /// Whole data groupings, or a piece of one.
    pub data: &'a [u8],
}

impl<'a> StoreData<'a> {
    /// P1 b8 last block, b7-b6 00 clear or 11 encrypted, b5-b4 01 DGI format; P2 block number.
    // GPCS 2.3.1 table 11-82
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        let encrypted = match apdu.p1 & 0x7F {
            0x08 => false,
            0x68 => true,
            _ => return Err(Sw::INCORRECT_P1_P2),
        };
        if apdu.data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        Ok(Self { last: apdu.p1 & 0x80 != 0, encrypted, block: apdu.p2, data: &apdu.data })
    }
}

impl Card {
    /// A refused block ends the round; nothing of it has taken effect (assumed: the round cannot go on after an error).
    pub(super) fn handle_store_data(&mut self, interface: Interface, command: StoreData<'_>) -> Answer {
        let mut round = self.session_mut(interface).round.take().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        round.handle_block(&self.keys.dek, command)?;
        if command.last {
            self.finish_personalisation(round)?;
        } else {
            self.session_mut(interface).round = Some(round);
        }
        Ok(RApdu::sw(Sw::OK))
    }
}
