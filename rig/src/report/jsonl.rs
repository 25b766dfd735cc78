//! Events for machines: one JSON object per line, the same bytes for the same seed whatever `--jobs` was.
//!
//! Cases end in any order; [`InOrder`] holds those that ended early until it is their turn.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Write};

use super::event::Event;

/// Writes each event as one line.
///
/// # Errors
/// When the writer fails. The events themselves can always be written.
pub fn write(writer: &mut impl Write, events: &[Event]) -> io::Result<()> {
    let mut line = Vec::new();
    for event in events {
        line.clear();
        serde_json::to_writer(&mut line, event)?;
        line.push(b'\n');
        writer.write_all(&line)?;
    }
    Ok(())
}

/// The lines of `events` as bytes, e.g. to compare two runs.
#[must_use]
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes every byte, and an event has no map with keys that JSON cannot name.
    let written = write(&mut bytes, events);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}

/// Puts what comes in any order back into the given order.
///
/// What waits is bounded: at most [`InOrder::WAITING_AT_MOST`] cases. A runner asks [`InOrder::may_start`] before it starts a case, so
/// one slow case holds the others back instead of filling the memory.
#[derive(Clone, Debug)]
pub struct InOrder<T> {
    awaited: VecDeque<u32>,
    waiting: BTreeMap<u32, T>,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfOrder {
    /// The case is not awaited: it was given twice, or never announced.
    NotAwaited(u32),
    /// Too many cases wait for an earlier one already.
    TooManyWaiting(u32),
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAwaited(case) => write!(f, "case {case} ended twice, or was never announced"),
            Self::TooManyWaiting(case) => write!(f, "case {case} ended too far ahead of an earlier one"),
        }
    }
}

impl std::error::Error for OutOfOrder {}

impl<T> InOrder<T> {
    /// How many cases may wait for an earlier one.
    pub const WAITING_AT_MOST: usize = 1024;

    /// Will give items in the order of `cases`.
    #[must_use]
    pub fn new(cases: impl IntoIterator<Item = u32>) -> Self {
        Self { awaited: cases.into_iter().collect(), waiting: BTreeMap::new() }
    }

    /// Whether `case` is near enough to the oldest that has not ended.
    #[must_use]
    pub fn may_start(&self, case: u32) -> bool {
        self.awaited.iter().take(Self::WAITING_AT_MOST).any(|&awaited| awaited == case)
    }

    /// Takes an item and gives all whose turn has come, oldest first.
    ///
    /// # Errors
    /// When the case is not awaited, or when too many wait already; then nothing changes.
    pub fn push(&mut self, case: u32, item: T) -> Result<Vec<T>, OutOfOrder> {
        if self.waiting.contains_key(&case) || !self.awaited.contains(&case) {
            return Err(OutOfOrder::NotAwaited(case));
        }
        if !self.may_start(case) {
            return Err(OutOfOrder::TooManyWaiting(case));
        }
        self.waiting.insert(case, item);
        let mut ready = Vec::new();
        while let Some(item) = self.awaited.front().and_then(|next| self.waiting.remove(next)) {
            self.awaited.pop_front();
            ready.push(item);
        }
        Ok(ready)
    }

    /// Gives what still waits, in order, across the gaps of cases that never ended (`--fail-fast`, Ctrl-C).
    #[must_use]
    pub fn finish(mut self) -> Vec<T> {
        self.awaited.iter().filter_map(|case| self.waiting.remove(case)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::sample;

    #[test]
    fn each_event_is_one_line_and_reads_back_as_itself() {
        for events in sample::cases() {
            let bytes = encode(&events);
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.ends_with('\n'));
            let back: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(back, events);
        }
    }

    #[test]
    fn the_bytes_are_those_on_file() {
        let bytes: Vec<u8> = sample::cases().iter().flat_map(|events| encode(events)).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), sample::JSONL, "old readers depend on the form of the lines");
    }

    #[test]
    fn a_case_that_ends_early_waits_for_its_turn() {
        let mut order = InOrder::new([3, 5, 8]);
        assert_eq!(order.push(5, "b"), Ok(vec![]));
        assert_eq!(order.push(3, "a"), Ok(vec!["a", "b"]));
        assert_eq!(order.push(8, "c"), Ok(vec!["c"]));
        assert!(order.finish().is_empty());
    }

    #[test]
    fn a_case_is_taken_once_and_only_when_announced() {
        let mut order = InOrder::new([0, 1]);
        assert_eq!(order.push(1, 'b'), Ok(vec![]));
        assert_eq!(order.push(1, 'b'), Err(OutOfOrder::NotAwaited(1)));
        assert_eq!(order.push(7, 'x'), Err(OutOfOrder::NotAwaited(7)));
        assert_eq!(order.push(0, 'a'), Ok(vec!['a', 'b']));
        assert_eq!(order.push(0, 'a'), Err(OutOfOrder::NotAwaited(0)));
    }

    #[test]
    fn what_waits_is_bounded() {
        let bound = u32::try_from(InOrder::<()>::WAITING_AT_MOST).unwrap();
        let mut order = InOrder::new(0..=bound);
        assert!(order.may_start(bound - 1) && !order.may_start(bound));
        assert_eq!(order.push(bound, ()), Err(OutOfOrder::TooManyWaiting(bound)));
        assert_eq!(order.push(0, ()).map(|ready| ready.len()), Ok(1));
        assert_eq!(order.push(bound, ()), Ok(vec![]));
    }

    #[test]
    fn a_run_that_stops_early_gives_what_it_has_in_order() {
        let mut order = InOrder::new(0..9);
        for case in [7, 2, 5] {
            assert_eq!(order.push(case, case), Ok(vec![]));
        }
        assert_eq!(order.finish(), [2, 5, 7]);
    }

    proptest! {
        #[test]
        fn any_order_of_endings_gives_file_order(endings in Just((0..200u32).collect::<Vec<_>>()).prop_shuffle()) {
            let mut order = InOrder::new(0..200);
            let mut given = Vec::new();
            for &case in &endings {
                given.extend(order.push(case, case).unwrap());
            }
            prop_assert_eq!(given, (0..200).collect::<Vec<_>>());
        }
    }
}
