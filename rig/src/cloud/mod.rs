//! What stands behind the phone and the shop: accounts, the bank, the token service manager, the warranty registry.
//!
//! Plain calls, no waiting: every [`Envelope`] is answered at once. [`api`] is all that the phone and the shop may know.
//!
//! | part | file |
//! |---|---|
//! | accounts | [`account`] |
//! | confirmation codes | [`code`] |
//! | tokens, suspension, deletion | [`bank`] |
//! | online authorisation | `authorise`, over [`cvn`] and [`crypto`] |
//! | what is in which band | [`mod@unit`] |
//! | scripts | `job` (what next), `tsm` (the commands), `perso` (their content), [`scp03_host`] (their wrapping) |
//! | first pairing | [`pairing`] |
//! | warranty | [`warranty`] |
//!
//! One job runs per band. A new one ends the old one, because a phone that asks anew has given up what it did before; what an
//! ended job left in the band is kept as a leftover until the band proves that it is gone.

pub mod account;
pub mod api;
mod authorise;
pub mod bank;
pub mod certificates;
pub mod code;
pub mod crypto;
pub mod cvn;
#[cfg(test)]
mod fixtures;
mod job;
pub mod pairing;
mod perso;
pub mod product;
pub mod scp03_host;
mod tsm;
pub mod unit;
pub mod warranty;

use std::collections::BTreeMap;

use band_sim::rng::Rng;
use band_sim::time::Instant;

use account::{AccountRecord, Accounts};
use api::{
    AccountId, AppVersion, Authorisation, AuthorisationReply, BankEntry, CardId, CardView, Envelope, JobId, OtpMethod,
    Refusal, Reply, Request, ScriptAnswer, Sms, Unit,
};
use bank::{Bank, BankSettings, CardKey, Phase};
use certificates::CardKeys;
use job::{Context, Job, Progress, Task};
use pairing::PairingKey;
use product::CardProduct;
use unit::{Cplc, UnitRecord, UnitState};
use warranty::{Answer, Query, Refused, WarrantyDesk, WarrantyRegistry};

use crate::mask::Secret;

/// Everything the cloud knows before anybody asks.
#[derive(Clone, Debug)]
pub struct CloudConfig {
    /// Who may sign in.
    pub accounts: Vec<AccountRecord>,
    /// The card products of the bank.
    pub products: Vec<CardProduct>,
    /// The keys that the cards' offline data authentication rests on; `CardKeys::default()` for cards without it.
    pub card_keys: CardKeys,
    /// The bank's rules.
    pub bank: BankSettings,
    /// The secure elements it has keys for.
    pub units: Vec<UnitRecord>,
    /// The key that signs first pairings.
    pub pairing_key: PairingKey,
    /// The warranty registry.
    pub warranty: WarrantyRegistry,
    /// When the virtual clock's zero is: microseconds since 1970, UTC.
    pub epoch_unix_us: i64,
}

/// The cloud.
#[derive(Clone, Debug)]
pub struct Cloud {
    accounts: Accounts,
    bank: Bank,
    units: BTreeMap<Cplc, UnitState>,
    jobs: BTreeMap<JobId, Job>,
    next_job: u32,
    challenges: Rng,
    pairing_key: PairingKey,
    warranty: WarrantyDesk,
    epoch_unix_us: i64,
}

impl Cloud {
    /// A cloud in which nothing has happened yet. Units whose CPLC has a wrong length are left out: no band could name them.
    #[must_use]
    pub fn new(config: CloudConfig, rng: Rng) -> Self {
        let units = config.units.into_iter();
        Self {
            accounts: Accounts::new(config.accounts),
            bank: Bank::new(config.bank, config.products, config.card_keys, &rng),
            units: units
                .filter_map(|record| Some((Cplc::try_from(&*record.cplc).ok()?, UnitState::new(record))))
                .collect(),
            jobs: BTreeMap::new(),
            next_job: 1,
            challenges: rng.fork("host challenges"),
            pairing_key: config.pairing_key,
            warranty: WarrantyDesk::new(config.warranty),
            epoch_unix_us: config.epoch_unix_us,
        }
    }

