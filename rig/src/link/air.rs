//! The air between a band and a reader: how long each way of an exchange takes, and which byte is on its way when.
//!
//! ISO/IEC 14443-3 type A and 14443-4, as payment readers use it (EMV Contactless Book D): no CID, no NAD, frames of header,
//! data and checksum, long APDUs chained block by block, waiting time extensions while the card computes. Everything is
//! counted in periods of the 13.56 MHz carrier, so nothing is lost to rounding before the end.

use std::time::Duration;

use band_sim::band::air::{AirProfile, BitRate, Computing, FrameWaitingIndex};
use band_sim::wire::{tag, tlv};

/// Nanoseconds to carrier periods, in lowest terms: 1 000 000 000 to the carrier's 13 560 000 Hz.
const NANOS: u64 = 25_000;
const PERIODS: u64 = 339;
/// The longest frame a payment reader takes (FSDI 8, EMV Contactless Book D 5.7.1).
const READER_FRAME_BYTES: usize = 256;
/// Header and checksum around the data of a block (ISO/IEC 14443-4 7.1).
const BLOCK_OVERHEAD: usize = 3;
/// An acknowledgement between two chained blocks: header and checksum.
const ACKNOWLEDGEMENT_BYTES: usize = 3;
/// A request for more time, and its answer: header, multiplier, checksum.
const EXTENSION_BYTES: usize = 4;
/// The card answers a frame no earlier: 1172 carrier periods (ISO/IEC 14443-3 6.2.1.1, last bit 0).
const CARD_DELAY: u64 = 1172;
/// The reader sends no earlier after a frame of the card: 6780 carrier periods, 0.5 ms (EMV Contactless Book D 4.8.2).
const READER_DELAY: u64 = 6780;
/// The largest multiplier of the waiting time (ISO/IEC 14443-4 7.3).
const MAX_MULTIPLIER: u64 = 59;
/// How often a reader asks again before it gives a card up (EMV Contactless Book D 10.3.5; two after the first time).
const TRIES: u64 = 3;
/// Frames of the activation, reader and card in turn: WUPA and ATQA, anticollision and UID, SELECT and SAK, RATS and ATS.
const ACTIVATION_FRAMES: [usize; 8] = [1, 2, 2, 5, 9, 3, 4, 10];

/// The contactless interface between one band and a payment reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Air {
    to_band: BitRate,
    to_reader: BitRate,
    card_frame_bytes: usize,
    /// Frame waiting time, carrier periods.
    waiting: u64,
    computing: Computing,
}

/// One way of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// From the end of what came before to the end of its last frame.
    pub time: Duration,
    /// Bytes on the air, headers, checksums and acknowledgements too.
    pub bytes: u64,
}

/// The time between a command and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The card's computing, and what asking for more time adds to it.
    pub time: Duration,
    /// How often the card asked for more time (WTX).
    pub extensions: u64,
    /// Bytes that this took on the air.
    pub bytes: u64,
}

/// Who sends the data of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Reader,
    Card,
}

impl Air {
    /// The air in front of this band.
    #[must_use]
    pub fn new(profile: &AirProfile) -> Self {
        Self {
            to_band: profile.bit_rate_to_band.value,
            to_reader: profile.bit_rate_to_reader.value,
            card_frame_bytes: profile.frame_size_index.value.bytes(),
            waiting: profile.frame_waiting_index.value.carrier_periods(),
            computing: profile.computing.clone(),
        }
    }

    /// From the first request to the card's answer to select, by when commands may be sent. Polling for other technologies
    /// is the reader's own time and not in it.
    #[must_use]
    pub fn activation(&self) -> Duration {
        let frames = ACTIVATION_FRAMES.iter().enumerate();
        // All of it at 106 kbit/s (ISO/IEC 14443-3 6.1).
        let frame = |(at, bytes): (usize, &usize)| {
            frame(*bytes, BitRate::Kbit106) + if at % 2 == 0 { READER_DELAY } else { CARD_DELAY }
        };
        duration(frames.map(frame).sum())
    }

    /// A command of so many bytes on its way to the band.
    #[must_use]
    pub fn command(&self, bytes: usize) -> Leg {
        self.leg(Sender::Reader, bytes, None)
    }

    /// An answer of so many bytes on its way to the reader.
    #[must_use]
    pub fn answer(&self, bytes: usize) -> Leg {
        self.leg(Sender::Card, bytes, None)
    }

    /// When the `nth` byte on the air, from 1, of such a command has gone; the end of the command when it has fewer.
    #[must_use]
    pub fn byte_of_command(&self, bytes: usize, nth: u64) -> Duration {
        self.leg(Sender::Reader, bytes, Some(nth)).time
    }

