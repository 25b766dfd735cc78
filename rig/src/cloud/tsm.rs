//! Scripts as the token service manager sends them: batches of commands, what each must answer, and what the answers mean.

use std::collections::{BTreeMap, BTreeSet};

use band_sim::wire::apdu::CApdu;
use band_sim::wire::tag::*;
use band_sim::wire::tlv::{self, Writer};

use super::api::{Refusal, ScriptAnswer, ScriptCommand};
use super::product::Scheme;
use super::scp03_host::{Channel, Receipt};

/// Issuer security domain.
// GPCS 2.3.1 H.1.3
const ISD_AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

/// Contactless registry service.
// GPC Amendment C 3.4
const CRS_AID: [u8; 9] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00];

/// The load file that holds the payment applets: proprietary category F, assumed.
const LOAD_FILE_AID: [u8; 8] = [0xF0, b'b', b'a', b'n', b'd', b'r', b'i', b'g'];

/// 9000 alone.
const OK: &[u16] = &[0x9000];
/// A DELETE has done its work, too, where there was nothing to delete.
const OK_OR_ABSENT: &[u16] = &[0x9000, 0x6A88];
/// A list: the end of it, more to come, or nothing at all.
const LIST: &[u16] = &[0x9000, 0x6310, 0x6A88];
/// A list that goes on; 6985 where there was nothing to go on with.
const LIST_ON: &[u16] = &[0x9000, 0x6310, 0x6A88, 0x6985];

/// `more to come`.
// GPCS 2.3.1 11.4.3.2; GPC Amendment C 3.11.3
pub(super) const MORE: u16 = 0x6310;

/// What an answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// That the command was done.
    Done,
    /// Answer to INITIALIZE UPDATE.
    Challenge,
    /// Part of the contactless registry.
    Registry,
    /// Part of the security domain's list of instances.
    Instances,
    /// The instance is no longer in the secure element.
    Deleted(Vec<u8>),
}

/// A command that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    accept: &'static [u16],
    receipt: Option<Receipt>,
    meaning: Meaning,
}

/// An answer that was checked: its meaning, data in the clear, status word.
pub(super) type Told = (Meaning, Vec<u8>, u16);

/// Commands that go to the band in one piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    commands: Vec<ScriptCommand>,
    sent: Vec<Sent>,
}

impl Batch {
    /// SELECT the issuer security domain and open a channel.
    pub(super) fn open(&mut self, initialize_update: CApdu) {
        self.select(&ISD_AID);
        self.plain(initialize_update, OK, Meaning::Challenge);
    }

    /// EXTERNAL AUTHENTICATE, wrapped already.
    pub(super) fn authenticate(&mut self, external_authenticate: CApdu) {
        self.plain(external_authenticate, OK, Meaning::Done);
    }

    /// GET STATUS of the contactless registry: all instances, AID and state. `parts` commands fetch as many parts.
    // GPC Amendment C 3.11.3
    pub(super) fn list_registry(&mut self, parts: u8) {
        self.select_registry();
        for part in 0..parts {
            let command = CApdu::new(0x80, 0xF2, 0x40, u8::from(part > 0))
                .with_data(vec![0x4F, 0x00, 0x5C, 0x03, 0x4F, 0x9F, 0x70])
                .with_ne(256);
            self.plain(command, if part == 0 { LIST } else { LIST_ON }, Meaning::Registry);
        }
    }

    /// GET STATUS of the security domain: all instances. `next` fetches what the last one left.
    // GPCS 2.3.1 11.4: P1 40 applications, P2 02 registry data as TLV, 01 next occurrence
    pub(super) fn list_instances(&mut self, channel: &mut Channel, next: bool) {
        let command = CApdu::new(0x80, 0xF2, 0x40, 0x02 | u8::from(next)).with_data(vec![0x4F, 0x00]).with_ne(256);
        self.secure(channel, command, if next { LIST_ON } else { LIST }, Meaning::Instances);
    }

    /// DELETE an instance.
    // GPCS 2.3.1 11.2
    pub(super) fn delete(&mut self, channel: &mut Channel, aid: &[u8]) {
        let command = CApdu::new(0x80, 0xE4, 0x00, 0x00).with_data(Writer::new().put(TAG_4F_ADF_NAME, aid).finish());
        self.secure(channel, command, OK_OR_ABSENT, Meaning::Deleted(aid.to_vec()));
    }

