//! Work as a stack of tasks: a task calls another and is resumed with what came of it, as functions do.
//!
//! Only the task on top waits, and only for the outside: a notification, an answer of the link or the cloud, a deadline.
//! A failure ends one task after the other, from the top, until one of them has something to do about it.

use crate::cloud::api::{CardView, Refusal, Reply};

use super::actions;
use super::agree::{Agree, Identify};
use super::app::App;
use super::chunked::{Announce, Transfer};
use super::cloud_request::Ask;
use super::connection::{Attribute, Authenticate, Await, Connect, Ensure, Pause};
use super::io::{LinkEvent, Shown};
use super::nfc_channel::Channel;
use super::pairing::Pair;
use super::script::{RunJob, Settle, Transmit};

/// Why a task is resumed.
#[derive(Clone, Debug)]
pub(super) enum Wake {
    /// It begins.
    Start,
    /// The task it called has ended.
    Ended(Result<Value, Refusal>),
    /// The link said what it waits for.
    Link(LinkEvent),
    /// The cloud answered.
    Cloud(Option<Reply>),
}

/// What a task does next.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "moves straight onto the stack")]
pub(super) enum Step {
    /// Waits for the outside.
    Wait,
    /// Has another task done first.
    Call(Task),
    /// Has ended.
    Return(Value),
}

/// What comes of a task.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing but that it is done.
    Done,
    /// What was read or notified.
    Bytes(Vec<u8>),
    /// An answer of the cloud, never a refusal.
    Reply(Reply),
    /// Response data and status word.
    Answer(Vec<u8>, u16),
    /// The card a job was about, when the cloud named one.
    Card(Option<CardView>),
    /// Whether the band has been brought to what the bank says.
    OnBand(bool),
    /// What the person sees.
    Shown(Shown),
}

/// What every task is: a state that goes on when it is woken. An error is the task's end.
pub(super) trait Resume {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal>;
}

macro_rules! tasks {
    ($($name:ident($task:ty)),* $(,)?) => {
        /// All tasks there are.
        #[derive(Clone, Debug)]
        pub(super) enum Task {
            $($name($task)),*
        }

        impl Resume for Task {
            fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
                match self {
                    $(Self::$name(task) => task.resume(app, wake)),*
                }
            }
        }

        $(impl From<$task> for Task {
            fn from(task: $task) -> Self {
                Self::$name(task)
            }
        })*
    };
}

tasks! {
    // What a person wants.
    Action(actions::Action),
    Account(actions::account::Account),
    Link(actions::link::Link),
    Unlink(actions::link::Unlink),
    Refresh(actions::cards::Refresh),
    CardList(actions::cards::CardList),
    AddCard(actions::add_card::AddCard),
    RequestCode(actions::code::RequestCode),
    EnterCode(actions::code::EnterCode),
    Remove(actions::remove::Remove),
    Order(actions::order::Order),
    History(actions::history::History),
    Device(actions::device::Device),
    FactoryReset(actions::factory_reset::FactoryReset),
    Prove(actions::look::Prove),
    UseChannel(actions::look::UseChannel),
    RawApdu(actions::raw::RawApdu),
    RawWrite(actions::raw::RawWrite),
    // What it takes.
    Ensure(Ensure),
    Authenticate(Authenticate),
    Pair(Pair),
    Identify(Identify),
    Agree(Agree),
    RunJob(RunJob),
    Settle(Settle),
    Transmit(Transmit),
    Transfer(Transfer),
    Announce(Announce),
    // What waits.
    Ask(Ask),
    Connect(Connect),
    Attribute(Attribute),
    Await(Await),
    Channel(Channel),
    Pause(Pause),
}

/// Has another task done first.
pub(super) fn call(task: impl Into<Task>) -> Result<Step, Refusal> {
    Ok(Step::Call(task.into()))
}

/// Ends with this.
pub(super) const fn done(value: Value) -> Result<Step, Refusal> {
    Ok(Step::Return(value))
}

impl Wake {
    /// What the called task came to; `Done` at the start.
    pub(super) fn value(self) -> Result<Value, Refusal> {
        match self {
            Self::Ended(result) => result,
            Self::Start | Self::Link(_) | Self::Cloud(_) => Ok(Value::Done),
        }
    }

    /// What the called task read.
    pub(super) fn bytes(self) -> Result<Vec<u8>, Refusal> {
        match self.value()? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Refusal::BandError),
        }
    }

    /// What the cloud answered.
    pub(super) fn reply(self) -> Result<Reply, Refusal> {
        match self.value()? {
            Value::Reply(reply) => Ok(reply),
            _ => Err(Refusal::Interrupted),
        }
    }

    /// What the secure element answered.
    pub(super) fn answer(self) -> Result<(Vec<u8>, u16), Refusal> {
        match self.value()? {
            Value::Answer(data, sw) => Ok((data, sw)),
            _ => Err(Refusal::TransmitFailed),
        }
    }
}
