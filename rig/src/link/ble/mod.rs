//! The phone's side of a real Bluetooth link, over BlueZ: what the phone asks in, what the band says out.
//!
//! The same [`LinkCommand`]s and [`LinkEvent`]s as in process; nothing here decides. Every wait has a deadline. A command that
//! the world cannot carry out ends as the phone knows it ([`LinkEvent::ConnectFailed`], [`LinkEvent::Disconnected`]); why, in
//! words for the person at the bench, is [`Ble::trouble`].
//!
//! It runs on a thread of its own with its own runtime, so that callers need none.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use band_sim::edge::bluez::world::World;
use band_sim::edge::bluez::{BluezError, Printed};
use band_sim::wire::gatt::Uuid;
use tokio::sync::mpsc;

use crate::phone::io::{LinkCommand, LinkEvent};

mod central;
mod connection;
mod scan;

/// Commands that wait. The phone asks one thing at a time; only the fragments of an APDU come in numbers.
const MAX_COMMANDS_QUEUED: usize = 1024;
/// Events nobody has fetched; past it they are lost, and [`BleError::EventsLost`] says so.
const MAX_EVENTS_QUEUED: usize = 8192;

/// Which adapter, which band, how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// The adapter, by name (`hci0`) or by address.
    pub adapter: String,
    /// The band to find.
    pub band: Target,
    /// How long to wait for what.
    pub deadlines: Deadlines,
    /// How a link is dropped.
    pub hang_up: HangUp,
}

/// How the phone drops a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HangUp {
    /// The band is disconnected: bluetoothd lets two seconds pass before it does so.
    #[default]
    Disconnect,
    /// The radio is switched off until the next link, as in an aeroplane: at once, and every other link of the adapter goes too.
    RadioOff,
}

/// How the band is known. Whatever is given must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address, as it is printed.
    pub address: Option<[u8; 6]>,
    /// The name it advertises.
    pub name: Option<String>,
    /// A service it advertises.
    pub service: Option<Uuid>,
}

/// How long to wait for what. All *assumed* but the one for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the band to be heard.
    pub scan: Duration,
    /// For one attempt to connect.
    pub connect: Duration,
    /// For its services to be known.
    pub resolve: Duration,
    /// For the answer to a request (Core 5.4 vol 3 part F 3.3.3).
    pub request: Duration,
    /// For the link to be gone after it was dropped.
    pub disconnect: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            scan: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            // Within the phone's patience there is time for another try.
            resolve: Duration::from_secs(15),
            request: Duration::from_secs(30),
            disconnect: Duration::from_secs(5),
        }
    }
}

/// Why the link could not do what it was asked, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BleError {
    /// D-Bus, bluetoothd or the adapter.
    World(BluezError),
    /// The band was not heard.
    NotHeard {
        /// Whom we listened for.
        target: Target,
        /// For how long.
        within: Duration,
        /// Who was heard.
        heard: Vec<[u8; 6]>,
    },
    /// It was heard and did not take the connection.
    NotConnected {
        /// Its address.
        address: [u8; 6],
        /// What BlueZ says.
        why: String,
    },
    /// Its services did not become known.
    NotResolved {
        /// Its address.
        address: [u8; 6],
    },
    /// A request was not answered in time, which ends the link.
    NotAnswered {
        /// For how long we waited.
        within: Duration,
    },
    /// The phone dropped the link in the middle of something.
    GivenUp {
        /// Of what.
        what: &'static str,
        /// How long it had taken.
        after: Duration,
    },
    /// Nobody fetched the link's events.
    EventsLost,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.map(|address| format!("address {}", Printed(address)));
        let name = self.name.as_ref().map(|name| format!("name `{name}`"));
        let service = self.service.map(|service| format!("service {service}"));
        let known = [address, name, service].into_iter().flatten().collect::<Vec<_>>();
        if known.is_empty() { f.write_str("any device") } else { f.write_str(&known.join(", ")) }
    }
}

impl fmt::Display for BleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World(error) => error.fmt(f),
            Self::NotHeard { target, within, heard } => {
                write!(
                    f,
                    "no band with {target} was heard within {within:?}: is it near, charged and without a phone?"
                )?;
                let heard = heard.iter().map(|address| Printed(*address).to_string()).collect::<Vec<_>>();
                if heard.is_empty() {
                    f.write_str(" Nobody else was heard")
                } else {
                    write!(f, " Heard: {}", heard.join(", "))
                }
            }
            Self::NotConnected { address, why } => {
                write!(f, "{} was heard but did not connect ({why}): another phone may be faster", Printed(*address))
            }
            Self::NotResolved { address } => write!(f, "the services of {} did not become known", Printed(*address)),
            Self::NotAnswered { within } => {
                write!(f, "the band did not answer a request within {within:?}, which ends the link")
            }
            Self::GivenUp { what, after } => {
                write!(f, "{what} had taken {:.1} s when the phone gave it up", after.as_secs_f64())
            }
            Self::EventsLost => f.write_str("events of the link were not fetched and are lost"),
        }
    }
}