    /// INSTALL [for install and make selectable].
    // GPCS 2.3.1 11.5.2.3.2: load file, module, instance, privileges, parameters, token
    pub(super) fn install(&mut self, channel: &mut Channel, scheme: Scheme, aid: &[u8]) {
        let module = [&LOAD_FILE_AID[..], &[module_number(scheme)]].concat();
        let data = fields(&[&LOAD_FILE_AID, &module, aid, &[0x00], &[0xC9, 0x00], &[]]);
        self.secure(channel, CApdu::new(0x80, 0xE6, 0x0C, 0x00).with_data(data), OK, Meaning::Done);
    }

    /// INSTALL [for personalization] and the STORE DATA commands of one round.
    // GPCS 2.3.1 11.5.2.3.6, 11.11
    pub(super) fn personalise(&mut self, channel: &mut Channel, aid: &[u8], round: Vec<CApdu>) {
        let data = fields(&[&[], &[], aid, &[], &[], &[]]);
        self.secure(channel, CApdu::new(0x80, 0xE6, 0x20, 0x00).with_data(data), OK, Meaning::Done);
        for command in round {
            self.secure(channel, command, OK, Meaning::Done);
        }
    }

    /// SELECT the contactless registry; ends a secure channel.
    pub(super) fn select_registry(&mut self) {
        self.select(&CRS_AID);
    }

    /// SET STATUS: activate an instance on the contactless interface.
    // GPC Amendment C 3.11.2
    pub(super) fn activate(&mut self, aid: &[u8]) {
        let data = Writer::new().put(TAG_4F_ADF_NAME, aid).finish();
        self.plain(CApdu::new(0x80, 0xF0, 0x01, 0x01).with_data(data), OK, Meaning::Done);
    }

    /// SET STATUS: the complete wanted order, the default one first (assumed form).
    pub(super) fn set_order(&mut self, order: &[Vec<u8>]) {
        let data = order.iter().fold(Writer::new(), |writer, aid| writer.put(TAG_4F_ADF_NAME, aid)).finish();
        self.plain(CApdu::new(0x80, 0xF0, 0x08, 0x00).with_data(data), OK, Meaning::Done);
    }

    /// Whether there is nothing to send.
    pub(super) const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// What goes to the phone, and what is kept to check the answers.
    pub(super) fn finish(self) -> (Vec<ScriptCommand>, Vec<Sent>) {
        (self.commands, self.sent)
    }

    fn select(&mut self, aid: &[u8]) {
        let command = CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(aid.to_vec());
        self.plain(command.with_ne(256), OK, Meaning::Done);
    }

    fn plain(&mut self, command: CApdu, accept: &'static [u16], meaning: Meaning) {
        self.push(&command, None, accept, meaning);
    }

    fn secure(&mut self, channel: &mut Channel, command: CApdu, accept: &'static [u16], meaning: Meaning) {
        let (wrapped, receipt) = channel.wrap(command);
        self.push(&wrapped, Some(receipt), accept, meaning);
    }

    fn push(&mut self, command: &CApdu, receipt: Option<Receipt>, accept: &'static [u16], meaning: Meaning) {
        self.commands.push(ScriptCommand { apdu: command.encode(), expected: accept.to_vec() });
        self.sent.push(Sent { accept, receipt, meaning });
    }
}

/// The module of a scheme's applet within the load file (assumed).
const fn module_number(scheme: Scheme) -> u8 {
    match scheme {
        Scheme::Mastercard => 0x01,
        Scheme::Visa => 0x02,
    }
}

/// Fields with a length byte each.
fn fields(fields: &[&[u8]]) -> Vec<u8> {
    // AIDs and parameters are far below 256 bytes.
    fields
        .iter()
        .flat_map(|field| std::iter::once(u8::try_from(field.len()).unwrap_or(0)).chain(field.iter().copied()))
        .collect()
}

