//! What a bench is made of when it is real: the phone's radio through BlueZ, a reader through PC/SC, and a person's hands.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use band_sim::band::Button;

use super::control::{Answer, Ask, Hands};
use super::live::Air;
use crate::phone::io::{LinkCommand, LinkEvent};

#[cfg(feature = "bluez")]
mod radio {
    use std::time::{Duration, Instant};

    use crate::link::ble::{Ble, BleError, Config};
    use crate::phone::io::{LinkCommand, LinkEvent};
    use crate::station::live::{Air, AirTrouble};

    /// A phone's radio.
    #[derive(Debug)]
    pub struct Radio {
        ble: Ble,
    }

    impl Radio {
        /// Opens the adapter.
        ///
        /// # Errors
        /// What is missing and what to do.
        pub fn open(config: Config) -> Result<Self, String> {
            Ok(Self { ble: Ble::open(config).map_err(|error| error.to_string())? })
        }
    }

    impl Air for Radio {
        fn send(&mut self, command: LinkCommand) -> Result<(), String> {
            self.ble.send(command);
            Ok(())
        }

        fn next(&mut self, at_most: Duration) -> Result<Option<LinkEvent>, String> {
            Ok(self.ble.recv_deadline(Instant::now() + at_most))
        }

        fn trouble(&mut self) -> Option<AirTrouble> {
            let error = self.ble.trouble()?;
            Some(AirTrouble { words: error.to_string(), is_the_bench: matches!(error, BleError::World(_)) })
        }
    }
}

#[cfg(feature = "bluez")]
pub use radio::Radio;

/// The phone of a bench that has none.
#[derive(Debug)]
pub struct NoPhone;

impl Air for NoPhone {
    fn send(&mut self, _: LinkCommand) -> Result<(), String> {
        Err("this bench has no phone: say in the station file how one reaches the band (`phone`)".into())
    }

    fn next(&mut self, at_most: Duration) -> Result<Option<LinkEvent>, String> {
        // Nothing will happen on it; who asks wants to let that time go by.
        std::thread::park_timeout(at_most);
        Ok(None)
    }
}

/// The hands of a bench at which nobody is.
#[derive(Debug)]
pub struct Nobody;

impl Hands for Nobody {
    fn ask(&mut self, _: Ask) -> Result<Answer, String> {
        Ok(Answer::Refused { why: "nobody is there (`hands`)".into() })
    }
}

#[cfg(feature = "pcsc")]
mod reader {
    use crate::link::pcsc::{Config, Connection};
    use crate::station::live::Reader;

    /// A reader through PC/SC.
    #[derive(Debug)]
    pub struct Pcsc {
        config: Config,
        /// Whether a person must hold the band to it.
        by_hand: bool,
        connection: Option<Connection>,
    }

    impl Pcsc {
        /// A reader; nothing is asked of it before the first tap.
        #[must_use]
        pub const fn new(config: Config, by_hand: bool) -> Self {
            Self { config, by_hand, connection: None }
        }
    }

    impl Reader for Pcsc {
        fn present(&mut self) -> Result<(), String> {
            if self.by_hand {
                super::prompt(&format!("hold the band to the reader `{}`", self.config.reader))?;
            }
            self.connection = Some(Connection::open(&self.config).map_err(|error| error.to_string())?);
            Ok(())
        }

        fn transmit(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>, String> {
            let Some(connection) = &self.connection else { return Ok(None) };
            connection.transmit(command).map(Some).map_err(|error| error.to_string())
        }

        fn remove(&mut self) {
            self.connection = None;
        }
    }
}

#[cfg(feature = "pcsc")]
pub use reader::Pcsc;

/// A person at the bench: asked in words, answered with the return key.
#[derive(Debug)]
pub struct Operator;

impl Hands for Operator {
    fn ask(&mut self, ask: Ask) -> Result<Answer, String> {
        let please = match ask {
            Ask::Press { button: Button::Confirm, .. } => "touch the band: accept the pairing",
            Ask::Press { button: Button::Deny, .. } => "wipe the question on the band away: deny the pairing",
            Ask::Press { button: Button::FactoryReset, .. } => "choose factory reset in the menu of the band",
            _ => return Ok(Answer::Refused { why: "a person cannot do that".into() }),
        };
        prompt(please)?;
        Ok(Answer::Done)
    }
}

/// Asks the person at the bench to do something and waits until it is said to be done.
///
/// # Errors
/// When nobody can be asked.
pub fn prompt(please: &str) -> Result<(), String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("somebody must {please}, and nobody is at this terminal"));
    }
    let mut out = std::io::stderr().lock();
    // Who cannot be written to cannot be read from either; that is said below.
    let _ = write!(out, "\n  please {please}, then press return: ").and_then(|()| out.flush());
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(read) if read > 0 => Ok(()),
        _ => Err(format!("somebody must {please}, and nobody answered")),
    }
}
