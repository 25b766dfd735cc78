//! What the band does when: every state, every event, in one match. The leaves are in the files beside it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::io::{BandEvent, Display, Output, Refused};
use super::{Band, Timer};
use crate::card::nvm;
use crate::time::Instant;
use crate::wire::frame::aid::AidCommand;
use crate::wire::frame::auth::{self, AuthKey, Dialect, SignedAnswer};
use crate::wire::frame::chunked::Ack;
use crate::wire::frame::config::{self, SettingId};
use crate::wire::frame::event::DeviceEvent;
use crate::wire::frame::nfc_channel::{Fragment, Notification, Status};
use crate::wire::frame::reply::ReplyCode;
use crate::wire::frame::time::CurrentTime;
use crate::wire::frame::user::UserSetting;
use crate::wire::frame::{fetch, heart_rate};
use crate::wire::gatt::AttError;

/// Where the band stands with its phone. Authentication is of one connection: there is no way from a state with a link to
/// another link's state but through [`State::Disconnected`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No power.
    Off,
    /// No link.
    Disconnected,
    /// Linked, nothing proved.
    Unauthenticated,
    /// The phone has asked how to pair.
    PairingProbed,
    /// The phone has this random number to encrypt.
    Challenged([u8; 16]),
    /// The phone has this random number to have signed, or to encrypt.
    PairingChallenged([u8; 16]),
    /// The wearer is asked whether this shall be the key.
    AwaitingConfirm(AuthKey),
    /// The phone has proved that it knows the key.
    Authenticated(Channel),
}

/// The NFC channel of an authenticated connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Nobody uses it.
    Closed,
    /// It waits for a command.
    Open,
    /// It has part of a command.
    Busy,
}

/// What can happen to a session, bytes already understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    PowerOn,
    PowerLost,
    Connected { mtu: u16 },
    Disconnected,
    ResetButton,
    Confirm,
    Deny,
    ConfirmTimeout,
    FieldOn,
    PairProbe,
    PairWithKey(AuthKey),
    RandomAsked(Dialect),
    Answered { dialect: Dialect, block: [u8; 16] },
    AuthJunk { command: u8, code: ReplyCode },
    Signed { chunk: u8, answer: SignedAnswer },
    OpenChannel,
    CloseChannel,
    Fragment(Fragment),
    MifareTag,
    ChannelJunk,
    ChannelTimeout,
    FactoryReset,
    Set { id: SettingId, value: Vec<u8> },
    Query { command: u8 },
    ConfigJunk { reply: config::Reply },
    CardHint { chunk: u8, hint: AidCommand },
    Transfer { chunk: u8 },
    TransferJunk { chunk: u8, code: ReplyCode },
    SetUser(UserSetting),
    SetTime(CurrentTime),
    HeartRate(heart_rate::Request),
    HeartRateMeasured,
    NobodyListens,
    Fetch(fetch::Request),
    Restart,
}

/// Why a leaf stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    PowerLost,
    Refused(AttError),
}

impl From<nvm::PowerLost> for Stop {
    fn from(_: nvm::PowerLost) -> Self {
        Self::PowerLost
    }
}

impl Band {
    /// One event in one state. An error means that nothing has changed.
    pub(super) fn step(&mut self, now: Instant, event: Event) -> Result<(), Refused> {
        match self.transition(now, event.clone()) {
            Ok(()) => Ok(()),
            Err(Stop::Refused(error)) => Err(self.refuse(&event, error)),
            Err(Stop::PowerLost) => {
                self.lose_power();
                Ok(())
            }
        }
    }

