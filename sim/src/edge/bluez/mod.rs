//! The band as a Bluetooth peripheral on BlueZ, built from its profile: what is in the attribute table is served, what the
//! band notifies goes out, who connects is told to the band.
//!
//! ```text
//! world        D-Bus, bluetoothd, the adapter: there, set up, gone
//! claim        the adapter is this band's and no other one's
//! table        the profile as BlueZ wants it, and what is different there
//! application  the table as objects on the bus, and what bluetoothd asks of them
//! serve        one loop over all that happens, from the first connection to the end of the world
//! socket       values without D-Bus: the NFC channel's writes and all notifications
//! ```
//!
//! **One phone at a time.** A band takes one connection; BlueZ takes many, keeps one write socket per characteristic and not
//! per client, and sends a notification to everybody who has subscribed. So the advertisement is taken down while a phone
//! is connected, whoever comes second all the same is disconnected at once, and nothing of a device that is not the
//! session's reaches the band.
//!
//! All of it runs on one thread with its own runtime: BlueZ's calls are handled in the order in which they came, which a
//! runtime with several threads does not keep.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc as queue, watch};

use super::drive::Handle;
use crate::band::Output;

mod application;
mod claim;
mod serve;
pub mod socket;
mod table;
pub mod world;

pub use table::Difference;
pub use world::BluezError;

/// What the band does that has not gone out yet; past it, it is lost, as notifications are when nobody listens.
const MAX_OUTPUTS_QUEUED: usize = 1024;
/// Between two looks whether the world is there again.
const RETRY: Duration = Duration::from_millis(500);

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The adapter, by name (`hci1`) or by address (`00:AA:01:01:00:01`).
    pub adapter: String,
}

/// What the edge has to tell about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The table is served and the band advertises. Said again after every recovery, and when something more is not allowed.
    Serving {
        /// Name of the adapter.
        adapter: String,
        /// Its address, which is the band's.
        address: [u8; 6],
        /// What the host does not allow.
        differences: Vec<Difference>,
    },
    /// A phone has connected.
    Connected {
        /// Its address.
        device: [u8; 6],
    },
    /// It is gone.
    Disconnected {
        /// Its address.
        device: [u8; 6],
    },
    /// A second device had connected and was disconnected.
    TurnedAway {
        /// Its address.
        device: [u8; 6],
    },
    /// Notifications did not get out: bluetoothd does not take them fast enough.
    Lost {
        /// How many since the last such notice.
        notifications: u64,
    },
    /// The world broke, or is broken in another way than before; the edge waits for it to come back.
    Broken(BluezError),
}

/// A band that is being served.
#[derive(Debug)]
pub struct Peripheral {
    address: [u8; 6],
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What only the band can decide about the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    linked: bool,
    advertising: bool,
}

/// The address of an adapter: it is the band's, so the band's identity must have it before the band is made.
///
/// # Errors
/// No D-Bus, no bluetoothd, no such adapter.
pub fn adapter_address(adapter: &str) -> Result<[u8; 6], BluezError> {
    runtime()?.block_on(async { Ok(world::World::open(adapter).await?.address()) })
}

