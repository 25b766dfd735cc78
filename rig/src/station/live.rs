//! The world in real time: the same phone, cloud and terminal as in the embedded one, but the band is somewhere else, bytes travel
//! over links that are somebody else's, and the clock is on the wall.
//!
//! What a station has at hand is a [`Bench`]: the [`Air`] to the band, a [`Reader`] to hold it to, and [`Hands`]. Each case takes the
//! bench, gets a band as it left the factory and one connection, and gives the bench back. What the world does of its own accord, a
//! link that drops though nobody dropped it, makes a case *broken* and never *failed*.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Button, MemoryImage};
use band_sim::edge::clock::Clock;
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::frame::auth::AuthKey;

use super::control::{Answer, Ask, Hands, NewBand, Seen};
use super::embedded::{ActionFault, Confirm, Points, Strike, Stuck, Tap};
use super::middle::{Bent, Middle};
use super::mishaps::Mishaps;
use super::offer::{Capability, Offer};
use super::recorder::{Recorder, Struck};
use super::world::{Acted, Inside, Roles, Station, TakesOver, Trouble, World as CaseWorld};
use crate::cloud::Cloud;
use crate::cloud::api::{AuthorisationReason, AuthorisationReply, Envelope, Refusal, Request, Sms};
use crate::link::in_process::Att;
use crate::phone::Phone;
use crate::phone::io::{Input as PhoneInput, LinkCommand, LinkEvent, Notice, Output as PhoneOutput, Shown, UserAction};
use crate::report::event::AttOp;
use crate::scenario::set_up::{self, Ground};
use crate::terminal::Terminal;
use crate::terminal::io::{Input as TerminalInput, Output as TerminalOutput, Receipt};

/// How long an action may take before the station gives up on the app: longer than its longest timeout.
const ACTION_DEADLINE: Duration = Duration::from_secs(90);
/// How long a link may take to go down.
const LINK_DOWN_WITHIN: Duration = Duration::from_secs(10);
/// How long a reader's field may stay after the band was taken from it.
const FIELD_GONE_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at the band.
const LOOK: Duration = Duration::from_millis(5);
/// How many commands a terminal may send in one payment.
const MOST_COMMANDS: u32 = 1_000;

/// Phone to band and back.
pub trait Air: fmt::Debug + Send {
    /// Hands a command over; what comes of it comes by [`Air::next`].
    ///
    /// # Errors
    /// When the adapter or its service is gone: what is missing and what to do.
    fn send(&mut self, command: LinkCommand) -> Result<(), String>;
    /// The next thing that happened on the link, waiting at most so long.
    ///
    /// # Errors
    /// As [`Air::send`].
    fn next(&mut self, at_most: Duration) -> Result<Option<LinkEvent>, String>;
    /// Why the last thing that went wrong did, once, where that is known.
    fn trouble(&mut self) -> Option<AirTrouble> {
        None
    }
}

/// Why something went wrong between phone and band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AirTrouble {
    /// What happened and what to do about it.
    pub words: String,
    /// It is the bench that lacks something: the band cannot have done it.
    pub is_the_bench: bool,
}

/// A reader that the band is held to.
pub trait Reader: fmt::Debug + Send {
    /// Holds the band into the field.
    ///
    /// # Errors
    /// When the reader or its service is gone, or nobody holds a band to it: what is missing and what to do.
    fn present(&mut self) -> Result<(), String>;
    /// One exchange; `None` when the band does not answer any more.
    ///
    /// # Errors
    /// As [`Reader::present`].
    fn transmit(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>, String>;
    /// Takes the band away.
    fn remove(&mut self);
}

/// What a station has at hand.
#[derive(Debug)]
pub struct Bench {
    /// The link to the band.
    pub air: Box<dyn Air>,
    /// The reader, if there is one.
    pub reader: Option<Box<dyn Reader>>,
    /// The hands on the band.
    pub hands: Box<dyn Hands>,
}

/// A station in real time. It has one bench, so cases run one after the other, whatever `--jobs` says.
#[derive(Debug)]
pub struct Live {
    offer: Offer,
    key: Option<AuthKey>,
    rack: Arc<Rack>,
}

/// Where the bench lies between two cases.
#[derive(Debug)]
struct Rack {
    bench: Mutex<Option<Bench>>,
    given_back: Condvar,
}

impl Live {
    /// A station with this bench.
    #[must_use]
    pub fn new(offer: Offer, bench: Bench) -> Self {
        let rack = Arc::new(Rack { bench: Mutex::new(Some(bench)), given_back: Condvar::new() });
        Self { offer, key: None, rack }
    }

