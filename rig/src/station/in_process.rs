//! The embedded station behind the seam: it can do everything, in no time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use band_sim::band::{Button, Memory};
use band_sim::rng::Rng;
use band_sim::time::Instant;

use super::carrier::Carrier;
use super::embedded::{self, ActionFault, Confirm, Points, Tap};
use super::offer::{Capability, Offer};
use super::recorder::Recorder;
use super::world::{Acted, Inside, Roles, Station, Trouble, World};
use crate::cloud::Cloud;
use crate::cloud::api::{AuthorisationReason, Sms};
use crate::phone::io::UserAction;
use crate::scenario::set_up::{self, Ground};
use crate::terminal::io::Receipt;

/// The embedded station.
#[derive(Clone, Debug)]
pub struct Embedded {
    offer: Offer,
    carrier: Option<Arc<dyn Carrier>>,
}

impl Embedded {
    /// The same, its taps carried by something real, which carries commands only.
    #[must_use]
    pub fn with_carrier(name: String, carrier: Arc<dyn Carrier>) -> Self {
        let Self { mut offer, .. } = Self::default();
        offer.can.remove(&Capability::AnyBytes);
        Self { offer: Offer { name, ..offer }, carrier: Some(carrier) }
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self {
            offer: Offer {
                name: "embedded".to_owned(),
                can: BTreeSet::from(Capability::ALL),
                settings: BTreeMap::new(),
                clock: Duration::from_micros(1),
                longest_wait: Duration::MAX,
            },
            carrier: None,
        }
    }
}

impl Station for Embedded {
    fn offer(&self) -> &Offer {
        &self.offer
    }

    fn open(&self, ground: Ground<'_>, rng: &Rng, recorder: Recorder) -> Result<Box<dyn World>, Trouble> {
        let world = set_up::world(ground, rng, recorder);
        Ok(Box::new(match &self.carrier {
            None => world,
            Some(carrier) => world.carried_by(Arc::clone(carrier)),
        }))
    }
}

/// Each method is the world's own of the same name; where a world cannot fail, it does not.
impl World for embedded::World {
    fn now(&self) -> Instant {
        self.now()
    }

    fn unix_us(&self) -> i64 {
        self.unix_us()
    }

    fn cloud(&self) -> &Cloud {
        self.cloud()
    }

    fn cloud_mut(&mut self) -> &mut Cloud {
        self.cloud_mut()
    }

    fn recorder(&mut self) -> &mut Recorder {
        self.recorder()
    }

    fn inbox(&self) -> &[Sms] {
        self.inbox()
    }

    fn unpredictable_number(&mut self) -> [u8; 4] {
        self.unpredictable_number()
    }

    fn last_authorisation(&self) -> Option<AuthorisationReason> {
        self.last_authorisation()
    }

    fn was_suspicious(&self) -> bool {
        self.was_suspicious()
    }

    fn pin_was_asked(&self) -> bool {
        self.pin_was_asked()
    }

    fn idle_bend(&self) -> Option<usize> {
        self.idle_bend()
    }

    fn last_card_time(&self) -> Option<Duration> {
        Some(self.last_card_time())
    }

    fn set_confirm(&mut self, confirm: Confirm) {
        self.set_confirm(confirm);
    }

    fn act(&mut self, action: UserAction) -> Result<Acted, Trouble> {
        Ok(self.act(action)?)
    }

    fn foreground(&mut self, foreground: bool) -> Result<(), Trouble> {
        self.foreground(foreground);
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<(), Trouble> {
        self.wait(time);
        Ok(())
    }

    fn set_reach(&mut self, in_reach: bool) -> Result<(), Trouble> {
        self.set_reach(in_reach);
        Ok(())
    }

    fn press(&mut self, button: Button) -> Result<(), Trouble> {
        self.press(button);
        Ok(())
    }

    fn power(&mut self, on: bool) -> Result<(), Trouble> {
        self.power(on);
        Ok(())
    }

    fn pay(&mut self, tap: Tap) -> Result<Receipt, Trouble> {
        let receipt = self.pay(tap)?;
        self.take_trouble().map_or(Ok(receipt), |words| Err(Trouble::Outside(words)))
    }

    fn raw_contactless(&mut self, commands: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Trouble> {
        let answers = self.raw_contactless(commands);
        self.take_trouble().map_or(Ok(answers), |words| Err(Trouble::Outside(words)))
    }

    fn look_inside(&mut self) -> Result<Inside, Trouble> {
        Ok(Inside::of(self.band()))
    }

    fn digests(&mut self) -> Result<Option<[[u8; 32]; 2]>, Trouble> {
        Ok(Some([Memory::SecureElement, Memory::Device].map(|memory| self.band().nvm_digest(memory))))
    }

    fn arm(&mut self, faults: Vec<ActionFault>) {
        self.arm(faults);
    }

    fn disarm(&mut self) {
        self.disarm();
    }

    fn writes(&self) -> (u64, u64) {
        self.writes()
    }

    fn points(&mut self, before: (u64, u64)) -> Points {
        self.points(before)
    }

    fn fork(&self) -> Option<Box<dyn World>> {
        Some(Box::new(self.clone()))
    }

    fn into_roles(self: Box<Self>) -> Option<Roles> {
        Some((*self).into_roles())
    }
}