impl Peripheral {
    /// Serves the band and returns when it can be found. From then on a world that breaks is waited for; everything worth
    /// a line goes to `notices`, which is called on the edge's thread.
    ///
    /// # Errors
    /// Whatever keeps the band from being served now.
    pub fn start(
        band: &Handle,
        config: Config,
        notices: impl FnMut(Notice) + Send + 'static,
    ) -> Result<Self, BluezError> {
        let (stop, stopped) = watch::channel(false);
        let (started, start) = mpsc::sync_channel(1);
        let edge = Edge::new(band, config, Box::new(notices), stopped);
        let thread = std::thread::Builder::new()
            .name("bluez".into())
            .spawn(move || edge.run(&started))
            .map_err(|error| BluezError::Machine(format!("{error}")))?;
        let address = start.recv().map_err(|_| BluezError::Machine("its thread ended".into()))??;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// The address it has on the air, as it is printed.
    #[must_use]
    pub const fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Disconnects the phone, takes everything down and waits for it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Peripheral {
    fn drop(&mut self) {
        self.end();
    }
}

/// What lives as long as the edge, whatever happens to the world.
struct Edge {
    band: Handle,
    config: Config,
    claim: Option<claim::Claim>,
    /// The adapter's name before it had the band's.
    old_alias: Option<String>,
    notices: Box<dyn FnMut(Notice) + Send>,
    stopped: watch::Receiver<bool>,
    outputs: queue::Receiver<Output>,
    wish: watch::Receiver<Wish>,
    lost: Arc<core::sync::atomic::AtomicU64>,
}

impl Edge {
    fn new(
        band: &Handle,
        config: Config,
        notices: Box<dyn FnMut(Notice) + Send>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let (sender, outputs) = queue::channel(MAX_OUTPUTS_QUEUED);
        let lost = Arc::<core::sync::atomic::AtomicU64>::default();
        let not_sent = lost.clone();
        band.on_output(move |output| {
            if matches!(output, Output::Notify { .. } | Output::Disconnect) && sender.try_send(output.clone()).is_err()
            {
                not_sent.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            }
        });
        let (wishes, wish) = watch::channel(band.inspect(Wish::of));
        band.on_settled(move |band| {
            let now = Wish::of(band);
            wishes.send_if_modified(|wish| core::mem::replace(wish, now) != now);
        });
        Self { band: band.clone(), config, claim: None, old_alias: None, notices, stopped, outputs, wish, lost }
    }

    fn run(mut self, started: &mpsc::SyncSender<Result<[u8; 6], BluezError>>) {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        runtime.block_on(async {
            let mut started = Some(started);
            let mut broken = None;
            let mut stopped = self.stopped.clone();
            while !*self.stopped.borrow() {
                let begun = tokio::select! {
                    biased;
                    () = stop_asked(&mut stopped) => break,
                    begun = serve::Serve::begin(&mut self, broken.as_ref()) => begun,
                };
                let ended = match begun {
                    Ok((serve, address)) => {
                        broken = None;
                        if let Some(started) = started.take() {
                            let _ = started.send(Ok(address));
                        }
                        serve.run(&mut self).await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = ended {
                    if let Some(started) = started {
                        return drop(started.send(Err(error)));
                    }
                    if broken.as_ref() != Some(&error) {
                        (self.notices)(Notice::Broken(error.clone()));
                    }
                    broken = Some(error);
                }
                let _ = tokio::time::timeout(RETRY, stop_asked(&mut self.stopped)).await;
            }
        });
        // What bluetoothd is still asked to take down is worth this much waiting; it does so by itself when we are gone.
        runtime.shutdown_timeout(RETRY);
    }
}

impl Wish {
    fn of(band: &crate::band::Band) -> Self {
        Self { linked: band.is_linked(), advertising: band.advertising().is_some() }
    }
}

/// Returns when the peripheral is stopped, or nobody is left who could.
async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn runtime() -> Result<tokio::runtime::Runtime, BluezError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| BluezError::Machine(format!("{error}")))
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving { adapter, address, .. } => write!(f, "serving on {adapter}, {}", Printed(*address)),
            Self::Connected { device } => write!(f, "{} connected", Printed(*device)),
            Self::Disconnected { device } => write!(f, "{} disconnected", Printed(*device)),
            Self::TurnedAway { device } => {
                write!(f, "{} turned away: the band has a phone already", Printed(*device))
            }
            Self::Lost { notifications } => {
                write!(f, "{notifications} notifications lost: bluetoothd does not take them")
            }
            Self::Broken(error) => write!(f, "{error}; waiting for it to come back"),
        }
    }
}

/// An address as it is printed: `D4:2F:6B:0A:51:7E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed(pub [u8; 6]);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}
