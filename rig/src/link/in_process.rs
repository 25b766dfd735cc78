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
    /// The ATT MTU, 23 to 517. Not exchanged before 23 (Core 5.3 Vol 3 F 3.2.8), where the real band stays unless asked
    /// (facts/band-ble.md 1.2).
    pub mtu: u16,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            connect: Duration::from_millis(700),
            scan: Duration::from_secs(10),
            supervision: Duration::from_secs(5),
            att_transaction: Duration::from_secs(30),
            mtu: 23,
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
    /// The end of the time in which this request, lost on its way or robbed of its answer, could be answered; it goes to
    /// [`InProcess::end_transaction`].
    TransactionEnds(u64),
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
    /// Requests so far, and the one whose answer has not been sent.
    requests: u64,
    unanswered: Option<Request>,
}

/// A request on its way: ATT has one at a time (Core 5.3 Vol 3 F 3.3.2).
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    sent: Instant,
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
            requests: 0,
            unanswered: None,
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

    /// Whether nothing has come of the link since it was last asked for everything.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.hops.is_empty() && self.seen.is_empty() && !self.faults.has_struck()
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
        self.unanswered = None;
        self.faults.lose();
        self.seen.push_back(Att { op: AttOp::Disconnect, characteristic: None, value: vec![], error: None });
        self.hops.push_back((now, Hop::ToBand(BandInput::Disconnected, None)));
        // What is on its way to the phone arrives first.
        let noticed = (now + notice).max(self.last_arrival[Direction::ToPhone as usize]);
        self.hops.push_back((noticed, Hop::ToPhone(LinkEvent::Disconnected)));
    }

    /// A request's time is over: unless it was answered, the link ends for both sides.
    pub fn end_transaction(&mut self, now: Instant, number: u64) {
        if self.unanswered.is_some_and(|request| request.number == number) {
            self.break_link(now, Duration::ZERO);
        }
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
        self.hops.push_back((now, Hop::ToPhone(LinkEvent::Connected { address, mtu: self.timing.mtu })));
    }

    fn connect(&mut self, now: Instant, reachable: bool) {
        if self.connected {
            return;
        }
        let hop = if reachable {
            (now + self.timing.connect, Hop::ToBand(BandInput::Connected { mtu: self.timing.mtu }, None))
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
        if op != AttOp::WriteCommand {
            self.requests += 1;
            self.unanswered = Some(Request { number: self.requests, sent: now });
        }
        match self.faults.pass(Direction::ToBand, att) {
            Passage::Disconnect => self.break_link(now, Duration::ZERO),
            Passage::Deliver(packets, late) => {
                if packets.is_empty() && op != AttOp::WriteCommand {
                    self.end_unless_answered();
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
        let answers = att.op != AttOp::Notify;
        match self.faults.pass(Direction::ToPhone, att) {
            Passage::Disconnect => self.break_link(now, Duration::ZERO),
            Passage::Deliver(packets, late) => {
                if packets.is_empty() && answers {
                    self.end_unless_answered();
                }
                for packet in packets {
                    if packet.op != AttOp::Notify {
                        self.unanswered = None;
                    }
                    let at = self.arrival(now, Direction::ToPhone, late);
                    let Some(characteristic) = packet.characteristic else { continue };
                    self.hops
                        .push_back((at, Hop::ToPhone(answer(packet.op, characteristic, packet.value, packet.error))));
                }
            }
        }
    }

    /// A request or its answer is lost, or held back: when no answer comes in time, the link ends (Core 5.3 Vol 3 F 3.3.3).
    fn end_unless_answered(&mut self) {
        if let Some(Request { number, sent }) = self.unanswered {
            self.hops.push_back((sent + self.timing.att_transaction, Hop::TransactionEnds(number)));
        }
    }

    fn arrival(&mut self, now: Instant, direction: Direction, late: Duration) -> Instant {
        let last = &mut self.last_arrival[direction as usize];
        *last = (*last).max(now + self.timing.latency + late);
        *last
    }
}

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

#[cfg(test)]
mod tests {
    use band_sim::band::profile::BandProfile;

    use super::super::fault::{Armed, Fault};
    use super::*;

    const NFC: CharacteristicId = CharacteristicId::NFC_CHANNEL;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn profile() -> Profile {
        let text = include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
        crate::yaml::from_str::<BandProfile>(text).expect("the profile is sound").gatt
    }

    /// A link that is up, with a fault on the first packet of a direction.
    fn link(direction: Direction, fault: Fault) -> InProcess {
        let mut link = InProcess::new(Timing::default(), Rng::new(1));
        link.connected(Instant::ZERO, [0; 6]);
        link.faults().arm(vec![Armed { direction, nth: 1, fault }]);
        let _ = hops(&mut link);
        link
    }

    fn hops(link: &mut InProcess) -> Vec<(Instant, Hop)> {
        std::iter::from_fn(|| link.next_hop()).collect()
    }

    fn both_see_the_end(now: Instant) -> [(Instant, Hop); 2] {
        [(now, Hop::ToBand(BandInput::Disconnected, None)), (now, Hop::ToPhone(LinkEvent::Disconnected))]
    }

    fn write(link: &mut InProcess, now: Instant) {
        let command = LinkCommand::Write { characteristic: NFC, value: vec![1], with_response: true };
        link.handle_command(now, command, &profile(), true);
    }

    #[test]
    fn a_lost_request_ends_the_link_for_both_sides_after_30_s() {
        let mut link = link(Direction::ToBand, Fault::Drop);
        write(&mut link, at(1));
        assert_eq!(hops(&mut link), [(at(31), Hop::TransactionEnds(1))]);
        link.end_transaction(at(31), 1);
        assert_eq!(hops(&mut link), both_see_the_end(at(31)));
        assert!(!link.is_connected());
    }

    #[test]
    fn a_lost_answer_ends_the_link_30_s_after_its_request() {
        let mut link = link(Direction::ToPhone, Fault::Drop);
        write(&mut link, at(1));
        let _ = hops(&mut link);
        link.handle_write_reply(at(2), AttOp::Write, NFC, Ok(()));
        assert_eq!(hops(&mut link), [(at(31), Hop::TransactionEnds(1))]);
        link.end_transaction(at(31), 1);
        assert_eq!(hops(&mut link), both_see_the_end(at(31)));
    }

    #[test]
    fn a_request_that_was_held_back_and_answered_in_time_ends_nothing() {
        let mut link = link(Direction::ToBand, Fault::Reorder);
        write(&mut link, at(1));
        link.handle_write_reply(at(2), AttOp::Write, NFC, Ok(()));
        let _ = hops(&mut link);
        link.end_transaction(at(31), 1);
        assert_eq!(hops(&mut link), []);
        assert!(link.is_connected());
    }

    #[test]
    fn a_lost_notification_or_write_command_ends_nothing() {
        let mut notified = link(Direction::ToPhone, Fault::Drop);
        notified.handle_notification(at(1), NFC, vec![1]);
        assert_eq!(hops(&mut notified), []);
        let mut commanded = link(Direction::ToBand, Fault::Drop);
        let command = LinkCommand::Write { characteristic: NFC, value: vec![1], with_response: false };
        commanded.handle_command(at(1), command, &profile(), true);
        assert_eq!(hops(&mut commanded), []);
    }
}
