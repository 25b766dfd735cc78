//! Shop ↔ band through a PC/SC reader: any that pcscd has a driver for, chosen by its name.
//!
//! Everything waits on the reader's state with a deadline, never on the clock. What goes wrong has a name and says what to do; it
//! is the world's fault, so the case it happens in is broken and not failed. A card that is not known to be simulated is protected:
//! see [`Permits`].

use std::ffi::CString;
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use band_sim::wire::apdu::CApdu;
use pcsc::{Card, Context, Disposition, Protocol, Protocols, ReaderState, Scope, ShareMode, State};

use super::danger::{Danger, Permits};
use super::t0;

/// What to use, how long to wait for it, and what may be sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The reader's name, or a part of it that no other reader's name has.
    pub reader: String,
    /// How long a reader and its card may take to appear.
    pub card_within: Duration,
    /// How long one exchange may take: PC/SC itself knows no limit.
    pub answer_within: Duration,
    /// What may be sent although it can harm a card.
    pub permits: Permits,
}

impl Config {
    /// A reader, by name.
    #[must_use]
    pub fn new(reader: impl Into<String>) -> Self {
        Self {
            reader: reader.into(),
            card_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(10),
            permits: Permits::default(),
        }
    }
}

/// What is wrong between here and the card, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PcscError {
    /// pcscd does not run.
    NotRunning,
    /// pcscd ended or was started again meanwhile.
    Restarted,
    /// No such reader within the time.
    NoSuchReader {
        /// The name asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// More than one reader has that in its name.
    Ambiguous {
        /// The name asked for.
        wanted: String,
        /// Whose names have it.
        there: Vec<String>,
    },
    /// The reader was unplugged.
    ReaderGone(String),
    /// No card came within the time.
    NoCard {
        /// The reader.
        reader: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// The card left.
    CardRemoved,
    /// There is a card and it says nothing.
    Mute,
    /// Another program has the card to itself.
    Shared,
    /// Another program has reset the card.
    ResetByAnother,
    /// The reader or its driver has not answered in time.
    NoAnswer(Duration),
    /// The card never came to an end (T=0).
    Endless,
    /// A command that can harm the card and was not permitted.
    Dangerous(Danger),
    /// Bytes that are no command. Some readers hang on them for ever, so they are not sent.
    NoCommand(usize),
    /// The reader takes no command of extended length.
    NoExtendedLength(usize),
    /// Anything else, in PC/SC's own words.
    Other(pcsc::Error),
}

impl fmt::Display for PcscError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => {
                f.write_str("pcscd does not run; start it: `systemctl start pcscd.socket`, or `pcscd` as root")
            }
            Self::Restarted => f.write_str("pcscd ended in the middle; start it again and repeat the run"),
            Self::NoSuchReader { wanted, there } if there.is_empty() => write!(
                f,
                "no reader `{wanted}`, and no other; plug it in, and see with `pcsc_scan -r` whether its driver knows it"
            ),
            Self::NoSuchReader { wanted, there } => {
                write!(f, "no reader `{wanted}`; there are {}", quoted(there))
            }
            Self::Ambiguous { wanted, there } => {
                write!(f, "`{wanted}` is in the names of {}; say more of the one you mean", quoted(there))
            }
            Self::ReaderGone(reader) => write!(f, "the reader `{reader}` is gone; plug it in again and repeat the run"),
            Self::NoCard { reader, within } => {
                write!(f, "no card in the reader `{reader}` within {within:?}; hold the band to it")
            }
            Self::CardRemoved => f.write_str("the card left the reader; hold the band still until the tap is done"),
            Self::Mute => f.write_str("the card does not answer; take it away and hold it there again"),
            Self::Shared => {
                f.write_str("another program has the card to itself; end it (`pcsc_scan`, a wallet, gpg's scdaemon)")
            }
            Self::ResetByAnother => f.write_str("another program has reset the card; end it and repeat the run"),
            Self::NoAnswer(time) => {
                write!(f, "the reader has not answered within {time:?}; unplug it, or start pcscd again")
            }
            Self::Endless => f.write_str("the card always says that more is to come; it is broken"),
            Self::Dangerous(danger) => write!(
                f,
                "refused to send {danger} to a card that may be real: {}; permit it with `--permit {danger}` or `permit: [{danger}]`",
                danger.risk()
            ),
            Self::NoCommand(length) => {
                write!(f, "{length} bytes that are no command were not sent: a reader may hang on them for ever")
            }
            Self::NoExtendedLength(length) => {
                write!(f, "the reader takes no command of {length} bytes; use one that takes extended length")
            }
            Self::Other(error) => write!(f, "PC/SC failed: {error}"),
        }
    }
}

