//! What a person can do, one file per group of actions.

pub(super) mod account;
pub(super) mod add_card;
pub(super) mod cards;
pub(super) mod code;
pub(super) mod device;
pub(super) mod factory_reset;
pub(super) mod history;
pub(super) mod link;
pub(super) mod look;
pub(super) mod order;
pub(super) mod raw;
pub(super) mod remove;

use crate::cloud::api::Refusal;

use super::app::App;
use super::io::UserAction;
use super::nfc_channel::Channel;
use super::task::{Resume, Step, Task, Value, Wake, call};

/// The running action: starts its task and, at the end, leaves no channel open.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Action {
    user: Option<UserAction>,
    keeps_channel: bool,
    result: Option<Result<Value, Refusal>>,
}

impl Action {
    pub(in crate::phone) const fn new(user: UserAction) -> Self {
        let keeps_channel = user.keeps_channel();
        Self { user: Some(user), keeps_channel, result: None }
    }
}

impl Resume for Action {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if let Some(user) = self.user.take() {
            if !app.config.manages_band && !user.spares_the_band() {
                return Err(Refusal::UnknownUnit);
            }
            return Ok(Step::Call(task(user)));
        }
        if let Some(result) = self.result.take() {
            if wake.value().is_err() {
                app.disconnect();
            }
            return result.map(Step::Return);
        }
        let result = wake.value();
        if !app.link.up || !app.link.channel_open || self.keeps_channel {
            return result.map(Step::Return);
        }
        self.result = Some(result);
        call(Channel::Close)
    }
}

fn task(user: UserAction) -> Task {
    match user {
        UserAction::SignIn { account } => account::Account::sign_in(account).into(),
        UserAction::SignOut => account::Account::sign_out().into(),
        UserAction::LinkXiaomiAccount { xiaomi } => account::Account::link_xiaomi(xiaomi).into(),
        UserAction::UpdateApp { version } => account::Account::update_app(version).into(),
        UserAction::LinkBand => link::Link::new().into(),
        UserAction::UnlinkBand => link::Unlink::new().into(),
        UserAction::Refresh => cards::Refresh::new().into(),
        UserAction::CardList => cards::CardList::new().into(),
        UserAction::AddCard { product } => add_card::AddCard::new(product).into(),
        UserAction::RequestCode { card, method } => code::RequestCode::new(card, method).into(),
        UserAction::EnterCode { card, code } => code::EnterCode::new(card, code).into(),
        UserAction::RemoveCard { card } => remove::Remove::new(card).into(),
        UserAction::SetOrder { cards } => order::Order::new(cards).into(),
        UserAction::History { card } => history::History::new(card).into(),
        UserAction::ReadIdentity => device::Device::identity().into(),
        UserAction::ReadBattery => device::Device::battery().into(),
        UserAction::ReadTime => device::Device::time().into(),
        UserAction::SetTime { unix_s } => device::Device::set_time(unix_s).into(),
        UserAction::FactoryReset => factory_reset::FactoryReset::new().into(),
        UserAction::Authenticate { wrong } => look::Prove::new(wrong).into(),
        UserAction::NfcChannel { open } => look::UseChannel::new(open).into(),
        UserAction::RawApdu { apdu } => raw::RawApdu::new(apdu).into(),
        UserAction::RawWrite { characteristic, value, authenticated } => {
            raw::RawWrite::new(characteristic, value, authenticated).into()
        }
    }
}
