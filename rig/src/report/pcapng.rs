//! A capture of taps for protocol analysers: pcapng with what a sniffer would see in the field, blocks of ISO 14443-4.
//!
//! Who has taps to show makes one [`Capture`] per file, calls [`Capture::field`] when the band comes into the field and leaves it, and
//! [`Capture::command`] and [`Capture::answer`] for each exchange, in the order of time. A live station gives them the wall clock, one
//! with virtual time its own. `tshark -r FILE` lists the blocks, `tshark -r FILE -x` shows their bytes.
//!
//! Card numbers and keys are masked as in every other output: each masked digit is a 0, so lengths and structure stay.

use std::io::{self, Write};
use std::time::Duration;

use crate::mask::Masker;

/// Link type of ISO 14443 in pcap (LINKTYPE_ISO_14443).
const LINK_TYPE: u16 = 264;
// What the pseudo header says of a packet.
const FROM_READER: u8 = 0xFE;
const FROM_CARD: u8 = 0xFF;
const FIELD_OFF: u8 = 0xFD;
const FIELD_ON: u8 = 0xFC;
/// Bytes of APDU in a block: frames of 256 bytes (FSD and FSC), less PCB and CRC.
const BLOCK: usize = 253;
/// Bit of a PCB: more blocks follow.
const CHAINING: u8 = 0x10;
// ISO 14443-4 7.1.1: PCB of an I-block and of an R(ACK), without CID and NAD.
const I_BLOCK: u8 = 0x02;
const R_ACK: u8 = 0xA2;

/// A capture in the making.
#[derive(Debug)]
pub struct Capture<W> {
    out: W,
    masker: Masker,
    /// The block number, as both sides have it between exchanges.
    number: u8,
}

impl<W: Write> Capture<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, masker: Masker) -> io::Result<Self> {
        let mut capture = Self { out, masker, number: 0 };
        // Section header: byte order, version 1.0, length unknown.
        let section = [&0x1A2B_3C4D_u32.to_le_bytes()[..], &1_u16.to_le_bytes(), &0_u16.to_le_bytes(), &[0xFF; 8]];
        capture.block(0x0A0D_0D0A, &section.concat())?;
        // Interface: link type, reserved, no limit on lengths, times in microseconds (the default, so no options).
        let interface = [&LINK_TYPE.to_le_bytes()[..], &[0; 2], &0_u32.to_le_bytes()];
        capture.block(1, &interface.concat())?;
        Ok(capture)
    }

    /// The card comes into the field, or leaves it. `at` is since the Unix epoch.
    ///
    /// # Errors
    /// What the writer says.
    pub fn field(&mut self, at: Duration, on: bool) -> io::Result<()> {
        self.number = 0;
        self.packet(at, if on { FIELD_ON } else { FIELD_OFF }, &[])
    }

    /// A command, from its first byte `at` since the Unix epoch.
    ///
    /// # Errors
    /// What the writer says.
    pub fn command(&mut self, at: Duration, apdu: &[u8]) -> io::Result<()> {
        let masked = unmarked(&self.masker.command(apdu));
        let mut blocks = blocks(&masked).peekable();
        while let Some(block) = blocks.next() {
            if blocks.peek().is_none() {
                return self.frame(at, FROM_READER, I_BLOCK | self.number, block);
            }
            self.frame(at, FROM_READER, I_BLOCK | CHAINING | self.number, block)?;
            self.frame(at, FROM_CARD, R_ACK | self.number, &[])?;
            self.number ^= 1;
        }
        Ok(())
    }

    /// The answer to `command`, from its first byte `at` since the Unix epoch.
    ///
    /// # Errors
    /// What the writer says.
    pub fn answer(&mut self, at: Duration, command: &[u8], apdu: &[u8]) -> io::Result<()> {
        let masked = unmarked(&self.masker.answer(command, apdu));
        let mut blocks = blocks(&masked).peekable();
        while let Some(block) = blocks.next() {
            let chaining = if blocks.peek().is_some() { CHAINING } else { 0 };
            self.frame(at, FROM_CARD, I_BLOCK | chaining | self.number, block)?;
            self.number ^= 1;
            if chaining != 0 {
                self.frame(at, FROM_READER, R_ACK | self.number, &[])?;
            }
        }
        Ok(())
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn frame(&mut self, at: Duration, event: u8, control: u8, information: &[u8]) -> io::Result<()> {
        let mut frame = [&[control], information].concat();
        frame.extend(crc_a(&frame));
        self.packet(at, event, &frame)
    }

    /// An enhanced packet block with the pseudo header of ISO 14443: version 0, event, length.
    fn packet(&mut self, at: Duration, event: u8, frame: &[u8]) -> io::Result<()> {
        let length = u16::try_from(frame.len()).map_err(io::Error::other)?;
        let data = [&[0, event], &length.to_be_bytes()[..], frame].concat();
        let micros = u64::try_from(at.as_micros()).map_err(io::Error::other)?;
        let size = u32::try_from(data.len()).map_err(io::Error::other)?.to_le_bytes();
        let [high, low] = [micros >> 32, micros & 0xFFFF_FFFF].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
        let head = [[0; 4], high.to_le_bytes(), low.to_le_bytes(), size, size].concat();
        self.block(6, &[&head[..], &data].concat())
    }

    /// Any block: type, length, body up to a multiple of four, length.
    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let padding = body.len().wrapping_neg() & 3;
        let length = u32::try_from(body.len() + padding + 12).map_err(io::Error::other)?.to_le_bytes();
        let block = [&kind.to_le_bytes()[..], &length, body, &[0; 3][..padding], &length].concat();
        self.out.write_all(&block)
    }
}

