//! What does not fit into one APDU: command chaining, GET RESPONSE, and the wrong-Le answer.
//!
//! The client's side: [`split`] and [`ResponseChain`]. The card's side: [`CommandChain`] and [`Pending`].

use alloc::vec::Vec;

use super::apdu::{CApdu, RApdu};
use super::sw::Sw;

/// INS of GET RESPONSE (ISO 7816-4 11.8.1).
pub const GET_RESPONSE: u8 = 0xC0;

/// The class bit that says "not the last command of the chain" (ISO 7816-4 5.3.3 and 5.4.1, b5).
const CHAIN_BIT: u8 = 0x10;

/// Whether more commands of the same chain follow this class byte.
#[must_use]
pub const fn is_chained(cla: u8) -> bool {
    // FF is no class at all (ISO 7816-4 5.4.1).
    cla & CHAIN_BIT != 0 && cla != 0xFF
}

/// Cuts a command into a chain of parts with at most `max_data_bytes` (1 to 255) each; only the last one has `ne`.
/// A command that fits is given back as it is, and so is one whose class has no chained form (`EF` and `FF`).
#[must_use]
pub fn split(command: &CApdu, max_data_bytes: u8) -> Vec<CApdu> {
    let max = usize::from(max_data_bytes.max(1));
    let chained_class = command.cla | CHAIN_BIT;
    if command.data.len() <= max || !is_chained(chained_class) {
        return alloc::vec![command.clone()];
    }
    let mut chain = command
        .data
        .chunks(max)
        .map(|data| CApdu { cla: chained_class, ..header(command) }.with_data(data))
        .collect::<Vec<_>>();
    if let Some(last) = chain.last_mut() {
        last.cla = command.cla;
        last.ne = command.ne;
        last.extended = needs_extended(last);
    }
    chain
}

/// The card's side of command chaining: collects the parts, at most `MAX_DATA_BYTES` of data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandChain<const MAX_DATA_BYTES: usize> {
    begun: Option<CApdu>,
}

/// What [`CommandChain::handle`] makes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Chained {
    /// A whole command, without the chaining bit; its data are those of all parts.
    Whole(CApdu),
    /// A part was kept; answer 9000 and wait for the next.
    More,
    /// The part does not belong here; the chain is forgotten.
    Refused(Sw),
}

impl<const MAX_DATA_BYTES: usize> CommandChain<MAX_DATA_BYTES> {
    /// No chain begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: None }
    }

    /// Takes the next command.
    pub fn handle(&mut self, command: CApdu) -> Chained {
        let more = is_chained(command.cla);
        let begun = self.begun.take();
        if begun.is_none() && !more {
            return Chained::Whole(command);
        }
        let cla = if more { command.cla & !CHAIN_BIT } else { command.cla };
        let part = CApdu { cla, ..command };
        let mut whole = begun.unwrap_or_else(|| header(&part));
        if header(&whole) != header(&part) {
            return Chained::Refused(Sw::LAST_COMMAND_EXPECTED);
        }
        if whole.data.len() + part.data.len() > MAX_DATA_BYTES {
            return Chained::Refused(Sw::WRONG_LENGTH);
        }
        whole.data.extend_from_slice(&part.data);
        if more {
            self.begun = Some(whole);
            return Chained::More;
        }
        whole.ne = part.ne;
        whole.extended = needs_extended(&whole);
        Chained::Whole(whole)
    }

    /// Forgets what was begun.
    pub fn clear(&mut self) {
        self.begun = None;
    }
}

/// The client's side of long answers: says what to send until the answer is whole.
///
/// `61xx` is followed by GET RESPONSE, `6Cxx` by the same command with the right Le. A card that never comes to an end
/// is stopped after [`ResponseChain::MAX_ROUNDS`] commands; the answer then still carries its last status word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseChain {
    /// What was sent last.
    sent: CApdu,
    data: Vec<u8>,
    rounds: u16,
}

/// What [`ResponseChain::handle`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Send this and hand in the answer.
    Send(CApdu),
    /// This is the whole answer.
    Done(RApdu),
}

impl ResponseChain {
    /// Enough for 65 536 bytes in parts of 256, and for a few corrections.
    pub const MAX_ROUNDS: u16 = 300;

