//! One step: a word of the language becomes something that a person, a shop or the world does, and what
//! came of it becomes a [`Got`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use band_sim::band::{Button, CardState};
use band_sim::wire::gatt::CharacteristicId;

use super::expect::{CvmExpect, Got, GotCard, GotEntry, GotSides, GotWarranty, NoticeExpect, OutcomeExpect, Validity};
use super::file::{Case, GivenState};
use super::middle::Bend;
use super::step::{
    self, ChannelAct, Code, Confirm, EnterCode, Key, Pin, Proof, Proven, ResetFrom, Serial, Step, Verb, Via,
};
use super::units::{DurationExpr, Setting};
use crate::cloud::api::{AccountId, CardId, CardView, OtpMethod, Refusal};
use crate::cloud::warranty;
use crate::phone::io::{Notice, Shown, UserAction};
use crate::station::fixtures::Fixtures;
use crate::station::{Acted, Roles, Trouble, World, embedded, middle};
use crate::terminal::io::{Cvm, Outcome, Purchase, Receipt};

/// A case under way: the world and what the file calls things.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: Box<dyn World>,
    pub(super) fixtures: Arc<Fixtures>,
    pub(super) settings: BTreeMap<Setting, Duration>,
    default_terminal: String,
    /// The Xiaomi account that is signed in or linked (R11).
    account: Option<AccountId>,
    /// The added card behind each alias; absent while an add has not succeeded.
    cards: BTreeMap<String, CardView>,
    /// The product behind each alias.
    products: BTreeMap<String, String>,
}

/// Why a step could not even be tried, or the station broke: never a finding about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

impl From<Trouble> for Broken {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.to_string())
    }
}

type Done = Result<Got, Broken>;

impl Stage {
    pub(super) fn new(
        case: &Case,
        fixtures: Arc<Fixtures>,
        world: Box<dyn World>,
        settings: BTreeMap<Setting, Duration>,
    ) -> Self {
        Self {
            world,
            fixtures,
            settings,
            default_terminal: case.given.terminal.value.clone(),
            account: None,
            cards: BTreeMap::new(),
            products: BTreeMap::new(),
        }
    }

    /// The same stage once more, in a world of its own; `None` where the station has only one.
    pub(super) fn fork(&self) -> Option<Self> {
        Some(Self {
            world: self.world.fork()?,
            fixtures: Arc::clone(&self.fixtures),
            settings: self.settings.clone(),
            default_terminal: self.default_terminal.clone(),
            account: self.account.clone(),
            cards: self.cards.clone(),
            products: self.products.clone(),
        })
    }

    /// Brings about what is given, the real way.
    pub(super) fn bring_about(&mut self, case: &Case) -> Result<(), Broken> {
        let given = &case.given;
        if given.account.value != "nobody" {
            self.must(UserAction::SignIn { account: AccountId(given.account.value.clone()) })?;
        }
        if given.links_the_band() && !self.world.is_linked() {
            self.must(UserAction::LinkBand)?;
        }
        for card in &given.cards {
            let got = self.add_card(&card.card.value, &card.alias.value)?;
            refuse_broken("adding a given card", &got)?;
            if card.state == GivenState::Active {
                let got = self.activate(&card.alias.value)?;
                refuse_broken("activating a given card", &got)?;
            }
        }
        Ok(())
    }

    /// The same stage, its roles gone on with elsewhere.
    pub(super) fn moved(
        self,
        take_over: impl FnOnce(Roles) -> Result<Box<dyn World>, Trouble>,
    ) -> Result<Self, Broken> {
        let roles = self.world.into_roles().ok_or_else(|| Broken("the band of this world is elsewhere".into()))?;
        Ok(Self { world: take_over(roles)?, ..self })
    }

    /// The app is opened: it finds the band that it is linked to.
    pub(super) fn meet_the_band(&mut self) -> Result<(), Broken> {
        self.must(UserAction::Refresh)
    }

    fn must(&mut self, action: UserAction) -> Result<(), Broken> {
        let named = format!("{action:?}");
        let got = self.act(action)?;
        refuse_broken(&named, &got)
    }

