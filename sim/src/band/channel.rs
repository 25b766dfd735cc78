//! The NFC channel: APDUs from the phone to the secure element, one at a time.

use alloc::vec::Vec;

use super::io::{BandEvent, Display, Output};
use super::session::{Channel, State, Stop};
use super::{Band, Timer};
use crate::card::Interface;
use crate::time::Instant;
use crate::wire::frame::nfc_channel::{Fragment, Notification, Status};

/// SW 6F00, for an answer too long for the channel's length field.
const NO_PRECISE_DIAGNOSIS: [u8; 2] = [0x6F, 0x00];

impl Band {
    pub(super) fn open_channel(&mut self, now: Instant) {
        self.forget_command();
        self.card.reset(Interface::Wired);
        self.await_command(now);
        self.notify_channel(&Notification::Opened(Status::Success));
        self.push(Output::Event(BandEvent::ChannelOpened));
    }

    /// Closes it with this status. Whatever the secure element held for this way is gone.
    pub(super) fn close_channel(&mut self, status: Status) {
        self.end_channel(status);
        self.state = State::Authenticated(Channel::Closed);
        self.notify_channel(&Notification::Closed(status));
    }

    /// The same without a word to the phone, for when the link goes.
    pub(super) fn end_channel(&mut self, status: Status) {
        self.forget_command();
        self.timers.clear(Timer::ChannelIdle);
        self.card.reset(Interface::Wired);
        self.push(Output::Event(BandEvent::ChannelClosed { status }));
    }

    pub(super) fn take_fragment(&mut self, now: Instant, fragment: Fragment) -> Result<(), Stop> {
        let malformed = self.profile.nfc_channel.status.malformed.value;
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        // No source says with what a secure fragment is encrypted.
        let pushed = if fragment.secure { None } else { link.command.push(fragment).ok() };
        match pushed {
            None => self.close_channel(malformed),
            Some(None) => {
                self.state = State::Authenticated(Channel::Busy);
                self.timers.clear(Timer::ChannelIdle);
                self.timers.set(Timer::FragmentStalled, now + self.profile.nfc_channel.fragment_timeout.value.0);
            }
            Some(Some(apdu)) => {
                let answer = self.exchange(&apdu)?;
                self.timers.clear(Timer::FragmentStalled);
                self.await_command(now);
                self.send_answer(&answer);
            }
        }
        Ok(())
    }

    pub(super) fn notify_channel(&mut self, notification: &Notification) {
        let bytes = self.profile.nfc_channel.framing().encode_notification(notification);
        self.notify(self.handles.nfc_channel, bytes);
    }

    /// Whether a reader's field keeps the channel closed.
    pub(super) fn is_field_in_the_way(&self) -> bool {
        self.field && self.profile.behaviour.field_closes_channel.value
    }

    fn exchange(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Stop> {
        let answer = self.card.handle_bytes(Interface::Wired, apdu);
        if !self.card.is_powered() {
            return Err(Stop::PowerLost);
        }
        self.refresh_wallet();
        Ok(answer)
    }

    /// Tells when the card list has changed.
    pub(super) fn refresh_wallet(&mut self) {
        if self.wallet.refresh(&self.card, &self.settings) {
            self.tell_cards();
        }
    }

    pub(super) fn tell_cards(&mut self) {
        let cards = self.wallet.cards().to_vec();
        self.push(Output::Display(Display::Cards(cards.clone())));
        self.push(Output::Event(BandEvent::CardsChanged { cards }));
    }

    fn await_command(&mut self, now: Instant) {
        self.state = State::Authenticated(Channel::Open);
        self.timers.set(Timer::ChannelIdle, now + self.profile.nfc_channel.idle_timeout.value.0);
    }

    fn forget_command(&mut self) {
        self.timers.clear(Timer::FragmentStalled);
        if let Some(link) = self.link.as_mut() {
            link.command.reset();
        }
    }

    fn send_answer(&mut self, answer: &[u8]) {
        let framing = self.profile.nfc_channel.framing();
        let fragments = framing.fragments(answer).or_else(|| framing.fragments(&NO_PRECISE_DIAGNOSIS));
        for fragment in fragments.into_iter().flatten() {
            self.notify_channel(&Notification::Fragment(fragment));
        }
    }
}