/// Checks the answers to a batch. What was proved before something failed counts, so both come back.
///
/// The phone stops at the first unexpected status word and posts what it has, so fewer answers than commands are right only when
/// the last of them is unexpected.
pub(super) fn check(
    sent: &[Sent],
    channel: Option<&Channel>,
    answers: &[ScriptAnswer],
) -> (Vec<Told>, Result<(), Refusal>) {
    let mut told = Vec::with_capacity(answers.len());
    if answers.len() > sent.len() || !answers.iter().enumerate().all(|(at, answer)| usize::from(answer.index) == at) {
        return (told, Err(Refusal::TransmitFailed));
    }
    for (command, answer) in sent.iter().zip(answers) {
        if !command.accept.contains(&answer.sw) {
            return (told, Err(unexpected(answer.sw)));
        }
        let Ok(data) = open(command, channel, answer) else { return (told, Err(Refusal::TransmitFailed)) };
        told.push((command.meaning.clone(), data, answer.sw));
    }
    let whole = if told.len() == sent.len() { Ok(()) } else { Err(Refusal::TransmitFailed) };
    (told, whole)
}

fn open(command: &Sent, channel: Option<&Channel>, answer: &ScriptAnswer) -> Result<Vec<u8>, Refusal> {
    let Some(receipt) = &command.receipt else { return Ok(answer.data.clone()) };
    let channel = channel.ok_or(Refusal::TransmitFailed)?;
    channel.unwrap(receipt, &answer.data, answer.sw).map_err(|_| Refusal::TransmitFailed)
}

const fn unexpected(sw: u16) -> Refusal {
    // facts/band-ble.md 2.3
    if sw == 0x66A5 { Refusal::SecureElementRestricted } else { Refusal::UnexpectedStatusWord }
}

/// An instance's place and state in the contactless registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `00`.
    Deactivated,
    /// `01`.
    Activated,
    /// `80`, or anything unknown: must be allowed before it can be activated.
    NonActivatable,
}

/// What the registry says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Whether readers may find it.
    pub(super) activation: Activation,
    /// Whether its issuer blocked it: the life cycle state that its own is, without the lock (7F, assumed).
    pub(super) blocked: bool,
}

impl Listed {
    /// What holds of an instance that the registry does not list.
    pub(super) const ABSENT: Self = Self { activation: Activation::NonActivatable, blocked: false };
}

/// The contactless registry as the card lists it, in its order.
// GPC Amendment C 3.11.3: 61 {4F, 9F70: life cycle, contactless activation state}
pub(super) fn registry(told: &[Told]) -> Vec<(Vec<u8>, Listed)> {
    let parts = told.iter().filter(|(meaning, ..)| *meaning == Meaning::Registry);
    let entries = parts.flat_map(|(_, data, _)| tlv::walk(data).filter_map(Result::ok));
    let entry = |value: &[u8]| {
        let aid = tlv::find(value, TAG_4F_ADF_NAME)?.to_vec();
        let states = tlv::find(value, TAG_9F70_LIFE_CYCLE_STATE)?;
        let activation = match states {
            [_, 0x00] => Activation::Deactivated,
            [_, 0x01] => Activation::Activated,
            _ => Activation::NonActivatable,
        };
        let blocked = states.first().is_some_and(|life_cycle| life_cycle & 0x7F == 0x7F);
        Some((aid, Listed { activation, blocked }))
    };
    let templates = entries.filter(|object| object.tag == TAG_61_APPLICATION_TEMPLATE);
    templates.filter_map(|object| entry(object.value)).collect()
}

/// The payment instances that the security domain lists.
// GPCS 2.3.1 11.4.3.1: E3 {4F, 9F70, C5, …}
pub(super) fn instances(told: &[Told]) -> BTreeSet<Vec<u8>> {
    let parts = told.iter().filter(|(meaning, ..)| *meaning == Meaning::Instances);
    let entries = parts.flat_map(|(_, data, _)| tlv::walk(data).filter_map(Result::ok));
    let names = entries
        .filter(|object| object.tag == TAG_E3_REGISTRY_DATA)
        .filter_map(|object| tlv::find(object.value, TAG_4F_ADF_NAME));
    // Not ours to delete: the registry service, the payment system environment, whatever else a maker put there.
    names.filter(|aid| Scheme::owns(aid)).map(<[u8]>::to_vec).collect()
}

/// Whether the last part of a list of this meaning said that there is more.
pub(super) fn has_more(told: &[Told], meaning: &Meaning) -> bool {
    told.iter().rev().find(|(of, ..)| of == meaning).is_some_and(|(_, _, sw)| *sw == MORE)
}

/// The instance states by name.
pub(super) fn states(registry: &[(Vec<u8>, Listed)]) -> BTreeMap<&[u8], Listed> {
    registry.iter().map(|(aid, listed)| (aid.as_slice(), *listed)).collect()
}
