//! Signing in and out, linking a Xiaomi account (R11), updating the app (R12).

use crate::cloud::api::{AccountId, AppVersion, Refusal, Reply, Request};

use crate::phone::app::{self, App};
use crate::phone::cloud_request::Ask;
use crate::phone::io::Shown;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// One of the actions that need the cloud at most.
#[derive(Clone, Debug)]
pub(in crate::phone) enum Account {
    SignIn(AccountId),
    LinkXiaomi(AccountId),
    SignOut,
    UpdateApp(AppVersion),
}

impl Account {
    pub(in crate::phone) const fn sign_in(account: AccountId) -> Self {
        Self::SignIn(account)
    }

    pub(in crate::phone) const fn link_xiaomi(xiaomi: AccountId) -> Self {
        Self::LinkXiaomi(xiaomi)
    }

    pub(in crate::phone) const fn sign_out() -> Self {
        Self::SignOut
    }

    pub(in crate::phone) const fn update_app(version: AppVersion) -> Self {
        Self::UpdateApp(version)
    }

    fn start(&self, app: &mut App) -> Result<Step, Refusal> {
        match self {
            Self::SignIn(account) => call(Ask(Request::SignIn { account: account.clone() })),
            Self::LinkXiaomi(_) if app.account.is_none() => Err(Refusal::NotSignedIn),
            Self::LinkXiaomi(xiaomi) => call(Ask(Request::LinkXiaomiAccount { xiaomi: xiaomi.clone() })),
            Self::SignOut => {
                app.sign_in(None);
                done(Value::Shown(Shown::Done))
            }
            Self::UpdateApp(version) => {
                app.version = *version;
                done(Value::Shown(Shown::Done))
            }
        }
    }
}

impl Resume for Account {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if matches!(wake, Wake::Start) {
            return self.start(app);
        }
        let Reply::SignedIn { account, xiaomi } = wake.reply()? else { return Err(Refusal::Interrupted) };
        app.sign_in(Some(app::Account { id: account.clone(), xiaomi: xiaomi.clone() }));
        done(Value::Shown(Shown::SignedIn { account, xiaomi }))
    }
}