impl std::error::Error for PcscError {}

impl From<pcsc::Error> for PcscError {
    fn from(error: pcsc::Error) -> Self {
        use pcsc::Error as E;
        match error {
            E::NoService => Self::NotRunning,
            E::ServiceStopped | E::InvalidHandle | E::Shutdown => Self::Restarted,
            E::UnknownReader | E::ReaderUnavailable => Self::ReaderGone(String::new()),
            E::NoSmartcard | E::RemovedCard => Self::CardRemoved,
            E::UnresponsiveCard | E::UnpoweredCard | E::CommError | E::NotTransacted => Self::Mute,
            E::SharingViolation => Self::Shared,
            E::ResetCard => Self::ResetByAnother,
            error => Self::Other(error),
        }
    }
}

impl From<t0::Endless> for PcscError {
    fn from(_: t0::Endless) -> Self {
        Self::Endless
    }
}

/// The names of all readers.
///
/// # Errors
/// When pcscd cannot be asked.
pub fn readers() -> Result<Vec<String>, PcscError> {
    names(&Context::establish(Scope::User)?)
}

/// A reader and what is in it, for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub reader: String,
    /// The card's answer to reset; `None` without a card.
    pub atr: Option<Vec<u8>>,
    /// There is a card that does not answer.
    pub mute: bool,
    /// Another program has it to itself.
    pub taken: bool,
}

/// All readers as they are at this moment.
///
/// # Errors
/// When pcscd cannot be asked.
pub fn look_around() -> Result<Vec<Seen>, PcscError> {
    let context = Context::establish(Scope::User)?;
    let mut states = names(&context)?
        .into_iter()
        .filter_map(|name| Some(ReaderState::new(CString::new(name).ok()?, State::UNAWARE)))
        .collect::<Vec<_>>();
    if !states.is_empty() {
        context.get_status_change(Duration::ZERO, &mut states).or_else(harmless_timeout)?;
    }
    let seen = states.iter().map(|state| {
        let flags = state.event_state();
        Seen {
            reader: state.name().to_string_lossy().into_owned(),
            atr: flags.contains(State::PRESENT).then(|| state.atr().to_vec()),
            mute: flags.contains(State::MUTE),
            taken: flags.contains(State::EXCLUSIVE),
        }
    });
    Ok(seen.collect())
}

