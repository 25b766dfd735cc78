//! What the band does for its wearer's health, as far as a phone waits for an answer: the heart rate, and fetching what was recorded.
//! Nobody wears it: the heart beats as the profile says, and there are no records.

use super::session::Stop;
use super::{Band, Timer};
use crate::time::Instant;
use crate::wire::frame::fetch;
use crate::wire::frame::heart_rate::{self, Mode, Request};
use crate::wire::frame::reply::ReplyCode;
use crate::wire::gatt::AttError;

impl Band {
    pub(super) fn set_heart_rate(&mut self, now: Instant, request: &Request) -> Result<(), Stop> {
        match request {
            Request::Measure { mode: mode @ (Mode::Once | Mode::Continuous), on: true } => {
                self.measure(now, *mode == Mode::Continuous);
            }
            Request::Measure { mode: Mode::Once | Mode::Continuous, on: false } => self.stop_measuring(),
            Request::StillHere if self.timers.is_set(Timer::NobodyListens) => self.await_listener(now),
            // It measures nothing unless somebody listens.
            Request::Measure { mode: Mode::Asleep, .. } | Request::Every { .. } | Request::StillHere => {}
            Request::Unknown(_) => return Err(Stop::Refused(AttError::ValueNotAllowed)),
        }
        Ok(())
    }

    /// A measurement is done; where they go on, the next one begins.
    pub(super) fn tell_heart_rate(&mut self, now: Instant) {
        let beats = self.profile.heart_rate.beats_per_minute.value;
        self.notify(self.handles.heart_rate, heart_rate::measurement(beats));
        if self.timers.is_set(Timer::NobodyListens) {
            self.begin_measurement(now);
        }
    }

    pub(super) fn stop_measuring(&mut self) {
        self.timers.clear(Timer::HeartRate);
        self.timers.clear(Timer::NobodyListens);
    }

    /// Nothing is recorded, which is told in the words of the protocol.
    pub(super) fn answer_fetch(&mut self, request: &fetch::Request) {
        let other = |code| fetch::Reply::Other { command: request.command(), code };
        let reply = match request {
            fetch::Request::Since { since, .. } if since.unix_seconds().is_some() => {
                fetch::Reply::Records { count: 0, since: *since }
            }
            fetch::Request::Since { .. } => other(ReplyCode::InvalidState),
            fetch::Request::Give => other(ReplyCode::Failed),
            fetch::Request::Forget => other(ReplyCode::Success),
            fetch::Request::Unknown(_) => other(ReplyCode::UnknownCommand),
        };
        self.notify_fetch(&reply);
    }

    pub(super) fn notify_fetch(&mut self, reply: &fetch::Reply) {
        self.notify(self.handles.fetch, reply.encode());
    }

    fn measure(&mut self, now: Instant, again_and_again: bool) {
        self.stop_measuring();
        self.begin_measurement(now);
        if again_and_again {
            self.await_listener(now);
        }
    }

    fn begin_measurement(&mut self, now: Instant) {
        self.timers.set(Timer::HeartRate, now + self.profile.heart_rate.measurement.value.0);
    }

    fn await_listener(&mut self, now: Instant) {
        self.timers.set(Timer::NobodyListens, now + self.profile.heart_rate.listener_timeout.value.0);
    }
}
