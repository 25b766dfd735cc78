//! One command and its whole answer: `61xx` and `6Cxx` followed, within bounds.
//!
//! Contactless cards answer in one piece; the two status words come from readers that speak T=0 to the card. A card that
//! uses them to talk for ever is stopped, and so is one that answers more than was asked for.

use std::fmt;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::chain::{Next, ResponseChain};

/// At most this many commands for one answer.
const MAX_COMMANDS_PER_ANSWER: u8 = 8;
/// At most this many bytes of one answer: 256 of data and the status word.
const MAX_ANSWER_BYTES: usize = 258;

/// A command under way.
#[derive(Clone)]
pub(super) struct Exchange {
    chain: ResponseChain,
    commands: u8,
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Send this first.
    Send(CApdu),
    /// The answer is whole.
    Whole(RApdu),
    /// The card broke the protocol.
    Broken(String),
}

impl Exchange {
    /// Begins with `command`, which the caller sends.
    pub(super) const fn new(command: CApdu) -> Self {
        Self { chain: ResponseChain::new(command), commands: 1 }
    }

    /// Takes the answer to what was sent last.
    pub(super) fn handle(&mut self, answer: Vec<u8>) -> Answered {
        let len = answer.len();
        if len > MAX_ANSWER_BYTES {
            return Answered::Broken(format!("the card answered {len} bytes where 256 were asked for"));
        }
        let Ok(answer) = RApdu::from_bytes(answer) else {
            return Answered::Broken(format!("the card answered {len} bytes, not even a status word"));
        };
        match self.chain.handle(answer) {
            Next::Done(answer) => Answered::Whole(answer),
            Next::Send(_) if self.commands >= MAX_COMMANDS_PER_ANSWER => {
                Answered::Broken(format!("no whole answer after {MAX_COMMANDS_PER_ANSWER} commands"))
            }
            Next::Send(command) => {
                self.commands += 1;
                Answered::Send(command)
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} sent)", self.commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        Exchange::new(CApdu::new(0x00, 0xB2, 0x01, 0x0C).with_ne(256))
    }

    #[test]
    fn a_reader_that_speaks_t_0_gets_what_it_asks_for() {
        let mut exchange = exchange();
        assert_eq!(exchange.handle(vec![0x6C, 0x03]), Answered::Send(CApdu::new(0x00, 0xB2, 0x01, 0x0C).with_ne(3)));
        assert_eq!(exchange.handle(vec![1, 2, 0x61, 0x01]), Answered::Send(CApdu::new(0x00, 0xC0, 0, 0).with_ne(1)));
        assert_eq!(exchange.handle(vec![3, 0x90, 0x00]), Answered::Whole(RApdu::ok([1, 2, 3])));
    }

    #[test]
    fn a_card_that_talks_for_ever_is_stopped() {
        for answer in [&[0x61, 0x10][..], &[0xAA, 0x61, 0x00], &[0x6C, 0x01]] {
            let mut exchange = exchange();
            let sent = (0..100).take_while(|_| matches!(exchange.handle(answer.to_vec()), Answered::Send(_))).count();
            assert!(sent < 8, "{answer:02X?}: {sent}");
        }
    }

    #[test]
    fn an_answer_longer_than_asked_for_or_shorter_than_a_status_word_is_refused() {
        for len in [0, 1, 259, 65_538] {
            assert!(matches!(exchange().handle(vec![0; len]), Answered::Broken(_)), "{len}");
        }
        assert!(matches!(exchange().handle(vec![0; 258]), Answered::Whole(_)));
    }
}
