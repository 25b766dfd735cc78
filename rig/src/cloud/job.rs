//! One run of scripts against one band: what to send next, and what its end means at the bank.
//!
//! A job may stop after any batch and never come back. Whatever it has not proved by then, a later `Sync` finds out from the band.

use std::time::Duration;

use band_sim::rng::Rng;
use band_sim::time::Instant;

use super::api::{AccountId, JobId, Refusal, ScriptAnswer, ScriptCommand};
use super::bank::{Bank, BankCard, CardKey, Suspension};
use super::perso;
use super::scp03_host::{Channel, Opening};
use super::tsm::{self, Activation, Batch, Listed, Meaning, Sent, Told};
use super::unit::{Cplc, UnitState};

/// Parts of a list that are fetched before the band is taken to be broken.
const MAX_LIST_PARTS: u8 = 8;

/// What a job is for.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Install and personalise a card.
    Add { card: CardKey },
    /// Let a confirmed card pay.
    Activate { card: CardKey },
    /// Delete a card's instance.
    Remove { card: CardKey },
    /// Put the cards into this order.
    Order { order: Vec<CardKey> },
    /// Bring the band to what the bank says.
    Sync,
}

/// A running job.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) unit: Cplc,
    pub(super) owner: AccountId,
    pub(super) task: Task,
    stage: Stage,
    /// Answers of the last batch, to know a post that comes twice.
    last_post: Vec<ScriptAnswer>,
    /// An add: the instance is there already.
    installed: bool,
    /// An add: how often the bank said that its data is not ready.
    not_ready: u8,
}

/// What is awaited.
#[derive(Clone, Debug)]
enum Stage {
    /// The card's challenge; before it, for a job that looks first, the registry in so many parts.
    Opening { opening: Opening, sent: Vec<Sent>, parts: u8 },
    /// The list of instances, so far.
    Listing { channel: Channel, sent: Vec<Sent>, told: Vec<Told>, parts: u8 },
    /// The installation, before the bank's data is ready.
    Installing { channel: Channel, sent: Vec<Sent> },
    /// The bank's data.
    BankData { not_before: Instant },
    /// The last batch.
    Last { channel: Option<Channel>, sent: Vec<Sent> },
    /// Nothing any more.
    Ended,
}

/// How a job goes on.
pub(super) enum Progress {
    /// With these commands.
    Next(Vec<ScriptCommand>),
    /// When the bank's data is ready: ask again after this time.
    NotReady(Duration),
    /// It has ended well.
    Finished,
}

/// What a job works on.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) bank: &'a mut Bank,
    pub(super) unit: &'a mut UnitState,
    pub(super) rng: &'a mut Rng,
}

impl Job {
    /// Starts a job, and answers its first batch.
    pub(super) fn start(
        id: JobId,
        unit: Cplc,
        owner: AccountId,
        task: Task,
        context: &mut Context<'_>,
    ) -> (Self, Vec<ScriptCommand>) {
        let (stage, batch) = match &task {
            Task::Order { order } if context.unit.leftovers.is_empty() => {
                let mut batch = Batch::default();
                batch.select_registry();
                batch.set_order(&context.instances_of(order));
                let (commands, sent) = batch.finish();
                (Stage::Last { channel: None, sent }, commands)
            }
            _ => open(&task, 1, context),
        };
        let job = Self { id, unit, owner, task, stage, last_post: Vec::new(), installed: false, not_ready: 0 };
        (job, batch)
    }

    /// Takes the answers to the last batch.
    pub(super) fn post(&mut self, context: &mut Context<'_>, answers: &[ScriptAnswer]) -> Result<Progress, Refusal> {
        let (sent, channel) = match &self.stage {
            Stage::Opening { sent, .. } => (sent, None),
            Stage::Listing { sent, channel, .. } | Stage::Installing { sent, channel } => (sent, Some(channel)),
            Stage::Last { sent, channel } => (sent, channel.as_ref()),
            Stage::BankData { .. } | Stage::Ended => return Err(Refusal::TransmitFailed),
        };
        let (told, outcome) = tsm::check(sent, channel, answers);
        for (meaning, _, _) in &told {
            if let Meaning::Deleted(aid) = meaning {
                context.instance_is_gone(aid);
            }
        }
        outcome?;
        self.last_post = answers.to_vec();
        self.advance(context, told)
    }

