//! The wearer's hands and the laboratory's instruments on a band in another process: `band --control PATH`.
//!
//! A Unix socket that only its owner may open; one JSON object a line each way, an [`Ask`] for an [`Answer`]. Nothing here goes
//! over the air: what a phone or a reader can see of a band, it must see through Bluetooth or the field.
//!
//! ```text
//! {"ask":"press","button":"confirm","when_asked":true}     {"answer":"done"}
//! {"ask":"look"}                                           {"answer":"seen","cards":[],"applets":0,"paired":false,…}
//! ```

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Button, Display, Input, Memory, MemoryImage, Output};
use band_sim::edge::drive::Handle;
use band_sim::rng::Rng;
use serde::{Deserialize, Serialize};

use super::world::Inside;

/// A band whose memories are not new was started before.
const STARTED_AGAIN: u64 = 1;
/// How long a press waits for the band to ask for it.
const ASKED_WITHIN: Duration = Duration::from_secs(20);
/// How long a client waits for an answer: longer than any answer takes.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// The longest line; a whole profile takes about 40 kB.
const LONGEST_LINE_BYTES: u64 = 1 << 20;

/// What can be asked of a band by those who hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Press a key; `when_asked`: not before the band asks to confirm a pairing.
    Press {
        /// The key.
        button: Button,
        /// Whether to wait for the question.
        #[serde(default)]
        when_asked: bool,
    },
    /// Cut the power or restore it.
    Power {
        /// Whether there is power from now on.
        on: bool,
    },
    /// Charge or drain the battery.
    Battery {
        /// Percent.
        level: u8,
        /// Whether it is on its charger.
        charging: bool,
    },
    /// Put another band in the place of this one, factory-new or not.
    Renew(Box<NewBand>),
    /// Look into the band.
    Look {},
}

/// A band as it leaves the factory, or with what its memories have held since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBand {
    /// The seed of all that is random in it.
    pub seed: u64,
    /// Its calendar now, microseconds since 1970.
    pub unix_us: i64,
    /// Its profile; the one it has when absent. The attribute table must be the one that is served already.
    #[serde(default)]
    pub profile: Option<BandProfile>,
    /// What its memories hold; as it left the factory when absent.
    #[serde(default)]
    pub memory: Option<MemoryImage>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Done,
    /// A new band is there.
    Renewed {
        /// Its card production life cycle data, by which a token service knows it.
        cplc: Vec<u8>,
    },
    /// What is seen.
    Seen(Box<Seen>),
    /// Not done, and why.
    Refused {
        /// One sentence.
        why: String,
    },
}

/// What is seen of a band by looking into it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Cards, applets, pairing.
    #[serde(flatten)]
    pub inside: Inside,
    /// Digests of the secure element's and the band's own memory.
    pub digests: [[u8; 32]; 2],
    /// How often the band has dropped the link by itself.
    pub dropped_links: u64,
    /// Whether it has power.
    pub powered: bool,
    /// Whether it lies in a reader's field.
    pub in_field: bool,
}

/// Who does what is asked: the band itself in this process, a socket to it, or a person.
pub trait Hands: fmt::Debug + Send {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// Why nobody answered, and what to do about it.
    fn ask(&mut self, ask: Ask) -> Result<Answer, String>;
}

/// What the band shows and does unasked, as far as hands care.
#[derive(Debug, Default)]
struct Shown {
    asks_to_confirm: bool,
    dropped_links: u64,
}

/// The hands on a band of this process.
#[derive(Clone)]
pub struct Control {
    handle: Handle,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

impl Control {
    /// Hands on this band.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let shown = Arc::new((Mutex::new(Shown::default()), Condvar::new()));
        let watch = Arc::clone(&shown);
        handle.on_output(move |output| {
            let mut shown = lock(&watch.0);
            match output {
                Output::Display(display) => shown.asks_to_confirm = *display == Display::ConfirmPairing,
                Output::Disconnect => shown.dropped_links += 1,
                _ => return,
            }
            watch.1.notify_all();
        });
        Self { handle, shown }
    }

