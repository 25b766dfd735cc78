//! A virtual card in the virtual reader of pcscd (vpcd, of the vsmartcard project): plain TCP, no system library.
//!
//! The card is the client. [`serve`] connects, does what the reader says, and connects again whenever the reader went
//! away, until [`Plug::stop`]. Being connected is being held to the reader; [`Plug::hold_to_reader`] takes the band away.
//!
//! The reader has no timeout at all and hangs for ever on some lengths. None of them is sent by this side: an answer
//! always has a status word. When the reader itself hangs on what its client sent (a command of no bytes, of the single
//! byte 00), it stops asking for the answer to reset, as it otherwise does all the time; the watchdog then unplugs the
//! card, which frees it, and plugs it in again.
//!
//! The reader sends a length and its bytes apart. Left to itself the kernel delays the acknowledgement of the first by
//! 40 ms and the reader's waits for it, so quick acknowledgement is asked for again after each read: twenty exchanges a
//! second become ten thousand.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

mod reader;
mod stream;

pub use reader::{Coupling, answer_to_reset};
pub use stream::{MAX_MESSAGE_BYTES, Message, Stream, encode};

use crate::band::Input;
use crate::edge::drive::Handle;
use crate::rng::Rng;
use crate::wire::apdu::RApdu;
use crate::wire::sw::Sw;

/// Where the reader is, and how the card lies in it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host of the reader.
    pub host: String,
    /// Its TCP port; a second slot has the next one.
    pub port: u16,
    /// How the card lies in it.
    pub coupling: Coupling,
    /// Historical bytes of the answer to reset, at most 15. `assumed`: no source has those of the band.
    pub historical_bytes: Vec<u8>,
    /// How long the reader may ask nothing before the card is unplugged and plugged in again. pcscd looks for a card
    /// more than once a second.
    pub watchdog: Duration,
    /// How long to wait before trying again a reader that is not there.
    pub retry: Duration,
    /// How long a card that left stays away, so that pcscd notices: it looks every 400 ms, and takes a card that was gone in
    /// between for one that has gone mad.
    pub away: Duration,
    /// How long the reader may leave a card that has just come without power before that card leaves and comes once more. pcscd
    /// gives it within half a second, unless it takes the card for the one that lay there a moment ago.
    pub noticed: Duration,
    /// Makes the numbers (UID) that the card shows.
    pub rng: Rng,
}

impl Config {
    /// The port of vpcd's first slot.
    pub const DEFAULT_PORT: u16 = 35963;

    /// A contactless card in the first slot of this machine's reader.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self {
            host: "localhost".to_string(),
            port: Self::DEFAULT_PORT,
            coupling: Coupling::Contactless,
            historical_bytes: Vec::new(),
            watchdog: Duration::from_secs(6),
            retry: Duration::from_millis(250),
            away: Duration::from_secs(1),
            noticed: Duration::from_secs(2),
            rng,
        }
    }
}

/// What lies in the reader.
pub trait VirtualCard {
    /// Whether there is a card that could be held to the reader.
    fn is_there(&mut self) -> bool;
    /// Power comes or goes. Without it everything volatile is forgotten.
    fn power(&mut self, on: bool);
    /// A command APDU, or what a client sent instead; `None` when the card is gone.
    fn transmit(&mut self, command: &[u8]) -> Option<Vec<u8>>;
}

impl VirtualCard for Handle {
    fn is_there(&mut self) -> bool {
        self.inspect(|band| band.is_powered())
    }

    fn power(&mut self, on: bool) {
        self.input(Input::Field { on });
    }

    fn transmit(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        Self::transmit(self, command)
    }
}

/// What happens at the reader, for a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The reader cannot be reached; it is tried again. Told once until that changes.
    Unreachable(&'a io::Error),
    /// The card lies in the reader.
    Plugged(SocketAddr),
    /// The reader switched the power.
    Power(bool),
    /// The reader did a reset.
    Reset,
    /// A command and its answer: card data in clear.
    Exchange(&'a [u8], &'a [u8]),
    /// The card is no longer in the reader.
    Unplugged(Reason),
}

