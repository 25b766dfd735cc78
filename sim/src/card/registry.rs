//! What the card stores, and the decoded copy of it in RAM that commands read.
//!
//! Everything persistent is an object of the [`Nvm`]; each DGI of a personalisation is one, so a record is read where it
//! lies. A change is committed first and only then taken into RAM: after a refused or cut commit both are as before.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, slice};

use serde::{Deserialize, Serialize};

use super::nvm::{Key, Nvm, PowerLost};
use super::payment::Payment;
use super::profile::Application;

/// An application identifier, up to 16 bytes (ISO 7816-4 12.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aid {
    len: u8,
    bytes: [u8; 16],
}

impl Aid {
    /// The shortest one: the registered provider identifier.
    pub const MIN_BYTES: usize = 5;

    /// The AID of these bytes; `None` unless there are 5 to 16 of them.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if !(Self::MIN_BYTES..=16).contains(&bytes.len()) {
            return None;
        }
        let mut aid = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; 16] };
        for (cell, byte) in aid.bytes.iter_mut().zip(bytes) {
            *cell = *byte;
        }
        Some(aid)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aid({self})")
    }
}

/// Contactless activation state of an application.
// GPC Amendment C 3.2: STATE_CL_NON_ACTIVATABLE, _DEACTIVATED, _ACTIVATED
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// It may not be activated: the holder is not confirmed, or the card is suspended.
    NonActivatable,
    /// It may be activated.
    Deactivated,
    /// A reader can select it.
    Activated,
}

impl Activation {
    /// The second byte of 9F70.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::NonActivatable => 0x80,
            Self::Deactivated => 0x00,
            Self::Activated => 0x01,
        }
    }
}

/// The card's own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardState {
    /// Life cycle state of card and issuer security domain.
    pub life_cycle: u8,
    /// SCP03 sequence counter of the key set, 24 bits.
    pub sequence_counter: u32,
}

/// The stored part of an instance that commands of the card manager change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Instance AID.
    pub aid: Aid,
    /// AID of the module it was made from.
    pub module: Aid,
    /// What that module is.
    pub application: Application,
    /// Locked by SET STATUS.
    pub locked: bool,
    /// Contactless activation.
    pub activation: Activation,
    /// Blocked by its issuer.
    pub blocked: bool,
}

/// What a payment application counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// 9F36: transactions begun.
    pub atc: u16,
    /// 9F13: ATC of the last transaction the issuer answered.
    pub last_online_atc: u16,
    /// Offline approvals in a row.
    pub consecutive_offline: u8,
    /// Their sum in the application currency, minor units.
    pub cumulative_offline: u64,
    /// Place of the newest log record in the ring.
    pub log_newest: u8,
    /// Log records there are.
    pub log_records: u8,
}

/// An application instance.
#[derive(Clone, Debug)]
pub struct Applet {
    /// Its place in the store.
    pub slot: u8,
    /// Identity and states.
    pub entry: Entry,
    /// Its counters.
    pub counters: Counters,
    /// 9F17: wrong PINs that it still takes; 0 where there is no PIN.
    pub pin_tries_left: u8,
    /// What personalisation gave it, decoded; shared by clones of the card.
    pub payment: Option<Arc<Payment>>,
}

impl Applet {
    /// Whether its issuer blocked it, or the ATC has run out, which blocks it for good.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.entry.blocked || self.has_run_out()
    }

    /// Whether the ATC has run out: there is no further transaction.
    #[must_use]
    pub const fn has_run_out(&self) -> bool {
        self.counters.atc == u16::MAX
    }

    /// Whether a reader may select it, in the field or over contacts.
    #[must_use]
    pub fn is_visible_to_readers(&self) -> bool {
        self.payment.is_some() && self.entry.activation == Activation::Activated && !self.entry.locked
    }
}

/// The decoded content of the store.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The card's own state.
    pub card: CardState,
    /// The instances in the order the holder chose.
    pub applets: Vec<Applet>,
}

impl Registry {
    /// Reads the store. Objects that do not decode are left out: only a foreign store could hold such.
    #[must_use]
    pub fn load(nvm: &Nvm, factory: CardState) -> Self {
        let card = nvm.get(CARD).and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or(factory);
        let slots = nvm.get(ORDER).unwrap_or_default();
        let applets = slots.iter().filter_map(|slot| load_applet(nvm, *slot)).collect();
        Self { card, applets }
    }