    /// Whether these answers were posted before: a message that came twice, no fault of the band.
    pub(super) fn was_posted(&self, answers: &[ScriptAnswer]) -> bool {
        !self.last_post.is_empty() && self.last_post == answers
    }

    /// Whether it waits until the bank's data is ready.
    pub(super) const fn waits_for_bank(&self) -> bool {
        matches!(self.stage, Stage::BankData { .. })
    }

    /// The card that its end is about, for an add or a confirmation.
    pub(super) const fn card(&self) -> Option<CardKey> {
        match self.task {
            Task::Add { card } | Task::Activate { card } => Some(card),
            Task::Remove { .. } | Task::Order { .. } | Task::Sync => None,
        }
    }

    /// Asks the bank again for its data.
    pub(super) fn resume(&mut self, context: &mut Context<'_>) -> Result<Progress, Refusal> {
        let Stage::BankData { not_before } = self.stage else { return Err(Refusal::UnknownJob) };
        if context.now < not_before {
            return Ok(Progress::NotReady(not_before.saturating_since(context.now)));
        }
        if self.not_ready < context.bank.settings.data_not_ready_times {
            return self.wait_for_bank(context);
        }
        // The band may have closed the channel meanwhile: a fresh one.
        let (stage, commands) = open(&self.task, 1, context);
        self.stage = stage;
        Ok(Progress::Next(commands))
    }

    /// What a job that ended well means at the bank.
    pub(super) fn finish(&self, context: &mut Context<'_>) {
        match &self.task {
            Task::Add { card } => {
                if let Some(instance) = context.instance_of(*card) {
                    context.unit.leftovers.remove(&instance);
                }
                context.bank.personalised(*card);
            }
            // A card that was found to be gone meanwhile keeps no place.
            Task::Order { order } => {
                let listed = std::mem::take(&mut context.unit.order);
                context.unit.order = order.iter().copied().filter(|key| listed.contains(key)).collect();
            }
            Task::Activate { .. } | Task::Remove { .. } | Task::Sync => {}
        }
    }

    /// What a job that never ends means at the bank: an added card is gone (R10), all else waits for the next `Sync`.
    pub(super) fn give_up(&self, bank: &mut Bank, unit: &mut UnitState) {
        if let Task::Add { card } = self.task {
            unit.order.retain(|key| *key != card);
            bank.cancel(card);
        }
    }