    /// Does what is asked.
    #[must_use]
    pub fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Press { button, when_asked } => {
                if when_asked && !self.wait_until_asked() {
                    return refused("the band does not ask to confirm a pairing");
                }
                self.handle.input(Input::Button(button));
                Answer::Done
            }
            Ask::Power { on } => {
                self.handle.input(if on { Input::PowerOn } else { Input::PowerLost });
                Answer::Done
            }
            Ask::Battery { level, charging } => {
                self.handle.input(Input::Battery { level, charging });
                Answer::Done
            }
            Ask::Renew(new) => self.renew(*new),
            Ask::Look {} => Answer::Seen(Box::new(self.look())),
        }
    }

    fn wait_until_asked(&self) -> bool {
        let (shown, changed) = &*self.shown;
        let (shown, _) = changed
            .wait_timeout_while(lock(shown), ASKED_WITHIN, |shown| !shown.asks_to_confirm)
            .unwrap_or_else(PoisonError::into_inner);
        shown.asks_to_confirm
    }

    fn renew(&self, new: NewBand) -> Answer {
        let now_us = i64::try_from(self.handle.clock().now().as_micros()).unwrap_or(i64::MAX);
        let epoch_unix_us = new.unix_us.saturating_sub(now_us);
        let current = self.handle.inspect(|band| band.profile().clone());
        let profile = match new.profile {
            Some(profile) if profile.gatt != current.gatt => {
                return refused("the attribute table cannot change while it is served");
            }
            // The address is that of the adapter it is served on.
            Some(mut profile) => {
                profile.identity.address = current.identity.address;
                profile
            }
            None => current,
        };
        self.handle.input(Input::Disconnected);
        let (profile, seed) = (Arc::new(profile), Rng::new(new.seed));
        self.handle.replace(match new.memory {
            Some(memory) => Band::restored(profile, seed, epoch_unix_us, memory, STARTED_AGAIN),
            None => Band::new(profile, seed, epoch_unix_us),
        });
        lock(&self.shown.0).asks_to_confirm = false;
        Answer::Renewed { cplc: self.handle.inspect(|band| band.card().cplc().to_vec()) }
    }

    fn look(&self) -> Seen {
        let dropped_links = lock(&self.shown.0).dropped_links;
        self.handle.inspect(|band| Seen {
            inside: Inside::of(band),
            digests: [Memory::SecureElement, Memory::Device].map(|memory| band.nvm_digest(memory)),
            dropped_links,
            powered: band.is_powered(),
            in_field: band.is_in_field(),
        })
    }

    /// Answers on a socket until the process ends, on threads of its own.
    ///
    /// # Errors
    /// When the socket cannot be made, or another band answers on it.
    pub fn serve(self, path: &Path) -> io::Result<Socket> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another band answers there"));
        }
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        std::thread::Builder::new().name("control".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let control = self.clone();
                // A thread that cannot be had ends this conversation, not the band.
                let _ = std::thread::Builder::new().name("hands".into()).spawn(move || control.converse(&stream));
            }
        })?;
        Ok(Socket { path: path.to_path_buf() })
    }

    /// Answers one client until it goes away or says something endless.
    fn converse(&self, stream: &UnixStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            match reader.by_ref().take(LONGEST_LINE_BYTES).read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if !line.ends_with('\n') => return,
                Ok(_) => {}
            }
            let answer = match serde_json::from_str(&line) {
                Ok(ask) => self.answer(ask),
                Err(error) => refused(&format!("not understood: {error}")),
            };
            if write_line(stream, &answer).is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Hands for Control {
    fn ask(&mut self, ask: Ask) -> Result<Answer, String> {
        Ok(self.answer(ask))
    }
}

/// The socket's place in the file system; given back when this is dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be gone already; the next band clears what is left.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The hands on a band of another process.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the socket of a `band --control`.
    ///
    /// # Errors
    /// When nobody answers there, in words.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| {
            format!("failed to reach the band at {}: {error}; start it with `band --control {0}`", path.display())
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWERED_WITHIN)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWERED_WITHIN)).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), stream: BufReader::new(stream) })
    }
}

