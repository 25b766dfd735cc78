//! A band in real time: one owner, one lock, one loop that wakes the band when a timer is due.
//!
//! Whoever carries bytes to the band (a Bluetooth stack, a reader, a control socket) holds a [`Handle`] and calls it from
//! its own thread; each call is one `handle` and a drain, done in microseconds, and returns the band's answer. There is
//! no queue to fill up and no second thread to wake for an APDU: two switches of threads cost more than the card does.
//! What the band does unasked goes to the listeners, in order.
//!
//! ```
//! use std::sync::Arc;
//! use band_sim::band::{Band, Input, profile::BandProfile};
//! use band_sim::edge::{clock::Clock, drive::Handle};
//! use band_sim::rng::Rng;
//!
//! let file = include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
//! let profile: Arc<BandProfile> = Arc::new(serde_yaml::from_str(file).unwrap());
//! let clock = Clock::start();
//! let handle = Handle::new(Band::new(profile, Rng::new(1), clock.epoch_unix_us()), clock);
//! handle.on_output(|output| println!("{output:?}"));
//!
//! let timers = std::thread::spawn({
//!     let handle = handle.clone();
//!     move || handle.run()
//! });
//! handle.input(Input::Field { on: true });
//! let answer = handle.transmit(&[0x00, 0xB2, 0x01, 0x0C, 0x00]).expect("the band is in the field");
//! assert_eq!(answer, [0x69, 0x85], "nothing is selected");
//! handle.stop();
//! timers.join().unwrap();
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use crate::band::{Band, Input, Output, WriteMode};
use crate::time::Instant;
use crate::wire::gatt::{AttError, Handle as AttHandle};

type OutputListener = Box<dyn FnMut(&Output) + Send>;
type SettledListener = Box<dyn FnMut(&Band) + Send>;

/// A band that runs in real time. Clones are the same band.
///
/// A listener is called with the band locked: it must be quick and must not call the handle.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// The next timer may have changed, or it is time to stop.
    changed: Condvar,
}

struct State {
    band: Band,
    wait: Option<Instant>,
    stopped: bool,
    on_output: Vec<OutputListener>,
    on_settled: Vec<SettledListener>,
}

/// The answers among the outputs of one input.
#[derive(Default)]
struct Answers {
    read: Option<Result<Vec<u8>, AttError>>,
    write: Option<Result<(), AttError>>,
    contactless: Option<Vec<u8>>,
}

impl Handle {
    /// Takes a band over. Its timers run once somebody has called [`Handle::run`].
    #[must_use]
    pub fn new(band: Band, clock: Clock) -> Self {
        let state = State { band, wait: None, stopped: false, on_output: Vec::new(), on_settled: Vec::new() };
        let handle = Self { shared: Arc::new(Shared { clock, state: Mutex::new(state), changed: Condvar::new() }) };
        handle.input(Input::Tick);
        handle
    }

    /// The clock it runs by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Listens to what the band does unasked from now on: notifications, events, its display, dropping the link. Answers
    /// to a read, a write or an APDU are not among it: they go to who asked.
    pub fn on_output(&self, listener: impl FnMut(&Output) + Send + 'static) {
        self.lock().on_output.push(Box::new(listener));
    }

    /// Looks at the band after every input, before its answer goes out: where a state file is kept up to date.
    pub fn on_settled(&self, listener: impl FnMut(&Band) + Send + 'static) {
        self.lock().on_settled.push(Box::new(listener));
    }

    /// Something happened that is answered to nobody: a connection, the field, a button, the battery.
    pub fn input(&self, input: Input) {
        self.handle(input);
    }

    /// The phone reads an attribute: the whole value, however long.
    ///
    /// # Errors
    /// The band's ATT error.
    pub fn read(&self, handle: AttHandle) -> Result<Vec<u8>, AttError> {
        self.handle(Input::Read { handle }).read.unwrap_or(Err(AttError::UnlikelyError))
    }

    /// The phone writes an attribute. A command ([`WriteMode::Command`]) is never refused.
    ///
    /// # Errors
    /// The band's ATT error; [`AttError::UnlikelyError`] when the link went down in it, so that nobody can be answered.
    pub fn write(&self, handle: AttHandle, value: Vec<u8>, mode: WriteMode) -> Result<(), AttError> {
        let answers = self.handle(Input::Write { handle, value, mode });
        answers.write.unwrap_or(match mode {
            WriteMode::Request => Err(AttError::UnlikelyError),
            WriteMode::Command => Ok(()),
        })
    }

    /// The phone switches notifications on or off.
    ///
    /// # Errors
    /// The band's ATT error.
    pub fn subscribe(&self, handle: AttHandle, on: bool) -> Result<(), AttError> {
        self.handle(Input::Subscribe { handle, on }).write.unwrap_or(Err(AttError::UnlikelyError))
    }

    /// A reader sends a command APDU; `None` when the band is off, out of the field, or lost its power in it.
    #[must_use]
    pub fn transmit(&self, apdu: &[u8]) -> Option<Vec<u8>> {
        self.handle(Input::Contactless(apdu.into())).contactless
    }

    /// Looks at the band.
    pub fn inspect<T>(&self, look: impl FnOnce(&Band) -> T) -> T {
        look(&self.lock().band)
    }

    /// Does to the band what only a laboratory can: arms a fault, for instance.
    pub fn adjust<T>(&self, adjust: impl FnOnce(&mut Band) -> T) -> T {
        adjust(&mut self.lock().band)
    }

    /// Puts another band in the place of this one. Links to the old one are gone: say [`Input::Disconnected`] first.
    pub fn replace(&self, band: Band) {
        self.lock().band = band;
        self.input(Input::Tick);
    }