    /// Begins with `command`, which the caller sends first.
    #[must_use]
    pub const fn new(command: CApdu) -> Self {
        Self { sent: command, data: Vec::new(), rounds: 0 }
    }

    /// Takes the answer to what was sent last.
    pub fn handle(&mut self, answer: RApdu) -> Next {
        if self.data.is_empty() {
            // Most answers come in one piece.
            self.data = answer.data;
        } else {
            self.data.extend_from_slice(&answer.data);
        }
        self.rounds += 1;
        let wanted = match answer.sw.sw2() {
            0 => 0x100,
            count => u32::from(count),
        };
        let next = match answer.sw.sw1() {
            0x61 => Some(CApdu::new(get_response_class(self.sent.cla), GET_RESPONSE, 0, 0).with_ne(wanted)),
            // A card that says 6Cxx to the very Le it asked for contradicts itself.
            0x6C if self.sent.ne != Some(wanted) => Some(CApdu { ne: Some(wanted), ..self.sent.clone() }),
            _ => None,
        };
        match next {
            Some(command) if self.rounds < Self::MAX_ROUNDS => {
                self.sent = command.clone();
                Next::Send(command)
            }
            _ => Next::Done(RApdu { data: core::mem::take(&mut self.data), sw: answer.sw }),
        }
    }
}

/// The card's side of long answers: what did not fit, kept for GET RESPONSE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    rest: Option<RApdu>,
}

impl Pending {
    /// Nothing kept.
    #[must_use]
    pub const fn new() -> Self {
        Self { rest: None }
    }

    /// The part of `answer` that fits into `ne` bytes; the remainder is kept and announced by `61xx`. Whatever was kept
    /// before is forgotten.
    #[must_use]
    pub fn answer(&mut self, mut answer: RApdu, ne: u32) -> RApdu {
        self.rest = None;
        let ne = usize::try_from(ne).unwrap_or(usize::MAX);
        if answer.data.len() <= ne {
            return answer;
        }
        let rest = answer.data.split_off(ne);
        let sw = Sw::more(rest.len());
        self.rest = Some(RApdu { data: rest, sw: answer.sw });
        RApdu { data: answer.data, sw }
    }

    /// The answer to GET RESPONSE for `ne` bytes; `None` when nothing is kept.
    #[must_use]
    pub fn handle_get_response(&mut self, ne: u32) -> Option<RApdu> {
        let rest = self.rest.take()?;
        Some(self.answer(rest, ne))
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_none()
    }

    /// Forgets what is kept.
    pub fn clear(&mut self) {
        self.rest = None;
    }
}

fn header(command: &CApdu) -> CApdu {
    CApdu::new(command.cla, command.ins, command.p1, command.p2)
}

fn needs_extended(command: &CApdu) -> bool {
    command.data.len() > 0xFF || command.ne > Some(0x100)
}