impl Hands for Client {
    fn ask(&mut self, ask: Ask) -> Result<Answer, String> {
        let failed = |what: String| format!("the band at {} does not answer: {what}", self.path.display());
        write_line(self.stream.get_ref(), &ask).map_err(|error| failed(error.to_string()))?;
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(failed("it is gone".into())),
            Ok(_) => serde_json::from_str(&line).map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn write_line(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn refused(why: &str) -> Answer {
    Answer::Refused { why: why.to_owned() }
}

/// What is behind a lock, also after a panic elsewhere: nothing here is ever half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use band_sim::edge::clock::Clock;

    use super::*;

    fn band() -> Handle {
        let profile: BandProfile =
            crate::yaml::from_str(include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml")).unwrap();
        let clock = Clock::start();
        Handle::new(Band::new(Arc::new(profile), Rng::new(1), clock.epoch_unix_us()), clock)
    }

    fn look(hands: &mut impl Hands) -> Seen {
        match hands.ask(Ask::Look {}).unwrap() {
            Answer::Seen(seen) => *seen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_socket_says_what_the_hands_themselves_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("band.sock");
        let handle = band();
        let mut here = Control::new(handle.clone());
        let socket = here.clone().serve(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut there = Client::connect(&path).unwrap();
        assert_eq!(look(&mut here), look(&mut there));

        assert_eq!(there.ask(Ask::Power { on: false }), Ok(Answer::Done));
        assert!(!look(&mut here).powered);
        assert_eq!(there.ask(Ask::Power { on: true }), Ok(Answer::Done));
        let cplc = handle.inspect(|band| band.card().cplc().to_vec());
        let profile = handle.inspect(|band| band.profile().clone());
        let new = NewBand { seed: 9, unix_us: 1_772_355_600_000_000, profile: Some(profile), memory: None };
        let Ok(Answer::Renewed { cplc: new_cplc }) = there.ask(Ask::Renew(Box::new(new.clone()))) else { panic!() };
        assert_ne!(new_cplc, cplc);
        assert_eq!(new_cplc, handle.inspect(|band| band.card().cplc().to_vec()));
        // The same band, with what another one's memories hold.
        let image = band().inspect(Band::memory_image);
        let used = NewBand { memory: Some(image.clone()), ..new.clone() };
        assert_eq!(there.ask(Ask::Renew(Box::new(used))), Ok(Answer::Renewed { cplc: new_cplc }));
        assert_eq!(handle.inspect(Band::memory_image), image);

        // The phone's side of the table is served already: it cannot change under it.
        let mut other = new;
        other.profile.as_mut().unwrap().gatt.services.pop();
        assert!(matches!(there.ask(Ask::Renew(Box::new(other))), Ok(Answer::Refused { .. })));

        assert!(Control::new(band()).serve(&path).is_err(), "one band per socket");
        drop(socket);
        assert!(!path.exists());
        let gone = Client::connect(&path).unwrap_err();
        assert!(gone.contains("band --control"), "{gone}");
    }

    #[test]
    fn nonsense_is_refused_and_the_next_question_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("band.sock");
        let _socket = Control::new(band()).serve(&path).unwrap();
        let mut stream = BufReader::new(UnixStream::connect(&path).unwrap());
        for nonsense in ["\n", "{}\n", "{\"ask\":\"melt\"}\n", "{\"ask\":\"look\",\"more\":1}\n", "[[[[\n"] {
            stream.get_ref().write_all(nonsense.as_bytes()).unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert!(line.starts_with("{\"answer\":\"refused\",\"why\":\"not understood"), "{nonsense:?}: {line}");
        }
        stream.get_ref().write_all(b"{\"ask\":\"look\"}\n").unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"answer\":\"seen\",\"cards\":[],\"applets\":0,\"paired\":false"), "{line}");

        // A line without an end is not kept for ever.
        let endless = vec![b'x'; LONGEST_LINE_BYTES as usize + 10];
        let _ = stream.get_ref().write_all(&endless);
        line.clear();
        assert!(!matches!(stream.read_line(&mut line), Ok(read) if read > 0), "{line}");
    }

    #[test]
    fn a_pairing_is_confirmed_when_the_band_asks_and_not_before() {
        use band_sim::band::WriteMode;
        use band_sim::wire::gatt::CharacteristicId;

        let handle = band();
        let mut hands = Control::new(handle.clone());
        let auth = handle.inspect(|band| band.profile().gatt.value_handle(&CharacteristicId::AUTH)).unwrap();
        let presses = std::thread::spawn({
            let mut hands = hands.clone();
            move || hands.ask(Ask::Press { button: Button::Confirm, when_asked: true })
        });
        handle.input(Input::Connected { mtu: 23 });
        handle.subscribe(auth, true).unwrap();
        handle.write(auth, [&[0x01, 0x00][..], &[0x5A; 16]].concat(), WriteMode::Command).unwrap();
        assert_eq!(presses.join().unwrap(), Ok(Answer::Done));
        assert!(!lock(&hands.shown.0).asks_to_confirm);
        assert!(look(&mut hands).inside.paired);
    }
}
