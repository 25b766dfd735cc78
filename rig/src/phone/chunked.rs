//! Longer messages on H:0020 and their acknowledgement; the AID command that keeps the band's menu in step.

use band_sim::wire::frame::aid::{AidCommand, CardKind, Operation};
use band_sim::wire::frame::chunked::{Ack, Chunk, Kind, split};
use band_sim::wire::frame::reply::ReplyCode;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use super::app::App;
use super::connection::Await;
use super::task::{Resume, Step, Value, Wake, call, done};
use super::timer::Timer;

/// First bytes of an acknowledgement.
const ACK: [u8; 2] = [0x10, 0x00];

/// One transfer; ends when the band has acknowledged its last chunk.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    kind: Kind,
    payload: Vec<u8>,
    last: Option<u8>,
}

impl Transfer {
    pub(super) const fn new(kind: Kind, payload: Vec<u8>) -> Self {
        Self { kind, payload, last: None }
    }
}

impl Resume for Transfer {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        let Some(last) = self.last else {
            for chunk in split(self.kind, &self.payload, app.link.mtu) {
                self.last = Some(chunk.flags_and_type());
                app.write(CharacteristicId::CHUNKED, Chunk::encode(&chunk));
            }
            return call(Await::new(CharacteristicId::CHUNKED, ACK, Timer::ChunkAck));
        };
        match Ack::decode(&wake.bytes()?) {
            Ok(Ack { flags_and_type, code: ReplyCode::Success, .. }) if flags_and_type == last => done(Value::Done),
            _ => Err(Refusal::BandError),
        }
    }
}

/// Tells the band's menu what has become of a card, after the secure element has changed.
#[derive(Clone, Debug)]
pub(super) struct Announce {
    operation: Operation,
    aid: Vec<u8>,
    sent: bool,
}

impl Announce {
    pub(super) const fn new(operation: Operation, aid: Vec<u8>) -> Self {
        Self { operation, aid, sent: false }
    }
}

impl Resume for Announce {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if std::mem::replace(&mut self.sent, true) {
            wake.value()?;
            return done(Value::Done);
        }
        let kind = match app.config.bank_card_type {
            1 => CardKind::Bus,
            2 => CardKind::Access,
            other => CardKind::Unknown(other),
        };
        let command = AidCommand::Set { operation: self.operation, kind, aid: std::mem::take(&mut self.aid) };
        call(Transfer::new(Kind::Config, command.encode()))
    }
}