    fn transition(&mut self, now: Instant, event: Event) -> Result<(), Stop> {
        use Channel as C;
        use Event as E;
        use State as S;
        match (self.state.clone(), event) {
            // Power.
            (S::Off, E::PowerOn) => self.start()?,
            (S::Off, E::Connected { .. }) => self.push(Output::Disconnect),
            (S::Off, E::PowerLost | E::Disconnected | E::ResetButton) => {}
            (_, E::PowerOn) => {}
            (_, E::PowerLost) => return Err(Stop::PowerLost),

            // Link.
            (_, E::Connected { mtu }) => self.connect(mtu),
            (_, E::Disconnected) => self.drop_link(),

            // The wearer.
            (_, E::ResetButton) => self.factory_reset(None)?,
            (S::AwaitingConfirm(key), E::Confirm) => self.pair(&key)?,
            (S::AwaitingConfirm(_), E::Deny) => self.end_pairing(BandEvent::PairingDenied),
            (S::AwaitingConfirm(_), E::ConfirmTimeout) => self.end_pairing(BandEvent::PairingTimedOut),
            (S::Authenticated(_), E::Confirm) => self.notify_event(&DeviceEvent::Button),
            (_, E::Confirm | E::Deny | E::ConfirmTimeout) => {}

            // Pairing and authentication.
            (S::Unauthenticated | S::PairingProbed | S::Challenged(_) | S::PairingChallenged(_), E::PairProbe) => {
                self.tell_pairing();
            }
            (
                S::Unauthenticated | S::PairingProbed | S::Challenged(_) | S::PairingChallenged(_),
                E::PairWithKey(key),
            ) if self.profile.authentication.legacy_pairing.value => {
                self.ask_wearer(now, key);
            }
            (S::PairingProbed | S::PairingChallenged(_), E::RandomAsked(dialect)) => {
                self.state = S::PairingChallenged(self.challenge(dialect));
            }
            (S::Unauthenticated | S::Challenged(_) | S::Authenticated(C::Closed), E::RandomAsked(dialect))
                if self.settings.auth_key().is_some() =>
            {
                self.state = S::Challenged(self.challenge(dialect));
            }
            (S::Unauthenticated | S::Challenged(_), E::RandomAsked(dialect)) => {
                self.notify_auth(&auth::Reply::new(dialect.random_command(), ReplyCode::Failed));
            }
            (S::Challenged(random) | S::PairingChallenged(random), E::Answered { dialect, block }) => {
                self.check_answer(&random, dialect, &block);
            }
            (S::PairingChallenged(random), E::Signed { chunk, answer }) => {
                self.acknowledge(chunk, ReplyCode::Success);
                self.check_signature(now, &random, &answer);
            }

            // The NFC channel.
            (S::Authenticated(C::Closed), E::OpenChannel) if self.is_field_in_the_way() => {
                return Err(Stop::Refused(AttError::UnlikelyError));
            }
            (S::Authenticated(_), E::OpenChannel) => self.open_channel(now),
            (S::Authenticated(C::Closed), E::CloseChannel) => {
                self.notify_channel(&Notification::Closed(Status::Success));
            }
            (S::Authenticated(C::Open | C::Busy), E::CloseChannel) => self.close_channel(Status::Success),
            (S::Authenticated(C::Open | C::Busy), E::Fragment(fragment)) => self.take_fragment(now, fragment)?,
            (S::Authenticated(C::Closed | C::Open), E::MifareTag) => {
                self.notify_channel(&Notification::MifareTag(Vec::new()));
            }
            (S::Authenticated(C::Open | C::Busy), E::ChannelJunk) | (S::Authenticated(C::Busy), E::MifareTag) => {
                self.close_channel(self.profile.nfc_channel.status.malformed.value);
            }
            (S::Authenticated(C::Open | C::Busy), E::ChannelTimeout) => {
                self.close_channel(self.profile.nfc_channel.status.timeout.value);
            }
            (S::Authenticated(C::Open | C::Busy), E::FieldOn) if self.is_field_in_the_way() => {
                self.close_channel(self.profile.nfc_channel.status.field_appeared.value);
            }
            (_, E::FieldOn | E::ChannelTimeout) => {}

            // Everything else an authenticated phone may do.
            (S::Authenticated(_), E::FactoryReset) => self.factory_reset(Some(SettingId::FACTORY_RESET))?,
            (S::Authenticated(_), E::Set { id, value }) => self.set(id, &value)?,
            (S::Authenticated(_), E::Query { command }) => self.answer_query(command),
            (S::Authenticated(_), E::CardHint { chunk, hint }) => {
                self.take_hint(&hint)?;
                self.acknowledge(chunk, ReplyCode::Success);
            }
            (S::Authenticated(_), E::Transfer { chunk }) => self.acknowledge(chunk, ReplyCode::Success),
            (S::Authenticated(_), E::SetUser(setting)) => self.set_user(&setting)?,
            (S::Authenticated(_), E::SetTime(time)) => self.set_time(now, &time)?,
            (S::Authenticated(_), E::HeartRate(request)) => self.set_heart_rate(now, &request)?,
            (S::Authenticated(_), E::Fetch(request)) => self.answer_fetch(&request),
            (S::Authenticated(_), E::Restart) => self.restart()?,

            (S::Authenticated(_), E::HeartRateMeasured) => self.tell_heart_rate(now),
            (_, E::HeartRateMeasured | E::NobodyListens) => self.stop_measuring(),

            (_, _) => return Err(Stop::Refused(AttError::WriteNotPermitted)),
        }
        Ok(())
    }