    /// Does one step.
    pub(super) fn perform(&mut self, step: &Step) -> Done {
        // A digest of all memories is dear; nobody looks at most of them.
        let expected = step.expect.as_ref().is_some_and(|expect| expect.unchanged.is_some());
        let digests = expected || self.world.recorder().tells_steps();
        let before = if digests { self.world.digests()? } else { None };
        let mut got = self.perform_verb(&step.verb)?;
        let after = if digests { self.world.digests()? } else { None };
        got.unchanged = before.zip(after).map(|(before, after)| before == after);
        if let Some(within) = step.expect.as_ref().and_then(|expect| expect.within.as_ref()) {
            got.card_time_most = Some(self.duration(within)?);
        }
        Ok(got)
    }

    fn perform_verb(&mut self, verb: &Verb) -> Done {
        match verb {
            Verb::SignIn(it) => self.act(UserAction::SignIn { account: AccountId(it.account.value.clone()) }),
            Verb::SignOut(_) => self.sign_out(),
            Verb::LinkXiaomiAccount(it) => {
                self.act(UserAction::LinkXiaomiAccount { xiaomi: AccountId(it.account.value.clone()) })
            }
            Verb::LinkBand(it) => self.link_band(it.confirm),
            Verb::UnlinkBand(_) => self.act(UserAction::UnlinkBand),
            Verb::Refresh(_) => self.act(UserAction::Refresh),
            Verb::UpdateApp(it) => self.act(UserAction::UpdateApp { version: it.to.value.0 }),
            Verb::LeaveForeground(_) => self.world_does(|world| world.foreground(false)),
            Verb::ReturnToForeground(_) => self.world_does(|world| world.foreground(true)),
            Verb::FactoryReset(it) => match it.from {
                ResetFrom::App => self.act(UserAction::FactoryReset),
                ResetFrom::Band => self.world_does(|world| world.press(Button::FactoryReset)),
            },
            Verb::AddCard(it) => self.add_card(&it.card.value, &it.alias.value),
            Verb::RequestCode(it) => self.request_code(&it.card.value, it.method),
            Verb::EnterCode(it) => self.enter_code(it),
            Verb::Activate(it) => self.activate(&it.card.value),
            Verb::RemoveCard(it) => self.with_card(&it.card.value, |card| UserAction::RemoveCard { card }),
            Verb::Reorder(it) => self.reorder(it),
            Verb::CardList(_) => self.act(UserAction::CardList),
            Verb::History(it) => self.history(&it.card.value),
            Verb::Retry(_) => Err(Broken("a retry is resolved before it is performed".into())),
            Verb::Tap(it) => self.tap(it),
            Verb::BankSuspend(it) => self.clerk(&it.card.value, |world, card| world.cloud_mut().bank_suspend(card)),
            Verb::BankResume(it) => self.clerk(&it.card.value, |world, card| world.cloud_mut().bank_resume(card)),
            Verb::BankDelete(it) => self.clerk(&it.card.value, |world, card| world.cloud_mut().bank_delete(card)),
            Verb::Wait(it) => self.wait(&it.time.value),
            Verb::LoseBand(_) => self.world_does(|world| world.set_reach(false)),
            Verb::FindBand(_) => self.world_does(|world| world.set_reach(true)),
            Verb::CutPower(_) => self.world_does(|world| world.power(false)),
            Verb::RestorePower(_) => self.world_does(|world| world.power(true)),
            Verb::Press(it) => {
                let button = match it.key.value {
                    Key::Confirm => Button::Confirm,
                    Key::Deny => Button::Deny,
                    Key::FactoryReset => Button::FactoryReset,
                };
                self.world_does(|world| world.press(button))
            }
            Verb::ReadIdentity(_) => self.act(UserAction::ReadIdentity),
            Verb::ReadBattery(_) => self.act(UserAction::ReadBattery),
            Verb::ReadTime(_) => {
                let now_unix_s = Some(self.world.unix_us().div_euclid(1_000_000));
                self.act(UserAction::ReadTime).map(|got| Got { now_unix_s, ..got })
            }
            Verb::SetTime(it) => self.act(UserAction::SetTime { unix_s: it.to.value.0.as_second() }),
            Verb::Authenticate(it) => self.act(UserAction::Authenticate { wrong: it.key == Proven::Wrong }),
            Verb::NfcChannel(it) => self.act(UserAction::NfcChannel { open: it.act.value == ChannelAct::Open }),
            Verb::CheckWarranty(it) => self.check_warranty(it),
            Verb::Apdu(it) => self.apdus(it.via.value, &it.send.value.0),
            Verb::Write(it) => self.write(it),
            Verb::Check(_) => self.look(),
        }
    }