    /// Wakes the band at its timers, until [`Handle::stop`].
    pub fn run(&self) {
        let mut state = self.lock();
        while !state.stopped {
            state = match state.wait.map(|at| self.shared.clock.until(at)) {
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    // A timer that the band does not clear must not turn this into a busy loop.
                    let due = state.wait.take();
                    state.handle(self.shared.clock.now(), Input::Tick);
                    if state.wait == due {
                        state.wait = None;
                    }
                    state
                }
                Some(left) => self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Ends [`Handle::run`]. Calls still work, but no timer fires any more.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.shared.changed.notify_all();
    }

    /// Whether [`Handle::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn handle(&self, input: Input) -> Answers {
        let mut state = self.lock();
        let before = state.wait;
        let answers = state.handle(self.shared.clock.now(), input);
        let wake = state.wait != before;
        drop(state);
        if wake {
            self.shared.changed.notify_all();
        }
        answers
    }

    /// The state; also after a listener has panicked, as the band itself never does.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn handle(&mut self, now: Instant, input: Input) -> Answers {
        self.band.handle(now, input);
        let mut answers = Answers::default();
        self.wait = loop {
            match self.band.poll() {
                Output::ReadReply(reply) => answers.read = Some(reply),
                Output::WriteReply(reply) => answers.write = Some(reply),
                Output::Contactless(answer) => answers.contactless = Some(answer),
                Output::Wait(until) => break until,
                output => self.on_output.iter_mut().for_each(|listener| listener(&output)),
            }
        };
        self.on_settled.iter_mut().for_each(|listener| listener(&self.band));
        answers
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("band", &self.lock().band).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::band::period::Period;
    use crate::band::profile::BandProfile;
    use crate::band::{Button, Display};
    use crate::rng::Rng;
    use crate::wire::gatt::CharacteristicId;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn profile() -> BandProfile {
        serde_yaml::from_str(include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml")).unwrap()
    }

    fn handle(profile: BandProfile) -> Handle {
        let clock = Clock::start();
        Handle::new(Band::new(Arc::new(profile), Rng::new(3), clock.epoch_unix_us()), clock)
    }

    fn value_handle(id: CharacteristicId) -> AttHandle {
        profile().gatt.value_handle(&id).unwrap()
    }

    #[test]
    fn each_question_gets_its_own_answer() {
        let handle = handle(profile());
        let auth = value_handle(CharacteristicId::AUTH);
        handle.input(Input::Connected { mtu: 23 });
        assert_eq!(handle.subscribe(auth, true), Ok(()));
        assert!(handle.read(value_handle(CharacteristicId::BATTERY)).is_ok());
        assert!(handle.read(AttHandle(0xFFFF)).is_err());
        assert!(handle.write(AttHandle(0xFFFF), alloc::vec![1], WriteMode::Request).is_err());
        assert_eq!(handle.write(AttHandle(0xFFFF), alloc::vec![1], WriteMode::Command), Ok(()));
        assert_eq!(handle.transmit(&[0, 0xB0, 0, 0, 0]), None, "out of the field");
        handle.input(Input::Field { on: true });
        assert!(handle.transmit(&[0, 0xB0, 0, 0, 0]).is_some());
    }

    #[test]
    fn what_the_band_does_unasked_reaches_every_listener() {
        let handle = handle(profile());
        let (sender, heard) = mpsc::channel();
        for _ in 0..2 {
            let sender = sender.clone();
            handle.on_output(move |output| sender.send(output.clone()).unwrap());
        }
        handle.input(Input::Battery { level: 5, charging: false });
        handle.input(Input::Button(Button::FactoryReset));
        let heard = heard.try_iter().collect::<Vec<_>>();
        assert!(!heard.is_empty() && heard.chunks(2).all(|pair| pair[0] == pair[1]), "{heard:?}");
    }

    #[test]
    fn a_timer_fires_by_itself() {
        let mut profile = profile();
        profile.authentication.confirm_timeout.value = Period(Duration::from_millis(20));
        let handle = handle(profile);
        let (sender, shown) = mpsc::channel();
        handle.on_output(move |output| {
            if let Output::Display(display) = output {
                let _ = sender.send(display.clone());
            }
        });
        let timers = std::thread::spawn({
            let handle = handle.clone();
            move || handle.run()
        });
        let auth = value_handle(CharacteristicId::AUTH);
        handle.input(Input::Connected { mtu: 247 });
        handle.subscribe(auth, true).unwrap();
        let key = [&[0x01, 0x00][..], &[0x5A; 16]].concat();
        handle.write(auth, key, WriteMode::Command).unwrap();
        assert_eq!(shown.recv_timeout(PATIENCE), Ok(Display::ConfirmPairing));
        assert_eq!(shown.recv_timeout(PATIENCE), Ok(Display::Idle), "the question goes away unanswered");
        handle.stop();
        timers.join().unwrap();
        assert!(handle.is_stopped());
    }

    #[test]
    fn a_band_is_seen_before_its_answer_goes_out() {
        let handle = handle(profile());
        let (sender, seen) = mpsc::channel();
        handle.on_settled(move |band| sender.send(band.nvm_writes(crate::band::Memory::Device)).unwrap());
        handle.input(Input::Field { on: true });
        let _ = handle.transmit(&[0, 0xB0, 0, 0, 0]);
        assert_eq!(seen.try_iter().count(), 2);
    }

    #[test]
    fn another_band_takes_the_place_of_this_one() {
        let handle = handle(profile());
        let first = handle.inspect(|band| band.card().cplc().to_vec());
        let clock = handle.clock();
        handle.replace(Band::new(Arc::new(profile()), Rng::new(4), clock.epoch_unix_us()));
        assert_ne!(handle.inspect(|band| band.card().cplc().to_vec()), first);
    }
}
