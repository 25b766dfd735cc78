//! The byte stream between the vpcd reader and its virtual card.
//!
//! Every message is a length of two bytes, big-endian, and so many bytes. From the reader a message of one byte may be a
//! control byte; anything else is a command APDU. Messages arrive cut and joined as TCP likes, `00 01 02 00 01 04` being
//! two of them, so bytes are collected here and taken out message by message.

use alloc::vec::Vec;

/// The longest message that has a length.
pub const MAX_MESSAGE_BYTES: usize = 0xFFFF;

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const GET_ATR: u8 = 0x04;

/// One message of the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The card loses its power.
    PowerOff,
    /// The card gets power.
    PowerOn,
    /// A reset with the power on.
    Reset,
    /// The reader asks for the answer to reset, which it also does to see whether the card is still there.
    GetAtr,
    /// A command APDU, or what somebody sent instead of one. May be empty.
    Apdu(Vec<u8>),
}

impl Message {
    fn new(body: &[u8]) -> Self {
        match body {
            [POWER_OFF] => Self::PowerOff,
            [POWER_ON] => Self::PowerOn,
            [RESET] => Self::Reset,
            [GET_ATR] => Self::GetAtr,
            apdu => Self::Apdu(apdu.into()),
        }
    }
}

/// Collects what has arrived. Holds at most one message that is not complete and what came with its last byte.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    arrived: Vec<u8>,
    /// Bytes of `arrived` that were taken.
    taken: usize,
}

impl Stream {
    /// Bytes have arrived. Take out all messages before giving it more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        self.arrived.extend_from_slice(bytes);
    }

    /// Takes the next message that is complete.
    pub fn next_message(&mut self) -> Option<Message> {
        let (length, rest) = self.arrived.get(self.taken..)?.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = Message::new(rest.get(..length)?);
        self.taken += 2 + length;
        Some(message)
    }
}

/// A message to the reader: its length and its bytes, to be sent in one go. `None` for an empty one, on which the reader
/// hangs for ever, and for one too long for its length.
#[must_use]
pub fn encode(body: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(body.len()).ok().filter(|length| *length > 0)?;
    Some([&length.to_be_bytes()[..], body].concat())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn all(stream: &mut Stream) -> Vec<Message> {
        core::iter::from_fn(|| stream.next_message()).collect()
    }

    #[test]
    fn joined_control_bytes_are_told_apart() {
        let mut stream = Stream::default();
        stream.push(&[0x00, 0x01, 0x02, 0x00, 0x01, 0x04]);
        assert_eq!(all(&mut stream), [Message::Reset, Message::GetAtr]);
    }

    #[test]
    fn a_message_of_one_byte_that_controls_nothing_is_a_command() {
        let mut stream = Stream::default();
        stream.push(&[0x00, 0x01, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00]);
        assert_eq!(all(&mut stream), [Message::Apdu(vec![3]), Message::Apdu(vec![]), Message::PowerOff]);
    }

    #[test]
    fn what_the_reader_would_hang_on_has_no_encoding() {
        assert_eq!(encode(&[]), None);
        assert_eq!(encode(&vec![0; MAX_MESSAGE_BYTES + 1]), None);
        assert_eq!(encode(&[0x90, 0x00]), Some(vec![0x00, 0x02, 0x90, 0x00]));
        assert!(encode(&vec![0; MAX_MESSAGE_BYTES]).is_some());
    }

    proptest! {
        #[test]
        fn messages_do_not_depend_on_how_tcp_cuts_them(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let bytes = bodies.iter().flat_map(|body| {
                let length = u16::try_from(body.len()).unwrap().to_be_bytes();
                [&length[..], body].concat()
            }).collect::<Vec<u8>>();
            let expected = bodies.iter().map(|body| Message::new(body)).collect::<Vec<_>>();

            let mut stream = Stream::default();
            let mut got = vec![];
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                stream.push(now);
                got.extend(all(&mut stream));
                rest = later;
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(stream.taken, stream.arrived.len(), "nothing is left over");
        }

        #[test]
        fn any_bytes_are_taken_without_growing(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..40)) {
            let mut stream = Stream::default();
            for chunk in chunks {
                stream.push(&chunk);
                while stream.next_message().is_some() {}
                prop_assert!(stream.arrived.len() <= 2 + MAX_MESSAGE_BYTES + chunk.len());
            }
        }
    }
}
