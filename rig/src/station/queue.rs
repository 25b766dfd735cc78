//! What arrives when.

use std::collections::VecDeque;

use band_sim::time::Instant;

/// Arrivals by time; those of one instant in the order they were put in.
///
/// It seldom holds more than a handful, and what is put in nearly always comes last: a sorted row, not a tree.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    arrivals: VecDeque<(Instant, T)>,
}

impl<T> Queue<T> {
    /// Nothing under way.
    pub(super) const fn new() -> Self {
        Self { arrivals: VecDeque::new() }
    }

    /// When the first arrives.
    pub(super) fn first(&self) -> Option<Instant> {
        self.arrivals.front().map(|(at, _)| *at)
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.arrivals.pop_front().map(|(_, arrival)| arrival)
    }

    /// Puts one in, behind those of the same instant.
    pub(super) fn insert(&mut self, at: Instant, arrival: T) {
        let place = self.arrivals.partition_point(|(other, _)| *other <= at);
        self.arrivals.insert(place, (at, arrival));
    }

    /// Drops all others.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.arrivals.retain(|(_, arrival)| keep(arrival));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arrivals_come_by_time_and_those_of_one_instant_in_their_order(times in prop::collection::vec(0_u64..8, 0..40)) {
            let mut queue = Queue::new();
            for (at, time) in times.iter().enumerate() {
                queue.insert(Instant::from_micros(*time), at);
            }
            let mut expected = times.iter().copied().zip(0..).collect::<Vec<(u64, usize)>>();
            expected.sort_unstable();
            prop_assert_eq!(queue.first(), expected.first().map(|(time, _)| Instant::from_micros(*time)));
            let came = std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>();
            prop_assert_eq!(came, expected.into_iter().map(|(_, at)| at).collect::<Vec<_>>());
        }
    }
}