    /// Says no in the words of the protocol, where it has some, and for the report.
    pub(super) fn refuse(&mut self, event: &Event, error: AttError) -> Refused {
        let not_open = Notification::Closed(self.refused_channel_status());
        match event {
            Event::PairProbe | Event::PairWithKey(_) => self.notify_auth(&auth::Reply::paired(ReplyCode::InvalidState)),
            Event::RandomAsked(dialect) => {
                self.notify_auth(&auth::Reply::new(dialect.random_command(), ReplyCode::InvalidState));
            }
            Event::Answered { dialect, .. } => {
                self.notify_auth(&auth::Reply::new(dialect.answer_command(), ReplyCode::InvalidState));
            }
            Event::AuthJunk { command, code } => self.notify_auth(&auth::Reply::new(*command, *code)),
            Event::OpenChannel => self.notify_channel(&Notification::Opened(self.refused_channel_status())),
            Event::CloseChannel | Event::Fragment(_) | Event::MifareTag | Event::ChannelJunk => {
                self.notify_channel(&not_open);
            }
            Event::FactoryReset => self.notify_set(SettingId::FACTORY_RESET, ReplyCode::InvalidState),
            Event::Set { id, .. } => self.notify_set(*id, self.refused_setting_code(*id, error)),
            Event::Query { command } => self.notify_config(&config::Reply::Other {
                command: *command,
                code: ReplyCode::InvalidState,
                data: Vec::new(),
            }),
            Event::ConfigJunk { reply } => self.notify_config(reply),
            Event::Signed { chunk, .. } | Event::CardHint { chunk, .. } | Event::Transfer { chunk } => {
                self.acknowledge(*chunk, ReplyCode::InvalidState);
            }
            Event::TransferJunk { chunk, code } => self.acknowledge(*chunk, *code),
            Event::Fetch(request) => {
                self.notify_fetch(&fetch::Reply::Other { command: request.command(), code: ReplyCode::InvalidState });
            }
            _ => {}
        }
        Refused { state: self.state.name().to_string(), event: event.name().to_string(), error }
    }

    fn refused_setting_code(&self, id: SettingId, error: AttError) -> ReplyCode {
        match error {
            _ if !self.state.is_authenticated() => ReplyCode::InvalidState,
            _ if !id.is_known() => ReplyCode::UnknownCommand,
            _ => ReplyCode::Failed,
        }
    }

    fn refused_channel_status(&self) -> Status {
        let status = &self.profile.nfc_channel.status;
        match self.state {
            _ if !self.state.is_authenticated() => status.not_authenticated.value,
            State::Authenticated(Channel::Closed) if self.is_field_in_the_way() => status.field_present.value,
            _ => status.not_open.value,
        }
    }