    /// The same with a band that is linked already, by this key.
    #[must_use]
    pub fn linked(self, key: AuthKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Rack {
    fn take(self: &Arc<Self>) -> Borrowed {
        let waiting = self.given_back.wait_while(lock(&self.bench), |bench| bench.is_none());
        let bench = waiting.unwrap_or_else(PoisonError::into_inner).take();
        Borrowed { bench, rack: Arc::clone(self) }
    }
}

/// The bench while a case has it.
#[derive(Debug)]
struct Borrowed {
    bench: Option<Bench>,
    rack: Arc<Rack>,
}

impl Borrowed {
    fn bench(&mut self) -> Result<&mut Bench, Trouble> {
        self.bench.as_mut().ok_or_else(|| Trouble::Outside("the bench is in use".into()))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        *lock(&self.rack.bench) = self.bench.take();
        self.rack.given_back.notify_one();
    }
}

impl Station for Live {
    fn offer(&self) -> &Offer {
        &self.offer
    }

    fn open(&self, mut ground: Ground<'_>, rng: &Rng, mut recorder: Recorder) -> Result<Box<dyn CaseWorld>, Trouble> {
        let mut bench = self.rack.take();
        let clock = Clock::start();
        if !self.offer.can(Capability::SetsClock) {
            ground.epoch_unix_us = clock.epoch_unix_us();
            ground.phone.epoch_unix_us = ground.epoch_unix_us;
        }
        ground.phone.stored_key = self.key;
        ground.phone.manages_band = self.offer.can(Capability::Cloud);
        if let Some(key) = self.key {
            recorder.hide_key(key);
        }
        let cplc = if self.offer.can(Capability::NewBand) {
            renew(&mut bench, new_band(&ground, rng, Instant::ZERO, None))?
        } else {
            vec![]
        };
        let (cloud, phone) = set_up::roles(&ground, &cplc, rng, &mut recorder);
        let start = Start { clock, epoch_unix_us: ground.epoch_unix_us, bench, cloud, phone, inbox: vec![], recorder };
        Ok(Box::new(self.world(start, rng)?))
    }

    fn takes_over(&self) -> Option<&dyn TakesOver> {
        let can = [Capability::NewBand, Capability::Cloud, Capability::SetsClock].map(|what| self.offer.can(what));
        (self.key.is_none() && can == [true; 3]).then_some(self)
    }
}

impl TakesOver for Live {
    fn take_over(&self, ground: Ground<'_>, rng: &Rng, roles: Roles) -> Result<Box<dyn CaseWorld>, Trouble> {
        let Roles { now, band, cloud, phone, inbox, recorder } = roles;
        let mut bench = self.rack.take();
        renew(&mut bench, new_band(&ground, rng, now, Some(band.memory_image())))?;
        let clock = Clock::resume(now);
        let start = Start { clock, epoch_unix_us: ground.epoch_unix_us, bench, cloud, phone, inbox, recorder };
        Ok(Box::new(self.world(start, rng)?))
    }
}

/// What a world begins with.
struct Start {
    clock: Clock,
    epoch_unix_us: i64,
    bench: Borrowed,
    cloud: Cloud,
    phone: Phone,
    inbox: Vec<Sms>,
    recorder: Recorder,
}

impl Live {
    fn world(&self, start: Start, rng: &Rng) -> Result<World, Trouble> {
        let Start { clock, epoch_unix_us, bench, cloud, phone, inbox, recorder } = start;
        let mut world = World {
            clock,
            epoch_unix_us,
            linked: self.key.is_some(),
            looks_inside: self.offer.can(Capability::LookInside),
            bench,
            cloud,
            phone,
            phone_wait: None,
            pending: VecDeque::new(),
            up: false,
            in_reach: true,
            powered: true,
            drops: 0,
            hiccup: None,
            confirm: Confirm::Tap,
            to_press: None,
            action_done: None,
            notices: vec![],
            inbox,
            last_authorisation: None,
            suspicious: false,
            pin_asked: false,
            middle: Middle::default(),
            mishaps: Mishaps::default(),
            rng: rng.fork("world"),
            recorder,
        };
        world.drops = world.seen()?.map_or(0, |seen| seen.dropped_links);
        world.drain_phone()?;
        Ok(world)
    }
}

/// The band of a case as it is at this time of the case.
fn new_band(ground: &Ground<'_>, rng: &Rng, now: Instant, memory: Option<MemoryImage>) -> NewBand {
    NewBand {
        seed: set_up::band_seed(rng),
        unix_us: ground.epoch_unix_us.saturating_add_unsigned(now.as_micros()),
        profile: Some(BandProfile::clone(&ground.profile)),
        memory,
    }
}

/// Puts the band in its place; its card production life cycle data.
fn renew(bench: &mut Borrowed, band: NewBand) -> Result<Vec<u8>, Trouble> {
    match ask(bench, Ask::Renew(Box::new(band)))? {
        Answer::Renewed { cplc } => Ok(cplc),
        other => Err(unexpected(&other)),
    }
}

/// All roles of one case, in real time.
#[derive(Debug)]
pub struct World {
    clock: Clock,
    epoch_unix_us: i64,
    linked: bool,
    looks_inside: bool,
    bench: Borrowed,
    cloud: Cloud,
    phone: Phone,
    phone_wait: Option<Instant>,
    /// What the phone is to hear next: answers of the cloud, and of the air where nothing is sent over it.
    pending: VecDeque<PhoneInput>,
    /// Whether the link is up.
    up: bool,
    in_reach: bool,
    powered: bool,
    /// How often the band has dropped the link, as far as is known.
    drops: u64,
    /// What the world did of its own accord.
    hiccup: Option<String>,
    confirm: Confirm,
    /// The key that the person presses as soon as the band asks.
    to_press: Option<Button>,
    action_done: Option<Result<Shown, Refusal>>,
    notices: Vec<Notice>,
    inbox: Vec<Sms>,
    last_authorisation: Option<AuthorisationReason>,
    suspicious: bool,
    pin_asked: bool,
    /// The man at work in the last payment.
    middle: Middle,
    mishaps: Mishaps,
    rng: Rng,
    recorder: Recorder,
}

/// An answer that a man in the middle holds back.
#[derive(Debug)]
struct Late {
    at: Instant,
    answer: Vec<u8>,
}

impl World {
    // --- the clock

    /// Lets things happen until `done`, at most until `until`; whether it was done.
    fn run(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> Result<bool, Trouble> {
        loop {
            self.hear_pending()?;
            self.press_what_is_asked()?;
            if done(self) {
                return Ok(true);
            }
            let now = self.clock.now();
            if self.phone_wait.is_some_and(|at| at <= now) {
                let due = self.phone_wait.take();
                self.phone_input(PhoneInput::Tick)?;
                // A timer that the phone does not clear must not turn this into a busy loop.
                self.phone_wait = self.phone_wait.filter(|_| self.phone_wait != due);
                continue;
            }
            let wake = self.phone_wait.map_or(until, |at| at.min(until));
            let at_most = self.clock.until(wake);
            match self.bench.bench()?.air.next(at_most).map_err(Trouble::Outside)? {
                Some(event) => self.link_event(event)?,
                // What has come already is heard even when there is no time left.
                None if now >= until => return Ok(false),
                None => {}
            }
        }
    }

    fn run_for(&mut self, time: Duration) -> Result<(), Trouble> {
        let until = self.clock.now() + time;
        self.run(until, |_| false).map(|_| ())
    }

    /// What has come already.
    fn settle(&mut self) -> Result<(), Trouble> {
        self.run_for(Duration::ZERO)
    }

    fn hear_pending(&mut self) -> Result<(), Trouble> {
        while let Some(input) = self.pending.pop_front() {
            self.phone_input(input)?;
        }
        Ok(())
    }

    fn press_what_is_asked(&mut self) -> Result<(), Trouble> {
        let Some(button) = self.to_press.take() else { return Ok(()) };
        done(ask(&mut self.bench, Ask::Press { button, when_asked: true })?)
    }

    // --- the phone and its link

    fn phone_input(&mut self, input: PhoneInput) -> Result<(), Trouble> {
        self.phone.handle(self.clock.now(), input);
        self.drain_phone()
    }

    fn drain_phone(&mut self) -> Result<(), Trouble> {
        loop {
            match self.phone.poll() {
                PhoneOutput::Link(command) => self.link_command(command)?,
                PhoneOutput::Cloud(envelope) => self.ask_cloud(&envelope),
                PhoneOutput::Ui(notice) => self.notice(notice),
                PhoneOutput::Done(result) => {
                    self.recorder.done(self.clock.now(), &result);
                    self.action_done = Some(result);
                }
                PhoneOutput::Wait(until) => {
                    self.phone_wait = until;
                    return Ok(());
                }
            }
        }
    }

    fn link_command(&mut self, command: LinkCommand) -> Result<(), Trouble> {
        let now = self.clock.now();
        match &command {
            LinkCommand::Connect if !self.in_reach || !self.powered => {
                self.pending.push_back(PhoneInput::Link(LinkEvent::ConnectFailed));
                return Ok(());
            }
            LinkCommand::Connect => {}
            LinkCommand::Disconnect => self.up = false,
            _ if !self.up => return Ok(()),
            LinkCommand::Subscribe { characteristic } => {
                self.recorder.att(now, att(AttOp::Subscribe, Some(*characteristic), vec![]));
            }
            LinkCommand::Read { characteristic } => {
                self.recorder.att(now, att(AttOp::Read, Some(*characteristic), vec![]));
            }
            LinkCommand::Write { characteristic, value, with_response } => {
                let op = if *with_response { AttOp::Write } else { AttOp::WriteCommand };
                self.recorder.att(now, att(op, Some(*characteristic), value.clone()));
            }
        }
        if !matches!(command, LinkCommand::Connect | LinkCommand::Disconnect) && self.mishaps.packet_to_band() {
            self.leave_foreground();
        }
        self.bench.bench()?.air.send(command).map_err(Trouble::Outside)
    }

    fn link_event(&mut self, event: LinkEvent) -> Result<(), Trouble> {
        let now = self.clock.now();
        match &event {
            LinkEvent::Connected { .. } => {
                self.up = true;
                // What the band dropped before is an older link.
                self.the_band_dropped_the_link()?;
                self.recorder.att(now, att(AttOp::Connect, None, vec![]));
            }
            LinkEvent::ConnectFailed => {
                let why = self.bench.bench()?.air.trouble();
                self.hiccup("the band could not be reached over Bluetooth", why);
            }
            LinkEvent::Disconnected => {
                let why = self.bench.bench()?.air.trouble();
                let is_the_bench = why.as_ref().is_some_and(|why| why.is_the_bench);
                let was_up = std::mem::take(&mut self.up);
                if was_up && (is_the_bench || !self.the_band_dropped_the_link()?) {
                    self.hiccup("the Bluetooth link was lost though neither side had dropped it", why);
                }
                self.recorder.att(now, att(AttOp::Disconnect, None, vec![]));
            }
            LinkEvent::Subscribed { characteristic, result } | LinkEvent::WriteDone { characteristic, result } => {
                // The answer to a write says nothing unless it is an error.
                if let Err(error) = result {
                    let refused = Att { error: Some(*error), ..att(AttOp::Write, Some(*characteristic), vec![]) };
                    self.recorder.att(now, refused);
                }
            }
            LinkEvent::ReadDone { characteristic, result } => {
                let value = result.clone().unwrap_or_default();
                let answer = Att { error: result.clone().err(), ..att(AttOp::Read, Some(*characteristic), value) };
                self.recorder.att(now, answer);
            }
            LinkEvent::Notified { characteristic, value } => {
                self.recorder.att(now, att(AttOp::Notify, Some(*characteristic), value.clone()));
            }
        }
        let is_packet =
            !matches!(event, LinkEvent::Connected { .. } | LinkEvent::ConnectFailed | LinkEvent::Disconnected);
        if is_packet && self.mishaps.packet_to_phone() {
            self.leave_foreground();
            self.hear_pending()?;
        }
        self.phone_input(PhoneInput::Link(event))
    }

    /// The app leaves the foreground before it hears anything else.
    fn leave_foreground(&mut self) {
        self.recorder.struck(self.clock.now(), Struck::AppLeft);
        self.pending.push_front(PhoneInput::Foreground(false));
    }

    /// The world did something of its own accord.
    fn hiccup(&mut self, words: &str, why: Option<AirTrouble>) {
        self.hiccup = Some(why.map_or_else(|| words.to_owned(), |why| format!("{words}: {}", why.words)));
    }

    /// Whether the band itself has just dropped the link; where nobody can tell it may have.
    fn the_band_dropped_the_link(&mut self) -> Result<bool, Trouble> {
        let Some(seen) = self.seen()? else { return Ok(true) };
        Ok(std::mem::replace(&mut self.drops, seen.dropped_links) != seen.dropped_links)
    }

    /// A link that the band has dropped, in a reset for instance, is down at the phone too before the next thing is done.
    fn follow_a_drop(&mut self) -> Result<(), Trouble> {
        if !self.up || self.seen()?.is_none_or(|seen| seen.dropped_links == self.drops) {
            return Ok(());
        }
        let until = self.clock.now() + LINK_DOWN_WITHIN;
        if self.run(until, |world| !world.up)? {
            return Ok(());
        }
        Err(Trouble::Outside("the band has dropped the Bluetooth link, and it is still there".into()))
    }

    /// Takes the link down and waits until the phone has noticed.
    fn drop_link(&mut self) -> Result<(), Trouble> {
        if !std::mem::take(&mut self.up) {
            return self.settle();
        }
        self.bench.bench()?.air.send(LinkCommand::Disconnect).map_err(Trouble::Outside)?;
        let until = self.clock.now() + LINK_DOWN_WITHIN;
        if self.run(until, |world| !world.phone.is_connected())? {
            return Ok(());
        }
        Err(Trouble::Outside("the Bluetooth link does not go down".into()))
    }

    fn ask_cloud(&mut self, envelope: &Envelope) {
        let now = self.clock.now();
        match self.mishaps.request() {
            (nth, Some(Strike::CloudLost)) => {
                self.recorder.struck(now, Struck::RequestLost(nth));
                return self.pending.push_back(PhoneInput::Cloud(None));
            }
            (_, Some(Strike::LeaveForeground)) => self.leave_foreground(),
            _ => {}
        }
        let reply = self.cloud.handle(now, envelope.clone());
        if matches!(envelope.request, Request::AddCard { .. }) {
            // A new token has a number nobody may see.
            self.recorder.hide(&self.cloud);
        }
        self.recorder.cloud(now, envelope, &reply);
        for sms in self.cloud.take_sms() {
            self.recorder.sms(now, &sms);
            self.inbox.push(sms);
        }
        self.pending.push_back(PhoneInput::Cloud(Some(reply)));
    }

    fn notice(&mut self, notice: Notice) {
        self.recorder.notice(self.clock.now(), &notice);
        if notice == Notice::TapTheBand {
            self.to_press = match self.confirm {
                Confirm::Tap => Some(Button::Confirm),
                Confirm::Deny => Some(Button::Deny),
                Confirm::Ignore => None,
            };
        }
        self.notices.push(notice);
    }

    fn seen(&mut self) -> Result<Option<Seen>, Trouble> {
        if !self.looks_inside {
            return Ok(None);
        }
        match ask(&mut self.bench, Ask::Look {})? {
            Answer::Seen(seen) => Ok(Some(*seen)),
            other => Err(unexpected(&other)),
        }
    }

    // --- the shop

    fn reader(&mut self) -> Result<&mut Box<dyn Reader>, Trouble> {
        let bench = self.bench.bench()?;
        bench.reader.as_mut().ok_or_else(|| Trouble::Outside("this station has no reader".into()))
    }

    /// Takes the band away; over when it has noticed that the field is gone.
    fn leave_reader(&mut self) -> Result<(), Trouble> {
        self.reader()?.remove();
        let until = self.clock.now() + FIELD_GONE_WITHIN;
        while self.seen()?.is_some_and(|seen| seen.in_field) {
            if self.clock.now() >= until {
                return Err(Trouble::Outside(
                    "the band has been taken from the reader, and the field is still there".into(),
                ));
            }
            self.run_for(LOOK)?;
        }
        self.settle()
    }

    fn pay_at(&mut self, tap: Tap) -> Result<Receipt, Trouble> {
        self.recorder.shop(self.clock.now(), &tap.terminal);
        // Its reasons are told by the recorder.
        let mut terminal = Terminal::new(tap.terminal).without_notes();
        let mut next = Some(TerminalInput::Start(tap.purchase));
        let mut commands = 0;
        // An answer that is still on its way, and when it comes.
        let mut late = None;
        while let Some(input) = next.take() {
            let now = self.clock.now();
            self.recorder.terminal(now, &input);
            terminal.handle(now, input);
            loop {
                match terminal.poll() {
                    TerminalOutput::Command(_) if tap.field_lost_after == Some(commands) => {
                        self.recorder.struck(self.clock.now(), Struck::FieldLeft);
                        self.reader()?.remove();
                        next = Some(TerminalInput::FieldLost);
                    }
                    TerminalOutput::Command(command) => {
                        commands += 1;
                        if commands > MOST_COMMANDS {
                            return Err(Stuck { waiting_for: "the terminal to end the payment" }.into());
                        }
                        (next, late) = self.exchange_by_way_of_the_middle(command)?;
                    }
                    TerminalOutput::Online(request) => {
                        let reply = tap.online.then(|| self.authorise(&request));
                        next = Some(TerminalInput::Online(reply));
                    }
                    TerminalOutput::AskPin => {
                        self.pin_asked = true;
                        next = Some(TerminalInput::Pin(tap.pin.clone()));
                    }
                    TerminalOutput::Note(_) => {}
                    TerminalOutput::Done(receipt) => return Ok(*receipt),
                    TerminalOutput::Wait(until) => {
                        if next.is_none() {
                            next = self.wait_for_the_terminal(until, &mut late)?;
                        }
                        break;
                    }
                }
            }
        }
        Err(Stuck { waiting_for: "the terminal to end the payment" }.into())
    }

    /// One exchange of a payment, as the man in the middle leaves it: what the terminal hears now, and what it will hear later.
    fn exchange_by_way_of_the_middle(
        &mut self,
        command: Vec<u8>,
    ) -> Result<(Option<TerminalInput>, Option<Late>), Trouble> {
        let command = self.middle.command(command);
        let Some(answer) = self.transmit(&command)? else { return Ok((Some(TerminalInput::FieldLost), None)) };
        let Bent { answer, late, changed } = self.middle.answer(answer);
        if changed {
            self.recorder.struck(self.clock.now(), Struck::AnswerChanged);
        }
        let now = self.clock.now();
        self.recorder.contactless_answer(now, &answer);
        Ok(match late {
            Some(Duration::ZERO) => (Some(TerminalInput::Answer(answer)), None),
            Some(by) => (None, Some(Late { at: now + by, answer })),
            None => (None, None),
        })
    }

    /// What the terminal hears next: an answer that comes late, or that its time is over.
    fn wait_for_the_terminal(
        &mut self,
        until: Option<Instant>,
        late: &mut Option<Late>,
    ) -> Result<Option<TerminalInput>, Trouble> {
        let Some(until) = until else { return Ok(None) };
        if let Some(Late { at, answer }) = late.take_if(|late| late.at <= until) {
            self.run(at, |_| false)?;
            return Ok(Some(TerminalInput::Answer(answer)));
        }
        self.run(until, |_| false)?;
        Ok(Some(TerminalInput::Tick))
    }

    fn exchange(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let answer = self.transmit(command)?;
        if let Some(answer) = &answer {
            self.recorder.contactless_answer(self.clock.now(), answer);
        }
        Ok(answer)
    }

    /// One exchange of which only the command is told.
    fn transmit(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        self.recorder.contactless_command(self.clock.now(), command);
        let answer = self.reader()?.transmit(command);
        if !matches!(answer, Ok(Some(_))) {
            self.recorder.contactless_lost(self.clock.now());
        }
        answer.map_err(Trouble::Outside)
    }

    fn authorise(&mut self, request: &crate::cloud::api::Authorisation) -> AuthorisationReply {
        let now = self.clock.now();
        let reply = self.cloud.authorise(now, request);
        self.recorder.authorisation(now, request, &reply);
        self.last_authorisation = Some(reply.reason);
        self.suspicious = reply.suspicion.is_some();
        reply
    }
}

impl CaseWorld for World {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unix_us(&self) -> i64 {
        self.epoch_unix_us.saturating_add_unsigned(self.clock.now().as_micros())
    }

    fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }

    fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    fn inbox(&self) -> &[Sms] {
        &self.inbox
    }

    fn unpredictable_number(&mut self) -> [u8; 4] {
        self.rng.array()
    }

    fn last_authorisation(&self) -> Option<AuthorisationReason> {
        self.last_authorisation
    }

    fn was_suspicious(&self) -> bool {
        self.suspicious
    }

    fn pin_was_asked(&self) -> bool {
        self.pin_asked
    }

    fn is_linked(&self) -> bool {
        self.linked
    }

    fn set_confirm(&mut self, confirm: Confirm) {
        self.confirm = confirm;
    }

    fn act(&mut self, action: UserAction) -> Result<Acted, Trouble> {
        self.settle()?;
        self.action_done = None;
        self.notices.clear();
        self.hiccup = None;
        self.phone_input(PhoneInput::User(action))?;
        let until = self.clock.now() + ACTION_DEADLINE;
        self.run(until, |world| world.action_done.is_some())?;
        let Some(result) = self.action_done.take() else {
            return Err(Stuck { waiting_for: "the app to end the action" }.into());
        };
        if let (Err(refusal), Some(hiccup)) = (&result, &self.hiccup)
            && blames_the_link(*refusal)
        {
            return Err(Trouble::Outside(hiccup.clone()));
        }
        self.follow_a_drop()?;
        Ok((result, std::mem::take(&mut self.notices)))
    }

    fn foreground(&mut self, foreground: bool) -> Result<(), Trouble> {
        self.phone_input(PhoneInput::Foreground(foreground))?;
        self.settle()
    }

    fn wait(&mut self, time: Duration) -> Result<(), Trouble> {
        self.run_for(time)
    }

    fn set_reach(&mut self, in_reach: bool) -> Result<(), Trouble> {
        self.in_reach = in_reach;
        if in_reach { self.settle() } else { self.drop_link() }
    }

    fn press(&mut self, button: Button) -> Result<(), Trouble> {
        done(ask(&mut self.bench, Ask::Press { button, when_asked: false })?)?;
        self.settle()?;
        self.follow_a_drop()
    }

    fn power(&mut self, on: bool) -> Result<(), Trouble> {
        done(ask(&mut self.bench, Ask::Power { on })?)?;
        self.powered = on;
        if on { self.settle() } else { self.drop_link() }
    }

    fn pay(&mut self, mut tap: Tap) -> Result<Receipt, Trouble> {
        self.middle = Middle::new(std::mem::take(&mut tap.man_in_the_middle));
        self.last_authorisation = None;
        self.suspicious = false;
        self.pin_asked = false;
        self.settle()?;
        self.reader()?.present().map_err(Trouble::Outside)?;
        let receipt = self.pay_at(tap);
        self.leave_reader()?;
        receipt
    }

    fn raw_contactless(&mut self, commands: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Trouble> {
        self.settle()?;
        self.reader()?.present().map_err(Trouble::Outside)?;
        let answers = commands.iter().map(|command| Ok(self.exchange(command)?.unwrap_or_default())).collect();
        self.leave_reader()?;
        answers
    }

    fn look_inside(&mut self) -> Result<Inside, Trouble> {
        Ok(self.seen()?.unwrap_or_default().inside)
    }

    fn digests(&mut self) -> Result<Option<[[u8; 32]; 2]>, Trouble> {
        Ok(self.seen()?.map(|seen| seen.digests))
    }

    fn idle_bend(&self) -> Option<usize> {
        self.middle.idle()
    }

    fn arm(&mut self, faults: Vec<ActionFault>) {
        self.mishaps.arm(faults);
    }

    fn disarm(&mut self) {
        if self.mishaps.disarm() {
            self.pending.push_back(PhoneInput::Foreground(true));
        }
    }

    fn points(&mut self, _: (u64, u64)) -> Points {
        self.mishaps.passed()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The next case starts without a link; if this one cannot be taken down, that case says so.
        let _ = self.drop_link();
    }
}

/// Whether the app gives the link as the reason.
const fn blames_the_link(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::OutOfReach
            | Refusal::Interrupted
            | Refusal::TransmitFailed
            | Refusal::NfcChannel
            | Refusal::BandError
            | Refusal::Cplc
            | Refusal::PairingFailed
            | Refusal::PairingTimeout
    )
}

fn ask(bench: &mut Borrowed, ask: Ask) -> Result<Answer, Trouble> {
    bench.bench()?.hands.ask(ask).map_err(Trouble::Outside)
}

fn done(answer: Answer) -> Result<(), Trouble> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> Trouble {
    Trouble::Outside(match answer {
        Answer::Refused { why } => format!("the hands at the band refused: {why}"),
        _ => "the hands at the band answered something else than was asked".to_owned(),
    })
}

fn att(op: AttOp, characteristic: Option<band_sim::wire::gatt::CharacteristicId>, value: Vec<u8>) -> Att {
    Att { op, characteristic, value, error: None }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