    fn advance(&mut self, context: &mut Context<'_>, told: Vec<Told>) -> Result<Progress, Refusal> {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Opening { opening, parts, .. } => self.opened(context, &opening, parts, told),
            Stage::Listing { channel, told: mut before, parts, .. } => {
                before.extend(told);
                self.listed(context, channel, before, parts)
            }
            Stage::Installing { .. } => {
                self.installed = true;
                self.wait_for_bank(context)
            }
            Stage::Last { .. } => Ok(Progress::Finished),
            Stage::BankData { .. } | Stage::Ended => Err(Refusal::TransmitFailed),
        }
    }

    /// The card has answered INITIALIZE UPDATE.
    fn opened(
        &mut self,
        context: &mut Context<'_>,
        opening: &Opening,
        parts: u8,
        told: Vec<Told>,
    ) -> Result<Progress, Refusal> {
        if tsm::has_more(&told, &Meaning::Registry) {
            // The list was longer than we fetched, and the selection of the security domain has ended it: once more, one part longer.
            let parts = Some(parts + 1).filter(|parts| *parts <= MAX_LIST_PARTS).ok_or(Refusal::TransmitFailed)?;
            let (stage, commands) = open(&self.task, parts, context);
            self.stage = stage;
            return Ok(Progress::Next(commands));
        }
        let challenge = told.iter().find(|(meaning, ..)| *meaning == Meaning::Challenge);
        let (_, answer, _) = challenge.ok_or(Refusal::TransmitFailed)?;
        let opened = opening.finish(&context.unit.record.keys, answer);
        let (mut channel, authenticate) = opened.map_err(|_| Refusal::TransmitFailed)?;
        let mut batch = Batch::default();
        batch.authenticate(authenticate);
        match self.task.clone() {
            Task::Add { card } => return self.add(context, card, batch, channel),
            Task::Activate { card } => {
                let instance = context.instance_of(card).ok_or(Refusal::UnknownCard)?;
                let round = perso::store_data(&[perso::holder_confirmed(true)], channel.max_data());
                batch.personalise(&mut channel, &instance, round);
                batch.select_registry();
                batch.activate(&instance);
            }
            Task::Remove { card } => {
                let instance = context.instance_of(card).ok_or(Refusal::UnknownCard)?;
                batch.delete(&mut channel, &instance);
            }
            Task::Order { .. } | Task::Sync => {
                batch.list_instances(&mut channel, false);
                let (commands, sent) = batch.finish();
                self.stage = Stage::Listing { channel, sent, told, parts: 1 };
                return Ok(Progress::Next(commands));
            }
        }
        Ok(self.last(batch, Some(channel)))
    }

    /// Installs a card, and personalises it as soon as the bank's data is ready.
    // R10; facts/band-ble.md 2.4: the applet is prepared first, then the data is asked for
    fn add(
        &mut self,
        context: &mut Context<'_>,
        card: CardKey,
        mut batch: Batch,
        mut channel: Channel,
    ) -> Result<Progress, Refusal> {
        let added = context.bank.card(card).ok_or(Refusal::UnknownCard)?;
        let (product, instance) = (added.product.clone(), added.instance.clone());
        if !self.installed {
            for leftover in &context.unit.leftovers {
                batch.delete(&mut channel, leftover);
            }
            batch.install(&mut channel, product.scheme, &instance);
            context.unit.leftovers.insert(instance.clone());
        }
        if self.not_ready < context.bank.settings.data_not_ready_times {
            let (commands, sent) = batch.finish();
            self.stage = Stage::Installing { channel, sent };
            return Ok(Progress::Next(commands));
        }
        let groupings =
            perso::personalisation(&product, &added.token, &context.bank.card_keys, &context.unit.record.keys.dek);
        let round = perso::store_data(&groupings, channel.max_data());
        batch.personalise(&mut channel, &instance, round);
        Ok(self.last(batch, Some(channel)))
    }

    /// The bank says that its data is not ready.
    // facts/band-ble.md 2.4: every 4 s, at most ten times
    fn wait_for_bank(&mut self, context: &Context<'_>) -> Result<Progress, Refusal> {
        let settings = &context.bank.settings;
        if self.not_ready >= settings.data_retries {
            return Err(Refusal::DataNotReady);
        }
        self.not_ready += 1;
        self.stage = Stage::BankData { not_before: context.now + settings.data_retry_after };
        Ok(Progress::NotReady(settings.data_retry_after))
    }

    /// The security domain has listed its instances, or part of them.
    fn listed(
        &mut self,
        context: &mut Context<'_>,
        mut channel: Channel,
        told: Vec<Told>,
        parts: u8,
    ) -> Result<Progress, Refusal> {
        let mut batch = Batch::default();
        if tsm::has_more(&told, &Meaning::Instances) {
            if parts >= MAX_LIST_PARTS {
                return Err(Refusal::TransmitFailed);
            }
            batch.list_instances(&mut channel, true);
            let (commands, sent) = batch.finish();
            self.stage = Stage::Listing { channel, sent, told, parts: parts + 1 };
            return Ok(Progress::Next(commands));
        }
        let order = match &self.task {
            Task::Order { order } => order.clone(),
            _ => context.unit.order.clone(),
        };
        repair(context, &order, &told, &mut channel, &mut batch);
        if batch.is_empty() {
            return Ok(Progress::Finished);
        }
        Ok(self.last(batch, Some(channel)))
    }

    fn last(&mut self, batch: Batch, channel: Option<Channel>) -> Progress {
        let (commands, sent) = batch.finish();
        self.stage = Stage::Last { channel, sent };
        Progress::Next(commands)
    }
}

/// Opens a channel; a job that looks first lists the contactless registry before.
fn open(task: &Task, parts: u8, context: &mut Context<'_>) -> (Stage, Vec<ScriptCommand>) {
    let mut batch = Batch::default();
    if matches!(task, Task::Sync | Task::Order { .. }) {
        batch.list_registry(parts);
    }
    let opening = Opening::new(context.unit.record.mode(), context.rng);
    batch.open(opening.command(&context.unit.record.keys));
    let (commands, sent) = batch.finish();
    (Stage::Opening { opening, sent, parts }, commands)
}

