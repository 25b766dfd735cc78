//! The app's settings. What no source states is marked *assumed*.

use std::time::Duration;

use band_sim::wire::frame::auth::{AuthKey, Dialect};

use crate::cloud::api::AppVersion;

/// The app and the phone it runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneConfig {
    /// Version of the app (R12).
    pub app_version: AppVersion,
    /// How long the app may be out of the foreground while a card is being added (R10).
    pub foreground_grace: Duration,
    /// Unix time in µs at [`band_sim::time::Instant::ZERO`]: what the phone sets the band's clock by when it links it.
    pub epoch_unix_us: i64,
    /// Time zone of the phone, quarter hours east of Greenwich.
    pub zone_quarters: i8,
    /// The key of a band that was paired before; `None`: no band is linked yet.
    pub stored_key: Option<AuthKey>,
    /// Which form of the authentication commands the app speaks to a band whose key it has.
    pub dialect: Dialect,
    /// Whether the app manages the band: brings its cards to what the bank says, which may delete some, and sets it up. Not a band
    /// that is linked to another app: nothing in that one is changed.
    pub manages_band: bool,
    /// Type byte of a bank card in the AID command `06 1c 00`. The sources name 1 (bus) and 2 (access) only: *assumed*.
    pub bank_card_type: u8,
    /// How long the app waits for what.
    pub timeouts: Timeouts,
}

impl Default for PhoneConfig {
    fn default() -> Self {
        Self {
            app_version: AppVersion(4, 0, 17),
            foreground_grace: Duration::ZERO,
            epoch_unix_us: 0,
            zone_quarters: 0,
            stored_key: None,
            dialect: Dialect::Plain,
            manages_band: true,
            bank_card_type: 3,
            timeouts: Timeouts::default(),
        }
    }
}

/// How long the app waits for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the band to connect. *Assumed.*
    pub connect: Duration,
    /// For the answer to an attribute request (Core 5.4 vol 3 part F 3.3.3).
    pub attribute: Duration,
    /// For each answer on H:0009.
    pub authentication: Duration,
    /// For the tap on the band that confirms a first pairing.
    pub tap: Duration,
    /// For the NFC channel to open.
    pub channel_open: Duration,
    /// For the whole answer to one APDU.
    pub exchange: Duration,
    /// For the NFC channel to close.
    pub channel_close: Duration,
    /// For the acknowledgement of a transfer on H:0020.
    pub chunk_ack: Duration,
    /// For the answer to a factory reset. *Assumed.*
    pub reset: Duration,
    /// For an answer of the cloud. *Assumed.*
    pub cloud: Duration,
    /// Between two requests while the bank's data is not ready (3007), at most.
    pub not_ready: Duration,
    /// How often at most the app asks again when the bank's data is not ready.
    pub not_ready_tries: u8,
    /// Without a notification before a raw write counts as answered. *Assumed.*
    pub raw_quiet: Duration,
    /// How long the NFC channel stays open after a raw APDU, so that the next one finds the card as it was. *Assumed.*
    pub raw_linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            attribute: Duration::from_secs(30),
            authentication: Duration::from_secs(5),
            tap: Duration::from_secs(30),
            channel_open: Duration::from_secs(10),
            exchange: Duration::from_secs(60),
            channel_close: Duration::from_secs(10),
            chunk_ack: Duration::from_secs(6),
            reset: Duration::from_secs(10),
            cloud: Duration::from_secs(30),
            not_ready: Duration::from_secs(4),
            not_ready_tries: 10,
            raw_quiet: Duration::from_millis(500),
            raw_linger: Duration::from_secs(1),
        }
    }
}