    /// Answers the app. Never panics, whatever is asked in whatever order.
    pub fn handle(&mut self, now: Instant, envelope: Envelope) -> Reply {
        self.answer(now, envelope).unwrap_or_else(|refusal| Reply::Refused { refusal })
    }

    /// Takes the bank's messages to its customers, oldest first. A code that was asked for by call or mail is among them.
    pub fn take_sms(&mut self) -> Vec<Sms> {
        self.bank.take_sms()
    }

    /// Answers the shop's acquirer.
    pub fn authorise(&mut self, now: Instant, request: &Authorisation) -> AuthorisationReply {
        self.bank.authorise(now, self.epoch_unix_us, request)
    }

    /// The clerk blocks a confirmed card (R7). The band learns it at its next `Sync`.
    pub fn bank_suspend(&mut self, card: &CardId) -> Result<(), Refusal> {
        self.bank.suspend(card, true)
    }

    /// The clerk lifts the block.
    pub fn bank_resume(&mut self, card: &CardId) -> Result<(), Refusal> {
        self.bank.suspend(card, false)
    }

    /// The clerk deletes a card (R7): its token is dead from now on.
    pub fn bank_delete(&mut self, card: &CardId) -> Result<(), Refusal> {
        let found = self.bank.find(card)?;
        let (key, unit) = (found.key, found.unit);
        self.delete(key, unit);
        Ok(())
    }

    /// The listed cards of an account, over all its bands, in order.
    #[must_use]
    pub fn cards_of(&self, now: Instant, account: &AccountId) -> Vec<CardView> {
        self.units.values().flat_map(|unit| self.views(now, account, unit)).collect()
    }

    /// The bank's record of a confirmed card, newest first; empty for any other.
    #[must_use]
    pub fn history_of(&self, card: &CardId) -> Vec<BankEntry> {
        self.bank.find(card).and_then(|card| self.bank.history(card.key)).unwrap_or_default()
    }

    /// How many tokens the bank has made so far.
    #[must_use]
    pub const fn tokens_made(&self) -> u32 {
        self.bank.tokens_made()
    }

    /// What no output may show: all card and token numbers, the certificates that open to them, and all keys, but for those of the first
    /// `known` tokens. With one that is known, what stands in fixtures is known too.
    #[must_use]
    pub fn secrets(&self, known: u32) -> Vec<Secret> {
        let fixed = (known == 0).then(|| self.bank.products());
        let issued = fixed.into_iter().flatten().map(|product| (&product.pan, &product.keys));
        let tokens = self.bank.cards_after(known).map(|card| (&card.token.number, &card.token.keys));
        let mut secrets = vec![];
        for (number, keys) in issued.chain(tokens) {
            secrets.push(Secret::Number(number.digits().to_owned()));
            secrets.extend([keys.ac, keys.smi, keys.smc].map(|key| Secret::Key(key.bytes().to_vec())));
        }
        let certificates = self.bank.cards_after(known).filter_map(|card| self.bank.certificate(card));
        secrets.extend(certificates.map(Secret::Key));
        if known == 0 {
            let pins = self.bank.products().filter_map(|product| product.offline_pin.as_ref());
            secrets.extend(pins.map(|pin| Secret::Key(perso::pin_block(pin.digits.as_str()))));
            let domains = self.units.values().map(|unit| &unit.record.keys);
            let keys = domains.flat_map(|keys| [&keys.enc, &keys.mac, &keys.dek]);
            secrets.extend(keys.map(|key| Secret::Key(key.bytes().to_vec())));
        }
        secrets
    }

    /// What the account behind a card holds, minor units.
    #[must_use]
    pub fn funds(&self, card: &CardId) -> Option<u64> {
        self.bank.find(card).ok().map(|card| self.bank.funds_of(card))
    }

