//! The APDU channel on H:0011: open, exchange, close. Each waits for its own answer; what belongs to none is dropped.

use band_sim::wire::frame::nfc_channel::{Assembler, Framing, Notification, Request, Status};
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use super::app::App;
use super::io::LinkEvent;
use super::task::{Resume, Step, Value, Wake, done};
use super::timer::Timer;

const FRAMING: Framing = Framing::HUAMI;
/// The longest response APDU: 65 536 bytes of data and the status word; the length field says no more than 65 535 in all.
const MAX_RAPDU_BYTES: usize = 0xFFFF;

/// One use of the channel.
#[derive(Clone, Debug)]
pub(super) enum Channel {
    /// Opens it.
    Open,
    /// Sends an APDU; ends with the raw answer.
    Exchange {
        /// The command.
        apdu: Vec<u8>,
        /// What has come of the answer.
        assembler: Box<Assembler>,
    },
    /// Closes it.
    Close,
}

impl Channel {
    pub(super) fn exchange(apdu: Vec<u8>) -> Self {
        Self::Exchange { apdu, assembler: Box::new(Assembler::new(FRAMING, MAX_RAPDU_BYTES)) }
    }

    fn start(&self, app: &mut App) -> Result<Step, Refusal> {
        if !app.link.up {
            return Err(Refusal::Interrupted);
        }
        match self {
            Self::Open | Self::Close => {
                let (request, timer) = match self {
                    Self::Open => (Request::Open, Timer::ChannelOpen),
                    _ => (Request::Close, Timer::ChannelClose),
                };
                // Open from now on as far as the phone can tell: a lost answer must not leave it open unnoticed.
                app.link.channel_open = true;
                app.write(CharacteristicId::NFC_CHANNEL, FRAMING.encode_request(&request));
                app.start(timer);
            }
            Self::Exchange { apdu, .. } => {
                if !app.link.channel_open {
                    return Err(Refusal::NfcChannel);
                }
                for fragment in FRAMING.fragments(apdu).ok_or(Refusal::TransmitFailed)? {
                    let value = FRAMING.encode_request(&Request::Fragment(fragment));
                    app.write(CharacteristicId::NFC_CHANNEL, value);
                }
                app.start(Timer::Exchange);
            }
        }
        Ok(Step::Wait)
    }

    fn notified(&mut self, app: &mut App, bytes: &[u8]) -> Result<Step, Refusal> {
        let notification = FRAMING.decode_notification(bytes);
        match (self, notification) {
            (Self::Open, Ok(Notification::Opened(Status::Success))) => done(Value::Done),
            (Self::Open, Ok(Notification::Opened(_))) => {
                app.link.channel_open = false;
                Err(Refusal::NfcChannel)
            }
            // The answer to a close that nobody waited for.
            (Self::Open, Ok(Notification::Closed(Status::Success))) => {
                app.link.channel_open = true;
                Ok(Step::Wait)
            }
            (Self::Open | Self::Exchange { .. }, Ok(Notification::Closed(_))) => Err(Refusal::NfcChannel),
            // Any answer to a close is good: the channel is closed.
            (Self::Close, Ok(Notification::Closed(_))) => done(Value::Done),
            (Self::Exchange { assembler, .. }, Ok(Notification::Fragment(fragment))) => {
                match assembler.push(fragment).map_err(|_| Refusal::TransmitFailed)? {
                    Some(rapdu) => done(Value::Bytes(rapdu)),
                    None => Ok(Step::Wait),
                }
            }
            // The vendor's client fails the exchange on any other first byte.
            (Self::Exchange { .. }, _) => Err(Refusal::TransmitFailed),
            (Self::Open | Self::Close, _) => Ok(Step::Wait),
        }
    }
}

impl Resume for Channel {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match wake {
            Wake::Start => self.start(app),
            Wake::Link(LinkEvent::Notified { value, .. }) => self.notified(app, &value),
            _ => Ok(Step::Wait),
        }
    }
}

impl App {
    /// The band says on H:0011 that the channel is closed, asked or not.
    pub(super) fn notice_closing(&mut self, value: &[u8]) {
        if matches!(FRAMING.decode_notification(value), Ok(Notification::Closed(_))) {
            self.link.channel_open = false;
            self.timers.clear(Timer::Linger);
        }
    }

    /// Closes a channel that a raw APDU has left open, without waiting for the answer.
    pub(super) fn close_lingering_channel(&mut self) {
        self.timers.clear(Timer::Linger);
        if std::mem::take(&mut self.link.channel_open) {
            self.write(CharacteristicId::NFC_CHANNEL, FRAMING.encode_request(&Request::Close));
        }
    }
}
