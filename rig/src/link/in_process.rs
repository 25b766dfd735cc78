//! Phone ↔ band as function calls under virtual time: what a Bluetooth link does, without the radio.
//!
//! The link is passive: it turns what one side does into [`Hop`]s, each with the instant at which it arrives, and the station
//! delivers them. Order within a direction is kept, as on a real link, whatever delays a fault adds.

use std::collections::VecDeque;
use std::time::Duration;

use band_sim::band::{Input as BandInput, WriteMode};
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::gatt::{AttError, CharacteristicId, Handle, Profile};

use super::fault::{Direction, FaultyLink, Packet, Passage};
use crate::phone::io::{LinkCommand, LinkEvent};
use crate::report::event::AttOp;

/// How the link behaves when nothing is wrong with it. All of it is `assumed`: the sources give no timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// One way, per packet.
    pub latency: Duration,
    /// From asking for a connection to services resolved.
    pub connect: Duration,
    /// Until a scan gives up.
    pub scan: Duration,
    /// Until a side notices that the other is gone (Core 5.3 Vol 6 B 4.5.2; `f4 01` in 2A04 is 5 s).
    pub supervision: Duration,
    /// Until an unanswered request ends the link (Core 5.3 Vol 3 F 3.3.3).
    pub att_transaction: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            connect: Duration::from_millis(700),
            scan: Duration::from_secs(10),
            supervision: Duration::from_secs(5),
            att_transaction: Duration::from_secs(30),
        }
    }
}

/// Something that arrives somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Hop {
    /// At the band; a request carries the characteristic that its answer belongs to.
    ToBand(BandInput, Option<CharacteristicId>),
    /// At the phone.
    ToPhone(LinkEvent),
}

/// One ATT operation on its way, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Att {
    /// Which operation.
    pub op: AttOp,
    /// On which characteristic; `None` for the link itself.
    pub characteristic: Option<CharacteristicId>,
    /// The value it carries.
    pub value: Vec<u8>,
    /// The error it carries.
    pub error: Option<AttError>,
}

impl Packet for Att {
    fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.value
    }
}

/// The link.
#[derive(Clone, Debug)]
pub struct InProcess {
    timing: Timing,
    faults: FaultyLink<Att>,
    connected: bool,
    last_arrival: [Instant; 2],
    hops: VecDeque<(Instant, Hop)>,
    seen: VecDeque<Att>,
    /// Rises with every connection; a hop of an older one is dropped.
    epoch: u64,
}

impl InProcess {
    /// A link that is not connected.
    #[must_use]
    pub fn new(timing: Timing, rng: Rng) -> Self {
        Self {
            timing,
            faults: FaultyLink::new(rng),
            connected: false,
            last_arrival: [Instant::ZERO; 2],
            hops: VecDeque::new(),
            seen: VecDeque::new(),
            epoch: 0,
        }
    }

    /// The faults in force.
    pub fn faults(&mut self) -> &mut FaultyLink<Att> {
        &mut self.faults
    }

    /// Whether the link is up.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Which connection this is.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the next hop and the instant of its arrival.
    pub fn next_hop(&mut self) -> Option<(Instant, Hop)> {
        self.hops.pop_front()
    }

    /// Takes the next operation that went over the air, for the report.
    pub fn next_seen(&mut self) -> Option<Att> {
        self.seen.pop_front()
    }

    /// The phone asks something of the link. `reachable`: the band is powered, near and free.
    pub fn handle_command(&mut self, now: Instant, command: LinkCommand, profile: &Profile, reachable: bool) {
        match command {
            LinkCommand::Connect => self.connect(now, reachable),
            LinkCommand::Disconnect => self.break_link(now, Duration::ZERO),
            _ if !self.connected => {}
            LinkCommand::Subscribe { characteristic } => {
                self.request(now, AttOp::Subscribe, characteristic, vec![], profile)
            }
            LinkCommand::Read { characteristic } => self.request(now, AttOp::Read, characteristic, vec![], profile),
            LinkCommand::Write { characteristic, value, with_response } => {
                let op = if with_response { AttOp::Write } else { AttOp::WriteCommand };
                self.request(now, op, characteristic, value, profile);
            }
        }
    }

    /// The band notifies.
    pub fn handle_notification(&mut self, now: Instant, characteristic: CharacteristicId, value: Vec<u8>) {
        self.deliver_to_phone(now, Att { op: AttOp::Notify, characteristic: Some(characteristic), value, error: None });
    }

    /// The band answers a read.
    pub fn handle_read_reply(
        &mut self,
        now: Instant,
        characteristic: CharacteristicId,
        reply: Result<Vec<u8>, AttError>,
    ) {
        let (value, error) = match reply {
            Ok(value) => (value, None),
            Err(error) => (vec![], Some(error)),
        };
        self.deliver_to_phone(now, Att { op: AttOp::Read, characteristic: Some(characteristic), value, error });
    }

    /// The band answers a write with response, or a subscription.
    pub fn handle_write_reply(
        &mut self,
        now: Instant,
        op: AttOp,
        characteristic: CharacteristicId,
        reply: Result<(), AttError>,
    ) {
        self.deliver_to_phone(now, Att { op, characteristic: Some(characteristic), value: vec![], error: reply.err() });
    }