    /// The instance of this slot.
    #[must_use]
    pub fn applet(&self, slot: u8) -> Option<&Applet> {
        self.applets.iter().find(|applet| applet.slot == slot)
    }

    /// The instance of exactly this AID.
    #[must_use]
    pub fn by_aid(&self, aid: &[u8]) -> Option<&Applet> {
        self.applets.iter().find(|applet| applet.entry.aid.as_bytes() == aid)
    }

    /// The instances whose AID begins with `prefix`, in order.
    pub fn matching<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a Applet> {
        self.applets.iter().filter(move |applet| applet.entry.aid.as_bytes().starts_with(prefix))
    }

    /// The smallest slot that is free.
    #[must_use]
    pub fn free_slot(&self) -> Option<u8> {
        (0..=u8::MAX - 1).find(|slot| self.applet(*slot).is_none())
    }

    /// Replaces the card's own state.
    pub fn commit_card(&mut self, nvm: &mut Nvm, card: CardState) -> Result<(), PowerLost> {
        nvm.commit(&[(CARD, Some(&encode(&card)))])?;
        self.card = card;
        Ok(())
    }

    /// Adds an instance at the end of the order.
    pub fn commit_install(&mut self, nvm: &mut Nvm, slot: u8, entry: Entry) -> Result<(), PowerLost> {
        let counters = Counters::default();
        let order = self.applets.iter().map(|applet| applet.slot).chain([slot]).collect::<Vec<_>>();
        nvm.commit(&[
            (key(slot, ENTRY), Some(&encode(&entry))),
            (key(slot, COUNTERS), Some(&encode(&counters))),
            (ORDER, Some(&order)),
        ])?;
        self.applets.push(Applet { slot, entry, counters, pin_tries_left: 0, payment: None });
        Ok(())
    }

    /// Removes the instances of these slots with all they store.
    pub fn commit_delete(&mut self, nvm: &mut Nvm, slots: &[u8]) -> Result<(), PowerLost> {
        let kept = |slot: &u8| !slots.contains(slot);
        let order = self.applets.iter().map(|applet| applet.slot).filter(kept).collect::<Vec<_>>();
        let gone =
            slots.iter().flat_map(|slot| nvm.keys_in(key(*slot, 0)..key(*slot, OBJECTS_END))).collect::<Vec<_>>();
        let mut changes = gone.into_iter().map(|object| (object, None)).collect::<Vec<(Key, Option<&[u8]>)>>();
        changes.push((ORDER, Some(&order)));
        nvm.commit(&changes)?;
        self.applets.retain(|applet| kept(&applet.slot));
        Ok(())
    }

    /// Replaces the order; `slots` holds each instance once.
    pub fn commit_order(&mut self, nvm: &mut Nvm, slots: &[u8]) -> Result<(), PowerLost> {
        nvm.commit(&[(ORDER, Some(slots))])?;
        self.applets.sort_by_key(|applet| slots.iter().position(|slot| *slot == applet.slot));
        Ok(())
    }

    /// Replaces the states of several instances at once.
    pub fn commit_entries(&mut self, nvm: &mut Nvm, entries: &[(u8, Entry)]) -> Result<(), PowerLost> {
        let encoded = entries.iter().map(|(slot, entry)| (key(*slot, ENTRY), encode(entry))).collect::<Vec<_>>();
        nvm.commit(&encoded.iter().map(|(key, bytes)| (*key, Some(bytes.as_slice()))).collect::<Vec<_>>())?;
        for (slot, entry) in entries {
            if let Some(applet) = self.applet_mut(*slot) {
                applet.entry = *entry;
            }
        }
        Ok(())
    }

    /// Replaces an instance's counters, and with them a log record if there is one.
    pub fn commit_counters(
        &mut self,
        nvm: &mut Nvm,
        slot: u8,
        counters: Counters,
        log_record: Option<&[u8]>,
    ) -> Result<(), PowerLost> {
        let encoded = encode(&counters);
        let record = log_record.map(|record| (log_key(slot, counters.log_newest), Some(record)));
        let changes = [(key(slot, COUNTERS), Some(encoded.as_slice()))].into_iter().chain(record).collect::<Vec<_>>();
        nvm.commit(&changes)?;
        if let Some(applet) = self.applet_mut(slot) {
            applet.counters = counters;
        }
        Ok(())
    }