    fn world_does(&mut self, does: impl FnOnce(&mut dyn World) -> Result<(), Trouble>) -> Done {
        does(self.world.as_mut())?;
        Ok(Got::default())
    }

    /// Duration of an expression under the settings in force.
    pub(super) fn duration(&self, of: &DurationExpr) -> Result<Duration, Broken> {
        of.evaluate(|setting| self.settings.get(&setting).copied().unwrap_or_default())
            .ok_or_else(|| Broken("a length of time is negative or endless under the settings in force".into()))
    }

    fn wait(&mut self, time: &DurationExpr) -> Done {
        let time = self.duration(time)?;
        self.world_does(|world| world.wait(time))
    }

    // --- the app

    fn act(&mut self, action: UserAction) -> Done {
        let (result, notices): Acted = self.world.act(action)?;
        let mut got = match result {
            Ok(shown) => self.got_of(shown),
            Err(refusal) => Got { refused: Some(refusal), ..Got::default() },
        };
        got.notices = notices.iter().filter_map(notice_word).collect();
        Ok(got)
    }

    fn sign_out(&mut self) -> Done {
        self.account = None;
        self.act(UserAction::SignOut)
    }

    fn link_band(&mut self, confirm: Confirm) -> Done {
        self.world.set_confirm(match confirm {
            Confirm::Tap => embedded::Confirm::Tap,
            Confirm::Deny => embedded::Confirm::Deny,
            Confirm::Ignore => embedded::Confirm::Ignore,
        });
        let got = self.act(UserAction::LinkBand);
        self.world.set_confirm(embedded::Confirm::Tap);
        got
    }

    fn add_card(&mut self, product: &str, alias: &str) -> Done {
        self.products.insert(alias.to_owned(), product.to_owned());
        let (result, notices) = self.world.act(UserAction::AddCard { product: product.to_owned() })?;
        let mut got = match result {
            Ok(Shown::CardAdded { card }) => {
                let requests_left = Some(card.requests_left);
                self.cards.insert(alias.to_owned(), card);
                Got { requests_left, ..Got::default() }
            }
            Ok(other) => self.got_of(other),
            Err(refusal) => Got { refused: Some(refusal), ..Got::default() },
        };
        got.notices = notices.iter().filter_map(notice_word).collect();
        Ok(got)
    }

    /// Does something with the card behind an alias; an alias whose add never succeeded is a card nobody knows.
    fn with_card(&mut self, alias: &str, action: impl FnOnce(CardId) -> UserAction) -> Done {
        match self.cards.get(alias) {
            Some(view) => self.act(action(view.card.clone())),
            None => Ok(unknown_card()),
        }
    }

    /// The card's own log, compared with what the bank has in its books.
    fn history(&mut self, alias: &str) -> Done {
        let mut got = self.with_card(alias, |card| UserAction::History { card })?;
        if let (Some(entries), Some(view)) = (&got.entries, self.cards.get(alias)) {
            let booked = self.world.cloud().history_of(&view.card);
            let is_booked = |entry: &&GotEntry| {
                booked.iter().any(|one| (one.atc, one.amount_minor) == (entry.atc, entry.amount_minor))
            };
            let unknown = entries.len() - entries.iter().filter(is_booked).count();
            got.unknown_to_bank = Some(u32::try_from(unknown).unwrap_or(u32::MAX));
        }
        Ok(got)
    }

