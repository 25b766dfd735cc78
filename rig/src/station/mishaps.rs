//! What goes wrong on the phone's side at a chosen moment of an action: it needs nothing but the phone, so a station with real links can
//! do it too.

use super::embedded::{ActionFault, Points, Strike, Where};

/// The faults of one action, and what it has passed.
#[derive(Debug, Default)]
pub(super) struct Mishaps {
    faults: Vec<ActionFault>,
    passed: Points,
}

impl Mishaps {
    /// An action begins.
    pub(super) fn arm(&mut self, faults: Vec<ActionFault>) {
        *self = Self { faults, passed: Points::default() };
    }

    /// The action is over; whether the app has to come back to the foreground.
    pub(super) fn disarm(&mut self) -> bool {
        std::mem::take(self).faults.iter().any(|fault| fault.strike == Strike::LeaveForeground)
    }

    /// What the action has passed so far.
    pub(super) const fn passed(&self) -> Points {
        self.passed
    }

    /// A packet for the band; whether the app leaves the foreground with it.
    pub(super) fn packet_to_band(&mut self) -> bool {
        self.passed.to_band += 1;
        self.strike(Where::ToBand(self.passed.to_band)) == Some(Strike::LeaveForeground)
    }

    /// A packet from the band; whether the app leaves the foreground before it.
    pub(super) fn packet_to_phone(&mut self) -> bool {
        self.passed.to_phone += 1;
        self.strike(Where::ToPhone(self.passed.to_phone)) == Some(Strike::LeaveForeground)
    }

    /// A request to the cloud; its number and what strikes.
    pub(super) fn request(&mut self) -> (u64, Option<Strike>) {
        self.passed.cloud_requests += 1;
        let nth = self.passed.cloud_requests;
        (nth, self.strike(Where::Request(nth)))
    }

    fn strike(&self, at: Where) -> Option<Strike> {
        self.faults.iter().find(|fault| fault.at == at).map(|fault| fault.strike)
    }
}
