//! Real time as the core counts it: microseconds since power-on, by a clock that never steps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::Instant;

/// A clock that was started at power-on. Copies show the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: std::time::Instant,
    started_unix_us: i64,
    /// What it showed then.
    started_at: Instant,
}

impl Clock {
    /// Starts a clock: now is [`Instant::ZERO`].
    #[must_use]
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: std::time::Instant::now(),
            started_unix_us: i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX),
            started_at: Instant::ZERO,
        }
    }

    /// Goes on from `now`, where another clock was left.
    #[must_use]
    pub fn resume(now: Instant) -> Self {
        let clock = Self::start();
        let past = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        Self { started_at: now, started_unix_us: clock.started_unix_us.saturating_sub(past), ..clock }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.started_at + self.started.elapsed()
    }

    /// Where [`Instant::ZERO`] lies in the calendar by the machine's clock, microseconds since 1970-01-01 UTC: what
    /// [`Band::new`](crate::band::Band::new) wants to know. A machine's clock that is set later changes nothing.
    #[must_use]
    pub const fn epoch_unix_us(&self) -> i64 {
        self.started_unix_us
    }

    /// How long to wait from now until `at`; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Instant) -> Duration {
        at.saturating_since(self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second);
        assert_eq!(clock.until(first), Duration::ZERO);
        assert!(clock.until(second + Duration::from_secs(60)) <= Duration::from_secs(60));
    }

    #[test]
    fn a_clock_goes_on_from_where_another_one_was_left() {
        let left = Instant::ZERO + Duration::from_secs(3_600);
        let (new, resumed) = (Clock::start(), Clock::resume(left));
        assert!(resumed.now() >= left);
        assert!(resumed.epoch_unix_us() <= new.epoch_unix_us() + 1_000_000 - 3_600_000_000);
    }

    #[test]
    fn the_calendar_begins_after_this_was_written() {
        assert!(Clock::start().epoch_unix_us() > 1_750_000_000_000_000);
    }
}