    /// How many jobs are running.
    #[must_use]
    pub fn running_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Asks the warranty desk (W1–W4), at the desk's own clock.
    pub fn check_warranty(&mut self, now: Instant, query: &Query) -> Result<Answer, Refused> {
        let unix_us = self.epoch_unix_us.saturating_add_unsigned(now.as_micros());
        let at = jiff::Timestamp::from_microsecond(unix_us).unwrap_or(jiff::Timestamp::MAX);
        self.warranty.check(at, query)
    }

    fn answer(&mut self, now: Instant, envelope: Envelope) -> Result<Reply, Refusal> {
        let Envelope { account, app_version: app, request } = envelope;
        // R11: every card function asks for this with `?`.
        let owner = self.accounts.card_owner(account.as_ref());
        match request {
            Request::SignIn { account } => {
                let xiaomi = self.accounts.sign_in(&account)?;
                Ok(Reply::SignedIn { account, xiaomi })
            }
            Request::LinkXiaomiAccount { xiaomi } => self.link_account(account, xiaomi),
            Request::SignPairing { digest, public_key_hash, .. } => {
                self.accounts.sign_in(&account.ok_or(Refusal::NotSignedIn)?)?;
                let signature = self.pairing_key.sign(&digest, &public_key_hash)?;
                Ok(Reply::PairingSignature { signature })
            }
            Request::BindBand { unit } => self.bind(now, owner?, &unit),
            Request::UnbindBand { unit } => self.unbind(&owner?, &unit),
            Request::Sync { unit } => self.sync(now, owner?, &unit),
            Request::AddCard { product, unit } => self.add(now, owner?, &product, &unit, app),
            Request::RequestCode { card, method } => self.request_code(now, &owner?, &card, method, app),
            Request::EnterCode { card, code, unit } => self.enter_code(now, owner?, &card, &code, &unit, app),
            Request::RemoveCard { card } => self.remove(now, owner?, &card),
            Request::SetOrder { cards } => self.set_order(now, owner?, &cards),
            Request::PostAnswers { job, answers } => self.post(now, &owner?, job, &answers),
            Request::Continue { job } => self.resume(now, &owner?, job),
            Request::CancelJob { job } => self.cancel(&owner?, job),
            Request::Cards { unit } => self.cards(now, &owner?, &unit),
            Request::History { card } => self.history(&owner?, &card),
        }
    }

    // R11
    fn link_account(&mut self, signed_in: Option<AccountId>, xiaomi: AccountId) -> Result<Reply, Refusal> {
        let account = signed_in.ok_or(Refusal::NotSignedIn)?;
        self.accounts.link(&account, &xiaomi)?;
        Ok(Reply::SignedIn { account, xiaomi: Some(xiaomi) })
    }

    /// The unit's place in the registry.
    fn unit(&self, unit: &Unit) -> Result<Cplc, Refusal> {
        let cplc = Cplc::try_from(unit.cplc.as_slice())?;
        if self.units.contains_key(&cplc) { Ok(cplc) } else { Err(Refusal::UnknownUnit) }
    }

    fn bound_unit(&self, owner: &AccountId, unit: &Unit) -> Result<Cplc, Refusal> {
        let cplc = self.unit(unit)?;
        self.units.get(&cplc).ok_or(Refusal::UnknownUnit)?.check_bound_to(owner)?;
        Ok(cplc)
    }

    /// Binds the band. Cards of another account die now; those of the same account are still there.
    // R6
    fn bind(&mut self, now: Instant, owner: AccountId, unit: &Unit) -> Result<Reply, Refusal> {
        let cplc = self.unit(unit)?;
        self.end_job_of(cplc);
        let state = self.units.get_mut(&cplc).ok_or(Refusal::UnknownUnit)?;
        state.owner = Some(owner.clone());
        let bank = &mut self.bank;
        let UnitState { order, leftovers, .. } = state;
        order.retain(|key| {
            let Some(card) = bank.card(*key) else { return false };
            if card.owner == owner {
                return true;
            }
            leftovers.insert(card.instance.clone());
            bank.delete(*key);
            bank.forget(*key);
            false
        });
        if leftovers.is_empty() {
            return Ok(Reply::Done);
        }
        self.start(now, cplc, owner, Task::Sync)
    }