/// Why a card is no longer in the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Taken away by [`Plug::hold_to_reader`].
    TakenAway,
    /// [`Plug::stop`].
    Stopped,
    /// The reader closed the connection: pcscd ended, or it did not like a message.
    ReaderClosed,
    /// The reader asked nothing for so long: it hangs, or another card lies in it.
    Silence(Duration),
    /// The reader gave it no power for so long: it has not noticed that this is another card.
    Unnoticed(Duration),
    /// The card answers no more.
    CardGone,
    /// The connection failed.
    Failed(io::ErrorKind),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenAway => f.write_str("taken away"),
            Self::Stopped => f.write_str("stopped"),
            Self::ReaderClosed => f.write_str("the reader closed the connection"),
            Self::Silence(time) => {
                write!(f, "the reader asked nothing for {time:?}: it hangs, or another card lies in it")
            }
            Self::Unnoticed(time) => {
                write!(f, "the reader gave no power for {time:?}: it takes the card for an earlier one")
            }
            Self::CardGone => f.write_str("the card answers no more"),
            Self::Failed(kind) => write!(f, "the connection failed: {kind}"),
        }
    }
}

/// The hand that holds the card to the reader. Clones are the same hand.
#[derive(Clone, Debug)]
pub struct Plug {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    held: bool,
    stopped: bool,
    connection: Option<TcpStream>,
}

impl Plug {
    /// A hand that holds the card to the reader, or not yet.
    #[must_use]
    pub fn new(held: bool) -> Self {
        let state = State { held, stopped: false, connection: None };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    /// Holds the card to the reader or takes it away.
    pub fn hold_to_reader(&self, held: bool) {
        let mut state = self.lock();
        state.held = held;
        if !held {
            state.disconnect();
        }
        self.shared.changed.notify_all();
    }

    /// Ends [`serve`].
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.disconnect();
        self.shared.changed.notify_all();
    }

