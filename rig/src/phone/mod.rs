//! The app's role: what a person does with the phone, turned into Bluetooth and cloud traffic. Sans-IO.
//!
//! ```text
//! handle(now, Input)     the person acts, the link or the cloud says something, a deadline has passed
//! poll() -> Output       what to ask of link and cloud, what the person sees; drain until Wait
//! ```
//!
//! The app does one thing at a time, as a stack of tasks of which only the topmost waits. Every wait has a deadline, so every
//! action of the person ends with exactly one [`io::Output::Done`].

mod actions;
mod agree;
mod app;
mod chunked;
mod cloud_request;
mod config;
mod connection;
pub mod io;
mod nfc_channel;
mod pairing;
mod script;
mod task;
#[cfg(test)]
mod tests;
mod timer;

use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::frame::event::DeviceEvent;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::{CardView, Refusal, Reply, Unit};

use app::{App, Awaited, Link, MAX_INBOX};
pub use config::{PhoneConfig, Timeouts};
use io::{Input, LinkCommand, LinkEvent, Notice, Output, Shown, UserAction};
use task::{Resume, Step, Task, Value, Wake};
use timer::Timer;

/// The app on its phone.
#[derive(Clone, Debug)]
pub struct Phone {
    app: App,
    /// What it is doing; the topmost task waits. Empty when it is idle.
    stack: Vec<Task>,
}

impl Phone {
    /// The app, in the foreground, nobody signed in.
    #[must_use]
    pub fn new(config: PhoneConfig, rng: Rng) -> Self {
        Self { app: App::new(config, rng), stack: Vec::new() }
    }

