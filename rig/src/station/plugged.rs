//! A carrier through a real pcscd: the band lies in its virtual reader (vpcd), the terminal comes in as any program would.
//!
//! Two threads stand around the world's own. One lies in the reader as the card and passes on what arrives there; the other one is
//! the connection's, which waits in PC/SC. The world's thread waits for either to say something, so the band is never shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use band_sim::edge::vpcd::{self, Event, Plug, VirtualCard};

use super::carrier::{CardEnd, Carrier, Passage, ToCard};
use crate::link::pcsc::{Config, Connection, PcscError};

/// More than any exchange takes of the world's side: when it is over the card counts as gone.
const WORLD_ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// What the card says while no tap is under way: conditions of use not satisfied.
const NO_TAP: [u8; 2] = [0x69, 0x85];
/// What the reader hears of a card that answers no more: no precise diagnosis.
const GONE: [u8; 2] = [0x6F, 0x00];

/// A band in the virtual reader of pcscd.
#[derive(Debug)]
pub struct Plugged {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    plug: Plug,
    /// Whether somebody listens for what arrives at the card.
    tapping: Arc<AtomicBool>,
    messages: mpsc::Sender<Message>,
    slot: Mutex<Option<Slot>>,
    free: Condvar,
}

/// What a tap needs for itself.
#[derive(Debug)]
struct Slot {
    inbox: mpsc::Receiver<Message>,
    connection: Option<Connection>,
}

#[derive(Debug)]
enum Message {
    Power(bool),
    Command(Vec<u8>, mpsc::Sender<Option<Vec<u8>>>),
    Opened(Result<Connection, PcscError>),
    Answered(Result<Vec<u8>, PcscError>),
}