    /// Whether [`Plug::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits until the card is held to the reader; false when it is time to stop.
    fn wait_until_held(&self) -> bool {
        let waits = |state: &mut State| !state.held && !state.stopped;
        let state = self.shared.changed.wait_while(self.lock(), waits);
        !state.unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// Waits for a while, or until something changes.
    fn pause(&self, time: Duration) {
        let waits = |state: &mut State| state.held && !state.stopped;
        drop(self.shared.changed.wait_timeout_while(self.lock(), time, waits));
    }

    /// Waits for a while, or until it is time to stop.
    fn stay_away(&self, time: Duration) {
        drop(self.shared.changed.wait_timeout_while(self.lock(), time, |state| !state.stopped));
    }

    /// Takes note of a connection, which is cut when the card is taken away.
    fn connected(&self, connection: &TcpStream) -> io::Result<()> {
        let mut state = self.lock();
        state.connection = Some(connection.try_clone()?);
        if !state.held || state.stopped {
            state.disconnect();
        }
        Ok(())
    }

    /// The connection is over: why, if it was this hand.
    fn disconnected(&self) -> Option<Reason> {
        let mut state = self.lock();
        state.connection = None;
        match (state.stopped, state.held) {
            (true, _) => Some(Reason::Stopped),
            (false, false) => Some(Reason::TakenAway),
            (false, true) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Lies in the reader as `card` until the plug is stopped. Blocks; `observe` is told what happens.
pub fn serve(card: &mut impl VirtualCard, plug: &Plug, config: Config, mut observe: impl FnMut(Event<'_>)) {
    let mut told_unreachable = false;
    let atr = answer_to_reset(config.coupling, &config.historical_bytes);
    let mut slot = Slot { uid: [0; 4], atr, config, powered: false, came_twice: false };
    while plug.wait_until_held() {
        if !card.is_there() {
            plug.pause(slot.config.retry);
            continue;
        }
        let ended = match slot.connect() {
            Ok((connection, address)) => {
                told_unreachable = false;
                observe(Event::Plugged(address));
                let ended = slot.lie(card, plug, connection, &mut observe);
                card.power(false);
                ended
            }
            Err(error) => {
                if !core::mem::replace(&mut told_unreachable, true) {
                    observe(Event::Unreachable(&error));
                }
                plug.pause(slot.config.retry);
                continue;
            }
        };
        observe(Event::Unplugged(plug.disconnected().unwrap_or(ended)));
        plug.stay_away(slot.config.away);
    }
}

/// The reader's slot as the card sees it.
struct Slot {
    config: Config,
    atr: Vec<u8>,
    uid: [u8; 4],
    /// Since it came.
    powered: bool,
    /// Whether it has left once to be noticed. A reader that gives no power even then gives it when it is asked to.
    came_twice: bool,
}

impl Slot {
    fn connect(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses(&self.config.host, self.config.port)? {
            match TcpStream::connect_timeout(&address, self.config.watchdog) {
                Ok(connection) => {
                    connection.set_read_timeout(Some(self.config.watchdog))?;
                    connection.set_write_timeout(Some(self.config.watchdog))?;
                    connection.set_nodelay(true)?;
                    acknowledge_quickly(&connection);
                    return Ok((connection, address));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// One connection, to its end.
    fn lie(
        &mut self,
        card: &mut impl VirtualCard,
        plug: &Plug,
        mut connection: TcpStream,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Reason {
        if let Err(error) = plug.connected(&connection) {
            return Reason::Failed(error.kind());
        }
        let mut stream = Stream::default();
        let mut bytes = [0; 4096];
        let came = Instant::now();
        self.powered = false;
        loop {
            let arrived = match connection.read(&mut bytes) {
                Ok(0) => return Reason::ReaderClosed,
                Ok(count) => bytes.get(..count).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.failure(&error),
            };
            acknowledge_quickly(&connection);
            if !self.powered && !self.came_twice && came.elapsed() >= self.config.noticed {
                self.came_twice = true;
                return Reason::Unnoticed(self.config.noticed);
            }
            stream.push(arrived);
            while let Some(message) = stream.next_message() {
                let answer = match self.handle(card, message, observe) {
                    Ok(Some(answer)) => answer,
                    Ok(None) => continue,
                    Err(CardGone) => return Reason::CardGone,
                };
                if let Err(error) = connection.write_all(&answer) {
                    return self.failure(&error);
                }
            }
        }
    }

    /// What a message is answered with, encoded.
    fn handle(
        &mut self,
        card: &mut impl VirtualCard,
        message: Message,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<Vec<u8>>, CardGone> {
        match message {
            Message::PowerOff => {
                card.power(false);
                observe(Event::Power(false));
            }
            Message::PowerOn => {
                self.uid = reader::random_uid(&mut self.config.rng);
                card.power(true);
                self.give_power();
                observe(Event::Power(true));
            }
            Message::Reset => {
                self.uid = reader::random_uid(&mut self.config.rng);
                card.power(false);
                card.power(true);
                self.give_power();
                observe(Event::Reset);
            }
            Message::GetAtr => return Ok(encode(&self.atr)),
            Message::Apdu(command) => {
                let reader = reader::answer(self.config.coupling, &self.uid, &self.config.historical_bytes, &command);
                let answer = match reader {
                    Some(answer) => answer,
                    None => card.transmit(&reader::asking(&command)).ok_or(CardGone)?,
                };
                observe(Event::Exchange(&command, &answer));
                return Ok(encode(&answer).or_else(|| encode(&RApdu::sw(Sw::UNKNOWN).encode())));
            }
        }
        Ok(None)
    }

    const fn give_power(&mut self) {
        self.powered = true;
        self.came_twice = false;
    }

    fn failure(&self, error: &io::Error) -> Reason {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Reason::Silence(self.config.watchdog),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Reason::ReaderClosed,
            kind => Reason::Failed(kind),
        }
    }
}

/// Where a reader may be. Machines without a list of hosts do not know themselves by name.
fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // RFC 6761 6.3
    if host == "localhost" {
        return Ok([SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))].into());
    }
    Ok((host, port).to_socket_addrs()?.collect())
}

/// The card answers no more.
struct CardGone;

/// Asks for the next bytes to be acknowledged at once; the kernel forgets it by itself. Without it all is only slower.
fn acknowledge_quickly(connection: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = std::os::linux::net::TcpStreamExt::set_quickack(connection, true);
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}

#[cfg(test)]
mod tests;