    /// The link breaks now; the phone notices after `notice`.
    pub fn break_link(&mut self, now: Instant, notice: Duration) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.faults.lose();
        self.seen.push_back(Att { op: AttOp::Disconnect, characteristic: None, value: vec![], error: None });
        self.hops.push_back((now, Hop::ToBand(BandInput::Disconnected, None)));
        // What is on its way to the phone arrives first.
        let noticed = (now + notice).max(self.last_arrival[Direction::ToPhone as usize]);
        self.hops.push_back((noticed, Hop::ToPhone(LinkEvent::Disconnected)));
    }

    /// How long the other side takes to notice a band that is gone.
    #[must_use]
    pub const fn supervision(&self) -> Duration {
        self.timing.supervision
    }

    /// The link's connection is up at both ends: the station calls it when the band has taken the connection.
    pub fn connected(&mut self, now: Instant, address: [u8; 6]) {
        self.connected = true;
        self.epoch += 1;
        self.last_arrival = [now; 2];
        self.seen.push_back(Att { op: AttOp::Connect, characteristic: None, value: vec![], error: None });
        self.hops.push_back((now, Hop::ToPhone(LinkEvent::Connected { address, mtu: DEFAULT_MTU })));
    }

    fn connect(&mut self, now: Instant, reachable: bool) {
        if self.connected {
            return;
        }
        let hop = if reachable {
            (now + self.timing.connect, Hop::ToBand(BandInput::Connected { mtu: DEFAULT_MTU }, None))
        } else {
            (now + self.timing.scan, Hop::ToPhone(LinkEvent::ConnectFailed))
        };
        self.hops.push_back(hop);
    }

    fn request(
        &mut self,
        now: Instant,
        op: AttOp,
        characteristic: CharacteristicId,
        value: Vec<u8>,
        profile: &Profile,
    ) {
        let att = Att { op, characteristic: Some(characteristic), value, error: None };
        let Some(handle) = profile.value_handle(&characteristic) else {
            let error = AttError::InvalidHandle;
            return self.hops.push_back((now, Hop::ToPhone(answer(op, characteristic, vec![], Some(error)))));
        };
        self.seen.push_back(att.clone());
        match self.faults.pass(Direction::ToBand, att) {
            Passage::Disconnect => self.break_link(now, Duration::ZERO),
            Passage::Deliver(packets, late) => {
                if packets.is_empty() && op != AttOp::WriteCommand {
                    // A lost request is never answered, and that ends the link.
                    let at = now + self.timing.att_transaction;
                    self.hops.push_back((at, Hop::ToPhone(LinkEvent::Disconnected)));
                }
                for packet in packets {
                    let at = self.arrival(now, Direction::ToBand, late);
                    let handle = packet.characteristic.and_then(|id| profile.value_handle(&id)).unwrap_or(handle);
                    self.hops.push_back((at, Hop::ToBand(band_input(&packet, handle), packet.characteristic)));
                }
            }
        }
    }

    fn deliver_to_phone(&mut self, now: Instant, att: Att) {
        if !self.connected {
            return;
        }
        // The answer to a write says nothing unless it is an error.
        if att.error.is_some() || matches!(att.op, AttOp::Notify | AttOp::Read) {
            self.seen.push_back(att.clone());
        }
        match self.faults.pass(Direction::ToPhone, att) {
            Passage::Disconnect => self.break_link(now, Duration::ZERO),
            Passage::Deliver(packets, late) => {
                for packet in packets {
                    let at = self.arrival(now, Direction::ToPhone, late);
                    let Some(characteristic) = packet.characteristic else { continue };
                    self.hops
                        .push_back((at, Hop::ToPhone(answer(packet.op, characteristic, packet.value, packet.error))));
                }
            }
        }
    }

    fn arrival(&mut self, now: Instant, direction: Direction, late: Duration) -> Instant {
        let last = &mut self.last_arrival[direction as usize];
        *last = (*last).max(now + self.timing.latency + late);
        *last
    }
}

/// MTU before any exchange (Core 5.3 Vol 3 F 3.2.8); the real band stays there unless asked (facts/band-ble.md 1.2).
const DEFAULT_MTU: u16 = 23;

fn band_input(att: &Att, handle: Handle) -> BandInput {
    match att.op {
        AttOp::Subscribe => BandInput::Subscribe { handle, on: true },
        AttOp::Read => BandInput::Read { handle },
        AttOp::Write => BandInput::Write { handle, value: att.value.clone(), mode: WriteMode::Request },
        _ => BandInput::Write { handle, value: att.value.clone(), mode: WriteMode::Command },
    }
}

fn answer(op: AttOp, characteristic: CharacteristicId, value: Vec<u8>, error: Option<AttError>) -> LinkEvent {
    match op {
        AttOp::Subscribe => LinkEvent::Subscribed { characteristic, result: error.map_or(Ok(()), Err) },
        AttOp::Read => LinkEvent::ReadDone { characteristic, result: error.map_or(Ok(value), Err) },
        AttOp::Notify => LinkEvent::Notified { characteristic, value },
        _ => LinkEvent::WriteDone { characteristic, result: error.map_or(Ok(()), Err) },
    }
}
