//! A payment with whatever card lies in a real reader.

use std::time::{Duration, Instant};

use super::drive::{Carried, Surroundings};
use super::{EXIT_STATION, Failed, Tap};
use crate::cloud::api::{Authorisation, AuthorisationReply};
use crate::link::pcsc as smart_card;

/// The reader, a stand-in for a bank that nobody asks for real, and the customer.
#[derive(Debug)]
pub(super) struct InReader {
    connection: smart_card::Connection,
    pin: Option<String>,
    online: bool,
}

impl InReader {
    /// Waits for the reader and for a card in it.
    pub(super) fn open(args: &Tap, reader: &str) -> Result<Self, Failed> {
        let pin = super::pin(&args.pin, Some("0000"))?;
        let config = smart_card::Config {
            card_within: Duration::from_secs(args.patience),
            permits: args.permit.iter().copied().collect(),
            ..smart_card::Config::new(reader)
        };
        let connection = smart_card::Connection::open(&config)
            .map_err(|error| Failed { code: EXIT_STATION, message: error.to_string() })?;
        Ok(Self { connection, pin, online: !args.offline })
    }
}

impl Surroundings for InReader {
    fn transmit(&mut self, command: &[u8]) -> Result<Carried, String> {
        let began = Instant::now();
        let answer = self.connection.transmit(command).map_err(|error| error.to_string())?;
        Ok(Carried { answer, time: began.elapsed(), parts: None })
    }

    /// Whoever issued the card is not asked, so nothing is known of the cryptogram.
    fn authorise(&mut self, _: &Authorisation) -> (Option<AuthorisationReply>, Duration) {
        (self.online.then(AuthorisationReply::stand_in_approval), Duration::ZERO)
    }

    fn pin(&mut self) -> (Option<String>, Duration) {
        (self.pin.clone(), Duration::ZERO)
    }
}
