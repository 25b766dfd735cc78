//! Who may sign in, and which of them may use card functions (R11). File: `fixtures/accounts.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::{AccountId, OtpMethod, Refusal};

/// One account of the fixtures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    /// Its name in scenarios.
    pub name: AccountId,
    /// How it signs in.
    pub kind: AccountKind,
    /// The phone number that the bank has; without one it can send no code (3003).
    #[serde(default)]
    pub phone: Option<String>,
    /// The mail address that the bank has.
    #[serde(default)]
    pub email: Option<String>,
}

impl AccountRecord {
    /// Whether the bank can send a code this way.
    #[must_use]
    pub const fn reachable_by(&self, method: OtpMethod) -> bool {
        match method {
            OtpMethod::Sms | OtpMethod::Tel => self.phone.is_some(),
            OtpMethod::Email => self.email.is_some(),
        }
    }
}

/// How an account signs in (R11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A Xiaomi account: card functions work.
    Xiaomi,
    /// Another provider's: card functions work once it is linked to a Xiaomi account.
    Other,
}

/// All accounts, and which are linked to which.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    records: BTreeMap<AccountId, AccountRecord>,
    /// Account of another kind → the Xiaomi account it is linked to.
    links: BTreeMap<AccountId, AccountId>,
}

impl Accounts {
    pub(super) fn new(records: Vec<AccountRecord>) -> Self {
        Self { records: records.into_iter().map(|record| (record.name.clone(), record)).collect(), ..Self::default() }
    }

    pub(super) fn record(&self, id: &AccountId) -> Option<&AccountRecord> {
        self.records.get(id)
    }

    /// Signs in; answers the Xiaomi account that card functions will use, if there is one.
    // R11
    pub(super) fn sign_in(&self, id: &AccountId) -> Result<Option<AccountId>, Refusal> {
        let record = self.records.get(id).ok_or(Refusal::UnknownAccount)?;
        Ok(match record.kind {
            AccountKind::Xiaomi => Some(id.clone()),
            AccountKind::Other => self.links.get(id).cloned(),
        })
    }

    /// Links `id` to the Xiaomi account `xiaomi`. A Xiaomi account needs no link: it can only be "linked" to itself.
    // R11
    pub(super) fn link(&mut self, id: &AccountId, xiaomi: &AccountId) -> Result<(), Refusal> {
        let from = self.records.get(id).ok_or(Refusal::UnknownAccount)?.kind;
        let to = self.records.get(xiaomi).ok_or(Refusal::UnknownAccount)?.kind;
        match (from, to) {
            (_, AccountKind::Other) => Err(Refusal::XiaomiAccountRequired),
            (AccountKind::Xiaomi, AccountKind::Xiaomi) if id == xiaomi => Ok(()),
            (AccountKind::Xiaomi, AccountKind::Xiaomi) => Err(Refusal::UnknownAccount),
            (AccountKind::Other, AccountKind::Xiaomi) => {
                self.links.insert(id.clone(), xiaomi.clone());
                Ok(())
            }
        }
    }

    /// The Xiaomi account whose cards a signed-in account uses.
    // R11
    pub(super) fn card_owner(&self, signed_in: Option<&AccountId>) -> Result<AccountId, Refusal> {
        let id = signed_in.ok_or(Refusal::NotSignedIn)?;
        self.sign_in(id)?.ok_or(Refusal::XiaomiAccountRequired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> AccountId {
        AccountId(name.to_owned())
    }

    fn accounts() -> Accounts {
        let account = |name, kind| AccountRecord { name: id(name), kind, phone: None, email: None };
        Accounts::new(vec![
            account("alice", AccountKind::Xiaomi),
            account("bob", AccountKind::Xiaomi),
            account("carol", AccountKind::Other),
        ])
    }

    #[test]
    fn card_functions_need_somebody_signed_in_with_a_xiaomi_account() {
        let accounts = accounts();
        assert_eq!(accounts.card_owner(None), Err(Refusal::NotSignedIn));
        assert_eq!(accounts.card_owner(Some(&id("carol"))), Err(Refusal::XiaomiAccountRequired));
        assert_eq!(accounts.card_owner(Some(&id("nobody"))), Err(Refusal::UnknownAccount));
        assert_eq!(accounts.card_owner(Some(&id("alice"))), Ok(id("alice")));
    }

    #[test]
    fn a_linked_account_uses_the_cards_of_its_xiaomi_account() {
        let mut accounts = accounts();
        assert_eq!(accounts.sign_in(&id("carol")), Ok(None));
        accounts.link(&id("carol"), &id("alice")).expect("links");
        assert_eq!(accounts.sign_in(&id("carol")), Ok(Some(id("alice"))));
        assert_eq!(accounts.card_owner(Some(&id("carol"))), Ok(id("alice")));
        accounts.link(&id("carol"), &id("bob")).expect("links anew");
        assert_eq!(accounts.card_owner(Some(&id("carol"))), Ok(id("bob")));
    }

    #[test]
    fn only_a_xiaomi_account_can_be_linked_to() {
        let mut accounts = accounts();
        assert_eq!(accounts.link(&id("carol"), &id("carol")), Err(Refusal::XiaomiAccountRequired));
        assert_eq!(accounts.link(&id("carol"), &id("nobody")), Err(Refusal::UnknownAccount));
        assert_eq!(accounts.link(&id("nobody"), &id("alice")), Err(Refusal::UnknownAccount));
        assert_eq!(accounts.link(&id("alice"), &id("alice")), Ok(()));
        assert_eq!(accounts.link(&id("alice"), &id("bob")), Err(Refusal::UnknownAccount));
    }
}