    /// Lets go of the band; its cards stay where they are. Letting go twice is harmless.
    // R6
    fn unbind(&mut self, owner: &AccountId, unit: &Unit) -> Result<Reply, Refusal> {
        let cplc = self.unit(unit)?;
        let state = self.units.get_mut(&cplc).ok_or(Refusal::UnknownUnit)?;
        match state.check_bound_to(owner) {
            Err(Refusal::BandOfAnotherAccount) => return Err(Refusal::BandOfAnotherAccount),
            _ => state.owner = None,
        }
        Ok(Reply::Done)
    }

    // R13
    fn sync(&mut self, now: Instant, owner: AccountId, unit: &Unit) -> Result<Reply, Refusal> {
        let unit = self.bound_unit(&owner, unit)?;
        self.start(now, unit, owner, Task::Sync)
    }

    // R13: answered whoever the band is bound to, so that a lost one's cards can be deleted (R7)
    fn cards(&self, now: Instant, owner: &AccountId, unit: &Unit) -> Result<Reply, Refusal> {
        let unit = self.unit(unit)?;
        let state = self.units.get(&unit).ok_or(Refusal::UnknownUnit)?;
        Ok(Reply::Cards { cards: self.views(now, owner, state) })
    }

    // R4
    fn history(&self, owner: &AccountId, card: &CardId) -> Result<Reply, Refusal> {
        let key = self.bank.find_of(owner, card)?.key;
        Ok(Reply::History { entries: self.bank.history(key)? })
    }

    // R9, R10
    fn add(
        &mut self,
        now: Instant,
        owner: AccountId,
        product: &str,
        unit: &Unit,
        app: AppVersion,
    ) -> Result<Reply, Refusal> {
        let cplc = self.bound_unit(&owner, unit)?;
        // An add that was given up without a word must not stand in the way of its own repetition.
        self.end_job_of(cplc);
        let product = self.bank.admit(&owner, &cplc, product)?;
        let state = self.units.get_mut(&cplc).ok_or(Refusal::UnknownUnit)?;
        let bank = &self.bank;
        let instance = state.draw_instance(product.scheme, |aid| {
            bank.cards().any(|card| card.unit == cplc && card.is_listed() && card.instance == aid)
        });
        let card = self.bank.issue(owner.clone(), cplc, product, instance, app);
        state.order.push(card);
        self.start(now, cplc, owner, Task::Add { card })
    }

    // R1, R2
    fn request_code(
        &mut self,
        now: Instant,
        owner: &AccountId,
        card: &CardId,
        method: OtpMethod,
        app: AppVersion,
    ) -> Result<Reply, Refusal> {
        let key = self.bank.find_of(owner, card)?.key;
        let holder = self.accounts.record(owner).ok_or(Refusal::UnknownAccount)?;
        let (requests_left, valid_for) = self.bank.request_code(now, key, holder, method, app)?;
        Ok(Reply::CodeSent { requests_left, valid_for })
    }

    // R1, R2: the bank first; the band follows now, or at its next `Sync`
    fn enter_code(
        &mut self,
        now: Instant,
        owner: AccountId,
        card: &CardId,
        code: &str,
        unit: &Unit,
        app: AppVersion,
    ) -> Result<Reply, Refusal> {
        let card = self.bank.find_of(&owner, card)?.key;
        if unit.cplc.is_empty() {
            // No band at hand.
            self.bank.enter_code(now, card, code, app)?;
            return Ok(Reply::Done);
        }
        let cplc = self.bound_unit(&owner, unit)?;
        if self.bank.card(card).is_none_or(|card| card.unit != cplc) {
            return Err(Refusal::UnknownCard);
        }
        self.bank.enter_code(now, card, code, app)?;
        self.start(now, cplc, owner, Task::Activate { card })
    }