impl Plugged {
    /// Puts a band into the virtual reader `plug` and finds it there through `reader`.
    ///
    /// # Errors
    /// What is in the way, in words.
    pub fn start(reader: Config, plug: vpcd::Config) -> Result<Self, String> {
        let (messages, inbox) = mpsc::channel();
        let tapping = Arc::new(AtomicBool::new(false));
        let hand = Plug::new(true);
        let place = format!("{}:{}", plug.host, plug.port);
        let mut card = Relay { messages: messages.clone(), tapping: Arc::clone(&tapping) };
        let unreachable = Arc::new(Mutex::new(None));
        let thread = std::thread::spawn({
            let (hand, unreachable) = (hand.clone(), Arc::clone(&unreachable));
            move || {
                vpcd::serve(&mut card, &hand, plug, |event| match event {
                    Event::Unreachable(error) => *lock(&unreachable) = Some(error.to_string()),
                    Event::Plugged(_) => *lock(&unreachable) = None,
                    _ => {}
                });
            }
        });
        let shared = Shared {
            config: reader,
            plug: hand,
            tapping,
            messages,
            slot: Mutex::new(Some(Slot { inbox, connection: None })),
            free: Condvar::new(),
        };
        let plugged = Self { shared: Arc::new(shared), thread: Some(thread) };
        // A tap with nobody behind the card: all that stands between is there, or says what is wrong.
        match plugged.begin(&mut |_| None) {
            Ok(_) => Ok(plugged),
            Err(words) => Err(match lock(&unreachable).take() {
                None => words,
                Some(error) => format!(
                    "{words}; and the virtual reader at {place} cannot be reached ({error}): install vsmartcard-vpcd and start pcscd again"
                ),
            }),
        }
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        // The terminal lets go first: pcscd would try to reset a card that is gone.
        if let Some(slot) = lock(&self.shared.slot).as_mut() {
            slot.connection = None;
        }
        self.shared.plug.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Carrier for Plugged {
    fn begin(&self, card: CardEnd<'_>) -> Result<Box<dyn Passage>, String> {
        let mut tap = PluggedTap { slot: Some(self.shared.take_slot()), shared: Arc::clone(&self.shared) };
        self.shared.tapping.store(true, Ordering::SeqCst);
        tap.connect(card).map_err(|error| error.to_string())?;
        Ok(Box::new(tap))
    }
}

impl Shared {
    /// Waits until no other tap is under way.
    fn take_slot(&self) -> Slot {
        let mut slot = lock(&self.slot);
        loop {
            match slot.take() {
                Some(taken) => return taken,
                None => slot = self.free.wait(slot).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// One tap through the reader.
#[derive(Debug)]
struct PluggedTap {
    /// `None` only while it is dropped.
    slot: Option<Slot>,
    shared: Arc<Shared>,
}

impl PluggedTap {
    /// A connection whose card has just been reset: the one there is, or a new one.
    fn connect(&mut self, card: CardEnd<'_>) -> Result<(), PcscError> {
        let Some(slot) = &mut self.slot else { return Err(PcscError::Restarted) };
        if let Some(connection) = slot.connection.take() {
            let sender = self.shared.messages.clone();
            connection.reset(move |result| drop(sender.send(Message::Answered(result))))?;
            if let Ok(Message::Answered(Ok(_))) = slot.wait(connection.answer_within(), card, &mut false) {
                slot.connection = Some(connection);
                return Ok(());
            }
            // The card left and came back meanwhile, or pcscd did.
        }
        let (config, sender) = (self.shared.config.clone(), self.shared.messages.clone());
        std::thread::spawn(move || drop(sender.send(Message::Opened(Connection::open(&config)))));
        let patience = 2 * (self.shared.config.card_within + self.shared.config.answer_within);
        match slot.wait(patience, card, &mut false)? {
            Message::Opened(opened) => slot.connection = Some(opened?),
            _ => return Err(PcscError::Restarted),
        }
        Ok(())
    }
}

impl Passage for PluggedTap {
    fn exchange(&mut self, command: &[u8], card: CardEnd<'_>) -> Result<Option<Vec<u8>>, String> {
        let Some(slot) = &mut self.slot else { return Ok(None) };
        let Some(connection) = slot.connection.take() else { return Ok(None) };
        let sender = self.shared.messages.clone();
        let started = connection.start(command, move |result| drop(sender.send(Message::Answered(result))));
        started.map_err(|error| error.to_string())?;
        let mut gone = false;
        match slot.wait(connection.answer_within(), card, &mut gone) {
            Ok(Message::Answered(Ok(answer))) => {
                slot.connection = Some(connection);
                Ok((!gone).then_some(answer))
            }
            Ok(Message::Answered(Err(error))) | Err(error) => Err(error.to_string()),
            Ok(_) => Err(PcscError::Restarted.to_string()),
        }
    }
}

impl Drop for PluggedTap {
    fn drop(&mut self) {
        self.shared.tapping.store(false, Ordering::SeqCst);
        if let Some(slot) = self.slot.take() {
            // What was on its way when the tap ended is for nobody.
            while slot.inbox.try_recv().is_ok() {}
            *lock(&self.shared.slot) = Some(slot);
            self.shared.free.notify_one();
        }
    }
}

impl Slot {
    /// Serves the card's end until PC/SC has said something. `gone`: the card answered no more.
    fn wait(&self, patience: Duration, card: CardEnd<'_>, gone: &mut bool) -> Result<Message, PcscError> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left).map_err(|_| PcscError::NoAnswer(patience))? {
                Message::Power(on) => drop(card(ToCard::Power(on))),
                Message::Command(command, reply) => {
                    let answer = card(ToCard::Command(command));
                    *gone |= answer.is_none();
                    // The relay may have given up.
                    let _ = reply.send(answer);
                }
                message => return Ok(message),
            }
        }
    }
}

/// Lies in the reader and passes on what arrives.
struct Relay {
    messages: mpsc::Sender<Message>,
    tapping: Arc<AtomicBool>,
}

impl VirtualCard for Relay {
    fn is_there(&mut self) -> bool {
        true
    }

    fn power(&mut self, on: bool) {
        if self.tapping.load(Ordering::SeqCst) {
            let _ = self.messages.send(Message::Power(on));
        }
    }

    fn transmit(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        if !self.tapping.load(Ordering::SeqCst) {
            return Some(NO_TAP.to_vec());
        }
        let (reply, answer) = mpsc::channel();
        self.messages.send(Message::Command(command.to_vec(), reply)).ok()?;
        // To the terminal a band that left is gone, which the world tells it. Here it stays: pcscd takes seconds to see a card go
        // and come back.
        Some(answer.recv_timeout(WORLD_ANSWERS_WITHIN).ok()?.unwrap_or_else(|| GONE.to_vec()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