/// A live card, and how the bank wants it in the band.
// R7, R8
struct Live {
    key: CardKey,
    aid: Vec<u8>,
    /// Whether readers may find it.
    may_be_found: bool,
    /// Whether its application is blocked.
    blocked: bool,
}

/// What brings the band to what the bank says: whatever has no live card leaves it, whoever shall pay can, in order.
// R5, R6, R7, R8, R10, R13
fn repair(context: &mut Context<'_>, order: &[CardKey], told: &[Told], channel: &mut Channel, batch: &mut Batch) {
    let present = tsm::instances(told);
    let registry = tsm::registry(told);
    let states = tsm::states(&registry);
    let missing: Vec<Vec<u8>> = context.unit.leftovers.difference(&present).cloned().collect();
    missing.iter().for_each(|aid| context.instance_is_gone(aid));
    let live = context.live_instances(order);
    for Live { key, aid, .. } in live.iter().filter(|card| !present.contains(&card.aid)) {
        // The band was wiped: what is no longer in it is no card any more.
        context.bank.delete(*key);
        context.instance_is_gone(aid);
    }
    let kept: Vec<_> = live.into_iter().filter(|card| present.contains(&card.aid)).collect();
    for aid in present.iter().filter(|aid| kept.iter().all(|kept| kept.aid != **aid)) {
        batch.delete(channel, aid);
    }
    let state = |aid: &[u8]| states.get(aid).copied().unwrap_or(Listed::ABSENT);
    for card in &kept {
        let Listed { activation, blocked } = state(&card.aid);
        let mut groupings = Vec::new();
        if (activation != Activation::NonActivatable) != card.may_be_found {
            groupings.push(perso::holder_confirmed(card.may_be_found));
        }
        if blocked != card.blocked {
            groupings.push(perso::application_blocked(card.blocked));
        }
        if !groupings.is_empty() {
            batch.personalise(channel, &card.aid, perso::store_data(&groupings, channel.max_data()));
        }
    }
    let is_activated = |card: &&Live| state(&card.aid).activation == Activation::Activated;
    let to_activate: Vec<_> = kept.iter().filter(|card| card.may_be_found && !is_activated(card)).collect();
    let wanted: Vec<Vec<u8>> = kept.iter().map(|card| card.aid.clone()).collect();
    let listed: Vec<&Vec<u8>> = registry.iter().map(|(aid, _)| aid).filter(|aid| wanted.contains(aid)).collect();
    let out_of_order = !listed.into_iter().eq(&wanted);
    if to_activate.is_empty() && !out_of_order {
        return;
    }
    batch.select_registry();
    to_activate.iter().for_each(|card| batch.activate(&card.aid));
    if out_of_order {
        batch.set_order(&wanted);
    }
}

impl Context<'_> {
    fn instance_of(&self, key: CardKey) -> Option<Vec<u8>> {
        self.bank.card(key).map(|card| card.instance.clone())
    }

    /// The instances of the live cards among these, in their order.
    fn instances_of(&self, order: &[CardKey]) -> Vec<Vec<u8>> {
        self.live_instances(order).into_iter().map(|card| card.aid).collect()
    }

    fn live_instances(&self, order: &[CardKey]) -> Vec<Live> {
        let blocks = self.bank.settings.suspension == Suspension::BlocksApplication;
        let cards = order.iter().filter_map(|key| self.bank.card(*key)).filter(|card| card.is_live());
        let live = |card: &BankCard| Live {
            key: card.key,
            aid: card.instance.clone(),
            may_be_found: card.is_confirmed() && (blocks || !card.suspended),
            blocked: blocks && card.suspended,
        };
        cards.map(live).collect()
    }

    /// The instance is known not to be in the band: a deleted card of it is nowhere any more.
    fn instance_is_gone(&mut self, aid: &[u8]) {
        self.unit.leftovers.remove(aid);
        let bank = &mut *self.bank;
        self.unit.order.retain(|key| {
            let gone = bank.card(*key).is_some_and(|card| !card.is_live() && card.instance == aid);
            if gone {
                bank.forget(*key);
            }
            !gone
        });
    }
}