    pub(super) fn acknowledge(&mut self, chunk: u8, code: ReplyCode) {
        let profile = Some(self.profile.chunked.ack_profile.value);
        let ack = Ack { flags_and_type: chunk, code, profile, timeout: None };
        self.notify(self.handles.chunked, ack.encode());
    }

    pub(super) fn notify_auth(&mut self, reply: &auth::Reply) {
        self.notify(self.handles.auth, reply.encode());
    }

    pub(super) fn notify_config(&mut self, reply: &config::Reply) {
        self.notify(self.handles.config, reply.encode());
    }

    pub(super) fn notify_set(&mut self, id: SettingId, code: ReplyCode) {
        self.notify_config(&config::Reply::Set { id, code });
    }

    pub(super) fn notify_event(&mut self, event: &DeviceEvent) {
        self.notify(self.handles.event, event.encode());
    }

    fn end_pairing(&mut self, why: BandEvent) {
        self.timers.clear(Timer::PairingConfirm);
        self.state = State::Unauthenticated;
        self.push(Output::Display(Display::Idle));
        // A denial is told to the phone, silence is not: its own timer runs (facts of the vendor's client).
        if why == BandEvent::PairingDenied {
            self.notify_auth(&auth::Reply::paired(ReplyCode::InvalidState));
        }
        self.push(Output::Event(why));
    }
}

impl State {
    /// What it is called in refusals.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Off => "without power",
            Self::Disconnected => "disconnected",
            Self::Unauthenticated => "unauthenticated",
            Self::PairingProbed => "asked how to pair",
            Self::Challenged(_) => "challenged",
            Self::PairingChallenged(_) => "challenged for pairing",
            Self::AwaitingConfirm(_) => "waiting for the wearer",
            Self::Authenticated(Channel::Closed) => "authenticated, channel closed",
            Self::Authenticated(Channel::Open) => "authenticated, channel open",
            Self::Authenticated(Channel::Busy) => "authenticated, channel busy",
        }
    }

    /// Whether this connection has proved that it knows the key.
    pub(super) const fn is_authenticated(&self) -> bool {
        matches!(self, Self::Authenticated(_))
    }

    /// Whether the NFC channel is open.
    pub(super) const fn is_channel_open(&self) -> bool {
        matches!(self, Self::Authenticated(Channel::Open | Channel::Busy))
    }
}

impl Event {
    /// What it is called in refusals.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::PowerOn => "power on",
            Self::PowerLost => "power lost",
            Self::Connected { .. } => "connected",
            Self::Disconnected => "disconnected",
            Self::ResetButton => "factory reset at the band",
            Self::Confirm => "tap",
            Self::Deny => "deny",
            Self::ConfirmTimeout => "pairing timeout",
            Self::FieldOn => "reader field",
            Self::PairProbe => "pairing probe",
            Self::PairWithKey(_) => "pairing with a key",
            Self::RandomAsked(_) => "random number asked",
            Self::Answered { .. } => "answer to a challenge",
            Self::AuthJunk { .. } => "malformed or unknown authentication command",
            Self::Signed { .. } => "pairing signature",
            Self::OpenChannel => "channel open",
            Self::CloseChannel => "channel close",
            Self::Fragment(_) => "command fragment",
            Self::MifareTag => "tag read",
            Self::ChannelJunk => "malformed or unknown channel message",
            Self::ChannelTimeout => "channel timeout",
            Self::FactoryReset => "factory reset",
            Self::Set { .. } => "setting",
            Self::Query { .. } => "configuration query",
            Self::ConfigJunk { .. } => "malformed or unknown configuration command",
            Self::CardHint { .. } => "card hint",
            Self::Transfer { .. } => "transfer",
            Self::TransferJunk { .. } => "malformed or unknown transfer",
            Self::SetUser(_) => "user setting",
            Self::SetTime(_) => "clock setting",
            Self::HeartRate(_) => "heart rate control",
            Self::HeartRateMeasured => "heart rate measured",
            Self::NobodyListens => "heart rate timeout",
            Self::Fetch(_) => "fetch",
            Self::Restart => "restart",
        }
    }
}
