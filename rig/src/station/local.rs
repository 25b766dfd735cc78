//! A bench with nothing outside the process: a band in real time, its attributes and its field called directly.
//!
//! It is the real-time world without Bluetooth and without a reader: what goes wrong on it goes wrong because of the clock.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Input, Output, WriteMode};
use band_sim::edge::clock::Clock;
use band_sim::edge::drive::Handle;
use band_sim::rng::Rng;

use super::control::Control;
use super::live::{Air, Bench, Reader};
use crate::phone::io::{LinkCommand, LinkEvent};

/// The ATT MTU before any exchange (Core 5.3 Vol 3 F 3.2.8).
const DEFAULT_MTU: u16 = 23;

/// A band that runs in this process, and the bench around it.
#[derive(Debug)]
pub struct Local {
    handle: Handle,
    timers: Option<std::thread::JoinHandle<()>>,
}

impl Local {
    /// Starts a band with this profile, and lays the bench around it.
    ///
    /// # Errors
    /// When the machine gives no thread for the band's timers.
    pub fn start(profile: Arc<BandProfile>) -> std::io::Result<(Self, Bench)> {
        let clock = Clock::start();
        let handle = Handle::new(Band::new(profile, Rng::new(0), clock.epoch_unix_us()), clock);
        let runs = handle.clone();
        let timers = std::thread::Builder::new().name("band".into()).spawn(move || runs.run())?;
        let bench = Bench {
            air: Box::new(CalledAir::new(handle.clone())),
            reader: Some(Box::new(CalledField { handle: handle.clone() })),
            hands: Box::new(Control::new(handle.clone())),
        };
        Ok((Self { handle, timers: Some(timers) }, bench))
    }

    /// The band.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(timers) = self.timers.take() {
            // The band never panics; if its thread did, this is not the place to say so.
            let _ = timers.join();
        }
    }
}

/// The band's attributes, called.
struct CalledAir {
    handle: Handle,
    /// What happened, and whether the band did it of its own accord.
    events: Receiver<(LinkEvent, bool)>,
    tell: Sender<(LinkEvent, bool)>,
}

impl CalledAir {
    fn new(handle: Handle) -> Self {
        let (tell, events) = mpsc::channel();
        let heard = tell.clone();
        let profile = handle.inspect(|band| band.profile().gatt.clone());
        handle.on_output(move |output| {
            let event = match output {
                Output::Notify { handle, value } => profile
                    .id(*handle)
                    .map(|characteristic| LinkEvent::Notified { characteristic, value: value.clone() }),
                Output::Disconnect => Some(LinkEvent::Disconnected),
                _ => None,
            };
            if let Some(event) = event {
                let _ = heard.send((event, true));
            }
        });
        Self { handle, events, tell }
    }

    fn tell(&self, event: LinkEvent) {
        // The receiver is ours, so it is there.
        let _ = self.tell.send((event, false));
    }
}

impl Air for CalledAir {
    fn send(&mut self, command: LinkCommand) -> Result<(), String> {
        let value_handle =
            |characteristic| self.handle.inspect(|band| band.profile().gatt.value_handle(&characteristic));
        let missing = || "the band's profile lacks a characteristic".to_owned();
        match command {
            LinkCommand::Connect => {
                let address = self.handle.inspect(|band| band.profile().identity.address());
                self.handle.input(Input::Connected { mtu: DEFAULT_MTU });
                self.tell(LinkEvent::Connected { address, mtu: DEFAULT_MTU });
            }
            LinkCommand::Disconnect => {
                self.handle.input(Input::Disconnected);
                self.tell(LinkEvent::Disconnected);
            }
            LinkCommand::Subscribe { characteristic } => {
                let result = self.handle.subscribe(value_handle(characteristic).ok_or_else(missing)?, true);
                self.tell(LinkEvent::Subscribed { characteristic, result });
            }
            LinkCommand::Read { characteristic } => {
                let result = self.handle.read(value_handle(characteristic).ok_or_else(missing)?);
                self.tell(LinkEvent::ReadDone { characteristic, result });
            }
            LinkCommand::Write { characteristic, value, with_response } => {
                let mode = if with_response { WriteMode::Request } else { WriteMode::Command };
                let result = self.handle.write(value_handle(characteristic).ok_or_else(missing)?, value, mode);
                if with_response {
                    self.tell(LinkEvent::WriteDone { characteristic, result });
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, at_most: Duration) -> Result<Option<LinkEvent>, String> {
        match self.events.recv_timeout(at_most) {
            Ok((event, by_band)) => {
                if by_band && event == LinkEvent::Disconnected {
                    // A link that one side drops is down at both.
                    self.handle.input(Input::Disconnected);
                }
                Ok(Some(event))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the band is gone".into()),
        }
    }
}

impl fmt::Debug for CalledAir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalledAir").finish_non_exhaustive()
    }
}

/// The band's field, called.
#[derive(Debug)]
struct CalledField {
    handle: Handle,
}

impl Reader for CalledField {
    fn present(&mut self) -> Result<(), String> {
        self.handle.input(Input::Field { on: true });
        Ok(())
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Ok(self.handle.transmit(command))
    }

    fn remove(&mut self) {
        self.handle.input(Input::Field { on: false });
    }
}