    fn request_code(&mut self, alias: &str, method: OtpMethod) -> Done {
        self.with_card(alias, |card| UserAction::RequestCode { card, method })
    }

    fn activate(&mut self, alias: &str) -> Done {
        let requested = self.request_code(alias, OtpMethod::Sms)?;
        if requested.refused.is_some() {
            return Ok(requested);
        }
        self.enter(alias, &Code::FromSms)
    }

    fn enter_code(&mut self, it: &EnterCode) -> Done {
        self.enter(&it.card.value, &it.code.value)
    }

    fn enter(&mut self, alias: &str, code: &Code) -> Done {
        let Some(view) = self.cards.get(alias) else { return Ok(unknown_card()) };
        let card = view.card.clone();
        let codes: Vec<&str> =
            self.world.inbox().iter().filter(|sms| sms.card == card).map(|sms| sms.code.as_str()).collect();
        let nth_from_end =
            |n: usize| codes.len().checked_sub(n).and_then(|at| codes.get(at)).map(|code| (*code).to_owned());
        let code = match code {
            Code::FromSms => nth_from_end(1),
            Code::PreviousSms => nth_from_end(2),
            Code::Wrong => Some(never_sent(&codes)),
            Code::Digits(digits) => Some(digits.clone()),
        };
        let Some(code) = code else {
            return Err(Broken(format!("no message with a code has come for `{alias}`; request one first")));
        };
        self.act(UserAction::EnterCode { card, code })
    }

    fn reorder(&mut self, it: &step::Reorder) -> Done {
        let cards: Option<Vec<CardId>> =
            it.cards.iter().map(|alias| Some(self.cards.get(&alias.value)?.card.clone())).collect();
        match cards {
            Some(cards) => self.act(UserAction::SetOrder { cards }),
            None => Ok(unknown_card()),
        }
    }

    fn clerk(&mut self, alias: &str, does: impl FnOnce(&mut dyn World, &CardId) -> Result<(), Refusal>) -> Done {
        let Some(view) = self.cards.get(alias) else { return Ok(unknown_card()) };
        let card = view.card.clone();
        let refused = does(self.world.as_mut(), &card).err();
        Ok(Got { refused, ..Got::default() })
    }

    fn got_of(&mut self, shown: Shown) -> Got {
        match shown {
            Shown::SignedIn { xiaomi, .. } => {
                self.account = xiaomi;
                Got::default()
            }
            Shown::Done | Shown::CardAdded { .. } => Got::default(),
            Shown::Time { unix_s } => Got { time_unix_s: Some(unix_s), ..Got::default() },
            Shown::CodeSent { requests_left, .. } => Got { requests_left: Some(requests_left), ..Got::default() },
            Shown::Confirmed { on_band, .. } => Got { on_band: Some(on_band), ..Got::default() },
            Shown::Removed { pending, .. } => Got { on_band: Some(!pending), ..Got::default() },
            Shown::Cards { cards } => Got { cards: Some(self.rows_of(&cards)), ..Got::default() },
            Shown::History { entries } => {
                let entries = entries.iter().map(|entry| GotEntry {
                    amount_minor: entry.amount_minor,
                    currency: entry.currency,
                    atc: entry.atc,
                    approved: None,
                });
                Got { entries: Some(entries.collect()), ..Got::default() }
            }
            Shown::Identity { serial, .. } => Got { serial: Some(serial), ..Got::default() },
            Shown::Battery { percent, .. } => Got { battery: Some(percent), ..Got::default() },
            Shown::Answer { rapdu } => answer(&rapdu),
            Shown::Notifications { result, values } => Got {
                notified: Some(values.into_iter().map(|(_, value)| value).collect()),
                att_error: Some(result.map_or_else(|| "none".to_owned(), att_error_word)),
                ..Got::default()
            },
        }
    }

    // --- the shop