    // R5, R7
    fn remove(&mut self, now: Instant, owner: AccountId, card: &CardId) -> Result<Reply, Refusal> {
        let found = self.bank.find_of(&owner, card)?;
        let (key, unit) = (found.key, found.unit);
        self.delete(key, unit);
        let state = self.units.get(&unit).ok_or(Refusal::UnknownUnit)?;
        let task = match self.bank.card(key) {
            Some(_) => Task::Remove { card: key },
            None if state.leftovers.is_empty() => return Ok(Reply::Done),
            None => Task::Sync,
        };
        if state.check_bound_to(&owner).is_err() {
            // The band went to nobody: whoever links it next finds it cleaned.
            return Ok(Reply::Done);
        }
        self.start(now, unit, owner, task)
    }

    /// A token dies now; its instance has to leave the band. A card that is just being added is given up altogether.
    fn delete(&mut self, key: CardKey, unit: Cplc) {
        if self.bank.card(key).is_some_and(|card| card.phase == Phase::Adding) {
            self.end_job_of(unit);
            return;
        }
        self.bank.delete(key);
        let instance = self.bank.card(key).map(|card| card.instance.clone());
        if let (Some(state), Some(instance)) = (self.units.get_mut(&unit), instance) {
            state.leftovers.insert(instance);
        }
    }

    // R8
    fn set_order(&mut self, now: Instant, owner: AccountId, cards: &[CardId]) -> Result<Reply, Refusal> {
        let mut wanted = Vec::with_capacity(cards.len());
        let mut unit = None;
        for id in cards {
            let card = self.bank.find_of(&owner, id)?;
            if card.phase != Phase::Confirmed {
                return Err(Refusal::NotConfirmed);
            }
            if wanted.contains(&card.key) || *unit.get_or_insert(card.unit) != card.unit {
                return Err(Refusal::BadOrder);
            }
            wanted.push(card.key);
        }
        let unit = unit.ok_or(Refusal::BadOrder)?;
        let state = self.units.get(&unit).ok_or(Refusal::UnknownUnit)?;
        state.check_bound_to(&owner)?;
        let bank = &self.bank;
        let confirmed = |key: &CardKey| bank.card(*key).is_some_and(|card| card.phase == Phase::Confirmed);
        if state.order.iter().filter(|key| confirmed(key)).count() != wanted.len() {
            return Err(Refusal::BadOrder);
        }
        let rest = state.order.iter().copied().filter(|key| !confirmed(key));
        let order = wanted.into_iter().chain(rest).collect();
        self.start(now, unit, owner, Task::Order { order })
    }

    /// Starts a job; the one that ran on this unit has been given up.
    fn start(&mut self, now: Instant, unit: Cplc, owner: AccountId, task: Task) -> Result<Reply, Refusal> {
        self.end_job_of(unit);
        let id = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        let mut context = context(now, &mut self.bank, &mut self.units, unit, &mut self.challenges)?;
        let (job, batch) = Job::start(id, unit, owner, task, &mut context);
        context.unit.job = Some(id);
        self.jobs.insert(id, job);
        Ok(Reply::Job { job: id, batch })
    }

    fn post(&mut self, now: Instant, owner: &AccountId, id: JobId, answers: &[ScriptAnswer]) -> Result<Reply, Refusal> {
        let job = self.take_job(owner, id)?;
        if job.was_posted(answers) {
            // A message that came twice says nothing about the band: the job goes on.
            self.put_back(job);
            return Err(Refusal::Busy);
        }
        self.go_on(now, job, |job, context| job.post(context, answers))
    }

    // R10
    fn cancel(&mut self, owner: &AccountId, id: JobId) -> Result<Reply, Refusal> {
        let job = self.take_job(owner, id)?;
        self.give_up(&job);
        Ok(Reply::Done)
    }

    fn resume(&mut self, now: Instant, owner: &AccountId, id: JobId) -> Result<Reply, Refusal> {
        let job = self.take_job(owner, id)?;
        if !job.waits_for_bank() {
            self.put_back(job);
            return Err(Refusal::Busy);
        }
        self.go_on(now, job, Job::resume)
    }