    /// One thing happened. Inputs that fit nothing the app waits for change nothing.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.app.now = self.app.now.max(now);
        match (input, self.stack.last()) {
            (Input::User(action), None) => self.begin(action),
            (Input::User(_), Some(_)) => self.app.outputs.push_back(Output::Done(Err(Refusal::Busy))),
            (Input::Foreground(foreground), _) => self.foreground(foreground),
            (Input::Link(event), waiting) => match (event, waiting) {
                (LinkEvent::Connected { address, mtu }, _) => self.connected(address, mtu),
                (LinkEvent::Disconnected, _) => self.disconnected(),
                (LinkEvent::Notified { characteristic, value }, _) => self.notified(characteristic, value),
                (event @ LinkEvent::ConnectFailed, Some(Task::Connect(_))) => self.run(Wake::Link(event)),
                (
                    event @ (LinkEvent::Subscribed { .. } | LinkEvent::ReadDone { .. } | LinkEvent::WriteDone { .. }),
                    Some(Task::Attribute(_)),
                ) => self.run(Wake::Link(event)),
                (_, _) => {}
            },
            (Input::Cloud(reply), _) => self.replied(reply),
            (Input::Tick, _) => {}
        }
        self.fire_timers();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Output {
        self.app.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.app.timers.next()))
    }

    /// Whether an action is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.stack.is_empty()
    }

    /// Whether the band is connected.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.app.link.up
    }

    /// The card list as the app last saw it (R13).
    #[must_use]
    pub fn card_list(&self) -> &[CardView] {
        &self.app.cards
    }

    /// Who the linked band is, once it has been seen.
    #[must_use]
    pub const fn unit(&self) -> Option<&Unit> {
        self.app.unit.as_ref()
    }

    /// The key of the linked band.
    #[must_use]
    pub const fn stored_key(&self) -> Option<AuthKey> {
        self.app.key
    }

    fn begin(&mut self, action: UserAction) {
        let raw = matches!(action, UserAction::RawApdu { .. } | UserAction::RawWrite { .. });
        if !raw && self.app.link.touched {
            self.app.disconnect();
        }
        if !action.keeps_channel() {
            self.app.close_lingering_channel();
        }
        self.app.timers.clear(Timer::Linger);
        self.stack.push(actions::Action::new(action).into());
        self.run(Wake::Start);
    }

    /// R10: while a card is being added the app stays in the foreground.
    fn foreground(&mut self, foreground: bool) {
        self.app.foreground = foreground;
        if foreground {
            self.app.timers.clear(Timer::Foreground);
        } else if self.app.adding && !self.app.timers.is_set(Timer::Foreground) {
            self.app.start(Timer::Foreground);
        }
    }

    /// R10: the grace is over. Whoever waits for the band is told now; who waits for the cloud hears its answer first, because
    /// only that tells what must be undone.
    fn interrupt(&mut self) {
        match self.stack.last() {
            _ if !self.app.adding => {}
            None => {}
            Some(Task::Ask(_)) => self.app.interrupted = true,
            Some(Task::Connect(_) | Task::Attribute(_) | Task::Await(_)) => {
                // Half-said things are best forgotten.
                self.app.disconnect();
                self.end_wait(Err(Refusal::Interrupted));
            }
            Some(_) => self.end_wait(Err(Refusal::Interrupted)),
        }
    }

    fn connected(&mut self, address: [u8; 6], mtu: u16) {
        if self.app.link.up {
            // Its end went unnoticed.
            self.disconnected();
        }
        self.app.link = Link::connected(address, mtu);
        if let Some(Task::Connect(_)) = self.stack.last() {
            self.run(Wake::Link(LinkEvent::Connected { address, mtu }));
        }
    }

    fn disconnected(&mut self) {
        let inbox = std::mem::take(&mut self.app.link.inbox);
        self.app.link = Link { inbox, ..Link::default() };
        match self.stack.last() {
            // The cloud is still there; and what is being connected is not yet up.
            None | Some(Task::Ask(_) | Task::Connect(_)) => {}
            Some(_) => self.end_wait(Err(Refusal::Interrupted)),
        }
    }

    fn notified(&mut self, characteristic: CharacteristicId, value: Vec<u8>) {
        if !self.app.link.up {
            return;
        }
        if characteristic == CharacteristicId::NFC_CHANNEL {
            self.app.notice_closing(&value);
        }
        if let (CharacteristicId::DEVICE_EVENT, Ok(DeviceEvent::Mtu(mtu))) =
            (characteristic, DeviceEvent::decode(&value))
        {
            // It answers nothing that was asked.
            self.app.link.mtu = mtu;
            return;
        }
        let awaited = match self.stack.last() {
            Some(Task::Await(wait)) => wait.takes(characteristic, &value),
            Some(Task::Channel(_)) => characteristic == CharacteristicId::NFC_CHANNEL,
            _ => false,
        };
        if awaited {
            self.run(Wake::Link(LinkEvent::Notified { characteristic, value }));
        } else {
            self.keep(characteristic, value);
        }
    }

    /// Keeps what nobody waits for yet; after a raw write, waits for more.
    fn keep(&mut self, characteristic: CharacteristicId, value: Vec<u8>) {
        let inbox = &mut self.app.link.inbox;
        let full = inbox.len() >= MAX_INBOX;
        if full {
            inbox.pop_front();
        }
        inbox.push_back((characteristic, value));
        if !full && self.app.timers.is_set(Timer::Quiet) {
            self.app.start(Timer::Quiet);
        }
    }

    fn replied(&mut self, reply: Option<Reply>) {
        match (self.app.unanswered.pop_front(), self.stack.last()) {
            (Some(Awaited::Yes), Some(Task::Ask(_))) => self.run(Wake::Cloud(reply)),
            (Some(_), _) => self.app.late_answer(reply),
            (None, _) => {}
        }
    }

    fn fire_timers(&mut self) {
        while let Some(timer) = self.app.timers.pop_due(self.app.now) {
            match timer {
                Timer::Foreground => self.interrupt(),
                Timer::Linger => self.app.close_lingering_channel(),
                _ => {
                    match timer {
                        // A band that connects after all is not wanted any more.
                        Timer::Connect => self.app.ask_link(LinkCommand::Disconnect),
                        // Core 5.4 vol 3 part F 3.3.3: no more requests on this link.
                        Timer::Attribute => self.app.disconnect(),
                        Timer::Cloud => self.app.give_up_waiting(),
                        _ => {}
                    }
                    self.end_wait(timer.outcome());
                }
            }
        }
    }

    /// Ends the waiting task from outside.
    fn end_wait(&mut self, result: Result<(), Refusal>) {
        if !self.stack.is_empty() {
            let wake = self.ended(result.map(|()| Value::Done));
            self.run(wake);
        }
    }

    /// Resumes the topmost task, then whoever it calls or returns to, until one waits or all have ended.
    fn run(&mut self, mut wake: Wake) {
        while let Some(task) = self.stack.last_mut() {
            match task.resume(&mut self.app, wake) {
                Ok(Step::Wait) => return,
                Ok(Step::Call(task)) => {
                    self.stack.push(task);
                    wake = Wake::Start;
                }
                Ok(Step::Return(value)) => wake = self.ended(Ok(value)),
                Err(refusal) => wake = self.ended(Err(refusal)),
            }
        }
        if let Wake::Ended(result) = wake {
            self.action_ended(result);
        }
    }

    /// The topmost task has ended, and with it what it waited for.
    fn ended(&mut self, result: Result<Value, Refusal>) -> Wake {
        self.stack.pop();
        Timer::WAITS.into_iter().for_each(|timer| self.app.timers.clear(timer));
        Wake::Ended(result)
    }

    fn action_ended(&mut self, result: Result<Value, Refusal>) {
        self.app.adding = false;
        self.app.interrupted = false;
        self.app.timers.clear(Timer::Foreground);
        match result {
            // R11, R12: the app says what to do about it.
            Err(Refusal::XiaomiAccountRequired) => self.app.notice(Notice::LinkXiaomiAccount),
            Err(Refusal::ServiceUpdateRequired) => self.app.notice(Notice::ServiceUpdate),
            _ => {}
        }
        self.app.outputs.push_back(Output::Done(result.map(|value| match value {
            Value::Shown(shown) => shown,
            _ => Shown::Done,
        })));
    }
}