impl std::error::Error for BleError {}

impl From<BluezError> for BleError {
    fn from(error: BluezError) -> Self {
        Self::World(error)
    }
}

/// A phone's radio. Dropping it drops the link.
#[derive(Debug)]
pub struct Ble {
    commands: Option<mpsc::Sender<LinkCommand>>,
    events: Receiver<LinkEvent>,
    trouble: Arc<Mutex<Option<BleError>>>,
    thread: Option<JoinHandle<()>>,
}

/// The other end of a [`Ble`].
struct Ends {
    commands: mpsc::Receiver<LinkCommand>,
    events: SyncSender<LinkEvent>,
    trouble: Arc<Mutex<Option<BleError>>>,
}

impl Ble {
    /// Opens the adapter and switches it on. The band is not looked for until [`LinkCommand::Connect`].
    ///
    /// # Errors
    /// [`BleError::World`].
    pub fn open(config: Config) -> Result<Self, BleError> {
        let (commands, queue) = mpsc::channel(MAX_COMMANDS_QUEUED);
        let (sender, events) = sync_channel(MAX_EVENTS_QUEUED);
        let (opening, opened) = sync_channel(1);
        let trouble = Arc::new(Mutex::new(None));
        let ends = Ends { commands: queue, events: sender, trouble: Arc::clone(&trouble) };
        let thread = std::thread::Builder::new()
            .name("ble".into())
            .spawn(move || run(config, ends, &opening))
            .map_err(|error| BluezError::Machine(error.to_string()))?;
        opened.recv().map_err(|_| BluezError::Machine("its thread ended".into()))??;
        Ok(Self { commands: Some(commands), events, trouble, thread: Some(thread) })
    }

    /// Asks the link for something. What comes of it is an event.
    pub fn send(&self, command: LinkCommand) {
        if let Some(commands) = &self.commands {
            // A queue that is full belongs to a link that stands still; the phone's own deadlines end that.
            let _ = commands.try_send(command);
        }
    }

    /// The next event; `None` when there is none until `deadline`.
    #[must_use]
    pub fn recv_deadline(&self, deadline: Instant) -> Option<LinkEvent> {
        self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// Why the last thing that went wrong did, once. An error of the world breaks a case, it does not fail it.
    #[must_use]
    pub fn trouble(&self) -> Option<BleError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Ble {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Ends {
    fn tell(&self, event: LinkEvent) {
        if self.events.try_send(event).is_err() {
            self.blame(BleError::EventsLost);
        }
    }

    fn blame(&self, error: BleError) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// A new link answers for nothing that was before it.
    fn forgive(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn run(config: Config, ends: Ends, opening: &SyncSender<Result<(), BleError>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(opening.send(Err(BluezError::Machine(error.to_string()).into()))),
    };
    runtime.block_on(async {
        let opened = async {
            let world = World::open(&config.adapter).await?;
            world.power_on().await?;
            Ok(world)
        };
        match opened.await {
            Ok(world) => {
                let _ = opening.send(Ok(()));
                central::Central::new(config, world, ends).run().await;
            }
            Err(error) => drop(opening.send(Err(BleError::World(error)))),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(500));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_that_was_not_heard_is_named_with_what_was() {
        let target = Target { address: Some([0xD4, 0x2F, 0x6B, 0x0A, 0x51, 0x7E]), name: None, service: None };
        let error =
            BleError::NotHeard { target, within: Duration::from_secs(10), heard: vec![[0, 0xAA, 1, 0, 0, 0x2A]] };
        assert_eq!(
            error.to_string(),
            "no band with address D4:2F:6B:0A:51:7E was heard within 10s: is it near, charged and without a phone? \
             Heard: 00:AA:01:00:00:2A"
        );
    }

    #[test]
    fn what_the_phone_gave_up_is_named_until_there_is_another_link() {
        let trouble = Arc::default();
        let ends = Ends { commands: mpsc::channel(1).1, events: sync_channel(1).0, trouble: Arc::clone(&trouble) };
        ends.blame(BleError::GivenUp { what: "the connection", after: Duration::from_millis(30_040) });
        let named = trouble.lock().unwrap().as_ref().map(ToString::to_string);
        assert_eq!(named.as_deref(), Some("the connection had taken 30.0 s when the phone gave it up"));
        ends.forgive();
        assert_eq!(*trouble.lock().unwrap(), None);
    }

    #[test]
    fn a_world_without_a_bus_or_an_adapter_is_a_named_error() {
        let config = Config {
            adapter: "hci99".into(),
            band: Target { address: None, name: None, service: None },
            deadlines: Deadlines::default(),
            hang_up: HangUp::default(),
        };
        let Err(BleError::World(error)) = Ble::open(config) else { panic!("there is no hci99") };
        assert!(!error.to_string().is_empty());
    }
}