    /// When the `nth` byte on the air, from 1, of such an answer has gone; the end of the answer when it has fewer.
    #[must_use]
    pub fn byte_of_answer(&self, bytes: usize, nth: u64) -> Duration {
        self.leg(Sender::Card, bytes, Some(nth)).time
    }

    /// How long the card computes for this command, if this is its answer.
    #[must_use]
    pub fn computing(&self, command: &[u8], answer: &[u8]) -> Duration {
        let times = &self.computing;
        let own = match command.get(1) {
            Some(0xA4) => &times.select,
            Some(0xA8) => &times.get_processing_options,
            Some(0xB2) => &times.read_record,
            Some(0xAE) => &times.generate_ac,
            _ => &times.other,
        };
        // Nothing is signed to be selected or read.
        let may_sign = !matches!(command.get(1), Some(0xA4 | 0xB2));
        let data = answer.split_last_chunk::<2>().map_or(&[][..], |(data, _)| data);
        let signs = may_sign && tlv::find_deep(data, tag::TAG_9F4B_SDAD).is_some();
        own.value.0 + if signs { times.signature.value.0 } else { Duration::ZERO }
    }

    /// How long the reader waits for a card that computes so long, and how often the card asks it to.
    #[must_use]
    pub fn waiting(&self, computing: Duration) -> Waiting {
        let needed = u64::try_from(computing.as_nanos()).unwrap_or(u64::MAX).saturating_mul(PERIODS) / NANOS;
        let longest = (self.waiting * MAX_MULTIPLIER).min(FrameWaitingIndex::MAX.carrier_periods()).max(1);
        let extensions = needed.saturating_sub(self.waiting).div_ceil(longest);
        let asking = frame(EXTENSION_BYTES, self.to_reader) + CARD_DELAY;
        let granting = frame(EXTENSION_BYTES, self.to_band) + READER_DELAY;
        Waiting {
            time: computing.saturating_add(duration(extensions.saturating_mul(asking + granting))),
            extensions,
            bytes: extensions.saturating_mul(2 * EXTENSION_BYTES as u64),
        }
    }

    /// How long a reader takes to give up a band that is gone.
    #[must_use]
    pub fn notice(&self) -> Duration {
        duration(self.waiting * TRIES)
    }

    /// The blocks of one direction, with the acknowledgements between them, as far as the `until`-th byte.
    fn leg(&self, sender: Sender, bytes: usize, until: Option<u64>) -> Leg {
        let (frame_bytes, rate, delay, other_rate, other_delay) = match sender {
            Sender::Reader => (self.card_frame_bytes, self.to_band, READER_DELAY, self.to_reader, CARD_DELAY),
            Sender::Card => (READER_FRAME_BYTES, self.to_reader, CARD_DELAY, self.to_band, READER_DELAY),
        };
        let data = frame_bytes - BLOCK_OVERHEAD;
        let blocks = bytes.div_ceil(data).max(1);
        let (mut periods, mut gone) = (0, 0);
        for block in 0..blocks {
            let of_block = bytes.saturating_sub(block * data).min(data) + BLOCK_OVERHEAD;
            let acknowledged = (block + 1 < blocks).then_some((ACKNOWLEDGEMENT_BYTES, other_rate, other_delay));
            for (count, rate, delay) in [Some((of_block, rate, delay)), acknowledged].into_iter().flatten() {
                periods += delay;
                if let Some(nth) = until.filter(|nth| *nth <= gone + count as u64) {
                    let within = usize::try_from(nth.saturating_sub(gone)).unwrap_or(count);
                    return Leg { time: duration(periods + frame(within, rate)), bytes: nth };
                }
                periods += frame(count, rate);
                gone += count as u64;
            }
        }
        Leg { time: duration(periods), bytes: gone }
    }
}

/// A standard frame: start, eight bits and their parity for each byte, end (ISO/IEC 14443-3 6.2.3.2).
const fn frame(bytes: usize, rate: BitRate) -> u64 {
    (2 + 9 * bytes as u64) * rate.carrier_periods_per_bit()
}

fn duration(periods: u64) -> Duration {
    Duration::from_nanos(periods.saturating_mul(NANOS) / PERIODS)
}

#[cfg(test)]
mod tests {
    use band_sim::band::period::Period;
    use band_sim::wire::marked::Marked;
    use proptest::prelude::*;

    use super::*;

    fn air(rate: BitRate, frame_size_index: u8, frame_waiting_index: u8) -> Air {
        let time = |millis| Marked::assumed(Period(Duration::from_millis(millis)));
        Air::new(&AirProfile {
            bit_rate_to_band: Marked::assumed(rate),
            bit_rate_to_reader: Marked::assumed(rate),
            frame_size_index: Marked::assumed(frame_size_index.try_into().unwrap()),
            frame_waiting_index: Marked::assumed(frame_waiting_index.try_into().unwrap()),
            computing: Computing {
                select: time(8),
                get_processing_options: time(25),
                read_record: time(5),
                generate_ac: time(40),
                signature: time(70),
                other: time(10),
            },
        })
    }