    fn tap(&mut self, it: &step::Tap) -> Done {
        let name = it.terminal.as_ref().map_or(&self.default_terminal, |name| &name.value);
        let terminal = self.fixtures.terminals.get(name).cloned();
        let terminal = terminal.ok_or_else(|| Broken(format!("no terminal `{name}` among the fixtures")))?;
        let purchase = Purchase {
            amount_minor: it.amount.value.minor,
            amount_other_minor: it.cashback.as_ref().map_or(0, |cash| cash.value.minor),
            currency: it.amount.value.currency.number,
            unix_s: self.world.unix_us().div_euclid(1_000_000),
            unpredictable_number: self.world.unpredictable_number(),
        };
        let pin = match &it.pin.value {
            Pin::Right => self.default_card_pin()?,
            Pin::Wrong => self.default_card_pin()?.map(|pin| another_pin(&pin)),
            Pin::None => None,
            Pin::Digits(digits) => Some(digits.clone()),
        };
        let field_lost_after = it.leave_field_after.as_ref().map(|after| after.value);
        let man_in_the_middle = self.bends(&it.man_in_the_middle)?;
        let tap = embedded::Tap { terminal, purchase, pin, online: true, field_lost_after, man_in_the_middle };
        let receipt = self.world.pay(tap)?;
        if let Some(bend) = self.world.idle_bend().and_then(|at| it.man_in_the_middle.get(at)) {
            let at = &bend.at.span;
            return Err(Broken(format!("{at}: the man in the middle found nothing to change, so nothing was tried")));
        }
        Ok(self.got_of_receipt(&receipt))
    }

    fn bends(&self, bends: &[Bend]) -> Result<Vec<middle::Bend>, Broken> {
        let late = |bend: &Bend| bend.late.as_ref().map_or(Ok(Duration::ZERO), |late| self.duration(late));
        bends.iter().map(|bend| Ok(bend.for_station(late(bend)?))).collect()
    }

    /// The PIN of the card that a tap uses: the first that the band has contactless-activated.
    fn default_card_pin(&mut self) -> Result<Option<String>, Broken> {
        let cards = self.world.look_inside()?.cards;
        let first = cards.iter().find(|entry| entry.state == CardState::Activated);
        let alias = first.and_then(|entry| self.alias_of_aid(&entry.aid));
        let product = alias.and_then(|alias| self.fixtures.products.get(self.products.get(alias)?));
        Ok(product.map(|product| product.online_pin.as_str().to_owned()))
    }

    fn alias_of_aid(&self, aid: &[u8]) -> Option<&String> {
        self.cards.iter().find(|(_, view)| view.instance_aid == aid).map(|(alias, _)| alias)
    }

    fn got_of_receipt(&self, receipt: &Receipt) -> Got {
        let card = receipt.aid.as_ref().and_then(|aid| self.alias_of_aid(aid)).cloned();
        Got {
            outcome: Some(match receipt.outcome {
                Outcome::Approved => OutcomeExpect::Approved,
                Outcome::Declined => OutcomeExpect::Declined,
                Outcome::TryAnotherInterface => OutcomeExpect::TryAnotherInterface,
                Outcome::PresentAgain => OutcomeExpect::PresentAgain,
                Outcome::EndApplication => OutcomeExpect::EndApplication,
                Outcome::FieldLost => OutcomeExpect::FieldLost,
            }),
            cvm: Some(match receipt.cvm {
                Cvm::None => CvmExpect::None,
                Cvm::OnlinePin => CvmExpect::OnlinePin,
                Cvm::Signature => CvmExpect::Signature,
                Cvm::Cdcvm => CvmExpect::Cdcvm,
                Cvm::Failed => CvmExpect::Failed,
            }),
            online: Some(receipt.online),
            arc: receipt.arc.map(|arc| String::from_utf8_lossy(&arc).into_owned()),
            reason: self.world.last_authorisation(),
            suspicious: receipt.online.then(|| self.world.was_suspicious()),
            card,
            pin_asked: Some(self.world.pin_was_asked()),
            card_time_us: self.world.last_card_time().and_then(|time| u64::try_from(time.as_micros()).ok()),
            ..Got::default()
        }
    }

    // --- the warranty desk