/// The interindustry class of the same logical channel, without secure messaging (ISO 7816-4 5.4.1, GPCS 2.3.1 11.1.4).
fn get_response_class(cla: u8) -> u8 {
    if cla & 0x40 == 0 { cla & 0x03 } else { 0x40 | cla & 0x0F }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const STORE: CApdu = CApdu::new(0x80, 0xE2, 0x00, 0x00);

    #[test]
    fn a_long_command_becomes_parts_and_only_the_last_wants_an_answer() {
        let parts = split(&STORE.with_data([1, 2, 3, 4, 5]).with_ne(256), 2);
        let chained = CApdu { cla: 0x90, ..STORE };
        assert_eq!(
            parts,
            [chained.clone().with_data([1, 2]), chained.with_data([3, 4]), STORE.with_data([5]).with_ne(256)]
        );
    }

    #[test]
    fn a_command_that_fits_stays_as_it_is() {
        for command in
            [STORE, STORE.with_ne(1), STORE.with_data([1, 2]), CApdu { extended: true, ..STORE.with_data([1]) }]
        {
            assert_eq!(split(&command, 2), [command]);
        }
        assert_eq!(split(&STORE.with_data([1, 2]), 0).len(), 2, "parts hold at least one byte");
        for cla in [0xEF, 0xFF] {
            let command = CApdu { cla, ..STORE.with_data([1, 2, 3]) };
            assert_eq!(split(&command, 2), [command], "{cla:02X} with the chaining bit is FF, which is no class");
        }
    }

    #[test]
    fn parts_are_collected_until_the_last() {
        let mut chain = CommandChain::<4>::new();
        let chained = CApdu { cla: 0x90, ..STORE };
        assert_eq!(chain.handle(chained.clone().with_data([1, 2])), Chained::More);
        assert_eq!(chain.handle(chained.with_data([3])), Chained::More);
        assert_eq!(
            chain.handle(STORE.with_data([4]).with_ne(256)),
            Chained::Whole(STORE.with_data([1, 2, 3, 4]).with_ne(256))
        );
        assert_eq!(chain, CommandChain::new());
    }

    #[test]
    fn an_unchained_command_passes_whatever_its_size_and_form() {
        let mut chain = CommandChain::<1>::new();
        let command = CApdu { extended: true, ..STORE.with_data([1, 2, 3]) };
        assert_eq!(chain.handle(command.clone()), Chained::Whole(command));
    }

    #[test]
    fn another_command_within_a_chain_is_refused_and_ends_it() {
        let chained = CApdu { cla: 0x90, ..STORE };
        for stranger in [
            CApdu { cla: 0x00, ..STORE },
            CApdu { ins: 0xF2, ..STORE },
            CApdu { p1: 1, ..STORE },
            CApdu { p2: 1, ..STORE },
            CApdu { ins: 0xF2, ..chained.clone() },
        ] {
            let mut chain = CommandChain::<8>::new();
            assert_eq!(chain.handle(chained.clone().with_data([1])), Chained::More);
            assert_eq!(chain.handle(stranger), Chained::Refused(Sw::LAST_COMMAND_EXPECTED));
            assert_eq!(chain.handle(STORE.with_data([2])), Chained::Whole(STORE.with_data([2])));
        }
    }

    #[test]
    fn a_chain_has_a_bound() {
        let chained = CApdu { cla: 0x90, ..STORE };
        let mut chain = CommandChain::<4>::new();
        assert_eq!(chain.handle(chained.clone().with_data([0; 4])), Chained::More);
        assert_eq!(chain.handle(STORE.with_data([0])), Chained::Refused(Sw::WRONG_LENGTH));
        assert_eq!(chain.handle(chained.with_data([0; 5])), Chained::Refused(Sw::WRONG_LENGTH));
        assert_eq!(chain, CommandChain::new());
    }

    #[test]
    fn clearing_forgets_the_parts() {
        let mut chain = CommandChain::<8>::new();
        assert_eq!(chain.handle(CApdu { cla: 0x90, ..STORE }.with_data([1])), Chained::More);
        chain.clear();
        assert_eq!(chain.handle(STORE.with_data([2])), Chained::Whole(STORE.with_data([2])));
    }

    #[test]
    fn ff_is_no_class_and_so_never_chained() {
        assert!(is_chained(0x10) && is_chained(0x9C));
        assert!(!is_chained(0x00) && !is_chained(0x84) && !is_chained(0xFF));
    }

    #[test]
    fn more_data_is_fetched_and_joined() {
        let mut chain = ResponseChain::new(CApdu::new(0x84, 0xF2, 0x40, 0x02));
        let fetch = |ne| Next::Send(CApdu::new(0x00, GET_RESPONSE, 0, 0).with_ne(ne));
        assert_eq!(chain.handle(RApdu { data: vec![1], sw: Sw::more(2) }), fetch(2));
        assert_eq!(chain.handle(RApdu { data: vec![2, 3], sw: Sw::more(300) }), fetch(256));
        assert_eq!(chain.handle(RApdu::ok([4])), Next::Done(RApdu::ok([1, 2, 3, 4])));
    }

    #[test]
    fn a_wrong_le_is_corrected_once() {
        let command = CApdu::new(0x00, 0xB2, 0x01, 0x0C).with_ne(256);
        let mut chain = ResponseChain::new(command.clone());
        assert_eq!(chain.handle(RApdu::sw(Sw::wrong_le(9))), Next::Send(command.with_ne(9)));
        assert_eq!(chain.handle(RApdu::sw(Sw::wrong_le(9))), Next::Done(RApdu::sw(Sw::wrong_le(9))));
    }

    #[test]
    fn other_status_words_end_the_exchange() {
        for sw in [Sw::OK, Sw::NOT_FOUND, Sw::MORE_DATA_AVAILABLE] {
            assert_eq!(ResponseChain::new(STORE).handle(RApdu::sw(sw)), Next::Done(RApdu::sw(sw)));
        }
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        let mut chain = ResponseChain::new(STORE);
        for _ in 1..ResponseChain::MAX_ROUNDS {
            assert!(matches!(chain.handle(RApdu { data: vec![7], sw: Sw::more(1) }), Next::Send(_)));
        }
        let end = RApdu { data: vec![7; usize::from(ResponseChain::MAX_ROUNDS)], sw: Sw::more(1) };
        assert_eq!(chain.handle(RApdu { data: vec![7], sw: Sw::more(1) }), Next::Done(end));
    }

    #[test]
    fn get_response_stays_on_the_logical_channel() {
        for (cla, expected) in
            [(0x00, 0x00), (0x03, 0x03), (0x8C, 0x00), (0x92, 0x02), (0x4F, 0x4F), (0x6A, 0x4A), (0xC5, 0x45)]
        {
            assert_eq!(get_response_class(cla), expected, "{cla:02X}");
        }
    }

    #[test]
    fn what_does_not_fit_waits_for_get_response() {
        let mut pending = Pending::new();
        let answer = RApdu { data: (0..10).collect(), sw: Sw::MORE_DATA_AVAILABLE };
        assert_eq!(pending.answer(answer, 4), RApdu { data: vec![0, 1, 2, 3], sw: Sw::more(6) });
        assert!(!pending.is_empty());
        assert_eq!(pending.handle_get_response(5), Some(RApdu { data: vec![4, 5, 6, 7, 8], sw: Sw::more(1) }));
        assert_eq!(pending.handle_get_response(256), Some(RApdu { data: vec![9], sw: Sw::MORE_DATA_AVAILABLE }));
        assert!(pending.is_empty());
        assert_eq!(pending.handle_get_response(256), None);
    }

    #[test]
    fn an_answer_that_fits_forgets_what_was_kept() {
        let mut pending = Pending::new();
        assert_eq!(pending.answer(RApdu::ok([1, 2]), 1).sw, Sw::more(1));
        assert_eq!(pending.answer(RApdu::ok([3, 4]), 2), RApdu::ok([3, 4]));
        assert!(pending.is_empty());
        assert_eq!(pending.answer(RApdu::ok([1, 2]), 1).sw, Sw::more(1));
        pending.clear();
        assert!(pending.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_split_is_assembled_again(data in prop::collection::vec(any::<u8>(), 0..900), max: u8, ne in prop::option::of(1_u32..=65_536)) {
            let mut command = STORE.with_data(data);
            command.ne = ne;
            command.extended = needs_extended(&command);
            let mut parts = split(&command, max);
            let last = parts.pop().unwrap();
            let mut chain = CommandChain::<1000>::new();
            for part in parts {
                prop_assert!(part.data.len() <= usize::from(max.max(1)) && part.ne.is_none());
                prop_assert_eq!(chain.handle(part), Chained::More);
            }
            prop_assert_eq!(chain.handle(last), Chained::Whole(command));
        }

        #[test]
        fn what_is_kept_is_fetched_again(data in prop::collection::vec(any::<u8>(), 0..2000), sw: u16, ne in 1_u32..=256) {
            prop_assume!(!matches!(sw >> 8, 0x61 | 0x6C));
            let answer = RApdu { data, sw: Sw::new(sw) };
            let mut pending = Pending::new();
            let mut chain = ResponseChain::new(STORE);
            let mut next = chain.handle(pending.answer(answer.clone(), ne.max(7)));
            while let Next::Send(command) = next {
                prop_assert_eq!(command.ins, GET_RESPONSE);
                next = chain.handle(pending.handle_get_response(command.ne.unwrap_or_default()).unwrap());
            }
            prop_assert_eq!(next, Next::Done(answer));
        }
    }
}
