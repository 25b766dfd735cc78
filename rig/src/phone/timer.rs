//! The app's timers: a row for each thing it waits for, when it fires and what that means.

use std::time::Duration;

use crate::cloud::api::Refusal;

use super::config::PhoneConfig;

/// What the app waits for. At most one of them is running besides [`Timer::Foreground`] and [`Timer::Linger`], because the app
/// does one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The app has been out of the foreground for the grace while a card is being added (R10).
    Foreground,
    /// The NFC channel was left open after a raw APDU and no other followed.
    Linger,
    /// The band did not connect.
    Connect,
    /// A read, a subscription or a write with response was not answered.
    Attribute,
    /// A frame on H:0009 was not answered.
    Authentication,
    /// Nobody tapped the band.
    Tap,
    /// The NFC channel did not open.
    ChannelOpen,
    /// An APDU was not answered completely.
    Exchange,
    /// The NFC channel did not close.
    ChannelClose,
    /// A transfer on H:0020 was not acknowledged.
    ChunkAck,
    /// The band did not answer the factory reset.
    Reset,
    /// The cloud did not answer.
    Cloud,
    /// The bank's data may be ready now (3007).
    NotReady,
    /// No notification came for a while after a raw write.
    Quiet,
}

impl Timer {
    /// Those of which at most one runs.
    pub(super) const WAITS: [Self; 12] = [
        Self::Connect,
        Self::Attribute,
        Self::Authentication,
        Self::Tap,
        Self::ChannelOpen,
        Self::Exchange,
        Self::ChannelClose,
        Self::ChunkAck,
        Self::Reset,
        Self::Cloud,
        Self::NotReady,
        Self::Quiet,
    ];

    /// How long it runs.
    pub(super) const fn duration(self, config: &PhoneConfig) -> Duration {
        let timeouts = &config.timeouts;
        match self {
            Self::Foreground => config.foreground_grace,
            Self::Linger => timeouts.raw_linger,
            Self::Connect => timeouts.connect,
            Self::Attribute => timeouts.attribute,
            Self::Authentication => timeouts.authentication,
            Self::Tap => timeouts.tap,
            Self::ChannelOpen => timeouts.channel_open,
            Self::Exchange => timeouts.exchange,
            Self::ChannelClose => timeouts.channel_close,
            Self::ChunkAck => timeouts.chunk_ack,
            Self::Reset => timeouts.reset,
            Self::Cloud => timeouts.cloud,
            Self::NotReady => timeouts.not_ready,
            Self::Quiet => timeouts.raw_quiet,
        }
    }

    /// What it means that it fired: the end of a pause, or a wait that was in vain.
    pub(super) const fn outcome(self) -> Result<(), Refusal> {
        match self {
            Self::NotReady | Self::Quiet | Self::Linger => Ok(()),
            Self::Connect => Err(Refusal::OutOfReach),
            Self::Attribute | Self::Authentication | Self::ChunkAck | Self::Reset => Err(Refusal::BandError),
            Self::Tap => Err(Refusal::PairingTimeout),
            Self::ChannelOpen | Self::ChannelClose => Err(Refusal::NfcChannel),
            Self::Exchange => Err(Refusal::TransmitFailed),
            Self::Cloud | Self::Foreground => Err(Refusal::Interrupted),
        }
    }
}