    fn check_warranty(&mut self, it: &step::CheckWarranty) -> Done {
        let serial = match it.serial.as_ref().map(|serial| &serial.value) {
            None => None,
            Some(Serial::Printed(printed)) => Some(printed.clone()),
            Some(Serial::FromBand) => {
                let got = self.act(UserAction::ReadIdentity)?;
                if got.refused.is_some() {
                    return Ok(got);
                }
                got.serial
            }
        };
        let proof = it.proof.as_ref().map(|proof| proof.value);
        let query = warranty::Query {
            country: it.country.value.clone(),
            code: it.code.as_ref().map(|code| code.value.clone()),
            serial,
            purchased: it.purchased.as_ref().map(|date| date.value.0),
            proof: match proof.unwrap_or(if it.purchased.is_some() { Proof::Paper } else { Proof::None }) {
                Proof::Paper => Some(warranty::Proof::Paper),
                Proof::Email => Some(warranty::Proof::Email),
                Proof::Pdf => Some(warranty::Proof::Pdf),
                Proof::None => None,
            },
            fault: it.fault.as_ref().map(|fault| fault.value.clone()),
        };
        let now = self.world.now();
        let answer = self.world.cloud_mut().check_warranty(now, &query);
        let warranty = match answer {
            Ok(answer) => GotWarranty {
                validity: Some(match answer.validity {
                    warranty::Validity::Active => Validity::Active,
                    warranty::Validity::Expired => Validity::Expired,
                }),
                until: Some(answer.last_day.to_string()),
                remaining: Some(answer.remaining.to_string()),
                checked_before: Some(answer.checked_before),
                coverage: Some(answer.coverage.clone()),
                contact: answer.service.as_ref().map(|service| service.support.email.clone()),
                // Nothing to have ready: no service.
                have_ready: Some(answer.service.as_ref().map_or_else(Vec::new, |service| service.have_ready.clone())),
                refused: None,
            },
            Err(refused) => GotWarranty { refused: Some(word_of(&refused)), ..GotWarranty::default() },
        };
        Ok(Got { warranty: Some(warranty), ..Got::default() })
    }

    // --- hostile hands

    /// Sends the APDUs one after the other; the last answer counts, or the first that the phone does not get.
    fn apdus(&mut self, via: Via, apdus: &[Vec<u8>]) -> Done {
        let mut got = Got::default();
        match via {
            Via::NfcChannel => {
                for apdu in apdus {
                    got = self.act(UserAction::RawApdu { apdu: apdu.clone() })?;
                    if got.refused.is_some() {
                        break;
                    }
                }
                Ok(got)
            }
            Via::Contactless => {
                let answers = self.world.raw_contactless(apdus)?;
                Ok(answer(answers.last().map_or(&[], Vec::as_slice)))
            }
        }
    }

    fn write(&mut self, it: &step::RawWrite) -> Done {
        let name = &it.characteristic.value;
        let Some(characteristic) = characteristic_by_word(name) else {
            return Err(Broken(format!("the band has no characteristic `{name}`")));
        };
        self.act(UserAction::RawWrite {
            characteristic,
            value: it.value.value.0.clone(),
            authenticated: it.authenticated,
        })
    }

    // --- looking at all sides

    fn look(&mut self) -> Done {
        let listed = self.act(UserAction::CardList)?;
        if listed.refused.is_some() {
            return Ok(listed);
        }
        let app = listed.cards.unwrap_or_default();
        let inside = self.world.look_inside()?;
        let cloud = self.world.cloud();
        let bank = self.account.as_ref().map(|account| cloud.cards_of(self.world.now(), account)).unwrap_or_default();
        let bank = self.rows_of(&bank);
        let band: Vec<GotCard> = inside
            .cards
            .iter()
            .map(|entry| GotCard {
                alias: self
                    .alias_of_aid(&entry.aid)
                    .cloned()
                    .unwrap_or_else(|| format!("•••• {}", entry.last4.as_deref().unwrap_or("????"))),
                contactless: Some(entry.state == CardState::Activated),
                ..GotCard::default()
            })
            .collect();
        let sides = GotSides {
            disagreement: disagreement(&app, &band, &bank),
            applets: inside.applets,
            messages: u32::try_from(self.world.inbox().len()).unwrap_or(u32::MAX),
            linked: inside.paired,
            app,
            band,
            bank,
        };
        Ok(Got { sides: Some(sides), ..Got::default() })
    }

