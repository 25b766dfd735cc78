//! Faults on a link, each at an exact point, wrapped around any link.
//!
//! A link hands every packet to [`FaultyLink::pass`] and does what it is told. Packets are counted per direction from the moment the
//! faults were armed, so "the third packet to the band" is the same packet on every run, and [`FaultyLink::seen`] of a run without
//! faults says at how many points one can strike.

use std::time::Duration;

use band_sim::rng::Rng;
use serde::{Deserialize, Serialize};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Phone → band.
    ToBand,
    /// Band → phone.
    ToPhone,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one of its direction; lost when none follows.
    Reorder,
    /// It arrives late, and what follows it does too.
    Delay(Duration),
    /// One bit of it, chosen by the seed, arrives flipped.
    Corrupt,
    /// The link breaks instead of carrying it.
    Disconnect,
}

/// A fault and the packet it strikes: the `nth` of its direction, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Which way.
    pub direction: Direction,
    /// Which packet, from 1.
    pub nth: u64,
    /// What happens to it.
    pub fault: Fault,
}

/// Packets with bytes that can be flipped.
pub trait Packet: Clone {
    /// The bytes that travel.
    fn bytes_mut(&mut self) -> &mut Vec<u8>;
}

/// What to do with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage<P> {
    /// Deliver these, in order, each this much later than usual. Empty: the packet is lost or held.
    Deliver(Vec<P>, Duration),
    /// Break the link.
    Disconnect,
}

/// The faults of one link.
#[derive(Clone, Debug)]
pub struct FaultyLink<P> {
    rng: Rng,
    armed: Vec<Armed>,
    seen: [u64; 2],
    held: [Option<P>; 2],
    struck: Vec<Armed>,
}

impl<P: Packet> FaultyLink<P> {
    /// A link without faults.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self { rng, armed: Vec::new(), seen: [0; 2], held: [None, None], struck: Vec::new() }
    }

    /// Counts from zero again, with these faults and no others.
    pub fn arm(&mut self, faults: Vec<Armed>) {
        self.armed = faults;
        self.seen = [0; 2];
        self.held = [None, None];
        self.struck.clear();
    }

    /// Packets of a direction since the faults were armed.
    #[must_use]
    pub fn seen(&self, direction: Direction) -> u64 {
        self.seen[direction as usize]
    }

    /// Whether a fault has struck that nobody has taken.
    #[must_use]
    pub const fn has_struck(&self) -> bool {
        !self.struck.is_empty()
    }

    /// Takes the faults that have struck since the last call.
    pub fn take_struck(&mut self) -> Vec<Armed> {
        std::mem::take(&mut self.struck)
    }

    /// The link broke: what was held is lost.
    pub fn lose(&mut self) {
        self.held = [None, None];
    }

    /// Decides what becomes of a packet.
    pub fn pass(&mut self, direction: Direction, mut packet: P) -> Passage<P> {
        let lane = direction as usize;
        self.seen[lane] += 1;
        let nth = self.seen[lane];
        let held = self.held[lane].take();
        let Some(at) = self.armed.iter().position(|armed| armed.direction == direction && armed.nth == nth) else {
            return Passage::Deliver([Some(packet), held].into_iter().flatten().collect(), Duration::ZERO);
        };
        let armed = self.armed.remove(at);
        self.struck.push(armed);
        let mut late = Duration::ZERO;
        let mut delivered = match armed.fault {
            Fault::Drop => vec![],
            Fault::Duplicate => vec![packet.clone(), packet],
            Fault::Reorder => {
                self.held[lane] = Some(packet);
                vec![]
            }
            Fault::Delay(by) => {
                late = by;
                vec![packet]
            }
            Fault::Corrupt => {
                self.flip_one_bit(packet.bytes_mut());
                vec![packet]
            }
            Fault::Disconnect => return Passage::Disconnect,
        };
        delivered.extend(held);
        Passage::Deliver(delivered, late)
    }

    fn flip_one_bit(&mut self, bytes: &mut [u8]) {
        let bit = self.rng.below(bytes.len() as u64 * 8) as usize;
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Packet for Vec<u8> {
        fn bytes_mut(&mut self) -> &mut Vec<u8> {
            self
        }
    }

    fn carried(faults: &[(u64, Fault)], packets: u8) -> Vec<Vec<u8>> {
        let mut link = FaultyLink::new(Rng::new(1));
        link.arm(faults.iter().map(|&(nth, fault)| Armed { direction: Direction::ToBand, nth, fault }).collect());
        let mut carried = vec![];
        for byte in 1..=packets {
            match link.pass(Direction::ToBand, vec![byte]) {
                Passage::Deliver(packets, _) => carried.extend(packets),
                Passage::Disconnect => break,
            }
        }
        carried
    }

    #[test]
    fn each_fault_strikes_its_packet_and_no_other() {
        assert_eq!(carried(&[], 3), [[1], [2], [3]]);
        assert_eq!(carried(&[(2, Fault::Drop)], 3), [[1], [3]]);
        assert_eq!(carried(&[(2, Fault::Duplicate)], 3), [[1], [2], [2], [3]]);
        assert_eq!(carried(&[(1, Fault::Reorder)], 3), [[2], [1], [3]]);
        assert_eq!(carried(&[(3, Fault::Reorder)], 3), [[1], [2]]);
        assert_eq!(carried(&[(2, Fault::Disconnect)], 3), [[1]]);
    }

    #[test]
    fn corruption_flips_exactly_one_bit() {
        let got = carried(&[(1, Fault::Corrupt)], 1);
        assert_eq!((got[0][0] ^ 1).count_ones(), 1);
    }

    #[test]
    fn directions_are_counted_apart() {
        let mut link = FaultyLink::new(Rng::new(1));
        link.arm(vec![Armed { direction: Direction::ToPhone, nth: 1, fault: Fault::Drop }]);
        assert_eq!(link.pass(Direction::ToBand, vec![1]), Passage::Deliver(vec![vec![1]], Duration::ZERO));
        assert_eq!(link.pass(Direction::ToPhone, vec![2]), Passage::Deliver(vec![], Duration::ZERO));
        assert_eq!((link.seen(Direction::ToBand), link.seen(Direction::ToPhone)), (1, 1));
    }

    #[test]
    fn an_empty_packet_can_be_corrupted() {
        let mut link = FaultyLink::new(Rng::new(1));
        link.arm(vec![Armed { direction: Direction::ToBand, nth: 1, fault: Fault::Corrupt }]);
        assert_eq!(link.pass(Direction::ToBand, vec![]), Passage::Deliver(vec![vec![]], Duration::ZERO));
    }
}