fn names(context: &Context) -> Result<Vec<String>, PcscError> {
    match context.list_readers_owned() {
        Ok(names) => Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect()),
        Err(pcsc::Error::NoReadersAvailable) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

const fn harmless_timeout(error: pcsc::Error) -> Result<(), pcsc::Error> {
    match error {
        pcsc::Error::Timeout => Ok(()),
        error => Err(error),
    }
}

/// One card in one reader. The calls to PC/SC are made on a thread of their own, so that one that never comes back stops nobody.
#[derive(Debug)]
pub struct Connection {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    /// Says no more when the thread has let go of the card.
    ended: mpsc::Receiver<()>,
    atr: Vec<u8>,
    protocol: Protocol,
    permits: Permits,
    answer_within: Duration,
}

type Done = Box<dyn FnOnce(Result<Vec<u8>, PcscError>) + Send>;

enum Job {
    Transmit(Vec<u8>, Done),
    Reset(Done),
}

impl Connection {
    /// Waits for the reader and a card in it and connects to it, alone. What the card remembered of an earlier connection is gone.
    ///
    /// # Errors
    /// What is in the way.
    pub fn open(config: &Config) -> Result<Self, PcscError> {
        let (ready, opened) = mpsc::channel();
        let (jobs, todo) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let wanted = config.clone();
        thread::spawn(move || match open(&wanted) {
            Ok((card, place)) => {
                let atr = card.status2_owned().map(|status| status.atr().to_vec()).unwrap_or_default();
                let protocol = card.status2_owned().ok().and_then(|status| status.protocol2()).unwrap_or(Protocol::T1);
                if ready.send(Ok((atr, protocol))).is_ok() {
                    work(card, &place, protocol, &todo);
                }
                drop::<mpsc::Sender<()>>(end);
            }
            Err(error) => drop(ready.send(Err(error))),
        });
        // The thread has its own deadline; this one is for a call that never comes back.
        let patience = config.card_within + config.answer_within;
        let (atr, protocol) = opened.recv_timeout(patience).unwrap_or(Err(PcscError::NoAnswer(patience)))?;
        let (permits, answer_within) = (config.permits.clone(), config.answer_within);
        Ok(Self { jobs: Some(jobs), ended, atr, protocol, permits, answer_within })
    }

    /// The card's answer to reset.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// `T=0` or `T=1`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self.protocol {
            Protocol::T0 => "T=0",
            Protocol::T1 => "T=1",
            Protocol::RAW => "raw",
        }
    }

    /// How long one exchange may take.
    #[must_use]
    pub const fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// What is in the way; [`PcscError::Dangerous`] and [`PcscError::NoCommand`] when nothing was sent.
    pub fn transmit(&self, command: &[u8]) -> Result<Vec<u8>, PcscError> {
        let (sender, answer) = mpsc::channel();
        self.start(command, move |result| drop(sender.send(result)))?;
        answer.recv_timeout(self.answer_within).unwrap_or(Err(PcscError::NoAnswer(self.answer_within)))
    }

    /// Sends a command; `done` is called with its answer, on another thread, whenever that comes.
    ///
    /// # Errors
    /// As [`Connection::transmit`], for what is known before anything is sent.
    pub fn start(
        &self,
        command: &[u8],
        done: impl FnOnce(Result<Vec<u8>, PcscError>) + Send + 'static,
    ) -> Result<(), PcscError> {
        check(command, &self.permits)?;
        self.hand_over(Job::Transmit(command.to_vec(), Box::new(done)))
    }

    /// Resets the card: what it remembers of this connection is gone.
    ///
    /// # Errors
    /// What is in the way.
    pub fn reset(&self, done: impl FnOnce(Result<Vec<u8>, PcscError>) + Send + 'static) -> Result<(), PcscError> {
        self.hand_over(Job::Reset(Box::new(done)))
    }

    fn hand_over(&self, job: Job) -> Result<(), PcscError> {
        let jobs = self.jobs.as_ref().ok_or(PcscError::Restarted)?;
        jobs.send(job).map_err(|_| PcscError::Restarted)
    }
}

/// How long the end of a connection waits for the card to be let go.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

impl Drop for Connection {
    /// Returns when the card is free. A program that ends without that leaves pcscd to reset a card that may be gone by then, after
    /// which pcscd 1.9.9 sees no card in that reader until one is taken out and put in again.
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.ended.recv_timeout(LET_GO_WITHIN);
    }
}

/// What is known before anything is sent.
fn check(command: &[u8], permits: &Permits) -> Result<(), PcscError> {
    // vpcd hangs for ever on less than this, and on more it throws the card out.
    if !(4..=usize::from(u16::MAX)).contains(&command.len()) {
        return Err(PcscError::NoCommand(command.len()));
    }
    match CApdu::decode(command) {
        Ok(command) => permits.check(&command).map_err(PcscError::Dangerous),
        Err(_) if *permits == Permits::everything() => Ok(()),
        Err(_) => Err(PcscError::NoCommand(command.len())),
    }
}

/// The thread of a connection: until the last handle to it is gone.
fn work(mut card: Card, place: &Place, protocol: Protocol, todo: &mpsc::Receiver<Job>) {
    // The longest answer: 65 536 bytes and a status word.
    let mut room = vec![0; 65_538];
    for job in todo {
        match job {
            Job::Transmit(command, done) => {
                done(
                    transmit(&card, protocol, &command, &mut room)
                        .map_err(|error| place.look_into(error, command.len())),
                );
            }
            Job::Reset(done) => {
                let reset = card.reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::ResetCard);
                done(reset.map(|()| Vec::new()).map_err(|error| place.look_into(error.into(), 0)));
            }
        }
    }
    // It has left the field; the next one finds the card as it came.
    let _ = card.disconnect(Disposition::UnpowerCard);
}