    /// Replaces how many wrong PINs an instance still takes.
    pub fn commit_pin_tries(&mut self, nvm: &mut Nvm, slot: u8, left: u8) -> Result<(), PowerLost> {
        nvm.commit(&[(key(slot, PIN_TRIES), Some(&[left]))])?;
        if let Some(applet) = self.applet_mut(slot) {
            applet.pin_tries_left = left;
        }
        Ok(())
    }

    /// Takes a checked personalisation round: its DGIs, the states that follow from it, and what it decodes to. `pin_tries` if
    /// it brought a PIN.
    pub fn commit_personalisation(
        &mut self,
        nvm: &mut Nvm,
        slot: u8,
        round: &[(u16, &[u8])],
        entry: Entry,
        payment: Arc<Payment>,
        pin_tries: Option<u8>,
    ) -> Result<(), PowerLost> {
        let Some(applet) = self.applet_mut(slot) else { return Ok(()) };
        let encoded = encode(&entry);
        let mut changes = Vec::with_capacity(round.len() + 2);
        changes.push((key(slot, ENTRY), Some(encoded.as_slice())));
        changes.extend(pin_tries.as_ref().map(|left| (key(slot, PIN_TRIES), Some(slice::from_ref(left)))));
        changes.extend(round.iter().map(|(dgi, content)| (dgi_key(slot, *dgi), Some(*content))));
        nvm.commit(&changes)?;
        applet.entry = entry;
        applet.payment = Some(payment);
        applet.pin_tries_left = pin_tries.unwrap_or(applet.pin_tries_left);
        Ok(())
    }

    fn applet_mut(&mut self, slot: u8) -> Option<&mut Applet> {
        self.applets.iter_mut().find(|applet| applet.slot == slot)
    }
}

/// The content a store is made with.
pub fn commit_factory(nvm: &mut Nvm, card: CardState) -> Result<(), PowerLost> {
    nvm.commit(&[(CARD, Some(&encode(&card))), (ORDER, Some(&[]))])
}

/// The stored DGI of an instance.
#[must_use]
pub fn dgi(nvm: &Nvm, slot: u8, dgi: u16) -> Option<&[u8]> {
    nvm.get(dgi_key(slot, dgi))
}

/// All stored DGIs of an instance.
pub fn dgis(nvm: &Nvm, slot: u8) -> impl Iterator<Item = (u16, &[u8])> {
    let first = dgi_key(slot, 0);
    nvm.keys_in(first..dgi_key(slot, u16::MAX))
        .filter_map(move |object| Some((u16::try_from(object - first).ok()?, nvm.get(object)?)))
}

/// The log record at this place of the ring.
#[must_use]
pub fn log_record(nvm: &Nvm, slot: u8, place: u8) -> Option<&[u8]> {
    nvm.get(log_key(slot, place))
}

// Objects of the card, then one range of 2^24 keys per slot.
const CARD: Key = 1;
const ORDER: Key = 2;
const ENTRY: Key = 0x00_0000;
const COUNTERS: Key = 0x01_0000;
const LOG: Key = 0x02_0000;
const PIN_TRIES: Key = 0x03_0000;
const DGI: Key = 0x10_0000;
const OBJECTS_END: Key = 0x20_0000;

fn key(slot: u8, object: Key) -> Key {
    (Key::from(slot) + 1) << 24 | object
}

fn dgi_key(slot: u8, dgi: u16) -> Key {
    key(slot, DGI | Key::from(dgi))
}

fn log_key(slot: u8, place: u8) -> Key {
    key(slot, LOG | Key::from(place))
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Plain structs of numbers always encode; an empty object would read back as absent.
    postcard::to_allocvec(value).unwrap_or_default()
}

fn load_applet(nvm: &Nvm, slot: u8) -> Option<Applet> {
    let entry: Entry = postcard::from_bytes(nvm.get(key(slot, ENTRY))?).ok()?;
    let counters = postcard::from_bytes(nvm.get(key(slot, COUNTERS))?).ok()?;
    let payment = Payment::decode(&dgis(nvm, slot).collect(), &entry.aid, entry.application).ok().map(Arc::new);
    let pin_tries_left = nvm.get(key(slot, PIN_TRIES)).and_then(|left| left.first().copied()).unwrap_or_default();
    Some(Applet { slot, entry, counters, pin_tries_left, payment })
}
