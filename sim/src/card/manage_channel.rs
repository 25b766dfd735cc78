//! MANAGE CHANNEL: this card has the basic channel only.

use super::command::{require_class, require_no_data};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// MANAGE CHANNEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManageChannel {
    /// Open a supplementary channel.
    Open,
    /// Close a supplementary channel.
    Close,
}

impl ManageChannel {
    /// P1 00 opens, 80 closes.
    // GPCS 2.3.1 11.7.2
    pub fn parse(apdu: &CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x00)?;
        require_no_data(apdu)?;
        match (apdu.p1, apdu.p2) {
            (0x00, 0x00..=0x13) => Ok(Self::Open),
            (0x80, 0x01..=0x13) => Ok(Self::Close),
            _ => Err(Sw::INCORRECT_P1_P2),
        }
    }
}

impl Card {
    // GPCS 2.3.1 table 11-63: 6A81 no channel to open, 6200 channel already closed.
    pub(super) fn handle_manage_channel(&self, command: ManageChannel) -> Answer {
        match command {
            ManageChannel::Open => Err(Sw::FUNCTION_NOT_SUPPORTED),
            ManageChannel::Close => Ok(RApdu::sw(Sw::WARNING_UNCHANGED)),
        }
    }
}