fn transmit(card: &Card, protocol: Protocol, command: &[u8], room: &mut [u8]) -> Result<Vec<u8>, PcscError> {
    let mut exchange = |bytes: &[u8]| Ok(card.transmit(bytes, room).map(<[u8]>::to_vec)?);
    if protocol == Protocol::T0 { t0::carry_out(command, exchange) } else { exchange(command) }
}

/// Where a card lies.
struct Place {
    context: Context,
    reader: CString,
}

/// How long pcscd may take to see what became of a card or a reader: it looks every 400 ms.
const SEEN_WITHIN: Duration = Duration::from_secs(1);
/// A command with a header, Lc, 255 bytes and Le: the longest that is not of extended length.
const LONGEST_SHORT_COMMAND: usize = 261;

impl Place {
    fn name(&self) -> String {
        self.reader.to_string_lossy().into_owned()
    }

    /// pcscd has one word for most of what a driver may answer, "not transacted". What became of the reader and the card tells what it
    /// was: one that is still there after a command of extended length did not want that.
    fn look_into(&self, error: PcscError, command_bytes: usize) -> PcscError {
        match error {
            PcscError::Mute => match self.what_became_of_it() {
                Some(gone) => gone,
                None if command_bytes > LONGEST_SHORT_COMMAND => PcscError::NoExtendedLength(command_bytes),
                None => PcscError::Mute,
            },
            error => self.named(error),
        }
    }

    /// `None` when both are there.
    fn what_became_of_it(&self) -> Option<PcscError> {
        let gone = |flags: State| flags.contains(State::EMPTY).then_some(PcscError::CardRemoved);
        self.watch(Instant::now() + SEEN_WITHIN, gone).unwrap_or_else(Some)
    }

    fn wait_for_card(&self, within: Duration, deadline: Instant) -> Result<(), PcscError> {
        let seen = self.watch(deadline, |flags| {
            if flags.contains(State::EXCLUSIVE) {
                Some(Err(PcscError::Shared))
            } else if flags.contains(State::MUTE) {
                Some(Err(PcscError::Mute))
            } else {
                flags.contains(State::PRESENT).then_some(Ok(()))
            }
        })?;
        seen.unwrap_or_else(|| Err(PcscError::NoCard { reader: self.name(), within }))
    }