    /// Runs a step of a job; one that is refused has ended.
    fn go_on(
        &mut self,
        now: Instant,
        mut job: Job,
        step: impl FnOnce(&mut Job, &mut Context<'_>) -> Result<Progress, Refusal>,
    ) -> Result<Reply, Refusal> {
        let id = job.id;
        let mut context = context(now, &mut self.bank, &mut self.units, job.unit, &mut self.challenges)?;
        match step(&mut job, &mut context) {
            Ok(Progress::Next(batch)) => {
                self.put_back(job);
                Ok(Reply::Job { job: id, batch })
            }
            Ok(Progress::NotReady(retry_after)) => {
                self.put_back(job);
                Ok(Reply::NotReady { job: id, retry_after })
            }
            Ok(Progress::Finished) => {
                job.finish(&mut context);
                let card = job.card().and_then(|key| self.bank.card(key));
                Ok(Reply::JobDone { job: id, card: card.map(|card| self.bank.view(now, card)) })
            }
            Err(refusal) => {
                job.give_up(context.bank, context.unit);
                Err(refusal)
            }
        }
    }

    /// Takes a running job of this account out of the list.
    fn take_job(&mut self, owner: &AccountId, id: JobId) -> Result<Job, Refusal> {
        let job = self.jobs.get(&id).filter(|job| job.owner == *owner).ok_or(Refusal::UnknownJob)?;
        if let Some(unit) = self.units.get_mut(&job.unit) {
            unit.job = None;
        }
        self.jobs.remove(&id).ok_or(Refusal::UnknownJob)
    }

    fn put_back(&mut self, job: Job) {
        if let Some(unit) = self.units.get_mut(&job.unit) {
            unit.job = Some(job.id);
        }
        self.jobs.insert(job.id, job);
    }

    fn end_job_of(&mut self, unit: Cplc) {
        let id = self.units.get_mut(&unit).and_then(|unit| unit.job.take());
        if let Some(job) = id.and_then(|id| self.jobs.remove(&id)) {
            self.give_up(&job);
        }
    }

    fn give_up(&mut self, job: &Job) {
        if let Some(unit) = self.units.get_mut(&job.unit) {
            job.give_up(&mut self.bank, unit);
        }
    }

    fn views(&self, now: Instant, owner: &AccountId, unit: &UnitState) -> Vec<CardView> {
        let cards = unit.order.iter().filter_map(|key| self.bank.card(*key)).filter(|card| card.owner == *owner);
        cards.map(|card| self.bank.view(now, card)).collect()
    }
}

fn context<'a>(
    now: Instant,
    bank: &'a mut Bank,
    units: &'a mut BTreeMap<Cplc, UnitState>,
    unit: Cplc,
    rng: &'a mut Rng,
) -> Result<Context<'a>, Refusal> {
    let unit = units.get_mut(&unit).ok_or(Refusal::UnknownUnit)?;
    Ok(Context { now, bank, unit, rng })
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::OtpMethod;
    use proptest::prelude::*;

    fn unit() -> Unit {
        Unit { serial: String::new(), cplc: vec![7; 42] }
    }

    fn id(name: &str) -> AccountId {
        AccountId(name.to_owned())
    }

    fn ask(cloud: &mut Cloud, account: Option<&str>, request: Request) -> Reply {
        let envelope = Envelope { account: account.map(id), app_version: AppVersion(4, 0, 0), request };
        cloud.handle(Instant::ZERO, envelope)
    }

    const fn refused(refusal: Refusal) -> Reply {
        Reply::Refused { refusal }
    }

    #[test]
    fn only_somebody_signed_in_gets_a_pairing_signature_whatever_the_account() {
        let mut cloud = fixtures::cloud(BankSettings::default());
        let sign = || Request::SignPairing { address: [0; 6], digest: vec![1; 32], public_key_hash: vec![] };
        assert_eq!(ask(&mut cloud, None, sign()), refused(Refusal::NotSignedIn));
        assert_eq!(ask(&mut cloud, Some("nobody"), sign()), refused(Refusal::UnknownAccount));
        let reply = ask(&mut cloud, Some("carol"), sign());
        assert!(matches!(reply, Reply::PairingSignature { signature } if signature.len() == 128));
    }

    #[test]
    fn every_card_function_needs_a_xiaomi_account() {
        let (card, job) = (CardId("card-1".to_owned()), JobId(1));
        let requests = [
            Request::BindBand { unit: unit() },
            Request::UnbindBand { unit: unit() },
            Request::Sync { unit: unit() },
            Request::AddCard { product: "mastercard-debit".to_owned(), unit: unit() },
            Request::RequestCode { card: card.clone(), method: OtpMethod::Sms },
            Request::EnterCode { card: card.clone(), code: String::new(), unit: unit() },
            Request::RemoveCard { card: card.clone() },
            Request::SetOrder { cards: vec![] },
            Request::PostAnswers { job, answers: vec![] },
            Request::Continue { job },
            Request::CancelJob { job },
            Request::Cards { unit: unit() },
            Request::History { card },
        ];
        let mut cloud = fixtures::cloud(BankSettings::default());
        for request in requests {
            assert_eq!(ask(&mut cloud, None, request.clone()), refused(Refusal::NotSignedIn));
            assert_eq!(ask(&mut cloud, Some("carol"), request), refused(Refusal::XiaomiAccountRequired));
        }
    }

    #[test]
    fn card_functions_need_a_bound_band_but_letting_go_twice_is_harmless() {
        let mut cloud = fixtures::cloud(BankSettings::default());
        let add = || Request::AddCard { product: "mastercard-debit".to_owned(), unit: unit() };
        assert_eq!(ask(&mut cloud, Some("alice"), add()), refused(Refusal::BandNotBound));
        assert_eq!(ask(&mut cloud, Some("alice"), Request::BindBand { unit: unit() }), Reply::Done);
        assert_eq!(ask(&mut cloud, Some("bob"), add()), refused(Refusal::BandOfAnotherAccount));
        assert!(matches!(ask(&mut cloud, Some("alice"), add()), Reply::Job { .. }));
        for _ in 0..2 {
            assert_eq!(ask(&mut cloud, Some("alice"), Request::UnbindBand { unit: unit() }), Reply::Done);
        }
    }

    #[test]
    fn a_new_job_ends_the_one_before() {
        let mut cloud = fixtures::cloud(BankSettings::default());
        ask(&mut cloud, Some("alice"), Request::BindBand { unit: unit() });
        let add = || Request::AddCard { product: "mastercard-debit".to_owned(), unit: unit() };
        for _ in 0..3 {
            assert!(matches!(ask(&mut cloud, Some("alice"), add()), Reply::Job { .. }));
            assert_eq!((cloud.running_jobs(), cloud.cards_of(Instant::ZERO, &id("alice")).len()), (1, 1));
        }
        assert!(matches!(ask(&mut cloud, Some("alice"), Request::Sync { unit: unit() }), Reply::Job { .. }));
        assert_eq!(cloud.cards_of(Instant::ZERO, &id("alice")), []);
        assert_eq!(ask(&mut cloud, Some("alice"), Request::CancelJob { job: JobId(1) }), refused(Refusal::UnknownJob));
    }

    #[test]
    fn removing_a_card_that_is_being_added_gives_the_add_up() {
        let mut cloud = fixtures::cloud(BankSettings::default());
        ask(&mut cloud, Some("alice"), Request::BindBand { unit: unit() });
        let add = Request::AddCard { product: "mastercard-debit".to_owned(), unit: unit() };
        ask(&mut cloud, Some("alice"), add);
        let card = cloud.cards_of(Instant::ZERO, &id("alice")).remove(0);
        assert_eq!(card.state, api::CardState::Adding);
        assert_eq!(ask(&mut cloud, Some("alice"), Request::RemoveCard { card: card.card }), Reply::Done);
        assert_eq!((cloud.running_jobs(), cloud.cards_of(Instant::ZERO, &id("alice")).len()), (0, 0));
    }

    #[test]
    fn the_desk_goes_by_the_clouds_clock() {
        let mut cloud = fixtures::cloud(BankSettings::default());
        let query = Query {
            country: "UA".to_owned(),
            code: Some("20190611000000000017".to_owned()),
            purchased: Some(jiff::civil::date(1970, 1, 3)),
            ..Query::default()
        };
        let day = |days: u64| Instant::from_micros(days * 86_400_000_000);
        assert!(matches!(cloud.check_warranty(day(0), &query), Err(Refused::PurchasedInTheFuture { .. })));
        assert_eq!(cloud.check_warranty(day(3), &query).expect("an answer").validity, warranty::Validity::Active);
        assert_eq!(cloud.check_warranty(day(400), &query).expect("an answer").validity, warranty::Validity::Expired);
    }

    fn any_answers() -> impl Strategy<Value = Vec<ScriptAnswer>> {
        let sw = prop_oneof![Just(0x9000), Just(0x6310), Just(0x6A88), any::<u16>()];
        let data = proptest::collection::vec(any::<u8>(), 0..60);
        let answers = proptest::collection::vec((any::<bool>(), data, sw), 0..8);
        answers.prop_map(|answers| {
            let answer = |(at, (wrong, data, sw)): (usize, (bool, Vec<u8>, u16))| {
                let index = u16::try_from(at).unwrap_or(0);
                ScriptAnswer { index: if wrong && at > 3 { index + 1 } else { index }, data, sw }
            };
            answers.into_iter().enumerate().map(answer).collect()
        })
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let card = || (0..6_u8).prop_map(|number| CardId(format!("card-{number}")));
        let any_unit = || {
            let cplc = prop_oneof![5 => Just(vec![7; 42]), 1 => Just(vec![]), 1 => Just(vec![8; 42])];
            cplc.prop_map(|cplc| Unit { serial: String::new(), cplc })
        };
        let job = || (0..20_u32).prop_map(JobId);
        let product =
            prop_oneof![3 => Just("mastercard-debit"), 2 => Just("mastercard-gold"), 1 => Just("blacklisted")];
        let account = || prop_oneof![Just("alice"), Just("bob"), Just("carol"), Just("x")].prop_map(id);
        prop_oneof![
            account().prop_map(|account| Request::SignIn { account }),
            account().prop_map(|xiaomi| Request::LinkXiaomiAccount { xiaomi }),
            any_unit().prop_map(|unit| Request::BindBand { unit }),
            any_unit().prop_map(|unit| Request::UnbindBand { unit }),
            any_unit().prop_map(|unit| Request::Sync { unit }),
            (product, any_unit()).prop_map(|(product, unit)| Request::AddCard { product: product.to_owned(), unit }),
            card().prop_map(|card| Request::RequestCode { card, method: OtpMethod::Sms }),
            (card(), any_unit()).prop_map(|(card, unit)| Request::EnterCode { card, code: "000000".to_owned(), unit }),
            card().prop_map(|card| Request::RemoveCard { card }),
            proptest::collection::vec(card(), 0..4).prop_map(|cards| Request::SetOrder { cards }),
            (job(), any_answers()).prop_map(|(job, answers)| Request::PostAnswers { job, answers }),
            job().prop_map(|job| Request::Continue { job }),
            job().prop_map(|job| Request::CancelJob { job }),
            any_unit().prop_map(|unit| Request::Cards { unit }),
            card().prop_map(|card| Request::History { card }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_requests_in_any_order_are_answered(
            requests in proptest::collection::vec((prop_oneof![Just("alice"), Just("bob")], any_request()), 0..40),
        ) {
            let mut cloud = fixtures::cloud(BankSettings::default());
            for (account, request) in requests {
                let _ = ask(&mut cloud, Some(account), request);
                prop_assert!(cloud.running_jobs() <= 1);
                let adding = |view: &CardView| view.state == api::CardState::Adding;
                let views = ["alice", "bob"].map(|name| cloud.cards_of(Instant::ZERO, &id(name))).concat();
                prop_assert!(views.iter().filter(|view| adding(view)).count() <= cloud.running_jobs());
                prop_assert!(views.len() <= 6);
                prop_assert!(views.iter().all(adding), "no band ever proved anything");
            }
        }
    }
}