    fn rows_of(&self, cards: &[CardView]) -> Vec<GotCard> {
        let row = |view: &CardView| GotCard {
            alias: self.alias_of(view),
            state: Some(view.state),
            history: Some(view.history),
            requests_left: Some(view.requests_left),
            contactless: None,
            old_service: Some(view.old_service),
        };
        cards.iter().map(row).collect()
    }

    fn alias_of(&self, view: &CardView) -> String {
        let known = self.cards.iter().find(|(_, it)| it.card == view.card);
        known.map_or_else(|| format!("•••• {}", view.token_last4), |(alias, _)| alias.clone())
    }
}

fn refuse_broken(what: &str, got: &Got) -> Result<(), Broken> {
    match got.refused {
        None => Ok(()),
        Some(refusal) => {
            Err(Broken(format!("what is given could not be brought about: {what} was refused: {refusal:?}")))
        }
    }
}

fn unknown_card() -> Got {
    Got { refused: Some(Refusal::UnknownCard), ..Got::default() }
}

fn answer(rapdu: &[u8]) -> Got {
    let Some((data, sw)) = rapdu.split_last_chunk::<2>() else { return Got::default() };
    Got { sw: Some(u16::from_be_bytes(*sw)), data: Some(data.to_vec()), ..Got::default() }
}

/// Six digits that the bank did not send.
fn never_sent(codes: &[&str]) -> String {
    let never = (0..).map(|number: u32| format!("{number:06}")).find(|code| !codes.contains(&code.as_str()));
    never.unwrap_or_default()
}

/// The PIN with its last digit changed.
fn another_pin(pin: &str) -> String {
    let (head, last) = pin.split_at(pin.len().saturating_sub(1));
    format!("{head}{}", if last == "0" { '1' } else { '0' })
}

fn att_error_word(error: band_sim::wire::gatt::AttError) -> String {
    word_of(&error)
}

/// The word of a plain variant; of one with fields, its name.
fn word_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A characteristic by the word of the language: its name with underscores.
#[must_use]
pub fn characteristic_by_word(word: &str) -> Option<CharacteristicId> {
    CharacteristicId::ALL.iter().copied().find(|id| characteristic_word(id).is_some_and(|it| it == word))
}

/// The word of the language for a characteristic.
#[must_use]
pub fn characteristic_word(id: &CharacteristicId) -> Option<String> {
    Some(id.name()?.to_lowercase().replace([' ', ':', '-'], "_"))
}

fn notice_word(notice: &Notice) -> Option<NoticeExpect> {
    Some(match notice {
        Notice::Progress { .. } => return None,
        Notice::TapTheBand => NoticeExpect::TapTheBand,
        Notice::DeleteCardsFirst { .. } => NoticeExpect::DeleteCardsFirst,
        Notice::ServiceUpdate => NoticeExpect::ServiceUpdate,
        Notice::LinkXiaomiAccount => NoticeExpect::LinkXiaomiAccount,
    })
}

/// Where app, band and bank differ: the cards, their order, and whether a confirmed one can pay (R13).
fn disagreement(app: &[GotCard], band: &[GotCard], bank: &[GotCard]) -> Option<String> {
    let names = |side: &[GotCard]| side.iter().map(|card| card.alias.clone()).collect::<Vec<_>>();
    if names(app) != names(bank) {
        return Some(format!("the app lists {:?}, the bank {:?}", names(app), names(bank)));
    }
    if names(band) != names(bank) {
        return Some(format!("the band lists {:?}, the bank {:?}", names(band), names(bank)));
    }
    app.iter()
        .zip(bank)
        .find(|(app, bank)| app.state != bank.state)
        .map(|(app, bank)| format!("`{}` is {:?} in the app and {:?} at the bank", app.alias, app.state, bank.state))
}