    /// Waits until the reader's state gives a verdict; `None` when it gave none until the deadline.
    fn watch<T>(&self, deadline: Instant, verdict: impl Fn(State) -> Option<T>) -> Result<Option<T>, PcscError> {
        let mut states = [ReaderState::new(self.reader.clone(), State::UNAWARE)];
        loop {
            match self.context.get_status_change(deadline.saturating_duration_since(Instant::now()), &mut states) {
                Ok(()) => {}
                Err(pcsc::Error::Timeout) => return Ok(None),
                Err(error) => return Err(self.named(error.into())),
            }
            for state in &mut states {
                let flags = state.event_state();
                if flags.intersects(State::UNKNOWN | State::UNAVAILABLE) {
                    return Err(PcscError::ReaderGone(self.name()));
                }
                if let Some(verdict) = verdict(flags) {
                    return Ok(Some(verdict));
                }
                state.sync_current_state();
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    fn named(&self, error: PcscError) -> PcscError {
        match error {
            PcscError::ReaderGone(_) => PcscError::ReaderGone(self.name()),
            // It ran when this began.
            PcscError::NotRunning => PcscError::Restarted,
            error => error,
        }
    }
}

fn open(config: &Config) -> Result<(Card, Place), PcscError> {
    let deadline = Instant::now() + config.card_within;
    let context = Context::establish(Scope::User)?;
    let reader = wait_for_reader(&context, &config.reader, deadline)?;
    let place = Place { context, reader };
    loop {
        place.wait_for_card(config.card_within, deadline)?;
        match place.context.connect(&place.reader, ShareMode::Exclusive, Protocols::ANY) {
            Ok(mut card) => {
                let reset = card.reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::ResetCard);
                reset.map_err(|error| place.look_into(error.into(), 0))?;
                return Ok((card, place));
            }
            // It has just come, or has just gone: its state will say which.
            Err(pcsc::Error::NoSmartcard | pcsc::Error::RemovedCard) if Instant::now() < deadline => {}
            Err(error) => return Err(place.look_into(error.into(), 0)),
        }
    }
}

/// The one reader of that name, or with that in its name.
fn choose(wanted: &str, there: &[String]) -> Result<String, PcscError> {
    if let Some(exact) = there.iter().find(|name| *name == wanted) {
        return Ok(exact.clone());
    }
    let matching = there.iter().filter(|name| name.contains(wanted)).cloned().collect::<Vec<_>>();
    match matching.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(PcscError::NoSuchReader { wanted: wanted.to_owned(), there: there.to_vec() }),
        _ => Err(PcscError::Ambiguous { wanted: wanted.to_owned(), there: matching }),
    }
}

fn wait_for_reader(context: &Context, wanted: &str, deadline: Instant) -> Result<CString, PcscError> {
    // Told of every reader that comes or goes.
    let mut changes = [ReaderState::new(pcsc::PNP_NOTIFICATION(), State::UNAWARE)];
    loop {
        let error = match choose(wanted, &names(context)?) {
            Ok(name) => return CString::new(name).map_err(|_| PcscError::Other(pcsc::Error::InvalidValue)),
            Err(error @ PcscError::Ambiguous { .. }) => return Err(error),
            Err(error) => error,
        };
        match context.get_status_change(deadline.saturating_duration_since(Instant::now()), &mut changes) {
            Ok(()) => changes.iter_mut().for_each(ReaderState::sync_current_state),
            Err(pcsc::Error::Timeout) => return Err(error),
            Err(other) => return Err(other.into()),
        }
        if Instant::now() >= deadline {
            return Err(error);
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_reader_is_chosen_by_its_name_and_never_by_chance() {
        let there = names(&["Virtual PCD 00 00", "Virtual PCD 00 01", "ACS ACR122U PICC Interface 00 00"]);
        assert_eq!(choose("Virtual PCD 00 00", &there).as_deref(), Ok("Virtual PCD 00 00"));
        assert_eq!(choose("ACR122U", &there).as_deref(), Ok("ACS ACR122U PICC Interface 00 00"));
        let ambiguous = choose("Virtual PCD", &there).unwrap_err().to_string();
        assert_eq!(
            ambiguous,
            "`Virtual PCD` is in the names of `Virtual PCD 00 00`, `Virtual PCD 00 01`; say more of the one you mean"
        );
        let missing = choose("Identiv", &there).unwrap_err().to_string();
        assert!(missing.starts_with("no reader `Identiv`; there are `Virtual PCD 00 00`, "), "{missing}");
        assert!(choose("Identiv", &[]).unwrap_err().to_string().contains("plug it in"));
    }

    #[test]
    fn an_exact_name_wins_over_longer_ones() {
        let there = names(&["Reader 0", "Reader 0 SAM"]);
        assert_eq!(choose("Reader 0", &there).as_deref(), Ok("Reader 0"));
    }

    #[test]
    fn what_can_harm_or_hang_is_not_sent() {
        let none = Permits::default();
        assert_eq!(check(&[], &none), Err(PcscError::NoCommand(0)));
        assert_eq!(check(&[0x00], &Permits::everything()), Err(PcscError::NoCommand(1)));
        assert_eq!(check(&vec![0; 65_536], &Permits::everything()), Err(PcscError::NoCommand(65_536)));
        assert_eq!(check(&[0, 0xA4, 0, 0, 9, 1], &none), Err(PcscError::NoCommand(6)));
        assert_eq!(check(&[0, 0xA4, 0, 0, 9, 1], &Permits::everything()), Ok(()));
        assert_eq!(check(&[0x00, 0xA4, 0x04, 0x00], &none), Ok(()));
        let refused = check(&[0x00, 0x20, 0x00, 0x80, 0x00], &none).unwrap_err().to_string();
        assert!(refused.contains("may block it") && refused.contains("`--permit verify`"), "{refused}");
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        use pcsc::Error as E;
        for (error, says) in [
            (E::NoService, "start it: `systemctl start pcscd.socket`"),
            (E::ServiceStopped, "start it again"),
            (E::RemovedCard, "hold the band still"),
            (E::UnresponsiveCard, "take it away and hold it there again"),
            (E::SharingViolation, "another program has the card to itself; end it"),
            (E::ResetCard, "end it and repeat the run"),
        ] {
            let words = PcscError::from(error).to_string();
            assert!(words.contains(says), "{words}");
        }
    }
}
