//! Time as the core sees it: an instant handed in, and a table of what is due when.
//!
//! Nothing in the core asks what time it is. Every `handle` takes `now` first, and `poll` answers with the next instant
//! at which something would happen by itself.

use alloc::collections::BTreeMap;
use core::fmt;
use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since power-on. A station decides what power-on means in its own calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// Power-on.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` µs after power-on.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since power-on.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` lies in the future.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time (584 000 years) instead of wrapping.
    fn add(self, rhs: Duration) -> Self {
        let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Instant {
    /// Seconds with six decimals, as in `12.000250`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A row for every timer `K` that is running; each `K`'s own docs say when it fires.
#[derive(Clone, Debug)]
pub struct Timers<K: Ord + Copy> {
    due: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Starts (or restarts) a timer.
    pub fn set(&mut self, timer: K, at: Instant) {
        self.due.insert(timer, at);
    }

    /// Stops a timer; stopping one that is not running is harmless.
    pub fn clear(&mut self, timer: K) {
        self.due.remove(&timer);
    }

    /// Stops all of them.
    pub fn clear_all(&mut self) {
        self.due.clear();
    }

    /// Whether the timer is running.
    #[must_use]
    pub fn is_set(&self, timer: K) -> bool {
        self.due.contains_key(&timer)
    }

    /// The earliest instant at which one of them fires.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Takes the earliest timer that is due at `now`; ties go in the order of `K`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (&timer, _) = self.due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)?;
        self.due.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_at_its_instant_and_only_once() {
        let mut timers = Timers::default();
        timers.set('a', Instant::from_micros(10));
        assert_eq!(timers.pop_due(Instant::from_micros(9)), None);
        assert_eq!(timers.pop_due(Instant::from_micros(10)), Some('a'));
        assert_eq!(timers.pop_due(Instant::from_micros(10)), None);
    }

    #[test]
    fn timers_fire_in_order_of_time_then_of_key() {
        let mut timers = Timers::default();
        timers.set('b', Instant::from_micros(5));
        timers.set('a', Instant::from_micros(5));
        timers.set('z', Instant::from_micros(1));
        assert_eq!(timers.next(), Some(Instant::from_micros(1)));
        let now = Instant::from_micros(7);
        let fired = core::iter::from_fn(|| timers.pop_due(now)).collect::<alloc::string::String>();
        assert_eq!(fired, "zab");
    }

    #[test]
    fn adding_past_the_end_of_time_saturates() {
        let end = Instant::from_micros(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
    }
}