    #[test]
    fn a_byte_takes_nine_bits_and_a_frame_two_more() {
        // 20 bytes of SELECT PPSE and 3 around them: 209 bits of 128 carrier periods, 0.5 ms after the frame before.
        let leg = air(BitRate::Kbit106, 8, 7).command(20);
        assert_eq!(leg, Leg { time: duration(6780 + 209 * 128), bytes: 23 });
        assert_eq!(leg.time.as_micros(), 2472);
    }

    #[test]
    fn eight_times_the_rate_is_an_eighth_of_the_time_on_the_air() {
        let time = |rate| air(rate, 8, 7).answer(200).time - duration(CARD_DELAY);
        assert_eq!(time(BitRate::Kbit106).as_micros(), (8 * time(BitRate::Kbit848)).as_micros());
    }

    #[test]
    fn what_does_not_fit_one_frame_is_chained_and_acknowledged() {
        let air = air(BitRate::Kbit106, 2, 7);
        // 32-byte frames carry 29 bytes each.
        assert_eq!(air.command(29).bytes, 32);
        assert_eq!(air.command(30).bytes, 32 + 3 + 4);
        assert_eq!(air.command(58).bytes, 32 + 3 + 32);
        // The reader's frames do not depend on the card's.
        assert_eq!((air.answer(253).bytes, air.answer(254).bytes), (256, 256 + 3 + 4));
        let (one, two) = (air.command(29).time, air.command(58).time);
        assert_eq!((two - one - one).as_micros(), duration(frame(3, BitRate::Kbit106) + CARD_DELAY).as_micros());
    }

    #[test]
    fn a_card_that_computes_longer_than_the_frame_waiting_time_asks_for_more() {
        let air = air(BitRate::Kbit106, 8, 4);
        // 4.8 ms
        assert_eq!(
            air.waiting(Duration::from_millis(4)),
            Waiting { time: Duration::from_millis(4), ..Waiting::default() }
        );
        let waiting = air.waiting(Duration::from_millis(40));
        assert_eq!((waiting.extensions, waiting.bytes), (1, 8));
        assert!(waiting.time > Duration::from_millis(40) && waiting.time < Duration::from_millis(43));
        // One request extends to 59 times the waiting time at most.
        assert_eq!(air.waiting(Duration::from_secs(1)).extensions, 4);
        assert!(air.waiting(Duration::MAX).extensions > 1_000_000, "no overflow");
    }

    #[test]
    fn computing_depends_on_the_command_and_on_a_signature_in_the_answer() {
        let air = air(BitRate::Kbit106, 8, 7);
        let generate_ac = [0x80, 0xAE, 0x90, 0x00];
        assert_eq!(air.computing(&generate_ac, &[0x77, 0x00, 0x90, 0x00]), Duration::from_millis(40));
        assert_eq!(
            air.computing(&generate_ac, &[0x77, 0x04, 0x9F, 0x4B, 0x01, 0x00, 0x90, 0x00]),
            Duration::from_millis(110)
        );
        assert_eq!(air.computing(&[0x00, 0xB2, 1, 0x0C, 0], &[0x6A, 0x83]), Duration::from_millis(5));
        assert_eq!(air.computing(&[], &[]), Duration::from_millis(10));
    }

    #[test]
    fn activation_takes_a_few_milliseconds_whatever_the_rate() {
        let time = air(BitRate::Kbit848, 8, 7).activation();
        assert_eq!(time, air(BitRate::Kbit106, 8, 7).activation());
        assert!(time > Duration::from_millis(3) && time < Duration::from_millis(10), "{time:?}");
    }

    proptest! {
        #[test]
        fn bytes_go_one_after_the_other_and_the_last_one_ends_the_leg(bytes in 0_usize..700, size in 0_u8..=8) {
            let air = air(BitRate::Kbit212, size, 7);
            for (leg, nth) in [
                (air.command(bytes), &(|nth| air.byte_of_command(bytes, nth)) as &dyn Fn(u64) -> Duration),
                (air.answer(bytes), &|nth| air.byte_of_answer(bytes, nth)),
            ] {
                let times: Vec<Duration> = (1..=leg.bytes).map(nth).collect();
                prop_assert!(times.is_sorted_by(|one, next| one < next));
                prop_assert_eq!(times.last().copied(), Some(leg.time));
                prop_assert_eq!(nth(leg.bytes + 1), leg.time);
            }
        }
    }
}