/// At least one block, and no empty one but for that.
fn blocks(apdu: &[u8]) -> impl Iterator<Item = &[u8]> {
    let none = apdu.is_empty().then_some(apdu);
    none.into_iter().chain(apdu.chunks(BLOCK))
}

/// The bytes of masked hex, with 0 for what is masked.
pub(super) fn unmarked(hex: &str) -> Vec<u8> {
    let byte = |pair: &str| u8::from_str_radix(&pair.replace('*', "0"), 16).unwrap_or(0);
    hex.split(' ').filter(|pair| !pair.is_empty()).map(byte).collect()
}

/// ISO 14443-3 Annex B: CRC_A, the low byte first.
fn crc_a(data: &[u8]) -> [u8; 2] {
    let crc = data.iter().fold(0x6363_u16, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x8408 })
    });
    crc.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Event and frame of each packet; every block checked on the way.
    fn packets(capture: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let word = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
        let (mut at, mut packets) = (0, vec![]);
        while at < capture.len() {
            let length = usize::try_from(word(at + 4)).unwrap();
            assert_eq!(length % 4, 0);
            assert_eq!(word(at + 4), word(at + length - 4), "both lengths of a block");
            if word(at) == 6 {
                let size = usize::try_from(word(at + 20)).unwrap();
                let data = &capture[at + 28..at + 28 + size];
                assert_eq!(usize::from(u16::from_be_bytes([data[2], data[3]])), size - 4);
                packets.push((data[1], data[4..].to_vec()));
            }
            at += length;
        }
        packets
    }

    fn captured(taps: impl FnOnce(&mut Capture<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut capture = Capture::new(vec![], Masker::default()).unwrap();
        taps(&mut capture).unwrap();
        capture.finish().unwrap()
    }

    const AT: Duration = Duration::from_secs(1_767_225_600);

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // ISO 14443-3 Annex B.2.
        assert_eq!(crc_a(&[0x00, 0x00]), [0xA0, 0x1E]);
        assert_eq!(crc_a(&[0x12, 0x34]), [0x26, 0xCF]);
    }

    #[test]
    fn block_numbers_go_on_with_each_exchange_and_begin_anew_in_each_field() {
        let bytes = captured(|capture| {
            capture.field(AT, true)?;
            for _ in 0..2 {
                capture.command(AT, &[0x00, 0xB2, 0x01, 0x0C, 0x00])?;
                capture.answer(AT, &[], &[0x6A, 0x83])?;
            }
            capture.field(AT, false)?;
            capture.field(AT, true)?;
            capture.command(AT, &[0x00, 0xB2, 0x01, 0x0C, 0x00])
        });
        let seen: Vec<_> = packets(&bytes).iter().map(|(event, frame)| (*event, frame.first().copied())).collect();
        let exchange = |number: u8| [(FROM_READER, Some(2 | number)), (FROM_CARD, Some(2 | number))];
        let on = [(FIELD_ON, None)];
        let expected = [&on[..], &exchange(0), &exchange(1), &[(FIELD_OFF, None)], &on, &[(FROM_READER, Some(2))]];
        assert_eq!(seen, expected.concat());
    }

    #[test]
    fn what_is_longer_than_a_frame_is_chained_and_acknowledged() {
        let long = [&[0x00, 0xE2, 0x00, 0x00, 0xFF][..], &[0x11; 255]].concat();
        let bytes = captured(|capture| {
            capture.command(AT, &long)?;
            capture.answer(AT, &[], &[&[0x22; 300][..], &[0x90, 0x00]].concat())
        });
        let packets = packets(&bytes);
        let seen: Vec<_> = packets.iter().map(|(event, frame)| (*event, frame[0], frame.len() - 3)).collect();
        let expected = [
            (FROM_READER, 0x12, 253),
            (FROM_CARD, 0xA2, 0),
            (FROM_READER, 0x03, 7),
            (FROM_CARD, 0x13, 253),
            (FROM_READER, 0xA2, 0),
            (FROM_CARD, 0x02, 49),
        ];
        assert_eq!(seen, expected);
        let whole: Vec<u8> = packets
            .iter()
            .filter(|(event, frame)| *event == FROM_READER && frame[0] & 0xC0 == 0)
            .flat_map(|(_, frame)| frame[1..frame.len() - 2].to_vec())
            .collect();
        assert_eq!(whole, long);
    }

    #[test]
    fn a_card_number_is_not_in_it() {
        let number = [0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34];
        let record = [&[0x70, 0x0A, 0x5A, 0x08][..], &number, &[0x90, 0x00]].concat();
        let bytes = captured(|capture| capture.answer(AT, &[], &record));
        assert!(!bytes.windows(8).any(|window| window == number));
        let masked = [0x70, 0x0A, 0x5A, 0x08, 0x54, 0x13, 0x33, 0x00, 0x00, 0x00, 0x04, 0x34, 0x90, 0x00];
        assert!(bytes.windows(14).any(|window| window == masked), "{bytes:02X?}");
    }
}
